// Convolution: x (n, c, h, w), w (o, c / groups, kh, kw), y and g (n, o, oh, ow).
//
//     y[n, o, i, j] = bias[o] + sum over c, a, b of x[n, c, i sh - ph + a dh, j sw - pw + b dw]
//     w[o, c, a, b]
//
// The rungs: `naive` has these seven loops; `blocked` and `simd` lay the windows out as a matrix
// (im2col) and multiply; `fast` multiplies without the matrix, reading its rows where they lie in
// the image, or by Winograd's method.
#include "../kernels.h"
#include "conv_winograd.h"
#include "gemm.h"

namespace mt::MT_ISA {
namespace {

// --- the loops
// ------------------------------------------------------------------------------------------------------

// f(index in w, index in x or -1 in the padding) for the terms of y's pixel (o, i, j) of image n
template <class F>
void window(const ConvSizes& s, int64_t n, int64_t o, int64_t i, int64_t j, const F& f) {
  const int64_t channels = s.c / s.groups, first = o / (s.o / s.groups) * channels;
  for (int64_t c = 0; c < channels; ++c)
    for (int64_t a = 0; a < s.kh; ++a)
      for (int64_t b = 0; b < s.kw; ++b) {
        const int64_t row = i * s.sh - s.ph + a * s.dh, col = j * s.sw - s.pw + b * s.dw;
        const bool inside = row >= 0 && row < s.h && col >= 0 && col < s.w;
        f(((o * channels + c) * s.kh + a) * s.kw + b,
          inside ? ((n * s.c + first + c) * s.h + row) * s.w + col : -1);
      }
}

template <class F>
void pixels(const ConvSizes& s, const F& f) {
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t o = 0; o < s.o; ++o)
      for (int64_t i = 0; i < s.oh; ++i)
        for (int64_t j = 0; j < s.ow; ++j) f(n, o, i, j, ((n * s.o + o) * s.oh + i) * s.ow + j);
}

template <class T>
void naive(T* y, const T* x, const T* w, const T* bias, const ConvSizes& s) {
  pixels(s, [&](int64_t n, int64_t o, int64_t i, int64_t j, int64_t at) {
    T sum = 0;
    window(s, n, o, i, j,
           [&](int64_t in_w, int64_t in_x) { sum += (in_x < 0 ? 0 : x[in_x]) * w[in_w]; });
    y[at] = sum + (bias ? bias[o] : 0);
  });
}

// y += x w   gives   dx += g w
template <class T>
void naive_input_vjp(T* dx, const T* g, const T* w, const ConvSizes& s) {
  std::memset(dx, 0, s.n * s.c * s.h * s.w * sizeof(T));
  pixels(s, [&](int64_t n, int64_t o, int64_t i, int64_t j, int64_t at) {
    window(s, n, o, i, j, [&](int64_t in_w, int64_t in_x) {
      if (in_x >= 0) dx[in_x] += g[at] * w[in_w];
    });
  });
}

// y += x w   gives   dw += g x
template <class T>
void naive_weight_vjp(T* dw, const T* g, const T* x, const ConvSizes& s) {
  std::memset(dw, 0, s.o * (s.c / s.groups) * s.kh * s.kw * sizeof(T));
  pixels(s, [&](int64_t n, int64_t o, int64_t i, int64_t j, int64_t at) {
    window(s, n, o, i, j,
           [&](int64_t in_w, int64_t in_x) { dw[in_w] += g[at] * (in_x < 0 ? 0 : x[in_x]); });
  });
}

// --- the windows as a matrix
// ----------------------------------------------------------------------------------------

// The j in 0..n-1 with 0 <= j * stride + shift < size are those in begin..end-1.
struct Span {
  int64_t begin, end;
  Span(int64_t n, int64_t stride, int64_t shift, int64_t size) {
    begin = min(n, shift < 0 ? ceil_div(-shift, stride) : 0);
    end = shift < size ? max(begin, min(n, ceil_div(size - shift, stride))) : begin;
  }
};

// cols[c, a, b, i, j] = x[c, i sh - ph + a dh, j sw - pw + b dw], or 0 in the padding; of one image
template <class T>
void unfold(T* cols, const T* x, int64_t channels, const ConvSizes& s) {
  for_ranges(channels, ceil_div(kChunkWork / 8, s.kh * s.kw * s.oh * s.ow),
             [&](int64_t from, int64_t to) {
               for (int64_t r = from * s.kh * s.kw; r < to * s.kh * s.kw; ++r) {
                 const int64_t c = r / (s.kh * s.kw), a = r / s.kw % s.kh, b = r % s.kw;
                 const int64_t down = a * s.dh - s.ph, right = b * s.dw - s.pw;
                 const Span js(s.ow, s.sw, right, s.w);
                 for (int64_t i = 0; i < s.oh; ++i) {
                   T* out = cols + (r * s.oh + i) * s.ow;
                   const int64_t row = i * s.sh + down;
                   const bool inside = row >= 0 && row < s.h;
                   const int64_t begin = inside ? js.begin : s.ow, end = inside ? js.end : s.ow;
                   const T* in = x + (c * s.h + row) * s.w + right;
                   for (int64_t j = 0; j < begin; ++j) out[j] = 0;
                   if (s.sw == 1)
                     for (int64_t j = begin; j < end; ++j) out[j] = in[j];
                   else
                     for (int64_t j = begin; j < end; ++j) out[j] = in[j * s.sw];
                   for (int64_t j = end; j < s.ow; ++j) out[j] = 0;
                 }
               }
             });
}

// cols[..] = x[..]   gives   x[..] += cols[..], summed over the windows that a pixel is in
template <class T>
void fold(T* x, const T* cols, int64_t channels, const ConvSizes& s) {
  for_ranges(channels, ceil_div(kChunkWork / 8, s.kh * s.kw * s.oh * s.ow),
             [&](int64_t from, int64_t to) {
               std::memset(x + from * s.h * s.w, 0, (to - from) * s.h * s.w * sizeof(T));
               for (int64_t r = from * s.kh * s.kw; r < to * s.kh * s.kw; ++r) {
                 const int64_t c = r / (s.kh * s.kw), a = r / s.kw % s.kh, b = r % s.kw;
                 const int64_t down = a * s.dh - s.ph, right = b * s.dw - s.pw;
                 const Span is(s.oh, s.sh, down, s.h), js(s.ow, s.sw, right, s.w);
                 for (int64_t i = is.begin; i < is.end; ++i) {
                   const T* in = cols + (r * s.oh + i) * s.ow;
                   T* out = x + (c * s.h + i * s.sh + down) * s.w + right;
                   if (s.sw == 1)
                     for (int64_t j = js.begin; j < js.end; ++j) out[j] += in[j];
                   else
                     for (int64_t j = js.begin; j < js.end; ++j) out[j * s.sw] += in[j];
                 }
               }
             });
}

template <class T>
void im2col_all(T* cols, const T* x, const ConvSizes& s) {
  unfold(cols, x, s.n * s.c, s);
}
template <class T>
void col2im_all(T* x, const T* cols, const ConvSizes& s) {
  fold(x, cols, s.n * s.c, s);
}

// The sizes of one group of one image as matrices: w (m, k), cols (k, p), y (m, p).
struct Face {
  int64_t m, k, p;
  explicit Face(const ConvSizes& s)
      : m(s.o / s.groups), k(s.c / s.groups * s.kh * s.kw), p(s.oh * s.ow) {}
};

// f(group's w, image's group's x, its y, its cols) for each of them
template <class T, class X, class W, class Y, class F>
void groups(X* x, W* w, Y* y, const ConvSizes& s, const F& f) {
  const Face z(s);
  const int64_t channels = s.c / s.groups;
  Scratch<T> cols(z.k * z.p);
  for (int64_t n = 0; n < s.n; ++n)
    for (int64_t q = 0; q < s.groups; ++q)
      f(n, q, x + (n * s.c + q * channels) * s.h * s.w, w + q * z.m * z.k,
        y + (n * s.o + q * z.m) * z.p, cols.p);
}

// y = w cols + bias
template <class T, void (*multiply)(const Product<T>&)>
void by_matrix(T* y, const T* x, const T* w, const T* bias, const ConvSizes& s) {
  const Face z(s);
  groups<T>(x, w, y, s, [&](int64_t, int64_t q, const T* xq, const T* wq, T* yq, T* cols) {
    unfold(cols, xq, s.c / s.groups, s);
    multiply({z.m,
              z.p,
              z.k,
              {yq, z.p, 1},
              {wq, z.k, 1},
              {cols, z.p, 1},
              {bias ? bias + q * z.m : bias, 1, 0}});
  });
}

// y = w cols   gives   dcols = w^T g
template <class T, void (*multiply)(const Product<T>&)>
void by_matrix_input_vjp(T* dx, const T* g, const T* w, const ConvSizes& s) {
  const Face z(s);
  groups<T>(dx, w, g, s, [&](int64_t, int64_t, T* dxq, const T* wq, const T* gq, T* cols) {
    multiply({z.k, z.p, z.m, {cols, z.p, 1}, {wq, 1, z.k}, {gq, z.p, 1}, {}});
    fold(dxq, cols, s.c / s.groups, s);
  });
}

// y = w cols   gives   dw = g cols^T, summed over the images
template <class T, void (*multiply)(const Product<T>&)>
void by_matrix_weight_vjp(T* dw, const T* g, const T* x, const ConvSizes& s) {
  const Face z(s);
  std::memset(dw, 0, s.o * z.k * sizeof(T));
  groups<T>(x, dw, g, s, [&](int64_t, int64_t, const T* xq, T* dwq, const T* gq, T* cols) {
    unfold(cols, xq, s.c / s.groups, s);
    multiply({z.m, z.k, z.p, {dwq, z.k, 1}, {gq, z.p, 1}, {cols, 1, z.p}, {dwq, z.k, 1}});
  });
}

// --- straight from the image
// ----------------------------------------------------------------------------------------
//
// In the padded image, the row of the matrix of windows that belongs to the term (c, a, b) is the
// image itself, begun at another place: offset(c, a, b). With a stride, the image is laid out by
// phases first, so that pixels a stride apart lie side by side. So no matrix is made: either the
// tile reads the shifted images as they are and drops the sums that fall between the rows, or,
// where these would be many, slivers are packed from them.

// One axis: `out` positions a step apart meet `taps` places each.
struct Axis {
  int64_t length;  // of a phase
  int64_t phases;  // that occur
  int64_t stride, dilation, pad, size;

