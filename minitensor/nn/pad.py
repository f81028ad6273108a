"""Padding layers."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from . import functional as F
from .linear import whole
from .module import Module


class _Pad(Module):
    _axes: int
    _mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        given = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * 2 * self._axes
        if len(given) != 2 * self._axes:
            raise ShapeError(f"{self._get_name()}: padding must be one integer or {2 * self._axes}, not {padding!r}")
        self.padding = tuple([whole(self._get_name(), "padding", n, -(2**31)) for n in given])

    def forward(self, input: Any) -> Any:
        """`input` with its last axes longer by the two numbers of `padding` for each, the last axis first."""
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        """The widths."""
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Any) -> Any:
        """`input` with its last axes longer by the two numbers of `padding` for each, the last axis first."""
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        """The widths and the value."""
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """Sequences padded with a constant.

    `padding` is one width, or (left, right); negative widths crop.
    Shapes: input (N, C, L) or (C, L); output the same with longer axes.

    >>> mt.nn.ConstantPad1d(1, 9.0)(mt.tensor([[1.0, 2.0, 3.0]]))
    tensor([[9., 1., 2., 3., 9.]])
    """

    _axes = 1


class ConstantPad2d(_ConstantPad):
    """Images padded with a constant.

    `padding` is one width, or (left, right, top, bottom); negative widths crop.
    Shapes: input (N, C, H, W) or (C, H, W); output the same with longer axes.

    >>> mt.nn.ConstantPad2d(1, 9.0)(mt.zeros(2, 3, 4, 5)).shape
    minitensor.Size([2, 3, 6, 7])
    """

    _axes = 2


class ConstantPad3d(_ConstantPad):
    """Volumes padded with a constant.

    `padding` is one width, or (left, right, top, bottom, front, back); negative widths crop.
    Shapes: input (N, C, D, H, W) or (C, D, H, W); output the same with longer axes.

    >>> mt.nn.ConstantPad3d(1, 9.0)(mt.zeros(2, 3, 4, 5, 6)).shape
    minitensor.Size([2, 3, 6, 7, 8])
    """

    _axes = 3


class ZeroPad1d(_Pad):
    """Sequences padded with zeros.

    `padding` is one width, or (left, right); negative widths crop.
    Shapes: input (N, C, L) or (C, L); output the same with longer axes.

    >>> mt.nn.ZeroPad1d(1)(mt.tensor([[1.0, 2.0, 3.0]]))
    tensor([[0., 1., 2., 3., 0.]])
    """

    _axes = 1
    _mode = "constant"


class ZeroPad2d(_Pad):
    """Images padded with zeros.

    `padding` is one width, or (left, right, top, bottom); negative widths crop.
    Shapes: input (N, C, H, W) or (C, H, W); output the same with longer axes.

    >>> mt.nn.ZeroPad2d(1)(mt.zeros(2, 3, 4, 5)).shape
    minitensor.Size([2, 3, 6, 7])
    """

    _axes = 2
    _mode = "constant"


class ZeroPad3d(_Pad):
    """Volumes padded with zeros.

    `padding` is one width, or (left, right, top, bottom, front, back); negative widths crop.
    Shapes: input (N, C, D, H, W) or (C, D, H, W); output the same with longer axes.

    >>> mt.nn.ZeroPad3d(1)(mt.zeros(2, 3, 4, 5, 6)).shape
    minitensor.Size([2, 3, 6, 7, 8])
    """

    _axes = 3
    _mode = "constant"


class ReflectionPad1d(_Pad):
    """Sequences padded by their mirror image, the edge not repeated.

    `padding` is one width, or (left, right); negative widths crop.
    Shapes: input (N, C, L) or (C, L); output the same with longer axes.

    >>> mt.nn.ReflectionPad1d(1)(mt.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 1., 2., 3., 2.]])
    """

    _axes = 1
    _mode = "reflect"


class ReflectionPad2d(_Pad):
    """Images padded by their mirror image, the edge not repeated.

    `padding` is one width, or (left, right, top, bottom); negative widths crop.
    Shapes: input (N, C, H, W) or (C, H, W); output the same with longer axes.

    >>> mt.nn.ReflectionPad2d(1)(mt.zeros(2, 3, 4, 5)).shape
    minitensor.Size([2, 3, 6, 7])
    """

    _axes = 2
    _mode = "reflect"


class ReflectionPad3d(_Pad):
    """Volumes padded by their mirror image, the edge not repeated.

    `padding` is one width, or (left, right, top, bottom, front, back); negative widths crop.
    Shapes: input (N, C, D, H, W) or (C, D, H, W); output the same with longer axes.

    >>> mt.nn.ReflectionPad3d(1)(mt.zeros(2, 3, 4, 5, 6)).shape
    minitensor.Size([2, 3, 6, 7, 8])
    """

    _axes = 3
    _mode = "reflect"


class ReplicationPad1d(_Pad):
    """Sequences padded by their edge.

    `padding` is one width, or (left, right); negative widths crop.
    Shapes: input (N, C, L) or (C, L); output the same with longer axes.

    >>> mt.nn.ReplicationPad1d(1)(mt.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 2., 3., 3.]])
    """

    _axes = 1
    _mode = "replicate"


class ReplicationPad2d(_Pad):
    """Images padded by their edge.

    `padding` is one width, or (left, right, top, bottom); negative widths crop.
    Shapes: input (N, C, H, W) or (C, H, W); output the same with longer axes.

    >>> mt.nn.ReplicationPad2d(1)(mt.zeros(2, 3, 4, 5)).shape
    minitensor.Size([2, 3, 6, 7])
    """

    _axes = 2
    _mode = "replicate"


class ReplicationPad3d(_Pad):
    """Volumes padded by their edge.

    `padding` is one width, or (left, right, top, bottom, front, back); negative widths crop.
    Shapes: input (N, C, D, H, W) or (C, D, H, W); output the same with longer axes.

    >>> mt.nn.ReplicationPad3d(1)(mt.zeros(2, 3, 4, 5, 6)).shape
    minitensor.Size([2, 3, 6, 7, 8])
    """

    _axes = 3
    _mode = "replicate"


class CircularPad1d(_Pad):
    """Sequences padded by their other end.

    `padding` is one width, or (left, right); negative widths crop.
    Shapes: input (N, C, L) or (C, L); output the same with longer axes.

    >>> mt.nn.CircularPad1d(1)(mt.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    _axes = 1
    _mode = "circular"


class CircularPad2d(_Pad):
    """Images padded by their other end.

    `padding` is one width, or (left, right, top, bottom); negative widths crop.
    Shapes: input (N, C, H, W) or (C, H, W); output the same with longer axes.

    >>> mt.nn.CircularPad2d(1)(mt.zeros(2, 3, 4, 5)).shape
    minitensor.Size([2, 3, 6, 7])
    """

    _axes = 2
    _mode = "circular"


class CircularPad3d(_Pad):
    """Volumes padded by their other end.

    `padding` is one width, or (left, right, top, bottom, front, back); negative widths crop.
    Shapes: input (N, C, D, H, W) or (C, D, H, W); output the same with longer axes.

    >>> mt.nn.CircularPad3d(1)(mt.zeros(2, 3, 4, 5, 6)).shape
    minitensor.Size([2, 3, 6, 7, 8])
    """

    _axes = 3
    _mode = "circular"
