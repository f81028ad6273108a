"""The operators, a module for each family; importing this fills the table `op.OPS`."""

from . import (
    arithmetic,
    comparison,
    conv,
    dropout,
    functions,
    indexing,
    loss,
    matmul,
    norm,
    pool,
    reduce,
    shape,
    softmax,
)

__all__ = [
    "arithmetic",
    "comparison",
    "conv",
    "dropout",
    "functions",
    "indexing",
    "loss",
    "matmul",
    "norm",
    "pool",
    "reduce",
    "shape",
    "softmax",
]
