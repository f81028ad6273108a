"""Distances: values by NumPy's differences, derivatives where rows are equal, large inputs, errors."""

import math

import numpy as np
import pytest
from checks import check, leaves

import minitensor as mt
from minitensor.errors import DtypeError, ShapeError

F = mt.nn.functional


def by_definition(x, y, p):
    apart = np.abs(x[..., :, None, :] - y[..., None, :, :])
    if p == 0:
        return (apart != 0).sum(-1).astype(float)
    return apart.max(-1) if p == math.inf else (apart**p).sum(-1) ** (1 / p)


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, math.inf])
@pytest.mark.parametrize("shapes", [((3, 2), (4, 2)), ((2, 3, 2), (4, 2)), ((2, 1, 3, 1), (3, 1, 1))])
def test_cdist(p, shapes):
    x, y = leaves(np.random.default_rng(0), *shapes)
    want = by_definition(x.detach().numpy(), y.detach().numpy(), p)
    for mode in (None, "use_mm_for_euclid_dist", 1, "donot_use_mm_for_euclid_dist"):
        np.testing.assert_allclose(mt.cdist(x, y, p, mode).detach().numpy(), want, rtol=1e-10)
    check(lambda a, b: mt.cdist(a, b, p), x, y)
    if p == 2:
        check(lambda a, b: mt.cdist(a, b, p, "use_mm_for_euclid_dist"), x, y)


@pytest.mark.parametrize("mode", ["use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"])
@pytest.mark.parametrize("p", [0, 1, 1.5, 2, 3, math.inf])
def test_the_gradient_of_equal_rows_is_zero(p, mode):
    x = mt.tensor([[1.0, 2.0], [3.0, -1.0]], dtype=mt.float64, requires_grad=True)
    y = x.detach().clone().requires_grad_()
    d = mt.cdist(x, y, p, mode)
    assert [d[0, 0].item(), d[1, 1].item()] == [0, 0]
    gx, gy = mt.autograd.grad((d[0, 0], d[1, 1]), (x, y), (mt.ones_like(d[0, 0]),) * 2, create_graph=True)
    assert gx.abs().sum().item() == 0
    assert gy.abs().sum().item() == 0
    if gx.requires_grad:
        second = mt.autograd.grad(gx.sum(), (x, y), allow_unused=True)
        assert all(g is None or g.isfinite().all() for g in second)


def test_large_euclidean_distances_by_a_product():
    rng = np.random.default_rng(1)
    x, y = leaves(rng, (40, 7), (30, 7))
    np.testing.assert_allclose(
        mt.cdist(x, y).detach().numpy(), by_definition(x.detach().numpy(), y.detach().numpy(), 2), rtol=1e-12
    )
    w = mt.from_numpy(rng.standard_normal((40, 30)))
    fast = mt.autograd.grad((w * mt.cdist(x, y)).sum(), (x, y))
    exact = mt.autograd.grad((w * mt.cdist(x, y, 2, "donot_use_mm_for_euclid_dist")).sum(), (x, y))
    for f, e in zip(fast, exact, strict=True):
        np.testing.assert_allclose(f.numpy(), e.numpy(), rtol=1e-10, atol=1e-12)
    assert mt.cdist(mt.full((30, 2), float("nan")), mt.ones(2, 2)).isnan().all()
    assert (mt.cdist(x.detach(), x.detach()) >= 0).all()


