// Convolution by Winograd's minimal filtering, F(2x2, 3x3):
//
//     y = A^T [ sum over c of (G w G^T) * (B^T d B) ] A        * element by element
//
// for the 2x2 pixels of y that see the 4x4 pixels d of x. A sum takes 16 products instead of 36; in
// between stand 16 matrix products (o, c) by (c, tiles). The transforms add, subtract and halve:
//
//     B^T d = (d0 - d2, d1 + d2, d2 - d1, d1 - d3)      A^T m = (m0 + m1 + m2, m1 - m2 - m3)
//     G w = (w0, (w0 + w1 + w2) / 2, (w0 - w1 + w2) / 2, w2)
//
// A larger kernel is cut, along each axis, into parts of three taps that are a stride apart. Each
// is such a kernel for an image of its own, and they are summed as channels are. A part whose first
// or last tap is missing has nothing at the first or the last of the four points, so that 5x5 takes
// 49 products instead of 100, and 7x7, at stride 2 too, 100 instead of 196.
//
// What lies where: tiles follow each other line by line and image by image; W of them are a strip,
// and a few outputs a slice. At each of the 16 points xi, four rows of four, stands the product of
// a slice and a strip, a register tile; a term is a part and a channel of x:
//
//          u[xi]: G w G^T         v[xi]: B^T d B           products[xi]
//
//             output ->               tile ->                 tile ->
//          +------------+        +----------------+      +----------------+
//     term |            |   term |                |      |                | output
//       |  |   slice    |     |  |     strip      |  =>  |                |   |    => A^T m A: 2x2
//       v  |            |     v  |                |      +----------------+   v       pixels of y
//          +------------+        +----------------+                                   for each tile
//
// What is exact on small integers by the plain sum is exact here, and the error is the plain sum's
// or smaller, for each sum is shorter. Infinities would meet in the transforms; where a result is
// not finite, all is done the other way. A. Lavin and S. Gray, "Fast algorithms for convolutional
// neural networks", 2015.
#pragma once

#include "conv_matrix.h"

namespace mt::MT_ISA {
namespace {

constexpr int kPoints = 16, kMostTaps = 12, kMostParts = kMostTaps / 3;
// Parts pay where the tile is high: each has values of its own at every point, which it reads once.
constexpr bool kByParts = kTileRows > 8;
constexpr int64_t kSumDepth = 64;  // terms in one sum: several short ones have smaller errors

// Three taps of an axis, a stride apart from `tap` on, of which the first and the last may be
// missing; they are the places shift, shift + 1 and shift + 2 of every stride-th pixel.
struct Part {
  int64_t tap, shift;
  bool first, last;
  bool whole() const { return !kByParts || (first && last); }
  bool has(int point) const { return point == 0 ? first : point < 3 || last; }
};

// One axis: y[j] = sum over t of x[j * stride - pad + t] w[t]
struct Side {
  int64_t size, out, taps, stride, pad;
  int parts, begin[4], end[4];  // those parts that have something at each point
  Part part[kMostParts];

