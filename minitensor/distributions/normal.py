"""PyTorch keeps `Normal` in a module of this name."""

from .continuous import Normal

__all__ = ["Normal"]
