"""Layer, batch, group and RMS norm: values, running statistics, errors, third derivatives."""

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn
from minitensor.ops.batch_norm import batch_norm
from minitensor.ops.group_norm import group_norm, instance_norm
from minitensor.ops.norm import layer_norm, local_response_norm, rms_norm

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


def test_instance_norm_is_layer_norm_of_each_channel():
    x, w, b = tensor(2, 3, 4, 5), tensor(3), tensor(3)
    want = layer_norm(x, (4, 5)).numpy() * w.numpy()[:, None, None] + b.numpy()[:, None, None]
    np.testing.assert_allclose(instance_norm(x, weight=w, bias=b).numpy(), want, rtol=1e-12)


def test_instance_norm_running_statistics():
    x = tensor(4, 3, 6)
    mean, var = mt.zeros(3, dtype=mt.float64), mt.ones(3, dtype=mt.float64)
    before = mean._version
    instance_norm(x.requires_grad_(), mean, var, momentum=0.25)
    a = x.detach().numpy()
    np.testing.assert_allclose(mean.numpy(), 0.25 * a.mean((0, 2)), rtol=1e-12)
    np.testing.assert_allclose(var.numpy(), 0.75 + 0.25 * a.var(2, ddof=1).mean(0), rtol=1e-12)
    assert mean._version > before
    assert not mean.requires_grad
    y = instance_norm(x, mean, var, use_input_stats=False).detach().numpy()
    m, v = mean.numpy()[:, None], var.numpy()[:, None]
    np.testing.assert_allclose(y, (a - m) / np.sqrt(v + 1e-5), rtol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_local_response_norm(size):
    x = RNG.standard_normal((2, 5, 3))
    have = local_response_norm(mt.from_numpy(x), size, 0.5, 0.75, 2.0).numpy()
    for c in range(5):
        near = x[:, max(c - size // 2, 0) : c + (size - 1) // 2 + 1]
        want = x[:, c] / (2 + 0.5 / size * (near**2).sum(1)) ** 0.75
        np.testing.assert_allclose(have[:, c], want, rtol=1e-12)


def test_inputs_without_elements():
    mean, var = mt.zeros(3), mt.ones(3)
    assert batch_norm(mt.zeros(0, 3), mean, var, training=True).shape == (0, 3)
    assert mean.tolist() == [0.0] * 3
    assert instance_norm(mt.zeros(0, 3, 4), mean, var).shape == (0, 3, 4)
    assert mean.tolist() == [0.0] * 3
    assert group_norm(mt.zeros(0, 4, 2), 2).shape == (0, 4, 2)
    assert batch_norm(mt.zeros(0), mt.zeros(0), mt.ones(0)).shape == (0,)
    assert local_response_norm(mt.zeros(2, 0, 3), 2).shape == (2, 0, 3)


def test_errors_of_instance_group_and_response_norm():
    with pytest.raises(ValueError, match="more than one value for each channel"):
        instance_norm(mt.zeros(2, 3, 1))
    with pytest.raises(ValueError, match="running_mean must be given"):
        instance_norm(mt.zeros(2, 3, 4), use_input_stats=False)
    with pytest.raises(ValueError, match=r"weight \(4,\) must have the shape \(3,\)"):
        instance_norm(mt.zeros(2, 3, 4), weight=mt.ones(4))
    with pytest.raises(ValueError, match="every group needs more than one value"):
        group_norm(mt.zeros(1, 4), 4)
    with pytest.raises(ValueError, match="at least three axes"):
        local_response_norm(mt.zeros(2, 3), 2)
    with pytest.raises(ValueError, match="size must be at least 1"):
        local_response_norm(mt.zeros(2, 3, 4), 0)


def test_layers_with_statistics():
    x = tensor(4, 3, 6)
    layer = nn.InstanceNorm1d(3, affine=True, track_running_stats=True, dtype=mt.float64)
    assert list(layer.state_dict()) == ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    layer(x)
    mean = layer.running_mean.numpy().copy()
    np.testing.assert_allclose(mean, 0.1 * x.numpy().mean((0, 2)), rtol=1e-12)
    layer.eval()
    v = layer.running_var.numpy()[:, None]
    np.testing.assert_allclose(layer(x).detach().numpy(), (x.numpy() - mean[:, None]) / np.sqrt(v + 1e-5), rtol=1e-12)
    assert (layer.running_mean.numpy() == mean).all()
    plain = nn.InstanceNorm1d(3)
    assert list(plain.state_dict()) == []
    np.testing.assert_allclose(plain(x[0]).numpy(), plain(x).numpy()[0], rtol=1e-12)
    with pytest.raises(ValueError, match=r"InstanceNorm1d: expected \(N, C, L\) or \(C, L\)"):
        plain(mt.zeros(2, 3, 4, 5))
    with pytest.warns(UserWarning, match="3 channels, but num_features is 5"):
        nn.InstanceNorm1d(5)(x)


def test_batch_norm_layers():
    x = tensor(4, 3, 2, 2, 2)
    a = x.numpy()
    layer = nn.BatchNorm3d(3, momentum=None, dtype=mt.float64)
    layer(x), layer(x * 3)
    np.testing.assert_allclose(layer.running_mean.numpy(), 2 * a.mean((0, 2, 3, 4)), rtol=1e-12)  # of 1 and 3
    assert layer.num_batches_tracked.item() == 2
    loose = nn.BatchNorm3d(3, track_running_stats=False, dtype=mt.float64).eval()
    np.testing.assert_allclose(loose(x).detach().numpy().mean((0, 2, 3, 4)), np.zeros(3), atol=1e-12)
    assert nn.BatchNorm3d(3, affine=False)(x.float()).requires_grad is False
    net = nn.Sequential(nn.Linear(3, 3), nn.Sequential(nn.BatchNorm1d(3), nn.ReLU()))
    one = nn.SyncBatchNorm.convert_sync_batchnorm(net)
    assert type(one[1][0]) is nn.SyncBatchNorm
    assert [n for n, _ in one.named_parameters()] == ["0.weight", "0.bias", "1.0.weight", "1.0.bias"]
    assert one(mt.ones(2, 3)).shape == (2, 3)
    assert one[1][0].num_batches_tracked.item() == 1


def test_layers_of_groups_and_squares():
    x = tensor(2, 4, 5)
    group = nn.GroupNorm(2, 4, dtype=mt.float64)
    nn.init.normal_(group.weight)
    want = group_norm(x, 2, group.weight, group.bias)
    assert (group(x) == want).all()
    with pytest.raises(ValueError, match="cannot be split into 3 groups"):
        nn.GroupNorm(3, 4)
    rms = nn.RMSNorm((4, 5), eps=0.5, dtype=mt.float64)
    a = x.numpy()
    want = a / np.sqrt((a**2).mean((1, 2), keepdims=True) + 0.5)
    np.testing.assert_allclose(rms(x).detach().numpy(), want, rtol=1e-12)
    assert (nn.LocalResponseNorm(2, 0.5)(x) == local_response_norm(x, 2, 0.5)).all()
    assert list(nn.LayerNorm(3, bias=False).state_dict()) == ["weight"]


CASES = {
    "layer_norm": ((2, 5), lambda x, w, b: layer_norm(x, 5, w, b), 5),
    "batch_norm": ((4, 3), lambda x, w, b: batch_norm(x, None, None, w, b, training=True), 3),
    "batch_norm2d": (
        (2, 2, 2, 3),
        lambda x, w, b: batch_norm(x, None, None, w, b, training=True),
        2,
    ),
    "group_norm": ((2, 4, 3), lambda x, w, b: group_norm(x, 2, w, b), 4),
    "instance_norm": ((2, 3, 4), lambda x, w, b: instance_norm(x, None, None, w, b), 3),
    "instance_norm2d": ((2, 2, 2, 3), lambda x, w, b: instance_norm(x, None, None, w, b), 2),
    "local_response_norm": ((2, 4, 2), lambda x, w, b: local_response_norm(x, 3, 2.0) * w[:, None] + b[:, None], 4),
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
