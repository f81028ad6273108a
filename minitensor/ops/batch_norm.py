r"""Batch norm: by the batch's own statistics, with the operator of ops/norm.py, or by given ones, with the one below.

    forward    y = w * (x - mean) * rstd + b,   rstd = 1 / sqrt(var + eps)
    backward   dx = rstd * w * g,  dmean = -sum dx,  dvar = -1/2 w rstd^3 sum g * (x - mean)
               dw = rstd * sum g * (x - mean),  db = sum g

Kernels: csrc/kernels/norm.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import ShapeError
from ..graph.record import apply
from ..graph.tensors import Tensor
from ..op import Op, Result, Sample
from .arithmetic import add, div, mul, neg
from .common import (
    Array,
    array_of,
    folded,
    laid_as,
    need_float,
    raw,
    shape_of,
    to_dtype,
    together,
)
from .functions import rsqrt
from .norm import BATCH_NORM, BATCHES, affine, check_like, gathered, scaled, spread, update, weights
from .shape import reshape

Shape = tuple[int, ...]
Axes = tuple[int, ...]


def _over(x: Any) -> Axes:
    """The axes that a channel's values lie along."""
    return (0, *range(2, len(shape_of(x))))


def _fixed_reference(x: Array, m: Array, v: Array, weight: Array | None, bias: Array | None, *, eps: float) -> Result:
    wide = spread(x.shape, _over(x))
    with np.errstate(all="ignore"):
        y = (x - m.reshape(wide)) / np.sqrt(v + eps).reshape(wide)
        if weight is not None:
            y = y * weight.reshape(wide)
        if bias is not None:
            y = y + bias.reshape(wide)
    return y.astype(x.dtype), (x, m, v, weight)


def _fixed_forward(x: Array, m: Array, v: Array, weight: Array | None, bias: Array | None, *, eps: float) -> Result:
    return laid_as(_core.batch_norm_fixed(x, m, v, weight, bias, eps), x), (x, m, v, weight)


def _fixed_scale(v: Any, weight: Any, eps: float) -> Any:
    rstd = rsqrt(add(v, eps))
    return rstd if weight is None else mul(weight, rstd)


def _fixed_moved(g: Any, x: Any, m: Any) -> Any:
    """sum g * (x - mean)"""
    over = _over(x)
    return gathered(mul(g, add(x, neg(reshape(m, spread(shape_of(x), over))))), over)


def _fixed_dx(g: Any, _x: Any, _m: Any, v: Any, weight: Any, *, eps: float) -> Any:
    return scaled(g, _fixed_scale(v, weight, eps), _over(g))


def _fixed_dmean(g: Any, _x: Any, _m: Any, v: Any, weight: Any, *, eps: float) -> Any:
    return neg(mul(gathered(g, _over(g)), _fixed_scale(v, weight, eps)))


def _fixed_dvar(g: Any, x: Any, m: Any, v: Any, weight: Any, *, eps: float) -> Any:
    # d(var + eps)^(-1/2) = -1/2 (var + eps)^(-3/2)
    return mul(_fixed_moved(g, x, m), mul(_fixed_scale(v, weight, eps), div(-0.5, add(v, eps))))


def _fixed_dweight(g: Any, x: Any, m: Any, v: Any, _weight: Any, *, eps: float) -> Any:
    return mul(_fixed_moved(g, x, m), rsqrt(add(v, eps)))


def _fixed_dbias(g: Any, _x: Any, _m: Any, _v: Any, _weight: Any, *, eps: float) -> Any:
    return gathered(g, _over(g))


def _fixed_joint(g: Array, x: Array, m: Array, v: Array, weight: Any, *, eps: float) -> Any:
    around = add(v, eps)
    _, dw, db = _core.batch_norm_vjp(g, x, None, m, rsqrt(around), input=False)
    dv = mul(div(-0.5, around), dw if weight is None else mul(weight, dw))
    return _fixed_dx(g, x, m, v, weight, eps=eps), neg(mul(db, _fixed_scale(v, weight, eps))), dv, dw, db


