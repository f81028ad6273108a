"""The base of all layers: names, symbolic tensors, weights, calls.

Keras has the channels of a picture last and the kernels as (height, width, in, out); the engine's kernels want them
first, as (out, in, height, width). Weights are stored as the engine wants them, and shown as Keras has them. Pictures
are channels-last in every layer's eyes, but in memory a convolution's result stays channels-first: `first` and `last`
only exchange the axes' order, which copies nothing, and cancel between one layer and the next.
"""

from __future__ import annotations

import collections
import inspect
import math
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...graph.tensors import wrap
from ...nn import Module, Parameter
from .. import initializers, regularizers
from ..tf.tensor import Tensor, Variable, recording, run, value_of

Shape = tuple[int | None, ...]

_counts: collections.Counter[str] = collections.Counter()


def snake_case(kind: str) -> str:
    """The name of a class in snake case.

    >>> from minitensor.keras.layers.base import snake_case
    >>> snake_case("MaxPooling2D"), snake_case("Conv2D"), snake_case("SGD")
    ('max_pooling2d', 'conv2d', 'sgd')
    """
    words = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", kind)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", words).lower()


def default_name(kind: str) -> str:
    """The name of a class in snake case; from the second on numbered.

    >>> from minitensor.keras.layers.base import default_name
    >>> default_name("MyPooling2D"), default_name("MyPooling2D")
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

    def __init__(self, shape: Shape, layer: Layer, inputs: Sequence[KerasTensor] = ()) -> None:
        self.shape, self.layer, self.inputs, self.dtype = shape, layer, tuple(inputs), "float32"
        self.name = layer.name

    @property
    def before(self) -> KerasTensor | None:
        """What the layer was given; the first of several."""
        return self.inputs[0] if self.inputs else None

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
        self.penalties: list[tuple[Variable, Any]] = []
        self._symbolic: KerasTensor | None = None
        self._trainable = bool(trainable)

    # --- weights --------------------------------------------------------------------------------------------------

    def build(self, input_shape: Shape) -> None:
        """Makes the weights for inputs of this shape; a layer without weights has nothing to do."""

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output for inputs of this shape, batch included."""
        if self.call is None:
            return input_shape
        tried = run(self.forward, wrap(np.zeros([1 if n is None else n for n in input_shape], np.float32)))
        return (input_shape[0], *tried.shape[1:])

    def _weight(
        self,
        name: str,
        shape: Sequence[int],
        initializer: Any,
        axes: Sequence[int] | None = None,
        trainable: bool = True,
    ) -> Variable:
        """A new weight. `axes` turns the engine's axes into Keras's, in which `shape` is."""
        stored = list(shape) if axes is None else [shape[i] for i in np.argsort(axes)]
        parameter = Parameter(wrap(np.empty(stored, np.float32)), requires_grad=self._trainable and trainable)
        variable = Variable(parameter, trainable, name=name, axes=axes)
        variable.path = f"{self.name}/{name}"
        self.register_parameter(f"{name}_{len(self._weights)}", parameter)
        initializers.fill(initializer, variable)
        self._weights.append(variable)
        return variable

    def add_weight(
        self,
        shape: Any = (),
        initializer: Any = "glorot_uniform",
        dtype: Any = None,
        trainable: bool = True,
        regularizer: Any = None,
        name: str = "variable",
    ) -> Variable:
        """A new weight, for the `build` of a user's own layer.

        >>> from minitensor.keras.layers import Layer
        >>> Layer().add_weight(shape=(2, 3), initializer="ones", name="w").shape
        TensorShape([2, 3])
        """
        sizes = (shape,) if isinstance(shape, int) else tuple(shape)
        variable = self._weight(name, sizes, initializers.check(initializer), trainable=trainable)
        if regularizer is not None:
            self.penalties.append((variable, regularizers.get(regularizer)))
        return variable

    @property
    def weights(self) -> list[Variable]:
        """The weights, in Keras's order and with Keras's axes: those that training changes first."""
        own = [w for w in self._weights if w.trainable] + [w for w in self._weights if not w.trainable]
        return own + [w for layer in self._modules.values() if isinstance(layer, Layer) for w in layer.weights]

    @property
    def variables(self) -> list[Variable]:
        """The weights."""
        return self.weights

    @property
    def trainable_weights(self) -> list[Variable]:
        """The weights that training changes."""
        return [w for w in self.weights if w.leaf.requires_grad]

    @property
    def trainable_variables(self) -> list[Variable]:
        """The weights that training changes."""
        return self.trainable_weights

    @property
    def non_trainable_weights(self) -> list[Variable]:
        """The weights that training leaves as they are."""
        return [w for w in self.weights if not w.leaf.requires_grad]

    non_trainable_variables = non_trainable_weights

    def penalty(self) -> Any:
        """The sum of what the regularizers of the weights add to the loss; None without any."""
        layers = [layer for layer in self.modules() if isinstance(layer, Layer)]
        terms = [rule.raw(w.leaf) for layer in layers for w, rule in layer.penalties]
        return sum(terms[1:], terms[0]) if terms else None

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights."""
        return self._trainable

    @trainable.setter
    def trainable(self, on: bool) -> None:
        for layer in self.modules():
            if isinstance(layer, Layer):
                layer._trainable = bool(on)
                for weight in layer._weights:
                    weight.leaf.requires_grad = bool(on) and weight.trainable

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
        out = KerasTensor(self.compute_output_shape(x.shape), self, [x])
        if self._symbolic is None:
            self._symbolic = out
        return out

    call: Any = None  # what a user's own layer does, of TensorFlow's tensors

    def forward(self, x: Any) -> Any:
        """What the layer does with an engine tensor: a user's `call`; x itself without one."""
        if self.call is None:
            return x
        self._build_once((None, *x.shape[1:]))
        how = {"training": self.training} if "training" in inspect.signature(self.call).parameters else {}
        with recording():
            return value_of(self.call(Tensor(x), **how))

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


def first(x: Any) -> Any:
    """(n, ..., channels) as (n, channels, ...)."""
    return x.permute(0, x.ndim - 1, *range(1, x.ndim - 1))


def last(x: Any) -> Any:
    """(n, channels, ...) as (n, ..., channels)."""
    return x.permute(0, *range(2, x.ndim), 1)


def known(layer: Layer, input_shape: Shape) -> int:
    size = input_shape[-1] if len(input_shape) > 1 else None
    if size is None:
        raise ValueError(f"Layer '{layer.name}' needs the last axis of its input, but received the shape {input_shape}")
    return size
