"""The programs that measure: that they run, at tiny sizes, and say what they should. No time is judged."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor.bench import clock, compare, ladder, machine, peers, programs
from minitensor.cli import main

ROOT = Path(__file__).resolve().parent.parent
QUICK = ["--seconds", "0.001"]


def there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


needs_matplotlib = pytest.mark.skipif(
    not there("matplotlib"), reason="pictures are drawn where matplotlib is installed"
)


def run(name: str, *arguments: str, folder: Path) -> str:
    """What a program of bench/ prints."""
    command = [sys.executable, str(ROOT / "bench" / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def table(text: str) -> list[list[str]]:
    """The cells of the (last) Markdown table in a text, without the line under its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if not line.startswith("|---")]


@pytest.mark.parametrize("path", sorted((ROOT / "bench").glob("[!t]*.py")), ids=lambda path: path.name)
def test_every_program_explains_itself(path: Path, tmp_path: Path) -> None:
    said = run(path.name, "--help", folder=tmp_path)
    assert "usage:" in said
    assert "--threads" in said


# --- the clock and the machine ----------------------------------------------------------------------------------------


def test_the_clock_counts_every_call() -> None:
    calls = 0

    def call() -> None:
        nonlocal calls
        calls += 1

    best, mean = clock.measure(call, 0.005)
    assert 0 < best <= mean
    assert mean * calls >= 0.005 - 1e-9


@pytest.mark.parametrize("isa", mt.cpu.isas())
def test_the_machine_multiplies_and_copies(isa: str) -> None:
    rate, how = machine.peak(isa, 1)
    assert rate > 0
    assert how
    assert machine.copy_rate(4000, 2) > 0


def test_without_a_compiler_the_best_product_stands_for_the_peak(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None)
    before = mt.get_num_threads(), mt.cpu.isa()
    rate, how = machine.peak.__wrapped__(mt.cpu.isas()[-1], 1)
    assert rate > 0
    assert "no C compiler" in how
    assert (mt.get_num_threads(), mt.cpu.isa()) == before


def test_the_costs_of_a_program() -> None:
    by_name = {program.name: program for program in (*programs.ladder(1), *programs.others(1))}
    product = by_name["matmul"]  # of 96 x 96
    assert (product.flops, product.moved) == (2 * 96**3, 3 * 4 * 96**2)
    assert (product.unit, product.speed(1e-3)) == ("GFLOP/s", pytest.approx(2 * 96**3 / 1e6))
    assert by_name["clone"].moved == 2 * 4 * 256**2
    assert by_name["clone"].unit == "GB/s"
    assert by_name["max_pool2d"].moved == 4 * 4 * 64 * 56 * 56 * 1.25
    for program in by_name.values():
        program.ready()()


# --- compare ----------------------------------------------------------------------------------------------------------


def test_compare_prints_and_keeps_the_table(tmp_path: Path) -> None:
    arguments = ["--peers", "minitensor,numpy", "--filter", "matmul 16x16|softmax 128x10|overhead exp 4x4"]
    said = run("compare.py", *arguments, "--rounds", "2", *QUICK, "--load", "--json", "out.json", folder=tmp_path)
    assert f"minitensor {mt.__version__}" in said
    assert f"NumPy {np.__version__}" in said
    assert "compare.py --peers minitensor,numpy" in said
    head, *rows, last = table(said)
    assert head == [
        "case",
        "minitensor, us",
        "NumPy, us",
        "NumPy : minitensor",
        "minitensor, slowdown",
        "NumPy, slowdown",
    ]
    assert [row[0] for row in rows] == ["matmul 16x16", "overhead exp 4x4"]  # NumPy has no softmax and records nothing
    assert last[0] == "geometric mean of 2"
    kept = json.loads((tmp_path / "out.json").read_text())
    assert kept["peers"] == ["minitensor", "numpy"]
    for row, cells in zip(kept["cases"], rows, strict=True):
        assert f"{row['ratio']['numpy']:.2f}" == cells[3]
        assert row["ratio"]["numpy"] == pytest.approx(row["seconds"]["numpy"] / row["seconds"]["minitensor"])
    mean = math.sqrt(math.prod(row["ratio"]["numpy"] for row in kept["cases"]))
    assert last[3] == f"{mean:.2f}"


