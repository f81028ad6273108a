"""Programs written for other libraries, run on this one.

A face of minitensor is a table: from the names under which programs import another library to the modules of ours
that answer to them. `install` enters them in `sys.modules`; `run` runs a program as `python program.py` does, with a
face installed, and says in one line what the program asked for that is not here.

    FACES["tensorflow"]     tensorflow -> minitensor.keras.tf, tensorflow.keras and keras -> minitensor.keras

What is below a module of the table is found below ours: `tensorflow.keras.layers` is `minitensor.keras.layers`.
"""

from __future__ import annotations

import builtins
import difflib
import importlib
import os
import pkgutil
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

__all__ = ["FACES", "install", "run"]

# of each face: the name that programs import -> our module
FACES: dict[str, dict[str, str]] = {
    "tensorflow": {
        "tensorflow": "minitensor.keras.tf",
        "tensorflow.keras": "minitensor.keras",
        "keras": "minitensor.keras",
    },
}


def install(face: str | None = None) -> None:
    """Has programs that import another library find ours: `face` is one of `FACES`, or None for all of them.

    Raises ValueError for an unknown face, and ImportError where the other library is loaded already.

    >>> from minitensor import compat
    >>> compat.install("tensorflow")
    >>> from tensorflow.keras.layers import Dense
    >>> Dense.__module__
    'minitensor.keras.layers'
    """
    if face is not None and face not in FACES:
        raise ValueError(f"install: {face!r} is not one of {', '.join(FACES)}")
    for table in FACES.values() if face is None else [FACES[face]]:
        entries = list(_entries(table))
        for name, module in entries:
            there = sys.modules.get(name)
            if there is not None and there is not module:
                raise ImportError(f"install: {name} is already loaded, from {getattr(there, '__file__', 'elsewhere')}")
        sys.modules.update(entries)


def _entries(table: dict[str, str]) -> Iterator[tuple[str, ModuleType]]:
    """(name, module) of all modules of a face."""
    for name, target in table.items():
        root = importlib.import_module(target)
        yield name, root
        for info in pkgutil.walk_packages(getattr(root, "__path__", []), f"{target}."):
            if not info.name.rpartition(".")[2].startswith("_"):
                yield name + info.name.removeprefix(target), importlib.import_module(info.name)


# --- running a program ------------------------------------------------------------------------------------------------


def run(path: Any, arguments: Sequence[str] = (), face: str | None = None) -> int:
    """Runs the program in a file as `python path arguments...` does, with a face installed; returns its exit code.

    It is `__main__`, with its own `sys.argv` and its folder first in `sys.path`. What it raises is printed as Python
    prints it, from the program's own lines on; a name that the face has not is said in one line.
    """
    path = str(path)
    source = Path(path).read_bytes()
    install(face)
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
    return 0


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


def missing(error: BaseException) -> str | None:
    """One line if the error is about a name that a face has not: where, what, and the nearest that there is."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame)]
    if not frames or not _raised_by_user(error):
        return None
    found = _wanted(error)
    if found is None:
        return None
    whole, name, others = found
    near = difflib.get_close_matches(name, others, 1, 0.5) or difflib.get_close_matches(name.lower(), others, 1, 0.5)
    near = near or [other for other in others if name.startswith(other) or other.startswith(name)]
    nearest = f"the nearest name is {near[0]}" if near else "nor anything of a like name"
    return f"{os.path.basename(frames[-1].filename)}, line {frames[-1].lineno}: there is no {whole} here; {nearest}"


_PACKAGE = str(Path(__file__).parent)


def _is_users(frame: traceback.FrameSummary) -> bool:
    return not frame.filename.startswith((_PACKAGE, "minitensor/", "<frozen"))  # the second: what Cython compiled


def _raised_by_user(error: BaseException) -> bool:
    """Whether it was a line outside this package that asked for the name."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    while frames and frames[-1].name.endswith("__getattr__"):
        frames.pop()
    return bool(frames) and _is_users(frames[-1])


def _wanted(error: BaseException) -> tuple[str, str, list[str]] | None:
    """(the whole name, the part of it that is missing, what there is instead), if it is a face's."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        if not any(error.name.startswith(f"{root}.") for table in FACES.values() for root in table):
            return None
        parent, _, name = error.name.rpartition(".")
        module = sys.modules.get(parent)
        return error.name, name, [] if module is None else _names(module)
    if isinstance(error, ImportError) and error.name:
        asked = re.match(r"cannot import name '(\w+)'", str(error))
        shown = _face_name(error.name)
        if asked is None or shown is None:
            return None
        return f"{shown}.{asked[1]}", asked[1], _names(sys.modules[error.name])
    if isinstance(error, AttributeError) and error.name:
        thing = error.obj
        if isinstance(thing, ModuleType):
            shown = _face_name(thing.__name__)
        else:
            cls = thing if isinstance(thing, type) else type(thing)
            shown = cls.__name__ if _face_name(cls.__module__) else None
        return None if shown is None else (f"{shown}.{error.name}", error.name, _names(thing))
    return None


def _names(thing: Any) -> list[str]:
    return [name for name in dir(thing) if not name.startswith("_")]


def _face_name(module: str) -> str | None:
    """The name under which programs know a module of ours, if it is a face's."""
    for table in FACES.values():
        for name, target in sorted(table.items(), key=lambda entry: -len(entry[1])):
            if module == target or module.startswith(f"{target}."):
                return name + module.removeprefix(target)
    return None
