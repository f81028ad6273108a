"""Programs written for other libraries, run on this one.

A face of minitensor is a table: from the names under which programs import another library to the modules of ours
that answer to them. `install` enters them in `sys.modules`; `run` runs a program as `python program.py` does, with a
face installed, and says in one line what the program asked for that is not here.

    FACES["tensorflow"]     tensorflow -> minitensor.keras.tf, tensorflow.keras and keras -> minitensor.keras
    FACES["torch"]          torch.nn -> minitensor.nn, torch.cuda -> minitensor.compat.torch.cuda, torchvision

What is below a module of the table is found below ours: `tensorflow.keras.layers` is `minitensor.keras.layers`.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Sequence
from multiprocessing import spawn
from pathlib import Path
from types import ModuleType
from typing import Any

from .check import Finding, check
from .faces import FACES, OnImport, install
from .missing import missing

__all__ = ["FACES", "Finding", "check", "install", "run"]

# --- running a program ------------------------------------------------------------------------------------------------


def run(path: Any, arguments: Sequence[str] = (), face: str | None = None) -> int:
    """Runs the program in a file as `python path arguments...` does, with a face installed; returns its exit code.

    No face means those of the libraries that it imports, as it imports them.

    It is `__main__`, with its own `sys.argv` and its folder first in `sys.path`. What it raises is printed as Python
    prints it, from the program's own lines on; a name that the face has not is said in one line.
    """
    path = str(path)
    source = Path(path).read_bytes()
    finder = follow(face)
    prepare, spawn.get_preparation_data = spawn.get_preparation_data, _prepared(spawn.get_preparation_data, face)
    program = ModuleType("__main__")
    program.__dict__.update(__file__=path, __builtins__=builtins)
    before = sys.modules["__main__"], sys.argv, sys.path
    sys.modules["__main__"] = program
    sys.argv = [path, *arguments]
    sys.path = [str(Path(path).resolve().parent), *sys.path[not sys.flags.safe_path :]]
    try:
        exec(compile(source, path, "exec"), program.__dict__)
    except SystemExit as error:
        return _exit_code(error.code)
    except Exception as error:
        _report(error, path)
        return 1
    finally:
        sys.modules["__main__"], sys.argv, sys.path = before
        spawn.get_preparation_data = prepare
        if finder is not None:
            sys.meta_path.remove(finder)
    return 0


def follow(face: str | None) -> OnImport | None:
    """Installs a face, or those that are imported from now on; returns what waits for these imports."""
    if face is not None:
        install(face)
        return None
    finder = OnImport()
    sys.meta_path.insert(0, finder)
    return finder


class _Face:
    """What a new process of the program gets, and installs as it unpickles it, before it runs the program's file."""

    def __init__(self, face: str | None) -> None:
        self.face = face

    def __reduce__(self) -> Any:
        return follow, (self.face,)


def _prepared(prepare: Any, face: str | None) -> Any:
    return lambda name: {**prepare(name), "minitensor": _Face(face)}


def _exit_code(code: Any) -> int:
    """What `sys.exit(code)` leaves: None is 0, and anything but a number is printed."""
    if code is None or isinstance(code, int):
        return code or 0
    print(code, file=sys.stderr)
    return 1


def _report(error: Exception, path: str) -> None:
    line = missing(error)
    if line is not None:
        print(f"minitensor: {line}", file=sys.stderr)
        return
    at = error.__traceback__
    while at is not None and at.tb_frame.f_code.co_filename != path:
        at = at.tb_next
    sys.excepthook(type(error), error.with_traceback(at), at)
