"""Data sets, the order in which their samples are taken, and the batches made of them.

    DataLoader --- BatchSampler --- Sampler      which indices make a batch, in which order
        |
        '--- Dataset --- collate_fn              the samples at these indices, joined into tensors

The orders are PyTorch's to the last index, for the same seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from .. import creation, dtypes
from ..errors import DtypeError, ShapeError
from ..generator import Generator, default_generator
from ..graph import Tensor as Core
from ..ops.common import raw
from ..ops.shape import stack

T = TypeVar("T")

__all__ = [
    "Batch",
    "BatchSampler",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "default_collate",
    "random_split",
]


# --- data sets ------------------------------------------------------------------------------------


class Dataset(Generic[T]):
    """What has samples under the indices 0, 1, ...: a subclass defines `__getitem__` and `__len__`.

    It may define `__getitems__(indices)`, all samples of a batch in one call.
    """

    def __getitem__(self, index: Any) -> T:
        raise NotImplementedError(f"{type(self).__name__} has no __getitem__")


class IterableDataset(Dataset[T]):
    """What gives its samples only in its own order: a subclass defines `__iter__`."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")


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
        return _samples(self.dataset, [self.indices[i] for i in indices])


def _samples(dataset: Any, indices: Sequence[int]) -> Any:
    """Several samples of a data set, in one call if it can do that."""
    many = getattr(dataset, "__getitems__", None)
    return [dataset[i] for i in indices] if many is None else many(indices)


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


# --- orders ---------------------------------------------------------------------------------------


class Sampler(Generic[T]):
    """What gives the indices of samples in some order: a subclass defines `__iter__`."""

    def __init__(self, data_source: Any = None) -> None:
        """Takes the data set for the sake of subclasses that pass it on."""

    def __iter__(self) -> Iterator[T]:
        raise NotImplementedError(f"{type(self).__name__} has no __iter__")


class SequentialSampler(Sampler[int]):
    """0, 1, 2, ...

    >>> list(mt.utils.data.SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Any) -> None:
        self.data_source = data_source

    def __len__(self) -> int:
        return len(self.data_source)

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))


def _count(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value <= 0:
        raise ShapeError(f"{name} must be a positive integer, not {value!r}")
    return int(value)


class RandomSampler(Sampler[int]):
    """All indices in a random order, or `num_samples` of them, each drawn from all.

    Without `replacement` more than all come in one random order after the other. Raises ShapeError
    for an empty data set.

    >>> _ = mt.manual_seed(0)
    >>> list(mt.utils.data.RandomSampler("abcde"))
    [1, 3, 4, 2, 0]
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Any = None,
    ) -> None:
        self.data_source = data_source
        self.replacement = replacement
        self._num_samples = num_samples
        self.generator = generator
        _count("RandomSampler: the number of samples", self.num_samples)

    @property
    def num_samples(self) -> int:
        """How many indices an epoch has."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        n = len(self.data_source)
        g = self.generator
        if g is None:
            g = Generator().manual_seed(_seed(default_generator))
        if self.replacement:
            for start in range(0, self.num_samples, 32):
                yield from g.randint(0, n, min(32, self.num_samples - start)).tolist()
            return
        for _ in range(self.num_samples // n):
            yield from g.randperm(n).tolist()
        yield from g.randperm(n).tolist()[: self.num_samples % n]  # drawn even if nothing is left


def _seed(g: Any) -> int:
    """A seed drawn from a generator: r64 mod 2^63."""
    return int(g.random_((), np.int64))


class SubsetRandomSampler(Sampler[int]):
    """Given indices in a random order.

    >>> sorted(mt.utils.data.SubsetRandomSampler([7, 8, 9]))
    [7, 8, 9]
    """

    def __init__(self, indices: Sequence[int], generator: Any = None) -> None:
        self.indices = indices
        self.generator = generator

    def __len__(self) -> int:
        return len(self.indices)

    def __iter__(self) -> Iterator[int]:
        g = self.generator or default_generator
        for i in g.randperm(len(self.indices)).tolist():
            yield self.indices[i]


class WeightedRandomSampler(Sampler[int]):
    """`num_samples` indices, each drawn in proportion to its weight.

    >>> list(mt.utils.data.WeightedRandomSampler([0.0, 1.0], 3))
    [1, 1, 1]
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: Any = None,
    ) -> None:
        self.weights = np.asarray(raw(weights), np.float64)
        self.num_samples = _count("WeightedRandomSampler: num_samples", num_samples)
        self.replacement = replacement
        self.generator = generator

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        g = self.generator or default_generator
        yield from g.multinomial(self.weights, self.num_samples, self.replacement).tolist()


