"""Looking up and scattering along an axis, by numbers and by masks. Kernels: csrc/kernels/scatter.cpp."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, IndexRangeError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply, attempt, records
from ..op import SHAPE, Op, Result, Sample
from . import arithmetic, comparison, indexing
from . import shape as shapes
from .common import (
    Array,
    array_of,
    axis,
    elements,
    named,
    numpy_names,
    raw,
    reads,
    shape_of,
    shifted,
    small,
    to_dtype,
    with_batch,
    write_out,
    writes,
)

Shape = tuple[int, ...]


# --- what the public functions check ----------------------------------------------------------------------------------


def integers(name: str, index: Any, *, vector: bool = False) -> Any:
    """An index as it is applied: of int64 (a tensor stays the tensor that the graph watches), a vector if asked."""
    a = raw(index)
    if not isinstance(a, np.ndarray) or (a.size and (a.dtype.kind not in "iu" or a.dtype == np.uint8)):
        raise DtypeError(f"{name}: the index must be a tensor of int64 or int32, not {getattr(a, 'dtype', type(a))}")
    if vector and a.ndim > 1:
        raise ShapeError(f"{name}: the index must be a vector, not of shape {a.shape}")
    whole = to_dtype(index, dtypes.int64)
    return shapes.reshape(whole, (1,)) if vector and a.ndim == 0 else whole


def in_range(name: str, index: Any, n: int, *, negative: bool = False) -> None:
    """Raises unless all of the index lies in 0..n-1, or from -n on where negative numbers count from the end."""
    a = elements(index)
    least = -n if negative else 0
    if not _core.lies_within(a, least, n):
        bad = a[(a < least) | (a >= n)]
        if bad.size:
            raise IndexRangeError(f"{name}: index {bad.flat[0]} is out of range for an axis of size {n}")


def same_dtype(name: str, x: Any, source: Any) -> None:
    """Raises unless both have one dtype."""
    if array_of(source).dtype != array_of(x).dtype:
        raise DtypeError(f"{name}: the source has dtype {array_of(source).dtype}, the tensor {array_of(x).dtype}")


def _full(d: int) -> tuple[slice, ...]:
    return (slice(None),) * d


def _short(op: Op, input: Any, dim: Any, index: Any, *source: Any) -> Any:
    """The operator on (input, the source if there is one, index), where nothing has to be made fit; else None."""
    shape, at = shape_of(input), raw(index)
    if type(dim) is not int or not -len(shape) <= dim < len(shape):
        return None
    d = dim if dim >= 0 else dim + len(shape)
    if not isinstance(at, np.ndarray):
        return None
    return attempt(op, input, source[0], index, d, source[1]) if source else attempt(op, input, index, d)


def at_least_1d(x: Any) -> Any:
    return x if array_of(x).ndim else shapes.reshape(x, (1,))


def scalar_of(name: str, x: Any, value: Any) -> Any:
    """A number, or a tensor without axes, as an array or tensor of x's dtype."""
    if raw(value) is not None and isinstance(raw(value), np.ndarray) and array_of(value).ndim:
        raise ShapeError(f"{name}: the value must be a number or a tensor without axes, not of shape {shape_of(value)}")
    return to_dtype(value, dtypes.of(array_of(x).dtype))


# --- index_select, index_add: whole slices ----------------------------------------------------------------------------


def _index_select_reference(x: Array, index: Array, *, dim: int) -> Result:
    return np.take(x, index, dim), (index, x.shape)


def _index_select_forward(x: Array, index: Array, *, dim: int) -> Result:
    out = _core.index_select(x, index, dim, True)  # None where the kernel would copy all of x
    return _index_select_reference(x, index, dim=dim) if out is None else (out, (index, x.shape))


def _index_select_dx(g: Any, index: Any, shape: Shape, *, dim: int) -> Any:
    return apply(INDEX_ADD, g, index, dim=dim, n=shape[dim])


