"""Metrics under Keras's names: numbers of (y_true, y_pred), engine tensors, that fit and evaluate show."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import losses


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
    for metric in [metrics] if isinstance(metrics, str) or callable(metrics) else metrics or ():
        if isinstance(metric, str) and metric in _FUNCTIONS:
            found[metric] = _FUNCTIONS[metric]
            continue
        try:
            loss = losses.get(metric)
        except ValueError:
            raise ValueError(f"Could not interpret metric identifier: {metric}") from None
        found[metric if isinstance(metric, str) else loss.name] = _by_loss(loss)
    return found


def _by_loss(loss: losses.Loss) -> Callable[[Any, Any], float]:
    return lambda y_true, y_pred: float(loss.raw(y_true, y_pred))
