r"""Symmetric matrices as L D L^T: a lower triangle with ones on its diagonal, and blocks of one or two on a diagonal.

    p^T a p = l d l^T

Unlike Cholesky's, the factors exist for every symmetric matrix, definite or not. Neither has a derivative (nor has it
in PyTorch); the solution has one by the right side.
Source: J. R. Bunch, L. Kaufman, "Some stable methods for calculating inertia and solving symmetric linear systems",
1977.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import return_types
from ..errors import DtypeError, GraphError, ShapeError
from ..graph.record import apply, records
from ..op import Op, Result, Sample
from .common import Array, array_of, raw, reads, shape_of, wrap_as, write_out
from .matrices import joint_batch, need_matrices, need_square, refuse

# No choice of the pivot lets the elements grow faster than this one.
_ALPHA = (1 + math.sqrt(17)) / 8


def _pivot(a: Array, k: int) -> tuple[int, int]:
    """(the size of the block at k: 1 or 2, the row that comes to its end), of the lower triangle of `a` from k on."""
    n, here = len(a), abs(a[k, k])
    if k == n - 1:
        return 1, k
    r = k + 1 + int(np.abs(a[k + 1 :, k]).argmax())
    beside = abs(a[r, k])
    if here >= _ALPHA * beside:
        return 1, k
    of_r = max(np.abs(a[r, k:r]).max(), np.abs(a[r + 1 :, r]).max(initial=0))
    if here * of_r >= _ALPHA * beside * beside:
        return 1, k
    return (1, r) if abs(a[r, r]) >= _ALPHA * of_r else (2, r)


def _exchange(a: Array, i: int, j: int) -> None:
    """Exchanges rows and columns i < j of a symmetric matrix of which there is the lower triangle, from column i on."""
    a[j + 1 :, [i, j]] = a[j + 1 :, [j, i]]
    a[i + 1 : j, i], a[j, i + 1 : j] = a[j, i + 1 : j].copy(), a[i + 1 : j, i].copy()
    a[i, i], a[j, j] = a[j, j], a[i, i]


def _factor(a: Array) -> tuple[Array, Array, int]:
    """(LD, pivots, info) of one matrix, in LAPACK's form."""
    ld, n, info, k = np.tril(a), len(a), 0, 0
    pivots = np.empty(n, np.int32)
    while k < n:
        size, row = _pivot(ld, k)
        last = k + size - 1
        if row != last:
            _exchange(ld, last, row)
            if size == 2:
                ld[last, k], ld[row, k] = ld[row, k], ld[last, k]
        pivots[k : k + size] = row + 1 if size == 1 else -(row + 1)
        block = ld[k : k + size, k : k + size]
        block = np.tril(block) + np.tril(block, -1).T
        rest = ld[k + size :, k : k + size]
        if not block.any() and not rest.any():
            info = info or k + 1
        elif len(rest):
            x = np.linalg.solve(block, rest.T).T
            ld[k + size :, k + size :] -= np.tril(x @ rest.T)
            ld[k + size :, k : k + size] = x
        k += size
    return ld, pivots, info


def _need_constants(name: str, x: Any) -> None:
    if records(x):
        raise GraphError(f"{name}: the factors have no derivative; detach() the matrix, or use linalg.solve")


@reads()
def ldl_factor_ex(A: Any, *, hermitian: bool = False, check_errors: bool = False, out: Any = None) -> Any:
    """(LD, pivots, info): as `ldl_factor`; where a block of D is 0, `info` is its place from 1, else 0.

    >>> mt.linalg.ldl_factor_ex(mt.zeros(1, 1)).info
    tensor(1, dtype=minitensor.int32)
    """
    name = "linalg.ldl_factor"
    need_square(name, A)
    _need_constants(name, A)
    a = array_of(A)
    ld, pivots = np.empty(a.shape, a.dtype), np.empty(a.shape[:-1], np.int32)
    info = np.empty(a.shape[:-2], np.int32)
    for i in np.ndindex(a.shape[:-2]):
        ld[i], pivots[i], info[i] = _factor(a[i])
    if check_errors:
        refuse(name, info, a.shape, lambda k: f"is singular: the block of D at ({k}, {k}) is 0")
    result = return_types.linalg_ldl_factor_ex(*[wrap_as(A, x) for x in (ld, pivots, info)])
    return result if out is None else write_out("linalg.ldl_factor_ex", result, out)


@reads()
def ldl_factor(A: Any, *, hermitian: bool = False, out: Any = None) -> Any:
    """(LD, pivots): the factors of symmetric matrices in one matrix, D on its diagonal, for `ldl_solve`.

    Only the lower triangle of A is read. A positive pivot is the row, counted from 1, that this one was exchanged with;
    two equal negative ones mark a block of two, whose second row was. `hermitian` makes no difference to real matrices.
    Raises LinAlgError where a block of D is 0, and GraphError for a matrix that requires gradients: the factors have
    no derivative.

    >>> mt.linalg.ldl_factor(mt.tensor([[2.0, 1.0], [1.0, 3.0]])).LD
    tensor([[2.0000, 0.0000],
            [0.5000, 2.5000]])
    """
    ld, pivots, _ = ldl_factor_ex(A, hermitian=hermitian, check_errors=True)
    result = return_types.linalg_ldl_factor(ld, pivots)
    return result if out is None else write_out("linalg.ldl_factor", result, out)


