r"""Recurrent layers through all of their steps.

    lstm_layer   p = h w^T                        x + p = (i, f, g, o),  s = sigmoid
                 c' = s(f) c + s(i) tanh(g),      h' = s(o) tanh(c')
    gru_layer    p = h w^T + b                    x = (xr, xz, xn),  p likewise,  r = s(xr + pr),  z = s(xz + pz)
                 m  = tanh(xn + r pn),            h' = m + z (h - m)
    rnn_layer    h' = tanh(x + h w^T), or relu
    backward     step by step from the last: dp of the step from the gradient of its h' (as in ops/rnn.py), which is
                 given or comes back as dp w from the step after; dw = sum over the steps of dp^T h, one product

x (rows, G H) is the product of the whole sequence with the input's weights, biases added. `sizes` says how many
examples each step has, most first: their rows stand step after step. `reverse` goes from the last step to the first.
The states h, c are (N, H), w (G H, H). The outputs are (y, last h, last c), y (rows, H) the states after each step.

What the forward saves beside its outputs (gates, cells) is constant for the backwards, which are operators too: their
own derivatives come from the steps as a composition (`composite.py`), in x, h, c, w.

Kernels: csrc/kernels/recurrent.cpp.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

from .. import _core
from ..graph.record import apply
from ..op import Op, Result, Sample, parts
from .arithmetic import add
from .common import Array, shape_of
from .composite import vjp_joint
from .functions import relu as rectified
from .functions import tanh
from .join import cat
from .matmul import linear
from .rnn import GRU_CELL, LSTM_CELL

Sizes = tuple[int, ...]


class Walk(NamedTuple):
    """The steps in the order in which they are taken, as the kernels read them."""

    counts: Array  # examples of each
    first: Array  # where their rows begin


class Run(NamedTuple):
    """Rows one after the other: of the first states, or of those after the steps."""

    first: bool
    begin: int
    end: int


@functools.lru_cache(maxsize=64)
def _walk(sizes: Sizes, reverse: bool) -> Walk:
    count = np.array(sizes, np.int64)
    first = np.cumsum(count) - count
    by = -1 if reverse else 1
    return Walk(count[::by].copy(), first[::by].copy())


@functools.lru_cache(maxsize=64)
def _runs(sizes: Sizes, reverse: bool) -> list[Run]:
    """Where the states before each step stand, for its rows in their order."""
    walk, pieces = _walk(sizes, reverse), []
    for step, n in enumerate(walk.counts.tolist()):
        live = min(n, int(walk.counts[step - 1])) if step else 0  # of the step before; the others begin here
        at = int(walk.first[step - 1])
        pieces.append((Run(False, at, at + live), Run(True, live, n)))
    runs: list[Run] = []
    for run in [run for pair in pieces[:: -1 if reverse else 1] for run in pair if run.begin < run.end]:
        if runs and runs[-1].first == run.first and runs[-1].end == run.begin:
            run = Run(run.first, runs.pop().begin, run.end)
        runs.append(run)
    return runs


def _rows(walk: Walk, step: int) -> slice:
    """The rows of a step."""
    begin = int(walk.first[step])
    return slice(begin, begin + int(walk.counts[step]))


def step_by_step(
    cell: Callable[..., tuple[Any, ...]],
    x: Any,
    states: tuple[Any, ...],
    *,
    sizes: Sizes,
    reverse: bool,
) -> tuple[Any, ...]:
    """A layer as a composition: (x, *states) to (y, *states) by cell at every step; y is the first of the states."""
    walk = _walk(sizes, reverse)
    batch, outputs = shape_of(states[0])[0], []
    for step in range(len(walk.counts)):
        n = int(walk.counts[step])
        new = cell(x[_rows(walk, step)], *[s[:n] for s in states])
        states = tuple([s if n == batch else cat([s, old[n:]], 0) for s, old in zip(new, states, strict=True)])
        outputs.append(new[0])
    y = cat(outputs[:: -1 if reverse else 1], 0) if outputs else x[:, : shape_of(states[0])[1]]
    return y, *states


def _before(y: Array, h: Array, **how: Any) -> Array:
    """The states (rows, H) before each row's step."""
    runs = _runs(**how)
    return np.concatenate([(h if run.first else y)[run.begin : run.end] for run in runs]) if runs else y


def _summed(dp: Array, before: Array) -> Array:
    """dw = sum over the rows of dp^T h."""
    return dp.T @ before


