// The widest vectors of the ISA being compiled, as GCC and Clang spell them: arithmetic on a
// `Vec<T>` is written like arithmetic on a T. Tails go through load_n/store_n, so that a row's last
// elements take the very same path as the rest.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace mt::MT_ISA {
namespace {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <class T>
struct VecOf;
template <>
struct VecOf<float> {
  typedef float type __attribute__((vector_size(kVectorBytes)));
  typedef int32_t mask __attribute__((vector_size(kVectorBytes)));
};
template <>
struct VecOf<double> {
  typedef double type __attribute__((vector_size(kVectorBytes)));
  typedef int64_t mask __attribute__((vector_size(kVectorBytes)));
};

template <class T>
using Vec = typename VecOf<T>::type;  // kLanes<T> values
template <class T>
using Mask =
    typename VecOf<T>::mask;  // what a comparison of two Vec<T> gives: all bits or none, per lane
template <class T>
constexpr int kLanes = kVectorBytes / sizeof(T);

template <class T>
inline Vec<T> splat(T s) {
  return s - Vec<T>{};  // exact, and folds to one broadcast
}

template <class T>
inline Vec<T> load(const T* p) {
  Vec<T> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
template <class T>
inline void store(T* p, Vec<T> v) {
  std::memcpy(p, &v, sizeof v);
}

template <class T>
inline Vec<T> select(Mask<T> m, Vec<T> a, Vec<T> b) {
  return m ? a : b;
}

// All bits in the first n lanes.
template <class T>
inline Mask<T> first_lanes(int n) {
  Mask<T> lane;
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = i;
  return lane < (n - Mask<T>{});
}

// The first n lanes, 0 <= n <= kLanes; the others read as `fill` and are not touched in memory.
template <class T>
inline Vec<T> load_n(const T* p, int n, T fill = 0) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_mask_loadu_ps((__m512)splat<T>(fill), (1u << n) - 1, p);
  else
    return (Vec<T>)_mm512_mask_loadu_pd((__m512d)splat<T>(fill), (1u << n) - 1, p);
#elif defined(__AVX2__)
  const Mask<T> first = first_lanes<T>(n);
  if constexpr (sizeof(T) == 4)
    return select<T>(first, (Vec<T>)_mm256_maskload_ps(p, (__m256i)first), splat<T>(fill));
  else
    return select<T>(first, (Vec<T>)_mm256_maskload_pd(p, (__m256i)first), splat<T>(fill));
#else
  T lane[kLanes<T>];
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = i < n ? p[i] : fill;
  return load(lane);
#endif
}
template <class T>
inline void store_n(T* p, Vec<T> v, int n) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    _mm512_mask_storeu_ps(p, (1u << n) - 1, (__m512)v);
  else
    _mm512_mask_storeu_pd(p, (1u << n) - 1, (__m512d)v);
#elif defined(__AVX2__)
  const Mask<T> first = first_lanes<T>(n);
  if constexpr (sizeof(T) == 4)
    _mm256_maskstore_ps(p, (__m256i)first, (__m256)v);
  else
    _mm256_maskstore_pd(p, (__m256i)first, (__m256d)v);
#else
  T lane[kLanes<T>];
  store(lane, v);
  for (int i = 0; i < kLanes<T>; ++i)
    if (i < n) p[i] = lane[i];
#endif
}

// a if a > b or a is NaN: NaN wins, as in NumPy's and PyTorch's maximum, whichever side it is on.
template <class T>
inline Vec<T> maximum(Vec<T> a, Vec<T> b) {
  return (a > b) | (a != a) ? a : b;
}
template <class T>
inline Vec<T> minimum(Vec<T> a, Vec<T> b) {
  return (a < b) | (a != a) ? a : b;
}

// --- across the lanes: one half onto the other, so that the order is a binary tree
// -----------------
template <class T, int n, class V, class F>
inline T fold(V v, F join) {
  if constexpr (n == 2) {
    return join(v[0], v[1]);
  } else {
    typedef T Half __attribute__((vector_size(n / 2 * sizeof(T))));
    Half half[2];
    std::memcpy(half, &v, sizeof v);
    return fold<T, n / 2>(join(half[0], half[1]), join);
  }
}
template <class T>
inline T sum(Vec<T> v) {
  return fold<T, kLanes<T>>(v, [](auto a, auto b) { return a + b; });
}
template <class T>
inline T max(Vec<T> v) {
  return fold<T, kLanes<T>>(v, [](auto a, auto b) { return (a > b) | (a != a) ? a : b; });
}
template <class T>
inline T min(Vec<T> v) {
  return -max<T>(-v);
}

