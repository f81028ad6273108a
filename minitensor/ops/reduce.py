"""Reductions: sum, mean, prod, the largest and the smallest and where they are, any, all, count_nonzero.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row. `dim` is
an axis, a sequence of axes, or None for all. Kernels: csrc/kernels/reduce.cpp. Variances and norms are in moments.py,
what takes one element of many in order.py.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes, return_types
from ..errors import DtypeError, IndexRangeError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply, apply_flat, attempt
from ..op import OPS, SHAPE, Op, Result, Sample
from . import join
from . import shape as shapes
from .arithmetic import div, mul
from .common import Array, axes, axis, named, need_float, numpy_names, shifted, small, to_dtype, write_out
from .comparison import eq, isnan, logical_and, logical_not, logical_or, maximum, minimum, where

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .common import array_of, raw, shape_of

Axes = tuple[int, ...]
Shape = tuple[int, ...]

# (shape, axes): none, one, several, all; runs of axes that are apart; empty ones; around the vector width
CASES: tuple[tuple[Shape, Axes], ...] = (
    ((), ()),
    ((5,), (0,)),
    ((3, 4), (0,)),
    ((3, 4), (1,)),
    ((3, 4), (0, 1)),
    ((2, 3, 2, 3), (0, 2)),
    ((2, 3, 4), (0, 2)),
    ((2, 1, 3), (1,)),
    ((67,), (0,)),
    ((2, 33), (1,)),
    ((33, 17), (0,)),
)
EMPTY: tuple[tuple[Shape, Axes], ...] = (((0, 3), (0,)), ((2, 0), (0, 1)))  # reduced from nothing
HOLLOW: tuple[tuple[Shape, Axes], ...] = (((0, 3), (1,)), ((3, 0), (0,)), ((2, 3, 0), (1,)))  # to nothing
LARGE: tuple[tuple[Shape, Axes], ...] = (
    ((300, 700), (0,)),
    ((300, 700), (1,)),
    ((3, 50000), (0, 1)),
    ((70000, 3), (0,)),
)


def cases(*groups: tuple[tuple[Shape, Axes], ...], **params: Any) -> Callable[..., Iterator[Sample]]:
    """Samples of a reduction: each shape over its axes, with the sizes of 1 kept or not."""

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for group in groups:
            for shape, over in group:
                keepdim = bool(rng.integers(2))
                given = {"axes": over, "keepdim": keepdim, **params}
                yield Sample((rng.standard_normal(shape),), given, large=group is LARGE)

    return samples


def count_of(shape: Shape, over: Axes) -> int:
    """How many elements of a tensor of this shape are reduced to one."""
    return math.prod([shape[d] for d in over])


def length(x: Array, *, axes: Axes, **_: Any) -> int:
    """The number of terms of a sum over axes."""
    return count_of(x.shape, axes)


def kept(shape: Shape, over: Axes) -> Shape:
    """The shape with the axes reduced and kept, with size 1."""
    return tuple([1 if d in over else n for d, n in enumerate(shape)])


def spread(g: Any, shape: Shape, over: Axes) -> Any:
    """What was reduced over axes, back in `shape`: every element of a group gets the group's value."""
    if over != _FIRST[: len(over)] and len(shape_of(g)) != len(shape):  # else the axes line up as they are
        g = shapes.reshape(g, kept(shape, over))
    return apply_flat(shapes.EXPAND, g, shape)


_FIRST = tuple(range(64))


def need_elements(name: str, shape: Shape, over: Axes) -> None:
    """Raises IndexRangeError where an axis to reduce is empty."""
    for d in over:
        if shape[d] == 0:
            raise IndexRangeError(f"{name}: axis {d} of {shape} is empty, and nothing has no {name}")


# --- sum --------------------------------------------------------------------------------------------------------------


def _sum_reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    dtype = np.int64 if x.dtype.kind in "biu" else x.dtype
    total = np.add.reduce(x, axis=axes, dtype=dtype, keepdims=keepdim)  # type: ignore[call-overload]
    return np.asarray(total), (x.shape,)


def _sum_dx(g: Any, shape: Shape, *, axes: Axes, keepdim: bool) -> Any:
    return spread(g, shape, axes)


