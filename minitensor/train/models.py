"""The networks of `minitensor train`, from one matrix to a small convolutional network.

Each function takes the shape of a picture (channels, rows, columns) and the number of classes; the
network takes (batch, channels, rows, columns) and returns (batch, classes), the logits.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..autograd.modes import no_grad
from ..creation import zeros
from ..nn import (
    AdaptiveAvgPool2d,
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
from ..nn.functional import relu

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


def book(shape: Shape, classes: int) -> Module:
    """Convolutions of 3x3 without normalisation: 32 and 16 filters for grey pictures, four times 64 for colour."""
    channels = shape[0]
    if channels == 1:
        body = Sequential(Conv2d(1, 32, 3, padding=1), ReLU(), Conv2d(32, 16, 3, padding=1), ReLU(), Flatten())
    else:
        layers: list[Module] = []
        for inside, pool in ((channels, False), (64, True), (64, True), (64, False)):
            layers += [Conv2d(inside, 64, 3, padding=1), ReLU(), *([MaxPool2d(2)] if pool else [])]
        body = Sequential(*layers, Flatten())
    return Sequential(*body, Linear(_features(body, shape), classes))


class Residual(Module):
    """Two convolutions added to what came in, which a convolution of 1x1 fits where the sizes differ."""

    def __init__(self, inside: int, outside: int, stride: int) -> None:
        super().__init__()
        self.conv1 = Conv2d(inside, outside, 3, stride, 1, bias=False)
        self.bn1 = BatchNorm2d(outside)
        self.conv2 = Conv2d(outside, outside, 3, 1, 1, bias=False)
        self.bn2 = BatchNorm2d(outside)
        same = stride == 1 and inside == outside
        fit = [] if same else [Conv2d(inside, outside, 1, stride, bias=False), BatchNorm2d(outside)]
        self.short = Sequential(*fit)

    def forward(self, x: Any) -> Any:
        y = relu(self.bn1(self.conv1(x)))
        return relu(self.bn2(self.conv2(y)) + self.short(x))


def resnet(shape: Shape, classes: int) -> Module:
    """ResNet-20 of K. He et al. (2016): nine pairs of convolutions, each added to what it was given."""
    layers: list[Module] = [Conv2d(shape[0], 16, 3, padding=1, bias=False), BatchNorm2d(16), ReLU()]
    inside = 16
    for outside, stride in ((16, 1), (32, 2), (64, 2)):
        for k in range(3):
            layers.append(Residual(inside, outside, stride if k == 0 else 1))
            inside = outside
    return Sequential(*layers, AdaptiveAvgPool2d(1), Flatten(), Linear(64, classes))


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
    "book": book,
    "resnet": resnet,
}
