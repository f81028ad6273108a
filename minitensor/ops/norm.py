r"""Normalisation: subtract the mean, divide by the standard deviation, scale and shift.

    forward    y = w * z + b,   z = (x - mean) * rstd,   rstd = 1 / sqrt(var + eps)
    backward   dx = rstd * (h - mean(h) - z * mean(h * z)),  h = w * g     as mean and rstd depend on x:
                   dz_i/dx_j = rstd * ([i = j] - 1/n - z_i z_j / n)
               dw = sum g * z,  db = sum g
    saved      x, w, mean, rstd

Layer norm takes mean and variance (over n, not n - 1) of the last axes, batch norm of all axes but the
channels', axis 1. All else is the same and stands here once, with the `axes` as a parameter. The
gradients are operators too. They are given mean and rstd, which saves work; their derivatives count both
as the functions of x that they are, and so hold for every order.

Kernels: csrc/kernels/norm.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, GraphError, ShapeError
from ..graph.record import apply, attempt
from ..op import Op, Result, Sample
from .arithmetic import add, div, mul, neg, square, sub
from .common import (
    Array,
    array_of,
    few,
    laid_as,
    need_float,
    raw,
    shape_of,
    to_dtype,
    together,
    with_batch,
)
from .functions import pow, rsqrt
from .join import cat, narrow
from .moments import var
from .reduce import mean, sum_to
from .shape import reshape, transpose

Shape = tuple[int, ...]
Axes = tuple[int, ...]


def _is_layer(ndim: int, axes: Axes) -> bool:
    """Whether the axes are the last ones (layer norm) and not all but axis 1 (batch norm)."""
    return axes == tuple(range(ndim - len(axes), ndim))


def spread(shape: Shape, axes: Axes) -> Shape:
    """The shape of weight and bias, filled up with ones so that they broadcast."""
    if _is_layer(len(shape), axes):
        return shape[len(shape) - len(axes) :]
    return (shape[1], *[1] * (len(shape) - 2))


def scaled(g: Any, weight: Any, axes: Axes) -> Any:
    """g * weight, where there is one."""
    return g if weight is None else mul(g, reshape(weight, spread(shape_of(g), axes)))


def affine(x: Any, weight: Any, bias: Any) -> Any:
    """x (N, C, ...) times a weight and plus a bias for each channel, where there are these."""
    shape = shape_of(x)
    wide = (shape[1], *[1] * (len(shape) - 2))
    y = x if weight is None else mul(x, reshape(weight, wide))
    return y if bias is None else add(y, reshape(bias, wide))


def gathered(g: Any, axes: Axes) -> Any:
    """The sum of g over all that one weight was applied to."""
    shape = shape_of(g)
    total = sum_to(g, spread(shape, axes))
    return total if _is_layer(len(shape), axes) else reshape(total, (shape[1],))


def _kept(x: Array, axes: Axes) -> Shape:
    return tuple([1 if i in axes else n for i, n in enumerate(x.shape)])


def _rows(x: Array, axes: Axes) -> int:
    return math.prod([x.shape[i] for i in axes])


def normalised(x: Any, axes: Axes, eps: float) -> Any:
    """z, in the graph."""
    if _is_layer(len(shape_of(x)), axes):
        return apply(LAYER_NORM, x, None, None, axes=axes, eps=eps)
    return apply(BATCH_NORM, x, None, None, None, None, axes=axes, eps=eps, momentum=0.0)


# --- the norms --------------------------------------------------------------------------------------------------------


def reference(x: Array, weight: Array | None, bias: Array | None, *, axes: Axes, eps: float) -> Result:
    with np.errstate(all="ignore"):
        m = x.mean(axes, keepdims=True)
        rstd = 1 / np.sqrt(np.square(x - m).mean(axes, keepdims=True) + eps)
        y = (x - m) * rstd
        if weight is not None:
            y = y * weight.reshape(spread(x.shape, axes))
        if bias is not None:
            y = y + bias.reshape(spread(x.shape, axes))
    return y.astype(x.dtype), (x, weight, m.reshape(-1), rstd.reshape(-1).astype(x.dtype))


def _dx(g: Any, x: Any, weight: Any, m: Any, rstd: Any, *, axes: Axes, eps: float, **_: Any) -> Any:
    return apply(NORM_VJP, g, x, weight, m, rstd, axes=axes, eps=eps)


def _dweight(g: Any, x: Any, _weight: Any, m: Any, rstd: Any, *, axes: Axes, eps: float, **_: Any) -> Any:
    return apply(NORM_DWEIGHT, g, x, m, rstd, axes=axes, eps=eps)


def _dbias(g: Any, _x: Any, _weight: Any, _m: Any, _rstd: Any, *, axes: Axes, **_: Any) -> Any:
    return gathered(g, axes)


def _joint(g: Array, x: Array, weight: Any, m: Array, rstd: Array, *, axes: Axes, eps: float, **_: Any) -> Any:
    if not _is_layer(x.ndim, axes):
        return (*_core.batch_norm_vjp(g, x, weight, m, rstd), None, None)
    dx, dw, db = _core.layer_norm_vjp(g, x, weight, m, rstd, _rows(x, axes))
    shape = spread(x.shape, axes)
    return (dx, dw, db) if len(shape) == 1 else (dx, dw.reshape(shape), db.reshape(shape))


def _jvp(tangents: Any, x: Any, weight: Any, m: Any, rstd: Any, *, axes: Axes, eps: float, **_: Any) -> Any:
    # dz = rstd * (t - mean(t) - z * mean(t * z)): the Jacobian of z is symmetric
    t, dw, db = tangents[:3]
    parts = []
    if t is not None:
        dz = apply(NORM_VJP, t, x, None, m, rstd, axes=axes, eps=eps)
        parts.append(scaled(dz, weight, axes))
    if dw is not None:
        parts.append(scaled(normalised(x, axes, eps), dw, axes))
    if db is not None:
        parts.append(mul(np.ones_like(raw(x)), reshape(db, spread(shape_of(x), axes))))
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    return total


def _count(x: Array, *_: Any, axes: Axes, **__: Any) -> int:
    return 4 * _rows(x, axes)


LAYERS = (
    ((3, 5), (1,)),
    ((2, 3, 4), (1, 2)),
    ((4,), (0,)),
    ((2, 17), (1,)),
    ((3, 67), (1,)),
    ((2, 1), (1,)),
    ((0, 3), (1,)),
)
BATCHES = (
    ((4, 3), (0,)),
    ((3, 17), (0,)),
    ((3, 2, 4), (0, 2)),
    ((2, 3, 2, 2), (0, 2, 3)),
    ((2, 2, 3, 11), (0, 2, 3)),
    ((3, 2, 1), (0, 2)),
)


def weights(rng: np.random.Generator, x: Array, axes: Axes) -> list[Array]:
    shape = x.shape[len(x.shape) - len(axes) :] if _is_layer(x.ndim, axes) else x.shape[1:2]
    return [rng.uniform(0.5, 2, shape), rng.standard_normal(shape)]


def _layer_norm_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, axes in LAYERS:
        x = rng.standard_normal(shape)
        yield Sample((x, *weights(rng, x, axes)), {"axes": axes, "eps": 1e-5})
    x = rng.standard_normal((2, 6))
    for weight, bias in ((None, None), (weights(rng, x, (1,))[0], None)):
        yield Sample((x, weight, bias), {"axes": (1,), "eps": 0.1})
    x = rng.standard_normal((600, 67))
    yield Sample((x, *weights(rng, x, (1,))), {"axes": (1,), "eps": 1e-5}, large=True)


def _layer_norm_batch(args: Any, flags: Any, *, axes: Axes, eps: float) -> Any:
    x, weight, bias = args
    over = tuple([i + 1 for i in axes])
    if not any(flags[1:]):
        return apply(LAYER_NORM, x, weight, bias, axes=over, eps=eps)
    x, weight, bias = with_batch(args, flags)
    out = apply(LAYER_NORM, x, None, None, axes=over, eps=eps)

    def lined_up(w: Any) -> Any:  # (batch, 1, ..., 1, normalised axes)
        size, *last = shape_of(w)
        return reshape(w, (size, *[1] * (len(shape_of(x)) - 1 - len(last)), *last))

    out = out if weight is None else mul(out, lined_up(weight))
    return out if bias is None else add(out, lined_up(bias))


LAYER_NORM = Op(
    "layer_norm",
    reference,
    None,
    (_dx, _dweight, _dbias),
    _jvp,
    _layer_norm_samples,
    length=_count,
    batch=_layer_norm_batch,
    joint=together(_joint, (_dx, _dweight, _dbias)),
    flat=True,
    kernel=_core.layer_norm,
    keeps=True,
    saves=(0, 1, -2, -3),
    names=("axes", "eps"),
)


# --- by the root mean square: y = w * z,  z = x * rstd,  rstd = 1 / sqrt(mean(x^2) + eps) -----------------------------


def _rms_reference(x: Array, weight: Array | None, *, axes: Axes, eps: float) -> Result:
    with np.errstate(all="ignore"):
        rstd = 1 / np.sqrt(np.square(x).mean(axes, keepdims=True) + eps)
        y = x * rstd if weight is None else x * rstd * weight
    return y.astype(x.dtype), (x, weight, rstd.reshape(-1).astype(x.dtype))


def _rms(x: Any, axes: Axes, eps: float) -> tuple[Any, Any]:
    """(z, rstd), in the graph."""
    rstd = rsqrt(add(mean(square(x), axes, True), eps))
    return mul(x, rstd), rstd


def _rms_dx(g: Any, x: Any, weight: Any, rstd: Any, *, axes: Axes, eps: float) -> Any:
    # dz_i/dx_j = rstd * ([i = j] - z_i z_j / n):  dx = rstd * (h - z * mean(h * z)),  h = w * g
    h, (z, rstd) = scaled(g, weight, axes), _rms(x, axes, eps)  # the saved rstd is the kernel's: here it depends on x
    return mul(rstd, sub(h, mul(z, mean(mul(h, z), axes, True))))


def _rms_dweight(g: Any, x: Any, _weight: Any, _rstd: Any, *, axes: Axes, eps: float) -> Any:
    return gathered(mul(g, _rms(x, axes, eps)[0]), axes)


def _rms_joint(g: Array, x: Array, weight: Any, rstd: Array, *, axes: Axes, eps: float) -> Any:
    dx, dw, _ = _core.layer_norm_vjp(g, x, weight, None, rstd, _rows(x, axes))
    return dx, dw.reshape(spread(x.shape, axes))


def _rms_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _layer_norm_samples(rng):
        yield Sample(sample.args[:2], sample.params, large=sample.large)


def _rms_batch(args: Any, flags: Any, *, axes: Axes, eps: float) -> Any:
    over = tuple([i + 1 for i in axes])
    if not flags[1]:
        return apply(RMS_NORM, *args, axes=over, eps=eps)
    x, weight = with_batch(args, flags)
    size, *last = shape_of(weight)
    weight = reshape(weight, (size, *[1] * (len(shape_of(x)) - 1 - len(last)), *last))
    return mul(apply(RMS_NORM, x, None, axes=over, eps=eps), weight)


RMS_NORM = Op(
    "rms_norm",
    _rms_reference,
    None,
    (_rms_dx, _rms_dweight),
    None,
    _rms_samples,
    length=_count,
    batch=_rms_batch,
    joint=together(_rms_joint, (_rms_dx, _rms_dweight)),
    kernel=_core.rms_norm,
    keeps=True,
    saves=(0, 1, -3),
    names=("axes", "eps"),
)


# --- by mean and variance of the batch --------------------------------------------------------------------------------


def update(running: Array | None, now: Array, momentum: float) -> None:
    if running is not None:
        running *= 1 - momentum
        running += now * momentum


def _batch_norm_reference(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    axes: Axes,
    eps: float,
    momentum: float,
) -> Result:
    n = _rows(x, axes)
    y, saved = reference(x, weight, bias, axes=axes, eps=eps)
    update(running_mean, saved[2], momentum)
    update(running_var, x.var(axes) * (n / max(n - 1, 1)), momentum)
    return y, saved


def _batch_norm_forward(
    x: Array,
    weight: Array | None,
    bias: Array | None,
    running_mean: Array | None,
    running_var: Array | None,
    *,
    axes: Axes,
    eps: float,
    momentum: float,
) -> Result:
    n = _rows(x, axes)
    y, m, rstd, v = _core.batch_norm(x, weight, bias, eps)
    momentum = float(momentum)
    for running, now, scale in ((running_mean, m, momentum), (running_var, v, momentum * n / max(n - 1, 1))):
        if running is not None:  # in a third of NumPy's time
            running[...] = _core.add(_core.mul(running, 1 - momentum), _core.mul(now, scale))
    return laid_as(y, x), (x, weight, m, rstd)


def _batch_norm_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, axes in BATCHES:
        x = rng.standard_normal(shape)
        params = {"axes": axes, "eps": 1e-5, "momentum": 0.1}
        yield Sample((x, *weights(rng, x, axes), None, None), params)
    x = rng.standard_normal((3, 2, 5))
    yield Sample((x, None, None, None, None), {"axes": (0, 2), "eps": 0.1, "momentum": 0.0})
    x = rng.standard_normal((6, 5, 33, 33))
    params = {"axes": (0, 2, 3), "eps": 1e-5, "momentum": 0.1}
    yield Sample((x, *weights(rng, x, (0, 2, 3)), None, None), params, large=True)


def _batch_norm_batch(args: Any, flags: Any, **params: Any) -> Any:
    if any(s is not None and not flag for s, flag in zip(args[3:], flags[3:], strict=True)):
        raise GraphError(
            "batch_norm: inside vmap running statistics without the batch cannot be updated; use "
            "track_running_stats=False, evaluation mode, or statistics for each element"
        )
    if args[3] is not None or args[4] is not None:  # statistics that it writes
        return NotImplemented
    x, weight, bias = with_batch(args[:3], flags[:3])
    size, n, channels, *rest = shape_of(x)  # the batch becomes channels
    flat = reshape(transpose(x, 0, 1), (n, size * channels, *rest))
    weight, bias = [None if w is None else reshape(w, (size * channels,)) for w in (weight, bias)]
    out = apply(BATCH_NORM, flat, weight, bias, None, None, **params)
    return transpose(reshape(out, (n, size, channels, *rest)), 0, 1)


BATCH_NORM = Op(
    "batch_norm",
    _batch_norm_reference,
    _batch_norm_forward,
    (_dx, _dweight, _dbias, None, None),
    _jvp,
    _batch_norm_samples,
    length=_count,
    batch=_batch_norm_batch,
    joint=together(_joint, (_dx, _dweight, _dbias, None, None)),
    flat=True,
)


# --- the gradient by x ------------------------------------------------------------------------------------------------


def _norm_vjp_reference(
    g: Array, x: Array, weight: Array | None, m: Array, rstd: Array, *, axes: Axes, eps: float
) -> Result:
    r = rstd.reshape(_kept(x, axes))
    with np.errstate(all="ignore"):
        z = (x - m.reshape(r.shape)) * r
        h = g if weight is None else g * weight.reshape(spread(x.shape, axes))
        dx = r * (h - h.mean(axes, keepdims=True) - z * (h * z).mean(axes, keepdims=True))
    return dx, (g, x, weight, m, rstd)


def _norm_vjp_forward(
    g: Array, x: Array, weight: Array | None, m: Array, rstd: Array, *, axes: Axes, eps: float
) -> Result:
    if _is_layer(x.ndim, axes):
        dx, *_ = _core.layer_norm_vjp(g, x, weight, m, rstd, _rows(x, axes), weights=False)
    else:
        dx, *_ = _core.batch_norm_vjp(g, x, weight, m, rstd, weights=False)
    return dx, (g, x, weight, m, rstd)


def _norm_vjp_dg(u: Any, _g: Any, x: Any, weight: Any, m: Any, rstd: Any, *, axes: Axes, eps: float) -> Any:
    # P = I - 1 1^T/n - z z^T/n is symmetric:  <u, rstd * P (w * g)> by g is w * rstd * P u
    return scaled(apply(NORM_VJP, u, x, None, m, rstd, axes=axes, eps=eps), weight, axes)


def _norm_vjp_dx(u: Any, g: Any, x: Any, weight: Any, m: Any, rstd: Any, *, axes: Axes, eps: float) -> Any:
    # f = <u, D(h)> with D(v) = rstd * P v, a = mean(u * z), c = mean(h * z), n values each:
    #   drstd/dx = -rstd^2 z / n  and  d<v, z>/dx = D(v)  for a constant v, so
    #   df/dx = -rstd * (z * mean(u * D(h)) + c * D(u) + a * D(h))
    h = scaled(g, weight, axes)
    z = normalised(x, axes, eps)
    r = rsqrt(add(var(x, axes, keepdim=True, correction=0), eps))
    du = apply(NORM_VJP, u, x, None, m, rstd, axes=axes, eps=eps)
    dh = apply(NORM_VJP, h, x, None, m, rstd, axes=axes, eps=eps)
    first = mul(z, mean(mul(u, dh), axes, True))
    second = mul(du, mean(mul(h, z), axes, True))
    third = mul(dh, mean(mul(u, z), axes, True))
    return neg(mul(r, add(first, add(second, third))))


def _norm_vjp_dweight(u: Any, g: Any, x: Any, _weight: Any, m: Any, rstd: Any, *, axes: Axes, eps: float) -> Any:
    return gathered(mul(g, apply(NORM_VJP, u, x, None, m, rstd, axes=axes, eps=eps)), axes)


def _moments(x: Array, axes: Axes, eps: float) -> tuple[Array, Array]:
    saved = reference(x, None, None, axes=axes, eps=eps)[1]
    return saved[2], saved[3]


def _norm_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, axes in LAYERS + BATCHES:
        g, x = rng.standard_normal(shape), rng.standard_normal(shape)
        eps = 1e-5 if math.prod(shape) > 4 else 0.1

        def derive(g: Array, x: Array, weight: Any, *_: Any, axes: Axes = axes, eps: float = eps) -> tuple[Any, ...]:
            return g, x, weight, *_moments(x, axes, eps)

        for weight in (weights(rng, x, axes)[0], None):
            yield Sample(derive(g, x, weight), {"axes": axes, "eps": eps}, derive)
    g, x = rng.standard_normal((600, 67)), rng.standard_normal((600, 67))
    yield Sample((g, x, None, *_moments(x, (1,), 1e-5)), {"axes": (1,), "eps": 1e-5}, large=True)


def _norm_vjp_batch(args: Any, flags: Any, *, axes: Axes, eps: float) -> Any:
    g, x, weight, m, rstd = args
    if flags[2] or not _is_layer(len(shape_of(x)) - flags[1], axes):
        return NotImplemented
    g, x, m, rstd = with_batch((g, x, m, rstd), (flags[0], flags[1], flags[3], flags[4]))
    return apply(NORM_VJP, g, x, weight, m, rstd, axes=tuple([i + 1 for i in axes]), eps=eps)


NORM_VJP = Op(
    "norm_vjp",
    _norm_vjp_reference,
    _norm_vjp_forward,
    (_norm_vjp_dg, _norm_vjp_dx, _norm_vjp_dweight, None, None),
    None,
    _norm_vjp_samples,
    length=_count,
    batch=_norm_vjp_batch,
)


# --- the gradient by the weight ---------------------------------------------------------------------------------------


def _norm_dweight_reference(g: Array, x: Array, m: Array, rstd: Array, *, axes: Axes, eps: float) -> Result:
    kept = _kept(x, axes)
    with np.errstate(all="ignore"):
        each = g * ((x - m.reshape(kept)) * rstd.reshape(kept))
        if _is_layer(x.ndim, axes):
            dw = each.sum(tuple(range(x.ndim - len(axes))))
        else:
            dw = each.sum(axes)
    return np.asarray(dw), (g, x, m, rstd)


def _norm_dweight_forward(g: Array, x: Array, m: Array, rstd: Array, *, axes: Axes, eps: float) -> Result:
    if _is_layer(x.ndim, axes):
        _, dw, _ = _core.layer_norm_vjp(g, x, None, m, rstd, _rows(x, axes), input=False)
        dw = dw.reshape(spread(x.shape, axes))
    else:
        _, dw, _ = _core.batch_norm_vjp(g, x, None, m, rstd, input=False)
    return dw, (g, x, m, rstd)


def _norm_dweight_dg(u: Any, _g: Any, x: Any, _m: Any, _rstd: Any, *, axes: Axes, eps: float) -> Any:
    return scaled(normalised(x, axes, eps), u, axes)


def _norm_dweight_dx(u: Any, g: Any, x: Any, m: Any, rstd: Any, *, axes: Axes, eps: float) -> Any:
    return apply(NORM_VJP, g, x, u, m, rstd, axes=axes, eps=eps)  # <u, sum g * z> = <u * g, z>


def _norm_dweight_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sample in _norm_vjp_samples(rng):
        g, x, _, m, rstd = sample.args

        def derive(g: Array, x: Array, *_: Any, params: Any = sample.params) -> tuple[Any, ...]:
            return g, x, *_moments(x, **params)

        yield Sample((g, x, m, rstd), sample.params, derive, sample.large)


def _all(x: Array, *_: Any, **__: Any) -> int:
    return 4 * x.size


NORM_DWEIGHT = Op(
    "norm_dweight",
    _norm_dweight_reference,
    _norm_dweight_forward,
    (_norm_dweight_dg, _norm_dweight_dx, None, None),
    None,
    _norm_dweight_samples,
    length=_all,
)


# --- what users call --------------------------------------------------------------------------------------------------


def check_like(name: str, what: str, value: Any, x: Any, shape: Shape) -> None:
    """Raises unless `value`, if given, has a shape and the dtype of x."""
    if value is None:
        return
    a, dtype = array_of(value), array_of(x).dtype
    if a.shape != shape:
        raise ShapeError(f"{name}: {what} {a.shape} must have the shape {shape}")
    if a.dtype is not dtype and a.dtype != dtype:
        raise DtypeError(f"{name}: {what} is {a.dtype}, the input {dtype}")


def half_beside(input: Any, *others: Any) -> Any:
    """The dtype of an input of half precision whose weights or statistics are float32: it is float32's, rounded."""
    own = array_of(input).dtype
    if own.itemsize != 2 or not any(v is not None and array_of(v).dtype.itemsize == 4 for v in others):
        return None
    return dtypes.of(own)


