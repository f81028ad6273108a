"""Layers: weights under Keras's names and shapes around the functions of `nn.functional`.

Keras has the channels of a picture last and the kernels as (height, width, in, out); the engine's kernels want them
first, as (out, in, height, width). Weights are stored as the engine wants them, and shown as Keras has them. Pictures
are channels-last in every layer's eyes, but in memory a convolution's result stays channels-first: `_first` and `_last`
only exchange the axes' order, which copies nothing, and cancel between one layer and the next.
"""

from __future__ import annotations

import collections
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ..graph.tensors import wrap
from ..nn import Module, Parameter
from ..nn import functional as F
from ..nn.conv import several
from ..nn.linear import whole
from . import activations, initializers
from .tf.tensor import Variable, run, value_of

__all__ = [
    "Activation", "Conv1D", "Conv2D", "Dense", "Dropout", "Embedding", "Flatten", "Input", "InputLayer", "Layer",
    "MaxPooling1D", "MaxPooling2D",
]  # fmt: skip

Shape = tuple[int | None, ...]

_counts: collections.Counter[str] = collections.Counter()


def snake_case(kind: str) -> str:
    """The name of a class in snake case.

    >>> from minitensor.keras import layers
    >>> layers.snake_case("MaxPooling2D"), layers.snake_case("Conv2D"), layers.snake_case("SGD")
    ('max_pooling2d', 'conv2d', 'sgd')
    """
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def default_name(kind: str) -> str:
    """The name of a class in snake case; from the second on numbered.

    >>> from minitensor.keras import layers
    >>> layers.default_name("MyPooling2D"), layers.default_name("MyPooling2D")
    ('my_pooling2d', 'my_pooling2d_1')
    """
    name = snake_case(kind)
    count = _counts[name]
    _counts[name] += 1
    return f"{name}_{count}" if count else name


def forget_names() -> None:
    """Counts from the beginning again."""
    _counts.clear()


class KerasTensor:
    """What a layer gives before there are numbers: a shape, and the layers back to the input."""

    def __init__(self, shape: Shape, layer: Layer, before: KerasTensor | None = None) -> None:
        self.shape, self.layer, self.before, self.dtype = shape, layer, before, "float32"
        self.name = layer.name

    @property
    def ndim(self) -> int:
        """The number of axes, with the batch."""
        return len(self.shape)

    def __repr__(self) -> str:
        return f"<KerasTensor shape={self.shape}, dtype={self.dtype}, name={self.name}>"


def Input(
    shape: Any = None,
    batch_size: int | None = None,
    dtype: Any = None,
    name: str | None = None,
    batch_shape: Any = None,
) -> KerasTensor:
    """Where a model begins: a tensor of this shape, which leaves out the batch.

    >>> from minitensor.keras.layers import Input
    >>> Input(shape=(28, 28, 1)).shape
    (None, 28, 28, 1)
    """
    return InputLayer(shape, batch_size, dtype, name=name, batch_shape=batch_shape).output


