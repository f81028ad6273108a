"""The pictures of `minitensor.datasets` as Keras has them."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import datasets

Halves = tuple[tuple[Any, Any], tuple[Any, Any]]


def halves(name: str, column: bool = False) -> Halves:
    """Both halves of a set: greys (n, rows, columns) or colours (n, rows, columns, 3); labels (n,), or (n, 1)."""
    return _half(name, True, column), _half(name, False, column)


def _half(name: str, train: bool, column: bool) -> tuple[Any, Any]:
    data = getattr(datasets, name)(train)
    images, labels = data.images.numpy(), data.labels.numpy().astype(np.uint8)
    x = images[:, 0] if images.shape[1] == 1 else np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    return x, labels[:, None] if column else labels
