"""70,000 pieces of clothing, 28x28 greys."""

from __future__ import annotations

from .arrays import Halves, halves


def load_data() -> Halves:
    """`(x_train, y_train), (x_test, y_test)`: uint8 (60000, 28, 28) and (60000,), (10000, 28, 28) and (10000,).

    Raises as `minitensor.datasets.fashion_mnist`.

    >>> (x_train, y_train), (x_test, y_test) = load_data()   # doctest: +SKIP
    """
    return halves("fashion_mnist")