def _index_select_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim, places in (((4, 3), 0, (5,)), ((2, 3), 1, (2, 2)), ((3,), 0, ()), ((2, 3, 17), 1, (4,))):
        index = rng.integers(-shape[dim], shape[dim], places)
        yield Sample((rng.standard_normal(shape), index), {"dim": dim})
    yield Sample((rng.standard_normal((2, 0)), np.array([1, 0])), {"dim": 0})
    yield Sample((rng.standard_normal((3, 2)), np.zeros((0,), np.int64)), {"dim": 0})
    yield Sample((rng.standard_normal((900, 100)), rng.integers(0, 900, 2000)), {"dim": 0}, large=True)


def _rows(index: Any, n: int) -> Any:
    """The index (batch, ...) into n slices of each element, as one into those of all, counted from the front."""
    size, *rest = shape_of(index)
    starts = np.arange(size).reshape(size, *[1] * len(rest)) * n
    return arithmetic.add(arithmetic.remainder(index, n) if n else index, starts)


def _index_select_batch(args: Any, flags: Any, *, dim: int) -> Any:
    if not flags[1]:
        return apply(INDEX_SELECT, args[0], args[1], dim=dim + 1)
    x, index = with_batch(args, flags)
    size, n = shape_of(x)[0], shape_of(x)[dim + 1]
    x = shapes.movedim(x, dim + 1, 1)
    flat = shapes.reshape(x, (size * n, *shape_of(x)[2:]))
    out = apply(INDEX_SELECT, flat, _rows(index, n), dim=0)  # (batch, *index, the other axes)
    k = len(shape_of(index)) - 1
    return shapes.movedim(out, tuple(range(1, 1 + k)), tuple(range(1 + dim, 1 + dim + k)))


INDEX_SELECT: Op = Op(
    "index_select",
    _index_select_reference,
    _index_select_forward,
    (_index_select_dx, None),
    "linear",
    _index_select_samples,
    exact=True,
    batch=_index_select_batch,
    kernel=_core.index_select,
    saves=(1, SHAPE),
    names=("dim",),
)


def _index_add_reference(g: Array, index: Array, *, dim: int, n: int) -> Result:
    dx = np.zeros((*g.shape[:dim], n, *g.shape[dim + index.ndim :]), g.dtype)
    places: Any = (*_full(dim), index)
    np.add.at(dx, places, g)
    return dx, (index,)


def _index_add_forward(g: Array, index: Array, *, dim: int, n: int) -> Result:
    return _core.index_add(g, index, dim, n), (index,)


def _index_add_dg(h: Any, index: Any, *, dim: int, n: int) -> Any:
    return apply(INDEX_SELECT, h, index, dim=dim)


def _index_add_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim, axes, n in (((5, 3), 0, 1, 4), ((2, 2, 3), 0, 2, 3), ((2, 4), 1, 1, 2), ((3, 5, 17), 1, 1, 2)):
        index = rng.integers(-n, n, shape[dim : dim + axes])
        yield Sample((rng.standard_normal(shape), index), {"dim": dim, "n": n})
    yield Sample((rng.standard_normal((0, 2)), np.zeros((0,), np.int64)), {"dim": 0, "n": 3})
    yield Sample((rng.standard_normal(2), np.array(1)), {"dim": 0, "n": 3})
    for shape, dim in (((3000, 100), 0), ((50, 600, 3), 1)):
        yield Sample((rng.standard_normal(shape), rng.integers(0, 500, shape[dim])), {"dim": dim, "n": 500}, large=True)


def _index_add_batch(args: Any, flags: Any, *, dim: int, n: int) -> Any:
    if not flags[1]:
        return apply(INDEX_ADD, args[0], args[1], dim=dim + 1, n=n)
    g, index = with_batch(args, flags)
    size, k = shape_of(g)[0], len(shape_of(index)) - 1
    g = shapes.movedim(g, tuple(range(1 + dim, 1 + dim + k)), tuple(range(1, 1 + k)))
    sums = apply(INDEX_ADD, g, _rows(index, n), dim=0, n=size * n)
    return shapes.movedim(shapes.reshape(sums, (size, n, *shape_of(sums)[1:])), 1, dim + 1)


# dx = 0;  dx[index[k]] += g[k], in the order of k: the transpose of index_select
INDEX_ADD: Op = Op(
    "index_add",
    _index_add_reference,
    _index_add_forward,
    (_index_add_dg, None),
    "linear",
    _index_add_samples,
    exact=True,
    length=lambda g, index, **_: max(index.size, 1),
    batch=_index_add_batch,
)


