// Errors of numbers against their targets, and cross-entropy with class indices: logits (N, C, ...)
// or (C,), targets the same without C.
#include <pybind11/stl.h>

#include <algorithm>
#include <cmath>
#include <optional>

#include "common.h"

namespace mt {

Measure measure(PyObject* kind, PyObject* delta) {
  const auto name = Argument<std::string>::get(kind);
  if (name == "squared") return {0, HUGE_VAL, 2, 1};
  if (name == "absolute") return {1, 1, 1, 0};
  require(name == "huber", "error: the kind is none of 'squared', 'absolute' and 'huber'");
  return {0, Argument<double>::get(delta), 1, 0.5};
}

namespace {

// The sum of the errors of x and y, arrays of one shape and dtype, or None; the mean is that
// divided by their number.
PyObject* total_error(PyObject* const* arguments, Py_ssize_t given) {
  if (given != 5 || !py::isinstance<Array>(arguments[0]) || !py::isinstance<Array>(arguments[1]))
    Py_RETURN_NONE;
  const Array x = contiguous(py::reinterpret_borrow<Array>(arguments[0]));
  const Array y = contiguous(py::reinterpret_borrow<Array>(arguments[1]));
  if (!is_floating(x) || !x.dtype().is(y.dtype()) || x.ndim() != y.ndim() ||
      !std::equal(x.shape(), x.shape() + x.ndim(), y.shape()))
    Py_RETURN_NONE;
  const Measure m = measure(arguments[2], arguments[3]);
  const bool mean = arguments[4] == Py_True;
  const auto typed = [&](auto t) {
    using T = decltype(t);
    Array total = empty<T>({});
    T* const to = data<T>(total);
    const T *px = data<T>(x), *py_ = data<T>(y);
    const int64_t n = x.size();
    without_gil(n, [&] { active<T>().total_error(to, px, py_, m, n); });
    if (mean) *to /= static_cast<T>(n);
    return total;
  };
  return by_dtype("total_error", typed, x).release().ptr();
}

// The logits as (outer, n, inner), the targets checked against them.
struct Classes {
  int64_t outer = 1, n, inner = 1;
  Shape rows;

