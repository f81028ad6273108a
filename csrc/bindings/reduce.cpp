// Reductions over any axes: each run of neighbouring axes in turn, seen as the middle axis of
// (outer, n, inner). Scans and variances along one such axis.
#include "common.h"

namespace mt {
namespace {

// Marks the axes to reduce.
std::vector<bool> marked(const char* name, const py::tuple& axes, py::ssize_t ndim) {
  std::vector<bool> reduced(ndim, false);
  for (const auto& item : axes) {
    const auto d = item.cast<py::ssize_t>();
    if (d < 0 || d >= ndim)
      fail_index(std::string(name) + ": axis " + std::to_string(d) + " is out of range");
    reduced[d] = true;
  }
  return reduced;
}

// kernel(table, y, x, outer, n, inner) over the marked axes, the last run of them first.
template <class Kernel>
Array reduce(const char* name, const Kernel& kernel, const Array& x, const py::tuple& axes,
             bool keepdim) {
  const std::vector<bool> reduced = marked(name, axes, x.ndim());
  Shape shape, rest = shape_of(x);  // of the result; of what is left to reduce
  for (py::ssize_t d = 0; d < x.ndim(); ++d)
    if (!reduced[d])
      shape.push_back(rest[d]);
    else if (keepdim)
      shape.push_back(1);
  return by_dtype(
      name,
      [&](auto t) {
        using T = decltype(t);
        Array y = contiguous(x);
        int64_t inner = 1;
        bool done = false;
        for (py::ssize_t d = x.ndim() - 1; d >= 0; --d) {
          if (!reduced[d]) {
            inner *= rest[d];
            continue;
          }
          int64_t n = rest[d], outer = 1;
          rest[d] = 1;
          for (; d > 0 && reduced[d - 1]; rest[--d] = 1) n *= rest[d - 1];
          bool last = true;
          for (py::ssize_t e = 0; e < d; ++e) {
            outer *= rest[e];
            last = last && !reduced[e];
          }
          const Array from = y;
          y = empty<T>(last ? shape : rest);
          T* to = data<T>(y);
          const T* at = data<T>(from);
          without_gil([&] { kernel(active<T>(), to, at, outer, n, inner); });
          done = true;
        }
        if (done) return y;
        const Array from = y;  // nothing to reduce: a copy
        y = empty<T>(shape);
        std::memcpy(data<T>(y), data<T>(from), y.nbytes());
        return y;
      },
      x);
}

void need_sizes(const char* name, const Array& x, int64_t outer, int64_t n, int64_t inner) {
  if (outer < 0 || n < 0 || inner < 0 || outer * n * inner != x.size())
    fail(std::string(name) + ": outer, n and inner are not the sizes of " + describe(shape_of(x)));
}

void need_elements(const char* name, const Array& x, const py::tuple& axes) {
  for (const auto& item : axes) {
    const auto d = item.cast<py::ssize_t>();
    if (d >= 0 && d < x.ndim() && x.shape(d) == 0)
      fail_index(std::string(name) + ": axis " + std::to_string(d) + " of " +
                 describe(shape_of(x)) + " is empty");
  }
}

}  // namespace

void bind_reduce(py::module_& m) {
  m.def(
      "sum",
      [](const Array& x, const py::tuple& axes, bool keepdim) {
        return reduce("sum", [](auto& k, auto... a) { k.sum(a...); }, x, axes, keepdim);
      },
      py::arg("x"), py::arg("axes"), py::arg("keepdim") = false);
  m.def(
      "prod",
      [](const Array& x, const py::tuple& axes, bool keepdim) {
        return reduce("prod", [](auto& k, auto... a) { k.prod(a...); }, x, axes, keepdim);
      },
      py::arg("x"), py::arg("axes"), py::arg("keepdim") = false);
  m.def(
      "amax",
      [](const Array& x, const py::tuple& axes, bool keepdim) {
        need_elements("amax", x, axes);
        return reduce("amax", [](auto& k, auto... a) { k.amax(a...); }, x, axes, keepdim);
      },
      py::arg("x"), py::arg("axes"), py::arg("keepdim") = false);
  m.def(
      "amin",
      [](const Array& x, const py::tuple& axes, bool keepdim) {
        need_elements("amin", x, axes);
        return reduce("amin", [](auto& k, auto... a) { k.amin(a...); }, x, axes, keepdim);
      },
      py::arg("x"), py::arg("axes"), py::arg("keepdim") = false);
  m.def(
      "var",
      [](const Array& x, int64_t outer, int64_t n, int64_t inner, double freedom) {
        need_sizes("var", x, outer, n, inner);
        return by_dtype(
            "var",
            [&](auto t) {
              using T = decltype(t);
              const Array in = contiguous(x);
              Array y = empty<T>({outer, inner});
              T* to = data<T>(y);
              const T* px = data<T>(in);
              without_gil([&] { active<T>().var(to, px, outer, n, inner, T(freedom)); });
              return y;
            },
            x);
      },
      py::arg("x"), py::arg("outer"), py::arg("n"), py::arg("inner"), py::arg("freedom"));
  m.def(
      "cumsum",
      [](const Array& x, int64_t outer, int64_t n, int64_t inner, bool reverse) {
        need_sizes("cumsum", x, outer, n, inner);
        return by_dtype(
            "cumsum",
            [&](auto t) {
              using T = decltype(t);
              const Array in = contiguous(x);
              Array y = empty<T>(shape_of(x));
              T* to = data<T>(y);
              const T* px = data<T>(in);
              without_gil([&] { active<T>().cumsum(to, px, outer, n, inner, reverse); });
              return y;
            },
            x);
      },
      py::arg("x"), py::arg("outer"), py::arg("n"), py::arg("inner"), py::arg("reverse"));
  m.def(
      "linear_scan",
      [](const Array& a, const Array& b, int64_t outer, int64_t n, int64_t inner, bool reverse) {
        need_sizes("linear_scan", a, outer, n, inner);
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
              without_gil([&] { active<T>().first_equal(to, px, pv, outer, n, inner); });
              return index;
            },
            x, value);
      },
      py::arg("x"), py::arg("value"), py::arg("outer"), py::arg("n"), py::arg("inner"));
}

}  // namespace mt
