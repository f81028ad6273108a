// Sums, products and powers, element by element.
#include "elementwise.h"

namespace mt::MT_ISA {
namespace {

MT_BINARY(add, x + y)
MT_BINARY(sub, x - y)
MT_BINARY(mul, x* y)
MT_BINARY(div, x / y)
MT_UNARY(neg, -x)
MT_UNARY(square, x* x)
MT_UNARY(reciprocal, 1 / x)

inline float power(float x, float y) { return __builtin_powf(x, y); }
inline double power(double x, double y) { return __builtin_pow(x, y); }

MT_BINARY(pow, per_lane<T>([](T s, T t) { return power(s, t); }, x, y))

// out = x^y for one y; the powers that need no logarithm are products and roots.
template <class T>
void pow_scalar(T* out, const T* x0, T y, const Walk& walk) {
  const auto run = [&](auto f) { elementwise<T>(walk, f, out, x0); };
  if (y == 2)
    run([](Vec<T> x) { return x * x; });
  else if (y == 3)
    run([](Vec<T> x) { return x * x * x; });
  else if (y == 1)
    run([](Vec<T> x) { return x; });
  else if (y == T(0.5))
    run([](Vec<T> x) { return select<T>(x < 0, x * 0 / 0, sqrt<T>(x)); });
  else if (y == -1)
    run([](Vec<T> x) { return 1 / x; });
  else
    run([y](Vec<T> x) { return per_lane<T>([y](T s) { return power(s, y); }, x); });
}

}  // namespace

MT_KERNEL(add, add)
MT_KERNEL(sub, sub)
MT_KERNEL(mul, mul)
MT_KERNEL(div, div)
MT_KERNEL(neg, neg)
MT_KERNEL(square, square)
MT_KERNEL(reciprocal, reciprocal)
MT_KERNEL(pow, pow)
MT_KERNEL(pow_scalar, pow_scalar)

}  // namespace mt::MT_ISA
