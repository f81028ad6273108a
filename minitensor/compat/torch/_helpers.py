"""What the thin modules of this package are made of: functions that do nothing, or that say what there is not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ...errors import DeviceError


def nothing(*_: Any, **__: Any) -> None:
    """Does nothing."""


def no(*_: Any, **__: Any) -> bool:
    """False."""
    return False


def zero(*_: Any, **__: Any) -> int:
    """0."""
    return 0


def lacks(name: str, what: str) -> Callable[..., Any]:
    """A function that raises: there is no such device."""

    def raises(*_: Any, **__: Any) -> Any:
        raise DeviceError(f"{name}: there is no {what}; minitensor runs on the CPU")

    raises.__name__ = raises.__qualname__ = name.rpartition(".")[2]
    return raises


class Inert:
    """A context or a decorator that changes nothing, whatever its arguments."""

    def __init__(self, *_: Any, **__: Any) -> None:
        """Takes anything."""

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *_: object) -> None:
        """Lets errors through."""

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        return function
