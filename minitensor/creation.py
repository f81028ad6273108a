"""Tensors out of data and out of nothing: tensor, zeros, arange and their kin. Random ones are in random.py."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from . import dtypes
from .device import check
from .errors import DtypeError, OutOfMemoryError, ShapeError
from .graph import wrap
from .ops.common import raw
from .ops.shape import new_sizes
from .tensor import Tensor

__all__ = [
    "arange",
    "as_tensor",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "ones",
    "ones_like",
    "tensor",
    "zeros",
    "zeros_like",
]


def finish(array: Any, requires_grad: bool) -> Tensor:
    """A leaf over a fresh array."""
    out: Tensor = wrap(array)
    if requires_grad:
        out.requires_grad = True
    return out


def _array(data: Any, dtype: Any, device: Any, copy: bool) -> Any:
    """Data as an ndarray of one of our dtypes: Python floats and nested lists become the default dtype."""
    check(device)
    wanted = None if dtype is None else dtypes.of(dtype).numpy
    if isinstance(data, Tensor):
        data = data.array
    if isinstance(data, (np.ndarray, np.generic)):
        if wanted is None:
            wanted = dtypes.of(data.dtype).numpy
        return np.array(data, wanted, copy=copy or None, order="C" if copy else "K")
    try:
        out = np.asarray(_plain(data))
    except ValueError as error:
        raise ShapeError(f"tensor: the nested lists do not make a rectangle ({error})") from None
    if wanted is None:
        kind = out.dtype.kind
        if kind == "f" and not _from_numpy(data):
            wanted = dtypes.get_default_dtype().numpy
        elif out.dtype.kind in "OUS":
            raise DtypeError(f"tensor: cannot make numbers of {type(data).__name__} data {data!r:.60}")
        else:
            wanted = dtypes.of(out.dtype).numpy
    try:
        return out.astype(wanted)
    except (TypeError, ValueError):
        raise DtypeError(f"tensor: cannot make {wanted} of {type(data).__name__} data {data!r:.60}") from None


def _plain(data: Any) -> Any:
    """Nested lists with the tensors in them as arrays."""
    if isinstance(data, Tensor):
        return data.array
    if isinstance(data, (list, tuple)):
        return [_plain(x) for x in data]
    return list(data) if isinstance(data, range) else data


def _from_numpy(data: Any) -> bool:
    """Whether nested lists hold arrays or tensors, whose dtype counts, instead of Python floats."""
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (Tensor, np.ndarray, np.generic)) and not isinstance(data, float)


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False, pin_memory: bool = False
) -> Tensor:
    """A tensor with a copy of `data`: a number, nested lists, an ndarray or a tensor.

    Python floats become the default dtype (float32), ints int64, bools bool; NumPy's dtypes are kept.
    Raises ShapeError for ragged lists and DtypeError for data that is not numbers.

    >>> mt.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    return finish(_array(data, dtype, device, True), requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor of `data`, without a copy where it already is one or an ndarray of that dtype.

    >>> mt.as_tensor([1.5])
    tensor([1.5000])
    """
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray):
        _check_strides("as_tensor", data)
    return finish(_array(data, dtype, device, False), False)


def _check_strides(name: str, array: Any) -> None:
    if any(stride < 0 for stride in array.strides):
        raise ShapeError(f"{name}: the array of shape {array.shape} has a negative stride; pass array.copy()")


def from_numpy(array: Any) -> Tensor:
    """A tensor that shares the memory of an ndarray.

    Raises TypeError for anything else, DtypeError for dtypes that minitensor has not, and ShapeError for negative
    strides.

    >>> mt.from_numpy(np.arange(3))
    tensor([0, 1, 2])
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected an ndarray, got {type(array).__name__}")
    dtypes.of(array.dtype)
    _check_strides("from_numpy", array)
    return finish(array, False)


def _filled(name: str, size: Sequence[Any], value: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    check(device)
    shape = new_sizes(name, size)
    d = dtypes.get_default_dtype() if dtype is None else dtypes.of(dtype)
    try:
        array = np.zeros(shape, d.numpy) if value == 0 else np.full(shape, value, d.numpy)
    except MemoryError:
        raise OutOfMemoryError(f"{name}: no memory for a tensor of shape {shape} and dtype {d.name}") from None
    return finish(array, requires_grad)


def zeros(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of zeros.

    >>> mt.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    return _filled("zeros", size, 0, dtype, device, requires_grad)


def ones(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of ones.

    >>> mt.ones(3)
    tensor([1., 1., 1.])
    """
    return _filled("ones", size, 1, dtype, device, requires_grad)


def full(size: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor of one value, whose dtype it takes unless `dtype` is given.

    >>> mt.full((2,), 7)
    tensor([7, 7])
    """
    value = fill_value.item() if isinstance(fill_value, Tensor) else fill_value
    d = dtypes.of_scalar(value) if dtype is None else dtype
    return _filled(
        "full", (tuple(size) if isinstance(size, (tuple, list)) else (size,),), value, d, device, requires_grad
    )


def empty(*size: Any, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor whose values are whatever the memory held; here zeros, so that programs repeat."""
    return _filled("empty", size, 0, dtype, device, requires_grad)


def _like(input: Any, dtype: Any) -> Any:
    return dtypes.of(raw(input).dtype) if dtype is None else dtype


def zeros_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Zeros in the shape and dtype of `input`."""
    return _filled("zeros_like", (raw(input).shape,), 0, _like(input, dtype), device, requires_grad)


def ones_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """Ones in the shape and dtype of `input`."""
    return _filled("ones_like", (raw(input).shape,), 1, _like(input, dtype), device, requires_grad)


def full_like(
    input: Any, fill_value: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """One value in the shape and dtype of `input`."""
    return _filled("full_like", (raw(input).shape,), fill_value, _like(input, dtype), device, requires_grad)


def empty_like(input: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """As `empty`, in the shape and dtype of `input`."""
    return _filled("empty_like", (raw(input).shape,), 0, _like(input, dtype), device, requires_grad)


def arange(
    start: Any, end: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """start, start + step, ... up to but without `end`; `arange(end)` starts at 0.

    int64 if all three are ints, else the default dtype. Raises ShapeError if the step leads away from `end`.

    >>> mt.arange(1, 7, 2)
    tensor([1, 3, 5])
    """
    check(device)
    first, last, by = (v.item() if isinstance(v, Tensor) else v for v in (start, end, step))
    if last is None:
        first, last = 0, first
    if by == 0 or (last - first) * (1 if by > 0 else -1) < 0:
        raise ShapeError(f"arange: no way from {first} to {last} by steps of {by}")
    whole = all(isinstance(v, (int, np.integer)) for v in (first, last, by))
    d = (dtypes.int64 if whole else dtypes.get_default_dtype()) if dtype is None else dtypes.of(dtype)
    count = -((first - last) // by) if whole else math.ceil((last - first) / by)
    values = first + by * np.arange(new_sizes("arange", (count,))[0], dtype=np.int64 if whole else np.float64)
    return finish(values.astype(d.numpy), requires_grad)


def linspace(
    start: float, end: float, steps: int, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` values from `start` to `end`, both included, at equal distances.

    >>> mt.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    check(device)
    d = dtypes.get_default_dtype() if dtype is None else dtypes.of(dtype)
    if steps < 0:
        raise ShapeError(f"linspace: steps must not be negative, got {steps}")
    first, last = (v.item() if isinstance(v, Tensor) else v for v in (start, end))
    return finish(np.linspace(first, last, steps).astype(d.numpy), requires_grad)


def eye(n: int, m: int | None = None, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """The n x m matrix with ones on its diagonal.

    >>> mt.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    check(device)
    rows, cols = new_sizes("eye", (n, n if m is None else m))
    d = dtypes.get_default_dtype() if dtype is None else dtypes.of(dtype)
    return finish(np.eye(rows, cols, dtype=d.numpy), requires_grad)
