"""Along an axis, what each element makes with those before it: cumsum, cumprod, cummax, logcumsumexp, diff, trapezoid,
gradient.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row.
Kernels: csrc/kernels/scan.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes, return_types
from ..errors import DtypeError, ShapeError
from ..graph.record import apply, attempt
from ..op import Op, Result, Sample
from . import join, scatter
from . import shape as shapes
from .arithmetic import add, div, mul, sub
from .common import (
    Array,
    around,
    array_of,
    axis,
    named,
    need_float,
    number,
    numpy_names,
    raw,
    shape_of,
    shifted,
    to_dtype,
    write_out,
)
from .comparison import eq, logical_xor, where
from .functions import exp
from .reduce import Shape, sum, summable

# (shape, axis)
CASES: tuple[tuple[Shape, int], ...] = (
    ((5,), 0),
    ((3, 4), 0),
    ((3, 4), 1),
    ((2, 3, 2), 1),
    ((0, 2), 0),
    ((2, 0), 0),
    ((1,), 0),
)
KERNEL_CASES: tuple[tuple[Shape, int], ...] = (((67,), 0), ((2, 33), 1), ((33, 17), 0), ((1100,), 0))
LARGE: tuple[tuple[Shape, int], ...] = (((300, 700), 0), ((300, 700), 1), ((3, 50000), 1))


def _length(x: Array, *args: Array, dim: int, **_: Any) -> int:
    return int(x.shape[dim])


def _shifted(x: Any, dim: int, by: int, fill: float) -> Any:
    """Moved one place along an axis, forwards (by = 1) or back (-1), with `fill` moved in."""
    shape = shape_of(x)
    n = shape[dim]
    if n == 0:
        return x
    new = np.full((*shape[:dim], 1, *shape[dim + 1 :]), fill, array_of(x).dtype)
    rest = join.narrow(x, dim, 0 if by > 0 else 1, n - 1)
    return join.cat([new, rest] if by > 0 else [rest, new], dim)


def _along(name: str, input: Any, dim: int, scan: Callable[[Any, int], Any]) -> Any:
    """scan(x, dim) with the axis counted from the front; a tensor without axes counts as having one element."""
    shape = shape_of(input)
    d = axis(name, dim, len(shape))
    return scan(input, d) if shape else shapes.reshape(scan(shapes.reshape(input, (1,)), 0), ())


# --- cumsum -----------------------------------------------------------------------------------------------------------


def _cumsum_reference(x: Array, *, dim: int, reverse: bool) -> Result:
    if reverse:
        return np.flip(np.cumsum(np.flip(x, dim), dim, dtype=x.dtype), dim), ()
    return np.cumsum(x, dim, dtype=x.dtype), ()


def _cumsum_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for cases in (CASES, KERNEL_CASES, LARGE):
        for shape, dim in cases:
            for reverse in (False, True):
                yield Sample((rng.standard_normal(shape),), {"dim": dim, "reverse": reverse}, large=cases is LARGE)


CUMSUM: Op = Op(
    "cumsum",
    _cumsum_reference,
    None,
    (lambda g, *, dim, reverse: apply(CUMSUM, g, dim=dim, reverse=not reverse),),
    "linear",
    _cumsum_samples,
    exact=True,
    length=_length,
    batch=shifted("cumsum", "dim"),
    kernel=_core.cumsum,
    names=("dim", "reverse"),
)


@numpy_names
def cumsum(input: Any, dim: int, *, dtype: Any = None, out: Any = None) -> Any:
    r"""The sums of the elements up to each one along an axis; integers are summed in int64.

        forward    out_i = x_0 + ... + x_i
        backward   dx_i = g_i + ... + g_n-1

    >>> mt.cumsum(mt.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    if dtype is None and out is None:
        result = attempt(CUMSUM, input, axis("cumsum", dim, len(shape_of(input))), False)
        if result is not None:
            return result
    result = _along("cumsum", summable(input, dtype), dim, lambda x, d: apply(CUMSUM, x, dim=d, reverse=False))
    return result if out is None else write_out("cumsum", result, out)


# --- linear_scan: what the gradients of cumprod and logcumsumexp are made of ------------------------------------------


def _linear_scan_reference(a: Array, b: Array, *, dim: int, reverse: bool) -> Result:
    slope, s = np.moveaxis(a, dim, 0), np.moveaxis(b, dim, 0).copy()
    places = range(1, len(s))
    for i in [len(s) - 1 - i for i in places] if reverse else places:
        s[i] += slope[i] * s[i + 1 if reverse else i - 1]
    out = np.moveaxis(s, 0, dim)
    return out, (a, out)


def _linear_scan_forward(a: Array, b: Array, *, dim: int, reverse: bool) -> Result:
    out = _core.linear_scan(a, b, *around(a.shape, dim), reverse)
    return out, (a, out)


def _linear_scan_db(g: Any, a: Any, _out: Any, *, dim: int, reverse: bool) -> Any:
    # What stands at i goes into s_i with 1 and into s_i+1 with a_i+1: the same scan the other way.
    return apply(LINEAR_SCAN, _shifted(a, dim, 1 if reverse else -1, 0.0), g, dim=dim, reverse=not reverse)


def _linear_scan_da(g: Any, a: Any, out: Any, *, dim: int, reverse: bool) -> Any:
    before = _shifted(out, dim, -1 if reverse else 1, 0.0)
    return mul(_linear_scan_db(g, a, out, dim=dim, reverse=reverse), before)


def _linear_scan_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for cases in (CASES, KERNEL_CASES, LARGE):
        for shape, dim in cases:
            for reverse in (False, True):
                args = (rng.uniform(-0.9, 0.9, shape), rng.standard_normal(shape))
                yield Sample(args, {"dim": dim, "reverse": reverse}, large=cases is LARGE)


# Sums with a factor from one element to the next, in linear time and right where factors are 0.
#     forward    s_i = b_i + a_i s_i-1,  s_0 = b_0     (reversed: s_i = b_i + a_i s_i+1)
#     backward   db_i = g_i + a_i+1 db_i+1,  da_i = db_i s_i-1
LINEAR_SCAN: Op = Op(
    "linear_scan",
    _linear_scan_reference,
    _linear_scan_forward,
    (_linear_scan_da, _linear_scan_db),
    None,
    _linear_scan_samples,
    length=_length,
    batch=shifted("linear_scan", "dim"),
)


# --- cumprod ----------------------------------------------------------------------------------------------------------


def _cumprod_reference(x: Array, *, dim: int) -> Result:
    out = np.cumprod(x, dim, dtype=x.dtype)
    return out, (x, out)


def _cumprod_dx(g: Any, x: Any, out: Any, *, dim: int) -> Any:
    # S_i = g_i + x_i+1 g_i+1 + x_i+1 x_i+2 g_i+2 + ...
    after = apply(LINEAR_SCAN, _shifted(x, dim, -1, 0.0), g, dim=dim, reverse=True)
    return mul(_shifted(out, dim, 1, 1.0), after)


def _cumprod_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in CASES:
        yield Sample((rng.standard_normal(shape),), {"dim": dim})
    for zeros in (1, 2):
        x = rng.standard_normal((2, 5, 2))
        x[0, 1 : 1 + 2 * zeros : 2, 1] = 0
        yield Sample((x,), {"dim": 1})


CUMPROD = Op(
    "cumprod",
    _cumprod_reference,
    None,
    (_cumprod_dx,),
    None,
    _cumprod_samples,
    batch=shifted("cumprod", "dim"),
    kernel=_core.cumprod,
    saves=(0, -1),
    names=("dim",),
)


@numpy_names
def cumprod(input: Any, dim: int, *, dtype: Any = None, out: Any = None) -> Any:
    r"""The products of the elements up to each one along an axis; integers are multiplied in int64.

        forward    out_i = x_0 x_1 ... x_i
        backward   dx_i = out_i-1 S_i,  S_i = g_i + x_i+1 S_i+1: right also where an x is 0

    >>> mt.cumprod(mt.tensor([1.0, 2.0, 3.0]), 0)
    tensor([1., 2., 6.])
    """
    if dtype is None and out is None:
        result = attempt(CUMPROD, input, axis("cumprod", dim, len(shape_of(input))))
        if result is not None:
            return result
    result = _along("cumprod", summable(input, dtype), dim, lambda x, d: apply(CUMPROD, x, dim=d))
    return result if out is None else write_out("cumprod", result, out)


# --- logcumsumexp -----------------------------------------------------------------------------------------------------


def _logcumsumexp_reference(x: Array, *, dim: int) -> Result:
    out = np.logaddexp.accumulate(x, dim) if x.shape[dim] else x.copy()
    return out, (x, out)


def _logcumsumexp_dx(g: Any, x: Any, out: Any, *, dim: int) -> Any:
    # out never falls, so no factor is above 1. An x of -inf has no share in anything, also not in an out of -inf.
    nothing = eq(out, -np.inf)
    following = _shifted(out, dim, -1, 0.0)
    factor = where(nothing, 0.0, exp(where(nothing, 0.0, sub(out, following))))
    after = apply(LINEAR_SCAN, factor, g, dim=dim, reverse=True)
    return mul(where(nothing, 0.0, exp(where(nothing, 0.0, sub(x, out)))), after)


def _logcumsumexp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in (*CASES, *KERNEL_CASES):
        yield Sample((rng.standard_normal(shape),), {"dim": dim})


LOGCUMSUMEXP = Op(
    "logcumsumexp",
    _logcumsumexp_reference,
    None,
    (_logcumsumexp_dx,),
    None,
    _logcumsumexp_samples,
    length=_length,
    batch=shifted("logcumsumexp", "dim"),
    kernel=_core.logcumsumexp,
    saves=(0, -1),
    names=("dim",),
)


@numpy_names
def logcumsumexp(input: Any, dim: int, *, out: Any = None) -> Any:
    r"""The logarithms of the sums of the exponentials up to each element, which neither overflow nor underflow.

        forward    out_i = ln(exp x_0 + ... + exp x_i)
        backward   dx_i = exp(x_i - out_i) S_i,  S_i = g_i + exp(out_i - out_i+1) S_i+1;  0 where x_i = -inf

    Raises DtypeError for integers.

    >>> mt.logcumsumexp(mt.tensor([1000.0, 1000.0]), 0)
    tensor([1000.0000, 1000.6932])
    """
    need_float("logcumsumexp", input)
    result = _along("logcumsumexp", input, dim, lambda x, d: apply(LOGCUMSUMEXP, x, dim=d))
    return result if out is None else write_out("logcumsumexp", result, out)


# --- cummax, cummin ---------------------------------------------------------------------------------------------------


def _last_extreme(name: str, numpy: Any) -> Op:
    """The row of the operator that finds, for each place along an axis, the last extreme up to there."""

    def reference(x: Array, *, dim: int) -> Result:
        if x.shape[dim] == 0:
            return np.empty(x.shape, np.int64), ()
        here = x == numpy.accumulate(x, dim)
        if x.dtype.kind == "f":
            here |= np.isnan(x)
        places = np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
        return np.maximum.accumulate(np.where(here, places, 0), dim), ()

    def forward(x: Array, *, dim: int) -> Result:
        return _core.cum_extreme(x, *around(x.shape, dim), numpy is np.minimum), ()

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, dim in CASES:
            yield Sample((rng.integers(0, 3, shape).astype(np.float64),), {"dim": dim})

    return Op(name, reference, forward, (None,), None, samples, batch=shifted(name, "dim"))


CUMMAX_INDEX = _last_extreme("cummax_index", np.maximum)
CUMMIN_INDEX = _last_extreme("cummin_index", np.minimum)


def _values_at(name: str, op: Op, kind: Any, input: Any, dim: int, out: Any) -> Any:
    index = _along(name, input, dim, lambda x, d: apply(op, x, dim=d))
    result = kind(scatter.gather(input, dim, index), index)
    return result if out is None else write_out(name, result, out)


@named("CummaxBackward0")
@numpy_names
def cummax(input: Any, dim: int, *, out: Any = None) -> Any:
    r"""(values, indices) of the largest element up to each one along an axis; the last of equal ones; NaN wins.

        forward    out_i = max(x_0, ..., x_i)
        backward   dx_j = the sum of the g_i whose largest is x_j

    >>> mt.cummax(mt.tensor([1.0, 3.0, 2.0]), 0).values
    tensor([1., 3., 3.])
    """
    return _values_at("cummax", CUMMAX_INDEX, return_types.cummax, input, dim, out)


@named("CumminBackward0")
@numpy_names
def cummin(input: Any, dim: int, *, out: Any = None) -> Any:
    r"""(values, indices) of the smallest element up to each one along an axis; the last of equal ones; NaN wins.

        forward    out_i = min(x_0, ..., x_i)
        backward   dx_j = the sum of the g_i whose smallest is x_j

    >>> mt.cummin(mt.tensor([3.0, 1.0, 2.0]), 0).indices
    tensor([0, 1, 1])
    """
    return _values_at("cummin", CUMMIN_INDEX, return_types.cummin, input, dim, out)


# --- differences and areas --------------------------------------------------------------------------------------------


@numpy_names
def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None, *, out: Any = None) -> Any:
    r"""The differences of neighbours along an axis, n times over; of bools, whether they differ.

        forward    out_i = x_i+1 - x_i
        backward   dx_i = g_i-1 - g_i

    `prepend` and `append` are joined to the ends first (not if n is 0). Raises ShapeError for a tensor without axes
    and for n < 0.

    >>> mt.diff(mt.tensor([1, 4, 9]))
    tensor([3, 5])
    """
    if not shape_of(input):
        raise ShapeError("diff: a tensor without axes has no neighbours")
    if n < 0:
        raise ShapeError(f"diff: n must not be negative, got {n}")
    d = axis("diff", dim, len(shape_of(input)))
    parts = [p for p in (prepend, input, append) if p is not None]
    x = shapes.clone(input) if n == 0 else join.cat(parts, d) if len(parts) > 1 else input
    for _ in range(min(n, shape_of(x)[d])):
        size = max(shape_of(x)[d] - 1, 0)
        low, high = join.narrow(x, d, 0, size), join.narrow(x, d, min(1, shape_of(x)[d]), size)
        x = logical_xor(high, low) if array_of(x).dtype.kind == "b" else sub(high, low)
    return x if out is None else write_out("diff", x, out)


