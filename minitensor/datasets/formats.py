"""Readers of the file formats in which data sets are published: IDX, CIFAR binary, reviews, text.

A reader takes the path of one file, compressed by gzip or not (the first two bytes tell, not the
name), and gives NumPy arrays or strings. A file that is damaged, cut short or of another format is
a `FormatError`, which names the file, the byte (counted in the uncompressed data), what was
expected there and what was found. Memory is taken as data arrives, never because a header says so.
"""

import gzip
import json
import math
import os
import re
import struct
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO, Any, Protocol, cast

import numpy as np
from numpy.typing import NDArray

Path = str | os.PathLike[str]

_CHUNK = 1 << 20
_DEFLATE_RATIO = 1032  # deflate's limit: a match of 258 bytes takes at least two bits


class FormatError(RuntimeError, ValueError):
    """A file is not what its format demands."""


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def readline(self) -> bytes: ...


class _Source:
    """A stream of bytes that knows its name and its place, so that every error can say them."""

    def __init__(self, name: str, stream: _Stream, capacity: int) -> None:
        self.name = name
        self.capacity = capacity  # no more bytes than this can come
        self.offset = 0
        self._stream = stream

    def error(self, offset: int, expected: str, found: str) -> FormatError:
        return FormatError(f"{self.name}: byte {offset}: expected {expected}, found {found}")

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        with self._damage():
            data = self._stream.read(size)
        self.offset += len(data)
        return data

    def take(self, size: int, what: str) -> bytearray:
        """Exactly `size` bytes, which are `what`."""
        start = self.offset
        if size > self.capacity - start:
            room = f"a file that can hold at most {self.capacity - start} more"
            raise self.error(start, f"{what} ({size} bytes)", room)
        data = bytearray()
        while len(data) < size:
            chunk = self.read(min(_CHUNK, size - len(data)))
            if not chunk:
                end = f"the end of the file after {len(data)} of them"
                raise self.error(start, f"{what} ({size} bytes)", end)
            data += chunk
        return data

    def rest(self) -> bytearray:
        """All that is left."""
        data = bytearray()
        while chunk := self.read(_CHUNK):
            data += chunk
        return data

    def end(self) -> None:
        """Nothing may follow. Reading past the end also makes gzip check its own checksum."""
        start = self.offset
        if extra := self.read(_CHUNK):
            found = f"{'at least ' * (len(extra) == _CHUNK)}{len(extra)} more bytes"
            raise self.error(start, "the end of the file", found)

    def lines(self) -> Iterator[tuple[int, bytes]]:
        """Each line with the offset at which it begins."""
        while True:
            with self._damage():
                line = self._stream.readline()
            if not line:
                return
            yield self.offset, line
            self.offset += len(line)

    @contextmanager
    def _damage(self) -> Iterator[None]:
        try:
            yield
        except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as error:
            found = f"damaged or truncated data ({error})"
            raise self.error(self.offset, "more data", found) from error


@contextmanager
def _open(path: Path) -> Iterator[_Source]:
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        if file.peek(2)[:2] == b"\x1f\x8b":
            with gzip.open(file) as stream:
                yield _Source(os.fspath(path), stream, _DEFLATE_RATIO * size)
        else:
            yield _Source(os.fspath(path), file, size)


def _members(path: Path) -> Iterator[tuple[str, _Source]]:
    """The regular files of a tar archive, in its order; each is to be read before the next."""
    with _open(path) as source:
        try:
            # "r|" only reads forward: all it wants of the source is `read`
            with tarfile.open(fileobj=cast(IO[bytes], source), mode="r|") as archive:
                for info in archive:
                    if not 0 <= info.size <= source.capacity:  # tarfile would skip that far
                        what = f"the size of {info.name!r} to fit in the archive"
                        raise source.error(info.offset, what, f"{info.size} bytes")
                    stream = archive.extractfile(info) if info.isfile() else None
                    if stream is not None:
                        name = f"{os.fspath(path)}/{info.name}"
                        yield info.name, _Source(name, stream, info.size)
        except tarfile.TarError as error:
            found = f"damaged or truncated data ({error})"
            raise source.error(source.offset, "a tar archive", found) from error
        source.rest()  # to the end, where gzip checks its own checksum


# --- IDX ------------------------------------------------------------------------------------------

