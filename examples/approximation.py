"""Networks of steps: neurons that switch on and off, boxes, and any function as a staircase.

    python examples/approximation.py --picture approximation.png

At a junction -x/10 + 1 must be exactly 0 for x = 10: product and sum are rounded one after the other, as they are here.

Covers R20-step-neurons, R21-crenel, R22-double-crenel, R23-uat-1d and K04-uat-numeric.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from common import f64, parser, table
from neurons import Network, identity, one, step

import minitensor as mt
from minitensor.learn import plot

PLACES = (2.1, 3.3, 5.3, 7.7, 9.9)


def at(network: Callable[[Any], Any], points: Sequence[float], dtype: Any = mt.float64) -> list[float]:
    """The answers of a network of one input."""
    return network(mt.tensor(points, dtype=dtype)[:, None]).tolist()


def steps(a: float = 2.0, b: float = 0.5) -> dict[str, list[float]]:
    """R20-step-neurons: the four kinds; a NOT neuron behind changes the value at the border."""
    points = (-3, -1, 0, 0.5, 1, 2, 2.5)
    kinds = {
        f"H({a:g}x + 1)": (a, 1),
        f"H({a:g}x - 1)": (a, -1),
        f"H(-{b:g}x + 1)": (-b, 1),
        f"H(-{b:g}x - 1)": (-b, -1),
    }
    found = {name: at(one(*neuron), points) for name, neuron in kinds.items()}
    turned = Network(([(-a, 1)], step), ([(-2, 1)], step))  # not H(-ax + 1): 1 where ax > 1
    found[f"not H(-{a:g}x + 1)"] = at(turned, points)
    print(f"R20: a = {a:g}, b = {b:g}")
    table([(name, *map(int, values)) for name, values in found.items()], ("x", *map(str, points)))
    print(f"  at the border {1 / a:g} the second gives 1 and the last, equal elsewhere, 0")
    return found


def box(a: float, b: float, k: float) -> Network:
    """R21-crenel: k on [a, b], else 0: neurons (1/a; -1), (-1/b; 1), output k(s1 + s2 - 1); a, b > 0."""
    return Network(([(1 / a, -1), (-1 / b, 1)], step), ([(k, k, -k)], identity))


DOUBLE = Network(([(1 / 2, -1), (-1 / 3, 1), (1 / 5, -1), (-1 / 10, 1)], step), ([(4, 4, 6, 6, -10)], identity))


def staircase(f: Callable[[Any], Any], low: float, high: float, n: int) -> Network:
    """R23, K04: n cells; neurons (1/x_i; -1), (-1/x_(i+1); 1), output f(x_i)(s + s' - 1) for each; needs low > 0."""
    edges = [low + (high - low) * i / n for i in range(n + 1)]
    heights = f(f64(edges[:-1])).tolist()
    neurons = [neuron for x, y in pairwise(edges) for neuron in ((1 / x, -1), (-1 / y, 1))]
    return Network((neurons, step), ([(*(h for h in heights for _ in (0, 1)), -sum(heights))], identity))


def target(x: Any) -> Any:
    """cos(2x) + x sin(3x) + sqrt(x)."""
    return (2 * x).cos() + x * (3 * x).sin() + x.sqrt()


def boxes() -> dict[str, list[float]]:
    """R21 and R22."""
    points = (1, 2, 2.5, 3, 4)
    found = {"R21": at(box(2, 3, 4), points)}
    print(f"R21: 4 on [2, 3], at {points}: {found['R21']}")
    points = (1, 2, 2.5, 3, 4, 5, 7, 10, 11)
    found["R22"] = at(DOUBLE, points)
    single = Network(*[(rows(w, b), act) for w, b, act in DOUBLE.layers])
    single.layers = [(w.float(), b.float(), act) for w, b, act in single.layers]
    found["R22 float32"] = at(single, points, mt.float32)
    print(f"R22: 4 on [2, 3] and 6 on [5, 10], at {points}: {found['R22']}; in float32 {found['R22 float32']}")
    touching = Network(([(1 / 2, -1), (-1 / 3, 1), (1 / 3, -1), (-1 / 5, 1)], step), ([(4, 4, 6, 6, -10)], identity))
    print(f"  boxes that touch, 4 on [2, 3] and 6 on [3, 5], at 3: {at(touching, (3,))[0]:g}: they add up;", end=" ")
    first = [(1 / 2, -1), (-1 / 3, 1), (-1 / 3, 1), (-1 / 5, 1)]
    second = [(1, 0, 0, 0, -0.5), (0, 1, 0, 0, -0.5), (0, 0, -2, 0, 1), (0, 0, 0, 1, -0.5)]
    apart = Network((first, step), (second, step), ([(4, 4, 6, 6, -10)], identity))
    found["apart"] = at(apart, (2.5, 3, 3.5))
    print(f"with a NOT neuron for the second's begin {found['apart'][1]:g}")
    return found


def rows(weight: Any, bias: Any) -> list[tuple[float, ...]]:
    """The neurons of a layer."""
    return [(*w, b) for w, b in zip(weight.tolist(), bias.tolist(), strict=True)]


def universal() -> dict[int, tuple[float, float]]:
    """R23-uat-1d, K04-uat-numeric."""
    x = mt.linspace(2, 10, 8001, dtype=mt.float64)[:-1] + 0.0005  # inside the cells
    result = {}
    print(f"R23: cos(2x) + x sin(3x) + sqrt(x) on [2, 10] by n boxes; F at {PLACES}; mean and largest error")
    lines = []
    for n in (5, 10, 20, 50, 100):
        network = staircase(target, 2, 10, n)
        error = (network(x[:, None]) - target(x)).abs()
        result[n] = error.mean().item(), error.max().item()
        lines.append((n, 2 * n, *at(network, PLACES), *result[n]))
    lines.append(("f", "", *target(f64(PLACES)).tolist(), "", ""))
    table(lines, ("n", "neurons", *map(str, PLACES), "mean", "largest"), 5)
    return result


def draw(path: str) -> None:
    """Steps, boxes, staircases."""
    fig = plot.figure(14, 7.4)
    (switches, single, double), below = fig.subplots(2, 3)
    x = mt.linspace(-3, 3, 1201, dtype=mt.float64)
    kinds = {"H(2x + 1)": (2, 1), "H(2x - 1)": (2, -1), "H(-x/2 + 1)": (-0.5, 1), "H(-x/2 - 1)": (-0.5, -1)}
    places: list[float] = []
    for k, (name, neuron) in enumerate(kinds.items()):
        switches.plot(x.tolist(), (one(*neuron)(x[:, None]) + 1.6 * k).tolist(), color=plot.COLOURS[k])
        switches.text(0, 1.6 * k + 1.1, name, color=plot.COLOURS[k], ha="center")
        places += [1.6 * k, 1.6 * k + 1]
    switches.set_yticks(places, ["0", "1"] * len(kinds))
    switches.set(title="four steps, one above the other", xlabel="x", ylabel="H", ylim=(-0.3, 6.5))
    x = mt.linspace(0.5, 12, 4601, dtype=mt.float64)
    single.plot(x.tolist(), box(2, 3, 4)(x[:, None]).tolist(), color=plot.BLUE)
    single.set(title="a box: 4 on [2, 3]", xlabel="x", ylabel="F(x)")
    double.plot(x.tolist(), DOUBLE(x[:, None]).tolist(), color=plot.BLUE)
    double.set(title="two boxes: 4 on [2, 3], 6 on [5, 10]", xlabel="x", ylabel="F(x)")
    x = mt.linspace(2, 9.999, 4001, dtype=mt.float64)
    for axes, n in zip(below, (10, 20, 100), strict=True):
        axes.plot(
            x.tolist(), staircase(target, 2, 10, n)(x[:, None]).tolist(), color=plot.VERMILION, label=f"{2 * n} neurons"
        )
        axes.plot(x.tolist(), target(x).tolist(), color=plot.BLUE, lw=1, label="f")
        axes.legend(frameon=False, fontsize=8)
        axes.set(title=f"{n} cells", xlabel="x", ylabel="y")
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    steps()
    boxes()
    universal()
    if chosen.picture:
        draw(chosen.picture)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
