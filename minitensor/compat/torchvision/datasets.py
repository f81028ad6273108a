"""torchvision.datasets: MNIST, FashionMNIST and CIFAR10, found and downloaded as `minitensor.datasets` does.

A picture that is asked for is Pillow's, or an array (rows, columns[, channels]) where Pillow is not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ... import datasets as _ours
from ...utils.data import Dataset

__all__ = ["CIFAR10", "MNIST", "FashionMNIST", "VisionDataset"]


class VisionDataset(Dataset[tuple[Any, Any]]):
    """Labelled pictures: `data` and `targets`, and what is done to each that is taken."""

    def __init__(
        self,
        root: Any = None,
        train: bool = True,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        download: bool = False,
    ) -> None:
        self.root, self.train, self.transform, self.target_transform = root, train, transform, target_transform
        self.data, self.targets, self.classes = self._load(train)
        self.class_to_idx = {name: i for i, name in enumerate(self.classes)}

    def _load(self, train: bool) -> tuple[Any, Any, list[str]]:
        raise NotImplementedError

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        picture = _picture(np.asarray(self.data[index]))
        target = int(self.targets[index])
        return (
            picture if self.transform is None else self.transform(picture),
            target if self.target_transform is None else self.target_transform(target),
        )

    def __repr__(self) -> str:
        lines = [f"Dataset {type(self).__name__}", f"    Number of datapoints: {len(self)}"]
        lines += [f"    Root location: {self.root}"] if self.root is not None else []
        lines.append(f"    Split: {'Train' if self.train else 'Test'}")
        shown = [("Transform: ", self.transform), ("Target transform: ", self.target_transform)]
        named = [title + repr(f).replace("\n", "\n" + " " * len(title)) for title, f in shown if f is not None]
        return "\n".join([*lines, *(["    StandardTransform"] if named else []), *named])


def _picture(pixels: Any) -> Any:
    try:
        from PIL import Image
    except ModuleNotFoundError:
        return pixels
    return Image.fromarray(pixels)


class MNIST(VisionDataset):
    """60,000 handwritten digits to train on, 10,000 to test with: `data` is a uint8 tensor (count, 28, 28)."""

    def _load(self, train: bool) -> tuple[Any, Any, list[str]]:
        names = "zero one two three four five six seven eight nine".split()
        found = _ours.mnist(train)
        return found.images[:, 0], found.labels, [f"{i} - {name}" for i, name in enumerate(names)]


class FashionMNIST(VisionDataset):
    """60,000 pieces of clothing to train on, 10,000 to test with: `data` is a uint8 tensor (count, 28, 28)."""

    def _load(self, train: bool) -> tuple[Any, Any, list[str]]:
        found = _ours.fashion_mnist(train)
        return found.images[:, 0], found.labels, list(found.classes)


class CIFAR10(VisionDataset):
    """50,000 colour pictures to train on, 10,000 to test with: `data` is an array (count, 32, 32, 3)."""

    def _load(self, train: bool) -> tuple[Any, Any, list[str]]:
        found = _ours.cifar10(train)
        pictures = np.ascontiguousarray(np.asarray(found.images).transpose(0, 2, 3, 1))
        return pictures, [int(label) for label in found.labels], list(found.classes)