def test_compare_measures_memory(tmp_path: Path) -> None:
    arguments = ["--peers", "minitensor", "--filter", "MLP", "--memory", "--json", "out.json"]
    head, row = table(run("compare.py", *arguments, folder=tmp_path))
    assert head == ["case", "minitensor, MB"]
    (case,) = json.loads((tmp_path / "out.json").read_text())["cases"]
    parameters = 784 * 512 + 512 + 512 * 256 + 256 + 256 * 10 + 10
    assert case["bytes"]["minitensor"] > 3 * 4 * parameters  # they, their gradients, the momenta
    assert row[1] == f"{case['bytes']['minitensor'] / 1e6:.1f}"


def test_a_case_that_one_peer_has_is_shown_when_it_runs_alone(tmp_path: Path) -> None:
    arguments = ["--peers", "minitensor", "--filter", "softmax 128x10, forward", "--rounds", "1", *QUICK]
    head, *rows = table(run("compare.py", *arguments, folder=tmp_path))
    assert head == ["case", "minitensor, us"]
    assert len(rows) == 3


@pytest.mark.skipif(there("jax"), reason="JAX is installed")
def test_a_peer_that_is_not_installed_is_left_out_by_name(capsys: Any) -> None:
    with compare.started(["minitensor", "jax"], {}, 1) as running:
        assert [peer.name for peer in running] == ["minitensor"]
        assert running[0].version == mt.__version__
    assert "JAX is left out" in capsys.readouterr().err


@pytest.mark.skipif(not there("torch"), reason="PyTorch is compared where it is installed")
def test_torch_has_every_case() -> None:
    with compare.started(["torch"], {}, 1) as running:
        assert "best" in running[0].ask(case="overhead relu 4x4", seconds=0.001)


def test_the_layer_over_numpy_computes_what_the_cases_ask() -> None:
    module = peers.load("numpy", 1)
    x, w, b = module.randn(3, 4), module.randn(5, 4), module.randn(5)
    assert x.dtype == np.float32
    assert module.randn(2, dtype=module.float64).dtype == np.float64
    expected = [[sum(x[i, k] * w[j, k] for k in range(4)) + b[j] for j in range(5)] for i in range(3)]
    assert module.nn.functional.linear(x, w, b) == pytest.approx(np.array(expected), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--filter", "no such case"], "no case contains 'no such case'"),
        (["--peers", "tensorflow"], "tensorflow: not one of minitensor, torch, numpy, jax"),
        (["--threads", "0"], "'0' is not a whole number of 1 or more"),
        (["--seconds", "0"], "'0' is not a number of seconds above 0"),
    ],
)
def test_compare_refuses(arguments: list[str], said: str, capsys: Any) -> None:
    with pytest.raises(SystemExit) as stop:
        compare.main(arguments)
    assert stop.value.code == 2
    assert said in capsys.readouterr().err


# --- the ladder, and the command --------------------------------------------------------------------------------------


def test_the_ladder_has_every_rung(tmp_path: Path) -> None:
    said = run("ladder.py", "--scale", "1", *QUICK, "--json", "out.json", folder=tmp_path)
    head, *rows = table(said)
    assert head[3:8] == list(mt.cpu.RUNGS)
    assert [row[0] for row in rows] == ["matmul", "conv2d", "attention", "max_pool2d", "softmax", "layer_norm"]
    for row in json.loads((tmp_path / "out.json").read_text())["rows"]:
        assert min(row["speed"].values()) > 0
        assert row["limit"] > 0
    assert (tmp_path / "ladder.png").exists() == there("matplotlib")
    assert there("matplotlib") or "matplotlib is missing" in said


@needs_matplotlib
def test_the_ladders_picture_shows_each_operator(tmp_path: Path) -> None:
    row = {"operator": "matmul", "size": "8x8", "unit": "GB/s", "speed": dict.fromkeys(mt.cpu.RUNGS, 2.0), "limit": 9.0}
    ladder.draw([row] * 4, tmp_path / "a.png", "title")
    from matplotlib import image

    assert image.imread(tmp_path / "a.png").shape[2] == 4


