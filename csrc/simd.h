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

// Whether a * b + c is one instruction that rounds once.
#if (defined(__FMA__) || defined(__aarch64__)) && defined(__OPTIMIZE__)
#define MT_FMA 1
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

template <class T>
inline bool any(Mask<T> m) {
#if defined(__AVX512F__)
  return _mm512_test_epi64_mask((__m512i)m, (__m512i)m) != 0;
#endif
  uint64_t word[kVectorBytes / 8], all = 0;
  std::memcpy(word, &m, sizeof m);
  for (uint64_t w : word) all |= w;
  return all != 0;
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
  static constexpr int log_terms = 4;
  // Minimax of (e^r - 1 - r) / r^2 for |r| <= (ln 2)/2, and of (sin r / r - 1) / r^2 in r^2 for
  // |r| <= pi/2; errors below 1/8 ulp.
  static constexpr float exp_p[] = {0x1.fffffcp-2f, 0x1.555492p-3f, 0x1.5558f2p-5f, 0x1.123a2p-7f,
                                    0x1.6a23dp-10f};
  static constexpr float sin_p[] = {-0x1.55554cp-3f, 0x1.110ed4p-7f, -0x1.9f6feep-13f,
                                    0x1.5dbceap-19f};
};
template <>
struct Format<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double round = 0x1.8p52;
  static constexpr double least = 0x1p-1022;
  static constexpr double low = -746, high = 710;
  static constexpr int log_terms = 10;
  static constexpr double exp_p[] = {0.5,
                                     0x1.555555555555bp-3,
                                     0x1.5555555555503p-5,
                                     0x1.111111110ec3fp-7,
                                     0x1.6c16c16c305dbp-10,
                                     0x1.a01a01b38a1a0p-13,
                                     0x1.a01a01364ec3ap-16,
                                     0x1.71ddf0027bf78p-19,
                                     0x1.27e5b491ba198p-22,
                                     0x1.af6c1dc159c73p-26,
                                     0x1.1e3d093d800dbp-29};
  static constexpr double sin_p[] = {
      -0x1.5555555555555p-3,  0x1.11111111110c1p-7,  -0x1.a01a01a0148a1p-13, 0x1.71de3a5287079p-19,
      -0x1.ae6454cafd318p-26, 0x1.6123cb11d167ep-33, -0x1.ae43176c3ddb7p-41, 0x1.8828f907769e7p-49};
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

// c[0] + c[1] x + ... by Horner's rule
template <class T, int n>
inline Vec<T> polynomial(const T (&c)[n], Vec<T> x) {
  Vec<T> p = splat<T>(c[n - 1]);
  for (int k = n - 2; k >= 0; --k) p = p * x + c[k];
  return p;
}

// a / (b + c) for b = 1 or 2 and 0 <= c <= b, or -1 <= c < 0 with b = 2: the quotient, and a Newton
// step by which the rounding of b + c is not lost. A division of the widest vectors takes as long
// as 30 products; it begins with an approximate reciprocal there.
template <class T>
inline Vec<T> ratio(Vec<T> a, T b, Vec<T> c) {
  const Vec<T> d = c + b;
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    Vec<T> r = (Vec<T>)_mm512_maskz_rcp14_ps(-1, (__m512)d);
    r = r + r * (1 - d * r);
    const Vec<T> q = a * r;
    return q + r * ((a - q * b) - q * c);
  }
#endif
  const Vec<T> q = a / d, inverse = T(1.457) - d * T(0.5);  // of the correction few bits matter
#if defined(MT_FMA)
  return q + inverse * ((a - q * b) - q * c);
#else
  return q - q * inverse * (c - (d - b));
#endif
}

// --- functions: within 2 ulp (2.5 without fused multiplication), right at NaN, infinities,
// denormals and where they overflow

// x = n ln 2 + r with |r| <= (ln 2)/2, and e^r - 1 = r + more.
template <class T>
struct Exponential {
  Vec<T> n;
  Mask<T> integer;  // n
  Vec<T> r, more, minus_one;

  explicit Exponential(Vec<T> x) {
    using F = Format<T>;
    const Vec<T> shifted = x * T(1.4426950408889634) + F::round;  // x / ln 2, rounded
    n = shifted - F::round;
    integer = bits<T>(shifted) - bits<T>(splat<T>(F::round));
    r = (x - n * F::ln2_high) - n * F::ln2_low;
    more = r * r * polynomial(F::exp_p, r);
    minus_one = more + r;
  }

