"""Differential equations and their derivatives, against exact flows, steps by hand and other ways of computing."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import ConvergenceError
from minitensor.func import grad, jacfwd, jacrev, jvp, vmap
from minitensor.ode import METHODS, odeint, odeint_adjoint

ORDERS = {"euler": 1, "midpoint": 2, "rk4": 4, "implicit_euler": 1}


def f64(x, **how):
    return mt.tensor(x, dtype=mt.float64, **how)


def close(a, b, tol=1e-9):
    np.testing.assert_allclose(a.detach().numpy() if isinstance(a, mt.Tensor) else a, b, rtol=tol, atol=tol)


def size(method, h):
    return None if method == "dopri5" else {"step_size": h}


def pendulum(theta):
    return lambda t, z: mt.stack([z[..., 1], -theta * mt.sin(z[..., 0])], -1)


# --- solutions --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ORDERS)
def test_the_order_of_each_method(method):
    """y' = y cos t: y = e^(sin t)."""

    def error(h):
        y = odeint(lambda t, y: y * mt.cos(t), f64(1.0), f64([0.0, 2.0]), method=method, options={"step_size": h})
        return abs(y[-1].item() - math.exp(math.sin(2)))

    assert math.log2(error(0.05) / error(0.025)) == pytest.approx(ORDERS[method], abs=0.15)


def test_steps_by_hand():
    f, y0, t = (lambda t, y: t - y * y), f64(1.0), f64([0.0, 0.5])
    close(odeint(f, y0, t, method="euler")[-1], 0.5)
    close(odeint(f, y0, t, method="midpoint")[-1], 1 + 0.5 * (0.25 - 0.75**2))
    k1 = -1.0
    k2 = 1 / 6 - (1 + 0.5 * k1 / 3) ** 2
    k3 = 1 / 3 - (1 + 0.5 * (k2 - k1 / 3)) ** 2
    k4 = 1 / 2 - (1 + 0.5 * (k1 - k2 + k3)) ** 2
    close(odeint(f, y0, t, method="rk4")[-1], 1 + 0.5 * (k1 + 3 * k2 + 3 * k3 + k4) / 8)
    z = odeint(f, y0, t, method="implicit_euler")[-1].item()
    assert z == pytest.approx(1 + 0.5 * (0.5 - z * z), abs=1e-14)
    q, p = odeint(lambda t, y: mt.stack([y[1], -(y[0] ** 3)]), f64([1.0, 0.5]), t, method="leapfrog")[-1].tolist()
    half = 0.5 - 0.25 * 1
    assert q == pytest.approx(1 + 0.5 * half)
    assert p == pytest.approx(half - 0.25 * q**3)


@pytest.mark.parametrize(("rtol", "atol"), [(1e-3, 1e-6), (1e-7, 1e-9), (1e-10, 1e-12)])
def test_dopri5_keeps_its_tolerance_with_few_steps(rtol, atol):
    calls = []

    def f(t, y):
        calls.append(t.item())
        return pendulum(1.5)(t, y)

    t = f64([0.0, 0.5, 2.0, 10.0])
    y = odeint(f, f64([1.0, 0.0]), t, rtol=rtol, atol=atol)
    exact = odeint(pendulum(1.5), f64([1.0, 0.0]), t, method="rk4", options={"step_size": 0.001})
    assert (y - exact).abs().max() < 100 * rtol
    assert len(calls) < 60 * rtol**-0.2
    assert y[0].tolist() == [1, 0]


def test_decreasing_times_tuples_shapes_and_dtypes():
    close(odeint(lambda t, y: y, f64(1.0), f64([1.0, 0.5, 0.0])), [1, math.exp(-0.5), math.exp(-1)], 1e-6)
    close(odeint(lambda t, y: 2 * t, f64(0.0), f64([3.0, 1.0])), [0, -8])
    state = (f64([1.0, 2.0]), {"p": f64([[0.0], [0.0]])})
    t = f64([0.0, math.pi / 2])
    q, other = odeint(lambda t, s: (s[1]["p"][:, 0], {"p": -s[0][:, None]}), state, t)
    assert q.shape == (2, 2)
    assert other["p"].shape == (2, 2, 1)
    close(other["p"][-1], [[-1], [-2]], 1e-6)
    single = odeint(lambda t, y: -y, mt.ones(3, 2), mt.tensor([0.0, 1.0], dtype=mt.float64))
    assert single.dtype == mt.float32
    assert odeint(lambda t, y: -y, f64([1.0]), f64([0.5])).shape == (1, 1)
    field = mt.nn.Linear(2, 2).double()
    assert odeint(lambda t, y: field(y), f64([[1.0, 2.0]]), f64([0.0, 1.0])).requires_grad
    assert odeint(lambda t, y: mt.zeros(0), mt.zeros(0), mt.tensor([0.0, 1.0])).shape == (2, 0)


