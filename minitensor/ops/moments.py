"""What is made of sums over axes: var, std, logsumexp, norm, dist. Kernel: csrc/kernels/moments.cpp.

Each has its maths in the public function's docstring, and above it the NumPy reference, the rules and the row.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import IndexRangeError, ShapeError
from ..graph.record import apply, apply_flat
from ..op import Op, Result, Sample
from . import shape as shapes
from .arithmetic import div, mul, sub, zero
from .common import (
    Array,
    array_of,
    axes,
    axis,
    named,
    need_float,
    number,
    numpy_names,
    shape_of,
    shifted,
    to_dtype,
    write_out,
)
from .comparison import eq, where
from .functions import abs, exp, pow, sign
from .reduce import CASES, HOLLOW, LARGE, MEAN, Axes, Shape, cases, count_of, extreme_dx, kept, length, spread

APART: tuple[tuple[Shape, Axes], ...] = (((3, 2, 3, 2, 3), (0, 2, 4)), ((3, 4, 5, 2), (0, 2, 3)))

# --- var, std ---------------------------------------------------------------------------------------------------------


def _var_reference(x: Array, *, axes: Axes, keepdim: bool, correction: float) -> Result:
    n = count_of(x.shape, axes)
    with np.errstate(all="ignore"):
        m = x.sum(axes, keepdims=True) / x.dtype.type(n)
        total = np.square(x - m).sum(axes, keepdims=keepdim)
        return np.asarray(total / x.dtype.type(builtins.max(n - correction, 0))), (x,)


def _reduced(shape: Shape, over: Axes, keepdim: bool) -> Shape:
    """The shape of a reduction's result."""
    return kept(shape, over) if keepdim else tuple([n for d, n in enumerate(shape) if d not in over])


def _runs(over: Axes) -> list[Axes]:
    """Sorted axes as runs of neighbours."""
    starts = [i for i, d in enumerate(over) if i == 0 or d != over[i - 1] + 1]
    return [over[i:j] for i, j in zip(starts, [*starts[1:], len(over)], strict=True)]


def _squares(x: Array, runs: list[Axes]) -> Array:
    """sum_i (x_i - m)^2 over runs of axes, kept. Over the last run of the n first, each with its mean m_k:

    sum_ki (x_ki - m)^2 = sum_ki (x_ki - m_k)^2 + n sum_k (m_k - m)^2
    """
    *rest, run = runs
    n = count_of(x.shape, run)
    within: Array = _core.var(x, run, True, n - 1)
    if not rest:
        return within
    size = np.asarray(n, x.dtype)
    means = _core.div(_core.sum(x, run, True), size)
    total: Array = _core.sum(within, tuple([d for r in rest for d in r]), True)
    return _core.add(total, _core.mul(_squares(means, rest), size))


def _var_forward(x: Array, *, axes: Axes, keepdim: bool, correction: float) -> Result:
    out = _core.var(x, axes, keepdim, correction)
    if out is None:  # over axes that are apart, or none
        freedom = np.asarray(builtins.max(count_of(x.shape, axes) - correction, 0), x.dtype)
        out = _core.div(_squares(x, _runs(axes)) if axes else _core.sub(x, x), freedom)
        out = out.reshape(_reduced(x.shape, axes, keepdim))
    return out, (x,)


def _var_dx(g: Any, x: Any, *, axes: Axes, keepdim: bool, correction: float) -> Any:
    shape = shape_of(x)
    freedom = builtins.max(count_of(shape, axes) - correction, 0)
    scale = div(mul(shapes.reshape(g, kept(shape, axes)), 2), freedom)
    return mul(sub(x, apply(MEAN, x, axes=axes, keepdim=True)), scale)


def _var_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for correction in (0, 1):
        for sample in cases(CASES[1:], LARGE, APART, correction=correction)(rng):
            if count_of(sample.args[0].shape, sample.params["axes"]) > builtins.max(correction, 1):
                yield sample


VAR = Op(
    "var",
    _var_reference,
    _var_forward,
    (_var_dx,),
    None,
    _var_samples,
    length=length,
    batch=shifted("var", "axes"),
    kernel=_core.var,
    saves=(0,),
    names=("axes", "keepdim", "correction"),
)


