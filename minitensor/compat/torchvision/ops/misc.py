"""Blocks that several networks are made of, under torchvision's names of what is inside."""

from __future__ import annotations

import collections.abc
from collections.abc import Callable, Sequence
from typing import Any

from .... import creation, nn
from ....tensor import Tensor

__all__ = [
    "MLP", "Conv2dNormActivation", "Conv3dNormActivation", "FrozenBatchNorm2d", "Permute", "SqueezeExcitation",
    "StochasticDepth", "stochastic_depth",
]  # fmt: skip


class _ConvNormActivation(nn.Sequential):
    """A convolution, a norm and an activation, each of the last two only where it is given.

    Without `padding` the size stays as it is for stride 1; without `bias` there is one where there is no norm.
    """

    kind: Callable[..., Any]
    axes: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any = 3,
        stride: Any = 1,
        padding: Any = None,
        groups: int = 1,
        norm_layer: Any = nn.BatchNorm2d,
        activation_layer: Any = nn.ReLU,
        dilation: Any = 1,
        inplace: bool | None = True,
        bias: bool | None = None,
    ) -> None:
        if padding is None:
            spread = [
                v if isinstance(v, collections.abc.Sequence) else (v,) * self.axes for v in (kernel_size, dilation)
            ]
            padding = tuple([(k - 1) // 2 * d for k, d in zip(*spread, strict=True)])
        bias = norm_layer is None if bias is None else bias
        how = {"dilation": dilation, "groups": groups, "bias": bias}
        layers = [type(self).kind(in_channels, out_channels, kernel_size, stride, padding, **how)]
        if norm_layer is not None:
            layers.append(norm_layer(out_channels))
        if activation_layer is not None:
            layers.append(activation_layer(**({} if inplace is None else {"inplace": inplace})))
        super().__init__(*layers)
        self.out_channels = out_channels


class Conv2dNormActivation(_ConvNormActivation):
    """A convolution of pictures, a norm and an activation."""

    kind, axes = nn.Conv2d, 2


class Conv3dNormActivation(_ConvNormActivation):
    """A convolution of volumes, a norm and an activation."""

    kind, axes = nn.Conv3d, 3


class SqueezeExcitation(nn.Module):
    """Each channel times a number between 0 and 1 that the means of all channels decide (Hu et al., 2018)."""

    def __init__(
        self, input_channels: int, squeeze_channels: int, activation: Any = nn.ReLU, scale_activation: Any = nn.Sigmoid
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation, self.scale_activation = activation(), scale_activation()

    def forward(self, input: Tensor) -> Any:
        """Shapes (N, C, H, W), in and out."""
        return self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(input))))) * input


class MLP(nn.Sequential):
    """Linear layers with a norm, an activation and a dropout between them, and a dropout at the end."""

    def __init__(
        self,
        in_channels: int,
        hidden_channels: Sequence[int],
        norm_layer: Any = None,
        activation_layer: Any = nn.ReLU,
        inplace: bool | None = None,
        bias: bool = True,
        dropout: float = 0.0,
    ) -> None:
        how = {} if inplace is None else {"inplace": inplace}
        layers: list[Any] = []
        for k, width in enumerate(hidden_channels):
            layers.append(nn.Linear(in_channels, width, bias=bias))
            if k < len(hidden_channels) - 1:
                layers += [] if norm_layer is None else [norm_layer(width)]
                layers.append(activation_layer(**how))
            layers.append(nn.Dropout(dropout, **how))
            in_channels = width
        super().__init__(*layers)


class Permute(nn.Module):
    """The axes in another order."""

    def __init__(self, dims: Sequence[int]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Any:
        """x.permute(dims)."""
        return x.permute(*self.dims)


class FrozenBatchNorm2d(nn.Module):
    """A batch norm whose statistics and weights are constants."""

    def __init__(self, num_features: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.register_buffer("weight", creation.ones(num_features))
        self.register_buffer("bias", creation.zeros(num_features))
        self.register_buffer("running_mean", creation.zeros(num_features))
        self.register_buffer("running_var", creation.ones(num_features))

    def forward(self, x: Any) -> Any:
        """Shapes (N, C, H, W), in and out."""
        w, b, mean, var = (
            v.reshape(1, -1, 1, 1) for v in (self.weight, self.bias, self.running_mean, self.running_var)
        )
        scale = w * (var + self.eps).rsqrt()
        return x * scale + (b - mean * scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.weight.shape[0]}, eps={self.eps})"


def stochastic_depth(input: Any, p: float, mode: str, training: bool = True) -> Any:
    """In training, with probability p, 0 instead of the input: the whole of it ("batch"), or each example ("row").

    What stays is divided by 1 - p (Huang et al., 2016).
    """
    if not 0 <= p <= 1:
        raise ValueError(f"stochastic_depth: p is a probability, not {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"stochastic_depth: mode is 'batch' or 'row', not {mode!r}")
    if not training or p == 0:
        return input
    kept = 1 - p
    shape = [input.shape[0] if mode == "row" else 1] + [1] * (input.ndim - 1)
    noise = creation.empty(shape, dtype=input.dtype).bernoulli_(kept)
    return input * (noise.div_(kept) if kept > 0 else noise)


class StochasticDepth(nn.Module):
    """`stochastic_depth` as a layer."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, input: Any) -> Any:
        """The input, or 0 in its place."""
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, mode={self.mode})"
