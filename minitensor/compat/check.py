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
    "torch.jit.load": "reads what torch.jit.save wrote here, no TorchScript",
    "torch.jit.save": "writes what torch.save writes of the module",
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


def _used(tree: ast.Module) -> list[tuple[str, int]]:
    """(whole name, line) of every name of a face's library."""
    names = _Names({name.partition(".")[0] for table in FACES.values() for name in table})
    names.scoped(tree)
    return names.found


class _Names(ast.NodeVisitor):
    """Finds the names that begin with one of `roots`, in a program and its functions, each of which has its own."""

    def __init__(self, roots: set[str]) -> None:
        self.roots = roots
        self.found: list[tuple[str, int]] = []
        self.scopes: list[dict[str, str]] = []  # what each calls a name, the innermost last; "" is the program's own

    def scoped(self, node: Any) -> None:
        """Visits a program, or a function with what is bound in it."""
        own: dict[str, str] = {}
        self.scopes.append(own)
        for part in _inside(node):
            if isinstance(part, (ast.Import, ast.ImportFrom)):
                own.update(self._imported(part))
            elif isinstance(part, ast.arg):
                own.setdefault(part.arg, "")
            elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
                own.setdefault(part.id, "")
        self.generic_visit(node)
        self.scopes.pop()

    visit_FunctionDef = visit_AsyncFunctionDef = visit_Lambda = scoped

    def _imported(self, node: ast.Import | ast.ImportFrom) -> dict[str, str]:
        """What the program calls what it imports from the roots: its name in full."""
        if isinstance(node, ast.Import):
            whole = [(alias, alias.name if alias.asname else alias.name.partition(".")[0]) for alias in node.names]
        else:
            whole = [(alias, f"{node.module}.{alias.name}") for alias in node.names if not node.level]
        return {a.asname or name.rpartition(".")[2]: name for a, name in whole if name.partition(".")[0] in self.roots}

    def visit_Import(self, node: ast.Import) -> None:
        """`import torch.nn` is a use of the module."""
        names = [alias.name for alias in node.names if "." in alias.name and alias.name.partition(".")[0] in self.roots]
        self.found += [(name, node.lineno) for name in names]

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """`from torch import nn` is a use of the name."""
        self.found += [(name.removesuffix(".*"), node.lineno) for name in self._imported(node).values()]

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """`torch.nn.Linear`, whole, where the first name is an imported one."""
        parts, at = [node.attr], node.value
        while isinstance(at, ast.Attribute):
            parts.append(at.attr)
            at = at.value
        if not isinstance(at, ast.Name):
            self.visit(at)
            return
        whole = next((scope[at.id] for scope in reversed(self.scopes) if at.id in scope), "")
        if whole:
            self.found.append((".".join([whole, *reversed(parts)]), node.lineno))


def _inside(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a program or function, without those of the functions and classes in it."""
    for part in ast.iter_child_nodes(node):
        yield part
        if not isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            yield from _inside(part)


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
