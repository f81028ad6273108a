r"""Determinants: det, slogdet, logdet.

    det        dA = g C,  C the cofactors of A: C_ij = (-1)^(i+j) times the minor without row i and column j
    slogdet    dA = g A^-T

For a regular matrix C = det(A) A^-T. For a singular one A has no inverse, and C is still a polynomial. It, and so every
derivative of it, comes from the singular value decomposition A = U S V^T, held constant, as follows. In its bases the
matrix is M = U^T A V, which splits at the first r singular values that are not small into blocks, M = [[B, C], [D, E]],
with B regular. Then det(A) = det(U) det(V) det(B) det(E - D B^-1 C), and the last matrix is as small as the rank is
short of n: its determinant and cofactors come by D. K. Faddeev's recursion, which divides by no element.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import return_types
from ..graph.record import apply
from ..op import Op, Result, Sample
from .arithmetic import add, div, mul, neg, sub
from .common import Array, array_of, raw, shape_of, shifted, write_out
from .comparison import lt, where
from .einsum import diagonal_of
from .indexing import getitem
from .join import cat, narrow
from .matmul import matmul
from .matrices import SQUARES, eye_like, mT, need_square, of_regular, times
from .reduce import SUM
from .shape import reshape
from .solve import INV

Shape = tuple[int, ...]


# --- cofactors --------------------------------------------------------------------------------------------------------


def _missing(a: Array) -> Array:
    """How many singular values of each matrix are small, so that to divide by them would lose half of the digits."""
    small = float(np.finfo(a.dtype).eps) ** 0.5
    n = a.shape[-1]
    try:
        y = np.linalg.inv(a)
        condition = np.abs(a).sum(-1).max(-1, initial=0) * np.abs(y).sum(-1).max(-1, initial=0)
        if (condition < 1 / small).all() or not np.isfinite(a).all():
            return np.zeros(a.shape[:-2], int)
    except np.linalg.LinAlgError:
        pass
    finite = np.asarray(np.isfinite(a).all((-2, -1)))
    s = np.linalg.svd(np.where(finite[..., None, None], a, np.eye(n, dtype=a.dtype)), compute_uv=False)
    return np.asarray((s <= small * s[..., :1]).sum(-1))


def _cofactors(x: Any) -> Any:
    """The cofactors of square matrices, of any rank."""
    shape = shape_of(x)
    n = shape[-1]
    missing = _missing(raw(x)).reshape(-1)
    kinds = sorted(set(missing.tolist()))
    if not array_of(x).size or kinds == [0]:
        return times(apply(DET, x), mT(apply(INV, x)[0]))
    flat = reshape(x, (missing.size, n, n))
    if len(kinds) == 1:
        return reshape(_cofactors_of_rank(flat, n - kinds[0]), shape)
    groups = [np.flatnonzero(missing == k) for k in kinds]
    parts = [_cofactors_of_rank(getitem(flat, at), n - k) for k, at in zip(kinds, groups, strict=True)]
    return reshape(getitem(cat(parts, 0), np.argsort(np.concatenate(groups))), shape)


def _cofactors_of_rank(x: Any, r: int) -> Any:
    """The cofactors of matrices (N, n, n) of which r singular values are not small."""
    n = shape_of(x)[-1]
    if r == n:
        return times(apply(DET, x), mT(apply(INV, x)[0]))
    u, _, vh = np.linalg.svd(raw(x))
    sign = np.sign(np.linalg.det(u) * np.linalg.det(vh)).astype(u.dtype)[:, None, None]
    m = matmul(matmul(np.swapaxes(u, 1, 2), x), np.swapaxes(vh, 1, 2))
    top, bottom = narrow(m, 1, 0, r), narrow(m, 1, r, n - r)
    b, c, d, e = narrow(top, 2, 0, r), narrow(top, 2, r, n - r), narrow(bottom, 2, 0, r), narrow(bottom, 2, r, n - r)
    y = apply(INV, b)[0]
    left, right = mT(matmul(d, y)), mT(matmul(y, c))
    det_rest, of_rest = _faddeev(sub(e, matmul(d, matmul(y, c))))
    whole = cat(
        [
            cat([add(times(det_rest, mT(y)), matmul(matmul(left, of_rest), right)), neg(matmul(left, of_rest))], 2),
            cat([neg(matmul(of_rest, right)), of_rest], 2),
        ],
        1,
    )
    return matmul(matmul(u, mul(times(apply(DET, b), whole), sign)), vh)


def _faddeev(x: Any) -> tuple[Any, Any]:
    """(determinant, cofactors) of matrices (N, k, k), by products and sums alone. D. K. Faddeev, 1949."""
    k = shape_of(x)[-1]
    eye = eye_like(x)
    adjugate: Any = np.broadcast_to(eye, shape_of(x))
    product = x
    for j in range(1, k + 1):
        c = div(apply(SUM, diagonal_of(product), axes=(1,), keepdim=False), -j)
        if j < k:
            adjugate = add(product, times(c, eye))
            product = matmul(x, adjugate)
    return mul(c, (-1.0) ** k), mul(mT(adjugate), (-1.0) ** (k - 1))


# --- det --------------------------------------------------------------------------------------------------------------


def _det_reference(x: Array) -> Result:
    return np.asarray(np.linalg.det(x)), (x,)


def _det_dx(g: Any, x: Any) -> Any:
    return times(g, _cofactors(x))


def _det_jvp(tangents: tuple[Any, ...], x: Any) -> Any:
    axes = (len(shape_of(x)) - 2, len(shape_of(x)) - 1)
    return apply(SUM, mul(_cofactors(x), tangents[0]), axes=axes, keepdim=False)


def _det_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in SQUARES:
        yield Sample((rng.standard_normal(shape),))
    for n, r in ((1, 0), (2, 1), (2, 0), (3, 2), (3, 1), (3, 0), (4, 2)):
        yield Sample((rng.standard_normal((n, r)) @ rng.standard_normal((r, n)),))
    mixed = rng.standard_normal((4, 3, 3))
    mixed[1, 2] = mixed[1, 0] - mixed[1, 1]
    mixed[3] = np.outer(mixed[3, 0], mixed[3, 1])
    yield Sample((mixed,))


DET = Op(
    "det",
    _det_reference,
    None,
    (_det_dx,),
    _det_jvp,
    _det_samples,
    batch=shifted("det"),
)


def det(A: Any, *, out: Any = None) -> Any:
    r"""The determinant of square matrices.

        forward    out = the sum over all permutations p of sign(p) prod_i a_i,p(i)
        backward   dA = g times the cofactors: out A^-T for a regular matrix

    By Gauss's elimination. The gradient is right for matrices of any rank, where A^-T does not exist, and so are its
    derivatives. Raises ShapeError unless the matrices are square.

    >>> a = mt.tensor([[1.0, 2.0], [2.0, 4.0]], requires_grad=True)
    >>> mt.linalg.det(a).backward()
    >>> a.grad.round(decimals=4)
    tensor([[ 4., -2.],
            [-2.,  1.]])
    """
    need_square("linalg.det", A)
    result = apply(DET, A)
    return result if out is None else write_out("linalg.det", result, out)


# --- slogdet ----------------------------------------------------------------------------------------------------------


def _slogdet_reference(x: Array) -> Result:
    sign, size = np.linalg.slogdet(x)
    return (np.asarray(sign), np.asarray(size)), (x,)


def _slogdet_dx(g: Any, x: Any) -> Any:
    return times(g[1], mT(apply(INV, x)[0]))


SLOGDET = Op(
    "slogdet",
    _slogdet_reference,
    None,
    (_slogdet_dx,),
    None,
    of_regular(),
    batch=shifted("slogdet"),
)


def slogdet(A: Any, *, out: Any = None) -> Any:
    r"""(sign, logabsdet) of square matrices: the determinant's sign, and the logarithm of its size.

        forward    det(A) = sign exp(logabsdet)
        backward   dA = g A^-T

    The size itself may overflow. For a singular matrix sign is 0, logabsdet -inf and the gradient NaN.

    >>> mt.linalg.slogdet(mt.tensor([[-3.0]])).sign
    tensor(-1.)
    """
    need_square("linalg.slogdet", A)
    result = return_types.linalg_slogdet(*apply(SLOGDET, A))
    return result if out is None else write_out("linalg.slogdet", result, out)


def old_slogdet(input: Any) -> Any:
    """(sign, logabsdet) of square matrices; see `linalg.slogdet`.

    >>> mt.slogdet(mt.tensor([[-3.0]])).sign
    tensor(-1.)
    """
    return return_types.slogdet(*slogdet(input))


def logdet(input: Any) -> Any:
    r"""The logarithm of the determinant: NaN where that is negative, -inf where it is 0.

        forward    out = ln det(A)
        backward   dA = g A^-T

    >>> mt.logdet(mt.eye(2))
    tensor(0.)
    """
    need_square("logdet", input)
    sign, size = apply(SLOGDET, input)
    return where(lt(sign, 0), float("nan"), size)
