// Functions of one number, activations and choices, element by element; each derivative stands
// under its function.
#include "../functions.h"

#include "elementwise.h"
#include "error.h"

namespace mt::MT_ISA {
namespace {

// 1, 0 or -1; 0 for NaN
template <class T>
inline Vec<T> sign_of(Vec<T> x) {
  return select<T>(x > 0, splat<T>(1), select<T>(x < 0, splat<T>(-1), Vec<T>{}));
}

// For doubles the bindings call NumPy's loops, which are as fast, or nothing: there is nothing.
template <class T, class F, class... X>
inline void of_floats([[maybe_unused]] const Walk& walk, const F& f, [[maybe_unused]] T* out,
                      [[maybe_unused]] const X*... x) {
  if constexpr (sizeof(T) == 4) elementwise<T>(walk, f, out, x...);
}
#define MT_OF_FLOAT(name, expression)                            \
  template <class T>                                             \
  void name(T* out, const T* x0, const Walk& walk) {             \
    of_floats(walk, [](auto x) { return expression; }, out, x0); \
  }

MT_UNARY(abs, abs<T>(x))
MT_UNARY(sign, sign_of<T>(x))
MT_UNARY(exp, exp<T>(x))
MT_UNARY(log, log<T>(x))
MT_UNARY(sqrt, sqrt<T>(x))
MT_UNARY(rsqrt, rsqrt<T>(x))
MT_UNARY(expm1, expm1<T>(x))
MT_UNARY(log1p, log1p<T>(x))
MT_UNARY(exp2, exp2<T>(x))
MT_UNARY(sin, sin<T>(x))
MT_UNARY(cos, cos<T>(x))
MT_UNARY(floor, floor<T>(x))
MT_UNARY(ceil, ceil<T>(x))
MT_UNARY(trunc, trunc<T>(x))
MT_UNARY(round, round<T>(x))
MT_UNARY(frac, x - trunc<T>(x))
MT_OF_FLOAT(log2, log2(x))
MT_OF_FLOAT(log10, log10(x))
MT_OF_FLOAT(tan, tan(x))
MT_OF_FLOAT(atan, atan(x))
MT_OF_FLOAT(asin, asin(x))
MT_OF_FLOAT(acos, acos(x))
MT_OF_FLOAT(sinh, sinh(x))
MT_OF_FLOAT(atanh, atanh(x))
MT_OF_FLOAT(lgamma, lgamma(x))
MT_OF_FLOAT(digamma, digamma(x))
MT_OF_FLOAT(erfinv, erfinv(x))
MT_UNARY(cosh, cosh(x))
MT_UNARY(erf, erf(x))
MT_UNARY(erfc, erfc(x))
MT_BINARY(copysign, copysign<T>(x, y))

// sin(pi x) / (pi x), or the slope of that, (cos(pi x) - sinc x) / x; in double precision the
// difference keeps a float's digits down to where one term of its series does
inline Vec<double> sinc_of(Vec<double> x, bool slope) {
  const Vec<double> whole = round<double>(x), half = whole * 0.5, t = pi_times_rest(x);
  const Vec<double> sign = select<double>(trunc<double>(half) == half, splat(1.0), splat(-1.0));
  const Vec<double> y = sign * sine(t, false) / (x * 3.1415926535897932);
  if (!slope) return select<double>(x == 0, splat(1.0), y);
  return select<double>(abs<double>(x) < 1e-4, x * -3.2898681336964529,
                        (sign * sine(t, true) - y) / x);
}
template <class T>
void sinc(T* out, const T* x0, bool slope, const Walk& walk) {
  const auto f = [slope](Vec<double> x) { return sinc_of(x, slope); };
  of_floats(walk, [f](auto x) { return in_double(f, x); }, out, x0);
}

template <class T>
void atan2(T* out, const T* x0, const T* x1, const Walk& walk) {
  of_floats(walk, [](auto y, auto x) { return atan2(y, x); }, out, x0, x1);
}

// --- powers

MT_BINARY(pow, power<T>(x, y))

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
    run([](Vec<T> x) { return sqrt<T>(x); });
  else if (y == T(-0.5))
    run([](Vec<T> x) { return rsqrt<T>(x); });
  else if (y == -1 || y == -2)
    run([square = y == -2](Vec<T> x) {
      const Vec<T> r = 1 / x;
      return square ? r * r : r;
    });
  else if constexpr (sizeof(T) == 4)
    run([y](Vec<T> x) { return power<T>(x, splat<T>(y)); });
}

// --- activations: y = f(x), and dx = g f'(x), where f' is had from y if that is cheaper

MT_UNARY(tanh, tanh<T>(x))
MT_BINARY(tanh_vjp, x * (1 - y * y))  // x is g

MT_UNARY(sigmoid, sigmoid<T>(x))
MT_BINARY(sigmoid_vjp, x*(y * (1 - y)))  // x is g

MT_UNARY(relu, select<T>(x < 0, Vec<T>{}, x))
MT_BINARY(relu_vjp, select<T>(y <= 0, Vec<T>{}, x))  // x is g

// y = x s(x),  y' = s + x s (1 - s)
template <class T>
inline Vec<T> silu_slope(Vec<T> x) {
  const Vec<T> s = sigmoid<T>(x);
  return s * (1 + x * (1 - s));
}
template <class T>
inline Vec<T> silu_of(Vec<T> x) {
  const auto times_x = [x](Vec<T> s, Vec<T> more) {
    const Vec<T> rest = x * more;  // NaN for infinities
    return x * s + select<T>(rest == rest, rest, Vec<T>{});
  };
  return sigmoid_and<T>(times_x, x);
}
MT_UNARY(silu, silu_of<T>(x))
MT_BINARY(silu_vjp, x* silu_slope<T>(y))  // x is g

// y = x P(x),  y' = P(x) + x p(x),  P(x) = (1 + erf(x / sqrt 2)) / 2,  p(x) = exp(-x^2 / 2) /
// sqrt(2 pi)
template <class T>
inline Vec<T> normal_cdf(Vec<T> x) {
  if constexpr (sizeof(T) == 8) {
    return erfc(x * T(-0.70710678118654752)) * T(0.5);
  } else {
    // P(-|x|) = 2^t, t a polynomial in |x| fitted up to 6: the error is below 1e-8, and where x < 0
    // nothing cancels.
    static constexpr T c[] = {-1,
                              -0x1.26aedep+0f,
                              -0x1.d639dp-2f,
                              -0x1.ae1f06p-5f,
                              0x1.cfb2bap-8f,
                              -0x1.31e9a6p-13f,
                              -0x1.7ed466p-13f,
                              0x1.43f956p-15f,
                              -0x1.740ec2p-19f};
    static constexpr T power[] = {0x1.000002p+0f, 0x1.62e428p-1f, 0x1.ebf918p-3f,
                                  0x1.c6b6e4p-5f, 0x1.3d0c52p-7f, 0x1.5c08e6p-10f};  // of 2^f
    const T round = Format<T>::round;
    const Vec<T> t = at_least<T>(polynomial(c, at_most<T>(abs<T>(x), T(13))), T(-126));
    const Vec<T> shifted = t + round;
    const Vec<T> small = polynomial(power, t - (shifted - round)) *
                         power_of_two<T>(bits<T>(shifted) - bits<T>(splat<T>(round)));
    const Vec<T> tail = select<T>(t <= T(-126), splat<T>(0), small);  // beyond the normal range
    return select<T>(x > 0, 1 - tail, tail);
  }
}
template <class T>
inline Vec<T> normal_pdf(Vec<T> x) {
  return exp_negative<T>(x * x * T(-0.5)) * T(0.39894228040143268);
}
MT_UNARY(gelu, x* normal_cdf<T>(x))
MT_BINARY(gelu_vjp, x*(normal_cdf<T>(y) + y * normal_pdf<T>(y)))  // x is g

// y = x (1 + t)/2,  y' = (1 + t)/2 + x (1 - t^2) u'/2,  t = tanh u,  u = sqrt(2 / pi) (x + 0.044715
// x^3)
template <class T>
inline Vec<T> gelu_tanh_t(Vec<T> x) {
  return tanh<T>(T(0.79788456080286536) * x * (1 + T(0.044715) * x * x));
}
template <class T>
inline Vec<T> gelu_tanh_slope(Vec<T> x) {
  const Vec<T> t = gelu_tanh_t<T>(x);
  const Vec<T> du = T(0.79788456080286536) * (1 + T(3 * 0.044715) * x * x);
  return T(0.5) * (1 + t + x * (1 - t * t) * du);
}
MT_UNARY(gelu_tanh, T(0.5) * x * (1 + gelu_tanh_t<T>(x)))
MT_BINARY(gelu_tanh_vjp, x* gelu_tanh_slope<T>(y))  // x is g

// y = x, or slope x where x <= 0
template <class T>
void leaky_relu(T* out, const T* x0, T slope, const Walk& walk) {
  elementwise<T>(walk, [slope](Vec<T> x) { return select<T>(x > 0, x, x * slope); }, out, x0);
}
template <class T>
void leaky_relu_vjp(T* dx, const T* g0, const T* x0, T slope, const Walk& walk) {
  elementwise<T>(
      walk, [slope](Vec<T> g, Vec<T> x) { return select<T>(x > 0, g, g * slope); }, dx, g0, x0);
}

// y = x, or slope x where x <= 0, with a slope for each; y is it
MT_BINARY(prelu, select<T>(x > 0, x, x* y))

// y = x where |x| > reach, else 0; `soft`: less reach, and so without a leap;  y' is 1 or 0
template <class T>
void shrink(T* out, const T* x0, T reach, bool soft, const Walk& walk) {
  const T less = soft ? reach : 0;
  const auto f = [=](Vec<T> x) {
    return select<T>(abs<T>(x) <= reach, Vec<T>{}, x - copysign<T>(splat<T>(less), x));
  };
  elementwise<T>(walk, f, out, x0);
}
template <class T>
void shrink_vjp(T* dx, const T* g0, const T* x0, T reach, const Walk& walk) {
  const auto f = [=](Vec<T> g, Vec<T> x) {
    return select<T>(abs<T>(x) <= reach, Vec<T>{}, select<T>(x == x, g, x));
  };
  elementwise<T>(walk, f, dx, g0, x0);
}

// How much x - y counts, and g times the derivative of that by x
template <class T>
void error(T* out, const T* x0, const T* y0, const Measure& m, const Walk& walk) {
  const auto f = [e = ErrorOf<T>(m)](Vec<T> x, Vec<T> y) { return e.of(x - y); };
  elementwise<T>(walk, f, out, x0, y0);
}
template <class T>
void error_vjp(T* dx, const T* g0, const T* x0, const T* y0, const Measure& m, const Walk& walk) {
  const auto f = [e = ErrorOf<T>(m)](Vec<T> g, Vec<T> x, Vec<T> y) { return g * e.slope(x - y); };
  elementwise<T>(walk, f, dx, g0, x0, y0);
}

// y = ln(1 + exp(beta x)) / beta = max(x, 0) + ln(1 + exp(-|beta x|)) / beta, or x where beta x >
// threshold
template <class T>
void softplus(T* out, const T* x0, T beta, T threshold, const Walk& walk) {
  const auto f = [=](Vec<T> x) {
    const Vec<T> z = x * beta;
    const Vec<T> soft =
        (select<T>(z < 0, Vec<T>{}, z) + log1p<T>(exp_negative<T>(minus_abs<T>(z)))) / beta;
    return select<T>(z > threshold, x, soft);
  };
  elementwise<T>(walk, f, out, x0);
}
template <class T>
void softplus_vjp(T* dx, const T* g0, const T* x0, T beta, T threshold, const Walk& walk) {
  const auto f = [=](Vec<T> g, Vec<T> x) {
    const Vec<T> z = x * beta;
    return select<T>(z > threshold, g, g * sigmoid<T>(z));
  };
  elementwise<T>(walk, f, dx, g0, x0);
}

// y = x / (1 + |x|)
MT_UNARY(softsign, x / (1 + abs<T>(x)))

// y = ln s(x) = min(x, 0) - ln(1 + e^-|x|)
MT_UNARY(log_sigmoid, select<T>(x < 0, x, select<T>(x == x, Vec<T>{}, x)) -
                          log1p<T>(exp_negative<T>(minus_abs<T>(x))))

// y = positive x, or negative (exp(rate x) - 1) where x <= 0: elu, selu and celu
template <class T>
void elu(T* out, const T* x0, T positive, T negative, T rate, const Walk& walk) {
  const auto f = [=](Vec<T> x) {
    return select<T>(x > 0, x * positive, expm1<T>(x * rate) * negative);
  };
  elementwise<T>(walk, f, out, x0);
}
template <class T>
void elu_vjp(T* dx, const T* g0, const T* x0, T positive, T negative, T rate, const Walk& walk) {
  const auto f = [=](Vec<T> g, Vec<T> x) {
    return g * select<T>(x > 0, splat<T>(positive), exp<T>(x * rate) * (negative * rate));
  };
  elementwise<T>(walk, f, dx, g0, x0);
}

// y = x t,  y' = t + x (1 - t^2) s(x),  t = tanh(ln(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2),
// or the same divided by e^2x where x > 0
template <class T>
inline Vec<T> tanh_softplus(Vec<T> x, Vec<T> e) {  // e = e^-|x|
  const Vec<T> top = select<T>(x > 0, 1 + 2 * e, e * e + 2 * e);
  return top / (top + select<T>(x > 0, 2 * e * e, splat<T>(2)));
}
inline Vec<double> mish_of(Vec<double> x) {
  return x * tanh_softplus<double>(x, exp_negative<double>(minus_abs<double>(x)));
}
inline Vec<float> mish_of(Vec<float> x) {
  const auto f = [](Vec<double> v) {
    const Vec<double> low = minus_abs<double>(v);
    const ShortExponential e(at_least<double>(low, -110));
    const Vec<double> none{};  // below: -inf times it is NaN, what is finite becomes 0
    return v * tanh_softplus<double>(v, select<double>(low < -110, none, e.value()));
  };
  return in_double(f, x);
}
template <class T>
inline Vec<T> mish_slope(Vec<T> x) {
  const Vec<T> t = tanh_softplus<T>(x, exp_negative<T>(minus_abs<T>(x)));
  return t + x * (1 - t * t) * sigmoid<T>(x);
}
MT_UNARY(mish, mish_of(x))
MT_BINARY(mish_vjp, x* mish_slope<T>(y))  // x is g

// y = min(max(x, low), high) is clamp;  y' is 1 between the ends, 0 at them and outside, NaN at NaN
template <class T>
inline Vec<T> inside(Vec<T> g, Vec<T> x, T low, T high) {
  return select<T>((x > low) & (x < high), g, select<T>(x == x, Vec<T>{}, x));
}
template <class T>
void hardtanh_vjp(T* dx, const T* g0, const T* x0, T low, T high, const Walk& walk) {
  elementwise<T>(walk, [=](Vec<T> g, Vec<T> x) { return inside<T>(g, x, low, high); }, dx, g0, x0);
}

// y = min(max(x + 3, 0), 6) / 6
template <class T>
inline Vec<T> hardsigmoid_of(Vec<T> x) {
  const Vec<T> y = select<T>(x < -3, Vec<T>{}, x + 3);
  return select<T>(x > 3, splat<T>(6), y) / 6;
}
MT_UNARY(hardsigmoid, hardsigmoid_of<T>(x))
MT_BINARY(hardsigmoid_vjp, inside<T>(x / 6, y, -3, 3))  // x is g

// y = x min(max(x + 3, 0), 6) / 6
MT_UNARY(hardswish, x* hardsigmoid_of<T>(x))
MT_BINARY(hardswish_vjp, select<T>(y >= 3, x, inside<T>(x*(y / 3 + T(0.5)), y, -3, 3)))  // x is g

// --- choices

// y = x, or `value` where x <= least
template <class T>
void threshold(T* out, const T* x0, T least, T value, const Walk& walk) {
  const auto f = [=](Vec<T> x) { return select<T>(x <= least, splat<T>(value), x); };
  elementwise<T>(walk, f, out, x0);
}

// y = x, or a number for NaN, inf and -inf
template <class T>
void nan_to_num(T* out, const T* x0, T nan, T high, T low, const Walk& walk) {
  const auto f = [=, infinity = T(__builtin_inf())](Vec<T> x) {
    const Vec<T> y = select<T>(x == infinity, splat<T>(high), x);
    return select<T>(x == x, select<T>(x == -infinity, splat<T>(low), y), splat<T>(nan));
  };
  elementwise<T>(walk, f, out, x0);
}

// y = min(max(x, low), high); NaN stays
template <class T>
void clamp(T* out, const T* x0, T low, T high, const Walk& walk) {
  const auto f = [=](Vec<T> x) {
    const Vec<T> y = select<T>(x < low, splat<T>(low), x);
    return select<T>(y > high, splat<T>(high), y);
  };
  elementwise<T>(walk, f, out, x0);
}
template <class T>
void clamp_vjp(T* dx, const T* g0, const T* x0, T low, T high, const Walk& walk) {
  const auto f = [=](Vec<T> g, Vec<T> x) {
    return select<T>((x >= low) & (x <= high), g, Vec<T>{});
  };
  elementwise<T>(walk, f, dx, g0, x0);
}

MT_BINARY(maximum, maximum<T>(x, y))
MT_BINARY(minimum, minimum<T>(x, y))

// dx of maximum(x, y), and of minimum(y, x): g where x is chosen, half of it where they are equal
template <class T>
void maximum_vjp(T* dx, const T* g0, const T* x0, const T* y0, const Walk& walk) {
  const auto f = [](Vec<T> g, Vec<T> x, Vec<T> y) {
    return select<T>(x < y, Vec<T>{}, select<T>(x == y, g * T(0.5), g));
  };
  elementwise<T>(walk, f, dx, g0, x0, y0);
}

// 1 where x and y compare so, else 0; x > y is y < x
template <class T>
void compare(uint8_t* out, const T* x0, const T* y0, int how, const Walk& walk) {
  const auto run = [&](auto f) { elementwise<T>(walk, f, out, x0, y0); };
  if (how == kEqual)
    run([](Vec<T> x, Vec<T> y) -> Mask<T> { return x == y; });
  else if (how == kNotEqual)
    run([](Vec<T> x, Vec<T> y) -> Mask<T> { return x != y; });
  else if (how == kLess)
    run([](Vec<T> x, Vec<T> y) -> Mask<T> { return x < y; });
  else
    run([](Vec<T> x, Vec<T> y) -> Mask<T> { return x <= y; });
}

// x where the condition holds, else y
template <class T>
void where(T* out, const T* x0, const T* y0, const uint8_t* condition, const Walk& walk) {
  const auto f = [](Vec<T> x, Vec<T> y, Mask<T> c) { return select<T>(c, x, y); };
  elementwise<T>(walk, f, out, x0, y0, condition);
}

}  // namespace

