// exp, log, tanh, erf, sine, powers: functions of vectors, right at NaN, infinities, denormals and
// where they overflow. With AVX-512 in single precision within 0.55 ulp (sigmoid 1.4), without it
// within 1.6, without fused multiplication 2.5; those that go by way of doubles within 0.51;
// `bench/accuracy.py` measures them.
#pragma once

#include "pieces.h"
#include "simd.h"

// Functions that code for size calls and other code has where it uses them
#ifdef __OPTIMIZE_SIZE__
#define MT_FUNCTION __attribute__((noinline)) inline
#else
#define MT_FUNCTION inline
#endif

namespace mt::MT_ISA {
namespace {

// 1 / d, right to a few bits at least
template <class T>
inline Vec<T> rough_inverse(Vec<T> d) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4)
    return (Vec<T>)_mm512_maskz_rcp14_ps(-1, (__m512)d);
  else
    return (Vec<T>)_mm512_maskz_rcp14_pd(-1, (__m512d)d);
#endif
  return 1 / d;
}

// 1 / d, all but rounded, for d from 2^-100 to 2^100
inline Vec<double> inverse_of(Vec<double> d) {
  Vec<double> r = rough_inverse<double>(d);
#if defined(__AVX512F__)
  for (int step = 0; step < 2; ++step) r += r * (1 - d * r);
#endif
  return r;
}

// a / (b + c) for b = 1 or 2 and 0 <= c <= b, or -1 <= c < 0 with b = 2: the quotient, and by a
// Newton step `more` of it, for which the rounding of b + c is not lost. A division of the widest
// vectors takes as long as 30 products; it begins with an approximate reciprocal there.
template <class T>
struct Ratio {
  Vec<T> quotient, more;

  Ratio(Vec<T> a, T b, Vec<T> c) {
    const Vec<T> d = c + b;
#if defined(__AVX512F__)
    Vec<T> inverse = rough_inverse<T>(d);
    if constexpr (sizeof(T) == 8) inverse = inverse_of(d);
    quotient = a * inverse;
#else
    quotient = a / d;
    const Vec<T> inverse = T(1.457) - d * T(0.5);  // of the correction few bits matter
#endif
#if defined(MT_FMA)
    more = inverse * ((a - quotient * b) - quotient * c);
#else
    more = -quotient * inverse * (c - (d - b));
#endif
  }
};

// --- exponentials

#if defined(__AVX512F__)
// 2^(j/16), and what the rounding took from it
// clang-format off
template <class T>
struct Roots;
template <>
struct Roots<float> {
  alignas(64) static constexpr float high[16] = {
      0x1p+0f, 0x1.0b5586p+0f, 0x1.172b84p+0f, 0x1.2387a6p+0f, 0x1.306fep+0f, 0x1.3dea64p+0f,
      0x1.4bfdaep+0f, 0x1.5ab07ep+0f, 0x1.6a09e6p+0f, 0x1.7a1148p+0f, 0x1.8ace54p+0f, 0x1.9c4918p+0f,
      0x1.ae89fap+0f, 0x1.c199bep+0f, 0x1.d5818ep+0f, 0x1.ea4afap+0f};
  alignas(64) static constexpr float low[16] = {
      0, 0x1.9f3122p-25f, -0x1.c15742p-27f, 0x1.ceac48p-25f, 0x1.4636e2p-25f, 0x1.824684p-25f,
      -0x1.593abcp-25f, -0x1.5bd5ecp-27f, 0x1.9fcef4p-26f, -0x1.829fdp-25f, 0x1.15506ep-27f, 0x1.51f848p-27f,
      -0x1.a94b14p-26f, -0x1.3d56b2p-27f, -0x1.822dbcp-27f, 0x1.52486cp-27f};
};
template <>
struct Roots<double> {
  alignas(64) static constexpr double high[16] = {
      0x1p+0, 0x1.0b5586cf9890fp+0, 0x1.172b83c7d517bp+0, 0x1.2387a6e756238p+0,
      0x1.306fe0a31b715p+0, 0x1.3dea64c123422p+0, 0x1.4bfdad5362a27p+0, 0x1.5ab07dd485429p+0,
      0x1.6a09e667f3bcdp+0, 0x1.7a11473eb0187p+0, 0x1.8ace5422aa0dbp+0, 0x1.9c49182a3f09p+0,
      0x1.ae89f995ad3adp+0, 0x1.c199bdd85529cp+0, 0x1.d5818dcfba487p+0, 0x1.ea4afa2a490dap+0};
  alignas(64) static constexpr double low[16] = {
      0, 0x1.8a62e4adc610bp-54, -0x1.19041b9d78a76p-55, 0x1.9b07eb6c70573p-54,
      0x1.6f46ad23182e4p-55, 0x1.ada0911f09ebcp-55, 0x1.d4397afec42e2p-56, 0x1.6324c054647adp-54,
      -0x1.bdd3413b26456p-54, -0x1.41577ee04992fp-55, 0x1.6e9f156864b27p-54, 0x1.c7c46b071f2bep-56,
      0x1.7a1cd345dcc81p-54, 0x1.11065895048ddp-55, 0x1.2ed02d75b3707p-55, -0x1.e9c23179c2893p-54};
};
// clang-format on
constexpr int kRoots = 16;
#else
constexpr int kRoots = 1;
#endif

// x = n ln 2 + r with n a multiple of 1/kRoots and |r| <= (ln 2)/2 of that, all but `lost`, so that
// e^x = 2^whole root e^r, root = 2^(n - whole), and e^r - 1 = r + lost + more.
template <class T>
struct Exponential {
  Vec<T> n, r, more, lost, root, root_lost;
  Mask<T> whole;

