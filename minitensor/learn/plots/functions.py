"""Pictures of functions: curves, surfaces, level lines, gradients, descents, regions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from ...autograd.modes import enable_grad, no_grad
from ...autograd.reverse import grad
from ...creation import from_numpy
from ...datasets.store import optional
from ...errors import ArgumentError, ShapeError
from ...nn import Module
from ...ops.common import raw
from .common import BLUE, COLOURS, MARKERS, STYLES, VERMILION, array, axes_of, bare


def _grid(x: Any, y: Any, n: int) -> tuple[Any, Any]:
    """The points of a rectangle, as two arrays (rows along y): from (low, high), or at the places of longer ones."""

    def axis(given: Any) -> Any:
        a = array(given)
        if a.ndim != 1 or a.size < 2:
            raise ShapeError(f"an interval is (low, high), or a vector of places, not of shape {a.shape}")
        return np.linspace(a[0], a[1], n) if a.size == 2 else a

    return np.meshgrid(axis(x), axis(x if y is None else y))


def _values(name: str, f: Any, x: Any, y: Any) -> Any:
    """f at the points of a grid; an array is itself."""
    if not callable(f):
        z = array(f)
    else:
        with no_grad():
            z = array(f(from_numpy(x), from_numpy(y)))
    if z.shape != x.shape:
        if z.ndim:
            raise ShapeError(f"{name}: values of shape {z.shape} on a grid of {x.shape}")
        z = np.broadcast_to(z, x.shape)
    return z


def _slopes(f: Callable[..., Any], *points: Any) -> Any:
    """The partial derivatives of f at many points, by autograd."""
    variables = [from_numpy(np.array(p, float)).requires_grad_() for p in points]
    with enable_grad():
        total = f(*variables).sum()
        found = grad(total, variables, allow_unused=True) if total.requires_grad else [None] * len(variables)
    return [np.zeros_like(p) if g is None else array(g) for p, g in zip(points, found, strict=True)]


def function(
    f: Any,
    x: Any,
    *,
    n: int = 400,
    tangents: Sequence[float] = (),
    label: str = "",
    title: str = "",
    equal: bool = False,
    ax: Any = None,
) -> Any:
    """The curve of a function, or of a list of them, over an interval, with tangents (their slopes by autograd).

    f: a function of a tensor, applied to all places at once, or the values themselves; a list of these, with a list of
    labels, is drawn in several colours and strokes. x: (low, high), or the places.

    >>> axes = mt.learn.plot.function(mt.sqrt, (0, 4), tangents=[1.0], label="square root")
    """
    axes = axes_of(ax, title)
    several = list(f) if isinstance(f, (list, tuple)) else [f]
    labels = [label] if isinstance(label, str) else list(label)
    labels += [""] * (len(several) - len(labels))
    places = array(x)
    if places.size == 2:
        places = np.linspace(places[0], places[1], n)
    offset = len(axes.lines)
    for k, (g, name) in enumerate(zip(several, labels, strict=False), offset):
        with no_grad():
            y = array(g(from_numpy(places)) if callable(g) else g)
        style = STYLES[k // len(COLOURS) % 4] if k >= len(COLOURS) else STYLES[k % 4]
        axes.plot(places, np.broadcast_to(y, places.shape), style, color=COLOURS[k % len(COLOURS)], lw=2, label=name)
        for k0, x0 in enumerate(tangents):
            at = np.array([float(x0)])
            y0 = float(array(g(from_numpy(at)))[0])
            (slope,) = _slopes(g, at)
            half = (places[-1] - places[0]) / 5
            ends = np.array([x0 - half, x0 + half])
            name = f"slope {slope[0]:.4g} at {x0:g}"
            colour = COLOURS[(len(several) + k0) % len(COLOURS)]
            axes.plot(ends, y0 + slope[0] * (ends - x0), "--", color=colour, lw=1.5, label=name)
            axes.plot([x0], [y0], "o", color=colour)
    axes.grid(alpha=0.3)
    axes.set(xlabel=axes.get_xlabel() or "x", ylabel=axes.get_ylabel() or "y")
    if equal:
        axes.set_aspect("equal")
    if any(line.get_label()[:1] not in ("", "_") for line in axes.lines):
        axes.legend(framealpha=0.8, edgecolor="none")
    bare(axes)
    return axes


def surface(
    f: Any,
    x: Any = (-2, 2),
    y: Any = None,
    *,
    n: int = 60,
    wire: bool = False,
    floor: bool = False,
    view: tuple[float, float] = (30.0, -60.0),
    colour: str = "",
    alpha: float = 1.0,
    title: str = "",
    labels: Sequence[str] = ("x", "y", "z"),
    ax: Any = None,
) -> Any:
    """The surface z = f(x, y) over a rectangle, as coloured faces or a wire frame; `floor` draws level lines below it.

    f: a function of two tensors, applied to all points at once, or the values (rows along y). x, y: (low, high), or
    the places; without y the square of x. view: the height and direction of the eye in degrees. colour: one for all
    heights, where a second surface is drawn into the first one's axes, with an alpha below 1.

    >>> axes = mt.learn.plot.surface(lambda x, y: x**2 - y**2)
    """
    xs, ys = _grid(x, y, n)
    z = _values("surface", f, xs, ys)
    axes = axes_of(ax, title, 5.4, 4.4, projection="3d")
    axes.view_init(*view)
    if wire:
        step = max(1, n // 25)
        axes.plot_wireframe(xs, ys, z, rstride=step, cstride=step, color=colour or BLUE, lw=0.8, alpha=alpha)
    else:
        paint = {"color": colour} if colour else {"cmap": "viridis"}
        axes.plot_surface(xs, ys, z, **paint, alpha=alpha, lw=0.1, edgecolor="#00000030", rcount=n, ccount=n)
    if floor:
        low, high = float(np.nanmin(z)), float(np.nanmax(z))
        bottom = low - 0.35 * (high - low or 1.0)
        axes.contour(xs, ys, z, 12, zdir="z", offset=bottom, cmap="viridis")
        axes.set_zlim(bottom, high)
    axes.set(xlabel=labels[0], ylabel=labels[1], zlabel=labels[2])
    for axis in (axes.xaxis, axes.yaxis, axes.zaxis):
        axis.get_major_locator().set_params(nbins=5)
    axes.set_box_aspect((4, 4, 3), zoom=0.92)  # the height's name stays on the page
    return axes


def levels(
    f: Any,
    x: Any = (-2, 2),
    y: Any = None,
    *,
    n: int = 200,
    levels: Any = 12,
    filled: bool = False,
    numbers: bool = True,
    equal: bool = True,
    title: str = "",
    labels: Sequence[str] = ("x", "y"),
    ax: Any = None,
) -> Any:
    """The level lines of f(x, y) over a rectangle; negative ones dashed. `filled`: the areas between them in colour.

    f, x, y as in `surface`. levels: how many, or the heights themselves.

    >>> axes = mt.learn.plot.levels(lambda x, y: x**2 - y**2, levels=[-1, 0, 1])
    """
    xs, ys = _grid(x, y, n)
    z = _values("levels", f, xs, ys)
    axes = axes_of(ax, title, 5.6, 5.0)
    heights = levels if isinstance(levels, int) else sorted(array(levels).reshape(-1).tolist())
    if float(np.nanmin(z)) == float(np.nanmax(z)):
        axes.text(0.5, 0.5, f"{z.flat[0]:g} everywhere", ha="center", transform=axes.transAxes)
    elif filled:
        drawn = axes.contourf(
            xs, ys, z, heights, cmap="viridis", extend="neither" if isinstance(levels, int) else "both"
        )
        axes.figure.colorbar(drawn, ax=axes, shrink=0.9)
    else:
        drawn = axes.contour(xs, ys, z, heights, colors="#555555", linewidths=1.0)
        if numbers:
            axes.clabel(drawn, fontsize=8, fmt=lambda v: f"{v:.4g}")
    axes.set(xlabel=labels[0], ylabel=labels[1], xlim=(xs.min(), xs.max()), ylim=(ys.min(), ys.max()))
    if equal:
        axes.set_aspect("equal")
    return axes


def gradients(
    f: Callable[..., Any],
    x: Any = (-2, 2),
    y: Any = None,
    *,
    n: int = 15,
    descent: bool = True,
    lines: bool = True,
    title: str = "",
    ax: Any = None,
) -> Any:
    """Arrows along the negative gradient of f, taken by autograd, over its level lines; along the gradient itself if
    not `descent`. The longest is as long as the step of the grid, the others in proportion.

    f: a function of two tensors, applied to all points at once. x, y as in `surface`.

    >>> axes = mt.learn.plot.gradients(lambda x, y: x**2 + 3 * y**2)
    """
    xs, ys = _grid(x, y, n)
    dx, dy = _slopes(f, xs, ys)
    if lines:
        ax = levels(f, x, y, title=title, ax=ax)
    axes = axes_of(ax, title, 5.6, 5.0)
    longest = float(np.nanmax(np.hypot(dx, dy), initial=0.0)) or 1.0
    step = min(abs(xs[0, 1] - xs[0, 0]), abs(ys[1, 0] - ys[0, 0]))
    sign = -step / longest if descent else step / longest
    how = {"angles": "xy", "scale_units": "xy", "scale": 1.0, "width": 0.004, "color": VERMILION, "zorder": 3}
    axes.quiver(xs, ys, sign * dx, sign * dy, **how)
    axes.set(xlabel=axes.get_xlabel() or "x", ylabel=axes.get_ylabel() or "y", aspect="equal")
    return axes


def path(
    points: Any,
    f: Any = None,
    x: Any = None,
    y: Any = None,
    *,
    label: str = "",
    title: str = "",
    ax: Any = None,
) -> Any:
    """The points of a descent, joined by arrows, on the level lines of f; or, if they are numbers, on its curve.

    points: (steps, 2), or (steps,); a second call with `ax` adds another path. f: a function of two tensors (of one),
    or None where the lines are drawn already. x, y: the rectangle; if None, it is taken around the points.

    >>> axes = mt.learn.plot.path([[2.0, 1.0], [1.2, -0.2], [0.7, 0.04]], lambda a, b: a**2 + 3 * b**2)
    """
    p = array(points)
    if p.ndim not in (1, 2) or not p.size or (p.ndim == 2 and p.shape[1] != 2):
        raise ShapeError(f"path: points of shape {p.shape} are neither (steps, 2) nor (steps,)")

    def around(values: Any) -> tuple[float, float]:
        low, high = float(np.nanmin(values)), float(np.nanmax(values))
        room = 0.25 * (high - low) or 1.0
        return low - room, high + room

    if p.ndim == 1:
        if f is None and ax is None:
            raise ArgumentError("path: numbers are drawn on the curve of a function; give it as f")
        if ax is None:
            ax = function(f, around(p) if x is None else x, title=title)
            ax.lines[-1].set_color("#555555")
        with no_grad():
            heights = array(f(from_numpy(p))) if f is not None else np.zeros_like(p)
        p = np.stack([p, heights], 1)
    elif f is not None:
        ax = levels(f, around(p[:, 0]) if x is None else x, around(p[:, 1]) if y is None and x is None else y, ax=ax)
    axes = axes_of(ax, title)
    k = sum(getattr(line, "is_a_path", False) for line in axes.lines)
    colour = (VERMILION, BLUE, *COLOURS[2:])[k % len(COLOURS)]
    (line,) = axes.plot(*p.T, "-", marker=MARKERS[k % len(MARKERS)], color=colour, ms=4, lw=1.0, label=label, zorder=4)
    line.is_a_path = True
    for a, b in pairwise(p[:12]):
        if np.hypot(*(b - a)) > 0:
            axes.annotate("", b, a, arrowprops={"arrowstyle": "->", "color": colour, "lw": 1.2}, zorder=4)
    axes.plot(*p[0], "o", mfc="white", mec=colour, ms=9, zorder=5)
    axes.plot(*p[-1], "*", color=colour, mec="black", ms=12, zorder=5)
    if label:
        axes.legend(frameon=True, framealpha=0.9)
    axes.set(xlabel=axes.get_xlabel() or "x", ylabel=axes.get_ylabel() or "y")
    return axes


def regions(
    f: Any,
    x: Any,
    y: Any = None,
    *,
    points: Any = None,
    labels: Any = None,
    classes: Sequence[str] = (),
    threshold: float = 0.5,
    n: int = 200,
    title: str = "",
    ax: Any = None,
) -> Any:
    """What a classifier answers over a rectangle, with the points that it is to tell apart.

    f: a function (or module) of a tensor (count, 2), which gives (count,) or (count, 1), where a value of `threshold`
    or more is class 1, or (count, classes), where the largest counts. x, y as in `surface`. points: (count, 2), with
    labels (count,), integers; those that are answered wrongly have a red ring.

    >>> axes = mt.learn.plot.regions(lambda p: p[:, 0] * p[:, 1], (-1, 1), threshold=0.0)
    """
    xs, ys = _grid(x, y, n)
    dtype = next((raw(p).dtype for p in f.parameters()), np.float64) if isinstance(f, Module) else np.float64

    def answer(places: Any) -> Any:
        with no_grad():
            out = array(f(from_numpy(np.ascontiguousarray(places, dtype))))
        if out.ndim == 2 and out.shape[1] > 1 and len(out) == len(places):
            return out.argmax(1), out.shape[1]
        if out.size != len(places):
            raise ShapeError(f"regions: answers of shape {out.shape} for {len(places)} points")
        return (out.reshape(-1) >= threshold).astype(int), 2

    said, count = answer(np.stack([xs.ravel(), ys.ravel()], 1))
    axes = axes_of(ax, title, 5.6, 5.0)
    palette = optional("matplotlib.colors").ListedColormap([COLOURS[k % len(COLOURS)] for k in range(count)])
    corner = (xs.min(), xs.max(), ys.min(), ys.max())
    axes.imshow(
        said.reshape(xs.shape), cmap=palette, vmin=-0.5, vmax=count - 0.5, alpha=0.35, extent=corner, origin="lower",
        interpolation="nearest", aspect="auto",
    )  # fmt: skip
    for k in range(count - 1):
        shape = (said.reshape(xs.shape) > k).astype(float)
        if 0 < shape.mean() < 1:
            axes.contour(xs, ys, shape, [0.5], colors="black", linewidths=1.0)
    if points is not None:
        p = array(points)
        if p.ndim != 2 or p.shape[1] != 2:
            raise ShapeError(f"regions: points of shape {p.shape} are not (count, 2)")
        t = np.zeros(len(p), int) if labels is None else np.asarray(raw(labels)).reshape(-1).astype(int)
        if len(t) != len(p):
            raise ShapeError(f"regions: {len(t)} labels for {len(p)} points")
        wrong = answer(p)[0] != t if labels is not None else np.zeros(len(p), bool)
        for k in np.unique(t):
            some = p[t == k]
            name = classes[k] if k < len(classes) else f"class {k}"
            how = {
                "marker": MARKERS[k % len(MARKERS)],
                "color": COLOURS[k % len(COLOURS)],
                "edgecolors": "white",
                "s": 45,
            }
            axes.scatter(*some.T, label=name if labels is not None else None, zorder=3, **how)
        if wrong.any():
            axes.scatter(
                *p[wrong].T, s=150, facecolors="none", edgecolors="red", linewidths=1.5, zorder=4, label="wrong"
            )
        if labels is not None:
            axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))  # beside the points
    axes.set(xlabel="x", ylabel="y", xlim=corner[:2], ylim=corner[2:])
    return axes
