r"""Fourier transforms: one operator, the unnormalised transform of complex numbers along axes; the rest are formulas.

forward    y_k = sum_j x_j exp(-2 pi i j k / n)         (inverse: +), along each axis
backward   the matrix is symmetric: the rule is the transform itself
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import DtypeError, ShapeError
from ..graph.record import apply
from ..graph.tensors import wrap
from ..op import Op, Result, Sample
from . import complex as complex_
from . import join, pad, rearrange, scatter, shape, strided
from .arithmetic import div, mul
from .common import Array, array_of, axes, axis, shape_of, to_dtype, write_out

Axes = tuple[int, ...]


def _reference(x: Array, *, axes: Axes, inverse: bool) -> Result:
    if not x.size:
        return x.copy(), ()
    turned = np.fft.ifftn(x, axes=axes, norm="forward") if inverse else np.fft.fftn(x, axes=axes)
    return turned.astype(np.result_type(x.dtype, np.complex64), copy=False), ()


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for sizes, over in (((4,), (0,)), ((2, 5), (1,)), ((3, 4), (0, 1))):
        for inverse in (False, True):
            yield Sample((rng.standard_normal(sizes),), {"axes": over, "inverse": inverse})


FFT: Op = Op(
    "fft",
    _reference,
    None,
    (lambda g, *, axes, inverse: apply(FFT, g, axes=axes, inverse=inverse),),
    "linear",
    _samples,
    length=lambda x, *, axes, **_: math.prod([x.shape[d] for d in axes]),
    complex=True,
)


def _complexly(name: str, x: Any) -> Any:
    """x in a complex dtype."""
    d = dtypes.of(array_of(x).dtype)
    if d.is_floating_point and d.itemsize == 2:
        raise DtypeError(f"{name}: expected float32, float64 or complex numbers, got {d.name}")
    return x if d.is_complex else to_dtype(x, d.to_complex())


def _sized(x: Any, over: Sequence[int], sizes: Sequence[int]) -> Any:
    """x cut off, or filled up with zeros, to these sizes along the axes."""
    for d, n in zip(over, sizes, strict=True):
        have = shape_of(x)[d]
        if n < have:
            x = join.narrow(x, d, 0, n)
        elif n > have:
            x = pad.constant_pad_nd(x, [0, 0] * (len(shape_of(x)) - 1 - d) + [0, n - have], 0)
    return x


def _scale(name: str, norm: str | None, n: int, inverse: bool) -> float:
    """What the unnormalised sum is multiplied by."""
    if norm not in (None, "backward", "ortho", "forward"):
        raise ShapeError(f"{name}: norm {norm!r} is none of 'backward', 'ortho', 'forward'")
    if norm == "ortho":
        return 1 / math.sqrt(n)
    return 1 / n if inverse == (norm != "forward") else 1.0


def _along(name: str, x: Any, s: Any, dim: Any) -> tuple[Axes, list[int]]:
    """The axes of a transform, and the sizes that the signal has along them."""
    own = shape_of(x)
    if dim is None:
        over = tuple(range(len(own))) if s is None else tuple(range(len(own) - len(s), len(own)))
    else:
        over = tuple([axis(name, d, len(own)) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))])
    if len(set(over)) != len(over):
        raise ShapeError(f"{name}: dim {dim} names an axis twice")
    sizes = [own[d] for d in over] if s is None else [own[d] if n == -1 else n for n, d in zip(s, over, strict=True)]
    if s is not None and len(s) != len(over):
        raise ShapeError(f"{name}: s {tuple(s)} and dim {dim} differ in length")
    if any(n < 1 for n in sizes):
        raise ShapeError(f"{name}: cannot transform {sizes} elements")
    return over, sizes


def _transform(name: str, x: Any, s: Any, dim: Any, norm: Any, inverse: bool, out: Any = None) -> Any:
    over, sizes = _along(name, x, s, dim)
    y = _sized(_complexly(name, x), over, sizes)
    y = apply(FFT, y, axes=over, inverse=inverse) if over else y
    scale = _scale(name, norm, math.prod(sizes), inverse)
    result = y if scale == 1 else mul(y, scale)
    return result if out is None else write_out(name, result, out)


def _half(name: str, x: Any, s: Any, dim: Any, norm: Any, out: Any) -> Any:
    """The transform of real numbers: of the last axis the first half, of which the rest are the conjugates."""
    if complex_.is_complex(x):
        raise DtypeError(f"{name}: expected real numbers, got {array_of(x).dtype}")
    over, sizes = _along(name, x, s, dim)
    y = _transform(name, x, s, over, norm, False)
    result = join.narrow(y, over[-1], 0, sizes[-1] // 2 + 1)
    return result if out is None else write_out(name, result, out)


def _from_half(name: str, x: Any, s: Any, dim: Any, norm: Any, out: Any) -> Any:
    """The real numbers of which the transform's first half is given: each other term counts twice."""
    own = shape_of(x)
    over, sizes = _along(name, x, None if s is None else s, dim)
    last = over[-1]
    n = 2 * (own[last] - 1) if s is None or s[-1] == -1 else int(s[-1])
    if n < 1:
        raise ShapeError(f"{name}: cannot make {n} elements")
    z = _complexly(name, x)
    if len(over) > 1:
        z = _transform(name, z, sizes[:-1], over[:-1], norm, True)
    z = _sized(z, (last,), (n // 2 + 1,))
    weights = np.full(n // 2 + 1, 2, array_of(z).real.dtype)
    weights[0] = 1
    if n % 2 == 0:
        weights[-1] = 1
    z = mul(z, weights.reshape(-1, *[1] * (len(own) - 1 - last)))
    y = apply(FFT, _sized(z, (last,), (n,)), axes=(last,), inverse=True)
    result = complex_.real(y)
    scale = _scale(name, norm, n, True)
    result = shape.contiguous(result) if scale == 1 else mul(result, scale)
    return result if out is None else write_out(name, result, out)


def fft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Any:
    r"""The discrete Fourier transform along an axis, cut off or filled up with zeros to n elements.

        forward    y_k = sum_j x_j exp(-2 pi i j k / n)

    `norm`: "backward" (the default) divides the inverse by n, "forward" this one, "ortho" both by sqrt(n).

    >>> mt.fft.fft(mt.tensor([1.0, 0.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])
    """
    return _transform("fft", input, None if n is None else (n,), dim, norm, False, out)


def ifft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of `fft`.

    >>> mt.fft.ifft(mt.tensor([4.0, 0.0, 0.0, 0.0]))
    tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])
    """
    return _transform("ifft", input, None if n is None else (n,), dim, norm, True, out)


def rfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Any:
    """`fft` of real numbers: the first n // 2 + 1 elements, of which the rest are the conjugates.

    >>> mt.fft.rfft(mt.tensor([1.0, 2.0, 3.0, 4.0]))
    tensor([10.+0.j, -2.+2.j, -2.+0.j])
    """
    return _half("rfft", input, None if n is None else (n,), dim, norm, out)


def irfft(input: Any, n: int | None = None, dim: int = -1, norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of `rfft`: n real numbers, 2 (m - 1) of m unless given.

    >>> mt.fft.irfft(mt.tensor([10 + 0j, -2 + 2j, -2 + 0j]))
    tensor([1., 2., 3., 4.])
    """
    return _from_half("irfft", input, None if n is None else (n,), dim, norm, out)


def fftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Any:
    """`fft` along several axes, all unless `dim` or `s`, the sizes along the last ones, says which.

    >>> mt.fft.fftn(mt.ones(2, 2))
    tensor([[4.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]])
    """
    return _transform("fftn", input, s, dim, norm, False, out)


def ifftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of `fftn`.

    >>> mt.fft.ifftn(mt.fft.fftn(mt.ones(2))).real
    tensor([1., 1.])
    """
    return _transform("ifftn", input, s, dim, norm, True, out)


def rfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Any:
    """`fftn` of real numbers: of the last axis the first half.

    >>> mt.fft.rfftn(mt.ones(2, 4)).shape
    minitensor.Size([2, 3])
    """
    return _half("rfftn", input, s, dim, norm, out)


def irfftn(input: Any, s: Any = None, dim: Any = None, norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of `rfftn`.

    >>> mt.fft.irfftn(mt.fft.rfftn(mt.ones(2, 4))).shape
    minitensor.Size([2, 4])
    """
    return _from_half("irfftn", input, s, dim, norm, out)


def fft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Any = None) -> Any:
    """`fftn` along the last two axes.

    >>> mt.fft.fft2(mt.ones(1, 2))
    tensor([[2.+0.j, 0.+0.j]])
    """
    return _transform("fft2", input, s, dim, norm, False, out)


