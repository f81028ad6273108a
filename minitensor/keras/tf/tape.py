"""GradientTape: derivatives of what is computed while it is open.

The graph is the engine's. An open tape has operators recorded; it watches variables always, and other tensors when
it is told to.
"""

from __future__ import annotations

from typing import Any

import minitensor as mt

from ...pytree import leaves, rebuild
from .tensor import Tensor, Variable, is_recording, recording, run, value_of


class GradientTape:
    """Records what is computed within its `with` block, and differentiates it afterwards.

    `persistent` allows `gradient` more than once. Tapes may be nested: the outer one then differentiates the gradients
    that the inner one gives.

    >>> from minitensor.keras import tf
    >>> x = tf.constant([1.0, 2.0])
    >>> with tf.GradientTape() as tape:
    ...     tape.watch(x)
    ...     y = x**2
    >>> print(tape.gradient(y, x))
    tf.Tensor([2. 4.], shape=(2,), dtype=float32)
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True) -> None:
        self._persistent = persistent
        self._used = False
        self._watched: list[Any] = []  # the leaves that this tape switched on
        self._open: Any = None

    def __enter__(self) -> GradientTape:
        self._open = recording()
        self._open.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)
        self._open = None
        _switch(self._watched, False)

    def watch(self, tensor: Any) -> None:
        """Has what is computed from a tensor (or from each of several) recorded from now on."""
        for t in tensor if isinstance(tensor, (list, tuple)) else [tensor]:
            if not isinstance(t, Tensor):
                raise ValueError(f"watch: expected a tensor, got {type(t).__name__}; make it by tf.constant")
            leaf = t._value
            if not leaf.requires_grad and leaf.array.dtype.kind == "f":
                leaf.requires_grad = True
                self._watched.append(leaf)

    def gradient(self, target: Any, sources: Any, unconnected_gradients: Any = None) -> Any:
        """The derivative of the sum of `target` by each of `sources`, in their structure; None where there is none."""
        if self._used and not self._persistent:
            raise RuntimeError(
                "gradient: this GradientTape was used already; GradientTape(persistent=True) serves again"
            )
        self._used = True
        given = list(leaves(sources))
        closed = [leaf for leaf in self._watched if not leaf.requires_grad]
        _switch(closed, True)
        try:
            found = self._differentiate([value_of(t) for t in leaves(target)], given)
        finally:
            _switch(closed, False)
        return rebuild(sources, found)

    def jacobian(self, target: Any, sources: Any) -> Any:
        """The derivatives of each element of target: (*target.shape, *source.shape)."""
        if self._used and not self._persistent:
            raise RuntimeError("this GradientTape was used already; GradientTape(persistent=True) serves again")
        self._used = True
        given = list(leaves(sources))
        closed = [leaf for leaf in self._watched if not leaf.requires_grad]
        _switch(closed, True)
        try:
            y = value_of(target)
            with mt.enable_grad():
                rows = [self._differentiate([part], given) for part in y.reshape(-1)]
        finally:
            _switch(closed, False)
        found = []
        for k, source in enumerate(given):
            parts = [row[k] for row in rows]
            whole = None if parts[0] is None else run(mt.stack, [part.value for part in parts])
            found.append(None if whole is None else run(mt.reshape, whole.value, (*y.shape, *source.shape)))
        return rebuild(sources, found)

    def _differentiate(self, targets: list[Any], sources: list[Any]) -> list[Any]:
        targets = [t for t in targets if t.requires_grad]
        held = [s._value for s in sources]
        wanted = [x for x in held if x.requires_grad]
        if not targets or not wanted:
            return [None] * len(sources)
        ones = [mt.ones_like(t) for t in targets]
        grads = iter(
            mt.autograd.grad(targets, wanted, ones, retain_graph=True, create_graph=is_recording(), allow_unused=True)
        )
        found = [next(grads) if x.requires_grad else None for x in held]
        return [g if g is None else _with_axes(s, g) for s, g in zip(sources, found, strict=True)]


def _with_axes(source: Any, g: Any) -> Tensor:
    """The gradient by what is stored, with the axes that Keras shows."""
    axes = source.axes if isinstance(source, Variable) else None
    return Tensor(g) if axes is None else run(mt.permute, g, axes)


def _switch(tensors: list[Any], on: bool) -> None:
    for leaf in tensors:
        leaf.requires_grad = on
