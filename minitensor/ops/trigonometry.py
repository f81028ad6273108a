"""Sines and their kin, element by element: circular and hyperbolic functions, their inverses, angles.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row; tanh,
which is an activation, is in functions.py. Kernels (sin, cos): csrc/kernels/functions.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core
from ..graph.record import apply, apply_one
from ..op import Op, Sample
from .arithmetic import add, div, mul, neg, square, sub, zero
from .common import (
    ONE,
    TWO,
    Array,
    array_of,
    draws,
    elementwise,
    named,
    promote_float,
    reads,
    unary,
    write_out,
)
from .comparison import eq, where
from .functions import plain, rsqrt

# --- sines and their kin ----------------------------------------------------------------------------------------------

SIN = elementwise(
    "sin",
    reference=np.sin,
    kernel=_core.sin,
    rules=(lambda g, x: mul(g, cos(x)),),
    saves="x",
    samples=draws(*ONE),
)

COS = elementwise(
    "cos",
    reference=np.cos,
    kernel=_core.cos,
    rules=(lambda g, x: neg(mul(g, sin(x))),),
    saves="x",
    samples=draws(*ONE),
)


def sin(input: Any, *, out: Any = None) -> Any:
    r"""The sine of x in radians.

        forward    out = sin x
        backward   dx = g cos x

    >>> mt.sin(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])
    """
    result = apply_one(SIN, input)
    return result if out is None else write_out("sin", result, out)


def cos(input: Any, *, out: Any = None) -> Any:
    r"""The cosine of x in radians.

        forward    out = cos x
        backward   dx = -g sin x

    >>> mt.cos(mt.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])
    """
    result = apply_one(COS, input)
    return result if out is None else write_out("cos", result, out)


TAN = plain("tan", np.tan, lambda g, out: mul(g, add(square(out), 1)), "out", -1, 1, _core.tan)
ASIN = plain("asin", np.arcsin, lambda g, x: mul(g, rsqrt(sub(1, square(x)))), "x", -0.7, 0.7, _core.asin)
ACOS = plain(
    "acos",
    np.arccos,
    lambda g, x: neg(mul(g, rsqrt(sub(1, square(x))))),
    "x",
    -0.7,
    0.7,
    _core.acos,
)
ATAN = plain("atan", np.arctan, lambda g, x: div(g, add(square(x), 1)), "x", kernel=_core.atan)
SINH = plain("sinh", np.sinh, lambda g, x: mul(g, cosh(x)), "x", kernel=_core.sinh)
COSH = plain("cosh", np.cosh, lambda g, x: mul(g, sinh(x)), "x", kernel=_core.cosh)
ASINH = plain("asinh", np.arcsinh, lambda g, x: mul(g, rsqrt(add(square(x), 1))), "x")
ACOSH = plain("acosh", np.arccosh, lambda g, x: mul(g, rsqrt(sub(square(x), 1))), "x", 1.3, 3)
ATANH = plain("atanh", np.arctanh, lambda g, x: div(g, sub(1, square(x))), "x", -0.7, 0.7, _core.atanh)


def _square_of_radius(x: Any, y: Any) -> Any:
    """x^2 + y^2, or 1 where that is 0."""
    s = add(square(x), square(y))
    return where(eq(s, 0), 1.0, s)


ATAN2 = elementwise(
    "atan2",
    reference=np.arctan2,
    kernel=_core.atan2,
    rules=(
        lambda g, y, x: mul(g, div(x, _square_of_radius(x, y))),
        lambda g, y, x: mul(g, div(neg(y), _square_of_radius(x, y))),
    ),
    saves="x y",
    samples=draws(*TWO, away=0.5),
)


def tan(input: Any, *, out: Any = None) -> Any:
    """The tangent; dx = g (1 + out^2)."""
    return unary(TAN, input, out)


def asin(input: Any, *, out: Any = None) -> Any:
    """The inverse sine; dx = g / sqrt(1 - x^2)."""
    return unary(ASIN, input, out)


def acos(input: Any, *, out: Any = None) -> Any:
    """The inverse cosine; dx = -g / sqrt(1 - x^2)."""
    return unary(ACOS, input, out)


def atan(input: Any, *, out: Any = None) -> Any:
    """The inverse tangent; dx = g / (1 + x^2)."""
    return unary(ATAN, input, out)


def sinh(input: Any, *, out: Any = None) -> Any:
    """(e^x - e^-x) / 2; dx = g cosh x."""
    return unary(SINH, input, out)


def cosh(input: Any, *, out: Any = None) -> Any:
    """(e^x + e^-x) / 2; dx = g sinh x."""
    return unary(COSH, input, out)


def asinh(input: Any, *, out: Any = None) -> Any:
    """The inverse of `sinh`; dx = g / sqrt(x^2 + 1).

    >>> mt.asinh(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])
    """
    return unary(ASINH, input, out)


def acosh(input: Any, *, out: Any = None) -> Any:
    """The inverse of `cosh`, NaN below 1; dx = g / sqrt(x^2 - 1).

    >>> mt.acosh(mt.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])
    """
    return unary(ACOSH, input, out)


def atanh(input: Any, *, out: Any = None) -> Any:
    """The inverse of `tanh`, NaN outside [-1, 1]; dx = g / (1 - x^2).

    >>> mt.atanh(mt.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5493])
    """
    return unary(ATANH, input, out)


arcsin, arccos, arctan, arcsinh, arccosh, arctanh = asin, acos, atan, asinh, acosh, atanh


def atan2(input: Any, other: Any, *, out: Any = None) -> Any:
    """The angle of the point (x, y) = (other, input); dy = g x / (x^2 + y^2), dx = -g y / (x^2 + y^2).

    Both are 0 at (0, 0).

    >>> mt.atan2(mt.tensor([1.0]), mt.tensor([-1.0]))
    tensor([2.3562])
    """
    result = apply(ATAN2, *promote_float("atan2", input, other))
    return result if out is None else write_out("atan2", result, out)


arctan2 = atan2


HYPOT = elementwise(
    "hypot",
    reference=np.hypot,
    kernel=_core.hypot,
    rules=(lambda g, x, _y, out: mul(g, div(x, out)), lambda g, _x, y, out: mul(g, div(y, out))),
    saves="x y out",
    samples=draws(*TWO, away=0.3),
)


def hypot(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The length of the vector (x, y), without overflow on the way.

        forward    out = sqrt(x^2 + y^2)
        backward   dx = g x / out,  dy = g y / out;  NaN at (0, 0)

    Shapes broadcast; a dtype is promoted, integers to floats.

    >>> mt.hypot(mt.tensor([3.0]), mt.tensor([4.0]))
    tensor([5.])
    """
    result = apply(HYPOT, *promote_float("hypot", input, other))
    return result if out is None else write_out("hypot", result, out)


