"""Dropout layers: off in evaluation."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from . import functional as F
from .module import Module


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False) -> None:
        super().__init__()
        if not 0 <= p <= 1:
            raise ShapeError(f"{self._get_name()}: p must lie in [0, 1], not {p}")
        self.p = p
        self.inplace = inplace

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, sets each element to 0 with probability p and divides the others by 1 - p.

    Source: N. Srivastava et al., "Dropout: a simple way to prevent neural networks from
    overfitting" (2014).

    >>> layer = mt.nn.Dropout(0.5)
    >>> sorted(set(layer(mt.ones(100)).tolist()))
    [0.0, 2.0]
    >>> layer.eval()(mt.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.dropout(input, self.p, self.training, self.inplace)


class Dropout1d(_Dropout):
    """In training, drops whole channels, as `Dropout` does elements.

    Shapes: input (N, C, L) or (C, L).

    >>> mt.nn.Dropout1d(0.5)(mt.ones(2, 3, 4)).shape
    minitensor.Size([2, 3, 4])
    """

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.dropout1d(input, self.p, self.training, self.inplace)


class Dropout2d(_Dropout):
    """In training, drops whole channels, as `Dropout` does elements.

    Shapes: input (N, C, H, W).

    >>> mt.nn.Dropout2d(0.5)(mt.ones(2, 3, 4, 4)).shape
    minitensor.Size([2, 3, 4, 4])
    """

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.dropout2d(input, self.p, self.training, self.inplace)


class Dropout3d(_Dropout):
    """In training, drops whole channels, as `Dropout` does elements.

    Shapes: input (N, C, D, H, W) or (C, D, H, W).

    >>> mt.nn.Dropout3d(0.5)(mt.ones(2, 3, 4, 4, 4)).shape
    minitensor.Size([2, 3, 4, 4, 4])
    """

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.dropout3d(input, self.p, self.training, self.inplace)


class AlphaDropout(_Dropout):
    """Dropout for networks of `SELU`, in training: it keeps mean 0 and variance 1; see `minitensor.alpha_dropout`.

    Source: G. Klambauer et al., "Self-normalizing neural networks" (2017).

    >>> mt.nn.AlphaDropout(0.5).eval()(mt.ones(3))
    tensor([1., 1., 1.])
    """

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.alpha_dropout(input, self.p, self.training, self.inplace)


class FeatureAlphaDropout(_Dropout):
    """As `AlphaDropout`, for whole channels.

    Shapes: input (N, C, *).

    >>> mt.nn.FeatureAlphaDropout(0.5)(mt.ones(2, 3, 4)).shape
    minitensor.Size([2, 3, 4])
    """

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.feature_alpha_dropout(input, self.p, self.training, self.inplace)
