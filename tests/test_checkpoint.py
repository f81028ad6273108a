"""Memory for time: checkpoints, schedules, inverses. The recomputations are counted, the bytes measured."""

from __future__ import annotations

import gc
import itertools
import subprocess
import sys
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest

import minitensor as mt
from minitensor import func
from minitensor.errors import GraphError, ShapeError
from minitensor.utils.checkpoint import (
    CheckpointError,
    checkpoint,
    checkpoint_sequential,
    revolve,
    revolve_steps,
    set_checkpoint_debug_enabled,
    set_checkpoint_early_stop,
)
from minitensor.utils.invertible import invertible_sequential

ROOT = Path(__file__).resolve().parent.parent
F64 = mt.float64


def t(*values, grad=True):
    return mt.tensor(values, dtype=F64, requires_grad=grad)


class Counted:
    """exp(x) sin x + 1 in three places, each counted."""

    def __init__(self):
        self.at = [0, 0, 0]

    def __call__(self, x):
        self.at[0] += 1
        y = x.exp()
        self.at[1] += 1
        y = y * x.sin()
        self.at[2] += 1
        return y + 1


def want(x):
    x = x.detach().clone().requires_grad_()
    return mt.autograd.grad(Counted()(x).sum(), x)[0].tolist()


# --- how often, and with what result ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "counts"),
    [
        ({}, [2, 2, 1]),  # the last value that is needed is saved before the last line
        ({"use_reentrant": False}, [2, 2, 1]),
        ({"early_stop": False}, [2, 2, 2]),
        ({"use_reentrant": True}, [2, 2, 2]),
    ],
)
def test_a_checkpoint_runs_once_more(options, counts):
    f, x = Counted(), t(1, 2)
    y = checkpoint(f, x, **options)
    assert f.at == [1, 1, 1]
    y.sum().backward()
    assert f.at == counts
    assert x.grad.tolist() == want(x)


def test_early_stop_can_be_switched_off():
    f, x = Counted(), t(1, 2)
    with set_checkpoint_early_stop(False):
        y = checkpoint(f, x)
    y.sum().backward()
    assert f.at == [2, 2, 2]


