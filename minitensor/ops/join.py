"""Joining tensors and cutting them into views. Kernels: csrc/kernels/copy.cpp."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from .. import _core
from ..errors import ShapeError
from ..graph.record import apply, apply_flat, attempt_all
from ..op import SHAPES, Op, Result, Sample, part_of
from . import indexing
from .common import Array, axis, numpy_names, promote, shifted, with_batch, write_out
from .shape import RESHAPE, Shape, sizes

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .common import array_of, raw, shape_of

_getitem = cython.declare(object, _core.getitem)

# --- cat, stack -------------------------------------------------------------------------------------------------------


def _cat_reference(*xs: Array, dim: int) -> Result:
    return np.concatenate(xs, dim), (tuple([x.shape for x in xs]),)


def _cat_joint(wanted: Any, g: Any, before: tuple[Shape, ...], *, dim: int) -> tuple[Any, ...]:
    found, start = [], 0
    for i, shape in enumerate(before):
        n = shape[dim]
        found.append(narrow(g, dim, start, n) if wanted is None or wanted[i] else None)
        start += n
    return tuple(found)


def _cat_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shapes, dim in ((((2, 3), (2, 1)), 1), (((2, 3), (0, 3), (1, 3)), 0), (((4,),), 0), (((2, 3), (2, 1)), -1)):
        yield Sample(tuple([rng.standard_normal(s) for s in shapes]), {"dim": dim})


CAT = Op(
    "cat",
    _cat_reference,
    None,
    (part_of(_cat_joint),),
    "linear",
    _cat_samples,
    variadic=True,
    exact=True,
    batch=shifted("cat", "dim"),
    joint=_cat_joint,
    kernel=_core.cat,
    saves=(SHAPES,),
    names=("dim",),
)


@numpy_names
def cat(tensors: Sequence[Any], dim: int = 0, *, out: Any = None) -> Any:
    """Tensors joined along an axis; their other sizes must agree, and dtypes are promoted.

        forward    out = the blocks x_0, x_1, ... one after the other
        backward   dx_i = the i-th block of g

    A tensor of shape (0,) joins with anything.

    >>> mt.cat([mt.zeros(1, 2), mt.ones(2, 2)]).shape
    minitensor.Size([3, 2])
    """
    result = attempt_all(CAT, tensors, dim)
    if result is None:
        result = _joined(tensors, dim)
    return result if out is None else write_out("cat", result, out)


concat = concatenate = cat


def _joined(tensors: Any, dim: int) -> Any:
    """`cat` where the kernel does not take the tensors as they are."""
    tensors = _given("cat", tensors)
    shapes = [shape_of(x) for x in tensors]
    whole = [s for s in shapes if s != (0,)] or shapes[:1]
    first = whole[0]
    if () in whole:
        raise ShapeError("cat: tensors without axes cannot be joined; use stack")
    d = axis("cat", dim, len(first))
    for s in whole:
        if s == first:
            continue
        if len(s) != len(first) or s[:d] + s[d + 1 :] != first[:d] + first[d + 1 :]:
            raise ShapeError(f"cat: {first} and {s} differ in an axis other than {d}")
    if len(whole) != len(tensors):
        nothing = (*first[:d], 0, *first[d + 1 :])
        tensors = [apply_flat(RESHAPE, x, nothing) if s == (0,) else x for x, s in zip(tensors, shapes, strict=True)]
    return apply(CAT, *_one_dtype("cat", tensors), dim=d)


def _given(name: str, tensors: Any) -> list[Any]:
    if not isinstance(tensors, (tuple, list)):
        raise TypeError(f"{name}: expected a list of tensors, not {type(tensors).__name__}")
    for x in tensors:
        if not isinstance(raw(x), np.ndarray):
            raise TypeError(f"{name}: expected a list of tensors, which holds a {type(x).__name__}")
    if len(tensors) == 0:
        raise ShapeError(f"{name}: expected at least one tensor")
    return list(tensors)


def _one_dtype(name: str, tensors: list[Any]) -> list[Any]:
    first = raw(tensors[0]).dtype
    if all([array_of(x).dtype is first for x in tensors]):
        return tensors
    return promote(name, *tensors)


def _stack_reference(*xs: Array, dim: int) -> Result:
    return np.stack(xs, dim), ()


def _stack_joint(wanted: Any, g: Any, *, dim: int) -> tuple[Any, ...]:
    return tuple(unbind(g, dim))


def _stack_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, n, dim in (((2, 3), 2, 1), ((2, 3), 1, 2), ((), 3, 0), ((2, 0), 2, 0), ((4, 5), 3, -1)):
        yield Sample(tuple([rng.standard_normal(shape) for _ in range(n)]), {"dim": dim})


def _stack_batch(args: Any, flags: Any, *, dim: int) -> Any:
    return apply(STACK, *with_batch(args, flags), dim=dim + (dim >= 0))


STACK = Op(
    "stack",
    _stack_reference,
    None,
    (part_of(_stack_joint),),
    "linear",
    _stack_samples,
    variadic=True,
    exact=True,
    batch=_stack_batch,
    joint=_stack_joint,
    kernel=_core.stack,
    names=("dim",),
)


@numpy_names
def stack(tensors: Sequence[Any], dim: int = 0, *, out: Any = None) -> Any:
    """Tensors of one shape joined along a new axis.

        forward    out = the x_0, x_1, ... one after the other
        backward   dx_i = the i-th slice of g

    >>> mt.stack([mt.zeros(3), mt.ones(3)]).shape
    minitensor.Size([2, 3])
    """
    result = attempt_all(STACK, tensors, dim)
    if result is None:
        tensors = _given("stack", tensors)
        first = shape_of(tensors[0])
        d = axis("stack", dim, len(first) + 1)
        for x in tensors:
            if shape_of(x) != first:
                raise ShapeError(f"stack: the shapes {first} and {shape_of(x)} differ")
        result = apply(STACK, *_one_dtype("stack", tensors), dim=d)
    return result if out is None else write_out("stack", result, out)


# --- unbind, split, narrow --------------------------------------------------------------------------------------------


def _unbind_reference(x: Array, *, dim: int) -> Result:
    before: Any = (slice(None),) * dim
    return tuple([x[(*before, i, ...)] for i in range(x.shape[dim])]), ()


def _unbind_kernel(x: Array, dim: int) -> Any:
    if x.dtype.kind == "V":  # what stands for an array without elements
        return None
    before: Any = (slice(None),) * dim
    return tuple([_getitem(x, (*before, i)) for i in range(x.shape[dim])])


def _unbind_dx(g: Any, *, dim: int) -> Any:
    return stack(g if isinstance(g, tuple) else (g,), dim)


def _unbind_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in (((3, 2), 0), ((2, 3), 1), ((2, 1, 2), 0)):
        yield Sample((rng.standard_normal(shape),), {"dim": dim})


UNBIND = Op(
    "unbind",
    _unbind_reference,
    None,
    (_unbind_dx,),
    "linear",
    _unbind_samples,
    view=True,
    exact=True,
    batch=shifted("unbind", "dim"),
    kernel=_unbind_kernel,
    names=("dim",),
)


@numpy_names
def unbind(input: Any, dim: int = 0) -> Any:
    """The slices along an axis, without that axis, as a tuple of views.

    forward    out_i = x[i]
    backward   dx = the g_i stacked

    >>> mt.unbind(mt.tensor([[1, 2], [3, 4]]))
    (tensor([1, 2]), tensor([3, 4]))
    """
    shape = shape_of(input)
    if not shape:
        raise ShapeError("unbind: a tensor without axes has no slices")
    d = axis("unbind", dim, len(shape))
    return apply_flat(UNBIND, input, d) if shape[d] else ()


def _split_reference(x: Array, *, dim: int, ends: tuple[int, ...]) -> Result:
    return _split_kernel(x, dim, ends), ()


def _split_kernel(x: Array, dim: int, ends: tuple[int, ...]) -> Any:
    before: Any = (slice(None),) * dim
    return tuple([x[(*before, slice(a, b))] for a, b in pairwise((0, *ends))])


def _split_dx(g: Any, *, dim: int, ends: tuple[int, ...]) -> Any:
    return cat(g if isinstance(g, tuple) else (g,), dim)


def _split_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim, ends in (((5, 2), 0, (2, 5)), ((2, 4), 1, (1, 1, 4)), ((3,), 0, (3,))):
        yield Sample((rng.standard_normal(shape),), {"dim": dim, "ends": ends})


SPLIT = Op(
    "split",
    _split_reference,
    None,
    (_split_dx,),
    "linear",
    _split_samples,
    view=True,
    exact=True,
    batch=shifted("split", "dim"),
    kernel=_split_kernel,
    names=("dim", "ends"),
)


@numpy_names
def split(tensor: Any, split_size_or_sections: Any, dim: int = 0) -> Any:
    """Blocks of a given size along an axis (the last may be smaller), or of the given sizes, as views.

    forward    out_i = the i-th block of x
    backward   dx = the g_i joined

    >>> [part.shape[0] for part in mt.split(mt.arange(5), 2)]
    [2, 2, 1]
    """
    return _blocks(tensor, split_size_or_sections, dim)


def _blocks(tensor: Any, split_size_or_sections: Any, dim: int) -> Any:
    shape = shape_of(tensor)
    if not shape:
        raise ShapeError("split: a tensor without axes cannot be split")
    d = axis("split", dim, len(shape))
    n = shape[d]
    if isinstance(split_size_or_sections, (tuple, list)):
        lengths = sizes("split", split_size_or_sections)
        if sum(lengths) != n or any(k < 0 for k in lengths):
            raise ShapeError(f"split: the sizes {lengths} do not add up to {n}, the size of axis {d}")
        ends = tuple(accumulate(lengths))
    else:
        size = int(split_size_or_sections)
        if size <= 0 and n > 0:
            raise ShapeError(f"split: split_size {size} must be positive")
        ends = (*range(size, n, size), n) if n else (0,)
    return apply_flat(SPLIT, tensor, d, ends) if ends else ()


@numpy_names
def chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """At most `chunks` blocks along an axis, all but the last of one size.

    >>> [part.shape[0] for part in mt.chunk(mt.arange(5), 3)]
    [2, 2, 1]
    """
    shape = shape_of(input)
    if not shape:
        raise ShapeError("chunk: a tensor without axes cannot be split")
    if chunks <= 0:
        raise ShapeError(f"chunk: chunks must be positive, not {chunks}")
    d = axis("chunk", dim, len(shape))
    n = shape[d]
    if n == 0:  # as many empty blocks as were asked for
        return _blocks(input, [0] * chunks, d)
    return _blocks(input, -(-n // chunks), d)


@numpy_names
def narrow(input: Any, dim: int, start: Any, length: int) -> Any:
    """`length` elements along an axis from `start` on. A view.

    >>> mt.narrow(mt.arange(5), 0, 1, 3)
    tensor([1, 2, 3])
    """
    shape = shape_of(input)
    if not shape:
        raise ShapeError("narrow: a tensor without axes has no part")
    d = axis("narrow", dim, len(shape))
    start, length = int(raw(start)), int(length)
    first = start + shape[d] if start < 0 else start
    if length < 0 or not 0 <= first <= shape[d] - length:
        raise ShapeError(f"narrow: {length} elements from {start} do not fit into axis {d} of size {shape[d]}")
    return apply_flat(indexing.GETITEM, input, (slice(None),) * d + (slice(first, first + length),))
