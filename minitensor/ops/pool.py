r"""Pooling: the maximum or the mean of a window that slides over the last one, two or three axes.

Window (i, j) begins at row i * stride - padding, column j * stride - padding, of the plane padded with -inf (maximum)
or 0 (mean). Per axis there are

    out = floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1

windows; with ceil_mode the division rounds up, except that no window may begin beyond the padding at the start and the
plane itself. The operators work on planes: a sequence is a plane of one row, and a volume is pooled within its slices,
then across them, each of its lines a column.

Kernels: csrc/kernels/pool.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _core
from ..errors import DtypeError, ShapeError
from ..graph.record import apply, apply_flat
from ..op import SHAPE, Op, Result, Sample
from .arithmetic import add, floor_divide, mul
from .common import Array, Pair, array_of, each, folded, laid_as, named, need_float, shape_of
from .scatter import gather
from .shape import reshape

# --- what a pooling is told -------------------------------------------------------------------------------------------


_LETTERS = ("L", "H, W", "D, H, W")


def inner_sizes(name: str, axes: int, x: Any) -> tuple[int, ...]:
    """The sizes of the last one, two or three axes of (C, *) or (N, C, *)."""
    shape = shape_of(x)
    if len(shape) not in (axes + 1, axes + 2):
        letters = _LETTERS[axes - 1]
        raise ShapeError(f"{name}: expected (C, {letters}) or (N, C, {letters}), got {shape}")
    if 0 in shape[-axes - 1 :]:
        raise ShapeError(f"{name}: there is nothing to pool in {shape}; only the batch may be empty")
    return shape[-axes:]


def _stride(name: str, stride: Any, kernel: tuple[int, ...]) -> tuple[int, ...]:
    """The window's step: its size unless given (an empty tuple counts as not given, as in PyTorch)."""
    given = stride is not None and stride != () and stride != []
    return each(name, "stride", stride, 1, len(kernel)) if given else kernel


def to_row(x: Any) -> Any:
    """(.., n) as (.., 1, n)."""
    shape = shape_of(x)
    return reshape(x, (*shape[:-1], 1, shape[-1]))


def to_columns(x: Any) -> Any:
    """(.., d, h, w) as (.., d, h * w)."""
    *outer, h, w = shape_of(x)
    return reshape(x, (*outer, h * w))


