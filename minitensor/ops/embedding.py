"""Embedding: rows of a table, looked up by number, one by one or in bags; and the table of the unit vectors.

Kernels: csrc/kernels/scatter.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, IndexRangeError, ShapeError
from ..graph.record import apply, apply_flat, attempt
from ..graph.tensors import Tensor, wrap
from ..op import OPS, SHAPE, Op, Result, Sample
from .arithmetic import mul
from .common import Array, array_of, elements, named, raw, reads, shape_of, to_dtype
from .comparison import where
from .indexing import getitem
from .reduce import max as maximum
from .reduce import sum
from .shape import expand, reshape, unsqueeze

# A padding index of None is -1 here: no row has that number. `shared`: a row's gradient is divided by how often the row
# is looked up, which is not the derivative, but what `scale_grad_by_freq` asks for. `sparse`: a first derivative is a
# sparse tensor of the rows that were looked up, which only the gradient of a leaf can be.


def _need_in_range(index: Array, rows: int) -> None:
    """The reference's check; the binding checks for the kernel, with the same error."""
    bad = index[(index < 0) | (index >= rows)]
    if bad.size:
        raise IndexRangeError(f"embedding: index {bad[0]} is out of range for a table of {rows} rows")


def _embedding_reference(w: Array, index: Array, *, padding: int, shared: bool, sparse: bool) -> Result:
    _need_in_range(index, w.shape[0])
    return w[index], (index, w.shape)


def _embedding_dw(g: Any, index: Any, shape: tuple[int, ...], *, padding: int, shared: bool, sparse: bool) -> Any:
    rows = shape[0]
    if shared:
        places = raw(index)
        often = np.bincount(places.reshape(-1), minlength=rows)[places]
        g = mul(g, (1 / often[..., None]).astype(array_of(g).dtype))
    if sparse and isinstance(g, np.ndarray):
        from ..sparse import of_rows  # the house's upper floor: only a walk back that was asked for it comes here

        return of_rows(g, index, rows, padding)
    return apply(EMBEDDING_VJP, g, index, rows=rows, padding=padding)


def _embedding_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in (((4,), 3), ((2, 3), 17), ((), 2), ((0,), 2), ((5,), 0), ((9,), 33)):
        index = rng.integers(0, 5, shape)
        yield Sample((rng.standard_normal((6, dim)), index), {"padding": -1, "shared": False, "sparse": False})
        yield Sample(
            (rng.standard_normal((6, dim)), index), {"padding": 5, "shared": False, "sparse": False}
        )  # a row that is not looked up
    yield Sample(
        (rng.standard_normal((900, 100)), rng.integers(0, 900, 2000)),
        {"padding": -1, "shared": False, "sparse": False},
        large=True,
    )


def _embedding_batch(args: Any, flags: Any, *, padding: int, shared: bool, sparse: bool) -> Any:
    if shared or (flags[0] and padding >= 0):
        return NotImplemented
    if not flags[0]:  # one table: the index may have any shape
        return apply(EMBEDDING, *args, padding=padding, shared=shared, sparse=sparse)
    _need_in_range(elements(args[1]), shape_of(args[0])[1])
    return OPS["index_select"].batch(args, flags, dim=0)  # type: ignore[misc]


EMBEDDING: Op = Op(
    "embedding",
    _embedding_reference,
    None,
    (_embedding_dw, None),
    None,
    _embedding_samples,
    exact=True,
    batch=_embedding_batch,
    kernel=_core.embedding,
    saves=(1, SHAPE),
    names=("padding", "shared", "sparse"),
)


def _embedding_vjp_reference(g: Array, index: Array, *, rows: int, padding: int) -> Result:
    dw = np.zeros((rows, g.shape[-1]), g.dtype)
    np.add.at(dw, index, g)
    if padding >= 0:
        dw[padding] = 0
    return dw, (index,)


def _embedding_vjp_dg(h: Any, index: Any, *, rows: int, padding: int) -> Any:
    looked_up = apply(EMBEDDING, h, index, padding=padding, shared=False, sparse=False)
    return where(raw(index)[..., None] != padding, looked_up, 0.0) if padding >= 0 else looked_up


def _embedding_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in (((4,), 3), ((2, 3), 17), ((), 2), ((0,), 2), ((40,), 33)):
        index = rng.integers(0, 6, shape)
        for padding in (-1, 2):
            yield Sample((rng.standard_normal((*shape, dim)), index), {"rows": 6, "padding": padding})
    g, index = rng.standard_normal((2000, 100)), rng.integers(0, 900, 2000)
    yield Sample((g, index), {"rows": 900, "padding": 7}, large=True)


