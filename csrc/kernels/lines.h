// The axis along which a softmax or a loss works, as vectors. x is (outer, n, inner), the axis is
// the middle. With inner = 1 a line is a row and a vector holds neighbours of it; else a line is
// kLanes neighbouring columns, a vector holds one element of each, and nothing is ever summed
// across lanes. A formula written with `each`, `sum` and `highest` holds for both.
#pragma once

#include "../functions.h"
#include "../runtime/parallel.h"
#include "place.h"

namespace mt::MT_ISA {
namespace {

// totals[k] = the sum of what f(place, count, way) adds to way[k], in kWays sums that do not wait
// for each other; step(i) is the i-th of n places.
constexpr int kWays = 4;

template <class T, int kTotals, class F>
inline void in_ways(Vec<T> (&totals)[kTotals], int64_t n, const F& f) {
  Vec<T> way[kWays][kTotals] = {};
  int64_t i = 0;
  for (; i + kWays <= n; i += kWays)
    for (int w = 0; w < kWays; ++w) f(i + w, way[w]);
  for (; i < n; ++i) f(i, way[0]);
  for (int k = 0; k < kTotals; ++k) totals[k] += (way[0][k] + way[1][k]) + (way[2][k] + way[3][k]);
}

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
  // f(place, count, totals) adds to the totals.
  template <int kTotals, class F>
  void add_up(Vec<T> (&totals)[kTotals], const F& f) const {
    const int64_t whole = n / kLanes<T>;
    in_ways<T>(totals, whole, [&](int64_t i, auto& way) { f(i * kLanes<T>, kLanes<T>, way); });
    if (const int rest = static_cast<int>(n % kLanes<T>)) f(whole * kLanes<T>, rest, totals);
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
  template <int kTotals, class F>
  void add_up(Vec<T> (&totals)[kTotals], const F& f) const {
    if (count == kLanes<T>)
      in_ways<T>(totals, n, [&](int64_t j, auto& way) { f(j * inner, kLanes<T>, way); });
    else
      in_ways<T>(totals, n, [&](int64_t j, auto& way) { f(j * inner, count, way); });
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
  template <int kTotals, class F>
  void add_up(Vec<T> (&totals)[kTotals], const F& f) const {
    for (int64_t i = 0; i < rows; ++i)
      row.add_up(totals, [&](int64_t j, int count, auto& way) { f(i * stride + j, count, way); });
  }
  Vec<T> sum(Vec<T> v) const { return row.sum(v); }
};

// Rows of at most a vector, of which most work would be across the lanes: f(y, x, rows) gets blocks
// of them transposed, (1, n, rows) with many rows side by side, and gives `outputs` of each row.
// Whether it did.
constexpr int64_t kTogether = 64;  // rows

template <class T, class F>
bool narrow_rows(bool threads, T* y, const T* x, int64_t outer, int64_t n, int64_t inner,
                 int64_t outputs, const F& f) {
  if (inner != 1 || n > kLanes<T> || n < 2 || outer < kLanes<T>) return false;
  const int64_t blocks = (outer + kTogether - 1) / kTogether;
  const int64_t grain = threads ? even_grain(blocks, 1 + (1 << 13) / (n * kTogether)) : blocks;
  for_ranges(blocks, grain, [&](int64_t begin, int64_t end) {
    T from[kLanes<T> * kTogether], to[kLanes<T> * kTogether];
    for (int64_t b = begin; b < end; ++b) {
      const int64_t row = b * kTogether;
      const int64_t rows = outer - row < kTogether ? outer - row : kTogether;
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < n; ++j) from[j * rows + i] = x[(row + i) * n + j];
      f(to, from, rows);
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < outputs; ++j) y[(row + i) * outputs + j] = to[j * rows + i];
    }
  });
  return true;
}

// f(line, place, row, count): line at x + place is the rows `row` to `row + count` of the (outer,
// inner) that there are.
template <class T, class F>
void for_lines(bool threads, int64_t outer, int64_t n, int64_t inner, const F& f) {
  const int64_t blocks = inner == 1 ? 1 : (inner + kLanes<T> - 1) / kLanes<T>;
  const int64_t lines = outer * blocks;
  const int64_t width = inner == 1 ? 1 : kLanes<T>;
  const int64_t grain = threads ? even_grain(lines, 1 + kGrain / (n * width + 1)) : lines;
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
  Mask<T> lane{};
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = i;
  return select<T>(lane < Mask<T>{} + n, v, Vec<T>{});
}

// e^x, and 0 where that is less than all normal numbers: to make the small ones takes 20 times as
// long, and -inf is common: a score that is hidden, the lanes after the end of a row.
template <class T>
inline Vec<T> exp_normal(Vec<T> x) {
  const Mask<T> none = x < T(sizeof(T) == 4 ? -87 : -708);
  const Exponential<T> e(select<T>(none, Vec<T>{}, at_most<T>(x, Format<T>::high)));
  return select<T>(none, Vec<T>{}, e.scale_normal(e.exact()));
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
  line.each(
      [&](int64_t j, int count) { total += exp_normal<T>(load_n<T>(x + j, count, low) - m); });
  return line.sum(total);
}

}  // namespace
}  // namespace mt::MT_ISA
