// The gradient by the weights of a convolution at stride 1 (conv_winograd.h), for each pair of
// parts:
//
//     y = A^T [(G w G^T) * (B^T d B)] A
//     dw = G^T [sum over tiles of (A g A^T) * (B^T d B)] G
//
// 16 products of matrices (o, tiles) and (tiles, parts c). Vectors hold channels here.
#pragma once

#include "conv_winograd.h"

namespace mt::MT_ISA {
namespace {

// to[col * L + c] = x[c * plane + col] for a row of n pixels of some channels; zeros in the other
// lanes
template <class T>
void turn_row(T* to, const T* x, int64_t plane, int channels, int64_t n) {
  constexpr int L = kLanes<T>;
  for (int64_t j = 0; j < n; j += L) {
    const int wide = min(L, n - j);
    Vec<T> v[L];
#pragma GCC unroll 16
    for (int c = 0; c < L; ++c) v[c] = c < channels ? load_n(x + c * plane + j, wide) : Vec<T>{};
    transpose<T>(v);
    if (wide == L) {
#pragma GCC unroll 16
      for (int c = 0; c < L; ++c) store(to + (j + c) * L, v[c]);
    } else {
      T square[L * L];
#pragma GCC unroll 16
      for (int c = 0; c < L; ++c) store(square + c * L, v[c]);
      std::memcpy(to + j * L, square, wide * L * sizeof(T));
    }
  }
}

// An image (h, w), its pixel (-ph, -pw) the first of the rows below, and the lines of tiles that
// cover it, each of which sees `height` rows of `width` pixels.
struct Turned {
  int64_t h, w, ph, pw, down, height, width;
};

// f(line, rows) for the lines first..end-1 of all images: the rows of pixels that a line sees,
// turned, x being the first of some channels.
template <class T, class F>
void turned_lines(const T* x, int64_t x_step, int channels, const Turned& s, int64_t first,
                  int64_t end, const F& f) {
  constexpr int L = kLanes<T>;
  const int64_t size = s.width * L;
  const Span js(s.width, 1, -s.pw, s.w);
  Scratch<T> ring(s.height * size);  // row r is in place r % height
  std::memset(ring.p, 0, s.height * size * sizeof(T));
  for (int64_t line = first; line < end; ++line) {
    const int64_t i = line % s.down;
    const int64_t done = line > first && i > 0 ? s.height - 2 : 0;  // by the line before
    const T* rows[3 * kMostParts + 1];
    for (int64_t a = 0; a < s.height; ++a) {
      const int64_t row = 2 * i + a - s.ph;
      T* to = ring.p + (2 * i + a) % s.height * size;
      rows[a] = to;
      if (a < done) continue;
      if (row >= 0 && row < s.h)
        turn_row(to + js.begin * L, x + line / s.down * x_step + row * s.w + js.begin - s.pw,
                 s.h * s.w, channels, js.end - js.begin);
      else
        std::memset(to, 0, size * sizeof(T));
    }
    f(line, rows);
  }
}

// v[xi * point + j * step] = (B^T d B)[xi] of the tiles j of a line, from column `left` on
template <class T>
void transform_line(T* v, int64_t point, int64_t step, const T* const* rows, int64_t left,
                    int64_t across) {
  constexpr int L = kLanes<T>;
  Vec<T> d[4][4];  // B^T d, by row and column
  const auto column = [&](int64_t col, int b) {
    const int64_t at = (left + col) * L;
    const Vec<T> x0 = load(rows[0] + at), x1 = load(rows[1] + at), x2 = load(rows[2] + at),
                 x3 = load(rows[3] + at);
    d[0][b] = x0 - x2, d[1][b] = x1 + x2, d[2][b] = x2 - x1, d[3][b] = x1 - x3;
  };
  column(0, 0), column(1, 1);
  for (int64_t j = 0; j < across; ++j) {
    column(2 * j + 2, 2), column(2 * j + 3, 3);
#pragma GCC unroll 4
    for (int a = 0; a < 4; ++a) {
      T* to = v + 4 * a * point + j * step;
      store(to, d[a][0] - d[a][2]);
      store(to + point, d[a][1] + d[a][2]);
      store(to + 2 * point, d[a][2] - d[a][1]);
      store(to + 3 * point, d[a][1] - d[a][3]);
      d[a][0] = d[a][2], d[a][1] = d[a][3];
    }
  }
}

// v[xi * point + j * step] = (A g A^T)[xi] of the tiles j of a line
template <class T>
void spread_line(T* v, int64_t point, int64_t step, const T* const* rows, int64_t across) {
  constexpr int L = kLanes<T>;
  for (int64_t j = 0; j < across; ++j) {
    Vec<T> left[4], right[4];  // A g
    const auto column = [&](Vec<T>(&c)[4], int64_t col) {
      const Vec<T> g0 = load(rows[0] + col * L), g1 = load(rows[1] + col * L);
      c[0] = g0, c[1] = g0 + g1, c[2] = g0 - g1, c[3] = -g1;
    };
    column(left, 2 * j), column(right, 2 * j + 1);
#pragma GCC unroll 4
    for (int a = 0; a < 4; ++a) {
      T* to = v + 4 * a * point + j * step;
      store(to, left[a]);
      store(to + point, left[a] + right[a]);
      store(to + 2 * point, left[a] - right[a]);
      store(to + 3 * point, -right[a]);
    }
  }
}

// dw[k][tap] = (G^T p G)[tap] of the sum p of the shares, part by part; lanes k. False if one is
// not finite. `index` has the parts' taps (Winograd::index_taps), `Three` is as above.
template <class Three, class T>
bool gather_taps(Three three, T* dw, const T* p, int64_t point, int64_t part_step, int64_t shares,
                 int64_t share_step, int channels, const int* index, const Winograd& s) {
  constexpr int L = kLanes<T>;
  const int area = three ? 9 : s.area(), parts = three ? 1 : s.v.parts * s.h.parts;
  T taps[(kMostTaps * kMostTaps / L + 1) * L * L];
  Vec<T> zero = {};
  for (int part = 0; part < parts; ++part, p += part_step, index += 9) {
    Vec<T> v[4][3];  // p G
#pragma GCC unroll 4
    for (int a = 0; a < 4; ++a) {
      Vec<T> m[4];
#pragma GCC unroll 4
      for (int b = 0; b < 4; ++b) {
        const T* from = p + (4 * a + b) * point;
        m[b] = load(from);
        for (int64_t share = 1; share < shares; ++share) m[b] += load(from + share * share_step);
      }
      const Vec<T> even = (m[1] + m[2]) * T(0.5);
      v[a][0] = m[0] + even, v[a][1] = (m[1] - m[2]) * T(0.5), v[a][2] = even + m[3];
    }
#pragma GCC unroll 3
    for (int b = 0; b < 3; ++b) {
      const Vec<T> even = (v[1][b] + v[2][b]) * T(0.5);
      const Vec<T> tap[3] = {v[0][b] + even, (v[1][b] - v[2][b]) * T(0.5), even + v[3][b]};
#pragma GCC unroll 3
      for (int a = 0; a < 3; ++a) {
        const int t = three ? 3 * a + b : index[3 * a + b];
        store(taps + t * L, tap[a]);
        if (t < area) zero += tap[a] * 0;
      }
    }
  }
  for (int block = 0; block < area; block += L) {
    Vec<T> x[L];
#pragma GCC unroll 16
    for (int r = 0; r < L; ++r) x[r] = load(taps + (block + r) * L);
    transpose<T>(x);
    T rows[L * L];
#pragma GCC unroll 16
    for (int r = 0; r < L; ++r) store(rows + r * L, x[r]);
    for (int r = 0; r < channels; ++r)
      store_n(dw + r * area + block, load(rows + r * L), min(L, area - block));
  }
  return sum<T>(zero) == 0;
}

// The lines of tiles are cut into shares with sums of their own. False, with dw undefined, if a
// result, or what it came from, is not finite.
template <class T>
bool winograd_weight_vjp(T* dw, const T* g, const T* x, const Winograd& s, int64_t shares) {
  constexpr int L = kLanes<T>, H = L < 4 ? L : kRegisters < 32 || L < 8 ? 4 : 8;  // divides L
  const int64_t down = s.v.tiles(), across = s.h.tiles(), lines = s.n * down;
  const int64_t x_face = s.v.size * s.h.size, g_face = s.v.out * s.h.out;
  const int parts = s.v.parts * s.h.parts;
  const int64_t top = s.v.first(), left = s.h.first();  // taps, of which -1 may be the first
  const Turned outs{s.v.out, s.h.out, 0, 0, down, 2, 2 * across},
      ins{s.v.size,
          s.h.size,
          s.v.pad - top,
          s.h.pad - left,
          down,
          3 * s.v.parts + 1,
          2 * across + 3 * s.h.parts - 1};
  // Vectors of channels: of g, of x, and of x for all parts.
  const int64_t lefts = ceil_div(s.m, L), each = ceil_div(s.k, L), rights = parts * each;
  const int64_t columns = s.groups * (lefts + rights);
  const int64_t face = lefts * L * rights * L, size = s.groups * kPoints * face;  // [xi][o][k]
  const int64_t room = (shares > 1 ? 1 : 4) * kPanelBytes / int64_t(sizeof(T));
  const int64_t fit = max(1, room / (kPoints * columns * L * across));  // lines in a block
  Scratch<T> sums(shares * size);
  for_chunks(shares, [&](int64_t share) {
    const int64_t begin = cut(lines, shares, share), end = cut(lines, shares, share + 1);
    const int64_t blocks = ceil_div(end - begin, fit);
    // Of each vector of g's channels [xi][tile], of x's, in pairs where there are two,
    // [xi][tile][channel]; an xi ends a vector later, for powers of two would meet in the cache.
    const int64_t point = ceil_div(end - begin, blocks) * across * L + L;
    Scratch<T> turned(columns * kPoints * point);
    T* total = sums.p + share * size;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t from = begin + cut(end - begin, blocks, block),
                    to = begin + cut(end - begin, blocks, block + 1), tiles = (to - from) * across;
      const int64_t turns = lefts + each, pieces = min(to - from, ceil_div(8, s.groups * turns));
      for_chunks(s.groups * turns * pieces, [&](int64_t chunk) {
        const int64_t piece = chunk % pieces, q = chunk / pieces / turns,
                      c = chunk / pieces % turns;
        const int64_t first = from + cut(to - from, pieces, piece),
                      last = from + cut(to - from, pieces, piece + 1);
        T* group = turned.p + q * (lefts + rights) * kPoints * point;
        if (c < lefts) {
          T* at = group + c * kPoints * point;
          turned_lines(g + (q * s.m + c * L) * g_face, s.groups * s.m * g_face, min(L, s.m - c * L),
                       outs, first, last, [&](int64_t line, const T* const* rows) {
                         spread_line(at + (line - from) * across * L, point, L, rows, across);
                       });
        } else {
          const int64_t channel = (c - lefts) * L;
          turned_lines(x + (q * s.k + channel) * x_face, s.groups * s.k * x_face,
                       min(L, s.k - channel), ins, first, last,
                       [&](int64_t line, const T* const* rows) {
                         for (int part = 0; part < parts; ++part) {
                           const int64_t k = part * each + c - lefts, odd = k % 2;
                           const int64_t wide = k - odd + 1 < rights ? 2 : 1;
                           T* at = group + (lefts + k - odd) * kPoints * point + odd * L;
                           transform_line(at + (line - from) * across * wide * L, wide * point,
                                          wide * L, rows + s.v.part[part / s.h.parts].tap - top,
                                          s.h.part[part % s.h.parts].tap - left, across);
                         }
                       });
        }
      });
      for_chunks(s.groups * kPoints, [&](int64_t chunk) {
        const int64_t q = chunk / kPoints, xi = chunk % kPoints;
        const T* base = turned.p + q * (lefts + rights) * kPoints * point;
        T* out = total + chunk * face;
        const auto multiply = [&](auto rows, auto vectors, int64_t k) {
          constexpr int R = decltype(rows)::value, NV = decltype(vectors)::value;
          const Steps<T> b{base + ((lefts + k) * kPoints + xi * NV) * point, NV * L};
          for (int64_t o = 0; o < lefts * L; o += R) {
            const ByColumn<T> a{base + (o / L * kPoints + xi) * point + o % L, L};
            Vec<T> sum[R][NV] = {};
            for (int64_t t = 0; t < tiles; ++t) {
              Vec<T> v[NV];
#pragma GCC unroll 2
              for (int j = 0; j < NV; ++j) v[j] = load(b(t) + j * L);
#pragma GCC unroll 16
              for (int l = 0; l < R; ++l) {
                const Vec<T> left = splat(a(l, t));
#pragma GCC unroll 2
                for (int j = 0; j < NV; ++j) sum[l][j] += left * v[j];
              }
            }
#pragma GCC unroll 16
            for (int l = 0; l < R; ++l)
#pragma GCC unroll 2
              for (int v = 0; v < NV; ++v) {
                T* at = out + ((o + l) * rights + k + v) * L;
                store(at, block ? load(at) + sum[l][v] : sum[l][v]);
              }
          }
        };
        for (int64_t k = 0; k < rights; k += 2) {
          const bool two = k + 1 < rights;
          if (!s.has(k / each, xi) && !(two && s.has((k + 1) / each, xi))) continue;
          if (two)
            multiply(Int<H>{}, Int<2>{}, k);
          else
            multiply(Int<(L > H ? 2 * H : H)>{}, Int<1>{}, k);
        }
      });
    }
  });
  int index[kMostParts * kMostParts * 9];
  s.index_taps(index);
  bool finite = true;
  for_ranges(s.groups * s.m, ceil_div(kChunkWork / 64, rights * kPoints * L * shares),
             [&](int64_t from, int64_t to) {
               bool fine = true;
               for (int64_t o = from; o < to; ++o)
                 for (int64_t k = 0; k < each; ++k) {
                   const T* at = sums.p + o / s.m * kPoints * face + (o % s.m * rights + k) * L;
                   const auto gather = [&](auto three) {
                     return gather_taps(three, dw + (o * s.k + k * L) * s.area(), at, face,
                                        each * L, shares, size, min(L, s.k - k * L), index, s);
                   };
                   fine &= s.three_by_three() ? gather(Int<1>{}) : gather(Int<0>{});
                 }
               if (!fine) __atomic_store_n(&finite, false, __ATOMIC_RELAXED);
             });
  return finite;
}

}  // namespace
}  // namespace mt::MT_ISA
