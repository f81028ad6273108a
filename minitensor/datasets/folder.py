"""Pictures in folders, one folder for each class, read from disk when they are asked for. Pillow reads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph.tensors import wrap
from ..utils.data import Dataset
from .formats import FormatError
from .store import optional

__all__ = ["IMG_EXTENSIONS", "ImageFolder", "load_image"]

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def load_image(path: Any, size: tuple[int, int] | None = None) -> Any:
    """The picture in a file, in colour: float32 (3, rows, columns) from 0 to 1.

    size: rows and columns that it is brought to: shrunk or enlarged until it covers them, then cut in the middle. Of a
    large JPEG no more is decoded than the size needs.
    Raises `FormatError` for a file that is no picture, or a damaged one; `OSError` if it cannot be read, and
    `ModuleNotFoundError` without Pillow.

    >>> import tempfile, PIL.Image
    >>> path = tempfile.mkdtemp() + "/red.png"
    >>> PIL.Image.new("RGB", (4, 2), (255, 0, 0)).save(path)
    >>> load_image(path).shape, load_image(path, (1, 1)).flatten().tolist()
    (minitensor.Size([3, 2, 4]), [1.0, 0.0, 0.0])
    """
    image = optional("PIL.Image")
    with open(path, "rb") as file:
        try:
            with image.open(file) as picture:
                if size is not None:
                    picture.draft("RGB", (2 * size[1], 2 * size[0]))
                picture = picture.convert("RGB")
                if size is not None and picture.size != (size[1], size[0]):
                    picture = optional("PIL.ImageOps").fit(picture, (size[1], size[0]), image.Resampling.BILINEAR)
                bytes_ = np.asarray(picture)
        except (image.UnidentifiedImageError, image.DecompressionBombError, OSError, SyntaxError, ValueError) as error:
            raise FormatError(f"{os.fspath(path)}: not a sound picture ({error})") from error
    return wrap(np.ascontiguousarray(np.divide(bytes_.transpose(2, 0, 1), 255, dtype=np.float32)))


class ImageFolder(Dataset[tuple[Any, Any]]):
    """The pictures in `root/<class>/...`, also in folders within: `data[i]` is one (picture, label).

    Only the paths are kept; a picture is read when it is asked for, so that the set may be larger than the memory, and
    the workers of a DataLoader can read ahead. A picture is a tensor (3, rows, columns) from 0 to 1, its label an int.
    Names and arguments are torchvision's, whose transforms, however, take Pillow's pictures.

    root: the folder. transform: a function of the picture, target_transform: one of the label.
    loader: a function of the path, `load_image` if none is given. is_valid_file: which files count, a function of the
    path; those with the ends of pictures' names if none is given. allow_empty: also classes without pictures.
    size: (rows, columns), or one number for both, that every picture is brought to (see `load_image`).

    Attributes: `classes`, the folders' names in order; `class_to_idx`; `samples` (or `imgs`), pairs (path, label);
    `targets`, the labels.
    Raises `FileNotFoundError` if there is no folder, no class or no picture in a class.

    >>> import tempfile, os, PIL.Image
    >>> root = tempfile.mkdtemp()
    >>> for name, colour in [("cats", (255, 0, 0)), ("dogs", (0, 0, 255))]:
    ...     os.mkdir(f"{root}/{name}")
    ...     PIL.Image.new("RGB", (40, 30), colour).save(f"{root}/{name}/one.jpg")
    >>> data = ImageFolder(root, size=16)
    >>> data.classes, data.targets, data[1][0].shape
    (['cats', 'dogs'], [0, 1], minitensor.Size([3, 16, 16]))
    """

    def __init__(
        self,
        root: Any,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        loader: Callable[[str], Any] | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
        *,
        size: int | tuple[int, int] | None = None,
    ) -> None:
        self.root = os.fspath(root)
        self.transform, self.target_transform, self.loader = transform, target_transform, loader
        self.size = (size, size) if isinstance(size, int) else size
        if self.size is not None and (len(self.size) != 2 or min(self.size) < 1):
            raise ShapeError(f"ImageFolder: size is one number or (rows, columns), of 1 or more, not {size!r}")
        if not os.path.isdir(self.root):
            raise FileNotFoundError(f"ImageFolder: there is no folder {self.root}")
        self.classes = sorted(entry.name for entry in os.scandir(self.root) if entry.is_dir())
        if not self.classes:
            raise FileNotFoundError(f"ImageFolder: {self.root} has no folders, one for each class of pictures")
        self.class_to_idx = {name: k for k, name in enumerate(self.classes)}
        counts = is_valid_file or (lambda path: path.lower().endswith(IMG_EXTENSIONS))
        self.samples = [
            (p, k) for name, k in self.class_to_idx.items() for p in _files(Path(self.root, name)) if counts(p)
        ]
        self.targets = [k for _, k in self.samples]
        if not allow_empty and (empty := sorted(set(self.classes) - {self.classes[k] for k in self.targets})):
            raise FileNotFoundError(f"ImageFolder: there is no picture in {', '.join(empty)} of {self.root}")

    @property
    def imgs(self) -> list[tuple[str, int]]:
        """The same as `samples`."""
        return self.samples

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, label = self.samples[index]
        x = self.loader(path) if self.loader is not None else load_image(path, self.size)
        return (
            x if self.transform is None else self.transform(x),
            label if self.target_transform is None else self.target_transform(label),
        )

    def __repr__(self) -> str:
        return f"<{len(self)} pictures in {self.root}, {len(self.classes)} classes>"


def _files(folder: Path) -> Iterable[str]:
    """All files below a folder, in a fixed order."""
    for where, _, names in sorted(os.walk(folder, followlinks=True)):
        yield from (os.path.join(where, name) for name in sorted(names))
