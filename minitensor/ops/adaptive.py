r"""Pooling to a given size, pooling by powers, and the way back from the maxima.

Window i of `out` along an axis of size n covers floor(i * n / out) to ceil((i + 1) * n / out): windows of sizes that
differ by one at most, which may overlap by one.

Kernels: csrc/kernels/pool.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _core
from ..errors import IndexRangeError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply
from ..op import Op, Result, Sample
from . import reduce
from .arithmetic import mul
from .common import Array, array_of, each, folded, named, need_float, reads, shape_of
from .functions import abs, pow, relu, sign
from .pool import (
    MAX_POOL2D_GATHER,
    MAX_POOL2D_VJP,
    adaptive_windows,
    avg_pool,
    in_volume,
    inner_sizes,
    mean,
    to_columns,
    to_row,
)
from .shape import reshape


def _sizes(name: str, axes: int, input: Any, output_size: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The sizes of the last axes, and those wanted; None keeps one."""
    need_float(name, input)
    have = inner_sizes(name, axes, input)
    asked = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * axes
    asked = asked * axes if len(asked) == 1 else asked
    if len(asked) != axes:
        raise ShapeError(f"{name}: output_size {output_size!r} must be one size or {axes}")
    wanted = [n if want is None else want for n, want in zip(have, asked, strict=True)]
    return have, each(name, "output_size", wanted, 0, axes)


# --- the mean ---------------------------------------------------------------------------------------------------------


def _adaptive_avg_pool(name: str, axes: int, input: Any, output_size: Any) -> Any:
    """adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d."""
    have, want = _sizes(name, axes, input, output_size)
    if set(want) == {1} and all(have):  # one window: no tables
        return reduce.mean(input, tuple(range(-axes, 0)), True)
    return mean(input, [adaptive_windows(n, out) for n, out in zip(have, want, strict=True)])


@named("SqueezeBackward1")
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Any:
    r"""The mean over windows that divide sequences (N, C, L) or (C, L) into `output_size` parts.

        forward    y[i] = mean of x from floor(i*L/l) to ceil((i+1)*L/l)
        backward   as `avg_pool1d`

    >>> mt.adaptive_avg_pool1d(mt.tensor([[1.0, 2.0, 6.0]]), 2)
    tensor([[1.5000, 4.0000]])
    """
    return _adaptive_avg_pool("adaptive_avg_pool1d", 1, input, output_size)


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Any:
    r"""The mean over windows that divide the plane into as many parts as `output_size` says.

        forward    y[i, j] = mean of x over rows floor(i*H/h) to ceil((i+1)*H/h), columns likewise
        backward   as `avg_pool2d`
        kernel     csrc/kernels/pool.cpp

    Shapes: input (N, C, H, W) or (C, H, W) to (..., h, w), or (..., h, h) for one size; None keeps that of the input.
    Raises ShapeError for other shapes and for negative sizes.

    >>> mt.nn.functional.adaptive_avg_pool2d(mt.tensor([[[1.0, 2.0, 6.0]]]), (1, 2))
    tensor([[[1.5000, 4.0000]]])
    """
    y = _adaptive_avg_pool("adaptive_avg_pool2d", 2, input, output_size)
    return y if shape_of(y)[-2:] == (1, 1) else called(y, "AdaptiveAvgPool2DBackward0")


@named("AdaptiveAvgPool3DBackward0")
def adaptive_avg_pool3d(input: Any, output_size: Any) -> Any:
    r"""The mean over windows that divide volumes (N, C, D, H, W) or (C, D, H, W); see `adaptive_avg_pool2d`.

        forward    y[l, i, j] = mean of x over the window (l, i, j)
        backward   as `avg_pool3d`

    >>> mt.nn.functional.adaptive_avg_pool3d(mt.arange(8.0).reshape(1, 2, 2, 2), (None, 1, 1)).flatten()
    tensor([1.5000, 5.5000])
    """
    return _adaptive_avg_pool("adaptive_avg_pool3d", 3, input, output_size)


# --- the maximum ------------------------------------------------------------------------------------------------------


