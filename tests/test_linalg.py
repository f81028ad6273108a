"""Linear systems and determinants: exact inverses and cofactors by fractions, derivatives, errors."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from checks import check, check_third, leaves

import minitensor as mt
from minitensor.errors import DtypeError, ShapeError


def regular(rng, *shape):
    return mt.from_numpy(rng.standard_normal(shape) + 3 * np.eye(shape[-1])).requires_grad_()


def positive(rng, *shape):
    x = rng.standard_normal(shape)
    return mt.from_numpy(x @ np.swapaxes(x, -1, -2) + np.eye(shape[-1])).requires_grad_()


# --- exact: fractions -------------------------------------------------------------------------------------------------


def exact_det(m):
    """By the definition: the sum over all permutations."""
    n = len(m)
    total = Fraction(0)
    for p in itertools.permutations(range(n)):
        sign = (-1) ** sum(p[i] > p[j] for i in range(n) for j in range(i + 1, n))
        term = Fraction(sign)
        for i in range(n):
            term *= m[i][p[i]]
        total += term
    return total


def minor(m, rows, columns):
    return [[v for j, v in enumerate(row) if j not in columns] for i, row in enumerate(m) if i not in rows]


def exact_cofactors(m):
    n = len(m)
    return [[(-1) ** (i + j) * exact_det(minor(m, (i,), (j,))) for j in range(n)] for i in range(n)]


def exact_inverse(m):
    d = exact_det(m)
    c = exact_cofactors(m)
    n = len(m)
    return [[c[j][i] / d for j in range(n)] for i in range(n)]


def floats(m):
    return np.array([[float(v) for v in row] for row in m])


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6])
def test_hilbert_matrices(n):
    """H_ij = 1 / (i + j + 1): badly conditioned, and its inverse is of integers."""
    h = [[Fraction(1, i + j + 1) for j in range(n)] for i in range(n)]
    y = exact_inverse(h)
    assert all(v.denominator == 1 for row in y for v in row)
    x = mt.tensor(floats(h), dtype=mt.float64)
    lost = np.linalg.cond(floats(h)) * 1e-15
    np.testing.assert_allclose(mt.linalg.inv(x).numpy(), floats(y), rtol=lost)
    b = [[sum(row)] for row in h]  # the solution is all ones
    np.testing.assert_allclose(mt.linalg.solve(x, mt.tensor(floats(b), dtype=mt.float64)).numpy(), 1, rtol=lost)
    np.testing.assert_allclose(mt.linalg.det(x).item(), float(exact_det(h)), rtol=lost)
    np.testing.assert_allclose(mt.cholesky_inverse(mt.linalg.cholesky(x)).numpy(), floats(y), rtol=10 * lost)


SINGULAR = {
    "rank 0": [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
    "rank 1": [[1, 2, 3], [2, 4, 6], [-1, -2, -3]],
    "rank 2": [[1, 2, 3], [4, 5, 6], [7, 8, 9]],
    "a row of zeros": [[1, 2, 3], [0, 0, 0], [3, 1, 5]],
    "1 x 1": [[0]],
    "2 x 2, rank 1": [[1, 2], [2, 4]],
    "4 x 4, rank 2": [[1, 0, 2, 3], [0, 1, 1, -1], [1, 1, 3, 2], [1, -1, 1, 4]],
    "4 x 4, rank 3": [[1, 0, 2, 3], [0, 1, 1, -1], [1, 1, 3, 2], [1, -1, 0, 4]],
    "5 x 5, rank 1": [[i * j for j in range(1, 6)] for i in range(1, 6)],
}


@pytest.mark.parametrize("kind", SINGULAR)
def test_the_gradient_of_det_at_a_singular_matrix_is_of_cofactors(kind):
    m = [[Fraction(v) for v in row] for row in SINGULAR[kind]]
    assert exact_det(m) == 0
    x = mt.tensor(floats(m), dtype=mt.float64, requires_grad=True)
    mt.linalg.det(x).backward()
    scale = np.abs(floats(m)).max() + 1
    np.testing.assert_allclose(x.grad.numpy(), floats(exact_cofactors(m)), atol=1e-12 * scale ** len(m))


@pytest.mark.parametrize("kind", SINGULAR)
def test_the_second_derivative_of_det_at_a_singular_matrix(kind):
    """d^2 det / dx_ij dx_kl is the minor without rows i, k and columns j, l, with its sign, and 0 where they meet."""
    m = [[Fraction(v) for v in row] for row in SINGULAR[kind]]
    n = len(m)
    want = np.zeros((n, n, n, n))
    for i, j, p, q in itertools.product(range(n), repeat=4):
        if i != p and j != q:
            sign = (-1) ** (i + j + p + q) * (1 if (i < p) == (j < q) else -1)
            want[i, j, p, q] = sign * exact_det(minor(m, (i, p), (j, q)))
    x = mt.tensor(floats(m), dtype=mt.float64, requires_grad=True)
    (g,) = mt.autograd.grad(mt.linalg.det(x), x, create_graph=True)
    for i, j in itertools.product(range(n), repeat=2):
        (row,) = mt.autograd.grad(g[i, j], x, retain_graph=True, allow_unused=True)
        found = np.zeros((n, n)) if row is None else row.numpy()
        np.testing.assert_allclose(found, want[i, j], atol=1e-10)


@pytest.mark.parametrize("kind", ["rank 0", "rank 1", "rank 2", "4 x 4, rank 2"])
def test_the_third_derivative_of_det_at_a_singular_matrix(kind):
    """det(A + t V) is a polynomial in t, whose coefficients differ in exact arithmetic."""
    m = [[Fraction(v) for v in row] for row in SINGULAR[kind]]
    n = len(m)
    rng = np.random.default_rng(0)
    v = [[Fraction(int(k)) for k in row] for row in rng.integers(-3, 4, (n, n))]

    def at(t):
        return exact_det([[a + t * b for a, b in zip(p, q, strict=True)] for p, q in zip(m, v, strict=True)])

    # the third difference of a polynomial of degree 3; of degree 4, by steps from both sides
    want = (at(2) - 2 * at(1) + 2 * at(-1) - at(-2)) / 2
    x = mt.tensor(floats(m), dtype=mt.float64, requires_grad=True)
    y = mt.linalg.det(x)
    for _ in range(2):
        (g,) = mt.autograd.grad(y, x, create_graph=True)
        y = (g * mt.from_numpy(floats(v))).sum()
    (g,) = mt.autograd.grad(y, x)
    assert float((g.numpy() * floats(v)).sum()) == pytest.approx(float(want), abs=1e-9)


def test_det_where_some_matrices_of_a_batch_are_singular():
    rng = np.random.default_rng(1)
    a = rng.standard_normal((5, 3, 3))
    a[1, 0] = a[1, 1] + a[1, 2]
    a[3] = np.outer(a[3, 0], a[3, 1])
    a[4] = 0
    x = mt.from_numpy(a).requires_grad_()
    check(mt.linalg.det, x)
    together = mt.autograd.grad(mt.linalg.det(x).sum(), x)[0].numpy()
    for i in range(5):
        one = mt.from_numpy(a[i].copy()).requires_grad_()
        np.testing.assert_allclose(together[i], mt.autograd.grad(mt.linalg.det(one), one)[0].numpy(), atol=1e-12)


def test_third_derivatives():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((3, 3)) + 2 * np.eye(3)
    v = rng.standard_normal((3, 3))
    check_third(lambda a: mt.linalg.det(a), x, v)
    check_third(lambda a: mt.linalg.inv(a).sum(), x, v)
    check_third(lambda a: mt.logdet(a @ a.T), x, v)


# --- inverses and systems ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 3), (1, 1), (2, 3, 3), (2, 1, 2, 2)])
def test_inverses_and_determinants(shape):
    x = regular(np.random.default_rng(3), *shape)
    a = x.detach().numpy()
    np.testing.assert_allclose(
        (mt.linalg.inv(x) @ x).detach().numpy(), np.broadcast_to(np.eye(shape[-1]), shape), atol=1e-12
    )
    sign, size = mt.linalg.slogdet(x)
    np.testing.assert_allclose((sign * size.exp()).detach().numpy(), np.linalg.det(a))
    np.testing.assert_allclose(mt.linalg.det(x).detach().numpy(), np.linalg.det(a))
    check(mt.linalg.inv, x)
    check(mt.linalg.det, x)
    check(lambda m: mt.linalg.slogdet(m).logabsdet, x)


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_empty_matrices_and_batches(dtype):
    none, batch = mt.zeros(0, 0, dtype=dtype), mt.zeros(0, 3, 3, dtype=dtype)
    assert mt.linalg.det(none).item() == 1
    assert mt.logdet(none).item() == 0
    assert mt.linalg.det(mt.zeros(4, 0, 0, dtype=dtype)).tolist() == [1.0] * 4
    for f in (mt.linalg.inv, mt.linalg.cholesky, lambda x: mt.linalg.solve(x, x), lambda x: mt.linalg.lu(x).U):
        assert f(none).shape == (0, 0)
        assert f(batch).shape == (0, 3, 3)
        assert f(batch).dtype == dtype
    x = batch.clone().requires_grad_()
    mt.linalg.det(x).sum().backward()
    assert x.grad.shape == (0, 3, 3)
    x = none.clone().requires_grad_()
    mt.linalg.det(x).backward()
    assert x.grad.shape == (0, 0)


@pytest.mark.parametrize(
    ("a", "b"), [((3, 3), (3,)), ((3, 3), (3, 2)), ((2, 3, 3), (2, 3)), ((2, 3, 3), (3, 2)), ((3, 3), (2, 3, 1))]
)
def test_solve(a, b):
    rng = np.random.default_rng(4)
    x, (y,) = regular(rng, *a), leaves(rng, b)
    found = mt.linalg.solve(x, y)
    vector = len(b) == 1 or b == a[:-1]
    back = (x @ found[..., None])[..., 0] if vector else x @ found
    np.testing.assert_allclose(back.detach().numpy(), np.broadcast_to(y.detach().numpy(), back.shape), atol=1e-12)
    check(mt.linalg.solve, x, y)
    if not vector and y.mT.shape != x.shape[:-1]:  # else they would count as vectors
        z = y.mT.detach()
        np.testing.assert_allclose(
            (mt.linalg.solve(x, z, left=False) @ x).detach().numpy(),
            np.broadcast_to(z.numpy(), back.mT.shape),
            atol=1e-12,
        )


@pytest.mark.parametrize("upper", [False, True])
@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("n", [1, 3, 16, 17, 70])
def test_solve_triangular(upper, left, unit, n):
    rng = np.random.default_rng(n)
    a = rng.standard_normal((n, n)) / n + np.eye(n)
    t = np.triu(a) if upper else np.tril(a)
    if unit:
        np.fill_diagonal(t, 1)
    b = rng.standard_normal((n, 2) if left else (2, n))
    x = mt.linalg.solve_triangular(
        mt.from_numpy(a), mt.from_numpy(b), upper=upper, left=left, unitriangular=unit
    ).numpy()
    np.testing.assert_allclose(t @ x if left else x @ t, b, atol=1e-10)


def test_a_triangular_system_with_a_zero_on_its_diagonal_is_infinite():
    x = mt.linalg.solve_triangular(mt.zeros(1, 1), mt.ones(1, 2), upper=True)
    assert x.tolist() == [[float("inf")] * 2]


def test_triangular_solve_and_cholesky_solve():
    rng = np.random.default_rng(5)
    a, b = positive(rng, 4, 4), leaves(rng, (4, 2))[0]
    low = mt.linalg.cholesky(a)
    np.testing.assert_allclose((low @ low.T).detach().numpy(), a.detach().numpy())
    np.testing.assert_allclose((a @ mt.cholesky_solve(b, low)).detach().numpy(), b.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(
        mt.cholesky_solve(b, low.T, upper=True).detach().numpy(), mt.cholesky_solve(b, low).detach().numpy()
    )
    x, given = mt.triangular_solve(b, low, upper=False, transpose=True)
    assert given is low
    np.testing.assert_allclose((low.T @ x).detach().numpy(), b.detach().numpy(), atol=1e-12)
    check(lambda m, v: mt.cholesky_solve(v, mt.linalg.cholesky(m @ m.T)), a, b)


def test_cholesky_reads_one_triangle_and_has_a_symmetric_gradient():
    a = mt.tensor([[4.0, 99.0], [2.0, 5.0]], dtype=mt.float64, requires_grad=True)
    low = mt.linalg.cholesky(a)
    assert low.tolist() == [[2.0, 0.0], [1.0, 2.0]]
    assert mt.linalg.cholesky(a.T, upper=True).tolist() == [[2.0, 1.0], [0.0, 2.0]]
    low[1, 1].backward()  # sqrt(a11 - a10^2 / a00)
    np.testing.assert_allclose(a.grad.numpy(), [[1 / 16, -1 / 8], [-1 / 8, 1 / 4]])
    check(lambda m: mt.linalg.cholesky(m @ m.mT), positive(np.random.default_rng(6), 2, 3, 3))


def test_lu():
    rng = np.random.default_rng(7)
    for shape in ((4, 4), (5, 3), (3, 5), (2, 4, 4), (1, 1)):
        (x,) = leaves(rng, shape)
        p, low, up = mt.linalg.lu(x)
        np.testing.assert_allclose((p @ low @ up).detach().numpy(), x.detach().numpy(), atol=1e-12)
        assert low.detach().abs().max().item() == 1
        np.testing.assert_array_equal(up.detach().numpy(), np.triu(up.detach().numpy()))
        check(lambda m: mt.linalg.lu(m)[1:], x)
    x, b = regular(rng, 2, 3, 3), leaves(rng, (2, 3, 2))[0]
    factors = mt.linalg.lu_factor(x)
    for options, product in (
        ({}, lambda v: x @ v),
        ({"adjoint": True}, lambda v: x.mT @ v),
    ):
        found = mt.linalg.lu_solve(*factors, b, **options)
        np.testing.assert_allclose(product(found).detach().numpy(), b.detach().numpy(), atol=1e-12)
    found = mt.linalg.lu_solve(*factors, b.mT, left=False)
    np.testing.assert_allclose((found @ x).detach().numpy(), b.mT.detach().numpy(), atol=1e-12)
    np.testing.assert_allclose(
        mt.lu_solve(b, *factors).detach().numpy(), mt.linalg.solve(x, b).detach().numpy(), atol=1e-12
    )
    check(lambda m, v: mt.linalg.lu_solve(*mt.linalg.lu_factor(m), v), x, b)


# --- what has no answer -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_singular_and_indefinite_matrices(dtype):
    ones, batch = mt.ones(2, 2, dtype=dtype), mt.stack([mt.eye(3), mt.ones(3, 3)]).to(dtype)
    for call, words in (
        (lambda: mt.linalg.inv(ones), r"linalg\.inv: a matrix of shape \(2, 2\) is singular"),
        (lambda: mt.inverse(batch), r"linalg\.inv: element 1 of the batch \(2,\), .*\(3, 3\), is singular"),
        (lambda: mt.linalg.inv(batch[None]), r"element \(0, 1\) of the batch \(1, 2\)"),
        (lambda: mt.linalg.solve(batch, mt.ones(3, dtype=dtype)[:, None]), r"linalg\.solve: element 1"),
        (lambda: mt.linalg.cholesky(-ones), r"linalg\.cholesky: .*leading minor of order 1 is not positive"),
        (lambda: mt.linalg.cholesky(ones), r"order 2"),
        (lambda: mt.linalg.cholesky(batch), r"element 1 of the batch \(2,\).*order 2"),
        (lambda: mt.linalg.lu_factor(mt.zeros(2, 2, dtype=dtype)), r"linalg\.lu_factor: .*element \(1, 1\) of U is 0"),
    ):
        with pytest.raises(mt.linalg.LinAlgError, match=words):
            call()
    with pytest.raises(RuntimeError):
        mt.linalg.inv(ones)
    y, info = mt.linalg.inv_ex(batch)
    assert info.tolist() == [0, 1]
    assert y[0].tolist() == mt.eye(3).tolist()
    assert y[1].isnan().all()
    low, info = mt.linalg.cholesky_ex(batch)
    assert info.tolist() == [0, 2]
    assert low[0].tolist() == mt.eye(3).tolist()
    info = mt.linalg.solve_ex(batch, batch).info
    assert info.tolist() == [0, 1]
    assert mt.linalg.slogdet(ones)[1].item() == -np.inf
    assert mt.logdet(ones).item() == -np.inf
    assert mt.logdet(-mt.eye(1, dtype=dtype)).isnan()


@pytest.mark.parametrize("f", ["inv", "det", "slogdet", "cholesky", "lu", "lu_factor", "inv_ex", "cholesky_ex"])
def test_matrices_of_the_wrong_kind(f):
    call = getattr(mt.linalg, f)
    with pytest.raises(ShapeError, match=rf"linalg\.{f.removesuffix('_ex')}: expected a matrix.*\(3,\)"):
        call(mt.ones(3))
    with pytest.raises(DtypeError, match="int64"):
        call(mt.ones(2, 2, dtype=mt.int64))
    with pytest.raises(DtypeError, match="float16"):
        call(mt.ones(2, 2).half())
    if not f.startswith("lu"):
        with pytest.raises(ShapeError, match="expected square matrices, got 2 x 3 ones"):
            call(mt.ones(2, 3))


def test_sizes_that_do_not_fit():
    eye = mt.eye(3)
    for call, words in (
        (lambda: mt.linalg.solve(eye, mt.ones(2, 2)), "no common size 3"),
        (lambda: mt.linalg.solve(eye, mt.ones(3), left=False), "B must be a matrix"),
        (lambda: mt.linalg.solve(mt.ones(2, 3, 3), mt.ones(4, 3, 1)), r"batches \(2,\) and \(4,\)"),
        (lambda: mt.linalg.solve_triangular(eye, mt.ones(2, 2), upper=True), "no common size 3"),
        (lambda: mt.linalg.lu_solve(eye, mt.ones(3, dtype=mt.int32), mt.ones(2, 1)), "do not fit together"),
    ):
        with pytest.raises(ShapeError, match=words):
            call()
    with pytest.raises(DtypeError, match="float32 and float64"):
        mt.linalg.solve(eye, mt.ones(3, dtype=mt.float64))


def test_out_and_methods():
    a = mt.tensor([[2.0, 0.0], [0.0, 4.0]])
    out = mt.empty(2, 2)
    assert mt.linalg.inv(a, out=out) is out
    assert out.tolist() == [[0.5, 0.0], [0.0, 0.25]]
    assert mt.linalg.cholesky(a, out=out) is out
    assert mt.linalg.solve(a, mt.eye(2), out=out) is out
    assert out.tolist() == [[0.5, 0.0], [0.0, 0.25]]
    pair = mt.empty(()), mt.empty(())
    result = mt.linalg.slogdet(a, out=pair)
    assert result.sign is pair[0]
    assert pair[1].item() == pytest.approx(np.log(8))
    assert a.det().item() == 8
    assert a.inverse().tolist() == [[0.5, 0.0], [0.0, 0.25]]
    assert a.logdet().item() == pytest.approx(np.log(8))
    assert a.cholesky()[1, 1].item() == 2


@pytest.mark.parametrize("bad", [np.inf, -np.inf, np.nan])
def test_matrices_that_are_not_finite_are_refused_and_not_iterated_on(bad):
    """LAPACK's singular values of a matrix with an infinity never end."""
    for dtype in (np.float32, np.float64):
        a = np.ones((2, 3, 3), dtype)
        a[1, 0, 0] = bad
        x = mt.from_numpy(a)
        for f in (mt.linalg.svd, mt.linalg.svdvals, mt.linalg.eigh, mt.linalg.eigvalsh, mt.linalg.eig, mt.linalg.pinv):
            with pytest.raises(RuntimeError, match=r"element 1 of the batch \(2,\).*not finite"):
                f(x)