  // v 2^n, for n of a little more than twice the normal range
  Vec<T> scale(Vec<T> v) const {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
      return (Vec<T>)_mm512_maskz_scalef_ps(-1, (__m512)v, (__m512)n);
    else
      return (Vec<T>)_mm512_maskz_scalef_pd(-1, (__m512d)v, (__m512d)n);
#else
    // In two factors: the first keeps the product normal, the second rounds it once.
    const Mask<T> half = integer >> 1;
    return v * power_of_two<T>(half) * power_of_two<T>(integer - half);
#endif
  }
};

template <class T>
inline Vec<T> at_least(Vec<T> x, T low) {
  return select<T>(x < low, splat<T>(low), x);
}
template <class T>
inline Vec<T> at_most(Vec<T> x, T high) {
  return select<T>(x > high, splat<T>(high), x);
}

template <class T>
inline Vec<T> exp(Vec<T> x) {
  using F = Format<T>;
  const Exponential<T> e(at_most<T>(at_least<T>(x, F::low), F::high));
  return e.scale(e.minus_one + 1);
}

// e^x for x <= 0 or NaN
template <class T>
inline Vec<T> exp_negative(Vec<T> x) {
  const Exponential<T> e(at_least<T>(x, Format<T>::low));
  return e.scale(e.minus_one + 1);
}

// 2^x, for which 2^x = 2^n e^(r ln 2) with the nearest integer n
template <class T>
inline Vec<T> exp2(Vec<T> x) {
  using F = Format<T>;
  x = at_most<T>(at_least<T>(x, T(-F::bias - F::mantissa - 2)), T(F::bias + 2));
  const Vec<T> n = (x + F::round) - F::round, y = (x - n) * T(0.69314718055994531);
  Exponential<T> e(y);  // whose own n may be +-1 at the ends
  e.n += n;
  e.integer += bits<T>(n + F::round) - bits<T>(splat<T>(F::round));
  return e.scale(e.minus_one + 1);
}

// e^x - 1 = (2^n - 1) + 2^n (r + more), accurate around 0: what the sum of the large terms rounds
// off goes to the small one. All are halved, for 2^n may itself overflow.
template <class T>
inline Vec<T> expm1_of(const Exponential<T>& e) {
  const Vec<T> s = power_of_two<T>(e.integer - 1);
  const Vec<T> large = s - T(0.5), sum = large + s * e.r;
  const Vec<T> lost = s * e.r - (sum - large);
  return (sum + (s * e.more + lost)) * 2;
}
template <class T>
inline Vec<T> expm1(Vec<T> x) {
  using F = Format<T>;
  return expm1_of(Exponential<T>(at_most<T>(at_least<T>(x, F::low / 2), F::high)));
}

