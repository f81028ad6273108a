"""The element types, and PyTorch's rules of promotion. PyTorch: docs/source/tensor_attributes."""

from __future__ import annotations

from typing import Any

import numpy as np

from . import _core, naming
from .errors import ComplexError, DtypeError


class dtype:
    """An element type, as `minitensor.float32`; `.numpy` is NumPy's."""

    __slots__ = ("is_complex", "is_floating_point", "is_signed", "itemsize", "name", "numpy", "rank", "type_name")

    def __init__(self, name: str, type_name: str) -> None:
        self.name = name
        self.type_name = type_name  # of PyTorch's constructor
        self.numpy = np.dtype(_core.bfloat16 if name == "bfloat16" else name)
        self.itemsize = self.numpy.itemsize
        self.is_floating_point = self.numpy.kind == "f"
        self.is_signed = self.numpy.kind in "ifc"
        self.is_complex = self.numpy.kind == "c"
        # The category: bool, integer, floating, complex. A higher one wins whatever the sizes.
        self.rank = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}[self.numpy.kind]

    def __repr__(self) -> str:
        return naming.full(self.name)

    def __reduce__(self) -> str | tuple[Any, ...]:
        return of, (self.name,)

    def to_complex(self) -> dtype:
        """The complex dtype whose parts are of this one, or are the default dtype's."""
        if self.is_complex:
            return self
        if self.itemsize == 2 and self.is_floating_point:
            raise ComplexError(f"{self}: no complex numbers are made of half precision")
        return complex128 if (self if self.is_floating_point else _default) is float64 else complex64

    def to_real(self) -> dtype:
        """The dtype of the parts of complex numbers; of another dtype itself."""
        return self if not self.is_complex else float64 if self is complex128 else float32


class Unstored(dtype):
    """A dtype of PyTorch's that programs name and that no tensor has here: to make one of it is an error."""

    __slots__ = ()

    def __init__(self, name: str, itemsize: int, rank: int) -> None:
        self.name = name
        self.itemsize = itemsize
        self.rank = rank
        self.is_complex = rank == 3
        self.is_floating_point = rank == 2
        self.is_signed = rank > 1

    def __reduce__(self) -> str | tuple[Any, ...]:
        return _unstored, (self.name,)


def _unstored(name: str) -> Unstored:
    return next(d for d in UNSTORED if d.name == name)


bool_ = dtype("bool", "BoolTensor")
uint8 = dtype("uint8", "ByteTensor")
int8 = dtype("int8", "CharTensor")
int16 = dtype("int16", "ShortTensor")
int32 = dtype("int32", "IntTensor")
int64 = dtype("int64", "LongTensor")
float16 = dtype("float16", "HalfTensor")
float32 = dtype("float32", "FloatTensor")
float64 = dtype("float64", "DoubleTensor")

bfloat16 = dtype("bfloat16", "BFloat16Tensor")

complex64 = dtype("complex64", "ComplexFloatTensor")
complex128 = dtype("complex128", "ComplexDoubleTensor")

complex32 = Unstored("complex32", 4, 3)
uint16 = Unstored("uint16", 2, 1)
uint32 = Unstored("uint32", 4, 1)
uint64 = Unstored("uint64", 8, 1)

UNSTORED = (complex32, uint16, uint32, uint64)
ALL = (bool_, uint8, int8, int16, int32, int64, float16, bfloat16, float32, float64)
COMPLEX = (complex64, complex128)
_OF = {d.numpy: d for d in (*ALL, *COMPLEX)}
NUMPY = frozenset(_OF)
_F32 = float32.numpy
_default = float32


def of(spec: Any) -> dtype:
    """The dtype meant by a dtype, NumPy's dtype, its name, or bool, int, float."""
    if type(spec) is dtype:
        return spec
    if spec is float:
        return _default
    if spec is _F32:  # the usual one
        return float32
    if spec is complex:
        return _default.to_complex()
    if isinstance(spec, np.dtype) and (known := _OF.get(spec)) is not None:
        return known
    if isinstance(spec, Unstored):
        raise DtypeError(f"dtype {spec}: no tensor here has it; the dtypes are {', '.join(d.name for d in ALL)}")
    try:
        wanted = np.dtype(bfloat16.numpy if isinstance(spec, str) and spec == "bfloat16" else spec)
    except TypeError:
        found = None
    else:
        found = _OF.get(wanted)
    if found is None:
        names = ", ".join(d.name for d in (*ALL, *COMPLEX))
        raise DtypeError(f"dtype {spec!r} is not one of minitensor's: {names}")
    return found


