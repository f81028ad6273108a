"""What several of these programs share: real texts that are on this machine, tables, the options that all have."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from minitensor.datasets.formats import read_text
from minitensor.datasets.store import found

TEXTS = {
    "tinyshakespeare": "Shakespeare's plays (English, 1.1 MB)",
    "notre-dame-de-paris-book1": "the first book of Hugo's Notre-Dame de Paris (French, 0.1 MB)",
}


def parser(documentation: str | None, picture: bool = False) -> argparse.ArgumentParser:
    """The options: --help shows the program's own first lines; --picture FILE where there is one to draw."""
    result = argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    if picture:
        result.add_argument("--picture", metavar="FILE", help="draw what is shown (needs the extra `examples`)")
    return result


def real_text(name: str = "tinyshakespeare") -> str:
    """A real text: a file; or one of TEXTS if a data folder has it; else Python's reference manual (English, 0.5 MB).

    Nothing is downloaded; what is read is said.
    """
    if name not in TEXTS:
        print(f"(the text: {name})")
        return Path(name).read_text(encoding="utf-8")
    if paths := found(f"text/{name}.txt"):
        print(f"(the text: {TEXTS[name]})")
        return read_text(paths[0])
    from pydoc_data.topics import topics

    print(f"(the text: Python's reference manual; for {TEXTS[name]} put text/{name}.txt into $MINITENSOR_DATA,")
    print(f" or have it downloaded by minitensor.datasets.text({name!r}))")
    return "\n".join(topics[key] for key in sorted(topics))


def table(rows: Iterable[Sequence[Any]], header: Sequence[str] = (), digits: int = 6) -> None:
    """Prints rows of numbers and words under each other."""
    cells = [list(header)] if header else []
    cells += [[f"{x:.{digits}g}" if isinstance(x, float) else str(x) for x in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)))
