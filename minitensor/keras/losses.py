"""Losses under Keras's names: each the mean over a batch, computed by the engine's.

`raw(y_true, y_pred)` works on engine tensors. Those of probabilities clip them to [1e-7, 1 - 1e-7]; `on_logits` is the
same loss of the numbers before a softmax or sigmoid, accurate for all of them, which is taken where they are known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import stack
from ..nn import functional as F
from .tf.tensor import Tensor, recording, run, value_of

EPSILON = 1e-7  # how near probabilities come to 0 and 1


def same_rank(y_true: Any, y_pred: Any) -> tuple[Any, Any]:
    """Targets with the outputs' shape: an axis of size 1 at the end is left out, or added, where one is too many."""
    if y_true.ndim == y_pred.ndim + 1 and y_true.array.shape[-1] == 1:
        y_true = y_true.squeeze(-1)
    elif y_true.ndim + 1 == y_pred.ndim and y_pred.array.shape[-1] == 1:
        y_true = y_true.unsqueeze(-1)
    if y_true.array.shape != y_pred.array.shape:
        raise ValueError(f"targets of the shape {tuple(y_true.shape)} do not fit outputs of {tuple(y_pred.shape)}")
    return y_true, y_pred


class Loss:
    """The base of all losses: called with targets and outputs, it gives a tensor of one number."""

    accepts_logits = False

    def __init__(self, name: str | None = None) -> None:
        self.name = name or type(self).__name__

    def raw(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of engine tensors."""
        raise NotImplementedError

    def on_logits(self, y_true: Any, y_pred: Any) -> Any:
        """The loss of the numbers before the last activation."""
        raise NotImplementedError

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: None = None) -> Tensor:
        logits = getattr(y_pred, "logits", None) if self.accepts_logits else None
        if logits is not None:
            return run(self.on_logits, value_of(y_true, np.float32), logits)
        return run(self.raw, value_of(y_true, np.float32), value_of(y_pred, np.float32))


class MeanSquaredError(Loss):
    """The mean of (y_pred - y_true)^2.

    >>> from minitensor.keras import losses
    >>> losses.MeanSquaredError()([1.0, 2.0], [[1.0], [5.0]]).numpy()
    np.float32(4.5)
    """

    def raw(self, y_true: Any, y_pred: Any) -> Any:
        """Of engine tensors."""
        y_true, y_pred = same_rank(y_true, y_pred)
        return F.mse_loss(y_pred, y_true)


class MeanAbsoluteError(Loss):
    """The mean of |y_pred - y_true|.

    >>> from minitensor.keras import losses
    >>> losses.MeanAbsoluteError()([1.0, 2.0], [1.0, 5.0]).numpy()
    np.float32(1.5)
    """

    def raw(self, y_true: Any, y_pred: Any) -> Any:
        """Of engine tensors."""
        y_true, y_pred = same_rank(y_true, y_pred)
        return F.l1_loss(y_pred, y_true)


class MeanSquaredLogarithmicError(Loss):
    """The mean of (ln(y_pred + 1) - ln(y_true + 1))^2; what is below 1e-7 counts as 1e-7.

    >>> from minitensor.keras import losses
    >>> losses.MeanSquaredLogarithmicError()([0.0, 1.0], [0.0, 3.0]).numpy()
    np.float32(0.2402265)
    """

    def raw(self, y_true: Any, y_pred: Any) -> Any:
        """Of engine tensors."""
        y_true, y_pred = same_rank(y_true, y_pred)
        return F.mse_loss(y_pred.clamp_min(EPSILON).log1p(), y_true.clamp_min(EPSILON).log1p())


class _CrossEntropy(Loss):
    """The losses of probabilities."""

    accepts_logits = True

    def __init__(self, from_logits: bool = False, name: str | None = None) -> None:
        super().__init__(name)
        self.from_logits = from_logits

    def raw(self, y_true: Any, y_pred: Any) -> Any:
        """Of engine tensors."""
        return self.on_logits(y_true, y_pred) if self.from_logits else self.on_probabilities(y_true, y_pred)

    def on_probabilities(self, y_true: Any, p: Any) -> Any:
        """The loss of probabilities."""
        raise NotImplementedError


class BinaryCrossentropy(_CrossEntropy):
    """The mean of -(y log p + (1 - y) log(1 - p)).

    >>> from minitensor.keras import losses
    >>> print(f"{losses.BinaryCrossentropy()([1.0], [0.0]):.5f}")
    16.11810
    """

    def on_probabilities(self, y_true: Any, p: Any) -> Any:
        """Of probabilities."""
        y_true, p = same_rank(y_true, p)
        return F.binary_cross_entropy(p.clamp(EPSILON, 1 - EPSILON), y_true)

    def on_logits(self, y_true: Any, y_pred: Any) -> Any:
        """Of the numbers before the sigmoid."""
        y_true, y_pred = same_rank(y_true, y_pred)
        return F.binary_cross_entropy_with_logits(y_pred, y_true)


def _rows(x: Any) -> Any:
    """(..., classes) as (n, classes)."""
    return x if x.ndim == 2 else x.reshape(-1, x.array.shape[-1])


class CategoricalCrossentropy(_CrossEntropy):
    """The mean over the rows of -sum(y log p), of probabilities divided by their sum.

    >>> from minitensor.keras import losses
    >>> print(f"{losses.CategoricalCrossentropy()([[0.0, 1.0]], [[0.3, 0.6]]):.5f}")
    0.40547
    """

    def on_probabilities(self, y_true: Any, p: Any) -> Any:
        """Of probabilities."""
        y_true, p = same_rank(y_true, p)
        logs = (p / p.sum(-1, keepdim=True)).clamp(EPSILON, 1 - EPSILON).log()
        return -(y_true * logs).sum(-1).mean()

    def on_logits(self, y_true: Any, y_pred: Any) -> Any:
        """Of the numbers before the softmax."""
        y_true, y_pred = same_rank(y_true, y_pred)
        return F.cross_entropy(_rows(y_pred), _rows(y_true))


class SparseCategoricalCrossentropy(_CrossEntropy):
    """The same, where the targets are the numbers of the classes.

    >>> from minitensor.keras import losses
    >>> print(f"{losses.SparseCategoricalCrossentropy()([1], [[0.25, 0.75]]):.5f}")
    0.28768
    """

    def on_probabilities(self, y_true: Any, p: Any) -> Any:
        """Of probabilities."""
        return self.on_logits(y_true, p.clamp(EPSILON, 1 - EPSILON).log())

    def on_logits(self, y_true: Any, y_pred: Any) -> Any:
        """Of the numbers before the softmax."""
        return F.cross_entropy(_rows(y_pred), y_true.reshape(-1).long())


class Huber(Loss):
    """The mean of d^2/2 where d = |y_pred - y_true| is below delta, and of delta d - delta^2/2 elsewhere.

    >>> from minitensor.keras import losses
    >>> losses.Huber()([0.0, 0.0], [0.5, 3.0]).numpy()
    np.float32(1.3125)
    """

    def __init__(self, delta: float = 1.0, name: str | None = None) -> None:
        super().__init__(name)
        self.delta = float(delta)

    def raw(self, y_true: Any, y_pred: Any) -> Any:
        """Of engine tensors."""
        y_true, y_pred = same_rank(y_true, y_pred)
        return F.huber_loss(y_pred, y_true, delta=self.delta)


class KLDivergence(Loss):
    """The mean over the rows of sum(y log(y / p)), both within [1e-7, 1].

    >>> from minitensor.keras import losses
    >>> print(f"{losses.KLDivergence()([[0.0, 1.0]], [[0.5, 0.5]]):.5f}")
    0.69315
    """

    def raw(self, y_true: Any, y_pred: Any) -> Any:
        """Of engine tensors."""
        y, p = (x.clamp(EPSILON, 1) for x in same_rank(y_true, y_pred))
        return (y * (y / p).log()).sum(-1).mean()


class _OfFunction(Loss):
    """The mean of what a user's function of (y_true, y_pred) gives."""

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(getattr(function, "__name__", "loss"))
        self.function = function

    def raw(self, y_true: Any, y_pred: Any) -> Any:
        """Of engine tensors."""
        if y_true.ndim != y_pred.ndim:
            y_true, y_pred = same_rank(y_true, y_pred)
        with recording():
            return value_of(self.function(Tensor(y_true), Tensor(y_pred)), np.float32).mean()


_CLASSES: dict[str, type[Loss]] = {
    "mean_squared_error": MeanSquaredError,
    "mse": MeanSquaredError,
    "mean_absolute_error": MeanAbsoluteError,
    "mae": MeanAbsoluteError,
    "mean_squared_logarithmic_error": MeanSquaredLogarithmicError,
    "msle": MeanSquaredLogarithmicError,
    "binary_crossentropy": BinaryCrossentropy,
    "categorical_crossentropy": CategoricalCrossentropy,
    "sparse_categorical_crossentropy": SparseCategoricalCrossentropy,
    "huber": Huber,
    "kl_divergence": KLDivergence,
}


def _by_row(name: str) -> Callable[..., Tensor]:
    """The loss as a function: one number for each row."""
    loss = _CLASSES[name]

    def function(y_true: Any, y_pred: Any, **options: Any) -> Tensor:
        def raw(y: Any, p: Any) -> Any:
            own = loss(**options)
            if loss is SparseCategoricalCrossentropy:
                rows = [own.raw(y[k : k + 1], p[k : k + 1]) for k in range(len(p))]
                return stack(rows) if p.ndim > 1 else own.raw(y, p)
            y, p = same_rank(y, p)
            if p.ndim < 2:
                return own.raw(y, p)
            flat = [own.raw(a, b) for a, b in zip(_rows(y).unsqueeze(1), _rows(p).unsqueeze(1), strict=True)]
            return stack(flat).reshape(p.shape[:-1])

        return run(raw, value_of(y_true, np.float32), value_of(y_pred, np.float32))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`{loss.__name__}` of each row."
    function.loss = loss  # type: ignore[attr-defined]
    return function


mean_squared_error = mse = _by_row("mean_squared_error")
mean_absolute_error = mae = _by_row("mean_absolute_error")
mean_squared_logarithmic_error = msle = _by_row("mean_squared_logarithmic_error")
binary_crossentropy, categorical_crossentropy = _by_row("binary_crossentropy"), _by_row("categorical_crossentropy")
sparse_categorical_crossentropy = _by_row("sparse_categorical_crossentropy")
huber, kl_divergence = _by_row("huber"), _by_row("kl_divergence")


def get(identifier: Any) -> Loss:
    """The loss of that name, or of a function of (y_true, y_pred); a loss is itself.

    >>> from minitensor.keras import losses
    >>> losses.get("mse").name
    'MeanSquaredError'
    """
    if isinstance(identifier, Loss):
        return identifier
    if isinstance(identifier, type) and issubclass(identifier, Loss):
        return identifier()
    if isinstance(identifier, str):
        wanted = _CLASSES.get(identifier) or next((c for c in _CLASSES.values() if c.__name__ == identifier), None)
        if wanted is not None:
            return wanted()
    elif callable(identifier):
        known = getattr(identifier, "loss", None)
        return _OfFunction(identifier) if known is None else known()
    raise ValueError(f"Could not interpret loss identifier: {identifier}")


def identifier_of(loss: Any) -> Any:
    """The name under which a saved model keeps a loss."""
    if isinstance(loss, Loss):
        return next((name for name, cls in _CLASSES.items() if cls is type(loss)), loss.name)
    return getattr(loss, "__name__", loss)
