"""Memory that several processes see: what one of them writes, the others read.

The memory is a file in the system's folder for shared memory, mapped by every process that uses it. A process that is
forked has it already; one that is spawned gets the file's name instead of a copy of the numbers, when an array with
such memory is pickled for it. The file goes with the process's last array that uses it.
"""

from __future__ import annotations

import mmap
import os
import weakref
from typing import Any

import numpy as np

__all__ = ["is_shared", "shared"]

_FOLDER = "/dev/shm" if os.path.isdir("/dev/shm") else None  # None: the folder of temporary files


class _Memory(mmap.mmap):
    """A mapped file, and its name."""

    path: str


def _mapped(handle: int, path: str, size: int) -> _Memory:
    try:
        memory = _Memory(handle, size)
    finally:
        os.close(handle)
    memory.path = path
    return memory


def _memory_of(a: Any) -> _Memory | None:
    """The mapped file in which an array's elements lie, if they lie in one."""
    while isinstance(a, np.ndarray):
        a = a.base
    a = a.obj if isinstance(a, memoryview) else a
    return a if isinstance(a, _Memory) else None


def is_shared(a: np.ndarray[Any, Any]) -> bool:
    """Whether the elements lie in memory that other processes may see."""
    return _memory_of(a) is not None


def shared(a: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The same elements in shared memory: the array itself if they are there, else a copy."""
    if is_shared(a):
        return a
    import tempfile

    _teach_pickling()
    size = max(a.nbytes, 1)
    handle, path = tempfile.mkstemp(prefix="minitensor-", dir=_FOLDER)
    os.ftruncate(handle, size)
    memory = _mapped(handle, path, size)
    weakref.finalize(memory, _forget, path, os.getpid())
    made: np.ndarray[Any, Any] = np.ndarray(a.shape, a.dtype, memory)
    made[...] = a
    return made


def _forget(path: str, owner: int) -> None:
    if os.getpid() == owner and os.path.exists(path):  # a forked process does not take it from the others
        os.unlink(path)


def _opened(path: str, dtype: Any, shape: tuple[int, ...], strides: tuple[int, ...], offset: int) -> Any:
    """An array of another process's memory."""
    _teach_pickling()
    handle = os.open(path, os.O_RDWR)
    memory = _mapped(handle, path, os.fstat(handle).st_size)
    return np.ndarray(shape, dtype, memory, offset, strides)


def _reduced(a: np.ndarray[Any, Any]) -> Any:
    memory = _memory_of(a)
    if memory is None:
        return a.__reduce__()
    start = np.frombuffer(memory, np.uint8).ctypes.data
    return _opened, (memory.path, a.dtype, a.shape, a.strides, a.ctypes.data - start)


def _teach_pickling() -> None:
    """What goes to another process goes by name from now on, where it is shared."""
    from multiprocessing.reduction import ForkingPickler

    ForkingPickler.register(np.ndarray, _reduced)
