r"""Linear systems: inv, solve, solve_triangular, cholesky, lu and what is made of them.

    solve      x = a^-1 b         db = a^-T g,  da = -db x^T
    inv        y = a^-1           da = -y^T g y^T

Operators that can fail for a matrix of a batch have a second output, `info`, which is 0 where they did not; the public
functions raise LinAlgError where it is not, those that end in `_ex` hand it on.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import return_types
from ..errors import ShapeError
from ..graph.record import apply
from ..graph.tensors import Tensor, wrap
from ..op import Op, Result, Sample
from .arithmetic import add, mul, neg, sub
from .common import Array, array_of, named, raw, reads, shape_of, shifted, wrap_as, write_out
from .join import cat, narrow
from .matmul import matmul
from .matrices import (
    SQUARES,
    each_matrix,
    eye_like,
    joint_batch,
    lower,
    mT,
    need_matrices,
    need_square,
    of_regular,
    refuse,
    regular,
    symmetric,
    upper,
)
from .reduce import sum_to
from .shape import expand, reshape

Shape = tuple[int, ...]


def _singular(_: int) -> str:
    return "is singular"


# --- inv --------------------------------------------------------------------------------------------------------------


def _inv_reference(a: Array) -> Result:
    y, info = each_matrix(np.linalg.inv, lambda m: (np.full_like(m, np.nan), 1), a)
    return (y, info), (y,)


def _inv_da(g: Any, y: Any) -> Any:
    return neg(matmul(matmul(mT(y), g[0]), mT(y)))


def _inv_jvp(tangents: tuple[Any, ...], y: Any) -> Any:
    return neg(matmul(matmul(y, tangents[0]), y)), None


INV = Op(
    "inv",
    _inv_reference,
    None,
    (_inv_da,),
    _inv_jvp,
    of_regular(),
    batch=shifted("inv"),
)


def inv(A: Any, *, out: Any = None) -> Any:
    r"""The inverse of square matrices.

        forward    y = a^-1
        backward   da = -y^T g y^T

    Raises LinAlgError for a singular matrix, ShapeError unless the matrices are square. To multiply by an inverse,
    `solve` is faster and rounds less.

    >>> mt.linalg.inv(mt.tensor([[2.0, 0.0], [0.0, 4.0]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    result = inv_ex(A, check_errors=True).inverse
    return result if out is None else write_out("linalg.inv", result, out)


def inv_ex(A: Any, *, check_errors: bool = False, out: Any = None) -> Any:
    """(inverse, info): as `inv`, but a singular matrix has NaN for an inverse and an `info` that is not 0.

    >>> mt.linalg.inv_ex(mt.zeros(1, 1)).info
    tensor(1, dtype=minitensor.int32)
    """
    need_square("linalg.inv", A)
    result = return_types.linalg_inv_ex(*apply(INV, A))
    if check_errors:
        refuse("linalg.inv", result.info, shape_of(A), _singular)
    return result if out is None else write_out("linalg.inv_ex", result, out)


# --- solve ------------------------------------------------------------------------------------------------------------


def _aligned(a: Array, b: Array) -> tuple[Array, Array]:
    """Both with the whole batch."""
    if a.shape[:-2] == b.shape[:-2]:
        return a, b
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    return np.broadcast_to(a, (*batch, *a.shape[-2:])), np.broadcast_to(b, (*batch, *b.shape[-2:]))


def _solve_reference(a: Array, b: Array) -> Result:
    whole = _aligned(a, b)
    x, info = each_matrix(np.linalg.solve, lambda _, v: (np.full_like(v, np.nan), 1), *whole)
    return (x, info), (a, x, a.shape, b.shape)


def _solve_da(g: Any, a: Any, x: Any, a_shape: Shape, _b_shape: Shape) -> Any:
    db = apply(SOLVE, mT(a), g[0])[0]
    return sum_to(neg(matmul(db, mT(x))), a_shape)


def _solve_db(g: Any, a: Any, _x: Any, _a_shape: Shape, b_shape: Shape) -> Any:
    return sum_to(apply(SOLVE, mT(a), g[0])[0], b_shape)


def _solve_jvp(tangents: tuple[Any, ...], a: Any, x: Any, _a_shape: Shape, _b_shape: Shape) -> Any:
    da, db = tangents
    moved = neg(matmul(da, x)) if db is None else db if da is None else sub(db, matmul(da, x))
    return apply(SOLVE, a, moved)[0], None


def _solve_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in (((3, 3), (3, 2)), ((1, 1), (1, 1)), ((0, 0), (0, 2)), ((2, 3, 3), (3, 1)), ((2, 2), (3, 2, 2))):
        yield Sample((regular(rng, a), rng.standard_normal(b)))


SOLVE = Op("solve", _solve_reference, None, (_solve_da, _solve_db), _solve_jvp, _solve_samples)


def solve(A: Any, B: Any, *, left: bool = True, out: Any = None) -> Any:
    r"""The solution of A X = B; of X A = B with left=False.

        forward    x = a^-1 b
        backward   db = a^-T g,  da = -db x^T

    A (*, n, n), B (*, n, k) or a vector (n,), or one vector for each matrix; batches broadcast. By Gauss's elimination
    with row exchanges. Raises LinAlgError for a singular matrix, ShapeError for sizes that do not fit.

    >>> mt.linalg.solve(mt.tensor([[2.0, 0.0], [0.0, 4.0]]), mt.tensor([1.0, 1.0]))
    tensor([0.5000, 0.2500])
    """
    result = solve_ex(A, B, left=left, check_errors=True).result
    return result if out is None else write_out("linalg.solve", result, out)


def solve_ex(A: Any, B: Any, *, left: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """(result, info): as `solve`, but for a singular matrix the result is NaN and `info` is not 0.

    >>> mt.linalg.solve_ex(mt.eye(2), mt.ones(2)).info
    tensor(0, dtype=minitensor.int32)
    """
    name = "linalg.solve"
    need_square(name, A)
    a_shape, b_shape = shape_of(A), shape_of(B)
    vector = len(b_shape) == 1 or b_shape == a_shape[:-1]
    if vector and not left:
        raise ShapeError(f"{name}: with left=False, B must be a matrix, not vectors of shape {b_shape}")
    b = reshape(B, (*b_shape, 1)) if vector else B
    need_matrices(name, A, b)
    if shape_of(b)[-2 if left else -1] != a_shape[-1]:
        raise ShapeError(f"{name}: A {a_shape} and B {b_shape} have no common size {a_shape[-1]}")
    joint_batch(name, a_shape[:-2], shape_of(b)[:-2])
    x, info = apply(SOLVE, A if left else mT(A), b if left else mT(b))
    if check_errors:
        refuse(name, info, a_shape, _singular)
    x = x if left else mT(x)
    result = return_types.linalg_solve_ex(reshape(x, shape_of(x)[:-1]) if vector else x, info)
    return result if out is None else write_out("linalg.solve_ex", result, out)


# --- solve_triangular -------------------------------------------------------------------------------------------------


def _substituted(a: Array, b: Array, unit: bool) -> Array:
    """x of a x = b for the lower triangle of `a`: row by row, of larger systems one half after the other."""
    n = a.shape[-1]
    if n > 16:
        h = n // 2
        top = _substituted(a[..., :h, :h], b[..., :h, :], unit)
        rest = b[..., h:, :] - a[..., h:, :h] @ top
        return np.concatenate([top, _substituted(a[..., h:, h:], rest, unit)], -2)
    x = np.empty_like(b)
    for i in range(n):
        row = b[..., i, :] - (a[..., i : i + 1, :i] @ x[..., :i, :])[..., 0, :]
        x[..., i, :] = row if unit else row / a[..., i, i, None]
    return x


def _triangular_reference(a: Array, b: Array, *, upper: bool, unit: bool) -> Result:
    whole_a, whole_b = _aligned(a, b)
    if upper:  # in reverse order of rows and columns it is lower
        x = _substituted(whole_a[..., ::-1, ::-1], whole_b[..., ::-1, :], unit)[..., ::-1, :]
    else:
        x = _substituted(whole_a, whole_b, unit)
    x = np.ascontiguousarray(x)
    return x, (a, x, a.shape, b.shape)


def _triangle(x: Any, is_upper: bool, unit: bool) -> Any:
    """The part of a matrix that a triangular system reads."""
    return upper(x, int(unit)) if is_upper else lower(x, -int(unit))


def _triangular_da(g: Any, a: Any, x: Any, a_shape: Shape, _b_shape: Shape, *, upper: bool, unit: bool) -> Any:
    db = apply(SOLVE_TRIANGULAR, mT(a), g, upper=not upper, unit=unit)
    return _triangle(sum_to(neg(matmul(db, mT(x))), a_shape), upper, unit)


def _triangular_db(g: Any, a: Any, _x: Any, _a_shape: Shape, b_shape: Shape, *, upper: bool, unit: bool) -> Any:
    return sum_to(apply(SOLVE_TRIANGULAR, mT(a), g, upper=not upper, unit=unit), b_shape)


def _triangular_jvp(
    tangents: tuple[Any, ...], a: Any, x: Any, _a_shape: Shape, _b_shape: Shape, *, upper: bool, unit: bool
) -> Any:
    da, db = tangents
    if da is not None:
        drop = neg(matmul(_triangle(da, upper, unit), x))
        db = drop if db is None else add(db, drop)
    return apply(SOLVE_TRIANGULAR, a, db, upper=upper, unit=unit)


def _triangular_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in (((3, 3), (3, 2)), ((1, 1), (1, 1)), ((0, 0), (0, 2)), ((2, 3, 3), (3, 1)), ((2, 2), (3, 2, 2))):
        for is_upper in (False, True):
            for unit in (False, True):
                yield Sample((regular(rng, a), rng.standard_normal(b)), {"upper": is_upper, "unit": unit})
    yield Sample((regular(rng, (35, 35)), rng.standard_normal((35, 1))), {"upper": False, "unit": False})


SOLVE_TRIANGULAR = Op(
    "solve_triangular",
    _triangular_reference,
    None,
    (_triangular_da, _triangular_db),
    _triangular_jvp,
    _triangular_samples,
)


def solve_triangular(
    A: Any, B: Any, *, upper: bool, left: bool = True, unitriangular: bool = False, out: Any = None
) -> Any:
    r"""The solution of A X = B (of X A = B with left=False) for a triangular A, whose other triangle is not read.

        forward    x_i = (b_i - sum_j a_ij x_j) / a_ii,  j < i;  from the last to the first row for `upper`
        backward   db = a^-T g,  da = -db x^T in the triangle that is read, else 0

    With `unitriangular` the diagonal counts as ones and is not read either. By substitution in NumPy. A zero on the
    diagonal gives infinities, no error. Raises ShapeError for sizes that do not fit.

    >>> mt.linalg.solve_triangular(mt.tensor([[1.0, 0.0], [2.0, 4.0]]), mt.tensor([[1.0], [4.0]]), upper=False)
    tensor([[1.0000],
            [0.5000]])
    """
    name = "linalg.solve_triangular"
    need_square(name, A)
    need_matrices(name, A, B)
    a_shape, b_shape = shape_of(A), shape_of(B)
    if b_shape[-2 if left else -1] != a_shape[-1]:
        raise ShapeError(f"{name}: A {a_shape} and B {b_shape} have no common size {a_shape[-1]}")
    joint_batch(name, a_shape[:-2], b_shape[:-2])
    if left:
        result = apply(SOLVE_TRIANGULAR, A, B, upper=bool(upper), unit=bool(unitriangular))
    else:
        result = mT(apply(SOLVE_TRIANGULAR, mT(A), mT(B), upper=not upper, unit=bool(unitriangular)))
    return result if out is None else write_out(name, result, out)


def triangular_solve(
    input: Any, A: Any, upper: bool = True, transpose: bool = False, unitriangular: bool = False
) -> Any:
    """(solution of A X = input, A): the older form of `linalg.solve_triangular`.

    >>> mt.triangular_solve(mt.ones(2, 1), 2 * mt.eye(2)).solution.flatten()
    tensor([0.5000, 0.5000])
    """
    a = mT(A) if transpose else A
    x = solve_triangular(a, input, upper=upper != transpose, unitriangular=unitriangular)
    return return_types.triangular_solve(x, A)


# --- cholesky ---------------------------------------------------------------------------------------------------------


def _partly_cholesky(a: Array) -> tuple[Array, int]:
    """(as far as the factor goes, the order of the first leading minor that is not positive)."""
    low = np.tril(a)
    for j in range(len(a)):
        low[j, j] -= low[j, :j] @ low[j, :j]
        if not low[j, j] > 0:
            return low, j + 1
        low[j, j] = np.sqrt(low[j, j])
        low[j + 1 :, j] = (low[j + 1 :, j] - low[j + 1 :, :j] @ low[j, :j]) / low[j, j]
    return low, 0


def _cholesky_reference(a: Array) -> Result:
    low, info = each_matrix(np.linalg.cholesky, _partly_cholesky, a)
    return (low, info), (low,)


def _cholesky_da(g: Any, low: Any) -> Any:
    p = matmul(mT(low), g[0])
    both = mul(add(lower(p), mT(lower(p, -1))), 0.5)
    half = apply(SOLVE_TRIANGULAR, mT(low), both, upper=True, unit=False)
    return mT(apply(SOLVE_TRIANGULAR, mT(low), mT(half), upper=True, unit=False))


def _cholesky_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in SQUARES:
        x = rng.standard_normal(shape)
        yield Sample((x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1]),), derive=symmetric)


CHOLESKY = Op(
    "cholesky",
    _cholesky_reference,
    None,
    (_cholesky_da,),
    None,
    _cholesky_samples,
    batch=shifted("cholesky"),
)


def cholesky_ex(A: Any, *, upper: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """(L, info): as `cholesky`; where a matrix is not positive definite, `info` is the order of the first leading minor
    that is not, and L goes only so far.

    >>> mt.linalg.cholesky_ex(mt.tensor([[1.0, 2.0], [2.0, 1.0]])).info
    tensor(2, dtype=minitensor.int32)
    """
    name = "linalg.cholesky"
    need_square(name, A)
    factor, info = apply(CHOLESKY, mT(A) if upper else A)
    if check_errors:
        refuse(
            name,
            info,
            shape_of(A),
            lambda order: f"is not positive definite: its leading minor of order {order} is not positive",
        )
    result = return_types.linalg_cholesky_ex(mT(factor) if upper else factor, info)
    return result if out is None else write_out("linalg.cholesky_ex", result, out)


def linalg_cholesky(A: Any, *, upper: bool = False, out: Any = None) -> Any:
    r"""The lower triangular L of A = L L^T, for symmetric positive definite matrices; with `upper` its transpose.

        forward    a = l l^T
        backward   da = l^-T P l^-1,  P = the lower triangle of l^T g, made symmetric, with half its diagonal

    Only the lower triangle of A is read (with `upper` the upper one); its gradient is symmetric.
    Raises LinAlgError for a matrix that is not positive definite.
    Source: S. P. Smith, "Differentiation of the Cholesky algorithm", 1995; I. Murray, 2016.

    >>> mt.linalg.cholesky(mt.tensor([[4.0, 2.0], [2.0, 5.0]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    result = cholesky_ex(A, upper=upper, check_errors=True).L
    return result if out is None else write_out("linalg.cholesky", result, out)


def cholesky(input: Any, upper: bool = False, *, out: Any = None) -> Any:
    """The Cholesky factor; see `linalg.cholesky`.

    >>> mt.cholesky(mt.tensor([[9.0]]))
    tensor([[3.]])
    """
    return linalg_cholesky(input, upper=upper, out=out)


@named("CholeskySolveBackward0")
def cholesky_solve(input: Any, L: Any, upper: bool = False, *, out: Any = None) -> Any:
    r"""The solution of A X = `input` given the Cholesky factor of A: two triangular systems.

        forward    x = l^-T (l^-1 b)

    >>> mt.cholesky_solve(mt.tensor([[4.0]]), mt.tensor([[2.0]]))
    tensor([[1.]])
    """
    low = mT(L) if upper else L
    half = solve_triangular(low, input, upper=False)
    result = solve_triangular(mT(low), half, upper=True)
    return result if out is None else write_out("cholesky_solve", result, out)


def cholesky_inverse(L: Any, upper: bool = False, *, out: Any = None) -> Any:
    """The inverse of A given its Cholesky factor.

    >>> mt.cholesky_inverse(mt.tensor([[2.0]]))
    tensor([[0.2500]])
    """
    need_square("cholesky_inverse", L)
    return cholesky_solve(expand(eye_like(L), shape_of(L)), L, upper, out=out)


# --- lu ---------------------------------------------------------------------------------------------------------------


def _lu_reference(a: Array, *, pivot: bool) -> Result:
    """Gauss's elimination, column by column, on all matrices of a batch at once."""
    lu = a.copy()
    m, n = a.shape[-2:]
    flat = lu.reshape(math.prod(a.shape[:-2]), m, n)
    every = np.arange(len(flat))
    rows = np.tile(np.arange(m), (len(flat), 1))  # which row of `a` each row is
    pivots = np.tile(np.arange(1, min(m, n) + 1, dtype=np.int32), (len(flat), 1))
    for j in range(min(m, n)):
        if pivot:
            at = j + np.abs(flat[:, j:, j]).argmax(-1)
            pivots[:, j] = at + 1
            for x in (flat, rows):
                x[every, j], x[every, at] = x[every, at], x[every, j]
        d = flat[:, j : j + 1, j]
        column = flat[:, j + 1 :, j]
        column[...] = np.where(d == 0, 0, column / np.where(d == 0, 1, d)) if pivot else column / d
        flat[:, j + 1 :, j + 1 :] -= column[:, :, None] * flat[:, j : j + 1, j + 1 :]
    exchange = np.zeros((len(flat), m, m), a.dtype)  # exchange @ l @ u = a
    exchange[every[:, None], rows, np.arange(m)] = 1
    batch = a.shape[:-2]
    exchange = exchange.reshape(*batch, m, m)
    return (lu, pivots.reshape(*batch, min(m, n)), exchange), (lu, exchange)


def _lu_da(g: Any, lu: Any, exchange: Any, *, pivot: bool) -> Any:
    m, n = shape_of(lu)[-2:]
    k = min(m, n)
    l1, u1 = narrow(narrow(lu, -2, 0, k), -1, 0, k), narrow(narrow(lu, -2, 0, k), -1, 0, k)
    given = g[0]
    square = narrow(narrow(given, -2, 0, k), -1, 0, k)
    dl, du, rest = lower(square, -1), upper(square), None
    if m > k:  # the rows below: l2 = a2 u1^-1
        l2, dl2 = narrow(lu, -2, k, m - k), narrow(given, -2, k, m - k)
        rest = _right_solve(u1, dl2)
        du = sub(du, upper(matmul(mT(l2), rest)))
    if n > k:  # the columns beside: u2 = l1^-1 a2
        u2, du2 = narrow(lu, -1, k, n - k), narrow(given, -1, k, n - k)
        rest = apply(SOLVE_TRIANGULAR, mT(l1), du2, upper=True, unit=True)
        dl = sub(dl, lower(matmul(rest, mT(u2)), -1))
    low, up = add(lower(l1, -1), eye_like(l1)), upper(u1)
    middle = add(lower(matmul(mT(low), dl), -1), upper(matmul(du, mT(up))))
    da = _right_solve(u1, apply(SOLVE_TRIANGULAR, mT(l1), middle, upper=True, unit=True))
    if rest is not None:
        da = cat([da, rest], -2 if m > k else -1)
    return matmul(exchange, da)


def _right_solve(u: Any, b: Any) -> Any:
    """b u^-T for an upper triangular u."""
    return mT(apply(SOLVE_TRIANGULAR, u, mT(b), upper=True, unit=False))


def _lu_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3, 3), (1, 1), (0, 0), (4, 2), (2, 4), (2, 3, 3), (0, 2, 2), (2, 3, 2)):
        x = rng.standard_normal(shape)
        for i in range(min(shape[-2:])):
            x[..., i, i] += 4
        for pivot in (True, False):
            yield Sample((x[..., ::-1, :].copy() if pivot else x,), {"pivot": pivot})


LU_FACTOR = Op(
    "lu_factor",
    _lu_reference,
    None,
    (_lu_da,),
    None,
    _lu_samples,
    batch=shifted("lu_factor"),
)


def lu(A: Any, *, pivot: bool = True, out: Any = None) -> Any:
    r"""(P, L, U) with A = P L U: row exchanges, a lower triangle with ones on its diagonal, an upper triangle.

        forward    p^T a = l u
        backward   da = p l^-T (tril(l^T dl, -1) + triu(du u^T)) u^-T  for square a

    A (*, m, n); P (*, m, m), L (*, m, k), U (*, k, n), k = min(m, n). Without `pivot` P is empty, and a zero on the
    diagonal gives infinities. Any shape is differentiable where the first k columns of P^T A are regular.

    >>> mt.linalg.lu(mt.tensor([[0.0, 2.0], [4.0, 1.0]])).U
    tensor([[4., 1.],
            [0., 2.]])
    """
    need_matrices("linalg.lu", A)
    packed, _, exchange = apply(LU_FACTOR, A, pivot=bool(pivot))
    p = exchange if pivot else narrow(exchange, -1, 0, 0)
    result = return_types.linalg_lu(p.detach() if isinstance(p, Tensor) else p, *_triangles(packed))
    return result if out is None else write_out("linalg.lu", result, out)


@reads()
def lu_factor_ex(A: Any, *, pivot: bool = True, check_errors: bool = False, out: Any = None) -> Any:
    """(LU, pivots, info): as `lu_factor`; where a zero stands on the diagonal of U, `info` is its place from 1, else 0.

    >>> mt.linalg.lu_factor_ex(mt.zeros(2, 2)).info
    tensor(1, dtype=minitensor.int32)
    """
    name = "linalg.lu_factor"
    need_matrices(name, A)
    packed, pivots, _ = apply(LU_FACTOR, A, pivot=bool(pivot))
    zeros = np.diagonal(raw(packed), axis1=-2, axis2=-1) == 0
    order = zeros.argmax(-1) + 1 if zeros.shape[-1] else np.zeros(zeros.shape[:-1], int)
    info = np.asarray(np.where(zeros.any(-1), order, 0), np.int32)
    if check_errors:
        refuse(name, info, shape_of(A), lambda i: f"is singular: element ({i}, {i}) of U is 0")
    result = return_types.linalg_lu_factor_ex(packed, pivots, wrap_as(A, info))
    return result if out is None else write_out("linalg.lu_factor_ex", result, out)


@reads()
def lu_factor(A: Any, *, pivot: bool = True, out: Any = None) -> Any:
    """(LU, pivots): the triangles of `lu` in one matrix, and the row, counted from 1, that each row was exchanged with.

    Raises LinAlgError where a zero stands on the diagonal of U, which `lu_solve` would divide by.

    >>> mt.linalg.lu_factor(mt.tensor([[0.0, 2.0], [4.0, 1.0]])).pivots
    tensor([2, 2], dtype=minitensor.int32)
    """
    packed, pivots, _ = lu_factor_ex(A, pivot=pivot, check_errors=True)
    result = return_types.linalg_lu_factor(packed, pivots)
    return result if out is None else write_out("linalg.lu_factor", result, out)


def _triangles(packed: Any) -> tuple[Any, Any]:
    """(L, U) of the matrices that hold both."""
    m, n = shape_of(packed)[-2:]
    k = min(m, n)
    ones = np.eye(m, k, dtype=array_of(packed).dtype)
    return add(lower(narrow(packed, -1, 0, k), -1), ones), upper(narrow(packed, -2, 0, k))


@reads()
def lu_unpack(
    LU_data: Any, LU_pivots: Any, unpack_data: bool = True, unpack_pivots: bool = True, *, out: Any = None
) -> Any:
    """(P, L, U) of what `linalg.lu_factor` gives; those that are not asked for are empty.

    >>> p, l, u = mt.lu_unpack(*mt.linalg.lu_factor(mt.tensor([[0.0, 2.0], [4.0, 1.0]])))
    >>> p @ l @ u
    tensor([[0., 2.],
            [4., 1.]])
    """
    name = "lu_unpack"
    need_matrices(name, LU_data)
    m, n = shape_of(LU_data)[-2:]
    if shape_of(LU_pivots) != (*shape_of(LU_data)[:-2], min(m, n)) or array_of(LU_pivots).dtype != np.int32:
        raise ShapeError(
            f"{name}: pivots {shape_of(LU_pivots)} {array_of(LU_pivots).dtype} are not those of {shape_of(LU_data)}: "
            f"expected int32 ones of shape {(*shape_of(LU_data)[:-2], min(m, n))}"
        )
    dtype = array_of(LU_data).dtype
    p = _exchange(raw(LU_pivots), m, dtype) if unpack_pivots else np.empty(0, dtype)
    nothing = wrap_as(LU_data, np.empty(0, dtype))
    result = return_types.lu_unpack(wrap_as(LU_data, p), *(_triangles(LU_data) if unpack_data else (nothing, nothing)))
    return result if out is None else write_out(name, result, out)


def _exchange(pivots: Array, m: int, dtype: Any) -> Array:
    """The matrices P with P L U = A, of the row exchanges of `lu_factor`."""
    flat = pivots.reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1])
    rows = np.tile(np.arange(m), (len(flat), 1))
    every = np.arange(len(flat))
    for j in range(flat.shape[-1]):
        at = flat[:, j] - 1
        rows[every, j], rows[every, at] = rows[every, at], rows[every, j]
    p = np.zeros((len(flat), m, m), dtype)
    p[every[:, None], rows, np.arange(m)] = 1
    return p.reshape(*pivots.shape[:-1], m, m)


