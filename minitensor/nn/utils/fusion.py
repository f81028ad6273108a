"""Modules joined into one, and modules without initial values."""

from __future__ import annotations

import copy
from typing import Any

from ... import creation, random
from ...autograd import no_grad
from ...errors import ShapeError
from ...ops.common import shape_of
from ...ops.functions import rsqrt
from ...ops.shape import reshape
from ..parameter import Parameter


def fuse_conv_bn_weights(
    conv_w: Any,
    conv_b: Any,
    bn_rm: Any,
    bn_rv: Any,
    bn_eps: float,
    bn_w: Any,
    bn_b: Any,
    transpose: bool = False,
) -> tuple[Any, Any]:
    """The weight and bias of a convolution that does what one and a batch norm in evaluation after it do."""
    bias = creation.zeros_like(bn_rm) if conv_b is None else conv_b
    scale = rsqrt(bn_rv + bn_eps) * (1.0 if bn_w is None else bn_w)
    shift = 0.0 if bn_b is None else bn_b
    n = len(shape_of(conv_w))
    shape = [1] * n
    shape[1 if transpose and n > 2 else 0] = -1
    trained = conv_w.requires_grad
    weight = (conv_w * reshape(scale, shape)).detach()
    return Parameter(weight, trained), Parameter(((bias - bn_rm) * scale + shift).detach(), trained)


def _fused(name: str, layer: Any, bn: Any, transpose: bool) -> Any:
    if layer.training or bn.training:
        raise ShapeError(f"{name}: both modules must be in evaluation; call eval()")
    if bn.running_mean is None:
        raise ShapeError(f"{name}: the batch norm has no running statistics")
    with no_grad():
        fused = copy.deepcopy(layer)
        fused.weight, fused.bias = fuse_conv_bn_weights(
            fused.weight, fused.bias, bn.running_mean, bn.running_var, bn.eps, bn.weight, bn.bias, transpose
        )
    return fused


def fuse_conv_bn_eval(conv: Any, bn: Any, transpose: bool = False) -> Any:
    """One convolution in place of a convolution and the batch norm after it, both in evaluation.

    >>> conv, bn = mt.nn.Conv2d(1, 2, 3).eval(), mt.nn.BatchNorm2d(2).eval()
    >>> x = mt.randn(1, 1, 5, 5)
    >>> bool((mt.nn.utils.fuse_conv_bn_eval(conv, bn)(x) - bn(conv(x))).abs().max() < 1e-5)
    True
    """
    return _fused("fuse_conv_bn_eval", conv, bn, transpose)


def fuse_linear_bn_eval(linear: Any, bn: Any) -> Any:
    """One linear layer in place of a linear layer and the batch norm after it, both in evaluation."""
    if linear.out_features != bn.num_features:
        raise ShapeError(f"fuse_linear_bn_eval: {linear.out_features} outputs for {bn.num_features} features")
    return _fused("fuse_linear_bn_eval", linear, bn, False)


def skip_init(module_cls: Any, *args: Any, **kwargs: Any) -> Any:
    """A module whose parameters' values are not to be relied on: no random number is drawn for them.

    >>> mt.nn.utils.skip_init(mt.nn.Linear, 2, 3).weight.shape
    minitensor.Size([3, 2])
    """
    state = random.get_rng_state()
    try:
        return module_cls(*args, **kwargs)
    finally:
        random.set_rng_state(state)
