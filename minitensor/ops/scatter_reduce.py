"""Reducing by an index: all that is sent to a place combined there. Kernels: csrc/kernels/scatter.cpp."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import ShapeError
from ..graph.record import apply, records
from ..op import Op, Result, Sample, parts
from . import arithmetic, indexing, reduce
from . import shape as shapes
from .common import Array, array_of, named, numpy_names, raw, reads, shape_of, shifted, to_dtype, write_out
from .scatter import (
    GATHER,
    SCATTER_ADD,
    WRITE_ELEMENTS,
    along,
    at_least_1d,
    checked_elements,
    checked_slices,
    within,
)

# --- extremes ---------------------------------------------------------------------------------------------------------


def _scatter_extreme_reference(
    src: Array, x: Array, index: Array, *, dim: int, largest: bool, include_self: bool
) -> Result:
    places = along(index, dim)
    out = x.copy()
    if not include_self:
        bottom: Any = -np.inf if out.dtype.kind == "f" else False if out.dtype == bool else np.iinfo(out.dtype).min
        top: Any = np.inf if out.dtype.kind == "f" else True if out.dtype == bool else np.iinfo(out.dtype).max
        out[places] = bottom if largest else top
    (np.maximum if largest else np.minimum).at(out, places, src)
    return out, (src, x, index, out)


def _scatter_extreme_forward(
    src: Array, x: Array, index: Array, *, dim: int, largest: bool, include_self: bool
) -> Result:
    if src.dtype != x.dtype or x.dtype.char not in "fd":
        return _scatter_extreme_reference(src, x, index, dim=dim, largest=largest, include_self=include_self)
    n, how, base = x.shape[dim], 2 if largest else 3, x
    if not include_self:
        base = _core.scatter(np.full(index.shape, -np.inf if largest else np.inf, x.dtype), index, dim, n, x, 1)
    out = _core.scatter(src, index, dim, n, base, how)
    return out, (src, x, index, out)


def _shares(saved: tuple[Any, ...], dim: int, include_self: bool) -> tuple[Array, Array]:
    """The part of the gradient that each element of src has, and of x: 1, divided by how many tie, or 0."""
    src, x, index, out = map(raw, saved)

    def same(a: Array, b: Array) -> Array:
        return np.asarray((a == b) | ((a != a) & (b != b))).astype(x.dtype)

    takes = same(src, apply(GATHER, out, index, dim=dim))
    nothing = np.zeros(index.shape, x.dtype)
    stays = same(x, out) if include_self else apply(WRITE_ELEMENTS, np.ones_like(x), nothing, index, dim=dim, add=False)
    share = 1 / np.maximum(apply(WRITE_ELEMENTS, stays, takes, index, dim=dim, add=True), 1)
    return takes * apply(GATHER, share, index, dim=dim), stays * share


def _scatter_extreme_joint(wanted: Any, g: Any, *saved: Any, dim: int, include_self: bool, **_: Any) -> Any:
    taken, stayed = _shares(saved, dim, include_self)
    dsrc = arithmetic.mul(apply(GATHER, g, raw(saved[2]), dim=dim), taken) if wanted[0] else None
    return dsrc, arithmetic.mul(g, stayed) if wanted[1] else None, None


def _scatter_extreme_jvp(t: Any, *saved: Any, dim: int, include_self: bool, **_: Any) -> Any:
    index, n = raw(saved[2]), shape_of(saved[1])[dim]
    taken, stayed = _shares(saved, dim, include_self)
    moved = None if t[0] is None else apply(SCATTER_ADD, arithmetic.mul(t[0], taken), index, dim=dim, n=n)
    kept = None if t[1] is None else arithmetic.mul(t[1], stayed)
    return kept if moved is None else moved if kept is None else arithmetic.add(moved, kept)


def _scatter_extreme_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for largest in (True, False):
        for include in (True, False):
            params = {"dim": 0, "largest": largest, "include_self": include}
            src, x = rng.permutation(15).reshape(5, 3) * 0.3, rng.permutation(12).reshape(4, 3) * 0.4 + 0.1
            yield Sample((src, x, rng.integers(0, 4, (5, 3))), params)


# out[j] = the largest (smallest) of x[j] and all src[k] with index[k] = j; those that tie share the gradient
SCATTER_EXTREME = Op(
    "scatter_extreme",
    _scatter_extreme_reference,
    _scatter_extreme_forward,
    (*parts(_scatter_extreme_joint, 2), None),
    _scatter_extreme_jvp,
    _scatter_extreme_samples,
    joint=_scatter_extreme_joint,
    batch=shifted("scatter_extreme", "dim"),
)


# --- products ---------------------------------------------------------------------------------------------------------


def _scatter_product_reference(src: Array, x: Array, index: Array, *, dim: int) -> Result:
    out = x.copy()
    np.multiply.at(out, along(index, dim), src)
    return out, ()


def _scatter_product_forward(src: Array, x: Array, index: Array, *, dim: int) -> Result:
    if src.dtype != x.dtype or x.dtype.char not in "fd":
        return _scatter_product_reference(src, x, index, dim=dim)
    return _core.scatter(src, index, dim, x.shape[dim], x, 4), ()


def _scatter_product_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim, n in (((5, 3), 0, 4), ((2, 40), 1, 6), ((0,), 0, 3), ((70, 19), 0, 9)):
        x = rng.uniform(0.5, 2, (*shape[:dim], n, *shape[dim + 1 :]))
        yield Sample((rng.uniform(0.5, 2, shape), x, rng.integers(0, n, shape)), {"dim": dim})


# out[j] = x[j] times all src[k] with index[k] = j; what is recorded is made of `_products`
SCATTER_PRODUCT = Op(
    "scatter_product",
    _scatter_product_reference,
    _scatter_product_forward,
    (None, None, None),
    None,
    _scatter_product_samples,
    length=lambda src, *_, dim: src.shape[dim],
)


def _products(x: Any, index: Array, source: Any, dim: int) -> Any:
    """The product, at each place of x, of the elements of `source` that go there: side by side in a table first."""
    ids = np.arange(math.prod(shape_of(x))).reshape(shape_of(x))
    cells = np.take_along_axis(ids, index, dim).reshape(-1)
    order = np.argsort(cells, kind="stable")
    sorted_cells = cells[order]
    rank = np.empty_like(cells)
    rank[order] = np.arange(cells.size) - np.searchsorted(sorted_cells, sorted_cells)
    depth = int(rank.max(initial=-1)) + 1
    table = np.ones(ids.size * depth, array_of(x).dtype)
    table = apply(indexing.SETITEM, table, shapes.reshape(source, (-1,)), index=(cells * depth + rank,))
    product = reduce.prod(shapes.reshape(table, (ids.size, depth)), 1)
    return to_dtype(shapes.reshape(product, shape_of(x)), dtypes.of(array_of(x).dtype))


# --- what users call --------------------------------------------------------------------------------------------------


@reads("index")
@numpy_names
@named("ScatterReduceBackward0")
def scatter_reduce(
    input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True, out: Any = None
) -> Any:
    """`input` with the elements of `src` that `index` sends to each place combined there, along `dim`.

        sum, prod, mean    of all that is sent to a place, and with include_self of what is there
        amax, amin         the largest, the smallest; those that tie share the gradient equally

    A place to which nothing is sent stays. The mean of integers is rounded down.

    >>> mt.scatter_reduce(mt.ones(2), 0, mt.tensor([0, 0]), mt.tensor([2.0, 6.0]), "mean")
    tensor([3., 1.])
    """
    if reduce not in ("sum", "prod", "mean", "amax", "amin"):
        raise ShapeError(f"scatter_reduce: reduce must be sum, prod, mean, amax or amin, not {reduce!r}")
    if not isinstance(raw(src), np.ndarray):
        raise TypeError(f"scatter_reduce: src must be a tensor, not {type(src).__name__}")
    x, at, source, d = checked_elements("scatter_reduce", input, dim, index, src)
    result = within(x, at, d, lambda part: _combine(part, at, source, d, reduce, include_self))
    result = shapes.reshape(result, shape_of(input))
    return result if out is None else write_out("scatter_reduce", result, out)


def _combine(x: Any, at: Any, source: Any, d: int, how: str, include_self: bool) -> Any:
    index = raw(at)
    if how in ("amax", "amin"):
        return apply(SCATTER_EXTREME, source, x, at, dim=d, largest=how == "amax", include_self=include_self)
    kept = x
    if not include_self:
        neutral = np.full(index.shape, how == "prod", array_of(x).dtype)
        kept = apply(WRITE_ELEMENTS, x, neutral, index, dim=d, add=False)
    if how == "prod":
        if records(kept, source):
            return arithmetic.mul(kept, _products(x, index, source, d))
        return apply(SCATTER_PRODUCT, source, kept, index, dim=d)
    total = apply(WRITE_ELEMENTS, kept, source, at, dim=d, add=True)
    if how == "sum":
        return total
    numbers = np.float32 if index.shape[d] < 2**24 else np.float64  # exact
    own, ones = np.full(shape_of(x), include_self, numbers), np.ones(index.shape, numbers)
    terms = apply(WRITE_ELEMENTS, own, ones, index, dim=d, add=True)
    terms = np.maximum(terms, 1).astype(array_of(x).dtype, copy=False)
    return (arithmetic.div if array_of(x).dtype.kind == "f" else arithmetic.floor_divide)(total, terms)


@reads("index")
@numpy_names
def index_reduce(
    input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True, out: Any = None
) -> Any:
    """`scatter_reduce` (prod, mean, amax, amin) of the slices of `source`, which go to the numbers `index` along `dim`.

    >>> mt.index_reduce(mt.ones(2), 0, mt.tensor([0, 0]), mt.tensor([2.0, 6.0]), "prod")
    tensor([12.,  1.])
    """
    if reduce not in ("prod", "mean", "amax", "amin"):
        raise ShapeError(f"index_reduce: reduce must be prod, mean, amax or amin, not {reduce!r}")
    places, source, d = checked_slices("index_reduce", input, dim, index, source)
    source = at_least_1d(source)
    vector = raw(places).reshape(*(1,) * d, -1, *(1,) * (array_of(source).ndim - d - 1))
    each = np.ascontiguousarray(np.broadcast_to(vector, shape_of(source)))
    return scatter_reduce(input, d, each, source, reduce, include_self=include_self, out=out)
