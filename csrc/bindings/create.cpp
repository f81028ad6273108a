// Arrays out of nothing: of one value, and of numbers at equal distances.
#include <algorithm>
#include <cmath>
#include <type_traits>

#include "../kernels/place.h"
#include "common.h"

namespace mt {
namespace {

constexpr int64_t kFew = 1 << 16;   // bytes that one thread writes in no time
constexpr int64_t kMany = 1 << 30;  // elements; of more the public functions know the errors

// The sizes in a tuple of ints, or of one sequence of ints; -1 where they are none, or too many.
int sizes_of(PyObject* given, py::ssize_t* shape) {
  if (PyTuple_GET_SIZE(given) == 1) {
    PyObject* const only = PyTuple_GET_ITEM(given, 0);
    if (PyTuple_Check(only) || PyList_Check(only)) given = only;
  }
  const Py_ssize_t ndim = PySequence_Fast_GET_SIZE(given);
  if (ndim > kMaxDims) return -1;
  for (Py_ssize_t d = 0; d < ndim; ++d) {
    PyObject* const size = PySequence_Fast_GET_ITEM(given, d);
    if (!PyLong_CheckExact(size)) return -1;
    shape[d] = PyLong_AsSsize_t(size);
    if (shape[d] < 0) {
      PyErr_Clear();
      return -1;
    }
  }
  return static_cast<int>(ndim);
}

// Whether a Python number is one of T, and which.
template <class T>
bool fits(PyObject* value, T& number) {
  if constexpr (std::is_floating_point_v<T>) {
    const double x = PyFloat_AsDouble(value);
    if (x == -1 && PyErr_Occurred()) return PyErr_Clear(), false;
    number = static_cast<T>(x);
    return std::isfinite(number) || !std::isfinite(x);
  } else {
    if (!PyLong_Check(value)) return false;
    const long long x = PyLong_AsLongLong(value);
    if (x == -1 && PyErr_Occurred()) return PyErr_Clear(), false;
    number = static_cast<T>(x);
    return number == x;
  }
}

// f(T{}) by the dtype, one of the usual; else None.
template <class F>
PyObject* by_usual(PyObject* dtype, const F& f) {
  if (dtype == descriptor<float>()) return f(float{});
  if (dtype == descriptor<double>()) return f(double{});
  if (dtype == descriptor<int64_t>()) return f(int64_t{});
  if (dtype == descriptor<int32_t>()) return f(int32_t{});
  if (dtype == descriptor<bool>()) return f(bool{});
  Py_RETURN_NONE;
}

inline bool is_number(PyObject* value) { return PyFloat_CheckExact(value) || PyLong_Check(value); }

// Writes one value, to many elements of 4 or 8 bytes by several threads.
template <class T>
void fill(T* to, int64_t count, T number) {
  using Word = std::conditional_t<sizeof(T) == 8, double, float>;
  if (sizeof(T) < 4 || count <= kFew / int64_t(sizeof(T))) {
    std::fill_n(to, count, number);
    return;
  }
  Walk walk{};
  walk.ndim = 1;
  walk.count = walk.size[0] = count;
  walk.stride[0][0] = 1;
  without_gil([&] {
    active<Word>().copy(reinterpret_cast<Word*>(to), reinterpret_cast<const Word*>(&number), walk);
  });
}

// An array of one value, or a small one of whatever the memory held (None), with these sizes or
// with those of a contiguous array, whose dtype it has for None. None where something is out of the
// ordinary, and for many zeros, which the system may have.
PyObject* filled(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 3) Py_RETURN_NONE;
  PyObject *const like = arguments[0], *const value = arguments[1], *dtype = arguments[2];
  const bool empty_one = value == Py_None;
  if (!empty_one && !is_number(value)) Py_RETURN_NONE;
  py::ssize_t sizes[kMaxDims];
  const py::ssize_t* shape = sizes;
  int ndim = -1;
  if (PyTuple_Check(like)) {
    ndim = sizes_of(like, sizes);
  } else if (py::isinstance<Array>(like)) {
    const auto* x = py::detail::array_proxy(like);
    if (!(x->flags & Array::c_style)) Py_RETURN_NONE;
    ndim = x->nd;
    shape = x->dimensions;
    if (dtype == Py_None) dtype = x->descr;
  }
  if (ndim < 0) Py_RETURN_NONE;
  int64_t count = 1;
  for (int d = 0; d < ndim; ++d)
    if (__builtin_mul_overflow(count, shape[d], &count)) Py_RETURN_NONE;
  return by_usual(dtype, [&](auto t) -> PyObject* {
    using T = decltype(t);
    T number{};
    if (count > kMany || (!empty_one && !fits(value, number))) Py_RETURN_NONE;
    const bool few = count <= kFew / int64_t(sizeof(T));
    if (!few && (empty_one || number == T{} || sizeof(T) < 4)) Py_RETURN_NONE;
    Array out = empty<T>(ndim, shape);
    if (!empty_one) fill(data<T>(out), count, number);
    return out.release().ptr();
  });
}

// Writes one value all over an array, and returns that; None where something is out of the
// ordinary.
PyObject* refilled(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 2 || !py::isinstance<Array>(arguments[0]) || !is_number(arguments[1]))
    Py_RETURN_NONE;
  auto out = py::reinterpret_borrow<Array>(arguments[0]);
  if (!fillable(out)) Py_RETURN_NONE;
  return by_usual(py::detail::array_proxy(out.ptr())->descr, [&](auto t) -> PyObject* {
    using T = decltype(t);
    T number{};
    if (!fits(arguments[1], number)) Py_RETURN_NONE;
    fill(data<T>(out), out.size(), number);
    return out.release().ptr();
  });
}

