r"""The identity on whose way back a function sees the gradients: what the backward hooks of modules are made of.

forward    y_i = x_i, in memory of its own
backward   (dx_1, ..., dx_n) = seen(g_1, ..., g_n)

And one that makes a value depend on others, with derivative 0:

forward    y = d
backward   dd = g,  dx_i = 0
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .. import dtypes
from ..graph.record import apply
from ..graph.tensors import Tensor, wrap
from ..op import Op, Result, Sample, part_of
from .common import Array, raw


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


def _constant_in_reference(d: Array, *xs: Array) -> Result:
    return d.copy(), tuple([np.shape(x) for x in (d, *xs)])


def _constant_in_rule(g: Any, *sizes: tuple[int, ...], position: int) -> Any:
    if position == 0:
        return g
    nothing = np.zeros(sizes[position], dtypes.of(raw(g).dtype).numpy)
    return wrap(nothing) if isinstance(g, Tensor) else nothing


def _constant_in_jvp(tangents: tuple[Any, ...], *_sizes: Any) -> Any:
    return tangents[0]


def _constant_in_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shapes in (((2, 3), (4,)), ((), (), (1, 2))):
        yield Sample(tuple([np.asarray(rng.standard_normal(shape)) for shape in shapes]))


CONSTANT_IN = Op(
    "constant_in",
    _constant_in_reference,
    None,
    (_constant_in_rule,),
    _constant_in_jvp,
    _constant_in_samples,
    variadic=True,
    exact=True,
)
