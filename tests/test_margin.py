"""Losses of margins, counts and variances: values by hand, ties, errors, and derivatives."""

import numpy as np
import pytest
from checks import check

import minitensor as mt
from minitensor.nn import functional as F

RNG = np.random.default_rng(0)
T = mt.tensor


def draw(*shape):
    return mt.from_numpy(RNG.standard_normal(shape)).requires_grad_()


def test_hinge_embedding_and_ranking():
    x, y = T([0.5, 0.25, 3.0, -1.0]), T([1, -1, -1, 1])
    assert F.hinge_embedding_loss(x, y, reduction="none").tolist() == [0.5, 0.75, 0.0, -1.0]
    assert F.hinge_embedding_loss(x, y, margin=4.0, reduction="sum").item() == 0.5 + 3.75 + 1.0 - 1.0
    a, b = T([3.0, 1.0, 2.0]), T([2.0, 2.0, 2.0])
    assert F.margin_ranking_loss(a, b, T([1, 1, -1]), margin=0.5, reduction="none").tolist() == [0.0, 1.5, 0.5]


def test_gradient_at_the_edge_of_a_margin():
    """Where a hinge is just 0 the gradient passes, but in multi_margin_loss."""
    x = T([1.0]).requires_grad_()
    F.hinge_embedding_loss(x, T([-1])).backward()
    assert x.grad.tolist() == [-1.0]
    x = T([[1.0, 0.0]]).requires_grad_()
    F.multi_margin_loss(x, T([0])).backward()
    assert x.grad.tolist() == [[0.0, 0.0]]


def test_soft_margin_neither_overflows_nor_vanishes():
    x = T([0.0, 1000.0, -1000.0]).requires_grad_()
    loss = F.soft_margin_loss(x, T([1.0, -1.0, 1.0]), reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [np.log(2), 1000, 1000], rtol=1e-6)
    loss.sum().backward()
    assert x.grad.tolist() == [-0.5, 1.0, -1.0]


def test_cosine_embedding():
    a, b = T([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]), T([[3.0, 4.0], [2.0, 2.0], [1.0, 0.0]])
    loss = F.cosine_embedding_loss(a, b, T([1, -1, 1]), margin=0.25, reduction="none")
    np.testing.assert_allclose(loss.numpy(), [0.4, 0.75, 1.0], rtol=1e-6)
    assert F.cosine_embedding_loss(a[0], b[0], T(1)).shape == ()
    with pytest.raises(ValueError, match=r"inputs \(N, D\) and a target \(N\)"):
        F.cosine_embedding_loss(a, b, T(1))


def test_multi_margin():
    x, w = T([[0.5, 1.0, 2.0], [1.0, 0.0, 0.0]]), T([1.0, 2.0, 3.0])
    assert F.multi_margin_loss(x, T([1, 0]), reduction="none").tolist() == pytest.approx([2.5 / 3, 0.0])
    assert F.multi_margin_loss(x, T([1, 2]), p=2, weight=w, reduction="none").tolist() == pytest.approx(
        [2 * (0.25 + 4) / 3, 3 * (4 + 1) / 3]
    )
    assert F.multi_margin_loss(x[0], T(1), reduction="none").shape == ()
    with pytest.raises(IndexError, match="class index 3 is out of range for 3 classes"):
        F.multi_margin_loss(x, T([0, 3]))
    with pytest.raises(ValueError, match="p must be 1 or 2"):
        F.multi_margin_loss(x, T([0, 1]), p=3)


