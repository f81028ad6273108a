"""70,000 handwritten digits of 28x28 greys."""

from __future__ import annotations

from typing import Any

from .arrays import Halves, halves


def load_data(path: Any = None) -> Halves:
    """`(x_train, y_train), (x_test, y_test)`: uint8 (60000, 28, 28) and (60000,), (10000, 28, 28) and (10000,).

    `path` is taken as Keras has it, and not used. Raises as `minitensor.datasets.mnist`.

    >>> (x_train, y_train), (x_test, y_test) = load_data()   # doctest: +SKIP
    """
    return halves("mnist")