  Classes(const std::string& op, const Array& x, const Array& target, int64_t ignored)
      : rows(shape_of(x)) {
    if (rows.empty()) fail(op + ": logits have at least one axis, that of the classes");
    const size_t axis = rows.size() == 1 ? 0 : 1;
    n = rows[axis];
    if (axis == 1) outer = rows[0];
    for (size_t i = 2; i < rows.size(); ++i) inner *= rows[i];
    rows.erase(rows.begin() + static_cast<ptrdiff_t>(axis));
    if (!is<int64_t>(target)) fail_dtype(op + ": class indices are int64");
    if (shape_of(target) != rows)
      fail(op + ": logits " + describe(shape_of(x)) + " need targets of shape " + describe(rows) +
           ", got " + describe(shape_of(target)));
    const auto* t = data<int64_t>(target);
    for (py::ssize_t i = 0; i < target.size(); ++i)
      if ((t[i] < 0 || t[i] >= n) && t[i] != ignored)
        fail_index(op + ": class index " + std::to_string(t[i]) + " is out of range for " +
                   std::to_string(n) + " classes");
  }
};

// The weights, one for each of n classes, or nothing; if given, contiguous.
template <class T>
std::optional<Array> weights(const std::optional<Array>& weight, int64_t n) {
  if (!weight) return std::nullopt;
  if (!is<T>(*weight)) fail_dtype("cross_entropy: the weights' dtype is not that of the logits");
  require(weight->ndim() == 1 && weight->size() == n,
          "cross_entropy: there is not one weight for each class");
  return contiguous(*weight);
}

enum Reduction { kNone, kSum, kMean };

Reduction reduction_of(const std::string& name) {
  if (name == "none") return kNone;
  if (name == "sum") return kSum;
  require(name == "mean", "cross_entropy: the reduction is none of 'none', 'mean' and 'sum'");
  return kMean;
}

// Whether the targets and the weights are such for the logits.
bool fits(const Array& x, const Array& target, const std::optional<Array>& weight) {
  if (!is_floating(x) || !is<int64_t>(target) || x.ndim() == 0 || target.ndim() != x.ndim() - 1)
    return false;
  const py::ssize_t axis = x.ndim() == 1 ? 0 : 1;
  for (py::ssize_t d = 0; d < target.ndim(); ++d)
    if (target.shape(d) != x.shape(d < axis ? d : d + 1)) return false;
  return x.shape(axis) > 0 && (!weight || (weight->ndim() == 1 && weight->size() == x.shape(axis) &&
                                           weight->dtype().is(x.dtype())));
}

py::object cross_entropy(const Array& x, const Array& target, const std::optional<Array>& weight,
                         const std::string& reduction, int64_t ignored, double smoothing) {
  if (!fits(x, target, weight)) return py::none();
  const Array at = contiguous(target);
  const Classes c("cross_entropy", x, at, ignored);
  const Reduction how = reduction_of(reduction);
  const auto typed = [&](auto t) {
    using T = decltype(t);
    const Array from = contiguous(x);
    const std::optional<Array> w = weights<T>(weight, c.n);
    Array rows = empty<T>(c.rows), lse = empty<T>(c.rows), total = empty<T>({});
    Array loss = how == kNone ? rows : empty<T>({});
    T *prows = data<T>(rows), *plse = data<T>(lse), *ptotal = data<T>(total);
    T* ploss = how == kNone ? nullptr : data<T>(loss);
    const T *px = data<T>(from), *pw = w ? data<T>(*w) : nullptr;
    const auto* pt = data<int64_t>(at);
    without_gil(x.size(), [&] {
      active<T>().cross_entropy(prows, plse, ptotal, ploss, px, pt, pw, static_cast<T>(smoothing),
                                ignored, how == kMean, c.outer, c.n, c.inner);
    });
    return py::make_tuple(loss, lse, total);
  };
  return by_dtype("cross_entropy", typed, x);
}

Array cross_entropy_vjp(const Array& g, const Array& x, const Array& target,
                        const std::optional<Array>& weight, const Array& lse, const Array& total,
                        const std::string& reduction, int64_t ignored, double smoothing) {
  const Array at = contiguous(target);
  const Classes c("cross_entropy_vjp", x, at, ignored);
  const Reduction how = reduction_of(reduction);
  require(shape_of(lse) == c.rows && total.size() == 1,
          "cross_entropy_vjp: lse or total has the wrong shape");
  require(how == kNone ? shape_of(g) == c.rows : g.size() == 1,
          "cross_entropy_vjp: g has the wrong shape");
  const auto typed = [&](auto t) {
    using T = decltype(t);
    const Array from = contiguous(x), gs = contiguous(g), norm = contiguous(lse),
                sum = contiguous(total);
    const std::optional<Array> w = weights<T>(weight, c.n);
    Array dx = empty<T>(shape_of(x));
    T* pdx = data<T>(dx);
    const T *pg = data<T>(gs), *px = data<T>(from), *plse = data<T>(norm),
            *pw = w ? data<T>(*w) : nullptr;
    const T* ptotal = how == kMean ? data<T>(sum) : nullptr;
    const auto* pt = data<int64_t>(at);
    without_gil(x.size(), [&] {
      active<T>().cross_entropy_vjp(pdx, pg, px, plse, ptotal, pt, pw, static_cast<T>(smoothing),
                                    ignored, how != kNone, c.outer, c.n, c.inner);
    });
    return dx;
  };
  return by_dtype("cross_entropy_vjp", typed, g, x, lse, total);
}

py::object nll(const Array& x, const Array& target, const std::optional<Array>& weight,
               const std::string& reduction, int64_t ignored) {
  if (!fits(x, target, weight)) return py::none();
  const Array at = contiguous(target);
  const Classes c("nll_loss", x, at, ignored);
  const Reduction how = reduction_of(reduction);
  const auto typed = [&](auto t) {
    using T = decltype(t);
    const Array from = contiguous(x);
    const std::optional<Array> w = weights<T>(weight, c.n);
    Array rows = empty<T>(c.rows);
    Array loss = how == kNone ? rows : empty<T>({});
    T total;
    active<T>().nll(data<T>(rows), &total, how == kNone ? nullptr : data<T>(loss), data<T>(from),
                    data<int64_t>(at), w ? data<T>(*w) : nullptr, ignored, how == kMean, c.outer,
                    c.n, c.inner);
    return loss;
  };
  return by_dtype("nll_loss", typed, x);
}
}  // namespace

void bind_loss(py::module_& m) {
  MT_CALLED("total_error",
            "(x: numpy.ndarray, y: numpy.ndarray, kind: str, delta: float, mean: bool) -> "
            "numpy.ndarray",
            total_error(arguments, given));
  // -> (loss, lse, total weight of the targets); None where these are no targets or weights of x
  def_fast(m, "cross_entropy",
           "cross_entropy(x: numpy.ndarray, target: numpy.ndarray, weight: numpy.ndarray | None, "
           "reduction: str, ignore_index: int, label_smoothing: float) -> tuple",
           typed<cross_entropy>);
  def_fast(m, "cross_entropy_vjp",
           "cross_entropy_vjp(g: numpy.ndarray, x: numpy.ndarray, target: numpy.ndarray, weight: "
           "numpy.ndarray | None, lse: numpy.ndarray, total: numpy.ndarray, reduction: str, "
           "ignore_index: int, label_smoothing: float) -> numpy.ndarray",
           typed<cross_entropy_vjp>);
  def_fast(m, "nll",
           "nll(x: numpy.ndarray, target: numpy.ndarray, weight: numpy.ndarray | None, reduction: "
           "str, ignore_index: int) -> numpy.ndarray",
           typed<nll>);
  m.def(
      "nll_vjp",
      [](const Array& g, const Array& target, const std::optional<Array>& weight,
         const Shape& shape, const std::string& reduction, int64_t ignored) {
        const Array at = contiguous(target);
        const Reduction how = reduction_of(reduction);
        return by_dtype(
            "nll_loss_vjp",
            [&](auto t) {
              using T = decltype(t);
              Array dx = empty<T>(shape);
              const Classes c("nll_loss_vjp", dx, at, ignored);
              require(how == kNone ? shape_of(g) == c.rows : g.size() == 1,
                      "nll_loss_vjp: g has the wrong shape");
              const Array gs = contiguous(g);
              const std::optional<Array> w = weights<T>(weight, c.n);
              const auto* pt = data<int64_t>(at);
              const T *pg = data<T>(gs), *pw = w ? data<T>(*w) : nullptr;
              double weights = 0;
              for (int64_t i = 0; i < at.size(); ++i)
                if (pt[i] != ignored) weights += pw == nullptr ? T(1) : pw[pt[i]];
              const T total = static_cast<T>(weights);
              T* to = data<T>(dx);
              without_gil(dx.size(), [&] {
                active<T>().nll_vjp(to, pg, how == kMean ? &total : nullptr, pt, pw, ignored,
                                    how != kNone, c.outer, c.n, c.inner);
              });
              return dx;
            },
            g);
      },
      py::arg("g"), py::arg("target"), py::arg("weight"), py::arg("shape"), py::arg("reduction"),
      py::arg("ignore_index"));
}

}  // namespace mt
