"""Layers that move the elements of images: windows, pixels, channels, sizes."""

from __future__ import annotations

from typing import Any

from . import functional as F
from .module import Module


class Fold(Module):
    """Windows added into images: the transpose of `Unfold`; see `minitensor.nn.functional.fold`.

    Shapes: input (N, C * kH * kW, L) or without N; output (N, C, *output_size).

    >>> mt.nn.Fold((3, 3), 2)(mt.ones(1, 4, 4))
    tensor([[[[1., 2., 1.],
              [2., 4., 2.],
              [1., 2., 1.]]]])
    """

    def __init__(
        self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Any) -> Any:
        """`input` (N, C * kH * kW, L) -> (N, C, *output_size)."""
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The windows."""
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class Unfold(Module):
    """The windows of images as columns; see `minitensor.nn.functional.unfold`.

    Shapes: input (N, C, H, W) or without N; output (N, C * kH * kW, L).

    >>> mt.nn.Unfold(2)(mt.ones(1, 1, 3, 3)).shape
    minitensor.Size([1, 4, 4])
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.dilation = dilation
        self.padding = padding
        self.stride = stride

    def forward(self, input: Any) -> Any:
        """`input` (N, C, H, W) -> (N, C * kH * kW, L)."""
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        """The windows."""
        return f"kernel_size={self.kernel_size}, dilation={self.dilation}, padding={self.padding}, stride={self.stride}"


class PixelShuffle(Module):
    """Each pixel's r^2 channels made a square of r x r pixels; see `minitensor.pixel_shuffle`.

    Shapes: input (.., C * r^2, H, W); output (.., C, H * r, W * r).

    >>> mt.nn.PixelShuffle(2)(mt.zeros(1, 8, 3, 4)).shape
    minitensor.Size([1, 2, 6, 8])
    """

    def __init__(self, upscale_factor: int) -> None:
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, input: Any) -> Any:
        """`input` (.., C * r^2, H, W) -> (.., C, H * r, W * r)."""
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """The inverse of `PixelShuffle`; see `minitensor.pixel_unshuffle`.

    Shapes: input (.., C, H * r, W * r); output (.., C * r^2, H, W).

    >>> mt.nn.PixelUnshuffle(2)(mt.zeros(1, 2, 6, 8)).shape
    minitensor.Size([1, 8, 3, 4])
    """

    def __init__(self, downscale_factor: int) -> None:
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, input: Any) -> Any:
        """`input` (.., C, H * r, W * r) -> (.., C * r^2, H, W)."""
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        """The factor."""
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """The channels of several groups dealt out in turn; see `minitensor.channel_shuffle`.

    Shapes: input (N, C, ..), output the same.

    >>> mt.nn.ChannelShuffle(2)(mt.arange(4.0).reshape(1, 4, 1)).flatten()
    tensor([0., 2., 1., 3.])
    """

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        """The groups."""
        return f"groups={self.groups}"


class Upsample(Module):
    """Images, sequences or volumes of another size; see `minitensor.nn.functional.interpolate`.

    Shapes: input (N, C, *); output (N, C, *) with the sizes `size`, or floor(sizes * scale_factor).

    >>> mt.nn.Upsample(scale_factor=2)(mt.tensor([[[1.0, 3.0]]]))
    tensor([[[1., 1., 3., 3.]]])
    """

    def __init__(
        self,
        size: Any = None,
        scale_factor: Any = None,
        mode: str = "nearest",
        align_corners: bool | None = None,
        recompute_scale_factor: bool | None = None,
    ) -> None:
        super().__init__()
        self.size = size
        if isinstance(scale_factor, (tuple, list)):
            self.scale_factor: Any = tuple([float(s) for s in scale_factor])
        else:
            self.scale_factor = float(scale_factor) if scale_factor else None
        self.mode = mode
        self.align_corners = align_corners
        self.recompute_scale_factor = recompute_scale_factor

    def forward(self, input: Any) -> Any:
        """`input` (N, C, *) -> (N, C, *), of another size."""
        return F.interpolate(
            input,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self) -> str:
        """The scale or the size, and the mode."""
        size = f"size={self.size!r}" if self.scale_factor is None else f"scale_factor={self.scale_factor!r}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """`Upsample` of images by the nearest pixel.

    >>> mt.nn.UpsamplingNearest2d(scale_factor=2)(mt.zeros(1, 1, 2, 3)).shape
    minitensor.Size([1, 1, 4, 6])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "nearest")


class UpsamplingBilinear2d(Upsample):
    """`Upsample` of images between two pixels an axis, with aligned corners.

    >>> mt.nn.UpsamplingBilinear2d((1, 3))(mt.tensor([[[[1.0, 3.0]]]]))
    tensor([[[[1., 2., 3.]]]])
    """

    def __init__(self, size: Any = None, scale_factor: Any = None) -> None:
        super().__init__(size, scale_factor, "bilinear", True)
