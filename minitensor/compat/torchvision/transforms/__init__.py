"""torchvision.transforms: of Pillow's pictures, of arrays (rows, columns[, channels]) and of tensors.

Sizes are (rows, columns). The random ones draw from the default generator in torchvision's order, so that the same
seed gives the same pictures. What they do to a picture is in `functional`.
"""

from __future__ import annotations

import enum
import math
import random as python_random
from collections.abc import Callable, Sequence
from typing import Any

from .... import creation, random
from ....errors import ShapeError
from ....nn.module import Module
from ....tensor import Tensor
from . import functional
from .autoaugment import AugMix, AutoAugment, AutoAugmentPolicy, RandAugment, TrivialAugmentWide
from .functional import InterpolationMode, get_dimensions

__all__ = [
    "AugMix", "AutoAugment", "AutoAugmentPolicy", "CenterCrop", "ColorJitter", "Compose", "ConvertImageDtype",
    "FiveCrop", "GaussianBlur", "Grayscale", "InterpolationMode", "Lambda", "LinearTransformation", "Normalize",
    "PILToTensor", "Pad", "RandAugment", "RandomAdjustSharpness", "RandomAffine", "RandomApply", "RandomAutocontrast",
    "RandomChoice", "RandomCrop", "RandomEqualize", "RandomErasing", "RandomGrayscale", "RandomHorizontalFlip",
    "RandomInvert", "RandomOrder", "RandomPerspective", "RandomPosterize", "RandomResizedCrop", "RandomRotation",
    "RandomSolarize", "RandomVerticalFlip", "Resize", "TenCrop", "ToPILImage", "ToTensor", "TrivialAugmentWide",
    "functional",
]  # fmt: skip

_NEAREST, _BILINEAR = InterpolationMode.NEAREST, InterpolationMode.BILINEAR


def _uniform(low: float, high: float) -> float:
    return float(creation.empty(1).uniform_(float(low), float(high)))


def _below(n: int, low: int = 0) -> int:
    return int(random.randint(low, n, (1,)))


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[-1])


class _Transform(Module):
    """A transform that prints its settings."""

    shown: tuple[str, ...] = ()
    between = ", "

    def __repr__(self) -> str:
        settings = [(name, getattr(self, name)) for name in self.shown]
        words = [f"{name}={value.value if isinstance(value, enum.Enum) else value}" for name, value in settings]
        return f"{type(self).__name__}({self.between.join(words)})"


class Compose:
    """One transform after the other."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return f"{type(self).__name__}(\n" + "".join(f"    {transform}\n" for transform in self.transforms) + ")"


# --- without chance ---------------------------------------------------------------------------------------------------


class ToTensor(_Transform):
    """`functional.to_tensor`."""

    def forward(self, pic: Any) -> Tensor:
        """The tensor."""
        return functional.to_tensor(pic)


class PILToTensor(_Transform):
    """`functional.pil_to_tensor`."""

    def forward(self, pic: Any) -> Tensor:
        """The tensor."""
        return functional.pil_to_tensor(pic)


class ConvertImageDtype(_Transform):
    """`functional.convert_image_dtype`."""

    def __init__(self, dtype: Any) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, image: Tensor) -> Tensor:
        """The tensor of that dtype."""
        return functional.convert_image_dtype(image, self.dtype)


class ToPILImage(_Transform):
    """`functional.to_pil_image`."""

    def __init__(self, mode: str | None = None) -> None:
        super().__init__()
        self.mode = mode

    def forward(self, pic: Any) -> Any:
        """The picture."""
        return functional.to_pil_image(pic, self.mode)


class Normalize(_Transform):
    """(x - mean) / std of each channel of a tensor."""

    shown = ("mean", "std")

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, tensor: Tensor) -> Tensor:
        """The tensor."""
        return functional.normalize(tensor, self.mean, self.std, self.inplace)


class Lambda(_Transform):
    """A function of the picture."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, img: Any) -> Any:
        """What the function gives."""
        return self.lambd(img)


