"""L D L^T: known pivots, the product of the factors, solutions, batches, errors; and lu_factor_ex, lu_unpack."""

import numpy as np
import pytest
from checks import check

import minitensor as mt


def factors(ld, pivots):
    """(L with the exchanges, D) such that L D L^T is the matrix, from LAPACK's packed form."""
    n = len(ld)
    whole, d, k = np.eye(n), np.zeros((n, n)), 0
    while k < n:
        size = 1 if pivots[k] > 0 else 2
        last, row = k + size - 1, abs(pivots[k]) - 1
        exchange, column = np.eye(n), np.eye(n)
        exchange[[last, row]] = exchange[[row, last]]
        column[k + size :, k : k + size] = ld[k + size :, k : k + size]
        block = ld[k : k + size, k : k + size]
        d[k : k + size, k : k + size] = np.tril(block) + np.tril(block, -1).T
        whole, k = whole @ exchange @ column, k + size
    return whole, d


def test_known_pivots():
    ld, pivots = mt.linalg.ldl_factor(mt.tensor([[0.0, 2.0], [2.0, 1.0]]))  # a block of two
    assert ld.tolist() == [[0.0, 0.0], [2.0, 1.0]]
    assert pivots.tolist() == [-2, -2]
    ld, pivots = mt.linalg.ldl_factor(mt.tensor([[1.0, 4.0], [4.0, 8.0]]))  # an exchange
    assert ld.tolist() == [[8.0, 0.0], [0.5, -1.0]]
    assert pivots.tolist() == [2, 2]
    assert pivots.dtype == mt.int32
    ld, pivots = mt.linalg.ldl_factor(mt.tensor([[4.0, -99.0], [2.0, 3.0]]))  # the upper triangle is not read
    assert ld.tolist() == [[4.0, 0.0], [0.5, 2.0]]


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8, 20])
def test_the_factors_make_the_matrix_and_the_solution_solves_it(n):
    rng = np.random.default_rng(n)
    for trial in range(20):
        x = rng.standard_normal((n, n))
        a = x + x.T
        if trial % 2:
            np.fill_diagonal(a, 0 if n > 1 else 1)
        ld, pivots, info = mt.linalg.ldl_factor_ex(mt.tensor(a))
        low, d = factors(ld.numpy(), pivots.numpy())
        assert np.allclose(low @ d @ low.T, a, atol=1e-12)
        if info == 0 and np.linalg.cond(a) < 1e6:
            b = rng.standard_normal((n, 2))
            got = mt.linalg.ldl_solve(ld, pivots, mt.tensor(b)).numpy()
            assert np.allclose(got, np.linalg.solve(a, b), atol=1e-8)


def test_batches_broadcast_and_the_right_side_has_derivatives():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 3, 3))
    a = mt.from_numpy(x + np.swapaxes(x, -1, -2))
    ld, pivots = mt.linalg.ldl_factor(a)
    b = mt.from_numpy(rng.standard_normal((4, 1, 3, 2))).requires_grad_()
    got = mt.linalg.ldl_solve(ld, pivots, b)
    assert np.allclose((a @ got).detach().numpy(), np.broadcast_to(b.detach().numpy(), (4, 2, 3, 2)), atol=1e-10)
    check(lambda y: mt.linalg.ldl_solve(ld, pivots, y), b)
    assert mt.linalg.ldl_factor(mt.zeros(0, 2, 2)).LD.shape == (0, 2, 2)
    assert mt.linalg.ldl_solve(mt.zeros(0, 0), mt.zeros(0, dtype=mt.int32), mt.zeros(0, 2)).shape == (0, 2)


def test_ldl_refuses():
    with pytest.raises(mt.linalg.LinAlgError, match="is singular"):
        mt.linalg.ldl_factor(mt.zeros(2, 2))
    assert mt.linalg.ldl_factor_ex(mt.zeros(2, 2)).info.item() == 1
    with pytest.raises(RuntimeError, match="no derivative"):
        mt.linalg.ldl_factor(mt.eye(2).requires_grad_())
    with pytest.raises(ValueError, match="square"):
        mt.linalg.ldl_factor(mt.zeros(2, 3))
    ld, pivots = mt.linalg.ldl_factor(mt.eye(2))
    for b in (mt.zeros(3, 1), mt.zeros(2)):
        with pytest.raises(ValueError, match=r"ldl_solve"):
            mt.linalg.ldl_solve(ld, pivots, b)
    with pytest.raises(ValueError, match="not rows from 1 to 2"):
        mt.linalg.ldl_solve(ld, pivots + 5, mt.zeros(2, 1))
    with pytest.raises(TypeError, match="must be integers"):
        mt.linalg.ldl_solve(ld, pivots.float(), mt.zeros(2, 1))


def test_a_pivot_of_two_at_the_end_is_whole():
    with pytest.raises(ValueError, match="blocks of two"):
        mt.linalg.ldl_solve(mt.eye(2), mt.tensor([1, -2], dtype=mt.int32), mt.zeros(2, 1))


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2), (2, 3, 3), (0, 0)])
def test_lu_unpack_gives_the_factors_of_lu(shape):
    a = mt.randn(*shape, dtype=mt.float64)
    packed, pivots, info = mt.linalg.lu_factor_ex(a)
    p, low, up = mt.lu_unpack(packed, pivots)
    assert np.allclose((p @ low @ up).numpy(), a.numpy(), atol=1e-12)
    assert not info.any()
    assert mt.lu_unpack(packed, pivots, unpack_data=False).L.shape == (0,)
    assert mt.lu_unpack(packed, pivots, unpack_pivots=False).P.shape == (0,)


def test_lu_factor_ex_says_where_and_lu_unpack_has_derivatives():
    assert mt.linalg.lu_factor_ex(mt.tensor([[1.0, 2.0], [1.0, 2.0]])).info.item() == 2
    assert mt.linalg.lu_factor_ex(mt.stack([mt.zeros(2, 2), mt.eye(2)])).info.tolist() == [1, 0]
    with pytest.raises(mt.linalg.LinAlgError, match="is singular"):
        mt.linalg.lu_factor_ex(mt.zeros(2, 2), check_errors=True)
    with pytest.raises(ValueError, match="pivots"):
        mt.lu_unpack(mt.eye(2), mt.zeros(2))
    x = mt.from_numpy(np.random.default_rng(0).standard_normal((3, 3)) + 3 * np.eye(3)).requires_grad_()
    check(lambda a: mt.lu_unpack(*mt.linalg.lu_factor(a)).U, x)


def test_linalg_diagonal_is_of_the_last_axes():
    x = mt.arange(12.0).reshape(2, 2, 3)
    assert mt.linalg.diagonal(x).tolist() == [[0.0, 4.0], [6.0, 10.0]]
    assert mt.linalg.diagonal(x, offset=1).tolist() == [[1.0, 5.0], [7.0, 11.0]]
    assert mt.linalg.diagonal(x, dim1=0, dim2=1).shape == (3, 2)
