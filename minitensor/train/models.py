"""The networks of `minitensor train`, from one matrix to residual networks.

Each function takes the shape of a picture (channels, rows, columns) and the number of classes; the
network takes (batch, channels, rows, columns) and returns (batch, classes), the logits. Those
without convolutions take rows of numbers, too, of the shape (numbers,).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd.modes import no_grad
from ..creation import from_numpy, zeros
from ..nn import (
    AdaptiveAvgPool2d,
    AvgPool2d,
    BatchNorm2d,
    Conv2d,
    Flatten,
    Linear,
    MaxPool2d,
    Module,
    Parameter,
    ReLU,
    Sequential,
    Sigmoid,
    Tanh,
)
from ..nn.functional import conv2d, gelu, relu

Shape = tuple[int, ...]


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


def dense(shape: Shape, classes: int) -> Module:
    """The book's dense layers with sigmoids: 50 and 50, or four times 30 for colour; ReLU and 5, 5, 5 for reviews."""
    sizes = [5] * 3 if len(shape) == 1 else [50] * 2 if shape[0] == 1 else [30] * 4
    activation: type[Module] = ReLU if len(shape) == 1 else Sigmoid
    layers: list[Module] = [Flatten()]
    inside = math.prod(shape)
    for size in sizes:
        layers += [Linear(inside, size), activation()]
        inside = size
    return Sequential(*layers, Linear(inside, classes))


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


class Whitening(Module):
    """The axes along which neighbourhoods of 2x2 pixels vary, each scaled to variance one, and their opposites.

    (batch, channels, rows, columns) to (batch, 8 * channels, rows - 1, columns - 1). The axes are not learnt by steps,
    only the bias is: `adapt` reads them from pictures, and what follows sees inputs that are alike and independent.
    Source: K. Jordan, "94% on CIFAR-10 in 3.29 seconds on a single GPU" (2024), section 3.2.
    """

    weight: Any
    mean: Any

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", zeros(8 * channels, channels, 2, 2))
        self.register_buffer("mean", zeros(channels, 1, 1))
        self.bias = Parameter(zeros(8 * channels))

    def adapt(self, x: Any) -> None:
        """Takes the axes from pictures (count, channels, rows, columns)."""
        pixels = np.asarray(x, np.float64)
        mean = pixels.mean((0, 2, 3))[:, None, None]
        windows = np.lib.stride_tricks.sliding_window_view(pixels - mean, (2, 2), (2, 3))
        patches = windows.transpose(0, 2, 3, 1, 4, 5).reshape(-1, 4 * len(mean))
        variances, axes = np.linalg.eigh(patches.T @ patches / len(patches))
        # what hardly varies is noise, and stays small
        scaled = (axes / np.sqrt(variances + 3e-5)).T.reshape(-1, len(mean), 2, 2)
        self.weight = from_numpy(np.concatenate([scaled, -scaled]).astype(np.float32))
        self.mean = from_numpy(mean.astype(np.float32))

    @property
    def axes(self) -> Any:
        """The first half of the weights; the others are their opposites."""
        return self.weight[: len(self.weight) // 2]

    def forward(self, x: Any) -> Any:
        return conv2d(x - self.mean, self.weight, self.bias)


class Pair(Module):
    """Two convolutions, between them a pooling if there is room; the second is added to what it was given."""

    def __init__(self, inside: int, outside: int, pool: bool) -> None:
        super().__init__()
        self.conv1 = Conv2d(inside, outside, 3, padding=1, bias=False)
        self.pool = MaxPool2d(2) if pool else Sequential()
        self.bn1 = BatchNorm2d(outside)
        self.conv2 = Conv2d(outside, outside, 3, padding=1, bias=False)
        self.bn2 = BatchNorm2d(outside)

    def forward(self, x: Any) -> Any:
        y = gelu(self.bn1(self.pool(self.conv1(x))))
        return y + gelu(self.bn2(self.conv2(y)))


class ResNet(Module):
    """Whitening, pairs of convolutions of these widths, the maximum of each map, and one matrix."""

    def __init__(self, shape: Shape, classes: int, widths: tuple[int, ...] = (32, 96, 96)) -> None:
        super().__init__()
        channels, rows, columns = shape
        self.whitening = Whitening(channels)
        side, inside, pairs = min(rows, columns) - 1, 8 * channels, []
        for outside in widths:
            pairs.append(Pair(inside, outside, pool=side >= 2))
            side, inside = max(side // 2, 1), outside
        self.pairs = Sequential(*pairs)
        self.linear = Linear(inside, classes, bias=False)

    def forward(self, x: Any) -> Any:
        y = self.pairs(gelu(self.whitening(x)))
        return self.linear(y.amax((2, 3))) / 8


def resnet(shape: Shape, classes: int) -> Module:
    """A small residual network that learns in few epochs: three pairs of convolutions behind whitened pixels."""
    return ResNet(shape, classes)


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


def resnet20(shape: Shape, classes: int) -> Module:
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
    "dense": dense,
    "lenet": lenet,
    "book": book,
    "resnet": resnet,
    "resnet20": resnet20,
}
RATES = {"book": 1e-3}  # without normalisation, larger steps destroy it
OF_ROWS = ("mlp", "linear", "dense")  # these take rows of numbers, too
