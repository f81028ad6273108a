"""The one device there is. Programs name devices all the same, and are told clearly where they need another."""

from __future__ import annotations

from typing import Any

from .errors import ShapeError


class device:
    """A device as PyTorch names it; only "cpu" exists.

    >>> mt.device("cpu")
    device(type='cpu')
    """

    __slots__ = ("index", "type")

    type: str
    index: int | None

    def __init__(self, type: Any = "cpu", index: int | None = None) -> None:
        name = str(type)
        kind, _, number = name.partition(":")
        if kind != "cpu":
            raise ShapeError(f"device '{name}': minitensor runs on the CPU; the only device is 'cpu'")
        self.type = kind
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        return f"device(type='{self.type}')"

    def __str__(self) -> str:
        return self.type

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and other.type == self.type

    def __reduce__(self) -> tuple[Any, ...]:
        return device, (self.type, self.index)

    def __hash__(self) -> int:
        return hash(self.type)


CPU = device()


def check(spec: Any) -> None:
    """Raises unless `spec` is None or names the CPU."""
    if spec is not None and spec is not CPU:
        device(spec)


class _Named:
    """A name of PyTorch's for something of which there is one kind here; see `layout` and `memory_format`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"minitensor.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return _named, (self.name,)


def _named(name: str) -> Any:
    return globals()[name]


class layout(_Named):
    """How elements lie in memory: always `strided`, at fixed distances along each axis."""


class memory_format(_Named):
    """The order of axes in memory: PyTorch's names are taken wherever a program says one, and none is followed."""


strided = layout("strided")
contiguous_format = memory_format("contiguous_format")
preserve_format = memory_format("preserve_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
