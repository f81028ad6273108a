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
  static constexpr double below_half = 0x1.fffffffffffffp-2;
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

// 1 / d, all but rounded, for d from 2^-100 to 2^100
inline Vec<double> inverse_of(Vec<double> d) {
#if defined(__AVX512F__)
  Vec<double> r = (Vec<double>)_mm512_maskz_rcp14_pd(-1, (__m512d)d);
  for (int step = 0; step < 2; ++step) r += r * (1 - d * r);
  return r;
#else
  return 1 / d;
#endif
}

// a / (b + c) for b = 1 or 2 and 0 <= c <= b, or -1 <= c < 0 with b = 2: the quotient, and a Newton
// step by which the rounding of b + c is not lost. A division of the widest vectors takes as long
// as 30 products; it begins with an approximate reciprocal there.
template <class T>
inline Vec<T> ratio(Vec<T> a, T b, Vec<T> c) {
  const Vec<T> d = c + b;
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    const Vec<T> r = (Vec<T>)_mm512_maskz_rcp14_ps(-1, (__m512)d), q = a * r;
    return q + r * ((a - q * b) - q * c);
  } else {
    const Vec<T> r = inverse_of(d), q = a * r;
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
    begin(x * T(1.4426950408889634));
    end((x - n * F::ln2_high) - n * F::ln2_low);
  }

  // of x ln 2
  static Exponential to_base_2(Vec<T> x) {
    Exponential e;
    e.begin(x);
    e.end((x - e.n) * T(0.69314718055994531));
    return e;
  }

  bool makes_denormals() const { return any_below<T>(n, T(2 - Format<T>::bias)); }

  // v 2^n where that is no denormal, for n of a little more than twice the normal range
  Vec<T> scale_normal(Vec<T> v) const {
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

  // v 2^n for v from 1/2 to 2. A product that is a denormal takes 100 times as long as another; its
  // bits are the number of the least ones that make it, a whole number.
  Vec<T> scale(Vec<T> v) const {
    using F = Format<T>;
    if (__builtin_expect(!makes_denormals(), 1)) return scale_normal(v);
    const Mask<T> small = n < T(2 - F::bias);
    const Vec<T> times = v * power_of_two<T>((integer + (F::bias + F::mantissa - 1)) & small);
    Exponential rest = *this;
    rest.n = select<T>(small, Vec<T>{}, n);
    rest.integer &= ~small;
    const Vec<T> bits = from_bits<T>(__builtin_convertvector(times + F::below_half, Mask<T>));
    return select<T>(small, bits, rest.scale_normal(v));
  }

 private:
  Exponential() = default;
  void begin(Vec<T> x_by_ln2) {
    const Vec<T> shifted = x_by_ln2 + Format<T>::round;
    n = shifted - Format<T>::round;
    integer = bits<T>(shifted) - bits<T>(splat<T>(Format<T>::round));
  }
  void end(Vec<T> rest) {
    r = rest;
    more = r * r * polynomial(Format<T>::exp_p, r);
    minus_one = more + r;
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

template <class T>
inline Vec<T> exp2(Vec<T> x) {
  using F = Format<T>;
  const auto e = Exponential<T>::to_base_2(
      at_most<T>(at_least<T>(x, T(-F::bias - F::mantissa - 2)), T(F::bias + 2)));
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
  const Exponential<T> power(at_least<T>(-abs<T>(x), Format<T>::low));
  const Vec<T> v = power.minus_one + 1;
  if (__builtin_expect(!power.makes_denormals(), 1)) {
    const Vec<T> e = power.scale_normal(v);
    return ratio<T>(select<T>(x < 0, e, splat<T>(1)), 1, e);
  }
  const Vec<T> e = power.scale(v), large = select<T>(e < Format<T>::least, Vec<T>{}, e);
  const Vec<T> y = ratio<T>(select<T>(x < 0, large, splat<T>(1)), 1, large);
  return select<T>((x < 0) & (e < Format<T>::least), e, y);
}

#if defined(__AVX512F__)
// 1/c and ln c, which is all but a float, for a c in the middle of each of 32 intervals of [3/4,
// 3/2), in the order of the first five bits of the mantissa; c = 1 in the two at 1.
struct LogTable {
  alignas(64) float inverse[32], log[32];
};
constexpr LogTable kLog = {
    {0x1p0f,         0x1.ed09fep-1f, 0x1.dae26cp-1f, 0x1.cd9256p-1f, 0x1.c13faep-1f, 0x1.b5222ap-1f,
     0x1.a9b088p-1f, 0x1.9ec00ap-1f, 0x1.945664p-1f, 0x1.8ad852p-1f, 0x1.81f2fap-1f, 0x1.786b58p-1f,
     0x1.70b03ep-1f, 0x1.6862aep-1f, 0x1.6090b6p-1f, 0x1.594a96p-1f, 0x1.5166cp0f,   0x1.4a5788p0f,
     0x1.445d44p0f,  0x1.3e2198p0f,  0x1.37d26cp0f,  0x1.31f9d2p0f,  0x1.2bc17ep0f,  0x1.279b5cp0f,
     0x1.213c2ap0f,  0x1.1d502p0f,   0x1.179718p0f,  0x1.12dcf2p0f,  0x1.0eb8cep0f,  0x1.0aa648p0f,
     0x1.04f1c2p0f,  0x1p0f},
    {0,
     0x1.3522b8p-5f,
     0x1.343c96p-4f,
     0x1.a8b41ap-4f,
     0x1.0bc58cp-3f,
     0x1.43c2a4p-3f,
     0x1.7a1708p-3f,
     0x1.af6864p-3f,
     0x1.e37b2ep-3f,
     0x1.0a113ap-2f,
     0x1.2166e4p-2f,
     0x1.3b00fap-2f,
     0x1.5040ecp-2f,
     0x1.6793fap-2f,
     0x1.7e0bp-2f,
     0x1.9363fap-2f,
     -0x1.1ab8dap-2f,
     -0x1.0511d2p-2f,
     -0x1.e4bdaap-3f,
     -0x1.bd00b6p-3f,
     -0x1.93fa66p-3f,
     -0x1.6d37a2p-3f,
     -0x1.4327d2p-3f,
     -0x1.269c66p-3f,
     -0x1.f3f768p-4f,
     -0x1.bc0b6ep-4f,
     -0x1.690d68p-4f,
     -0x1.233522p-4f,
     -0x1.ca0d78p-5f,
     -0x1.4de334p-5f,
     -0x1.396c22p-6f,
     0}};
#endif

// x = 2^n m with m around 1, and ln m = f - rest.
template <class T>
struct Logarithm {
  Vec<T> n, f, rest;

  explicit Logarithm(Vec<T> x) {
    using F = Format<T>;
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {  // ln m = ln c + ln(1 + r), r = m / c - 1
      const __m512 m =
          _mm512_maskz_getmant_ps(-1, (__m512)x, _MM_MANT_NORM_p75_1p5, _MM_MANT_SIGN_src);
      const Vec<T> one = splat<T>(1);
      n = (Vec<T>)_mm512_maskz_getexp_ps(-1, (__m512)x) +
          from_bits<T>(((Vec<T>)m < 1) & bits<T>(one));  // one more where m was halved
      const __m512i interval = _mm512_maskz_srli_epi32(-1, (__m512i)m, 18);
      const auto at = [interval](const float* p) {
        return (Vec<T>)_mm512_permutex2var_ps((__m512)load(p), interval, (__m512)load(p + 16));
      };
      f = at(kLog.log);
      const Vec<T> r = (Vec<T>)m * at(kLog.inverse) - 1;
      rest = r * r * (T(0.5) - r * (T(1) / 3 - r * (T(0.25) - r * T(0.2)))) - r;
      return;
    }
#endif
    // m in [sqrt(1/2), sqrt(2)), f = m - 1
    const Mask<T> tiny = x < F::least;
    // Of |x|: a sign bit would overflow the subtraction below, though log x is NaN there.
    const Vec<T> y = abs<T>(select<T>(tiny, x * power_of_two<T>(Mask<T>{} + F::mantissa), x));
    const Mask<T> root = bits<T>(splat<T>(T(0.70710678118654752)));
    const Mask<T> k = (bits<T>(y) - root) >> F::mantissa;
    n = from_bits<T>(k - (tiny & F::mantissa) + bits<T>(splat<T>(F::round))) - F::round;
    f = from_bits<T>(bits<T>(y) - (k << F::mantissa)) - 1;
    // ln m = 2 artanh s, s = (m - 1)/(m + 1), by its series: f - s (f - s^2 p), of which the large
    // part f is exact, and s f = f^2/2 - s f^2/2.
    const Vec<T> s = ratio<T>(f, 2, f), s2 = s * s, half = f * f * T(0.5);
    Vec<T> p = splat<T>(T(2) / (2 * F::log_terms + 1));
    for (int i = F::log_terms - 1; i >= 1; --i) p = p * s2 + T(2) / (2 * i + 1);
    rest = half - s * (half + s2 * p);
  }

  // y, but the logarithms of infinity, NaN, 0 and what is below
  static Vec<T> checked(Vec<T> y, Vec<T> x) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4) {  // in one instruction; four bits for each kind of number
      const __m512i kinds = _mm512_maskz_set1_epi32(-1, 0x03530422);
      return (Vec<T>)_mm512_maskz_fixupimm_ps(-1, (__m512)y, (__m512)x, kinds, 0);
    }
#endif
    y = select<T>(x < __builtin_inf(), y, x);
    y = select<T>(x == 0, splat<T>(T(-__builtin_inf())), y);
    return select<T>(x < 0, splat<T>(T(__builtin_nan(""))), y);
  }
};

