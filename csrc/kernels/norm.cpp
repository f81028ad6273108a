// Layer norm over rows of n, batch norm over the channels of x (outer, channels, inner).
#include <cmath>

#include "../kernels.h"
#include "lines.h"

namespace mt::MT_ISA {
namespace {

// y = (x - mean) * rstd * w + b,  mean = sum x / n,  rstd = 1 / sqrt(sum (x - mean)^2 / n + eps)
// over n values `step` apart in each of `rows` rows `stride` apart; weight(j) and bias(j) for the
// j-th of a row
template <class T, class Weight, class Bias>
void normalise_one_by_one(T* y, T* mean, T* rstd, T* var, const T* x, Weight weight, Bias bias,
                          T eps, int64_t rows, int64_t stride, int64_t n) {
  const T size = static_cast<T>(rows * n);
  T total = 0, squares = 0;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) total += x[i * stride + j];
  *mean = total / size;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) {
      const T d = x[i * stride + j] - *mean;
      squares += d * d;
    }
  *var = squares / size;
  *rstd = 1 / scalar_sqrt(*var + eps);
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j)
      y[i * stride + j] = (x[i * stride + j] - *mean) * *rstd * weight(j) + bias(j);
}

// The same for a line; weight and bias give a vector for a place in it.
template <class T>
struct Moments {
  Vec<T> mean, var, rstd;
};

template <class T, class Line, class Weight, class Bias>
inline Moments<T> normalise(const Line& line, T* y, const T* x, Weight weight, Bias bias, T eps,
                            int64_t n) {
  const T size = static_cast<T>(n);
  Vec<T> total{}, squares{};
  line.each([&](int64_t j, int count) { total += load_n<T>(x + j, count); });
  const Vec<T> mean = line.sum(total) / size;
  line.each([&](int64_t j, int count) {
    const Vec<T> d = first<T>(load_n<T>(x + j, count) - mean, count);
    squares += d * d;
  });
  const Vec<T> var = line.sum(squares) / size;
  const Vec<T> rstd = 1 / sqrt<T>(var + eps);
  line.each([&](int64_t j, int count) {
    const Vec<T> d = (load_n<T>(x + j, count) - mean) * rstd;
    store_n<T>(y + j, d * weight(j, count) + bias(j, count), count);
  });
  return {mean, var, rstd};
}

// With h = g * w and z = (x - mean) * rstd, where dz_i/dx_j = rstd (1[i=j] - 1/n - z_i z_j / n):
//   dx = rstd * (h - sum h / n - z * sum(h * z) / n)
template <class T, class Line, class Weight>
inline void normalise_vjp(const Line& line, T* dx, const T* g, const T* x, Weight weight,
                          Vec<T> mean, Vec<T> rstd, int64_t n) {
  Vec<T> total{}, along{};
  line.each([&](int64_t j, int count) {
    const Vec<T> h = load_n<T>(g + j, count) * weight(j, count);
    total += h;
    along += h * ((load_n<T>(x + j, count) - mean) * rstd);
  });
  const T size = static_cast<T>(n);
  const Vec<T> a = line.sum(total) / size, c = line.sum(along) / size;
  line.each([&](int64_t j, int count) {
    const Vec<T> h = load_n<T>(g + j, count) * weight(j, count);
    const Vec<T> z = (load_n<T>(x + j, count) - mean) * rstd;
    store_n<T>(dx + j, rstd * (h - a - z * c), count);
  });
}

// --- layer norm: x (rows, n); weight and bias (n) or nullptr; mean, rstd (rows) ------------------

template <class T>
void layer_naive(T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, T eps,
                 int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; ++i) {
    T var;
    normalise_one_by_one(
        y + i * n, mean + i, rstd + i, &var, x + i * n,
        [&](int64_t j) { return weight == nullptr ? T(1) : weight[j]; },
        [&](int64_t j) { return bias == nullptr ? T(0) : bias[j]; }, eps, 1, n, n);
  }
}

