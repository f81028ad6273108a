// Convolution: x (n, c, h, w), w (o, c / groups, kh, kw), y and g (n, o, oh, ow).
//
//     y[n, o, i, j] = bias[o] + sum over c, a, b of x[n, c, i sh - ph + a dh, j sw - pw + b dw]
//     w[o, c, a, b]
//
// The rungs: `naive` has these seven loops; `blocked` and `simd` lay the windows out as a matrix
// (im2col) and multiply; `fast` multiplies without the matrix, reading its rows where they lie in
// the image, or by Winograd's method.
#include "conv_direct.h"
#include "conv_direct_vjp.h"
#include "conv_matrix.h"
#include "conv_winograd.h"

namespace mt::MT_ISA {
namespace {

// Whether each image's groups were made as products of matrices, make(image, group): of 1x1
// kernels, where there is one, or each is work enough for the threads and its pixels fill vectors,
// or may be made by parts.
template <class T, class F>
bool by_products(const ConvSizes& s, const F& make) {
  if (!one_to_one(s)) return false;
  const int64_t count = s.n * s.groups, pixels = s.h * s.w;
  const bool full = 8 * (ceil_div(pixels, kLanes<T>) * kLanes<T> - pixels) <= pixels;
  const bool large = full && s.o / s.groups * (s.c / s.groups) * pixels >= 8 * kChunkWork;
  const auto product = [&](int64_t i) { return make(i / s.groups, i % s.groups); };
  int64_t done = 0;
  while (done < count && product_by_parts<T>(product(done))) ++done;
  if (done == count) return true;
  if (count > 1 && !large) return false;
  // A thread has images to itself, where they are shared evenly.
  const int64_t threads = num_threads();
  if (count >= 8 * threads || count % threads == 0)
    for_chunks(count, [&](int64_t i) { product_fast<T>(product(i), 1); });
  else
    for (int64_t i = 0; i < count; ++i) product_fast<T>(product(i), threads);
  return true;
}

template <class T>
void fast(T* y, const T* x, const T* w, const T* bias, const ConvSizes& s) {
  const Face z(s);
  if (s.n == 0) return;
  if (covers(s)) {
    for (int64_t q = 0; q < s.groups; ++q)
      product_fast<T>({s.n,
                       z.m,
                       z.k,
                       {y + q * z.m, s.o, 1},
                       {x + q * z.k, s.groups * z.k, 1},
                       {w + q * z.m * z.k, 1, z.k},
                       {bias ? bias + q * z.m : bias, 0, 1}},
                      num_threads());
    return;
  }
  if (by_products<T>(s, [&](int64_t n, int64_t q) {
        return Product<T>{z.m,
                          z.p,
                          z.k,
                          {y + (n * s.o + q * z.m) * z.p, z.p, 1},
                          {w + q * z.m * z.k, z.k, 1},
                          {x + (n * s.c + q * z.k) * z.p, z.p, 1},
                          {bias ? bias + q * z.m : bias, 1, 0}};
      }))
    return;
  Image image{{s.h, s.oh, s.kh, s.sh, s.dh, s.ph}, {s.w, s.ow, s.kw, s.sw, s.dw, s.pw}};
  if (s.dh * s.dw == 1) {
    const Winograd wino{s.n,
                        s.groups,
                        z.m,
                        s.c / s.groups,
                        {s.h, s.oh, s.kh, s.sh, s.ph},
                        {s.w, s.ow, s.kw, s.sw, s.pw}};
    if (wino.pays() && winograd(y, x, w, z.m * z.k, z.k, s.kh * s.kw, false, bias, wino)) return;
  }
  if (!image.worth(s)) return by_matrix<T, product_simd<T>>(y, x, w, bias, s);
  if (s.groups > 1 && s.c == s.groups) return correlate_planes(y, x, w, bias, s, image);
  const Weights<T> weights{z.m, z.k, across_channels<T>(z.m, z.k, z.p)};
  const int64_t channels = s.c / s.groups;
  Scratch<int64_t> seeing(2 * s.kw);
  int64_t inside = 0;
  for (int64_t b = 0; b < s.kw; ++b) {
    const Span pixels(s.ow, s.sw, b * s.dw - s.pw, s.w);
    seeing.p[2 * b] = pixels.begin, seeing.p[2 * b + 1] = pixels.end;
    inside += pixels.length();
  }
  const int64_t at_once = weights.across ? columns_pay(inside, s.kw * s.ow, channels, s.kh) : 0;
  if (!at_once && copies_pay(weights.across, z.m, s, image.h.length - s.ow))
    image.h = {s.w, s.ow, s.kw, s.sw, s.dw, s.pw, true};
  const int64_t count = weights.count();
  Scratch<T> a(s.groups * weights.size());
  Scratch<int64_t> offset(z.k);
  const Terms terms{channels, s.kh, s.kw, at_once || (weights.across && s.ph > 0), at_once};
  Scratch<int64_t> shift(s.kh * s.kw);
  for (int64_t t = 0; t < s.kh * s.kw; ++t) shift.p[t] = image.offset(0, t / s.kw, t % s.kw);
  Scratch<int64_t> place(z.k);  // of each term's weight
  terms.each([&](int64_t r, int64_t c, int64_t tap) {
    offset.p[r] = c * image.plane() + shift.p[tap];
    place.p[r] = c * s.kh * s.kw + tap;
  });
  bool finite = true;  // if they are not, what they make of the padding's zeros counts
  for_ranges(s.groups * count, ceil_div(kChunkWork / 16, z.k * weights.width()),
             [&](int64_t from, int64_t to) {
               for (int64_t t = from; t < to; ++t) {
                 const int64_t q = t / count, i = weights.begin(t % count),
                               high = weights.begin(t % count + 1) - i;
                 const Matrix<const T> rows{w + (q * z.m + i) * z.k, z.k, 1};
                 T* to = a.p + t * z.k * weights.width();
                 if (terms.by_rows) {
                   Scratch<T> packed(z.k * kTileCols<T>);
                   pack<kTileCols<T>>(packed.p, rows, high, z.k);
                   for (int64_t r = 0; r < z.k; ++r)
                     for (int l = 0; l < kTileCols<T>; l += kLanes<T>)
                       store(to + r * kTileCols<T> + l,
                             load(packed.p + place.p[r] * kTileCols<T> + l));
                   if (!all_finite(rows.p, high * z.k))
                     __atomic_store_n(&finite, false, __ATOMIC_RELAXED);
                 } else if (weights.across) {
                   pack<kTileCols<T>>(to, rows, high, z.k);
                 } else {
                   pack<kPackRows<T>>(to, rows, high, z.k);
                 }
               }
             });
  Correlation<T> one{z.m,      z.k, weights.across, a.p, offset.p, s.oh, s.ow,    image.h.length,
                     y,        z.p, s.ow,           1,   0,        0,    nullptr, 0,
                     seeing.p, s.kw};
  Scratch<int64_t> seen(terms.by_rows ? 2 * s.oh : 0);
  if (terms.by_rows && finite) {
    one.columns = at_once ? s.kw * channels / at_once : 0;
    const int64_t step = z.k / s.kh / max(1, one.columns);
    for (int64_t i = 0; i < s.oh; ++i) {
      const Span rows(s.kh, s.dh, i * s.sh - s.ph, s.h);
      seen.p[2 * i] = rows.begin * step, seen.p[2 * i + 1] = rows.end * step;
    }
    one.seen = seen.p;
  }
  if (image.h.length == s.ow && !weights.across)
    one.cols = one.pitch = one.y_row = z.p, one.rows = 1;
  correlate_all(&one, 1, x, s.c * s.h * s.w, s.o * z.p, bias, image, s.n, s.c, s.groups);
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
  if (covers(s)) {
    for (int64_t q = 0; q < s.groups; ++q)
      product_fast<T>({s.n,
                       z.k,
                       z.m,
                       {dx + q * z.k, s.groups * z.k, 1},
                       {g + q * z.m, s.o, 1},
                       {w + q * z.m * z.k, z.k, 1},
                       {}},
                      num_threads());
    return;
  }
  if (by_products<T>(s, [&](int64_t n, int64_t q) {
        return Product<T>{z.k,
                          z.p,
                          z.m,
                          {dx + (n * s.c + q * z.k) * z.p, z.p, 1},
                          {w + q * z.m * z.k, 1, z.k},
                          {g + (n * s.o + q * z.m) * z.p, z.p, 1},
                          {}};
      }))
    return;
  if (s.sh * s.sw * s.dh * s.dw == 1) {
    const Winograd wino{s.n,
                        s.groups,
                        channels,
                        z.m,
                        {s.oh, s.h, s.kh, 1, s.kh - 1 - s.ph},
                        {s.ow, s.w, s.kw, 1, s.kw - 1 - s.pw}};
    if (wino.pays() &&
        winograd(dx, g, w, z.m * z.k, area, z.k, true, static_cast<const T*>(nullptr), wino))
      return;
  }
  const Range v(s.h, s.kh, s.sh, s.ph, s.dh), h(s.w, s.kw, s.sw, s.pw, s.dw);
  const Image image{{s.oh, v.length, 1, 1, 1, -v.low}, {s.ow, h.length, 1, 1, 1, -h.low}};
  if (!image.worth(s) || !all_finite(w, s.o * z.k))
    return by_matrix_input_vjp<T, product_simd<T>>(dx, g, w, s);
  const int64_t before = (s.kh - 1) * s.dh - s.ph, left = (s.kw - 1) * s.dw - s.pw;
  // A channel at a time g is spread out, with zeros between its pixels: to gather them is to put
  // each pixel of dx on its own.
  if (s.c == s.groups && s.o == s.groups && s.sh <= 2 && s.sw <= 2 && before >= 0 && left >= 0) {
    Scratch<T> turned(s.o * area);
    for (int64_t i = 0; i < s.o * area; ++i) turned.p[i] = w[i / area * area + area - 1 - i % area];
    const int64_t high = (s.oh - 1) * s.sh + 1, wide = (s.ow - 1) * s.sw + 1;
    const ConvSizes back{s.n, s.o, high, wide,   s.c,  s.kh, s.kw, s.h,
                         s.w, 1,   1,    before, left, s.dh, s.dw, s.groups};
    const Image spread{{high, s.h, s.kh, 1, s.dh, before}, {wide, s.w, s.kw, 1, s.dw, left}};
    return correlate_planes<T>(dx, g, turned.p, nullptr, back, spread, s.sh, s.sw);
  }

  const int64_t phases = min(s.sh, s.h) * min(s.sw, s.w), steps = min(s.sw, s.w);
  const bool across = across_channels<T>(channels, z.m * area / (s.sh * s.sw), ceil_div(s.w, s.sw));
  const Weights<T> weights{channels, z.m * area, across};
  const int64_t tiles = weights.count(), width = weights.width();
  Scratch<Correlation<T>> list(phases);
  Scratch<int64_t> offset(z.m * area), place(z.m * area), taps(area), shift(area),
      seen(across ? phases * 2 * s.h : 0), seeing(phases * 2 * s.kw);
  Scratch<T> a(s.groups * weights.size());
  int64_t terms = 0;  // of the phases so far: each tap belongs to one phase of each axis
  for (int64_t phase = 0; phase < phases; ++phase) {
    const int64_t down = phase / steps, right = phase % steps, first = terms;
    int64_t met = 0;
    for (int64_t t = 0; t < area; ++t)
      if ((down + s.ph - t / s.kw * s.dh) % s.sh == 0 &&
          (right + s.pw - t % s.kw * s.dw) % s.sw == 0)
        taps.p[met++] = t;
    const int64_t rows = ceil_div(s.h - down, s.sh), cols = ceil_div(s.w - right, s.sw);
    int64_t beside = 0;  // taps of a row
    int64_t inside = 0, *const sees = seeing.p + phase * 2 * s.kw;
    while (beside < met && taps.p[beside] / s.kw == taps.p[0] / s.kw) {
      const Span pixels(cols, 1, (right + s.pw - taps.p[beside] % s.kw * s.dw) / s.sw, s.ow);
      sees[2 * beside] = pixels.begin, sees[2 * beside + 1] = pixels.end;
      inside += pixels.length(), ++beside;
    }
    // The terms (output, tap); where vectors lie across, (row of taps, output, tap), or
    // (some outputs, column of taps, row, output).
    const int64_t at_once =
        across && met ? columns_pay(inside, beside * cols, z.m, met / beside) : 0;
    const int64_t columns = at_once ? z.m / at_once * beside : 0;
    const int64_t run = across ? beside : met, one = at_once ? 1 : run;
    const int64_t some = at_once ? at_once : z.m;
    for (int64_t l = 0; l < met; ++l) {
      const int64_t i = (down + s.ph - taps.p[l] / s.kw * s.dh) / s.sh - v.low;
      const int64_t j = (right + s.pw - taps.p[l] % s.kw * s.dw) / s.sw - h.low;
      shift.p[taps.p[l]] = i * image.h.length + j;
    }
    for (int64_t block = 0; block < z.m; block += some)
      for (int64_t col = 0; col < run; col += one)
        for (int64_t row = col; row < met; row += run)
          for (int64_t o = block; o < block + some; ++o)
            for (int64_t l = row; l < row + one; ++l) {
              place.p[terms] = o * channels * area + taps.p[l];  // of the weight
              offset.p[terms++] = o * image.plane() + shift.p[taps.p[l]];
            }
    const int64_t k = terms - first;
    T* packed = a.p + s.groups * tiles * first * width;
    list.p[phase] = {channels,
                     k,
                     across,
                     packed,
                     offset.p + first,
                     rows,
                     cols,
                     image.h.length,
                     dx + down * s.w + right,
                     s.h * s.w,
                     s.sh * s.w,
                     s.sw,
                     0,
                     0,
                     across ? seen.p + phase * 2 * s.h : nullptr,
                     columns,
                     sees,
                     beside};
    for (int64_t i = 0; i < (across ? list.p[phase].rows : 0); ++i) {
      int64_t* range = seen.p + (phase * s.h + i) * 2;
      range[0] = range[1] = 0;  // later rows of taps meet earlier rows of g
      for (int64_t l = 0; l < met; l += beside) {
        const int64_t row = i + (down + s.ph - taps.p[l] / s.kw * s.dh) / s.sh;
        if (row >= s.oh) range[0] += one * some;
        if (row >= 0) range[1] += one * some;
      }
    }
    for_ranges(s.groups * tiles, ceil_div(kChunkWork / 16, max(1, k) * width),
               [&](int64_t from, int64_t to) {
                 for (int64_t u = from; u < to; ++u) {
                   const int64_t q = u / tiles, c = weights.begin(u % tiles),
                                 end = weights.begin(u % tiles + 1);
                   T* out = packed + u * k * width;
                   for (int64_t r = first; r < first + k; ++r, out += width) {
                     const T* in = w + (q * z.m * channels + c) * area + place.p[r];
                     for (int64_t i = 0; i < end - c; ++i) out[i] = in[i * area];
                   }
                 }
               });
  }
  correlate_all(list.p, phases, g, s.o * z.p, s.c * s.h * s.w, static_cast<const T*>(nullptr),
                image, s.n, s.o, s.groups);
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