def owned(array: Any) -> Any:
    """The same memory with NumPy's own object for its dtype; one that was unpickled is equal to that, not identical."""
    d = of(array.dtype).numpy
    return array if array.dtype is d else array.view(d)


def get_default_dtype() -> dtype:
    """The dtype of Python floats and of results that need one: float32 unless set otherwise."""
    return _default


def set_default_dtype(d: dtype) -> None:
    """Sets the dtype that Python floats become. Only floating dtypes are taken."""
    global _default
    d = of(d)
    if not d.is_floating_point:
        raise DtypeError(f"set_default_dtype: only floating dtypes can be the default, not {d}")
    _default = d


def promote_types(a: dtype, b: dtype) -> dtype:
    """The smallest dtype of the higher category that holds both: int64 with float32 is float32."""
    a, b = of(a), of(b)
    if a is b:
        return a
    if a.rank != b.rank:
        high, low = (a, b) if a.rank > b.rank else (b, a)
        return complex128 if high.is_complex and low is float64 else high
    if a.itemsize == b.itemsize == 2 and a.rank == 2:  # float16 has more digits, bfloat16 the wider range
        return float32
    return of(np.promote_types(a.numpy, b.numpy))


def of_scalar(value: Any) -> dtype:
    """The dtype of a Python number: bool, int64, or the default floating dtype."""
    if isinstance(value, (bool, np.bool_)):
        return bool_
    if isinstance(value, (int, np.integer)):
        return int64
    if isinstance(value, (float, np.floating)):
        return _default
    if isinstance(value, (complex, np.complexfloating)):
        return _default.to_complex()
    raise DtypeError(f"expected a tensor or a number, got {type(value).__name__}")


def result_type(tensors: list[tuple[dtype, int]], scalars: list[Any]) -> dtype:
    """The dtype of an operation on tensors, given as (dtype, number of axes), and Python numbers.

    Numbers and tensors without axes only count where they bring in a higher category.
    """
    groups: list[dtype | None] = [None, None, None]
    for d, ndim in tensors:
        k = 0 if ndim else 1
        have = groups[k]
        groups[k] = d if have is None else promote_types(have, d)
    for value in scalars:
        d = of_scalar(value)
        have = groups[2]
        groups[2] = d if have is None else promote_types(have, d)
    result: dtype | None = None
    for group in groups:
        if group is not None and (result is None or group.rank > result.rank):
            wide = group.is_complex and result is not None and result.is_floating_point  # by the tensor's precision
            result = result.to_complex() if wide and result is not None else group
    assert result is not None
    return result


class _Info:
    """What finfo and iinfo have in common."""

    def __init__(self, name: str, kinds: str, type: Any) -> None:
        d = of(_default if type is None else type)
        if kinds == "f" and d.is_complex:
            d = d.to_real()  # what its parts have
        if d.numpy.kind not in kinds:
            raise TypeError(f"{name}: {d} is not of that kind")
        self.dtype = d.name
        self.bits = 8 * d.itemsize
        self._numpy: Any = np.iinfo(d.numpy) if kinds != "f" else _Bfloat16 if d is bfloat16 else np.finfo(d.numpy)
        cast = float if kinds == "f" else int
        self.min, self.max = cast(self._numpy.min), cast(self._numpy.max)


class _Bfloat16:
    """What NumPy's finfo would say: float32's exponents with 8 significant bits."""

    max, min = (2 - 2.0**-7) * 2.0**127, -(2 - 2.0**-7) * 2.0**127
    eps, tiny, precision = 2.0**-7, 2.0**-126, 2


class finfo(_Info):
    """The limits of a floating dtype, the default one if none is given.

    >>> mt.finfo(mt.float32).max
    3.4028234663852886e+38
    """

    def __init__(self, type: Any = None) -> None:
        super().__init__("finfo", "f", type)
        self.eps = float(self._numpy.eps)
        self.tiny = self.smallest_normal = float(self._numpy.tiny)
        self.resolution = float(f"1e-{self._numpy.precision}")

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.tiny:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo(_Info):
    """The limits of an integer dtype.

    >>> mt.iinfo(mt.uint8).max
    255
    """

    def __init__(self, type: Any) -> None:
        super().__init__("iinfo", "iu", type)

    def __repr__(self) -> str:
        return f"iinfo(min={float(self.min):g}, max={float(self.max):g}, dtype={self.dtype})"