def _options(name: str, input: Any, dim: Any, unbiased: Any, correction: Any) -> tuple[Axes, float]:
    """(axes, correction) of PyTorch's forms: f(x), f(x, unbiased), f(x, dim, unbiased), f(x, dim, correction=...)."""
    if isinstance(dim, bool):
        if unbiased is not None:
            raise TypeError(f"{name}: unbiased is given twice")
        dim, unbiased = None, dim
    need_float(name, input)
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    elif unbiased is not None:
        raise TypeError(f"{name}: give correction or unbiased, not both")
    return axes(name, dim, len(shape_of(input))), number(name, "correction", correction)


@numpy_names
def var(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Any = None,
) -> Any:
    r"""The variance over axes, with n - correction in the denominator (1 unless `unbiased` is False).

        forward    out = sum_i (x_i - m)^2 / (n - c),  m = the mean of x
        backward   dx_i = 2 g (x_i - m) / (n - c); what the change of m brings adds up to 0

    NaN where n = c. Raises DtypeError for integers.

    >>> mt.var(mt.tensor([1.0, 2.0, 4.0]))
    tensor(2.3333)
    """
    over, c = _options("var", input, dim, unbiased, correction)
    result = apply_flat(VAR, input, over, bool(keepdim), c)
    return result if out is None else write_out("var", result, out)


def _std_reference(x: Array, **params: Any) -> Result:
    out = np.asarray(np.sqrt(_var_reference(x, **params)[0]))
    return out, (x, out)


def _std_forward(x: Array, **params: Any) -> Result:
    out = _core.sqrt(_var_forward(x, **params)[0])
    return out, (x, out)


def _std(x: Array, *params: Any) -> Array | None:
    variance = _core.var(x, *params)
    return None if variance is None else _core.sqrt(variance)


def _std_dx(g: Any, x: Any, out: Any, *, axes: Axes, keepdim: bool, correction: float) -> Any:
    # Where all x are equal there is no derivative; PyTorch takes 0.
    dvar = where(eq(out, 0), 0.0, div(g, mul(out, 2)))
    return _var_dx(dvar, x, axes=axes, keepdim=keepdim, correction=correction)


STD = Op(
    "std",
    _std_reference,
    _std_forward,
    (_std_dx,),
    None,
    _var_samples,
    length=length,
    batch=shifted("std", "axes"),
    kernel=_std,
    saves=(0, -1),
    names=("axes", "keepdim", "correction"),
)


@numpy_names
def std(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Any = None,
) -> Any:
    r"""The standard deviation over axes, the square root of `var`.

        forward    out = sqrt(var(x))
        backward   dx_i = g (x_i - m) / ((n - c) out), and 0 where out = 0

    >>> mt.std(mt.tensor([1.0, 3.0]))
    tensor(1.4142)
    """
    over, c = _options("std", input, dim, unbiased, correction)
    result = apply_flat(STD, input, over, bool(keepdim), c)
    return result if out is None else write_out("std", result, out)


def _with_mean(op: Op, name: str, input: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any, out: Any) -> Any:
    over, c = _options(name, input, dim, unbiased, correction)
    result = apply_flat(op, input, over, bool(keepdim), c), apply_flat(MEAN, input, over, bool(keepdim))
    return result if out is None else write_out(name, result, out)


