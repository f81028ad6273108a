// Pooling: the last two axes of an array are its planes, all others are counted together.
#include <pybind11/stl.h>

#include <array>

#include "common.h"

namespace mt {

namespace {
using Pair = std::array<int64_t, 2>;

struct Planes {
  int64_t count = 1, h, w;

  Planes(const char* op, const Array& x) {
    const Shape shape = shape_of(x);
    if (shape.size() < 2) fail(std::string(op) + ": planes have two axes, got " + describe(shape));
    h = shape[shape.size() - 2];
    w = shape[shape.size() - 1];
    for (size_t i = 0; i + 2 < shape.size(); ++i) count *= shape[i];
  }
};

// The shape of x with planes of another size.
Shape resized(const Array& x, int64_t h, int64_t w) {
  Shape shape = shape_of(x);
  shape[shape.size() - 2] = h;
  shape[shape.size() - 1] = w;
  return shape;
}

constexpr int64_t kMost = int64_t{1} << 31;  // sizes below it have products without overflow

void check_size(const char* op, const Pair& size) {
  for (int64_t n : size)
    if (n < 0 || n >= kMost)
      fail(std::string(op) + ": a plane cannot have the size " + describe({size[0], size[1]}));
}

// Every window has a tap inside the plane: the kernels read there without a further look.
void check_taps(int64_t size, int64_t out, int64_t k, int64_t step, int64_t padding,
                int64_t dilation) {
  require(k > 0 && step > 0 && padding >= 0 && dilation > 0,
          "max_pool2d: a window's size, step or dilation is not positive");
  require(k < kMost && step < kMost && padding < kMost && dilation < kMost,
          "max_pool2d: a window's size, step, padding or dilation is 2^31 or more");
  for (int64_t i = 0; i < out; ++i) {
    const int64_t start = i * step - padding;
    const int64_t first = start < 0 ? start + (-start + dilation - 1) / dilation * dilation : start;
    require(first < size && first <= start + (k - 1) * dilation,
            "max_pool2d: a window holds nothing but padding");
  }
}

// Rows of (begin, end, count), one for each window.
const Window* windows(const Array& table, int64_t size) {
  require(is<int64_t>(table) && table.ndim() == 2 && table.shape(1) == 3 &&
              contiguous(table).ptr() == table.ptr(),
          "avg_pool2d: windows are contiguous rows of three int64");
  const auto* rows = reinterpret_cast<const Window*>(table.data());
  for (py::ssize_t i = 0; i < table.shape(0); ++i)
    require(0 <= rows[i].begin && rows[i].begin <= rows[i].end && rows[i].end <= size &&
                -kMost < rows[i].count && rows[i].count < kMost,
            "avg_pool2d: a window reaches outside the plane");
  return rows;
}

void check_indices(const char* op, const Array& y, const Array& idx) {
  if (!is<int32_t>(idx) || shape_of(idx) != shape_of(y))
    fail(std::string(op) + ": the indices are not int32 of shape " + describe(shape_of(y)));
}

Pair pair_of(PyObject* x) {
  require(PyTuple_Check(x) && PyTuple_GET_SIZE(x) == 2, "a pool's sizes are pairs of integers");
  const Pair pair{PyLong_AsLongLong(PyTuple_GET_ITEM(x, 0)),
                  PyLong_AsLongLong(PyTuple_GET_ITEM(x, 1))};
  if (PyErr_Occurred()) throw py::error_already_set();
  return pair;
}

// None for other dtypes than the kernels'.
py::object avg_pool2d(const Array& x, const Array& rows, const Array& cols) {
  if (!is_floating(x)) return py::none();
  const Planes in("avg_pool2d", x);
  const Window *r = windows(rows, in.h), *c = windows(cols, in.w);
  const int64_t oh = rows.shape(0), ow = cols.shape(0);
  const auto of = [&](auto t) {
    using T = decltype(t);
    const Array from = contiguous(x);
    Array y = empty<T>(resized(x, oh, ow));
    if (y.size() == 0) return y;
    T* py_ = data<T>(y);
    const T* px = data<T>(from);
    without_gil(x.size(),
                [&] { active<T>().avg_pool2d(py_, px, in.count, in.h, in.w, oh, ow, r, c); });
    return y;
  };
  return by_dtype("avg_pool2d", of, x);
}

PyObject* max_pool2d(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 6 || !py::isinstance<Array>(arguments[0])) Py_RETURN_NONE;
  const auto x = py::reinterpret_borrow<Array>(arguments[0]);
  if (!is<float>(x) && !is<double>(x)) Py_RETURN_NONE;
  const Pair kernel = pair_of(arguments[1]), stride = pair_of(arguments[2]);
  const Pair padding = pair_of(arguments[3]), dilation = pair_of(arguments[4]);
  const Pair out = pair_of(arguments[5]);
  const Planes in("max_pool2d", x);
  require(in.h * in.w <= INT32_MAX, "max_pool2d: a plane has more than 2^31 - 1 elements");
  check_size("max_pool2d", out);
  check_taps(in.h, out[0], kernel[0], stride[0], padding[0], dilation[0]);
  check_taps(in.w, out[1], kernel[1], stride[1], padding[1], dilation[1]);
  const Pool2d p{in.h,      in.w,      out[0],     out[1],     kernel[0],   kernel[1],
                 stride[0], stride[1], padding[0], padding[1], dilation[0], dilation[1]};
  const auto typed = [&](auto t) {
    using T = decltype(t);
    const Array from = contiguous(x);
    Array y = empty<T>(resized(x, p.oh, p.ow)), idx = empty<int32_t>(shape_of(y));
    if (y.size() == 0) return py::make_tuple(y, idx);
    T* py_ = data<T>(y);
    int32_t* pi = data<int32_t>(idx);
    const T* px = data<T>(from);
    without_gil(x.size(), [&] { active<T>().max_pool2d(py_, pi, px, in.count, p); });
    return py::make_tuple(y, idx);
  };
  return by_dtype("max_pool2d", typed, x).release().ptr();
}
}  // namespace