  explicit Exponential(Vec<T> x) {
    begin(x * T(1.4426950408889634));
    end(x - n * Format<T>::ln2_high);
  }

  // of x and a little more
  Exponential(Vec<T> x, Vec<T> little) {
    begin(x * T(1.4426950408889634));
    end((x - n * Format<T>::ln2_high) + little);
  }

  // of x ln 2
  static Exponential to_base_2(Vec<T> x) {
    Exponential e;
    e.begin(x);
    const Vec<T> rest = x - e.n;
    e.r = rest * T(0.69314718055994531);
    e.lost = rest * T(0.69314718055994531L - T(0.69314718055994531L));
#if defined(MT_FMA)
    e.lost += rest * T(0.69314718055994531) - e.r;
#endif
    e.more = e.r * e.r * polynomial(Format<T>::exp_p, e.r);
    return e;
  }

  // root e^r, rounded once
  Vec<T> exact() const {
    if constexpr (kRoots > 1) return root + (root * (r + more) + root_lost);
    const Vec<T> sum = r + 1;
    return sum + ((more + lost) + ((1 - sum) + r));
  }
  bool makes_denormals() const { return any_below<T>(n, T(2 - Format<T>::bias)); }

  // v 2^whole where that is no denormal, for a little more than twice the normal range
  Vec<T> scale_normal(Vec<T> v) const {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
      return (Vec<T>)_mm512_maskz_scalef_ps(-1, (__m512)v, (__m512)n);
    else
      return (Vec<T>)_mm512_maskz_scalef_pd(-1, (__m512d)v, (__m512d)n);
#else
    // In two factors: the first keeps the product normal, the second rounds it once.
    const Mask<T> half = whole >> 1;
    return v * power_of_two<T>(half) * power_of_two<T>(whole - half);
#endif
  }

  // v 2^whole for v from 1/2 to 2. A product that is a denormal takes 100 times as long as another;
  // its bits are the number of the least ones that make it, a whole number.
  Vec<T> scale(Vec<T> v) const {
    using F = Format<T>;
    if (__builtin_expect(!makes_denormals(), 1)) return scale_normal(v);
    const Mask<T> small = n < T(2 - F::bias);
    const Vec<T> times = v * power_of_two<T>((whole + (F::bias + F::mantissa - 1)) & small);
    Exponential rest = *this;
    rest.n = select<T>(small, Vec<T>{}, n);
    rest.whole &= ~small;
    const Vec<T> bits = from_bits<T>(__builtin_convertvector(times + F::below_half, Mask<T>));
    return select<T>(small, bits, rest.scale_normal(v));
  }

 private:
  Exponential() = default;
  void begin(Vec<T> x_by_ln2) {
    const Vec<T> round = splat<T>(Format<T>::round / kRoots), shifted = x_by_ln2 + round;
    n = shifted - round;
    whole = bits<T>(shifted) - bits<T>(round);
#if defined(__AVX512F__)
    root = pick(Roots<T>::high, bits<T>(shifted));
    root_lost = pick(Roots<T>::low, bits<T>(shifted));
    whole >>= 4;
#endif
  }
  void end(Vec<T> rest) {
    using F = Format<T>;
    r = rest - n * F::ln2_low;
    lost = (rest - r) - n * F::ln2_low;
    more = r * r * polynomial(F::exp_p, r);
  }
};

template <class T>
MT_FUNCTION Vec<T> exp(Vec<T> x) {
  using F = Format<T>;
  const Exponential<T> e(at_most<T>(at_least<T>(x, F::low), F::high));
  return e.scale(e.exact());
}

// e^x for x <= 0 or NaN
template <class T>
MT_FUNCTION Vec<T> exp_negative(Vec<T> x) {
  const Exponential<T> e(at_least<T>(x, Format<T>::low));
  return e.scale(e.exact());
}

template <class T>
MT_FUNCTION Vec<T> exp2(Vec<T> x) {
  using F = Format<T>;
  const auto e = Exponential<T>::to_base_2(
      at_most<T>(at_least<T>(x, T(-F::bias - F::mantissa - 2)), T(F::bias + 2)));
  return e.scale(e.exact());
}

// e^x - 1 = (a - 1) + a (e^r - 1) with a = 2^whole root, accurate around 0: what the sums of the
// large terms round off goes to the small ones. All are halved, for a may itself overflow.
template <class T>
MT_FUNCTION Vec<T> expm1_of(const Exponential<T>& e) {
  const Vec<T> power = power_of_two<T>(e.whole - 1);
  Vec<T> a = power, rest = power * (e.more + e.lost);
  if constexpr (kRoots > 1) {
    a = power * e.root;
    const Vec<T> lost = power * e.root_lost;
    rest = a * (e.more + e.lost) + (lost + lost * e.r);
  }
  const Vec<T> less = a - T(0.5), sum = less + a * e.r;
  const Vec<T> moved = less - a;
  rest += (a - (less - moved)) - (moved + T(0.5));
  rest += a * e.r + (less - sum);
  return (sum + rest) * 2;
}
template <class T>
MT_FUNCTION Vec<T> expm1(Vec<T> x) {
  using F = Format<T>;
  return expm1_of(Exponential<T>(at_most<T>(at_least<T>(x, F::low / 2), F::high)));
}

