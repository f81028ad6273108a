// Softmax, its logarithm and their vjps: all along the middle axis of (outer, n, inner).
#include "common.h"

namespace mt {

namespace {
// y = kernel(x), x (outer, n, inner)
template <class Kernel>
Array along(const char* op, const Array& x, int64_t outer, int64_t n, int64_t inner,
            Kernel kernel) {
  check_middle(op, x, outer, n, inner);
  return by_dtype(
      op,
      [&](auto t) {
        using T = decltype(t);
        const Array from = contiguous(x);
        Array y = empty<T>(shape_of(x));
        if (y.size() == 0) return y;
        T* out = data<T>(y);
        const T* in = data<T>(from);
        without_gil([&] { kernel(active<T>(), out, in); });
        return y;
      },
      x);
}

// dx = kernel(g, y), all (outer, n, inner)
template <class Kernel>
Array pulled(const char* op, const Array& g, const Array& y, int64_t outer, int64_t n,
             int64_t inner, Kernel kernel) {
  check_middle(op, y, outer, n, inner);
  if (shape_of(g) != shape_of(y))
    fail(std::string(op) + ": g " + describe(shape_of(g)) + " and y " + describe(shape_of(y)) +
         " differ in shape");
  return by_dtype(
      op,
      [&](auto t) {
        using T = decltype(t);
        const Array from = contiguous(g), at = contiguous(y);
        Array dx = empty<T>(shape_of(y));
        if (dx.size() == 0) return dx;
        T* out = data<T>(dx);
        const T *pg = data<T>(from), *py_ = data<T>(at);
        without_gil([&] { kernel(active<T>(), out, pg, py_); });
        return dx;
      },
      g, y);
}
}  // namespace

void bind_softmax(py::module_& m) {
  m.def(
      "softmax",
      [](const Array& x, int64_t outer, int64_t n, int64_t inner) {
        return along("softmax", x, outer, n, inner,
                     [=](const auto& k, auto* y, auto* in) { k.softmax(y, in, outer, n, inner); });
      },
      py::arg("x"), py::arg("outer"), py::arg("n"), py::arg("inner"));
  m.def(
      "softmax_vjp",
      [](const Array& g, const Array& y, int64_t outer, int64_t n, int64_t inner) {
        return pulled("softmax_vjp", g, y, outer, n, inner,
                      [=](const auto& k, auto* dx, auto* pg, auto* py_) {
                        k.softmax_vjp(dx, pg, py_, outer, n, inner);
                      });
      },
      py::arg("g"), py::arg("y"), py::arg("outer"), py::arg("n"), py::arg("inner"));
  m.def(
      "log_softmax",
      [](const Array& x, int64_t outer, int64_t n, int64_t inner) {
        return along("log_softmax", x, outer, n, inner, [=](const auto& k, auto* y, auto* in) {
          k.log_softmax(y, in, outer, n, inner);
        });
      },
      py::arg("x"), py::arg("outer"), py::arg("n"), py::arg("inner"));
  m.def(
      "log_softmax_vjp",
      [](const Array& g, const Array& y, int64_t outer, int64_t n, int64_t inner) {
        return pulled("log_softmax_vjp", g, y, outer, n, inner,
                      [=](const auto& k, auto* dx, auto* pg, auto* py_) {
                        k.log_softmax_vjp(dx, pg, py_, outer, n, inner);
                      });
      },
      py::arg("g"), py::arg("y"), py::arg("outer"), py::arg("n"), py::arg("inner"));
}

}  // namespace mt
