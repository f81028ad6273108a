"""The face `torchvision`: data sets, transforms of pictures and grids of them, networks and their operators.

Transforms draw as torchvision's do, so that the same seed gives the same pictures.
"""

from . import datasets, models, ops, transforms, utils

__all__ = ["__version__", "datasets", "models", "ops", "transforms", "utils"]

__version__ = "0.28.0+cpu"
