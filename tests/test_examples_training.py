"""The programs that train small networks: descents against NumPy with gradients worked out by hand, counts, shapes."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from programs import run

import minitensor as mt

pytest.importorskip("matplotlib")
import shapes
import training


def close(a, b, tol=1e-10):
    np.testing.assert_allclose(a.detach().numpy() if isinstance(a, mt.Tensor) else a, b, rtol=tol, atol=tol)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(start, x, y, hidden, steps, rate=1.0):
    """Descents of an n-2-1 (hidden) or n-1 network of sigmoids on the mean of squares; the chain rule written out."""
    w, n = np.array(start, float), x.shape[1]
    losses, slopes, path = [], [], []
    for _ in range(steps + 1):
        if hidden:
            first, second = w[: 2 * (n + 1)].reshape(2, n + 1), w[2 * (n + 1) :]
            h = sigmoid(x @ first[:, :-1].T + first[:, -1])
            f = sigmoid(h @ second[:-1] + second[-1])
            d = 2 * (f - y) * f * (1 - f) / len(y)
            inner = d[:, None] * second[:-1] * h * (1 - h)
            g = np.concatenate([*(np.append(inner[:, k] @ x, inner[:, k].sum()) for k in range(2)), d @ h, [d.sum()]])
        else:
            f = sigmoid(x @ w[:-1] + w[-1])
            d = 2 * (f - y) * f * (1 - f) / len(y)
            g = np.append(d @ x, d.sum())
        losses.append(((f - y) ** 2).mean())
        slopes.append(g)
        path.append(w)
        w = w - rate * g
    return path, slopes, losses


def test_one_neuron():
    """B01, B01t, B02."""
    found = training.neuron(100)
    x, y = np.array(training.DISCS + training.SQUARES, float), np.repeat([0.0, 1.0], 10)
    path, slopes, losses = by_hand((0, 1, -2), x, y, False, 100)
    for k in (*range(11), 100):
        close(found["path"][k], path[k])
        close(found["slopes"][k], slopes[k])
    close(found["losses"], losses)
    points = np.array([(0, 3), (1, 1), (4, 3), (3, 2.75), (2, 3), (2, 1)])
    close(found["said"], sigmoid(points @ path[-1][:-1] + path[-1][-1]))


def test_xor():
    """B03, B04: by hand; it ends with the four corners on their sides."""
    found = training.xor()
    x, y = np.array(training.XOR_POINTS, float), np.array(training.XOR_VALUES, float)
    path, slopes, losses = by_hand(training.XOR_START, x, y, True, 1000)
    for k in (0, 1, 2):
        close(found["path"][k], path[k])
        close(found["slopes"][k], slopes[k])
    close(found["losses"], losses, 1e-8)
    close(found["last"], path[-1], 1e-7)
    assert [c > 0.5 for c in found["corners"]] == [False, False, True, True, True]


def test_hebb(capsys):
    """B05: the rule in exact fractions."""
    path = training.hebb()
    points = [tuple(Fraction(str(v)) for v in p) for p in training.DISCS_R02 + training.SQUARES_R02]
    w = [Fraction(0), Fraction(0)]
    for k in range(30):
        close(path[k], [float(v) for v in w])
        x, z = points[k % 10], int(k % 10 >= 5)
        answer = int(w[0] * x[0] + w[1] * x[1] >= 0)
        w = [v - Fraction(1, 5) * (answer - z) * c for v, c in zip(w, x, strict=True)]
    assert "derivative of our own: True" in capsys.readouterr().out


def test_plateau():
    """B06: by hand, and the plateau."""
    found = training.plateau(1500)
    x, y = found["x"].numpy(), found["y"].numpy()
    start = (0, 1, 0, -1, 1, 1, -1)
    _, _, losses = by_hand(start, x, y, True, 1500)
    close(found["losses"], losses, 1e-7)
    assert 0.215 < losses[50] < 0.225
    assert 0.215 < losses[500] < 0.225
    assert losses[1500] < 0.1


def test_models_that_cannot():
    """B09: the best line through a symmetric hump is its mean 1.4; B10: minima of the two parabolas by hand."""
    found = training.insufficient()
    close(found["line"], np.var([0, 2, 3, 2, 0]))
    assert found["neuron"] > 0.2
    ends = training.local_minimum()
    close([ends[-2.0], ends[2.0], ends[0.5], ends[0.0]], [-1, 1, 1, 0], 1e-6)
    # right of 1: ReLU at 1 and 3, (a-1)^2 + (3a-3)^2; left of -1/2: at -2, (-2a-2)^2, at -1 none until -1
    assert training.relu_error(1.0) == 1
    assert training.relu_error(-1.0) == 4
    assert training.relu_error(0.1) == 5


def test_fits():
    """B11: the line by the normal equations, the cubic by interpolation in exact fractions."""
    found = training.fitting()
    x, y = [Fraction(v) for v in (1, 3, 4, 6)], [Fraction(v) for v in ("1.2", "1.9", "2.6", "3.5")]
    mean = lambda v: sum(v) / 4  # noqa: E731
    slope = sum((a - mean(x)) * (b - mean(y)) for a, b in zip(x, y, strict=True)) / sum((a - mean(x)) ** 2 for a in x)
    close(found["line"], [float(mean(y) - slope * mean(x)), float(slope)])
    at = Fraction("5.5")
    exact = sum(v * math.prod((at - c) / (a - c) for c in x if c != a) for a, v in zip(x, y, strict=True))  # Lagrange
    close(sum(found["cubic"][k] * 5.5**k for k in range(4)), float(exact), 1e-8)
    few, many = found["(x, x^2, y), one neuron"], found["2-40-40-1"]
    assert many[0] < few[0]  # it learns the wrong labels too
    assert few[1] < many[1]
    close(found["runs"]["one point"], [0, 3 - 2 * 0.96**100], 1e-9)
    assert found["runs"]["step 0.03"].abs().max() > 1e6


def test_weights_by_hand():
    """D10-weights-order, D10-weights-gradient: x = (1, 1): hidden 2, 5, 8; output 14 + 40 + 72 - 4 = 122."""
    found = training.weights()
    assert found["loss"] == (122 - 1) ** 2
    slope = 2 * 121
    w1 = [[slope * w for w in (7, 8, 9)]] * 2
    assert found["gradients"] == [w1, [slope * w for w in (7, 8, 9)], [[slope * h] for h in (2, 5, 8)], [slope]]
    assert found["same"]
    assert found["count"] == 13


# --- shapes ---------------------------------------------------------------------------------------


def test_lemniscate():
    """B07: the region by its formula in plain Python."""
    points, inside = shapes.lemniscate(25)
    for (x, y), said in zip(points.tolist(), inside.tolist(), strict=True):
        f = ((x * x + y * y) ** 2 - 4 * (x * x - y * y)) * ((x - 0.5) ** 2 + 4 * (y - 1 / 3) ** 2 - 2)
        assert said == (f <= 0)
    assert shapes.count(shapes.dense(2, 5, 5, 5, 1)) == 15 + 30 + 30 + 6
    found = shapes.learn_shape(20, 60, 2)
    assert found[20][0] > 0.85
    assert found[20][0] > found[3][0] - 0.05


def test_heights():
    """B08: all rows, their heights, and a network that learns them."""
    x, y = shapes.heights()
    assert x.shape == (20 * 19 * 18 // 6, 20)
    assert x.sum(1).unique().tolist() == [3]
    for row, h in zip(x.int().tolist(), y[:, 0].tolist(), strict=True):
        black = [i for i, v in enumerate(row) if v]
        assert h == black[2] - black[0] + 1
    right = shapes.learn_heights(150, 1, (20,))[20]
    assert right[0] > 0.25  # by chance one in nine or less


def test_curves_and_surface():
    """D10-func1d-data, -params, -train; D10-func2d-params, -train: counts by hand, Adam before plain descent."""
    close(shapes.curve(mt.tensor(2.0, dtype=mt.float64)), math.cos(4) + 2 * math.sin(6) + math.sqrt(2) - 2)
    assert shapes.count(shapes.dense(1, 10, 10, 10, 10, 1)) == 20 + 3 * 110 + 11
    assert shapes.count(shapes.dense(2, 10, 10, 10, 1)) == 30 + 2 * 110 + 11
    _, found = shapes.learn_curve(1500)
    last = {name: losses[-1] for name, (losses, _) in found.items()}
    assert last["Adam"] < last["SGD, momentum, Nesterov"] < last["SGD"]
    assert shapes.learn_surface()[1] < 0.5


def test_glorot():
    """C8: bounds sqrt(6 / (inputs + outputs)), biases 0."""
    for layer, (n, m) in zip(shapes.dense(30, 50, 20)[::2], itertools.pairwise((30, 50, 20)), strict=True):
        bound = math.sqrt(6 / (n + m))
        assert 0.95 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


@pytest.mark.parametrize("name", ["training.py", "shapes.py"])
def test_the_programs_run(name, tmp_path):
    picture = tmp_path / "picture.png"
    quick = ["--side", 20, "--epochs", 3, "--seeds", 1, "--height-epochs", 2, "--curve-epochs", 40]
    run(name, "--picture", picture, *(quick if name == "shapes.py" else []))
    assert picture.stat().st_size > 10_000
