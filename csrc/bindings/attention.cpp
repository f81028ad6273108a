// Attention on any strides but of the last axis: what has been split into heads and transposed is
// read as it lies, and the results lie as the queries do, so that joining the heads again copies
// nothing.
#include <pybind11/stl.h>  // std::optional

#include <algorithm>
#include <numeric>

#include "common.h"

namespace mt {
namespace {

using Sizes = AttentionSizes;

// x, or a copy whose last axis is contiguous and all of whose strides are whole elements.
template <class T>
Array with_rows(const Array& x) {
  constexpr py::ssize_t item = sizeof(T);
  const int last = x.ndim() - 1;
  bool fits = x.flags() & py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  for (int d = 0; d < last; ++d) fits = fits && x.strides(d) % item == 0;
  return fits && (x.strides(last) == item || x.shape(last) <= 1) ? x : contiguous(x);
}

// An uninitialised array whose axes lie in memory in the order of those of `like`.
template <class T>
Array empty_like(const Shape& shape, const Array& like) {
  const int n = static_cast<int>(shape.size());
  std::vector<int> order(n);
  std::iota(order.begin(), order.end(), 0);
  if (shape_of(like) == shape)
    std::stable_sort(order.begin(), order.end() - 1,
                     [&](int a, int b) { return like.strides(a) > like.strides(b); });
  if (std::is_sorted(order.begin(), order.end())) return empty<T>(shape);
  Shape inside(n), strides(n);
  for (int d = 0; d < n; ++d) inside[d] = shape[order[d]];
  const Array block = empty<T>(inside);
  for (int d = 0; d < n; ++d) strides[order[d]] = block.strides(d);
  return Array(py::dtype::of<T>(), shape, strides, block.data(), block);
}

// The sizes of a call, and the operands' strides, entered one by one.
struct Call {
  Sizes s = {};
  Shape batch;
  std::string given;

  Call(const char* name, const Array& q, const Array& k, const Array& v,
       const std::optional<Array>& mask, bool causal, double scale) {
    given = std::string(name) + ": query " + describe(shape_of(q)) + ", key " +
            describe(shape_of(k)) + ", value " + describe(shape_of(v));
    if (q.ndim() < 2 || k.ndim() < 2 || v.ndim() < 2) fail(given + ": expected two axes or more");
    s.l = q.shape(q.ndim() - 2), s.e = q.shape(q.ndim() - 1);
    s.s = k.shape(k.ndim() - 2), s.v = v.shape(v.ndim() - 1);
    s.causal = causal, s.scale = scale;
    if (k.shape(k.ndim() - 1) != s.e || v.shape(v.ndim() - 2) != s.s)
      fail(given + ": expected (..., L, E), (..., S, E), (..., S, V)");
    widen(q), widen(k), widen(v);
    if (mask) widen(*mask);
    s.ndim = static_cast<int>(batch.size());
    s.count = 1;
    for (int d = 0; d < s.ndim; ++d) s.count *= s.size[d] = batch[d];
  }

  // The axes before the last two, which broadcast.
  void widen(const Array& x) {
    const int n = x.ndim() - 2;
    if (n > static_cast<int>(batch.size())) batch.insert(batch.begin(), n - batch.size(), 1);
    for (int d = 0; d < n; ++d) {
      py::ssize_t& size = batch[batch.size() - n + d];
      if (size == 1)
        size = x.shape(d);
      else if (x.shape(d) != 1 && x.shape(d) != size)
        fail(given + ": the axes before the last two do not broadcast");
    }
  }

  // Strides of x (batch, rows, cols) as an operand; axes of size 1 are repeated.
  template <class T>
  void enter(Sizes::Operand operand, const Array& x, int64_t rows, int64_t cols) {
    constexpr int64_t item = sizeof(T);
    const int n = x.ndim() - 2;
    const bool mask = operand == Sizes::kMask;
    bool fits = n >= 0 && n <= s.ndim;
    for (int d = 0; d < n && fits; ++d)
      fits = x.shape(d) == 1 || x.shape(d) == s.size[s.ndim - n + d];
    fits = fits && (x.shape(n) == rows || (mask && x.shape(n) == 1)) &&
           (x.shape(n + 1) == cols || (mask && x.shape(n + 1) == 1));
    if (!fits) fail(given + ": an operand " + describe(shape_of(x)) + " does not fit");
    for (int d = 0; d < s.ndim; ++d) {
      const int at = d - (s.ndim - n);
      s.batch[operand][d] = at < 0 || x.shape(at) == 1 ? 0 : x.strides(at) / item;
    }
    s.row[operand] = x.shape(n) == 1 ? 0 : x.strides(n) / item;
    if (mask) s.mask_col = x.shape(n + 1) == 1 ? 0 : 1;
  }

