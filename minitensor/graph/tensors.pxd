cimport cython

from .arrays cimport dtype_of, shape_of
from .modes cimport switches, current
from .places cimport here, note_made


@cython.freelist(64)
@cython.final
cdef class Version:
    cdef readonly long long value
    cdef readonly object place


@cython.final
cdef class Dual:
    cdef readonly object level, primal, tangent


cdef class Tensor:
    cdef readonly object array, version, base, chain
    cdef public object leaf_grad, leaf_hooks, after_hooks, layer
    cdef readonly bint inferred, aside
    cdef object _node, _of
    cdef long long _index, _seen
    cdef bint _wants

    cdef object _set(self, object array)


cpdef wrap(array)
cdef object shadow(Tensor t)
cdef object origin(object a)
cdef object refresh(Tensor view)
cdef object batch_over(object tensors)
cdef bint wants_grad(Tensor t)