def test_cdist_of_nothing_and_of_what_does_not_fit():
    for a, b, want in (((0, 3), (2, 3), (0, 2)), ((2, 3), (0, 3), (2, 0)), ((0, 2, 3), (1, 4, 3), (0, 2, 4))):
        for p in (0, 1, 2, math.inf):
            assert mt.cdist(mt.ones(a), mt.ones(b), p).shape == want
    for p in (0, 1, 2, math.inf):
        assert mt.cdist(mt.ones(2, 0), mt.ones(3, 0), p).tolist() == [[0.0] * 3] * 2
    for call, error, words in (
        (lambda: mt.cdist(mt.ones(3), mt.ones(2, 3)), ShapeError, "two or more axes"),
        (lambda: mt.cdist(mt.ones(2, 3), mt.ones(2, 4)), ShapeError, "3 and 4 elements"),
        (lambda: mt.cdist(mt.ones(2, 3), mt.ones(2, 3), -1), ShapeError, "p must not be negative"),
        (lambda: mt.cdist(mt.ones(2, 3), mt.ones(2, 3), 2, "fast"), ShapeError, "compute_mode"),
        (lambda: mt.cdist(mt.ones(2, 1, 3), mt.ones(3, 1, 3)), ShapeError, "do not broadcast"),
        (lambda: mt.cdist(mt.ones(2, 3), mt.ones(2, 3).double()), DtypeError, "float32 and float64"),
        (lambda: mt.cdist(mt.ones(2, 3).long(), mt.ones(2, 3).long()), DtypeError, "int64"),
    ):
        with pytest.raises(error, match=words):
            call()


@pytest.mark.parametrize("p", [0, 1, 2, 2.5, math.inf])
def test_pdist(p):
    (x,) = leaves(np.random.default_rng(2), (5, 3))
    a = x.detach().numpy()
    want = [by_definition(a[i : i + 1], a[j : j + 1], p).item() for i in range(5) for j in range(i + 1, 5)]
    np.testing.assert_allclose(F.pdist(x, p).detach().numpy(), want)
    check(lambda v: F.pdist(v, p), x)
    assert F.pdist(mt.ones(1, 3)).shape == (0,)
    assert F.pdist(mt.ones(0, 3)).shape == (0,)
    with pytest.raises(ShapeError, match="expected a matrix"):
        F.pdist(mt.ones(3))


def test_pairwise_distance():
    x, y = leaves(np.random.default_rng(3), (4, 3), (1, 3))
    for p in (1, 2, 3.5, math.inf):
        want = np.linalg.norm(x.detach().numpy() - y.detach().numpy() + 1e-6, p, -1)
        np.testing.assert_allclose(F.pairwise_distance(x, y, p).detach().numpy(), want)
        np.testing.assert_allclose(mt.nn.PairwiseDistance(p, keepdim=True)(x, y).detach().numpy(), want[:, None])
    check(F.pairwise_distance, x, y)
    assert F.pairwise_distance(mt.zeros(3), mt.zeros(3)).item() == pytest.approx(math.sqrt(3) * 1e-6)
    with pytest.raises(DtypeError):
        F.pairwise_distance(mt.ones(2).long(), mt.ones(2).long())


