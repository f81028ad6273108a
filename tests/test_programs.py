"""The programs in examples/ run, and their tables say what they should."""

from __future__ import annotations

import re

import pytest
from programs import EXAMPLES, index, run, systems

import minitensor as mt

PROGRAMS = sorted(path.name for path in EXAMPLES.glob("*.py") if path.stem != "common")


@pytest.mark.parametrize("name", PROGRAMS)
def test_each_says_what_it_covers(name):
    covered = systems(EXAMPLES / name)
    assert covered
    text = run(name, "--help")
    assert covered[0] in text or "to DP-17" in text


def test_the_index_is_of_these_programs():
    """`python tests/programs.py` writes it; each program has tests."""
    written = (EXAMPLES / "README.md").read_text()
    assert written == index()
    for line in written.splitlines():
        if line.startswith("| [") and ".py](" in line:
            assert "`test_" in line, line


def test_implicit():
    text = run("implicit.py", "--steps", "10", "100")
    assert "x, dx/dtheta, by differences                   [1] [0.25] [0.25]" in text
    few, many = re.findall(r"^ +(?:10|100) +\S+ +\S+ +(\d+) +(\d+)$", text, re.M)
    assert int(many[0]) == 10 * int(few[0])  # the unrolled steps are kept
    assert many[1] == few[1]  # the solution alone


def test_cost_of_modes(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("cost_of_modes.py", "--picture", str(tmp_path / "cost.png"))
    rows = [list(map(int, line.split())) for line in re.findall(r"^[ \d]+$", text, re.M) if len(line.split()) == 11]
    assert len(rows) == 19
    assert all(r[3::2] == r[4::2] for r in rows)
    assert (tmp_path / "cost.png").exists()


def test_soft(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("soft.py", "--picture", str(tmp_path / "soft.png"))
    assert "{'soft, sigma = 0.05': 0.365, 'hard': 0.8}" in text
    assert (tmp_path / "soft.png").exists()


def test_ode(tmp_path):
    pytest.importorskip("matplotlib")
    text = run("ode.py", "--steps", "30", "--picture", str(tmp_path / "ode.png"))
    for line in re.findall(r"^  (?:euler|rk4|leapfrog) +N = .*$", text, re.M):
        steps, parts, _, slope, kept, fewer, least = map(float, line.split("=")[1].split()[1:])
        assert abs(parts - steps) < 1e-12
        assert abs(slope - steps) < 1e-8
        assert least < fewer < kept
    assert (tmp_path / "ode.png").exists()


def test_influence(tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("sklearn")
    text = run("influence.py", "--train", "200", "--left-out", "6", "--picture", str(tmp_path / "influence.png"))
    for line in re.findall(r"^  \d   .*$", text, re.M):
        _, _, _, *rest = map(float, line.split())
        assert rest[:2] == pytest.approx(rest[2:], abs=2e-6)  # the bracketed form is the refitted one
    assert float(re.findall(r"correlation .*: (\S+)", text)[0]) > 0.9
    assert (tmp_path / "influence.png").exists()


def test_glossary():
    """DA-lexicon: the words of the notes are there, in both languages, and each has a name that exists here."""
    import importlib

    import glossary

    pairs = {english: french for english, french, _ in glossary.TERMS}
    assert pairs["weight"] == "poids"
    assert pairs["residual stream"] == "flux résiduel"
    for word in ("neuron", "bias", "activation function", "loss", "layer", "kernel", "pooling", "dropout", "batch"):
        assert word in pairs
    for _, _, name in glossary.TERMS:
        at = mt
        for part in name.split("."):
            try:
                at = getattr(at, part)
            except AttributeError:
                at = importlib.import_module(f"{at.__name__}.{part}")
    shown = run("glossary.py", "--french", "--find", "jeton")
    assert shown.splitlines()[-1].split() == ["jeton", "token", "text"]
