"""Losses: known values, what they ignore, errors before anything is computed, high orders."""

import numpy as np
import pytest
from checks import check_third

import minitensor as mt
from minitensor.nn.functional import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    huber_loss,
    kl_div,
    l1_loss,
    logsigmoid,
    mse_loss,
    nll_loss,
    smooth_l1_loss,
)
from minitensor.ops.softmax import log_softmax

RNG = np.random.default_rng(0)


def tensors(*arrays):
    return [mt.from_numpy(np.asarray(a)) for a in arrays]


def test_cross_entropy_known_values():
    x, t = mt.tensor([[0.0, np.log(3.0)], [0.0, 0.0]], dtype=mt.float64), mt.tensor([1, 0])
    want = [-np.log(0.75), np.log(2.0)]
    np.testing.assert_allclose(cross_entropy(x, t, reduction="none").numpy(), want, rtol=1e-15)
    assert cross_entropy(x, t).item() == pytest.approx(np.mean(want), rel=1e-15)
    assert cross_entropy(x, t, reduction="sum").item() == pytest.approx(np.sum(want), rel=1e-15)
    assert cross_entropy(x[0], t[0]).item() == pytest.approx(want[0], rel=1e-15)


@pytest.mark.parametrize("shape", [(5, 7), (3, 4, 19), (2, 3, 4, 5), (6,)])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_of_classes_is_that_of_their_probabilities(shape, reduction, weighted, smoothing):
    c = 0 if len(shape) == 1 else 1
    x = RNG.standard_normal(shape)
    t = RNG.integers(0, shape[c], shape[:c] + shape[c + 1 :])
    q = np.moveaxis(np.eye(shape[c])[t], -1, c)
    w = mt.from_numpy(RNG.uniform(1, 2, shape[c])) if weighted else None
    x, t, q = tensors(x, t, q)
    hard = cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing)
    soft = cross_entropy(x, q, w, reduction=reduction, label_smoothing=smoothing)
    if weighted and reduction == "mean":  # the mean of classes is over their weights
        soft = soft * (np.size(t.numpy()) / w.numpy()[t.numpy()].sum())
    np.testing.assert_allclose(hard.numpy(), soft.numpy(), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("inner", [(), (3,), (20,)])
def test_cross_entropy_is_log_softmax_and_nll(dtype, inner):
    x = RNG.standard_normal((4, 5, *inner)).astype(dtype)
    t = RNG.integers(0, 5, (4, *inner))
    t.flat[1] = -100
    w = RNG.uniform(1, 2, 5).astype(dtype)
    for reduction in ("none", "mean", "sum"):
        grads, losses = [], []
        for f in (
            lambda a, *rest, how=reduction: cross_entropy(a, *rest, reduction=how),
            lambda a, *rest, how=reduction: nll_loss(log_softmax(a, 1), *rest, reduction=how),
        ):
            a, b, c = tensors(x, t, w)
            a.requires_grad_()
            losses.append(f(a, b, c))
            losses[-1].sum().backward()
            grads.append(a.grad.numpy())
        tolerance = 20 * np.finfo(dtype).eps
        np.testing.assert_allclose(*[y.detach().numpy() for y in losses], rtol=tolerance)
        np.testing.assert_allclose(*grads, rtol=tolerance, atol=tolerance)


def test_ignored_rows_count_for_nothing():
    x = mt.from_numpy(RNG.standard_normal((3, 4))).requires_grad_()
    t = mt.tensor([1, 9, 2])
    loss = cross_entropy(x, t, ignore_index=9)
    loss.backward()
    assert (x.grad.numpy()[1] == 0).all()
    rest = cross_entropy(x[[0, 2]], mt.tensor([1, 2]))
    assert loss.item() == pytest.approx(rest.item(), rel=1e-14)
    none = cross_entropy(x, mt.tensor([9, 9, 9]), ignore_index=9)
    assert np.isnan(none.item())
    assert np.isnan(nll_loss(x, mt.tensor([9, 9, 9]), ignore_index=9).item())


def test_huge_logits():
    x = mt.tensor([[1e4, -1e4], [-np.inf, 0.0]]).requires_grad_()
    loss = cross_entropy(x, mt.tensor([1, 1]), reduction="sum")
    assert loss.item() == 2e4
    loss.backward()
    assert x.grad.tolist() == [[1.0, -1.0], [0.0, 0.0]]


@pytest.mark.parametrize("f", [cross_entropy, nll_loss])
@pytest.mark.parametrize("bad", [-1, 3, 2**40])
def test_class_out_of_range(f, bad):
    with pytest.raises(IndexError, match=f"class index {bad} is out of range for 3 classes"):
        f(mt.zeros(2, 3), mt.tensor([0, bad]))
    with mt.cpu.use("reference"), pytest.raises(IndexError, match="for 3 classes"):
        f(mt.zeros(2, 3), mt.tensor([0, bad]))


def test_cross_entropy_errors():
    x, t = mt.zeros(4, 3), mt.tensor([0, 1, 2, 0])
    with pytest.raises(ValueError, match=r"needs class indices of shape \(4,\)"):
        cross_entropy(x, t[:3])
    with pytest.raises(ValueError, match="not one number for each of 3 classes"):
        cross_entropy(x, t, mt.ones(4))
    with pytest.raises(ValueError, match="reduction 'max' is none of"):
        cross_entropy(x, t, reduction="max")
    with pytest.raises(ValueError, match="label_smoothing"):
        cross_entropy(x, t, label_smoothing=1.5)
    with pytest.raises(TypeError, match="class indices are integers"):
        cross_entropy(x, mt.zeros(4))
    with pytest.raises(ValueError, match="ignore_index 1"):
        cross_entropy(x, x, ignore_index=1)
    with pytest.raises(ValueError, match="has no classes"):
        cross_entropy(mt.zeros(2, 0), mt.tensor([0, 0]))


def test_regression_known_values():
    x, y = mt.tensor([0.0, 2.0, -3.0]), mt.tensor([0.0, 0.5, 0.0])
    assert mse_loss(x, y, reduction="none").tolist() == [0.0, 2.25, 9.0]
    assert l1_loss(x, y, reduction="none").tolist() == [0.0, 1.5, 3.0]
    assert huber_loss(x, y, reduction="none", delta=2.0).tolist() == [0.0, 1.125, 4.0]
    assert smooth_l1_loss(x, y, reduction="none", beta=2.0).tolist() == [0.0, 0.5625, 2.0]
    assert smooth_l1_loss(x, y, beta=0.0).item() == 1.5
    assert mse_loss(x, y).item() == 3.75
    assert mse_loss(x, y, weight=mt.tensor([0.0, 2.0, 0.0])).item() == 2.25


def test_shapes_that_broadcast_warn():
    with pytest.warns(
        UserWarning, match=r"mse_loss: Using a target size \(3,\) that is different to the input size \(3, 1\)"
    ):
        assert mse_loss(mt.zeros(3, 1), mt.zeros(3), reduction="none").shape == (3, 3)


def test_binary_cross_entropy():
    p, y = mt.tensor([0.25, 1.0, 0.0, 0.0]).requires_grad_(), mt.tensor([1.0, 1.0, 0.0, 1.0])
    loss = binary_cross_entropy(p, y, reduction="none")
    np.testing.assert_allclose(loss.detach().numpy(), [np.log(4), 0, 0, 100], rtol=1e-6)
    loss.sum().backward()
    np.testing.assert_allclose(p.grad.numpy(), [-4, 0, 0, -1e12], rtol=1e-6)
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        binary_cross_entropy(mt.tensor([1.5]), mt.tensor([1.0]))
    with pytest.raises(ValueError, match="must have the same shape"):
        binary_cross_entropy(mt.zeros(2, 1), mt.zeros(2))


def test_binary_cross_entropy_with_logits():
    x = RNG.standard_normal((5, 3))
    y, w, p = RNG.uniform(0, 1, (3, 5, 3))
    x, y, w, p = tensors(x, y, w, p + 0.5)
    plain = binary_cross_entropy(x.sigmoid(), y, w)
    np.testing.assert_allclose(binary_cross_entropy_with_logits(x, y, w).item(), plain.item(), rtol=1e-12)
    weighted = -(p * y * x.sigmoid().log() + (1 - y) * (1 - x.sigmoid()).log()).mean()
    np.testing.assert_allclose(binary_cross_entropy_with_logits(x, y, pos_weight=p).item(), weighted.item(), rtol=1e-12)
    far = mt.tensor([1e4, -1e4, 0.0]).requires_grad_()
    loss = binary_cross_entropy_with_logits(far, mt.tensor([0.0, 1.0, 1.0]), reduction="sum")
    assert loss.item() == pytest.approx(2e4 + np.log(2), rel=1e-6)
    loss.backward()
    assert far.grad.tolist() == [1.0, -1.0, -0.5]
    assert logsigmoid(mt.tensor([-1000.0, 1000.0])).tolist() == [-1000.0, 0.0]


def test_kl_div():
    x, y = mt.tensor([[0.5, 0.5]]).log(), mt.tensor([[0.0, 1.0]])
    assert kl_div(x, y, reduction="batchmean").item() == pytest.approx(np.log(2))
    assert kl_div(x, y).item() == pytest.approx(np.log(2) / 2)
    other = mt.tensor([[0.25, 0.75]])
    np.testing.assert_allclose(kl_div(x, other.log(), log_target=True).item(), kl_div(x, other).item(), rtol=1e-5)


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_third_derivative(reduction, smoothing):
    x0, v = RNG.standard_normal((2, 3, 4, 2))
    t, w = tensors(RNG.integers(0, 4, (3, 2)), RNG.uniform(1, 2, 4))

    check_third(lambda x: cross_entropy(x, t, w, reduction=reduction, label_smoothing=smoothing).sum(), x0, v)


def test_weights_of_less_precision_add_up_in_the_losses():
    weight = np.random.default_rng(0).uniform(0.1, 1, 50).astype(np.float32)
    x, y = mt.linspace(0, 1, 50, dtype=mt.float64), mt.zeros(50, dtype=mt.float64)
    have = mt.nn.functional.l1_loss(x, y, weight=mt.from_numpy(weight)).item()
    wide = weight.astype(np.float64)
    assert abs(have - (x.numpy() * wide).sum() / wide.sum()) < 1e-14
