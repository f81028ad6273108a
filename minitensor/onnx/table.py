"""The table of ONNX's operators: of each the function of ours that computes it, from which operator set on.

A function takes the node's inputs by position (None for one left out) and its attributes by name. Where a new set has
changed an operator (an attribute that became an input, another default), the table has one function for each form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numpy as np

import minitensor as mt

from .. import dtypes
from ..batching import Hidden
from ..errors import ArgumentError, DtypeError
from ..graph.tensors import Tensor
from ..ops.common import raw

F = TypeVar("F", bound=Callable[..., Any])


class Reader(NamedTuple):
    """What computes an operator from a set on."""

    since: int
    function: Callable[..., Any]
    at: bool  # whether it also takes the `Node`, by the name `at`


READERS: dict[tuple[str, str], list[Reader]] = {}


class UnsupportedError(NotImplementedError, ArgumentError):
    """An operator, or a form of one, that has no counterpart."""


def reads(*names: str, since: int = 1, domain: str = "", at: bool = False) -> Callable[[F], F]:
    """Enters a function into the table, for the operators of these names from a set on."""

    def enter(function: F) -> F:
        for name in names:
            rows = READERS.setdefault((domain, name), [])
            rows.append(Reader(since, function, at))
            rows.sort()
        return function

    return enter


def reader(domain: str, name: str, opset: int) -> Reader | None:
    """The newest form of an operator that the set has, or None."""
    rows = [row for row in READERS.get((domain, name), ()) if row.since <= opset]
    return rows[-1] if rows else None


def elements(x: Any) -> Any:
    """The ndarray of a tensor, to read its elements: where it has none (it is traced) that raises."""
    a = raw(x)
    if isinstance(a, Hidden):
        a.tolist()
    return np.asarray(a)


def ints(x: Any) -> list[int]:
    """The elements of a tensor or list of integers."""
    return [int(k) for k in elements(x).ravel()]


def item(x: Any, default: Any = None) -> Any:
    """The one element of a tensor; `default` where there is none."""
    return default if x is None else elements(x).ravel()[0].item() if isinstance(x, Tensor) else x


def like(x: Any, value: Any) -> Any:
    """A number or array as a tensor of the dtype of `x`."""
    return mt.as_tensor(np.asarray(value, raw(x).dtype))


# TensorProto.DataType, by number
_TYPES = {
    1: "float32", 2: "uint8", 3: "int8", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64",
}  # fmt: skip
NUMBER_OF = {np.dtype(name): number for number, name in _TYPES.items()}


def dtype_of(number: int) -> dtypes.dtype:
    """The dtype that a TensorProto.DataType means."""
    if number in _TYPES:
        return dtypes.of(_TYPES[number])
    import onnx

    raise DtypeError(f"the dtype {onnx.TensorProto.DataType.Name(number)} is not one of minitensor's")
