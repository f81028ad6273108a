r"""PyTorch's files: a pickle, and beside it the elements of tensors.

Since PyTorch 1.6 a file is a zip archive, uncompressed, of

    NAME/data.pkl           the pickle
    NAME/byteorder          "little" or "big"
    NAME/data/KEY           the bytes of each memory, from a multiple of 64 bytes on: a reader may map them
    NAME/version            3

Before, it was four pickles (a magic number, a version, the byte order, the object), then one of the list of keys, then
for each key the number of elements (8 bytes) and the elements. Both are read and written.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import pickletools
import sys
import zipfile
import zlib
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from .. import dtypes
from ..device import check as check_device
from ..device import device
from . import torch_pickle
from .files import CheckpointDtypeError, CheckpointError
from .torch_pickle import STORAGES, Memory, Pickler, SafeUnpickler, TrustingUnpickler

_ALIGNMENT = 64
_MAGIC = 0x1950A86A20F9469CFC6C
_VERSION = 1001  # of the older files
_SIZES = {name: dtypes.of(d).itemsize for name, d in STORAGES.items()}


def is_zip(start: bytes) -> bool:
    """Whether a file that begins so is a zip archive."""
    return start[:4] in (b"PK\3\4", b"PK\5\6")


def is_older(start: bytes) -> bool:
    """Whether a file that begins so is one of PyTorch's older ones."""
    number = pickle.dumps(_MAGIC, 2)[2:-1]
    return start[:1] == b"\x80" and number in start[:24]


# --- saving -----------------------------------------------------------------------------------------------------------


def write(obj: Any, name: str, protocol: int = 2) -> Callable[[BinaryIO], None]:
    """What writes the zip archive of an object, in a folder of that name. Raises as pickle does."""
    text = io.BytesIO()
    pickler = Pickler(text, protocol)
    pickler.dump(obj)
    entries: list[tuple[str, Any]] = [
        ("data.pkl", text.getvalue()),
        (".format_version", b"1"),
        (".storage_alignment", str(_ALIGNMENT).encode()),
        ("byteorder", sys.byteorder.encode()),
        *[(f"data/{i}", memory.view(np.uint8).data) for i, memory in enumerate(pickler.memories)],
        ("version", b"3\n"),
    ]

    def fill(file: BinaryIO) -> None:
        forward: Any = _Forward(file)
        with zipfile.ZipFile(forward, "w") as archive:
            for entry, data in entries:
                _add(archive, f"{name}/{entry}", data)

    return fill


class _Forward:
    """A file that can only be written on: zipfile then needs to go back nowhere."""

    def __init__(self, file: BinaryIO) -> None:
        self.write = file.write

    def flush(self) -> None:
        """Nothing."""


def _add(archive: zipfile.ZipFile, name: str, data: Any) -> None:
    """An entry whose bytes begin at a multiple of the alignment: its header is filled up."""
    info = zipfile.ZipInfo(name)
    large = len(data) >= 2**31
    header = 30 + len(name.encode()) + 20 * large  # the last: room for sizes of 64 bits
    assert archive.fp is not None
    fill = -(archive.fp.tell() + header + 4) % _ALIGNMENT
    info.extra = b"FB" + fill.to_bytes(2, "little") + b"Z" * fill
    with archive.open(info, "w", force_zip64=large) as entry:
        entry.write(data)


def write_older(obj: Any, protocol: int = 2) -> Callable[[BinaryIO], None]:
    """What writes the older file of an object."""
    text = io.BytesIO()
    pickler = Pickler(text, protocol, legacy=True)
    pickler.dump(obj)
    system = {
        "protocol_version": _VERSION,
        "little_endian": sys.byteorder == "little",
        "type_sizes": {"short": 2, "int": 4, "long": 4},
    }

    def fill(file: BinaryIO) -> None:
        for part in (_MAGIC, _VERSION, system):
            file.write(pickle.dumps(part, protocol))
        file.write(text.getvalue())
        file.write(pickle.dumps([str(i) for i in range(len(pickler.memories))], protocol))
        for memory in pickler.memories:
            file.write(memory.size.to_bytes(8, "little"))
            file.write(memory.view(np.uint8).data)

    return fill


# --- loading ----------------------------------------------------------------------------------------------------------


