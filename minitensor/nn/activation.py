"""Activation functions as layers: each is the function of its name, element by element."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .module import Module


class _InPlace(Module):
    """An activation that may write its result into its input."""

    def __init__(self, inplace: bool = False) -> None:
        super().__init__()
        self.inplace = inplace

    def extra_repr(self) -> str:
        """Whether it writes into its input."""
        return "inplace=True" if self.inplace else ""


class ReLU(_InPlace):
    """max(x, 0).

    >>> mt.nn.ReLU()(mt.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.relu(input, self.inplace)


class SiLU(_InPlace):
    """x sigmoid(x).

    Source: S. Elfwing, E. Uchibe, K. Doya, "Sigmoid-weighted linear units" (2018).

    >>> mt.nn.SiLU()(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7311])
    """

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.silu(input, self.inplace)


class LeakyReLU(_InPlace):
    """x for x > 0, else `negative_slope` x.

    >>> mt.nn.LeakyReLU(0.1)(mt.tensor([-1.0, 2.0]))
    tensor([-0.1000,  2.0000])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.negative_slope = negative_slope

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.leaky_relu(input, self.negative_slope, self.inplace)

    def extra_repr(self) -> str:
        """The slope."""
        return f"negative_slope={self.negative_slope}" + (", inplace=True" if self.inplace else "")


class GELU(Module):
    """x times the normal distribution function of x; `approximate="tanh"` takes a formula for it.

    Source: D. Hendrycks, K. Gimpel, "Gaussian error linear units" (2016).

    >>> mt.nn.GELU()(mt.tensor([-1.0, 1.0]))
    tensor([-0.1587,  0.8413])
    """

    def __init__(self, approximate: str = "none") -> None:
        super().__init__()
        self.approximate = approximate

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.gelu(input, approximate=self.approximate)

    def extra_repr(self) -> str:
        """The formula."""
        return f"approximate={self.approximate!r}"


class Tanh(Module):
    """tanh(x).

    >>> mt.nn.Tanh()(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.tanh(input)


class Sigmoid(Module):
    """1 / (1 + exp(-x)).

    >>> mt.nn.Sigmoid()(mt.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.sigmoid(input)


class LogSigmoid(Module):
    """log(1 / (1 + exp(-x))), also where the sigmoid itself would be 0.

    >>> mt.nn.LogSigmoid()(mt.tensor([-200.0, 0.0]))
    tensor([-200.0000,   -0.6931])
    """

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.logsigmoid(input)


class Softplus(Module):
    """log(1 + exp(beta x)) / beta; x itself where beta x > threshold.

    >>> mt.nn.Softplus()(mt.tensor([0.0, 100.0]))
    tensor([  0.6931, 100.0000])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0) -> None:
        super().__init__()
        self.beta = beta
        self.threshold = threshold

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        """The two parameters."""
        return f"beta={self.beta}, threshold={self.threshold}"


class _Along(Module):
    """An activation along one axis."""

    def __init__(self, dim: int | None = None) -> None:
        super().__init__()
        self.dim = dim

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class Softmax(_Along):
    """exp(x_i) / sum_j exp(x_j) along the axis `dim`.

    >>> mt.nn.Softmax(dim=0)(mt.zeros(4))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.softmax(input, self.dim)


class LogSoftmax(_Along):
    """The logarithm of `Softmax`.

    >>> mt.nn.LogSoftmax(dim=0)(mt.zeros(4))
    tensor([-1.3863, -1.3863, -1.3863, -1.3863])
    """

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.log_softmax(input, self.dim)
