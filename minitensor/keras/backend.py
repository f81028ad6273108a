"""`K`: functions of tensors under the names of Keras's old backend.

>>> from minitensor.keras import backend as K
>>> from minitensor.keras import tf
>>> K.eval(tf.Variable(0.5))
np.float32(0.5)
>>> K.maximum(K.sign(tf.constant([-2.0, 0.0, 3.0])), 0).numpy()
array([0., 0., 1.], dtype=float32)
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minitensor as mt

from .activations import relu, sigmoid, softmax, tanh
from .layers.base import forget_names
from .losses import EPSILON
from .tf import abs, cast, constant, exp, matmul, ones_like, reshape, sqrt, square, zeros_like
from .tf.math import argmax as _argmax
from .tf.math import (
    log,
    maximum,
    minimum,
    pow,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
    round,
    sign,
)
from .tf.tensor import Tensor, Variable, run, value_of

__all__ = [
    "abs", "argmax", "cast", "clear_session", "clip", "constant", "dot", "epsilon", "eval", "exp", "floatx",
    "get_value", "image_data_format", "log", "max", "maximum", "mean", "min", "minimum", "ones_like", "pow", "prod",
    "relu", "reshape", "round", "set_value", "shape", "sigmoid", "sign", "softmax", "sqrt", "square", "sum", "tanh",
    "variable", "zeros_like",
]  # fmt: skip

max, mean, min, prod, sum = reduce_max, reduce_mean, reduce_min, reduce_prod, reduce_sum
dot = matmul


def argmax(x: Any, axis: int = -1) -> Tensor:
    """Where along the axis the largest element is."""
    return _argmax(x, axis)


def clip(x: Any, min_value: Any, max_value: Any) -> Tensor:
    """x within [min_value, max_value]."""
    return run(mt.clamp, value_of(x), min_value, max_value)


def eval(x: Any) -> Any:
    """The numbers of a tensor or variable: an array, or a NumPy number if it has no axes."""
    return x.numpy() if isinstance(x, Tensor) else np.asarray(x)[()]


get_value = eval


def set_value(x: Variable, value: Any) -> None:
    """Assigns to a variable."""
    x.assign(value)


def variable(value: Any, dtype: Any = "float32", name: str = "Variable") -> Variable:
    """A new variable."""
    return Variable(value, dtype=dtype, name=name)


def shape(x: Any) -> tuple[int, ...]:
    """The sizes of the axes."""
    return tuple(value_of(x).array.shape)


def floatx() -> str:
    """The dtype of numbers: always 'float32'."""
    return "float32"


def epsilon() -> float:
    """A number near 0: 1e-7."""
    return EPSILON


def image_data_format() -> str:
    """Where the channels of a picture are: always last."""
    return "channels_last"


def clear_session() -> None:
    """Has the default names of layers counted from the beginning."""
    forget_names()
