"""Readers of data on files written here, whole, cut, and foreign."""

import gzip
import json
import re
import struct
import tarfile
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data_files import IDX_CODES, REVIEWS, idx, records, tar
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from minitensor.datasets import FormatError, formats

on_files = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)


# --- IDX ------------------------------------------------------------------------------------------


@on_files
@given(
    values=st.sampled_from(sorted(IDX_CODES)).flatmap(
        lambda kind: hnp.arrays(kind, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0))
    ),
    packed=st.booleans(),
)
def test_idx_gives_back_what_was_written(file: Any, values: np.ndarray, packed: bool) -> None:
    data = idx(values)
    read = formats.read_idx(file(gzip.compress(data, 1) if packed else data))
    assert read.dtype == values.dtype
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, values)


@on_files
@given(
    kind=st.sampled_from(sorted(IDX_CODES)),
    packed=st.booleans(),
    cut=st.floats(0, 1, exclude_max=True),
)
def test_idx_cut_anywhere_is_an_error(file: Any, kind: str, packed: bool, cut: float) -> None:
    data = idx(np.arange(24, dtype=kind).reshape(2, 3, 4))
    data = gzip.compress(data) if packed else data
    path = file(data[: int(cut * len(data))])
    with pytest.raises(FormatError, match=rf"^{re.escape(str(path))}: byte \d+: expected .*, found"):
        formats.read_idx(path)


@on_files
@given(position=st.integers(0), bit=st.integers(0, 7))
def test_a_flipped_bit_never_passes_gzip(file: Any, position: int, bit: int) -> None:
    values = np.arange(200, dtype="i2")
    data = bytearray(gzip.compress(idx(values), mtime=0))
    # A bit of gzip's own header may not matter, nor one that fills up the last byte in front of the check sum.
    body = [*range(10, len(data) - 9), *range(len(data) - 8, len(data))]
    data[body[position % len(body)]] ^= 1 << bit
    with pytest.raises(FormatError):
        formats.read_idx(file(data))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", r"byte 0: expected the header of an IDX file \(4 bytes\), found a file that can"),
        (b"\x89PNG", "byte 0: expected the two zero bytes that open an IDX file, found 8950"),
        (
            b"\0\0\x0a\1",
            "byte 2: expected one of IDX's type codes 08, 09, 0b, 0c, 0d, 0e, found 0a",
        ),
        (
            b"\0\0\x08\2\0\0\0\2",
            r"byte 4: expected the lengths of 2 axes \(8 bytes\), found a file that can hold at "
            "most 4 more",
        ),
        (
            idx(np.arange(6, dtype="i2").reshape(2, 3))[:-1],
            r"byte 12: expected int16 values of shape \(2, 3\) \(12 bytes\), found .* 11 more",
        ),
        (
            gzip.compress(idx(np.arange(6, dtype="i2").reshape(2, 3))[:-1]),
            r"byte 12: expected int16 values of shape \(2, 3\) \(12 bytes\), "
            "found the end of the file after 11 of them",
        ),
        (idx(np.zeros(3, "u1")) + b"ab", "byte 11: expected the end of the file, found 2 more"),
        (gzip.compress(idx(np.zeros(3, "u1")))[:-4], r"damaged or truncated data \(.+\)"),
        (gzip.compress(idx(np.zeros(3, "u1"))) + b"junk", r"damaged or truncated data \(.+\)"),
        (b"\0\0\x08\xff" + bytes(4 * 255), "byte 3: expected a shape that NumPy can hold"),
        (
            b"\0\0\x08\4" + bytes(4) + b"\xff" * 12,
            "byte 3: expected a shape that NumPy can hold, found",
        ),
    ],
)
def test_idx_errors_say_where_and_what(file: Any, data: bytes, message: str) -> None:
    path = file(data)
    with pytest.raises(FormatError, match=message) as caught:
        formats.read_idx(path)
    assert str(path) in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("shape", [(2**32 - 1,), (60000, 2800, 2800), (2**32 - 1,) * 255])