#if defined(__AVX512F__)
// An odd function by its table (pieces.h), whose second interval begins at 2^first and which ends
// at `most`; from there on it is 1. A vector or two hold a row of the table, and one instruction
// picks each lane's.
template <int rows>
inline Vec<float> by_pieces(const float (&table)[rows][32], int first, float most, Vec<float> x) {
  const Vec<float> a = at_most(abs<float>(x), most);
  const __m512i begin = (__m512i)(Mask<float>{} + (127 + first) * 4);
  const auto at =
      (Mask<float>)_mm512_maskz_subs_epu16(-1, (__m512i)(bits<float>(a) >> 21), begin);  // or 0
  const Vec<float> d = a - pick(table[0], at), slope = pick(table[2], at);
  Vec<float> p = pick(table[rows - 1], at);
  for (int row = rows - 2; row > 2; --row) p = p * d + pick(table[row], at);
  const __mmask16 none = _mm512_cmpeq_epi32_mask((__m512i)at, _mm512_setzero_si512());
  const auto value = (Vec<float>)_mm512_mask_mov_ps((__m512)pick(table[1], at), none, (__m512)a);
  const Vec<float> sum = value + slope * d, lost = slope * d + (value - sum);
  return copysign<float>(sum + (d * d * p + lost), x);
}
#endif

// With t = e^(-2|x|) - 1
template <class T>
MT_FUNCTION Vec<T> tanh(Vec<T> x) {
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) return by_pieces(tanh_pieces, -4, 9.02f, x);
#endif
  const Vec<T> t = expm1_of(Exponential<T>(at_least<T>(abs<T>(x) * -2, Format<T>::low / 2)));
  const Ratio<T> y(t, 2, t);
  return copysign<T>(y.quotient + y.more, x);
}

// 1 / (1 + e^-x), as e^x / (1 + e^x) where x < 0, so that it is accurate down to the denormals; by
// `finish` from two numbers of which it is the sum.
template <class T, class F>
inline Vec<T> sigmoid_and(F finish, Vec<T> x) {
  const Exponential<T> power(at_least<T>(minus_abs<T>(x), Format<T>::low));
  const Vec<T> v = power.exact();
  if (__builtin_expect(!power.makes_denormals(), 1)) {
    const Vec<T> e = power.scale_normal(v);
    const Ratio<T> y(select<T>(x < 0, e, splat<T>(1)), 1, e);
    return finish(y.quotient, y.more);
  }
  const Vec<T> e = power.scale(v), large = select<T>(e < Format<T>::least, Vec<T>{}, e);
  const Ratio<T> y(select<T>(x < 0, large, splat<T>(1)), 1, large);
  const Mask<T> tiny = (x < 0) & (e < Format<T>::least);
  return finish(select<T>(tiny, e, y.quotient), select<T>(tiny, Vec<T>{}, y.more));
}
template <class T>
MT_FUNCTION Vec<T> sigmoid(Vec<T> x) {
  return sigmoid_and<T>([](Vec<T> s, Vec<T> more) { return s + more; }, x);
}

// --- logarithms

#if defined(__AVX512F__)
// 1/c for a c in about the middle of each of 32 intervals of [3/4, 3/2), in the order of the first
// five bits of the mantissa, of so few bits that m / c - 1 is exact; and ln c, a float and what it
// lacks. c = 1 in the two at 1.
// clang-format off
alignas(64) constexpr float log_inverse[32] = {
    1.0f, 0.953125f, 0.921875f, 0.90625f, 0.875f, 0.859375f,
    0.828125f, 0.8125f, 0.796875f, 0.765625f, 0.75f, 0.734375f,
    0.71875f, 0.703125f, 0.6875f, 0.671875f, 1.3125f, 1.28125f,
    1.28125f, 1.25f, 1.21875f, 1.1875f, 1.1875f, 1.15625f,
    1.125f, 1.125f, 1.09375f, 1.0625f, 1.0625f, 1.03125f,
    1.03125f, 1.0f};
alignas(64) constexpr float log_high[32] = {
    0, 0x1.894aa2p-5f, 0x1.4d3116p-4f, 0x1.9335e6p-4f, 0x1.1178e8p-3f, 0x1.365fccp-3f,
    0x1.823c16p-3f, 0x1.a93ed4p-3f, 0x1.d1038p-3f, 0x1.1178e8p-2f, 0x1.269622p-2f, 0x1.3c2528p-2f,
    0x1.522aep-2f, 0x1.68ac84p-2f, 0x1.7fafa4p-2f, 0x1.973a34p-2f, -0x1.1675cap-2f, -0x1.fb9186p-3f,
    -0x1.fb9186p-3f, -0x1.c8ff7cp-3f, -0x1.9525aap-3f, -0x1.5ff308p-3f, -0x1.5ff308p-3f, -0x1.29553p-3f,
    -0x1.e27076p-4f, -0x1.e27076p-4f, -0x1.6f0d28p-4f, -0x1.f0a30cp-5f, -0x1.f0a30cp-5f, -0x1.f829bp-6f,
    -0x1.f829bp-6f, 0};
alignas(64) constexpr float log_low[32] = {
    0, -0x1.6c0998p-30f, -0x1.6fc0aap-31f, -0x1.535b3cp-31f, 0x1.13f23ep-30f, -0x1.fd4dfep-28f,
    0x1.5468fp-29f, -0x1.ba930ep-30f, -0x1.b3543p-28f, 0x1.13f23ep-29f, -0x1.d9648ep-27f, -0x1.1999dp-27f,
    0x1.ce28f6p-28f, -0x1.6395ecp-30f, -0x1.09fabap-28f, 0x1.89ab56p-29f, -0x1.7574c2p-27f, -0x1.abc7c6p-28f,
    -0x1.abc7c6p-28f, -0x1.e6a688p-29f, 0x1.85d4a6p-30f, 0x1.eb0d86p-28f, 0x1.eb0d86p-28f, 0x1.f802b8p-29f,
    -0x1.c55e5cp-29f, -0x1.c55e5cp-29f, -0x1.5cad6ap-29f, -0x1.162a66p-37f, -0x1.162a66p-37f, -0x1.cf066p-31f,
    -0x1.cf066p-31f, 0};
