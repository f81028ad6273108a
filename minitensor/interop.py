"""Tensors out of other libraries' arrays and for them: DLPack, and PyTorch's typed constructors.

NumPy needs no more than the methods `numpy`, `__array__` and `__array_wrap__`: `np.asarray(x)` is the tensor's own
memory, and a NumPy function on a tensor gives a tensor, outside the graph. Python's buffer protocol is the ndarray's:
`memoryview(x.numpy())`.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from . import creation, dtypes, naming
from .device import check
from .methods import need_tensor
from .ops import rearrange
from .ops.common import array_of
from .ops.complex import conj
from .ops.shape import clone
from .tensor import VERSIONED, Size, Tensor

__all__ = [
    "BFloat16Tensor",
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "can_cast",
    "conj",
    "conj_physical",
    "detach",
    "fill",
    "from_dlpack",
    "is_complex",
    "is_conj",
    "is_floating_point",
    "is_inference",
    "is_neg",
    "is_nonzero",
    "is_same_size",
    "is_signed",
    "is_tensor",
    "numel",
    "resolve_conj",
    "resolve_neg",
    "result_type",
    "to_dlpack",
    "typename",
]


def is_tensor(obj: Any) -> bool:
    """Whether `obj` is a tensor.

    >>> mt.is_tensor([1, 2])
    False
    """
    return isinstance(obj, Tensor)


def is_floating_point(input: Tensor) -> bool:
    """Whether the dtype of a tensor is floating.

    >>> mt.is_floating_point(mt.tensor(1))
    False
    """
    return array_of(input).dtype.kind == "f"


def is_complex(input: Tensor) -> bool:
    """Whether the dtype is complex.

    >>> mt.is_complex(mt.tensor(1.0))
    False
    """
    return array_of(input).dtype.kind == "c"


def is_signed(input: Tensor) -> bool:
    """Whether the dtype of a tensor has negative numbers.

    >>> mt.is_signed(mt.tensor(1, dtype=mt.uint8))
    False
    """
    return dtypes.of(array_of(input).dtype).is_signed


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element of a tensor is not 0. Raises ShapeError for more or fewer elements.

    >>> mt.is_nonzero(mt.tensor([0.0]))
    False
    """
    return bool(input)


def is_inference(input: Tensor) -> bool:
    """Whether a tensor was made in inference mode.

    >>> mt.is_inference(mt.tensor(1.0))
    False
    """
    need_tensor("is_inference", input)
    return bool(input.is_inference())