def _weight_vjp(dp: Array, y: Array, h: Array, **how: Any) -> Any:
    """The same. First states that are zero, as where none are given, add nothing; the others stand in y as they are."""
    runs = _runs(**how)
    if [run.first for run in runs] in ([True, False], [False, True]) and not h.any():
        run = runs[runs[0].first]
        begin = runs[0].end if runs[0].first else 0
        end = begin + run.end - run.begin
        rest = dp[end:] if begin == 0 else dp[:begin]
        if np.isfinite(rest).all():  # 0 times infinity is not 0
            return _core.matmul(dp[begin:end].T, y[run.begin : run.end])
    return _core.matmul(dp.T, _before(y, h, **how))


def _sigmoid(x: Array) -> Any:
    return 0.5 * (1 + np.tanh(0.5 * x))


LAYOUTS: tuple[tuple[Sizes, bool], ...] = (
    ((2, 2, 2), False),
    ((2, 2, 2), True),
    ((3, 3), False),
    ((3, 2, 1), False),
    ((3, 3, 1), True),
    ((1,), False),
    ((0, 0), False),
)


def _layouts(gates: int, states: int, bias: bool) -> Callable[[np.random.Generator], Iterator[Sample]]:
    """Samples of a layer: x, the states, w and perhaps a bias."""

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        sizes = [(3, case) for case in LAYOUTS]
        sizes += [(n, ((2, 2), False)) for n in (1, 16, 17, 35)]
        sizes += [(5, ((20, 20, 9), False)), (70, ((30, 30, 17), True))]
        sizes += [(70, ((*[30] * 6, 17, 2), False)), (270, ((9, 7), False))]
        zeros = [(3, case) for case in LAYOUTS] + [(70, ((20, 20, 20), False))]
        for i, (n, (counts, reverse)) in enumerate(sizes + zeros):
            batch = max(counts)
            shapes: list[tuple[int, ...]] = [(sum(counts), gates * n), *[(batch, n)] * states, (gates * n, n)]
            shapes += [(gates * n,)] if bias else []
            args = [rng.standard_normal(shape) for shape in shapes]
            if i >= len(sizes):
                args[1 : 1 + states] = [np.zeros((batch, n)) for _ in range(states)]
            args[1 + states] /= np.sqrt(n)  # so that 35 terms do not saturate every gate
            params = {"sizes": counts, "reverse": reverse}
            yield Sample(tuple(args), params, large=n >= 70)

    return samples


def _vjp_samples(layer: Op) -> Callable[[np.random.Generator], Iterator[Sample]]:
    """Samples of a layer's vjp: the outputs' gradients, the arguments, and what the forward makes of them."""

    def of(rng: np.random.Generator, sample: Sample) -> Sample:
        def derive(*args: Any) -> tuple[Any, ...]:
            arguments = len(sample.args)
            given = args[: len(gradients) + arguments]
            _, saved = layer.reference(*given[-arguments:], **sample.params)
            return (*given, *saved[arguments:])

        gradients = [rng.standard_normal(y.shape) for y in layer.reference(*sample.args, **sample.params)[0]]
        args = derive(*gradients, *sample.args)
        return Sample(args, sample.params, derive=derive, large=sample.large)

    return lambda rng: (of(rng, sample) for sample in layer.samples(rng))


def _length(*args: Any, sizes: Sizes, **_: Any) -> int:
    """Rounding adds up along the steps and over a product's terms."""
    return int(len(sizes) * args[0].shape[-1])


# --- LSTM -------------------------------------------------------------------------------------------------------------


def _lstm_reference(x: Array, h: Array, c: Array, w: Array, *, sizes: Sizes, reverse: bool) -> Result:
    walk, n = _walk(sizes, reverse), h.shape[1]
    y, cells = np.empty((2, len(x), n), x.dtype)
    gates, hn, cn = np.empty_like(x), h.copy(), c.copy()
    for step in range(len(walk.counts)):
        rows, live = _rows(walk, step), slice(walk.counts[step])
        p = x[rows] + hn[live] @ w.T
        i, f, g, o = [np.tanh(a) if k == 2 else _sigmoid(a) for k, a in enumerate(np.split(p, 4, -1))]
        gates[rows] = np.concatenate([i, f, g, o], -1)
        cells[rows] = cn[live] = f * cn[live] + i * g
        y[rows] = hn[live] = o * np.tanh(cn[live])
    return (y, hn, cn), (x, h, c, w, y, gates, cells)


def _lstm_forward(x: Array, h: Array, c: Array, w: Array, **how: Any) -> Result:
    walk = _walk(**how)
    y, hn, cn, gates, cells = _core.lstm_layer(x, h, c, w, *walk)
    return (y, hn, cn), (x, h, c, w, y, gates, cells)


def _lstm_joint(_wanted: Any, g: Any, *saved: Any, **how: Any) -> Any:
    return apply(LSTM_LAYER_VJP, *g, *saved, **how)


