"""Helpers around the training loop."""

from . import data, dlpack

__all__ = ["data", "dlpack"]
