"""Shapes, movement and indexing: see `table`."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np

import minitensor as mt
import minitensor.nn.functional as F

from ..graph.tensors import vmap_layer
from ..ops.common import raw
from .table import UnsupportedError, elements, ints, item, like, reads


@reads("Shape")
def _shape(x: Any, *, start: int = 0, end: int | None = None) -> Any:
    return mt.as_tensor(np.asarray(x.shape[start:end], np.int64))


@reads("Size")
def _size(x: Any) -> Any:
    return mt.as_tensor(np.asarray(math.prod(x.shape), np.int64))


@reads("Reshape")
def _reshape_to(x: Any, *, shape: Any, consumed_inputs: Any = None) -> Any:
    return _reshape(x, shape)


@reads("Reshape", since=5)
def _reshape(x: Any, shape: Any, *, allowzero: int = 0) -> Any:
    sizes = ints(shape)
    return x.reshape(tuple([x.shape[d] if n == 0 and not allowzero else n for d, n in enumerate(sizes)]))


@reads("Flatten")
def _flatten(x: Any, *, axis: int = 1) -> Any:
    axis = axis + x.ndim if axis < 0 else axis
    return x.reshape((math.prod(x.shape[:axis]), math.prod(x.shape[axis:])))


@reads("Transpose")
def _transpose(x: Any, *, perm: Any = None) -> Any:
    return x.permute(tuple(range(x.ndim))[::-1] if perm is None else tuple(perm))


@reads("Squeeze")
def _squeeze_by_attribute(x: Any, *, axes: Any = None) -> Any:
    return _squeeze(x, axes)


@reads("Squeeze", since=13)
def _squeeze(x: Any, axes: Any = None) -> Any:
    return x.squeeze() if axes is None else x.squeeze(tuple(ints(axes)))


@reads("Unsqueeze")
def _unsqueeze_by_attribute(x: Any, *, axes: Any) -> Any:
    return _unsqueeze(x, axes)


@reads("Unsqueeze", since=13)
def _unsqueeze(x: Any, axes: Any) -> Any:
    dims = ints(axes)
    rank = x.ndim + len(dims)
    new = {d % rank for d in dims}
    sizes = iter(x.shape)
    return x.reshape(tuple([1 if d in new else next(sizes) for d in range(rank)]))


@reads("Concat")
def _concat(*xs: Any, axis: int = 1) -> Any:
    return mt.cat(list(xs), axis)


def _parts(x: Any, axis: int, sizes: list[int]) -> tuple[Any, ...]:
    return tuple(mt.split(x, sizes, axis))


def _even(n: int, parts: int) -> list[int]:
    step = -(-n // parts)
    return [max(min(step, n - k * step), 0) for k in range(parts)]


@reads("Split", at=True)
def _split_by_attribute(x: Any, *more: Any, axis: int = 0, split: Any = None, at: Any) -> Any:
    sizes = split if split is not None else ints(more[0]) if more else _even(x.shape[axis], len(at.outputs))
    return _parts(x, axis, list(sizes))


@reads("Split", since=13, at=True)
def _split(x: Any, sizes: Any = None, *, axis: int = 0, num_outputs: int | None = None, at: Any) -> Any:
    parts = len(at.outputs) if num_outputs is None else num_outputs
    return _parts(x, axis, _even(x.shape[axis], parts) if sizes is None else ints(sizes))


@reads("Slice")
def _slice_by_attributes(x: Any, *, starts: Any, ends: Any, axes: Any = None) -> Any:
    return _slice(x, starts, ends, axes)


@reads("Slice", since=10)
def _slice(x: Any, starts: Any, ends: Any, axes: Any = None, steps: Any = None) -> Any:
    first, last = ints(starts), ints(ends)
    dims = range(len(first)) if axes is None else ints(axes)
    strides = [1] * len(first) if steps is None else ints(steps)
    for d, start, end, step in zip(dims, first, last, strides, strict=True):
        n = x.shape[d]
        if step > 0:
            x = x[(slice(None),) * (d % x.ndim) + (slice(start, end, step),)]
        else:
            at = np.arange(n, dtype=np.int64)[slice(start, end if end >= -n else None, step)]
            x = mt.index_select(x, d, mt.as_tensor(at.copy()))
    return x


@reads("Expand")
def _expand(x: Any, shape: Any) -> Any:
    return mt.broadcast_to(x, np.broadcast_shapes(tuple(x.shape), tuple(ints(shape))))


@reads("Tile")
def _tile(x: Any, repeats: Any, *old: Any) -> Any:
    if old:  # of the first set: how often, and along which axis
        counts = [item(repeats) if d == item(old[0]) else 1 for d in range(x.ndim)]
        return x.repeat(tuple(counts))
    return x.repeat(tuple(ints(repeats)))


@reads("Pad")
def _pad_by_attribute(x: Any, *, pads: Any = None, paddings: Any = None, mode: str = "constant", value: float = 0.0) -> Any:  # fmt: skip # noqa: E501
    return _pad(x, paddings if pads is None else pads, value, mode=mode)


@reads("Pad", since=11)
def _pad(x: Any, pads: Any, value: Any = None, axes: Any = None, *, mode: str = "constant") -> Any:
    dims = [d % x.ndim for d in (range(x.ndim) if axes is None else ints(axes))]
    widths = ints(pads)
    pairs = {d: (widths[k], widths[k + len(dims)]) for k, d in enumerate(dims)}
    if mode == "constant":
        flat = [n for d in reversed(range(x.ndim)) for n in pairs.get(d, (0, 0))]
        fill = item(value, 0)
        return F.pad(x, flat, value=bool(fill) if x.dtype is mt.bool else fill)
    numpy_mode = {"edge": "edge", "reflect": "reflect", "wrap": "wrap"}[mode]
    for d, (before, after) in pairs.items():
        n, low, high = x.shape[d], max(-before, 0), max(-after, 0)
        at = np.arange(n, dtype=np.int64)[low : n - high]
        at = np.pad(at, (max(before, 0), max(after, 0)), numpy_mode)  # type: ignore[call-overload]
        x = mt.index_select(x, d, mt.as_tensor(at)) if before or after else x
    return x


@reads("Trilu")
def _trilu(x: Any, k: Any = None, *, upper: int = 1) -> Any:
    return (mt.triu if upper else mt.tril)(x, item(k, 0))


@reads("Constant")
def _constant(**value: Any) -> Any:
    ((name, held),) = value.items()
    if name == "value":
        return held
    if name in ("sparse_value", "value_string", "value_strings"):
        raise UnsupportedError(f"the attribute {name}")
    kind = np.float32 if name.startswith("value_float") else np.int64
    return mt.as_tensor(np.asarray(held, kind))


@reads("ConstantOfShape")
def _constant_of_shape(shape: Any, *, value: Any = None) -> Any:
    filling = np.zeros((), np.float32) if value is None else raw(value).reshape(())
    return mt.as_tensor(np.full(tuple(ints(shape)), filling, filling.dtype))


@reads("DepthToSpace")
def _depth_to_space(x: Any, *, blocksize: int, mode: str = "DCR") -> Any:
    n, c, h, w = x.shape
    b = blocksize
    inner = c // (b * b)
    if mode == "DCR":
        y = x.reshape((n, b, b, inner, h, w)).permute((0, 3, 4, 1, 5, 2))
    else:
        y = x.reshape((n, inner, b, b, h, w)).permute((0, 1, 4, 2, 5, 3))
    return y.reshape((n, inner, h * b, w * b))


@reads("SpaceToDepth")
def _space_to_depth(x: Any, *, blocksize: int, mode: str = "DCR") -> Any:
    n, c, h, w = x.shape
    b = blocksize
    y = x.reshape((n, c, h // b, b, w // b, b))
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return y.permute(order).reshape((n, c * b * b, h // b, w // b))


@reads("CenterCropPad")
def _center_crop_pad(x: Any, shape: Any, *, axes: Any = None) -> Any:
    dims = range(x.ndim) if axes is None else axes
    for d, want in zip(dims, ints(shape), strict=True):
        have = x.shape[d]
        if have > want:
            x = mt.narrow(x, d, (have - want) // 2, want)
        elif have < want:
            before = (want - have) // 2
            after = x.ndim - 1 - d % x.ndim
            x = F.pad(x, [0, 0] * after + [before, want - have - before])
    return x


@reads("ReverseSequence")
def _reverse_sequence(x: Any, lengths: Any, *, batch_axis: int = 1, time_axis: int = 0) -> Any:
    steps, counts = np.arange(x.shape[time_axis]), np.asarray(ints(lengths))
    at = np.where(steps[:, None] < counts, counts - 1 - steps[:, None], steps[:, None])  # (time, batch)
    at = at if time_axis < batch_axis else at.T
    form = [n if d in (batch_axis, time_axis) else 1 for d, n in enumerate(x.shape)]
    return mt.take_along_dim(x, mt.as_tensor(at.reshape(form)).expand(tuple(x.shape)), time_axis)


# --- indexing ---------------------------------------------------------------------------------------------------------


def _from_front(index: Any, n: int) -> Any:
    """Indices counted from the front; ONNX also counts from the end."""
    if vmap_layer(index) is not None:
        return mt.where(index < 0, index + n, index).long()
    a = raw(index).astype(np.int64)
    return mt.as_tensor(np.where(a < 0, a + n, a)) if (a < 0).any() or a is not raw(index) else index


@reads("Gather")
def _gather(x: Any, index: Any, *, axis: int = 0) -> Any:
    axis %= x.ndim
    at = _from_front(index, x.shape[axis])
    if axis == 0 and x.ndim == 2 and at.ndim and raw(x).dtype.kind == "f":
        return F.embedding(at, x)
    picked = mt.index_select(x, axis, at.reshape((-1,)))
    return picked.reshape((*x.shape[:axis], *at.shape, *x.shape[axis + 1 :]))


@reads("GatherElements")
def _gather_elements(x: Any, index: Any, *, axis: int = 0) -> Any:
    return mt.gather(x, axis, _from_front(index, x.shape[axis]))


def _nd(x: Any, index: Any, batch: int) -> tuple[Any, ...]:
    """GatherND's index: for each of the axes that it goes into, the numbers."""
    at = raw(index)
    lead = [np.arange(n).reshape((-1, *[1] * (at.ndim - 2 - d))) for d, n in enumerate(at.shape[:batch])]
    return tuple([mt.as_tensor(a.astype(np.int64)) for a in [*lead, *np.moveaxis(at, -1, 0)]])


