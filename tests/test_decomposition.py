"""Decompositions and what is made of them: their definitions, derivatives, equal values, ranks, norms, errors."""

import math

import numpy as np
import pytest
from checks import check, check_third, leaves

import minitensor as mt
from minitensor import linalg
from minitensor.errors import DtypeError, ShapeError

SHAPES = [(3, 3), (4, 2), (2, 4), (1, 1), (2, 3, 2), (2, 1, 2, 3)]


def draw(seed, *shape):
    return leaves(np.random.default_rng(seed), shape)[0]


def same(found, want, atol=1e-10):
    np.testing.assert_allclose(
        found.detach().numpy(), want.detach().numpy() if hasattr(want, "detach") else want, atol=atol
    )


def with_values(rng, values):
    """A symmetric matrix with the eigenvalues."""
    q, _ = np.linalg.qr(rng.standard_normal((len(values), len(values))))
    return q @ np.diag(values) @ q.T


# --- definitions ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_svd(shape):
    x = draw(0, *shape)
    u, s, vh = linalg.svd(x, full_matrices=False)
    same(u * s[..., None, :] @ vh, x)
    same(linalg.svdvals(x), s)
    assert (s.detach().numpy()[..., :-1] >= s.detach().numpy()[..., 1:]).all()
    full = linalg.svd(x)
    assert full.U.shape == (*shape[:-1], shape[-2])
    assert full.Vh.shape == (*shape[:-2], shape[-1], shape[-1])
    same(full.U @ full.U.mT, np.broadcast_to(np.eye(shape[-2]), full.U.shape))
    old = mt.svd(x)
    same(old.U * old.S[..., None, :] @ old.V.mT, x)
    check(linalg.svdvals, x)
    check(lambda a: tuple(linalg.svd(a, full_matrices=False)), x)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("mode", ["reduced", "complete", "r"])
def test_qr(shape, mode):
    x = draw(1, *shape)
    q, r = linalg.qr(x, mode)
    m, n = shape[-2:]
    assert r.shape == (*shape[:-2], m if mode == "complete" else min(m, n), n)
    same(r, np.triu(r.detach().numpy()))
    if mode == "r":
        assert q.shape == (0,)
        check(lambda a: linalg.qr(a, mode).R, x)
        return
    same(q @ r, x)
    same(q.mT @ q, np.broadcast_to(np.eye(q.shape[-1]), (*shape[:-2], q.shape[-1], q.shape[-1])))
    if mode == "reduced" or m <= n + 1:
        check(lambda a: tuple(linalg.qr(a, mode)), x)


def test_the_projection_on_the_complement_has_a_gradient():
    """Columns that are not unique, in a function that does not depend on their choice: 1 - A A^+."""
    x = draw(2, 5, 2)

    def by_qr(a):
        q = linalg.qr(a, "complete").Q[:, 2:]
        return q @ q.T

    def by_svd(a):
        u = linalg.svd(a).U[:, 2:]
        return u @ u.T

    w = mt.from_numpy(np.random.default_rng(3).standard_normal((5, 5)))
    want = mt.autograd.grad((w * (mt.eye(5, dtype=mt.float64) - x @ linalg.pinv(x))).sum(), x)[0]
    for f in (by_qr, by_svd):
        same(f(x), np.eye(5) - x.detach().numpy() @ np.linalg.pinv(x.detach().numpy()))
        same(mt.autograd.grad((w * f(x)).sum(), x)[0], want)
        check(f, x)


@pytest.mark.parametrize("shape", [(4, 4), (1, 1), (2, 3, 3)])
def test_eigh(shape):
    x = draw(4, *shape)
    a = (x + x.mT).detach()
    for options in ({}, {"UPLO": "U"}):
        w, v = linalg.eigh(a, **options)
        same(v * w[..., None, :] @ v.mT, a)
        same(linalg.eigvalsh(a, **options), w)
    junk = mt.from_numpy(np.tril(a.numpy()) + np.triu(np.ones(shape), 1))
    same(linalg.eigh(junk).eigenvalues, w)  # reads the lower triangle only
    same(linalg.eigh(junk.mT, "U").eigenvalues, w)
    check(lambda m: tuple(linalg.eigh(m + m.mT)), x)
    check(lambda m: linalg.eigvalsh(m + m.mT), x)
    with pytest.raises(ShapeError, match="UPLO must be"):
        linalg.eigh(a, "X")


