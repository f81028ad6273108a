"""Broadcasting, stacking, splitting, turning and repeating: movement made of operators in shape.py and join.py."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, IndexRangeError, OutOfMemoryError, ShapeError
from ..graph.record import apply, apply_flat, attempt_all
from ..graph.tensors import wrap
from ..op import Op, Result, Sample
from . import indexing, scatter
from .common import (
    Array,
    array_of,
    axis,
    elements,
    few,
    named,
    numpy_names,
    promote,
    raw,
    reads,
    shape_of,
    shifted,
    write_out,
)
from .join import CAT, cat, chunk, narrow, split
from .matmul import conjugate
from .shape import Shape, clone, expand, flip, permute, reshape, sizes, transpose

# --- broadcasting -----------------------------------------------------------------------------------------------------


def expand_as(input: Any, other: Any) -> Any:
    """Expanded to the shape of `other`."""
    return expand(input, shape_of(other))


def broadcast_to(input: Any, *size: Any) -> Any:
    """`expand`: axes of size 1 repeated, new ones put in front.

    >>> mt.broadcast_to(mt.arange(2), (2, 2))
    tensor([[0, 1],
            [0, 1]])
    """
    return expand(input, *size)


def broadcast_shapes(*shapes: Any) -> Shape:
    """The shape that tensors of the given shapes (ints count as one axis) have when they broadcast."""
    given = [(s,) if isinstance(s, int) else tuple(s) for s in shapes]
    try:
        return tuple(np.broadcast_shapes(*given))
    except ValueError:
        raise ShapeError(f"broadcast_shapes: {' and '.join(map(str, given))} do not broadcast") from None


def broadcast_tensors(*tensors: Any) -> tuple[Any, ...]:
    """The tensors expanded to the one shape that they broadcast to.

    >>> [x.shape for x in mt.broadcast_tensors(mt.zeros(3), mt.zeros(2, 1))]
    [minitensor.Size([2, 3]), minitensor.Size([2, 3])]
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    common = broadcast_shapes(*[shape_of(x) for x in tensors])
    return tuple([expand(x, common) for x in tensors])


# --- more axes, and stacks --------------------------------------------------------------------------------------------


def _each(function: Any, tensors: tuple[Any, ...]) -> Any:
    """The function of one tensor, or of each of several or of a list."""
    if len(tensors) == 1 and not isinstance(tensors[0], (tuple, list)):
        return function(tensors[0])
    return tuple([function(x) for x in (tensors[0] if len(tensors) == 1 else tensors)])


def atleast_1d(*tensors: Any) -> Any:
    """A tensor without axes as a vector of one element, others as they are; of several tensors a tuple.

    >>> mt.atleast_1d(mt.tensor(3))
    tensor([3])
    """
    return _each(lambda x: x if shape_of(x) else reshape(x, (1,)), tensors)


def atleast_2d(*tensors: Any) -> Any:
    """With axes of size 1 in front until there are two; of several tensors a tuple.

    >>> mt.atleast_2d(mt.tensor([1, 2])).shape
    minitensor.Size([1, 2])
    """
    return _each(lambda x: x if len(shape_of(x)) > 1 else reshape(x, (1, math.prod(shape_of(x)))), tensors)


def atleast_3d(*tensors: Any) -> Any:
    """With axes of size 1 until there are three: (n,) becomes (1, n, 1), (m, n) becomes (m, n, 1).

    >>> mt.atleast_3d(mt.zeros(2, 3)).shape
    minitensor.Size([2, 3, 1])
    """

    def three(x: Any) -> Any:
        shape = shape_of(x)
        return x if len(shape) > 2 else reshape(x, (*shape, 1) if len(shape) == 2 else (1, math.prod(shape), 1))

    return _each(three, tensors)


def hstack(tensors: Sequence[Any], *, out: Any = None) -> Any:
    """Tensors joined along their second axis, vectors along their only one.

    >>> mt.hstack([mt.tensor([1, 2]), mt.tensor([3])])
    tensor([1, 2, 3])
    """
    if not isinstance(tensors, (list, tuple)):
        tensors = list(tensors)
    dim = 1 if tensors and len(shape_of(tensors[0])) > 1 else 0
    result = attempt_all(CAT, tensors, dim) if tensors and out is None else None
    return cat([x if shape_of(x) else reshape(x, (1,)) for x in tensors], dim, out=out) if result is None else result


def vstack(tensors: Sequence[Any], *, out: Any = None) -> Any:
    """Tensors joined along their first axis, vectors as rows.

    >>> mt.vstack([mt.tensor([1, 2]), mt.tensor([3, 4])])
    tensor([[1, 2],
            [3, 4]])
    """
    return cat([atleast_2d(x) for x in tensors], 0, out=out)


row_stack = vstack


def dstack(tensors: Sequence[Any], *, out: Any = None) -> Any:
    """Tensors joined along their third axis.

    >>> mt.dstack([mt.zeros(2, 3), mt.ones(2, 3)]).shape
    minitensor.Size([2, 3, 2])
    """
    return cat([atleast_3d(x) for x in tensors], 2, out=out)


def column_stack(tensors: Sequence[Any], *, out: Any = None) -> Any:
    """Tensors joined along their second axis, vectors as columns.

    >>> mt.column_stack([mt.tensor([1, 2]), mt.tensor([3, 4])])
    tensor([[1, 3],
            [2, 4]])
    """
    columns = [x if len(shape_of(x)) > 1 else reshape(x, (math.prod(shape_of(x)), 1)) for x in tensors]
    return cat(columns, 1, out=out)


# --- parts ------------------------------------------------------------------------------------------------------------


@numpy_names
def select(input: Any, dim: int, index: Any) -> Any:
    """The slice at one place of an axis, without that axis. A view.

    >>> mt.select(mt.tensor([[1, 2], [3, 4]]), 1, 0)
    tensor([1, 3])
    """
    shape = shape_of(input)
    if not shape:
        raise IndexRangeError("select: a tensor without axes has no slices")
    d, place = axis("select", dim, len(shape)), int(raw(index))
    if not -shape[d] <= place < shape[d]:
        raise IndexRangeError(f"select: index {place} is out of range for axis {d} of {shape}")
    return apply_flat(indexing.GETITEM, input, (*(slice(None),) * d, place))


@numpy_names
def split_with_sizes(input: Any, split_sizes: Sequence[int], dim: int = 0) -> Any:
    """Blocks of the given sizes along an axis, as views.

    >>> [part.tolist() for part in mt.split_with_sizes(mt.arange(3), [1, 2])]
    [[0], [1, 2]]
    """
    return split(input, list(split_sizes), dim)


@numpy_names
def unsafe_chunk(input: Any, chunks: int, dim: int = 0) -> Any:
    """`chunk`."""
    return chunk(input, chunks, dim)


@numpy_names
def narrow_copy(input: Any, dim: int, start: Any, length: int, *, out: Any = None) -> Any:
    """`narrow` as a copy.

    >>> mt.narrow_copy(mt.tensor([1, 2, 3]), 0, 1, 2)
    tensor([2, 3])
    """
    result = clone(narrow(input, dim, start, length))
    return result if out is None else write_out("narrow_copy", result, out)


def unsafe_split(input: Any, split_size: Any, dim: int = 0) -> Any:
    """`split`."""
    return split(input, split_size, dim)


unsafe_split_with_sizes = split_with_sizes


@numpy_names
def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Any, ...]:
    """Blocks along an axis, as views: so many of almost one size, the larger first, or cut at the given places.

    >>> [part.tolist() for part in mt.tensor_split(mt.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    >>> [part.tolist() for part in mt.tensor_split(mt.arange(5), (1, 3))]
    [[0], [1, 2], [3, 4]]
    """
    shape = shape_of(input)
    if not shape:
        raise ShapeError("tensor_split: a tensor without axes cannot be split")
    d = axis("tensor_split", dim, len(shape))
    n = shape[d]
    cuts = raw(indices_or_sections)
    cuts = cuts.tolist() if isinstance(cuts, np.ndarray) else cuts
    if isinstance(cuts, (tuple, list)):
        places = [0, *sizes("tensor_split", (cuts,)), n]
    else:
        if cuts <= 0:
            raise ShapeError(f"tensor_split: the number of sections must be positive, not {cuts}")
        few("tensor_split", "sections", cuts)
        small, more = divmod(n, cuts)
        places = [k * small + min(k, more) for k in range(cuts + 1)]
    parts = []
    for first, last in pairwise(places):
        parts.append(apply(indexing.GETITEM, input, index=(*(slice(None),) * d, slice(first, last))))
    return tuple(parts)


def _split_along(name: str, input: Any, indices_or_sections: Any, d: int, least: int) -> tuple[Any, ...]:
    shape = shape_of(input)
    if len(shape) < least:
        raise ShapeError(f"{name}: expected at least {least} axes, got {shape}")
    if isinstance(indices_or_sections, int) and (indices_or_sections <= 0 or shape[d] % indices_or_sections):
        raise ShapeError(f"{name}: axis {d} of size {shape[d]} cannot be split into {indices_or_sections} equal parts")
    return tensor_split(input, indices_or_sections, d)