#if defined(__AVX512F__)
// tanh |x| on a quarter of an octave each, from 1/8 up, and below it on one interval: centre, value
// there, and the coefficients of the polynomial in the distance from it, in the order of the last
// five bits of exponent and mantissa. At the centres tanh is all but a float. Within 1.1 ulp.
// clang-format off
alignas(64) constexpr float kTanh[7][32] = {
    {0x1.1fa3p1f, 0x1.6062p1f, 0x1.a07cbp1f, 0x1.e02f1p1f, 0x1.1fbfdp2f, 0x1.5fbd2p2f,
     0x1.9f841p2f, 0x1.e07dp2f, 0x1.13b034p3f, 0, 0, 0, 0, 0, 0, 0, 0x1.2010ep-3f,
     0x1.6006ap-3f, 0x1.9fe4fp-3f, 0x1.dfbc8p-3f, 0x1.2056cp-2f, 0x1.60645p-2f, 0x1.9fc46p-2f,
     0x1.e0713p-2f, 0x1.1f9f5p-1f, 0x1.5fb8ep-1f, 0x1.9f855p-1f, 0x1.dfa03p-1f, 0x1.1fd5ap0f,
     0x1.60545p0f, 0x1.9fd03p0f, 0x1.e04a3p0f},
    {0x1.f4afap-1f, 0x1.fbdb6p-1f, 0x1.fe7974p-1f, 0x1.ff6f82p-1f, 0x1.ffdf66p-1f, 0x1.fffb96p-1f,
     0x1.ffff66p-1f, 0x1.ffffecp-1f, 0x1.fffffep-1f, 0, 0, 0, 0, 0, 0, 0, 0x1.1e2e5cp-3f,
     0x1.5c9976p-3f, 0x1.9a4522p-3f, 0x1.d7267p-3f, 0x1.18f3d4p-2f, 0x1.531c18p-2f,
     0x1.8a551ap-2f, 0x1.c009f4p-2f, 0x1.04c0dap-1f, 0x1.312a08p-1f, 0x1.57458p-1f,
     0x1.77ac04p-1f, 0x1.9e3f74p-1f, 0x1.c29eb2p-1f, 0x1.d9b93ap-1f, 0x1.e885eep-1f},
    {0x1.660bfp-5f, 0x1.081566p-6f, 0x1.85f724p-8f, 0x1.20d344p-9f, 0x1.04c8fap-11f,
     0x1.1a803p-14f, 0x1.3400b6p-17f, 0x1.437c6ep-20f, 0x1.1a676ap-23f, 0, 0, 0, 0, 0, 0,
     0x1p0f, 0x1.f600a4p-1f, 0x1.f12a74p-1f, 0x1.eb73f4p-1f, 0x1.e4e70cp-1f, 0x1.d97538p-1f,
     0x1.c7d992p-1f, 0x1.b412bep-1f, 0x1.9dfba6p-1f, 0x1.7b33dap-1f, 0x1.4a1d6ap-1f,
     0x1.19da58p-1f, 0x1.d8b698p-2f, 0x1.61aeb4p-2f, 0x1.cd9b66p-3f, 0x1.26c404p-3f,
     0x1.6f047ap-4f},
    {-0x1.5e1ff6p-5f, -0x1.05ee78p-6f, -0x1.84c6cap-8f, -0x1.207c56p-9f, -0x1.0465e6p-11f,
     -0x1.1a2404p-14f, -0x1.339fc8p-17f, -0x1.7a47bap-20f, -0x1.1e854ep-22f, 0, 0, 0, 0, 0, 0,
     0x1.4ee596p-22f, -0x1.1897bp-3f, -0x1.527fd2p-3f, -0x1.89ce3p-3f, -0x1.be36fep-3f,
     -0x1.03cd8ap-2f, -0x1.2deb94p-2f, -0x1.4fdae8p-2f, -0x1.6a443ep-2f, -0x1.823e44p-2f,
     -0x1.89833ap-2f, -0x1.79f012p-2f, -0x1.5ad892p-2f, -0x1.1e2896p-2f, -0x1.96453ep-3f,
     -0x1.10baecp-3f, -0x1.5e3058p-4f},
    {0x1.be1d24p-6f, 0x1.57909ap-7f, 0x1.019e0ap-8f, 0x1.7fc97ep-10f, 0x1.5b215ap-12f,
     0x1.78477cp-15f, 0x1.9a6c52p-18f, 0x1.a83406p-21f, 0x1.46a09cp-24f, 0, 0, 0, 0, 0, 0,
     -0x1.555b2ep-2f, -0x1.3b8162p-2f, -0x1.2ef2ap-2f, -0x1.203e5cp-2f, -0x1.0fc9aap-2f,
     -0x1.e8f2a2p-3f, -0x1.97acfp-3f, -0x1.42c514p-3f, -0x1.d65246p-4f, -0x1.c0c30ep-5f,
     0x1.cdf7ap-7f, 0x1.05f446p-4f, 0x1.83b8dcp-4f, 0x1.c686f4p-4f, 0x1.97678ep-4f,
     0x1.342b3ap-4f, 0x1.a79664p-5f},
    {-0x1.97b1b4p-7f, -0x1.4f77fap-8f, -0x1.015216p-9f, -0x1.8277cap-11f, -0x1.6b69c4p-13f,
     -0x1.8a5acp-16f, -0x1.ae0068p-19f, 0x1.ae9dfp-22f, 0x1.63b808p-22f, 0, 0, 0, 0, 0, 0,
     0x1.efc46ep-12f, 0x1.64881ap-4f, 0x1.acc538p-4f, 0x1.ec4e18p-4f, 0x1.12e776p-3f,
     0x1.32b902p-3f, 0x1.50602cp-3f, 0x1.5c19f4p-3f, 0x1.583f4ap-3f, 0x1.3a39fcp-3f,
     0x1.e9fc1ap-4f, 0x1.486b4cp-4f, 0x1.649a66p-5f, 0x1.edaf7ep-9f, -0x1.5afa52p-6f,
     -0x1.9bd6eep-6f, -0x1.552d7cp-6f},
    {0x1.04ab7ep-8f, 0x1.f64a9ap-10f, 0x1.9466d8p-11f, 0x1.331ef6p-12f, 0x1.1faf6ep-14f,
     0x1.38afccp-17f, 0x1.52b5dp-20f, 0x1.1fcc7ap-22f, 0x1.61eff2p-24f, 0, 0, 0, 0, 0, 0,
     0x1.0a361cp-3f, 0x1.72cffep0f, 0x1.10b978p0f, 0x1.03ef52p-2f, -0x1.9bc3eap-2f,
     0x1.2c43p-3f, -0x1.aae7c8p-6f, 0x1.1d1986p-7f, 0x1.dca0f4p-5f, -0x1.62490ap-5f,
     -0x1.c96fb8p-5f, -0x1.01d49ep-4f, -0x1.bfdea4p-5f, -0x1.07ac6ap-5f, -0x1.3a0ce8p-7f,
     0x1.741c48p-10f, 0x1.2d433p-8f}};
