"""Regions of feature maps brought to one size, and the loss of detectors."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .... import creation, nn
from ....errors import ShapeError
from ....nn import functional as F
from ....ops.join import cat, stack

__all__ = ["RoIAlign", "RoIPool", "roi_align", "roi_pool", "sigmoid_focal_loss"]


def _rows(boxes: Any) -> Any:
    """Boxes as rows (which picture, x1, y1, x2, y2); they may come as a list of (L, 4), one for each picture."""
    if isinstance(boxes, (list, tuple)):
        numbers = [creation.full((len(b), 1), k, dtype=b.dtype) for k, b in enumerate(boxes)]
        return cat([cat([n, b], 1) for n, b in zip(numbers, boxes, strict=True)], 0)
    if boxes.ndim != 2 or boxes.shape[1] != 5:
        raise ShapeError(f"roi_align: boxes (K, 5), or a list of (L, 4), not {tuple(boxes.shape)}")
    return boxes


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _weights(start: float, length: float, bins: int, count: int, size: int) -> Any:
    """Of bins along an axis: how much each pixel counts in a mean of `count` points between pixels, (bins, size)."""
    at = start + (np.arange(bins)[:, None] + (np.arange(count) + 0.5) / count) * (length / bins)
    inside = (at >= -1) & (at <= size)
    at = np.clip(at, 0, size - 1)
    low = np.minimum(np.floor(at).astype(int), size - 1)
    high = np.minimum(low + 1, size - 1)
    rows = np.broadcast_to(np.arange(bins)[:, None], at.shape)
    table = np.zeros((bins, size))
    np.add.at(table, (rows, low), (1 - (at - low)) * inside / count)
    np.add.at(table, (rows, high), (at - low) * inside / count)
    return table


def roi_align(
    input: Any,
    boxes: Any,
    output_size: Any,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Any:
    """Parts of maps (N, C, H, W) as maps of `output_size`: (K, C, rows, columns). He et al., "Mask R-CNN", 2017.

        forward    out = R x Q^T for each box: the means of points that are interpolated between pixels
        backward   dx = R^T g Q, into the box's picture; none for the boxes

    boxes: rows (picture, x1, y1, x2, y2), or a list of (x1, y1, x2, y2) for each picture, times `spatial_scale`.
    sampling_ratio: points along each side of a bin; -1 as many as there are pixels. aligned: pixels have their middles
    at whole numbers, as `interpolate` counts them.

    >>> roi_align(mt.arange(16.0).reshape(1, 1, 4, 4), mt.tensor([[0.0, 0.0, 0.0, 4.0, 4.0]]), 2, aligned=True).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """
    rows, columns = _pair(output_size)
    shape = input.shape
    out = []
    for k, x1, y1, x2, y2 in _rows(boxes).detach().numpy().astype(np.float64):
        x1, y1, x2, y2 = (v * spatial_scale - (0.5 if aligned else 0.0) for v in (x1, y1, x2, y2))
        wide, high = (x2 - x1, y2 - y1) if aligned else (max(x2 - x1, 1.0), max(y2 - y1, 1.0))
        counts = [
            sampling_ratio if sampling_ratio > 0 else max(math.ceil(length / bins), 1)
            for length, bins in ((high, rows), (wide, columns))
        ]
        down = creation.as_tensor(_weights(y1, high, rows, counts[0], shape[2]), dtype=input.dtype)
        across = creation.as_tensor(_weights(x1, wide, columns, counts[1], shape[3]), dtype=input.dtype)
        out.append(down @ input[int(k)] @ across.T)
    return stack(out) if out else input.new_zeros((0, shape[1], rows, columns))


def roi_pool(input: Any, boxes: Any, output_size: Any, spatial_scale: float = 1.0) -> Any:
    """The greatest values in the bins of parts of maps (N, C, H, W): (K, C, rows, columns). Girshick, 2015.

    >>> roi_pool(mt.arange(16.0).reshape(1, 1, 4, 4), mt.tensor([[0.0, 0.0, 0.0, 3.0, 3.0]]), 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    rows, columns = _pair(output_size)
    _, channels, height, width = input.shape
    out = []
    for k, x1, y1, x2, y2 in _rows(boxes).detach().numpy().astype(np.float64):
        left, top, right, bottom = (math.floor(v * spatial_scale + 0.5) for v in (x1, y1, x2, y2))
        wide, high = max(right - left + 1, 1) / columns, max(bottom - top + 1, 1) / rows
        cells = []
        for i in range(rows):
            a, b = (min(max(v + top, 0), height) for v in (math.floor(i * high), math.ceil((i + 1) * high)))
            for j in range(columns):
                c, d = (min(max(v + left, 0), width) for v in (math.floor(j * wide), math.ceil((j + 1) * wide)))
                part = input[int(k), :, a:b, c:d]
                cells.append(part.amax((1, 2)) if part.numel() else input.new_zeros(channels))
        out.append(stack(cells, 1).reshape(channels, rows, columns))
    return stack(out) if out else input.new_zeros((0, channels, rows, columns))


class RoIAlign(nn.Module):
    """`roi_align` as a layer."""

    def __init__(self, output_size: Any, spatial_scale: float, sampling_ratio: int, aligned: bool = False) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale
        self.sampling_ratio, self.aligned = sampling_ratio, aligned

    def forward(self, input: Any, rois: Any) -> Any:
        """Maps (N, C, H, W) and boxes (K, 5) to (K, C, rows, columns)."""
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)


class RoIPool(nn.Module):
    """`roi_pool` as a layer."""

    def __init__(self, output_size: Any, spatial_scale: float) -> None:
        super().__init__()
        self.output_size, self.spatial_scale = output_size, spatial_scale

    def forward(self, input: Any, rois: Any) -> Any:
        """Maps (N, C, H, W) and boxes (K, 5) to (K, C, rows, columns)."""
        return roi_pool(input, rois, self.output_size, self.spatial_scale)


def sigmoid_focal_loss(
    inputs: Any, targets: Any, alpha: float = 0.25, gamma: float = 2, reduction: str = "none"
) -> Any:
    """The cross-entropy of logits, less where they are right already: times (1 - p_t)^gamma. Lin et al., 2017.

    >>> round(float(sigmoid_focal_loss(mt.tensor([0.0]), mt.tensor([1.0]))), 4)
    0.0433
    """
    p = inputs.sigmoid()
    right = p * targets + (1 - p) * (1 - targets)
    loss = F.binary_cross_entropy_with_logits(inputs, targets, reduction="none") * (1 - right) ** gamma
    if alpha >= 0:
        loss = (alpha * targets + (1 - alpha) * (1 - targets)) * loss
    if reduction not in ("none", "mean", "sum"):
        raise ValueError(f"sigmoid_focal_loss: reduction is 'none', 'mean' or 'sum', not {reduction!r}")
    return loss if reduction == "none" else loss.mean() if reduction == "mean" else loss.sum()
