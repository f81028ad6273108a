"""Helpers around the training loop."""

from . import checkpoint, data, dlpack, invertible

__all__ = ["checkpoint", "data", "dlpack", "invertible"]