def hsplit(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """Equal blocks along the second axis (a vector's only one), or cut at the given places; views.

    >>> [part.tolist() for part in mt.hsplit(mt.arange(4), 2)]
    [[0, 1], [2, 3]]
    """
    return _split_along("hsplit", input, indices_or_sections, int(len(shape_of(input)) > 1), 1)


def vsplit(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """Equal blocks along the first of at least two axes, or cut at the given places; views.

    >>> [part.shape[0] for part in mt.vsplit(mt.zeros(4, 2), (1,))]
    [1, 3]
    """
    return _split_along("vsplit", input, indices_or_sections, 0, 2)


def dsplit(input: Any, indices_or_sections: Any) -> tuple[Any, ...]:
    """Equal blocks along the third axis, or cut at the given places; views.

    >>> [part.shape[2] for part in mt.dsplit(mt.zeros(2, 2, 4), 2)]
    [2, 2]
    """
    return _split_along("dsplit", input, indices_or_sections, 2, 3)


# --- axes exchanged ---------------------------------------------------------------------------------------------------


def swapaxes(input: Any, axis0: int, axis1: int) -> Any:
    """Two axes exchanged. A view.

    >>> mt.swapaxes(mt.zeros(2, 3, 4), 0, -1).shape
    minitensor.Size([4, 3, 2])
    """
    return transpose(input, axis0, axis1)


def swapdims(input: Any, dim0: int, dim1: int) -> Any:
    """Two axes exchanged. A view."""
    return transpose(input, dim0, dim1)


def adjoint(input: Any) -> Any:
    """The last two axes exchanged, and complex numbers conjugated: of real matrices a view.

    >>> mt.adjoint(mt.zeros(5, 2, 3)).shape
    minitensor.Size([5, 3, 2])
    """
    return conjugate(batch_transpose("adjoint", input))


def batch_transpose(name: str, input: Any) -> Any:
    """The last two axes exchanged, which must be there: `x.mT`."""
    if len(shape_of(input)) < 2:
        raise ShapeError(f"{name}: expected a matrix or a batch of them, got shape {shape_of(input)}")
    return transpose(input, -2, -1)


def matrix_transpose(input: Any) -> Any:
    """The transpose of a matrix, and of a matrix only: `x.H` of real numbers."""
    if len(shape_of(input)) not in (0, 2):
        raise ShapeError(f"H: expected a matrix, got shape {shape_of(input)}; use mH for batches of matrices")
    return permute(input, tuple(range(len(shape_of(input))))[::-1])


# --- turned -----------------------------------------------------------------------------------------------------------


def _roll_reference(x: Array, *, shifts: Shape, dims: Shape) -> Result:
    return np.roll(x, shifts, dims), ()


def _roll_kernel(x: Array, shifts: Shape, dims: Shape) -> Array:
    if len(dims) == 1 and x.size < _FEW:
        d, before = dims[0], (slice(None),) * dims[0]
        n = max(x.shape[d], 1)
        first = n - shifts[0] % n
        joined = _core.cat([x[(*before, slice(first, None))], x[(*before, slice(first))]], d)
        if joined is not None:
            return joined
    by = dict.fromkeys(range(x.ndim), 0)
    for shift, d in zip(shifts, dims, strict=True):
        by[d] = (by[d] + shift) % max(x.shape[d], 1)
    # Of each axis what comes to its end, and what to its beginning.
    parts = [
        [(slice(0, n - k), slice(k, n)), *([(slice(n - k, n), slice(0, k))] if k else [])]
        for n, k in zip(x.shape, by.values(), strict=True)
    ]
    out = np.empty(x.shape, x.dtype)
    for part in product(*parts):
        source: tuple[Any, ...] = (*[a for a, _ in part], ...)
        target: tuple[Any, ...] = (*[b for _, b in part], ...)
        to, given = out[target], x[source]
        if not _core.put(to, given):
            to[...] = given
    return out


_FEW = 4096  # elements of which it takes less time to copy them twice than to name the parts


def _roll_dx(g: Any, *, shifts: Shape, dims: Shape) -> Any:
    return apply(ROLL, g, shifts=tuple([-k for k in shifts]), dims=dims)


def _roll_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, shifts, dims in (
        ((2, 3), (1,), (1,)),
        ((3, 4), (-1, 5), (0, 1)),
        ((4,), (1, 2), (0, 0)),
        ((0,), (1,), (0,)),
    ):
        yield Sample((rng.standard_normal(shape),), {"shifts": shifts, "dims": dims})


ROLL: Op = Op(
    "roll",
    _roll_reference,
    None,
    (_roll_dx,),
    "linear",
    _roll_samples,
    exact=True,
    anything=True,
    batch=shifted("roll", "dims"),
    kernel=_roll_kernel,
    names=("shifts", "dims"),
)


def _ints(value: Any) -> tuple[int, ...]:
    if type(value) is int:
        return (value,)
    return tuple([int(v) for v in value]) if isinstance(value, (tuple, list)) else (int(value),)


@named("RollBackward0")
@numpy_names
def roll(input: Any, shifts: Any, dims: Any = None, *, dim: Any = None) -> Any:
    """The elements moved on by `shifts` along `dims`, those that leave at the end coming in at the front.

        forward    out[i] = x[(i - shift) mod n]
        backward   dx = g, rolled back

    Without `dims`, of the elements in row-major order.

    >>> mt.roll(mt.arange(4), 1)
    tensor([3, 0, 1, 2])
    """
    dims = dim if dims is None else dims
    shape, by = shape_of(input), _ints(shifts)
    if dims is None or dims == () or dims == []:
        if len(by) != 1:
            raise ShapeError(f"roll: without dims there must be one shift, not {len(by)}")
        return reshape(apply(ROLL, reshape(input, (-1,)), shifts=by, dims=(0,)), shape)
    over = tuple([axis("roll", d, len(shape)) for d in _ints(dims)])
    if len(over) != len(by):
        raise ShapeError(f"roll: {len(by)} shifts for {len(over)} dims")
    return apply_flat(ROLL, input, by, over) if shape else clone(input)


def fliplr(input: Any) -> Any:
    """The second axis reversed; a copy.

    >>> mt.fliplr(mt.tensor([[1, 2], [3, 4]]))
    tensor([[2, 1],
            [4, 3]])
    """
    if len(shape_of(input)) < 2:
        raise ShapeError(f"fliplr: expected at least 2 axes, got {shape_of(input)}")
    return flip(input, 1)


def flipud(input: Any) -> Any:
    """The first axis reversed; a copy.

    >>> mt.flipud(mt.tensor([1, 2]))
    tensor([2, 1])
    """
    if not shape_of(input):
        raise ShapeError("flipud: expected at least 1 axis, got ()")
    return flip(input, 0)


@named("Rot90Backward0")
def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Any:
    """Turned k times by 90 degrees in the plane of two axes, from the first to the second.

    >>> mt.rot90(mt.tensor([[1, 2], [3, 4]]))
    tensor([[2, 4],
            [1, 3]])
    """
    ndim = len(shape_of(input))
    if ndim < 2 or len(dims) != 2:
        raise ShapeError(f"rot90: expected at least 2 axes and 2 dims, got {shape_of(input)} and {tuple(dims)}")
    a, b = (axis("rot90", d, ndim) for d in dims)
    if a == b:
        raise ShapeError(f"rot90: the dims {tuple(dims)} are one axis")
    turns = k % 4
    if turns == 0:
        return clone(input)
    if turns == 2:
        return flip(input, a, b)
    return transpose(flip(input, b), a, b) if turns == 1 else flip(transpose(input, a, b), b)


# --- repeated ---------------------------------------------------------------------------------------------------------


@named("RepeatBackward0")
def repeat(input: Any, *repeats: Any) -> Any:
    """The tensor so many times along each axis, new axes in front; a copy.

        forward    out[r, k] = x[k], the pairs (r, k) of each axis made into one
        backward   dx = the sum of g over all r

    >>> mt.tensor([1, 2]).repeat(2, 2)
    tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    shape, times = shape_of(input), sizes("repeat", repeats)
    new = len(times) - len(shape)
    if new < 0:
        raise ShapeError(f"repeat: {times} for the axes of {shape}; give a number for each axis")
    if any(r < 0 for r in times):
        raise ShapeError(f"repeat: {times} must not be negative")
    padded = (1,) * new + shape
    apart = [k for n in padded for k in (1, n)]
    spread = [k for r, n in zip(times, padded, strict=True) for k in (r, n)]
    wide = expand(reshape(input, apart), spread)
    result = reshape(wide, [r * n for r, n in zip(times, padded, strict=True)])
    return clone(result) if np.may_share_memory(elements(result), elements(input)) else result


def tile(input: Any, *dims: Any) -> Any:
    """`repeat`, in which axes that are not named in front are repeated once.

    >>> mt.tile(mt.tensor([[1, 2]]), (2,))
    tensor([[1, 2, 1, 2]])
    """
    times = sizes("tile", dims)
    return repeat(input, (1,) * (len(shape_of(input)) - len(times)) + times)


@reads("repeats")
@numpy_names
def repeat_interleave(input: Any, repeats: Any = None, dim: Any = None, *, output_size: Any = None) -> Any:
    """Each slice along `dim` (without it, each element) so many times, or each its own number of times.

        forward    out = x[j] for j = 0, 0, ..., 1, 1, ...
        backward   dx[j] = the sum of g over the places of j

    Of one tensor alone, which holds the numbers: each index as often as its number says.

    >>> mt.repeat_interleave(mt.tensor([[1], [2]]), mt.tensor([1, 2]), 0)
    tensor([[1],
            [2],
            [2]])
    """
    if repeats is None:
        counts = array_of(input)
        if counts.ndim != 1:
            raise ShapeError(f"repeat_interleave: the numbers of repeats must be a vector, not {counts.shape}")
        return wrap(_repeated(np.arange(len(counts)), counts, 0, output_size))
    if dim is None:
        input, dim = reshape(input, (-1,)), 0
    d = axis("repeat_interleave", dim, len(shape_of(input)))
    x = atleast_1d(input)
    if type(repeats) is int and repeats >= 0:
        return _each_repeated(x, repeats, d, output_size)
    counts = np.asarray(raw(repeats))
    return _repeated(x, counts.reshape(-1) if counts.ndim < 2 else counts, d, output_size)


def _repeated(x: Any, counts: Array, d: int, output_size: Any) -> Any:
    n = shape_of(x)[d]
    if counts.dtype.kind not in "iu":
        raise DtypeError(f"repeat_interleave: the numbers of repeats must be integers, not {counts.dtype}")
    if counts.ndim != 1 or len(counts) not in (1, n):
        raise ShapeError(f"repeat_interleave: repeats of shape {counts.shape} for an axis of size {n}")
    if counts.size and counts.min() < 0:
        raise ShapeError("repeat_interleave: the numbers of repeats must not be negative")
    if len(counts) == 1:
        return _each_repeated(x, int(counts[0]), d, output_size)
    _check_total(sum(counts.tolist()), output_size)
    places = np.repeat(np.arange(n), counts)
    return apply(scatter.INDEX_SELECT, x, places, dim=d)


def _each_repeated(x: Any, times: int, d: int, output_size: Any) -> Any:
    shape = shape_of(x)
    n, before, after = shape[d], shape[:d], shape[d + 1 :]
    _check_total(n * times, output_size)
    wide = expand(reshape(x, (*before, n, 1, *after)), (*before, n, times, *after))
    result = reshape(wide, (*before, n * times, *after))
    return clone(result) if np.may_share_memory(elements(result), elements(x)) else result


def _check_total(total: int, output_size: Any) -> None:
    if total >= 2**60:  # NumPy does not look whether it can count them
        raise OutOfMemoryError(f"repeat_interleave: no memory for {total} slices")
    if output_size is not None and int(output_size) != total:
        raise ShapeError(f"repeat_interleave: output_size {output_size} is not the sum of the repeats, {total}")


# --- products of sets -------------------------------------------------------------------------------------------------


@named("BlockDiagBackward0")
def block_diag(*tensors: Any) -> Any:
    """A matrix with the given matrices along its diagonal and 0 elsewhere; a vector counts as one row.

    >>> mt.block_diag(mt.tensor([[1, 2]]), mt.tensor([[3]]))
    tensor([[1, 2, 0],
            [0, 0, 3]])
    """
    if not tensors:
        return wrap(np.zeros((1, 0), dtypes.get_default_dtype().numpy))
    for x in tensors:
        if len(shape_of(x)) > 2:
            raise ShapeError(f"block_diag: expected matrices, got shape {shape_of(x)}")
    blocks = [atleast_2d(x) for x in promote("block_diag", *tensors)]
    total = sum([shape_of(b)[1] for b in blocks])
    rows, before = [], 0
    for b in blocks:
        height, width = shape_of(b)
        left = np.zeros((height, before), array_of(b).dtype)
        right = np.zeros((height, total - before - width), array_of(b).dtype)
        rows.append(cat([left, b, right], 1))
        before += width
    return cat(rows, 0)
