"""Schedulers and averages of weights: closed forms, states, order of calls, bad input."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn, optim
from minitensor.errors import ShapeError
from minitensor.optim import lr_scheduler as S
from minitensor.optim import swa_utils


def sgd(*rates, momentum=0.0):
    groups = [{"params": [nn.Parameter(mt.zeros(1))], "lr": lr} for lr in rates or (1.0,)]
    return optim.SGD(groups, lr=1.0, momentum=momentum)


def rates(scheduler, n):
    """The first n rates of the first group."""
    out = []
    for _ in range(n):
        out.append(float(scheduler.optimizer.param_groups[0]["lr"]))
        scheduler.optimizer.step()
        scheduler.step()
    return out


CLOSED = {
    "step": (lambda o: S.StepLR(o, 3, 0.5), lambda n: 0.5 ** (n // 3)),
    "multistep": (lambda o: S.MultiStepLR(o, [2, 2, 5], 0.5), lambda n: 0.5 ** (2 * (n >= 2) + (n >= 5))),
    "constant": (lambda o: S.ConstantLR(o, 0.25, 4), lambda n: 0.25 if n < 4 else 1),
    "linear": (lambda o: S.LinearLR(o, 0.2, 0.8, 6), lambda n: 0.2 + 0.1 * min(n, 6)),
    "linear to 0": (lambda o: S.LinearLR(o, 1.0, 0.0, 4), lambda n: 1 - min(n, 4) / 4),
    "exponential": (lambda o: S.ExponentialLR(o, 0.9), lambda n: 0.9**n),
    "polynomial": (lambda o: S.PolynomialLR(o, 6, 2.0), lambda n: (1 - min(n, 6) / 6) ** 2),
    "lambda": (lambda o: S.LambdaLR(o, lambda n: 1 / (1 + n)), lambda n: 1 / (1 + n)),
    "multiplicative": (lambda o: S.MultiplicativeLR(o, lambda n: 1 / n), lambda n: 1 / math.factorial(n)),
    "cosine": (
        lambda o: S.CosineAnnealingLR(o, 4, 0.2),
        lambda n: 0.2 + 0.8 * (1 + math.cos(math.pi * n / 4)) / 2,
    ),
    "restarts": (
        lambda o: S.CosineAnnealingWarmRestarts(o, 2, 2),
        lambda n: (1 + math.cos(math.pi * [0, 1, 0, 1, 2, 3, 0, 1, 2, 3][n] / [2, 2, 4, 4, 4, 4, 8, 8, 8, 8][n])) / 2,
    ),
    "cyclic": (
        lambda o: S.CyclicLR(o, 0.1, 0.5, 2, 3, "triangular2", cycle_momentum=False),
        lambda n: 0.1 + 0.4 * [0, 1 / 2, 1, 2 / 3, 1 / 3][n % 5] / 2 ** (n // 5),
    ),
    "one cycle": (
        lambda o: S.OneCycleLR(o, 1.0, 10, pct_start=0.5, anneal_strategy="linear", cycle_momentum=False),
        lambda n: 0.04 + 0.24 * n if n <= 4 else 1 + (4e-6 - 1) * (n - 4) / 5,
    ),
    "swa": (
        lambda o: swa_utils.SWALR(o, 0.2, 4),
        lambda n: 1 - 0.8 * (1 - math.cos(math.pi * min(n, 4) / 4)) / 2,
    ),
}


@pytest.mark.parametrize("name", CLOSED)
def test_closed_forms(name):
    make, closed = CLOSED[name]
    np.testing.assert_allclose(rates(make(sgd(1.0)), 10), [closed(n) for n in range(10)], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", CLOSED)
def test_going_on_from_a_state(name):
    make, _ = CLOSED[name]
    whole = rates(make(sgd(1.0)), 9)
    optimizer = sgd(1.0)
    first = make(optimizer)
    rates(first, 4)
    state, saved = first.state_dict(), optimizer.state_dict()
    assert "optimizer" not in state
    again = sgd(1.0)
    second = make(again)
    again.load_state_dict(saved)
    second.load_state_dict(state)
    assert second.last_epoch == 4
    assert second.get_last_lr() == first.get_last_lr()
    again._steps = 1
    np.testing.assert_allclose(rates(second, 5), whole[4:], rtol=1e-14)


def test_going_on_by_last_epoch():
    optimizer = sgd(0.25)
    with pytest.raises(KeyError, match="group 0 has no 'initial_lr' to go on from step 3"):
        S.StepLR(optimizer, 2, 0.5, last_epoch=3)
    optimizer.param_groups[0]["initial_lr"] = 1.0
    scheduler = S.ExponentialLR(optimizer, 0.5, last_epoch=1)
    assert scheduler.last_epoch == 2
    assert rates(scheduler, 3) == [0.25, 0.125, 0.0625]


def test_groups_and_tensors():
    optimizer = sgd(1.0, 2.0)
    scheduler = S.LambdaLR(optimizer, [lambda n: 0.5**n, lambda n: 1 + n])
    optimizer.step()
    scheduler.step()
    assert scheduler.get_last_lr() == [0.5, 4.0]
    lr = mt.tensor(1.0)
    optimizer = optim.SGD([nn.Parameter(mt.zeros(1))], lr=lr)
    scheduler = S.ExponentialLR(optimizer, 0.5)
    optimizer.step()
    scheduler.step()
    assert optimizer.param_groups[0]["lr"] is lr
    assert lr.item() == 0.5
    assert scheduler.base_lrs[0].item() == 1.0


def test_the_momentum_goes_the_other_way():
    optimizer = sgd(1.0, momentum=0.5)
    scheduler = S.CyclicLR(optimizer, 0.0, 1.0, 2, base_momentum=0.8, max_momentum=0.9)
    seen = []
    for _ in range(4):
        seen.append(optimizer.param_groups[0]["momentum"])
        optimizer.step()
        scheduler.step()
    np.testing.assert_allclose(seen, [0.9, 0.85, 0.8, 0.85])
    adam = optim.Adam([nn.Parameter(mt.zeros(1))])
    S.OneCycleLR(adam, 1.0, 10)
    assert adam.param_groups[0]["betas"] == (0.95, 0.999)
    with pytest.raises(ShapeError, match="neither momentum nor betas"):
        S.CyclicLR(optim.Adagrad([nn.Parameter(mt.zeros(1))]), 0.0, 1.0)


def test_one_cycle_in_three_phases():
    scheduler = S.OneCycleLR(sgd(1.0), 1.0, 11, pct_start=0.4, three_phase=True, div_factor=10, cycle_momentum=False)
    found = rates(scheduler, 11)
    top, back = 3.4, 6.8  # where the phases end: 0.4 * 11 - 1 and 2 * 0.4 * 11 - 2

    def cos(a, b, share):
        return b + (a - b) / 2 * (1 + math.cos(math.pi * share))

    for n, rate in enumerate(found):
        if n <= top:
            want = cos(0.1, 1.0, n / top)
        elif n <= back:
            want = cos(1.0, 0.1, (n - top) / (back - top))
        else:
            want = cos(0.1, 1e-5, (n - back) / (10 - back))
        assert rate == pytest.approx(want, rel=1e-12)
    with pytest.raises(ShapeError, match="step 12 of a cycle of 11 steps"):
        rates(scheduler, 1)


def test_one_after_the_other_and_all_at_once():
    optimizer = sgd(1.0)
    scheduler = S.SequentialLR(optimizer, [S.ConstantLR(optimizer, 0.1, 9), S.ExponentialLR(optimizer, 0.5)], [2])
    assert rates(scheduler, 5) == [0.1, 0.1, 1.0, 0.5, 0.25]
    optimizer = sgd(1.0)
    scheduler = S.ChainedScheduler([S.ConstantLR(optimizer, 0.5, 2), S.ExponentialLR(optimizer, 0.5)])
    assert rates(scheduler, 4) == [0.5, 0.25, 0.25, 0.125]
    optimizer = sgd(1.0)
    inner = S.SequentialLR(optimizer, [S.ExponentialLR(optimizer, 0.5), S.ConstantLR(optimizer, 0.25, 9)], [2])
    outer = S.SequentialLR(optimizer, [inner, S.StepLR(optimizer, 1, 0.1)], [3])
    assert rates(outer, 5) == pytest.approx([1.0, 0.5, 0.25, 1.0, 0.1])
    optimizer = sgd(1.0)
    inner = S.SequentialLR(optimizer, [S.ExponentialLR(optimizer, 0.5), S.ConstantLR(optimizer, 0.25, 9)], [2])
    late = S.SequentialLR(optimizer, [S.ConstantLR(optimizer, 0.1, 9), inner], [2])
    assert rates(late, 5) == [0.1, 0.1, 1.0, 0.5, 0.25]
    state = outer.state_dict()
    outer.load_state_dict(state)
    assert outer.state_dict() == state


def test_plateaus():
    optimizer = sgd(1.0, 0.3)
    scheduler = S.ReduceLROnPlateau(optimizer, factor=0.5, patience=1, cooldown=2, min_lr=[0.3, 0.2])
    seen = []
    for metric in (5, 4, 4, 4, 4, 4, 4, 4, 3.9999, mt.tensor(1.0)):
        scheduler.step(metric)
        seen.append(scheduler.get_last_lr()[0])
    # 4 is no improvement twice: halved; two steps are not counted; then twice again, down to the bound. 3.9999 is
    # not better than 4 by the share 1e-4.
    assert seen == [1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.3, 0.3, 0.3]
    assert optimizer.param_groups[1]["lr"] == 0.2
    twin = S.ReduceLROnPlateau(optimizer)
    twin.load_state_dict(scheduler.state_dict())
    assert twin.best == 1.0
    largest = S.ReduceLROnPlateau(sgd(1.0), mode="max", threshold=0.5, threshold_mode="abs", patience=0, factor=0.1)
    largest.step(1.0)
    largest.step(1.4)
    assert largest.get_last_lr() == [0.1]


def test_the_order_of_calls():
    scheduler = S.ExponentialLR(sgd(1.0), 0.5)
    with pytest.warns(UserWarning, match=r"lr_scheduler.step\(\) was called before optimizer.step\(\)"):
        scheduler.step()
    with pytest.warns(UserWarning, match="epoch is deprecated"):
        scheduler.step(3)
    assert scheduler.get_last_lr() == [0.125]


def test_schedulers_of_ones_own():
    class Halved(S.LRScheduler):
        def get_lr(self):
            return [base / 2**self.last_epoch for base in self.base_lrs]

    assert rates(Halved(sgd(4.0)), 3) == [4, 2, 1]
    with pytest.raises(NotImplementedError, match="LRScheduler has no get_lr"):
        S.LRScheduler(sgd())


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: S.StepLR(3, 2), TypeError, "StepLR: expected an Optimizer, not int"),
        (lambda o: S.LambdaLR(o, [abs, abs]), ValueError, "2 values for an optimizer with 1 groups"),
        (lambda o: S.ConstantLR(o, 2.0), ValueError, r"factor must lie in \[0, 1\]"),
        (lambda o: S.LinearLR(o, 0.0), ValueError, r"start_factor must lie in \(0, 1\]"),
        (lambda o: S.LinearLR(o, 0.5, 2.0), ValueError, r"end_factor must lie in \[0, 1\]"),
        (lambda o: S.CosineAnnealingWarmRestarts(o, 0), ValueError, "T_0 must be a positive integer, but is 0"),
        (lambda o: S.OneCycleLR(o, 1.0), ValueError, "give total_steps, or epochs and steps_per_epoch"),
        (lambda o: S.OneCycleLR(o, 1.0, 0), ValueError, "must be a positive integer, but is 0"),
        (lambda o: S.OneCycleLR(o, 1.0, 9, pct_start=2.0), ValueError, r"pct_start must lie in \[0, 1\]"),
        (lambda o: S.OneCycleLR(o, 1.0, 9, anneal_strategy="exp"), ValueError, "must be 'cos' or 'linear', not 'exp'"),
        (lambda o: S.CyclicLR(o, 0.0, 1.0, mode="round"), ValueError, "mode 'round' is none of"),
        (lambda o: S.ReduceLROnPlateau(o, factor=1.0), ValueError, "factor must be below 1"),
        (lambda o: S.ReduceLROnPlateau(o, "best"), ValueError, "mode must be 'min' or 'max', not 'best'"),
        (lambda o: S.ReduceLROnPlateau(o, threshold_mode="x"), ValueError, "must be 'rel' or 'abs'"),
        (lambda o: S.SequentialLR(o, [], []), ValueError, "there are no schedulers"),
        (lambda o: S.SequentialLR(o, [S.StepLR(o, 1)], [1]), ValueError, "1 schedulers need 0 milestones, not 1"),
        (
            lambda o: S.ChainedScheduler([S.StepLR(o, 1), S.StepLR(sgd(), 1)]),
            ValueError,
            "belongs to another optimizer",
        ),
        (lambda o: S.ChainedScheduler([S.ReduceLROnPlateau(o)]), ValueError, "whose step needs a metric"),
        (lambda o: S.ChainedScheduler([o]), TypeError, "element 0 is a SGD, not a scheduler"),
        (lambda o: swa_utils.SWALR(o, 0.1, anneal_strategy="x"), ValueError, "must be 'cos' or 'linear', not 'x'"),
        (lambda o: swa_utils.SWALR(o, 0.1, -1), ValueError, "anneal_epochs must be an integer from 0"),
    ],
)
def test_bad_input(make, error, message):
    with pytest.raises(error, match=message):
        make(sgd(1.0))


# --- averages of weights --------------------------------------------------------------------------


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(mt.zeros(2))
        self.register_buffer("seen", mt.zeros(1))


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ({}, (1 + 2 + 6) / 3),
        ({"avg_fn": swa_utils.get_ema_avg_fn(0.5)}, 0.5 * (0.5 * 1 + 0.5 * 2) + 0.5 * 6),
        ({"multi_avg_fn": swa_utils.get_ema_multi_avg_fn(0.75)}, 0.75 * (0.75 * 1 + 0.25 * 2) + 0.25 * 6),
        ({"multi_avg_fn": swa_utils.get_swa_multi_avg_fn()}, 3.0),
        ({"avg_fn": lambda average, x, n: average + x * n}, 1 + 2 * 1 + 6 * 2),
    ],
)
def test_averages(options, want):
    model = Net()
    averaged = swa_utils.AveragedModel(model, **options)
    for value in (1.0, 2.0, 6.0):
        with mt.no_grad():
            model.w.fill_(value)
            model.seen.fill_(value)
        averaged.update_parameters(model)
    assert averaged.module.w.tolist() == pytest.approx([want, want])
    assert averaged.module.seen.item() == 6.0
    assert averaged.n_averaged.item() == 3
    assert list(averaged.state_dict()) == ["n_averaged", "module.w", "module.seen"]


def test_averages_of_buffers_and_bad_input():
    model = Net()
    averaged = swa_utils.AveragedModel(model, use_buffers=True)
    for value in (1.0, 5.0):
        model.seen.fill_(value)
        averaged.update_parameters(model)
    assert averaged.module.seen.item() == 3.0
    with pytest.raises(ShapeError, match=r"decay must lie in \[0, 1\], but is 2"):
        swa_utils.get_ema_avg_fn(2)
    with pytest.raises(ShapeError, match="avg_fn or multi_avg_fn, not both"):
        swa_utils.AveragedModel(model, avg_fn=max, multi_avg_fn=max)


def test_batch_norms_get_the_statistics_of_all_batches():
    rng = np.random.default_rng(0)
    data = rng.standard_normal((4, 8, 3)).astype(np.float32)
    norm = nn.BatchNorm1d(3)
    model = nn.Sequential(norm, nn.Dropout(0.5)).eval()
    norm.running_mean.fill_(77.0)
    swa_utils.update_bn([(mt.tensor(x), 0) for x in data], model)
    np.testing.assert_allclose(norm.running_mean, data.mean((0, 1)), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(norm.running_var, data.var(1, ddof=1).mean(0), rtol=1e-5)
    assert norm.momentum == 0.1
    assert not model.training
    swa_utils.update_bn([], nn.Linear(1, 1))  # without batch norms there is nothing to do


def test_rates_are_rounded_step_by_step():
    """Each rate is the one before times a ratio, as PyTorch computes it: with 1/3 of 0.5 it ends above 0.5."""
    optimizer = mt.optim.SGD([mt.zeros(1)], lr=0.5)
    linear = mt.optim.lr_scheduler.LinearLR(optimizer)
    want = 0.5 * (1 / 3)
    for n in range(1, 6):
        optimizer.step()
        linear.step()
        want *= 1 + (1 - 1 / 3) / (5 * (1 / 3) + (n - 1) * (1 - 1 / 3))
        assert linear.get_last_lr() == [want]
    assert want == 0.5000000000000001


def test_polynomial_and_cyclic_rates_are_rounded_as_pytorchs():
    optimizer = mt.optim.SGD([mt.zeros(1)], lr=0.1)
    polynomial = mt.optim.lr_scheduler.PolynomialLR(optimizer, 15, 2)
    want = 0.1
    for n in range(1, 15):
        optimizer.step()
        polynomial.step()
        want *= ((1 - n / 15) / (1 - (n - 1) / 15)) ** 2
        assert polynomial.get_last_lr() == [want]
    cyclic = mt.optim.lr_scheduler.CyclicLR(optimizer, 0.01, 0.1, 3, 4, "exp_range", 0.99, cycle_momentum=False)
    cyclic.step()
    x = 1 + 1 / 7 - 1
    assert cyclic.get_last_lr() == [0.01 + (0.1 - 0.01) * (x / (3 / 7)) * 0.99]