def test_a_step_size_divides_the_intervals():
    times = []

    def f(t, y):
        times.append(round(t.item(), 12))
        return y

    odeint(f, f64(1.0), f64([0.0, 0.3, 1.3]), method="euler", options={"step_size": 0.4})
    assert times == [0.0, *[round(0.3 + k / 3, 12) for k in range(3)]]


def test_errors():
    f, y, t = (lambda t, y: -y), f64(1.0), f64([0.0, 1.0])
    with pytest.raises(ValueError, match='invalid method "heun"; it must be one of dopri5, euler'):
        odeint(f, y, t, method="heun")
    for times in ([0.0, 1.0, 1.0], [0.0, 2.0, 1.0], [[0.0, 1.0]], []):
        for kind in (ValueError, AssertionError, RuntimeError):
            with pytest.raises(kind, match="t must"):
                odeint(f, y, f64(times))
    with pytest.raises(TypeError, match="t must be of a floating dtype"):
        odeint(f, y, mt.tensor([0, 1]))
    with pytest.raises(TypeError, match="y0 must be of a floating dtype"):
        odeint(f, mt.tensor(1), t)
    with pytest.raises(ValueError, match=r"func returns shape \(3,\) for a state of shape \(2,\)"):
        odeint(lambda t, y: mt.zeros(3), mt.zeros(2), t)
    with pytest.raises(ValueError, match="step_size must be positive"):
        odeint(f, y, t, method="rk4", options={"step_size": 0.0})
    with pytest.raises(ValueError, match="two halves of the last axis"):
        odeint(f, mt.zeros(3), t, method="leapfrog")
    with pytest.warns(UserWarning, match="dopri5 has no options step_size"):
        odeint(f, y, t, options={"step_size": 0.1})
    with pytest.raises(ConvergenceError, match="max_num_steps"):
        odeint(f, y, t, options={"max_num_steps": 2})
    with pytest.raises(ValueError, match="adjoint_params"):
        odeint_adjoint(f, y, t)
    with pytest.raises(ValueError, match="adjoint_method"):
        odeint_adjoint(f, y, t, adjoint_method="leapfrog", adjoint_params=())


# --- derivatives ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("solve", [odeint, odeint_adjoint])
def test_gradients_by_all_that_the_solution_depends_on(method, solve):
    """y' = -k y + t, of which y(T) = (y0 - t0/k + 1/k^2) e^(-k (T - t0)) + T/k - 1/k^2."""
    h = {"euler": 0.002, "implicit_euler": 0.01}.get(method, 0.02)
    k, y0, t = (
        f64(0.8, requires_grad=True),
        f64([1.0, 2.0], requires_grad=True),
        f64([0.5, 1.0, 2.5], requires_grad=True),
    )

    def exact(k, y0, t):
        return (y0 - t[0] / k + 1 / k**2) * mt.exp(-k * (t[:, None] - t[0])) + t[:, None] / k - 1 / k**2

    if method == "leapfrog":  # the same as [q, p] with q' = p^0 ..., p' = -k q: an oscillator from its own exact flow
        f = lambda t, y: mt.stack([y[1], -k * y[0]])  # noqa: E731

        def exact(k, y0, t):
            w, s = k.sqrt(), t - t[0]
            q = y0[0] * mt.cos(w * s) + y0[1] / w * mt.sin(w * s)
            return mt.stack([q, y0[1] * mt.cos(w * s) - y0[0] * w * mt.sin(w * s)], 1)

    else:
        f = lambda t, y: -k * y + t  # noqa: E731
    kwargs = {"adjoint_params": (k,)} if solve is odeint_adjoint else {}
    weights = f64([[1.0, 0.5], [-2.0, 1.0], [3.0, 0.2]])
    got = mt.autograd.grad(
        (weights * solve(f, y0, t, method=method, options=size(method, h), **kwargs)).sum(), (k, y0, t)
    )
    want = mt.autograd.grad((weights * exact(k, y0, t)).sum(), (k, y0, t))
    tolerance = {"euler": 2e-2, "implicit_euler": 6e-2, "midpoint": 2e-3, "leapfrog": 2e-3}.get(method, 1e-6)
    for a, b in zip(got, want, strict=True):
        close(a, b.numpy(), tolerance)


