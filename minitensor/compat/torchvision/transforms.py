"""torchvision.transforms: of Pillow's pictures, of arrays (rows, columns[, channels]) and of tensors.

Sizes are (rows, columns). The random ones draw from the default generator in torchvision's order.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import creation, dtypes, random
from ...errors import ShapeError
from ...nn import functional as F
from ...tensor import Tensor

__all__ = [
    "CenterCrop", "Compose", "ConvertImageDtype", "Grayscale", "InterpolationMode", "Lambda", "Normalize",
    "PILToTensor", "Pad", "RandomApply", "RandomCrop", "RandomHorizontalFlip", "RandomRotation", "RandomVerticalFlip",
    "Resize", "ToPILImage", "ToTensor",
]  # fmt: skip


class InterpolationMode(enum.Enum):
    """How a picture is sized: its value is the name that prints."""

    NEAREST = "nearest"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    LANCZOS = "lanczos"


class _Transform:
    """A transform that prints its settings."""

    shown: tuple[str, ...] = ()

    def __call__(self, img: Any) -> Any:
        raise NotImplementedError

    def __repr__(self) -> str:
        settings = [(name, getattr(self, name)) for name in self.shown]
        words = [f"{name}={value.value if isinstance(value, enum.Enum) else value}" for name, value in settings]
        return f"{type(self).__name__}({', '.join(words)})"


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return "Compose(\n" + "".join(f"    {transform}\n" for transform in self.transforms) + ")"


def _pixels(img: Any) -> Any:
    """A picture as an array (channels, rows, columns)."""
    a = np.asarray(img)
    return a[None] if a.ndim == 2 else a.transpose(2, 0, 1)


class ToTensor(_Transform):
    """A picture of bytes as a float32 tensor (channels, rows, columns) from 0 to 1; others keep their numbers."""

    def __call__(self, pic: Any) -> Tensor:
        a = np.ascontiguousarray(_pixels(pic))
        if a.dtype == np.uint8:
            a = np.divide(a, np.float32(255), dtype=np.float32)
        return creation.from_numpy(a.copy() if not a.flags.owndata else a)


class PILToTensor(_Transform):
    """A picture as a tensor (channels, rows, columns) of the same numbers."""

    def __call__(self, pic: Any) -> Tensor:
        return creation.from_numpy(_pixels(pic).copy())


class ConvertImageDtype(_Transform):
    """Bytes as floats from 0 to 1."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype

    def __call__(self, image: Tensor) -> Tensor:
        made = image.to(self.dtype)
        return made / 255 if image.dtype == dtypes.uint8 and made.is_floating_point() else made


class ToPILImage(_Transform):
    """A tensor (channels, rows, columns), floats from 0 to 1 or bytes, as a picture."""

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        from PIL import Image

        if isinstance(pic, Tensor):
            a = np.asarray(pic.detach())
            if a.dtype.kind == "f":
                a = (a * 255).astype(np.uint8)
            pic = a[0] if a.ndim == 3 and len(a) == 1 else a.transpose(1, 2, 0) if a.ndim == 3 else a
        return Image.fromarray(np.ascontiguousarray(pic))


class Normalize(_Transform):
    """(x - mean) / std of each channel of a tensor."""

    shown = ("mean", "std")

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, tensor: Tensor) -> Tensor:
        x = tensor if self.inplace else tensor.clone()
        mean, std = (creation.as_tensor(v, dtype=x.dtype).reshape(-1, 1, 1) for v in (self.mean, self.std))
        if bool((std == 0).any()):
            raise ShapeError(f"Normalize: std {self.std} holds 0")
        out: Tensor = x.sub_(mean).div_(std)
        return out


