"""The one device there is. Programs name others all the same, and are told clearly where they need them.

Besides it there is "meta", whose tensors have a shape and a dtype, and one element's memory behind all elements.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import naming
from .errors import DeviceError

# PyTorch's names of devices; tensors are on the first of them
_KINDS = ("cpu", "cuda", "ipu", "xpu", "hip", "ve", "xla", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone")


class device:
    """A device as PyTorch names it, of which only "cpu" has tensors with elements, and "meta" those without.

    `with device("meta"):` has tensors and modules be made there. Raises DeviceError for a name that is none.

    >>> mt.device("cpu")
    device(type='cpu')
    >>> mt.device("cuda:1").index
    1
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        if isinstance(type, int):
            raise DeviceError(f"device({type}): a number is one of an accelerator's, and there is none; use 'cpu'")
        kind, colon, number = str(type).partition(":")
        if kind not in _KINDS:
            raise DeviceError(f"device {str(type)!r}: expected one of {', '.join(_KINDS)}")
        if colon and (not number.isdecimal() or index is not None):
            raise DeviceError(f"device {str(type)!r}: what follows the colon is not its one number")
        self.type = kind
        self.index = int(number) if colon else index

    def __repr__(self) -> str:
        number = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{number})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (other.type, other.index) == (self.type, self.index)

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.type, self.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __enter__(self) -> device:
        check(self)
        _defaults.append(self)
        return self

    def __exit__(self, *_: object) -> None:
        _defaults.pop()


CPU, META = device(), device("meta")
_defaults = [CPU]  # the last is where tensors are made for which no device is named


def check(spec: Any) -> bool:
    """Whether `spec`, or by None the default, is "meta". Raises DeviceError for what is neither that nor the CPU."""
    if spec is None:
        spec = _defaults[-1]
    if isinstance(spec, str) and spec == "cpu":
        return False
    kind = (spec if isinstance(spec, device) else device(spec)).type
    if kind not in ("cpu", "meta"):
        raise DeviceError(f"device '{spec}': minitensor runs on the CPU; the only device is 'cpu'")
    return kind == "meta"


def set_default(spec: Any) -> None:
    """Has tensors be made there for which no device is named."""
    _defaults[-1] = META if check(CPU if spec is None else spec) else CPU


def get_default() -> device:
    """Where tensors are made for which no device is named."""
    return _defaults[-1]


# --- tensors without elements -----------------------------------------------------------------------------------------

_CELL = bytearray(16)


def without_memory(shape: Any, dtype: np.dtype[Any]) -> Any:
    """An array whose elements all are one place in memory, which writes may change: a tensor on "meta"."""
    return np.ndarray(shape, dtype, _CELL, 0, (0,) * len(shape))


def is_meta(array: Any) -> bool:
    """Whether an array is a tensor's on "meta", or a view of one."""
    base = array.base
    while isinstance(base, np.ndarray):
        base = base.base
    return base is _CELL


class _Named:
    """A name of PyTorch's for something of which there is one kind here; see `layout` and `memory_format`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return naming.full(self.name)

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.name,)


def _named(name: str) -> Any:
    return globals()[name]


class layout(_Named):
    """How elements lie in memory: `strided`, at fixed distances along each axis, `sparse_coo`, by their
    places, or `sparse_csr` and `sparse_csc`, by rows or columns."""


class memory_format(_Named):
    """The order of axes in memory: `contiguous`, `clone` and `to` follow `channels_last`."""


strided = layout("strided")
sparse_coo = layout("sparse_coo")
sparse_csr = layout("sparse_csr")
sparse_csc = layout("sparse_csc")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
