"""The gamma function's family: lgamma, digamma, polygamma, the Hurwitz zeta function, mvlgamma, igamma.

NumPy computes them in float64, whatever the dtype: recurrences to where a series converges fast, and the reflection
formulas on the left. They are right to about 10 units in the last place, next to zeros off 0 to as much of size 1.
Of floats lgamma and digamma have kernels (csrc/functions.h), within one unit but for their zeros left of 0.
Source: NIST Digital Library of Mathematical Functions, chapters 5 and 25.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core
from ..errors import GraphError, ShapeError
from ..graph.modes import grad_enabled
from ..graph.record import apply
from ..op import Op, Sample
from .arithmetic import add, mul, neg, sub
from .common import ONE, TWO, Array, draws, elementwise, few, named, promote_float, unary, write_out
from .functions import exp, or_else, plain
from .special import xlogy

# Of Bernoulli: B_2, B_4 ... B_24.
_BERNOULLI = (
    1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510, 43867 / 798, -174611 / 330,
    854513 / 138, -236364091 / 2730,
)  # fmt: skip


def _from_integer(x: Array) -> Array:
    """x less the nearest integer, exactly: pi times it is what a sine of pi x needs."""
    fraction: Array = x - np.round(x)
    return fraction


# --- zeta -------------------------------------------------------------------------------------------------------------


def _hurwitz(s: Array, q: Array) -> Array:
    """The sum of (q + k)^-s over k >= 0 for s > 1, q > 0: ten terms, and the formula of Euler and Maclaurin."""
    total = np.zeros(np.broadcast(s, q).shape)
    for k in range(10):
        total = total + (q + k) ** -s
    w = q + 10
    power = w**-s
    total = total + power * (w / (s - 1) + 0.5)
    factor = s * power / w
    for j, b in enumerate(_BERNOULLI, 1):
        total = total + factor * (b / math.factorial(2 * j))
        factor = factor * (s + 2 * j - 1) * (s + 2 * j) / (w * w)
    return np.where(np.isinf(q) & ~np.isnan(s), 0.0, total)


@functools.cache
def _cotangent_derivative(n: int) -> Array:
    """The polynomial P in c = cot u whose value is the n-th derivative of cot u: (c^k)' = -k c^(k-1) (1 + c^2)."""
    p = np.array([0.0, 1.0])
    for _ in range(n):
        p = np.polynomial.polynomial.polymul(np.polynomial.polynomial.polyder(p), [-1.0, 0.0, -1.0])
    return p


def _polygamma(n: int, x: Array) -> Array:
    """The n-th derivative of digamma, n >= 1, right of 0 a zeta function and left of it the mirror image of that."""
    left = x < 0.5
    sign = -1.0 if n % 2 == 0 else 1.0
    factorial = float(math.factorial(n)) if n < 171 else math.inf
    right = sign * factorial * _hurwitz(np.asarray(n + 1.0), np.where(left, 1 - x, x))
    cotangent = 1 / np.tan(np.pi * _from_integer(np.where(left, x, 0.25)))
    mirrored = -sign * right - np.pi ** (n + 1) * np.polynomial.polynomial.polyval(cotangent, _cotangent_derivative(n))
    poles = (x <= 0) & (x == np.floor(x)) & np.isfinite(x)
    return np.where(poles, sign * np.inf, np.where(left, mirrored, right))


def _zeta_reference(s: Array, q: Array) -> Array:
    dtype = s.dtype
    s, q = np.broadcast_arrays(np.asarray(s, np.float64), np.asarray(q, np.float64))
    out = _hurwitz(np.where(s > 1, s, 2.0), np.where(q > 0, q, 1.0))
    out = np.where(s > 1, out, np.where(s == 1, np.inf, np.nan))
    left = (q <= 0) & (s > 1)
    out[left] = np.where(q[left] == np.floor(q[left]), np.inf, np.nan)
    left &= (s == np.floor(s)) & (q != np.floor(q))
    for power in np.unique(s[left & (s < 40)]):
        n = int(power) - 1
        here = left & (s == power)
        out[here] = _polygamma(n, q[here]) / (math.factorial(n) * (-1.0) ** (n + 1))
    # Of a higher power only the terms next to 0 are left.
    high = left & (s >= 40) & np.isfinite(q)
    nearest = np.round(q[high])
    terms = [np.where(j >= nearest, (q[high] - nearest + j) ** -s[high], 0) for j in range(-2, 3)]
    out[high] = np.sum(terms, 0)
    return np.where(np.isnan(q), np.nan, out).astype(dtype)


