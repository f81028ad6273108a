"""Seeing what a network does."""

from . import layout, plot
from .counting import Count, count
from .drawing import Drawing, draw
from .watching import box, watch

__all__ = ["Count", "Drawing", "box", "count", "draw", "layout", "plot", "watch"]
