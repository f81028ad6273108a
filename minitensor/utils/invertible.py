"""Reverse mode that stores no states: each is computed from the one behind it, by the inverse of its block."""

from __future__ import annotations

from typing import Any

from ..autograd.modes import no_grad
from ..graph import modes
from .checkpoint import Chain, _keep, _listed, layered

__all__ = ["invertible_sequential"]


class _Inverted(Chain):
    """A chain of which the last state is stored."""

    def run(self, x: Any) -> Any:
        for k in range(len(self.functions)):
            x = self.record(k, x)
        self.last = _keep([x.detach()])
        self.place, self.now = len(self.functions), None
        return x

    def state(self, k: int) -> Any:
        """The state after k steps; the walk back asks for them from the last one on."""
        if self.now is None or self.place < k:
            self.place, self.now = len(self.functions), self.last()[0]
        while self.place > k:
            self.place -= 1
            with no_grad():
                self.now = self.functions[self.place].inverse(self.now)  # type: ignore[attr-defined]
        x = self.now
        if k == 0:
            self.now = None
        return x


def invertible_sequential(blocks: Any, x: Any, *, preserve_rng_state: bool = True) -> Any:
    """The composition of blocks, modules with `forward` and `inverse`, of which only the last state is stored.

    The backward calls each `inverse` once and each `forward` once more, one block at a time, so its memory does not
    grow with their number. The states come back up to the rounding of the inverses. Under vmap and forward mode all
    values are stored. Raises TypeError for a block without an inverse, GraphError if the result has been overwritten.

    >>> class Shift(mt.nn.Module):
    ...     def forward(self, x):
    ...         return x + 1
    ...
    ...     def inverse(self, y):
    ...         return y - 1
    >>> mt.utils.invertible.invertible_sequential([Shift(), Shift()], mt.zeros(2))
    tensor([2., 2.])
    """
    steps = _listed(blocks)
    for i, block in enumerate(steps):
        if not callable(getattr(block, "inverse", None)):
            raise TypeError(f"invertible_sequential: block {i}, {type(block).__name__}, has no method inverse")
    if not modes.grad_enabled() or layered([x]) or not steps:
        for block in steps:
            x = block(x)
        return x
    return _Inverted(steps, preserve_rng_state).run(x)