// clang-format on
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
      const Mask<T> at = bits<T>((Vec<T>)m) >> 18;
      const Vec<T> r = (Vec<T>)m * pick(log_inverse, at) - 1, log_c = pick(log_high, at);
      f = log_c + r;  // and what that rounds off
      rest = r * r * (T(0.5) - r * (T(1) / 3 - r * (T(0.25) - r * (T(0.2) - r * (T(1) / 6))))) -
             (pick(log_low, at) + (r - (f - log_c)));
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
    const Ratio<T> ratio(f, 2, f);
    const Vec<T> s = ratio.quotient + ratio.more, s2 = s * s, half = f * f * T(0.5);
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
MT_FUNCTION Vec<T> natural(const Logarithm<T>& l) {
  using F = Format<T>;
  const Vec<T> large = l.n * F::ln2_high, sum = large + l.f;
  return sum + (((large - sum) + l.f) - (l.rest - l.n * F::ln2_low));
}
template <class T>
MT_FUNCTION Vec<T> log(Vec<T> x) {
  return Logarithm<T>::checked(natural(Logarithm<T>(x)), x);
}

// ln(1 + x), accurate around 0: ln u with u = 1 + x rounded, and the derivative, 1 - (u - 1)/u,
// times what the rounding lost; of the quotient few bits matter.
template <class T>
MT_FUNCTION Vec<T> log1p(Vec<T> x) {
  const Vec<T> u = x + 1, more = u - 1, lost = x - more;
  Logarithm<T> l(u);
  l.rest += lost * (more * rough_inverse<T>(u));
  const Mask<T> small = abs<T>(x) < T(1) / 64;  // here f is u - 1
  l.f = select<T>(small, x, l.f);
  l.rest -= select<T>(small, Vec<T>{}, lost);
  return l.checked(natural(l), u);
}

// 1 - erf x, within 8 ulp. For a = |x| it is e^(-a^2) p(t) / (a + k) with t = (a - k)/(a + k), a
// polynomial fitted at Chebyshev points to where the result is 0, and a k for which that is short.
// Called, for it is long.
__attribute__((noinline)) inline Vec<double> erfc(Vec<double> x) {
  static constexpr double p[] = {
      0x1.18f1cfcf7a909p+0,   -0x1.f7421f03c546ep-1,  0x1.92c39a91ed084p-1,
      -0x1.1e9130c772b93p-1,  0x1.6763ec9ee01fcp-2,   -0x1.879a7b4521857p-3,
      0x1.69e9938630058p-4,   -0x1.0f31d710a9486p-5,  0x1.28cb3717396d1p-7,
      -0x1.34ac103a81607p-10, -0x1.6a385ce6d960ep-12, 0x1.e6d6722f2bbc7p-13,
      -0x1.37feb593a1b70p-15, -0x1.f0d880ca9d510p-17, 0x1.09c97ea2cb398p-17,
      0x1.3c947595e403cp-24,  -0x1.10322815652fdp-20, 0x1.2a984d0008f6bp-23,
      0x1.fb8e7abaf22e7p-24,  -0x1.696e8b57fa4dbp-26, -0x1.996235fff50b0p-27};
  constexpr double k = 4.1;
  const Vec<double> a = at_most<double>(abs<double>(x), 28), q = inverse_of(a + k);
  // a^2 = b^2 + (a - b)(a + b), where b has half of the digits and so its square is exact
  const Vec<double> b = from_bits<double>(bits<double>(a) & ~((int64_t{1} << 27) - 1));
  const Exponential<double> power(-b * b, (b - a) * (b + a));
  const Vec<double> y = power.scale(power.exact()) * (q * polynomial(p, (a - k) * q));
  return select<double>(x < 0, 2 - y, y);
}

MT_FUNCTION Vec<double> erf(Vec<double> x) {
  static constexpr double p[] = {
      0x1.06eba8214db66p-3,  -0x1.812746b037820p-2,  0x1.ce2f21a028a34p-4,  -0x1.b82ce3093b2fdp-6,
      0x1.565bcb5ede4b9p-8,  -0x1.c02d5a0211f09p-11, 0x1.f997b227f7e24p-14, -0x1.f3ea321aa6558p-17,
      0x1.aeb120d68c0cbp-20, -0x1.10fa781af6375p-23};  // of erf(x)/x - 1
  const Vec<double> a = abs<double>(x);
  return copysign<double>(select<double>(a < 0.75, a + a * polynomial(p, a * a), 1 - erfc(a)), x);
}

