r"""Losses of margins: what is right must lead what is wrong by so much. All are made of operators.

At z = 0 a hinge max(0, z) passes the gradient on, as PyTorch's do, but for those of the losses of classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import DtypeError, IndexRangeError, ShapeError
from . import reduce as reductions
from .arithmetic import add, div, mul, neg, square, sub
from .common import array_of, elements, named, need_float, promote_float, shape_of, to_dtype, widens
from .comparison import clamp_min, eq, logical_and, logical_not, lt, minimum, ne, where
from .functions import relu, sqrt
from .loss import floating, logsigmoid, need_same_shape, reduced, reduction_of
from .moments import norm
from .reduce import mean, sum
from .scan import cumsum
from .scatter import gather
from .shape import reshape, unsqueeze

Shape = tuple[int, ...]

# --- targets of -1 and 1 ----------------------------------------------------------------------------------------------


@widens
def hinge_embedding_loss(
    input: Any,
    target: Any,
    margin: float = 1.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""The distance x of a pair that belongs together (target 1), what x lacks to the margin for another one (-1).

        forward    loss = x for y = 1,  max(0, margin - x) for y = -1
        backward   dx = g for y = 1,  -g for y = -1 where x <= margin, else 0

    Shapes broadcast.

    >>> mt.nn.functional.hinge_embedding_loss(mt.tensor([0.5, 0.25]), mt.tensor([1, -1]), reduction="none")
    tensor([0.5000, 0.7500])
    """
    name = "hinge_embedding_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    need_float(name, input)
    apart = where(ne(target, 1), clamp_min(sub(margin, input), 0), 0.0)
    return reduced(add(apart, where(ne(target, -1), input, 0.0)), reduction)


@widens
def margin_ranking_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""What the first input lacks to be larger than the second by the margin (target 1), or smaller (-1).

        forward    loss = max(0, margin - y (a - b))
        backward   da = -g y where the loss is not cut off,  db = -da

    Shapes of as many axes each, which broadcast. Raises ShapeError for others.

    >>> mt.nn.functional.margin_ranking_loss(mt.tensor([3.0, 1.0]), mt.tensor([2.0, 2.0]), mt.tensor([1, 1]))
    tensor(0.5000)
    """
    name = "margin_ranking_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    shapes = [shape_of(v) for v in (input1, input2, target)]
    if len({len(s) for s in shapes}) > 1:
        raise ShapeError(f"{name}: inputs {shapes[0]}, {shapes[1]} and target {shapes[2]} differ in their axes")
    a, b, y = promote_float(name, input1, input2, target)
    return reduced(clamp_min(sub(margin, mul(y, sub(a, b))), 0), reduction)


@widens
@named("SoftMarginLossBackward0")
def soft_margin_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""The logistic loss of targets -1 and 1.

        forward    loss = log(1 + exp(-y x))
        backward   dx = -g y sigmoid(-y x)

    Shapes: equal. Raises ShapeError for others.

    >>> mt.nn.functional.soft_margin_loss(mt.tensor([1000.0]), mt.tensor([-1.0]))
    tensor(1000.)
    """
    name = "soft_margin_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    need_same_shape(name, input, target)
    x, y = floating(name, input, target)
    return reduced(neg(logsigmoid(mul(x, y))), reduction)


