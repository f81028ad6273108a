"""Files of data, written from the descriptions of their formats."""

import io
import struct
import tarfile

import numpy as np

IDX_CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
REVIEWS = {
    "aclImdb/README": b"read me",
    "aclImdb/test/pos/0_10.txt": b"fine",
    "aclImdb/train/neg/0_2.txt": "g\u00e2ch\u00e9".encode(),
    "aclImdb/train/pos/1_9.txt": b"great",
    "aclImdb/train/unsup/0_0.txt": b"unknown",
    "aclImdb/train/urls_pos.txt": b"http",
}


def idx(values: np.ndarray) -> bytes:
    """An IDX file, written from the description of the format."""
    code = IDX_CODES[values.dtype.str[1:]]
    header = struct.pack(f">BBBB{values.ndim}I", 0, 0, code, values.ndim, *values.shape)
    return header + values.astype(values.dtype.newbyteorder(">")).tobytes()


def tar(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def records(labels: list[int], *, extra: bytes = b"") -> bytes:
    """A CIFAR file whose record i holds pixels of value i."""
    return b"".join(extra + bytes([label]) + bytes([i % 256]) * 3072 for i, label in enumerate(labels))
