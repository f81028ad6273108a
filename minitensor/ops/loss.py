r"""Losses of numbers and probabilities: how far an output is from a target, as one number, or one for each element.

Here stands what all losses share; losses of classes are in cross_entropy.py, of margins in margin.py, of sequences in
ctc.py. All are made of operators.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import ShapeError
from ..graph.record import apply, apply_flat
from ..graph.tensors import Tensor
from ..op import Op, Result, Sample
from .activation import SOFTPLUS_VJP
from .arithmetic import add, div, mul, neg, square, sub
from .common import (
    ONE,
    TWO,
    Array,
    Samples,
    array_of,
    draws,
    elements,
    elementwise,
    named,
    need_float,
    promote,
    raw,
    shape_of,
    to_dtype,
    together,
    widens,
    with_batch,
)
from .comparison import clamp, gt, lt, where
from .functions import abs, exp, log, log1p, sigmoid
from .reduce import mean, sum
from .reduce import mean as average
from .shape import unsqueeze

# --- what all losses share --------------------------------------------------------------------------------------------


def reduction_of(name: str, size_average: Any, reduce: Any, reduction: str) -> str:
    """The reduction, checked; PyTorch's older pair of switches, where given, decides in its place, with a warning."""
    if size_average is not None or reduce is not None:
        averaged = "mean" if size_average is None or size_average else "sum"
        reduction = averaged if reduce is None or reduce else "none"
        warnings.warn(f"{name}: instead of size_average and reduce, say reduction={reduction!r}", stacklevel=3)
    if reduction not in ("none", "mean", "sum"):
        raise ShapeError(f"{name}: reduction {reduction!r} is none of 'none', 'mean' and 'sum'")
    return reduction


def reduced(loss: Any, reduction: str) -> Any:
    """The losses of all elements as the reduction wants them."""
    if reduction == "none":
        return loss
    return mean(loss) if reduction == "mean" else sum(loss)


def need_same_shape(name: str, input: Any, target: Any) -> None:
    """Raises unless input and target have one shape."""
    if shape_of(input) != shape_of(target):
        raise ShapeError(f"{name}: input {shape_of(input)} and target {shape_of(target)} must have the same shape")


def floating(name: str, *values: Any) -> list[Any]:
    """The values in their common dtype, which must be floating."""
    out = promote(name, *values)
    need_float(name, out[0])
    return out


def _pair(name: str, input: Any, target: Any) -> list[Any]:
    """Input and target in their common floating dtype, with a warning where they have to be broadcast."""
    a, b = shape_of(input), shape_of(target)
    if a != b:
        warnings.warn(
            f"{name}: Using a target size {b} that is different to the input size {a}: the two are broadcast, and "
            "elements are compared with others that are not their own. Give both the same shape.",
            UserWarning,
            stacklevel=3,
        )
    return floating(name, input, target)


# --- regression -------------------------------------------------------------------------------------------------------


def _error(x: Array, y: Array, *, kind: str, delta: float) -> Array:
    """How much the difference d of x and y counts: d^2, |d|, or Huber's d^2 / 2 up to delta and a line from there."""
    d = x - y
    a = np.abs(d)
    if kind == "huber":
        with np.errstate(invalid="ignore"):  # of what is not chosen
            return np.asarray(np.where(a < delta, 0.5 * d * d, delta * (a - 0.5 * delta)), d.dtype)
    return np.asarray(np.square(d) if kind == "squared" else a)


def _slope(g: Array, x: Array, y: Array, *, kind: str, delta: float) -> Array:
    d = x - y
    sign = np.subtract(d > 0, d < 0, dtype=d.dtype)
    slope = 2 * d if kind == "squared" else sign if kind == "absolute" else np.clip(d, -delta, delta)
    return np.asarray(g * slope).astype(d.dtype)


def _error_dx(g: Any, x: Any, y: Any, *, kind: str, delta: float) -> Any:
    return apply_flat(ERROR_VJP, g, x, y, kind, delta)


