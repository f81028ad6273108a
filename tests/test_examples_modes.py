"""The program on both modes: matrices by NumPy, derivatives worked out by hand, counts of the theory."""

from __future__ import annotations

import math

import modes
import numpy as np
import primitives
import pytest
from programs import close, run

import minitensor as mt


def test_three_gradients():
    """TD-Q3."""
    found = modes.three_gradients()
    a, b, x = np.array([[1, 2], [0, 1], [-1, 3]]), np.array([1, 0, 2]), np.array([0.5, -1])
    close(found["g1"], a.T @ (a @ x - b))
    assert found["jacobian"].tolist() == [[1, 0, 2], [-1, 3, 1]]
    m, p, q = np.array([[1, 2, 0], [0, 1, 3]]), np.array([[1], [2]]), np.array([[1, 0, 1]])
    close(found["dp"][0], -(m - p @ q) @ q.T)
    close(found["dp"][1], -p.T @ (m - p @ q))
    assert found["errors"][-1] < 1e-20 < found["errors"][0]


def test_composition_and_directions():
    """TD-Q4, DP-17.37 to DP-17.40, DP-17.46: Jacobians by hand."""
    x1, x2, x3 = 1, 2, -1
    outer = [[1, 1], [x2 + x3, x1 * x2], [math.exp(x1 * x2), 0]]
    close(modes.composition(), np.array(outer) @ np.array([[x2, x1, 0], [0, 1, 1]]))
    found = modes.directions()
    close(found["exact"], 0.6 * 2 * 1 * 2 + 0.8 * (1 + math.cos(2)))
    x1, x2, x3 = 0.5, -1, 2
    j = np.array([[x2, x1, 0], [2 * x1, 0, math.cos(x3)], [0, x3 * math.exp(x2 * x3), x2 * math.exp(x2 * x3)]])
    close(found["jacobian"], j)
    close(found["Jv"], j @ [1, 2, -1])
    close(found["JTu"], j.T @ [1, -1, 2])


def test_one_layer():
    """TD-Q5, TD-Q6, TD-Q7."""
    found = modes.one_layer()
    x, big, w = np.array([1, -1, 2]), np.array([[0.1, 0.2, -0.3], [0.4, -0.5, 0.6]]), np.array([0.7, -0.8])
    y = np.tanh(big @ x)
    slope = 1 - np.tanh(w @ y) ** 2
    close(found["w"], slope * y)
    close(found["W"], slope * np.outer(w * (1 - y**2), x))


def test_adjoints():
    """DP-17.41: every linear map."""
    found = modes.adjoints()
    assert len(found) >= 20
    assert max(found.values()) < 1e-13


def test_chains():
    """DP-17.58, DP-17.60 by NumPy's matrices."""
    found = modes.chains()
    a, b = np.array(modes.CHAIN_A), np.array(modes.CHAIN_B)
    x = np.array([0.1, -0.2, 0.3])
    h = np.tanh(a @ x)
    y = np.exp(b @ h)
    j = np.diag(y) @ b @ np.diag(1 - h**2) @ a
    close(found["xs"][-1], y)
    close(found["ts"][-1], j @ [1, -1, 0.5])
    close(found["rs"][0], j.T @ [1, 2])


@pytest.mark.parametrize("depth", [4, 16, 64])
def test_memory(depth):
    """DP-17.62: two vectors for forward mode; for reverse mode every state, and the tangent on its way."""
    assert max(modes.alive(depth, "forward")) == 2
    held = modes.alive(depth, "reverse")
    assert held[: depth - 1] == [held[0] + k for k in range(depth - 1)]  # rising by one
    assert depth <= max(held) <= depth + 3
    assert held[-1] == 2


def test_programs():
    """DP-17.49: values by math, nodes in any order, no circle."""
    found = modes.programs()
    assert found["straight"] == pytest.approx(math.sin(math.exp(0.3)) ** 2, rel=1e-14)
    p = 2 * math.exp(1)
    assert found["sharing"] == pytest.approx(p * math.sqrt(1 + p), rel=1e-14)
    assert modes.in_order([[], [4], [1], [3]]) == [1, 3, 4, 2]
    with pytest.raises(ValueError, match="circle goes through x2, x3"):
        modes.in_order([[], [1, 3], [2]])


def test_graphs():
    """DP-17.65, DP-17.66: closed forms of both programs' derivatives."""
    found = modes.graphs()
    x1, x2 = 1.0, 2.0
    p = x2 * math.exp(x1)
    root = math.sqrt(x1 + p)
    close(found["r"][0], p * root + p * (1 + p) / (2 * root))
    close(found["r"][1], math.exp(x1) * root + p * math.exp(x1) / (2 * root))
    t, log = 3.0, math.log(3.0)
    close(found["G11"], 2 * t * log * math.log(log) + t * math.log(log) + t)
    assert modes.layered()


def test_inverses_and_products():
    """DP-17.67, D18-tensor-product, D18-kronecker, D18-tensor-identities."""
    same, drift = modes.inverses()
    assert same
    assert drift < 1e-12
    result, big, checks = modes.products()
    a, b, m = np.array([[1, 2], [3, 4]]), np.array([[2, -1], [1, 0]]), np.array([[1, 2], [0, 1]])
    assert result.tolist() == (b @ m @ a.T).tolist()
    assert big.tolist() == np.kron(a, b).tolist()
    assert all(checks.values())


def test_the_program_runs():
    text = run("modes.py")
    assert "False" not in text
    assert "TD-Q7" in run("modes.py", "--help")


def test_primitives():
    """DP-primitives: both modes of every operator belong together, and agree with difference quotients."""
    found = primitives.every()
    assert len(found) > 200
    for name, (rules, _, examples, apart, quotient) in found.items():
        assert rules, name
        assert examples, name
        assert apart < 1e-12, name
        assert quotient < 1e-6, name
    assert max(primitives.softly().values()) < 1e-14
    assert "operators" in run("primitives.py")


@pytest.mark.skipif(mt.cpu.isa() == "reference", reason="small arrays that NumPy makes are not in the pool")
def test_checkpoints():
    """DP-17.68: evaluations as the theory has them, bytes within 5 %."""
    text = run("memory.py", "--depth", 16, "--size", 4096, "--snapshots", 2)
    rows = [line.rsplit(None, 6) for line in text.splitlines()[1:] if line.strip()]
    assert len(rows) >= 5
    for *_, evaluations, expected, held, theory, _ in rows:
        assert evaluations == expected
        assert float(held) == pytest.approx(float(theory), rel=0.05, abs=0.02)
