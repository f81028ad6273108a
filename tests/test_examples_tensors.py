"""The program on tensors: against plain Python and NumPy."""

from __future__ import annotations

import math

import numpy as np
import tensors
from programs import run

import minitensor as mt


def test_vectors():
    """N01, N02, N03."""
    found = tensors.vectors()
    assert found["arange(1, 8, 0.5)"].tolist() == [1 + k / 2 for k in range(14)]
    np.testing.assert_allclose(found["linspace(0, 1, 12)"].numpy(), [k / 11 for k in range(12)], rtol=1e-6)
    assert found["7 ones(5)"].tolist() == [7] * 5
    for name, values in {
        "2X": [2, 4, 6, 8],
        "X^2": [1, 4, 9, 16],
        "X + Y": [11, 13, 15, 17],
        "X Y": [10, 22, 36, 52],
    }.items():
        assert found[name].tolist() == values
        assert found[name].dtype == mt.int64
    assert found["1/X"].dtype == mt.float32
    assert (found["sum"], found["min"], found["max"]) == (10, 1, 4)


def test_matrices_and_slices():
    """W01, W02, W03, W06."""
    found = tensors.matrices()
    assert found["grad"].tolist() == [[1, 2, 3], [4, 5, 6]]
    assert found["Z"].tolist() == [[(i / 2) ** 2 + (j / 2) ** 2 for i in range(5)] for j in range(5)]
    found = tensors.slices()
    expected = [2 * 10 * k / 99 if 10 <= k < 20 else 0 for k in range(100)]
    np.testing.assert_allclose(found["grad"].numpy(), expected, rtol=1e-12)
    assert found["longer"].tolist() == [k / 2 for k in range(10)] + [8.5]


def test_functions_and_infinity():
    """W04, W05."""
    found = tensors.functions()
    assert found["one"] == 3
    assert "(2,)" in found["error"]
    assert "any()" in found["error"]
    assert found["where"] == [1, 2, 0]
    found = tensors.infinity()
    np.testing.assert_equal(found["1/X"], [-1, math.inf, 1, 0.5, 1 / 3])
    np.testing.assert_allclose(found["log X"], [math.nan, -math.inf, 0, math.log(2), math.log(3)])
    np.testing.assert_allclose(found["exp(log X)"], [math.nan, 0, 1, 2, 3])


def test_dimensions_and_products():
    """D15-*, D12-matadd, D12-matscale, D12-matmul: gradients of a sum by hand."""
    found = tensors.dimensions()
    assert list(found["sizes"].values()) == [1155, 784, 3072, 153_600_000]
    assert found["grads"][0].tolist() == [[0, 1, 2], [6, 7, 8]]
    assert found["reshaped"].tolist() == np.array(tensors.T).reshape(2, 3, 3).tolist()
    found = tensors.products()
    a, b = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]), np.arange(1, 10).reshape(3, 3)
    value, da, db = found["D12-matmul"]
    assert value.tolist() == (a @ b).tolist()
    assert da.tolist() == np.broadcast_to(b.sum(1), (3, 3)).tolist()
    assert db.tolist() == np.broadcast_to(a.sum(0)[:, None], (3, 3)).tolist()
    assert found["D12-matscale"][2] == 36
    assert found["D12-matadd"][0].tolist() == [[1, 3, 3], [5, 1, 7], [7, 9, 9]]


def test_the_program_runs():
    assert "W05" in run("tensors.py")
