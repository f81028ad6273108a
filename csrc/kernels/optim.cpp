// Optimizer steps: each parameter is one flat array of n elements, updated in place in one pass.
#include "../kernels.h"
#include "../runtime/parallel.h"
#include "../simd.h"
#include "ahead.h"
#include "place.h"

namespace mt::MT_ISA {
namespace {

constexpr int64_t kGrain = 1 << 14;  // elements that a thread takes at a time

// f(i, rest) for every vector of 0..n-1: `rest` is kLanes, and less for the last one. f holds what
// it needs by value: a store might change what it refers to, and each vector would read it again.
template <class T, class F>
inline void for_vectors(int64_t n, const F& function) {
  for_even_ranges(n, kGrain, [&](int64_t begin, int64_t end) {
    const F f = function;
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
  const bool first = s.first, nesterov = s.nesterov;
  for_vectors<T>(n, [=](int64_t i, int rest) {
    go_on(i, p, b);
    const Vec<T> x = take(p, i, rest);
    Vec<T> d = take(g, i, rest) * sign + x * decay;
    if (b != nullptr) {
      const Vec<T> v = first ? d : take(b, i, rest) * momentum + d * kept;
      put(b, i, rest, v);
      d = nesterov ? d + v * momentum : v;
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
  for_vectors<T>(n, [=](int64_t i, int rest) {
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

// In a step: what the k-th array of the state holds, and `keep`: what it holds from now on.
template <class T>
struct State {
  T* const* array;
  int64_t i;
  int rest;
  Vec<T> operator()(int k) const { return take(array[k], i, rest); }
  Vec<T> keep(int k, Vec<T> v) const {
    put(array[k], i, rest, v);
    return v;
  }
};

// p -= f(d, p, state), d = g + decay p
template <class T, class F>
inline void each_step(T* p, T* const* state, const T* g, int64_t n, T sign, T decay, const F& f) {
  for_vectors<T>(n, [=](int64_t i, int rest) {
    go_on(i, p, state[0]);
    const Vec<T> x = take(p, i, rest), d = take(g, i, rest) * sign + x * decay;
    put(p, i, rest, x - f(d, x, State<T>{state, i, rest}));
  });
}

// The steps of one formula each. number[0] is the rate, number[1] the weight decay (0 for Rprop);
// what follows, and the state's arrays, stand with each.
template <class T>
void method_step(T* p, T* const* state, const T* g, int64_t n, const MethodStep& s) {
  T c[8];
  for (int k = 0; k < 8; ++k) c[k] = static_cast<T>(s.number[k]);
  const T sign = s.maximize ? -1 : 1, lr = c[0];
  const auto rest = [&s](int k) { return static_cast<T>(1 - s.number[k]); };
  const auto run = [&](auto f) { each_step<T>(p, state, g, n, sign, c[1], f); };
  const auto mean = [](const State<T>& s, int k, T kept, T share, Vec<T> v) {
    return s.keep(k, s(k) * kept + v * share);
  };
  switch (s.method) {
    case kRmsprop: {  // v, b, a; alpha, eps, momentum, whether centered
      const T alpha = c[2], share = rest(2), eps = c[3], momentum = c[4];
      const bool centered = c[5] != 0;
      return run([=](Vec<T> d, Vec<T>, const State<T>& s) {
        Vec<T> v = mean(s, 0, alpha, share, d * d);
        if (centered) {
          const Vec<T> a = mean(s, 2, alpha, share, d);
          v = v - a * a;
        }
        const Vec<T> step = d / (sqrt<T>(v) + eps);
        return lr * (momentum > 0 ? s.keep(1, s(1) * momentum + step) : step);
      });
    }
    case kAdagrad: {  // sum; eps
      const T eps = c[2];
      return run([=](Vec<T> d, Vec<T>, const State<T>& s) {
        return lr * d / (sqrt<T>(s.keep(0, s(0) + d * d)) + eps);
      });
    }
    case kAdadelta: {  // v, u; rho, eps
      const T rho = c[2], share = rest(2), eps = c[3];
      return run([=](Vec<T> d, Vec<T>, const State<T>& s) {
        const Vec<T> v = mean(s, 0, rho, share, d * d), u = s(1);
        const Vec<T> step = sqrt<T>((u + eps) / (v + eps)) * d;
        s.keep(1, u * rho + step * step * share);
        return lr * step;
      });
    }
    case kAdamax: {  // m, u; beta1, beta2, eps
      const T beta1 = c[2], share = rest(2), beta2 = c[3], eps = c[4];
      return run([=](Vec<T> d, Vec<T>, const State<T>& s) {
        const Vec<T> m = mean(s, 0, beta1, share, d);
        return lr * m / s.keep(1, maximum<T>(s(1) * beta2, abs<T>(d) + eps));
      });
    }
    case kNadam:
    case kRadam: {  // m, v; beta1, beta2, eps, scale of the root or 0 for none, rate of d, shrink
      const T beta1 = c[2], share1 = rest(2), beta2 = c[3], share2 = rest(3), eps = c[4],
              scale = c[5], direct = c[6], shrink = c[7];
      return run([=](Vec<T> d, Vec<T> x, const State<T>& s) {
        const Vec<T> m = mean(s, 0, beta1, share1, d), v = mean(s, 1, beta2, share2, d * d);
        const Vec<T> root = scale > 0 ? sqrt<T>(v) * scale + eps : splat<T>(1);
        return x * shrink + (lr * m + direct * d) / root;
      });
    }
    case kRprop: {  // the last g, step; etas, step sizes
      const T less = c[2], more = c[3], low = c[4], high = c[5];
      return run([=](Vec<T> d, Vec<T>, const State<T>& s) {
        const Vec<T> agrees = d * s(0);
        const Vec<T> eta = select<T>(agrees > 0, splat<T>(more),
                                     select<T>(agrees < 0, splat<T>(less), splat<T>(1)));
        const Vec<T> step = s.keep(1, at_most<T>(at_least<T>(s(1) * eta, low), high));
        const Vec<T> now = s.keep(0, select<T>(agrees < 0, Vec<T>{}, d));
        return select<T>(now > 0, step, select<T>(now < 0, -step, now));
      });
    }
    case kAsgd: {  // ax; lambd rate, mu
      const T shrink = c[2], mu = c[3];
      return run([=](Vec<T> d, Vec<T> x, const State<T>& s) {
        const Vec<T> step = x * shrink + lr * d, now = x - step;
        const Vec<T> old = s(0);
        s.keep(0, mu == 1 ? now : old + (now - old) * mu);
        return step;
      });
    }
  }
}

}  // namespace

MT_KERNEL(method_step, method_step)
MT_KERNEL(sgd_step, sgd_step)
MT_KERNEL(adam_step, adam_step)

}  // namespace mt::MT_ISA
