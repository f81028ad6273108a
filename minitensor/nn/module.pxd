cdef extern from "Python.h":
    dict PyObject_GenericGetDict(object, void*)
    object attribute_of "PyObject_GenericGetAttr" (object, object)

cdef extern from *:
    """
    static inline void mt_read_as(PyTypeObject *cls, PyTypeObject *base) {
        cls->tp_getattro = base->tp_getattro;
    }
    """
    void read_as "mt_read_as"(type cls, type base)

cdef inline dict fields_of(object x):
    return PyObject_GenericGetDict(x, NULL)