@pytest.mark.parametrize("method", METHODS)
def test_orders_and_modes_through_the_steps(method):
    """Of the discrete solution, by finite differences of it."""
    start = f64([1.0, 0.2])

    def last(theta):
        return odeint(pendulum(theta), start, f64([0.0, 0.6]), method=method, options=size(method, 0.2))[-1].sum()

    x, h = f64(1.5), 1e-4
    first = (last(x + h) - last(x - h)).item() / (2 * h)
    second = (last(x + h) - 2 * last(x) + last(x - h)).item() / h**2
    close(grad(last)(x), first, 1e-6)
    close(jvp(last, (x,), (f64(1.0),))[1], first, 1e-6)
    close(grad(grad(last))(x), second, 2e-5)
    close(grad(lambda x: jvp(last, (x,), (f64(1.0),))[1])(x), second, 2e-5)
    close(jacfwd(last)(x), first, 1e-6)
    if method == "implicit_euler":  # whose field would have to take theta as an argument
        with pytest.raises(RuntimeError, match="pass it as theta"):
            jacfwd(jacrev(last))(x)
    else:
        close(jacfwd(jacrev(last))(x), second, 2e-5)
        close(jacfwd(jacfwd(last))(x), second, 2e-5)


def test_vmap_over_states_and_over_parameters():
    t = f64([0.0, 1.0])
    close(vmap(lambda y: odeint(lambda t, y: -y, y, t)[-1])(f64([1.0, 2.0])), [math.exp(-1), 2 * math.exp(-1)], 1e-7)
    k = f64([1.0, 2.0, 3.0])
    flow = lambda k: odeint(lambda t, y: -k * y, f64(1.0), t)[-1]  # noqa: E731
    close(vmap(flow)(k), np.exp([-1, -2, -3]), 1e-7)
    close(vmap(grad(flow))(k), -np.exp([-1, -2, -3]), 1e-6)


def test_second_derivatives_through_the_adjoint():
    k = f64(0.5, requires_grad=True)
    y = odeint_adjoint(lambda t, y: -k * y, f64(1.0), f64([0.0, 1.0]), adjoint_params=(k,), rtol=1e-9, atol=1e-11)
    (g,) = mt.autograd.grad(y[-1], k, create_graph=True)
    close(g, -math.exp(-0.5), 1e-7)
    close(mt.autograd.grad(g, k)[0], math.exp(-0.5), 1e-6)


