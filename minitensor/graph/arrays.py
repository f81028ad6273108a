"""What the graph reads of an ndarray at every call; compiled, arrays.pxd reads it without one."""

from __future__ import annotations

from typing import Any


def same_shape(x: Any, y: Any) -> bool:
    """Whether two ndarrays have one shape."""
    return bool(x.shape == y.shape)


def dtype_of(x: Any) -> Any:
    """The dtype of an ndarray."""
    return x.dtype


def base_of(x: Any) -> Any:
    """What an ndarray's memory belongs to, if not to itself."""
    return x.base


def shape_of(x: Any, cls: type[tuple[int, ...]]) -> Any:
    """The sizes of an ndarray as an object of a class of tuples."""
    return cls(x.shape)


def flags_of(x: Any) -> int:
    """What NumPy notes of an ndarray's memory, a bit each: see CONTIGUOUS and WRITEABLE in views.py."""
    return int(x.flags.num)
