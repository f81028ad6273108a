"""The programs on activations and networks of fixed weights: exact fractions, plain Python, inequalities."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from programs import close, run

import minitensor as mt

pytest.importorskip("matplotlib")
import activations
import approximation
import neurons


def h(x):
    return int(x >= 0)


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# --- activations ----------------------------------------------------------------------------------


def test_simple_activations(capsys):
    """D15-step-relu, D16-sigmoid, D17-tanh, D16-sigmoid-heaviside: the conventions at 0, and every identity printed."""
    assert activations.step(mt.tensor([0.0, -1e-30, 1e-30])).tolist() == [1, 0, 1]
    x = mt.tensor([-2.0, 0.0, 3.0], dtype=mt.float64)
    assert activations.pieces(x).tolist() == [-1, 0, 6]
    assert activations.slope(activations.pieces, x).tolist() == [0.5, 2, 2]
    assert activations.slope(mt.relu, x).tolist() == [0, 0, 1]
    assert activations.slope(activations.step, x).tolist() == [0, 0, 0]
    close(activations.slope(mt.sigmoid, x), [sigmoid(v) * sigmoid(-v) for v in x.tolist()])
    activations.simple()
    text = capsys.readouterr().out
    assert "False" not in text
    assert "first derivative 0.25, second 0" in text


def test_gelu():
    """D18-gelu by math.erf; its least value where Phi(x) + x phi(x) is 0; errors by a scan."""
    found = activations.gelu()

    def exact(x):
        return x / 2 * (1 + math.erf(x / math.sqrt(2)))

    low, high = -1.0, -0.5
    for _ in range(200):  # bisection
        middle = (low + high) / 2
        slope = (1 + math.erf(middle / math.sqrt(2))) / 2 + middle * math.exp(-(middle**2) / 2) / math.sqrt(2 * math.pi)
        low, high = (middle, high) if slope < 0 else (low, middle)
    close(found["least"], low, 1e-9)
    scan = [i / 1000 for i in range(-4000, 4001)]
    by_tanh = max(abs(x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) - exact(x)) for x in scan)
    by_sigmoid = max(abs(x * sigmoid(1.702 * x) - exact(x)) for x in scan)
    close([found["tanh"], found["sigmoid"]], [by_tanh, by_sigmoid], 1e-5)


# --- one neuron -----------------------------------------------------------------------------------


def test_single_neurons():
    """R01 to R09, K03, K05, K07: by Python's numbers."""
    found = neurons.single()
    assert found["R01"] == [1, 0, 1]
    assert found["R02"] == [0] * 5 + [1] * 5
    assert found["R03"] == [0] * 6 + [1] * 7
    close(found["R04"], [sigmoid(85 * 1.77 - 75 - 77), sigmoid(85 * 1.67 - 64 - 77)], 1e-9)
    assert found["R05"] == [h(2 * Fraction(str(r)) - 2 * Fraction(str(g)) - 2 * Fraction(str(b)) - 1)
                            for r, g, b in neurons.COLOURS]  # fmt: skip
    assert found["OR"] == [0, 1, 1, 1]
    assert found["AND"] == [0, 0, 0, 1]
    assert found["safer"] == [0, 1]
    assert found["R08"] == 3
    close(found["R08 loss"], math.log(2), 1e-4)
    assert found["OR3"] == [0] + [1] * 7
    assert found["AND3"] == [0] * 7 + [1]
    assert found["K03"] == [1, 1, 0]
    close(found["K05"], [sigmoid(3)])
    assert found["K07"] == [2]


def test_networks():
    """R10, R11, R12 to R17, R24, K02, K06, K08."""
    found = neurons.several()
    assert found["R10 (4, 7)"] == [[4, 7], [1, 2], [1]]
    assert found["R10 (3, 2)"] == [[3, 2], [4, 0], [1]]
    close(found["R10 (0.1, 0.1)"][1], [0.1, 0])
    assert found["R10 (0.1, 0.1)"][2] == [0]
    assert found["R11"] == [[0, 0], [0, 4], [0, 19], [2, 4]]
    close(found["R11 (1, 7)"], [1, 7])
    assert found["R11 search"] == 0
    points = ((1, 1), (0, 0), (-1, 1), (1, -1), (3, 1), (-1, 2), (-1, -1), (2, 0))
    halves = [(h(-x + 3 * y), h(2 * x + y)) for x, y in points]
    assert found["R12"] == [a and b for a, b in halves]
    assert found["R13"] == [a or b for a, b in halves]
    points = ((2, 2), (0, 0), (0, 3), (4, 2), (3, 2), (1, 1), (7, 3), (6, 3))
    assert found["R14"] == [int(-x + 2 * y >= 0 and x + y >= 2 and y <= 3) for x, y in points]
    for name, f in {"H": h, "sigmoid": sigmoid, "tanh": math.tanh, "ReLU": lambda x: max(x, 0)}.items():
        expected = [f(f(-x + 2 * y) + f(x + y - 2) + f(3 - y) - 3) for x, y in ((2, 2), (0, 0), (5, 5))]
        close(found["R16"][name], expected)
    assert found["R17"] == [0, 1, 1, 0]
    assert found["R24"] == [1, 1, 1, 0, 0]
    middle = [sigmoid(7 - 10 - 1), sigmoid(21 + 20), sigmoid(-35 + 30 + 1)]
    close(found["K02"][1], middle)
    close(found["K02"][2], [sigmoid(sum(middle) - 3)])
    assert found["K08"]["H"] == [1, 1, 0, 0, 1]
    sides = [sigmoid(s * v + 1) for v in (0.5, -0.5, 0) for s in (1, -1)]
    close(found["K08"]["sigmoid"][4], sigmoid(sum(sides) - 6))
    assert all(share == 1 for name, share in found["regions"].items() if "R15" not in name)