template <class T>
void layer(bool threads, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, T eps,
           int64_t rows, int64_t n) {
  for_lines<T>(threads, rows, n, 1, [&](const auto& line, int64_t at, int64_t row, int) {
    const Moments<T> m = normalise(
        line, y + at, x + at,
        [&](int64_t j, int count) {
          return weight == nullptr ? splat<T>(1) : load_n<T>(weight + j, count);
        },
        [&](int64_t j, int count) {
          return bias == nullptr ? splat<T>(0) : load_n<T>(bias + j, count);
        },
        eps, n);
    mean[row] = m.mean[0];
    rstd[row] = m.rstd[0];
  });
}
template <class T>
void layer_simd(T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, T eps,
                int64_t rows, int64_t n) {
  layer(false, y, mean, rstd, x, weight, bias, eps, rows, n);
}
template <class T>
void layer_fast(T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, T eps,
                int64_t rows, int64_t n) {
  layer(true, y, mean, rstd, x, weight, bias, eps, rows, n);
}

// forward was y = z * w + b, z = (x - mean) * rstd:  dx = rstd * (h - mean(h) - z * mean(h * z)),
// h = g * w
template <class T>
void layer_vjp(T* dx, const T* g, const T* x, const T* weight, const T* mean, const T* rstd,
               int64_t rows, int64_t n) {
  for_lines<T>(true, rows, n, 1, [&](const auto& line, int64_t at, int64_t row, int) {
    normalise_vjp(
        line, dx + at, g + at, x + at,
        [&](int64_t j, int count) {
          return weight == nullptr ? splat<T>(1) : load_n<T>(weight + j, count);
        },
        splat<T>(mean[row]), splat<T>(rstd[row]), n);
  });
}

// forward was y = z * w + b:  dw_j = sum_i g_ij z_ij.  Blocks of columns, so that the order of the
// sum is the rows'.
template <class T>
void layer_dweight(T* dw, const T* g, const T* x, const T* mean, const T* rstd, int64_t rows,
                   int64_t n) {
  constexpr int kVectors = 8;
  constexpr int64_t kBlock = kVectors * kLanes<T>;
  const int64_t blocks = (n + kBlock - 1) / kBlock;
  for_ranges(blocks, 1 + (1 << 14) / (kBlock * rows + 1), [&](int64_t begin, int64_t end) {
    for (int64_t j = begin * kBlock; j < end * kBlock && j < n; j += kBlock) {
      Vec<T> total[kVectors] = {};
      const auto add = [&](int64_t i, int v, int count) {
        const int64_t at = i * n + j + v * kLanes<T>;
        const Vec<T> z = (load_n<T>(x + at, count) - mean[i]) * rstd[i];
        total[v] += load_n<T>(g + at, count) * z;
      };
      const int64_t left = n - j < kBlock ? n - j : kBlock;
      const int full = static_cast<int>(left / kLanes<T>);
      const int tail = static_cast<int>(left % kLanes<T>);
      for (int64_t i = 0; i < rows; ++i) {
        if (full == kVectors) {
          for (int v = 0; v < kVectors; ++v) add(i, v, kLanes<T>);
        } else {
          for (int v = 0; v < full; ++v) add(i, v, kLanes<T>);
          if (tail) add(i, full, tail);
        }
      }
      for (int v = 0; v < full; ++v) store<T>(dw + j + v * kLanes<T>, total[v]);
      if (tail) store_n<T>(dw + j + full * kLanes<T>, total[full], tail);
    }
  });
}

// --- batch norm: x (outer, channels, inner); weight, bias, mean, var, rstd (channels) ------------

template <class T>
void batch_naive(T* y, T* mean, T* var, T* rstd, const T* x, const T* weight, const T* bias, T eps,
                 int64_t outer, int64_t channels, int64_t inner) {
  for (int64_t c = 0; c < channels; ++c)
    normalise_one_by_one(
        y + c * inner, mean + c, rstd + c, var + c, x + c * inner,
        [&](int64_t) { return weight == nullptr ? T(1) : weight[c]; },
        [&](int64_t) { return bias == nullptr ? T(0) : bias[c]; }, eps, outer, channels * inner,
        inner);
}

