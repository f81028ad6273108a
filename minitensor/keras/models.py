"""Sequential and Model: layers one after the other, and what is done with all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import saving
from .layers import InputLayer, KerasTensor, Layer, Shape, default_name
from .summary import summary_of
from .tf.tensor import Variable, value_of
from .trainer import Trainer

__all__ = ["Model", "Sequential", "load_model"]

load_model = saving.load_model


def _one(tensors: Any, what: str) -> KerasTensor:
    given = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
    if len(given) != 1 or not isinstance(given[0], KerasTensor):
        raise ValueError(f"Model: {what} must be one symbolic tensor, as Input or a layer's output, not {tensors!r}")
    return given[0]


def _chain(begin: KerasTensor, end: KerasTensor) -> list[Layer]:
    """The layers between two symbolic tensors."""
    found: list[Layer] = []
    at: KerasTensor | None = end
    while at is not begin:
        if at is None or at.before is None:
            raise ValueError(f"Model: {end} was not computed from {begin}")
        found.append(at.layer)
        at = at.before
    return found[::-1]


class Model(Trainer):
    """The layers from a symbolic input to a symbolic output, shared with whatever else has them.

    >>> from minitensor.keras import layers, models
    >>> x = layers.Input((4,))
    >>> model = models.Model(inputs=x, outputs=layers.Dense(2)(layers.Dense(3)(x)))
    >>> model.output_shape, model.count_params()
    ((None, 2), 23)
    """

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None) -> None:
        super().__init__(name=name or default_name("Functional" if type(self) is Model else type(self).__name__))
        if inputs is not None or outputs is not None:
            begin, end = _one(inputs, "inputs"), _one(outputs, "outputs")
            chain = _chain(begin, end)
            self._input, self._end = begin, end
            entry = begin.layer if isinstance(begin.layer, InputLayer) else InputLayer(batch_shape=begin.shape)
            for layer in [entry, *chain]:
                self._append(layer)
            self.built = True

    _input: KerasTensor | None = None
    _end: KerasTensor | None = None

    def _append(self, layer: Layer) -> None:
        self.add_module(str(len(self._modules)), layer)

    @property
    def layers(self) -> list[Any]:
        """The layers in order, the input's first."""
        return list(self._modules.values())

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic input, in a list."""
        return [] if self._input is None else [self._input]

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic output, in a list."""
        return [] if self._end is None else [self._end]

    @property
    def input(self) -> KerasTensor:
        """The symbolic input."""
        if self._input is None:
            raise AttributeError
        return self._input

    @property
    def output(self) -> KerasTensor:
        """The symbolic output."""
        if self._end is None:
            raise AttributeError
        return self._end

    @property
    def weights(self) -> list[Variable]:
        """The weights, layer by layer."""
        return [w for layer in self.layers for w in layer.weights]

    variables = weights

    def get_layer(self, name: str | None = None, index: int | None = None) -> Any:
        """The layer of that name, or at that place. Raises ValueError if there is none."""
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ValueError(f"No layer {index} in a model of {len(self.layers)} layers.")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise ValueError(f"No such layer: {name}. Existing layers are: {[layer.name for layer in self.layers]}.")

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """The shape of the output for inputs of this shape."""
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def forward(self, x: Any) -> Any:
        """One layer after the other."""
        for layer in self._modules.values():
            x = layer.forward(x)  # type: ignore[union-attr]
        return x

    def passes(self) -> tuple[Callable[[Any], Any], Callable[[Any], Any] | None]:
        """One layer after the other, and a softmax or sigmoid at the end of the last."""
        layers = self.layers
        if not layers:
            return self.forward, None
        last, finish = layers[-1].passes()
        steps = [layer.forward for layer in layers[:-1] if not isinstance(layer, InputLayer)] + [last]

        def begin(x: Any) -> Any:
            for step in steps:
                x = step(x)
            return x

        return begin, finish

    def fitted(self, x: Any) -> Any:
        """An engine tensor of inputs in float32; an axis of size 1 at the end is added, or left out, if one is off."""
        value = value_of(x, np.float32)
        if self._input is None:
            value = value.unsqueeze(-1) if value.ndim == 1 else value
            self._start(tuple(value.array.shape))
            return value
        rank = len(self._input.shape)
        if value.ndim == rank - 1 and self._input.shape[-1] in (1, None):
            return value.unsqueeze(-1)
        if value.ndim == rank + 1 and value.array.shape[-1] == 1:
            return value.squeeze(-1)
        if value.ndim != rank:
            name = next((layer.name for layer in self.layers if not isinstance(layer, InputLayer)), self.name)
            raise ValueError(f"Layer '{name}' expects the shape {self._input.shape}, but received {tuple(value.shape)}")
        return value

    def _start(self, shape: Shape) -> None:
        raise ValueError(f"The model {self.name} has no layers yet.")

    def __call__(self, x: Any, training: bool = False) -> Any:
        return super().__call__(x if isinstance(x, KerasTensor) else self.fitted(x), training)

    def summary(self, line_length: int | None = None, print_fn: Any = None) -> None:
        """Prints a table of the layers, their outputs and their numbers of weights."""
        (print_fn or print)(summary_of(self, line_length))

    def save(self, filepath: Any, overwrite: bool = True) -> None:
        """Writes the model, its weights and what it was compiled with: to '.keras' or '.h5'. See `saving`."""
        saving.save_model(self, filepath, overwrite)

    def save_weights(self, filepath: Any, overwrite: bool = True) -> None:
        """Writes the weights: to '.weights.h5', or '.npz'."""
        saving.save_weights(self, filepath, overwrite)

    def load_weights(self, filepath: Any) -> None:
        """Takes over the weights of a file: '.weights.h5', '.h5', '.keras' or '.npz'."""
        saving.load_weights(self, filepath)

    def get_config(self) -> dict[str, Any]:
        """The name and the layers, the input's first."""
        entry = [self._input.layer] if self._input is not None and isinstance(self._input.layer, InputLayer) else []
        layers = [*entry, *[layer for layer in self.layers if not isinstance(layer, InputLayer)]]
        described = [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in layers]
        return {"name": self.name, "layers": described}


