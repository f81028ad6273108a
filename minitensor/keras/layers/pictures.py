"""Convolutions and pools of pictures and sequences, channels last."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from ... import ones_like
from ...nn import functional as F
from ...nn.conv import several
from ...nn.linear import whole
from .. import activations
from .base import Layer, Shape, first, known, last
from .core import Weighted


class _Windows:
    """Where the windows of a convolution or a pool lie: inside ('valid'), or size / stride of them ('same')."""

    def __init__(self, layer: str, kernel: tuple[int, ...], strides: tuple[int, ...], padding: str) -> None:
        if padding not in ("valid", "same"):
            raise ValueError(f"{layer}: padding must be 'valid' or 'same', not {padding!r}")
        self.kernel, self.strides, self.padding = kernel, strides, padding

    def out(self, sizes: Sequence[int | None]) -> list[int | None]:
        """How many windows there are along each axis."""
        cut = self.kernel if self.padding == "valid" else (1,) * len(self.kernel)
        given = zip(sizes, cut, self.strides, strict=True)
        return [None if size is None else (size - k) // s + 1 for size, k, s in given]

    def padded(self, x: Any, value: float) -> Any:
        """x with what 'same' adds around it; an odd number adds one more at the end."""
        if self.padding == "valid":
            return x
        widths: list[int] = []
        for size, k, s in reversed(list(zip(x.shape[2:], self.kernel, self.strides, strict=True))):
            total = max((-(-size // s) - 1) * s + k - size, 0)
            widths += [total // 2, total - total // 2]
        return F.pad(x, widths, value=value) if any(widths) else x

    def even(self) -> Any:
        """The padding as the engine's convolution takes it, if that can do it itself; else None."""
        if self.padding == "valid":
            return (0,) * len(self.kernel)
        plain = all(s == 1 and k % 2 for k, s in zip(self.kernel, self.strides, strict=True))
        return tuple([k // 2 for k in self.kernel]) if plain else None


class _Convolution(Weighted):
    """Conv1D and Conv2D."""

    _axes: int

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        **options: Any,
    ) -> None:
        super().__init__(activation, use_bias, kernel_initializer, bias_initializer, **options)
        name, axes = type(self).__name__, self._axes
        self.filters = whole(name, "filters", filters)
        self.kernel_size = several(name, "kernel_size", kernel_size, 1, axes)
        self.strides = several(name, "strides", strides, 1, axes)
        self.padding = padding
        self._windows = _Windows(name, self.kernel_size, self.strides, padding)
        self._convolve = F.conv1d if axes == 1 else F.conv2d
        self._elementwise = hasattr(self.activation, "raw") and self.activation is not activations.softmax

    def build(self, input_shape: Shape) -> None:
        """Makes kernel and bias."""
        axes = self._axes
        if len(input_shape) != axes + 2:
            raise ValueError(f"Layer '{self.name}' expects {axes + 2} axes, but received the shape {input_shape}")
        shape = (*self.kernel_size, known(self, input_shape), self.filters)
        self._make(shape, (*range(2, axes + 2), 1, 0))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, windows..., filters)."""
        places = self._windows.out(input_shape[1:-1])
        if any(n is not None and n < 1 for n in places):
            raise ValueError(
                f"Layer '{self.name}': the kernel {self.kernel_size} is larger than the input {input_shape}"
            )
        return (input_shape[0], *places, self.filters)

    def _channels_first(self, x: Any) -> Any:
        self._expect(self.kernel.leaf.shape[1], x.shape)
        x, even = first(x), self._windows.even()
        if even is None:
            x, even = self._windows.padded(x, 0.0), 0
        return self._convolve(x, self.kernel.leaf, None if self.bias is None else self.bias.leaf, self.strides, even)

    def affine(self, x: Any) -> Any:
        """The cross-correlation with the kernel, plus the bias."""
        return last(self._channels_first(x))

    def forward(self, x: Any) -> Any:
        """The activation of it; one that goes element by element before the axes change places."""
        if self._elementwise:
            return last(self._activate(self._channels_first(x)))
        return super().forward(x)

    def get_config(self) -> dict[str, Any]:
        """With the sizes."""
        sizes = {"filters": self.filters, "kernel_size": self.kernel_size, "strides": self.strides}
        return {**super().get_config(), **sizes, "padding": self.padding}


class Conv2D(_Convolution):
    """Convolution of pictures (n, height, width, in) with kernels (kh, kw, in, filters), which are not turned round.

    >>> from minitensor.keras.layers import Conv2D
    >>> layer = Conv2D(16, kernel_size=3, padding="same", activation="relu")
    >>> layer(np.zeros((1, 28, 28, 3))).shape, layer.get_weights()[0].shape
    (TensorShape([1, 28, 28, 16]), (3, 3, 3, 16))
    """

    _axes = 2


class Conv1D(_Convolution):
    """Convolution of sequences (n, length, in) with kernels (k, in, filters).

    >>> from minitensor.keras.layers import Conv1D
    >>> Conv1D(4, 3, strides=2)(np.zeros((1, 9, 2))).shape
    TensorShape([1, 4, 4])
    """

    _axes = 1


class _Pooling(Layer):
    """Pools of sequences and pictures: `_pool` is the engine's, `_outside` what 'same' puts around."""

    _axes: int
    _pool: Callable[..., Any]
    _outside: float

    def __init__(self, pool_size: Any = 2, strides: Any = None, padding: str = "valid", **options: Any) -> None:
        super().__init__(**options)
        name = type(self).__name__
        self.pool_size = several(name, "pool_size", pool_size, 1, self._axes)
        self.strides = self.pool_size if strides is None else several(name, "strides", strides, 1, self._axes)
        self.padding = padding
        self._windows = _Windows(name, self.pool_size, self.strides, padding)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, windows..., channels)."""
        if len(input_shape) != self._axes + 2:
            raise ValueError(f"Layer '{self.name}' expects {self._axes + 2} axes, but received the shape {input_shape}")
        places = self._windows.out(input_shape[1:-1])
        if any(n is not None and n < 1 for n in places):
            raise ValueError(f"Layer '{self.name}': the pool {self.pool_size} is larger than the input {input_shape}")
        return (input_shape[0], *places, input_shape[-1])

    def _pooled(self, x: Any) -> Any:
        return type(self)._pool(self._windows.padded(x, self._outside), self.pool_size, self.strides)

    def forward(self, x: Any) -> Any:
        """One number of each window."""
        return last(self._pooled(first(x)))

    def get_config(self) -> dict[str, Any]:
        """With the sizes."""
        sizes = {"pool_size": self.pool_size, "strides": self.strides, "padding": self.padding}
        return {**super().get_config(), **sizes}


class MaxPooling2D(_Pooling):
    """The largest number of each window of a picture (n, height, width, channels).

    >>> from minitensor.keras.layers import MaxPooling2D
    >>> MaxPooling2D()(np.arange(16.0).reshape(1, 4, 4, 1)).numpy().ravel()
    array([ 5.,  7., 13., 15.], dtype=float32)
    """

    _axes, _pool, _outside = 2, staticmethod(F.max_pool2d), -math.inf


class MaxPooling1D(_Pooling):
    """The largest number of each window of a sequence (n, length, channels).

    >>> from minitensor.keras.layers import MaxPooling1D
    >>> MaxPooling1D()(np.arange(4.0).reshape(1, 4, 1)).numpy().ravel()
    array([1., 3.], dtype=float32)
    """

    _axes, _pool, _outside = 1, staticmethod(F.max_pool1d), -math.inf


class _AveragePooling(_Pooling):
    """AveragePooling1D and AveragePooling2D: what 'same' adds around is not counted."""

    _outside = 0.0

    def _pooled(self, x: Any) -> Any:
        means = super()._pooled(x)
        return means if self.padding == "valid" else means / super()._pooled(ones_like(x))


class AveragePooling2D(_AveragePooling):
    """The mean of each window of a picture (n, height, width, channels).

    >>> from minitensor.keras.layers import AveragePooling2D
    >>> AveragePooling2D()(np.arange(16.0).reshape(1, 4, 4, 1)).numpy().ravel()
    array([ 2.5,  4.5, 10.5, 12.5], dtype=float32)
    """

    _axes, _pool = 2, staticmethod(F.avg_pool2d)


class AveragePooling1D(_AveragePooling):
    """The mean of each window of a sequence (n, length, channels).

    >>> from minitensor.keras.layers import AveragePooling1D
    >>> AveragePooling1D()(np.arange(4.0).reshape(1, 4, 1)).numpy().ravel()
    array([0.5, 2.5], dtype=float32)
    """

    _axes, _pool = 1, staticmethod(F.avg_pool1d)


class _Global(Layer):
    """Pools over all places: (n, ..., channels) becomes (n, channels)."""

    _axes: int

    def __init__(self, keepdims: bool = False, **options: Any) -> None:
        super().__init__(**options)
        self.keepdims = bool(keepdims)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, channels), or with ones between."""
        if len(input_shape) != self._axes + 2:
            raise ValueError(f"Layer '{self.name}' expects {self._axes + 2} axes, but received the shape {input_shape}")
        return (input_shape[0], *(1,) * (self._axes * self.keepdims), input_shape[-1])

    def _reduced(self, x: Any, axes: tuple[int, ...]) -> Any:
        raise NotImplementedError

    def forward(self, x: Any) -> Any:
        """One number of each channel."""
        return self._reduced(x, tuple(range(1, x.ndim - 1)))

    def get_config(self) -> dict[str, Any]:
        """With `keepdims`."""
        return {**super().get_config(), "keepdims": self.keepdims}


