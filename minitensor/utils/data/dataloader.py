"""The batches of a data set, epoch by epoch.

DataLoader --- BatchSampler --- Sampler      which indices make a batch, in which order
    |
    '--- Dataset --- collate_fn              the samples at these indices, joined into tensors
    |
    '--- worker processes                    or this one
"""

from __future__ import annotations

import itertools
import multiprocessing
import multiprocessing.connection
import os
import signal
import time
import warnings
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from ...errors import ShapeError
from ...generator import default_generator
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .sampler import BatchSampler, RandomSampler, SequentialSampler, count, draw_seed
from .worker import EndOfData, Fetch, Job, get_worker_info, receive, work

T = TypeVar("T")

__all__ = ["DataLoader", "default_collate", "default_convert", "get_worker_info"]

_ALL: weakref.WeakSet[Any] = weakref.WeakSet()  # the connections of this process, which a fork must not hold open
PATIENCE = 5.0  # seconds that a worker has to finish the sample it is at, before it is ended


class WorkerError(RuntimeError):
    """A worker process that died, or that gave nothing for as long as `timeout`."""


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
        self.multiprocessing_context = _context(multiprocessing_context)
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
        self._kept: _Workers | None = None
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
        if not self.persistent_workers:
            return _Workers(self)
        if self._kept is None or self._kept.closed:
            self._kept = _Workers(self)
        else:
            self._kept.begin()
        return self._kept

    def tasks(self) -> Iterator[Any]:
        """What each batch is made from: its indices, its index, or for an iterable data set its size."""
        if self._fetch.iterable:
            return itertools.repeat(self.batch_size)
        return iter(self.sampler if self.batch_sampler is None else self.batch_sampler)


_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


def _context(given: Any) -> Any:
    """The multiprocessing context of that name, or that context, or None."""
    if isinstance(given, str):
        if given not in multiprocessing.get_all_start_methods():
            raise ShapeError(
                f"DataLoader: multiprocessing_context {given!r} is not one of "
                f"{', '.join(multiprocessing.get_all_start_methods())}"
            )
        return multiprocessing.get_context(given)
    if given is not None and not isinstance(given, multiprocessing.context.BaseContext):
        raise TypeError(f"DataLoader: multiprocessing_context must be a name or a context, not {given!r}")
    return given


