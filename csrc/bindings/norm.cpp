// Layer norm over rows of n; batch norm over the channels, axis 1, of (N, C, ...).
#include <pybind11/stl.h>

#include <algorithm>
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

void need_groups(const char* op, const Channels& c, int64_t groups) {
  if (groups < 1 || c.channels % groups != 0)
    fail(std::string(op) + ": " + std::to_string(c.channels) + " channels are not " +
         std::to_string(groups) + " groups");
}

template <class T>
struct Gradients {
  Array dx, dw, db;
  Gradients(const Shape& input, const Shape& weights)
      : dx(empty<T>(input)), dw(empty<T>(weights)), db(empty<T>(weights)) {}
};

// Whether w is None, or of x's dtype and of its last k sizes.
bool fits(PyObject* w, const Array& x, Py_ssize_t k) {
  if (w == Py_None) return true;
  if (!py::isinstance<Array>(w)) return false;
  const auto *a = py::detail::array_proxy(w), *b = py::detail::array_proxy(x.ptr());
  return a->descr == b->descr && a->nd == k &&
         std::equal(a->dimensions, a->dimensions + k, b->dimensions + b->nd - k);
}

std::optional<Array> given(PyObject* w) {
  if (w == Py_None) return std::nullopt;
  return contiguous(py::reinterpret_borrow<Array>(w));
}

// `options` are the axes and eps.
PyObject* layer_norm(PyObject* input, PyObject* weight, PyObject* bias, PyObject* const* options,
                     bool centred) {
  try {
    if (!py::isinstance<Array>(input) || !PyTuple_Check(options[0])) Py_RETURN_NONE;
    const auto x = py::reinterpret_borrow<Array>(input);
    const Py_ssize_t k = PyTuple_GET_SIZE(options[0]), first = x.ndim() - k;
    if (!(is<float>(x) || is<double>(x)) || k == 0 || first < 0 || !fits(weight, x, k) ||
        !fits(bias, x, k))
      Py_RETURN_NONE;
    int64_t n = 1;
    for (Py_ssize_t i = 0; i < k; ++i) {
      if (axis_of(PyTuple_GET_ITEM(options[0], i), x.ndim()) != first + i) Py_RETURN_NONE;
      n *= x.shape(first + i);
    }
    const double eps = PyFloat_AsDouble(options[1]);
    if (eps == -1 && PyErr_Occurred()) throw py::error_already_set();
    const Rows r("layer_norm", x, n);
    const auto typed = [&](auto t) {
      using T = decltype(t);
      const Array from = contiguous(x);
      const auto w = given(weight), b = given(bias);
      const py::ssize_t rows = r.rows, means = centred ? rows : 0;
      Array y = empty<T>(static_cast<int>(x.ndim()), x.shape()), mean = empty<T>(1, &means),
            rstd = empty<T>(1, &rows);
      T *py_ = data<T>(y), *pm = centred ? data<T>(mean) : nullptr, *pr = data<T>(rstd);
      const T *px = data<T>(from), *pw = pointer<T>(w), *pb = pointer<T>(b);
      without_gil(x.size(), [&] {
        active<T>().layer_norm(py_, pm, pr, px, pw, pb, static_cast<T>(eps), r.rows, n);
      });
      return py::make_tuple(y, mean, rstd);
    };
    return by_dtype("layer_norm", typed, x).release().ptr();
  } catch (...) {
    return raise_pending();
  }
}
}  // namespace

