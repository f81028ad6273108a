"""Layer, batch, group and RMS norm: values, running statistics, errors, third derivatives."""

import numpy as np
import pytest

import minitensor as mt
from minitensor.ops.norm import batch_norm, group_norm, layer_norm, rms_norm

RNG = np.random.default_rng(0)


def tensor(*shape):
    return mt.from_numpy(RNG.standard_normal(shape))


@pytest.mark.parametrize("shape", [(4, 6), (5, 3, 7), (2, 3, 4, 33)])
def test_rows_and_channels_are_standardised(shape):
    x = mt.from_numpy(RNG.normal(5, 3, shape).astype(np.float32))
    y = layer_norm(x, shape[-1:], eps=0.0).numpy()
    np.testing.assert_allclose(y.mean(-1), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(-1), 1, rtol=1e-4)
    over = (0, *range(2, len(shape)))
    y = batch_norm(x, None, None, training=True, eps=0.0).numpy()
    np.testing.assert_allclose(y.mean(over), 0, atol=1e-5)
    np.testing.assert_allclose(y.var(over), 1, rtol=1e-4)


def test_large_mean_keeps_its_variance():
    x = (1e4 + np.arange(64) % 4).astype(np.float32).reshape(2, 32)
    want = (np.arange(64) % 4 - 1.5).reshape(2, 32) / np.sqrt(1.25)
    np.testing.assert_allclose(layer_norm(mt.from_numpy(x), 32).numpy(), want, rtol=1e-4)
    y = batch_norm(mt.from_numpy(x.reshape(8, 1, 8)), None, None, training=True).numpy()
    np.testing.assert_allclose(y.reshape(2, 32), want, rtol=1e-4)


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 2, 4)])
@pytest.mark.parametrize("where", ["avx512", "reference"])
def test_running_statistics(shape, where):
    if where not in mt.cpu.isas():
        where = mt.cpu.isas()[-1]
    x = tensor(*shape)
    over = (0, *range(2, len(shape)))
    mean, var = mt.zeros(3, dtype=mt.float64), mt.ones(3, dtype=mt.float64)
    with mt.cpu.use(where):
        batch_norm(x.requires_grad_(), mean, var, training=True, momentum=0.25)
    a = x.detach().numpy()
    np.testing.assert_allclose(mean.numpy(), 0.25 * a.mean(over), rtol=1e-12)
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * a.var(over, ddof=1), rtol=1e-12)
    assert not mean.requires_grad
    assert not var.requires_grad


@pytest.mark.parametrize("shape", [(6, 3), (4, 3, 5), (2, 3, 2, 4)])
def test_evaluation_uses_the_running_statistics(shape):
    x, mean, weight, bias = tensor(*shape), tensor(3), tensor(3), tensor(3)
    var = mt.from_numpy(RNG.uniform(0.5, 2, 3))
    wide = (3, *[1] * (len(shape) - 2))
    m, v, w, b = [a.numpy().reshape(wide) for a in (mean, var, weight, bias)]
    before = mean.numpy().copy(), var.numpy().copy()
    y = batch_norm(x, mean, var, weight, bias)
    np.testing.assert_allclose(y.numpy(), (x.numpy() - m) / np.sqrt(v + 1e-5) * w + b, rtol=1e-12)
    assert (mean.numpy() == before[0]).all()
    assert (var.numpy() == before[1]).all()


def test_writing_running_statistics_is_seen_by_the_graph():
    mean, var = mt.zeros(3), mt.ones(3)
    used = mt.ones(3).requires_grad_() * mean
    batch_norm(mt.from_numpy(RNG.standard_normal((4, 3)).astype(np.float32)), mean, var, training=True)
    with pytest.raises(RuntimeError, match="overwritten"):
        used.sum().backward()


def test_group_norm_between_layer_and_instance_norm():
    x = tensor(2, 4, 5)
    np.testing.assert_allclose(group_norm(x, 1).numpy(), layer_norm(x, (4, 5)).numpy(), rtol=1e-12)
    each = layer_norm(x, 5).numpy()
    np.testing.assert_allclose(group_norm(x, 4).numpy(), each, rtol=1e-12)
    w, b = tensor(4), tensor(4)
    want = each * w.numpy()[:, None] + b.numpy()[:, None]
    np.testing.assert_allclose(group_norm(x, 4, w, b).numpy(), want, rtol=1e-12)


def test_rms_norm():
    y = rms_norm(mt.tensor([[3.0, 4.0]]), 2, mt.tensor([1.0, 2.0]), eps=0.0).numpy()
    np.testing.assert_allclose(y, np.array([[3.0, 8.0]]) / np.sqrt(12.5), rtol=1e-6)


def test_errors():
    with pytest.raises(ValueError, match="more than one value for each channel"):
        batch_norm(mt.zeros(1, 3), None, None, training=True)
    with pytest.raises(ValueError, match="running_mean must be given"):
        batch_norm(mt.zeros(2, 3), None, None)
    with pytest.raises(ValueError, match=r"weight \(2,\) must have the shape \(3,\)"):
        batch_norm(mt.zeros(2, 3), None, None, mt.ones(2), training=True)
    with pytest.raises(ValueError, match=r"the last sizes of \(2, 3\) are not"):
        layer_norm(mt.zeros(2, 3), (2,))
    with pytest.raises(ValueError, match="the last sizes"):
        layer_norm(mt.zeros(3), (2, 3))
    with pytest.raises(TypeError, match="weight is float64"):
        layer_norm(mt.zeros(2, 3), 3, mt.ones(3, dtype=mt.float64))
    with pytest.raises(ValueError, match="4 channels cannot be split into 3 groups"):
        group_norm(mt.zeros(2, 4), 3)
    with pytest.raises(ValueError, match="expected"):
        batch_norm(mt.zeros(3), None, None, training=True)


CASES = {
    "layer_norm": ((2, 5), lambda x, w, b: layer_norm(x, 5, w, b), 5),
    "batch_norm": ((4, 3), lambda x, w, b: batch_norm(x, None, None, w, b, training=True), 3),
    "batch_norm2d": (
        (2, 2, 2, 3),
        lambda x, w, b: batch_norm(x, None, None, w, b, training=True),
        2,
    ),
    "group_norm": ((2, 4, 3), lambda x, w, b: group_norm(x, 2, w, b), 4),
    "rms_norm": ((2, 5), lambda x, w, b: rms_norm(x, 5, w) + b, 5),
}


@pytest.mark.parametrize("case", CASES)
def test_third_derivative(case):
    """By input, weight and bias together, along a direction, against differences of the second."""
    shape, f, n = CASES[case]
    start = [RNG.standard_normal(shape), RNG.uniform(0.5, 2, n), RNG.standard_normal(n)]
    along = [RNG.standard_normal(a.shape) for a in start]
    a = mt.from_numpy(RNG.standard_normal(shape))

    def second(h):
        xs = [mt.from_numpy(x + h * v).requires_grad_() for x, v in zip(start, along, strict=True)]
        y = (f(*xs) * a).sum()
        for _ in range(2):
            ds = mt.autograd.grad(y, xs, create_graph=True, materialize_grads=True)
            y = sum((d * mt.from_numpy(v)).sum() for d, v in zip(ds, along, strict=True))
        return xs, y

    xs, y = second(0.0)
    third = mt.autograd.grad(y, xs, materialize_grads=True)
    have = sum(float((d.numpy() * v).sum()) for d, v in zip(third, along, strict=True))
    h = 1e-5
    want = (second(h)[1].item() - second(-h)[1].item()) / (2 * h)
    assert have == pytest.approx(want, rel=1e-5, abs=1e-6)
