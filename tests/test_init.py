"""nn.init: PyTorch's numbers (2.13, the same seed), the sizes they follow from, and wrong input."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import ShapeError

init = mt.nn.init

DRAWS = [
    ("xavier_uniform_", {}, [-0.008201400749385357, 0.5876445174217224, -0.9016007781028748]),
    ("xavier_normal_", {"gain": 2.0}, [1.9492230415344238, -0.37116146087646484]),
    ("kaiming_uniform_", {"nonlinearity": "relu"}, [-0.010587962344288826, 0.75864577293396]),
    ("kaiming_normal_", {"mode": "fan_out"}, [1.5409960746765137, -0.293428897857666]),
    ("trunc_normal_", {"std": 2.0}, [0.8066936731338501, -0.586857795715332]),
    ("uniform_", {"a": -1, "b": 3}, [0.9850263595581055, 2.0728871822357178]),
    ("normal_", {"mean": 1, "std": 0.5}, [1.7704980373382568, 0.853285551071167]),
]


@pytest.mark.parametrize(("name", "options", "expected"), DRAWS)
def test_pytorchs_numbers(name, options, expected):
    mt.manual_seed(0)
    x = mt.empty(2, 3)
    assert getattr(init, name)(x, **options) is x
    assert x.reshape(-1)[: len(expected)].tolist() == expected


def test_pytorchs_numbers_of_layers():
    mt.manual_seed(0)
    linear = mt.nn.Linear(3, 2)
    assert linear.weight[0].tolist() == [
        -0.004322517663240433,
        0.3097158372402191,
        -0.4751853346824646,
    ]
    assert linear.bias.tolist() == [-0.011439144611358643, 0.45777493715286255]
    mt.manual_seed(0)
    conv = mt.nn.Conv2d(2, 2, 2, groups=2)
    assert conv.weight.reshape(-1)[:2].tolist() == [-0.003743410110473633, 0.26822179555892944]
    assert conv.bias.tolist() == [-0.04437202215194702, 0.1323062777519226]
    mt.manual_seed(0)
    table = mt.nn.Embedding(3, 2, padding_idx=1).weight
    assert table.tolist()[:2] == [[1.5409960746765137, -0.293428897857666], [0, 0]]
    mt.manual_seed(0)
    assert init.kaiming_normal_(mt.empty(4, 2, 2, 2))[0, 0, 0].tolist() == [
        -0.5629199147224426,
        -0.576180100440979,
    ]


def test_constants():
    assert init.ones_(mt.zeros(2)).tolist() == [1, 1]
    assert init.zeros_(mt.ones(2)).tolist() == [0, 0]
    assert init.constant_(mt.ones(2), 0.5).tolist() == [0.5, 0.5]
    assert init.eye_(mt.ones(2, 3)).tolist() == [[1, 0, 0], [0, 1, 0]]


@pytest.mark.parametrize("shape", [(4, 6), (6, 4), (3, 2, 2), (5, 5)])
def test_orthogonal(shape):
    x = init.orthogonal_(mt.empty(shape, dtype=mt.float64), gain=2.0).numpy()
    x = x.reshape(shape[0], -1)
    square = x @ x.T if x.shape[0] <= x.shape[1] else x.T @ x
    np.testing.assert_allclose(square, 4 * np.eye(len(square)), atol=1e-12)
    mt.manual_seed(0)
    first = init.orthogonal_(mt.empty(2, 3))[0].tolist()
    np.testing.assert_allclose(first, [0.57398093, -0.10929461, -0.81154215], atol=1e-6)


def test_fans_count_the_kernel():
    assert init.fans(mt.empty(8, 3, 5, 5)) == (75, 200)
    assert init.fans(mt.empty(8, 3)) == (3, 8)
    x = init.kaiming_uniform_(mt.empty(50, 10, 3, 3), a=math.sqrt(5))
    bound = 1 / math.sqrt(90)
    assert bound * 0.99 < x.abs().max().item() <= bound * (1 + 1e-6)


def test_gains():
    assert init.calculate_gain("tanh") == 5 / 3
    assert init.calculate_gain("relu") == math.sqrt(2)
    assert init.calculate_gain("selu") == 0.75
    assert init.calculate_gain("conv2d") == init.calculate_gain("sigmoid") == 1
    assert init.calculate_gain("leaky_relu") == math.sqrt(2 / (1 + 0.01**2))
    assert init.calculate_gain("leaky_relu", 3) == math.sqrt(0.2)


def test_it_stays_outside_the_graph():
    p = mt.nn.Parameter(mt.zeros(3, 4))
    for fill in (init.uniform_, init.kaiming_normal_, init.orthogonal_, init.eye_, init.ones_):
        assert fill(p) is p
        assert p.is_leaf
        assert p.requires_grad
    g = mt.Generator().manual_seed(3)
    h = mt.Generator().manual_seed(3)
    a, b = init.xavier_normal_(mt.empty(2, 2), generator=g), mt.randn(2, 2, generator=h)
    np.testing.assert_allclose(a, b * math.sqrt(0.5), rtol=1e-6)


def test_trunc_normal_stays_inside():
    x = init.trunc_normal_(mt.empty(1000), mean=1, std=2, a=0, b=1.5)
    assert x.min() >= 0
    assert x.max() <= 1.5


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.kaiming_uniform_(mt.empty(3)), r"two axes or more, not \(3,\)"),
        (lambda: init.kaiming_uniform_(mt.empty(3, 3), mode="fan"), "mode must be"),
        (lambda: init.calculate_gain("sine"), "unknown nonlinearity 'sine'"),
        (lambda: init.calculate_gain("leaky_relu", "a"), "must be a number"),
        (lambda: init.eye_(mt.empty(2, 2, 2)), "eye_: expected a matrix"),
        (lambda: init.orthogonal_(mt.empty(2)), "orthogonal_: expected two axes"),
        (lambda: init.trunc_normal_(mt.empty(2), a=1, b=0), "is empty"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ShapeError, match=message):
        call()


def test_inner_names_that_programs_take():
    """Layers of a program's own begin as `nn.Linear` does, by the names of PyTorch's file."""
    w = mt.zeros(4, 3, 5, 5)
    assert mt.nn.init._calculate_fan_in_and_fan_out(w) == (75, 100)
    assert mt.nn.init._calculate_correct_fan(w, "FAN_OUT") == 100
    assert float(mt.nn.init._no_grad_uniform_(w, 2.0, 3.0).min()) >= 2
    with pytest.raises(ValueError, match="fan_in"):
        mt.nn.init._calculate_correct_fan(w, "both")
