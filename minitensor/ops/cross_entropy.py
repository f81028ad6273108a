r"""Losses of classes: the cross-entropy of logits, the negative log-likelihood of log-probabilities.

Kernels: csrc/kernels/loss.cpp for cross_entropy; nll_loss in NumPy.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, IndexRangeError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply, apply_flat, attempt
from ..op import SHAPE, Op, Result, Sample
from .arithmetic import add, div, mul, neg
from .common import (
    Array,
    array_of,
    folded,
    need_float,
    raw,
    shape_of,
    to_dtype,
    widens,
    with_batch,
)
from .comparison import ne
from .loss import reduced, reduction_of
from .reduce import sum
from .shape import reshape
from .softmax import LOG_SOFTMAX, SOFTMAX, SOFTMAX_VJP

# --- what a target of classes must be ---------------------------------------------------------------------------------


def _check_weight(name: str, input: Any, weight: Any) -> None:
    """Raises unless the weight is one number for each class, in the input's dtype."""
    shape = shape_of(input)
    classes = shape[_class_axis(raw(input))]
    if weight is not None and shape_of(weight) != (classes,):
        raise ShapeError(f"{name}: weight {shape_of(weight)} is not one number for each of {classes} classes")
    if weight is not None and array_of(weight).dtype != array_of(input).dtype:
        raise DtypeError(f"{name}: weight is {array_of(weight).dtype}, the input {array_of(input).dtype}")


def _check_classes_given(name: str, input: Any, target: Any, weight: Any) -> None:
    """Raises unless the target is class indices for the input (C,), (N, C) or (N, C, d1, ...)."""
    need_float(name, input)
    x, t = array_of(input), array_of(target)
    c = _class_axis(x)
    if x.ndim == 0 or x.shape[c] == 0:
        raise ShapeError(f"{name}: input {x.shape} has no classes; expected (C,), (N, C) or (N, C, d1, ...)")
    rows = x.shape[:c] + x.shape[c + 1 :]
    if t.shape != rows:
        raise ShapeError(
            f"{name}: input {x.shape} needs class indices of shape {rows}, got a target of shape {t.shape}"
        )
    if t.dtype.kind not in "iu":
        raise DtypeError(f"{name}: class indices are integers, not {t.dtype}")
    if weight is not None:
        _check_weight(name, input, weight)


# --- cross-entropy with class indices ---------------------------------------------------------------------------------


def _class_axis(x: Array) -> int:
    return 0 if x.ndim == 1 else 1


def _check_classes(name: str, target: Array, classes: int, ignore_index: int) -> None:
    wrong = target[((target < 0) | (target >= classes)) & (target != ignore_index)]
    if wrong.size:
        raise IndexRangeError(f"{name}: class index {wrong[0]} is out of range for {classes} classes")


def _targets(
    x: Array, target: Array, weight: Array | None, ignore_index: int, label_smoothing: float
) -> tuple[Array, Array, int]:
    """q, of the shape of x, with loss = -sum_j q_j log p_j; the weight of each target; the axis of the classes."""
    c = _class_axis(x)
    n = x.shape[c]
    _check_classes("cross_entropy", target, n, ignore_index)
    w = np.ones(n, x.dtype) if weight is None else weight
    counts = target != ignore_index
    weights = np.where(counts, w[np.where(counts, target, 0)], 0).astype(x.dtype)
    w, classes = [a.reshape(-1, *(1,) * (x.ndim - c - 1)) for a in (w, np.arange(n))]
    q = np.where(np.expand_dims(target, c) == classes, (1 - label_smoothing) * w, 0)
    if label_smoothing:
        q = q + label_smoothing / n * w
    return np.where(np.expand_dims(counts, c), q, 0).astype(x.dtype), weights, c