class LinearTransformation(_Transform):
    """All numbers of a tensor in one row, less a mean, times a square matrix: whitening."""

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor) -> None:
        super().__init__()
        self.transformation_matrix, self.mean_vector = transformation_matrix, mean_vector

    def forward(self, tensor: Tensor) -> Tensor:
        """The tensor, in its shape."""
        flat = tensor.reshape(-1, self.transformation_matrix.shape[0]) - self.mean_vector
        out: Tensor = (flat @ self.transformation_matrix).reshape(tensor.shape)
        return out

    def __repr__(self) -> str:
        return (
            f"LinearTransformation(transformation_matrix={self.transformation_matrix.tolist()}, "
            f"mean_vector={self.mean_vector.tolist()})"
        )


class Pad(_Transform):
    """A picture with margins."""

    shown = ("padding", "fill", "padding_mode")

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        self.padding, self.fill, self.padding_mode = padding, fill, padding_mode

    def forward(self, img: Any) -> Any:
        """The larger picture."""
        return functional.pad(img, self.padding, self.fill, self.padding_mode)


class CenterCrop(_Transform):
    """The middle of a picture; where it is smaller, with margins of 0."""

    shown: tuple[str, ...] = ("size",)

    def __init__(self, size: Any) -> None:
        super().__init__()
        self.size = _pair(size)

    def forward(self, img: Any) -> Any:
        """The middle."""
        return functional.center_crop(img, self.size)


class FiveCrop(CenterCrop):
    """The four corners and the middle."""

    def forward(self, img: Any) -> Any:
        """A tuple of five pictures."""
        return functional.five_crop(img, self.size)


class TenCrop(CenterCrop):
    """The five crops of a picture and those of its mirror image."""

    shown = ("size", "vertical_flip")

    def __init__(self, size: Any, vertical_flip: bool = False) -> None:
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def forward(self, img: Any) -> Any:
        """A tuple of ten pictures."""
        return functional.ten_crop(img, self.size, self.vertical_flip)


class Resize(_Transform):
    """A picture of another size; of one number, the shorter side has it. Tensors by interpolation with antialiasing."""

    shown = ("size", "interpolation", "max_size", "antialias")

    def __init__(self, size: Any, interpolation: Any = _BILINEAR, max_size: Any = None, antialias: Any = True) -> None:
        super().__init__()
        self.size, self.interpolation, self.max_size, self.antialias = size, interpolation, max_size, antialias

    def forward(self, img: Any) -> Any:
        """The picture in that size."""
        return functional.resize(img, self.size, self.interpolation, self.max_size, self.antialias)


class Grayscale(_Transform):
    """In greys, in 1 or 3 channels."""

    shown = ("num_output_channels",)

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def forward(self, img: Any) -> Any:
        """The grey picture."""
        return functional.rgb_to_grayscale(img, self.num_output_channels)


# --- with probability p -----------------------------------------------------------------------------------------------


class _Sometimes(_Transform):
    """A change made with probability p."""

    shown: tuple[str, ...] = ("p",)
    between = ","

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def _change(self, img: Any) -> Any:
        raise NotImplementedError

    def forward(self, img: Any) -> Any:
        """The picture, changed or not."""
        return self._change(img) if bool(random.rand(1) < self.p) else img


class RandomHorizontalFlip(_Sometimes):
    """Left and right exchanged, with probability p."""

    def _change(self, img: Any) -> Any:
        return functional.hflip(img)


class RandomVerticalFlip(_Sometimes):
    """Top and bottom exchanged, with probability p."""

    def _change(self, img: Any) -> Any:
        return functional.vflip(img)