# --- what is written into a tensor: whole slices, or single elements --------------------------------------------------


def _written(name: str, pick: Op, kernel: Callable[..., Array], places: Callable[[Array, int], Any], batch: Any) -> Op:
    """The row of out = x with src added, or put in place of what was there, at an index along an axis.

    forward    out = x;  out[index[k]] += src[k]  or  = src[k], in the order of k
    backward   dsrc[k] = g[index[k]];  dx = g, and where src replaces, 0 there; of a number that is repeated the last
               one counts
    """

    slices = pick is INDEX_SELECT

    def reference(x: Array, src: Array, index: Array, *, dim: int, add: bool) -> Result:
        out, at = x.copy(), places(index, dim)
        if add:
            np.add.at(out, at, src)
        else:
            out[at] = src
        return out, (index,)

    def forward(x: Array, src: Array, index: Array, *, dim: int, add: bool) -> Result:
        return kernel(x, src, index, dim, add, True), (index,)

    def dx(g: Any, index: Any, *, dim: int, add: bool) -> Any:
        if add:
            return g
        return apply(op, g, zeros(g, raw(index), dim), index, dim=dim, add=False)

    def dsrc(g: Any, index: Any, *, dim: int, add: bool) -> Any:
        picked = apply(pick, g, index, dim=dim)
        return picked if add else comparison.where(lasts(raw(index), dim, shape_of(g)), picked, 0.0)

    def zeros(g: Any, index: Array, dim: int) -> Array:
        shape, count = shape_of(g), index.size if slices else index.shape[dim]
        return np.zeros((*shape[:dim], count, *shape[dim + 1 :]), array_of(g).dtype)

    def lasts(index: Array, dim: int, shape: Shape) -> Array:
        """Whether no later one has the same number; broadcast to src."""
        along = 0 if slices else dim
        numbers = np.float32 if index.shape[along] < 2**24 else np.float64  # exact
        column = np.arange(index.shape[along], dtype=numbers).reshape(-1, *(1,) * (index.ndim - along - 1))
        places = np.ascontiguousarray(np.broadcast_to(column, index.shape))
        size = (*index.shape[:along], shape[dim], *index.shape[along + 1 :])
        lasting: Array = apply(
            pick, apply(op, np.zeros(size, numbers), places, index, dim=along, add=False), index, dim=along
        )
        lasting = lasting == places
        return lasting.reshape(-1, *(1,) * (len(shape) - dim - 1)) if slices else lasting

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape, dim, k in (((4, 3), 0, 5), ((2, 3), 1, 2), ((3,), 0, 0), ((2, 3, 19), 1, 4), ((1, 2), 0, 3)):
            given = (*shape[:dim], k, *shape[dim + 1 :])
            index = rng.integers(0, shape[dim], k if slices else given)
            for add in (False, True):
                yield Sample((rng.standard_normal(shape), rng.standard_normal(given), index), {"dim": dim, "add": add})
        given = (300, 500)
        index = rng.integers(0, 60, 500 if slices else given)
        args = (rng.standard_normal((300, 60)), rng.standard_normal(given), index)
        for add in (False, True):
            yield Sample(args, {"dim": 1, "add": add}, large=True)

    op: Op = Op(
        name,
        reference,
        forward,
        (dx, dsrc, None),
        "linear",
        samples,
        exact=True,
        length=lambda x, src, index, *, dim, **_: src.shape[dim] + 1,
        batch=batch,
        kernel=kernel,
        saves=(2,),
        names=("dim", "add"),
    )
    return op


def _slices_batch(args: Any, flags: Any, *, dim: int, add: bool) -> Any:
    if flags[2]:
        return NotImplemented
    x, src = with_batch(args[:2], flags[:2])
    return apply(WRITE_SLICES, x, src, args[2], dim=dim + 1, add=add)


WRITE_SLICES = _written(
    "write_slices", INDEX_SELECT, _core.write_slices, lambda index, dim: (*_full(dim), index), _slices_batch
)