// f of every lane: for what has no vector form here.
template <class T, class F>
inline Vec<T> per_lane(F f, Vec<T> x) {
  T lane[kLanes<T>];
  store(lane, x);
  for (T& s : lane) s = f(s);
  return load(lane);
}
template <class T, class F>
inline Vec<T> per_lane(F f, Vec<T> x, Vec<T> y) {
  T lane[kLanes<T>], other[kLanes<T>];
  store(lane, x);
  store(other, y);
  for (int i = 0; i < kLanes<T>; ++i) lane[i] = f(lane[i], other[i]);
  return load(lane);
}

// The C library's functions of one number, for the textbook's loops. <cmath>'s float overloads are
// weak symbols: a copy compiled for AVX-512 could be linked into the generic kernels.
inline float scalar_exp(float x) { return __builtin_expf(x); }
inline double scalar_exp(double x) { return __builtin_exp(x); }
inline float scalar_log(float x) { return __builtin_logf(x); }
inline double scalar_log(double x) { return __builtin_log(x); }
inline float scalar_sqrt(float x) { return __builtin_sqrtf(x); }
inline double scalar_sqrt(double x) { return __builtin_sqrt(x); }

template <class T>
inline Vec<T> sqrt(Vec<T> x) {
  return per_lane<T>([](T s) { return scalar_sqrt(s); }, x);
}

// --- the bits of a floating number
// ------------------------------------------------------------------------------------
template <class T>
struct Format;
template <>
struct Format<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float ln2_high = 0x1.63p-1f,
                         ln2_low = -0x1.bd0106p-13f;  // ln 2; n * ln2_high is exact
  static constexpr float round = 0x1.8p23f;      // adding this leaves an integer in the last bits
  static constexpr float least = 0x1p-126f;      // the least number that is not a denormal
  static constexpr float low = -104, high = 89;  // exp is 0 below and infinite above
  static constexpr int exp_terms = 7, log_terms = 4;
};
template <>
struct Format<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double round = 0x1.8p52;
  static constexpr double least = 0x1p-1022;
  static constexpr double low = -746, high = 710;
  static constexpr int exp_terms = 13, log_terms = 10;
};

template <class T>
inline Mask<T> bits(Vec<T> v) {
  return (Mask<T>)v;
}
template <class T>
inline Vec<T> from_bits(Mask<T> m) {
  return (Vec<T>)m;
}

template <class T>
inline Vec<T> abs(Vec<T> x) {
  return from_bits<T>(bits<T>(x) & ~bits<T>(splat<T>(T(-0.0))));
}
template <class T>
inline Vec<T> copysign(Vec<T> x, Vec<T> sign) {
  const Mask<T> top = bits<T>(splat<T>(T(-0.0)));
  return from_bits<T>((bits<T>(x) & ~top) | (bits<T>(sign) & top));
}

// 2^n for integers n of the normal range.
template <class T>
inline Vec<T> power_of_two(Mask<T> n) {
  return from_bits<T>((n + Format<T>::bias) << Format<T>::mantissa);
}

// --- functions: within 2.5 ulp, right at NaN, infinities, denormals and where they overflow
// -----------------------------

// x = n ln 2 + r with |r| <= (ln 2)/2, and e^r - 1 by its Taylor series.
template <class T>
struct Exponential {
  Mask<T> n;
  Vec<T> minus_one;  // e^r - 1
};

template <class T>
inline Exponential<T> exponential(Vec<T> x) {
  using F = Format<T>;
  static constexpr T inverse_factorial[] = {1,
                                            1,
                                            T(1.0 / 2),
                                            T(1.0 / 6),
                                            T(1.0 / 24),
                                            T(1.0 / 120),
                                            T(1.0 / 720),
                                            T(1.0 / 5040),
                                            T(1.0 / 40320),
                                            T(1.0 / 362880),
                                            T(1.0 / 3628800),
                                            T(1.0 / 39916800),
                                            T(1.0 / 479001600),
                                            T(1.0 / 6227020800)};
  const Vec<T> shifted = x * T(1.4426950408889634) + F::round;  // x / ln 2, rounded to an integer
  const Vec<T> n = shifted - F::round;
  const Vec<T> r = (x - n * F::ln2_high) - n * F::ln2_low;
  Vec<T> p = splat<T>(inverse_factorial[F::exp_terms]);
  for (int k = F::exp_terms - 1; k >= 2; --k) p = p * r + inverse_factorial[k];
  return {bits<T>(shifted) - bits<T>(splat<T>(F::round)), r * r * p + r};
}

template <class T>
inline Vec<T> exp(Vec<T> x) {
  using F = Format<T>;
  x = select<T>(x < F::low, splat<T>(F::low), x);
  x = select<T>(x > F::high, splat<T>(F::high), x);
  const Exponential<T> e = exponential<T>(x);
  // 2^n in two factors: the first keeps the product normal, the second rounds it once.
  const Mask<T> half = e.n >> 1;
  return (e.minus_one + 1) * power_of_two<T>(half) * power_of_two<T>(e.n - half);
}

