"""Linear algebra under PyTorch's names: each is an operator of `minitensor.ops`.

A matrix is the last two axes of a tensor, those before them are a batch. The decompositions are LAPACK's, through
NumPy, in float32 or float64, and have derivatives of any order in both modes. A matrix without an inverse, without a
Cholesky factor or whose iteration does not converge raises `LinAlgError`, which names the operator, the matrix of the
batch and the sizes.
"""

from __future__ import annotations

from .errors import LinAlgError
from .ops.decomposition import eig, eigh, eigvals, eigvalsh, householder_product, svdvals
from .ops.decomposition import linalg_qr as qr
from .ops.decomposition import linalg_svd as svd
from .ops.determinant import det, slogdet
from .ops.diagonal import linalg_diagonal as diagonal
from .ops.einsum import multi_dot, tensordot
from .ops.ldl import ldl_factor, ldl_factor_ex, ldl_solve
from .ops.linalg import (
    cond,
    lstsq,
    matrix_exp,
    matrix_norm,
    matrix_power,
    matrix_rank,
    norm,
    pinv,
    tensorinv,
    tensorsolve,
    vander,
    vecdot,
    vector_norm,
)
from .ops.linalg import linalg_cross as cross
from .ops.matmul import matmul
from .ops.solve import (
    cholesky_ex,
    inv,
    inv_ex,
    lu,
    lu_factor,
    lu_factor_ex,
    solve,
    solve_ex,
    solve_triangular,
)
from .ops.solve import linalg_cholesky as cholesky
from .ops.solve import linalg_lu_solve as lu_solve

__all__ = [
    "LinAlgError",
    "cholesky",
    "cholesky_ex",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "householder_product",
    "inv",
    "inv_ex",
    "ldl_factor",
    "ldl_factor_ex",
    "ldl_solve",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_factor_ex",
    "lu_solve",
    "matmul",
    "matrix_exp",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "multi_dot",
    "norm",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_ex",
    "solve_triangular",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "vander",
    "vecdot",
    "vector_norm",
]