// clang-format on

inline Vec<float> tanh_by_intervals(Vec<float> x) {
  const __m512 most = (__m512)splat(9.2f), least = (__m512)splat(0.12f);
  const __m512 y = _mm512_maskz_min_ps(-1, most, (__m512)abs<float>(x));  // NaN stays
  const __m512i interval =
      _mm512_maskz_srli_epi32(-1, _mm512_maskz_max_epi32(-1, (__m512i)y, (__m512i)least), 21);
  const auto at = [&](int k) {
    return (Vec<float>)_mm512_permutex2var_ps((__m512)load(kTanh[k]), interval,
                                              (__m512)load(kTanh[k] + 16));
  };
  const Vec<float> d = (Vec<float>)y - at(0);
  Vec<float> p = at(6);
  for (int k = 5; k >= 1; --k) p = p * d + at(k);
  return copysign<float>(p, x);
}
#endif

#if defined(__AVX512F__)
// tanh on 16 intervals, two for each power of 2 from 1/16 on (the first begins at 0): their
// middles, and the coefficients of a polynomial in the distance from there, one row for each power.
alignas(64) constexpr float tanh_pieces[8][16] = {
    {0, 0x1.cp-4f, 0x1.4p-3f, 0x1.cp-3f, 0x1.4p-2f, 0x1.cp-2f, 0x1.4p-1f, 0x1.cp-1f, 0x1.4p+0f,
     0x1.cp+0f, 0x1.4p+1f, 0x1.cp+1f, 0x1.4p+2f, 0x1.cp+2f, 0x1.4p+3f, 0},
    {0, 0x1.be38d8p-4f, 0x1.3d6bc8p-3f, 0x1.b8fd04p-3f, 0x1.35f98ap-2f, 0x1.a5729ep-2f,
     0x1.1bf47ep-1f, 0x1.68665p-1f, 0x1.b2523cp-1f, 0x1.e1fbfap-1f, 0x1.f92582p-1f, 0x1.ff112cp-1f,
     0x1.fff41ap-1f, 0x1.ffffc8p-1f, 0x1p+0f, 0},
    {0x1p+0f, 0x1.f9ec6cp-1f, 0x1.f3b36p-1f, 0x1.e842cap-1f, 0x1.d11574p-1f, 0x1.a945bap-1f,
     0x1.6284c2p-1f, 0x1.02500ap-1f, 0x1.1f2514p-2f, 0x1.d22ca2p-4f, 0x1.b3affcp-6f, 0x1.dd37dp-9f,
     0x1.7d5488p-13f, 0x1.be6c2ep-19f, 0x1.fa379p-27f, 0},
    {0, -0x1.b8ed1ep-4f, -0x1.35cbcp-3f, -0x1.a48aaep-3f, -0x1.19922p-2f, -0x1.5e0f0ap-2f,
     -0x1.8935d6p-2f, -0x1.6ba19cp-2f, -0x1.e7298cp-3f, -0x1.b6dc5p-4f, -0x1.add92ap-6f,
     -0x1.dc4bd4p-9f, -0x1.7d5bfap-13f, -0x1.b21beep-19f, -0x1.7c48a2p-26f, 0},
    {-0x1.555462p-2f, -0x1.45460cp-2f, -0x1.352042p-2f, -0x1.183afap-2f, -0x1.c1a4bp-3f,
     -0x1.16e21p-3f, -0x1.23d4d6p-6f, 0x1.4f1b7cp-4f, 0x1.bbac7ep-4f, 0x1.01bbb2p-4f,
     0x1.16d4eap-6f, 0x1.3c41f8p-9f, 0x1.f2bfdep-14f, 0x1.282fb2p-19f, -0x1.4d389p-25f, 0},
    {0, 0x1.20b7c6p-4f, 0x1.8e2d5cp-4f, 0x1.04dccep-3f, 0x1.43d312p-3f, 0x1.5c26d8p-3f,
     0x1.1393bp-3f, 0x1.d221b2p-5f, -0x1.9bac3ap-7f, -0x1.7f03f2p-6f, -0x1.07e0f2p-7f,
     -0x1.3ac31ap-10f, -0x1.f28f8p-15f, -0x1.62f66ep-20f, -0x1.a03916p-25f, 0},
    {0x1.0f5fccp-3f, 0x1.ec1b84p-4f, 0x1.b70902p-4f, 0x1.5bf1dcp-4f, 0x1.74c92p-5f, -0x1.86b6aep-8f,
     -0x1.ccd1dcp-5f, -0x1.e5ddc8p-5f, -0x1.41300cp-6f, 0x1.d30542p-9f, 0x1.7a0b8ap-9f,
     0x1.fe7436p-12f, 0x1.dccb8ap-16f, 0x1.08c4cap-21f, -0x1.680ffep-26f, 0},
    {0, -0x1.3f522ep-5f, -0x1.acce8p-5f, -0x1.0b591cp-4f, -0x1.288b5ap-4f, -0x1.f8eeap-5f,
     0x1.beb644p-4f, 0x1.649bdep-3f, 0x1.e94ac6p-7f, 0x1.5dbafap-11f, -0x1.6bf74ep-11f,
     -0x1.3b95p-13f, -0x1.3ca838p-17f, -0x1.09e412p-25f, -0x1.4fdb32p-28f, 0},
};

