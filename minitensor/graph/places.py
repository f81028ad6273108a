"""Where in the user's program something was done: cheap to note, put into words only for a message."""

from __future__ import annotations

import os
import sys
from typing import Any

from ..errors import ShapeError
from ..op import Op

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .modes import switches

    def outside(package: str) -> Any:
        """(code, instruction) of the innermost frame whose file's name does not begin with `package`, or None."""
        frame: Any = sys._getframe()
        while frame is not None and frame.f_code.co_filename.startswith(package):
            frame = frame.f_back
        return None if frame is None else (frame.f_code, frame.f_lasti)


# Of the Python files: an editable installation has the compiled graph elsewhere.
_package = cython.declare(object, os.path.dirname(os.path.abspath(str(sys.modules[Op.__module__].__file__))) + os.sep)


@cython.ccall
def here() -> Any:
    """The innermost place outside this package, as (code, instruction): read only for an error, or to compare it."""
    return outside(_package)


@cython.ccall
def describe(place: Any) -> Any:
    """'file.py, line 7' for a place of `here`."""
    if place is None:
        return "an unknown line"
    code, instruction = place
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end and number is not None:
            line = number
    return f"{code.co_filename}, line {line}"


def line() -> str:
    """The innermost line of the user's program that is running, as 'file.py, line 7'."""
    return str(describe(here()))


def set_anomaly(on: bool, check_nan: bool) -> None:
    """Whether every node keeps its place in the program, and whether a NaN that a rule gives is an error."""
    switches.anomaly, switches.check_nan = on, on and check_nan
    ShapeError.notes = _where_made if on else None
    _made.clear()


def anomaly() -> tuple[bool, bool]:
    """What `set_anomaly` was last given."""
    return switches.anomaly, switches.check_nan


_made: dict = {}  # in anomaly mode: where the last tensor of each shape was made


@cython.cfunc
def note_made(shape: Any) -> Any:
    """In anomaly mode, where the tensor of this shape is made that is being made."""
    place = _made[shape] = here()
    return place


def _where_made(message: str) -> str:
    """For a message about shapes: the line that is running, and where the last tensors of those shapes were made."""
    known = [f"{shape} at {describe(place)}" for shape, place in _made.items() if str(shape) in message]
    made = f"; tensors were last made of shape {', of shape '.join(known)}" if known else ""
    return f" (at {line()}{made})"
