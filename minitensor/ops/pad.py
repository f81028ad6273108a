r"""Padding: a tensor with more, or fewer, elements at the ends of its axes.

With a constant, cropping is padding by less than nothing, and the derivative of each is the other. Padding by the
tensor's own values (reflected, repeated, circular) reads every new element from one place, and the derivative adds
there what came of it.

Kernel: csrc/kernels/pad.cpp.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from .. import _core
from ..errors import ShapeError
from ..graph.nodes import called
from ..graph.record import apply, apply_flat
from ..op import OPS, Op, Result, Sample
from .common import Array, number, raw, shape_of

Widths = tuple[tuple[int, int], ...]


def _pad_reference(x: Array, *, widths: Widths, value: float) -> Result:
    y = np.full([n + a + b for n, (a, b) in zip(x.shape, widths, strict=True)], value, x.dtype)
    kept = [slice(max(-a, 0), n - max(-b, 0)) for n, (a, b) in zip(x.shape, widths, strict=True)]
    place = [slice(max(a, 0), n - max(b, 0)) for n, (a, b) in zip(y.shape, widths, strict=True)]
    y[tuple(place)] = x[tuple(kept)]
    return y, ()


def _pad_kernel(x: Array, widths: Widths, value: float) -> Array:
    y = _core.pad(x, widths, 0, value)
    return _pad_reference(x, widths=widths, value=value)[0] if y is None else y


def _pad_dx(g: Any, *, widths: Widths, value: float) -> Any:
    return apply(PAD, g, widths=tuple([(-a, -b) for a, b in widths]), value=0.0)


def _pad_jvp(tangents: tuple[Any, ...], *, widths: Widths, value: float) -> Any:
    return apply(PAD, tangents[0], widths=widths, value=0.0)


def _pad_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, widths, value in (
        ((3,), ((1, 2),), 0.0),
        ((2, 3), ((0, 1), (2, -1)), 0.5),
        ((2, 4), ((-1, 0), (-3, 2)), -1.0),
        ((), (), 2.0),
        ((0, 2), ((1, 0), (0, 0)), 3.0),
        ((3,), ((-3, 0),), 1.0),
    ):
        yield Sample((rng.standard_normal(shape),), {"widths": widths, "value": value})
    for pairs in (((0, 0), (2, 1), (3, -1)), ((-1, 2), (1, 1), (0, 0)), ((0, 0), (-1, 0), (0, -2))):
        yield Sample((rng.standard_normal((5, 90, 70)),), {"widths": pairs, "value": 0.5}, large=True)
    for shape in ((3000, 9), (2, 20000)):
        yield Sample((rng.standard_normal(shape),), {"widths": ((1, 2), (5, 1)), "value": 0.5}, large=True)


def _batched(name: str) -> Callable[..., Any]:
    """Over a batch the operator of that name leaves its first axis as it is."""

    def over_batch(args: Any, _flags: Any, *, widths: Widths, **how: Any) -> Any:
        return apply(OPS[name], args[0], widths=((0, 0), *widths), **how)

    return over_batch


PAD = Op(
    "pad",
    _pad_reference,
    None,
    (_pad_dx,),
    _pad_jvp,
    _pad_samples,
    exact=True,
    anything=True,
    batch=_batched("pad"),
    kernel=_pad_kernel,
    names=("widths", "value"),
)


def padded(name: str, input: Any, widths: Sequence[tuple[int, int]], value: float = 0.0) -> Any:
    """`input` with (before, after) elements more along its last axes; below 0 it loses them."""
    shape = shape_of(input)
    full = ((0, 0),) * (len(shape) - len(widths)) + tuple(widths)
    for d, (n, (a, b)) in enumerate(zip(shape, full, strict=True)):
        if (a < 0 or b < 0) and (n + min(a, 0) + min(b, 0) < 0 or n + a + b < 0):
            raise ShapeError(f"{name}: padding ({a}, {b}) takes more than there is of axis {d} of {tuple(shape)}")
    return apply_flat(PAD, input, full, number(name, "value", value))


# --- by the tensor's own values --------------------------------------------------------------------------------------


@lru_cache(maxsize=1024)
def places(mode: str, n: int, before: int, after: int) -> Array:
    """Where each element of an axis of size n, padded, is read."""
    i = np.arange(-before, n + after)
    if mode == "circular":  # of what is left where the other end is cropped
        first, last = max(-before, 0), n - max(-after, 0)
        return first + (i - first) % max(last - first, 1)
    if mode == "replicate":
        return i.clip(0, n - 1)
    return np.asarray(n - 1 - np.abs(n - 1 - np.abs(i)))


_MODES = {"reflect": 1, "replicate": 2, "circular": 3}  # as the kernels number them; 0 is a constant


def _own_reference(x: Array, *, widths: Widths, mode: str) -> Result:
    for d, (before, after) in enumerate(widths):
        if before or after:
            x = np.take(x, places(mode, x.shape[d], before, after), axis=d)
    return x.copy(), ()


def _own_kernel(x: Array, widths: Widths, mode: str) -> Array:
    y = _core.pad(x, widths, _MODES[mode], 0.0)
    return _own_reference(x, widths=widths, mode=mode)[0] if y is None else y


def _own_dx(g: Any, *, widths: Widths, mode: str) -> Any:
    return apply(PAD_OWN_VJP, g, widths=widths, mode=mode)


def _own_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, widths in (
        ((4,), ((1, 2),)),
        ((2, 3), ((0, 0), (2, 0))),
        ((2, 3, 4), ((0, 0), (1, 2), (3, 1))),
        ((1, 3, 2, 4), ((0, 0), (2, 1), (0, 1), (1, 0))),
        ((2, 5), ((0, 0), (-1, 2))),
        ((2, 3, 5), ((0, 0), (2, -1), (-2, 1))),
        ((0, 2), ((0, 0), (1, 1))),
        ((1, 40), ((0, 0), (20, 39))),
    ):
        for mode in ("reflect", "replicate", "circular"):
            yield Sample((rng.standard_normal(shape),), {"widths": widths, "mode": mode})
    for mode in ("reflect", "replicate", "circular"):
        for shape in ((2, 9, 90, 70), (300, 15, 9), (2, 20000)):
            pairs = ((0, 0), (2, 1), (1, 2), (3, 2))[: len(shape)]
            yield Sample((rng.standard_normal(shape),), {"widths": pairs, "mode": mode}, large=True)


PAD_OWN = Op(
    "pad_own",
    _own_reference,
    None,
    (_own_dx,),
    "linear",
    _own_samples,
    exact=True,
    anything=True,
    batch=_batched("pad_own"),
    kernel=_own_kernel,
    names=("widths", "mode"),
)


def _own_vjp_reference(g: Array, *, widths: Widths, mode: str) -> Result:
    for d, (before, after) in enumerate(widths):
        if before or after:
            dx = np.zeros((*g.shape[:d], g.shape[d] - before - after, *g.shape[d + 1 :]), g.dtype)
            at: Any = (*[slice(None)] * d, places(mode, dx.shape[d], before, after))
            np.add.at(dx, at, g)
            g = dx
    return g.copy(), ()


def _own_vjp_kernel(g: Array, widths: Widths, mode: str) -> Array:
    dx = _core.pad_vjp(g, widths, _MODES[mode])
    return _own_vjp_reference(g, widths=widths, mode=mode)[0] if dx is None else dx


def _own_vjp_dg(h: Any, *, widths: Widths, mode: str) -> Any:
    return apply(PAD_OWN, h, widths=widths, mode=mode)


def _own_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for s in _own_samples(rng):
        shape = [n + a + b for n, (a, b) in zip(s.args[0].shape, s.params["widths"], strict=True)]
        yield Sample((rng.standard_normal(shape),), s.params, large=s.large)


PAD_OWN_VJP = Op(
    "pad_own_vjp",
    _own_vjp_reference,
    None,
    (_own_vjp_dg,),
    "linear",
    _own_vjp_samples,
    exact=True,
    length=lambda g, *, widths, **_: int(np.prod([1 + max(w) for w in widths])),
    batch=_batched("pad_own_vjp"),
    kernel=_own_vjp_kernel,
    names=("widths", "mode"),
)


def _own(name: str, mode: str, input: Any, widths: Sequence[tuple[int, int]]) -> Any:
    """Padding by the tensor's own values."""
    shape = shape_of(input)
    for d, (a, b) in enumerate(widths, start=-len(widths)):
        n = shape[d]
        most = {"reflect": n - 1, "circular": n + min(a, 0) + min(b, 0), "replicate": 2**31}[mode]
        if max(a, b) > most or n + a + b < 1:
            raise ShapeError(
                f"{name}: mode {mode!r} can pad axis {len(shape) + d} of {shape}, of size {n}, by "
                f"{1 - n} to {most}, not by ({a}, {b})"
            )
    if not any(map(any, widths)):
        return input
    return apply_flat(PAD_OWN, input, ((0, 0),) * (len(shape) - len(widths)) + tuple(widths), mode)


