"""Comparisons and choices, element by element: eq ... ge, isclose, logical_*, isnan ..., where, maximum ..., clamp.

What gives bools has no derivative; what chooses passes the gradient on to what it chose.
Kernels: csrc/kernels/functions.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, ShapeError
from ..graph.modes import uses_reference
from ..graph.record import apply, attempt
from ..op import Op, Result, Sample
from .common import (
    ONE,
    TWO,
    Array,
    axes,
    binary,
    composed,
    draws,
    elementwise,
    is_floating,
    named,
    promote,
    to_dtype,
    write_out,
    writes,
)

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .common import array_of, raw

# --- comparisons ------------------------------------------------------------------------------------------------------


def _predicate(name: str, reference: Callable[..., Any], arguments: int, kernel: Any = None) -> Op:
    """The row of an operator that gives bools, and so has no derivative."""
    shapes = TWO if arguments == 2 else ONE
    return elementwise(
        name, reference=reference, kernel=kernel, rules=(None,) * arguments, saves="", samples=draws(*shapes)
    )


def _of_one(op: Op, input: Any) -> Any:
    result = attempt(op, input)
    return apply(op, *promote(op.name, input)) if result is None else result


EQ = _predicate("eq", np.equal, 2, _core.eq)
NE = _predicate("ne", np.not_equal, 2, _core.ne)
LT = _predicate("lt", np.less, 2, _core.lt)
LE = _predicate("le", np.less_equal, 2, _core.le)
GT = _predicate("gt", np.greater, 2, _core.gt)
GE = _predicate("ge", np.greater_equal, 2, _core.ge)


def eq(input: Any, other: Any, *, out: Any = None) -> Any:
    """Where x = y, as bools; shapes broadcast. No derivative, like all comparisons.

    >>> mt.eq(mt.tensor([1, 2]), 2)
    tensor([False,  True])
    """
    return binary(EQ, input, other, out)


def ne(input: Any, other: Any, *, out: Any = None) -> Any:
    """Where x and y differ; NaN differs from itself."""
    return binary(NE, input, other, out)


def lt(input: Any, other: Any, *, out: Any = None) -> Any:
    """Where x < y."""
    return binary(LT, input, other, out)


def le(input: Any, other: Any, *, out: Any = None) -> Any:
    """Where x <= y."""
    return binary(LE, input, other, out)


def gt(input: Any, other: Any, *, out: Any = None) -> Any:
    """Where x > y."""
    return binary(GT, input, other, out)


def ge(input: Any, other: Any, *, out: Any = None) -> Any:
    """Where x >= y."""
    return binary(GE, input, other, out)


not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


_FEW = 1 << 12  # bools that Python itself looks through faster


def equal(input: Any, other: Any) -> bool:
    """Whether two tensors have one shape and equal elements, as a Python bool; NaN equals nothing.

    >>> mt.equal(mt.tensor([1, 2]), mt.tensor([1, 2]))
    True
    """
    x, y = raw(input), raw(other)
    if not (isinstance(x, np.ndarray) and isinstance(y, np.ndarray)):
        raise DtypeError(f"equal: expected two tensors, got {type(input).__name__} and {type(other).__name__}")
    if x.shape != y.shape:
        return False
    if x.dtype is not y.dtype:
        x, y = [raw(v) for v in promote("equal", input, other)]
    same = None if uses_reference() or x.ndim == 0 else _core.eq(x, y)
    if same is None:
        return bool((x == y).all())
    if x.size < _FEW:
        return b"\0" not in same.tobytes()
    return bool(_core.sum(same, axes("equal", None, x.ndim), False).item() == x.size)


def _near(x: Array, y: Array, *, rtol: float, atol: float, equal_nan: bool) -> Any:
    near = (x == y) | (np.isfinite(y) & (np.abs(x - y) <= atol + rtol * np.abs(y)))
    return near | (np.isnan(x) & np.isnan(y)) if equal_nan else near


ISCLOSE = elementwise(
    "isclose",
    reference=_near,
    kernel=None,
    rules=(None, None),
    saves="",
    samples=draws(*TWO, rtol=0.5, atol=0.1, equal_nan=False),
)


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Any:
    """Where |x - y| <= atol + rtol |y|, or both are the same infinity, or with `equal_nan` both are NaN.

    Shapes broadcast; a dtype is promoted. Raises ShapeError for a negative tolerance.

    >>> mt.isclose(mt.tensor([1.0, 1.0]), mt.tensor([1.000001, 1.1]))
    tensor([ True, False])
    """
    if rtol < 0 or atol < 0:
        raise ShapeError(f"isclose: rtol {rtol} and atol {atol} must not be negative")
    x, y = promote("isclose", input, other)
    if array_of(x).dtype.kind != "f":  # differences of whole numbers could leave their dtype
        x, y = to_dtype(x, dtypes.float64), to_dtype(y, dtypes.float64)
    return apply(ISCLOSE, x, y, rtol=rtol, atol=atol, equal_nan=equal_nan)


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether `isclose` holds everywhere, as a Python bool.

    >>> mt.allclose(mt.tensor([1.0, 2.0]), mt.tensor([1.0, 2.000001]))
    True
    """
    return bool(raw(isclose(input, other, rtol, atol, equal_nan)).all())