  Shape shaped(int64_t rows) const {
    Shape shape = batch;
    shape.push_back(rows);
    return shape;
  }
  Shape shaped(int64_t rows, int64_t cols) const {
    Shape shape = shaped(rows);
    shape.push_back(cols);
    return shape;
  }
};

template <class T>
py::tuple forward(const Array& q_given, const Array& k_given, const Array& v_given,
                  const std::optional<Array>& mask_given, bool causal, double scale) {
  Call call("attention", q_given, k_given, v_given, mask_given, causal, scale);
  Sizes& s = call.s;
  const Array q = with_rows<T>(q_given), k = with_rows<T>(k_given), v = with_rows<T>(v_given);
  const Array mask = mask_given ? with_rows<T>(*mask_given) : q;
  Array y = empty_like<T>(call.shaped(s.l, s.v), q), lse = empty<T>(call.shaped(s.l));
  call.enter<T>(Sizes::kQ, q, s.l, s.e);
  call.enter<T>(Sizes::kK, k, s.s, s.e);
  call.enter<T>(Sizes::kV, v, s.s, s.v);
  call.enter<T>(Sizes::kY, y, s.l, s.v);
  if (mask_given) call.enter<T>(Sizes::kMask, mask, s.l, s.s);
  T *py_ = data<T>(y), *plse = data<T>(lse);
  const T *pq = data<T>(q), *pk = data<T>(k), *pv = data<T>(v),
          *pm = mask_given ? data<T>(mask) : nullptr;
  without_gil([&] { active<T>().attention(py_, plse, pq, pk, pv, pm, s); });
  return py::make_tuple(y, lse);
}

template <class T>
py::tuple vjp(const Array& g_given, const Array& q_given, const Array& k_given,
              const Array& v_given, const std::optional<Array>& mask_given, const Array& y_given,
              const Array& lse_given, bool causal, double scale) {
  Call call("attention_vjp", q_given, k_given, v_given, mask_given, causal, scale);
  Sizes& s = call.s;
  const Array g = with_rows<T>(g_given), q = with_rows<T>(q_given), k = with_rows<T>(k_given);
  const Array v = with_rows<T>(v_given), y = with_rows<T>(y_given), lse = contiguous(lse_given);
  const Array mask = mask_given ? with_rows<T>(*mask_given) : q;
  if (shape_of(lse) != call.shaped(s.l) || shape_of(y) != call.shaped(s.l, s.v) ||
      shape_of(g) != shape_of(y))
    fail(call.given + ": the output, its gradient or lse have other sizes");
  Array dq = empty_like<T>(call.shaped(s.l, s.e), q), dk = empty_like<T>(call.shaped(s.s, s.e), k),
        dv = empty_like<T>(call.shaped(s.s, s.v), v);
  call.enter<T>(Sizes::kG, g, s.l, s.v);
  call.enter<T>(Sizes::kQ, q, s.l, s.e);
  call.enter<T>(Sizes::kK, k, s.s, s.e);
  call.enter<T>(Sizes::kV, v, s.s, s.v);
  call.enter<T>(Sizes::kY, y, s.l, s.v);
  call.enter<T>(Sizes::kDq, dq, s.l, s.e);
  call.enter<T>(Sizes::kDk, dk, s.s, s.e);
  call.enter<T>(Sizes::kDv, dv, s.s, s.v);
  if (mask_given) call.enter<T>(Sizes::kMask, mask, s.l, s.s);
  T *pdq = data<T>(dq), *pdk = data<T>(dk), *pdv = data<T>(dv);
  const T *pg = data<T>(g), *pq = data<T>(q), *pk = data<T>(k), *pv = data<T>(v),
          *pm = mask_given ? data<T>(mask) : nullptr, *py_ = data<T>(y), *plse = data<T>(lse);
  without_gil([&] { active<T>().attention_vjp(pdq, pdk, pdv, pg, pq, pk, pv, pm, py_, plse, s); });
  return py::make_tuple(dq, dk, dv);
}

template <class T>
void check_mask(const std::optional<Array>& mask) {
  if (mask && (!is<T>(*mask) || mask->ndim() < 2))
    fail_dtype("attention: the mask must have two axes or more, and the queries' dtype");
}

}  // namespace

void bind_attention(py::module_& m) {
  m.def(
      "attention",
      [](const Array& q, const Array& k, const Array& v, const std::optional<Array>& mask,
         bool causal, double scale) {
        return by_dtype(
            "attention",
            [&](auto t) {
              check_mask<decltype(t)>(mask);
              return forward<decltype(t)>(q, k, v, mask, causal, scale);
            },
            q, k, v);
      },
      py::arg("q"), py::arg("k"), py::arg("v"), py::arg("mask"), py::arg("causal"),
      py::arg("scale"));
  m.def(
      "attention_vjp",
      [](const Array& g, const Array& q, const Array& k, const Array& v,
         const std::optional<Array>& mask, const Array& y, const Array& lse, bool causal,
         double scale) {
        return by_dtype(
            "attention_vjp",
            [&](auto t) {
              check_mask<decltype(t)>(mask);
              return vjp<decltype(t)>(g, q, k, v, mask, y, lse, causal, scale);
            },
            q, g, k, v, y, lse);
      },
      py::arg("g"), py::arg("q"), py::arg("k"), py::arg("v"), py::arg("mask"), py::arg("y"),
      py::arg("lse"), py::arg("causal"), py::arg("scale"));
}

}  // namespace mt
