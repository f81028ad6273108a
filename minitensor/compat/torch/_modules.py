"""torch.nn.modules: the classes of `minitensor.nn`; the files in which PyTorch has them are in `_files`."""

from __future__ import annotations

from ... import nn
from ...nn import *  # noqa: F403

__all__ = [name for name in nn.__all__ if isinstance(getattr(nn, name), type)]