  __attribute__((noinline)) Side(int64_t size, int64_t out, int64_t taps, int64_t stride,
                                 int64_t pad)
      : size(size), out(out), taps(taps), stride(stride), pad(pad), parts(0) {
    if (taps > kMostTaps || stride > 2 || (!kByParts && taps != 3)) return;
    int count[4] = {};  // of parts that miss both, the first, none, the last, in this order
    for (int kind = 0; kind < 4; ++kind)
      for (int64_t phase = 0; phase < min(stride, taps); ++phase) {
        const int64_t places = ceil_div(taps - phase, stride), first = places % 3 == 1 ? -1 : 0;
        for (int64_t i = first; i < places; i += 3) {
          const Part p{phase + i * stride, i - first, i >= 0, i + 2 < places};
          if (kind != (p.first ? 3 - p.last : p.last)) continue;
          part[parts++] = p;
          ++count[kind];
        }
      }
    for (int point = 0; point < 4; ++point) begin[point] = 0, end[point] = parts;
    begin[0] = count[0] + count[1], begin[3] = count[0], end[3] = parts - count[3];
  }
  int64_t tiles() const { return ceil_div(out, 2); }
  // Pairs of an output and a tap that do not meet in the padding.
  __attribute__((noinline)) int64_t inside() const {
    int64_t sum = 0;
    for (int64_t t = 0; t < taps; ++t) sum += Span(out, stride, t - pad, size).length();
    return sum;
  }
  bool has(int64_t tap) const { return tap >= 0 && tap < taps; }
  int64_t first() const {
    int64_t tap = 0;
    for (int i = 0; i < parts; ++i) tap = min(tap, part[i].tap);
    return tap;
  }
  __attribute__((noinline)) int64_t points() const {
    int64_t sum = 0;
    for (int point = 0; point < 4; ++point) sum += end[point] - begin[point];
    return sum;
  }
  // Whether a quarter of the products is saved, as for three taps at stride 2 it is not.
  bool saves() const { return parts > 0 && 2 * points() <= 3 * taps; }
  // Lines of tiles that are seen beyond those of the tiles themselves.
  __attribute__((noinline)) int64_t beyond() const {
    int64_t most = 0;
    for (int i = 0; i < parts; ++i) most = max(most, part[i].shift);
    return ceil_div(most + 2, 2);
  }
};

// Some terms of the sum at a point; `first` of them.
struct Chain {
  int xi;
  bool first;
  int64_t from, end;
};

// y (n, groups * m, v.out, h.out) of x (n, groups * k, v.size, h.size)
struct Winograd {
  int64_t n, groups, m, k;
  Side v, h;

