"""Quantized numbers: integers q that stand for scale * (q - zero point). See `table`.

Products of integers are made in float64, which holds each of them and their sums exactly, and become int32. What is
rounded is rounded to even, and what does not fit is cut off at the ends of the dtype, as the operators say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

import minitensor as mt

from .read_nn import _ACTIVATIONS, _conv, _recurrent
from .table import dtype_of, reads


def _wide(x: Any, rank: int, axis: int) -> Any:
    """A number, or one for each place along an axis, so that it broadcasts against `rank` axes."""
    return x.reshape([-1 if d == axis % rank else 1 for d in range(rank)]) if x.ndim == 1 and x.shape[0] > 1 else x


def _blocked(x: Any, shape: Any, axis: int, block: int) -> Any:
    """Scales of a tensor of this shape: one, one for each place of an axis, or one for each block along it."""
    if not block:
        return _wide(x, len(shape), axis)
    return mt.narrow(mt.repeat_interleave(x, block, axis), axis, 0, shape[axis])


def _cut(x: Any, dtype: Any) -> Any:
    """Whole numbers in an integer dtype, those outside at its ends."""
    ends = np.iinfo(dtype.numpy)
    return mt.clamp(mt.round(x), float(ends.min), float(ends.max)).to(dtype)


def _centred(x: Any, zero: Any, axis: int = 0) -> Any:
    """x - zero point, in float64."""
    y = x.to(mt.float64)
    return y if zero is None else y - _wide(zero.to(mt.float64), x.ndim, axis)


@reads("QuantizeLinear")
def _quantize(
    x: Any,
    scale: Any,
    zero: Any = None,
    *,
    axis: int = 1,
    block_size: int = 0,
    output_dtype: int = 0,
    precision: int = 0,
    saturate: int = 1,
) -> Any:
    dtype = zero.dtype if zero is not None else dtype_of(output_dtype or 2)
    y = mt.round(x / _blocked(scale, x.shape, axis, block_size))
    return _cut(y if zero is None else y + _blocked(zero, x.shape, axis, block_size).to(y.dtype), dtype)


@reads("DequantizeLinear")
def _dequantize(
    x: Any, scale: Any, zero: Any = None, *, axis: int = 1, block_size: int = 0, output_dtype: int = 0
) -> Any:
    y = x.to(mt.float32)
    if zero is not None:
        y = y - _blocked(zero, x.shape, axis, block_size).to(mt.float32)
    return (y * _blocked(scale, x.shape, axis, block_size).to(mt.float32)).to(scale.dtype)


@reads("DynamicQuantizeLinear")
def _quantize_to_range(x: Any) -> Any:
    low, high = mt.clamp(mt.amin(x), max=0), mt.clamp(mt.amax(x), min=0)
    scale = (high - low) / 255
    scale = mt.where(scale == 0, mt.ones_like(scale), scale)
    zero = _cut(-low / scale, mt.uint8)
    return _cut(mt.round(x / scale) + zero.to(x.dtype), mt.uint8), scale, zero


@reads("MatMulInteger")
def _matmul_integer(a: Any, b: Any, a_zero: Any = None, b_zero: Any = None) -> Any:
    return mt.matmul(_centred(a, a_zero, -2), _centred(b, b_zero, -1)).to(mt.int32)


@reads("ConvInteger")
def _conv_integer(x: Any, w: Any, x_zero: Any = None, w_zero: Any = None, **how: Any) -> Any:
    return _conv(_centred(x, x_zero), _centred(w, w_zero, 0), **how).to(mt.int32)


def _requantized(y: Any, scale: Any, zero: Any) -> Any:
    """Sums of integers, times a scale, in the dtype of the zero point."""
    return _cut(mt.round(y.to(mt.float32) * scale) + zero.to(mt.float32), zero.dtype)


@reads("QLinearConv")
def _qlinear_conv(
    x: Any,
    x_scale: Any,
    x_zero: Any,
    w: Any,
    w_scale: Any,
    w_zero: Any,
    y_scale: Any,
    y_zero: Any,
    bias: Any = None,
    **how: Any,
) -> Any:
    sums = _conv(_centred(x, x_zero), _centred(w, w_zero, 0), None if bias is None else bias.to(mt.float64), **how)
    return _requantized(sums, _wide(x_scale * w_scale / y_scale, sums.ndim, 1), y_zero)


@reads("QLinearMatMul")
def _qlinear_matmul(
    a: Any, a_scale: Any, a_zero: Any, b: Any, b_scale: Any, b_zero: Any, y_scale: Any, y_zero: Any
) -> Any:
    sums = mt.matmul(_centred(a, a_zero, -2), _centred(b, b_zero, -1))
    a_scale, b_scale = _wide(a_scale, sums.ndim, -2), _wide(b_scale, sums.ndim, -1)
    return _requantized(sums, a_scale * b_scale / y_scale, y_zero)


# --- of onnxruntime, where its own tool writes them into quantized models ---------------------------------------------

_THEIRS = "com.microsoft"


def _both(name: str, of: Any) -> None:
    """An operator of two quantized tensors, whose result is quantized."""

    def run(
        a: Any, a_scale: Any, a_zero: Any, b: Any, b_scale: Any, b_zero: Any, y_scale: Any, y_zero: Any = None
    ) -> Any:
        y = of(_dequantize(a, a_scale, a_zero), _dequantize(b, b_scale, b_zero))
        return _quantize(y, y_scale, y_zero)

    reads(name, domain=_THEIRS)(run)


_both("QLinearAdd", mt.add)
_both("QLinearMul", mt.mul)


def _one(name: str, of: Any) -> None:
    """An operator of a quantized tensor, whose result is quantized."""

    def run(
        x: Any, x_scale: Any, x_zero: Any, y_scale: Any, y_zero: Any = None, *, channels_last: int = 0, **how: Any
    ) -> Any:
        y = _dequantize(x, x_scale, x_zero)
        y = of(mt.movedim(y, -1, 1) if channels_last else y, **how)
        return _quantize(mt.movedim(y, 1, -1) if channels_last else y, y_scale, y_zero)

    reads(name, domain=_THEIRS)(run)


_one("QLinearSigmoid", mt.sigmoid)
_one("QLinearLeakyRelu", lambda x, *, alpha=0.01: mt.nn.functional.leaky_relu(x, alpha))
_one("QLinearSoftmax", lambda x, *, axis=-1, opset=13: mt.softmax(x, axis))
_one("QLinearGlobalAveragePool", lambda x: mt.mean(x, tuple(range(2, x.ndim)), True))


@reads("QLinearConcat", domain=_THEIRS)
def _qlinear_concat(y_scale: Any, y_zero: Any, *parts: Any, axis: int) -> Any:
    made = [_dequantize(*parts[i : i + 3]) for i in range(0, len(parts), 3)]
    return _quantize(mt.cat(made, axis), y_scale, y_zero)


@reads("QGemm", domain=_THEIRS)
def _qgemm(
    a: Any,
    a_scale: Any,
    a_zero: Any,
    b: Any,
    b_scale: Any,
    b_zero: Any,
    bias: Any = None,
    y_scale: Any = None,
    y_zero: Any = None,
    *,
    alpha: float = 1.0,
    transA: int = 0,
    transB: int = 0,
) -> Any:
    x, y = _centred(a, a_zero), _centred(b, b_zero, 0 if transB else 1)
    sums = mt.matmul(x.T if transA else x, y.T if transB else y)
    sums = sums if bias is None else sums + bias.to(mt.float64)
    if y_scale is None:
        return sums.to(mt.float32) * (alpha * a_scale * b_scale)
    return _requantized(sums, alpha * a_scale * b_scale / y_scale, y_zero)


@reads("DynamicQuantizeMatMul", domain=_THEIRS)
def _dynamic_matmul(x: Any, w: Any, w_scale: Any, w_zero: Any = None, bias: Any = None) -> Any:
    q, scale, zero = _quantize_to_range(x)
    y = _matmul_integer(q, w, zero, w_zero).to(mt.float32) * (scale * w_scale)
    return y if bias is None else y + bias


@reads("MatMulIntegerToFloat", domain=_THEIRS)
def _matmul_to_float(
    a: Any, b: Any, a_scale: Any, b_scale: Any, a_zero: Any = None, b_zero: Any = None, bias: Any = None
) -> Any:
    y = _matmul_integer(a, b, a_zero, b_zero).to(mt.float32) * (a_scale * b_scale)
    return y if bias is None else y + bias


@reads("DynamicQuantizeLSTM", domain=_THEIRS)
def _dynamic_lstm(x: Any, w: Any, r: Any, *more: Any, **how: Any) -> Any:
    """With the quantized weights; inputs and states, which onnxruntime rounds to 8 bits too, stay as they are."""
    *rest, w_scale, w_zero, r_scale, r_zero = more
    turned = [
        mt.transpose(_dequantize(v, scale.reshape((v.shape[0], 1, -1)), zero.reshape((v.shape[0], 1, -1))), 1, 2)
        for v, scale, zero in ((w, w_scale, w_zero), (r, r_scale, r_zero))
    ]
    return _recurrent("LSTM", x, *turned, *rest, **how)


@reads("FusedConv", domain=_THEIRS)
def _fused_conv(
    x: Any,
    w: Any,
    b: Any = None,
    z: Any = None,
    *,
    activation: str = "",
    activation_params: Any = None,
    **how: Any,
) -> Any:
    y = _conv(x, w, b, **how)
    y = y if z is None else y + z
    if activation == "Clip":
        return mt.clamp(y, *activation_params)
    first, second = [*(activation_params or ()), None, None][:2]
    return _ACTIVATIONS[activation](y, first, second) if activation else y