def _last_axes(name: str, x: Any, normalized_shape: int | Sequence[int]) -> Axes:
    """The last axes, which must have these sizes."""
    given, shape = normalized_shape, shape_of(x)
    if not isinstance(given, tuple):
        given = tuple(given) if isinstance(given, Sequence) else (given,)
    if given and shape[-len(given) :] == given:
        return tuple(range(len(shape) - len(given), len(shape)))
    sizes = tuple([int(n) for n in given])
    if not sizes:
        raise ShapeError(f"{name}: normalized_shape must name at least one size")
    if shape[max(len(shape) - len(sizes), 0) :] != sizes:
        raise ShapeError(f"{name}: the last sizes of {shape} are not the normalized_shape {sizes}")
    return tuple(range(len(shape) - len(sizes), len(shape)))


def layer_norm(
    input: Any,
    normalized_shape: int | Sequence[int],
    weight: Any = None,
    bias: Any = None,
    eps: float = 1e-5,
) -> Any:
    r"""Every example brought to mean 0 and variance 1 over its last axes, then scaled and shifted.

        forward    y = w * z + b,   z = (x - mean) * rstd,   rstd = 1 / sqrt(var + eps)
        backward   dx = rstd * (h - mean(h) - z * mean(h * z)),  h = w * g;  dw = sum g * z,  db = sum g
        kernel     csrc/kernels/norm.cpp

    Shapes: input (..., *normalized_shape), weight and bias normalized_shape; the result as the input.
    The variance divides by n. Raises ShapeError where the sizes do not fit.
    Source: Ba, Kiros, Hinton, "Layer normalization", 2016.

    >>> mt.layer_norm(mt.tensor([1.0, 3.0]), 2, eps=0.0)
    tensor([-1.,  1.])
    """
    name = "layer_norm"
    over = _last_axes(name, input, normalized_shape)
    result = attempt(LAYER_NORM, input, weight, bias, over, float(eps))
    if result is not None:
        return result
    need_float(name, input)
    half = half_beside(input, weight, bias)
    if half is not None:
        return to_dtype(layer_norm(to_dtype(input, dtypes.float32), normalized_shape, weight, bias, eps), half)
    shape = shape_of(input)[over[0] :]
    check_like(name, "weight", weight, input, shape)
    check_like(name, "bias", bias, input, shape)
    return apply(LAYER_NORM, input, weight, bias, axes=over, eps=float(eps))


