// Reductions over any axes: each run of neighbouring axes in turn, seen as the middle axis of
// (outer, n, inner). Scans and variances along one such axis.
#include <algorithm>
#include <cstring>
#include <functional>

#include "loops.h"

namespace mt {
namespace {

// What Python gave a reduction: an array, a tuple of axes and whether they are kept with size 1.
struct Reduced {
  bool axis[kMaxDims] = {};  // whether it goes
  int ndim = 0;
  bool keepdim = false, any = false;
  int64_t count = 1;  // how many elements become one

  Reduced(const char* name, const Array& x, PyObject* axes, bool keep)
      : ndim(static_cast<int>(x.ndim())), keepdim(keep) {
    if (!PyTuple_Check(axes)) throw py::type_error(std::string(name) + ": axes must be a tuple");
    for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(axes); ++i) {
      const Py_ssize_t d = PyNumber_AsSsize_t(PyTuple_GET_ITEM(axes, i), PyExc_IndexError);
      if (d == -1 && PyErr_Occurred()) throw py::error_already_set();
      if (d < 0 || d >= ndim)
        fail_index(std::string(name) + ": axis " + std::to_string(d) + " is out of range");
      if (!axis[d]) count *= x.shape(d);
      axis[d] = any = true;
    }
  }
};

void need_elements(const char* name, const Array& x, const Reduced& reduced) {
  for (int d = 0; d < reduced.ndim; ++d)
    if (reduced.axis[d] && x.shape(d) == 0)
      fail_index(std::string(name) + ": axis " + std::to_string(d) + " of " +
                 describe(shape_of(x)) + " is empty");
}

// What reduces x (outer, n, inner) over n to y, whose elements have this dtype and so many bytes.
// `first` if x is the whole array, and not what a first call has left of it.
struct Middle {
  PyObject* dtype;
  size_t item;
  std::function<void(void* y, const void* x, int64_t outer, int64_t n, int64_t inner, bool first)>
      run;
};

// The axes reduced, the last run of neighbours first. x is contiguous.
Array reduce_runs(const Middle& middle, const Array& x, const Reduced& reduced) {
  const int ndim = reduced.ndim;
  py::ssize_t shape[kMaxDims], rest[kMaxDims];  // of the result; of what is left to reduce
  int kept = 0;
  for (int d = 0; d < ndim; ++d) {
    rest[d] = x.shape(d);
    if (!reduced.axis[d])
      shape[kept++] = rest[d];
    else if (reduced.keepdim)
      shape[kept++] = 1;
  }
  Array y = x;
  int64_t inner = 1;
  bool done = false;
  for (int d = ndim - 1; d >= 0; --d) {
    if (!reduced.axis[d]) {
      inner *= rest[d];
      continue;
    }
    int64_t n = rest[d], outer = 1;
    rest[d] = 1;
    for (; d > 0 && reduced.axis[d - 1]; rest[--d] = 1) n *= rest[d - 1];
    bool last = true;
    for (int e = 0; e < d; ++e) {
      outer *= rest[e];
      last = last && !reduced.axis[e];
    }
    const Array from = y;
    y = last ? empty(middle.dtype, middle.item, kept, shape)
             : empty(middle.dtype, middle.item, ndim, rest);
    void* const to = y.mutable_data();
    const void* const at = from.data();
    without_gil(outer * n * inner, [&] { middle.run(to, at, outer, n, inner, !done); });
    done = true;
  }
  if (done) return y;
  const Array from = y;  // nothing to reduce: a copy
  y = empty(middle.dtype, middle.item, kept, shape);
  std::memcpy(y.mutable_data(), from.data(), y.nbytes());
  return y;
}

// Whether x is a permuted view of memory without gaps; `order` is then its axes as they lie there.
bool lies_permuted(const Array& x, int* order) {
  const int ndim = static_cast<int>(x.ndim());
  for (int d = 0; d < ndim; ++d) {
    int place = d;
    for (; place > 0 && x.strides(order[place - 1]) < x.strides(d); --place)
      order[place] = order[place - 1];
    order[place] = d;
  }
  py::ssize_t step = x.itemsize();
  for (int k = ndim - 1; k >= 0; --k) {
    if (x.strides(order[k]) != step) return false;
    step *= x.shape(order[k]);
  }
  return true;
}

// The same for any x: a permuted one of some size is reduced as it lies.
Array reduce(const Middle& middle, const Array& x, const Reduced& reduced) {
  int order[kMaxDims];
  if (x.size() < kWithGil || (x.flags() & Array::c_style) || !lies_permuted(x, order))
    return reduce_runs(middle, contiguous(x), reduced);
  py::tuple lying(reduced.ndim), back(reduced.ndim);
  Reduced turned = reduced;
  turned.keepdim = true;
  for (int d = 0; d < reduced.ndim; ++d) {
    lying[d] = order[d];
    back[order[d]] = d;
    turned.axis[d] = reduced.axis[order[d]];
  }
  Shape kept;
  for (int d = 0; d < reduced.ndim; ++d)
    if (!reduced.axis[d] || reduced.keepdim) kept.push_back(reduced.axis[d] ? 1 : x.shape(d));
  const Array y = reduce_runs(middle, x.attr("transpose")(lying), turned);
  return contiguous(y.attr("transpose")(back)).reshape(kept);
}

// By a kernel of the table, what is left after a first call by the other.
template <class T>
using Kernel = void (*)(T*, const T*, int64_t, int64_t, int64_t);
template <class T>
Array reduce(Kernel<T> kernel, Kernel<T> other, const Array& x, const Reduced& reduced) {
  const auto run = [=](void* y, const void* x, int64_t outer, int64_t n, int64_t inner,
                       bool first) {
    (first ? kernel : other)(static_cast<T*>(y), static_cast<const T*>(x), outer, n, inner);
  };
  return reduce({descriptor<T>(), sizeof(T), run}, x, reduced);
}

// Bools and integers: sums, in int64, and extremes; None for other dtypes, and for sums of nothing.
PyObject* reduce_integers(Join how, const Array& x, const Reduced& reduced) {
  const Element type = element_of(x.dtype());
  if (type > kInt64 || (how == kSum && !reduced.any)) Py_RETURN_NONE;
  const auto run = [how, type](void* y, const void* x, int64_t outer, int64_t n, int64_t inner,
                               bool first) {
    const Element of = how == kSum && !first ? kInt64 : type;
    active<float>().reduce_integers(y, x, of, how, outer, n, inner);
  };
  const bool sums = how == kSum;
  PyObject* const dtype = sums ? descriptor<int64_t>() : x.dtype().ptr();
  const size_t item = sums ? sizeof(int64_t) : static_cast<size_t>(x.itemsize());
  return reduce({dtype, item, run}, x, reduced).release().ptr();
}

// x as (outer, n, inner), n along the axes `first` to `last`, and the shape of what is reduced to
// `k` elements along them, or is without them (-1).
struct Lines {
  int64_t outer = 1, n = 1, inner = 1;
  Shape shape;
  Lines(const Array& x, py::ssize_t first, py::ssize_t last, py::ssize_t k) {
    for (py::ssize_t d = 0; d < x.ndim(); ++d) {
      const bool along = d >= first && d <= last;
      (along ? n : d < first ? outer : inner) *= x.shape(d);
      if (!along || k >= 0) shape.push_back(along ? k : x.shape(d));
    }
  }
};

// What Python gave as an array of floats; null if it is none.
bool floats(PyObject* x) {
  if (!py::isinstance<Array>(x)) return false;
  const PyObject* d = py::detail::array_proxy(x)->descr;
  return d == descriptor<float>() || d == descriptor<double>();
}

// sum_i (x_i - m)^2 / max(n - correction, 0) over neighbouring axes; None for others.
PyObject* var(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 4 || !floats(arguments[0])) Py_RETURN_NONE;
  const auto x = py::reinterpret_borrow<Array>(arguments[0]);
  const bool keepdim = PyObject_IsTrue(arguments[2]) == 1;
  const double correction = PyFloat_AsDouble(arguments[3]);
  if (PyErr_Occurred()) throw py::error_already_set();
  const Reduced reduced("var", x, arguments[1], keepdim);
  int first = 0, last = reduced.ndim - 1;
  while (first < reduced.ndim && !reduced.axis[first]) ++first;
  while (last >= 0 && !reduced.axis[last]) --last;
  if (!reduced.any) Py_RETURN_NONE;
  for (int d = first; d <= last; ++d)
    if (!reduced.axis[d]) Py_RETURN_NONE;
  Lines lines(x, first, last, keepdim ? 1 : -1);
  const double freedom = std::max(static_cast<double>(lines.n) - correction, 0.0);
  const auto typed = [&](auto t) {
    using T = decltype(t);
    const Array in = contiguous(x);
    Array y = empty<T>(lines.shape);
    T* to = data<T>(y);
    const T* px = data<T>(in);
    without_gil(x.size(),
                [&] { active<T>().var(to, px, lines.outer, lines.n, lines.inner, T(freedom)); });
    return y;
  };
  return by_dtype("var", typed, x).release().ptr();
}

