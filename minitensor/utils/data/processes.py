"""The worker processes of a DataLoader, as the process that uses the batches sees them."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import signal
import time
import warnings
import weakref
from typing import Any

from ...errors import ShapeError
from .dataloader import Batches, DataLoader
from .worker import Job, receive, work

_ALL: weakref.WeakSet[Any] = weakref.WeakSet()  # the connections of this process, which a fork must not hold open
PATIENCE = 5.0  # seconds that a worker has to finish the sample it is at, before it is ended


class WorkerError(RuntimeError):
    """A worker process that died, or that gave nothing for as long as `timeout`."""


def context_of(given: Any) -> Any:
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


class Workers(Batches):
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
