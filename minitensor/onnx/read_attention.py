"""Attention and the rotation of positions, written out; branches and loops: see `table`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import minitensor as mt

from ..ops.common import raw
from .table import UnsupportedError, dtype_of, item, like, reads


def _heads(x: Any, count: int) -> Any:
    """(batch, steps, heads * width) as (batch, heads, steps, width)."""
    return x.reshape((*x.shape[:2], count, -1)).permute((0, 2, 1, 3))


def _allowed(q: int, k: int, offset: Any, causal: int, left: int, right: int) -> Any:
    """Which of k keys each of q queries may see; `offset` keys come before the first query (of each example)."""
    at = np.arange(q)[:, None] + np.reshape(offset, (-1, 1, 1, 1))
    seen = np.ones(np.broadcast_shapes(at.shape, (q, k)), bool)
    ahead = np.arange(k) - at
    seen &= (ahead <= 0) if causal else True
    seen &= (ahead >= -left) if left >= 0 else True
    return seen & (ahead <= right) if right >= 0 else seen


@reads("Attention", since=23)
def _attention(
    q: Any,
    k: Any,
    v: Any,
    mask: Any = None,
    past_key: Any = None,
    past_value: Any = None,
    lengths: Any = None,
    *,
    is_causal: int = 0,
    q_num_heads: int | None = None,
    kv_num_heads: int | None = None,
    qk_matmul_output_mode: int = 0,
    scale: float | None = None,
    softcap: float = 0.0,
    softmax_precision: int | None = None,
    left_window_size: int = -1,
    right_window_size: int = -1,
) -> Any:
    flat, dtype = q.ndim == 3, q.dtype
    if flat:
        q, k, v = _heads(q, q_num_heads or 1), _heads(k, kv_num_heads or 1), _heads(v, kv_num_heads or 1)
    if past_key is not None:
        k, v = mt.cat([past_key, k], 2), mt.cat([past_value, v], 2)
    present = (k, v)
    queries, keys = q.shape[2], k.shape[2]
    repeats = q.shape[1] // k.shape[1]
    if repeats > 1:
        k, v = k.repeat_interleave(repeats, 1), v.repeat_interleave(repeats, 1)
    q, k, v = [x if x.dtype is mt.float64 else x.to(mt.float32) for x in (q, k, v)]  # half precision rounds once
    root = math.sqrt(1 / math.sqrt(q.shape[3]) if scale is None else scale)
    scores = mt.matmul(q * root, mt.transpose(k * root, 2, 3))
    shown = scores
    if softcap:
        scores = softcap * mt.tanh(scores / softcap)
    shown = scores if qk_matmul_output_mode == 1 else shown
    offset: Any = 0 if past_key is None else past_key.shape[2]
    if lengths is not None:
        offset = raw(lengths).ravel() - queries
    seen = _allowed(queries, keys, offset, is_causal, left_window_size, right_window_size)
    if lengths is not None:
        seen = seen & (np.arange(keys) < raw(lengths).reshape((-1, 1, 1, 1)))
    bias = mt.as_tensor(np.where(seen, 0, -np.inf).astype(raw(q).dtype))
    if mask is not None:
        given = raw(mask)
        missing = keys - given.shape[-1]
        if missing:
            fill = False if given.dtype == bool else -np.inf
            tail = mt.full((*given.shape[:-1], missing), fill, dtype=mask.dtype)
            mask = mt.cat([mask, tail], -1)
        if mask.dtype is mt.bool:
            mask = mt.where(mask, like(q, 0), like(q, -math.inf))
        bias = bias + mask
    scores = scores + bias
    shown = scores if qk_matmul_output_mode == 2 else shown
    blind = mt.amax(bias, -1, True) == -math.inf  # a query that may see nothing
    scores = scores if softmax_precision is None else scores.to(dtype_of(softmax_precision))
    weights = mt.where(blind, like(q, 0), mt.softmax(scores, -1).to(q.dtype))
    shown = weights if qk_matmul_output_mode == 3 else shown
    y = mt.matmul(weights, v)
    if flat:
        y = y.permute((0, 2, 1, 3)).reshape((y.shape[0], queries, -1))
    return y.to(dtype), *present, shown.to(dtype)


@reads("RotaryEmbedding", since=23)
def _rotary(
    x: Any,
    cos: Any,
    sin: Any,
    positions: Any = None,
    *,
    interleaved: int = 0,
    num_heads: int = 0,
    rotary_embedding_dim: int = 0,
) -> Any:
    shape, flat = x.shape, x.ndim == 3
    x = _heads(x, num_heads) if flat else x
    width = rotary_embedding_dim or x.shape[3]
    turned, rest = x[..., :width], x[..., width:]
    if positions is not None:
        cos, sin = cos[positions.long()], sin[positions.long()]
    cos, sin = cos[:, None, :, : width // 2], sin[:, None, :, : width // 2]
    a, b = (turned[..., ::2], turned[..., 1::2]) if interleaved else mt.chunk(turned, 2, -1)
    real, imaginary = a * cos - b * sin, a * sin + b * cos
    if interleaved:
        turned = mt.stack([real, imaginary], -1).reshape(turned.shape)
    else:
        turned = mt.cat([real, imaginary], -1)
    y = mt.cat([turned, rest], -1)
    return y.permute((0, 2, 1, 3)).reshape(shape) if flat else y


# --- branches and loops -----------------------------------------------------------------------------------------------


@reads("If", at=True)
def _if(condition: Any, *, then_branch: Any, else_branch: Any, at: Any) -> Any:
    return tuple((then_branch if item(condition) else else_branch).run((), at))


@reads("Loop", at=True)
def _loop(limit: Any, condition: Any, *states: Any, body: Any, at: Any) -> Any:
    trips, going, n = item(limit), item(condition, True), 0
    kept: list[list[Any]] = [[] for _ in range(len(body.outputs) - 1 - len(states))]
    while going and (trips is None or n < trips):
        counter = mt.as_tensor(np.asarray(n, np.int64))
        on, *made = body.run((counter, mt.as_tensor(np.asarray(True)), *states), at)
        states, going, n = tuple(made[: len(states)]), item(on), n + 1
        for column, y in zip(kept, made[len(states) :], strict=True):
            column.append(y)
    return *states, *[mt.stack(column) if column else mt.zeros((0,)) for column in kept]


@reads("Scan", at=True)
def _scan_of_batches(lengths: Any, *args: Any, body: Any, num_scan_inputs: int, directions: Any = None, at: Any) -> Any:
    if lengths is not None:
        raise UnsupportedError("sequence_lens")
    rows = [
        _scan(*one, body=body, num_scan_inputs=num_scan_inputs, scan_input_directions=directions, at=at)
        for one in zip(*[mt.unbind(x, 0) for x in args], strict=True)
    ]
    return tuple([mt.stack(list(column)) for column in zip(*rows, strict=True)])


@reads("Scan", since=9, at=True)
def _scan(
    *args: Any,
    body: Any,
    num_scan_inputs: int,
    scan_input_axes: Any = None,
    scan_input_directions: Any = None,
    scan_output_axes: Any = None,
    scan_output_directions: Any = None,
    at: Any,
) -> Any:
    count = len(args) - num_scan_inputs
    states, lines = args[:count], args[count:]
    outputs = len(body.outputs) - count
    axes, turned = scan_input_axes or [0] * len(lines), scan_input_directions or [0] * len(lines)
    rows = [mt.unbind(x, d)[:: -1 if t else 1] for x, d, t in zip(lines, axes, turned, strict=True)]
    kept: list[list[Any]] = [[] for _ in range(outputs)]
    for row in zip(*rows, strict=True):
        made = body.run((*states, *row), at)
        states = tuple(made[:count])
        for column, y in zip(kept, made[count:], strict=True):
            column.append(y)
    axes, turned = scan_output_axes or [0] * outputs, scan_output_directions or [0] * outputs
    return *states, *[mt.stack(c[:: -1 if t else 1], d) for c, d, t in zip(kept, axes, turned, strict=True)]
