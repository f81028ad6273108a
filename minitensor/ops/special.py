"""Special functions, element by element: the error function's family, modified Bessel functions, entropy, logit.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row. What is
not in Python's `math` is computed in float64, whatever the dtype. Kernels (erf, erfc): csrc/kernels/functions.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import _core
from ..graph.record import apply, apply_one
from ..op import Op, Sample
from .arithmetic import add, div, mul, neg, square, sub
from .common import ONE, TWO, Array, composed, draws, elementwise, promote_float, unary, write_out
from .comparison import clamp, eq, gt, le, logical_and, logical_or, lt, where
from .functions import exp, log, log1p, or_else, plain, sign

# --- erf, erfc --------------------------------------------------------------------------------------------------------


def _each(f: Callable[[float], float]) -> Callable[[Array], Array]:
    """A function of Python's `math` on every element."""
    return lambda x: np.array([f(v) for v in x.ravel().tolist()], x.dtype).reshape(x.shape)


erf_reference = _each(math.erf)

ERF = elementwise(
    "erf",
    reference=erf_reference,
    kernel=_core.erf,
    rules=(lambda g, x: mul(g, mul(exp(neg(square(x))), 2 / math.sqrt(math.pi))),),
    saves="x",
    samples=draws(*ONE),
)


def erf(input: Any, *, out: Any = None) -> Any:
    r"""The error function.

        forward    out = 2 / sqrt(pi) * the integral of exp(-t^2) from 0 to x
        backward   dx = g * 2 / sqrt(pi) * exp(-x^2)

    >>> mt.erf(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    result = apply_one(ERF, input)
    return result if out is None else write_out("erf", result, out)


ERFC = elementwise(
    "erfc",
    reference=_each(math.erfc),
    kernel=_core.erfc,
    rules=(lambda g, x: mul(g, mul(exp(neg(square(x))), -2 / math.sqrt(math.pi))),),
    saves="x",
    samples=draws(*ONE),
)


def erfc(input: Any, *, out: Any = None) -> Any:
    r"""What `erf` leaves of 1, accurate where that is little.

        forward    out = 1 - erf(x)
        backward   dx = -g * 2 / sqrt(pi) * exp(-x^2)

    >>> mt.erfc(mt.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1573])
    """
    return unary(ERFC, input, out)


# (1 + 2 x) erfcx(x) as Chebyshev polynomials in t = (x - 3.75) / (x + 3.75), from its values at 60 Chebyshev points in
# 40 digits. Source: M. Shepherd and J. Laframboise, "Chebyshev approximation of (1 + 2x) exp(x^2) erfc x" (1981).
_ERFCX = (
    1.1775789345674018, -0.0045900545806464773, -0.084249133366517916, 0.05920993999819189, -0.026658668435305752,
    0.0090749976707052651, -0.0024131635404176082, 0.00049077583652580863, -6.9169733025012064e-5,
    4.1390279860730102e-6, 7.7403830661984907e-7, -2.1886401049234396e-7, 1.076499946567091e-8,
    4.5219598112182869e-9, -7.7544002088313511e-10, -6.3180883408866845e-11, 2.8687950109306699e-11,
    1.9455868545777347e-13, -9.6546967484334389e-13, 3.2525481481487398e-14, 3.3478119482868054e-14,
    -1.8645628804193131e-15, -1.2507950530688647e-15, 7.4182352566240435e-17, 5.0681489047961113e-17,
)  # fmt: skip


def _erfcx_reference(x: Array) -> Any:
    t = np.asarray(x, np.float64)
    a = np.abs(t)
    right = np.polynomial.chebyshev.chebval(1 - 7.5 / (a + 3.75), _ERFCX) / (1 + 2 * a)
    # e^(x^2) with x = h + r and h of few bits, so that h^2 is exact; infinite from 27 on.
    near = np.clip(t, -40, 0)
    h = np.round(near * 1024) / 1024
    left = 2 * np.exp(h * h) * np.exp((near - h) * (near + h)) - right
    return np.where(t < 0, left, right).astype(x.dtype)


ERFCX: Op = plain("erfcx", _erfcx_reference, lambda g, x: _erfcx_dx(g, x), "x")


def _erfcx_dx(g: Any, x: Any) -> Any:
    return mul(g, sub(mul(mul(x, 2), apply(ERFCX, x)), 2 / math.sqrt(math.pi)))


def erfcx(input: Any, *, out: Any = None) -> Any:
    r"""`erfc` scaled so that it does not vanish on the right.

        forward    out = exp(x^2) erfc(x)
        backward   dx = g (2 x out - 2 / sqrt(pi))

    >>> mt.special.erfcx(mt.tensor([0.0, 10.0]))
    tensor([1.0000, 0.0561])
    """
    return unary(ERFCX, input, out)


# --- the normal distribution, and the inverses ------------------------------------------------------------------------

_ROOT2 = math.sqrt(2)


def _log_ndtr(x: Array) -> Any:
    left = np.minimum(x, 0)
    low = np.log(0.5 * _erfcx_reference(-left / _ROOT2)) - 0.5 * left * left
    right = np.maximum(x, 0)
    high = np.log1p(-0.5 * _erfcx_reference(right / _ROOT2) * np.exp(-0.5 * right * right))
    return np.where(x < 0, low, high)


LOG_NDTR = plain(
    "log_ndtr",
    lambda x: _log_ndtr(np.asarray(x, np.float64)).astype(x.dtype),
    lambda g, x: div(mul(g, math.sqrt(2 / math.pi)), erfcx(mul(x, -1 / _ROOT2))),
    "x",
)


def ndtr(input: Any, *, out: Any = None) -> Any:
    r"""The chance that a normal variable is below x.

        forward    out = erfc(-x / sqrt 2) / 2
        backward   dx = g exp(-x^2 / 2) / sqrt(2 pi)

    >>> mt.special.ndtr(mt.tensor([0.0, 1.96]))
    tensor([0.5000, 0.9750])
    """
    result = mul(erfc(mul(*promote_float("ndtr", input, -1 / _ROOT2))), 0.5)
    return result if out is None else write_out("ndtr", result, out)


def log_ndtr(input: Any, *, out: Any = None) -> Any:
    r"""The logarithm of `ndtr`, accurate on both sides.

        forward    out = ln ndtr(x)
        backward   dx = g exp(-x^2 / 2) / (sqrt(2 pi) ndtr(x))

    >>> mt.special.log_ndtr(mt.tensor([-4.0, 0.0]))
    tensor([-10.3601,  -0.6931])
    """
    return unary(LOG_NDTR, input, out)


# erfinv(x) / x for |x| <= 0.8, as Chebyshev polynomials in x^2 / 0.32 - 1; and -ndtri(q) / t with t = sqrt(-2 ln q)
# from 2.1 to 40, in ln t stretched to [-1, 1]. From their values at 48 and 60 Chebyshev points in 30 digits.
_CENTRE = (
    0.99288537661894082, 0.12046751614310449, 0.016078199342099945, 0.0026867044371623158,
    0.00049963473023572629, 9.8898218599120441e-5, 2.0391812763994434e-5, 4.3272716177354219e-6,
    9.3808141285934068e-7, 2.0673472086834274e-7, 4.6159699105430008e-8, 1.0416679702714622e-8,
    2.3715009995921222e-9, 5.4392840684713897e-10, 1.2554898640979872e-10, 2.9138180366320149e-11,
    6.7949421808797185e-12, 1.5912343331469282e-12, 3.7402505852454032e-13, 8.8208776242087008e-14,
    2.0865089772451069e-14, 4.9488041038658228e-15, 1.1766394739746986e-15, 2.803855724565154e-16,
    6.6950663841814912e-17, 1.6016549539167004e-17,
)  # fmt: skip
_TAIL = (
    0.88384393317513248, 0.17580322680276844, -0.085790902364219745, 0.029548905444064996,
    -0.0075641433602313777, 0.001470461873521248, -0.00021513642872029572, 2.2440513282262738e-5,
    -1.4871839425808061e-6, 9.9134346945925603e-8, -3.5427124298122865e-8, 9.7382374228253343e-9,
    -7.2151503923942159e-10, -3.4111780587612533e-10, 1.0867449382936805e-10, -1.7281032280822051e-12,
    -6.5216566660078447e-12, 1.4967870568693483e-12, 1.1874993840487597e-13, -1.2765658239897969e-13,
    1.8739242860671788e-14, 5.1021091356839716e-15, -2.420844913990519e-15, 1.341417112299316e-16,
    1.5065749054398417e-16, -4.1141364327391e-17, -2.8775679394522337e-18,
)  # fmt: skip


def _upper_tail(q: Array) -> Any:
    """z with ndtr(-z) = q, for q up to 1/10."""
    t = np.sqrt(-2 * np.log(q))
    place = np.log(t * t / (2.1 * 40)) / math.log(40 / 2.1)
    return t * np.polynomial.chebyshev.chebval(place, _TAIL)


def _erfinv(x: Array) -> Any:
    a = np.abs(x)
    inner = np.where(a <= 0.8, a, 0)
    centre = inner * np.polynomial.chebyshev.chebval(inner * inner / 0.32 - 1, _CENTRE)
    tail = _upper_tail(np.where((a > 0.8) & (a < 1), (1 - a) / 2, 0.1)) / _ROOT2
    out = np.where(a <= 0.8, centre, np.where(a < 1, tail, np.where(a == 1, np.inf, np.nan)))
    return np.copysign(out, x)


def _ndtri(p: Array) -> Any:
    q = np.where(p < 0.5, p, 1 - p)
    tail = _upper_tail(np.where((q > 0) & (q < 0.1), q, 0.1))
    tail = np.where(p < 0.5, -tail, tail)
    out = np.where(q < 0.1, tail, _ROOT2 * _erfinv(2 * np.where(q < 0.1, 0.5, p) - 1))
    out = np.where(p == 0, -np.inf, np.where(p == 1, np.inf, out))
    return np.where((p >= 0) & (p <= 1), out, np.nan)


ERFINV = plain(
    "erfinv",
    _erfinv,
    lambda g, out: mul(g, mul(exp(square(out)), math.sqrt(math.pi) / 2)),
    "out",
    -0.9,
    0.9,
    or_else(_core.erfinv, _erfinv),
)

NDTRI = plain(
    "ndtri",
    lambda x: _ndtri(np.asarray(x, np.float64)).astype(x.dtype),
    lambda g, out: mul(g, mul(exp(mul(square(out), 0.5)), math.sqrt(2 * math.pi))),
    "out",
    0.02,
    0.98,
)


def erfinv(input: Any, *, out: Any = None) -> Any:
    r"""The inverse of `erf` on [-1, 1]; NaN outside.

        forward    erf(out) = x
        backward   dx = g * sqrt(pi) / 2 * exp(out^2)

    >>> mt.erfinv(mt.tensor([0.0, 0.5, 1.0]))
    tensor([0.0000, 0.4769,    inf])
    """
    return unary(ERFINV, input, out)


def ndtri(input: Any, *, out: Any = None) -> Any:
    r"""The inverse of `ndtr` on [0, 1], the normal quantile; NaN outside.

        forward    ndtr(out) = x
        backward   dx = g * sqrt(2 pi) * exp(out^2 / 2)

    >>> mt.special.ndtri(mt.tensor([0.5, 0.975]))
    tensor([0.0000, 1.9600])
    """
    return unary(NDTRI, input, out)


# --- entropy, logit ---------------------------------------------------------------------------------------------------


def _product_with_log(
    name: str, reference: Callable[..., Any], kernel: Any, log_: Callable[..., Any], pole: float
) -> Op:
    """The row of x l(y) with l = log or log1p, infinite at the pole of y; 0 where x is 0 and y is a number."""

    def dx(g: Any, x: Any, y: Any) -> Any:
        # Where x = 0 hides the logarithm's pole, the derivatives must not meet it either.
        hidden = logical_and(eq(x, 0), le(y, pole))
        return mul(g, log_(where(hidden, 1.0 + pole, y)))

    def product(x: Array, y: Array) -> Array:
        return np.where(np.isnan(y), y, np.where(x == 0, 0, x * reference(y))).astype(x.dtype)

    def run(x: Array, y: Array) -> Any:
        product = _core.mul(x, kernel(y))
        return _core.where(product, 0.0, np.asarray(np.logical_or(_core.ne(x, 0.0), _core.ne(y, y))))

    return elementwise(
        name,
        reference=product,
        kernel=composed(name, run),
        rules=(dx, lambda g, x, y: mul(g, div(x, sub(y, pole)))),
        saves="x y",
        samples=draws(*TWO, low=0.5, high=2.0),
    )


XLOGY = _product_with_log("xlogy", np.log, _core.log, log, 0.0)
XLOG1PY = _product_with_log("xlog1py", np.log1p, _core.log1p, log1p, -1.0)


def xlogy(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""x ln y, and 0 where x = 0, unless y is NaN.

        forward    out = x ln y
        backward   dx = g ln y, 0 where x = 0 and y <= 0;  dy = g x / y

    Shapes broadcast; a dtype is promoted, integers to floats.

    >>> mt.xlogy(mt.tensor([0.0, 2.0]), mt.tensor([0.0, 3.0]))
    tensor([0.0000, 2.1972])
    """
    result = apply(XLOGY, *promote_float("xlogy", input, other))
    return result if out is None else write_out("xlogy", result, out)


