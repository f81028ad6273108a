r"""The identity on whose way back a function sees the gradients: what the backward hooks of modules are made of.

forward    y_i = x_i, in memory of its own
backward   (dx_1, ..., dx_n) = seen(g_1, ..., g_n)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..graph import Tensor, apply, wrap
from ..op import Op, Result, Sample
from .common import Array


class Seen:
    """Calls a function with all gradients of one walk, once, though each argument's rule asks for its own."""

    def __init__(self, function: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> None:
        self._function = function
        self._given: Any = None
        self._made: tuple[Any, ...] = ()

    def __call__(self, g: Any, position: int) -> Any:
        """The gradient of one argument, of the kind that g is: an array or a tensor."""
        if g is not self._given:
            parts = g if isinstance(g, tuple) else (g,)
            on_tensors = isinstance(parts[0], Tensor)
            made = self._function(parts if on_tensors else tuple([wrap(part) for part in parts]))
            self._made = made if on_tensors else tuple([x.array for x in made])
            self._given = g
        return self._made[position]


def _reference(*xs: Array, seen: Any) -> Result:
    return tuple([x.copy() for x in xs]) if len(xs) > 1 else xs[0].copy(), ()


def _dx(g: Any, *, position: int, seen: Any) -> Any:
    return seen(g, position)


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for count in (1, 2):
        xs = tuple([rng.standard_normal((2, 3)) for _ in range(count)])
        yield Sample(xs, {"seen": Seen(lambda g: g)})


HOOKED = Op("hooked", _reference, None, (_dx,), "linear", _samples, variadic=True, exact=True)


def hooked(tensors: tuple[Any, ...], function: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> tuple[Any, ...]:
    """The tensors, with `function` on the way back: it gets all their gradients and returns those to go on with.

    >>> x = mt.ones(2, requires_grad=True)
    >>> (y,) = mt.ops.hook.hooked((x,), lambda g: (g[0] * 10,))
    >>> y.sum().backward()
    >>> x.grad
    tensor([10., 10.])
    """
    out = apply(HOOKED, *tensors, seen=Seen(function))
    return out if isinstance(out, tuple) else (out,)
