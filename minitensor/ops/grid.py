r"""Images read at the points of a grid: the spatial transformer.

A point is given in [-1, 1] along each axis: over the pixels' centres (align_corners) or over the image's edges. Its
value is a weighted sum of the pixels around it, gathered by `max_pool2d_gather`; the weights are functions of the grid,
and so both have their gradients. Source: M. Jaderberg et al., "Spatial transformer networks" (2015).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DtypeError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply
from .arithmetic import add, mul, rsub, sub
from .common import (
    Array,
    array_of,
    named,
    need_float,
    raw,
    reads,
    shape_of,
    widens,
)
from .comparison import where
from .functions import abs
from .indexing import getitem
from .matmul import matmul
from .pool import MAX_POOL2D_GATHER
from .shape import reshape, transpose, unsqueeze

Taps = list[tuple[Array, Any]]  # along one axis: the elements read, and the weight of each (None: 1)


def _position(t: Any, n: int, align_corners: bool) -> Any:
    """[-1, 1] as a position counted in elements of an axis of size n."""
    if align_corners:
        return mul(add(t, 1.0), (n - 1) / 2)
    return sub(mul(add(t, 1.0), n / 2), 0.5)


def _reflected(at: Any, n: int, align_corners: bool) -> Any:
    """A position mirrored at the ends, as often as needed, to one inside."""
    low = 0.0 if align_corners else -0.5
    span = float(n - 1) if align_corners else float(n)
    if span == 0:
        return mul(at, 0.0)
    distance = np.abs(raw(at) - low)
    turns = np.floor(distance / span)
    sign = np.where(raw(at) < low, -1.0, 1.0).astype(array_of(at).dtype)
    extra = mul(sub(at, low), sign)  # the distance, in the graph
    rest = sub(extra, (turns * span).astype(array_of(at).dtype))
    odd = (turns % 2).astype(array_of(at).dtype)
    return add(add(mul(rest, 1 - 2 * odd), odd * array_of(at).dtype.type(span)), low)


def _inside(at: Any, n: int, padding: str, align_corners: bool) -> Any:
    """A position brought into the image, where the padding says so."""
    if padding == "reflection":
        at = _reflected(at, n, align_corners)
    if padding == "zeros":
        return at
    a = raw(at)  # at the ends the gradient is 0, and a NaN lies at the first element
    return where((a > 0) & (a < n - 1), at, np.fmin(np.fmax(a, 0), n - 1).astype(a.dtype))


def _whole(values: Array, n: int) -> Array:
    """Integers of an array of whole numbers; what lies outside 0..n-1 (a NaN, too) becomes -1."""
    return np.where((values >= 0) & (values <= n - 1), values, -1).astype(np.int64)


def _along(t: Any, n: int, mode: str, padding: str, align_corners: bool) -> Taps:
    """What is read along one axis for the grid's coordinate t."""
    at = _position(t, n, align_corners)
    if mode != "bicubic":
        at = _inside(at, n, padding, align_corners)
    if mode == "nearest":
        return [(_whole(np.rint(raw(at)), n), None)]
    left = np.floor(raw(at))
    part = sub(at, left)
    if mode == "bilinear":
        return [(_whole(left, n), rsub(part, 1.0)), (_whole(left + 1, n), part)]
    taps: Taps = []
    for k in range(-1, 3):
        place = raw(_inside(left + k, n, padding, align_corners))
        taps.append((_whole(place if padding == "zeros" else np.rint(place), n), _keys(abs(sub(part, float(k))), k)))
    return taps


def _keys(t: Any, k: int) -> Any:
    """Keys' cubic with slope -0.75 at the distance t: of the two inner taps (k = 0, 1) and the two outer."""
    a = -0.75
    if k in (0, 1):
        return add(mul(mul(sub(mul(t, a + 2), a + 3), t), t), 1.0)
    return sub(mul(add(mul(sub(mul(t, a), 5 * a), t), 8 * a), t), 4 * a)


