"""Normalisation layers."""

from __future__ import annotations

import warnings
from typing import Any

from .. import creation, dtypes
from ..errors import ShapeError
from ..ops.common import shape_of
from ..tensor import Tensor
from . import functional as F
from . import init
from .linear import whole
from .module import Module
from .parameter import Parameter


def _to_identity(weight: Any, bias: Any) -> None:
    """The weight 1 and the bias 0, of those that there are."""
    if weight is not None:
        init.ones_(weight)
    if bias is not None:
        init.zeros_(bias)


class _Statistics(Module):
    """A norm of channels with a weight and bias for each, and running means and variances."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    _version = 2

    def _upgrade(self, state_dict: Any, prefix: str, version: int | None) -> None:
        name = f"{prefix}num_batches_tracked"
        if (version is None or version < 2) and self.num_batches_tracked is not None and name not in state_dict:
            state_dict[name] = self.num_batches_tracked

    def __init__(
        self,
        num_features: int,
        eps: float,
        momentum: float | None,
        affine: bool,
        track_running_stats: bool,
        device: Any,
        dtype: Any,
        bias: bool,
    ) -> None:
        super().__init__()
        self.num_features = whole(self._get_name(), "num_features", num_features, 0)
        self.eps = eps
        self.momentum = momentum
        self.affine = affine
        self.track_running_stats = track_running_stats
        n, where = self.num_features, {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(creation.ones(n, **where)) if affine else None)
        shift = Parameter(creation.zeros(n, **where)) if affine and bias else None
        self.register_parameter("bias", shift)
        track = track_running_stats
        self.register_buffer("running_mean", creation.zeros(n, **where) if track else None)
        self.register_buffer("running_var", creation.ones(n, **where) if track else None)
        count = creation.tensor(0, dtype=dtypes.int64) if track else None
        self.register_buffer("num_batches_tracked", count)

    def reset_running_stats(self) -> None:
        """Forgets the batches seen."""
        if self.track_running_stats:
            for name, value in (("mean", 0), ("var", 1)):
                self.get_buffer(f"running_{name}").fill_(value)
            self.get_buffer("num_batches_tracked").zero_()

    def reset_parameters(self) -> None:
        """Forgets the batches seen, and sets the weight to 1 and the bias to 0."""
        self.reset_running_stats()
        _to_identity(self.weight, self.bias)

    def extra_repr(self) -> str:
        """The channels and the options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_Statistics):
    """Normalisation of each channel over the batch and the places."""

    _axes: tuple[int, ...]  # how many axes an input may have
    _shapes: str

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def _fits(self, axes: int) -> bool:
        return axes in self._axes

    def forward(self, input: Any) -> Any:
        """Keeps the shape; in training, also updates the running mean and variance."""
        if not self._fits(len(shape_of(input))):
            raise ShapeError(f"{self._get_name()}: expected {self._shapes}, got {tuple(shape_of(input))}")
        share, seen = self.momentum, self.num_batches_tracked
        update = self.training and seen is not None
        if seen is not None and update:
            _count(seen)
        if share is None:  # the plain mean over all batches
            share = 1.0 / seen.item() if seen is not None and update else 0.0
        kept = update or not self.training
        mean = self.running_mean
        return F.batch_norm(
            input,
            mean if kept else None,
            self.running_var if kept else None,
            self.weight,
            self.bias,
            self.training or mean is None,
            share,
            self.eps,
        )


def _count(seen: Any) -> None:
    """Adds 1, outside the graph, where no transformation is under way."""
    if seen.layer is None:
        seen.array.fill(seen.array.item() + 1)
        seen.version.bump()
    else:
        seen.add_(1)


