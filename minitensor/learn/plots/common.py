"""What all pictures share: figures, colours, the values of tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...datasets.store import optional
from ...ops.common import raw

BLUE, VERMILION = "#0072B2", "#D55E00"
COLOURS = (BLUE, VERMILION, "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000", "#B8A800")  # of classes and curves
STYLES = ("-", "--", "-.", ":")
MARKERS = "os^DvPX*<"  # one more than colours: pairs repeat after 72 only


def figure(width: float, height: float) -> Any:
    """An empty figure of a size in inches, whose parts arrange themselves.

    >>> axes = mt.learn.plot.figure(4, 3).subplots()
    """
    return optional("matplotlib.figure").Figure((width, height), dpi=120, layout="constrained")


def save(axes: Any, path: Any) -> Path:
    """Writes the picture that the axes belong to; returns the path. The format is that of the name's end.

    >>> str(mt.learn.plot.save(mt.learn.plot.function(mt.sin, (0, 6)), "sin.png"))
    'sin.png'
    """
    first = np.asarray(axes, object).reshape(-1)[0]
    first.figure.savefig(path)
    return Path(path)


def axes_of(ax: Any, title: str, width: float = 5.6, height: float = 4.2, **how: Any) -> Any:
    """The axes to draw into, new ones if none are given."""
    if ax is None:
        ax = figure(width, height).add_subplot(**how)
    if title:
        ax.set_title(title)
    return ax


def array(x: Any) -> Any:
    """The values of a tensor or whatever is like an array, in double precision."""
    return np.asarray(raw(x), float)


def bare(axes: Any) -> None:
    """Takes away the frame's upper and right side, which carry nothing."""
    axes.spines[["top", "right"]].set_visible(False)
