"""Shapes and movement: views where PyTorch makes views, and they are NumPy's. Kernel: csrc/kernels/copy.cpp."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..device import channels_last, preserve_format
from ..errors import OutOfMemoryError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply, apply_flat, attempt, attempt_all, replay
from ..op import SHAPE, SHAPES, Op, Result, Sample, part_of
from . import indexing, reduce
from .common import Array, axis, named, numpy_names, order_of_copy, promote, shifted, to_dtype, with_batch, write_out

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .common import array_of, raw, shape_of

Shape = tuple[int, ...]
place, put = _core.place, _core.put  # what algebra.set_algebra gets of the machine


def sizes(name: str, shape: Any) -> Shape:
    """A shape given as ints or as one sequence, as a tuple of ints."""
    if len(shape) == 1 and isinstance(shape[0], (tuple, list)):
        shape = shape[0]
    for n in shape:
        if type(n) is not int:
            break
    else:
        return tuple(shape)
    try:
        return tuple([int(n.__index__()) for n in shape])
    except (AttributeError, TypeError):
        raise TypeError(f"{name}: sizes must be integers, not {tuple(shape)!r}") from None


def _named(given: tuple[Any, ...], named: Any) -> tuple[Any, ...]:
    """Sizes given one by one or as a sequence, or by the argument's name."""
    return given if named is None else tuple(named) if isinstance(named, (tuple, list)) else (named,)


def new_sizes(name: str, shape: Any) -> Shape:
    """The shape of a tensor to be made: as `sizes`, not negative, and of bytes that can be addressed."""
    found = sizes(name, shape)
    for n in found:
        if n < 0:
            raise ShapeError(f"{name}: sizes must not be negative, got {found}")
    if math.prod(found) >= 2**60:
        raise OutOfMemoryError(f"{name}: a tensor of shape {found} has more bytes than can be addressed")
    return found


# --- reshape ----------------------------------------------------------------------------------------------------------


def _reshape_reference(x: Array, *, shape: Shape) -> Result:
    return x.reshape(shape), (x.shape,)


def _reshape_dx(g: Any, before: Shape, *, shape: Shape) -> Any:
    return apply_flat(RESHAPE, g, before)


def _reshape_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for before, after in (((2, 3), (3, 2)), ((), (1, 1)), ((4,), (2, 2)), ((0, 3), (3, 0)), ((1,), ())):
        yield Sample((rng.standard_normal(before),), {"shape": after})


def _reshape_batch(args: Any, flags: Any, *, shape: Shape) -> Any:
    return apply_flat(RESHAPE, args[0], (shape_of(args[0])[0], *shape))


RESHAPE = Op(
    "reshape",
    _reshape_reference,
    _reshape_reference,
    (_reshape_dx,),
    "linear",
    _reshape_samples,
    view=True,
    exact=True,
    batch=_reshape_batch,
    kernel=_core.reshape,
    saves=(SHAPE,),
    names=("shape",),
)


def ravel(input: Any) -> Any:
    """The elements in row-major order as a vector: a view where the strides allow it.

    >>> mt.ravel(mt.tensor([[1, 2], [3, 4]]))
    tensor([1, 2, 3, 4])
    """
    return apply_flat(RESHAPE, input, (math.prod(shape_of(input)),))


def view_as(input: Any, other: Any) -> Any:
    """A view in the shape of `other`."""
    return view(input, shape_of(other))


def reshape_as(input: Any, other: Any) -> Any:
    """Reshaped to the shape of `other`."""
    return reshape(input, shape_of(other))