def _cross_entropy_reference(
    x: Array,
    target: Array,
    weight: Array | None,
    *,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
) -> Result:
    with np.errstate(all="ignore"):
        q, weights, c = _targets(x, target, weight, ignore_index, label_smoothing)
        m = x.max(c, keepdims=True)
        log_sum = m + np.log(np.exp(x - m).sum(c, keepdims=True))
        loss = np.where(q == 0, 0, q * (log_sum - x)).sum(c)
        total = weights.sum()
        if reduction != "none":
            loss = loss.sum() / (total if reduction == "mean" else 1)
    saved = (x, target, weight, log_sum.squeeze(c), np.asarray(total, x.dtype))
    return np.asarray(loss, x.dtype), saved


def _cross_entropy_dx(g: Any, x: Any, target: Any, weight: Any, lse: Any, total: Any, **how: Any) -> Any:
    return apply(CROSS_ENTROPY_VJP, g, x, target, weight, lse, total, **how)


def _cross_entropy_jvp(tangents: Any, x: Any, target: Any, weight: Any, lse: Any, total: Any, **how: Any) -> Any:
    return _along(tangents[0], x, target, weight, lse, total, **how)


def _along(u: Any, x: Any, target: Any, weight: Any, lse: Any, total: Any, **how: Any) -> Any:
    """The derivative of the loss along u: <u, the gradient for g = 1>, row by row or over all."""
    rows = array_of(lse).shape if how["reduction"] == "none" else ()
    one = np.ones(rows, array_of(x).dtype)
    each = mul(u, apply(CROSS_ENTROPY_VJP, one, x, target, weight, lse, total, **how))
    return sum(each, _class_axis(raw(x))) if how["reduction"] == "none" else sum(each)


def _cross_entropy_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, weighted, reduction, smoothing in (
        ((4, 5), False, "mean", 0.0),
        ((3, 17), True, "mean", 0.0),
        ((2, 67), False, "sum", 0.1),
        ((3, 4, 5), True, "mean", 0.1),
        ((2, 3, 2, 17), True, "none", 0.1),
        ((40, 3), True, "mean", 0.1),
        ((2, 8, 1024), True, "sum", 0.1),
        ((5,), False, "mean", 0.0),
        ((5,), True, "none", 0.2),
        ((3, 1), False, "none", 0.0),
        ((0, 3), False, "sum", 0.0),
    ):
        n = shape[0] if len(shape) == 1 else shape[1]
        rows = () if len(shape) == 1 else (shape[0], *shape[2:])
        target = np.asarray(rng.integers(0, n, rows))
        if target.size > 1:
            target.flat[1] = -100
        weight = rng.uniform(0.5, 2, n) if weighted else None
        yield Sample(
            (rng.standard_normal(shape), target, weight),
            {"reduction": reduction, "ignore_index": -100, "label_smoothing": smoothing},
        )


def _elements(x: Array, *_: Any, **__: Any) -> int:
    return x.size


def each_reduced(name: str, args: Any, flags: Any, *, reduction: str, ignore_index: int, **params: Any) -> Any:
    """A loss in a batch: that of all examples, reduced for each element of it."""
    x, target, weight = args
    if flags[2] or (weight is not None and reduction == "mean"):
        return NotImplemented
    x, target = with_batch((x, target), flags[:2])
    bare = len(shape_of(x)) == 2  # one example an element
    if bare:
        x, target = [reshape(a, (shape_of(a)[0], 1, *shape_of(a)[1:])) for a in (x, target)]
    params |= {"reduction": "none", "ignore_index": ignore_index}
    losses = folded(name, 2)((x, target, weight), (True, True, False), **params)
    if reduction == "none":
        return reshape(losses, shape_of(losses)[:1]) if bare else losses
    over = tuple(range(1, len(shape_of(losses))))
    total = sum(losses, over) if over else losses
    if reduction == "sum":
        return total
    if array_of(target).dtype.kind == "f":
        return div(total, float(shape_of(x)[1]))
    counted = to_dtype(ne(target, ignore_index), dtypes.of(array_of(total).dtype))
    return div(total, sum(counted, over) if over else counted)


