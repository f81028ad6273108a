"""Functions of one number, element by element: abs, sign, exp, log, powers, roots, sines, activations, rounding.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row. A
derivative that is fused into one kernel is an operator too, `f_vjp`, with rules of its own.
Kernels: csrc/kernels/functions.cpp.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import _core
from ..errors import DtypeError, ShapeError
from ..graph import apply, apply_one
from ..op import Op, Sample
from .arithmetic import add, div, mul, neg, square, sub, zero
from .common import ONE, TWO, Array, draws, elementwise, is_floating, need_float, promote, promote_float, raw
from .comparison import eq, ge, gt, logical_and, where

# --- abs, sign --------------------------------------------------------------------------------------------------------

SIGN = elementwise(
    "sign",
    reference=lambda x: np.sign(x) if x.dtype.kind != "f" else np.where(np.isnan(x), 0, np.sign(x)).astype(x.dtype),
    kernel=_core.sign,
    rules=(lambda g: zero(g),),
    saves="",
    samples=draws(*ONE, away=0.1),
)


def sign(input: Any) -> Any:
    r"""1, 0 or -1; 0 for NaN.

        forward    out = sign(x)
        backward   dx = 0

    >>> mt.sign(mt.tensor([-3.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """
    (x,) = promote("sign", input)
    return x if raw(x).dtype.kind == "b" else apply(SIGN, x)


ABS = elementwise(
    "abs",
    reference=np.abs,
    kernel=_core.abs,
    rules=(lambda g, x: mul(g, sign(x)),),
    saves="x",
    samples=draws(*ONE, away=0.1),
    exact=True,
)


def abs(input: Any) -> Any:
    r"""The absolute value.

        forward    out = |x|
        backward   dx = g sign(x), which is 0 at 0

    >>> mt.abs(mt.tensor([-3.0, 2.0]))
    tensor([3., 2.])
    """
    (x,) = promote("abs", input)
    if raw(x).dtype.kind == "b":
        raise DtypeError("abs: bools have no absolute value")
    return apply(ABS, x)


# --- exp, log ---------------------------------------------------------------------------------------------------------

EXP = elementwise(
    "exp",
    reference=np.exp,
    kernel=_core.exp,
    rules=(lambda g, out: mul(g, out),),
    saves="out",
    samples=draws(*ONE),
)


def exp(input: Any) -> Any:
    r"""e to the power of x.

        forward    out = e^x
        backward   dx = g * out

    >>> mt.exp(mt.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return apply_one(EXP, input)


LOG = elementwise(
    "log",
    reference=np.log,
    kernel=_core.log,
    rules=(lambda g, x: div(g, x),),
    saves="x",
    samples=draws(*ONE, low=0.5, high=3.0),
)


def log(input: Any) -> Any:
    r"""The natural logarithm; NaN below 0, -inf at 0.

        forward    out = ln x
        backward   dx = g / x

    >>> mt.log(mt.tensor([1.0, 2.0]))
    tensor([0.0000, 0.6931])
    """
    return apply_one(LOG, input)


def _plain(
    name: str,
    reference: Callable[..., Any],
    rule: Callable[..., Any],
    saves: str,
    low: float = -2.0,
    high: float = 2.0,
) -> Op:
    """The row of a function of one number that NumPy computes well enough."""
    return elementwise(
        name, reference=reference, kernel=None, rules=(rule,), saves=saves, samples=draws(*ONE, low=low, high=high)
    )


EXPM1 = _plain("expm1", np.expm1, lambda g, out: mul(g, add(out, 1)), "out")
EXP2 = _plain("exp2", np.exp2, lambda g, out: mul(mul(g, out), math.log(2)), "out")
LOG1P = _plain("log1p", np.log1p, lambda g, x: div(g, add(x, 1)), "x", -0.5, 2)
LOG2 = _plain("log2", np.log2, lambda g, x: div(g, mul(x, math.log(2))), "x", 0.5, 3)
LOG10 = _plain("log10", np.log10, lambda g, x: div(g, mul(x, math.log(10))), "x", 0.5, 3)


def expm1(input: Any) -> Any:
    """e^x - 1, accurate around 0; dx = g (out + 1)."""
    return apply_one(EXPM1, input)


def exp2(input: Any) -> Any:
    """2^x; dx = g out ln 2."""
    return apply_one(EXP2, input)


def log1p(input: Any) -> Any:
    """ln(1 + x), accurate around 0; dx = g / (1 + x)."""
    return apply_one(LOG1P, input)


def log2(input: Any) -> Any:
    """The logarithm to base 2; dx = g / (x ln 2)."""
    return apply_one(LOG2, input)


def log10(input: Any) -> Any:
    """The logarithm to base 10; dx = g / (x ln 10)."""
    return apply_one(LOG10, input)


# --- roots ------------------------------------------------------------------------------------------------------------

SQRT = elementwise(
    "sqrt",
    reference=np.sqrt,
    kernel=_core.sqrt,
    rules=(lambda g, out: div(g, mul(out, 2)),),
    saves="out",
    samples=draws(*ONE, low=0.5, high=3.0),
)

RSQRT = elementwise(
    "rsqrt",
    reference=lambda x: 1 / np.sqrt(x),
    kernel=_core.rsqrt,
    rules=(lambda g, out: mul(mul(g, -0.5), mul(out, square(out))),),
    saves="out",
    samples=draws(*ONE, low=0.5, high=3.0),
)


def sqrt(input: Any) -> Any:
    r"""The square root; NaN below 0.

        forward    out = x^(1/2)
        backward   dx = g / (2 out), which is inf at 0

    >>> mt.sqrt(mt.tensor([4.0, 9.0]))
    tensor([2., 3.])
    """
    return apply_one(SQRT, input)


def rsqrt(input: Any) -> Any:
    r"""One over the square root.

        forward    out = x^(-1/2)
        backward   dx = -g out^3 / 2

    >>> mt.rsqrt(mt.tensor([4.0, 0.25]))
    tensor([0.5000, 2.0000])
    """
    return apply_one(RSQRT, input)


# --- pow --------------------------------------------------------------------------------------------------------------


def _pow_scalar_dx(g: Any, x: Any, *, exponent: float) -> Any:
    if exponent == 0:
        return zero(g)
    rest = x if exponent == 2 else apply(POW_SCALAR, x, exponent=exponent - 1)
    return mul(mul(g, rest), exponent)


POW_SCALAR: Op = elementwise(
    "pow_scalar",
    reference=lambda x, *, exponent: np.power(x, np.asarray(exponent, x.dtype)).astype(x.dtype),
    kernel=lambda x, *, exponent: _core.pow_scalar(x, exponent),
    rules=(_pow_scalar_dx,),
    saves="x",
    samples=lambda rng: (
        sample
        for p in (-2, -1, -0.5, 0, 0.5, 1, 1.7, 2, 3, 4)
        for sample in draws(((2, 3),), ((),), ((0,),), ((67,),), low=0.5, high=2, exponent=p)(rng)
    ),
)


def _pow_dx(g: Any, x: Any, y: Any, _out: Any) -> Any:
    slope = mul(y, apply(POW, x, sub(y, 1)))
    return where(eq(y, 0), 0.0, mul(g, slope))


def _pow_dy(g: Any, x: Any, y: Any, out: Any) -> Any:
    flat = logical_and(eq(x, 0), ge(y, 0))
    return where(flat, 0.0, mul(g, mul(out, log(x))))


def _pow_reference(x: Array, y: Array) -> Array:
    if x.dtype.kind == "f":
        return np.power(x, y)
    if x.dtype.kind == "b":
        return x | ~y
    # An integer to a negative power: 1 and -1 stay, all else is less than 1 and rounds to 0.
    inverse = np.where(x == 1, 1, np.where(x == -1, 1 - 2 * (y % 2), 0))
    return np.where(y < 0, inverse, np.power(x, np.maximum(y, 0))).astype(x.dtype)


POW: Op = elementwise(
    "pow",
    reference=_pow_reference,
    kernel=_core.pow,
    rules=(_pow_dx, _pow_dy),
    saves="x y out",
    samples=draws(*TWO, low=0.5, high=2.0),
)


def pow(input: Any, exponent: Any) -> Any:
    r"""Power.

        forward    out = x^y
        backward   dx = g * y * x^(y - 1), and 0 where y = 0
                   dy = g * out * ln x,    and 0 where x = 0 and y >= 0

    Shapes broadcast; a dtype is promoted. Integers to the power of one negative integer raise ShapeError.

    >>> mt.pow(mt.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if isinstance(raw(input), np.ndarray) and isinstance(exponent, (int, float)):
        x, y = promote("pow", input, exponent)
        if raw(x).dtype.kind != "f" and exponent < 0:
            raise ShapeError(f"pow: integers to the negative integer power {exponent}; make them floats")
        if not raw(x).dtype.kind == "b":
            return apply(POW_SCALAR, x, exponent=exponent if math.isfinite(exponent) else float(exponent))
        return apply(POW, x, y)
    return apply(POW, *promote("pow", input, exponent))


# --- sines and their kin ----------------------------------------------------------------------------------------------

SIN = elementwise(
    "sin",
    reference=np.sin,
    kernel=_core.sin,
    rules=(lambda g, x: mul(g, cos(x)),),
    saves="x",
    samples=draws(*ONE),
)

COS = elementwise(
    "cos",
    reference=np.cos,
    kernel=_core.cos,
    rules=(lambda g, x: neg(mul(g, sin(x))),),
    saves="x",
    samples=draws(*ONE),
)


def sin(input: Any) -> Any:
    r"""The sine of x in radians.

        forward    out = sin x
        backward   dx = g cos x

    >>> mt.sin(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])
    """
    return apply_one(SIN, input)


def cos(input: Any) -> Any:
    r"""The cosine of x in radians.

        forward    out = cos x
        backward   dx = -g sin x

    >>> mt.cos(mt.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])
    """
    return apply_one(COS, input)


TAN = _plain("tan", np.tan, lambda g, out: mul(g, add(square(out), 1)), "out", -1, 1)
ASIN = _plain("asin", np.arcsin, lambda g, x: mul(g, rsqrt(sub(1, square(x)))), "x", -0.7, 0.7)
ACOS = _plain("acos", np.arccos, lambda g, x: neg(mul(g, rsqrt(sub(1, square(x))))), "x", -0.7, 0.7)
ATAN = _plain("atan", np.arctan, lambda g, x: div(g, add(square(x), 1)), "x")
SINH = _plain("sinh", np.sinh, lambda g, x: mul(g, cosh(x)), "x")
COSH = _plain("cosh", np.cosh, lambda g, x: mul(g, sinh(x)), "x")
ATAN2 = elementwise(
    "atan2",
    reference=np.arctan2,
    kernel=None,
    rules=(
        lambda g, y, x: mul(g, div(x, add(square(x), square(y)))),
        lambda g, y, x: mul(g, div(neg(y), add(square(x), square(y)))),
    ),
    saves="x y",
    samples=draws(*TWO, away=0.5),
)


def tan(input: Any) -> Any:
    """The tangent; dx = g (1 + out^2)."""
    return apply_one(TAN, input)


def asin(input: Any) -> Any:
    """The inverse sine; dx = g / sqrt(1 - x^2)."""
    return apply_one(ASIN, input)


def acos(input: Any) -> Any:
    """The inverse cosine; dx = -g / sqrt(1 - x^2)."""
    return apply_one(ACOS, input)


def atan(input: Any) -> Any:
    """The inverse tangent; dx = g / (1 + x^2)."""
    return apply_one(ATAN, input)


def sinh(input: Any) -> Any:
    """(e^x - e^-x) / 2; dx = g cosh x."""
    return apply_one(SINH, input)


def cosh(input: Any) -> Any:
    """(e^x + e^-x) / 2; dx = g sinh x."""
    return apply_one(COSH, input)


def atan2(input: Any, other: Any) -> Any:
    """The angle of the point (x, y) = (other, input); dy = g x / (x^2 + y^2), dx = -g y / (x^2 + y^2).

    >>> mt.atan2(mt.tensor([1.0]), mt.tensor([-1.0]))
    tensor([2.3562])
    """
    return apply(ATAN2, *promote_float("atan2", input, other))


# --- rounding: constant in steps --------------------------------------------------------------------------------------


def _rounding(name: str, reference: Callable[..., Any]) -> Op:
    return elementwise(
        name, reference=reference, kernel=None, rules=(lambda g: zero(g),), saves="", samples=draws(*ONE)
    )


FLOOR = _rounding("floor", np.floor)
CEIL = _rounding("ceil", np.ceil)
TRUNC = _rounding("trunc", np.trunc)
ROUND = _rounding("round", np.round)


def _rounded(op: Op, input: Any) -> Any:
    (x,) = promote(op.name, input)
    kind = raw(x).dtype.kind
    if kind == "b":
        raise DtypeError(f"{op.name}: bools cannot be rounded")
    return apply(op, x) if kind == "f" else x


def floor(input: Any) -> Any:
    """The largest integer that is not larger; dx = 0.

    >>> mt.floor(mt.tensor([-1.5, 1.5]))
    tensor([-2.,  1.])
    """
    return _rounded(FLOOR, input)


def ceil(input: Any) -> Any:
    """The smallest integer that is not smaller; dx = 0."""
    return _rounded(CEIL, input)


def trunc(input: Any) -> Any:
    """The integer part; dx = 0."""
    return _rounded(TRUNC, input)


def round(input: Any, *, decimals: int = 0) -> Any:
    """The nearest integer, or number of so many decimals; halves go to the even one; dx = 0.

    >>> mt.round(mt.tensor([0.5, 1.5, -0.7]))
    tensor([ 0.,  2., -1.])
    """
    if decimals == 0:
        return _rounded(ROUND, input)
    scale = 10.0 ** builtins.abs(decimals)
    if decimals > 0:
        return div(_rounded(ROUND, mul(input, scale)), scale)
    return mul(_rounded(ROUND, div(input, scale)), scale)


# --- erf --------------------------------------------------------------------------------------------------------------


def _erf_reference(x: Array) -> Array:
    return np.array([math.erf(v) for v in x.ravel().tolist()], x.dtype).reshape(x.shape)


ERF = elementwise(
    "erf",
    reference=_erf_reference,
    kernel=_core.erf,
    rules=(lambda g, x: mul(g, mul(exp(neg(square(x))), 2 / math.sqrt(math.pi))),),
    saves="x",
    samples=draws(*ONE),
)


def erf(input: Any) -> Any:
    r"""The error function.

        forward    out = 2 / sqrt(pi) * the integral of exp(-t^2) from 0 to x
        backward   dx = g * 2 / sqrt(pi) * exp(-x^2)

    >>> mt.erf(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return apply_one(ERF, input)


# --- activations ------------------------------------------------------------------------------------------------------

TANH_VJP: Op = elementwise(
    "tanh_vjp",
    reference=lambda g, y: g * (1 - y * y),
    kernel=_core.tanh_vjp,
    rules=(lambda h, _g, y: apply(TANH_VJP, h, y), lambda h, g, y: mul(mul(mul(h, g), y), -2)),
    saves="x y",
    samples=draws(*TWO),
)

TANH = elementwise(
    "tanh",
    reference=np.tanh,
    kernel=_core.tanh,
    rules=(lambda g, out: apply(TANH_VJP, g, out),),
    saves="out",
    samples=draws(*ONE),
)


def tanh(input: Any) -> Any:
    r"""The hyperbolic tangent.

        forward    out = (e^x - e^-x) / (e^x + e^-x)
        backward   dx = g (1 - out^2)

    >>> mt.tanh(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    return apply_one(TANH, input)


def _logistic(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    y: Array = np.where(x >= 0, 1, e) / (1 + e)
    return y


SIGMOID_VJP: Op = elementwise(
    "sigmoid_vjp",
    reference=lambda g, y: g * (y * (1 - y)),
    kernel=_core.sigmoid_vjp,
    rules=(
        lambda h, _g, y: apply(SIGMOID_VJP, h, y),
        lambda h, g, y: mul(mul(h, g), sub(1, mul(y, 2))),
    ),
    saves="x y",
    samples=draws(*TWO),
)

SIGMOID = elementwise(
    "sigmoid",
    reference=lambda x: _logistic(x).astype(x.dtype),
    kernel=_core.sigmoid,
    rules=(lambda g, out: apply(SIGMOID_VJP, g, out),),
    saves="out",
    samples=draws(*ONE),
)


def sigmoid(input: Any) -> Any:
    r"""The logistic function.

        forward    out = 1 / (1 + e^-x)
        backward   dx = g out (1 - out)

    >>> mt.sigmoid(mt.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """
    return apply_one(SIGMOID, input)


RELU_VJP: Op = elementwise(
    "relu_vjp",
    reference=lambda g, y: np.where(y <= 0, 0, g).astype(g.dtype),
    kernel=_core.relu_vjp,
    rules=(lambda h, y: apply(RELU_VJP, h, y), None),
    saves="y",
    samples=draws(*TWO),
    exact=True,
)

RELU = elementwise(
    "relu",
    reference=lambda x: np.maximum(x, 0),
    kernel=_core.relu,
    rules=(lambda g, out: apply(RELU_VJP, g, out),),
    saves="out",
    samples=draws(*ONE, away=0.1),
    exact=True,
)


def relu(input: Any) -> Any:
    r"""The positive part.

        forward    out = max(x, 0)
        backward   dx = g where out > 0, else 0; so 0 at 0

    >>> mt.relu(mt.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """
    if is_floating(input):
        return apply_one(RELU, input)
    (x,) = promote("relu", input)
    if raw(x).dtype.kind == "b":
        raise DtypeError("relu: bools have no positive part")
    return apply(RELU, x)


# silu' = s + x s (1 - s), and its derivative s (1 - s) (2 + x (1 - 2 s))
SILU_VJP: Op = elementwise(
    "silu_vjp",
    reference=lambda g, x: g * _logistic(x) * (1 + x * (1 - _logistic(x))),
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
    reference=lambda x: x * _logistic(x),
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
    need_float("silu", input)
    return apply(SILU, input)


_C, _CUBE = math.sqrt(2 / math.pi), 0.044715  # of the approximation by tanh


def _gelu_reference(x: Array, *, approximate: str) -> Any:
    if approximate == "tanh":
        return 0.5 * x * (1 + np.tanh(_C * (x + _CUBE * x**3)))
    return 0.5 * x * (1 + _erf_reference(x / math.sqrt(2)))


def _gelu_vjp_reference(g: Array, x: Array, *, approximate: str) -> Any:
    if approximate == "tanh":
        t = np.tanh(_C * (x + _CUBE * x**3))
        return g * (0.5 * (1 + t) + 0.5 * x * (1 - t * t) * _C * (1 + 3 * _CUBE * x * x))
    cdf = 0.5 * (1 + _erf_reference(x / math.sqrt(2)))
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
    kernel=lambda g, x, *, approximate: (_core.gelu_tanh_vjp if approximate == "tanh" else _core.gelu_vjp)(g, x),
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
    kernel=lambda x, *, approximate: (_core.gelu_tanh if approximate == "tanh" else _core.gelu)(x),
    rules=(_gelu_vjp,),
    saves="x",
    samples=_each_gelu(ONE),
)


def gelu(input: Any, *, approximate: str = "none") -> Any:
    r"""x times the chance that a normal variable is below x. Hendrycks and Gimpel, 2016.

        forward    out = x P(x),  P(x) = (1 + erf(x / sqrt 2)) / 2
                   or with approximate="tanh": P(x) = (1 + tanh u) / 2,  u = sqrt(2 / pi) (x + 0.044715 x^3)
        backward   dx = g (P(x) + x P'(x))

    >>> mt.nn.functional.gelu(mt.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """
    need_float("gelu", input)
    if approximate not in ("none", "tanh"):
        raise ShapeError(f"gelu: approximate must be 'none' or 'tanh', not {approximate!r}")
    return apply(GELU, input, approximate=approximate)


LEAKY_RELU_VJP: Op = elementwise(
    "leaky_relu_vjp",
    reference=lambda g, x, *, slope: np.where(x > 0, g, g * slope).astype(g.dtype),
    kernel=lambda g, x, *, slope: _core.leaky_relu_vjp(g, x, slope),
    rules=(lambda h, x, *, slope: apply(LEAKY_RELU_VJP, h, x, slope=slope), None),
    saves="y",
    samples=draws(*TWO, away=0.1, slope=0.1),
)

LEAKY_RELU = elementwise(
    "leaky_relu",
    reference=lambda x, *, slope: np.where(x > 0, x, x * slope).astype(x.dtype),
    kernel=lambda x, *, slope: _core.leaky_relu(x, slope),
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
    need_float("leaky_relu", input)
    return apply(LEAKY_RELU, input, slope=float(negative_slope))


def _softplus_reference(x: Array, *, beta: float, threshold: float) -> Array:
    z = beta * x
    return np.where(z > threshold, x, np.logaddexp(0, z) / beta).astype(x.dtype)


def _softplus_vjp_reference(g: Array, x: Array, *, beta: float, threshold: float) -> Array:
    z = beta * x
    return np.where(z > threshold, g, g * _logistic(z)).astype(g.dtype)


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
    kernel=lambda g, x, *, beta, threshold: _core.softplus_vjp(g, x, beta, threshold),
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
    kernel=lambda x, *, beta, threshold: _core.softplus(x, beta, threshold),
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
    need_float("softplus", input)
    return apply(SOFTPLUS, input, beta=float(beta), threshold=float(threshold))