MT_FUNCTION Vec<float> erf(Vec<float> x) {
#if defined(__AVX512F__)
  return by_pieces(erf_pieces, -5, 4, x);
#endif
  // Polynomials fitted at Chebyshev points: of erf(x)/x - 1 in x^2 up to 1, of ln(1 - erf x) in x
  // from there to 4, where erf is 1 to the last bit. Their errors are below 2e-9.
  const Vec<float> a = select<float>(abs<float>(x) > 4, splat<float>(4), abs<float>(x)), a2 = a * a;
  Vec<float> p = a2 * 7.853847300605484e-05f - 8.010189368768578e-04f;
  p = p * a2 + 5.188327201183707e-03f;
  p = p * a2 - 2.68538116802601e-02f;
  p = p * a2 + 1.1283585142518748e-01f;
  p = p * a2 - 3.761262582369652e-01f;
  p = p * a2 + 1.283791657266333e-01f;
  Vec<float> q = a * 1.8638256486196e-04f - 2.94769039693158e-03f;
  q = q * a + 2.1838188542022113e-02f;
  q = q * a - 1.0310700699983726e-01f;
  q = q * a - 6.381445506652156e-01f;
  q = q * a - 1.127089355173709e+00f;
  q = q * a - 3.414835238821515e-04f;
  return copysign<float>(select<float>(a < 1, p * a + a, 1 - exp<float>(q)), x);
}

// --- floats by way of doubles

// f, computed in double precision, half a vector at a time, and rounded once: within 0.51 ulp
template <class F, class... X>
inline Vec<float> in_double(F f, X... x) {
  typedef float Half __attribute__((vector_size(kVectorBytes / 2)));
  const auto half = [](const Vec<float>& v, int k) {
    Half h;
    std::memcpy(&h, reinterpret_cast<const char*>(&v) + k * sizeof h, sizeof h);
    return __builtin_convertvector(h, Vec<double>);
  };
  Half y[2];
  for (int k = 0; k < 2; ++k) y[k] = __builtin_convertvector(f(half(x, k)...), Half);
  Vec<float> all;
  std::memcpy(&all, y, sizeof all);
  return all;
}

// e^x = scale (1 + less_one) for |x| < 700, to 2^-37
struct ShortExponential {
  Vec<double> scale, less_one;

  explicit ShortExponential(Vec<double> x) {
    using F = Format<double>;
    static constexpr double c[] = {
        0x1.fffffffff61f7p-1, 0x1.fffffffffe068p-2,  0x1.5555557e72511p-3,  0x1.55555565c5d19p-5,
        0x1.1110a62027ad5p-7, 0x1.6c166be5bb8e9p-10, 0x1.a17df64c523d6p-13, 0x1.a136b31ea54a3p-16};
    const Vec<double> shifted = x * 1.4426950408889634 + F::round;
    const Vec<double> r = x - (shifted - F::round) * 0.69314718055994531;
    less_one = r * polynomial(c, r);
    scale = power_of_two<double>(bits<double>(shifted) - bits<double>(splat(F::round)));
  }
  Vec<double> value() const { return scale * less_one + scale; }
  Vec<double> minus_one() const { return scale * less_one + (scale - 1); }
};

// ln x for 0 < x < inf, to 2^-40; no float is a denormal among the doubles
MT_FUNCTION Vec<double> short_log(Vec<double> x) {
  using F = Format<double>;
  // x = 2^n m with m from sqrt(1/2) to sqrt(2), ln m = 2 artanh s, s = (m - 1)/(m + 1)
  static constexpr double c[] = {0x1.fffffffffff12p+0, 0x1.555555567148cp-1, 0x1.9999962c06032p-2,
                                 0x1.2494381ee5869p-2, 0x1.c620ee6e2b4a3p-3, 0x1.9192e478c4308p-3};
  typedef uint64_t Wrapping __attribute__((vector_size(kVectorBytes)));  // as a negative x's would
  const Wrapping all = (Wrapping)bits<double>(x);
  const Wrapping root = (Wrapping)bits<double>(splat(0.70710678118654752));
  const Mask<double> k = (Mask<double>)(all - root) >> F::mantissa;
  const Vec<double> n = from_bits<double>(k + bits<double>(splat(F::round))) - F::round;
  const Vec<double> f = (Vec<double>)(all - ((Wrapping)k << F::mantissa)) - 1;
  const Vec<double> s = f * inverse_of(f + 2);
  return n * 0.69314718055994531 + s * polynomial(c, s * s);
}

MT_FUNCTION Vec<float> log2(Vec<float> x) {
  const auto f = [](Vec<double> v) { return short_log(v) * 1.4426950408889634; };
  return Logarithm<float>::checked(in_double(f, x), x);
}
MT_FUNCTION Vec<float> log10(Vec<float> x) {
  const auto f = [](Vec<double> v) { return short_log(v) * 0.43429448190325182; };
  return Logarithm<float>::checked(in_double(f, x), x);
}

// (e^x + e^-x)/2, and the same with a minus: (t + t/(t + 1))/2 with t = e^|x| - 1
MT_FUNCTION Vec<float> cosh(Vec<float> x) {
  const auto f = [](Vec<double> v) {
    const Vec<double> e = ShortExponential(at_most<double>(abs<double>(v), 90)).value();
    return (e + 1 / e) * 0.5;
  };
  return in_double(f, x);
}
MT_FUNCTION Vec<double> cosh(Vec<double> x) {
  Exponential<double> e(at_most<double>(abs<double>(x), Format<double>::high + 1));
  e.n -= 1;  // e^|x| / 2 is finite for a little longer than e^|x|
  e.whole -= 1;
  const Vec<double> half = e.scale_normal(e.exact());
  return half + 0.25 / half;
}
MT_FUNCTION Vec<float> sinh(Vec<float> x) {
  const auto f = [](Vec<double> v) {
    const Vec<double> t = ShortExponential(at_most<double>(abs<double>(v), 90)).minus_one();
    return copysign<double>((t + t / (t + 1)) * 0.5, v);
  };
  return in_double(f, x);
}