def is_same_size(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape.

    >>> mt.is_same_size(mt.zeros(2), mt.zeros(3))
    False
    """
    return bool(array_of(input).shape == array_of(other).shape)


conj_physical = conj


def resolve_conj(input: Tensor) -> Tensor:
    """The tensor itself: conjugates are computed at once.

    >>> mt.resolve_conj(mt.tensor([1 - 2j]))
    tensor([1.-2.j])
    """
    return input


resolve_neg = resolve_conj


def is_conj(input: Tensor) -> bool:
    """False: conjugates are computed at once.

    >>> mt.is_conj(mt.tensor([1 - 2j]).conj())
    False
    """
    return False


is_neg = is_conj


def detach(input: Tensor) -> Tensor:
    """The same memory outside the graph.

    >>> mt.detach(mt.ones(1, requires_grad=True)).requires_grad
    False
    """
    need_tensor("detach", input)
    out: Tensor = input.detach()
    return out


def fill(input: Tensor, value: Any) -> Tensor:
    """A new tensor of one value in the shape and dtype of another.

    >>> mt.fill(mt.zeros(2), 3)
    tensor([3., 3.])
    """
    need_tensor("fill", input)
    return clone(input).fill_(value)  # type: ignore[no-any-return]


def typename(obj: Any) -> str:
    """The name of a type, or of the type of a value: of a tensor that of its dtype.

    >>> mt.typename(mt.tensor([1]))
    'minitensor.LongTensor'
    """
    if isinstance(obj, Tensor):
        return str(obj.type())
    kind = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(kind, "__module__", None)
    return str(kind.__qualname__) if module in (None, "builtins") else f"{module}.{kind.__qualname__}"


def result_type(tensor: Any, other: Any) -> dtypes.dtype:
    """The dtype of an operation on two tensors or Python numbers.

    >>> mt.result_type(mt.tensor([1, 2]), 1.0)
    minitensor.float32
    """
    given = [(x.dtype, x.ndim) for x in (tensor, other) if isinstance(x, Tensor)]
    return dtypes.result_type(given, [x for x in (tensor, other) if not isinstance(x, Tensor)])


def can_cast(from_: Any, to: Any) -> bool:
    """Whether a result of one dtype may be written into a tensor of the other: not from a higher category to a lower.

    >>> mt.can_cast(mt.float32, mt.int64)
    False
    """
    return dtypes.of(from_).rank <= dtypes.of(to).rank


def broadcast_shapes(*shapes: Any) -> Size:
    """The shape that tensors of the given shapes (ints count as one axis) have when they broadcast.

    >>> mt.broadcast_shapes((2, 1), 3)
    minitensor.Size([2, 3])
    """
    return Size(rearrange.broadcast_shapes(*shapes))


def numel(input: Tensor) -> int:
    """The number of a tensor's elements.

    >>> mt.numel(mt.zeros(2, 3))
    6
    """
    return int(array_of(input).size)


class _Capsule:
    """A DLPack capsule as an object of the protocol: it can be taken once."""

    def __init__(self, capsule: Any) -> None:
        self._capsule = capsule

    def __dlpack__(self, **_: Any) -> Any:
        return self._capsule

    def __dlpack_device__(self) -> tuple[int, int]:
        return 1, 0  # the CPU


def _taken(source: Any) -> Any:
    """An ndarray over the memory that a capsule, or an object of the protocol, offers."""
    capsule = source
    if type(source).__name__ != "PyCapsule":
        device = tuple(map(int, source.__dlpack_device__()))
        if device != (1, 0):
            raise BufferError(f"from_dlpack: device {device} of {type(source).__name__} is not the CPU, (1, 0)")
        try:
            capsule = source.__dlpack__(max_version=(1, 0)) if VERSIONED else source.__dlpack__()
        except TypeError:  # from before there were versions
            capsule = source.__dlpack__()
    versioned = "versioned" in repr(capsule)
    array = np.from_dlpack(_Capsule(capsule))
    return array if versioned or array.flags.writeable or array.size == 0 else _writeable(array)


def _writeable(array: Any) -> Any:
    """The same memory for writing: a capsule without a version says nothing of it, and NumPy then forbids it."""
    reach = [(n - 1) * step for n, step in zip(array.shape, array.strides, strict=True)]
    before = -sum(r for r in reach if r < 0)
    size = before + sum(r for r in reach if r > 0) + array.itemsize
    memory: Any = (ctypes.c_char * size).from_address(array.ctypes.data - before)
    memory.owner = array
    return np.ndarray(array.shape, array.dtype, memory, before, array.strides)


def from_dlpack(ext_tensor: Any, *, device: Any = None, copy: bool | None = None) -> Tensor:
    """A tensor in the memory of another library's array (NumPy's, PyTorch's, JAX's) or of a DLPack capsule.

    `copy=True` gives it memory of its own. Where the memory is read-only, writing to the tensor is an error.
    Raises TypeError for what is not of the protocol, BufferError for memory that is not the CPU's or that requires
    gradients there, DtypeError for dtypes that minitensor has not, and ShapeError for negative strides.

    >>> a = np.zeros(2)
    >>> x = mt.from_dlpack(a)
    >>> a[0] = 5
    >>> x
    tensor([5., 0.], dtype=minitensor.float64)
    """
    check(device)
    if not (hasattr(ext_tensor, "__dlpack__") or type(ext_tensor).__name__ == "PyCapsule"):
        raise TypeError(f"from_dlpack: {type(ext_tensor).__name__} has no __dlpack__; tensor() copies other data")
    if isinstance(ext_tensor, Tensor) and not copy:
        out: Tensor = ext_tensor.detach()  # the same memory, and the same count of writes to it
        return out
    # NumPy has no DLPack for those of its arrays that are read-only.
    array = ext_tensor if isinstance(ext_tensor, np.ndarray) else _taken(ext_tensor)
    return creation.from_numpy(array.copy() if copy else array)


def to_dlpack(tensor: Any) -> Any:
    """A capsule with the tensor's memory, for `from_dlpack` of any library, once.

    >>> mt.from_dlpack(mt.utils.dlpack.to_dlpack(mt.ones(2)))
    tensor([1., 1.])
    """
    return tensor.__dlpack__()


class TensorType:
    """One of PyTorch's typed constructors: `LongTensor([1, 2])` is data, `LongTensor(2, 3)` sizes.

    `isinstance(x, mt.LongTensor)` asks for the dtype.
    """

    def __init__(self, name: str, dtype: dtypes.dtype) -> None:
        self.__name__ = self.__qualname__ = name
        self.dtype = dtype

    def __call__(self, *data: Any) -> Tensor:
        if len(data) == 1 and isinstance(data[0], float):
            raise TypeError(f"{self.__name__}: expected data in a list or sizes, not the number {data[0]}")
        if len(data) == 1 and not isinstance(data[0], (int, np.integer, Size)):
            return creation.tensor(data[0], dtype=self.dtype)
        return creation.zeros(*(data or (0,)), dtype=self.dtype)

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is self.dtype

    def __repr__(self) -> str:
        return f"<class '{naming.full(self.__name__)}'>"

    def __reduce__(self) -> str:
        return self.__name__


BoolTensor = TensorType("BoolTensor", dtypes.bool_)
ByteTensor = TensorType("ByteTensor", dtypes.uint8)
CharTensor = TensorType("CharTensor", dtypes.int8)
ShortTensor = TensorType("ShortTensor", dtypes.int16)
IntTensor = TensorType("IntTensor", dtypes.int32)
LongTensor = TensorType("LongTensor", dtypes.int64)
HalfTensor = TensorType("HalfTensor", dtypes.float16)
BFloat16Tensor = TensorType("BFloat16Tensor", dtypes.bfloat16)
FloatTensor = TensorType("FloatTensor", dtypes.float32)
DoubleTensor = TensorType("DoubleTensor", dtypes.float64)