@reads("GatherND")
def _gather_nd(x: Any, index: Any, *, batch_dims: int = 0) -> Any:
    return x[_nd(x, index, batch_dims)]


_SCATTERED = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


@reads("ScatterElements", "Scatter")
def _scatter_elements(x: Any, index: Any, updates: Any, *, axis: int = 0, reduction: str = "none") -> Any:
    at = _from_front(index, x.shape[axis])
    if reduction == "none":
        return mt.scatter(x, axis, at, updates)
    return mt.scatter_reduce(x, axis, at, updates, _SCATTERED[reduction])


@reads("ScatterND")
def _scatter_nd(x: Any, index: Any, updates: Any, *, reduction: str = "none") -> Any:
    places = raw(index).astype(np.int64)
    depth = places.shape[-1]
    lead = tuple(x.shape[:depth])
    flat = np.ravel_multi_index(tuple(np.moveaxis(places % np.asarray(lead), -1, 0).reshape(depth, -1)), lead)
    rows = x.reshape((math.prod(lead), -1))
    at = mt.as_tensor(np.broadcast_to(flat[:, None], (flat.size, rows.shape[1])).copy())
    return _scatter_elements(rows, at, updates.reshape(tuple(at.shape)), reduction=reduction).reshape(x.shape)


@reads("OneHot")
def _one_hot(index: Any, depth: Any, values: Any, *, axis: int = -1) -> Any:
    n = int(item(depth))
    a = raw(index)
    hot = np.expand_dims(a, axis if axis >= 0 else axis + a.ndim + 1)
    form = [1] * (a.ndim + 1)
    form[axis] = n
    off, on = elements(values)
    return mt.as_tensor(np.where(np.where(hot < 0, hot + n, hot) == np.arange(n).reshape(form), on, off))