// y_i = first + i by in double; PyTorch's digits in float32: up to the last whole 16, eights go on
// from a first element that is rounded.
py::object progression(double first, double by, int64_t count, const py::dtype& dtype) {
  const auto of = [&](auto t) -> py::object {
    using T = decltype(t);
    Array y = empty<T>(Shape{count});
    T* to = data<T>(y);
    const int64_t eights = std::is_same_v<T, float> ? count / 16 * 16 : 0;
    const auto at = [=](int64_t i) { return first + by * static_cast<double>(i); };
    without_gil(count, [&] {
      for_ranges(count, even_grain(count), [&](int64_t begin, int64_t end) {
        int64_t i = begin;  // a multiple of 64
        for (; i < std::min(end, eights); i += 8) {
          const auto start = static_cast<double>(static_cast<T>(at(i)));
          to[i] = static_cast<T>(at(i));
          for (int k = 1; k < 8; ++k) to[i + k] = static_cast<T>(start + by * k);
        }
        for (; i < end; ++i) to[i] = static_cast<T>(at(i));
      });
    });
    return y;
  };
  if (dtype.ptr() == descriptor<float>()) return of(float{});
  if (dtype.ptr() == descriptor<double>()) return of(double{});
  if (dtype.ptr() == descriptor<int64_t>()) return of(int64_t{});
  return py::none();
}

// `count` numbers, at least two, from both ends to the middle, each rounded once.
template <class T, class Wide>
Array even(T low, T high, int64_t count) {
  Array y = empty<T>(Shape{count});
  T* to = data<T>(y);
  const Wide step = (high - low) / static_cast<T>(count - 1);
  without_gil(count, [&] {
    for_ranges(count, even_grain(count), [&](int64_t begin, int64_t end) {
      const int64_t middle = std::clamp(count / 2, begin, end);
      for (int64_t i = begin; i < middle; ++i)
        to[i] = static_cast<T>(static_cast<Wide>(low) + step * static_cast<Wide>(i));
      for (int64_t i = middle; i < end; ++i)
        to[i] = static_cast<T>(high - step * static_cast<Wide>(count - 1 - i));
    });
  });
  return y;
}
py::object evenly(double low, double high, int64_t count, const py::dtype& dtype) {
  if (count < 2) return py::none();
  if (dtype.ptr() == descriptor<float>()) return even<float, double>(low, high, count);
  if (dtype.ptr() == descriptor<double>()) return even<double, long double>(low, high, count);
  return py::none();
}

}  // namespace

void bind_create(py::module_& m) {
  MT_CALLED(
      "filled",
      "(like: object, value: float | None, dtype: numpy.dtype | None) -> numpy.ndarray | None",
      filled(arguments, given));
  MT_CALLED("refilled", "(array: object, value: float) -> numpy.ndarray | None",
            refilled(arguments, given));
  def_fast(m, "progression",
           "progression(first: float, by: float, count: int, dtype: numpy.dtype) -> numpy.ndarray",
           typed<progression>);
  def_fast(m, "evenly",
           "evenly(low: float, high: float, count: int, dtype: numpy.dtype) -> numpy.ndarray",
           typed<evenly>);
}

}  // namespace mt