def test_two_walks_run_it_twice_more():
    f, x = Counted(), t(1, 2)
    y = checkpoint(f, x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert f.at == [3, 3, 1]
    assert x.grad.tolist() == [2 * g for g in want(x)]
    with pytest.raises(GraphError, match="freed"):
        y.backward()


def test_nested_checkpoints():
    f, x = Counted(), t(0.1, 0.2)
    inner = lambda x: checkpoint(f, x)  # noqa: E731
    y = checkpoint(lambda x: inner(inner(x)), x)
    y.sum().backward()
    assert f.at[0] == 2 + 1 + 2  # forward; the outer one, up to the second's argument; each inner one
    z = x.detach().clone().requires_grad_()
    Counted()(Counted()(z)).sum().backward()
    assert x.grad.tolist() == z.grad.tolist()


def test_second_derivatives():
    x = t(1, 2)
    (g,) = mt.autograd.grad(checkpoint(Counted(), x).sum(), x, create_graph=True)
    (h,) = mt.autograd.grad(g.sum(), x)
    (g2,) = mt.autograd.grad(Counted()(x).sum(), x, create_graph=True)
    (h2,) = mt.autograd.grad(g2.sum(), x)
    assert (g.tolist(), h.tolist()) == (g2.tolist(), h2.tolist())


TRANSFORMS = {
    "grad": lambda h, x: func.grad(lambda x: h(x).sum())(x),
    "vjp": lambda h, x: func.vjp(h, x)[1](x)[0],
    "jvp": lambda h, x: func.jvp(h, (x,), (x,))[1],
    "jacrev": lambda h, x: func.jacrev(h)(x),
    "jacfwd": lambda h, x: func.jacfwd(h)(x),
    "hessian": lambda h, x: func.hessian(lambda x: h(x).sum())(x),
    "reverse over reverse": lambda h, x: func.jacrev(func.jacrev(h))(x),
    "reverse over forward": lambda h, x: func.jacrev(func.jacfwd(h))(x),
    "linearize": lambda h, x: func.linearize(h, x)[1](x),
    "vmap": lambda h, x: func.vmap(h)(mt.stack([x, 2 * x])),
    "of each": lambda h, x: func.vmap(func.grad(lambda x: h(x).sum()))(mt.stack([x, 2 * x])),
    "through vmap": lambda h, x: func.grad(lambda x: func.vmap(h)(x).sum())(mt.stack([x, 2 * x])),
}


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize(
    "stored",
    [
        lambda f, x: checkpoint(f, x),
        lambda f, x: revolve([f] * 4, 2, x),
        lambda f, x: checkpoint_sequential([f] * 4, 2, x),
    ],
)
def test_in_every_transform(name, stored):
    f = lambda x: x.cos() * x  # noqa: E731
    x = t(0.3, 0.7, grad=False)
    steps = 1 if stored.__code__.co_names[0] == "checkpoint" else 4

    def plain(x):
        for _ in range(steps):
            x = f(x)
        return x

    have, should = TRANSFORMS[name](lambda x: stored(f, x), x), TRANSFORMS[name](plain, x)
    np.testing.assert_allclose(have.numpy(), should.numpy(), 1e-13)


# --- what the function may do -----------------------------------------------------------------------------------------


def test_random_numbers_are_the_same_and_those_after_go_on():
    mt.manual_seed(0)
    x = mt.ones(200, requires_grad=True)
    drop = lambda x: mt.nn.functional.dropout(x * x, 0.5)  # noqa: E731
    y = checkpoint(drop, x)
    first = mt.rand(1).item()
    y.sum().backward()
    second = mt.rand(1).item()
    assert x.grad.tolist() == (2 * y.detach()).tolist()
    mt.manual_seed(0)
    drop(x)
    assert [mt.rand(1).item(), mt.rand(1).item()] == [first, second]
    x.grad = None
    y = checkpoint(drop, x, preserve_rng_state=False)
    y.sum().backward()
    assert x.grad.tolist() != (2 * y.detach()).tolist()
    for stored in (lambda x: revolve([drop] * 3, 1, x), lambda x: checkpoint_sequential([drop] * 3, 3, x)):
        x.grad = None
        y = stored(x)
        y.sum().backward()
        assert ((x.grad != 0) == (y != 0)).all()


def test_writes_inside_and_views():
    def f(x):
        y = x.T * 2
        y.exp_()
        y[0] = 3.0
        return y.sin_()

    x = t([1, 2], [3, 4])
    checkpoint(f, x[:, ::1]).sum().backward()
    z = x.detach().clone().requires_grad_()
    f(z).sum().backward()
    assert x.grad.tolist() == z.grad.tolist()


def test_overwritten_values():
    x = t(1, 2)
    h = x * 1
    y = checkpoint(lambda h: h.exp().sin(), h)
    h.add_(1)
    with pytest.raises(GraphError, match=r"checkpoint.*overwritten"):
        y.sum().backward()

    def f(x):
        y = x * 2
        z = y * y
        y.add_(1)
        return z

    with pytest.raises(GraphError, match="overwritten"):
        f(x).sum().backward()
    with pytest.raises(GraphError, match="overwritten by the function"):
        checkpoint(f, x, early_stop=False).sum().backward()


def test_arguments_and_results_of_any_kind():
    x, s, w = t(1, 2), t(5, 6), t(3, 4)
    a, b, text = checkpoint(lambda x, k, s=None: (x.sin() * k * w, {"b": x.cos() * s}, "text"), x, 2.0, s=s)
    assert text == "text"
    (a + b["b"]).sum().backward()
    v = x.detach().numpy()
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.cos(v) * [3, 4] - np.sin(v) * [5, 6])
    np.testing.assert_allclose(w.grad.numpy(), 2 * np.sin(v))
    np.testing.assert_allclose(s.grad.numpy(), np.cos(v))
    empty = mt.zeros(0, 3, requires_grad=True)
    checkpoint(lambda x: x.exp() * x, empty).sum().backward()
    assert empty.grad.shape == (0, 3)
    with mt.no_grad():
        assert not checkpoint(Counted(), x).requires_grad


def test_a_derivative_inside():
    x = t(1, 2)

    def f(x):
        (g,) = mt.autograd.grad((x**3).sum(), x, create_graph=True)
        return g * x

    checkpoint(f, x).sum().backward()
    assert x.grad.tolist() == [9, 36]


def test_hooks_run_once_and_contexts_twice():
    log = []

    @contextmanager
    def context(name):
        log.append(name)
        yield

    def f(x):
        y = x.sin()
        y.register_hook(lambda g: log.append("hook") or 2 * g)
        return y.exp()

    x = t(1, 2)
    checkpoint(f, x, context_fn=lambda: (context("first"), context("again"))).sum().backward()
    assert log == ["first", "again", "hook"]
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.cos([1, 2]) * np.exp(np.sin([1, 2])))


