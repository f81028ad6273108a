"""PyTorch keeps `Multinomial` in a module of this name."""

from .discrete import Multinomial

__all__ = ["Multinomial"]
