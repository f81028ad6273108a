"""The face `torchvision`: the data sets of `minitensor.datasets`, transforms of pictures and grids of them.

Transforms draw as torchvision's do, so that the same seed gives the same pictures.
"""

from . import datasets, transforms, utils

__all__ = ["__version__", "datasets", "transforms", "utils"]

__version__ = "0.28.0+cpu"
