r"""Images made larger and smaller, and channels made into pixels.

Interpolation is separable and linear: along each axis every new element is a weighted sum of a few old ones, a table of
`resample`. With n elements stretched over `out`, element i of the result lies, counted in old elements, at

    i (n - 1) / (out - 1)            align_corners: the centres of the first and last elements stay in place
    (i + 1/2) scale - 1/2            else: the outer edges stay in place; scale = n / out

and is read from its neighbours: the one on the left or around it (nearest), two (linear) or four (cubic).
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph.nodes import called
from .adaptive import adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d
from .common import Array, each, named, need_float, raw, shape_of
from .resample import Taps, resample
from .shape import permute, reshape

# --- tables -----------------------------------------------------------------------------------------------------------


def cubic(t: Array, a: float) -> Array:
    """R. Keys' piecewise cubic at the distance t, with the slope a at distance 1."""
    t = np.abs(t)
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = ((a * t - 5 * a) * t + 8 * a) * t - 4 * a
    return np.where(t <= 1, near, np.where(t < 2, far, 0.0))


def _nearest(n: int, out: int, scale: float | None, exact: bool) -> Taps:
    # PyTorch counts in float32: which element is nearest depends on that.
    step = np.float32(n) / np.float32(out) if scale is None else np.float32(1 / scale)
    i = np.arange(out, dtype=np.float32) + np.float32(0.5 if exact else 0)
    return Taps.table(n, np.floor(i * step).astype(np.int64).clip(0, n - 1)[:, None])


def _step(n: int, out: int, align_corners: bool, scale: float | None) -> float:
    """How many old elements lie from one new one to the next."""
    if align_corners:
        return (n - 1) / (out - 1) if out > 1 else 0.0
    return n / out if scale is None else 1 / scale


def _positions(n: int, out: int, align_corners: bool, scale: float | None) -> Array:
    step = _step(n, out, align_corners, scale)
    i = np.arange(out, dtype=np.float64)
    return i * step if align_corners else (i + 0.5) * step - 0.5


def _linear(n: int, out: int, align_corners: bool, scale: float | None) -> Taps:
    at = _positions(n, out, align_corners, scale).clip(0, None)
    left = np.minimum(at.astype(np.int64), n - 1)
    right = np.minimum(left + 1, n - 1)
    part = (at - left).clip(0, 1)
    return Taps.table(n, np.stack([left, right], 1), np.stack([1 - part, part], 1))


def _cubic(n: int, out: int, align_corners: bool, scale: float | None) -> Taps:
    at = _positions(n, out, align_corners, scale)
    left = np.minimum(np.floor(at), n - 1)
    near = left[:, None] + np.arange(-1, 3)
    part = (at - left).clip(0, 1)
    return Taps.table(n, near.clip(0, n - 1), cubic(part[:, None] - np.arange(-1, 3), -0.75))


def _smooth(n: int, out: int, align_corners: bool, scale: float | None, width: int) -> Taps:
    """Antialiasing: the filter, a triangle (width 2) or a cubic (width 4), is as wide as the new elements."""
    step = _step(n, out, align_corners, scale)
    wide = max(step, 1.0)
    centre = step * (np.arange(out) + 0.5)
    first = np.maximum((centre - width / 2 * wide + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + width / 2 * wide + 0.5).astype(np.int64), n)
    index = first[:, None] + np.arange(max((last - first).max(), 1))
    t = (index - centre[:, None] + 0.5) / wide
    weight = np.maximum(1 - np.abs(t), 0) if width == 2 else cubic(t, -0.5)
    weight = np.where(index < last[:, None], weight, 0.0)
    return Taps.table(n, index.clip(0, n - 1), weight / weight.sum(1, keepdims=True))


@lru_cache(maxsize=1024)
def _table(mode: str, n: int, out: int, align_corners: bool, scale: float | None, antialias: bool) -> Taps:
    if n == out and (mode == "linear" or antialias):
        scale = None  # nothing moves then, whatever the scale: so in PyTorch
    if mode in ("nearest", "nearest-exact"):
        return _nearest(n, out, scale, mode == "nearest-exact")
    if antialias:
        return _smooth(n, out, align_corners, scale, 2 if mode == "linear" else 4)
    return (_linear if mode == "linear" else _cubic)(n, out, align_corners, scale)


# --- interpolation ----------------------------------------------------------------------------------------------------

_MODES = {  # the kind of table, and the axes that it is for
    "nearest": ("nearest", (1, 2, 3)),
    "nearest-exact": ("nearest-exact", (1, 2, 3)),
    "linear": ("linear", (1,)),
    "bilinear": ("linear", (2,)),
    "trilinear": ("linear", (3,)),
    "bicubic": ("cubic", (2,)),
    "area": ("area", (1, 2, 3)),
}


