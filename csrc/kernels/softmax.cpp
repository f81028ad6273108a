// Softmax and its logarithm along the middle axis of x (outer, n, inner).
#include <cmath>

#include "../kernels.h"
#include "lines.h"

namespace mt::MT_ISA {
namespace {

// y_i = exp(x_i - m) / sum_j exp(x_j - m),  m = max_j x_j
template <class T>
void naive(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      const T* row = x + o * n * inner + i;
      T* out = y + o * n * inner + i;
      T m = -INFINITY;
      for (int64_t j = 0; j < n; ++j)
        if (row[j * inner] > m) m = row[j * inner];
      T total = 0;
      for (int64_t j = 0; j < n; ++j) total += out[j * inner] = scalar_exp(row[j * inner] - m);
      for (int64_t j = 0; j < n; ++j) out[j * inner] /= total;
    }
}

// The same for a block of neighbouring columns side by side, so that memory is walked in order, not
// in steps of inner.
template <class T>
void blocked(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  constexpr int64_t kBlock = 64;
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; i += kBlock) {
      const int64_t width = inner - i < kBlock ? inner - i : kBlock;
      const T* from = x + o * n * inner + i;
      T* to = y + o * n * inner + i;
      T m[kBlock], total[kBlock];
      for (int64_t c = 0; c < width; ++c) m[c] = -INFINITY, total[c] = 0;
      for (int64_t j = 0; j < n; ++j)
        for (int64_t c = 0; c < width; ++c)
          if (from[j * inner + c] > m[c]) m[c] = from[j * inner + c];
      for (int64_t j = 0; j < n; ++j)
        for (int64_t c = 0; c < width; ++c)
          total[c] += to[j * inner + c] = scalar_exp(from[j * inner + c] - m[c]);
      for (int64_t j = 0; j < n; ++j)
        for (int64_t c = 0; c < width; ++c) to[j * inner + c] /= total[c];
    }
}

template <class T>
void softmax(bool threads, T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  for_lines<T>(threads, y, {x}, outer, n, inner,
               [](const auto& line, T* to, const T* const* x, int64_t, int) {
                 const T *from = x[0], low = -INFINITY;
                 const Vec<T> m = largest<T>(line, from);
                 Vec<T> total{};
                 line.each([&](int64_t j, int count) {
                   const Vec<T> e = exp_normal<T>(load_n<T>(from + j, count, low) - m);
                   total += e;
                   store_n<T>(to + j, e, count);
                 });
                 const Vec<T> scale = 1 / line.sum(total);
                 line.each([&](int64_t j, int count) {
                   store_n<T>(to + j, load_n<T>(to + j, count) * scale, count);
                 });
               });
}
template <class T>
void simd(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  softmax(false, y, x, outer, n, inner);
}
template <class T>
void fast(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  softmax(true, y, x, outer, n, inner);
}

// forward was y_i = exp(x_i - m) / sum, with dy_i/dx_j = y_i (1[i=j] - y_j):  dx = y * (g - sum_j
// g_j y_j)
template <class T>
void vjp(T* dx, const T* g, const T* y, int64_t outer, int64_t n, int64_t inner) {
  for_lines<T>(true, dx, {g, y}, outer, n, inner,
               [](const auto& line, T* dx, const T* const* x, int64_t, int) {
                 const T *g = x[0], *y = x[1];
                 Vec<T> total{};
                 line.each([&](int64_t j, int count) {
                   total += load_n<T>(g + j, count) * load_n<T>(y + j, count);
                 });
                 const Vec<T> mean = line.sum(total);
                 line.each([&](int64_t j, int count) {
                   const Vec<T> d = load_n<T>(g + j, count) - mean;
                   store_n<T>(dx + j, load_n<T>(y + j, count) * d, count);
                 });
               });
}

