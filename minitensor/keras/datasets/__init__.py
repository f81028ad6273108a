"""Data sets as Keras gives them: arrays of bytes, channels last, `(x_train, y_train), (x_test, y_test)`.

The files are those of `minitensor.datasets`: they are looked for in `$MINITENSOR_DATA` and in the user's cache; an
error says what is missing and where it belongs.
"""

from . import cifar10, fashion_mnist, imdb, mnist

__all__ = ["cifar10", "fashion_mnist", "imdb", "mnist"]
