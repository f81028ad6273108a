"""Activations: values by hand, PyTorch's choices at kinks, NaN in each lane, in-place forms, layers, errors.

What every operator has in common (derivatives in all modes, ISAs, layouts, threads) is in test_ops.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn
from minitensor.errors import DtypeError, GraphError, ShapeError
from minitensor.nn import functional as F

NAN, INF = math.nan, math.inf
S, A = 1.0507009873554805, 1.6732632423543772  # of selu


def at(f, values, dtype=mt.float64):
    """f and its derivative at each value."""
    x = mt.tensor(values, dtype=dtype, requires_grad=True)
    y = f(x)
    y.backward(mt.ones_like(y))
    return y.tolist(), x.grad.tolist()


# Values and slopes at points, by hand; at kinks PyTorch's slope.
KNOWN = {
    "elu": (lambda x: F.elu(x, 2.0), [-1, 0, 3], [2 * (math.exp(-1) - 1), 0, 3], [2 * math.exp(-1), 2, 1]),
    "selu": (F.selu, [-1, 0, 3], [S * A * (math.exp(-1) - 1), 0, 3 * S], [S * A * math.exp(-1), S * A, S]),
    "celu": (lambda x: F.celu(x, 2.0), [-2, 0, 3], [2 * (math.exp(-1) - 1), 0, 3], [math.exp(-1), 1, 1]),
    "relu6": (F.relu6, [-1, 0, 2, 6, 7], [0, 0, 2, 6, 6], [0, 0, 1, 0, 0]),
    "hardtanh": (lambda x: F.hardtanh(x, -2, 1), [-3, -2, 0.5, 1, 4], [-2, -2, 0.5, 1, 1], [0, 0, 1, 0, 0]),
    "hardsigmoid": (F.hardsigmoid, [-4, -3, 1.5, 3, 4], [0, 0, 0.75, 1, 1], [0, 0, 1 / 6, 0, 0]),
    "hardswish": (F.hardswish, [-4, -3, 0, 1.5, 3, 4], [0, 0, 0, 1.125, 3, 4], [0, 0, 0.5, 1, 1, 1]),
    "hardshrink": (lambda x: F.hardshrink(x, 1.0), [-2, -1, 0.5, 1, 2], [-2, 0, 0, 0, 2], [1, 0, 0, 0, 1]),
    "softshrink": (lambda x: F.softshrink(x, 1.0), [-3, -1, 0.5, 1, 2], [-2, 0, 0, 0, 1], [1, 0, 0, 0, 1]),
    "threshold": (lambda x: F.threshold(x, 1.0, 9.0), [0, 1, 2], [9, 9, 2], [0, 0, 1]),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.5), [-2, 0, 2], [-1, 0, 2], [0.5, 0.5, 1]),
    "softsign": (F.softsign, [-3, 0, 1], [-0.75, 0, 0.5], [1 / 16, 1, 1 / 4]),
    "tanhshrink": (F.tanhshrink, [0, 1], [0, 1 - math.tanh(1)], [0, math.tanh(1) ** 2]),
    "mish": (F.mish, [0, 100, -800], [0, 100, 0], [0.6, 1, 0]),
    "rrelu": (lambda x: F.rrelu(x, 0.25, 0.75), [-2, 0, 2], [-1, 0, 2], [0.5, 0.5, 1]),
}


@pytest.mark.parametrize("name", KNOWN)
def test_values_and_slopes(name):
    f, points, values, slopes = KNOWN[name]
    for dtype, rel in ((mt.float64, 1e-14), (mt.float32, 1e-6)):
        y, dx = at(f, [float(p) for p in points], dtype)
        assert y == pytest.approx(values, rel=rel, abs=rel)
        assert dx == pytest.approx(slopes, rel=rel, abs=rel)


def test_mish_is_its_formula():
    x = np.linspace(-30, 30, 601)
    t = np.tanh(np.log1p(np.exp(np.minimum(x, 25))) + np.maximum(x - 25, 0))
    np.testing.assert_allclose(F.mish(mt.tensor(x)).numpy(), x * t, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("isa", mt.cpu.isas())
@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
@pytest.mark.parametrize(
    "f",
    [
        F.elu, F.selu, F.celu, F.hardtanh, F.relu6, F.hardsigmoid, F.hardswish, F.hardshrink, F.softshrink, F.mish,
        F.silu, F.gelu, F.softplus, F.softsign, F.tanhshrink, F.logsigmoid, mt.tanh, mt.sigmoid,
    ],
)  # fmt: skip
def test_nan_has_a_nan_gradient_in_each_lane(f, dtype, isa):
    """PyTorch's gradients of some of these are 1 in a vector's body and NaN or 0 in its tail."""
    with mt.cpu.use(isa):
        for n in (1, 19, 37):
            for place in range(n):
                x = mt.zeros(n, dtype=dtype)
                x[place] = NAN
                y, dx = at(f, x.tolist(), dtype)
                assert [i for i in range(n) if math.isnan(y[i])] == [place]
                assert [i for i in range(n) if math.isnan(dx[i])] == [place]


def test_large_inputs_are_finite():
    for dtype in (mt.float32, mt.float64):
        for f in (F.elu, F.selu, F.celu, F.mish, F.hardswish, F.softplus):
            y, dx = at(f, [-1e4, 1e4], dtype)
            assert all(map(math.isfinite, y + dx))
    assert F.elu(mt.tensor([-INF, INF])).tolist() == [-1.0, INF]


# --- prelu, glu, rrelu, gumbel_softmax --------------------------------------------------------------------------------


def test_prelu():
    x = mt.tensor([[[-1.0, 2.0], [-3.0, 4.0]]], requires_grad=True)  # (1, 2, 2)
    w = mt.tensor([0.5, 0.25], requires_grad=True)
    y = F.prelu(x, w)
    assert y.tolist() == [[[-0.5, 2.0], [-0.75, 4.0]]]
    y.sum().backward()
    assert x.grad.tolist() == [[[0.5, 1.0], [0.25, 1.0]]]
    assert w.grad.tolist() == [-1.0, -3.0]
    assert F.prelu(mt.tensor(-1.0), mt.tensor([0.5])).shape == ()
    assert F.prelu(mt.tensor([-1.0, INF]), mt.tensor(0.5)).tolist() == [-0.5, INF]
    for weight, x in ((mt.ones(2), mt.ones(2, 3)), (mt.ones(3), mt.ones(3)), (mt.ones(3, 1), mt.ones(2, 3))):
        with pytest.raises(ShapeError, match="prelu: a weight of shape"):
            F.prelu(x, weight)


def test_prelu_of_an_infinity_leaves_the_weights_gradient_finite():
    w = mt.tensor([0.5], requires_grad=True)
    F.prelu(mt.tensor([INF, -2.0]), w).sum().backward()
    assert w.grad.tolist() == [-2.0]


def test_glu():
    x = mt.tensor([[1.0, 2.0], [3.0, 4.0]])
    half = 1 / (1 + np.exp(-np.array([[2.0], [4.0]])))
    np.testing.assert_allclose(F.glu(x).numpy(), np.array([[1.0], [3.0]]) * half, rtol=1e-6)
    np.testing.assert_allclose(F.glu(x, 0).numpy()[0], [1 / (1 + math.exp(-3)), 2 / (1 + math.exp(-4))], rtol=1e-6)
    assert F.glu(mt.zeros(3, 0)).shape == (3, 0)
    for bad in (mt.ones(3), mt.tensor(1.0)):
        with pytest.raises(ShapeError, match="glu: axis -1"):
            F.glu(bad)
    with pytest.raises(IndexError, match="glu: dim 2"):
        F.glu(x, 2)


def test_rrelu_draws_slopes_while_training():
    mt.manual_seed(0)
    x = mt.full((1000,), -1.0, requires_grad=True)
    y = F.rrelu(x, 0.25, 0.5, training=True)
    assert mt.all((y >= -0.5) & (y <= -0.25)).item()
    assert len(set(y.tolist())) > 900
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), -y.detach().numpy())
    assert F.rrelu(mt.tensor([1.0, 2.0]), training=True).tolist() == [1.0, 2.0]
    with pytest.raises(ShapeError, match="rrelu: lower 2 is above upper 1"):
        F.rrelu(x, 2, 1)


def test_gumbel_softmax():
    mt.manual_seed(0)
    logits = mt.tensor([[0.0, math.log(3.0)]] * 4000, requires_grad=True)
    soft = F.gumbel_softmax(logits, tau=0.5)
    np.testing.assert_allclose(soft.sum(-1).detach().numpy(), 1, rtol=1e-6)
    hard = F.gumbel_softmax(logits, hard=True)
    assert set(hard.detach().numpy().round(6).ravel().tolist()) == {0.0, 1.0}
    assert hard.mean(0)[1].item() == pytest.approx(0.75, abs=0.03)  # as softmax(logits) says
    (g,) = mt.autograd.grad(hard[:, 0].sum(), logits)
    assert mt.all(g != 0).item()
    with pytest.raises(ShapeError, match="gumbel_softmax: tau"):
        F.gumbel_softmax(logits, tau=0)


# --- in place ---------------------------------------------------------------------------------------------------------

IN_PLACE = [
    "relu",
    "relu6",
    "elu",
    "selu",
    "celu",
    "leaky_relu",
    "hardtanh",
    "hardswish",
    "hardsigmoid",
    "mish",
    "silu",
]


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place(name):
    f = getattr(F, name)
    start = mt.tensor([-1.5, 0.5, 7.0], dtype=mt.float64, requires_grad=True)
    x = start * 1
    y = f(x, inplace=True)
    assert y is x
    assert y.tolist() == f(start).tolist()
    (have,) = mt.autograd.grad(y.sum(), start)
    (want,) = mt.autograd.grad(f(start).sum(), start)
    assert have.tolist() == want.tolist()
    with pytest.raises(GraphError, match="leaf"):
        f(start, inplace=True)


def test_in_place_functions():
    for name in ("relu_", "elu_", "selu_", "celu_", "leaky_relu_", "hardtanh_", "rrelu_"):
        x = mt.tensor([-1.0, 2.0])
        want = getattr(F, name[:-1])(x).tolist()
        assert getattr(F, name)(x) is x
        assert x.tolist() == want
    x = mt.tensor([-1.0, 2.0])
    assert F.threshold_(x, 0.0, 5.0).tolist() == [5.0, 2.0]
    assert F.threshold(x, 3.0, 1.0, True) is x


# --- dtypes, errors ---------------------------------------------------------------------------------------------------


def test_integers():
    whole = mt.tensor([1, -3, 9])
    assert F.hardtanh(whole).tolist() == [1, -1, 1]
    assert F.relu6(whole).tolist() == [1, 0, 6]
    assert F.relu6(whole).dtype == mt.int64
    assert F.threshold(whole, 0, 5).tolist() == [1, 5, 9]
    assert F.softsign(mt.tensor([1])).tolist() == [0.5]
    for f in (F.elu, F.selu, F.celu, F.hardsigmoid, F.hardswish, F.mish, F.hardshrink, F.softshrink, F.rrelu, F.glu):
        with pytest.raises(DtypeError, match="expected a floating dtype, got int64"):
            f(whole)


def test_bad_arguments():
    x = mt.ones(2)
    with pytest.raises(ShapeError, match="celu: alpha must not be 0"):
        F.celu(x, 0)
    with pytest.raises(ValueError, match="hardtanh: min_val 1 is above max_val -1"):
        F.hardtanh(x, 1, -1)
    with pytest.raises(ShapeError, match="softshrink: lambd must not be negative"):
        F.softshrink(x, -1)
    with pytest.raises(ShapeError, match="Softmax2d"):
        nn.Softmax2d()(x)


@pytest.mark.parametrize("name", KNOWN)
def test_no_elements(name):
    assert KNOWN[name][0](mt.zeros(0, 3)).shape == (0, 3)
    assert KNOWN[name][0](mt.tensor(0.5)).shape == ()


# --- layers -----------------------------------------------------------------------------------------------------------

LAYERS = {  # printed as PyTorch prints them
    "ELU(alpha=1.0)": (nn.ELU(), F.elu),
    "ELU(alpha=0.5, inplace=True)": (nn.ELU(0.5, True), lambda x: F.elu(x, 0.5)),
    "SELU()": (nn.SELU(), F.selu),
    "SELU(inplace=True)": (nn.SELU(True), F.selu),
    "CELU(alpha=2.0)": (nn.CELU(2.0), lambda x: F.celu(x, 2.0)),
    "ReLU6()": (nn.ReLU6(), F.relu6),
    "ReLU6(inplace=True)": (nn.ReLU6(inplace=True), F.relu6),
    "RReLU(lower=0.125, upper=0.3333333333333333)": (nn.RReLU().eval(), F.rrelu),
    "Hardtanh(min_val=-1.0, max_val=1.0)": (nn.Hardtanh(), F.hardtanh),
    "Hardtanh(min_val=-2.0, max_val=0.5, inplace=True)": (nn.Hardtanh(-2.0, 0.5, True), lambda x: x.clamp(-2.0, 0.5)),
    "Hardshrink(0.5)": (nn.Hardshrink(), F.hardshrink),
    "Softshrink(0.25)": (nn.Softshrink(0.25), lambda x: F.softshrink(x, 0.25)),
    "Tanhshrink()": (nn.Tanhshrink(), F.tanhshrink),
    "Hardsigmoid()": (nn.Hardsigmoid(), F.hardsigmoid),
    "Hardswish()": (nn.Hardswish(), F.hardswish),
    "Mish()": (nn.Mish(), F.mish),
    "Mish(inplace=True)": (nn.Mish(inplace=True), F.mish),
    "Softsign()": (nn.Softsign(), F.softsign),
    "Threshold(threshold=0.1, value=20)": (nn.Threshold(0.1, 20), lambda x: F.threshold(x, 0.1, 20)),
    "GLU(dim=-1)": (nn.GLU(), F.glu),
    "PReLU(num_parameters=1)": (nn.PReLU(), lambda x: F.leaky_relu(x, 0.25)),
    "PReLU(num_parameters=4)": (nn.PReLU(4, 0.5), lambda x: F.leaky_relu(x, 0.5)),
    "Softmax2d()": (nn.Softmax2d(), lambda x: F.softmax(x, -3)),
    "Softmin(dim=1)": (nn.Softmin(1), lambda x: F.softmax(-x, 1)),
    "LogSigmoid()": (nn.LogSigmoid(), F.logsigmoid),
}


@pytest.mark.parametrize("text", LAYERS)
def test_layers(text):
    layer, f = LAYERS[text]
    assert repr(layer) == text
    x = mt.randn(2, 4, 3, 2)
    want = f(x).detach().numpy()
    np.testing.assert_allclose(layer(x.clone()).detach().numpy(), want, rtol=1e-6)


def test_prelu_learns():
    layer = nn.PReLU(2, init=0.1, dtype=mt.float64)
    assert list(layer.state_dict()) == ["weight"]
    layer(-mt.ones(3, 2, dtype=mt.float64)).sum().backward()
    assert layer.weight.grad.tolist() == [-3.0, -3.0]


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_rrelu_draws_a_double_for_each_element_that_is_not_positive(dtype):
    x = mt.tensor([-1.0, 2.0, -1.0, 0.0, -1.0], dtype=dtype)
    _ = mt.manual_seed(0)
    y = mt.rrelu(x, 0.25, 0.75, True)
    after = mt.rand(1)
    _ = mt.manual_seed(0)
    a = mt.rand(4, dtype=mt.float64) * 0.5 + 0.25
    assert mt.allclose(y.double(), mt.tensor([-a[0], 2, -a[1], 0, -a[3]], dtype=mt.float64), rtol=1e-7)
    assert mt.equal(after, mt.rand(1))
