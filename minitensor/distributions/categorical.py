"""PyTorch keeps `Categorical` in a module of this name."""

from .discrete import Categorical

__all__ = ["Categorical"]
