"""The batches of a data set, epoch by epoch.

DataLoader --- BatchSampler --- Sampler      which indices make a batch, in which order
    |
    '--- Dataset --- collate_fn              the samples at these indices, joined into tensors
    |
    '--- worker processes                    or this one
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from ...errors import ShapeError
from ...generator import default_generator
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetch import EndOfData, Fetch, get_worker_info
from .sampler import BatchSampler, RandomSampler, SequentialSampler, count, draw_seed

if TYPE_CHECKING:
    from .processes import Workers

T = TypeVar("T")

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]


class DataLoader(Generic[T]):
    """The batches of a data set, epoch by epoch: `for x, y in loader`.

    `shuffle` takes the samples in a new random order in every epoch; `sampler` or `batch_sampler` give an order, or
    whole batches, of your own. `batch_size=None` gives single samples. A data set that has `__getitems__` is asked for
    a whole batch at once. `generator` is what the order is drawn from; as in PyTorch every epoch also draws from it the
    seed of the workers.

    With `num_workers` > 0 so many processes load the batches, each `prefetch_factor` (2) ahead; the batches come in the
    same order as without. They are started anew for each epoch or, with `persistent_workers`, once; by the start method
    that `multiprocessing_context` names or is, else by Python's default. In each, `random`, NumPy's and minitensor's
    default generators are seeded (minitensor's with base seed + worker), kernels run on one thread, `worker_init_fn`
    is called with the worker's number, and `get_worker_info()` tells who it is. An exception in a worker is raised
    here, with its class and the worker's traceback as its text; a worker that dies, or gives no batch for `timeout`
    seconds, is a RuntimeError. `in_order=False` takes the batches as they are ready. Leaving an epoch early ends its
    workers. `pin_memory` and `pin_memory_device` are taken and change nothing.

    Raises ShapeError (a ValueError) for a batch_size below 1 and for options that exclude each other.

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
        worker_init_fn: Callable[[int], Any] | None = None,
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
        if timeout < 0:
            raise ShapeError(f"DataLoader: timeout must not be negative, but is {timeout}")
        if num_workers == 0 and (prefetch_factor is not None or persistent_workers or multiprocessing_context):
            raise ShapeError(
                "DataLoader: prefetch_factor, persistent_workers and multiprocessing_context are for num_workers > 0"
            )
        if prefetch_factor is not None:
            count("DataLoader: prefetch_factor", prefetch_factor)
        if sampler is not None and shuffle:
            raise ShapeError("DataLoader: a sampler gives the order; it excludes shuffle")
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            raise ShapeError(
                "DataLoader: batch_sampler gives the batches; it excludes batch_size, shuffle, sampler and drop_last"
            )
        if batch_size is None and drop_last:
            raise ShapeError("DataLoader: without batch_size there is no last batch to drop")
        iterable = isinstance(dataset, IterableDataset)
        if iterable and (shuffle or sampler is not None or batch_sampler is not None):
            raise ShapeError("DataLoader: an IterableDataset has its own order")
        if batch_sampler is not None:
            batch_size = None
        elif batch_size is not None:
            batch_size = count("DataLoader: batch_size", batch_size)
        self.dataset = dataset
        self.num_workers = num_workers
        self.prefetch_factor = 2 if num_workers > 0 and prefetch_factor is None else prefetch_factor
        self.pin_memory = pin_memory
        self.pin_memory_device = pin_memory_device
        self.timeout = timeout
        self.worker_init_fn = worker_init_fn
        if multiprocessing_context is not None:
            from .processes import context_of

            multiprocessing_context = context_of(multiprocessing_context)
        self.multiprocessing_context = multiprocessing_context
        self.generator = generator
        self.persistent_workers = persistent_workers
        self.in_order = in_order
        if sampler is None and not iterable:
            sampler = RandomSampler(dataset, generator=generator) if shuffle else SequentialSampler(dataset)
        if batch_sampler is None and batch_size is not None and not iterable:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size = batch_size
        self.drop_last = drop_last
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        batched = batch_sampler is not None or batch_size is not None
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)
        self._fetch = Fetch(dataset, iterable, batched, drop_last, self.collate_fn)
        self._kept: Workers | None = None
        self._made = True

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _FIXED and self.__dict__.get("_made"):
            raise ShapeError(f"DataLoader: {name} is part of how the loader was made; make another loader")
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        if not self._fetch.iterable:
            return len(self.sampler)
        n = len(self.dataset)
        if self.batch_size is None:
            return n
        return n // self.batch_size if self.drop_last else -(-n // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        if self.num_workers == 0:
            return _Here(self)
        from .processes import Workers  # the standard library's processes are a twelfth of the import

        if not self.persistent_workers:
            return Workers(self)
        if self._kept is None or self._kept.closed:
            self._kept = Workers(self)
        else:
            self._kept.begin()
        return self._kept

    def tasks(self) -> Iterator[Any]:
        """What each batch is made from: its indices, its index, or for an iterable data set its size."""
        if self._fetch.iterable:
            return itertools.repeat(self.batch_size)
        return iter(self.sampler if self.batch_sampler is None else self.batch_sampler)


_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class Batches(Iterator[Any]):
    """The batches of one epoch."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._base_seed = draw_seed(loader.generator or default_generator)

    def __len__(self) -> int:
        return len(self._loader)


class _Here(Batches):
    """Made in this process."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        self._tasks = loader.tasks()
        self._fetch = loader._fetch.start()

    def __next__(self) -> Any:
        task = next(self._tasks)
        try:
            return self._fetch(task)
        except EndOfData:
            self._tasks = iter(())
        except StopIteration as error:  # which would end the epoch as if nothing had happened
            raise RuntimeError("DataLoader: the data set or the collate_fn raised StopIteration") from error
        raise StopIteration
