// Convolution straight from the image (conv.cpp).
//
// In the padded image, the row of the matrix of windows that belongs to the term (c, a, b) is the
// image itself, begun at another place: offset(c, a, b). With a stride, the image is laid out by
// phases first, so that pixels a stride apart lie side by side. So no matrix is made. Where rows
// are short, each tap of a row has a copy of the image to itself, as wide as y: there rows follow
// each other without anything between. Where the channels of the output fill vectors, the tile has
// a row of pixels by vectors of channels, takes the pixels from the image as they are, and its sums
// are turned over in the end. Otherwise its vectors lie along the pixels: either it reads the
// shifted images as they are and drops the sums that fall between the rows, or, where these would
// be many, slivers are packed from them.
#pragma once

#include "conv_matrix.h"
#include "conv_winograd.h"
#include "lookup.h"

namespace mt::MT_ISA {
namespace {

// One axis: `out` positions a step apart meet `taps` places each. Each tap is a phase of its own if
// they stand apart.
struct Axis {
  int64_t length;  // of a phase
  int64_t phases;  // that occur
  int64_t stride, dilation, pad, size;
  bool apart;

  Axis(int64_t size, int64_t out, int64_t taps, int64_t stride, int64_t dilation, int64_t pad,
       bool apart = false)
      : length(apart ? out : out + (taps - 1) * dilation / stride),
        phases(taps),
        stride(stride),
        dilation(dilation),
        pad(pad),
        size(size),
        apart(apart) {
    if (apart) return;
    int64_t a = stride, b = dilation;
    while (b) {
      const int64_t rest = a % b;
      a = b, b = rest;
    }
    phases = min(
        taps,
        stride /
            a);  // a is now the greatest common divisor; phases come round after stride / a taps
  }
  bool plain() const { return length == size && pad == 0 && stride == 1 && phases == 1; }
  int64_t phase(int64_t tap) const { return tap % phases; }
  int64_t shift(int64_t tap) const { return apart ? 0 : tap * dilation / stride; }
  // Where position i of a phase lies on the unpadded axis.
  int64_t place(int64_t phase, int64_t i) const {
    return i * stride + phase * dilation % (apart ? INT64_MAX : stride) - pad;
  }
};

struct Image {
  Axis v, h;
  int64_t plane() const { return v.phases * h.phases * v.length * h.length; }  // of a channel
  int64_t offset(int64_t c, int64_t a, int64_t b) const {
    return c * plane() + ((v.phase(a) * h.phases + h.phase(b)) * v.length + v.shift(a)) * h.length +
           h.shift(b);
  }
  // Whether it is the unpadded image as it stands.
  bool plain() const { return v.plain() && h.plain(); }
  // Whether it is smaller than the matrix of windows that it saves; with a huge dilation it is not.
  bool worth(const ConvSizes& s) const { return plane() <= s.kh * s.kw * s.oh * s.ow + s.h * s.w; }
};

constexpr int64_t kWindowDepth = 384;   // of k in one block of packed windows
constexpr int64_t kWeightDepth = 192;   // of k in one block of weights, which stays in the L1 cache
constexpr int64_t kFewPositions = 128;  // whose sums do, too
constexpr int64_t kShortSum = 64;       // of k in the sum of a column of taps
constexpr int64_t kCopyUses = 64;       // sums between rows, for each of a row, that cost a copy
constexpr int64_t kCopies = 1 << 16;    // elements of an image's copies, which stay in the L2 cache
constexpr int64_t kLarge = 1 << 21;     // elements of an image far larger than the L2 cache
constexpr int64_t kFewSums = 256;       // of an image
constexpr int64_t kTable = 4096;        // elements of a plane that a table finds

// A tile may read this far beyond the image; what it reads there is dropped.
template <class T>
constexpr int kSlack = 8 * kLanes<T>;

// The rows of a phase: where the first would lie in the image, and those that are inside.
struct Rows {
  int64_t top;
  Span inside;
};
// Of all phases, found once for all planes.
__attribute__((noinline)) inline void find_rows(Rows* to, const Axis& v) {
  for (int64_t a = 0; a < v.phases; ++a) {
    const int64_t top = v.place(a, 0);
    to[a] = {top, Span(v.length, v.stride, top, v.size)};
  }
}

// Rows of phase b, and of b + 1 where two are made of the same loads, of the planes from..end-1.
// STEP is the stride; what is longer than 2 has no loads of whole vectors.
template <int STEP, int PHASES, class T>
void lay_out_rows(T* to, const T* x, int64_t from, int64_t end, const Image& s, const Rows* rows,
                  int64_t b) {
  constexpr int L = kLanes<T>;
  const int64_t length = s.h.length, step = s.h.stride, right = s.h.place(b, 0);
  const int64_t apart = s.v.length * length, row = s.v.stride * s.h.size;
  const int64_t together = max(1, 4 * L / length);  // short rows, a column of vectors at a time
  for (int64_t c = from; c < end; ++c)
    for (int64_t a = 0; a < s.v.phases; ++a) {
      T* const out = to + (c - from) * s.plane() + (a * s.h.phases + b) * apart;
      const T* const in = x + (c * s.v.size + rows[a].top) * s.h.size + right;
      const Span is = rows[a].inside;
      const auto clear = [&](int64_t from, int64_t end) {  // rows that are few
        for (int phase = 0; phase < PHASES; ++phase)
          for (int64_t i = from * length; i < end * length; i += L)
            store_n(out + phase * apart + i, Vec<T>{}, min(L, end * length - i));
      };
      clear(0, is.begin), clear(is.end, s.v.length);
      for (int64_t block = is.begin; block < is.end; block += together)
        for (int64_t j = 0; j < length; j += L) {
          const int lanes = min(L, length - j);
          const unsigned first = lanes_inside(right + j * STEP, s.h.size),
                         second = lanes_inside(right + j * STEP + L, s.h.size);
          const Span js(STEP < 3 ? 0 : lanes, step, right + j * step, s.h.size);
          const T* p = in + block * row + j * step;
          T *at = out + block * length + j, *beside = at + apart;
          for (int64_t i = min(together, is.end - block); i > 0; --i) {
            if constexpr (STEP == 1) {
              store_n(at, load_lanes(p, first), lanes);
            } else if constexpr (STEP == 2) {
              __builtin_prefetch(p + 4 * row), __builtin_prefetch(p + 4 * row + L);
              const Vec<T> low = load_lanes(p, first);
              const Vec<T> high = second ? load_lanes(p + L, second) : Vec<T>{};
              store_n(at, every_other<T>(low, high, 0), lanes);
              if (PHASES == 2) store_n(beside, every_other<T>(low, high, 1), lanes);
            } else {
              for (int l = 0; l < lanes; ++l) at[l] = l >= js.begin && l < js.end ? p[l * step] : 0;
            }
            p += row, at += length, beside += length;
          }
        }
    }
}

// The planes from..end-1 of x.
template <class T>
void lay_out_planes(T* to, const T* x, int64_t from, int64_t end, const Image& s,
                    const Rows* rows) {
  const int64_t step = s.h.stride, phases = s.h.phases;
  const bool neighbors = phases == 2 && s.h.place(1, 0) - s.h.place(0, 0) == 1;
  if (step == 2 && neighbors) return lay_out_rows<2, 2>(to, x, from, end, s, rows, 0);
  for (int64_t b = 0; b < phases; ++b) {
    if (step == 1)
      lay_out_rows<1, 1>(to, x, from, end, s, rows, b);
    else if (step == 2)
      lay_out_rows<2, 1>(to, x, from, end, s, rows, b);
    else
      lay_out_rows<3, 1>(to, x, from, end, s, rows, b);
  }
}

// Where the elements of a plane are found in x, or -1 in the padding and for some behind them.
__attribute__((noinline)) inline void find_places(int32_t* to, const Image& s, int behind) {
  for (int64_t a = 0; a < s.v.phases; ++a)
    for (int64_t b = 0; b < s.h.phases; ++b)
      for (int64_t i = 0; i < s.v.length; ++i) {
        const int64_t row = s.v.place(a, i);
        for (int64_t j = 0; j < s.h.length; ++j) {
          const int64_t col = s.h.place(b, j);
          const bool inside = row >= 0 && row < s.v.size && col >= 0 && col < s.h.size;
          *to++ = inside ? row * s.h.size + col : -1;
        }
      }
  while (behind-- > 0) *to++ = -1;
}

// `count` of them from `first` on, by threads: row by row, or, where rows fill no vectors, by a
// table.
template <class T>
void lay_out(T* to, const T* x, int64_t first, int64_t count, const Image& s) {
  constexpr int L = kLanes<T>;
  const int64_t plane = s.plane(), size = s.v.size * s.h.size;
  const bool short_rows = s.h.length <= L / 4 && count >= 8 && plane <= kTable && size <= kTable;
  Scratch<int32_t> place(short_rows ? plane + L : 0);
  Scratch<Rows> rows(s.v.phases);
  short_rows ? find_places(place.p, s, L) : find_rows(rows.p, s.v);
  for_ranges(count, ceil_div(kChunkWork / 8, plane), [&](int64_t from, int64_t end) {
    if (!short_rows)
      return lay_out_planes(to + from * plane, x, first + from, first + end, s, rows.p);
    for (int64_t c = from; c < end; ++c)
      for (int64_t j = 0; j < plane; j += L) {
        const Vec<T> v = look_up(x + (first + c) * size, places<T>(place.p + j));
        store_n(to + c * plane + j, v, min(L, plane - j));
      }
  });
  std::memset(to + count * plane, 0, kSlack<T> * sizeof(T));
}

// Pixels side by side, under the term k.
template <class T>
struct Pixels {
  const T* p;
  const int64_t* offset;
  T operator()(int i, int64_t k) const { return p[offset[k] + i]; }
};

// y (m, rows, cols) = a (m, k) and, as its k rows, the image begun at each offset.
template <class T>
struct Correlation {
  int64_t m, k;
  bool across;                    // vectors lie across the channels
  T* a;                           // in slivers of k steps; of whole vectors where they lie across
  int64_t* offset;                // of each term
  int64_t rows, cols, pitch;      // the pixels made, and how far apart their rows are in the image
  T* y;                           // where the first goes
  int64_t y_plane, y_row, y_col;  // and the others
  int64_t image_step, y_step;     // from one image to the next, where several are done together
  // Where vectors lie across. Of each row, the first term that sees the image, and the end. If
  // terms come column of taps by column, their number is not 0, these are of each of them, and of
  // the `beside` taps of a row, in turn, there is the first pixel that sees the image, and the end.
  const int64_t* seen;
  int64_t columns;
  const int64_t* seeing;
  int64_t beside;
  bool large;  // whether the image is so much larger than the L2 cache that loads wait