void bind_norm(py::module_& m) {
  // -> (y, mean, rstd), the last two of shape (rows,); of the root mean square, the mean is 0 and
  // left out. None where the weights do not fit, or the axes are not the last ones.
  def_fast(m, "layer_norm",
           "layer_norm(x: numpy.ndarray, weight: numpy.ndarray | None, bias: numpy.ndarray | None, "
           "axes: tuple[int, ...], eps: float) -> tuple",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
             if (given != 5) Py_RETURN_NONE;
             return layer_norm(arguments[0], arguments[1], arguments[2], arguments + 3, true);
           });
  def_fast(m, "rms_norm",
           "rms_norm(x: numpy.ndarray, weight: numpy.ndarray | None, axes: tuple[int, ...], eps: "
           "float) -> tuple",
           [](PyObject*, PyObject* const* arguments, Py_ssize_t given) -> PyObject* {
             if (given != 4) Py_RETURN_NONE;
             return layer_norm(arguments[0], arguments[1], Py_None, arguments + 2, false);
           });
  // -> (dx, dw, db): all, or without `weights` dx alone, or without `input` the other two
  m.def(
      "layer_norm_vjp",
      [](const Array& g, const Array& x, const std::optional<Array>& weight,
         const std::optional<Array>& mean, const Array& rstd, int64_t n, bool input, bool weights) {
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
              Gradients<T> made(input ? shape_of(x) : Shape{0}, {weights ? n : 0});
              T *pdx = input ? data<T>(made.dx) : nullptr,
                *pdw = weights ? data<T>(made.dw) : nullptr,
                *pdb = weights ? data<T>(made.db) : nullptr;
              const T *pg = data<T>(gs), *px = data<T>(from), *pw = pointer<T>(w);
              const T *pm = pointer<T>(ms), *pr = pointer<T>(rs);
              without_gil(x.size(), [&] {
                active<T>().layer_norm_vjp(pdx, pdw, pdb, pg, px, pw, pm, pr, r.rows, n);
              });
              return py::make_tuple(made.dx, made.dw, made.db);
            },
            g, x);
      },
      py::arg("g"), py::arg("x"), py::arg("weight"), py::arg("mean"), py::arg("rstd"), py::arg("n"),
      py::arg("input") = true, py::arg("weights") = true);
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
              without_gil(x.size(), [&] {
                active<T>().batch_norm(py_, pm, pv, pr, px, pw, pb, static_cast<T>(eps), c.outer,
                                       c.channels, c.inner);
              });
              return py::make_tuple(y, mean, rstd, var);
            },
            x);
      },
      py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("eps"));
  // -> (dx, dw, db), as layer_norm_vjp
  m.def(
      "batch_norm_vjp",
      [](const Array& g, const Array& x, const std::optional<Array>& weight, const Array& mean,
         const Array& rstd, bool input, bool weights) {
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
              Gradients<T> made(input ? shape_of(x) : Shape{0}, {weights ? c.channels : 0});
              T *pdx = input ? data<T>(made.dx) : nullptr,
                *pdw = weights ? data<T>(made.dw) : nullptr,
                *pdb = weights ? data<T>(made.db) : nullptr;
              const T *pg = data<T>(gs), *px = data<T>(from), *pw = pointer<T>(w);
              const T *pm = pointer<T>(ms), *pr = pointer<T>(rs);
              without_gil(x.size(), [&] {
                active<T>().batch_norm_vjp(pdx, pdw, pdb, pg, px, pw, pm, pr, c.outer, c.channels,
                                           c.inner);
              });
              return py::make_tuple(made.dx, made.dw, made.db);
            },
            g, x);
      },
      py::arg("g"), py::arg("x"), py::arg("weight"), py::arg("mean"), py::arg("rstd"),
      py::arg("input") = true, py::arg("weights") = true);
  m.def(
      "batch_norm_fixed",
      [](const Array& x, const Array& mean, const Array& var, const std::optional<Array>& weight,
         const std::optional<Array>& bias, double eps) {
        const char* op = "batch_norm_fixed";
        const Channels c(op, x);
        return by_dtype(
            op,
            [&](auto t) {
              using T = decltype(t);
              const Array from = contiguous(x);
              const auto ms = optional<T>(op, mean, c.channels),
                         vs = optional<T>(op, var, c.channels),
                         w = optional<T>(op, weight, c.channels),
                         b = optional<T>(op, bias, c.channels);
              Array y = empty<T>(shape_of(x));
              T* py_ = data<T>(y);
              const T *px = data<T>(from), *pm = pointer<T>(ms), *pv = pointer<T>(vs);
              const T *pw = pointer<T>(w), *pb = pointer<T>(b);
              without_gil(x.size(), [&] {
                active<T>().batch_norm_fixed(py_, px, pm, pv, pw, pb, static_cast<T>(eps), c.outer,
                                             c.channels, c.inner);
              });
              return y;
            },
            x);
      },
      py::arg("x"), py::arg("mean"), py::arg("var"), py::arg("weight"), py::arg("bias"),
      py::arg("eps"));
  // -> (y, mean, rstd), the last two of shape (N * groups,)
  m.def(
      "group_norm",
      [](const Array& x, const std::optional<Array>& weight, const std::optional<Array>& bias,
         int64_t groups, double eps) {
        const char* op = "group_norm";
        const Channels c(op, x);
        need_groups(op, c, groups);
        return by_dtype(
            op,
            [&](auto t) {
              using T = decltype(t);
              const Array from = contiguous(x);
              const auto w = optional<T>(op, weight, c.channels),
                         b = optional<T>(op, bias, c.channels);
              const int64_t rows = c.outer * groups;
              Array y = empty<T>(shape_of(x)), mean = empty<T>({rows}), rstd = empty<T>({rows});
              T *py_ = data<T>(y), *pm = data<T>(mean), *pr = data<T>(rstd);
              const T *px = data<T>(from), *pw = pointer<T>(w), *pb = pointer<T>(b);
              without_gil(x.size(), [&] {
                active<T>().group_norm(py_, pm, pr, px, pw, pb, static_cast<T>(eps), c.outer,
                                       groups, c.channels / groups, c.inner);
              });
              return py::make_tuple(y, mean, rstd);
            },
            x);
      },
      py::arg("x"), py::arg("weight"), py::arg("bias"), py::arg("groups"), py::arg("eps"));
  // -> (dx, dw, db)
  m.def(
      "group_norm_vjp",
      [](const Array& g, const Array& x, const std::optional<Array>& weight, const Array& mean,
         const Array& rstd, int64_t groups) {
        const char* op = "group_norm_vjp";
        const Channels c(op, x);
        same_shape(op, g, x);
        need_groups(op, c, groups);
        return by_dtype(
            op,
            [&](auto t) {
              using T = decltype(t);
              const Array gs = contiguous(g), from = contiguous(x);
              const auto w = optional<T>(op, weight, c.channels),
                         ms = optional<T>(op, mean, c.outer * groups),
                         rs = optional<T>(op, rstd, c.outer * groups);
              Gradients<T> made(shape_of(x), {c.channels});
              T *pdx = data<T>(made.dx), *pdw = data<T>(made.dw), *pdb = data<T>(made.db);
              const T *pg = data<T>(gs), *px = data<T>(from), *pw = pointer<T>(w);
              const T *pm = pointer<T>(ms), *pr = pointer<T>(rs);
              without_gil(x.size(), [&] {
                active<T>().group_norm_vjp(pdx, pdw, pdb, pg, px, pw, pm, pr, c.outer, groups,
                                           c.channels / groups, c.inner);
              });
              return py::make_tuple(made.dx, made.dw, made.db);
            },
            g, x);
      },
      py::arg("g"), py::arg("x"), py::arg("weight"), py::arg("mean"), py::arg("rstd"),
      py::arg("groups"));
}

}  // namespace mt