SUM = Op(
    "sum",
    _sum_reference,
    None,
    (_sum_dx,),
    "linear",
    cases(CASES, EMPTY, HOLLOW, LARGE),
    exact=True,
    length=length,
    batch=shifted("sum", "axes"),
    kernel=_core.sum,
    saves=(SHAPE,),
    names=("axes", "keepdim"),
)


def summable(input: Any, dtype: Any) -> Any:
    """The tensor in the dtype that its sum has: integers and bools in int64 unless a dtype is asked for."""
    if dtype is not None:
        return to_dtype(input, dtypes.of(dtype))
    return to_dtype(input, dtypes.int64) if array_of(input).dtype.kind in "biu" else input


@numpy_names
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    r"""The sum over axes; integers are summed in int64.

        forward    out = sum_i x_i
        backward   dx_i = g

    Kernel: the terms are added in a binary tree, so the error grows with log n. The sum of nothing is 0.

    >>> mt.sum(mt.tensor([[1.0, 2.0], [3.0, 4.0]]), 0)
    tensor([4., 6.])
    """
    if getattr(input, "is_sparse", False):
        return input.sum(dim, keepdim, dtype=dtype)
    over, keepdim = axes("sum", dim, array_of(input).ndim), bool(keepdim)
    result = attempt(SUM, input, over, keepdim) if dtype is None else None
    if result is None:
        result = apply_flat(SUM, summable(input, dtype), over, keepdim)
        result = result if dtype is None else to_dtype(result, dtypes.of(dtype))
    return result if out is None else write_out("sum", result, out)


def _without_nan(input: Any, dtype: Any) -> Any:
    x = input if dtype is None else to_dtype(input, dtypes.of(dtype))
    return where(isnan(x), 0.0, x) if array_of(x).dtype.kind == "f" else x


