"""Distances and angles between vectors."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .module import Module


class PairwiseDistance(Module):
    """The p-norm of x1 - x2 + eps along the last axis: (N, D) and (N, D) to (N), or (N, 1) with `keepdim`.

    >>> mt.nn.PairwiseDistance(p=1, eps=0)(mt.zeros(1, 2), mt.tensor([[3.0, 4.0]]))
    tensor([7.])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> None:
        super().__init__()
        self.norm = p
        self.eps = eps
        self.keepdim = keepdim

    def forward(self, x1: Any, x2: Any) -> Any:
        """`x1`, `x2` (N, D) -> (N)."""
        return F.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along `dim`: x1 . x2 / (max(|x1|, eps) max(|x2|, eps)).

    >>> mt.nn.CosineSimilarity()(mt.tensor([[1.0, 0.0]]), mt.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8) -> None:
        super().__init__()
        self.dim = dim
        self.eps = eps

    def forward(self, x1: Any, x2: Any) -> Any:
        """`x1`, `x2` with vectors along `dim` -> their shape without it."""
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
