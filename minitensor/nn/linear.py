"""Linear layers, and layers that only change the shape."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from .. import creation
from ..errors import ShapeError
from . import functional as F
from . import init
from .module import Module
from .parameter import Parameter


def whole(layer: str, what: str, value: Any, least: int = 1) -> int:
    """A size that a layer is given, checked."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{layer}: {what} must be an integer, not {value!r}")
    n = int(value.__index__())
    if n < least:
        raise ShapeError(f"{layer}: {what} must be at least {least}, not {n}")
    return n


class Linear(Module):
    """The affine map y = x W^T + b.

    Shapes: input (..., in_features), output (..., out_features), weight (out_features,
    in_features), bias (out_features). Both start uniform within 1 / sqrt(in_features).
    Source: Y. LeCun et al., "Efficient BackProp" (1998), for the bound.

    >>> layer = mt.nn.Linear(3, 2)
    >>> layer(mt.zeros(5, 3)).shape
    minitensor.Size([5, 2])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_features = whole("Linear", "in_features", in_features, 0)
        self.out_features = whole("Linear", "out_features", out_features, 0)
        shape = (self.out_features, self.in_features)
        self.weight = Parameter(creation.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(creation.empty(self.out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        reset_affine(self.weight, self.bias)

    def forward(self, input: Any) -> Any:
        """`input` (..., in_features) -> (..., out_features)."""
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        sizes = f"in_features={self.in_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


class NonDynamicallyQuantizableLinear(Linear):
    """The `Linear` at the end of attention, under the name by which PyTorch prints it."""


class Bilinear(Module):
    """The bilinear map y_o = x1^T W_o x2 + b_o.

    Shapes: inputs (..., in1_features) and (..., in2_features), output (..., out_features), weight (out_features,
    in1_features, in2_features), bias (out_features). Both start uniform within 1 / sqrt(in1_features).

    >>> mt.nn.Bilinear(3, 4, 2)(mt.zeros(5, 3), mt.zeros(5, 4)).shape
    minitensor.Size([5, 2])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in1_features: int,
        in2_features: int,
        out_features: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in1_features = whole("Bilinear", "in1_features", in1_features)
        self.in2_features = whole("Bilinear", "in2_features", in2_features, 0)
        self.out_features = whole("Bilinear", "out_features", out_features, 0)
        shape = (self.out_features, self.in1_features, self.in2_features)
        self.weight = Parameter(creation.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(creation.empty(self.out_features, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        bound = 1 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1: Any, input2: Any) -> Any:
        """`input1` (..., in1_features), `input2` (..., in2_features) -> (..., out_features)."""
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        """The sizes."""
        sizes = f"in1_features={self.in1_features}, in2_features={self.in2_features}, out_features={self.out_features}"
        return f"{sizes}, bias={self.bias is not None}"


def reset_affine(weight: Any, bias: Any) -> None:
    """How linear layers and convolutions start: uniform within 1 / sqrt(fan_in), both."""
    init.kaiming_uniform_(weight, a=math.sqrt(5))
    if bias is not None:
        fan_in, _ = init.fans(weight)
        bound = 1 / math.sqrt(fan_in) if fan_in > 0 else 0
        init.uniform_(bias, -bound, bound)


class Identity(Module):
    """Returns its input; takes any arguments, so that it can stand in for any layer.

    >>> mt.nn.Identity(3, bias=True)(mt.ones(2))
    tensor([1., 1.])
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__()

    def forward(self, input: Any) -> Any:
        """The input."""
        return input


class Flatten(Module):
    """Joins the axes from `start_dim` to `end_dim` into one: by default all but the batch.

    >>> mt.nn.Flatten()(mt.zeros(5, 2, 3)).shape
    minitensor.Size([5, 6])
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        super().__init__()
        self.start_dim = start_dim
        self.end_dim = end_dim

    def forward(self, input: Any) -> Any:
        """`input` (N, *) -> (N, the product of *)."""
        return F.flatten(input, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        """The axes."""
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits the axis `dim` into several, of the sizes `unflattened_size`.

    >>> mt.nn.Unflatten(1, (2, 3))(mt.zeros(5, 6)).shape
    minitensor.Size([5, 2, 3])
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]) -> None:
        super().__init__()
        self.dim = dim
        self.unflattened_size = tuple(unflattened_size)

    def forward(self, input: Any) -> Any:
        """`input` with one axis as several."""
        return F.unflatten(input, self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        """The axis and its sizes."""
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"