def test_multilabel_margin():
    x = T([[0.1, 0.2, 0.4, 0.8], [1.0, 2.0, 3.0, 4.0]])
    target = T([[3, 0, -1, 1], [-1, 0, 1, 2]])  # the classes after the first -1 count for nothing
    loss = F.multilabel_margin_loss(x, target, reduction="none")
    by_hand = ((1 - 0.8 + 0.2) + (1 - 0.8 + 0.4) + (1 - 0.1 + 0.2) + (1 - 0.1 + 0.4)) / 4
    np.testing.assert_allclose(loss.numpy(), [by_hand, 0], rtol=1e-6)
    with pytest.raises(IndexError, match="class index 4"):
        F.multilabel_margin_loss(x, target + 1)
    with pytest.raises(TypeError, match="integers"):
        F.multilabel_margin_loss(x, x)


def test_multilabel_soft_margin_is_the_mean_over_classes():
    x, y = RNG.standard_normal((3, 4)), RNG.integers(0, 2, (3, 4)).astype(float)
    want = F.binary_cross_entropy_with_logits(mt.from_numpy(x), mt.from_numpy(y), reduction="none").mean(-1)
    have = F.multilabel_soft_margin_loss(mt.from_numpy(x), mt.from_numpy(y), reduction="none")
    np.testing.assert_allclose(have.numpy(), want.numpy(), rtol=1e-12)


def test_triplets():
    a, p, n = T([[0.0, 0.0]]), T([[0.0, 3.0]]), T([[0.0, 3.5]])
    assert F.triplet_margin_loss(a, p, n, eps=0.0).item() == 0.5
    assert F.triplet_margin_loss(a, p, n, eps=0.0, swap=True).item() == 3.5  # the positive is 0.5 from the negative
    city = F.triplet_margin_with_distance_loss(a, p, n, distance_function=lambda x, y: (x - y).abs().sum(-1))
    assert city.item() == 0.5
    with pytest.raises(ValueError, match="margin must be above 0"):
        F.triplet_margin_loss(a, p, n, margin=0.0)
    with pytest.raises(ValueError, match="differ in their axes"):
        F.triplet_margin_loss(a, p[0], n)


def test_poisson():
    x, y = T([0.0, 1.0]), T([3.0, 1.0])
    np.testing.assert_allclose(F.poisson_nll_loss(x, y, reduction="none").numpy(), [1.0, np.e - 1], rtol=1e-6)
    rate = F.poisson_nll_loss(x + 1, y, log_input=False, eps=0.0, reduction="none")
    np.testing.assert_allclose(rate.numpy(), [1.0, 2 - np.log(2)], rtol=1e-6)
    more = F.poisson_nll_loss(x, y, full=True, reduction="none") - F.poisson_nll_loss(x, y, reduction="none")
    np.testing.assert_allclose(more.numpy(), [3 * np.log(3) - 3 + np.log(6 * np.pi) / 2, 0], rtol=1e-5)
    y = T([0.0, 3.0]).requires_grad_()
    F.poisson_nll_loss(x, y, full=True).backward()
    assert np.isfinite(y.grad.numpy()).all()


