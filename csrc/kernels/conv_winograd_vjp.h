// The gradient by the weights of a convolution (conv_winograd.h), for each part of the kernel:
//
//     y = A^T [(G w G^T) * (B^T d B)] A
//     dw = G^T [sum over tiles of (A g A^T) * (B^T d B)] G
//
// Up to 16 products of matrices (o, tiles) and (tiles, c). Vectors hold channels here.
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
// cover it: each sees `height` rows of `width` pixels, `step` rows below those of the one before.
struct Turned {
  int64_t h, w, ph, pw, down, step, height, width;
};
constexpr int kMostRows = kMostTaps + kMostStride;

// f(line, rows) for the lines of tiles first..end-1 of all images: the rows of pixels that a line
// sees, turned, x being the first of some channels.
template <class T, class F>
void turned_lines(const T* x, int64_t x_step, int channels, const Turned& s, int64_t first,
                  int64_t end, const F& f) {
  constexpr int L = kLanes<T>;
  const int64_t size = s.width * L, wide = min(s.w, s.width - s.pw);
  Scratch<T> ring(s.height * size);  // row r is in place r % height
  std::memset(ring.p, 0, s.height * size * sizeof(T));
  for (int64_t line = first; line < end; ++line) {
    const int64_t i = line % s.down;
    const int64_t done = line > first && i > 0 ? s.height - s.step : 0;  // by the line before
    const T* rows[kMostRows];
    for (int64_t a = 0; a < s.height; ++a) {
      const int64_t row = s.step * i + a - s.ph;
      T* to = ring.p + (s.step * i + a) % s.height * size;
      rows[a] = to;
      if (a < done) continue;
      if (row >= 0 && row < s.h)
        turn_row(to + s.pw * L, x + line / s.down * x_step + row * s.w, s.h * s.w, channels, wide);
      else
        std::memset(to, 0, size * sizeof(T));
    }
    f(line, rows);
  }
}

// columns[a][col] = (B^T d)[a] of the columns that a line sees, for one part of the vertical axis
template <class T>
void transform_down(T* columns, const T* const* rows, int64_t width, const Side& s,
                    const Part& part) {
  constexpr int L = kLanes<T>;
  with<4>(part.places, [&](auto places) {
    constexpr int N = decltype(places)::value;
    for (int64_t col = 0; col < width * L; col += L) {
      Vec<T> x[4];
#pragma GCC unroll 4
      for (int e = 0; e < N; ++e) x[e] = load(rows[(part.shift + e) * s.stride + part.phase] + col);
      transform<T>(N - 1, x, [&](int a, Vec<T> y) { store(columns + a * width * L + col, y); });
    }
  });
}

// v[b * point + j * step] = (d B)[b] of the tiles j of a line, for one part of the horizontal axis
template <class T>
void transform_across(T* v, int64_t point, int64_t step, const T* d, const Side& s,
                      const Part& part) {
  constexpr int L = kLanes<T>;
  const int64_t apart = s.stride * L;
  d += part.shift * apart + part.phase * L;
  with<3>(part.taps, [&](auto taps) {
    constexpr int N = decltype(taps)::value;
    for (int64_t j = 0; j < s.tiles(); ++j, d += 2 * apart, v += step) {
      Vec<T> x[4];
#pragma GCC unroll 4
      for (int e = 0; e <= N; ++e) x[e] = load(d + e * apart);
      transform<T>(N, x, [&](int b, Vec<T> y) { store(v + b * point, y); });
    }
  });
}

// v[xi * point + j * step] = (A g A^T)[xi] of the tiles j of a line
template <class T>
void spread_line(T* v, int64_t point, int64_t step, const T* const* rows, const Winograd& s) {
  constexpr int L = kLanes<T>;
  for (int64_t j = 0; j < s.h.tiles(); ++j) {
    Vec<T> left[4], right[4];  // A g
    const auto column = [&](Vec<T>(&c)[4], int64_t col) {
      const Vec<T> g0 = load(rows[0] + col * L);
      c[0] = g0;
      if (s.v.outs == 1) return;
      const Vec<T> g1 = load(rows[1] + col * L);
      c[1] = g0 + g1, c[2] = g0 - g1, c[3] = -g1;
    };
    column(left, 2 * j), column(right, 2 * j + 1);
#pragma GCC unroll 4
    for (int a = 0; a < 4; ++a) {
      if (a >= s.v.points) break;
      T* to = v + 4 * a * point + j * step;
      store(to, left[a]);
      store(to + point, left[a] + right[a]);
      store(to + 2 * point, left[a] - right[a]);
      store(to + 3 * point, -right[a]);
    }
  }
}

