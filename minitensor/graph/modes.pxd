cimport cython


@cython.final
cdef class Switches:
    cdef bint reference, anomaly, check_nan
    cdef long long inferring, paused, packing, watching, casting


@cython.final
cdef class Thread:
    cdef long long number, depth, walk
    cdef bint grad, inference
    cdef list batches, packs
    cdef object pending, watch, cast


cdef Switches switches
cdef Thread _last

cdef extern from "Python.h":
    ctypedef struct PyThreadState:
        pass
    PyThreadState* PyThreadState_Get()
    unsigned long long PyThreadState_GetID(PyThreadState*)

cdef inline long long thread_number():
    return PyThreadState_GetID(PyThreadState_Get())

cdef Thread current()
cdef bint recording()
cdef object pack_hooks()
cpdef set_grad_enabled(bint on)
