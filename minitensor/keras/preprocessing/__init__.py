"""Data made ready for a model."""

from . import image

__all__ = ["image"]