@numpy_names
@named("IndexSelectBackward0")
def index_select(input: Any, dim: int, index: Any, *, out: Any = None) -> Any:
    """The slices of `input` along `dim` at the integers `index` (a vector), which are not counted from the end.

        forward    out[k] = x[index[k]]   (dim = 0)
        backward   dx[j] = the sum of g[k] over all k with index[k] = j

    >>> mt.index_select(mt.tensor([[1, 2], [3, 4]]), 1, mt.tensor([1, 1]))
    tensor([[2, 2],
            [4, 4]])
    """
    if out is None and getattr(raw(index), "ndim", 0) == 1:
        result = _short(INDEX_SELECT, input, dim, index)
        if result is not None:
            return result
    shape = shape_of(input)
    d = axis("index_select", dim, len(shape))
    places = integers("index_select", index, vector=True)
    in_range("index_select", places, shape[d] if shape else 1)
    if not shape:
        if array_of(places).size != 1:
            raise ShapeError(f"index_select: {array_of(places).size} slices of a tensor without axes; it has one")
        result = apply(indexing.GETITEM, input, index=...)
    else:
        result = apply(INDEX_SELECT, input, places, dim=d)
    return result if out is None else write_out("index_select", result, out)


def checked_slices(
    name: str, input: Any, dim: int, index: Any, source: Any, negative: bool = False
) -> tuple[Any, Any, int]:
    """(index, source, dim) of an operation on whole slices, checked: a slice of the source for each number."""
    shape = shape_of(input)
    d = axis(name, dim, len(shape))
    places = integers(name, index, vector=True)
    in_range(name, places, shape[d] if shape else 1, negative=negative)
    if source is None:
        return places, None, d
    same_dtype(name, input, source)
    given, want = shape_of(source), (*shape[:d], array_of(places).size, *shape[d + 1 :])
    if not shape and given in ((), (1,)):
        want = given
    if given == () and math.prod(want) == 1:
        given, source = want, shapes.reshape(source, want)
    if given != want:
        raise ShapeError(
            f"{name}: {array_of(places).size} slices along axis {d} of {shape} need a source of {want}, not {given}"
        )
    return places, source, d


# In place, where no graph is concerned: straight into the tensor's memory, or None where the kernel does not do that.


@writes("index_add")
def _index_add_into(x: Array, dim: Any, index: Any, source: Any, into: Array, alpha: Any = 1) -> Array | None:
    return _core.write_slices(x, source, index, dim, True, into) if alpha == 1 else None


@writes("index_copy")
def _index_copy_into(x: Array, dim: Any, index: Any, source: Any, into: Array) -> Array | None:
    return _core.write_slices(x, source, index, dim, False, into)


@writes("scatter_add")
def _scatter_add_into(x: Array, dim: Any, index: Any, src: Any, into: Array) -> Array | None:
    return _core.write_elements(x, src, index, dim, True, into)


@writes("scatter")
def _scatter_into(x: Array, dim: Any, index: Any, src: Any, into: Array) -> Array | None:
    given = src if isinstance(src, np.ndarray) else small(index, src, x.dtype)
    return None if given is None else _core.write_elements(x, given, index, dim, False, into)


@numpy_names
@named("IndexAddBackward0")
def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1, out: Any = None) -> Any:
    """`input` with alpha times the slices of `source` added at the numbers `index` along `dim`; repeated ones add up.

        forward    out = x;  out[index[k]] += alpha * source[k]   (dim = 0)
        backward   dx = g,  dsource[k] = alpha * g[index[k]]

    >>> mt.index_add(mt.zeros(3), 0, mt.tensor([0, 0, 2]), mt.tensor([1.0, 2.0, 3.0]))
    tensor([3., 0., 3.])
    """
    if type(alpha) is int and alpha == 1 and out is None:
        result = _short(WRITE_SLICES, input, dim, index, source, True)
        if result is not None:
            return result
    places, source, d = checked_slices("index_add", input, dim, index, source)
    x = at_least_1d(input)
    scaled = source if isinstance(alpha, int) and alpha == 1 else arithmetic.mul(source, alpha)
    scaled = at_least_1d(to_dtype(scaled, dtypes.of(array_of(input).dtype)))
    result = shapes.reshape(apply(WRITE_SLICES, x, scaled, places, dim=d, add=True), shape_of(input))
    return result if out is None else write_out("index_add", result, out)