  int area() const { return v.taps * h.taps; }
  bool three_by_three() const { return !kByParts || (v.taps == 3 && h.taps == 3 && one_part()); }
  bool one_part() const { return v.parts * h.parts == 1; }
  // Whether a pair of parts has something at a point.
  bool has(int pair, int point) const {
    return v.part[pair / h.parts].has(point / 4) && h.part[pair % h.parts].has(point % 4);
  }
  // The taps of each pair of parts; for the missing ones the number after the last.
  __attribute__((noinline)) void index_taps(int* index) const {
    for (int t = 0; t < v.parts * h.parts * 9; ++t) {
      const int64_t down = v.part[t / 9 / h.parts].tap + t / 3 % 3 * v.stride;
      const int64_t right = h.part[t / 9 % h.parts].tap + t % 3 * h.stride;
      index[t] = v.has(down) && h.has(right) ? down * h.taps + right : area();
    }
  }
  int64_t tiles() const { return v.tiles() * h.tiles(); }  // of an image
  int64_t terms() const { return v.parts * h.parts * k; }  // of a sum that has them all
  int64_t products() const { return v.points() * h.points() * m * k; }  // of a tile
  int64_t work() const { return groups * n * tiles() * products(); }
  // Whether so many products are saved that they outweigh the transforms, which take a line of
  // tiles at a time: of pixels, and of the weights where these are cut into parts, or of the
  // gradient by them, where channels fill so many lanes. The direct way leaves most products with
  // padding out, but the others take longer there.
  __attribute__((noinline)) bool pays(int lanes = 1) const {
    if (!v.saves() || !h.saves() || m < 8 || terms() < 8) return false;
    const int64_t outs = ceil_div(m, lanes) * lanes, ins = ceil_div(k, lanes) * lanes;
    int64_t pairs = v.out * h.out * area();
    if (lanes == 1) pairs = min(pairs, 4 * v.inside() * h.inside() / 3);
    const int64_t saved = pairs * m * k - tiles() * v.points() * h.points() * outs * ins;
    const int64_t line = (30 * h.tiles() + (lanes > 1 ? 400 : 600)) * h.stride;
    const int64_t weights = lanes > 1 ? 0 : 25 * kPoints * (v.parts * h.parts - 1) * m * k;
    return n * (saved - v.tiles() * line * (m + terms())) >= weights;
  }
};

// The even, or the odd, elements of a and b.
template <class T>
inline Vec<T> every_other(Vec<T> a, Vec<T> b, int first) {
  constexpr int L = kLanes<T>;
#if defined(__clang__)
  Vec<T> v;
  for (int i = 0; i < L; ++i) v[i] = 2 * i + first < L ? a[2 * i + first] : b[2 * i + first - L];
  return v;
#else
  Mask<T> index;
  for (int i = 0; i < L; ++i) index[i] = 2 * i + first;
  return __builtin_shuffle(a, b, index);
#endif
}

// Those lanes of a vector that lie inside a row of n elements, if it begins at element `at`.
inline unsigned lanes_inside(int64_t at, int64_t n) {
  const int64_t most = 16;
  if (at >= 0 && at + most <= n) return (1u << most) - 1;
  const int64_t begin = at < 0 ? min(most, -at) : 0, end = max(0, min(most, n - at));
  return ((1u << end) - 1) & ~((1u << begin) - 1);
}

// A vector of those lanes; the others are 0, and are not read.
template <class T>
inline Vec<T> load_lanes(const T* p, unsigned lanes) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_loadu_ps(lanes, p);
  else
    return (Vec<T>)_mm512_maskz_loadu_pd(lanes, p);
#else
  Mask<T> inside;
  for (int i = 0; i < kLanes<T>; ++i) inside[i] = -int64_t(lanes >> i & 1);
#if defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_maskload_ps(p, (__m256i)inside);
  else
    return (Vec<T>)_mm256_maskload_pd(p, (__m256i)inside);
#else
  T lane[kLanes<T>];
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = inside[i] ? p[i] : 0;
  return load(lane);
#endif
#endif
}

// --- the weights -------------------------------------------------------------------------------

// Points of h rows of transformed weights lie so far apart: a power of two would meet in the cache.
template <class T>
int64_t weights_step(const Winograd& s, int h) {
  return s.terms() * h + kLanes<T>;
}

// u[xi][part][k][i] = (G w_ik G^T)[xi], of h rows i and s.k channels k: element (i, k) of w begins
// at w + i * row + k * col. `turned` reads its taps from the last to the first. 3x3 (`Three`) has
// its numbers from the compiler.
template <class Three, class T>
void winograd_weights(Three three, T* u, const T* w, int64_t row, int64_t col, int h, bool turned,
                      const Winograd& s) {
  constexpr int L = kLanes<T>;
  const int area = three ? 9 : s.area(), parts = three ? 1 : s.v.parts * s.h.parts;
  const int64_t step = weights_step<T>(s, h);
  int index[kMostParts * kMostParts * 9];
  if (!three) s.index_taps(index);
  for (int i = 0; i < h; i += L) {
    const int high = min(L, h - i);
    for (int64_t k = 0; k < s.k; ++k) {
      // The taps of L rows: squares of vectors turned over.
      T taps[(kMostTaps * kMostTaps / L + 1) * L * L];
      for (int t = 0; t < area + 1 - three; t += L) {
        const int wide = min(L, area - t);
        Vec<T> x[L];
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r)
          x[r] = r < high ? load_n(w + (i + r) * row + k * col + t, wide) : Vec<T>{};
        transpose<T>(x);
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) store(taps + (t + r) * L, x[r]);
      }
      for (int part = 0; part < parts; ++part) {
        Vec<T> v[4][3];  // G w
#pragma GCC unroll 3
        for (int b = 0; b < 3; ++b) {
          Vec<T> w[3];
#pragma GCC unroll 3
          for (int a = 0; a < 3; ++a) {
            const int t = 3 * a + b;
            const int tap = three ? t : index[9 * part + t];
            w[a] = load(taps + (turned && tap < area ? area - 1 - tap : tap) * L);
          }
          const Vec<T> even = (w[0] + w[2]) * T(0.5), odd = w[1] * T(0.5);
          v[0][b] = w[0], v[1][b] = even + odd, v[2][b] = even - odd, v[3][b] = w[2];
        }
#pragma GCC unroll 4
        for (int a = 0; a < 4; ++a) {
          const Vec<T> even = (v[a][0] + v[a][2]) * T(0.5), odd = v[a][1] * T(0.5);
          T* to = u + 4 * a * step + (part * s.k + k) * h + i;
          store_n(to, v[a][0], high);
          store_n(to + step, even + odd, high);
          store_n(to + 2 * step, even - odd, high);
          store_n(to + 3 * step, v[a][2], high);
        }
      }
    }
  }
}