@numpy_names
@named("NansumBackward0")
def nansum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    r"""The sum over axes of what is not NaN.

        forward    out = sum_i x_i over all i with x_i not NaN
        backward   dx_i = g where x_i is not NaN, else 0

    >>> mt.nansum(mt.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    return sum(_without_nan(input, dtype), dim, keepdim, out=out)


def sum_to(g: Any, shape: Shape) -> Any:
    """The sum over the axes that broadcasting added or repeated to come from `shape`; `g` itself if there are none."""
    have = shape_of(g)
    if have == shape:
        return g
    extra = len(have) - len(shape)
    if extra:
        g = apply_flat(SUM, g, tuple(range(extra)), False)
    repeated = tuple([d for d, n in enumerate(shape) if n == 1 and have[extra + d] != 1])
    return apply_flat(SUM, g, repeated, True) if repeated else g


def sum_to_size(input: Any, *size: Any) -> Any:
    """The sum over axes that leaves `size`, from which the tensor could have been expanded.

    Raises ShapeError if it could not.

    >>> mt.ones(2, 3).sum_to_size(1, 3)
    tensor([[2., 2., 2.]])
    """
    shape, wanted = shape_of(input), shapes.sizes("sum_to_size", size)
    ends = zip(wanted[::-1], shape[::-1], strict=False)
    if len(wanted) > len(shape) or not builtins.all([n in (1, have) for n, have in ends]):
        raise ShapeError(f"sum_to_size: {wanted} does not broadcast to {shape}")
    return input if shape == wanted else sum_to(summable(input, None), wanted)


# --- mean -------------------------------------------------------------------------------------------------------------


def _mean_reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    total = x.sum(axes, keepdims=keepdim, dtype=x.dtype)
    with np.errstate(all="ignore"):
        return np.asarray(total / x.dtype.type(count_of(x.shape, axes))), (x.shape,)


def _mean_dx(g: Any, shape: Shape, *, axes: Axes, keepdim: bool) -> Any:
    return spread(div(g, builtins.max(count_of(shape, axes), 1)), shape, axes)


MEAN = Op(
    "mean",
    _mean_reference,
    None,
    (_mean_dx,),
    "linear",
    cases(CASES, LARGE),
    length=length,
    batch=shifted("mean", "axes"),
    kernel=_core.mean,
    saves=(SHAPE,),
    names=("axes", "keepdim"),
)


@numpy_names
def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    r"""The mean over axes; NaN of nothing.

        forward    out = (sum_i x_i) / n
        backward   dx_i = g / n

    Raises DtypeError for integers unless a floating `dtype` is given.

    >>> mt.mean(mt.tensor([[1.0, 2.0], [3.0, 4.0]]), 0)
    tensor([2., 3.])
    """
    x = input if dtype is None else to_dtype(input, dtypes.of(dtype))
    over, keepdim = axes("mean", dim, array_of(x).ndim), bool(keepdim)
    result = attempt(MEAN, x, over, keepdim)
    if result is None:
        if array_of(x).dtype.kind != "c":
            need_float("mean", x)
        result = apply_flat(MEAN, x, over, keepdim)
    return result if out is None else write_out("mean", result, out)


@numpy_names
def nanmean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    r"""The mean over axes of what is not NaN; NaN where there is nothing else.

        forward    out = (sum_i x_i) / n over the n elements that are not NaN
        backward   dx_i = g / n where x_i is not NaN, else 0

    Raises DtypeError for integers.

    >>> mt.nanmean(mt.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    need_float("nanmean", input)
    total = nansum(input, dim, keepdim, dtype=dtype)
    result = div(total, sum(logical_not(isnan(input)), dim, keepdim))
    return result if out is None else write_out("nanmean", result, out)


# --- prod -------------------------------------------------------------------------------------------------------------


def _prod_reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    out = np.asarray(x.prod(axes, keepdims=keepdim, dtype=x.dtype))
    return out, (x, out)


def _prod_dx(g: Any, x: Any, out: Any, *, axes: Axes, keepdim: bool) -> Any:
    shape = shape_of(x)
    if raw(x).all():
        return div(spread(mul(g, out), shape, axes), x)
    # Where an x is 0, its product of all others is the product of those before it times that of those after it.
    rest = tuple([d for d in range(len(shape)) if d not in axes])
    order = (*rest, *axes)
    rows = shapes.reshape(shapes.permute(x, order), (*[shape[d] for d in rest], count_of(shape, axes)))
    others = mul(_product_before(rows), shapes.flip(_product_before(shapes.flip(rows, (-1,))), (-1,)))
    others = shapes.reshape(others, tuple([shape[d] for d in order]))
    return mul(spread(g, shape, axes), shapes.permute(others, tuple(np.argsort(order).tolist())))


def _product_before(rows: Any) -> Any:
    """Along the last axis, the product of all elements before each one, in log n steps that double its reach."""
    n, reach = shape_of(rows)[-1], 1
    out = _shifted(rows, 1)
    while reach < n:
        out = mul(out, _shifted(out, reach))
        reach *= 2
    return out


def _shifted(rows: Any, by: int) -> Any:
    """Along the last axis, moved `by` places on, with ones moved in."""
    shape = shape_of(rows)
    ones = np.ones((*shape[:-1], by), array_of(rows).dtype)
    return join.cat([ones, join.narrow(rows, -1, 0, shape[-1] - by)], -1)


def _prod_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from cases(CASES, EMPTY, HOLLOW)(rng)
    for shape, over in LARGE:
        signs = rng.choice([-1.0, 1.0], shape)  # of which a product neither overflows nor vanishes
        yield Sample((signs * rng.uniform(0.999, 1.001, shape),), {"axes": over, "keepdim": False}, large=True)
    for zeros in (1, 2):
        x = rng.standard_normal((2, 5, 2))
        x[0, :zeros, 1] = 0
        yield Sample((x,), {"axes": (1,), "keepdim": False})
        yield Sample((x,), {"axes": (0, 2), "keepdim": True})


PROD = Op(
    "prod",
    _prod_reference,
    None,
    (_prod_dx,),
    None,
    _prod_samples,
    length=length,
    batch=shifted("prod", "axes"),
    kernel=_core.prod,
    saves=(0, -1),
    names=("axes", "keepdim"),
)


@numpy_names
def prod(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None) -> Any:
    r"""The product over axes; integers are multiplied in int64. The product of nothing is 1.

        forward    out = prod_i x_i
        backward   dx_i = g prod_{j != i} x_j, right also where an x is 0

    >>> mt.prod(mt.tensor([2.0, 3.0, 4.0]))
    tensor(24.)
    """
    over = axes("prod", dim, len(shape_of(input)))
    result = apply_flat(PROD, summable(input, dtype), over, bool(keepdim))
    return result if out is None else write_out("prod", result, out)


# --- amax, amin -------------------------------------------------------------------------------------------------------


def extreme_dx(g: Any, x: Any, out: Any, *, axes: Axes, keepdim: bool) -> Any:
    """The gradient of what chose a value: shared by all elements that have it, where NaN equals NaN."""
    shape = shape_of(x)
    chosen = eq(x, spread(out, shape, axes))
    if np.isnan(raw(out)).any():
        chosen = logical_or(chosen, logical_and(isnan(x), isnan(spread(out, shape, axes))))
    own = dtypes.of(array_of(g).dtype)
    wide = dtypes.promote_types(own, dtypes.float32)  # float16 cannot count beyond 65,504
    ties = apply(SUM, to_dtype(chosen, wide), axes=axes, keepdim=True)
    share = to_dtype(div(to_dtype(shapes.reshape(g, kept(shape, axes)), wide), ties), own)
    return where(chosen, shapes.expand(share, shape), 0.0)


def _extreme(name: str, numpy: Callable[..., Any], kernel: Callable[..., Any]) -> Op:
    def reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
        out = np.asarray(numpy(x, axis=axes, keepdims=keepdim))
        return out, (x, out)

    samples = cases(CASES, HOLLOW, LARGE)
    short: dict[str, Any] = {"kernel": kernel, "saves": (0, -1), "names": ("axes", "keepdim")}
    return Op(name, reference, None, (extreme_dx,), None, samples, exact=True, batch=shifted(name, "axes"), **short)


AMAX = _extreme("amax", np.max, _core.amax)
AMIN = _extreme("amin", np.min, _core.amin)


def _amax_amin(op: Op, input: Any, dim: Any, keepdim: bool, out: Any) -> Any:
    shape = shape_of(input)
    over = axes(op.name, dim, len(shape))
    need_elements(op.name, shape, over)
    result = apply_flat(op, input, over, bool(keepdim))
    return result if out is None else write_out(op.name, result, out)


@numpy_names
@named("AmaxBackward0")
def amax(input: Any, dim: Any = (), keepdim: bool = False, *, out: Any = None) -> Any:
    r"""The largest element over axes; NaN if there is one.

        forward    out = max_i x_i
        backward   dx_i = g / (number of largest) where x_i = out, else 0

    Raises IndexRangeError for an empty axis.

    >>> mt.amax(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1)
    tensor([4., 3.])
    """
    return _amax_amin(AMAX, input, dim, keepdim, out)


@numpy_names
@named("AminBackward0")
def amin(input: Any, dim: Any = (), keepdim: bool = False, *, out: Any = None) -> Any:
    r"""The smallest element over axes; NaN if there is one.

        forward    out = min_i x_i
        backward   dx_i = g / (number of smallest) where x_i = out, else 0

    Raises IndexRangeError for an empty axis.

    >>> mt.amin(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1)
    tensor([1., 2.])
    """
    return _amax_amin(AMIN, input, dim, keepdim, out)


@named("AminmaxBackward0")
@numpy_names
def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False, out: Any = None) -> Any:
    r"""(min, max): the smallest and the largest element, of all or along an axis; NaN if there is one.

        forward    as `amin` and `amax`
        backward   the gradients of both, added

    Raises IndexRangeError for an empty axis.

    >>> mt.aminmax(mt.tensor([3.0, 1.0, 2.0])).max
    tensor(3.)
    """
    shape = shape_of(input)
    over = axes("aminmax", dim, len(shape))
    need_elements("aminmax", shape, over)
    result = return_types.aminmax(*[apply(op, input, axes=over, keepdim=bool(keepdim)) for op in (AMIN, AMAX)])
    return result if out is None else write_out("aminmax", result, out)