MT_KERNEL(abs, abs)
MT_KERNEL(sign, sign)
MT_KERNEL(exp, exp)
MT_KERNEL(log, log)
MT_KERNEL(sqrt, sqrt)
MT_KERNEL(rsqrt, rsqrt)
MT_KERNEL(frac, frac)
MT_KERNEL(log2, log2)
MT_KERNEL(log10, log10)
MT_KERNEL(tan, tan)
MT_KERNEL(atan, atan)
MT_KERNEL(asin, asin)
MT_KERNEL(acos, acos)
MT_KERNEL(sinh, sinh)
MT_KERNEL(atanh, atanh)
MT_KERNEL(lgamma, lgamma)
MT_KERNEL(digamma, digamma)
MT_KERNEL(erfinv, erfinv)
MT_KERNEL(sinc, sinc)
MT_KERNEL(copysign, copysign)
MT_KERNEL(nan_to_num, nan_to_num)
MT_KERNEL(softsign, softsign)
MT_KERNEL(threshold, threshold)
MT_KERNEL(cosh, cosh)
MT_KERNEL(prelu, prelu)
MT_KERNEL(shrink, shrink)
MT_KERNEL(shrink_vjp, shrink_vjp)
MT_KERNEL(error, error)
MT_KERNEL(error_vjp, error_vjp)
MT_KERNEL(sin, sin)
MT_KERNEL(cos, cos)
MT_KERNEL(erf, erf)
MT_KERNEL(erfc, erfc)
MT_KERNEL(atan2, atan2)
MT_KERNEL(pow, pow)
MT_KERNEL(pow_scalar, pow_scalar)
MT_KERNEL(tanh, tanh)
MT_KERNEL(tanh_vjp, tanh_vjp)
MT_KERNEL(sigmoid, sigmoid)
MT_KERNEL(sigmoid_vjp, sigmoid_vjp)
MT_KERNEL(relu, relu)
MT_KERNEL(relu_vjp, relu_vjp)
MT_KERNEL(silu, silu)
MT_KERNEL(silu_vjp, silu_vjp)
MT_KERNEL(gelu, gelu)
MT_KERNEL(gelu_vjp, gelu_vjp)
MT_KERNEL(gelu_tanh, gelu_tanh)
MT_KERNEL(gelu_tanh_vjp, gelu_tanh_vjp)
MT_KERNEL(leaky_relu, leaky_relu)
MT_KERNEL(leaky_relu_vjp, leaky_relu_vjp)
MT_KERNEL(softplus, softplus)
MT_KERNEL(softplus_vjp, softplus_vjp)
MT_KERNEL(elu, elu)
MT_KERNEL(elu_vjp, elu_vjp)
MT_KERNEL(mish, mish)
MT_KERNEL(mish_vjp, mish_vjp)
MT_KERNEL(hardtanh_vjp, hardtanh_vjp)
MT_KERNEL(hardsigmoid, hardsigmoid)
MT_KERNEL(hardsigmoid_vjp, hardsigmoid_vjp)
MT_KERNEL(hardswish, hardswish)
MT_KERNEL(hardswish_vjp, hardswish_vjp)
MT_KERNEL(clamp, clamp)
MT_KERNEL(clamp_vjp, clamp_vjp)
MT_KERNEL(maximum, maximum)
MT_KERNEL(minimum, minimum)
MT_KERNEL(maximum_vjp, maximum_vjp)
MT_KERNEL(expm1, expm1)
MT_KERNEL(log1p, log1p)
MT_KERNEL(exp2, exp2)
MT_KERNEL(floor, floor)
MT_KERNEL(ceil, ceil)
MT_KERNEL(trunc, trunc)
MT_KERNEL(round, round)
MT_KERNEL(log_sigmoid, log_sigmoid)
MT_KERNEL(compare, compare)
MT_KERNEL(where, where)

}  // namespace mt::MT_ISA