  Axis(int64_t size, int64_t out, int64_t taps, int64_t stride, int64_t dilation, int64_t pad)
      : length(out + (taps - 1) * dilation / stride),
        stride(stride),
        dilation(dilation),
        pad(pad),
        size(size) {
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
  bool plain() const { return length == size && pad == 0 && stride == 1; }
  int64_t phase(int64_t tap) const { return tap % phases; }
  int64_t shift(int64_t tap) const { return tap * dilation / stride; }
  // Where position i of a phase lies on the unpadded axis.
  int64_t place(int64_t phase, int64_t i) const {
    return i * stride + phase * dilation % stride - pad;
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

constexpr int64_t kWindowDepth = 1152;  // of k in one block of packed windows

// A tile may read this far beyond the image; what it reads there is dropped.
template <class T>
constexpr int kSlack = 8 * kLanes<T>;

template <class T>
void lay_out(T* to, const T* x, int64_t channels, const Image& s) {
  for_ranges(channels, ceil_div(kChunkWork / 8, s.plane()), [&](int64_t from, int64_t end) {
    for (int64_t c = from; c < end; ++c)
      for (int64_t a = 0; a < s.v.phases; ++a)
        for (int64_t b = 0; b < s.h.phases; ++b) {
          const int64_t right = s.h.place(b, 0), step = s.h.stride;
          const Span js(s.h.length, step, right, s.h.size);
          for (int64_t i = 0; i < s.v.length; ++i) {
            T* out = to + (((c * s.v.phases + a) * s.h.phases + b) * s.v.length + i) * s.h.length;
            const int64_t row = s.v.place(a, i);
            if (row < 0 || row >= s.v.size) {
              std::memset(out, 0, s.h.length * sizeof(T));
              continue;
            }
            const T* in = x + (c * s.v.size + row) * s.h.size + right;
            for (int64_t j = 0; j < js.begin; ++j) out[j] = 0;
            if (step == 1)
              std::memcpy(out + js.begin, in + js.begin, (js.end - js.begin) * sizeof(T));
            else
              for (int64_t j = js.begin; j < js.end; ++j) out[j] = in[j * step];
            for (int64_t j = js.end; j < s.h.length; ++j) out[j] = 0;
          }
        }
  });
  std::memset(to + channels * s.plane(), 0, kSlack<T> * sizeof(T));
}

// y (m, rows, cols) = a (m, k) and, as its k rows, the image begun at each offset.
template <class T>
struct Correlation {
  int64_t m, k;
  T* a;                           // in slivers of k steps
  int64_t* offset;                // of each term
  int64_t rows, cols, pitch;      // the pixels made, and how far apart their rows are in the image
  T* y;                           // where the first goes
  int64_t y_plane, y_row, y_col;  // and the others
  int64_t image_step, y_step;     // from one image to the next, where several are done together

  // Whether dropping sums costs less than packing for a few slivers.
  bool direct() const { return m <= 2 * kTileRows && m * (pitch - cols) < 8 * cols; }
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
  if (pieces == 2 && !exact)
    copy(Int<2>{});
  else if (pieces == 3 && !exact)
    copy(Int<3>{});
  else
    copy(pieces);
}

// The positions begin..end-1 and the slivers first..last-1 of the channels of one group. `exact`
// forbids to read beyond the image.
template <class T>
void correlate(const Correlation<T>& s, T* y, const T* image, const T* bias, int64_t first,
               int64_t last, int64_t begin, int64_t end, bool exact) {
  constexpr int W = kTileCols<T>, L = kLanes<T>;
  T sums[(kTileSums + 1) * L];  // `place` reads whole vectors
  if (s.direct() && !exact) {
    for (int64_t t = first; t < last; ++t) {
      const int64_t i = sliver(s.m, t);
      with<kTileRows>(sliver(s.m, t + 1) - i, [&](auto h) {
        constexpr int H = decltype(h)::value, NV = tile_vectors(H);
        for (int64_t p = begin; p < end; p += NV * L) {
          const int n = min(NV * L, end - p);
          T* out = y + i * s.y_plane;
          const ByColumn<T> a{s.a + t * s.k * kPackRows<T>, kPackRows<T>};
          const Taps<T> b{image + p, s.offset};
          if (s.contiguous(p, n)) {
            tile<H, NV, T>(s.k, a, b, n, {out + p, s.y_plane, 1}, {bias ? bias + i : bias, 1, 0});
          } else {
            tile<H, NV, T>(s.k, a, b, NV * L, {sums, NV * L, 1}, {});
            s.place(sums, NV * L, H, p, n, out, bias ? bias + i : bias, false);
          }
        }
      });
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
      with<kTileRows>(sliver(s.m, t + 1) - i, [&](auto h) {
        constexpr int H = decltype(h)::value;
        const auto run = [&](auto vectors, int64_t q, int n) {
          constexpr int NV = decltype(vectors)::value;
          const int64_t p = begin + q * W;
          const Steps<T> b{panel.p + q * W * depth, W};
          if (s.contiguous(p, n)) {
            const Matrix<T> c{out + s.to(p / s.cols) + p % s.cols, s.y_plane, 1};
            tile<H, NV, T>(depth, a, b, n, c,
                           block ? Matrix<const T>{c.p, c.row, 1} : Matrix<const T>{add, 1, 0});
          } else {
            tile<H, NV, T>(depth, a, b, NV * L, {sums, W, 1}, {});
            s.place(sums, W, H, p, n, out, add, block > 0);
          }
        };
        for (int64_t q = 0; q < strips; ++q) {
          const int n = min(W, end - begin - q * W);
          n > L ? run(Int<2>{}, q, n) : run(Int<1>{}, q, n);
        }
      });
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
  const int64_t strips = ceil_div(most * together, W);
  const int64_t fit = max(2, min(8, kPanelBytes / sizeof(T) / (W * min(deepest, kWindowDepth))));
  // More blocks than the caches ask for, where these are too few to share among the threads.
  const int64_t wanted = ceil_div(kChunks / 2, batches * groups * count);
  const int64_t enough = min(strips, min(wanted, work / count * together / kChunkWork));
  const int64_t blocks = max(ceil_div(strips, fit), enough);
  const int64_t at_once = ceil_div(strips, blocks) * W;  // positions
  const int64_t parts = min(ceil_div(4, blocks * batches * groups), slivers(list[0].m));
  const auto one = [&](int64_t batch) {
    const int64_t first = cut(images, batches, batch);
    const int64_t number = cut(images, batches, batch + 1) - first;
    const T* laid = x + first * x_step;
    // In place a tile may read into the next images, so the last ones take care or a copy.
    const bool last = (images - first - number) * x_step < kSlack<T>;
    const bool plain = image.plain() && (whole || !last);
    Scratch<T> copy(plain ? 0 : number * channels * image.plane() + kSlack<T>);
    if (!plain) {
      lay_out(copy.p, laid, number * channels, image);
      laid = copy.p;
    }
    const int64_t chunks = count * groups * blocks * parts;
    const int64_t grain = ceil_div(chunks, max(1, min(chunks, work / (kChunkWork / 4))));
    for_ranges(chunks, grain, [&](int64_t from, int64_t to) {
      for (int64_t chunk = from; chunk < to; ++chunk) {
        const int64_t l = chunk / (groups * blocks * parts), q = chunk / (blocks * parts) % groups;
        const int64_t block = chunk / parts % blocks, part = chunk % parts;
        Correlation<T> s = list[l];
        const int64_t begin = block * at_once, tiles = slivers(s.m);
        const int64_t end = min(begin + at_once, s.positions(number));
        if (begin >= end) continue;
        s.a += q * slivers(s.m) * s.k * kPackRows<T>;
        s.image_step = channels * image.plane();
        s.y_step = y_step;
        correlate(s, s.y + first * y_step + q * s.m * s.y_plane,
                  laid + q * (channels / groups) * image.plane(), bias ? bias + q * s.m : bias,
                  cut(tiles, parts, part), cut(tiles, parts, part + 1), begin, end, plain && last);
      }
    });
  };
  work *= together;
  const int64_t grain =
      batches >= 8 || work < 4 * kChunkWork ? ceil_div(kChunkWork, work) : batches;
  for_ranges(batches, grain, [&](int64_t from, int64_t to) {
    for (int64_t batch = from; batch < to; ++batch) one(batch);
  });
}

bool three_by_three(const ConvSizes& s) {
  return s.kh == 3 && s.kw == 3 && s.sh == 1 && s.sw == 1 && s.dh == 1 && s.dw == 1;
}

template <class T>
void fast(T* y, const T* x, const T* w, const T* bias, const ConvSizes& s) {
  const Face z(s);
  const Image image{{s.h, s.oh, s.kh, s.sh, s.dh, s.ph}, {s.w, s.ow, s.kw, s.sw, s.dw, s.pw}};
  if (s.n == 0) return;
  if (three_by_three(s)) {
    const Winograd wino{s.n, s.groups, z.m, s.c / s.groups, s.h, s.w, s.oh, s.ow, s.ph, s.pw};
    if (wino.pays() && winograd_from(y, x, w, z.m * z.k, z.k, kTaps, false, bias, wino)) return;
  }
  if (!image.worth(s)) return by_matrix<T, product_simd<T>>(y, x, w, bias, s);
  Scratch<T> a(s.groups * slivers(z.m) * z.k * kPackRows<T>);
  Scratch<int64_t> offset(z.k);
  for (int64_t r = 0; r < z.k; ++r)
    offset.p[r] = image.offset(r / (s.kh * s.kw), r / s.kw % s.kh, r % s.kw);
  for_ranges(s.groups * slivers(z.m), ceil_div(kChunkWork / 16, z.k * kPackRows<T>),
             [&](int64_t from, int64_t to) {
               for (int64_t t = from; t < to; ++t) {
                 const int64_t q = t / slivers(z.m), i = sliver(z.m, t % slivers(z.m)),
                               end = sliver(z.m, t % slivers(z.m) + 1);
                 pack<kPackRows<T>>(a.p + t * z.k * kPackRows<T>,
                                    Matrix<const T>{w + (q * z.m + i) * z.k, z.k, 1}, end - i, z.k);
               }
             });
  Correlation<T> one{z.m, z.k, a.p, offset.p, s.oh, s.ow, image.h.length, y, z.p, s.ow, 1, 0, 0};
  if (image.plain() && one.pitch == one.cols) one.cols = one.pitch = one.y_row = z.p, one.rows = 1;
  correlate_all(&one, 1, x, s.c * s.h * s.w, s.o * z.p, bias, image, s.n, s.c, s.groups);
}

template <class T>
bool all_finite(const T* x, int64_t n) {
  constexpr int L = kLanes<T>;
  Vec<T> zero = {};
  int64_t i = 0;
  for (; i + L <= n; i += L) zero += load(x + i) * 0;
  T s = sum<T>(zero);
  for (; i < n; ++i) s += x[i] * 0;
  return s == 0;
}

// y[i] += x[i s - p + a d] w[a]   gives   dx[i s - p + a d] += g[i] w[a]
//
// The pixels of dx that are equal modulo the stride meet the same taps a, and for these the sum is
// again a correlation, of the padded g with the kernel turned round. Border pixels miss some terms;
// there the tile multiplies zeros, which is wrong for weights that are not finite alone: these go
// the other way.
template <class T>
void fast_input_vjp(T* dx, const T* g, const T* w, const ConvSizes& s) {
  const Face z(s);
  const int64_t channels = s.c / s.groups, area = s.kh * s.kw;
  // Along an axis: dx[u s + r] meets g[u + shift] under the taps a with (r + p - a d) = shift * s.
  struct Range {
    int64_t low, length;
    Range(int64_t size, int64_t taps, int64_t stride, int64_t pad, int64_t dilation)
        : low(0), length(1) {
      int64_t high = 0;
      bool any = false;
      for (int64_t r = 0; r < min(stride, size); ++r)
        for (int64_t a = 0; a < taps; ++a) {
          const int64_t at = r + pad - a * dilation;
          if (at % stride) continue;
          const int64_t last = (size - 1 - r) / stride + at / stride;
          low = any ? min(low, at / stride) : at / stride;
          high = any ? max(high, last) : last;
          any = true;
        }
      length = max(high - low + 1, ceil_div(size, stride));  // pixels without a tap count too
    }
  };
  if (s.n == 0) return;
  if (three_by_three(s)) {
    const Winograd wino{s.n, s.groups, channels, z.m, s.oh, s.ow, s.h, s.w, 2 - s.ph, 2 - s.pw};
    if (wino.pays() &&
        winograd_from(dx, g, w, z.m * z.k, kTaps, z.k, true, static_cast<const T*>(nullptr), wino))
      return;
  }
  const Range v(s.h, s.kh, s.sh, s.ph, s.dh), h(s.w, s.kw, s.sw, s.pw, s.dw);
  const Image image{{s.oh, v.length, 1, 1, 1, -v.low}, {s.ow, h.length, 1, 1, 1, -h.low}};
  if (!image.worth(s) || !all_finite(w, s.o * z.k))
    return by_matrix_input_vjp<T, product_simd<T>>(dx, g, w, s);

  const int64_t phases = min(s.sh, s.h) * min(s.sw, s.w), across = min(s.sw, s.w),
                tiles = slivers(channels);
  Scratch<Correlation<T>> list(phases);
  Scratch<int64_t> offset(z.m * area), taps(area);
  Scratch<T> a(s.groups * tiles * z.m * area * kPackRows<T>);
  int64_t terms = 0;  // of the phases so far: each tap belongs to one phase of each axis
  for (int64_t phase = 0; phase < phases; ++phase) {
    const int64_t down = phase / across, right = phase % across, first = terms;
    int64_t met = 0;
    for (int64_t t = 0; t < area; ++t)
      if ((down + s.ph - t / s.kw * s.dh) % s.sh == 0 &&
          (right + s.pw - t % s.kw * s.dw) % s.sw == 0)
        taps.p[met++] = t;
    for (int64_t o = 0; o < z.m; ++o)
      for (int64_t l = 0; l < met; ++l) {
        const int64_t i = (down + s.ph - taps.p[l] / s.kw * s.dh) / s.sh - v.low;
        const int64_t j = (right + s.pw - taps.p[l] % s.kw * s.dw) / s.sw - h.low;
        offset.p[terms++] = o * image.plane() + i * image.h.length + j;
      }
    const int64_t k = terms - first;
    T* packed = a.p + s.groups * tiles * first * kPackRows<T>;
    list.p[phase] = {channels,
                     k,
                     packed,
                     offset.p + first,
                     ceil_div(s.h - down, s.sh),
                     ceil_div(s.w - right, s.sw),
                     image.h.length,
                     dx + down * s.w + right,
                     s.h * s.w,
                     s.sh * s.w,
                     s.sw,
                     0,
                     0};
    for_ranges(s.groups * tiles, ceil_div(kChunkWork / 16, max(1, k) * kPackRows<T>),
               [&](int64_t from, int64_t to) {
                 for (int64_t u = from; u < to; ++u) {
                   const int64_t q = u / tiles, c = sliver(channels, u % tiles),
                                 end = sliver(channels, u % tiles + 1);
                   T* out = packed + u * k * kPackRows<T>;
                   for (int64_t o = 0; o < z.m; ++o)
                     for (int64_t l = 0; l < met; ++l) {
                       const T* in = w + ((q * z.m + o) * channels + c) * area + taps.p[l];
                       for (int64_t i = 0; i < end - c; ++i) out[i] = in[i * area];
                       out += kPackRows<T>;
                     }
                 }
               });
  }
  correlate_all(list.p, phases, g, s.o * z.p, s.c * s.h * s.w, static_cast<const T*>(nullptr),
                image, s.n, s.o, s.groups);
}

// Into how many parts the images are cut, each with a sum of its own that has `size` values: a
// fixed number, so that the order of summation does not depend on the threads. Without images there
// is one part, whose sum is 0.
int64_t sum_parts(const ConvSizes& s, int64_t work, int64_t size) {
  return size <= 1 << 17 ? max(1, min(8, ceil_div(s.n, ceil_div(kChunkWork, work)))) : 1;
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
      lay_out(laid.p, x + n * s.c * s.h * s.w, s.c, image);
      lay_out(gaps.p, g + n * s.o * z.p, s.o, spread);
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

// to[p * kPackRows + i] = a.row[i][p] for `count` pixels p; none beyond them is read.
template <class T, int H>
void pack_taps(T* to, const ByRow<T, H>& a, int64_t count) {
  constexpr int L = kLanes<T>;
  for (int64_t p = 0; p < count; p += L) {
    const int lanes = min(L, count - p);
    for (int i = 0; i < kPackRows<T>; i += L) {
      Vec<T> x[L];
#pragma GCC unroll 16
      for (int r = 0; r < L; ++r) x[r] = i + r < H ? load_n(a.row[i + r] + p, lanes) : Vec<T>{};
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
  if (z.m <= L / 2 && all_finite(x, s.n * s.c * s.h * s.w))
    return weight_vjp_by_dots(dw, g, x, s, image, offset.p);
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
        lay_out(copy.p, laid, number * s.c, image);
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
        with<kTileRows>(sliver(z.k, chunk % tiles + 1) - r, [&](auto height) {
          constexpr int H = decltype(height)::value;
          const auto line_of = [&](int64_t l) {  // of all images
            ByRow<T, H> a;
            for (int t = 0; t < H; ++t)
              a.row[t] = in + l / lines * s.c * image.plane() + offset.p[r + t] +
                         (i + l % lines) * image.h.length;
            return a;
          };
          alignas(64) T left[kPackRows<T> * kDepth];
          if (pack_a)
            for (int64_t l = 0; l < number * lines; ++l)
              pack_taps<T, H>(left + l * cols * kPackRows<T>, line_of(l), cols);
          for (int64_t u = first; u < last; ++u) {
            const T* right = packed.p + ((q * strips + u) * pixels + i * cols) * W;
            const auto run = [&](auto vectors) {
              constexpr int NV = decltype(vectors)::value;
              Vec<T> sum[H][NV] = {};
              if (pack_a)
                for (int64_t m = 0; m < number; ++m)
                  accumulate<H, NV, T>(
                      sum, lines * cols,
                      ByColumn<T>{left + m * lines * cols * kPackRows<T>, kPackRows<T>},
                      Steps<T>{right + m * z.p * W, W});
              else
                for (int64_t l = 0; l < number * lines; ++l)
                  accumulate<H, NV, T>(
                      sum, cols, line_of(l),
                      Steps<T>{right + (l / lines * z.p + l % lines * cols) * W, W});
              T* out = total + ((q * strips + u) * z.k + r) * W;
#pragma GCC unroll 14
              for (int l = 0; l < H; ++l)
#pragma GCC unroll 2
                for (int v = 0; v < NV; ++v)
                  store(out + l * W + v * L, load(out + l * W + v * L) + sum[l][v]);
            };
            const int wide = min(W, z.m - u * W);
            wide > L ? run(Int<2>{}) : run(Int<1>{});
          }
        });
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

#define MT_BY_MATRIX(rung, multiply)                                           \
  template <class T>                                                           \
  void rung(T* y, const T* x, const T* w, const T* bias, const ConvSizes& s) { \
    by_matrix<T, multiply<T>>(y, x, w, bias, s);                               \
  }                                                                            \
  template <class T>                                                           \
  void rung##_input_vjp(T* dx, const T* g, const T* w, const ConvSizes& s) {   \
    by_matrix_input_vjp<T, multiply<T>>(dx, g, w, s);                          \
  }                                                                            \
  template <class T>                                                           \
  void rung##_weight_vjp(T* dw, const T* g, const T* x, const ConvSizes& s) {  \
    by_matrix_weight_vjp<T, multiply<T>>(dw, g, x, s);                         \
  }
MT_BY_MATRIX(blocked, product_blocked)
MT_BY_MATRIX(simd, product_simd)
#undef MT_BY_MATRIX

}  // namespace

MT_RUNGS(conv2d, naive, blocked, simd, fast)
MT_RUNGS(conv2d_input_vjp, naive_input_vjp, blocked_input_vjp, simd_input_vjp, fast_input_vjp)
MT_RUNGS(conv2d_weight_vjp, naive_weight_vjp, blocked_weight_vjp, simd_weight_vjp, fast_weight_vjp)
MT_KERNEL(im2col, im2col_all)
MT_KERNEL(col2im, col2im_all)

}  // namespace mt::MT_ISA