# --- max, min, argmax, argmin along one axis --------------------------------------------------------------------------


def _chosen_dx(g: Any, shape: Shape, _values: Any, indices: Any, *, dim: int, keepdim: bool) -> Any:
    at = raw(indices).reshape(kept(shape, (dim,)))
    return apply(OPS["scatter_add"], shapes.reshape(g[0], at.shape), at, dim=dim, n=shape[dim])


def _along(name: str, argument: Callable[..., Any], numpy: Callable[..., Any], kernel: Callable[..., Any]) -> Op:
    def reference(x: Array, *, dim: int, keepdim: bool) -> Result:
        values = np.asarray(numpy(x, axis=dim, keepdims=keepdim))
        indices = np.asarray(argument(x, axis=dim, keepdims=keepdim), np.int64)
        return (values, indices), (x.shape, values, indices)

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, dim in (((5,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 2), 1), ((0, 3), 1), ((67,), 0), ((2, 33), 1)):
            yield Sample((rng.standard_normal(shape),), {"dim": dim, "keepdim": bool(rng.integers(2))})
        yield Sample((rng.standard_normal((300, 700)),), {"dim": 0, "keepdim": False}, large=True)

    short: dict[str, Any] = {"kernel": kernel, "saves": (SHAPE, -1, -2), "names": ("dim", "keepdim")}
    return Op(name, reference, None, (_chosen_dx,), None, samples, exact=True, batch=shifted(name, "dim"), **short)


