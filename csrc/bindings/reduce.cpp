// Reductions over any axes: each run of neighbouring axes in turn, seen as the middle axis of
// (outer, n, inner). Scans and variances along one such axis.
#include "common.h"

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

// A kernel of the table, which takes y, x, outer, n and inner.
template <class T>
using Kernel = void (*)(T*, const T*, int64_t, int64_t, int64_t);

// The axes reduced, the last run of neighbours first: by one kernel, what is then left by the
// other. x is contiguous.
template <class T>
Array reduce_runs(Kernel<T> kernel, Kernel<T> other, const Array& x, const Reduced& reduced) {
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
    y = last ? empty<T>(kept, shape) : empty<T>(ndim, rest);
    T* to = data<T>(y);
    const T* at = data<T>(from);
    without_gil(outer * n * inner, [&] { kernel(to, at, outer, n, inner); });
    kernel = other;
    done = true;
  }
  if (done) return y;
  const Array from = y;  // nothing to reduce: a copy
  y = empty<T>(kept, shape);
  std::memcpy(data<T>(y), data<T>(from), y.nbytes());
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
template <class T>
Array reduce(Kernel<T> kernel, Kernel<T> other, const Array& x, const Reduced& reduced) {
  int order[kMaxDims];
  if (x.size() < kWithGil || (x.flags() & Array::c_style) || !lies_permuted(x, order))
    return reduce_runs<T>(kernel, other, contiguous(x), reduced);
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
  const Array y = reduce_runs<T>(kernel, other, x.attr("transpose")(lying), turned);
  return contiguous(y.attr("transpose")(back)).reshape(kept);
}

// The sums of bools or of int64, in int64; None for other dtypes and where nothing is reduced.
PyObject* sum_integers(const Array& x, const Reduced& reduced) {
  if (!reduced.any || !(is<bool>(x) || is<int64_t>(x))) Py_RETURN_NONE;
  const Kernel<int64_t> whole = [](int64_t* y, const int64_t* from, auto... sizes) {
    active<float>().sum_integers(y, from, kInt64, sizes...);
  };
  const Kernel<int64_t> bytes = [](int64_t* y, const int64_t* from, auto... sizes) {
    active<float>().sum_integers(y, from, kByte, sizes...);
  };
  return reduce<int64_t>(is<bool>(x) ? bytes : whole, whole, x, reduced).release().ptr();
}

// The function that Python calls for a reduction: f(float{} or double{}, x, reduced), for a sum
// also that of `integers`, or None for another dtype.
template <bool integers = false, class F>
PyObject* reduction(const char* name, F&& f, PyObject* const* arguments, Py_ssize_t given) {
  try {
    if (given != 2 && given != 3)
      throw py::type_error(std::string(name) + ": takes an array, axes and keepdim");
    if (!py::isinstance<Array>(arguments[0])) Py_RETURN_NONE;
    const auto x = py::reinterpret_borrow<Array>(arguments[0]);
    const bool keepdim = given == 3 && PyObject_IsTrue(arguments[2]) == 1;
    const Reduced reduced(name, x, arguments[1], keepdim);
    if (is<float>(x)) return f(float{}, x, reduced).release().ptr();
    if (is<double>(x)) return f(double{}, x, reduced).release().ptr();
    if constexpr (integers) return sum_integers(x, reduced);
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
             return reduction<integers>(#name, f, arguments, given);                            \
           })
#define MT_REDUCTION(name, body) MT_REDUCTION_OF(false, name, body)

}  // namespace

