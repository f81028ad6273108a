"""The command: what it trains, leaves behind and says; interrupted, killed, resumed; misused."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor import cpu, datasets
from minitensor.cli import main
from minitensor.serialization import load, save
from minitensor.train import data, models
from minitensor.train import run as runs

pytest.importorskip("sklearn")

PICTURES = ["confusion.png", "curves.png", "filters.png", "mistakes.png"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(tmp_path)
    threads = cpu.get_num_threads()
    with cpu.kernels(cpu.rung()):  # and back to what was in force
        yield
    cpu.set_num_threads(threads)


def start(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "minitensor", "train", *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=subprocess.STDOUT, text=True)


def wait_for(process: subprocess.Popen[str], text: str) -> None:
    """Reads the output up to a line that begins with `text`."""
    assert process.stdout is not None
    seen = ""
    for line in process.stdout:
        seen += line
        if line.startswith(text):
            return
    raise AssertionError(seen)


# --- a whole run ----------------------------------------------------------------------------------


def test_digits_are_learnt_with_nothing_but_the_name() -> None:
    run = start("digits")
    out, _ = run.communicate()
    assert run.returncode == 0, out
    assert sorted(os.listdir("runs/digits-cnn")) == sorted([*PICTURES, "checkpoint.safetensors"])
    state = load("runs/digits-cnn/checkpoint.safetensors")
    assert state["history"]["val_accuracy"][-1] >= 0.985
    assert state["epoch"] == len(state["history"]["loss"]) == 20
    assert re.search(r"^epoch 20/20  .* loss \S+ accuracy \S+% val_loss \S+ val_accuracy ", out, re.M)
    for word in [*PICTURES, "runs/digits-cnn", "MB at most", "--data mnist", "--model mlp", "--epochs 40",
                 "--lr 0.03", "--seed 1", "--threads 1", "--kernels naive"]:  # fmt: skip
        assert word in out
    for name in PICTURES:
        assert Path("runs/digits-cnn", name).read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("model", models.MODELS)
def test_every_model_learns(model: str, capsys: Any) -> None:
    epochs = "30" if model == "dense" else "4"  # sigmoids learn slowly
    assert main(["train", "digits", "--model", model, "--epochs", epochs, "--out", "out"]) == 0
    assert load("out/checkpoint.safetensors")["history"]["val_accuracy"][-1] > 0.7
    assert sorted(os.listdir("out")) == sorted([*PICTURES, "checkpoint.safetensors"])


def test_threads_change_no_bit_and_seeds_do() -> None:
    options = ["train", "digits", "--epochs", "1", "--out"]
    assert main([*options, "one", "--threads", "1"]) == 0
    assert main([*options, "three", "--threads", "3"]) == 0
    assert main([*options, "other", "--seed", "5"]) == 0
    first, second, other = [Path(name, "checkpoint.safetensors").read_bytes() for name in ("one", "three", "other")]
    assert first == second
    assert first != other


@pytest.mark.parametrize("choice", [("--kernels", "naive"), ("--isa", "reference")])
def test_other_kernels_learn_the_same(choice: tuple[str, str]) -> None:
    options = ["train", "digits", "--model", "lenet", "--epochs", "1", "--out"]
    assert main([*options, "usual"]) == 0
    assert main([*options, "chosen", *choice]) == 0
    usual, chosen = [load(f"{name}/checkpoint.safetensors") for name in ("usual", "chosen")]
    assert chosen["settings"][choice[0][2:]] == choice[1]
    assert chosen["history"]["loss"] == pytest.approx(usual["history"]["loss"], rel=1e-3)


def test_a_new_run_keeps_the_checkpoint_of_the_one_before() -> None:
    options = ["train", "digits", "--model", "linear", "--epochs", "1", "--out", "out"]
    assert main([*options, "--seed", "1"]) == 0
    before = Path("out/checkpoint.safetensors").read_bytes()
    assert main([*options, "--seed", "2"]) == 0
    assert Path("out/previous.safetensors").read_bytes() == before


# --- interrupted and resumed ----------------------------------------------------------------------

RUN = ["digits", "--epochs", "4", "--seed", "7"]


@pytest.fixture(scope="module")
def straight(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The checkpoint of a run that was not interrupted."""
    folder = tmp_path_factory.mktemp("straight")
    run = start(*RUN, "--out", str(folder))
    out, _ = run.communicate()
    assert run.returncode == 0, out
    return (folder / "checkpoint.safetensors").read_bytes()