def rms_norm(input: Any, normalized_shape: int | Sequence[int], weight: Any = None, eps: float | None = None) -> Any:
    r"""Every example divided by its root mean square over its last axes, then scaled.

        forward    y = w * x / sqrt(mean(x^2) + eps);  eps is the dtype's rounding unless given

    Shapes and errors as `layer_norm`. Source: Zhang and Sennrich, "Root mean square layer
    normalization", 2019.

    >>> mt.rms_norm(mt.tensor([3.0, 3.0]), 2)
    tensor([1., 1.])
    """
    name = "rms_norm"
    need_float(name, input)
    own = dtypes.of(array_of(input).dtype)
    if own.itemsize == 2:
        x, w = [None if v is None else to_dtype(v, dtypes.float32) for v in (input, weight)]
        return to_dtype(rms_norm(x, normalized_shape, w, eps), own)
    over = _last_axes(name, input, normalized_shape)
    check_like(name, "weight", weight, input, shape_of(input)[over[0] :])
    least = dtypes.finfo(own).eps if eps is None else eps
    return apply(RMS_NORM, input, weight, axes=over, eps=float(least))


def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Any:
    r"""Every value divided by a power of the mean square of its neighbours in the channels.

        forward    y_c = x_c / (k + alpha / size * sum_j x_j^2)^beta,   c - size // 2 <= j <= c + (size - 1) // 2

    Channels that are not there count as 0. Shapes: input (N, C, ...) with at least three axes. Raises ShapeError for
    others, and for a size below 1.
    Source: Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", 2012.

    >>> mt.nn.functional.local_response_norm(mt.ones(1, 3, 1), 2, alpha=2.0, beta=1.0).flatten()
    tensor([0.5000, 0.3333, 0.3333])
    """
    name = "local_response_norm"
    need_float(name, input)
    shape = shape_of(input)
    if len(shape) < 3:
        raise ShapeError(f"{name}: expected at least three axes, (N, C, ...), got {shape}")
    if size < 1:
        raise ShapeError(f"{name}: size must be at least 1, not {size}")
    few(name, "size", size)
    before, after = size // 2, (size - 1) // 2
    edges = [np.zeros((shape[0], n, *shape[2:]), array_of(input).dtype) for n in (before, after)]
    squares = cat([edges[0], square(input), edges[1]], 1)
    total = narrow(squares, 1, 0, shape[1])
    for i in range(1, size):
        total = add(total, narrow(squares, 1, i, shape[1]))
    return div(input, pow(add(mul(total, alpha / size), k), beta))
