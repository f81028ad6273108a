"""minitensor and PyTorch side by side: `compare.py [--filter TEXT] [--threads N] [--rounds N] [--torch PYTHON]`.

Each peer runs in a process of its own, and only one works at a time: they take turns, case by case, and the best of
several rounds counts (two OpenMP runtimes in one process spin against each other, and machines are shared). Prints a
Markdown table: microseconds of each, and PyTorch's time divided by ours, with the geometric mean.
"""

from __future__ import annotations

import argparse
import math
import os
import platform
import subprocess
import sys
import time
from typing import Any

from cases import CASES


def serve(module: str, threads: int) -> None:
    """A peer: for each name on standard input, the best time of a few calls, in seconds, on standard output."""
    mt: Any = __import__(module)
    mt.set_num_threads(threads)
    ready: dict[str, Any] = {}
    for line in sys.stdin:
        name = line.strip()
        if name not in ready:
            mt.manual_seed(0)
            ready[name] = CASES[name](mt)
            ready[name]()
        run = ready[name]
        best, spent, count = math.inf, 0.0, 1
        while spent < 0.15:
            start = time.perf_counter()
            for _ in range(count):
                run()
            took = time.perf_counter() - start
            best, spent = min(best, took / count), spent + took
            if took < 0.001:
                count *= 4
        print(best, flush=True)


def start(python: str, module: str, threads: int) -> subprocess.Popen[str]:
    env = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    return subprocess.Popen(
        [python, __file__, "--serve", module, "--threads", str(threads)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )


def ask(peer: subprocess.Popen[str], name: str) -> float:
    assert peer.stdin is not None
    assert peer.stdout is not None
    peer.stdin.write(name + "\n")
    peer.stdin.flush()
    return float(peer.stdout.readline())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--filter", default="", help="only cases whose name contains this, or one of these: a|b")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--torch", default=sys.executable, help="a Python that has PyTorch, if this one has not")
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve, options.threads)
        return
    names = [name for name in CASES if any(part in name for part in options.filter.split("|"))]
    ours = start(sys.executable, "minitensor", options.threads)
    theirs = start(options.torch, "torch", options.threads)
    print(f"{platform.processor() or platform.machine()}, {options.threads} threads, best of {options.rounds} rounds\n")
    print("| case | minitensor, us | PyTorch, us | ratio |\n|---|---|---|---|")
    ratios = []
    for name in names:
        a = b = math.inf
        for _ in range(options.rounds):
            a, b = min(a, ask(ours, name)), min(b, ask(theirs, name))
        ratios.append(b / a)
        print(f"| {name} | {a * 1e6:.1f} | {b * 1e6:.1f} | {b / a:.2f} |", flush=True)
    if ratios:
        mean = math.exp(sum(map(math.log, ratios)) / len(ratios))
        print(f"| geometric mean of {len(ratios)} | | | {mean:.2f} |")
    for peer in (ours, theirs):
        assert peer.stdin is not None
        peer.stdin.close()
        peer.wait()


if __name__ == "__main__":
    main()
