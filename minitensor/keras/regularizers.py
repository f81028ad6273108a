"""Penalties on weights, which training adds to the loss: Dense(8, kernel_regularizer="l2").

>>> from minitensor.keras import regularizers
>>> float(regularizers.L2(0.5)([1.0, 2.0]))
2.5
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .tf.tensor import Tensor, run, value_of

__all__ = ["L1", "L1L2", "L2", "Regularizer", "get", "l1", "l1_l2", "l2"]


class Regularizer:
    """l1 times the sum of the absolute values, plus l2 times the sum of the squares."""

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = float(l1), float(l2)

    def raw(self, w: Any) -> Any:
        """Of an engine tensor."""
        parts = [self.l1 * w.abs().sum()] if self.l1 else []
        parts += [self.l2 * (w * w).sum()] if self.l2 or not parts else []
        return sum(parts[1:], parts[0])

    def get_config(self) -> dict[str, Any]:
        """What a saved model keeps of it."""
        return {name: value for name, value in (("l1", self.l1), ("l2", self.l2)) if value}

    def __call__(self, x: Any) -> Tensor:
        return run(self.raw, value_of(x, np.float32))


class L1(Regularizer):
    """l1 times the sum of the absolute values."""

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)


class L2(Regularizer):
    """l2 times the sum of the squares."""

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)


L1L2 = Regularizer
l1, l2, l1_l2 = L1, L2, L1L2


def get(identifier: Any) -> Any:
    """The regularizer of that name ('l1', 'l2', 'l1_l2'); None and an object are themselves.

    >>> from minitensor.keras import regularizers
    >>> regularizers.get("l2").l2
    0.01
    """
    known = {"l1": L1, "l2": L2, "l1_l2": lambda: L1L2(0.01, 0.01)}
    if isinstance(identifier, str):
        if identifier.lower() not in known:
            raise ValueError(f"Could not interpret regularizer identifier: {identifier}")
        return known[identifier.lower()]()
    if identifier is None or isinstance(identifier, Regularizer):
        return identifier
    raise ValueError(f"Could not interpret regularizer identifier: {identifier}")
