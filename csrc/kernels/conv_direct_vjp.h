// The gradient of a convolution by its weights, straight from the image (conv_direct.h).
#pragma once

#include "conv_direct.h"
#include "conv_winograd_vjp.h"

namespace mt::MT_ISA {
namespace {

// Into how many parts the images are cut, each with a sum of its own that has `size` values: a
// fixed number, so that the order of summation does not depend on the threads. Without images there
// is one part, whose sum is 0.
int64_t sum_parts(const ConvSizes& s, int64_t work, int64_t size) {
  int64_t most = 8;
  while (most > 1 && most * size > 1 << 20) most /= 2;
  return max(1, min(most, ceil_div(s.n, ceil_div(kChunkWork, work))));
}

// y = w cols   gives   dw = g cols^T, each element a sum over the pixels, for few outputs in a
// group
//
// Vectors along the pixels: a block of rows of g times four rows of cols, in sums that are folded
// when all images are done. g gets zeros where the shifted image runs over from one row to the
// next.
constexpr int kDotTaps = 4, kDotRows = (kRegisters - 1) / kDotTaps - 1;

template <class T>
void weight_vjp_by_dots(T* dw, const T* g, const T* x, const ConvSizes& s, const Image& image,
                        const int64_t* offset) {
  constexpr int L = kLanes<T>;
  const Face z(s);
  const int64_t pitch = image.h.length, vectors = ceil_div((s.oh - 1) * pitch + s.ow, L);
  const Image spread{{s.oh, s.oh + L / pitch + 1, 1, 1, 1, 0}, {s.ow, pitch, 1, 1, 1, 0}};
  const int64_t size = s.o * z.k * L, work = max(1, s.o * z.k * z.p);
  const int64_t parts = sum_parts(s, work, size);
  const int64_t blocks = ceil_div(z.k, kDotTaps), row_blocks = ceil_div(z.m, kDotRows);
  Scratch<T> sums(parts * size);
  std::memset(sums.p, 0, parts * size * sizeof(T));
  for_chunks(parts, [&](int64_t part) {
    Scratch<T> laid(s.c * image.plane() + kSlack<T>), gaps(s.o * spread.plane() + kSlack<T>);
    for (int64_t n = cut(s.n, parts, part); n < cut(s.n, parts, part + 1); ++n) {
      lay_out(laid.p, x, n * s.c, s.c, image);
      lay_out(gaps.p, g, n * s.o, s.o, spread);
      const int64_t chunks = s.groups * blocks;
      const int64_t grain = ceil_div(chunks, max(1, min(16, work / (kChunkWork / 4))));
      for_ranges(chunks, grain, [&](int64_t from, int64_t to) {
        for (int64_t chunk = from; chunk < to; ++chunk) {
          const int64_t q = chunk / blocks, r = chunk % blocks * kDotTaps;
          const T* in[kDotTaps];
          for (int t = 0; t < kDotTaps; ++t)  // the last block repeats its last tap
            in[t] = laid.p + q * (s.c / s.groups) * image.plane() + offset[min(r + t, z.k - 1)];
          for (int64_t b = 0; b < row_blocks; ++b) {
            const int64_t o = cut(z.m, row_blocks, b), end = cut(z.m, row_blocks, b + 1);
            with<kDotRows>(end - o, [&](auto height) {
              constexpr int H = decltype(height)::value;
              const T* row = gaps.p + (q * z.m + o) * spread.plane();
              Vec<T> sum[H][kDotTaps] = {};
              for (int64_t v = 0; v < vectors; ++v) {
                Vec<T> value[kDotTaps];
#pragma GCC unroll 4
                for (int t = 0; t < kDotTaps; ++t) value[t] = load(in[t] + v * L);
#pragma GCC unroll 8
                for (int l = 0; l < H; ++l) {
                  const Vec<T> gv = load(row + l * spread.plane() + v * L);
#pragma GCC unroll 4
                  for (int t = 0; t < kDotTaps; ++t) sum[l][t] += gv * value[t];
                }
              }
              T* total = sums.p + part * size + ((q * z.m + o) * z.k + r) * L;
              const int taps = min(kDotTaps, z.k - r);
#pragma GCC unroll 8
              for (int l = 0; l < H; ++l)
#pragma GCC unroll 4
                for (int t = 0; t < kDotTaps; ++t) {
                  T* out = total + (l * z.k + t) * L;
                  if (t < taps) store(out, load(out) + sum[l][t]);
                }
            });
          }
        }
      });
    }
  });
  for (int64_t i = 0; i < s.o * z.k; ++i) {
    Vec<T> total = {};
    for (int64_t part = 0; part < parts; ++part) total += load(sums.p + part * size + i * L);
    dw[i] = sum<T>(total);
  }
}

// to[p * kPackRows + i] = row[i][p] for `count` pixels p and i < high; none beyond them is read.
template <class T>
void pack_taps(T* to, const T* const* row, int high, int64_t count) {
  constexpr int L = kLanes<T>;
  for (int64_t p = 0; p < count; p += L) {
    const int lanes = min(L, count - p);
    for (int i = 0; i < kPackRows<T>; i += L) {
      Vec<T> x[L];
#pragma GCC unroll 16
      for (int r = 0; r < L; ++r) x[r] = i + r < high ? load_n(row[i + r] + p, lanes) : Vec<T>{};
      transpose<T>(x);
      if (lanes == L) {
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) store(to + (p + r) * kPackRows<T> + i, x[r]);
      } else {
        T column[L * L];
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) store(column + r * L, x[r]);
        for (int r = 0; r < lanes; ++r)
          store(to + (p + r) * kPackRows<T> + i, load(column + r * L));
      }
    }
  }
}

