"""Indexing: reading and writing parts of a tensor. PyTorch's rules: integers and slices first, as a view; of that,
integer tensors and masks, by NumPy's machinery. Kernels: csrc/kernels/scatter.cpp,
masks.cpp."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import GraphError, IndexRangeError, ShapeError
from ..graph import record
from ..graph.nodes import called
from ..graph.record import apply, apply_flat
from ..graph.tensors import Tensor, vmap_layer, wrap
from ..graph.views import assign, check_writable, put, refill, snapshot
from ..op import SHAPE, Op, Result, Sample
from . import arithmetic, comparison, reduce, scatter
from . import shape as shapes
from .common import Array, refilled, to_dtype

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .common import array_of, raw, shape_of

Shape = tuple[int, ...]
Parts = tuple[Any, ...]
ALL = slice(None)
_gives_view = cython.declare(object, _core.gives_view)  # a C variable, as every index is looked at


# --- indices as users write them --------------------------------------------------------------------------------------


class _InBatch(BaseException):
    """An index that differs from one element of a vmap's batch to the next."""

    def __init__(self, level: Any) -> None:
        self.level = level


def _part(index: Any) -> Any:
    """One part of an index: an int, slice, None, ..., or an array of int64 or bool."""
    if index is None or index is Ellipsis or type(index) is int:
        return index
    if isinstance(index, slice):
        if index.step is not None and (step := _integer(index.step)) <= 0:
            raise ShapeError(f"indexing: a slice's step must be positive, not {step}; use flip")
        return slice(*[None if v is None else _integer(v) for v in (index.start, index.stop, index.step)])
    if isinstance(index, range):
        index = list(index)
    a = raw(index)
    if isinstance(index, Tensor) and (layer := vmap_layer(index)) is not None:
        if a.dtype.kind == "b" and not layer.level.takes_masks:
            a.nonzero()  # raises: how much a mask takes differs from element to element
        raise _InBatch(layer.level)
    if not isinstance(a, np.ndarray):
        if isinstance(a, (str, bytes)):
            raise TypeError(f"indexing: {index!r} is not an index; integers, slices, ..., None and tensors are")
        a = np.asarray(_plain(a))
        if a.size == 0 and a.dtype.kind == "f":
            a = a.astype(np.int64)
    if a.dtype.kind == "b":
        return a
    if a.dtype.kind not in "iu":
        raise IndexRangeError(f"indexing: tensors used as indices must be integers or bools, not {a.dtype}")
    if a.dtype == np.uint8:
        return a.astype(bool)
    return int(a) if a.ndim == 0 else a.astype(np.int64, copy=False)


def _plain(values: Any) -> Any:
    """Lists of lists of numbers and tensors, as NumPy takes them."""
    return [_plain(v) for v in values] if isinstance(values, (list, tuple)) else raw(values)


def _integer(value: Any) -> int:
    try:
        return int(raw(value).__index__())
    except (AttributeError, TypeError):
        raise TypeError(f"indexing: a slice's ends must be integers, not {value!r}") from None


_MANY = 32  # a list as long as this is an index tensor, whatever it holds


def normalize(index: Any, shape: Shape) -> tuple[Any, Parts | None]:
    """An index in its two steps: (ints, slices, None, ...: a view; then arrays and full slices, or None).

    Integers, though NumPy would count them among the arrays, are taken first, as PyTorch does; a list that holds more
    than numbers is a tuple.
    """
    if _gives_view(index):
        return index, None
    if isinstance(index, list) and len(index) < _MANY:
        if any(isinstance(i, (slice, list, tuple, Tensor, np.ndarray)) or i is None or i is Ellipsis for i in index):
            index = tuple(index)
    if not isinstance(index, tuple):
        one = _part(index)
        if not isinstance(one, np.ndarray):
            return one, None
        parts: list[Any] = [one]
    else:
        parts = [_part(i) for i in index]
        if not any(isinstance(p, np.ndarray) for p in parts):
            return tuple(parts), None
    taken = sum([p.ndim if isinstance(p, np.ndarray) and p.dtype.kind == "b" else p is not None for p in parts])
    rest = len(shape) - taken + sum([p is Ellipsis for p in parts])
    if rest < 0:
        raise IndexRangeError(f"indexing: too many indices for a tensor of {len(shape)} axes")
    first: list[Any] = []
    arrays: list[Any] = []
    at = 0  # the axis that a part begins at
    for p in parts:
        if p is Ellipsis:
            first += [ALL] * rest
            arrays += [ALL] * rest
            at += rest
            rest = 0
        elif not isinstance(p, np.ndarray):
            first.append(p)
            if not isinstance(p, int):
                arrays.append(ALL)
            at += p is not None
        elif p.ndim == 0:  # a single bool: a new axis of size 1 or 0
            first.append(None)
            arrays.append(p.reshape(1))
        else:
            axes = p.ndim if p.dtype.kind == "b" else 1
            if p.dtype.kind == "b" and p.shape != shape[at : at + axes]:
                raise IndexRangeError(f"indexing: a mask of shape {p.shape} over axes of sizes {shape[at : at + axes]}")
            first += [ALL] * axes
            arrays.append(p)
            at += axes
    while arrays[-1:] and isinstance(arrays[-1], slice):
        arrays.pop()
    return (None if all(f == ALL for f in first if f is not None) and None not in first else tuple(first)), tuple(
        arrays
    )


