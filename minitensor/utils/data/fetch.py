"""How a batch is made from a data set, in whichever process does it, and what that process knows of itself."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .dataset import samples_of

__all__ = ["WorkerInfo", "get_worker_info"]


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker knows of itself: `get_worker_info()` there."""

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker of a DataLoader its `id`, `num_workers`, `seed` and `dataset`; elsewhere None.

    >>> mt.utils.data.get_worker_info() is None
    True
    """
    return _info


def be_worker(info: WorkerInfo) -> None:
    """Makes this process the worker that `info` says."""
    global _info
    _info = info


@dataclass(frozen=True)
class Fetch:
    """How a batch is made: of which data set, whether that gives its own order, and how samples are joined."""

    dataset: Any
    iterable: bool
    batched: bool
    drop_last: bool
    collate: Callable[[Any], Any]

    def start(self) -> Callable[[Any], Any]:
        """The function from a task, which is the index or indices wanted or the size of a batch, to the batch.

        It raises EndOfData when an iterable data set has no more.
        """
        if not self.iterable:
            return self._indexed
        return self._next_batch(iter(self.dataset))

    def _indexed(self, task: Any) -> Any:
        return self.collate(samples_of(self.dataset, task) if self.batched else self.dataset[task])

    def _next_batch(self, rest: Iterator[Any]) -> Callable[[Any], Any]:
        def fetch(size: Any) -> Any:
            lot = list(itertools.islice(rest, size if self.batched else 1))
            if not lot or (self.batched and self.drop_last and len(lot) < size):
                raise EndOfData
            return self.collate(lot if self.batched else lot[0])

        return fetch


class EndOfData(Exception):
    """An iterable data set has no more samples."""