// --- the image ---------------------------------------------------------------------------------

// Lanes of a vector of tiles that lie side by side: where in the transformed rows lane 0 would be,
// or where in y the first one's pixels go, and how many pixels there are.
struct Piece {
  int lane;
  int64_t at;
  int wide, high;
};

// The tiles first..end-1 of all images, and the rows that they see.
struct TileBlock {
  int64_t first, end, across, per_image;
  int64_t image, images;  // the first that has some, and how many have
  int64_t lines;          // of tiles, and beyond, in the image that has most
  TileBlock(const Winograd& s, int64_t first, int64_t end)
      : first(first), end(end), across(s.h.tiles()), per_image(s.tiles()) {
    image = first / per_image, images = (end - 1) / per_image + 1 - image;
    lines = images > 1 ? s.v.tiles() : last_line(image) - first_line(image);
    lines += s.v.beyond();
  }
  int64_t first_line(int64_t i) const { return max(0, first - i * per_image) / across; }
  int64_t last_line(int64_t i) const {
    return ceil_div(min(per_image, end - i * per_image), across);
  }
  // Of one phase of rows and one column; whole vectors are written, and read.
  int64_t plane() const { return lines * across + kSpare; }
  int64_t size() const { return images * 8 * plane(); }
  static constexpr int64_t kSpare = 64 / sizeof(float);  // a vector's lanes, at most
};

// rows[image][even, odd row][column of B^T][line][tile] = (d B) of one channel, for the rows from
// tap `top` on, and a part of the taps of a row. The rows in the padding are never written, and are
// 0 from the start.
template <class T>
void transform_rows(T* rows, const T* x, int64_t x_step, int64_t top, const Part& part,
                    const Winograd& s, const TileBlock& block) {
  constexpr int L = kLanes<T>;
  const Side &v = s.v, &h = s.h;
  const int64_t across = block.across, plane = block.plane(), face = v.size * h.size;
  for (int64_t n = 0; n < block.images; ++n) {
    const int64_t image = block.image + n, first = block.first_line(image);
    const int64_t lines = block.last_line(image) + v.beyond() - first;
    const int64_t up = 2 * first * v.stride + top - v.pad;
    const Span is(2 * lines, v.stride, up, v.size);
    const T* const in = x + image * x_step + up * h.size;
    for (int64_t j = 0; j < across; j += L) {
      const int tiles = min(L, across - j);
      const auto each_row = [&](auto step, auto wide) {
        constexpr int S = decltype(step)::value;
        const int64_t left = part.tap - h.pad + 2 * j * S;
        unsigned lanes[2 * (L + 3)];
        // The pixels at columns from, from + S ..
        const auto see = [&](int from) {
          for (int v = 0; v < S; ++v)
            lanes[2 * from + v] = lanes_inside(left + from * S + v * L, h.size);
        };
        see(0), see(2), see(L), see(L + 2);
        for (int64_t i = is.begin; i < is.end; ++i) {
          const T* row = in + i * v.stride * h.size + left;
          const auto pixels = [&](int from) {
            const T* p = row + from * S;
            const Vec<T> low = load_lanes(p, lanes[2 * from]);
            if (S == 1) return low;
            return every_other<T>(low, load_lanes(p + L, lanes[2 * from + 1]), 0);
          };
          __builtin_prefetch(row + face);  // the next channel
          if (wide) __builtin_prefetch(row + face + L * S);
          const Vec<T> a = pixels(0), b = wide ? pixels(L) : a;
          const Vec<T> c = pixels(2), d = wide ? pixels(L + 2) : c;
          const Vec<T> d0 = every_other<T>(a, b, 0), d1 = every_other<T>(a, b, 1);
          const Vec<T> d2 = every_other<T>(c, d, 0), d3 = every_other<T>(c, d, 1);
          T* out = rows + (8 * n + i % 2 * 4) * plane + i / 2 * across + j;
          store_n(out, d0 - d2, tiles);
          store_n(out + plane, d1 + d2, tiles);
          store_n(out + 2 * plane, d2 - d1, tiles);
          store_n(out + 3 * plane, d1 - d3, tiles);
        }
      };
      if (h.stride == 1)
        2 * tiles > L ? each_row(Int<1>{}, Int<1>{}) : each_row(Int<1>{}, Int<0>{});
      else
        each_row(Int<2>{}, Int<1>{});
    }
  }
}