def xlog1py(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""x ln(1 + y), and 0 where x = 0, unless y is NaN.

        forward    out = x ln(1 + y)
        backward   dx = g ln(1 + y), 0 where x = 0 and y <= -1;  dy = g x / (1 + y)

    >>> mt.special.xlog1py(mt.tensor([0.0, 2.0]), mt.tensor([-1.0, 2.0]))
    tensor([0.0000, 2.1972])
    """
    result = apply(XLOG1PY, *promote_float("xlog1py", input, other))
    return result if out is None else write_out("xlog1py", result, out)


def _entr_kernel(x: Array) -> Any:
    product = _core.where(_core.mul(_core.neg(x), _core.log(x)), 0.0, _core.ne(x, 0.0))
    return _core.where(-math.inf, product, _core.lt(x, 0.0))


def _entr_reference(x: Array) -> Array:
    product = np.where(x > 0, -x * np.log(x), np.where(x == 0, 0, -np.inf))
    return np.where(np.isnan(x), x, product).astype(x.dtype)


ENTR = plain("entr", _entr_reference, lambda g, x: neg(mul(g, add(log(x), 1))), "x", 0.3, 3, _entr_kernel)


def entr(input: Any, *, out: Any = None) -> Any:
    r"""The entropy of one probability: 0 at 0, -inf below.

        forward    out = -x ln x
        backward   dx = -g (ln x + 1)

    >>> mt.special.entr(mt.tensor([0.0, 0.5]))
    tensor([0.0000, 0.3466])
    """
    return unary(ENTR, input, out)


def _logit_dx(g: Any, x: Any) -> Any:
    slope = div(g, mul(x, sub(1, x)))
    return where(logical_or(lt(x, 0), gt(x, 1)), math.nan, slope)


def _logit_kernel(x: Array) -> Array:
    return _core.log(_core.div(x, _core.sub(1.0, x)))


LOGIT = plain("logit", lambda x: np.log(x / (1 - x)), _logit_dx, "x", 0.1, 0.9, _logit_kernel)


def logit(input: Any, eps: float | None = None, *, out: Any = None) -> Any:
    r"""The inverse of the sigmoid; NaN outside [0, 1] unless `eps` is given, which first clamps to [eps, 1 - eps].

        forward    out = ln(x / (1 - x))
        backward   dx = g / (x (1 - x)), and 0 where x was clamped

    >>> mt.logit(mt.tensor([0.5, 0.9]))
    tensor([0.0000, 2.1972])
    """
    (x,) = promote_float("logit", input)
    result = apply(LOGIT, x if eps is None or eps < 0 else clamp(x, eps, 1 - eps))
    return result if out is None else write_out("logit", result, out)


# --- modified Bessel functions ----------------------------------------------------------------------------------------


def _bessel_reference(x: Array, *, order: int, scaled: bool) -> Array:
    t = np.abs(np.asarray(x, np.float64))
    # Up to 30 the power series, whose terms are all positive: (t/2)^(2k + n) / (k! (k + n)!)
    near = np.where(t > 30, 0, t)
    term = (near / 2) ** order / math.factorial(order)
    total = term
    for k in range(1, 70):
        term = term * (near * near / (4 * k * (k + order)))
        total = total + term
    # From there the asymptotic one in 1/t, of which 30 terms are still falling.
    far = np.where(t > 30, t, 31)
    fall, series = np.ones_like(t), np.ones_like(t)
    for k in range(1, 30):
        fall = fall * (((2 * k - 1) ** 2 - 4 * order**2) / (8 * k * far))
        series = series + fall
    y = np.where(t > 30, series / np.sqrt(2 * np.pi * far), total * np.exp(-near))
    if not scaled:
        half = np.exp(t / 2)  # e^t itself would overflow a little too early
        y = np.where(np.isinf(t), t, y * half * half)
    return (np.where(x < 0, -y, y) if order % 2 else y).astype(x.dtype)


def _bessel_dx(g: Any, x: Any, *, order: int, scaled: bool) -> Any:
    def at(n: int) -> Any:
        return apply(BESSEL_I, x, order=n, scaled=scaled)

    slope = mul(add(at(abs(order - 1)), at(order + 1)), 0.5)
    return mul(g, sub(slope, mul(sign(x), at(order))) if scaled else slope)


def _bessel_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for order, scaled in ((0, False), (0, True), (1, False), (1, True), (3, True)):
        yield from draws(*ONE, away=0.1, order=order, scaled=scaled)(rng)
        yield from draws(((5,),), low=29, high=40, order=order, scaled=True)(rng)


BESSEL_I: Op = elementwise(
    "bessel_i",
    reference=_bessel_reference,
    kernel=None,
    rules=(_bessel_dx,),
    saves="x",
    samples=_bessel_samples,
)


def _bessel(name: str, input: Any, order: int, scaled: bool, out: Any) -> Any:
    (x,) = promote_float(name, input)
    result = apply(BESSEL_I, x, order=order, scaled=scaled)
    return result if out is None else write_out(name, result, out)


def i0(input: Any, *, out: Any = None) -> Any:
    r"""The modified Bessel function of the first kind and order 0.

        forward    I_n(x) = sum of (x/2)^(2k + n) / (k! (k + n)!) over k >= 0
        backward   dx = g (I_(n-1) + I_(n+1)) / 2, where I_(-n) = I_n

    >>> mt.i0(mt.tensor([0.0, 1.0]))
    tensor([1.0000, 1.2661])
    """
    return _bessel("i0", input, 0, False, out)


def i1(input: Any, *, out: Any = None) -> Any:
    """The modified Bessel function of order 1; see `i0`.

    >>> mt.special.i1(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.5652])
    """
    return _bessel("i1", input, 1, False, out)


def i0e(input: Any, *, out: Any = None) -> Any:
    """exp(-|x|) `i0`(x), which does not overflow.

    >>> mt.special.i0e(mt.tensor([0.0, 1000.0]))
    tensor([1.0000, 0.0126])
    """
    return _bessel("i0e", input, 0, True, out)


def i1e(input: Any, *, out: Any = None) -> Any:
    """exp(-|x|) `i1`(x), which does not overflow.

    >>> mt.special.i1e(mt.tensor([0.0, 1000.0]))
    tensor([0.0000, 0.0126])
    """
    return _bessel("i1e", input, 1, True, out)
