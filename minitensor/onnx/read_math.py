"""Elementwise operators, comparisons, reductions and products of matrices: see `table`."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

import minitensor as mt
import minitensor.nn.functional as F

from ..ops.common import raw
from .table import NUMBER_OF, UnsupportedError, dtype_of, ints, item, like, reads


def _floating(x: Any) -> bool:
    return bool(raw(x).dtype.kind == "f")


# --- one argument -----------------------------------------------------------------------------------------------------

_UNARY: dict[str, Any] = {
    "Abs": mt.abs, "Acos": mt.acos, "Acosh": mt.acosh, "Asin": mt.asin, "Asinh": mt.asinh, "Atan": mt.atan,
    "Atanh": mt.atanh, "BitwiseNot": mt.bitwise_not, "Ceil": mt.ceil, "Cos": mt.cos, "Cosh": mt.cosh, "Det": mt.det,
    "Erf": mt.erf, "Exp": mt.exp, "Floor": mt.floor, "IsNaN": mt.isnan, "Log": mt.log, "Mish": F.mish, "Neg": mt.neg,
    "Not": mt.logical_not, "Reciprocal": mt.reciprocal, "Relu": mt.relu, "Round": mt.round, "Sigmoid": mt.sigmoid,
    "Sign": mt.sign, "Sin": mt.sin, "Sinh": mt.sinh, "Softsign": F.softsign, "Sqrt": mt.sqrt, "Tan": mt.tan,
    "Tanh": mt.tanh, "HardSwish": F.hardswish,
}  # fmt: skip
for _name, _function in _UNARY.items():
    reads(_name)(_function)


@reads("Identity")
def _identity(x: Any) -> Any:
    return x


@reads("Elu")
def _elu(x: Any, *, alpha: float = 1.0) -> Any:
    return F.elu(x, alpha)


@reads("Celu")
def _celu(x: Any, *, alpha: float = 1.0) -> Any:
    return F.celu(x, alpha)


@reads("Selu")
def _selu(x: Any, *, alpha: float = 1.67326319217681884765625, gamma: float = 1.05070102214813232421875) -> Any:
    return mt.where(x > 0, gamma * x, gamma * alpha * mt.expm1(mt.clamp(x, max=0)))


@reads("LeakyRelu")
def _leaky_relu(x: Any, *, alpha: float = 0.01) -> Any:
    return F.leaky_relu(x, alpha)


@reads("ThresholdedRelu")
def _thresholded_relu(x: Any, *, alpha: float = 1.0) -> Any:
    return F.threshold(x, alpha, 0.0)


@reads("HardSigmoid")
def _hard_sigmoid(x: Any, *, alpha: float = 0.2, beta: float = 0.5) -> Any:
    return mt.clamp(alpha * x + beta, 0, 1)


@reads("Softplus")
def _softplus(x: Any) -> Any:
    return mt.logaddexp(x, like(x, 0))


@reads("Gelu")
def _gelu(x: Any, *, approximate: str = "none") -> Any:
    return F.gelu(x, approximate=approximate)


@reads("Swish")
def _swish(x: Any, *, alpha: float = 1.0) -> Any:
    return x * mt.sigmoid(alpha * x)


@reads("Shrink")
def _shrink(x: Any, *, bias: float = 0.0, lambd: float = 0.5) -> Any:
    zero = mt.zeros_like(x)
    return mt.where(x < -lambd, x + bias, mt.where(x > lambd, x - bias, zero)).to(x.dtype)


@reads("PRelu")
def _prelu_of_channels(x: Any, slope: Any, *, consumed_inputs: Any = None) -> Any:
    return _prelu(x, slope.reshape((-1, *[1] * (x.ndim - 2))) if slope.ndim == 1 else slope)


@reads("PRelu", since=7)
def _prelu(x: Any, slope: Any) -> Any:
    return mt.where(x < 0, x * slope, x)


@reads("IsInf")
def _isinf(x: Any, *, detect_negative: int = 1, detect_positive: int = 1) -> Any:
    found = mt.isinf(x)
    if not detect_negative:
        found = mt.logical_and(found, x > 0)
    return found if detect_positive else mt.logical_and(found, x < 0)


@reads("Clip")
def _clip_by_attributes(x: Any, *, min: float | None = None, max: float | None = None) -> Any:
    return x if min is None and max is None else mt.clamp(x, min, max)


@reads("Clip", since=11)
def _clip(x: Any, low: Any = None, high: Any = None) -> Any:
    x = x if low is None else mt.maximum(x, low)
    return x if high is None else mt.minimum(x, high)


@reads("Cast")
def _cast(x: Any, *, to: int, saturate: int = 1, round_mode: str = "up") -> Any:
    return x.to(dtype_of(to))


@reads("CastLike")
def _cast_like(x: Any, target: Any, *, saturate: int = 1, round_mode: str = "up") -> Any:
    return x.to(target.dtype)


@reads("Bernoulli")
def _bernoulli(x: Any, *, dtype: int | None = None, seed: float | None = None) -> Any:
    return mt.bernoulli(x).to(x.dtype if dtype is None else dtype_of(dtype))


@reads("RandomUniform")
def _uniform(*, shape: Any, dtype: int = 1, low: float = 0.0, high: float = 1.0, seed: float | None = None) -> Any:
    return mt.rand(list(shape), dtype=dtype_of(dtype)) * (high - low) + low


@reads("RandomUniformLike")
def _uniform_like(x: Any, *, dtype: int | None = None, **how: Any) -> Any:
    return _uniform(shape=x.shape, dtype=dtype or NUMBER_OF[raw(x).dtype], **how)


@reads("RandomNormal")
def _normal(*, shape: Any, dtype: int = 1, mean: float = 0.0, scale: float = 1.0, seed: float | None = None) -> Any:
    return mt.randn(list(shape), dtype=dtype_of(dtype)) * scale + mean


@reads("RandomNormalLike")
def _normal_like(x: Any, *, dtype: int | None = None, **how: Any) -> Any:
    return _normal(shape=x.shape, dtype=dtype or NUMBER_OF[raw(x).dtype], **how)


@reads("Multinomial")
def _multinomial(x: Any, *, dtype: int = 6, sample_size: int = 1, seed: float | None = None) -> Any:
    return mt.multinomial(mt.softmax(x, -1), sample_size, True).to(dtype_of(dtype))


# --- two and more -----------------------------------------------------------------------------------------------------

_BINARY: dict[str, Any] = {
    "Add": mt.add, "And": mt.logical_and, "BitwiseAnd": mt.bitwise_and, "BitwiseOr": mt.bitwise_or,
    "BitwiseXor": mt.bitwise_xor, "Equal": mt.eq, "Greater": mt.gt, "GreaterOrEqual": mt.ge, "Less": mt.lt,
    "LessOrEqual": mt.le, "Mul": mt.mul, "Or": mt.logical_or, "Sub": mt.sub, "Where": mt.where, "Xor": mt.logical_xor,
}  # fmt: skip


def _broadcast_at(function: Any) -> Any:
    """Of the sets before 7: `broadcast` lines the second operand up from `axis` of the first on."""

    def old(x: Any, y: Any, *, broadcast: int = 0, axis: int | None = None, consumed_inputs: Any = None) -> Any:
        if broadcast and axis is not None:
            y = y.reshape((*y.shape, *[1] * (x.ndim - axis % x.ndim - y.ndim)))
        return function(x, y)

    return old


for _name, _function in _BINARY.items():
    reads(_name, since=7)(_function)
    reads(_name)(_broadcast_at(_function))


@reads("Div")
def _div(x: Any, y: Any, **old: Any) -> Any:
    rounding = None if _floating(x) else "trunc"
    return _broadcast_at(lambda a, b: mt.div(a, b, rounding_mode=rounding))(x, y, **old)


@reads("Pow")
def _pow(x: Any, y: Any, **old: Any) -> Any:
    return _broadcast_at(mt.pow)(x, y, **old).to(x.dtype)


@reads("Mod")
def _mod(x: Any, y: Any, *, fmod: int = 0) -> Any:
    return mt.fmod(x, y) if fmod else mt.remainder(x, y)


@reads("BitShift")
def _bit_shift(x: Any, y: Any, *, direction: str) -> Any:
    return (mt.bitwise_left_shift if direction == "LEFT" else mt.bitwise_right_shift)(x, y)


@reads("Max")
def _max(*xs: Any) -> Any:
    return functools.reduce(mt.maximum, xs)


@reads("Min")
def _min(*xs: Any) -> Any:
    return functools.reduce(mt.minimum, xs)


@reads("Sum")
def _sum(*xs: Any) -> Any:
    return functools.reduce(mt.add, xs)


@reads("Mean")
def _mean(*xs: Any) -> Any:
    return _sum(*xs) / len(xs)


# --- reductions -------------------------------------------------------------------------------------------------------


def _extreme(function: Any, lowest: bool) -> Any:
    def reduce(x: Any, dims: tuple[int, ...], keep: bool) -> Any:
        if math.prod([x.shape[d] for d in dims]) == 0:  # of nothing
            shape = tuple([1 if d in dims else n for d, n in enumerate(x.shape)])
            shape = shape if keep else tuple([n for d, n in enumerate(x.shape) if d not in dims])
            kind, info = raw(x).dtype.kind, None if _floating(x) or x.dtype is mt.bool else mt.iinfo(x.dtype)
            low, high = (-math.inf, math.inf) if kind == "f" else (0, 1) if info is None else (info.min, info.max)
            return mt.full(shape, low if lowest else high, dtype=x.dtype)
        if x.dtype is mt.bool:
            return (mt.any if lowest else mt.all)(x, dims, keep)
        return function(x, dims, keep)

    return reduce


def _prod(x: Any, dims: tuple[int, ...], keep: bool) -> Any:
    for d in sorted(dims, reverse=True):
        x = mt.prod(x, d, keepdim=keep)
    return x


_REDUCTIONS: dict[str, Any] = {
    "ReduceSum": lambda x, dims, keep: mt.sum(x, dims, keep),
    "ReduceMean": lambda x, dims, keep: mt.mean(x, dims, keep),
    "ReduceMax": _extreme(mt.amax, True),
    "ReduceMin": _extreme(mt.amin, False),
    "ReduceProd": _prod,
    "ReduceL1": lambda x, dims, keep: mt.sum(mt.abs(x), dims, keep),
    "ReduceL2": lambda x, dims, keep: mt.sqrt(mt.sum(x * x, dims, keep)),
    "ReduceSumSquare": lambda x, dims, keep: mt.sum(x * x, dims, keep),
    "ReduceLogSum": lambda x, dims, keep: mt.log(mt.sum(x, dims, keep)),
    "ReduceLogSumExp": lambda x, dims, keep: mt.logsumexp(x, dims, keep),
}


def _reduction(name: str, function: Any) -> None:
    def run(x: Any, axes: Any, keep: int, nothing: int) -> Any:
        chosen = [] if axes is None else ints(axes)
        if not chosen and nothing:
            # ReduceSum of no axes is x itself; the others still apply their function to each element.
            return x if name in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd") else each(x)
        dims = tuple([d % x.ndim for d in chosen]) if chosen else tuple(range(x.ndim))
        return function(x, dims, bool(keep)).to(x.dtype) if x.ndim else each(x)

    def each(x: Any) -> Any:
        return function(x.reshape((*x.shape, 1)), (x.ndim,), False).to(x.dtype)

    def by_attribute(x: Any, *, axes: Any = None, keepdims: int = 1) -> Any:
        return run(x, axes, keepdims, 0)

    def by_input(x: Any, axes: Any = None, *, keepdims: int = 1, noop_with_empty_axes: int = 0) -> Any:
        return run(x, axes, keepdims, noop_with_empty_axes)

    reads(name)(by_attribute)
    reads(name, since=13 if name == "ReduceSum" else 18)(by_input)


for _name, _function in _REDUCTIONS.items():
    _reduction(_name, _function)


def _arg(x: Any, axis: int, keepdims: int, select_last_index: int, find: Any) -> Any:
    if select_last_index:
        found = x.shape[axis] - 1 - find(mt.flip(x, (axis,)), axis, keepdim=bool(keepdims))
    else:
        found = find(x, axis, keepdim=bool(keepdims))
    return found


@reads("ArgMax")
def _argmax(x: Any, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Any:
    return _arg(x, axis, keepdims, select_last_index, mt.argmax)


@reads("ArgMin")
def _argmin(x: Any, *, axis: int = 0, keepdims: int = 1, select_last_index: int = 0) -> Any:
    return _arg(x, axis, keepdims, select_last_index, mt.argmin)


def _scan(function: Any, x: Any, axis: Any, exclusive: int, reverse: int, first: int) -> Any:
    d = item(axis) % x.ndim
    x = mt.flip(x, (d,)) if reverse else x
    y = function(x, d).to(x.dtype)
    if exclusive:
        start = mt.full(tuple([1 if k == d else n for k, n in enumerate(x.shape)]), first, dtype=x.dtype)
        y = mt.cat([start, mt.narrow(y, d, 0, x.shape[d] - 1)], d)
    return mt.flip(y, (d,)) if reverse else y


@reads("CumSum")
def _cumsum(x: Any, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Any:
    return _scan(mt.cumsum, x, axis, exclusive, reverse, 0)


@reads("CumProd")
def _cumprod(x: Any, axis: Any, *, exclusive: int = 0, reverse: int = 0) -> Any:
    return _scan(mt.cumprod, x, axis, exclusive, reverse, 1)


@reads("TopK")
def _topk_by_attribute(x: Any, *, k: int, axis: int = -1) -> Any:
    return tuple(mt.topk(x, k, axis))


@reads("TopK", since=10)
def _topk(x: Any, k: Any, *, axis: int = -1, largest: int = 1, sorted: int = 1) -> Any:
    n, size = item(k), x.shape[axis]
    if n > size:
        raise UnsupportedError(f"k = {n} of an axis of size {size}")
    order = mt.argsort(x, axis, bool(largest), stable=True)  # of equal elements the first
    at = mt.narrow(order, axis, 0, n)
    return mt.take_along_dim(x, at, axis), at


# --- softmax ----------------------------------------------------------------------------------------------------------


def _hard(x: Any, dim: int) -> Any:
    at = mt.argmax(x, dim, keepdim=True)
    return mt.scatter(mt.zeros_like(x), dim, at, mt.ones(at.shape, dtype=x.dtype))


def _along(name: str, function: Any) -> None:
    def flat(x: Any, *, axis: int = 1) -> Any:
        axis %= max(x.ndim, 1)
        rows = math.prod(x.shape[:axis])
        return function(x.reshape((rows, math.prod(x.shape[axis:]))), 1).reshape(x.shape)

    def along(x: Any, *, axis: int = -1) -> Any:
        return function(x, axis)

    reads(name)(flat)
    reads(name, since=13)(along)


for _name, _function in {"Softmax": mt.softmax, "LogSoftmax": mt.log_softmax, "Hardmax": _hard}.items():
    _along(_name, _function)


# --- products of matrices ---------------------------------------------------------------------------------------------

reads("MatMul")(mt.matmul)


@reads("Gemm")
def _gemm(
    a: Any,
    b: Any,
    c: Any = None,
    *,
    alpha: float = 1.0,
    beta: float = 1.0,
    transA: int = 0,
    transB: int = 0,
    broadcast: int = 0,
) -> Any:
    a = a.t() if transA else a
    if transB and alpha == 1 and (c is None or (beta == 1 and c.ndim == 1)):
        return F.linear(a, b, c)
    y = mt.matmul(a, b.t() if transB else b)
    y = y if alpha == 1 else alpha * y
    return y if c is None else y + (c if beta == 1 else beta * c)


@reads("Einsum")
def _einsum(*xs: Any, equation: str) -> Any:
    return mt.einsum(equation.replace(" ", ""), *xs)


# --- numbers from nowhere ---------------------------------------------------------------------------------------------


@reads("Range")
def _range(start: Any, limit: Any, delta: Any) -> Any:
    first, end, step = item(start), item(limit), item(delta)
    n = max(math.ceil((end - first) / step), 0)
    return mt.as_tensor(first + step * np.arange(n)).to(start.dtype)


@reads("EyeLike")
def _eye_like(x: Any, *, dtype: int | None = None, k: int = 0) -> Any:
    rows, columns = x.shape
    kind = x.dtype if dtype is None else dtype_of(dtype)
    return mt.as_tensor(np.eye(rows, columns, k)).to(kind)


def _window(name: str, *weights: float) -> None:
    def window(size: Any, *, output_datatype: int = 1, periodic: int = 1) -> Any:
        n = item(size)
        at = 2 * math.pi * np.arange(n) / max(n if periodic else n - 1, 1)
        waves = sum(w * np.cos(k * at) for k, w in enumerate(weights))
        return mt.as_tensor(waves).to(dtype_of(output_datatype))

    reads(name)(window)


_window("HannWindow", 0.5, -0.5)
_window("HammingWindow", 25 / 46, -21 / 46)
_window("BlackmanWindow", 0.42, -0.5, 0.08)
