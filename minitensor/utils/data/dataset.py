"""Data sets: what has samples, under numbers or in an order of its own; and data sets made of others."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from ...errors import IndexRangeError, ShapeError
from ...generator import default_generator

T = TypeVar("T")

__all__ = [
    "Batch",
    "ChainDataset",
    "ConcatDataset",
    "Dataset",
    "IterableDataset",
    "StackDataset",
    "Subset",
    "TensorDataset",
    "random_split",
]


class Dataset(Generic[T]):
    """What has samples under the indices 0, 1, ...: a subclass defines `__getitem__` and `__len__`.

    It may define `__getitems__(indices)`, all samples of a batch in one call. `a + b` is a `ConcatDataset`.
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")

    def __add__(self, other: Any) -> Any:
        return ConcatDataset([self, other])


class IterableDataset(Dataset[T]):
    """What gives its samples only in its own order: a subclass defines `__iter__`.

    Every worker of a `DataLoader` goes through all of it, unless `__iter__` takes its share by `get_worker_info()`.
    `a + b` is a `ChainDataset`.
    """

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")

    def __add__(self, other: Any) -> Any:
        return ChainDataset([self, other])


class Batch(Sequence[Any]):
    """The samples at several indices, kept as one tensor for each of their parts.

    As a sequence it holds the samples, tuples; `default_collate` takes the tensors as they are.

    >>> batch = mt.utils.data.Batch([mt.zeros(3, 2), mt.arange(3)])
    >>> len(batch), batch[1]
    (3, (tensor([0., 0.]), tensor(1)))
    """

    def __init__(self, parts: Sequence[Any]) -> None:
        self.parts = list(parts)

    def __len__(self) -> int:
        return len(self.parts[0])

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return Batch([part[index] for part in self.parts])
        return tuple([part[index] for part in self.parts])


class TensorDataset(Dataset[tuple[Any, ...]]):
    """Tensors of the same first size: sample i has row i of each.

    Raises ShapeError if the first sizes differ.

    >>> data = mt.utils.data.TensorDataset(mt.zeros(4, 2), mt.arange(4))
    >>> data[3]
    (tensor([0., 0.]), tensor(3))
    """

    def __init__(self, *tensors: Any) -> None:
        if not tensors or len({len(t) for t in tensors}) > 1:
            sizes = [len(t) for t in tensors]
            raise ShapeError(f"TensorDataset: the first sizes of the tensors differ: {sizes}")
        self.tensors = tensors

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, index: Any) -> tuple[Any, ...]:
        return tuple([t[index] for t in self.tensors])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """The samples at these indices, by one indexing of each tensor."""
        rows = np.asarray(indices, np.int64)
        return Batch([t[rows] for t in self.tensors])


class StackDataset(Dataset[Any]):
    """Data sets side by side: a sample is the tuple, or for keywords the dict, of theirs.

    Raises ShapeError if their lengths differ.

    >>> data = mt.utils.data.StackDataset(image="ab", label=[0, 1])
    >>> data[1]
    {'image': 'b', 'label': 1}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            raise ShapeError("StackDataset: give the data sets either one by one or by keywords, and at least one")
        self.datasets: Any = args or kwargs
        sizes = [len(part) for part in (args or kwargs.values())]
        if len(set(sizes)) > 1:
            raise ShapeError(f"StackDataset: the lengths of the data sets differ: {sizes}")
        self._length = sizes[0]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: part[index] for name, part in self.datasets.items()}
        return tuple([part[index] for part in self.datasets])

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        """The samples at these indices, asking each data set once if it can do that."""
        if isinstance(self.datasets, dict):
            columns = [samples_of(part, indices) for part in self.datasets.values()]
            return [dict(zip(self.datasets, row, strict=True)) for row in zip(*columns, strict=True)]
        return list(zip(*[samples_of(part, indices) for part in self.datasets], strict=True))


class ConcatDataset(Dataset[T]):
    """Data sets one after the other. Raises ShapeError for none, and for an IterableDataset.

    >>> data = mt.utils.data.ConcatDataset(["ab", "cde"])
    >>> len(data), data[3], data[-1]
    (5, 'd', 'e')
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise ShapeError("ConcatDataset: there is no data set to join")
        if any(isinstance(part, IterableDataset) for part in self.datasets):
            raise ShapeError("ConcatDataset: an IterableDataset has no indices; use ChainDataset")
        self.cumulative_sizes = list(itertools.accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: Any) -> Any:
        n = len(self)
        if not -n <= index < n:
            raise IndexRangeError(f"ConcatDataset: index {index} is out of range for {n} samples")
        index %= n
        k = bisect.bisect_right(self.cumulative_sizes, index)
        return self.datasets[k][index - (self.cumulative_sizes[k - 1] if k else 0)]


class ChainDataset(IterableDataset[T]):
    """Iterable data sets one after the other.

    >>> list(mt.utils.data.ChainDataset(["ab", "cde"]))
    ['a', 'b', 'c', 'd', 'e']
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = datasets

    def __iter__(self) -> Iterator[Any]:
        return itertools.chain.from_iterable(self.datasets)

    def __len__(self) -> int:
        return sum(len(part) for part in self.datasets)


class Subset(Dataset[T]):
    """The samples of another data set at some indices.

    >>> part = mt.utils.data.Subset(["a", "b", "c"], [2, 0])
    >>> part[0], len(part)
    ('c', 2)
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset = dataset
        self.indices = indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[i] for i in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> Any:
        """The samples at these indices, in one call if the data set can do it."""
        return samples_of(self.dataset, [self.indices[i] for i in indices])


def samples_of(dataset: Any, indices: Sequence[int]) -> Any:
    """Several samples of a data set, in one call if it can do that."""
    many = getattr(dataset, "__getitems__", None)
    if many is None:
        return [dataset[i] for i in indices]
    samples = many(indices)
    if len(samples) != len(indices):
        raise ShapeError(
            f"{type(dataset).__name__}.__getitems__ was asked for {len(indices)} samples and gave {len(samples)}"
        )
    return samples


def random_split(dataset: Any, lengths: Sequence[float], generator: Any = None) -> list[Subset[Any]]:
    """Cuts a data set, in a random order, into parts of these lengths, or of these fractions.

    Fractions sum to 1; what is left over when they are rounded down goes to the first parts, one
    each. Raises ShapeError if the lengths do not sum to that of the data set.

    >>> train, test = mt.utils.data.random_split(range(10), [0.75, 0.25])
    >>> len(train), len(test)
    (8, 2)
    """
    n = len(dataset)
    sizes = [int(x) for x in lengths]
    if math.isclose(sum(lengths), 1) and sum(lengths) <= 1:
        if any(not 0 <= share <= 1 for share in lengths):
            raise ShapeError(f"random_split: a fraction of {list(lengths)} is outside [0, 1]")
        sizes = [math.floor(n * share) for share in lengths]
        for i in range(n - sum(sizes)):
            sizes[i % len(sizes)] += 1
    if sum(sizes) != n or min(sizes, default=0) < 0:
        raise ShapeError(f"random_split: the lengths {list(lengths)} do not sum to {n}")
    order = (generator or default_generator).randperm(n).tolist()
    ends = np.cumsum(sizes).tolist()
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]
