"""Checks that a Debug build's kernel objects define no weak symbol outside their ISA's namespace.

A weak symbol (an inline function of the C++ library, say) compiled for AVX-512 may be the copy that the linker keeps
for everybody. `symbols.py BUILD_DIR` configures the `dev` preset there, builds the kernels and looks with nm.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path


def main() -> int:
    root, build = Path(__file__).resolve().parent.parent, Path(sys.argv[1]).resolve()
    bin_dir = Path(sys.executable).parent
    subprocess.run(
        [
            find(bin_dir, "cmake"),
            "--preset",
            "dev",
            "-B",
            str(build),
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-DCMAKE_MAKE_PROGRAM={find(bin_dir, 'ninja')}",
            "-DMINITENSOR_COMPILE_GRAPH=OFF",
        ],
        cwd=root,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run([find(bin_dir, "cmake"), "--build", str(build), "-j2"], check=True, stdout=subprocess.DEVNULL)
    objects = sorted(build.glob("CMakeFiles/kernels_*.dir/**/*.o"))
    assert objects, f"no kernel objects under {build}"
    bad = []
    for path in objects:
        isa = re.search(r"kernels_(\w+)\.dir", str(path)).group(1)
        for line in subprocess.check_output(["nm", "-C", str(path)], text=True).splitlines():
            kind, name = line[17:18], line[19:]
            if name == "DW.ref.__gxx_personality_v0":  # a pointer, the same in every object; no code
                continue
            if kind in "WwVvu" and f"mt::{isa}::" not in name:
                bad.append(f"{path.name} ({isa}): {name}")
    print(f"{len(objects)} objects looked at, {len(bad)} shared symbols")
    print("\n".join(bad))
    return bool(bad)


def find(bin_dir: Path, name: str) -> str:
    """The program of this environment, or the system's."""
    own = bin_dir / name
    return str(own) if own.exists() else name


if __name__ == "__main__":
    sys.exit(main())
