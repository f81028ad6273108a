// Convolution by Winograd's minimal filtering. Of a kernel with three taps along an axis, at stride
// 1, F(2, 3) makes two neighbors of y from four of x with four products instead of six:
//
//     y = A^T [ (G w) * (B^T d) ]                                      * element by element
//
//     B^T d = (d0 - d2, d1 + d2, d2 - d1, d1 - d3)      A^T m = (m0 + m1 + m2, m1 - m2 - m3)
//     G w = (w0, (w0 + w1 + w2) / 2, (w0 - w1 + w2) / 2, w2)
//
// Those four points are the values of polynomials at 0, 1, -1 and infinity. Two taps need no -1,
// and one tap no 1, with the same A^T:
//
//     two taps    B^T d = (d0 - d1, d1, 0, d1 - d2)     G w = (w0, w0 + w1, 0, w1)
//     one tap     B^T d = (d0, 0, 0, -d1)               G w = (w0, 0, 0, w0)
//
// So any kernel is cut into parts of at most three taps that are a stride apart, and what its parts
// make at a point is one sum. Along both axes 3x3 takes 16 products instead of 36, 5x5 49 instead
// of 100, 7x7 at stride 2 100 instead of 196. In between stand products of matrices, (o, parts c)
// by (parts c, tiles), one for each of the 16 points. An axis of one tap has one point, and nothing
// to save.
//
// The transforms add, subtract and halve, so that what is exact on small integers by the plain sum
// is exact here, and the error is the plain sum's or smaller, for each sum is shorter. Infinities
// would meet in the transforms; where a result is not finite, all is done the other way. A.
// Lavin and S. Gray, "Fast algorithms for convolutional neural networks", 2015.
#pragma once

#include "conv_matrix.h"

namespace mt::MT_ISA {
namespace {

constexpr int kMostTaps = 12, kMostStride = 4, kMostParts = 6, kMostCopies = 9, kPoints = 16;
constexpr int64_t kTransform = 6;  // what a value's transform takes, in products
constexpr int64_t kSumDepth = 64;  // terms in one sum: several short ones have smaller errors

// Taps of an axis that are a stride apart. Tile j sees its place e at (outs j + shift + e) stride +
// phase.
struct Part {
  int phase, shift, taps;
  int places, copy;  // that it sees; of the laid out rows, the first (see lay_rows)
};

// Whether a part of n taps has a point; of an axis of one point n is 0.
constexpr bool has_point(int n, int point) {
  return point == 0 || (point == 3 ? n > 0 : n > point);
}

// One axis: y[j] = sum over b of x[j stride - pad + b] w[tap + b step]
struct Side {
  int64_t size, out, stride, pad, tap, step;
  int taps, outs, points, parts = 0, copies = 0, more = 0;  // outs, points: of a tile
  Part part[kMostParts];
  struct Copy {  // place 2 first + j of a phase, of which those in begin..end-1 are in x
    int64_t from, begin, end;
  } copy[kMostCopies];

  __attribute__((noinline)) Side(int64_t size, int64_t out, int64_t taps, int64_t stride,
                                 int64_t pad, int64_t tap = 0, int64_t step = 1)
      : size(size), out(out), stride(stride), pad(pad), tap(tap), step(step), taps(taps) {
    outs = taps > 1 ? 2 : 1, points = taps > 1 ? 4 : 1;
    if (taps > kMostTaps || stride > kMostStride) return;
    for (int phase = 0; phase < min(stride, taps); ++phase) {
      const int count = ceil_div(taps - phase, stride), places = count + outs - 1;
      for (int shift = 0; shift < count; shift += 3) {
        const int n = min(3, count - shift);
        part[parts++] = {phase, shift, n, n + outs - 1, copies};
      }
      for (int i = 0; i < places; i += 2) {
        const int64_t from = i * stride + phase - pad;
        const Span js(outs * tiles(), stride, from, size);
        copy[copies++] = {from, js.begin, js.end};
      }
      more = max(more, (places - 1) / outs);
    }
  }
  int64_t tiles() const { return ceil_div(out, outs); }
  int phases() const { return min(stride, taps); }
  int64_t window() const { return taps + (outs - 1) * stride; }  // that a tile sees
  // Of w's taps along the axis, the one of place e of a part.
  int64_t index(const Part& p, int e) const {
    return tap + (p.phase + (p.shift + e) * stride) * step;
  }
  bool has(int p, int point) const { return has_point(part[p].places - 1, point); }
  // How many of the first n parts have this point; of all of them, every point.
  int having(int point, int n) const {
    int count = 0;
    for (int p = 0; p < n; ++p) count += has(p, point);
    return count;
  }
  __attribute__((noinline)) int values() const {
    int count = 0;
    for (int a = 0; a < points; ++a) count += having(a, parts);
    return count;
  }
  bool saves() const { return outs == 1 || 4 * values() <= 3 * taps * outs; }
};

// y (n, groups * m, v.out, h.out) of x (n, groups * k, v.size, h.size)
struct Winograd {
  int64_t n, groups, m, k;
  Side v, h;

