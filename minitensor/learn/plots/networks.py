"""Pictures of networks: their filters, activations, attention and embeddings, and the images that they see."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ...errors import ShapeError
from ...ops.common import raw
from .common import BLUE, COLOURS, MARKERS, array, axes_of, bare, figure


def images(pictures: Any, titles: Sequence[str] = (), title: str = "", limit: int = 64, columns: int = 8) -> Any:
    """Pictures side by side, each on its own scale of grey; colour ones as they are.

    pictures: a list of (rows, columns), (1 or 3, rows, columns) or (rows, columns, 1 or 3), or an array of them.

    >>> axes = mt.learn.plot.images([mt.zeros(4, 4), mt.ones(3, 4, 4)], ["before", "after"])
    """
    every = [np.asarray(raw(p)) for p in pictures][:limit]
    if not every:
        raise ShapeError("images: there are none")
    across = min(columns, len(every))
    down = math.ceil(len(every) / across)
    side = 1.15 if len(every) > 8 else 2.4
    fig = figure(max(3.0, side * across), (side + 0.3 * bool(titles)) * down + 0.5 * bool(title))
    grid = fig.subplots(down, across, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for k, (picture, axes) in enumerate(zip(every, grid.flat, strict=False)):
        p = picture.transpose(1, 2, 0) if picture.ndim == 3 and picture.shape[0] in (1, 3) else picture
        p = p[..., 0] if p.ndim == 3 and p.shape[2] == 1 else p
        if p.ndim != 2 and not (p.ndim == 3 and p.shape[2] == 3):
            raise ShapeError(f"images: {picture.shape} is no picture")
        axes.imshow(p if p.ndim == 2 or p.dtype == np.uint8 else np.clip(p, 0, 1), cmap="gray", interpolation="nearest")
        if k < len(titles):
            axes.set_title(titles[k], fontsize=9)
    fig.suptitle(title)
    return grid


def activations(maps: Any, title: str = "", limit: int = 64) -> Any:
    """What the channels of a layer answer to one picture, all on one scale, the channel's number above each.

    maps: (channels, rows, columns), (1, channels, rows, columns), or (neurons,), drawn as one row of bars.

    >>> axes = mt.learn.plot.activations(mt.rand(6, 8, 8), "after the first layer")
    """
    a = array(maps)
    a = a[0] if a.ndim == 4 and len(a) == 1 else a
    if a.ndim == 1 and a.size:
        axes = axes_of(None, title or "Activations", 6.4, 2.8)
        axes.bar(range(len(a)), a, color=BLUE)
        axes.set(xlabel="neuron", ylabel="activation")
        bare(axes)
        return axes
    if a.ndim != 3 or not a.size:
        raise ShapeError(f"activations: {np.shape(raw(maps))} is neither (channels, rows, columns) nor (neurons,)")
    n = min(len(a), limit)
    across = min(8, n)
    down = math.ceil(n / across)
    fig = figure(max(3.6, 1.05 * across + 1), 1.2 * down + 0.7)
    grid = fig.subplots(down, across, squeeze=False)
    low, high = float(min(a.min(), 0)), float(max(a.max(), 0)) or 1.0
    for axes in grid.flat:
        axes.set_axis_off()
    image = None
    for k, axes in zip(range(n), grid.flat, strict=False):
        image = axes.imshow(a[k], cmap="viridis", vmin=low, vmax=high, interpolation="nearest")
        axes.set_title(str(k), fontsize=8)
    bar = fig.colorbar(image, ax=grid, shrink=min(1, 3 / down), aspect=12)
    bar.set_label("activation")
    fig.suptitle("\n".join(filter(None, [title or "Activations", f"the first {n} of {len(a)}" if n < len(a) else ""])))
    return grid


def attention(weights: Any, words: Sequence[str] = (), title: str = "", limit: int = 16) -> Any:
    """How much each word (row) looks at each (column): a heat map, or one for each head, each row of which sums to 1.

    weights: (queries, keys), or (heads, queries, keys). words: of the keys; the queries are the last of them.

    >>> axes = mt.learn.plot.attention(mt.eye(3), ["the", "cat", "sat"])
    """
    w = array(weights)
    w = w[0] if w.ndim == 4 and len(w) == 1 else w
    w = w[None] if w.ndim == 2 else w
    if w.ndim != 3 or not w.size or (words and (len(words) != w.shape[2] or w.shape[1] > w.shape[2])):
        raise ShapeError(f"attention: weights {np.shape(raw(weights))} with {len(words)} words")
    w = w[:limit]
    heads, queries, keys = w.shape
    across = min(4, heads)
    down = math.ceil(heads / across)
    named = bool(words) and keys <= 40
    side = max(2.6, (0.26 if heads == 1 else 0.21) * keys + 0.9 * named)
    fig = figure(side * across + 1.0, (side + 0.2) * down + 0.4 * bool(title))
    grid = fig.subplots(down, across, squeeze=False)
    size = 9 if heads == 1 else 8
    image = None
    for k, axes in enumerate(grid.flat):
        if k >= heads:
            axes.set_axis_off()
            continue
        image = axes.imshow(w[k], cmap="viridis", vmin=0, vmax=max(float(w.max()), 1e-12), interpolation="nearest")
        if named:
            axes.set_xticks(range(keys), words, rotation=90, fontsize=size)
            axes.set_yticks(range(queries), words[keys - queries :], fontsize=size)
        elif heads > 1:
            axes.tick_params(labelsize=8)
        axes.set_title(f"head {k}" if heads > 1 else "", fontsize=9)
    first = grid[0, 0]
    first.set(xlabel="looks at", ylabel="word")
    bar = fig.colorbar(image, ax=grid, shrink=0.8, aspect=20)
    bar.set_label("attention")
    fig.suptitle(title)
    return grid if heads > 1 else first


def embedding(
    vectors: Any,
    labels: Any = None,
    words: Sequence[str] = (),
    *,
    classes: Sequence[str] = (),
    title: str = "",
    ax: Any = None,
) -> Any:
    """Vectors as points of the plane: of two numbers as they are, of more along their two principal axes.

    vectors: (count, size). labels: (count,), integers, one colour and mark each. words: written beside the points.

    >>> axes = mt.learn.plot.embedding(mt.randn(5, 8), words=["one", "two", "three", "red", "blue"])
    """
    v = array(vectors)
    if v.ndim != 2 or v.shape[1] < 2 or not len(v):
        raise ShapeError(f"embedding: {v.shape} is not (count, size) with a size of 2 or more")
    t = np.zeros(len(v), int) if labels is None else np.asarray(raw(labels)).reshape(-1).astype(int)
    if len(t) != len(v) or (words and len(words) != len(v)):
        raise ShapeError(f"embedding: {len(v)} vectors, {len(t)} labels, {len(words)} words")
    axes = axes_of(ax, title, 6.4, 5.2)
    names = ["first coordinate", "second coordinate"]
    if v.shape[1] > 2:
        centred = v - v.mean(0)
        _, sizes, rows = np.linalg.svd(centred, full_matrices=False)
        v = centred @ rows[:2].T
        share = sizes**2 / max(float((sizes**2).sum()), 1e-300)
        for k, name in enumerate(("first", "second")):
            names[k] = f"{name} principal axis ({share[k]:.0%} of the variance)"
    for k in np.unique(t):
        name = classes[k] if k < len(classes) else f"class {k}"
        how = {"marker": MARKERS[k % len(MARKERS)], "color": COLOURS[k % len(COLOURS)], "s": 30 if len(v) < 500 else 8}
        axes.scatter(*v[t == k].T, label=name if labels is not None else None, alpha=0.85, **how)
    if labels is not None:
        axes.legend(framealpha=0.9, fontsize=9, ncols=2 if len(np.unique(t)) > 8 else 1)
    axes.set(xlabel=names[0], ylabel=names[1])
    axes.margins(0.12)
    if words:
        _write(axes, v, words)
    axes.grid(alpha=0.3)
    bare(axes)
    return axes


_SIDES = [(1, 1), (1, -1), (-1, 1), (-1, -1), (0, 1), (0, -1), (1, 0), (-1, 0), (1, 3), (1, -3), (-1, 3), (-1, -3)]


def _write(axes: Any, points: Any, words: Sequence[str]) -> None:
    """Each word beside its point: on the first of its sides where there is no other word, and no other point."""
    at = axes.transData.transform(points) * 72 / axes.figure.dpi  # in points, as font sizes are
    taken = [(x - 3, y - 3, x + 3, y + 3) for x, y in at]
    for place, (x, y), word in zip(points, at, words, strict=True):
        wide, high, found = 5.3 * len(word), 10.0, []
        for dx, dy in _SIDES:
            left, low = x + 5 * dx - wide * (1 - dx) / 2, y + 4 * dy - high * (1 - max(-1, min(dy, 1))) / 2
            box = (left, low, left + wide, low + high)
            found.append((sum(_meet(box, other) for other in taken), box))
        box = min(found, key=lambda pair: pair[0])[1]
        taken.append(box)
        centre = ((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 2 - y)
        axes.annotate(word, place, centre, textcoords="offset points", fontsize=9, ha="center", va="center")


def _meet(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def filters(weight: Any, shape: tuple[int, ...] | None = None, title: str = "", limit: int = 64) -> Any:
    """The weights of a first layer as small pictures, at most `limit` of them.

    weight: (filters, channels, rows, columns) of a convolution, or (neurons, pixels) of a linear
    layer, whose rows are then shown in the `shape` of the picture. Three channels are the red, green and blue of one
        picture, in which grey is 0; of any other number each is a picture.

    >>> axes = mt.learn.plot.filters(mt.ones(4, 1, 3, 3))
    """
    w = np.asarray(raw(weight), float)
    if w.ndim == 2 and shape is not None and math.prod(shape) == w.shape[1]:
        w = w.reshape(len(w), *shape)
    if w.ndim != 4 or not w.size:
        raise ShapeError(f"filters: {w.shape} is neither (filters, channels, rows, columns) nor pictures")
    colour = w.shape[1] == 3
    channels = 1 if colour else w.shape[1]
    n = min(len(w), max(1, limit // channels))
    w = w[:n]
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
    if colour:
        every = (w / (2 * np.abs(w).max((1, 2, 3), keepdims=True).clip(1e-12)) + 0.5).transpose(0, 2, 3, 1)
    else:
        every = w.reshape(-1, *w.shape[2:])
    for picture, axes in zip(every, grid.flat, strict=False):
        image = axes.imshow(picture, cmap="PuOr_r", vmin=-top, vmax=top, interpolation="nearest")
        axes.spines[:].set_visible(True)
    shown = f"the first {n} of {len(np.asarray(raw(weight)))}" if n < len(raw(weight)) else f"all {n}"
    if colour:
        note = "red, green and blue, each filter on its own scale; grey is 0"
    else:
        note = f"the {channels} channels of a filter side by side" if channels > 1 else ""
    fig.suptitle("\n".join(filter(None, [title or "First layer", f"{shown}; {note}".strip("; ")])))
    if colour:
        return grid
    bar = fig.colorbar(image, ax=grid, shrink=min(1, 3 / down), aspect=12)
    bar.set_label("weight")
    bar.outline.set_visible(False)
    return grid