def _resolve(name: str, before: Shape, shape: Shape) -> Shape:
    """`shape` with its -1 filled in; raises unless it holds as many elements as `before`."""
    count, known, hole = math.prod(before), 1, -1
    for i, n in enumerate(shape):
        if n == -1 and hole < 0:
            hole = i
        elif n < 0:
            raise ShapeError(f"{name}: {shape} is not a shape; one size may be -1, none less")
        else:
            known *= n
    if (known != count) if hole < 0 else (known == 0 or count % known):  # also of nothing: -1 could then be any size
        raise ShapeError(f"{name}: {before} with {count} elements cannot be shaped {shape}")
    if hole >= 0:
        return (*shape[:hole], count // known, *shape[hole + 1 :])
    return shape


def reshape(input: Any, *size: Any, shape: Any = None) -> Any:
    """The same elements in row-major order under another shape; one size may be -1.

        forward    out[flat index k] = x[flat index k]
        backward   dx = g, reshaped back

    A view where the strides allow it, else a copy. Raises ShapeError if the number of elements differs.

    >>> mt.reshape(mt.arange(6), (2, -1))
    tensor([[0, 1, 2],
            [3, 4, 5]])
    """
    if shape is None:
        given = size[0] if len(size) == 1 and type(size[0]) is tuple else size
        result = attempt(RESHAPE, input, given)
        if result is not None:
            return result
    before = shape_of(input)
    after = _resolve("reshape", before, sizes("reshape", _named(size, shape)))
    return apply_flat(RESHAPE, input, after)


def _view_dtype_reference(x: Array, *, dtype: np.dtype[Any]) -> Result:
    return x.view(dtype), ()


def _view_dtype_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((rng.standard_normal((2, 3)),), {"dtype": np.dtype("int32")})


VIEW_DTYPE = Op("view_dtype", _view_dtype_reference, None, (None,), None, _view_dtype_samples, view=True)


def _view_dtype(input: Any, dtype: Any) -> Any:
    wanted, x = dtypes.of(dtype).numpy, raw(input)
    before, after = x.dtype.itemsize, wanted.itemsize
    if before != after:
        last = x.shape[-1] if x.ndim else 0
        if x.ndim == 0 or (x.strides[-1] != before and last != 1) or (last * before) % after:
            raise ShapeError(
                f"view: the last axis of {x.shape} {x.dtype} cannot be read as {wanted}: its {before}-byte elements "
                f"must lie side by side and fill whole elements of {after} bytes"
            )
    return apply(VIEW_DTYPE, input, dtype=wanted)


_DTYPES = (dtypes.dtype, np.dtype, type)  # what `view` takes for a dtype


def view(input: Any, *shape: Any, dtype: Any = None) -> Any:
    """`reshape` that never copies; or, of a dtype, the same bytes read as that dtype, which has no derivative.

    Raises ShapeError where the strides do not allow a view.

    >>> mt.arange(6).view(2, -1).shape
    minitensor.Size([2, 3])
    >>> mt.tensor([1.0]).view(mt.int32)
    tensor([1065353216], dtype=minitensor.int32)
    """
    first = shape[0] if len(shape) == 1 else None  # the shape as a tuple, or a dtype
    if dtype is not None or isinstance(first, _DTYPES):
        return _view_dtype(input, first if dtype is None else dtype)
    x = raw(input)
    if isinstance(x, np.ndarray) and x.flags.c_contiguous:
        result = attempt(RESHAPE, input, first if type(first) is tuple else shape)
        if result is not None:
            return result
    after = _resolve("view", x.shape, sizes("view", shape))
    if not x.flags.c_contiguous and not np.may_share_memory(x.reshape(after), x) and x.size:
        raise ShapeError(
            f"view: a tensor of shape {x.shape} whose elements are not in row-major order in memory "
            f"cannot be viewed as {after} without a copy; use reshape"
        )
    return apply_flat(RESHAPE, input, after)


def flatten(input: Any, start_dim: int = 0, end_dim: int = -1) -> Any:
    """The axes `start_dim` to `end_dim` made into one; a tensor without axes gets one.

    >>> mt.flatten(mt.zeros(2, 3, 4), 1).shape
    minitensor.Size([2, 12])
    """
    shape = array_of(input).shape
    first, last = axis("flatten", start_dim, len(shape)), axis("flatten", end_dim, len(shape))
    if first > last:
        raise ShapeError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    merged = math.prod(shape[first : last + 1])
    return apply_flat(RESHAPE, input, (*shape[:first], merged, *shape[last + 1 :]))


@numpy_names
def unflatten(input: Any, dim: int, sizes: Sequence[int]) -> Any:
    """One axis split into several, of which one size may be -1; the inverse of `flatten`.

    >>> mt.unflatten(mt.zeros(2, 12), 1, (3, -1)).shape
    minitensor.Size([2, 3, 4])
    """
    shape = shape_of(input)
    d = axis("unflatten", dim, len(shape))
    if len(sizes) == 0:
        raise ShapeError("unflatten: sizes must not be empty")
    inner = _resolve("unflatten", (shape[d] if shape else 1,), tuple([operator.index(n) for n in sizes]))
    return apply_flat(RESHAPE, input, (*shape[:d], *inner, *shape[d + 1 :]))


@numpy_names
def squeeze(input: Any, dim: Any = None) -> Any:
    """Without the axes of size 1, or without those in `dim` that have size 1.

    >>> mt.squeeze(mt.zeros(1, 3, 1)).shape
    minitensor.Size([3])
    """
    shape = array_of(input).shape
    if dim is None:
        after = tuple([n for n in shape if n != 1])
    elif isinstance(dim, (tuple, list)):
        gone = [axis("squeeze", d, len(shape)) for d in dim]
        if len(set(gone)) != len(gone):
            raise ShapeError(f"squeeze: dim {tuple(dim)} names an axis twice")
        after = tuple([n for i, n in enumerate(shape) if not (i in gone and n == 1)])
    else:
        d = axis("squeeze", dim, len(shape))
        after = (*shape[:d], *shape[d + 1 :]) if shape and shape[d] == 1 else shape
    return called(apply_flat(RESHAPE, input, after), "SqueezeBackward0" if dim is None else "SqueezeBackward1")


@numpy_names
def unsqueeze(input: Any, dim: int) -> Any:
    """With an axis of size 1 put in at `dim`.

    >>> mt.unsqueeze(mt.zeros(3), 0).shape
    minitensor.Size([1, 3])
    """
    shape = array_of(input).shape
    d = axis("unsqueeze", dim, len(shape) + 1)
    return called(apply_flat(RESHAPE, input, (*shape[:d], 1, *shape[d:])), "UnsqueezeBackward0")


# --- permute ----------------------------------------------------------------------------------------------------------


def _permute_reference(x: Array, *, dims: Shape) -> Result:
    return x.transpose(dims), ()


def _permute_dx(g: Any, *, dims: Shape) -> Any:
    back = [0] * len(dims)
    for i, d in enumerate(dims):
        back[d] = i
    return apply_flat(PERMUTE, g, tuple(back))


def _permute_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dims in (((2, 3), (1, 0)), ((2, 3, 4), (2, 0, 1)), ((), ()), ((0, 3), (1, 0))):
        yield Sample((rng.standard_normal(shape),), {"dims": dims})


def _permute_batch(args: Any, flags: Any, *, dims: Shape) -> Any:
    return apply_flat(PERMUTE, args[0], (0, *[d + 1 for d in dims]))


PERMUTE = Op(
    "permute",
    _permute_reference,
    None,
    (_permute_dx,),
    "linear",
    _permute_samples,
    view=True,
    exact=True,
    batch=_permute_batch,
    kernel=np.ndarray.transpose,
    saves=(),
    names=("dims",),
)


def permute(input: Any, *axes: Any, dims: Any = None) -> Any:
    """The axes in another order: axis i of the result is axis dims[i] of x. A view.

    forward    out[k] = x[k permuted back]
    backward   dx = g, permuted back

    >>> mt.permute(mt.zeros(2, 3, 4), (2, 0, 1)).shape
    minitensor.Size([4, 2, 3])
    """
    ndim = array_of(input).ndim
    order = tuple([axis("permute", d, ndim) for d in sizes("permute", axes if dims is None else _named(axes, dims))])
    if len(order) != ndim or len(set(order)) != ndim:
        raise ShapeError(f"permute: dims {order} must name each of the {ndim} axes once")
    return called(apply_flat(PERMUTE, input, order), "PermuteBackward0")


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    """Two axes exchanged. A view.

    >>> mt.transpose(mt.zeros(2, 3), 0, 1).shape
    minitensor.Size([3, 2])
    """
    if getattr(input, "is_sparse", False):
        return input.transpose(dim0, dim1)
    ndim = array_of(input).ndim
    a, b = axis("transpose", dim0, ndim), axis("transpose", dim1, ndim)
    order = list(range(ndim))
    if ndim:
        order[a], order[b] = b, a
    return called(apply_flat(PERMUTE, input, tuple(order)), "TransposeBackward0")


_REVERSED = ((), (0,), (1, 0))  # the axes of tensors with few, backwards


def reverse_axes(input: Any) -> Any:
    """The axes in reverse order. A view.

    >>> mt.zeros(2, 3, 4).T.shape
    minitensor.Size([4, 3, 2])
    """
    ndim = array_of(input).ndim
    order = _REVERSED[ndim] if ndim < 3 else tuple(range(ndim - 1, -1, -1))
    return called(apply_flat(PERMUTE, input, order), "PermuteBackward0")


def t(input: Any) -> Any:
    """The transpose of a matrix; a vector is itself.

    >>> mt.t(mt.zeros(2, 3)).shape
    minitensor.Size([3, 2])
    """
    if getattr(input, "is_sparse", False):
        return input.t()
    ndim = array_of(input).ndim
    if ndim > 2:
        raise ShapeError(f"t: expected at most 2 axes, got {ndim}; use transpose or permute")
    return apply_flat(PERMUTE, input, _REVERSED[ndim])


@named("PermuteBackward0")
def movedim(input: Any, source: Any, destination: Any) -> Any:
    """The axes `source` moved to the places `destination`, the others in their order.

    >>> mt.movedim(mt.zeros(2, 3, 4), 0, -1).shape
    minitensor.Size([3, 4, 2])
    """
    ndim = len(shape_of(input))
    if type(source) is type(destination) is int:
        moved = list(range(ndim))
        moved.insert(axis("movedim", destination, ndim), moved.pop(axis("movedim", source, ndim)))
        return apply_flat(PERMUTE, input, tuple(moved))
    pairs = [(d if isinstance(d, (tuple, list)) else (d,)) for d in (source, destination)]
    src, dst = ([axis("movedim", d, ndim) for d in p] for p in pairs)
    if len(src) != len(dst) or len(set(src)) != len(src) or len(set(dst)) != len(dst):
        raise ShapeError(f"movedim: {source} and {destination} must name as many axes, each once")
    order = [d for d in range(ndim) if d not in src]
    for to, come in sorted(zip(dst, src, strict=True)):
        order.insert(to, come)
    return apply_flat(PERMUTE, input, tuple(order))


moveaxis = movedim


# --- expand -----------------------------------------------------------------------------------------------------------


def _expand_reference(x: Array, *, shape: Shape) -> Result:
    out = np.broadcast_to(x, shape)
    out.flags.writeable = x.flags.writeable  # a view like any other; writes where elements overlap are refused
    return out, (x.shape,)


def _expand_forward(x: Array, *, shape: Shape) -> Result:
    out = _core.expand(x, shape)
    if out is None:
        raise ShapeError(f"expand: {x.shape} cannot be expanded to {shape}")
    return out, (x.shape,)


def _expand_dx(g: Any, before: Shape, *, shape: Shape) -> Any:
    return reduce.sum_to(g, before)


def _expand_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for before, after in (((3, 1), (3, 4)), ((), (2,)), ((1, 3), (2, 5, 3)), ((1,), (0,)), ((2,), (2,))):
        yield Sample((rng.standard_normal(before),), {"shape": after})


def _expand_batch(args: Any, flags: Any, *, shape: Shape) -> Any:
    size, *before = shape_of(args[0])
    lined_up = (size, *[1] * (len(shape) - len(before)), *before)
    return apply_flat(EXPAND, apply_flat(RESHAPE, args[0], lined_up), (size, *shape))


EXPAND = Op(
    "expand",
    _expand_reference,
    _expand_forward,
    (_expand_dx,),
    "linear",
    _expand_samples,
    view=True,
    exact=True,
    batch=_expand_batch,
    kernel=_core.expand,
    saves=(SHAPE,),
    names=("shape",),
)


def expand(input: Any, *shape: Any, size: Any = None) -> Any:
    """Axes of size 1 repeated to other sizes, and new ones in front; -1 keeps a size. A view: nothing is copied.

    forward    out[..., k, ...] = x[..., 0, ...]
    backward   dx = the sum of g over the repeated axes

    >>> mt.expand(mt.tensor([[1], [2]]), 2, 3)
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    if size is None:
        result = attempt(EXPAND, input, shape[0] if len(shape) == 1 and type(shape[0]) is tuple else shape)
        if result is not None:
            return result
    before, after = shape_of(input), sizes("expand", _named(shape, size))
    new = len(after) - len(before)
    fits = new >= 0
    if fits:
        filled = []
        for i, n in enumerate(after):
            old = before[i - new] if i >= new else None
            if n == -1 and old is not None:
                n = old
            fits = fits and n >= 0 and (old is None or old in (1, n))
            filled.append(n)
    if not fits:
        raise ShapeError(f"expand: {before} cannot be expanded to {after}; only sizes of 1 can be repeated")
    return apply_flat(EXPAND, input, tuple(filled))


# --- cat, unbind ------------------------------------------------------------------------------------------------------


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


def _unbind_reference(x: Array, *, dim: int) -> Result:
    before: Any = (slice(None),) * dim
    return tuple([x[(*before, i, ...)] for i in range(x.shape[dim])]), ()


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
    return apply(UNBIND, input, dim=d) if shape[d] else ()


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


# --- copies -----------------------------------------------------------------------------------------------------------


def copy_of(x: Array) -> Array:
    """An array's elements in row-major order in memory of their own."""
    return _core.copy(x)


def _clone_reference(x: Array) -> Result:
    return x.copy(order_of_copy(x)), ()


def _clone_forward(x: Array) -> Result:
    return (_core.copy(x) if x.flags.c_contiguous else x.copy(order_of_copy(x))), ()


def _clone_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((2, 3), (), (0,)):
        yield Sample((rng.standard_normal(shape),))


CLONE = Op(
    "clone",
    _clone_reference,
    _clone_forward,
    (lambda g: g,),
    "linear",
    _clone_samples,
    exact=True,
    anything=True,
    batch=shifted("clone"),
)


def clone(input: Any, *, memory_format: Any = None) -> Any:
    """A copy in memory of its own, in the graph: the gradient passes through.

    Its elements lie in memory as the input's do, or in row-major order, or with the channels of images last.

    >>> mt.clone(mt.ones(2))
    tensor([1., 1.])
    """
    array_of(input)
    if memory_format is not None and memory_format is not preserve_format:
        laid = contiguous(input, memory_format=memory_format)
        if laid is not input:
            return laid
    return apply(CLONE, input)


def _contiguous_reference(x: Array) -> Result:
    return x.copy("C"), ()


def _contiguous_forward(x: Array) -> Result:
    return _core.copy(x), ()


CONTIGUOUS = Op(
    "contiguous",
    _contiguous_reference,
    _contiguous_forward,
    (lambda g: g,),
    "linear",
    _clone_samples,
    exact=True,
    anything=True,
    batch=shifted("contiguous"),
)


def contiguous(input: Any, *, memory_format: Any = None) -> Any:
    """The tensor itself if its elements lie in row-major order in memory, else a copy whose elements do.

    With `memory_format=mt.channels_last` the order is that of images (N, C, H, W) whose channels lie next to each
    other; results of convolutions, poolings and batch norms of such images lie so too.

    >>> mt.ones(2, 3, 4, 5).contiguous(memory_format=mt.channels_last).stride()
    (60, 1, 15, 3)
    """
    if memory_format is channels_last:
        if array_of(input).ndim != 4:
            raise ShapeError(f"contiguous: channels_last is for 4 axes, not for {shape_of(input)}")
        last = permute(input, (0, 2, 3, 1))
        return input if raw(last).flags.c_contiguous else permute(apply(CONTIGUOUS, last), (0, 3, 1, 2))
    return input if raw(input).flags.c_contiguous else apply(CONTIGUOUS, input)


def flip(input: Any, *axes: Any, dims: Any = None) -> Any:
    """The order along the given axes reversed; a copy.

    >>> mt.flip(mt.arange(3), (0,))
    tensor([2, 1, 0])
    """
    ndim = len(shape_of(input))
    turned = tuple([axis("flip", d, ndim) for d in sizes("flip", _named(axes, dims))])
    if len(set(turned)) != len(turned):
        raise ShapeError(f"flip: dims {turned} name an axis twice")
    if not ndim:
        return clone(input)
    return apply_flat(FLIP, input, turned)


def _flip_reference(x: Array, *, dims: Shape) -> Result:
    return np.flip(x, dims).copy(), ()


def _flip_kernel(x: Array, dims: Shape) -> Array:
    return _core.copy(x[tuple([_BACKWARDS if d in dims else _ALL for d in range(x.ndim)])])


_ALL, _BACKWARDS = slice(None), slice(None, None, -1)


def _flip_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((rng.standard_normal((2, 3)),), {"dims": (1,)})
    yield Sample((rng.standard_normal((2, 3)),), {"dims": (0, 1)})


FLIP = Op(
    "flip",
    _flip_reference,
    None,
    (lambda g, *, dims: flip(g, dims),),
    "linear",
    _flip_samples,
    exact=True,
    anything=True,
    batch=shifted("flip", "dims"),
    kernel=_flip_kernel,
    names=("dims",),
)


# --- writing through a view -------------------------------------------------------------------------------------------


def _view_write_reference(base: Array, value: Array, *, chain: Any, shape: Shape) -> Result:
    out = base.copy()
    part = replay(chain, out)
    if np.may_share_memory(part, out):
        part[...] = value
    else:  # the view was one by strides that `out` does not have
        places = replay(chain, np.arange(1, out.size + 1).reshape(shape))
        out.reshape(-1)[places[places > 0] - 1] = value[places > 0]
    return out, ()


def _view_write_dbase(g: Any, *, chain: Any, shape: Shape) -> Any:
    part = replay(chain, g)
    return apply(VIEW_WRITE, g, np.zeros(shape_of(part), array_of(part).dtype), chain=chain, shape=shape)


def _view_write_dvalue(g: Any, *, chain: Any, shape: Shape) -> Any:
    return replay(chain, g)


def _view_write_samples(rng: np.random.Generator) -> Iterator[Sample]:
    chain = ((None, PERMUTE, {"dims": (1, 0)}, 0), UNBIND, {"dim": 0}, 1)
    yield Sample((rng.standard_normal((2, 3)), rng.standard_normal(2)), {"chain": chain, "shape": (2, 3)})
    flat = ((None, PERMUTE, {"dims": (1, 0)}, 0), RESHAPE, {"shape": (6,)}, 0)  # a view of columns, a copy of rows
    yield Sample((rng.standard_normal((2, 3)), rng.standard_normal(6)), {"chain": flat, "shape": (2, 3)})


def scatter_view(name: str, input: Any, src: Any, op: Op, **params: Any) -> Any:
    """`input` with `src` in the place of its view op(input): what the functions `..._scatter` do."""
    before, chain = shape_of(input), (None, op, params, 0)
    want = shape_of(replay(chain, raw(input)))
    if shape_of(src) != want:
        raise ShapeError(f"{name}: the part to be replaced has shape {want}, the source {shape_of(src)}")
    value = to_dtype(src, dtypes.of(array_of(input).dtype))
    return apply(VIEW_WRITE, input, value, chain=chain, shape=before)


# The base of a view after a write into the view: base with the view's part replaced by value.
#     forward    out = base;  out[view] = value
#     backward   dbase = g with zeros in the view's place,  dvalue = g[view]
VIEW_WRITE: Op = Op(
    "view_write",
    _view_write_reference,
    None,
    (_view_write_dbase, _view_write_dvalue),
    "linear",
    _view_write_samples,
    exact=True,
)
