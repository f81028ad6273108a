"""Changes of pictures, made each time that a picture is taken: flipped, cut, turned, erased in part; sized, normalized.

Names and arguments are torchvision's. A transform takes one picture (channels, rows, columns) or a batch (count,
channels, rows, columns), a tensor or an array, and gives a new tensor of the same dtype; what was given stays. In a
batch every picture is changed in its own way. The random ones draw from `generator`, or from the default one, so that
`mt.manual_seed` decides what they do.

    data = Transformed(mnist(), Compose([RandomRotation(10), RandomCrop(28, padding=2)]))
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import DtypeError, ShapeError
from ..generator import Generator, default_generator
from ..graph.tensors import wrap
from ..nn.functional import interpolate
from ..ops.common import raw
from ..utils.data import Batch, Dataset

__all__ = [
    "CenterCrop",
    "Compose",
    "Normalize",
    "RandomCrop",
    "RandomDeformation",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomVerticalFlip",
    "Resize",
    "Transformed",
]

_PADDING = {"constant": "constant", "edge": "edge", "reflect": "reflect", "symmetric": "symmetric"}


class Transformed(Dataset[Any]):
    """A data set whose inputs are changed anew each time they are taken: there seem to be more of them.

    data: gives pairs (x, y); where it gives whole batches, a batch is changed at once. transform: a function of x.

    >>> pictures = mt.utils.data.TensorDataset(mt.arange(8.0).reshape(2, 1, 2, 2), mt.tensor([0, 1]))
    >>> Transformed(pictures, RandomHorizontalFlip(p=1))[0][0]
    tensor([[[1., 0.],
             [3., 2.]]])
    """

    def __init__(self, data: Any, transform: Callable[[Any], Any]) -> None:
        self.data, self.transform = data, transform

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        x, y = self.data[index]
        return self.transform(x), y

    def __getitems__(self, indices: Sequence[int]) -> Any:
        many = getattr(self.data, "__getitems__", None)
        batch = many(indices) if many is not None else None
        if isinstance(batch, Batch):
            x, *rest = batch.parts
            return Batch([self.transform(x), *rest])
        return [
            (self.transform(x), y) for x, y in (batch if batch is not None else map(self.data.__getitem__, indices))
        ]


class Compose:
    """One transform after the other.

    >>> Compose([CenterCrop(2), RandomVerticalFlip(p=1)])(mt.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 9., 10.],
             [ 5.,  6.]]])
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, x: Any) -> Any:
        for transform in self.transforms:
            x = transform(x)
        return x


class _Transform:
    """What takes pictures one by one or in batches: `change` gets the batch (count, channels, rows, columns)."""

    def __call__(self, x: Any) -> Any:
        a = np.asarray(raw(x))
        if a.ndim not in (3, 4):
            raise ShapeError(
                f"{type(self).__name__}: a picture is (channels, rows, columns), a batch has one axis more; "
                f"this is {a.shape}"
            )
        y = self.change(a if a.ndim == 4 else a[None])
        return wrap(np.ascontiguousarray(y if a.ndim == 4 else y[0]))

    def change(self, x: Any) -> Any:
        raise NotImplementedError


class _Random(_Transform):
    """A transform that draws."""

    def __init__(self, generator: Generator | None) -> None:
        self.generator = default_generator if generator is None else generator


class _Flip(_Random):
    axis: int

    def __init__(self, p: float = 0.5, generator: Generator | None = None) -> None:
        super().__init__(generator)
        self.p = _probability(type(self).__name__, p)

    def change(self, x: Any) -> Any:
        mirrored = self.generator.uniform(len(x)) < self.p
        y = x.copy()
        y[mirrored] = np.flip(x[mirrored], self.axis)
        return y


class RandomHorizontalFlip(_Flip):
    """Left and right exchanged, with probability p.

    >>> RandomHorizontalFlip(p=1)(mt.arange(4.0).reshape(1, 2, 2))
    tensor([[[1., 0.],
             [3., 2.]]])
    """

    axis = 3


