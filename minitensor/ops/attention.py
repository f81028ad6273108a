r"""Attention: every query's mean of the values, weighted by how well their keys match it.

    forward    y = p v,   p = softmax(s),   s = scale * q k^T + mask

    backward   dv = p^T g,   ds = p * (g v^T - <g, y>),   dq = scale * ds k,   dk = scale * ds^T q

The operator `attention` never has the matrix of scores: it keeps y and the logarithm of each row's sum, from which the
backward, an operator too, makes the weights again. Where the weights themselves are asked for, dropped out of or masked
by something that wants a gradient, it is a composition of matmul, softmax and matmul (`_attend`), from which the
backward also has its own derivatives (`composite.py`).

Kernel: csrc/kernels/attention.cpp.
Sources: Vaswani et al., "Attention is all you need", 2017; Dao et al., "FlashAttention", 2022.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, ShapeError
from ..graph.record import apply
from ..graph.tensors import Tensor, vmap_layer
from ..op import Op, Result, Sample, parts
from .arithmetic import add, mul
from .common import Array, array_of, lowered, need_float, raw, shape_of, to_dtype
from .comparison import eq, logical_not, where
from .composite import vjp_joint
from .dropout import dropout
from .join import cat, chunk
from .matmul import linear, matmul
from .reduce import all, mean
from .shape import expand, permute, reshape, squeeze, transpose, unsqueeze
from .softmax import SOFTMAX

Shape = tuple[int, ...]


# --- without the scores -----------------------------------------------------------------------------------------------


def _weights(q: Array, k: Array, mask: Array | None, i: int, causal: bool, scale: float) -> tuple[Array, slice]:
    """The scores of query i and the keys that it sees."""
    keys = slice(i + 1 if causal else None)
    x = scale * np.einsum("...e,...se->...s", q[..., i, :], k[..., keys, :])
    if mask is not None:
        x = x + np.broadcast_to(mask, (*mask.shape[:-2], q.shape[-2], k.shape[-2]))[..., i, keys]
    return x, keys


def _reference(q: Array, k: Array, v: Array, mask: Array | None, *, causal: bool, scale: float) -> Result:
    batch = np.broadcast_shapes(*[x.shape[:-2] for x in (q, k, v, mask) if x is not None])
    y, lse = np.zeros((*batch, q.shape[-2], v.shape[-1]), q.dtype), np.full((*batch, q.shape[-2]), np.inf, q.dtype)
    for i in range(q.shape[-2]):
        x, keys = _weights(q, k, mask, i, causal, scale)
        m = x.max(-1, initial=-np.inf, keepdims=True)
        alone = np.isneginf(m)
        p = np.exp(x - np.where(alone, 0, m))
        total = p.sum(-1, keepdims=True)
        mean = np.einsum("...s,...sv->...v", p / np.where(alone, 1, total), v[..., keys, :])
        y[..., i, :] = np.where(alone, 0, mean)
        lse[..., i] = np.where(alone, np.inf, m + np.log(np.where(alone, 1, total)))[..., 0]
    return y, (q, k, v, mask, y, lse)


def _forward(q: Array, k: Array, v: Array, mask: Array | None, *, causal: bool, scale: float) -> Result:
    y, lse = _core.attention(q, k, v, mask, causal, scale)
    return y, (q, k, v, mask, y, lse)


def _joint(_wanted: Any, g: Any, *saved: Any, **how: Any) -> Any:
    return (*apply(ATTENTION_VJP, g, *saved, **how), None)


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for causal, mask, *shapes in (
        (False, None, (3, 4), (5, 4), (5, 2)),
        (True, None, (3, 4), (5, 4), (5, 2)),
        (True, None, (5, 3), (2, 3), (2, 3)),
        (False, (3, 5), (2, 3, 4), (2, 5, 4), (2, 5, 3)),
        (False, (2, 1, 5), (2, 3, 4), (5, 4), (5, 3)),
        (False, (3, 1), (2, 1, 3, 2), (3, 4, 2), (4, 2)),
        (True, (2, 1, 4, 4), (2, 2, 4, 3), (2, 2, 4, 3), (2, 2, 4, 1)),
        (False, None, (1, 1), (1, 1), (1, 1)),
        (False, None, (2, 0, 3), (2, 4, 3), (2, 4, 3)),
        (False, None, (2, 3), (0, 3), (0, 2)),
        (False, None, (0, 2, 3), (0, 4, 3), (0, 4, 3)),
        (False, None, (2, 0), (3, 0), (3, 2)),
        (True, (17, 33), (17, 16), (33, 16), (33, 17)),
        (True, None, (300, 5), (290, 5), (290, 3)),
        (False, (1, 270), (140, 33), (270, 33), (270, 34)),
    ):
        args = [rng.standard_normal(shape) for shape in (*shapes, *([] if mask is None else [mask]))]
        large = args[0].shape[-2] > 100
        yield Sample((*args, *[None] * (4 - len(args))), {"causal": causal, "scale": 0.7}, large=large)
    hidden = np.where(rng.random((3, 5)) < 0.4, -np.inf, 0.0)
    hidden[1] = -np.inf
    args = [rng.standard_normal(shape) for shape in ((2, 3, 4), (2, 5, 4), (2, 5, 2))]
    yield Sample((*args, hidden), {"causal": False, "scale": 0.5})


def _length(q: Array, k: Array, *_: Any, **__: Any) -> int:
    return int(q.shape[-1] + k.shape[-2])


def _batch(args: Any, flags: Any, **how: Any) -> Any:
    ranks = [0 if x is None else len(shape_of(x)) - flag for x, flag in zip(args, flags, strict=True)]
    lined_up = []
    for x, flag, rank in zip(args, flags, ranks, strict=True):
        if flag and rank < max(ranks):
            size, *rest = shape_of(x)
            x = reshape(x, (size, *[1] * (max(ranks) - rank), *rest))
        lined_up.append(x)
    return apply(ATTENTION, *lined_up, **how)


ATTENTION = Op(
    "attention",
    _reference,
    _forward,
    (*parts(_joint, 3), None),
    None,
    _samples,
    joint=_joint,
    length=_length,
    batch=_batch,
)


def _vjp_reference(g: Array, *args: Any, causal: bool, scale: float) -> Result:
    q, k, v, mask, y, lse = args
    batch = g.shape[:-2]
    dq, dk, dv = [np.zeros((*batch, *x.shape[-2:]), q.dtype) for x in (q, k, v)]
    delta = np.sum(g * y, -1, keepdims=True)
    for i in range(q.shape[-2]):
        x, keys = _weights(q, k, mask, i, causal, scale)
        p = np.exp(x - lse[..., i, None])
        ds = p * (np.einsum("...v,...sv->...s", g[..., i, :], v[..., keys, :]) - delta[..., i, :]) * scale
        dq[..., i, :] = np.einsum("...s,...se->...e", ds, k[..., keys, :])
        dk[..., keys, :] += ds[..., None] * q[..., i, None, :]
        dv[..., keys, :] += p[..., None] * g[..., i, None, :]
    return _back(dq, dk, dv, q, k, v), (g, *args)


def _vjp_forward(g: Array, *args: Any, causal: bool, scale: float) -> Result:
    q, k, v, mask, y, lse = args
    dq, dk, dv = _core.attention_vjp(g, q, k, v, mask, y, lse, causal, scale)
    return _back(dq, dk, dv, q, k, v), (g, *args)


def _back(dq: Array, dk: Array, dv: Array, q: Array, k: Array, v: Array) -> tuple[Array, ...]:
    """The gradients, summed over the axes that were broadcast."""
    found = []
    for d, x in ((dq, q), (dk, k), (dv, v)):
        more = d.ndim - x.ndim
        axes = tuple([i for i in range(d.ndim) if i < more or (x.shape[i - more] == 1 and d.shape[i] != 1)])
        with np.errstate(invalid="ignore"):
            found.append(d.sum(axes, keepdims=True).reshape(x.shape) if axes else d)
    return tuple(found)


def _vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    def of(sample: Sample) -> Sample:
        def derive(*args: Any) -> tuple[Any, ...]:
            return (*args[:5], *_reference(*args[1:5], **sample.params)[1][4:])

        y, _ = _reference(*sample.args, **sample.params)
        return Sample(derive(rng.standard_normal(y.shape), *sample.args), sample.params, derive, sample.large)

    return map(of, _samples(rng))


def _composed(q: Any, k: Any, v: Any, mask: Any, *, causal: bool, scale: float) -> Any:
    """The same operator by way of the scores."""
    if causal:
        see = np.tri(shape_of(q)[-2], shape_of(k)[-2], dtype=bool)
        mask = see if mask is None else where(see, mask, -math.inf)
    return _attend(q, k, v, mask, 0.0, scale)[0]


_vjp_joint = vjp_joint(_composed, 1, 4)
ATTENTION_VJP = Op(
    "attention_vjp",
    _vjp_reference,
    _vjp_forward,
    (*parts(_vjp_joint, 4), None, None, None),
    None,
    _vjp_samples,
    joint=_vjp_joint,
    length=lambda g, q, k, *_, **__: int(q.shape[-1] + k.shape[-2] + q.shape[-2]),
)


def _fits(query: Any, mask: Any) -> bool:
    """Whether the operator serves: not for other dtypes, nor for a mask that derivatives are taken by."""
    settled = not isinstance(mask, Tensor) or (not mask.requires_grad and mask.layer is None)
    return settled and array_of(query).dtype in (np.float32, np.float64)


def _mean(query: Any, key: Any, value: Any, mask: Any, causal: bool, scale: float) -> Any:
    """The operator; of bools in a mask it takes 0 for True and -inf for False."""
    dtype = array_of(query).dtype
    if mask is not None and array_of(mask).dtype.kind == "b":
        mask = where(mask, np.zeros((), dtype), np.full((), -math.inf, dtype))
    if mask is not None and len(shape_of(mask)) < 2:
        mask = reshape(mask, (1, *(shape_of(mask) or (1,))))
    return apply(ATTENTION, query, key, value, mask, causal=causal, scale=scale)


# --- with them --------------------------------------------------------------------------------------------------------


def _masked(scores: Any, mask: Any) -> tuple[Any, Any]:
    """The scores with -inf where a mask of bools is False, or with a mask of numbers added; which rows have nothing."""
    if mask is None:
        return scores, None
    bools = array_of(mask).dtype.kind == "b"
    alone = all(logical_not(mask) if bools else eq(mask, -math.inf), -1, True)
    scores = where(mask, scores, -math.inf) if bools else add(scores, mask)
    return scores, alone if vmap_layer(alone) is not None or raw(alone).any() else None


def _attend(
    q: Any, k: Any, v: Any, mask: Any, dropout_p: float, scale: float, alone_gets: float = 0.0
) -> tuple[Any, Any]:
    """(the mean of the values, the weights) of queries (..., L, E), keys (..., S, E), values (..., S, V).

    `alone_gets` are the weights of a query to which the mask leaves nothing: 0, or NaN as the softmax has it.
    """
    scores, alone = _masked(matmul(mul(q, scale), transpose(k, -2, -1)), mask)
    if alone is not None:
        scores = where(alone, 0.0, scores)  # so that no NaN gets into the gradients of the others
    weights = apply(SOFTMAX, scores, dim=len(shape_of(scores)) - 1)
    if alone is not None:
        weights = where(alone, alone_gets, weights)
    if dropout_p > 0:
        weights = dropout(weights, dropout_p)
    return matmul(weights, v), weights


def _check_mask(name: str, mask: Any, scores: Shape, dtype: Any) -> Any:
    """The mask, of bools or of the queries' dtype, that broadcasts to the scores."""
    a = array_of(mask)
    try:
        fits = np.broadcast_shapes(a.shape, scores) == scores
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(f"{name}: attn_mask {a.shape} does not broadcast to the scores {scores}")
    if a.dtype.kind != "b" and a.dtype not in (np.float32, dtype):
        raise DtypeError(f"{name}: attn_mask must be bool or {dtype}, not {a.dtype}")
    return mask if a.dtype.kind == "b" else to_dtype(mask, dtypes.of(dtype))


