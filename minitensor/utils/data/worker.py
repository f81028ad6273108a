"""The processes that load batches, and how batches come from them.

Each worker has one connection to the process that uses the batches: tasks go one way, results the other. A result is
pickled with the memory of its arrays aside; that goes through a segment of shared memory, which the receiver maps, so
that a large batch is copied once, in the worker. Nothing is locked: a worker that dies takes nothing with it.
"""

from __future__ import annotations

import contextlib
import itertools
import mmap
import multiprocessing
import os
import pickle
import queue
import random
import signal
import socket
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from ... import cpu
from ...random import manual_seed
from .fetch import EndOfData, Fetch, WorkerInfo, be_worker

ALIGN = 64  # of each array in a segment
SMALL = 1 << 16  # bytes up to which a result goes through the connection itself


# --- results on their way ---------------------------------------------------------------------------------------------


def send(conn: Connection, value: Any) -> None:
    """Sends a value, the memory of its arrays by a segment if that is large. What cannot be pickled raises."""
    parts: list[pickle.PickleBuffer] = []
    text = pickle.dumps(value, 5, buffer_callback=parts.append)
    raws = [part.raw() for part in parts]
    places = [0, *itertools.accumulate(-(-raw.nbytes // ALIGN) * ALIGN for raw in raws)]
    if places[-1] < SMALL or not hasattr(os, "memfd_create"):
        _send_whole(conn, pickle.dumps(value, 5) if parts else text)
        return
    segment = os.memfd_create("minitensor")
    try:
        os.ftruncate(segment, places[-1])
        for raw, place in zip(raws, places, strict=False):
            done = 0
            while done < raw.nbytes:
                done += os.pwrite(segment, raw[done:], place + done)
        spans = [(place, raw.nbytes) for raw, place in zip(raws, places, strict=False)]
        _send_whole(conn, pickle.dumps((text, spans), 5), segment)
    finally:
        os.close(segment)


def _send_whole(conn: Connection, text: bytes, segment: int | None = None) -> None:
    conn.send_bytes(b"" if segment is None else b"s")
    conn.send_bytes(text)
    if segment is not None:
        with socket.socket(fileno=os.dup(conn.fileno())) as channel:
            socket.send_fds(channel, [b"s"], [segment])


def receive(conn: Connection) -> Any:
    """What `send` sent. Arrays of a large result lie in its segment, which lives as long as they do."""
    in_segment = conn.recv_bytes() == b"s"
    text = conn.recv_bytes()
    if not in_segment:
        return pickle.loads(text)
    with socket.socket(fileno=os.dup(conn.fileno())) as channel:
        _, (segment,), _, _ = socket.recv_fds(channel, 1, 1)
    text, spans = pickle.loads(text)
    try:
        flags = mmap.MAP_SHARED | getattr(mmap, "MAP_POPULATE", 0)
        memory = memoryview(mmap.mmap(segment, 0, flags=flags))
    finally:
        os.close(segment)
    return pickle.loads(text, buffers=[memory[place : place + size] for place, size in spans])


# --- in a worker ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Job:
    """What a worker is told when it starts."""

    fetch: Fetch
    id: int
    num_workers: int
    base_seed: int
    init: Callable[[int], Any] | None
    parent: int | None  # the process to stop without, where it is the worker's own parent


class Failure:
    """An exception on its way: its class and its traceback as text."""

    def __init__(self, error: BaseException, worker: int) -> None:
        cls: Any = type(error)
        text = "".join(traceback.format_exception(error))
        self.text = f"{cls.__name__} in DataLoader worker process {worker}, which says:\n\n{text}"
        try:
            pickle.loads(pickle.dumps(cls))
        except Exception:  # a class of a function's own, say
            cls = RuntimeError
        self.cls = RuntimeError if issubclass(cls, StopIteration) else cls  # that would end the epoch, unseen

    def raise_here(self) -> None:
        """Raises the exception; one whose class wants other arguments than a text becomes a RuntimeError."""
        try:
            error = self.cls(_Text(self.text))
        except Exception:
            error = RuntimeError(self.text)
        raise error


class _Text(str):
    """A text that a KeyError, which shows its argument's repr, shows as it is."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class _Tasks:
    """The tasks of a worker, read by a thread: whoever sends them never waits for a worker that is busy."""

    def __init__(self, conn: Connection, parent: int | None) -> None:
        self._conn, self._parent = conn, parent
        self._waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.epoch = 0  # the latest that was announced: tasks of another are void
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                while not self._conn.poll(2):
                    if self._orphaned():
                        os._exit(1)
                task = self._conn.recv()
                self.epoch = task[0]
                self._waiting.put(task)
        self._waiting.put(None)

    def _orphaned(self) -> bool:
        above = multiprocessing.parent_process()
        gone = self._parent is not None and os.getppid() != self._parent
        return gone or (above is not None and not above.is_alive())

    def get(self) -> Any:
        """The next task, or None if no more will come."""
        return self._waiting.get()


def work(conn: Connection, not_ours: list[Connection], job: Job) -> None:
    """A worker's life: (epoch, number, task) in, (epoch, number, kind, value) out."""
    for other in not_ours:
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that uses the batches decides
    cpu.set_num_threads(1)
    seed = job.base_seed + job.id
    random.seed(seed)
    manual_seed(seed)
    low, high = job.base_seed & 0xFFFFFFFF, job.base_seed >> 32
    np.random.seed(np.random.SeedSequence([job.id, low, high]).generate_state(4))  # noqa: NPY002 - users' own
    be_worker(WorkerInfo(job.id, job.num_workers, seed, job.fetch.dataset))
    tasks = _Tasks(conn, job.parent)
    run = _Run(job)
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # nobody wants the batches any more
        while (item := tasks.get()) is not None:
            epoch, number, task = item
            if epoch != tasks.epoch or number is None:
                continue
            result = run(epoch, task)
            try:
                send(conn, (epoch, number, *result))
            except (BrokenPipeError, ConnectionResetError):
                raise
            except Exception as error:  # the batch cannot be pickled
                send(conn, (epoch, number, "failure", Failure(error, job.id)))
            del result


class _Run:
    """A worker's batches, epoch by epoch."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._epoch = 0
        self._fetch: Callable[[Any], Any] | None = None
        self._failed: Failure | None = None
        try:
            if job.init is not None:
                job.init(job.id)
        except Exception as error:
            self._failed = Failure(error, job.id)

    def __call__(self, epoch: int, task: Any) -> tuple[str, Any]:
        """("batch", the batch), ("end", None) or ("failure", a Failure)."""
        if self._failed is not None:
            return "failure", self._failed
        try:
            if self._fetch is None or epoch != self._epoch:
                self._fetch, self._epoch = self._job.fetch.start(), epoch
            return "batch", self._fetch(task)
        except EndOfData:
            return "end", None
        except Exception as error:
            return "failure", Failure(error, self._job.id)
