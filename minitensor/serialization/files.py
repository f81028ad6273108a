"""Files: opened for reading, and replaced in one step once they are written."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from ..errors import DtypeError


class CheckpointError(RuntimeError, ValueError):
    """A file that is no checkpoint, or a damaged one."""


class CheckpointDtypeError(CheckpointError, DtypeError):
    """A file with a dtype that minitensor has not."""


def write_atomically(path: Any, write: Callable[[BinaryIO], None]) -> None:
    """Has `write` fill a file that then takes the place of `path`, or leaves all as it was."""
    path = os.fsdecode(path)
    target = os.path.realpath(path)  # a link goes on pointing to where it points
    folder, name = os.path.split(target)
    temporary = os.path.join(folder, f".{name}.{os.urandom(4).hex()}.tmp")
    try:
        mode = _mode(target)
        file = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        try:
            with open(file, "wb") as stream:
                if mode is not None:
                    os.fchmod(file, mode)
                write(stream)
                stream.flush()
                os.fsync(file)
            os.replace(temporary, target)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
            raise
        # Without this the new name may not outlive a power cut. Some file systems cannot do it.
        with contextlib.suppress(OSError):
            _sync(folder)
    except OSError as error:
        why = f"save: cannot write the file ({error.strerror}); nothing was changed"
        raise OSError(error.errno, why, path) from None


def _mode(target: str) -> int | None:
    """The permissions of the file to be replaced, if there is one."""
    try:
        mode = os.stat(target).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise OSError(errno.EISDIR, "it is a folder")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EPERM, "it is not a regular file")
    return stat.S_IMODE(mode)


def _sync(folder: str) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)


@contextlib.contextmanager
def opened(path: Any) -> Iterator[tuple[BinaryIO, str, int]]:
    """The file at its beginning, its name for errors, and its size in bytes."""
    if hasattr(path, "read"):
        begin = path.tell()
        size = path.seek(0, os.SEEK_END) - begin
        path.seek(begin)
        yield path, str(getattr(path, "name", "the open file")), size
        return
    name = os.fspath(path)
    if os.path.exists(name) and not os.path.isfile(name):  # a pipe would wait forever
        what = "a folder" if os.path.isdir(name) else "not a regular file"
        raise CheckpointError(f"load: {name} is no checkpoint: it is {what}")
    with open(name, "rb") as file:
        yield file, name, os.fstat(file.fileno()).st_size
