// The axis along which a softmax or a loss works, as vectors. x is (outer, n, inner), the axis is
// the middle. With inner = 1 a line is a row and a vector holds neighbours of it; else a line is
// kLanes neighbouring columns, a vector holds one element of each, and nothing is ever summed
// across lanes. A formula written with `each`, `sum` and `highest` holds for both.
#pragma once

#include "../runtime/parallel.h"
#include "../simd.h"

namespace mt::MT_ISA {
namespace {

template <class T>
struct Along {
  int64_t n;
  // f(place, count) for every vector of the line: count elements from x + place.
  template <class F>
  void each(const F& f) const {
    int64_t j = 0;
    for (; j + kLanes<T> <= n; j += kLanes<T>) f(j, kLanes<T>);
    if (j < n) f(j, static_cast<int>(n - j));
  }
  Vec<T> sum(Vec<T> v) const { return splat<T>(MT_ISA::sum<T>(v)); }
  Vec<T> highest(Vec<T> v) const { return splat<T>(MT_ISA::max<T>(v)); }
};

template <class T>
struct Across {
  int64_t n, inner;
  int count;
  template <class F>
  void each(const F& f) const {
    if (count == kLanes<T>)
      for (int64_t j = 0; j < n; ++j) f(j * inner, kLanes<T>);
    else
      for (int64_t j = 0; j < n; ++j) f(j * inner, count);
  }
  Vec<T> sum(Vec<T> v) const { return v; }
  Vec<T> highest(Vec<T> v) const { return v; }
};

// Several rows, `stride` apart, that count as one line: a channel of (N, C, H, W).
template <class T>
struct Rows {
  int64_t rows, stride;
  Along<T> row;
  template <class F>
  void each(const F& f) const {
    for (int64_t i = 0; i < rows; ++i)
      row.each([&](int64_t j, int count) { f(i * stride + j, count); });
  }
  Vec<T> sum(Vec<T> v) const { return row.sum(v); }
};

// f(line, place, row, count): line at x + place is the rows `row` to `row + count` of the (outer,
// inner) that there are.
template <class T, class F>
void for_lines(bool threads, int64_t outer, int64_t n, int64_t inner, const F& f) {
  const int64_t blocks = inner == 1 ? 1 : (inner + kLanes<T> - 1) / kLanes<T>;
  const int64_t lines = outer * blocks;
  const int64_t width = inner == 1 ? 1 : kLanes<T>;
  const int64_t grain = threads ? 1 + (1 << 14) / (n * width + 1) : lines;
  if (lines == 0) return;
  for_ranges(lines, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      if (inner == 1) {
        f(Along<T>{n}, i * n, i, 1);
      } else {
        const int64_t o = i / blocks, c = i % blocks * kLanes<T>;
        const int count = static_cast<int>(inner - c < kLanes<T> ? inner - c : kLanes<T>);
        f(Across<T>{n, inner, count}, o * n * inner + c, o * inner + c, count);
      }
    }
  });
}

// The first n lanes of v, the others 0.
template <class T>
inline Vec<T> first(Vec<T> v, int n) {
  Vec<T> out{};
  if (n >= kLanes<T>) return v;
  std::memcpy(&out, &v, n * sizeof(T));
  return out;
}

// The largest, for which a NaN counts as nothing: what is computed from it and the NaN is NaN
// anyway.
template <class T, class Line>
inline Vec<T> largest(const Line& line, const T* x) {
  const T low = -__builtin_inf();
  Vec<T> m = splat<T>(low);
  line.each([&](int64_t j, int count) {
    const Vec<T> v = load_n<T>(x + j, count, low);
    m = v > m ? v : m;
  });
  return line.highest(m);
}

// sum_j exp(x_j - m)
template <class T, class Line>
inline Vec<T> sum_exp(const Line& line, const T* x, Vec<T> m) {
  const T low = -__builtin_inf();
  Vec<T> total{};
  line.each([&](int64_t j, int count) { total += exp<T>(load_n<T>(x + j, count, low) - m); });
  return line.sum(total);
}

}  // namespace
}  // namespace mt::MT_ISA