class RandomVerticalFlip(_Flip):
    """Top and bottom exchanged, with probability p.

    >>> RandomVerticalFlip(p=1)(mt.arange(4.0).reshape(1, 2, 2))
    tensor([[[2., 3.],
             [0., 1.]]])
    """

    axis = 2


class RandomCrop(_Random):
    """A part of `size` (rows and columns, or one number for both) from a random place of the picture.

    padding: how many pixels are put around it first, on all sides, or (left and right, top and bottom), or (left, top,
    right, bottom). padding_mode: "constant" puts `fill`, "edge" repeats the last pixel, "reflect" and "symmetric"
    mirror without and with it. Source: K. He et al., "Deep residual learning" (2016), section 4.2.
    Raises ShapeError where the picture is smaller than the part.

    >>> RandomCrop(28, padding=2)(mt.zeros(5, 1, 28, 28)).shape
    minitensor.Size([5, 1, 28, 28])
    """

    def __init__(
        self,
        size: int | Sequence[int],
        padding: int | Sequence[int] | None = None,
        fill: float = 0,
        padding_mode: str = "constant",
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator)
        self.size = _pair("RandomCrop", size)
        around = (padding or 0,) * 4 if padding is None or isinstance(padding, int) else tuple(padding)
        self.padding = around * 2 if len(around) == 2 else around
        if len(self.padding) != 4 or min(self.padding) < 0:
            raise ShapeError(f"RandomCrop: padding is one number, two or four, of 0 or more, not {padding!r}")
        if padding_mode not in _PADDING:
            raise ValueError(f"RandomCrop: padding_mode is one of {', '.join(_PADDING)}, not {padding_mode!r}")
        self.fill, self.padding_mode = fill, padding_mode

    def change(self, x: Any) -> Any:
        left, top, right, bottom = self.padding
        how = {"constant_values": self.fill} if self.padding_mode == "constant" else {}
        mode: Any = self.padding_mode
        padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode, **how)
        down, along = (have - want + 1 for have, want in zip(padded.shape[2:], self.size, strict=True))
        if min(down, along) < 1:
            raise ShapeError(f"RandomCrop: a part of {self.size} does not fit into pictures of {padded.shape[2:]}")
        places = self.generator.uniform((2, len(x)))
        i, j = (np.minimum(p * room, room - 1).astype(np.int64) for p, room in zip(places, (down, along), strict=True))
        windows = np.lib.stride_tricks.sliding_window_view(padded, self.size, (2, 3))
        return windows[np.arange(len(x)), :, i, j]


class CenterCrop(_Transform):
    """The part of `size` in the middle. Raises ShapeError where the picture is smaller.

    >>> CenterCrop(2)(mt.arange(16.0).reshape(1, 4, 4))
    tensor([[[ 5.,  6.],
             [ 9., 10.]]])
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = _pair("CenterCrop", size)

    def change(self, x: Any) -> Any:
        (rows, columns), (down, along) = self.size, x.shape[2:]
        if rows > down or columns > along:
            raise ShapeError(f"CenterCrop: a part of {self.size} does not fit into pictures of {x.shape[2:]}")
        i, j = round((down - rows) / 2), round((along - columns) / 2)
        return x[:, :, i : i + rows, j : j + columns]


class Resize(_Transform):
    """Pictures of another size, each pixel a mean over those that it covers: of (rows, columns), or, for one number,
    with the shorter side of this length and the other in proportion.

    >>> Resize((1, 2))(mt.arange(8.0).reshape(1, 2, 4)).shape
    minitensor.Size([1, 1, 2])
    """

    def __init__(self, size: int | Sequence[int]) -> None:
        self.size = size if isinstance(size, int) else _pair("Resize", size)

    def change(self, x: Any) -> Any:
        rows, columns = x.shape[2:]
        if isinstance(self.size, int):
            short = min(rows, columns)
            size = (self.size * rows // short, self.size * columns // short)
        else:
            size = self.size
        work = x if x.dtype.kind == "f" else x.astype(np.float32)
        y = interpolate(wrap(work), size, mode="bilinear", antialias=True).numpy()
        return _as(y, x.dtype)


class Normalize(_Transform):
    """(x - mean) / std in each channel.

    >>> Normalize([0.5], [0.25])(mt.tensor([[[0.5, 1.0]]]))
    tensor([[[0., 2.]]])
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        self.mean, self.std = np.asarray(mean, float).reshape(-1), np.asarray(std, float).reshape(-1)
        if (self.std == 0).any():
            raise ValueError(f"Normalize: a standard deviation of 0 in {self.std.tolist()}")

    def change(self, x: Any) -> Any:
        if x.dtype.kind != "f":
            raise DtypeError(f"Normalize: needs floating point, not {x.dtype}")
        for values in (self.mean, self.std):
            if len(values) not in (1, x.shape[1]):
                raise ShapeError(f"Normalize: {len(values)} numbers for {x.shape[1]} channels")
        mean, std = (values.astype(x.dtype)[:, None, None] for values in (self.mean, self.std))
        return (x - mean) / std


class RandomRotation(_Random):
    """Turned about the centre by an angle between -degrees and degrees, or between the two given, counter-clockwise.

    A pixel is interpolated between the four where it comes from; outside a picture all is 0.

    >>> RandomRotation((90, 90))(mt.tensor([[[1.0, 2.0], [3.0, 4.0]]])).round(decimals=3)
    tensor([[[2., 4.],
             [1., 3.]]])
    """

    def __init__(self, degrees: float | Sequence[float], generator: Generator | None = None) -> None:
        super().__init__(generator)
        self.degrees = (-abs(degrees), abs(degrees)) if isinstance(degrees, (int, float)) else tuple(degrees)
        if len(self.degrees) != 2 or self.degrees[0] > self.degrees[1]:
            raise ShapeError(f"RandomRotation: degrees is one number, or the least and the most, not {degrees!r}")

    def change(self, x: Any) -> Any:
        low, high = self.degrees
        angle = np.radians(self.generator.uniform((len(x), 1, 1), low=low, high=high))
        i, j = _centred(x)
        cos, sin = np.cos(angle), np.sin(angle)
        return _sampled(x, cos * i + sin * j, cos * j - sin * i)


class RandomDeformation(_Random):
    """Turned by up to `degrees`, each side stretched by up to the share `stretch`, moved by up to `shift` pixels.

    Another hand, the same digit. A pixel is interpolated between the four where it comes from; outside all is 0.

    >>> RandomDeformation(0, 0, 0)(mt.ones(1, 2, 2))
    tensor([[[1., 1.],
             [1., 1.]]])
    """

    def __init__(
        self, degrees: float = 15, stretch: float = 0.15, shift: float = 0.7, generator: Generator | None = None
    ) -> None:
        super().__init__(generator)
        self.degrees, self.stretch, self.shift = degrees, stretch, shift

    def change(self, x: Any) -> Any:
        turn, tall, wide, down, right = self.generator.uniform((5, len(x), 1, 1), low=-1, high=1)
        cos, sin = np.cos(np.radians(self.degrees) * turn), np.sin(np.radians(self.degrees) * turn)
        i, j = _centred(x)
        row = (1 + self.stretch * tall) * cos * i - sin * j + self.shift * down
        column = sin * i + (1 + self.stretch * wide) * cos * j + self.shift * right
        return _sampled(x, row, column)


class RandomErasing(_Random):
    """With probability p a rectangle is set to `value`: the network may not rely on any one part.

    scale: its least and its greatest share of the picture. ratio: the least and the greatest of its rows by its
    columns. What would not fit is cut off. Source: Z. Zhong et al., "Random erasing data augmentation" (2020).

    >>> int((RandomErasing(p=1, scale=(0.25, 0.25), ratio=(1, 1))(mt.ones(1, 8, 8)) == 0).sum()) <= 16
    True
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        value: float = 0,
        generator: Generator | None = None,
    ) -> None:
        super().__init__(generator)
        self.p, self.value = _probability("RandomErasing", p), value
        if not 0 <= scale[0] <= scale[1] <= 1 or not 0 < ratio[0] <= ratio[1]:
            raise ValueError(f"RandomErasing: scale {scale} and ratio {ratio} are not (least, greatest)")
        self.scale, self.ratio = scale, ratio

    def change(self, x: Any) -> Any:
        draws = self.generator.uniform((5, len(x)), np.float64)
        rows, columns = x.shape[2:]
        area = rows * columns * (self.scale[0] + (self.scale[1] - self.scale[0]) * draws[1])
        low, high = np.log(self.ratio)
        slim = np.exp(low + (high - low) * draws[2])
        down, along = np.rint(np.sqrt(area * slim)).astype(int), np.rint(np.sqrt(area / slim)).astype(int)
        top = np.floor(draws[3] * np.maximum(rows - down + 1, 1)).astype(int)
        left = np.floor(draws[4] * np.maximum(columns - along + 1, 1)).astype(int)
        y = x.copy()
        for k in np.flatnonzero(draws[0] < self.p):
            y[k, :, top[k] : top[k] + down[k], left[k] : left[k] + along[k]] = self.value
        return y


def _probability(name: str, p: float) -> float:
    if not 0 <= p <= 1:
        raise ValueError(f"{name}: p is a probability, not {p!r}")
    return p


def _pair(name: str, size: int | Sequence[int]) -> tuple[int, int]:
    pair = (size, size) if isinstance(size, int) else tuple(size)
    if len(pair) != 2 or min(pair) < 1:
        raise ShapeError(f"{name}: size is one number or (rows, columns), of 1 or more, not {size!r}")
    return int(pair[0]), int(pair[1])


def _centred(x: Any) -> tuple[Any, Any]:
    """Rows (rows, 1) and columns (columns,) of pixels, counted from the centre."""
    rows, columns = x.shape[2:]
    i = np.arange(rows, dtype=np.float32)[:, None] - (rows - 1) / 2
    return i, np.arange(columns, dtype=np.float32) - (columns - 1) / 2


def _sampled(x: Any, row: Any, column: Any) -> Any:
    """Pixels read between pixels, at the places (count, rows, columns) counted from the centre; 0 outside."""
    rows, columns = x.shape[2:]
    row, column = row + (rows - 1) / 2, column + (columns - 1) / 2
    edge = 2  # zeros around a picture, from which what lies outside is taken
    padded = np.pad(x, ((0, 0), (0, 0), (edge, edge), (edge, edge))).transpose(0, 2, 3, 1)
    row, column = np.clip(row, -1.5, rows + 0.5) + edge, np.clip(column, -1.5, columns + 0.5) + edge
    top, left = row.astype(np.int64), column.astype(np.int64)
    v, h = (row - top)[..., None], (column - left)[..., None]
    k = np.arange(len(x))[:, None, None]
    upper = (1 - h) * padded[k, top, left] + h * padded[k, top, left + 1]
    lower = (1 - h) * padded[k, top + 1, left] + h * padded[k, top + 1, left + 1]
    return _as(((1 - v) * upper + v * lower).transpose(0, 3, 1, 2), x.dtype)


def _as(y: Any, dtype: Any) -> Any:
    """In the dtype of the picture: bytes are rounded."""
    if dtype.kind == "f":
        return y.astype(dtype)
    return np.clip(np.rint(y), np.iinfo(dtype).min, np.iinfo(dtype).max).astype(dtype)
