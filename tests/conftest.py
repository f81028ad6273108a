"""The tests run on the installed library, also where the source folder, which is not built, is the current one."""

import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parent.parent

if not list((ROOT / "minitensor").glob("_core.*.so")):
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
os.environ["PYTHONSAFEPATH"] = "1"  # for the processes that tests start
sys.path.append(str(ROOT / "examples"))  # for tests that import programs; tests/ and its modules come first


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Writes bytes into a file and gives its path."""

    def write(data: bytes, name: str = "file") -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return path

    return write
