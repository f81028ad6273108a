"""The house: who may import whom, what a kernel may know, one place per fact."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest

import minitensor as mt
from minitensor import _core
from minitensor.graph import modes
from minitensor.op import OPS

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "minitensor"

# The floors of the house, from the ground up: a module imports only from its own floor or from below.
FLOORS = [
    {"arguments", "errors", "naming", "version", "return_types", "pytree", "_cython", "_compiled", "_core"},
    {"dtypes", "device", "op", "generator"},
    {"graph"},
    {"ops"},
    {
        "formatting",
        "batching",
        "methods",
        "tensor",
        "creation",
        "interop",
        "windows",
        "cpu",
        "random",
        "serialization",
        "settings",
        "sharing",
        "sparse",
        "compressed",
        "lowrank",
        "amp",
        "storage",
    },
    {"autograd", "func", "fft", "linalg", "special", "testing"},
    {"nn", "optim", "utils", "implicit", "ode", "soft", "solvers", "distributions"},
    {"training"},
    {"bench", "compat", "keras", "learn", "datasets", "models", "onnx", "text", "train", "cli"},
    {"__init__", "__main__"},
]
MAY_IMPORT_CORE = {"ops", "optim", "cpu", "generator", "dtypes"}  # dtypes: of the dtype that NumPy lacks


def floor_of(room: str) -> int:
    for i, rooms in enumerate(FLOORS):
        if room in rooms:
            return i
    raise AssertionError(f"minitensor/{room} is on no floor: give it one in FLOORS")


def imports(path: Path):
    """(room, line) of every import of ours at the top level of a module; those inside functions may go up."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            package = parts[: len(parts) - node.level]
            target = (*package, *(node.module.split(".") if node.module else ()))
            for name in [target[0]] if target else [alias.name for alias in node.names]:
                if (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").exists() or name == "_core":
                    yield name, node.lineno
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minitensor"):
            inner = node.module.split(".")[1:]
            for name in [inner[0]] if inner else [alias.name for alias in node.names]:
                yield name, node.lineno


SOURCES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_go_down(path):
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for other, line in imports(path):
        if other == room:
            continue
        assert floor_of(other) <= floor_of(room), f"{path.name}:{line}: {room} imports {other} from above"
        if other == "_core":
            assert room in MAY_IMPORT_CORE, f"{path.name}:{line}: {room} must not know the kernels"


def test_the_graph_knows_no_operator_by_name():
    trees = [ast.parse(path.read_text()) for path in (PACKAGE / "graph").glob("*.py")]
    code = "\n".join(ast.unparse(node) for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Compare))
    kinds = {"linear", "multilinear", "elementwise"}  # of forward mode; one is also an operator's name
    named = [name for name in OPS if name not in kinds and re.search(rf"['\"]{name}['\"]", code)]
    assert named == []


def test_the_modules_of_the_graph_import_only_from_those_above_them():
    """In the order in which the package's docstring tells them; compiled, the .pxd says the same as the .py."""
    folder = PACKAGE / "graph"
    order = re.findall(r"^    (\w+)  +[\w`]", ast.get_docstring(ast.parse((folder / "__init__.py").read_text())), re.M)
    order = order[order.index("modes") :]
    assert set(order) == {p.stem for p in folder.glob("*.py")} - {"__init__"}
    for i, name in enumerate(order):
        text = (folder / f"{name}.py").read_text()
        uncompiled = re.findall(r"^    from \.(\w+) import \(?([\w,\s]+?)\)?$", text, re.M)
        cimported = re.findall(r"^from \.(\w+) cimport (.+)$", (folder / f"{name}.pxd").read_text(), re.M)
        assert {m: sorted(re.findall(r"\w+", n)) for m, n in uncompiled} == {
            m: sorted(re.findall(r"\w+", n)) for m, n in cimported
        }
        for other in re.findall(r"^ *from \.(\w+) import", text, re.M):
            assert other in order[:i], f"{name} imports {other}"


