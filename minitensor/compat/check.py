"""Which names of another library a program uses, and which of them are here, by its syntax tree: nothing is run.

Imports are followed under whatever name they are given (`import torch.nn as nn`, `from torch import optim as o`), and
attributes of modules and classes as deep as they go: `torch.nn.functional.relu`. What a value's methods are is not
known before it exists; a method that no tensor, module or optimizer has is not reported.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from .faces import FACES, entries
from .missing import names_of, nearest

__all__ = ["Finding", "check", "report"]

# what is here and differs, and how
DIFFERENT = {
    "torch.autograd.profiler.profile": "records nothing",
    "torch.compile": "gives the model or function back as it is",
    "torch.distributed.init_process_group": "one process only",
    "torch.hub.load": "fetches nothing, and raises",
    "torch.jit.script": "gives the function or module back as it is",
    "torch.jit.trace": "gives the function or module back as it is",
    "torch.nn.DataParallel": "runs the module itself",
    "torch.nn.parallel.DistributedDataParallel": "runs the module itself, in one process",
    "torch.profiler.profile": "records nothing",
    "torch.utils.tensorboard.SummaryWriter": "writes nothing",
}


@dataclass
class Finding:
    """A name that a program uses: where, whether it is here, and what is to be said of it."""

    name: str
    lines: list[int] = field(default_factory=list)
    here: bool = True
    note: str = ""


def check(source: str, filename: str = "program") -> list[Finding]:
    """All names of the faces' libraries in a program, in alphabetical order. Raises SyntaxError where it is none.

    >>> from minitensor import compat
    >>> [(found.name, found.here) for found in compat.check("import torch\\nx = torch.zeros(2)\\ny = torch.zeross(2)")]
    [('torch.zeros', True), ('torch.zeross', False)]
    """
    found: dict[str, Finding] = {}
    for name, line in _used(ast.parse(source, filename)):
        lines = found.setdefault(name, Finding(name)).lines
        if line not in lines:
            lines.append(line)
    roots = {name.partition(".")[0] for name in found}
    modules = {k: v for table in FACES.values() if roots & table.keys() for k, v in entries(table)}
    for finding in found.values():
        finding.here, finding.note = _looked_up(finding.name, modules)
    return sorted(found.values(), key=lambda finding: finding.name.lower())


def report(path: Any) -> tuple[list[str], bool]:
    """What `minitensor check` prints of a file, and whether all names are here."""
    findings = check(Path(path).read_text(encoding="utf-8"), str(path))
    kinds = {
        "not here": [f for f in findings if not f.here],
        "here, with a difference": [f for f in findings if f.here and f.note],
        "here": [f for f in findings if f.here and not f.note],
    }
    lines = []
    for title, chosen in kinds.items():
        if chosen:
            lines.append(f"{title} ({len(chosen)}):")
            width = max(len(f.name) for f in chosen)
            for f in chosen:
                places = ", ".join(map(str, f.lines[:5])) + (", ..." if len(f.lines) > 5 else "")
                note = f"; {f.note}" if f.note else ""
                lines.append(f"  {f.name:{width}}  line {places}{note}")
    if not findings:
        lines.append(f"{path} uses no name of {', '.join(FACES)}")
    return lines, not kinds["not here"]


def _used(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """(whole name, line) of every name of a face's library."""
    roots = {name.partition(".")[0] for table in FACES.values() for name in table}
    known: dict[str, str] = {}  # what the program calls it -> what it is
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] in roots:
                    top = alias.name.partition(".")[0]
                    known[alias.asname or top] = alias.name if alias.asname else top
                    if "." in alias.name:
                        yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] in roots:
            for alias in node.names:
                if alias.name == "*":
                    yield str(node.module), node.lineno
                else:
                    whole = f"{node.module}.{alias.name}"
                    known[alias.asname or alias.name] = whole
                    yield whole, node.lineno
    inner: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and id(node) not in inner:
            parts: list[str] = []
            at: ast.expr = node
            while isinstance(at, ast.Attribute):
                inner.add(id(at))
                parts.append(at.attr)
                at = at.value
            if isinstance(at, ast.Name) and at.id in known:
                yield ".".join([known[at.id], *reversed(parts)]), node.lineno


def _looked_up(name: str, modules: dict[str, ModuleType]) -> tuple[bool, str]:
    """(whether there is such a name, what is to be said of it)."""
    parts = name.split(".")
    thing: Any = modules[parts[0]]
    for i, part in enumerate(parts[1:], 1):
        before = ".".join(parts[: i + 1])
        inside = modules.get(before) or getattr(thing, part, thing)
        if inside is thing and not hasattr(thing, part):
            if not isinstance(thing, (type, ModuleType)):
                break  # an attribute of a value, as torch.float32.itemsize
            near = nearest(part, names_of(thing))
            where = "" if i == len(parts) - 1 else f"no {before}; "
            return False, where + (f"the nearest name is {near}" if near else "nor anything of a like name")
        thing = inside
    return True, next((note for known, note in DIFFERENT.items() if f"{name}.".startswith(f"{known}.")), "")