@reads("index")
@numpy_names
@named("IndexCopyBackward0")
def index_copy(input: Any, dim: int, index: Any, source: Any, *, out: Any = None) -> Any:
    """`input` with the slices of `source` in place of its own at the numbers `index` along `dim`.

        forward    out = x;  out[index[k]] = source[k]   (dim = 0)
        backward   dx = g with zeros at index,  dsource[k] = g[index[k]]; of a number that is repeated the last counts

    >>> mt.index_copy(mt.zeros(3), 0, mt.tensor([0, 2]), mt.tensor([1.0, 3.0]))
    tensor([1., 0., 3.])
    """
    places, source, d = checked_slices("index_copy", input, dim, index, source)
    x, at = at_least_1d(input), raw(places).copy()
    result = apply(WRITE_SLICES, x, at_least_1d(source), at, dim=d, add=False)
    result = shapes.reshape(result, shape_of(input))
    return result if out is None else write_out("index_copy", result, out)


@reads("index")
@numpy_names
@named("IndexFillBackward0")
def index_fill(input: Any, dim: int, index: Any, value: Any) -> Any:
    """`input` with one value in the slices at the numbers `index` along `dim`; negative ones count from the end.

    >>> mt.index_fill(mt.zeros(3), 0, mt.tensor([0, -1]), 5)
    tensor([5., 0., 5.])
    """
    places, _, d = checked_slices("index_fill", input, dim, index, None, negative=True)
    x = at_least_1d(input)
    given = scalar_of("index_fill", input, value)
    result = apply(indexing.SETITEM, x, given, index=(*_full(d), raw(places).copy()))
    return shapes.reshape(result, shape_of(input))


# --- gather, scatter_add: single elements along an axis ---------------------------------------------------------------


def _gather_reference(x: Array, index: Array, *, dim: int) -> Result:
    return np.take_along_axis(x, index, dim), (index, x.shape)


def _gather_forward(x: Array, index: Array, *, dim: int) -> Result:
    return _core.gather(x, index, dim, True), (index, x.shape)


def _gather_dx(g: Any, index: Any, shape: Shape, *, dim: int) -> Any:
    return apply(SCATTER_ADD, g, index, dim=dim, n=shape[dim])


def _gather_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim, k in (((4, 3), 0, 5), ((2, 3), 1, 2), ((3,), 0, 0), ((2, 3, 19), 1, 4), ((2, 0), 0, 3)):
        index = rng.integers(-shape[dim], shape[dim], (*shape[:dim], k, *shape[dim + 1 :]))
        yield Sample((rng.standard_normal(shape), index), {"dim": dim})
    for shape, dim in (((70, 1000), 0), ((300, 500), 1)):
        yield Sample((rng.standard_normal(shape), rng.integers(0, shape[dim], shape)), {"dim": dim}, large=True)


GATHER: Op = Op(
    "gather",
    _gather_reference,
    _gather_forward,
    (_gather_dx, None),
    "linear",
    _gather_samples,
    exact=True,
    batch=shifted("gather", "dim"),
    kernel=_core.gather,
    saves=(1, SHAPE),
    names=("dim",),
)


def along(index: Array, dim: int) -> tuple[Array, ...]:
    """The index arrays that name element index[k] along `dim` at each place k."""
    grid = list(np.ogrid[tuple([slice(n) for n in index.shape])])
    grid[dim] = index
    return tuple(grid)


def _scatter_add_reference(g: Array, index: Array, *, dim: int, n: int) -> Result:
    dx = np.zeros((*g.shape[:dim], n, *g.shape[dim + 1 :]), g.dtype)
    np.add.at(dx, along(index, dim), g)
    return dx, (index,)


def _scatter_add_forward(g: Array, index: Array, *, dim: int, n: int) -> Result:
    return _core.scatter(g, index, dim, n), (index,)


def _scatter_add_dg(h: Any, index: Any, *, dim: int, n: int) -> Any:
    return apply(GATHER, h, index, dim=dim)