@widens
def cosine_embedding_loss(
    input1: Any,
    input2: Any,
    target: Any,
    margin: float = 0.0,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""One minus the cosine of a pair that belongs together (target 1), what it exceeds the margin by otherwise (-1).

        forward    loss = 1 - c for y = 1,  max(0, c - margin) for y = -1
                   c = <a, b> / sqrt((<a, a> + 1e-12) (<b, b> + 1e-12))

    Shapes: inputs (N, D) and target (N), or (D) and (). Raises ShapeError for others.

    >>> a, b = mt.tensor([[1.0, 0.0], [1.0, 1.0]]), mt.tensor([[0.0, 1.0], [2.0, 2.0]])
    >>> mt.nn.functional.cosine_embedding_loss(a, b, mt.tensor([1, -1]), reduction="none")
    tensor([1., 1.])
    """
    name = "cosine_embedding_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    sizes, rows = (shape_of(input1), shape_of(input2)), shape_of(target)
    if len(rows) > 1 or any(len(s) != len(rows) + 1 for s in sizes):
        raise ShapeError(f"{name}: inputs (N, D) and a target (N), or (D) and (), not {sizes[0]}, {sizes[1]}, {rows}")
    a, b = floating(name, input1, input2)
    squares = mul(add(sum(square(a), -1), 1e-12), add(sum(square(b), -1), 1e-12))
    cosine = div(sum(mul(a, b), -1), sqrt(squares))
    together = where(eq(target, 1), sub(1, cosine), 0.0)
    apart = where(eq(target, -1), clamp_min(sub(cosine, margin), 0), 0.0)
    return reduced(add(together, apart), reduction)


# --- classes ----------------------------------------------------------------------------------------------------------


def _classes(name: str, input: Any, target: Any, axes: int, least: int) -> tuple[Any, Any]:
    """Input (N, C) and target with N rows, of `axes` axes more than one, from these or from (C) and no rows."""
    need_float(name, input)
    shape, t = shape_of(input) or (1,), array_of(target)
    if len(shape) > 2 or shape[-1] == 0:
        raise ShapeError(f"{name}: expected an input (C) or (N, C) with at least one class, got {shape}")
    if t.dtype.kind not in "iu":
        raise DtypeError(f"{name}: class indices are integers, not {t.dtype}")
    rows = shape[:-1] + shape[-1:] * axes
    if t.shape != rows and not (len(shape) == 1 and t.size == 1 and rows in ((), (1,))):
        raise ShapeError(f"{name}: input {shape} needs a target of shape {rows}, not {t.shape}")
    given = elements(target)
    wrong = given[(given < least) | (given >= shape[-1])]
    if wrong.size:
        raise IndexRangeError(f"{name}: class index {wrong[0]} is out of range for {shape[-1]} classes")
    n = 1 if len(shape) == 1 else shape[0]
    return reshape(input, (n, shape[-1])), to_dtype(reshape(target, (n, *shape[-1:] * axes)), dtypes.int64)


@widens
@named("MultiMarginLossBackward0")
def multi_margin_loss(
    input: Any,
    target: Any,
    p: int = 1,
    margin: float = 1.0,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""What the target's class lacks to lead all others by the margin.

        forward    loss = sum_{i != t} w_t max(0, margin - x_t + x_i)^p / C,  p = 1 or 2
        backward   dx_i = g w_t / C (p = 1) or 2 g w_t z_i / C where z_i = margin - x_t + x_i > 0;  dx_t = -sum of these

    Shapes: input (N, C) or (C), target of class indices (N) or (), weight (C).
    Raises IndexRangeError for a class outside 0..C-1, ShapeError for other shapes, a p but 1 and 2.

    >>> mt.nn.functional.multi_margin_loss(mt.tensor([[0.5, 1.0, 2.0]]), mt.tensor([2]))
    tensor(0.)
    """
    name = "multi_margin_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    x, t = _classes(name, input, target, 0, 0)
    classes = shape_of(x)[1]
    if p not in (1, 2):
        raise ShapeError(f"{name}: p must be 1 or 2, not {p}")
    if weight is not None and shape_of(weight) != (classes,):
        raise ShapeError(f"{name}: weight {shape_of(weight)} is not one number for each of {classes} classes")
    right = unsqueeze(t, 1)
    short = relu(add(sub(x, gather(x, 1, right)), margin))
    each = where(ne(right, np.arange(classes)), short if p == 1 else square(short), 0.0)
    loss = mean(each if weight is None else mul(each, unsqueeze(gather(weight, 0, t), 1)), 1)
    return reduced(reshape(loss, shape_of(input)[:-1]), reduction)


@widens
@named("MultilabelMarginLossBackward0")
def multilabel_margin_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""What each class of a set lacks to lead all outside of the set by 1.

        forward    loss = sum_{t in the set, i not} max(0, 1 - x_t + x_i) / C

    Shapes: input (N, C) or (C); target the same, each row the classes of the set, then -1, then anything.
    Raises IndexRangeError for a class outside 0..C-1, ShapeError for other shapes.

    >>> mt.nn.functional.multilabel_margin_loss(mt.tensor([0.1, 0.2, 0.4, 0.8]), mt.tensor([3, 0, -1, 1]))
    tensor(0.8500)
    """
    name = "multilabel_margin_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    x, t = _classes(name, input, target, 1, -1)
    classes = shape_of(x)[1]
    listed = eq(cumsum(lt(t, 0), 1), 0)  # before the first -1
    t = where(listed, t, 0)
    members = logical_and(unsqueeze(listed, 2), eq(unsqueeze(t, 2), np.arange(classes)))  # (N, of the set, C)
    short = relu(add(sub(unsqueeze(x, 1), unsqueeze(gather(x, 1, t), 2)), 1))
    outside = logical_not(reductions.any(members, 1, True))
    each = where(logical_and(unsqueeze(listed, 2), outside), short, 0.0)
    return reduced(reshape(div(sum(each, (1, 2)), classes), shape_of(input)[:-1]), reduction)


def multilabel_soft_margin_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""The mean over the classes of the binary cross-entropy of logits, one yes or no for each class.

        forward    loss = -sum_j w_j (y_j log sigmoid(x_j) + (1 - y_j) log sigmoid(-x_j)) / C

    Shapes: input and target (..., C), equal; weight broadcasts to them; the loss (...) for reduction="none".

    >>> mt.nn.functional.multilabel_soft_margin_loss(mt.tensor([[0.0, 0.0]]), mt.tensor([[0.0, 1.0]]))
    tensor(0.6931)
    """
    name = "multilabel_soft_margin_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    need_same_shape(name, input, target)
    if not shape_of(input):
        raise ShapeError(f"{name}: the input has no axis of classes")
    x, y = floating(name, input, target)
    loss = neg(add(mul(y, logsigmoid(x)), mul(sub(1, y), logsigmoid(neg(x)))))
    return reduced(mean(loss if weight is None else mul(loss, weight), -1), reduction)


# --- triplets ---------------------------------------------------------------------------------------------------------


def _distance(x: Any, y: Any, p: float, eps: float) -> Any:
    """||x - y + eps||_p over the last axis."""
    return norm(add(sub(x, y), eps), p, -1)


def _triplet(near: Any, far: Any, across: Any, margin: float, reduction: str) -> Any:
    """max(0, margin + near - far), with `across` in the place of far where it is less."""
    return reduced(clamp_min(add(sub(near, far if across is None else minimum(far, across)), margin), 0), reduction)


@widens
def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""What the anchor lacks to be closer to the positive than to the negative by the margin.

        forward    loss = max(0, margin + d(a, p) - d(a, n)),  d(x, y) = ||x - y + eps||_p
                   with `swap` min(d(a, n), d(p, n)) for d(a, n)

    Shapes: (N, D) or (D), of as many axes each; they broadcast. Raises ShapeError for others, and for a margin that
    is not above 0.
    Source: Balntas et al., "Learning local feature descriptors with triplets and shallow CNNs", 2016.

    >>> a, p, n = mt.tensor([0.0, 0.0]), mt.tensor([0.0, 3.0]), mt.tensor([0.0, 3.5])
    >>> mt.nn.functional.triplet_margin_loss(a, p, n)
    tensor(0.5000)
    """
    name = "triplet_margin_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    _need_triplet(name, anchor, positive, negative, margin)
    a, b, c = floating(name, anchor, positive, negative)
    across = _distance(b, c, p, eps) if swap else None
    return _triplet(_distance(a, b, p, eps), _distance(a, c, p, eps), across, margin, reduction)


def _need_triplet(name: str, a: Any, b: Any, c: Any, margin: float) -> None:
    shapes = [shape_of(v) for v in (a, b, c)]
    if len({len(s) for s in shapes}) > 1:
        raise ShapeError(f"{name}: anchor {shapes[0]}, positive {shapes[1]}, negative {shapes[2]} differ in their axes")
    if not margin > 0:
        raise ShapeError(f"{name}: margin must be above 0, but it is {margin}")


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Any, Any], Any] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Any:
    r"""`triplet_margin_loss` with any distance of two tensors, by default the Euclidean.

    Raises ShapeError for shapes with different numbers of axes and for a margin that is not above 0.

    >>> a, p, n = mt.tensor([0.0, 0.0]), mt.tensor([0.0, 3.0]), mt.tensor([0.0, 3.5])
    >>> city = lambda x, y: (x - y).abs().sum(-1)
    >>> mt.nn.functional.triplet_margin_with_distance_loss(a, p, n, distance_function=city)
    tensor(0.5000)
    """
    name = "triplet_margin_with_distance_loss"
    reduction = reduction_of(name, None, None, reduction)
    _need_triplet(name, anchor, positive, negative, margin)
    distance = distance_function or (lambda x, y: _distance(x, y, 2.0, 1e-6))
    across = distance(positive, negative) if swap else None
    return _triplet(distance(anchor, positive), distance(anchor, negative), across, margin, reduction)
