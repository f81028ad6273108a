cdef extern from "Python.h":
    dict PyObject_GenericGetDict(object, void*)
    object attribute_of "PyObject_GenericGetAttr" (object, object)

cdef inline dict fields_of(object x):
    return PyObject_GenericGetDict(x, NULL)