def resume(*arguments: str) -> str:
    run = start(*arguments, "--resume")
    out, _ = run.communicate()
    assert run.returncode == 0, out
    return out


def test_ctrl_c_keeps_the_last_checkpoint(straight: bytes) -> None:
    run = start(*RUN)
    wait_for(run, "epoch 2/4")
    run.send_signal(signal.SIGINT)
    out, _ = run.communicate()
    assert run.returncode == 130
    assert "minitensor train digits --resume" in out
    assert "Traceback" not in out
    assert load("runs/digits-cnn/checkpoint.safetensors")["epoch"] in (1, 2, 3)
    assert "going on after epoch" in resume("digits")
    assert Path("runs/digits-cnn/checkpoint.safetensors").read_bytes() == straight


def test_killed_in_the_middle_of_epochs(straight: bytes) -> None:
    """Killed again and again, some steps into an epoch, it ends with the same bytes."""
    kept = [0]
    for pause in (0.0, 0.03, 0.09):
        run = start("--out", "out", *(["--resume"] if kept[1:] else RUN))
        wait_for(run, "epoch ")  # whichever comes: on a busy machine another may pass before the kill
        time.sleep(pause)
        run.kill()
        run.communicate()
        kept.append(load("out/checkpoint.safetensors")["epoch"])
        if kept[-1] == 4:
            break
    assert kept[1] < 4
    assert kept == sorted(kept)
    resume("--out", "out")
    assert Path("out/checkpoint.safetensors").read_bytes() == straight


def test_resuming_with_another_number_of_threads(straight: bytes) -> None:
    run = start(*RUN, "--out", "out")
    wait_for(run, "epoch 1/4")
    run.kill()
    run.communicate()
    resume("--out", "out", "--threads", "1")
    assert Path("out/checkpoint.safetensors").read_bytes() == straight


def test_resuming_a_finished_run_draws_again() -> None:
    assert main(["train", "digits", "--model", "linear", "--epochs", "1"]) == 0
    before = Path("runs/digits-linear/checkpoint.safetensors").read_bytes()
    for name in PICTURES:
        Path("runs/digits-linear", name).unlink()
    assert main(["train", "digits", "--model", "linear", "--resume"]) == 0
    assert set(PICTURES) <= set(os.listdir("runs/digits-linear"))
    assert Path("runs/digits-linear/checkpoint.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--epochs", "9"], "was begun with --epochs 1, not 9; leave out --epochs"),
        (["--lr", "0.5"], "was begun with --lr 0.01, not 0.5"),
        (["--batch-size", "5"], "was begun with --batch-size 32, not 5"),
        (["--seed", "1"], "was begun with --seed 0, not 1"),
        (["--model", "mlp"], "was begun with --model linear, not mlp"),
        (["--data", "mnist"], "was begun with --data digits, not mnist"),
        (["--kernels", "naive"], "was begun with --kernels fast, not naive"),
        (["--isa", "reference"], "was begun with --isa"),
    ],
)
def test_resuming_with_other_settings(options: list[str], says: str, capsys: Any) -> None:
    begun = ["--data", "digits", "--model", "linear", "--epochs", "1", "--lr", "0.01", "--kernels", "fast"]
    run = runs.begin(asked(begun), Path("out"), resume=False)
    run.save()
    before = run.checkpoint.read_bytes()
    assert main(["train", "--out", "out", "--resume", *options]) == 1
    assert says in capsys.readouterr().err
    assert run.checkpoint.read_bytes() == before


