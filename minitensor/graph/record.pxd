cimport cython

from .algebra cimport algebra
from .arrays cimport base_of, dtype_of, same_shape
from .modes cimport pack_hooks, recording, set_grad_enabled, switches, current
from .nodes cimport CONSTANT, FIRST, NO_PARAMS, Node, Saved, holds_arrays, make_node, make_saved
from .places cimport here
from .tensors cimport Tensor, Version, refresh, wants_grad, wrap


@cython.final
cdef class Row:
    cdef object kernel, joint
    cdef tuple names, rules, uses, saves
    cdef bint variadic, view, broadcasts, custom, moves, turns, keeps


cdef Row row_of(object op)
cdef object odd_of(object arrays)
cdef object widened(object a, object half)
cdef object narrowed(object a, object half)
cdef bint concerns(object value)
cpdef quietly(function, args, dict params)
cdef tuple run(object op, list arrays, dict params)
cdef object wrap_outputs(object op, tuple args, dict params, object out, object saved, bint wants)
cdef object link_view(object op, object x, dict params, Tensor out, Py_ssize_t output)
cdef object record_node(object op, Row row, tuple args, dict params, tuple outs, object saved)