@lru_cache(maxsize=1024)
def _count(name: str, size: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """How many windows there are along an axis; each has an element of the plane."""
    if padding > kernel // 2:
        raise ShapeError(f"{name}: padding {padding} is more than half of the kernel size {kernel}")
    room = size + 2 * padding - dilation * (kernel - 1) - 1
    out = (-(-room // stride) if ceil_mode else room // stride) + 1
    if ceil_mode and (out - 1) * stride >= size + padding:
        out -= 1
    if out < 1:
        raise ShapeError(
            f"{name}: a window of {kernel} (dilation {dilation}) does not fit into a size of {size} "
            f"with padding {padding}"
        )
    for i in range(out):
        if not _taps(i, size, kernel, stride, padding, dilation):
            raise ShapeError(f"{name}: window {i} along a size of {size} holds nothing but padding")
    return out


def _taps(i: int, size: int, kernel: int, stride: int, padding: int, dilation: int) -> range:
    """The elements of an axis that window i covers."""
    start = i * stride - padding
    first = start % dilation if start < 0 else start
    return range(first, min(start + dilation * (kernel - 1) + 1, size), dilation)


# --- the maximum ------------------------------------------------------------------------------------------------------


def _max_pool2d_reference(x: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, out: Pair) -> Result:
    h, w = x.shape[-2:]
    y = np.empty((*x.shape[:-2], *out), x.dtype)
    indices = np.empty(y.shape, np.int32)
    for i, j in np.ndindex(*out):
        rows = np.array(_taps(i, h, kernel[0], stride[0], padding[0], dilation[0]))
        cols = np.array(_taps(j, w, kernel[1], stride[1], padding[1], dilation[1]))
        window = x[..., rows[:, None], cols].reshape(*x.shape[:-2], len(rows) * len(cols))
        best = window.argmax(-1)
        y[..., i, j] = np.take_along_axis(window, best[..., None], -1)[..., 0]
        indices[..., i, j] = (rows[:, None] * w + cols).reshape(-1)[best]
    return y, (indices, x.shape)


def _max_pool2d(x: Array, *params: Pair) -> Any:
    found = _core.max_pool2d(x, *params)
    return found if found is None or x.flags.c_contiguous else (laid_as(found[0], x), found[1])


def _max_pool2d_dx(g: Any, indices: Any, shape: tuple[int, ...], **_: Any) -> Any:
    return apply(MAX_POOL2D_VJP, g, indices, size=shape[-2:])


def _max_pool2d_jvp(tangents: Any, indices: Any, _shape: Any, **_: Any) -> Any:
    return apply(MAX_POOL2D_GATHER, tangents[0], indices)


def _max_pool2d_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, kernel, stride, padding, dilation, ceil_mode in (
        ((2, 3, 4, 6), (2, 2), (2, 2), (0, 0), (1, 1), False),
        ((1, 2, 5, 35), (3, 3), (2, 2), (1, 1), (1, 1), False),
        ((1, 1, 5, 19), (3, 3), (1, 1), (1, 1), (1, 1), False),
        ((2, 1, 2, 70), (2, 2), (2, 2), (0, 0), (1, 1), True),
        ((2, 2, 5, 20), (2, 2), (2, 2), (0, 0), (1, 1), False),
        ((2, 3, 1, 70), (1, 2), (1, 2), (0, 0), (1, 1), False),
        ((3, 1, 69), (1, 3), (1, 2), (0, 1), (1, 1), False),
        ((2, 3, 35), (1, 3), (2, 1), (0, 1), (1, 1), False),
        ((1, 2, 7, 37), (3, 3), (3, 2), (1, 1), (1, 1), False),
        ((2, 1, 70), (1, 4), (1, 4), (0, 0), (1, 1), True),
        ((2, 7, 8), (3, 2), (2, 3), (1, 0), (2, 1), False),
        ((2, 9, 53), (3, 4), (1, 2), (1, 2), (2, 3), False),
        ((3, 1, 37), (1, 5), (1, 1), (0, 2), (1, 1), False),
        ((1, 5, 5), (2, 2), (2, 2), (0, 0), (1, 1), True),
        ((1, 1, 1, 1), (1, 1), (1, 1), (0, 0), (1, 1), False),
        ((0, 2, 3, 3), (2, 2), (1, 1), (0, 0), (1, 1), False),
    ):
        sizes = zip(shape[-2:], kernel, stride, padding, dilation, strict=True)
        out = tuple([_count("max_pool2d", *axis, ceil_mode) for axis in sizes])
        x = rng.permutation(math.prod(shape)).reshape(shape) / 8
        params = dict(kernel=kernel, stride=stride, padding=padding, dilation=dilation, out=out)
        yield Sample((x,), params)


MAX_POOL2D = Op(
    "max_pool2d",
    _max_pool2d_reference,
    None,
    (_max_pool2d_dx,),
    _max_pool2d_jvp,
    _max_pool2d_samples,
    exact=True,
    batch=folded("max_pool2d"),
    flat=True,
    kernel=_max_pool2d,
    keeps=True,
    saves=(-2, SHAPE),
    names=("kernel", "stride", "padding", "dilation", "out"),
)


# The scatter to the places where the maxima were, and its transpose, the gather from there: each is the other's vjp.
# An index outside the plane writes nowhere and reads 0.


def _max_pool2d_vjp_reference(g: Array, indices: Array, *, size: Pair) -> Result:
    planes = math.prod(g.shape[:-2])
    dx = np.zeros((planes, size[0] * size[1]), g.dtype)
    each = indices.reshape(planes, math.prod(g.shape[-2:]))
    inside = (0 <= each) & (each < dx.shape[1])
    np.add.at(dx, (np.arange(planes)[:, None], np.where(inside, each, 0)), np.where(inside, g.reshape(each.shape), 0))
    return dx.reshape(*g.shape[:-2], *size), (indices,)


def _max_pool2d_vjp_forward(g: Array, indices: Array, *, size: Pair) -> Result:
    return _core.max_pool2d_vjp(g, indices, size), (indices,)


def _max_pool2d_vjp_dg(u: Any, indices: Any, *, size: Pair) -> Any:
    return apply(MAX_POOL2D_GATHER, u, indices)


def _max_pool2d_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, size in (((2, 3, 2, 3), (4, 5)), ((1, 1, 17), (2, 33)), ((0, 2, 2), (3, 3))):
        indices = rng.integers(-1, math.prod(size), shape).astype(np.int32)
        yield Sample((rng.standard_normal(shape), indices), {"size": size})


MAX_POOL2D_VJP = Op(
    "max_pool2d_vjp",
    _max_pool2d_vjp_reference,
    _max_pool2d_vjp_forward,
    (_max_pool2d_vjp_dg, None),
    "linear",
    _max_pool2d_vjp_samples,
    exact=True,
    batch=folded("max_pool2d_vjp", 2),
)


def _max_pool2d_gather_reference(x: Array, indices: Array) -> Result:
    planes = x.reshape(*x.shape[:-2], math.prod(x.shape[-2:]))
    each = indices.reshape(*x.shape[:-2], math.prod(indices.shape[-2:]))
    inside = (0 <= each) & (each < planes.shape[-1])
    y = np.where(inside, np.take_along_axis(planes, np.where(inside, each, 0).astype(np.int64), -1), 0)
    return y.reshape(indices.shape), (indices, x.shape[-2:])


def _max_pool2d_gather_forward(x: Array, indices: Array) -> Result:
    return _core.max_pool2d_gather(x, indices), (indices, x.shape[-2:])


def _max_pool2d_gather_dx(g: Any, indices: Any, size: Pair) -> Any:
    return apply(MAX_POOL2D_VJP, g, indices, size=size)


def _max_pool2d_gather_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, out in (((2, 3, 4, 5), (2, 3)), ((1, 2, 33), (1, 17)), ((0, 3, 3), (2, 2))):
        indices = rng.integers(-1, math.prod(shape[-2:]), (*shape[:-2], *out)).astype(np.int32)
        yield Sample((rng.standard_normal(shape), indices))


MAX_POOL2D_GATHER = Op(
    "max_pool2d_gather",
    _max_pool2d_gather_reference,
    _max_pool2d_gather_forward,
    (_max_pool2d_gather_dx, None),
    "linear",
    _max_pool2d_gather_samples,
    exact=True,
    batch=folded("max_pool2d_gather", 2),
)


@lru_cache(maxsize=1024, typed=True)
def _geometry(
    name: str, axes: int, inner: tuple[int, ...], kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters of the pooling operator along all axes (at least two), and along the last two."""
    kernel = each(name, "kernel_size", kernel_size, 1, axes)
    step = _stride(name, stride, kernel)
    pad, spread = each(name, "padding", padding, 0, axes), each(name, "dilation", dilation, 1, axes)
    out = tuple([_count(name, *axis, ceil) for axis in zip(inner, kernel, step, pad, spread, strict=True)])
    if axes == 1:
        kernel, step, pad, spread, out = (1, *kernel), (1, *step), (0, *pad), (1, *spread), (1, *out)
    params = {"kernel": kernel, "stride": step, "padding": pad, "dilation": spread, "out": out}
    return params, {key: value[-2:] for key, value in params.items()}


def _max_pool(
    name: str,
    axes: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: Any,
    return_indices: Any,
) -> Any:
    """max_pool1d, max_pool2d, max_pool3d; of integers, too."""
    if array_of(input).dtype.kind == "b":
        raise DtypeError(f"{name}: expected numbers, got bool")
    inner = inner_sizes(name, axes, input)
    given = [tuple(v) if isinstance(v, list) else v for v in (kernel_size, stride, padding, dilation)]
    params, two = _geometry(name, axes, inner, *given, bool(ceil_mode))
    if axes == 2 and not return_indices:
        return apply_flat(MAX_POOL2D, input, *two.values())
    out = params["out"]
    if axes == 1:
        input = to_row(input)
    if not return_indices:
        y, at = apply_flat(MAX_POOL2D, input, *two.values()), None
    else:
        y, at = apply(MAX_POOL2D_WITH_INDICES, input, **two)
    if axes == 3:
        fill = {"kernel": 1, "stride": 1, "padding": 0, "dilation": 1, "out": out[1] * out[2]}
        across = {key: (value[0], fill[key]) for key, value in params.items()}
        if at is None:
            y = apply(MAX_POOL2D, to_columns(y), **across)
        else:
            y, slices = apply(MAX_POOL2D_WITH_INDICES, to_columns(y), **across)
            at = in_volume(at, slices, inner)
    shape = (*shape_of(input)[: -max(axes, 2)], *out[-axes:])
    y = y if axes == 2 else reshape(y, shape)
    return y if at is None else (y, at if axes == 2 else reshape(at, shape))


def in_volume(at: Any, slices: Any, inner: tuple[int, ...]) -> Any:
    """A maximum's place in its volume, from its place in its slice and the slice that it is in."""
    planes = to_columns(at)
    *lead, rows, columns = shape_of(planes)
    wanted = shape_of(slices)
    flat, chosen = reshape(planes, (*lead, rows * columns)), reshape(slices, (*lead, wanted[-2] * wanted[-1]))
    depth = floor_divide(slices, columns)
    return add(mul(depth, inner[1] * inner[2]), reshape(gather(flat, -1, chosen), wanted))


@named("SqueezeBackward1")
def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    r"""The largest element of every window of sequences (N, C, L) or (C, L); see `max_pool2d`.

        forward    y[i] = x[p],  p = argmax of x over window i
        backward   dx[p] += g[i]

    >>> mt.max_pool1d(mt.tensor([[1.0, 2.0, 5.0, 0.0]]), 2)
    tensor([[2., 5.]])
    """
    name = "max_pool1d"
    return _max_pool(name, 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    r"""The largest element of every window.

        forward    y[i, j] = x[p],  p = argmax of x over window (i, j)
        backward   dx[p] += g[i, j]: all of the gradient goes to where the maximum was; only p is saved
        kernel     csrc/kernels/pool.cpp

    Of equal elements the first in row-major order is taken; a NaN counts as the largest.

    Shapes: input (N, C, H, W) or (C, H, W); the result has the sizes given at the top of this file. `stride` is the
    kernel's size unless given. With `return_indices` also the maxima's places in their planes, int64.
    Raises ShapeError for a window that does not fit and for a padding of more than half the kernel.

    >>> mt.nn.functional.max_pool2d(mt.tensor([[[1.0, 2.0, 5.0, 0.0], [3.0, 4.0, 1.0, 1.0]]]), 2)
    tensor([[[4., 5.]]])
    """
    name = "max_pool2d"
    return _max_pool(name, 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


@named("MaxPool3DWithIndicesBackward0")
def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    r"""The largest element of every window of volumes (N, C, D, H, W) or (C, D, H, W); see `max_pool2d`.

        forward    y[l, i, j] = x[p],  p = argmax of x over window (l, i, j)
        backward   dx[p] += g[l, i, j]

    The maximum of each slice's window, then the maximum across the slices: the first of equal ones is thus the first
    in row-major order.

    >>> mt.max_pool3d(mt.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    (tensor([[[[7.]]]]), tensor([[[[7]]]]))
    """
    name = "max_pool3d"
    return _max_pool(name, 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def _with_indices(run: Any) -> Any:
    def forward(x: Array, **params: Any) -> Result:
        y, (indices, shape) = run(x, **params)
        return (y, indices.astype(np.int64)), (indices, shape)

    return forward


MAX_POOL2D_WITH_INDICES = Op(
    "max_pool2d_with_indices",
    _with_indices(_max_pool2d_reference),
    _with_indices(MAX_POOL2D.forward),
    (lambda g, indices, shape, **_: apply(MAX_POOL2D_VJP, g[0], indices, size=shape[-2:]),),
    lambda tangents, indices, _shape, **_: (apply(MAX_POOL2D_GATHER, tangents[0], indices), None),
    _max_pool2d_samples,
    exact=True,
    batch=folded("max_pool2d_with_indices"),
    flat=True,
)


# --- the mean ---------------------------------------------------------------------------------------------------------
# Along each axis a table says what window i covers and what its sum is divided by: (begin, end, count). So the adaptive
# pooling, whose windows differ, is the same operator.


def _avg_pool2d_reference(x: Array, *, rows: Array, cols: Array) -> Result:
    y = np.empty((*x.shape[:-2], len(rows), len(cols)), x.dtype)
    for i, (a, b, n) in enumerate(rows.tolist()):
        for j, (c, d, m) in enumerate(cols.tolist()):
            y[..., i, j] = x[..., a:b, c:d].sum((-2, -1)) / (n * m)
    return y, (x.shape,)


def _avg_pool2d_kernel(x: Array, rows: Array, cols: Array) -> Array | None:
    y = _core.avg_pool2d(x, rows, cols)
    return None if y is None else laid_as(y, x)


def _avg_pool2d_dx(g: Any, shape: Any, *, rows: Array, cols: Array) -> Any:
    return apply(AVG_POOL2D_VJP, g, rows=rows, cols=cols, size=shape[-2:])


def _avg_pool2d_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, rows, cols in _avg_samples():
        yield Sample((rng.standard_normal(shape),), {"rows": rows, "cols": cols})


def _avg_samples() -> Iterator[tuple[tuple[int, ...], Array, Array]]:
    for shape, kernel, stride, padding, ceil_mode, padded in (
        ((2, 3, 4, 6), 2, 2, 0, False, True),
        ((1, 5, 35), 3, 2, 1, False, True),
        ((1, 1, 4, 36), 3, 1, 1, True, False),
        ((1, 5, 8), 2, 3, 0, True, True),
        ((0, 1, 2, 2), 2, 2, 0, False, True),
    ):
        tables = [_windows("avg_pool2d", n, kernel, stride, padding, ceil_mode, padded) for n in shape[-2:]]
        yield shape, tables[0], tables[1]
    yield (1, 2, 5, 7), adaptive_windows(5, 3), adaptive_windows(7, 2)
    yield (2, 1, 1), adaptive_windows(1, 2), adaptive_windows(1, 1)


def _covered(_x: Array, *, rows: Array, cols: Array, **_: Any) -> int:
    return int(np.ptp(rows[:, :2], 1).max() * np.ptp(cols[:, :2], 1).max())


AVG_POOL2D = Op(
    "avg_pool2d",
    _avg_pool2d_reference,
    None,
    (_avg_pool2d_dx,),
    "linear",
    _avg_pool2d_samples,
    length=_covered,
    batch=folded("avg_pool2d"),
    flat=True,
    kernel=_avg_pool2d_kernel,
    saves=(SHAPE,),
    names=("rows", "cols"),
)


def _avg_pool2d_vjp_reference(g: Array, *, rows: Array, cols: Array, size: Pair) -> Result:
    dx = np.zeros((*g.shape[:-2], *size), g.dtype)
    for i, (a, b, n) in enumerate(rows.tolist()):
        for j, (c, d, m) in enumerate(cols.tolist()):
            dx[..., a:b, c:d] += g[..., i, j, None, None] / (n * m)
    return dx, ()


def _avg_pool2d_vjp_forward(g: Array, *, rows: Array, cols: Array, size: Pair) -> Result:
    return _core.avg_pool2d_vjp(g, rows, cols, size), ()


def _avg_pool2d_vjp_dg(u: Any, *, rows: Array, cols: Array, size: Pair) -> Any:
    return apply(AVG_POOL2D, u, rows=rows, cols=cols)


def _avg_pool2d_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, rows, cols in _avg_samples():
        g = rng.standard_normal((*shape[:-2], len(rows), len(cols)))
        yield Sample((g,), {"rows": rows, "cols": cols, "size": shape[-2:]})


AVG_POOL2D_VJP = Op(
    "avg_pool2d_vjp",
    _avg_pool2d_vjp_reference,
    _avg_pool2d_vjp_forward,
    (_avg_pool2d_vjp_dg,),
    "linear",
    _avg_pool2d_vjp_samples,
    length=_covered,
    batch=folded("avg_pool2d_vjp"),
)


@lru_cache(maxsize=1024)
def _windows(name: str, size: int, kernel: int, stride: int, padding: int, ceil_mode: bool, padded: bool) -> Array:
    """The table of equal windows along an axis; `padded` counts the padding that they cover."""
    table = np.empty((_count(name, size, kernel, stride, padding, 1, ceil_mode), 3), np.int64)
    for i, row in enumerate(table):
        start = i * stride - padding
        stop = min(start + kernel, size + padding)
        begin, end = max(start, 0), min(stop, size)
        row[:] = begin, end, (stop - start if padded else end - begin)
    table.setflags(write=False)
    return table


def mean(input: Any, tables: list[Array]) -> Any:
    """The mean over the windows of one, two or three axes, a table for each."""
    shape = (*shape_of(input)[: -len(tables)], *map(len, tables))
    if len(tables) == 1:
        return reshape(apply(AVG_POOL2D, to_row(input), rows=_single(1), cols=tables[0]), shape)
    y = apply(AVG_POOL2D, input, rows=tables[-2], cols=tables[-1])
    if len(tables) == 3:
        columns = to_columns(y)
        y = reshape(apply(AVG_POOL2D, columns, rows=tables[0], cols=_single(shape_of(columns)[-1])), shape)
    return y


@lru_cache(maxsize=1024)
def _single(n: int) -> Array:
    """The table of windows that hold one element each."""
    return adaptive_windows(n, n)


@lru_cache(maxsize=1024, typed=True)
def _tables(name: str, inner: Any, kernel_size: Any, stride: Any, padding: Any, ceil: Any, padded: Any) -> list[Array]:
    """The tables of all axes."""
    axes = len(inner)
    kernel = each(name, "kernel_size", kernel_size, 1, axes)
    sizes = zip(inner, kernel, _stride(name, stride, kernel), each(name, "padding", padding, 0, axes), strict=True)
    return [_windows(name, *axis, bool(ceil), bool(padded)) for axis in sizes]


def avg_pool(
    name: str,
    axes: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: Any,
    count_include_pad: Any,
    divisor_override: int | None,
) -> Any:
    """avg_pool1d, avg_pool2d, avg_pool3d."""
    need_float(name, input)
    inner = inner_sizes(name, axes, input)
    told = (name, inner, kernel_size, stride, padding, ceil_mode, count_include_pad)
    try:
        tables = _tables(*told)
    except TypeError:  # a list
        tables = _tables.__wrapped__(*told)
    if divisor_override is not None:
        if divisor_override == 0:
            raise ShapeError(f"{name}: divisor_override must not be 0")
        tables = [table.copy() for table in tables]
        for d, table in enumerate(tables):
            table[:, 2] = divisor_override if d == axes - 1 else 1
    return mean(input, tables)


@named("SqueezeBackward1")
def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    r"""The mean of every window of sequences (N, C, L) or (C, L); see `avg_pool2d`.

        forward    y[i] = sum of x over window i / count
        backward   dx[a] = sum of g[i] / count over the windows that cover a

    >>> mt.avg_pool1d(mt.tensor([[1.0, 2.0, 5.0, 0.0]]), 2)
    tensor([[1.5000, 2.5000]])
    """
    return avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    r"""The mean of every window.

        forward    y[i, j] = sum of x over window (i, j) / count
        backward   dx[a, b] = sum of g[i, j] / count over the windows that cover (a, b); linear: nothing is saved
        kernel     csrc/kernels/pool.cpp

    The count is that of the window's elements, with those of the padding unless `count_include_pad` is False (but never
    those that ceil_mode adds beyond it), or `divisor_override`.

    Shapes: input (N, C, H, W) or (C, H, W); the result has the sizes given at the top of this file. `stride` is the
    kernel's size unless given. Raises ShapeError for a window that does not fit and for a padding of more than half the
    kernel.

    >>> mt.nn.functional.avg_pool2d(mt.tensor([[[1.0, 2.0, 5.0, 0.0], [3.0, 4.0, 1.0, 2.0]]]), 2)
    tensor([[[2.5000, 2.0000]]])
    """
    name = "avg_pool2d"
    return avg_pool(name, 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@named("AvgPool3DBackward0")
def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Any:
    r"""The mean of every window of volumes (N, C, D, H, W) or (C, D, H, W); see `avg_pool2d`.

        forward    y[l, i, j] = sum of x over window (l, i, j) / count
        backward   dx[c, a, b] = sum of g[l, i, j] / count over the windows that cover (c, a, b)

    >>> mt.nn.functional.avg_pool3d(mt.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5000]]]])
    """
    name = "avg_pool3d"
    return avg_pool(name, 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)


@lru_cache(maxsize=1024)
def adaptive_windows(size: int, out: int) -> Array:
    """Window i of `out` covers floor(i * size / out) to ceil((i + 1) * size / out)."""
    table = np.empty((out, 3), np.int64)
    for i, row in enumerate(table):
        begin, end = i * size // out, -(-(i + 1) * size // out)
        row[:] = begin, end, end - begin
    table.setflags(write=False)
    return table