# --- logic: whatever is not 0 is true ---------------------------------------------------------------------------------

LOGICAL_AND = _predicate("logical_and", np.logical_and, 2)
LOGICAL_OR = _predicate("logical_or", np.logical_or, 2)
LOGICAL_XOR = _predicate("logical_xor", np.logical_xor, 2)
LOGICAL_NOT = _predicate("logical_not", np.logical_not, 1)


def logical_and(input: Any, other: Any, *, out: Any = None) -> Any:
    """Where both are not 0.

    >>> mt.logical_and(mt.tensor([0, 1, 2]), mt.tensor([1, 1, 0]))
    tensor([False,  True, False])
    """
    return binary(LOGICAL_AND, input, other, out)


def logical_or(input: Any, other: Any, *, out: Any = None) -> Any:
    """Where one or both are not 0."""
    return binary(LOGICAL_OR, input, other, out)


def logical_xor(input: Any, other: Any, *, out: Any = None) -> Any:
    """Where one of the two is not 0."""
    return binary(LOGICAL_XOR, input, other, out)


def logical_not(input: Any, *, out: Any = None) -> Any:
    """Where x is 0."""
    result = _of_one(LOGICAL_NOT, input)
    return result if out is None else write_out("logical_not", result, out)


# --- kinds of numbers -------------------------------------------------------------------------------------------------

ISNAN = _predicate("isnan", np.isnan, 1)
ISINF = _predicate("isinf", np.isinf, 1)
ISFINITE = _predicate("isfinite", np.isfinite, 1)


def isnan(input: Any) -> Any:
    """Where x is NaN.

    >>> mt.isnan(mt.tensor([1.0, float("nan")]))
    tensor([False,  True])
    """
    return _of_one(ISNAN, input)


def isinf(input: Any) -> Any:
    """Where x is infinite."""
    return _of_one(ISINF, input)


def isfinite(input: Any) -> Any:
    """Where x is neither NaN nor infinite."""
    return _of_one(ISFINITE, input)


def _sided(name: str, end: float) -> Op:
    return _predicate(name, lambda x: x == end, 1)


ISPOSINF = _sided("isposinf", math.inf)
ISNEGINF = _sided("isneginf", -math.inf)


def isposinf(input: Any, *, out: Any = None) -> Any:
    """Where x is infinite and positive.

    >>> mt.isposinf(mt.tensor([float("inf"), -float("inf")]))
    tensor([ True, False])
    """
    result = apply(ISPOSINF, *promote("isposinf", input))
    return result if out is None else write_out("isposinf", result, out)


def isneginf(input: Any, *, out: Any = None) -> Any:
    """Where x is infinite and negative.

    >>> mt.isneginf(mt.tensor([float("inf"), -float("inf")]))
    tensor([False,  True])
    """
    result = apply(ISNEGINF, *promote("isneginf", input))
    return result if out is None else write_out("isneginf", result, out)


ISREAL = _predicate("isreal", np.isreal, 1)


def isreal(input: Any) -> Any:
    """Where x is a real number, or a complex one whose imaginary part is 0.

    >>> mt.isreal(mt.tensor([1.0, 2.0]))
    tensor([True, True])
    """
    return apply(ISREAL, *promote("isreal", input))


# --- membership -------------------------------------------------------------------------------------------------------


