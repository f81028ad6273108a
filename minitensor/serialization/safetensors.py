r"""The safetensors format: no pickle, so that a file can run no code.

A file is, from its first byte to its last:

    8 bytes   n, the length of the header, little-endian
    n bytes   the header, JSON: {name: {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}}
    the rest  the elements of all tensors, little-endian, row-major, without a gap

What is not a tensor (numbers, strings, how dicts and lists are nested) is JSON too, a string in
the header's `__metadata__`. A plain `state_dict` needs none of it: every reader of safetensors
finds its tensors under their own names.

Source: the safetensors format, github.com/huggingface/safetensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

import numpy as np

from .. import dtypes
from ..errors import DtypeError
from ..graph.tensors import Tensor, wrap
from .files import CheckpointError, opened

_CODES = {
    "BOOL": dtypes.bool_,
    "U8": dtypes.uint8,
    "I8": dtypes.int8,
    "I16": dtypes.int16,
    "I32": dtypes.int32,
    "I64": dtypes.int64,
    "F16": dtypes.float16,
    "BF16": dtypes.bfloat16,
    "F32": dtypes.float32,
    "F64": dtypes.float64,
    "C64": dtypes.complex64,
}
_CODE_OF = {d.numpy: code for code, d in _CODES.items()}
_METADATA = "__metadata__"
_STRUCTURE = "minitensor"  # the entry of the metadata that holds what is not a tensor
_HEADER_LIMIT = 100_000_000  # bytes; the format's own
_DEPTH_LIMIT = 100  # of dicts in lists in dicts


# --- saving ---------------------------------------------------------------------------------------


def write(obj: Any, metadata: Mapping[str, str] | None) -> Callable[[BinaryIO], None]:
    """What writes a safetensors file of the object. Raises TypeError for what cannot be in one, naming its place."""
    header, arrays = _layout(obj, metadata)

    def fill(file: BinaryIO) -> None:
        file.write(header)
        for array in arrays:
            file.write(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)

    return fill


def _layout(obj: Any, metadata: Mapping[str, str] | None) -> tuple[bytes, list[Any]]:
    """The first bytes of the file, and the arrays in the order in which they follow."""
    entries: dict[str, Any] = {}
    structure = _encode(obj, (), entries, {})
    notes = _checked_metadata(metadata)
    if structure != _flat(entries):
        notes[_STRUCTURE] = json.dumps(structure, separators=(",", ":"))

    # The widest first, and the header a multiple of 8 bytes: each element lies where a reader that
    # maps the file into memory wants it.
    header: dict[str, Any] = {_METADATA: notes} if notes else {}
    arrays = sorted(entries.values(), key=lambda a: -a.itemsize)
    begins = np.cumsum([0] + [a.nbytes for a in arrays]).tolist()
    begin_of = {id(a): begin for a, begin in zip(arrays, begins, strict=False)}
    for name, a in entries.items():
        begin = begin_of[id(a)]
        offsets = [begin, begin + a.nbytes]
        header[name] = {
            "dtype": _CODE_OF[a.dtype],
            "shape": list(a.shape),
            "data_offsets": offsets,
        }
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    if len(text) > _HEADER_LIMIT:
        raise ValueError(f"save: the header has {len(text)} bytes, more than {_HEADER_LIMIT}")
    return len(text).to_bytes(8, "little") + text, arrays


def _checked_metadata(metadata: Mapping[str, str] | None) -> dict[str, str]:
    notes = dict(metadata or {})
    for key, value in notes.items():
        if not isinstance(key, str) or not isinstance(value, str):
            raise TypeError(f"save: metadata must be strings, not {key!r}: {value!r:.40}")
    if _STRUCTURE in notes:
        raise ValueError(f"save: the metadata entry {_STRUCTURE!r} is the library's own")
    return notes


def _flat(entries: dict[str, Any]) -> Any:
    """The structure of a plain dict of tensors, which needs not be written."""
    return {"dict": [[name, {"tensor": name}] for name in entries]}


def _encode(x: Any, path: tuple[str, ...], entries: dict[str, Any], known: dict[Any, str]) -> Any:
    """The value as JSON: {"tensor": name}, {"dict": pairs}, {"tuple": list}, or itself.

    Collects the arrays in `entries` under their names. `known` has the names of those seen before.
    """
    if len(path) > _DEPTH_LIMIT:
        raise ValueError(f"save: {_place(path[:3])} is nested too deeply, or contains itself")
    if x is None or isinstance(x, (bool, str)):
        return x
    if isinstance(x, int):
        return int(x)
    if isinstance(x, float):
        return float(x) if math.isfinite(x) else {"float": repr(float(x))}
    if isinstance(x, Tensor):
        return {"tensor": _entry(x.array, path, entries, known)}
    if isinstance(x, np.ndarray):
        return {"array": _entry(x, path, entries, known)}
    if isinstance(x, np.generic) and x.dtype in _CODE_OF:
        return _encode(x.item(), path, entries, known)
    if isinstance(x, (list, tuple)):
        items = [_encode(v, (*path, str(i)), entries, known) for i, v in enumerate(x)]
        return items if isinstance(x, list) else {"tuple": items}
    if isinstance(x, dict):
        pairs = []
        for key, value in x.items():
            if not isinstance(key, (str, int, float, type(None))):
                raise TypeError(f"save: {_place(path)} has a key of type {type(key).__name__}")
            value = _encode(value, (*path, str(key)), entries, known)
            pairs.append([_encode(key, (), {}, {}), value])
        return {"dict": pairs}
    hint = "; save its state_dict()" if hasattr(x, "state_dict") else ""
    raise TypeError(f"save: {_place(path)} is a {type(x).__name__}, not data{hint}")


def _place(path: tuple[str, ...]) -> str:
    return repr(".".join(path)) if path else "the object"


def _entry(array: Any, path: tuple[str, ...], entries: dict[str, Any], known: dict[Any, str]) -> str:
    """The name under which an array is stored."""
    if array.dtype not in _CODE_OF:
        raise DtypeError(f"save: {_place(path)} has dtype {array.dtype}, which minitensor has not")
    memory = (array.ctypes.data, array.shape, array.strides, array.dtype) if array.nbytes else None
    if memory in known:
        return known[memory]
    plain = name = ".".join(path) if path else "tensor"
    count = 1
    while name in entries or name == _METADATA:
        count += 1
        name = f"{plain}#{count}"
    # A view of its own: an array may be entered twice, and is found again by its identity.
    entries[name] = array[...]
    if memory is not None:
        known[memory] = name
    return name


# --- loading --------------------------------------------------------------------------------------


def read(file: BinaryIO, name: str, size: int) -> Any:
    """What `write` wrote. The whole header is checked before anything is allocated."""
    entries, metadata = _read_header(file, name, size)
    first = file.tell()
    tensors = {}
    for key, (begin, dtype, shape) in entries.items():
        file.seek(first + begin)
        tensors[key] = wrap(_read_array(file, name, key, dtype, shape))
    structure = metadata.get(_STRUCTURE)
    if structure is None:
        return tensors
    try:
        return _decode(_parse(structure), tensors)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _wrong(name, f"its structure makes no sense ({_short(error)})") from None


def read_metadata(path: Any) -> dict[str, str]:
    """The strings that were given to `save` as `metadata`.

    >>> mt.save(mt.zeros(1), "zero.safetensors", metadata={"author": "me"})
    >>> mt.serialization.read_metadata("zero.safetensors")
    {'author': 'me'}
    """
    with opened(path) as (file, name, size):
        _, metadata = _read_header(file, name, size)
    return {key: value for key, value in metadata.items() if key != _STRUCTURE}


def _wrong(name: str, what: str) -> CheckpointError:
    return CheckpointError(f"load: {name} is not a sound safetensors file: {what}")


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:200]


def _read_header(
    file: BinaryIO, name: str, size: int
) -> tuple[dict[str, tuple[int, Any, tuple[int, ...]]], dict[str, str]]:
    """{entry: (first byte, dtype, shape)} with every claim checked, and the metadata."""
    if size < 8:
        raise _wrong(name, f"it has {size} bytes, and even the length of the header takes 8")
    n = int.from_bytes(file.read(8), "little")
    if n > min(size - 8, _HEADER_LIMIT):
        raise _wrong(name, f"it claims a header of {n} bytes, but has {size - 8} after the length")
    text = file.read(n)
    if len(text) != n:
        raise _wrong(name, "it became shorter while it was read")
    try:
        if text[:1] != b"{":
            raise ValueError("it does not begin with {")
        header = _parse(text.decode())
    except (ValueError, RecursionError) as error:
        raise _wrong(name, f"its header is not JSON ({_short(error)})") from None
    metadata = header.pop(_METADATA, {})
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise _wrong(name, "its metadata are not strings")
    entries = {}
    ranges = []
    for key, entry in header.items():
        begin, end, dtype, shape = _checked(name, key, entry)
        entries[key] = (begin, dtype, shape)
        ranges.append((begin, end, key))
    position = 0
    for begin, end, key in sorted(ranges):
        if begin != position:
            what = "overlaps the one before" if begin < position else "leaves a gap before it"
            raise _wrong(name, f"tensor {key!r} at bytes {begin} to {end} {what}")
        position = end
    if 8 + n + position != size:
        what = "is cut short" if 8 + n + position > size else "has bytes after its end"
        raise _wrong(name, f"it {what}: {size} bytes, and its header says {8 + n + position}")
    return entries, metadata


def _parse(text: str) -> Any:
    """JSON, without the liberties that Python's reader takes."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a name occurs twice")
        return found

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not JSON")

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)