class Sequential(Model):
    """Layers one after the other, added one by one. With an `Input` first, each makes its weights as it is added.

    >>> from minitensor.keras import layers, models
    >>> model = models.Sequential()
    >>> model.add(layers.Input(shape=(2,)))
    >>> model.add(layers.Dense(3, activation="relu"))
    >>> model.layers[0].get_weights()[0].shape
    (2, 3)
    """

    def __init__(self, layers: Iterable[Any] | None = None, name: str | None = None) -> None:
        super().__init__(name=name)
        for layer in layers or ():
            self.add(layer)

    def add(self, layer: Any) -> None:
        """Adds a layer at the end. Raises ValueError for what is none, and for a name that is taken."""
        if isinstance(layer, KerasTensor):
            layer = layer.layer
        if not isinstance(layer, Layer):
            raise ValueError(f"Only layers can be added to a Sequential model, not {layer!r} (of {type(layer)})")
        if isinstance(layer, InputLayer):
            if self._input is not None or self._modules:
                raise ValueError(f"Sequential model '{self.name}' already begins; an Input comes first")
            self._input = self._end = layer.output
            return
        if any(other.name == layer.name for other in self.layers):
            raise ValueError(
                f"All layers added to a Sequential model should have unique names; '{layer.name}' is the name of a "
                "layer in this model."
            )
        if not self._modules and self._input is None and layer.first_shape is not None:
            self._input = self._end = InputLayer(layer.first_shape).output
        self._append(layer)
        self._connect(layer)

    def _connect(self, layer: Layer) -> None:
        if self._end is not None:
            layer._symbolic = None
            self._end = layer.connect(self._end)
            self.built = True

    def pop(self) -> Layer:
        """Takes the last layer away, and returns it."""
        if not self._modules:
            raise ValueError(f"Sequential model '{self.name}' has no layers")
        _, layer = self._modules.popitem()
        if self._end is not None:
            self._end = self._end.before
        return layer  # type: ignore[return-value]

    def _start(self, shape: Shape) -> None:
        if not self._modules:
            super()._start(shape)
        self._input = self._end = InputLayer(batch_shape=(None, *shape[1:])).output
        for layer in self.layers:
            self._connect(layer)

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of this shape, batch included."""
        if self._input is None:
            self._start(tuple(input_shape))
