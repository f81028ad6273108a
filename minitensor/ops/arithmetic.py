"""Arithmetic, element by element with broadcasting: add, sub, mul, div, neg, reciprocal, square, remainders.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row.
Kernels: csrc/kernels/arithmetic.cpp.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply, apply_one, apply_two, attempt
from ..graph.tensors import Tensor
from ..op import OPS, Op
from .common import (
    COLUMNS,
    ONE,
    TWO,
    Array,
    draws,
    elementwise,
    is_floating,
    named,
    promote,
    promote_float,
    straight,
    to_dtype,
    with_batch,
    write_out,
    writes,
)

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .common import array_of, raw

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
    samples=draws(*TWO, *COLUMNS),
    exact=True,
)


def _scaled(name: str, x: Any, alpha: Any) -> Any:
    if isinstance(alpha, float) and not (isinstance(x, float) or array_of(x).dtype.kind == "f"):
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
    if out is not None and alpha == 1 and straight("add", out, input, other):
        return out
    result = apply_two(ADD, input, other if alpha == 1 else _scaled("add", other, alpha))
    return result if out is None else write_out("add", result, out)


# --- sub --------------------------------------------------------------------------------------------------------------


def _writes_scaled(name: str, kernel: Callable[..., Any], sign: float) -> None:
    """The writer of x + alpha y, or of x - alpha y."""

    @writes(name)
    def write(x: Array, y: Any, into: Array, alpha: Any = 1) -> Any:
        if type(alpha) is int and alpha == 1:
            return kernel(x, y, into)
        return None if type(alpha) is bool else _core.multiply_add(x, y, 1.0, sign * alpha, False, into)


_writes_scaled("add", _core.add, 1.0)
_writes_scaled("sub", _core.sub, -1.0)


def add_into(have: Array, more: Array) -> None:
    """Adds an array to another, in the other's memory."""
    if not _core.add_into(have, more):
        np.add(have, more, out=have)


