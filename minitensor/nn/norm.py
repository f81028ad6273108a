"""Normalisation layers."""

from __future__ import annotations

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


class _BatchNorm(Module):
    """Normalisation of each channel over the batch and the places."""

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

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
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        """Keeps the shape; in training, also updates the running mean and variance."""
        if len(shape_of(input)) not in self._axes:
            raise ShapeError(f"{self._get_name()}: expected {self._shapes}, got {tuple(shape_of(input))}")
        share = 0.0 if self.momentum is None else self.momentum
        update = self.training and self.num_batches_tracked is not None
        if update:
            seen = self.get_buffer("num_batches_tracked")
            seen.fill_(seen.item() + 1)
            if self.momentum is None:  # the plain mean over all batches
                share = 1.0 / seen.item()
        kept = update or not self.training
        return F.batch_norm(
            input,
            self.running_mean if kept else None,
            self.running_var if kept else None,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            share,
            self.eps,
        )

    def extra_repr(self) -> str:
        """The channels and the options."""
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"bias={self.bias is not None}, track_running_stats={self.track_running_stats}"
        )


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
        if self.weight is not None:
            init.ones_(self.weight)
        if self.bias is not None:
            init.zeros_(self.bias)

    def forward(self, input: Any) -> Any:
        """Keeps the shape."""
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        """The sizes and the options."""
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )
