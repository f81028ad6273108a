// Padding: how the axes of x are laid out for the kernel, which knows runs of elements alone.
#include <cstring>

#include "walks.h"

namespace mt {
namespace {

// What lies outside of x: one value, or x mirrored, its ends, x again. In the order of Python's
// table.
enum class Mode : int64_t { kValue, kReflect, kReplicate, kCircular };

struct Axis {
  int64_t n, step, before, after;
};

Runs runs_of(const Axis& a, Mode mode) {
  const int64_t first = std::max<int64_t>(-a.before, 0),
                last = a.n - std::max<int64_t>(-a.after, 0);
  Runs r{{std::max<int64_t>(a.before, 0), last - first, std::max<int64_t>(a.after, 0)},
         {0, first, 0},
         {0, 1, 0}};
  if (mode == Mode::kReflect) {  // x mirrored at its ends, which are not repeated
    r.from[0] = a.before;
    r.from[2] = a.n - 2;
    r.step[0] = r.step[2] = -1;
  } else if (mode == Mode::kReplicate) {
    r.from[2] = a.n - 1;
  } else if (mode == Mode::kCircular) {  // of what is left
    r.from[0] = last - a.before;
    r.from[2] = first;
    r.step[0] = r.step[2] = 1;
  }
  for (int k = 0; k < 3; ++k) {
    if (r.count[k] == 0) r.from[k] = r.step[k] = 0;
    r.from[k] *= a.step;
    r.step[k] *= a.step;
  }
  return r;
}

using Widths = std::pair<int64_t, int64_t>;

// The (before, after) of each of ndim axes; false where they are none, or too large to be counted.
bool widths_of(const py::tuple& given, int ndim, Widths* widths) {
  constexpr int64_t kMost = int64_t{1} << 40;
  if (static_cast<int>(given.size()) != ndim) return false;
  for (int d = 0; d < ndim; ++d) {
    PyObject* pair = PyTuple_GET_ITEM(given.ptr(), d);
    if (!PyTuple_Check(pair) || PyTuple_GET_SIZE(pair) != 2) return false;
    int64_t width[2];
    for (int k = 0; k < 2; ++k) {
      PyObject* number = PyTuple_GET_ITEM(pair, k);
      if (!Argument<int64_t>::fits(number)) return false;
      width[k] = Argument<int64_t>::get(number);
      if (width[k] > kMost || width[k] < -kMost) return false;
    }
    widths[d] = {width[0], width[1]};
  }
  return true;
}

// How x is padded, and the sizes of what it becomes; false where an end takes what is not there.
bool plan_padding(const View& x, const Widths* widths, Mode mode, Padding& p, py::ssize_t* sizes) {
  Axis axis[kMaxDims];
  int count = 0;  // of axes, from the innermost on; an axis and those inside it are one if they can
  for (int d = x.ndim - 1; d >= 0; --d) {
    const auto [before, after] = widths[d];
    const int64_t n = x.shape[d], step = x.strides[d] / x.item;
    sizes[d] = n + before + after;
    const int64_t kept = n + std::min<int64_t>(before, 0) + std::min<int64_t>(after, 0);
    const int64_t most = mode == Mode::kReflect               ? n - 1
                         : mode == Mode::kCircular            ? kept
                         : mode == Mode::kReplicate && n == 0 ? 0
                                                              : INT64_MAX;
    if (sizes[d] < 0 || kept < 0 || std::max(before, after) > std::max<int64_t>(most, 0))
      return false;
    Axis* const inner = count > 0 ? &axis[count - 1] : nullptr;
    const bool lines = mode == Mode::kValue || mode == Mode::kCircular;  // whole ones move alike
    if (inner != nullptr && inner->before == 0 && inner->after == 0 && inner->n > 0 &&
        step == inner->n * inner->step && (lines || (before == 0 && after == 0)))
      *inner = {n * inner->n, inner->step, before * inner->n, after * inner->n};
    else
      axis[count++] = {n, step, before, after};
  }
  while (count < 2) axis[count++] = {1, 1, 0, 0};
  p.ndim = count;
  for (int d = 0; d < count; ++d) p.axis[d] = runs_of(axis[count - 1 - d], mode);
  return true;
}

// The value as an element of x, whose bits a kernel moves; false if x has no such elements.
bool bits_of(double value, const Array& x, void* bits) {
  const auto put = [&](auto number) {
    std::memcpy(bits, &number, sizeof number);
    return true;
  };
  if (is<float>(x)) return put(static_cast<float>(value));
  if (is<double>(x)) return put(value);
  if (!(std::abs(value) < (int64_t{1} << 31))) return false;
  if (is<int32_t>(x)) return put(static_cast<int32_t>(value));
  return is<int64_t>(x) && put(static_cast<int64_t>(value));
}

// x with `widths`, a tuple of (before, after) for each axis, more elements, or fewer where they are
// negative: of one value, or of its own; None where the kernels do not take it.
py::object pad(const Array& x, const py::tuple& given, int64_t how, double value) {
  const auto mode = static_cast<Mode>(how);
  py::object held;
  const View from = view(x, held);
  Widths widths[kMaxDims];
  py::ssize_t sizes[kMaxDims];
  Padding p;
  const bool values = mode == Mode::kValue;
  char bits[8] = {};
  if ((from.item != 4 && from.item != 8) || held || (values && !bits_of(value, x, bits)) ||
      !widths_of(given, from.ndim, widths) || !plan_padding(from, widths, mode, p, sizes))
    return py::none();
  Array out = empty(x.dtype().ptr(), from.item, from.ndim, sizes);
  const auto run = [&](auto t) {
    using T = decltype(t);
    T* const to = static_cast<T*>(out.mutable_data());
    T outside;
    std::memcpy(&outside, bits, sizeof outside);
    without_gil(out.size(), [&] {
      active<T>().pad(to, static_cast<const T*>(from.data), values ? &outside : nullptr, p);
    });
  };
  if (from.item == 4)
    run(float{});
  else
    run(double{});
  return out;
}

// The gradient by x of padding by its own elements.
py::object pad_vjp(const Array& g, const py::tuple& given, int64_t mode) {
  const auto ndim = static_cast<int>(g.ndim());
  Widths widths[kMaxDims];
  py::ssize_t shape[kMaxDims], strides[kMaxDims], sizes[kMaxDims];
  Padding p;
  if (!is_floating(g) || !widths_of(given, ndim, widths)) return py::none();
  bool whole = true;  // nothing of x is cropped
  for (int d = 0; d < ndim; ++d) {
    shape[d] = g.shape(d) - widths[d].first - widths[d].second;
    whole = whole && widths[d].first >= 0 && widths[d].second >= 0;
    if (shape[d] < 0) return py::none();
  }
  for (int d = ndim - 1; d >= 0; --d)
    strides[d] = d == ndim - 1 ? g.itemsize() : strides[d + 1] * shape[d + 1];
  View x;
  x.ndim = ndim;
  x.shape = shape;
  x.strides = strides;
  x.item = g.itemsize();
  if (!plan_padding(x, widths, static_cast<Mode>(mode), p, sizes)) return py::none();
  return by_dtype(
      "pad_vjp",
      [&](auto t) {
        using T = decltype(t);
        const Array from = contiguous(g);
        Array dx = empty<T>(ndim, shape);
        T* const to = data<T>(dx);
        if (!whole) std::fill_n(to, dx.size(), T(0));
        without_gil(g.size(), [&] { active<T>().pad_vjp(to, data<T>(from), p, !whole); });
        return py::object(dx);
      },
      g);
}

}  // namespace

void bind_pad(py::module_& m) {
  def_fast(m, "pad",
           "pad(x: numpy.ndarray, widths: tuple[tuple[int, int], ...], mode: int, value: float) -> "
           "numpy.ndarray | None",
           typed<pad>);
  def_fast(m, "pad_vjp",
           "pad_vjp(g: numpy.ndarray, widths: tuple[tuple[int, int], ...], mode: int) -> "
           "numpy.ndarray | None",
           typed<pad_vjp>);
}

}  // namespace mt