@reads("Compress")
def _compress(x: Any, condition: Any, *, axis: int | None = None) -> Any:
    x, axis = (x.reshape((-1,)), 0) if axis is None else (x, axis)
    return mt.index_select(x, axis, mt.as_tensor(np.flatnonzero(raw(condition))))


@reads("NonZero")
def _nonzero(x: Any) -> Any:
    return mt.as_tensor(np.asarray(np.nonzero(raw(x)), np.int64))


@reads("Unique")
def _unique(x: Any, *, axis: int | None = None, sorted: int = 1) -> Any:
    a = raw(x)
    found, first, inverse, counts = np.unique(a, return_index=True, return_inverse=True, return_counts=True, axis=axis)
    inverse = inverse.ravel()
    if not sorted:  # in the order in which they come
        order = np.argsort(first, kind="stable")
        found = np.take(found, order, axis=0 if axis is None else axis)
        first, counts, inverse = first[order], counts[order], np.argsort(order)[inverse]
    return tuple(map(mt.as_tensor, (found, *[k.astype(np.int64) for k in (first, inverse, counts)])))


# --- images -----------------------------------------------------------------------------------------------------------


@reads("Upsample")
def _upsample_by_attribute(x: Any, *, mode: str = "nearest", scales: Any = None, **old: Any) -> Any:
    scales = scales or [1.0, 1.0, old["height_scale"], old["width_scale"]]
    return _upsample(x, mt.as_tensor(np.asarray(scales)), mode=mode)