def test_functions_that_do_not_do_the_same():
    def changing(*results):
        runs = iter(results)
        return lambda x: next(runs)(x)

    x = t(1, 2)
    one, two, short = (lambda x: x.sin()), (lambda x: x.sin().cos()), (lambda x: x[:1].sin())
    with pytest.raises(CheckpointError, match="2 values at first and 1"):
        checkpoint(changing(two, one), x).sum().backward()
    with pytest.raises(CheckpointError, match="1 values at first and 2"):
        checkpoint(changing(one, two), x, early_stop=False).sum().backward()
    with pytest.raises(CheckpointError, match=r"\(2,\).*\(1,\)"):
        checkpoint(changing(one, short), x).sum().backward()
    with set_checkpoint_debug_enabled(True), pytest.raises(CheckpointError, match="at first \\["):
        checkpoint(changing(one, short), x).sum().backward()
    with pytest.raises(ValueError, match="inner"):
        checkpoint(lambda x: mt.tensor([int("inner")]), x)
    x.grad = None
    checkpoint(lambda x: x * x, x).sum().backward()  # nothing is left behind
    assert x.grad.tolist() == [2, 4]


def test_options_that_do_not_fit():
    x = t(1)
    with pytest.raises(ValueError, match="keyword"):
        checkpoint(lambda x, k: x, x, k=1, use_reentrant=True)
    with pytest.raises(ValueError, match="determinism_check"):
        checkpoint(Counted(), x, determinism_check="maybe")
    with pytest.warns(UserWarning, match="no input requires"):
        assert not checkpoint(lambda v: v * x, t(1, grad=False), use_reentrant=True).requires_grad
    for segments in (0, 4, 1.0):
        with pytest.raises(ShapeError, match="from 1 to 3"):
            checkpoint_sequential([mt.sin] * 3, segments, x)
    with pytest.raises(ShapeError, match="at least 1"):
        revolve([mt.sin], 0, x)
    with pytest.raises(TypeError, match="block 0, ReLU"):
        invertible_sequential([mt.nn.ReLU()], x)


# --- segments and schedules -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("length", "segments"), [(6, 1), (6, 2), (6, 3), (6, 6), (7, 3), (1, 1)])
def test_segments(length, segments):
    calls = []
    f = lambda x: calls.append(1) or x.sin()  # noqa: E731
    x = t(0.5)
    checkpoint_sequential([f] * length, segments, x).sum().backward()
    assert len(calls) == length + length // segments * (segments - 1)  # all but the last segment again
    y, derivative = 0.5, 1.0
    for _ in range(length):
        y, derivative = np.sin(y), derivative * np.cos(y)
    assert x.grad.item() == pytest.approx(derivative, rel=1e-14)


@lru_cache(None)
def least(steps: int, snapshots: int) -> int:
    """The fewest steps forward, tried out over all places for the next state."""
    if steps == 1:
        return 0
    if snapshots == 1:
        return steps * (steps - 1) // 2
    return min(m + least(steps - m, snapshots - 1) + least(m, snapshots) for m in range(1, steps))


def test_the_formula_of_the_fewest_steps():
    for steps, snapshots in itertools.product(range(1, 50), range(1, 9)):
        assert revolve_steps(steps, snapshots) == least(steps, snapshots)
    with pytest.raises(ShapeError):
        revolve_steps(0, 1)


@pytest.mark.parametrize("steps", [1, 2, 3, 7, 10, 33])
@pytest.mark.parametrize("snapshots", [1, 2, 3, 5, 40])
def test_revolve_takes_the_fewest_steps(steps, snapshots):
    calls = {True: 0, False: 0}

    def f(x):
        calls[mt.is_grad_enabled()] += 1
        return x.tanh()

    x = t(0.3, 0.5)
    y = revolve([f] * steps, snapshots, x)
    assert calls == {True: steps, False: 0}
    (g,) = mt.autograd.grad(y.sum(), x, create_graph=True)
    assert calls[True] + calls[False] == steps + least(steps, snapshots)
    z = x
    for _ in range(steps):
        z = z.tanh()
    (h,) = mt.autograd.grad(z.sum(), x, create_graph=True)
    assert g.tolist() == h.tolist()
    assert mt.autograd.grad(g.sum(), x)[0].tolist() == mt.autograd.grad(h.sum(), x)[0].tolist()


def test_parameters_and_functions_that_save_nothing():
    mt.manual_seed(0)
    model = mt.nn.Sequential(*[m for _ in range(5) for m in (mt.nn.Linear(3, 3), mt.nn.Tanh())]).double()
    x = mt.randn(4, 3, dtype=F64)
    should = mt.autograd.grad((model(x) ** 2).sum(), list(model.parameters()))
    for stored in (lambda: revolve(model, 2, x), lambda: checkpoint_sequential(model, 3, x)):
        have = mt.autograd.grad((stored() ** 2).sum(), list(model.parameters()))
        for g, h in zip(have, should, strict=True):
            np.testing.assert_allclose(g.numpy(), h.numpy(), 1e-13)
    z = t(1, 2)
    revolve([lambda x: x + 1] * 5, 2, z).sum().backward()
    assert z.grad.tolist() == [1, 1]


