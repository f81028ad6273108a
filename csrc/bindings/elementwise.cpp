// Elementwise kernels: the arrays are broadcast together into a Walk.
#include <algorithm>

#include "common.h"

namespace mt {
namespace {

constexpr int64_t kWithGil = 4096;  // dropping the GIL costs as much as this many elements

std::string shapes(const Array* in, int n) {
  std::string s;
  for (int k = 0; k < n; ++k) s += (k ? " and " : "") + describe(shape_of(in[k]));
  return s;
}

// x itself if its strides are whole elements and it is aligned, else a copy.
Array walkable(const Array& x) {
  const py::ssize_t size = x.itemsize();
  bool whole = x.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  for (py::ssize_t d = 0; d < x.ndim(); ++d) whole = whole && x.strides(d) % size == 0;
  return whole ? x : contiguous(x);
}

// The walk over the n arrays, operands 1 to n, broadcast together; returns the common shape.
Shape plan(const char* name, const Array* in, int n, Walk& walk) {
  py::ssize_t ndim = 0;
  for (int k = 0; k < n; ++k) ndim = std::max(ndim, in[k].ndim());
  Shape shape(ndim, 1);
  walk.ndim = 0;
  walk.count = 1;
  for (py::ssize_t d = 0; d < ndim; ++d) {
    int64_t stride[4];
    for (int k = 1; k <= n; ++k) {
      const Array& x = in[k - 1];
      const py::ssize_t axis = d - (ndim - x.ndim());
      const py::ssize_t size = axis < 0 ? 1 : x.shape(axis);
      if (size != 1 && shape[d] != 1 && size != shape[d])
        fail(std::string(name) + ": shapes " + shapes(in, n) + " do not broadcast");
      if (size != 1) shape[d] = size;
      stride[k] = size == 1 ? 0 : x.strides(axis) / x.itemsize();
    }
    if (__builtin_mul_overflow(walk.count, shape[d], &walk.count))
      fail(std::string(name) + ": shapes " + shapes(in, n) +
           " broadcast to more elements than can be counted");
    if (shape[d] == 1) continue;
    // This axis and the one before it are one if every array steps from row to row as it would
    // within a row.
    bool merges = walk.ndim > 0;
    for (int k = 1; k <= n; ++k)
      merges = merges && walk.stride[k][walk.ndim - 1] == stride[k] * shape[d];
    if (!merges) walk.size[walk.ndim++] = 1;
    walk.size[walk.ndim - 1] *= shape[d];
    for (int k = 1; k <= n; ++k) walk.stride[k][walk.ndim - 1] = stride[k];
  }
  if (walk.ndim == 0) {
    walk.ndim = 1;
    walk.size[0] = 1;
    for (int k = 1; k <= n; ++k) walk.stride[k][0] = 0;
  }
  for (int64_t d = walk.ndim - 1, step = 1; d >= 0; step *= walk.size[d--])
    walk.stride[0][d] = step;
  return shape;
}

// kernel(table, out, inputs, walk) on arrays, the first of which hold Ts.
template <class T, class Kernel, class... Arrays>
Array run_typed(const char* name, const Kernel& kernel, const Arrays&... arrays) {
  constexpr int n = sizeof...(arrays);
  const Array in[n] = {walkable(arrays)...};
  Walk walk;
  Array out = empty<T>(plan(name, in, n, walk));
  T* to = data<T>(out);
  const T* from[n];
  for (int k = 0; k < n; ++k) from[k] = data<T>(in[k]);
  const auto call = [&] { kernel(active<T>(), to, from, walk); };
  if (walk.count < kWithGil)
    call();
  else
    without_gil(call);
  return out;
}

template <class Kernel, class... Arrays>
Array run(const char* name, const Kernel& kernel, const Arrays&... arrays) {
  return by_dtype(
      name, [&](auto t) { return run_typed<decltype(t)>(name, kernel, arrays...); }, arrays...);
}

#define MT_UNARY(name)                                                 \
  m.def(                                                               \
      #name,                                                           \
      [](const Array& x) {                                             \
        const auto f = [](auto& k, auto* out, auto** in, auto& walk) { \
          k.name(out, in[0], walk);                                    \
        };                                                             \
        return run(#name, f, x);                                       \
      },                                                               \
      py::arg("x"))
#define MT_BINARY(name, x, y)                                          \
  m.def(                                                               \
      #name,                                                           \
      [](const Array& a, const Array& b) {                             \
        const auto f = [](auto& k, auto* out, auto** in, auto& walk) { \
          k.name(out, in[0], in[1], walk);                             \
        };                                                             \
        return run(#name, f, a, b);                                    \
      },                                                               \
      py::arg(x), py::arg(y))

}  // namespace

void bind_elementwise(py::module_& m) {
  MT_UNARY(copy);
  MT_BINARY(add, "x", "y");
  MT_BINARY(sub, "x", "y");
  MT_BINARY(mul, "x", "y");
  MT_BINARY(div, "x", "y");
  MT_UNARY(neg);
  MT_UNARY(square);
  MT_UNARY(reciprocal);
  MT_BINARY(pow, "x", "y");
  m.def(
      "pow_scalar",
      [](const Array& x, double y) {
        const auto f = [&](auto& k, auto* out, auto** in, auto& walk) {
          k.pow_scalar(out, in[0], y, walk);
        };
        return run("pow", f, x);
      },
      py::arg("x"), py::arg("y"));

  MT_UNARY(abs);
  MT_UNARY(sign);
  MT_UNARY(exp);
  MT_UNARY(log);
  MT_UNARY(sqrt);
  MT_UNARY(rsqrt);
  MT_UNARY(sin);
  MT_UNARY(cos);
  MT_UNARY(erf);
  MT_UNARY(tanh);
  MT_BINARY(tanh_vjp, "g", "y");
  MT_UNARY(sigmoid);
  MT_BINARY(sigmoid_vjp, "g", "y");
  MT_UNARY(relu);
  MT_BINARY(relu_vjp, "g", "y");
  MT_UNARY(silu);
  MT_BINARY(silu_vjp, "g", "x");
  MT_UNARY(gelu);
  MT_BINARY(gelu_vjp, "g", "x");
  MT_UNARY(gelu_tanh);
  MT_BINARY(gelu_tanh_vjp, "g", "x");
  m.def(
      "leaky_relu",
      [](const Array& x, double slope) {
        const auto f = [&](auto& k, auto* out, auto** in, auto& walk) {
          k.leaky_relu(out, in[0], slope, walk);
        };
        return run("leaky_relu", f, x);
      },
      py::arg("x"), py::arg("slope"));
  m.def(
      "leaky_relu_vjp",
      [](const Array& g, const Array& x, double slope) {
        const auto f = [&](auto& k, auto* out, auto** in, auto& walk) {
          k.leaky_relu_vjp(out, in[0], in[1], slope, walk);
        };
        return run("leaky_relu_vjp", f, g, x);
      },
      py::arg("g"), py::arg("x"), py::arg("slope"));
  m.def(
      "softplus",
      [](const Array& x, double beta, double threshold) {
        const auto f = [&](auto& k, auto* out, auto** in, auto& walk) {
          k.softplus(out, in[0], beta, threshold, walk);
        };
        return run("softplus", f, x);
      },
      py::arg("x"), py::arg("beta"), py::arg("threshold"));
  m.def(
      "softplus_vjp",
      [](const Array& g, const Array& x, double beta, double threshold) {
        const auto f = [&](auto& k, auto* out, auto** in, auto& walk) {
          k.softplus_vjp(out, in[0], in[1], beta, threshold, walk);
        };
        return run("softplus_vjp", f, g, x);
      },
      py::arg("g"), py::arg("x"), py::arg("beta"), py::arg("threshold"));

  m.def(
      "clamp",
      [](const Array& x, double low, double high) {
        const auto f = [&](auto& k, auto* out, auto** in, auto& walk) {
          k.clamp(out, in[0], low, high, walk);
        };
        return run("clamp", f, x);
      },
      py::arg("x"), py::arg("low"), py::arg("high"));
  m.def(
      "clamp_vjp",
      [](const Array& g, const Array& x, double low, double high) {
        const auto f = [&](auto& k, auto* out, auto** in, auto& walk) {
          k.clamp_vjp(out, in[0], in[1], low, high, walk);
        };
        return run("clamp_vjp", f, g, x);
      },
      py::arg("g"), py::arg("x"), py::arg("low"), py::arg("high"));
  MT_BINARY(maximum, "x", "y");
  MT_BINARY(minimum, "x", "y");
  m.def(
      "maximum_vjp",
      [](const Array& g, const Array& x, const Array& y) {
        const auto f = [](auto& k, auto* out, auto** in, auto& walk) {
          k.maximum_vjp(out, in[0], in[1], in[2], walk);
        };
        return run("maximum_vjp", f, g, x, y);
      },
      py::arg("g"), py::arg("x"), py::arg("y"));
  m.def(
      "where",
      [](const Array& x, const Array& y, const Array& condition) {
        if (!is<bool>(condition)) fail_dtype("where: the condition must be bool");
        // The inputs' pointers are typed alike; the condition's is its own.
        const auto f = [](auto& k, auto* out, auto** in, auto& walk) {
          k.where(out, in[0], in[1], reinterpret_cast<const uint8_t*>(in[2]), walk);
        };
        return by_dtype(
            "where", [&](auto t) { return run_typed<decltype(t)>("where", f, x, y, condition); }, x,
            y);
      },
      py::arg("x"), py::arg("y"), py::arg("condition"));
}

}  // namespace mt