_IDX_TYPES: dict[int, np.dtype[Any]] = {
    0x08: np.dtype(">u1"),
    0x09: np.dtype(">i1"),
    0x0B: np.dtype(">i2"),
    0x0C: np.dtype(">i4"),
    0x0D: np.dtype(">f4"),
    0x0E: np.dtype(">f8"),
}


def read_idx(path: Path) -> NDArray[Any]:
    """The array in an IDX file, the format of MNIST, with the machine's own byte order.

    The file is two zero bytes, a type code (08 uint8, 09 int8, 0B int16, 0C int32, 0D float32,
    0E float64), the number of axes, the length of each axis as uint32, then the values, the last
    axis varying fastest; everything big-endian.

    Source: the description of the format at the end of Y. LeCun's page on MNIST.
    Raises `FormatError`, and `OSError` if the file cannot be read.

    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "labels")
    >>> with open(path, "wb") as file:
    ...     _ = file.write(bytes([0, 0, 8, 1, 0, 0, 0, 3, 5, 0, 4]))
    >>> read_idx(path)
    array([5, 0, 4], dtype=uint8)
    """
    with _open(path) as source:
        zero, code, axes = struct.unpack(">HBB", source.take(4, "the header of an IDX file"))
        if zero:
            raise source.error(0, "the two zero bytes that open an IDX file", f"{zero:04x}")
        if code not in _IDX_TYPES:
            codes = ", ".join(f"{code:02x}" for code in _IDX_TYPES)
            raise source.error(2, f"one of IDX's type codes {codes}", f"{code:02x}")
        dtype = _IDX_TYPES[code]
        shape = struct.unpack(f">{axes}I", source.take(4 * axes, f"the lengths of {axes} axes"))
        size = math.prod(shape) * dtype.itemsize
        data = source.take(size, f"{dtype.name} values of shape {shape}")
        source.end()
        try:
            values: NDArray[Any] = np.ndarray(shape, dtype, data)
        except ValueError as error:  # too many axes, or an empty array with enormous ones
            raise source.error(3, "a shape that NumPy can hold", f"{shape}") from error
    return values.astype(dtype.newbyteorder("="), copy=False)