// Where the L tiles from t on begin in the transformed rows, image by image.
template <class T>
int pieces_of_rows(Piece* piece, const TileBlock& block, int64_t t) {
  int count = 0;
  for (int lane = 0; lane < kLanes<T> && t + lane < block.end;) {
    const int64_t image = (t + lane) / block.per_image, tile = (t + lane) % block.per_image;
    const int64_t n = image - block.image;
    piece[count].lane = lane;
    piece[count].at = 8 * n * block.plane() + tile - block.first_line(image) * block.across - lane;
    lane += min(kLanes<T> - lane, block.per_image - tile);
    ++count;
  }
  return count;
}

// v[xi * step + j] = (B^T d B)[xi] of L tiles of one channel, where these parts have
// something: everywhere, if they are `Whole`.
template <class Whole, class T>
void transform_columns(Whole whole, T* v, int64_t step, const T* rows, const Part& down,
                       const Part& right, const TileBlock& block, const Piece* piece, int count) {
  const int64_t plane = block.plane();
  const T* two[2];  // the even rows of the tiles, and the odd ones
  for (int a = 0; a < 2; ++a)
    two[a] = rows + (down.shift + a) % 2 * 4 * plane + (down.shift + a) / 2 * block.across;
#pragma GCC unroll 4
  for (int b = 0; b < 4; ++b) {
    if (!whole && ((b == 0 && !right.first) || (b == 3 && !right.last))) continue;
    Vec<T> d[4];
#pragma GCC unroll 4
    for (int a = 0; a < 4; ++a) {
      const T* row = two[a % 2] + b * plane + a / 2 * block.across;
      d[a] = load(row + piece[0].at);
      for (int p = 1; p < count; ++p)
        d[a] = select<T>(first_lanes<T>(piece[p].lane), d[a], load(row + piece[p].at));
    }
    if (whole || down.first) store(v + b * step, d[0] - d[2]);
    store(v + (4 + b) * step, d[1] + d[2]);
    store(v + (8 + b) * step, d[2] - d[1]);
    if (whole || down.last) store(v + (12 + b) * step, d[1] - d[3]);
  }
}

// --- the output --------------------------------------------------------------------------------

