r"""Group norm and instance norm: the layer norm of groups of channels, scaled and shifted by channel.

Kernels: csrc/kernels/norm.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import ShapeError
from ..graph.record import apply
from ..op import Op, Result, Sample
from .arithmetic import mul
from .batch_norm import batch_norm, move
from .common import (
    Array,
    array_of,
    folded,
    named,
    need_float,
    raw,
    shape_of,
    to_dtype,
    together,
)
from .norm import NORM_VJP, affine, check_like, gathered, half_beside, normalised, reference, weights
from .shape import reshape


def _by_rows(x: Any, groups: int) -> Any:
    """x (N, C, ...) as (N, groups, values of a group), of which layer norm is the group norm."""
    shape = shape_of(x)
    return reshape(x, (shape[0], groups, math.prod(shape[1:]) // groups))


def _group_reference(x: Array, weight: Array | None, bias: Array | None, *, groups: int, eps: float) -> Result:
    z, saved = reference(_by_rows(x, groups), None, None, axes=(2,), eps=eps)
    return affine(z.reshape(x.shape), weight, bias), (x, weight, *saved[2:])


def _group_forward(x: Array, weight: Array | None, bias: Array | None, *, groups: int, eps: float) -> Result:
    y, m, rstd = _core.group_norm(x, weight, bias, groups, eps)
    return y, (x, weight, m, rstd)


def _group_dx(g: Any, x: Any, weight: Any, m: Any, rstd: Any, *, groups: int, eps: float) -> Any:
    h = _by_rows(affine(g, weight, None), groups)
    dx = apply(NORM_VJP, h, _by_rows(x, groups), None, m, rstd, axes=(2,), eps=eps)
    return reshape(dx, shape_of(x))


def _group_dweight(g: Any, x: Any, _weight: Any, _m: Any, _rstd: Any, *, groups: int, eps: float) -> Any:
    z = reshape(normalised(_by_rows(x, groups), (2,), eps), shape_of(x))
    return gathered(mul(g, z), _CHANNELS)


def _group_dbias(g: Any, _x: Any, _weight: Any, _m: Any, _rstd: Any, *, groups: int, eps: float) -> Any:
    return gathered(g, _CHANNELS)


_CHANNELS = (0,)  # axes that are not the last ones: weights belong to axis 1


def _group_joint(g: Array, x: Array, weight: Any, m: Array, rstd: Array, *, groups: int, eps: float) -> Any:
    return _core.group_norm_vjp(g, x, weight, m, rstd, groups)


def _group_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, groups in (((2, 4, 3), 2), ((3, 6, 2, 2), 3), ((2, 4, 5), 4), ((3, 4), 2), ((2, 68), 2), ((0, 4, 2), 2)):
        x = rng.standard_normal(shape)
        yield Sample((x, *weights(rng, x, _CHANNELS)), {"groups": groups, "eps": 1e-5})
    yield Sample((rng.standard_normal((2, 4, 3)), None, None), {"groups": 2, "eps": 0.1})
    x = rng.standard_normal((5, 12, 31, 33))
    yield Sample((x, *weights(rng, x, _CHANNELS)), {"groups": 4, "eps": 1e-5}, large=True)


def _group_count(x: Array, *_: Any, groups: int, **__: Any) -> int:
    return int(4 * max(math.prod(x.shape[1:]) // groups, x.size // max(x.shape[1], 1)))


GROUP_NORM = Op(
    "group_norm",
    _group_reference,
    _group_forward,
    (_group_dx, _group_dweight, _group_dbias),
    None,
    _group_samples,
    length=_group_count,
    batch=folded("group_norm"),
    joint=together(_group_joint, (_group_dx, _group_dweight, _group_dbias)),
)


# --- what users call --------------------------------------------------------------------------------------------------


def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
    r"""Layer norm of each group of channels, then scaled and shifted by channel.

    Shapes: input (N, C, ...) with C divisible by `num_groups`, weight and bias (C,).
    Raises ShapeError where the sizes do not fit. Source: Wu and He, "Group normalization", 2018.

    >>> mt.group_norm(mt.tensor([[1.0, 3.0, 5.0, 9.0]]), 2, eps=0.0)
    tensor([[-1.,  1., -1.,  1.]])
    """
    name = "group_norm"
    need_float(name, input)
    shape = shape_of(input)
    if len(shape) < 2:
        raise ShapeError(f"{name}: expected (N, C, ...), got {shape}")
    half = half_beside(input, weight, bias)
    if half is not None:
        return to_dtype(group_norm(to_dtype(input, dtypes.float32), num_groups, weight, bias, eps), half)
    if num_groups < 1 or shape[1] % num_groups:
        raise ShapeError(f"{name}: {shape[1]} channels cannot be split into {num_groups} groups")
    check_like(name, "weight", weight, input, shape[1:2])
    check_like(name, "bias", bias, input, shape[1:2])
    if array_of(input).size == num_groups:
        raise ShapeError(f"{name}: every group needs more than one value, got an input of shape {shape}")
    return apply(GROUP_NORM, input, weight, bias, groups=num_groups, eps=float(eps))


@named("ViewBackward0")
def instance_norm(
    input: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    r"""Every channel of every example brought to mean 0 and variance 1, then scaled and shifted by channel.

        forward    y = w * z + b,   z = (x - mean) * rstd,   rstd = 1 / sqrt(var + eps)   over the places of a channel
        backward   dx = rstd * (h - mean(h) - z * mean(h * z)),  h = w * g;  dw = sum g * z,  db = sum g
        kernel     csrc/kernels/norm.cpp, the layer norm's

    The running mean and variance, if given, move by the share `momentum` towards the means over the batch of each
    example's mean and variance (over n - 1). Without `use_input_stats` they are used, as constants.

    Shapes: input (N, C, L), (N, C, H, W) ...; all others (C,). Raises ShapeError where the sizes do not fit, and for a
    single place.
    Source: Ulyanov, Vedaldi, Lempitsky, "Instance normalization", 2016.

    >>> mt.nn.functional.instance_norm(mt.tensor([[[1.0, 3.0], [2.0, 6.0]]]), eps=0.0)
    tensor([[[-1.,  1.],
             [-1.,  1.]]])
    """
    name = "instance_norm"
    if not use_input_stats:
        return batch_norm(input, running_mean, running_var, weight, bias, False, momentum, eps)
    need_float(name, input)
    shape = shape_of(input)
    if len(shape) < 2 or math.prod(shape[2:]) == 1:
        raise ShapeError(f"{name}: expected (N, C, ...) with more than one value for each channel, got {shape}")
    half = half_beside(input, running_mean, running_var, weight, bias)
    if half is not None:
        x = to_dtype(input, dtypes.float32)
        return to_dtype(instance_norm(x, running_mean, running_var, weight, bias, True, momentum, eps), half)
    for what, value in (
        ("weight", weight),
        ("bias", bias),
        ("running_mean", running_mean),
        ("running_var", running_var),
    ):
        check_like(name, what, value, input, shape[1:2])
    if array_of(input).size and not (running_mean is None and running_var is None):
        x = raw(input).reshape(*shape[:2], -1)
        move(running_mean, x.mean(2).mean(0), momentum)
        move(running_var, x.var(2, ddof=1).mean(0), momentum)
    return apply(GROUP_NORM, input, weight, bias, groups=shape[1], eps=float(eps))
