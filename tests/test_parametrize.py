"""Parametrizations of weights, weight and spectral norm, orthogonal matrices, fused layers."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn
from minitensor.errors import ShapeError
from minitensor.nn import utils
from minitensor.nn.utils import parametrizations as P
from minitensor.nn.utils import parametrize


class Exp(nn.Module):
    def forward(self, x):
        return x.exp()

    def right_inverse(self, y):
        return y.log()


class Symmetric(nn.Module):
    def forward(self, x):
        return (x + x.T) / 2


def linear(rows=3, cols=3):
    layer = nn.Linear(cols, rows, dtype=mt.float64)
    with mt.no_grad():
        layer.weight.copy_(mt.linspace(0.5, 2.0, rows * cols, dtype=mt.float64).reshape(rows, cols).sin())
    return layer


def test_a_parametrized_weight():
    layer = linear()
    weight, before = layer.weight, layer.weight.detach().clone()
    assert parametrize.register_parametrization(layer, "weight", Exp()) is layer
    np.testing.assert_allclose(layer.weight.detach(), before, rtol=1e-14)
    assert layer.parametrizations.weight.original is weight  # an optimizer may hold it
    assert isinstance(layer, nn.Linear)
    assert parametrize.type_before_parametrizations(layer) is nn.Linear
    assert [n for n, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]
    assert repr(layer) == (
        "ParametrizedLinear(\n  in_features=3, out_features=3, bias=True\n  (parametrizations): ModuleDict(\n"
        "    (weight): ParametrizationList(\n      (0): Exp()\n    )\n  )\n)"
    )
    layer(mt.ones(1, 3, dtype=mt.float64)).sum().backward()
    np.testing.assert_allclose(weight.grad, before, rtol=1e-14)  # d exp(x) = exp(x)
    layer.weight = mt.full((3, 3), 2.0, dtype=mt.float64)
    np.testing.assert_allclose(weight.detach(), np.log(2.0))
    twin = copy.deepcopy(layer)
    twin.weight = mt.ones(3, 3, dtype=mt.float64)
    np.testing.assert_allclose(layer.weight.detach(), 2.0)
    assert parametrize.is_parametrized(twin, "weight")
    assert not parametrize.is_parametrized(twin, "bias")
    with pytest.raises(RuntimeError, match="cannot be pickled; save its state_dict"):
        pickle.dumps(layer)
    layer.note = 3  # other attributes as ever
    layer.bias = nn.Parameter(mt.zeros(3, dtype=mt.float64))
    assert layer.note == 3
    assert layer.bias.sum() == 0


def test_two_parametrizations_and_their_cache():
    layer = linear()
    before = ((layer.weight + layer.weight.T) / 2).detach()
    parametrize.register_parametrization(layer, "weight", Exp())
    parametrize.register_parametrization(layer, "weight", Symmetric())
    np.testing.assert_allclose(layer.weight.detach(), before, rtol=1e-13)
    assert layer.weight is not layer.weight
    with parametrize.cached():
        first = layer.weight
        with parametrize.cached():
            assert layer.weight is first
        assert layer.weight is first
    assert layer.weight is not first


def test_taking_parametrizations_away():
    for leave in (True, False):
        layer = parametrize.register_parametrization(linear(), "weight", Exp())
        original = layer.parametrizations.weight.original
        want = (layer.weight if leave else original).detach().clone()
        assert parametrize.remove_parametrizations(layer, "weight", leave) is layer
        assert type(layer) is nn.Linear
        assert layer.weight is original
        assert sorted(layer.state_dict()) == ["bias", "weight"]
        np.testing.assert_array_equal(layer.weight.detach(), want)
    layer = P.weight_norm(linear())
    before = layer.weight.detach().clone()
    with pytest.raises(ShapeError, match="only leave_parametrized=True is possible"):
        parametrize.remove_parametrizations(layer, "weight", False)
    parametrize.remove_parametrizations(layer, "weight")
    np.testing.assert_array_equal(layer.weight.detach(), before)
    assert layer.weight.requires_grad
    with pytest.raises(ShapeError, match="'weight' is not parametrized"):
        parametrize.remove_parametrizations(layer, "weight")


def test_parametrizations_that_do_not_fit():
    class Row(nn.Module):
        def forward(self, x):
            return x[0]

    class Nothing(nn.Module):
        def forward(self, x):
            return None

    with pytest.raises(ShapeError, match=r"made float64 \(3,\) of float64 \(3, 3\); pass unsafe=True"):
        parametrize.register_parametrization(linear(), "weight", Row())
    with pytest.raises(ShapeError, match="must return a tensor, not NoneType"):
        parametrize.register_parametrization(linear(), "weight", Nothing())
    with pytest.raises(ShapeError, match="Linear has no parameter or buffer 'wait'"):
        parametrize.register_parametrization(linear(), "wait", Exp())
    layer = parametrize.register_parametrization(linear(), "weight", Row(), unsafe=True)
    assert layer.weight.shape == (3,)
    layer = parametrize.register_parametrization(linear(), "weight", Exp())
    with pytest.raises(ShapeError, match=r"made \(3,\) of \(3, 3\)"):
        parametrize.register_parametrization(layer, "weight", Row())


@pytest.mark.parametrize("dim", [0, 1, -1, None])
@pytest.mark.parametrize("old", [False, True])
def test_weight_norm(dim, old):
    layer = linear(2, 3)
    w = layer.weight.detach().numpy().copy()
    layer = (utils.weight_norm if old else P.weight_norm)(layer, dim=dim)
    axis = {0: 1, 1: 0}.get(dim)
    lengths = np.sqrt((w**2).sum(axis, keepdims=axis is not None))
    inner = layer if old else layer.parametrizations.weight
    g, v = (inner.weight_g, inner.weight_v) if old else (inner.original0, inner.original1)
    np.testing.assert_allclose(g.detach(), lengths, rtol=1e-14)
    np.testing.assert_allclose(v.detach(), w)
    with mt.no_grad():
        g.mul_(2.0)
    x = mt.randn(4, 3, dtype=mt.float64)
    np.testing.assert_allclose(layer(x).detach(), x.numpy() @ (2 * w).T + layer.bias.detach().numpy(), rtol=1e-12)
    layer(x).sum().backward()
    assert g.grad is not None
    # The direction's gradient is orthogonal to it.
    np.testing.assert_allclose((v.grad * v).detach().numpy().sum(axis), 0, atol=1e-12)
    if old:
        utils.remove_weight_norm(layer)
        np.testing.assert_allclose(layer.weight.detach(), 2 * w, rtol=1e-14)
        assert sorted(layer.state_dict()) == ["bias", "weight"]
        with pytest.raises(ShapeError, match="'weight' has no WeightNorm"):
            utils.remove_weight_norm(layer)


@pytest.mark.parametrize("old", [False, True])
def test_spectral_norm(old):
    layer = linear(4, 3)
    w = layer.weight.detach().numpy().copy()
    layer = (utils.spectral_norm if old else P.spectral_norm)(layer, n_power_iterations=60)
    x = mt.randn(2, 3, dtype=mt.float64)
    layer(x)
    np.testing.assert_allclose(layer.weight.detach(), w / np.linalg.norm(w, 2), rtol=1e-10)
    u, v = ("weight_u", "weight_v") if old else ("parametrizations.weight.0._u", "parametrizations.weight.0._v")
    state = layer.state_dict()
    left, _, right = np.linalg.svd(w)
    assert abs(state[u].numpy() @ left[:, 0]) == pytest.approx(1)
    assert abs(state[v].numpy() @ right[0]) == pytest.approx(1)
    layer.eval()
    before = state[u].clone()
    layer(x)
    np.testing.assert_array_equal(layer.state_dict()[u], before)
    if old:
        utils.remove_spectral_norm(layer)
        np.testing.assert_allclose(layer.weight.detach(), w / np.linalg.norm(w, 2), rtol=1e-10)
        assert sorted(layer.state_dict()) == ["bias", "weight"]
    conv = P.spectral_norm(nn.ConvTranspose2d(2, 3, 2))
    assert conv.parametrizations.weight[0]._u.shape == (3,)
    vector = P.spectral_norm(nn.LayerNorm(4))
    np.testing.assert_allclose(vector.weight.detach(), 0.5)
    with pytest.raises(ShapeError, match="n_power_iterations must be positive"):
        P.spectral_norm(linear(), n_power_iterations=0)


@pytest.mark.parametrize("kind", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)])
def test_orthogonal(kind, shape):
    layer = P.orthogonal(linear(*shape), orthogonal_map=kind)
    rng = np.random.default_rng(0)

    def gap():
        w = layer.weight.detach().numpy()
        w = w.T if shape[0] < shape[1] else w
        return np.abs(w.T @ w - np.eye(min(shape))).max()

    assert gap() < 1e-13
    optimizer = mt.optim.SGD(layer.parameters(), lr=0.1)
    x = mt.tensor(rng.standard_normal((6, shape[1])))
    start = layer.weight.detach().clone()
    for _ in range(5):
        optimizer.zero_grad()
        (layer(x) - x.sum(1, keepdim=True)).square().mean().backward()
        optimizer.step()
    assert gap() < 1e-13
    assert np.abs((layer.weight - start).detach().numpy()).max() > 1e-3
    q = np.linalg.qr(rng.standard_normal((5, 5)))[0][: shape[0], : shape[1]]
    q = np.linalg.qr(q)[0] if shape[0] >= shape[1] else np.linalg.qr(q.T)[0].T
    layer.weight = mt.tensor(q.copy())
    signs = layer.weight.detach().numpy() / q  # made of a basis of the same space
    np.testing.assert_allclose(np.abs(signs), 1, rtol=1e-9)


def test_orthogonal_without_a_fixed_matrix():
    layer = P.orthogonal(linear(5, 3), use_trivialization=False)
    q = np.linalg.qr(np.random.default_rng(0).standard_normal((5, 3)))[0]
    layer.weight = mt.tensor(q.copy())
    np.testing.assert_allclose(layer.weight.detach(), q, atol=1e-13)
    layer = P.orthogonal(nn.Linear(3, 3), orthogonal_map="householder", use_trivialization=False)
    for kind in ("cayley", "matrix_exp"):
        with pytest.raises(NotImplementedError, match="can be set only with use_trivialization"):
            P.orthogonal(linear(), orthogonal_map=kind, use_trivialization=False)
    with pytest.raises(ShapeError, match="must be 'matrix_exp', 'cayley' or 'householder', not 'qr'"):
        P.orthogonal(linear(), orthogonal_map="qr")
    with pytest.raises(ShapeError, match=r"expected a matrix or a batch of matrices, got \(3,\)"):
        P.orthogonal(linear(), "bias")


def test_fused_layers():
    rng = np.random.default_rng(0)

    def draw(bn):
        for x in (bn.running_mean, bn.running_var, bn.weight.data, bn.bias.data):
            x.copy_(mt.tensor(rng.uniform(0.5, 2, x.shape)))
        return bn.eval()

    conv, up, line = nn.Conv2d(2, 3, 2, bias=False).eval(), nn.ConvTranspose2d(2, 3, 2).eval(), nn.Linear(4, 3).eval()
    x = mt.randn(2, 2, 4, 4)
    for layer, transpose in ((conv, False), (up, True)):
        bn = draw(nn.BatchNorm2d(3))
        fused = utils.fuse_conv_bn_eval(layer, bn, transpose)
        np.testing.assert_allclose(fused(x).detach(), bn(layer(x)).detach(), rtol=1e-4, atol=1e-5)
    bn = draw(nn.BatchNorm1d(3))
    x = mt.randn(5, 4)
    np.testing.assert_allclose(
        utils.fuse_linear_bn_eval(line, bn)(x).detach(), bn(line(x)).detach(), rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ShapeError, match="both modules must be in evaluation"):
        utils.fuse_conv_bn_eval(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1))
    with pytest.raises(ShapeError, match="2 outputs for 3 features"):
        utils.fuse_linear_bn_eval(nn.Linear(1, 2).eval(), bn)
    with pytest.raises(ShapeError, match="no running statistics"):
        utils.fuse_conv_bn_eval(conv, nn.BatchNorm2d(3, track_running_stats=False).eval())


def test_skipped_initial_values_draw_nothing():
    mt.manual_seed(0)
    want = mt.rand(3)
    mt.manual_seed(0)
    layer = utils.skip_init(nn.Linear, 2, 3, bias=False)
    assert layer.weight.shape == (3, 2)
    np.testing.assert_array_equal(mt.rand(3), want)


def test_initial_values_sparse_and_dirac():
    w = nn.init.sparse_(mt.empty(10, 4), 0.25, std=1.0)
    assert (w == 0).sum(0).tolist() == [3, 3, 3, 3]
    w = nn.init.dirac_(mt.empty(4, 2, 3, 3), groups=2)
    assert w.sum().item() == 4
    assert w[:, :, 1, 1].tolist() == [[1, 0], [0, 1], [1, 0], [0, 1]]
    with pytest.raises(ShapeError, match="3 outputs are not divisible by groups 2"):
        nn.init.dirac_(mt.empty(3, 2, 3), 2)
    with pytest.raises(ShapeError, match=r"3, 4 or 5 axes, got \(3, 2\)"):
        nn.init.dirac_(mt.empty(3, 2))


def test_the_rest_of_the_containers():
    d = nn.ParameterDict({"a": mt.ones(1)})
    assert d.get("b") is None
    assert d.setdefault("b", mt.zeros(1)).item() == 0
    assert list(reversed(d)) == ["b", "a"]
    assert list(d | nn.ParameterDict({"c": mt.ones(1)})) == ["a", "b", "c"]
    twin = d.copy()
    twin |= nn.ParameterDict({"c": mt.ones(1)})
    assert (list(twin), list(d)) == (["a", "b", "c"], ["a", "b"])
    assert d.popitem()[0] == "b"
    assert list(d.fromkeys(["x", "y"], mt.ones(1))) == ["x", "y"]
    net = nn.Sequential(nn.ReLU()) * 3
    assert len(net) == 3
    net *= 2
    assert len(net) == 6
    assert net[5] is net[0]
