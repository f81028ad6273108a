"""torchvision.transforms.v2: the transforms of the first version under their later names."""

from __future__ import annotations

from typing import Any

from .... import dtypes
from ....tensor import Tensor
from . import *  # noqa: F403
from . import PILToTensor, _Transform, functional
from . import __all__ as _first

__all__ = [*_first, "Identity", "ToDtype", "ToImage", "functional"]


class Identity(_Transform):
    """The picture as it is."""

    def forward(self, img: Any) -> Any:
        """The same."""
        return img


class ToImage(_Transform):
    """One of Pillow's pictures, or an array, as a tensor (channels, rows, columns) of the same numbers."""

    def forward(self, img: Any) -> Any:
        """The tensor."""
        return img if isinstance(img, Tensor) else PILToTensor()(img)


class ToDtype(_Transform):
    """In another dtype; with `scale` bytes become floats from 0 to 1, and the other way round."""

    shown = ("dtype", "scale")

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        super().__init__()
        self.dtype, self.scale = dtype, scale

    def forward(self, img: Any) -> Any:
        """The picture in that dtype."""
        if not self.scale or not isinstance(img, Tensor):
            return img.to(self.dtype)
        if img.is_floating_point() and self.dtype is dtypes.uint8:
            return (img * (255 + 1 - 1e-3)).to(self.dtype)
        return functional.convert_image_dtype(img, self.dtype)
