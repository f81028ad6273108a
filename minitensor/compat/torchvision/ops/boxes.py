"""Boxes (x1, y1, x2, y2) in pictures: their areas, how much they overlap, which of them say the same."""

from __future__ import annotations

from typing import Any

import numpy as np

from .... import creation, dtypes
from ....errors import ShapeError
from ....ops.comparison import maximum, minimum
from ....ops.join import stack
from ....ops.order import argsort

__all__ = [
    "batched_nms", "box_area", "box_convert", "box_iou", "clip_boxes_to_image", "complete_box_iou",
    "distance_box_iou", "generalized_box_iou", "masks_to_boxes", "nms", "remove_small_boxes",
]  # fmt: skip


def box_area(boxes: Any, fmt: str = "xyxy") -> Any:
    """The areas of boxes (N, 4): (N)."""
    if fmt in ("xywh", "cxcywh"):
        return boxes[:, 2] * boxes[:, 3]
    return (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])


def box_convert(boxes: Any, in_fmt: str, out_fmt: str) -> Any:
    """Boxes (..., 4) as two corners ("xyxy"), as a corner and the size ("xywh"), as the middle and it ("cxcywh")."""
    for fmt in (in_fmt, out_fmt):
        if fmt not in ("xyxy", "xywh", "cxcywh"):
            raise ValueError(f"box_convert: {fmt!r} is not one of xyxy, xywh, cxcywh")
    if in_fmt == out_fmt:
        return boxes.clone()
    a, b, c, d = boxes.unbind(-1)
    if in_fmt == "cxcywh":
        a, b, c, d = a - c / 2, b - d / 2, a + c / 2, b + d / 2
    elif in_fmt == "xywh":
        c, d = a + c, b + d
    if out_fmt == "xywh":
        c, d = c - a, d - b
    elif out_fmt == "cxcywh":
        a, b, c, d = (a + c) / 2, (b + d) / 2, c - a, d - b
    return stack([a, b, c, d], -1)


def _exact(x: Any) -> Any:
    """In a dtype in which a product of two does not overflow."""
    if x.dtype.is_floating_point:
        return x if x.dtype in (dtypes.float32, dtypes.float64) else x.float()
    return x if x.dtype in (dtypes.int32, dtypes.int64) else x.int()


def _overlap(a: Any, b: Any) -> tuple[Any, Any]:
    """(intersection, union) of each box of (N, 4) with each of (M, 4): (N, M)."""
    low, high = maximum(a[:, None, :2], b[:, :2]), minimum(a[:, None, 2:], b[:, 2:])
    size = _exact(high - low).clamp(min=0)
    inter = size[:, :, 0] * size[:, :, 1]
    return inter, box_area(_exact(a))[:, None] + box_area(_exact(b)) - inter


def box_iou(boxes1: Any, boxes2: Any, fmt: str = "xyxy") -> Any:
    """Intersection over union of each box of (N, 4) with each of (M, 4): (N, M).

    >>> a = mt.tensor([[0.0, 0.0, 2.0, 2.0]])
    >>> box_iou(a, mt.tensor([[1.0, 0.0, 3.0, 2.0], [2.0, 2.0, 3.0, 3.0]]))
    tensor([[0.3333, 0.0000]])
    """
    if fmt != "xyxy":
        boxes1, boxes2 = (box_convert(b, fmt, "xyxy") for b in (boxes1, boxes2))
    inter, union = _overlap(boxes1, boxes2)
    return inter / union


def _hull(a: Any, b: Any) -> Any:
    """The sizes of the least boxes that hold both: (N, M, 2)."""
    return (maximum(a[:, None, 2:], b[:, 2:]) - minimum(a[:, None, :2], b[:, :2])).clamp(min=0)


def generalized_box_iou(boxes1: Any, boxes2: Any) -> Any:
    """IoU less the share of the least box around both that neither covers (Rezatofighi et al., 2019): (N, M)."""
    inter, union = _overlap(boxes1, boxes2)
    size = _hull(boxes1, boxes2)
    area = size[:, :, 0] * size[:, :, 1]
    return inter / union - (area - union) / area


