"""What several of these programs share: real texts that are on this machine, tables, the options that all have."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import minitensor as mt
from minitensor.datasets.formats import read_text
from minitensor.datasets.store import found

TEXTS = {
    "tinyshakespeare": "Shakespeare's plays (English, 1.1 MB)",
    "notre-dame-de-paris-book1": "the first book of Hugo's Notre-Dame de Paris (French, 0.1 MB)",
}


def parser(documentation: str | None, picture: bool = False, pictures: bool = False) -> argparse.ArgumentParser:
    """The options: --help shows the program's own first lines; --picture FILE, or --pictures FOLDER, where it draws."""
    result = argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    if picture:
        result.add_argument("--picture", metavar="FILE", help="draw what is shown (needs the extra `examples`)")
    if pictures:
        result.add_argument("--pictures", metavar="FOLDER", type=Path, help="draw them (needs the extra `examples`)")
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


def f64(x: Any, **how: Any) -> Any:
    """A tensor of doubles."""
    return mt.tensor(x, dtype=mt.float64, **how)


def glorot(model: Any) -> Any:
    """Gives dense and convolutional layers the book's first weights, Glorot-uniform, and biases 0; the model itself."""
    for layer in model.modules():
        if isinstance(layer, mt.nn.Linear | mt.nn.Conv2d):
            mt.nn.init.xavier_uniform_(layer.weight)
            mt.nn.init.zeros_(layer.bias)
    return model


def table(rows: Iterable[Sequence[Any]], header: Sequence[str] = (), digits: int = 6) -> None:
    """Prints rows of numbers and words under each other."""
    cells = [list(header)] if header else []
    cells += [[f"{x:.{digits}g}" if isinstance(x, float) else str(x) for x in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for row in cells:
        print("  " + "  ".join(f"{cell:>{width}}" for cell, width in zip(row, widths, strict=True)))


def heat(
    axes: Any,
    matrix: Any,
    rows: Sequence[Any] = (),
    columns: Sequence[Any] = (),
    digits: int = 2,
    signed: bool = False,
) -> None:
    """A matrix as shades, with its numbers and the names of rows and columns.

    Of shares, from white (0) to blue (1); `signed`, of any numbers, from purple (below 0) to orange (above).
    """
    largest = matrix.abs().max().item() if signed else 1.0
    axes.imshow(matrix, cmap="PuOr_r" if signed else "Blues", vmin=-largest if signed else 0, vmax=largest)
    for i, row in enumerate(matrix.tolist()):
        for j, x in enumerate(row):
            if x:
                colour = "white" if abs(x) > 0.55 * largest else "black"
                text = f"{round(x, digits) + 0.0:.{digits}f}"  # -0.000 is 0.000
                axes.text(j, i, text, ha="center", va="center", color=colour, fontsize=8)
    if rows:
        axes.set_yticks(range(len(rows)), rows)
    if columns:
        axes.set_xticks(range(len(columns)), columns, rotation=30, ha="right")


def lines(axes: Any, matrix: Any, tokens: Sequence[str]) -> None:
    """Attention as lines from each word (left) to those that it looks at (right), darker for larger shares."""
    count = len(tokens)
    for i, row in enumerate(matrix.tolist()):
        for j, share in enumerate(row):
            if share > 0.005:
                axes.plot([0, 1], [-i, -j], color="#0072B2", alpha=min(1.0, share), lw=2)
    for i, word in enumerate(tokens):
        axes.text(-0.05, -i, word, ha="right", va="center")
        axes.text(1.05, -i, word, ha="left", va="center")
    axes.set(xlim=(-0.6, 1.6), ylim=(0.5 - count, 0.5))
    axes.set_axis_off()
