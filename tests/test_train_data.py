"""`minitensor train` on every data set: tiny ones in the same formats, stopped and resumed; the real ones, if here."""

from __future__ import annotations

import gzip
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor import cpu, datasets
from minitensor.cli import main
from minitensor.datasets.store import found
from minitensor.serialization import load
from minitensor.train import data, models, texts
from minitensor.train import run as runs

pytest.importorskip("matplotlib")

OF_PICTURES = ["checkpoint.safetensors", "confusion.png", "curves.png", "filters.png", "mistakes.png"]
OF_TEXTS = ["checkpoint.safetensors", "confusion.png", "curves.png", "mistakes.png", "words.png"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MINITENSOR_DATA", str(tmp_path))
    with cpu.kernels(cpu.rung()):  # and back to what was in force
        yield


def idx(path: Path, array: Any) -> None:
    path.parent.mkdir(exist_ok=True)
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    path.write_bytes(gzip.compress(head + array.tobytes()))


def bright(count: int, side: int, channels: int, classes: int) -> tuple[Any, Any]:
    """Noise, in which a row is brighter: its number is the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % classes
    x = rng.integers(0, 60, (count, channels, side, side))
    for k, label in enumerate(labels):
        x[k, :, 3 * label : 3 * label + 3] += 150
    return x.astype(np.uint8), labels.astype(np.uint8)


def make(name: str, here: Path) -> None:
    """A tiny set in the format of the real one."""
    if name in ("mnist", "fashion_mnist"):
        for part, count in (("train", 80), ("t10k", 30)):
            x, y = bright(count, 28, 1, 9)
            idx(here / name.replace("_", "-") / f"{part}-images-idx3-ubyte.gz", x[:, 0])
            idx(here / name.replace("_", "-") / f"{part}-labels-idx1-ubyte.gz", y)
    elif name in ("cifar10", "cats_dogs"):
        (here / "cifar-10-batches-bin").mkdir()
        for part, count in (("data_batch_1", 80), ("test_batch", 30)):
            x, y = bright(count, 32, 3, 10)
            rows = np.concatenate([y[:, None], x.reshape(count, -1)], 1)
            (here / "cifar-10-batches-bin" / f"{part}.bin").write_bytes(rows.tobytes())
    else:
        (here / "imdb").mkdir()
        opinions = (
            ["awful dull film", "boring and dull", "awful boring"],
            ["great fun film", "lovely and great", "fun"],
        )
        lines = [json.dumps({"text": opinions[k % 2][k % 3] + f" {k % 7}", "label": k % 2}) for k in range(60)]
        (here / "imdb/reviews.jsonl").write_text("\n".join(lines))


class Stop(Exception):
    pass


@pytest.mark.parametrize("name", [name for name in data.SOURCES if name != "digits"])
def test_each_learns_draws_and_resumes_with_the_same_bytes(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    make(name, tmp_path)
    options = ["train", name, "--epochs", "3", "--batch-size", "16", "--seed", "3"]
    assert main([*options, "--out", "straight"]) == 0
    out = capsys.readouterr().out
    assert "held back" in out
    drawn = OF_TEXTS if name == "imdb" else OF_PICTURES
    assert sorted(p.name for p in Path("straight").iterdir()) == drawn
    for file in drawn:
        assert file in out
    whole = Path("straight/checkpoint.safetensors").read_bytes()

    class Stopped(runs.Run):
        def on_epoch_begin(self, epoch: int) -> None:
            super().on_epoch_begin(epoch)
            if epoch == 2:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(runs, "Run", Stopped)
        assert main([*options, "--out", "stopped"]) == 130
    assert f"minitensor train {name} --out stopped --resume" in capsys.readouterr().out
    assert load("stopped/checkpoint.safetensors")["epoch"] == 2
    assert main(["train", name, "--out", "stopped", "--resume"]) == 0
    assert Path("stopped/checkpoint.safetensors").read_bytes() == whole


def test_pictures_in_folders_are_learnt_and_never_all_in_memory(tmp_path: Path, monkeypatch: Any, capsys: Any) -> None:
    image = pytest.importorskip("PIL.Image")
    read: list[int] = []
    one = datasets.ImageFolder.__getitem__
    monkeypatch.setattr(datasets.ImageFolder, "__getitem__", lambda self, i: read.append(i) or one(self, i))
    for k in range(20):
        name = ("red", "blue")[k % 2]
        (tmp_path / "photos" / name).mkdir(parents=True, exist_ok=True)
        image.new("RGB", (30, 20), name).save(tmp_path / f"photos/{name}/{k}.png")
    assert main(["train", "photos", "--epochs", "2", "--model", "linear", "--batch-size", "8"]) == 0
    assert "16 pictures to learn from, 4 held back (the fifth held back)" in capsys.readouterr().out
    assert sorted(p.name for p in Path("runs/photos-linear").iterdir()) == OF_PICTURES
    assert len(read) == 2 * (16 + 4) + 4 + 4 + 1  # two epochs; the answers; those drawn; one for its size
    before = Path("runs/photos-linear/checkpoint.safetensors").read_bytes()
    assert main(["train", "--out", "runs/photos-linear", "--resume"]) == 0
    assert Path("runs/photos-linear/checkpoint.safetensors").read_bytes() == before

    for part in ("train", "test"):
        (tmp_path / "both" / part).mkdir(parents=True)
    for name in ("red", "blue"):
        (tmp_path / "photos" / name).rename(tmp_path / "both/train" / name)
        (tmp_path / "both/test" / name).mkdir()
        image.new("RGB", (9, 9), name).save(tmp_path / f"both/test/{name}/a.jpg")
    assert main(["train", "both", "--epochs", "1", "--model", "linear"]) == 0
    assert "20 pictures to learn from, 2 held back (the folder test)" in capsys.readouterr().out
    labels = data.source_of("both").load(0).train.labels.tolist()
    assert set(labels[:8]) == {0, 1}  # not class after class: what a first layer begins with is of all
    (tmp_path / "both/test/blue").rename(tmp_path / "both/test/green")
    assert main(["train", "both", "--epochs", "1"]) == 1
    assert "train has the classes ['blue', 'red'], test ['green', 'red']" in capsys.readouterr().err
    (tmp_path / "photos").rmdir()
    assert main(["train", "--out", "runs/photos-linear", "--resume"]) == 1
    assert "nor a folder of pictures" in capsys.readouterr().err


def test_a_folder_in_which_there_is_nothing_to_tell_apart(tmp_path: Path, capsys: Any) -> None:
    image = pytest.importorskip("PIL.Image")
    (tmp_path / "photos").mkdir()
    assert main(["train", "photos"]) == 1
    assert "one for each class of pictures" in capsys.readouterr().err
    (tmp_path / "photos/only").mkdir()
    image.new("RGB", (4, 4)).save(tmp_path / "photos/only/1.png")
    assert main(["train", "photos"]) == 1
    assert "nothing to tell apart" in capsys.readouterr().err


@pytest.mark.parametrize("model", [m for m in models.MODELS if m not in models.OF_ROWS])
def test_reviews_are_no_pictures(model: str, tmp_path: Path, capsys: Any) -> None:
    make("imdb", tmp_path)
    assert main(["train", "imdb", "--model", model]) == 1
    assert "takes pictures; for imdb choose --model mlp or linear or dense" in capsys.readouterr().err


def test_data_that_is_neither_here_nor_to_be_had(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(datasets.store, "_SYSTEM", Path("nowhere"))
    monkeypatch.setattr(datasets.store, "cache", lambda: Path("cache"))
    refuse = {
        "retrieve": lambda *_, **__: (_ for _ in ()).throw(OSError("no network")),
        "HTTPDownloader": lambda **_: None,
    }
    monkeypatch.setattr(datasets.store, "optional", lambda name: type("Pooch", (), refuse))
    for name in ("mnist", "fashion_mnist", "cifar10", "cats_dogs", "imdb"):
        assert main(["train", name]) == 1
        said = capsys.readouterr().err
        assert "set MINITENSOR_DATA to that folder" in said
        assert "no network" in said


# --- the parts ------------------------------------------------------------------------------------


def test_words_and_pairs_by_how_rare_they_are() -> None:
    """By hand: of four texts two hold `good`, three `film`, two the pair; `dull` only one, which is not enough."""
    weights = texts.Weights(["good film", "Film: good film!", "film, dull", "bad"])
    assert list(weights.vocabulary) == ["film", "good", "good film"]
    assert weights.rarity.tolist() == pytest.approx([np.log(4 / 3), np.log(2), np.log(2)])
    numbers, values = weights.row("A film? A good film!")
    assert numbers.tolist() == [0, 1, 2]
    assert values.tolist() == pytest.approx(weights.rarity / np.linalg.norm(weights.rarity))
    assert list(texts.Weights(["a b", "a b", "b"], 1).vocabulary) == ["b"]
    bags = texts.Bags(["good", "nothing", "bad film"], [1, 0, 0], ("no", "yes"), weights)
    x, y = bags.__getitems__([2, 0, 1]).parts
    assert x.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 0]]
    assert y.tolist() == [0, 1, 0]
    assert len(bags) == 3
    assert bags[0][0].tolist() == [0, 1, 0]


def test_the_pull_of_one_matrix_is_the_difference_of_its_rows(tmp_path: Path) -> None:
    make("imdb", tmp_path)
    run = runs.begin(dict.fromkeys(runs.Settings.__dataclass_fields__) | {"data": "imdb"}, tmp_path / "out", False)
    weight = run.model[1].weight.detach()
    assert np.allclose(run.pull().numpy(), (weight[1] - weight[0]).numpy(), atol=1e-6)


def test_whitened_pixels_are_alike_and_independent() -> None:
    rng = np.random.default_rng(0)
    smooth = rng.random((50, 3, 9, 9)) + 2 * rng.random((50, 1, 1, 1))  # neighbours and colours vary together
    x = mt.from_numpy(smooth.astype(np.float32))
    layer = models.Whitening(3)
    layer.adapt(x)
    y = layer(x).detach().numpy().transpose(1, 0, 2, 3).reshape(24, -1)
    assert np.allclose(np.cov(y[:12]), np.eye(12), atol=0.02)
    assert np.allclose(y[12:], -y[:12], atol=1e-4)


def test_an_answer_is_the_mean_of_both_sides_for_the_first_classes() -> None:
    network = mt.nn.Sequential(mt.nn.Flatten(), mt.nn.Linear(4, 3))
    asked = runs.Answers(network, 2, mirrored=True)
    x = mt.rand(5, 1, 2, 2)
    assert mt.equal(asked(x), network(x))
    asked.eval()
    assert mt.allclose(asked(x), (network(x) + network(x.flip(-1)))[:, :2] / 2)
    assert mt.equal(runs.Answers(network, 3, False).eval()(x), network(x))


def test_the_rate_rises_and_falls(tmp_path: Path) -> None:
    """cifar10: a line up to the fifth of all steps, then half a cosine down to nothing."""
    make("cifar10", tmp_path)
    asked: dict[str, Any] = dict.fromkeys(runs.Settings.__dataclass_fields__)
    run = runs.begin(asked | {"data": "cifar10", "epochs": 5, "batch_size": 20, "lr": 2.0}, tmp_path / "out", False)
    rates = []
    for epoch, batch in ((0, 0), (0, 2), (1, 0), (3, 0), (4, 4)):
        run._set_rate(epoch, batch)
        rates.append(run.optimizer.param_groups[0]["lr"])
    assert rates == pytest.approx([0, 1, 2, 1, 0], abs=1e-12)


# --- the real ones --------------------------------------------------------------------------------

HERE = {
    "mnist": ("mnist/train-images-idx3-ubyte.gz", 60_000, 10_000),
    "fashion_mnist": ("fashion-mnist/train-images-idx3-ubyte.gz", 60_000, 10_000),
}


@pytest.mark.parametrize("name", HERE)
def test_one_epoch_of_the_real_ones(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A fast network and one epoch: what it reaches is that of the literature for one hidden layer or so."""
    monkeypatch.undo()
    file, learn, test = HERE[name]
    if found(file) is None:
        pytest.skip(f"{file} is not in $MINITENSOR_DATA")
    split = data.SOURCES[name].load(0)
    assert (len(split.train), len(split.test)) == (learn, test)
    mt.manual_seed(0)
    model = models.mlp(split.shape, 10)
    history = mt.fit(
        model, split.train, epochs=1, batch_size=128, validation_data=split.test, metrics="accuracy", verbose=False
    )
    assert history["val_accuracy"][0] > {"mnist": 0.93, "fashion_mnist": 0.8}[name]


def test_real_reviews(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    if found("imdb/reviews.jsonl") is None:
        pytest.skip("imdb/reviews.jsonl is not in $MINITENSOR_DATA")
    assert main(["train", "imdb", "--out", str(tmp_path / "out")]) == 0
    assert load(tmp_path / "out/checkpoint.safetensors")["history"]["val_accuracy"][-1] >= 0.86
