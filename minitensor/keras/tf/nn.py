"""`tf.nn`: activation functions and losses of tensors.

>>> from minitensor.keras import tf
>>> print(tf.nn.relu([-1.0, 2.0]))
tf.Tensor([0. 2.], shape=(2,), dtype=float32)
"""

from __future__ import annotations

from typing import Any

import minitensor as mt

from .math import sigmoid, softplus, tanh
from .tensor import Tensor, lift, run, value_of

__all__ = [
    "conv2d", "elu", "gelu", "leaky_relu", "log_softmax", "max_pool2d", "relu", "sigmoid",
    "sigmoid_cross_entropy_with_logits", "silu", "softmax", "softmax_cross_entropy_with_logits", "softplus", "swish",
    "tanh",
]  # fmt: skip

F = mt.nn.functional

relu, elu, silu = lift(mt.relu), lift(F.elu), lift(F.silu)
swish = silu


def _gelu(x: Any, approximate: bool = False) -> Any:
    return F.gelu(x, approximate="tanh" if approximate else "none")


gelu = lift(_gelu, "gelu")


def leaky_relu(features: Any, alpha: float = 0.2) -> Tensor:
    """x, below 0 times alpha."""
    return run(F.leaky_relu, value_of(features), alpha)


def softmax(logits: Any, axis: int = -1) -> Tensor:
    """Probabilities along an axis."""
    return run(mt.softmax, value_of(logits), axis)


def log_softmax(logits: Any, axis: int = -1) -> Tensor:
    """The logarithms of probabilities along an axis."""
    return run(mt.log_softmax, value_of(logits), axis)


def softmax_cross_entropy_with_logits(labels: Any, logits: Any, axis: int = -1) -> Tensor:
    """-sum(labels log softmax(logits)) of each row."""
    return run(lambda y, z: -(y * mt.log_softmax(z, axis)).sum(axis), value_of(labels), value_of(logits))


def sigmoid_cross_entropy_with_logits(labels: Any, logits: Any) -> Tensor:
    """-(y log p + (1 - y) log(1 - p)) of each number, p = sigmoid(logits)."""
    loss = F.binary_cross_entropy_with_logits
    return run(lambda y, z: loss(z, y, reduction="none"), value_of(labels), value_of(logits))


def conv2d(input: Any, filters: Any, strides: Any, padding: str) -> Tensor:
    """The cross-correlation of pictures (n, height, width, in) with kernels (kh, kw, in, out).

    >>> from minitensor.keras import tf
    >>> tf.nn.conv2d(tf.ones((1, 4, 4, 1)), tf.ones((3, 3, 1, 2)), strides=1, padding="SAME").shape
    TensorShape([1, 4, 4, 2])
    """
    from ..layers import Conv2D

    x, kernel = value_of(input), value_of(filters)
    steps = strides if isinstance(strides, int) else tuple(strides)[-3:-1] if len(strides) == 4 else tuple(strides)
    layer = Conv2D(kernel.shape[3], tuple(kernel.shape[:2]), steps, padding.lower(), use_bias=False, name="conv2d")
    windows, even = layer._windows, layer._windows.even()

    def convolve(x: Any, kernel: Any) -> Any:
        x = x.permute(0, 3, 1, 2)
        if even is None:
            x = windows.padded(x, 0.0)
        return F.conv2d(x, kernel.permute(3, 2, 0, 1), None, layer.strides, even or 0).permute(0, 2, 3, 1)

    return run(convolve, x, kernel)


def max_pool2d(input: Any, ksize: Any, strides: Any, padding: str) -> Tensor:
    """The largest number of each window of pictures (n, height, width, channels)."""
    from ..layers import MaxPooling2D

    layer = MaxPooling2D(ksize, strides, padding.lower(), name="max_pool2d")
    return run(layer.forward, value_of(input))
