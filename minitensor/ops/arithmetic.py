"""Arithmetic, element by element with broadcasting: add, sub, mul, div, neg, reciprocal, square, remainders.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row.
Kernels: csrc/kernels/arithmetic.cpp.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, ShapeError
from ..graph import apply, apply_one, apply_two
from .common import ONE, TWO, Array, draws, elementwise, is_floating, promote, promote_float, raw, to_dtype, write_out

# --- zero: the derivative of whatever is constant in steps ------------------------------------------------------------

ZERO = elementwise("zero", reference=np.zeros_like, kernel=None, rules=(None,), saves="", samples=draws(((2, 3),)))


def zero(x: Any) -> Any:
    """Zeros like `x`, whatever it holds; constant in the graph."""
    return apply(ZERO, x)


def _is_bool(x: Any) -> bool:
    a = raw(x)
    return a.dtype.kind == "b" if isinstance(a, np.ndarray) else isinstance(a, bool)


def _no_bools(name: str, *values: Any) -> None:
    if any(map(_is_bool, values)):
        raise DtypeError(f"{name}: bools have no {name}; use logical_not or logical_xor")


def _check_divisor(name: str, y: Any) -> None:
    a = raw(y)
    if a.dtype.kind in "iu" and not a.all():
        raise ShapeError(f"{name}: an integer is divided by zero")


# --- add --------------------------------------------------------------------------------------------------------------

ADD = elementwise(
    "add",
    reference=np.add,
    kernel=_core.add,
    rules=(lambda g: g, lambda g: g),
    saves="",
    samples=draws(*TWO),
    exact=True,
)


def _scaled(name: str, x: Any, alpha: Any) -> Any:
    if isinstance(alpha, float) and not (isinstance(x, float) or raw(x).dtype.kind == "f"):
        raise DtypeError(f"{name}: alpha {alpha} is a float, the tensors hold integers")
    return mul(x, alpha)


def add(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    r"""Sum.

        forward    out = x + alpha * y
        backward   dx = g,  dy = alpha * g

    Shapes broadcast; a dtype is promoted. Bools add as "or".

    >>> mt.add(mt.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    result = apply_two(ADD, input, other if alpha == 1 else _scaled("add", other, alpha))
    return result if out is None else write_out("add", result, out)


# --- sub --------------------------------------------------------------------------------------------------------------

SUB = elementwise(
    "sub",
    reference=np.subtract,
    kernel=_core.sub,
    rules=(lambda g: g, lambda g: neg(g)),
    saves="",
    samples=draws(*TWO),
    exact=True,
)


def sub(input: Any, other: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    r"""Difference.

        forward    out = x - alpha * y
        backward   dx = g,  dy = -alpha * g

    Shapes broadcast; a dtype is promoted. Raises DtypeError for bools.

    >>> mt.sub(mt.tensor([1.0, 2.0]), 1)
    tensor([0., 1.])
    """
    _no_bools("sub", input, other)
    result = apply_two(SUB, input, other if alpha == 1 else _scaled("sub", other, alpha))
    return result if out is None else write_out("sub", result, out)


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """`other - alpha * input`.

    >>> mt.rsub(mt.tensor([1.0, 2.0]), 1)
    tensor([ 0., -1.])
    """
    return sub(other, input, alpha=alpha)


# --- mul --------------------------------------------------------------------------------------------------------------

MUL = elementwise(
    "mul",
    reference=np.multiply,
    kernel=_core.mul,
    rules=(lambda g, _x, y: mul(g, y), lambda g, x, _y: mul(g, x)),
    saves="x y",
    samples=draws(*TWO),
    exact=True,
)


def mul(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""Product.

        forward    out = x * y
        backward   dx = g * y,  dy = g * x

    Shapes broadcast; a dtype is promoted. Bools multiply as "and".

    >>> mt.mul(mt.tensor([1.0, 2.0]), 10)
    tensor([10., 20.])
    """
    result = apply_two(MUL, input, other)
    return result if out is None else write_out("mul", result, out)


# --- div --------------------------------------------------------------------------------------------------------------

DIV = elementwise(
    "div",
    reference=np.divide,
    kernel=_core.div,
    rules=(lambda g, y, _out: div(g, y), lambda g, y, out: neg(div(mul(g, out), y))),
    saves="y out",
    samples=draws(*TWO, away=0.5),
)


def _floor_reference(x: Array, y: Array) -> Array:
    # Where y is 0, the quotient itself, as in PyTorch; else what NumPy gets from the exact remainder.
    q = np.floor_divide(x, y)
    return np.where(y == 0, np.divide(x, y), q) if x.dtype.kind == "f" else q


def _trunc_reference(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.trunc(np.divide(x, y))
    q = np.floor_divide(x, y)
    return np.where((np.remainder(x, y) != 0) & ((x < 0) != (y < 0)), q + 1, q).astype(x.dtype)


FLOOR_DIVIDE, TRUNC_DIVIDE = [
    elementwise(
        name,
        reference=reference,
        kernel=None,
        rules=(lambda g: zero(g), lambda g: zero(g)),
        saves="",
        samples=draws(*TWO, away=0.5),
    )
    for name, reference in (("floor_divide", _floor_reference), ("trunc_divide", _trunc_reference))
]


def div(input: Any, other: Any, *, rounding_mode: str | None = None) -> Any:
    r"""Quotient; integers give floats unless `rounding_mode` is "floor" or "trunc".

        forward    out = x / y
        backward   dx = g / y,  dy = -g * out / y,  and 0 for both if rounded

    Shapes broadcast; a dtype is promoted. Raises ShapeError where integers are divided by zero and rounded.

    >>> mt.div(mt.tensor([7, -7]), 2, rounding_mode="trunc")
    tensor([ 3, -3])
    """
    if rounding_mode is None:
        if is_floating(input):
            return apply_two(DIV, input, other)
        return apply(DIV, *promote_float("div", input, other))
    if rounding_mode not in ("floor", "trunc"):
        raise ShapeError(f"div: rounding_mode must be None, 'floor' or 'trunc', not {rounding_mode!r}")
    x, y = promote("div", input, other)
    if _is_bool(x):
        raise DtypeError("div: bools have no rounded quotient")
    _check_divisor("div", y)
    return apply(FLOOR_DIVIDE if rounding_mode == "floor" else TRUNC_DIVIDE, x, y)


def floor_divide(input: Any, other: Any) -> Any:
    """`div` rounded down.

    >>> mt.floor_divide(mt.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    return div(input, other, rounding_mode="floor")


# --- remainders -------------------------------------------------------------------------------------------------------

REMAINDER = elementwise(
    "remainder",
    reference=np.remainder,
    kernel=None,
    rules=(lambda g, _x, _y: g, lambda g, x, y: neg(mul(g, apply(FLOOR_DIVIDE, x, y)))),
    saves="x y",
    samples=draws(*TWO, away=0.5),
)

FMOD = elementwise(
    "fmod",
    reference=np.fmod,
    kernel=None,
    rules=(lambda g, _x, _y: g, lambda g, x, y: neg(mul(g, apply(TRUNC_DIVIDE, x, y)))),
    saves="x y",
    samples=draws(*TWO, away=0.5),
)


def remainder(input: Any, other: Any) -> Any:
    """What is left of x after the floored quotient, with the sign of y, as Python's `%`.

        forward    out = x - y * floor(x / y)
        backward   dx = g,  dy = -g * floor(x / y)

    >>> mt.remainder(mt.tensor([7, -7]), 3)
    tensor([1, 2])
    """
    x, y = promote("remainder", input, other)
    _no_bools("remainder", x)
    _check_divisor("remainder", y)
    return apply(REMAINDER, x, y)


def fmod(input: Any, other: Any) -> Any:
    """What is left of x after the truncated quotient, with the sign of x, as C's `fmod`.

        forward    out = x - y * trunc(x / y)
        backward   dx = g,  dy = -g * trunc(x / y)

    >>> mt.fmod(mt.tensor([7, -7]), 3)
    tensor([ 1, -1])
    """
    x, y = promote("fmod", input, other)
    _no_bools("fmod", x)
    _check_divisor("fmod", y)
    return apply(FMOD, x, y)


# --- of one number ----------------------------------------------------------------------------------------------------

NEG = elementwise(
    "neg",
    reference=np.negative,
    kernel=_core.neg,
    rules=(lambda g: neg(g),),
    saves="",
    samples=draws(*ONE),
    exact=True,
)


def neg(input: Any) -> Any:
    r"""The negative.

        forward    out = -x
        backward   dx = -g

    >>> mt.neg(mt.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    (x,) = promote("neg", input)
    _no_bools("neg", x)
    return apply(NEG, x)


def positive(input: Any) -> Any:
    """`input` itself; raises DtypeError for bools."""
    _no_bools("positive", input)
    return input


SQUARE = elementwise(
    "square",
    reference=np.square,
    kernel=_core.square,
    rules=(lambda g, x: mul(mul(g, x), 2),),
    saves="x",
    samples=draws(*ONE),
    exact=True,
)


def square(input: Any) -> Any:
    r"""The square.

        forward    out = x * x
        backward   dx = 2 g x

    >>> mt.square(mt.tensor([3.0, -2.0]))
    tensor([9., 4.])
    """
    (x,) = promote("square", input)
    return apply(SQUARE, to_dtype(x, dtypes.int64) if _is_bool(x) else x)


RECIPROCAL = elementwise(
    "reciprocal",
    reference=np.reciprocal,
    kernel=_core.reciprocal,
    rules=(lambda g, out: neg(mul(g, square(out))),),
    saves="out",
    samples=draws(*ONE, away=0.5),
)


def reciprocal(input: Any) -> Any:
    r"""One over x.

        forward    out = 1 / x
        backward   dx = -g * out^2

    >>> mt.reciprocal(mt.tensor([2.0, -4.0]))
    tensor([ 0.5000, -0.2500])
    """
    return apply_one(RECIPROCAL, input)