def test_eig_of_real_eigenvalues():
    rng = np.random.default_rng(5)
    v = rng.standard_normal((4, 4))
    a = v @ np.diag([1.0, 2.5, -1.0, 4.0]) @ np.linalg.inv(v)
    x = mt.from_numpy(a).requires_grad_()
    w, vectors = linalg.eig(x)
    assert np.allclose(a @ vectors.detach().numpy(), (vectors * w).detach().numpy())
    assert sorted(w.real.tolist()) == pytest.approx([-1.0, 1.0, 2.5, 4.0])
    check(lambda m: linalg.eigvals(m).real, x)
    check(lambda m: tuple([part.real for part in linalg.eig(m)]), x)
    assert sorted(linalg.eigvals(mt.tensor([[0.0, -1.0], [1.0, 0.0]])).imag.tolist()) == [-1.0, 1.0]


# --- equal values -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("values", [[1.0, 1.0, 1.0], [1.0, 1.0, 3.0], [0.0, 0.0, 2.0]])
def test_equal_eigenvalues_give_finite_gradients(values):
    rng = np.random.default_rng(6)
    x = mt.from_numpy(with_values(rng, values)).requires_grad_()
    w, v = linalg.eigh(x)
    same(mt.autograd.grad(w.sum(), x, retain_graph=True)[0], np.eye(3))  # the trace
    same(mt.autograd.grad((w * w).sum(), x, retain_graph=True)[0], 2 * x)  # the square of the Frobenius norm
    projection = v @ v.T  # always 1
    weights = mt.from_numpy(rng.standard_normal((3, 3)))
    same(mt.autograd.grad((weights * projection).sum(), x)[0], np.zeros((3, 3)))
    if values[0] == values[1] != values[2]:  # the projection onto the space of the equal ones, which moves with x
        y = x.detach().requires_grad_()

        def onto(a):
            u = linalg.eigh((a + a.T) / 2).eigenvectors[:, :2]
            return u @ u.T

        assert mt.autograd.gradcheck(onto, (y,))


def test_equal_singular_values_give_finite_gradients():
    q = np.linalg.qr(np.random.default_rng(7).standard_normal((4, 3)))[0]
    for a in (q, q @ np.diag([2.0, 2.0, 0.0]), np.zeros((3, 2)), np.eye(3)):
        x = mt.from_numpy(a.copy()).requires_grad_()
        u, s, vh = linalg.svd(x, full_matrices=False)
        total = (u * s[..., None, :] @ vh).sum() + (s * s).sum()
        g = mt.autograd.grad(total, x, retain_graph=True)[0]
        assert g.isfinite().all()
        same(mt.autograd.grad((s * s).sum(), x)[0], 2 * a)


def test_third_derivatives():
    rng = np.random.default_rng(8)
    x, v = rng.standard_normal((3, 3)), rng.standard_normal((3, 3))
    check_third(lambda a: linalg.svdvals(a)[0], x, v)
    check_third(lambda a: linalg.eigvalsh(a + a.T)[0], x, v)
    check_third(lambda a: linalg.qr(a).R.sum(), x, v)
    check_third(lambda a: linalg.pinv(a[:2]).sum(), x, v)
    check_third(lambda a: linalg.matrix_exp(a / 2).sum(), x, v)


# --- reflections ------------------------------------------------------------------------------------------------------


def test_householder_product():
    """Against the reflections multiplied out as whole matrices."""
    a, tau = draw(9, 2, 4, 3), draw(10, 2, 2)
    want = []
    for m, t in zip(a.detach().numpy(), tau.detach().numpy(), strict=True):
        q = np.eye(4)
        for i in range(2):
            v = np.concatenate([np.zeros(i), [1.0], m[i + 1 :, i]])
            q = q @ (np.eye(4) - t[i] * np.outer(v, v))
        want.append(q[:, :3])
    same(linalg.householder_product(a, tau), np.array(want))
    check(linalg.householder_product, a, tau)
    assert linalg.householder_product(mt.ones(3, 2), mt.ones(0)).tolist() == mt.eye(3)[:, :2].tolist()
    with pytest.raises(ShapeError, match="m >= n"):
        linalg.householder_product(mt.ones(2, 3), mt.ones(2))