  int points() const { return v.points * h.points; }
  int64_t tiles() const { return v.tiles() * h.tiles(); }         // of an image
  int64_t values() const { return v.values() * h.values() * k; }  // of a tile
  int64_t work() const { return groups * m * n * tiles() * values(); }
  // How many terms the sum at a point has, and where they begin among those of all points.
  int64_t depth(int point) const {
    return v.having(point / h.points, v.parts) * h.having(point % h.points, h.parts) * k;
  }
  int64_t begin(int point) const {
    int64_t sum = 0;
    for (int i = 0; i < point; ++i) sum += depth(i);
    return sum;
  }
  // Whether the products saved outweigh the transforms, where those are made for whole `lanes`.
  bool outweighs(int64_t lanes) const {
    if (!v.parts || !h.parts || h.outs == 1 || m < 8) return false;
    const int64_t outs = ceil_div(m, lanes) * lanes, ins = ceil_div(k, lanes) * lanes;
    const int64_t made = values() / k, plain = v.taps * h.taps * v.out * h.out * m * k / tiles();
    return plain - made * outs * ins >= kTransform * (made * ins + points() * outs);
  }
  // Forward, an axis has to save a quarter of its products; three taps at stride 2 do not.
  bool pays() const { return v.saves() && h.saves() && outweighs(1); }
};

// Where the k values at a point of a part go: which terms they are, and where these are in a strip
// of tiles (see winograd).
struct Slot {
  int64_t term, strip;
};

// The slots by part of the vertical axis, value of the horizontal one (part and point), and point.
struct Slots {
  Scratch<Slot> list;
  __attribute__((noinline)) Slots(const Winograd& s, int64_t width, int64_t spare)
      : list(s.v.parts * s.h.values() * 4) {
    Slot* slot = list.p;
    for (int p = 0; p < s.v.parts; ++p)
      for (int q = 0; q < s.h.parts; ++q)
        for (int b = 0; b < s.h.points; ++b)
          for (int a = 0; a < (s.h.has(q, b) ? 4 : 0); ++a, ++slot)
            if (s.v.has(p, a)) {
              const int point = a * s.h.points + b;
              const int before = s.v.having(a, p) * s.h.having(b, s.h.parts) + s.h.having(b, q);
              slot->term = s.begin(point) + before * s.k;
              slot->strip = slot->term * width + point * spare;
            }
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

// f(a, (B^T d)[a]) for the points that a part of n taps has; n = 0 is one tap of an axis of one
// point.
template <class T, class F>
inline __attribute__((always_inline)) void transform(int n, const Vec<T> (&d)[4], const F& f) {
  if (n == 3) {
    f(0, d[0] - d[2]), f(1, d[1] + d[2]), f(2, d[2] - d[1]), f(3, d[1] - d[3]);
  } else if (n == 2) {
    f(0, d[0] - d[1]), f(1, d[1]), f(3, d[1] - d[2]);
  } else if (n == 1) {
    f(0, d[0]), f(3, -d[1]);
  } else {
    f(0, d[0]);
  }
}
// The same of G w.
template <class T, class F>
inline __attribute__((always_inline)) void transform_taps(int n, const Vec<T> (&w)[3], const F& f) {
  const Vec<T> even = (w[0] + w[2]) * T(0.5), odd = w[1] * T(0.5);
  f(0, w[0]);
  if (n == 3) f(1, even + odd), f(2, even - odd);
  if (n == 2) f(1, w[0] + w[1]);
  if (n > 0) f(3, w[n - 1]);
}

// --- the weights -------------------------------------------------------------------------------

// u[xi][part][k][i] = (G w_ik G^T)[xi], of h rows i and s.k terms k: element (i, k) of w begins at
// w + i * row + k * col, and its taps lie side by side, those below each other `pitch` apart.
template <class T>
void winograd_weights(T* u, const T* w, int64_t row, int64_t col, int64_t area, int64_t pitch,
                      int h, const Winograd& s, const Slot* slots) {
  constexpr int L = kLanes<T>;
  Scratch<T> scratch(ceil_div(area, L) * L * L);
  T* const taps = scratch.p;
  for (int i = 0; i < h; i += L) {
    const int rows = min(L, h - i);
    for (int64_t k = 0; k < s.k; ++k) {
      // The taps of L rows: squares of vectors turned over.
      for (int64_t t = 0; t < area; t += L) {
        const int wide = min(L, area - t);
        Vec<T> x[L];
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r)
          x[r] = r < rows ? load_n(w + (i + r) * row + k * col + t, wide) : Vec<T>{};
        transpose<T>(x);
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) store(taps + (t + r) * L, x[r]);
      }
      const Slot* slot = slots;
      for (int p = 0; p < s.v.parts; ++p)
        for (int q = 0; q < s.h.parts; ++q) {
          const Part &down = s.v.part[p], &right = s.h.part[q];
          const auto make = [&](auto high, auto wide) {
            constexpr int N = decltype(high)::value, M = decltype(wide)::value;
            Vec<T> v[4][3];  // G w
#pragma GCC unroll 3
            for (int b = 0; b < M; ++b) {
              Vec<T> x[3] = {};
#pragma GCC unroll 3
              for (int a = 0; a < max(1, N); ++a)
                x[a] = load(taps + (s.v.index(down, a) * pitch + s.h.index(right, b)) * L);
              transform_taps<T>(N, x, [&](int a, Vec<T> y) { v[a][b] = y; });
            }
#pragma GCC unroll 4
            for (int a = 0; a < 4; ++a) {
              if (!has_point(N, a)) continue;
              const Slot* at = slot + a;
              transform_taps<T>(M, v[a], [&](int, Vec<T> y) {
                store_n(u + (at->term + k) * h + i, y, rows);
                at += 4;
              });
            }
          };
          const auto with_wide = [&](auto high) {
            with<3>(right.taps, [&](auto wide) { make(high, wide); });
          };
          s.v.outs == 1 ? with_wide(Int<0>{}) : with<3>(down.taps, with_wide);
          slot += 4 * (right.taps + 1);
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
  int64_t image, images;   // the first that has some, and how many have
  int64_t lines;           // of tiles, in the image that has most, and beyond
  int64_t kinds;           // of rows: a phase's, at a place of a tile
  int64_t copies, values;  // of a row: laid out, and transformed
  TileBlock(const Winograd& s, int64_t first, int64_t end)
      : first(first),
        end(end),
        across(s.h.tiles()),
        per_image(s.tiles()),
        kinds(s.v.phases() * s.v.outs),
        copies(s.h.copies),
        values(s.h.values()) {
    image = first / per_image, images = (end - 1) / per_image + 1 - image;
    lines = (images > 1 ? s.v.tiles() : last_line(image) - first_line(image)) + s.v.more;
  }
  int64_t first_line(int64_t i) const { return max(0, first - i * per_image) / across; }
  int64_t last_line(int64_t i) const {
    return ceil_div(min(per_image, end - i * per_image), across);
  }
  // Of one copy, and one value, of the rows of a kind; whole vectors are written, and read.
  int64_t laid_plane() const { return lines * 2 * across + 2 * kSpare; }
  int64_t plane() const { return lines * across + kSpare; }
  int64_t laid_size() const { return images * kinds * copies * laid_plane(); }
  int64_t size() const { return images * kinds * values * plane(); }
  static constexpr int64_t kSpare = 64 / sizeof(float);  // a vector's lanes, at most
};

// A row of pixels that a block sees: where it begins in a channel of x, and where its first copy in
// the laid out rows does.
struct Row {
  int64_t from, to;
};

// Lists them; how many there are.
int64_t rows_of(Row* list, int64_t x_step, const Winograd& s, const TileBlock& block) {
  const int64_t step = s.v.outs * s.v.stride;
  int64_t count = 0;
  for (int64_t n = 0; n < block.images; ++n)
    for (int64_t kind = 0; kind < block.kinds; ++kind) {
      const int64_t image = block.image + n, first = block.first_line(image);
      const int64_t lines = block.last_line(image) + s.v.more - first;
      const int64_t top = first * step + kind % s.v.outs * s.v.stride + kind / s.v.outs - s.v.pad;
      const Span rows(lines, step, top, s.v.size);
      for (int64_t i = rows.begin; i < rows.end; ++i)
        list[count++] = {
            image * x_step + (top + i * step) * s.h.size,
            (n * block.kinds + kind) * block.copies * block.laid_plane() + i * 2 * block.across};
    }
  return count;
}

// laid[image][kind of row][copy][line][2 tile + 0 or 1] = the padded rows of one channel, those of
// a kind one behind another, from place 0 of a phase and once more from every second place on: so
// the tiles of all lines fill vectors, however short the lines are. The padding is never written,
// and is 0 from the start.
template <class T>
void lay_rows(T* laid, const T* x, const Row* list, int64_t count, const Side& s, int64_t plane) {
  constexpr int L = kLanes<T>;
  for (int64_t i = 0; i < count; ++i)
    for (int c = 0; c < s.copies; ++c) {
      const Side::Copy& js = s.copy[c];
      const T* in = x + list[i].from + js.from;
      T* to = laid + list[i].to + c * plane;
      if (s.stride > 2) {
        for (int64_t j = js.begin; j < js.end; ++j) to[j] = in[j * s.stride];
        continue;
      }
      for (int64_t j = js.begin; j < js.end; j += L) {
        const int lanes = min(L, js.end - j), wide = 2 * lanes - 1;
        if (s.stride == 1) {
          store_n(to + j, load_n(in + j, lanes), lanes);
        } else {
          const Vec<T> low = load_n(in + 2 * j, min(L, wide));
          const Vec<T> high = load_n(in + 2 * j + L, max(0, wide - L));
          store_n(to + j, every_other<T>(low, high, 0), lanes);
        }
      }
    }
}

// rows[image][kind of row][part, value of B^T][line][tile] = (d B) of one channel
template <class T>
void transform_rows(T* rows, const T* laid, const Winograd& s, const TileBlock& block) {
  constexpr int L = kLanes<T>;
  const int64_t plane = block.plane(), size = block.laid_plane();
  const int64_t tiles = block.lines * block.across;
  for (int64_t n = 0; n < block.images * block.kinds; ++n, laid += block.copies * size) {
    for (int q = 0; q < s.h.parts; ++q) {
      const Part& part = s.h.part[q];
      const auto make = [&](auto count, auto odd) {
        constexpr int N = decltype(count)::value, kOdd = decltype(odd)::value;
        const T* in = laid + (part.copy + part.shift / 2) * size;
        for (int64_t t = 0; t < tiles; t += L) {
          Vec<T> d[4];
#pragma GCC unroll 4
          for (int e = 0; e <= N; ++e) {
            const T* from = in + (e + kOdd) / 2 * size + 2 * t;
            d[e] = every_other<T>(load(from), load(from + L), (e + kOdd) % 2);
          }
          T* to = rows + t;
          transform<T>(N, d, [&](int, Vec<T> x) { store(to, x), to += plane; });
        }
        rows += (N + 1) * plane;
      };
      with<3>(part.taps,
              [&](auto count) { part.shift % 2 ? make(count, Int<1>{}) : make(count, Int<0>{}); });
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
    piece[count].at = n * block.kinds * block.values * block.plane() + tile -
                      block.first_line(image) * block.across - lane;
    lane += min(kLanes<T> - lane, block.per_image - tile);
    ++count;
  }
  return count;
}

// v[xi][part][k = 0] = (B^T d B)[xi] of L tiles of one channel, in every part
template <class T>
void transform_columns(T* v, const Slot* slot, const T* rows, const Winograd& s,
                       const TileBlock& block, const Piece* piece, int count) {
  for (int p = 0; p < s.v.parts; ++p) {
    const Part& part = s.v.part[p];
    with<4>(part.places, [&](auto places) {
      constexpr int N = decltype(places)::value;
      const T* from[N];
#pragma GCC unroll 4
      for (int e = 0; e < N; ++e) {
        const int place = part.shift + e, two = s.v.outs - 1;  // as a shift and a mask
        const int64_t kind = part.phase * s.v.outs + (place & two);
        from[e] = rows + kind * block.values * block.plane() + (place >> two) * block.across;
      }
      for (int64_t value = 0; value < block.values; ++value, slot += 4) {
        Vec<T> d[4];
#pragma GCC unroll 4
        for (int e = 0; e < N; ++e) {
          d[e] = load(from[e] + piece[0].at);
          for (int i = 1; i < count; ++i)
            d[e] = select<T>(first_lanes<T>(piece[i].lane), d[e], load(from[e] + piece[i].at));
          from[e] += block.plane();
        }
        transform<T>(N - 1, d, [&](int a, Vec<T> x) { store(v + slot[a].strip, x); });
      }
    });
  }
}

// --- the output --------------------------------------------------------------------------------

// Where the L tiles from t on go in y, line by line; their upper left pixels.
template <class T>
int pieces_of_y(Piece* piece, const Winograd& s, int64_t y_step, int64_t t, int64_t end) {
  int count = 0;
  const int64_t across = s.h.tiles(), per_image = s.tiles(), high = s.v.outs;
  for (int lane = 0; lane < kLanes<T> && t + lane < end;) {
    const int64_t image = (t + lane) / per_image, tile = (t + lane) % per_image;
    const int64_t i = tile / across, j = tile % across;
    const int run = min(min(kLanes<T> - lane, end - t - lane), across - j);
    piece[count].lane = lane;
    piece[count].at = image * y_step + high * i * s.h.out + 2 * j;
    piece[count].wide = min(2 * run, s.h.out - 2 * j),
    piece[count].high = min(high, s.v.out - high * i);
    lane += run, ++count;
  }
  return count;
}

// The pixels of L tiles of one channel: A^T m A + bias. `zero` stays 0 while they are finite;
// lanes beyond the last tile do not count.
template <class T>
inline void transform_out(T* y, const T* m, int64_t step, T bias, const Winograd& s,
                          const Piece* piece, int count, int lanes, Vec<T>& zero) {
  constexpr int L = kLanes<T>;
  Vec<T> up[4], low[4];
  const bool two = s.v.outs == 2;
#pragma GCC unroll 4
  for (int b = 0; b < 4; ++b) {
    if (!two) {
      up[b] = load(m + b * step);
      continue;
    }
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
  if (two) put_row(low, 1);
}

// --- all of it ---------------------------------------------------------------------------------

// y = the convolution of x with the transformed weights u + bias: slivers of a group's m outputs,
// one behind another. False if a result, or what it came from, is not finite.
template <class T>
bool winograd(T* y, const T* x, const T* u, const T* bias, const Winograd& s, const Slot* slots) {
  constexpr int W = kTileCols<T>, L = kLanes<T>;
  const int64_t total = s.n * s.tiles(), strips = ceil_div(total, W), slices = slivers(s.m);
  const int64_t face = s.v.size * s.h.size, out_face = s.v.out * s.h.out;
  const int64_t x_step = s.groups * s.k * face, y_step = s.groups * s.m * out_face;
  const int points = s.points();
  int64_t begin_of[kPoints], depth_of[kPoints];
  for (int xi = 0; xi < points; ++xi) begin_of[xi] = s.begin(xi), depth_of[xi] = s.depth(xi);
  // Of a strip; a point has one vector more, for a power of two would meet in the cache.
  const int64_t values = s.values(), size = values * W + points * L;
  const int64_t fit = max(1, kPanelBytes / int64_t(sizeof(T)) / size);
  const int64_t wanted = min(kChunks, s.work() / s.groups / kChunkWork);
  const int64_t fitting = ceil_div(strips, fit), many = max(fitting, min(strips, wanted));
  const bool apart = s.groups * many > 1 || s.work() < 2 * kChunkWork;
  // A few strips that the threads cannot share evenly are cut into vectors.
  const int64_t threads = num_threads();
  const int64_t unit = apart && strips < kChunks && strips % threads ? L : W,
                units = ceil_div(total, unit);
  const int64_t blocks = !apart      ? fitting
                         : unit == W ? many
                                     : min(units, ceil_div(many, threads) * threads);
  bool finite = true;

  // v[strip][xi][part][channel][tile] of the channels first..last-1 of group q
  const auto transform = [&](T* v, const TileBlock& block, int64_t q, int64_t first, int64_t last) {
    const int64_t vectors = ceil_div(block.end - block.first, L);
    const int64_t laid_size = block.laid_size();
    Scratch<T> rows(block.size() + 4 * L), laid(laid_size);
    Scratch<Piece> pieces(vectors * L);
    Scratch<int> counts(vectors);
    Scratch<Row> list(block.images * block.kinds * block.lines);
    const int64_t row_count = rows_of(list.p, x_step, s, block);
    for (int64_t i = 0; i < vectors; ++i)
      counts.p[i] = pieces_of_rows<T>(pieces.p + i * L, block, block.first + i * L);
    std::memset(laid.p, 0, laid_size * sizeof(T));
    // Lanes beyond the last tile are dropped, but what is left in memory may be slow to multiply.
    std::memset(rows.p, 0, (block.size() + 4 * L) * sizeof(T));

    for (int64_t c = first; c < last; ++c) {
      lay_rows(laid.p, x + (q * s.k + c) * face, list.p, row_count, s.h, block.laid_plane());
      transform_rows(rows.p, laid.p, s, block);
      for (int64_t i = 0; i < vectors; ++i)
        transform_columns(v + i * L / W * size + c * W + i * L % W, slots, rows.p, s, block,
                          pieces.p + i * L, counts.p[i]);
    }
  };
  // The slivers first..last-1 of group q.
  const auto multiply = [&](const T* v, const TileBlock& block, int64_t q, int64_t first,
                            int64_t last) {
    alignas(64) T products[kPoints * kTileRows * W];
    Vec<T> zero = {};
    Piece piece[2][L];
    for (int64_t t = first; t < last; ++t) {
      const int64_t i = sliver(s.m, t);
      const T* a = u + (q * s.m + i) * values;
      with<kTileRows>(sliver(s.m, t + 1) - i, [&](auto height) {
        constexpr int H = decltype(height)::value;
        for (int64_t begin = block.first; begin < block.end; begin += W) {
          const T* right = v + (begin - block.first) / W * size;
          const int n = min(W, block.end - begin);
          const auto run = [&](auto vectors) {
            constexpr int NV = decltype(vectors)::value;
            for (int xi = 0; xi < points; ++xi) {
              const int64_t depths = max(1, ceil_div(depth_of[xi], kSumDepth));
              for (int64_t part = 0; part < depths; ++part) {
                const int64_t k = begin_of[xi] + cut(depth_of[xi], depths, part);
                const int64_t end = begin_of[xi] + cut(depth_of[xi], depths, part + 1);
                const Matrix<T> c{products + xi * H * W, W, 1};
                tile<H, NV, T>(end - k, ByColumn<T>{a + k * H, H},
                               Steps<T>{right + xi * L + k * W, W}, NV * L, c,
                               part ? Matrix<const T>{c.p, W, 1} : Matrix<const T>{});
              }
            }
            for (int part = 0; part < NV; ++part) {
              const int count = pieces_of_y<T>(piece[part], s, y_step, begin + part * L, block.end);
              for (int l = 0; l < H; ++l) {
                const int64_t o = q * s.m + i + l;
                transform_out(y + o * out_face, products + l * W + part * L, H * W,
                              bias ? bias[o] : T(0), s, piece[part], count, min(L, n - part * L),
                              zero);
              }
            }
          };
          n > L ? run(Int<2>{}) : run(Int<1>{});
        }
      });
    }
    if (sum<T>(zero) != 0) __atomic_store_n(&finite, false, __ATOMIC_RELAXED);
  };
  const auto block_of = [&](int64_t b) {
    return TileBlock(s, cut(units, blocks, b) * unit, min(total, cut(units, blocks, b + 1) * unit));
  };
  const int64_t most = ceil_div(ceil_div(units, blocks) * unit, W) * size;
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

// The same from the weights themselves: output i of a group and channel k of it begin at
// w + group * w_step + i * row + k * col.
template <class T>
bool winograd_from(T* y, const T* x, const T* w, int64_t w_step, int64_t row, int64_t col,
                   const ConvSizes& sizes, const T* bias, const Winograd& s) {
  const int64_t slices = slivers(s.m), values = s.values();
  const Slots slots(s, kTileCols<T>, kLanes<T>);
  Scratch<T> u(s.groups * s.m * values);
  for_ranges(s.groups * slices, ceil_div(kChunkWork / 16, values * kTileRows),
             [&](int64_t from, int64_t to) {
               for (int64_t t = from; t < to; ++t) {
                 const int64_t q = t / slices, i = sliver(s.m, t % slices),
                               end = sliver(s.m, t % slices + 1);
                 winograd_weights(u.p + (q * s.m + i) * values, w + q * w_step + i * row, row, col,
                                  sizes.kh * sizes.kw, sizes.kw, end - i, s, slots.list.p);
               }
             });
  return winograd(y, x, u.p, bias, s, slots.list.p);
}

}  // namespace
}  // namespace mt::MT_ISA