template <class T>
inline Vec<T> log(Vec<T> x) {
  using F = Format<T>;
  const Logarithm<T> l(x);
  return l.checked(l.n * F::ln2_high - ((l.rest - l.n * F::ln2_low) - l.f), x);
}

// log2 x = n + ln m / ln 2, exact where m is 1
template <class T>
inline Vec<T> log2(Vec<T> x) {
  const Logarithm<T> l(x);
  return l.checked(l.n + (l.f * T(1.4426950408889634) - l.rest * T(1.4426950408889634)), x);
}

// log10 x = n log10 2 + ln m / ln 10
template <class T>
inline Vec<T> log10(Vec<T> x) {
  constexpr T high = sizeof(T) == 4 ? T(0x1.34p-2) : T(0x1.34413509ep-2);  // n times it is exact
  constexpr T low = T(sizeof(T) == 4 ? 0x1.04d427de7fbccp-12 : 0x1.79fef311f12b3p-38);
  const Logarithm<T> l(x);
  const Vec<T> lower = l.n * low - l.rest * T(0.43429448190325182);
  return l.checked(l.n * high + (l.f * T(0.43429448190325182) + lower), x);
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

// x - n pi for whole or half n, right to the last bits for |x| < 2^20: of pi three parts.
template <class T>
inline Vec<T> less_pi(Vec<T> x, Vec<T> n) {
  constexpr double high = 0x1.921fb544p+1, middle = 0x1.0b4611a4p-33, low = 0x1.13198a2e03707p-64;
  if constexpr (sizeof(T) == 8) {
    return ((x - n * high) - n * middle) - n * low;  // the first two products are exact
  } else {
#if defined(MT_FMA)
    return ((x - n * 0x1.921fb4p+1f) - n * 0x1.4442dp-23f) -
           n * 0x1.84698ap-47f;  // all positive: -0 stays
#else                            // in double precision, half a vector at a time
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
    std::memcpy(&x, x_half, sizeof x);
    return x;
#endif
  }
}

// sin x with x = n pi + r, or cos x with x = (n + 1/2) pi + r: (-1)^n sin r or -(-1)^n sin r, for
// |r| <= pi/2 and |x| < 2^20.
template <class T>
inline Vec<T> sine(Vec<T> x, bool cosine) {
  using F = Format<T>;
  const T half = cosine ? T(0.5) : T(0);
  const Vec<T> shifted = (x * T(0.31830988618379067) - half) + F::round;
  const Vec<T> r = less_pi<T>(x, (shifted - F::round) + half);
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

// tan x with x = n pi/2 + r: tan r or, for odd n, -1/tan r, in single precision.
template <class T>
inline Vec<T> tan(Vec<T> x) {
  const auto library = [](T s) {
    return sizeof(T) == 4 ? T(__builtin_tanf(s)) : T(__builtin_tan(s));
  };
  if constexpr (sizeof(T) == 8) {
    return per_lane<T>(library, x);
  } else {
    if (__builtin_expect(any<T>(~(abs<T>(x) < T(1 << 20))), 0)) return per_lane<T>(library, x);
    static constexpr T c[] = {0x1.555562p-2f, 0x1.110d4p-3f,    0x1.bae8e8p-5f, 0x1.5c30a2p-6f,
                              0x1.65857p-7f,  -0x1.4eb666p-20f, 0x1.219f86p-8f};
    const Vec<T> shifted = x * T(0.63661977236758134) + Format<T>::round;
    const Vec<T> r = less_pi<T>(x, (shifted - Format<T>::round) * T(0.5)), r2 = r * r;
    const Vec<T> y = r + r * (r2 * polynomial(c, r2));
    return select<T>((bits<T>(shifted) & 1) != 0, -1 / y, y);
  }
}

// --- their inverses, in single precision; in double the C library's

// atan a for a >= 0: of 1/a where a > 1, which is pi/2 less it
inline Vec<float> atan_of(Vec<float> a) {
  static constexpr float c[] = {-0x1.55554p-2f,  0x1.999276p-3f,  -0x1.2426f8p-3f,
                                0x1.c0d278p-4f,  -0x1.58dc4ap-4f, 0x1.dd0e38p-5f,
                                -0x1.01aee6p-5f, 0x1.6a8e34p-7f,  -0x1.defc4ap-10f};
  const Vec<float> t = select<float>(a > 1, 1 / a, a), t2 = t * t;
  const Vec<float> y = t + t * (t2 * polynomial(c, t2));
  return select<float>(a > 1, 0x1.921fb6p0f - (y + 0x1.777a5cp-25f), y);
}

// asin a for 0 <= a <= 0.55
inline Vec<float> asin_of(Vec<float> a) {
  static constexpr float c[] = {0x1.555558p-3f, 0x1.333108p-4f,   0x1.6e2d74p-5f, 0x1.e5deaap-6f,
                                0x1.bee39ep-6f, -0x1.2a06d8p-13f, 0x1.61e12ep-5f};
  const Vec<float> a2 = a * a;
  return a + a * (a2 * polynomial(c, a2));
}

template <class T>
inline Vec<T> atan(Vec<T> x) {
  if constexpr (sizeof(T) == 8)
    return per_lane<T>([](T s) { return __builtin_atan(s); }, x);
  else
    return copysign<T>(atan_of(abs<T>(x)), x);
}

// asin a = pi/2 - 2 asin sqrt((1 - a)/2)
template <class T>
inline Vec<T> asin(Vec<T> x) {
  if constexpr (sizeof(T) == 8) {
    return per_lane<T>([](T s) { return __builtin_asin(s); }, x);
  } else {
    const Vec<T> a = abs<T>(x), y = asin_of(select<T>(a > 0.55f, sqrt<T>((1 - a) * 0.5f), a));
    return copysign<T>(select<T>(a > 0.55f, 0x1.921fb6p0f - (2 * y + 0x1.777a5cp-25f), y), x);
  }
}

template <class T>
inline Vec<T> acos(Vec<T> x) {
  if constexpr (sizeof(T) == 8) {
    return per_lane<T>([](T s) { return __builtin_acos(s); }, x);
  } else {
    const Vec<T> a = abs<T>(x), y = asin_of(select<T>(a > 0.55f, sqrt<T>((1 - a) * 0.5f), a));
    const Vec<T> near = 0x1.921fb6p0f - (copysign<T>(y, x) + 0x1.777a5cp-25f);
    return select<T>(a > 0.55f, select<T>(x < 0, 0x1.921fb6p1f - (2 * y + 0x1.777a5cp-24f), 2 * y),
                     near);
  }
}

// --- hyperbolic

// e^|x| / 2, which is finite for a little longer than e^|x|
template <class T>
inline Vec<T> half_exp(Vec<T> x) {
  Exponential<T> e(at_most<T>(abs<T>(x), Format<T>::high + 1));
  e.n -= 1;
  e.integer -= 1;
  return e.scale_normal(e.minus_one + 1);
}
template <class T>
inline Vec<T> cosh(Vec<T> x) {
  const Vec<T> e = half_exp<T>(x);
  return e + T(0.25) / e;
}
// Around 0 the series.
template <class T>
inline Vec<T> sinh(Vec<T> x) {
  if constexpr (sizeof(T) == 8) {
    return per_lane<T>([](T s) { return __builtin_sinh(s); }, x);
  } else {
    const Vec<T> e = half_exp<T>(x), x2 = x * x;
    static constexpr T c[] = {T(1) / 6, T(1) / 120, T(1) / 5040, T(1) / 362880};
    const Vec<T> near = x + x * (x2 * polynomial(c, x2));
    return select<T>(abs<T>(x) < 1, near, copysign<T>(e - T(0.25) / e, x));
  }
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

// --- powers: in double precision, half a vector at a time

// e^(y ln a) for a >= 0, both functions to 2^-34: no a is a denormal, no power either
inline Vec<double> short_power(Vec<double> a, Vec<double> y) {
  using F = Format<double>;
  static constexpr double log_p[] = {2., 2. / 3, 2. / 5, 2. / 7, 2. / 9, 2. / 11};
  static constexpr double exp_p[] = {1.,       1.,       1. / 2,    1. / 6,    1. / 24,
                                     1. / 120, 1. / 720, 1. / 5040, 1. / 40320};
  // a = 2^n m with m from sqrt(1/2) to sqrt(2), ln m = 2 artanh s, s = (m - 1)/(m + 1)
  const Mask<double> root = bits<double>(splat(0.70710678118654752)),
                     k = (bits<double>(a) - root) >> F::mantissa;
  const Vec<double> n = from_bits<double>(k + bits<double>(splat(F::round))) - F::round;
  const Vec<double> f = from_bits<double>(bits<double>(a) - (k << F::mantissa)) - 1;
  const Vec<double> s = f * inverse_of(f + 2);
  const Vec<double> l = n * 0.69314718055994531 + s * polynomial(log_p, s * s);
  const Vec<double> p = y * Logarithm<double>::checked(l, a);
  const Vec<double> x = at_most<double>(at_least<double>(p, -110), 90);
  const Vec<double> shifted = x * 1.4426950408889634 + F::round, whole = shifted - F::round;
  const Vec<double> e = polynomial(exp_p, x - whole * 0.69314718055994531);
  const Mask<double> integer = bits<double>(shifted) - bits<double>(splat(F::round));
  return e * power_of_two<double>(integer);
}

// The same for floats; called, for it is long.
__attribute__((noinline)) inline Vec<float> power_of(Vec<float> a, Vec<float> y) {
  typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
  Half a_half[2], y_half[2];
  std::memcpy(a_half, &a, sizeof a);
  std::memcpy(y_half, &y, sizeof y);
  for (int k = 0; k < 2; ++k)
    a_half[k] =
        __builtin_convertvector(short_power(__builtin_convertvector(a_half[k], Vec<double>),
                                            __builtin_convertvector(y_half[k], Vec<double>)),
                                Half);
  std::memcpy(&a, a_half, sizeof a);
  return a;
}

template <class T>
inline Vec<T> power(Vec<T> x, Vec<T> y) {
  if constexpr (sizeof(T) == 8) {
    return per_lane<T>([](T s, T t) { return __builtin_pow(s, t); }, x, y);
  } else {
    const T infinity = __builtin_inff();
    Vec<T> p = power_of(abs<T>(x), y);
    const Vec<T> half = y * T(0.5);  // whole where y is even; infinities are
    const Mask<T> negative = bits<T>(x) < 0, whole = trunc<T>(y) == y;
    const Mask<T> odd = whole & (trunc<T>(half) != half);
    p = select<T>((x < 0) & (x > -infinity) & ~whole, splat<T>(__builtin_nanf("")), p);
    p = select<T>(negative & odd, -p, p);
    return select<T>((y == 0) | (x == 1) | ((x == -1) & (abs<T>(y) == infinity)), splat<T>(1), p);
  }
}

}  // namespace
}  // namespace mt::MT_ISA