class _Memories:
    """The memory of a file's tensors by key, and where `map_location` wants it: on the CPU, or it raises."""

    def __init__(self, name: str, map_location: Any) -> None:
        self.name, self.map_location = name, map_location
        self.raw: dict[str, Any] = {}
        self.known: dict[tuple[str, str, int], Memory] = {}

    def fetch(self, key: str, nbytes: int) -> Any:
        """The bytes of a key."""
        raise NotImplementedError

    def __call__(self, pid: Any) -> Any:
        if not isinstance(pid, tuple) or len(pid) < 2:
            raise CheckpointError(f"{pid!r:.60} is no tensor's memory")
        if pid[0] == "module" and len(pid) == 4:  # of an old file: a class with its source
            return pid[1]
        if pid[0] != "storage" or len(pid) not in (5, 6):
            raise CheckpointError(f"{pid!r:.60} is no tensor's memory")
        _, kind, key, location, count, *view = pid
        size = _SIZES.get(kind) if isinstance(kind, str) else None
        if size is None or type(count) is not int or count < 0 or not isinstance(key, str):
            raise CheckpointError(f"{pid!r:.90} is no tensor's memory")
        if key not in self.raw:
            self.raw[key] = self.fetch(key, count * size)
        raw, first = self.raw[key], 0
        if view and view[0] is not None:  # a part of another memory
            _, first, count = view[0]
        if (known := self.known.get((key, kind, first))) is None:
            part = raw[first * size : (first + count) * size]
            known = self.placed(Memory(part, kind, key, str(location)))
            self.known[key, kind, first] = known
        return known

    def placed(self, memory: Memory) -> Memory:
        """The memory where map_location wants it."""
        where = self.map_location
        if isinstance(where, Mapping):
            if memory.location in where:
                check_device(where[memory.location])
        elif callable(where) and not isinstance(where, device):
            found = where(memory, memory.location)
            if found is not None and not isinstance(found, Memory):
                raise TypeError(f"load: map_location must return the storage or None, not a {type(found).__name__}")
            memory = found or memory
        elif where is not None:
            check_device(where)
        return memory


class _Zip(_Memories):
    """The memory in a zip archive: copied out of it, or mapped."""

    def __init__(self, file: BinaryIO, name: str, size: int, map_location: Any, mapped: bool) -> None:
        super().__init__(name, map_location)
        self.file, self.size = file, size
        self.archive = zipfile.ZipFile(file)
        names = [entry for entry in self.archive.namelist() if entry == "data.pkl" or entry.endswith("/data.pkl")]
        if not names:
            raise CheckpointError("it is a zip archive without a data.pkl")
        self.folder = names[0].removesuffix("data.pkl")
        if f"{self.folder}constants.pkl" in self.archive.NameToInfo:
            raise CheckpointError("it is a TorchScript program (torch.jit), not data; save the module's state_dict()")
        order = self.archive.NameToInfo.get(f"{self.folder}byteorder")
        self.big = (self.read(order) if order else sys.byteorder.encode()) == b"big"
        self.map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY) if mapped else None

    def read(self, info: zipfile.ZipInfo) -> bytes:
        """The bytes of an entry."""
        return bytes(self.bytes_of(info).data)

    def bytes_of(self, info: zipfile.ZipInfo, mapped: Any = None) -> Any:
        """The bytes of an entry, as an array of their own, or in the mapped file."""
        if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & 1:
            raise CheckpointError(f"its entry {info.filename} is compressed or encrypted")
        if info.file_size != info.compress_size or info.header_offset + info.file_size > self.size:
            raise CheckpointError(f"its entry {info.filename} is cut short")
        self.file.seek(info.header_offset + 26)
        lengths = self.file.read(4)
        begin = info.header_offset + 30 + int.from_bytes(lengths[:2], "little") + int.from_bytes(lengths[2:], "little")
        if begin + info.file_size > self.size:
            raise CheckpointError(f"its entry {info.filename} is cut short")
        if mapped is not None and begin % 8 == 0 and info.file_size:
            return np.frombuffer(mapped, np.uint8, info.file_size, begin)
        out = np.empty(info.file_size, np.uint8)
        self.file.seek(begin)
        fill(self.file, out)
        if zlib.crc32(out.data) != info.CRC:
            raise CheckpointError(f"its entry {info.filename} is damaged: the check sum is wrong")
        return out

    def fetch(self, key: str, nbytes: int) -> Any:
        """The bytes of a key."""
        info = self.archive.NameToInfo.get(f"{self.folder}data/{key}")
        if info is None:
            raise CheckpointError(f"its pickle says data/{key}, which is missing")
        if info.file_size != nbytes:
            raise CheckpointError(f"data/{key} has {info.file_size} bytes, its pickle says {nbytes}")
        return self.bytes_of(info, self.map)

    def placed(self, memory: Memory) -> Memory:
        """In the byte order of this machine, too."""
        if self.big != (sys.byteorder == "big"):
            memory.raw = swapped(memory.raw, memory.kind)
        return super().placed(memory)