def read_idx_pair(images_path: Path, labels_path: Path, classes: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures of shape (count, rows, columns) and their labels (count,), from two IDX files.

    Both are uint8. Raises `FormatError` also where the two files do not belong together, or a
    label is not below `classes`.
    """
    images, labels = read_idx(images_path), read_idx(labels_path)
    for path, values, axes in ((images_path, images, 3), (labels_path, labels, 1)):
        if values.dtype != np.uint8 or values.ndim != axes:
            raise FormatError(
                f"{os.fspath(path)}: expected uint8 values along {axes} axes, found {values.dtype} "
                f"of shape {values.shape}"
            )
    if len(images) != len(labels):
        raise FormatError(
            f"{os.fspath(labels_path)}: {len(labels)} labels do not fit the {len(images)} pictures "
            f"of {os.fspath(images_path)}"
        )
    if wrong := np.flatnonzero(labels >= classes).tolist():
        raise FormatError(
            f"{os.fspath(labels_path)}: label {wrong[0]}: expected a number below {classes}, found {labels[wrong[0]]}"
        )
    return images, labels


# --- CIFAR binary ---------------------------------------------------------------------------------

_CIFAR_SHAPE = (3, 32, 32)  # red, green, blue planes, row by row


def read_cifar(path: Path, *, classes: Sequence[int] = (10,)) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pictures (count, 3, 32, 32) and labels of one file of CIFAR's binary version, both uint8.

    The file is a row of records: one byte per label, then 3072 bytes of pixels. `classes` gives the
    number of classes of each label: `(10,)` is CIFAR-10, `(20, 100)` CIFAR-100 with its coarse and
    fine label. Labels have the shape (count,), or (count, len(classes)) where there are several.
    The pictures are a view of the file's bytes, whose records are `len(classes)` bytes apart.

    Source: A. Krizhevsky, "Learning multiple layers of features from tiny images" (2009), and the
    page on which the data are published.
    Raises `FormatError`, and `OSError` if the file cannot be read.

    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "batch.bin")
    >>> with open(path, "wb") as file:
    ...     _ = file.write(bytes([7]) + bytes(3072))
    >>> images, labels = read_cifar(path)
    >>> images.shape, labels
    ((1, 3, 32, 32), array([7], dtype=uint8))
    """
    with _open(path) as source:
        return _read_cifar(source, classes)


def read_cifar_archive(
    path: Path, names: Sequence[str], *, classes: Sequence[int] = (10,)
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """As `read_cifar`, of the files `names` in the published archive, in the order of `names`."""
    parts = {}
    for member, source in _members(path):
        name = member.rpartition("/")[2]
        if name in names:
            parts[name] = _read_cifar(source, classes)
    if missing := [name for name in names if name not in parts]:
        raise FormatError(f"{os.fspath(path)}: {', '.join(missing)} not in the archive")
    images, labels = zip(*(parts[name] for name in names), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def _read_cifar(source: _Source, classes: Sequence[int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    count, record = len(classes), len(classes) + math.prod(_CIFAR_SHAPE)
    data = source.rest()
    if not data or len(data) % record:
        start = len(data) - len(data) % record
        what = f"a record of {record} bytes ({count} of labels, 3072 of pixels)"
        raise source.error(start, what, f"the end of the file after {len(data) - start} of them")
    records = np.frombuffer(data, np.uint8).reshape(-1, record)
    labels = records[:, :count]
    if wrong := np.argwhere(labels >= np.array(classes)).tolist():
        row, column = wrong[0]
        what = f"a label below {classes[column]} (record {row} of a CIFAR file)"
        raise source.error(row * record + column, what, f"{labels[row, column]}")
    return records[:, count:].reshape(-1, *_CIFAR_SHAPE), labels[:, 0] if count == 1 else labels


# --- Text -----------------------------------------------------------------------------------------

_REVIEW = re.compile(r"aclImdb/(?P<part>train|test)/(?P<label>neg|pos)/\d+_\d+\.txt")


def read_text(path: Path) -> str:
    """The text of a UTF-8 file, its line ends as they are, without a byte order mark.

    Raises `FormatError` where the bytes are not UTF-8, and `OSError` if the file cannot be read.

    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "names.txt")
    >>> with open(path, "w") as file:
    ...     _ = file.write("emma")
    >>> read_text(path)
    'emma'
    """
    with _open(path) as source:
        return _read_text(source)


def read_reviews(path: Path) -> tuple[list[str], NDArray[np.int64]]:
    """Texts and labels (0 negative, 1 positive) from JSON lines `{"text": ..., "label": ...}`.

    Blank lines count for nothing. Raises `FormatError`, and `OSError` if the file cannot be read.

    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "reviews.jsonl")
    >>> with open(path, "w") as file:
    ...     _ = file.write('{"text": "A delight.", "label": 1}')
    >>> read_reviews(path)
    (['A delight.'], array([1]))
    """
    texts, labels = [], []
    with _open(path) as source:
        for offset, line in source.lines():
            if not line.strip():
                continue
            what = 'a line {"text": string, "label": 0 or 1}'
            try:
                review = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise source.error(offset, what, f"{line[:40]!r} ({error})") from error
            if (
                not isinstance(review, dict)
                or not isinstance(review.get("text"), str)
                or type(review.get("label")) is not int  # True is an int, and no label
                or review["label"] not in (0, 1)
            ):
                raise source.error(offset, what, f"{line[:40]!r}")
            texts.append(review["text"])
            labels.append(review["label"])
    return texts, np.array(labels, np.int64)


def read_reviews_archive(path: Path, *, train: bool | None = None) -> tuple[list[str], NDArray[np.int64]]:
    """As `read_reviews`, from the archive of the Large Movie Review Dataset (aclImdb_v1.tar.gz).

    `train` chooses the published training or test half; None takes both. The order is the
    archive's, which groups the labels: shuffle before training.

    Source: A. Maas et al., "Learning word vectors for sentiment analysis" (ACL 2011).
    """
    texts, labels = [], []
    for name, source in _members(path):
        review = _REVIEW.fullmatch(name)
        if review and train in (None, review["part"] == "train"):
            texts.append(_read_text(source))
            labels.append(int(review["label"] == "pos"))
    if not texts:
        raise FormatError(f"{os.fspath(path)}: no reviews aclImdb/train/pos/0_9.txt in the archive")
    return texts, np.array(labels, np.int64)


def _read_text(source: _Source) -> str:
    data = source.rest()
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise source.error(error.start, "UTF-8 text", f"0x{data[error.start]:02x}") from error
