"""Pooling layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import ShapeError
from . import functional as F
from .conv import several
from .module import Module


class _MaxPool(Module):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.dilation = dilation
        self.return_indices = return_indices
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        """The window."""
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest element of every window; see `minitensor.nn.functional.max_pool1d`.

    Shapes: input (N, C, L) or (C, L); output the same with
    L' = floor((L + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.

    >>> mt.nn.MaxPool1d(2)(mt.zeros(1, 3, 8)).shape
    minitensor.Size([1, 3, 4])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, L) -> (N, C, L')."""
        return F.max_pool1d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool2d(_MaxPool):
    """The largest element of every window; see `minitensor.nn.functional.max_pool2d`.

    Shapes: input (N, C, H, W) or (C, H, W); output the same with
    H' = floor((H + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.

    >>> mt.nn.MaxPool2d(2)(mt.zeros(1, 3, 8, 8)).shape
    minitensor.Size([1, 3, 4, 4])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, H, W) -> (N, C, H', W')."""
        return F.max_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class MaxPool3d(_MaxPool):
    """The largest element of every window; see `minitensor.nn.functional.max_pool3d`.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); output the same with
    D' = floor((D + 2 padding - dilation (kernel_size - 1) - 1) / stride) + 1.

    >>> mt.nn.MaxPool3d(2)(mt.zeros(1, 3, 4, 8, 8)).shape
    minitensor.Size([1, 3, 2, 4, 4])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, D, H, W) -> (N, C, D', H', W')."""
        return F.max_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.dilation,
            ceil_mode=self.ceil_mode,
            return_indices=self.return_indices,
        )