def _fixed_samples(rng: np.random.Generator) -> Iterator[Sample]:
    def sample(shape: Shape, large: bool = False) -> Sample:
        x, n = rng.standard_normal(shape), shape[1]
        params = {"eps": 1e-5}
        return Sample(
            (x, rng.standard_normal(n), rng.uniform(0.5, 2, n), *weights(rng, x, _over(x))), params, large=large
        )

    yield from (sample(shape) for shape, _ in BATCHES)
    yield Sample((*sample((3, 2, 5)).args[:3], None, None), {"eps": 0.1})
    yield sample((6, 5, 33, 33), large=True)


BATCH_NORM_FIXED = Op(
    "batch_norm_fixed",
    _fixed_reference,
    _fixed_forward,
    (_fixed_dx, _fixed_dmean, _fixed_dvar, _fixed_dweight, _fixed_dbias),
    None,
    _fixed_samples,
    length=lambda x, *_, **__: x.size // max(x.shape[1], 1) + 4,
    batch=folded("batch_norm_fixed"),
    joint=together(_fixed_joint, (_fixed_dx, _fixed_dmean, _fixed_dvar, _fixed_dweight, _fixed_dbias)),
    flat=True,
)


# --- what users call --------------------------------------------------------------------------------------------------


def move(running: Any, now: Array, momentum: float) -> None:
    """Moves a running statistic, outside the graph, which learns of it."""
    update(raw(running), now, momentum)
    if isinstance(running, Tensor):
        running.version.bump()


def batch_norm(
    input: Any,
    running_mean: Any,
    running_var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    r"""Every channel brought to mean 0 and variance 1 over the batch, then scaled and shifted.

        forward    y = w * z + b,   z = (x - mean) * rstd,   rstd = 1 / sqrt(var + eps)
        backward   dx = rstd * (h - mean(h) - z * mean(h * z)),  h = w * g;  dw = sum g * z,  db = sum g
        kernel     csrc/kernels/norm.cpp

    In training mean and variance (over n) are the batch's, and the running ones, if given, move towards
    them, outside the graph: running = (1 - momentum) * running + momentum * batch, with the variance over
    n - 1. An input without elements moves nothing. Otherwise the running ones are used, in one pass:
    dx = rstd * w * g.

    Shapes: input (N, C), (N, C, L), (N, C, H, W) ...; all others (C,). Raises ShapeError where the sizes do
    not fit, and in training for a single value per channel.
    Source: Ioffe and Szegedy, "Batch normalization", 2015.

    >>> mt.batch_norm(mt.tensor([[1.0], [3.0]]), None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    name = "batch_norm"
    need_float(name, input)
    x = array_of(input)
    shape = x.shape
    if shape == (0,):
        return mul(input, 1.0)
    if len(shape) < 2:
        raise ShapeError(f"{name}: expected (N, C, ...), got {shape}")
    for what, value in (
        ("weight", weight),
        ("bias", bias),
        ("running_mean", running_mean),
        ("running_var", running_var),
    ):
        if value is None:
            if not training and what.startswith("running"):
                raise ShapeError(f"{name}: without training, {what} must be given")
            continue
        a = array_of(value)
        if a.shape != shape[1:2] or not (a.dtype is x.dtype or (x.dtype.itemsize == 2 and a.dtype == np.float32)):
            check_like(name, what, value, input, shape[1:2])
    if not x.size:
        return affine(input, weight, bias)
    if x.dtype.itemsize == 2:
        wide = [
            None if v is None else to_dtype(v, dtypes.float32) for v in (input, running_mean, running_var, weight, bias)
        ]
        z, m, v, w, b = wide
        y = to_dtype(batch_norm(z, m, v, w, b, training, momentum, eps), dtypes.of(x.dtype))
        for running, now in ((running_mean, m), (running_var, v)):
            if running is not None and running is not now:
                raw(running)[...] = raw(now)
                running.version.bump()
        return y
    if not training:
        return apply(BATCH_NORM_FIXED, input, running_mean, running_var, weight, bias, eps=float(eps))
    if x.size == shape[1]:
        raise ShapeError(f"{name}: training needs more than one value for each channel, got an input of shape {shape}")
    y = apply(
        BATCH_NORM,
        input,
        weight,
        bias,
        running_mean,
        running_var,
        axes=(0, *range(2, len(shape))),
        eps=float(eps),
        momentum=float(momentum),
    )
    for running in (running_mean, running_var):
        if isinstance(running, Tensor):
            running.version.bump()
    return y
