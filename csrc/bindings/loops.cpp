// NumPy's own loops by several threads, into the pool's memory: of integers and bools, and of
// functions that have no kernel. A ufunc of NumPy holds, for each combination of dtypes, a loop
// over operands with strides that needs no GIL; its call makes a new array on one thread.
#include "loops.h"

#include <cstring>

#include "../runtime/parallel.h"

namespace mt {
namespace {

// numpy/ufuncobject.h: how a PyUFuncObject begins.
using Loop = void (*)(char** operands, const Py_ssize_t* sizes, const Py_ssize_t* steps,
                      void* data);
struct Ufunc {
  PyObject_HEAD int nin, nout, nargs, identity;
  Loop* functions;
  void* const* data;
  int ntypes, reserved;
  const char* name;
  const char* types;
};
enum { kLastInteger = 10, kSingle, kDoubled };  // NumPy's numbers of dtypes, from 0 for bool

// The number as an element of that dtype: whether it is one.
bool element(PyObject* number, int type, size_t item, char* to) {
  if (type > kLastInteger) {
    const double value = PyFloat_AsDouble(number);
    const auto single = static_cast<float>(value);
    if (PyErr_Occurred()) {
      PyErr_Clear();
      return false;
    }
    if (type == kSingle)
      std::memcpy(to, &single, sizeof single);
    else
      std::memcpy(to, &value, sizeof value);
    return true;
  }
  if (type == 0 || !PyLong_CheckExact(number)) return false;
  const long long value = PyLong_AsLongLong(number);
  if (value == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    return false;
  }
  const int bits = static_cast<int>(8 * item);
  const bool has_sign = type % 2 == 1;
  if (!has_sign && value < 0) return false;
  if (bits < 64 && value >> (has_sign ? bits - 1 : bits) != (value < 0 ? -1 : 0)) return false;
  std::memcpy(to, &value, item);  // its lower bytes come first
  return true;
}

}  // namespace

PyObject* numpy_loop(const char* name, PyObject* function, PyObject* const* arguments, int n,
                     PyObject* into) {
  const auto* u = reinterpret_cast<const Ufunc*>(function);
  PyObject* d = nullptr;
  for (int k = 0; k < n; ++k) {
    PyObject* x = arguments[k];
    if (PyFloat_CheckExact(x) || PyLong_CheckExact(x)) continue;
    if (!py::isinstance<Array>(x)) Py_RETURN_NONE;
    PyObject* own = py::detail::array_proxy(x)->descr;
    if (d != nullptr && own != d) Py_RETURN_NONE;
    d = own;
  }
  if (u->nin != n || u->nout != 1 || n > 3 || d == nullptr) Py_RETURN_NONE;
  const auto& api = py::detail::npy_api::get();
  const auto dtype = py::reinterpret_borrow<py::dtype>(d);
  const int type = dtype.num();
  if (type < 0 || type > kDoubled) Py_RETURN_NONE;
  const auto known = py::reinterpret_steal<py::object>(api.PyArray_DescrFromType_(type));
  if (known.ptr() != d) Py_RETURN_NONE;  // of another byte order
  int found = 0;
  const auto fits = [&] {
    for (int k = 0; k < n; ++k)
      if (u->types[found * u->nargs + k] != type) return false;
    return true;
  };
  while (found < u->ntypes && !fits()) ++found;
  if (found == u->ntypes || u->functions[found] == nullptr) Py_RETURN_NONE;
  const int gives = u->types[found * u->nargs + n];
  if (gives < 0 || gives > kDoubled) Py_RETURN_NONE;
  const auto out_dtype = py::reinterpret_steal<py::dtype>(api.PyArray_DescrFromType_(gives));

  py::object held[3];
  alignas(8) char numbers[3][8];
  View in[3];
  for (int k = 0; k < n; ++k) {
    PyObject* x = arguments[k];
    in[k].item = dtype.itemsize();
    if (!PyFloat_CheckExact(x) && !PyLong_CheckExact(x))
      in[k] = view(py::reinterpret_borrow<Array>(x), held[k]);
    else if (element(x, type, dtype.itemsize(), numbers[k]))
      in[k].data = numbers[k];
    else
      Py_RETURN_NONE;
  }
  Walk walk;
  Array out = planned(name, in, n, into, out_dtype.ptr(), out_dtype.itemsize(), walk);
  if (!out) Py_RETURN_NONE;
  char* base[4] = {static_cast<char*>(const_cast<void*>(out.data()))};
  py::ssize_t item[4] = {out_dtype.itemsize()};
  for (int k = 0; k < n; ++k) {
    base[k + 1] = static_cast<char*>(const_cast<void*>(in[k].data));
    item[k + 1] = in[k].item;
  }
  const Loop loop = u->functions[found];
  void* const data = u->data == nullptr ? nullptr : u->data[found];
  const int last = walk.ndim - 1;
  without_gil(walk.count, [&] {
    for_ranges(walk.count, even_grain(walk.count), [&](int64_t begin, int64_t end) {
      Place place(walk, n, begin);
      while (begin < end) {
        const Py_ssize_t m = std::min(place.left_in_row(), end - begin);
        char* operands[4];  // the output comes last
        Py_ssize_t steps[4];
        for (int k = 0; k <= n; ++k) {
          const int from = k < n ? k + 1 : 0;
          operands[k] = base[from] + place.offset[from] * item[from];
          steps[k] = walk.stride[from][last] * item[from];
        }
        loop(operands, &m, steps, data);
        place.advance(m);
        begin += m;
      }
    });
  });
  return out.release().ptr();
}

PyObject* numpy_function(const char* name) {
  return py::object(py::module_::import("numpy").attr(name)).release().ptr();  // kept for good
}

void bind_loops(py::module_& m) {
  // What Python calls holds (ufunc, name).
  static PyMethodDef method{
      "loop",
      reinterpret_cast<PyCFunction>(reinterpret_cast<void*>(
          +[](PyObject* held, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
            try {
              PyObject* const function = PyTuple_GET_ITEM(held, 0);
              const char* const name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(held, 1));
              const int n = reinterpret_cast<const Ufunc*>(function)->nin;
              if (given != n && given != n + 1)
                throw py::type_error(std::string(name) + ": takes " + std::to_string(n) +
                                     " arrays");
              return numpy_loop(name, function, arguments, n, given == n ? nullptr : arguments[n]);
            } catch (...) {
              return raise_pending();
            }
          })),
      METH_FASTCALL, "loop(*arrays: numpy.ndarray | float) -> numpy.ndarray | None"};
  m.def(
      "loop",
      [](const py::object& ufunc, const py::str& name) {
        if (!py::isinstance(ufunc, py::module_::import("numpy").attr("ufunc")))
          throw py::type_error("loop: takes a ufunc of NumPy");
        const py::tuple held = py::make_tuple(ufunc, name);
        return py::reinterpret_steal<py::object>(PyCFunction_NewEx(&method, held.ptr(), nullptr));
      },
      py::arg("ufunc"), py::arg("name"));
}

}  // namespace mt
