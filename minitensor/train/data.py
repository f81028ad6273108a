"""The pictures of `minitensor train`, split into those to learn from and those held back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import datasets
from ..creation import from_numpy
from ..datasets import Images
from ..generator import Generator, default_generator
from ..utils.data import Batch, Dataset
from .models import Shape


@dataclass(frozen=True)
class Split:
    """What is learnt from, what is held back, and how to call the latter."""

    train: Images
    test: Images
    held_back: str

    @property
    def classes(self) -> tuple[str, ...]:
        return self.train.classes

    @property
    def shape(self) -> Shape:
        channels, rows, columns = self.train.images.shape[1:]
        return channels, rows, columns


Augment = Callable[[Any], Any]  # (count, channels, rows, columns) to other pictures of the same


class Augmented(Dataset[Any]):
    """A set of pictures that are changed anew each time they are taken: there seem to be more of them."""

    def __init__(self, images: Images, change: Augment) -> None:
        self.images, self.change = images, change

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        x, y = self.__getitems__([index]).parts
        return x[0], y[0]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        x, y = self.images.__getitems__(indices).parts
        return Batch([from_numpy(self.change(x.numpy())), y])


def distorted(x: Any, degrees: float = 15, share: float = 0.15, pixels: float = 0.7) -> Any:
    """Each picture turned, stretched and moved a little, at random: another hand, the same digit.

    x: (count, channels, rows, columns). A pixel is interpolated between the four where it comes
    from; outside a picture all is 0. The random numbers are of the default generator.
    """
    n, _, rows, columns = x.shape
    turn, tall, wide, down, right = default_generator.uniform((5, n, 1, 1), low=-1, high=1)
    cos, sin = np.cos(np.radians(degrees) * turn), np.sin(np.radians(degrees) * turn)
    i = np.arange(rows, dtype=np.float32)[:, None] - (rows - 1) / 2
    j = np.arange(columns, dtype=np.float32) - (columns - 1) / 2
    row = (1 + share * tall) * cos * i - sin * j + pixels * down + (rows - 1) / 2
    column = sin * i + (1 + share * wide) * cos * j + pixels * right + (columns - 1) / 2

    edge = 2  # zeros around a picture, from which what lies outside is taken
    padded = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge))).transpose(0, 2, 3, 1)
    row, column = np.clip(row, -1.5, rows + 0.5) + edge, np.clip(column, -1.5, columns + 0.5) + edge
    top, left = row.astype(np.int64), column.astype(np.int64)
    v, h = (row - top)[..., None], (column - left)[..., None]
    k = np.arange(n)[:, None, None]
    upper = (1 - h) * padded[k, top, left] + h * padded[k, top, left + 1]
    lower = (1 - h) * padded[k, top + 1, left] + h * padded[k, top + 1, left + 1]
    return ((1 - v) * upper + v * lower).transpose(0, 3, 1, 2).astype(x.dtype)


def flipped_and_moved(x: Any, edge: int = 4) -> Any:
    """Each picture mirrored or not, and moved by up to `edge` pixels, with zeros from outside, at random.

    x: (count, channels, rows, columns). Source: K. He et al., "Deep residual learning" (2016), section 4.2.
    """
    n, _, rows, columns = x.shape
    mirrored, down, right = default_generator.uniform((3, n))
    padded = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge)))
    i, j = (np.minimum((2 * edge + 1) * places, 2 * edge).astype(np.int64) for places in (down, right))
    result = np.empty_like(x)
    for k in range(n):
        part = padded[k, :, i[k] : i[k] + rows, j[k] : j[k] + columns]
        result[k] = part[..., ::-1] if mirrored[k] < 0.5 else part
    return result


def _digits(seed: int) -> Split:
    """scikit-learn's digits, which have no split: shuffled once, four fifths to learn from."""
    data = datasets.digits()
    order = Generator().manual_seed(seed).randperm(len(data))
    n = len(data) * 4 // 5
    parts = [Images(data.images[i], data.labels[i], data.classes) for i in (order[:n], order[n:])]
    return Split(parts[0], parts[1], "the fifth held back")


def _published(load: Callable[[bool], Images]) -> Callable[[int], Split]:
    """Those that are published with a test set."""
    return lambda seed: Split(load(True), load(False), "the test set")


def _cats_and_dogs(train: bool) -> Images:
    """The cats (0) and dogs (1) of CIFAR-10."""
    data = datasets.cifar10(train)
    chosen = np.flatnonzero(np.isin(data.labels.numpy(), [3, 5]))
    labels = from_numpy((data.labels.numpy()[chosen] == 5).astype(np.int64))
    return Images(data.images[chosen], labels, ("cat", "dog"))


@dataclass(frozen=True)
class Source:
    """How to load a data set with a seed, and how a run on it goes if nothing else is asked for."""

    load: Callable[[int], Split]
    epochs: int
    batch_size: int
    lr: float
    model: str = "cnn"
    augment: Augment | None = None  # helps a set that has too few pictures in it


SOURCES = {
    "digits": Source(_digits, epochs=20, batch_size=32, lr=3e-3, augment=distorted),
    "mnist": Source(_published(datasets.mnist), epochs=3, batch_size=64, lr=2e-3),
    "fashion_mnist": Source(_published(datasets.fashion_mnist), epochs=5, batch_size=64, lr=2e-3),
    "cifar10": Source(
        _published(datasets.cifar10), epochs=15, batch_size=64, lr=3e-3, model="resnet", augment=flipped_and_moved
    ),
    "cats_dogs": Source(
        _published(_cats_and_dogs), epochs=30, batch_size=32, lr=2e-3, model="resnet", augment=flipped_and_moved
    ),
}
