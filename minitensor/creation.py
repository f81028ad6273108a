"""Tensors out of data and out of nothing: tensor, zeros, arange and their kin. Random ones are in random.py.

`device`, `layout`, `pin_memory` and `memory_format` are PyTorch's; every tensor lies in plain memory of the CPU, and
all but `device` may say what they like. Windows are in windows.py.
"""

from __future__ import annotations

import builtins
import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from . import dtypes
from .device import CPU, check, get_default, without_memory
from .errors import DtypeError, OutOfMemoryError, ShapeError
from .graph.record import quietly
from .graph.tensors import vmap_layer
from .ops import common
from .ops.common import array_of, diagonal, evenly, filled, order_of_copy, progression, raw, small, write_out
from .ops.shape import new_sizes
from .tensor import Tensor

__all__ = [
    "arange",
    "as_tensor",
    "asarray",
    "empty",
    "empty_like",
    "empty_strided",
    "eye",
    "from_numpy",
    "frombuffer",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "range",
    "scalar_tensor",
    "tensor",
    "tril_indices",
    "triu_indices",
    "zeros",
    "zeros_like",
]


finish: Callable[[Any, bool], Tensor] = common.finish


def _array(data: Any, dtype: Any, device: Any, copy: bool) -> Any:
    """Data as an ndarray of one of our dtypes: Python floats and nested lists become the default dtype."""
    check(device)
    wanted = None if dtype is None else dtypes.of(dtype).numpy
    if isinstance(data, Tensor):
        data = data.array
    if isinstance(data, (np.ndarray, np.generic)):
        if wanted is None:
            wanted = dtypes.of(data.dtype).numpy
        return dtypes.owned(np.array(data, wanted, copy=copy or None, order="C" if copy else "K"))
    found: set[dtypes.dtype] = set()
    given, data = data, _plain(data, found)
    if wanted is None:
        known = found or {dtypes.get_default_dtype()}
        wanted = (known.pop() if len(known) == 1 else functools.reduce(dtypes.promote_types, known)).numpy
    fresh = type(data) in _PLAIN  # so is the array that NumPy makes of it
    try:
        out = np.asarray(data)
        if out.dtype.kind == "O" and wanted.kind == "f":  # integers beyond int64
            out = np.asarray(data, np.float64)
    except OverflowError:
        raise DtypeError(f"tensor: a number of {given!r:.60} does not fit into {wanted}") from None
    except ValueError as error:
        raise ShapeError(f"tensor: the nested lists do not make a rectangle ({error})") from None
    if fresh and out.dtype is wanted:
        return out
    if wanted.kind in "iu" and out.dtype.kind != "b" and out.size:  # Python's numbers are not cut off
        limits = np.iinfo(wanted)
        if not (np.all(out >= -limits.max - (wanted.kind == "i")) and np.all(out < limits.max + 1)):
            raise DtypeError(f"tensor: a number of {given!r:.60} does not fit into {wanted}")
    if out.dtype.kind == "c" and wanted.kind != "c":
        raise DtypeError(f"tensor: a complex number of {given!r:.60} is none of {wanted}")
    return quietly(out.astype, (wanted,), {})


_PYTHON = {builtins.bool: dtypes.bool_, int: dtypes.int64}


def _dtype_of(kind: type) -> dtypes.dtype:
    """What Python's numbers of a class become."""
    if kind is builtins.complex:
        return dtypes.get_default_dtype().to_complex()
    return dtypes.get_default_dtype() if kind is float else _PYTHON[kind]


def _plain(data: Any, found: set[dtypes.dtype]) -> Any:
    """Nested lists without tensors; the dtypes of all the numbers, tensors and arrays in them are added to `found`.

    A tensor of one element counts as a number.
    """
    if isinstance(data, (list, tuple)):
        classes = set(map(type, data))
        if not classes <= _NUMBERS:
            return [_plain(x, found) for x in data]
    else:
        classes = {type(data)}
    if classes <= _NUMBERS:
        found.update(map(_dtype_of, classes))
        return data
    if isinstance(data, Tensor):
        data = data.array.reshape(()) if data.array.size == 1 else data.array
    elif isinstance(data, builtins.range):
        data = np.arange(data.start, data.stop, data.step, dtype=np.int64)
    elif isinstance(data, (float, int)) and not isinstance(data, np.generic):  # of a class of the user's own
        return _plain(float(data) if isinstance(data, float) else int(data), found)
    elif not isinstance(data, (np.ndarray, np.generic)):
        data = _foreign(data)
    found.add(dtypes.of(data.dtype))
    return data