# --- inverses ---------------------------------------------------------------------------------------------------------


class Affine(mt.nn.Module):
    def __init__(self):
        super().__init__()
        self.scale, self.shift = mt.nn.Parameter(mt.randn(3, dtype=F64)), mt.nn.Parameter(mt.randn(3, dtype=F64))
        self.calls = [0, 0]

    def forward(self, x):
        self.calls[0] += 1
        return x * self.scale.exp() + self.shift

    def inverse(self, y):
        self.calls[1] += 1
        return (y - self.shift) / self.scale.exp()


class Coupling(mt.nn.Module):
    """(a, b) to (a, b + m(a))."""

    def __init__(self):
        super().__init__()
        self.m, self.calls = mt.nn.Linear(2, 2).double(), [0, 0]

    def forward(self, x):
        self.calls[0] += 1
        a, b = x.chunk(2, -1)
        return mt.cat([a, b + self.m(a).tanh()], -1)

    def inverse(self, y):
        self.calls[1] += 1
        a, b = y.chunk(2, -1)
        return mt.cat([a, b - self.m(a).tanh()], -1)


@pytest.mark.parametrize(("kind", "width"), [(Affine, 3), (Coupling, 4)])
@pytest.mark.parametrize("grad", [True, False])
def test_each_inverse_is_called_once(kind, width, grad):
    mt.manual_seed(0)
    blocks = [kind() for _ in range(6)]
    x = mt.randn(2, width, dtype=F64).requires_grad_(grad)
    wanted = [p for block in blocks for p in block.parameters()] + [x] * grad
    y = invertible_sequential(blocks, x)
    have = mt.autograd.grad((y**2).sum(), wanted)
    assert [block.calls for block in blocks] == [[2, 1]] * 6
    z = x
    for block in blocks:
        z = block(z)
    for g, h in zip(have, mt.autograd.grad((z**2).sum(), wanted), strict=True):
        np.testing.assert_allclose(g.numpy(), h.numpy(), 1e-11, 1e-11)


def test_the_last_state_must_stay():
    x = mt.randn(2, 3, dtype=F64, requires_grad=True)
    y = invertible_sequential([Affine(), Affine()], x)
    with mt.no_grad():
        y += 1
    with pytest.raises(GraphError, match="overwritten"):
        y.sum().backward()


# --- memory -----------------------------------------------------------------------------------------------------------


def test_nothing_is_left_when_the_graph_is_dropped():
    x = mt.rand(1 << 12, requires_grad=True)
    blocks = mt.nn.Sequential(Shrink(), Shrink())
    gc.collect()
    gc.disable()
    try:
        for stored in (
            lambda x: checkpoint(lambda x: x.sin().cos(), x.exp()),
            lambda x: revolve([mt.sin] * 5, 2, x.exp()),
            lambda x: invertible_sequential(blocks, x.exp()),
        ):
            before = mt.cpu.memory_stats()["in_use"]
            y = stored(x)
            y.sum().backward()
            x.grad = None
            del y
            assert mt.cpu.memory_stats()["in_use"] == before
            stored(x)
            assert mt.cpu.memory_stats()["in_use"] == before
    finally:
        gc.enable()


class Shrink(mt.nn.Module):
    def forward(self, x):
        return mt.nn.functional.leaky_relu(x, 0.5)

    def inverse(self, y):
        return mt.nn.functional.leaky_relu(y, 2.0)


@pytest.mark.skipif(mt.cpu.isa() == "reference", reason="small arrays that NumPy makes are not in the pool")
def test_the_table_of_memory_and_time():
    sys.path.insert(0, str(ROOT / "examples"))
    try:
        import memory
    finally:
        sys.path.pop(0)
    for depth in (4, 16, 49):
        table = memory.rows(depth, 1 << 12, [2, 3])
        for row in table:
            assert row.evaluations == row.expected_evaluations
            assert row.bytes == pytest.approx(row.expected_bytes, rel=0.05)
            assert row.gradient.tolist() == table[0].gradient.tolist()


def test_the_program_that_prints_it():
    run = [sys.executable, str(ROOT / "examples/memory.py")]
    out = subprocess.run([*run, "--depth", "16", "--size", "4096"], capture_output=True, text=True, check=True).stdout
    assert "invertible" in out
    assert "revolve, 3 snapshots" in out
    assert "--snapshots" in subprocess.run([*run, "--help"], capture_output=True, text=True, check=True).stdout
    assert subprocess.run([*run, "--depth", "15"], capture_output=True, check=False).returncode
