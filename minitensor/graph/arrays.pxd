# The beginning of an ndarray, which NumPy's ABI fixes (numpy/ndarraytypes.h), read without a call. See arrays.py.
cdef extern from *:
    """
    typedef struct {
        PyObject_HEAD
        char *data;
        int nd;
        Py_ssize_t *dimensions, *strides;
        PyObject *base, *descr;
        int flags;
    } mt_array;

    static inline int mt_same_shape(PyObject *x, PyObject *y) {
        const mt_array *a = (const mt_array *)x, *b = (const mt_array *)y;
        if (a->nd != b->nd) return 0;
        for (int d = 0; d < a->nd; ++d)
            if (a->dimensions[d] != b->dimensions[d]) return 0;
        return 1;
    }
    static inline PyObject *mt_dtype(PyObject *x) {
        return Py_NewRef(((const mt_array *)x)->descr);
    }
    static inline PyObject *mt_base(PyObject *x) {
        PyObject *base = ((const mt_array *)x)->base;
        return Py_NewRef(base == NULL ? Py_None : base);
    }
    static inline PyObject *mt_shape(PyObject *x, PyTypeObject *cls) {
        const mt_array *a = (const mt_array *)x;
        PyObject *shape = cls == &PyTuple_Type ? PyTuple_New(a->nd) : cls->tp_alloc(cls, a->nd);
        for (int d = 0; shape != NULL && d < a->nd; ++d) {
            PyObject *n = PyLong_FromSsize_t(a->dimensions[d]);
            if (n == NULL) Py_CLEAR(shape);
            else PyTuple_SET_ITEM(shape, d, n);
        }
        return shape;
    }
    static inline int mt_flags(PyObject *x) {
        return ((const mt_array *)x)->flags;
    }
    """
    bint same_shape "mt_same_shape"(object x, object y)
    object dtype_of "mt_dtype"(object x)
    object base_of "mt_base"(object x)
    object shape_of "mt_shape"(object x, type cls)
    int flags_of "mt_flags"(object x)
