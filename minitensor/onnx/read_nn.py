"""Layers: convolutions, pools, norms, dropout, losses: see `table`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minitensor as mt
import minitensor.nn.functional as F

from ..graph.record import apply
from ..op import OPS
from ..ops.common import raw
from .table import UnsupportedError, ints, item, like, reads

_CONV = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
_CONV_TRANSPOSE = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}
_AVG_POOL = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}


def _by_axes(table: dict[int, Any], axes: int) -> Any:
    if axes not in table:
        raise UnsupportedError(f"an input with {axes} axes beside examples and channels")
    return table[axes]


def _paddings(auto_pad: str, pads: Any, sizes: Any, kernel: Any, strides: Any, dilations: Any) -> tuple[Any, Any]:
    """(before, after) of each axis of an image."""
    n = len(kernel)
    if auto_pad in ("", "NOTSET"):
        widths = list(pads or [0] * (2 * n))
        return widths[:n], widths[n:]
    if auto_pad == "VALID":
        return [0] * n, [0] * n
    total = [
        max((-(-size // s) - 1) * s + (k - 1) * d + 1 - size, 0)
        for size, k, s, d in zip(sizes, kernel, strides, dilations, strict=True)
    ]
    less, more = [t // 2 for t in total], [t - t // 2 for t in total]
    return (less, more) if auto_pad == "SAME_UPPER" else (more, less)


def _pad(x: Any, before: Any, after: Any, value: float = 0.0) -> Any:
    flat = [n for pair in zip(before[::-1], after[::-1], strict=True) for n in pair]
    return F.pad(x, flat, value=value) if any(flat) else x


@reads("Conv")
def _conv(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Any = None,
    group: int = 1,
    kernel_shape: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    kernel = w.shape[2:]
    n = len(kernel)
    strides, dilations = list(strides or [1] * n), list(dilations or [1] * n)
    before, after = _paddings(auto_pad, pads, x.shape[2:], kernel, strides, dilations)
    if before != after:
        x, before = _pad(x, before, after), [0] * n
    return _by_axes(_CONV, n)(x, w, b, strides, before, dilations, group)


@reads("ConvTranspose")
def _conv_transpose(
    x: Any,
    w: Any,
    b: Any = None,
    *,
    auto_pad: str = "NOTSET",
    dilations: Any = None,
    group: int = 1,
    kernel_shape: Any = None,
    output_padding: Any = None,
    output_shape: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    kernel = w.shape[2:]
    n = len(kernel)
    strides, dilations = list(strides or [1] * n), list(dilations or [1] * n)
    more = list(output_padding or [0] * n)
    before, after = list((pads or [0] * 2 * n)[:n]), list((pads or [0] * 2 * n)[n:])
    if output_shape is not None or auto_pad in ("SAME_UPPER", "SAME_LOWER"):
        want = output_shape or [k * s for k, s in zip(x.shape[2:], strides, strict=True)]
        full = [
            (k - 1) * s + (m - 1) * d + 1 + e
            for k, s, m, d, e in zip(x.shape[2:], strides, kernel, dilations, more, strict=True)
        ]
        total = [f - k for f, k in zip(full, want[-n:], strict=True)]
        more = [e + max(-t, 0) for e, t in zip(more, total, strict=True)]
        total = [max(t, 0) for t in total]
        less, rest = [t // 2 for t in total], [t - t // 2 for t in total]
        before, after = (less, rest) if auto_pad == "SAME_UPPER" else (rest, less)
    run = _by_axes(_CONV_TRANSPOSE, n)
    if before == after and all(e < max(s, d) for e, s, d in zip(more, strides, dilations, strict=True)):
        return run(x, w, b, strides, before, more, group, dilations)
    y = run(x, w, None, strides, 0, 0, group, dilations)
    y = _pad(y, [-k for k in before], [e - k for e, k in zip(more, after, strict=True)])
    return y if b is None else y + b.reshape((-1, *[1] * n))


# --- pools ------------------------------------------------------------------------------------------------------------


def _steps(size: int, k: int, s: int, d: int, before: int, after: int, ceil: int) -> int:
    """How many windows there are along an axis; none begins in the padding after the image."""
    span = size + before + after - (k - 1) * d - 1
    n = -(-span // s) + 1 if ceil else span // s + 1
    return n - 1 if ceil and (n - 1) * s >= size + before else n


def _summed(x: Any, axis: int, k: int, s: int, d: int, before: int, after: int, ceil: int) -> tuple[Any, Any, Any]:
    """(sums over windows along an axis, how many elements each has of the image, how many with the padding)."""
    size = x.shape[axis]
    n = _steps(size, k, s, d, before, after, ceil)
    at = np.arange(n)[:, None] * s - before + np.arange(k) * d
    inside = (at >= 0) & (at < size)
    picked = mt.index_select(x, axis, mt.as_tensor(np.clip(at, 0, size - 1).ravel()))
    picked = picked.reshape((*x.shape[:axis], n, k, *x.shape[axis + 1 :]))
    mask = inside.reshape((n, k, *[1] * (x.ndim - axis - 1)))
    padded = (at < size + after).sum(1)
    return mt.sum(mt.where(mt.as_tensor(mask), picked, like(x, 0)), axis + 1), inside.sum(1), padded


def _windows(x: Any, kernel: Any, how: Any) -> tuple[Any, Any, Any]:
    """The sums over all windows, and the number of elements in each, without and with the padding."""
    n = len(kernel)
    image: Any = 1
    padded: Any = 1
    for i in range(n):
        x, inner, outer = _summed(x, 2 + i, *[part[i] for part in how])
        form = [-1 if k == i else 1 for k in range(n)]
        image, padded = image * inner.reshape(form), padded * outer.reshape(form)
    return x, image, padded


def _how(x: Any, kernel: Any, auto_pad: str, pads: Any, strides: Any, dilations: Any) -> Any:
    n = len(kernel)
    if x.ndim != n + 2:
        raise UnsupportedError(f"a kernel {list(kernel)} for an input of {x.ndim} axes")
    strides, dilations = list(strides or [1] * n), list(dilations or [1] * n)
    return strides, dilations, *_paddings(auto_pad, pads, x.shape[2:], kernel, strides, dilations)


@reads("AveragePool")
def _average_pool(
    x: Any,
    *,
    kernel_shape: Any,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    count_include_pad: int = 0,
    dilations: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    strides, dilations, before, after = _how(x, kernel_shape, auto_pad, pads, strides, dilations)
    n = len(kernel_shape)
    small = all(2 * p <= k for p, k in zip(before, kernel_shape, strict=True))
    if n in _AVG_POOL and before == after and small and set(dilations) == {1}:
        return _AVG_POOL[n](x, list(kernel_shape), strides, before, bool(ceil_mode), bool(count_include_pad))
    sums, image, padded = _windows(x, kernel_shape, (kernel_shape, strides, dilations, before, after, [ceil_mode] * n))
    return sums / like(x, padded if count_include_pad else image)


@reads("LpPool")
def _lp_pool(
    x: Any,
    *,
    kernel_shape: Any,
    p: float = 2,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Any = None,
    pads: Any = None,
    strides: Any = None,
) -> Any:
    strides, dilations, before, after = _how(x, kernel_shape, auto_pad, pads, strides, dilations)
    how = (kernel_shape, strides, dilations, before, after, [ceil_mode] * len(kernel_shape))
    return mt.pow(_windows(mt.pow(mt.abs(x), p), kernel_shape, how)[0], 1 / p)


@reads("MaxPool", at=True)
def _max_pool(
    x: Any,
    *,
    kernel_shape: Any,
    auto_pad: str = "NOTSET",
    ceil_mode: int = 0,
    dilations: Any = None,
    pads: Any = None,
    storage_order: int = 0,
    strides: Any = None,
    at: Any,
) -> Any:
    strides, dilations, before, after = _how(x, kernel_shape, auto_pad, pads, strides, dilations)
    n = len(kernel_shape)
    indices = len(at.outputs) > 1 and bool(at.outputs[1])
    sizes, dtype = x.shape[2:], x.dtype
    kernel = list(kernel_shape)
    small = all(2 * p <= k for p, k in zip(before, kernel, strict=True))
    x = x if raw(x).dtype.kind == "f" else x.to(mt.float64)
    shift: list[int] = [0] * n
    if before != after or not small or ceil_mode:
        # The windows laid out by hand: padded so that each is whole.
        how = zip(sizes, kernel, strides, dilations, before, after, strict=True)
        steps = [_steps(n, k, s, d, b, a, ceil_mode) for n, k, s, d, b, a in how]
        ends = [(m - 1) * s + (k - 1) * d + 1 for m, s, k, d in zip(steps, strides, kernel, dilations, strict=True)]
        rest = [e - b - size for e, b, size in zip(ends, before, sizes, strict=True)]
        x = _pad(x, before, rest, -math.inf)
        shift, before = list(before), [0] * n
    run = _by_axes(_MAX_POOL, n)
    if not indices:
        return run(x, kernel, strides, before, dilations).to(dtype)
    y, places = run(x, kernel, strides, before, dilations, False, True)
    found = np.unravel_index(raw(places), tuple(x.shape[2:]))
    where = [np.clip(w - s, 0, size - 1) for w, s, size in zip(found, shift, sizes, strict=True)]
    flat = np.ravel_multi_index(where, tuple(sizes), order="F" if storage_order else "C")
    planes = np.arange(x.shape[0] * x.shape[1]).reshape((x.shape[0], x.shape[1], *[1] * n)) * math.prod(sizes)
    return y.to(dtype), mt.as_tensor(flat + planes)


@reads("MaxUnpool")
def _max_unpool(
    x: Any, places: Any, shape: Any = None, *, kernel_shape: Any, pads: Any = None, strides: Any = None
) -> Any:
    n = len(kernel_shape)
    strides, pads = strides or [1] * n, pads or [0] * 2 * n
    sizes = [
        (m - 1) * s - pads[i] - pads[i + n] + k
        for i, (m, s, k) in enumerate(zip(x.shape[2:], strides, kernel_shape, strict=True))
    ]
    inner = (*x.shape[:2], *sizes)
    flat = mt.zeros((math.prod(inner),), dtype=x.dtype)
    y = mt.scatter(flat, 0, places.reshape((-1,)), x.reshape((-1,))).reshape(inner)
    if shape is None:
        return y
    return _pad(y, [0] * n, [want - have for want, have in zip(ints(shape)[2:], sizes, strict=True)])


def _spatial(x: Any) -> tuple[int, ...]:
    return tuple(range(2, x.ndim))


@reads("GlobalAveragePool")
def _global_average_pool(x: Any) -> Any:
    return mt.mean(x, _spatial(x), True)


@reads("GlobalMaxPool")
def _global_max_pool(x: Any) -> Any:
    return mt.amax(x, _spatial(x), True)


@reads("GlobalLpPool")
def _global_lp_pool(x: Any, *, p: float = 2) -> Any:
    return mt.pow(mt.sum(mt.pow(mt.abs(x), p), _spatial(x), True), 1 / p)


# --- norms ------------------------------------------------------------------------------------------------------------


@reads("BatchNormalization", at=True)
def _batch_norm(
    x: Any,
    scale: Any,
    bias: Any,
    mean: Any,
    var: Any,
    *,
    epsilon: float = 1e-5,
    momentum: float = 0.9,
    training_mode: int = 0,
    is_test: int = 0,
    spatial: int = 1,
    consumed_inputs: Any = None,
    at: Any,
) -> Any:
    if not spatial:
        raise UnsupportedError("spatial=0: a mean for each place of the image")
    if not training_mode:  # the model's own train() and eval() decide
        return F.batch_norm(x, mean, var, scale, bias, at.training(), 1 - momentum, epsilon)
    axes = (0, *_spatial(x))
    batch_mean, batch_var = mt.mean(x, axes), mt.var(x, axes, correction=0)
    y = F.batch_norm(x, None, None, scale, bias, True, 0.0, epsilon)
    return y, mean * momentum + batch_mean * (1 - momentum), var * momentum + batch_var * (1 - momentum)


@reads("InstanceNormalization")
def _instance_norm(x: Any, scale: Any, bias: Any, *, epsilon: float = 1e-5, consumed_inputs: Any = None) -> Any:
    return F.instance_norm(x, None, None, scale, bias, True, 0.1, epsilon)


@reads("GroupNormalization", since=18)
def _group_norm_by_group(x: Any, scale: Any, bias: Any, *, num_groups: int, epsilon: float = 1e-5) -> Any:
    each = x.shape[1] // num_groups
    return F.group_norm(x, num_groups, scale.repeat_interleave(each, 0), bias.repeat_interleave(each, 0), epsilon)


@reads("GroupNormalization", since=21)
def _group_norm(x: Any, scale: Any, bias: Any, *, num_groups: int, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    return F.group_norm(x, num_groups, scale, bias, epsilon)


@reads("LayerNormalization", at=True)
def _layer_norm(
    x: Any, scale: Any, bias: Any = None, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1, at: Any
) -> Any:
    axis %= x.ndim
    shape = tuple(x.shape[axis:])
    plain = tuple(scale.shape) == shape and (bias is None or tuple(bias.shape) == shape)
    y = F.layer_norm(x, shape, scale if plain else None, bias if plain else None, epsilon)
    if not plain:
        y = y * scale if bias is None else y * scale + bias
    if len(at.outputs) == 1:
        return y
    axes = tuple(range(axis, x.ndim))
    return y, mt.mean(x, axes, True), mt.rsqrt(mt.var(x, axes, correction=0, keepdim=True) + epsilon)


@reads("RMSNormalization")
def _rms_norm(x: Any, scale: Any, *, axis: int = -1, epsilon: float = 1e-5, stash_type: int = 1) -> Any:
    axes = tuple(range(axis % x.ndim, x.ndim))
    return x * mt.rsqrt(mt.mean(x * x, axes, True) + epsilon) * scale


@reads("LpNormalization")
def _lp_norm(x: Any, *, axis: int = -1, p: int = 2) -> Any:
    size = mt.norm(x, p, axis, True)
    return mt.where(size == 0, mt.zeros_like(x), x / size)


@reads("MeanVarianceNormalization")
def _mean_variance(x: Any, *, axes: Any = (0, 2, 3)) -> Any:
    dims = tuple(axes)
    centred = x - mt.mean(x, dims, True)
    return centred / (mt.sqrt(mt.mean(centred * centred, dims, True)) + 1e-9)


@reads("LRN")
def _lrn(x: Any, *, size: int, alpha: float = 1e-4, beta: float = 0.75, bias: float = 1.0) -> Any:
    channels = x.shape[1]
    squares = _pad(mt.movedim(x * x, 1, -1), [(size - 1) // 2], [size // 2])
    total = sum(mt.narrow(squares, -1, k, channels) for k in range(size))
    return x / mt.pow(bias + alpha / size * mt.movedim(total, -1, 1), beta)


@reads("Dropout", at=True)
def _dropout_by_attribute(x: Any, *, ratio: float = 0.5, is_test: int = 0, consumed_inputs: Any = None, at: Any) -> Any:
    return _dropped(x, ratio, at.training())


@reads("Dropout", since=12, at=True)
def _dropout(x: Any, ratio: Any = None, training: Any = None, *, seed: int | None = None, at: Any) -> Any:
    return _dropped(x, item(ratio, 0.5), at.training() or bool(item(training, False)))


def _dropped(x: Any, ratio: float, training: bool) -> Any:
    if not training or ratio == 0:
        return x, mt.ones(x.shape, dtype=mt.bool)
    mask = mt.rand(x.shape) >= ratio
    return x * mask / (1 - ratio), mask


# --- losses -----------------------------------------------------------------------------------------------------------


@reads("NegativeLogLikelihoodLoss")
def _nll_loss(x: Any, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean") -> Any:
    return F.nll_loss(x, target.long(), weight, ignore_index=ignore_index, reduction=reduction)


@reads("SoftmaxCrossEntropyLoss")
def _cross_entropy(
    x: Any, target: Any, weight: Any = None, *, ignore_index: int = -100, reduction: str = "mean"
) -> Any:
    log = mt.log_softmax(x, 1)
    return _nll_loss(log, target, weight, ignore_index=ignore_index, reduction=reduction), log


# --- recurrent layers -------------------------------------------------------------------------------------------------

_ACTIVATIONS = {
    "Relu": lambda x, a, b: mt.relu(x),
    "Tanh": lambda x, a, b: mt.tanh(x),
    "Sigmoid": lambda x, a, b: mt.sigmoid(x),
    "Affine": lambda x, a, b: a * x + b,
    "LeakyRelu": lambda x, a, b: F.leaky_relu(x, 0.01 if a is None else a),
    "ThresholdedRelu": lambda x, a, b: F.threshold(x, 1.0 if a is None else a, 0.0),
    "ScaledTanh": lambda x, a, b: a * mt.tanh(b * x),
    "HardSigmoid": lambda x, a, b: mt.clamp((0.2 if a is None else a) * x + (0.5 if b is None else b), 0, 1),
    "Elu": lambda x, a, b: F.elu(x, 1.0 if a is None else a),
    "Softsign": lambda x, a, b: F.softsign(x),
    "Softplus": lambda x, a, b: F.softplus(x),
}
Weights = tuple[Any, Any, Any, Any, Any]  # of the input, of the state, their biases, the peepholes


def _rnn_step(a: Any, w: Weights, states: tuple[Any, ...], f: Any, _: Any) -> tuple[Any, ...]:
    return (f[0](a + F.linear(states[0], w[1], w[3])),)


def _gru_step(a: Any, w: Weights, states: tuple[Any, ...], f: Any, how: Any) -> tuple[Any, ...]:
    (h,) = states
    n = h.shape[-1]
    az, ar, ah = mt.split(a, n, -1)
    gates = f[0](mt.cat([az, ar], -1) + F.linear(h, w[1][: 2 * n], w[3][: 2 * n]))
    z, r = mt.split(gates, n, -1)
    recurrent, bias = w[1][2 * n :], w[3][2 * n :]
    inner = r * F.linear(h, recurrent, bias) if how["linear_before_reset"] else F.linear(r * h, recurrent, bias)
    return ((1 - z) * f[1](ah + inner) + z * h,)


def _lstm_step(a: Any, w: Weights, states: tuple[Any, ...], f: Any, how: Any) -> tuple[Any, ...]:
    h, c = states
    ai, ao, af, ac = mt.split(a + F.linear(h, w[1], w[3]), h.shape[-1], -1)
    pi, po, pf = (0, 0, 0) if w[4] is None else mt.split(w[4], h.shape[-1], -1)
    i = f[0](ai + pi * c)
    forget = 1 - i if how["input_forget"] else f[0](af + pf * c)
    new = forget * c + i * f[1](ac)
    return f[0](ao + po * new) * f[2](new), new


_KINDS: dict[str, tuple[Any, int, int, tuple[str, ...]]] = {  # step, gates, states, activations
    "RNN": (_rnn_step, 1, 1, ("Tanh",)),
    "GRU": (_gru_step, 3, 1, ("Sigmoid", "Tanh")),
    "LSTM": (_lstm_step, 4, 2, ("Sigmoid", "Tanh", "Tanh")),
}


def _functions(names: Any, alphas: Any, betas: Any, clip: float | None) -> list[Any]:
    """The activations, each with its constants; `clip` bounds what goes into them."""
    first, second = iter(alphas or ()), iter(betas or ())
    takes_two = {"Affine", "ScaledTanh", "HardSigmoid"}
    takes_one = takes_two | {"LeakyRelu", "ThresholdedRelu", "Elu"}
    made = []
    for name in names:
        a = next(first, None) if name in takes_one else None
        b = next(second, None) if name in takes_two else None

        def function(x: Any, f: Any = _ACTIVATIONS[name], a: Any = a, b: Any = b) -> Any:
            return f(x if clip is None else mt.clamp(x, -clip, clip), a, b)

        made.append(function)
    return made


def _fused(kind: str, x: Any, w: Weights, states: tuple[Any, ...], backwards: bool) -> tuple[Any, ...]:
    """A direction by our own layers, whose gates stand in another order: i f c o, and r z h."""
    n = states[0].shape[-1]
    order = {"RNN": (0,), "GRU": (1, 0, 2), "LSTM": (0, 2, 3, 1)}[kind]
    steps, batch = x.shape[:2]
    wx, wh, bx, bh = [mt.cat([k[g * n : (g + 1) * n] for g in order]) for k in w[:4]]
    a = F.linear(x.reshape((steps * batch, -1)), wx, bx if kind == "GRU" else bx + bh)
    how = {"sizes": (batch,) * steps, "reverse": backwards}
    if kind == "LSTM":
        out = apply(OPS["lstm_layer"], a, *states, wh, **how)
    elif kind == "GRU":
        out = apply(OPS["gru_layer"], a, *states, wh, bh, **how)
    else:
        out = apply(OPS["rnn_layer"], a, *states, wh, relu=False, **how)
    return out[0].reshape((steps, batch, n)), *out[1:]


def _stepped(kind: str, x: Any, w: Weights, states: Any, f: Any, how: Any, lengths: Any, backwards: bool) -> Any:
    """A direction step by step; an example that has ended keeps its state, and its outputs are 0."""
    outs: list[Any] = [None] * x.shape[0]
    for t in reversed(range(x.shape[0])) if backwards else range(x.shape[0]):
        new = _KINDS[kind][0](F.linear(x[t], w[0], w[2]), w, states, f, how)
        if lengths is not None:
            on = mt.as_tensor(t < lengths[:, None])
            outs[t] = mt.where(on, new[0], like(x, 0))
            states = tuple([mt.where(on, n, s) for n, s in zip(new, states, strict=True)])
        else:
            states, outs[t] = new, new[0]
    return mt.stack(outs), *states


def _recurrent(
    kind: str,
    x: Any,
    w: Any,
    r: Any,
    b: Any = None,
    lengths: Any = None,
    h: Any = None,
    c: Any = None,
    peepholes: Any = None,
    *,
    hidden_size: int | None = None,
    direction: str = "forward",
    activations: Any = None,
    activation_alpha: Any = None,
    activation_beta: Any = None,
    clip: float | None = None,
    layout: int = 0,
    input_forget: int = 0,
    linear_before_reset: int = 0,
    output_sequence: int = 0,
) -> Any:
    outs: list[Any] = []
    last: list[Any] = []
    _, gates, count, usual = _KINDS[kind]
    n, directions = r.shape[-1], w.shape[0]
    if layout:
        x = mt.transpose(x, 0, 1)
        h, c = [None if s is None else mt.transpose(s, 0, 1) for s in (h, c)]
    steps, batch = x.shape[:2]
    zeros = mt.zeros((directions, batch, n), dtype=x.dtype)
    starts = [zeros if s is None else s for s in (h, c)[:count]]
    ended = None if lengths is None else np.asarray(ints(lengths))
    ended = None if ended is None or (ended == steps).all() else ended
    names = list(activations or usual * directions)
    plain = names == list(usual) * directions and clip is None and peepholes is None and ended is None
    plain = plain and not input_forget and (kind != "GRU" or bool(linear_before_reset))
    how = {"input_forget": input_forget, "linear_before_reset": linear_before_reset}
    for d in range(directions):
        backwards = direction == "reverse" or d == 1
        bias = mt.zeros((2 * gates * n,), dtype=x.dtype) if b is None else b[d]
        weights = (w[d], r[d], bias[: gates * n], bias[gates * n :], None if peepholes is None else peepholes[d])
        states = tuple([s[d] for s in starts])
        if plain:
            y, *state = _fused(kind, x, weights, states, backwards)
        else:
            f = _functions(names[d * len(usual) : (d + 1) * len(usual)], activation_alpha, activation_beta, clip)
            y, *state = _stepped(kind, x, weights, states, f, how, ended, backwards)
        outs.append(y)
        last.append(state)
    y = mt.stack(outs, 1)  # (steps, directions, batch, n)
    finals = [mt.stack(list(parts)) for parts in zip(*last, strict=True)]
    if layout:
        y = y.permute((2, 0, 1, 3))
        finals = [mt.transpose(s, 0, 1) for s in finals]
    return y, *finals


def _enter(kind: str) -> None:
    def run(*args: Any, **how: Any) -> Any:
        return _recurrent(kind, *args, **how)

    reads(kind)(run)


for _kind in _KINDS:
    _enter(_kind)
