// What every binding needs: check an array, allocate an output from the pool, pick float or double,
// drop the GIL.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "../kernels.h"
#include "../runtime/dispatch.h"

namespace mt {

namespace py = pybind11;
using Array = py::array;
using Shape = std::vector<py::ssize_t>;

// An uninitialised C-contiguous array in the pool's memory, which the array's base gives back.
Array empty(const py::dtype& dtype, const Shape& shape);
template <class T>
Array empty(const Shape& shape) {
  return empty(py::dtype::of<T>(), shape);
}

// The same for a dtype of `item` bytes and sizes that lie anywhere.
Array empty(PyObject* dtype, size_t item, int ndim, const py::ssize_t* shape);

// x itself if it is C-contiguous and aligned, else a copy that is, in the pool's memory.
Array contiguous(const Array& x);

// Whether x is contiguous memory that can be written.
inline bool fillable(const Array& x) { return (x.flags() & Array::c_style) && x.writeable(); }

// A C-contiguous copy in the pool's memory.
Array copied(const Array& x);

Shape shape_of(const Array& x);
std::string describe(const Shape& shape);  // "(3, 4)"

[[noreturn]] void fail(const std::string& message);  // ShapeError
[[noreturn]] void fail_dtype(const std::string& message);
[[noreturn]] void fail_index(const std::string& message);

// A function that Python calls without pybind11's dispatch, which costs as much as a small kernel:
// `call(arguments, their number)` returns a new reference.
using Call = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);
void def_fast(py::module_& m, const char* name, const char* signature, Call call);
PyObject* raise_pending();  // from a catch (...): sets Python's error, returns null

// def_fast of a call of `arguments` and `given`, whose exceptions become Python's.
#define MT_CALLED(name, signature, call)                                              \
  def_fast(m, name, name signature,                                                   \
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* { \
             try {                                                                    \
               return call;                                                           \
             } catch (...) {                                                          \
               return raise_pending();                                                \
             }                                                                        \
           })

void translate_errors();  // a kernel that finds no scratch memory: OutOfMemoryError

// Raises unless x is an array of outer * n * inner elements.
void check_middle(const char* op, const Array& x, int64_t outer, int64_t n, int64_t inner);

// Whether all of an int64 index lies in least .. n - 1.
bool lies_within(const Array& index, int64_t least, int64_t n);

// The index as a contiguous int64 array whose entries all lie in 0 .. n - 1: -1 is n - 1, and so
// on. Where `of` says what the index is of ("a table of 3 rows"), none may be negative.
Array checked_index(const char* name, const Array& index, int64_t n, const std::string& of = "");

// x[mask]; None where the two differ in shape, lie apart, or x's numbers are not 4 or 8 bytes.
py::object mask_take(const Array& x, const Array& mask);

// The axis of `ndim` that Python gave as an int; -1 if it is none.
inline py::ssize_t axis_of(PyObject* dim, py::ssize_t ndim) {
  const py::ssize_t d = PyLong_Check(dim) ? PyLong_AsSsize_t(dim) : ndim;
  if (d == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    return -1;
  }
  return d < -ndim || d >= ndim ? -1 : d < 0 ? d + ndim : d;
}

inline void require(bool holds, const char* message) {
  if (!holds) fail(message);
}

// What a parameter of a function behind `typed` takes: whether Python gave it, and its value.
template <class T>
struct Argument;
template <>
struct Argument<Array> {
  static bool fits(PyObject* x) { return py::isinstance<Array>(x); }
  static Array get(PyObject* x) { return py::reinterpret_borrow<Array>(x); }
};
template <>
struct Argument<std::optional<Array>> {
  static bool fits(PyObject* x) { return x == Py_None || py::isinstance<Array>(x); }
  static std::optional<Array> get(PyObject* x) {
    if (x == Py_None) return std::nullopt;
    return py::reinterpret_borrow<Array>(x);
  }
};
template <>
struct Argument<py::dtype> {
  static bool fits(PyObject* x) { return py::isinstance<py::dtype>(x); }
  static py::dtype get(PyObject* x) { return py::reinterpret_borrow<py::dtype>(x); }
};
template <>
struct Argument<int64_t> {
  static bool fits(PyObject* x) { return PyLong_Check(x); }
  static int64_t get(PyObject* x) {
    const int64_t value = PyLong_AsLongLong(x);
    if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
    return value;
  }
};
template <>
struct Argument<bool> {
  static bool fits(PyObject* x) { return PyBool_Check(x); }
  static bool get(PyObject* x) { return x == Py_True; }
};
template <>
struct Argument<double> {
  static bool fits(PyObject* x) { return PyFloat_Check(x) || PyLong_Check(x); }
  static double get(PyObject* x) {
    const double value = PyFloat_AsDouble(x);
    if (value == -1 && PyErr_Occurred()) throw py::error_already_set();
    return value;
  }
};
template <>
struct Argument<py::tuple> {
  static bool fits(PyObject* x) { return PyTuple_Check(x); }
  static py::tuple get(PyObject* x) { return py::reinterpret_borrow<py::tuple>(x); }
};
template <>
struct Argument<std::string> {
  static bool fits(PyObject* x) { return PyUnicode_Check(x); }
  static std::string get(PyObject* x) { return py::reinterpret_borrow<py::str>(x); }
};