# --- pinv, lstsq, ranks -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_pinv_has_penroses_properties(shape):
    x = draw(11, *shape)
    p = linalg.pinv(x)
    same(x @ p @ x, x)
    same(p @ x @ p, p)
    same(x @ p, (x @ p).mT)
    same(p @ x, (p @ x).mT)
    check(linalg.pinv, x)


def test_pinv_of_a_singular_matrix():
    rng = np.random.default_rng(12)
    a = rng.standard_normal((4, 2)) @ rng.standard_normal((2, 3))
    same(linalg.pinv(mt.from_numpy(a)), np.linalg.pinv(a))
    assert mt.pinverse(mt.zeros(2, 3)).tolist() == [[0.0, 0.0]] * 3
    assert linalg.pinv(mt.eye(2) * mt.tensor([4.0, 1.0]), atol=2.0).tolist() == [[0.25, 0.0], [0.0, 0.0]]
    assert linalg.pinv(mt.eye(2) * mt.tensor([4.0, 1.0]), rtol=mt.tensor([0.1, 0.5])).shape == (2, 2, 2)
    s = with_values(rng, [0.0, -2.0, 3.0])
    same(linalg.pinv(mt.from_numpy(s), hermitian=True), np.linalg.pinv(s))
    y = draw(13, 3, 3)
    check(lambda m: linalg.pinv(m + m.T, hermitian=True), y)


def test_lstsq():
    x, y = draw(14, 2, 5, 3), draw(15, 2, 5, 2)
    found = linalg.lstsq(x, y)
    for i in range(2):
        want = np.linalg.lstsq(x[i].detach().numpy(), y[i].detach().numpy(), rcond=None)
        same(found.solution[i], want[0])
        same(found.residuals[i], want[1])
    assert found.rank.tolist() == [3, 3]
    assert found.singular_values.numel() == 0
    check(lambda a, b: linalg.lstsq(a, b).solution, x, y)
    assert linalg.lstsq(x, y, driver="gels").rank.numel() == 0
    same(linalg.lstsq(x, y, driver="gelsd").singular_values, linalg.svdvals(x))
    assert linalg.lstsq(x, y[..., 0]).solution.shape == (2, 3)
    assert linalg.lstsq(mt.ones(3, 2), mt.ones(3, 1)).residuals.numel() == 0  # not of full rank
    with pytest.raises(ShapeError, match=r"lstsq: A .* has 5 rows, B .* has 4"):
        linalg.lstsq(mt.ones(5, 3), mt.ones(4, 1))
    with pytest.raises(ShapeError, match="driver"):
        linalg.lstsq(mt.ones(5, 3), mt.ones(5, 1), driver="qr")


def test_ranks_and_conditions():
    assert linalg.matrix_rank(mt.ones(2, 3, 4)).tolist() == [1, 1]
    assert linalg.matrix_rank(mt.zeros(3, 3)).item() == 0
    assert linalg.matrix_rank(mt.zeros(3, 0)).item() == 0
    assert linalg.matrix_rank(mt.eye(3) * mt.tensor([1.0, 1e-3, 1e-9]), atol=1e-4).item() == 2
    assert linalg.matrix_rank(mt.eye(3) * mt.tensor([-5.0, 1.0, 0.0]), hermitian=True).item() == 2
    assert linalg.matrix_rank(mt.eye(3), 0.5).item() == 3
    a = np.array([[1.0, 2.0], [3.0, 4.0]])
    for p in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        assert linalg.cond(mt.from_numpy(a), p).item() == pytest.approx(np.linalg.cond(a, p))
    assert linalg.cond(mt.ones(2, 2), 1).item() == np.inf
    assert linalg.cond(mt.zeros(0, 0)).item() == 0


# --- norms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ord", ["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf])
@pytest.mark.parametrize("dim", [(-2, -1), (0, 2), (2, 1)])
def test_matrix_norms(ord, dim):
    x = draw(16, 2, 3, 4)
    for keepdim in (False, True):
        want = np.linalg.norm(x.detach().numpy(), ord, dim, keepdim)
        same(linalg.matrix_norm(x, ord, dim, keepdim), want)
        same(linalg.norm(x, ord, dim, keepdim), want)
    check(lambda a: linalg.matrix_norm(a, ord, dim), x)