// A vector holds the 16 values of a coefficient, and one instruction picks each lane's. From 9.02
// on tanh is 1.
inline Vec<float> tanh_by_pieces(Vec<float> x) {
  constexpr __mmask16 all = -1;
  const __m512 a =
      _mm512_maskz_min_ps(all, (__m512)splat(9.02f), (__m512)abs<float>(x));  // NaN stays
  const __m512i first = (__m512i)(Mask<float>{} + (127 - 4) * 2);
  const __m512i interval =
      _mm512_maskz_subs_epu16(-1, (__m512i)(bits<float>((Vec<float>)a) >> 22), first);  // or 0
  const auto pick = [&](int row) {
    return (Vec<float>)_mm512_maskz_permutexvar_ps(all, interval, (__m512)load(tanh_pieces[row]));
  };
  const Vec<float> d = (Vec<float>)a - pick(0);
  Vec<float> y = pick(7);
  for (int row = 6; row >= 1; --row) y = y * d + pick(row);
  return copysign<float>(y, x);
}
#endif

// With t = e^(-2|x|) - 1
template <class T>
inline Vec<T> tanh(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return tanh_by_pieces(x);
#endif
  const Vec<T> t = expm1_of(Exponential<T>(at_least<T>(abs<T>(x) * -2, Format<T>::low / 2)));
  return copysign<T>(ratio<T>(t, 2, t), x);
}

