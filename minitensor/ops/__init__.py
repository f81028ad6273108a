"""The operators, a module for each family; importing this fills the table `op.OPS`."""

from . import arithmetic, comparison, embedding, functions, indexing, loss, norm, pool, reduce, shape, softmax

__all__ = ["arithmetic", "comparison", "embedding", "functions", "indexing", "loss", "norm", "pool", "reduce", "shape", "softmax"]
