"""Pictures of a training run: its curves, its confusions, its filters, its mistakes.

Each function takes arrays or tensors and returns a matplotlib `Figure`, to be shown by a notebook
or saved: `curves(history).savefig("curves.png")`. No window is opened and no global state of pyplot
is touched. matplotlib comes with the extra `examples`; without it ModuleNotFoundError says so.
Two colours that everyone can tell apart (Okabe and Ito, "Color universal design", 2008) carry all
meaning: blue for what is right or trained on, vermilion for what is wrong or held back.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..datasets.store import optional
from ..errors import ShapeError
from ..ops.common import raw

__all__ = ["confusion", "curves", "filters", "mistakes"]

BLUE, VERMILION = "#0072B2", "#D55E00"


def figure(width: float, height: float) -> Any:
    """An empty figure of a size in inches, whose parts arrange themselves."""
    return optional("matplotlib.figure").Figure((width, height), dpi=120, layout="constrained")


def _bare(axes: Any) -> None:
    """Takes away the frame's upper and right side, which carry nothing."""
    axes.spines[["top", "right"]].set_visible(False)


def curves(history: Mapping[str, Sequence[float]], title: str = "") -> Any:
    """The loss and every metric over the epochs, on the training set and the validation set.

    history: a list of one number an epoch for each name; "val_loss" belongs to "loss".

    >>> figure = mt.learn.plot.curves({"loss": [2.0, 1.0], "val_loss": [2.1, 1.5]})
    """
    names = [name for name in history if not name.startswith("val_") and name != "lr"]
    if not names or not history[names[0]]:
        raise ShapeError("curves: the history has no epochs")
    fig = figure(4.8 * len(names), 3.6)
    fig.suptitle(title)
    for name, axes in zip(names, fig.subplots(1, len(names), squeeze=False)[0], strict=True):
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
        _bare(axes)
    return fig


def _spread(history: Mapping[str, Sequence[float]], name: str) -> float:
    """How many times larger the largest value is than the smallest."""
    values = np.asarray([v for k in (name, f"val_{name}") for v in history.get(k, ())], float)
    values = values[np.isfinite(values)]
    return float(values.max() / values.min()) if values.size and values.min() > 0 else 1.0


def confusion(labels: Any, predictions: Any, classes: Sequence[str], title: str = "") -> Any:
    """How often each class (row) was read as each class (column). Only the errors are in colour.

    labels, predictions: (count,) integers, indices into `classes`.

    >>> figure = mt.learn.plot.confusion([0, 1, 1], [0, 1, 0], ["cat", "dog"])
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
    fig = figure(size, size)
    axes = fig.subplots()
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
    return fig


def filters(weight: Any, shape: tuple[int, ...] | None = None, title: str = "", limit: int = 64) -> Any:
    """The weights of a first layer as small pictures, at most `limit` of them.

    weight: (filters, channels, rows, columns) of a convolution, or (neurons, pixels) of a linear
    layer, whose rows are then shown in the `shape` of the picture. Each channel is a picture.

    >>> figure = mt.learn.plot.filters(mt.ones(4, 1, 3, 3))
    """
    w = np.asarray(raw(weight), float)
    if w.ndim == 2 and shape is not None and math.prod(shape) == w.shape[1]:
        w = w.reshape(len(w), *shape)
    if w.ndim != 4 or not w.size:
        raise ShapeError(f"filters: {w.shape} is neither (filters, channels, rows, columns) nor pictures")
    n = min(len(w), max(1, limit // w.shape[1]))
    w = w[:n]
    channels = w.shape[1]
    across = channels if channels > 1 else min(8, n)
    across *= max(1, 9 // across) if channels > 1 else 1
    down = math.ceil(n * channels / across)
    fig = figure(max(4.5, 0.7 * across + 1), 0.7 * down + 0.9)
    top = max(float(np.abs(w).max()), 1e-12)
    grid = fig.subplots(down, across, squeeze=False)
    fig.get_layout_engine().set(hspace=0.03, wspace=0.03, h_pad=0.02, w_pad=0.02)
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set(visible=False, color="#CCCCCC")
    image = None
    for picture, axes in zip(w.reshape(-1, *w.shape[2:]), grid.flat, strict=False):
        image = axes.imshow(picture, cmap="PuOr_r", vmin=-top, vmax=top)
        axes.spines[:].set_visible(True)
    bar = fig.colorbar(image, ax=grid, shrink=min(1, 3 / down), aspect=12)
    bar.set_label("weight")
    bar.outline.set_visible(False)
    note = f"the {channels} channels of a filter side by side" if channels > 1 else ""
    shown = f"the first {n} of {len(np.asarray(raw(weight)))}" if n < len(raw(weight)) else f"all {n}"
    fig.suptitle("\n".join(filter(None, [title or "First layer", f"{shown}; {note}".strip("; ")])))
    return fig


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
    >>> figure = mt.learn.plot.mistakes(mt.zeros(2, 1, 8, 8), [0, 0], p, ["cat", "dog"])
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
    return fig