class _GlobalAverage(_Global):
    def _reduced(self, x: Any, axes: tuple[int, ...]) -> Any:
        return x.mean(axes, keepdim=self.keepdims)


class _GlobalMax(_Global):
    def _reduced(self, x: Any, axes: tuple[int, ...]) -> Any:
        return x.amax(axes, keepdim=self.keepdims)


class GlobalAveragePooling2D(_GlobalAverage):
    """The mean of each channel of a picture: (n, height, width, channels) -> (n, channels).

    >>> from minitensor.keras.layers import GlobalAveragePooling2D
    >>> GlobalAveragePooling2D()(np.ones((2, 4, 4, 3))).shape
    TensorShape([2, 3])
    """

    _axes = 2


class GlobalAveragePooling1D(_GlobalAverage):
    """The mean of each channel of a sequence: (n, length, channels) -> (n, channels)."""

    _axes = 1


class GlobalMaxPooling2D(_GlobalMax):
    """The largest number of each channel of a picture: (n, height, width, channels) -> (n, channels)."""

    _axes = 2


class GlobalMaxPooling1D(_GlobalMax):
    """The largest number of each channel of a sequence: (n, length, channels) -> (n, channels)."""

    _axes = 1


class ZeroPadding2D(Layer):
    """Zeros around a picture: `padding` rows above and below and columns left and right, or pairs of them.

    >>> from minitensor.keras.layers import ZeroPadding2D
    >>> ZeroPadding2D(((1, 0), (2, 2)))(np.ones((1, 3, 3, 1))).shape
    TensorShape([1, 4, 7, 1])
    """

    def __init__(self, padding: Any = 1, **options: Any) -> None:
        super().__init__(**options)
        rows, columns = (padding, padding) if isinstance(padding, int) else padding
        self.padding = tuple((side, side) if isinstance(side, int) else tuple(side) for side in (rows, columns))

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, more, more, channels)."""
        n, *places, channels = input_shape
        grown = [None if size is None else size + sum(pair) for size, pair in zip(places, self.padding, strict=True)]
        return (n, *grown, channels)

    def forward(self, x: Any) -> Any:
        """With the zeros."""
        (above, below), (left, right) = self.padding
        return F.pad(x, (0, 0, left, right, above, below))

    def get_config(self) -> dict[str, Any]:
        """With the widths."""
        return {**super().get_config(), "padding": self.padding}


class UpSampling2D(Layer):
    """Each pixel of a picture `size` times, in rows and columns.

    >>> from minitensor.keras.layers import UpSampling2D
    >>> UpSampling2D(2)(np.arange(2.0).reshape(1, 1, 2, 1)).numpy()[0, :, :, 0]
    array([[0., 0., 1., 1.],
           [0., 0., 1., 1.]], dtype=float32)
    """

    def __init__(self, size: Any = 2, **options: Any) -> None:
        super().__init__(**options)
        self.size = several("UpSampling2D", "size", size, 1, 2)

    def compute_output_shape(self, input_shape: Shape) -> Shape:
        """(n, more, more, channels)."""
        n, *places, channels = input_shape
        grown = [None if size is None else size * k for size, k in zip(places, self.size, strict=True)]
        return (n, *grown, channels)

    def forward(self, x: Any) -> Any:
        """The repeated pixels."""
        return x.repeat_interleave(self.size[0], 1).repeat_interleave(self.size[1], 2)

    def get_config(self) -> dict[str, Any]:
        """With the size."""
        return {**super().get_config(), "size": self.size}