def _isin_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, tested in (((2, 3), (4,)), ((), (2, 2)), ((0,), (1,)), ((3,), (0,))):
        values = [np.asarray(rng.integers(0, 5, s)) for s in (shape, tested)]
        yield Sample(tuple(values), {"invert": False})


def _isin_reference(x: Array, y: Array, *, invert: bool) -> Result:
    return np.asarray(np.isin(x, y, invert=invert)), ()


ISIN = Op("isin", _isin_reference, None, (None, None), None, _isin_samples)


def isin(
    elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False, out: Any = None
) -> Any:
    """Where an element is one of those to be tested for; with `invert`, where it is none. `assume_unique` is a hint.

    Shapes: that of `elements`; the other is any. Either may be a number.

    >>> mt.isin(mt.tensor([1, 2, 3]), mt.tensor([3, 1]))
    tensor([ True, False,  True])
    """
    x, y = promote("isin", elements, test_elements)
    result = apply(ISIN, x, y, invert=invert)
    return result if out is None else write_out("isin", result, out)


# --- where ------------------------------------------------------------------------------------------------------------


def _where_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for x, y, condition in (((2, 3), (2, 3), (2, 3)), ((3,), (2, 1), (2, 3)), ((), (67,), (67,)), ((0,), (1,), (1,))):
        yield Sample((rng.standard_normal(x), rng.standard_normal(y), rng.random(condition) < 0.5))


WHERE = elementwise(
    "where",
    reference=lambda x, y, condition: np.where(condition, x, y),
    kernel=_core.where,
    rules=(lambda g, c: where(c, g, 0.0), lambda g, c: where(c, 0.0, g), None),
    saves="z",
    samples=_where_samples,
    exact=True,
)


def where(condition: Any, input: Any = None, other: Any = None, *, out: Any = None) -> Any:
    r"""`input` where the condition holds, else `other`; with the condition alone, the indices where it holds.

        forward    out = c ? x : y
        backward   dx = c ? g : 0,  dy = c ? 0 : g

    The three broadcast; the dtype of the two is promoted. Raises DtypeError unless the condition is of bools.

    >>> mt.where(mt.tensor([True, False]), mt.tensor([1.0, 2.0]), 0)
    tensor([1., 0.])
    """
    if input is None and other is None:
        from . import masks  # which needs this family itself

        return masks.nonzero(condition, as_tuple=True)
    result = attempt(WHERE, input, other, condition) if out is None else None
    if result is not None:
        return result
    c = raw(condition)
    if isinstance(c, np.ndarray) and c.dtype.char == "B":  # bytes: an old kind of mask
        condition = c = c.astype(bool)
    if not isinstance(c, np.ndarray) or c.dtype.kind != "b":
        kind = getattr(c, "dtype", type(c).__name__)
        raise DtypeError(f"where: the condition must be a tensor of bools, not of {kind}")
    x, y = promote("where", input, other)
    result = apply(WHERE, x, y, condition)
    return result if out is None else write_out("where", result, out)


# --- maximum, minimum -------------------------------------------------------------------------------------------------


def _chosen(g: Array, x: Array, y: Array) -> Array:
    return np.where(x < y, 0, np.where(x == y, g / 2, g)).astype(g.dtype)


MAXIMUM_VJP: Op = elementwise(
    "maximum_vjp",
    reference=_chosen,
    kernel=_core.maximum_vjp,
    rules=(lambda h, x, y: apply(MAXIMUM_VJP, h, x, y), None, None),
    saves="y z",
    samples=draws(((2, 3), (2, 3), (2, 3)), ((67,), (67,), (1,))),
)

MAXIMUM = elementwise(
    "maximum",
    reference=np.maximum,
    kernel=_core.maximum,
    rules=(lambda g, x, y: apply(MAXIMUM_VJP, g, x, y), lambda g, x, y: apply(MAXIMUM_VJP, g, y, x)),
    saves="x y",
    samples=draws(*TWO),
    exact=True,
)

MINIMUM = elementwise(
    "minimum",
    reference=np.minimum,
    kernel=_core.minimum,
    rules=(lambda g, x, y: apply(MAXIMUM_VJP, g, y, x), lambda g, x, y: apply(MAXIMUM_VJP, g, x, y)),
    saves="x y",
    samples=draws(*TWO),
    exact=True,
)


