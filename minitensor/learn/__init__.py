"""Seeing what a network does."""

from . import plot
from .counting import Count, count

__all__ = ["Count", "count", "plot"]