class Layer(Module):
    """The base of all layers: a name, weights that are made when the shape of the input is known, and `forward`.

    `forward` maps engine tensors; calling a layer takes arrays or tensors and gives a tensor, or connects a symbolic
    input to a symbolic output.
    """

    def __init__(
        self,
        *,
        name: str | None = None,
        trainable: bool = True,
        dtype: Any = None,
        input_shape: Any = None,
        input_dim: int | None = None,
        **unknown: Any,
    ) -> None:
        if unknown:
            raise ValueError(f"Unrecognized keyword arguments passed to {type(self).__name__}: {unknown}")
        super().__init__()
        self.train(False)  # calls outside the training loop
        self.name = name or default_name(type(self).__name__)
        self.first_shape = (
            (input_dim,) if input_dim is not None else None if input_shape is None else tuple(input_shape)
        )
        self.built = False
        self._weights: list[Variable] = []
        self._symbolic: KerasTensor | None = None
        self._trainable = bool(trainable)

    # --- weights --------------------------------------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Makes the weights for inputs of this shape; a layer without weights has nothing to do."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output for inputs of this shape, batch included."""
        return input_shape

    def _weight(self, name: str, shape: Sequence[int], initializer: Any, axes: Sequence[int] | None = None) -> Variable:
        """A new weight. `axes` turns the engine's axes into Keras's, in which `shape` is."""
        stored = list(shape) if axes is None else [shape[i] for i in np.argsort(axes)]
        parameter = Parameter(wrap(np.empty(stored, np.float32)), requires_grad=self._trainable)
        variable = Variable(parameter, name=name, axes=axes)
        self.register_parameter(f"{name}_", parameter)
        initializers.fill(initializer, variable)
        self._weights.append(variable)
        return variable

    @property
    def weights(self) -> list[Variable]:
        """The weights, in Keras's order and with Keras's axes."""
        return list(self._weights)

    variables = weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        return [w for w in self.weights if w.leaf.requires_grad]

    trainable_variables = trainable_weights

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights."""
        return self._trainable

    @trainable.setter
    def trainable(self, on: bool) -> None:
        self._trainable = bool(on)
        for parameter in self.parameters():
            parameter.requires_grad = bool(on)

    def get_weights(self) -> list[Any]:
        """Copies of the weights, as arrays."""
        return [w.numpy() for w in self.weights]

    def set_weights(self, weights: Sequence[Any]) -> None:
        """Takes over arrays, cast to float32. Raises ValueError for another number of them or another shape."""
        own = self.weights
        if len(weights) != len(own):
            raise ValueError(
                f"You called `set_weights(weights)` on layer '{self.name}' with a weight list of length "
                f"{len(weights)}, but the layer was expecting {len(own)} weights."
            )
        arrays = [np.asarray(w) for w in weights]
        for variable, array in zip(own, arrays, strict=True):
            if variable.shape != array.shape:
                raise ValueError(
                    f"Layer {self.name} weight shape {variable.shape} is not compatible with provided weight shape "
                    f"{array.shape}."
                )
        for variable, array in zip(own, arrays, strict=True):
            variable.assign(array)

    def count_params(self) -> int:
        """How many numbers the weights have."""
        return sum(math.prod(w.shape) for w in self.weights)

    def get_config(self) -> dict[str, Any]:
        """What a saved model keeps of the layer: the arguments that make it again."""
        return {"name": self.name, "trainable": self._trainable}

    # --- calling --------------------------------------------------------------------------------------------------

    def _build_once(self, shape: Shape) -> None:
        if not self.built:
            self.build(shape)
            self.built = True

    def connect(self, x: KerasTensor) -> KerasTensor:
        """The symbolic output for a symbolic input; the weights are made."""
        self._build_once(x.shape)
        out = KerasTensor(self.compute_output_shape(x.shape), self, x)
        if self._symbolic is None:
            self._symbolic = out
        return out

    def __call__(self, x: Any, training: bool = False) -> Any:
        if isinstance(x, KerasTensor):
            return self.connect(x)
        value = value_of(x, np.float32)
        self._build_once((None, *value.shape[1:]))
        with training_mode(self, bool(training)):
            begin, finish = self.passes()
            if finish is None:
                return run(begin, value)
            logits = run(begin, value)
            out = run(finish, logits.value)
            out.logits = logits.value
            return out

    def passes(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any] | None]:
        """`forward` in two: up to a softmax or sigmoid at its end, and that; None where there is none."""
        return self.forward, None

    def __getattr__(self, name: str) -> Any:
        if name in ("input", "input_shape", "output", "output_shape"):  # the properties, which raised
            raise AttributeError(f"The layer {self.name} has never been called and thus has no defined {name}.")
        return super().__getattr__(name)

    @property
    def output(self) -> KerasTensor:
        """What the layer gives, symbolic."""
        if self._symbolic is None:
            raise AttributeError
        return self._symbolic

    @property
    def input(self) -> KerasTensor:
        """What the layer is given, symbolic."""
        before = self.output.before
        return self.output if before is None else before

    @property
    def output_shape(self) -> Shape:
        """The shape of the output, batch included."""
        return self.output.shape

    @property
    def input_shape(self) -> Shape:
        """The shape of the input, batch included."""
        return self.input.shape

    def _expect(self, size: int | None, given: Shape) -> None:
        """Raises unless the last axis of what was given has that size."""
        if size is not None and (not given or given[-1] != size):
            raise ValueError(
                f"Layer '{self.name}' expects {size} numbers along the last axis of its input, but received the shape "
                f"{tuple(given)}"
            )

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


@contextmanager
def training_mode(layer: Module, on: bool) -> Iterator[None]:
    """The layer in training, if `on`."""
    if on:
        layer.train(True)
    try:
        yield
    finally:
        if on:
            layer.train(False)


class InputLayer(Layer):
    """The layer of an `Input`: gives what it is given."""

    def __init__(
        self,
        shape: Any = None,
        batch_size: int | None = None,
        dtype: Any = None,
        *,
        name: str | None = None,
        batch_shape: Any = None,
    ) -> None:
        super().__init__(name=name)
        if shape is None and batch_shape is None:
            raise ValueError("You must pass a `shape` argument.")
        sizes = tuple(batch_shape) if batch_shape is not None else (batch_size, *_tuple(shape))
        self.batch_shape: Shape = sizes
        self.built = True
        self._symbolic = KerasTensor(sizes, self)

    def forward(self, x: Any) -> Any:
        """x."""
        return x

    def get_config(self) -> dict[str, Any]:
        """The shape and the name."""
        return {"batch_shape": self.batch_shape, "dtype": "float32", "name": self.name}


def _tuple(shape: Any) -> tuple[Any, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


class _Activated(Layer):
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


class Activation(_Activated):
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


class _Weighted(_Activated):
    """A layer with a kernel and a bias."""

    kernel: Variable
    bias: Variable | None

    def __init__(
        self, activation: Any, use_bias: bool, kernel_initializer: Any, bias_initializer: Any, **options: Any
    ) -> None:
        super().__init__(activation, **options)
        self.use_bias = bool(use_bias)
        self.kernel_initializer = initializers.check(kernel_initializer)
        self.bias_initializer = initializers.check(bias_initializer)

    def _make(self, shape: Sequence[int], axes: Sequence[int]) -> None:
        self.kernel = self._weight("kernel", shape, self.kernel_initializer, axes)
        self.bias = self._weight("bias", shape[-1:], self.bias_initializer) if self.use_bias else None

    def get_config(self) -> dict[str, Any]:
        """With the bias and the initial values."""
        config = {**super().get_config(), "use_bias": self.use_bias}
        for name in ("kernel_initializer", "bias_initializer"):
            value = getattr(self, name)
            config[name] = value if isinstance(value, str) else activations.name_of(value)
        return config


class Dense(_Weighted):
    """activation(x @ kernel + bias) along the last axis; kernel (in, units), bias (units,).

    >>> from minitensor.keras.layers import Dense
    >>> layer = Dense(2, activation="relu")
    >>> layer([[1.0, 2.0, 3.0]]).shape, [w.shape for w in layer.get_weights()]
    ((1, 2), [(3, 2), (2,)])
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
        self._make((_known(self, input_shape), self.units), (1, 0))

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
    (1, 2, 3)
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


