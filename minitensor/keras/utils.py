"""Small helpers."""

from __future__ import annotations

import random as _random
from typing import Any

import numpy as np

import minitensor as mt


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Rows of 0 with a 1 at the class's number: (n,) or (n, 1) of integers -> (n, num_classes) float64.

    Raises ValueError for a class below 0, or not below num_classes (by default the largest, plus 1).

    >>> from minitensor.keras.utils import to_categorical
    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    classes = np.asarray(x).astype(np.int64)
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    count = int(num_classes) if num_classes else int(classes.max(initial=-1)) + 1
    wrong = classes[(classes < 0) | (classes >= count)]
    if wrong.size:
        raise ValueError(f"to_categorical: there is no class {wrong[0]} among {count}")
    rows = np.zeros((*classes.shape, count))
    np.put_along_axis(rows, classes[..., None], 1.0, -1)
    return rows


def set_random_seed(seed: int) -> None:
    """Seeds the random numbers of Python, NumPy and the engine.

    >>> from minitensor.keras.utils import set_random_seed
    >>> set_random_seed(1)
    """
    _random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    mt.manual_seed(seed)
