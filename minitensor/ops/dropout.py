"""Dropout: a random mask times the input. The mask is drawn by the rules of generator.py."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..generator import default_generator, memory_axes
from ..graph.tensors import Tensor, wrap
from .arithmetic import add, mul, sub
from .common import Array, draws_numbers, need_float, raw, shape_of

_SELU_FLOOR = 1.7580993408473766  # how far below 0 the activation selu goes


def _masked(name: str, input: Any, shape: tuple[int, ...], p: float, train: bool, alpha: bool = False) -> Any:
    """The input times a mask of this shape: 0 with probability p, else 1 / (1 - p); or alpha dropout's."""
    if not 0 <= p <= 1:
        raise ShapeError(f"{name}: p must lie in [0, 1], not {p}")
    need_float(name, input)
    if not train or p == 0:
        return input
    return mul(input, 0.0) if p == 1 else random_mask(input, shape, p, alpha)


def random_mask(input: Any, shape: tuple[int, ...], p: float, alpha: bool) -> Any:
    x = raw(input)
    order = None  # inside vmap x has none
    if type(x) is np.ndarray and shape == x.shape and not x.flags.c_contiguous:
        order = memory_axes(x)
    mask: Any = dropout_mask(shape, x.dtype, order, p, alpha)  # drawn in the order of the input's memory
    if not isinstance(input, Tensor):
        mask = raw(mask)
    if not alpha:
        return mul(input, mask)
    scale = 1 / math.sqrt((_SELU_FLOOR**2 * p + 1) * (1 - p))
    shift = add(mul(sub(mask, 1), _SELU_FLOOR * scale), _SELU_FLOOR * scale * p)
    return add(mul(input, mul(mask, scale)), shift)


@draws_numbers
def dropout_mask(shape: tuple[int, ...], dtype: Any, order: Any, p: float, alpha: bool) -> Any:
    """1 with probability 1 - p, else 0, as a tensor; divided by 1 - p but for alpha dropout."""
    one = 1.0 if alpha else float(dtype.type(1) / dtype.type(1 - p))
    if order is None:
        return wrap(default_generator.bernoulli(shape, dtype, 1 - p, one))
    ordered: Array = default_generator.bernoulli(tuple([shape[k] for k in order]), dtype, 1 - p, one)
    return wrap(ordered.transpose(np.argsort(order)))


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
    return _masked("feature_dropout", input, _features("feature_dropout", input), p, train)


def _features(name: str, input: Any) -> tuple[int, ...]:
    """One element for each of the first two axes."""
    shape = shape_of(input)
    if len(shape) < 2:
        raise ShapeError(f"{name}: expected (N, C, ...), got {shape}")
    return shape[:2] + (1,) * (len(shape) - 2)


def alpha_dropout(input: Any, p: float = 0.5, train: bool = False) -> Any:
    r"""Dropout that keeps mean 0 and variance 1: a dropped element becomes selu's lowest value, then all are rescaled.

        forward    out = a (x m - c (1 - m)) + a c p,  m = bernoulli(1 - p),  c = 1.7581,
                   a = ((c^2 p + 1) (1 - p))^(-1/2)
        backward   dx = g a m

    The input itself where `train` is false. Raises ShapeError for a p outside [0, 1].
    Source: G. Klambauer et al., "Self-normalizing neural networks" (2017).

    >>> [round(v, 4) for v in sorted(set(mt.alpha_dropout(mt.zeros(100), 0.5, True).tolist()))]
    [-0.7792, 0.7792]
    """
    return _masked("alpha_dropout", input, shape_of(input), p, train, alpha=True)


def feature_alpha_dropout(input: Any, p: float = 0.5, train: bool = False) -> Any:
    """As `alpha_dropout`, for whole channels: the mask has one element for each of the first two axes.

    Shapes: input (N, C, ...).

    >>> mt.feature_alpha_dropout(mt.ones(2, 3, 4), 0.5, True).shape
    minitensor.Size([2, 3, 4])
    """
    return _masked("feature_alpha_dropout", input, _features("feature_alpha_dropout", input), p, train, alpha=True)
