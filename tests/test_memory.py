"""The pool: pages that stay warm, NumPy's arrays in it, and what is counted."""

import gc
import resource
import threading
import weakref

import numpy as np
import pytest

import minitensor as mt
from minitensor import _core


def faults(run, times):
    """The pages that the process first touched while it ran."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(times):
        run()
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


def training_step():
    mt.manual_seed(0)
    model = mt.nn.Sequential(
        mt.nn.Conv2d(3, 16, 3, padding=1),
        mt.nn.BatchNorm2d(16),
        mt.nn.ReLU(),
        mt.nn.MaxPool2d(2),
        mt.nn.Flatten(),
        mt.nn.Linear(16 * 16 * 16, 256),
        mt.nn.LayerNorm(256),
        mt.nn.GELU(),
        mt.nn.Linear(256, 10),
    )
    optimizer = mt.optim.Adam(model.parameters())
    x, y = mt.randn(32, 3, 32, 32), mt.randint(0, 10, (32,))

    def step():
        optimizer.zero_grad()
        mt.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


def elementwise_step():
    x, y = mt.randn(500, 500, requires_grad=True), mt.randn(500, 500, requires_grad=True)

    def step():
        x.grad = y.grad = None
        z = mt.cat([(x + y).sin(), x.t().contiguous()], 1)
        (z.sum(0) * z[0]).sum().backward()

    return step


@pytest.mark.parametrize("make", [training_step, elementwise_step])
def test_steady_loop_makes_no_page_fault(make):
    step = make()
    faults(step, 5)
    gc.disable()
    try:
        # Interpreter and C library may touch a few pages; one fresh array of a step would touch hundreds in 20 rounds.
        assert min(faults(step, 20) for _ in range(3)) < 20
    finally:
        gc.enable()


def test_steady_loop_takes_all_its_blocks_from_the_pool():
    step = training_step()
    for _ in range(3):
        step()
    before = mt.cpu.memory_stats()
    for _ in range(5):
        step()
    after = mt.cpu.memory_stats()
    assert after["requests"] > before["requests"]
    assert after["fresh"] == before["fresh"]


def test_what_ran_before_does_not_keep_a_loop_from_the_pool():
    _core.set_kept_limit(16 << 20)
    try:
        earlier = [np.empty(1 << 20, np.uint8) for _ in range(32)]
        del earlier  # more than may be kept
        np.empty(3 << 20, np.uint8)
        before = mt.cpu.memory_stats()
        for _ in range(5):
            np.empty(3 << 20, np.uint8)
        after = mt.cpu.memory_stats()
        assert after["fresh"] == before["fresh"]
        assert 3 << 20 <= after["kept"] <= 16 << 20
        np.empty(32 << 20, np.uint8)  # more than may be kept by itself: nothing has to go
        assert mt.cpu.memory_stats()["kept"] == after["kept"]
    finally:
        _core.set_kept_limit(1 << 30)


def test_numpy_arrays_live_in_the_pool():
    before = mt.cpu.memory_stats()["in_use"]
    x = np.empty(1 << 20, np.uint8)
    assert mt.cpu.memory_stats()["in_use"] - before >= 1 << 20
    del x
    assert mt.cpu.memory_stats()["in_use"] == before


def test_zeros_are_zero_in_used_memory():
    for _ in range(3):
        x = np.ones(300_000)
        del x
        z = np.zeros(300_000)
        assert not z.any()
        z += 1
        del z


@pytest.mark.parametrize("sizes", [(10, 100_000), (100_000, 10), (100_000, 200_000), (200_000, 100_000), (100_000, 0)])
def test_numpy_arrays_change_their_size(sizes):
    before, after = sizes
    x = np.arange(before, dtype=np.float64)
    x.resize(after, refcheck=False)
    kept = min(before, after)
    assert x.shape == (after,)
    np.testing.assert_array_equal(x[:kept], np.arange(kept))
    assert not x[kept:].any()


def test_numpy_arrays_of_unknown_length():
    np.testing.assert_array_equal(np.fromiter(iter(range(50_000)), np.int64), np.arange(50_000))


def test_numpy_arrays_without_elements():
    before = mt.cpu.memory_stats()["in_use"]
    for shape in ((0, 1_000_000), (1_000_000, 0), (0,)):
        x = np.zeros(shape)
        assert x.size == 0
        del x
    assert mt.cpu.memory_stats()["in_use"] == before


def test_a_small_array_is_used_again_once_nobody_holds_it():
    x = mt.arange(15.0).reshape(3, 5)
    made = {id((x + k).numpy()) for k in range(50)}
    assert len(made) < 10
    held = [(x + k).numpy() for k in range(50)]
    parts = [(x + k)[1:].numpy() for k in range(50)]
    buffers = [memoryview((x + k).numpy()) for k in range(50)]
    for k in range(50):
        want = np.arange(15, dtype=np.float32).reshape(3, 5) + k
        np.testing.assert_array_equal(held[k], want)
        np.testing.assert_array_equal(parts[k], want[1:])
        np.testing.assert_array_equal(np.asarray(buffers[k]), want)


@pytest.mark.parametrize(
    "change",
    [
        lambda a: a.setflags(write=False),
        lambda a: setattr(a, "shape", (5, 3)),
        lambda a: setattr(a, "dtype", np.int32),
        weakref.ref,
    ],
)
def test_a_small_array_that_was_changed_is_not_used_again(change):
    x = mt.ones(3, 5)
    for _ in range(20):
        a = (x + 1).numpy()
        kept = change(a)
        del a
        b = (x + 1).numpy()
        assert b.flags.writeable
        assert b.shape == (3, 5)
        assert b.dtype == np.float32
        assert not callable(kept) or kept() is not b
        del b, kept


def test_more_memory_than_there_is_raises():
    with pytest.raises(MemoryError):
        np.empty(1 << 60, np.uint8)


def test_the_limit_changes_while_other_threads_release():
    def work():
        for n in range(200):
            _core.filled((1000 + 500 * (n % 7),), 1.0, np.dtype("float32"))

    threads = [threading.Thread(target=work) for _ in range(3)]
    try:
        for t in threads:
            t.start()
        for n in range(200):
            _core.set_kept_limit((n % 3) << 14)
        for t in threads:
            t.join()
        for limit in (0, -1):
            _core.set_kept_limit(limit)
            work()
            assert mt.cpu.memory_stats()["kept"] == 0
    finally:
        _core.set_kept_limit(1 << 30)
