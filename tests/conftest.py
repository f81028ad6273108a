"""The tests run on the installed library, also where the source folder, which is not built, is the current one."""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

if not list((ROOT / "minitensor").glob("_core.*.so")):
    sys.path[:] = [entry for entry in sys.path if Path(entry or ".").resolve() != ROOT]
os.environ["PYTHONSAFEPATH"] = "1"  # for the processes that tests start
sys.path.append(str(ROOT / "examples"))  # for tests that import programs; tests/ and its modules come first
