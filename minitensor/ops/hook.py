r"""The identity on whose way back a function sees the gradients: what the backward hooks of modules are made of.

forward    y_i = x_i, in memory of its own
backward   (dx_1, ..., dx_n) = seen(g_1, ..., g_n)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..graph import Tensor, apply, wrap
from ..op import Op, Result, Sample, part_of
from .common import Array


def _reference(*xs: Array, seen: Any) -> Result:
    return tuple([x.copy() for x in xs]) if len(xs) > 1 else xs[0].copy(), ()


def _joint(_wanted: Any, g: Any, *, seen: Any) -> tuple[Any, ...]:
    parts = g if isinstance(g, tuple) else (g,)
    if isinstance(parts[0], Tensor):
        return tuple(seen(parts))
    return tuple([x.array.view() for x in seen(tuple([wrap(part) for part in parts]))])


def _samples(rng: np.random.Generator) -> Iterator[Sample]:
    for count in (1, 2):
        xs = tuple([rng.standard_normal((2, 3)) for _ in range(count)])
        yield Sample(xs, {"seen": lambda g: g})


HOOKED = Op("hooked", _reference, None, (part_of(_joint),), "linear", _samples, variadic=True, exact=True, joint=_joint)


def hooked(tensors: tuple[Any, ...], function: Callable[[tuple[Any, ...]], tuple[Any, ...]]) -> tuple[Any, ...]:
    """The tensors, with `function` on the way back: it gets all their gradients and returns those to go on with.

    >>> x = mt.ones(2, requires_grad=True)
    >>> (y,) = mt.ops.hook.hooked((x,), lambda g: (g[0] * 10,))
    >>> y.sum().backward()
    >>> x.grad
    tensor([10., 10.])
    """
    out = apply(HOOKED, *tensors, seen=function)
    return out if isinstance(out, tuple) else (out,)
