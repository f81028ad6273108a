"""A data set shared out among several processes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ...errors import ShapeError
from ...generator import Generator
from .sampler import Sampler

__all__ = ["DistributedSampler"]


class DistributedSampler(Sampler[int]):
    """The share of process `rank` among `num_replicas`: every so many-th index of one order, the same for all.

    The order is `randperm` of seed + epoch, or 0, 1, ...; shares are made equal by beginning again from the front or,
    with `drop_last`, by leaving off the end. Call `set_epoch` before each epoch for another order. minitensor has one
    process, so that rank 0 of 1 is the default. Raises ShapeError for a rank that there is not.

    >>> list(mt.utils.data.DistributedSampler(range(5), num_replicas=2, rank=1, shuffle=False))
    [1, 3, 0]
    """

    def __init__(
        self,
        dataset: Any,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        self.dataset = dataset
        self.num_replicas = 1 if num_replicas is None else num_replicas
        self.rank = 0 if rank is None else rank
        if not 0 <= self.rank < self.num_replicas:
            raise ShapeError(f"DistributedSampler: there is no rank {rank} among {self.num_replicas}")
        self.shuffle = shuffle
        self.seed = seed
        self.drop_last = drop_last
        self.epoch = 0
        n = len(dataset)
        short = drop_last and n % self.num_replicas  # so that all shares are equal, the last samples go
        self.num_samples = max(n // self.num_replicas if short else math.ceil(n / self.num_replicas), 0)
        self.total_size = self.num_samples * self.num_replicas

    def __len__(self) -> int:
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        n = len(self.dataset)
        order = range(n)
        if self.shuffle:
            order = Generator().manual_seed(self.seed + self.epoch).randperm(n).tolist()
        return iter([order[i % n] for i in range(self.rank, self.total_size, self.num_replicas)])

    def set_epoch(self, epoch: int) -> None:
        """Sets the epoch, from which with the seed the order is drawn."""
        self.epoch = epoch