void bind_reduce(py::module_& m) {
  MT_REDUCTION_OF(true, sum, { return reduce<T>(active<T>().sum, active<T>().sum, x, reduced); });
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
  MT_REDUCTION(amax, {
    need_elements("amax", x, reduced);
    return reduce<T>(active<T>().amax, active<T>().amax, x, reduced);
  });
  MT_REDUCTION(amin, {
    need_elements("amin", x, reduced);
    return reduce<T>(active<T>().amin, active<T>().amin, x, reduced);
  });
  m.def(
      "squared_error",
      [](const Array& x, const Array& y) {
        if (shape_of(x) != shape_of(y))
          fail("squared_error: x " + describe(shape_of(x)) + " and y " + describe(shape_of(y)) +
               " differ in shape");
        return by_dtype(
            "squared_error",
            [&](auto t) {
              using T = decltype(t);
              const Array a = contiguous(x), b = contiguous(y);
              Array loss = empty<T>(Shape{});
              T* to = data<T>(loss);
              const T *px = data<T>(a), *py_ = data<T>(b);
              const int64_t n = a.size();
              without_gil(a.size(), [&] { active<T>().squared_error(to, px, py_, n); });
              return loss;
            },
            x, y);
      },
      py::arg("x"), py::arg("y"));
  m.def(
      "var",
      [](const Array& x, int64_t outer, int64_t n, int64_t inner, double freedom) {
        check_middle("var", x, outer, n, inner);
        return by_dtype(
            "var",
            [&](auto t) {
              using T = decltype(t);
              const Array in = contiguous(x);
              Array y = empty<T>({outer, inner});
              T* to = data<T>(y);
              const T* px = data<T>(in);
              without_gil(x.size(), [&] { active<T>().var(to, px, outer, n, inner, T(freedom)); });
              return y;
            },
            x);
      },
      py::arg("x"), py::arg("outer"), py::arg("n"), py::arg("inner"), py::arg("freedom"));
  const auto scan = [&m](const char* name, Scan how) {
    m.def(
        name,
        [name, how](const Array& x, int64_t outer, int64_t n, int64_t inner, bool reverse) {
          check_middle(name, x, outer, n, inner);
          return by_dtype(
              name,
              [&](auto t) {
                using T = decltype(t);
                const Array in = contiguous(x);
                Array y = empty<T>(shape_of(x));
                T* to = data<T>(y);
                const T* px = data<T>(in);
                without_gil(x.size(),
                            [&] { active<T>().scan(to, px, outer, n, inner, how, reverse); });
                return y;
              },
              x);
        },
        py::arg("x"), py::arg("outer"), py::arg("n"), py::arg("inner"), py::arg("reverse"));
  };
  scan("cumsum", kAdded);
  scan("cumprod", kMultiplied);
  // -> (values, their first indices), (outer, inner)
  m.def(
      "extreme",
      [](const Array& x, int64_t outer, int64_t n, int64_t inner, bool least) {
        check_middle("extreme", x, outer, n, inner);
        require(n > 0, "extreme: the axis is empty");
        return by_dtype(
            "extreme",
            [&](auto t) {
              using T = decltype(t);
              const Array in = contiguous(x);
              Array y = empty<T>({outer, inner}), index = empty<int64_t>({outer, inner});
              T* to = data<T>(y);
              int64_t* at = data<int64_t>(index);
              const T* px = data<T>(in);
              if (y.size() > 0)
                without_gil(x.size(),
                            [&] { active<T>().extreme(to, at, px, outer, n, inner, least); });
              return py::make_tuple(y, index);
            },
            x);
      },
      py::arg("x"), py::arg("outer"), py::arg("n"), py::arg("inner"), py::arg("least"));
  // -> the places (*before dim, k or 1, *after) of the first k in order; of the first that equals
  // number k; of the median. None where the kernel does not do that.
  m.def(
      "order",
      [](const Array& x, int64_t outer, int64_t n, int64_t inner, int64_t k, int wanted_number,
         bool largest) -> py::object {
        const auto wanted = static_cast<Wanted>(wanted_number);
        check_middle("order", x, outer, n, inner);
        require(k >= 0 && k <= n, "order: k is out of range");
        if (!is<float>(x) && !is<double>(x)) return py::none();
        if (n > kMostOrdered && (wanted != kTop || k > kMostTop)) return py::none();
        return by_dtype(
            "order",
            [&](auto t) -> py::object {
              using T = decltype(t);
              const Array in = contiguous(x);
              Array index = empty<int64_t>({outer, wanted == kTop ? k : 1, inner});
              int64_t* to = data<int64_t>(index);
              const T* px = data<T>(in);
              without_gil(x.size(),
                          [&] { active<T>().order(to, px, outer, n, inner, k, wanted, largest); });
              return index;
            },
            x);
      },
      py::arg("x"), py::arg("outer"), py::arg("n"), py::arg("inner"), py::arg("k"),
      py::arg("wanted"), py::arg("largest"));
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
