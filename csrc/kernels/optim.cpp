// Optimizer steps: each parameter is one flat array of n elements, updated in place in one pass.
#include "../kernels.h"
#include "../runtime/parallel.h"
#include "../simd.h"
#include "ahead.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements that a thread takes at a time

// f(i, rest) for every vector of 0..n-1: `rest` is kLanes, and less for the last one.
template <class T, class F>
inline void for_vectors(int64_t n, const F& f) {
  for_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    for (; i + kLanes<T> <= end; i += kLanes<T>) f(i, kLanes<T>);
    if (i < end) f(i, static_cast<int>(end - i));
  });
}

// Asks for what comes next of the arrays that a step changes; any may be null.
template <class T, class... More>
inline void go_on(int64_t i, const T* p, const More*... more) {
  if (p != nullptr) will_write(p + i, kLanes<T>);
  if constexpr (sizeof...(More) > 0) go_on(i, more...);
}

template <class T>
inline Vec<T> take(const T* p, int64_t i, int n) {
  return n == kLanes<T> ? load(p + i) : load_n(p + i, n);
}
template <class T>
inline void put(T* p, int64_t i, int n, Vec<T> v) {
  n == kLanes<T> ? store(p + i, v) : store_n(p + i, v, n);
}

// d = g + decay p,  b = momentum b + (1 - dampening) d (b = d at first),  p -= lr (nesterov ? d +
// momentum b : b) b may be null: then p -= lr d
template <class T>
void sgd_step(T* p, T* b, const T* g, int64_t n, const SgdStep& s) {
  const T lr = s.lr, momentum = s.momentum, kept = 1 - s.dampening, decay = s.weight_decay,
          sign = s.maximize ? -1 : 1;
  for_vectors<T>(n, [&](int64_t i, int rest) {
    go_on(i, p, b);
    const Vec<T> x = take(p, i, rest);
    Vec<T> d = take(g, i, rest) * sign + x * decay;
    if (b != nullptr) {
      const Vec<T> v = s.first ? d : take(b, i, rest) * momentum + d * kept;
      put(b, i, rest, v);
      d = s.nesterov ? d + v * momentum : v;
    }
    put(p, i, rest, x - d * lr);
  });
}

// d = g + decay p, or if decoupled p -= lr decay p;  m = beta1 m + (1 - beta1) d,  v = beta2 v + (1
// - beta2) d^2 p -= lr / (1 - beta1^t) m / (sqrt(v / (1 - beta2^t)) + eps);  with `largest`, of the
// largest v so far
template <class T>
void adam_step(T* p, T* m, T* v, T* largest, const T* g, int64_t n, const AdamStep& s) {
  const T beta1 = s.beta1, beta2 = s.beta2, rest1 = 1 - s.beta1, rest2 = 1 - s.beta2, eps = s.eps;
  const T sign = s.maximize ? -1 : 1, decay = s.decoupled ? 0 : s.weight_decay;
  const T shrink = s.decoupled ? 1 - s.lr * s.weight_decay : 1;
  const T step = s.lr / s.correction1, scale = 1 / __builtin_sqrt(s.correction2);
  for_vectors<T>(n, [&](int64_t i, int rest) {
    go_on(i, p, m, v, largest);
    const Vec<T> x = take(p, i, rest), d = take(g, i, rest) * sign + x * decay;
    const Vec<T> mean = take(m, i, rest) * beta1 + d * rest1;
    Vec<T> square = take(v, i, rest) * beta2 + d * d * rest2;
    put(m, i, rest, mean);
    put(v, i, rest, square);
    if (largest != nullptr) {
      square = maximum<T>(take(largest, i, rest), square);
      put(largest, i, rest, square);
    }
    put(p, i, rest, x * shrink - mean * step / (sqrt<T>(square) * scale + eps));
  });
}

}  // namespace

MT_KERNEL(sgd_step, sgd_step)
MT_KERNEL(adam_step, adam_step)

}  // namespace mt::MT_ISA
