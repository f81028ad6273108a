"""Helpers around the training loop."""

from . import data

__all__ = ["data"]