// The sums of x y along the last axis, which is kept with size 1; None for other dtypes.
PyObject* row_dots(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 2 || !floats(arguments[0]) || !floats(arguments[1])) Py_RETURN_NONE;
  const auto x = py::reinterpret_borrow<Array>(arguments[0]);
  const auto y = py::reinterpret_borrow<Array>(arguments[1]);
  if (x.ndim() == 0 || shape_of(x) != shape_of(y))
    fail("row_dots: x " + describe(shape_of(x)) + " and y " + describe(shape_of(y)) +
         " differ in shape, or have no axis");
  const Lines lines(x, x.ndim() - 1, x.ndim() - 1, 1);
  const auto typed = [&](auto t) {
    using T = decltype(t);
    const Array a = contiguous(x), b = contiguous(y);
    Array sums = empty<T>(lines.shape);
    T* to = data<T>(sums);
    const T *pa = data<T>(a), *pb = data<T>(b);
    without_gil(x.size(), [&] { active<T>().row_dots(to, pa, pb, lines.outer, lines.n); });
    return sums;
  };
  return by_dtype("row_dots", typed, x, y).release().ptr();
}

// What each element along an axis makes with those before it, or after it; None for other dtypes.
PyObject* scan(Join how, PyObject* const* arguments, Py_ssize_t given) {
  if (given < 2 || !floats(arguments[0])) Py_RETURN_NONE;
  const auto x = py::reinterpret_borrow<Array>(arguments[0]);
  const py::ssize_t dim = axis_of(arguments[1], x.ndim());
  if (dim < 0) Py_RETURN_NONE;
  const bool reverse = how == kSum && given > 2 && arguments[2] == Py_True;
  const Lines lines(x, dim, dim, -1);
  const auto typed = [&](auto t) {
    using T = decltype(t);
    const Array in = contiguous(x);
    Array y = empty<T>(static_cast<int>(x.ndim()), x.shape());
    T* to = data<T>(y);
    const T* px = data<T>(in);
    without_gil(x.size(),
                [&] { active<T>().scan(to, px, lines.outer, lines.n, lines.inner, how, reverse); });
    return y;
  };
  return by_dtype("scan", typed, x).release().ptr();
}