def ifft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of `fft2`.

    >>> mt.fft.ifft2(mt.ones(1, 2))
    tensor([[1.+0.j, 0.+0.j]])
    """
    return _transform("ifft2", input, s, dim, norm, True, out)


def rfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Any = None) -> Any:
    """`rfftn` along the last two axes.

    >>> mt.fft.rfft2(mt.ones(2, 2))
    tensor([[4.+0.j, 0.+0.j],
            [0.+0.j, 0.+0.j]])
    """
    return _half("rfft2", input, s, dim, norm, out)


def irfft2(input: Any, s: Any = None, dim: Any = (-2, -1), norm: str | None = None, *, out: Any = None) -> Any:
    """The inverse of `rfft2`.

    >>> mt.fft.irfft2(mt.fft.rfft2(mt.ones(2, 2)))
    tensor([[1., 1.],
            [1., 1.]])
    """
    return _from_half("irfft2", input, s, dim, norm, out)


def _shifted(name: str, input: Any, dim: Any, sign: int) -> Any:
    own = shape_of(input)
    over = axes(name, dim, len(own))
    return rearrange.roll(input, tuple([sign * (own[d] // 2) + (sign < 0) * 0 for d in over]), over)


def fftshift(input: Any, dim: Any = None) -> Any:
    """The frequency 0, which comes first, moved to the middle of the axes, all unless given.

    >>> mt.fft.fftshift(mt.tensor([0, 1, -2, -1]))
    tensor([-2, -1,  0,  1])
    """
    return _shifted("fftshift", input, dim, 1)


def ifftshift(input: Any, dim: Any = None) -> Any:
    """The inverse of `fftshift`.

    >>> mt.fft.ifftshift(mt.tensor([-2, -1, 0, 1]))
    tensor([ 0,  1, -2, -1])
    """
    return _shifted("ifftshift", input, dim, -1)


def _frequencies(name: str, n: int, d: float, negative: bool, dtype: Any, requires_grad: bool) -> Any:
    """0, 1, ... n // 2 and, if wanted, those below 0, over n d."""
    if n < 0:
        raise ShapeError(f"{name}: n must not be negative, but is {n}")
    values = np.concatenate([np.arange((n + 1) // 2), np.arange(-(n // 2), 0)]) if negative else np.arange(n // 2 + 1)
    kind = dtypes.get_default_dtype() if dtype is None else dtypes.of(dtype)
    with np.errstate(all="ignore"):  # n or d is 0
        made = wrap((values * (np.float64(1) / np.float64(n * d))).astype(kind.numpy))
    return made.requires_grad_() if requires_grad else made


def fftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """The frequencies of what `fft` gives of n samples d apart: 0, 1, ..., then the negative ones, over n d.

    >>> mt.fft.fftfreq(4)
    tensor([ 0.0000,  0.2500, -0.5000, -0.2500])
    """
    return _frequencies("fftfreq", n, d, True, dtype, requires_grad)


def rfftfreq(
    n: int, d: float = 1.0, *, dtype: Any = None, layout: Any = None, device: Any = None, requires_grad: bool = False
) -> Any:
    """The frequencies of what `rfft` gives of n samples d apart.

    >>> mt.fft.rfftfreq(4)
    tensor([0.0000, 0.2500, 0.5000])
    """
    return _frequencies("rfftfreq", n, d, False, dtype, requires_grad)


# --- spectra of windows along a signal --------------------------------------------------------------------------------


def _window(name: str, window: Any, n_fft: int, win_length: int | None, like: Any) -> tuple[Any, int]:
    """The window in the middle of n_fft places."""
    width = n_fft if win_length is None else int(win_length)
    if not 0 < width <= n_fft:
        raise ShapeError(f"{name}: win_length {width} must lie between 1 and n_fft, {n_fft}")
    if window is not None and shape_of(window) != (width,):
        raise ShapeError(f"{name}: the window {shape_of(window)} must have win_length elements, {width}")
    given = np.ones(width, array_of(like).real.dtype) if window is None else window
    left = (n_fft - width) // 2
    return (given if width == n_fft else pad.constant_pad_nd(given, [left, n_fft - width - left], 0)), width


def stft(
    input: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    pad_mode: str = "reflect",
    normalized: bool = False,
    onesided: bool | None = None,
    return_complex: bool | None = None,
    align_to_window: bool | None = None,
) -> Any:
    r"""The Fourier transforms of pieces of a signal, `hop_length` (n_fft // 4) apart, each times the window.

        forward    out[f, t] = sum_j window_j x_{t hop + j} exp(-2 pi i f j / n_fft)

    Shapes: input (L) or (N, L); the result (F, T) or (N, F, T), with F = n_fft // 2 + 1 frequencies, n_fft of complex
    signals or with `onesided=False`. With `center` the signal is continued by n_fft // 2 at both ends, as `pad_mode`
    says, so that piece t has its middle at t hop. `return_complex=False` gives pairs along a last axis.

    >>> mt.stft(mt.ones(8), 4, return_complex=True).shape
    minitensor.Size([3, 9])
    """
    name = "stft"
    own = shape_of(input)
    if len(own) not in (1, 2):
        raise ShapeError(f"{name}: expected a signal (L) or (N, L), got {own}")
    real = not complex_.is_complex(input)
    if return_complex is None:
        if real and not complex_.is_complex(window):
            raise ShapeError(f"{name}: return_complex must be given for real signals; True is usual")
        return_complex = True
    x = input if len(own) == 2 else shape.unsqueeze(input, 0)
    hop = n_fft // 4 if hop_length is None else int(hop_length)
    if n_fft < 1 or hop < 1:
        raise ShapeError(f"{name}: n_fft {n_fft} and hop_length {hop} must be at least 1")
    if center:
        half = n_fft // 2
        x = shape.squeeze(pad.pad(shape.unsqueeze(x, 1), (half, half), mode=pad_mode), 1)
    if shape_of(x)[1] < n_fft:
        raise ShapeError(f"{name}: a signal of {shape_of(x)[1]} elements is shorter than n_fft, {n_fft}")
    shaped, _ = _window(name, window, n_fft, win_length, x)
    pieces = mul(strided.unfold(x, 1, n_fft, hop), shaped)
    one = real and not complex_.is_complex(window) if onesided is None else onesided
    if one and complex_.is_complex(pieces):
        raise ShapeError(f"{name}: onesided is for real signals")
    norm = "ortho" if normalized else None
    spectra = (rfft if one else fft)(pieces, norm=norm)
    result = shape.transpose(spectra, 1, 2)
    result = result if len(own) == 2 else shape.squeeze(result, 0)
    return result if return_complex else complex_.view_as_real(result)


def istft(
    input: Any,
    n_fft: int,
    hop_length: int | None = None,
    win_length: int | None = None,
    window: Any = None,
    center: bool = True,
    normalized: bool = False,
    onesided: bool | None = None,
    length: int | None = None,
    return_complex: bool = False,
) -> Any:
    r"""The signal whose `stft` was given: the pieces, times the window again, added up, over the windows' squares.

        forward    out_i = sum_t window_j y[t]_j / sum_t window_j^2,   j = i - t hop

    Shapes: input (F, T) or (N, F, T); the result (L) or (N, L). Raises ShapeError where no window covers a place.

    >>> x = mt.arange(8.0)
    >>> mt.istft(mt.stft(x, 4, return_complex=True), 4, length=8)
    tensor([0., 1., 2., 3., 4., 5., 6., 7.])
    """
    name = "istft"
    if not complex_.is_complex(input):
        raise DtypeError(f"{name}: expected complex spectra, got {array_of(input).dtype}")
    own = shape_of(input)
    if len(own) not in (2, 3):
        raise ShapeError(f"{name}: expected spectra (F, T) or (N, F, T), got {own}")
    z = input if len(own) == 3 else shape.unsqueeze(input, 0)
    hop = n_fft // 4 if hop_length is None else int(hop_length)
    batch, frequencies, count = shape_of(z)
    one = frequencies != n_fft if onesided is None else onesided
    if frequencies != (n_fft // 2 + 1 if one else n_fft):
        raise ShapeError(f"{name}: {frequencies} frequencies are not those of n_fft {n_fft}")
    shaped, _ = _window(name, window, n_fft, win_length, z)
    z, norm = shape.transpose(z, 1, 2), "ortho" if normalized else None
    pieces = irfft(z, n_fft, norm=norm) if one else ifft(z, n_fft, norm=norm)
    pieces = pieces if return_complex or one else complex_.real(pieces)
    total = n_fft + hop * (count - 1)
    places = (np.arange(count)[:, None] * hop + np.arange(n_fft)).reshape(-1)
    flat = shape.reshape(mul(pieces, shaped), (batch, count * n_fft))
    sums = scatter.index_add(wrap(np.zeros((batch, total), array_of(flat).dtype)), 1, wrap(places), flat)
    squares = shape.reshape(shape.expand(mul(shaped, shaped), (count, n_fft)), (count * n_fft,))
    weights = scatter.index_add(wrap(np.zeros(total, array_of(shaped).dtype)), 0, wrap(places), squares)
    start = n_fft // 2 if center else 0
    end = (start + length) if length is not None else (total - n_fft // 2 if center else total)
    end = builtins.min(end, total)
    sums, weights = join.narrow(sums, 1, start, end - start), join.narrow(weights, 0, start, end - start)
    if array_of(weights).size and np.abs(array_of(weights)).min() < 1e-11:
        raise ShapeError(f"{name}: the windows do not cover every place of the signal")
    signal = div(sums, weights)
    if length is not None and length > end - start:
        signal = pad.constant_pad_nd(signal, [0, length - (end - start)], 0)
    return signal if len(own) == 3 else shape.squeeze(signal, 0)
