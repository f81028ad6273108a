"""Normalisation: of batches, and of rows."""

from __future__ import annotations

from typing import Any

import numpy as np

from ...nn import functional as F
from .. import initializers
from .base import Layer, Shape, first, known, last


class _Normalization(Layer):
    """A scale, gamma, and a shift, beta, of normal numbers."""

    def __init__(
        self,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.epsilon, self.center, self.scale = float(epsilon), bool(center), bool(scale)
        self.beta_initializer = initializers.check(beta_initializer)
        self.gamma_initializer = initializers.check(gamma_initializer)

    def build(self, input_shape: Shape) -> None:
        """Makes gamma and beta."""
        size = [known(self, input_shape)]
        self.gamma = self._weight("gamma", size, self.gamma_initializer) if self.scale else None
        self.beta = self._weight("beta", size, self.beta_initializer) if self.center else None

    def _leaves(self) -> tuple[Any, Any]:
        return tuple(None if w is None else w.leaf for w in (self.gamma, self.beta))  # type: ignore[return-value]

    def get_config(self) -> dict[str, Any]:
        """With what is added to the variance, and what is left out."""
        return {**super().get_config(), "epsilon": self.epsilon, "center": self.center, "scale": self.scale}


class LayerNormalization(_Normalization):
    """Each row made normal: gamma (x - mean) / sqrt(variance + epsilon) + beta, along the last axis.

    >>> from minitensor.keras.layers import LayerNormalization
    >>> LayerNormalization()([[1.0, 3.0]]).numpy().round(3)
    array([[-1.,  1.]], dtype=float32)
    """

    def __init__(self, axis: int = -1, epsilon: float = 1e-3, **options: Any) -> None:
        super().__init__(epsilon, **options)
        if axis not in (-1, [-1], (-1,)):
            raise ValueError(f"LayerNormalization: axis must be -1, not {axis}")

    def forward(self, x: Any) -> Any:
        """The normal rows."""
        gamma, beta = self._leaves()
        return F.layer_norm(x, x.shape[-1:], gamma, beta, self.epsilon)


class BatchNormalization(_Normalization):
    """Each channel made normal: in training by the batch's mean and variance, otherwise by means over training.

    moving = momentum moving + (1 - momentum) the batch's.

    >>> from minitensor.keras.layers import BatchNormalization
    >>> layer = BatchNormalization()
    >>> layer([[1.0], [3.0]], training=True).numpy().round(3).ravel(), [w.name for w in layer.weights]
    (array([-1.,  1.], dtype=float32), ['gamma', 'beta', 'moving_mean', 'moving_variance'])
    """

    def __init__(self, axis: int = -1, momentum: float = 0.99, epsilon: float = 1e-3, **options: Any) -> None:
        super().__init__(epsilon, **options)
        if axis != -1:
            raise ValueError(f"BatchNormalization: axis must be -1, not {axis}")
        self.momentum = float(momentum)

    def build(self, input_shape: Shape) -> None:
        """Makes gamma, beta and the two moving means."""
        super().build(input_shape)
        size = [known(self, input_shape)]
        self.moving_mean = self._weight("moving_mean", size, "zeros", trainable=False)
        self.moving_variance = self._weight("moving_variance", size, "ones", trainable=False)

    def forward(self, x: Any) -> Any:
        """The normal numbers; in training the moving means move."""
        gamma, beta = self._leaves()
        x = first(x) if x.ndim > 2 else x
        if self.training and self._trainable:
            axes = tuple(i for i in range(x.ndim) if i != 1)
            for moving, now in ((self.moving_mean, np.mean), (self.moving_variance, np.var)):
                moving.assign(self.momentum * moving.numpy() + (1 - self.momentum) * now(x.array, axes))
            out = F.batch_norm(x, None, None, gamma, beta, True, 0.0, self.epsilon)
        else:
            mean, variance = self.moving_mean.leaf, self.moving_variance.leaf
            out = F.batch_norm(x, mean, variance, gamma, beta, False, 0.0, self.epsilon)
        return last(out) if x.ndim > 2 else out

    def get_config(self) -> dict[str, Any]:
        """With the momentum."""
        return {**super().get_config(), "momentum": self.momentum}