class Lambda(_Transform):
    """A function of the picture."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)


def _size_of(img: Any) -> tuple[int, int]:
    """(rows, columns)."""
    if isinstance(img, Tensor):
        return int(img.shape[-2]), int(img.shape[-1])
    if hasattr(img, "crop"):
        return int(img.size[1]), int(img.size[0])
    return int(img.shape[0]), int(img.shape[1])


def _cut(img: Any, top: int, left: int, rows: int, columns: int) -> Any:
    if isinstance(img, Tensor):
        return img[..., top : top + rows, left : left + columns]
    if hasattr(img, "crop"):
        return img.crop((left, top, left + columns, top + rows))
    return img[top : top + rows, left : left + columns]


def _padded(img: Any, padding: Any, fill: Any = 0, mode: str = "constant") -> Any:
    """With margins: one number, (columns, rows), or (left, top, right, bottom)."""
    p = [padding] * 4 if isinstance(padding, int) else [*padding, *padding] if len(padding) == 2 else list(padding)
    left, top, right, bottom = p
    if isinstance(img, Tensor) and mode == "constant":
        return F.pad(img, (left, right, top, bottom), value=fill)
    a = np.asarray(img)
    axes = [(0, 0)] * (a.ndim - 2)
    margins = [(top, bottom), (left, right)]
    kwargs: dict[str, Any] = {"constant_values": fill} if mode == "constant" else {}
    out = np.pad(a, [*axes, *margins] if isinstance(img, Tensor) else [*margins, *axes], mode, **kwargs)  # type: ignore[call-overload]
    if isinstance(img, Tensor):
        return creation.from_numpy(out)
    return (type(img).__module__.startswith("PIL") and ToPILImage()(out)) or out


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[-1])


class Pad(_Transform):
    """A picture with margins."""

    shown = ("padding", "fill", "padding_mode")

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def __call__(self, img: Any) -> Any:
        return _padded(img, self.padding, self.fill, self.padding_mode)


class CenterCrop(_Transform):
    """The middle of a picture; where it is smaller, with margins of 0."""

    shown = ("size",)

    def __init__(self, size: Any) -> None:
        self.size = _pair(size)

    def __call__(self, img: Any) -> Any:
        (h, w), (th, tw) = _size_of(img), self.size
        if tw > w or th > h:
            x, y = max(tw - w, 0), max(th - h, 0)
            img = _padded(img, (x // 2, y // 2, (x + 1) // 2, (y + 1) // 2))
            h, w = _size_of(img)
        return _cut(img, round((h - th) / 2.0), round((w - tw) / 2.0), th, tw)


class RandomCrop(_Transform):
    """A part of a picture, anywhere, after margins were added."""

    shown = ("size", "padding")

    def __init__(
        self,
        size: Any,
        padding: Any = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        self.size, self.padding, self.pad_if_needed = _pair(size), padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    def __call__(self, img: Any) -> Any:
        if self.padding is not None:
            img = _padded(img, self.padding, self.fill, self.padding_mode)
        (h, w), (th, tw) = _size_of(img), self.size
        if self.pad_if_needed:
            img = _padded(img, (max(tw - w, 0), max(th - h, 0)), self.fill, self.padding_mode)
            h, w = _size_of(img)
        if h < th or w < tw:
            raise ShapeError(f"RandomCrop: {self.size} is larger than the picture, {(h, w)}")
        if (h, w) == (th, tw):
            return img
        top = int(random.randint(0, h - th + 1, (1,)))
        return _cut(img, top, int(random.randint(0, w - tw + 1, (1,))), th, tw)


class _Flip(_Transform):
    shown = ("p",)
    axis = -1

    def __init__(self, p: float = 0.5) -> None:
        self.p = p

    def __call__(self, img: Any) -> Any:
        if not bool(random.rand(1) < self.p):
            return img
        if isinstance(img, Tensor):
            return img.flip(self.axis)
        return (
            img.transpose(0 if self.axis == -1 else 1)
            if hasattr(img, "crop")
            else np.flip(img, 1 if self.axis == -1 else 0)
        )


class RandomHorizontalFlip(_Flip):
    """Left and right exchanged, with probability p."""


class RandomVerticalFlip(_Flip):
    """Top and bottom exchanged, with probability p."""

    axis = -2


class RandomApply(_Transform):
    """All of some transforms, with probability p."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        self.transforms, self.p = transforms, p

    def __call__(self, img: Any) -> Any:
        return img if self.p < float(random.rand(1)) else Compose(self.transforms)(img)


class RandomRotation(_Transform):
    """One of Pillow's pictures turned about its centre by an angle between two, in degrees."""

    shown = ("degrees", "interpolation", "expand", "fill")

    def __init__(
        self, degrees: Any, interpolation: Any = InterpolationMode.NEAREST, expand: bool = False, fill: Any = 0
    ) -> None:
        self.degrees = [-float(degrees), float(degrees)] if isinstance(degrees, (int, float)) else list(degrees)
        self.interpolation, self.expand, self.fill = interpolation, expand, fill

    def __call__(self, img: Any) -> Any:
        angle = float(creation.empty(1).uniform_(self.degrees[0], self.degrees[1]))
        return _pillows("RandomRotation", img).rotate(angle, _filter(self.interpolation), self.expand)


class Resize(_Transform):
    """A picture of another size; of one number, the shorter side has it. Tensors by interpolation with antialiasing."""

    shown = ("size", "interpolation", "max_size", "antialias")

    def __init__(
        self, size: Any, interpolation: Any = InterpolationMode.BILINEAR, max_size: Any = None, antialias: Any = True
    ) -> None:
        self.size, self.interpolation, self.max_size, self.antialias = size, interpolation, max_size, antialias

    def __call__(self, img: Any) -> Any:
        h, w = _size_of(img)
        if isinstance(self.size, int) or len(self.size) == 1:
            short = self.size if isinstance(self.size, int) else self.size[0]
            rows, columns = (short, int(short * w / h)) if h <= w else (int(short * h / w), short)
        else:
            rows, columns = self.size
        if isinstance(img, Tensor):
            smooth = bool(self.antialias) and self.interpolation.value in ("bilinear", "bicubic")
            corners = None if self.interpolation.value == "nearest" else False
            batch = img if img.ndim == 4 else img[None]
            made = F.interpolate(
                batch, (rows, columns), mode=self.interpolation.value, align_corners=corners, antialias=smooth
            )
            return made if img.ndim == 4 else made[0]
        return _pillows("Resize", img).resize((columns, rows), _filter(self.interpolation))


class Grayscale(_Transform):
    """One of Pillow's pictures in greys, in 1 or 3 channels."""

    shown = ("num_output_channels",)

    def __init__(self, num_output_channels: int = 1) -> None:
        self.num_output_channels = num_output_channels

    def __call__(self, img: Any) -> Any:
        grey = _pillows("Grayscale", img).convert("L")
        return grey if self.num_output_channels == 1 else ToPILImage()(np.stack([np.asarray(grey)] * 3, 2))


def _filter(mode: Any) -> int:
    return {"nearest": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3}[mode.value]


def _pillows(name: str, img: Any) -> Any:
    if not hasattr(img, "crop"):
        raise TypeError(f"{name}: expected one of Pillow's pictures, got {type(img).__name__}")
    return img
