"""Sequences of different lengths: padded to one tensor, or packed without padding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ... import creation, dtypes
from ...errors import ShapeError
from ...graph.tensors import Tensor as Core
from ...graph.tensors import wrap
from ...ops.common import shape_of
from ...ops.join import cat, stack
from ...ops.scatter import index_select
from ...ops.shape import reshape, transpose

__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]


class _Fields(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any = None
    unsorted_indices: Any = None


class PackedSequence(_Fields):
    """Sequences of different lengths, one time step after the other, without padding.

    `data` (sum of the lengths, *) begins with the first elements of all sequences, longest sequence first;
    `batch_sizes[t]` is how many sequences have a step t. `sorted_indices` is where the longest, second longest, ... was
    in the batch, `unsorted_indices` the way back; None if the batch was sorted. Made by `pack_padded_sequence` and
    `pack_sequence`.
    """

    __slots__ = ()

    def __new__(
        cls, data: Any, batch_sizes: Any = None, sorted_indices: Any = None, unsorted_indices: Any = None
    ) -> PackedSequence:
        if isinstance(data, (tuple, list)) and batch_sizes is None:
            data, batch_sizes = data
        if unsorted_indices is None and sorted_indices is not None:
            unsorted_indices = invert_permutation(sorted_indices)
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> PackedSequence:
        """With `data` cast to another dtype."""
        return self._replace(data=self.data.to(*args, **kwargs))

    def float(self) -> PackedSequence:
        """In float32."""
        return self.to(dtypes.float32)

    def double(self) -> PackedSequence:
        """In float64."""
        return self.to(dtypes.float64)

    def cpu(self) -> PackedSequence:
        """Itself: everything is on the CPU."""
        return self

    def pin_memory(self) -> PackedSequence:
        """Itself: there is no other memory to copy to."""
        return self

    @property
    def is_cuda(self) -> bool:
        """False."""
        return False


def invert_permutation(permutation: Any) -> Any:
    """The permutation that undoes one; None of None.

    >>> mt.nn.utils.rnn.invert_permutation(mt.tensor([2, 0, 1]))
    tensor([1, 2, 0])
    """
    if permutation is None:
        return None
    out = np.empty_like(permutation.array)
    out[permutation.array] = np.arange(out.size)
    return wrap(out)


def _lengths(name: str, lengths: Any) -> Any:
    """The lengths as an array of integers, checked."""
    n = np.asarray(lengths.array.tolist() if isinstance(lengths, Core) else lengths)
    if n.ndim != 1 or n.dtype.kind not in "iu":
        raise ShapeError(f"{name}: lengths must be integers in one axis, got {n.dtype} {n.shape}")
    if n.size == 0 or n.min() <= 0:
        raise ShapeError(f"{name}: every length must be at least 1, got {n.tolist()}")
    return n.astype(np.int64)


def _positions(lengths: Any) -> tuple[Any, Any, Any]:
    """For lengths in decreasing order: the step and the sequence of each packed element, and the batch sizes."""
    sizes = (lengths[None, :] > np.arange(lengths[0])[:, None]).sum(1)
    steps = np.repeat(np.arange(lengths[0]), sizes)
    starts = np.cumsum(sizes) - sizes
    return steps, np.arange(steps.size) - np.repeat(starts, sizes), sizes


def pack_padded_sequence(
    input: Any, lengths: Any, batch_first: bool = False, enforce_sorted: bool = True
) -> PackedSequence:
    """Packs a padded batch (T, B, *), or (B, T, *) with `batch_first`, of sequences with these lengths.

    The sequences must be in the order of their lengths, longest first, unless `enforce_sorted=False`. Raises ShapeError
    for lengths that are not, that are below 1 or above T, or not as many as there are sequences.

    >>> x = mt.tensor([[1, 2, 3], [4, 5, 0]])
    >>> packed = mt.nn.utils.rnn.pack_padded_sequence(x, [3, 2], batch_first=True)
    >>> packed.data, packed.batch_sizes
    (tensor([1, 4, 2, 5, 3]), tensor([2, 2, 1]))
    """
    name = "pack_padded_sequence"
    n = _lengths(name, lengths)
    x = transpose(input, 0, 1) if batch_first else input
    time, batch = shape_of(x)[:2]
    if n.size != batch or n.max() > time:
        raise ShapeError(f"{name}: {n.size} lengths up to {n.max()} for {batch} sequences of {time} steps")
    order = None
    if not enforce_sorted:
        order = np.argsort(-n, kind="stable")
        n = n[order]
    elif np.any(n[1:] > n[:-1]):
        raise ShapeError(f"{name}: the lengths {n.tolist()} are not in decreasing order; pass enforce_sorted=False")
    steps, rows, sizes = _positions(n)
    picked = x[wrap(steps), wrap(rows if order is None else order[rows])]
    return PackedSequence(picked, wrap(sizes), None if order is None else wrap(order))


def pad_packed_sequence(
    sequence: PackedSequence, batch_first: bool = False, padding_value: float = 0.0, total_length: int | None = None
) -> tuple[Any, Any]:
    """The padded batch (T, B, *), or (B, T, *), of a packed one, and the lengths: undoes `pack_padded_sequence`.

    Raises ShapeError for a `total_length` below the longest.

    >>> packed = mt.nn.utils.rnn.pack_sequence([mt.tensor([1, 2, 3]), mt.tensor([4, 5])])
    >>> mt.nn.utils.rnn.pad_packed_sequence(packed, batch_first=True)
    (tensor([[1, 2, 3],
             [4, 5, 0]]), tensor([3, 2]))
    """
    data, sizes, _, unsorted = sequence
    counts = sizes.array
    longest = counts.size
    if total_length is not None and total_length < longest:
        raise ShapeError(f"pad_packed_sequence: total_length {total_length} is below the longest length {longest}")
    lengths = (counts[:, None] > np.arange(counts[0])[None, :]).sum(0)
    steps, rows, _ = _positions(lengths)
    shape = (longest if total_length is None else total_length, int(counts[0]), *shape_of(data)[1:])
    places = np.full(shape[:2], shape_of(data)[0], np.int64)  # beyond a sequence's end: the row that is put behind
    places[steps, rows] = np.arange(steps.size)
    behind = creation.full((1, *shape[2:]), padding_value, dtype=data.dtype)
    padded = reshape(index_select(cat([data, behind]), 0, wrap(places.ravel())), shape)
    if unsorted is not None:
        padded = index_select(padded, 1, unsorted)
        lengths = lengths[unsorted.array]
    return (transpose(padded, 0, 1) if batch_first else padded), wrap(lengths)


def pad_sequence(
    sequences: Sequence[Any], batch_first: bool = False, padding_value: float = 0.0, padding_side: str = "right"
) -> Any:
    """Sequences (T_i, *) as one tensor (T, B, *), or (B, T, *), filled up with `padding_value`.

    >>> mt.nn.utils.rnn.pad_sequence([mt.tensor([1, 2, 3]), mt.tensor([4])], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    if isinstance(sequences, Core):
        sequences = list(sequences)
    rows = list(sequences)
    if not rows:
        raise ShapeError("pad_sequence: there are no sequences")
    if padding_side not in ("right", "left"):
        raise ShapeError(f"pad_sequence: padding_side must be 'right' or 'left', not {padding_side!r}")
    longest = max(shape_of(x)[0] for x in rows)
    rest = shape_of(rows[0])[1:]
    padded = []
    for x in rows:
        if shape_of(x)[1:] != rest:
            raise ShapeError(f"pad_sequence: sequences of shapes {shape_of(rows[0])} and {shape_of(x)} differ")
        gap = creation.full((longest - shape_of(x)[0], *rest), padding_value, dtype=x.dtype)
        padded.append(cat([x, gap] if padding_side == "right" else [gap, x], 0))
    return stack(padded, 0 if batch_first else 1)


def unpad_sequence(padded_sequences: Any, lengths: Any, batch_first: bool = False) -> list[Any]:
    """The sequences of a padded batch as a list: undoes `pad_sequence`.

    >>> mt.nn.utils.rnn.unpad_sequence(mt.tensor([[1, 2], [4, 0]]), mt.tensor([2, 1]), batch_first=True)
    [tensor([1, 2]), tensor([4])]
    """
    x = padded_sequences if batch_first else transpose(padded_sequences, 0, 1)
    counts = [int(n) for n in lengths]
    if len(counts) != shape_of(x)[0]:
        raise ShapeError(f"unpad_sequence: {len(counts)} lengths for {shape_of(x)[0]} sequences")
    return [row[:n] for row, n in zip(x, counts, strict=True)]


def unpack_sequence(packed_sequences: PackedSequence) -> list[Any]:
    """The sequences of a packed batch as a list: undoes `pack_sequence`.

    >>> utils = mt.nn.utils.rnn
    >>> utils.unpack_sequence(utils.pack_sequence([mt.tensor([1, 2]), mt.tensor([3])]))
    [tensor([1, 2]), tensor([3])]
    """
    return unpad_sequence(*pad_packed_sequence(packed_sequences, batch_first=True), batch_first=True)


def pack_sequence(sequences: Iterable[Any], enforce_sorted: bool = True) -> PackedSequence:
    """Packs sequences (T_i, *); see `pack_padded_sequence`.

    >>> mt.nn.utils.rnn.pack_sequence([mt.tensor([1, 2]), mt.tensor([3])]).data
    tensor([1, 3, 2])
    """
    rows = list(sequences)
    lengths = [shape_of(x)[0] for x in rows]
    return pack_padded_sequence(pad_sequence(rows), lengths, enforce_sorted=enforce_sorted)
