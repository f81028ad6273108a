"""Window functions of signal processing, over t from 0 to 1 along the window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .creation import made
from .ops.shape import new_sizes
from .tensor import Tensor


def _window(
    name: str, n: int, periodic: bool, wave: Callable[[Any], Any], dtype: Any, device: Any, requires_grad: bool
) -> Tensor:
    """wave(t) for t from 0 to 1, or, of a periodic window, to just before 1, where the next one begins."""
    (count,) = new_sizes(name, (n,))
    t = np.arange(count) / max(count if periodic else count - 1, 1)
    values = np.ones(count) if count == 1 else wave(t)
    return made(name, lambda d: values.astype(d), dtype, device, None, requires_grad)


def hann_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """1/2 - 1/2 cos(2 pi t), J. von Hann's window.

    >>> mt.hann_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """
    return hamming_window(window_length, periodic, 0.5, 0.5, dtype=dtype, device=device, requires_grad=requires_grad)


def hamming_window(
    window_length: int,
    periodic: bool = True,
    alpha: float = 0.54,
    beta: float = 0.46,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """alpha - beta cos(2 pi t), R. Hamming's window.

    >>> mt.hamming_window(4)
    tensor([0.0800, 0.5400, 1.0000, 0.5400])
    """

    def wave(t: Any) -> Any:
        return alpha - beta * np.cos(2 * np.pi * t)

    return _window("hamming_window", window_length, periodic, wave, dtype, device, requires_grad)


def blackman_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """0.42 - 0.5 cos(2 pi t) + 0.08 cos(4 pi t), R. Blackman's window.

    >>> mt.blackman_window(5, periodic=False)[2]
    tensor(1.)
    """

    def wave(t: Any) -> Any:
        return 0.42 - 0.5 * np.cos(2 * np.pi * t) + 0.08 * np.cos(4 * np.pi * t)

    return _window("blackman_window", window_length, periodic, wave, dtype, device, requires_grad)


def bartlett_window(
    window_length: int,
    periodic: bool = True,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """1 - |2 t - 1|, M. Bartlett's triangle.

    >>> mt.bartlett_window(4)
    tensor([0.0000, 0.5000, 1.0000, 0.5000])
    """

    def wave(t: Any) -> Any:
        return 1 - np.abs(2 * t - 1)

    return _window("bartlett_window", window_length, periodic, wave, dtype, device, requires_grad)


def kaiser_window(
    window_length: int,
    periodic: bool = True,
    beta: float = 12.0,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
) -> Tensor:
    """I0(beta sqrt(1 - (2 t - 1)^2)) / I0(beta), with the modified Bessel function I0; J. Kaiser's window.

    >>> mt.kaiser_window(5, periodic=False)[2]
    tensor(1.)
    """

    def wave(t: Any) -> Any:
        return np.i0(beta * np.sqrt(1 - (2 * t - 1) ** 2)) / np.i0(beta)

    return _window("kaiser_window", window_length, periodic, wave, dtype, device, requires_grad)