@widens
@reads()
def grid_sample(
    input: Any,
    grid: Any,
    mode: str = "bilinear",
    padding_mode: str = "zeros",
    align_corners: bool | None = None,
) -> Any:
    r"""The values of images at the points of a grid.

        forward    y[n, c, i, j] = sum_ab w_a(v) w_b(u) x[n, c, a, b],   (u, v) = grid[n, i, j]
        backward   dx[n, c, a, b] += w_a(v) w_b(u) g[n, c, i, j];  du, dv through the weights

    The grid's last axis holds (x, y) or (x, y, z), each -1 at one end of the image and 1 at the other. `mode`:
    "nearest" (the nearest pixel; no gradient by the grid), "bilinear" (two neighbours an axis), "bicubic" (four, planes
    only).
    `padding_mode` says what lies outside: "zeros", "border" (the nearest pixel), "reflection".

    Shapes: input (N, C, H, W), grid (N, h, w, 2) to (N, C, h, w); or input (N, C, D, H, W), grid (N, d, h, w, 3).
    Raises ShapeError for other shapes and unknown modes, DtypeError where the dtypes differ.

    >>> x = mt.tensor([[[[1.0, 3.0]]]])
    >>> mt.nn.functional.grid_sample(x, mt.tensor([[[[0.0, 0.0], [-1.0, 0.0]]]]), align_corners=True)
    tensor([[[[2., 1.]]]])
    """
    name = "grid_sample"
    x, g = shape_of(input), shape_of(grid)
    need_float(name, input, grid)
    if array_of(input).dtype != array_of(grid).dtype:
        raise DtypeError(
            f"{name}: the dtypes {array_of(input).dtype} of the input and {array_of(grid).dtype} of the grid differ"
        )
    axes = len(x) - 2
    if axes not in (2, 3) or len(g) != len(x) or g[-1] != axes or g[0] != x[0]:
        raise ShapeError(
            f"{name}: expected (N, C, H, W) and a grid (N, h, w, 2), or (N, C, D, H, W) and (N, d, h, w, 3), "
            f"got {x} and {g}"
        )
    if mode not in ("bilinear", "nearest", "bicubic") or (mode == "bicubic" and axes == 3):
        raise ShapeError(f"{name}: mode must be 'bilinear', 'nearest' or (planes only) 'bicubic', not {mode!r}")
    if padding_mode not in ("zeros", "border", "reflection"):
        raise ShapeError(f"{name}: padding_mode must be 'zeros', 'border' or 'reflection', not {padding_mode!r}")
    if 0 in x[1:]:
        raise ShapeError(f"{name}: there is nothing to sample in {x}; only the batch may be empty")
    points = (g[0], 1, *g[1:-1])
    taps = [
        _along(reshape(getitem(grid, (..., axes - 1 - d)), points), x[2 + d], mode, padding_mode, bool(align_corners))
        for d in range(axes)
    ]
    flat = reshape(input, (x[0], x[1], 1, math.prod(x[2:])))
    total = None
    for corner in itertools.product(*taps):
        place = np.zeros(points, np.int64)
        outside = np.zeros(points, bool)
        for n, (index, _) in zip(x[2:], corner, strict=True):
            place, outside = place * n + index, outside | (index < 0)
        place = np.where(outside, -1, place).reshape(x[0], 1, 1, math.prod(points[2:]))
        rows = np.broadcast_to(place, (x[0], x[1], *place.shape[2:])).astype(np.int32)
        term = reshape(apply(MAX_POOL2D_GATHER, flat, rows), (x[0], x[1], *points[2:]))
        for _, weight in corner:
            term = term if weight is None else mul(term, weight)
        total = term if total is None else add(total, term)
    return called(total, f"GridSampler{axes}DBackward0")


@named("AffineGridGeneratorBackward0")
def affine_grid(theta: Any, size: Sequence[int], align_corners: bool | None = None) -> Any:
    r"""The grid of points that an affine map sends the pixels of an image of a given size to.

        forward    grid[n, i, j] = theta[n] (u_j, v_i, 1)^T,  u and v from -1 to 1
        backward   dtheta[n] = sum_ij g[n, i, j] (u_j, v_i, 1)

    Shapes: theta (N, 2, 3) and size (N, C, H, W) to (N, H, W, 2); theta (N, 3, 4) and size (N, C, D, H, W) to
    (N, D, H, W, 3). The points are the pixels' centres, or with `align_corners` spread from edge to edge.
    Raises ShapeError for other shapes.

    >>> mt.nn.functional.affine_grid(mt.eye(2, 3).unsqueeze(0), (1, 1, 1, 2), align_corners=True)
    tensor([[[[-1.,  0.],
              [ 1.,  0.]]]])
    """
    name = "affine_grid"
    t = shape_of(theta)
    need_float(name, theta)
    sizes = tuple([int(n) for n in size])
    axes = len(sizes) - 2
    if axes not in (2, 3) or t != (sizes[0], axes, axes + 1) or min(sizes) < 1:
        raise ShapeError(
            f"{name}: expected theta (N, 2, 3) and size (N, C, H, W), or (N, 3, 4) and (N, C, D, H, W), "
            f"got {t} and {sizes}"
        )
    lines = []
    for n in sizes[2:]:
        ends = np.linspace(-1, 1, n) if n > 1 else np.zeros(1)
        lines.append(ends if align_corners else ends * (n - 1) / n)
    mesh = np.meshgrid(*lines, indexing="ij")
    base = np.stack([*mesh[::-1], np.ones(sizes[2:])], -1).astype(array_of(theta).dtype)
    points = matmul(unsqueeze(base.reshape(-1, axes + 1), 0), transpose(theta, 1, 2))
    return reshape(points, (sizes[0], *sizes[2:], axes))