// The largest or the `least` along an axis, or of all (dim None), with the first place that has it,
// or that place alone; None where an axis is empty.
PyObject* extreme(bool least, bool values, PyObject* const* arguments, Py_ssize_t given) {
  if (given != 3 || !floats(arguments[0])) Py_RETURN_NONE;
  const auto x = py::reinterpret_borrow<Array>(arguments[0]);
  const bool all = arguments[1] == Py_None;
  const py::ssize_t dim = all ? 0 : axis_of(arguments[1], x.ndim());
  const py::ssize_t last = all ? x.ndim() - 1 : dim;
  Lines lines(x, dim, last, PyObject_IsTrue(arguments[2]) == 1 ? 1 : -1);
  if (dim < 0 || lines.n == 0) Py_RETURN_NONE;
  const auto typed = [&](auto t) -> py::object {
    using T = decltype(t);
    const Array in = contiguous(x);
    Array y = empty<T>(lines.shape), index = empty<int64_t>(lines.shape);
    T* to = data<T>(y);
    int64_t* at = data<int64_t>(index);
    const T* px = data<T>(in);
    if (y.size() > 0)
      without_gil(x.size(), [&] {
        active<T>().extreme(to, at, px, lines.outer, lines.n, lines.inner, least);
      });
    if (!values) return index;
    return py::make_tuple(y, index);
  };
  return by_dtype("extreme", typed, x).release().ptr();
}