_NUMBERS = {float, int, builtins.bool, builtins.complex}
_PLAIN = {*_NUMBERS, list, tuple}
_REAL = {float, int, type(None)}
_I64 = dtypes.int64.numpy
_FEW = 4096  # numbers that are made without further ado


def _foreign(data: Any) -> Any:
    """An array of what is neither number nor list, but shows its memory to NumPy: a buffer, another library's array."""
    if isinstance(data, (bytearray, memoryview)) or hasattr(data, "__array__"):
        return np.asarray(data)
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return np.asarray(_array(list(data), None, None, False))
    raise DtypeError(f"tensor: cannot make numbers of {type(data).__name__} data {data!r:.60}")


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
    if min(array.strides, default=0) < 0:
        raise ShapeError(f"{name}: the array of shape {array.shape} has a negative stride; pass array.copy()")


def from_numpy(array: Any) -> Tensor:
    """A tensor that shares the memory of an ndarray. Where that is read-only, writing to the tensor is an error.

    Raises TypeError for anything else, DtypeError for dtypes that minitensor has not, and ShapeError for negative
    strides.

    >>> mt.from_numpy(np.arange(3))
    tensor([0, 1, 2])
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected an ndarray, got {type(array).__name__}")
    array = dtypes.owned(array)
    _check_strides("from_numpy", array)
    return finish(array, False)


def asarray(
    obj: Any, *, dtype: Any = None, device: Any = None, copy: bool | None = None, requires_grad: bool | None = None
) -> Tensor:
    """A tensor of `obj`, in its memory where that is possible; `copy` forbids it (True) or insists on it (False).

    >>> mt.asarray([1, 2])
    tensor([1, 2])
    """
    made = tensor(obj, dtype=dtype, device=device) if copy else as_tensor(obj, dtype, device)
    given = raw(obj)
    if copy is False and not (isinstance(given, np.ndarray) and np.shares_memory(made.array, given)):
        raise ShapeError("asarray: copy=False, but the data cannot be shared as they are")
    return made if requires_grad is None else made.detach().requires_grad_(requires_grad)


def frombuffer(buffer: Any, *, dtype: Any, count: int = -1, offset: int = 0, requires_grad: bool = False) -> Tensor:
    """A vector that shares the memory of a Python buffer, from byte `offset` on; `count` elements, or all (-1).

    Raises ShapeError where the buffer does not hold them.

    >>> mt.frombuffer(bytearray([1, 0, 2, 0]), dtype=mt.int16)
    tensor([1, 2], dtype=minitensor.int16)
    """
    try:
        array = np.frombuffer(buffer, dtypes.of(dtype).numpy, count, offset)
    except ValueError as error:
        raise ShapeError(f"frombuffer: {error}") from None
    return finish(array, requires_grad)


def scalar_tensor(s: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False) -> Tensor:
    """A tensor without axes, of the default dtype unless another is given.

    >>> mt.scalar_tensor(3)
    tensor(3.)
    """
    d = dtypes.get_default_dtype() if dtype is None else dtype
    return tensor(s, dtype=d, device=device, requires_grad=requires_grad)


# --- out of nothing ---------------------------------------------------------------------------------------------------


def made(
    name: str,
    make: Callable[[Any], Any],
    dtype: Any,
    device: Any,
    out: Any,
    requires_grad: bool,
    shape: tuple[int, ...] | None = None,
) -> Tensor:
    """The tensor over make(NumPy dtype); the dtype is the one given, else that of `out`, else the default one.

    With `shape`, that of the result, nothing is made for the device "meta".
    """
    meta = check(device)
    if dtype is None:
        d = dtypes.get_default_dtype() if out is None else dtypes.of(array_of(out).dtype)
    else:
        d = dtypes.of(dtype)
    try:
        array = without_memory(shape, d.numpy) if meta and shape is not None else make(d.numpy)
    except MemoryError as error:
        raise OutOfMemoryError(f"{name}: no memory for a tensor of dtype {d.name}: {error}") from None
    except OverflowError as error:
        raise DtypeError(f"{name}: {error} ({d.name})") from None
    made = finish(without_memory(array.shape, d.numpy) if meta else array, requires_grad)
    if out is None:
        return made
    written: Tensor = write_out(name, made, out)
    return written


def _small(like: Any, value: Any, dtype: Any, device: Any, out: Any, requires_grad: bool) -> Tensor | None:
    """A small tensor of one value, or None where something is asked for that `made` has to look at.

    `like` holds the sizes, or is an array that has them, and the dtype if none is given.
    """
    if out is not None or device is not None or get_default() is not CPU:
        return None
    array = small(like, value, None if dtype is None else dtypes.of(dtype).numpy)
    return None if array is None else finish(array, requires_grad)


def _size(name: str, sizes: tuple[Any, ...], size: Any) -> tuple[int, ...]:
    """The shape given as integers, as one sequence, or as `size=`."""
    if size is not None:
        if sizes:
            raise TypeError(f"{name}: the size is given twice")
        sizes = (size,)
    return new_sizes(name, sizes)


def _numbers(*values: Any) -> Sequence[Any]:
    """Tensors and arrays of one element as Python numbers."""
    if _REAL.issuperset(map(type, values)):
        return values
    return [
        v.item() if type(v) not in _NUMBERS and isinstance(v, (Tensor, np.ndarray, np.generic)) else v for v in values
    ]


def zeros(
    *sizes: Any,
    size: Any = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of zeros. The size is given as integers, as one sequence, or as `size=`.

    >>> mt.zeros(2, 3)
    tensor([[0., 0., 0.],
            [0., 0., 0.]])
    """
    if size is None:
        usual = _small(sizes, 0, dtype or dtypes.get_default_dtype(), device, out, requires_grad)
        if usual is not None:
            return usual
    shape = _size("zeros", sizes, size)
    return made("zeros", lambda d: filled(shape, 0, d), dtype, device, out, requires_grad, shape)