void bind_pool(py::module_& m) {
  // -> (y, the maxima's places in their planes)
  def_fast(
      m, "max_pool2d",
      "max_pool2d(x: numpy.ndarray, kernel: tuple[int, int], stride: tuple[int, int], padding: "
      "tuple[int, int], dilation: tuple[int, int], out: tuple[int, int]) -> tuple",
      [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
        try {
          return max_pool2d(arguments, given);
        } catch (...) {
          return raise_pending();
        }
      });
  m.def(
      "max_pool2d_vjp",
      [](const Array& g, const Array& idx, Pair size) {
        const Planes out("max_pool2d_vjp", g);
        check_indices("max_pool2d_vjp", g, idx);
        check_size("max_pool2d_vjp", size);
        return by_dtype(
            "max_pool2d_vjp",
            [&](auto t) {
              using T = decltype(t);
              const Array from = contiguous(g), at = contiguous(idx);
              Array dx = empty<T>(resized(g, size[0], size[1]));
              if (dx.size() == 0) return dx;
              T* pdx = data<T>(dx);
              const T* pg = data<T>(from);
              const int32_t* pi = data<int32_t>(at);
              without_gil([&] {
                active<T>().max_pool2d_vjp(pdx, pg, pi, out.count, size[0] * size[1],
                                           out.h * out.w);
              });
              return dx;
            },
            g);
      },
      py::arg("g"), py::arg("idx"), py::arg("size"));
  m.def(
      "max_pool2d_gather",
      [](const Array& x, const Array& idx) {
        const Planes in("max_pool2d_gather", x), out("max_pool2d_gather", idx);
        require(in.count == out.count,
                "max_pool2d_gather: x and the indices differ in their planes");
        return by_dtype(
            "max_pool2d_gather",
            [&](auto t) {
              using T = decltype(t);
              const Array from = contiguous(x), at = contiguous(idx);
              Array y = empty<T>(resized(x, out.h, out.w));
              check_indices("max_pool2d_gather", y, idx);
              if (y.size() == 0) return y;
              T* py_ = data<T>(y);
              const T* px = data<T>(from);
              const int32_t* pi = data<int32_t>(at);
              without_gil([&] {
                active<T>().max_pool2d_gather(py_, px, pi, in.count, in.h * in.w, out.h * out.w);
              });
              return y;
            },
            x);
      },
      py::arg("x"), py::arg("idx"));
  def_fast(m, "avg_pool2d",
           "avg_pool2d(x: numpy.ndarray, rows: numpy.ndarray, cols: numpy.ndarray) -> "
           "numpy.ndarray",
           typed<avg_pool2d>);
  m.def(
      "avg_pool2d_vjp",
      [](const Array& g, const Array& rows, const Array& cols, Pair size) {
        const Planes out("avg_pool2d_vjp", g);
        check_size("avg_pool2d_vjp", size);
        const Window *r = windows(rows, size[0]), *c = windows(cols, size[1]);
        require(out.h == rows.shape(0) && out.w == cols.shape(0),
                "avg_pool2d_vjp: there is not one window for each element of g");
        return by_dtype(
            "avg_pool2d_vjp",
            [&](auto t) {
              using T = decltype(t);
              const Array from = contiguous(g);
              Array dx = empty<T>(resized(g, size[0], size[1]));
              if (dx.size() == 0) return dx;
              T* pdx = data<T>(dx);
              const T* pg = data<T>(from);
              without_gil([&] {
                active<T>().avg_pool2d_vjp(pdx, pg, out.count, size[0], size[1], out.h, out.w, r,
                                           c);
              });
              return dx;
            },
            g);
      },
      py::arg("g"), py::arg("rows"), py::arg("cols"), py::arg("size"));
}

}  // namespace mt
