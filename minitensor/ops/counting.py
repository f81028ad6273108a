"""What counts and looks up: unique, bincount, histograms, searchsorted, bucketize. None has a derivative.

Several of these have sizes that depend on the values, and none a gradient: they work on the arrays, outside the graph.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np

from .. import return_types
from ..errors import DtypeError, IndexRangeError, ShapeError
from ..graph.tensors import wrap
from .common import Array, array_of, axis, need_float, numpy_names, raw, reads, write_out


def _integers(name: str, x: Array) -> None:
    if x.dtype.kind not in "iu":
        raise DtypeError(f"{name}: expected an integer dtype, got {x.dtype}")


# --- unique -----------------------------------------------------------------------------------------------------------


def _results(output: Array, inverse: Array | None, counts: Array | None) -> Any:
    found = tuple([wrap(np.asarray(a, order="C")) for a in (output, inverse, counts) if a is not None])
    return found[0] if len(found) == 1 else found


def _unique_axis(name: str, x: Array, dim: int) -> int:
    if x.ndim == 0:
        raise IndexRangeError(f"{name}: dim {dim} of a tensor without axes")
    d = axis(name, dim, x.ndim)
    if any(n == 0 for i, n in enumerate(x.shape) if i != d):
        raise ShapeError(f"{name}: the slices of {x.shape} along axis {d} are empty")
    return d


@numpy_names
def unique(
    input: Any,
    sorted: bool = True,
    return_inverse: bool = False,
    return_counts: bool = False,
    dim: int | None = None,
) -> Any:
    """The different elements, or the different slices along an axis, in order; each NaN is one of its kind.

    With `return_inverse` also, for each element of the input, where it is among them; with `return_counts` also how
    often each occurs. They are in order whatever `sorted` says.

    >>> mt.unique(mt.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    x = array_of(input)
    along = None if dim is None else _unique_axis("unique", x, dim)
    if along is not None and x.shape[along] == 0:
        nothing = np.empty(0, np.int64)
        return _results(x.copy(), nothing if return_inverse else None, nothing if return_counts else None)
    if along is None and not (return_inverse or return_counts) and x.dtype.char in "?bBhilqfd":
        lined = np.sort(x, None, "stable")
        first = np.ones(lined.size, bool)
        np.not_equal(lined[1:], lined[:-1], first[1:])
        return wrap(lined[first])
    output, inverse, counts = np.unique(x, return_inverse=True, return_counts=True, axis=along, equal_nan=False)
    inverse = inverse.reshape(x.shape if along is None else -1)
    return _results(output, inverse if return_inverse else None, counts if return_counts else None)


@numpy_names
def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements, or the slices along an axis, without those that equal the one before them.

    `return_inverse` and `return_counts` as in `unique`.

    >>> mt.unique_consecutive(mt.tensor([1, 1, 2, 2, 1]))
    tensor([1, 2, 1])
    """
    x = array_of(input)
    shape, along = x.shape, None if dim is None else _unique_axis("unique_consecutive", x, dim)
    x = x.reshape(-1) if along is None else x
    d = 0 if along is None else along
    n = x.shape[d]
    lines = np.moveaxis(x, d, 0).reshape(n, math.prod(x.shape) // n if n else 0)
    starts = np.ones(n, bool)
    starts[1:] = (lines[1:] != lines[:-1]).any(1)
    counts = np.diff(np.append(np.flatnonzero(starts), n))
    inverse = np.cumsum(starts) - 1
    return _results(
        np.compress(starts, x, d),
        (inverse.reshape(shape) if along is None else inverse) if return_inverse else None,
        counts if return_counts else None,
    )


# --- bincount, histograms ---------------------------------------------------------------------------------------------


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Any:
    """How often each number 0, 1, ... occurs in a vector, or the sum of its weights; at least `minlength` counts.

    Raises DtypeError unless the numbers are integers, ShapeError for negative ones and for other shapes.

    >>> mt.bincount(mt.tensor([0, 2, 2]))
    tensor([1, 0, 2])
    """
    x, w = array_of(input), None if weights is None else array_of(weights)
    _integers("bincount", x)
    if x.ndim != 1 or (x.size and x.min() < 0):
        raise ShapeError(f"bincount: expected a vector of numbers that are not negative, got shape {x.shape}")
    if w is not None and w.shape != x.shape:
        raise ShapeError(f"bincount: weights of shape {w.shape} for numbers of shape {x.shape}")
    if minlength < 0:
        raise ShapeError(f"bincount: minlength must not be negative, got {minlength}")
    counts = np.bincount(x.astype(np.int64, copy=False), w, minlength)
    if w is None:
        return wrap(counts.astype(np.int64, copy=False))
    return wrap(counts.astype(w.dtype if w.dtype == np.float32 else np.float64, copy=False))


def _range(name: str, x: Array, low: Any, high: Any) -> tuple[float, float]:
    """The ends of the bins: as given, or where they are equal the data's; spread where these are equal too."""
    if low > high:
        raise ShapeError(f"{name}: the upper end {high} is below the lower end {low}")
    if low == high and x.size:
        low, high = x.min(), x.max()
    if not (math.isfinite(low) and math.isfinite(high)):
        raise ShapeError(f"{name}: the range [{low}, {high}] is not finite")
    return float(low), float(high)


@reads()
def histc(input: Any, bins: int = 100, min: Any = 0, max: Any = 0, *, out: Any = None) -> Any:
    """How many elements lie in each of `bins` equal intervals from `min` to `max` (or of the data, if these are equal).

    What lies outside is not counted. Raises ShapeError for bins < 1 and a range that is not finite.

    >>> mt.histc(mt.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    need_float("histc", input)
    if bins < 1:
        raise ShapeError(f"histc: bins must be positive, got {bins}")
    x = raw(input).reshape(-1)
    low, high = _range("histc", x, raw(min), raw(max))
    if low == high:
        low, high = low - 1, high + 1
    inside = x[(x >= low) & (x <= high)].astype(np.float64)
    places = np.minimum(((inside - low) * (bins / (high - low))).astype(np.int64), bins - 1)
    result = wrap(np.bincount(places, minlength=bins).astype(x.dtype))
    return result if out is None else write_out("histc", result, out)


@reads()
def histogram(
    input: Any, bins: Any = 100, *, range: Any = None, weight: Any = None, density: bool = False, out: Any = None
) -> Any:
    """(hist, bin_edges): how many elements lie in each bin, or the sum of their weights.

    `bins` is their number, over `range` (the data's unless given), or a vector with their edges. A bin contains its
    left edge, the last one both. With `density` the bars have area 1 together.

    >>> mt.histogram(mt.tensor([1.0, 2.0, 1.0]), bins=4, range=(0.0, 3.0)).hist
    tensor([0., 2., 1., 0.])
    """
    need_float("histogram", input, weight)
    x, w, edges = raw(input), raw(weight), raw(bins)
    if w is not None and w.shape != x.shape:
        raise ShapeError(f"histogram: weights of shape {w.shape} for elements of shape {x.shape}")
    if isinstance(edges, np.ndarray):
        if edges.ndim != 1 or (np.diff(edges) < 0).any():
            raise ShapeError(f"histogram: the edges, of shape {edges.shape}, must be a vector in increasing order")
        if range is not None:
            raise TypeError("histogram: a range has no meaning where the edges of the bins are given")
    else:
        if edges < 1:
            raise ShapeError(f"histogram: bins must be positive, got {bins}")
        low, high = _range("histogram", x, *((0, 0) if range is None else range))
        if low == high:
            low, high = (0, 1) if x.size == 0 else (low - 0.5, high + 0.5)
        edges = np.linspace(low, high, int(edges) + 1).astype(x.dtype)
    last = len(edges) - 2
    inside = (x >= edges[0]) & (x <= edges[-1])
    places = np.minimum(np.searchsorted(edges, x[inside], "right") - 1, last)
    hist = np.bincount(places, None if w is None else w[inside], last + 1)
    if density:
        hist = hist / hist.sum() / np.diff(edges)
    result = return_types.histogram(wrap(hist.astype(x.dtype)), wrap(edges))
    return result if out is None else write_out("histogram", result, out)


# --- searchsorted -----------------------------------------------------------------------------------------------------


@reads()
def searchsorted(
    sorted_sequence: Any,
    input: Any,
    *,
    out_int32: bool = False,
    right: bool = False,
    side: str | None = None,
    sorter: Any = None,
    out: Any = None,
) -> Any:
    """Where each value belongs in a sequence in order along its last axis: before equal ones, or (`right`) after them.

    A vector serves all values; else all axes but the last are those of `input`. `sorter` has the indices that put the
    sequence in order.

    >>> mt.searchsorted(mt.tensor([1, 3, 5]), mt.tensor([3, 4]))
    tensor([1, 2])
    """
    name = "searchsorted"
    if side not in (None, "left", "right") or (side == "left" and right):
        raise ShapeError(f"{name}: side must be 'left' or 'right' and not contradict right={right}, got {side!r}")
    to: Literal["left", "right"] = "right" if right or side == "right" else "left"
    sequence, values = array_of(sorted_sequence), np.asarray(raw(input))
    if sequence.ndim == 0 or (sequence.ndim > 1 and sequence.shape[:-1] != values.shape[:-1]):
        raise ShapeError(
            f"{name}: a sequence of shape {sequence.shape} for values of shape {values.shape}; it must be a vector or "
            "agree with them in all axes but the last"
        )
    if sorter is not None:
        order = array_of(sorter)
        _integers(name, order)
        if order.shape != sequence.shape:
            raise ShapeError(f"{name}: a sorter of shape {order.shape} for a sequence of shape {sequence.shape}")
        if order.size and not (0 <= order.min() and order.max() < sequence.shape[-1]):
            raise IndexRangeError(f"{name}: the sorter has indices outside the sequence of {sequence.shape[-1]}")
        sequence = np.take_along_axis(sequence, order, -1)
    if sequence.ndim == 1:
        places = np.asarray(np.searchsorted(sequence, values, to))
    else:
        rows = zip(sequence.reshape(-1, sequence.shape[-1]), values.reshape(-1, values.shape[-1]), strict=True)
        found = [np.searchsorted(row, wanted, to) for row, wanted in rows]
        places = np.asarray(found).reshape(values.shape)
    result = wrap(places.astype(np.int32 if out_int32 else np.int64))
    return result if out is None else write_out(name, result, out)


@reads()
def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False, out: Any = None) -> Any:
    """The number of the bucket between `boundaries` that each value falls into: `searchsorted` the other way round.

        out = i  where  boundaries[i-1] < x <= boundaries[i],  or with `right`  boundaries[i-1] <= x < boundaries[i]

    >>> mt.bucketize(mt.tensor([0, 3, 9]), mt.tensor([1, 3, 5]))
    tensor([0, 1, 3])
    """
    if array_of(boundaries).ndim != 1:
        raise ShapeError(f"bucketize: the boundaries must be a vector, not of shape {array_of(boundaries).shape}")
    return searchsorted(boundaries, input, out_int32=out_int32, right=right, out=out)
