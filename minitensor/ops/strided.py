"""Views by strides: windows along an axis, and any others within the tensor's memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import GraphError, IndexRangeError, ShapeError
from ..graph.record import apply
from ..graph.tensors import Tensor
from ..op import Op, Result, Sample
from . import indexing
from .common import Array, array_of, axis, numpy_names, raw, reads, shape_of, shifted
from .shape import Shape, reshape, sizes
from .view_write import scatter_view

# --- views ------------------------------------------------------------------------------------------------------------


def _storage(x: Array) -> Array:
    """The array that owns the memory of x."""
    while isinstance(x.base, np.ndarray):
        x = x.base
    return x


def _offset(x: Array) -> int:
    """How many bytes lie between the start of the memory of x and its first element."""
    low, _ = np.lib.array_utils.byte_bounds(_storage(x))
    return int(x.__array_interface__["data"][0] - low)


def _view(x: Array, shape: Shape, strides: Shape, first: int = 0) -> Array | None:
    """The view with these strides, in bytes, from `first` bytes after x on; None if there is none in its memory."""
    owner = _storage(x)
    owner = owner if owner.flags.c_contiguous else owner.T
    if not owner.flags.c_contiguous or x.size == 0 or math.prod(shape) == 0:
        return None
    low, high = _reach(shape, strides, _offset(x) + first)
    if low < 0 or high - 1 + x.itemsize > owner.nbytes:
        return None
    return np.ndarray(shape, x.dtype, owner, _offset(x) + first, strides)  # whose base NumPy makes the owner


def _reach(shape: Shape, strides: Shape, first: int) -> tuple[int, int]:
    """The lowest place that an array reaches from place `first` on, and the one after the highest."""
    ends = [s * (n - 1) for n, s in zip(shape, strides, strict=True)]
    return first + sum(e for e in ends if e < 0), first + sum(e for e in ends if e > 0) + 1


# --- unfold -----------------------------------------------------------------------------------------------------------


def _windows_reference(x: Array, *, dim: int, size: int, step: int) -> Result:
    count = (x.shape[dim] - size) // step + 1
    shape = (*x.shape[:dim], count, *x.shape[dim + 1 :], size)
    strides = (*x.strides[:dim], step * x.strides[dim], *x.strides[dim + 1 :], x.strides[dim])
    out = _view(x, shape, strides)
    return np.lib.stride_tricks.as_strided(x, shape, strides).copy() if out is None else out, (x.shape,)


def _windows_dx(g: Any, shape: Shape, *, dim: int, size: int, step: int) -> Any:
    return apply(WINDOWS_VJP, g, n=shape[dim], dim=dim, size=size, step=step)


def _windows_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim, size, step in (
        ((5,), 0, 2, 1),
        ((2, 7), 1, 3, 2),
        ((4, 2), 0, 2, 3),
        ((3,), 0, 0, 1),
        ((2, 0), 0, 1, 1),
    ):
        yield Sample((rng.standard_normal(shape),), {"dim": dim, "size": size, "step": step})


WINDOWS = Op(
    "windows",
    _windows_reference,
    None,
    (_windows_dx,),
    "linear",
    _windows_samples,
    view=True,
    exact=True,
    batch=shifted("windows", "dim"),
)


def _windows_vjp_reference(g: Array, *, n: int, dim: int, size: int, step: int) -> Result:
    moved = np.moveaxis(g, dim, 0)
    dx = np.zeros((n, *moved.shape[1:-1]), g.dtype)
    for k in range(size):
        dx[k : k + step * len(moved) : step][: len(moved)] += moved[..., k]
    return np.ascontiguousarray(np.moveaxis(dx, 0, dim)), ()


def _windows_vjp_dg(h: Any, *, n: int, dim: int, size: int, step: int) -> Any:
    return apply(WINDOWS, h, dim=dim, size=size, step=step)


def _windows_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, n, dim, size, step in (((4, 2), 5, 0, 2, 1), ((2, 3, 3), 8, 1, 3, 2)):
        yield Sample((rng.standard_normal(shape),), {"n": n, "dim": dim, "size": size, "step": step})


# dx[i * step + k] += g[i, k]: the transpose of `windows`
WINDOWS_VJP = Op(
    "windows_vjp",
    _windows_vjp_reference,
    None,
    (_windows_vjp_dg,),
    "linear",
    _windows_vjp_samples,
    exact=True,
    batch=shifted("windows_vjp", "dim"),
)


def unfold(input: Any, dimension: int, size: int, step: int = 1) -> Any:
    """All windows of `size` elements along an axis, `step` apart, the places in a window as a new last axis. A view.

        forward    out[i, k] = x[i * step + k]
        backward   dx[j] = the sum of g[i, k] over all i * step + k = j

    >>> mt.arange(5).unfold(0, 3, 1)
    tensor([[0, 1, 2],
            [1, 2, 3],
            [2, 3, 4]])
    """
    shape = shape_of(input)
    d = axis("unfold", dimension, len(shape))
    size, step = int(size), int(step)
    x = input if shape else reshape(input, (1,))
    n = shape_of(x)[d]
    if not 0 <= size <= n or step <= 0:
        raise ShapeError(f"unfold: windows of {size}, {step} apart, do not fit into axis {d} of size {n}")
    if not shape:
        return x if size else apply(indexing.GETITEM, x, index=slice(0, 0))
    return apply(WINDOWS, x, dim=d, size=size, step=step)


# --- as_strided -------------------------------------------------------------------------------------------------------
# A geometry is (sizes, strides in elements, place of the first element). Those of the input and of the view are both
# relative to the input's first element.


def _places(shape: Shape, strides: Shape, first: int) -> Array:
    out = np.full(shape, first, np.int64)
    for d, (n, s) in enumerate(zip(shape, strides, strict=True)):
        out += (np.arange(n) * s).reshape(n, *(1,) * (len(shape) - d - 1))
    return out


def _strides_of(x: Array) -> Shape:
    array_of(x)
    if any(s % x.itemsize for s in x.strides):
        raise ShapeError(f"as_strided: the strides {x.strides} of this tensor are not whole elements; clone() it first")
    return tuple([s // x.itemsize for s in x.strides])


def _as_strided_reference(x: Array, *, size: Shape, stride: Shape, first: int, of: Shape) -> Result:
    saved = (x.shape,)
    if _strides_of(x) == of:
        out = _view(x, size, tuple([s * x.itemsize for s in stride]), first * x.itemsize)
        if out is not None:
            return out, saved
    laid, at = _laid_out(x, of, _reach(size, stride, first) if math.prod(size) else (0, 0))
    return laid[_places(size, stride, first) - at], saved  # x is laid out otherwise: a copy


def _laid_out(x: Array, of: Shape, reach: tuple[int, int]) -> tuple[Array, int]:
    """(a vector that holds x at the places of its geometry and 0 elsewhere, the place of its first element)."""
    low, high = _reach(x.shape, of, 0) if x.size else (0, 0)
    low, high = min(low, reach[0]), max(high, reach[1])
    out = np.zeros(high - low, x.dtype)
    out[_places(x.shape, of, 0) - low] = x
    return out, low


def _as_strided_dx(g: Any, shape: Shape, *, size: Shape, stride: Shape, first: int, of: Shape) -> Any:
    return apply(AS_STRIDED_VJP, g, shape=shape, size=size, stride=stride, first=first, of=of)


def _as_strided_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, size, stride, first in (((6,), (2, 2), (2, 1), 1), ((2, 3), (3, 3), (1, 1), 0), ((4,), (2,), (0,), 2)):
        of = (3, 1) if len(shape) == 2 else (1,)
        yield Sample((rng.standard_normal(shape),), {"size": size, "stride": stride, "first": first, "of": of})
    params = {"size": (3,), "stride": (1,), "first": 1, "of": (1, 2)}
    yield Sample((rng.standard_normal((2, 3)),), params)


AS_STRIDED = Op(
    "as_strided", _as_strided_reference, None, (_as_strided_dx,), "linear", _as_strided_samples, view=True, exact=True
)


def _as_strided_vjp_reference(g: Array, *, shape: Shape, size: Shape, stride: Shape, first: int, of: Shape) -> Result:
    low, high = _reach(shape, of, 0) if math.prod(shape) else (0, 0)
    if g.size:
        reach = _reach(size, stride, first)
        low, high = min(low, reach[0]), max(high, reach[1])
    total = np.zeros(high - low, g.dtype)
    np.add.at(total, _places(size, stride, first) - low, g)
    return total[_places(shape, of, 0) - low], ()


def _as_strided_vjp_dg(h: Any, *, shape: Shape, **view: Any) -> Any:
    return apply(AS_STRIDED, h, **view)


def _as_strided_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    params = {"shape": (2, 3), "size": (2, 2), "stride": (1, 1), "first": 1, "of": (3, 1)}
    yield Sample((rng.standard_normal((2, 2)),), params)


# the transpose of `as_strided`: what several places of the view read adds up
AS_STRIDED_VJP = Op(
    "as_strided_vjp",
    _as_strided_vjp_reference,
    None,
    (_as_strided_vjp_dg,),
    "linear",
    _as_strided_vjp_samples,
    exact=True,
)


def _geometry(name: str, input: Any, size: Any, stride: Any, storage_offset: Any) -> dict[str, Any]:
    """The parameters of AS_STRIDED, checked: the view lies within the memory of `input`."""
    x = raw(input)
    shape, strides = sizes(name, (tuple(size),)), sizes(name, (tuple(stride),))
    if len(shape) != len(strides):
        raise ShapeError(f"{name}: {len(shape)} sizes and {len(strides)} strides")
    if any(n < 0 for n in shape + strides):
        raise ShapeError(f"{name}: sizes {shape} and strides {strides} must not be negative")
    of, start = _strides_of(x), _offset(x) // x.itemsize
    at = start if storage_offset is None else int(storage_offset)
    room = _storage(x).nbytes // x.itemsize
    if math.prod(shape) and not (0 <= at and _reach(shape, strides, at)[1] <= room):
        raise ShapeError(
            f"{name}: sizes {shape}, strides {strides}, offset {at} reach beyond the {room} elements there"
        )
    if isinstance(input, Tensor) and input.requires_grad:
        if any(s == 0 and n > 1 for n, s in zip(x.shape, of, strict=True)):
            raise GraphError(
                f"{name}: elements of this expanded tensor share memory; clone() it before differentiating"
            )
    return {"size": shape, "stride": strides, "first": at - start, "of": of}


def as_strided(input: Any, size: Any, stride: Any, storage_offset: Any = None) -> Any:
    """A view of the memory under `input` with other sizes and strides, in elements, from `storage_offset` on.

        forward    out[i, j] = memory[offset + i * stride[0] + j * stride[1]]
        backward   dx = at each of its places the sum of all g that read it

    Raises ShapeError where it would reach beyond the memory.

    >>> mt.arange(4).as_strided((3, 2), (1, 1))
    tensor([[0, 1],
            [1, 2],
            [2, 3]])
    """
    return apply(AS_STRIDED, input, **_geometry("as_strided", input, size, stride, storage_offset))


def as_strided_scatter(input: Any, src: Any, size: Any, stride: Any, storage_offset: Any = None) -> Any:
    """`input` with `src` in the place of a view by strides; a copy.

    >>> mt.as_strided_scatter(mt.zeros(4), mt.ones(2), (2,), (2,))
    tensor([1., 0., 1., 0.])
    """
    view = _geometry("as_strided_scatter", input, size, stride, storage_offset)
    return scatter_view("as_strided_scatter", input, src, AS_STRIDED, **view)


# --- a part of a tensor replaced --------------------------------------------------------------------------------------


@reads()
@numpy_names
def select_scatter(input: Any, src: Any, dim: int, index: int) -> Any:
    """`input` with `src` in the place of one slice of an axis; a copy.

    >>> mt.select_scatter(mt.zeros(2, 2), mt.ones(2), 0, 1)
    tensor([[0., 0.],
            [1., 1.]])
    """
    shape = shape_of(input)
    d = axis("select_scatter", dim, len(shape))
    if not shape or not -shape[d] <= index < shape[d]:
        raise IndexRangeError(f"select_scatter: index {index} is out of range for axis {d} of {shape}")
    return scatter_view("select_scatter", input, src, indexing.GETITEM, index=(*(slice(None),) * d, int(index)))


@reads()
@numpy_names
def slice_scatter(input: Any, src: Any, dim: int = 0, start: Any = None, end: Any = None, step: int = 1) -> Any:
    """`input` with `src` in the place of `input[start:end:step]` along an axis; a copy.

    >>> mt.slice_scatter(mt.zeros(3), mt.ones(2), 0, 1)
    tensor([0., 1., 1.])
    """
    d = axis("slice_scatter", dim, len(shape_of(input)))
    if step <= 0:
        raise ShapeError(f"slice_scatter: step must be positive, not {step}")
    index = (*(slice(None),) * d, slice(start, end, step))
    return scatter_view("slice_scatter", input, src, indexing.GETITEM, index=index)
