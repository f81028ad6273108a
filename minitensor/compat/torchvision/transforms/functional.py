"""torchvision.transforms.functional: what the transforms do, one function each.

A picture is one of Pillow's, an array (rows, columns[, channels]) or a tensor (..., channels, rows, columns). Floats
lie between 0 and 1, bytes between 0 and 255; sizes are (rows, columns).
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .... import creation, dtypes
from ....errors import ShapeError
from ....nn import functional as F
from ....ops.comparison import where
from ....tensor import Tensor

__all__ = [
    "InterpolationMode", "adjust_brightness", "adjust_contrast", "adjust_gamma", "adjust_hue", "adjust_saturation",
    "adjust_sharpness", "affine", "autocontrast", "center_crop", "convert_image_dtype", "crop", "equalize", "erase",
    "five_crop", "gaussian_blur", "get_dimensions", "get_image_num_channels", "get_image_size", "hflip", "invert",
    "normalize", "pad", "perspective", "pil_to_tensor", "posterize", "resize", "resized_crop", "rgb_to_grayscale",
    "rotate", "solarize", "ten_crop", "to_grayscale", "to_pil_image", "to_tensor", "vflip",
]  # fmt: skip


class InterpolationMode(enum.Enum):
    """How a picture is sized: its value is the name that prints."""

    NEAREST = "nearest"
    NEAREST_EXACT = "nearest-exact"
    BILINEAR = "bilinear"
    BICUBIC = "bicubic"
    BOX = "box"
    HAMMING = "hamming"
    LANCZOS = "lanczos"


_PILLOWS = {"nearest": 0, "nearest-exact": 0, "lanczos": 1, "bilinear": 2, "bicubic": 3, "box": 4, "hamming": 5}


def _filter(mode: Any) -> int:
    return mode if isinstance(mode, int) else _PILLOWS[mode.value]


def _named(mode: Any) -> str:
    return next(name for name, k in _PILLOWS.items() if k == mode) if isinstance(mode, int) else str(mode.value)


def is_pillows(img: Any) -> bool:
    """Whether it is one of Pillow's pictures."""
    return hasattr(img, "crop")


def _pillows(name: str, img: Any) -> Any:
    if not is_pillows(img):
        raise TypeError(f"{name}: expected one of Pillow's pictures or a tensor, got {type(img).__name__}")
    return img


# --- pictures, arrays, tensors ----------------------------------------------------------------------------------------


def _pixels(img: Any) -> Any:
    """A picture as an array (channels, rows, columns)."""
    a = np.asarray(img)
    return a[None] if a.ndim == 2 else a.transpose(2, 0, 1)


def to_tensor(pic: Any) -> Tensor:
    """A picture of bytes as a float32 tensor (channels, rows, columns) from 0 to 1; others keep their numbers."""
    a = np.ascontiguousarray(_pixels(pic))
    if a.dtype == np.uint8:
        a = np.divide(a, np.float32(255), dtype=np.float32)
    return creation.from_numpy(a.copy() if not a.flags.owndata else a)


def pil_to_tensor(pic: Any) -> Tensor:
    """A picture as a tensor (channels, rows, columns) of the same numbers."""
    return creation.from_numpy(_pixels(pic).copy())


