"""The table that `model.summary()` prints."""

from __future__ import annotations

import math
import shutil
from typing import Any

_WIDEST = 88


def size_text(numbers: int) -> str:
    """The memory of so many float32 numbers.

    >>> from minitensor.keras.summary import size_text
    >>> size_text(0), size_text(130_394)
    ('0.00 B', '509.35 KB')
    """
    size, units = 4.0 * numbers, ["B", "KB", "MB", "GB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.2f} {units[0]}"


def _cells(text: str, width: int) -> list[str]:
    """The text in lines of at most `width` characters: broken at spaces, and words cut short where they do not fit."""
    lines: list[str] = []
    for word in text.split(" ") if len(text) > width else [text]:
        word = word if len(word) <= width else word[: width - 1] + "…"
        if lines and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
        else:
            lines.append(word)
    return lines


def _row(edges: str, rule: str, widths: list[int]) -> str:
    left, middle, right = tuple(edges)
    return left + middle.join(rule * (w + 2) for w in widths) + right


def _lines(texts: tuple[str, str, str], bar: str, widths: list[int]) -> list[str]:
    columns = [_cells(text, width) for text, width in zip(texts, widths, strict=True)]
    out = []
    for i in range(max(map(len, columns))):
        a, b, c = [column[i] if i < len(column) else "" for column in columns]
        cells = [f"{a:{widths[0]}}", f"{b:{widths[1]}}", f"{c:>{widths[2]}}"]
        out.append(f"{bar} " + f" {bar} ".join(cells) + f" {bar}")
    return out


def summary_of(model: Any, line_length: int | None = None) -> str:
    """The table of a model: a row for each layer, then the numbers of weights."""
    line = line_length or min(_WIDEST, shutil.get_terminal_size().columns - 4)
    ends = [int(part * line) for part in (0.45, 0.80, 1.0)]
    # a cell has a space on either side and a border, which the three columns give way for: 3, 4 and 3 characters
    widths = [max(w - n, 8) for w, n in zip((ends[0], ends[1] - ends[0], ends[2] - ends[1]), (3, 4, 3), strict=True)]
    text = [f'Model: "{model.name}"', _row("┏┳┓", "━", widths)]
    text += _lines(("Layer (type)", "Output Shape", "Param #"), "┃", widths)
    text.append(_row("┡╇┩", "━", widths))
    layers = model.layers
    for i, layer in enumerate(layers):
        shape = str(layer.output.shape) if layer.built and layer._symbolic is not None else "?"
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        text += _lines((f"{layer.name} ({type(layer).__name__})", shape, count), "│", widths)
        text.append(_row("├┼┤" if i + 1 < len(layers) else "└┴┘", "─", widths))
    if not layers:
        text.append(_row("└┴┘", "─", widths))
    trained = sum(math.prod(w.shape) for w in model.trainable_weights)
    others = model.count_params() - trained
    kept = model.optimizer.count_params() if model.optimizer is not None and model.optimizer.built else 0
    counts = {"Total": trained + others + kept, "Trainable": trained, "Non-trainable": others}
    if kept:
        counts["Optimizer"] = kept
    text += [f" {name} params: {n:,} ({size_text(n)})" for name, n in counts.items()]
    return "\n".join(text)
