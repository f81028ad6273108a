"""Pictures from folders, batch by batch: `ImageDataGenerator(...).flow_from_directory(...)`. Pillow reads them."""

from __future__ import annotations

import importlib
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ..utils import array_to_img, img_to_array, load_img

__all__ = ["DirectoryIterator", "ImageDataGenerator", "array_to_img", "img_to_array", "load_img"]

_SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff")
_MODES = {"grayscale": ("L", 1), "rgb": ("RGB", 3), "rgba": ("RGBA", 4)}
_FILTERS = ("nearest", "bilinear", "bicubic", "hamming", "box", "lanczos")


def _pillow() -> Any:
    try:
        return importlib.import_module("PIL.Image")
    except ModuleNotFoundError:
        raise ModuleNotFoundError("reading pictures needs Pillow: pip install pillow", name="PIL") from None


def opened(path: Any, color_mode: str, target_size: Any, interpolation: str) -> Any:
    """The picture of a file in that mode and size (height, width), as Pillow's."""
    if color_mode not in _MODES:
        raise ValueError(f"color_mode must be one of {', '.join(_MODES)}, not {color_mode!r}")
    if interpolation not in _FILTERS:
        raise ValueError(f"interpolation must be one of {', '.join(_FILTERS)}, not {interpolation!r}")
    image = _pillow()
    with image.open(path) as picture:
        found = picture.convert(_MODES[color_mode][0])
    if target_size is not None and found.size != (target_size[1], target_size[0]):
        how = getattr(image.Resampling, interpolation.upper())
        found = found.resize((target_size[1], target_size[0]), how)
    return found


class ImageDataGenerator:
    """Batches of pictures; `rescale` is what each number is multiplied by.

    >>> from minitensor.keras.preprocessing.image import ImageDataGenerator
    >>> ImageDataGenerator(rescale=1 / 255).rescale
    0.00392156862745098
    """

    def __init__(self, rescale: float | None = None) -> None:
        self.rescale = rescale

    def flow_from_directory(
        self,
        directory: Any,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: list[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        interpolation: str = "nearest",
    ) -> DirectoryIterator:
        """The pictures in the folder's subfolders, each a class; `target_size` is (height, width).

        `class_mode` decides the targets: one-hot rows ('categorical'), the class's number ('binary', 'sparse'), none.
        """
        return DirectoryIterator(
            directory,
            self.rescale,
            target_size,
            color_mode,
            classes,
            class_mode,
            batch_size,
            shuffle,
            seed,
            interpolation,
        )


class DirectoryIterator:
    """The batches (x, y) of a folder of pictures, as often as they are asked for.

    x: float32 (b, height, width, channels); y: float32 (b,), or (b, classes) if 'categorical'. `iterator[k]` is batch
    k of a pass, `next(iterator)` the next, without end.
    """

    def __init__(
        self,
        directory: Any,
        rescale: float | None,
        target_size: tuple[int, int],
        color_mode: str,
        classes: list[str] | None,
        class_mode: str | None,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        interpolation: str,
    ) -> None:
        if color_mode not in _MODES:
            raise ValueError(f"flow_from_directory: color_mode must be one of {', '.join(_MODES)}, not {color_mode!r}")
        if class_mode not in ("categorical", "binary", "sparse", None):
            raise ValueError(f"flow_from_directory: there is no class_mode {class_mode!r}")
        if interpolation not in _FILTERS:
            raise ValueError(f"flow_from_directory: interpolation must be one of {', '.join(_FILTERS)}")
        _pillow()
        self.directory = Path(directory)
        self.rescale, self.class_mode, self.color_mode = rescale, class_mode, color_mode
        self.target_size, self.interpolation = (int(target_size[0]), int(target_size[1])), interpolation
        self.image_shape = (*self.target_size, _MODES[color_mode][1])
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        found = sorted(entry.name for entry in self.directory.iterdir() if entry.is_dir())
        names = list(classes) if classes else found
        self.class_indices = {name: i for i, name in enumerate(names)}
        pairs = [(file, i) for name, i in self.class_indices.items() for file in _files(self.directory, name)]
        self.filenames = [file for file, _ in pairs]
        self.classes = np.array([i for _, i in pairs], np.int32)
        self.samples = self.n = len(pairs)
        self.num_classes = len(names)
        self.filepaths = [str(self.directory / file) for file in self.filenames]
        self.total_batches_seen = 0
        self.batch_index = 0
        self._order: Any = None
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")

    def __len__(self) -> int:
        return math.ceil(self.n / self.batch_size)

    def _draw_order(self) -> None:
        self._order = np.random.permutation(self.n) if self.shuffle else np.arange(self.n)  # noqa: NPY002

    def _count(self) -> None:
        """Before a batch: with a seed, the order of a pass that begins here depends on the batches seen so far."""
        if self.seed is not None:
            np.random.seed(self.seed + self.total_batches_seen)  # noqa: NPY002
        self.total_batches_seen += 1

    def begin_passes(self) -> None:
        """Before fit, evaluate or predict: Keras looks at two batches, and then begins with a new order."""
        for k in range(min(2, len(self))):
            self._count()
            if self._order is None:
                self._draw_order()
            self._draw_flips(min(self.batch_size, self.n - k * self.batch_size))
        self._draw_order()

    def _draw_flips(self, count: int) -> None:
        """Keras draws for each picture whether to turn it round, left to right and upside down, also where it never
        does: the orders that follow depend on it."""
        np.random.random(2 * count)  # noqa: NPY002

    def __getitem__(self, k: int) -> Any:
        if not 0 <= k < len(self):
            raise IndexError(f"there is no batch {k} of {len(self)}")
        self._count()
        if self._order is None:
            self._draw_order()
        return self._batch(self._order[k * self.batch_size : (k + 1) * self.batch_size])

    def on_epoch_end(self) -> None:
        """After a pass: a new order."""
        self._draw_order()

    def reset(self) -> None:
        """Has `next` begin a pass."""
        self.batch_index = 0

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if not self.n:
            raise ValueError(f"there are no pictures in {self.directory}")
        self._count()
        if self.batch_index == 0:
            self._draw_order()
        begin = self.batch_index * self.batch_size
        self.batch_index = (self.batch_index + 1) % len(self)
        return self._batch(self._order[begin : begin + self.batch_size])

    next = __next__

    def _batch(self, rows: Any) -> Any:
        self._draw_flips(len(rows))
        x = np.stack([self._read(self.filepaths[i]) for i in rows])
        labels = self.classes[rows]
        if self.class_mode is None:
            return x
        if self.class_mode == "categorical":
            return x, np.eye(self.num_classes, dtype=np.float32)[labels]
        return x, labels.astype(np.float32)

    def _read(self, path: str) -> Any:
        picture = opened(path, self.color_mode, self.target_size, self.interpolation)
        x = np.asarray(picture, np.float32).reshape(self.image_shape)
        return x if self.rescale is None else x * np.float32(self.rescale)


def _files(directory: Path, name: str) -> Iterator[str]:
    """The pictures of a class, also in folders within, as paths below the directory."""
    for folder, _, files in sorted(os.walk(directory / name)):
        for file in sorted(files):
            if file.lower().endswith(_SUFFIXES):
                yield str((Path(folder) / file).relative_to(directory))