// The places (*before dim, k or 1, *after) of the first k in order; of the first that equals number
// k; of the median. None where the kernel does not do that.
PyObject* order(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 5 || !floats(arguments[0])) Py_RETURN_NONE;
  const auto x = py::reinterpret_borrow<Array>(arguments[0]);
  const py::ssize_t dim = axis_of(arguments[1], x.ndim());
  const int64_t k = PyLong_AsLongLong(arguments[2]);
  const auto wanted = static_cast<Wanted>(PyLong_AsLong(arguments[3]));
  const bool largest = PyObject_IsTrue(arguments[4]) == 1;
  if (PyErr_Occurred()) throw py::error_already_set();
  const Lines lines(x, dim, dim, wanted == kTop ? k : 1);
  if (dim < 0 || k < 0 || k > lines.n || lines.n == 0) Py_RETURN_NONE;
  if (lines.n > kMostOrdered && (wanted != kTop || k > kMostTop)) Py_RETURN_NONE;
  const auto typed = [&](auto t) {
    using T = decltype(t);
    const Array in = contiguous(x);
    Array index = empty<int64_t>(lines.shape);
    int64_t* to = data<int64_t>(index);
    const T* px = data<T>(in);
    without_gil(x.size(), [&] {
      active<T>().order(to, px, lines.outer, lines.n, lines.inner, k, wanted, largest);
    });
    return index;
  };
  return by_dtype("order", typed, x).release().ptr();
}

// The function that Python calls for a reduction: f(float{} or double{}, x, reduced); of integers,
// if there is a way to join them, so; None for another dtype.
template <class F>
PyObject* reduction(const char* name, F&& f, PyObject* const* arguments, Py_ssize_t given,
                    std::optional<Join> integers) {
  try {
    if (given != 2 && given != 3)
      throw py::type_error(std::string(name) + ": takes an array, axes and keepdim");
    if (!py::isinstance<Array>(arguments[0])) Py_RETURN_NONE;
    const auto x = py::reinterpret_borrow<Array>(arguments[0]);
    const bool keepdim = given == 3 && PyObject_IsTrue(arguments[2]) == 1;
    const Reduced reduced(name, x, arguments[1], keepdim);
    if (integers && *integers != kSum) need_elements(name, x, reduced);
    if (is<float>(x)) return f(float{}, x, reduced).release().ptr();
    if (is<double>(x)) return f(double{}, x, reduced).release().ptr();
    if (integers) return reduce_integers(*integers, x, reduced);
    Py_RETURN_NONE;
  } catch (...) {
    return raise_pending();
  }
}

#define MT_REDUCTION_OF(integers, name, body)                                                   \
  def_fast(m, #name,                                                                            \
           #name                                                                                \
           "(x: numpy.ndarray, axes: tuple[int, ...], keepdim: bool = False) -> numpy.ndarray", \
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) {                        \
             const auto f = [](auto t, const Array& x, const Reduced& reduced) {                \
               using T = decltype(t);                                                           \
               body                                                                             \
             };                                                                                 \
             return reduction(#name, f, arguments, given, integers);                            \
           })
#define MT_REDUCTION(name, body) MT_REDUCTION_OF(std::nullopt, name, body)

}  // namespace

