"""The roofline: what each operator does with this machine's arithmetic and memory.

The roof is measured here. Its flat part is a loop of independent fused multiply-adds in registers, compiled with the C
compiler for the instruction set in force (without one, the best product of matrices stands for it, and the output
says so). Its slopes are NumPy's copy of large arrays, in memory, and of small ones, in the caches. An operator's
intensity is the formula's multiplications and additions for each byte of its arguments and result, counted once.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import minitensor as mt
from minitensor.arguments import positive
from minitensor.bench import ladder, machine, programs
from minitensor.bench.compare import duration, selected

LARGE, SMALL = 512 << 20, 1 << 20  # bytes of a copy in memory (beyond most caches), and in a core's cache


def roofs(count: int, large: int) -> dict[str, Any]:
    """FLOP/s, how it was measured, and the bytes/s of memory and of the caches."""
    rate, how = machine.peak(mt.cpu.isa(), count)
    return {
        "flops": rate,
        "how": how,
        "memory": machine.copy_rate(large, count),
        "cache": machine.copy_rate(SMALL, count),
    }


def measured(
    chosen: Sequence[programs.Program], count: int, seconds: float, roof: dict[str, Any]
) -> list[dict[str, Any]]:
    """A row for each operator, printed as Markdown."""
    print("| operator | size | FLOP/byte | GFLOP/s | GB/s | share of the roof |\n|---|---|---|---|---|---|")
    rows = []
    with ladder.threads(count), mt.no_grad():
        for program in chosen:
            took = program.took(seconds)
            row = {
                "operator": program.name,
                "size": program.size,
                "intensity": program.intensity,
                "flops": program.flops / took,
                "bytes": program.moved / took,
            }
            reachable = min(roof["flops"] / max(program.flops, 1e-30), roof["memory"] / program.moved)  # calls a second
            row["share"] = 1 / took / reachable
            rows.append(row)
            cells = (
                f"{program.intensity:.2f} | {row['flops'] / 1e9:.1f} | {row['bytes'] / 1e9:.1f} | {row['share']:.0%}"
            )
            print(f"| {program.name} | {program.size} | {cells} |", flush=True)
    return rows


def draw(rows: Sequence[dict[str, Any]], roof: dict[str, Any], path: Path, title: str) -> None:
    """Intensity to the right, FLOP/s upwards; what has no arithmetic is left out. Needs matplotlib."""
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    rows = [row for row in rows if row["intensity"] > 0]
    figure = Figure(figsize=(9, 6), layout="constrained")
    panel = figure.subplots()
    panel.set_prop_cycle(color=colormaps["tab20"].colors)
    low = min(0.05, *(row["intensity"] / 2 for row in rows))
    high = max(1000.0, *(row["intensity"] * 2 for row in rows))
    for name, what, style in (("memory", "memory", "-"), ("cache", "caches", "--")):
        corner = min(max(roof["flops"] / roof[name], low), high)
        xs = [low, corner, high]
        ys = [min(roof["flops"], x * roof[name]) / 1e9 for x in xs]
        words = f"{roof['flops'] / 1e9:.0f} GFLOP/s; {what}: {roof[name] / 1e9:.0f} GB/s"
        panel.plot(xs, ys, style, color="black", linewidth=1.2, label=words)
    for i, row in enumerate(rows):
        y = row["flops"] / 1e9
        (point,) = panel.plot(
            [row["intensity"]], [y], "o", markersize=7, label=f"{i + 1}  {row['operator']}  {row['size']}"
        )
        colour = point.get_color()
        panel.annotate(
            str(i + 1), (row["intensity"], y), xytext=(5, -10), textcoords="offset points", fontsize=9, color=colour
        )
    panel.set(xscale="log", yscale="log", xlabel="FLOP / byte", ylabel="GFLOP/s", xlim=(low, high))
    panel.set_title(title, fontsize=9)
    panel.grid(alpha=0.25)
    figure.legend(loc="outside right center", fontsize=8, frameon=False)
    figure.savefig(path, dpi=130)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--filter", default="", help="only operators whose name contains this, or one of these: a|b")
    parser.add_argument("--threads", type=positive, default=os.cpu_count() or 1, help="of the kernels (all cores)")
    parser.add_argument("--seconds", type=duration, default=0.3, help="how long each operator is timed (0.3)")
    parser.add_argument("--scale", type=positive, default=4, help="the size of the operators (4)")
    parser.add_argument("--copy", type=positive, default=LARGE >> 20, metavar="MB", help=f"of the copy ({LARGE >> 20})")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--picture", type=Path, default=Path("roofline.png"), metavar="FILE", help="(roofline.png)")
    options = parser.parse_args(argv)
    every = {p.name: p for p in (*programs.others(options.scale), *programs.ladder(options.scale))}
    chosen = sorted((every[name] for name in selected(list(every), options.filter)), key=lambda p: p.intensity)
    if not chosen:
        parser.error(f"no operator contains {options.filter!r}; there are {', '.join(every)}")
    top = machine.heading(options.threads)
    print(top)
    roof = roofs(options.threads, options.copy << 20)
    print(f"arithmetic {roof['flops'] / 1e9:.0f} GFLOP/s: {roof['how']}")
    print(f"memory {roof['memory'] / 1e9:.1f} GB/s: NumPy's copy of {options.copy} MB, read and written")
    print(f"caches {roof['cache'] / 1e9:.1f} GB/s: NumPy's copy of {SMALL >> 20} MB\n")
    rows = measured(chosen, options.threads, options.seconds, roof)
    print("\nThe roof is the lower of arithmetic and memory; above 100% the operands stayed in the caches.")
    if options.json:
        options.json.write_text(json.dumps({"heading": top, "roof": roof, "rows": rows}, indent=1) + "\n")
    ladder.picture(lambda: draw(rows, roof, options.picture, top.split("\n")[0]), options.picture)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
