// NumPy's loops, run by threads.
#pragma once

#include "walks.h"

namespace mt {

// The operator `name`, a ufunc of n operands, arrays of one dtype and Python numbers, into the
// array `into` if one is given; None where NumPy has no such loop or the result cannot be written
// there.
PyObject* numpy_loop(const char* name, PyObject* ufunc, PyObject* const* arguments, int n,
                     PyObject* into);
PyObject* numpy_function(const char* name);  // NumPy's ufunc of that name

}  // namespace mt
