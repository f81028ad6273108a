"""Convolution layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .. import creation
from ..errors import ShapeError
from ..ops.common import shape_of
from . import functional as F
from .linear import reset_affine, whole
from .module import Module
from .parameter import Parameter


def several(layer: str, what: str, value: Any, least: int, axes: int) -> tuple[int, ...]:
    """One size for all axes, or one for each, checked."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,) * axes
    if len(given) != axes:
        raise ShapeError(f"{layer}: {what} must be one integer{('', ' or two', ' or three')[axes - 1]}, not {value!r}")
    return tuple([whole(layer, what, n, least) for n in given])


class _ConvNd(Module):
    """What all convolutions share: sizes, parameters, how they print."""

    weight: Parameter
    bias: Parameter | None
    _axes = 0  # of a picture; 0: as many as `kernel_size` says

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any,
        padding: Any,
        dilation: Any,
        transposed: bool,
        output_padding: Any,
        groups: int,
        bias: bool,
        padding_mode: str,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        name, axes = self._get_name(), self._axes or len(kernel_size)
        if not self._axes:
            self._axes = axes
        self.in_channels = whole(name, "in_channels", in_channels)
        self.out_channels = whole(name, "out_channels", out_channels)
        self.kernel_size = several(name, "kernel_size", kernel_size, 1, axes)
        self.stride = several(name, "stride", stride, 1, axes)
        self.padding: Any = padding if isinstance(padding, str) else several(name, "padding", padding, 0, axes)
        self.dilation = several(name, "dilation", dilation, 1, axes)
        self.transposed = transposed
        self.output_padding = several(name, "output_padding", output_padding, 0, axes)
        self.groups = whole(name, "groups", groups)
        self.padding_mode = padding_mode
        self._check(name)
        channels = (self.in_channels, self.out_channels) if self.transposed else (self.out_channels, self.in_channels)
        shape = (channels[0], channels[1] // self.groups, *self.kernel_size)
        self.weight = Parameter(creation.empty(shape, device=device, dtype=dtype))
        if bias:
            self.bias = Parameter(creation.empty(self.out_channels, device=device, dtype=dtype))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def _check(self, name: str) -> None:
        for what, channels in (("in", self.in_channels), ("out", self.out_channels)):
            if channels % self.groups:
                raise ShapeError(f"{name}: {what}_channels {channels} is not divisible by groups {self.groups}")
        if isinstance(self.padding, str) and (self.transposed or self.padding not in ("same", "valid")):
            words = "integers" if self.transposed else "integers, 'same' or 'valid'"
            raise ShapeError(f"{name}: padding must be {words}, not {self.padding!r}")
        if self.padding == "same" and set(self.stride) != {1}:
            raise ShapeError(f"{name}: padding 'same' needs stride 1, not {self.stride}")
        modes = ("zeros",) if self.transposed else ("zeros", "reflect", "replicate", "circular")
        if self.padding_mode not in modes:
            listed = " or ".join(map(repr, modes))
            raise ShapeError(f"{name}: padding_mode must be {listed}, not {self.padding_mode!r}")

    def reset_parameters(self) -> None:
        """Draws the parameters anew."""
        reset_affine(self.weight, self.bias)

    def _padded(self, input: Any) -> tuple[Any, Any]:
        """The input and the padding that is left to the convolution: none, where padding is not by zeros."""
        if self.padding_mode == "zeros":
            return input, self.padding
        widths: list[int] = []
        for i in reversed(range(self._axes)):
            if isinstance(self.padding, str):
                total = self.dilation[i] * (self.kernel_size[i] - 1) if self.padding == "same" else 0
                widths += [total // 2, total - total // 2]
            else:
                widths += [self.padding[i]] * 2
        return F.pad(input, widths, mode=self.padding_mode), 0

    def extra_repr(self) -> str:
        """The sizes, and what is not the default."""
        none, one = (0,) * self._axes, (1,) * self._axes
        parts = [
            str(self.in_channels),
            str(self.out_channels),
            f"kernel_size={self.kernel_size}",
            f"stride={self.stride}",
        ]
        if self.padding != none:
            parts.append(f"padding={self.padding}")
        if self.dilation != one:
            parts.append(f"dilation={self.dilation}")
        if self.output_padding != none:
            parts.append(f"output_padding={self.output_padding}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Forward(_ConvNd):
    """Conv1d, Conv2d, Conv3d."""

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
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            False,
            0,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )


class _Transposed(_ConvNd):
    """ConvTranspose1d, ConvTranspose2d, ConvTranspose3d."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        output_padding: Any = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: Any = 1,
        padding_mode: str = "zeros",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            True,
            output_padding,
            groups,
            bias,
            padding_mode,
            device,
            dtype,
        )

    def _more(self, input: Any, output_size: Sequence[int] | None) -> tuple[int, ...]:
        """The output padding that gives the size asked for."""
        if output_size is None:
            return self.output_padding
        have = shape_of(input)[-self._axes :]
        wanted = tuple(output_size)[-self._axes :]
        steps = zip(have, self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in steps]
        fits = zip(wanted, least, self.stride, strict=True)
        if len(wanted) < self._axes or any(not n <= want < n + s for want, n, s in fits):
            most = tuple([n + s - 1 for n, s in zip(least, self.stride, strict=True)])
            raise ShapeError(
                f"{self._get_name()}: output_size {tuple(output_size)} must lie between {tuple(least)} and {most}"
            )
        return tuple([want - n for want, n in zip(wanted, least, strict=True)])


class Conv1d(_Forward):
    """Cross-correlation of a sequence's channels with learned kernels, plus a bias.

    Shapes: input (N, in_channels, L) or without N; output (N, out_channels, L'), where
    L' = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1; weight (out_channels,
    in_channels / groups, k); bias (out_channels). `padding` may be "valid" (none) or "same"
    (L' = L, for stride 1), `padding_mode` "zeros", "reflect", "replicate" or "circular". Both start
    uniform within 1 / sqrt(in_channels / groups * k).
    Raises ShapeError for channels that the groups do not divide and for an unknown padding_mode.
    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016).

    >>> layer = mt.nn.Conv1d(1, 8, kernel_size=3, padding=1)
    >>> layer(mt.zeros(2, 1, 28)).shape
    minitensor.Size([2, 8, 28])
    """

    _axes = 1

    def forward(self, input: Any) -> Any:
        """`input` (N, in_channels, L) -> (N, out_channels, L')."""
        x, padding = self._padded(input)
        return F.conv1d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv2d(_Forward):
    """Cross-correlation of a picture's channels with learned kernels, plus a bias.

    Shapes: input (N, in_channels, H, W) or without N; output (N, out_channels, H', W'), where
    H' = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1; weight (out_channels,
    in_channels / groups, kH, kW); bias (out_channels). `padding` may be "valid" (none) or "same"
    (H' = H, for stride 1), `padding_mode` "zeros", "reflect", "replicate" or "circular". Both start
    uniform within 1 / sqrt(in_channels / groups * kH * kW).
    Raises ShapeError for channels that the groups do not divide and for an unknown padding_mode.
    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016).

    >>> layer = mt.nn.Conv2d(1, 8, kernel_size=3, padding=1)
    >>> layer(mt.zeros(2, 1, 28, 28)).shape
    minitensor.Size([2, 8, 28, 28])
    """

    _axes = 2

    def forward(self, input: Any) -> Any:
        """`input` (N, in_channels, H, W) -> (N, out_channels, H', W')."""
        x, padding = self._padded(input)
        return F.conv2d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class Conv3d(_Forward):
    """Cross-correlation of a volume's channels with learned kernels, plus a bias.

    Shapes: input (N, in_channels, D, H, W) or without N; output (N, out_channels, D', H', W'), where
    D' = floor((D + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1; weight (out_channels,
    in_channels / groups, kD, kH, kW); bias (out_channels). `padding` may be "valid" (none) or "same"
    (D' = D, for stride 1), `padding_mode` "zeros", "reflect", "replicate" or "circular". Both start
    uniform within 1 / sqrt(in_channels / groups * kD * kH * kW).
    Raises ShapeError for channels that the groups do not divide and for an unknown padding_mode.
    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016).

    >>> layer = mt.nn.Conv3d(1, 8, kernel_size=3, padding=1)
    >>> layer(mt.zeros(2, 1, 4, 8, 8)).shape
    minitensor.Size([2, 8, 4, 8, 8])
    """

    _axes = 3

    def forward(self, input: Any) -> Any:
        """`input` (N, in_channels, D, H, W) -> (N, out_channels, D', H', W')."""
        x, padding = self._padded(input)
        return F.conv3d(x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)


class ConvTranspose1d(_Transposed):
    """The transpose of `Conv1d`: it makes a sequence larger by its stride.

    Shapes: input (N, in_channels, L) or without N; output (N, out_channels, L'), where
    L' = (L - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1; weight
    (in_channels, out_channels / groups, k); bias (out_channels). `forward` takes the size asked
    for as `output_size`, in place of output_padding.
    Raises ShapeError for channels that the groups do not divide and for sizes that cannot be reached.
    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016).

    >>> layer = mt.nn.ConvTranspose1d(3, 1, kernel_size=2, stride=2)
    >>> layer(mt.zeros(2, 3, 8)).shape
    minitensor.Size([2, 1, 16])
    """

    _axes = 1

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Any:
        """`input` (N, in_channels, L) -> (N, out_channels, L')."""
        more = self._more(input, output_size)
        return F.conv_transpose1d(
            input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation
        )


class ConvTranspose2d(_Transposed):
    """The transpose of `Conv2d`: it makes a picture larger by its stride.

    Shapes: input (N, in_channels, H, W) or without N; output (N, out_channels, H', W'), where
    H' = (H - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1; weight
    (in_channels, out_channels / groups, kH, kW); bias (out_channels). `forward` takes the size asked
    for as `output_size`, in place of output_padding.
    Raises ShapeError for channels that the groups do not divide and for sizes that cannot be reached.
    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016).

    >>> layer = mt.nn.ConvTranspose2d(3, 1, kernel_size=2, stride=2)
    >>> layer(mt.zeros(2, 3, 8, 8)).shape
    minitensor.Size([2, 1, 16, 16])
    """

    _axes = 2

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Any:
        """`input` (N, in_channels, H, W) -> (N, out_channels, H', W')."""
        more = self._more(input, output_size)
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation
        )


class ConvTranspose3d(_Transposed):
    """The transpose of `Conv3d`: it makes a volume larger by its stride.

    Shapes: input (N, in_channels, D, H, W) or without N; output (N, out_channels, D', H', W'), where
    D' = (D - 1) stride - 2 padding + dilation (kernel_size - 1) + output_padding + 1; weight
    (in_channels, out_channels / groups, kD, kH, kW); bias (out_channels). `forward` takes the size asked
    for as `output_size`, in place of output_padding.
    Raises ShapeError for channels that the groups do not divide and for sizes that cannot be reached.
    Source: V. Dumoulin and F. Visin, "A guide to convolution arithmetic for deep learning" (2016).

    >>> layer = mt.nn.ConvTranspose3d(3, 1, kernel_size=2, stride=2)
    >>> layer(mt.zeros(2, 3, 2, 4, 4)).shape
    minitensor.Size([2, 1, 4, 8, 8])
    """

    _axes = 3

    def forward(self, input: Any, output_size: Sequence[int] | None = None) -> Any:
        """`input` (N, in_channels, D, H, W) -> (N, out_channels, D', H', W')."""
        more = self._more(input, output_size)
        return F.conv_transpose3d(
            input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation
        )
