"""compile, fit, evaluate, predict: Keras's arguments and results around the engine's training loop."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from .. import training
from ..nn import Module
from ..utils.data import DataLoader, TensorDataset
from . import losses, metrics, optimizers
from .callbacks import Bar, History, Listener
from .layers import Layer
from .tf.tensor import Tensor, value_of

BATCH = 32


class _Engine(Module):
    """A model as the engine's loop calls it: on its tensors; `compute` is what it does with them."""

    def __init__(self, model: Layer, compute: Callable[[Any], Any]) -> None:
        super().__init__()
        self.model, self.forward = model, compute  # type: ignore[method-assign]


class _Batches:
    """The batches of what gives them itself, `steps` in an epoch: an image iterator, a generator, a DataLoader."""

    def __init__(self, source: Any, steps: int | None, prepare: Callable[[Any], Any], model: Any = None) -> None:
        self.source, self.prepare, self.model = source, prepare, model
        self.indexed = hasattr(source, "__getitem__") and hasattr(source, "__len__")
        self.steps: int | None = len(source) if steps is None and hasattr(source, "__len__") else steps
        self._once = None if hasattr(source, "__len__") else iter(source)
        getattr(source, "begin_passes", lambda: None)()

    def __iter__(self) -> Iterator[Any]:
        given = 0
        for batch in self._pass():
            yield self.prepare(batch)
            given += 1
            if given == self.steps:  # of a generator the next batch is the next epoch's
                break
        getattr(self.source, "on_epoch_end", lambda: None)()
        if self.steps is not None and given < self.steps:
            warnings.warn(f"the data ended after {given} of {self.steps} batches", stacklevel=2)
            if self._once is not None and self.model is not None:
                self.model.stop_training = True

    def _pass(self) -> Any:
        if self.indexed:
            return (self.source[k] for k in range(len(self.source)))
        return self.source if self._once is None else self._once


