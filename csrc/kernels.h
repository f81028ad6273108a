// THE kernel table: one row per kernel, its name and its prototype.
//
// A kernel knows pointers and sizes, nothing of Python. T is float or double; outputs come first,
// then inputs, then sizes. Every row exists for each ISA (kernels/*.cpp are compiled once per ISA)
// and each rung; `active<T>()` in runtime/dispatch.h is the table in force, and a call reads
// `active<T>().softmax(y, x, outer, n, inner)`.
//
// A kernel file ends with one line per row: MT_KERNEL(exp, exp) where all rungs are the same
// function, or MT_RUNGS(matmul, naive, blocked, simd, fast) with the template of each rung.
#pragma once

#include <cstdint>

namespace mt {

enum Rung : int { kNaive, kBlocked, kSimd, kFast, kRungs };

constexpr int kMaxDims = 64;  // NumPy's own limit

// How an elementwise kernel walks its operands: the common sizes (outermost first, adjacent axes
// merged where all operands allow it) and each operand's strides in elements; 0 where it is
// broadcast. Operand 0 is the output.
struct Walk {
  int ndim;       // at least 1
  int64_t count;  // elements of the output
  int64_t size[kMaxDims];
  int64_t stride[4][kMaxDims];
};

// What becomes of two numbers: of one to which another is scattered, of those along an axis.
enum Join : int { kSum, kReplaced, kLargest, kLeast, kProduct, kLogSum };

enum Comparison : int { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

struct SgdStep {
  double lr, momentum, dampening, weight_decay;
  bool first, nesterov, maximize;  // first: there is no momentum yet
};

struct AdamStep {
  double lr, beta1, beta2, eps;
  double correction1, correction2;  // 1 - beta^t
  double weight_decay;
  bool decoupled, maximize;
};

// The optimizers that differ in a formula (optim.cpp); what `number` holds stands there.
enum Method : int { kRmsprop, kAdagrad, kAdadelta, kAdamax, kNadam, kRadam, kRprop, kAsgd };
struct MethodStep {
  Method method;
  bool maximize;
  double number[8];
};

// What the elements of a cast's two sides are.
enum Element : int {
  kBool,
  kByte,
  kInt8,
  kInt16,
  kInt32,
  kInt64,
  kHalf,
  kBfloat16,
  kFloat,
  kDouble,
  kElements
};

// How much a difference d of two numbers counts: c (k |d| - h c) with c = |d|, but at least `low`
// and at most `high`. With (0, infinity, 2, 1) it is d^2, with (1, 1, 1, 0) |d|, and Huber's error
// with (0, delta, 1, 1/2).
struct Measure {
  double low, high, k, h;
};

// What `order` looks for: the first k in order; the first element that equals number k; the median.
enum Wanted : int { kTop, kNumber, kMiddle };
constexpr int64_t kMaskStretch = 1 << 12;  // of a mask, between two counts of what it has taken
constexpr int64_t kMostOrdered = 128;      // lines up to which `order` takes any k,
constexpr int64_t kMostTop = 64;           // and k up to which it takes any line, for kTop

#define MT_UNARY_ARGS (T * out, const T* x, const Walk& walk)
#define MT_BINARY_ARGS (T * out, const T* x, const T* y, const Walk& walk)
#define MT_REDUCE_ARGS (T * y, const T* x, int64_t outer, int64_t n, int64_t inner)

// Of a max pooling: the planes of input and output, and the window's size, step, padding and
// dilation.
struct Pool2d {
  int64_t h, w, oh, ow, kh, kw, sh, sw, ph, pw, dh, dw;
};

// Of an average pooling, along one axis: what one window covers, and what its sum is divided by.
struct Window {
  int64_t begin, end, count;
};

// Padding along one axis: the output's places are three runs, before x, of x and after it, each of
// `count` elements of x from number `from` on, `step` apart.
struct Runs {
  int64_t count[3], from[3], step[3];
};
struct Padding {
  int ndim;  // at least 2
  Runs axis[kMaxDims];
};

struct MatmulSizes {  // c (batch, m, n) = a (batch, m, k) b (batch, k, n); a is operand 1 of the
                      // walk, b operand 2
  int64_t m, n, k;
  int64_t a_row, a_col, b_row, b_col;  // strides in elements; of each pair one is 1
  Walk batch;
};

// y (n, o, oh, ow) of x (n, c, h, w) and w (o, c / groups, kh, kw): y's pixel (i, j) meets, under
// the kernel's (a, b), x's pixel (i * sh - ph + a * dh, j * sw - pw + b * dw), or a zero of the
// padding.
struct ConvSizes {
  int64_t n, c, h, w, o, kh, kw, oh, ow;
  int64_t sh, sw, ph, pw, dh, dw, groups;
};

// A recurrent layer's way through time. Its steps stand in the order in which they are taken: step
// s works on count[s] examples, whose rows are first[s], first[s] + 1, ...; the counts only grow or
// only shrink, and are batch at most.
struct Sequence {
  int64_t steps, batch, n;  // n: values of a state
  const int64_t *count, *first;
};

// Attention of l queries (e) to s keys (e) and values (v), for every element of a batch. Each
// operand has its own strides along the batch's axes and from row to row; its last axis is
// contiguous, the mask's too unless mask_col is 0. Where causal, query i sees the keys 0..i.
struct AttentionSizes {
  enum Operand { kY, kQ, kK, kV, kMask, kG, kDq, kDk, kDv, kOperands };
  int64_t l, s, e, v, mask_col;
  bool causal;
  double scale;
  int ndim;
  int64_t count, size[kMaxDims];
  int64_t row[kOperands], batch[kOperands][kMaxDims];
};

#define MT_KERNEL_TABLE(ROW)                                                                       \
  /* matmul.cpp; bias (n), or null */                                                              \
  ROW(matmul, (T * c, const T* a, const T* b, const T* bias, const MatmulSizes& s))                \
  /* conv.cpp; bias (o), or null; cols is (n, c, kh, kw, oh, ow) */                                \
  ROW(conv2d, (T * y, const T* x, const T* w, const T* bias, const ConvSizes& s))                  \
  ROW(conv2d_input_vjp, (T * dx, const T* g, const T* w, const ConvSizes& s))                      \
  ROW(conv2d_weight_vjp, (T * dw, const T* g, const T* x, const ConvSizes& s))                     \
  ROW(im2col, (T * cols, const T* x, const ConvSizes& s))                                          \
  ROW(col2im, (T * x, const T* cols, const ConvSizes& s))                                          \
  /* copy.cpp */                                                                                   \
  ROW(copy, MT_UNARY_ARGS)                                                                         \
  ROW(cat, (T * out, const T* const* x, const int64_t* width, int64_t count, int64_t outer))       \
  ROW(put, MT_UNARY_ARGS)                                                                          \
  ROW(triangle, (T * out, const T* x, int64_t count, int64_t rows, int64_t cols, int64_t diagonal, \
                 bool upper))                                                                      \
  ROW(cast, (void* out, Element to, const void* x, Element from, int64_t n))                       \
  /* pad.cpp; value may be null */                                                                 \
  ROW(pad, (T * out, const T* x, const T* value, const Padding& p))                                \
  ROW(pad_vjp, (T * dx, const T* g, const Padding& p, bool add))                                   \
  /* scatter.cpp: along the middle axis of x (outer, n, inner), by index (count) or, the last two, \
   * (outer, count, inner) */                                                                      \
  ROW(index_select, (T * y, const T* x, const int64_t* index, int64_t outer, int64_t n,            \
                     int64_t count, int64_t inner))                                                \
  ROW(index_add, (T * y, const T* x, const T* g, const int64_t* index, int64_t outer, int64_t n,   \
                  int64_t count, int64_t inner, int64_t skip, bool replace))                       \
  ROW(bags, (T * y, const T* x, const int64_t* index, const int64_t* start, int64_t count,         \
             int64_t inner, bool mean))                                                            \
  ROW(gather, (T * y, const T* x, const int64_t* index, int64_t outer, int64_t n, int64_t count,   \
               int64_t inner))                                                                     \
  ROW(scatter, (T * y, const T* x, const T* g, const int64_t* index, int64_t outer, int64_t n,     \
                int64_t count, int64_t inner, Join how))                                           \
  ROW(span, (int64_t least_and_most[2], const int64_t* index, int64_t count))                      \
  /* masks.cpp: of x (n), of which `before` counts what was taken, in stretches of the mask */     \
  ROW(mask_counts, (int64_t* before, const uint8_t* mask, int64_t n))                              \
  ROW(mask_take, (T * out, const T* x, const uint8_t* mask, const int64_t* before, int64_t n))     \
  ROW(mask_take_vjp, (T * dx, const T* g, const uint8_t* mask, const int64_t* before, int64_t n))  \
  ROW(mask_places, (int64_t* place, const uint8_t* mask, const int64_t* before,                    \
                    const int64_t* size, int axes, int64_t n))                                     \
  /* order.cpp: likewise, index (outer, k or 1, inner) */                                          \
  ROW(order, (int64_t* index, const T* x, int64_t outer, int64_t n, int64_t inner, int64_t k,      \
              Wanted wanted, bool largest))                                                        \
  /* resample.cpp: over the middle axis of x (outer, n, inner); taps start[i] to start[i+1] make   \
   * row i of y (outer, out, inner) */                                                             \
  ROW(resample, (T * y, const T* x, const int64_t* start, const int64_t* index,                    \
                 const double* weight, int64_t outer, int64_t n, int64_t out, int64_t inner))      \
  /* optim.cpp: in place, over n elements; b and largest may be null */                            \
  ROW(sgd_step, (T * p, T * b, const T* g, int64_t n, const SgdStep& s))                           \
  ROW(adam_step, (T * p, T * m, T * v, T * largest, const T* g, int64_t n, const AdamStep& s))     \
  ROW(method_step, (T * p, T* const* state, const T* g, int64_t n, const MethodStep& s))           \
  /* arithmetic.cpp: element by element with broadcasting */                                       \
  ROW(add, MT_BINARY_ARGS)                                                                         \
  ROW(sub, MT_BINARY_ARGS)                                                                         \
  ROW(mul, MT_BINARY_ARGS)                                                                         \
  ROW(div, MT_BINARY_ARGS)                                                                         \
  ROW(neg, MT_UNARY_ARGS)                                                                          \
  ROW(square, MT_UNARY_ARGS)                                                                       \
  ROW(reciprocal, MT_UNARY_ARGS)                                                                   \
  ROW(lerp, (T * out, const T* x, const T* y, const T* weight, const Walk& walk))                  \
  ROW(multiply_add,                                                                                \
      (T * out, const T* x, const T* y, const T* z, T value, bool divide, const Walk& walk))       \
  ROW(hypot, MT_BINARY_ARGS)                                                                       \
  ROW(fmod, MT_BINARY_ARGS)                                                                        \
  ROW(remainder, MT_BINARY_ARGS)                                                                   \
  /* functions.cpp: likewise; in f_vjp the inputs are g, and x or the output of f */               \
  ROW(abs, MT_UNARY_ARGS)                                                                          \
  ROW(sign, MT_UNARY_ARGS)                                                                         \
  ROW(exp, MT_UNARY_ARGS)                                                                          \
  ROW(log, MT_UNARY_ARGS)                                                                          \
  ROW(sqrt, MT_UNARY_ARGS)                                                                         \
  ROW(rsqrt, MT_UNARY_ARGS)                                                                        \
  ROW(sin, MT_UNARY_ARGS)                                                                          \
  ROW(expm1, MT_UNARY_ARGS)                                                                        \
  ROW(log1p, MT_UNARY_ARGS)                                                                        \
  ROW(exp2, MT_UNARY_ARGS)                                                                         \
  ROW(floor, MT_UNARY_ARGS)                                                                        \
  ROW(ceil, MT_UNARY_ARGS)                                                                         \
  ROW(trunc, MT_UNARY_ARGS)                                                                        \
  ROW(round, MT_UNARY_ARGS)                                                                        \
  ROW(frac, MT_UNARY_ARGS)                                                                         \
  ROW(log2, MT_UNARY_ARGS)                                                                         \
  ROW(log10, MT_UNARY_ARGS)                                                                        \
  ROW(tan, MT_UNARY_ARGS)                                                                          \
  ROW(atan, MT_UNARY_ARGS)                                                                         \
  ROW(asin, MT_UNARY_ARGS)                                                                         \
  ROW(acos, MT_UNARY_ARGS)                                                                         \
  ROW(sinh, MT_UNARY_ARGS)                                                                         \
  ROW(atanh, MT_UNARY_ARGS)                                                                        \
  ROW(lgamma, MT_UNARY_ARGS)                                                                       \
  ROW(digamma, MT_UNARY_ARGS)                                                                      \
  ROW(erfinv, MT_UNARY_ARGS)                                                                       \
  ROW(atan2, MT_BINARY_ARGS)                                                                       \
  ROW(sinc, (T * out, const T* x, bool slope, const Walk& walk))                                   \
  ROW(copysign, MT_BINARY_ARGS)                                                                    \
  ROW(nan_to_num, (T * out, const T* x, T nan, T high, T low, const Walk& walk))                   \
  ROW(cosh, MT_UNARY_ARGS)                                                                         \
  ROW(prelu, MT_BINARY_ARGS)                                                                       \
  ROW(shrink, (T * out, const T* x, T reach, bool soft, const Walk& walk))                         \
  ROW(shrink_vjp, (T * dx, const T* g, const T* x, T reach, const Walk& walk))                     \
  ROW(error, (T * out, const T* x, const T* y, const Measure& m, const Walk& walk))                \
  ROW(error_vjp, (T * dx, const T* g, const T* x, const T* y, const Measure& m, const Walk& walk)) \
  ROW(log_sigmoid, MT_UNARY_ARGS)                                                                  \
  ROW(softsign, MT_UNARY_ARGS)                                                                     \
  ROW(threshold, (T * out, const T* x, T least, T value, const Walk& walk))                        \
  ROW(compare, (uint8_t* out, const T* x, const T* y, int how, const Walk& walk))                  \
  ROW(cos, MT_UNARY_ARGS)                                                                          \
  ROW(erf, MT_UNARY_ARGS)                                                                          \
  ROW(erfc, MT_UNARY_ARGS)                                                                         \
  ROW(pow, MT_BINARY_ARGS)                                                                         \
  ROW(pow_scalar, (T * out, const T* x, T y, const Walk& walk))                                    \
  ROW(tanh, MT_UNARY_ARGS)                                                                         \
  ROW(tanh_vjp, MT_BINARY_ARGS)                                                                    \
  ROW(sigmoid, MT_UNARY_ARGS)                                                                      \
  ROW(sigmoid_vjp, MT_BINARY_ARGS)                                                                 \
  ROW(relu, MT_UNARY_ARGS)                                                                         \
  ROW(relu_vjp, MT_BINARY_ARGS)                                                                    \
  ROW(silu, MT_UNARY_ARGS)                                                                         \
  ROW(silu_vjp, MT_BINARY_ARGS)                                                                    \
  ROW(gelu, MT_UNARY_ARGS)                                                                         \
  ROW(gelu_vjp, MT_BINARY_ARGS)                                                                    \
  ROW(gelu_tanh, MT_UNARY_ARGS)                                                                    \
  ROW(gelu_tanh_vjp, MT_BINARY_ARGS)                                                               \
  ROW(leaky_relu, (T * out, const T* x, T slope, const Walk& walk))                                \
  ROW(leaky_relu_vjp, (T * dx, const T* g, const T* x, T slope, const Walk& walk))                 \
  ROW(softplus, (T * out, const T* x, T beta, T threshold, const Walk& walk))                      \
  ROW(softplus_vjp, (T * dx, const T* g, const T* x, T beta, T threshold, const Walk& walk))       \
  ROW(elu, (T * out, const T* x, T positive, T negative, T rate, const Walk& walk))                \
  ROW(elu_vjp, (T * dx, const T* g, const T* x, T positive, T negative, T rate, const Walk& walk)) \
  ROW(mish, MT_UNARY_ARGS)                                                                         \
  ROW(mish_vjp, MT_BINARY_ARGS)                                                                    \
  ROW(hardtanh_vjp, (T * dx, const T* g, const T* x, T low, T high, const Walk& walk))             \
  ROW(hardsigmoid, MT_UNARY_ARGS)                                                                  \
  ROW(hardsigmoid_vjp, MT_BINARY_ARGS)                                                             \
  ROW(hardswish, MT_UNARY_ARGS)                                                                    \
  ROW(hardswish_vjp, MT_BINARY_ARGS)                                                               \
  ROW(clamp, (T * out, const T* x, T low, T high, const Walk& walk))                               \
  ROW(clamp_vjp, (T * dx, const T* g, const T* x, T low, T high, const Walk& walk))                \
  ROW(maximum, MT_BINARY_ARGS)                                                                     \
  ROW(minimum, MT_BINARY_ARGS)                                                                     \
  ROW(maximum_vjp, (T * dx, const T* g, const T* x, const T* y, const Walk& walk))                 \
  ROW(where, (T * out, const T* x, const T* y, const uint8_t* condition, const Walk& walk))        \
  /* reduce.cpp: over the middle axis of (outer, n, inner); over rows; over n elements */          \
  ROW(row_dots, (T * y, const T* a, const T* b, int64_t rows, int64_t n))                          \
  ROW(total_error, (T * total, const T* x, const T* y, const Measure& m, int64_t n))               \
  ROW(sum, MT_REDUCE_ARGS)                                                                         \
  ROW(amax, MT_REDUCE_ARGS)                                                                        \
  ROW(amin, MT_REDUCE_ARGS)                                                                        \
  ROW(prod, MT_REDUCE_ARGS)                                                                        \
  ROW(sum_squares, MT_REDUCE_ARGS)                                                                 \
  ROW(extreme,                                                                                     \
      (T * y, int64_t* index, const T* x, int64_t outer, int64_t n, int64_t inner, bool least))    \
  ROW(first_equal,                                                                                 \
      (int64_t* index, const T* x, const T* value, int64_t outer, int64_t n, int64_t inner))       \
  ROW(reduce_integers,                                                                             \
      (void* y, const void* x, Element type, Join how, int64_t outer, int64_t n, int64_t inner))   \
  /* moments.cpp, scan.cpp: likewise */                                                            \
  ROW(cum_extreme,                                                                                 \
      (int64_t* index, const T* x, int64_t outer, int64_t n, int64_t inner, bool least))           \
  ROW(var, (T * y, const T* x, int64_t outer, int64_t n, int64_t inner, T freedom))                \
  ROW(scan, (T * y, const T* x, int64_t outer, int64_t n, int64_t inner, Join how, bool reverse))  \
  ROW(linear_scan,                                                                                 \
      (T * s, const T* a, const T* b, int64_t outer, int64_t n, int64_t inner, bool reverse))      \
  /* softmax.cpp: x is (outer, n, inner), the axis is the middle */                                \
  ROW(softmax, (T * y, const T* x, int64_t outer, int64_t n, int64_t inner))                       \
  ROW(softmax_vjp, (T * dx, const T* g, const T* y, int64_t outer, int64_t n, int64_t inner))      \
  ROW(logsumexp, MT_REDUCE_ARGS)                                                                   \
  ROW(log_softmax, (T * y, const T* x, int64_t outer, int64_t n, int64_t inner))                   \
  ROW(log_softmax_vjp, (T * dx, const T* g, const T* y, int64_t outer, int64_t n, int64_t inner))  \
  /* loss.cpp: likewise; target, rows and lse are (outer, inner) */                                \
  ROW(cross_entropy,                                                                               \
      (T * rows, T * lse, T * total, T * loss, const T* x, const int64_t* target, const T* weight, \
       T smoothing, int64_t ignored, bool mean, int64_t outer, int64_t n, int64_t inner))          \
  ROW(cross_entropy_vjp, (T * dx, const T* g, const T* x, const T* lse, const T* total,            \
                          const int64_t* target, const T* weight, T smoothing, int64_t ignored,    \
                          bool shared, int64_t outer, int64_t n, int64_t inner))                   \
  ROW(nll, (T * rows, T * total, T * loss, const T* x, const int64_t* target, const T* weight,     \
            int64_t ignored, bool mean, int64_t outer, int64_t n, int64_t inner))                  \
  ROW(nll_vjp, (T * dx, const T* g, const T* total, const int64_t* target, const T* weight,        \
                int64_t ignored, bool shared, int64_t outer, int64_t n, int64_t inner))            \
  /* pool.cpp: planes of x are (h, w), of y (oh, ow); idx is a flat place in the plane */          \
  ROW(max_pool2d, (T * y, int32_t* idx, const T* x, int64_t planes, const Pool2d& p))              \
  ROW(max_pool2d_vjp,                                                                              \
      (T * dx, const T* g, const int32_t* idx, int64_t planes, int64_t size, int64_t outputs))     \
  ROW(max_pool2d_gather,                                                                           \
      (T * y, const T* x, const int32_t* idx, int64_t planes, int64_t size, int64_t outputs))      \
  ROW(avg_pool2d, (T * y, const T* x, int64_t planes, int64_t h, int64_t w, int64_t oh,            \
                   int64_t ow, const Window* rows, const Window* cols))                            \
  ROW(avg_pool2d_vjp, (T * dx, const T* g, int64_t planes, int64_t h, int64_t w, int64_t oh,       \
                       int64_t ow, const Window* rows, const Window* cols))                        \
  /* norm.cpp: layer norm over rows of n; batch norm over the channels of (outer, channels, inner) \
   */                                                                                              \
  ROW(layer_norm, (T * y, T * mean, T * rstd, const T* x, const T* weight, const T* bias, T eps,   \
                   int64_t rows, int64_t n))                                                       \
  ROW(layer_norm_vjp, (T * dx, T * dw, T * db, const T* g, const T* x, const T* weight,            \
                       const T* mean, const T* rstd, int64_t rows, int64_t n))                     \
  ROW(batch_norm, (T * y, T * mean, T * var, T * rstd, const T* x, const T* weight, const T* bias, \
                   T eps, int64_t outer, int64_t channels, int64_t inner))                         \
  ROW(batch_norm_vjp,                                                                              \
      (T * dx, T * dw, T * db, const T* g, const T* x, const T* weight, const T* mean,             \
       const T* rstd, int64_t outer, int64_t channels, int64_t inner))                             \
  ROW(batch_norm_fixed, (T * y, const T* x, const T* mean, const T* var, const T* weight,          \
                         const T* bias, T eps, int64_t outer, int64_t channels, int64_t inner))    \
  ROW(group_norm, (T * y, T * mean, T * rstd, const T* x, const T* weight, const T* bias, T eps,   \
                   int64_t examples, int64_t groups, int64_t channels, int64_t inner))             \
  ROW(group_norm_vjp,                                                                              \
      (T * dx, T * dw, T * db, const T* g, const T* x, const T* weight, const T* mean,             \
       const T* rstd, int64_t examples, int64_t groups, int64_t channels, int64_t inner))          \
  /* rnn.cpp: states (rows, n); x, y are 4 (LSTM) or 3 (GRU) gates of n values in a row */         \
  ROW(lstm_cell, (T * h, T * cn, const T* x, const T* c, int64_t rows, int64_t n))                 \
  ROW(lstm_cell_dx, (T * dx, const T* dh, const T* dc, const T* x, const T* c, const T* cn,        \
                     int64_t rows, int64_t n))                                                     \
  ROW(lstm_cell_dc,                                                                                \
      (T * dold, const T* dh, const T* dc, const T* x, const T* cn, int64_t rows, int64_t n))      \
  ROW(gru_cell, (T * out, const T* x, const T* y, const T* h, int64_t rows, int64_t n))            \
  ROW(gru_cell_dx, (T * dx, const T* g, const T* x, const T* y, const T* h, bool hidden,           \
                    int64_t rows, int64_t n))                                                      \
  /* attention.cpp; the mask, to be added, or null; lse is (batch, l) */                           \
  ROW(attention, (T * y, T * lse, const T* q, const T* k, const T* v, const T* mask,               \
                  const AttentionSizes& s))                                                        \
  ROW(attention_vjp, (T * dq, T * dk, T * dv, const T* g, const T* q, const T* k, const T* v,      \
                      const T* mask, const T* y, const T* lse, const AttentionSizes& s))           \
  /* recurrent.cpp: y, cells are (rows, n), x and gates (rows, 4 n), 3 n for x of a GRU, n of an   \
   * RNN; h, c and their gradients are (batch, n), w is (gates n, n) */                            \
  ROW(lstm_layer, (T * y, T * hn, T * cn, T * gates, T * cells, const T* x, const T* h,            \
                   const T* c, const T* w, const Sequence& s))                                     \
  ROW(lstm_layer_vjp, (T * dx, T * dh, T * dc, const T* gy, const T* gh, const T* gc, const T* c,  \
                       const T* w, const T* gates, const T* cells, const Sequence& s))             \
  ROW(gru_layer, (T * y, T * hn, T * gates, const T* x, const T* h, const T* w, const T* b,        \
                  const Sequence& s))                                                              \
  ROW(gru_layer_vjp, (T * dx, T * dp, T * dh, const T* gy, const T* gh, const T* h, const T* w,    \
                      const T* y, const T* gates, const Sequence& s))                              \
  ROW(rnn_layer,                                                                                   \
      (T * y, T * hn, const T* x, const T* h, const T* w, bool relu, const Sequence& s))           \
  ROW(rnn_layer_vjp, (T * dx, T * dh, const T* gy, const T* gh, const T* w, const T* y, bool relu, \
                      const Sequence& s))                                                          \
  /* random.cpp; a state is 624 words and the place of the next */                                 \
  ROW(seed_words, (uint32_t* state, uint32_t seed))                                                \
  ROW(random_words, (uint32_t* out, uint32_t* state, int64_t n))                                   \
  ROW(random_uniform, (T * out, uint32_t* state, T low, T span, T high, int64_t n))                \
  ROW(random_bernoulli, (T * out, uint32_t* state, uint64_t limit, T one, int64_t n))              \
  ROW(random_order, (int64_t* order, uint32_t* state, int64_t n))                                  \
  ROW(random_below, (int64_t* out, uint32_t* state, uint32_t span, int64_t low, int64_t n))        \
  ROW(random_normal, (T * out, uint32_t* state, T mean, T std, int64_t n))

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

// A file compiled for floats alone has nothing in the place of its kernels of doubles.
#ifdef MT_FLOATS
#define MT_DOUBLES(naive, blocked, simd, fast)
#else
#define MT_DOUBLES(naive, blocked, simd, fast) \
  naive<double>, blocked<double>, simd<double>, fast<double>
#endif
#define MT_RUNGS(name, naive, blocked, simd, fast)                                         \
  name##_fn<float>* const name##_f32[kRungs] = {naive<float>, blocked<float>, simd<float>, \
                                                fast<float>};                              \
  name##_fn<double>* const name##_f64[kRungs] = {MT_DOUBLES(naive, blocked, simd, fast)};
#define MT_KERNEL(name, function) MT_RUNGS(name, function, function, function, function)
#endif
