"""Pictures of a training run: its curves, its confusions, its mistakes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ...datasets.store import optional
from ...errors import ShapeError
from ...ops.common import raw
from .common import BLUE, VERMILION, axes_of, bare, figure


def curves(history: Mapping[str, Sequence[float]], title: str = "") -> Any:
    """The loss and every metric over the epochs, on the training set and the validation set.

    history: a list of one number an epoch for each name; "val_loss" belongs to "loss".

    >>> axes = mt.learn.plot.curves({"loss": [2.0, 1.0], "val_loss": [2.1, 1.5]})
    """
    names = [name for name in history if not name.startswith("val_") and name != "lr"]
    if not names or not history[names[0]]:
        raise ShapeError("curves: the history has no epochs")
    fig = figure(4.8 * len(names), 3.6)
    fig.suptitle(title)
    every = fig.subplots(1, len(names), squeeze=False)[0]
    for name, axes in zip(names, every, strict=True):
        is_share = name == "accuracy"
        lines = [(name, "training", BLUE, "-"), (f"val_{name}", "held back", VERMILION, "--")]
        for key, label, colour, style in lines:
            if key in history:
                y = np.asarray(history[key], float) * (100 if is_share else 1)
                last = f"{y[-1]:.1f}%" if is_share else f"{y[-1]:.4g}"
                x = np.arange(1, len(y) + 1)
                axes.plot(x, y, style, color=colour, lw=2, label=f"{label}: {last} at the end")
                axes.plot(x[-1], y[-1], "o", color=colour, ms=5)
        axes.set(xlabel="epoch", ylabel=f"{name} in %" if is_share else name, title=name)
        axes.xaxis.get_major_locator().set_params(integer=True)
        if name == "loss" and _spread(history, name) > 20:
            axes.set(yscale="log", ylabel="loss (logarithmic)")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)
        bare(axes)
    return every


def _spread(history: Mapping[str, Sequence[float]], name: str) -> float:
    """How many times larger the largest value is than the smallest."""
    values = np.asarray([v for k in (name, f"val_{name}") for v in history.get(k, ())], float)
    values = values[np.isfinite(values)]
    return float(values.max() / values.min()) if values.size and values.min() > 0 else 1.0


def confusion(labels: Any, predictions: Any, classes: Sequence[str], title: str = "", ax: Any = None) -> Any:
    """How often each class (row) was read as each class (column). Only the errors are in colour.

    labels, predictions: (count,) integers, indices into `classes`.

    >>> axes = mt.learn.plot.confusion([0, 1, 1], [0, 1, 0], ["cat", "dog"])
    """
    truth, said = np.asarray(raw(labels), np.int64), np.asarray(raw(predictions), np.int64)
    if truth.shape != said.shape or truth.ndim != 1:
        raise ShapeError(f"confusion: labels {truth.shape} and predictions {said.shape} do not pair")
    k = len(classes)
    if truth.size and not (0 <= min(truth.min(), said.min()) <= max(truth.max(), said.max()) < k):
        raise ShapeError(f"confusion: a label or prediction lies outside the {k} classes")
    counts = np.zeros((k, k), int)
    np.add.at(counts, (truth, said), 1)
    errors = counts * (1 - np.eye(k, dtype=int))

    words = max(map(len, classes), default=1) > 2
    size = max(3.5, 0.42 * k + (2.2 if words else 1.6))
    axes = axes_of(ax, "", size, size)
    top = max(4, errors.max())  # a single error does not stand out as if it were many
    shade = np.ma.masked_equal(errors, 0) / top
    axes.imshow(shade, cmap="Oranges", vmin=-0.25, vmax=1.1)
    for i in range(k):
        axes.add_patch(optional("matplotlib.patches").Rectangle((i - 0.5, i - 0.5), 1, 1, fc="#DCE9F3"))
        for j in np.flatnonzero(counts[i]):
            colour = BLUE if i == j else "white" if errors[i, j] > 0.6 * top else "black"
            axes.text(j, i, counts[i, j], ha="center", va="center", color=colour, fontsize=9)
    axes.set_xticks(range(k), classes, rotation=45 if words else 0, ha="right" if words else "center")
    axes.set_yticks(range(k), classes)
    axes.set(xlabel="was read as", ylabel="is")
    axes.set_xticks(np.arange(k + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(k + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="#DDDDDD", lw=0.8)
    axes.tick_params(which="both", length=0)
    axes.spines[:].set_color("#CCCCCC")
    right = int(np.trace(counts))
    share = f" ({right / truth.size:.1%})" if truth.size else ""
    axes.set_title(f"{title}\n{right} of {truth.size} right{share}".strip(), fontsize=11)
    return axes


def mistakes(
    images: Any,
    labels: Any,
    probabilities: Any,
    classes: Sequence[str],
    title: str = "",
    limit: int = 24,
) -> Any:
    """The pictures whose true class got the least probability: mistakes, then right but unsure.

    images: (count, channels, rows, columns) from 0 to 1, one channel or three.
    labels: (count,) integers; probabilities: (count, classes).

    >>> p = mt.tensor([[0.9, 0.1], [0.2, 0.8]])
    >>> axes = mt.learn.plot.mistakes(mt.zeros(2, 1, 8, 8), [0, 0], p, ["cat", "dog"])
    """
    x, truth, p = np.asarray(raw(images)), np.asarray(raw(labels)), np.asarray(raw(probabilities))
    if x.ndim != 4 or x.shape[1] not in (1, 3) or p.shape != (len(x), len(classes)):
        raise ShapeError(f"mistakes: images {x.shape} and probabilities {p.shape} do not fit together")
    if truth.shape != (len(x),):
        raise ShapeError(f"mistakes: {len(x)} images, but labels of shape {truth.shape}")
    said = p.argmax(1)
    wrong = said != truth
    sure = p[np.arange(len(x)), truth]
    hardest = np.lexsort((sure, ~wrong))[:limit]
    across = min(8, max(4, len(hardest)))
    down = max(1, math.ceil(len(hardest) / across))
    fig = figure(1.4 * across, 1.75 * down + 0.7)
    grid = fig.subplots(down, across, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for i, axes in zip(hardest, grid.flat, strict=False):
        axes.imshow(x[i].squeeze(0) if len(x[i]) == 1 else x[i].transpose(1, 2, 0), "gray_r", vmin=0, vmax=1)
        colour = VERMILION if wrong[i] else BLUE
        axes.spines[:].set(visible=True, color=colour, lw=2)
        read = f"read as {classes[said[i]]} ({p[i, said[i]]:.0%})" if wrong[i] else f"{sure[i]:.0%} sure"
        axes.set_title(f"{classes[truth[i]]}\n{read}", fontsize=8, color=colour)
    shown = min(int(wrong.sum()), len(hardest))
    what = f"{wrong.sum()} of {len(x)} wrong"
    what += f"; the worst {shown}, in orange" if shown < wrong.sum() else ", in orange" if shown else ""
    what += "; right, but least sure, in blue" if len(hardest) > shown else ""
    fig.suptitle(f"{title}\n{what}".strip(), fontsize=11)
    return grid
