cimport cython

from .algebra cimport algebra
from .arrays cimport base_of, dtype_of, same_shape, shape_of
from .modes cimport pack_hooks, recording, set_grad_enabled, switches, current
from .nodes cimport CONSTANT, FIRST, NO_PARAMS, Node, Saved, holds_arrays, make_node, make_saved
from .places cimport here
from .tensors cimport Tensor, Version, refresh, wants_grad, wrap

cdef extern from *:
    """
    #include "structmember.h"
    static inline PyObject *mt_slot(PyObject *x, PyObject *slot) {
        const PyMemberDescrObject *d = (const PyMemberDescrObject *)slot;
        if (Py_TYPE(x) != PyDescr_TYPE(d)) return Py_TYPE(slot)->tp_descr_get(slot, x, NULL);
        PyObject *value = *(PyObject **)((char *)x + d->d_member->offset);
        return Py_NewRef(value == NULL ? Py_None : value);
    }
    """
    object slot_of "mt_slot"(object x, object slot)


@cython.final
cdef class Row:
    cdef object kernel, joint
    cdef tuple names, rules, uses, saves
    cdef bint variadic, view, broadcasts, custom, moves, turns, keeps
    cdef Py_ssize_t arrays, count


cdef Row row_of(object op)
cdef object odd_of(object arrays)
cdef object widened(object a, object half)
cdef object narrowed(object a, object half)
cdef bint concerns(object value)
cpdef quietly(function, args, dict params)
cdef tuple run(object op, list arrays, dict params)
cdef object wrap_outputs(object op, tuple args, dict params, object out, object saved, bint wants)
cdef object link_view(object op, object x, object params, Tensor out, Py_ssize_t output)
cdef object record_node(object op, Row row, tuple args, dict params, tuple outs, object saved)
