"""Masks: tensors of bools that choose elements, and the indices of those that are not zero."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .. import _core
from ..errors import DtypeError, ShapeError
from ..graph.modes import uses_reference
from ..graph.nodes import called
from ..graph.record import apply, apply_flat, attempt
from ..graph.tensors import vmap_layer, wrap
from . import comparison, indexing
from . import shape as shapes
from .common import Array, array_of, named, raw, reads, shape_of, write_out, writes
from .scatter import same_dtype, scalar_of
from .shape import Shape


def _mask(name: str, mask: Any) -> Array:
    m = raw(mask)
    if not isinstance(m, np.ndarray) or m.dtype.kind != "b":
        raise DtypeError(f"{name}: the mask must be a tensor of bools, not {getattr(m, 'dtype', type(m).__name__)}")
    return m


def _common(name: str, input: Any, mask: Array) -> Shape:
    shape = shape_of(input)
    if mask.shape == shape:
        return shape
    try:
        return tuple(np.broadcast_shapes(shape, mask.shape))
    except ValueError:
        raise ShapeError(f"{name}: {shape_of(input)} and a mask of {mask.shape} do not broadcast") from None


@writes("masked_fill")
def _fill_into(x: Array, mask: Any, value: Any, into: Array) -> Array | None:
    fits = isinstance(mask, np.ndarray) and mask.shape == x.shape and not isinstance(value, np.ndarray)
    return _core.where(value, x, mask, into) if fits else None


def masked_fill(input: Any, mask: Any, value: Any) -> Any:
    """`input` with one value (a number, or a tensor without axes) where `mask` is true; the two broadcast.

        forward    out = mask ? value : x
        backward   dx = mask ? 0 : g,  dvalue = the sum of g over the mask

    >>> mt.masked_fill(mt.tensor([1.0, 2.0]), mt.tensor([True, False]), -1)
    tensor([-1.,  2.])
    """
    m = _mask("masked_fill", mask)
    _common("masked_fill", input, m)
    result = None
    if type(value) in (float, int) and (-1e30 < value < 1e30 or math.isinf(value)):  # which the kernel's dtypes have
        result = attempt(comparison.WHERE, value, input, mask)
    if result is None:
        result = comparison.where(mask, scalar_of("masked_fill", input, value), input)
    return called(result, "MaskedFillBackward0")


@named("MaskedSelectBackward0")
def masked_select(input: Any, mask: Any, *, out: Any = None) -> Any:
    """The elements where `mask` is true, as a vector; the two broadcast.

    >>> mt.masked_select(mt.tensor([1, 2, 3]), mt.tensor([True, False, True]))
    tensor([1, 3])
    """
    m = _mask("masked_select", mask)
    common = _common("masked_select", input, m)
    layer = vmap_layer(mask)
    if layer is not None and layer.level.takes_masks:
        return indexing.getitem(shapes.expand(input, common), shapes.expand(mask, common))
    if common == m.shape == shape_of(input):
        result = apply_flat(indexing.GETITEM, input, (m.copy(),))
    else:
        whole = np.array(np.broadcast_to(m, common))
        result = apply(indexing.GETITEM, shapes.expand(input, common), index=(whole,))
    if not common:
        result = shapes.reshape(result, (-1,))
    return result if out is None else write_out("masked_select", result, out)


@reads()
@named("MaskedScatterBackward0")
def masked_scatter(input: Any, mask: Any, source: Any) -> Any:
    """`input` with the elements of `source`, one after the other, where `mask` is true; the first two broadcast.

        forward    out[k-th place of the mask] = source[k]
        backward   dx = mask ? 0 : g,  dsource[k] = g[k-th place of the mask]

    >>> mt.masked_scatter(mt.zeros(3), mt.tensor([True, False, True]), mt.tensor([1.0, 2.0, 3.0]))
    tensor([1., 0., 2.])
    """
    m = _mask("masked_scatter", mask)
    same_dtype("masked_scatter", input, source)
    common = _common("masked_scatter", input, m)
    whole = np.array(np.broadcast_to(m, common))
    count = int(np.count_nonzero(whole))
    if array_of(source).size < count:
        raise ShapeError(f"masked_scatter: {count} places in the mask, but only {array_of(source).size} elements")
    first = apply(indexing.GETITEM, shapes.reshape(source, (-1,)), index=slice(count))
    x = shapes.reshape(shapes.expand(input, common), (-1,))
    result = apply(indexing.SETITEM, x, first, index=(whole.reshape(-1),))
    return shapes.reshape(result, common)


def _places(x: Array) -> Array:
    """The indices of all elements that are not zero, (count, axes)."""
    fast = _core.mask_places(x if x.dtype.kind == "b" else x != 0) if not uses_reference() else None
    if fast is not None:
        return fast
    found = np.nonzero(x if x.ndim else x.reshape(1))
    return np.ascontiguousarray(np.stack(found, 1)) if x.ndim else np.empty((len(found[0]), 0), np.int64)


def nonzero(input: Any, *, as_tuple: bool = False, out: Any = None) -> Any:
    """The indices of all elements that are not zero: (count, axes), or a vector for each axis.

    >>> mt.nonzero(mt.tensor([0, 7, 8]))
    tensor([[1],
            [2]])
    """
    layer = vmap_layer(input)
    if layer is not None and layer.level.takes_masks:
        return layer.level.each(nonzero, (input,), {"as_tuple": as_tuple})
    x = array_of(input)
    if as_tuple:
        return tuple([wrap(i) for i in np.nonzero(x if x.ndim else x.reshape(1))])
    result = wrap(_places(x))
    return result if out is None else write_out("nonzero", result, out)


def argwhere(input: Any) -> Any:
    """The indices of all elements that are not zero, (count, axes).

    >>> mt.argwhere(mt.tensor([[0, 7], [8, 0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    return nonzero(input)


def nonzero_static(input: Any, *, size: int, fill_value: int = -1, out: Any = None) -> Any:
    """`nonzero` with a number of rows given beforehand: those beyond are left out, missing ones hold `fill_value`.

    >>> mt.nonzero_static(mt.tensor([0, 5, 0, 7]), size=3)
    tensor([[ 1],
            [ 3],
            [-1]])
    """
    if size < 0:
        raise ShapeError(f"nonzero_static: size must not be negative, got {size}")
    found = np.argwhere(array_of(input))[:size]
    rows = np.full((size, found.shape[1]), fill_value, np.int64)
    rows[: len(found)] = found
    result = wrap(rows)
    return result if out is None else write_out("nonzero_static", result, out)