@reads("Upsample", since=9)
@reads("Resize", since=10)
def _upsample(x: Any, scales: Any, *, mode: str = "nearest") -> Any:
    return _resize(x, None, scales, mode=mode, coordinate_transformation_mode="asymmetric", nearest_mode="floor")


@reads("Resize", since=11)
def _resize(
    x: Any,
    roi: Any = None,
    scales: Any = None,
    sizes: Any = None,
    *,
    mode: str = "nearest",
    coordinate_transformation_mode: str = "half_pixel",
    nearest_mode: str = "round_prefer_floor",
    cubic_coeff_a: float = -0.75,
    exclude_outside: int = 0,
    extrapolation_value: float = 0.0,
    antialias: int = 0,
    axes: Any = None,
    keep_aspect_ratio_policy: str = "stretch",
) -> Any:
    """Axis after axis: each output element is a weighted sum of a few input elements along it."""
    dims = [d % x.ndim for d in (range(x.ndim) if axes is None else axes)]
    have = [x.shape[d] for d in dims]
    if scales is not None and raw(scales).size:
        factors = [float(s) for s in elements(scales)]
        want = [math.floor(n * s) for n, s in zip(have, factors, strict=True)]
    else:
        want = ints(sizes)
        factors = [w / n for w, n in zip(want, have, strict=True)]
        if keep_aspect_ratio_policy != "stretch":
            factor = min(factors) if keep_aspect_ratio_policy == "not_larger" else max(factors)
            factors = [factor] * len(dims)
            want = [math.floor(n * factor + 0.5) for n in have]
    outside = []
    for k, (d, n, m, scale) in enumerate(zip(dims, have, want, factors, strict=True)):
        region = (0.0, 1.0)
        if coordinate_transformation_mode == "tf_crop_and_resize":
            ends = elements(roi)
            region = (float(ends[k]), float(ends[k + len(dims)]))
        elif scale == 1 and m == n:
            continue
        at = _coordinates(coordinate_transformation_mode, n, m, scale, region)
        outside.append((d, (at < 0) | (at > n - 1)))
        if mode == "nearest":
            x = mt.index_select(x, d, mt.as_tensor(_nearest(at, n, nearest_mode)))
            continue
        width = 1 / min(scale, 1) if antialias else 1.0
        place, weight = _taps(at, n, mode, cubic_coeff_a, width, bool(exclude_outside))
        form = [m if k == d else 1 for k in range(x.ndim)]
        columns = zip(place.T, weight.T, strict=True)
        x = sum(mt.index_select(x, d, mt.as_tensor(p.copy())) * like(x, w.reshape(form)) for p, w in columns)
    if coordinate_transformation_mode == "tf_crop_and_resize":
        for d, out in outside:
            mask = mt.as_tensor(out.reshape([-1 if k == d else 1 for k in range(x.ndim)]))
            x = mt.where(mask, like(x, extrapolation_value), x)
    return x


