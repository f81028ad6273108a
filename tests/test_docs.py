"""What the documents say is run: the README's programs, and the example in every docstring."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
import re
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import minitensor as mt

ROOT = Path(__file__).resolve().parent.parent
NEEDS = {
    "minitensor.datasets": "sklearn",
    "minitensor.datasets.folder": "PIL",
    "minitensor.learn.drawing": "fast_sugiyama",
    "minitensor.learn.layout": "fast_sugiyama",
    "minitensor.learn.plots.common": "matplotlib",
    "minitensor.learn.plots.functions": "matplotlib",
    "minitensor.learn.plots.networks": "matplotlib",
    "minitensor.learn.plots.runs": "matplotlib",
    "minitensor.learn.watching": "fast_sugiyama",
    "minitensor.onnx.exporting": "onnx",
    "minitensor.onnx.model": "onnx",
}


def modules() -> list[str]:
    """Every module of the package that can be imported without being run."""
    found = [m.name for m in pkgutil.walk_packages(mt.__path__, "minitensor.")]
    return ["minitensor", *sorted(n for n in found if not n.endswith(("__main__", "._core")))]


def examples(module: ModuleType) -> list[doctest.DocTest]:
    """The examples of what a module defines: also of a compiled one, whose source is not asked."""
    finder = doctest.DocTestFinder(exclude_empty=True)
    tests = finder.find(module, module.__name__, extraglobs={"mt": mt, "np": np})
    return [test for test in tests if test.examples]


@pytest.mark.parametrize("name", modules())
def test_docstrings(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    said: list[str] = []
    for test in examples(importlib.import_module(name)):
        with mt.enable_grad():
            runner.run(test, out=said.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(said)


def blocks(path: str) -> list[tuple[int, str]]:
    """(line, program) of every block of Python in a document."""
    text = (ROOT / path).read_text()
    found = re.finditer(r"^```python\n(.*?)^```", text, re.M | re.S)
    return [(text.count("\n", 0, m.start()) + 2, m.group(1)) for m in found]


def test_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Its programs, one after the other, as a reader would type them."""
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {}
    for line, program in blocks("README.md"):
        exec(compile("\n" * (line - 1) + program, str(ROOT / "README.md"), "exec"), namespace)
    assert namespace["accuracy"] > 0.95
    assert "loss 0.0" in capsys.readouterr().out


def test_contributing() -> None:
    """Its operator, defined where it says, beside the others; then used, and taken away again."""
    from minitensor.op import OPS
    from minitensor.ops import activation

    ((line, program),) = blocks("CONTRIBUTING.md")
    namespace = dict(vars(activation))
    existing = OPS.pop("gaussian", None)  # of somebody who is following the text
    try:
        exec(compile("\n" * (line - 1) + program, str(ROOT / "CONTRIBUTING.md"), "exec"), namespace)
        x = mt.tensor([-1.0, 0.5, 3.0], dtype=mt.float64, requires_grad=True)
        assert namespace["gaussian"](x).tolist() == pytest.approx(np.exp([-1.0, -0.25, -9.0]))
        assert mt.autograd.gradcheck(namespace["gaussian"], (x,))
        assert mt.autograd.gradgradcheck(namespace["gaussian"], (x,))
    finally:
        OPS.pop("gaussian", None)
        OPS.update({} if existing is None else {"gaussian": existing})


@pytest.mark.parametrize("path", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_documents_name_files_that_exist(path: str) -> None:
    text = (ROOT / path).read_text()
    named = set(re.findall(r"`((?:minitensor|csrc|tests)/[\w/]+\.\w+)`", text))
    named |= set(re.findall(r"\]\(([\w/.]+)\)", text))
    assert named or path == "CHANGELOG.md"
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_the_readme_follows_the_convolution_through_names_that_exist() -> None:
    """Every name that it promises to the reader of a file stands in that file."""
    tour = {
        "minitensor/nn/conv.py": ["class Conv2d", "F.conv2d"],
        "minitensor/ops/conv.py": [
            "CONV2D =", "CONV2D_INPUT_VJP", "def _conv2d_reference", "def _conv2d_forward",
            "def _conv2d_dx", "def _conv2d_dw", "def _conv2d_dbias", "def _conv2d_samples",
        ],
        "minitensor/graph/record.py": ["def apply", "def record_node"],
        "minitensor/graph/backward.py": ["def differentiate", "def _step"],
        "csrc/bindings/conv.cpp": ["active<T>().conv2d("],
        "csrc/kernels/conv.cpp": ["void fast(", "fast_input_vjp"],
        "csrc/kernels/conv_matrix.h": ["void naive(", "void by_matrix("],
        "csrc/kernels/conv_direct.h": ["tile"],
    }  # fmt: skip
    readme = (ROOT / "README.md").read_text()
    for path, names in tour.items():
        assert path in readme
        text = (ROOT / path).read_text()
        assert [name for name in names if name not in text] == []
