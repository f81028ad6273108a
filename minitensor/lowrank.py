r"""The largest singular values of a matrix, from its products with a few random vectors.

    X = A R,  R (n, q) normal;    Q = the orthonormal columns of X, `niter` times those of A A^T Q
    U S V^T = Q (Q^T A)            the second by `linalg.svd`, of q rows only

All of it is operators, so derivatives follow. Source: N. Halko, P. Martinsson, J. Tropp, "Finding structure with
randomness" (2011), algorithms 4.4 and 5.1.
"""

from __future__ import annotations

from typing import Any

from . import random
from .errors import ShapeError
from .ops.common import shape_of
from .ops.decomposition import linalg_qr, linalg_svd

__all__ = ["pca_lowrank", "svd_lowrank"]


def _columns(a: Any, q: int, niter: int) -> Any:
    """Orthonormal columns (m, q) that nearly span what the largest singular vectors of `a` span."""
    found = linalg_qr(a @ random.randn(shape_of(a)[-1], q, dtype=a.dtype))[0]
    for _ in range(niter):
        found = linalg_qr(a @ linalg_qr(a.mT @ found)[0])[0]
    return found


def svd_lowrank(A: Any, q: int | None = 6, niter: int | None = 2, M: Any = None) -> tuple[Any, Any, Any]:
    """U (m, q), S (q), V (n, q) with A - M near U diag(S) V^T, for matrices of a rank of about q or less.

    Draws from the default generator. Raises ShapeError unless q is from 0 to the smaller size.

    >>> A = mt.ones(4, 1) @ mt.tensor([[3.0, 0.0, 4.0]])
    >>> U, S, V = mt.svd_lowrank(A, q=1)
    >>> S
    tensor([10.])
    """
    q, niter = 6 if q is None else q, 2 if niter is None else niter
    sizes = shape_of(A)
    if len(sizes) < 2 or not 0 <= q <= min(sizes[-2:]) or niter < 0:
        raise ShapeError(f"svd_lowrank: q={q} and niter={niter} do not fit matrices of the sizes {sizes}")
    x = A if M is None else A - M
    wide = sizes[-2] < sizes[-1]
    x = x.mT if wide else x
    basis = _columns(x, q, niter)
    u, s, vh = linalg_svd(basis.mT @ x, full_matrices=False)
    u, v = basis @ u, vh.mT
    return (v, s, u) if wide else (u, s, v)


def pca_lowrank(A: Any, q: int | None = None, center: bool = True, niter: int = 2) -> tuple[Any, Any, Any]:
    """`svd_lowrank` of rows less their mean: V (n, q) are the principal directions, S^2 / (m - 1) the variances.

    >>> x = mt.tensor([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]])
    >>> mt.pca_lowrank(x, q=1)[2].abs()
    tensor([[0.6000],
            [0.8000]])
    """
    sizes = shape_of(A)
    q = min(6, *sizes[-2:]) if q is None else q
    return svd_lowrank(A - A.mean(-2, keepdim=True) if center else A, q, niter)
