"""DataLoader's worker processes: the same batches by every start method, errors, deaths, interruptions."""

from __future__ import annotations

import gc
import itertools
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import ShapeError
from minitensor.utils.data import ChainDataset, ConcatDataset, DataLoader, Dataset, IterableDataset, get_worker_info

METHODS = multiprocessing.get_all_start_methods()


class Rows(Dataset):
    """Row i is full of i; with a matrix product, so that the kernels' threads are needed in the worker."""

    def __init__(self, n, width=8):
        self.n, self.width = n, width

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        a = mt.ones(200, 200)
        assert (a @ a)[0, 0].item() == 200
        return mt.full((self.width,), float(i)), {"index": i, "name": str(i)}


class Shared(IterableDataset):
    """0 .. n-1, shared out among the workers."""

    def __init__(self, n):
        self.n = n

    def __iter__(self):
        info = get_worker_info()
        first, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(first, self.n, step))


class Own(IndexError):
    """An exception with an argument too many for a plain text."""

    def __init__(self, a, b):
        super().__init__(a, b)


class Does(Dataset):
    """Whose sample number 3 is what a function gives."""

    def __init__(self, function, n=8):
        self.function, self.n = function, n

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        return self.function() if i == 3 else i


def fail(error):
    raise error


@pytest.mark.parametrize("method", METHODS)
def test_the_same_batches_by_every_start_method(method):
    mt.ones(300, 300) @ mt.ones(300, 300)  # threads and locks exist before the fork
    mt.manual_seed(5)
    want = [(x.tolist(), y) for x, y in DataLoader(Rows(11), batch_size=3, shuffle=True)]
    mt.manual_seed(5)
    loader = DataLoader(Rows(11), batch_size=3, shuffle=True, num_workers=2, multiprocessing_context=method)
    have = [(x.tolist(), y) for x, y in loader]
    assert len(have) == len(iter(loader)) == 4
    for (x, y), (u, v) in zip(have, want, strict=True):
        assert x == u
        assert y["name"] == v["name"]
        assert y["index"].tolist() == v["index"].tolist()


def test_a_context_is_taken():
    context = multiprocessing.get_context(METHODS[0])
    assert [b.item() for b in DataLoader(range(3), num_workers=1, multiprocessing_context=context)] == [0, 1, 2]


def test_order_is_kept_though_workers_differ():
    class Slow(Dataset):
        def __len__(self):
            return 12

        def __getitem__(self, i):
            time.sleep(0.03 if i % 3 == 0 else 0)
            return i

    assert [b.item() for b in DataLoader(Slow(), num_workers=3, multiprocessing_context="fork")] == list(range(12))
    quick = DataLoader(Slow(), num_workers=3, in_order=False, multiprocessing_context="fork")
    assert sorted(b.item() for b in quick) == list(range(12))


def test_iterable_data_sets_are_shared_by_worker_info():
    assert get_worker_info() is None
    for n in (0, 1, 5, 11):
        for workers in (1, 2, 3):
            loader = DataLoader(Shared(n), batch_size=2, num_workers=workers)
            assert sorted(i for b in loader for i in b.tolist()) == list(range(n))
    # Batches in turn; a worker whose data has ended is passed over, as in PyTorch.
    loader = DataLoader(Shared(7), batch_size=2, num_workers=2)
    assert [b.tolist() for b in loader] == [[0, 2], [1, 3], [4, 6], [5]]
    loader = DataLoader(Shared(7), batch_size=2, num_workers=2, drop_last=True)
    assert [b.tolist() for b in loader] == [[0, 2], [1, 3], [4, 6]]
    assert [b for b in DataLoader(Shared(5), batch_size=None, num_workers=2)] == [0, 1, 2, 3, 4]
    chain = DataLoader(Shared(2) + Shared(3), batch_size=None)
    assert isinstance(chain.dataset, ChainDataset)
    assert list(chain) == [0, 1, 0, 1, 2]


