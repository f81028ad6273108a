cimport cython


@cython.final
cdef class Switches:
    cdef bint reference, anomaly, check_nan
    cdef long long inferring, paused, packing, watching


cdef Switches switches
cdef object thread

cdef bint recording()
cdef object pack_hooks()
cpdef set_grad_enabled(bint on)
