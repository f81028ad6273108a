// exp, log, tanh, erf, sine, powers: functions of vectors, right at NaN, infinities, denormals and
// where they overflow. In single precision within 1.5 ulp (2 without AVX-512, 2.5 without fused
// multiplication), those that go by way of doubles within 0.51; `bench/accuracy.py` measures them.
#pragma once

#include "simd.h"

namespace mt::MT_ISA {
namespace {

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

// --- exponentials

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

  // of x and a little more
  Exponential(Vec<T> x, Vec<T> more) {
    using F = Format<T>;
    begin(x * T(1.4426950408889634));
    end(((x - n * F::ln2_high) - n * F::ln2_low) + more);
  }

  // of x ln 2
  static Exponential to_base_2(Vec<T> x) {
    Exponential e;
    e.begin(x);
    e.end((x - e.n) * T(0.69314718055994531));
    return e;
  }

  // e^r, with what the sum of 1 and r rounds off
  Vec<T> around_one() const {
    const Vec<T> sum = r + 1;
    return sum + (more + ((1 - sum) + r));
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
inline Vec<T> exp(Vec<T> x) {
  using F = Format<T>;
  const Exponential<T> e(at_most<T>(at_least<T>(x, F::low), F::high));
  return e.scale(e.around_one());
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
  return e.scale(e.around_one());
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
// tanh on 16 intervals, two for each power of 2 from 1/16 on (the first begins at 0): about their
// middles, points whose tanh is all but a float, and the coefficients of a polynomial in the
// distance from there, one row for each power; in the first interval that of tanh x - x.
alignas(64) constexpr float tanh_pieces[9][16] = {
    {0, 0x1.bffcc6p-4f, 0x1.3ffa6cp-3f, 0x1.bffda6p-3f, 0x1.3ffc56p-2f, 0x1.bfffd6p-2f,
     0x1.3ffdfap-1f, 0x1.c002d8p-1f, 0x1.40015ep+0f, 0x1.bfff9p+0f, 0x1.3fff66p+1f, 0x1.bffa88p+1f,
     0x1.3ffc3ap+2f, 0x1.bfe438p+2f, 0x1.40dab2p+3f, 0},
    {0, 0x1.be35a8p-4f, 0x1.3d6656p-3f, 0x1.b8fac6p-3f, 0x1.35f636p-2f, 0x1.a5727cp-2f,
     0x1.1bf318p-1f, 0x1.6867cp-1f, 0x1.b253p-1f, 0x1.e1fbep-1f, 0x1.f92572p-1f, 0x1.ff1118p-1f,
     0x1.fff418p-1f, 0x1.ffffc8p-1f, 0x1p+0f, 0},
    {0, 0x1.f9ec82p-1f, 0x1.f3b3ccp-1f, 0x1.e84308p-1f, 0x1.d11676p-1f, 0x1.a945c8p-1f,
     0x1.628652p-1f, 0x1.024e04p-1f, 0x1.1f227ap-2f, 0x1.d22e22p-4f, 0x1.b3b3f2p-6f, 0x1.dd6086p-9f,
     0x1.7cf84ap-13f, 0x1.bff07ap-19f, 0x1.110edep-25f, 0},
    {0, -0x1.b8e924p-4f, -0x1.35c734p-3f, -0x1.a488c2p-3f, -0x1.198f9cp-2f, -0x1.5e0ed8p-2f,
     -0x1.893b2ep-2f, -0x1.6ba65cp-2f, -0x1.e7258ep-3f, -0x1.b6d9a4p-4f, -0x1.adde4ep-6f,
     -0x1.dc82cp-9f, -0x1.7d309ep-13f, -0x1.bfcad4p-19f, 0x1.d41148p-25f, 0},
    {-0x1.555532p-2f, -0x1.454648p-2f, -0x1.352158p-2f, -0x1.183b96p-2f, -0x1.c1a954p-3f,
     -0x1.16e22p-3f, -0x1.244a84p-6f, 0x1.4f1ab4p-4f, 0x1.bba336p-4f, 0x1.01baa6p-4f,
     0x1.16e06ep-6f, 0x1.3c83b2p-9f, 0x1.fc2e8p-14f, 0x1.2ab97ap-19f, 0x1.96b774p-24f, 0},
    {0, 0x1.f4a45ap-5f, 0x1.99011p-4f, 0x1.04e8aap-3f, 0x1.434af4p-3f, 0x1.5b7b7cp-3f,
     0x1.1a7bb6p-3f, 0x1.f1c728p-5f, -0x1.9c686ap-7f, -0x1.816778p-6f, -0x1.07d13p-7f,
     -0x1.3a07ap-10f, -0x1.f5e14ap-15f, -0x1.294766p-20f, 0x1.40ad3ap-24f, 0},
    {0x1.101928p-3f, 0x1.ee2008p-4f, 0x1.b6d4aap-4f, 0x1.5c1b4ep-4f, 0x1.74de42p-5f,
     -0x1.90cb1ap-8f, -0x1.c3b6bp-5f, -0x1.e2175ep-5f, -0x1.3aa998p-6f, 0x1.e49eacp-9f,
     0x1.771048p-9f, 0x1.ef2a0cp-12f, 0x1.9154b6p-16f, 0x1.d9e616p-22f, 0x1.654bbap-25f, 0},
    {0, 0x1.986584p+4f, -0x1.dbd21cp+0f, -0x1.4fd9f2p-4f, -0x1.d5de42p-6f, -0x1.839e82p-8f,
     -0x1.9ffd02p-6f, 0x1.cc1146p-7f, 0x1.ee1b9ap-7f, 0x1.10e6ecp-9f, -0x1.6e7afcp-11f,
     -0x1.499764p-13f, -0x1.352bf8p-17f, -0x1.627104p-23f, 0x1.980b0cp-27f, 0},
    {0, -0x1.fa61d2p+0f, 0x1.4e9f8ap-4f, -0x1.66bf5p-6f, -0x1.03541ep-10f, 0x1.70bff6p-6f,
     0x1.e3d576p-6f, 0x1.6bac7cp-7f, -0x1.2160b4p-8f, -0x1.01ddcp-9f, 0x1.f2affcp-15f,
     0x1.5f09a4p-15f, 0x1.5f1564p-19f, 0x1.998b92p-25f, 0x1.f618dp-30f, 0},
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
  Vec<float> y = pick(8);
  for (int row = 7; row >= 1; --row) y = y * d + pick(row);
  const __mmask16 in_first = _mm512_cmp_ps_mask(a, (__m512)splat(0x1.8p-4f), _CMP_LT_OQ);
  y = (Vec<float>)_mm512_mask_add_ps((__m512)y, in_first, (__m512)y, a);
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
  const Vec<T> v = power.around_one();
  if (__builtin_expect(!power.makes_denormals(), 1)) {
    const Vec<T> e = power.scale_normal(v);
    return ratio<T>(select<T>(x < 0, e, splat<T>(1)), 1, e);
  }
  const Vec<T> e = power.scale(v), large = select<T>(e < Format<T>::least, Vec<T>{}, e);
  const Vec<T> y = ratio<T>(select<T>(x < 0, large, splat<T>(1)), 1, large);
  return select<T>((x < 0) & (e < Format<T>::least), e, y);
}

// --- logarithms

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
      const Vec<T> r = (Vec<T>)m * at(kLog.inverse) - 1, log_c = at(kLog.log);
      f = log_c + r;  // and what that rounds off
      rest = r * r * (T(0.5) - r * (T(1) / 3 - r * (T(0.25) - r * T(0.2)))) - (r - (f - log_c));
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
inline Vec<T> natural(const Logarithm<T>& l) {
  using F = Format<T>;
  return l.n * F::ln2_high - ((l.rest - l.n * F::ln2_low) - l.f);
}
template <class T>
inline Vec<T> log(Vec<T> x) {
  return Logarithm<T>::checked(natural(Logarithm<T>(x)), x);
}

// ln(1 + x), accurate around 0: ln u with u = 1 + x rounded, and the derivative times what the
// rounding lost.
template <class T>
inline Vec<T> log1p(Vec<T> x) {
  const Vec<T> u = x + 1, lost = x - (u - 1);
  Logarithm<T> l(u);
#if defined(__AVX512F__)
  if constexpr (sizeof(T) == 4) {
    const Vec<T> slope = (Vec<T>)_mm512_maskz_rcp14_ps(-1, (__m512)u);
    l.rest -= lost * (slope + slope * (1 - u * slope));
  } else
#endif
    l.rest -= lost / u;
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
  const Vec<double> y = power.scale(power.around_one()) * (q * polynomial(p, (a - k) * q));
  return select<double>(x < 0, 2 - y, y);
}

template <class T>
inline Vec<T> erf(Vec<T> x) {
  if constexpr (sizeof(T) == 8) {
    static constexpr double p[] = {
        0x1.06eba8214db66p-3,  -0x1.812746b037820p-2,  0x1.ce2f21a028a34p-4,
        -0x1.b82ce3093b2fdp-6, 0x1.565bcb5ede4b9p-8,   -0x1.c02d5a0211f09p-11,
        0x1.f997b227f7e24p-14, -0x1.f3ea321aa6558p-17, 0x1.aeb120d68c0cbp-20,
        -0x1.10fa781af6375p-23};  // of erf(x)/x - 1
    const Vec<T> a = abs<T>(x);
    return copysign<T>(select<T>(a < T(0.75), a + a * polynomial(p, a * a), 1 - erfc(a)), x);
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
inline Vec<double> short_log(Vec<double> x) {
  using F = Format<double>;
  // x = 2^n m with m from sqrt(1/2) to sqrt(2), ln m = 2 artanh s, s = (m - 1)/(m + 1)
  static constexpr double c[] = {0x1.fffffffffff12p+0, 0x1.555555567148cp-1, 0x1.9999962c06032p-2,
                                 0x1.2494381ee5869p-2, 0x1.c620ee6e2b4a3p-3, 0x1.9192e478c4308p-3};
  const Mask<double> root = bits<double>(splat(0.70710678118654752)),
                     k = (bits<double>(x) - root) >> F::mantissa;
  const Vec<double> n = from_bits<double>(k + bits<double>(splat(F::round))) - F::round;
  const Vec<double> f = from_bits<double>(bits<double>(x) - (k << F::mantissa)) - 1;
  const Vec<double> s = f * inverse_of(f + 2);
  return n * 0.69314718055994531 + s * polynomial(c, s * s);
}

inline Vec<float> log2(Vec<float> x) {
  const auto f = [](Vec<double> v) { return short_log(v) * 1.4426950408889634; };
  return Logarithm<float>::checked(in_double(f, x), x);
}
inline Vec<float> log10(Vec<float> x) {
  const auto f = [](Vec<double> v) { return short_log(v) * 0.43429448190325182; };
  return Logarithm<float>::checked(in_double(f, x), x);
}

// (e^x + e^-x)/2, and the same with a minus: (t + t/(t + 1))/2 with t = e^|x| - 1
inline Vec<float> cosh(Vec<float> x) {
  const auto f = [](Vec<double> v) {
    const Vec<double> e = ShortExponential(at_most<double>(abs<double>(v), 90)).value();
    return (e + 1 / e) * 0.5;
  };
  return in_double(f, x);
}
inline Vec<double> cosh(Vec<double> x) {
  Exponential<double> e(at_most<double>(abs<double>(x), Format<double>::high + 1));
  e.n -= 1;  // e^|x| / 2 is finite for a little longer than e^|x|
  e.integer -= 1;
  const Vec<double> half = e.scale_normal(e.around_one());
  return half + 0.25 / half;
}
inline Vec<float> sinh(Vec<float> x) {
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
inline Vec<double> less_pi(Vec<double> x, Vec<double> n) {
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
inline Vec<double> sine(Vec<double> x, bool cosine) {
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
inline Vec<float> sine(Vec<float> x, bool cosine) {
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
inline Vec<float> tan(Vec<float> x) {
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

// atan |x|, or pi/2 less that of 1/|x| where |x| > 1
inline Vec<float> atan(Vec<float> x) {
  const auto f = [](Vec<double> v) {
    static constexpr double c[] = {
        -0x1.5555554e74b35p-2, 0x1.99998c8c70e06p-3, -0x1.249035356f79fp-3, 0x1.c6d94a4e392f4p-4,
        -0x1.72251c83739b9p-4, 0x1.2fd217ccc6a7ap-4, -0x1.d7eaf8f924fc4p-5, 0x1.39fa7ae12ac35p-5,
        -0x1.3b92d4977ae5p-6,  0x1.96cc733874da8p-8, -0x1.eae3fce3e9b57p-11};
    const Vec<double> a = abs<double>(v), t = select<double>(a > 1, 1 / a, a), t2 = t * t;
    const Vec<double> y = t + t * (t2 * polynomial(c, t2));
    return copysign<double>(select<double>(a > 1, 1.5707963267948966 - y, y), v);
  };
  return in_double(f, x);
}

// --- inverses of sine and cosine, in single precision

// asin a for 0 <= a <= 0.55
inline Vec<float> asin_of(Vec<float> a) {
  static constexpr float c[] = {0x1.555558p-3f, 0x1.333108p-4f,   0x1.6e2d74p-5f, 0x1.e5deaap-6f,
                                0x1.bee39ep-6f, -0x1.2a06d8p-13f, 0x1.61e12ep-5f};
  const Vec<float> a2 = a * a;
  return a + a * (a2 * polynomial(c, a2));
}

// asin a = pi/2 - 2 asin sqrt((1 - a)/2)
inline Vec<float> asin(Vec<float> x) {
  const Vec<float> a = abs<float>(x),
                   y = asin_of(select<float>(a > 0.55f, sqrt<float>((1 - a) * 0.5f), a));
  return copysign<float>(select<float>(a > 0.55f, 0x1.921fb6p0f - (2 * y + 0x1.777a5cp-25f), y), x);
}

inline Vec<float> acos(Vec<float> x) {
  const Vec<float> a = abs<float>(x),
                   y = asin_of(select<float>(a > 0.55f, sqrt<float>((1 - a) * 0.5f), a));
  const Vec<float> near = 0x1.921fb6p0f - (copysign<float>(y, x) + 0x1.777a5cp-25f);
  return select<float>(
      a > 0.55f, select<float>(x < 0, 0x1.921fb6p1f - (2 * y + 0x1.777a5cp-24f), 2 * y), near);
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
