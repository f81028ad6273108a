"""Rounding, and the parts of a floating number: its sign, fraction, exponent and neighbours.

What is constant in steps has the derivative 0. NumPy computes all of it; there are no kernels.
"""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core, dtypes, return_types
from ..errors import DtypeError
from ..graph.record import apply, attempt
from ..op import Op, Result
from .arithmetic import div, mul, neg, zero
from .common import (
    ONE,
    TWO,
    Array,
    array_of,
    copied,
    draws,
    elementwise,
    floating,
    named,
    need_float,
    promote,
    promote_float,
    shifted,
    write_out,
)
from .comparison import CLAMP_VJP, eq, where
from .functions import exp2, sign

# --- rounding: constant in steps --------------------------------------------------------------------------------------


def _rounding(name: str, reference: Callable[..., Any], kernel: Callable[..., Any]) -> Op:
    return elementwise(
        name, reference=reference, kernel=kernel, rules=(lambda g: zero(g),), saves="", samples=draws(*ONE)
    )


FLOOR = _rounding("floor", np.floor, _core.floor)
CEIL = _rounding("ceil", np.ceil, _core.ceil)
TRUNC = _rounding("trunc", np.trunc, _core.trunc)
ROUND = _rounding("round", np.round, _core.round)


def _rounded(op: Op, input: Any) -> Any:
    result = attempt(op, input)
    if result is not None:
        return result
    (x,) = promote(op.name, input)
    kind = array_of(x).dtype.kind
    if kind == "b":
        raise DtypeError(f"{op.name}: bools cannot be rounded")
    return apply(op, x) if kind == "f" else copied(x)


def floor(input: Any, *, out: Any = None) -> Any:
    """The largest integer that is not larger; dx = 0.

    >>> mt.floor(mt.tensor([-1.5, 1.5]))
    tensor([-2.,  1.])
    """
    result = _rounded(FLOOR, input)
    return result if out is None else write_out("floor", result, out)


def ceil(input: Any, *, out: Any = None) -> Any:
    """The smallest integer that is not smaller; dx = 0."""
    result = _rounded(CEIL, input)
    return result if out is None else write_out("ceil", result, out)


def trunc(input: Any, *, out: Any = None) -> Any:
    """The integer part; dx = 0."""
    result = _rounded(TRUNC, input)
    return result if out is None else write_out("trunc", result, out)


fix = trunc


def round(input: Any, *, decimals: int = 0, out: Any = None) -> Any:
    """The nearest integer, or number of so many decimals; a half goes to the even one; dx = 0.

    Negative decimals are tens, hundreds and so on; decimals are for floats.

    >>> mt.round(mt.tensor([0.5, 1.5, -0.7]))
    tensor([ 0.,  2., -1.])
    """
    if decimals == 0:
        result = _rounded(ROUND, input)
    else:
        need_float("round", input)
        scale = 10.0 ** builtins.abs(decimals)
        onto, back = (mul, div) if decimals > 0 else (div, mul)
        result = back(_rounded(ROUND, onto(input, scale)), scale)
    return result if out is None else write_out("round", result, out)


FRAC = elementwise(
    "frac",
    reference=lambda x: x - np.trunc(x),
    kernel=_core.frac,
    rules=(lambda g: g,),
    saves="",
    samples=draws(*ONE),
)


def frac(input: Any, *, out: Any = None) -> Any:
    """What `trunc` takes away, with the sign of x; dx = g.

    >>> mt.frac(mt.tensor([1.25, -2.5]))
    tensor([ 0.2500, -0.5000])
    """
    need_float("frac", input)
    result = apply(FRAC, input)
    return result if out is None else write_out("frac", result, out)


# --- signs ------------------------------------------------------------------------------------------------------------

SIGNBIT = elementwise(
    "signbit",
    reference=lambda x: np.signbit(x) if x.dtype.kind == "f" else x < np.zeros((), x.dtype),
    kernel=None,
    rules=(None,),
    saves="",
    samples=draws(*ONE),
)


def signbit(input: Any, *, out: Any = None) -> Any:
    """Where x has a minus sign, as -0 and some NaN have.

    >>> mt.signbit(mt.tensor([1.0, -0.0]))
    tensor([False,  True])
    """
    result = apply(SIGNBIT, *promote("signbit", input))
    return result if out is None else write_out("signbit", result, out)


COPYSIGN: Op = elementwise(
    "copysign",
    reference=np.copysign,
    kernel=_core.copysign,
    # out = x s with s = out / x of size 1, which is constant in steps; at 0 taken as 0
    rules=(lambda g, x, out: mul(g, mul(sign(x), sign(out))), lambda g, _x, _out: zero(g)),
    saves="x out",
    samples=draws(*TWO, away=0.1),
)