def _embedding_vjp_batch(args: Any, flags: Any, *, rows: int, padding: int) -> Any:
    if padding >= 0:
        return NotImplemented
    return OPS["index_add"].batch(args, flags, dim=0, n=rows)  # type: ignore[misc]


EMBEDDING_VJP: Op = Op(
    "embedding_vjp",
    _embedding_vjp_reference,
    None,
    (_embedding_vjp_dg, None),
    None,
    _embedding_vjp_samples,
    exact=True,
    length=lambda g, index, **_: max(index.size, 1),
    batch=_embedding_vjp_batch,
    kernel=_core.embedding_vjp,
    saves=(1,),
    names=("rows", "padding"),
)


def _table(name: str, input: Any, weight: Any, padding_idx: int | None) -> tuple[Any, int]:
    """The index and the padding, checked against a table (rows, dim)."""
    index = raw(input)
    if not isinstance(index, np.ndarray) or index.dtype.kind not in "iu":
        raise DtypeError(f"{name}: the index must be integers, not {getattr(index, 'dtype', type(index))}")
    shape = shape_of(weight)
    if len(shape) != 2:
        raise ShapeError(f"{name}: weight must have 2 axes, (rows, dim), but has shape {shape}")
    index = to_dtype(input, dtypes.int64)
    if padding_idx is None:
        return index, -1
    if not -shape[0] <= padding_idx < shape[0]:
        raise IndexRangeError(f"{name}: padding_idx {padding_idx} is out of range for a table of {shape[0]} rows")
    return index, padding_idx % shape[0]


def _sparsely(weight: Any, sparse: bool) -> bool:
    """Whether the weight's gradient is to be sparse, and can be: that of a leaf."""
    return bool(sparse) and isinstance(weight, Tensor) and weight.layer is None and weight.node is None