class RandomGrayscale(_Sometimes):
    """In greys, with probability p."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def _change(self, img: Any) -> Any:
        return functional.rgb_to_grayscale(img, get_dimensions(img)[0])


class RandomInvert(_Sometimes):
    """The negative, with probability p."""

    def _change(self, img: Any) -> Any:
        return functional.invert(img)


class RandomAutocontrast(_Sometimes):
    """Each channel stretched to the whole range, with probability p."""

    def _change(self, img: Any) -> Any:
        return functional.autocontrast(img)


class RandomEqualize(_Sometimes):
    """Every shade as often as the next, with probability p."""

    def _change(self, img: Any) -> Any:
        return functional.equalize(img)


class RandomPosterize(_Sometimes):
    """Only the highest bits, with probability p."""

    shown = ("bits", "p")

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits

    def _change(self, img: Any) -> Any:
        return functional.posterize(img, self.bits)


class RandomSolarize(_Sometimes):
    """What reaches a threshold inverted, with probability p."""

    shown = ("threshold", "p")

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold

    def _change(self, img: Any) -> Any:
        return functional.solarize(img, self.threshold)


class RandomAdjustSharpness(_Sometimes):
    """Sharper or smoother, with probability p."""

    shown = ("sharpness_factor", "p")

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def _change(self, img: Any) -> Any:
        return functional.adjust_sharpness(img, self.sharpness_factor)


class RandomPerspective(_Sometimes):
    """Warped, with probability p, by moving the corners inward by up to `distortion_scale` of half the sides."""

    def __init__(
        self, distortion_scale: float = 0.5, p: float = 0.5, interpolation: Any = _BILINEAR, fill: Any = 0
    ) -> None:
        super().__init__(p)
        self.distortion_scale, self.interpolation, self.fill = distortion_scale, interpolation, fill

    @staticmethod
    def get_params(width: int, height: int, distortion_scale: float) -> tuple[list[list[int]], list[list[int]]]:
        """Where the corners are and where they go, (column, row)."""
        dx, dy = int(distortion_scale * (width // 2)), int(distortion_scale * (height // 2))
        ends = [
            [_below(dx + 1), _below(dy + 1)],
            [_below(width, width - dx - 1), _below(dy + 1)],
            [_below(width, width - dx - 1), _below(height, height - dy - 1)],
            [_below(dx + 1), _below(height, height - dy - 1)],
        ]
        return [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], ends

    def _change(self, img: Any) -> Any:
        channels, h, w = get_dimensions(img)
        points = self.get_params(w, h, self.distortion_scale)
        return functional.perspective(img, *points, self.interpolation, _fill(img, self.fill, channels))


class RandomErasing(_Sometimes):
    """A rectangle of a tensor replaced by `value`, or by normal numbers ("random"), with probability p."""

    shown = ("p", "scale", "ratio", "value", "inplace")
    between = ", "

    def __init__(
        self,
        p: float = 0.5,
        scale: Any = (0.02, 0.33),
        ratio: Any = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__(p)
        self.scale, self.ratio, self.value, self.inplace = scale, ratio, value, inplace

    @staticmethod
    def get_params(img: Tensor, scale: Any, ratio: Any, value: Any = None) -> tuple[int, int, int, int, Any]:
        """(top, left, rows, columns, value)."""
        channels, rows, columns = (int(n) for n in img.shape[-3:])
        ends = [float(v) for v in creation.tensor([float(r) for r in ratio]).log()]
        for _ in range(10):
            area = rows * columns * _uniform(*scale)
            aspect = float(creation.tensor(_uniform(*ends)).exp())
            h, w = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (h < rows and w < columns):
                continue
            if value is None:
                v = creation.empty(channels, h, w).normal_()
            else:
                v = creation.tensor([float(x) for x in value])[:, None, None]
            top = _below(rows - h + 1)
            return top, _below(columns - w + 1), h, w, v
        return 0, 0, rows, columns, img

    def _change(self, img: Tensor) -> Tensor:
        value = self.value
        values = None if value == "random" else [value] if isinstance(value, (int, float)) else list(value)
        return functional.erase(img, *self.get_params(img, self.scale, self.ratio, values), self.inplace)


class RandomApply(_Transform):
    """All of some transforms, with probability p."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__()
        self.transforms, self.p = transforms, p

    def forward(self, img: Any) -> Any:
        """The picture, changed or not."""
        return img if self.p < float(random.rand(1)) else Compose(self.transforms)(img)

    def __repr__(self) -> str:
        return f"RandomApply(\n    p={self.p}\n" + "".join(f"    {t}\n" for t in self.transforms) + ")"


class RandomChoice(Compose):
    """One of some transforms, which Python's own `random` chooses."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        self.p = p

    def __call__(self, img: Any) -> Any:
        return python_random.choices(self.transforms, weights=self.p)[0](img)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"


class RandomOrder(Compose):
    """All of some transforms, in an order that Python's own `random` makes."""

    def __call__(self, img: Any) -> Any:
        order = list(range(len(self.transforms)))
        python_random.shuffle(order)
        for i in order:
            img = self.transforms[i](img)
        return img