class Trainer(Layer):
    """What a model can do with data. A subclass has `layers`, `forward` and `fitted`."""

    optimizer: Any = None
    loss: Any = None
    history: Any = None
    stop_training = False

    @property
    def layers(self) -> list[Any]:
        """The layers in order."""
        raise NotImplementedError

    @property
    def outputs(self) -> list[Any]:
        """The symbolic outputs."""
        raise NotImplementedError

    def parts(self, x: Any) -> list[Any]:
        """The engine tensors of the inputs, each with the rank that the model wants."""
        raise NotImplementedError

    # --- before -------------------------------------------------------------------------------------------------------

    def compile(
        self,
        optimizer: Any = "rmsprop",
        loss: Any = None,
        *,
        metrics: Any = None,
        run_eagerly: bool = False,
        steps_per_execution: int = 1,
        jit_compile: Any = "auto",
    ) -> None:
        """Says how to train: by which optimizer, which loss, and which metrics are to be shown.

        Each is a name, an object or, but for the optimizer, a function of (y_true, y_pred). Compiling again keeps the
        weights. `run_eagerly`, `steps_per_execution` and `jit_compile` are taken and change nothing.
        """
        self._loss = None if loss is None else losses.get(loss)
        self._metrics = _functions(metrics)
        self.optimizer = optimizers.get(optimizer)
        self.loss, self.metrics_names = loss, ["loss", *(["compile_metrics"] if self._metrics else [])]
        self.compiled_metrics = metrics

    def _check_compiled(self) -> losses.Loss:
        if self.optimizer is None:
            raise ValueError("You must call `compile()` before using the model.")
        if self._loss is None:
            raise ValueError("No loss to compute: give `compile()` a `loss`.")
        return self._loss

    def _engine(self) -> tuple[_Engine, Callable[..., Any], list[Callable[..., Any]]]:
        """The model, the loss and the metrics as the engine's loop takes them: functions of (output, target).

        Where a softmax or a sigmoid is last, a loss of probabilities is computed from what goes into it.
        """
        loss = self._check_compiled()
        begin, finish = self.passes()
        if not loss.accepts_logits or finish is None:
            begin, finish = self.forward, None
        compute = loss.raw if finish is None else loss.on_logits

        def loss_of(output: Any, target: Any) -> Any:
            value, penalty = compute(target, output), self.penalty()
            return value if penalty is None else value + penalty

        return _Engine(self, begin), loss_of, [_metric(n, f, finish) for n, f in self._metrics.items()]

    def _targets(self, y: Any) -> Any:
        return value_of(y, np.float32)

    def _pair(self, batch: Any) -> tuple[Any, ...]:
        return *self.parts(batch[0]), self._targets(batch[1])

    def _data(
        self, name: str, x: Any, y: Any, batch_size: int, shuffle: bool, steps: int | None
    ) -> tuple[Any, int | None]:
        """(what the engine's loop takes, the number of batches)."""
        if y is None and not _is_array(x):
            batches = _Batches(x, steps, self._pair, self)
            return batches, batches.steps
        if y is None:
            raise ValueError(f"{name}: the targets y are missing")
        inputs, targets = self.parts(x), self._targets(y)
        rows = {t.array.shape[:1] for t in (*inputs, targets)}
        if len(rows) > 1:
            raise ValueError(f"{name}: x has {len(inputs[0])} rows, and y {len(targets)}; they must have as many")
        whole = math.ceil(len(targets) / batch_size)
        if steps is None or steps == whole:
            return (*inputs, targets), whole
        loader: Any = DataLoader(TensorDataset(*inputs, targets), batch_size, shuffle)
        return _Batches(loader, steps, lambda batch: batch, self), min(steps, whole)

    # --- the loop -----------------------------------------------------------------------------------------------------

    def fit(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        epochs: int = 1,
        verbose: Any = "auto",
        callbacks: Any = None,
        validation_split: float = 0.0,
        validation_data: Any = None,
        shuffle: bool = True,
        steps_per_epoch: int | None = None,
        validation_steps: int | None = None,
        validation_batch_size: int | None = None,
    ) -> History:
        """Trains on arrays, or on an iterator of batches (x, y); returns the `History`.

        The batches have `batch_size` rows (32), the last of them what is left, in a new order each epoch if `shuffle`.
        The last part of the rows, `validation_split` of them, is left out and measured after each epoch, as is
        `validation_data`, (x, y) or an iterator. `verbose`: 0 prints nothing, 1 (or 'auto') a bar, 2 a line.

        >>> from minitensor.keras import layers, models
        >>> model = models.Sequential([layers.Input((1,)), layers.Dense(1)])
        >>> model.set_weights([[[1.0]], [0.0]])
        >>> model.compile("sgd", "mse")
        >>> model.fit(np.array([0.0, 1.0]), np.array([1.0, 2.0]), epochs=2, verbose=0).history["loss"]
        [1.0, 0.95065...]
        """
        engine, loss, measures = self._engine()
        size = batch_size or BATCH
        if validation_split and validation_data is None:
            if not 0 < validation_split < 1 or not _is_array(x):
                raise ValueError("fit: validation_split lies between 0 and 1, and takes arrays")
            inputs, y = self.parts(x), self._targets(y)
            kept = math.floor(len(y) * (1 - validation_split))
            if not 0 < kept < len(y):
                raise ValueError(f"fit: validation_split {validation_split} leaves one part of {len(y)} rows empty")
            first, second = [part[:kept] for part in inputs], [part[kept:] for part in inputs]
            x, held = (first, second) if len(inputs) > 1 else (first[0], second[0])
            y, validation_data = y[:kept], (held, y[kept:])
        data, steps = self._data("fit", x, y, size, shuffle, steps_per_epoch)
        held_back = None
        if validation_data is not None:
            pair = validation_data if isinstance(validation_data, (tuple, list)) else (validation_data, None)
            rows = validation_batch_size or size
            held_back, _ = self._data("fit: validation_data", pair[0], pair[1], rows, False, validation_steps)
            if isinstance(held_back, tuple):
                held_back = DataLoader(TensorDataset(*held_back), rows)
        history = History()
        history.params = {"verbose": verbose, "epochs": epochs, "steps": steps}
        history.model = self
        level = _level(verbose)
        self.optimizer.build(self.trainable_weights)
        training.fit(
            engine,
            data,
            loss,
            self.optimizer,
            epochs=epochs,
            batch_size=size,
            validation_data=held_back,
            metrics=measures,
            callbacks=[Listener(_listed(callbacks), self, history.params, history)],
            shuffle=shuffle,
            history=history,
            verbose=lambda i, n, _: Bar(level, steps, f"Epoch {i + 1}/{n}" if n > 1 else ""),
        )
        self.history = history
        return history

    def train_on_batch(self, x: Any, y: Any = None, return_dict: bool = False) -> Any:
        """One step on all rows; returns the loss before it, or with metrics [loss, metrics...]."""
        engine, loss, measures = self._engine()
        batches = _Batches([self._pair((x, y))], 1, lambda batch: batch)
        self.optimizer.build(self.trainable_weights)
        logs = training.fit(engine, batches, loss, self.optimizer, metrics=measures, verbose=False)
        return self._answer({name: values[-1] for name, values in logs.items()}, return_dict)

    def test_on_batch(self, x: Any, y: Any = None, return_dict: bool = False) -> Any:
        """The loss of all rows as one batch, or with metrics [loss, metrics...]; nothing is changed."""
        return self.evaluate(x, y, batch_size=max(len(np.asarray(y)), 1), verbose=0, return_dict=return_dict)

    def predict_on_batch(self, x: Any) -> Any:
        """What the model gives for the rows of one batch."""
        return self.predict(x, batch_size=sys.maxsize, verbose=0)

    def _answer(self, logs: Mapping[str, float], return_dict: bool) -> Any:
        logs = single(logs)
        if return_dict:
            return dict(sorted(logs.items()))
        values = [logs[name] for name in ("loss", *self._metrics)]
        return values if self._metrics else values[0]

    def evaluate(
        self,
        x: Any = None,
        y: Any = None,
        batch_size: int | None = None,
        verbose: Any = "auto",
        steps: int | None = None,
        return_dict: bool = False,
    ) -> Any:
        """The loss over the data, or with metrics [loss, metrics...]; as a dict with `return_dict`."""
        engine, loss, measures = self._engine()
        size = batch_size or BATCH
        data, count = self._data("evaluate", x, y, size, False, steps)
        bar = Bar(_level(verbose), count)
        logs = training.evaluate(engine, data, loss, batch_size=size, metrics=measures)
        bar.end(logs)
        return self._answer(logs, return_dict)

    def predict(self, x: Any, batch_size: int | None = None, verbose: Any = "auto", steps: int | None = None) -> Any:
        """What the model gives for each row, as a float32 array; dropout is off.

        >>> from minitensor.keras import layers, models
        >>> models.Sequential([layers.Input((2,)), layers.Flatten()]).predict(np.ones((3, 2)), verbose=0).shape
        (3, 2)
        """
        size = batch_size or BATCH
        data: Any
        if _is_array(x):
            parts = self.parts(x)
            data, count = (*parts, parts[0]), math.ceil(len(parts[0]) / size)
        else:

            def inputs_of(batch: Any) -> tuple[Any, ...]:
                parts = self.parts(batch[0] if isinstance(batch, (tuple, list)) else batch)
                return *parts, parts[0]

            data = _Batches(x, steps, inputs_of)
            count = data.steps
        bar = Bar(_level(verbose), count)
        if len(self.outputs) > 1:
            out = [training.predict(_Engine(self, self._output(k)), data, batch_size=size).array
                   for k in range(len(self.outputs))]  # fmt: skip
        else:
            out = training.predict(_Engine(self, self.forward), data, batch_size=size).array
        bar.end({})
        return out

    def _output(self, k: int) -> Callable[..., Any]:
        return lambda *inputs: self.forward(*inputs)[k]


def _listed(callbacks: Any) -> list[Any]:
    return list(callbacks) if isinstance(callbacks, (list, tuple)) else [] if callbacks is None else [callbacks]


def single(logs: Mapping[str, float]) -> dict[str, float]:
    """The numbers as float32 has them, as Keras gives them."""
    return {name: float(np.float32(value)) for name, value in logs.items()}


def _level(verbose: Any) -> int:
    return 1 if verbose == "auto" else int(verbose)


def _functions(given: Any) -> dict[str, Callable[[Any, Any], float]]:
    return metrics.get(given)


def _metric(name: str, function: Callable[[Any, Any], float], finish: Any) -> Callable[..., float]:
    """A metric for the engine's loop: of (output, target), under its name; `finish` is what the output still lacks."""

    def measure(output: Any, target: Any) -> float:
        return function(target, output if finish is None else finish(output))

    measure.__name__ = name
    return measure


def _is_array(x: Any) -> bool:
    return isinstance(x, (np.ndarray, np.generic, Tensor, list, tuple, int, float)) or hasattr(x, "__array__")