def convert_image_dtype(image: Tensor, dtype: Any = dtypes.float32) -> Tensor:
    """Bytes as floats from 0 to 1, and back."""
    if image.is_floating_point() and not dtype.is_floating_point:
        top = float(dtypes.iinfo(dtype).max)
        out: Tensor = (image * (top + 1.0 - 1e-3)).to(dtype)
        return out
    made = image.to(dtype)
    return made / 255 if image.dtype == dtypes.uint8 and made.is_floating_point() else made


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (channels, rows, columns), floats from 0 to 1 or bytes, or an array, as one of Pillow's pictures."""
    from PIL import Image

    if isinstance(pic, Tensor):
        a = np.asarray(pic.detach())
        if a.dtype.kind == "f":
            a = (a * 255).astype(np.uint8)
        pic = a[0] if a.ndim == 3 and len(a) == 1 else a.transpose(1, 2, 0) if a.ndim == 3 else a
    elif np.ndim(pic) == 3 and pic.shape[2] == 1:
        pic = pic[:, :, 0]
    return Image.fromarray(np.ascontiguousarray(pic))


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> Tensor:
    """(x - mean) / std of each channel of a tensor."""
    x = tensor if inplace else tensor.clone()
    m, s = (creation.as_tensor(v, dtype=x.dtype).reshape(-1, 1, 1) for v in (mean, std))
    if bool((s == 0).any()):
        raise ShapeError(f"normalize: std {std} holds 0")
    out: Tensor = x.sub_(m).div_(s)
    return out


def get_dimensions(img: Any) -> list[int]:
    """[channels, rows, columns]."""
    if isinstance(img, Tensor):
        return [int(n) for n in (img.shape[-3:] if img.ndim > 2 else (1, *img.shape))]
    if is_pillows(img):
        return [len(img.getbands()), int(img.size[1]), int(img.size[0])]
    return [int(img.shape[2]) if img.ndim == 3 else 1, int(img.shape[0]), int(img.shape[1])]


def get_image_size(img: Any) -> list[int]:
    """[columns, rows]."""
    return get_dimensions(img)[:0:-1]


def get_image_num_channels(img: Any) -> int:
    """How many channels there are."""
    return get_dimensions(img)[0]


# --- parts, sizes, margins --------------------------------------------------------------------------------------------


def crop(img: Any, top: int, left: int, height: int, width: int) -> Any:
    """A part of a picture; what lies outside is 0."""
    if is_pillows(img):
        return img.crop((left, top, left + width, top + height))
    if not isinstance(img, Tensor):
        return img[top : top + height, left : left + width]
    rows, columns = img.shape[-2:]
    part = img[..., max(top, 0) : max(top + height, 0), max(left, 0) : max(left + width, 0)]
    margins = max(-left, 0), max(left + width - columns, 0), max(-top, 0), max(top + height - rows, 0)
    return F.pad(part, margins) if any(margins) else part


