r"""Connectionist temporal classification: the likelihood of a sequence of labels whose places in time are not known.

A path gives one class to each time; it stands for the labels that remain when repetitions are joined and blanks taken
out. In the states e = (blank, l_1, blank, l_2, ..., l_S, blank) it stays, steps to the next, or skips a blank between
two labels that differ. With x_t(s) the logarithm of the probability of e_s at time t,

    alpha_t(s) = x_t(s) + log(exp alpha_{t-1}(s) + exp alpha_{t-1}(s-1) [+ exp alpha_{t-1}(s-2)])
    loss       = -log(exp alpha_T(2S) + exp alpha_T(2S-1))
    dx_t(c)    = -g sum_{s: e_s = c} gamma_t(s),   gamma_t(s) = exp(alpha_t(s) + beta_t(s) - x_t(s) + loss)

beta is alpha of the sequence read backwards; gamma_t(s) is the probability that a path of the labels is in state s at
time t. No kernel: NumPy, all sequences of a batch at once.
Source: Graves et al., "Connectionist temporal classification", 2006.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DtypeError, IndexRangeError, ShapeError
from ..graph.record import apply
from ..op import Op, Result, Sample
from .arithmetic import add, div, mul, neg, sub
from .common import (
    Array,
    array_of,
    need_float,
    raw,
    reads,
    shape_of,
    widens,
)
from .comparison import where
from .functions import exp
from .indexing import getitem
from .join import cat, stack
from .loss import reduced, reduction_of
from .matmul import matmul
from .moments import logsumexp
from .reduce import sum
from .shape import permute, reshape

FAR = -1e30  # the logarithm of no probability, where a derivative must not meet an infinity


class _States:
    """The states e of every sequence and how they are entered: index arrays and masks, (N, 2 S + 1) or (T, N)."""

    def __init__(self, shape: tuple[int, ...], labels: Array, times: Array, lengths: Array, blank: int) -> None:
        steps, n, self.classes = shape
        self.e = np.full((n, 2 * labels.shape[1] + 1), blank)
        self.e[:, 1::2] = labels
        place = np.arange(self.e.shape[1])
        self.inside = place <= 2 * lengths[:, None]
        self.rows = np.arange(n)[:, None]
        self.last = np.maximum(times - 1, 0), np.arange(n), 2 * lengths
        self.running = np.arange(steps)[:, None] < times
        self.backwards = np.where(self.inside, 2 * lengths[:, None] - place, place)
        time = np.arange(steps)[:, None]
        self.reversed = np.where(self.running, times - 1 - time, time)
        self.onehot = self.e[:, :, None] == np.arange(self.classes)

    def skip(self, e: Array) -> Array:
        """Where a state may be entered from two before: a label after another one."""
        out = np.zeros(e.shape, bool)
        out[:, 3::2] = e[:, 3::2] != e[:, 1:-2:2]
        return out

    def gathered(self, x: Any) -> Any:
        """x_t(c), (T, N, C), as x_t(s)."""
        return getitem(x, (slice(None), self.rows, self.e))

    def flipped(self, x: Any) -> Any:
        """x_t(s) with each sequence read backwards; its own inverse."""
        return getitem(x, (self.reversed[:, :, None], self.rows, self.backwards))


# --- the loss ---------------------------------------------------------------------------------------------------------


def _alpha(x: Array, skip: Array) -> Array:
    a = np.full_like(x, -np.inf)
    a[0, :, :2] = x[0, :, :2]
    for t in range(1, len(x)):
        a[t] = a[t - 1]
        a[t, :, 1:] = np.logaddexp(a[t, :, 1:], a[t - 1, :, :-1])
        a[t, :, 2:] = np.logaddexp(a[t, :, 2:], np.where(skip[:, 2:], a[t - 1, :, :-2], -np.inf))
        a[t] += x[t]
    return a


def _likelihood(x: Array, states: _States, times: Array, lengths: Array) -> tuple[Array, Array]:
    """alpha, and the logarithm of the probability of all paths."""
    a = _alpha(x, states.skip(states.e))
    t, n, s = states.last
    total = np.logaddexp(a[t, n, s], np.where(lengths > 0, a[t, n, s - 1], -np.inf))
    return a, np.where(times > 0, total, np.where(lengths > 0, -np.inf, 0.0)).astype(x.dtype)


def _ctc_reference(x: Array, labels: Array, times: Array, lengths: Array, *, blank: int) -> Result:
    states = _States(x.shape, labels, times, lengths, blank)
    with np.errstate(all="ignore"):
        _, total = _likelihood(states.gathered(x), states, times, lengths)
    return -total, (x, labels, times, lengths)


def _ctc_dx(g: Any, x: Any, labels: Any, times: Any, lengths: Any, *, blank: int) -> Any:
    return apply(CTC_LOSS_VJP, g, x, labels, times, lengths, blank=blank)


def _ctc_jvp(tangents: Any, x: Any, labels: Any, times: Any, lengths: Any, *, blank: int) -> Any:
    return _ctc_vjp_dg(tangents[0], None, x, labels, times, lengths, blank=blank)


def _ctc_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for steps, labels, times, lengths in (
        (4, [[1, 2]], [4], [2]),
        (5, [[1, 1], [2, 1]], [5, 4], [2, 1]),  # a label twice, sequences of several lengths
        (6, [[3, 3, 1], [2, 1, 2], [1, 2, 3]], [6, 5, 3], [3, 2, 3]),
        (3, [[], []], [3, 2], [0, 0]),
        (3, [[1], [2]], [3, 0], [1, 0]),
    ):
        x = rng.standard_normal((steps, len(labels), 4))
        yield Sample((x, np.array(labels, np.int64), np.array(times), np.array(lengths)), {"blank": 0})
    x = rng.standard_normal((4, 1, 3))
    yield Sample((x, np.array([[0, 1]]), np.array([4]), np.array([2])), {"blank": 2})


CTC_LOSS = Op("ctc_loss", _ctc_reference, None, (_ctc_dx, None, None, None), _ctc_jvp, _ctc_samples)


# --- its gradient -----------------------------------------------------------------------------------------------------


def _ctc_vjp_reference(g: Array, x: Array, labels: Array, times: Array, lengths: Array, *, blank: int) -> Result:
    states = _States(x.shape, labels, times, lengths, blank)
    with np.errstate(all="ignore"):
        e = states.gathered(x)
        a, total = _likelihood(e, states, times, lengths)
        b = states.flipped(_alpha(states.flipped(e), states.skip(np.take_along_axis(states.e, states.backwards, 1))))
        path = a + b - e - total[:, None]
        reached = (a > -np.inf) & (b > -np.inf) & states.inside & states.running[:, :, None]
        gamma = np.where(reached, np.exp(path), 0)
        dx = -np.matmul(gamma.transpose(1, 0, 2), states.onehot.astype(x.dtype)).transpose(1, 0, 2)
        dx = np.where(np.isinf(total)[:, None] & states.running[:, :, None], np.nan, dx)  # no path, and so no direction
        dx = np.where(g[:, None] == 0, 0, g[:, None] * dx)
    return dx.astype(x.dtype), (g, x, labels, times, lengths)


def _ctc_vjp_dg(u: Any, _g: Any, x: Any, labels: Any, times: Any, lengths: Any, *, blank: int) -> Any:
    one = np.ones(shape_of(times), array_of(x).dtype)
    return sum(mul(u, apply(CTC_LOSS_VJP, one, x, labels, times, lengths, blank=blank)), (0, 2))


def _ctc_vjp_dx(u: Any, g: Any, x: Any, labels: Any, times: Any, lengths: Any, *, blank: int) -> Any:
    # The derivative of -g gamma along u, which is the same as the gradient of <u, -g gamma>: a Hessian is symmetric.
    states = _States(shape_of(x), raw(labels), raw(times), raw(lengths), blank)
    e, de = states.gathered(where(raw(x) > FAR, x, FAR)), states.gathered(u)
    a, da = _moving(e, de, states.skip(states.e))
    backwards = states.skip(np.take_along_axis(states.e, states.backwards, 1))
    b, db = [states.flipped(v) for v in _moving(states.flipped(e), states.flipped(de), backwards)]
    loss = apply(CTC_LOSS, x, labels, times, lengths, blank=blank)
    path = add(sub(add(a, b), e), reshape(loss, (-1, 1)))
    reached = (raw(a) > FAR / 2) & (raw(b) > FAR / 2) & states.inside & states.running[:, :, None]
    reached &= np.isfinite(raw(loss))[:, None]
    gamma = where(reached, exp(where(reached, path, 0.0)), 0.0)
    mean = reshape(sum(mul(gamma, de), (0, 2)), (-1, 1))  # of u over the paths
    dgamma = mul(gamma, sub(where(reached, sub(add(da, db), de), 0.0), mean))
    onto = matmul(permute(dgamma, 1, 0, 2), states.onehot.astype(array_of(x).dtype))
    return mul(neg(reshape(g, (-1, 1))), permute(onto, 1, 0, 2))


def _moving(x: Any, dx: Any, skip: Array) -> tuple[Any, Any]:
    """alpha and its derivative along dx, in the graph."""
    rows, states = skip.shape
    kind = array_of(x).dtype
    start = np.arange(states) < 2
    a, da = [where(start, x[0], FAR)], [where(start, dx[0], 0.0)]

    def entered(v: Any, fill: float) -> Any:
        edge = np.full((rows, 2), fill, kind)
        wide = cat([edge, v], 1)
        return stack([v, wide[:, 1:-1], where(skip, wide[:, :states], fill)])

    for t in range(1, len(x)):
        before = entered(a[-1], FAR)
        total = logsumexp(before, 0)
        weight = where(raw(before) > FAR / 2, exp(sub(before, total)), 0.0)
        a.append(add(x[t], total))
        da.append(add(dx[t], sum(mul(weight, entered(da[-1], 0.0)), 0)))
    return stack(a), stack(da)


def _ctc_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _ctc_samples(rng):
        g = rng.standard_normal(sample.args[0].shape[1])
        yield Sample((g, *sample.args), sample.params)


CTC_LOSS_VJP = Op(
    "ctc_loss_vjp",
    _ctc_vjp_reference,
    None,
    (_ctc_vjp_dg, _ctc_vjp_dx, None, None, None),
    None,
    _ctc_vjp_samples,
)


# --- what users call --------------------------------------------------------------------------------------------------


def _lengths(name: str, what: str, given: Any, n: int, most: int) -> Array:
    out = np.asarray(raw(given))
    if out.dtype.kind not in "iu":
        raise DtypeError(f"{name}: {what} must be integers, not {out.dtype}")
    if out.size != n or out.ndim > 1:
        raise ShapeError(f"{name}: {what} {out.shape} must be one number for each of {n} sequences")
    if out.size and not 0 <= out.min() <= out.max() <= most:
        raise ShapeError(f"{name}: {what} must lie from 0 to {most}, not from {out.min()} to {out.max()}")
    return out.astype(np.int64).reshape(n)


def _labels(name: str, targets: Array, lengths: Array) -> Array:
    """The labels as (N, S), from that or from all sequences' one after the other."""
    if targets.ndim == 2:
        if len(targets) != lengths.size:
            raise ShapeError(f"{name}: targets {targets.shape} are not those of {lengths.size} sequences")
        return targets
    if targets.ndim != 1 or targets.size < lengths.sum():
        raise ShapeError(
            f"{name}: targets {targets.shape} must be (N, S), or at least the {lengths.sum()} labels in a row"
        )
    out = np.zeros((lengths.size, lengths.max(initial=0)), np.int64)
    out[np.arange(out.shape[1]) < lengths[:, None]] = targets[: lengths.sum()]
    return out


