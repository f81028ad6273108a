// THE kernel table: one row per kernel, its name and its prototype.
//
// A kernel knows pointers and sizes, nothing of Python. T is float or double; outputs come first, then inputs, then
// sizes. Every row exists for each ISA (kernels/*.cpp are compiled once per ISA) and each rung; `active<T>()` in
// runtime/dispatch.h is the table in force, and a call reads `active<T>().softmax(y, x, outer, n, inner)`.
//
// A kernel file ends with one line per row: MT_KERNEL(exp, exp) where all rungs are the same function, or
// MT_RUNGS(matmul, naive, blocked, simd, fast) with the template of each rung.
#pragma once

#include <cstdint>

namespace mt {

enum Rung : int { kNaive, kBlocked, kSimd, kFast, kRungs };

constexpr int kMaxDims = 64;  // NumPy's own limit

// How an elementwise kernel walks its operands: the common sizes (outermost first, adjacent axes merged where all
// operands allow it) and each operand's strides in elements; 0 where it is broadcast. Operand 0 is the output.
struct Walk {
  int ndim;
  int64_t count;  // elements of the output
  int64_t size[kMaxDims];
  int64_t stride[4][kMaxDims];
};

// Of a max pooling: the planes of input and output, and the window's size, step, padding and dilation.
struct Pool2d {
  int64_t h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw;
};

// Of an average pooling, along one axis: what one window covers, and what its sum is divided by.
struct Window {
  int64_t begin, end, count;
};

#define MT_KERNEL_TABLE(ROW)                                        \
  /* softmax.cpp: x is (outer, n, inner), the axis is the middle */ \
  ROW(softmax, (T * y, const T* x, int64_t outer, int64_t n, int64_t inner))     \
  /* pool.cpp: planes of x are (h, w), of y (oh, ow); idx is a flat place in the plane */ \
  ROW(max_pool2d, (T * y, int32_t* idx, const T* x, int64_t planes, const Pool2d& p)) \
  ROW(max_pool2d_vjp, (T * dx, const T* g, const int32_t* idx, int64_t planes, int64_t size, int64_t outputs)) \
  ROW(max_pool2d_gather, (T * y, const T* x, const int32_t* idx, int64_t planes, int64_t size, int64_t outputs)) \
  ROW(avg_pool2d, (T * y, const T* x, int64_t planes, int64_t h, int64_t w, int64_t oh, int64_t ow, const Window* rows, const Window* cols)) \
  ROW(avg_pool2d_vjp, (T * dx, const T* g, int64_t planes, int64_t h, int64_t w, int64_t oh, int64_t ow, const Window* rows, const Window* cols))

#define MT_ROW(name, args) \
  template <class T>       \
  using name##_fn = void args;
MT_KERNEL_TABLE(MT_ROW)
#undef MT_ROW

template <class T>
struct Kernels {
#define MT_ROW(name, args) name##_fn<T>* name;
  MT_KERNEL_TABLE(MT_ROW)
#undef MT_ROW
};

}  // namespace mt

// Inside a kernel file, compiled with MT_ISA=avx512 and so on: each row's functions, by rung.
#ifdef MT_ISA
namespace mt::MT_ISA {
#define MT_ROW(name, args)                           \
  extern name##_fn<float>* const name##_f32[kRungs]; \
  extern name##_fn<double>* const name##_f64[kRungs];
MT_KERNEL_TABLE(MT_ROW)
#undef MT_ROW
}  // namespace mt::MT_ISA

#define MT_RUNGS(name, naive, blocked, simd, fast)                                                      \
  name##_fn<float>* const name##_f32[kRungs] = {naive<float>, blocked<float>, simd<float>, fast<float>}; \
  name##_fn<double>* const name##_f64[kRungs] = {naive<double>, blocked<double>, simd<double>, fast<double>};
#define MT_KERNEL(name, function) MT_RUNGS(name, function, function, function, function)
#endif