MAX_ALONG = _along("max_along", np.argmax, np.max, _core.max_along)
MIN_ALONG = _along("min_along", np.argmin, np.min, _core.min_along)


def _place_of(name: str, numpy: Callable[..., Any], kernel: Callable[..., Any]) -> Op:
    def reference(x: Array, *, dim: int, keepdim: bool) -> Result:
        return np.asarray(numpy(x, axis=dim, keepdims=keepdim), np.int64), ()

    short: dict[str, Any] = {"kernel": kernel, "names": ("dim", "keepdim")}
    return Op(name, reference, reference, (None,), None, MAX_ALONG.samples, batch=shifted(name, "dim"), **short)


ARGMAX = _place_of("argmax", np.argmax, _core.argmax)
ARGMIN = _place_of("argmin", np.argmin, _core.argmin)


def _along_axis(name: str, op: Op, input: Any, dim: Any, keepdim: bool) -> Any:
    """(values, indices) along one axis; a tensor without axes counts as having one element along one."""
    shape = shape_of(input)
    d = axis(name, dim, len(shape))
    if not shape:
        return tuple([shapes.reshape(y, ()) for y in apply(op, shapes.reshape(input, (1,)), dim=0, keepdim=True)])
    need_elements(name, shape, (d,))
    return apply_flat(op, input, d, bool(keepdim))


@numpy_names
def max(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None) -> Any:
    r"""The largest element of all; with `dim`, (values, indices) along it; of two tensors, `maximum`.

        forward    out = max_i x_i;  along an axis also the first i that has it
        backward   of all: as `amax`;  along an axis: dx_i = g at that index, else 0

    NaN counts as largest. Raises IndexRangeError for an empty axis.

    >>> mt.max(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1).indices
    tensor([1, 0])
    """
    result: Any
    if other is not None or isinstance(raw(dim), np.ndarray):
        result = maximum(input, dim if other is None else other)
    elif dim is None:
        result = called(_amax_amin(AMAX, input, None, False, None), "MaxBackward1")
    else:
        result = return_types.max(*_along_axis("max", MAX_ALONG, input, dim, keepdim))
    return result if out is None else write_out("max", result, out)


@numpy_names
def min(input: Any, dim: Any = None, keepdim: bool = False, *, other: Any = None, out: Any = None) -> Any:
    r"""The smallest element of all; with `dim`, (values, indices) along it; of two tensors, `minimum`.

        forward    out = min_i x_i;  along an axis also the first i that has it
        backward   of all: as `amin`;  along an axis: dx_i = g at that index, else 0

    NaN counts as smallest. Raises IndexRangeError for an empty axis.

    >>> mt.min(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1).indices
    tensor([0, 1])
    """
    result: Any
    if other is not None or isinstance(raw(dim), np.ndarray):
        result = minimum(input, dim if other is None else other)
    elif dim is None:
        result = called(_amax_amin(AMIN, input, None, False, None), "MinBackward1")
    else:
        result = return_types.min(*_along_axis("min", MIN_ALONG, input, dim, keepdim))
    return result if out is None else write_out("min", result, out)


def _argument(op: Op, input: Any, dim: Any, keepdim: bool, out: Any) -> Any:
    index = attempt(op, input, dim, bool(keepdim))
    if index is None:
        index = _place(op, input, dim, bool(keepdim))
    return index if out is None else write_out(op.name, index, out)