void bind_reduce(py::module_& m) {
  MT_REDUCTION_OF(kSum, sum, { return reduce<T>(active<T>().sum, active<T>().sum, x, reduced); });
  MT_REDUCTION(mean, {
    Array y = reduce<T>(active<T>().sum, active<T>().sum, x, reduced);
    const T count = static_cast<T>(reduced.count);
    T* to = data<T>(y);
    Walk walk;
    walk.ndim = 1;
    walk.count = walk.size[0] = y.size();
    walk.stride[0][0] = walk.stride[1][0] = 1;
    walk.stride[2][0] = 0;
    without_gil(y.size(), [&] { active<T>().div(to, to, &count, walk); });
    return y;
  });
  // Of several runs of axes the squares are those of the first: the rest are sums.
  MT_REDUCTION(sum_squares, {
    Array y = reduce<T>(active<T>().sum_squares, active<T>().sum, x, reduced);
    if (!reduced.any) {  // nothing to reduce
      T* to = data<T>(y);
      for (py::ssize_t i = 0; i < y.size(); ++i) to[i] *= to[i];
    }
    return y;
  });
  MT_REDUCTION(prod, { return reduce<T>(active<T>().prod, active<T>().prod, x, reduced); });
  MT_REDUCTION(logsumexp,
               { return reduce<T>(active<T>().logsumexp, active<T>().logsumexp, x, reduced); });
  MT_REDUCTION_OF(kLargest, amax,
                  { return reduce<T>(active<T>().amax, active<T>().amax, x, reduced); });
  MT_REDUCTION_OF(kLeast, amin,
                  { return reduce<T>(active<T>().amin, active<T>().amin, x, reduced); });
  MT_CALLED("var",
            "(x: numpy.ndarray, axes: tuple[int, ...], keepdim: bool, correction: float) -> "
            "numpy.ndarray",
            var(arguments, given));
  MT_CALLED("row_dots", "(x: numpy.ndarray, y: numpy.ndarray) -> numpy.ndarray",
            row_dots(arguments, given));
  MT_CALLED("cumsum", "(x: numpy.ndarray, dim: int, reverse: bool) -> numpy.ndarray",
            scan(kSum, arguments, given));
  MT_CALLED("cumprod", "(x: numpy.ndarray, dim: int) -> numpy.ndarray",
            scan(kProduct, arguments, given));
  MT_CALLED("logcumsumexp", "(x: numpy.ndarray, dim: int) -> numpy.ndarray",
            scan(kLogSum, arguments, given));
  // -> (values, their first indices)
  MT_CALLED("max_along", "(x: numpy.ndarray, dim: int, keepdim: bool) -> tuple",
            extreme(false, true, arguments, given));
  MT_CALLED("min_along", "(x: numpy.ndarray, dim: int, keepdim: bool) -> tuple",
            extreme(true, true, arguments, given));
  MT_CALLED("argmax", "(x: numpy.ndarray, dim: int | None, keepdim: bool) -> numpy.ndarray",
            extreme(false, false, arguments, given));
  MT_CALLED("argmin", "(x: numpy.ndarray, dim: int | None, keepdim: bool) -> numpy.ndarray",
            extreme(true, false, arguments, given));
  MT_CALLED(
      "order",
      "(x: numpy.ndarray, dim: int, k: int, wanted: int, largest: bool) -> numpy.ndarray | None",
      order(arguments, given));
  m.def(
      "cum_extreme",
      [](const Array& x, int64_t outer, int64_t n, int64_t inner, bool least) {
        check_middle("cum_extreme", x, outer, n, inner);
        return by_dtype(
            "cum_extreme",
            [&](auto t) {
              using T = decltype(t);
              const Array in = contiguous(x);
              Array index = empty<int64_t>(shape_of(x));
              int64_t* to = data<int64_t>(index);
              const T* px = data<T>(in);
              without_gil([&] { active<T>().cum_extreme(to, px, outer, n, inner, least); });
              return index;
            },
            x);
      },
      py::arg("x"), py::arg("outer"), py::arg("n"), py::arg("inner"), py::arg("least"));
  m.def(
      "linear_scan",
      [](const Array& a, const Array& b, int64_t outer, int64_t n, int64_t inner, bool reverse) {
        check_middle("linear_scan", a, outer, n, inner);
        if (shape_of(a) != shape_of(b))
          fail("linear_scan: a " + describe(shape_of(a)) + " and b " + describe(shape_of(b)) +
               " differ in shape");
        return by_dtype(
            "linear_scan",
            [&](auto t) {
              using T = decltype(t);
              const Array slope = contiguous(a), more = contiguous(b);
              Array s = empty<T>(shape_of(a));
              T* to = data<T>(s);
              const T *pa = data<T>(slope), *pb = data<T>(more);
              without_gil([&] { active<T>().linear_scan(to, pa, pb, outer, n, inner, reverse); });
              return s;
            },
            a, b);
      },
      py::arg("a"), py::arg("b"), py::arg("outer"), py::arg("n"), py::arg("inner"),
      py::arg("reverse"));
  m.def(
      "first_equal",
      [](const Array& x, const Array& value, int64_t outer, int64_t n, int64_t inner) {
        check_middle("first_equal", x, outer, n, inner);
        check_middle("first_equal", value, outer, 1, inner);
        require(n > 0, "first_equal: the axis is empty");
        return by_dtype(
            "first_equal",
            [&](auto t) {
              using T = decltype(t);
              const Array in = contiguous(x), wanted = contiguous(value);
              Array index = empty<int64_t>(shape_of(value));
              if (index.size() == 0) return index;
              int64_t* to = data<int64_t>(index);
              const T *px = data<T>(in), *pv = data<T>(wanted);
              without_gil(x.size(), [&] { active<T>().first_equal(to, px, pv, outer, n, inner); });
              return index;
            },
            x, value);
      },
      py::arg("x"), py::arg("value"), py::arg("outer"), py::arg("n"), py::arg("inner"));
}

}  // namespace mt