def _scatter_add_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim, n in (((5, 3), 0, 4), ((2, 4), 1, 2), ((0,), 0, 3), ((2, 5, 19), 1, 3)):
        yield Sample((rng.standard_normal(shape), rng.integers(-n, n, shape)), {"dim": dim, "n": n})
    for shape, dim in (((90, 1000), 0), ((300, 500), 1)):
        yield Sample((rng.standard_normal(shape), rng.integers(0, 60, shape)), {"dim": dim, "n": 60}, large=True)


# dx = 0;  dx[index[k, i], i] += g[k, i], in the order of k: the transpose of gather
SCATTER_ADD: Op = Op(
    "scatter_add",
    _scatter_add_reference,
    _scatter_add_forward,
    (_scatter_add_dg, None),
    "linear",
    _scatter_add_samples,
    exact=True,
    length=lambda g, index, *, dim, **_: max(index.shape[dim], 1),
    batch=shifted("scatter_add", "dim"),
)


WRITE_ELEMENTS = _written("write_elements", GATHER, _core.write_elements, along, shifted("write_elements", "dim"))


def _fits_into(part: Shape, whole: Shape, dim: int | None = None) -> bool:
    """Whether there are as many axes, and none is larger but `dim`."""
    same = len(part) == len(whole)
    return same and all(k <= n for i, (k, n) in enumerate(zip(part, whole, strict=True)) if i != dim)


def _corner(shape: Shape, small: Shape, dim: int) -> tuple[slice, ...] | None:
    """The part of `shape` that has the sizes `small` but along `dim`; None if that is all of it."""
    part = tuple(
        [slice(None) if i == dim or n == k else slice(k) for i, (n, k) in enumerate(zip(shape, small, strict=True))]
    )
    return None if all(s == slice(None) for s in part) else part


@numpy_names
def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False, out: Any = None) -> Any:
    """Picks one element along `dim` for each place of `index`.

        forward    out[i, j] = x[index[i, j], j]   (dim = 0)
        backward   dx[index[i, j], j] += g[i, j]

    `index` has as many axes as `input` and no larger sizes but along `dim`. Raises IndexError out of range.

    >>> mt.gather(mt.tensor([[1, 2], [3, 4]]), 1, mt.tensor([[0], [1]]))
    tensor([[1],
            [4]])
    """
    if out is None:
        result = _short(GATHER, input, dim, index)
        if result is not None:
            return result
    shape = shape_of(input)
    d = axis("gather", dim, len(shape))
    places = integers("gather", index)
    want = shape_of(places)
    if 0 in want and len(want) != len(shape):  # nothing is picked
        result = apply(INDEX_SELECT, shapes.reshape(input, (-1,)), np.zeros(want, np.int64), dim=0)
        return result if out is None else write_out("gather", result, out)
    in_range("gather", places, shape[d] if shape else 1)
    x, at = at_least_1d(input), at_least_1d(places)
    whole, part = shape_of(x), shape_of(at)
    if not _fits_into(part, whole, d):
        raise ShapeError(f"gather: an index of shape {want} does not fit into {shape} along axis {d}")
    corner = _corner(whole, part, d)
    if corner is not None:
        x = apply(indexing.GETITEM, x, index=corner)
    result = apply(GATHER, x, at, dim=d)
    result = result if want else shapes.reshape(result, ())
    return result if out is None else write_out("gather", result, out)


def checked_elements(name: str, input: Any, dim: int, index: Any, source: Any) -> tuple[Any, Any, Any, int]:
    """(x, index, source, dim) of a scatter, checked: the index fits into both, and the source is cut to its sizes."""
    places = integers(name, index)
    shape = shape_of(input)
    d = axis(name, dim, len(shape))
    x, at = at_least_1d(input), at_least_1d(places)
    same_dtype(name, input, source)
    source = at_least_1d(source)
    given = shape_of(source)
    if 0 in shape_of(at):  # nothing is scattered
        empty = (*shape_of(x)[:d], 0, *shape_of(x)[d + 1 :])
        nothing = apply(indexing.GETITEM, shapes.reshape(source, (-1,)), index=slice(0, 0))
        return x, np.zeros(empty, np.int64), shapes.reshape(nothing, empty), d
    in_range(name, places, shape[d] if shape else 1)
    if not _fits_into(shape_of(at), shape_of(x), d) or not _fits_into(shape_of(at), given):
        raise ShapeError(
            f"{name}: an index of shape {shape_of(places)} does not fit into {shape} along axis {d}, "
            f"or into a source of {given}"
        )
    if given != shape_of(at):
        source = apply(indexing.GETITEM, source, index=tuple([slice(n) for n in shape_of(at)]))
    return x, at, source, d


