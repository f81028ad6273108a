"""What several test files check derivatives with."""

import numpy as np
import pytest

import minitensor as mt


def leaves(rng, *shapes):
    """Normal tensors in float64 that want gradients."""
    return [mt.from_numpy(rng.standard_normal(s)).requires_grad_() for s in shapes]


def check(f, *xs):
    """First and second derivatives against finite differences, in float64."""
    assert mt.autograd.gradcheck(f, xs)
    assert mt.autograd.gradgradcheck(f, xs)


def check_third(f, x0: np.ndarray, v: np.ndarray):
    """The third derivative of the scalar f(x) along v, three times, against differences of the second."""

    def second(x):
        g = mt.from_numpy(x).requires_grad_()
        y = f(g)
        for _ in range(2):
            (d,) = mt.autograd.grad(y, g, create_graph=True)
            y = (d * mt.from_numpy(v)).sum()
        return g, y

    g, y = second(x0)
    (third,) = mt.autograd.grad(y, g)
    h = 1e-5
    want = (second(x0 + h * v)[1].item() - second(x0 - h * v)[1].item()) / (2 * h)
    assert float((third.numpy() * v).sum()) == pytest.approx(want, rel=1e-6, abs=1e-8)