@widens
@reads()
def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Any:
    r"""-log of the probability of a sequence of labels, over all ways to place them in time.

        forward    loss = -log sum over the paths of the labels, of prod_t p_t(the path's class at t)
        backward   dx_t(c) = -g * the probability that such a path is in class c at time t

    The gradient is that by `log_probs` as they are given. (PyTorch's adds exp(log_probs), which the log_softmax before
    it takes out again: below that the two are the same.)

    Shapes: log_probs (T, N, C) or (T, C); targets (N, S), or all labels in a row (sum of target_lengths), integers
    from 0 to C - 1 and not `blank`; input_lengths and target_lengths (N), or one number for (T, C). "mean" divides
    each loss by its target's length, and takes the mean. A sequence that is too long for its time has the loss
    infinity, and a NaN gradient; both are 0 with `zero_infinity`. Raises before anything is computed: ShapeError for
    sizes and lengths, IndexRangeError for labels.
    Source: Graves et al., "Connectionist temporal classification", 2006.

    >>> x = mt.full((2, 1, 2), 0.5).log()
    >>> mt.nn.functional.ctc_loss(x, mt.tensor([[1]]), [2], [1])
    tensor(0.2877)
    """
    name = "ctc_loss"
    reduction = reduction_of(name, None, None, reduction)
    need_float(name, log_probs)
    shape = shape_of(log_probs)
    if len(shape) not in (2, 3) or shape[0] == 0:
        raise ShapeError(f"{name}: log_probs must be (T, N, C) or (T, C) with T at least 1, not {shape}")
    x = reshape(log_probs, (shape[0], -1 if shape[-1] else 1, shape[-1]))
    steps, n, classes = shape_of(x)
    if not 0 <= blank < classes:
        raise IndexRangeError(f"{name}: blank {blank} is out of range for {classes} classes")
    times = _lengths(name, "input_lengths", input_lengths, n, steps)
    given = np.asarray(raw(targets))
    if given.dtype.kind not in "iu":
        raise DtypeError(f"{name}: targets are integers, not {given.dtype}")
    given = given.reshape(1, -1) if len(shape) == 2 else given
    most = given.shape[-1] if given.ndim else 0
    lengths = _lengths(name, "target_lengths", target_lengths, n, most)
    labels = _labels(name, given, lengths).astype(np.int64)
    used = np.arange(labels.shape[1]) < lengths[:, None]
    wrong = labels[used & ((labels < 0) | (labels >= classes))]
    if wrong.size:
        raise IndexRangeError(f"{name}: label {wrong[0]} is out of range for {classes} classes")
    loss = apply(CTC_LOSS, x, np.where(used, labels, blank), times, lengths, blank=int(blank))
    if zero_infinity:
        loss = where(np.isinf(raw(loss)), 0.0, loss)
    if reduction == "mean":
        loss = div(loss, np.maximum(lengths, 1).astype(array_of(loss).dtype))
    return reduced(reshape(loss, shape[1:-1]), reduction)