// Where the L tiles from t on go in y, line by line; their upper left pixels.
template <class T>
int pieces_of_y(Piece* piece, const Winograd& s, int64_t y_step, int64_t t, int64_t end) {
  int count = 0;
  const int64_t across = s.h.tiles(), per_image = s.tiles();
  for (int lane = 0; lane < kLanes<T> && t + lane < end;) {
    const int64_t image = (t + lane) / per_image, tile = (t + lane) % per_image;
    const int64_t i = tile / across, j = tile % across;
    const int run = min(min(kLanes<T> - lane, end - t - lane), across - j);
    piece[count].lane = lane;
    piece[count].at = image * y_step + 2 * i * s.h.out + 2 * j;
    piece[count].wide = min(2 * run, s.h.out - 2 * j);
    piece[count].high = min(2, s.v.out - 2 * i);
    lane += run, ++count;
  }
  return count;
}

// The 2x2 pixels of L tiles of one channel: A^T m A + bias. `zero` stays 0 while they are finite;
// lanes beyond the last tile do not count.
template <class T>
inline void transform_out(T* y, const T* m, int64_t step, T bias, const Winograd& s,
                          const Piece* piece, int count, int lanes, Vec<T>& zero) {
  constexpr int L = kLanes<T>;
  Vec<T> up[4], low[4];
#pragma GCC unroll 4
  for (int b = 0; b < 4; ++b) {
    const Vec<T> m0 = load(m + b * step), m1 = load(m + (4 + b) * step),
                 m2 = load(m + (8 + b) * step), m3 = load(m + (12 + b) * step);
    up[b] = m0 + (m1 + m2);
    low[b] = (m1 - m2) - m3;
  }
  const auto put_row = [&](const Vec<T>(&c)[4], int below) {
    const Vec<T> left = c[0] + (c[1] + c[2]) + bias, right = (c[1] - c[2]) - c[3] + bias;
    const Vec<T> none = left * 0 + right * 0;
    zero += lanes == L ? none : select<T>(first_lanes<T>(lanes), none, Vec<T>{});
    const Vec<T> a = interleave<T>(left, right, 0), b = interleave<T>(left, right, L / 2);
    if (piece[0].wide == 2 * L) {
      if (below >= piece[0].high) return;
      store(y + piece[0].at + below * s.h.out, a);
      store(y + piece[0].at + below * s.h.out + L, b);
      return;
    }
#if defined(__AVX512F__) && !defined(__clang__)
    for (int p = 0; p < count; ++p) {
      if (below >= piece[p].high) continue;
      const int n = piece[p].wide;
      T* out = y + piece[p].at + below * s.h.out;
      Mask<T> index;
      for (int i = 0; i < L; ++i) index[i] = i;
      index += 2 * piece[p].lane;
      store_n(out, __builtin_shuffle(a, b, index), min(n, L));
      if (n > L) store_n(out + L, __builtin_shuffle(a, b, index + L), n - L);
    }
#else
    T pixels[4 * L];
    store(pixels, a);
    store(pixels + L, b);
    for (int p = 0; p < count; ++p) {
      if (below >= piece[p].high) continue;
      const int n = piece[p].wide;
      T* out = y + piece[p].at + below * s.h.out;
      const T* from = pixels + 2 * piece[p].lane;
      store_n(out, load(from), min(n, L));
      if (n > L) store_n(out + L, load(from + L), n - L);
    }
#endif
  };
  put_row(up, 0);
  put_row(low, 1);
}

// --- all of it ---------------------------------------------------------------------------------

// Lists the chains of all points: the terms of those parts that have something there, which lie
// side by side where rows of parts are whole. A point without any has an empty one. How many there
// are.
int64_t chains_of(Chain* list, const Winograd& s) {
  int64_t count = 0;
  for (int xi = 0; xi < kPoints; ++xi) {
    const int a = xi / 4, b = xi % 4;
    const int high = s.v.end[a] - s.v.begin[a], wide = s.h.end[b] - s.h.begin[b];
    const int runs = high == 0 || wide == s.h.parts ? 1 : high;
    const int64_t length = high * wide / runs * s.k, depths = max(1, ceil_div(length, kSumDepth));
    for (int i = 0; i < runs * depths; ++i) {
      const int64_t from = ((s.v.begin[a] + i / depths) * s.h.parts + s.h.begin[b]) * s.k;
      list[count++] = {xi, i == 0, from + cut(length, depths, i % depths),
                       from + cut(length, depths, i % depths + 1)};
    }
  }
  return count;
}

