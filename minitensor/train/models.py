"""The networks of `minitensor train`, from one matrix to a small convolutional network.

Each function takes the shape of a picture (channels, rows, columns) and the number of classes; the
network takes (batch, channels, rows, columns) and returns (batch, classes), the logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from ..autograd.modes import no_grad
from ..creation import zeros
from ..nn import (
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    ReLU,
    Sequential,
    Tanh,
)

Shape = tuple[int, int, int]


def linear(shape: Shape, classes: int) -> Module:
    """One matrix: each class is a weighted sum of the pixels (softmax regression)."""
    return Sequential(Flatten(), Linear(math.prod(shape), classes))


def mlp(shape: Shape, classes: int) -> Module:
    """Two hidden layers of ReLU, which see no neighbourhood of pixels."""
    return Sequential(
        Flatten(),
        Linear(math.prod(shape), 128),
        ReLU(),
        Linear(128, 64),
        ReLU(),
        Linear(64, classes),
    )


def cnn(shape: Shape, classes: int) -> Module:
    """Two convolutions of 3x3, each with batch normalisation, and two dense layers.

    One pooling, or two for pictures of 16 rows or more.
    """
    channels, rows, _ = shape
    body = Sequential(
        Conv2d(channels, 16, 3, padding=1),
        BatchNorm2d(16),
        ReLU(),
        *([MaxPool2d(2)] if rows >= 16 else []),
        Conv2d(16, 32, 3, padding=1),
        BatchNorm2d(32),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
    )
    return Sequential(*body, Linear(_features(body, shape), 64), ReLU(), Linear(64, classes))


def lenet(shape: Shape, classes: int) -> Module:
    """LeNet-5 of Y. LeCun et al. (1998), padded where a picture is smaller than its 32x32."""
    channels, rows, _ = shape
    body = Sequential(
        Conv2d(channels, 6, 5, padding=0 if rows >= 32 else 2),
        Tanh(),
        AvgPool2d(2),
        Conv2d(6, 16, 5, padding=0 if rows >= 28 else 2),
        Tanh(),
        AvgPool2d(2),
        Flatten(),
    )
    dense = [Linear(_features(body, shape), 120), Tanh(), Linear(120, 84), Tanh()]
    return Sequential(*body, *dense, Linear(84, classes))


def _features(body: Module, shape: Shape) -> int:
    """How many numbers a body makes of one picture."""
    body.eval()
    with no_grad():
        count = int(body(zeros(1, *shape)).numel())
    body.train()
    return count


MODELS: dict[str, Callable[[Shape, int], Module]] = {
    "cnn": cnn,
    "mlp": mlp,
    "linear": linear,
    "lenet": lenet,
}