template <class R, class... A, size_t... i>
PyObject* call_typed(R (*f)(A...), PyObject* const* arguments, Py_ssize_t given,
                     std::index_sequence<i...>) {
  if (given != sizeof...(A) || !(Argument<std::decay_t<A>>::fits(arguments[i]) && ...))
    Py_RETURN_NONE;
  return py::object(f(Argument<std::decay_t<A>>::get(arguments[i])...)).release().ptr();
}
template <class R, class... A>
PyObject* call_typed(R (*f)(A...), PyObject* const* arguments, Py_ssize_t given) {
  return call_typed(f, arguments, given, std::index_sequence_for<A...>());
}

// For def_fast: calls f with what Python gave; None where that are not its parameters.
template <auto f>
PyObject* typed(PyObject*, PyObject* const* arguments, Py_ssize_t given) {
  try {
    return call_typed(f, arguments, given);
  } catch (...) {
    return raise_pending();
  }
}

template <class T>
T* data(Array& x) {
  return static_cast<T*>(x.mutable_data());
}
template <class T>
const T* data(const Array& x) {
  return static_cast<const T*>(x.data());
}

// The one dtype object that arrays of T in the machine's byte order have.
template <class T>
PyObject* descriptor() {
  static PyObject* const d = py::dtype::of<T>().release().ptr();
  return d;
}

// What the elements of a dtype are; kElements if the kernels do not cast them.
Element element_of(const py::dtype& dtype);

// What an error of this kind counts: squared, absolute, or Huber's with its delta.
Measure measure(PyObject* kind, PyObject* delta);

template <class T>
Array empty(int ndim, const py::ssize_t* shape) {
  return empty(descriptor<T>(), sizeof(T), ndim, shape);
}

template <class T>
bool is(const Array& x) {
  return py::detail::array_proxy(x.ptr())->descr == descriptor<T>() ||
         py::isinstance<py::array_t<T>>(x);
}

inline bool is_floating(const Array& x) { return is<float>(x) || is<double>(x); }

// f(float{}) or f(double{}) by x's dtype. All of `others` that are given must have the same.
template <class F, class... Others>
auto by_dtype(const char* op, F&& f, const Array& x, const Others&... others) {
  if (is<float>(x)) {
    if (!(is<float>(others) && ...)) fail_dtype(std::string(op) + ": the arrays' dtypes differ");
    return f(float{});
  }
  if (!is<double>(x)) fail_dtype(std::string(op) + ": the kernels take float32 and float64");
  if (!(is<double>(others) && ...)) fail_dtype(std::string(op) + ": the arrays' dtypes differ");
  return f(double{});
}

// Runs a kernel without the GIL.
template <class F>
void without_gil(F&& f) {
  py::gil_scoped_release release;
  f();
}

// The same where the kernel works on `count` elements: dropping the GIL costs as much as a few
// thousand.
constexpr int64_t kWithGil = 4096;
template <class F>
void without_gil(int64_t count, F&& f) {
  if (count < kWithGil)
    f();
  else
    without_gil(f);
}

void pool_numpy_memory();
void bind_bfloat16(py::module_& m);

void bind_runtime(py::module_& m);
void bind_elementwise(py::module_& m);
void bind_loops(py::module_& m);
void bind_reduce(py::module_& m);
void bind_embedding(py::module_& m);
void bind_scatter(py::module_& m);
void bind_masks(py::module_& m);
void bind_optim(py::module_& m);
void bind_create(py::module_& m);
void bind_random(py::module_& m);
void bind_matmul(py::module_& m);
void bind_conv(py::module_& m);
void bind_softmax(py::module_& m);
void bind_loss(py::module_& m);
void bind_norm(py::module_& m);
void bind_pad(py::module_& m);
void bind_pool(py::module_& m);
void bind_resample(py::module_& m);
void bind_rnn(py::module_& m);
void bind_attention(py::module_& m);
void bind_recurrent(py::module_& m);

}  // namespace mt