def _zeta_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in TWO:
        yield Sample((np.asarray(rng.integers(2, 6, a)), np.asarray(rng.uniform(0.5, 3, b))))


ZETA: Op = elementwise(
    "zeta",
    reference=lambda s, q: _zeta_reference(s.astype(q.dtype), q),
    kernel=None,
    rules=(None, lambda g, s, q: neg(mul(mul(g, s), apply(ZETA, add(s, 1), q)))),
    saves="x y",
    samples=_zeta_samples,
)


def zeta(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The Hurwitz zeta function; `zeta(s, 1)` is Riemann's.

        forward    out = sum of (q + k)^-s over k = 0, 1, 2 ...
        backward   dq = -g s zeta(s + 1, q);  by s no derivative is known here

    Infinite at s = 1 and at the poles q = 0, -1, -2 ...; NaN for s < 1, and for q < 0 unless s is an integer. Shapes
    broadcast; a dtype is promoted. Raises GraphError where a gradient by s would be recorded.

    >>> mt.special.zeta(mt.tensor([2.0]), 1.0)
    tensor([1.6449])
    """
    s, q = promote_float("zeta", input, other)
    if grad_enabled() and getattr(s, "requires_grad", False):
        raise GraphError("zeta: no derivative by the first argument is known; detach() it")
    result = apply(ZETA, s, q)
    return result if out is None else write_out("zeta", result, out)


# --- digamma, polygamma -----------------------------------------------------------------------------------------------


def _digamma_reference(x: Array) -> Array:
    t = np.asarray(x, np.float64)
    left = t < 0.5
    w = np.where(left, 1 - t, t)
    shift = np.zeros_like(w)
    for _ in range(10):  # psi(w) = psi(w + 1) - 1 / w
        low = w < 10
        shift = shift - np.where(low, 1 / w, 0)
        w = w + low
    series = np.zeros_like(w)
    for k, b in enumerate(_BERNOULLI[:8], 1):
        series = series - b / (2 * k * w ** (2 * k))
    right = np.log(w) - 0.5 / w + series + shift
    out = np.where(left, right - np.pi / np.tan(np.pi * _from_integer(np.where(left, t, 0.25))), right)
    out = np.where((t < 0) & (t == np.floor(t)), np.nan, out)
    return np.where(t == 0, -np.copysign(np.inf, t), out).astype(x.dtype)


DIGAMMA = plain(
    "digamma",
    _digamma_reference,
    lambda g, x: mul(g, polygamma(1, x)),
    "x",
    0.3,
    12,
    or_else(_core.digamma, _digamma_reference),
)


def digamma(input: Any, *, out: Any = None) -> Any:
    r"""The derivative of `lgamma`.

        forward    out = Gamma'(x) / Gamma(x); -inf at 0, inf at -0, NaN at -1, -2 ...
        backward   dx = g polygamma(1, x)

    >>> mt.digamma(mt.tensor([1.0, 2.0]))
    tensor([-0.5772,  0.4228])
    """
    return unary(DIGAMMA, input, out)


psi = digamma


def _polygamma_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for n in (1, 2, 3):
        yield from draws(*ONE, low=0.5, high=12, n=n)(rng)
        yield from draws(((5,),), low=-0.8, high=-0.2, n=n)(rng)


POLYGAMMA: Op = elementwise(
    "polygamma",
    reference=lambda x, *, n: _polygamma(n, np.asarray(x, np.float64)).astype(x.dtype),
    kernel=None,
    rules=(lambda g, x, *, n: mul(g, apply(POLYGAMMA, x, n=n + 1)),),
    saves="x",
    samples=_polygamma_samples,
)


def polygamma(n: int, input: Any, *, out: Any = None) -> Any:
    r"""The n-th derivative of `digamma`.

        forward    out = (-1)^(n+1) n! zeta(n + 1, x)
        backward   dx = g polygamma(n + 1, x)

    Raises ShapeError for a negative n, and for one above 500.

    >>> mt.polygamma(1, mt.tensor([1.0]))
    tensor([1.6449])
    """
    if n < 0:
        raise ShapeError(f"polygamma: n must not be negative, got {n}")
    if n > 500:  # from 171 on n! is beyond float64
        raise ShapeError(f"polygamma: n must be at most 500, got {n}")
    if n == 0:
        return digamma(input, out=out)
    (x,) = promote_float("polygamma", input)
    result = apply(POLYGAMMA, x, n=int(n))
    return result if out is None else write_out("polygamma", result, out)


# --- lgamma -----------------------------------------------------------------------------------------------------------


@functools.cache
def _around_two() -> Array:
    """ln Gamma(2 + z) as a series in z: (1 - gamma) z, and (-1)^k (zeta(k) - 1) / k z^k for k >= 2."""
    k = np.arange(2.0, 30)
    return np.concatenate([[0, 1 - np.euler_gamma], (-1) ** k * _hurwitz(k, np.asarray(2.0)) / k])


def _lgamma_reference(x: Array) -> Array:
    t = np.asarray(x, np.float64)
    left = t < 0.5
    y = np.where(left, 1 - t, t)
    # Below 8.5 down to [1.5, 2.5): Gamma(w + 1) = w Gamma(w); what lies in [0.5, 1.5) goes up by one.
    w, product = np.where(y < 8.5, y, 2.0), np.ones_like(y)
    for _ in range(7):
        high = w >= 2.5
        w = w - high
        product = product * np.where(high, w, 1)
    low = w < 1.5
    z = np.where(low, w - 1, w - 2)
    near = (
        np.polynomial.polynomial.polyval(z, _around_two())
        + np.log(product)
        - np.where(low, np.log1p(np.where(low, z, 0)), 0)
    )
    # From there on the series of Stirling.
    v = np.where(y < 8.5, 8.5, y)
    far = (v - 0.5) * np.log(v) - v + 0.5 * math.log(2 * math.pi)
    for k, b in enumerate(_BERNOULLI[:8], 1):
        far = far + b / (2 * k * (2 * k - 1) * v ** (2 * k - 1))
    right = np.where(y < 8.5, near, far)
    mirrored = math.log(math.pi) - np.log(np.abs(np.sin(np.pi * _from_integer(t)))) - right
    out = np.where(left, mirrored, right)
    return np.where(np.isinf(t), np.inf, out).astype(x.dtype)


LGAMMA = plain(
    "lgamma",
    _lgamma_reference,
    lambda g, x: mul(g, digamma(x)),
    "x",
    0.3,
    12,
    or_else(_core.lgamma, _lgamma_reference),
)


def lgamma(input: Any, *, out: Any = None) -> Any:
    r"""The logarithm of the size of the gamma function, which is (n - 1)! at n; inf at 0, -1, -2 ...

        forward    out = ln |Gamma(x)|
        backward   dx = g digamma(x)

    >>> mt.lgamma(mt.tensor([1.0, 5.0]))
    tensor([0.0000, 3.1781])
    """
    return unary(LGAMMA, input, out)


@named("MvlgammaBackward0")
def mvlgamma(input: Any, p: int, *, out: Any = None) -> Any:
    r"""The logarithm of the gamma function of p variables, for x > (p - 1) / 2.

        forward    out = p (p - 1)/4 ln pi + sum of lgamma(x - j/2) over j = 0 ... p - 1
        backward   dx = g times the sum of digamma(x - j/2)

    Raises ShapeError for p < 1.

    >>> mt.mvlgamma(mt.tensor([3.0]), 2)
    tensor([1.5502])
    """
    if p < 1:
        raise ShapeError(f"mvlgamma: p must be at least 1, got {p}")
    few("mvlgamma", "p", p)
    (x,) = promote_float("mvlgamma", input)
    result = add(lgamma(x), p * (p - 1) / 4 * math.log(math.pi))
    for j in range(1, p):
        result = add(result, lgamma(add(x, -j / 2)))
    return result if out is None else write_out("mvlgamma", result, out)


# --- the incomplete gamma functions -----------------------------------------------------------------------------------


def incomplete_gamma(a: Array, x: Array) -> tuple[Array, Array]:
    """(P, 1 - P): the share of Gamma(a) below x and above it, each to relative precision, in float64.

    A series below a + 1, a continued fraction above it (NIST Digital Library of Mathematical Functions, 8.11 and 8.9).
    """
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    low = x < a + 1
    with np.errstate(all="ignore"):
        front = np.exp(a * np.log(x) - x - _lgamma_reference(a))
        term = total = 1 / a
        k = a
        for _ in range(10_000):
            k = k + 1
            term = np.where(low, term * x / k, 0.0)
            total = total + term
            if not (term > 1e-17 * total).any():
                break
        below = front * total
        b = x + 1 - a
        c, d = np.full_like(b, 1e300), 1 / b
        h = d
        for n in range(1, 10_000):
            step = -n * (n - a)
            b = b + 2
            d, c = 1 / (step * d + b), b + step / c
            change = np.where(low, 1.0, c * d)
            h = h * change
            if not (np.abs(change - 1) > 1e-16).any():
                break
        above = front * h
    below, above = np.where(low, below, 1 - above), np.where(low, 1 - below, above)
    return np.where(x <= 0, 0.0, below), np.where(x <= 0, 1.0, above)


def _share(a: Array, x: Array, above: int) -> Array:
    """P or 1 - P with their limits: all lies at 0 for a = 0, beyond any x for an infinite a; NaN outside."""
    dtype = x.dtype
    a, x = np.broadcast_arrays(np.asarray(a, np.float64), np.asarray(x, np.float64))
    plain_ = (a > 0) & (x >= 0) & np.isfinite(a) & np.isfinite(x)
    inner = incomplete_gamma(np.where(plain_, a, 1.0), np.where(plain_, x, 1.0))[above]
    edge = np.where((a == 0) | (np.isfinite(a) & np.isinf(x)), 1.0, 0.0)
    edge = np.where((a < 0) | (x < 0) | np.isnan(a + x) | ((a == 0) & (x == 0)), np.nan, 1 - edge if above else edge)
    edge = np.where(np.isinf(a) & np.isinf(x), np.nan, edge)
    return np.where(plain_, inner, edge).astype(dtype)


def _share_dx(g: Any, a: Any, x: Any) -> Any:
    return mul(g, exp(sub(sub(xlogy(sub(a, 1), x), x), lgamma(a))))


def _share_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in TWO:
        yield Sample((np.asarray(rng.uniform(0.5, 5, a)), np.asarray(rng.uniform(0.5, 6, b))))


IGAMMA = elementwise(
    "igamma",
    reference=lambda a, x: _share(a, x, 0),
    kernel=None,
    rules=(None, _share_dx),
    saves="x y",
    samples=_share_samples,
)

IGAMMAC = elementwise(
    "igammac",
    reference=lambda a, x: _share(a, x, 1),
    kernel=None,
    rules=(None, lambda g, a, x: neg(_share_dx(g, a, x))),
    saves="x y",
    samples=_share_samples,
)


def _incomplete(op: Op, input: Any, other: Any, out: Any) -> Any:
    a, x = promote_float(op.name, input, other)
    if grad_enabled() and getattr(a, "requires_grad", False):
        raise GraphError(f"{op.name}: no derivative by the first argument is known; detach() it")
    result = apply(op, a, x)
    return result if out is None else write_out(op.name, result, out)


def igamma(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The chance that a gamma variable of concentration a and rate 1 is below x: P(a, x), for a, x >= 0.

        forward    out = 1 / Gamma(a) * the integral of t^(a-1) e^-t from 0 to x
        backward   dx = g x^(a-1) e^-x / Gamma(a);  by a no derivative is known here

    NaN for a negative argument and where both are 0. Shapes broadcast; a dtype is promoted. Raises GraphError where a
    gradient by a would be recorded.

    >>> mt.igamma(mt.tensor([4.0]), mt.tensor([3.0, 4.0, 5.0]))
    tensor([0.3528, 0.5665, 0.7350])
    """
    return _incomplete(IGAMMA, input, other, out)


def igammac(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""What `igamma` leaves of 1, accurate where that is little.

        forward    out = 1 / Gamma(a) * the integral of t^(a-1) e^-t from x on
        backward   dx = -g x^(a-1) e^-x / Gamma(a)

    >>> mt.igammac(mt.tensor([4.0]), mt.tensor([3.0, 4.0, 5.0]))
    tensor([0.6472, 0.4335, 0.2650])
    """
    return _incomplete(IGAMMAC, input, other, out)
