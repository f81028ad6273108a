"""Sequential and Model: layers one after the other, and what is done with all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..autograd import no_grad
from ..graph.tensors import wrap
from . import saving
from .layers.base import InputLayer, KerasTensor, Layer, Shape, default_name, training_mode
from .summary import summary_of
from .tf.tensor import Variable, run, value_of
from .trainer import Trainer

__all__ = ["Model", "Sequential", "clone_model", "load_model", "save_model"]

load_model = saving.load_model
save_model = saving.save_model


def clone_model(model: Any) -> Any:
    """A model of the same layers, with new weights.

    >>> from minitensor.keras import layers, models
    >>> models.clone_model(models.Sequential([layers.Input((2,)), layers.Dense(3)])).count_params()
    9
    """
    return (
        type(model).from_config(model.get_config())
        if type(model) is Sequential
        else saving.rebuilt(saving.config_of(model), {})
    )


def _several(tensors: Any, what: str) -> list[KerasTensor]:
    given = list(tensors) if isinstance(tensors, (list, tuple)) else [tensors]
    if not given or not all(isinstance(tensor, KerasTensor) for tensor in given):
        raise ValueError(f"Model: {what} must be symbolic tensors, as Input or a layer's output, not {tensors!r}")
    return given


def _graph(begins: Sequence[KerasTensor], ends: Sequence[KerasTensor]) -> tuple[list[KerasTensor], list[Layer]]:
    """The tensors between, each after what it is made of; and their layers, the farthest from the ends first."""
    given = {id(tensor) for tensor in begins}
    order: list[KerasTensor] = []
    met: dict[int, Layer] = {}  # in the order of the walk from the ends

    def visit(tensor: KerasTensor) -> None:
        if any(tensor is other for other in order):
            return
        met.setdefault(id(tensor.layer), tensor.layer)
        if id(tensor) not in given:
            if not tensor.inputs:
                raise ValueError(f"Model: the outputs are not computed from the inputs alone: they need {tensor}")
            for before in tensor.inputs:
                visit(before)
        order.append(tensor)

    for end in ends:
        visit(end)
    depths, far = {id(tensor): 0 for tensor in order}, dict.fromkeys(met, 0)
    for tensor in reversed(order):
        depths[id(tensor)] = far[id(tensor.layer)] = max(depths[id(tensor)], far[id(tensor.layer)])
        for before in tensor.inputs if id(tensor) not in given else ():
            depths[id(before)] = max(depths[id(before)], depths[id(tensor)] + 1)
    ranks = {key: k for k, key in enumerate(met)}
    made = {id(tensor.layer) for tensor in order if id(tensor) not in given}
    layers = [met[key] for key in sorted(met, key=lambda key: (-far[key], ranks[key])) if key in made]
    return [tensor for tensor in order if id(tensor) not in given], layers


class Model(Trainer):
    """The layers between symbolic inputs and outputs, shared with whatever else has them.

    >>> from minitensor.keras import layers, models
    >>> x = layers.Input((4,))
    >>> model = models.Model(inputs=x, outputs=layers.Dense(2)(layers.Dense(3)(x)))
    >>> model.output_shape, model.count_params()
    ((None, 2), 23)

    A class of one's own makes its layers in `__init__` and says in `call` what becomes of a tensor.
    """

    def __init__(self, inputs: Any = None, outputs: Any = None, name: str | None = None) -> None:
        super().__init__(name=name or default_name("Functional" if type(self) is Model else type(self).__name__))
        self._inputs: list[KerasTensor] = []
        self._ends: list[KerasTensor] = []
        self._nodes: list[KerasTensor] = []
        if inputs is not None or outputs is not None:
            self._inputs, self._ends = _several(inputs, "inputs"), _several(outputs, "outputs")
            self._listed = isinstance(outputs, (list, tuple)) and len(outputs) > 1
            self._nodes, layers = _graph(self._inputs, self._ends)
            entries = [
                begin.layer if isinstance(begin.layer, InputLayer) else InputLayer(batch_shape=begin.shape)
                for begin in self._inputs
            ]
            for layer in [*entries, *layers]:
                self._append(layer)
            self.built = True

    @property
    def _input(self) -> KerasTensor | None:
        return self._inputs[0] if self._inputs else None

    @property
    def _end(self) -> KerasTensor | None:
        return self._ends[0] if self._ends else None

    def _append(self, layer: Layer) -> None:
        self.add_module(str(len(self._modules)), layer)

    @property
    def layers(self) -> list[Any]:
        """The layers in order, the inputs' first."""
        return [layer for layer in self._modules.values() if isinstance(layer, Layer)]

    @property
    def inputs(self) -> list[KerasTensor]:
        """The symbolic inputs."""
        return list(self._inputs)

    @property
    def outputs(self) -> list[KerasTensor]:
        """The symbolic outputs."""
        return list(self._ends)

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
        return [*self._weights, *[w for layer in self.layers for w in layer.weights]]

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
        if self.call is not None:
            return super().compute_output_shape(input_shape)
        if self._nodes:
            return (input_shape[0], *self._ends[0].shape[1:])
        for layer in self.layers:
            input_shape = layer.compute_output_shape(input_shape)
        return input_shape

    def _flow(self, inputs: Sequence[Any], last: Any = None) -> Any:
        """The outputs for engine tensors; `last` takes the place of what the layer of the first output does."""
        values = dict(zip(map(id, self._inputs), inputs, strict=True))
        for node in self._nodes:
            step = node.layer.forward if last is None or node is not self._ends[0] else last
            values[id(node)] = step(*[values[id(before)] for before in node.inputs])
        ends = [values[id(end)] for end in self._ends]
        return ends if len(ends) > 1 else ends[0]

    def forward(self, *inputs: Any) -> Any:
        """One layer after the other."""
        if self.call is not None:
            return super().forward(*inputs)
        if self._nodes:
            return self._flow(inputs)
        (x,) = inputs
        for layer in self.layers:
            x = layer.forward(x)
        return x

    def passes(self) -> tuple[Callable[..., Any], Callable[[Any], Any] | None]:
        """One layer after the other, and a softmax or sigmoid at the end of the last."""
        if self.call is not None or (not self._nodes and not self.layers) or len(self._ends) > 1:
            return self.forward, None
        if self._nodes:
            last, finish = self._ends[0].layer.passes()
            return (lambda *inputs: self._flow(inputs, last)), finish
        layers = self.layers
        last, finish = layers[-1].passes()

        def begin(x: Any) -> Any:
            for layer in layers[:-1]:
                x = layer.forward(x)
            return last(x)

        return begin, finish

    def parts(self, x: Any) -> list[Any]:
        """The engine tensors of all inputs: of a list of as many arrays, or of one."""
        if len(self._inputs) < 2:
            return [self.fitted(x)]
        given = list(x.values()) if isinstance(x, dict) else list(x) if isinstance(x, (list, tuple)) else [x]
        if len(given) != len(self._inputs):
            raise ValueError(f"The model {self.name} has {len(self._inputs)} inputs, but was given {len(given)}")
        return [self._fit_rank(part, begin) for part, begin in zip(given, self._inputs, strict=True)]

    def fitted(self, x: Any) -> Any:
        """An engine tensor of inputs in float32; an axis of size 1 at the end is added, or left out, if one is off."""
        if self._input is None:
            value = value_of(x, np.float32)
            value = value.unsqueeze(-1) if value.ndim == 1 and self.call is None else value
            self._start(tuple(value.array.shape))
            return value
        return self._fit_rank(x, self._input)

    def _fit_rank(self, x: Any, begin: KerasTensor) -> Any:
        value, rank = value_of(x, np.float32), len(begin.shape)
        if value.ndim == rank - 1 and begin.shape[-1] in (1, None):
            return value.unsqueeze(-1)
        if value.ndim == rank + 1 and value.array.shape[-1] == 1:
            return value.squeeze(-1)
        if value.ndim != rank:
            name = next((layer.name for layer in self.layers if not isinstance(layer, InputLayer)), self.name)
            raise ValueError(f"Layer '{name}' expects the shape {begin.shape}, but received {tuple(value.shape)}")
        return value

    def _start(self, shape: Shape) -> None:
        if self.call is None:
            raise ValueError(f"The model {self.name} has no layers yet.")
        if not self.built:  # the layers of a user's model make their weights when they are called
            self.built = True
            with training_mode(self, False), no_grad():
                self.forward(wrap(np.zeros([1, *[n or 1 for n in shape[1:]]], np.float32)))

    def __call__(self, x: Any, training: bool = False) -> Any:
        if len(self._inputs) > 1:
            if isinstance(x, (list, tuple)) and isinstance(x[0], KerasTensor):
                return KerasTensor(self._ends[0].shape, self, x)
            with training_mode(self, bool(training)):
                return run(self.forward, *self.parts(x))
        if isinstance(x, KerasTensor):
            return self.connect(x)
        if len(self._ends) > 1:
            with training_mode(self, bool(training)):
                value = self.fitted(x)
                return [run(self._output(k), value) for k in range(len(self._ends))]
        return super().__call__(self.fitted(x), training)

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

    def to_json(self) -> str:
        """The configuration as JSON."""
        return json.dumps(saving.config_of(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """A new model of what `get_config` describes, with new weights."""
        kind = "Sequential" if issubclass(cls, Sequential) else "Functional"
        return saving.rebuilt({"class_name": kind, "config": config}, {})

    def get_config(self) -> dict[str, Any]:
        """The name and the layers, the inputs' first."""
        entries = [begin.layer for begin in self._inputs if isinstance(begin.layer, InputLayer)]
        if self._nodes:
            entries = [layer for layer in self.layers if isinstance(layer, InputLayer)]
        layers = [*entries, *[layer for layer in self.layers if not isinstance(layer, InputLayer)]]
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
            self._add(layer)
        self._name_rebuilt()

    def _name_rebuilt(self) -> None:
        """Keras makes a functional model of the layers so far, which takes one of the default names."""
        if self._modules and self._end is not None:
            default_name("Functional")

    def add(self, layer: Any) -> None:
        """Adds a layer at the end. Raises ValueError for what is none, and for a name that is taken."""
        self._add(layer)
        self._name_rebuilt()

    def _add(self, layer: Any) -> None:
        if isinstance(layer, KerasTensor):
            layer = layer.layer
        if not isinstance(layer, Layer):
            raise ValueError(f"Only layers can be added to a Sequential model, not {layer!r} (of {type(layer)})")
        if isinstance(layer, InputLayer):
            if self._input is not None or self._modules:
                raise ValueError(f"Sequential model '{self.name}' already begins; an Input comes first")
            self._begin(layer)
            return
        if any(other.name == layer.name for other in self.layers):
            raise ValueError(
                f"All layers added to a Sequential model should have unique names; '{layer.name}' is the name of a "
                "layer in this model."
            )
        if not self._modules and self._input is None and layer.first_shape is not None:
            self._begin(InputLayer(layer.first_shape))
        self._append(layer)
        self._connect(layer)

    def _begin(self, layer: InputLayer) -> None:
        self._inputs, self._ends = [layer.output], [layer.output]

    def _connect(self, layer: Layer) -> None:
        if self._end is not None:
            layer._symbolic = None
            fresh = not layer.built
            self._ends = [layer.connect(self._end)]
            self.built = True
            for weight in layer._weights if fresh else ():
                weight.path = f"{self.name}/{weight.path}"

    def pop(self) -> Layer:
        """Takes the last layer away, and returns it."""
        if not self._modules:
            raise ValueError(f"Sequential model '{self.name}' has no layers")
        _, layer = self._modules.popitem()
        if self._end is not None and self._end.before is not None:
            self._ends = [self._end.before]
        return layer  # type: ignore[return-value]

    def _start(self, shape: Shape) -> None:
        if not self._modules:
            super()._start(shape)
        self._begin(InputLayer(batch_shape=(None, *shape[1:])))
        for layer in self.layers:
            self._connect(layer)
        self._name_rebuilt()

    def build(self, input_shape: Any) -> None:
        """Makes the weights for inputs of this shape, batch included."""
        if self._input is None:
            self._start(tuple(input_shape))