// y = the convolution of x with weights + bias: output i of a group and channel k of it begin at
// w + group * w_step + i * row + k * col. False if a result, or what it came from, is not finite.
template <class T>
bool winograd(T* y, const T* x, const T* w, int64_t w_step, int64_t row, int64_t col, bool turned,
              const T* bias, const Winograd& s) {
  constexpr int W = kTileCols<T>, L = kLanes<T>;
  const int64_t total = s.n * s.tiles(), strips = ceil_div(total, W), slices = slivers(s.m);
  const int64_t face = s.v.size * s.h.size, out_face = s.v.out * s.h.out;
  const int64_t x_step = s.groups * s.k * face, y_step = s.groups * s.m * out_face;
  const int64_t terms = s.terms();
  const int64_t point = terms * W + L;  // one vector more: a power of two would meet in the cache
  const int64_t fit = max(1, kPanelBytes / int64_t(sizeof(T)) / (kPoints * point));
  const int64_t wanted = min(kChunks, s.work() / s.groups / kChunkWork);
  const int64_t fitting = ceil_div(strips, fit), many = max(fitting, min(strips, wanted));
  const bool apart = s.groups * many > 1 || s.work() < 2 * kChunkWork;
  const int64_t blocks = apart ? many : fitting;
  Scratch<Chain> chains(kPoints * (kMostParts + ceil_div(terms, kSumDepth)));
  const int64_t count = chains_of(chains.p, s);
  bool finite = true;

  // The transformed weights of slice t of group q; beforehand, if more than one block reads them.
  const int64_t size = kPoints * weights_step<T>(s, kTileRows);
  const auto weights = [&](T* u, int64_t q, int64_t t) {
    const int64_t i = sliver(s.m, t), h = sliver(s.m, t + 1) - i;
    const T* from = w + q * w_step + i * row;
    s.three_by_three() ? winograd_weights(Int<1>{}, u, from, row, col, h, turned, s)
                       : winograd_weights(Int<0>{}, u, from, row, col, h, turned, s);
  };
  Scratch<T> all(blocks > 1 ? s.groups * slices * size : 0);
  if (blocks > 1)
    for_ranges(s.groups * slices, ceil_div(kChunkWork / 16, size), [&](int64_t from, int64_t to) {
      for (int64_t t = from; t < to; ++t) weights(all.p + t * size, t / slices, t % slices);
    });

  // v[strip][xi][part][channel][tile] of the channels first..last-1 of group q
  const auto transform = [&](T* v, const TileBlock& block, int64_t q, int64_t first, int64_t last) {
    const int64_t vectors = ceil_div(block.end - block.first, L);
    Scratch<T> rows(block.size() + 4 * L);
    Scratch<Piece> pieces(vectors * L);
    Scratch<int> counts(vectors);
    for (int64_t i = 0; i < vectors; ++i)
      counts.p[i] = pieces_of_rows<T>(pieces.p + i * L, block, block.first + i * L);
    for (int right = 0; right < s.h.parts; ++right)
      for (int phase = 0; phase < s.v.parts; ++phase) {
        if (s.v.part[phase].shift) continue;
        // Lanes beyond the last tile are dropped, but what is left in memory may be slow to
        // multiply.
        std::memset(rows.p, 0, (block.size() + 4 * L) * sizeof(T));
        for (int64_t c = first; c < last; ++c) {
          transform_rows(rows.p, x + (q * s.k + c) * face, x_step, s.v.part[phase].tap,
                         s.h.part[right], s, block);
          for (int down = 0; down < s.v.parts; ++down) {
            const Part& part = s.v.part[down];
            if (part.tap != s.v.part[phase].tap + part.shift * s.v.stride) continue;
            T* to = v + ((down * s.h.parts + right) * s.k + c) * W;
            const auto columns = [&](auto whole) {
              for (int64_t i = 0; i < vectors; ++i)
                transform_columns(whole, to + i * L / W * kPoints * point + i * L % W, point,
                                  rows.p, part, s.h.part[right], block, pieces.p + i * L,
                                  counts.p[i]);
            };
            part.whole() && s.h.part[right].whole() ? columns(Int<1>{}) : columns(Int<0>{});
          }
        }
      }
  };
  // The slivers first..last-1 of group q.
  const auto multiply = [&](const T* v, const TileBlock& block, int64_t q, int64_t first,
                            int64_t last) {
    alignas(64) T products[kPoints * kTileRows * W];
    Piece piece[2][L];
    Vec<T> zero = {};
    Scratch<T> own(blocks > 1 ? 0 : size);
    for (int64_t t = first; t < last; ++t) {
      const int64_t i = sliver(s.m, t);
      const int rows = sliver(s.m, t + 1) - i;
      const T* a = blocks > 1 ? all.p + (q * slices + t) * size : own.p;
      if (blocks == 1) weights(own.p, q, t);
      for (int64_t begin = block.first; begin < block.end; begin += W) {
        const T* right = v + (begin - block.first) / W * kPoints * point;
        const int n = min(W, block.end - begin);
        const auto tile = tile_for<T, ByColumn<T>>(n, rows);
        for (int64_t l = 0; l < count; ++l) {
          const Chain& chain = chains.p[l];
          const int64_t k = chain.from;
          const Matrix<T> c{products + chain.xi * rows * W, W, 1};
          tile(chain.end - k, {a + chain.xi * weights_step<T>(s, rows) + k * rows, rows},
               {right + chain.xi * point + k * W, W}, tile.vectors * L, c,
               chain.first ? Matrix<const T>{} : Matrix<const T>{c.p, W, 1});
        }
        for (int part = 0; part < tile.vectors; ++part) {
          const int runs = pieces_of_y<T>(piece[part], s, y_step, begin + part * L, block.end);
          for (int l = 0; l < rows; ++l) {
            const int64_t o = q * s.m + i + l;
            transform_out(y + o * out_face, products + l * W + part * L, rows * W,
                          bias ? bias[o] : T(0), s, piece[part], runs, min(L, n - part * L), zero);
          }
        }
      }
    }
    if (sum<T>(zero) != 0) __atomic_store_n(&finite, false, __ATOMIC_RELAXED);
  };
  const auto block_of = [&](int64_t b) {
    return TileBlock(s, cut(strips, blocks, b) * W, min(total, cut(strips, blocks, b + 1) * W));
  };
  const int64_t most = ceil_div(strips, blocks) * kPoints * point;
  if (apart) {
    for_chunks(s.groups * blocks, [&](int64_t chunk) {
      const int64_t q = chunk / blocks;
      const TileBlock block = block_of(chunk % blocks);
      Scratch<T> v(most);
      transform(v.p, block, q, 0, s.k);
      multiply(v.p, block, q, 0, slices);
    });
    return finite;
  }
  // Few tiles: the threads share channels and outputs instead.
  const int64_t parts = min(4, ceil_div(s.k, 8)), shares = min(8, slices);
  Scratch<T> v(most);
  for (int64_t chunk = 0; chunk < s.groups * blocks; ++chunk) {
    const int64_t q = chunk / blocks;
    const TileBlock block = block_of(chunk % blocks);
    for_chunks(parts, [&](int64_t p) {
      transform(v.p, block, q, cut(s.k, parts, p), cut(s.k, parts, p + 1));
    });
    for_chunks(shares, [&](int64_t p) {
      multiply(v.p, block, q, cut(slices, shares, p), cut(slices, shares, p + 1));
    });
  }
  return finite;
}

}  // namespace
}  // namespace mt::MT_ISA