def _place(op: Op, input: Any, dim: Any, keepdim: bool) -> Any:
    name, shape = op.name, shape_of(input)
    if array_of(input).dtype.kind == "b":
        raise DtypeError(f"{name}: bools are not ordered")
    if dim is not None and shape:
        d = axis(name, dim, len(shape))
        need_elements(name, shape, (d,))
        return apply_flat(op, input, d, keepdim)
    if dim is not None:
        axis(name, dim, 0)
    flat = shapes.reshape(input, (-1,))
    need_elements(name, shape_of(flat), (0,))
    index = apply_flat(op, flat, 0, False)
    return shapes.reshape(index, kept(shape, tuple(range(len(shape))))) if keepdim else index


@numpy_names
def argmax(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The index of the (first) largest element, of all in row-major order or along an axis. No derivative.

    >>> mt.argmax(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1)
    tensor([1, 0])
    """
    return _argument(ARGMAX, input, dim, keepdim, out)


@numpy_names
def argmin(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """The index of the (first) smallest element, of all in row-major order or along an axis. No derivative.

    >>> mt.argmin(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1)
    tensor([0, 1])
    """
    return _argument(ARGMIN, input, dim, keepdim, out)


# --- any, all ---------------------------------------------------------------------------------------------------------


def _logical(name: str, numpy: np.ufunc) -> Op:
    def reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
        return np.asarray(numpy.reduce(x, axis=axes, keepdims=keepdim)), ()

    least = numpy is np.logical_and

    def counted(x: Array, axes: Axes, keepdim: bool) -> Any:
        if x.dtype.kind != "b" or not axes:
            return None
        count, wanted = _core.sum(x, axes, keepdim), count_of(x.shape, axes) if least else 1
        return small((), count.item() >= wanted, x.dtype) if count.ndim == 0 else count >= wanted

    short: dict[str, Any] = {"kernel": counted, "names": ("axes", "keepdim")}
    return Op(name, reference, reference, (None,), None, cases(CASES, EMPTY), batch=shifted(name, "axes"), **short)


ANY = _logical("any", np.logical_or)
ALL = _logical("all", np.logical_and)


def _any_all(op: Op, input: Any, dim: Any, keepdim: bool, out: Any) -> Any:
    x = array_of(input)
    result = apply_flat(op, input, axes(op.name, dim, x.ndim), bool(keepdim))
    if x.dtype.char == "B":  # PyTorch's one exception: bytes stay bytes
        result = to_dtype(result, dtypes.uint8)
    return result if out is None else write_out(op.name, result, out)


@numpy_names
def any(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """Whether some element over axes is not 0; False of nothing.

    >>> mt.any(mt.tensor([[0, 1], [0, 0]]), 1)
    tensor([ True, False])
    """
    return _any_all(ANY, input, dim, keepdim, out)


@numpy_names
def all(input: Any, dim: Any = None, keepdim: bool = False, *, out: Any = None) -> Any:
    """Whether no element over axes is 0; True of nothing.

    >>> mt.all(mt.tensor([[1, 1], [0, 1]]), 1)
    tensor([ True, False])
    """
    return _any_all(ALL, input, dim, keepdim, out)


def _count_nonzero_reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    return np.asarray(np.count_nonzero(x, axis=axes, keepdims=keepdim), np.int64), ()


def _count_nonzero(x: Array, axes: Axes, keepdim: bool) -> Any:
    if not axes:
        return None
    nonzero = x if x.dtype.kind == "b" else _core.ne(x, 0)
    return _core.sum(x != 0 if nonzero is None else nonzero, axes, keepdim)


COUNT_NONZERO = Op(
    "count_nonzero",
    _count_nonzero_reference,
    _count_nonzero_reference,
    (None,),
    None,
    cases(CASES, EMPTY),
    batch=shifted("count_nonzero", "axes"),
    kernel=_count_nonzero,
    names=("axes", "keepdim"),
)


def count_nonzero(input: Any, dim: Any = None) -> Any:
    """How many elements over axes are not 0; NaN is not. No derivative.

    >>> mt.count_nonzero(mt.tensor([[0, 1], [2, 3]]), 0)
    tensor([1, 2])
    """
    return apply_flat(COUNT_NONZERO, input, axes("count_nonzero", dim, len(shape_of(input))), False)