class _Batches(Iterator[Any]):
    """The batches of one epoch."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._loader = loader
        self._base_seed = draw_seed(loader.generator or default_generator)

    def __len__(self) -> int:
        return len(self._loader)


class _Here(_Batches):
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


class _Workers(_Batches):
    """Made by worker processes, `prefetch_factor` tasks ahead in each.

    Tasks are numbered and dealt out in turn; each worker answers in the order of its tasks, so the next batch is the
    next answer of the worker that has its number. An epoch left early leaves answers behind, which bear its number.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        context = loader.multiprocessing_context or multiprocessing.get_context()
        method = context.get_start_method()
        self._processes: list[Any] = []
        self._conns: list[Any] = []
        self._end = weakref.finalize(self, _end, self._processes, self._conns, os.getpid())
        for i in range(loader.num_workers):
            mine, its = context.Pipe()
            self._conns.append(mine)
            _ALL.add(mine)
            others = list(_ALL) if method == "fork" else []
            parent = None if method == "forkserver" else os.getpid()
            job = Job(loader._fetch, i, loader.num_workers, self._base_seed, loader.worker_init_fn, parent)
            process = context.Process(target=work, args=(its, others, job), daemon=True, name=f"DataLoader worker {i}")
            try:
                with warnings.catch_warnings():  # threads and locks of the library's own stand a fork
                    warnings.filterwarnings("ignore", r".*multi-threaded, use of fork", DeprecationWarning)
                    process.start()
            except BaseException:  # the data set cannot be pickled, say
                its.close()
                self.close()
                raise
            self._processes.append(process)
            its.close()
        self._epoch = 0
        self.begin()

    @property
    def closed(self) -> bool:
        """Whether the workers are gone."""
        return not self._end.alive

    def close(self) -> None:
        """Ends the workers."""
        self._end()

    def begin(self) -> None:
        """Begins an epoch."""
        self._epoch += 1
        self._tasks = self._loader.tasks()
        self._next = self._sent = 0
        self._owner: dict[int, int] = {}  # of each task under way, the worker
        self._open = set(range(len(self._processes)))  # workers whose data has not ended
        self._turn = 0
        self._given = 0
        for conn in self._conns:
            self._tell(conn, None, None)
        for _ in range((self._loader.prefetch_factor or 1) * len(self._processes)):
            self._deal()

    def _tell(self, conn: Any, number: int | None, task: Any) -> None:
        try:
            conn.send((self._epoch, number, task))
        except (BrokenPipeError, ConnectionResetError):
            pass  # a dead worker is found when its answer is waited for

    def _deal(self, worker: int | None = None) -> None:
        """Gives out the next task, to the worker whose turn it is."""
        if not self._open:
            return
        try:
            task = next(self._tasks)
        except StopIteration:
            self._tasks = iter(())
            return
        if worker is None or worker not in self._open:
            n = len(self._processes)
            worker = next(i % n for i in range(self._turn, self._turn + n) if i % n in self._open)
            self._turn = worker + 1
        self._owner[self._sent] = worker
        self._tell(self._conns[worker], self._sent, task)
        self._sent += 1

    def __next__(self) -> Any:
        try:
            worker, kind, value = self._answer()
        except StopIteration:
            if not self._loader.persistent_workers:
                self.close()
            raise
        except BaseException:  # a connection left amid a message is of no use
            self.close()
            raise
        self._deal(None if self._loader.in_order else worker)
        if kind == "failure":
            value.raise_here()
        self._given += 1
        return value

    def _answer(self) -> tuple[int, str, Any]:
        """The next batch, or failure, and the worker that it is from. Raises StopIteration at the epoch's end."""
        while self._owner and not self.closed:
            if self._loader.in_order:
                while self._next not in self._owner:
                    self._next += 1
                waited = [self._owner[self._next]]
            else:
                waited = sorted(set(self._owner.values()))
            worker = self._wait(waited)
            try:
                epoch, number, kind, value = receive(self._conns[worker])
            except (EOFError, ConnectionResetError):
                raise self._death(worker) from None
            if epoch != self._epoch:
                continue
            del self._owner[number]
            if kind != "end":
                return worker, kind, value
            self._open.discard(worker)
            self._owner = {k: w for k, w in self._owner.items() if w != worker}
            self._deal()
        raise StopIteration

    def _wait(self, workers: list[int]) -> int:
        """The first of some workers to have an answer, or to be dead."""
        ends = {self._conns[w]: w for w in workers} | {self._processes[w].sentinel: w for w in workers}
        timeout = self._loader.timeout or None
        ready = multiprocessing.connection.wait(list(ends), timeout)
        if not ready:
            raise WorkerError(f"DataLoader: no batch from the workers {workers} for {timeout:g} seconds")
        for end in ready:  # an answer before a death: a worker may have died after it
            if end in self._conns:
                return ends[end]
        worker = ends[ready[0]]
        if not self._conns[worker].poll(0):
            raise self._death(worker)
        return worker

    def _death(self, worker: int) -> WorkerError:
        process = self._processes[worker]
        process.join(PATIENCE)
        code = process.exitcode
        try:
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with code {code}"
        except (TypeError, ValueError):
            how = "is gone"
        return WorkerError(f"DataLoader worker {worker} (pid {process.pid}) {how} before it gave its batch")


def _end(processes: list[Any], conns: list[Any], owner: int) -> None:
    """Ends the workers: those that do not stop by themselves are terminated, and killed if they will not have it."""
    if os.getpid() != owner:
        return
    for conn in conns:
        conn.close()
    deadline = time.monotonic() + PATIENCE
    for stop in (None, "terminate", "kill"):
        for process in processes:
            if stop is not None and process.is_alive():
                getattr(process, stop)()
        for process in processes:
            process.join(max(deadline - time.monotonic(), 1.0 if stop else 0.0))
        if not any(process.is_alive() for process in processes):
            break