def test_the_command_runs_both(tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    threads = mt.get_num_threads()
    arguments = [
        "--filter",
        "matmul 16x16",
        "--peers",
        "minitensor,numpy",
        "--rounds",
        "1",
        "--out",
        "pictures",
        *QUICK,
    ]
    assert main(["bench", *arguments]) == 0
    said = capfd.readouterr().out
    assert "| layer_norm |" in said
    assert re.search(r"^\| matmul 16x16 \|", said, re.M)
    assert os.path.exists("pictures/ladder.png") == there("matplotlib")
    assert mt.get_num_threads() == threads
    assert main(["bench", "compare", *arguments]) == 0
    assert "layer_norm" not in capfd.readouterr().out


# --- roofline, scaling, accuracy --------------------------------------------------------------------------------------


def program(name: str) -> Any:
    """A program of bench/ as a module."""
    spec = importlib.util.spec_from_file_location(f"bench_{name}", ROOT / "bench" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # a dataclass looks its module up
    spec.loader.exec_module(module)
    return module


def test_the_roofline_has_every_operator(tmp_path: Path) -> None:
    said = run("roofline.py", "--scale", "1", "--copy", "1", *QUICK, "--json", "out.json", folder=tmp_path)
    kept = json.loads((tmp_path / "out.json").read_text())
    assert f"GFLOP/s: {kept['roof']['how']}" in said
    _, *rows = table(said)
    assert len(rows) == len(programs.ladder()) + len(programs.others())
    intensities = [row["intensity"] for row in kept["rows"]]
    assert intensities == sorted(intensities)
    row = kept["rows"][-1]
    assert row["flops"] / row["bytes"] == pytest.approx(row["intensity"])
    assert row["share"] == pytest.approx(
        max(row["flops"] / kept["roof"]["flops"], row["bytes"] / kept["roof"]["memory"])
    )
    assert (tmp_path / "roofline.png").exists() == there("matplotlib")


def test_an_exponent_is_the_slope_of_a_power_law() -> None:
    exponent = program("scaling").exponent
    assert exponent([1, 2, 4, 8], [5, 20, 80, 320]) == 2.0
    assert exponent([10, 1000], [7, 7]) == 0.0
    assert exponent([1, 2, 4], [1, 4, 4]) == 1.0  # the middle point lies a factor off the line and does not turn it


def test_scaling_prints_exponents_and_threads(tmp_path: Path) -> None:
    arguments = ["--filter", "matmul|chain|batch", "--points", "2", "--threads", "2", "--json", "out.json"]
    said = run("scaling.py", *arguments, *QUICK, folder=tmp_path)
    kept = json.loads((tmp_path / "out.json").read_text())
    assert [row["by"] for row in kept["sweeps"]] == ["size", "depth"]
    assert [row["sizes"] for row in kept["sweeps"]] == [[16, 32], [16, 64]]
    first = kept["sweeps"][0]
    assert first["exponent"] == pytest.approx(math.log2(first["seconds"][1] / first["seconds"][0]), abs=1e-3)
    assert all(row["sizes"] == [1, 2] for row in kept["threads"])
    assert "| matmul n x n | size | 16 | 32 |" in said
    assert (tmp_path / "scaling.png").exists() == there("matplotlib")


def test_scaling_says_from_what_size_on_threads_pay(tmp_path: Path) -> None:
    arguments = ["--crossover", "--filter", "add of n", "--points", "3", "--threads", "2", "--json", "out.json"]
    said = run("scaling.py", *arguments, *QUICK, folder=tmp_path)
    (row,) = json.loads((tmp_path / "out.json").read_text())["crossover"]
    assert row["sizes"] == [16, 32, 64, 128, 256]
    assert len(row["gains"]) == len(row["seconds"]) == 5
    assert all(gain >= 1.1 for gain in row["gains"][row["first"] :])
    assert "| program | threads pay from |" in said


def test_an_ulp() -> None:
    ulps = program("accuracy").ulps
    one = np.float32(1)
    after = np.nextafter(one, np.float32(2))
    assert list(ulps(np.array([after, one]), np.array([1.0, 1.0]), True)) == [1.0, 0.0]
    assert list(ulps(np.float32([1.0, 4.0]), np.array([1.0 + 2.0**-24, 4.0]), True)) == [0.5, 0.0]
    root = ulps(np.float32([2.0**-23, 8.0]), np.array([0.0, 8.0]), False)  # the root of the mean square is 5.7
    assert list(root) == [0.25, 0.0]


def test_accuracy_of_every_kernel(tmp_path: Path) -> None:
    arguments = ["--size", "1", "--threads", "1", "--json", "out.json"]
    head, *rows = table(run("accuracy.py", *arguments, folder=tmp_path))
    kernels = program("accuracy").KERNELS
    assert head[1:3] == ["minitensor, largest", "mean"]
    assert there("torch") == ("PyTorch, largest" in head)
    if there("scipy"):
        assert [row[0] for row in rows] == list(kernels)
    for row in json.loads((tmp_path / "out.json").read_text())["rows"]:
        assert 0 <= row["minitensor"]["mean"] <= row["minitensor"]["largest"] < 100, row["kernel"]
