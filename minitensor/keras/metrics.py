"""Metrics under Keras's names: numbers of (y_true, y_pred), engine tensors, that fit and evaluate show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.tensors import wrap
from . import losses
from .layers.base import snake_case
from .tf.tensor import Tensor, value_of


def _shares(right: Any) -> float:
    return int(np.count_nonzero(right)) / max(int(right.size), 1)


def binary_accuracy(y_true: Any, y_pred: Any) -> float:
    """The share of outputs that are on the targets' side of 0.5."""
    y, p = losses.same_rank(y_true, y_pred)
    return _shares((p.array > 0.5) == y.array)


def categorical_accuracy(y_true: Any, y_pred: Any) -> float:
    """The share of rows whose largest output is where the target's largest is."""
    return _shares(y_pred.array.argmax(-1) == y_true.array.argmax(-1))


def sparse_categorical_accuracy(y_true: Any, y_pred: Any) -> float:
    """The share of rows whose largest output is at the target's number."""
    found = y_pred.array.argmax(-1)
    return _shares(found == y_true.array.reshape(found.shape))


def accuracy(y_true: Any, y_pred: Any) -> float:
    """The one of the three that fits the shapes."""
    y, p = y_true.array, y_pred.array
    if p.shape[-1] == 1:
        return binary_accuracy(y_true, y_pred)
    if y.ndim < p.ndim or y.shape[-1] == 1:
        return sparse_categorical_accuracy(y_true, y_pred)
    return categorical_accuracy(y_true, y_pred)


class Metric:
    """The base of metrics that are kept over several batches: `update_state`, `result`, `reset_state`."""

    function: Callable[[Any, Any], float]

    def __init__(self, name: str | None = None, dtype: Any = None) -> None:
        self.name = name or snake_case(type(self).__name__)
        self.reset_state()

    def reset_state(self) -> None:
        """Forgets what was."""
        self.total, self.count = 0.0, 0

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: None = None) -> None:
        """Adds a batch of targets and outputs."""
        y, p = value_of(y_true, np.float32), value_of(y_pred, np.float32)
        rows = max(int(p.array.size if p.ndim < 2 else p.array.shape[0]), 1)
        self.total += type(self).function(y, p) * rows
        self.count += rows

    def result(self) -> Tensor:
        """The mean so far."""
        return Tensor(wrap(np.array(self.total / max(self.count, 1), np.float32)))

    def __call__(self, *args: Any) -> Tensor:
        self.update_state(*args)
        return self.result()


class Mean(Metric):
    """The mean of numbers.

    >>> from minitensor.keras import metrics
    >>> mean = metrics.Mean()
    >>> mean.update_state([1.0, 3.0])
    >>> float(mean.result())
    2.0
    """

    def update_state(self, values: Any, sample_weight: None = None) -> None:  # type: ignore[override]
        """Adds numbers."""
        array = value_of(values, np.float32).array
        self.total += float(array.sum(dtype=np.float64))
        self.count += int(array.size)


class Accuracy(Metric):
    """The share of outputs that are equal to their targets."""

    function = staticmethod(lambda y, p: _shares(y.array == p.array))


class BinaryAccuracy(Metric):
    """The share of outputs that are on the targets' side of 0.5."""

    function = staticmethod(binary_accuracy)


class CategoricalAccuracy(Metric):
    """The share of rows whose largest output is where the target's largest is."""

    function = staticmethod(categorical_accuracy)


class SparseCategoricalAccuracy(Metric):
    """The share of rows whose largest output is at the target's number."""

    function = staticmethod(sparse_categorical_accuracy)


class MeanSquaredError(Metric):
    """The mean of (y_pred - y_true)^2."""

    function = staticmethod(lambda y, p: float(losses.MeanSquaredError().raw(y, p)))


class MeanAbsoluteError(Metric):
    """The mean of |y_pred - y_true|."""

    function = staticmethod(lambda y, p: float(losses.MeanAbsoluteError().raw(y, p)))


_FUNCTIONS: dict[str, Callable[[Any, Any], float]] = {
    "accuracy": accuracy,
    "acc": accuracy,
    "binary_accuracy": binary_accuracy,
    "categorical_accuracy": categorical_accuracy,
    "sparse_categorical_accuracy": sparse_categorical_accuracy,
}


def get(metrics: Any) -> dict[str, Callable[[Any, Any], float]]:
    """{name: function of (y_true, y_pred)} of names, losses' names, and a user's functions.

    >>> from minitensor.keras import metrics
    >>> list(metrics.get(["accuracy", "mse"]))
    ['accuracy', 'mse']
    """
    found: dict[str, Callable[[Any, Any], float]] = {}
    for metric in [metrics] if isinstance(metrics, (str, Metric)) or callable(metrics) else metrics or ():
        if isinstance(metric, str) and metric in _FUNCTIONS:
            found[metric] = _FUNCTIONS[metric]
            continue
        if isinstance(metric, Metric):
            found[metric.name] = type(metric).function
            continue
        try:
            loss = losses.get(metric)
        except ValueError:
            raise ValueError(f"Could not interpret metric identifier: {metric}") from None
        found[metric if isinstance(metric, str) else loss.name] = _by_loss(loss)
    return found


def _by_loss(loss: losses.Loss) -> Callable[[Any, Any], float]:
    return lambda y_true, y_pred: float(loss.raw(y_true, y_pred))
