// Layer norm over rows of n; batch norm over the channels, axis 1, of (N, C, ...).
#include <pybind11/stl.h>

#include <optional>

#include "common.h"

namespace mt {

namespace {
// The array itself or nothing; if given, contiguous and of the size and dtype wanted.
template <class T>
std::optional<Array> optional(const char* op, const std::optional<Array>& x, int64_t size) {
  if (!x) return std::nullopt;
  if (!is<T>(*x)) fail_dtype(std::string(op) + ": the arrays' dtypes differ");
  if (x->size() != size)
    fail(std::string(op) + ": expected " + std::to_string(size) +
         " values, got an array of shape " + describe(shape_of(*x)));
  return contiguous(*x);
}
template <class T>
const T* pointer(const std::optional<Array>& x) {
  return x ? data<T>(*x) : nullptr;
}

struct Rows {
  int64_t rows, n;
  Rows(const char* op, const Array& x, int64_t n) : rows(0), n(n) {
    if (n < 0 || (n == 0 ? x.size() != 0 : x.size() % n != 0))
      fail(std::string(op) + ": " + describe(shape_of(x)) + " is not rows of " + std::to_string(n));
    if (n > 0) rows = x.size() / n;
  }
};

struct Channels {
  int64_t outer, channels, inner = 1;
  Channels(const char* op, const Array& x) {
    const Shape shape = shape_of(x);
    if (shape.size() < 2) fail(std::string(op) + ": expected (N, C, ...), got " + describe(shape));
    outer = shape[0];
    channels = shape[1];
    for (size_t i = 2; i < shape.size(); ++i) inner *= shape[i];
  }
};

void same_shape(const char* op, const Array& g, const Array& x) {
  if (shape_of(g) != shape_of(x))
    fail(std::string(op) + ": g " + describe(shape_of(g)) + " and x " + describe(shape_of(x)) +
         " differ in shape");
}
}  // namespace

void bind_norm(py::module_& m) {
  // -> (y, mean, rstd), the last two of shape (rows,)
  m.def(
      "layer_norm",
      [](const Array& x, const std::optional<Array>& weight, const std::optional<Array>& bias,
         int64_t n, double eps) {
        const char* op = "layer_norm";
        const Rows r(op, x, n);
        return by_dtype(
            op,
            [&](auto t) {
              using T = decltype(t);
              const Array from = contiguous(x);
              const auto w = optional<T>(op, weight, n), b = optional<T>(op, bias, n);
              Array y = empty<T>(shape_of(x)), mean = empty<T>({r.rows}), rstd = empty<T>({r.rows});
              T *py_ = data<T>(y), *pm = data<T>(mean), *pr = data<T>(rstd);
              const T *px = data<T>(from), *pw = pointer<T>(w), *pb = pointer<T>(b);
              without_gil([&] {
                active<T>().layer_norm(py_, pm, pr, px, pw, pb, static_cast<T>(eps), r.rows, n);
              });
              return py::make_tuple(y, mean, rstd);
            },
            x);
      },
      py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("n"), py::arg("eps"));
  m.def(
      "layer_norm_vjp",
      [](const Array& g, const Array& x, const std::optional<Array>& weight, const Array& mean,
         const Array& rstd, int64_t n) {
        const char* op = "layer_norm_vjp";
        const Rows r(op, x, n);
        same_shape(op, g, x);
        return by_dtype(
            op,
            [&](auto t) {
              using T = decltype(t);
              const Array gs = contiguous(g), from = contiguous(x);
              const auto w = optional<T>(op, weight, n), ms = optional<T>(op, mean, r.rows),
                         rs = optional<T>(op, rstd, r.rows);
              Array dx = empty<T>(shape_of(x));
              T* pdx = data<T>(dx);
              const T *pg = data<T>(gs), *px = data<T>(from), *pw = pointer<T>(w);
              const T *pm = pointer<T>(ms), *pr = pointer<T>(rs);
              without_gil([&] { active<T>().layer_norm_vjp(pdx, pg, px, pw, pm, pr, r.rows, n); });
              return dx;
            },
            g, x);
      },
      py::arg("g"), py::arg("x"), py::arg("weight"), py::arg("mean"), py::arg("rstd"),
      py::arg("n"));
  m.def(
      "layer_norm_dweight",
      [](const Array& g, const Array& x, const Array& mean, const Array& rstd, int64_t n) {
        const char* op = "layer_norm_dweight";
        const Rows r(op, x, n);
        same_shape(op, g, x);
        return by_dtype(
            op,
            [&](auto t) {
              using T = decltype(t);
              const Array gs = contiguous(g), from = contiguous(x);
              const auto ms = optional<T>(op, mean, r.rows), rs = optional<T>(op, rstd, r.rows);
              Array dw = empty<T>({n});
              T* pdw = data<T>(dw);
              const T *pg = data<T>(gs), *px = data<T>(from), *pm = pointer<T>(ms),
                      *pr = pointer<T>(rs);
              without_gil([&] { active<T>().layer_norm_dweight(pdw, pg, px, pm, pr, r.rows, n); });
              return dw;
            },
            g, x);
      },
      py::arg("g"), py::arg("x"), py::arg("mean"), py::arg("rstd"), py::arg("n"));
  // -> (y, mean, rstd, var), the last three of shape (C,)
  m.def(
      "batch_norm",
      [](const Array& x, const std::optional<Array>& weight, const std::optional<Array>& bias,
         double eps) {
        const char* op = "batch_norm";
        const Channels c(op, x);
        return by_dtype(
            op,
            [&](auto t) {
              using T = decltype(t);
              const Array from = contiguous(x);
              const auto w = optional<T>(op, weight, c.channels),
                         b = optional<T>(op, bias, c.channels);
              Array y = empty<T>(shape_of(x)), mean = empty<T>({c.channels});
              Array rstd = empty<T>({c.channels}), var = empty<T>({c.channels});
              T *py_ = data<T>(y), *pm = data<T>(mean), *pr = data<T>(rstd), *pv = data<T>(var);
              const T *px = data<T>(from), *pw = pointer<T>(w), *pb = pointer<T>(b);
              without_gil([&] {
                active<T>().batch_norm(py_, pm, pv, pr, px, pw, pb, static_cast<T>(eps), c.outer,
                                       c.channels, c.inner);
              });
              return py::make_tuple(y, mean, rstd, var);
            },
            x);
      },
      py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("eps"));
  m.def(
      "batch_norm_vjp",
      [](const Array& g, const Array& x, const std::optional<Array>& weight, const Array& mean,
         const Array& rstd) {
        const char* op = "batch_norm_vjp";
        const Channels c(op, x);
        same_shape(op, g, x);
        return by_dtype(
            op,
            [&](auto t) {
              using T = decltype(t);
              const Array gs = contiguous(g), from = contiguous(x);
              const auto w = optional<T>(op, weight, c.channels),
                         ms = optional<T>(op, mean, c.channels),
                         rs = optional<T>(op, rstd, c.channels);
              Array dx = empty<T>(shape_of(x));
              T* pdx = data<T>(dx);
              const T *pg = data<T>(gs), *px = data<T>(from), *pw = pointer<T>(w);
              const T *pm = pointer<T>(ms), *pr = pointer<T>(rs);
              without_gil([&] {
                active<T>().batch_norm_vjp(pdx, pg, px, pw, pm, pr, c.outer, c.channels, c.inner);
              });
              return dx;
            },
            g, x);
      },
      py::arg("g"), py::arg("x"), py::arg("weight"), py::arg("mean"), py::arg("rstd"));
  m.def(
      "batch_norm_dweight",
      [](const Array& g, const Array& x, const Array& mean, const Array& rstd) {
        const char* op = "batch_norm_dweight";
        const Channels c(op, x);
        same_shape(op, g, x);
        return by_dtype(
            op,
            [&](auto t) {
              using T = decltype(t);
              const Array gs = contiguous(g), from = contiguous(x);
              const auto ms = optional<T>(op, mean, c.channels),
                         rs = optional<T>(op, rstd, c.channels);
              Array dw = empty<T>({c.channels});
              T* pdw = data<T>(dw);
              const T *pg = data<T>(gs), *px = data<T>(from), *pm = pointer<T>(ms),
                      *pr = pointer<T>(rs);
              without_gil([&] {
                active<T>().batch_norm_dweight(pdw, pg, px, pm, pr, c.outer, c.channels, c.inner);
              });
              return dw;
            },
            g, x);
      },
      py::arg("g"), py::arg("x"), py::arg("mean"), py::arg("rstd"));
}

}  // namespace mt
