"""How cost grows: with size, depth, batch and threads; with --crossover, from what size on threads pay.

Each line of the table is a program at several sizes. Its exponent p is fitted by least squares to log(time) against
log(size), time ~ size^p, over the larger half of the sizes, where the fixed cost of a call is small; beside it stands
what the count of operations predicts. Threads are a line of speed-ups.
"""

from __future__ import annotations

import argparse
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import minitensor as mt
from minitensor.arguments import positive
from minitensor.bench import ladder, machine, models, programs
from minitensor.bench.clock import best_time
from minitensor.bench.compare import duration, selected

F = mt.nn.functional
Make = Callable[[int], Callable[[], object]]


@dataclass(frozen=True)
class Sweep:
    """A program that is made for each of its sizes."""

    name: str
    variable: str
    sizes: tuple[int, ...]
    expected: float
    make: Make


def _call(f: Callable[..., object], *shapes: Callable[[int], tuple[int, ...]]) -> Make:
    def make(n: int) -> Callable[[], object]:
        xs = [mt.randn(*shape(n)) for shape in shapes]

        def run() -> object:
            with mt.no_grad():
                return f(*xs)

        return run

    return make


def _square(n: int) -> tuple[int, ...]:
    return (n, n)


def _rows(n: int) -> tuple[int, ...]:
    return (64, n)


def _planes(n: int) -> tuple[int, ...]:
    return (n, 1, 16, 16)


def _deep(depth: int) -> Callable[[], object]:
    """A training step of `depth` linear layers of 64 units with tanh."""
    layers = [layer for _ in range(depth) for layer in (mt.nn.Linear(64, 64), mt.nn.Tanh())]
    model, x = mt.nn.Sequential(*layers), mt.randn(32, 64)

    def run() -> None:
        model.zero_grad()
        model(x).sum().backward()

    return run


def _chain(depth: int) -> Callable[[], object]:
    """Forward and backward through `depth` products of 4x4 elements: what the graph costs by itself."""
    x, y = mt.ones(4, 4).requires_grad_(), mt.ones(4, 4)

    def run() -> None:
        z = x
        for _ in range(depth):
            z = z * y
        z.sum().backward()

    return run


def _step(build: Any) -> Make:
    """Forward, loss and backward of a network of models.py, by its batch."""

    def make(batch: int) -> Callable[[], object]:
        model, x, loss = build(mt, batch)

        def run() -> None:
            model.zero_grad()
            loss(model(x)).backward()

        return run

    return make


def _powers(low: int, high: int, step: int = 2) -> tuple[int, ...]:
    sizes = [low]
    while sizes[-1] * step <= high:
        sizes.append(sizes[-1] * step)
    return tuple(sizes)


SWEEPS = (
    Sweep("matmul n x n", "size", _powers(16, 2048), 3, _call(mt.matmul, _square, _square)),
    Sweep("add of n", "size", _powers(16, 1 << 22, 4), 1, _call(mt.add, lambda n: (n,), lambda n: (n,))),
    Sweep("exp of n", "size", _powers(16, 1 << 22, 4), 1, _call(mt.exp, lambda n: (n,))),
    Sweep("sum of n", "size", _powers(16, 1 << 22, 4), 1, _call(mt.sum, lambda n: (n,))),
    Sweep("max_pool2d n x 16 x 16 of 2", "size", _powers(4, 4096), 1, _call(lambda x: F.max_pool2d(x, 2), _planes)),
    Sweep("layer_norm 64 x n", "size", _powers(16, 1 << 14), 1, _call(lambda x: F.layer_norm(x, x.shape[-1:]), _rows)),
    Sweep("softmax 64 x n", "size", _powers(16, 1 << 16, 4), 1, _call(lambda x: F.softmax(x, -1), _rows)),
    Sweep("sort of n", "size", _powers(16, 1 << 18, 4), 1, _call(mt.sort, lambda n: (n,))),
    Sweep(
        "conv2d 8x16 n x n, 16 of 3x3",
        "size",
        _powers(8, 128),
        2,
        _call(lambda x, w: F.conv2d(x, w, padding=1), lambda n: (8, 16, n, n), lambda n: (16, 16, 3, 3)),
    ),
    Sweep(
        "attention 2x4 n x 64",
        "size",
        _powers(16, 1024),
        2,
        _call(F.scaled_dot_product_attention, *[lambda n: (2, 4, n, 64)] * 3),
    ),
    Sweep("solve n x n", "size", _powers(16, 512), 3, _call(mt.linalg.solve, _square, _square)),
    Sweep("chain of products of 4x4, forward+backward", "depth", _powers(16, 4096, 4), 1, _chain),
    Sweep("layers of 64, forward+backward", "depth", _powers(2, 64), 1, _deep),
    Sweep("MLP 784-512-256-10, forward+backward", "batch", _powers(4, 512), 1, _step(models.mlp)),
    Sweep("LeNet, forward+backward", "batch", _powers(4, 256), 1, _step(models.lenet)),
    Sweep("GPT 4x192, forward+backward", "batch", _powers(1, 8), 1, _step(models.gpt)),
)


