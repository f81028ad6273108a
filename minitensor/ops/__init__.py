"""The operators, a module for each family; importing this fills the table `op.OPS`."""

from . import arithmetic, pool, softmax

__all__ = ["arithmetic", "pool", "softmax"]