@pytest.mark.parametrize("p", [2, 1, 0, 3.5, 0.5, -1, -2.5, math.inf, -math.inf])
def test_vector_norms(p):
    x = draw(17, 3, 4)
    a = x.detach().numpy()
    same(linalg.vector_norm(x, p, 1), np.linalg.norm(a, p, 1))
    same(linalg.vector_norm(x, p), np.linalg.norm(a.ravel(), p))
    same(linalg.norm(x, p, 0, True), np.linalg.norm(a, p, 0, True))
    same(linalg.norm(x[0], p), np.linalg.norm(a[0], p))
    check(lambda v: linalg.vector_norm(v, p, 1), x)


def test_forms_of_norms():
    x = mt.ones(2, 3, 4)
    assert linalg.norm(x).item() == pytest.approx(math.sqrt(24))
    assert linalg.norm(x, dim=(0, 1, 2)).item() == pytest.approx(math.sqrt(24))
    assert linalg.norm(x, dim=(0, 1)).shape == (4,)
    assert mt.norm(x, "nuc", (1, 2)).tolist() == pytest.approx([math.sqrt(12)] * 2)
    assert mt.norm(x[0], "nuc", keepdim=True).shape == (1, 1)
    assert linalg.vector_norm(x, dtype=mt.float64).dtype == mt.float64
    assert linalg.matrix_norm(mt.zeros(0, 3), 2).item() == 0
    assert linalg.matrix_norm(mt.zeros(3, 0), 1).item() == 0
    for call, error in (
        (lambda: linalg.norm(x, 1), ShapeError),
        (lambda: linalg.norm(x, "fro"), ShapeError),
        (lambda: linalg.norm(x, 1, (0, 1, 2)), ShapeError),
        (lambda: linalg.matrix_norm(x, 3), ShapeError),
        (lambda: linalg.matrix_norm(x[0, 0]), ShapeError),
        (lambda: linalg.matrix_norm(x, "fro", (1, -2)), ShapeError),
        (lambda: linalg.vector_norm(mt.ones(2, dtype=mt.int64)), DtypeError),
        (lambda: linalg.vector_norm(mt.ones(0), -1), IndexError),
        (lambda: linalg.vector_norm(mt.ones(2), "fro"), TypeError),
        (lambda: linalg.matrix_norm(mt.ones(2, 2, dtype=mt.int64)), DtypeError),
    ):
        with pytest.raises(error):
            call()


# --- powers and exponentials ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [0, 1, 2, 5, -1, -3])
def test_matrix_power(n):
    x = mt.from_numpy(np.random.default_rng(18).standard_normal((2, 3, 3)) + 2 * np.eye(3)).requires_grad_()
    same(linalg.matrix_power(x, n), np.linalg.matrix_power(x.detach().numpy(), n))
    assert linalg.matrix_power(x, n) is not x
    check(lambda a: mt.matrix_power(a, n), x)
    assert mt.ones(2, 2, dtype=mt.int64).matrix_power(3).tolist() == [[4, 4], [4, 4]]


def test_matrix_exp():
    a = np.array([[0.0, -np.pi / 2], [np.pi / 2, 0.0]])
    same(linalg.matrix_exp(mt.from_numpy(a)), [[0.0, -1.0], [1.0, 0.0]])
    diagonal = np.array([-30.0, 0.0, 3.0, 20.0])
    found = linalg.matrix_exp(mt.from_numpy(np.diag(diagonal))).numpy()
    np.testing.assert_allclose(found, np.diag(np.exp(diagonal)), rtol=1e-12)
    assert linalg.matrix_exp(mt.zeros(0, 0)).shape == (0, 0)
    assert linalg.matrix_exp(mt.zeros(0, 2, 2)).shape == (0, 2, 2)
    assert linalg.matrix_exp(mt.full((2, 2), float("nan"))).isnan().all()
    x = draw(19, 2, 3, 3)
    together = linalg.matrix_exp(x * mt.tensor([[[1.0]], [[40.0]]], dtype=mt.float64))
    same(together[0], linalg.matrix_exp(x[0]), atol=1e-12)  # that the other one is large costs no digits
    series, term = np.eye(3), np.eye(3)
    for k in range(1, 40):
        term = term @ x[0].detach().numpy() / k
        series = series + term
    same(together[0], series)
    check(linalg.matrix_exp, x)
    single = linalg.matrix_exp(x.detach().float())
    np.testing.assert_allclose(single.numpy(), linalg.matrix_exp(x).detach().numpy(), rtol=1e-4, atol=1e-4)