def test_gaussian():
    x, y, v = T([[1.0, 2.0]]), T([[3.0, 2.0]]), T([[4.0, 0.0]]).requires_grad_()
    loss = F.gaussian_nll_loss(x, y, v, eps=0.5, reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [[(np.log(4) + 1) / 2, np.log(0.5) / 2]], rtol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(v.grad.numpy(), [[(1 / 4 - 4 / 16) / 2, 1.0]], atol=1e-7)  # of eps, as if it were var
    assert F.gaussian_nll_loss(x, y, T([2.0]), reduction="none").shape == (1, 2)
    assert F.gaussian_nll_loss(x, y, 2.0, full=True).item() == pytest.approx((np.log(2) + 1 + np.log(2 * np.pi)) / 2)
    with pytest.raises(ValueError, match="var must not be negative"):
        F.gaussian_nll_loss(x, y, T([-1.0]))
    with pytest.raises(ValueError, match=r"a var of shape \(3,\)"):
        F.gaussian_nll_loss(x, y, mt.ones(3))


def test_older_switches_of_the_reduction():
    x, y = T([1.0, 2.0]), T([0.0, 0.0])
    for switches, want in (
        ({"size_average": True}, 2.5),
        ({"size_average": False}, 5.0),
        ({"reduce": False}, [1.0, 4.0]),
        ({"size_average": True, "reduce": False}, [1.0, 4.0]),
    ):
        with pytest.warns(UserWarning, match="instead of size_average and reduce, say reduction="):
            assert F.mse_loss(x, y, **switches).tolist() == want
        with pytest.warns(UserWarning, match="MSELoss"):
            assert mt.nn.MSELoss(**switches)(x, y).tolist() == want
    with pytest.raises(ValueError, match="reduction 'average'"):
        F.l1_loss(x, y, reduction="average")


@pytest.mark.parametrize(
    "f",
    [
        lambda a, b: F.hinge_embedding_loss(a, T([[1], [-1]]), margin=4.0) + F.margin_ranking_loss(a, b, T([[1.0]])),
        lambda a, b: F.cosine_embedding_loss(a, b, T([1, -1]), margin=-0.9),
        lambda a, b: F.multi_margin_loss(a, T([1, 0]), p=2, margin=3.0),
        lambda a, b: F.multilabel_margin_loss(a * b, T([[1, 0, -1]] * 2)),
        lambda a, b: F.soft_margin_loss(a, T([[1.0], [-1.0]]).expand(2, 3).double()),
        lambda a, b: F.triplet_margin_loss(a, b, a * b, margin=3.0, swap=True),
        lambda a, b: F.multilabel_soft_margin_loss(a, b.sigmoid()),
        lambda a, b: F.poisson_nll_loss(a, b.exp() + 2, full=True) + F.gaussian_nll_loss(a, b, b.exp(), full=True),
    ],
)  # fmt: skip
def test_derivatives(f):
    check(f, draw(2, 3), draw(2, 3))


def test_modules_are_their_functions():
    a, b, c = (mt.from_numpy(x) for x in RNG.standard_normal((3, 4, 5)))
    sign, classes = T([1, -1, 1, -1]), T([0, 4, 2, 1])
    nn = mt.nn
    for module, args, want in (
        (nn.PoissonNLLLoss(full=True), (a, b.exp()), F.poisson_nll_loss(a, b.exp(), full=True)),
        (nn.GaussianNLLLoss(reduction="sum"), (a, b, c.exp()), F.gaussian_nll_loss(a, b, c.exp(), reduction="sum")),
        (nn.HingeEmbeddingLoss(0.5), (a[:, 0], sign), F.hinge_embedding_loss(a[:, 0], sign, 0.5)),
        (nn.MarginRankingLoss(0.5), (a[:, 0], b[:, 0], sign), F.margin_ranking_loss(a[:, 0], b[:, 0], sign, 0.5)),
        (nn.SoftMarginLoss(), (a, b.sign()), F.soft_margin_loss(a, b.sign())),
        (nn.CosineEmbeddingLoss(0.1), (a, b, sign), F.cosine_embedding_loss(a, b, sign, 0.1)),
        (nn.MultiMarginLoss(2, 0.5, a[0].exp()), (b, classes), F.multi_margin_loss(b, classes, 2, 0.5, a[0].exp())),
        (nn.MultiLabelMarginLoss(), (a, classes[:, None].expand(4, 5)), None),
        (nn.MultiLabelSoftMarginLoss(c[0].exp()), (a, b.sigmoid()), None),
        (nn.TripletMarginLoss(2.0, 1.0, swap=True), (a, b, c), F.triplet_margin_loss(a, b, c, 2.0, 1.0, swap=True)),
        (nn.TripletMarginWithDistanceLoss(), (a, b, c), F.triplet_margin_loss(a, b, c)),
    ):
        have = module(*args)
        assert have.shape == ()
        if want is not None:
            assert have.item() == want.item()
    assert list(nn.MultiMarginLoss(weight=mt.ones(3)).state_dict()) == ["weight"]
