"""Real data sets, in the formats in which they are published.

`digits` comes with scikit-learn and needs no network. The others are looked for in
`$MINITENSOR_DATA`, then in the user's cache, then downloaded into it (see `store`).

Pictures stay bytes until they are asked for: 60,000 pictures of MNIST take 47 MB as uint8, and 188
as float32. An index, a slice or a list of indices converts just these. `ImageFolder` leaves them on
the disk. `transforms` flips, cuts, turns, erases them on their way, each time anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..creation import from_numpy
from ..graph.tensors import wrap
from ..utils.data import Batch, Dataset
from . import transforms
from .folder import ImageFolder
from .formats import (
    FormatError,
    read_cifar,
    read_cifar_archive,
    read_idx_pair,
    read_reviews,
    read_reviews_archive,
    read_text,
)
from .store import DatasetError, locate, optional

__all__ = [
    "DatasetError",
    "FormatError",
    "ImageFolder",
    "Images",
    "Reviews",
    "cifar10",
    "digits",
    "fashion_mnist",
    "imdb",
    "mnist",
    "text",
    "transforms",
]

_DIGITS = tuple("0123456789")
_CLOTHES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
_CIFAR10 = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
_OPINIONS = ("negative", "positive")


@dataclass(frozen=True, eq=False, repr=False)
class Images(Dataset[tuple[Any, Any]]):
    """Labelled pictures: `data[i]` is one (picture, label), `data[i:j]` or `data[[i, j]]` a batch.

    A picture that is asked for is a tensor (channels, rows, columns), float32, from 0 (black) to
    1 (white); its label is an int64 without axes. A DataLoader takes a whole batch at once.

    Attributes:
        images: (count, channels, rows, columns), as published: uint8 up to 255, or float32.
        labels: (count,) int64, an index into `classes`.
        classes: the name of each class.
    """

    images: Any
    labels: Any
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        images = self.images[index]
        if not images.is_floating_point():
            images = wrap(np.divide(images.numpy(), 255, dtype=np.float32))
        return images, self.labels[index]

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The pictures and labels at these indices."""
        return Batch(self[np.asarray(indices, np.int64)])

    def __repr__(self) -> str:
        return f"<{len(self)} pictures of {tuple(self.images.shape[1:])}, {len(self.classes)} classes>"


@dataclass(frozen=True, eq=False, repr=False)
class Reviews:
    """Labelled texts: `data[i]` is one (text, label).

    Attributes:
        texts: the texts.
        labels: (count,) int64, an index into `classes`.
        classes: the name of each class.
    """

    texts: Sequence[str]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[str, Any]:
        return self.texts[index], self.labels[index]

    def __repr__(self) -> str:
        return f"<{len(self)} texts, {len(self.classes)} classes>"


def digits() -> Images:
    """The 1,797 handwritten digits of scikit-learn: 8x8 pixels of 17 greys, 10 classes, no split.

    Comes with the extra `examples`; needs no network.
    Source: E. Alpaydin and C. Kaynak, "Optical recognition of handwritten digits" (UCI, 1998).
    Raises `ModuleNotFoundError` without scikit-learn.

    >>> data = digits()
    >>> image, label = data[0]
    >>> image.shape, int(label)
    (minitensor.Size([1, 8, 8]), 0)
    """
    published = optional("sklearn.datasets").load_digits()
    images = np.divide(published.images[:, None], 16, dtype=np.float32)
    return _dataset(images, published.target, _DIGITS)


def mnist(train: bool = True) -> Images:
    """MNIST: 60,000 handwritten digits to train on and 10,000 to test with, 28x28 greys.

    Files: `mnist/` as published, or torchvision's `MNIST/raw/`.
    Source: Y. LeCun et al., "Gradient-based learning applied to document recognition" (1998).
    Raises `DatasetError` where the files are not found and cannot be downloaded, and `FormatError`
    where they are damaged.

    >>> data = mnist(train=False)           # doctest: +SKIP
    >>> image, label = data[0]              # doctest: +SKIP
    >>> image.shape                         # doctest: +SKIP
    minitensor.Size([1, 28, 28])
    """
    return _idx("mnist", ("mnist", "MNIST/raw"), train, _DIGITS)