def _is_basic(index: Any) -> bool:
    """Whether an index only selects by ints and slices, so that no element is read twice."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(i is None or i is Ellipsis or isinstance(i, slice) or type(i) is int for i in parts)


def _explain(name: str, shape: Shape, error: Exception) -> Exception:
    cls = IndexRangeError if isinstance(error, IndexError) else ShapeError
    text = str(error).removeprefix("indexing: ").removeprefix("index_select: ")
    return cls(f"{name}: {text} (the tensor has shape {tuple(shape)})")


def positions(index: Parts, shape: Shape) -> tuple[Array, int, int]:
    """(which of the leading slices an index of arrays and full slices reads, how many there are, axes of one)."""
    taken = sum([p.ndim if isinstance(p, np.ndarray) and p.dtype.kind == "b" else 1 for p in index])
    lead = shape[:taken]
    if all(isinstance(p, np.ndarray) and p.dtype.kind == "i" for p in index):
        flat: Any = 0
        for p, n in zip(index, lead, strict=True):
            flat = flat * n + np.where(p < 0, p + n, p)
        return np.asarray(flat), math.prod(lead), len(shape) - taken
    return np.arange(math.prod(lead)).reshape(lead)[index], math.prod(lead), len(shape) - taken


# --- getitem ----------------------------------------------------------------------------------------------------------


def _select(x: Array, index: Any) -> Array:
    y = x[index]
    if not isinstance(y, np.ndarray):
        y = x[(*index, ...)] if isinstance(index, tuple) else x[index, ...]  # an array, and so still a view
    return y  # type: ignore[no-any-return]


def _getitem_reference(x: Array, *, index: Any) -> Result:
    return _select(x, index), (x.shape,)


def _getitem_dx(g: Any, shape: Shape, *, index: Any) -> Any:
    return apply(GETITEM_VJP, g, index=index, shape=shape)


def _getitem_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for index in (
        1,
        (slice(None), 2),
        (slice(0, 2), None, ...),
        (..., slice(1, None, 2)),
        (slice(-9, -1), slice(3, 1)),
        (np.array([0, 2, 0]),),
        (np.array([[0, 1], [2, 2]]), np.array([1, -1])),
        (slice(None), np.array([3, 0])),
        (np.array([True, False, True]),),
        (np.arange(12).reshape(3, 4) % 5 > 1,),
        (np.array([1, 1]), np.array([True, False, False, True])),
        (1, 2),
    ):
        yield Sample((rng.standard_normal((3, 4)),), {"index": index})
    yield Sample((rng.standard_normal((2, 3, 2, 2)),), {"index": (np.array([1, 1]), ALL, np.array([0, 1]))})
    for mask in (rng.random((99, 101)) < 0.5, np.ones((60, 70), bool), np.zeros((60, 70), bool)):
        yield Sample((rng.standard_normal(mask.shape),), {"index": (mask,)}, large=True)


def _getitem_batch(args: Any, flags: Any, *, index: Any) -> Any:
    parts = index if isinstance(index, tuple) else (index,)
    places = [i for i, part in enumerate(parts) if not (part is None or part is ... or isinstance(part, slice))]
    arrays = any(isinstance(part, (np.ndarray, bool)) for part in parts)
    if arrays and places != list(range(places[0], places[-1] + 1)):
        return NotImplemented  # indices that are apart: their axes go to the front, before the batch's
    return apply(GETITEM, args[0], index=(slice(None), *parts))


GETITEM = Op(
    "getitem",
    _getitem_reference,
    _getitem_reference,
    (_getitem_dx,),
    "linear",
    _getitem_samples,
    view=True,
    anything=True,
    exact=True,
    batch=_getitem_batch,
    kernel=_core.getitem,
    saves=(SHAPE,),
    names=("index",),
)


def _getitem_vjp_reference(g: Array, *, index: Any, shape: Shape) -> Result:
    dx = np.zeros(shape, g.dtype)
    if _is_basic(index):
        dx[index] = g
    else:
        np.add.at(dx, index, g)
    return dx, ()


def _getitem_vjp_forward(g: Array, *, index: Any, shape: Shape) -> Result:
    if type(index) is tuple and len(index) == 1 and getattr(index[0], "shape", None) == shape:
        dx = _core.mask_take_vjp(g, index[0])
        if dx is not None:
            return dx, ()
    if _is_basic(index) or all(isinstance(p, slice) or p.dtype.kind == "b" for p in index):
        dx = np.zeros(shape, g.dtype)
        dx[index] = g
        return dx, ()
    places, rows, tail = positions(index, shape)
    inner = shape[len(shape) - tail :]
    flat = g.reshape(places.size, math.prod(inner))
    return _core.index_add(flat, places.reshape(-1), 0, rows).reshape(shape), ()


def _getitem_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, index in (
        ((3, 4), (np.array([0, 2, 0]),)),
        ((4,), 1),
        ((3, 2), (slice(None), np.array([3, -1]))),
        ((2,), (np.array([1, -2]), np.array([3, 3]))),
        ((2, 4), (np.array([True, False, True]),)),
        ((6,), (np.arange(12).reshape(3, 4) % 5 > 1,)),
        ((0, 4), (np.array([], np.int64),)),
    ):
        yield Sample((rng.standard_normal(shape),), {"index": index, "shape": (3, 4)})
    apart = (np.array([1, 1]), ALL, np.array([0, 1]))
    yield Sample((rng.standard_normal((2, 3, 5)),), {"index": apart, "shape": (2, 3, 2, 5)})
    mask = rng.random((99, 101)) < 0.5
    yield Sample((rng.standard_normal(np.count_nonzero(mask)),), {"index": (mask,), "shape": mask.shape}, large=True)


def _getitem_vjp_batch(args: Any, flags: Any, *, index: Any, shape: Shape) -> Any:
    parts = index if isinstance(index, tuple) else (index,)
    if any(isinstance(part, (np.ndarray, bool)) for part in parts):
        return NotImplemented
    return apply(GETITEM_VJP, args[0], index=(slice(None), *parts), shape=(shape_of(args[0])[0], *shape))


GETITEM_VJP = Op(
    "getitem_vjp",
    _getitem_vjp_reference,
    _getitem_vjp_forward,
    (lambda h, *, index, shape: apply(GETITEM, h, index=index),),
    "linear",
    _getitem_vjp_samples,
    exact=True,
    length=lambda g, **_: max(g.shape[0] if g.ndim else 1, 1),
    batch=_getitem_vjp_batch,
)


def _pick(x: Any, index: Parts, source: Any) -> Any:
    """x[index] for arrays and full slices: whole slices at numbers along one axis, or the general way."""
    last = index[-1]
    if len(index) == 1 or all(isinstance(p, slice) for p in index[:-1]):
        if last.dtype.kind == "i":
            places = source if raw(source) is last else last  # the tensor itself, which the graph watches
            return apply(scatter.INDEX_SELECT, x, places, dim=len(index) - 1)
    if isinstance(x, Tensor) and x.requires_grad:
        index = tuple([p if isinstance(p, slice) else p.copy() for p in index])
    return apply(GETITEM, x, index=index)


def getitem(input: Any, index: Any) -> Any:
    """`input[index]`: ints, slices, None, `...` give a view; lists, integer tensors and masks a copy.

        forward    out[k] = x[index(k)]
        backward   dx[j] = the sum of g[k] over all k with index(k) = j

    Raises IndexError for an index out of range, ValueError for a step below 1.

    >>> mt.tensor([10, 20, 30])[[2, 0]]
    tensor([30, 10])
    """
    try:
        if type(index) is int or _gives_view(index):
            return apply_flat(GETITEM, input, index)
        if type(index) is tuple and _takes_elements(input, index):
            lasting = isinstance(input, Tensor) and input.requires_grad  # what the graph keeps nobody else will write
            return apply_flat(GETITEM, input, tuple([i.array.copy() if lasting else i.array for i in index]))
        if isinstance(index, Tensor) and _takes_slices(input, index):
            return apply(scatter.INDEX_SELECT, input, index, dim=0)
        basic, arrays = normalize(index, shape_of(input))
        if arrays is None:
            return apply_flat(GETITEM, input, basic)
        part = input if basic is None else apply_flat(GETITEM, input, basic)
        return _pick(part, arrays, index)
    except IndexError as error:
        raise _explain("indexing", shape_of(input), error) from None
    except _InBatch as batch:
        return _getitem_by_batch(batch.level, input, index)


def _takes_elements(x: Any, index: tuple[Any, ...]) -> bool:
    """Whether index tensors, as they are, name elements by one number for each axis."""
    for i in index:
        if not isinstance(i, Tensor) or i.layer is not None or i.array.dtype.char not in "lq" or i.array.ndim == 0:
            return False
    return len(index) == array_of(x).ndim > 1


def _takes_slices(x: Any, index: Any) -> bool:
    """Whether an index tensor takes whole slices by numbers as they are, and of a tensor that has axes."""
    a = index.array
    return a.dtype.char in "lq" and a.ndim > 0 and index.layer is None and array_of(x).ndim > 0


def _getitem_by_batch(level: Any, input: Any, index: Any) -> Any:
    """`input[index]` with an index of which each element of a batch has its own."""
    parts = index if isinstance(index, tuple) else (index,)
    last = parts[-1]
    if all(isinstance(p, slice) and p == ALL for p in parts[:-1]) and isinstance(last, Tensor):
        d = len(parts) - 1
        if last.array.dtype.kind in "iu" and last.array.dtype != np.uint8 and d < len(shape_of(input)):
            places = scatter.integers("indexing", last)
            scatter.in_range("indexing", places, shape_of(input)[d], negative=True)
            return apply(scatter.INDEX_SELECT, input, places, dim=d)
    return level.each(getitem, (input, index), {})


# --- setitem ----------------------------------------------------------------------------------------------------------


def _setitem_reference(x: Array, value: Array, *, index: Any) -> Result:
    out = x.copy()
    out[index] = value
    return out, (value.shape, x.shape)


def _setitem_dx(g: Any, _value: Shape, _shape: Shape, *, index: Any) -> Any:
    return apply(SETITEM, g, np.zeros((), array_of(g).dtype), index=index)


def _setitem_dvalue(g: Any, value: Shape, shape: Shape, *, index: Any) -> Any:
    picked = apply(GETITEM, g, index=index)
    lasting = None if _is_basic(index) else _lasting(index, shape)
    if lasting is not None:
        picked = comparison.where(lasting, picked, np.zeros((), array_of(g).dtype))
    return reduce.sum_to(picked, value)


def _lasting(index: Parts, shape: Shape) -> Array | None:
    """Which of the elements written last: of a place that is named twice, the last one. None if all."""
    if all(isinstance(p, slice) or p.dtype.kind == "b" for p in index):
        return None
    places, rows, tail = positions(index, shape)
    order = np.arange(places.size).reshape(places.shape)
    last = np.empty(rows, np.int64)
    last[places] = order
    stays = last[places] == order
    return None if stays.all() else stays.reshape(*stays.shape, *(1,) * tail)


def _setitem_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, index in (
        ((4,), 1),
        ((), (slice(None), 2)),
        ((2, 4), (np.array([0, 2]),)),
        ((1, 4), slice(0, 2)),
        ((3, 4), (np.array([0, 2, 0]),)),
        ((3,), (np.array([0, 2, 0]), np.array([1, 1, -3]))),
        ((), (np.eye(3, 4, dtype=bool),)),
    ):
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


def fill_(input: Any, value: Any) -> Any:
    """Writes one value everywhere."""
    if not refill("fill_", input, refilled, value):
        setitem(input, ..., value)
        called(input, f"FillBackward{2 + isinstance(value, Tensor)}")
    return input


def zero_(input: Any) -> Any:
    """Writes 0 everywhere."""
    if not refill("zero_", input, refilled, 0):
        setitem(input, ..., 0)
        called(input, "ZeroBackward0")
    return input


def setitem(input: Any, index: Any, value: Any) -> None:
    """`input[index] = value`, in place and in the graph.

        forward    x[index] = value
        backward   dx = g with zeros at index,  dvalue = g[index], summed where value was broadcast

    Raises before anything is written if the shapes do not fit or an index is out of range. Of an expanded tensor,
    outside the graph, a number or a part whose elements lie apart can be written: all that share the memory see it.
    """
    if _gives_view(index) and put(input, index, value):
        return
    if isinstance(index, Tensor) and isinstance(input, Tensor) and type(value) in (float, int):
        at = index.array
        whole = at.dtype.kind == "b" and at.shape == input.array.shape
        if (whole or at.dtype.char in "lq") and index.layer is None and put(input, at, value):
            return
    recorded = record.records(input, value)
    check_writable("assignment", input, not recorded)
    given = to_dtype(value, dtypes.of(array_of(input).dtype))
    try:
        basic, arrays = normalize(index, shape_of(input))
        place = input if arrays is not None and basic is None else getitem(input, basic)
        if arrays is None:
            check_writable("assignment", place, not recorded and not isinstance(value, Tensor))
            value = _fitted(given, shape_of(place))
            assign("assignment", place, value if isinstance(value, Tensor) else wrap(value))
        elif record.records(place, given):
            picked = _picked(shape_of(place), arrays)
            before = snapshot(place)
            fixed = tuple([p if isinstance(p, slice) else p.copy() for p in arrays])
            assign("assignment", place, apply(SETITEM, before, _fitted(given, picked), index=fixed))
        else:
            a, v = raw(place), raw(given)
            if not _fills(a, arrays, v):
                a[arrays] = v.copy() if np.may_share_memory(a, v) else v
            input.version.bump()
    except (ValueError, IndexError) as error:
        if str(error).startswith("assignment"):
            raise
        raise _explain("assignment", shape_of(input), error) from None
    except _InBatch as batch:
        if vmap_layer(input) is None:
            raise GraphError(
                "assignment: inside vmap a tensor made without the batch cannot be written at an index that has it; "
                "make it from an input, as by zeros_like(x)"
            ) from None
        batch.level.each(setitem, (input, index, value), {})


def _fills(a: Array, index: Parts, value: Array) -> bool:
    """Whether a kernel has written one number where a mask of a's shape says so."""
    if len(index) != 1 or value.ndim or index[0].shape != a.shape or a.dtype.char not in "fd":
        return False
    return index[0].dtype.kind == "b" and _core.where(value.item(), a, index[0], a) is not None