// taps = G^T p, of what a part of n taps has
template <class T>
inline void gather(Vec<T> (&tap)[3], int n, const Vec<T> (&p)[4]) {
  const Vec<T> even = (p[1] + p[2]) * T(0.5);
  if (n == 3)
    tap[0] = p[0] + even, tap[1] = (p[1] - p[2]) * T(0.5), tap[2] = even + p[3];
  else if (n == 2)
    tap[0] = p[0] + p[1], tap[1] = p[1] + p[3];
  else if (n == 1)
    tap[0] = p[0] + p[3];
  else
    tap[0] = p[0];
}

// dw[k][tap] = (G^T p G)[tap] of the sum p of the parts; lanes k. False if one is not finite.
template <class T>
bool gather_taps(T* dw, const T* p, int64_t point, int64_t part_of, int64_t parts,
                 int64_t part_step, int channels, const Winograd& s) {
  constexpr int L = kLanes<T>;
  const int area = s.v.taps * s.h.taps;
  T tap[(kMostTaps * kMostTaps + L) * L];
  Vec<T> zero = {};
  for (int r = area; r % L; ++r) store(tap + r * L, Vec<T>{});
  for (int i = 0; i < s.v.parts; ++i)
    for (int j = 0; j < s.h.parts; ++j, p += part_of) {
      const Part &down = s.v.part[i], &right = s.h.part[j];
      T v[4 * 3 * L];  // p G, by point and tap
      with<3>(right.taps, [&](auto taps) {
        constexpr int N = decltype(taps)::value;
        for (int a = 0; a < 4; ++a) {
          if (!s.v.has(i, a)) continue;
          Vec<T> m[4], row[3];
#pragma GCC unroll 4
          for (int b = 0; b < 4; ++b) {
            if (!has_point(N, b)) continue;
            const T* from = p + (4 * a + b) * point;
            m[b] = load(from);
            for (int64_t part = 1; part < parts; ++part) m[b] += load(from + part * part_step);
          }
          gather<T>(row, N, m);
#pragma GCC unroll 3
          for (int b = 0; b < N; ++b) store(v + (3 * a + b) * L, row[b]);
        }
      });
      with<4>(down.places, [&](auto places) {
        constexpr int N = decltype(places)::value - 1;
        for (int b = 0; b < right.taps; ++b) {
          Vec<T> m[4], column[3];
#pragma GCC unroll 4
          for (int a = 0; a < 4; ++a)
            if (has_point(N, a)) m[a] = load(v + (3 * a + b) * L);
          gather<T>(column, N, m);
#pragma GCC unroll 3
          for (int a = 0; a < max(1, N); ++a) {
            store(tap + (s.v.index(down, a) * s.h.taps + s.h.index(right, b)) * L, column[a]);
            zero += column[a] * 0;
          }
        }
      });
    }
  for (int block = 0; block < area; block += L) {
    Vec<T> x[L];
#pragma GCC unroll 16
    for (int r = 0; r < L; ++r) x[r] = load(tap + (block + r) * L);
    transpose<T>(x);
    T rows[L * L];
#pragma GCC unroll 16
    for (int r = 0; r < L; ++r) store(rows + r * L, x[r]);
    for (int r = 0; r < channels; ++r)
      store_n(dw + r * area + block, load(rows + r * L), min(L, area - block));
  }
  return sum<T>(zero) == 0;
}