def _blocks(pivots: Array) -> Iterator[tuple[int, int]]:
    """(place, size) of the blocks of D."""
    k = 0
    while k < len(pivots):
        size = 1 if pivots[k] > 0 else 2
        yield k, size
        k += size


def _solve(ld: Array, pivots: Array, b: Array) -> Array:
    """The solution for one matrix."""
    x, blocks = b.copy(), list(_blocks(pivots))
    for k, size in blocks:  # the exchanges and L, block by block, then D
        last, row = k + size - 1, abs(int(pivots[k])) - 1
        x[[last, row]] = x[[row, last]]
        x[k + size :] -= ld[k + size :, k : k + size] @ x[k : k + size]
        block = ld[k : k + size, k : k + size]
        with np.errstate(divide="ignore", invalid="ignore"):
            x[k : k + size] = x[k] / block[0, 0] if size == 1 else _two(block, x[k : k + 2])
    for k, size in reversed(blocks):  # L^T and the exchanges back
        last, row = k + size - 1, abs(int(pivots[k])) - 1
        x[k : k + size] -= ld[k + size :, k : k + size].T @ x[k + size :]
        x[[last, row]] = x[[row, last]]
    return x


def _two(block: Array, b: Array) -> Array:
    """The solution for a symmetric matrix of two rows, by its adjugate."""
    (p, _), (q, r) = block
    return np.asarray(np.stack([r * b[0] - q * b[1], p * b[1] - q * b[0]]) / (p * r - q * q))


def _ldl_solve_reference(ld: Array, pivots: Array, b: Array) -> Result:
    batch = np.broadcast_shapes(ld.shape[:-2], b.shape[:-2])
    ld = np.broadcast_to(ld, (*batch, *ld.shape[-2:]))
    each, b = np.broadcast_to(pivots, ld.shape[:-1]), np.broadcast_to(b, (*batch, *b.shape[-2:]))
    out = np.empty(b.shape, b.dtype)
    for i in np.ndindex(batch):
        out[i] = _solve(ld[i], each[i], b[i])
    return out, (ld, each)


def _ldl_solve_db(g: Any, ld: Any, pivots: Any) -> Any:
    return apply(LDL_SOLVE, ld, pivots, g)


def _ldl_solve_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, right in (
        ((3, 3), (3, 2)),
        ((1, 1), (1, 1)),
        ((2, 4, 4), (2, 4, 1)),
        ((0, 0), (0, 2)),
        ((2, 2), (2, 0)),
    ):
        x = rng.standard_normal(shape)
        ld, pivots, _ = ldl_factor_ex(x + np.swapaxes(x, -1, -2))
        yield Sample((ld, pivots, rng.standard_normal(right)))


LDL_SOLVE = Op(
    "ldl_solve", _ldl_solve_reference, None, (None, None, _ldl_solve_db), "linear", _ldl_solve_samples, broadcasts=True
)


@reads()
def ldl_solve(LD: Any, pivots: Any, B: Any, *, hermitian: bool = False, out: Any = None) -> Any:
    r"""The solution of A X = B given `ldl_factor` of A.

        forward    x = p l^-T d^-1 l^-1 p^T b
        backward   db = a^-1 g: the same with g for b

    LD (*, n, n), pivots (*, n), B (*, n, k); the batches broadcast. Raises ShapeError for sizes that do not fit.

    >>> a = mt.tensor([[0.0, 2.0], [2.0, 1.0]])
    >>> mt.linalg.ldl_solve(*mt.linalg.ldl_factor(a), a @ mt.ones(2, 1)).flatten()
    tensor([1., 1.])
    """
    name = "linalg.ldl_solve"
    need_square(name, LD)
    need_matrices(name, LD, B)
    _need_constants(name, LD)
    ld_shape, at_shape, b_shape = shape_of(LD), shape_of(pivots), shape_of(B)
    if array_of(pivots).dtype.kind != "i":
        raise DtypeError(f"{name}: the pivots must be integers, not {array_of(pivots).dtype}")
    if b_shape[-2] != ld_shape[-1] or at_shape != ld_shape[:-1]:
        raise ShapeError(f"{name}: LD {ld_shape}, pivots {at_shape} and B {b_shape} do not fit together")
    joint_batch(name, ld_shape[:-2], b_shape[:-2])
    if np.any(np.abs(raw(pivots)) > ld_shape[-1]) or np.any(raw(pivots) == 0):
        raise ShapeError(f"{name}: the pivots are not rows from 1 to {ld_shape[-1]}")
    for each in np.reshape(raw(pivots), (-1, ld_shape[-1])) if ld_shape[-1] else ():
        if any(size == 2 and (k + 1 == len(each) or each[k] != each[k + 1]) for k, size in _blocks(each)):
            raise ShapeError(f"{name}: the negative pivots do not come in pairs, for blocks of two")
    result = apply(LDL_SOLVE, LD, pivots, B)
    return result if out is None else write_out(name, result, out)
