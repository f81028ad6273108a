"""Samples joined into batches, and single samples made tensors of."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from ... import creation, dtypes
from ...errors import DtypeError, ShapeError
from ...graph.tensors import Tensor
from ...ops.join import stack
from .dataset import Batch

__all__ = ["default_collate", "default_convert"]


def default_collate(batch: Any) -> Any:
    """Samples joined into a batch: tensors stacked, numbers as a tensor, strings as they are.

    Tuples, lists and dicts are joined part by part (a tuple becomes a list; a named tuple stays
    one). Floats become float64, ints int64. Raises ShapeError for samples of different sizes, and
    DtypeError for what cannot be joined.

    >>> mt.utils.data.default_collate([(mt.zeros(2), 3, "a"), (mt.ones(2), 4, "b")])
    [tensor([[0., 0.],
            [1., 1.]]), tensor([3, 4]), ('a', 'b')]
    """
    if isinstance(batch, Batch):
        return batch.parts
    first = batch[0]
    if isinstance(first, Tensor):
        try:
            return stack(batch)
        except ValueError as error:
            raise ShapeError(f"default_collate: the samples differ: {error}") from None
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, (np.ndarray, np.generic)):
        return default_collate([_tensor("default_collate", np.asarray(x)) for x in batch])
    if isinstance(first, (bool, int)):
        return creation.tensor(list(batch))
    if isinstance(first, float):
        return creation.tensor(list(batch), dtype=dtypes.float64)
    if isinstance(first, Mapping):
        return _mapping(first, {key: default_collate([sample[key] for sample in batch]) for key in first})
    if isinstance(first, Sequence):
        if len({len(sample) for sample in batch}) > 1:
            sizes = sorted({len(sample) for sample in batch})
            raise ShapeError(f"default_collate: the samples have different numbers of parts: {sizes}")
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return parts if isinstance(first, tuple) and not hasattr(first, "_fields") else _sequence(first, parts)
    raise DtypeError(f"default_collate: cannot join samples of type {type(first).__name__}")


def default_convert(data: Any) -> Any:
    """One sample with the arrays in it as tensors: what a DataLoader without batches gives.

    Tuples, lists and dicts are gone through; a tuple becomes a list, a named tuple stays one; anything else is returned
    as it is.

    >>> mt.utils.data.default_convert({"x": np.zeros(2), "y": 3, "name": "a"})
    {'x': tensor([0., 0.], dtype=minitensor.float64), 'y': 3, 'name': 'a'}
    """
    if isinstance(data, (str, bytes, Batch)) or isinstance(data, Tensor):
        return data
    if isinstance(data, (np.ndarray, np.generic)):
        text = data.dtype.kind in "SUO"
        return data if text else _tensor("default_convert", np.asarray(data))
    if isinstance(data, Mapping):
        return _mapping(data, {key: default_convert(value) for key, value in data.items()})
    if isinstance(data, Sequence):
        parts = [default_convert(part) for part in data]
        return parts if isinstance(data, tuple) and not hasattr(data, "_fields") else _sequence(data, parts)
    return data


def _tensor(name: str, array: Any) -> Any:
    """A tensor over an array, whatever its strides."""
    if array.dtype.kind in "SUO":
        raise DtypeError(f"{name}: an array of {array.dtype} holds no numbers")
    return creation.as_tensor(array if all(s >= 0 for s in array.strides) else array.copy())


def _mapping(like: Any, parts: dict[Any, Any]) -> Any:
    """The parts in a mapping of the same class, where that can be made; else in a dict."""
    return _made(type(like), lambda: _updated(like, parts), parts) if type(like) is not dict else parts


def _updated(like: Any, parts: dict[Any, Any]) -> Any:
    if not isinstance(like, MutableMapping):
        return type(like)(parts)
    made = copy.copy(like)
    made.update(parts)
    return made


def _sequence(like: Any, parts: list[Any]) -> Any:
    """The parts in a sequence of the same class, where that can be made; else in a list."""
    cls = type(like)
    if hasattr(like, "_fields"):
        return cls(*parts)
    return _made(cls, lambda: _filled(like, parts), parts) if cls is not list else parts


def _filled(like: Any, parts: list[Any]) -> Any:
    if not isinstance(like, MutableSequence):
        return type(like)(parts)
    made = copy.copy(like)
    for i, part in enumerate(parts):
        made[i] = part
    return made


def _made(cls: type, make: Callable[[], Any], otherwise: Any) -> Any:
    """What `make` gives; a class whose instances cannot be made or filled so is left for a plain one."""
    try:
        return make()
    except TypeError:
        return otherwise