// The same with shorter polynomials
__attribute__((noinline)) inline Vec<float> erfc(Vec<float> x) {
  const auto f = [](Vec<double> v) {
    static constexpr double p[] = {
        0x1.12f21ddda5e2ap+0,   -0x1.c44c471d0b7adp-1, 0x1.2e326946fe5bdp-1,
        -0x1.3deb2020918c3p-2,  0x1.e995ecc31f855p-4,  -0x1.b78b111ef6917p-6,
        -0x1.3dceed703b0b5p-10, 0x1.8e0da58c3e6cdp-9,  -0x1.1ed25d1c8c1f8p-11,
        -0x1.2c3e078373368p-12, 0x1.9be3e2cc165ddp-14, 0x1.53df9abb13113p-15};
    constexpr double k = 3;
    const Vec<double> a = at_most<double>(abs<double>(v), 10.1), q = inverse_of(a + k);
    const Vec<double> y = ShortExponential(-a * a).value() * (q * polynomial(p, (a - k) * q));
    return select<double>(v < 0, 2 - y, y);
  };
  return in_double(f, x);
}

// --- sine, cosine and tangent

// x - n pi for whole or half n, right to the last bits for |x| < 2^20: of pi three parts, of which
// the first two times n are exact.
MT_FUNCTION Vec<double> less_pi(Vec<double> x, Vec<double> n) {
  return ((x - n * 0x1.921fb544p+1) - n * 0x1.0b4611a4p-33) - n * 0x1.13198a2e03707p-64;
}

