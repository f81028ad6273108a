"""What depends on the order of elements: sort, topk, kthvalue, median, mode, quantile.

An operator without a derivative finds where the wanted elements are; `gather` fetches them, so that the gradient goes
back to where they came from. NaN counts as larger than all numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _core, return_types
from ..errors import DtypeError, IndexRangeError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply, apply_flat
from ..op import Op, Result, Sample
from . import scatter
from . import shape as shapes
from .arithmetic import add, mul, sub
from .common import (
    Array,
    array_of,
    axis,
    need_float,
    numpy_names,
    promote,
    raw,
    reads,
    shape_of,
    shifted,
    write_out,
)
from .comparison import isnan, logical_not, where
from .reduce import CASES as REDUCED
from .reduce import Axes, extreme_dx, need_elements, sum

CASES = (((5,), 0), ((3, 4), 0), ((3, 4), 1), ((2, 3, 2), 1), ((2, 0), 0), ((1,), 0))  # (shape, axis)
LARGE = (((30, 50), 0), ((30, 50), 1))


_TOP, _NUMBER, _MIDDLE = range(3)  # what the kernel looks for


def _finder(
    name: str, places: Callable[..., Array], fast: Callable[..., Array], kernel: Any = None, **params: Any
) -> Op:
    """The row of an operator that finds the places of elements along an axis, which it keeps.

    The kernel gives None where NumPy is to find them, `fast`: in long lines, of which more than a few are wanted.
    """

    def forward(x: Array, *, dim: int, **given: Any) -> Result:
        found = None if kernel is None else kernel(x, dim, *[given[key] for key in params])
        return fast(x, dim, **given) if found is None else found, ()

    def reference(x: Array, *, dim: int, **given: Any) -> Result:
        return np.asarray(places(x, dim, **given), np.int64), ()

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, dim in CASES:
            yield Sample((rng.standard_normal(shape),), {"dim": dim, **params})
        for shape, dim in LARGE:
            ties = rng.integers(-9, 9, shape) * rng.choice([-0.5, 0.5], shape)  # -0 and 0 among them
            yield Sample((ties,), {"dim": dim, **params}, large=True)
        for k in (2, 20, 64) if "k" in params else ():  # of a line that is not ordered as a whole
            ties = rng.integers(-40, 40, (3, 300)) * 0.5
            yield Sample((ties,), {"dim": 1, **params, "k": k}, large=True)

    short: dict[str, Any] = {"kernel": kernel, "names": ("dim", *params)}
    return Op(name, reference, forward, (None,), None, samples, batch=shifted(name, "dim"), **short)


def _isnan(x: Array) -> Array:
    return np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)


def _first_place(x: Array, value: Array, dim: int) -> Array:
    """Where x is first what `value` is, along an axis; NaN is what NaN is."""
    found: Array = np.argmax((x == value) | (_isnan(x) & _isnan(value)), dim, keepdims=True)
    return found


def _fetched(name: str, op: Op, kind: Any, input: Any, dim: int, keepdim: bool, out: Any, *params: Any) -> Any:
    """(values, indices) at the places that the operator finds; a tensor without axes counts as having one element."""
    shape = shape_of(input)
    d = axis(name, dim, len(shape))
    x = input if shape else shapes.reshape(input, (1,))
    index = apply_flat(op, x, d, *params)
    values = apply_flat(scatter.GATHER, x, index, d)
    if not shape:
        values, index = shapes.reshape(values, ()), shapes.reshape(index, ())
    elif not keepdim:
        values, index = shapes.squeeze(values, d), shapes.squeeze(index, d)
    result = kind(called(values, _label(name)), index)
    return result if out is None else write_out(name, result, out)


@lru_cache
def _label(name: str) -> str:
    """The name of the node: of medians PyTorch has two, of all elements and along an axis."""
    return f"{name.capitalize()}Backward{int(name.endswith('median'))}"


# --- sort -------------------------------------------------------------------------------------------------------------


def _order(x: Array, dim: int, *, descending: bool) -> Array:
    """The places of the elements in their order; equal ones keep theirs."""
    if not descending:
        return x.argsort(dim, kind="stable")
    turned = (slice(None),) * (dim % x.ndim) + (
        slice(None, None, -1),
    )  # as np.flip, which takes longer than a few sort
    back: Array = x.shape[dim] - 1 - x[turned].argsort(dim, kind="stable")
    return back[turned]


def _order_fast(x: Array, dim: int, *, descending: bool) -> Array:
    """A float32 and its place make one integer, and NumPy sorts integers fastest: 2 to 6 times at a million."""
    if x.dtype != np.float32:
        return _order(x, dim, descending=descending)
    bits = np.moveaxis(x + np.float32(0), dim, -1).copy().view(np.int32)  # -0 counts as 0
    bits[np.moveaxis(_isnan(x), dim, -1)] = 0x7FC00000  # all NaN alike
    bits ^= (bits >> 31) & 0x7FFFFFFF  # of negative numbers the larger bits are the smaller number
    keys = (~bits if descending else bits).astype(np.int64) << 32
    keys |= np.arange(x.shape[dim])
    keys.sort(-1)
    keys &= 0xFFFFFFFF
    return np.moveaxis(keys, -1, dim)


def _order_few(x: Array, dim: int, descending: bool) -> Array | None:
    return _core.order(x, dim, x.shape[dim], _TOP, descending)


ARGSORT = _finder("argsort", _order, _order_fast, _order_few, descending=True)


@numpy_names
def sort(input: Any, dim: int = -1, descending: bool = False, stable: bool = False, *, out: Any = None) -> Any:
    r"""(values, indices) of the elements in order along an axis; NaN is largest. Always stable.

        forward    out_i = x_p(i),  p the order
        backward   dx_p(i) = g_i

    >>> mt.sort(mt.tensor([2.0, 3.0, 1.0])).indices
    tensor([2, 0, 1])
    """
    return _fetched("sort", ARGSORT, return_types.sort, input, dim, True, out, bool(descending))


@numpy_names
def argsort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = False) -> Any:
    """The indices that put the elements in order along an axis. No derivative.

    >>> mt.argsort(mt.tensor([2.0, 3.0, 1.0]), descending=True)
    tensor([1, 0, 2])
    """
    return sort(input, dim, descending).indices


def msort(input: Any, *, out: Any = None) -> Any:
    """The values in order along the first axis.

    >>> mt.msort(mt.tensor([2, 3, 1]))
    tensor([1, 2, 3])
    """
    result = sort(input, 0).values
    return result if out is None else write_out("msort", result, out)


# --- topk, kthvalue ---------------------------------------------------------------------------------------------------


def _top(x: Array, dim: int, *, k: int, largest: bool) -> Array:
    n = x.shape[dim]
    if k in (0, n) or x.size < 1000:
        return _order(x, dim, descending=largest)[(slice(None),) * dim + (slice(k),)]
    parted = np.argpartition(x, n - k if largest else k - 1, dim)
    chosen = np.split(parted, [n - k if largest else k], dim)[1 if largest else 0]
    chosen = np.sort(chosen, dim)  # a partition has no order of its own
    order = _order(np.take_along_axis(x, chosen, dim), dim, descending=largest)
    return np.take_along_axis(chosen, order, dim)


def _top_reference(x: Array, dim: int, *, k: int, largest: bool) -> Array:
    return _order(x, dim, descending=largest)[(*(slice(None),) * dim, slice(k))]


def _top_fast(x: Array, dim: int, *, k: int, largest: bool) -> Array:
    return _in_lines(_top, x, dim, k=k, largest=largest)


def _top_few(x: Array, dim: int, k: int, largest: bool) -> Array | None:
    return _core.order(x, dim, k, _TOP, largest)


def _in_lines(places: Callable[..., Array], x: Array, dim: int, **given: Any) -> Array:
    """places(x, dim), which NumPy finds faster where the elements of a line are neighbours."""
    if x.dtype.kind != "f" or x.strides[dim] == x.itemsize:
        return places(x, dim, **given)
    return np.moveaxis(places(np.ascontiguousarray(np.moveaxis(x, dim, -1)), x.ndim - 1, **given), -1, dim)


TOP = _finder("top", _top_reference, _top_fast, _top_few, k=1, largest=True)


@numpy_names
def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True, *, out: Any = None) -> Any:
    r"""(values, indices) of the k largest elements along an axis, or of the k smallest; always in order.

        forward    out_i = x_p(i),  p the order, the largest first
        backward   dx_p(i) = g_i

    NaN is largest. Raises IndexRangeError unless 0 <= k <= n.

    >>> mt.topk(mt.tensor([1.0, 3.0, 2.0]), 2).values
    tensor([3., 2.])
    """
    _check_rank("topk", input, dim, k, 0)
    return _fetched("topk", TOP, return_types.topk, input, dim, True, out, int(k), bool(largest))


def _check_rank(name: str, input: Any, dim: int, k: int, least: int) -> None:
    shape = shape_of(input)
    n = shape[axis(name, dim, len(shape))] if shape else 1
    if not least <= k <= n:
        raise IndexRangeError(f"{name}: k = {k} is not between {least} and {n}, the size of axis {dim} of {shape}")


def _kth(x: Array, dim: int, *, k: int) -> Array:
    return _first_place(x, np.take(np.partition(x, k - 1, dim), [k - 1], dim), dim)


def _kth_fast(x: Array, dim: int, *, k: int) -> Array:
    return _in_lines(_kth, x, dim, k=k)


def _kth_few(x: Array, dim: int, k: int) -> Array | None:
    return _core.order(x, dim, k, _NUMBER, False)


KTH = _finder("kth", _kth, _kth_fast, _kth_few, k=1)


@numpy_names
def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    r"""(values, indices) of the k-th smallest element along an axis, k from 1; of equal ones the first.

        forward    out = the k-th of x in order
        backward   dx = g at its index, else 0

    Raises IndexRangeError unless 1 <= k <= n.

    >>> mt.kthvalue(mt.tensor([3.0, 1.0, 2.0]), 2).values
    tensor(2.)
    """
    _check_rank("kthvalue", input, dim, k, 1)
    return _fetched("kthvalue", KTH, return_types.kthvalue, input, dim, keepdim, out, int(k))


# --- median -----------------------------------------------------------------------------------------------------------


def _middle(x: Array, dim: int, *, skip: bool) -> Array:
    """The median along an axis, kept: the lower of two in the middle. NaN if one is, or if all that is not skipped."""
    missing = _isnan(x)
    if skip and missing.any():
        count = (~missing).sum(dim, keepdims=True)
        return np.take_along_axis(np.sort(x, dim), np.maximum(count - 1, 0) // 2, dim)
    k = (x.shape[dim] - 1) // 2
    middle: Array = np.take(np.partition(x, k, dim), [k], dim)
    wrong = missing.any(dim, keepdims=True)
    return np.where(wrong, np.nan, middle).astype(x.dtype) if wrong.any() else middle


def _middle_place(x: Array, dim: int, *, skip: bool) -> Array:
    return _first_place(x, _middle(x, dim, skip=skip), dim)


def _middle_place_fast(x: Array, dim: int, *, skip: bool) -> Array:
    return _in_lines(_middle_place, x, dim, skip=skip)


def _middle_place_few(x: Array, dim: int, skip: bool) -> Array | None:
    return None if skip else _core.order(x, dim, 1, _MIDDLE, False)


MIDDLE = _finder("middle", _middle_place, _middle_place_fast, _middle_place_few, skip=False)


def _median(name: str, skip: bool) -> Op:
    """The row of the median of all elements, whose gradient all that are equal to it share."""

    def reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
        out = _middle(x.reshape(-1), 0, skip=skip).reshape(()) if x.size else np.full((), np.nan, x.dtype)
        return out, (x, out)

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, over in REDUCED:
            if len(shape) == len(over):
                yield Sample((rng.standard_normal(shape),), {"axes": over, "keepdim": False})

    def few(x: Array, axes: Axes, keepdim: bool) -> Array | None:
        flat = x.reshape(-1)
        place = None if skip else _core.order(flat, 0, 1, _MIDDLE, False)
        return None if place is None else flat[place[0], ...].copy()

    short: dict[str, Any] = {"kernel": few, "saves": (0, -1), "names": ("axes", "keepdim")}
    return Op(name, reference, reference, (extreme_dx,), None, samples, **short)


MEDIAN = _median("median", False)
NANMEDIAN = _median("nanmedian", True)


def _median_of(name: str, op: Op, kind: Any, input: Any, dim: Any, keepdim: bool, out: Any) -> Any:
    shape = shape_of(input)
    if dim is not None:
        need_elements(name, shape, (axis(name, dim, len(shape)),) if shape else ())
        return _fetched(name, MIDDLE, kind, input, dim, keepdim, out, op is NANMEDIAN)
    over = tuple(range(len(shape)))
    if array_of(input).dtype.kind != "f":
        need_elements(name, shape, over)
    result = apply(op, input, axes=over, keepdim=False)
    return result if out is None else write_out(name, result, out)


@numpy_names
def median(input: Any, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    r"""The median of all elements; with `dim`, (values, indices) along it. Of two in the middle, the lower one.

        forward    out = the element number (n - 1) // 2 of x in order; NaN if there is one
        backward   of all: g shared by all elements equal to out;  along an axis: dx = g at the index, else 0

    The index is of the first element equal to the median. Raises IndexRangeError for an empty axis.

    >>> mt.median(mt.tensor([4.0, 1.0, 3.0, 2.0]))
    tensor(2.)
    """
    return _median_of("median", MEDIAN, return_types.median, input, dim, keepdim, out)


@numpy_names
def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False, *, out: Any = None) -> Any:
    r"""`median` of what is not NaN; NaN where there is nothing else.

    >>> mt.nanmedian(mt.tensor([4.0, float("nan"), 3.0]))
    tensor(3.)
    """
    return _median_of("nanmedian", NANMEDIAN, return_types.nanmedian, input, dim, keepdim, out)


# --- mode -------------------------------------------------------------------------------------------------------------


def _mode_place(x: Array, dim: int) -> Array:
    order = np.lexsort((x, ~_isnan(x)), dim)  # NaN first
    ordered = np.take_along_axis(x, order, dim)
    here = np.arange(1, x.shape[dim])
    same = np.take(ordered, here, dim) == np.take(ordered, here - 1, dim)
    starts = ~np.insert(same, 0, False, dim)
    places = np.arange(x.shape[dim]).reshape([-1 if d == dim else 1 for d in range(x.ndim)])
    run = places - np.maximum.accumulate(np.where(starts, places, 0), dim)  # how many equal ones came before
    return np.take_along_axis(order, np.argmax(run, dim, keepdims=True), dim)


MODE = _finder("mode", _mode_place, _mode_place)


@numpy_names
def mode(input: Any, dim: int = -1, keepdim: bool = False, *, out: Any = None) -> Any:
    r"""(values, indices) of the most frequent element along an axis, of several the smallest; its last index.

        forward    out = the most frequent of x; each NaN is one of its kind
        backward   dx = g at the index, else 0

    Raises IndexRangeError for an empty axis.

    >>> mt.mode(mt.tensor([1, 2, 2, 3])).values
    tensor(2)
    """
    shape = shape_of(input)
    need_elements("mode", shape, (axis("mode", dim, len(shape)),) if shape else ())
    return _fetched("mode", MODE, return_types.mode, input, dim, keepdim, out)


# --- quantile ---------------------------------------------------------------------------------------------------------

_ROUNDED: dict[str, Callable[[Any], Any]] = {"lower": np.floor, "higher": np.ceil, "nearest": np.round}


def _quantile(name: str, input: Any, q: Any, dim: Any, keepdim: bool, how: str, skip: bool, out: Any) -> Any:
    need_float(name, input)
    if isinstance(raw(q), np.ndarray):
        if array_of(q).dtype != array_of(input).dtype:
            raise DtypeError(f"{name}: q has dtype {array_of(q).dtype}, the input {array_of(input).dtype}")
    else:
        _, q = promote(name, input, q)
    wanted, shape = raw(q), shape_of(input)
    if wanted.ndim > 1:
        raise ShapeError(f"{name}: q must be a number or a vector, not of shape {wanted.shape}")
    if not ((wanted >= 0) & (wanted <= 1)).all():
        raise ShapeError(f"{name}: q must lie between 0 and 1, got {wanted}")
    if how not in (*_ROUNDED, "linear", "midpoint"):
        raise ShapeError(f"{name}: interpolation must be linear, lower, higher, midpoint or nearest, not {how!r}")
    d = 0 if dim is None else axis(name, dim, len(shape))
    x = shapes.movedim(input, d, -1) if dim is not None and shape else shapes.reshape(input, (-1,))
    n = shape_of(x)[-1]
    if n == 0:
        raise ShapeError(f"{name}: an axis of {shape} is empty, and nothing has no quantiles")
    ordered = sort(x, -1).values
    last: Any = np.full((*shape_of(x)[:-1], 1), n - 1, wanted.dtype)
    if skip:
        last = np.maximum(raw(sum(logical_not(isnan(x)), -1, True)) - 1, 0).astype(wanted.dtype)
    rank = mul(shapes.reshape(q, (-1,)), last)  # (..., one for each q)
    if not skip:  # a NaN stands last, and has every rank
        broken = np.isnan(raw(ordered)[..., -1:])
        rank = where(broken, last, rank) if broken.any() else rank
    if how in _ROUNDED:
        result = scatter.gather(ordered, -1, _ROUNDED[how](raw(rank)).astype(np.int64))
    else:
        low, high = np.floor(raw(rank)), np.ceil(raw(rank))
        below, above = (scatter.gather(ordered, -1, r.astype(np.int64)) for r in (low, high))
        result = add(below, mul(sub(above, below), 0.5 if how == "midpoint" else sub(rank, low)))
    kept = tuple([1 if dim is None or i == d else k for i, k in enumerate(shape)])
    rest = kept if keepdim else tuple([k for i, k in enumerate(shape) if dim is not None and i != d])
    result = shapes.reshape(shapes.movedim(result, -1, 0), (*wanted.shape, *rest))
    return result if out is None else write_out(name, result, out)


@reads()
@numpy_names
def quantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", out: Any = None
) -> Any:
    r"""The values below which the shares `q` of the elements lie, of all or along an axis.

        forward    out = x_low + (r - low) (x_high - x_low),  r = q (n - 1),  low and high the integers around it
        backward   g to the two elements, in these shares

    A vector `q` gives a first axis. `interpolation` is "linear", "lower", "higher", "midpoint" or "nearest". NaN if
    there is one. Raises ShapeError for a q outside [0, 1] and for no elements, DtypeError for integers and for a `q` of
    another dtype.

    >>> mt.quantile(mt.tensor([1.0, 2.0, 3.0, 4.0]), 0.5)
    tensor(2.5000)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation, False, out)


@reads()
@numpy_names
def nanquantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear", out: Any = None
) -> Any:
    r"""`quantile` of what is not NaN; NaN where there is nothing else.

    >>> mt.nanquantile(mt.tensor([1.0, float("nan"), 3.0]), 0.5)
    tensor(2.)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation, True, out)
