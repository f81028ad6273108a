"""What the graph uses of the module `cython`, for running uncompiled where Cython is absent."""

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

compiled = False
bint = bool
longlong = Py_ssize_t = int


def _same(x: T) -> T:
    return x


cclass = final = cfunc = ccall = inline = _same


def auto_pickle(on: bool) -> Callable[[T], T]:
    return _same


def freelist(size: int) -> Callable[[T], T]:
    return _same


def declare(kind: Any, value: Any = None, **options: Any) -> Any:
    return value


def cast(kind: Any, value: T) -> T:
    return value
