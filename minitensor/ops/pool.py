r"""Pooling over planes: the maximum or the mean of a window that slides over the last two axes.

Window (i, j) begins at row i * stride - padding, column j * stride - padding, of the plane padded with -inf (maximum)
or 0 (mean). Per axis there are

    out = floor((size + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1

windows; with ceil_mode the division rounds up, except that no window may begin beyond the padding at the start and the
plane itself.

Kernels: csrc/kernels/pool.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _core
from ..errors import ShapeError
from ..graph import apply
from ..op import Op, Result, Sample
from .common import Array, Pair, need_float, pair, shape_of

# --- what a pooling is told -------------------------------------------------------------------------------------------


def _plane(name: str, x: Any) -> Pair:
    """The sizes of the last two axes of (C, H, W) or (N, C, H, W)."""
    shape = shape_of(x)
    if len(shape) not in (3, 4):
        raise ShapeError(f"{name}: expected (C, H, W) or (N, C, H, W), got {shape}")
    if 0 in shape[-3:]:
        raise ShapeError(f"{name}: there is nothing to pool in {shape}; only the batch may be empty")
    return shape[-2], shape[-1]


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
    return y, (indices, (h, w))


def _max_pool2d_forward(x: Array, *, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair, out: Pair) -> Result:
    y, indices = _core.max_pool2d(x, kernel, stride, padding, dilation, out)
    return y, (indices, x.shape[-2:])


def _max_pool2d_dx(g: Any, indices: Any, size: Pair, **_: Any) -> Any:
    return apply(MAX_POOL2D_VJP, g, indices, size=size)


def _max_pool2d_jvp(tangents: Any, indices: Any, _size: Pair, **_: Any) -> Any:
    return apply(MAX_POOL2D_GATHER, tangents[0], indices)


def _max_pool2d_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, kernel, stride, padding, dilation, ceil_mode in (
        ((2, 3, 4, 6), (2, 2), (2, 2), (0, 0), (1, 1), False),
        ((1, 2, 5, 35), (3, 3), (2, 2), (1, 1), (1, 1), False),
        ((1, 1, 5, 19), (3, 3), (1, 1), (1, 1), (1, 1), False),
        ((2, 1, 2, 70), (2, 2), (2, 2), (0, 0), (1, 1), True),
        ((2, 7, 8), (3, 2), (2, 3), (1, 0), (2, 1), False),
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
    _max_pool2d_forward,
    (_max_pool2d_dx,),
    _max_pool2d_jvp,
    _max_pool2d_samples,
    exact=True,
)


# The scatter to the places where the maxima were, and its transpose, the gather from there: each is the other's vjp.


def _max_pool2d_vjp_reference(g: Array, indices: Array, *, size: Pair) -> Result:
    planes = math.prod(g.shape[:-2])
    dx = np.zeros((planes, size[0] * size[1]), g.dtype)
    each = indices.reshape(planes, math.prod(g.shape[-2:]))
    np.add.at(dx, (np.arange(planes)[:, None], each), g.reshape(each.shape))
    return dx.reshape(*g.shape[:-2], *size), (indices,)


def _max_pool2d_vjp_forward(g: Array, indices: Array, *, size: Pair) -> Result:
    return _core.max_pool2d_vjp(g, indices, size), (indices,)


def _max_pool2d_vjp_dg(u: Any, indices: Any, *, size: Pair) -> Any:
    return apply(MAX_POOL2D_GATHER, u, indices)


def _max_pool2d_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, size in (((2, 3, 2, 3), (4, 5)), ((1, 1, 17), (2, 33)), ((0, 2, 2), (3, 3))):
        indices = rng.integers(0, math.prod(size), shape).astype(np.int32)
        yield Sample((rng.standard_normal(shape), indices), {"size": size})


MAX_POOL2D_VJP = Op(
    "max_pool2d_vjp",
    _max_pool2d_vjp_reference,
    _max_pool2d_vjp_forward,
    (_max_pool2d_vjp_dg, None),
    "linear",
    _max_pool2d_vjp_samples,
    exact=True,
)


def _max_pool2d_gather_reference(x: Array, indices: Array) -> Result:
    planes = x.reshape(*x.shape[:-2], math.prod(x.shape[-2:]))
    each = indices.reshape(*x.shape[:-2], math.prod(indices.shape[-2:]))
    y = np.take_along_axis(planes, each.astype(np.int64), -1)
    return y.reshape(indices.shape), (indices, x.shape[-2:])


def _max_pool2d_gather_forward(x: Array, indices: Array) -> Result:
    return _core.max_pool2d_gather(x, indices), (indices, x.shape[-2:])


def _max_pool2d_gather_dx(g: Any, indices: Any, size: Pair) -> Any:
    return apply(MAX_POOL2D_VJP, g, indices, size=size)


def _max_pool2d_gather_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, out in (((2, 3, 4, 5), (2, 3)), ((1, 2, 33), (1, 17)), ((0, 3, 3), (2, 2))):
        indices = rng.integers(0, math.prod(shape[-2:]), (*shape[:-2], *out)).astype(np.int32)
        yield Sample((rng.standard_normal(shape), indices))


MAX_POOL2D_GATHER = Op(
    "max_pool2d_gather",
    _max_pool2d_gather_reference,
    _max_pool2d_gather_forward,
    (_max_pool2d_gather_dx, None),
    "linear",
    _max_pool2d_gather_samples,
    exact=True,
)


def max_pool2d(
    input: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
    dilation: int | Pair = 1,
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
    need_float(name, input)
    kernel = pair(name, "kernel_size", kernel_size, 1)
    step = kernel if stride is None else pair(name, "stride", stride, 1)
    pad = pair(name, "padding", padding, 0)
    spread = pair(name, "dilation", dilation, 1)
    sizes = zip(_plane(name, input), kernel, step, pad, spread, strict=True)
    out = tuple([_count(name, *axis, bool(ceil_mode)) for axis in sizes])
    params = {"kernel": kernel, "stride": step, "padding": pad, "dilation": spread, "out": out}
    if return_indices:
        return apply(MAX_POOL2D_WITH_INDICES, input, **params)
    return apply(MAX_POOL2D, input, **params)


def _with_indices(run: Any) -> Any:
    def forward(x: Array, **params: Any) -> Result:
        y, (indices, size) = run(x, **params)
        return (y, indices.astype(np.int64)), (indices, size)

    return forward


MAX_POOL2D_WITH_INDICES = Op(
    "max_pool2d_with_indices",
    _with_indices(_max_pool2d_reference),
    _with_indices(_max_pool2d_forward),
    (lambda g, indices, size, **_: apply(MAX_POOL2D_VJP, g[0], indices, size=size),),
    lambda tangents, indices, _size, **_: (apply(MAX_POOL2D_GATHER, tangents[0], indices), None),
    _max_pool2d_samples,
    exact=True,
)


# --- the mean ---------------------------------------------------------------------------------------------------------
# Along each axis a table says what window i covers and what its sum is divided by: (begin, end, count). So the adaptive
# pooling, whose windows differ, is the same operator.


def _avg_pool2d_reference(x: Array, *, rows: Array, cols: Array) -> Result:
    y = np.empty((*x.shape[:-2], len(rows), len(cols)), x.dtype)
    for i, (a, b, n) in enumerate(rows.tolist()):
        for j, (c, d, m) in enumerate(cols.tolist()):
            y[..., i, j] = x[..., a:b, c:d].sum((-2, -1)) / (n * m)
    return y, (x.shape[-2:],)


def _avg_pool2d_forward(x: Array, *, rows: Array, cols: Array) -> Result:
    return _core.avg_pool2d(x, rows, cols), (x.shape[-2:],)


def _avg_pool2d_dx(g: Any, size: Pair, *, rows: Array, cols: Array) -> Any:
    return apply(AVG_POOL2D_VJP, g, rows=rows, cols=cols, size=size)


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
    yield (1, 2, 5, 7), _adaptive_windows(5, 3), _adaptive_windows(7, 2)
    yield (2, 1, 1), _adaptive_windows(1, 2), _adaptive_windows(1, 1)


def _covered(_x: Array, *, rows: Array, cols: Array, **_: Any) -> int:
    return int(np.ptp(rows[:, :2], 1).max() * np.ptp(cols[:, :2], 1).max())


AVG_POOL2D = Op(
    "avg_pool2d",
    _avg_pool2d_reference,
    _avg_pool2d_forward,
    (_avg_pool2d_dx,),
    "linear",
    _avg_pool2d_samples,
    length=_covered,
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


def avg_pool2d(
    input: Any,
    kernel_size: int | Pair,
    stride: int | Pair | None = None,
    padding: int | Pair = 0,
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
    need_float(name, input)
    kernel = pair(name, "kernel_size", kernel_size, 1)
    step = kernel if stride is None else pair(name, "stride", stride, 1)
    pad = pair(name, "padding", padding, 0)
    sizes = zip(_plane(name, input), kernel, step, pad, strict=True)
    rows, cols = [_windows(name, *axis, bool(ceil_mode), bool(count_include_pad)) for axis in sizes]
    if divisor_override is not None:
        if divisor_override == 0:
            raise ShapeError(f"{name}: divisor_override must not be 0")
        rows, cols = rows.copy(), cols.copy()
        rows[:, 2], cols[:, 2] = divisor_override, 1
    return apply(AVG_POOL2D, input, rows=rows, cols=cols)


@lru_cache(maxsize=1024)
def _adaptive_windows(size: int, out: int) -> Array:
    """Window i of `out` covers floor(i * size / out) to ceil((i + 1) * size / out)."""
    table = np.empty((out, 3), np.int64)
    for i, row in enumerate(table):
        begin, end = i * size // out, -(-(i + 1) * size // out)
        row[:] = begin, end, end - begin
    table.setflags(write=False)
    return table


def adaptive_avg_pool2d(input: Any, output_size: int | tuple[int | None, int | None]) -> Any:
    r"""The mean over windows that divide the plane into as many parts as `output_size` says.

        forward    y[i, j] = mean of x over rows floor(i*H/h) to ceil((i+1)*H/h), columns likewise
        backward   as `avg_pool2d`
        kernel     csrc/kernels/pool.cpp

    Shapes: input (N, C, H, W) or (C, H, W) to (..., h, w), or (..., h, h) for one size; None keeps that of the input.
    Raises ShapeError for other shapes and for negative sizes.

    >>> mt.nn.functional.adaptive_avg_pool2d(mt.tensor([[[1.0, 2.0, 6.0]]]), (1, 2))
    tensor([[[1.5000, 4.0000]]])
    """
    name = "adaptive_avg_pool2d"
    need_float(name, input)
    plane = _plane(name, input)
    asked = output_size if isinstance(output_size, (tuple, list)) else (output_size, output_size)
    sizes = [n if want is None else want for n, want in zip(plane, asked, strict=False)]
    h, w = pair(name, "output_size", sizes, 0)
    return apply(AVG_POOL2D, input, rows=_adaptive_windows(plane[0], h), cols=_adaptive_windows(plane[1], w))
