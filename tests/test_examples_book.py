"""The program on the book's way to write networks: weights by input, closed forms of first steps, means of losses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from programs import run

pytest.importorskip("matplotlib")
import book_api


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def test_k01(capsys):
    """K01: 2 and 0 in the middle, 2 at the end."""
    model, weights, answer = book_api.k01()
    assert weights == [[[1.0, -0.5]], [-1.0, 1.0], [[1.0], [1.0]], [0.0]]
    assert answer.tolist() == [[2.0]]
    for x in (-2, 0, 1, 2, 3):
        expected = max(max(x - 1, 0) + max(-0.5 * x + 1, 0), 0)
        assert book_api.evaluate(model, x)[0] == pytest.approx(expected)
    assert "Total params: 7" in capsys.readouterr().out


def test_shortcuts(capsys):
    """K-shortcuts: K02 set neuron by neuron, then all zero."""
    found = book_api.shortcuts()
    middle = [sigmoid(7 - 10 - 1), sigmoid(21 + 20), sigmoid(-35 + 30 + 1)]
    assert found["K02"] == pytest.approx(sigmoid(sum(middle) - 3), rel=1e-6)
    assert found["zero"] == 0.5
    assert "neuron 1: coefficients [3.0, -4.0], bias 0" in capsys.readouterr().out
    assert book_api.evaluate(book_api.dense_k02(), 7, -5)[0] == pytest.approx(found["K02"])


def test_first_steps():
    """D10-api: each optimiser's first step on (w - 3)^2 from 1 in closed form."""
    found = book_api.first_steps()
    assert set(found) == {"SGD", "momentum", "Nesterov", "Adagrad", "Adadelta", "RMSprop", "Adam"}
    for name, (reached, expected) in found.items():
        assert reached == pytest.approx(expected, rel=1e-6), name
        assert reached > 1, name


def test_the_whole_api():
    """D10-api: losses by hand; batches of 1, 2, 4 by hand: w <- w + 0.2 (mean of the batch - w)."""
    found = book_api.whole_api()
    assert len(found["history"]["loss"]) == 3
    apart = [0.5, 1.5, 0.5]
    assert found["mean_squared_error"] == pytest.approx(sum(a * a for a in apart) / 3, rel=1e-6)
    assert found["mean_absolute_error"] == pytest.approx(sum(apart) / 3, rel=1e-6)
    logs = [math.log((f + 1) / (y + 1)) ** 2 for f, y in ((1.5, 1), (2.5, 4), (3.5, 3))]
    assert found["mean_squared_logarithmic_error"] == pytest.approx(sum(logs) / 3, rel=1e-5)
    for batch, end in found["batches"].items():
        w = 0.0
        for y in np.arange(1.0, 5).reshape(-1, batch).mean(1):
            w += 0.2 * (y - w)
        assert end == pytest.approx(w, rel=1e-6)
    assert found["gradient"][0] == pytest.approx(found["gradient"][1])


def test_embedding_refuses_what_is_no_word():
    from minitensor.keras import layers

    layer = layers.Embedding(4, 2)
    assert layer([[3, 0]]).shape == (1, 2, 2)
    assert layer.get_weights()[0].shape == (4, 2)
    assert np.abs(layer.get_weights()[0]).max() <= 0.05
    with pytest.raises(IndexError):
        layer([[4]])


def test_the_program_runs(tmp_path):
    picture = tmp_path / "picture.png"
    run("book_api.py", "--picture", picture)
    assert picture.stat().st_size > 10_000
