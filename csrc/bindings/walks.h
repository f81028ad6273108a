// How arrays of any layout are walked together: views of them, and the plan of a Walk.
#pragma once

#include <algorithm>

#include "../kernels/place.h"
#include "common.h"

namespace mt {

// An operand: an array's place and steps in bytes, or a number that has no axes.
struct View {
  const void* data = nullptr;
  int ndim = 0;
  const py::ssize_t *shape = nullptr, *strides = nullptr;
  py::ssize_t item = 1;
  bool contiguous = true, number = true;
};

inline std::string shapes(const View* in, int n) {
  std::string s;
  for (int k = 0; k < n; ++k)
    s += (k ? " and " : "") + describe(Shape(in[k].shape, in[k].shape + in[k].ndim));
  return s;
}

// x as it lies if its strides are whole elements and it is aligned, else a copy that `held` keeps.
inline View view(const Array& x, py::object& held) {
  const auto* a = py::detail::array_proxy(x.ptr());
  const py::ssize_t size = x.itemsize();
  bool whole = a->flags & py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  const bool contiguous = a->flags & py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_;
  for (int d = 0; d < a->nd && !contiguous; ++d) whole = whole && a->strides[d] % size == 0;
  if (!whole) {
    held = mt::contiguous(x);
    a = py::detail::array_proxy(held.ptr());
  }
  return {a->data, a->nd, a->dimensions, a->strides, size, contiguous || !whole, false};
}

// The sizes of a result.
struct Sizes {
  int ndim = 0;
  py::ssize_t n[kMaxDims];
};

// Where the n operands are contiguous and of one shape, or numbers, the walk is one row.
inline bool plan_row(const View* in, int n, Walk& walk, Sizes& shape) {
  const View* first = nullptr;
  for (int k = 0; k < n; ++k) {
    walk.stride[k + 1][0] = in[k].number ? 0 : 1;
    if (in[k].number) continue;
    if (!in[k].contiguous) return false;
    if (first == nullptr) {
      first = &in[k];
      continue;
    }
    if (in[k].ndim != first->ndim) return false;
    for (int d = 0; d < first->ndim; ++d)
      if (in[k].shape[d] != first->shape[d]) return false;
  }
  shape.ndim = first->ndim;
  walk.ndim = 1;
  walk.count = 1;
  walk.stride[0][0] = 1;
  for (int d = 0; d < first->ndim; ++d) walk.count *= shape.n[d] = first->shape[d];
  walk.size[0] = walk.count;
  return true;
}

// The common shape of n operands.
inline void broadcast(const char* name, const View* in, int n, Sizes& shape) {
  shape.ndim = 0;
  for (int k = 0; k < n; ++k) shape.ndim = std::max(shape.ndim, in[k].ndim);
  for (int d = 0; d < shape.ndim; ++d) {
    shape.n[d] = 1;
    for (int k = 0; k < n; ++k) {
      const int axis = d - (shape.ndim - in[k].ndim);
      const py::ssize_t size = axis < 0 ? 1 : in[k].shape[axis];
      if (size != 1 && shape.n[d] != 1 && size != shape.n[d])
        fail(std::string(name) + ": shapes " + shapes(in, n) + " do not broadcast");
      if (size != 1) shape.n[d] = size;
    }
  }
}

// How far an operand steps along an axis of the common shape, in elements.
inline int64_t step(const View& x, const Sizes& shape, int d) {
  const int axis = d - (shape.ndim - x.ndim);
  return axis < 0 || (x.shape[axis] == 1 && shape.n[d] != 1) ? 0 : x.strides[axis] / x.item;
}

// Whether axis a is to lie inside axis b: the first operand that steps along both says so.
inline int inside(const View* in, int n, const Sizes& shape, int a, int b) {
  for (int k = 0; k < n; ++k) {
    const int64_t one = step(in[k], shape, a), other = step(in[k], shape, b);
    if (one == 0 || other == 0) continue;
    if (one != other) return one < other ? 1 : -1;
    if (shape.n[a] > shape.n[b]) return -1;
  }
  return 0;
}

// The axes of a result from the outermost to the innermost: it lies in memory as its first operand
// does, and where that is broadcast, as the next. False if this is their own order.
inline bool order_of(const View* in, int n, const Sizes& shape, int* order) {
  bool straight = true;
  for (int k = 0; k < n; ++k) straight = straight && in[k].contiguous;
  for (int d = 0; d < shape.ndim; ++d) order[d] = d;
  if (straight) return false;
  for (int d = shape.ndim - 2; d >= 0; --d)
    for (int at = d, next = d + 1; next < shape.ndim; ++next) {
      const int found = inside(in, n, shape, order[next], order[at]);
      if (found > 0) break;
      if (found == 0) continue;
      std::swap(order[at], order[next]);
      at = next;
    }
  return !std::is_sorted(order, order + shape.ndim);
}

// The walk over the n operands, 1 to n, through a common shape whose axes are taken in this order.
// The output lies as `out` does, which has that shape, or where it is null in that order.
inline void plan(const char* name, const View* in, int n, const Sizes& shape, const int* order,
                 Walk& walk, const View* out = nullptr) {
  const int first = out == nullptr ? 1 : 0;
  walk.ndim = 0;
  walk.count = 1;
  for (int i = 0; i < shape.ndim; ++i) {
    const int d = order[i];
    const py::ssize_t common = shape.n[d];
    if (__builtin_mul_overflow(walk.count, common, &walk.count))
      fail(std::string(name) + ": shapes " + shapes(in, n) +
           " broadcast to more elements than can be counted");
    if (common == 1) continue;
    int64_t stride[4];
    for (int k = 1; k <= n; ++k) stride[k] = step(in[k - 1], shape, d);
    if (out != nullptr) stride[0] = step(*out, shape, d);
    // This axis and the one before it are one if every array steps from row to row as it would
    // within a row.
    bool merges = walk.ndim > 0;
    for (int k = first; k <= n; ++k)
      merges = merges && walk.stride[k][walk.ndim - 1] == stride[k] * common;
    if (!merges) walk.size[walk.ndim++] = 1;
    walk.size[walk.ndim - 1] *= common;
    for (int k = first; k <= n; ++k) walk.stride[k][walk.ndim - 1] = stride[k];
  }
  if (walk.ndim == 0) {
    walk.ndim = 1;
    walk.size[0] = 1;
    for (int k = 0; k <= n; ++k) walk.stride[k][0] = k == 0;
  }
  if (out != nullptr) return;
  for (int64_t d = walk.ndim - 1, step = 1; d >= 0; step *= walk.size[d--])
    walk.stride[0][d] = step;
}

// The same through the axes in their own order, and the common shape.
inline void plan(const char* name, const View* in, int n, Walk& walk, Sizes& shape) {
  int order[kMaxDims];
  broadcast(name, in, n, shape);
  order_of(in, 0, shape, order);
  plan(name, in, n, shape, order, walk);
}

// An array of that shape whose axes lie in memory in this order.
inline Array empty_in_order(PyObject* descriptor, size_t item, const Sizes& shape,
                            const int* order) {
  py::ssize_t sizes[kMaxDims];
  for (int d = 0; d < shape.ndim; ++d) sizes[d] = shape.n[order[d]];
  const Array whole = empty(descriptor, item, shape.ndim, sizes);
  Shape strides(shape.ndim);
  auto step = static_cast<py::ssize_t>(item);
  for (int d = shape.ndim - 1; d >= 0; step *= sizes[d--]) strides[order[d]] = step;
  return Array(py::reinterpret_borrow<py::dtype>(descriptor), Shape(shape.n, shape.n + shape.ndim),
               strides, whole.data(), whole);
}

// Where an array begins and ends in memory.
inline void bounds(const View& x, const char*& low, const char*& high) {
  low = static_cast<const char*>(x.data);
  high = low + x.item;
  for (int d = 0; d < x.ndim; ++d)
    (x.strides[d] < 0 ? low : high) += x.strides[d] * (x.shape[d] - 1);
}

// Whether `out` can be written while x is read: x is that very memory, in order, or none of it.
inline bool apart(const View& x, const View& out) {
  if (x.number || (x.data == out.data && x.ndim == out.ndim &&
                   std::equal(x.shape, x.shape + x.ndim, out.shape) &&
                   (std::equal(x.strides, x.strides + x.ndim, out.strides) ||
                    (x.contiguous && out.contiguous))))
    return true;
  for (int d = 0; d < x.ndim; ++d)
    if (x.shape[d] == 0) return true;
  const char *low, *high, *begin, *end;
  bounds(x, low, high);
  bounds(out, begin, end);
  return high <= begin || low >= end;
}

// The walk over the n operands, and the output: the array `into` if one is given (null if the
// result cannot be written there), else a new one.
inline Array planned(const char* name, const View* in, int n, PyObject* into, PyObject* descriptor,
                     size_t item, Walk& walk) {
  Sizes shape;
  int order[kMaxDims];
  if (into == nullptr) {
    bool moved = false;
    if (!plan_row(in, n, walk, shape)) {
      broadcast(name, in, n, shape);
      moved = order_of(in, n, shape, order);
      plan(name, in, n, shape, order, walk);
    }
    return moved ? empty_in_order(descriptor, item, shape, order)
                 : empty(descriptor, item, shape.ndim, shape.n);
  }
  const Array none = py::reinterpret_steal<Array>(static_cast<PyObject*>(nullptr));
  if (!py::isinstance<Array>(into)) return none;
  const auto out = py::reinterpret_borrow<Array>(into);
  py::object held;
  const View to = view(out, held);
  if (py::detail::array_proxy(into)->descr != descriptor || !out.writeable() || held) return none;
  for (int d = 0; d < to.ndim; ++d)
    if (to.strides[d] == 0 && to.shape[d] > 1) return none;
  const bool row = plan_row(in, n, walk, shape);
  if (!row) broadcast(name, in, n, shape);
  if (shape.ndim != to.ndim || !std::equal(shape.n, shape.n + shape.ndim, to.shape)) return none;
  for (int k = 0; k < n; ++k)
    if (!apart(in[k], to)) return none;
  if (!row || !to.contiguous) {
    order_of(&to, 1, shape, order);
    plan(name, in, n, shape, order, walk, &to);
  }
  return out;
}

}  // namespace mt
