// Convolution by the textbook's loops, and as a product with the matrix of windows (conv.cpp).
#pragma once

#include "../kernels.h"
#include "gemm.h"

namespace mt::MT_ISA {
namespace {

// --- the loops

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

// The j in 0..n-1 with 0 <= j * stride + shift < size are those in begin..end-1.
struct Span {
  int64_t begin, end;
  Span(int64_t n, int64_t stride, int64_t shift, int64_t size) {
    begin = min(n, shift < 0 ? ceil_div(-shift, stride) : 0);
    end = shift < size ? max(begin, min(n, ceil_div(size - shift, stride))) : begin;
  }
  int64_t length() const { return end - begin; }
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

// Whether the kernel is as large as the image: y has one pixel, and all are products of matrices.
bool covers(const ConvSizes& s) { return s.kh == s.h && s.kw == s.w && s.ph == 0 && s.pw == 0; }

// Whether every pixel of y sees one of x, the same: each image is a product of matrices.
bool one_to_one(const ConvSizes& s) {
  return s.kh * s.kw == 1 && s.sh == 1 && s.sw == 1 && s.ph == 0 && s.pw == 0;
}

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

}  // namespace
}  // namespace mt::MT_ISA
