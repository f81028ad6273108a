r"""What is made of the decompositions: pinv, lstsq, ranks, norms of matrices, powers, the exponential, covariances.

pinv          P = A^+      dA = -P^T g P^T + (1 - A P) g^T P P^T + P^T P g^T (1 - P A)
matrix_exp    Y = e^A      dA = the corner of exp [[A^T, g], [0, A^T]]
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import dtypes, return_types
from ..errors import DtypeError, IndexRangeError, ShapeError
from ..graph.record import apply, attempt
from ..graph.tensors import wrap
from ..op import Op, Result, Sample
from .arithmetic import add, div, mul, square, sub, zero
from .common import (
    Array,
    array_of,
    axes,
    axis,
    few,
    named,
    raw,
    reads,
    shape_of,
    shifted,
    to_dtype,
    write_out,
)
from .comparison import clamp, gt, where
from .decomposition import EIGVALSH, SVDVALS
from .einsum import diagonal_of
from .functions import abs, sqrt
from .join import cat, narrow, stack
from .matmul import matmul
from .matrices import (
    converged,
    eye_like,
    mT,
    need_lapack,
    need_matrices,
    need_square,
    of_regular,
)
from .moments import NORM
from .reduce import amax, amin, sum
from .shape import expand, movedim, permute, reshape
from .solve import INV, inv, solve

Shape = tuple[int, ...]


# --- pinv -------------------------------------------------------------------------------------------------------------


def _pinv_reference(x: Array, *, atol: Any, rtol: Any, hermitian: bool) -> Result:
    if hermitian:
        w, u = converged("linalg.pinv", np.linalg.eigh, x)
        s, vh = np.abs(w), np.swapaxes(u * np.sign(w)[..., None, :], -1, -2)
    else:
        u, s, vh = converged("linalg.pinv", lambda a: np.linalg.svd(a, full_matrices=False), x)
    least = np.maximum(atol, rtol * s.max(-1, initial=0))[..., None]
    kept = s > least
    inverse = np.where(kept, 1 / np.where(kept, s, 1), 0).astype(x.dtype)
    out = np.swapaxes(vh, -1, -2) * inverse[..., None, :] @ np.swapaxes(u, -1, -2)
    return out, (x, out)


def _pinv_dx(g: Any, x: Any, p: Any, *, atol: Any, rtol: Any, hermitian: bool) -> Any:
    pt, gt_ = mT(p), mT(g)
    beside = sub(matmul(gt_, matmul(p, pt)), matmul(x, matmul(p, matmul(gt_, matmul(p, pt)))))
    below = matmul(matmul(pt, p), gt_)
    below = sub(below, matmul(matmul(below, p), x))
    return add(sub(beside, matmul(matmul(pt, g), pt)), below)


def _pinv_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3, 3), (1, 1), (4, 2), (2, 3), (2, 3, 2), (0, 2, 2), (3, 0), (0, 0)):
        yield Sample((rng.standard_normal(shape),), {"atol": 0.0, "rtol": 1e-10, "hermitian": False})


PINV = Op(
    "pinv",
    _pinv_reference,
    None,
    (_pinv_dx,),
    None,
    _pinv_samples,
    batch=shifted("pinv"),
)


def _tolerances(name: str, x: Any, atol: Any, rtol: Any) -> tuple[Any, Any]:
    """(atol, rtol) of each matrix: rtol is the rounding of a decomposition, unless a tolerance is given."""
    a, r = raw(atol), raw(rtol)
    rounding = max(shape_of(x)[-2:]) * float(np.finfo(array_of(x).dtype).eps)
    if r is None:
        r = rounding if a is None else np.where(np.asarray(a) > 0, 0.0, rounding)
    a = 0.0 if a is None else a
    batch = shape_of(x)[:-2]
    for value in (a, r):
        try:
            np.broadcast_shapes(np.shape(value), batch)
        except ValueError:
            raise ShapeError(f"{name}: a tolerance of shape {np.shape(value)} does not fit the batch {batch}") from None
    return a, r


@reads()
def pinv(A: Any, *, atol: Any = None, rtol: Any = None, hermitian: bool = False, out: Any = None) -> Any:
    r"""The pseudo-inverse of matrices, by their singular values (for `hermitian`, by their eigenvalues).

        forward    p = v diag(1/s) u^T, 1/s = 0 where s <= max(atol, rtol * the largest s)
        backward   da = -p^T g p^T + (1 - a p) g^T p p^T + p^T p g^T (1 - p a), right where the rank stays

    The tolerances are numbers, or tensors with one for each matrix; rtol is max(m, n) eps if neither is given.
    Source: G. H. Golub and V. Pereyra, 1973.

    >>> mt.linalg.pinv(mt.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    name = "linalg.pinv"
    (need_square if hermitian else need_matrices)(name, A)
    a, r = _tolerances(name, A, atol, rtol)
    shape = np.broadcast_shapes(np.shape(a), np.shape(r), shape_of(A)[:-2])
    x = A if shape == shape_of(A)[:-2] else expand(A, (*shape, *shape_of(A)[-2:]))
    result = apply(PINV, x, atol=a, rtol=r, hermitian=bool(hermitian))
    return result if out is None else write_out(name, result, out)


def pinverse(input: Any, rcond: float = 1e-15) -> Any:
    """The pseudo-inverse; see `linalg.pinv`.

    >>> mt.pinverse(mt.tensor([[2.0], [0.0]]))
    tensor([[0.5000, 0.0000]])
    """
    return pinv(input, rtol=rcond)


@reads()
def lstsq(A: Any, B: Any, rcond: Any = None, *, driver: str | None = None) -> Any:
    r"""The X for which A X - B has the least squares, and of those the smallest: pinv(A) B.

        forward    solution = a^+ b,  residuals_j = sum_i (a x - b)_ij^2

    A (*, m, n), B (*, m, k) or one vector (*, m) for each matrix. Gives (solution, residuals, rank, singular_values);
    the residuals only for m > n and matrices of full rank, the rank for every driver but "gels", the singular values
    for "gelsd" and "gelss", else empty. All drivers are computed by singular values; those not above rcond times the
    largest count as 0.

    >>> mt.linalg.lstsq(mt.tensor([[1.0], [1.0]]), mt.tensor([[1.0], [3.0]])).solution
    tensor([[2.0000]])
    """
    name = "linalg.lstsq"
    need_matrices(name, A)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise ShapeError(f"{name}: driver must be 'gels', 'gelsy', 'gelsd' or 'gelss', not {driver!r}")
    a_shape, b_shape = shape_of(A), shape_of(B)
    vector = len(b_shape) == len(a_shape) - 1 and b_shape[-1:] == a_shape[-2:-1]
    b = reshape(B, (*b_shape, 1)) if vector else B
    need_matrices(name, A, b)
    if shape_of(b)[-2] != a_shape[-2]:
        raise ShapeError(f"{name}: A {a_shape} has {a_shape[-2]} rows, B {b_shape} has {shape_of(b)[-2]}")
    _, r = _tolerances(name, A, None, None if rcond is None or rcond == -1 else rcond)
    x = matmul(pinv(A, rtol=r), b)
    s = raw(apply(SVDVALS, A))
    rank = (s > r * s.max(-1, keepdims=True, initial=0)).sum(-1)
    none = wrap(np.empty(0, array_of(A).dtype))
    residuals: Any = none
    if a_shape[-2] > a_shape[-1] and (driver == "gels" or (rank == a_shape[-1]).all()):
        residuals = sum(square(sub(matmul(A, x), b)), -2)
    return return_types.linalg_lstsq(
        reshape(x, shape_of(x)[:-1]) if vector else x,
        residuals,
        wrap(np.empty(0, np.int64) if driver == "gels" else np.asarray(rank, np.int64)),
        wrap(s) if driver in ("gelsd", "gelss") else none,
    )


@reads()
def matrix_rank(
    A: Any, tol: Any = None, *, atol: Any = None, rtol: Any = None, hermitian: bool = False, out: Any = None
) -> Any:
    r"""The rank of matrices: how many singular values are above max(atol, rtol * the largest).

    `hermitian` takes the sizes of the eigenvalues instead. Without a tolerance rtol is max(m, n) eps; `tol` is the
    older name of atol, without rtol.

    >>> mt.linalg.matrix_rank(mt.tensor([[1.0, 2.0], [2.0, 4.0]]))
    tensor(1)
    """
    name = "linalg.matrix_rank"
    (need_square if hermitian else need_matrices)(name, A)
    a, r = _tolerances(name, A, tol if tol is not None else atol, 0.0 if tol is not None else rtol)
    s = abs(apply(EIGVALSH, A, lower=True)) if hermitian else apply(SVDVALS, A)
    largest = raw(s).max(-1, initial=0)
    result = sum(gt(s, wrap(np.asarray(np.maximum(a, r * largest), array_of(s).dtype)[..., None])), -1)
    return result if out is None else write_out(name, result, out)


# --- norms ------------------------------------------------------------------------------------------------------------


def _floating(name: str, x: Any, dtype: Any) -> Any:
    x = x if dtype is None else to_dtype(x, dtypes.of(dtype))
    if array_of(x).dtype.kind == "c":
        return abs(x)
    if array_of(x).dtype.kind != "f":
        raise DtypeError(f"{name}: expected a floating dtype, got {array_of(x).dtype}")
    return x


def vector_norm(
    x: Any, ord: Any = 2, dim: Any = None, keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Any:
    r"""The p-norm of the elements over axes, for any p: 2, 1, 0 (the number of nonzeros), inf, -inf, 3.5, -1 ...

        forward    out = (sum_i |x_i|^p)^(1/p)
        backward   dx_i = g sign(x_i) (|x_i| / out)^(p - 1), and 0 where out = 0

    >>> mt.linalg.vector_norm(mt.tensor([3.0, -4.0]), 1)
    tensor(7.)
    """
    name = "linalg.vector_norm"
    if dtype is out is None and type(ord) in (int, float) and ord == 2:
        result = attempt(NORM, x, axes(name, dim, array_of(x).ndim), bool(keepdim), 2.0)
        if result is not None:
            return result
    x = _floating(name, x, dtype)
    if isinstance(ord, str):
        raise TypeError(f"{name}: ord must be a number, not {ord!r}")
    shape, p = shape_of(x), float(ord)
    over = axes(name, dim, len(shape))
    if (p < 0 or math.isinf(p)) and any(shape[d] == 0 for d in over):
        raise IndexRangeError(f"{name}: {shape} has nothing along axes {over}, and nothing has no norm with ord={ord}")
    result = apply(NORM, x, axes=over, keepdim=bool(keepdim), p=p)
    return result if out is None else write_out(name, result, out)


def matrix_norm(
    A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: Any = None, out: Any = None
) -> Any:
    r"""The norm of matrices, which are two axes `dim`.

        "fro"    sqrt(sum_ij a_ij^2)                      "nuc"   the sum of the singular values
        2, -2    the largest, smallest singular value     1, -1   the largest, smallest sum of sizes of a column
        inf, -inf    the largest, smallest sum of sizes of a row

    An empty matrix has the norm 0, for the largest.

    >>> mt.linalg.matrix_norm(mt.tensor([[3.0, 0.0], [0.0, -4.0]]), "nuc")
    tensor(7.)
    """
    name = "linalg.matrix_norm"
    x = _floating(name, A, dtype)
    ndim = len(shape_of(x))
    if ndim < 2 or not isinstance(dim, (tuple, list)) or len(dim) != 2:
        raise ShapeError(f"{name}: expected two axes of a tensor with two or more, got dim={dim!r} of {shape_of(x)}")
    row, column = (axis(name, d, ndim) for d in dim)
    if row == column:
        raise ShapeError(f"{name}: dim {tuple(dim)} names one axis twice")
    if ord not in ("fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf):
        raise ShapeError(f"{name}: ord must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf, not {ord!r}")
    rest = [d for d in range(ndim) if d not in (row, column)]
    if ord == "fro":
        result = apply(NORM, x, axes=tuple(sorted((row, column))), keepdim=False, p=2.0)
    else:
        m = permute(x, (*rest, row, column))
        if ord in ("nuc", 2, -2):
            need_lapack(name, x)
            values = apply(SVDVALS, m)
        else:
            values = sum(abs(m), -2 if ord in (1, -1) else -1)
        if ord == "nuc":
            result = sum(values, -1)
        elif ord > 0 and shape_of(values)[-1] == 0:
            result = sum(values, -1)
        else:
            result = (amax if ord > 0 else amin)(values, -1)
    if keepdim:
        result = reshape(result, tuple([1 if d in (row, column) else n for d, n in enumerate(shape_of(x))]))
    return result if out is None else write_out(name, result, out)


def norm(A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, out: Any = None, dtype: Any = None) -> Any:
    r"""`vector_norm` over one axis, `matrix_norm` over two; without `ord` the 2-norm of all elements over any axes.

    Without `dim` the tensor must be a vector or a matrix, unless `ord` is missing too.

    >>> mt.linalg.norm(mt.tensor([[3.0, 0.0], [0.0, -4.0]])), mt.linalg.norm(mt.tensor([[3.0, 0.0], [0.0, -4.0]]), 2)
    (tensor(5.), tensor(4.))
    """
    name = "linalg.norm"
    if ord is None:
        result = vector_norm(A, 2, dim, keepdim, dtype=dtype)
    else:
        ndim = len(shape_of(A))
        over = tuple(range(ndim)) if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
        if dim is None and ndim not in (1, 2):
            raise ShapeError(f"{name}: with ord={ord!r} and no dim, expected one or two axes, got {shape_of(A)}")
        if len(over) not in (1, 2):
            raise ShapeError(f"{name}: with ord={ord!r}, dim must name one or two axes, not {dim!r}")
        if len(over) == 2 or isinstance(ord, str):
            result = matrix_norm(A, ord, over, keepdim, dtype=dtype)
        else:
            result = vector_norm(A, ord, over, keepdim, dtype=dtype)
    return result if out is None else write_out(name, result, out)


def cond(A: Any, p: Any = None, *, out: Any = None) -> Any:
    r"""The condition number: |A| |A^-1| in the norm `p`; for None, 2 and -2 the ratio of the extreme singular values.

    Infinite for singular matrices, 0 for empty ones.

    >>> mt.linalg.cond(mt.tensor([[4.0, 0.0], [0.0, 2.0]]))
    tensor(2.)
    """
    name = "linalg.cond"
    need_matrices(name, A)
    if 0 in shape_of(A)[-2:]:
        result = sum(A, (-2, -1))
    elif p in (None, 2, -2):
        s = apply(SVDVALS, A)
        ends = amax(s, -1), amin(s, -1)
        result = div(*ends) if p != -2 else div(*ends[::-1])
    else:
        need_square(name, A)
        y, info = apply(INV, A)
        result = where(wrap(raw(info) != 0), math.inf, mul(matrix_norm(A, p), matrix_norm(y, p)))
    return result if out is None else write_out(name, result, out)


# --- powers -----------------------------------------------------------------------------------------------------------


def matrix_power(A: Any, n: int, *, out: Any = None) -> Any:
    r"""A multiplied n times, by repeated squaring; of a negative n, the inverse.

        forward    out = a a ... a

    Raises LinAlgError for a singular matrix and a negative n.

    >>> mt.linalg.matrix_power(mt.tensor([[1.0, 1.0], [0.0, 1.0]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    name = "linalg.matrix_power"
    shape = shape_of(A)
    if len(shape) < 2 or shape[-1] != shape[-2]:
        raise ShapeError(f"{name}: expected square matrices, got a tensor of shape {shape}")
    if not isinstance(n, (int, np.integer)):
        raise TypeError(f"{name}: the power must be an integer, not {n!r}")
    base, left = (A, int(n)) if n >= 0 else (inv(A), -int(n))
    result: Any = None
    while left:
        if left & 1:
            result = base if result is None else matmul(result, base)
        left >>= 1
        base = matmul(base, base) if left else base
    if result is None:
        result = where(np.zeros((), bool), A, eye_like(A))  # whose gradient is 0
    elif result is A:
        result = A.clone()
    return result if out is None else write_out(name, result, out)


# Padé's approximation of degree 13 of e^x, within rounding for |x| <= 5.37 in float64
PADE = (
    64764752532480000, 32382376266240000, 7771770303897600, 1187353796428800, 129060195264000, 10559470521600,
    670442572800, 33522128640, 1323241920, 40840800, 960960, 16380, 182, 1,
)  # fmt: skip


def _matrix_exp_reference(x: Array) -> Result:
    size = np.abs(x).sum(-2).max(-1, initial=0)  # of each matrix: it is halved until it is small, the result squared
    halvings = np.where(np.isfinite(size) & (size > 5.37), np.ceil(np.log2(np.maximum(size, 1) / 5.37)), 0).astype(int)
    halvings = np.maximum(halvings, 0)[..., None, None]
    a = x / np.exp2(halvings).astype(x.dtype)
    eye, b = np.eye(x.shape[-1], dtype=x.dtype), [x.dtype.type(c / PADE[0]) for c in PADE]
    a2 = a @ a
    a4 = a2 @ a2
    a6 = a2 @ a4
    odd = a @ (a6 @ (b[13] * a6 + b[11] * a4 + b[9] * a2) + b[7] * a6 + b[5] * a4 + b[3] * a2 + b[1] * eye)
    even = a6 @ (b[12] * a6 + b[10] * a4 + b[8] * a2) + b[6] * a6 + b[4] * a4 + b[2] * a2 + b[0] * eye
    y = np.linalg.solve(even - odd, even + odd)
    for step in range(halvings.max(initial=0)):
        y = np.where(step < halvings, y @ y, y)
    return y, (x,)


def _along(x: Any, direction: Any) -> Any:
    """The derivative of the exponential at `x` along a direction, in which it is linear."""
    n = shape_of(x)[-1]
    unit = float(np.abs(raw(direction)).max(initial=1.0))  # a large one would cost squarings
    top, bottom = cat([x, div(direction, unit)], -1), cat([zero(x), x], -1)
    return mul(narrow(narrow(apply(MATRIX_EXP, cat([top, bottom], -2)), -2, 0, n), -1, n, n), unit)


def _matrix_exp_dx(g: Any, x: Any) -> Any:
    return _along(mT(x), g)


def _matrix_exp_jvp(tangents: tuple[Any, ...], x: Any) -> Any:
    return _along(x, tangents[0])


MATRIX_EXP = Op(
    "matrix_exp",
    _matrix_exp_reference,
    None,
    (_matrix_exp_dx,),
    _matrix_exp_jvp,
    of_regular(),
    batch=shifted("matrix_exp"),
)


def matrix_exp(A: Any) -> Any:
    r"""The exponential of square matrices.

        forward    y = sum_k a^k / k!
        backward   da = the upper right corner of exp [[a^T, g], [0, a^T]]

    By scaling, Padé's approximation and squaring. Source: N. J. Higham, "The scaling and squaring method for the matrix
    exponential revisited", 2005; for the derivative, R. Mathias, 1996.

    >>> mt.linalg.matrix_exp(mt.tensor([[0.0, 1.0], [0.0, 0.0]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    need_square("linalg.matrix_exp", A)
    return apply(MATRIX_EXP, A)


def vander(x: Any, *, N: int | None = None) -> Any:
    r"""Vandermonde's matrices: the powers 0 to N - 1 of every element; N is the last size if it is not given.

        forward    out_ij = x_i^j

    >>> mt.linalg.vander(mt.tensor([2, 3]), N=3)
    tensor([[1, 2, 4],
            [1, 3, 9]])
    """
    shape = shape_of(x)
    count = N if N is not None else shape[-1] if shape else 0
    if not shape or count < 1:
        raise ShapeError(f"linalg.vander: expected an axis and one power or more, got shape {shape} and N={N}")
    few("linalg.vander", "N", count)
    powers = [add(zero(x), 1)]
    for _ in range(count - 1):
        powers.append(mul(powers[-1], x))
    return stack(powers, -1)


# --- products of vectors ----------------------------------------------------------------------------------------------


def vecdot(x: Any, y: Any, *, dim: int = -1, out: Any = None) -> Any:
    r"""The inner products of vectors along an axis; the others broadcast.

        forward    out = sum_i x_i y_i

    >>> mt.linalg.vecdot(mt.tensor([[1.0, 2.0], [3.0, 4.0]]), mt.ones(2))
    tensor([3., 7.])
    """
    result = _vecdot("linalg.vecdot", x, y, dim)
    return result if out is None else write_out("linalg.vecdot", result, out)


def _vecdot(name: str, x: Any, y: Any, dim: int) -> Any:
    product = mul(x, y)
    d = axis(name, dim, len(shape_of(product)))
    total = sum(product, d)
    return (
        total
        if array_of(total).dtype == array_of(product).dtype
        else to_dtype(total, dtypes.of(array_of(product).dtype))
    )


def _turned(x: Any, d: int, by: int) -> Any:
    """The three elements along an axis, from the one at `by`, round."""
    return cat([narrow(x, d, by, 3 - by), narrow(x, d, 0, by)], d)


@named("LinalgCrossBackward0")
def linalg_cross(input: Any, other: Any, *, dim: int = -1, out: Any = None) -> Any:
    r"""The vector products of vectors of three elements along an axis; the others broadcast.

        forward    out = (x_1 y_2 - x_2 y_1, x_2 y_0 - x_0 y_2, x_0 y_1 - x_1 y_0)
        backward   dx = y x g,  dy = g x x

    Raises ShapeError unless both have three elements along `dim`.

    >>> mt.linalg.cross(mt.tensor([1.0, 0.0, 0.0]), mt.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    name = "linalg.cross"
    a, b = shape_of(input), shape_of(other)
    if len(a) != len(b):
        raise ShapeError(f"{name}: {a} and {b} must have as many axes")
    d = axis(name, dim, len(a))
    if not a or a[d] != 3 or b[d] != 3:
        raise ShapeError(f"{name}: {a} and {b} must have 3 elements along dim {dim}")
    result = sub(mul(_turned(input, d, 1), _turned(other, d, 2)), mul(_turned(input, d, 2), _turned(other, d, 1)))
    return result if out is None else write_out(name, result, out)


@named("LinalgCrossBackward0")
def cross(input: Any, other: Any, dim: int | None = None, *, out: Any = None) -> Any:
    """The vector products along `dim`, by default the first axis of three elements; see `linalg.cross`.

    >>> mt.cross(mt.tensor([0.0, 1.0, 0.0]), mt.tensor([0.0, 0.0, 1.0]))
    tensor([1., 0., 0.])
    """
    if dim is None:
        both = np.broadcast_shapes(shape_of(input), shape_of(other))
        if 3 not in both:
            raise ShapeError(f"cross: no axis of {shape_of(input)} and {shape_of(other)} has 3 elements")
        dim = both.index(3) - len(both)
    return linalg_cross(input, other, dim=dim, out=out)


# --- tensors as matrices ----------------------------------------------------------------------------------------------


def tensorinv(A: Any, ind: int = 2, *, out: Any = None) -> Any:
    """The inverse of a tensor as a map from its axes after the first `ind` to those: `tensordot(out, A, ind)` is the
    identity.

    >>> mt.linalg.tensorinv(mt.eye(4).reshape(2, 2, 4), ind=2).shape
    minitensor.Size([4, 2, 2])
    """
    name = "linalg.tensorinv"
    shape = shape_of(A)
    rows, columns = math.prod(shape[:ind]), math.prod(shape[ind:])
    if ind < 1 or rows != columns:
        raise ShapeError(f"{name}: the first {ind} axes of {shape} must have as many elements as the others")
    need_lapack(name, A)
    result = reshape(inv(reshape(A, (rows, columns))), (*shape[ind:], *shape[:ind]))
    return result if out is None else write_out(name, result, out)


def tensorsolve(A: Any, B: Any, dims: Sequence[int] | None = None, *, out: Any = None) -> Any:
    """The X with `tensordot(A, X, X.ndim)` = B; the axes `dims` of A are moved to its end first.

    >>> mt.linalg.tensorsolve(mt.eye(6).reshape(2, 3, 6), mt.ones(2, 3))
    tensor([1., 1., 1., 1., 1., 1.])
    """
    name = "linalg.tensorsolve"
    if dims is not None:
        n = len(shape_of(A))
        A = movedim(A, tuple(dims), tuple(range(n - len(dims), n)))
    shape = shape_of(A)
    inner = shape[len(shape_of(B)) :]
    count = math.prod(shape_of(B))
    if math.prod(inner) != count or math.prod(shape) != count * count:
        raise ShapeError(f"{name}: A {shape} and B {shape_of(B)} are not a square system")
    need_lapack(name, A, B)
    result = reshape(solve(reshape(A, (count, count)), reshape(B, (count,))), inner)
    return result if out is None else write_out(name, result, out)


# --- covariances ------------------------------------------------------------------------------------------------------


@reads()
@named("SqueezeBackward0")
def cov(input: Any, *, correction: int = 1, fweights: Any = None, aweights: Any = None) -> Any:
    r"""The covariances of variables, the rows, over observations, the columns.

        forward    out_ij = sum_k w_k (x_ik - m_i) (x_jk - m_j) / c,  m the means weighted by w
                   c = sum w - correction,  with aweights a: sum w - correction * sum(w a) / sum w

    w = fweights * aweights: how often each observation was made (integers), and its importance. A vector is one
    variable. Raises ShapeError for more than two axes.

    >>> mt.cov(mt.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    shape = shape_of(input)
    if len(shape) > 2:
        raise ShapeError(f"cov: expected at most two axes, got a tensor of shape {shape}")
    x = input if array_of(input).dtype.kind == "f" else to_dtype(input, dtypes.get_default_dtype())
    count = shape[-1] if shape else 1
    x = reshape(x, (shape[0] if len(shape) == 2 else 1, count))
    kind = dtypes.of(array_of(x).dtype)
    w: Any = None
    for name, weights, kinds in (("fweights", fweights, "iu"), ("aweights", aweights, "f")):
        if weights is None:
            continue
        if shape_of(weights) != (count,) or array_of(weights).dtype.kind not in kinds:
            what = "integers" if kinds == "iu" else "floats"
            raise ShapeError(
                f"cov: {name} must be {count} {what}, got {array_of(weights).dtype} of {shape_of(weights)}"
            )
        if (raw(weights) < 0).any():
            raise ShapeError(f"cov: {name} must not be negative")
        w = to_dtype(weights, kind) if w is None else mul(w, weights)
    if w is None:
        freedom: Any = count - correction
        mean = div(sum(x, 1, True), count)
        weighted = x = sub(x, mean)
    else:
        total = sum(w)
        freedom = sub(total, correction if aweights is None else div(mul(sum(mul(w, aweights)), correction), total))
        mean = div(sum(mul(x, w), 1, True), total)
        x = sub(x, mean)
        weighted = mul(x, w)
    product = matmul(weighted, mT(x))
    freedom = max(freedom, 0) if w is None else where(gt(freedom, 0), freedom, 0.0)
    result = div(product, freedom)
    return result if len(shape) == 2 and shape[0] != 1 else reshape(result, ())


def corrcoef(input: Any) -> Any:
    r"""The correlations of variables, the rows: their covariances over the product of their standard deviations.

        forward    out_ij = c_ij / sqrt(c_ii c_jj), kept within -1 and 1

    >>> mt.corrcoef(mt.tensor([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    c = cov(input)
    if not shape_of(c):
        return div(c, c)
    d = sqrt(diagonal_of(c))
    return clamp(div(div(c, reshape(d, (-1, 1))), d), -1, 1)
