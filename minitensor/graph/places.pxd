from .modes cimport switches

# Taken at most recorded operators, so without an object for each frame, as the functions of Python's API make one.
cdef extern from *:
    """
    #ifndef Py_BUILD_CORE
    #define Py_BUILD_CORE 1
    #endif
    #if PY_VERSION_HEX < 0x030E0000
    #include "internal/pycore_frame.h"
    #if PY_VERSION_HEX < 0x030D0000
    #define MT_RUNNING(thread) (thread)->cframe->current_frame
    #define MT_CODE(frame) (frame)->f_code
    #else
    #define MT_RUNNING(thread) (thread)->current_frame
    #define MT_CODE(frame) _PyFrame_GetCode(frame)
    #endif
    static PyObject *mt_outside(PyObject *package) {
        _PyInterpreterFrame *frame = MT_RUNNING(PyThreadState_Get());
        for (; frame != NULL; frame = frame->previous) {
            if (_PyFrame_IsIncomplete(frame)) continue;
            PyCodeObject *code = MT_CODE(frame);
            Py_ssize_t ours = PyUnicode_Tailmatch(code->co_filename, package, 0, PY_SSIZE_T_MAX, -1);
            if (ours > 0) continue;
            if (ours < 0) return NULL;
            PyObject *at = PyLong_FromLong(_PyInterpreterFrame_LASTI(frame) * (long)sizeof(_Py_CODEUNIT));
            PyObject *place = at == NULL ? NULL : PyTuple_Pack(2, (PyObject *)code, at);
            Py_XDECREF(at);
            return place;
        }
        Py_RETURN_NONE;
    }
    #else
    static PyObject *mt_outside(PyObject *package) {
        PyFrameObject *frame = PyEval_GetFrame();
        Py_XINCREF(frame);
        while (frame != NULL) {
            PyCodeObject *code = PyFrame_GetCode(frame);
            Py_ssize_t ours = PyUnicode_Tailmatch(code->co_filename, package, 0, PY_SSIZE_T_MAX, -1);
            PyObject *place = ours != 0 ? NULL : Py_BuildValue("Oi", code, PyFrame_GetLasti(frame));
            PyFrameObject *back = ours > 0 ? PyFrame_GetBack(frame) : NULL;
            Py_DECREF(code);
            Py_DECREF(frame);
            if (ours <= 0) return place;
            frame = back;
        }
        Py_RETURN_NONE;
    }
    #endif
    """
    object outside "mt_outside"(object package)

cpdef here()
cpdef describe(place)
cdef object note_made(object shape)