def pad(img: Any, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> Any:
    """With margins: one number, (columns, rows), or (left, top, right, bottom)."""
    p = [padding] if isinstance(padding, int) else list(padding)
    left, top, right, bottom = p * (4 // len(p))
    if isinstance(img, Tensor) and padding_mode == "constant":
        return F.pad(img, (left, right, top, bottom), value=fill)
    a = np.asarray(img)
    if isinstance(img, Tensor):
        margins = [(0, 0)] * (a.ndim - 2) + [(top, bottom), (left, right)]
    else:
        margins = [(top, bottom), (left, right)] + [(0, 0)] * (a.ndim - 2)
    if padding_mode != "constant":
        out = np.pad(a, margins, {"edge": "edge", "reflect": "reflect", "symmetric": "symmetric"}[padding_mode])  # type: ignore
    elif isinstance(fill, (tuple, list)) and a.ndim == 3:
        out = np.stack([np.pad(a[..., c], margins[:2], constant_values=v) for c, v in enumerate(fill)], 2)
    else:
        out = np.pad(a, margins, constant_values=fill)
    if isinstance(img, Tensor):
        return creation.from_numpy(out)
    return to_pil_image(out) if is_pillows(img) else out


def center_crop(img: Any, output_size: Any) -> Any:
    """The middle of a picture; where it is smaller, with margins of 0."""
    th, tw = (output_size, output_size) if isinstance(output_size, int) else (output_size[0], output_size[-1])
    _, h, w = get_dimensions(img)
    if tw > w or th > h:
        x, y = max(tw - w, 0), max(th - h, 0)
        img = pad(img, (x // 2, y // 2, (x + 1) // 2, (y + 1) // 2))
        _, h, w = get_dimensions(img)
    return crop(img, round((h - th) / 2.0), round((w - tw) / 2.0), th, tw)


def resize(
    img: Any,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    max_size: int | None = None,
    antialias: Any = True,
) -> Any:
    """A picture of another size; of one number, the shorter side has it. Tensors by interpolation with antialiasing."""
    _, h, w = get_dimensions(img)
    if isinstance(size, int) or len(size) == 1:
        short = size if isinstance(size, int) else size[0]
        long = int(short * max(h, w) / min(h, w))
        if max_size is not None and long > max_size:
            short, long = int(max_size * short / long), max_size
        rows, columns = (short, long) if h <= w else (long, short)
    else:
        rows, columns = size
    if not isinstance(img, Tensor):
        return _pillows("resize", img).resize((columns, rows), _filter(interpolation))
    mode = _named(interpolation)
    smooth = bool(antialias) and mode in ("bilinear", "bicubic")
    corners = None if mode.startswith("nearest") else False
    return _as_floats(
        img, lambda x: F.interpolate(x, (rows, columns), mode=mode, align_corners=corners, antialias=smooth)
    )


def _as_floats(img: Tensor, change: Callable[[Any], Any]) -> Any:
    """What becomes of a batch of float pictures, for one picture and for integers too; these are rounded."""
    batch = img if img.ndim == 4 else img[None]
    made = change(batch if img.is_floating_point() else batch.to(dtypes.float32))
    made = made if img.ndim == 4 else made[0]
    if img.is_floating_point():
        return made
    info = dtypes.iinfo(img.dtype)
    return made.round().clamp(info.min, info.max).to(img.dtype)


def resized_crop(
    img: Any,
    top: int,
    left: int,
    height: int,
    width: int,
    size: Any,
    interpolation: Any = InterpolationMode.BILINEAR,
    antialias: Any = True,
) -> Any:
    """A part of a picture, in another size."""
    return resize(crop(img, top, left, height, width), size, interpolation, None, antialias)


def hflip(img: Any) -> Any:
    """Left and right exchanged."""
    return img.flip(-1) if isinstance(img, Tensor) else img.transpose(0) if is_pillows(img) else np.flip(img, 1)


def vflip(img: Any) -> Any:
    """Top and bottom exchanged."""
    return img.flip(-2) if isinstance(img, Tensor) else img.transpose(1) if is_pillows(img) else np.flip(img, 0)


def five_crop(img: Any, size: Any) -> tuple[Any, ...]:
    """The four corners and the middle."""
    th, tw = (size, size) if isinstance(size, int) else (size[0], size[-1])
    _, h, w = get_dimensions(img)
    corners = [crop(img, top, left, th, tw) for top in (0, h - th) for left in (0, w - tw)]
    return (*corners, center_crop(img, (th, tw)))


def ten_crop(img: Any, size: Any, vertical_flip: bool = False) -> tuple[Any, ...]:
    """The five crops of a picture and those of its mirror image."""
    return five_crop(img, size) + five_crop(vflip(img) if vertical_flip else hflip(img), size)


def erase(img: Tensor, i: int, j: int, h: int, w: int, v: Any, inplace: bool = False) -> Tensor:
    """A rectangle replaced by a value."""
    out = img if inplace else img.clone()
    out[..., i : i + h, j : j + w] = v
    return out


# --- colours ----------------------------------------------------------------------------------------------------------


def _top(img: Tensor) -> float:
    return 1.0 if img.is_floating_point() else 255.0


def _blend(a: Tensor, b: Any, share: float) -> Tensor:
    share = float(share)
    out: Tensor = (share * a + (1.0 - share) * b).clamp(0, _top(a)).to(a.dtype)
    return out


def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """In greys: 0.2989 red + 0.587 green + 0.114 blue, in 1 or 3 channels."""
    if is_pillows(img):
        grey = img.convert("L")
        return grey if num_output_channels == 1 else to_pil_image(np.stack([np.asarray(grey)] * 3, 2))
    if not isinstance(img, Tensor):
        raise TypeError(f"rgb_to_grayscale: expected one of Pillow's pictures or a tensor, got {type(img).__name__}")
    if img.shape[-3] == 1:
        out = img.clone()
    else:
        red, green, blue = img.unbind(-3)
        out = (0.2989 * red + 0.587 * green + 0.114 * blue).to(img.dtype).unsqueeze(-3)
    return out.expand(*img.shape[:-3], 3, *img.shape[-2:]) if num_output_channels == 3 else out


def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """`rgb_to_grayscale` of one of Pillow's pictures."""
    return rgb_to_grayscale(_pillows("to_grayscale", img), num_output_channels)


def _enhanced(kind: str, img: Any, factor: float) -> Any:
    from PIL import ImageEnhance

    return getattr(ImageEnhance, kind)(img).enhance(factor)


def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """Mixed with black: 0 is black, 1 the picture itself."""
    if is_pillows(img):
        return _enhanced("Brightness", img, brightness_factor)
    return _blend(img, 0.0 * img, brightness_factor)


def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """Mixed with its mean grey."""
    if is_pillows(img):
        return _enhanced("Contrast", img, contrast_factor)
    grey = rgb_to_grayscale(img)
    mean = (grey if grey.is_floating_point() else grey.to(dtypes.float32)).mean((-3, -2, -1), keepdim=True)
    return _blend(img, mean, contrast_factor)


def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """Mixed with its greys."""
    if is_pillows(img):
        return _enhanced("Color", img, saturation_factor)
    return _blend(img, rgb_to_grayscale(img), saturation_factor)


def adjust_hue(img: Any, hue_factor: float) -> Any:
    """Colours turned round the circle by a share from -0.5 to 0.5."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ShapeError(f"adjust_hue: hue_factor must lie in [-0.5, 0.5], but is {hue_factor}")
    if is_pillows(img):
        if img.mode in ("1", "L", "I", "F"):
            return img
        from PIL import Image

        h, s, v = img.convert("HSV").split()
        turned = (np.asarray(h).astype(np.int32) + int(hue_factor * 255)).astype(np.uint8)
        return Image.merge("HSV", (Image.fromarray(turned, "L"), s, v)).convert(img.mode)
    if img.shape[-3] == 1:
        return img
    h, s, v = _hsv(convert_image_dtype(img))
    return convert_image_dtype(_rgb((h + hue_factor) % 1.0, s, v), img.dtype)


def _hsv(img: Tensor) -> tuple[Any, Any, Any]:
    red, green, blue = img.unbind(-3)
    high, low = img.amax(-3), img.amin(-3)
    grey, span = high == low, high - low
    s = span / where(grey, 1.0, high)
    span = where(grey, 1.0, span)
    r, g, b = (high - red) / span, (high - green) / span, (high - blue) / span
    h = where(high == red, b - g, where(high == green, 2.0 + r - b, 4.0 + g - r))
    return (h / 6.0 + 1.0).fmod(1.0), s, high


def _rgb(h: Tensor, s: Tensor, v: Tensor) -> Any:
    sector = (h * 6.0).floor()
    f = h * 6.0 - sector
    p, q, t = (x.clamp(0.0, 1.0) for x in (v * (1.0 - s), v * (1.0 - s * f), v * (1.0 - s * (1.0 - f))))
    channels = []
    for six in ((v, q, p, p, t, v), (t, v, v, q, p, p), (p, p, t, v, v, q)):
        out = six[5]
        for k in range(5):
            out = where(sector % 6 == k, six[k], out)
        channels.append(out.unsqueeze(-3))
    return channels[0].new_tensor(np.concatenate([c.array for c in channels], -3))


def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain * x^gamma, of values from 0 to 1."""
    if is_pillows(img):
        table = [int((255 + 1 - 1e-3) * gain * (k / 255.0) ** gamma) for k in range(256)]
        return img.convert("RGB").point([min(max(v, 0), 255) for v in table] * 3).convert(img.mode)
    made = (gain * convert_image_dtype(img) ** gamma).clamp(0, 1)
    return convert_image_dtype(made, img.dtype)


def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """Mixed with a smoothed picture: 0 is smooth, above 1 sharper."""
    if is_pillows(img):
        return _enhanced("Sharpness", img, sharpness_factor)
    if min(img.shape[-2:]) <= 2:
        return img
    kernel = np.ones((3, 3), np.float32)
    kernel[1, 1] = 5.0
    channels = int(img.shape[-3])
    weight = creation.from_numpy(np.tile(kernel / kernel.sum(), (channels, 1, 1, 1)))
    smooth = img.clone()
    smooth[..., 1:-1, 1:-1] = _as_floats(img, lambda x: F.conv2d(x, weight, groups=channels))
    return _blend(img, smooth, sharpness_factor)


def invert(img: Any) -> Any:
    """The negative."""
    if is_pillows(img):
        from PIL import ImageOps

        return ImageOps.invert(img)
    return (1.0 if img.is_floating_point() else 255) - img


def posterize(img: Any, bits: int) -> Any:
    """Bytes of which only the highest bits stay."""
    if is_pillows(img):
        from PIL import ImageOps

        return ImageOps.posterize(img, bits)
    if img.dtype != dtypes.uint8:
        raise TypeError(f"posterize: expected bytes, got {img.dtype}")
    return img & -int(2 ** (8 - bits)) % 256


def solarize(img: Any, threshold: float) -> Any:
    """What reaches the threshold inverted."""
    if is_pillows(img):
        from PIL import ImageOps

        return ImageOps.solarize(img, threshold)  # type: ignore[arg-type]
    if threshold > _top(img):
        raise TypeError(f"solarize: the threshold {threshold} lies above {_top(img)}")
    return where(img >= threshold, invert(img), img)


def autocontrast(img: Any) -> Any:
    """Each channel stretched to the whole range."""
    if is_pillows(img):
        from PIL import ImageOps

        return ImageOps.autocontrast(img)
    top = _top(img)
    x = img if img.is_floating_point() else img.to(dtypes.float32)
    low, high = x.amin((-2, -1), keepdim=True), x.amax((-2, -1), keepdim=True)
    flat = high == low
    scale = where(flat, 1.0, top / (high - low))
    return ((x - where(flat, 0.0, low)) * scale).clamp(0, top).to(img.dtype)


def equalize(img: Any) -> Any:
    """One of Pillow's pictures, or bytes, with every shade as often as the next."""
    if is_pillows(img):
        from PIL import ImageOps

        return ImageOps.equalize(img)
    if img.dtype != dtypes.uint8:
        raise TypeError(f"equalize: expected bytes, got {img.dtype}")
    flat = np.asarray(img).reshape(-1, *img.shape[-2:])
    return creation.from_numpy(np.stack([_equal(a) for a in flat]).reshape(tuple(img.shape)))


def _equal(a: Any) -> Any:
    counts = np.bincount(a.ravel(), minlength=256)
    step = (counts[counts != 0][:-1].sum()) // 255
    if step == 0:
        return a
    table = (counts.cumsum() + step // 2) // step
    return np.concatenate([[0], table[:-1]]).clip(0, 255).astype(np.uint8)[a]


def gaussian_blur(img: Any, kernel_size: Any, sigma: Any = None) -> Any:
    """Weighted means of neighbours, by a bell curve of `sigma` columns and rows."""
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if sigma is None:
        sigma = [k * 0.15 + 0.35 for k in sizes]
    sigmas = [float(sigma)] * 2 if isinstance(sigma, (int, float)) else [float(s) for s in sigma] * (2 // len(sigma))
    if any(k % 2 == 0 or k < 1 for k in sizes) or any(s <= 0 for s in sigmas):
        raise ShapeError(f"gaussian_blur: kernel_size {sizes} must be odd and sigma {sigmas} positive")
    x = img if isinstance(img, Tensor) else pil_to_tensor(img)

    def bell(n: int, width: float) -> Any:
        half = (n - 1) * 0.5
        y = (creation.linspace(-half, half, n) / width).pow(2).mul(-0.5).exp()
        return y / y.sum()

    across, down = (bell(n, s) for n, s in zip(sizes, sigmas, strict=True))
    channels = int(x.shape[-3])
    weight = (down[:, None] @ across[None]).expand(channels, 1, sizes[1], sizes[0])
    margins = (sizes[0] // 2, sizes[0] // 2, sizes[1] // 2, sizes[1] // 2)
    out = _as_floats(x, lambda y: F.conv2d(F.pad(y, margins, "reflect"), weight, groups=channels))
    return out if isinstance(img, Tensor) else to_pil_image(out)


# --- turned and warped ------------------------------------------------------------------------------------------------


def _inverse(center: Any, angle: float, translate: Any, scale: float, shear: Any) -> list[float]:
    """The six numbers that lead from a place of the result back to the picture."""
    turn, sx, sy = math.radians(angle), math.radians(shear[0]), math.radians(shear[1])
    cx, cy = center
    tx, ty = translate
    a = math.cos(turn - sy) / math.cos(sy)
    b = -math.cos(turn - sy) * math.tan(sx) / math.cos(sy) - math.sin(turn)
    c = math.sin(turn - sy) / math.cos(sy)
    d = -math.sin(turn - sy) * math.tan(sx) / math.cos(sy) + math.cos(turn)
    m = [v / scale for v in (d, -b, 0.0, -c, a, 0.0)]
    m[2] += m[0] * (-cx - tx) + m[1] * (-cy - ty) + cx
    m[5] += m[3] * (-cx - tx) + m[4] * (-cy - ty) + cy
    return m


def _sampled(img: Tensor, grid: Any, mode: str, fill: Any) -> Any:
    """The picture at the places of a grid (1, rows, columns, 2); outside it is `fill`."""

    def change(x: Any) -> Any:
        whole = grid.expand(x.shape[0], *grid.shape[1:])
        y = F.grid_sample(x, whole, mode=mode, padding_mode="zeros", align_corners=False)
        if fill is None:
            return y
        inside = F.grid_sample(
            creation.ones_like(x[:, :1]), whole, mode=mode, padding_mode="zeros", align_corners=False
        )
        values = fill if isinstance(fill, (list, tuple)) else [fill]
        outside = creation.tensor([float(v) for v in values], dtype=y.dtype).reshape(1, -1, 1, 1)
        if mode == "nearest":
            return where(inside < 0.5, outside, y)
        return y * inside + (1.0 - inside) * outside

    return _as_floats(img, change)


def _grid(matrix: list[float], h: int, w: int, rows: int, columns: int) -> Any:
    y, x = np.arange(rows) - rows * 0.5 + 0.5, np.arange(columns) - columns * 0.5 + 0.5
    base = np.ones((rows, columns, 3), np.float32)
    base[..., 0], base[..., 1] = x[None], y[:, None]
    theta = np.array(matrix, np.float32).reshape(2, 3).T / np.array([0.5 * w, 0.5 * h], np.float32)
    places = creation.from_numpy(base.reshape(1, -1, 3)) @ creation.from_numpy(theta)
    return places.reshape(1, rows, columns, 2)


def rotate(
    img: Any,
    angle: float,
    interpolation: Any = InterpolationMode.NEAREST,
    expand: bool = False,
    center: Any = None,
    fill: Any = None,
) -> Any:
    """Turned to the left by an angle in degrees, about the middle or `center`, (column, row)."""
    if not isinstance(img, Tensor):
        return _pillows("rotate", img).rotate(
            angle, _filter(interpolation), expand, center, fillcolor=_colour(img, fill)
        )
    _, h, w = get_dimensions(img)
    about = [0.0, 0.0] if center is None else [c - s * 0.5 for s, c in zip((w, h), center, strict=True)]
    matrix = _inverse(about, -angle, [0.0, 0.0], 1.0, [0.0, 0.0])
    rows, columns = h, w
    if expand:
        corners = np.array(
            [[-0.5 * w, -0.5 * h, 1], [-0.5 * w, 0.5 * h, 1], [0.5 * w, 0.5 * h, 1], [0.5 * w, -0.5 * h, 1]]
        )
        ends = corners @ np.array(matrix).reshape(2, 3).T
        half = np.array([w * 0.5, h * 0.5])
        low = np.floor(np.trunc((ends.min(0) + half) / 0.001) * 0.001)
        high = np.ceil(np.trunc((ends.max(0) + half) / 0.001) * 0.001)
        columns, rows = (int(n) for n in high - low)
    return _sampled(img, _grid(matrix, h, w, rows, columns), _named(interpolation), fill)


def affine(
    img: Any,
    angle: float,
    translate: Sequence[int],
    scale: float,
    shear: Any,
    interpolation: Any = InterpolationMode.NEAREST,
    fill: Any = None,
    center: Any = None,
) -> Any:
    """Turned to the right by `angle`, moved by (columns, rows), sized and sheared (degrees), about the middle."""
    slant = [float(shear), 0.0] if isinstance(shear, (int, float)) else [float(s) for s in shear] * (2 // len(shear))
    _, h, w = get_dimensions(img)
    if not isinstance(img, Tensor):
        about = [w * 0.5, h * 0.5] if center is None else center
        matrix = _inverse(about, angle, translate, scale, slant)
        flags = {"fillcolor": _colour(img, fill)}
        return _pillows("affine", img).transform((w, h), 0, matrix, _filter(interpolation), **flags)
    about = [0.0, 0.0] if center is None else [c - s * 0.5 for s, c in zip((w, h), center, strict=True)]
    matrix = _inverse(about, angle, translate, scale, slant)
    return _sampled(img, _grid(matrix, h, w, h, w), _named(interpolation), fill)


def perspective(
    img: Any, startpoints: Any, endpoints: Any, interpolation: Any = InterpolationMode.BILINEAR, fill: Any = None
) -> Any:
    """Warped so that four points, (column, row), come to lie on four others."""
    rows = []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    m = np.linalg.lstsq(np.array(rows, np.float64), np.array(startpoints, np.float64).ravel(), rcond=None)[0]
    m = m.astype(np.float32)
    _, h, w = get_dimensions(img)
    if not isinstance(img, Tensor):
        flags = {"fillcolor": _colour(img, fill)}
        return _pillows("perspective", img).transform((w, h), 2, m.tolist(), _filter(interpolation), **flags)
    y, x = np.meshgrid(np.arange(h, dtype=np.float32) + 0.5, np.arange(w, dtype=np.float32) + 0.5, indexing="ij")
    below = m[6] * x + m[7] * y + 1
    across = (m[0] * x + m[1] * y + m[2]) / (0.5 * np.float32(w)) / below - 1
    down = (m[3] * x + m[4] * y + m[5]) / (0.5 * np.float32(h)) / below - 1
    grid = creation.from_numpy(np.stack([across, down], -1)[None].astype(np.float32))
    return _sampled(img, grid, _named(interpolation), fill)


def _colour(img: Any, fill: Any) -> Any:
    """The colour outside, for each band of one of Pillow's pictures."""
    if fill is None or (isinstance(fill, (int, float)) and fill == 0):
        return None if fill is None else (0,) * len(img.getbands()) if len(img.getbands()) > 1 else 0
    values = [int(v) for v in (fill if isinstance(fill, (tuple, list)) else [fill])]
    bands = len(img.getbands())
    return values[0] if bands == 1 else tuple(values * (bands // len(values)))
