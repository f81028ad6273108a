r"""Softmax and its logarithm along one axis.

    softmax        forward    y_i = exp(x_i - m) / sum_j exp(x_j - m),     m = max_j x_j
                   backward   dx  = y * (g - <g, y>)       the Jacobian is diag(y) - y y^T; only y is saved
    log_softmax    forward    y_i = x_i - m - log(sum_j exp(x_j - m))
                   backward   dx  = g - exp(y) * <g, 1>    the Jacobian is I - 1 exp(y)^T; only y is saved

Each backward is an operator of its own, in whose derivatives y counts as a variable: it is one, in x.

Kernels: csrc/kernels/softmax.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..graph.record import apply_flat, attempt
from ..op import Op, Result, Sample
from .arithmetic import mul, neg, sub
from .common import Array, axis, need_float, shape_of, shifted, to_dtype
from .functions import exp
from .reduce import sum

SHAPES = (
    ((3, 5), 1),
    ((3, 5), 0),
    ((2, 4, 3), 1),
    ((), 0),
    ((1,), 0),
    ((2, 16), 1),
    ((2, 17), 1),
    ((3, 67), 1),
    ((2, 3, 33), 1),
    ((70, 3), 1),
    ((9, 1024), 0),
    ((4, 1), 1),
    ((0, 3), 1),
    ((3, 0), 1),
)


def _one(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in SHAPES:
        yield Sample((rng.standard_normal(shape),), {"dim": dim})


def _length(x: Array, *_: Array, dim: int) -> int:
    return x.shape[dim] if x.ndim else 1


# --- softmax ----------------------------------------------------------------------------------------------------------


def _softmax_reference(x: Array, *, dim: int) -> Result:
    rows = np.atleast_1d(x)
    with np.errstate(invalid="ignore"):
        e = np.exp(rows - rows.max(dim, keepdims=True, initial=-np.inf))
        y = (e / e.sum(dim, keepdims=True)).reshape(x.shape)
    return y, (y,)


def _softmax_dx(g: Any, y: Any, *, dim: int) -> Any:
    return apply_flat(SOFTMAX_VJP, g, y, dim)


def _softmax_jvp(tangents: Any, y: Any, *, dim: int) -> Any:
    return apply_flat(SOFTMAX_VJP, tangents[0], y, dim)  # the Jacobian is symmetric


SOFTMAX = Op(
    "softmax",
    _softmax_reference,
    None,
    (_softmax_dx,),
    _softmax_jvp,
    _one,
    length=_length,
    batch=shifted("softmax", "dim"),
    kernel=_core.softmax,
    saves=(-1,),
    names=("dim",),
)


def _softmax_vjp_reference(g: Array, y: Array, *, dim: int) -> Result:
    g_, y_ = np.atleast_1d(g), np.atleast_1d(y)
    return (y_ * (g_ - (g_ * y_).sum(dim, keepdims=True))).reshape(y.shape), (g, y)


def _softmax_vjp_dg(u: Any, _g: Any, y: Any, *, dim: int) -> Any:
    return apply_flat(SOFTMAX_VJP, u, y, dim)


def _softmax_vjp_dy(u: Any, g: Any, y: Any, *, dim: int) -> Any:
    # <u, y * (g - <g, y>)> by y:  u * (g - <g, y>) - g * <u, y>
    first = mul(u, sub(g, sum(mul(g, y), dim, True)))
    return sub(first, mul(g, sum(mul(u, y), dim, True)))


def _softmax_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in SHAPES:
        yield Sample((rng.standard_normal(shape), rng.uniform(0, 1, shape)), {"dim": dim})


SOFTMAX_VJP = Op(
    "softmax_vjp",
    _softmax_vjp_reference,
    None,
    (_softmax_vjp_dg, _softmax_vjp_dy),
    None,
    _softmax_vjp_samples,
    exact=True,
    length=_length,
    batch=shifted("softmax_vjp", "dim"),
    kernel=_core.softmax_vjp,
    saves=(0, 1),
    names=("dim",),
)


def softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    r"""Numbers between 0 and 1 that sum to 1 along `dim`, in the proportions of exp(input).

        forward    y_i = exp(x_i - m) / sum_j exp(x_j - m),  m = max_j x_j: the largest exponent is 0, so none overflows
        backward   dx = y * (g - <g, y>)
        kernel     csrc/kernels/softmax.cpp

    Shapes: any, and the same out. With `dtype` the input is cast to it first. A line that is -inf throughout, or holds
    NaN or +inf, gives NaN. Raises DtypeError for integers, IndexRangeError for an axis that there is not.
    Source: Bridle, "Probabilistic interpretation of feedforward classification network outputs", 1990.

    >>> mt.softmax(mt.tensor([0.0, 0.0, 0.0, 0.0]), 0)
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """
    if dtype is not None:
        input = to_dtype(input, dtypes.of(dtype))
    result = attempt(SOFTMAX, input, dim)
    if result is not None:
        return result
    need_float("softmax", input)
    return apply_flat(SOFTMAX, input, axis("softmax", dim, len(shape_of(input))))


def softmin(input: Any, dim: int, dtype: Any = None) -> Any:
    r"""The softmax of -input: the smallest get the most.

    >>> mt.nn.functional.softmin(mt.tensor([3.0, 3.0]), 0)
    tensor([0.5000, 0.5000])
    """
    return softmax(neg(input), dim, dtype)


# --- log_softmax ------------------------------------------------------------------------------------------------------


def _log_softmax_reference(x: Array, *, dim: int) -> Result:
    rows = np.atleast_1d(x)
    with np.errstate(all="ignore"):
        shifted = rows - rows.max(dim, keepdims=True, initial=-np.inf)
        y = (shifted - np.log(np.exp(shifted).sum(dim, keepdims=True))).reshape(x.shape)
    return y, (y,)


def _log_softmax_dx(g: Any, y: Any, *, dim: int) -> Any:
    return apply_flat(LOG_SOFTMAX_VJP, g, y, dim)


def _log_softmax_jvp(tangents: Any, y: Any, *, dim: int) -> Any:
    t = tangents[0]
    return sub(t, sum(mul(exp(y), t), dim, True))


LOG_SOFTMAX = Op(
    "log_softmax",
    _log_softmax_reference,
    None,
    (_log_softmax_dx,),
    _log_softmax_jvp,
    _one,
    length=_length,
    batch=shifted("log_softmax", "dim"),
    kernel=_core.log_softmax,
    saves=(-1,),
    names=("dim",),
)


def _log_softmax_vjp_reference(g: Array, y: Array, *, dim: int) -> Result:
    g_, y_ = np.atleast_1d(g), np.atleast_1d(y)
    return (g_ - np.exp(y_) * g_.sum(dim, keepdims=True)).reshape(y.shape), (g, y)


def _log_softmax_vjp_dg(u: Any, _g: Any, y: Any, *, dim: int) -> Any:
    return sub(u, sum(mul(u, exp(y)), dim, True))


def _log_softmax_vjp_dy(u: Any, g: Any, y: Any, *, dim: int) -> Any:
    # <u, g - exp(y) * <g, 1>> by y:  -u * exp(y) * <g, 1>
    return neg(mul(mul(u, exp(y)), sum(g, dim, True)))


def _log_softmax_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in SHAPES:
        yield Sample((rng.standard_normal(shape), rng.uniform(-3, 0, shape)), {"dim": dim})


LOG_SOFTMAX_VJP = Op(
    "log_softmax_vjp",
    _log_softmax_vjp_reference,
    None,
    (_log_softmax_vjp_dg, _log_softmax_vjp_dy),
    None,
    _log_softmax_vjp_samples,
    length=_length,
    batch=shifted("log_softmax_vjp", "dim"),
    kernel=_core.log_softmax_vjp,
    saves=(0, 1),
    names=("dim",),
)


def log_softmax(input: Any, dim: int, dtype: Any = None) -> Any:
    r"""The logarithm of `softmax`, without the underflow of taking one after the other.

        forward    y_i = x_i - m - log(sum_j exp(x_j - m)),  m = max_j x_j
        backward   dx = g - exp(y) * sum_j g_j
        kernel     csrc/kernels/softmax.cpp

    Shapes, dtype, special values and errors as `softmax`.

    >>> mt.log_softmax(mt.tensor([0.0, 1000.0]), 0)
    tensor([-1000.,     0.])
    """
    if dtype is not None:
        input = to_dtype(input, dtypes.of(dtype))
    result = attempt(LOG_SOFTMAX, input, dim)
    if result is not None:
        return result
    need_float("log_softmax", input)
    return apply_flat(LOG_SOFTMAX, input, axis("log_softmax", dim, len(shape_of(input))))
