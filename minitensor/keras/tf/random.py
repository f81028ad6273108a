"""`tf.random`: random numbers; those of another generator than TensorFlow's, in the same distributions.

>>> from minitensor.keras import tf
>>> tf.random.set_seed(1)
>>> tf.random.uniform((2, 3)).shape
TensorShape([2, 3])
"""

from __future__ import annotations

from typing import Any

import minitensor as mt

from .tensor import Tensor, run, value_of

__all__ = ["normal", "set_seed", "shuffle", "uniform"]


def set_seed(seed: int) -> None:
    """Begins the random numbers anew."""
    mt.manual_seed(int(seed))


def uniform(shape: Any, minval: Any = 0, maxval: Any = None, dtype: Any = "float32", seed: Any = None) -> Tensor:
    """Numbers uniformly from minval up to maxval (1), without it."""
    sizes = tuple(int(n) for n in shape)
    if "int" in str(dtype):
        return run(lambda: mt.randint(int(minval), int(maxval), sizes, dtype=mt.int32))
    high = 1.0 if maxval is None else float(maxval)
    return run(lambda: minval + (high - minval) * mt.rand(*sizes))


def normal(shape: Any, mean: float = 0.0, stddev: float = 1.0, dtype: Any = "float32", seed: Any = None) -> Tensor:
    """Normally distributed numbers."""
    return run(lambda: mean + stddev * mt.randn(*(int(n) for n in shape)))


def shuffle(value: Any, seed: Any = None) -> Tensor:
    """The rows in a random order."""
    return run(lambda x: x[mt.randperm(len(x))], value_of(value))
