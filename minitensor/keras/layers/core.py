"""Dense layers, embeddings, activations, and what only changes shapes or drops numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ...nn import functional as F
from ...nn.linear import whole
from .. import activations, initializers, regularizers
from ..tf.tensor import Variable
from .base import Layer, Shape, first, known, last


class Activated(Layer):
    """A layer with an activation after what it computes itself, `affine`."""

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)
        self._activate = activations.raw(self.activation)

    def affine(self, x: Any) -> Any:
        """What is computed before the activation."""
        raise NotImplementedError

    def passes(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any] | None]:
        """`affine`, and the activation if it is a softmax or sigmoid."""
        ends = self.activation is activations.softmax or self.activation is activations.sigmoid
        return (self.affine, self._activate) if ends else (self.forward, None)

    def forward(self, x: Any) -> Any:
        """The activation of `affine(x)`."""
        return self._activate(self.affine(x))

    def get_config(self) -> dict[str, Any]:
        """With the activation's name."""
        return {**super().get_config(), "activation": activations.name_of(self.activation)}


class Activation(Activated):
    """An activation as a layer.

    >>> from minitensor.keras.layers import Activation
    >>> Activation("relu")([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """

    def __init__(self, activation: Any, **options: Any) -> None:
        super().__init__(activation, **options)

    def affine(self, x: Any) -> Any:
        """x."""
        return x


class Weighted(Activated):
    """A layer with a kernel and a bias."""

    kernel: Variable
    bias: Variable | None

    def __init__(
        self,
        activation: Any,
        use_bias: bool,
        kernel_initializer: Any,
        bias_initializer: Any,
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activation, **options)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.check(kernel_initializer)
        self.bias_initializer = initializers.check(bias_initializer)

    def _make(self, shape: Sequence[int], axes: Sequence[int]) -> None:
        self.kernel = self._weight("kernel", shape, self.kernel_initializer, axes)
        self.bias = self._weight("bias", shape[-1:], self.bias_initializer) if self.use_bias else None
        if self.kernel_regularizer is not None:
            self.penalties.append((self.kernel, self.kernel_regularizer))
        if self.bias_regularizer is not None and self.bias is not None:
            self.penalties.append((self.bias, self.bias_regularizer))

    def get_config(self) -> dict[str, Any]:
        """With the bias and the initial values."""
        config = {**super().get_config(), "use_bias": self.use_bias}
        for name in ("kernel_initializer", "bias_initializer"):
            value = getattr(self, name)
            config[name] = value if isinstance(value, str) else activations.name_of(value)
        for name in ("kernel_regularizer", "bias_regularizer"):
            if (rule := getattr(self, name)) is not None:
                config[name] = {"class_name": type(rule).__name__, "config": rule.get_config()}
        return config