def test_the_adjoint_of_a_module_and_of_a_tuple():
    mt.manual_seed(0)
    net = mt.nn.Sequential(mt.nn.Linear(2, 8), mt.nn.Tanh(), mt.nn.Linear(8, 2)).double()

    class Field(mt.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = net

        def forward(self, t, state):
            y, _ = state
            return self.net(y) * t, (y * y).sum()

    field, y0, t = Field(), f64([1.0, -0.5]), f64([0.0, 0.7, 1.5])
    expected = None
    for solve in (odeint, odeint_adjoint):
        net.zero_grad()
        y, total = solve(field, (y0, f64(0.0)), t)
        (y[-1].sum() + total[-1] + y[1, 0]).backward()
        got = [p.grad.clone() for p in net.parameters()]
        for a, b in zip(got, expected or got, strict=True):
            close(a, b.numpy(), 1e-5)
        expected = got


@pytest.mark.parametrize("method", ["rk4", "dopri5"])
def test_the_adjoint_keeps_no_trajectory(method):
    def peak(steps, solve):
        k = f64(1.0, requires_grad=True)
        y = mt.ones(1 << 14, dtype=mt.float64).requires_grad_()
        t = f64([0.0, 0.01 * steps])
        more = {} if solve is odeint else {"adjoint_params": (k,)}
        options = {"max_step": 0.01} if method == "dopri5" else {"step_size": 0.01}
        mt.cpu.reset_peak_memory_stats()
        before = mt.cpu.memory_stats()["in_use"]
        solve(lambda t, y: -k * y, y, t, method=method, options=options, **more)[-1].sum().backward()
        return (mt.cpu.memory_stats()["peak"] - before) / y.nbytes

    assert peak(60, odeint) > 2 * peak(20, odeint)
    assert peak(60, odeint_adjoint) < 1.2 * peak(20, odeint_adjoint)


def test_the_reversible_gradient_keeps_no_trajectory():
    def peak(steps, solve):
        k = f64(1.0, requires_grad=True)
        y = mt.ones(1 << 14, dtype=mt.float64).requires_grad_()
        more = {} if solve is odeint else {"adjoint_params": (k,)}
        options = {"step_size": 0.01}
        tracemalloc.start()
        before = mt.cpu.memory_stats()["in_use"]
        mt.cpu.reset_peak_memory_stats()
        solve(
            lambda t, y: -k * y, y, f64([0.0, 0.01 * steps]), method="leapfrog", options=options, **more
        ).sum().backward()
        found = tracemalloc.get_traced_memory()[1] + mt.cpu.memory_stats()["peak"] - before
        tracemalloc.stop()
        return found / y.nbytes

    states = {solve: (peak(60, solve) - peak(20, solve)) / 40 for solve in (odeint, odeint_adjoint)}  # for each step
    assert states[odeint] > 1
    assert states[odeint_adjoint] < 0.2


# --- reversibility, and where the adjoint fails -----------------------------------------------------------------------


def oscillator(t, y):
    return mt.cat([y[1:], -y[:1]])


def test_leapfrog_recovers_the_start_to_rounding():
    """DP-ode-reversible: 100 steps of 0.1; Euler's method backwards does not come back."""
    way, back, start = f64([0.0, 10.0]), f64([10.0, 0.0]), f64([1.0, 0.0])
    for method, limit in (("leapfrog", 1e-14), ("euler", None)):
        there = odeint(oscillator, start, way, method=method, options={"step_size": 0.1})[-1]
        home = odeint(oscillator, there, back, method=method, options={"step_size": 0.1})[-1]
        error = (home - start).abs().max().item()
        assert error < limit if limit else error > 0.5
    energy = (odeint(oscillator, start, mt.linspace(0, 10, 101, dtype=mt.float64), method="leapfrog") ** 2).sum(1)
    assert (energy - 1).abs().max() < 0.003


def test_leapfrogs_gradient_runs_backwards_and_is_that_of_the_steps():
    k = f64(1.3, requires_grad=True)
    y0 = f64([1.0, 0.3], requires_grad=True)
    f = lambda t, y: mt.cat([y[1:], -k * mt.sin(y[:1])])  # noqa: E731
    grads = []
    for solve, more in ((odeint, {}), (odeint_adjoint, {"adjoint_params": (k,)})):
        y = solve(f, y0, f64([0.0, 2.0, 5.0]), method="leapfrog", options={"step_size": 0.1}, **more)
        grads.append(mt.autograd.grad((y**2).sum(), (k, y0)))
    for a, b in zip(*grads, strict=True):
        close(a, b.numpy(), 1e-12)


def test_the_cubic_whose_flow_ends():
    """DP-ode-cubic: z' = z^3 from 1 is (1 - 2 t)^(-1/2), dz/dz0 = (1 - 2 t)^(-3/2); at t = 1/2 there is a pole."""
    for end in (0.4, 0.49):
        z0 = f64(1.0, requires_grad=True)
        z = odeint(lambda t, z: z**3, z0, f64([0.0, end]))[-1]
        close(z, (1 - 2 * end) ** -0.5, 1e-5)
        close(mt.autograd.grad(z, z0)[0], (1 - 2 * end) ** -1.5, 1e-4)
    with pytest.raises(ConvergenceError, match=r"dopri5 gives up at t = 0\.5"):
        odeint(lambda t, z: z**3, f64(1.0), f64([0.0, 0.6]))


def test_decay_that_cannot_be_undone():
    """DP-ode-decay: z' = -20 z by Euler's method. Backwards the steps are not the inverses, (1 + 0.2)(1 - 0.2) != 1,
    and an error of 1e-10 grows by 1.2^100: the adjoint's gradient by lambda misses, that through the steps is exact."""
    lam, n = f64(20.0, requires_grad=True), 100
    t = f64([0.0, 1.0])
    z = odeint(lambda t, z: -lam * z, f64(1.0), t, method="euler", options={"step_size": 0.01})[-1]
    exact = -(1 / n) * n * (1 - 20 / n) ** (n - 1)
    close(mt.autograd.grad(z, lam)[0], exact, 1e-12)
    options = {"method": "euler", "options": {"step_size": 0.01}, "adjoint_params": (lam,)}
    z = odeint_adjoint(lambda t, z: -lam * z, f64(1.0), t, **options)[-1]
    assert abs(mt.autograd.grad(z, lam)[0].item() / exact - 1) > 0.1
    del options["adjoint_params"]
    there, moved = [
        odeint(lambda t, z: -20 * z, z.detach() + e, f64([1.0, 0.0]), **options)[-1].item() for e in (0.0, 1e-10)
    ]
    assert there == pytest.approx(0.8**100 * 1.2**100)  # not 1
    assert moved - there == pytest.approx(1e-10 * 1.2**100, rel=1e-4)


def test_fitting_the_rate_of_a_decay():
    """DP-ode-fit: Euler's (1 - 0.01 x)^100 fits e^-1.3 at x = 100 (1 - e^-0.013)."""
    t = mt.linspace(0, 2, 21, dtype=mt.float64)
    target = mt.exp(-1.3 * t)
    lam = f64(0.5, requires_grad=True)

    def loss(lam):
        z = odeint(lambda t, z: -lam * z, f64(1.0), t, method="euler", options={"step_size": 0.01})
        return ((z - target)[1:] ** 2).mean()

    for _ in range(200):
        (g,) = mt.autograd.grad(loss(lam), lam)
        lam = (lam - 2 * g).detach().requires_grad_()
    close(lam, 100 * (1 - math.exp(-0.013)), 1e-6)
