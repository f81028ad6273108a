"""The errors that operators raise: each is what PyTorch raises and what Python would, both at once."""

import numpy as np


class ShapeError(RuntimeError, ValueError):
    """Sizes that do not fit together, or a value that an operator cannot take."""


class DtypeError(RuntimeError, TypeError):
    """A dtype that an operator does not take."""


class ComplexError(NotImplementedError, DtypeError):
    """A complex number or dtype, which minitensor has not."""


class IndexRangeError(IndexError, RuntimeError):
    """An index, axis or class outside its range."""


class OutOfMemoryError(RuntimeError, MemoryError):
    """A result that has no room in memory, or more bytes than can be addressed."""


class GraphError(RuntimeError):
    """A derivative that the recorded graph cannot give."""


class LinAlgError(RuntimeError, np.linalg.LinAlgError):
    """A matrix that is singular, not positive definite, or whose decomposition does not converge."""
