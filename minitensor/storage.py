"""The memory that tensors are views of, in one row of elements or bytes: what `storage_offset` counts in."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from . import dtypes, naming
from .device import device

__all__ = ["TypedStorage", "UntypedStorage", "owner"]


def owner(array: Any) -> Any:
    """The array whose memory this one is a view of; itself if that is its own."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


class _Storage:
    """A row of elements over the memory of an array and of all its views."""

    def __init__(self, array: Any) -> None:
        self._row = owner(array).ravel("K")

    @property
    def device(self) -> device:
        """The CPU."""
        return device("cpu")

    def data_ptr(self) -> int:
        """The address of the first element."""
        return int(self._row.ctypes.data)

    def nbytes(self) -> int:
        """Bytes of all elements."""
        return int(self._row.nbytes)

    def element_size(self) -> int:
        """Bytes of an element."""
        return int(self._row.itemsize)

    def size(self) -> int:
        """How many elements."""
        return len(self)

    def is_shared(self) -> bool:
        """False: no other process sees it."""
        return False

    def tolist(self) -> list[Any]:
        """The elements."""
        return list(self)

    def __len__(self) -> int:
        return len(self._row)

    def __sizeof__(self) -> int:
        return object.__sizeof__(self) + self.nbytes()

    def __iter__(self) -> Iterator[Any]:
        return iter(self._row.tolist())

    def __getitem__(self, index: int) -> Any:
        return self._row[index].item()

    def __setitem__(self, index: Any, value: Any) -> None:
        self._row[index] = value

    def _shown(self, kind: str, dtype: str) -> str:
        rows = "".join(f" {x}\n" for x in self)
        name = naming.full(f"storage.{kind}")
        return f"{rows}[{name}({dtype}device={self.device.type}) of size {len(self)}]"


class TypedStorage(_Storage):
    """Elements of a dtype.

    >>> mt.tensor([[1, 2], [3, 4]]).T.storage().tolist()
    [1, 2, 3, 4]
    """

    @property
    def dtype(self) -> dtypes.dtype:
        """The elements'."""
        return dtypes.of(self._row.dtype)

    def untyped(self) -> UntypedStorage:
        """The same as bytes."""
        return UntypedStorage(self._row)

    def __repr__(self) -> str:
        return self._shown("TypedStorage", f"dtype={self.dtype}, ")


class UntypedStorage(_Storage):
    """Bytes.

    >>> mt.tensor([1, 2]).untyped_storage().nbytes()
    16
    """

    def __init__(self, array: Any) -> None:
        super().__init__(array)
        self._row = self._row.view(np.uint8)

    def __repr__(self) -> str:
        return self._shown("UntypedStorage", "")