def test_an_absurd_header_takes_no_memory(file: Any, shape: tuple[int, ...], packed: bool) -> None:
    data = struct.pack(f">BBBB{len(shape)}I", 0, 0, 14, len(shape), *shape) + bytes(100_000)
    path = file(gzip.compress(data) if packed else data)
    tracemalloc.start()
    try:
        with pytest.raises(FormatError, match="expected float64 values of shape"):
            formats.read_idx(path)
        assert tracemalloc.get_traced_memory()[1] < 4e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (
            np.zeros((2, 4, 4), "f4"),
            np.zeros(2, "u1"),
            "images: expected uint8 values along 3 axes",
        ),
        (np.zeros((2, 4, 4), "u1"), np.zeros((2, 1), "u1"), "labels: expected uint8 .* 1 axes"),
        (np.zeros((2, 4, 4), "u1"), np.zeros(3, "u1"), "3 labels do not fit the 2 pictures"),
        (np.zeros((2, 4, 4), "u1"), np.array([3, 10], "u1"), "label 1: expected .* 10, found 10"),
    ],
)
def test_pictures_and_labels_must_belong_together(
    file: Any, images: np.ndarray, labels: np.ndarray, message: str
) -> None:
    paths = file(idx(images), "images"), file(idx(labels), "labels")
    with pytest.raises(FormatError, match=message):
        formats.read_idx_pair(*paths, 10)


# --- CIFAR ----------------------------------------------------------------------------------------


def test_cifar_planes_rows_and_columns(file: Any) -> None:
    pixels = np.arange(2 * 3072).astype("u1").reshape(2, 3, 32, 32)
    data = b"".join(bytes([9 - i]) + picture.tobytes() for i, picture in enumerate(pixels))
    for path in file(data), file(gzip.compress(data), "packed"):
        images, labels = formats.read_cifar(path)
        np.testing.assert_array_equal(images, pixels)
        np.testing.assert_array_equal(labels, [9, 8])


def test_cifar100_has_two_labels(file: Any) -> None:
    images, labels = formats.read_cifar(file(records([99, 0], extra=b"\x13")), classes=(20, 100))
    np.testing.assert_array_equal(labels, [[19, 99], [19, 0]])
    assert images.shape == (2, 3, 32, 32)


@pytest.mark.parametrize(
    ("data", "classes", "message"),
    [
        (b"", (10,), "byte 0: expected a record of 3073 bytes .* end of the file after 0 of them"),
        (records([1, 2])[:-1], (10,), "byte 3073: expected a record .* after 3072 of them"),
        (records([1, 2]) + b"a", (10,), "byte 6146: expected a record .* after 1 of them"),
        (records([1, 10]), (10,), r"byte 3073: expected a label below 10 \(record 1 .*found 10"),
        (
            records([100], extra=b"\0"),
            (20, 100),
            "byte 1: expected a label below 100 .*, found 100",
        ),
        (gzip.compress(records([1, 2]))[:-9], (10,), "damaged or truncated data"),
    ],
)
def test_cifar_errors(file: Any, data: bytes, classes: tuple[int, ...], message: str) -> None:
    with pytest.raises(FormatError, match=message):
        formats.read_cifar(file(data), classes=classes)


def test_cifar_archive_is_read_in_the_order_of_names(file: Any) -> None:
    members = {"c/b.bin": records([2]), "c/readme": b"text", "c/a.bin": records([0, 1])}
    path = file(tar(members))
    images, labels = formats.read_cifar_archive(path, ["a.bin", "b.bin"])
    np.testing.assert_array_equal(labels, [0, 1, 2])
    np.testing.assert_array_equal(images[:, 0, 0, 0], [0, 1, 0])
    with pytest.raises(FormatError, match=r"c\.bin, d\.bin not in the archive"):
        formats.read_cifar_archive(path, ["a.bin", "c.bin", "d.bin"])


@pytest.mark.parametrize("cut", [0, 1, 30, 60, -1, -8])
def test_a_cut_archive_is_an_error(file: Any, cut: int) -> None:
    path = file(tar({"c/a.bin": records([0, 1])})[:cut])
    with pytest.raises(FormatError, match=f"^{re.escape(str(path))}"):
        formats.read_cifar_archive(path, ["a.bin"])


def test_an_error_inside_an_archive_names_the_member(file: Any) -> None:
    path = file(tar({"c/a.bin": records([0, 77])}))
    with pytest.raises(FormatError, match=rf"^{re.escape(str(path))}/c/a\.bin: byte 3073: .* below 10"):
        formats.read_cifar_archive(path, ["a.bin"])


