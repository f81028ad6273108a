"""Activation functions as layers: each is the function of its name, element by element."""

from __future__ import annotations

from typing import Any

from .. import creation
from ..errors import ShapeError
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


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


class ELU(_InPlace):
    """x for x > 0, else alpha (e^x - 1).

    Source: D. Clevert, T. Unterthiner, S. Hochreiter, "Fast and accurate deep network learning by ELUs" (2016).

    >>> mt.nn.ELU()(mt.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.elu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """The depth."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class SELU(_InPlace):
    """`ELU` scaled so that mean 0 and variance 1 are kept from layer to layer.

    Source: G. Klambauer et al., "Self-normalizing neural networks" (2017).

    >>> mt.nn.SELU()(mt.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.selu(input, self.inplace)


class CELU(_InPlace):
    """`ELU` with a continuous derivative for every alpha: alpha (e^(x / alpha) - 1) for x <= 0.

    Source: J. Barron, "Continuously differentiable exponential linear units" (2017).

    >>> mt.nn.CELU(2.0)(mt.tensor([-1.0, 2.0]))
    tensor([-0.7869,  2.0000])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.alpha = alpha

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.celu(input, self.alpha, self.inplace)

    def extra_repr(self) -> str:
        """The depth."""
        return f"alpha={self.alpha}" + (", inplace=True" if self.inplace else "")


class ReLU6(_InPlace):
    """x clamped to [0, 6].

    >>> mt.nn.ReLU6()(mt.tensor([-1.0, 8.0]))
    tensor([0., 6.])
    """

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.relu6(input, self.inplace)


class RReLU(_InPlace):
    """`LeakyReLU` with a slope drawn for each element while training, then their mean.

    Source: B. Xu et al., "Empirical evaluation of rectified activations in convolution network" (2015).

    >>> mt.nn.RReLU().eval()(mt.tensor([-48.0, 2.0]))
    tensor([-11.,   2.])
    """

    def __init__(self, lower: float = 1.0 / 8, upper: float = 1.0 / 3, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.lower = lower
        self.upper = upper

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.rrelu(input, self.lower, self.upper, self.training, self.inplace)

    def extra_repr(self) -> str:
        """The range of the slopes."""
        return f"lower={self.lower}, upper={self.upper}" + (", inplace=True" if self.inplace else "")


class Hardtanh(_InPlace):
    """x clamped to [min_val, max_val].

    >>> mt.nn.Hardtanh()(mt.tensor([-2.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.min_val = min_val
        self.max_val = max_val

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.hardtanh(input, self.min_val, self.max_val, self.inplace)

    def extra_repr(self) -> str:
        """The ends."""
        return f"min_val={self.min_val}, max_val={self.max_val}" + (", inplace=True" if self.inplace else "")


class Hardsigmoid(_InPlace):
    """A sigmoid made of lines: min(max(x + 3, 0), 6) / 6.

    >>> mt.nn.Hardsigmoid()(mt.tensor([-4.0, 1.5]))
    tensor([0.0000, 0.7500])
    """

    def extra_repr(self) -> str:
        """Nothing, as PyTorch has it."""
        return ""

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.hardsigmoid(input, self.inplace)


class Hardswish(_InPlace):
    """x min(max(x + 3, 0), 6) / 6.

    Source: A. Howard et al., "Searching for MobileNetV3" (2019).

    >>> mt.nn.Hardswish()(mt.tensor([1.0, 4.0]))
    tensor([0.6667, 4.0000])
    """

    def extra_repr(self) -> str:
        """Nothing, as PyTorch has it."""
        return ""

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.hardswish(input, self.inplace)


class Mish(_InPlace):
    """x tanh(softplus(x)).

    Source: D. Misra, "Mish: a self regularized non-monotonic activation function" (2019).

    >>> mt.nn.Mish()(mt.tensor([-1.0, 1.0]))
    tensor([-0.3034,  0.8651])
    """

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.mish(input, self.inplace)


class Threshold(_InPlace):
    """x where it is above the threshold, else the value.

    >>> mt.nn.Threshold(1.0, 20.0)(mt.tensor([0.0, 2.0]))
    tensor([20.,  2.])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False) -> None:
        super().__init__(inplace)
        self.threshold = threshold
        self.value = value

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.threshold(input, self.threshold, self.value, self.inplace)

    def extra_repr(self) -> str:
        """The two parameters."""
        return f"threshold={self.threshold}, value={self.value}" + (", inplace=True" if self.inplace else "")


class Hardshrink(Module):
    """0 from -lambd to lambd, else x.

    >>> mt.nn.Hardshrink()(mt.tensor([-1.0, 0.3]))
    tensor([-1.,  0.])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The half-width."""
        return str(self.lambd)


class Softshrink(Module):
    """x nearer to 0 by lambd, and not beyond.

    >>> mt.nn.Softshrink()(mt.tensor([-1.0, 0.3]))
    tensor([-0.5000,  0.0000])
    """

    def __init__(self, lambd: float = 0.5) -> None:
        super().__init__()
        self.lambd = lambd

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        """The half-width."""
        return str(self.lambd)


class Tanhshrink(Module):
    """x - tanh(x).

    >>> mt.nn.Tanhshrink()(mt.tensor([0.0, 1.0]))
    tensor([0.0000, 0.2384])
    """

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.tanhshrink(input)


class Softsign(Module):
    """x / (1 + |x|).

    >>> mt.nn.Softsign()(mt.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.softsign(input)


class GLU(Module):
    """One half of the input times the sigmoid of the other, along the axis `dim`, which halves it.

    Source: Y. Dauphin et al., "Language modeling with gated convolutional networks" (2017).

    >>> mt.nn.GLU()(mt.tensor([1.0, 2.0, 0.0, 0.0]))
    tensor([0.5000, 1.0000])
    """

    def __init__(self, dim: int = -1) -> None:
        super().__init__()
        self.dim = dim

    def forward(self, input: Any) -> Any:
        """Halves one axis."""
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        """The axis."""
        return f"dim={self.dim}"


class PReLU(Module):
    """`LeakyReLU` whose slope is learned: one, or one for each channel, which is axis 1.

    `weight` (num_parameters) starts at `init`. Source: K. He et al., "Delving deep into rectifiers" (2015).

    >>> mt.nn.PReLU()(mt.tensor([-1.0, 2.0])).tolist()
    [-0.25, 2.0]
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, device: Any = None, dtype: Any = None) -> None:
        super().__init__()
        self.num_parameters = num_parameters
        self.init = init
        self.weight = Parameter(creation.empty(num_parameters, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets every slope to `init`."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Any) -> Any:
        """Element by element."""
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        """How many slopes there are."""
        return f"num_parameters={self.num_parameters}"


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


class Softmin(_Along):
    """`Softmax` of the negative.

    >>> mt.nn.Softmin(dim=0)(mt.zeros(4))
    tensor([0.2500, 0.2500, 0.2500, 0.2500])
    """

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.softmin(input, self.dim)


class Softmax2d(Module):
    """`Softmax` over the channels of each pixel: input (N, C, H, W) or (C, H, W).

    >>> mt.nn.Softmax2d()(mt.zeros(2, 1, 1)).flatten()
    tensor([0.5000, 0.5000])
    """

    def forward(self, input: Any) -> Any:
        """Keeps the shape; raises ShapeError for other than 3 or 4 axes."""
        if input.ndim not in (3, 4):
            raise ShapeError(f"Softmax2d: expected (N, C, H, W) or (C, H, W), got {tuple(input.shape)}")
        return F.softmax(input, -3)