@named("VarMeanBackward0")
@numpy_names
def var_mean(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Any = None,
) -> Any:
    """(`var`, `mean`) over axes.

    >>> mt.var_mean(mt.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return _with_mean(VAR, "var_mean", input, dim, unbiased, keepdim, correction, out)


@named("StdMeanBackward0")
@numpy_names
def std_mean(
    input: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    out: Any = None,
) -> Any:
    """(`std`, `mean`) over axes.

    >>> mt.std_mean(mt.tensor([1.0, 2.0, 3.0]))
    (tensor(1.), tensor(2.))
    """
    return _with_mean(STD, "std_mean", input, dim, unbiased, keepdim, correction, out)


# --- logsumexp --------------------------------------------------------------------------------------------------------


def _finite(m: Array) -> Array:
    """The largest elements, to be subtracted before exp; 0 where they are infinite, and inf - inf would be NaN."""
    return np.where(np.isfinite(m), m, 0).astype(m.dtype)


def _logsumexp_reference(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    m = _finite(x.max(axes, keepdims=True, initial=-np.inf))
    with np.errstate(all="ignore"):
        out = np.log(np.exp(x - m).sum(axes, keepdims=True)) + m
    out = np.asarray(out if keepdim else out.squeeze(axes))
    return out, (x, out)


def _logsumexp_few(x: Array, axes: Axes, keepdim: bool) -> Array | None:
    few = axes and x.size > 0 and count_of(x.shape, axes) <= _ONE_WALK
    return _core.logsumexp(x, axes, keepdim) if few else None


def _logsumexp_forward(x: Array, *, axes: Axes, keepdim: bool) -> Result:
    if x.size == 0:
        return _logsumexp_reference(x, axes=axes, keepdim=keepdim)
    out = _logsumexp_few(x, axes, keepdim)
    if out is None:
        m = _finite(_core.amax(x, axes, True))
        out = _core.add(_core.log(_core.sum(_core.exp(_core.sub(x, m)), axes, True)), m)
        out = out if keepdim else out.squeeze(axes)
    return out, (x, out)


_ONE_WALK = 4096  # terms up to which one sum is accurate; more are added in a tree


def _logsumexp_dx(g: Any, x: Any, out: Any, *, axes: Axes, keepdim: bool) -> Any:
    shape = shape_of(x)
    return mul(spread(g, shape, axes), exp(sub(x, shapes.reshape(out, kept(shape, axes)))))


LOGSUMEXP = Op(
    "logsumexp",
    _logsumexp_reference,
    _logsumexp_forward,
    (_logsumexp_dx,),
    None,
    cases(CASES, HOLLOW, LARGE),  # of nothing it is -inf, which has no differences
    length=length,
    batch=shifted("logsumexp", "axes"),
    kernel=_logsumexp_few,
    saves=(0, -1),
    names=("axes", "keepdim"),
)


@numpy_names
def logsumexp(input: Any, dim: Any, keepdim: bool = False, *, out: Any = None) -> Any:
    r"""The logarithm of the sum of exponentials, which neither overflows nor underflows; -inf of nothing.

        forward    out = ln sum_i exp(x_i) = m + ln sum_i exp(x_i - m),  m = max_i x_i
        backward   dx_i = g exp(x_i - out), the softmax of x times g

    >>> mt.logsumexp(mt.tensor([1000.0, 1000.0]), 0)
    tensor(1000.6932)
    """
    x = input if array_of(input).dtype.kind == "f" else to_dtype(input, dtypes.get_default_dtype())
    result = apply_flat(LOGSUMEXP, x, axes("logsumexp", dim, len(shape_of(x))), bool(keepdim))
    return result if out is None else write_out("logsumexp", result, out)


# --- norm -------------------------------------------------------------------------------------------------------------


def _norm_reference(x: Array, *, axes: Axes, keepdim: bool, p: float) -> Result:
    size = np.abs(x)
    if math.isinf(p):
        out = (np.max if p > 0 else np.min)(size, axis=axes, keepdims=keepdim)
    elif p == 0:
        out = (x != 0).sum(axes, keepdims=keepdim).astype(x.dtype)
    elif p == 2:
        out = np.sqrt((x * x).sum(axes, keepdims=keepdim))
    else:
        with np.errstate(all="ignore"):
            out = (size**p).sum(axes, keepdims=keepdim) ** x.dtype.type(1 / p)
    out = np.asarray(out)
    return out, (x, out)


def _norm(x: Array, axes: Axes, keepdim: bool, p: float) -> Array | None:
    if p == 2 and x.dtype.kind == "f":
        squares = _core.sum_squares(x, axes, keepdim)
        return None if squares is None else _core.sqrt(squares)
    return _core.sum(_core.abs(x), axes, keepdim) if p == 1 and x.dtype.char in "fd" else None


def _norm_forward(x: Array, *, axes: Axes, keepdim: bool, p: float) -> Result:
    out = _norm(x, axes, keepdim, p)
    return _norm_reference(x, axes=axes, keepdim=keepdim, p=p) if out is None else (out, (x, out))


def _norm_dx(g: Any, x: Any, out: Any, *, axes: Axes, keepdim: bool, p: float) -> Any:
    shape = shape_of(x)
    if p == 0:
        return zero(spread(g, shape, axes))
    if p == 1:
        return mul(spread(g, shape, axes), sign(x))
    if math.isinf(p):
        return mul(extreme_dx(g, abs(x), out, axes=axes, keepdim=keepdim), sign(x))
    if p == 2:
        return mul(x, spread(where(eq(out, 0), 0.0, div(g, out)), shape, axes))
    scale = spread(where(eq(out, 0), 0.0, div(g, pow(out, p - 1))), shape, axes)
    none = eq(x, 0)
    size = where(none, 1.0, abs(x))  # whose powers have derivatives
    return where(none, 0.0, mul(mul(sign(x), pow(size, p - 1)), scale))


def _norm_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for p in (0, 1, 2, 3, 1.5, math.inf, -math.inf):
        for sample in cases(CASES[:7], p=float(p))(rng):
            x = sample.args[0]
            yield Sample((x + np.copysign(0.2, x),), sample.params)
    yield from cases(LARGE, p=2.0)(rng)


NORM = Op(
    "norm",
    _norm_reference,
    _norm_forward,
    (_norm_dx,),
    None,
    _norm_samples,
    length=length,
    batch=shifted("norm", "axes"),
    kernel=_norm,
    saves=(0, -1),
    names=("axes", "keepdim", "p"),
)


@numpy_names
def norm(
    input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Any:
    r"""The p-norm of the elements over axes; "fro" is p = 2, inf the largest size, 0 the number of nonzeros.

    "nuc" is the sum of the singular values of matrices, which are two axes; see `linalg.matrix_norm`.

        forward    out = (sum_i |x_i|^p)^(1/p)
        backward   dx_i = g sign(x_i) (|x_i| / out)^(p - 1), and 0 where out = 0

    >>> mt.norm(mt.tensor([3.0, 4.0]))
    tensor(5.)
    """
    x = input if dtype is None else to_dtype(input, dtypes.of(dtype))
    x = abs(x) if array_of(x).dtype.kind == "c" else x
    need_float("norm", x)
    if p is None or p == "fro":
        p = 2
    if p == "nuc":
        from . import linalg  # which is made of this family

        result = linalg.matrix_norm(x, "nuc", tuple(range(len(shape_of(x)))) if dim is None else dim, keepdim)
        return result if out is None else write_out("norm", result, out)
    if not isinstance(p, (int, float)):
        raise ShapeError(f"norm: p must be a number, 'fro' or 'nuc', not {p!r}")
    shape = shape_of(x)
    over = axes("norm", dim, len(shape))
    if (p < 0 or math.isinf(p)) and count_of(shape, over) == 0:
        raise IndexRangeError(f"norm: {shape} has nothing along axes {over}, and nothing has no norm with p = {p}")
    result = apply_flat(NORM, x, over, bool(keepdim), float(p))
    return result if out is None else write_out("norm", result, out)


@named("DistBackward0")
def dist(input: Any, other: Any, p: float = 2) -> Any:
    r"""The p-norm of the difference of two tensors, which broadcast.

        forward    out = (sum_i |x_i - y_i|^p)^(1/p)
        backward   as `norm`; dy = -dx

    >>> mt.dist(mt.tensor([1.0, 1.0]), mt.tensor([4.0, 5.0]))
    tensor(5.)
    """
    need_float("dist", input, other)
    return norm(sub(input, other), p)


def norm_except_dim(v: Any, pow: float = 2, dim: int = 0) -> Any:
    """The norms of a weight's slices along `dim`, with the axes kept; for dim -1 that of all. See `weight_norm`.

    >>> mt.norm_except_dim(mt.tensor([[3.0, 4.0], [6.0, 8.0]]))
    tensor([[ 5.],
            [10.]])
    """
    if dim == -1:
        return norm(v, pow)
    d = axis("norm_except_dim", dim, len(shape_of(v)))
    return norm(v, pow, [k for k in range(len(shape_of(v))) if k != d], keepdim=True)
