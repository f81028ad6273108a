"""Shapes and movement: views where PyTorch makes views, and they are NumPy's. Kernel: csrc/kernels/copy.cpp."""

from __future__ import annotations

import math
import operator
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..device import channels_last, preserve_format
from ..errors import OutOfMemoryError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply, apply_flat, attempt
from ..op import SHAPE, Op, Result, Sample
from . import reduce
from .common import Array, axis, named, numpy_names, order_of_copy, shifted

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .common import array_of, raw, shape_of

Shape = tuple[int, ...]
put = _core.put  # what algebra.set_algebra gets of the machine


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