def within(x: Any, at: Any, d: int, change: Any) -> Any:
    """`x` with the part that an index of smaller sizes reaches replaced by change(part)."""
    corner = _corner(shape_of(x), shape_of(at), d)
    if corner is None:
        return change(x)
    return apply(indexing.SETITEM, x, change(apply(indexing.GETITEM, x, index=corner)), index=corner)


@numpy_names
@named("ScatterAddBackward0")
def scatter_add(input: Any, dim: int, index: Any, src: Any, *, out: Any = None) -> Any:
    """`input` with each element of `src` added at the place that `index` names along `dim`.

        forward    out = x;  out[index[k, i], i] += src[k, i]   (dim = 0)
        backward   dx = g,  dsrc[k, i] = g[index[k, i], i]

    `index` is nowhere larger than `src`, nor than `input` but along `dim`. Raises IndexError out of range.

    >>> mt.scatter_add(mt.zeros(3), 0, mt.tensor([0, 0, 2]), mt.ones(3))
    tensor([2., 0., 1.])
    """
    if out is None:
        result = _short(WRITE_ELEMENTS, input, dim, index, src, True)
        if result is not None:
            return result
    x, at, source, d = checked_elements("scatter_add", input, dim, index, src)
    result = within(x, at, d, lambda part: apply(WRITE_ELEMENTS, part, source, at, dim=d, add=True))
    result = shapes.reshape(result, shape_of(input))
    return result if out is None else write_out("scatter_add", result, out)


@reads("index")
@numpy_names
def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, value: Any = None, reduce: Any = None, out: Any = None
) -> Any:
    """`input` with the elements of `src` (or one number) at the places that `index` names along `dim`.

        forward    out = x;  out[index[k, i], i] = src[k, i]   (dim = 0)
        backward   dx = g with zeros there,  dsrc[k, i] = g[index[k, i], i]; of a place named twice the last counts

    `reduce` "add" or "multiply" combines with what is there instead. Raises IndexError out of range.

    >>> mt.scatter(mt.zeros(2, 2), 1, mt.tensor([[1], [0]]), 5)
    tensor([[0., 5.],
            [5., 0.]])
    """
    source = value if src is None else src
    if source is None:
        raise TypeError("scatter: src or value must be given")
    if reduce not in (None, "add", "multiply"):
        raise ShapeError(f"scatter: reduce must be 'add' or 'multiply', not {reduce!r}")
    number = not isinstance(raw(source), np.ndarray)
    if reduce is out is None and isinstance(raw(index), np.ndarray):
        kept = records(input, source)  # for the backward: nobody else may write it
        at = _core.copy(raw(index)) if kept else raw(index)
        given = small(at, source, array_of(input).dtype) if number else source
        result = _short(WRITE_ELEMENTS, input, dim, at, given, False)
        if result is not None:
            return called(result, f"ScatterBackward{int(number)}")
    if number:
        source = shapes.expand(scalar_of("scatter", input, source), shape_of(integers("scatter", index)))
    if reduce is not None:
        from .scatter_reduce import scatter_reduce  # which is made of this family

        return scatter_reduce(input, dim, index, source, "sum" if reduce == "add" else "prod", out=out)
    x, at, source, d = checked_elements("scatter", input, dim, index, source)
    at = _core.copy(raw(at))
    result = within(x, at, d, lambda part: apply(WRITE_ELEMENTS, part, source, at, dim=d, add=False))
    result = called(shapes.reshape(result, shape_of(input)), f"ScatterBackward{int(number)}")
    return result if out is None else write_out("scatter", result, out)


