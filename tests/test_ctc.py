"""CTC: against the sum over every path, impossible sequences, both forms of targets, errors, derivatives."""

import itertools

import numpy as np
import pytest
from checks import check, check_third

import minitensor as mt
from minitensor.nn.functional import ctc_loss, log_softmax

RNG = np.random.default_rng(0)


def by_paths(p, label, blank=0):
    """-log of the sum over all paths whose repetitions joined and blanks taken out give the label."""
    total = 0.0
    for path in itertools.product(range(p.shape[1]), repeat=len(p)):
        joined = [c for c, _ in itertools.groupby(path) if c != blank]
        if joined == list(label):
            total += np.prod(p[np.arange(len(p)), path])
    return -np.log(total)


@pytest.mark.parametrize(
    ("steps", "label", "blank"),
    [(3, [1], 0), (4, [1, 2], 0), (5, [1, 1], 0), (6, [2, 2, 1], 0), (4, [0, 1], 2), (3, [], 0), (5, [1, 2, 1], 0)],
)
def test_sums_over_all_paths(steps, label, blank):
    p = RNG.dirichlet(np.ones(3), steps)
    loss = ctc_loss(mt.from_numpy(p).log(), mt.tensor(label, dtype=mt.int64), steps, len(label), blank, "none")
    assert loss.shape == ()
    assert loss.item() == pytest.approx(by_paths(p, label, blank), rel=1e-12)


def test_each_sequence_has_its_lengths():
    p = RNG.dirichlet(np.ones(3), (6, 3))
    x = mt.from_numpy(p).log()
    labels, times, lengths = [[1, 2, 1], [2, 0, 0], [1, 1, 0]], [6, 4, 5], [3, 1, 2]
    want = [by_paths(p[:t, i], labels[i][:n]) for i, (t, n) in enumerate(zip(times, lengths, strict=True))]
    for targets in (mt.tensor(labels), mt.tensor([1, 2, 1, 2, 1, 1])):
        have = ctc_loss(x, targets, mt.tensor(times), tuple(lengths), reduction="none")
        np.testing.assert_allclose(have.numpy(), want, rtol=1e-12)
    assert ctc_loss(x, mt.tensor(labels), times, lengths).item() == pytest.approx(np.mean(np.divide(want, lengths)))
    assert ctc_loss(x, mt.tensor(labels), times, lengths, reduction="sum").item() == pytest.approx(np.sum(want))


def test_a_label_too_long_for_its_time():
    x = mt.zeros(4, 2, 3, dtype=mt.float64).log_softmax(-1).requires_grad_()
    args = mt.tensor([[1, 1], [1, 2]]), [2, 4], [2, 2]  # 1, 1 needs a blank between: three steps
    loss = ctc_loss(x, *args, reduction="none")
    assert loss[0].item() == np.inf
    (g,) = mt.autograd.grad(loss.sum(), x)
    assert np.isnan(g.numpy()[:2, 0]).all()
    assert (g.numpy()[2:, 0] == 0).all()
    assert np.isfinite(g.numpy()[:, 1]).all()
    kept = ctc_loss(x, *args, reduction="none", zero_infinity=True)
    assert kept.tolist() == [0.0, loss[1].item()]
    (g,) = mt.autograd.grad(kept.sum(), x)
    assert (g.numpy()[:, 0] == 0).all()
    assert (g.numpy()[:, 1] != 0).any()


def test_gradient_is_minus_the_share_of_the_paths():
    """At every time the shares of all classes add up to one."""
    x = mt.from_numpy(RNG.standard_normal((7, 2, 4))).log_softmax(-1).detach().requires_grad_()
    ctc_loss(x, mt.tensor([[1, 2], [3, 3]]), [7, 5], [2, 2], reduction="sum").backward()
    shares = -x.grad.numpy()
    assert (shares >= 0).all()
    np.testing.assert_allclose(shares.sum(-1)[:5], 1, rtol=1e-12)
    assert (shares[5:, 1] == 0).all()


def test_derivatives():
    targets, times, lengths = mt.tensor([[1, 1], [2, 1]]), [5, 4], [2, 1]

    def f(x):
        return ctc_loss(log_softmax(x, -1), targets, times, lengths, reduction="sum")

    x = RNG.standard_normal((5, 2, 3))
    check(f, mt.from_numpy(x).requires_grad_())
    check_third(f, x, RNG.standard_normal(x.shape))


def test_class_that_cannot_be():
    """A probability of 0 does not spoil the derivatives of the others."""
    x = RNG.standard_normal((4, 1, 3))
    x[1, 0, 2] = -np.inf
    x = mt.from_numpy(x).requires_grad_()
    loss = ctc_loss(x, mt.tensor([[1]]), [4], [1])
    (g,) = mt.autograd.grad(loss, x, create_graph=True)
    (h,) = mt.autograd.grad((g * g).sum(), x)
    assert np.isfinite(g.detach().numpy()).all()
    assert np.isfinite(h.numpy()).all()
    assert h.numpy()[1, 0, 2] == 0


def test_errors():
    x, y = mt.zeros(4, 2, 3), mt.tensor([[1, 2], [2, 1]])
    with pytest.raises(IndexError, match="label 3 is out of range for 3 classes"):
        ctc_loss(x, y + 1, [4, 4], [2, 2])
    with pytest.raises(IndexError, match="blank 3"):
        ctc_loss(x, y, [4, 4], [2, 2], blank=3)
    with pytest.raises(ValueError, match="input_lengths must lie from 0 to 4"):
        ctc_loss(x, y, [5, 4], [2, 2])
    with pytest.raises(ValueError, match="target_lengths must lie from 0 to 2"):
        ctc_loss(x, y, [4, 4], [3, 2])
    with pytest.raises(ValueError, match="one number for each of 2 sequences"):
        ctc_loss(x, y, [4], [2, 2])
    with pytest.raises(TypeError, match="targets are integers"):
        ctc_loss(x, y.float(), [4, 4], [2, 2])
    with pytest.raises(ValueError, match="at least the 4 labels"):
        ctc_loss(x, mt.tensor([1, 2, 1]), [4, 4], [2, 2])
    with pytest.raises(ValueError, match="with T at least 1"):
        ctc_loss(mt.zeros(0, 2, 3), y, [0, 0], [0, 0])