  // Whether dropping sums costs less than packing for a few slivers.
  bool direct() const { return !across && m <= 3 * kTileRows && m * (pitch - cols) < 8 * cols; }
  int64_t width() const { return direct() ? pitch : cols; }
  int64_t positions(int64_t images) const {
    return direct() ? (rows - 1) * pitch + cols : images * rows * cols;
  }
  int64_t from(int64_t row) const { return row / rows * image_step + row % rows * pitch; }
  int64_t to(int64_t row) const { return row / rows * y_step + row % rows * y_row; }
  // Whether the n positions from p on lie side by side in y.
  bool contiguous(int64_t p, int n) const {
    return y_col == 1 && (y_row == cols || rows == 1) && width() == cols &&
           p % (rows * cols) + n <= rows * cols;
  }

  // Puts the sums of some channels at n positions from `begin` on where they belong. May read a
  // vector beyond them.
  void place(const T* sum, int step, int channels, int64_t begin, int64_t n, T* out, const T* bias,
             bool add) const {
    constexpr int L = kLanes<T>;
    int64_t i = begin / width(), j = begin % width();
    for (int64_t done = 0; done < n;) {
      const int64_t run = min(width() - j, n - done), count = min(run, cols - j);
      T* start = out + to(i) + j * y_col;
      for (int c = 0; c < channels && count > 0; ++c) {
        T* at = start + c * y_plane;
        const T* in = sum + c * step + done;
        const T b = bias ? bias[c] : 0;
        if (y_col == 1) {
          for (int64_t l = 0; l < count; l += L) {
            const int lanes = min(L, count - l);
            const Vec<T> x = load(in + l);
            store_n(at + l, add ? x + load_n(at + l, lanes) : x + splat(b), lanes);
          }
        } else {
          for (int64_t l = 0; l < count; ++l)
            at[l * y_col] = add ? at[l * y_col] + in[l] : in[l] + b;
        }
      }
      done += run, ++i, j = 0;
    }
  }
};

// A sliver of n positions from `begin` on, `depth` terms deep: to[k * W + j] = image[offset[k] +
// position j]. Whole vectors are written: what is too much, the next one overwrites.
template <class T>
void pack_windows(T* to, const T* image, const Correlation<T>& s, const int64_t* offset,
                  int64_t depth, int64_t begin, int n, bool exact) {
  constexpr int W = kTileCols<T>, L = kLanes<T>;
  int64_t from[W];
  int at[W], count[W], pieces = 0;
  int64_t i = begin / s.cols, j = begin % s.cols;
  for (int done = 0; done < n;) {
    at[pieces] = done;
    count[pieces] = min(L, min(s.cols - j, n - done));
    from[pieces] = s.from(i) + j;
    done += count[pieces];
    j += count[pieces++];
    if (j == s.cols) ++i, j = 0;
  }
  const auto copy = [&](auto number) {
    for (int64_t k = 0; k < depth; ++k) {
      T* out = to + k * W;
      const T* in = image + offset[k];
      if (n < W)
        for (int l = 0; l < W; l += L) store(out + l, Vec<T>{});
      for (int r = 0; r < number; ++r)
        store(out + at[r], exact ? load_n(in + from[r], count[r]) : load(in + from[r]));
    }
  };
  if (pieces <= 5 && !exact)
    with<5>(pieces, copy);
  else
    copy(pieces);
}

// Weights of one group in slivers as Correlation wants them: how many there are, how wide, and
// where the next one begins.
template <class T>
struct Weights {
  int64_t m, k;
  bool across;
  int64_t count() const { return across ? ceil_div(m, kTileCols<T>) : slivers(m); }
  int64_t width() const { return across ? kTileCols<T> : kPackRows<T>; }
  int64_t begin(int64_t t) const { return across ? min(m, t * kTileCols<T>) : sliver(m, t); }
  int64_t size() const { return count() * width() * k; }
};

// The order of a kernel's terms where vectors lie across: by its rows first, so that those of a row
// of y that see the image, and not the padding, are neighbors; or, for so many channels at once, by
// its columns and then by rows.
struct Terms {
  int64_t channels, kh, kw;
  bool by_rows;
  int64_t at_once;  // or 0
  // f(r, the channel and the tap of term r)
  template <class F>
  void each(const F& f) const {
    const int64_t block = at_once ? at_once : channels, columns = at_once ? kw : 1;
    const int64_t rows = by_rows ? kh : 1, run = kh * kw / rows / columns;
    int64_t r = 0;
    for (int64_t first = 0; first < channels; first += block)
      for (int64_t b = 0; b < columns; ++b)
        for (int64_t a = 0; a < rows; ++a)
          for (int64_t c = first; c < first + block; ++c)
            for (int64_t t = 0; t < run; ++t) f(r++, c, a * kw + b + t);
  }
};

// How many channels to take at once, if it pays to leave out the products of a row's pixels with
// columns of `rows` taps that see padding: where few enough of all pairs are inside, and the sums
// of a column long enough. Otherwise 0.
inline int64_t columns_pay(int64_t inside, int64_t all, int64_t channels, int64_t rows) {
  while (channels % 2 == 0 && channels * rows > kWeightDepth) channels /= 2;
  return 16 * inside <= 15 * all && channels * rows >= kShortSum ? channels : 0;
}

// Whether it pays to have vectors across m channels of y, given so many pixels of an image.
template <class T>
bool across_channels(int64_t m, int64_t k, int64_t pixels) {
  constexpr int L = kLanes<T>;
  return pixels >= 4 && k >= 64 && 5 * (ceil_div(m, L) * L - m) <= m;
}

// Whether a copy of the image for each tap of a row pays: where tiles would be low, or sums between
// the rows be made for m channels, of images that fill tiles. Rows at padding see other terms, and
// share no tile with others.
inline bool copies_pay(bool across, int64_t m, const ConvSizes& s, int64_t between) {
  if (across) return s.ow < (s.ph ? 4 : kTileRows / 2);
  return s.oh > 1 && m * s.oh * s.ow >= kFewSums && m * s.kh * between >= kCopyUses &&
         s.c / s.groups * s.kw * (s.h + 2 * s.ph) * s.ow <= kCopies;
}

// The positions begin..end-1 and the strips first..last-1 of the channels of one group.
template <class T>
void correlate_across(const Correlation<T>& s, T* y, const T* image, const T* bias, int64_t first,
                      int64_t last, int64_t begin, int64_t end) {
  constexpr int W = kTileCols<T>, L = kLanes<T>;
  const bool apart = s.columns > 0;
  const int64_t depths = apart ? s.columns : max(1, ceil_div(s.k, kWeightDepth));
  Scratch<T> sums((end - begin + L) * W);
  for (int64_t u = first; u < last; ++u) {
    const int n = min(W, s.m - u * W);
    if (apart) std::memset(sums.p, 0, (end - begin) * W * sizeof(T));
    for (int64_t block = 0; block < depths; ++block) {
      const int64_t k0 = cut(s.k, depths, block), k1 = cut(s.k, depths, block + 1);
      for (int64_t p = begin, run = 0; p < end; p += run) {
        const int64_t i = p / s.cols, j = p % s.cols;
        run = min(s.cols - j, end - p);
        const int64_t* seen = s.seen ? s.seen + i % s.rows * 2 : nullptr;
        // Rows without anything between, of one image, that see the same terms.
        const int64_t* other = seen;
        for (int64_t row = i % s.rows + 1; s.pitch == s.cols && !apart && row < s.rows; ++row) {
          if (seen && ((other += 2)[0] != seen[0] || other[1] != seen[1])) break;
          run = min(run + s.cols, end - p);
        }
        const int64_t base = apart ? k0 : 0;
        const int64_t low = seen ? max(k0, base + seen[0]) : k0;
        const int64_t high = seen ? min(k1, base + seen[1]) : k1;
        if (low >= high && (block || apart)) continue;
        const int64_t* const sees = apart ? s.seeing + block % s.beside * 2 : nullptr;
        const int64_t skip = apart ? max(0, sees[0] - j) : 0;
        const int64_t wide = (apart ? min(run, sees[1] - j) : run) - skip;
        const Steps<T> b{s.a + (u * s.k + low) * W, W};
        const int64_t pieces = ceil_div(max(0, wide), kTileRows);
        for (int64_t piece = 0; piece < pieces; ++piece) {
          const int64_t from = skip + cut(wide, pieces, piece);
          const int64_t h = skip + cut(wide, pieces, piece + 1) - from;
          T* sum = sums.p + (p - begin + from) * W;
          const T* more = block || apart ? sum : nullptr;
          const Pixels<T> a{image + s.from(i) + j + from, s.offset + low};
          // Each term's pixels lie elsewhere: those of the next tile.
          for (int64_t k = low; s.large && k < high; ++k)
            __builtin_prefetch(a.p + s.offset[k] + 2 * kTileRows);
          tile_for<T, Pixels<T>>(n, h).whole(high - low, a, b, sum, W, more, W, 1, L);
        }
      }
    }
    for (int64_t p = begin; p < end; p += L) {
      const int lanes = min(L, end - p);
      const bool beside = s.contiguous(p, lanes);
      for (int v = 0; v < n; v += L) {
        const int64_t o = u * W + v;
        const int high = min(L, n - v);
        Vec<T> x[L];
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) x[r] = load(sums.p + (p - begin + r) * W + v);
        transpose<T>(x);
        if (beside) {
          T* out = y + o * s.y_plane + s.to(p / s.cols) + p % s.cols;
#pragma GCC unroll 16
          for (int r = 0; r < L; ++r)
            if (r < high)
              store_n(out + r * s.y_plane, x[r] + splat(bias ? bias[o + r] : T(0)), lanes);
          continue;
        }
        T square[(L + 1) * L];  // `place` reads whole vectors
#pragma GCC unroll 16
        for (int r = 0; r < L; ++r) store(square + r * L, x[r]);
        s.place(square, L, high, p, lanes, y + o * s.y_plane, bias ? bias + o : bias, false);
      }
    }
  }
}

// The positions begin..end-1 and the slivers first..last-1 of the channels of one group. `exact`
// forbids to read beyond the image.
template <class T>
void correlate(const Correlation<T>& s, T* y, const T* image, const T* bias, int64_t first,
               int64_t last, int64_t begin, int64_t end, bool exact) {
  constexpr int W = kTileCols<T>, L = kLanes<T>;
  if (s.across) return correlate_across(s, y, image, bias, first, last, begin, end);
  T sums[(kTileSums + 1) * L];  // `place` reads whole vectors
  if (s.direct() && !exact) {
    for (int64_t t = first; t < last; ++t) {
      const int64_t i = sliver(s.m, t);
      const auto tile = tile_of<0, T, ByColumn<T>, Taps<T>>(sliver(s.m, t + 1) - i);
      const int width = tile.vectors * L;
      for (int64_t p = begin; p < end; p += width) {
        const int n = min(width, end - p);
        T* out = y + i * s.y_plane;
        const ByColumn<T> a{s.a + t * s.k * kPackRows<T>, kPackRows<T>};
        const Taps<T> b{image + p, s.offset};
        if (s.contiguous(p, n)) {
          tile(s.k, a, b, n, {out + p, s.y_plane, 1}, {bias ? bias + i : bias, 1, 0});
        } else {
          tile(s.k, a, b, width, {sums, width, 1}, {});
          s.place(sums, width, tile.rows, p, n, out, bias ? bias + i : bias, false);
        }
      }
    }
    return;
  }
  const int64_t depths = max(1, ceil_div(s.k, kWindowDepth)), strips = ceil_div(end - begin, W);
  Scratch<T> panel(strips * W * ceil_div(s.k, depths) + W);
  for (int64_t block = 0; block < depths; ++block) {
    const int64_t k0 = cut(s.k, depths, block), depth = cut(s.k, depths, block + 1) - k0;
    for (int64_t q = 0; q < strips; ++q) {
      const int64_t p = begin + q * W;
      pack_windows(panel.p + q * W * depth, image, s, s.offset + k0, depth, p, min(W, end - p),
                   exact);
    }
    for (int64_t t = first; t < last; ++t) {
      const int64_t i = sliver(s.m, t);
      const ByColumn<T> a{s.a + (t * s.k + k0) * kPackRows<T>, kPackRows<T>};
      const T* add = bias ? bias + i : bias;
      T* out = y + i * s.y_plane;
      const int rows = sliver(s.m, t + 1) - i;
      for (int64_t q = 0; q < strips; ++q) {
        const int64_t p = begin + q * W;
        const int n = min(W, end - p);
        const auto tile = tile_for<T, ByColumn<T>>(n, rows);
        const Steps<T> b{panel.p + q * W * depth, W};
        if (s.contiguous(p, n)) {
          const Matrix<T> c{out + s.to(p / s.cols) + p % s.cols, s.y_plane, 1};
          tile(depth, a, b, n, c,
               block ? Matrix<const T>{c.p, c.row, 1} : Matrix<const T>{add, 1, 0});
        } else {
          tile(depth, a, b, tile.vectors * L, {sums, W, 1}, {});
          s.place(sums, W, rows, p, n, out, add, block > 0);
        }
      }
    }
  }
}

// Every correlation of a list on every image and group. x (n, channels, ..) is laid out as `image`
// says; where it already is, it is read in place.
template <class T>
void correlate_all(const Correlation<T>* list, int64_t count, const T* x, int64_t x_step,
                   int64_t y_step, const T* bias, const Image& image, int64_t images,
                   int64_t channels, int64_t groups) {
  constexpr int W = kTileCols<T>;
  bool direct = false, whole = true;
  int64_t most = 1, work = 1, deepest = 1;
  for (int64_t l = 0; l < count; ++l) {
    direct = direct || list[l].direct();
    whole = whole && list[l].pitch == list[l].cols;
    most = max(most, list[l].positions(1));
    deepest = max(deepest, list[l].k);
    work += groups * list[l].m * list[l].k * list[l].rows * list[l].cols;
  }
  // Small images are packed several at a time, so that slivers are full and weights are used often.
  const int64_t together = direct ? 1 : min(images, ceil_div(8 * W, most));
  const int64_t batches = ceil_div(images, together);
  // Positions go in strips as wide as the tile, or as rows are, or small images without gaps.
  const bool across = list[0].across;
  const int64_t area = list[0].rows * list[0].cols;
  const bool small = list[0].pitch == list[0].cols && area <= kFewPositions;
  const int64_t wide = !across ? W : small ? area : list[0].cols;
  const int64_t strips = ceil_div(most * together, wide);
  const int64_t fit =
      across ? max(1, kFewPositions / wide)
             : max(2, min(8, kPanelBytes / sizeof(T) / (W * min(deepest, kWindowDepth))));
  // More blocks than the caches ask for, where these are too few to share among the threads.
  const int64_t threads = num_threads();
  const int64_t wanted = ceil_div(kChunks / 2, batches * groups * count);
  const int64_t enough = min(wanted, work / count * together / kChunkWork);
  const int64_t least = max(ceil_div(strips, fit), enough);
  const int64_t blocks = min(strips, least == 1 ? 1 : ceil_div(least, threads) * threads);
  const Weights<T> weights{list[0].m, list[0].k, across};
  const int64_t parts =
      across ? weights.count() : min(ceil_div(4, blocks * batches * groups), weights.count());
  const auto one = [&](int64_t batch) {
    const int64_t first = cut(images, batches, batch);
    const int64_t number = cut(images, batches, batch + 1) - first;
    const T* laid = x + first * x_step;
    // In place a tile may read into the next images, so the last ones take care or a copy.
    const bool last = (images - first - number) * x_step < kSlack<T>;
    const bool plain = image.plain() && (whole || across || !last);
    Scratch<T> copy(plain ? 0 : number * channels * image.plane() + kSlack<T>);
    if (!plain) {
      lay_out(copy.p, x, first * channels, number * channels, image);
      laid = copy.p;
    }
    const int64_t chunks = count * groups * blocks * parts;
    const int64_t grain = ceil_div(chunks, max(1, min(chunks, work / (kChunkWork / 4))));
    for_ranges(chunks, grain, [&](int64_t from, int64_t to) {
      for (int64_t chunk = from; chunk < to; ++chunk) {
        // A thread has weights to itself where there are many.
        const int64_t l = chunk / (groups * blocks * parts), q = chunk / (blocks * parts) % groups;
        const int64_t block = across ? chunk % blocks : chunk / parts % blocks;
        const int64_t part = across ? chunk / blocks % parts : chunk % parts;
        Correlation<T> s = list[l];
        const int64_t tiles = weights.count(), all = s.positions(number);
        const int64_t begin = cut(strips, blocks, block) * wide;
        const int64_t end = min(cut(strips, blocks, block + 1) * wide, all);
        if (begin >= end) continue;
        s.a += q * tiles * s.k * weights.width();
        s.image_step = channels * image.plane();
        s.y_step = y_step;
        s.large = s.image_step >= kLarge;
        correlate(s, s.y + first * y_step + q * s.m * s.y_plane,
                  laid + q * (channels / groups) * image.plane(), bias ? bias + q * s.m : bias,
                  cut(tiles, parts, part), cut(tiles, parts, part + 1), begin, end, plain && last);
      }
    });
  };
  work *= together;
  const bool apart = batches >= 4 * threads || batches % threads == 0;
  const int64_t grain = apart || work < 4 * kChunkWork ? ceil_div(kChunkWork, work) : batches;
  for_ranges(batches, grain, [&](int64_t from, int64_t to) {
    for (int64_t batch = from; batch < to; ++batch) one(batch);
  });
}

// --- a channel at a time -----------------------------------------------------------------------
//
// Where a group has one channel (depthwise), there is nothing to share but the taps: each plane is
// laid out where it stays in the L1 cache, and goes by at once. Vectors lie along its rows, or,
// where these are short, along all of it, and what falls between the rows is dropped.

// A vector of pixels of y: where it begins in the laid out plane and where it goes.
struct Stretch {
  int64_t from, to;
  int lanes;
};

// H of them.
template <int H, class T>
inline void correlate_stretches(T* y, const T* laid, const T* w, const int64_t* shift, int64_t taps,
                                T bias, const Stretch* s) {
  const T* in[H];
  Vec<T> sum[H];
#pragma GCC unroll 8
  for (int i = 0; i < H; ++i) in[i] = laid + s[i].from, sum[i] = splat(bias);
  for (int64_t t = 0; t < taps; ++t) {
    const Vec<T> tap = splat(w[t]);
#pragma GCC unroll 8
    for (int i = 0; i < H; ++i) sum[i] += tap * load(in[i] + shift[t]);
  }
#pragma GCC unroll 8
  for (int i = 0; i < H; ++i) store_n(y + s[i].to, sum[i], s[i].lanes);
}

// A vector of each of kBand rows of y, of a kernel of KH rows at stride 1: a row of pixels that was
// loaded serves all of them that see it.
constexpr int kBand = 8;
template <int KH, class T>
inline void correlate_band(T* y, int64_t y_row, int lanes, const T* laid, int64_t pitch, const T* w,
                           int64_t kw, T bias) {
  Vec<T> sum[kBand];
#pragma GCC unroll 8
  for (int i = 0; i < kBand; ++i) sum[i] = splat(bias);
  for (int64_t b = 0; b < kw; ++b) {
    Vec<T> tap[KH];
#pragma GCC unroll 7
    for (int a = 0; a < KH; ++a) tap[a] = splat(w[a * kw + b]);
#pragma GCC unroll 14
    for (int r = 0; r < kBand + KH - 1; ++r) {
      const Vec<T> pixels = load(laid + r * pitch + b);
#pragma GCC unroll 7
      for (int a = 0; a < KH; ++a)
        if (r >= a && r - a < kBand) sum[r - a] += tap[a] * pixels;
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kBand; ++i) store_n(y + i * y_row, sum[i], lanes);
}

// All of y (oh, ow), oh >= kBand: the last rows are made once more where bands do not come out
// even.
template <int KH, class T>
void correlate_bands(T* y, const T* laid, const T* w, T bias, const ConvSizes& s, int64_t pitch) {
  constexpr int L = kLanes<T>;
  for (int64_t band = 0; band < s.oh; band += kBand) {
    const int64_t i = min(band, s.oh - kBand);
    for (int64_t j = 0; j < s.ow; j += L)
      correlate_band<KH>(y + i * s.ow + j, s.ow, min(L, s.ow - j), laid + i * pitch + j, pitch, w,
                         s.kw, bias);
  }
}

// The rows of x (high, wide), `pitch` apart, their pixels side by side or with zeros between.
template <int APART, class T>
void put_rows(T* to, int64_t pitch, const T* x, int64_t high, int64_t wide) {
  constexpr int L = kLanes<T>;
  for (int64_t i = 0; i < high; ++i)
    for (int64_t j = 0; j < wide; j += L) {
      const int lanes = min(L, wide - j);
      const Vec<T> v = load_n(x + i * wide + j, lanes);
      T* at = to + i * pitch + j * APART;
      if constexpr (APART == 1) {
        store_n(at, v, lanes);
      } else {
        store_n(at, interleave<T>(v, Vec<T>{}, 0), min(L, 2 * lanes));
        store_n(at + L, interleave<T>(v, Vec<T>{}, L / 2), max(0, 2 * lanes - L));
      }
    }
}

// The pixels of x may lie `down` rows and `right` columns apart, 1 or 2, with zeros between.
template <class T>
__attribute__((noinline)) void correlate_planes(T* y, const T* x, const T* w, const T* bias,
                                                const ConvSizes& s, const Image& image,
                                                int64_t down = 1, int64_t right = 1) {
  constexpr int L = kLanes<T>;
  const int64_t high = ceil_div(s.h, down), wide = ceil_div(s.w, right);
  const int64_t taps = s.kh * s.kw, each = s.o / s.groups, pitch = image.h.length;
  const bool flat = s.ow <= L / 2;
  const bool dense = s.sh * s.sw * s.dh * s.dw == 1;
  const auto bands = flat || !dense || s.oh < kBand ? nullptr
                     : s.kh == 3                    ? correlate_bands<3, T>
                     : s.kh == 5                    ? correlate_bands<5, T>
                     : s.kh == 7                    ? correlate_bands<7, T>
                                                    : nullptr;
  const int64_t beside = flat ? ceil_div((s.oh - 1) * pitch + s.ow, L) : ceil_div(s.ow, L);
  const int64_t vectors = flat ? beside : s.oh * beside;
  Scratch<Rows> rows(image.v.phases);
  find_rows(rows.p, image.v);
  Scratch<int64_t> shift(taps);
  for (int64_t t = 0; t < taps; ++t) shift.p[t] = image.offset(0, t / s.kw, t % s.kw);
  Scratch<Stretch> list(vectors + 8);  // the last ones write nothing
  for (int64_t v = 0; v < vectors + 8; ++v) {
    const int64_t i = min(v, vectors - 1) / beside, j = min(v, vectors - 1) % beside * L;
    list.p[v] = {i * pitch + j, i * s.ow + j, int(v >= vectors ? 0 : flat ? L : min(L, s.ow - j))};
  }
  const int64_t work = max(1, each * vectors * L * (taps + 8));
  for_ranges(s.n * s.c, even_share(s.n * s.c, work), [&](int64_t from, int64_t to) {
    Scratch<T> laid(image.plane() + kSlack<T>), sums(flat ? vectors * L + L : 0);
    std::memset(laid.p, 0, (image.plane() + kSlack<T>)*sizeof(T));
    for (int64_t plane = from; plane < to; ++plane) {
      const T* in = x + plane * high * wide;
      if (s.sh > 1 || s.sw > 1) {
        lay_out_planes(laid.p, x, plane, plane + 1, image, rows.p);
      } else {  // around and between the pixels there stay zeros
        T* inside = laid.p + s.ph * pitch + s.pw;
        if (right == 1)
          put_rows<1>(inside, down * pitch, in, high, wide);
        else
          put_rows<2>(inside, down * pitch, in, high, wide);
      }
      for (int64_t o = plane % s.c * each; o < (plane % s.c + 1) * each; ++o) {
        T* out = y + (plane / s.c * s.o + o) * s.oh * s.ow;
        T* at = flat ? sums.p : out;
        const T b = bias ? bias[o] : T(0);
        if (bands) {
          bands(out, laid.p, w + o * taps, b, s, pitch);
          continue;
        }
        int64_t v = 0;
        for (; v + 4 < vectors; v += 8)
          correlate_stretches<8>(at, laid.p, w + o * taps, shift.p, taps, b, list.p + v);
        if (v < vectors)
          correlate_stretches<4>(at, laid.p, w + o * taps, shift.p, taps, b, list.p + v);
        for (int64_t i = 0; i < (flat ? s.oh : 0); ++i)
          store_n(out + i * s.ow, load(sums.p + i * pitch), s.ow);
      }
    }
  });
}

}  // namespace
}  // namespace mt::MT_ISA
