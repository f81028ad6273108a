"""Activation functions by name: the engine's, on TensorFlow's tensors; `raw` of each is the engine's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import minitensor as mt

from .tf.tensor import Tensor, lift, recording, value_of


def _linear(x: Any) -> Any:
    return x


def _softmax(x: Any, axis: int = -1) -> Any:
    return mt.softmax(x, axis)


def _hard_sigmoid(x: Any) -> Any:
    return mt.nn.functional.hardsigmoid(x)


def _leaky_relu(x: Any, negative_slope: float = 0.2) -> Any:
    return mt.nn.functional.leaky_relu(x, negative_slope)


def _gelu(x: Any, approximate: bool = False) -> Any:
    return mt.nn.functional.gelu(x, approximate="tanh" if approximate else "none")


elu = lift(mt.nn.functional.elu)
exponential = lift(mt.exp, "exponential")
gelu = lift(_gelu, "gelu")
hard_sigmoid = lift(_hard_sigmoid, "hard_sigmoid")
leaky_relu = lift(_leaky_relu, "leaky_relu")
linear = lift(_linear, "linear")
relu = lift(mt.relu)
relu6 = lift(mt.nn.functional.relu6)
selu = lift(mt.nn.functional.selu)
sigmoid = lift(mt.sigmoid)
silu = swish = lift(mt.nn.functional.silu)
softmax = lift(_softmax, "softmax")
softplus = lift(mt.nn.functional.softplus)
softsign = lift(mt.nn.functional.softsign)
tanh = lift(mt.tanh)

_NAMES: dict[str, Callable[..., Any]] = {
    name: value for name, value in list(globals().items()) if hasattr(value, "raw")
}


def get(identifier: Any) -> Any:
    """The function of that name; `None` is 'linear', and a function is itself.

    >>> from minitensor.keras import activations
    >>> activations.get("relu")([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str) and identifier in _NAMES:
        return _NAMES[identifier]
    if callable(identifier):
        return identifier
    raise ValueError(f"Could not interpret activation function identifier: {identifier}")


def raw(activation: Any) -> Any:
    """The function on engine tensors. One that a user wrote is given, and gives, TensorFlow's."""
    known = getattr(activation, "raw", None)
    if known is not None:
        return known

    def wrapped(x: Any) -> Any:
        with recording():
            return value_of(activation(Tensor(x)))

    return wrapped


def name_of(activation: Any) -> str:
    """The name under which an activation is saved."""
    return str(getattr(activation, "__name__", type(activation).__name__))
