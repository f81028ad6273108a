"""Reductions: sum, mean, prod, amax, max, argmax, var, std, logsumexp, norm, any, all, cumsum.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row. `dim` is
an axis, a sequence of axes, or None for all. Kernels: csrc/kernels/reduce.cpp.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, IndexRangeError, ShapeError
from ..graph import apply
from ..op import Op, Result, Sample
from . import shape as shapes
from .arithmetic import div, mul, sub, zero
from .common import Array, around, axes, axis, need_float, numpy_names, raw, shape_of, to_dtype
from .comparison import eq, maximum, minimum, where
from .functions import abs, exp, pow, sign

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


def _samples(*groups: tuple[tuple[Shape, Axes], ...], **params: Any) -> Callable[..., Iterator[Sample]]:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for group in groups:
            for shape, over in group:
                keepdim = bool(rng.integers(2))
                given = {"axes": over, "keepdim": keepdim, **params}
                yield Sample((rng.standard_normal(shape),), given, large=group is LARGE)

    return samples


def _count(shape: Shape, over: Axes) -> int:
    """How many elements of a tensor of this shape are reduced to one."""
    return math.prod([shape[d] for d in over])


def _length(x: Array, *, axes: Axes, **_: Any) -> int:
    return _count(x.shape, axes)


def _kept(shape: Shape, over: Axes) -> Shape:
    return tuple([1 if d in over else n for d, n in enumerate(shape)])


def _spread(g: Any, shape: Shape, over: Axes) -> Any:
    """What was reduced over axes, back in `shape`: every element of a group gets the group's value."""
    return shapes.expand(shapes.reshape(g, _kept(shape, over)), shape)


def _need_elements(name: str, shape: Shape, over: Axes) -> None:
    for d in over:
        if shape[d] == 0:
            raise IndexRangeError(f"{name}: axis {d} of {shape} is empty, and nothing has no {name}")


# --- sum --------------------------------------------------------------------------------------------------------------


def _sum_reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    return np.asarray(x.sum(axes, keepdims=keepdim, dtype=x.dtype)), (x.shape,)