SUB = elementwise(
    "sub",
    reference=np.subtract,
    kernel=_core.sub,
    rules=(lambda g: g, lambda g: neg(g)),
    saves="",
    samples=draws(*TWO, *COLUMNS),
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
    if out is not None and alpha == 1 and straight("sub", out, input, other):
        return out
    result = apply_two(SUB, input, other if alpha == 1 else _scaled("sub", other, alpha))
    return result if out is None else write_out("sub", result, out)


subtract = sub


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """`other - alpha * input`.

    >>> mt.rsub(mt.tensor([1.0, 2.0]), 1)
    tensor([ 0., -1.])
    """
    return called(sub(other, input, alpha=alpha), "RsubBackward1")


# --- the sum of a product ---------------------------------------------------------------------------------------------

ROW_DOTS = Op(
    "row_dots",
    lambda x, y: (np.sum(x * y, axis=-1, keepdims=True), (x, y)),
    None,
    (lambda g, _x, y: mul(g, y), lambda g, x, _y: mul(g, x)),
    "multilinear",
    draws(((2, 3), (2, 3)), ((4,), (4,)), ((0, 3), (0, 3)), ((3, 0), (3, 0)), ((2, 3, 67), (2, 3, 67))),
    exact=True,
    length=lambda x, _y: x.shape[-1],
    batch=lambda args, flags: apply(OPS["row_dots"], *with_batch(args, flags)),
    kernel=_core.row_dots,
    saves=(0, 1),
)
_LONG = 1 << 15  # rows that one thread should not sum alone: what it takes at a time in reduce.cpp


def _product_to(g: Any, v: Any, x: Any) -> Any:
    """`g * v`, a gradient of `x`; of arrays already summed along the rows where `x` is a column, in one pass."""
    if (
        isinstance(g, np.ndarray)
        and isinstance(v, np.ndarray)
        and isinstance(x, np.ndarray)
        and x.shape != g.shape == v.shape
        and x.shape == (*g.shape[:-1], 1)
        and g.shape[-1] < _LONG
        and g.dtype == v.dtype
        and g.dtype.char in "fd"
        and g.flags.c_contiguous
        and v.flags.c_contiguous
    ):
        return apply(ROW_DOTS, g, v)
    return mul(g, v)


# --- mul --------------------------------------------------------------------------------------------------------------

MUL = elementwise(
    "mul",
    reference=np.multiply,
    kernel=_core.mul,
    rules=(lambda g, _x, y: _product_to(g, y, _x), lambda g, x, _y: _product_to(g, x, _y)),  # of _x the shape, if kept
    saves="x y",
    samples=draws(*TWO, *COLUMNS, ((5, 67), (5, 1))),
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
    if out is not None and straight("mul", out, input, other):
        return out
    result = apply_two(MUL, input, other)
    return result if out is None else write_out("mul", result, out)


multiply = mul

# --- div --------------------------------------------------------------------------------------------------------------

DIV = elementwise(
    "div",
    reference=np.divide,
    kernel=_core.div,
    rules=(lambda g, _x, y: div(g, y), lambda g, x, y: neg(div(_product_to(g, div(x, y), y), y))),
    saves="x y",  # not out, which may be written in place
    samples=draws(*TWO, ((5, 67), (5, 1)), away=0.5),
)


def _floor_reference(x: Array, y: Array) -> Array:
    # Where y is 0, the quotient itself, as in PyTorch; else what NumPy gets from the exact remainder.
    q = np.floor_divide(x, y)
    return np.where(y == 0, np.divide(x, y), q) if x.dtype.kind == "f" else q


_floor_integers = _core.loop(np.floor_divide, "floor_divide")


def _floor_kernel(x: Array, y: Any) -> Any:
    if x.dtype.kind != "f":
        return _floor_integers(x, y)
    if x.dtype.char not in "fd" or not isinstance(y, np.ndarray):
        return None
    rest = _core.fmod(x, y)
    q = _core.div(_core.sub(x, rest), y)  # a whole number but for rounding: the truncated quotient
    below = _core.mul(_core.ne(rest, 0.0), _core.ne(_core.lt(rest, 0.0), _core.lt(y, 0.0)))
    q = _core.round(_core.where(_core.sub(q, 1.0), q, below))
    return _core.where(_core.div(x, y), q, _core.eq(y, 0.0))


def _trunc_reference(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.trunc(np.divide(x, y))
    q = np.floor_divide(x, y)
    return np.where((np.remainder(x, y) != 0) & ((x < 0) != (y < 0)), q + 1, q).astype(x.dtype)


FLOOR_DIVIDE, TRUNC_DIVIDE = [
    elementwise(
        name,
        reference=reference,
        kernel=kernel,
        rules=(lambda g: zero(g), lambda g: zero(g)),
        saves="",
        samples=draws(*TWO, away=0.5),
    )
    for name, reference, kernel in (
        ("floor_divide", _floor_reference, _floor_kernel),
        ("trunc_divide", _trunc_reference, lambda x, y: _core.trunc(_core.div(x, y)) if x.dtype.char in "fd" else None),
    )
]


def div(input: Any, other: Any, *, rounding_mode: str | None = None, out: Any = None) -> Any:
    r"""Quotient; integers give floats unless `rounding_mode` is "floor" or "trunc".

        forward    out = x / y
        backward   dx = g / y,  dy = -g * out / y,  and 0 for both if rounded

    Shapes broadcast; a dtype is promoted. Raises ShapeError where integers are divided by zero and rounded.

    >>> mt.div(mt.tensor([7, -7]), 2, rounding_mode="trunc")
    tensor([ 3, -3])
    """
    if rounding_mode is not None:
        result = _rounded_quotient(input, other, rounding_mode)
    elif is_floating(input):
        result = apply_two(DIV, input, other)
    elif isinstance(input, Tensor) and (type(other) is int or type(other) is float):
        result = apply_two(DIV, to_dtype(input, dtypes.get_default_dtype()), other)
    else:
        result = apply(DIV, *promote_float("div", input, other))
    return result if out is None else write_out("div", result, out)


def _rounded_quotient(input: Any, other: Any, rounding_mode: str) -> Any:
    if rounding_mode not in ("floor", "trunc"):
        raise ShapeError(f"div: rounding_mode must be None, 'floor' or 'trunc', not {rounding_mode!r}")
    op = FLOOR_DIVIDE if rounding_mode == "floor" else TRUNC_DIVIDE
    result = _by_number(op, input, other)
    if result is not None:
        return result
    x, y = promote("div", input, other)
    if _is_bool(x):
        raise DtypeError("div: bools have no rounded quotient")
    _check_divisor("div", y)
    return apply(op, x, y)


def _by_number(op: Op, x: Any, y: Any) -> Any:
    """The operator on a tensor and an integer that is not 0, where the kernel takes both as they are; else None."""
    return attempt(op, x, y) if type(y) is int and y and isinstance(x, Tensor) else None


divide = true_divide = div


def floor_divide(input: Any, other: Any, *, out: Any = None) -> Any:
    """`div` rounded down.

    >>> mt.floor_divide(mt.tensor([7, -7]), 2)
    tensor([ 3, -4])
    """
    result = div(input, other, rounding_mode="floor")
    return result if out is None else write_out("floor_divide", result, out)


# --- remainders -------------------------------------------------------------------------------------------------------

REMAINDER = elementwise(
    "remainder",
    reference=np.remainder,
    kernel=_core.remainder,
    rules=(lambda g, _x, _y: g, lambda g, x, y: neg(mul(g, apply(FLOOR_DIVIDE, x, y)))),
    saves="x y",
    samples=draws(*TWO, away=0.5),
)

FMOD = elementwise(
    "fmod",
    reference=np.fmod,
    kernel=_core.fmod,
    rules=(lambda g, _x, _y: g, lambda g, x, y: neg(mul(g, apply(TRUNC_DIVIDE, x, y)))),
    saves="x y",
    samples=draws(*TWO, away=0.5),
)


def remainder(input: Any, other: Any, *, out: Any = None) -> Any:
    """What is left of x after the floored quotient, with the sign of y, as Python's `%`.

        forward    out = x - y * floor(x / y)
        backward   dx = g,  dy = -g * floor(x / y)

    >>> mt.remainder(mt.tensor([7, -7]), 3)
    tensor([1, 2])
    """
    result = _by_number(REMAINDER, input, other)
    if result is not None:
        return result if out is None else write_out("remainder", result, out)
    x, y = promote("remainder", input, other)
    _no_bools("remainder", x)
    _check_divisor("remainder", y)
    result = apply(REMAINDER, x, y)
    return result if out is None else write_out("remainder", result, out)


def fmod(input: Any, other: Any, *, out: Any = None) -> Any:
    """What is left of x after the truncated quotient, with the sign of x, as C's `fmod`.

        forward    out = x - y * trunc(x / y)
        backward   dx = g,  dy = -g * trunc(x / y)

    >>> mt.fmod(mt.tensor([7, -7]), 3)
    tensor([ 1, -1])
    """
    result = _by_number(FMOD, input, other)
    if result is not None:
        return result if out is None else write_out("fmod", result, out)
    x, y = promote("fmod", input, other)
    _no_bools("fmod", x)
    _check_divisor("fmod", y)
    result = apply(FMOD, x, y)
    return result if out is None else write_out("fmod", result, out)


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


def neg(input: Any, *, out: Any = None) -> Any:
    r"""The negative.

        forward    out = -x
        backward   dx = -g

    >>> mt.neg(mt.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    result = attempt(NEG, input)
    if result is None:
        (x,) = promote("neg", input)
        _no_bools("neg", x)
        result = apply(NEG, x)
    return result if out is None else write_out("neg", result, out)


negative = neg


def positive(input: Any) -> Any:
    """`input` itself; raises DtypeError for bools.

    >>> mt.positive(mt.tensor([1.0, -2.0]))
    tensor([ 1., -2.])
    """
    _no_bools("positive", input)
    return input


def mul_both(g: Any, x: Any, number: Any) -> Any:
    """`number * g * x`, of arrays in one pass."""
    if isinstance(g, np.ndarray) and _alike(g, x):
        return apply(ADDCMUL, -0.0, g, x, value=float(number))  # -0 + v is v, also of 0
    return mul(mul(g, x), number)


def _square_dx(g: Any, x: Any) -> Any:
    # On tensors x^1, as for other powers: a derivative that is constant counts as a function of x.
    return mul_both(g, apply(OPS["pow_scalar"], x, exponent=1) if isinstance(g, Tensor) else x, 2)


SQUARE = elementwise(
    "square",
    reference=np.square,
    kernel=_core.square,
    rules=(_square_dx,),
    saves="x",
    samples=draws(*ONE),
    exact=True,
)


def square(input: Any, *, out: Any = None) -> Any:
    r"""The square.

        forward    out = x * x
        backward   dx = 2 g x

    >>> mt.square(mt.tensor([3.0, -2.0]))
    tensor([9., 4.])
    """
    (x,) = promote("square", input)
    result = apply(SQUARE, to_dtype(x, dtypes.int64) if _is_bool(x) else x)
    return result if out is None else write_out("square", result, out)


RECIPROCAL = elementwise(
    "reciprocal",
    reference=np.reciprocal,
    kernel=_core.reciprocal,
    rules=(lambda g, out: neg(mul(g, square(out))),),
    saves="out",
    samples=draws(*ONE, away=0.5),
)


def reciprocal(input: Any, *, out: Any = None) -> Any:
    r"""One over x.

        forward    out = 1 / x
        backward   dx = -g * out^2

    >>> mt.reciprocal(mt.tensor([2.0, -4.0]))
    tensor([ 0.5000, -0.2500])
    """
    result = apply_one(RECIPROCAL, input)
    return result if out is None else write_out("reciprocal", result, out)


def over(number: Any, input: Any) -> Any:
    """`number / input` as PyTorch rounds it: the number times the reciprocal."""
    if not isinstance(number, (float, int)):
        return div(number, input)
    result = reciprocal(input)
    return called(result if number == 1 else mul(result, number), "MulBackward0")


# --- of three ---------------------------------------------------------------------------------------------------------


def _float_value(name: str, value: Any, *tensors: Any) -> None:
    if isinstance(value, float) and not value.is_integer() and not any(map(is_floating, tensors)):
        raise DtypeError(f"{name}: value {value} is a fraction, the tensors hold integers")


def _third(
    name: str, divide: bool, reference: Callable[..., Any], da: Callable[..., Any], db: Callable[..., Any]
) -> Op:
    """The row of x + value a b, or of x + value a / b."""
    return elementwise(
        name,
        reference=reference,
        kernel=lambda x, a, b, value: _core.multiply_add(x, a, b, value, divide),
        rules=(lambda g, _x, _a, _b, *, value: g, da, db),
        saves="x y z",
        samples=draws(*[(call[0], *call) for call in TWO], away=0.5, value=0.7),
        names=("value",),
    )


ADDCMUL = _third(
    "addcmul",
    False,
    lambda x, a, b, *, value: x + value * a * b,
    lambda g, _x, _a, b, *, value: mul(mul(g, value), b),
    lambda g, _x, a, _b, *, value: mul(mul(g, value), a),
)
ADDCDIV = _third(
    "addcdiv",
    True,
    lambda x, a, b, *, value: x + value * a / b,
    lambda g, _x, _a, b, *, value: div(mul(g, value), b),
    lambda g, _x, a, b, *, value: neg(div(mul(mul(g, value), a), mul(b, b))),
)


def _write_remainder(name: str, kernel: Any) -> None:
    @writes(name)
    def write(x: Any, y: Any, into: Any) -> Any:
        if x.dtype.kind in "iu":
            _check_divisor(name, np.asarray(y))
        return kernel(x, y, into)


_write_remainder("remainder", _core.remainder)
_write_remainder("fmod", _core.fmod)


@writes("addcmul")
def _write_addcmul(x: Array, a: Any, b: Any, into: Array, value: Any = 1) -> Any:
    return _core.multiply_add(x, a, b, float(value), False, into)


@writes("addcdiv")
def _write_addcdiv(x: Array, a: Any, b: Any, into: Array, value: Any = 1) -> Any:
    return _core.multiply_add(x, a, b, float(value), True, into)


@writes("lerp")
def _write_lerp(x: Array, y: Any, w: Any, into: Array) -> Any:
    return _core.lerp(x, y, w, into)


def _alike(*values: Any) -> bool:
    """Whether these are tensors, or arrays, of one floating dtype."""
    arrays = [raw(v) for v in values]
    if not all(isinstance(a, np.ndarray) for a in arrays):
        return False
    first = arrays[0].dtype
    return first.kind == "f" and all(a.dtype == first for a in arrays)


@named("AddcmulBackward0")
def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1, out: Any = None) -> Any:
    r"""A product added.

        forward    out = x + value * a * b
        backward   dx = g,  da = value * g * b,  db = value * g * a

    Shapes broadcast; a dtype is promoted.

    >>> mt.addcmul(mt.tensor([1.0, 2.0]), mt.tensor([3.0, 4.0]), mt.tensor([5.0, 6.0]), value=10)
    tensor([151., 242.])
    """
    if type(value) is float or type(value) is int:
        result = attempt(ADDCMUL, input, tensor1, tensor2, float(value))
        if result is not None:
            return result if out is None else write_out("addcmul", result, out)
    _float_value("addcmul", value, input, tensor1, tensor2)
    if isinstance(value, (int, float)) and _alike(input, tensor1, tensor2):
        result = apply(ADDCMUL, input, tensor1, tensor2, value=float(value))
        return result if out is None else write_out("addcmul", result, out)
    product = mul(tensor1, tensor2)
    result = add(input, product if value == 1 else mul(product, value))
    return result if out is None else write_out("addcmul", result, out)


@named("AddcdivBackward0")
def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1, out: Any = None) -> Any:
    r"""A quotient added.

        forward    out = x + value * a / b
        backward   dx = g,  da = value * g / b,  db = -value * g * a / b^2

    Shapes broadcast; a dtype is promoted. Raises DtypeError where a and b both hold integers.

    >>> mt.addcdiv(mt.tensor([1.0, 2.0]), mt.tensor([3.0, 4.0]), mt.tensor([2.0, 8.0]), value=10)
    tensor([16.,  7.])
    """
    if type(value) is float or type(value) is int:
        result = attempt(ADDCDIV, input, tensor1, tensor2, float(value))
        if result is not None:
            return result if out is None else write_out("addcdiv", result, out)
    if not (is_floating(tensor1) or is_floating(tensor2)):
        raise DtypeError("addcdiv: integers are divided; make one of them floats, or use addcmul and div")
    if isinstance(value, (int, float)) and _alike(input, tensor1, tensor2):
        result = apply(ADDCDIV, input, tensor1, tensor2, value=float(value))
        return result if out is None else write_out("addcdiv", result, out)
    quotient = div(tensor1, tensor2)
    result = add(input, quotient if value == 1 else mul(quotient, value))
    return result if out is None else write_out("addcdiv", result, out)


def _lerp_reference(x: Array, y: Array, w: Array) -> Any:
    # From the nearer end, so that w = 1 gives y itself.
    return np.where(np.abs(w) < 0.5, x + w * (y - x), y - (y - x) * (1 - w)).astype(x.dtype)


LERP = elementwise(
    "lerp",
    reference=_lerp_reference,
    kernel=_core.lerp,
    rules=(
        lambda g, _x, _y, w: mul(g, sub(1, w)),
        lambda g, _x, _y, w: mul(g, w),
        lambda g, x, y, _w: mul(g, sub(y, x)),
    ),
    saves="x y z",
    samples=draws(*[(*call, call[1]) for call in TWO]),
)


def lerp(input: Any, end: Any, weight: Any, *, out: Any = None) -> Any:
    r"""On the straight line from x to y: x at weight 0, y at weight 1.

        forward    out = x + w (y - x)
        backward   dx = g (1 - w),  dy = g w,  dw = g (y - x)

    Shapes broadcast. The weight is a tensor or a number. Raises DtypeError unless all have one floating dtype.

    >>> mt.lerp(mt.tensor([1.0, 2.0]), mt.tensor([3.0, 10.0]), 0.25)
    tensor([1.5000, 4.0000])
    """
    kinds = [array_of(v).dtype for v in (input, end, weight) if isinstance(raw(v), np.ndarray)]
    if kinds[0].kind != "f" or any(d != kinds[0] for d in kinds):
        raise DtypeError(f"lerp: expected one floating dtype, got {', '.join(map(str, kinds))}")
    if type(weight) is float and len(kinds) == 2:
        weight = np.asarray(weight, kinds[0])
        result = apply(LERP, input, end, weight)
    else:
        result = apply(LERP, *promote("lerp", input, end, weight))
    return result if out is None else write_out("lerp", result, out)