def _cross_entropy_batch(args: Any, flags: Any, **params: Any) -> Any:
    return each_reduced("cross_entropy", args, flags, **params)


CROSS_ENTROPY = Op(
    "cross_entropy",
    _cross_entropy_reference,
    None,
    (_cross_entropy_dx, None, None),
    _cross_entropy_jvp,
    _cross_entropy_samples,
    length=_elements,
    batch=_cross_entropy_batch,
    kernel=_core.cross_entropy,
    keeps=True,
    saves=(0, 1, 2, -2, -3),
    names=("reduction", "ignore_index", "label_smoothing"),
)


# The gradient as an operator of g and x. lse and total come along to save work; lse, which is a function of x, is
# counted as such in the derivative by x.


def _cross_entropy_vjp_reference(
    g: Array,
    x: Array,
    target: Array,
    weight: Array | None,
    lse: Array,
    total: Array,
    *,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
) -> Result:
    with np.errstate(all="ignore"):
        q, _, c = _targets(x, target, weight, ignore_index, label_smoothing)
        p = np.exp(x - np.expand_dims(lse, c))
        scale = np.expand_dims(g, c) if reduction == "none" else g
        if reduction == "mean":
            scale = scale / total
        dx = scale * (q.sum(c, keepdims=True) * p - q)
        dx = np.where(np.expand_dims(target, c) == ignore_index, 0, dx)
    return dx.astype(x.dtype), (g, x, target, weight, lse, total)


def _cross_entropy_vjp_dg(u: Any, _g: Any, x: Any, target: Any, weight: Any, lse: Any, total: Any, **how: Any) -> Any:
    return _along(u, x, target, weight, lse, total, **how)


def _cross_entropy_vjp_dx(u: Any, g: Any, x: Any, target: Any, weight: Any, _lse: Any, total: Any, **how: Any) -> Any:
    # <u, g (q_sum p - q)> by x, p = softmax(x):  g q_sum * (p * (u - <u, p>))
    q, _, c = _targets(raw(x), raw(target), raw(weight), how["ignore_index"], how["label_smoothing"])
    scale = q.sum(c, keepdims=True)
    if how["reduction"] == "mean":
        scale = scale / raw(total)
    elif how["reduction"] == "none":
        g = reshape(g, scale.shape)
    return mul(mul(g, scale), apply(SOFTMAX_VJP, u, apply(SOFTMAX, x, dim=c), dim=c))


def _cross_entropy_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _cross_entropy_samples(rng):
        loss, (x, target, weight, lse, total) = _cross_entropy_reference(*sample.args, **sample.params)
        g = np.asarray(rng.standard_normal(loss.shape))

        def derive(g: Array, x: Array, *_: Any, sample: Sample = sample) -> tuple[Any, ...]:
            return g, *_cross_entropy_reference(x, *sample.args[1:], **sample.params)[1]

        yield Sample((g, x, target, weight, lse, total), sample.params, derive)


CROSS_ENTROPY_VJP = Op(
    "cross_entropy_vjp",
    _cross_entropy_vjp_reference,
    None,
    (_cross_entropy_vjp_dg, _cross_entropy_vjp_dx, None, None, None, None),
    None,
    _cross_entropy_vjp_samples,
    length=lambda g, x, *_, **__: x.size,
    kernel=_core.cross_entropy_vjp,
    saves=(0, 1, 2, 3, 4, 5),
    names=("reduction", "ignore_index", "label_smoothing"),
)