class AvgPool1d(Module):
    """The mean of every window; see `minitensor.nn.functional.avg_pool1d`.

    Shapes: as `MaxPool1d` with dilation 1.

    >>> mt.nn.AvgPool1d(2)(mt.ones(1, 1, 4))
    tensor([[[1., 1.]]])
    """

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__()
        self.kernel_size = several("AvgPool1d", "kernel_size", kernel_size, 1, 1)
        self.stride = several("AvgPool1d", "stride", kernel_size if stride is None else stride, 1, 1)
        self.padding = several("AvgPool1d", "padding", padding, 0, 1)
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad

    def forward(self, input: Any) -> Any:
        """`input` (N, C, L) -> (N, C, L')."""
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> None:
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding = padding
        self.ceil_mode = ceil_mode
        self.count_include_pad = count_include_pad
        self.divisor_override = divisor_override

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """The mean of every window; see `minitensor.nn.functional.avg_pool2d`.

    Shapes: as `MaxPool2d` with dilation 1.

    >>> mt.nn.AvgPool2d(2)(mt.ones(1, 1, 2, 4))
    tensor([[[[1., 1.]]]])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, H, W) -> (N, C, H', W')."""
        return F.avg_pool2d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool3d(_AvgPool):
    """The mean of every window; see `minitensor.nn.functional.avg_pool3d`.

    Shapes: as `MaxPool3d` with dilation 1.

    >>> mt.nn.AvgPool3d(2)(mt.ones(1, 2, 2, 4))
    tensor([[[[1., 1.]]]])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, D, H, W) -> (N, C, D', H', W')."""
        return F.avg_pool3d(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class _Adaptive(Module):
    def __init__(self, output_size: Any) -> None:
        super().__init__()
        self.output_size = output_size

    def extra_repr(self) -> str:
        """The output's size."""
        return f"output_size={self.output_size}"


class _AdaptiveMax(_Adaptive):
    def __init__(self, output_size: Any, return_indices: bool = False) -> None:
        super().__init__(output_size)
        self.return_indices = return_indices


class AdaptiveAvgPool1d(_Adaptive):
    """The means of as many windows as the output shall have elements.

    Shapes: input (N, C, L) or (C, L); output the same with L replaced by `output_size`.

    >>> mt.nn.AdaptiveAvgPool1d(1)(mt.ones(2, 3, 5)).shape
    minitensor.Size([2, 3, 1])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, L) -> (N, C, *output_size)."""
        return F.adaptive_avg_pool1d(input, self.output_size)


class AdaptiveAvgPool2d(_Adaptive):
    """The means of as many windows as the output shall have elements; None keeps a size.

    Shapes: input (N, C, H, W) or (C, H, W); output the same with H, W replaced by `output_size`.

    >>> mt.nn.AdaptiveAvgPool2d(1)(mt.ones(2, 3, 5, 7)).shape
    minitensor.Size([2, 3, 1, 1])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, H, W) -> (N, C, *output_size)."""
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveAvgPool3d(_Adaptive):
    """The means of as many windows as the output shall have elements; None keeps a size.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); output the same with D, H, W replaced by `output_size`.

    >>> mt.nn.AdaptiveAvgPool3d(1)(mt.ones(2, 3, 4, 5, 7)).shape
    minitensor.Size([2, 3, 1, 1, 1])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, D, H, W) -> (N, C, *output_size)."""
        return F.adaptive_avg_pool3d(input, self.output_size)


class AdaptiveMaxPool1d(_AdaptiveMax):
    """The largest elements of as many windows as the output shall have elements.

    Shapes: input (N, C, L) or (C, L); output the same with L replaced by `output_size`.

    >>> mt.nn.AdaptiveMaxPool1d(1)(mt.ones(2, 3, 5)).shape
    minitensor.Size([2, 3, 1])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, L) -> (N, C, *output_size)."""
        return F.adaptive_max_pool1d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool2d(_AdaptiveMax):
    """The largest elements of as many windows as the output shall have elements; None keeps a size.

    Shapes: input (N, C, H, W) or (C, H, W); output the same with H, W replaced by `output_size`.

    >>> mt.nn.AdaptiveMaxPool2d(1)(mt.ones(2, 3, 5, 7)).shape
    minitensor.Size([2, 3, 1, 1])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, H, W) -> (N, C, *output_size)."""
        return F.adaptive_max_pool2d(input, self.output_size, self.return_indices)


class AdaptiveMaxPool3d(_AdaptiveMax):
    """The largest elements of as many windows as the output shall have elements; None keeps a size.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); output the same with D, H, W replaced by `output_size`.

    >>> mt.nn.AdaptiveMaxPool3d(1)(mt.ones(2, 3, 4, 5, 7)).shape
    minitensor.Size([2, 3, 1, 1, 1])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, D, H, W) -> (N, C, *output_size)."""
        return F.adaptive_max_pool3d(input, self.output_size, self.return_indices)


class _LPPool(Module):
    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> None:
        super().__init__()
        self.norm_type = norm_type
        self.kernel_size = kernel_size
        self.stride = stride
        self.ceil_mode = ceil_mode

    def extra_repr(self) -> str:
        """The power and the window."""
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """The p-norm of every window; see `minitensor.nn.functional.lp_pool1d`.

    Shapes: as `MaxPool1d` with padding 0 and dilation 1.

    >>> mt.nn.LPPool1d(2, 2)(mt.tensor([[3.0, 4.0]]))
    tensor([[5.]])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, L) -> (N, C, L')."""
        return F.lp_pool1d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool2d(_LPPool):
    """The p-norm of every window; see `minitensor.nn.functional.lp_pool2d`.

    Shapes: as `MaxPool2d` with padding 0 and dilation 1.

    >>> mt.nn.LPPool2d(2, 2)(mt.ones(1, 2, 2))
    tensor([[[2.]]])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, H, W) -> (N, C, H', W')."""
        return F.lp_pool2d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class LPPool3d(_LPPool):
    """The p-norm of every window; see `minitensor.nn.functional.lp_pool3d`.

    Shapes: as `MaxPool3d` with padding 0 and dilation 1.

    >>> mt.nn.LPPool3d(2, 2)(mt.ones(1, 2, 2, 2))
    tensor([[[[2.8284]]]])
    """

    def forward(self, input: Any) -> Any:
        """`input` (N, C, D, H, W) -> (N, C, D', H', W')."""
        return F.lp_pool3d(input, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode)


class _MaxUnpool(Module):
    _axes: int

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0) -> None:
        super().__init__()
        name, axes = self._get_name(), self._axes
        self.kernel_size = several(name, "kernel_size", kernel_size, 1, axes)
        self.stride = several(name, "stride", kernel_size if stride is None else stride, 1, axes)
        self.padding = several(name, "padding", padding, 0, axes)

    def extra_repr(self) -> str:
        """The window."""
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """The maxima of `MaxPool1d` back in their places, zeros elsewhere; see `minitensor.nn.functional.max_unpool1d`.

    Shapes: input and indices (N, C, L) or (C, L); L' = (L - 1) stride - 2 padding + kernel_size.

    >>> y, at = mt.nn.MaxPool1d(2, return_indices=True)(mt.arange(4.0).reshape(1, 4))
    >>> mt.nn.MaxUnpool1d(2)(y, at)
    tensor([[0., 1., 0., 3.]])
    """

    _axes = 1

    def forward(self, input: Any, indices: Any, output_size: Sequence[int] | None = None) -> Any:
        """`input` and `indices` (N, C, L) -> (N, C, L')."""
        return F.max_unpool1d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool2d(_MaxUnpool):
    """The maxima of `MaxPool2d` back in their places, zeros elsewhere; see `minitensor.nn.functional.max_unpool2d`.

    Shapes: input and indices (N, C, H, W) or (C, H, W); H' = (H - 1) stride - 2 padding + kernel_size.

    >>> y, at = mt.nn.MaxPool2d(2, return_indices=True)(mt.arange(4.0).reshape(1, 2, 2))
    >>> mt.nn.MaxUnpool2d(2)(y, at)
    tensor([[[0., 0.],
             [0., 3.]]])
    """

    _axes = 2

    def forward(self, input: Any, indices: Any, output_size: Sequence[int] | None = None) -> Any:
        """`input` and `indices` (N, C, H, W) -> (N, C, H', W')."""
        return F.max_unpool2d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class MaxUnpool3d(_MaxUnpool):
    """The maxima of `MaxPool3d` back in their places, zeros elsewhere; see `minitensor.nn.functional.max_unpool3d`.

    Shapes: input and indices (N, C, D, H, W) or (C, D, H, W); D' = (D - 1) stride - 2 padding + kernel_size.

    >>> y, at = mt.nn.MaxPool3d(2, return_indices=True)(mt.arange(8.0).reshape(1, 2, 2, 2))
    >>> mt.nn.MaxUnpool3d(2)(y, at).sum()
    tensor(7.)
    """

    _axes = 3

    def forward(self, input: Any, indices: Any, output_size: Sequence[int] | None = None) -> Any:
        """`input` and `indices` (N, C, D, H, W) -> (N, C, D', H', W')."""
        return F.max_unpool3d(input, indices, self.kernel_size, self.stride, self.padding, output_size)