# --- by index tensors, over all elements ------------------------------------------------------------------------------


def index_put(input: Any, indices: Sequence[Any], values: Any, accumulate: bool = False) -> Any:
    """`input` with `values` at `input[indices]`, replaced or, with `accumulate`, added, repeated places as often.

        forward    out = x;  out[indices] = v     or    out[indices] += v
        backward   dx = g (with zeros there, unless accumulated),  dv = g[indices], summed where v was broadcast

    >>> mt.index_put(mt.zeros(3), (mt.tensor([0, 0]),), mt.tensor(5.0), accumulate=True)
    tensor([10.,  0.,  0.])
    """
    if not isinstance(indices, (tuple, list)):
        raise TypeError(f"index_put: indices must be a tuple of tensors, not {type(indices).__name__}")
    same_dtype("index_put", input, values)
    return indexing.put_at("index_put", input, tuple(indices), values, accumulate)


@reads("index")
@named("TakeBackward0")
def take(input: Any, index: Any, *, out: Any = None) -> Any:
    """The elements of `input`, in row-major order, at the integers `index`; negative ones count from the end.

    >>> mt.take(mt.tensor([[1, 2], [3, 4]]), mt.tensor([0, -1]))
    tensor([1, 4])
    """
    flat = shapes.reshape(input, (-1,))
    places = integers("take", index)
    in_range("take", places, shape_of(flat)[0], negative=True)
    result = apply(INDEX_SELECT, flat, places, dim=0)
    return result if out is None else write_out("take", result, out)


@reads("index")
@named("PutBackward0")
def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Any:
    """`input` with the elements of `source` at the places `index` of its row-major order, replaced or added.

    >>> mt.put(mt.zeros(2, 2), mt.tensor([1, -1]), mt.tensor([5.0, 6.0]))
    tensor([[0., 5.],
            [0., 6.]])
    """
    places = integers("put", index)
    same_dtype("put", input, source)
    flat = shapes.reshape(input, (-1,))
    in_range("put", places, shape_of(flat)[0], negative=True)
    if array_of(places).size != array_of(source).size:
        raise ShapeError(f"put: {array_of(places).size} places and {array_of(source).size} elements")
    source = shapes.reshape(source, (-1,))
    at = raw(places).reshape(-1)
    result = apply(WRITE_SLICES, flat, source, at.copy(), dim=0, add=bool(accumulate))
    return shapes.reshape(result, shape_of(input))


@numpy_names
def take_along_dim(input: Any, indices: Any, dim: Any = None, *, out: Any = None) -> Any:
    """`gather` whose two arguments broadcast in the other axes; without `dim`, of the elements in row-major order.

    >>> x = mt.tensor([[3, 1], [2, 4]])
    >>> mt.take_along_dim(x, mt.argmin(x, 1, keepdim=True), 1)
    tensor([[1],
            [2]])
    """
    if dim is not None and out is None:
        result = _short(GATHER, input, dim, indices)
        if result is not None:
            return result
    places = integers("take_along_dim", indices)
    if dim is None:
        return gather(shapes.reshape(input, (-1,)), 0, shapes.reshape(places, (-1,)), out=out)
    shape, want = shape_of(input), shape_of(places)
    if len(shape) != len(want):
        raise ShapeError(f"take_along_dim: {shape} and indices of {want} must have as many axes")
    d = axis("take_along_dim", dim, len(shape))
    in_range("take_along_dim", places, shape[d] if shape else 1, negative=True)
    try:
        rest = np.broadcast_shapes((*shape[:d], 1, *shape[d + 1 :]), (*want[:d], 1, *want[d + 1 :]))
    except ValueError:
        raise ShapeError(f"take_along_dim: {shape} and indices of {want} do not broadcast around axis {d}") from None
    if not shape:
        return gather(input, 0, np.zeros((), np.int64), out=out)
    places = shapes.expand(places, (*rest[:d], want[d], *rest[d + 1 :]))
    if elements(places).size and elements(places).min() < 0:
        places = arithmetic.remainder(places, max(shape[d], 1))
    return gather(shapes.expand(input, (*rest[:d], shape[d], *rest[d + 1 :])), d, places, out=out)