def _repeated(x: Any, heads: int) -> Any:
    """Keys or values of fewer heads, each for as many heads of queries in a row."""
    shape = shape_of(x)
    times = heads // shape[-3]
    wide = expand(unsqueeze(x, -3), (*shape[:-2], times, *shape[-2:]))
    return reshape(wide, (*shape[:-3], heads, *shape[-2:]))


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Any:
    r"""Every query's mean of the values, weighted by the softmax of its products with the keys.

        forward    y = p v,   p = softmax(scale * q k^T + mask) over the keys,   scale = 1 / sqrt(E) unless given
        backward   dv = p^T g,   ds = p * (g v^T - <g, y>),   dq = scale * ds k,   dk = scale * ds^T q
        kernel     csrc/kernels/attention.cpp; with dropout, or a mask that wants a gradient, matmul, softmax, matmul

    Shapes: query (..., L, E), key (..., S, E), value (..., S, V); the result (..., L, V); the axes before broadcast.
    attn_mask broadcasts to (..., L, S): of bools, True where a key may be seen, or of numbers, which are added.
    `is_causal`, in its place, shows query i the keys 0..i. A query that may see no key gets 0. `dropout_p` is applied
    to the weights, whenever it is given. With `enable_gqa` keys and values may have fewer heads (axis -3), each shared
    by as many heads of queries in a row.
    Raises ShapeError where sizes do not fit and for a mask beside is_causal, DtypeError where dtypes differ.
    Source: Vaswani et al., "Attention is all you need", 2017; Ainslie et al., "GQA", 2023, for shared heads.

    >>> q = mt.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> mt.nn.functional.scaled_dot_product_attention(q, q, q, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    name = "scaled_dot_product_attention"
    query, key, value, attn_mask = lowered(query, key, value, attn_mask)
    need_float(name, query, key, value)
    kinds = [array_of(v).dtype for v in (query, key, value)]
    if not (kinds[0] == kinds[1] == kinds[2]):
        raise DtypeError(f"{name}: query, key and value are {', '.join(map(str, kinds))}; they must be of one dtype")
    a, b, c = shape_of(query), shape_of(key), shape_of(value)
    given = f"{name}: query {a}, key {b}, value {c}"
    if min(len(a), len(b), len(c)) < 2 or a[-1] != b[-1] or b[-2] != c[-2]:
        raise ShapeError(f"{given}: expected (..., L, E), (..., S, E), (..., S, V)")
    if enable_gqa:
        if min(len(a), len(b), len(c)) < 3 or not b[-3] or a[-3] % b[-3] or not c[-3] or a[-3] % c[-3]:
            raise ShapeError(f"{given}: the queries' heads are no multiple of the others'")
        if b[-3] == c[-3] != a[-3] and attn_mask is None and dropout_p == 0:  # a further axis, along which they repeat
            wide = reshape(query, (*a[:-3], b[-3], a[-3] // b[-3], *a[-2:]))
            y = scaled_dot_product_attention(
                wide, unsqueeze(key, -3), unsqueeze(value, -3), None, 0.0, is_causal, scale
            )
            return reshape(y, (*shape_of(y)[:-4], a[-3], a[-2], c[-1]))
        key, value = _repeated(key, a[-3]), _repeated(value, a[-3])
        b, c = shape_of(key), shape_of(value)
    try:
        scores = (*a[:-1], b[-2])
        if not (a[:-2] == b[:-2] == c[:-2]):
            scores = (*np.broadcast_shapes(a[:-2], b[:-2]), *scores[-2:])
            np.broadcast_shapes(scores[:-2], c[:-2])
    except ValueError:
        raise ShapeError(f"{given}: the axes before the last two do not broadcast") from None
    if attn_mask is not None:
        if is_causal:
            raise ShapeError(f"{name}: give either attn_mask or is_causal")
        attn_mask = _check_mask(name, attn_mask, scores, kinds[0])
    if scale is None:
        scale = 1 / math.sqrt(a[-1]) if a[-1] else 1.0
    if dropout_p == 0 and _fits(query, attn_mask):
        return _mean(query, key, value, attn_mask, bool(is_causal), float(scale))
    if is_causal:
        attn_mask = np.tri(a[-2], b[-2], dtype=bool)
    return _attend(query, key, value, attn_mask, dropout_p, scale)[0]


# --- several heads ----------------------------------------------------------------------------------------------------


def _additive(name: str, what: str, mask: Any, shapes: tuple[Shape, ...], dtype: Any) -> Any:
    """A mask as numbers to add: for bools, which here say what is hidden, -inf where they are True."""
    if mask is None:
        return None
    a = array_of(mask)
    if a.shape not in shapes:
        raise ShapeError(f"{name}: {what} {a.shape} must have the shape {' or '.join(map(str, shapes))}")
    if a.dtype.kind == "b":
        return where(mask, np.full((), -math.inf, dtype), np.zeros((), dtype))
    if a.dtype.kind != "f":
        raise DtypeError(f"{name}: {what} must be of bools or floating, not {a.dtype}")
    return to_dtype(mask, dtypes.of(dtype))


def _more_keys(x: Any, more: Any) -> Any:
    """x (N, S, E) with one further key or value (1, 1, E) at its end, for every example."""
    n, _, width = shape_of(x)
    return cat([x, expand(more, (n, 1, width))], 1)


def _wider(mask: Any, by: int) -> Any:
    """A mask (..., S) that also shows what `_more_keys` has put at the end."""
    if mask is None or not by:
        return mask
    return cat([mask, np.zeros((*shape_of(mask)[:-1], by), array_of(mask).dtype)], -1)


def _projected(query: Any, key: Any, value: Any, weight: Any, bias: Any, width: int) -> list[Any]:
    """q, k, v from one matrix of three: in one product where the inputs are one and the same tensor."""
    if query is key and key is value:
        return list(chunk(linear(query, weight, bias), 3, -1))
    parts = [None] * 3 if bias is None else chunk(bias, 3, 0)
    rows = chunk(weight, 3, 0)
    return [linear(x, w, b) for x, w, b in zip((query, key, value), rows, parts, strict=True)]


def _check_heads(name: str, query: Any, key: Any, value: Any, width: int, heads: int) -> None:
    a, b, c = shape_of(query), shape_of(key), shape_of(value)
    if len(a) not in (2, 3) or len(b) != len(a) or len(c) != len(a):
        raise ShapeError(f"{name}: query {a}, key {b}, value {c}: expected (L, N, E) or (L, E), all alike")
    if a[-1] != width:
        raise ShapeError(f"{name}: query {a}: the last size must be embed_dim {width}")
    if heads < 1 or width % heads:
        raise ShapeError(f"{name}: embed_dim {width} cannot be divided into {heads} heads")
    if b[:-1] != c[:-1] or a[1:-1] != b[1:-1]:
        raise ShapeError(f"{name}: query {a}, key {b}, value {c}: key and value must be equally long, batches equal")


def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    static_k: Any = None,
    static_v: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Any, Any]:
    r"""Attention of several heads, each in a part of its own of the projected axis; what `nn.MultiheadAttention` calls.

        forward    y = (y_1, ..., y_H) W_out^T + b_out,   y_h = attention(q_h, k_h, v_h)
                   q = x_q W_q^T + b_q, and k, v likewise, each cut into H parts along its last axis

    Shapes: query (L, N, E), key (S, N, ...), value (S, N, ...), or all without N; in_proj_weight (3 E, E) or three
    separate ones; key_padding_mask (N, S); attn_mask (L, S) or (N H, L, S); both of bools, True where a key is hidden,
    or of numbers, which are added. Returns the output (L, N, E), and the weights if `need_weights`: (N, L, S), their
    mean over the heads, or (N, H, L, S). `bias_k`, `bias_v` are one further key and value, `add_zero_attn` one of
    zeros. `is_causal` says that attn_mask is the causal one.
    Where all keys are hidden: 0 without weights, NaN with them, as in PyTorch.
    Raises ShapeError where sizes do not fit, DtypeError for other masks.

    >>> x = mt.ones(3, 1, 4)
    >>> w, b, v = mt.ones(12, 4), mt.zeros(12), mt.eye(4)
    >>> y, p = mt.nn.functional.multi_head_attention_forward(
    ...     x, x, x, 4, 2, w, b, None, None, False, 0.0, v, None
    ... )
    >>> y.shape, p[0, 0]
    (minitensor.Size([3, 1, 4]), tensor([0.3333, 0.3333, 0.3333]))
    """
    name = "multi_head_attention_forward"
    need_float(name, query, key, value)
    width, heads = int(embed_dim_to_check), int(num_heads)
    _check_heads(name, query, key, value, width, heads)
    batched = len(shape_of(query)) == 3
    q, k, v = _batch_first(query, key, value, batched)
    n, length, _ = shape_of(q)
    dtype = array_of(q).dtype
    keys = shape_of(k)[1]
    if is_causal and attn_mask is None:
        raise ShapeError(f"{name}: is_causal is a hint about attn_mask, which must be given with it")
    is_causal = is_causal and key_padding_mask is None and not need_weights
    several = ((length, keys), (n * heads, length, keys))
    mask = None if is_causal else _additive(name, "attn_mask", attn_mask, several, dtype)
    padding = _additive(name, "key_padding_mask", key_padding_mask, ((n, keys),) if batched else ((keys,),), dtype)

    if use_separate_proj_weight:
        biases = [None] * 3 if in_proj_bias is None else chunk(in_proj_bias, 3, 0)
        ways = zip((q, k, v), (q_proj_weight, k_proj_weight, v_proj_weight), biases, strict=True)
        q, k, v = [linear(x, w, b) for x, w, b in ways]
    else:
        q, k, v = _projected(q, k, v, in_proj_weight, in_proj_bias, width)
    more = 0
    if bias_k is not None and bias_v is not None:
        k, v, more = _more_keys(k, bias_k), _more_keys(v, bias_v), 1
    k, v = _in_heads(k, heads, static_k), _in_heads(v, heads, static_v)
    if add_zero_attn:
        nothing: Array = np.zeros((n, heads, 1, width // heads), dtype)
        k, v, more = cat([k, nothing], 2), cat([v, nothing], 2), more + 1
    mask, padding = _wider(mask, more), _wider(padding, more)
    if mask is not None and len(shape_of(mask)) == 3:
        mask = reshape(mask, (n, heads, length, -1))
    if padding is not None:
        padding = reshape(padding, (n, 1, 1, -1))
        mask = padding if mask is None else add(mask, padding)
    if is_causal:
        mask = np.tri(length, shape_of(k)[2], dtype=bool)

    drop, q, scale = dropout_p if training else 0.0, _in_heads(q, heads, None), 1 / math.sqrt(width // heads)
    if need_weights or drop > 0 or not _fits(q, mask):
        y, p = _attend(q, k, v, mask, drop, scale, math.nan if need_weights else 0.0)
    else:
        y, p = _mean(q, k, v, mask, False, scale), None
    y = linear(reshape(permute(y, 2, 0, 1, 3), (length, n, width)), out_proj_weight, out_proj_bias)
    y = y if batched else squeeze(y, 1)
    if not need_weights:
        return y, None
    p = mean(p, 1) if average_attn_weights else p
    return y, p if batched else squeeze(p, 0)


def _batch_first(query: Any, key: Any, value: Any, batched: bool) -> list[Any]:
    """(L, N, E) or (L, E) as (N, L, E); what is one and the same tensor stays so."""
    q = transpose(query, 0, 1) if batched else unsqueeze(query, 0)
    k = q if key is query else transpose(key, 0, 1) if batched else unsqueeze(key, 0)
    v = k if value is key else transpose(value, 0, 1) if batched else unsqueeze(value, 0)
    return [q, k, v]


def _in_heads(x: Any, heads: int, given: Any) -> Any:
    """x (N, S, E) as (N, H, S, E / H); or what is given in its place, (N H, S, E / H)."""
    n, s, width = shape_of(x)
    if given is not None:
        return reshape(given, (n, heads, *shape_of(given)[1:]))
    return transpose(reshape(x, (n, s, heads, width // heads)), 1, 2)