def test_cosine_similarity():
    x, y = leaves(np.random.default_rng(4), (4, 3), (1, 3))
    a, b = x.detach().numpy(), y.detach().numpy()
    want = (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    np.testing.assert_allclose(F.cosine_similarity(x, y).detach().numpy(), want)
    np.testing.assert_allclose(mt.nn.CosineSimilarity(dim=-1)(x, y).detach().numpy(), want)
    check(F.cosine_similarity, x, y)
    check(lambda v, w: F.cosine_similarity(v, w, 0), x, y)
    assert F.cosine_similarity(mt.zeros(3), mt.ones(3), 0).item() == 0
    assert F.cosine_similarity(mt.tensor(2.0), mt.tensor(-3.0), 0).item() == -1
    assert F.cosine_similarity(mt.ones(3).long(), mt.ones(3), 0).item() == pytest.approx(1)
    tall = mt.full((3,), 1e30)
    assert F.cosine_similarity(tall.double(), tall.double(), 0).item() == pytest.approx(1)
    # below eps the length is a constant: the gradient is y / (eps |y|)
    z = mt.zeros(3, dtype=mt.float64, requires_grad=True)
    F.cosine_similarity(z, mt.ones(3, dtype=mt.float64), 0).backward()
    np.testing.assert_allclose(z.grad.numpy(), 1e8 / math.sqrt(3))


@pytest.mark.parametrize("p", [1, 2, 0.5, math.inf])
def test_normalize(p):
    (x,) = leaves(np.random.default_rng(5), (3, 4))
    for dim in (0, 1, -1):
        y = F.normalize(x, p, dim)
        np.testing.assert_allclose(np.linalg.norm(y.detach().numpy(), p, dim), 1)
        check(lambda v, dim=dim: F.normalize(v, p, dim), x)
    assert F.normalize(mt.zeros(2, 3), p).tolist() == [[0.0] * 3] * 2
    assert F.normalize(mt.ones(2, 2), dim=(0, 1)).tolist() == [[0.5, 0.5]] * 2
    z = mt.zeros(1, 2, requires_grad=True)
    F.normalize(z, 2).sum().backward()
    assert z.grad[0].tolist() == pytest.approx([1e12] * 2)
    out = mt.empty(3, 4, dtype=mt.float64)
    assert F.normalize(x.detach(), out=out) is out


def test_renorm():
    x = mt.tensor([[1.0, 1.0, 1.0], [2.0, 2.0, 2.0], [3.0, 3.0, 3.0]], dtype=mt.float64, requires_grad=True)
    y = mt.renorm(x, 1, 0, 5)
    np.testing.assert_allclose(y.detach().numpy(), [[1] * 3, [5 / 3] * 3, [5 / 3] * 3], rtol=1e-6)
    check(lambda v: mt.renorm(v, 2, 1, 3.0), x)
    z = x.detach().clone()
    assert z.renorm_(1, 0, 5) is z
    assert z.tolist() == y.tolist()
    with pytest.raises(ShapeError, match="two or more axes"):
        mt.renorm(mt.ones(2), 1, 0, 1)
    with pytest.raises(ShapeError, match="p must be positive"):
        mt.renorm(mt.ones(2, 2), 0, 0, 1)


def test_bilinear_layer():
    layer = mt.nn.Bilinear(3, 4, 2)
    assert layer.weight.shape == (2, 3, 4)
    assert layer.weight.abs().max().item() <= 1 / math.sqrt(3)
    x, y = mt.randn(5, 3), mt.randn(5, 4)
    want = np.einsum("ni,oij,nj->no", x.numpy(), layer.weight.detach().numpy(), y.numpy()) + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(x, y).detach().numpy(), want, rtol=1e-4, atol=1e-5)
    assert mt.nn.Bilinear(3, 4, 2, bias=False).bias is None
    assert repr(layer) == "Bilinear(in1_features=3, in2_features=4, out_features=2, bias=True)"


@pytest.mark.parametrize("p", [0.5, 1.0, 2.0, math.inf])
def test_many_rows_come_in_blocks(monkeypatch, p):
    """Blocks of rows change no digit, nor a gradient, nor pdist's order."""
    from minitensor.ops import distance

    x, y = mt.rand(2, 13, 3, dtype=mt.float64, requires_grad=True), mt.rand(7, 3, dtype=mt.float64)
    exact = "donot_use_mm_for_euclid_dist"
    w = mt.rand(2, 13, 7, dtype=mt.float64)

    def results():
        d = mt.cdist(x, y, p, exact)
        return d, mt.autograd.grad((w * d).sum(), x)[0], mt.nn.functional.pdist(x[0], p)

    whole = results()
    rows, columns = np.triu_indices(13, 1)
    np.testing.assert_array_equal(whole[2].detach(), mt.cdist(x[0], x[0], p, exact).detach().numpy()[rows, columns])
    for block in (1, 50, 200):
        monkeypatch.setattr(distance, "BLOCK", block)
        for a, b in zip(whole, results(), strict=True):
            assert mt.equal(a, b)
