"""The cost of Jacobians, against the sources' formulas."""

from __future__ import annotations

import pytest

import minitensor as mt
from minitensor.learn import count


def chain(d, m, k):
    """K dense maps: K - 1 of d x d and one of m x d."""
    maps = [mt.ones(d, d) for _ in range(k - 1)] + [mt.ones(m, d)]

    def f(x):
        for a in maps:
            x = a @ x
        return x

    return f


@pytest.mark.parametrize("d", [1, 3, 10])
@pytest.mark.parametrize("m", [1, 3, 10, 20])
@pytest.mark.parametrize("k", [1, 2, 6])
def test_the_table_of_a_chain(d, m, k):
    """DP-17.63."""
    x, product = mt.ones(d), (k - 1) * d * d + d * m
    forward, reverse = count(chain(d, m, k), x, mode="forward"), count(chain(d, m, k), x, mode="reverse")
    assert forward[:3] == (d * product, max(d, m), d)
    assert reverse[:3] == (m * product, k * d + m, m)
    assert (forward.multiplications < reverse.multiplications) == (d < m)


def test_ten_inputs_six_layers_one_output():
    assert count(chain(10, 1, 6), mode="forward")(mt.ones(10))[:2] == (5100, 10)
    assert count(chain(10, 1, 6), mode="reverse")(mt.ones(10))[:2] == (510, 61)


@pytest.mark.parametrize("h", [10, 20])
def test_a_hidden_layer_from_the_input_and_from_the_output(h):
    """TD-Q8Q9: with full matrices H^3 N from the input, H^2 N from the output; with their zeros H N."""
    n = 10
    x, w, out = mt.ones(n), mt.ones(h, n), mt.ones(h)

    def net(w):
        return out @ mt.tanh(w @ x)

    back = count(net, w, mode="reverse", dense=True)
    assert [cost for _, cost in back.operators] == [h * h * n, h * h, h]
    front = count(net, w, mode="forward", dense=True)
    (_, first), (_, second), (_, third) = front.operators
    assert front.products * second == h**3 * n
    assert front.products * third == h**2 * n
    assert first == h * h * n
    assert [cost for _, cost in count(net, w).operators] == [h * n, h, h]


def test_shared_values_and_several_inputs():
    def f(a, b):
        c = a * b  # read twice
        return mt.sin(c) + c

    got = count(f, mt.ones(4), mt.ones(4), mode="reverse")
    assert sum(cost for _, cost in got.operators) == 4 + 4 + 4  # by a, by b, of sin; additions count nothing
    assert got.products == 4
    assert got.stored == 4 + 4 + 4 + 4 + 4  # a, b, c, sin c, the gradient
    assert count(f, mt.ones(4), mt.ones(4), mode="forward").stored == 8  # c and sin c


def test_errors():
    with pytest.raises(ValueError, match="mode must be"):
        count(mt.sin, mt.ones(1), mode="sideways")
    with pytest.raises(TypeError, match="floating"):
        count(mt.sin, mt.tensor([1]))
    with pytest.raises(RuntimeError, match="depends on its inputs"):
        count(lambda x: mt.ones(2), mt.ones(1))