# --- pictures ---------------------------------------------------------------------------------------------------------


def _first(x: Any) -> Any:
    """(n, ..., channels) as (n, channels, ...)."""
    return x.permute(0, x.ndim - 1, *range(1, x.ndim - 1))


def _last(x: Any) -> Any:
    """(n, channels, ...) as (n, ..., channels)."""
    return x.permute(0, *range(2, x.ndim), 1)


def _known(layer: Layer, input_shape: Shape) -> int:
    size = input_shape[-1] if len(input_shape) > 1 else None
    if size is None:
        raise ValueError(f"Layer '{layer.name}' needs the last axis of its input, but received the shape {input_shape}")
    return size


class _Windows:
    """Where the windows of a convolution or a pool lie: inside ('valid'), or size / stride of them ('same')."""

    def __init__(self, layer: str, kernel: tuple[int, ...], strides: tuple[int, ...], padding: str) -> None:
        if padding not in ("valid", "same"):
            raise ValueError(f"{layer}: padding must be 'valid' or 'same', not {padding!r}")
        self.kernel, self.strides, self.padding = kernel, strides, padding

    def out(self, sizes: Sequence[int | None]) -> list[int | None]:
        """How many windows there are along each axis."""
        cut = self.kernel if self.padding == "valid" else (1,) * len(self.kernel)
        given = zip(sizes, cut, self.strides, strict=True)
        return [None if size is None else (size - k) // s + 1 for size, k, s in given]

    def padded(self, x: Any, value: float) -> Any:
        """x with what 'same' adds around it; an odd number adds one more at the end."""
        if self.padding == "valid":
            return x
        widths: list[int] = []
        for size, k, s in reversed(list(zip(x.shape[2:], self.kernel, self.strides, strict=True))):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            widths += [total // 2, total - total // 2]
        return F.pad(x, widths, value=value) if any(widths) else x

    def even(self) -> Any:
        """The padding as the engine's convolution takes it, if that can do it itself; else None."""
        if self.padding == "valid":
            return (0,) * len(self.kernel)
        plain = all(s == 1 and k % 2 for k, s in zip(self.kernel, self.strides, strict=True))
        return tuple([k // 2 for k in self.kernel]) if plain else None


class _Convolution(_Weighted):
    """Conv1D and Conv2D."""

    _axes: int

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(activation, use_bias, kernel_initializer, bias_initializer, **options)
        name, axes = type(self).__name__, self._axes
        self.filters = whole(name, "filters", filters)
        self.kernel_size = several(name, "kernel_size", kernel_size, 1, axes)
        self.strides = several(name, "strides", strides, 1, axes)
        self.padding = padding
        self._windows = _Windows(name, self.kernel_size, self.strides, padding)
        self._convolve = F.conv1d if axes == 1 else F.conv2d
        self._elementwise = hasattr(self.activation, "raw") and self.activation is not activations.softmax

    def build(self, input_shape: Shape) -> None:
        """Makes kernel and bias."""
        axes = self._axes
        if len(input_shape) != axes + 2:
            raise ValueError(f"Layer '{self.name}' expects {axes + 2} axes, but received the shape {input_shape}")
        shape = (*self.kernel_size, _known(self, input_shape), self.filters)
        self._make(shape, (*range(2, axes + 2), 1, 0))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, windows..., filters)."""
        places = self._windows.out(input_shape[1:-1])
        if any(n is not None and n < 1 for n in places):
            raise ValueError(
                f"Layer '{self.name}': the kernel {self.kernel_size} is larger than the input {input_shape}"
            )
        return (input_shape[0], *places, self.filters)

    def _channels_first(self, x: Any) -> Any:
        self._expect(self.kernel.leaf.shape[1], x.shape)
        x, even = _first(x), self._windows.even()
        if even is None:
            x, even = self._windows.padded(x, 0.0), 0
        return self._convolve(x, self.kernel.leaf, None if self.bias is None else self.bias.leaf, self.strides, even)

    def affine(self, x: Any) -> Any:
        """The cross-correlation with the kernel, plus the bias."""
        return _last(self._channels_first(x))

    def forward(self, x: Any) -> Any:
        """The activation of it; one that goes element by element before the axes change places."""
        if self._elementwise:
            return _last(self._activate(self._channels_first(x)))
        return super().forward(x)

    def get_config(self) -> dict[str, Any]:
        """With the sizes."""
        sizes = {"filters": self.filters, "kernel_size": self.kernel_size, "strides": self.strides}
        return {**super().get_config(), **sizes, "padding": self.padding}


class Conv2D(_Convolution):
    """Convolution of pictures (n, height, width, in) with kernels (kh, kw, in, filters), which are not turned round.

    >>> from minitensor.keras.layers import Conv2D
    >>> layer = Conv2D(16, kernel_size=3, padding="same", activation="relu")
    >>> layer(np.zeros((1, 28, 28, 3))).shape, layer.get_weights()[0].shape
    ((1, 28, 28, 16), (3, 3, 3, 16))
    """

    _axes = 2


class Conv1D(_Convolution):
    """Convolution of sequences (n, length, in) with kernels (k, in, filters).

    >>> from minitensor.keras.layers import Conv1D
    >>> Conv1D(4, 3, strides=2)(np.zeros((1, 9, 2))).shape
    (1, 4, 4)
    """

    _axes = 1


class _MaxPooling(Layer):
    """MaxPooling1D and MaxPooling2D."""

    _axes: int

    def __init__(self, pool_size: Any = 2, strides: Any = None, padding: str = "valid", **options: Any) -> None:
        super().__init__(**options)
        name = type(self).__name__
        self.pool_size = several(name, "pool_size", pool_size, 1, self._axes)
        self.strides = self.pool_size if strides is None else several(name, "strides", strides, 1, self._axes)
        self.padding = padding
        self._windows = _Windows(name, self.pool_size, self.strides, padding)
        self._pool = F.max_pool1d if self._axes == 1 else F.max_pool2d

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, windows..., channels)."""
        if len(input_shape) != self._axes + 2:
            raise ValueError(f"Layer '{self.name}' expects {self._axes + 2} axes, but received the shape {input_shape}")
        places = self._windows.out(input_shape[1:-1])
        if any(n is not None and n < 1 for n in places):
            raise ValueError(f"Layer '{self.name}': the pool {self.pool_size} is larger than the input {input_shape}")
        return (input_shape[0], *places, input_shape[-1])

    def forward(self, x: Any) -> Any:
        """The largest of each window."""
        return _last(self._pool(self._windows.padded(_first(x), -math.inf), self.pool_size, self.strides))

    def get_config(self) -> dict[str, Any]:
        """With the sizes."""
        sizes = {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}
        return {**super().get_config(), **sizes}


class MaxPooling2D(_MaxPooling):
    """The largest number of each window of a picture (n, height, width, channels).

    >>> from minitensor.keras.layers import MaxPooling2D
    >>> MaxPooling2D()(np.arange(16.0).reshape(1, 4, 4, 1)).numpy().ravel()
    array([ 5.,  7., 13., 15.], dtype=float32)
    """

    _axes = 2


class MaxPooling1D(_MaxPooling):
    """The largest number of each window of a sequence (n, length, channels).

    >>> from minitensor.keras.layers import MaxPooling1D
    >>> MaxPooling1D()(np.arange(4.0).reshape(1, 4, 1)).numpy().ravel()
    array([1., 3.], dtype=float32)
    """

    _axes = 1


class Flatten(Layer):
    """All axes but the batch as one, in row-major order.

    >>> from minitensor.keras.layers import Flatten
    >>> Flatten()(np.zeros((5, 2, 3))).shape
    (5, 6)
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
        return _last(F.dropout(_first(x), self.rate, True)) if x.ndim > 2 else F.dropout(x, self.rate, True)

    def get_config(self) -> dict[str, Any]:
        """With the rate."""
        return {**super().get_config(), "rate": self.rate}