// 1 / (1 + e^-x), as e^x / (1 + e^x) where x < 0, so that it is accurate down to the denormals.
template <class T>
inline Vec<T> sigmoid(Vec<T> x) {
  const Vec<T> e = exp_negative<T>(-abs<T>(x));
  return ratio<T>(select<T>(x < 0, e, splat<T>(1)), 1, e);
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
  const Vec<T> s = ratio<T>(f, 2, f), s2 = s * s;
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

// --- sine and cosine

// sin x with x = n pi + r, or cos x with x = (n + 1/2) pi + r: (-1)^n sin r or -(-1)^n sin r, for
// |r| <= pi/2 and |x| < 2^20. Of pi three parts, so that x - n pi is right to the last bits.
template <class T>
inline Vec<T> sine(Vec<T> x, bool cosine) {
  using F = Format<T>;
  const T half = cosine ? T(0.5) : T(0);
  const Vec<T> shifted = (x * T(0.31830988618379067) - half) + F::round;
  const Vec<T> n = (shifted - F::round) + half;
  constexpr double high = 0x1.921fb544p+1, middle = 0x1.0b4611a4p-33, low = 0x1.13198a2e03707p-64;
  Vec<T> r;
  if constexpr (sizeof(T) == 8) {
    r = ((x - n * high) - n * middle) - n * low;  // the first two products are exact
  } else {
#if defined(MT_FMA)
    r = ((x - n * 0x1.921fb4p+1f) - n * 0x1.4442dp-23f) -
        n * 0x1.84698ap-47f;  // all positive: -0 stays
#else                         // in double precision, half a vector at a time
    typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
    Half x_half[2], n_half[2];
    std::memcpy(x_half, &x, sizeof x);
    std::memcpy(n_half, &n, sizeof n);
    for (int k = 0; k < 2; ++k) {
      const Vec<double> wide = __builtin_convertvector(n_half[k], Vec<double>);
      const Vec<double> rest =
          (__builtin_convertvector(x_half[k], Vec<double>) - wide * high) - wide * (middle + low);
      x_half[k] = __builtin_convertvector(rest, Half);
    }
    std::memcpy(&r, x_half, sizeof r);
#endif
  }
  const Vec<T> r2 = r * r;
  const Vec<T> y = r + r * (r2 * polynomial(F::sin_p, r2));
  const Mask<T> odd = (bits<T>(shifted) + int(cosine)) << (8 * sizeof(T) - 1);
  return copysign<T>(y, from_bits<T>(bits<T>(r) ^ odd));  // and not y's own sign: 0 has r's
}

inline float scalar_sin(float x) { return __builtin_sinf(x); }
inline double scalar_sin(double x) { return __builtin_sin(x); }
inline float scalar_cos(float x) { return __builtin_cosf(x); }
inline double scalar_cos(double x) { return __builtin_cos(x); }

// Lanes that are large, infinite or NaN take the C library's: in memory and out of the way.
template <class T>
__attribute__((noinline, cold)) void far_sine(T* y, const T* x, bool cosine) {
  for (int i = 0; i < kLanes<T>; ++i)
    if (!(x[i] < (1 << 20) && x[i] > -(1 << 20)))
      y[i] = cosine ? scalar_cos(x[i]) : scalar_sin(x[i]);
}
template <class T>
inline Vec<T> sine_anywhere(Vec<T> x, bool cosine) {
  Vec<T> y = sine<T>(x, cosine);
  if (__builtin_expect(any<T>(~(abs<T>(x) < T(1 << 20))), 0)) {
    T from[kLanes<T>], to[kLanes<T>];
    store(from, x);
    store(to, y);
    far_sine(to, from, cosine);
    y = load(to);
  }
  return y;
}
template <class T>
inline Vec<T> sin(Vec<T> x) {
  return sine_anywhere<T>(x, false);
}
template <class T>
inline Vec<T> cos(Vec<T> x) {
  return sine_anywhere<T>(x, true);
}

// --- to whole numbers

// The nearest whole number, of two the even one; what is too large for a fraction, and NaN, as it
// is.
template <class T>
inline Vec<T> round(Vec<T> x) {
  const T large = T(int64_t{1} << Format<T>::mantissa);
  const Vec<T> y = copysign<T>((abs<T>(x) + large) - large, x);
  return select<T>(abs<T>(x) < large, y, x);
}
template <class T>
inline Vec<T> floor(Vec<T> x) {
  const Vec<T> y = round<T>(x);
  return select<T>(y > x, y - 1, y);
}
template <class T>
inline Vec<T> ceil(Vec<T> x) {
  return -floor<T>(-x);
}
template <class T>
inline Vec<T> trunc(Vec<T> x) {
  return copysign<T>(floor<T>(abs<T>(x)), x);
}

}  // namespace
}  // namespace mt::MT_ISA