// The lines of tiles are cut into parts with sums of their own. False, with dw undefined, if a
// result, or what it came from, is not finite.
template <class T>
bool winograd_weight_vjp(T* dw, const T* g, const T* x, const Winograd& s, int64_t parts) {
  constexpr int L = kLanes<T>, H = L < 4 ? L : kRegisters < 32 || L < 8 ? 4 : 8;  // divides L
  const int64_t down = s.v.tiles(), across = s.h.tiles(), lines = s.n * down;
  const int64_t x_face = s.v.size * s.h.size, g_face = s.v.out * s.h.out;
  const Turned outs{s.v.out, s.h.out, 0, 0, down, s.v.outs, s.v.outs, 2 * across};
  const Turned ins{s.v.size,     s.h.size,
                   s.v.pad,      s.h.pad,
                   down,         s.v.outs * s.v.stride,
                   s.v.window(), 2 * s.h.stride * (across - 1) + s.h.window()};
  const int points = s.points(), of_kernel = s.v.parts * s.h.parts;
  const int64_t lefts = ceil_div(s.m, L), rights = ceil_div(s.k, L);  // vectors of channels
  const int64_t each = lefts + of_kernel * rights, columns = s.groups * each;
  const int64_t row = of_kernel * rights * L, face = lefts * L * row;  // [o][part of kernel][k]
  const int64_t size = s.groups * points * face;                       // by xi
  const int64_t room = (parts > 1 ? 1 : 4) * kPanelBytes / int64_t(sizeof(T));
  const int64_t fit = max(1, room / (points * columns * L * across));  // lines in a block
  Scratch<T> sums(parts * size);
  for_chunks(parts, [&](int64_t part) {
    const int64_t begin = cut(lines, parts, part), end = cut(lines, parts, part + 1);
    const int64_t blocks = ceil_div(end - begin, fit);
    // Of each vector of g's channels [xi][tile], of x's, in pairs where there are two,
    // [xi][tile][channel]; an xi ends a vector later, for powers of two would meet in the cache.
    const int64_t point = ceil_div(end - begin, blocks) * across * L + L;
    Scratch<T> turned(columns * points * point);
    T* total = sums.p + part * size;
    for (int64_t block = 0; block < blocks; ++block) {
      const int64_t from = begin + cut(end - begin, blocks, block),
                    to = begin + cut(end - begin, blocks, block + 1), tiles = (to - from) * across;
      const int64_t turns = s.groups * (lefts + rights);
      const int64_t pieces = min(to - from, ceil_div(8, turns));
      for_chunks(turns * pieces, [&](int64_t chunk) {
        const int64_t piece = chunk % pieces, q = chunk / pieces / (lefts + rights),
                      c = chunk / pieces % (lefts + rights);
        T* const group = turned.p + q * each * points * point;
        const int64_t first = from + cut(to - from, pieces, piece),
                      last = from + cut(to - from, pieces, piece + 1);
        if (c < lefts) {
          T* at = group + c * points * point;
          turned_lines(g + (q * s.m + c * L) * g_face, s.groups * s.m * g_face, min(L, s.m - c * L),
                       outs, first, last, [&](int64_t line, const T* const* rows) {
                         spread_line(at + (line - from) * across * L, point, L, rows, s);
                       });
        } else {
          const int64_t k = c - lefts, wide = k / 2 * 2 + 1 < rights ? 2 : 1;
          T* at = group + (c - k % 2) * points * point + k % 2 * L;
          Scratch<T> d(4 * ins.width * L);
          turned_lines(x + (q * s.k + k * L) * x_face, s.groups * s.k * x_face, min(L, s.k - k * L),
                       ins, first, last, [&](int64_t line, const T* const* rows) {
                         T* to = at + (line - from) * across * wide * L;
                         for (int i = 0; i < s.v.parts; ++i) {
                           transform_down(d.p, rows, ins.width, s.v, s.v.part[i]);
                           for (int j = 0; j < s.h.parts; ++j, to += rights * points * point)
                             for (int a = 0; a < 4; ++a)
                               if (s.v.has(i, a))
                                 transform_across(to + 4 * a * wide * point, wide * point, wide * L,
                                                  d.p + a * ins.width * L, s.h, s.h.part[j]);
                         }
                       });
        }
      });
      for_chunks(s.groups * points, [&](int64_t chunk) {
        const int64_t q = chunk / points, xi = chunk % points;
        const T* base = turned.p + q * each * points * point;
        T* out = total + chunk * face;
        const auto multiply = [&](auto rows, auto vectors, int64_t k) {
          constexpr int R = decltype(rows)::value, NV = decltype(vectors)::value;
          const Steps<T> b{base + ((lefts + k) * points + xi * NV) * point, NV * L};
          for (int64_t o = 0; o < lefts * L; o += R) {
            const ByColumn<T> a{base + (o / L * points + xi) * point + o % L, L};
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
                T* at = out + (o + l) * row + (k + v) * L;
                store(at, block ? load(at) + sum[l][v] : sum[l][v]);
              }
          }
        };
        for (int i = 0; i < of_kernel; ++i) {
          if (!s.v.has(i / s.h.parts, xi / 4) || !s.h.has(i % s.h.parts, xi % 4)) continue;
          const int64_t end = (i + 1) * rights;
          for (int64_t k = i * rights; k < end; k += 2) {
            if (k + 1 < end)
              multiply(Int<H>{}, Int<2>{}, k);
            else
              multiply(Int<(L > H ? 2 * H : H)>{}, Int<1>{}, k);
          }
        }
      });
    }
  });
  bool finite = true;
  for_ranges(s.groups * s.m, ceil_div(kChunkWork / 64, rights * points * L * parts),
             [&](int64_t from, int64_t to) {
               bool fine = true;
               for (int64_t o = from; o < to; ++o)
                 for (int64_t k = 0; k < rights; ++k) {
                   const T* at = sums.p + o / s.m * points * face + o % s.m * row + k * L;
                   fine &= gather_taps(dw + (o * s.k + k * L) * s.v.taps * s.h.taps, at, face,
                                       rights * L, parts, size, min(L, s.k - k * L), s);
                 }
               if (!fine) __atomic_store_n(&finite, false, __ATOMIC_RELAXED);
             });
  return finite;
}

}  // namespace
}  // namespace mt::MT_ISA