# --- functions -------------------------------------------------------------------------------------------------------


def pad(input: Any, pad: Sequence[int], mode: str = "constant", value: Any = None) -> Any:
    r"""More elements at the ends of the last axes: `pad` is (before, after) of the last, then of the one before, ...

        forward    out[i] = x[i - before], outside of x:
                     constant    value (0 unless given)
                     reflect     x mirrored at its first and last element, which are not repeated
                     replicate   the first or last element
                     circular    x over again, from its other end
        backward   dx[j] = the sum of g over all places that read x[j]

    Negative widths crop. "constant" takes any number of axes; the others, of a tensor (N, C, *) or (C, *), those of *.
    Raises ShapeError for widths that do not fit the axes and for an unknown mode.

    >>> mt.nn.functional.pad(mt.tensor([[1, 2, 3]]), (2, 1), mode="reflect")
    tensor([[3, 2, 1, 2, 3, 2]])
    >>> mt.nn.functional.pad(mt.tensor([[1, 2, 3]]), (-1, 0, 0, 1), value=9)
    tensor([[2, 3],
            [9, 9]])
    """
    name = "pad"
    shape, widths = shape_of(input), _widths(name, input, pad)
    if mode == "constant":
        return padded(name, input, widths, 0 if value is None else raw(value))
    if mode not in ("reflect", "replicate", "circular"):
        raise ShapeError(f"{name}: mode must be 'constant', 'reflect', 'replicate' or 'circular', not {mode!r}")
    if value is not None and value != 0:
        raise ShapeError(f"{name}: mode {mode!r} takes no value")
    if len(widths) not in (1, 2, 3) or len(shape) not in (len(widths) + 1, len(widths) + 2):
        raise ShapeError(
            f"{name}: mode {mode!r} pads the last 1, 2 or 3 axes of a tensor with one or two axes more, "
            f"not {len(widths)} of {shape}"
        )
    if 0 in shape[1:]:
        raise ShapeError(f"{name}: mode {mode!r} has nothing to pad {shape} with; only the first axis may be empty")
    how = {"reflect": "ReflectionPad", "replicate": "ReplicationPad"}.get(mode)
    y = _own(name, mode, input, widths)
    if y is input:
        return y
    return called(y, "torch::autograd::CopySlices" if how is None else f"{how}{len(widths)}DBackward0")


def _widths(name: str, input: Any, pad: Any) -> list[tuple[int, int]]:
    """(before, after) of the last axes, in the axes' order, from PyTorch's flat list, which begins with the last."""
    ndim = len(shape_of(input))
    try:
        numbers = [n if type(n) is int else int(n.__index__()) for n in raw(pad)]
    except (AttributeError, TypeError):
        raise TypeError(f"{name}: the widths must be a sequence of integers, not {pad!r}") from None
    if len(numbers) % 2 or len(numbers) > 2 * ndim:
        raise ShapeError(f"{name}: expected (before, after) for each of at most {ndim} axes, got {pad!r}")
    return [(numbers[i], numbers[i + 1]) for i in range(0, len(numbers), 2)][::-1]


def constant_pad_nd(input: Any, pad: Sequence[int], value: Any = 0) -> Any:
    """`nn.functional.pad` with a constant.

    >>> mt.constant_pad_nd(mt.tensor([1, 2]), (0, 2), 7)
    tensor([1, 2, 7, 7])
    """
    name = "constant_pad_nd"
    return padded(name, input, _widths(name, input, pad), raw(value))
