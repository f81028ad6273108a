r"""Fractional max pooling: windows of one size whose places are drawn at random.

Along an axis of size n, window i of `out`, of k elements, begins at

    start_i = floor((i + u) a) - floor(u a),   a = (n - k) / (out - 1),   and the last one at n - k

with one random u of [0, 1) for each axis of each plane. B. Graham, "Fractional max-pooling", 2014.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DtypeError, ShapeError
from ..generator import default_generator
from ..graph.record import apply
from ..op import Op, Result, Sample
from .common import Array, Pair, array_of, draws_numbers, each, need_float, shape_of
from .pool import MAX_POOL2D_GATHER, MAX_POOL2D_VJP, in_volume, inner_sizes, to_columns
from .shape import reshape


def _starts(u: Array, size: int, out: int, kernel: int) -> Array:
    """Where the windows along an axis begin: for each random number a row."""
    a = u.dtype.type(size - kernel) / u.dtype.type(max(out - 1, 1))
    at = np.arange(out, dtype=u.dtype) + u[..., None]
    starts: Array = (at * a).astype(np.int64) - (u * a).astype(np.int64)[..., None]
    starts[..., out - 1 :] = size - kernel
    return starts


def _fractional_reference(x: Array, *, rows: Array, cols: Array, kernel: Pair) -> Result:
    h, w = x.shape[-2:]
    places = np.ix_(*map(np.arange, x.shape[:-2]), *map(np.arange, (rows.shape[-1], cols.shape[-1])))[:-2]
    i, j = rows[..., :, None], cols[..., None, :]
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel, (-2, -1))[(*places, i, j)]
    windows = windows.reshape(*windows.shape[:-2], kernel[0] * kernel[1])
    best = windows.argmax(-1)
    indices = (i + best // kernel[1]) * w + j + best % kernel[1]
    y = np.take_along_axis(windows, best[..., None], -1)[..., 0]
    return (y, indices), (indices.astype(np.int32), (h, w))


def _fractional_dx(g: Any, indices: Any, size: Any, **_: Any) -> Any:
    return apply(MAX_POOL2D_VJP, g[0], indices, size=size)


def _fractional_jvp(tangents: Any, indices: Any, _size: Any, **_: Any) -> Any:
    return apply(MAX_POOL2D_GATHER, tangents[0], indices), None


def _fractional_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, out, kernel in (
        ((2, 3, 6, 7), (3, 4), (2, 3)),
        ((1, 5, 5), (1, 2), (2, 2)),
        ((0, 1, 3, 3), (2, 2), (1, 2)),
    ):
        x = rng.permutation(math.prod(shape)).reshape(shape) / 8
        u = rng.random((2, *shape[:-2]))
        rows, cols = [_starts(u[d], shape[d - 2], out[d], kernel[d]) for d in (0, 1)]
        yield Sample((x,), {"rows": rows, "cols": cols, "kernel": kernel})


FRACTIONAL_MAX_POOL2D = Op(
    "fractional_max_pool2d",
    _fractional_reference,
    None,
    (_fractional_dx,),
    _fractional_jvp,
    _fractional_samples,
    exact=True,
)


@draws_numbers
def _fractional(
    name: str, axes: int, input: Any, kernel_size: Any, output_size: Any, output_ratio: Any, random_samples: Any
) -> tuple[Any, Any]:
    """fractional_max_pool2d, fractional_max_pool3d: (maxima, places)."""
    need_float(name, input)
    inner = inner_sizes(name, axes, input)
    if output_size is None and output_ratio is None:
        raise ShapeError(f"{name}: give output_size or output_ratio")
    kernel = each(name, "kernel_size", kernel_size, 1, axes)
    if output_size is None:
        ratios = output_ratio if isinstance(output_ratio, (tuple, list)) else (output_ratio,) * axes
        if len(ratios) != axes:
            raise ShapeError(f"{name}: output_ratio {output_ratio!r} must be one number or {axes}")
        output_size = [int(n * ratio) for n, ratio in zip(inner, ratios, strict=True)]
    out = each(name, "output_size", output_size, 1, axes)
    for n, count, k in zip(inner, out, kernel, strict=True):
        if count + k - 1 > n:
            raise ShapeError(f"{name}: {count} windows of {k} need {count + k - 1} elements, but an axis has {n}")
    x, lead = array_of(input), shape_of(input)[:-axes]
    drawn = (*((1,) * (2 - len(lead))), *lead, axes)  # one for each axis of each plane, the last axis first
    if random_samples is None:
        u = default_generator.uniform(drawn, x.dtype)
    else:
        u = array_of(random_samples)
        if u.shape != drawn:
            raise ShapeError(f"{name}: _random_samples {u.shape} must be {drawn}")
        if u.dtype != x.dtype:
            raise DtypeError(f"{name}: _random_samples {u.dtype} must be of the input's dtype {x.dtype}")
    u = u.reshape(*lead, axes)
    order = range(axes)[::-1] if axes == 2 else range(axes)
    starts = [_starts(u[..., k], *axis) for k, axis in zip(order, zip(inner, out, kernel, strict=True), strict=True)]
    if axes == 2:
        pooled: tuple[Any, Any] = apply(FRACTIONAL_MAX_POOL2D, input, rows=starts[0], cols=starts[1], kernel=kernel)
        return pooled
    slices = [np.broadcast_to(s[..., None, :], (*lead, inner[0], s.shape[-1])) for s in starts[1:]]
    y, at = apply(FRACTIONAL_MAX_POOL2D, input, rows=slices[0], cols=slices[1], kernel=kernel[1:])
    columns = np.broadcast_to(np.arange(out[1] * out[2]), (*lead, out[1] * out[2]))
    y, found = apply(FRACTIONAL_MAX_POOL2D, to_columns(y), rows=starts[0], cols=columns, kernel=(kernel[0], 1))
    shape = (*lead, *out)
    return reshape(y, shape), reshape(in_volume(at, found, inner), shape)


def fractional_max_pool2d_with_indices(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> tuple[Any, Any]:
    """(the maxima, their places in their planes); see `fractional_max_pool2d`.

    >>> F = mt.nn.functional
    >>> F.fractional_max_pool2d_with_indices(mt.arange(4.0).reshape(1, 2, 2), 2, output_size=1)
    (tensor([[[3.]]]), tensor([[[3]]]))
    """
    return _fractional("fractional_max_pool2d", 2, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool3d_with_indices(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> tuple[Any, Any]:
    """(the maxima, their places in their volumes); see `fractional_max_pool2d`.

    >>> F = mt.nn.functional
    >>> F.fractional_max_pool3d_with_indices(mt.arange(8.0).reshape(1, 2, 2, 2), 2, output_size=1)[1]
    tensor([[[[7]]]])
    """
    return _fractional("fractional_max_pool3d", 3, input, kernel_size, output_size, output_ratio, _random_samples)


def fractional_max_pool2d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    r"""The largest element of windows whose places are drawn at random, as many as `output_size` says.

        forward    y[i, j] = x[p],  p = argmax of x over the window that begins at (row_i, column_j)
        backward   dx[p] += g[i, j]

    Input (N, C, H, W) or (C, H, W) to (..., h, w). Instead of the size `output_ratio` may be given, its part of the
    input's. `_random_samples` (N, C, 2) are the numbers u of [0, 1) of columns and rows, drawn if there are none. With
    `return_indices` also the maxima's places in their planes. Raises ShapeError for windows that do not fit.

    >>> u = mt.tensor([[[0.5, 0.5]]])
    >>> mt.nn.functional.fractional_max_pool2d(mt.arange(16.0).reshape(1, 4, 4), 2, 2, _random_samples=u)
    tensor([[[ 5.,  7.],
             [13., 15.]]])
    """
    found = fractional_max_pool2d_with_indices(input, kernel_size, output_size, output_ratio, True, _random_samples)
    return found if return_indices else found[0]


def fractional_max_pool3d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    r"""The largest element of windows of volumes (N, C, D, H, W) or (C, D, H, W); see `fractional_max_pool2d`.

        forward    y[l, i, j] = x[p],  p = argmax of x over the window (l, i, j)
        backward   dx[p] += g[l, i, j]

    `_random_samples` (N, C, 3) are the numbers of slices, rows and columns.

    >>> mt.nn.functional.fractional_max_pool3d(mt.arange(8.0).reshape(1, 2, 2, 2), 2, output_size=1)
    tensor([[[[7.]]]])
    """
    found = fractional_max_pool3d_with_indices(input, kernel_size, output_size, output_ratio, True, _random_samples)
    return found if return_indices else found[0]