@widens
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Any:
    r"""The negative logarithm of the probability that softmax(input) gives to the target.

        forward    loss = -sum_j q_j log p_j = (sum_j q_j) lse - sum_j q_j x_j,   lse = log(sum_j exp(x_j))
                   q_j = (1 - s) w_t [j = t] + s w_j / C for the class t, label_smoothing s and weights w
        backward   dx_j = g ((sum_j q_j) p_j - q_j),   p_j = exp(x_j - lse); lse is saved
        kernel     csrc/kernels/loss.cpp: logits to loss in two passes, the probabilities are never stored

    Shapes: input of logits (C,), (N, C) or (N, C, d1, ...); target of class indices the same without C, or of
    probabilities (or any weights) the same with C; weight (C,). The loss has the target's shape without C for
    reduction="none"; "mean" divides the sum by the weights of the targets that count, for probabilities by their rows.
    Rows whose target is `ignore_index` count for nothing; if all are, the mean is NaN.
    Raises IndexRangeError for a class outside 0..C-1, ShapeError for other shapes, before anything is computed.
    Source: Szegedy et al., "Rethinking the Inception Architecture", 2016, for the smoothing.

    >>> mt.nn.functional.cross_entropy(mt.tensor([[0.0, 0.0], [0.0, 0.0]]), mt.tensor([0, 1]))
    tensor(0.6931)
    """
    name = "cross_entropy"
    reduction = reduction_of(name, size_average, reduce, reduction)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ShapeError(f"{name}: label_smoothing must lie in [0, 1], not {label_smoothing}")
    how = reduction, int(ignore_index), float(label_smoothing)
    loss = attempt(CROSS_ENTROPY, input, target, weight, *how)
    shape = shape_of(input)
    if loss is not None:
        return called(loss, "NllLoss2DBackward0") if len(shape) > 2 else loss
    need_float(name, input)
    if array_of(target).dtype.kind == "f" and shape_of(target) == shape and shape:
        if ignore_index >= 0:
            raise ShapeError(f"{name}: ignore_index {ignore_index} means nothing where the target is probabilities")
        _check_weight(name, input, weight)
        return _soft_cross_entropy(input, target, weight, reduction, label_smoothing)
    _check_classes_given(name, input, target, weight)
    loss = apply_flat(CROSS_ENTROPY, input, to_dtype(target, dtypes.int64), weight, *how)
    return called(loss, "NllLoss2DBackward0") if len(shape) > 2 else loss


def _soft_cross_entropy(input: Any, target: Any, weight: Any, reduction: str, smoothing: float) -> Any:
    """-sum_j w_j q_j log p_j for given q; the mean is over the rows."""
    shape = shape_of(input)
    c = _class_axis(raw(input))
    q = to_dtype(target, dtypes.of(array_of(input).dtype))
    if smoothing:
        q = add(mul(q, 1 - smoothing), smoothing / max(shape[c], 1))
    if weight is not None:
        q = mul(q, reshape(weight, (-1, *(1,) * (len(shape) - c - 1))))
    loss = neg(sum(mul(apply(LOG_SOFTMAX, input, dim=c), q), c))
    if reduction == "mean":
        return called(reduced(loss, reduction), "DivBackward1")
    return reduced(loss, reduction)


# --- negative log-likelihood ------------------------------------------------------------------------------------------
# Linear in its input: it and its transpose are each other's vjp.


def _picked(
    x_shape: tuple[int, ...],
    dtype: Any,
    target: Array,
    weight: Array | None,
    reduction: str,
    ignore_index: int,
) -> tuple[Array, Array, int]:
    """The classes with 0 for the ignored rows; what each row counts, over the total for a mean; the axis."""
    c = 0 if len(x_shape) == 1 else 1
    _check_classes("nll_loss", target, x_shape[c], ignore_index)
    counts = target != ignore_index
    classes = np.where(counts, target, 0)
    share = counts.astype(dtype) if weight is None else np.where(counts, weight[classes], 0)
    if reduction == "mean":
        with np.errstate(invalid="ignore"):
            share = share / share.sum()
    return np.expand_dims(classes, c), share.astype(dtype), c


