"""The ladder: six operators from NumPy and the textbook's loops up to the default kernels, and how far that is from
what the machine can do."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import minitensor as mt

from ..arguments import positive
from . import machine, programs
from .compare import duration, selected

COLOURS = {"reference": "#9e9e9e", "naive": "#b3cde3", "blocked": "#6497b1", "simd": "#005b96", "fast": "#f28e2b"}


@contextmanager
def threads(count: int) -> Iterator[None]:
    """So many threads in minitensor's kernels."""
    before = mt.get_num_threads()
    mt.set_num_threads(count)
    try:
        yield
    finally:
        mt.set_num_threads(before)


def climb(chosen: Sequence[programs.Program], count: int, seconds: float, say: Callable[[str], None]) -> list[Any]:
    """A row for each operator: the speed of each rung, the machine's limit; said as Markdown as soon as it is known."""
    say("| operator | size | unit | " + " | ".join(mt.cpu.RUNGS) + " | machine | fast : naive | share |")
    say("|---" * (len(mt.cpu.RUNGS) + 6) + "|")
    rows = []
    with threads(count), mt.no_grad():
        for program in chosen:
            speeds = {}
            for rung in mt.cpu.RUNGS:
                with mt.cpu.kernels(rung):
                    speeds[rung] = program.speed(program.took(seconds))
            limit = program.limit(mt.cpu.isa(), count)
            rows.append(
                {"operator": program.name, "size": program.size, "unit": program.unit, "speed": speeds, "limit": limit}
            )
            cells = [f"{value:.2f}" if value < 10 else f"{value:.0f}" for value in (*speeds.values(), limit)]
            gain, share = speeds["fast"] / speeds["naive"], speeds["fast"] / limit
            first = f"| {program.name} | {program.size} | {program.unit} | "
            say(first + " | ".join(cells) + f" | {gain:.0f} | {share:.0%} |")
    return rows


def explain(count: int) -> str:
    """What the columns are, and how the machine's limit was measured."""
    rate, how = machine.peak(mt.cpu.isa(), count)
    return (
        "GFLOP/s count the formula's multiplications and additions, GB/s the bytes of arguments and result, once. "
        f"The machine: {rate / 1e9:.0f} GFLOP/s ({how}); for GB/s, NumPy's copy of as many bytes, on as many "
        "threads. A share above 100% means that the caches held more than they hold of a copy."
    )


def draw(rows: Sequence[dict[str, Any]], path: Path, title: str) -> None:
    """A chart of bars for each operator, one bar a rung, a line for what the machine can do. Needs matplotlib."""
    from matplotlib.figure import Figure

    columns = min(3, len(rows))
    height = -(-len(rows) // columns)
    figure = Figure(figsize=(4.6 * columns, 3.5 * height + 0.6), layout="constrained")
    figure.suptitle(f"From the textbook's loops to the machine's limit\n{title}", fontsize=11)
    panels = figure.subplots(height, columns, squeeze=False).ravel()
    for panel, row in zip(panels, rows, strict=False):
        rungs = list(row["speed"])
        speeds = [row["speed"][rung] for rung in rungs]
        bars = panel.bar(range(len(rungs)), speeds, color=[COLOURS[rung] for rung in rungs], width=0.72)
        panel.bar_label(bars, [f"{v:.2g}" if v < 10 else f"{v:.0f}" for v in speeds], padding=2, fontsize=9, zorder=3)
        panel.axhline(row["limit"], color="black", linestyle="--", linewidth=1)
        for label in panel.texts:
            label.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 0.5})  # where the line crosses it
        bound = f"this machine: {row['limit']:.0f} {row['unit']}"
        panel.annotate(bound, (-0.45, row["limit"]), xytext=(0, 3), textcoords="offset points", fontsize=9)
        panel.set_yscale("log")
        low, high = min(speeds), max(*speeds, row["limit"])
        panel.set_ylim(low / 2, high * 2.5)
        panel.set_xticks(range(len(rungs)), rungs, fontsize=9)
        panel.set_ylabel(row["unit"])
        panel.set_title(f"{row['operator']}  {row['size']}", fontsize=10)
        panel.spines[["top", "right"]].set_visible(False)
    for panel in panels[len(rows) :]:
        panel.set_axis_off()
    figure.savefig(path, dpi=130)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").replace("\n", " "), allow_abbrev=False)
    parser.add_argument("--filter", default="", help="only operators whose name contains this, or one of these: a|b")
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1, help="of the kernels (all cores)")
    parser.add_argument("--seconds", type=duration, default=0.3, help="how long each rung is timed (0.3)")
    parser.add_argument("--scale", type=positive, default=4, help="the size of the operators (4)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--picture", type=Path, default=Path("ladder.png"), metavar="FILE", help="(ladder.png)")
    options = parser.parse_args(argv)
    every = {program.name: program for program in programs.ladder(options.scale)}
    chosen = [every[name] for name in selected(list(every), options.filter)]
    if not chosen:
        parser.error(f"no operator contains {options.filter!r}; there are {', '.join(every)}")
    top = machine.heading(options.threads)
    print(top)
    rows = climb(chosen, options.threads, options.seconds, lambda line: print(line, flush=True))
    print(f"\n{explain(options.threads)}")
    if options.json:
        options.json.write_text(json.dumps({"heading": top, "rows": rows}, indent=1) + "\n")
    picture(lambda: draw(rows, options.picture, top.split("\n")[0]), options.picture)
    return 0


def picture(draw: Callable[[], None], path: Path) -> None:
    """Draws, or says why not."""
    try:
        draw()
    except ModuleNotFoundError as error:
        print(f"(no picture: {error.name} is missing; pip install matplotlib)")
    else:
        print(f"picture: {path}")
