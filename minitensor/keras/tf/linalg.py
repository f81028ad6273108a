"""`tf.linalg`: matrices.

>>> from minitensor.keras import tf
>>> print(tf.linalg.det([[2.0, 1.0], [1.0, 1.0]]))
tf.Tensor(1.0, shape=(), dtype=float32)
"""

from __future__ import annotations

from typing import Any

import minitensor as mt

from .tensor import Tensor, lift, operands, run, value_of

__all__ = ["det", "diag", "inv", "matmul", "matvec", "norm", "pinv", "solve", "trace"]

det, inv, pinv = lift(mt.linalg.det), lift(mt.linalg.inv), lift(mt.linalg.pinv)
diag, trace = lift(mt.diag), lift(mt.trace)


def norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: bool = False) -> Tensor:
    """The Euclidean norm of all numbers, or along an axis; or that of another order."""
    order = 2 if ord in ("euclidean", "fro") else ord
    return run(mt.linalg.vector_norm, value_of(tensor), order, axis, keepdim=keepdims)


def solve(matrix: Any, rhs: Any) -> Tensor:
    """x with matrix x = rhs."""
    return run(mt.linalg.solve, *operands(matrix, rhs))


def matmul(a: Any, b: Any) -> Tensor:
    """The product of matrices."""
    return run(mt.matmul, *operands(a, b))


def matvec(a: Any, b: Any) -> Tensor:
    """The product of a matrix and a vector."""
    return run(lambda a, b: (a @ b.unsqueeze(-1)).squeeze(-1), *operands(a, b))
