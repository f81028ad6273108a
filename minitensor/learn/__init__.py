"""Seeing what a network does."""

from . import plot

__all__ = ["plot"]
