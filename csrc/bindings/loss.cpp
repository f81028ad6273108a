// Errors of numbers against their targets, and cross-entropy with class indices: logits (N, C, ...)
// or (C,), targets the same without C.
#include <pybind11/stl.h>

#include <algorithm>
#include <optional>

#include "../kernels/place.h"
#include "common.h"

namespace mt {

namespace {

// --- d^2, |d| or Huber's error of d = x - y: kernel after kernel on pieces, so that what stands
// between the kernels stays in the first cache

constexpr int64_t kPiece = 1 << 13;  // elements

// One row of n: the output, and operands that are as long, or one number.
Walk row(int64_t n, bool long_second = true) {
  Walk walk;
  walk.ndim = 1;
  walk.count = walk.size[0] = n;
  walk.stride[0][0] = walk.stride[1][0] = 1;
  walk.stride[2][0] = long_second;
  return walk;
}

template <class T>
struct Error {
  const Kernels<T>& k;
  char kind;  // of squared, absolute, huber
  T delta;
  // out = the errors of n elements, or their slopes
  void of(T* out, const T* x, const T* y, int64_t n) const {
    const Walk walk = row(n);
    k.sub(out, x, y, walk);
    if (kind == 's')
      k.square(out, out, walk);
    else if (kind == 'a')
      k.abs(out, out, walk);
    else
      k.huber(out, out, delta, walk);
  }
  void slopes(T* out, const T* x, const T* y, int64_t n) const {
    const Walk walk = row(n);
    k.sub(out, x, y, walk);
    if (kind == 's')
      k.add(out, out, out, walk);
    else if (kind == 'a')
      k.sign(out, out, walk);
    else
      k.clamp(out, out, -delta, delta, walk);
  }
};

// Whether they are contiguous arrays of one shape and one floating dtype.
bool alike(const Array& x, const Array& y) {
  constexpr int wanted =
      py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  return is_floating(x) && x.dtype().is(y.dtype()) && x.ndim() == y.ndim() &&
         std::equal(x.shape(), x.shape() + x.ndim(), y.shape()) &&
         (x.flags() & y.flags() & wanted) == wanted;
}

// f(Error, begin, n) for every piece of x
template <class F>
void for_pieces_of(const Array& x, const std::string& kind, double delta, const F& f) {
  by_dtype(
      "error",
      [&](auto t) {
        using T = decltype(t);
        const Error<T> error{active<T>(), kind[0], static_cast<T>(delta)};
        const int64_t n = x.size();
        without_gil(n, [&] {
          for_even_ranges(
              (n + kPiece - 1) / kPiece, kGrain / kPiece, [&](int64_t first, int64_t last) {
                for (int64_t b = first * kPiece; b < n && b < last * kPiece; b += kPiece)
                  f(error, b, std::min(kPiece, n - b));
              });
        });
      },
      x);
}

py::object error(const Array& x, const Array& y, const std::string& kind, double delta) {
  if (!alike(x, y)) return py::none();
  Array out = empty(x.dtype(), shape_of(x));
  void* const to = out.mutable_data();
  for_pieces_of(x, kind, delta, [&](const auto& e, int64_t b, int64_t n) {
    using T = std::decay_t<decltype(e.delta)>;
    e.of(static_cast<T*>(to) + b, data<T>(x) + b, data<T>(y) + b, n);
  });
  return out;
}

// g times the slopes; g is one number or as long as they are.
py::object error_vjp(const Array& g, const Array& x, const Array& y, const std::string& kind,
                     double delta) {
  if (!alike(x, y) || !x.dtype().is(g.dtype()) || (g.ndim() > 0 && !alike(x, g))) return py::none();
  Array out = empty(x.dtype(), shape_of(x));
  void* const to = out.mutable_data();
  const bool whole = g.ndim() > 0;
  for_pieces_of(x, kind, delta, [&](const auto& e, int64_t b, int64_t n) {
    using T = std::decay_t<decltype(e.delta)>;
    T* const slopes = static_cast<T*>(to) + b;
    e.slopes(slopes, data<T>(x) + b, data<T>(y) + b, n);
    e.k.mul(slopes, slopes, data<T>(g) + (whole ? b : 0), row(n, whole));
  });
  return out;
}

// The sum of the errors, of pieces and then of these.
py::object total_error(const Array& x, const Array& y, const std::string& kind, double delta) {
  if (!alike(x, y) || x.size() == 0) return py::none();
  Array sums = empty(x.dtype(), Shape{(x.size() + kPiece - 1) / kPiece}),
        out = empty(x.dtype(), {});
  void *const to = sums.mutable_data(), *const total = out.mutable_data();
  for_pieces_of(x, kind, delta, [&](const auto& e, int64_t b, int64_t n) {
    using T = std::decay_t<decltype(e.delta)>;
    T errors[kPiece];
    e.of(errors, data<T>(x) + b, data<T>(y) + b, n);
    e.k.sum(static_cast<T*>(to) + b / kPiece, errors, 1, n, 1);
  });
  by_dtype(
      "error",
      [&](auto t) {
        using T = decltype(t);
        active<T>().sum(static_cast<T*>(total), static_cast<const T*>(to), 1, sums.size(), 1);
      },
      x);
  return out;
}

// --- cross-entropy

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
  // `kind` is squared, absolute or huber. None where the arrays differ in shape or dtype or have
  // gaps.
  def_fast(m, "error",
           "error(x: numpy.ndarray, y: numpy.ndarray, kind: str, delta: float) -> numpy.ndarray",
           typed<error>);
  def_fast(m, "error_vjp",
           "error_vjp(g: numpy.ndarray, x: numpy.ndarray, y: numpy.ndarray, kind: str, delta: "
           "float) -> numpy.ndarray",
           typed<error_vjp>);
  def_fast(m, "total_error",
           "total_error(x: numpy.ndarray, y: numpy.ndarray, kind: str, delta: float) -> "
           "numpy.ndarray",
           typed<total_error>);
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
