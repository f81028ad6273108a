"""The table that `model.summary()` prints."""

from __future__ import annotations

import math
import shutil
from typing import Any

_WIDEST = 88


def size_text(numbers: float) -> str:
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
    parts = [edges[0]]
    for w, edge in zip(widths, edges[1:], strict=True):
        parts += [rule * (w + 2), edge]
    return "".join(parts)


def _lines(texts: list[str], bar: str, widths: list[int]) -> list[str]:
    columns = [_cells(text, width) for text, width in zip(texts, widths, strict=True)]
    out = []
    for i in range(max(map(len, columns))):
        parts = [column[i] if i < len(column) else "" for column in columns]
        cells = [f"{part:{'>' if k == 2 else '<'}{widths[k]}}" for k, part in enumerate(parts)]
        out.append(f"{bar} " + f" {bar} ".join(cells) + f" {bar}")
    return out


def _is_chain(model: Any) -> bool:
    """Whether each layer is fed by the one before it alone."""
    nodes = getattr(model, "_nodes", [])
    before = [getattr(model, "_input", None), *nodes[:-1]]
    return all(len(node.inputs) == 1 and node.inputs[0] is at for node, at in zip(nodes, before, strict=True))


def summary_of(model: Any, line_length: int | None = None) -> str:
    """The table of a model: a row for each layer, then the numbers of weights."""
    chain = not getattr(model, "_nodes", []) or (_is_chain(model) and len(model.inputs) == len(model.outputs) == 1)
    parts, heads = [0.45, 0.80, 1.0], ["Layer (type)", "Output Shape", "Param #"]
    # a cell has a space on either side and a border, which the columns give way for: 3 or 4 characters
    less: tuple[int, ...] = (3, 4, 3)
    widest = _WIDEST
    if not chain:
        parts, heads, less, widest = [0.3, 0.56, 0.74, 1.0], [*heads, "Connected to"], (3, 3, 4, 3), _WIDEST + 20
    line = line_length or min(widest, shutil.get_terminal_size().columns - 4)
    ends = [0, *(int(part * line) for part in parts)]
    widths = [max(b - a - n, 8) for a, b, n in zip(ends, ends[1:], less, strict=False)]
    edges = ["┏┳┓", "┡╇┩", "├┼┤", "└┴┘"]
    top, under, between, below = (edge[0] + edge[1] * (len(heads) - 1) + edge[2] for edge in edges)
    text = [f'Model: "{model.name}"', _row(top, "━", widths)]
    text += _lines(heads, "┃", widths)
    text.append(_row(under, "━", widths))
    layers = model.layers
    for i, layer in enumerate(layers):
        shape = str(layer.output.shape) if layer.built and layer._symbolic is not None else "?"
        count = f"{layer.count_params():,}" if layer.built else "0 (unbuilt)"
        row = [f"{layer.name} ({type(layer).__name__})", shape, count]
        if not chain:
            fed = [
                f"{before.layer.name}[0][0]" for node in model._nodes if node.layer is layer for before in node.inputs
            ]
            row.append(", ".join(fed) or "-")
        text += _lines(row, "│", widths)
        text.append(_row(between if i + 1 < len(layers) else below, "─", widths))
    if not layers:
        text.append(_row(below, "─", widths))
    trained = sum(math.prod(w.shape) for w in model.trainable_weights)
    others = model.count_params() - trained
    kept = model.optimizer.count_params() if model.optimizer is not None and model.optimizer.built else 0
    counts = {"Total": trained + others + kept, "Trainable": trained, "Non-trainable": others}
    if kept:
        counts["Optimizer"] = kept
    # the count of steps among the optimizer's numbers has eight bytes
    steps = {"Total": bool(kept), "Optimizer": True}
    text += [f" {name} params: {n:,} ({size_text(n + steps.get(name, False))})" for name, n in counts.items()]
    return "\n".join(text)