def asked(options: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = dict.fromkeys(runs.Settings.__dataclass_fields__)
    found |= {k[2:]: v for k, v in zip(options[::2], options[1::2], strict=True)}
    return found | {"epochs": int(found["epochs"]), "lr": float(found["lr"])}


def test_resuming_what_is_not_there_or_not_ours(capsys: Any) -> None:
    assert main(["train", "digits", "--resume"]) == 1
    assert "there is no runs/digits-cnn/checkpoint.safetensors" in capsys.readouterr().err
    Path("out").mkdir()
    for content, says in [
        ({"weight": mt.zeros(2)}, "was not written by minitensor train"),
        (mt.zeros(2), "was not written by minitensor train"),
        ({"settings": {"data": "digits"}}, "was not written by minitensor train"),
    ]:
        save(content, "out/checkpoint.safetensors")
        assert main(["train", "--out", "out", "--resume"]) == 1
        assert says in capsys.readouterr().err
    Path("out/checkpoint.safetensors").write_bytes(b"damaged")
    assert main(["train", "--out", "out", "--resume"]) == 1
    assert "not a sound safetensors file" in capsys.readouterr().err


def test_a_checkpoint_of_another_network(capsys: Any) -> None:
    options = ["train", "digits", "--model", "linear", "--epochs", "1", "--out", "out"]
    assert main(options) == 0
    state = load("out/checkpoint.safetensors")
    del state["model"]["1.bias"]
    save(state, "out/checkpoint.safetensors")
    capsys.readouterr()
    assert main(["train", "--out", "out", "--resume"]) == 1
    error = capsys.readouterr().err
    assert "does not hold such a run: Error(s) in loading state_dict for Sequential" in error
    assert 'Missing key(s) in state_dict: "1.bias"' in error


# --- misused --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ([], "command"),
        (["train", "cifar"], "did you mean cifar10?"),
        (["train", "no/such/folder"], "or a folder of pictures with a folder for each class"),
        (["learn-fast"], "invalid choice: 'learn-fast'"),
        (["train", "letters"], "invalid choice: 'letters' (choose from"),
        (["train", "--model", "transformer"], "argument --model: invalid choice"),
        (["train", "--epochs", "0"], "'0' is not a whole number of 1 or more"),
        (["train", "--epochs", "many"], "'many' is not a whole number"),
        (["train", "--batch-size", "-3"], "--batch-size"),
        (["train", "--lr", "0"], "'0' is not a number above 0"),
        (["train", "--lr", "nan"], "'nan' is not a number above 0"),
        (["train", "--lr", "inf"], "'inf' is not a number above 0"),
        (["train", "--seed", "-1"], "--seed"),
        (["train", "--seed", "4294967296"], "from 0 to 4294967295"),
        (["train", "--kernels", "quick"], "argument --kernels: invalid choice"),
        (["train", "--isa", "avx1024"], "argument --isa: invalid choice"),
        (["train", "--resum"], "unrecognized arguments: --resum"),
    ],
)
def test_options_that_are_not_known(options: list[str], says: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(options)
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err
    assert os.listdir() == []


@pytest.mark.parametrize("options", [[], ["--epochs", "2"], ["--resume"]])
def test_without_a_name_it_says_which_there_are(options: list[str], capsys: Any) -> None:
    assert main(["train", *options]) == 2
    said = capsys.readouterr().err
    for word in (*data.SOURCES, "a folder of pictures", "minitensor train digits"):
        assert word in said
    assert os.listdir() == []


def test_help_is_help(capsys: Any) -> None:
    for options in (["--help"], ["train", "--help"], ["info", "--help"], ["--version"]):
        with pytest.raises(SystemExit) as stopped:
            main(options)
        assert stopped.value.code == 0
    out = capsys.readouterr().out
    for word in ("examples:", "--resume", "fashion_mnist", "One matrix", mt.__version__):
        assert word in out


def test_a_folder_that_cannot_be_made_or_written(capsys: Any, monkeypatch: Any) -> None:
    Path("file").write_text("in the way")
    monkeypatch.setattr(runs, "fit", lambda *_, **__: pytest.fail("was trained"))
    assert main(["train", "digits", "--out", "file"]) == 1
    assert "file" in capsys.readouterr().err
    assert main(["train", "digits", "--out", "file/below"]) == 1
    assert "file" in capsys.readouterr().err
    Path("closed").mkdir(mode=0o500)
    if not os.access("closed", os.W_OK):  # root may write anywhere
        assert main(["train", "digits", "--out", "closed"]) == 1
        assert "closed" in capsys.readouterr().err


def test_a_disk_that_is_full_before_training(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(runs, "fit", lambda *_, **__: pytest.fail("was trained"))
    old = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, old[1]))
    try:
        assert main(["train", "digits", "--out", "out"]) == 1
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, old)
    assert "nothing was changed" in capsys.readouterr().err
    assert os.listdir("out") == []


