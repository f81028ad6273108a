"""Pictures of a training run: its curves, its confusions, its mistakes, the words that count."""

from __future__ import annotations

import math
import textwrap
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
    axes = axes_of(ax, "", max(size, 0.095 * len(title)), size)  # wide enough for the title
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

    images: (count, channels, rows, columns) from 0 to 1, one channel or three; or a function of a number that gives the
        picture, of which no more are asked for than are drawn.
    labels: (count,) integers; probabilities: (count, classes).

    >>> p = mt.tensor([[0.9, 0.1], [0.2, 0.8]])
    >>> axes = mt.learn.plot.mistakes(mt.zeros(2, 1, 8, 8), [0, 0], p, ["cat", "dog"])
    """
    truth, p = np.asarray(raw(labels)), np.asarray(raw(probabilities))
    if callable(images):
        picture = images
    else:
        x = np.asarray(raw(images))
        if x.ndim != 4 or x.shape[1] not in (1, 3) or p.shape != (len(x), len(classes)):
            raise ShapeError(f"mistakes: images {x.shape} and probabilities {p.shape} do not fit together")
        picture = x.__getitem__
    said, wrong, sure, hardest = _hardest("images", truth, p, len(classes), limit)
    across = min(8, max(4, len(hardest)))
    down = max(1, math.ceil(len(hardest) / across))
    fig = figure(1.4 * across, 1.75 * down + 0.7)
    grid = fig.subplots(down, across, squeeze=False)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for i, axes in zip(hardest, grid.flat, strict=False):
        drawn = np.asarray(raw(picture(int(i))))
        axes.imshow(drawn[0] if len(drawn) == 1 else drawn.transpose(1, 2, 0), "gray_r", vmin=0, vmax=1)
        colour = VERMILION if wrong[i] else BLUE
        axes.spines[:].set(visible=True, color=colour, lw=2)
        read = f"read as {classes[said[i]]} ({p[i, said[i]]:.0%})" if wrong[i] else f"{sure[i]:.0%} sure"
        size = min(8.0, 8 * 23 / max(len(read), len(classes[truth[i]])))  # long names do not run into each other
        axes.set_title(f"{classes[truth[i]]}\n{read}", fontsize=size, color=colour)
    fig.suptitle(f"{title}\n{_how_many(wrong, len(hardest))}".strip(), fontsize=11)
    return grid


def _hardest(name: str, truth: Any, p: Any, classes: int, limit: int) -> tuple[Any, Any, Any, Any]:
    """What was said, which of it is wrong, the probability of the truth, and the numbers of the worst answers."""
    if p.ndim != 2 or p.shape[1] != classes:
        raise ShapeError(f"mistakes: probabilities {p.shape} for {classes} classes")
    if truth.shape != p.shape[:1]:
        raise ShapeError(f"mistakes: {len(p)} {name}, but labels of shape {truth.shape}")
    said = p.argmax(1)
    wrong = said != truth
    sure = p[np.arange(len(p)), truth]
    return said, wrong, sure, np.lexsort((sure, ~wrong))[:limit]


def _how_many(wrong: Any, drawn: int) -> str:
    shown = min(int(wrong.sum()), drawn)
    what = f"{wrong.sum()} of {len(wrong)} wrong"
    what += f"; the worst {shown}, in orange" if shown < wrong.sum() else ", in orange" if shown else ""
    return what + ("; right, but least sure, in blue" if drawn > shown else "")


def mistaken_texts(
    texts: Sequence[str], labels: Any, probabilities: Any, classes: Sequence[str], title: str = "", limit: int = 8
) -> Any:
    """The beginnings of the texts whose true class got the least probability: mistakes, then right but unsure.

    labels: (count,) integers; probabilities: (count, classes).

    >>> p = mt.tensor([[0.9, 0.1], [0.2, 0.8]])
    >>> axes = mt.learn.plot.mistaken_texts(["A delight.", "A bore."], [1, 1], p, ["negative", "positive"])
    """
    truth, p = np.asarray(raw(labels)), np.asarray(raw(probabilities))
    if len(texts) != len(p):
        raise ShapeError(f"mistaken_texts: {len(texts)} texts and probabilities {p.shape} do not fit together")
    said, wrong, _, hardest = _hardest("texts", truth, p, len(classes), limit)
    fig = figure(9.6, 0.92 * max(1, len(hardest)) + 0.8)
    grid = fig.subplots(max(1, len(hardest)), 1, squeeze=False)[:, 0]
    for axes in grid:
        axes.set_axis_off()
    for i, axes in zip(hardest, grid, strict=False):
        read = "read as" if wrong[i] else "rightly read as"
        axes.text(
            0, 1, f"is {classes[truth[i]]}, {read} {classes[said[i]]} ({p[i, said[i]]:.0%})", va="top",
            color=VERMILION if wrong[i] else BLUE, fontsize=10, transform=axes.transAxes,
        )  # fmt: skip
        start = textwrap.shorten(texts[i].replace("<br />", " "), 330, placeholder=" ...")
        lines = "\n".join(textwrap.wrap(start, 118)).replace("$", r"\$")
        axes.text(0, 0.74, lines, va="top", fontsize=9, transform=axes.transAxes)
    fig.suptitle(f"{title}\n{_how_many(wrong, len(hardest))}".strip(), fontsize=11)
    return grid


def words(weights: Any, names: Sequence[str], classes: Sequence[str], title: str = "", limit: int = 20) -> Any:
    """The words that pull most towards the first class (left, orange) and towards the last (right, blue), as bars.

    weights: (words,), above 0 for the last class. names: the words.

    >>> axes = mt.learn.plot.words([2.0, -1.0, 0.1], ["great", "dull", "film"], ["negative", "positive"])
    """
    w = np.asarray(raw(weights), float)
    if w.ndim != 1 or len(w) != len(names):
        raise ShapeError(f"words: weights {w.shape} for {len(names)} words")
    order = np.argsort(w, kind="stable")
    n = min(limit, len(w))
    fig = figure(8.4, 0.24 * n + 1.3)
    pair = fig.subplots(1, 2, squeeze=False)[0]
    sides = ((order[:n], classes[0], VERMILION), (order[::-1][:n], classes[-1], BLUE))
    for axes, (chosen, name, colour) in zip(pair, sides, strict=True):
        axes.barh(range(n), np.abs(w[chosen]), color=colour, height=0.7)
        axes.set_yticks(range(n), [names[i].replace("$", r"\$") for i in chosen])
        axes.invert_yaxis()
        axes.set(title=f"says {name}", xlabel="pull", xlim=(0, 1.05 * max(float(np.abs(w).max()), 1e-12)))
        bare(axes)
    fig.suptitle(title)
    return pair
