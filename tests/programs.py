"""Running the programs of examples/ as a user does; their index, written by `python tests/programs.py`."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import minitensor as mt

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
DATA = Path(os.environ.get("MINITENSOR_DATA") or EXAMPLES.parent.parent / "shared/data")  # real ones, where they are


def close(a: Any, b: Any, tolerance: float = 1e-12) -> None:
    """Asserts that a tensor or array is the other, to a relative and absolute tolerance."""
    np.testing.assert_allclose(a.detach().numpy() if isinstance(a, mt.Tensor) else a, b, rtol=tolerance, atol=tolerance)


def run(name: str, *args: object) -> str:
    """What the program prints; it must end well. Modules beside it are found, and the library where it is installed."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONSAFEPATH"}
    command = [sys.executable, str(EXAMPLES / name), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


ID = re.compile(r"\b(?:[DNFWRKGSB]\d\d[a-z]?|TD|TP1|DP|TIPS|DA|K|D\d\d)-[\w.-]*\w")
FROM_TO = re.compile(r"DP-17\.(\d\d) to DP-17\.(\d\d)")


def systems(path: Path) -> list[str]:
    """The systems of the course notes that a program covers, as its docstring names them."""
    text = " ".join((ast.get_docstring(ast.parse(path.read_text())) or "").split())
    covered = text.partition("Covers ")[2]
    found = ID.findall(covered)
    for first, last in FROM_TO.findall(covered):
        found += [f"DP-17.{k}" for k in range(int(first), int(last) + 1)]
    return sorted(set(found))


def index() -> str:
    """examples/README.md: each program with its first line and its tests, each system with its program."""
    tests = {path.name: path.read_text() for path in sorted(Path(__file__).parent.glob("test_*.py"))}
    lines, where = [], {}
    for path in sorted(EXAMPLES.glob("*.py")):
        if path.stem == "common":
            continue
        title = (ast.get_docstring(ast.parse(path.read_text())) or "").split("\n")[0]
        users = [n for n, t in tests.items() if f'"{path.name}"' in t or re.search(rf"^import {path.stem}$", t, re.M)]
        lines.append(f"| [{path.name}]({path.name}) | {title} | {', '.join(f'`{n}`' for n in users)} |")
        for name in systems(path):
            where.setdefault(name, []).append(path.name)
    rows = [f"| {name} | {', '.join(f'[{p}]({p})' for p in programs)} |" for name, programs in sorted(where.items())]
    return "\n".join(
        [
            "# Examples", "", "Programs to run and to read, one for each theme: `python examples/NAME.py`, with",
            "`--help` for what it takes and `--picture FILE` where it draws. They print tables whose numbers",
            "the tests check by hand, by exact arithmetic or by another method. Data that are not here are",
            "named and replaced by small ones; nothing is downloaded.", "",
            "| program | what it shows | tests |", "|---|---|---|", *lines, "",
            f"## The {len(where)} systems of the course notes", "", "| system | program |", "|---|---|", *rows, "",
        ]
    )  # fmt: skip


if __name__ == "__main__":
    (EXAMPLES / "README.md").write_text(index(), encoding="utf-8")
