"""Linear algebra under PyTorch's names: each is an operator of `minitensor.ops`."""

from __future__ import annotations

from .ops.einsum import multi_dot, tensordot

__all__ = ["multi_dot", "tensordot"]
