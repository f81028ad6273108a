"""The one device there is. Programs name others all the same, and are told clearly where they need them."""

from __future__ import annotations

from typing import Any

from . import naming
from .errors import DeviceError

# PyTorch's names of devices; tensors are on the first of them
_KINDS = ("cpu", "cuda", "ipu", "xpu", "hip", "ve", "xla", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone")


class device:
    """A device as PyTorch names it, of which only "cpu" has tensors. `with device("cpu"):` changes nothing.

    Raises DeviceError for a name that is none.

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
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was changed."""


CPU = device()


def check(spec: Any) -> None:
    """Raises DeviceError unless `spec` is None or the CPU."""
    if spec is not None and spec is not CPU:
        wanted = spec if isinstance(spec, device) else device(spec)
        if wanted.type != "cpu":
            raise DeviceError(f"device '{wanted}': minitensor runs on the CPU; the only device is 'cpu'")


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
    """How elements lie in memory: `strided`, at fixed distances along each axis, or `sparse_coo`, by their places."""


class memory_format(_Named):
    """The order of axes in memory: PyTorch's names are taken wherever a program says one, and none is followed."""


strided = layout("strided")
sparse_coo = layout("sparse_coo")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