def _error_dy(g: Any, x: Any, y: Any, *, kind: str, delta: float) -> Any:
    return apply_flat(ERROR_VJP, g, y, x, kind, delta)


def _slope_dx(h: Any, g: Any, x: Any, y: Any, *, kind: str, delta: float) -> Any:
    if kind == "squared":
        return mul(mul(h, g), 2)
    return mul(mul(h, g), lt(abs(sub(x, y)), delta) if kind == "huber" else 0)


def _slope_dy(h: Any, g: Any, x: Any, y: Any, *, kind: str, delta: float) -> Any:
    return neg(_slope_dx(h, g, x, y, kind=kind, delta=delta))


def _kinds(*shapes: tuple[Sequence[int], ...]) -> Samples:
    """Arguments for each kind of error, of which the last two are not as far apart as a kink of it."""

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for call in shapes:
            for kind in ("squared", "absolute", "huber"):
                args = [np.asarray(rng.uniform(-1, 1, shape)) for shape in call]
                args[-1] = args[-1] + 4 * rng.choice((-1, 1), args[-1].shape)
                if kind == "huber" and call[-1] == call[-2]:  # some within delta
                    near = rng.choice((False, True), call[-1])
                    args[-1] = np.where(near, args[-2] + rng.uniform(-0.5, 0.5, call[-1]), args[-1])
                yield Sample(tuple(args), {"kind": kind, "delta": 1.3 if kind == "huber" else 0.0})

    return samples


ERROR_VJP: Op = elementwise(
    "error_vjp",
    reference=_slope,
    kernel=_core.error_vjp,
    names=("kind", "delta"),
    rules=(
        lambda h, g, x, y, *, kind, delta: apply_flat(ERROR_VJP, h, x, y, kind, delta),
        _slope_dx,
        _slope_dy,
    ),
    saves="x y z",
    samples=_kinds(((2, 3), (2, 3), (2, 3)), ((), (67,), (67,)), ((2, 1), (1,), (2, 3)), ((33,), (33,), (33,))),
)

ERROR = elementwise(
    "error",
    reference=_error,
    kernel=_core.error,
    names=("kind", "delta"),
    rules=(_error_dx, _error_dy),
    saves="x y",
    samples=_kinds(*TWO, ((5000,), (5000,))),
)


def _total_error_reference(x: Array, y: Array, *, kind: str, delta: float, mean: bool) -> Result:
    total = _error(x, y, kind=kind, delta=delta).sum(dtype=x.dtype)
    return np.asarray(total / x.size if mean else total, x.dtype), (x, y)


def _total_error_forward(x: Array, y: Array, *, kind: str, delta: float, mean: bool) -> Result:
    total: Any = _core.total_error(x, y, kind, delta, mean)
    if total is None:
        return _total_error_reference(x, y, kind=kind, delta=delta, mean=mean)
    return total, (x, y)


def _total_error_dx(g: Any, x: Any, y: Any, *, kind: str, delta: float, mean: bool) -> Any:
    return _error_dx(div(g, raw(x).size) if mean else g, x, y, kind=kind, delta=delta)


def _total_error_dy(g: Any, x: Any, y: Any, *, kind: str, delta: float, mean: bool) -> Any:
    return _total_error_dx(g, y, x, kind=kind, delta=delta, mean=mean)


def _total_error_joint(g: Array, x: Array, y: Array, **params: Any) -> tuple[Any, Any]:
    dx = _total_error_dx(g, x, y, **params)
    return dx, neg(dx)


def _total_error_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _kinds(*[(shape, shape) for shape in ((2, 3), (), (1,), (33,), (67,))])(rng):
        yield Sample(sample.args, {**sample.params, "mean": sample.args[0].shape != (2, 3)})
    for sample in _kinds(((300, 700), (300, 700)))(rng):
        yield Sample(sample.args, {**sample.params, "mean": True}, large=True)