@reads()
def linalg_lu_solve(LU: Any, pivots: Any, B: Any, *, left: bool = True, adjoint: bool = False, out: Any = None) -> Any:
    r"""The solution of A X = B given `lu_factor` of A; of A^T X = B with `adjoint`, of X A = B with left=False.

        forward    x = u^-1 l^-1 p^T b

    >>> a = mt.tensor([[0.0, 2.0], [4.0, 1.0]])
    >>> mt.linalg.lu_solve(*mt.linalg.lu_factor(a), a @ mt.ones(2, 1)).flatten()
    tensor([1., 1.])
    """
    name = "linalg.lu_solve"
    need_square(name, LU)
    need_matrices(name, LU, B)
    n, b_shape = shape_of(LU)[-1], shape_of(B)
    if b_shape[-2 if left else -1] != n or shape_of(pivots) != shape_of(LU)[:-1]:
        raise ShapeError(f"{name}: LU {shape_of(LU)}, pivots {shape_of(pivots)} and B {b_shape} do not fit together")
    if not left:  # X A = B is A^T X^T = B^T
        result = mT(linalg_lu_solve(LU, pivots, mT(B), adjoint=not adjoint))
        return result if out is None else write_out(name, result, out)
    p = wrap(_exchange(raw(pivots), n, array_of(LU).dtype))
    if adjoint:
        half = solve_triangular(mT(LU), B, upper=False)
        result = matmul(p, solve_triangular(mT(LU), half, upper=True, unitriangular=True))
    else:
        half = solve_triangular(LU, matmul(mT(p), B), upper=False, unitriangular=True)
        result = solve_triangular(LU, half, upper=True)
    return result if out is None else write_out(name, result, out)


@reads()
def lu_solve(b: Any, LU_data: Any, LU_pivots: Any, *, out: Any = None) -> Any:
    """The solution of A X = b given `lu_factor` of A; see `linalg.lu_solve`, which takes b last.

    >>> mt.lu_solve(mt.ones(1, 1), *mt.linalg.lu_factor(mt.tensor([[2.0]])))
    tensor([[0.5000]])
    """
    return linalg_lu_solve(LU_data, LU_pivots, b, out=out)