class Dense(Weighted):
    """activation(x @ kernel + bias) along the last axis; kernel (in, units), bias (units,).

    >>> from minitensor.keras.layers import Dense
    >>> layer = Dense(2, activation="relu")
    >>> layer([[1.0, 2.0, 3.0]]).shape, [w.shape for w in layer.get_weights()]
    (TensorShape([1, 2]), [(3, 2), (2,)])
    """

    def __init__(
        self,
        units: int,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(activation, use_bias, kernel_initializer, bias_initializer, **options)
        self.units = whole("Dense", "units", units)

    def build(self, input_shape: Shape) -> None:
        """Makes kernel and bias."""
        self._make((known(self, input_shape), self.units), (1, 0))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's, with `units` as the last size."""
        return (*input_shape[:-1], self.units)

    def affine(self, x: Any) -> Any:
        """x @ kernel + bias."""
        weight = self.kernel.leaf
        if x.array.shape[-1:] != weight.array.shape[1:]:
            self._expect(weight.array.shape[1], x.shape)
        return F.linear(x, weight, None if self.bias is None else self.bias.leaf)

    def get_config(self) -> dict[str, Any]:
        """With the units."""
        return {**super().get_config(), "units": self.units}


class Embedding(Layer):
    """The vector of each number: row i of `embeddings` (input_dim, output_dim) for i; a new last axis.

    >>> from minitensor.keras.layers import Embedding
    >>> Embedding(10, 3)([[4, 0]]).shape
    TensorShape([1, 2, 3])
    """

    embeddings: Variable

    def __init__(
        self, input_dim: int, output_dim: int, embeddings_initializer: Any = "random_uniform", **options: Any
    ) -> None:
        super().__init__(**options)
        self.input_dim = whole("Embedding", "input_dim", input_dim)
        self.output_dim = whole("Embedding", "output_dim", output_dim)
        self.embeddings_initializer = initializers.check(embeddings_initializer)

    def build(self, input_shape: Shape) -> None:
        """Makes the vectors."""
        shape = (self.input_dim, self.output_dim)
        self.embeddings = self._weight("embeddings", shape, self.embeddings_initializer)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The input's, with `output_dim` behind."""
        return (*input_shape, self.output_dim)

    def forward(self, x: Any) -> Any:
        """Whole numbers of any shape to their vectors; IndexError for one that is none of them."""
        return F.embedding(x.long(), self.embeddings.leaf)

    def get_config(self) -> dict[str, Any]:
        """With the sizes and the initial values."""
        kind = self.embeddings_initializer
        name = kind if isinstance(kind, str) else activations.name_of(kind)
        sizes = {"input_dim": self.input_dim, "output_dim": self.output_dim}
        return {**super().get_config(), **sizes, "embeddings_initializer": name}


class Flatten(Layer):
    """All axes but the batch as one, in row-major order.

    >>> from minitensor.keras.layers import Flatten
    >>> Flatten()(np.zeros((5, 2, 3))).shape
    TensorShape([5, 6])
    """

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, the product of the others)."""
        sizes = [n for n in input_shape[1:] if n is not None]
        return (input_shape[0], math.prod(sizes) if len(sizes) == len(input_shape) - 1 else None)

    def forward(self, x: Any) -> Any:
        """x (n, ...) as (n, *); numbers alone become rows of one."""
        return x if x.ndim == 2 else x.reshape(x.array.shape[0], -1)


class Dropout(Layer):
    """In training sets numbers to 0 with the probability `rate`, and divides the others by 1 - rate.

    >>> from minitensor.keras.layers import Dropout
    >>> Dropout(0.5)([1.0, 2.0]).numpy()
    array([1., 2.], dtype=float32)
    """

    def __init__(self, rate: float, noise_shape: None = None, seed: int | None = None, **options: Any) -> None:
        super().__init__(**options)
        if not 0 <= rate <= 1:
            raise ValueError(f"Dropout: rate must lie between 0 and 1, not {rate}")
        self.rate = float(rate)

    def forward(self, x: Any) -> Any:
        """x itself outside training."""
        if not self.training:
            return x
        return last(F.dropout(first(x), self.rate, True)) if x.ndim > 2 else F.dropout(x, self.rate, True)

    def get_config(self) -> dict[str, Any]:
        """With the rate."""
        return {**super().get_config(), "rate": self.rate}


class Reshape(Layer):
    """The same numbers with another shape, which leaves out the batch; one size may be -1.

    >>> from minitensor.keras.layers import Reshape
    >>> Reshape((2, -1))(np.zeros((5, 6))).shape
    TensorShape([5, 2, 3])
    """

    def __init__(self, target_shape: Any, **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = tuple(target_shape)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, *target_shape), with -1 worked out."""
        sizes = [n for n in input_shape[1:] if n is not None]
        if -1 not in self.target_shape or len(sizes) < len(input_shape) - 1:
            return (input_shape[0], *(None if n == -1 else n for n in self.target_shape))
        rest = math.prod(n for n in self.target_shape if n != -1)
        return (input_shape[0], *(math.prod(sizes) // rest if n == -1 else n for n in self.target_shape))

    def forward(self, x: Any) -> Any:
        """x in its new shape."""
        return x.reshape(x.array.shape[0], *self.target_shape)

    def get_config(self) -> dict[str, Any]:
        """With the shape."""
        return {**super().get_config(), "target_shape": self.target_shape}


class Permute(Layer):
    """The axes in another order; `dims` counts them from 1 and leaves out the batch.

    >>> from minitensor.keras.layers import Permute
    >>> Permute((2, 1))(np.zeros((5, 2, 3))).shape
    TensorShape([5, 3, 2])
    """

    def __init__(self, dims: Any, **options: Any) -> None:
        super().__init__(**options)
        self.dims = tuple(dims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The sizes in that order."""
        return (input_shape[0], *(input_shape[i] for i in self.dims))

    def forward(self, x: Any) -> Any:
        """x with its axes in that order."""
        return x.permute(0, *self.dims)

    def get_config(self) -> dict[str, Any]:
        """With the order."""
        return {**super().get_config(), "dims": self.dims}


class Softmax(Activated):
    """Probabilities along the last axis.

    >>> from minitensor.keras.layers import Softmax
    >>> Softmax()([[1.0, 1.0]]).numpy()
    array([[0.5, 0.5]], dtype=float32)
    """

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__("softmax", **options)
        if axis != -1:
            raise ValueError(f"Softmax: axis must be -1, not {axis}")

    def affine(self, x: Any) -> Any:
        """x."""
        return x

    def get_config(self) -> dict[str, Any]:
        """The name."""
        return Layer.get_config(self)


class ReLU(Layer):
    """max(0, x), as a layer; below 0 the slope is `negative_slope`.

    >>> from minitensor.keras.layers import ReLU
    >>> ReLU()([-1.0, 2.0]).numpy()
    array([0., 2.], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.0, **options: Any) -> None:
        super().__init__(**options)
        self.negative_slope = float(negative_slope)

    def forward(self, x: Any) -> Any:
        """x, below 0 times the slope."""
        return F.leaky_relu(x, self.negative_slope) if self.negative_slope else F.relu(x)

    def get_config(self) -> dict[str, Any]:
        """With the slope."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


class LeakyReLU(ReLU):
    """x, below 0 times `negative_slope`.

    >>> from minitensor.keras.layers import LeakyReLU
    >>> LeakyReLU(0.5)([-1.0, 2.0]).numpy()
    array([-0.5,  2. ], dtype=float32)
    """

    def __init__(self, negative_slope: float = 0.3, **options: Any) -> None:
        super().__init__(negative_slope, **options)


class Lambda(Layer):
    """A function of a tensor as a layer.

    >>> from minitensor.keras.layers import Lambda
    >>> Lambda(lambda x: 2 * x)([1.0, 2.0]).numpy()
    array([2., 4.], dtype=float32)
    """

    def __init__(self, function: Callable[[Any], Any], output_shape: Any = None, **options: Any) -> None:
        super().__init__(**options)
        self.call = function