def test_vander():
    x = draw(20, 2, 3)
    want = np.stack([np.vander(row, 4, increasing=True) for row in x.detach().numpy()])
    same(linalg.vander(x, N=4), want)
    check(lambda v: linalg.vander(v, N=4), x)
    assert linalg.vander(mt.tensor([1, 2, 3])).tolist() == [[1, 1, 1], [1, 2, 4], [1, 3, 9]]
    with pytest.raises(ShapeError):
        linalg.vander(mt.tensor(1.0))


# --- vectors, tensors, covariances ------------------------------------------------------------------------------------


def test_products_of_vectors():
    x, y = draw(21, 4, 3), draw(22, 1, 3)
    same(linalg.cross(x, y), np.cross(x.detach().numpy(), y.detach().numpy()))
    same(linalg.vecdot(x, y), (x * y).sum(-1))
    check(linalg.cross, x, y)
    check(linalg.vecdot, x, y)
    same(mt.cross(x.T, y.T), np.cross(x.detach().numpy(), y.detach().numpy()).T)
    same(x.cross(y, 1), linalg.cross(x, y))
    assert linalg.cross(mt.tensor([1, 1, 1]), mt.tensor([0, 1, 2])).tolist() == [1, -2, 1]
    assert linalg.vecdot(mt.tensor([1, 2], dtype=mt.int32), mt.tensor([3, 4], dtype=mt.int32)).dtype == mt.int32
    for call in (
        lambda: linalg.cross(mt.ones(2), mt.ones(2)),
        lambda: linalg.cross(mt.ones(1, 3), mt.ones(3)),
        lambda: mt.cross(mt.ones(2, 2), mt.ones(2, 2)),
    ):
        with pytest.raises(ShapeError):
            call()


def test_tensors_as_matrices():
    a = mt.from_numpy(np.random.default_rng(23).standard_normal((2, 3, 6))).requires_grad_()
    b = draw(24, 2, 3)
    y = linalg.tensorinv(a)
    same(mt.tensordot(y, a, 2), np.eye(6))
    x = linalg.tensorsolve(a, b)
    same(mt.tensordot(a, x, 1), b)
    same(linalg.tensorsolve(a.permute(2, 0, 1), b, dims=(0,)), x)
    check(linalg.tensorinv, a)
    check(linalg.tensorsolve, a, b)
    with pytest.raises(ShapeError, match="as many elements"):
        linalg.tensorinv(mt.ones(2, 3))
    with pytest.raises(ShapeError, match="square system"):
        linalg.tensorsolve(mt.ones(2, 3), mt.ones(3))


def test_covariances():
    x = draw(25, 3, 6)
    a = x.detach().numpy()
    times, weights = np.array([1, 2, 0, 3, 1, 1]), np.array([0.5, 1.0, 2.0, 1.0, 0.1, 1.0])
    for correction in (1, 0, 2):
        same(mt.cov(x, correction=correction), np.cov(a, ddof=correction))
        same(
            mt.cov(x, correction=correction, fweights=mt.from_numpy(times), aweights=mt.from_numpy(weights)),
            np.cov(a, ddof=correction, fweights=times, aweights=weights),
        )
    same(mt.corrcoef(x), np.corrcoef(a))
    same(mt.cov(x[0]), np.cov(a[0]))
    assert mt.cov(x[:1]).shape == ()
    assert mt.cov(mt.tensor([[0, 1, 2], [2, 1, 0]])).tolist() == [[1.0, -1.0], [-1.0, 1.0]]
    assert mt.cov(mt.tensor(3.0)).isnan()
    assert mt.corrcoef(mt.tensor([1.0, 2.0, 3.0])).item() == 1
    check(mt.cov, x)
    check(lambda v: mt.corrcoef(v)[0, 1], x)
    with pytest.raises(ShapeError, match="two axes"):
        mt.cov(mt.ones(2, 2, 2))
    with pytest.raises(ShapeError, match="fweights must be 6 integers"):
        mt.cov(x, fweights=mt.ones(6))
    with pytest.raises(ShapeError, match="not be negative"):
        mt.cov(x, aweights=-mt.ones(6, dtype=mt.float64))