# --- parts, angles and colours by chance ------------------------------------------------------------------------------


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
        super().__init__()
        self.size, self.padding, self.pad_if_needed = _pair(size), padding, pad_if_needed
        self.fill, self.padding_mode = fill, padding_mode

    @staticmethod
    def get_params(img: Any, output_size: Any) -> tuple[int, int, int, int]:
        """(top, left, rows, columns)."""
        (_, h, w), (th, tw) = get_dimensions(img), output_size
        if h < th or w < tw:
            raise ShapeError(f"RandomCrop: {(th, tw)} is larger than the picture, {(h, w)}")
        if (h, w) == (th, tw):
            return 0, 0, h, w
        top = _below(h - th + 1)
        return top, _below(w - tw + 1), th, tw

    def forward(self, img: Any) -> Any:
        """The part."""
        if self.padding is not None:
            img = functional.pad(img, self.padding, self.fill, self.padding_mode)
        if self.pad_if_needed:
            (_, h, w), (th, tw) = get_dimensions(img), self.size
            for margins in ((max(tw - w, 0), 0), (0, max(th - h, 0))):
                img = functional.pad(img, margins, self.fill, self.padding_mode) if any(margins) else img
        return functional.crop(img, *self.get_params(img, self.size))


class RandomResizedCrop(_Transform):
    """A part of a picture, of a share `scale` of its area and an aspect within `ratio`, brought to one size."""

    shown = ("size", "scale", "ratio", "interpolation", "antialias")

    def __init__(
        self,
        size: Any,
        scale: Any = (0.08, 1.0),
        ratio: Any = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: Any = _BILINEAR,
        antialias: Any = True,
    ) -> None:
        super().__init__()
        self.size, self.scale, self.ratio = _pair(size), scale, ratio
        self.interpolation, self.antialias = interpolation, antialias

    @staticmethod
    def get_params(img: Any, scale: Any, ratio: Any) -> tuple[int, int, int, int]:
        """(top, left, rows, columns)."""
        _, rows, columns = get_dimensions(img)
        area = rows * columns
        ends = [float(v) for v in creation.tensor([float(r) for r in ratio]).log()]
        for _ in range(10):
            wanted = area * _uniform(*scale)
            aspect = float(creation.tensor(_uniform(*ends)).exp())
            w, h = round(math.sqrt(wanted * aspect)), round(math.sqrt(wanted / aspect))
            if 0 < w <= columns and 0 < h <= rows:
                top = _below(rows - h + 1)
                return top, _below(columns - w + 1), h, w
        w, h = columns, rows
        if columns / rows < min(ratio):
            h = round(w / min(ratio))
        elif columns / rows > max(ratio):
            w = round(h * max(ratio))
        return (rows - h) // 2, (columns - w) // 2, h, w

    def forward(self, img: Any) -> Any:
        """The part, in that size."""
        place = self.get_params(img, self.scale, self.ratio)
        return functional.resized_crop(img, *place, self.size, self.interpolation, self.antialias)

    def __repr__(self) -> str:
        scale, ratio = (tuple(round(v, 4) for v in pair) for pair in (self.scale, self.ratio))
        return (
            f"RandomResizedCrop(size={self.size}, scale={scale}, ratio={ratio}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


def _fill(img: Any, fill: Any, channels: int) -> Any:
    """The colour outside, of each channel of a tensor."""
    if not isinstance(img, Tensor):
        return fill
    return [float(fill)] * channels if isinstance(fill, (int, float)) else [float(v) for v in fill]


def _ends(value: Any, centre: float = 0.0) -> list[float]:
    return [centre - float(value), centre + float(value)] if isinstance(value, (int, float)) else [*map(float, value)]


class RandomRotation(_Transform):
    """A picture turned about its centre by an angle between two, in degrees."""

    shown = ("degrees", "interpolation", "expand", "fill")

    def __init__(
        self, degrees: Any, interpolation: Any = _NEAREST, expand: bool = False, center: Any = None, fill: Any = 0
    ) -> None:
        super().__init__()
        self.degrees, self.interpolation, self.expand = _ends(degrees), interpolation, expand
        self.center, self.fill = center, fill
        self.shown = ("degrees", "interpolation", "expand", *(("center",) if center is not None else ()), "fill")

    @staticmethod
    def get_params(degrees: list[float]) -> float:
        """The angle."""
        return _uniform(*degrees)

    def forward(self, img: Any) -> Any:
        """The turned picture."""
        fill = _fill(img, self.fill, get_dimensions(img)[0])
        angle = self.get_params(self.degrees)
        return functional.rotate(img, angle, self.interpolation, self.expand, self.center, fill)


class RandomAffine(_Transform):
    """A picture turned, moved by shares of its sides, sized and sheared, each by chance."""

    def __init__(
        self,
        degrees: Any,
        translate: Any = None,
        scale: Any = None,
        shear: Any = None,
        interpolation: Any = _NEAREST,
        fill: Any = 0,
        center: Any = None,
    ) -> None:
        super().__init__()
        self.degrees, self.translate, self.scale = _ends(degrees), translate, scale
        self.shear = None if shear is None else _ends(shear)
        self.interpolation, self.fill, self.center = interpolation, fill, center
        unlike = {"interpolation": _NEAREST, "fill": 0}
        given = ("translate", "scale", "shear", "interpolation", "fill", "center")
        self.shown = ("degrees", *(name for name in given if getattr(self, name) != unlike.get(name)))

    @staticmethod
    def get_params(degrees: Any, translate: Any, scale: Any, shears: Any, img_size: Any) -> tuple[Any, ...]:
        """(angle, (columns, rows), scale, (shear in x, in y))."""
        angle = _uniform(*degrees)
        moved = (0, 0)
        if translate is not None:
            x, y = (float(t * n) for t, n in zip(translate, img_size, strict=True))
            right = round(_uniform(-x, x))
            moved = (right, round(_uniform(-y, y)))
        size = 1.0 if scale is None else _uniform(*scale)
        slant = (0.0, 0.0)
        if shears is not None:
            across = _uniform(*shears[:2])
            slant = (across, _uniform(*shears[2:]) if len(shears) == 4 else 0.0)
        return angle, moved, size, slant

    def forward(self, img: Any) -> Any:
        """The changed picture."""
        channels, h, w = get_dimensions(img)
        angle, moved, size, slant = self.get_params(self.degrees, self.translate, self.scale, self.shear, (w, h))
        fill = _fill(img, self.fill, channels)
        return functional.affine(img, angle, moved, size, slant, self.interpolation, fill, self.center)


class ColorJitter(_Transform):
    """Brightness, contrast, saturation and hue changed by chance, in an order by chance."""

    shown = ("brightness", "contrast", "saturation", "hue")

    def __init__(self, brightness: Any = 0, contrast: Any = 0, saturation: Any = 0, hue: Any = 0) -> None:
        super().__init__()
        self.brightness, self.contrast, self.saturation = map(self._range, (brightness, contrast, saturation))
        self.hue = self._range(hue, 0.0, -0.5, 0.5)

    @staticmethod
    def _range(value: Any, centre: float = 1.0, low: float = 0.0, high: float = math.inf) -> Any:
        ends = _ends(value, centre)
        if isinstance(value, (int, float)):
            if value < 0:
                raise ShapeError(f"ColorJitter: {value} is negative")
            ends[0] = max(ends[0], 0.0) if centre else ends[0]
        if not low <= ends[0] <= ends[1] <= high:
            raise ShapeError(f"ColorJitter: {value} must lie between {low} and {high}")
        return None if ends == [centre, centre] else tuple(ends)

    @staticmethod
    def get_params(brightness: Any, contrast: Any, saturation: Any, hue: Any) -> tuple[Any, ...]:
        """(the order, and the factor of each, None where there is none)."""
        order = random.randperm(4)
        return order, *(None if ends is None else _uniform(*ends) for ends in (brightness, contrast, saturation, hue))

    def forward(self, img: Any) -> Any:
        """The changed picture."""
        order, *factors = self.get_params(self.brightness, self.contrast, self.saturation, self.hue)
        for i in order.tolist():
            if factors[i] is not None:
                img = getattr(functional, f"adjust_{self.shown[i]}")(img, factors[i])
        return img


class GaussianBlur(_Transform):
    """Weighted means of neighbours, by a bell curve whose width is drawn from `sigma`."""

    shown = ("kernel_size", "sigma")

    def __init__(self, kernel_size: Any, sigma: Any = (0.1, 2.0)) -> None:
        super().__init__()
        self.kernel_size = _pair(kernel_size)
        self.sigma = (float(sigma), float(sigma)) if isinstance(sigma, (int, float)) else tuple(sigma)

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """The width."""
        return _uniform(sigma_min, sigma_max)

    def forward(self, img: Any) -> Any:
        """The blurred picture."""
        sigma = self.get_params(*self.sigma)
        return functional.gaussian_blur(img, list(self.kernel_size), [sigma, sigma])
