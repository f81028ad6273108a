"""What `minitensor train` learns from: pictures or reviews, split into those to learn from and those held back."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .. import datasets
from ..creation import from_numpy
from ..datasets import ImageFolder, Images, Reviews
from ..datasets.store import found
from ..datasets.transforms import Compose, RandomCrop, RandomDeformation, RandomHorizontalFlip
from ..generator import Generator
from ..utils.data import Dataset
from .texts import Bags, Weights

SIDE = 64  # rows and columns that the pictures of a folder are brought to


class RunError(Exception):
    """What stops a run, in words for the user."""


@dataclass(frozen=True)
class Split:
    """What is learnt from, what is held back, how to call the latter and each of them.

    others: how many classes there are in `train` beyond those of `test`, whose numbers come first.
    """

    train: Any
    test: Any
    held_back: str
    things: str = "pictures"
    others: int = 0

    @property
    def classes(self) -> tuple[str, ...]:
        names: tuple[str, ...] = self.test.classes
        return names

    @functools.cached_property
    def shape(self) -> tuple[int, ...]:
        """Of one picture (channels, rows, columns), or of a row of numbers."""
        return tuple(self.test[0][0].shape)


def _halves(data: Any, seed: int) -> tuple[Any, Any]:
    """What has no split is shuffled once: four fifths to learn from, a fifth held back."""
    order = Generator().manual_seed(seed).randperm(len(data))
    n = len(data) * 4 // 5
    return order[:n], order[n:]


def _digits(seed: int) -> Split:
    """scikit-learn's digits."""
    data = datasets.digits()
    parts = [Images(data.images[i], data.labels[i], data.classes) for i in _halves(data, seed)]
    return Split(parts[0], parts[1], "the fifth held back")


def _published(load: Callable[[bool], Images]) -> Callable[[int], Split]:
    """Those that are published with a test set."""
    return lambda seed: Split(load(True), load(False), "the test set")


def _cats_and_dogs(seed: int) -> Split:
    """The cats (0) and dogs (1) of CIFAR-10; to learn from, its eight other classes (2 to 9) too.

    They are few: what shows other animals and things teaches the network to see. In an epoch each cat and each dog
    comes three times, changed anew, each of the others once.
    """
    train, test = datasets.cifar10(True), datasets.cifar10(False)
    cat, dog = train.classes.index("cat"), train.classes.index("dog")
    order = [cat, dog, *(k for k in range(len(train.classes)) if k not in (cat, dog))]
    renamed = from_numpy(np.argsort(order).astype(np.int64))
    chosen, often = (np.flatnonzero(np.isin(part.labels.numpy(), [cat, dog])) for part in (test, train))
    learn = np.concatenate([np.arange(len(train)), often, often])
    names = tuple(train.classes[k] for k in order)
    return Split(
        Images(train.images[learn], renamed[train.labels[learn]], names),
        Images(test.images[chosen], renamed[test.labels[chosen]], names[:2]),
        "the test set's cats and dogs",
        f"pictures ({len(often):,} cats and dogs, thrice, and {len(train) - len(often):,} others)",
        others=len(names) - 2,
    )


def _reviews(seed: int) -> Split:
    """IMDB's reviews as bags of words: the published halves, or a fifth held back of a copy without them."""
    if found("imdb/reviews.jsonl") or not found("aclImdb_v1.tar.gz"):
        data = datasets.imdb()
        some = [Reviews([data.texts[i] for i in part], data.labels[part], data.classes) for part in _halves(data, seed)]
        held_back = "the fifth held back"
    else:
        some, held_back = [datasets.imdb(True), datasets.imdb(False)], "the test set"
    weights = Weights(some[0].texts)
    bags = [Bags(part.texts, part.labels, part.classes, weights) for part in some]
    return Split(bags[0], bags[1], held_back, "reviews")


class Photos(Dataset[tuple[Any, Any]]):
    """Some pictures of a folder, read when they are asked for; their labels are known without."""

    def __init__(self, data: ImageFolder, chosen: Any) -> None:
        self.data, self.chosen = data, chosen
        self.classes = tuple(data.classes)
        self.labels = from_numpy(np.asarray(data.targets, np.int64)[chosen])

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.data[int(self.chosen[index])]


