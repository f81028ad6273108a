#include <pybind11/stl.h>  // std::optional, std::pair

#include "common.h"

namespace mt {
namespace {

using Pair = std::pair<int64_t, int64_t>;

// How many windows fit along one axis; raises unless there is one and all numbers stay far from
// overflow.
int64_t windows(const std::string& op, int64_t size, int64_t kernel, int64_t stride, int64_t pad,
                int64_t dilation) {
  constexpr int64_t kMost = int64_t{1} << 31;
  for (int64_t n : {size, kernel, stride, dilation})
    if (n < 1 || n >= kMost)
      fail(op + ": sizes, kernel, stride and dilation must be positive, and below 2**31");
  if (pad < 0 || pad >= kMost) fail(op + ": padding must not be negative, and below 2**31");
  const int64_t span = (kernel - 1) * dilation + 1;
  if (span > size + 2 * pad)
    fail(op + ": a kernel that spans " + std::to_string(span) +
         " does not fit into a padded input of " + std::to_string(size + 2 * pad));
  return (size + 2 * pad - span) / stride + 1;
}

struct Steps {
  Pair stride, padding, dilation;
};

ConvSizes sizes(const std::string& op, const Shape& x, const Shape& w, const Steps& p,
                int64_t groups) {
  ConvSizes s;
  s.n = x[0], s.c = x[1], s.h = x[2], s.w = x[3];
  s.o = w[0], s.kh = w[2], s.kw = w[3], s.groups = groups;
  s.sh = p.stride.first, s.ph = p.padding.first, s.dh = p.dilation.first;
  s.sw = p.stride.second, s.pw = p.padding.second, s.dw = p.dilation.second;
  if (groups < 1 || s.c < 1 || s.o < 1 || s.c % groups || s.o % groups || w[1] != s.c / groups)
    fail(op + ": input " + describe(x) + " and weight " + describe(w) + " do not fit in " +
         std::to_string(groups) + " groups");
  s.oh = windows(op, s.h, s.kh, s.sh, s.ph, s.dh);
  s.ow = windows(op, s.w, s.kw, s.sw, s.pw, s.dw);
  return s;
}

void need_axes(const char* op, const Array& x, int n) {
  if (x.ndim() != n)
    fail(std::string(op) + ": expected an array with " + std::to_string(n) + " axes");
}

void need_shape(const char* op, const Array& x, const Shape& wanted) {
  if (shape_of(x) != wanted)
    fail(std::string(op) + ": expected an array of shape " + describe(wanted) + ", got " +
         describe(shape_of(x)));
}

Shape outputs(const ConvSizes& s) { return {s.n, s.o, s.oh, s.ow}; }

Array conv2d(const Array& x, const Array& w, const std::optional<Array>& bias, Pair stride,
             Pair padding, Pair dilation, int64_t groups) {
  need_axes("conv2d", x, 4);
  need_axes("conv2d", w, 4);
  const ConvSizes s =
      sizes("conv2d", shape_of(x), shape_of(w), {stride, padding, dilation}, groups);
  if (bias) need_shape("conv2d", *bias, {s.o});
  return by_dtype(
      "conv2d",
      [&](auto t) {
        using T = decltype(t);
        if (bias && !is<T>(*bias)) fail_dtype("conv2d: the arrays' dtypes differ");
        const Array xc = contiguous(x), wc = contiguous(w), bc = bias ? contiguous(*bias) : xc;
        Array y = empty<T>(outputs(s));
        T* py = data<T>(y);
        const T *px = data<T>(xc), *pw = data<T>(wc), *pb = bias ? data<T>(bc) : nullptr;
        without_gil([&] { active<T>().conv2d(py, px, pw, pb, s); });
        return y;
      },
      x, w);
}

Array conv2d_input_vjp(const Array& g, const Array& w, Pair size, Pair stride, Pair padding,
                       Pair dilation, int64_t groups) {
  const char* op = "conv2d_input_vjp";
  need_axes(op, g, 4);
  need_axes(op, w, 4);
  int64_t channels;
  if (groups < 1 || __builtin_mul_overflow(w.shape(1), groups, &channels))
    fail("conv2d_input_vjp: bad groups");
  const Shape x = {g.shape(0), channels, size.first, size.second};
  const ConvSizes s = sizes(op, x, shape_of(w), {stride, padding, dilation}, groups);
  need_shape(op, g, outputs(s));
  return by_dtype(
      op,
      [&](auto t) {
        using T = decltype(t);
        const Array gc = contiguous(g), wc = contiguous(w);
        Array dx = empty<T>(x);
        T* pdx = data<T>(dx);
        const T *pg = data<T>(gc), *pw = data<T>(wc);
        without_gil([&] { active<T>().conv2d_input_vjp(pdx, pg, pw, s); });
        return dx;
      },
      g, w);
}

Array conv2d_weight_vjp(const Array& g, const Array& x, Pair kernel, Pair stride, Pair padding,
                        Pair dilation, int64_t groups) {
  const char* op = "conv2d_weight_vjp";
  need_axes(op, g, 4);
  need_axes(op, x, 4);
  if (groups < 1 || x.shape(1) % groups)
    fail("conv2d_weight_vjp: the channels do not divide into the groups");
  const Shape w = {g.shape(1), x.shape(1) / groups, kernel.first, kernel.second};
  const ConvSizes s = sizes(op, shape_of(x), w, {stride, padding, dilation}, groups);
  need_shape(op, g, outputs(s));
  return by_dtype(
      op,
      [&](auto t) {
        using T = decltype(t);
        const Array gc = contiguous(g), xc = contiguous(x);
        Array dw = empty<T>(w);
        T* pdw = data<T>(dw);
        const T *pg = data<T>(gc), *px = data<T>(xc);
        without_gil([&] { active<T>().conv2d_weight_vjp(pdw, pg, px, s); });
        return dw;
      },
      g, x);
}

// x (n, c, h, w) -> cols (n, c * kh * kw, oh * ow)
Array im2col(const Array& x, Pair kernel, Pair stride, Pair padding, Pair dilation) {
  need_axes("im2col", x, 4);
  const Shape w = {1, x.shape(1), kernel.first, kernel.second};
  const ConvSizes s = sizes("im2col", shape_of(x), w, {stride, padding, dilation}, 1);
  return by_dtype(
      "im2col",
      [&](auto t) {
        using T = decltype(t);
        const Array xc = contiguous(x);
        Array cols = empty<T>({s.n, s.c * s.kh * s.kw, s.oh * s.ow});
        T* pcols = data<T>(cols);
        const T* px = data<T>(xc);
        without_gil([&] { active<T>().im2col(pcols, px, s); });
        return cols;
      },
      x);
}

Array col2im(const Array& cols, Pair size, Pair kernel, Pair stride, Pair padding, Pair dilation) {
  need_axes("col2im", cols, 3);
  int64_t area;
  if (kernel.first < 1 || kernel.second < 1 ||
      __builtin_mul_overflow(kernel.first, kernel.second, &area) || cols.shape(1) % area)
    fail("col2im: the second axis is not channels * kernel");
  const Shape x = {cols.shape(0), cols.shape(1) / area, size.first, size.second};
  const Shape w = {1, x[1], kernel.first, kernel.second};
  const ConvSizes s = sizes("col2im", x, w, {stride, padding, dilation}, 1);
  need_shape("col2im", cols, {s.n, s.c * area, s.oh * s.ow});
  return by_dtype(
      "col2im",
      [&](auto t) {
        using T = decltype(t);
        const Array in = contiguous(cols);
        Array out = empty<T>(x);
        T* px = data<T>(out);
        const T* pcols = data<T>(in);
        without_gil([&] { active<T>().col2im(px, pcols, s); });
        return out;
      },
      cols);
}

}  // namespace

void bind_conv(py::module_& m) {
  using py::arg;
  m.def("conv2d", conv2d, arg("x"), arg("w"), arg("bias"), arg("stride"), arg("padding"),
        arg("dilation"), arg("groups"));
  m.def("conv2d_input_vjp", conv2d_input_vjp, arg("g"), arg("w"), arg("size"), arg("stride"),
        arg("padding"), arg("dilation"), arg("groups"));
  m.def("conv2d_weight_vjp", conv2d_weight_vjp, arg("g"), arg("x"), arg("kernel"), arg("stride"),
        arg("padding"), arg("dilation"), arg("groups"));
  m.def("im2col", im2col, arg("x"), arg("kernel"), arg("stride"), arg("padding"), arg("dilation"));
  m.def("col2im", col2im, arg("cols"), arg("size"), arg("kernel"), arg("stride"), arg("padding"),
        arg("dilation"));
}

}  // namespace mt