// sin x with x = n pi + r, or cos x with x = (n + 1/2) pi + r: (-1)^n sin r or -(-1)^n sin r, for
// |r| <= pi/2 and |x| < 2^20, of a function for sin r.
template <class F>
inline Vec<double> sine_by(F of, Vec<double> x, bool cosine) {
  const double half = cosine ? 0.5 : 0, round = Format<double>::round;
  const Vec<double> shifted = (x * 0.31830988618379067 - half) + round;
  const Vec<double> y = of(less_pi(x, (shifted - round) + half));
  return from_bits<double>(bits<double>(y) ^ ((bits<double>(shifted) + int(cosine)) << 63));
}
MT_FUNCTION Vec<double> sine(Vec<double> x, bool cosine) {
  const auto of = [](Vec<double> r) {
    static constexpr double c[] = {-0x1.5555555555555p-3,  0x1.11111111110c1p-7,
                                   -0x1.a01a01a0148a1p-13, 0x1.71de3a5287079p-19,
                                   -0x1.ae6454cafd318p-26, 0x1.6123cb11d167ep-33,
                                   -0x1.ae43176c3ddb7p-41, 0x1.8828f907769e7p-49};
    const Vec<double> r2 = r * r;
    return copysign<double>(r + r * (r2 * polynomial(c, r2)), r);  // the sum loses that of -0
  };
  return sine_by(of, x, cosine);
}
MT_FUNCTION Vec<float> sine(Vec<float> x, bool cosine) {
  const auto of = [](Vec<double> r) {
    static constexpr double c[] = {0x1.ffffffffda6a9p-1,  -0x1.555555443234fp-3,
                                   0x1.11110bff9bf1fp-7,  -0x1.a017cfcc49b74p-13,
                                   0x1.717015d10fdb8p-19, -0x1.9a69640143f5p-26};
    return r * polynomial(c, r * r);
  };
  return in_double([&](Vec<double> v) { return sine_by(of, v, cosine); }, x);
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
  Vec<T> y = sine(x, cosine);
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

// tan x with x = n pi/2 + r: tan r or, for odd n, -1/tan r
MT_FUNCTION Vec<float> tan(Vec<float> x) {
  if (__builtin_expect(any<float>(~(abs<float>(x) < float(1 << 20))), 0))
    return per_lane<float>([](float s) { return __builtin_tanf(s); }, x);
  const auto f = [](Vec<double> v) {
    static constexpr double c[] = {
        0x1.5555555609593p-2, 0x1.11110fa7882f9p-3,   0x1.ba1c8f3bedf76p-5,
        0x1.66317756fc117p-6, 0x1.2449c581d1f97p-7,   0x1.b5fcc5bca68a4p-9,
        0x1.123442cd21b78p-9, -0x1.46e5ac9343824p-12, 0x1.c11b46a19373ap-11};
    const Vec<double> shifted = v * 0.63661977236758134 + Format<double>::round;
    const Vec<double> r = less_pi(v, (shifted - Format<double>::round) * 0.5), r2 = r * r;
    const Vec<double> y = r + r * (r2 * polynomial(c, r2));
    return select<double>((bits<double>(shifted) & 1) != 0, -1 / y, y);
  };
  return in_double(f, x);
}

// atan t for 0 <= t <= 1
MT_FUNCTION Vec<double> atan_to_one(Vec<double> t) {
  static constexpr double c[] = {
      -0x1.5555554e74b35p-2, 0x1.99998c8c70e06p-3, -0x1.249035356f79fp-3, 0x1.c6d94a4e392f4p-4,
      -0x1.72251c83739b9p-4, 0x1.2fd217ccc6a7ap-4, -0x1.d7eaf8f924fc4p-5, 0x1.39fa7ae12ac35p-5,
      -0x1.3b92d4977ae5p-6,  0x1.96cc733874da8p-8, -0x1.eae3fce3e9b57p-11};
  const Vec<double> t2 = t * t;
  return t + t * (t2 * polynomial(c, t2));
}
// atan |x|, or pi/2 less that of 1/|x| where |x| > 1
MT_FUNCTION Vec<float> atan(Vec<float> x) {
  const auto f = [](Vec<double> v) {
    const Vec<double> a = abs<double>(v);
    const Vec<double> y = atan_to_one(select<double>(a > 1, 1 / a, a));
    return copysign<double>(select<double>(a > 1, 1.5707963267948966 - y, y), v);
  };
  return in_double(f, x);
}
// The angle of (x, y): that of the smaller of both by the larger, mirrored at the diagonal and at
// the y axis. Two zeros have the quotient 0, two infinities 1.
MT_FUNCTION Vec<float> atan2(Vec<float> y, Vec<float> x) {
  const auto f = [](Vec<double> s, Vec<double> v) {
    const Vec<double> a = abs<double>(s), b = abs<double>(v);
    const Mask<double> steep = a > b;
    const Vec<double> t = select<double>(steep, b, a) / select<double>(steep, a, b);
    const Vec<double> same = select<double>(a > 0, splat(1.0), Vec<double>{});
    Vec<double> angle = atan_to_one(select<double>(a == b, same, t));
    angle = select<double>(steep, 1.5707963267948966 - angle, angle);
    angle = select<double>(bits<double>(v) < 0, 3.1415926535897932 - angle, angle);
    return copysign<double>(angle, s);
  };
  return in_double(f, y, x);
}

// --- the gamma function, and the inverse of erf: doubles as exact as floats need them. Called, for
// they are long.

// a[0] + a[1] x + ... in the lanes of `first`, in the others b[0] + b[1] x + ...
template <class T, int n>
inline Vec<T> polynomials(Mask<T> first, const T (&a)[n], const T (&b)[n], Vec<T> x) {
  Vec<T> p{};
  for (int k = n - 1; k >= 0; --k) p = p * x + select<T>(first, splat(a[k]), splat(b[k]));
  return p;
}

// x less the nearest integer, times pi
inline Vec<double> pi_times_rest(Vec<double> x) {
  return (x - round<double>(x)) * 3.1415926535897932;
}

// ln |Gamma(x)|, with a = |x|: from 8 on by Stirling's series in 1/w, w = a; below with w = a + 8
// less the logarithm of a (a + 1) ... (a + 7). Left of 0 Gamma(-a) Gamma(a) = -pi / (a sin pi a).
__attribute__((noinline)) inline Vec<double> lgamma(Vec<double> v) {
  static constexpr double series[] = {1.0 / 12, -1.0 / 360, 1.0 / 1260, -1.0 / 1680};
  // Around its zeros 1 and 2, where terms as large as 20 cancel: Taylor's series
  static constexpr double one[] = {-0x1.2788cfc6fb619p-1, 0x1.a51a6625307d3p-1,
                                   -0x1.9a4d55beab2d7p-2, 0x1.151322ac7d848p-2,
                                   -0x1.a8b9c17aa6149p-3};
  static constexpr double two[] = {0x1.b0ee6072093cep-2, 0x1.4a34cc4a60fa6p-2,
                                   -0x1.13e001a557607p-4, 0x1.51322ac7d8483p-6,
                                   -0x1.e404fc218f5f2p-8};
  const Vec<double> a = abs<double>(v), u = a * (a + 7);
  const Mask<double> low = a < 8, left = v < 0;
  const Vec<double> w = select<double>(low, a + 8, a), r = 1 / w;
  Vec<double> product = select<double>(low, u * (u + 6) * ((u + 10) * (u + 12)), splat(1.0));
  if (any<double>(left)) {
    const Vec<double> s = abs<double>(sine(pi_times_rest(a), false));
    product = select<double>(left, product * 3.1415926535897932 / (a * s), product);
  }
  Vec<double> y = (w - 0.5) * short_log(w) - w + 0.91893853320467274 +
                  r * polynomial(series, r * r) - short_log(product);
  const Mask<double> first = a < 1.5;
  const Vec<double> d = v - select<double>(first, splat(1.0), splat(2.0));
  y = select<double>(abs<double>(d) < 0x1p-6, d * polynomials<double>(first, one, two, d) + 0.0, y);
  const Mask<double> pole = (v <= 0) & (round<double>(a) == a);
  y = select<double>(pole, splat(__builtin_inf()), select<double>(left, -y, y));
  return select<double>(a < __builtin_inf(), y, a);
}

// Gamma'(x) / Gamma(x), likewise: the derivative of each term. digamma(-a) = digamma(a) + 1/a + pi
// cot pi a.
__attribute__((noinline)) inline Vec<double> digamma(Vec<double> v) {
  static constexpr double series[] = {1.0 / 12, -1.0 / 120, 1.0 / 252};
  constexpr double zero = 0x1.762d86356be3fp+0;
  static constexpr double around[] = {-0x1.aa2d9b3ce29e0p-54, 0x1.ef72bc8ee38acp-1,
                                      -0x1.c563b54aa1a37p-2, 0x1.08b4294d50382p-2,
                                      -0x1.4fc1317257daap-3};
  const Vec<double> a = abs<double>(v), u = a * (a + 7);
  const Mask<double> low = a < 8, left = v < 0;
  const Vec<double> r = 1 / select<double>(low, a + 8, a), r2 = r * r;
  const Vec<double> p = u * (u + 6), q = (u + 10) * (u + 12);
  const Vec<double> shift = (2 * a + 7) * ((2 * u + 6) * q + p * (2 * u + 22)) / (p * q);
  Vec<double> y = -short_log(r) - r * 0.5 - r2 * polynomial(series, r2) -
                  select<double>(low, shift, Vec<double>{});
  const Vec<double> d = v - zero;
  y = select<double>(abs<double>(d) < 0.01, polynomial(around, d), y);
  if (any<double>(left)) {
    const Vec<double> t = pi_times_rest(a);
    const Vec<double> cot = sine(t, true) / sine(t, false) * 3.1415926535897932;
    y = select<double>(left, select<double>(t == 0, t / t, y + 1 / a + cot), y);
  }
  y = select<double>(a == 0, copysign<double>(splat(__builtin_inf()), -v), y);
  return select<double>((a < __builtin_inf()) | left, y, v);
}

// y with erf y = x: x times a polynomial in w = -ln(1 - x^2), or from w = 5 on in its root, fitted
// at Chebyshev points
__attribute__((noinline)) inline Vec<double> erfinv(Vec<double> x) {
  static constexpr double near[] = {
      0x1.c5bf891ad6db3p-1,   0x1.db29fbaf6dba9p-3,  0x1.7a728bb0e65adp-7,   -0x1.320a7010c4bd8p-9,
      -0x1.0d86822c4e93bp-13, 0x1.8ce479c2bcccep-15, 0x1.6943316b01a0ep-20,  -0x1.338c887785c47p-21,
      -0x1.f8cae3077e0e3p-23, 0x1.66a868832209cp-24, -0x1.842a08de17ca2p-27, 0x1.a156df38d3583p-31,
      -0x1.75045e36fd876p-36};
  static constexpr double far[] = {
      0x1.6a9efbd608b78p+1,   0x1.006dca7865e23p+0,  0x1.3582f426e9526p-7,   -0x1.f4f179a0cfaeap-8,
      0x1.748f3854c6f4dp-8,   -0x1.d279cb82bc9ffp-9, 0x1.85a27a16043eep-10,  -0x1.380fc8cffebb5p-13,
      -0x1.31c55ae14a113p-12, 0x1.b2a1979c7799dp-13, -0x1.12fa42695b3d6p-15, -0x1.dca0403cdcc5ep-16,
      0x1.960441068eb76p-17};
  const Vec<double> rest = (1 - x) * (1 + x);
  const Vec<double> w = -Logarithm<double>::checked(short_log(rest), rest);
  Vec<double> y = polynomial(near, w);
  if (any<double>(~(w < 5))) {
    const Vec<double> more = polynomial(far, sqrt<double>(at_least<double>(w, 1)) - 3);
    y = select<double>(w < 5, y, select<double>(w < __builtin_inf(), more, w));
  }
  return copysign<double>(x * y, x);
}

inline Vec<float> lgamma(Vec<float> x) {
  return in_double([](Vec<double> v) { return lgamma(v); }, x);
}
inline Vec<float> digamma(Vec<float> x) {
  return in_double([](Vec<double> v) { return digamma(v); }, x);
}
inline Vec<float> erfinv(Vec<float> x) {
  return in_double([](Vec<double> v) { return erfinv(v); }, x);
}

// --- inverses of sine, cosine and the hyperbolic tangent

// asin a for a <= 1/2 by a polynomial; above it is pi/2 - 2 asin sqrt((1 - a)/2). acos x = pi/2 -
// asin x.
template <bool cosine>
MT_FUNCTION Vec<float> arcsine(Vec<float> x) {
  const auto f = [](Vec<double> v) {
    static constexpr double c[] = {0x1.55555554ee47bp-3, 0x1.333334ceb6520p-4, 0x1.6db5cfb6af282p-5,
                                   0x1.f208eb1ddd0fbp-6, 0x1.6a9e3262c37dbp-6, 0x1.3c5053c2afce1p-6,
                                   0x1.64b97e009bd03p-8, 0x1.e0231588b1e55p-6};
    constexpr double half_pi = 1.5707963267948966;
    const Vec<double> a = abs<double>(v);
    const Mask<double> far = a > 0.5;
    const Vec<double> t2 = select<double>(far, (1 - a) * 0.5, a * a);
    const Vec<double> t = select<double>(far, sqrt<double>(t2), a);
    const Vec<double> y = t + t * (t2 * polynomial(c, t2));
    if (!cosine) return copysign<double>(select<double>(far, half_pi - 2 * y, y), v);
    const Vec<double> turned = select<double>(v < 0, 2 * half_pi - 2 * y, 2 * y);
    return select<double>(far, turned, half_pi - copysign<double>(y, v));
  };
  return in_double(f, x);
}
inline Vec<float> asin(Vec<float> x) { return arcsine<false>(x); }
inline Vec<float> acos(Vec<float> x) { return arcsine<true>(x); }

// artanh a = ln((1 + a)/(1 - a)) / 2, which around 0 has lost what is not in 1 + a
MT_FUNCTION Vec<float> atanh(Vec<float> x) {
  const auto f = [](Vec<double> v) {
    const Vec<double> a = abs<double>(v);
    const Vec<double> y = short_log((1 + a) * inverse_of(1 - a)) * 0.5;
    const Vec<double> end =
        select<double>(a == 1, splat(__builtin_inf()), splat(__builtin_nan("")));
    const Vec<double> near = select<double>(a < 1e-4, a + a * (a * a * (1.0 / 3)), y);
    return copysign<double>(select<double>(a < 1, near, end), v);
  };
  return in_double(f, x);
}

// --- powers

// x^y = e^(y ln x) for x >= 0; called, for it is long
__attribute__((noinline)) inline Vec<float> power_of(Vec<float> x, Vec<float> y) {
  const auto f = [](Vec<double> v, Vec<double> w) {
    const Vec<double> p = w * Logarithm<double>::checked(short_log(v), v);
    return ShortExponential(at_most<double>(at_least<double>(p, -110), 90)).value();
  };
  return in_double(f, x, y);
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