def _areas(name: str, y: Any, x: Any, dx: Any, dim: int) -> tuple[Any, int]:
    """(the areas of the trapezoids between neighbours of y along the axis, the axis)."""
    shape = shape_of(y)
    if not shape:
        raise ShapeError(f"{name}: a tensor without axes has no area")
    if x is not None and dx is not None:
        raise TypeError(f"{name}: give the places x or their distance dx, not both")
    d = axis(name, dim, len(shape))
    if array_of(y).dtype.kind == "b" or (x is not None and array_of(x).dtype.kind == "b"):
        raise DtypeError(f"{name}: bools have no area")
    n = max(shape[d] - 1, 0)
    pairs = add(join.narrow(y, d, min(1, shape[d]), n), join.narrow(y, d, 0, n))
    if x is None:
        return mul(div(pairs, 2), 1 if dx is None else dx), d
    places = shape_of(x)
    if len(places) == 1:
        if places[0] != shape[d]:
            raise ShapeError(f"{name}: {places[0]} places x for {shape[d]} values of y along axis {d}")
        steps = shapes.reshape(diff(x), (n,) + (1,) * (len(shape) - d - 1))
    else:
        steps = diff(x, dim=d - len(shape) if len(places) < len(shape) else d)
    return div(mul(pairs, steps), 2), d


