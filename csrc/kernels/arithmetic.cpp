// Sums, products and their inverses, element by element.
#include "elementwise.h"

namespace mt::MT_ISA {
namespace {

MT_BINARY_HOLDING(add, true, x + y)
MT_BINARY_HOLDING(sub, true, x - y)
MT_BINARY_HOLDING(mul, true, x* y)
MT_BINARY(div, x / y)
MT_UNARY(neg, -x)
MT_UNARY(square, x* x)
MT_UNARY(reciprocal, 1 / x)

// out = x + w (y - x), from the nearer end
template <class T>
void lerp(T* out, const T* x0, const T* y0, const T* w0, const Walk& walk) {
  const auto f = [](Vec<T> x, Vec<T> y, Vec<T> w) {
    const Vec<T> d = y - x;
    return select<T>(abs<T>(w) < T(0.5), x + w * d, y - d * (1 - w));
  };
  elementwise<T>(walk, f, out, x0, y0, w0);
}

// out = x + value y z, or x + value y / z
template <class T>
void multiply_add(T* out, const T* x0, const T* y0, const T* z0, T value, bool divide,
                  const Walk& walk) {
  const auto f = [value, divide](Vec<T> x, Vec<T> y, Vec<T> z) {
    const Vec<T> v = y * value;
    return divide ? x + v / z : x + v * z;
  };
  elementwise<T>(walk, f, out, x0, y0, z0);
}

// f of x and y in double precision, half a vector at a time.
template <class T, class F>
inline Vec<T> in_double(const F& f, Vec<T> x, Vec<T> y) {
  if constexpr (sizeof(T) == 8) {
    return f(x, y);
  } else {
    typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
    Half a[2], b[2];
    std::memcpy(a, &x, sizeof x);
    std::memcpy(b, &y, sizeof y);
    for (int k = 0; k < 2; ++k) {
      const Vec<double> wide =
          f(__builtin_convertvector(a[k], Vec<double>), __builtin_convertvector(b[k], Vec<double>));
      a[k] = __builtin_convertvector(wide, Half);
    }
    std::memcpy(&x, a, sizeof x);
    return x;
  }
}

// x - y trunc(x / y): of floats exact in double precision where the quotient has at most 29 bits.
template <class T>
__attribute__((noinline)) Vec<T> fmod_of(Vec<T> x, Vec<T> y) {
  const auto library = [](double s, double t) { return __builtin_fmod(s, t); };
  const auto f = [library](Vec<double> s, Vec<double> t) {
    const Vec<double> q = abs<double>(s / t);
    if (sizeof(T) == 8 || any<double>(~(q < 0x1p29) | (abs<double>(t) == __builtin_inf())))
      return per_lane<double>(library, s, t);
    const Vec<double> b = abs<double>(t), r = abs<double>(s) - trunc<double>(q) * b;
    // Where the quotient was rounded up to a whole number, the rest is negative.
    return copysign<double>(select<double>(r < 0, r + b, r), s);
  };
  return in_double<T>(f, x, y);
}

// sqrt(x^2 + y^2), of floats without overflow in double precision
template <class T>
inline Vec<T> hypot_of(Vec<T> x, Vec<T> y) {
  const auto f = [](Vec<double> s, Vec<double> t) {
    if (sizeof(T) == 8)
      return per_lane<double>([](double a, double b) { return __builtin_hypot(a, b); }, s, t);
    const double infinity = __builtin_inf();
    const Vec<double> y = sqrt<double>(s * s + t * t);
    return select<double>((abs<double>(s) == infinity) | (abs<double>(t) == infinity),
                          splat(infinity), y);
  };
  return in_double<T>(f, x, y);
}

// The rest with y's sign.
template <class T>
inline Vec<T> remainder_of(Vec<T> x, Vec<T> y) {
  const Vec<T> r = fmod_of<T>(x, y);
  return select<T>((r != 0) & ((r < 0) ^ (y < 0)), r + y, r);
}

MT_BINARY(fmod, fmod_of<T>(x, y))
MT_BINARY(remainder, remainder_of<T>(x, y))
MT_BINARY(hypot, hypot_of<T>(x, y))

}  // namespace

MT_KERNEL(lerp, lerp)
MT_KERNEL(multiply_add, multiply_add)
MT_KERNEL(fmod, fmod)
MT_KERNEL(remainder, remainder)
MT_KERNEL(hypot, hypot)
MT_KERNEL(add, add)
MT_KERNEL(sub, sub)
MT_KERNEL(mul, mul)
MT_KERNEL(div, div)
MT_KERNEL(neg, neg)
MT_KERNEL(square, square)
MT_KERNEL(reciprocal, reciprocal)

}  // namespace mt::MT_ISA