class Drawn(Dataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        info = get_worker_info()
        draws = mt.rand(1).item(), random.random(), np.random.rand()  # noqa: NPY002
        return info.id, info.seed, info.num_workers, mt.initial_seed(), *draws


def test_every_worker_has_its_seed():
    """As in PyTorch 2.13: base seed + worker for its own generator and random's; NumPy's from both."""
    mt.manual_seed(1)
    base = int(mt.generator.default_generator.random_((), np.int64))
    mt.manual_seed(1)
    loader = DataLoader(Drawn(), batch_size=None, num_workers=2)
    samples = list(loader)
    assert [s[:4] for s in samples] == [[i % 2, base + i % 2, 2, base + i % 2] for i in range(4)]
    for i in (0, 1):
        random.seed(base + i)
        assert samples[i][5] == random.random()
        words = np.random.SeedSequence([i, base & 0xFFFFFFFF, base >> 32]).generate_state(4)
        assert samples[i][6] == np.random.RandomState(words).rand()
        assert samples[i][4] == mt.rand(1, generator=mt.Generator().manual_seed(base + i)).item()
    assert [s[:2] for s in loader] != [s[:2] for s in samples]  # another epoch, another seed


def test_persistent_workers_stay():
    loader = DataLoader(Pids(), num_workers=2, persistent_workers=True)
    first, second = (sorted({b.item() for b in loader}) for _ in range(2))
    assert first == second
    for _, batch in zip(range(1), loader, strict=False):  # an epoch left early
        assert batch.item() in first
    assert sorted({b.item() for b in loader}) == first
    assert len(list(loader)) == 6
    loader = DataLoader(Pids(), num_workers=2)
    assert {b.item() for b in loader}.isdisjoint({b.item() for b in loader})
    loader = DataLoader(Shared(5), num_workers=2, persistent_workers=True)
    assert [[b.item() for b in loader] for _ in range(2)] == [[0, 1, 2, 3, 4]] * 2


class Pids(Dataset):
    def __len__(self):
        return 6

    def __getitem__(self, i):
        return os.getpid()


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_an_error_keeps_its_class_and_brings_its_traceback(method):
    loader = DataLoader(Does(Raise(KeyError("a\nb"))), num_workers=2, multiprocessing_context=method)
    batches = iter(loader)
    assert [next(batches).item() for _ in range(3)] == [0, 1, 2]
    with pytest.raises(KeyError) as caught:
        next(batches)
    text = str(caught.value)
    assert "KeyError in DataLoader worker process 1" in text
    assert "Traceback (most recent call last)" in text
    assert "in __getitem__\n    return self.function() if i == 3 else i" in text
    assert [b.item() for b in batches] == [4, 5, 6, 7]  # it goes on


class Raise:
    def __init__(self, error):
        self.error = error

    def __call__(self):
        raise self.error


def test_errors_that_cannot_be_made_again():
    class Local(ValueError):
        pass

    for error, cls in ((Own(1, 2), RuntimeError), (Local("x"), RuntimeError), (ShapeError("y"), ShapeError)):
        with pytest.raises(cls, match=f"{type(error).__name__} in DataLoader worker process 0"):
            list(DataLoader(Does(Raise(error)), num_workers=1, multiprocessing_context="fork"))


def test_errors_around_the_samples():
    def collate(samples):
        raise ZeroDivisionError("in collate")

    with pytest.raises(ZeroDivisionError, match="in collate"):
        list(DataLoader(range(3), num_workers=1, collate_fn=collate, multiprocessing_context="fork"))

    def init(worker):
        raise LookupError(f"init of {worker}")

    with pytest.raises(LookupError, match="init of 0"):
        list(DataLoader(range(3), num_workers=1, worker_init_fn=init, multiprocessing_context="fork"))
    # What the worker cannot pickle is its error, what this process cannot pickle is its own.
    with pytest.raises(Exception, match=r"(?s)in DataLoader worker process 0.*pickle"):
        list(DataLoader(Does(lambda: lambda: 0), num_workers=1, collate_fn=lambda x: x, multiprocessing_context="fork"))
    with pytest.raises(Exception, match="pickle"):
        list(DataLoader(Does(lambda: 0), num_workers=1, multiprocessing_context="spawn"))
    for workers in (0, 1):
        with pytest.raises(RuntimeError, match="StopIteration"):
            list(DataLoader(Does(Raise(StopIteration())), num_workers=workers, multiprocessing_context=None))


@pytest.mark.parametrize("method", METHODS)
def test_a_killed_worker_is_an_error(method):
    loader = DataLoader(Does(Kill()), num_workers=2, multiprocessing_context=method)
    with pytest.raises(RuntimeError, match=r"worker 1 \(pid \d+\) was killed by SIGKILL"):
        list(loader)
    assert_no_children()


def test_a_worker_that_leaves_is_an_error():
    with pytest.raises(RuntimeError, match=r"worker 1 \(pid \d+\) exited with code 7"):
        list(DataLoader(Does(Leave()), num_workers=2))
    assert_no_children()


class Kill:
    def __call__(self):
        os.kill(os.getpid(), signal.SIGKILL)


class Leave:
    def __call__(self):
        os._exit(7)


class Sleep:
    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self):
        time.sleep(self.seconds)
        return 3


def assert_no_children():
    gc.collect()
    deadline = time.monotonic() + 10
    while multiprocessing.active_children() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert multiprocessing.active_children() == []


def test_timeout():
    loader = DataLoader(Does(Sleep(60)), num_workers=2, timeout=0.3)
    begun = time.monotonic()
    with pytest.raises(RuntimeError, match=r"no batch from the workers \[1\] for 0.3 seconds"):
        list(loader)
    assert time.monotonic() - begun < 30
    assert_no_children()


def test_leaving_early_ends_the_workers():
    def endless():
        class Endless(IterableDataset):
            def __iter__(self):
                return itertools.count()

        for i, batch in enumerate(DataLoader(Endless(), batch_size=4, num_workers=2, multiprocessing_context="fork")):
            assert batch.shape == (4,)
            if i == 3:
                break

    endless()
    assert_no_children()
    next(iter(DataLoader(Rows(100, 100_000), batch_size=5, num_workers=2)))  # large batches, not waited for
    assert_no_children()
    batches = iter(DataLoader(range(5), num_workers=1))
    other = iter(DataLoader(range(5), num_workers=1))  # two at once
    assert [a.item() for a, _ in zip(batches, other, strict=True)] == [0, 1, 2, 3, 4]
    begun = time.monotonic()
    del batches, other
    assert_no_children()
    assert time.monotonic() - begun < 4  # neither waits for the other