LSTM_LAYER = Op(
    "lstm_layer",
    _lstm_reference,
    _lstm_forward,
    parts(_lstm_joint, 4),
    None,
    _layouts(4, 2, False),
    joint=_lstm_joint,
    length=_length,
)


def _lstm_vjp_reference(*args: Array, sizes: Sizes, reverse: bool) -> Result:
    gy, gh, gc, x, h, c, w, y, gates, cells = args
    walk = _walk(sizes, reverse)
    dx, dh, dc = np.empty_like(x), gh.copy(), gc.copy()
    old = _before(cells, c, sizes=sizes, reverse=reverse)
    for step in reversed(range(len(walk.counts))):
        rows, live = _rows(walk, step), slice(walk.counts[step])
        i, f, g, o = np.split(gates[rows], 4, -1)
        up, t = dh[live] + gy[rows], np.tanh(cells[rows])
        e = dc[live] + up * o * (1 - t * t)
        dx[rows] = np.concatenate(
            [e * g * i * (1 - i), e * old[rows] * f * (1 - f), e * i * (1 - g * g), up * t * o * (1 - o)], -1
        )
        dh[live], dc[live] = dx[rows] @ w, e * f
    return (dx, dh, dc, _summed(dx, _before(y, h, sizes=sizes, reverse=reverse))), args


def _lstm_vjp_forward(*args: Array, **how: Any) -> Result:
    gy, gh, gc, _, h, c, w, y, gates, cells = args
    walk = _walk(**how)
    dx, dh, dc = _core.lstm_layer_vjp(gy, gh, gc, c, w, gates, cells, *walk)
    return (dx, dh, dc, _weight_vjp(dx, y, h, **how)), args


def _lstm_steps(x: Any, h: Any, c: Any, w: Any, **how: Any) -> tuple[Any, ...]:
    def cell(a: Any, h: Any, c: Any) -> tuple[Any, ...]:
        new: tuple[Any, ...] = apply(LSTM_CELL, add(a, linear(h, w)), c)
        return new

    return step_by_step(cell, x, (h, c), **how)


_lstm_vjp_joint = vjp_joint(_lstm_steps, 3, 4)
LSTM_LAYER_VJP = Op(
    "lstm_layer_vjp",
    _lstm_vjp_reference,
    _lstm_vjp_forward,
    (*parts(_lstm_vjp_joint, 7), None, None, None),
    None,
    _vjp_samples(LSTM_LAYER),
    joint=_lstm_vjp_joint,
    length=_length,
)


# --- GRU --------------------------------------------------------------------------------------------------------------


def _gru_reference(x: Array, h: Array, w: Array, b: Array, *, sizes: Sizes, reverse: bool) -> Result:
    walk, n = _walk(sizes, reverse), h.shape[1]
    y, hn = np.empty((len(x), n), x.dtype), h.copy()
    gates = np.empty((len(x), 4 * n), x.dtype)
    for step in range(len(walk.counts)):
        rows, live = _rows(walk, step), slice(walk.counts[step])
        (xr, xz, xn), (pr, pz, q) = np.split(x[rows], 3, -1), np.split(hn[live] @ w.T + b, 3, -1)
        r, z = _sigmoid(xr + pr), _sigmoid(xz + pz)
        m = np.tanh(xn + r * q)
        gates[rows] = np.concatenate([r, z, m, q], -1)
        y[rows] = hn[live] = m + z * (hn[live] - m)
    return (y, hn), (x, h, w, b, y, gates)


def _gru_forward(x: Array, h: Array, w: Array, b: Array, **how: Any) -> Result:
    walk = _walk(**how)
    y, hn, gates = _core.gru_layer(x, h, w, b, *walk)
    return (y, hn), (x, h, w, b, y, gates)


def _gru_joint(_wanted: Any, g: Any, *saved: Any, **how: Any) -> Any:
    return apply(GRU_LAYER_VJP, *g, *saved, **how)


GRU_LAYER = Op(
    "gru_layer",
    _gru_reference,
    _gru_forward,
    parts(_gru_joint, 4),
    None,
    _layouts(3, 1, True),
    joint=_gru_joint,
    length=_length,
)


def _gru_vjp_reference(*args: Array, sizes: Sizes, reverse: bool) -> Result:
    gy, gh, x, h, w, _, y, gates = args
    walk = _walk(sizes, reverse)
    dx, dp, dh = np.empty_like(x), np.empty_like(x), gh.copy()
    old = _before(y, h, sizes=sizes, reverse=reverse)
    for step in reversed(range(len(walk.counts))):
        rows, live = _rows(walk, step), slice(walk.counts[step])
        r, z, m, q = np.split(gates[rows], 4, -1)
        up = dh[live] + gy[rows]
        e = up * (1 - z) * (1 - m * m)
        dr, dz = e * q * r * (1 - r), up * (old[rows] - m) * z * (1 - z)
        dx[rows], dp[rows] = np.concatenate([dr, dz, e], -1), np.concatenate([dr, dz, e * r], -1)
        dh[live] = up * z + dp[rows] @ w
    return (dx, dh, _summed(dp, old), dp.sum(0)), args


