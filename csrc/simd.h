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
#elif defined(__AVX2__)
  return !_mm256_testz_si256((__m256i)m, (__m256i)m);
#endif
  uint64_t word[kVectorBytes / 8], all = 0;
  std::memcpy(word, &m, sizeof m);
  for (uint64_t w : word) all |= w;
  return all != 0;
}

// Whether a lane is less than `low`: for the way around what is rare and slow.
template <class T>
inline bool any_below(Vec<T> x, T low) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return _mm512_cmp_ps_mask((__m512)x, (__m512)splat(low), _CMP_LT_OQ) != 0;
  else
    return _mm512_cmp_pd_mask((__m512d)x, (__m512d)splat(low), _CMP_LT_OQ) != 0;
#endif
  return any<T>(x < low);
}

// m, but a where that is NaN.
template <class T>
inline Vec<T> unless_nan(Vec<T> m, Vec<T> a) {
#if defined(__AVX512F__)  // in one instruction, by four bits for each kind of number
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_fixupimm_ps(-1, (__m512)m, (__m512)a,
                                            _mm512_maskz_set1_epi32(-1, 0x22), 0);
  else
    return (Vec<T>)_mm512_maskz_fixupimm_pd(-1, (__m512d)m, (__m512d)a,
                                            _mm512_maskz_set1_epi64(-1, 0x22), 0);
#endif
  return a != a ? a : m;
}

// a if a > b or a is NaN: NaN wins, as in NumPy's and PyTorch's maximum, whichever side it is on.
template <class T>
inline Vec<T> maximum(Vec<T> a, Vec<T> b) {
  return unless_nan<T>(a > b ? a : b, a);
}
template <class T>
inline Vec<T> minimum(Vec<T> a, Vec<T> b) {
  return unless_nan<T>(a < b ? a : b, a);
}

// x, but at least low, or at most high; NaN stays. The instruction gives its second number where
// one is NaN.
template <class T>
inline Vec<T> at_least(Vec<T> x, T low) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_max_ps(-1, (__m512)splat(low), (__m512)x);
  else
    return (Vec<T>)_mm512_maskz_max_pd(-1, (__m512d)splat(low), (__m512d)x);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_max_ps((__m256)splat(low), (__m256)x);
  else
    return (Vec<T>)_mm256_max_pd((__m256d)splat(low), (__m256d)x);
#endif
  return select<T>(x < low, splat<T>(low), x);
}
template <class T>
inline Vec<T> at_most(Vec<T> x, T high) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_min_ps(-1, (__m512)splat(high), (__m512)x);
  else
    return (Vec<T>)_mm512_maskz_min_pd(-1, (__m512d)splat(high), (__m512d)x);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_min_ps((__m256)splat(high), (__m256)x);
  else
    return (Vec<T>)_mm256_min_pd((__m256d)splat(high), (__m256d)x);
#endif
  return select<T>(x > high, splat<T>(high), x);
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
  return fold<T, kLanes<T>>(v, [](auto a, auto b) { return ((a > b) | (a != a)) ? a : b; });
}
template <class T>
inline T min(Vec<T> v) {
  return -max<T>(-v);
}

#if defined(__AVX512F__)
// Of a table of as many numbers as a vector has lanes, or of twice as many, the one for each lane:
// the last bits of `at` say which.
template <class T, int n>
inline Vec<T> pick(const T (&table)[n], Mask<T> at) {
  static_assert(n == kLanes<T> || n == 2 * kLanes<T>);
  const Vec<T> first = load(table), second = load(table + n - kLanes<T>);
  if constexpr (sizeof(T) == 8)
    return (Vec<T>)_mm512_permutex2var_pd((__m512d)first, (__m512i)at, (__m512d)second);
  else if constexpr (n == kLanes<T>)
    return (Vec<T>)_mm512_maskz_permutexvar_ps(-1, (__m512i)at, (__m512)first);
  else
    return (Vec<T>)_mm512_permutex2var_ps((__m512)first, (__m512i)at, (__m512)second);
}
#endif

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

// Exact. The instruction takes four times as long as an approximation, a step of Goldschmidt's for
// it (two in double precision) and a last one for the rounding, which they need no luck for between
// the denormals and infinity.
template <class T>
inline Vec<T> sqrt(Vec<T> x) {
#if defined(__AVX512F__)
  constexpr T low = sizeof(T) == 4 ? T(0x1p-100) : T(0x1p-900);
  const auto root = [](Vec<T> x) {
    if constexpr (sizeof(T) == 4)
      return (Vec<T>)_mm512_maskz_sqrt_ps(-1, (__m512)x);
    else
      return (Vec<T>)_mm512_maskz_sqrt_pd(-1, (__m512d)x);
  };
  if (__builtin_expect(any<T>(~((x >= low) & (x < T(__builtin_inf())))), 0)) return root(x);
  Vec<T> r;
  if constexpr (sizeof(T) == 4)
    r = (Vec<T>)_mm512_maskz_rsqrt14_ps(-1, (__m512)x);
  else
    r = (Vec<T>)_mm512_maskz_rsqrt14_pd(-1, (__m512d)x);
  Vec<T> y = x * r, half = r * T(0.5);
  for (int step = 0; step < (sizeof(T) == 4 ? 1 : 2); ++step) {
    const Vec<T> e = T(0.5) - y * half;
    y += y * e;
    half += half * e;
  }
  return y + half * (x - y * y);
#endif
  return per_lane<T>([](T s) { return scalar_sqrt(s); }, x);
}