class BatchSampler(Sampler[list[int]]):
    """The indices of another sampler in lists of `batch_size`; the last may be shorter, or dropped.

    >>> list(mt.utils.data.BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        self.sampler = sampler
        self.batch_size = _count("BatchSampler: batch_size", batch_size)
        self.drop_last = drop_last

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        return _lots(self.sampler, self.batch_size, self.drop_last)


def _lots(items: Iterable[Any], size: int, drop_last: bool) -> Iterator[list[Any]]:
    """Lists of `size` items each."""
    rest = iter(items)
    while lot := list(islice(rest, size)):
        if len(lot) == size or not drop_last:
            yield lot


# --- batches --------------------------------------------------------------------------------------


def default_collate(batch: Any) -> Any:
    """Samples joined into a batch: tensors stacked, numbers as a tensor, strings as they are.

    Tuples, lists and dicts are joined part by part (a tuple becomes a list; a named tuple stays
    one). Floats become float64, ints int64. Raises ShapeError for samples of different sizes, and
    DtypeError for what cannot be joined.

    >>> mt.utils.data.default_collate([(mt.zeros(2), 3, "a"), (mt.ones(2), 4, "b")])
    [tensor([[0., 0.],
            [1., 1.]]), tensor([3, 4]), ('a', 'b')]
    """
    if isinstance(batch, Batch):
        return batch.parts
    first = batch[0]
    if isinstance(first, Core):
        try:
            return stack(batch)
        except ValueError as error:
            raise ShapeError(f"default_collate: the samples differ: {error}") from None
    if isinstance(first, (np.ndarray, np.generic)):
        return default_collate([creation.as_tensor(np.asarray(x)) for x in batch])
    if isinstance(first, (bool, int)):
        return creation.tensor(list(batch))
    if isinstance(first, float):
        return creation.tensor(list(batch), dtype=dtypes.float64)
    if isinstance(first, (str, bytes)):
        return batch
    if isinstance(first, Mapping):
        return {key: default_collate([sample[key] for sample in batch]) for key in first}
    if isinstance(first, (tuple, list)):
        if len({len(sample) for sample in batch}) > 1:
            sizes = sorted({len(sample) for sample in batch})
            raise ShapeError(f"default_collate: the samples have different numbers of parts: {sizes}")
        parts = [default_collate(part) for part in zip(*batch, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else parts
    raise DtypeError(f"default_collate: cannot join samples of type {type(first).__name__}")


def _alone(sample: Any) -> Any:
    """One sample as it is, with arrays as tensors."""
    if isinstance(sample, np.ndarray):
        return creation.as_tensor(sample)
    if isinstance(sample, tuple) and not hasattr(sample, "_fields"):
        return [_alone(part) for part in sample]
    return sample


class DataLoader(Generic[T]):
    """The batches of a data set, epoch by epoch: `for x, y in loader`.

    `shuffle` takes the samples in a new random order in every epoch; `sampler` or `batch_sampler`
    give an order, or whole batches, of your own. `batch_size=None` gives single samples. A data set
    that has `__getitems__` is asked for a whole batch at once. `generator` is what the order is
    drawn from; as in PyTorch every epoch also draws a seed from it that nothing uses here.
    `num_workers`, `pin_memory` and what belongs to them are taken and change nothing: the samples
    are read in the calling process.
    Raises ShapeError for a batch_size below 1 and for options that exclude each other.

    >>> data = mt.utils.data.TensorDataset(mt.zeros(5, 2), mt.arange(5))
    >>> for x, y in mt.utils.data.DataLoader(data, batch_size=2):
    ...     print(x.shape, y)
    minitensor.Size([2, 2]) tensor([0, 1])
    minitensor.Size([2, 2]) tensor([2, 3])
    minitensor.Size([1, 2]) tensor([4])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Any = None,
        batch_sampler: Any = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Any = None,
        multiprocessing_context: Any = None,
        generator: Any = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        if num_workers < 0:
            raise ShapeError(f"DataLoader: num_workers must not be negative, but is {num_workers}")
        if sampler is not None and shuffle:
            raise ShapeError("DataLoader: a sampler gives the order; it excludes shuffle")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ShapeError(
                "DataLoader: batch_sampler gives the batches; it excludes batch_size, shuffle, sampler and drop_last"
            )
        if batch_size is None and drop_last:
            raise ShapeError("DataLoader: without batch_size there is no last batch to drop")
        self._iterable = isinstance(dataset, IterableDataset)
        if self._iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ShapeError("DataLoader: an IterableDataset has its own order")
        if batch_size is not None:
            batch_size = _count("DataLoader: batch_size", batch_size)
        self.dataset = dataset
        self.batch_size = None if batch_sampler is not None else batch_size
        self.num_workers = num_workers
        self.pin_memory = pin_memory
        self.drop_last = drop_last
        self.generator = generator
        if sampler is None and not self._iterable:
            draws = RandomSampler(dataset, generator=generator) if shuffle else None
            sampler = draws or SequentialSampler(dataset)
        self.sampler = sampler
        if batch_sampler is None and batch_size is not None and not self._iterable:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_sampler = batch_sampler
        single = self.batch_size is None and batch_sampler is None
        self.collate_fn = collate_fn or (_alone if single else default_collate)

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        if not self._iterable:
            return len(self.sampler)
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        _seed(self.generator or default_generator)  # PyTorch's, for its workers
        return self._batches()

    def _batches(self) -> Iterator[Any]:
        if self.batch_sampler is not None:
            for indices in self.batch_sampler:
                yield self.collate_fn(_samples(self.dataset, indices))
        elif not self._iterable:
            for index in self.sampler:
                yield self.collate_fn(self.dataset[index])
        elif self.batch_size is None:
            for sample in self.dataset:
                yield self.collate_fn(sample)
        else:
            for samples in _lots(self.dataset, self.batch_size, self.drop_last):
                yield self.collate_fn(samples)