def _gru_vjp_forward(*args: Array, **how: Any) -> Result:
    gy, gh, _, h, w, _, y, gates = args
    walk = _walk(**how)
    dx, dp, dh = _core.gru_layer_vjp(gy, gh, h, w, y, gates, *walk)
    return (dx, dh, _weight_vjp(dp, y, h, **how), _core.sum(dp, (0,))), args


def _gru_steps(x: Any, h: Any, w: Any, b: Any, **how: Any) -> tuple[Any, ...]:
    return step_by_step(lambda a, h: (apply(GRU_CELL, a, linear(h, w, b), h),), x, (h,), **how)


_gru_vjp_joint = vjp_joint(_gru_steps, 2, 4)
GRU_LAYER_VJP = Op(
    "gru_layer_vjp",
    _gru_vjp_reference,
    _gru_vjp_forward,
    (*parts(_gru_vjp_joint, 6), None, None),
    None,
    _vjp_samples(GRU_LAYER),
    joint=_gru_vjp_joint,
    length=_length,
)


# --- the simplest -----------------------------------------------------------------------------------------------------


def _rnn_reference(x: Array, h: Array, w: Array, *, relu: bool, sizes: Sizes, reverse: bool) -> Result:
    walk = _walk(sizes, reverse)
    y, hn = np.empty_like(x), h.copy()
    for step in range(len(walk.counts)):
        rows, live = _rows(walk, step), slice(walk.counts[step])
        a = x[rows] + hn[live] @ w.T
        y[rows] = hn[live] = np.maximum(a, 0) if relu else np.tanh(a)
    return (y, hn), (x, h, w, y)


def _rnn_forward(x: Array, h: Array, w: Array, *, relu: bool, **how: Any) -> Result:
    walk = _walk(**how)
    y, hn = _core.rnn_layer(x, h, w, relu, *walk)
    return (y, hn), (x, h, w, y)


def _rnn_joint(_wanted: Any, g: Any, *saved: Any, **how: Any) -> Any:
    return apply(RNN_LAYER_VJP, *g, *saved, **how)


def _rnn_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for i, sample in enumerate(_layouts(1, 1, False)(rng)):
        yield Sample(sample.args, {**sample.params, "relu": i % 3 == 1}, large=sample.large)


RNN_LAYER = Op(
    "rnn_layer",
    _rnn_reference,
    _rnn_forward,
    parts(_rnn_joint, 3),
    None,
    _rnn_samples,
    joint=_rnn_joint,
    length=_length,
)


def _rnn_vjp_reference(*args: Array, relu: bool, sizes: Sizes, reverse: bool) -> Result:
    gy, gh, x, h, w, y = args
    walk = _walk(sizes, reverse)
    dx, dh = np.empty_like(x), gh.copy()
    for step in reversed(range(len(walk.counts))):
        rows, live = _rows(walk, step), slice(walk.counts[step])
        up = dh[live] + gy[rows]
        dx[rows] = np.where(y[rows] <= 0, 0, up) if relu else up * (1 - y[rows] * y[rows])
        dh[live] = dx[rows] @ w
    return (dx, dh, _summed(dx, _before(y, h, sizes=sizes, reverse=reverse))), args


def _rnn_vjp_forward(*args: Array, relu: bool, **how: Any) -> Result:
    gy, gh, _, h, w, y = args
    walk = _walk(**how)
    dx, dh = _core.rnn_layer_vjp(gy, gh, w, y, relu, *walk)
    return (dx, dh, _weight_vjp(dx, y, h, **how)), args


def _rnn_steps(x: Any, h: Any, w: Any, *, relu: bool, **how: Any) -> tuple[Any, ...]:
    bend = rectified if relu else tanh
    return step_by_step(lambda a, h: (bend(add(a, linear(h, w))),), x, (h,), **how)


_rnn_vjp_joint = vjp_joint(_rnn_steps, 2, 3)
RNN_LAYER_VJP = Op(
    "rnn_layer_vjp",
    _rnn_vjp_reference,
    _rnn_vjp_forward,
    (*parts(_rnn_vjp_joint, 5), None),
    None,
    _vjp_samples(RNN_LAYER),
    joint=_rnn_vjp_joint,
    length=_length,
)
