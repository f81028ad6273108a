"""Convolution layers."""

from __future__ import annotations

from typing import Any

from .. import creation
from ..errors import ShapeError
from . import functional as F
from .linear import reset_affine, whole
from .module import Module
from .parameter import Parameter


def pair(layer: str, what: str, value: Any, least: int) -> tuple[int, int]:
    """One size for both axes, or one for each, checked."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(both) != 2:
        raise ShapeError(f"{layer}: {what} must be one integer or two, not {value!r}")
    return whole(layer, what, both[0], least), whole(layer, what, both[1], least)


class Conv2d(Module):
    """Cross-correlation of a picture's channels with learned kernels, plus a bias.

    Shapes: input (N, in_channels, H, W) or without N; output (N, out_channels, H', W'), where
    H' = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1; weight (out_channels,
    in_channels / groups, kH, kW); bias (out_channels). `padding` may be "valid" (none) or "same"
    (H' = H, for stride 1). Both start uniform within 1 / sqrt(in_channels / groups * kH * kW).
    Raises ShapeError for channels that the groups do not divide and for a padding_mode other than
    "zeros".
    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016).

    >>> layer = mt.nn.Conv2d(1, 8, kernel_size=3, padding=1)
    >>> layer(mt.zeros(2, 1, 28, 28)).shape
    minitensor.Size([2, 8, 28, 28])
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.in_channels = whole("Conv2d", "in_channels", in_channels)
        self.out_channels = whole("Conv2d", "out_channels", out_channels)
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size, 1)
        self.stride = pair("Conv2d", "stride", stride, 1)
        self.padding = padding if isinstance(padding, str) else pair("Conv2d", "padding", padding, 0)
        self.dilation = pair("Conv2d", "dilation", dilation, 1)
        self.groups = whole("Conv2d", "groups", groups)
        self.padding_mode = padding_mode
        self._check()
        shape = (self.out_channels, self.in_channels // self.groups, *self.kernel_size)
        self.weight = Parameter(creation.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(creation.empty(self.out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check(self) -> None:
        for what, channels in (("in", self.in_channels), ("out", self.out_channels)):
            if channels % self.groups:
                raise ShapeError(f"Conv2d: {what}_channels {channels} is not divisible by groups {self.groups}")
        if isinstance(self.padding, str) and self.padding not in ("same", "valid"):
            raise ShapeError(f"Conv2d: padding must be integers, 'same' or 'valid', not {self.padding!r}")
        if self.padding == "same" and self.stride != (1, 1):
            raise ShapeError(f"Conv2d: padding 'same' needs stride 1, not {self.stride}")
        if self.padding_mode != "zeros":
            raise ShapeError(f"Conv2d: padding_mode {self.padding_mode!r} is not available, only 'zeros'")

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        reset_affine(self.weight, self.bias)

    def forward(self, input: Any) -> Any:
        """`input` (N, in_channels, H, W) -> (N, out_channels, H', W')."""
        return F.conv2d(input, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        """The sizes, and what is not the default."""
        parts = [
            str(self.in_channels),
            str(self.out_channels),
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        if self.padding != (0, 0):
            parts.append(f"padding={self.padding}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)