class BatchNorm1d(_BatchNorm):
    """As `BatchNorm2d`, for input (N, C) or (N, C, L).

    >>> mt.nn.BatchNorm1d(2)(mt.tensor([[1.0, 5.0], [3.0, 5.0]])).detach()
    tensor([[-1.0000,  0.0000],
            [ 1.0000,  0.0000]])
    """

    _axes = (2, 3)
    _shapes = "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, for each channel.

    In training, mean and variance are those of the batch (the variance divided by n), and the
    running ones move towards them by the share `momentum` (the variance divided by n - 1; None:
    the mean over all batches). In evaluation the running ones are used.
    Shapes: input (N, C, H, W); weight, bias, running_mean, running_var (C).
    Source: S. Ioffe, C. Szegedy, "Batch normalization" (2015).

    >>> layer = mt.nn.BatchNorm2d(3)
    >>> layer(mt.ones(2, 3, 4, 4)).shape
    minitensor.Size([2, 3, 4, 4])
    >>> layer.running_mean
    tensor([0.1000, 0.1000, 0.1000])
    """

    _axes = (4,)
    _shapes = "(N, C, H, W)"


class BatchNorm3d(_BatchNorm):
    """As `BatchNorm2d`, for input (N, C, D, H, W).

    >>> mt.nn.BatchNorm3d(2)(mt.ones(2, 2, 3, 3, 3)).shape
    minitensor.Size([2, 2, 3, 3, 3])
    """

    _axes = (5,)
    _shapes = "(N, C, D, H, W)"


class SyncBatchNorm(_BatchNorm):
    """As `BatchNorm2d`, for input (N, C, ...) with any places: there is one process, and so nothing to share.

    >>> mt.nn.SyncBatchNorm(2)(mt.ones(2, 2, 3)).shape
    minitensor.Size([2, 2, 3])
    """

    _shapes = "(N, C, ...)"

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        process_group: Any = None,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias=bias)
        self.process_group = process_group

    def _fits(self, axes: int) -> bool:
        return axes >= 2

    @classmethod
    def convert_sync_batchnorm(cls, module: Module, process_group: Any = None) -> Module:
        """The module with every batch norm in it as a SyncBatchNorm of the same parameters and statistics.

        >>> mt.nn.SyncBatchNorm.convert_sync_batchnorm(mt.nn.Sequential(mt.nn.BatchNorm1d(2)))[0].num_features
        2
        """
        out = module
        if isinstance(module, _BatchNorm) and not isinstance(module, cls):
            affine, track = module.weight is not None, module.track_running_stats
            made = cls(module.num_features, module.eps, module.momentum, affine, track, process_group)
            made._parameters.update(module._parameters)
            made._buffers.update(module._buffers)
            made.training = module.training
            out = made
        for name, child in list(module.named_children()):
            out.add_module(name, cls.convert_sync_batchnorm(child, process_group))
        return out


class _InstanceNorm(_Statistics):
    """Normalisation of each channel of each example over its places."""

    _axes: int  # of a batch; one less without it
    _shapes: str

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype, bias)

    def forward(self, input: Any) -> Any:
        """Keeps the shape; in training, also updates the running mean and variance, if they are tracked."""
        shape = tuple(shape_of(input))
        if len(shape) not in (self._axes, self._axes - 1):
            raise ShapeError(f"{self._get_name()}: expected {self._shapes}, got {shape}")
        channels = shape[1 - self._axes]
        if channels != self.num_features and self.weight is None and self.running_mean is None:
            warnings.warn(
                f"{self._get_name()}: {channels} channels, but num_features is {self.num_features}", stacklevel=3
            )
        batched = len(shape) == self._axes
        y = F.instance_norm(
            input if batched else input.unsqueeze(0),
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y if batched else y.squeeze(0)


class InstanceNorm1d(_InstanceNorm):
    """As `InstanceNorm2d`, for input (N, C, L) or (C, L).

    >>> mt.nn.InstanceNorm1d(1, eps=0.0)(mt.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.,  1.]]])
    """

    _axes = 3
    _shapes = "(N, C, L) or (C, L)"


class InstanceNorm2d(_InstanceNorm):
    """y = (x - mean) / sqrt(var + eps) [* weight + bias], for each channel of each example.

    With `track_running_stats` the running mean and variance are kept, and used in evaluation.
    Shapes: input (N, C, H, W) or (C, H, W); all others (C).
    Source: D. Ulyanov, A. Vedaldi, V. Lempitsky, "Instance normalization" (2016).

    >>> mt.nn.InstanceNorm2d(3)(mt.ones(2, 3, 4, 4)).shape
    minitensor.Size([2, 3, 4, 4])
    """

    _axes = 4
    _shapes = "(N, C, H, W) or (C, H, W)"


class InstanceNorm3d(_InstanceNorm):
    """As `InstanceNorm2d`, for input (N, C, D, H, W) or (C, D, H, W).

    >>> mt.nn.InstanceNorm3d(3)(mt.ones(2, 3, 2, 2, 2)).shape
    minitensor.Size([2, 3, 2, 2, 2])
    """

    _axes = 5
    _shapes = "(N, C, D, H, W) or (C, D, H, W)"


class LayerNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, over the last axes of every sample.

    Shapes: input (..., *normalized_shape); weight, bias of `normalized_shape`.
    Source: J. L. Ba, J. R. Kiros, G. E. Hinton, "Layer normalization" (2016).

    >>> mt.nn.LayerNorm(2)(mt.tensor([1.0, 3.0])).detach()
    tensor([-1.0000,  1.0000])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
        self.normalized_shape = tuple([whole("LayerNorm", "a size", n) for n in sizes])
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        where = {"device": device, "dtype": dtype}
        weight = creation.ones(self.normalized_shape, **where) if elementwise_affine else None
        shift = creation.zeros(self.normalized_shape, **where) if elementwise_affine and bias else None
        self.register_parameter("weight", None if weight is None else Parameter(weight))
        self.register_parameter("bias", None if shift is None else Parameter(shift))

    def reset_parameters(self) -> None:
        """Sets the weight to 1 and the bias to 0."""
        _to_identity(self.weight, self.bias)

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The sizes and the options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class GroupNorm(Module):
    """y = (x - mean) / sqrt(var + eps) * weight + bias, over each of `num_groups` groups of channels of an example.

    Shapes: input (N, C, ...), C divisible by `num_groups`; weight, bias (C).
    Source: Y. Wu, K. He, "Group normalization" (2018).

    >>> mt.nn.GroupNorm(2, 4)(mt.ones(3, 4, 5)).shape
    minitensor.Size([3, 4, 5])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        device: Any = None,
        dtype: Any = None,
        *,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.num_groups = whole("GroupNorm", "num_groups", num_groups)
        self.num_channels = whole("GroupNorm", "num_channels", num_channels)
        if self.num_channels % self.num_groups:
            raise ShapeError(f"GroupNorm: {num_channels} channels cannot be split into {num_groups} groups")
        self.eps = eps
        self.affine = affine
        n, where = self.num_channels, {"device": device, "dtype": dtype}
        self.register_parameter("weight", Parameter(creation.ones(n, **where)) if affine else None)
        self.register_parameter("bias", Parameter(creation.zeros(n, **where)) if affine and bias else None)

    def reset_parameters(self) -> None:
        """Sets the weight to 1 and the bias to 0."""
        _to_identity(self.weight, self.bias)

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The sizes and the options."""
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class RMSNorm(Module):
    """y = x / sqrt(mean(x^2) + eps) * weight, over the last axes of every sample.

    Shapes: input (..., *normalized_shape); weight of `normalized_shape`. `eps` None is the dtype's rounding.
    Source: B. Zhang, R. Sennrich, "Root mean square layer normalization" (2019).

    >>> mt.nn.RMSNorm(2)(mt.tensor([3.0, 3.0])).detach()
    tensor([1., 1.])
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        sizes = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
        self.normalized_shape = tuple([whole("RMSNorm", "a size", n) for n in sizes])
        self.eps = eps
        self.elementwise_affine = elementwise_affine
        made = creation.ones(self.normalized_shape, device=device, dtype=dtype) if elementwise_affine else None
        self.register_parameter("weight", None if made is None else Parameter(made))

    def reset_parameters(self) -> None:
        """Sets the weight to 1."""
        _to_identity(self.weight, None)

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        """The sizes and the options."""
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class LocalResponseNorm(Module):
    """Every value divided by a power of the mean square of its `size` neighbours in the channels.

    Shapes: input (N, C, ...), and the same out.

    >>> mt.nn.LocalResponseNorm(2, alpha=2.0, beta=1.0)(mt.ones(1, 3, 1)).flatten()
    tensor([0.5000, 0.3333, 0.3333])
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        super().__init__()
        self.size = whole("LocalResponseNorm", "size", size)
        self.alpha = alpha
        self.beta = beta
        self.k = k

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        """The options."""
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
