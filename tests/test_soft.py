"""Soft control flow, against its formulas worked out by hand and its hard limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitensor as mt
from minitensor import soft
from minitensor.errors import ConvergenceError
from minitensor.func import grad, jvp, vmap


def f64(x, **how):
    return mt.tensor(x, dtype=mt.float64, **how)


def close(a, b, tol=1e-12):
    np.testing.assert_allclose(a.detach().numpy() if isinstance(a, mt.Tensor) else a, b, rtol=tol, atol=tol)


def sig(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize("sigma", [1.0, 0.5, 0.1, 0.05])
def test_comparisons(sigma):
    x, y = np.linspace(-3, 3, 13), 0.3
    a = f64(x)
    close(soft.greater_equal(a, y, sigma), sig((x - y) / sigma))
    close(soft.less_equal(a, y, sigma), sig((y - x) / sigma))
    close(soft.equal(a, y, sigma), np.exp(-((x - y) ** 2) / sigma))
    close(soft.not_equal(a, y, sigma), 1 - np.exp(-((x - y) ** 2) / sigma))
    close(soft.equal(a, y, sigma, kernel="sech"), 1 / np.cosh((x - y) / sigma))
    close(soft.not_equal(a, y, sigma, "sech"), 1 - 1 / np.cosh((x - y) / sigma))
    close(grad(lambda x: soft.greater_equal(x, 0.0, sigma))(f64(0.0)), 1 / (4 * sigma))
    close(soft.greater_equal(1.0, f64(x), sigma), sig((1 - x) / sigma))


def test_far_from_equal_nothing_overflows():
    x = f64([-1e6, 0.0, 1e6], requires_grad=True)
    for compare in (soft.greater_equal, soft.less_equal, soft.equal, soft.not_equal):
        for kernel in ("gaussian", "sech"):
            y = compare(x, 0.0, 0.01, kernel)
            assert y.isfinite().all()
            assert mt.autograd.grad(y.sum(), x)[0].isfinite().all()


def test_the_second_derivative_of_sech_at_its_top():
    close(grad(grad(lambda x: soft.equal(x, 0.0, kernel="sech")))(f64(0.0)), -1.0)
    close(grad(grad(lambda x: soft.equal(x, 0.0)))(f64(0.0)), -2.0)


def test_the_limit_of_small_sigma():
    a, b = f64([0.3, 0.5, 0.4]), f64([0.5, 0.3, 0.4])
    close(soft.greater_equal(a, b, 1e-3), [0, 1, 0.5])
    close(soft.equal(a, b, 1e-6), [0, 0, 1])


def test_logic_is_exact_on_booleans_and_bilinear_between():
    p, q = mt.tensor([False, False, True, True]), mt.tensor([False, True, False, True])
    assert soft.logical_and(p, q).tolist() == [0, 0, 0, 1]
    assert soft.logical_or(p, q).tolist() == [0, 1, 1, 1]
    assert soft.logical_not(p).tolist() == [1, 1, 0, 0]
    a, b = f64(0.9), f64(0.2)
    close(soft.logical_and(a, b), 0.18)
    close(soft.logical_or(a, b), 0.92)
    either = lambda a, b: soft.logical_or(  # noqa: E731
        soft.logical_and(a, soft.logical_not(b)), soft.logical_and(soft.logical_not(a), b)
    )
    close(either(a, b), 0.72 + 0.02 - 0.72 * 0.02)
    close(grad(soft.logical_or, argnums=(0, 1))(a, b)[0], 0.8)
    y = f64([[0.5, 0.5], [1.0, 0.0]])
    close(soft.all(y[0]), 0.25)
    close(soft.any(y[0]), 0.75)
    close(soft.all(y, dim=1), [0.25, 0.0])
    close(soft.any(y, 1, keepdim=True), [[0.75], [1.0]])
    close(grad(soft.all)(f64([0.0, 0.5, 0.4])), [0.2, 0, 0])  # a zero among the factors
    assert soft.all(mt.zeros(0)).item() == 1
    assert soft.any(mt.zeros(0)).item() == 0


def test_where_and_its_gradients():
    """DP-ifelse: y = sig(g(z1)), d/dz1 = y' (f1 - f2) + y f1'."""
    for sigma in (0.5, 0.1):

        def branch(z1, z2, sigma=sigma):
            return soft.where(soft.greater_equal(z1 - 1, 0.0, sigma), z1**2, 3 * z2)

        y = sig(-0.1 / sigma)
        d1, d2 = grad(branch, argnums=(0, 1))(f64(0.9), f64(2.0))
        close(d1, y * (1 - y) / sigma * (0.81 - 6) + y * 1.8)
        close(d2, (1 - y) * 3)
    hard = lambda z1, z2: soft.where(z1 - 1 >= 0, z1**2, 3 * z2)  # noqa: E731
    d1, d2 = grad(hard, argnums=(0, 1))(f64(0.9), f64(2.0))
    assert (d1.item(), d2.item()) == (0, 3)
    a, b = soft.where(0.25, (f64(4.0), f64(8.0)), (f64(0.0), f64(0.0)))
    assert (a.item(), b.item()) == (1, 2)


def test_argmax():
    x = np.array([3.0, 1, 8, 6, 0])
    for sigma in (5.0, 1.0, 0.1):
        e = np.exp((x - 8) / sigma)
        close(soft.argmax(f64(x), sigma=sigma), e / e.sum())
        e = np.exp(-x / sigma)
        close(soft.argmin(f64(x), sigma=sigma), e / e.sum())
    close((soft.argmax(f64(x), sigma=0.01) * mt.arange(5)).sum(), 2.0)
    close(soft.argmax(f64([[1.0, 2.0], [3.0, 2.0]]), 0).sum(0), [1, 1])


def halving(sigma=0.1):
    return lambda s: soft.greater_equal(s, 1.0, sigma), lambda s: s / 2


def by_hand(s, sigma, most):
    alive, total = 1.0, 0.0
    for _ in range(most):
        p = sig((s - 1) / sigma)
        total, alive, s = total + alive * (1 - p) * s, alive * p, s / 2
    return total + alive * s


def test_while_loop_follows_the_rule():
    """DP-while: s0 = 10, halved while s >= 1, at most 8 times."""
    for sigma in (0.1, 0.5, 0.01):
        run = lambda s, sigma=sigma: soft.while_loop(*halving(sigma), s, 8)  # noqa: E731
        close(run(f64(10.0)), by_hand(10.0, sigma, 8))
        slope = (by_hand(10 + 1e-5, sigma, 8) - by_hand(10 - 1e-5, sigma, 8)) / 2e-5
        close(grad(run)(f64(10.0)), slope, 1e-6)
        close(jvp(run, (f64(10.0),), (f64(1.0),))[1], slope, 1e-6)
    close(soft.while_loop(*halving(1e-3), f64(10.0), 8), 0.625)
    starts = f64([10.0, 3.0, 0.2])
    want = [by_hand(s, 0.1, 8) for s in (10.0, 3.0, 0.2)]
    close(soft.while_loop(*halving(), starts, 8), want)  # each element for itself
    close(vmap(lambda s: soft.while_loop(*halving(), s, 8))(starts), want)


def test_while_loop_runs_the_body_at_most_so_often():
    turns = []

    def body(s):
        turns.append(1)
        return s / 2

    soft.while_loop(halving()[0], body, f64(10.0), 8)
    assert len(turns) == 8
    assert soft.while_loop(halving()[0], body, f64(10.0), 0).item() == 10
    close(soft.while_loop(halving()[0], body, f64(10.0), 1), by_hand(10.0, 0.1, 1))


def test_the_hard_loop():
    def run(s, most=8):
        return soft.while_loop(lambda s: s >= 1, lambda s: s / 2, s, most)

    assert run(f64(10.0)).item() == 0.625
    close(grad(run)(f64(10.0)), 1 / 16)  # as unrolled
    assert run(f64(10.0), 4).item() == 0.625
    with pytest.raises(ConvergenceError, match="still holds after max_steps = 3"):
        run(f64(10.0), 3)
    with pytest.raises(ValueError, match="at least 0"):
        run(f64(10.0), -1)
    assert soft.while_loop(lambda s: s < 5, lambda s: s + 1, 0, 10) == 5


def test_a_state_of_several_parts():
    """A square root by Newton's method, which ends when the square is softly equal to a."""

    def root(a, sigma):
        cond = lambda s: soft.not_equal(s["x"] ** 2, a, sigma)  # noqa: E731
        body = lambda s: {"x": 0.5 * (s["x"] + a / s["x"]), "n": s["n"] + 1}  # noqa: E731
        return soft.while_loop(cond, body, {"x": a, "n": f64(0.0)}, 12)

    end = root(f64(2.0), 1e-8)
    close(end["x"], math.sqrt(2), 1e-4)
    missing = ((577 / 408) ** 2 - 2) ** 2 / 1e-8  # after 3 turns x is 577/408
    close(end["n"], 3 + missing, 1e-4)
    close(grad(lambda a: root(a, 1e-8)["x"])(f64(2.0)), 0.5 / math.sqrt(2), 1e-2)


def test_a_threshold_is_learned_through_the_branch():
    """DP-ifelse: targets 1 for x >= 0.37; the hard branch has no gradient and does not move."""
    x = mt.linspace(0, 1, 101, dtype=mt.float64)
    target = (x >= 0.37).double()
    for hard in (False, True):
        theta = f64(0.8, requires_grad=True)
        for _ in range(500):
            c = (x >= theta).double() + 0 * theta if hard else soft.greater_equal(x, theta, 0.05)
            (g,) = mt.autograd.grad(((soft.where(c, 1.0, 0.0) - target) ** 2).mean(), theta)
            theta = (theta - 0.02 * g).detach().requires_grad_()
        assert theta.item() == 0.8 if hard else abs(theta.item() - 0.365) < 0.006


def test_errors():
    with pytest.raises(ValueError, match="kernel must be one of gaussian, sech"):
        soft.equal(f64(1.0), 0.0, kernel="box")
    for sigma in (0.0, -1.0):
        with pytest.raises(ValueError, match="sigma must be positive"):
            soft.greater_equal(f64(1.0), 0.0, sigma)