def _checked(name: str, key: str, entry: Any) -> tuple[int, int, Any, tuple[int, ...]]:
    """(begin, end, dtype, shape) of an entry of the header."""
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise _wrong(name, f"tensor {key!r} lacks dtype, shape and data_offsets, or has more")
    code, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(code, str) or code not in _CODES:
        known = ", ".join(_CODES)
        raise _wrong(name, f"tensor {key!r} has dtype {code!r:.40}, not one of {known}")
    if not _counts(shape) or len(shape) > 32:
        raise _wrong(name, f"tensor {key!r} has the shape {shape!r:.80}")
    if not _counts(offsets) or len(offsets) != 2:
        raise _wrong(name, f"tensor {key!r} has the offsets {offsets!r:.80}")
    dtype = _CODES[code].numpy
    nbytes, (begin, end) = math.prod(shape) * dtype.itemsize, offsets
    if end - begin != nbytes:
        what = f"tensor {key!r}, {code} {shape}, takes {nbytes} bytes, but has {end - begin}"
        raise _wrong(name, what)
    return begin, end, dtype, tuple(shape)


def _counts(x: Any) -> bool:
    """Whether this is a list of sizes that NumPy can take, also beside a size of 0."""
    fine = isinstance(x, list) and all(type(n) is int and 0 <= n < 2**60 for n in x)
    return fine and math.prod([n for n in x if n]) < 2**60


def _read_array(file: BinaryIO, name: str, key: str, dtype: Any, shape: tuple[int, ...]) -> Any:
    array = np.empty(shape, dtype)
    raw = array.reshape(-1).view(np.uint8)
    done = 0
    while done < raw.size:
        got = file.readinto(raw[done:].data)  # type: ignore[attr-defined]
        if not got:
            raise _wrong(name, "it became shorter while it was read")
        done += got
    if dtype == np.bool_ and raw.size and raw.max() > 1:
        raise _wrong(name, f"tensor {key!r} is BOOL, but has bytes other than 0 and 1")
    return array


def _decode(x: Any, tensors: dict[str, Any]) -> Any:
    """The inverse of `_encode`."""
    if isinstance(x, list):
        return [_decode(v, tensors) for v in x]
    if not isinstance(x, dict):
        return x
    ((kind, value),) = x.items()
    if kind == "tensor":
        return tensors[value]
    if kind == "array":
        return tensors[value].array
    if kind == "float":
        return float(value)
    if kind == "tuple":
        return tuple([_decode(v, tensors) for v in value])
    if kind == "dict":
        return {_decode(k, {}): _decode(v, tensors) for k, v in value}
    raise ValueError(f"unknown kind {kind!r}")
