"""Lazy modules: layers that find out the number of their inputs at the first call, and then are ordinary ones."""

from __future__ import annotations

from typing import Any

from ..errors import ShapeError
from ..ops.common import shape_of
from .conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from .linear import Linear
from .module import Module
from .norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d
from .parameter import Uninitialized, UninitializedBuffer, UninitializedParameter


class LazyModuleMixin(Module):
    """What lazy modules have in common. The base beside it is the ordinary module, built with a stand-in size.

    At the first call the size is read off the input, the parameters get their memory and are drawn, and the module's
    class becomes `cls_to_become`. A state_dict may be loaded before; it then brings the sizes.
    """

    cls_to_become: type[Module]
    _missing: str  # the attribute that is found out

    def _forget(self) -> None:
        """Takes the sizes of all parameters and statistics away."""
        setattr(self, self._missing, 0)
        for name, p in self._parameters.items():
            if p is not None:
                self._parameters[name] = UninitializedParameter(dtype=p.dtype)
        for name, x in self._buffers.items():
            if x is not None and x.is_floating_point():
                self._buffers[name] = UninitializedBuffer(dtype=x.dtype)

    def reset_parameters(self) -> None:
        """Nothing: there is nothing to draw before the first call."""

    def has_uninitialized_params(self) -> bool:
        """Whether some parameter or buffer has no sizes yet."""
        return any(isinstance(x, Uninitialized) for x in (*self._parameters.values(), *self._buffers.values()))

    def _found(self, input: Any) -> int:
        """The missing size, from an input, which is checked."""
        raise NotImplementedError

    def _shape(self, name: str) -> tuple[int, ...]:
        """The shape of a parameter or buffer, now that the size is known."""
        raise NotImplementedError

    def initialize_parameters(self, input: Any, *args: Any, **kwargs: Any) -> None:
        """Gives all parameters and buffers without sizes those that this input needs, and draws them."""
        drawn = self.has_uninitialized_params()
        setattr(self, self._missing, self._found(input))
        for place in (self._parameters, self._buffers):
            for name, x in place.items():
                if isinstance(x, Uninitialized):
                    x.materialize(self._shape(name))
        if drawn:
            self.cls_to_become.reset_parameters(self)  # type: ignore[attr-defined]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.initialize_parameters(*args, **kwargs)
        self.__class__ = self.cls_to_become  # type: ignore[assignment]
        return self(*args, **kwargs)


class LazyLinear(LazyModuleMixin, Linear):
    """`Linear` that takes in_features from its first input.

    >>> layer = mt.nn.LazyLinear(3)
    >>> layer(mt.zeros(5, 2)).shape
    minitensor.Size([5, 3])
    >>> layer
    Linear(in_features=2, out_features=3, bias=True)
    """

    cls_to_become = Linear
    _missing = "in_features"

    def __init__(self, out_features: int, bias: bool = True, device: Any = None, dtype: Any = None) -> None:
        super().__init__(0, out_features, bias, device, dtype)
        self._forget()

    def _found(self, input: Any) -> int:
        shape = shape_of(input)
        if not shape:
            raise ShapeError("LazyLinear: expected an input (*, in_features), got one without axes")
        return shape[-1]

    def _shape(self, name: str) -> tuple[int, ...]:
        return (self.out_features, self.in_features) if name == "weight" else (self.out_features,)


class _LazyConvolution(LazyModuleMixin):
    """A convolution that takes in_channels from its first input."""

    _missing = "in_channels"
    _axes: int
    in_channels: int
    out_channels: int
    groups: int
    kernel_size: tuple[int, ...]
    transposed: bool

    def _found(self, input: Any) -> int:
        shape, axes = shape_of(input), self._axes
        if len(shape) not in (axes + 1, axes + 2):
            raise ShapeError(f"{self._get_name()}: expected an input of {axes + 1} or {axes + 2} axes, got {shape}")
        channels = shape[-axes - 1]
        if channels == 0 or channels % self.groups:
            raise ShapeError(f"{self._get_name()}: {channels} channels are not divisible by groups {self.groups}")
        return channels

    def _shape(self, name: str) -> tuple[int, ...]:
        if name == "bias":
            return (self.out_channels,)
        first, second = self.out_channels, self.in_channels
        first, second = (second, first) if self.transposed else (first, second)
        return first, second // self.groups, *self.kernel_size


