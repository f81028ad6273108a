"""Memory for time: the same gradient of a chain of K layers, with what the backward needs stored in five ways.

    python examples/memory.py
    python examples/memory.py --depth 64 --snapshots 2 8

For each way the table has the evaluations of a layer, forward and backward together, and the peak of the memory pool
over what was in use before; each beside what the theory says. A state is one vector of the chain. The counts are those
of the theory; the bytes are within 5 % of it.

Covers DP-17.68 (states stored every s layers), besides the inverses of DP-17.67 and the form without storage, DP-17.69.
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import minitensor as mt
from minitensor.utils.checkpoint import checkpoint_sequential, revolve, revolve_steps
from minitensor.utils.invertible import invertible_sequential


class Layer(mt.nn.Module):
    """A leaky ReLU of slope 1/2, which can be undone; it counts its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = self.inverses = 0

    def forward(self, x: mt.Tensor) -> Any:
        self.calls += 1
        return mt.nn.functional.leaky_relu(x, 0.5)

    def inverse(self, y: mt.Tensor) -> Any:
        self.inverses += 1
        return mt.nn.functional.leaky_relu(y, 2.0)


@dataclass(frozen=True)
class Row:
    """One way of storing: what was measured, and what the theory says."""

    way: str
    depth: int
    evaluations: int
    expected_evaluations: int
    bytes: int
    expected_bytes: int
    seconds: float
    gradient: Any


def plain(layers: list[Layer], x: Any) -> Any:
    """Every value is stored."""
    for layer in layers:
        x = layer(x)
    return x


def measure(way: str, run: Callable[..., Any], depth: int, size: int, evaluations: int, states: int) -> Row:
    """One forward and backward of a chain; `evaluations` and `states` are the theory's."""
    mt.manual_seed(0)
    x = mt.randn(size).requires_grad_()
    seed = mt.ones(size).clone()
    layers = [Layer() for _ in range(depth)]
    mt.cpu.reset_peak_memory_stats()
    before = mt.cpu.memory_stats()["in_use"]
    start = time.perf_counter()
    run(layers, x).backward(seed)
    seconds = time.perf_counter() - start
    peak = mt.cpu.memory_stats()["peak"] - before
    calls = sum(layer.calls for layer in layers)
    return Row(way, depth, calls, evaluations, peak, states * x.nbytes, seconds, x.grad)


def rows(depth: int, size: int, snapshots: list[int]) -> list[Row]:
    """The ways, with what each stores at its peak.

    All hold the output until its gradient is known, the gradient that comes in and the one that goes out (one of
    which takes the place of the output where nothing else keeps it).
    """
    k, n = depth, math.isqrt(depth)
    if n * n != k:
        raise SystemExit(f"memory.py: the depth must be a square, so that sqrt(K) segments are of one length, not {k}")
    # The K states behind the input, and the gradient.
    out = [measure("plain", plain, k, size, k, k + 1)]
    # The inputs of the segments but the first, the values of one segment, and the two gradients.
    cut = lambda layers, x: checkpoint_sequential(layers, n, x)  # noqa: E731
    out.append(measure(f"{n} segments", cut, k, size, 2 * k - n, 2 * n if n > 1 else k + 1))
    for s in sorted({1, *snapshots}):
        # The output, the s - 1 states beside the input, the gradient, a state and the next; all states, if s allows.
        states = s + 3 if revolve_steps(k, s) > k - 1 else k + 1
        wound = lambda layers, x, s=s: revolve(layers, s, x)  # noqa: E731
        way = f"revolve, {s} snapshots" if s > 1 else "none (only the input)"
        out.append(measure(way, wound, k, size, k + revolve_steps(k, s), states))
    # The output, the gradient, a state and the one before it.
    out.append(measure("invertible", invertible_sequential, k, size, 2 * k, 4))
    return out


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--depth", type=int, nargs="+", default=[16, 64, 144], help="numbers of layers K, squares")
    parser.add_argument("--size", type=int, default=1 << 16, help="elements of a state (a power of two is exact)")
    parser.add_argument("--snapshots", type=int, nargs="+", default=[2, 3, 5], help="states that revolve may store")
    options = parser.parse_args()
    title = ("way", "K", "evaluations", "theory", "peak MiB", "theory", "seconds")
    print("{:<24}{:>5}{:>13}{:>9}{:>11}{:>9}{:>10}".format(*title))
    for depth in options.depth:
        for r in rows(depth, options.size, options.snapshots):
            figures = f"{r.depth:>5}{r.evaluations:>13}{r.expected_evaluations:>9}"
            memory = f"{r.bytes / 2**20:>11.2f}{r.expected_bytes / 2**20:>9.2f}"
            print(f"{r.way:<24}{figures}{memory}{r.seconds:>10.4f}")
        print()


if __name__ == "__main__":
    main()
