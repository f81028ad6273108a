"""Recurrent layers: a state that each place of a sequence changes.

Kernels are (in, k units), recurrent kernels (units, k units), with k gates one behind the other: of an LSTM those of
the input, of forgetting, of the candidate and of the output; of a GRU the update, the reset and the candidate.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import cat, stack
from ...graph.tensors import wrap
from ...nn.linear import whole
from .. import activations, initializers
from .base import Layer, Shape, known


class _Recurrent(Layer):
    """The loop over a sequence (n, length, in); `step` is one place of it."""

    gates = 1
    states = 1

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        return_sequences: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.units = whole(type(self).__name__, "units", units)
        self.activation, self.recurrent_activation = activations.get(activation), activations.get(recurrent_activation)
        self.use_bias, self.return_sequences = bool(use_bias), bool(return_sequences)
        self.kernel_initializer = initializers.check(kernel_initializer)
        self.recurrent_initializer = initializers.check(recurrent_initializer)
        self._act = activations.raw(self.activation)
        self._gate = activations.raw(self.recurrent_activation)

    def _bias(self, wide: int) -> Any:
        return self._weight("bias", [wide], "zeros")

    def build(self, input_shape: Shape) -> None:
        """Makes the kernel, the recurrent kernel and the bias."""
        if len(input_shape) != 3:
            raise ValueError(f"Layer '{self.name}' expects 3 axes, but received the shape {input_shape}")
        wide = self.gates * self.units
        self.kernel = self._weight("kernel", [known(self, input_shape), wide], self.kernel_initializer)
        self.recurrent_kernel = self._weight("recurrent_kernel", [self.units, wide], self.recurrent_initializer)
        self.bias = self._bias(wide) if self.use_bias else None

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, units), or with the length between."""
        return (*input_shape[: 2 if self.return_sequences else 1], self.units)

    def fed(self, x: Any) -> Any:
        """What the inputs of all places give to the gates."""
        z = x @ self.kernel.leaf
        return z if self.bias is None else z + self.bias.leaf

    def step(self, z: Any, states: list[Any]) -> list[Any]:
        """The states after a place; the first of them is its output."""
        raise NotImplementedError

    def forward(self, x: Any) -> Any:
        """The last output, or those of all places."""
        z, outputs = self.fed(x), []
        states = [wrap(np.zeros((x.shape[0], self.units), np.float32)) for _ in range(self.states)]
        for k in range(x.shape[1]):
            states = self.step(z[:, k], states)
            outputs.append(states[0])
        return stack(outputs, 1) if self.return_sequences else states[0]

    def get_config(self) -> dict[str, Any]:
        """With the units and the functions."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.name_of(self.activation),
            "use_bias": self.use_bias,
            "return_sequences": self.return_sequences,
        }


class SimpleRNN(_Recurrent):
    """h = tanh(x kernel + h recurrent_kernel + bias) along a sequence; the last h, or all of them.

    >>> from minitensor.keras.layers import SimpleRNN
    >>> SimpleRNN(4)(np.ones((2, 5, 3))).shape
    TensorShape([2, 4])
    """

    def step(self, z: Any, states: list[Any]) -> list[Any]:
        """The new h."""
        return [self._act(z + states[0] @ self.recurrent_kernel.leaf)]


class LSTM(_Recurrent):
    """Long short-term memory: c = f c + i tanh(...), h = o tanh(c), with sigmoid gates i, f, o of x and h.

    The bias of the forgetting gate begins at 1. Source: S. Hochreiter, J. Schmidhuber, "Long short-term memory" (1997).

    >>> from minitensor.keras.layers import LSTM
    >>> LSTM(4, return_sequences=True)(np.ones((2, 5, 3))).shape
    TensorShape([2, 5, 4])
    """

    gates, states = 4, 2

    def _bias(self, wide: int) -> Any:
        bias = super()._bias(wide)
        bias.assign(np.repeat([0.0, 1.0, 0.0, 0.0], self.units))
        return bias

    def step(self, z: Any, states: list[Any]) -> list[Any]:
        """The new h and c."""
        h, c = states
        i, f, g, o = (z + h @ self.recurrent_kernel.leaf).chunk(4, -1)
        c = self._gate(f) * c + self._gate(i) * self._act(g)
        return [self._gate(o) * self._act(c), c]


class GRU(_Recurrent):
    """Gated recurrent unit: h = z h + (1 - z) tanh(x + r (h recurrent_kernel + bias)), with sigmoid gates z and r.

    Source: K. Cho and others, "Learning phrase representations using RNN encoder-decoder" (2014), the form that resets
    after the product.

    >>> from minitensor.keras.layers import GRU
    >>> GRU(4)(np.ones((2, 5, 3))).shape
    TensorShape([2, 4])
    """

    gates = 3

    def _bias(self, wide: int) -> Any:
        return self._weight("bias", [2, wide], "zeros")

    def fed(self, x: Any) -> Any:
        """What the inputs of all places give to the gates."""
        z = x @ self.kernel.leaf
        return z if self.bias is None else z + self.bias.leaf[0]

    def step(self, z: Any, states: list[Any]) -> list[Any]:
        """The new h."""
        (h,), n = states, self.units
        inner = h @ self.recurrent_kernel.leaf
        if self.bias is not None:
            inner = inner + self.bias.leaf[1]
        gates = self._gate(cat([z[:, : 2 * n] + inner[:, : 2 * n]], -1))
        update, reset = gates[:, :n], gates[:, n:]
        candidate = self._act(z[:, 2 * n :] + reset * inner[:, 2 * n :])
        return [update * h + (1 - update) * candidate]