// f(line, c, count): the line, from x + c * inner, of channel c or (inner = 1) of `count` channels
// side by side.
template <class T, class F>
void for_channels(bool threads, int64_t outer, int64_t channels, int64_t inner, const F& f) {
  if (inner == 0) outer = 0, inner = 1;  // channels without values: no lines
  const int64_t width = inner == 1 ? kLanes<T> : 1;
  const int64_t blocks = (channels + width - 1) / width;
  if (blocks == 0) return;
  const int64_t grain = threads ? 1 + (1 << 14) / (outer * inner * width + 1) : blocks;
  for_ranges(blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t c = i * width;
      if (inner > 1) {
        f(Rows<T>{outer, channels * inner, {inner}}, c, 1);
      } else {
        const int count = static_cast<int>(channels - c < width ? channels - c : width);
        f(Across<T>{outer, channels, count}, c, count);
      }
    }
  });
}

// One value for each channel of a line: the same in all lanes if there is one channel only.
template <class T>
inline Vec<T> of_channels(const T* p, int64_t c, int count, bool one, T otherwise) {
  if (p == nullptr) return splat<T>(otherwise);
  return one ? splat<T>(p[c]) : load_n<T>(p + c, count);
}

template <class T>
void batch(bool threads, T* y, T* mean, T* var, T* rstd, const T* x, const T* weight, const T* bias,
           T eps, int64_t outer, int64_t channels, int64_t inner) {
  for_channels<T>(threads, outer, channels, inner, [&](const auto& line, int64_t c, int count) {
    const Vec<T> w = of_channels<T>(weight, c, count, inner > 1, 1);
    const Vec<T> b = of_channels<T>(bias, c, count, inner > 1, 0);
    const Moments<T> m = normalise(
        line, y + c * inner, x + c * inner, [&](int64_t, int) { return w; },
        [&](int64_t, int) { return b; }, eps, outer * inner);
    store_n<T>(mean + c, m.mean, count);
    store_n<T>(var + c, m.var, count);
    store_n<T>(rstd + c, m.rstd, count);
  });
}
template <class T>
void batch_simd(T* y, T* mean, T* var, T* rstd, const T* x, const T* weight, const T* bias, T eps,
                int64_t outer, int64_t channels, int64_t inner) {
  batch(false, y, mean, var, rstd, x, weight, bias, eps, outer, channels, inner);
}
template <class T>
void batch_fast(T* y, T* mean, T* var, T* rstd, const T* x, const T* weight, const T* bias, T eps,
                int64_t outer, int64_t channels, int64_t inner) {
  batch(true, y, mean, var, rstd, x, weight, bias, eps, outer, channels, inner);
}

// As layer_vjp, over each channel.
template <class T>
void batch_vjp(T* dx, const T* g, const T* x, const T* weight, const T* mean, const T* rstd,
               int64_t outer, int64_t channels, int64_t inner) {
  for_channels<T>(true, outer, channels, inner, [&](const auto& line, int64_t c, int count) {
    const Vec<T> w = of_channels<T>(weight, c, count, inner > 1, 1);
    normalise_vjp(
        line, dx + c * inner, g + c * inner, x + c * inner, [&](int64_t, int) { return w; },
        of_channels<T>(mean, c, count, inner > 1, 0), of_channels<T>(rstd, c, count, inner > 1, 0),
        outer * inner);
  });
}

// forward was y = z * w + b:  dw = sum g z over each channel
template <class T>
void batch_dweight(T* dw, const T* g, const T* x, const T* mean, const T* rstd, int64_t outer,
                   int64_t channels, int64_t inner) {
  for_channels<T>(true, outer, channels, inner, [&](const auto& line, int64_t c, int count) {
    const Vec<T> m = of_channels<T>(mean, c, count, inner > 1, 0);
    const Vec<T> r = of_channels<T>(rstd, c, count, inner > 1, 0);
    Vec<T> total{};
    line.each([&](int64_t j, int count) {
      const Vec<T> z = (load_n<T>(x + c * inner + j, count) - m) * r;
      total += load_n<T>(g + c * inner + j, count) * z;
    });
    store_n<T>(dw + c, line.sum(total), count);
  });
}

}  // namespace

MT_RUNGS(layer_norm, layer_naive, layer_naive, layer_simd, layer_fast)
MT_KERNEL(layer_norm_vjp, layer_vjp)
MT_KERNEL(layer_norm_dweight, layer_dweight)
MT_RUNGS(batch_norm, batch_naive, batch_naive, batch_simd, batch_fast)
MT_KERNEL(batch_norm_vjp, batch_vjp)
MT_KERNEL(batch_norm_dweight, batch_dweight)

}  // namespace mt::MT_ISA
