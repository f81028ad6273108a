"""The order in which the samples of a data set are taken; PyTorch's to the last index, for the same seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from ...errors import ShapeError
from ...generator import Generator, default_generator
from ...ops.common import raw

T = TypeVar("T")

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


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


def count(name: str, value: Any) -> int:
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
        count("RandomSampler: the number of samples", self.num_samples)

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
            g = Generator().manual_seed(draw_seed(default_generator))
        if self.replacement:
            for start in range(0, self.num_samples, 32):
                yield from g.randint(0, n, min(32, self.num_samples - start)).tolist()
            return
        for _ in range(self.num_samples // n):
            yield from g.randperm(n).tolist()
        yield from g.randperm(n).tolist()[: self.num_samples % n]  # drawn even if nothing is left


def draw_seed(g: Any) -> int:
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
        self.num_samples = count("WeightedRandomSampler: num_samples", num_samples)
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
        self.batch_size = count("BatchSampler: batch_size", batch_size)
        self.drop_last = drop_last

    def __len__(self) -> int:
        n = len(self.sampler)  # type: ignore[arg-type]
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[list[int]]:
        return lots(self.sampler, self.batch_size, self.drop_last)


def lots(items: Iterable[Any], size: int, drop_last: bool) -> Iterator[list[Any]]:
    """Lists of `size` items each."""
    rest = iter(items)
    while lot := list(islice(rest, size)):
        if len(lot) == size or not drop_last:
            yield lot
