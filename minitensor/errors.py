"""The errors that operators raise: each is what PyTorch raises and what Python would, both at once."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np


class ShapeError(RuntimeError, ValueError):
    """Sizes that do not fit together, or a value that an operator cannot take."""

    notes: ClassVar[Callable[[str], str] | None] = None  # what detect_anomaly has to add to a message

    def __init__(self, message: str = "", *args: object) -> None:
        notes = ShapeError.notes
        super().__init__(message if notes is None or " line " in message else message + notes(message), *args)


class DeviceError(ShapeError, AssertionError):
    """A device that there is not: PyTorch says of a build without it by an AssertionError."""


class DtypeError(RuntimeError, TypeError):
    """A dtype that an operator does not take."""


class ArgumentError(RuntimeError, ValueError, TypeError):
    """An argument, or what a function returned, of another form than a transform takes."""


class NoTensorError(DtypeError):
    """Something else where a function takes a tensor. The message begins with the function's name.

    That is read off the traceback, which also has the functions that Cython compiled: the innermost that is public.
    """

    _HELPERS = frozenset({"array_of", "shape_of", "need_float", "need_lapack", "promote", "to_dtype", "named"})

    def __str__(self) -> str:
        names, step = [], self.__traceback__
        while step is not None:
            names.append(step.tb_frame.f_code.co_name.rpartition(".")[2])
            step = step.tb_next
        public = [name for name in names if name not in self._HELPERS and name[0] not in "_<"]
        return f"{public[-1]}: {self.args[0]}" if public else str(self.args[0])


class ComplexError(NotImplementedError, DtypeError):
    """Complex numbers where an operator or a dtype has none."""


class IndexRangeError(IndexError, RuntimeError):
    """An index, axis or class outside its range."""


class ArgumentRangeError(ArgumentError, IndexRangeError):
    """An axis for vmap, or the number of an argument, outside its range."""


class MissingKeyError(KeyError, RuntimeError):
    """A name that a module does not have, or one of its own that was not given."""

    def __str__(self) -> str:
        return str(self.args[0])


class MissingModuleError(MissingKeyError, AttributeError):
    """A part that a module does not have."""


class OutOfMemoryError(RuntimeError, MemoryError):
    """A result that has no room in memory, or more bytes than can be addressed."""


class GraphError(RuntimeError):
    """A derivative that the recorded graph cannot give."""


class UsedAfterVmapError(GraphError):
    """A tensor from inside a vmap that has ended."""


class LinAlgError(RuntimeError, np.linalg.LinAlgError):
    """A matrix that is singular, not positive definite, or whose decomposition does not converge."""


class ConvergenceError(RuntimeError, ArithmeticError):
    """An iteration that does not come to its end."""


class TimesError(ShapeError, AssertionError):
    """Times that are not in order."""
