"""The program that recognises pictures: weights counted by hand, training on little, what layers see."""

from __future__ import annotations

import math

import numpy as np
import pytest
from programs import DATA, run

import minitensor as mt

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
import recognition


def test_counts():
    """D10-mnist-dense-params, D10-cifar-dense, D14-*-params by hand: (inputs + 1) outputs, (9 channels + 1) filters."""
    found = recognition.counts()
    for p in (8, 10, 20, 50):
        assert found[f"dense, p = {p}"] == 785 * p + (p + 1) * p + (p + 1) * 10
    assert found["CIFAR, dense"] == 3073 * 30 + 3 * 31 * 30 + 310
    assert found["MNIST, convolutions"] == 10 * 32 + (9 * 32 + 1) * 16 + (16 * 28 * 28 + 1) * 10
    three = 3 * (9 * 64 + 1) * 64
    assert found["CIFAR, convolutions"] == 28 * 64 + three + (64 * 8 * 8 + 1) * 10
    assert found["CIFAR, no pooling"] == 28 * 64 + three + (64 * 32 * 32 + 1) * 10
    assert found["cats and dogs, 64 x 64"] == 28 * 64 + 2 * (9 * 64 + 1) * 64 + (64 * 8 * 8 + 1) * 32 + 33
    assert found["what layers see"] == 10 * 16 + (9 * 16 + 1) * 16 + (16 * 14 * 14 + 1) * 10
    assert recognition.cats_dogs(32)(mt.zeros(2, 3, 32, 32)).shape == (2, 1)
    assert recognition.cifar_conv()(mt.zeros(1, 3, 32, 32)).shape == (1, 10)


def test_labels(capsys):
    """D10-onehot, D10-argmax-mnist0, D10-mnist-steps."""
    found = recognition.labels()
    assert found["said"] == 7
    assert found["cost"] == pytest.approx(-math.log(0.965), rel=1e-12)
    text = capsys.readouterr().out
    assert "9: [0, 0, 0, 0, 0, 0, 0, 0, 0, 1]" in text
    assert "1875 steps an epoch, 75,000 in 40" in text


def test_steps_are_counted():
    """D10-mnist-steps: the optimiser makes a step for each batch, the last smaller one too."""
    images = recognition.Images(mt.rand(70, 1, 28, 28), mt.randint(0, 10, (70,)), tuple("0123456789"))
    seen = []

    def optimizer(parameters):
        made = mt.optim.SGD(parameters, lr=0.01)
        made.register_step_post_hook(lambda *_: seen.append(1))
        return made

    recognition.learn(recognition.dense(8), images, images, 2, optimizer)
    assert len(seen) == 2 * 3


def test_gram():
    """DA-style-transfer: products of channels, per place."""
    maps = np.random.default_rng(0).normal(size=(3, 2, 5))
    expected = np.einsum("ahw,bhw->ab", maps, maps) / 10
    np.testing.assert_allclose(recognition.gram(mt.tensor(maps)).numpy(), expected, rtol=1e-12)


def test_style():
    """DA-style-transfer: the pixels change, the style loss falls, the weights stay (the program says so)."""
    mt.manual_seed(0)
    model = recognition.viewer()
    content = mt.rand(1, 1, 28, 28)
    shown, losses = recognition.style(model, content, recognition.stripes(), 40)
    assert losses[-1][1] < 0.7 * losses[0][1]
    assert losses[0][0] == 0
    assert not mt.equal(shown[0], shown[-1])
    assert len(shown) == 5


@pytest.mark.parametrize("real", [False, True])
def test_the_program(real, tmp_path, monkeypatch):
    """D10-mnist-dense-acc, D14-mnist-cnn-acc, D14-viz, D17-mnist-embedding on some digits: far above one in ten."""
    if real and not (DATA / "mnist").is_dir():
        pytest.skip("MNIST is not on this machine")
    monkeypatch.setenv("MINITENSOR_DATA", str(DATA if real else tmp_path))
    picture = tmp_path / "layers.png"
    text = run("recognition.py", "--images", 600, "--epochs", 2, "--dense", 1, "--picture", picture)
    accuracy = float(text.split("convolutions 32, 16")[1].split()[1])
    assert accuracy > 0.6
    assert "layer 3 is the max-pool of layer 2" in text
    assert "weights unchanged: True" in text
    assert picture.stat().st_size > 50_000


def test_cats_against_dogs_from_folders(tmp_path, capsys):
    """D14-catsdogs-acc, on photos that differ in colour alone: a few steps tell them apart."""
    pil = pytest.importorskip("PIL.Image")
    for part, count in (("train", 24), ("test", 6)):
        for name, colour in (("cats", (230, 20, 20)), ("dogs", (20, 20, 230))):
            folder = tmp_path / part / name
            folder.mkdir(parents=True)
            for k in range(count):
                pil.new("RGB", (50 + k, 70), colour).save(folder / f"{k}.png")
    history = recognition.cats_against_dogs(8, str(tmp_path))
    assert len(history["val_accuracy"]) == 8
    assert history["val_accuracy"][-1] == 1
    said = capsys.readouterr().out
    assert "48 photos of 64 x 64" in said
    assert said.rstrip().endswith("misjudged most surely:")


def test_pictures_of_some_classes():
    data = mt.datasets.Images(mt.arange(6).reshape(6, 1, 1, 1).float(), mt.tensor([2, 0, 1, 2, 1, 0]), ("a", "b", "c"))
    some = recognition.of_classes(data, ("c", "a"))
    assert some.images.flatten().tolist() == [0, 1, 3, 5]
    assert some.labels.tolist() == [0, 1, 0, 1]
