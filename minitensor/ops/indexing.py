"""Indexing: reading and writing parts of a tensor, by NumPy's machinery under PyTorch's rules."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import IndexRangeError, ShapeError
from ..graph import Tensor, apply, assign, check_writable, snapshot, wrap
from ..op import Op, Result, Sample
from . import reduce
from . import shape as shapes
from .common import Array, axis, raw, shape_of, to_dtype

Shape = tuple[int, ...]


def _part(index: Any) -> Any:
    """One part of an index as NumPy takes it, checked."""
    if index is None or index is Ellipsis or isinstance(index, (bool, int)):
        return index
    if isinstance(index, slice):
        step = None if index.step is None else _integer(index.step)
        if step is not None and step <= 0:
            raise ShapeError(f"indexing: a slice's step must be positive, not {step}; use flip")
        first, last = (None if v is None else _integer(v) for v in (index.start, index.stop))
        return slice(first, last, step)
    if isinstance(index, range):
        index = list(index)
    a = raw(index)
    if not isinstance(a, np.ndarray):
        a = np.asarray([raw(v) for v in a] if isinstance(a, (list, tuple)) else a)
        if a.size == 0 and a.dtype.kind == "f":
            a = a.astype(np.int64)
    if a.dtype.kind == "b":
        return a
    if a.dtype.kind not in "iu":
        raise IndexRangeError(f"indexing: tensors used as indices must be integers or bools, not {a.dtype}")
    if a.dtype == np.uint8 and isinstance(raw(index), np.ndarray):
        return a.astype(bool)
    return int(a) if a.ndim == 0 else a


def _integer(value: Any) -> int:
    return int(raw(value))


def normalize(index: Any) -> Any:
    """An index as users write it (ints, slices, None, ..., lists, ranges, tensors, masks) as NumPy takes it."""
    if isinstance(index, tuple):
        return tuple([_part(i) for i in index])
    if isinstance(index, list) and any(isinstance(i, slice) or i is None or i is Ellipsis for i in index):
        return tuple([_part(i) for i in index])
    return _part(index)


def _is_basic(index: Any) -> bool:
    """Whether an index only selects by ints and slices, so that no element is read twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(i is None or i is Ellipsis or isinstance(i, slice) or type(i) is int for i in parts)


def _explain(name: str, shape: Shape, error: Exception) -> Exception:
    if isinstance(error, IndexError):
        return IndexRangeError(f"{name}: {error} (the tensor has shape {tuple(shape)})")
    return ShapeError(f"{name}: {error} (the tensor has shape {tuple(shape)})")


# --- getitem ----------------------------------------------------------------------------------------------------------


def _getitem_reference(x: Array, *, index: Any) -> Result:
    y = x[index]
    if not isinstance(y, np.ndarray):
        y = x[(*index, ...)] if isinstance(index, tuple) else x[index, ...]  # an array, and so still a view
    return y, (x.shape,)


def _getitem_dx(g: Any, shape: Shape, *, index: Any) -> Any:
    return apply(GETITEM_VJP, g, index=index, shape=shape)


def _getitem_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for index in (
        1,
        (slice(None), 2),
        (slice(0, 2), None, ...),
        np.array([0, 2, 0]),
        (np.array([[0, 1], [2, 2]]), np.array([1, 3])),
        (slice(None), np.array([3, 0])),
        np.array([True, False, True]),
        (np.array([1, 1]), slice(None, None, 2)),
        (1, 2),
    ):
        yield Sample((rng.standard_normal((3, 4)),), {"index": index})


GETITEM = Op("getitem", _getitem_reference, None, (_getitem_dx,), "linear", _getitem_samples, view=True, exact=True)


def _getitem_vjp_reference(g: Array, *, index: Any, shape: Shape) -> Result:
    dx = np.zeros(shape, g.dtype)
    if _is_basic(index):
        dx[index] = g
    else:
        np.add.at(dx, index, g)
    return dx, ()


def _getitem_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, index in (((3, 4), np.array([0, 2, 0])), ((4,), 1), ((3, 2), (slice(None), np.array([3, 3])))):
        yield Sample((rng.standard_normal(shape),), {"index": index, "shape": (3, 4)})


GETITEM_VJP = Op(
    "getitem_vjp",
    _getitem_vjp_reference,
    None,
    (lambda h, *, index, shape: apply(GETITEM, h, index=index),),
    "linear",
    _getitem_vjp_samples,
    exact=True,
)


def getitem(input: Any, index: Any) -> Any:
    """`input[index]`: ints, slices, None, `...` give a view; lists, integer tensors and masks a copy.

        forward    out[k] = x[index(k)]
        backward   dx[j] = the sum of g[k] over all k with index(k) = j

    Raises IndexError for an index out of range, ValueError for a step below 1.

    >>> mt.tensor([10, 20, 30])[[2, 0]]
    tensor([30, 10])
    """
    wanted = normalize(index)
    try:
        return apply(GETITEM, input, index=wanted)
    except IndexError as error:
        raise _explain("indexing", shape_of(input), error) from None


# --- setitem ----------------------------------------------------------------------------------------------------------


def _setitem_reference(x: Array, value: Array, *, index: Any) -> Result:
    out = x.copy()
    out[index] = value
    return out, (value.shape,)