def exponent(sizes: Sequence[float], times: Sequence[float]) -> float:
    """The slope of log(time) against log(size), by least squares.

    >>> exponent([1, 2, 4], [3, 12, 48])
    2.0
    """
    xs, ys = [math.log2(size) for size in sizes], [math.log2(time) for time in times]
    x, y = sum(xs) / len(xs), sum(ys) / len(ys)
    slope = sum((a - x) * (b - y) for a, b in zip(xs, ys, strict=True)) / sum((a - x) ** 2 for a in xs)
    return round(slope, 3)


def swept(sweep: Sweep, points: int, seconds: float) -> dict[str, Any]:
    """The times at the first `points` sizes, and the exponent over the larger half of them."""
    sizes = sweep.sizes[:points]
    times = []
    for size in sizes:
        mt.manual_seed(0)
        times.append(best_time(sweep.make(size), seconds))
    half = max(2, len(sizes) - len(sizes) // 2)
    fitted = exponent(sizes[-half:], times[-half:])
    return {"name": sweep.name, "by": sweep.variable, "sizes": sizes, "seconds": times, "exponent": fitted}


def crossover(sweep: Sweep, points: int, count: int, seconds: float) -> dict[str, Any]:
    """The times at doubled sizes on one thread and on `count`, and the least size from which on those are faster.

    What the kernels take as enough work for a thread is set by this: at the size where they begin to share it, sharing
    should already gain, but not much.
    """
    given = sweep.sizes[:points]
    sizes = _powers(given[0], given[-1])
    times: dict[int, list[float]] = {1: [], count: []}
    for size in sizes:
        mt.manual_seed(0)
        run = sweep.make(size)
        for n in times:
            with ladder.threads(n):
                times[n].append(best_time(run, seconds))
    gains = [alone / shared for alone, shared in zip(times[1], times[count], strict=True)]
    slower = [i for i, gain in enumerate(gains) if gain < 1.1]
    first = slower[-1] + 1 if slower else 0
    return {"name": sweep.name, "sizes": sizes, "seconds": times[1], "gains": gains, "first": first}


def threaded(program: programs.Program, count: int, seconds: float) -> dict[str, Any]:
    """The times of a program on 1, 2, ... threads."""
    counts = sorted({*_powers(1, count), count})
    times = []
    for n in counts:
        with ladder.threads(n), mt.no_grad():
            times.append(program.took(seconds))
    return {"name": f"{program.name} {program.size}", "sizes": counts, "seconds": times}


def draw(sweeps: Sequence[dict[str, Any]], threads: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """A panel for each variable, both axes logarithmic, and bars of what threads gain. Needs matplotlib."""
    from matplotlib.figure import Figure

    variables = list(dict.fromkeys(row["by"] for row in sweeps)) + ["threads"] * bool(threads)
    columns = min(2, len(variables))
    height = -(-len(variables) // columns)
    figure = Figure(figsize=(8.2 * columns, 4.6 * height), layout="constrained")
    figure.suptitle(title, fontsize=10)
    panels = figure.subplots(height, columns, squeeze=False).ravel()
    for panel in panels[len(variables) :]:
        panel.set_axis_off()
    for panel, variable in zip(panels, variables, strict=False):
        panel.grid(alpha=0.25)
        if variable == "threads":
            gains = [row["seconds"][0] / row["seconds"][-1] for row in threads]
            panel.barh([row["name"] for row in threads], gains, color="#6497b1")
            most = threads[0]["sizes"][-1]
            panel.axvline(most, color="black", linestyle="--", linewidth=1)
            panel.invert_yaxis()
            panel.tick_params(axis="y", labelsize=8)
            panel.set(xlabel=f"times as fast on {most} threads as on one", xlim=(0, most * 1.08))
            continue
        for row in (row for row in sweeps if row["by"] == variable):
            times = [time * 1e6 for time in row["seconds"]]
            panel.plot(row["sizes"], times, "o-", markersize=4, label=f"{row['name']}: {row['exponent']:.2f}")
        panel.set(xscale="log", yscale="log", xlabel=variable, ylabel="us")
        panel.legend(
            title="and the fitted exponent",
            fontsize=8,
            title_fontsize=8,
            loc="upper left",
            frameon=False,
            bbox_to_anchor=(1.0, 1.0),
        )
    figure.savefig(path, dpi=110)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--filter", default="", help="only lines whose name contains this, or one of these: a|b")
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1, help="of the kernels (all cores)")
    parser.add_argument("--seconds", type=duration, default=0.2, help="how long each point is timed (0.2)")
    parser.add_argument("--points", type=positive, default=99, help="only so many of the sizes, from the smallest")
    parser.add_argument("--crossover", action="store_true", help="instead: from what size on threads pay")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--picture", type=Path, default=Path("scaling.png"), metavar="FILE", help="(scaling.png)")
    options = parser.parse_args(argv)
    if options.points < 2:
        parser.error("--points: an exponent takes 2 points or more")
    if options.crossover and options.threads < 2:
        parser.error("--crossover: two threads or more")
    every = {sweep.name: sweep for sweep in SWEEPS}
    steps = {program.name: program for program in (*programs.ladder(), *programs.others())}
    chosen = [every[name] for name in selected(list(every), options.filter)]
    on_threads = [steps[name] for name in selected(list(steps), options.filter)] if options.threads > 1 else []
    if not chosen and not on_threads:
        parser.error(f"no line contains {options.filter!r}; there are {', '.join([*every, *steps])}")
    top = machine.heading(options.threads)
    print(top)
    if options.crossover:
        print("| program | threads pay from | us there, one thread | times as fast | at most |\n|---|---|---|---|---|")
        rows = []
        for sweep in (sweep for sweep in chosen if sweep.variable == "size"):
            row = crossover(sweep, options.points, options.threads, options.seconds)
            rows.append(row)
            first, most = row["first"], max(row["gains"])
            there = ["never", "", ""]
            if first < len(row["sizes"]):
                there = [row["sizes"][first], f"{row['seconds'][first] * 1e6:.1f}", f"{row['gains'][first]:.2f}"]
            print(f"| {row['name']} | {there[0]} | {there[1]} | {there[2]} | {most:.2f} |", flush=True)
        if options.json:
            options.json.write_text(json.dumps({"heading": top, "crossover": rows}, indent=1) + "\n")
        return 0
    sweeps, threads = [], []
    if chosen:
        print(
            "| program | by | from | to | us, from | us, to | exponent | predicted |\n|---|---|---|---|---|---|---|---|"
        )
    with ladder.threads(options.threads):
        for sweep in chosen:
            row = swept(sweep, options.points, options.seconds)
            sweeps.append(row)
            sizes, times = row["sizes"], [f"{time * 1e6:.1f}" for time in row["seconds"]]
            ends = f"{sizes[0]} | {sizes[-1]} | {times[0]} | {times[-1]}"
            slope = f"{row['exponent']:.2f} | {sweep.expected:g}"
            print(f"| {sweep.name} | {sweep.variable} | {ends} | {slope} |", flush=True)
    if on_threads:
        print("\n| program | one thread, us | threads | times as fast |\n|---|---|---|---|")
    for program in on_threads:
        row = threaded(program, options.threads, options.seconds)
        threads.append(row)
        gain = row["seconds"][0] / row["seconds"][-1]
        print(f"| {row['name']} | {row['seconds'][0] * 1e6:.1f} | {options.threads} | {gain:.2f} |", flush=True)
    if options.json:
        options.json.write_text(json.dumps({"heading": top, "sweeps": sweeps, "threads": threads}, indent=1) + "\n")
    ladder.picture(lambda: draw(sweeps, threads, options.picture, top.split("\n")[0]), options.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
