"""The programs on losses, convolution and filters: against hands, exact arithmetic and NumPy."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from programs import close, run

import minitensor as mt

pytest.importorskip("matplotlib")
import convolution
import filters
import losses

# --- losses ---------------------------------------------------------------------------------------


def test_regression():
    """S15-losses, D16-mse, D16-mae, D16-msle by exact fractions and by Python's logarithms."""
    found = losses.regression()
    pairs = list(zip((1, 2, 5, 1, 3), ("1.2", "1.9", "4.5", "1.1", "2.7"), strict=True))
    apart = [Fraction(y) - Fraction(f) for y, f in pairs]
    close(found["mse"], float(sum(d * d for d in apart) / 5))
    close(found["mae"], float(sum(map(abs, apart)) / 5))
    close([found["S15 mse"], found["S15 mae"]], [1.25 / 3, 0.5])
    logs = [math.log((y + 1) / (f + 1)) ** 2 for y, f in ((1, 2), (5, 4), (10, 8), (100, 105))]
    close(found["msle"], sum(logs) / 4)


def test_classification():
    """D16-bce, D16-cce, D16-argmax, D16-softmax5, D16-softmax-jacobian."""
    found = losses.classification()
    close(found["bce"], -sum(map(math.log, (0.9, 0.8, 0.8, 1.0, 0.9, 0.7))) / 6)
    e = [math.exp(x - 8) for x in losses.X]
    s = np.array(e) / math.fsum(e)
    close(found["softmax"], s)
    close(found["cce"], -math.log(s[2]))
    close(found["jacobian"], np.diag(s) - np.outer(s, s), 1e-15)


def test_normal():
    """D16-minmax, D16-gauss-density, D16-gauss-sample, D16-gauss-95."""
    found = losses.normal()
    mean = Fraction(sum(losses.HEIGHTS), 10)
    variance = sum((h - mean) ** 2 for h in losses.HEIGHTS) / 10
    close([found["mean"], found["variance"]], [float(mean), float(variance)])
    close(found["standard"], [(h - float(mean)) / math.sqrt(variance) for h in losses.HEIGHTS])
    close(found["inside"], math.erf(math.sqrt(2)))
    close(losses.scale(mt.tensor([0.0, 51.0, 255.0], dtype=mt.float64), -1, 1), [-1, -0.6, 1])
    close(losses.density(mt.tensor(1.0, dtype=mt.float64), 2.0), math.exp(-1 / 8) / (2 * math.sqrt(2 * math.pi)))


def test_dropout(capsys):
    """D16-dropout, D16-dropout-configs: shares within five deviations."""
    for keep, (kept, mean) in losses.dropout().items():
        assert abs(kept - keep) < 5 * math.sqrt(keep * (1 - keep) / 100_000)
        close(mean, kept / keep)
    text = capsys.readouterr().out
    assert "n = 5: 32, n = 15: 32,768" in text
    assert text.count("same mask: True; evaluation changes nothing: True") == 2


# --- one dimension --------------------------------------------------------------------------------


def by_loops(f, g, mode):
    """Convolution by the sum over both indices; same is the middle of full."""
    if mode == "correlation":
        f, g, mode = f, list(reversed(g)), "same"
    if len(g) % 2 == 0 and mode != "full":
        g = [0, *g]
    full = [0] * (len(f) + len(g) - 1)
    for i, a in enumerate(f):
        for j, b in enumerate(g):
            full[i + j] += a * b
    first = (len(g) - 1) // 2
    return {"full": full, "same": full[first : first + len(f)], "valid": full[len(g) - 1 : len(f)]}[mode]


@pytest.mark.parametrize("name", convolution.CASES)
def test_each_case(name):
    """The D11 and D13 lists, their gradients by the definition (both are sums)."""
    f, g, mode = convolution.CASES[name]
    f, g = [Fraction(x) for x in f], [Fraction(x) for x in g]
    y, dx, dk = convolution.case(name)
    close(y, [float(v) for v in by_loops(f, g, mode)])
    one = lambda n, i: [int(k == i) for k in range(n)]  # noqa: E731
    close(dx, [float(sum(by_loops(one(len(f), i), g, mode))) for i in range(len(f))])
    close(dk, [float(sum(by_loops(f, one(len(g), i), mode))) for i in range(len(g))])


def test_values_by_hand():
    """D11-conv1d-same, D11-derivative, D11-translation, D13-polynomial."""
    assert convolution.case("D11-conv1d-same")[0].tolist() == [2, 6, 11, 20, 17]
    assert convolution.case("D11-derivative")[0].tolist() == [16, -7, -5, -3, -1, 1, 3, 5, 7]
    assert convolution.case("D11-translation")[0].tolist() == list(range(9))
    assert convolution.case("D13-polynomial")[0].tolist() == [5, 16, 34, 52, 45, 28]