def _coordinates(mode: str, n: int, m: int, scale: float, region: tuple[float, float]) -> Any:
    """Where the m output elements lie among n input elements."""
    i = np.arange(m, dtype=np.float64)
    if mode == "asymmetric":
        return i / scale
    if mode == "align_corners":
        return i * ((n - 1) / (n * scale - 1)) if m > 1 else i * 0.0
    if mode == "pytorch_half_pixel":
        return (i + 0.5) / scale - 0.5 if m > 1 else i * 0.0
    if mode == "half_pixel_symmetric":
        return n / 2 * (1 - m / (n * scale)) + (i + 0.5) / scale - 0.5
    if mode == "tf_crop_and_resize":
        start, end = region
        if m > 1:
            return start * (n - 1) + i * (end - start) * (n - 1) / (m - 1)
        return np.full(1, 0.5 * (start + end) * (n - 1))
    if mode == "tf_half_pixel_for_nn":
        return (i + 0.5) / scale
    return (i + 0.5) / scale - 0.5


def _nearest(at: Any, n: int, mode: str) -> Any:
    rounded = {
        "round_prefer_floor": np.ceil(at - 0.5),
        "round_prefer_ceil": np.floor(at + 0.5),
        "floor": np.floor(at),
        "ceil": np.ceil(at),
    }[mode]
    return np.clip(rounded, 0, n - 1).astype(np.int64)


def _taps(at: Any, n: int, mode: str, a: float, width: float, inside: bool) -> tuple[Any, Any]:
    """Of each output element, (places, weights) of the input elements that count for it."""
    half = (1 if mode == "linear" else 2) * width
    first = np.floor(at - half).astype(np.int64) + 1
    place = first[:, None] + np.arange(int(np.ceil(2 * half)))
    t = np.abs(place - at[:, None]) / width
    if mode == "linear":
        weight = np.maximum(1 - t, 0)
    else:
        near = ((a + 2) * t - (a + 3)) * t * t + 1
        far = ((t - 5) * t + 8) * t * a - 4 * a
        weight = np.where(t <= 1, near, np.where(t < 2, far, 0.0))
    if inside:
        weight = np.where((place < 0) | (place >= n), 0.0, weight)
        weight = weight / weight.sum(1, keepdims=True)
    elif width != 1:
        weight = weight / weight.sum(1, keepdims=True)
    return np.clip(place, 0, n - 1), weight


@reads("GridSample")
def _grid_sample(
    x: Any, grid: Any, *, mode: str = "linear", padding_mode: str = "zeros", align_corners: int = 0
) -> Any:
    modes = {"linear": "bilinear", "cubic": "bicubic"}
    return F.grid_sample(x, grid, modes.get(mode, mode), padding_mode, bool(align_corners))


@reads("AffineGrid")
def _affine_grid(theta: Any, size: Any, *, align_corners: int = 0) -> Any:
    return F.affine_grid(theta, ints(size), bool(align_corners))


@reads("Col2Im")
def _col2im(x: Any, image: Any, block: Any, *, dilations: Any = None, pads: Any = None, strides: Any = None) -> Any:
    size, kernel = ints(image), ints(block)
    n = len(size)
    d, s, p = dilations or [1] * n, strides or [1] * n, pads or [0] * (2 * n)
    if n == 2 and p[:n] == p[n:]:
        return F.fold(x, size, kernel, d, p[:n], s)
    whole = [k + p[i] + p[i + n] for i, k in enumerate(size)]
    steps = [(w - (k - 1) * e - 1) // t + 1 for w, k, e, t in zip(whole, kernel, d, s, strict=True)]
    channels = x.shape[1] // math.prod(kernel)
    flat = np.zeros((math.prod(kernel), math.prod(steps)), np.int64)
    for row, corner in enumerate(itertools.product(*map(range, kernel))):
        grids = [c * e + t * np.arange(k) for c, e, t, k in zip(corner, d, s, steps, strict=True)]
        flat[row] = np.ravel_multi_index(np.meshgrid(*grids, indexing="ij"), tuple(whole)).ravel()
    values = x.reshape((x.shape[0] * channels, -1))
    empty = mt.zeros((values.shape[0], math.prod(whole)), dtype=x.dtype)
    y = mt.index_add(empty, 1, mt.as_tensor(flat.ravel()), values).reshape((x.shape[0], channels, *whole))
    for i, k in enumerate(size):
        y = mt.narrow(y, 2 + i, p[i], k)
    return y
