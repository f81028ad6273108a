// Layer norm over rows of n, batch norm over the channels of x (outer, channels, inner), group norm
// over groups of neighbouring channels of each example.
#include <cmath>

#include "../kernels.h"
#include "../runtime/memory.h"
#include "lines.h"
#include "widened.h"

namespace mt::MT_ISA {
namespace {

// y = (x - mean) * rstd * w + b,  mean = sum x / n,  rstd = 1 / sqrt(sum (x - mean)^2 / n + eps)
// over n values `step` apart in each of `rows` rows `stride` apart; weight(j) and bias(j) for the
// j-th of a row. Not `centred`, the mean counts as 0.
template <class T, class Weight, class Bias>
void normalise_one_by_one(T* y, T* mean, T* rstd, T* var, const T* x, Weight weight, Bias bias,
                          T eps, int64_t rows, int64_t stride, int64_t n, bool centred = true) {
  const T size = static_cast<T>(rows * n);
  T total = 0, squares = 0;
  for (int64_t i = 0; i < rows; ++i)
    for (int64_t j = 0; j < n; ++j) total += x[i * stride + j];
  *mean = centred ? total / size : T(0);
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

template <class T, class Line>
inline Moments<T> moments(const Line& line, const T* x, T eps, int64_t n, bool centred = true) {
  const T size = static_cast<T>(n);
  Vec<T> total[1] = {}, squares[1] = {};
  if (centred)
    line.add_up(total, [&](int64_t j, int count, auto& way) { way[0] += load_n<T>(x + j, count); });
  const Vec<T> mean = line.sum(total[0]) / size;
  line.add_up(squares, [&](int64_t j, int count, auto& way) {
    const Vec<T> d = first<T>(load_n<T>(x + j, count) - mean, count);
    way[0] += d * d;
  });
  const Vec<T> var = line.sum(squares[0]) / size;
  return {mean, var, 1 / sqrt<T>(var + eps)};
}

template <class T, class Line, class Weight, class Bias>
inline Moments<T> normalise(const Line& line, T* y, const T* x, Weight weight, Bias bias, T eps,
                            int64_t n, bool centred = true) {
  const Moments<T> m = moments(line, x, eps, n, centred);
  line.each([&](int64_t j, int count) {
    const Vec<T> d = (load_n<T>(x + j, count) - m.mean) * m.rstd;
    store_n<T>(y + j, d * weight(j, count) + bias(j, count), count);
  });
  return m;
}

// With h = g * w and z = (x - mean) * rstd, where dz_i/dx_j = rstd (1[i=j] - 1/n - z_i z_j / n):
//   dx = rstd * (h - sum h / n - z * sum(h * z) / n),   dw = sum g z,   db = sum g
// where a weight counts for the whole line (batch norm): the sums of h are then w times dw and db.
template <class T, class Line>
inline void normalise_vjp(const Line& line, T* dx, Vec<T>& dw, Vec<T>& db, const T* g, const T* x,
                          Vec<T> weight, Vec<T> mean, Vec<T> rstd, int64_t n) {
  Vec<T> total[2] = {};
  line.add_up(total, [&](int64_t j, int count, auto& way) {
    const Vec<T> h = load_n<T>(g + j, count);
    way[0] += h;
    way[1] += h * ((load_n<T>(x + j, count) - mean) * rstd);
  });
  db = line.sum(total[0]);
  dw = line.sum(total[1]);
  if (dx == nullptr) return;
  const T size = static_cast<T>(n);
  const Vec<T> a = db * weight / size, c = dw * weight / size;
  line.each([&](int64_t j, int count) {
    const Vec<T> z = (load_n<T>(x + j, count) - mean) * rstd;
    store_n<T>(dx + j, rstd * (load_n<T>(g + j, count) * weight - a - z * c), count);
  });
}

// --- layer norm: x (rows, n); weight and bias (n) or nullptr; mean, rstd (rows). Without a mean it
// is 0: the norm by the root mean square ----------------------------------------------------------

template <class T>
void layer_naive(T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, T eps,
                 int64_t rows, int64_t n) {
  for (int64_t i = 0; i < rows; ++i) {
    T var, zero;
    normalise_one_by_one(
        y + i * n, mean == nullptr ? &zero : mean + i, rstd + i, &var, x + i * n,
        [&](int64_t j) { return weight == nullptr ? T(1) : weight[j]; },
        [&](int64_t j) { return bias == nullptr ? T(0) : bias[j]; }, eps, 1, n, n, mean != nullptr);
  }
}

template <class T>
void layer(bool threads, T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, T eps,
           int64_t rows, int64_t n) {
  const auto each = [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const Moments<T> m = normalise(
          Along<T>{n}, y + row * n, x + row * n,
          [&](int64_t j, int count) {
            return weight == nullptr ? splat<T>(1) : load_n<T>(weight + j, count);
          },
          [&](int64_t j, int count) {
            return bias == nullptr ? splat<T>(0) : load_n<T>(bias + j, count);
          },
          eps, n, mean != nullptr);
      if (mean != nullptr) mean[row] = m.mean[0];
      rstd[row] = m.rstd[0];
    }
  };
  if (threads)
    for_even_ranges(rows, 1 + kGrain / (n + 1), each);
  else
    each(0, rows);
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
// h = g * w;  dw_j = sum_i g_ij z_ij,  db_j = sum_i g_ij.  In one walk over the rows, which come
// from memory once; dx, or dw and db, may be null. Pieces of the rows have sums of their own.
template <class T>
void layer_vjp(T* dx, T* dw, T* db, const T* g, const T* x, const T* weight, const T* mean,
               const T* rstd, int64_t rows, int64_t n) {
  constexpr int64_t kMostPieces = 32;
  const bool sums = dw != nullptr;
  int64_t each = 1 + (1 << 14) / (n + 1);
  if (sums && (rows + each - 1) / each > kMostPieces) each = (rows + kMostPieces - 1) / kMostPieces;
  const int64_t pieces = rows > 0 ? (rows + each - 1) / each : 0;
  T* const partial =
      sums ? static_cast<T*>(scratch((pieces > 0 ? pieces : 1) * 2 * n * sizeof(T) + 1)) : nullptr;
  for_chunks(pieces, [&](int64_t p) {
    T* const sum_gz = partial + p * 2 * n;
    T* const sum_g = sum_gz + n;
    const Along<T> line{n};
    if (sums) std::memset(sum_gz, 0, 2 * n * sizeof(T));
    for (int64_t i = p * each; i < (p + 1) * each && i < rows; ++i) {
      const T *gs = g + i * n, *xs = x + i * n;
      const Vec<T> m = splat<T>(mean == nullptr ? T(0) : mean[i]), r = splat<T>(rstd[i]);
      Vec<T> total[2] = {};
      const auto walk = [&](int64_t j, int count, auto& way) {
        const Vec<T> v = load_n<T>(gs + j, count);
        const Vec<T> z = (load_n<T>(xs + j, count) - m) * r;
        const Vec<T> h = weight == nullptr ? v : v * load_n<T>(weight + j, count);
        way[0] += h;
        way[1] += h * z;
        if (sums) {
          store_n<T>(sum_gz + j, load_n<T>(sum_gz + j, count) + v * z, count);
          store_n<T>(sum_g + j, load_n<T>(sum_g + j, count) + v, count);
        }
      };
      line.add_up(total, walk);
      if (dx == nullptr) continue;
      const T size = static_cast<T>(n);
      const Vec<T> a = mean == nullptr ? Vec<T>{} : line.sum(total[0]) / size,
                   c = line.sum(total[1]) / size;
      line.each([&](int64_t j, int count) {
        const Vec<T> v = load_n<T>(gs + j, count);
        const Vec<T> z = (load_n<T>(xs + j, count) - m) * r;
        const Vec<T> h = weight == nullptr ? v : v * load_n<T>(weight + j, count);
        store_n<T>(dx + i * n + j, r * (h - a - z * c), count);
      });
    }
  });
  if (!sums) return;
  // The pieces joined in pairs, so that the error grows with the logarithm of their number.
  for (int64_t step = 1; step < pieces; step *= 2)
    for (int64_t p = 0; p + step < pieces; p += 2 * step)
      for (int64_t j = 0; j < 2 * n; ++j) partial[p * 2 * n + j] += partial[(p + step) * 2 * n + j];
  if (pieces == 0) std::memset(partial, 0, 2 * n * sizeof(T));
  std::memcpy(dw, partial, n * sizeof(T));
  if (db != nullptr) std::memcpy(db, partial + n, n * sizeof(T));
  release(partial);
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
  for_even_ranges(blocks, grain, [&](int64_t begin, int64_t end) {
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

// Of x (outer, channels, inner) with inner > 1, in the order in which it lies, pieces of a few
// images or of a few channels of one: each core goes on with what it has in its cache, since what
// made x was shared out in this order too, and so will be what reads y. A group of images has, for
// each channel, sums of its own. Where x is larger than the caches, a channel at a time is better,
// which comes from memory once.
struct ImagePieces {
  int64_t outer, channels, images, width;  // of a piece

  ImagePieces(int64_t outer, int64_t channels, int64_t inner) : outer(outer), channels(channels) {
    constexpr int64_t kPiece = 1 << 14;
    images = within(kPiece / (channels * inner), outer);
    width = images > 1 ? channels : within(kPiece / inner, channels);
  }
  template <class T>
  static bool fit(int64_t count) {
    return count > 0 && count * static_cast<int64_t>(sizeof(T)) <= 4 << 20;
  }
  static int64_t within(int64_t n, int64_t most) { return n < 1 ? 1 : n < most ? n : most; }
  int64_t groups() const { return (outer + images - 1) / images; }
  int64_t size(int64_t group) const { return within(outer - group * images, images); }

  // f(group, its first image, how many, channel) for every group and channel
  template <class F>
  void each(bool threads, const F& f) const {
    const int64_t blocks = (channels + width - 1) / width, pieces = groups() * blocks;
    for_ranges(pieces, threads ? 1 : pieces, [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p) {
        const int64_t group = p / blocks, first = p % blocks * width, image = group * images;
        for (int64_t c = first; c < first + width && c < channels; ++c)
          f(group, image, size(group), c);
      }
    });
  }
};

// The mean and the sum of squares around it of each group and channel, in rows of 2 channels, from
// one walk: about the mean of the group's first image, which cannot be far off. Then those of all
// groups: sum (x - m)^2 is the groups' own, and n_g (m_g - m)^2 each. `lost`: what the rounding
// took from mean and rstd, in rows of channels.
template <class T>
void batch_moments(bool threads, const ImagePieces& pieces, T* mean, T* var, T* rstd, T* lost,
                   const T* x, T eps, int64_t inner) {
  const int64_t channels = pieces.channels, groups = pieces.groups();
  double* const own = static_cast<double*>(scratch(2 * groups * channels * sizeof(double)));
  const Along<T> row{inner};
  pieces.each(threads, [&](int64_t group, int64_t image, int64_t images, int64_t c) {
    const T* const from = x + (image * channels + c) * inner;
    Vec<T> first_total[1] = {}, total[2] = {};
    row.add_up(first_total,
               [&](int64_t j, int count, auto& way) { way[0] += load_n<T>(from + j, count); });
    const Vec<T> about = row.sum(first_total[0]) / T(inner);
    Rows<T>{images, channels * inner, row}.add_up(total, [&](int64_t j, int count, auto& way) {
      const Vec<T> d = first<T>(load_n<T>(from + j, count) - about, count);
      way[0] += d;
      way[1] += d * d;
    });
    const double n = static_cast<double>(images * inner), d = sum<double>(widened(total[0])) / n;
    own[2 * group * channels + c] = about[0] + d;
    const double squares = sum<double>(widened(total[1])) - n * d * d;
    own[(2 * group + 1) * channels + c] = squares < 0 ? 0 : squares;  // by rounding
  });
  for (int64_t c = 0; c < channels; ++c) {
    double m = 0, squares = 0;
    for (int64_t k = 0; k < groups; ++k)
      m += own[2 * k * channels + c] * static_cast<double>(pieces.size(k));
    m /= static_cast<double>(pieces.outer);
    for (int64_t k = 0; k < groups; ++k) {
      const double d = own[2 * k * channels + c] - m;
      squares +=
          own[(2 * k + 1) * channels + c] + d * d * static_cast<double>(pieces.size(k) * inner);
    }
    const double all = squares / static_cast<double>(pieces.outer * inner);
    const double r = 1 / scalar_sqrt(all + eps);
    mean[c] = static_cast<T>(m);
    var[c] = static_cast<T>(all);
    rstd[c] = static_cast<T>(r);
    lost[c] = static_cast<T>(m - mean[c]);
    lost[channels + c] = static_cast<T>(r - rstd[c]);
  }
  release(own);
}

template <class T>
void batch(bool threads, T* y, T* mean, T* var, T* rstd, const T* x, const T* weight, const T* bias,
           T eps, int64_t outer, int64_t channels, int64_t inner) {
  if (inner > 1 && ImagePieces::fit<T>(outer * channels * inner)) {
    const ImagePieces pieces(outer, channels, inner);
    T* const lost = static_cast<T*>(scratch(2 * channels * sizeof(T)));
    batch_moments(threads, pieces, mean, var, rstd, lost, x, eps, inner);
    pieces.each(threads, [&](int64_t, int64_t image, int64_t images, int64_t c) {
      const Vec<T> m = splat<T>(mean[c]), r = splat<T>(rstd[c]);
      const Vec<T> more = splat<T>(lost[channels + c]), shift = splat<T>(-lost[c] * rstd[c]);
      const Vec<T> w = splat<T>(weight == nullptr ? T(1) : weight[c]);
      const Vec<T> b = splat<T>(bias == nullptr ? T(0) : bias[c]);
      const int64_t at = (image * channels + c) * inner;
      Rows<T>{images, channels * inner, {inner}}.each([&](int64_t j, int count) {
        const Vec<T> d = load_n<T>(x + at + j, count) - m;
        store_n<T>(y + at + j, (d * r + (d * more + shift)) * w + b, count);
      });
    });
    release(lost);
    return;
  }
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
void batch_vjp(T* dx, T* dw, T* db, const T* g, const T* x, const T* weight, const T* mean,
               const T* rstd, int64_t outer, int64_t channels, int64_t inner) {
  if (inner > 1 && ImagePieces::fit<T>(outer * channels * inner)) {
    const ImagePieces pieces(outer, channels, inner);
    const int64_t groups = pieces.groups();
    T* const own = static_cast<T*>(scratch(2 * (groups + 1) * channels * sizeof(T)));
    pieces.each(true, [&](int64_t group, int64_t image, int64_t images, int64_t c) {
      const int64_t at = (image * channels + c) * inner;
      const Vec<T> m = splat<T>(mean[c]), r = splat<T>(rstd[c]);
      Vec<T> total[2] = {};
      Rows<T>{images, channels * inner, {inner}}.add_up(
          total, [&](int64_t j, int count, auto& way) {
            const Vec<T> h = load_n<T>(g + at + j, count);
            way[0] += h;
            way[1] += h * ((load_n<T>(x + at + j, count) - m) * r);
          });
      own[2 * group * channels + c] = sum<T>(total[0]);
      own[(2 * group + 1) * channels + c] = sum<T>(total[1]);
    });
    T* const all = own + 2 * groups * channels;  // db, then dw
    for (int64_t c = 0; c < 2 * channels; ++c) all[c] = 0;
    for (int64_t k = 0; k < groups; ++k)
      for (int64_t c = 0; c < 2 * channels; ++c) all[c] += own[2 * k * channels + c];
    if (db != nullptr) std::memcpy(db, all, channels * sizeof(T));
    if (dw != nullptr) std::memcpy(dw, all + channels, channels * sizeof(T));
    const T size = static_cast<T>(outer * inner);
    if (dx != nullptr)
      pieces.each(true, [&](int64_t, int64_t image, int64_t images, int64_t c) {
        const int64_t at = (image * channels + c) * inner;
        const Vec<T> m = splat<T>(mean[c]), r = splat<T>(rstd[c]);
        const Vec<T> w = splat<T>(weight == nullptr ? T(1) : weight[c]);
        const Vec<T> a = all[c] * w / size, b = all[channels + c] * w / size;
        Rows<T>{images, channels * inner, {inner}}.each([&](int64_t j, int count) {
          const Vec<T> z = (load_n<T>(x + at + j, count) - m) * r;
          store_n<T>(dx + at + j, r * (load_n<T>(g + at + j, count) * w - a - z * b), count);
        });
      });
    release(own);
    return;
  }
  for_channels<T>(true, outer, channels, inner, [&](const auto& line, int64_t c, int count) {
    Vec<T> w, b;
    normalise_vjp(line, dx == nullptr ? nullptr : dx + c * inner, w, b, g + c * inner,
                  x + c * inner, of_channels<T>(weight, c, count, inner > 1, 1),
                  of_channels<T>(mean, c, count, inner > 1, 0),
                  of_channels<T>(rstd, c, count, inner > 1, 0), outer * inner);
    if (dw != nullptr) store_n<T>(dw + c, w, count);
    if (db != nullptr) store_n<T>(db + c, b, count);
  });
}

// y = (x - mean) * rstd * w + b,  rstd = 1 / sqrt(var + eps)   for a mean and var that are given
template <class T>
void batch_fixed(T* y, const T* x, const T* mean, const T* var, const T* weight, const T* bias,
                 T eps, int64_t outer, int64_t channels, int64_t inner) {
  for_channels<T>(true, outer, channels, inner, [&](const auto& line, int64_t c, int count) {
    const bool one = inner > 1;
    const Vec<T> rstd = 1 / sqrt<T>(of_channels<T>(var, c, count, one, 0) + eps);
    const Vec<T> scale = rstd * of_channels<T>(weight, c, count, one, 1);
    const Vec<T> m = of_channels<T>(mean, c, count, one, 0);
    const Vec<T> b = of_channels<T>(bias, c, count, one, 0);
    line.each([&](int64_t j, int lanes) {
      const Vec<T> d = load_n<T>(x + c * inner + j, lanes) - m;
      store_n<T>(y + c * inner + j, d * scale + b, lanes);
    });
  });
}

// --- group norm: x (examples, groups, channels, inner); weight, bias (groups, channels) or
// nullptr; mean, rstd (examples, groups)

// f(line, place, channel, count) for the channels of a group: each a line of inner values, or
// (inner = 1) one line of them all, in which the channel moves with the place.
template <class T, class F>
inline void for_group(int64_t channels, int64_t inner, const F& f) {
  if (inner == 1)
    f(Along<T>{channels}, int64_t{0}, int64_t{0});
  else
    for (int64_t c = 0; c < channels; ++c) f(Along<T>{inner}, c * inner, c);
}

template <class T>
void group(T* y, T* mean, T* rstd, const T* x, const T* weight, const T* bias, T eps,
           int64_t examples, int64_t groups, int64_t channels, int64_t inner) {
  const int64_t n = channels * inner;
  if (n == 0) return;
  for_even_ranges(examples * groups, 1 + (1 << 14) / n, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const T* from = x + i * n;
      T* to = y + i * n;
      const int64_t first = i % groups * channels;
      const Moments<T> m = moments(Along<T>{n}, from, eps, n);
      mean[i] = m.mean[0];
      rstd[i] = m.rstd[0];
      for_group<T>(channels, inner, [&](const auto& line, int64_t at, int64_t c) {
        const Vec<T> one = splat<T>(weight == nullptr ? T(1) : weight[first + c]),
                     other = splat<T>(bias == nullptr ? T(0) : bias[first + c]);
        line.each([&](int64_t j, int count) {
          const bool moves = inner == 1;
          const Vec<T> w = moves && weight != nullptr ? load_n<T>(weight + first + j, count) : one;
          const Vec<T> b = moves && bias != nullptr ? load_n<T>(bias + first + j, count) : other;
          const Vec<T> z = (load_n<T>(from + at + j, count) - m.mean) * m.rstd;
          store_n<T>(to + at + j, z * w + b, count);
        });
      });
    }
  });
}

// forward was y = z * w + b:  dx = rstd * (h - mean(h) - z * mean(h * z)), h = g * w;  dw and db,
// the sums of g z and g, of each example apart at first
template <class T>
void group_vjp(T* dx, T* dw, T* db, const T* g, const T* x, const T* weight, const T* mean,
               const T* rstd, int64_t examples, int64_t groups, int64_t channels, int64_t inner) {
  const int64_t n = channels * inner, all = groups * channels;
  T* const partial = static_cast<T*>(scratch(2 * examples * all * sizeof(T) + 1));
  std::memset(partial, 0, 2 * examples * all * sizeof(T));
  if (n > 0)
    for_even_ranges(examples * groups, 1 + (1 << 14) / n, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const T *gs = g + i * n, *xs = x + i * n;
        const int64_t first = i % groups * channels;
        T* const sum_gz = partial + 2 * (i / groups * all + first);
        T* const sum_g = sum_gz + channels;
        const Vec<T> m = splat<T>(mean == nullptr ? T(0) : mean[i]), r = splat<T>(rstd[i]);
        if (inner == 1)
          for (int64_t c = 0; c < channels; ++c) {
            sum_g[c] = gs[c];
            sum_gz[c] = gs[c] * ((xs[c] - mean[i]) * rstd[i]);
          }
        else
          for (int64_t c = 0; c < channels; ++c) {
            Vec<T> w, b;
            normalise_vjp(Along<T>{inner}, static_cast<T*>(nullptr), w, b, gs + c * inner,
                          xs + c * inner, splat<T>(1), m, r, inner);
            sum_gz[c] = w[0];
            sum_g[c] = b[0];
          }
        T total = 0, along = 0;
        for (int64_t c = 0; c < channels; ++c) {
          const T w = weight == nullptr ? T(1) : weight[first + c];
          total += w * sum_g[c];
          along += w * sum_gz[c];
        }
        const Vec<T> a = splat<T>(total / T(n)), c = splat<T>(along / T(n));
        for_group<T>(channels, inner, [&](const auto& line, int64_t at, int64_t channel) {
          const Vec<T> one = splat<T>(weight == nullptr ? T(1) : weight[first + channel]);
          line.each([&](int64_t j, int count) {
            const Vec<T> w =
                inner == 1 && weight != nullptr ? load_n<T>(weight + first + j, count) : one;
            const Vec<T> z = (load_n<T>(xs + at + j, count) - m) * r;
            store_n<T>(dx + i * n + at + j, r * (load_n<T>(gs + at + j, count) * w - a - z * c),
                       count);
          });
        });
      }
    });
  for (int64_t k = 0; k < groups; ++k)
    for (int64_t c = 0; c < channels; ++c) {
      T w = 0, b = 0;
      for (int64_t i = 0; i < examples; ++i) {
        const T* at = partial + 2 * (i * all + k * channels);
        w += at[c];
        b += at[channels + c];
      }
      dw[k * channels + c] = w;
      db[k * channels + c] = b;
    }
  release(partial);
}

}  // namespace

MT_RUNGS(layer_norm, layer_naive, layer_naive, layer_simd, layer_fast)
MT_KERNEL(layer_norm_vjp, layer_vjp)
MT_RUNGS(batch_norm, batch_naive, batch_naive, batch_simd, batch_fast)
MT_KERNEL(batch_norm_vjp, batch_vjp)
MT_KERNEL(batch_norm_fixed, batch_fixed)
MT_KERNEL(group_norm, group)
MT_KERNEL(group_norm_vjp, group_vjp)

}  // namespace mt::MT_ISA