@pytest.mark.parametrize("m", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_modes(m, mode):
    """D11-commutative, and every mode for odd and even kernels."""
    rng = np.random.default_rng(m)
    f, g = rng.integers(-9, 9, 7).tolist(), rng.integers(-9, 9, m).tolist()
    found = convolution.convolve(convolution.f64(f), convolution.f64(g), mode)
    if mode == "valid" and m % 2 == 0:
        assert found.tolist() == by_loops(f, [0, *g], mode)
    else:
        assert found.tolist() == by_loops(f, g, mode)
    if mode == "full":
        assert found.tolist() == convolution.convolve(convolution.f64(g), convolution.f64(f), mode).tolist()


def test_neuron_sharing_smoothing():
    """D11-neuron, D11-weights-sharing, D11-smoothing-random, D11-sine-derivative, D13-smoothing."""
    assert convolution.neuron() == 6
    assert convolution.sharing() == (10_000, 3)
    found = convolution.smoothing()
    assert found["1"] > 4 * found["3"] > 6 * found["5"]
    close(found["sine"], max(abs(math.sin(t) - math.sin(t - d) - d * math.cos(t))
                             for d in [math.pi / 50] for t in [k * d for k in range(1, 100)]), 1e-9)  # fmt: skip
    assert found["smooth"] < 0.4 * found["noisy"]


def test_radar():
    """D13-radar: the peak without noise is at the echo's middle, and near it with noise."""
    clean, *peaks = convolution.echoes(20)
    assert clean == 400
    assert all(abs(p - clean) <= 5 for p in peaks)
    g = np.sinc(np.linspace(-3.14, 3.14, 100)) - 0.5
    close(convolution.pulse(), g)
    close(convolution.radar(0.0)[1][400], g @ g)


# --- two dimensions -------------------------------------------------------------------------------


def by_sums(a, m, mode="same"):
    a, m = np.array(a), np.array(m)
    full = np.zeros(np.add(a.shape, m.shape) - 1, a.dtype)
    for i in range(m.shape[0]):
        for j in range(m.shape[1]):
            full[i : i + a.shape[0], j : j + a.shape[1]] = full[i : i + a.shape[0], j : j + a.shape[1]] + a * m[i, j]
    if mode == "full":
        return full
    if mode == "same":
        return full[1:-1, 1:-1]
    return full[2:-2, 2:-2]


def test_matrices():
    """D12-conv2d-*, D13-conv2d-full, -same, -valid, -correlation-layer, D12-conv-neuron, D13-correlation2d-small."""
    found = filters.matrices()
    for mode in ("full", "same", "valid"):
        assert found[mode].tolist() == by_sums(filters.A4, filters.M4, mode).tolist()
    turned = np.array(filters.M4)[::-1, ::-1]
    for padding in ("same", "valid"):
        assert found[f"layer {padding}"].tolist() == by_sums(filters.A4, turned, padding).tolist()
    assert found["3x5"].tolist() == by_sums(filters.A35, filters.EMBOSS).tolist()
    counted = np.arange(1, 17).reshape(4, 4)
    assert found["down"].tolist() == [[0] * 4, *counted[:3].tolist()]
    assert found["right"][:, 1:].tolist() == counted[:, :3].tolist()
    assert not found["right"][:, 0].any()
    close(found["mean"][1:-1, 1:-1], np.arange(1, 26).reshape(5, 5)[1:-1, 1:-1])
    close(found["mean"][0, 0], (1 + 2 + 6 + 7) / 9)
    assert found["small"].tolist() == by_sums(counted, np.arange(9, 0, -1).reshape(3, 3)).tolist()


def test_associative_and_sizes():
    """D13-conv2d-associative, D12-conv-param-count, D12-conv-shapes, D12-pooling-shape."""
    assert filters.associative() == (True, False)
    found = filters.sizes()
    assert (found["neurons"], found["dense"], found["convolution"]) == (10_000, 10**8, 9)
    assert (found["layer"], found["pool"]) == ((1, 16, 28, 28), (25, 20))


def test_shared_weights():
    """D12-conv-backprop-shared: integers, from the definition of the derivative of a sum of products."""
    found = filters.shared()
    a, m = np.array(filters.A4), np.array(filters.M4)
    b = by_sums(a, m)
    for name, weight in (("sum B", np.ones_like(b)), ("half sum B^2", b)):
        da, dm = found[name]
        for i in range(4):
            for j in range(4):
                one = np.zeros_like(a)
                one[i, j] = 1
                assert da[i, j] == (weight * by_sums(one, m)).sum()
        for i in range(3):
            for j in range(3):
                one = np.zeros_like(m)
                one[i, j] = 1
                assert dm[i, j] == (weight * by_sums(a, one)).sum()
    assert found["im2col"].shape == (16, 9)


def test_pools():
    """D13-maxpool, D13-avgpool, D12-pooling by NumPy's blocks."""
    found = filters.pools()
    blocks = np.array(filters.POOL).reshape(2, 2, 3, 2)
    assert found["max"].tolist() == blocks.max((1, 3)).tolist()
    assert found["mean"].tolist() == blocks.mean((1, 3)).tolist()
    assert (found["winners"] * mt.tensor(filters.POOL)).sum() == blocks.max((1, 3)).sum()
    assert found["winners"].sum() == 6


def test_filters():
    """D12-kernels, D12-filters-on-image, D13-image-emboss: only emboss changes under the half turn."""
    found = filters.filtered()
    for name, kernel in filters.KERNELS.items():
        close(found[name], by_sums(np.array(filters.SMALL, float), np.array(kernel, float)))
        k = np.array(kernel)
        assert (k == k[::-1, ::-1]).all() == (name != "emboss")
    embossed = filters.eight_bits(found["emboss"])
    assert embossed.dtype == mt.uint8
    assert embossed.tolist() == np.clip(by_sums(filters.SMALL, filters.EMBOSS), 0, 255).tolist()


def test_a_hidden_motif():
    """D13-correlation2d: found at its middle."""
    for seed in range(3):
        assert filters.hidden(seed)[2] == (300, 200)
    assert filters.motif().abs().max() == 1


@pytest.mark.parametrize("name", ["losses.py", "convolution.py", "filters.py"])
def test_the_programs_run(name, tmp_path):
    picture = tmp_path / "picture.png"
    more = ["--emboss", tmp_path / "emboss.png"] if name == "filters.py" else []
    run(name, "--picture", picture, *more)
    assert picture.stat().st_size > 10_000
    if more:  # D12-image-pooling is in the picture; the embossed photo is a file of its own
        pixels = pytest.importorskip("matplotlib.image").imread(more[1])
        assert pixels.ndim == 3
        assert pixels.min() >= 0