def _adaptive_max_reference(x: Array, *, rows: Array, cols: Array) -> Result:
    h, w = x.shape[-2:]
    y = np.empty((*x.shape[:-2], len(rows), len(cols)), x.dtype)
    indices = np.empty(y.shape, np.int64)
    for i, (a, b, _) in enumerate(rows.tolist()):
        for j, (c, d, _) in enumerate(cols.tolist()):
            window = x[..., a:b, c:d].reshape(*x.shape[:-2], (b - a) * (d - c))
            best = window.argmax(-1)
            y[..., i, j] = np.take_along_axis(window, best[..., None], -1)[..., 0]
            indices[..., i, j] = (a + best // (d - c)) * w + c + best % (d - c)
    return (y, indices), (indices.astype(np.int32), (h, w))


@lru_cache(maxsize=1024)
def _even(size: int, out: int) -> tuple[int, int, int] | None:
    """The kernel, step and padding of equal windows that cover the same elements, if there are such."""
    if out == 0:
        return None
    begin, end, _ = adaptive_windows(size, out).T.tolist()
    step = max(1, begin[-1] - begin[-2] if out == 2 else begin[2] - begin[1]) if out > 1 else 1
    kernel = max(b - a for a, b in zip(begin, end, strict=True))
    for padding in range(kernel // 2 + 1):
        starts = [i * step - padding for i in range(out)]
        if [(max(a, 0), min(a + kernel, size)) for a in starts] == list(zip(begin, end, strict=True)):
            return kernel, step, padding
    return None


@lru_cache(maxsize=64)
def _places(size: tuple[int, int], out: tuple[int, int]) -> Array:
    """Where in the plane each window's elements are, in rows of one length: a shorter window's last ones again."""
    axes = []
    for n, parts in zip(size, out, strict=True):
        begin, end, width = adaptive_windows(n, parts).T[:, :, None]
        axes.append(np.minimum(begin + np.arange(width.max()), end - 1))
    down, right = axes
    places = down[:, None, :, None] * size[1] + right[None, :, None, :]
    return np.ascontiguousarray(places.reshape(math.prod(out), -1))


def _adaptive_max_uneven(x: Array, out: tuple[int, int]) -> Result:
    """By a copy of every window, whose largest element is that of a row."""
    size = x.shape[-2:]
    places = _places(size, out)
    planes = np.ascontiguousarray(x).reshape(-1, math.prod(size))
    windows = _core.index_select(planes, places.reshape(-1), 1, False)
    y, first = _core.max_along(windows.reshape(-1, *places.shape), 2, False)
    indices = places.reshape(-1)[first + np.arange(len(places)) * places.shape[1]]
    shape = (*x.shape[:-2], *out)
    return (y.reshape(shape), indices.reshape(shape)), (indices.astype(np.int32).reshape(shape), size)


def _adaptive_max_forward(x: Array, *, rows: Array, cols: Array) -> Result:
    h, w = x.shape[-2:]
    down, right = _even(h, len(rows)), _even(w, len(cols))
    if down is None or right is None:
        if x.size > 0 and len(rows) * len(cols) > 0 and x.dtype in (np.float32, np.float64):
            return _adaptive_max_uneven(x, (len(rows), len(cols)))
        return _adaptive_max_reference(x, rows=rows, cols=cols)
    kernel, stride, padding = zip(down, right, strict=True)
    y, indices = _core.max_pool2d(x, kernel, stride, padding, (1, 1), (len(rows), len(cols)))
    return (y, indices.astype(np.int64)), (indices, (h, w))


def _adaptive_max_dx(g: Any, indices: Any, size: Any, **_: Any) -> Any:
    return apply(MAX_POOL2D_VJP, g[0], indices, size=size)


def _adaptive_max_jvp(tangents: Any, indices: Any, _size: Any, **_: Any) -> Any:
    return apply(MAX_POOL2D_GATHER, tangents[0], indices), None


def _adaptive_max_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, h, w in (
        ((2, 3, 5, 7), 3, 2),
        ((1, 4, 4), 2, 4),
        ((0, 1, 3, 3), 1, 1),
        ((2, 1, 2), 3, 1),
        ((3, 17, 11), 5, 4),
    ):
        x = rng.permutation(math.prod(shape)).reshape(shape) / 8
        yield Sample((x,), {"rows": adaptive_windows(shape[-2], h), "cols": adaptive_windows(shape[-1], w)})


ADAPTIVE_MAX_POOL2D = Op(
    "adaptive_max_pool2d",
    _adaptive_max_reference,
    _adaptive_max_forward,
    (_adaptive_max_dx,),
    _adaptive_max_jvp,
    _adaptive_max_samples,
    exact=True,
    batch=folded("adaptive_max_pool2d"),
    flat=True,
)


def _adaptive_max_pool(name: str, axes: int, input: Any, output_size: Any, return_indices: Any) -> Any:
    """adaptive_max_pool1d, adaptive_max_pool2d, adaptive_max_pool3d."""
    have, want = _sizes(name, axes, input, output_size)
    tables = [adaptive_windows(n, out) for n, out in zip(have, want, strict=True)]
    shape = (*shape_of(input)[:-axes], *want)
    if axes == 1:
        input, tables = to_row(input), [adaptive_windows(1, 1), *tables]
    y, at = apply(ADAPTIVE_MAX_POOL2D, input, rows=tables[-2], cols=tables[-1])
    if axes == 3:
        single = adaptive_windows(want[1] * want[2], want[1] * want[2])
        y, slices = apply(ADAPTIVE_MAX_POOL2D, to_columns(y), rows=tables[0], cols=single)
        at = in_volume(at, slices, have)
    if axes != 2:
        y, at = reshape(y, shape), reshape(at, shape)
    return (y, at) if return_indices else y


@named("SqueezeBackward1")
def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    r"""The largest element of windows that divide sequences (N, C, L) or (C, L) into `output_size` parts.

        forward    y[i] = x[p],  p = argmax of x from floor(i*L/l) to ceil((i+1)*L/l)
        backward   dx[p] += g[i]

    >>> mt.adaptive_max_pool1d(mt.tensor([[1.0, 2.0, 6.0]]), 2)
    tensor([[2., 6.]])
    """
    return _adaptive_max_pool("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    r"""The largest element of windows that divide the plane into as many parts as `output_size` says.

        forward    y[i, j] = x[p],  p = argmax of x over the window, the first of equal ones, a NaN before all
        backward   dx[p] += g[i, j]

    Shapes and errors: as `adaptive_avg_pool2d`; the windows, too. With `return_indices` also the maxima's places in
    their planes, int64.

    >>> mt.nn.functional.adaptive_max_pool2d(mt.tensor([[[1.0, 2.0, 6.0]]]), (1, 2), return_indices=True)
    (tensor([[[2., 6.]]]), tensor([[[1, 2]]]))
    """
    return _adaptive_max_pool("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    r"""The largest element of windows that divide volumes (N, C, D, H, W) or (C, D, H, W); see `adaptive_max_pool2d`.

        forward    y[l, i, j] = x[p],  p = argmax of x over the window (l, i, j)
        backward   dx[p] += g[l, i, j]

    >>> mt.nn.functional.adaptive_max_pool3d(mt.arange(8.0).reshape(1, 2, 2, 2), (None, 1, 1)).flatten()
    tensor([3., 7.])
    """
    return _adaptive_max_pool("adaptive_max_pool3d", 3, input, output_size, return_indices)


# --- powers -----------------------------------------------------------------------------------------------------------


def _lp_pool(name: str, axes: int, input: Any, norm_type: float, kernel_size: Any, stride: Any, ceil_mode: bool) -> Any:
    """lp_pool1d, lp_pool2d, lp_pool3d."""
    kernel = each(name, "kernel_size", kernel_size, 1, axes)
    if norm_type == 0:
        raise ShapeError(f"{name}: norm_type must not be 0")
    need_float(name, input)
    total = avg_pool(name, axes, pow(input, norm_type), kernel, stride, 0, ceil_mode, True, None)
    return pow(mul(mul(sign(total), relu(abs(total))), math.prod(kernel)), 1.0 / norm_type)


def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    r"""The p-norm of every window of sequences (N, C, L) or (C, L), with p = `norm_type`.

        forward    y[i] = (sum of x^p over window i)^(1/p)
        backward   dx = sum of g y^(1-p) x^(p-1) over the windows that cover x

    Where ceil_mode lets a window stand out, its mean times the kernel's size is taken for the sum.

    >>> mt.nn.functional.lp_pool1d(mt.tensor([[3.0, 4.0, 6.0, 8.0]]), 2, 2)
    tensor([[ 5., 10.]])
    """
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    r"""The p-norm of every window of images (N, C, H, W) or (C, H, W); see `lp_pool1d`.

    forward    y[i, j] = (sum of x^p over window (i, j))^(1/p)

    >>> mt.nn.functional.lp_pool2d(mt.ones(1, 2, 2), 2, 2)
    tensor([[[2.]]])
    """
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Any:
    r"""The p-norm of every window of volumes (N, C, D, H, W) or (C, D, H, W); see `lp_pool1d`.

    forward    y[l, i, j] = (sum of x^p over window (l, i, j))^(1/p)

    >>> mt.nn.functional.lp_pool3d(mt.ones(1, 2, 2, 2), 3, 2)
    tensor([[[[2.]]]])
    """
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)


# --- the way back -----------------------------------------------------------------------------------------------------


def _unpool(
    name: str, axes: int, input: Any, indices: Any, kernel_size: Any, stride: Any, padding: Any, output_size: Any
) -> Any:
    """max_unpool1d, max_unpool2d, max_unpool3d."""
    have, at = inner_sizes(name, axes, input), array_of(indices)
    kernel = each(name, "kernel_size", kernel_size, 1, axes)
    step = kernel if stride is None else each(name, "stride", stride, 1, axes)
    pad = each(name, "padding", padding, 0, axes)
    size = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(have, step, pad, kernel, strict=True)]
    if output_size is not None:
        given = tuple(output_size)
        wanted = given[-axes:] if len(given) == len(shape_of(input)) else given
        if len(wanted) != axes or any(not n - s < w < n + s for w, n, s in zip(wanted, size, step, strict=True)):
            raise ShapeError(f"{name}: output_size {given} must lie within a stride {step} of {tuple(size)}")
        size = [int(n) for n in wanted]
    if at.shape != shape_of(input) or at.dtype.kind not in "iu":
        raise ShapeError(f"{name}: expected integer indices of the input's shape {shape_of(input)}, got {at.shape}")
    if min(size) < 1:
        raise ShapeError(f"{name}: input {shape_of(input)}, kernel {kernel} and padding {pad} leave {tuple(size)}")
    count = math.prod(size)
    if at.size and not (0 <= at.min() and at.max() < count):
        raise IndexRangeError(f"{name}: indices {at.min()} to {at.max()} do not fit into {tuple(size)}")
    flat = at.reshape(math.prod(at.shape[:-axes]), math.prod(have))
    rows = np.arange(len(flat))[:, None]
    last = np.empty((len(flat), count), np.int64)  # of several that go to one place the last one stays
    last[rows, flat] = np.arange(flat.shape[1])
    stays = last[rows, flat] == np.arange(flat.shape[1])
    places = np.where(stays, flat, -1)[:, None].astype(np.int32)
    y = apply(MAX_POOL2D_VJP, reshape(input, places.shape), places, size=(1, count))
    return reshape(y, (*shape_of(input)[:-axes], *size))


@reads("indices")
def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    r"""The maxima of `max_pool1d` back in their places, zeros elsewhere; see `max_unpool2d`.

        forward    y[indices[i]] = x[i]
        backward   dx[i] = g[indices[i]]

    >>> mt.nn.functional.max_unpool1d(mt.tensor([[2.0, 5.0]]), mt.tensor([[1, 2]]), 2)
    tensor([[0., 2., 5., 0.]])
    """
    return _unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


@reads("indices")
def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    r"""The maxima of `max_pool2d` back in their places, zeros elsewhere.

        forward    y[indices[i, j]] = x[i, j]; of several in one place the last
        backward   dx[i, j] = g[indices[i, j]], 0 for what did not stay

    Shapes: input and indices (N, C, H, W) or (C, H, W); per axis the result has (size - 1) * stride - 2 * padding +
    kernel elements, or `output_size`, which must be less than a stride away from that.
    Raises ShapeError for other shapes, IndexError for an index out of range.

    >>> y, at = mt.nn.functional.max_pool2d(mt.tensor([[[1.0, 2.0], [4.0, 3.0]]]), 2, return_indices=True)
    >>> mt.nn.functional.max_unpool2d(y, at, 2)
    tensor([[[0., 0.],
             [4., 0.]]])
    """
    return _unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


@reads("indices")
def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Any:
    r"""The maxima of `max_pool3d` back in their places, zeros elsewhere; see `max_unpool2d`.

        forward    y[indices[l, i, j]] = x[l, i, j]
        backward   dx[l, i, j] = g[indices[l, i, j]]

    >>> mt.nn.functional.max_unpool3d(mt.ones(1, 1, 1, 1), mt.tensor([[[[7]]]]), 2).sum()
    tensor(1.)
    """
    return _unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)
