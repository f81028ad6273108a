cimport cython

from .algebra cimport algebra
from .places cimport describe
from .tensors cimport Tensor, Version, wrap

cdef tuple FIRST
cdef dict NO_PARAMS
cdef long long CONSTANT


@cython.freelist(64)
@cython.final
cdef class Saved:
    cdef readonly object array, version, layer, unpack
    cdef readonly long long role, number


@cython.freelist(64)
@cython.final
cdef class Node:
    cdef readonly object op, place, freed
    cdef readonly dict params
    cdef readonly tuple inputs, indices
    cdef public object saved, shapes, outputs, hooks, extra, label


cdef Saved make_saved(object array, long long role, object version, object layer)
cdef Node make_node(object op, dict params, tuple inputs, tuple indices)
cdef bint holds_arrays(object kept)
cdef object unpack_array(Node node, object kept)
cpdef saved_value(node, s)
cpdef recorded_at(node)
