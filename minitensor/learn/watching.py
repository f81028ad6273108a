"""What the graph does not keep, kept for a picture: every operator's values, and the box that it was run in.

A node of the graph holds what its derivative rules need and nothing else: not its result, not the constant in x + 2.
While a `watch` is open, each operator that is recorded leaves a `Record` in its node's `metadata`.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ..graph import modes, places
from ..graph.tensors import Tensor
from ..nn.hooks import register_module_forward_hook, register_module_forward_pre_hook

__all__ = ["Record", "Scope", "Value", "box", "value_of", "watch"]

KEPT = 64  # elements of a value up to which it is copied: a larger one is not shown


class Value(NamedTuple):
    """What is shown of an array: its elements only if they are few."""

    shape: tuple[int, ...]
    dtype: str
    array: Any  # a copy, or None


class Scope(NamedTuple):
    """One call of a module, or one passage through a `box`."""

    name: str
    kind: str  # "box" or "module"
    call: int  # tells two calls of one module apart
    module: Any = None


class Record(NamedTuple):
    """What one operator was seen to do."""

    order: int
    path: tuple[Scope, ...]
    arguments: tuple[Any, ...]  # of each, None if the graph leads on from it, else (object, Value)
    outputs: tuple[Value, ...]
    place: Any  # in the user's program: operators of one call have the same


class _State(threading.local):
    """The boxes that a thread is in, while something is watched."""

    def __init__(self) -> None:
        self.path: list[Scope] = []
        self.on = False


_state = _State()
_numbers = itertools.count()


def value_of(x: Any) -> Value | None:
    """What is shown of a tensor, an array or a number; None for anything else."""
    if isinstance(x, Tensor):
        x = x.array
    elif isinstance(x, (bool, int, float)):
        return Value((), type(x).__name__, np.asarray(x))
    if not isinstance(x, (np.ndarray, np.generic)):
        return None
    a = np.asarray(x)
    return Value(a.shape, str(a.dtype), a.copy() if a.size <= KEPT else None)


def _seen(node: Any, arguments: Any, outputs: Any) -> None:
    given: list[Any] = []
    for origin, a in zip(node.inputs, arguments, strict=False):
        shown = value_of(a) if origin is None else None
        given.append(None if shown is None else (a, shown))
    kept = tuple([value_of(y) for y in outputs])
    record = Record(next(_numbers), tuple(_state.path), tuple(given), kept, places.here())  # type: ignore[arg-type]
    node.metadata["learn"] = record


def _enter(module: Any, _: Any) -> None:
    if _state.on:
        _state.path.append(Scope(type(module).__name__, "module", next(_numbers), module))


def _leave(module: Any, _: Any, __: Any) -> None:
    if _state.on and _state.path:
        _state.path.pop()


@contextmanager
def watch() -> Iterator[None]:
    """While it is open, what is recorded can be drawn with all of its values, constants, boxes and modules.

    `draw(function, ...)` opens one itself. Values of more than 64 elements are not kept.

    >>> x = mt.tensor(1.0, requires_grad=True)
    >>> with mt.learn.watch():
    ...     y = mt.log(x + 2)
    >>> [v.title for v in mt.learn.draw(y).vertices]
    ['x', '2', '+', 'log']
    """
    was, path = _state.on, _state.path
    before = modes.set_watch(_seen)
    handles = [] if was else [register_module_forward_pre_hook(_enter)]
    handles += [] if was else [register_module_forward_hook(_leave, always_call=True)]
    _state.on, _state.path = True, list(path)
    try:
        yield
    finally:
        _state.on, _state.path = was, path
        for handle in handles:
            handle.remove()
        modes.set_watch(before)


@contextmanager
def box(name: str) -> Iterator[None]:
    """What is recorded inside is drawn as one box, with one local derivative for each of its inputs.

    Also a decorator. Outside a `watch` (or `draw(function, ...)`) it does nothing.

    >>> @mt.learn.box("sigmoid")
    ... def sigmoid(x):
    ...     return 1 / (1 + mt.exp(-x))
    >>> [v.title for v in mt.learn.draw(sigmoid, 0.0).vertices]
    ['x', 'sigmoid']
    """
    path, depth = _state.path, len(_state.path)
    if _state.on:
        path.append(Scope(name, "box", next(_numbers)))
    try:
        yield
    finally:
        del path[depth:]