def ones(
    *sizes: Any,
    size: Any = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor of ones. The size is given as integers, as one sequence, or as `size=`.

    >>> mt.ones(3)
    tensor([1., 1., 1.])
    """
    if size is None:
        usual = _small(sizes, 1, dtype or dtypes.get_default_dtype(), device, out, requires_grad)
        if usual is not None:
            return usual
    shape = _size("ones", sizes, size)
    return made("ones", lambda d: filled(shape, 1, d), dtype, device, out, requires_grad, shape)


def empty(
    *sizes: Any,
    size: Any = None,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A tensor whose values are whatever the memory held; here zeros, so that programs repeat.

    >>> mt.empty(2, 3).shape
    minitensor.Size([2, 3])
    """
    if size is None:
        usual = _small(sizes, 0, dtype or dtypes.get_default_dtype(), device, out, requires_grad)
        if usual is not None:
            return usual
    shape = _size("empty", sizes, size)
    return made("empty", lambda d: np.zeros(shape, d), dtype, device, out, requires_grad, shape)


def _value(name: str, value: Any, dtype: np.dtype[Any]) -> Any:
    """A number in a dtype. Raises DtypeError for one that is cut off there, which not every NumPy refuses."""
    kind = type(value)
    if (kind is float or kind is int) and (
        -1e4 < value < 1e4 if dtype.kind == "f" else kind is int and 0 <= value < 128
    ):
        return value
    try:
        return _array(value, dtypes.of(dtype), None, False)
    except DtypeError:
        raise DtypeError(f"{name}: {value!r} does not fit into {dtype}") from None


def full(
    size: Any,
    fill_value: Any,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """A tensor of one value, whose dtype it takes unless `dtype` is given: bool, int64 or the default one.

    >>> mt.full((2,), 7)
    tensor([7, 7])
    """
    if type(fill_value) in _NUMBERS:
        usual = _small((size,), fill_value, dtype or dtypes.of_scalar(fill_value), device, out, requires_grad)
        if usual is not None:
            return usual
    shape = new_sizes("full", size if isinstance(size, (tuple, list)) else (size,))
    (value,) = _numbers(fill_value)
    d = dtypes.of_scalar(value) if dtype is None and out is None else dtype
    return made("full", lambda t: filled(shape, _value("full", value, t), t), d, device, out, requires_grad)


def empty_strided(
    size: Any,
    stride: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """As `empty`, with the distance of neighbours along each axis given, in elements.

    >>> mt.empty_strided((2, 3), (1, 2)).stride()
    (1, 2)
    """
    shape, steps = new_sizes("empty_strided", (size,)), new_sizes("empty_strided", (stride,))
    if len(shape) != len(steps):
        raise ShapeError(f"empty_strided: {len(shape)} sizes {shape}, but {len(steps)} strides {steps}")
    count = 0 if 0 in shape else 1 + sum([(n - 1) * s for n, s in zip(shape, steps, strict=True)])

    def make(d: Any) -> Any:
        memory = np.zeros(new_sizes("empty_strided", (count,)), d)
        return np.ndarray(shape, d, memory, 0, [s * d.itemsize for s in steps])

    return made("empty_strided", make, dtype, device, None, requires_grad)


def _like(name: str, value: Any, input: Any, dtype: Any, device: Any, requires_grad: bool) -> Tensor:
    """A tensor of one value in the shape, dtype and order of axes in memory of `input`."""
    if isinstance(input, Tensor) and input.layer is None:
        usual = _small(input.array, value, dtype, device, None, requires_grad)
        if usual is not None:
            return usual
    batch = vmap_layer(input)
    if batch is not None:  # one for each element, so that it can be written with values that differ
        return batch.through(lambda x: _like(name, value, x, dtype, device, requires_grad), input)  # type: ignore[no-any-return]
    x = array_of(input)
    d = dtypes.of(x.dtype) if dtype is None else dtype

    def make(t: Any) -> Any:
        v = _value(name, value, t)
        if not x.flags.c_contiguous:
            return np.full_like(x, v, t, order_of_copy(x))
        return filled(x.shape, v, t)

    return made(name, make, d, device, None, requires_grad)


def zeros_like(
    input: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Zeros in the shape, dtype and order of axes in memory of `input`.

    >>> mt.zeros_like(mt.tensor([1, 2]))
    tensor([0, 0])
    """
    return _like("zeros_like", 0, input, dtype, device, requires_grad)


def ones_like(
    input: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """Ones in the shape, dtype and order of axes in memory of `input`.

    >>> mt.ones_like(mt.tensor([1, 2]))
    tensor([1, 1])
    """
    return _like("ones_like", 1, input, dtype, device, requires_grad)


def empty_like(
    input: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """As `empty`, in the shape, dtype and order of axes in memory of `input`.

    >>> mt.empty_like(mt.tensor([1, 2])).shape
    minitensor.Size([2])
    """
    return _like("empty_like", 0, input, dtype, device, requires_grad)


def full_like(
    input: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """One value in the shape, dtype and order of axes in memory of `input`.

    >>> mt.full_like(mt.tensor([1, 2]), 7)
    tensor([7, 7])
    """
    (value,) = _numbers(fill_value)
    return _like("full_like", value, input, dtype, device, requires_grad)


# --- ranges -----------------------------------------------------------------------------------------------------------


def _steps(name: str, first: Any, last: Any, by: Any) -> Any:
    """How many steps, whole or not, lead from the first to the last; of integers rounded up, and exact."""
    whole = isinstance(first + last + by, int)
    if whole and by == 1 and last >= first:
        return last - first
    if not (whole or (math.isfinite(first) and math.isfinite(last) and math.isfinite(by))):
        raise ShapeError(f"{name}: {first}, {last} and {by} must be finite")
    if by == 0 or (last < first if by > 0 else last > first):
        raise ShapeError(f"{name}: no way from {first} to {last} by steps of {by}")
    return -((first - last) // by) if whole else (last - first) / by


def _progression(name: str, first: Any, by: Any, count: int, dtype: Any) -> Any:
    if count >= _FEW:
        new_sizes(name, (count,))
    whole = isinstance(first + by, int)
    reach = abs(first) + abs(by) * count
    if whole and dtype is _I64 and count < _FEW and reach < 2**53:  # exact in double
        return progression(first, by, count, dtype)
    if whole and reach < 2**62:
        return np.arange(first, first + by * count, by, dtype=np.int64).astype(dtype, copy=False)
    steps = None if whole else progression(float(first), float(by), count, dtype)
    return (first + by * np.arange(count)).astype(dtype) if steps is None else steps


def arange(
    start: Any = 0,
    end: Any = None,
    step: Any = 1,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """start, start + step, ... up to but without `end`; `arange(end)` starts at 0.

        n = ceil((end - start) / step)

    int64 if all three are integers, else the default dtype; an integer `dtype` first makes integers of the three.
    Raises ShapeError if the step leads away from `end`.

    >>> mt.arange(1, 7, 2)
    tensor([1, 3, 5])
    """
    first, last, by = _numbers(start, end, step)
    if last is None:
        first, last = 0, first
    wanted = dtype if dtype is not None or out is None else array_of(out).dtype
    whole = isinstance(first, int) and isinstance(last, int) and isinstance(by, int)
    if wanted is None:
        wanted = dtypes.int64 if whole else dtypes.get_default_dtype()
    d = dtypes.of(wanted).numpy
    kind = d.kind
    if kind == "b":
        raise DtypeError("arange: bools make no range")
    if not whole and kind in "iu" and math.isfinite(first) and math.isfinite(last) and math.isfinite(by):
        first, last, by = int(first), int(last), int(by)
    count = math.ceil(_steps("arange", first, last, by))
    if count < _FEW and out is None and device is None and get_default() is CPU:
        return finish(_progression("arange", first, by, count, d), requires_grad)
    return made("arange", lambda d: _progression("arange", first, by, count, d), wanted, device, out, requires_grad)


def range(
    start: Any,
    end: Any,
    step: Any = 1,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """start, start + step, ... up to and with `end`; of the default dtype. `arange` is Python's range.

    >>> mt.range(1, 4)
    tensor([1., 2., 3., 4.])
    """
    first, last, by = _numbers(start, end, step)
    count = math.floor(_steps("range", float(first), float(last), float(by))) + 1
    return made("range", lambda d: _progression("range", first, by, count, d), dtype, device, out, requires_grad)


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """`steps` values from `start` to `end`, both included, at equal distances.

    >>> mt.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    (count,) = new_sizes("linspace", (steps,))
    first, last = _numbers(start, end)
    if count < _FEW and out is None and device is None and get_default() is CPU:
        d = dtypes.get_default_dtype() if dtype is None else dtypes.of(dtype)
        if d.is_floating_point:
            return finish(_even(first, last, count, d.numpy), requires_grad)
    return made("linspace", lambda d: _even(first, last, count, d), dtype, device, out, requires_grad)


def _even(first: Any, last: Any, count: int, dtype: np.dtype[Any]) -> Any:
    """The values of `linspace`, digit for digit PyTorch's: from both ends to the middle, each rounded once."""
    even = evenly(first, last, count, dtype)
    return np.linspace(first, last, count).astype(dtype) if even is None else even


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: Any = 10.0,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """`steps` powers of `base`, whose exponents run from `start` to `end` at equal distances.

        out_i = base^(start + i (end - start) / (steps - 1))

    >>> mt.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    (count,) = new_sizes("logspace", (steps,))
    first, last, b = _numbers(start, end, base)

    def make(d: Any) -> Any:
        with np.errstate(all="ignore"):
            return np.power(float(b), np.linspace(first, last, count)).astype(d)

    return made("logspace", make, dtype, device, out, requires_grad)


# --- matrices ---------------------------------------------------------------------------------------------------------


def eye(
    n: int,
    m: int | None = None,
    *,
    out: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Tensor:
    """The n x m matrix (n x n unless m is given) with ones on its diagonal.

    >>> mt.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    rows, cols = new_sizes("eye", (n, n if m is None else m))
    usual = _small((rows, cols), 0, dtype or dtypes.get_default_dtype(), device, out, requires_grad)
    if usual is not None:
        diagonal(usual.array, 0, 0, 1).fill(1)
        return usual
    return made("eye", lambda d: np.eye(rows, cols, dtype=d), dtype, device, out, requires_grad)


def _triangle(name: str, row: int, col: int, lower: bool, offset: int, dtype: Any, device: Any) -> Tensor:
    rows, cols = new_sizes(name, (row, col))
    inside = np.tri(rows, cols, offset if lower else offset - 1, bool)
    places = np.stack(np.nonzero(inside if lower else ~inside))
    return made(name, lambda d: places.astype(d), dtypes.int64 if dtype is None else dtype, device, None, False)


def tril_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
) -> Tensor:
    """The (row, column) indices of the lower triangle of a row x col matrix, as the two rows of a matrix.

    The triangle ends `offset` places right of the diagonal.

    >>> mt.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _triangle("tril_indices", row, col, True, offset, dtype, device)


def triu_indices(
    row: int, col: int, offset: int = 0, *, dtype: Any = None, device: Any = None, layout: Any = None
) -> Tensor:
    """The (row, column) indices of the upper triangle, which begins `offset` places right of the diagonal.

    >>> mt.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _triangle("triu_indices", row, col, False, offset, dtype, device)