def _picked(shape: Shape, index: Parts) -> Shape:
    """The shape of what an index takes out of a tensor."""
    return np.broadcast_to(np.empty(()), shape)[index].shape


def _fitted(value: Any, size: Shape) -> Any:
    """`value` broadcast to the place that it is written to; extra axes of size 1 count for nothing."""
    extra = len(shape_of(value)) - len(size)
    if extra > 0 and shape_of(value)[:extra] == (1,) * extra:
        value = shapes.reshape(value, shape_of(value)[extra:])
    return value if shape_of(value) == size else apply(shapes.EXPAND, value, shape=size)


def put_at(name: str, input: Any, index: Any, values: Any, accumulate: bool) -> Any:
    """`input` with `values` written, or added, at `input[index]`: what `index_put` does."""
    try:
        basic, arrays = normalize(index, shape_of(input))
        if arrays is None:
            arrays, basic = (basic if isinstance(basic, tuple) else (basic,)), None
        if basic is not None:
            raise IndexRangeError("the indices must be tensors")
        picked = _picked(shape_of(input), arrays)
        fixed = tuple([p.copy() if isinstance(p, np.ndarray) else p for p in arrays])
        value = _fitted(values, picked)
    except (ValueError, IndexError) as error:
        raise _explain(name, shape_of(input), error) from None
    except _InBatch as batch:
        return batch.level.each(put_at, (name, input, index, values, accumulate), {})
    if not accumulate:
        return apply(SETITEM, input, value, index=fixed)
    sums = apply(GETITEM_VJP, value, index=fixed, shape=shape_of(input))
    return arithmetic.add(input, sums)
