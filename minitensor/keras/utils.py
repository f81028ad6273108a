"""Small helpers."""

from __future__ import annotations

import random as _random
from typing import Any

import numpy as np

import minitensor as mt


def to_categorical(x: Any, num_classes: int | None = None) -> Any:
    """Rows of 0 with a 1 at the class's number: (n,) or (n, 1) of integers -> (n, num_classes) float64.

    Raises ValueError for a class below 0, or not below num_classes (by default the largest, plus 1).

    >>> from minitensor.keras.utils import to_categorical
    >>> to_categorical([0, 2])
    array([[1., 0., 0.],
           [0., 0., 1.]])
    """
    classes = np.asarray(x).astype(np.int64)
    if classes.ndim > 1 and classes.shape[-1] == 1:
        classes = classes[..., 0]
    count = int(num_classes) if num_classes else int(classes.max(initial=-1)) + 1
    wrong = classes[(classes < 0) | (classes >= count)]
    if wrong.size:
        raise ValueError(f"to_categorical: there is no class {wrong[0]} among {count}")
    rows = np.zeros((*classes.shape, count))
    np.put_along_axis(rows, classes[..., None], 1.0, -1)
    return rows


def set_random_seed(seed: int) -> None:
    """Seeds the random numbers of Python, NumPy and the engine.

    >>> from minitensor.keras.utils import set_random_seed
    >>> set_random_seed(1)
    """
    _random.seed(seed)
    np.random.seed(seed)  # noqa: NPY002
    mt.manual_seed(seed)


def normalize(x: Any, axis: int = -1, order: int = 2) -> Any:
    """Rows divided by their norm; rows of zeros stay.

    >>> from minitensor.keras.utils import normalize
    >>> normalize([[3.0, 4.0]])
    array([[0.6, 0.8]])
    """
    array = np.asarray(x)
    norms = np.atleast_1d(np.linalg.norm(array, order, axis))
    return array / np.expand_dims(np.where(norms == 0, 1, norms), axis)


def pad_sequences(
    sequences: Any,
    maxlen: int | None = None,
    dtype: Any = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Any:
    """Lists of one length: `value` is put before shorter ones ('pre') or behind ('post'), longer ones are cut there.

    >>> from minitensor.keras.utils import pad_sequences
    >>> pad_sequences([[1], [2, 3, 4]], maxlen=2)
    array([[0, 1],
           [3, 4]], dtype=int32)
    """
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ValueError(f"pad_sequences: {name} must be 'pre' or 'post', not {side!r}")
    wide = max(map(len, sequences), default=0) if maxlen is None else maxlen
    out = np.full((len(sequences), wide), value, dtype)
    for row, numbers in zip(out, sequences, strict=True):
        kept = list(numbers)[-wide:] if truncating == "pre" else list(numbers)[:wide]
        if kept and wide:
            row[slice(wide - len(kept), None) if padding == "pre" else slice(0, len(kept))] = kept
    return out


def load_img(path: Any, color_mode: str = "rgb", target_size: Any = None, interpolation: str = "nearest") -> Any:
    """A picture from a file, as Pillow's; `target_size` is (height, width)."""
    from .preprocessing.image import opened

    return opened(path, color_mode, target_size, interpolation)


def img_to_array(img: Any, dtype: Any = None) -> Any:
    """The pixels of a picture: float32 (height, width, channels)."""
    array = np.asarray(img, np.float32 if dtype is None else dtype)
    return array[:, :, None] if array.ndim == 2 else array


def array_to_img(x: Any, scale: bool = True) -> Any:
    """A picture of Pillow's; with `scale` the smallest number is black and the largest white."""
    from .preprocessing.image import _pillow

    array = np.asarray(x, np.float32)
    if scale:
        array = array - array.min()
        array = array * (255 / array.max()) if array.max() else array
    array = array[:, :, 0] if array.ndim == 3 and array.shape[2] == 1 else array
    return _pillow().fromarray(array.astype(np.uint8))
