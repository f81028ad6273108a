cimport cython


@cython.final
cdef class Algebra:
    cdef object add, add_into, copy, put, sum_to, expand, view_write, promote, promote_float, cast, same, conj, constant_in


cdef Algebra algebra