def _photos(path: Path) -> Callable[[int], Split]:
    """A folder of pictures: `train` and `test` with a folder for each class, or these alone and a fifth held back."""

    def load(seed: int) -> Split:
        try:
            if (path / "train").is_dir() and (path / "test").is_dir():
                train, test = ImageFolder(path / "train", size=SIDE), ImageFolder(path / "test", size=SIDE)
                if train.classes != test.classes:
                    raise RunError(f"{path}: train has the classes {train.classes}, test {test.classes}")
                order = Generator().manual_seed(seed).randperm(len(train))  # the first of them are of all classes
                parts = [Photos(train, order), Photos(test, np.arange(len(test)))]
                held_back = "the folder test"
            else:
                whole = ImageFolder(path, size=SIDE)
                parts = [Photos(whole, part) for part in _halves(whole, seed)]
                held_back = "the fifth held back"
        except FileNotFoundError as error:
            raise RunError(f"{error}; a folder of pictures has a folder for each class") from None
        learn, rest = parts
        classes = len(learn.classes)
        if classes < 2 or not len(learn):
            raise RunError(
                f"{path} has {len(learn) + len(rest)} pictures in {classes} class{'es' * (classes > 1)}: "
                "there is nothing to tell apart"
            )
        return Split(learn, rest, held_back)

    return load


@dataclass(frozen=True)
class Source:
    """How to load a data set with a seed, and how a run on it goes if nothing else is asked for."""

    about: str
    load: Callable[[int], Split]
    epochs: int
    batch_size: int
    lr: float
    model: str = "cnn"
    augment: Callable[[Any], Any] | None = None  # helps a set that has too few pictures in it
    mirrored: bool = False  # an answer is the mean of those to the picture and to its mirror image
    rise: float = 0.0  # the share of the steps in which the learning rate rises, before it falls
    weight_decay: float = 0.01
    smoothing: float = 0.0  # of the labels: not to be all too sure


_FLIPPED_AND_MOVED = Compose([RandomHorizontalFlip(), RandomCrop(32, padding=3, padding_mode="reflect")])

SOURCES = {
    "digits": Source(
        "1,797 handwritten digits of 8x8 pixels (seconds)", _digits,
        epochs=20, batch_size=32, lr=3e-3, augment=RandomDeformation(),
    ),
    "mnist": Source(
        "70,000 handwritten digits of 28x28 pixels (half a minute)", _published(datasets.mnist),
        epochs=3, batch_size=64, lr=2e-3,
    ),
    "fashion_mnist": Source(
        "70,000 pieces of clothing of 28x28 pixels (half a minute)", _published(datasets.fashion_mnist),
        epochs=5, batch_size=64, lr=2e-3,
    ),
    "cifar10": Source(
        "60,000 photographs of 32x32 pixels, 10 classes (minutes)", _published(datasets.cifar10),
        epochs=8, batch_size=128, lr=5e-3, model="resnet",
        augment=_FLIPPED_AND_MOVED, mirrored=True, rise=0.2, weight_decay=0.05, smoothing=0.1,
    ),
    "cats_dogs": Source(
        "cats against dogs, of CIFAR-10, helped by its other classes (minutes)", _cats_and_dogs,
        epochs=11, batch_size=128, lr=5e-3, model="resnet",
        augment=_FLIPPED_AND_MOVED, mirrored=True, rise=0.2, weight_decay=0.05, smoothing=0.1,
    ),
    "imdb": Source(
        "film reviews, negative or positive, as bags of words (seconds)", _reviews,
        epochs=6, batch_size=32, lr=2e-2, model="linear", weight_decay=0.0,
    ),
}  # fmt: skip


def source_of(name: str) -> Source:
    """That of a name, or of the path of a folder of pictures. Raises `RunError` if it is neither."""
    if name in SOURCES:
        return SOURCES[name]
    if not Path(name).is_dir():
        raise RunError(f"{name} is neither one of {', '.join(SOURCES)}, nor a folder of pictures")
    change = Compose([RandomHorizontalFlip(), RandomCrop(SIDE, padding=SIDE // 8, padding_mode="reflect")])
    photos = _photos(Path(name))
    return Source(
        "pictures in folders", photos, epochs=15, batch_size=32, lr=2e-3, model="resnet", augment=change,
        mirrored=True, rise=0.2, weight_decay=0.05, smoothing=0.1,
    )  # fmt: skip
