"""What a program asked for that a face has not, in one line: where, what, and the nearest that there is."""

from __future__ import annotations

import difflib
import os
import re
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any

from .faces import FACES, place

__all__ = ["missing", "names_of", "nearest"]


def missing(error: BaseException) -> str | None:
    """One line if the error is about a name that a face has not: where, what, and the nearest that there is."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame)]
    if not frames or not _raised_by_user(error):
        return None
    found = _wanted(error)
    if found is None:
        return None
    whole, name, others = found
    near = nearest(name, others)
    instead = f"the nearest name is {near}" if near else "nor anything of a like name"
    return f"{os.path.basename(frames[-1].filename)}, line {frames[-1].lineno}: there is no {whole} here; {instead}"


def nearest(name: str, others: list[str]) -> str | None:
    """The one of the other names that is most like this one, if any is."""
    near = difflib.get_close_matches(name, others, 1, 0.5) or difflib.get_close_matches(name.lower(), others, 1, 0.5)
    near = near or [other for other in others if name.startswith(other) or other.startswith(name)]
    return near[0] if near else None


_PACKAGE = str(Path(__file__).parent.parent)


def _is_users(frame: traceback.FrameSummary) -> bool:
    return not frame.filename.startswith((_PACKAGE, "minitensor/", "<frozen"))  # the second: what Cython compiled


def _raised_by_user(error: BaseException) -> bool:
    """Whether it was a line outside this package that asked for the name."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if not f.filename.startswith("<frozen")]
    while frames and frames[-1].name.endswith(("__getattr__", "__getattribute__")):
        frames.pop()
    return bool(frames) and _is_users(frames[-1])


def _wanted(error: BaseException) -> tuple[str, str, list[str]] | None:
    """(the whole name, the part of it that is missing, what there is instead), if it is a face's."""
    if isinstance(error, ModuleNotFoundError) and error.name:
        if not any(error.name.startswith(f"{root}.") for table in FACES.values() for root in table):
            return None
        parent, _, name = error.name.rpartition(".")
        module = sys.modules.get(parent)
        return error.name, name, [] if module is None else names_of(module)
    if isinstance(error, ImportError) and error.name:
        asked = re.match(r"cannot import name '(\w+)'", str(error))
        shown = place(error.name)
        if asked is None or shown is None:
            return None
        return f"{shown}.{asked[1]}", asked[1], names_of(sys.modules[error.name])
    if isinstance(error, AttributeError) and error.name:
        thing = error.obj
        if isinstance(thing, ModuleType):
            shown = place(thing.__name__)
        else:
            cls = thing if isinstance(thing, type) else type(thing)
            shown = cls.__name__ if place(cls.__module__) else None
        return None if shown is None else (f"{shown}.{error.name}", error.name, names_of(thing))
    return None


def names_of(thing: Any) -> list[str]:
    """The public names of a module or class."""
    return [name for name in dir(thing) if not name.startswith("_")]