def copysign(input: Any, other: Any, *, out: Any = None) -> Any:
    """The size of x with the sign of y, which may be that of -0.

        forward    out = |x| with the sign of y
        backward   dx = g where the signs agree, -g where they differ, 0 where x = 0;  dy = 0

    Shapes broadcast; a dtype is promoted, integers to floats.

    >>> mt.copysign(mt.tensor([1.0, -2.0]), -0.0)
    tensor([-1., -2.])
    """
    result = apply(COPYSIGN, *promote_float("copysign", input, other))
    return result if out is None else write_out("copysign", result, out)


# --- mantissa and exponent --------------------------------------------------------------------------------------------


def _frexp_reference(x: Array) -> Result:
    mantissa, exponent = np.frexp(x)
    exponent = np.asarray(exponent, np.int32)
    return (np.asarray(mantissa), exponent), (exponent,)


def _frexp_dx(g: Any, exponent: Any) -> Any:
    return ldexp(g[0], neg(exponent))


FREXP = Op(
    "frexp",
    _frexp_reference,
    None,
    (_frexp_dx,),
    None,
    draws(*ONE, away=0.3),
    batch=shifted("frexp"),
)


def frexp(input: Any, *, out: Any = None) -> Any:
    r"""Mantissa and exponent: x = m 2^e with 1/2 <= |m| < 1, and e of int32; 0, infinities and NaN are their own m.

        forward    m, e
        backward   dx = g_m 2^-e

    >>> mt.frexp(mt.tensor([6.0, -0.25])).exponent
    tensor([ 3, -1], dtype=minitensor.int32)
    """
    need_float("frexp", input)
    result = return_types.frexp(*apply(FREXP, input))
    return result if out is None else write_out("frexp", result, out)


@named("LdexpBackward0")
def ldexp(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""x 2^y; the inverse of `frexp`.

        forward    out = x 2^y
        backward   dx = g 2^y,  dy = g out ln 2

    Shapes broadcast; a dtype is promoted, integers to floats.

    >>> mt.ldexp(mt.tensor([0.75]), mt.tensor([3]))
    tensor([6.])
    """
    x, y = promote_float("ldexp", input, other)
    result = mul(x, exp2(y))
    return result if out is None else write_out("ldexp", result, out)


NEXTAFTER = elementwise(
    "nextafter",
    reference=np.nextafter,
    kernel=None,
    rules=(lambda g, x, y: where(eq(x, y), 0.0, g), lambda g, _x, _y: zero(g)),
    saves="x y",
    samples=draws(*TWO),
)


def nextafter(input: Any, other: Any, *, out: Any = None) -> Any:
    """The next floating number from x towards y; dx = g, and 0 where x = y;  dy = 0.

    >>> mt.nextafter(mt.tensor([1.0]), mt.tensor([2.0])) - 1
    tensor([1.1921e-07])
    """
    x, y = promote("nextafter", input, other)
    need_float("nextafter", x)
    result = apply(NEXTAFTER, x, y)
    return result if out is None else write_out("nextafter", result, out)


# --- what is no number ------------------------------------------------------------------------------------------------


def _nan_to_num_reference(x: Array, *, nan: float, posinf: float, neginf: float) -> Any:
    finite = np.where(x == np.inf, posinf, np.where(x == -np.inf, neginf, x))
    return np.where(np.isnan(x), nan, finite).astype(x.dtype)


def _nan_to_num_dx(g: Any, x: Any, **_: float) -> Any:
    ends = dtypes.finfo(array_of(x).dtype)
    return apply(CLAMP_VJP, g, x, low=float(ends.min), high=float(ends.max))


NAN_TO_NUM = elementwise(
    "nan_to_num",
    reference=_nan_to_num_reference,
    kernel=_core.nan_to_num,
    names=("nan", "posinf", "neginf"),
    rules=(_nan_to_num_dx,),
    saves="x",
    samples=draws(*ONE, nan=0.5, posinf=2.0, neginf=-3.0),
)


@named("NanToNumBackward0")
def nan_to_num(input: Any, nan: Any = None, posinf: Any = None, neginf: Any = None, *, out: Any = None) -> Any:
    r"""NaN replaced by `nan` (0 unless given), infinities by `posinf` and `neginf` (the dtype's ends unless given).

        forward    out = x where x is finite, else the number for it
        backward   dx = g where x is finite, else 0

    >>> mt.nan_to_num(mt.tensor([1.0, float("nan"), float("inf")]), posinf=9.0)
    tensor([1., 0., 9.])
    """
    x = input
    if array_of(x).dtype.kind != "f":
        result = copied(x)
    else:
        ends = dtypes.finfo(array_of(x).dtype)
        given = (nan, 0), (posinf, ends.max), (neginf, ends.min)
        with np.errstate(over="ignore"):  # a number beyond the dtype is infinite in it
            numbers = [np.asarray(default if v is None else v, array_of(x).dtype) for v, default in given]
        result = floating(NAN_TO_NUM, x, *map(float, numbers))
    return result if out is None else write_out("nan_to_num", result, out)