// How a tile reads rows anywhere.
template <class T, int H>
struct ByRow {
  const T* row[H];
  T operator()(int i, int64_t k) const { return row[i][k]; }
};

// sum (H, NV vectors) += the products of `lines` lines of `cols` pixels: of tap t in line l, which
// begins at line(l, t), and of NV vectors of outputs for each pixel, at b(l).
template <int H, int NV, class T, class Line, class Right>
__attribute__((noinline)) void add_lines(T* to, int64_t lines, int64_t cols, const Line& line,
                                         const Right& b) {
  Vec<T> sum[H][NV] = {};
  for (int64_t l = 0; l < lines; ++l) {
    ByRow<T, H> a;
    for (int t = 0; t < H; ++t) a.row[t] = line(l, t);
    accumulate<H, NV, T>(sum, cols, a, Steps<T>{b(l), kTileCols<T>});
  }
#pragma GCC unroll 14
  for (int t = 0; t < H; ++t, to += kTileCols<T>)
#pragma GCC unroll 2
    for (int v = 0; v < NV; ++v) store(to + v * kLanes<T>, load(to + v * kLanes<T>) + sum[t][v]);
}

// y = w cols   gives   dw^T = cols g^T, summed over the pixels and the images
//
// The rows of cols are read from the image as above, or packed if many outputs use them; g^T is
// packed. Small images go together. Where dw is large, there is one part, and the threads share its
// rows.
template <class T>
void fast_weight_vjp(T* dw, const T* g, const T* x, const ConvSizes& s) {
  constexpr int W = kTileCols<T>, L = kLanes<T>;
  const Face z(s);
  const int64_t channels = s.c / s.groups, strips = ceil_div(z.m, W), tiles = slivers(z.k);
  if (covers(s)) {
    for (int64_t q = 0; q < s.groups; ++q)
      product_fast<T>({z.m,
                       z.k,
                       s.n,
                       {dw + q * z.m * z.k, z.k, 1},
                       {g + q * z.m, 1, s.o},
                       {x + q * z.k, s.groups * z.k, 1},
                       {}},
                      num_threads());
    return;
  }
  if (s.n * s.groups == 1 && one_to_one(s))
    return product_fast<T>({z.m, z.k, z.p, {dw, z.k, 1}, {g, z.p, 1}, {x, 1, z.p}, {}},
                           num_threads());
  if (s.sh * s.sw * s.dh * s.dw == 1 && s.n > 0 && channels >= 8) {
    const Winograd wino{
        s.n, s.groups, z.m, channels, {s.h, s.oh, s.kh, 1, s.ph}, {s.w, s.ow, s.kw, 1, s.pw}};
    if (wino.pays(L)) {
      const int64_t size = s.groups * kPoints * z.m * wino.terms();
      if (winograd_weight_vjp(dw, g, x, wino, sum_parts(s, wino.work() / s.n, size))) return;
    }
  }
  const Image image{{s.h, s.oh, s.kh, s.sh, s.dh, s.ph}, {s.w, s.ow, s.kw, s.sw, s.dw, s.pw}};
  if (!image.worth(s)) return by_matrix_weight_vjp<T, product_simd<T>>(dw, g, x, s);
  const int64_t rows = image.plain() && image.h.length == s.ow ? 1 : s.oh, cols = z.p / rows;
  const int64_t at_once = min(rows, max(1, kDepth / cols));  // rows of pixels in one block
  const int64_t together = max(1, kDepth / z.p);             // images
  const bool pack_a = strips >= 4 && at_once * cols <= kDepth;

  const int64_t size = s.groups * strips * z.k * W, work = max(1, s.groups * z.m * z.k * z.p);
  const int64_t parts = sum_parts(s, work, size);
  Scratch<int64_t> offset(z.k);
  for (int64_t r = 0; r < z.k; ++r)
    offset.p[r] = image.offset(r / (s.kh * s.kw), r / s.kw % s.kh, r % s.kw);
  if (z.m <= L / 2) {
    weight_vjp_by_dots(dw, g, x, s, image, offset.p);
    if (all_finite(dw, s.o * z.k)) return;
  }
  Scratch<T> sums(parts * size);
  std::memset(sums.p, 0, parts * size * sizeof(T));

  for_chunks(parts, [&](int64_t part) {
    const int64_t begin = cut(s.n, parts, part), end = cut(s.n, parts, part + 1);
    const int64_t most = min(together, end - begin), pixels = most * z.p;
    Scratch<T> copy(image.plain() ? 0 : most * s.c * image.plane() + kSlack<T>);
    Scratch<T> packed(s.groups * strips * pixels * W);
    T* total = sums.p + part * size;
    for (int64_t n = begin; n < end; n += most) {
      const int64_t number = min(most, end - n);
      const T* laid = x + n * s.c * s.h * s.w;
      if (!image.plain()) {
        lay_out(copy.p, x, n * s.c, number * s.c, image);
        laid = copy.p;
      }
      for_ranges(s.groups * strips * number, ceil_div(kChunkWork / 16, z.p * W),
                 [&](int64_t from, int64_t to) {
                   for (int64_t v = from; v < to; ++v) {
                     const int64_t u = v / number, q = u / strips, o = u % strips * W;
                     const T* in = g + ((n + v % number) * s.o + q * z.m + o) * z.p;
                     pack<W>(packed.p + (u * most + v % number) * z.p * W,
                             Matrix<const T>{in, z.p, 1}, min(W, z.m - o), z.p);
                   }
                 });
      // Some taps of a group times the strips first..last-1, for the rows i.. of these images.
      const auto taps = [&](int64_t chunk, int64_t i, int64_t first, int64_t last) {
        const int64_t q = chunk / tiles, r = sliver(z.k, chunk % tiles);
        const int64_t lines = min(at_once, rows - i);
        const T* in = laid + q * channels * image.plane();
        const int high = sliver(z.k, chunk % tiles + 1) - r;
        const auto line = [&](int64_t l, int t) {  // of all images
          return in + l / lines * s.c * image.plane() + offset.p[r + t] +
                 (i + l % lines) * image.h.length;
        };
        // Images that go together are whole: their pixels follow each other.
        alignas(64) T left[kPackRows<T> * kDepth];
        for (int64_t l = 0; pack_a && l < number * lines; ++l) {
          const T* row[kTileRows];
          for (int t = 0; t < high; ++t) row[t] = line(l, t);
          pack_taps<T>(left + l * cols * kPackRows<T>, row, high, cols);
        }
        for (int64_t u = first; u < last; ++u) {
          const T* right = packed.p + ((q * strips + u) * pixels + i * cols) * W;
          T* out = total + ((q * strips + u) * z.k + r) * W;
          const bool two = z.m - u * W > L;
          if (pack_a) {
            const auto tile = tile_for<T, ByColumn<T>>(z.m - u * W, high);
            tile.whole(number * lines * cols, {left, kPackRows<T>}, {right, W}, out, W, out, W, 1,
                       L);
            continue;
          }
          const auto at = [&](int64_t l) {
            return right + (l / lines * z.p + l % lines * cols) * W;
          };
          with<kTileRows>(high, [&](auto height) {
            constexpr int H = decltype(height)::value;
            two ? add_lines<H, 2>(out, number * lines, cols, line, at)
                : add_lines<H, 1>(out, number * lines, cols, line, at);
          });
        }
      };
      const int64_t chunks = s.groups * tiles;
      for_ranges(chunks, ceil_div(chunks, max(1, min(16, number * work / (kChunkWork / 4)))),
                 [&](int64_t from, int64_t to) {
                   // What is used again at once is the packed taps, or else a strip.
                   const int64_t step = pack_a ? strips : 1;
                   for (int64_t i = 0; i < rows; i += at_once)
                     for (int64_t u = 0; u < strips; u += step)
                       for (int64_t chunk = from; chunk < to; ++chunk) taps(chunk, i, u, u + step);
                 });
    }
  });
  // dw from the parts' sums, which lie transposed: a square of vectors at a time.
  const int64_t columns = ceil_div(z.m, L);
  for_ranges(s.groups * columns, ceil_div(kChunkWork / 16, z.k * L), [&](int64_t from, int64_t to) {
    for (int64_t b = from; b < to; ++b) {
      const int64_t q = b / columns, o = b % columns * L;
      const T* in = sums.p + ((q * strips + o / W) * z.k) * W + o % W;
      for (int64_t r = 0; r < z.k; r += L) {
        const int high = min(L, z.k - r), wide = min(L, z.m - o);
        Vec<T> x[L];
#pragma GCC unroll 16
        for (int t = 0; t < L; ++t) x[t] = t < high ? load(in + (r + t) * W) : Vec<T>{};
        for (int64_t part = 1; part < parts; ++part)
#pragma GCC unroll 16
          for (int t = 0; t < L; ++t)
            if (t < high) x[t] += load(in + part * size + (r + t) * W);
        transpose<T>(x);
        T column[L * L];
#pragma GCC unroll 16
        for (int t = 0; t < L; ++t) store(column + t * L, x[t]);
        for (int t = 0; t < wide; ++t)
          store_n(dw + (q * z.m + o + t) * z.k + r, load(column + t * L), high);
      }
    }
  });
}

}  // namespace
}  // namespace mt::MT_ISA