def _sum_forward(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    return _core.sum(x, axes, keepdim), (x.shape,)


def _sum_dx(g: Any, shape: Shape, *, axes: Axes, keepdim: bool) -> Any:
    return _spread(g, shape, axes)


SUM = Op(
    "sum",
    _sum_reference,
    _sum_forward,
    (_sum_dx,),
    "linear",
    _samples(CASES, EMPTY, HOLLOW, LARGE),
    exact=True,
    length=_length,
)


def _summable(input: Any, dtype: Any) -> Any:
    """The tensor in the dtype that its sum has: integers and bools in int64 unless a dtype is asked for."""
    if dtype is not None:
        return to_dtype(input, dtypes.of(dtype))
    return to_dtype(input, dtypes.int64) if raw(input).dtype.kind in "biu" else input


@numpy_names
def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    r"""The sum over axes; integers are summed in int64.

        forward    out = sum_i x_i
        backward   dx_i = g

    Kernel: the terms are added in a binary tree, so the error grows with log n. The sum of nothing is 0.

    >>> mt.sum(mt.tensor([[1.0, 2.0], [3.0, 4.0]]), 0)
    tensor([4., 6.])
    """
    over = axes("sum", dim, len(shape_of(input)))
    return apply(SUM, _summable(input, dtype), axes=over, keepdim=bool(keepdim))


def sum_to(g: Any, shape: Shape) -> Any:
    """The sum over the axes that broadcasting added or repeated to come from `shape`; `g` itself if there are none."""
    have = shape_of(g)
    if have == shape:
        return g
    extra = len(have) - len(shape)
    if extra:
        g = apply(SUM, g, axes=tuple(range(extra)), keepdim=False)
    repeated = tuple([d for d, n in enumerate(shape) if n == 1 and have[extra + d] != 1])
    return apply(SUM, g, axes=repeated, keepdim=True) if repeated else g


# --- mean -------------------------------------------------------------------------------------------------------------


def _mean_reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    total = x.sum(axes, keepdims=keepdim, dtype=x.dtype)
    with np.errstate(all="ignore"):
        return np.asarray(total / x.dtype.type(_count(x.shape, axes))), (x.shape,)


def _mean_forward(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    total = _core.sum(x, axes, keepdim)
    return _core.div(total, np.asarray(_count(x.shape, axes), x.dtype)), (x.shape,)


def _mean_dx(g: Any, shape: Shape, *, axes: Axes, keepdim: bool) -> Any:
    return _spread(div(g, builtins.max(_count(shape, axes), 1)), shape, axes)


MEAN = Op("mean", _mean_reference, _mean_forward, (_mean_dx,), "linear", _samples(CASES, LARGE), length=_length)


@numpy_names
def mean(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    r"""The mean over axes; NaN of nothing.

        forward    out = (sum_i x_i) / n
        backward   dx_i = g / n

    Raises DtypeError for integers unless a floating `dtype` is given.

    >>> mt.mean(mt.tensor([[1.0, 2.0], [3.0, 4.0]]), 0)
    tensor([2., 3.])
    """
    x = input if dtype is None else to_dtype(input, dtypes.of(dtype))
    need_float("mean", x)
    return apply(MEAN, x, axes=axes("mean", dim, len(shape_of(x))), keepdim=bool(keepdim))


# --- prod -------------------------------------------------------------------------------------------------------------


def _prod_reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    out = np.asarray(x.prod(axes, keepdims=keepdim, dtype=x.dtype))
    return out, (x, out)


def _prod_dx(g: Any, x: Any, out: Any, *, axes: Axes, keepdim: bool) -> Any:
    shape = shape_of(x)
    if raw(x).all():
        return div(_spread(mul(g, out), shape, axes), x)
    # Where an x is 0, its product of all others is the product of those before it times that of those after it.
    rest = tuple([d for d in range(len(shape)) if d not in axes])
    order = (*rest, *axes)
    rows = shapes.reshape(shapes.permute(x, order), (*[shape[d] for d in rest], _count(shape, axes)))
    others = mul(_product_before(rows), shapes.flip(_product_before(shapes.flip(rows, (-1,))), (-1,)))
    others = shapes.reshape(others, tuple([shape[d] for d in order]))
    return mul(_spread(g, shape, axes), shapes.permute(others, tuple(np.argsort(order).tolist())))


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
    ones = np.ones((*shape[:-1], by), raw(rows).dtype)
    return shapes.cat([ones, shapes.narrow(rows, -1, 0, shape[-1] - by)], -1)


def _prod_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield from _samples(CASES[:8])(rng)
    for zeros in (1, 2):
        x = rng.standard_normal((2, 5, 2))
        x[0, :zeros, 1] = 0
        yield Sample((x,), {"axes": (1,), "keepdim": False})
        yield Sample((x,), {"axes": (0, 2), "keepdim": True})


PROD = Op("prod", _prod_reference, None, (_prod_dx,), None, _prod_samples)


@numpy_names
def prod(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    r"""The product over axes; integers are multiplied in int64. The product of nothing is 1.

        forward    out = prod_i x_i
        backward   dx_i = g prod_{j != i} x_j, right also where an x is 0

    >>> mt.prod(mt.tensor([2.0, 3.0, 4.0]))
    tensor(24.)
    """
    over = axes("prod", dim, len(shape_of(input)))
    return apply(PROD, _summable(input, dtype), axes=over, keepdim=bool(keepdim))


# --- amax, amin -------------------------------------------------------------------------------------------------------


def _extreme_dx(g: Any, x: Any, out: Any, *, axes: Axes, keepdim: bool) -> Any:
    shape = shape_of(x)
    chosen = eq(x, _spread(out, shape, axes))
    ties = apply(SUM, to_dtype(chosen, dtypes.of(raw(g).dtype)), axes=axes, keepdim=True)
    share = div(shapes.reshape(g, _kept(shape, axes)), ties)
    return where(chosen, shapes.expand(share, shape), 0.0)


def _extreme(name: str, numpy: Callable[..., Any], kernel: Callable[..., Any]) -> Op:
    def reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
        out = np.asarray(numpy(x, axis=axes, keepdims=keepdim))
        return out, (x, out)

    def forward(x: Array, *, axes: Axes, keepdim: bool) -> Result:
        out = kernel(x, axes, keepdim)
        return out, (x, out)

    return Op(name, reference, forward, (_extreme_dx,), None, _samples(CASES, HOLLOW, LARGE), exact=True)


AMAX = _extreme("amax", np.max, _core.amax)
AMIN = _extreme("amin", np.min, _core.amin)


def _amax_amin(op: Op, input: Any, dim: Any, keepdim: bool) -> Any:
    shape = shape_of(input)
    over = axes(op.name, dim, len(shape))
    _need_elements(op.name, shape, over)
    return apply(op, input, axes=over, keepdim=bool(keepdim))


@numpy_names
def amax(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    r"""The largest element over axes; NaN if there is one.

        forward    out = max_i x_i
        backward   dx_i = g / (number of largest) where x_i = out, else 0

    Raises IndexRangeError for an empty axis.

    >>> mt.amax(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1)
    tensor([4., 3.])
    """
    return _amax_amin(AMAX, input, dim, keepdim)


@numpy_names
def amin(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    r"""The smallest element over axes; NaN if there is one.

        forward    out = min_i x_i
        backward   dx_i = g / (number of smallest) where x_i = out, else 0

    Raises IndexRangeError for an empty axis.

    >>> mt.amin(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1)
    tensor([1., 2.])
    """
    return _amax_amin(AMIN, input, dim, keepdim)


# --- max, min, argmax, argmin along one axis --------------------------------------------------------------------------


class max_result(NamedTuple):
    """What `max` over one axis gives."""

    values: Any
    indices: Any


class min_result(NamedTuple):
    """What `min` over one axis gives."""

    values: Any
    indices: Any


def _chosen_dx(g: Any, shape: Shape, _values: Any, indices: Any, *, dim: int, keepdim: bool) -> Any:
    at = raw(indices).reshape(_kept(shape, (dim,)))
    along = np.arange(shape[dim]).reshape([-1 if d == dim else 1 for d in range(len(shape))])
    return where(along == at, _spread(g[0], shape, (dim,)), 0.0)


def _along(name: str, argument: Callable[..., Any], numpy: Callable[..., Any], kernel: Callable[..., Any]) -> Op:
    def reference(x: Array, *, dim: int, keepdim: bool) -> Result:
        values = np.asarray(numpy(x, axis=dim, keepdims=keepdim))
        indices = np.asarray(argument(x, axis=dim, keepdims=keepdim), np.int64)
        return (values, indices), (x.shape, values, indices)

    def forward(x: Array, *, dim: int, keepdim: bool) -> Result:
        values = kernel(x, (dim,), keepdim)
        indices = _core.first_equal(x, values, *around(x.shape, dim))
        return (values, indices), (x.shape, values, indices)

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, dim in (((5,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 2), 1), ((0, 3), 1), ((67,), 0), ((2, 33), 1)):
            yield Sample((rng.standard_normal(shape),), {"dim": dim, "keepdim": bool(rng.integers(2))})
        yield Sample((rng.standard_normal((300, 700)),), {"dim": 0, "keepdim": False}, large=True)

    return Op(name, reference, forward, (_chosen_dx,), None, samples, exact=True)


MAX_ALONG = _along("max_along", np.argmax, np.max, _core.amax)
MIN_ALONG = _along("min_along", np.argmin, np.min, _core.amin)


def _along_axis(name: str, op: Op, input: Any, dim: Any, keepdim: bool) -> Any:
    """(values, indices) along one axis; a tensor without axes counts as having one element along one."""
    shape = shape_of(input)
    d = axis(name, dim, len(shape))
    if not shape:
        return tuple([shapes.reshape(y, ()) for y in apply(op, shapes.reshape(input, (1,)), dim=0, keepdim=True)])
    _need_elements(name, shape, (d,))
    return apply(op, input, dim=d, keepdim=bool(keepdim))


@numpy_names
def max(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    r"""The largest element of all; with `dim`, (values, indices) along it; of two tensors, `maximum`.

        forward    out = max_i x_i;  along an axis also the first i that has it
        backward   of all: as `amax`;  along an axis: dx_i = g at that index, else 0

    NaN counts as largest. Raises IndexRangeError for an empty axis.

    >>> mt.max(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1).indices
    tensor([1, 0])
    """
    if isinstance(raw(dim), np.ndarray):
        return maximum(input, dim)
    if dim is None:
        return amax(input)
    return max_result(*_along_axis("max", MAX_ALONG, input, dim, keepdim))


@numpy_names
def min(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    r"""The smallest element of all; with `dim`, (values, indices) along it; of two tensors, `minimum`.

        forward    out = min_i x_i;  along an axis also the first i that has it
        backward   of all: as `amin`;  along an axis: dx_i = g at that index, else 0

    NaN counts as smallest. Raises IndexRangeError for an empty axis.

    >>> mt.min(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1).indices
    tensor([0, 1])
    """
    if isinstance(raw(dim), np.ndarray):
        return minimum(input, dim)
    if dim is None:
        return amin(input)
    return min_result(*_along_axis("min", MIN_ALONG, input, dim, keepdim))


def _argument(name: str, op: Op, input: Any, dim: Any, keepdim: bool) -> Any:
    shape = shape_of(input)
    if raw(input).dtype.kind == "b":
        raise DtypeError(f"{name}: bools are not ordered")
    if dim is not None:
        return _along_axis(name, op, input, dim, keepdim)[1]
    _, index = _along_axis(name, op, shapes.reshape(input, (-1,)), 0, False)
    return shapes.reshape(index, _kept(shape, tuple(range(len(shape))))) if keepdim else index


@numpy_names
def argmax(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The index of the (first) largest element, of all in row-major order or along an axis. No derivative.

    >>> mt.argmax(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1)
    tensor([1, 0])
    """
    return _argument("argmax", MAX_ALONG, input, dim, keepdim)


@numpy_names
def argmin(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The index of the (first) smallest element, of all in row-major order or along an axis. No derivative.

    >>> mt.argmin(mt.tensor([[1.0, 4.0], [3.0, 2.0]]), 1)
    tensor([0, 1])
    """
    return _argument("argmin", MIN_ALONG, input, dim, keepdim)


# --- var, std ---------------------------------------------------------------------------------------------------------


def _var_reference(x: Array, *, axes: Axes, keepdim: bool, correction: float) -> Result:
    n = _count(x.shape, axes)
    with np.errstate(all="ignore"):
        m = x.sum(axes, keepdims=True) / x.dtype.type(n)
        total = np.square(x - m).sum(axes, keepdims=keepdim)
        return np.asarray(total / x.dtype.type(builtins.max(n - correction, 0))), (x,)


def _var_forward(x: Array, *, axes: Axes, keepdim: bool, correction: float) -> Result:
    n = _count(x.shape, axes)
    m = _core.div(_core.sum(x, axes, True), np.asarray(n, x.dtype))
    total = _core.sum(_core.square(_core.sub(x, m)), axes, keepdim)
    return _core.div(total, np.asarray(builtins.max(n - correction, 0), x.dtype)), (x,)


def _var_dx(g: Any, x: Any, *, axes: Axes, keepdim: bool, correction: float) -> Any:
    shape = shape_of(x)
    freedom = builtins.max(_count(shape, axes) - correction, 0)
    scale = div(mul(shapes.reshape(g, _kept(shape, axes)), 2), freedom)
    return mul(sub(x, apply(MEAN, x, axes=axes, keepdim=True)), scale)


def _var_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for correction in (0, 1):
        for sample in _samples(CASES[1:], LARGE, correction=correction)(rng):
            if _count(sample.args[0].shape, sample.params["axes"]) > builtins.max(correction, 1):
                yield sample


VAR = Op("var", _var_reference, _var_forward, (_var_dx,), None, _var_samples, length=_length)


def _spreading(name: str, op: Op, input: Any, dim: Any, unbiased: bool, keepdim: bool, correction: Any) -> Any:
    if isinstance(dim, bool):  # PyTorch's form var(x, unbiased)
        dim, unbiased = None, dim
    need_float(name, input)
    c = int(unbiased) if correction is None else correction
    return apply(op, input, axes=axes(name, dim, len(shape_of(input))), keepdim=bool(keepdim), correction=c)


@numpy_names
def var(input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Any:
    r"""The variance over axes, with n - correction in the denominator (1 unless `unbiased` is False).

        forward    out = sum_i (x_i - m)^2 / (n - c),  m = the mean of x
        backward   dx_i = 2 g (x_i - m) / (n - c); what the change of m brings adds up to 0

    >>> mt.var(mt.tensor([1.0, 2.0, 4.0]))
    tensor(2.3333)
    """
    return _spreading("var", VAR, input, dim, unbiased, keepdim, correction)


def _std_reference(x: Array, **params: Any) -> Result:
    out = np.asarray(np.sqrt(_var_reference(x, **params)[0]))
    return out, (x, out)


def _std_forward(x: Array, **params: Any) -> Result:
    out = _core.sqrt(_var_forward(x, **params)[0])
    return out, (x, out)


def _std_dx(g: Any, x: Any, out: Any, *, axes: Axes, keepdim: bool, correction: float) -> Any:
    # Where all x are equal there is no derivative; PyTorch takes 0.
    dvar = where(eq(out, 0), 0.0, div(g, mul(out, 2)))
    return _var_dx(dvar, x, axes=axes, keepdim=keepdim, correction=correction)


STD = Op("std", _std_reference, _std_forward, (_std_dx,), None, _var_samples, length=_length)


@numpy_names
def std(input: Any, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None) -> Any:
    r"""The standard deviation over axes, the square root of `var`.

        forward    out = sqrt(var(x))
        backward   dx_i = g (x_i - m) / ((n - c) out), and 0 where out = 0

    >>> mt.std(mt.tensor([1.0, 3.0]))
    tensor(1.4142)
    """
    return _spreading("std", STD, input, dim, unbiased, keepdim, correction)


# --- logsumexp --------------------------------------------------------------------------------------------------------


def _finite(m: Array) -> Array:
    """The largest elements, to be subtracted before exp; 0 where they are infinite, and inf - inf would be NaN."""
    return np.where(np.isfinite(m), m, 0).astype(m.dtype)


def _logsumexp_reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    m = _finite(x.max(axes, keepdims=True, initial=-np.inf))
    with np.errstate(all="ignore"):
        out = np.log(np.exp(x - m).sum(axes, keepdims=True)) + m
    out = np.asarray(out if keepdim else out.squeeze(axes))
    return out, (x, out)


def _logsumexp_forward(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    if x.size == 0:
        return _logsumexp_reference(x, axes=axes, keepdim=keepdim)
    m = _finite(_core.amax(x, axes, True))
    out = _core.add(_core.log(_core.sum(_core.exp(_core.sub(x, m)), axes, True)), m)
    out = out if keepdim else out.squeeze(axes)
    return out, (x, out)


def _logsumexp_dx(g: Any, x: Any, out: Any, *, axes: Axes, keepdim: bool) -> Any:
    shape = shape_of(x)
    return mul(_spread(g, shape, axes), exp(sub(x, shapes.reshape(out, _kept(shape, axes)))))


LOGSUMEXP = Op(
    "logsumexp",
    _logsumexp_reference,
    _logsumexp_forward,
    (_logsumexp_dx,),
    None,
    _samples(CASES, HOLLOW, LARGE),  # of nothing it is -inf, which has no differences
    length=_length,
)


@numpy_names
def logsumexp(input: Any, dim: Any, keepdim: bool = False) -> Any:
    r"""The logarithm of the sum of exponentials, which neither overflows nor underflows; -inf of nothing.

        forward    out = ln sum_i exp(x_i) = m + ln sum_i exp(x_i - m),  m = max_i x_i
        backward   dx_i = g exp(x_i - out), the softmax of x times g

    >>> mt.logsumexp(mt.tensor([1000.0, 1000.0]), 0)
    tensor(1000.6932)
    """
    x = input if raw(input).dtype.kind == "f" else to_dtype(input, dtypes.get_default_dtype())
    return apply(LOGSUMEXP, x, axes=axes("logsumexp", dim, len(shape_of(x))), keepdim=bool(keepdim))


# --- norm -------------------------------------------------------------------------------------------------------------


def _norm_reference(x: Array, *, axes: Axes, keepdim: bool, p: float) -> Result:
    size = np.abs(x)
    if math.isinf(p):
        out = (np.max if p > 0 else np.min)(size, axis=axes, keepdims=keepdim)
    elif p == 0:
        out = (x != 0).sum(axes, keepdims=keepdim).astype(x.dtype)
    elif p == 2:
        out = np.sqrt((x * x).sum(axes, keepdims=keepdim))
    else:
        with np.errstate(all="ignore"):
            out = (size**p).sum(axes, keepdims=keepdim) ** x.dtype.type(1 / p)
    out = np.asarray(out)
    return out, (x, out)


def _norm_forward(x: Array, *, axes: Axes, keepdim: bool, p: float) -> Result:
    if p == 2:
        out = _core.sqrt(_core.sum(_core.square(x), axes, keepdim))
    elif p == 1:
        out = _core.sum(_core.abs(x), axes, keepdim)
    else:
        return _norm_reference(x, axes=axes, keepdim=keepdim, p=p)
    return out, (x, out)


def _norm_dx(g: Any, x: Any, out: Any, *, axes: Axes, keepdim: bool, p: float) -> Any:
    shape = shape_of(x)
    if p == 0:
        return zero(_spread(g, shape, axes))
    if p == 1:
        return mul(_spread(g, shape, axes), sign(x))
    if math.isinf(p):
        return mul(_extreme_dx(g, abs(x), out, axes=axes, keepdim=keepdim), sign(x))
    if p == 2:
        return mul(x, _spread(where(eq(out, 0), 0.0, div(g, out)), shape, axes))
    scale = _spread(where(eq(out, 0), 0.0, div(g, pow(out, p - 1))), shape, axes)
    return where(eq(x, 0), 0.0, mul(mul(sign(x), pow(abs(x), p - 1)), scale))


def _norm_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for p in (0, 1, 2, 3, 1.5, math.inf, -math.inf):
        for sample in _samples(CASES[:7], p=float(p))(rng):
            x = sample.args[0]
            yield Sample((x + np.copysign(0.2, x),), sample.params)
    yield from _samples(LARGE, p=2.0)(rng)


NORM = Op("norm", _norm_reference, _norm_forward, (_norm_dx,), None, _norm_samples, length=_length)


@numpy_names
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: Any = None) -> Any:
    r"""The p-norm of the elements over axes; "fro" is p = 2, inf the largest size, 0 the number of nonzeros.

        forward    out = (sum_i |x_i|^p)^(1/p)
        backward   dx_i = g sign(x_i) (|x_i| / out)^(p - 1), and 0 where out = 0

    >>> mt.norm(mt.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = input if dtype is None else to_dtype(input, dtypes.of(dtype))
    need_float("norm", x)
    if p is None or p == "fro":
        p = 2
    if not isinstance(p, (int, float)):
        raise ShapeError(f"norm: p must be a number or 'fro', not {p!r}")
    shape = shape_of(x)
    over = axes("norm", dim, len(shape))
    if math.isinf(p):
        _need_elements("norm", shape, over)
    return apply(NORM, x, axes=over, keepdim=bool(keepdim), p=float(p))


# --- any, all ---------------------------------------------------------------------------------------------------------


def _logical(name: str, numpy: Callable[..., Any]) -> Op:
    def reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
        return np.asarray(numpy(x, axis=axes, keepdims=keepdim)), ()

    return Op(name, reference, None, (None,), None, _samples(CASES, EMPTY))


ANY = _logical("any", np.any)
ALL = _logical("all", np.all)


def _any_all(op: Op, input: Any, dim: Any, keepdim: bool) -> Any:
    out = apply(op, input, axes=axes(op.name, dim, len(shape_of(input))), keepdim=bool(keepdim))
    # PyTorch's one exception: bytes stay bytes.
    return to_dtype(out, dtypes.uint8) if raw(input).dtype == np.uint8 else out


@numpy_names
def any(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether some element over axes is not 0; False of nothing.

    >>> mt.any(mt.tensor([[0, 1], [0, 0]]), 1)
    tensor([ True, False])
    """
    return _any_all(ANY, input, dim, keepdim)


@numpy_names
def all(input: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """Whether no element over axes is 0; True of nothing.

    >>> mt.all(mt.tensor([[1, 1], [0, 1]]), 1)
    tensor([ True, False])
    """
    return _any_all(ALL, input, dim, keepdim)


# --- cumsum -----------------------------------------------------------------------------------------------------------


def _cumsum_reference(x: Array, *, dim: int, reverse: bool) -> Result:
    if reverse:
        return np.flip(np.cumsum(np.flip(x, dim), dim, dtype=x.dtype), dim), ()
    return np.cumsum(x, dim, dtype=x.dtype), ()


def _cumsum_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in (((5,), 0), ((3, 4), 0), ((3, 4), 1), ((0, 2), 0)):
        for reverse in (False, True):
            yield Sample((rng.standard_normal(shape),), {"dim": dim, "reverse": reverse})


CUMSUM: Op = Op(
    "cumsum",
    _cumsum_reference,
    None,
    (lambda g, *, dim, reverse: apply(CUMSUM, g, dim=dim, reverse=not reverse),),
    "linear",
    _cumsum_samples,
)


@numpy_names
def cumsum(input: Any, dim: int, *, dtype: Any = None) -> Any:
    r"""The sums of the elements up to each one along an axis; integers are summed in int64.

        forward    out_i = x_0 + ... + x_i
        backward   dx_i = g_i + ... + g_n-1

    >>> mt.cumsum(mt.tensor([1, 2, 3]), 0)
    tensor([1, 3, 6])
    """
    x = _summable(input, dtype)
    d = axis("cumsum", dim, len(shape_of(x)))
    if not shape_of(x):
        return x
    return apply(CUMSUM, x, dim=d, reverse=False)