// f(line, y, x, row, count, m, log) for every line of x as in for_lines, with m the largest x_j, or
// if it is to be `finite`, 0 where it is not, and log(sum_j exp(x_j - m)). Of short rows several
// have one logarithm, in which none waits for another.
template <class T, bool makes, class F>
void log_sums(bool threads, T* y, const T* x, int64_t outer, int64_t n, int64_t inner, bool finite,
              const F& f) {
  const auto highest = [=](const auto& line, const T* x) {
    const Vec<T> m = largest<T>(line, x);
    return finite ? select<T>(m - m == 0, m, Vec<T>{}) : m;
  };
  if (inner != 1 || n <= kLanes<T>) {
    for_lines<T, makes>(threads, y, {x}, outer, n, inner,
                        [&](const auto& line, T* y, const T* const* x, int64_t row, int count) {
                          const Vec<T> m = highest(line, x[0]);
                          f(line, y, x[0], row, count, m, log<T>(sum_exp<T>(line, x[0], m)));
                        });
    return;
  }
  const Along<T> line{n};
  const int64_t most = n < 256 ? kLanes<T> : 1;
  const int64_t blocks = (outer + most - 1) / most;
  const int64_t grain = threads ? even_grain(blocks, 1 + kGrain / (n * most + 1)) : blocks;
  for_ranges(blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin * most; row < end * most && row < outer; row += most) {
      const int rows = static_cast<int>(outer - row < most ? outer - row : most);
      T m[kLanes<T>], sum[kLanes<T>];
      store(sum, splat<T>(1));
      for (int k = 0; k < rows; ++k) {
        const Vec<T> v = highest(line, x + (row + k) * n);
        m[k] = v[0];
        sum[k] = sum_exp<T>(line, x + (row + k) * n, v)[0];
      }
      store(sum, log<T>(load(sum)));
      for (int k = 0; k < rows; ++k)
        f(line, makes ? y + (row + k) * n : y, x + (row + k) * n, row + k, 1, splat(m[k]),
          splat(sum[k]));
    }
  });
}

// y = log(sum_j exp(x_j))
template <class T>
void logsumexp(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  log_sums<T, false>(true, nullptr, x, outer, n, inner, true,
                     [=](const auto&, T*, const T*, int64_t row, int count, Vec<T> m, Vec<T> log) {
                       store_n<T>(y + row, m + log, count);
                     });
}

// y_i = x_i - m - log(sum_j exp(x_j - m))
template <class T>
void log_naive(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  for (int64_t o = 0; o < outer; ++o)
    for (int64_t i = 0; i < inner; ++i) {
      const T* row = x + o * n * inner + i;
      T* out = y + o * n * inner + i;
      T m = -INFINITY;
      for (int64_t j = 0; j < n; ++j)
        if (row[j * inner] > m) m = row[j * inner];
      T total = 0;
      for (int64_t j = 0; j < n; ++j) total += scalar_exp(row[j * inner] - m);
      for (int64_t j = 0; j < n; ++j) out[j * inner] = row[j * inner] - m - scalar_log(total);
    }
}

template <class T>
void log_softmax(bool threads, T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  log_sums<T, true>(threads, y, x, outer, n, inner, false,
                    [](const auto& line, T* y, const T* x, int64_t, int, Vec<T> m, Vec<T> log) {
                      line.each([&](int64_t j, int count) {
                        store_n<T>(y + j, load_n<T>(x + j, count) - m - log, count);
                      });
                    });
}
template <class T>
void log_simd(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  log_softmax(false, y, x, outer, n, inner);
}
template <class T>
void log_fast(T* y, const T* x, int64_t outer, int64_t n, int64_t inner) {
  log_softmax(true, y, x, outer, n, inner);
}

// forward was y_i = x_i - log(sum_j exp x_j), with dy_i/dx_j = 1[i=j] - exp(y_j):  dx = g - exp(y)
// * sum_j g_j
template <class T>
void log_vjp(T* dx, const T* g, const T* y, int64_t outer, int64_t n, int64_t inner) {
  for_lines<T>(true, dx, {g, y}, outer, n, inner,
               [](const auto& line, T* dx, const T* const* x, int64_t, int) {
                 const T *g = x[0], *y = x[1];
                 Vec<T> total{};
                 line.each([&](int64_t j, int count) { total += load_n<T>(g + j, count); });
                 const Vec<T> sum = line.sum(total);
                 line.each([&](int64_t j, int count) {
                   const Vec<T> p = exp_normal<T>(load_n<T>(y + j, count));
                   store_n<T>(dx + j, load_n<T>(g + j, count) - p * sum, count);
                 });
               });
}

}  // namespace

MT_RUNGS(softmax, naive, blocked, simd, fast)
MT_KERNEL(softmax_vjp, vjp)
MT_KERNEL(logsumexp, logsumexp)
MT_RUNGS(log_softmax, log_naive, log_naive, log_simd, log_fast)
MT_KERNEL(log_softmax_vjp, log_vjp)

}  // namespace mt::MT_ISA