def _total_error_batch(args: Any, flags: Any, *, kind: str, delta: float, mean: bool) -> Any:
    each = apply(ERROR, *with_batch(args, flags), kind=kind, delta=delta)
    over = tuple(range(1, len(shape_of(each))))
    if not over:
        return each
    return average(each, over) if mean else sum(each, over)


TOTAL_ERROR = Op(
    "total_error",
    _total_error_reference,
    _total_error_forward,
    (_total_error_dx, _total_error_dy),
    None,
    _total_error_samples,
    length=lambda x, y, **_: x.size,
    batch=_total_error_batch,
    joint=together(_total_error_joint, (_total_error_dx, _total_error_dy)),
)


def _errors(x: Any, y: Any, reduction: str, kind: str, delta: float = 0.0) -> Any:
    """The errors of all elements, reduced."""
    if reduction != "none" and shape_of(x) == shape_of(y) and raw(x).size:
        return apply(TOTAL_ERROR, x, y, kind=kind, delta=delta, mean=reduction == "mean")
    return reduced(apply_flat(ERROR, x, y, kind, delta), reduction)


@widens
def mse_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    r"""The squared error.

        forward    loss = (x - y)^2
        backward   dx = 2 g (x - y),  dy = -dx

    Shapes: equal; others are broadcast, with a warning. `weight`, of the input's shape, multiplies every
    element's loss; the mean then divides by the sum of the weights.

    >>> mt.nn.functional.mse_loss(mt.tensor([1.0, 2.0]), mt.tensor([1.0, 4.0]))
    tensor(2.)
    """
    name = "mse_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    x, y = _pair(name, input, target)
    if weight is None:
        return _errors(x, y, reduction, "squared")
    return _averaged(name, _errors(x, y, "none", "squared"), weight, reduction)


@widens
def l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    weight: Any = None,
) -> Any:
    r"""The absolute error.

        forward    loss = |x - y|
        backward   dx = g sign(x - y),  dy = -dx;  0 where x = y

    Shapes and `weight` as `mse_loss`.

    >>> mt.nn.functional.l1_loss(mt.tensor([1.0, 2.0]), mt.tensor([1.0, 4.0]))
    tensor(1.)
    """
    name = "l1_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    x, y = _pair(name, input, target)
    if weight is None:
        return _errors(x, y, reduction, "absolute")
    return _averaged(name, _errors(x, y, "none", "absolute"), weight, reduction)


def _weighted(name: str, loss: Any, weight: Any) -> Any:
    """The losses times a weight of their shape, if there is one."""
    if weight is None:
        return loss
    if shape_of(weight) != shape_of(loss):
        raise ShapeError(f"{name}: weight {shape_of(weight)} must have the input's shape {shape_of(loss)}")
    return mul(loss, weight)


def _averaged(name: str, loss: Any, weight: Any, reduction: str) -> Any:
    """The reduction of weighted losses; the mean is that of the weights."""
    loss = _weighted(name, loss, weight)
    if reduction == "mean" and weight is not None:
        return div(sum(loss), sum(to_dtype(weight, dtypes.of(array_of(loss).dtype))))
    return reduced(loss, reduction)


@widens
@named("HuberLossBackward0")
def huber_loss(
    input: Any,
    target: Any,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Any = None,
) -> Any:
    r"""The squared error near 0, the absolute error further out.

        forward    loss = d^2 / 2 if |d| < delta else delta (|d| - delta / 2),   d = x - y
        backward   dx = g max(-delta, min(d, delta)),  dy = -dx

    Shapes as `mse_loss`. `weight`, of the input's shape, multiplies every element's loss; the mean still divides by the
    number of elements. Source: Huber, "Robust estimation of a location parameter", 1964.

    >>> mt.nn.functional.huber_loss(mt.tensor([0.0, 3.0]), mt.tensor([1.0, 0.0]), reduction="none")
    tensor([0.5000, 2.5000])
    """
    name = "huber_loss"
    reduction = reduction_of(name, None, None, reduction)
    if not delta > 0:
        raise ShapeError(f"{name}: delta must be above 0, not {delta}")
    x, y = _pair(name, input, target)
    if weight is None:
        return _errors(x, y, reduction, "huber", float(delta))
    return reduced(_weighted(name, _errors(x, y, "none", "huber", float(delta)), weight), reduction)


