"""Forward or reverse mode: the multiplications and stored values of a Jacobian, counted, beside the formulas.

    python examples/cost_of_modes.py --picture cost.png

Covers DP-17.63 (a chain of K maps with inner size d, from d inputs to m outputs: the table over d, m and K, the case of
10 inputs, 6 layers and one output, the crossing at m = d) and TD-Q8Q9 (a hidden layer from the input, from the output,
and with the zeros of its Jacobians: counts, times and slopes).
"""

from __future__ import annotations

import argparse
import math
import time
from collections.abc import Callable
from typing import Any

import minitensor as mt
from minitensor.learn import count, plot


def chain(d: int, m: int, k: int) -> Callable[[Any], Any]:
    """K dense maps, K - 1 of d x d and one of m x d."""
    maps = [mt.randn(d, d) for _ in range(k - 1)] + [mt.randn(m, d)]

    def f(x: Any) -> Any:
        for a in maps:
            x = a @ x
        return x

    return f


def table(cases: list[tuple[int, int, int]]) -> list[tuple[int, ...]]:
    """(d, m, K, then for forward and reverse: multiplications counted, by formula, stored counted, by formula)."""
    rows = []
    for d, m, k in cases:
        product = (k - 1) * d * d + d * m
        both = [count(chain(d, m, k), mt.ones(d), mode=mode) for mode in ("forward", "reverse")]
        formulas = [(d * product, max(d, m)), (m * product, k * d + m)]
        row = [
            n for c, (work, room) in zip(both, formulas, strict=True) for n in (c.multiplications, work, c.stored, room)
        ]
        rows.append((d, m, k, *row))
    return rows


def seconds(run: Callable[[], Any]) -> float:
    """The best time of five."""
    times = []
    for _ in range(5):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return min(times)


def hidden(n: int, sizes: list[int]) -> list[tuple[int, int, int, int, float, float, float]]:
    """For each H: multiplications from the input, from the output and with the zeros, and the times of the three."""
    rows = []
    for h in sizes:
        x, w, out = mt.randn(n), mt.randn(h, n), mt.randn(h)

        def net(w: Any, x: Any = x, out: Any = out) -> Any:
            return out @ mt.tanh(w @ x)

        dense = count(net, w, mode="reverse", dense=True)
        (_, first), (_, second), (_, third) = dense.operators  # J_L, J_V and the row of M
        # From the input J_L is there already; the products J_V J_L and row (J_V J_L) have a column for each weight.
        from_input = h * n * (second + third)
        # From the output the row is there already.
        from_output = second + first
        j_l = mt.kron(mt.eye(h), x.reshape(1, n))
        slopes = 1 - mt.tanh(w @ x) ** 2
        j_v, row = mt.diag(slopes), out.reshape(1, h)
        rows.append(
            (
                h,
                from_input,
                from_output,
                count(net, w).multiplications,
                seconds(lambda row=row, j_v=j_v, j_l=j_l: row @ (j_v @ j_l)),
                seconds(lambda row=row, j_v=j_v, j_l=j_l: (row @ j_v) @ j_l),
                seconds(lambda s=slopes, out=out, x=x: mt.outer(out * s, x)),
            )
        )
    return rows


def main() -> None:
    """Prints the tables and draws the crossing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", help="file for the picture")
    options = parser.parse_args()
    cases = [(10, 1, 6), *[(d, m, k) for d in (1, 4, 16) for m in (1, 4, 16) for k in (2, 8)]]
    print(f"{'':>12}{'forward':^44}{'reverse':^44}")
    head = ("multiplied", "formula", "stored", "formula")
    print(f"{'d':>4}{'m':>4}{'K':>4}" + "".join(f"{name:>11}" for name in head * 2))
    for row in table(cases):
        print("".join(f"{n:>4}" for n in row[:3]) + "".join(f"{n:>11}" for n in row[3:]))
    print("\none hidden layer of H neurons, 10 inputs: the gradient by its weights")
    rows = hidden(10, [10, 20, 40, 80])
    print(f"{'H':>4}{'from the input':>16}{'from the output':>17}{'with zeros':>12}{'seconds of each':>30}")
    for h, a, b, c, *times in rows:
        print(f"{h:>4}{a:>16}{b:>17}{c:>12}   " + "".join(f"{t:>10.1e}" for t in times))
    slope = [math.log(rows[-1][i] / rows[-2][i], 2) for i in (1, 2, 3)]
    print("slopes from H = 40 to 80 (log-log): " + ", ".join(f"{s:.2f}" for s in slope))
    if options.picture:
        draw(options.picture, rows)


def draw(path: str, rows: list[tuple[Any, ...]]) -> None:
    """The crossing at m = d, and the three ways of the hidden layer."""
    fig = plot.figure(9.6, 3.8)
    left, right = fig.subplots(1, 2)
    d, k, sizes = 16, 8, [1, 2, 4, 8, 16, 32, 64]
    for mode, colour in (("forward", plot.BLUE), ("reverse", plot.VERMILION)):
        work = [count(chain(d, m, k), mt.ones(d), mode=mode).multiplications for m in sizes]
        left.loglog(sizes, work, "o-", color=colour, label=f"{mode} mode")
    left.axvline(d, color="grey", lw=0.8, label="m = d")
    left.set(xlabel="outputs m", ylabel="multiplications", title=f"A chain of {k} maps of size d = {d}: equal at m = d")
    for i, name in ((1, "from the input"), (2, "from the output"), (3, "with the zeros")):
        right.loglog([r[0] for r in rows], [r[i] for r in rows], "o-", color=plot.COLOURS[i - 1], label=name)
    right.set_xticks([r[0] for r in rows], [str(r[0]) for r in rows])
    right.set_xticks([], minor=True)
    right.set(xlabel="hidden neurons H", ylabel="multiplications", title="A hidden layer, 10 inputs")
    for axes in (left, right):
        axes.legend(frameon=False)
        axes.grid(alpha=0.3)
    fig.savefig(path)
    print("picture:", path)


if __name__ == "__main__":
    main()