// 1 / sqrt x; a root and a division take five times as long as an approximation and two steps.
template <class T>
inline Vec<T> rsqrt(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    const Vec<T> r = (Vec<T>)_mm512_maskz_rsqrt14_ps(-1, (__m512)x), xr = x * r;
    const Vec<T> e = 1 - xr * r, y = r + r * (e * (T(0.5) + e * T(0.375)));
    return select<T>(e == e, y, r);  // 0, infinity, NaN
  }
#endif
  return 1 / sqrt<T>(x);
}

// --- the bits of a floating number
template <class T>
struct Format;
template <>
struct Format<float> {
  static constexpr int mantissa = 23, bias = 127;
  static constexpr float ln2_high = 0x1.63p-1f,
                         ln2_low = -0x1.bd0106p-13f;  // ln 2; n * ln2_high is exact
  static constexpr float round = 0x1.8p23f;  // adding this leaves an integer in the last bits
  static constexpr float least = 0x1p-126f;  // the least number that is not a denormal
  static constexpr float below_half = 0x1.fffffep-2f;
  static constexpr float low = -104, high = 89;  // exp is 0 below and infinite above
  static constexpr int log_terms = 4;
  // (e^r - 1 - r) / r^2 for |r| <= (ln 2)/2, or of a sixteenth of that
#if defined(__AVX512F__)
  static constexpr float exp_p[] = {0.5f, 0x1.55572p-3f, 0x1.55569p-5f};
#else
  static constexpr float exp_p[] = {0.5f,           0x1.555556p-3f,  0x1.5554e4p-5f,
                                    0x1.110feep-7f, 0x1.6d515ap-10f, 0x1.a273fep-13f};
#endif
};
template <>
struct Format<double> {
  static constexpr int mantissa = 52, bias = 1023;
  static constexpr double ln2_high = 0x1.62e42feep-1, ln2_low = 0x1.a39ef35793c76p-33;
  static constexpr double round = 0x1.8p52;
  static constexpr double least = 0x1p-1022;
  static constexpr double below_half = 0x1.fffffffffffffp-2;
  static constexpr double low = -746, high = 710;
  static constexpr int log_terms = 10;
#if defined(__AVX512F__)
  static constexpr double exp_p[] = {0x1.0000000000004p-1,  0x1.5555555555558p-3,
                                     0x1.5555555484d99p-5,  0x1.111111109f4edp-7,
                                     0x1.6c183dc66e6e1p-10, 0x1.a01b70f1a824p-13};
#else
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
#endif
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
inline Vec<T> minus_abs(Vec<T> x) {
  return from_bits<T>(bits<T>(x) | bits<T>(splat<T>(T(-0.0))));
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

// --- to whole numbers

// The nearest whole number (of two the even one), or the next one below, above or towards 0; what
// is too large for a fraction, and NaN, as it is.
enum Rounding : int { kNearest, kDown, kUp, kToZero };  // as the instructions number them

template <class T, int how>
inline Vec<T> rounded(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_roundscale_ps(-1, (__m512)x, how);
  else
    return (Vec<T>)_mm512_maskz_roundscale_pd(-1, (__m512d)x, how);
#elif defined(__AVX2__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm256_round_ps((__m256)x, how | _MM_FROUND_NO_EXC);
  else
    return (Vec<T>)_mm256_round_pd((__m256d)x, how | _MM_FROUND_NO_EXC);
#else
  if constexpr (how == kUp) return -rounded<T, kDown>(-x);
  if constexpr (how == kToZero) return copysign<T>(rounded<T, kDown>(abs<T>(x)), x);
  const T large = T(int64_t{1} << Format<T>::mantissa);
  const Vec<T> near = copysign<T>((abs<T>(x) + large) - large, x);
  const Vec<T> y = select<T>(abs<T>(x) < large, near, x);
  return how == kDown ? select<T>(y > x, y - 1, y) : y;
#endif
}
template <class T>
inline Vec<T> round(Vec<T> x) {
  return rounded<T, kNearest>(x);
}
template <class T>
inline Vec<T> floor(Vec<T> x) {
  return rounded<T, kDown>(x);
}
template <class T>
inline Vec<T> ceil(Vec<T> x) {
  return rounded<T, kUp>(x);
}
template <class T>
inline Vec<T> trunc(Vec<T> x) {
  return rounded<T, kToZero>(x);
}

}  // namespace
}  // namespace mt::MT_ISA