@widens
@named("SmoothL1LossBackward0")
def smooth_l1_loss(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Any:
    r"""The Huber loss divided by its delta, here `beta`; the absolute error for beta = 0.

        forward    loss = d^2 / (2 beta) if |d| < beta else |d| - beta / 2,   d = x - y
        backward   dx = g max(-1, min(d / beta, 1)),  dy = -dx

    Shapes as `mse_loss`. Source: Girshick, "Fast R-CNN", 2015.

    >>> mt.nn.functional.smooth_l1_loss(mt.tensor([0.0, 3.0]), mt.tensor([1.0, 0.0]), reduction="none")
    tensor([0.5000, 2.5000])
    """
    name = "smooth_l1_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    if not beta >= 0:
        raise ShapeError(f"{name}: beta must not be negative, but it is {beta}")
    x, y = _pair(name, input, target)
    loss = _errors(x, y, reduction, "huber", float(beta)) if beta else _errors(x, y, reduction, "absolute")
    return loss if beta in (0, 1) else div(loss, beta)


# --- probabilities ----------------------------------------------------------------------------------------------------


def _bce(x: Array, y: Array) -> Array:
    yes, no = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
    return np.asarray((y - 1) * no - y * yes)


def _bce_dx(g: Any, x: Any, y: Any) -> Any:
    return mul(g, div(sub(x, y), clamp(mul(x, sub(1, x)), 1e-12)))


def _bce_dy(g: Any, x: Any, _y: Any) -> Any:
    return mul(g, sub(clamp(log1p(neg(x)), -100), clamp(log(x), -100)))


def _bce_kernel(x: Array, y: Array) -> Array:
    yes = _core.mul(y, _core.clamp(_core.log(x), -100.0, math.inf))
    no = _core.mul(_core.sub(1.0, y), _core.clamp(_core.log1p(_core.neg(x)), -100.0, math.inf))
    return _core.neg(_core.add(yes, no))


BINARY_CROSS_ENTROPY = elementwise(
    "binary_cross_entropy",
    reference=_bce,
    kernel=_bce_kernel,
    rules=(_bce_dx, _bce_dy),
    saves="x y",
    samples=draws(*TWO, low=0.05, high=0.95),
)


@widens
@named("BinaryCrossEntropyBackward0")
def binary_cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""The cross-entropy of probabilities of "yes"; `binary_cross_entropy_with_logits` is the accurate way to it.

        forward    loss = -y log x - (1 - y) log(1 - x),  each logarithm at least -100
        backward   dx = g (x - y) / max(x (1 - x), 1e-12),  dy = g (log(1 - x) - log x)

    Shapes: input and target equal; weight broadcasts to them. Raises ShapeError for other shapes and for an input
    outside [0, 1].

    >>> mt.nn.functional.binary_cross_entropy(mt.tensor([0.5, 0.5]), mt.tensor([0.0, 1.0]))
    tensor(0.6931)
    """
    name = "binary_cross_entropy"
    reduction = reduction_of(name, size_average, reduce, reduction)
    need_same_shape(name, input, target)
    x, y = floating(name, input, target)
    a = elements(x)
    if not ((a >= 0) & (a <= 1)).all():
        raise ShapeError(f"{name}: the input must lie in [0, 1]; give logits to {name}_with_logits")
    loss = apply(BINARY_CROSS_ENTROPY, x, y)
    return reduced(loss if weight is None else mul(loss, weight), reduction)


def _log_sigmoid(x: Array) -> Array:
    return np.asarray(np.minimum(x, 0) - np.log1p(np.exp(-np.abs(x))))


LOG_SIGMOID = elementwise(
    "log_sigmoid",
    reference=_log_sigmoid,
    kernel=_core.log_sigmoid,
    rules=(lambda g, x: apply(SOFTPLUS_VJP, g, x, beta=-1.0, threshold=math.inf),),
    saves="x",
    samples=draws(*ONE),
)


def logsigmoid(input: Any) -> Any:
    r"""The logarithm of the sigmoid, without underflow.

        forward    out = min(x, 0) - log(1 + exp(-|x|))
        backward   dx = g sigmoid(-x)

    >>> mt.nn.functional.logsigmoid(mt.tensor([-1000.0]))
    tensor([-1000.])
    """
    need_float("logsigmoid", input)
    return apply(LOG_SIGMOID, input)


BINARY_CROSS_ENTROPY_WITH_LOGITS = elementwise(
    "binary_cross_entropy_with_logits",
    reference=lambda x, y: (1 - y) * x - _log_sigmoid(x),
    kernel=lambda x, y: _core.sub(_core.mul(_core.sub(1.0, y), x), _core.log_sigmoid(x)),
    rules=(lambda g, x, y: mul(g, sub(sigmoid(x), y)), lambda g, x, y: neg(mul(g, x))),
    saves="x y",
    samples=draws(*TWO),
)


@widens
@named("BinaryCrossEntropyWithLogitsBackward0")
def binary_cross_entropy_with_logits(
    input: Any,
    target: Any,
    weight: Any = None,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    pos_weight: Any = None,
) -> Any:
    r"""The cross-entropy of sigmoid(input), computed so that neither large nor small logits lose it.

        forward    loss = (1 - y) x - (1 + (p - 1) y) log(sigmoid(x)),  p = pos_weight or 1
        backward   dx = g (1 - y - (1 + (p - 1) y) (1 - sigmoid(x)));  for p = 1: g (sigmoid(x) - y)

    Shapes: input and target equal; weight and pos_weight broadcast to them. Raises ShapeError for other shapes.

    >>> mt.nn.functional.binary_cross_entropy_with_logits(mt.tensor([0.0, 1000.0]), mt.tensor([0.0, 1.0]))
    tensor(0.3466)
    """
    name = "binary_cross_entropy_with_logits"
    reduction = reduction_of(name, size_average, reduce, reduction)
    need_same_shape(name, input, target)
    x, y = floating(name, input, target)
    if pos_weight is None:
        loss = apply(BINARY_CROSS_ENTROPY_WITH_LOGITS, x, y)
    else:
        loss = sub(mul(sub(1, y), x), mul(logsigmoid(x), add(mul(y, sub(pos_weight, 1)), 1)))
    return reduced(loss if weight is None else mul(loss, weight), reduction)


def _xlogx(x: Array) -> Array:
    return np.where(x == 0, 0, x * np.log(x)).astype(x.dtype)


XLOGX = elementwise(
    "xlogx",
    reference=_xlogx,
    kernel=lambda x: _core.where(0.0, _core.mul(x, _core.log(x)), _core.eq(x, 0.0)),
    rules=(lambda g, x: mul(g, add(log(x), 1)),),
    saves="x",
    samples=draws(*ONE, low=0.1),
)


@widens
def kl_div(
    input: Any,
    target: Any,
    size_average: Any = None,
    reduce: Any = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Any:
    r"""The Kullback-Leibler divergence of probabilities y from those whose logarithm is the input.

        forward    loss = y (log y - x), 0 for y = 0;  with log_target the target is log y
        backward   dx = -g y,  dy = g (log y + 1 - x)

    Shapes broadcast. The reduction "batchmean" divides the sum by the size of the first axis, which gives the
    divergence; "mean" divides by the number of elements.
    Source: Kullback and Leibler, "On information and sufficiency", 1951.

    >>> mt.nn.functional.kl_div(mt.tensor([[-0.6931, -0.6931]]), mt.tensor([[0.0, 1.0]]), reduction="batchmean")
    tensor(0.6931)
    """
    name = "kl_div"
    by_batch = reduction == "batchmean"
    reduction = reduction_of(name, size_average, reduce, "sum" if by_batch else reduction)
    x, y = floating(name, input, target)
    if log_target:
        loss = mul(exp(y), sub(y, x))
    else:
        loss = sub(apply(XLOGX, y), mul(y, x))
    if by_batch:
        shape = shape_of(loss)
        if not shape:
            raise ShapeError(f"{name}: there is no batch to divide by in a loss without axes")
        return div(sum(loss), shape[0])
    return reduced(loss, reduction)


@widens
def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    size_average: Any = None,
    eps: float = 1e-8,
    reduce: Any = None,
    reduction: str = "mean",
) -> Any:
    r"""The negative log-likelihood of counts y under a Poisson distribution whose rate r the input gives.

        forward    loss = r - y log r [+ y log y - y + log(2 pi y) / 2 where y > 1, if `full`: Stirling's log y!]
                   r = exp(x), or with log_input=False r = x, and log(x + eps) for its logarithm
        backward   dx = g (exp(x) - y), or g (1 - y / (x + eps))

    Shapes broadcast.

    >>> mt.nn.functional.poisson_nll_loss(mt.tensor([0.0, 0.0]), mt.tensor([3.0, 5.0]))
    tensor(1.)
    """
    name = "poisson_nll_loss"
    reduction = reduction_of(name, size_average, reduce, reduction)
    x, y = floating(name, input, target)
    loss = sub(exp(x), mul(y, x)) if log_input else sub(x, mul(y, log(add(x, eps))))
    if full:
        several = gt(y, 1)
        safe = where(several, y, 2.0)  # what is not counted is kept off the logarithm's pole, also in the derivative
        stirling = add(sub(mul(safe, log(safe)), safe), mul(log(mul(safe, 2 * math.pi)), 0.5))
        loss = add(loss, where(several, stirling, 0.0))
    return reduced(loss, reduction)


def gaussian_nll_loss(
    input: Any,
    target: Any,
    var: Any,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Any:
    r"""The negative log-likelihood of targets y under normal distributions of the given means x and variances.

        forward    loss = (log v + (x - y)^2 / v) / 2 [+ log(2 pi) / 2 if `full`],  v = max(var, eps)
        backward   dx = g (x - y) / v,  dy = -dx,  dvar = g (1/v - (x - y)^2 / v^2) / 2, also where eps was put for var

    Shapes: input and target broadcast; var a number, of the input's shape, or with one size 1 or the last axis missing.
    Raises ShapeError for other shapes and for a negative var.
    Source: Nix and Weigend, "Estimating the mean and variance of the target probability distribution", 1994.

    >>> mt.nn.functional.gaussian_nll_loss(mt.tensor([1.0]), mt.tensor([3.0]), mt.tensor([4.0]), reduction="sum")
    tensor(1.1931)
    """
    name = "gaussian_nll_loss"
    reduction = reduction_of(name, None, None, reduction)
    x, y, v = floating(name, input, target, var)
    shape, size = shape_of(x), shape_of(v)
    if size not in ((), shape):
        if shape[:-1] == size:
            v = unsqueeze(v, -1)
        elif len(size) != len(shape) or any(n not in (1, m) for n, m in zip(size, shape, strict=True)):
            raise ShapeError(f"{name}: a var of shape {size} does not fit an input of shape {shape}")
    if (elements(v) < 0).any():
        raise ShapeError(f"{name}: var must not be negative, but one is {elements(v).min()}")
    fixed = v.detach() if isinstance(v, Tensor) else v
    v = where(lt(v, eps), add(sub(v, fixed), eps), v)  # eps in value, var in the derivative
    loss = mul(add(log(v), div(square(sub(x, y)), v)), 0.5)
    return reduced(add(loss, 0.5 * math.log(2 * math.pi)) if full else loss, reduction)
