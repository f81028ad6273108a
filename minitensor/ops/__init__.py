"""The operators, a module for each family; importing this fills the table `op.OPS`."""

from . import arithmetic, softmax

__all__ = ["arithmetic", "softmax"]