class _FractionalMaxPool(Module):
    _axes: int

    def __init__(
        self,
        kernel_size: Any,
        output_size: Any = None,
        output_ratio: Any = None,
        return_indices: bool = False,
        _random_samples: Any = None,
    ) -> None:
        super().__init__()
        name, axes = self._get_name(), self._axes
        if (output_size is None) == (output_ratio is None):
            raise ShapeError(f"{name}: give either output_size or output_ratio")
        self.kernel_size = several(name, "kernel_size", kernel_size, 1, axes)
        self.output_size = None if output_size is None else several(name, "output_size", output_size, 1, axes)
        self.output_ratio = (output_ratio,) * axes if isinstance(output_ratio, (int, float)) else output_ratio
        if output_ratio is not None:
            if len(self.output_ratio) != axes or not all(0 < ratio < 1 for ratio in self.output_ratio):
                raise ShapeError(f"{name}: output_ratio {output_ratio} must be {axes} numbers between 0 and 1")
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest element of windows at random places; see `minitensor.nn.functional.fractional_max_pool2d`.

    Shapes: input (N, C, H, W) or (C, H, W); output the same with H, W replaced by `output_size`, or by their parts
    `output_ratio`. Raises ShapeError unless one of the two is given.

    >>> mt.nn.FractionalMaxPool2d(2, output_ratio=0.5)(mt.zeros(1, 3, 8, 9)).shape
    minitensor.Size([1, 3, 4, 4])
    """

    _axes = 2

    def forward(self, input: Any) -> Any:
        """`input` (N, C, H, W) -> (N, C, *output_size)."""
        return F.fractional_max_pool2d(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest element of windows at random places; see `minitensor.nn.functional.fractional_max_pool3d`.

    Shapes: input (N, C, D, H, W) or (C, D, H, W); output the same with D, H, W replaced by `output_size`, or by their
    parts `output_ratio`. Raises ShapeError unless one of the two is given.

    >>> mt.nn.FractionalMaxPool3d(2, output_size=2)(mt.zeros(1, 3, 4, 4, 4)).shape
    minitensor.Size([1, 3, 2, 2, 2])
    """

    _axes = 3

    def forward(self, input: Any) -> Any:
        """`input` (N, C, D, H, W) -> (N, C, *output_size)."""
        return F.fractional_max_pool3d(
            input, self.kernel_size, self.output_size, self.output_ratio, self.return_indices, self._random_samples
        )
