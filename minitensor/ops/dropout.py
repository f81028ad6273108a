"""Dropout: a random mask times the input. The mask is drawn by the rules of generator.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ShapeError
from ..generator import default_generator, memory_axes
from .arithmetic import mul
from .common import Array, need_float, raw, shape_of


def _masked(name: str, input: Any, shape: tuple[int, ...], p: float, train: bool) -> Any:
    """The input times a mask of this shape: 0 with probability p, else 1 / (1 - p)."""
    if not 0 <= p <= 1:
        raise ShapeError(f"{name}: p must lie in [0, 1], not {p}")
    need_float(name, input)
    if not train or p == 0:
        return input
    if p == 1:
        return mul(input, 0.0)
    x = raw(input)
    mask: Array = np.empty_like(x, shape=shape)
    ordered = mask.transpose(memory_axes(mask))  # drawn in the order of the input's memory
    ordered[...] = default_generator.bernoulli(ordered.shape, x.dtype, 1 - p)
    mask /= x.dtype.type(1 - p)
    return mul(input, mask)


def dropout(input: Any, p: float = 0.5, train: bool = True) -> Any:
    r"""Sets each element to 0 with probability p, and divides the others by 1 - p.

        forward    out = x * m,  m = bernoulli(1 - p) / (1 - p)
        backward   dx = g * m

    The input itself where `train` is false. Raises ShapeError for a p outside [0, 1].
    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting" (2014).

    >>> sorted(set(mt.dropout(mt.ones(100), 0.5).tolist()))
    [0.0, 2.0]
    """
    return _masked("dropout", input, shape_of(input), p, train)


def feature_dropout(input: Any, p: float = 0.5, train: bool = True) -> Any:
    """As `dropout`, for whole channels: the mask has one element for each of the first two axes.

    Shapes: input (N, C, ...).

    >>> mt.nn.functional.dropout2d(mt.ones(2, 3, 4, 4), 0.5).amax((2, 3)).shape
    minitensor.Size([2, 3])
    """
    shape = shape_of(input)
    if len(shape) < 2:
        raise ShapeError(f"feature_dropout: expected (N, C, ...), got {shape}")
    return _masked("feature_dropout", input, shape[:2] + (1,) * (len(shape) - 2), p, train)