def _shorten(name: str, weight: Any, index: Array, most: float, p: float) -> None:
    """Scales the rows that are looked up and longer than `most` down to that: in place, outside the graph."""
    _need_in_range(index, shape_of(weight)[0])
    rows = np.unique(index)
    table = raw(weight)
    lengths = np.linalg.norm(table[rows], p, axis=1) if rows.size else np.zeros(0)
    long = lengths > most
    if long.any():
        if not table.flags.writeable:
            raise ShapeError(f"{name}: max_norm rescales rows of the weight in place, but its memory is read-only")
        table[rows[long]] *= (most / (lengths[long] + 1e-7)).astype(table.dtype)[:, None]
        if isinstance(weight, Tensor):
            weight.version.bump()


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Any:
    r"""Rows of `weight` (rows, dim), looked up by the integers `input` of any shape; (*input.shape, dim).

        forward    out[i] = w[index[i]]
        backward   dw[j] = the sum of g[i] over all i with index[i] = j, in the order of i; row padding_idx gets 0
        kernel     csrc/kernels/embedding.cpp

    With `max_norm` the rows looked up whose `norm_type`-norm is larger are first scaled down to it, in the weight
    itself. `scale_grad_by_freq` divides a row's gradient by how often the row is looked up. With `sparse` the gradient
    of a leaf is a sparse tensor of the rows looked up, for SGD, Adagrad and SparseAdam.
    Raises IndexRangeError, naming the index, if one is not from 0 to rows - 1.

    >>> mt.nn.functional.embedding(mt.tensor([1, 0]), mt.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    if padding_idx is None and max_norm is None and not (scale_grad_by_freq or sparse):
        looked_up = attempt(EMBEDDING, weight, input, -1, False, False)
        if looked_up is not None:
            return looked_up
    index, padding = _table("embedding", input, weight, padding_idx)
    if max_norm is not None:
        _shorten("embedding", weight, raw(index), max_norm, norm_type)
    return apply(
        EMBEDDING, weight, index, padding=padding, shared=bool(scale_grad_by_freq), sparse=_sparsely(weight, sparse)
    )


# --- bags -------------------------------------------------------------------------------------------------------------


def _bags_reference(w: Array, index: Array, start: Array, *, mean: bool, shared: bool, sparse: bool) -> Result:
    _need_in_range(index, w.shape[0])
    y = np.zeros((len(start) - 1, w.shape[1]), w.dtype)
    for row, begin, end in zip(y, start[:-1], start[1:], strict=True):
        if begin < end:
            row[:] = w[index[begin:end]].mean(0) if mean else w[index[begin:end]].sum(0)
    return y, (index, start, w.shape)


def _bags_dw(g: Any, index: Any, start: Any, shape: tuple[int, ...], *, mean: bool, shared: bool, sparse: bool) -> Any:
    sizes, used = np.diff(raw(start)), slice(int(raw(start)[0]), int(raw(start)[-1]))
    if mean:
        g = mul(g, (1 / np.maximum(sizes, 1)[:, None]).astype(array_of(g).dtype))
    bags = np.repeat(np.arange(sizes.size), sizes)
    rows = apply(EMBEDDING, g, bags, padding=-1, shared=False, sparse=False)
    return _embedding_dw(rows, raw(index)[used], shape, padding=-1, shared=shared, sparse=sparse)


def _bags_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for start, dim in (((0, 2, 2, 5), 3), ((0, 1), 17), ((0,), 2), ((0, 0), 2), ((0, 3, 9), 0), ((1, 4, 8), 33)):
        for mean in (False, True):
            args = (rng.standard_normal((6, dim)), rng.integers(0, 5, 9), np.array(start))
            yield Sample(args, {"mean": mean, "shared": False, "sparse": False})
    args = (rng.standard_normal((900, 70)), rng.integers(0, 900, 3000), np.sort(rng.integers(0, 3000, 200)))
    yield Sample(args, {"mean": True, "shared": False, "sparse": False}, large=True)


BAGS: Op = Op(
    "embedding_bag",
    _bags_reference,
    None,
    (_bags_dw, None, None),
    None,
    _bags_samples,
    length=lambda w, index, start, **_: max(index.size, 1),
    kernel=_core.bags,
    saves=(1, 2, SHAPE),
    names=("mean", "shared", "sparse"),
)


def _starts(name: str, index: Array, offsets: Any, include_last_offset: bool) -> Array:
    """Where each bag begins among the indices, and where the last ends."""
    if index.ndim == 2:
        if offsets is not None:
            raise ShapeError(f"{name}: each row of a matrix is a bag; offsets are for a vector")
        return np.asarray(np.arange(len(index) + 1) * index.shape[1], np.int64)
    if index.ndim != 1:
        raise ShapeError(f"{name}: the index must be a matrix (bags, size) or a vector with offsets, not {index.shape}")
    starts = raw(offsets)
    if not isinstance(starts, np.ndarray) or starts.ndim != 1 or starts.dtype.kind not in "iu":
        raise ShapeError(f"{name}: a vector needs offsets, a vector of integers: where each bag begins")
    if starts.size and (starts[0] != 0 or (starts[1:] < starts[:-1]).any() or starts[-1] > index.size):
        raise ShapeError(f"{name}: offsets must begin with 0 and rise to at most {index.size}")
    if include_last_offset:
        return np.asarray(starts if starts.size else [0], np.int64)
    bounds = np.empty(starts.size + 1, np.int64)
    bounds[:-1], bounds[-1] = starts, index.size if starts.size else 0
    return bounds


@reads()
@named("EmbeddingBagBackward0")
def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Any:
    r"""The sum, mean or maximum of the rows of `weight` that each bag of indices looks up.

        forward    out[b] = sum_{i in bag b} s_i w[index_i], or their mean, or their maximum by columns
        backward   dw[j] = the sum of s_i g[b] over all i with index_i = j;  ds_i = <w[index_i], g[b]>

    Shapes: input (bags, size), or a vector with `offsets` (bags): where each bag begins; with `include_last_offset` the
    last of them is where the last bag ends. per_sample_weights s as the input, for mode "sum". The result (bags, dim);
    an empty bag gives 0. Indices equal to padding_idx do not count. Other options as `embedding`.
    Raises ShapeError for other shapes and modes, IndexRangeError for an index outside the table.

    >>> table = mt.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> mt.nn.functional.embedding_bag(mt.tensor([0, 1, 2]), table, mt.tensor([0, 2]), mode="sum")
    tensor([[4., 6.],
            [5., 6.]])
    """
    name = "embedding_bag"
    index, padding = _table(name, input, weight, padding_idx)
    index = raw(index)
    if mode not in ("sum", "mean", "max"):
        raise ShapeError(f"{name}: mode {mode!r} is none of 'sum', 'mean' and 'max'")
    if per_sample_weights is not None:
        if mode != "sum":
            raise ShapeError(f"{name}: per_sample_weights are for mode 'sum', not {mode!r}")
        if shape_of(per_sample_weights) != index.shape:
            raise ShapeError(
                f"{name}: per_sample_weights {shape_of(per_sample_weights)} must have the input's shape {index.shape}"
            )
    starts = _starts(name, index, offsets, include_last_offset)
    whole = index.reshape(-1)[: starts[-1]]
    if max_norm is not None:
        _shorten(name, weight, whole, max_norm, norm_type)
    shared, sparsely = bool(scale_grad_by_freq), _sparsely(weight, sparse)
    if padding < 0 and mode != "max" and per_sample_weights is None:
        return apply_flat(BAGS, weight, whole, starts, mode == "mean", shared, sparsely)
    count = len(starts) - 1
    bags = np.repeat(np.arange(count), np.diff(starts))
    look_up = {"padding": -1, "shared": shared, "sparse": sparsely}
    kept = whole != padding
    _need_in_range(whole, shape_of(weight)[0])
    index, bags = whole[kept], bags[kept]
    if mode == "max":
        sizes = np.bincount(bags, minlength=count)
        longest = int(sizes.max(initial=0))
        if 0 < longest * count <= _EVEN * index.size:
            return _largest_of_even(weight, index, sizes, longest, look_up)
        return _largest(apply(EMBEDDING, weight, index, **look_up), bags, count)
    rows = apply(EMBEDDING, weight, index, **look_up)
    if per_sample_weights is not None:
        given = getitem(reshape(per_sample_weights, (-1,)), np.nonzero(kept)[0])
        rows = mul(rows, unsqueeze(given, 1))
    total = apply(EMBEDDING_VJP, rows, bags, rows=count, padding=-1)
    if mode == "sum":
        return total
    sizes = np.maximum(np.bincount(bags, minlength=count), 1)
    return mul(total, (1 / sizes[:, None]).astype(array_of(total).dtype))


_EVEN = 4  # how much larger than the bags a table may be in which all have the size of the largest


def _largest_of_even(weight: Any, index: Array, sizes: Array, longest: int, look_up: Any) -> Any:
    """`_largest` by the kernels: each bag is filled up with its first row, which changes nothing."""
    if len(sizes) * longest != index.size:
        begin, place = np.cumsum(sizes) - sizes, np.arange(longest)
        taken = begin[:, None] + np.where(place < sizes[:, None], place, 0)
        index = index[np.minimum(taken, index.size - 1)]
    rows = apply(EMBEDDING, weight, index.reshape(len(sizes), longest), **look_up)
    largest = maximum(rows, 1)[0]
    return largest if sizes.all() else where((sizes == 0)[:, None], 0.0, largest)


def _largest(rows: Any, bags: Array, count: int) -> Any:
    """The maximum of the rows of each bag, column by column, from the first row that has it; 0 for an empty bag."""
    values = raw(rows)
    width = values.shape[1]
    best = np.full((count, width), -np.inf, values.dtype)
    begin = np.flatnonzero(np.diff(bags, prepend=-1))  # of the bags that are not empty
    if len(values):
        best[bags[begin]] = np.maximum.reduceat(values, begin, axis=0)
    first = np.full((count, width), len(values))
    row, column = np.nonzero((values == best[bags]) | np.isnan(values))
    first[bags[row[::-1]], column[::-1]] = row[::-1]  # what is written last stays
    empty = first == len(values)
    if not len(values):
        return mul(expand(sum(rows), (count, width)), 0.0)
    picked = getitem(rows, (np.where(empty, 0, first), np.arange(width)))
    return where(empty, 0.0, picked)


# --- unit vectors -----------------------------------------------------------------------------------------------------


@reads()
def one_hot(tensor: Any, num_classes: int = -1) -> Any:
    """Each class index as a row of zeros with a 1 at that place: (*, num_classes), int64; no derivative.

    num_classes -1 takes the largest index plus 1. Raises DtypeError for what is not integers, IndexRangeError for an
    index that is negative or too large, ShapeError where there is no index to take the number of classes from.

    >>> mt.nn.functional.one_hot(mt.tensor([0, 2]))
    tensor([[1, 0, 0],
            [0, 0, 1]])
    """
    name = "one_hot"
    index = np.asarray(raw(tensor))
    if index.dtype.kind not in "iu":
        raise DtypeError(f"{name}: class indices are integers, not {index.dtype}")
    if num_classes < -1 or (index.size == 0 and num_classes <= 0):
        raise ShapeError(f"{name}: num_classes {num_classes} says nothing of the number of classes")
    classes = int(index.max()) + 1 if num_classes == -1 else int(num_classes)
    if index.size and not _core.lies_within(index, 0, classes) and (index.min() < 0 or index.max() >= classes):
        wrong = index.min() if index.min() < 0 else index.max()
        raise IndexRangeError(f"{name}: class index {wrong} is out of range for {max(classes, 0)} classes")
    out = np.zeros((index.size, classes), np.int64)
    out[np.arange(index.size), index.reshape(-1)] = 1
    return wrap(out.reshape(*index.shape, classes))