class _Older(_Memories):
    """The memory of an older file, which comes after the object."""

    def __init__(self, name: str, size: int, map_location: Any) -> None:
        super().__init__(name, map_location)
        self.left = size

    def fetch(self, key: str, nbytes: int) -> Any:
        """Room for the bytes of a key."""
        self.left -= nbytes
        if self.left < 0:
            raise CheckpointError("it is cut short: its tensors have more bytes than the file")
        return np.zeros(nbytes, np.uint8)

    def fill(self, file: BinaryIO, keys: Any, swap: bool) -> None:
        """Reads the bytes of all keys, and has the tensors see them."""
        for key in keys:
            kinds = [m for (k, *_), m in self.known.items() if k == key]
            if key not in self.raw or not kinds:
                raise CheckpointError(f"it has memory {key!r:.30} of no tensor")
            count = int.from_bytes(file.read(8), "little")
            raw = self.raw[key]
            if count * _SIZES[kinds[0].kind] != raw.size:
                raise CheckpointError(f"memory {key!r:.30} has {count} elements, its pickle says otherwise")
            fill(file, raw)
            if swap:
                raw[...] = swapped(raw, kinds[0].kind)


def swapped(raw: Any, kind: str) -> Any:
    """The bytes of a memory of this kind in the other byte order."""
    size = _SIZES[kind] // (2 if kind.startswith("Complex") else 1)
    return raw.reshape(-1, size)[:, ::-1].reshape(-1).copy()


def fill(file: BinaryIO, out: Any) -> None:
    """Reads as many bytes as `out` has."""
    done = 0
    while done < out.size:
        got = file.readinto(out[done:].data)  # type: ignore[attr-defined]
        if not got:
            raise CheckpointError("it is cut short")
        done += got


def read(
    file: BinaryIO,
    name: str,
    size: int,
    map_location: Any,
    weights_only: bool,
    mapped: bool,
    options: dict[str, Any],
) -> Any:
    """The object of a file of PyTorch's."""
    begin = file.tell()
    older = not is_zip(file.read(4))
    file.seek(begin)
    if begin and not older:  # the places in an archive count from its beginning
        file = io.BytesIO(file.read())
    try:
        if older:
            return _read_older(file, name, size, map_location, weights_only, options)
        memories = _Zip(file, name, size, map_location, mapped)
        text = io.BytesIO(memories.read(memories.archive.getinfo(f"{memories.folder}data.pkl")))
        return _unpickler(weights_only)(text, memories, **options).load()
    except (CheckpointError, zipfile.BadZipFile) as error:
        kind = CheckpointDtypeError if isinstance(error, CheckpointDtypeError) else CheckpointError
        raise kind(f"load: {name} is not a sound PyTorch file: {error}") from None
    except Exception as error:
        if not weights_only or isinstance(error, (NotImplementedError, MemoryError)) or _from_user(error, map_location):
            raise
        short = f"{type(error).__name__}: {error}"[:200]
        raise CheckpointError(f"load: {name} is not a sound PyTorch file: its pickle is damaged ({short})") from error


def _from_user(error: BaseException, map_location: Any) -> bool:
    """Whether an error is about map_location, or from the user's own function."""
    step = error.__traceback__
    while step is not None:
        if step.tb_frame.f_code is _Memories.placed.__code__:
            return True
        step = step.tb_next
    return False


def _unpickler(weights_only: bool) -> Any:
    return SafeUnpickler if weights_only else TrustingUnpickler


def _read_older(
    file: BinaryIO, name: str, size: int, map_location: Any, weights_only: bool, options: dict[str, Any]
) -> Any:
    memories = _Older(name, size, map_location)
    reader = _unpickler(weights_only)
    _magic, version, system = [SafeUnpickler(file, memories, **options).load() for _ in range(3)]
    if version != _VERSION or not isinstance(system, dict):
        raise CheckpointError(f"it has the version {version!r:.20}, not {_VERSION}")
    found = reader(file, memories, **options).load()
    keys = SafeUnpickler(file, memories, **options).load()
    memories.fill(file, keys, bool(system.get("little_endian", True)) != (sys.byteorder == "little"))
    return found


def unsafe_globals(file: BinaryIO, name: str, size: int) -> list[str]:
    """The names in a file's pickle that the safe reader would refuse."""
    memories = _Zip(file, name, size, None, False)
    text = memories.read(memories.archive.getinfo(f"{memories.folder}data.pkl"))
    known = (torch_pickle._CALLED, torch_pickle._TYPES, torch_pickle._NAMED, torch_pickle._allowed)
    found = []
    texts: list[str] = []
    for opcode, argument, _ in pickletools.genops(text):
        path = None
        if opcode.name == "GLOBAL":
            path = torch_pickle._path(*str(argument).split(" ", 1))
        elif opcode.name == "STACK_GLOBAL" and len(texts) > 1:
            path = torch_pickle._path(texts[-2], texts[-1])
        elif isinstance(argument, str):
            texts.append(argument)
        if path is not None and path not in found and not any(path in table for table in known):
            found.append(path)
    return found


def folder_of(path: Any) -> str:
    """The folder in the archive that PyTorch would name so."""
    name = getattr(path, "name", None) if hasattr(path, "write") else os.fsdecode(path)
    stem = os.path.splitext(os.path.basename(name))[0] if isinstance(name, str) else ""
    return stem or "archive"