class _LazyForward(_LazyConvolution):
    def __init__(
        self,
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
        sizes = (kernel_size, stride, padding, dilation, groups, bias, padding_mode, device, dtype)
        super().__init__(groups, out_channels, *sizes)  # type: ignore[call-arg]
        self._forget()


class _LazyTransposed(_LazyConvolution):
    def __init__(
        self,
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
        sizes = (kernel_size, stride, padding, output_padding, groups, bias, dilation, padding_mode, device, dtype)
        super().__init__(groups, out_channels, *sizes)  # type: ignore[call-arg]
        self._forget()


class LazyConv1d(_LazyForward, Conv1d):
    """`Conv1d` that takes in_channels from its first input."""

    cls_to_become = Conv1d


class LazyConv2d(_LazyForward, Conv2d):
    """`Conv2d` that takes in_channels from its first input.

    >>> layer = mt.nn.LazyConv2d(4, kernel_size=3)
    >>> layer(mt.zeros(1, 2, 5, 5)).shape
    minitensor.Size([1, 4, 3, 3])
    >>> layer
    Conv2d(2, 4, kernel_size=(3, 3), stride=(1, 1))
    """

    cls_to_become = Conv2d


class LazyConv3d(_LazyForward, Conv3d):
    """`Conv3d` that takes in_channels from its first input."""

    cls_to_become = Conv3d


class LazyConvTranspose1d(_LazyTransposed, ConvTranspose1d):
    """`ConvTranspose1d` that takes in_channels from its first input."""

    cls_to_become = ConvTranspose1d


class LazyConvTranspose2d(_LazyTransposed, ConvTranspose2d):
    """`ConvTranspose2d` that takes in_channels from its first input."""

    cls_to_become = ConvTranspose2d


class LazyConvTranspose3d(_LazyTransposed, ConvTranspose3d):
    """`ConvTranspose3d` that takes in_channels from its first input."""

    cls_to_become = ConvTranspose3d


class _LazyNorm(LazyModuleMixin):
    """A norm that takes num_features from its first input."""

    _missing = "num_features"
    num_features: int
    _dims: tuple[int, ...]  # how many axes an input may have
    _from = 1  # which axis the channels are

    def __init__(
        self,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(0, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)  # type: ignore
        self._forget()

    def _found(self, input: Any) -> int:
        shape = shape_of(input)
        if len(shape) not in self._dims:
            raise ShapeError(f"{self._get_name()}: expected an input of {self._dims} axes, got {shape}")
        return shape[1 if len(shape) == self._dims[-1] or self._from == 1 else 0]

    def _shape(self, name: str) -> tuple[int, ...]:
        return (self.num_features,)


class LazyBatchNorm1d(_LazyNorm, BatchNorm1d):
    """`BatchNorm1d` that takes num_features from its first input.

    >>> layer = mt.nn.LazyBatchNorm1d()
    >>> layer(mt.ones(4, 3)).shape, layer.num_features
    (minitensor.Size([4, 3]), 3)
    """

    cls_to_become = BatchNorm1d
    _dims = (2, 3)


class LazyBatchNorm2d(_LazyNorm, BatchNorm2d):
    """`BatchNorm2d` that takes num_features from its first input."""

    cls_to_become = BatchNorm2d
    _dims = (4,)


class LazyBatchNorm3d(_LazyNorm, BatchNorm3d):
    """`BatchNorm3d` that takes num_features from its first input."""

    cls_to_become = BatchNorm3d
    _dims = (5,)


class LazyInstanceNorm1d(_LazyNorm, InstanceNorm1d):
    """`InstanceNorm1d` that takes num_features from its first input."""

    cls_to_become = InstanceNorm1d
    _dims = (2, 3)
    _from = 0


class LazyInstanceNorm2d(_LazyNorm, InstanceNorm2d):
    """`InstanceNorm2d` that takes num_features from its first input."""

    cls_to_become = InstanceNorm2d
    _dims = (3, 4)
    _from = 0


class LazyInstanceNorm3d(_LazyNorm, InstanceNorm3d):
    """`InstanceNorm3d` that takes num_features from its first input."""

    cls_to_become = InstanceNorm3d
    _dims = (4, 5)
    _from = 0