@numpy_names
def trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    r"""The integral of y along an axis by the trapezoidal rule, at places `x`, or `dx` apart (1 unless given).

        forward    out = sum_i (y_i + y_i+1) / 2 (x_i+1 - x_i)
        backward   of the sums and products that it is made of

    >>> mt.trapezoid(mt.tensor([1.0, 2.0, 4.0]))
    tensor(4.5000)
    """
    areas, d = _areas("trapezoid", y, x, dx, dim)
    return sum(areas, d)


@numpy_names
def cumulative_trapezoid(y: Any, x: Any = None, *, dx: Any = None, dim: int = -1) -> Any:
    r"""The integrals of y from the first place up to each one after it; see `trapezoid`.

    >>> mt.cumulative_trapezoid(mt.tensor([1.0, 2.0, 4.0]))
    tensor([1.5000, 4.5000])
    """
    areas, d = _areas("cumulative_trapezoid", y, x, dx, dim)
    return cumsum(areas, d)


trapz = trapezoid


def gradient(input: Any, *, spacing: Any = 1, dim: Any = None, edge_order: int = 1) -> tuple[Any, ...]:
    r"""The slopes of samples of a function along each axis, or along those of `dim`, by central differences.

        forward    out_i = (h (x_i - x_i-1) / l + l (x_i+1 - x_i) / h) / (l + h), l and h the distances to the
                   neighbours; at the ends the line through two samples, with edge_order=2 the parabola through three
        backward   of the sums and products that it is made of

    `spacing` is the distance of neighbours, one for each axis, or for each axis a vector of places. Raises ShapeError
    where an axis has no more than `edge_order` samples, and where spacing and axes differ in number.
    Source: B. Fornberg, "Generation of finite difference formulas on arbitrarily spaced grids" (1988).

    >>> mt.gradient(mt.tensor([1.0, 4.0, 9.0, 16.0]), spacing=0.5)
    (tensor([ 6.,  8., 12., 14.]),)
    """
    name = "gradient"
    shape = shape_of(input)
    if edge_order not in (1, 2):
        raise ShapeError(f"{name}: edge_order must be 1 or 2, not {edge_order!r}")
    given = range(len(shape)) if dim is None else dim if isinstance(dim, (tuple, list)) else (dim,)
    along = [axis(name, d, len(shape)) for d in given]
    if len(set(along)) != len(along):
        raise ShapeError(f"{name}: dim {tuple(given)} names an axis twice")
    steps = list(spacing) if isinstance(spacing, (tuple, list)) else [spacing] * len(along)
    if steps and not isinstance(spacing, (tuple, list)) and _has_places(spacing):
        raise TypeError(f"{name}: places must be in a list of vectors, one for each axis")
    if len(steps) != len(along):
        raise ShapeError(f"{name}: {len(steps)} spacings are given for {len(along)} axes")
    x = to_dtype(input, dtypes.get_default_dtype()) if array_of(input).dtype.kind in "iu" else input
    return tuple([_slope(x, h, d, edge_order) for h, d in zip(steps, along, strict=True)])


