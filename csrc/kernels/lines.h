// The axis along which a softmax or a loss works, as vectors. x is (outer, n, inner), the axis is
// the middle. With inner = 1 a line is a row and a vector holds neighbours of it; else a line is
// kLanes neighbouring columns, a vector holds one element of each, and nothing is ever summed
// across lanes. A formula written with `each`, `sum` and `highest` holds for both.
#pragma once

#include "../functions.h"
#include "../runtime/memory.h"
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
  static constexpr bool across = false;
  int64_t n;
  int64_t place(int64_t j) const { return j; }  // of element j
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
  static constexpr bool across = true;
  int64_t n, inner;
  int count;
  int64_t place(int64_t j) const { return j * inner; }
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

// Whether n lines of the first-level cache, `step` bytes apart, meet in so few of its sets that
// they drive each other out: of 32 KB in 8 ways two numbers 4 KB apart have one set.
inline bool meet(int64_t n, int64_t step) {
  const int64_t apart = step & -step;  // the power of two in it
  return apart >= 512 && n * (apart < 4096 ? apart : 4096) >= 1 << 15;
}

template <class T>
inline void copy_few(T* to, const T* from, int count) {
  if (count == 1)
    *to = *from;
  else
    store_n(to, load_n(from, count), count);
}

// f(place in a block (n, columns), place in x, count) for all of the block: its element (j, i) is
// x's at j * row + i * column, where one of both steps is 1.
template <class T, class F>
inline void over_block(int64_t n, int64_t columns, int64_t row, int64_t column, const F& f) {
  if (column == 1)
    for (int64_t j = 0; j < n; ++j)
      Along<T>{columns}.each([&](int64_t i, int count) { f(j * columns + i, j * row + i, count); });
  else
    for (int64_t i = 0; i < columns; ++i)
      for (int64_t j = 0; j < n; ++j) f(j * columns + i, i * column + j, 1);
}
template <class T>
__attribute__((noinline)) void copy_block(T* to, const T* x, int64_t n, int64_t columns,
                                          int64_t row, int64_t column) {
  over_block<T>(n, columns, row, column,
                [=](int64_t at, int64_t place, int count) { copy_few(to + at, x + place, count); });
}
template <class T>
__attribute__((noinline)) void copy_back(T* y, const T* from, int64_t n, int64_t columns,
                                         int64_t row, int64_t column) {
  over_block<T>(n, columns, row, column, [=](int64_t at, int64_t place, int count) {
    copy_few(y + place, from + at, count);
  });
}

constexpr int64_t kTogether = 64;  // lines in a buffer
template <class T, int kInputs>
constexpr int64_t kShort = kLanes<T> / kInputs;  // of a row

// f(line, y, x, row, count) for every line of (outer, n, inner): it begins at x[0], x[1], ... of
// the inputs and at y of the output, if it `makes` one, and is the rows `row` to `row + count` of
// the (outer, inner) that there are.
//
// Some are copied to a buffer, many side by side, where y takes the place of x[0]: columns that
// meet in the cache, and short rows, of which most work would be across the lanes.
template <class T, bool makes = true, int kInputs, class F>
void for_lines(bool threads, T* y, const T* const (&x)[kInputs], int64_t outer, int64_t n,
               int64_t inner, const F& f) {
  const bool narrow = inner == 1 && n > 1 && n <= kShort<T, kInputs> && outer >= kLanes<T>;
  const auto grain = [&](int64_t tasks, int64_t each) {
    return threads || tasks == 0 ? even_grain(tasks, 1 + kGrain / (each + 1)) : tasks;
  };
  if (inner == 1 && !narrow) {
    for_ranges(outer, grain(outer, n), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const T* from[kInputs];
        for (int k = 0; k < kInputs; ++k) from[k] = x[k] + row * n;
        f(Along<T>{n}, makes ? y + row * n : y, from, row, 1);
      }
    });
    return;
  }
  const bool far = inner > kTogether && meet(n, inner * sizeof(T)), copied = narrow || far;
  const int64_t lines = narrow ? outer : inner, images = narrow ? 1 : outer;
  const int64_t width = copied || inner >= 4 * kTogether ? kTogether : kLanes<T>,
                blocks = (lines + width - 1) / width;
  const int64_t row = narrow ? 1 : inner, column = narrow ? n : 1;  // steps from one to the next
  const auto some = [&](int64_t begin, int64_t end) {
    T little[kInputs * kShort<T, kInputs> * kTogether];
    T* const buffer = far ? static_cast<T*>(scratch(kInputs * n * kTogether * sizeof(T))) : little;
    for (int64_t task = begin; task < end; ++task) {
      const int64_t o = task / blocks, first = task % blocks * width;
      const int64_t columns = lines - first < width ? lines - first : width;
      const int64_t at = o * n * inner + first * column;
      const T* from[kInputs];
      for (int k = 0; k < kInputs; ++k) {
        from[k] = x[k] + at;
        if (!copied) continue;
        T* const own = buffer + k * n * columns;
        copy_block(own, from[k], n, columns, row, column);
        from[k] = own;
      }
      T* const to = copied || !makes ? buffer : y + at;
      for (int64_t c = 0; c < columns; c += kLanes<T>) {
        const int count = static_cast<int>(columns - c < kLanes<T> ? columns - c : kLanes<T>);
        f(Across<T>{n, copied ? columns : inner, count}, to + c, from, o * inner + first + c,
          count);
        for (const T*& p : from) p += count;
      }
      if (copied && makes) copy_back(y + at, buffer, n, columns, row, column);
    }
    if (far) release(buffer);
  };
  const int64_t tasks = images * blocks;
  for_ranges(tasks, grain(tasks, n * width * (narrow ? 2 : 1)), some);
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