# --- angles -----------------------------------------------------------------------------------------------------------


@named("Deg2RadBackward0")
def deg2rad(input: Any, *, out: Any = None) -> Any:
    """Degrees as radians: x pi / 180.

    >>> mt.deg2rad(mt.tensor([180.0]))
    tensor([3.1416])
    """
    result = mul(*promote_float("deg2rad", input, math.pi / 180))
    return result if out is None else write_out("deg2rad", result, out)


@named("Rad2DegBackward0")
def rad2deg(input: Any, *, out: Any = None) -> Any:
    """Radians as degrees: x 180 / pi.

    >>> mt.rad2deg(mt.tensor([1.0]))
    tensor([57.2958])
    """
    result = mul(*promote_float("rad2deg", input, 180 / math.pi))
    return result if out is None else write_out("rad2deg", result, out)


# --- sinc -------------------------------------------------------------------------------------------------------------


def _sinc_reference(x: Array, *, order: int) -> Array:
    """The derivative of that order: a series around 0, elsewhere from (x sinc x)^(n) = x s_n + n s_(n-1)."""
    t = np.asarray(x, np.float64)
    if order == 0:
        return np.asarray(np.sinc(t)).astype(x.dtype)
    away = np.where(np.abs(t) < 1 + order / 3, np.inf, t)
    far = np.sin(np.pi * away) / (np.pi * away)
    for n in range(1, order + 1):
        far = (math.pi ** (n - 1) * np.sin(math.pi * away + n * math.pi / 2) - n * far) / away
    # (-1)^k pi^2k x^2k / (2k + 1)!, of which n derivatives leave x^(2k - n)
    near, small = np.zeros_like(t), np.where(np.isinf(away), t, 0)
    power, square = small ** (order % 2), small * small
    for k in range((order + 1) // 2, 30 + 2 * order):
        factor = (-1) ** k * math.factorial(2 * k) / (math.factorial(2 * k + 1) * math.factorial(2 * k - order))
        near += factor * math.pi ** (2 * k) * power
        power *= square
    return np.where(np.isinf(away) & ~np.isinf(t), near, far).astype(x.dtype)


def _sinc_kernel(x: Array, order: int) -> Any:
    if order < 2 and x.dtype == np.float32:
        return _core.sinc(x, order == 1)
    with np.errstate(all="ignore"):
        return _sinc_reference(x, order=order)


def _sinc_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for order in (0, 1):
        yield from draws(*ONE, order=order)(rng)


SINC: Op = elementwise(
    "sinc",
    reference=_sinc_reference,
    kernel=_sinc_kernel,
    names=("order",),
    rules=(lambda g, x, *, order: mul(g, apply(SINC, x, order=order + 1)),),
    saves="x",
    samples=_sinc_samples,
)


def sinc(input: Any, *, out: Any = None) -> Any:
    r"""The sampling function.

        forward    out = sin(pi x) / (pi x),  1 at 0
        backward   dx = g (cos(pi x) - out) / x,  0 at 0; the derivatives of every order are finite there

    >>> mt.sinc(mt.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    (x,) = promote_float("sinc", input)
    result = apply(SINC, x, order=0)
    return result if out is None else write_out("sinc", result, out)


def _angle_kernel(x: Array) -> Array:
    return _core.where(math.pi, _core.threshold(x, math.inf, 0.0), _core.lt(x, 0.0))  # NaN is below nothing


ANGLE = elementwise(
    "angle",
    reference=lambda x: np.where(np.isnan(x), x, np.where(x < 0, math.pi, 0)).astype(x.dtype),
    kernel=_angle_kernel,
    rules=(lambda g: zero(g),),
    saves="",
    samples=draws(*ONE, away=0.1),
)


@reads()
def angle(input: Any, *, out: Any = None) -> Any:
    """The angle between a real number and the positive axis: 0, pi where it is negative, NaN where it is that.

        backward   dx = 0

    >>> mt.angle(mt.tensor([1.0, -1.0]))
    tensor([0.0000, 3.1416])
    """
    (x,) = promote_float("angle", input)
    a = array_of(x)
    if a.dtype.kind == "c":
        from .complex import phase

        result = phase(x)
        return result if out is None else write_out("angle", result, out)
    result = apply(ANGLE, x)
    return result if out is None else write_out("angle", result, out)
