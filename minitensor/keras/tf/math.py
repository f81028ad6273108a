"""`tf.math`: functions of tensors, element by element, and sums over axes: the engine's, on TensorFlow's tensors.

>>> from minitensor.keras import tf
>>> print(tf.math.exp(0.0), tf.math.reduce_sum([1, 2, 3]))
tf.Tensor(1.0, shape=(), dtype=float32) tf.Tensor(6, shape=(), dtype=int32)
"""

from __future__ import annotations

import builtins
import operator
from collections.abc import Callable
from typing import Any

import minitensor as mt

from .tensor import Tensor, divided, lift, lift_two, run, value_of

__all__ = [
    "abs", "acos", "add", "argmax", "argmin", "asin", "atan", "ceil", "cos", "cosh", "cumsum", "divide", "equal",
    "erf", "exp", "floor", "greater", "greater_equal", "is_finite", "is_inf", "is_nan", "less", "less_equal", "log",
    "log1p", "logical_and", "logical_not", "logical_or", "maximum", "minimum", "multiply", "negative", "not_equal",
    "pow", "reciprocal", "reduce_all", "reduce_any", "reduce_logsumexp", "reduce_max", "reduce_mean", "reduce_min",
    "reduce_prod", "reduce_std", "reduce_sum", "reduce_variance", "round", "rsqrt", "sigmoid", "sign", "sin",
    "sinh", "softplus", "sqrt", "square", "subtract", "tan", "tanh",
]  # fmt: skip

abs = lift(mt.abs)
acos = lift(mt.acos)
asin = lift(mt.asin)
atan = lift(mt.atan)
ceil = lift(mt.ceil)
cos = lift(mt.cos)
cosh = lift(mt.cosh)
erf = lift(mt.erf)
exp = lift(mt.exp)
floor = lift(mt.floor)
log = lift(mt.log)
log1p = lift(mt.log1p)
negative = lift(mt.neg)
reciprocal = lift(mt.reciprocal)
round = lift(mt.round)
rsqrt = lift(mt.rsqrt)
sigmoid = lift(mt.sigmoid)
sign = lift(mt.sign)
sin = lift(mt.sin)
sinh = lift(mt.sinh)
softplus = lift(mt.nn.functional.softplus)
sqrt = lift(mt.sqrt)
square = lift(mt.square)
tan = lift(mt.tan)
tanh = lift(mt.tanh)

add = lift_two(operator.add)
divide = lift_two(divided)
equal = lift_two(mt.eq)
greater = lift_two(mt.gt)
greater_equal = lift_two(mt.ge)
less = lift_two(mt.lt)
less_equal = lift_two(mt.le)
maximum = lift_two(mt.maximum)
minimum = lift_two(mt.minimum)
multiply = lift_two(operator.mul)
not_equal = lift_two(mt.ne)
pow = lift_two(operator.pow)
subtract = lift_two(operator.sub)
logical_and = lift_two(mt.logical_and)
logical_or = lift_two(mt.logical_or)
logical_not = lift(mt.logical_not)
is_nan, is_inf, is_finite = lift(mt.isnan), lift(mt.isinf), lift(mt.isfinite)


def _reduction(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """A function over all axes, or over those of `axis`, which keeps the dtype."""

    def over(x: Any, axis: Any, keepdims: bool) -> Any:
        dims = builtins.range(x.ndim) if axis is None else axis if isinstance(axis, (list, tuple)) else [axis]
        mean = function is mt.mean and not x.is_floating_point()
        out = x.double() if mean else x
        for dim in sorted([d % x.ndim for d in dims], reverse=True):
            out = function(out, dim, keepdim=keepdims)
        return out.to(x.dtype)

    def reduced(input_tensor: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
        return run(over, value_of(input_tensor), axis, keepdims)

    reduced.__doc__ = f"The {function.__name__} over all axes, or over those of `axis`; in the dtype of the tensor."
    return reduced


reduce_max = _reduction(mt.amax)
reduce_mean = _reduction(mt.mean)
reduce_min = _reduction(mt.amin)
reduce_prod = _reduction(mt.prod)
reduce_sum = _reduction(mt.sum)


def _variance(x: Any, dim: Any, keepdim: bool) -> Any:
    return mt.var(x, dim, correction=0, keepdim=keepdim)


def _deviation(x: Any, dim: Any, keepdim: bool) -> Any:
    return mt.std(x, dim, correction=0, keepdim=keepdim)


def _at_once(function: Callable[..., Any], name: str) -> Callable[..., Tensor]:
    """A function of one call over all axes, or over those of `axis`."""

    def reduced(input_tensor: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
        x = value_of(input_tensor)
        dims = tuple(builtins.range(x.ndim)) if axis is None else axis
        return run(function, x, tuple(dims) if isinstance(dims, list) else dims, keepdim=keepdims)

    reduced.__doc__ = f"The {name} over all axes, or over those of `axis`."
    return reduced


reduce_variance, reduce_std = _at_once(_variance, "variance"), _at_once(_deviation, "standard deviation")
reduce_logsumexp = _at_once(mt.logsumexp, "logarithm of the sum of exponentials")


def reduce_all(input_tensor: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether all are true."""
    x = value_of(input_tensor)
    return run(mt.all, x) if axis is None else run(mt.all, x, axis, keepdim=keepdims)


def reduce_any(input_tensor: Any, axis: Any = None, keepdims: bool = False) -> Tensor:
    """Whether one is true."""
    x = value_of(input_tensor)
    return run(mt.any, x) if axis is None else run(mt.any, x, axis, keepdim=keepdims)


def cumsum(x: Any, axis: int = 0) -> Tensor:
    """The sums so far along an axis."""
    return run(mt.cumsum, value_of(x), axis)


def argmax(input: Any, axis: int = 0) -> Tensor:
    """Where along the axis the largest element is, the first of equal ones; int64."""
    return run(mt.argmax, value_of(input), axis)


def argmin(input: Any, axis: int = 0) -> Tensor:
    """Where along the axis the smallest element is, the first of equal ones; int64."""
    return run(mt.argmin, value_of(input), axis)
