"""Functions of one number, element by element: abs, sign, exp, log, roots, powers, tanh, sigmoid, relu.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row. A
derivative that is fused into one kernel is an operator too, `f_vjp`, with rules of its own.
Kernels: csrc/kernels/functions.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, ShapeError
from ..graph.record import apply, apply_one, attempt
from ..graph.tensors import Tensor
from ..op import Op
from .arithmetic import add, div, mul, mul_both, reciprocal, square, sub, zero
from .common import (
    ONE,
    TWO,
    Array,
    array_of,
    composed,
    copied,
    draws,
    elementwise,
    is_floating,
    named,
    promote,
    promote_float,
    raw,
    to_dtype,
    unary,
    write_out,
)
from .comparison import eq, ge, isfinite, logical_and, logical_not, where

# --- abs, sign --------------------------------------------------------------------------------------------------------

SIGN = elementwise(
    "sign",
    reference=lambda x: np.sign(x) if x.dtype.kind != "f" else np.where(np.isnan(x), 0, np.sign(x)).astype(x.dtype),
    kernel=_core.sign,
    rules=(lambda g: zero(g),),
    saves="",
    samples=draws(*ONE, away=0.1),
)


def sign(input: Any, *, out: Any = None) -> Any:
    r"""1, 0 or -1; 0 for NaN.

        forward    out = sign(x)
        backward   dx = 0

    >>> mt.sign(mt.tensor([-3.0, 0.0, 2.0]))
    tensor([-1.,  0.,  1.])
    """
    result = attempt(SIGN, input)
    if result is not None:
        return result if out is None else write_out("sign", result, out)
    (x,) = promote("sign", input)
    if array_of(x).dtype.kind == "c":
        raise DtypeError("sign: complex numbers have no sign; sgn is their direction")
    result = copied(x) if array_of(x).dtype.kind == "b" else apply(SIGN, x)
    return result if out is None else write_out("sign", result, out)


@named("SgnBackward0")
def sgn(input: Any, *, out: Any = None) -> Any:
    """The sign of real numbers; the direction z / |z| of complex ones, and 0 at 0.

    >>> mt.sgn(mt.tensor([-3.0, 0.0]))
    tensor([-1.,  0.])
    """
    if not isinstance(raw(input), np.ndarray) or raw(input).dtype.kind != "c":
        return sign(input, out=out)
    from .complex import direction

    result = direction(input)
    return result if out is None else write_out("sgn", result, out)


ABS = elementwise(
    "abs",
    reference=np.abs,
    kernel=_core.abs,
    rules=(lambda g, x: mul(g, sign(x)),),
    saves="x",
    samples=draws(*ONE, away=0.1),
    exact=True,
)


def abs(input: Any, *, out: Any = None) -> Any:
    r"""The absolute value.

        forward    out = |x|
        backward   dx = g sign(x), which is 0 at 0

    >>> mt.abs(mt.tensor([-3.0, 2.0]))
    tensor([3., 2.])
    """
    result = attempt(ABS, input)
    if result is None:
        (x,) = promote("abs", input)
        if array_of(x).dtype.kind == "c":
            from .complex import modulus

            result = modulus(x)
            return result if out is None else write_out("abs", result, out)
        if array_of(x).dtype.kind == "b":
            raise DtypeError("abs: bools have no absolute value")
        result = apply(ABS, x)
    return result if out is None else write_out("abs", result, out)


absolute = abs

# --- exp, log ---------------------------------------------------------------------------------------------------------

EXP = elementwise(
    "exp",
    reference=np.exp,
    kernel=_core.exp,
    rules=(lambda g, out: mul(g, out),),
    saves="out",
    samples=draws(*ONE),
)


def exp(input: Any, *, out: Any = None) -> Any:
    r"""e to the power of x.

        forward    out = e^x
        backward   dx = g * out

    >>> mt.exp(mt.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    result = apply_one(EXP, input)
    return result if out is None else write_out("exp", result, out)


LOG = elementwise(
    "log",
    reference=np.log,
    kernel=_core.log,
    rules=(lambda g, x: div(g, x),),
    saves="x",
    samples=draws(*ONE, low=0.5, high=3.0),
)


def log(input: Any, *, out: Any = None) -> Any:
    r"""The natural logarithm; NaN below 0, -inf at 0.

        forward    out = ln x
        backward   dx = g / x

    >>> mt.log(mt.tensor([1.0, 2.0]))
    tensor([0.0000, 0.6931])
    """
    result = apply_one(LOG, input)
    return result if out is None else write_out("log", result, out)


def plain(
    name: str,
    reference: Callable[..., Any],
    rule: Callable[..., Any],
    saves: str,
    low: float = -2.0,
    high: float = 2.0,
    kernel: Callable[..., Any] | None = None,
) -> Op:
    """The row of a function of one number; its NumPy reference, which in double precision is right to the last bit of a
    float32, is also what runs where no kernel is given."""
    return elementwise(
        name,
        reference=_in_double(reference),
        kernel=kernel,
        rules=(rule,),
        saves=saves,
        samples=draws(*ONE, low=low, high=high),
    )


def _in_double(function: Callable[..., Any]) -> Callable[..., Any]:
    def wide(x: Array) -> Any:
        return function(x.astype(np.result_type(x.dtype, np.float64), copy=False)).astype(x.dtype, copy=False)

    return wide


def or_else(kernel: Callable[..., Any], reference: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel of floats; of doubles the reference."""

    def run(x: Any) -> Any:
        y = kernel(x)
        if y is not None or getattr(x, "dtype", None) != np.float64:
            return y
        with np.errstate(all="ignore"):
            return np.asarray(reference(x))

    return run


EXPM1 = plain("expm1", np.expm1, lambda g, out: mul(g, add(out, 1)), "out", kernel=_core.expm1)
EXP2 = plain("exp2", np.exp2, lambda g, out: mul_both(g, out, math.log(2)), "out", kernel=_core.exp2)
LOG1P = plain("log1p", np.log1p, lambda g, x: div(g, add(x, 1)), "x", -0.5, 2, _core.log1p)
LOG2 = plain("log2", np.log2, lambda g, x: div(g, mul(x, math.log(2))), "x", 0.5, 3, _core.log2)
LOG10 = plain("log10", np.log10, lambda g, x: div(g, mul(x, math.log(10))), "x", 0.5, 3, _core.log10)


def expm1(input: Any, *, out: Any = None) -> Any:
    """e^x - 1, accurate around 0; dx = g (out + 1)."""
    return unary(EXPM1, input, out)


def exp2(input: Any, *, out: Any = None) -> Any:
    """2^x; dx = g out ln 2."""
    return unary(EXP2, input, out)


def log1p(input: Any, *, out: Any = None) -> Any:
    """ln(1 + x), accurate around 0; dx = g / (1 + x)."""
    return unary(LOG1P, input, out)


def log2(input: Any, *, out: Any = None) -> Any:
    """The logarithm to base 2; dx = g / (x ln 2)."""
    return unary(LOG2, input, out)


def log10(input: Any, *, out: Any = None) -> Any:
    """The logarithm to base 10; dx = g / (x ln 10)."""
    return unary(LOG10, input, out)


def _logarithm_of_sum(name: str, reference: Callable[..., Any], power: Any, log_base: float) -> Op:
    """The row of logaddexp and logaddexp2: each argument's share of the gradient is a sigmoid of the difference."""

    def run(x: Array, y: Array) -> Any:
        most = _core.maximum(x, y)
        more = _core.log1p(power(_core.neg(_core.abs(_core.sub(x, y)))))
        total = _core.multiply_add(most, more, 1.0, 1 / log_base, False)
        return _core.where(total, most, _core.lt(_core.abs(most), math.inf))  # of infinities and NaN the larger itself

    return elementwise(
        name,
        reference=reference,
        kernel=composed(name, run),
        rules=(
            lambda g, x, y: mul(g, sigmoid(mul(sub(x, y), log_base))),
            lambda g, x, y: mul(g, sigmoid(mul(sub(y, x), log_base))),
        ),
        saves="x y",
        samples=draws(*TWO),
    )


LOGADDEXP = _logarithm_of_sum("logaddexp", np.logaddexp, _core.exp, 1.0)
LOGADDEXP2 = _logarithm_of_sum("logaddexp2", np.logaddexp2, _core.exp2, math.log(2))


def logaddexp(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The logarithm of a sum of exponentials, without overflow.

        forward    out = ln(e^x + e^y)
        backward   dx = g / (1 + e^(y - x)),  dy = g / (1 + e^(x - y))

    Shapes broadcast; a dtype is promoted, integers to floats.

    >>> mt.logaddexp(mt.tensor([0.0, 1000.0]), mt.tensor([0.0, 1000.0]))
    tensor([6.9315e-01, 1.0007e+03])
    """
    result = apply(LOGADDEXP, *promote_float("logaddexp", input, other))
    return result if out is None else write_out("logaddexp", result, out)


def logaddexp2(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""As `logaddexp`, to base 2.

        forward    out = log2(2^x + 2^y)
        backward   dx = g / (1 + 2^(y - x)),  dy = g / (1 + 2^(x - y))

    >>> mt.logaddexp2(mt.tensor([3.0]), mt.tensor([3.0]))
    tensor([4.])
    """
    result = apply(LOGADDEXP2, *promote_float("logaddexp2", input, other))
    return result if out is None else write_out("logaddexp2", result, out)


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


def sqrt(input: Any, *, out: Any = None) -> Any:
    r"""The square root; NaN below 0.

        forward    out = x^(1/2)
        backward   dx = g / (2 out), which is inf at 0

    >>> mt.sqrt(mt.tensor([4.0, 9.0]))
    tensor([2., 3.])
    """
    result = apply_one(SQRT, input)
    return result if out is None else write_out("sqrt", result, out)


def rsqrt(input: Any, *, out: Any = None) -> Any:
    r"""One over the square root.

        forward    out = x^(-1/2)
        backward   dx = -g out^3 / 2

    >>> mt.rsqrt(mt.tensor([4.0, 0.25]))
    tensor([0.5000, 2.0000])
    """
    result = apply_one(RSQRT, input)
    return result if out is None else write_out("rsqrt", result, out)


# --- pow --------------------------------------------------------------------------------------------------------------


def _pow_scalar_dx(g: Any, x: Any, *, exponent: float) -> Any:
    if exponent == 0:
        return zero(g)
    # x itself would do for x^1, but a derivative that is constant counts as a function of x.
    rest = x if exponent == 2 and not isinstance(g, Tensor) else apply(POW_SCALAR, x, exponent=exponent - 1)
    return mul_both(g, rest, exponent)


def _pow_scalar_reference(x: Array, *, exponent: float) -> Array:
    if exponent in (0.5, -0.5) and x.dtype.kind == "f":  # a root, also of -inf and -0, as PyTorch has it
        root: Array = np.sqrt(x)
        return root if exponent > 0 else 1 / root
    power: Array = np.power(x, np.asarray(exponent, x.dtype)).astype(x.dtype)
    return power


POW_SCALAR: Op = elementwise(
    "pow_scalar",
    reference=_pow_scalar_reference,
    kernel=_core.pow_scalar,
    names=("exponent",),
    rules=(_pow_scalar_dx,),
    saves="x",
    samples=lambda rng: (
        sample
        for p in (-2, -1, -0.5, 0, 0.5, 1, 1.7, 2, 3, 4)
        for sample in draws(((2, 3),), ((),), ((0,),), ((67,),), low=0.5, high=2, exponent=p)(rng)
    ),
)


def _pow_dx(g: Any, x: Any, y: Any, _out: Any) -> Any:
    # 0 times 1/x: where that is no number, x^0 is. The other places keep their derivatives, d2/dxdy = 1/x at y = 0.
    flat = logical_and(eq(y, 0), logical_not(isfinite(reciprocal(x))))
    return mul(g, mul(y, apply(POW, x, where(flat, 0.0, sub(y, 1)))))


def _pow_dy(g: Any, x: Any, y: Any, out: Any) -> Any:
    flat = eq(x, 0) if array_of(y).dtype.kind == "c" else logical_and(eq(x, 0), ge(y, 0))
    return mul(g, mul(out, log(where(flat, 1.0, x))))


def _pow_reference(x: Array, y: Array) -> Array:
    if x.dtype.kind in "fc":
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


def pow(input: Any, exponent: Any, *, out: Any = None) -> Any:
    r"""Power.

        forward    out = x^y
        backward   dx = g * y * x^(y - 1), and 0 where y = 0
                   dy = g * out * ln x,    and 0 where x = 0 and y >= 0

    Shapes broadcast; a dtype is promoted. Integers to the power of one negative integer raise ShapeError.

    >>> mt.pow(mt.tensor([1.0, 2.0, 3.0]), 2)
    tensor([1., 4., 9.])
    """
    if type(exponent) is int or type(exponent) is float:
        result = attempt(POW_SCALAR, input, exponent) if -1e9 < exponent < 1e9 else None
        if result is not None:
            return result if out is None else write_out("pow", result, out)
    x, y = promote("pow", input, exponent)
    if isinstance(exponent, (int, float)) and array_of(x).dtype.kind != "b":
        if array_of(x).dtype.kind not in "fc" and exponent < 0:
            raise ShapeError(f"pow: integers to the negative integer power {exponent}; make them floats")
        result = apply(POW_SCALAR, x, exponent=+exponent if math.isfinite(exponent) else float(exponent))
    else:
        result = apply(POW, x, y)
    return result if out is None else write_out("pow", result, out)


def float_power(input: Any, exponent: Any, *, out: Any = None) -> Any:
    """`pow` in float64, whatever the arguments hold.

    >>> mt.float_power(mt.tensor([2, 3]), -1)
    tensor([0.5000, 0.3333], dtype=minitensor.float64)
    """
    x, y = [to_dtype(v, dtypes.float64) if isinstance(raw(v), np.ndarray) else float(v) for v in (input, exponent)]
    if isinstance(x, float):
        x = to_dtype(x, dtypes.float64)
    return pow(x, y, out=out)


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


def tanh(input: Any, *, out: Any = None) -> Any:
    r"""The hyperbolic tangent.

        forward    out = (e^x - e^-x) / (e^x + e^-x)
        backward   dx = g (1 - out^2)

    >>> mt.tanh(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    result = apply_one(TANH, input)
    return result if out is None else write_out("tanh", result, out)


def logistic(x: Array) -> Array:
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
    reference=lambda x: logistic(x).astype(x.dtype),
    kernel=_core.sigmoid,
    rules=(lambda g, out: apply(SIGMOID_VJP, g, out),),
    saves="out",
    samples=draws(*ONE),
)


def sigmoid(input: Any, *, out: Any = None) -> Any:
    r"""The logistic function.

        forward    out = 1 / (1 + e^-x)
        backward   dx = g out (1 - out)

    >>> mt.sigmoid(mt.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """
    result = apply_one(SIGMOID, input)
    return result if out is None else write_out("sigmoid", result, out)


RELU_VJP: Op = elementwise(
    "relu_vjp",
    reference=lambda g, y: np.where(y <= 0, 0, g).astype(g.dtype),
    kernel=_core.relu_vjp,
    rules=(lambda h, y: apply(RELU_VJP, h, y), lambda h, _y: zero(h)),
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
    result = attempt(RELU, input)
    if result is not None:
        return result
    if is_floating(input):
        return apply(RELU, input)
    (x,) = promote("relu", input)
    if array_of(x).dtype.kind == "b":
        raise DtypeError("relu: bools have no positive part")
    return apply(RELU, x)