def distance_box_iou(boxes1: Any, boxes2: Any, eps: float = 1e-7) -> Any:
    """IoU less the squared distance of the middles by the squared diagonal around both: (N, M)."""
    inter, union = _overlap(boxes1, boxes2)
    size = _hull(boxes1, boxes2)
    across = (size**2).sum(-1) + eps
    middles = [(b[:, :2] + b[:, 2:]) / 2 for b in (boxes1, boxes2)]
    apart = ((middles[0][:, None] - middles[1]) ** 2).sum(-1)
    return inter / union - apart / across


def complete_box_iou(boxes1: Any, boxes2: Any, eps: float = 1e-7) -> Any:
    """`distance_box_iou` less a term for unlike ratios of the sides (Zheng et al., 2020): (N, M)."""
    inter, union = _overlap(boxes1, boxes2)
    slim = [((b[:, 2] - b[:, 0]) / (b[:, 3] - b[:, 1])).atan() for b in (boxes1, boxes2)]
    v = (4 / np.pi**2) * (slim[0][:, None] - slim[1]) ** 2
    alpha = (v / (1 - inter / union + v + eps)).detach()
    return distance_box_iou(boxes1, boxes2, eps) - alpha * v


def clip_boxes_to_image(boxes: Any, size: Any) -> Any:
    """Boxes (..., 4) cut off at the edges of a picture of (rows, columns)."""
    rows, columns = size
    x, y = boxes[..., 0::2].clamp(0, columns), boxes[..., 1::2].clamp(0, rows)
    return stack([x, y], -1).reshape(boxes.shape)


def remove_small_boxes(boxes: Any, min_size: float) -> Any:
    """The indices of the boxes (N, 4) whose sides are both at least `min_size`."""
    wide, high = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    return ((wide >= min_size) & (high >= min_size)).nonzero()[:, 0]


def nms(boxes: Any, scores: Any, iou_threshold: float) -> Any:
    """Of boxes (N, 4) that overlap by more than the threshold only the one of the highest score: their indices.

    They come in the order of their scores, from the highest.

    >>> boxes = mt.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 2.1], [5.0, 5.0, 6.0, 6.0]])
    >>> nms(boxes, mt.tensor([0.8, 0.9, 0.1]), 0.5).tolist()
    [1, 2]
    """
    if boxes.ndim != 2 or boxes.shape[1] != 4 or scores.shape != boxes.shape[:1]:
        raise ShapeError(f"nms: boxes (N, 4) and scores (N), not {tuple(boxes.shape)} and {tuple(scores.shape)}")
    order = argsort(scores.detach(), stable=True, descending=True).numpy()
    x1, y1, x2, y2 = (v for v in boxes.detach().numpy()[order].T)
    area = (x2 - x1) * (y2 - y1)
    left = np.ones(len(order), bool)
    for i in range(len(order)):
        if not left[i]:
            continue
        rest = slice(i + 1, None)
        wide = np.minimum(x2[i], x2[rest]) - np.maximum(x1[i], x1[rest])
        high = np.minimum(y2[i], y2[rest]) - np.maximum(y1[i], y1[rest])
        inter = np.maximum(wide, 0) * np.maximum(high, 0)
        left[rest] &= ~(inter > iou_threshold * (area[i] + area[rest] - inter))
    return creation.from_numpy(order[left].astype(np.int64))


def batched_nms(boxes: Any, scores: Any, idxs: Any, iou_threshold: float) -> Any:
    """`nms` among the boxes of each class for itself; `idxs` (N) are the classes."""
    if boxes.numel() == 0:
        return creation.empty((0,), dtype=dtypes.int64)
    return nms(boxes + (idxs.to(boxes.dtype) * (boxes.max() + 1))[:, None], scores, iou_threshold)


def masks_to_boxes(masks: Any) -> Any:
    """The least boxes around masks (N, rows, columns): (N, 4), float32."""
    found = [np.nonzero(m) for m in masks.detach().numpy()]
    rows = [[x.min(), y.min(), x.max(), y.max()] for y, x in found]
    return creation.tensor(np.asarray(rows, np.float32).reshape(-1, 4))