def test_an_uncompressed_tar_cut_inside_a_file_is_an_error(file: Any) -> None:
    path = file(gzip.decompress(tar({"c/a.bin": records([0, 1])}))[:4000])
    with pytest.raises(FormatError, match=r"'c/a.bin' to fit in the archive, found 6146 bytes"):
        formats.read_cifar_archive(path, ["a.bin"])


@pytest.mark.parametrize("size", [2**60, -1])
def test_an_archive_that_claims_an_absurd_member(file: Any, size: int) -> None:
    info = tarfile.TarInfo("c/readme")
    info.size = size
    path = file(info.tobuf(tarfile.GNU_FORMAT) + bytes(10240))
    with pytest.raises(FormatError, match=rf"byte 0: .*'c/readme' to fit.*found {size} bytes"):
        formats.read_cifar_archive(path, ["a.bin"])


# --- Text -----------------------------------------------------------------------------------------


@on_files
@given(content=st.text(), packed=st.booleans())
def test_text_comes_back(file: Any, content: str, packed: bool) -> None:
    data = ("\ufeff" + content).encode()
    assert formats.read_text(file(gzip.compress(data) if packed else data)) == content


def test_text_that_is_not_utf8_names_the_byte(file: Any) -> None:
    with pytest.raises(FormatError, match="byte 3: expected UTF-8 text, found 0xe9"):
        formats.read_text(file("café".encode("latin-1")))


@on_files
@given(reviews=st.lists(st.tuples(st.text(), st.integers(0, 1))), packed=st.booleans())
def test_reviews_come_back(file: Any, reviews: list[tuple[str, int]], packed: bool) -> None:
    lines = [json.dumps({"text": text, "label": label, "id": 1}) for text, label in reviews]
    data = "\n\n".join(lines).encode()
    texts, labels = formats.read_reviews(file(gzip.compress(data) if packed else data))
    assert list(zip(texts, labels.tolist(), strict=True)) == reviews
    assert labels.dtype == np.int64


@pytest.mark.parametrize(
    "line",
    [
        b"not json",
        b"[1, 2]",
        b'{"text": "good"}',
        b'{"label": 1}',
        b'{"text": 5, "label": 1}',
        b'{"text": "good", "label": 2}',
        b'{"text": "good", "label": true}',
        b'{"text": "good", "label": "1"}',
        b'{"text": "g\xff", "label": 1}',
        b"[" * 100_000,
        b'{"text": "cut sho',
    ],
)
def test_a_line_that_is_no_review_is_an_error(file: Any, line: bytes) -> None:
    good = b'{"text": "good", "label": 1}\n'
    with pytest.raises(FormatError, match=f'byte {len(good)}: expected a line {{"text"'):
        formats.read_reviews(file(good + line))


def test_reviews_cut_in_gzip_are_an_error(file: Any) -> None:
    data = gzip.compress(b'{"text": "good", "label": 1}\n' * 1000)
    with pytest.raises(FormatError, match="damaged or truncated data"):
        formats.read_reviews(file(data[:-20]))


def test_reviews_archive_and_its_halves(file: Any) -> None:
    path = file(tar(REVIEWS))
    for train, texts, labels in (
        (True, ["gâché", "great"], [0, 1]),
        (False, ["fine"], [1]),
        (None, ["fine", "gâché", "great"], [1, 0, 1]),
    ):
        read = formats.read_reviews_archive(path, train=train)
        assert read[0] == texts
        np.testing.assert_array_equal(read[1], labels)
    with pytest.raises(FormatError, match="no reviews"):
        formats.read_reviews_archive(file(tar({"a": b"b"})))


@on_files
@given(data=st.binary(max_size=600), packed=st.booleans())
def test_foreign_bytes_are_a_format_error_or_data(file: Any, data: bytes, packed: bool) -> None:
    path = file(gzip.compress(data) if packed else data)
    for read in (
        formats.read_idx,
        formats.read_cifar,
        formats.read_text,
        formats.read_reviews,
        formats.read_reviews_archive,
        lambda path: formats.read_cifar_archive(path, ["a.bin"]),
    ):
        try:
            read(path)
            message = str(path)
        except FormatError as error:
            message = str(error)
        assert str(path) in message


@pytest.mark.parametrize("read", [formats.read_idx, formats.read_cifar, formats.read_text, formats.read_reviews])
def test_a_missing_file_or_a_folder_is_an_os_error(read: Any, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nothing"):
        read(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)
