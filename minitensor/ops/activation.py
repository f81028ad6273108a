"""Activations, element by element: silu, gelu, leaky_relu, softplus, elu and its kin, the hard and the shrinking ones.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row. A
derivative that is fused into one kernel is an operator too, `f_vjp`, with rules of its own. Where x is NaN, so is the
gradient of elu, of the hard and of the shrinking ones, in each lane; relu, leaky_relu and threshold pass it on.
tanh, sigmoid and relu are in functions.py. Kernels: csrc/kernels/functions.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, ShapeError
from ..generator import default_generator
from ..graph.record import apply, apply_flat, attempt
from ..op import Op, Sample
from .arithmetic import add, div, mul, square, sub, zero
from .common import (
    ONE,
    TWO,
    Array,
    array_of,
    axis,
    draws,
    draws_numbers,
    elementwise,
    floating,
    is_floating,
    lowered,
    named,
    need_float,
    number,
    promote,
    raw,
    shape_of,
    shifted,
    to_dtype,
)
from .comparison import clamp_kernel, gt, le, lt, where
from .functions import abs, exp, logistic, sigmoid, tanh
from .join import cat, narrow
from .shape import reshape
from .special import erf_reference

# --- silu -------------------------------------------------------------------------------------------------------------

# silu' = s + x s (1 - s), and its derivative s (1 - s) (2 + x (1 - 2 s))
SILU_VJP: Op = elementwise(
    "silu_vjp",
    reference=lambda g, x: g * logistic(x) * (1 + x * (1 - logistic(x))),
    kernel=_core.silu_vjp,
    rules=(lambda h, _g, x: apply(SILU_VJP, h, x), lambda h, g, x: mul(mul(h, g), _silu_second(x))),
    saves="x y",
    samples=draws(*TWO),
)


def _silu_second(x: Any) -> Any:
    s = sigmoid(x)
    return mul(mul(s, sub(1, s)), add(mul(x, sub(1, mul(s, 2))), 2))


SILU = elementwise(
    "silu",
    reference=lambda x: x * logistic(x),
    kernel=_core.silu,
    rules=(lambda g, x: apply(SILU_VJP, g, x),),
    saves="x",
    samples=draws(*ONE),
)


def silu(input: Any) -> Any:
    r"""x times its sigmoid, also called swish. Elfwing et al., 2018.

        forward    out = x s,  s = 1 / (1 + e^-x)
        backward   dx = g (s + x s (1 - s))

    >>> mt.nn.functional.silu(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])
    """
    return floating(SILU, input)


# --- gelu -------------------------------------------------------------------------------------------------------------

_C, _CUBE = math.sqrt(2 / math.pi), 0.044715  # of the approximation by tanh


def _gelu_reference(x: Array, *, approximate: str) -> Any:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(_C * (x + _CUBE * x**3)))
    return 0.5 * x * (1 + erf_reference(x / math.sqrt(2)))


def _gelu_vjp_reference(g: Array, x: Array, *, approximate: str) -> Any:
    if approximate == "tanh":
        t = np.tanh(_C * (x + _CUBE * x**3))
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * _C * (1 + 3 * _CUBE * x * x))
    cdf = 0.5 * (1 + erf_reference(x / math.sqrt(2)))
    return g * (cdf + x * np.exp(-0.5 * x * x) / math.sqrt(2 * math.pi))


def _gelu_second(x: Any, approximate: str) -> Any:
    """gelu'': p(x) (2 - x^2); with tanh, (1 - t^2) (u' + x u''/2 - x t u'^2)."""
    x2 = square(x)
    if approximate == "none":
        return mul(mul(exp(mul(x2, -0.5)), 1 / math.sqrt(2 * math.pi)), sub(2, x2))
    t = tanh(mul(mul(x, _C), add(mul(x2, _CUBE), 1)))
    du = mul(add(mul(x2, 3 * _CUBE), 1), _C)
    bend = sub(add(du, mul(x2, 3 * _C * _CUBE)), mul(mul(x, t), square(du)))
    return mul(sub(1, square(t)), bend)


def _gelu_vjp(g: Any, x: Any, *, approximate: str) -> Any:
    return apply(GELU_VJP, g, x, approximate=approximate)


def _each_gelu(shapes: Any) -> Callable[..., Iterator[Sample]]:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for approximate in ("none", "tanh"):
            yield from draws(*shapes, approximate=approximate)(rng)

    return samples


GELU_VJP: Op = elementwise(
    "gelu_vjp",
    reference=_gelu_vjp_reference,
    kernel=lambda g, x, approximate: (_core.gelu_tanh_vjp if approximate == "tanh" else _core.gelu_vjp)(g, x),
    names=("approximate",),
    rules=(
        lambda h, _g, x, *, approximate: _gelu_vjp(h, x, approximate=approximate),
        lambda h, g, x, *, approximate: mul(mul(h, g), _gelu_second(x, approximate)),
    ),
    saves="x y",
    samples=_each_gelu(TWO),
)

GELU = elementwise(
    "gelu",
    reference=_gelu_reference,
    kernel=lambda x, approximate: (_core.gelu_tanh if approximate == "tanh" else _core.gelu)(x),
    rules=(_gelu_vjp,),
    saves="x",
    samples=_each_gelu(ONE),
    names=("approximate",),
)


def gelu(input: Any, *, approximate: str = "none") -> Any:
    r"""x times the chance that a normal variable is below x. Hendrycks and Gimpel, 2016.

        forward    out = x P(x),  P(x) = (1 + erf(x / sqrt 2)) / 2
                   or with approximate="tanh": P(x) = (1 + tanh u) / 2,  u = sqrt(2 / pi) (x + 0.044715 x^3)
        backward   dx = g (P(x) + x P'(x))

    >>> mt.nn.functional.gelu(mt.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """
    if approximate not in ("none", "tanh"):
        raise ShapeError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return floating(GELU, input, approximate)


# --- leaky_relu, prelu, rrelu: a line on either side ------------------------------------------------------------------

LEAKY_RELU_VJP: Op = elementwise(
    "leaky_relu_vjp",
    reference=lambda g, x, *, slope: np.where(x > 0, g, g * slope).astype(g.dtype),
    kernel=_core.leaky_relu_vjp,
    names=("slope",),
    rules=(lambda h, x, *, slope: apply(LEAKY_RELU_VJP, h, x, slope=slope), lambda h, _x, **_: zero(h)),
    saves="y",
    samples=draws(*TWO, away=0.1, slope=0.1),
)

LEAKY_RELU = elementwise(
    "leaky_relu",
    reference=lambda x, *, slope: np.where(x > 0, x, x * slope).astype(x.dtype),
    kernel=_core.leaky_relu,
    names=("slope",),
    rules=(lambda g, x, *, slope: apply(LEAKY_RELU_VJP, g, x, slope=slope),),
    saves="x",
    samples=draws(*ONE, away=0.1, slope=0.1),
)


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Any:
    r"""`relu` that keeps a slope below 0.

        forward    out = x where x > 0, else slope * x
        backward   dx = g where x > 0, else slope * g

    >>> mt.nn.functional.leaky_relu(mt.tensor([-1.0, 2.0]))
    tensor([-0.0100,  2.0000])
    """
    return floating(LEAKY_RELU, input, float(negative_slope))


PRELU = elementwise(
    "prelu",
    reference=lambda x, w: np.where(x > 0, x, w * x).astype(x.dtype),
    kernel=_core.prelu,
    rules=(
        lambda g, x, w: where(gt(x, 0), g, mul(g, w)),
        lambda g, x, _w: mul(g, where(gt(x, 0), 0.0, x)),
    ),
    saves="x y",
    samples=draws(*TWO, away=0.1),
)


@named("PreluKernelBackward0")
def prelu(input: Any, weight: Any) -> Any:
    r"""`leaky_relu` with slopes that are learned: one, or one for each channel, the axis 1. He et al., 2015.

        forward    out = x where x > 0, else w x
        backward   dx = g where x > 0, else w g;  dw = the sum of g x over x <= 0

    Shapes: input (N, C, ...) or any, weight (C) or (1) or (). Raises ShapeError for another weight.

    >>> mt.nn.functional.prelu(mt.tensor([-1.0, 2.0]), mt.tensor([0.25]))
    tensor([-0.2500,  2.0000])
    """
    input, weight = lowered(input, weight)
    need_float("prelu", input, weight)
    x, w = array_of(input), array_of(weight)
    channels = x.shape[1] if x.ndim > 1 else 1
    if w.ndim > 1 or w.size not in (1, channels):
        raise ShapeError(
            f"prelu: a weight of shape {w.shape} for an input of shape {x.shape}; expected 1 or {channels}"
        )
    slope = reshape(weight, (-1, *(1,) * (x.ndim - 2)) if w.size > 1 else ())
    return apply(PRELU, *promote("prelu", input, slope))


@named("RreluWithNoiseBackward0")
def rrelu(input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Any:
    r"""`leaky_relu` with slopes drawn for each element, or when not training with their mean. B. Xu et al., 2015.

        forward    out = x where x > 0, else a x,  a uniform in [lower, upper), or (lower + upper)/2
        backward   dx = g where x > 0, else a g

    Raises ShapeError if lower > upper.

    >>> mt.nn.functional.rrelu(mt.tensor([-48.0, 2.0]))
    tensor([-11.,   2.])
    """
    need_float("rrelu", input)
    if lower > upper:
        raise ShapeError(f"rrelu: lower {lower} is above upper {upper}")
    if not training:
        return leaky_relu(input, (lower + upper) / 2)
    return random_slopes(input, lower, upper)


@draws_numbers
def random_slopes(input: Any, lower: float, upper: float) -> Any:
    """rrelu in training."""
    x = raw(input)
    slopes = np.ones_like(x)
    below = x <= 0
    slopes[below] = default_generator.uniform((int(below.sum()),), np.dtype("float64"), lower, upper)
    return mul(input, slopes)


# --- softplus ---------------------------------------------------------------------------------------------------------


def _softplus_reference(x: Array, *, beta: float, threshold: float) -> Array:
    z = beta * x
    return np.where(z > threshold, x, np.logaddexp(0, z) / beta).astype(x.dtype)


def _softplus_vjp_reference(g: Array, x: Array, *, beta: float, threshold: float) -> Array:
    z = beta * x
    return np.where(z > threshold, g, g * logistic(z)).astype(g.dtype)


def _softplus_vjp(g: Any, x: Any, *, beta: float, threshold: float) -> Any:
    return apply(SOFTPLUS_VJP, g, x, beta=beta, threshold=threshold)


def _softplus_second(x: Any, beta: float, threshold: float) -> Any:
    """beta s (1 - s), and 0 where beta x > threshold."""
    z = mul(x, beta)
    s = sigmoid(z)
    return where(gt(z, threshold), 0.0, mul(mul(s, sub(1, s)), beta))


SOFTPLUS_VJP: Op = elementwise(
    "softplus_vjp",
    reference=_softplus_vjp_reference,
    kernel=_core.softplus_vjp,
    names=("beta", "threshold"),
    rules=(
        lambda h, _g, x, *, beta, threshold: _softplus_vjp(h, x, beta=beta, threshold=threshold),
        lambda h, g, x, *, beta, threshold: mul(mul(h, g), _softplus_second(x, beta, threshold)),
    ),
    saves="x y",
    samples=draws(*TWO, beta=2.0, threshold=3.0),
)

SOFTPLUS = elementwise(
    "softplus",
    reference=_softplus_reference,
    kernel=_core.softplus,
    names=("beta", "threshold"),
    rules=(_softplus_vjp,),
    saves="x",
    samples=draws(*ONE, beta=2.0, threshold=3.0),
)


def softplus(input: Any, beta: float = 1, threshold: float = 20) -> Any:
    r"""A smooth `relu`; x itself where beta * x > threshold.

        forward    out = ln(1 + exp(beta x)) / beta
        backward   dx = g / (1 + exp(-beta x))

    >>> mt.nn.functional.softplus(mt.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.0000])
    """
    return floating(SOFTPLUS, input, float(beta), float(threshold))


# --- elu, selu, celu: a line above, an exponential below --------------------------------------------------------------

_ALPHA, _SCALE = 1.6732632423543772, 1.0507009873554805  # of selu


def _elu_vjp(g: Any, x: Any, *, positive: float, negative: float, rate: float) -> Any:
    return apply(ELU_VJP, g, x, positive=positive, negative=negative, rate=rate)


def _elu_second(h: Any, g: Any, x: Any, *, positive: float, negative: float, rate: float) -> Any:
    # rate times the slope below, and nothing above, where `positive` is 0
    slope = _elu_vjp(g, x, positive=0.0, negative=negative * rate, rate=rate)
    return mul(mul(h, slope), to_dtype(lt(x, 0), dtypes.of(raw(g).dtype)))  # 0 at 0


def _elu_slope(g: Array, x: Array, *, positive: float, negative: float, rate: float) -> Array:
    return (g * np.where(x > 0, positive, negative * rate * np.exp(rate * np.minimum(x, 0)))).astype(g.dtype)


def _each_elu(shapes: Any) -> Callable[..., Iterator[Sample]]:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for positive, negative, rate in ((1.0, 0.7, 1.0), (_SCALE, _SCALE * _ALPHA, 1.0), (1.0, 1.5, 1 / 1.5)):
            yield from draws(*shapes, away=0.1, positive=positive, negative=negative, rate=rate)(rng)

    return samples


ELU_VJP: Op = elementwise(
    "elu_vjp",
    reference=_elu_slope,
    kernel=_core.elu_vjp,
    names=("positive", "negative", "rate"),
    rules=(lambda h, _g, x, **scales: _elu_vjp(h, x, **scales), _elu_second),
    saves="x y",
    samples=_each_elu(TWO),
)

ELU = elementwise(
    "elu",
    reference=lambda x, *, positive, negative, rate: np.where(
        x > 0, positive * x, negative * np.expm1(rate * np.minimum(x, 0))
    ).astype(x.dtype),
    kernel=_core.elu,
    names=("positive", "negative", "rate"),
    rules=(_elu_vjp,),
    saves="x",
    samples=_each_elu(ONE),
)


def elu(input: Any, alpha: float = 1.0) -> Any:
    r"""`relu` with an exponential below 0, down to -alpha. Clevert et al., 2016.

        forward    out = x where x > 0, else alpha (e^x - 1)
        backward   dx = g where x > 0, else g alpha e^x

    >>> mt.nn.functional.elu(mt.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    return floating(ELU, input, 1.0, float(alpha), 1.0)


def selu(input: Any) -> Any:
    r"""`elu` scaled so that mean 0 and variance 1 are kept. G. Klambauer et al., 2017.

        forward    out = s x where x > 0, else s a (e^x - 1),  s = 1.0507..., a = 1.6733...
        backward   dx = s g where x > 0, else g s a e^x

    >>> mt.nn.functional.selu(mt.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    need_float("selu", input)
    return apply(ELU, input, positive=_SCALE, negative=_SCALE * _ALPHA, rate=1.0)


@named("CeluBackward0")
def celu(input: Any, alpha: float = 1.0) -> Any:
    r"""`elu` with a continuous derivative for every alpha. J. Barron, 2017.

        forward    out = x where x > 0, else alpha (e^(x / alpha) - 1)
        backward   dx = g where x > 0, else g e^(x / alpha)

    Raises ShapeError for alpha = 0.

    >>> mt.nn.functional.celu(mt.tensor([-1.0, 2.0]), 2.0)
    tensor([-0.7869,  2.0000])
    """
    need_float("celu", input)
    alpha = number("celu", "alpha", alpha)
    if alpha == 0:
        raise ShapeError("celu: alpha must not be 0")
    return apply(ELU, input, positive=1.0, negative=float(alpha), rate=1 / alpha)


# --- mish -------------------------------------------------------------------------------------------------------------


def _tanh_softplus(x: Array) -> Array:
    """tanh(ln(1 + e^x)) = n / (n + 2) with n = e^x (e^x + 2), or with e^-x where e^x is large."""
    e = np.exp(-np.abs(x))
    y: Array = np.where(x > 0, 1 + 2 * e, e * (e + 2)) / np.where(x > 0, 1 + 2 * e * (1 + e), 2 + e * (e + 2))
    return y


def _mish_second(x: Any) -> Any:
    """2 t' + x t'' with t = tanh(softplus(x)), s = sigmoid(x): t' = (1 - t^2) s, t'' = t' (1 - s - 2 t s)."""
    s, t = sigmoid(x), tanh(softplus(x))
    slope = mul(sub(1, square(t)), s)
    return mul(slope, add(mul(x, sub(sub(1, s), mul(mul(t, s), 2))), 2))


MISH_VJP: Op = elementwise(
    "mish_vjp",
    reference=lambda g, x: g * (_tanh_softplus(x) + x * (1 - _tanh_softplus(x) ** 2) * logistic(x)),
    kernel=_core.mish_vjp,
    rules=(lambda h, _g, x: apply(MISH_VJP, h, x), lambda h, g, x: mul(mul(h, g), _mish_second(x))),
    saves="x y",
    samples=draws(*TWO),
)

MISH = elementwise(
    "mish",
    reference=lambda x: x * _tanh_softplus(x),
    kernel=_core.mish,
    rules=(lambda g, x: apply(MISH_VJP, g, x),),
    saves="x",
    samples=draws(*ONE),
)


def mish(input: Any) -> Any:
    r"""A smooth curve below `relu`. D. Misra, 2019.

        forward    out = x t,  t = tanh(ln(1 + e^x))
        backward   dx = g (t + x (1 - t^2) / (1 + e^-x))

    >>> mt.nn.functional.mish(mt.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """
    return floating(MISH, input)


# --- hardtanh, relu6, hardsigmoid, hardswish: made of lines -----------------------------------------------------------


def _inside(g: Array, x: Array, low: float, high: float) -> Array:
    """g strictly between the ends, 0 at them and outside, NaN where x is."""
    return np.where((x > low) & (x < high), g, np.where(np.isnan(x), x, 0)).astype(g.dtype)


def _each_hardtanh(shapes: Any) -> Callable[..., Iterator[Sample]]:
    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for sample in draws(*shapes)(rng):
            yield Sample(sample.args, {"low": -0.7, "high": 1.2})

    return samples


HARDTANH_VJP: Op = elementwise(
    "hardtanh_vjp",
    reference=lambda g, x, *, low, high: _inside(g, x, low, high),
    kernel=_core.hardtanh_vjp,
    names=("low", "high"),
    rules=(lambda h, x, *, low, high: apply(HARDTANH_VJP, h, x, low=low, high=high), lambda h, _x, **_: zero(h)),
    saves="y",
    samples=_each_hardtanh(TWO),
)

HARDTANH = elementwise(
    "hardtanh",
    reference=lambda x, *, low, high: np.clip(x, low, high),
    kernel=clamp_kernel,
    names=("low", "high"),
    rules=(lambda g, x, *, low, high: apply(HARDTANH_VJP, g, x, low=low, high=high),),
    saves="x",
    samples=_each_hardtanh(ONE),
)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Any:
    r"""`clamp` whose gradient is 0 at the ends too.

        forward    out = min(max(x, low), high)
        backward   dx = g where low < x < high, else 0

    Integers stay integers. Raises ShapeError if min_val > max_val.

    >>> mt.nn.functional.hardtanh(mt.tensor([-2.0, 0.5, 2.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if type(min_val) is type(max_val) is float and min_val <= max_val:
        result = attempt(HARDTANH, input, min_val, max_val)
        if result is not None:
            return result
    min_val, max_val = number("hardtanh", "min_val", min_val), number("hardtanh", "max_val", max_val)
    if min_val > max_val:
        raise ShapeError(f"hardtanh: min_val {min_val} is above max_val {max_val}")
    (x,) = promote("hardtanh", input)
    if array_of(x).dtype.kind == "b":
        raise DtypeError("hardtanh: bools cannot be clamped")
    if array_of(x).dtype.kind != "f":
        min_val, max_val = int(min_val), int(max_val)
    return apply(HARDTANH, x, low=min_val, high=max_val)


def relu6(input: Any) -> Any:
    r"""`relu` up to 6: hardtanh(x, 0, 6). A. Krizhevsky, 2010.

        forward    out = min(max(x, 0), 6)
        backward   dx = g where 0 < x < 6, else 0

    >>> mt.nn.functional.relu6(mt.tensor([-1.0, 2.0, 8.0]))
    tensor([0., 2., 6.])
    """
    return hardtanh(input, 0.0, 6.0)


HARDSIGMOID_VJP: Op = elementwise(
    "hardsigmoid_vjp",
    reference=lambda g, x: _inside(g / 6, x, -3, 3),
    kernel=_core.hardsigmoid_vjp,
    rules=(lambda h, x: apply(HARDSIGMOID_VJP, h, x), lambda h, _x: zero(h)),
    saves="y",
    samples=draws(*TWO, low=-5, high=5),
)

HARDSIGMOID = elementwise(
    "hardsigmoid",
    reference=lambda x: np.clip(x + 3, 0, 6) / 6,
    kernel=_core.hardsigmoid,
    rules=(lambda g, x: apply(HARDSIGMOID_VJP, g, x),),
    saves="x",
    samples=draws(*ONE, low=-5, high=5),
)


def hardsigmoid(input: Any) -> Any:
    r"""A sigmoid made of lines.

        forward    out = min(max(x + 3, 0), 6) / 6
        backward   dx = g / 6 where -3 < x < 3, else 0

    >>> mt.nn.functional.hardsigmoid(mt.tensor([-4.0, 0.0, 1.5]))
    tensor([0.0000, 0.5000, 0.7500])
    """
    return floating(HARDSIGMOID, input)


def _hardswish_slope(g: Array, x: Array) -> Array:
    return np.where(x >= 3, g, _inside(g * (x / 3 + 0.5), x, -3, 3)).astype(g.dtype)


HARDSWISH_VJP: Op = elementwise(
    "hardswish_vjp",
    reference=_hardswish_slope,
    kernel=_core.hardswish_vjp,
    rules=(
        lambda h, _g, x: apply(HARDSWISH_VJP, h, x),
        lambda h, g, x: apply(HARDTANH_VJP, mul(mul(h, g), 1 / 3), x, low=-3.0, high=3.0),
    ),
    saves="x y",
    samples=draws(*TWO, low=-5, high=5),
)

HARDSWISH = elementwise(
    "hardswish",
    reference=lambda x: x * np.clip(x + 3, 0, 6) / 6,
    kernel=_core.hardswish,
    rules=(lambda g, x: apply(HARDSWISH_VJP, g, x),),
    saves="x",
    samples=draws(*ONE, low=-5, high=5),
)


def hardswish(input: Any) -> Any:
    r"""x `hardsigmoid`(x). A. Howard et al., 2019.

        forward    out = x min(max(x + 3, 0), 6) / 6
        backward   dx = 0 where x <= -3, g where x >= 3, else g (x / 3 + 1 / 2)

    >>> mt.nn.functional.hardswish(mt.tensor([-4.0, 1.0, 4.0]))
    tensor([-0.0000,  0.6667,  4.0000])
    """
    return floating(HARDSWISH, input)


# --- hardshrink, softshrink, tanhshrink: 0 around 0 -------------------------------------------------------------------

HARDSHRINK_VJP: Op = elementwise(
    "hardshrink_vjp",
    reference=lambda g, x, *, width: np.where(np.abs(x) <= width, 0, np.where(np.isnan(x), x, g)).astype(g.dtype),
    kernel=_core.shrink_vjp,
    names=("width",),
    rules=(lambda h, x, *, width: apply(HARDSHRINK_VJP, h, x, width=width), lambda h, _x, **_: zero(h)),
    saves="y",
    samples=draws(*TWO, width=0.5),
)


def _shrinking(name: str, reference: Callable[..., Any], soft: bool) -> Op:
    return elementwise(
        name,
        reference=reference,
        kernel=lambda x, width: _core.shrink(x, width, soft),
        names=("width",),
        rules=(lambda g, x, *, width: apply(HARDSHRINK_VJP, g, x, width=width),),
        saves="x",
        samples=draws(*ONE, width=0.5),
    )


HARDSHRINK = _shrinking("hardshrink", lambda x, *, width: np.where(np.abs(x) <= width, 0, x).astype(x.dtype), False)
SOFTSHRINK = _shrinking("softshrink", lambda x, *, width: x - np.clip(x, -width, width), True)


def hardshrink(input: Any, lambd: float = 0.5) -> Any:
    r"""0 from -lambd to lambd.

        forward    out = 0 where |x| <= lambd, else x
        backward   dx = 0 where |x| <= lambd, else g

    >>> mt.nn.functional.hardshrink(mt.tensor([-1.0, 0.3]))
    tensor([-1.,  0.])
    """
    need_float("hardshrink", input)
    return apply(HARDSHRINK, input, width=float(lambd))


def softshrink(input: Any, lambd: float = 0.5) -> Any:
    r"""Nearer to 0 by lambd, and not beyond.

        forward    out = x - min(max(x, -lambd), lambd)
        backward   dx = 0 where |x| <= lambd, else g

    Raises ShapeError for a negative lambd.

    >>> mt.nn.functional.softshrink(mt.tensor([-1.0, 0.3]))
    tensor([-0.5000,  0.0000])
    """
    need_float("softshrink", input)
    if not lambd >= 0:
        raise ShapeError(f"softshrink: lambd must not be negative, got {lambd}")
    return apply(SOFTSHRINK, input, width=float(lambd))


def tanhshrink(input: Any) -> Any:
    r"""What tanh takes away.

        forward    out = x - tanh x
        backward   dx = g tanh(x)^2

    >>> mt.nn.functional.tanhshrink(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])
    """
    return sub(input, tanh(input))


# --- softsign, threshold, glu -----------------------------------------------------------------------------------------


SOFTSIGN = elementwise(
    "softsign",
    reference=lambda x: x / (1 + np.abs(x)),
    kernel=_core.softsign,
    rules=(lambda g, x: div(g, square(add(abs(x), 1))),),
    saves="x",
    samples=draws(*ONE, away=0.1),
)


def softsign(input: Any) -> Any:
    r"""x squeezed into (-1, 1), more slowly than by tanh. J. Bergstra et al., 2009.

        forward    out = x / (1 + |x|)
        backward   dx = g / (1 + |x|)^2

    >>> mt.nn.functional.softsign(mt.tensor([-1.0, 0.0, 3.0]))
    tensor([-0.5000,  0.0000,  0.7500])
    """
    return floating(SOFTSIGN, input) if is_floating(input) else div(input, add(abs(input), 1))


def _threshold_reference(x: Array, *, threshold: float, value: float) -> Array:
    return np.where(x <= threshold, value, x).astype(x.dtype)


THRESHOLD = elementwise(
    "threshold",
    reference=_threshold_reference,
    kernel=_core.threshold,
    names=("threshold", "value"),
    rules=(lambda g, x, *, threshold, value: where(le(x, threshold), 0.0, g),),
    saves="x",
    samples=draws(*ONE, away=0.1, threshold=0.05, value=2.0),
)


@named("ThresholdBackward0")
def threshold(input: Any, threshold: float, value: float) -> Any:
    r"""x above a threshold, else a value.

        forward    out = x where x > threshold, else value
        backward   dx = g where x > threshold, else 0

    Integers stay integers.

    >>> mt.nn.functional.threshold(mt.tensor([0.0, 2.0]), 1.0, 20.0)
    tensor([20.,  2.])
    """
    if is_floating(input):
        return floating(THRESHOLD, input, float(threshold), float(value))
    return where(le(input, threshold), int(value), input)


def _halves(x: Any, dim: int) -> tuple[Any, Any]:
    n = shape_of(x)[dim] // 2
    return narrow(x, dim, 0, n), narrow(x, dim, n, n)


def _glu_reference(x: Any, *, dim: int) -> Any:
    a, b = np.split(x, 2, dim)
    return a * logistic(b), (x,)


def _glu_kernel(x: Any, dim: int) -> Any:
    if type(x) is not np.ndarray or x.dtype.char not in "fd" or x.shape[dim] % 2:
        return None
    n, front = x.shape[dim] // 2, (slice(None),) * dim
    gate = _core.sigmoid(x[(*front, slice(n, None))])
    return None if gate is None else _core.mul(x[(*front, slice(n))], gate)


def _glu_dx(g: Any, x: Any, *, dim: int) -> Any:
    a, b = _halves(x, dim)
    gate = sigmoid(b)
    da = mul(g, gate)
    return cat([da, mul(mul(da, a), sub(1, gate))], dim)


def _glu_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in (((2, 6), 1), ((4, 3), 0), ((2, 10, 3), 1), ((3, 66), 1), ((2, 0), 1)):
        yield Sample((rng.uniform(-2, 2, shape),), {"dim": dim})


GLU = Op(
    "glu",
    _glu_reference,
    None,
    (_glu_dx,),
    None,
    _glu_samples,
    batch=shifted("glu", "dim"),
    kernel=_glu_kernel,
    saves=(0,),
    names=("dim",),
)


def glu(input: Any, dim: int = -1) -> Any:
    r"""One half gated by the other. Y. Dauphin et al., 2017.

        forward    out = a sigmoid(b),  where x is a and b, one after the other along `dim`
        backward   da = g sigmoid(b),  db = g a sigmoid(b) (1 - sigmoid(b))

    Shapes: input (..., 2 n, ...), out (..., n, ...). Raises ShapeError for an odd size.

    >>> mt.nn.functional.glu(mt.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """
    need_float("glu", input)
    shape = array_of(input).shape
    d = axis("glu", dim, len(shape))
    if not shape or shape[d] % 2:
        raise ShapeError(f"glu: axis {dim} of shape {shape} cannot be halved")
    return apply_flat(GLU, input, d)