def _listed(what: str, value: Any, axes: int) -> tuple[Any, ...]:
    """One number for every axis, or one for each."""
    value = raw(value)
    given = tuple(value.tolist()) if isinstance(value, np.ndarray) and value.ndim else value
    if not isinstance(given, (tuple, list)):
        return (given,) * axes
    if len(given) != axes:
        raise ShapeError(f"interpolate: {what} {value!r} must be one number or one for each of {axes} axes")
    return tuple(given)


def _target(
    have: tuple[int, ...], size: Any, scale_factor: Any, recompute: bool | None
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """The new sizes, and the scales that positions are computed with (None: from the sizes)."""
    axes = len(have)
    if (size is None) == (scale_factor is None):
        raise ShapeError("interpolate: give either size or scale_factor")
    if size is not None:
        if recompute:
            raise ShapeError("interpolate: recompute_scale_factor needs a scale_factor, not a size")
        return each("interpolate", "size", _listed("size", size, axes), 1, axes), (None,) * axes
    if type(scale_factor) is int and scale_factor > 0 and not recompute:
        return tuple([n * scale_factor for n in have]), (float(scale_factor),) * axes
    scales = tuple([float(s) for s in _listed("scale_factor", scale_factor, axes)])
    sizes = tuple([math.floor(n * s) if 0 < s < math.inf else 0 for n, s in zip(have, scales, strict=True)])
    if min(sizes) < 1:
        raise ShapeError(f"interpolate: {have} scaled by {scales} leaves nothing")
    return sizes, (None,) * axes if recompute else scales


def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    r"""An image, sequence or volume of another size.

        forward    y[.., i, ..] = sum_k w[i, k] x[.., k, ..], axis by axis (w: see the top of this module)
        backward   dx = the transposed w times g; linear: nothing is saved
        kernel     csrc/kernels/resample.cpp

    `mode`: "nearest" (the element whose left edge lies before), "nearest-exact" (the centre nearest), "linear",
    "bilinear", "trilinear" (two neighbours an axis), "bicubic" (four; Keys' cubic with slope -0.75), "area" (the mean
    of what a new element covers). With `antialias` the bilinear and bicubic filters grow with the new elements.

    Shapes: input (N, C, L), (N, C, H, W) or (N, C, D, H, W); the new sizes are `size`, or floor(size * scale_factor).
    Positions are computed with the scale factor itself unless `recompute_scale_factor`.
    Raises ShapeError for a mode that does not fit the axes, for both or neither of size and scale_factor.
    Source: R. Keys, "Cubic convolution interpolation for digital image processing" (1981).

    >>> mt.nn.functional.interpolate(mt.tensor([[[1.0, 3.0]]]), scale_factor=2)
    tensor([[[1., 1., 3., 3.]]])
    >>> mt.nn.functional.interpolate(mt.tensor([[[1.0, 3.0]]]), size=3, mode="linear", align_corners=True)
    tensor([[[1., 2., 3.]]])
    """
    name = "interpolate"
    shape = shape_of(input)
    axes = len(shape) - 2
    if mode not in _MODES:
        raise ShapeError(f"{name}: mode must be one of {', '.join(_MODES)}, not {mode!r}")
    kind, fits = _MODES[mode]
    if axes not in fits:
        wanted = " or ".join(f"{n + 2} axes" for n in fits)
        raise ShapeError(f"{name}: mode {mode!r} takes (N, C, *) with {wanted}, got {shape}")
    if align_corners is not None and kind not in ("linear", "cubic"):
        raise ShapeError(f"{name}: align_corners is for linear, bilinear, trilinear and bicubic, not for {mode!r}")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ShapeError(f"{name}: antialias is for bilinear and bicubic, not for {mode!r}")
    if 0 in shape[1:]:
        raise ShapeError(f"{name}: there is nothing to interpolate in {shape}; only the batch may be empty")
    if kind not in ("nearest", "nearest-exact"):
        need_float(name, input)
    sizes, scales = _target(shape[2:], size, scale_factor, recompute_scale_factor)
    if kind == "area":
        return (adaptive_avg_pool1d, adaptive_avg_pool2d, adaptive_avg_pool3d)[axes - 1](input, sizes)
    y = input
    for d in range(-1, -axes - 1, -1):
        y = resample(y, _table(kind, shape[d], sizes[d], bool(align_corners), scales[d], bool(antialias)), d)
    kinds = "".join(part.capitalize() for part in mode.split("-"))
    return called(y, f"Upsample{kinds}{axes}D{'Aa' if antialias else ''}Backward0")


def upsample(
    input: Any, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
) -> Any:
    """`interpolate`, under its older name.

    >>> mt.nn.functional.upsample(mt.ones(1, 1, 2), scale_factor=2).shape
    minitensor.Size([1, 1, 4])
    """
    return interpolate(input, size, scale_factor, mode, align_corners)


def upsample_nearest(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` by the nearest element.

    >>> mt.nn.functional.upsample_nearest(mt.tensor([[[1.0, 2.0]]]), 3)
    tensor([[[1., 1., 2.]]])
    """
    return interpolate(input, size, scale_factor, "nearest")


def upsample_bilinear(input: Any, size: Any = None, scale_factor: Any = None) -> Any:
    """`interpolate` with mode "bilinear" and aligned corners.

    >>> mt.nn.functional.upsample_bilinear(mt.tensor([[[[1.0, 3.0]]]]), (1, 3))
    tensor([[[[1., 2., 3.]]]])
    """
    return interpolate(input, size, scale_factor, "bilinear", True)


# --- channels and pixels ----------------------------------------------------------------------------------------------


@named("PixelShuffleBackward0")
def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    r"""Each pixel's r^2 channels become a square of r x r pixels.

        forward    y[.., c, h r + a, w r + b] = x[.., (c r + a) r + b, h, w]
        backward   `pixel_unshuffle`

    Shapes: (.., C r^2, H, W) to (.., C, H r, W r). Raises ShapeError for channels that r^2 does not divide.
    Source: W. Shi et al., "Real-time single image and video super-resolution" (2016).

    >>> mt.pixel_shuffle(mt.arange(4.0).reshape(4, 1, 1), 2)
    tensor([[[0., 1.],
             [2., 3.]]])
    """
    name, r = "pixel_shuffle", upscale_factor
    shape = shape_of(input)
    if not isinstance(r, (int, np.integer)) or r < 1:
        raise ShapeError(f"{name}: upscale_factor must be a positive integer, not {r!r}")
    if len(shape) < 3 or shape[-3] % (r * r):
        raise ShapeError(f"{name}: expected (.., C * {r * r}, H, W), got {shape}")
    *outer, c, h, w = shape
    n = len(outer)
    split = reshape(input, (*outer, c // (r * r), r, r, h, w))
    order = (*range(n), n, n + 3, n + 1, n + 4, n + 2)
    return reshape(permute(split, order), (*outer, c // (r * r), h * r, w * r))


@named("PixelUnshuffleBackward0")
def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    r"""Each square of r x r pixels becomes r^2 channels of one: the inverse of `pixel_shuffle`.

        forward    y[.., (c r + a) r + b, h, w] = x[.., c, h r + a, w r + b]
        backward   `pixel_shuffle`

    Shapes: (.., C, H r, W r) to (.., C r^2, H, W). Raises ShapeError for sizes that r does not divide.

    >>> mt.pixel_unshuffle(mt.arange(4.0).reshape(1, 2, 2), 2).flatten()
    tensor([0., 1., 2., 3.])
    """
    name, r = "pixel_unshuffle", downscale_factor
    shape = shape_of(input)
    if not isinstance(r, (int, np.integer)) or r < 1:
        raise ShapeError(f"{name}: downscale_factor must be a positive integer, not {r!r}")
    if len(shape) < 3 or shape[-2] % r or shape[-1] % r:
        raise ShapeError(f"{name}: expected (.., C, H, W) with {r} dividing H and W, got {shape}")
    *outer, c, h, w = shape
    n = len(outer)
    split = reshape(input, (*outer, c, h // r, r, w // r, r))
    order = (*range(n), n, n + 2, n + 4, n + 1, n + 3)
    return reshape(permute(split, order), (*outer, c * r * r, h // r, w // r))


@named("ChannelShuffleBackward0")
def channel_shuffle(input: Any, groups: int) -> Any:
    r"""The channels of `groups` groups dealt out in turn: the first of each group, then the second of each, ...

        forward    y[:, j groups + i] = x[:, i (C / groups) + j]
        backward   the same with C / groups groups

    Shapes: (N, C, ..) to the same. Raises ShapeError for channels that the groups do not divide.
    Source: X. Zhang et al., "ShuffleNet" (2017).

    >>> mt.channel_shuffle(mt.arange(4.0).reshape(1, 4, 1), 2).flatten()
    tensor([0., 2., 1., 3.])
    """
    name = "channel_shuffle"
    shape = shape_of(input)
    if not isinstance(groups, (int, np.integer)) or groups < 1:
        raise ShapeError(f"{name}: groups must be a positive integer, not {groups!r}")
    if len(shape) < 3 or shape[1] % groups:
        raise ShapeError(f"{name}: expected (N, C, ..) with {groups} dividing C, got {shape}")
    n, c, *inner = shape
    split = reshape(input, (n, groups, c // groups, *inner))
    return reshape(permute(split, (0, 2, 1, *range(3, len(shape) + 1))), shape)