def _nll_loss_reference(x: Array, target: Array, weight: Array | None, *, reduction: str, ignore_index: int) -> Result:
    classes, share, c = _picked(x.shape, x.dtype, target, weight, reduction, ignore_index)
    loss = np.where(share == 0, 0, -share * np.take_along_axis(x, classes, c).squeeze(c))
    loss = np.where(np.isnan(share), share, loss)
    loss = loss if reduction == "none" else loss.sum()
    return np.asarray(loss, x.dtype), (target, weight, x.shape)


def _nll_loss_dx(g: Any, target: Any, weight: Any, shape: tuple[int, ...], **how: Any) -> Any:
    return apply(NLL_LOSS_VJP, g, target, weight, shape=shape, **how)


def _nll_loss_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _cross_entropy_samples(rng):
        params = {k: v for k, v in sample.params.items() if k != "label_smoothing"}
        yield Sample(sample.args, params)


def _nll_loss_batch(args: Any, flags: Any, **params: Any) -> Any:
    return each_reduced("nll_loss", args, flags, **params)


NLL_LOSS = Op(
    "nll_loss",
    _nll_loss_reference,
    None,
    (_nll_loss_dx, None, None),
    "linear",
    _nll_loss_samples,
    batch=_nll_loss_batch,
    flat=True,
    kernel=_core.nll,
    saves=(1, 2, SHAPE),
    names=("reduction", "ignore_index"),
)


def _nll_loss_vjp_reference(
    g: Array,
    target: Array,
    weight: Array | None,
    *,
    shape: tuple[int, ...],
    reduction: str,
    ignore_index: int,
) -> Result:
    classes, share, c = _picked(shape, g.dtype, target, weight, reduction, ignore_index)
    dx = np.zeros(shape, g.dtype)
    np.put_along_axis(dx, classes, np.expand_dims(np.where(target == ignore_index, 0, -g * share), c), c)
    return dx, (target, weight)


def _nll_loss_vjp_forward(
    g: Array, target: Array, weight: Array | None, *, shape: tuple[int, ...], reduction: str, ignore_index: int
) -> Result:
    return _core.nll_vjp(g, target, weight, shape, reduction, ignore_index), (target, weight)


def _nll_loss_vjp_dg(u: Any, target: Any, weight: Any, *, shape: Any, **how: Any) -> Any:
    return apply(NLL_LOSS, u, target, weight, **how)


def _nll_loss_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _nll_loss_samples(rng):
        loss, (target, weight, shape) = _nll_loss_reference(*sample.args, **sample.params)
        g = np.asarray(rng.standard_normal(loss.shape))
        yield Sample((g, target, weight), {"shape": shape, **sample.params})


NLL_LOSS_VJP = Op(
    "nll_loss_vjp",
    _nll_loss_vjp_reference,
    _nll_loss_vjp_forward,
    (_nll_loss_vjp_dg, None, None),
    "linear",
    _nll_loss_vjp_samples,
)


@widens
def nll_loss(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    ignore_index: int = -100,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""The negative log-likelihood of classes under log-probabilities: the second half of cross_entropy.

        forward    loss = -w_t x_t for the class t
        backward   dx_t = -g w_t, else 0
        kernel     csrc/kernels/loss.cpp

    Shapes, reductions and errors as `cross_entropy` with class indices.

    >>> mt.nn.functional.nll_loss(mt.tensor([[-0.5, -1.5]]), mt.tensor([1]))
    tensor(1.5000)
    """
    name = "nll_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    loss = attempt(NLL_LOSS, input, target, weight, reduction, int(ignore_index))
    if loss is None:
        _check_classes_given(name, input, target, weight)
        loss = apply_flat(NLL_LOSS, input, to_dtype(target, dtypes.int64), weight, reduction, int(ignore_index))
    return called(loss, "NllLoss2DBackward0") if len(shape_of(input)) > 2 else loss