def _setitem_dx(g: Any, _shape: Shape, *, index: Any) -> Any:
    return apply(SETITEM, g, np.zeros((), raw(g).dtype), index=index)


def _setitem_dvalue(g: Any, shape: Shape, *, index: Any) -> Any:
    return reduce.sum_to(apply(GETITEM, g, index=index), shape)


def _setitem_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, index in (((4,), 1), ((), (slice(None), 2)), ((2, 4), np.array([0, 2])), ((1, 4), slice(0, 2))):
        yield Sample((rng.standard_normal((3, 4)), rng.standard_normal(shape)), {"index": index})


SETITEM = Op(
    "setitem",
    _setitem_reference,
    None,
    (_setitem_dx, _setitem_dvalue),
    "linear",
    _setitem_samples,
    exact=True,
)


def setitem(input: Any, index: Any, value: Any) -> None:
    """`input[index] = value`, in place and in the graph.

        forward    x[index] = value
        backward   dx = g with zeros at index,  dvalue = g[index], summed where value was broadcast

    Raises before anything is written if the shapes do not fit or an index is out of range.
    """
    check_writable("assignment", input)
    wanted = normalize(index)
    given = to_dtype(value, dtypes.of(raw(input).dtype))
    try:
        place = getitem(input, index) if _is_basic(wanted) else wrap(raw(input)[wanted])
        size = shape_of(place)
        while len(shape_of(given)) > len(size) and shape_of(given)[0] == 1:  # extra axes of size 1 count for nothing
            given = shapes.reshape(given, shape_of(given)[1:])
        given = apply(shapes.EXPAND, given, shape=size)
    except ValueError as error:
        raise _explain("assignment", shape_of(input), error) from None
    if _is_basic(wanted):
        assign("assignment", place, given if isinstance(given, Tensor) else wrap(given))
    else:
        assign("assignment", input, apply(SETITEM, snapshot(input), given, index=wanted))


# --- along one axis ---------------------------------------------------------------------------------------------------


def _index_select_check(name: str, index: Array, n: int) -> None:
    if index.dtype.kind not in "iu":
        raise IndexRangeError(f"{name}: the index must have an integer dtype, not {index.dtype}")
    if index.size and not (0 <= index.min() and index.max() < n):
        bad = index[(index < 0) | (index >= n)].flat[0]
        raise IndexRangeError(f"{name}: index {bad} is out of range for an axis of size {n}")


def index_select(input: Any, dim: int, index: Any) -> Any:
    """The slices of `input` along `dim` at the integers `index` (a vector).

    >>> mt.index_select(mt.tensor([[1, 2], [3, 4]]), 1, mt.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    shape = shape_of(input)
    d = axis("index_select", dim, len(shape))
    places = raw(index)
    _index_select_check("index_select", places, shape[d] if shape else 1)
    if places.ndim > 1:
        raise ShapeError(f"index_select: the index must be a vector, not of shape {places.shape}")
    return apply(GETITEM, input, index=(slice(None),) * d + (places.reshape(-1),))


def _along(index: Array, dim: int) -> tuple[Array, ...]:
    """The index arrays that pick element index[k] along `dim` at each place k."""
    grid = list(np.ogrid[tuple([slice(n) for n in index.shape])])
    grid[dim] = index
    return tuple(grid)


def gather(input: Any, dim: int, index: Any) -> Any:
    """Picks one element along `dim` for each place of `index`.

        forward    out[i, j] = x[index[i, j], j]   (dim = 0)
        backward   dx[index[i, j], j] += g[i, j]

    `index` has as many axes as `input` and no larger sizes but along `dim`. Raises IndexError out of range.

    >>> mt.gather(mt.tensor([[1, 2], [3, 4]]), 1, mt.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    shape, places = shape_of(input), raw(index)
    d = axis("gather", dim, len(shape))
    _index_select_check("gather", places, shape[d] if shape else 1)
    if places.ndim != len(shape) or any(
        k > n for i, (k, n) in enumerate(zip(places.shape, shape, strict=True)) if i != d
    ):
        raise ShapeError(f"gather: an index of shape {places.shape} does not fit into {shape} along axis {d}")
    if not shape:
        return apply(GETITEM, input, index=...)
    return apply(GETITEM, input, index=_along(places, d))


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The indices of all elements that are not zero: (count, axes), or a vector for each axis.

    >>> mt.nonzero(mt.tensor([0, 7, 8]))
    tensor([[1],
            [2]])
    """
    found = np.nonzero(np.atleast_1d(raw(input)) if raw(input).ndim == 0 else raw(input))
    if as_tuple:
        return tuple([wrap(i) for i in found])
    places = np.stack(found, 1) if found else np.empty((0, 0), np.int64)
    return wrap(places if raw(input).ndim else np.empty((len(places), 0), np.int64))


def masked_select(input: Any, mask: Any) -> Any:
    """The elements where `mask` is true, as a vector; the two broadcast.

    >>> mt.masked_select(mt.tensor([1, 2, 3]), mt.tensor([True, False, True]))
    tensor([1, 3])
    """
    common = np.broadcast_shapes(shape_of(input), shape_of(mask))
    return apply(GETITEM, shapes.expand(input, common), index=np.broadcast_to(raw(mask), common))
