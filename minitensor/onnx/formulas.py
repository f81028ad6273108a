"""Functions that check the elements of their arguments, without those checks: a trace has no elements to check."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import minitensor as mt
import minitensor.nn.functional as F

from ..graph.record import apply
from ..op import OPS
from ..ops.loss import reduced
from ..ops.pool import adaptive_windows

FORMULAS: dict[str, Callable[..., Any]] = {}


def _enter(function: Callable[..., Any]) -> Callable[..., Any]:
    FORMULAS[function.__name__] = function
    return function


@_enter
def binary_cross_entropy(
    input: Any, target: Any, weight: Any = None, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """As nn.functional's."""
    each = apply(OPS["binary_cross_entropy"], input, target)
    return reduced(each if weight is None else each * weight, reduction)


@_enter
def hinge_embedding_loss(
    input: Any, target: Any, margin: float = 1.0, size_average: Any = None, reduce: Any = None, reduction: str = "mean"
) -> Any:
    """As nn.functional's."""
    zero = mt.zeros_like(input)
    far = mt.where(target != 1, mt.relu(margin - input), zero)
    return reduced(far + mt.where(target != -1, input, zero), reduction)


@_enter
def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """As nn.functional's."""
    cosine = F.cosine_similarity(input1, input2, -1)
    return reduced(mt.where(target == 1, 1 - cosine, mt.relu(cosine - margin)), reduction)


@_enter
def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Any:
    """As nn.functional's."""
    var = mt.full_like(input, var) if isinstance(var, float) else var
    var = var.unsqueeze(-1) if var.ndim == input.ndim - 1 else var
    bounded = mt.clamp(var, min=eps)
    each = 0.5 * (mt.log(bounded) + mt.square(input - target) / bounded)
    return reduced(each + 0.5 * math.log(2 * math.pi) if full else each, reduction)


@_enter
def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    """As nn.functional's."""
    each = mt.exp(input) - target * input if log_input else input - target * mt.log(input + eps)
    if full:
        stirling = target * mt.log(target) - target + 0.5 * mt.log(2 * math.pi * target)
        each = each + mt.where(target > 1, stirling, mt.zeros_like(target))
    return reduced(each, reduction)


@_enter
def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """As nn.functional's, without indices."""
    if return_indices:
        raise NotImplementedError("onnx.export: adaptive_max_pool3d with return_indices cannot be exported")
    sizes = tuple(output_size) if isinstance(output_size, (tuple, list)) else (output_size,) * 3
    have = tuple(input.shape[-3:])
    want = [n if k is None else k for n, k in zip(have, sizes, strict=True)]
    tables = [adaptive_windows(n, k) for n, k in zip(have, want, strict=True)]
    pool = OPS["adaptive_max_pool2d"]
    planes = apply(pool, input, rows=tables[1], cols=tables[2])[0]
    columns = planes.flatten(-2)
    single = adaptive_windows(want[1] * want[2], want[1] * want[2])
    return apply(pool, columns, rows=tables[0], cols=single)[0].unflatten(-1, want[1:])