def maximum(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The larger of two; NaN if either is NaN.

        forward    out = max(x, y)
        backward   dx = g where x > y, g/2 where x = y, else 0;  dy likewise

    Shapes broadcast; a dtype is promoted.

    >>> mt.maximum(mt.tensor([1.0, 5.0]), mt.tensor([3.0, 2.0]))
    tensor([3., 5.])
    """
    return binary(MAXIMUM, input, other, out)


def minimum(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The smaller of two; NaN if either is NaN.

        forward    out = min(x, y)
        backward   dx = g where x < y, g/2 where x = y, else 0;  dy likewise

    Shapes broadcast; a dtype is promoted.

    >>> mt.minimum(mt.tensor([1.0, 5.0]), mt.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return binary(MINIMUM, input, other, out)


# fmax and fmin: x where it is chosen or y is NaN, so that a NaN gives way to a number and a tie goes to x.


def _prefers(name: str, reference: Callable[..., Any], keeps: Callable[[Any, Any], Any]) -> Op:
    """The row of fmax or fmin; `keeps(x, y)` is where x is chosen among numbers."""

    def chosen(x: Any, y: Any) -> Any:
        return logical_or(keeps(x, y), isnan(y))

    return elementwise(
        name,
        reference=reference,
        kernel=None,
        rules=(
            lambda g, x, y: where(chosen(x, y), g, 0.0),
            lambda g, x, y: where(chosen(x, y), 0.0, g),
        ),
        saves="x y",
        samples=draws(*TWO),
    )


FMAX = _prefers("fmax", np.fmax, ge)
FMIN = _prefers("fmin", np.fmin, le)


def fmax(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The larger of two; the other where one is NaN.

        forward    out = max(x, y)
        backward   dx = g where x >= y or y is NaN, else 0;  dy = g where dx is 0

    Shapes broadcast; a dtype is promoted.

    >>> mt.fmax(mt.tensor([1.0, float("nan")]), mt.tensor([3.0, 2.0]))
    tensor([3., 2.])
    """
    return binary(FMAX, input, other, out)


def fmin(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The smaller of two; the other where one is NaN.

        forward    out = min(x, y)
        backward   dx = g where x <= y or y is NaN, else 0;  dy = g where dx is 0

    Shapes broadcast; a dtype is promoted.

    >>> mt.fmin(mt.tensor([1.0, float("nan")]), mt.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return binary(FMIN, input, other, out)


# --- heaviside --------------------------------------------------------------------------------------------------------


def _heaviside_kernel(x: Array, y: Array) -> Array | None:
    side = _core.sign(x)
    return None if side is None else _core.where(y, _core.relu(side), _core.eq(x, 0.0))


HEAVISIDE = elementwise(
    "heaviside",
    reference=lambda x, y: np.where(x == 0, y, x > 0).astype(x.dtype),
    kernel=composed("heaviside", _heaviside_kernel),
    rules=(None, None),
    saves="",
    samples=draws(*TWO),
)


def heaviside(input: Any, values: Any, *, out: Any = None) -> Any:
    """The step: 0 below 0 and for NaN, 1 above, `values` at 0. No derivative.

    Shapes broadcast. Raises DtypeError unless both have the same dtype.

    >>> mt.heaviside(mt.tensor([-1.5, 0.0, 2.0]), mt.tensor([0.5]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    a, b = array_of(input).dtype, array_of(values).dtype
    if a != b:
        raise DtypeError(f"heaviside: the dtypes {a} and {b} differ")
    result = apply(HEAVISIDE, input, values)
    return result if out is None else write_out("heaviside", result, out)


# --- clamp ------------------------------------------------------------------------------------------------------------


def _limits(low: Any, high: Any) -> tuple[float, float]:
    """The bounds; one that is not given is out of reach of every number."""
    return (-math.inf if low is None else low), (math.inf if high is None else high)


def _within(g: Array, x: Array, *, low: Any, high: Any) -> Array:
    low, high = _limits(low, high)
    return np.where((x >= low) & (x <= high), g, 0).astype(g.dtype)


def _clamp_samples(shapes: Any) -> Any:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for low, high in ((-1.0, 1.0), (None, 0.5), (0.5, None), (0.5, -0.5)):
            for sample in draws(*shapes)(rng):
                yield Sample(sample.args, {"low": low, "high": high})

    return samples


def clamped(x: Array, low: float, high: float) -> Array:
    """The kernel, for which a bound that is NaN would be none: here everything is NaN then."""
    return _core.clamp(x, low, high) if low == low and high == high else np.full_like(x, np.nan)


def clamp_kernel(x: Array, low: Any, high: Any) -> Array | None:
    if not isinstance(x, np.ndarray):
        return None
    if x.dtype.char in "fd":
        return clamped(x, -math.inf if low is None else low, math.inf if high is None else high)
    if type(low) is float or type(high) is float:
        return None
    bound = x if low is None else _core.maximum(x, low)  # of integers
    return bound if high is None or bound is None else _core.minimum(bound, high)


_BOUNDS = (float, int, type(None))


def _are_numbers(low: Any, high: Any) -> bool:
    """Whether each bound is a number or none; a NaN, which replaces everything, counts as no number."""
    return type(low) in _BOUNDS and type(high) in _BOUNDS and low == low and high == high


@writes("clamp")
def _clamp_into(x: Array, low: Any, high: Any, into: Array) -> Array | None:
    return _core.clamp(x, low, high, into) if x.dtype.char in "fd" and _are_numbers(low, high) else None


CLAMP_VJP: Op = elementwise(
    "clamp_vjp",
    reference=_within,
    kernel=lambda g, x, low, high: _core.clamp_vjp(g, x, *_limits(low, high)),
    names=("low", "high"),
    rules=(lambda h, x, *, low, high: apply(CLAMP_VJP, h, x, low=low, high=high), None),
    saves="y",
    samples=_clamp_samples(TWO),
)

CLAMP = elementwise(
    "clamp",
    reference=lambda x, *, low, high: np.clip(x, low, high),
    kernel=clamp_kernel,
    rules=(lambda g, x, *, low, high: apply(CLAMP_VJP, g, x, low=low, high=high),),
    saves="x",
    samples=_clamp_samples(ONE),
    names=("low", "high"),
)


def _bound(name: str, reference: Any, kernel: Any, keeps: Callable[[Any, Any], Any], goes: Any) -> Op:
    """The row of x, or the bound where x is beyond it, which then gets the gradient; NaN gives none."""
    return elementwise(
        name,
        reference=reference,
        kernel=kernel,
        rules=(lambda g, x, y: where(keeps(x, y), g, 0.0), lambda g, x, y: where(goes(x, y), g, 0.0)),
        saves="x y",
        samples=draws(*TWO),
    )


CLAMP_LOW = _bound("clamp_low", np.maximum, _core.maximum, ge, lt)
CLAMP_HIGH = _bound("clamp_high", np.minimum, _core.minimum, le, gt)


def clamp(input: Any, min: Any = None, max: Any = None, *, out: Any = None) -> Any:
    r"""Values below `min` raised to it, then values above `max` lowered to that. NaN stays.

        forward    out = min(max(x, low), high)
        backward   dx = g where low <= x <= high, else 0; a bound that is a tensor gets g where it is taken

    Raises ShapeError if neither bound is given.

    >>> mt.clamp(mt.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise ShapeError("clamp: at least one of min and max must be given")
    numbers = _are_numbers(min, max)
    result = attempt(CLAMP, input, min, max) if numbers else None
    if result is not None:
        pass
    elif numbers and is_floating(input):
        result = apply(CLAMP, input, low=min, high=max)
    elif numbers:
        x, *_ = promote("clamp", input, *[b for b in (min, max) if b is not None])
        result = apply(CLAMP, x, low=min, high=max)
    else:
        result = input if min is None else apply(CLAMP_LOW, *promote("clamp", input, min))
        result = result if max is None else apply(CLAMP_HIGH, *promote("clamp", result, max))
    return result if out is None else write_out("clamp", result, out)


clip = clamp


@named("ClampMinBackward0")
def clamp_min(input: Any, min: Any, *, out: Any = None) -> Any:
    """`clamp` from below."""
    return clamp(input, min=min, out=out)


@named("ClampMaxBackward0")
def clamp_max(input: Any, max: Any, *, out: Any = None) -> Any:
    """`clamp` from above."""
    return clamp(input, max=max, out=out)