def test_kernels_know_no_python_and_no_library():
    allowed = {"cmath", "cstdint", "cstring", "cfloat", "climits"}
    for path in [*(ROOT / "csrc/kernels").glob("*"), *(ROOT / "csrc").glob("*.h")]:
        here = allowed | {"immintrin.h"} if path.name == "simd.h" else allowed  # masked loads have no other name
        for header in re.findall(r"#include <([^>]+)>", path.read_text()):
            assert header in here, f"{path.name} includes <{header}>"


def test_every_kernel_of_the_table_is_used_by_a_binding():
    table = (ROOT / "csrc/kernels.h").read_text()
    bindings = "\n".join(p.read_text() for p in (ROOT / "csrc").rglob("*.cpp"))
    for name in re.findall(r"^\s*ROW\((\w+),", table, re.M):
        assert re.search(rf"MT_(KERNEL|RUNGS)\({name},", bindings), f"{name} is in the table and nowhere defined"
        assert re.search(rf"\b{name}\b", "\n".join(p.read_text() for p in (ROOT / "csrc/bindings").glob("*.cpp")))


def test_every_operator_has_samples_and_one_rule_for_each_array():
    import numpy as np

    for op in OPS.values():
        samples = list(op.samples(np.random.default_rng(0)))
        assert samples, f"{op.name} has no samples"
        for sample in samples:
            assert op.variadic or len(sample.args) == len(op.rules), f"{op.name}: a rule (or None) for each array"


def test_the_version_stands_in_one_place():
    assert importlib.metadata.version("minitensor-edu") == mt.__version__
    assert mt.__version__ not in (ROOT / "pyproject.toml").read_text()


def test_public_names_exist_and_are_documented():
    for name in mt.__all__:
        value = getattr(mt, name)
        if callable(value):
            assert value.__doc__, f"mt.{name} has no docstring"


def test_import_pulls_in_nothing_heavy():
    heavy = "scipy sklearn matplotlib torch tqdm pooch onnx"
    code = f"import sys, minitensor; print([m for m in '{heavy}'.split() if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"  # an editable install may print before


@pytest.mark.parametrize(
    ("name", "value"),
    [("MINITENSOR_ISA", "avx1024"), ("MINITENSOR_KERNELS", "quick"), ("MINITENSOR_NUM_THREADS", "two")],
)
def test_a_wrong_environment_is_refused_at_import(name, value):
    import os

    run = subprocess.run(
        [sys.executable, "-c", "import minitensor"], capture_output=True, text=True, env={**os.environ, name: value}
    )
    assert run.returncode != 0
    assert value in run.stderr


@pytest.mark.parametrize("isa", mt.cpu.isas())
def test_a_forced_isa_really_runs(isa):
    import os

    run = subprocess.run(
        [sys.executable, "-c", "import minitensor as mt; print(mt.cpu.isa())"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "MINITENSOR_ISA": isa},
    )
    assert run.stdout.splitlines()[-1] == isa


def test_the_stub_is_up_to_date(tmp_path):
    stubgen = pytest.importorskip("pybind11_stubgen", reason="the stub is compared where pybind11-stubgen is installed")
    (PACKAGE / "_core.pyi").exists() or pytest.fail("minitensor/_core.pyi is missing")
    stubgen.main(["minitensor._core", "-o", str(tmp_path), "--ignore-all-errors"])
    made = next(tmp_path.rglob("_core.pyi")).read_text()
    assert made.strip() == (PACKAGE / "_core.pyi").read_text().strip(), "run: pybind11-stubgen minitensor._core -o ."


def test_the_modules_are_compiled_where_they_say_so():
    assert _core.__file__.endswith(".so")
    assert modes.is_compiled() != modes.__file__.endswith(".py")


def test_importing_loads_no_more_than_programs_need():
    """Each of these takes a noticeable part of a tenth of a second."""
    heavy = (
        "numpy.random",
        "numpy.polynomial",
        "numpy.typing",
        "scipy",
        "matplotlib",
        "tarfile",
        "minitensor.datasets",
    )
    code = f"import sys, minitensor; print([m for m in {heavy} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "[]"  # an editable install may print before
    for name in ("datasets", "implicit", "learn", "models", "ode", "soft", "text"):
        assert getattr(mt, name).__name__ == f"minitensor.{name}"
        assert name in dir(mt)
