"""Softmax along one axis. Kernel: csrc/kernels/softmax.cpp."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core
from ..graph import apply
from ..op import Op, Result, Sample
from .arithmetic import mul
from .common import Array, axis, need_float, shape_of


def _around(shape: tuple[int, ...], dim: int) -> tuple[int, int, int]:
    """(outer, n, inner): the sizes before, along and after an axis."""
    n = shape[dim] if shape else 1
    return math.prod(shape[:dim]), n, math.prod(shape[dim + 1 :])


def _softmax_reference(x: Array, *, dim: int) -> Result:
    if x.ndim == 0 or x.size == 0:
        y = np.ones_like(x)
        return y, (y,)
    e = np.exp(x - x.max(dim, keepdims=True))
    y = e / e.sum(dim, keepdims=True)
    return y, (y,)


def _softmax_forward(x: Array, *, dim: int) -> Result:
    y = _core.softmax(x, *_around(x.shape, dim))
    return y, (y,)


def _softmax_dx(g: Any, y: Any, *, dim: int) -> Any:
    return mul(g, y)


def _softmax_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in (((3, 5), 1), ((3, 5), 0), ((2, 4, 3), 1), ((1,), 0), ((4, 67), 1), ((0, 3), 1)):
        yield Sample((rng.standard_normal(shape),), {"dim": dim})


SOFTMAX = Op("softmax", _softmax_reference, _softmax_forward, (_softmax_dx,), None, _softmax_samples)


def softmax(input: Any, dim: int) -> Any:
    need_float("softmax", input)
    return apply(SOFTMAX, input, dim=axis("softmax", dim, len(shape_of(input))))