def test_without_scikit_learn(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    assert main(["train", "digits"]) == 1
    err = capsys.readouterr().err
    assert "not installed" in err
    assert "pip install" in err


def test_without_matplotlib_there_are_no_pictures(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["train", "digits", "--model", "linear", "--epochs", "1"]) == 0
    assert "pip install matplotlib" in capsys.readouterr().out
    assert os.listdir("runs/digits-linear") == ["checkpoint.safetensors"]


def test_data_that_is_nowhere(capsys: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("MINITENSOR_DATA", str(Path("missing").absolute()))
    assert main(["train", "mnist"]) == 1
    assert "MINITENSOR_DATA" in capsys.readouterr().err


def test_a_learning_rate_that_destroys_everything(capsys: Any) -> None:
    options = ["train", "digits", "--model", "mlp", "--epochs", "3", "--lr", "1e30"]
    assert main([*options, "--out", "out"]) == 1
    assert "try a smaller --lr than 1e+30" in capsys.readouterr().err
    weights = load("out/checkpoint.safetensors")["model"].values()
    assert all(np.isfinite(w.numpy()).all() for w in weights)


def test_info(capsys: Any) -> None:
    assert main(["info"]) == 0
    out = capsys.readouterr().out
    for word in (mt.__version__, cpu.isa(), "threads", "graph layer", "data folders"):
        assert word in out


def test_the_command_starts_without_what_it_does_not_need() -> None:
    script = (
        "import sys, minitensor.cli as c; c.main(['info']); "
        "print([m for m in ('matplotlib', 'sklearn', 'tqdm', 'pooch') if m in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"


# --- the parts ------------------------------------------------------------------------------------


def test_the_split_is_four_fifths_shuffled_by_the_seed() -> None:
    split = data.SOURCES["digits"].load(3)
    assert (len(split.train), len(split.test)) == (1437, 360)
    both = np.concatenate([split.train.images.numpy(), split.test.images.numpy()])
    published = datasets.digits().images.numpy()
    assert sorted(map(bytes, both)) == sorted(map(bytes, published))
    again, other = data.SOURCES["digits"].load(3), data.SOURCES["digits"].load(4)
    assert (again.test.labels.numpy() == split.test.labels.numpy()).all()
    assert (other.test.labels.numpy() != split.test.labels.numpy()).any()


def test_cats_and_dogs_come_first_and_the_others_help(monkeypatch: Any) -> None:
    names = ("plane", "cat", "deer", "dog")
    whole = datasets.Images(mt.arange(6).reshape(6, 1, 1, 1), mt.tensor([1, 3, 0, 3, 2, 1]), names)
    monkeypatch.setattr(datasets, "cifar10", lambda train: whole)
    split = data.SOURCES["cats_dogs"].load(0)
    assert split.classes == ("cat", "dog")
    assert split.others == 2
    assert split.train.classes == ("cat", "dog", "plane", "deer")
    assert split.train.labels.tolist() == [0, 1, 2, 1, 3, 0] + 2 * [0, 1, 1, 0]
    assert split.test.labels.tolist() == [0, 1, 1, 0]
    assert split.test.images.flatten().tolist() == [0, 1, 3, 5]


def test_networks_have_the_published_sizes() -> None:
    """By hand: ResNet-20 with convolutions where the sizes change; the book's two."""
    count = lambda model: sum(p.numel() for p in model.parameters())  # noqa: E731
    stages = 6 * 9 * 16 * 16 + (9 * 16 * 32 + 5 * 9 * 32 * 32 + 16 * 32) + (9 * 32 * 64 + 5 * 9 * 64 * 64 + 32 * 64)
    norms = 2 * (7 * 16 + 7 * 32 + 7 * 64)
    assert count(models.resnet20((3, 32, 32), 10)) == 27 * 16 + stages + norms + 650 == 272_474
    pairs = 9 * (24 * 32 + 32 * 32) + 9 * (32 * 96 + 96 * 96) + 9 * (96 * 96 + 96 * 96) + 4 * (32 + 96 + 96)
    assert count(models.resnet((3, 32, 32), 10)) == 24 + pairs + 960
    assert count(models.dense((1, 28, 28), 10)) == 785 * 50 + 51 * 50 + 51 * 10
    assert count(models.dense((3, 32, 32), 10)) == 3073 * 30 + 3 * 31 * 30 + 31 * 10
    assert count(models.dense((1000,), 2)) == 5005 + 30 + 30 + 12
    assert count(models.book((1, 28, 28), 10)) == 130_394
    assert count(models.book((3, 32, 32), 10)) == 153_546


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32)])
@pytest.mark.parametrize("model", models.MODELS)
def test_models_take_every_picture(model: str, shape: tuple[int, int, int]) -> None:
    assert models.MODELS[model](shape, 7)(mt.zeros(2, *shape)).shape == (2, 7)


def test_lenet_is_lenet() -> None:
    count = sum(p.numel() for p in models.lenet((1, 28, 28), 10).parameters())
    assert count == 61706  # LeNet-5 with every map of the third layer connected to all of the second
