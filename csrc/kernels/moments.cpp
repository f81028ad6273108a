// Variances over the middle axis of x (outer, n, inner), in one pass over memory: of a block in the
// first-level cache the mean m and the squares M about it, then blocks a and b joined
//     m = m_a + d n_b / n,   M = M_a + M_b + d^2 n_a n_b / n,   d = m_b - m_a,  n = n_a + n_b
// T. Chan, G. Golub, R. LeVeque: Updating formulae and a pairwise algorithm for computing sample
// variances. COMPSTAT 1982.
#include "../kernels.h"
#include "../runtime/memory.h"
#include "../runtime/parallel.h"
#include "../simd.h"
#include "widened.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kChunk = 1 << 16;  // elements of a piece, which a thread takes at a time
constexpr int64_t kBlock = 2048;     // elements of a block
constexpr int64_t kStrip = 256;      // columns that go together
constexpr int kWays = 4;

inline int64_t min_of(int64_t a, int64_t b) { return a < b ? a : b; }
inline int64_t max_of(int64_t a, int64_t b) { return a > b ? a : b; }

// Joins (mean, squares) of `more` elements into (m, s) of `n`.
inline void join(double& m, double& s, int64_t n, double mean, double squares, int64_t more) {
  const double d = mean - m, share = double(more) / double(n + more);
  m += d * share;
  s += squares + d * d * (double(n) * share);
}

// sum_i f(x_i) of doubles, f of whole vectors
template <class T, class F>
inline double sum_of(const T* x, int64_t n, const F& f) {
  Vec<double> way[kWays] = {};
  int64_t i = 0;
  for (; i + kWays * kWide <= n; i += kWays * kWide)
    for (int k = 0; k < kWays; ++k) way[k] += f(widened(x + i + k * kWide));
  for (; i + kWide <= n; i += kWide) way[0] += f(widened(x + i));
  double rest = 0;
  for (; i < n; ++i) rest += f(splat<double>(x[i]))[0];
  return sum<double>((way[0] + way[1]) + (way[2] + way[3])) + rest;
}

// (m, s) of a row of n elements
template <class T>
void row_moments(double& m, double& s, const T* x, int64_t n) {
  m = s = 0;
  for (int64_t i = 0; i < n; i += kBlock) {
    const int64_t count = min_of(kBlock, n - i);
    const double mean =
        sum_of(x + i, count, [](Vec<double> v) { return v; }) / static_cast<double>(count);
    const double squares = sum_of(x + i, count, [mean](Vec<double> v) {
      const Vec<double> d = v - mean;
      return d * d;
    });
    if (i == 0) {
      m = mean;
      s = squares;
    } else {
      join(m, s, i, mean, squares, count);
    }
  }
}

// (m, s) of `width` columns of n rows, `inner` apart
template <class T>
void column_moments(double* m, double* s, const T* x, int64_t n, int64_t inner, int64_t width) {
  double mean[kStrip], squares[kStrip];
  const int64_t rows = max_of(2 * kBlock / width, 4);
  for (int64_t j = 0; j < n; j += rows) {
    const int64_t count = min_of(rows, n - j);
    const T* block = x + j * inner;
    for (int64_t i = 0; i < width; ++i) mean[i] = squares[i] = 0;
    for (int64_t k = 0; k < count; ++k)
      for (int64_t i = 0; i < width; ++i) mean[i] += block[k * inner + i];
    for (int64_t i = 0; i < width; ++i) mean[i] /= static_cast<double>(count);
    for (int64_t k = 0; k < count; ++k)
      for (int64_t i = 0; i < width; ++i) {
        const double d = block[k * inner + i] - mean[i];
        squares[i] += d * d;
      }
    if (j == 0) {
      std::memcpy(m, mean, width * sizeof(double));
      std::memcpy(s, squares, width * sizeof(double));
    } else {
      for (int64_t i = 0; i < width; ++i) join(m[i], s[i], j, mean[i], squares[i], count);
    }
  }
}

// y_oi = sum_j (x_oji - m_oi)^2 / freedom,  m_oi = sum_j x_oji / n
template <class T>
void var(T* y, const T* x, int64_t outer, int64_t n, int64_t inner, T freedom) {
  if (outer == 0 || inner == 0) return;
  if (n == 0) {
    for (int64_t i = 0; i < outer * inner; ++i) y[i] = T(0) / freedom;
    return;
  }
  const int64_t width = min_of(inner, kStrip), strips = (inner + width - 1) / width;
  const int64_t rows = max_of(kChunk / width, 1), pieces = (n + rows - 1) / rows;
  const int64_t size = pieces * outer * inner;
  double* mean = static_cast<double*>(scratch(2 * size * sizeof(double)));  // of each piece
  double* squares = mean + size;
  const int64_t tasks = outer * pieces * strips;
  const int64_t grain = max_of(kChunk / (min_of(rows, n) * width), 1);
  for_ranges(tasks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t task = begin; task < end; ++task) {
      const int64_t column = task % strips * width, p = task / strips % pieces,
                    o = task / strips / pieces;
      const int64_t to = (o * pieces + p) * inner + column, count = min_of(rows, n - p * rows);
      const T* from = x + (o * n + p * rows) * inner + column;
      if (inner == 1)
        row_moments<T>(mean[to], squares[to], from, count);
      else
        column_moments<T>(mean + to, squares + to, from, count, inner,
                          min_of(width, inner - column));
    }
  });
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      const int64_t first = o * pieces * inner + i;
      double m = mean[first], s = squares[first];
      for (int64_t p = 1; p < pieces; ++p)
        join(m, s, p * rows, mean[first + p * inner], squares[first + p * inner],
             min_of(rows, n - p * rows));
      y[o * inner + i] = static_cast<T>(s / freedom);
    }
  release(mean);
}

}  // namespace

MT_KERNEL(var, var)

}  // namespace mt::MT_ISA