# --- dtypes, empties, failures ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_empty_and_single_precision(dtype):
    for shape in ((0, 0), (3, 0), (0, 3), (0, 2, 2), (2, 0, 3)):
        x = mt.zeros(shape, dtype=dtype, requires_grad=True)
        k = min(shape[-2:])
        for y, want in (
            (linalg.svdvals(x), (*shape[:-2], k)),
            (linalg.svd(x).U, (*shape[:-1], shape[-2])),
            (linalg.qr(x).R, (*shape[:-2], k, shape[-1])),
            (linalg.pinv(x), (*shape[:-2], shape[-1], shape[-2])),
            (linalg.matrix_norm(x), shape[:-2]),
            (linalg.matrix_norm(x, "nuc"), shape[:-2]),
        ):
            assert y.shape == want
            assert y.dtype == dtype
            (g,) = mt.autograd.grad(y.sum(), x)
            assert g.shape == shape
    x = mt.randn(4, 3, dtype=dtype)
    tolerance = 1e-5 if dtype == mt.float32 else 1e-13
    u, s, vh = linalg.svd(x, False)
    same(u * s @ vh, x, tolerance)
    w, v = linalg.eigh(x.T @ x)
    same(v * w @ v.T, x.T @ x, 10 * tolerance)
    assert linalg.eigvalsh(mt.zeros(0, 0, dtype=dtype)).shape == (0,)


def test_values_that_are_not_finite():
    nan = mt.stack([mt.eye(2), mt.eye(2)])
    nan[1, 0, 0] = float("nan")
    for f in (linalg.svd, linalg.svdvals, linalg.pinv):
        with pytest.raises(linalg.LinAlgError, match=r"element 1 of the batch \(2,\).*not finite"):
            f(nan)
    assert linalg.inv(nan)[0].tolist() == mt.eye(2).tolist()
    assert linalg.det(nan)[1].isnan()


@pytest.mark.parametrize(
    "name", ["svd", "svdvals", "qr", "pinv", "matrix_rank", "eigh", "eigvalsh", "eig", "matrix_exp"]
)
def test_matrices_of_the_wrong_kind(name):
    f = getattr(linalg, name)
    with pytest.raises(ShapeError, match=rf"linalg\.{name}"):
        f(mt.ones(3))
    with pytest.raises(DtypeError, match=rf"linalg\.{name}.*int64"):
        f(mt.ones(2, 2, dtype=mt.int64))
    with pytest.raises(DtypeError, match="float16"):
        f(mt.ones(2, 2).half())


def test_results_into_out():
    x = mt.eye(2) * mt.tensor([3.0, 2.0])
    out = mt.empty(2), mt.empty(2, 2)
    assert linalg.eigh(x, out=out).eigenvalues is out[0]
    assert out[0].tolist() == [2.0, 3.0]
    one = mt.empty(2)
    assert linalg.svdvals(x, out=one) is one
    assert one.tolist() == [3.0, 2.0]
    total = mt.empty(())
    assert linalg.matrix_norm(x, 1, out=total) is total
    assert total.item() == 3
    assert linalg.norm(x, out=total).item() == pytest.approx(math.sqrt(13))


@pytest.mark.parametrize("shape", [(9, 6), (6, 9), (2, 7, 5)])
def test_svd_lowrank_finds_the_singular_values_of_a_matrix_of_low_rank(shape):
    mt.manual_seed(0)
    left, right = mt.rand(*shape[:-1], 3, dtype=mt.float64), mt.rand(*shape[:-2], 3, shape[-1], dtype=mt.float64)
    A = left @ right
    for M in (None, mt.ones(shape[-1], dtype=mt.float64)):
        U, S, V = mt.svd_lowrank(A, q=4, M=M)
        assert (U.shape[-2:], S.shape[-1], V.shape[-2:]) == ((shape[-2], 4), 4, (shape[-1], 4))
        mt.testing.assert_close((U * S[..., None, :]) @ V.mT, A if M is None else A - M)
        mt.testing.assert_close(V.mT @ V, mt.eye(4, dtype=mt.float64).expand(*shape[:-2], 4, 4))
    with pytest.raises(ValueError, match="svd_lowrank"):
        mt.svd_lowrank(A, q=10)


def test_pca_lowrank_centres_the_rows():
    mt.manual_seed(0)
    x = mt.randn(20, 4, dtype=mt.float64) * mt.tensor([5.0, 2.0, 1.0, 0.5]) + 100
    _, S, V = mt.pca_lowrank(x)
    expected = mt.linalg.svdvals(x - x.mean(0))
    mt.testing.assert_close(S, expected)
    assert V.shape == (4, 4)
    assert mt.pca_lowrank(x, center=False, q=1)[1] > 400