def test_large_batches_are_shared_memory_of_their_own():
    loader = DataLoader(Rows(6, 30_000), batch_size=2, num_workers=2)
    batches = list(loader)
    for i, (x, _) in enumerate(batches):
        assert x.tolist() == [[2.0 * i] * 30_000, [2.0 * i + 1] * 30_000]
        assert x.data_ptr() % 64 == 0
    batches[0][0].add_(1)  # a batch can be written
    assert batches[1][0][0, 0].item() == 2
    assert batches[0][0][0, 0].item() == 1
    keep = batches[2][0].numpy()
    del batches, x
    gc.collect()
    assert keep[1, -1] == 5  # and lives as long as anything looks at it


class Many(Dataset):
    """Batches and tasks larger than any pipe holds."""

    def __len__(self):
        return 400_000

    def __getitems__(self, indices):
        return [str(i) * 3 for i in indices]


def test_nobody_waits_for_each_other():
    loader = DataLoader(Many(), batch_size=50_000, num_workers=2, collate_fn=list)
    assert [len(b) for b in loader] == [50_000] * 8


def test_many_kinds_of_batches_come_through():
    empty = mt.zeros(0, 3)
    odd = mt.zeros(400, 400).t()[::2]
    loader = DataLoader(
        [0], num_workers=1, collate_fn=lambda _: [empty, odd, mt.float32, None, "x"], multiprocessing_context="fork"
    )
    (batch,) = loader
    assert batch[0].shape == (0, 3)
    assert batch[1].shape == (200, 400)
    assert batch[2] is mt.float32
    assert batch[3:] == [None, "x"]


def run(program, *, interrupt_after=None, timeout=60):
    """A program in a process group of its own, interrupted, as a terminal does it, when it says 'ready'."""
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        if interrupt_after is not None:
            for line in process.stdout:
                if line.strip() == "ready":
                    break
            time.sleep(interrupt_after)
            os.killpg(process.pid, signal.SIGINT)
        out, err = process.communicate(timeout=timeout)
    finally:
        with_children = os.path.exists(f"/proc/{process.pid}")
        if with_children and process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process, out, err


def group_is_gone(pgid):
    for _ in range(500):
        try:
            os.killpg(pgid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


PROGRAM = """
    import time, sys
    from minitensor.utils.data import DataLoader, Dataset
    class Slow(Dataset):
        def __len__(self):
            return 10**6
        def __getitem__(self, i):
            time.sleep(0.05)
            return i
    for i, batch in enumerate(DataLoader(Slow(), num_workers=2, multiprocessing_context="fork")):
        if i == 2:
            print("ready", flush=True)
"""


def test_ctrl_c_ends_all_of_it():
    process, _, err = run(PROGRAM, interrupt_after=0.2)
    assert "KeyboardInterrupt" in err
    assert err.count("Traceback") == 1  # the workers say nothing
    assert process.returncode != 0
    assert group_is_gone(process.pid)


def test_workers_do_not_outlive_the_process():
    process, _, _ = run(PROGRAM.replace('print("ready", flush=True)', "import os; os.kill(os.getpid(), 9)"))
    assert process.returncode == -signal.SIGKILL
    assert group_is_gone(process.pid)
    process, _, err = run(PROGRAM.replace('print("ready", flush=True)', "sys.exit(3)"))
    assert process.returncode == 3
    assert "Traceback" not in err
    assert group_is_gone(process.pid)


def test_a_loader_goes_on_after_an_interrupt():
    """As in a notebook: the cell is stopped, and run again."""
    loader = DataLoader(Does(Sleep(0.5)), num_workers=2, persistent_workers=True)

    def alarm(*_):
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, alarm)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.25)
        with pytest.raises(KeyboardInterrupt):
            list(loader)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert [b.item() for b in loader] == list(range(8))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (dict(prefetch_factor=2), "for num_workers > 0"),
        (dict(persistent_workers=True), "for num_workers > 0"),
        (dict(multiprocessing_context="fork"), "for num_workers > 0"),
        (dict(num_workers=1, prefetch_factor=0), "prefetch_factor must be a positive"),
        (dict(num_workers=1, timeout=-1), "timeout must not be negative"),
        (dict(num_workers=1, multiprocessing_context="thread"), "'thread' is not one of"),
    ],
)
def test_options_that_do_not_fit(options, message):
    with pytest.raises(ValueError, match=message):
        DataLoader([1], **options)


def test_what_a_loader_was_made_of_stays():
    loader = DataLoader(range(4), batch_size=2)
    with pytest.raises(ValueError, match="batch_size is part of how the loader was made"):
        loader.batch_size = 4
    loader.worker_init_fn = None
    assert len(ConcatDataset([range(2), range(3)])) == 5