def test_the_zones_borders_are_met_to_rounding():
    """R15: where network and region differ, a border passes within the last rounding."""
    network, region = neurons.REGIONS["R15, a zone"]
    points = neurons.grid()
    differ = points[(network(points) >= 0.5) != region(points[:, 0], points[:, 1])]
    assert len(differ) <= 2
    for x, y in differ.tolist():
        assert min(abs(x + 3 * y - 7), abs(3 * x - 5 * y - 7), abs(5 * x + y + 7)) < 1e-12


def test_polygons_and_sets():
    """R18, R19: regions by inequalities, areas n/2 sin(2 pi/n) by counting."""
    found = neurons.sets()
    for name in ("A or B", "A and B", "not A", "A without B", "an L", "R18"):
        assert found[name] == 1, name
    assert [row[1] for row in found["discs"]] == [5, 9, 17, 33]
    for n, _, area, *_ in found["discs"]:
        close(area, n / 2 * math.sin(2 * math.pi / n), 0.02)


@pytest.mark.parametrize("seed", range(5))
def test_random_convex_polygons(seed):
    """R18: corners on a circle; a point is inside if it is left of every side, by exact fractions."""
    rng = np.random.default_rng(seed)
    angles = np.sort(rng.choice(np.arange(64), int(rng.integers(3, 9)), replace=False)) * 2 * math.pi / 64
    corners = [(round(3 * math.cos(t), 3), round(3 * math.sin(t), 3)) for t in angles]
    network = neurons.polygon(corners)
    assert network.count() == len(corners) + 1
    exact = [(Fraction(str(x)), Fraction(str(y))) for x, y in corners]
    points = [(Fraction(int(a), 8), Fraction(int(b), 8)) for a, b in rng.integers(-30, 31, (300, 2))]
    sides = list(zip(exact, [*exact[1:], exact[0]], strict=True))
    inside = [all((x1 - x0) * (y - y0) - (y1 - y0) * (x - x0) >= 0 for (x0, y0), (x1, y1) in sides) for x, y in points]
    assert neurons.at(network, *[(float(x), float(y)) for x, y in points]) == [int(i) for i in inside]


# --- staircases -----------------------------------------------------------------------------------


def test_steps_and_boxes():
    """R20, R21, R22: exact fractions; junctions in float64 and float32."""
    found = approximation.steps()
    points = [Fraction(str(p)) for p in (-3, -1, 0, 0.5, 1, 2, 2.5)]
    kinds = [(2, 1), (2, -1), (Fraction(-1, 2), 1), (Fraction(-1, 2), -1)]
    for values, (a, b) in zip(found.values(), kinds, strict=False):
        assert values == [h(a * x + b) for x in points]
    assert list(found.values())[4] == [int(2 * x > 1) for x in points]
    found = approximation.boxes()
    assert found["R21"] == [0, 4, 4, 4, 0]
    assert found["R22"] == found["R22 float32"] == [0, 4, 4, 4, 0, 6, 6, 6, 0]
    assert found["apart"] == [4, 4, 6]


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_junctions_are_exact_on_every_kernel(dtype):
    """A product is rounded before the bias is added: -(1/b) b + 1 is 0, whatever computes it."""
    borders = [float(b) for b in range(1, 200)]
    exact = [b for b in borders if float(np.asarray(1 / b, dtype.numpy) * np.asarray(b, dtype.numpy)) == 1]
    for isa, rung in itertools.product(mt.cpu.isas(), ("naive", "blocked", "simd", "fast")):
        with mt.cpu.use(isa), mt.cpu.kernels(rung):
            for b in exact:
                x, weight = mt.tensor([[b]] * 3, dtype=dtype), mt.tensor([[-1 / b]], dtype=dtype)
                answer = mt.nn.functional.linear(x, weight, mt.ones(1, dtype=dtype))
                assert not answer.any(), (isa, rung, b)


def test_staircases():
    """R23, K04: inside its cell the network is f at the cell's left end."""

    def f(x):
        return math.cos(2 * x) + x * math.sin(3 * x) + math.sqrt(x)

    for n in (5, 10, 20, 50, 100):
        network = approximation.staircase(approximation.target, 2, 10, n)
        for x in (2.1, 3.3, 5.3, 7.7, 9.9):
            left = 2 + 8 / n * math.floor((x - 2) * n / 8 + 1e-9)
            close(approximation.at(network, [x]), [f(left)], 1e-9)
    found = approximation.universal()
    assert [found[n][0] for n in found] == sorted((e[0] for e in found.values()), reverse=True)


@pytest.mark.parametrize("name", ["activations.py", "neurons.py", "approximation.py"])
def test_the_programs_run(name, tmp_path):
    picture = tmp_path / "picture.png"
    run(name, "--picture", picture)
    assert picture.stat().st_size > 10_000