// e^x - 1, accurate around 0.
template <class T>
inline Vec<T> expm1(Vec<T> x) {
  using F = Format<T>;
  x = select<T>(x < F::low / 2, splat<T>(F::low / 2), x);
  x = select<T>(x > F::high, splat<T>(F::high), x);
  const Exponential<T> e = exponential<T>(x);
  const Vec<T> s = power_of_two<T>(e.n - 1);  // half of 2^n, which may itself overflow
  return (s * e.minus_one + (s - T(0.5))) * 2;
}

template <class T>
inline Vec<T> tanh(Vec<T> x) {
  const Vec<T> t = expm1<T>(abs<T>(x) * -2);
  return copysign<T>(-t / (t + 2), x);
}

// 1 / (1 + e^-x), as e^x / (1 + e^x) where x < 0, so that it is accurate down to the denormals.
template <class T>
inline Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp<T>(-abs<T>(x));
  return select<T>(x < 0, e, splat<T>(1)) / (e + 1);
}

// x = 2^n m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh s, s = (m - 1)/(m + 1), by its series.
template <class T>
inline Vec<T> log(Vec<T> x) {
  using F = Format<T>;
  const Mask<T> tiny = x < F::least;
  // Of |x|: a sign bit would overflow the subtraction below, though log x is NaN there.
  const Vec<T> y = abs<T>(select<T>(tiny, x * power_of_two<T>(Mask<T>{} + F::mantissa), x));
  const Mask<T> root = bits<T>(splat<T>(T(0.70710678118654752)));
  const Mask<T> n = (bits<T>(y) - root) >> F::mantissa;
  const Vec<T> f = from_bits<T>(bits<T>(y) - (n << F::mantissa)) - 1;
  const Vec<T> s = f / (f + 2), s2 = s * s;
  Vec<T> p = splat<T>(T(2) / (2 * F::log_terms + 1));
  for (int k = F::log_terms - 1; k >= 1; --k) p = p * s2 + T(2) / (2 * k + 1);
  // ln m = f - s (f - R), R = s^2 p; with f - s f = f - f^2/2 + s f^2/2 the large part f is exact.
  const Vec<T> half = f * f * T(0.5);
  const Vec<T> k = from_bits<T>(n - (tiny & F::mantissa) + bits<T>(splat<T>(F::round))) - F::round;
  Vec<T> out = k * F::ln2_high - ((half - (s * (half + s2 * p) + k * F::ln2_low)) - f);
  out = select<T>(x < __builtin_inf(), out, x);  // infinity, NaN
  out = select<T>(x == 0, splat<T>(T(-__builtin_inf())), out);
  return select<T>(x < 0, splat<T>(T(__builtin_nan(""))), out);
}

// ln(1 + x), accurate around 0: ln u with u = 1 + x rounded, and the derivative times what the
// rounding lost.
template <class T>
inline Vec<T> log1p(Vec<T> x) {
  const Vec<T> u = x + 1;
  const Vec<T> lost = x - (u - 1);
  return log<T>(u) + select<T>((u > 0) & (u < T(__builtin_inf())), lost / u, Vec<T>{});
}

template <class T>
inline Vec<T> erf(Vec<T> x) {
  if constexpr (sizeof(T) == 8) {
    return per_lane<T>([](T s) { return __builtin_erf(s); }, x);
  } else {
    // Polynomials fitted at Chebyshev points: of erf(x)/x - 1 in x^2 up to 1, of ln(1 - erf x) in x
    // from there to 4, where erf is 1 to the last bit. Their errors are below 2e-9.
    const Vec<T> a = select<T>(abs<T>(x) > 4, splat<T>(4), abs<T>(x)), a2 = a * a;
    Vec<T> p = a2 * 7.853847300605484e-05f - 8.010189368768578e-04f;
    p = p * a2 + 5.188327201183707e-03f;
    p = p * a2 - 2.68538116802601e-02f;
    p = p * a2 + 1.1283585142518748e-01f;
    p = p * a2 - 3.761262582369652e-01f;
    p = p * a2 + 1.283791657266333e-01f;
    Vec<T> q = a * 1.8638256486196e-04f - 2.94769039693158e-03f;
    q = q * a + 2.1838188542022113e-02f;
    q = q * a - 1.0310700699983726e-01f;
    q = q * a - 6.381445506652156e-01f;
    q = q * a - 1.127089355173709e+00f;
    q = q * a - 3.414835238821515e-04f;
    return copysign<T>(select<T>(a < 1, p * a + a, 1 - exp<T>(q)), x);
  }
}

}  // namespace
}  // namespace mt::MT_ISA
