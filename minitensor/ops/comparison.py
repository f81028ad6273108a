"""Comparisons and choices, element by element: eq ... ge, logical_*, isnan ..., where, maximum, minimum, clamp.

What gives bools has no derivative; what chooses passes the gradient on to what it chose.
Kernels: csrc/kernels/functions.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import _core
from ..errors import DtypeError, ShapeError
from ..graph import apply
from ..op import Op, Sample
from .common import ONE, TWO, Array, draws, elementwise, promote, raw

# --- comparisons ------------------------------------------------------------------------------------------------------


def _predicate(name: str, reference: Callable[..., Any], arguments: int) -> Op:
    """The row of an operator that gives bools, and so has no derivative."""
    shapes = TWO if arguments == 2 else ONE
    return elementwise(
        name, reference=reference, kernel=None, rules=(None,) * arguments, saves="", samples=draws(*shapes)
    )


EQ = _predicate("eq", np.equal, 2)
NE = _predicate("ne", np.not_equal, 2)
LT = _predicate("lt", np.less, 2)
LE = _predicate("le", np.less_equal, 2)
GT = _predicate("gt", np.greater, 2)
GE = _predicate("ge", np.greater_equal, 2)


def eq(input: Any, other: Any) -> Any:
    """Where x = y, as bools; shapes broadcast. No derivative, like all comparisons.

    >>> mt.eq(mt.tensor([1, 2]), 2)
    tensor([False,  True])
    """
    return apply(EQ, *promote("eq", input, other))


def ne(input: Any, other: Any) -> Any:
    """Where x and y differ; NaN differs from itself."""
    return apply(NE, *promote("ne", input, other))


def lt(input: Any, other: Any) -> Any:
    """Where x < y."""
    return apply(LT, *promote("lt", input, other))


def le(input: Any, other: Any) -> Any:
    """Where x <= y."""
    return apply(LE, *promote("le", input, other))


def gt(input: Any, other: Any) -> Any:
    """Where x > y."""
    return apply(GT, *promote("gt", input, other))


def ge(input: Any, other: Any) -> Any:
    """Where x >= y."""
    return apply(GE, *promote("ge", input, other))


# --- logic: whatever is not 0 is true ---------------------------------------------------------------------------------

LOGICAL_AND = _predicate("logical_and", np.logical_and, 2)
LOGICAL_OR = _predicate("logical_or", np.logical_or, 2)
LOGICAL_XOR = _predicate("logical_xor", np.logical_xor, 2)
LOGICAL_NOT = _predicate("logical_not", np.logical_not, 1)


def logical_and(input: Any, other: Any) -> Any:
    """Where both are not 0.

    >>> mt.logical_and(mt.tensor([0, 1, 2]), mt.tensor([1, 1, 0]))
    tensor([False,  True, False])
    """
    return apply(LOGICAL_AND, *promote("logical_and", input, other))


def logical_or(input: Any, other: Any) -> Any:
    """Where one or both are not 0."""
    return apply(LOGICAL_OR, *promote("logical_or", input, other))


def logical_xor(input: Any, other: Any) -> Any:
    """Where one of the two is not 0."""
    return apply(LOGICAL_XOR, *promote("logical_xor", input, other))


def logical_not(input: Any) -> Any:
    """Where x is 0."""
    return apply(LOGICAL_NOT, *promote("logical_not", input))


# --- kinds of numbers -------------------------------------------------------------------------------------------------

ISNAN = _predicate("isnan", np.isnan, 1)
ISINF = _predicate("isinf", np.isinf, 1)
ISFINITE = _predicate("isfinite", np.isfinite, 1)


def isnan(input: Any) -> Any:
    """Where x is NaN.

    >>> mt.isnan(mt.tensor([1.0, float("nan")]))
    tensor([False,  True])
    """
    return apply(ISNAN, *promote("isnan", input))


def isinf(input: Any) -> Any:
    """Where x is infinite."""
    return apply(ISINF, *promote("isinf", input))


def isfinite(input: Any) -> Any:
    """Where x is neither NaN nor infinite."""
    return apply(ISFINITE, *promote("isfinite", input))


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


def where(condition: Any, input: Any = None, other: Any = None) -> Any:
    r"""`input` where the condition holds, else `other`; with the condition alone, the indices where it holds.

        forward    out = c ? x : y
        backward   dx = c ? g : 0,  dy = c ? 0 : g

    The three broadcast; the dtype of the two is promoted. Raises DtypeError unless the condition is of bools.

    >>> mt.where(mt.tensor([True, False]), mt.tensor([1.0, 2.0]), 0)
    tensor([1., 0.])
    """
    if input is None and other is None:
        from . import indexing  # which needs this family's gradients itself

        return indexing.nonzero(condition, as_tuple=True)
    c = raw(condition)
    if not isinstance(c, np.ndarray) or c.dtype.kind != "b":
        kind = getattr(c, "dtype", type(c).__name__)
        raise DtypeError(f"where: the condition must be a tensor of bools, not of {kind}")
    x, y = promote("where", input, other)
    return apply(WHERE, x, y, condition)


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


def maximum(input: Any, other: Any) -> Any:
    r"""The larger of two; NaN if either is NaN.

        forward    out = max(x, y)
        backward   dx = g where x > y, g/2 where x = y, else 0;  dy likewise

    Shapes broadcast; a dtype is promoted.

    >>> mt.maximum(mt.tensor([1.0, 5.0]), mt.tensor([3.0, 2.0]))
    tensor([3., 5.])
    """
    return apply(MAXIMUM, *promote("maximum", input, other))


def minimum(input: Any, other: Any) -> Any:
    r"""The smaller of two; NaN if either is NaN.

        forward    out = min(x, y)
        backward   dx = g where x < y, g/2 where x = y, else 0;  dy likewise

    Shapes broadcast; a dtype is promoted.

    >>> mt.minimum(mt.tensor([1.0, 5.0]), mt.tensor([3.0, 2.0]))
    tensor([1., 2.])
    """
    return apply(MINIMUM, *promote("minimum", input, other))


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


CLAMP_VJP: Op = elementwise(
    "clamp_vjp",
    reference=_within,
    kernel=lambda g, x, *, low, high: _core.clamp_vjp(g, x, *_limits(low, high)),
    rules=(lambda h, x, *, low, high: apply(CLAMP_VJP, h, x, low=low, high=high), None),
    saves="y",
    samples=_clamp_samples(TWO),
)

CLAMP = elementwise(
    "clamp",
    reference=lambda x, *, low, high: np.clip(x, low, high),
    kernel=lambda x, *, low, high: _core.clamp(x, *_limits(low, high)),
    rules=(lambda g, x, *, low, high: apply(CLAMP_VJP, g, x, low=low, high=high),),
    saves="x",
    samples=_clamp_samples(ONE),
)


def _bounded(x: Any, bound: Any, lower: bool) -> Any:
    """`x` where it keeps within the bound or is NaN, else the bound, to which the gradient then goes."""
    x, bound = promote("clamp", x, bound)
    keeps = ge(x, bound) if lower else le(x, bound)
    return where(logical_or(keeps, isnan(x)), x, bound)


def clamp(input: Any, min: Any = None, max: Any = None) -> Any:
    r"""Values below `min` raised to it, then values above `max` lowered to that. NaN stays.

        forward    out = min(max(x, low), high)
        backward   dx = g where low <= x <= high, else 0; a bound that is a tensor gets g where it is taken

    Raises ShapeError if neither bound is given.

    >>> mt.clamp(mt.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    given = [b for b in (min, max) if b is not None]
    if not given:
        raise ShapeError("clamp: at least one of min and max must be given")
    if any(isinstance(raw(b), np.ndarray) for b in given):
        x = input if min is None else _bounded(input, min, True)
        return x if max is None else _bounded(x, max, False)
    x, *_ = promote("clamp", input, *given)
    return apply(CLAMP, x, low=min, high=max)


def clamp_min(input: Any, min: Any) -> Any:
    """`clamp` from below."""
    return clamp(input, min=min)


def clamp_max(input: Any, max: Any) -> Any:
    """`clamp` from above."""
    return clamp(input, max=max)