def _has_places(spacing: Any) -> bool:
    """Whether a spacing is a tensor of places instead of a distance."""
    a = raw(spacing)
    return isinstance(a, np.ndarray) and a.ndim > 0


def _slope(x: Any, spacing: Any, d: int, edge_order: int) -> Any:
    """`gradient` along one axis."""
    shape = shape_of(x)
    n = shape[d]
    if n <= edge_order:
        raise ShapeError(f"gradient: axis {d} of {shape} has not more than edge_order={edge_order} elements")
    rise, column = diff(x, dim=d), (n - 1,) + (1,) * (len(shape) - d - 1)
    if _has_places(spacing):
        if shape_of(spacing) != (n,):
            raise ShapeError(f"gradient: places of shape {shape_of(spacing)} for {n} elements along axis {d}")
        h = shapes.reshape(to_dtype(diff(spacing), dtypes.of(array_of(x).dtype)), column)
    else:
        h = np.full(column, number("gradient", "spacing", spacing), array_of(x).dtype)
    slope = div(rise, h)  # between neighbours

    def part(y: Any, start: int, length: int) -> Any:
        return join.narrow(y, len(shape_of(y)) - len(shape) + d, start, length)

    first, last = part(slope, 0, 1), part(slope, n - 2, 1)
    if n == 2:
        return join.cat([first, last], d)
    low, high = part(h, 0, n - 2), part(h, 1, n - 2)
    inner = div(add(mul(part(slope, 0, n - 2), high), mul(part(slope, 1, n - 2), low)), add(low, high))
    if edge_order == 2:  # the parabola's slope at its end: as far from the secant's as that of the middle, beyond it
        first = sub(mul(first, 2), part(inner, 0, 1))
        last = sub(mul(last, 2), part(inner, n - 3, 1))
    return join.cat([first, inner, last], d)
