"""This machine: its name, and how fast it multiplies and copies, measured."""

from __future__ import annotations

import ctypes
import functools
import itertools
import math
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np

import minitensor as mt

from .clock import best_time


def heading(threads: int, versions: Iterable[str] = ()) -> str:
    """The lines that belong over every table: machine, versions, command."""
    ours = f"minitensor {mt.__version__} ({mt.cpu.isa()}, {mt.cpu.rung()} kernels)"
    what = [ours, *versions, f"NumPy {np.__version__}", f"Python {platform.python_version()}"]
    name = f"{_name()} ({platform.machine()}), {os.cpu_count()} cores, {platform.system()} {platform.release()}"
    command = " ".join([Path(sys.argv[0]).name, *map(shlex.quote, sys.argv[1:])])
    return f"{name}; {threads} thread{'s' * (threads != 1)}\n{', '.join(dict.fromkeys(what))}\n\n    {command}\n"


def _name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or "unknown CPU"
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown CPU")


# --- arithmetic -------------------------------------------------------------------------------------------------------
# Twelve chains: more than latency x units of any CPU of today, and with b and c they fit into 16 registers.
CHAINS = 12
LOOP = f"""
typedef float vec __attribute__((vector_size(BYTES)));
float loop(long n, float b, float c) {{
  vec x[{CHAINS}], bs = b - (vec){{0}}, cs = c - (vec){{0}}, sum = {{0}};
  for (int j = 0; j < {CHAINS}; ++j) x[j] = bs * (float)j;
  for (long i = 0; i < n; ++i) {{
    UNROLLED for (int j = 0; j < {CHAINS}; ++j) x[j] = x[j] * bs + cs;
  }}
  for (int j = 0; j < {CHAINS}; ++j) sum += x[j];
  return sum[0];
}}
"""
UNROLLED = '_Pragma("GCC unroll 16")'
TARGETS = {  # as CMakeLists.txt compiles the kernels: bytes of a vector, flags
    "generic": (16, []),
    "avx2": (32, ["-march=x86-64-v3"]),
    "avx512": (64, ["-march=x86-64-v4"]),
    "neon": (16, []),
}


@functools.cache
def peak(isa: str, threads: int) -> tuple[float, str]:
    """(FLOP/s in float32, how it was measured): a loop of independent FMAs in registers, on every thread at once.

    It is compiled here, for the instruction set `isa`; without a C compiler the best product of matrices stands for it.
    """
    isa = mt.cpu.isas()[-1] if isa == "reference" else isa
    loop = _compiled(isa)
    if loop is None:
        return _best_product(isa, threads), "the best product of 512x512 and 1024x1024 matrices; no C compiler is here"
    return 2.0 * CHAINS * TARGETS[isa][0] / 4 * _iterations(loop, threads), f"independent FMAs in registers, {isa}"


def _iterations(loop: Callable[[int, float, float], float], threads: int) -> float:
    """Turns of the loop a second, of all threads together; by the time that each has had on a core."""
    n, least = 4_000_000, [math.inf] * threads

    def work(i: int) -> None:
        for _ in range(10):
            start = time.thread_time()
            loop(n, 0.999, 0.001)
            least[i] = min(least[i], time.thread_time() - start)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return sum(n / seconds for seconds in least)


def _compiled(isa: str) -> Callable[[int, float, float], float] | None:
    compiler = next((path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))), None)
    if compiler is None or isa not in TARGETS:
        return None
    width, flags = TARGETS[isa]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder, "loop.so")
        Path(folder, "loop.c").write_text(LOOP)
        options = [
            "-O3",
            "-ffp-contract=fast",
            "-shared",
            "-fPIC",
            f"-DBYTES={width}",
            f"-DUNROLLED={UNROLLED}",
            *flags,
        ]
        try:
            done = subprocess.run([compiler, *options, "-o", str(library), f"{folder}/loop.c"], capture_output=True)
            loop = ctypes.CDLL(str(library)).loop if done.returncode == 0 else None
        except OSError:
            return None
    if loop is None:
        return None
    loop.argtypes, loop.restype = [ctypes.c_long, ctypes.c_float, ctypes.c_float], ctypes.c_float
    return loop


def _best_product(isa: str, threads: int) -> float:
    before, best = mt.get_num_threads(), 0.0
    mt.set_num_threads(threads)
    try:
        with mt.cpu.use(isa), mt.no_grad():
            for n in (512, 1024):
                a = mt.randn(n, n)
                x = a.numpy()
                seconds = min(best_time(lambda a=a: a @ a), best_time(lambda x=x: x @ x))  # type: ignore[misc]
                best = max(best, 2.0 * n**3 / seconds)
    finally:
        mt.set_num_threads(before)
    return best


def _together(runs: Sequence[Callable[[], object]], rounds: int = 7) -> float:
    """The best time, over rounds, in which all of them have run, each on a thread of its own."""
    if len(runs) == 1:
        return best_time(runs[0])

    def once() -> None:
        workers = [threading.Thread(target=run) for run in runs]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return min(best_time(once, 0.02) for _ in range(rounds))


# --- memory -----------------------------------------------------------------------------------------------------------
@functools.cache
def copy_rate(size: int, threads: int) -> float:
    """Bytes/s, read and written, of NumPy's copy of an array on so many threads; `size` is both, source and copy."""
    count = max(size // 8, threads)
    source, target = np.ones(count, np.float32), np.ones(count, np.float32)
    repeat = max(1, 50_000_000 // size)
    edges = [count * i // threads for i in range(threads + 1)]

    def copies(a: int, b: int) -> None:
        for _ in range(repeat):
            np.copyto(target[a:b], source[a:b])

    parts = [functools.partial(copies, a, b) for a, b in itertools.pairwise(edges)]
    return 8.0 * count * repeat / _together(parts)
