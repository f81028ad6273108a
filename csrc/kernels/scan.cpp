// Scans along the middle axis of (outer, n, inner): what stands at i is made from what stands at
// i - 1, or reversed, at i + 1.
#include "../kernels.h"
#include "../runtime/parallel.h"
#include "../simd.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kChunk = 1 << 15;  // elements that a thread takes at a time
constexpr int64_t kStrip = 512;      // columns that are scanned together
constexpr int64_t kRun = 64;         // elements of a row that are summed one after the other
constexpr int kWays = 8;             // runs that are summed side by side

// f(o, column, width): a strip of columns for every outer index; rows where inner is 1.
template <class F>
void for_strips(int64_t outer, int64_t n, int64_t inner, const F& f) {
  if (outer == 0 || n == 0 || inner == 0) return;
  const int64_t width = inner < kStrip ? inner : kStrip, strips = (inner + width - 1) / width;
  for_ranges(outer * strips, 1 + kChunk / (n * width), [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t column = task % strips * width;
      f(task / strips, column, inner - column < width ? inner - column : width);
    }
  });
}

// y_i = x_0 + ... + x_i, added up in double precision. A chain of additions waits for each of them,
// so kWays runs go side by side; a first pass over them finds what comes before each.
template <class T, bool reverse>
void cumsum_row(T* y, const T* x, int64_t n) {
  const auto place = [n](int64_t i) { return reverse ? n - 1 - i : i; };
  double total = 0;
  int64_t i = 0;
  for (; i + kWays * kRun <= n; i += kWays * kRun) {
    double sum[kWays] = {}, run[kWays];
    for (int64_t j = 0; j < kRun; ++j)
      for (int k = 0; k < kWays; ++k) sum[k] += x[place(i + k * kRun + j)];
    for (int k = 0; k < kWays; ++k) {
      run[k] = total;
      total += sum[k];
    }
    for (int64_t j = 0; j < kRun; ++j)
      for (int k = 0; k < kWays; ++k) {
        const int64_t at = place(i + k * kRun + j);
        y[at] = static_cast<T>(run[k] += x[at]);
      }
  }
  for (; i < n; ++i) y[place(i)] = static_cast<T>(total += x[place(i)]);
}

// y_oji = sum_k x_oki over k <= j, or reversed over k >= j
template <class T>
void cumsum(T* y, const T* x, int64_t outer, int64_t n, int64_t inner, bool reverse) {
  for_strips(outer, n, inner, [&](int64_t o, int64_t column, int64_t width) {
    const int64_t start = o * n * inner + column;
    if (inner == 1) {
      (reverse ? cumsum_row<T, true> : cumsum_row<T, false>)(y + start, x + start, n);
      return;
    }
    const int64_t step = reverse ? -inner : inner;
    int64_t at = start + (reverse ? (n - 1) * inner : 0);
    double sum[kStrip] = {};
    for (int64_t j = 0; j < n; ++j, at += step) {
      T* row = y + at;
      const T* in = x + at;
      for (int64_t i = 0; i < width; ++i) row[i] = static_cast<T>(sum[i] += in[i]);
    }
  });
}

// s_j = b_j + a_j s_j-1 with s_0 = b_0, or reversed s_j = b_j + a_j s_j+1 with s_n-1 = b_n-1
template <class T>
void linear_scan(T* s, const T* a, const T* b, int64_t outer, int64_t n, int64_t inner,
                 bool reverse) {
  for_strips(outer, n, inner, [&](int64_t o, int64_t column, int64_t width) {
    const int64_t step = reverse ? -inner : inner;
    int64_t at = o * n * inner + column + (reverse ? (n - 1) * inner : 0);
    std::memcpy(s + at, b + at, width * sizeof(T));
    for (int64_t j = 1; j < n; ++j) {
      at += step;
      T* row = s + at;
      const T *before = row - step, *slope = a + at, *more = b + at;
      for (int64_t i = 0; i < width; ++i) row[i] = more[i] + slope[i] * before[i];
    }
  });
}

// index_i = the last j <= i with x_j the largest (or the least) of x_0 .. x_i; NaN counts as such
template <class T, bool least>
void cum_extreme_of(int64_t* index, const T* x, int64_t outer, int64_t n, int64_t inner) {
  for_strips(outer, n, inner, [&](int64_t o, int64_t column, int64_t width) {
    const T* from = x + o * n * inner + column;
    int64_t* to = index + o * n * inner + column;
    T best[kStrip];
    int64_t at[kStrip] = {};
    std::memcpy(best, from, width * sizeof(T));
    for (int64_t j = 0; j < n; ++j)
      for (int64_t i = 0; i < width; ++i) {
        const T v = from[j * inner + i];
        const bool better = (least ? v <= best[i] : v >= best[i]) | (v != v);
        best[i] = better ? v : best[i];
        to[j * inner + i] = at[i] = better ? j : at[i];
      }
  });
}
template <class T>
void cum_extreme(int64_t* index, const T* x, int64_t outer, int64_t n, int64_t inner, bool least) {
  (least ? cum_extreme_of<T, true> : cum_extreme_of<T, false>)(index, x, outer, n, inner);
}

}  // namespace

MT_KERNEL(cum_extreme, cum_extreme)
MT_KERNEL(cumsum, cumsum)
MT_KERNEL(linear_scan, linear_scan)

}  // namespace mt::MT_ISA
