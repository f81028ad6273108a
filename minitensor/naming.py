"""The name that the library prints before its own names: `minitensor`, or that of the library whose place it takes."""

from __future__ import annotations

_library = ["minitensor"]


def full(name: str) -> str:
    """A name as it is printed: `minitensor.float32`, or `torch.float32` in a program that imports torch."""
    return f"{_library[0]}.{name}"


def call(library: str) -> None:
    """From now on names are printed as those of `library`."""
    _library[0] = library
