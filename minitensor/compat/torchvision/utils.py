"""torchvision.utils: pictures in a grid, and in a file."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ... import creation
from ...ops.join import cat, stack
from ...tensor import Tensor

__all__ = ["make_grid", "save_image"]


def make_grid(
    tensor: Any,
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Pictures (count, channels, rows, columns), or a list of them, side by side, `nrow` in a row, with margins.

    `normalize` brings them from `value_range`, else from their least and greatest value, to 0 to 1.
    """
    x: Any = stack(tensor) if isinstance(tensor, (list, tuple)) else tensor
    x = x.detach()
    x = x[(None,) * (4 - x.ndim)] if x.ndim != 3 or x.shape[0] in (1, 3) else x[:, None]
    if x.shape[1] == 1:
        x = cat([x, x, x], 1)
    if normalize:
        x = stack([_scaled(p, value_range) for p in x]) if scale_each else _scaled(x, value_range)
    count, channels, rows, columns = x.shape
    if count == 1:
        return x[0]  # type: ignore[no-any-return]
    across = min(nrow, count)
    down = math.ceil(count / across)
    high, wide = rows + padding, columns + padding
    grid = creation.full((channels, high * down + padding, wide * across + padding), pad_value, dtype=x.dtype)
    for k in range(count):
        top, left = k // across * high + padding, k % across * wide + padding
        grid[:, top : top + rows, left : left + columns] = x[k]
    return grid


def _scaled(x: Any, value_range: tuple[float, float] | None) -> Any:
    low, high = (float(x.min()), float(x.max())) if value_range is None else value_range
    return (x.clamp(low, high) - low) / max(high - low, 1e-5)


def save_image(tensor: Any, fp: Any, format: str | None = None, **grid: Any) -> None:
    """The grid of pictures from 0 to 1 in a file; the settings are those of `make_grid`. Needs Pillow."""
    from PIL import Image

    made = make_grid(tensor, **grid).mul(255).add_(0.5).clamp_(0, 255).permute(1, 2, 0)
    Image.fromarray(np.ascontiguousarray(made.numpy().astype(np.uint8))).save(fp, format=format)