def fashion_mnist(train: bool = True) -> Images:
    """Fashion-MNIST: 60,000 pieces of clothing to train on and 10,000 to test with, 28x28 greys.

    Files: `fashion-mnist/` as published, torchvision's `FashionMNIST/raw/`, or Debian's package
    dataset-fashion-mnist.
    Source: H. Xiao et al., "Fashion-MNIST: a novel image dataset for benchmarking machine learning
    algorithms" (2017).
    Raises as `mnist`.

    >>> fashion_mnist().classes[9]          # doctest: +SKIP
    'Ankle boot'
    """
    return _idx("fashion_mnist", ("fashion-mnist", "FashionMNIST/raw"), train, _CLOTHES)


def cifar10(train: bool = True) -> Images:
    """CIFAR-10: 50,000 colour pictures to train on and 10,000 to test with, 32x32, 10 classes.

    Files: the binary version, unpacked in `cifar-10-batches-bin/`, or `cifar-10-binary.tar.gz`.
    A folder with only the first few of the five training batches gives just these.
    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009).
    Raises as `mnist`.

    >>> image, label = cifar10()[0]         # doctest: +SKIP
    >>> image.shape                         # doctest: +SKIP
    minitensor.Size([3, 32, 32])
    """
    _check_train("cifar10", train)
    names = [f"data_batch_{i}.bin" for i in range(1, 6)] if train else ["test_batch.bin"]
    batches = [f"cifar-10-batches-bin/{name}" for name in names]
    prefixes = [tuple(batches[:count]) for count in range(len(batches), 0, -1)]
    archive = "cifar-10-binary.tar.gz"
    paths = locate(*prefixes, (archive,))
    if paths[0].name.startswith(names[0]):
        images, labels = map(np.concatenate, zip(*map(read_cifar, paths), strict=True))
    else:
        images, labels = read_cifar_archive(paths[0], names)
    return _dataset(images, labels, _CIFAR10)


def imdb(train: bool | None = None) -> Reviews:
    """Film reviews of IMDB, negative (0) or positive (1).

    `train` chooses one of the published halves, 25,000 reviews each; None takes all.
    Files: `aclImdb_v1.tar.gz` as published, or `imdb/reviews.jsonl` with lines
    `{"text": ..., "label": ...}`, which has no halves. The order may group the labels: shuffle.
    Source: A. Maas et al., "Learning word vectors for sentiment analysis" (2011).
    Raises as `mnist`, and `ValueError` for a half of a copy that has none.

    >>> text, label = imdb()[0]             # doctest: +SKIP
    """
    if train is not None:
        _check_train("imdb", train)
    (path,) = locate(("imdb/reviews.jsonl",), ("aclImdb_v1.tar.gz",))
    if path.name.startswith("aclImdb"):
        texts, labels = read_reviews_archive(path, train=train)
    elif train is None:
        texts, labels = read_reviews(path)
    else:
        raise ValueError(f"imdb: train={train}, but the copy {path} has no halves; use imdb()")
    return Reviews(texts, labels, _OPINIONS)


def text(name: str) -> str:
    """A text for models of characters, whole.

    `tinyshakespeare` (1.1 million characters of plays), `names` (32,033 first names, one a line)
    and `notre-dame-de-paris-book1` (Hugo's first book, in French) are downloaded; any other is read
    from `text/<name>.txt` in a data folder.
    Raises as `mnist`, and `ValueError` for a name that is not a plain file name.

    >>> text("names").split()[0]            # doctest: +SKIP
    'emma'
    """
    if not isinstance(name, str) or name in ("", "..") or {"/", "\\", "\0"} & set(name):
        raise ValueError(f"text: {name!r} is not a plain file name")
    (path,) = locate((f"text/{name}.txt",))
    return read_text(path)


def _idx(name: str, folders: tuple[str, ...], train: bool, classes: tuple[str, ...]) -> Images:
    _check_train(name, train)
    part = "train" if train else "t10k"
    files = (f"{part}-images-idx3-ubyte.gz", f"{part}-labels-idx1-ubyte.gz")
    layouts = (tuple(f"{folder}/{file}" for file in files) for folder in folders)
    images_path, labels_path = locate(*layouts)
    images, labels = read_idx_pair(images_path, labels_path, len(classes))
    return _dataset(images[:, None], labels, classes)


def _check_train(name: str, train: object) -> None:
    if not isinstance(train, bool):
        raise TypeError(f"{name}: train is True or False, not {train!r}")


def _dataset(images: NDArray[Any], labels: NDArray[Any], classes: tuple[str, ...]) -> Images:
    """What users get: the one place that knows."""
    return Images(from_numpy(images), from_numpy(labels.astype(np.int64)), classes)
