// How much a difference counts (Measure, kernels.h), and its slope.
#pragma once
#include "../simd.h"

namespace mt::MT_ISA {
namespace {

template <class T>
struct ErrorOf {
  T low, high, k, h;
  explicit ErrorOf(const Measure& m)
      : low(static_cast<T>(m.low)),
        high(static_cast<T>(m.high)),
        k(static_cast<T>(m.k)),
        h(static_cast<T>(m.h)) {
    constexpr T most = sizeof(T) == 4 ? T(__FLT_MAX__) : T(__DBL_MAX__);
    if (high > most) high = most;  // infinity less infinity is NaN
  }
  Vec<T> between(Vec<T> a) const { return at_least<T>(at_most<T>(a, high), low); }

  // c (k |d| - h c)
  Vec<T> of(Vec<T> d) const {
    const Vec<T> a = abs<T>(d), c = between(a);
    return c * (k * a - h * c);
  }
  // k c with the sign of d; |d| has none at 0 and, like sign, at NaN
  Vec<T> slope(Vec<T> d) const {
    const Vec<T> a = abs<T>(d), none = low > 0 ? Vec<T>{} : d;
    return k * select<T>(a > 0, copysign<T>(between(a), d), none);
  }
};

}  // namespace
}  // namespace mt::MT_ISA
