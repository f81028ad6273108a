"""Going down: searches, Newton's method with derivatives by autograd, gradient descent and what its step does.

    python examples/descent.py --pictures descent

Covers D18-point-on-diagonal, D19-parabola-nearest, D22-newton-cuberoot, D23-newton-min-from-0, D24-newton-min-from-10,
F03-centroid, F04-fermat-grid, F05-fermat-random, F06-fermat-slices, F10-total-least-squares, S01-gd-a2-3b2,
S02-gd-other-start, S03-gd-1d, S04-bad-step, S05-two-minima, S06-saddle-1d, S07-gd-algorithm, S08-lr-schedules,
S18-momentum and S19-nesterov.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext
from pathlib import Path
from typing import Any, NamedTuple

from common import f64, parser, table

import minitensor as mt
from minitensor.func import grad, hessian
from minitensor.learn import plot


class Descent(NamedTuple):
    """The points of a descent, with the values and gradients there, and why it ended."""

    points: Any  # (steps + 1, n), or (steps + 1,) for a function of a number
    values: Any
    gradients: Any
    reason: str

    def row(self, k: int) -> list[Any]:
        """k, the point, the gradient, the value."""
        return [k, *self.points[k].reshape(-1).tolist(), *self.gradients[k].reshape(-1).tolist(), self.values[k].item()]


def minimise(
    f: Callable[[Any], Any],
    start: Any,
    step: float | Callable[[int], float],
    steps: int,
    *,
    tolerance: float = 0.0,
    momentum: float = 0.0,
    nesterov: bool = False,
) -> Descent:
    """S07, S18, S19: P(k+1) = P(k) + mu (P(k) - P(k-1)) - step grad f, taken at P(k), or of Nesterov after the mu part.

    Ends when the gradient at P(k) is no longer than the tolerance, after the steps, or where f is not finite any more.
    """
    slope = grad(f)
    p = before = f64(start)
    points, values, gradients, reason = [], [], [], f"{steps} steps"
    for k in range(steps + 1):
        g = slope(p)
        points.append(p)
        values.append(f(p))
        gradients.append(g)
        if not math.isfinite(values[-1].item()):
            reason = f"not finite after {k} steps"
            break
        if mt.linalg.norm(g.reshape(-1)).item() <= tolerance:
            reason = f"gradient of at most {tolerance:g} after {k} steps"
            break
        if k == steps:
            break
        ahead = p + momentum * (p - before)
        rate = step(k) if callable(step) else step
        before, p = p, ahead - rate * (slope(ahead) if nesterov else g)
    return Descent(mt.stack(points), mt.stack(values), mt.stack(gradients), reason)


def best_step(f: Callable[[Any], Any], start: Any, rates: Sequence[float], steps: int, tolerance: float) -> float:
    """S07's option: of several steps that which comes to the least value, the sooner the better."""
    runs = {rate: minimise(f, start, rate, steps, tolerance=tolerance) for rate in rates}
    finite = {rate: run for rate, run in runs.items() if math.isfinite(run.values[-1].item())}
    done = {rate: run for rate, run in finite.items() if "gradient" in run.reason}
    if done:
        return min(done, key=lambda rate: len(done[rate].points))
    return min(finite, key=lambda rate: finite[rate].values[-1].item())


# --- elementary searches and Newton -----------------------------------------------------------------------------------


def newton(f: Callable[[Any], Any], start: float, steps: int) -> list[tuple[float, float, float]]:
    """(x, f, f') for x <- x - f/f', the derivative by autograd."""
    x, rows = f64(start), []
    for _ in range(steps + 1):
        rows.append((x.item(), f(x).item(), grad(f)(x).item()))
        x = x - f(x) / grad(f)(x)
    return rows


def cube_root(steps: int = 13, digits: int = 1100) -> list[Decimal]:
    """D22 in long arithmetic: Newton for x^3 - 100 from 10."""
    with localcontext() as context:
        context.prec = digits
        x = [Decimal(10)]
        for _ in range(steps):
            x.append(x[-1] - (x[-1] ** 3 - 100) / (3 * x[-1] ** 2))
    return x


def cube_root_digits(n: int) -> str:
    """The first n digits after the point of 100^(1/3), by integers alone."""
    low, high = 4 * 10**n, 5 * 10**n
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**3 <= 100 * 10 ** (3 * n) else (low, middle)
    return f"4.{str(low)[1:]}"


def right_digits(x: Decimal, exact: str) -> int:
    """How many digits after the point agree."""
    text = str(x)
    return max(
        next((k for k, pair in enumerate(zip(text, exact, strict=False)) if pair[0] != pair[1]), len(text)) - 2, 0
    )


def hollow(x: Any) -> Any:
    """x^2 - sin x + 1 of D23 and D24."""
    return x**2 - mt.sin(x) + 1


def nearest(x: Any) -> Any:
    """D19: the square of the distance from (1, 2) to the point (x, x^2)."""
    return (x - 1) ** 2 + (x**2 - 2) ** 2


def diagonal(x: Any) -> Any:
    """D18: the squares of the distances from (x, x) to A, B, C."""
    return sum((x - a) ** 2 + (x - b) ** 2 for a, b in ((1.0, 2.0), (3.0, 0.0), (2.0, 3.0)))


def coefficients(f: Callable[[Any], Any], degree: int) -> list[float]:
    """Of a polynomial: its derivatives at 0, by autograd, over k!."""
    found, g = [], f
    for k in range(degree + 1):
        found.append(g(f64(0.0)).item() / math.factorial(k))
        g = grad(g)
    return found


def critical_points(f: Callable[[Any], Any], starts: Sequence[float]) -> list[tuple[float, str]]:
    """Where f' is 0, by Newton on f' from each start, and the kind by the sign of f''."""
    found: list[tuple[float, str]] = []
    for start in starts:
        x = newton(grad(f), start, 50)[-1][0]
        bend = grad(grad(f))(f64(x)).item()
        if all(abs(x - other) > 1e-9 for other, _ in found):
            found.append((x, "minimum" if bend > 0 else "maximum" if bend < 0 else "flat"))
    return sorted(found)


def elementary() -> dict[str, Any]:
    """D18, D19, D22, D23, D24."""
    found: dict[str, Any] = {"D18": coefficients(diagonal, 2)}
    print("D18: the polynomial", " + ".join(f"{c:g} x^{k}" for k, c in enumerate(found["D18"])))
    found["D18 descent"] = minimise(diagonal, 0.0, 0.05, 100).points[-1].item()
    found["D18 Newton"] = newton(grad(diagonal), 0.0, 1)[-1][0]
    print(f"     its minimum by descent {found['D18 descent']:.6f}, by one step of Newton {found['D18 Newton']:.6f}")
    found["D19"] = critical_points(nearest, [-1.5, -0.5, 0.0, 1.5])
    found["D19 from -2, 2"] = [minimise(nearest, s, 0.02, 500).points[-1].item() for s in (-2.0, 2.0)]
    print(
        "D19: critical points of (x - 1)^2 + (x^2 - 2)^2:",
        found["D19"],
        "descent from -2 and 2:",
        found["D19 from -2, 2"],
    )
    found["D22"] = newton(lambda x: x**3 - 100, 10.0, 6)
    print("D22: Newton for x^3 = 100 from 10")
    table([(k, *row) for k, row in enumerate(found["D22"])], ["k", "x", "f", "f'"], digits=15)
    roots = cube_root()
    exact = cube_root_digits(1090)
    found["D22 digits"] = [right_digits(x, exact) for x in roots]
    print("     right digits after the point in 1100-digit arithmetic:", found["D22 digits"])
    text = str(roots[-1])[:1002]
    found["D22 decimals"] = text
    print(f"     1000 decimals: {text[:62]} ... {text[-10:]}")
    for name, start, steps in (("D23", 0.0, 4), ("D24", 10.0, 7)):
        rows = newton(grad(hollow), start, steps)
        found[name] = [row[0] for row in rows]
        end = newton(grad(hollow), start, 30)[-1][0]
        print(
            f"{name}: minimum of g = x^2 - sin x + 1 by Newton on g' from {start:g}: g = {hollow(f64(end)).item():.10f}"
        )
        table([(k, x, abs(x - end)) for k, x in enumerate(found[name])], ["k", "x", "error"], digits=12)
    return found


# --- several variables ------------------------------------------------------------------------------------------------

CORNERS = ((1.0, 2.0), (3.0, 5.0), (6.0, 1.0))


def squares(p: Any) -> Any:
    """F03: MA^2 + MB^2 + MC^2."""
    return sum((p[0] - a) ** 2 + (p[1] - b) ** 2 for a, b in CORNERS)


def distances(x: Any, y: Any) -> Any:
    """F04 to F06: MA + MB + MC."""
    return sum(mt.sqrt((x - a) ** 2 + (y - b) ** 2) for a, b in CORNERS)


def golden(f: Callable[[float], float], low: float, high: float, turns: int = 60) -> tuple[float, int]:
    """The minimum of a function with one valley by the golden section; how often it was evaluated."""
    ratio = (math.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    fa, fb = f(a), f(b)
    for _ in range(turns):
        if fa < fb:
            high, b, fb = b, a, fa
            a = high - ratio * (high - low)
            fa = f(a)
        else:
            low, a, fa = a, b, fb
            b = low + ratio * (high - low)
            fb = f(b)
    return (low + high) / 2, turns + 2


def fermat() -> tuple[dict[str, tuple[float, float, float, int]], list[tuple[float, float]]]:
    """F04, F05, F06 and descent: (x, y, value, evaluations) of each; and the points of the slices."""
    side = mt.linspace(0, 6, 100, dtype=mt.float64)
    x, y = mt.meshgrid(side, side, indexing="xy")
    z = distances(x, y)
    k = int(z.argmin())
    found = {"grid": (x.reshape(-1)[k].item(), y.reshape(-1)[k].item(), z.min().item(), z.numel())}
    mt.manual_seed(0)
    p = 6 * mt.rand(1000, 2, dtype=mt.float64)
    z = distances(p[:, 0], p[:, 1])
    k = int(z.argmin())
    found["random"] = (*p[k].tolist(), z[k].item(), 1000)
    a, count = 0.0, 0
    value = lambda a, b: distances(f64(a), f64(b)).item()  # noqa: E731
    slices = [(a, 0.0)]
    for _ in range(5):
        b, n = golden(lambda b, a=a: value(a, b), 0.0, 6.0)
        slices.append((a, b))
        a, m = golden(lambda a, b=b: value(a, b), 0.0, 6.0)
        slices.append((a, b))
        count += n + m
    found["slices"] = (a, b, value(a, b), count)
    run = minimise(lambda p: distances(p[0], p[1]), [0.0, 0.0], 0.5, 300, tolerance=1e-10)
    found["descent"] = (*run.points[-1].tolist(), run.values[-1].item(), len(run.points))
    print("F04 to F06: the point with the least MA + MB + MC")
    table([(name, *row) for name, row in found.items()], ["way", "x", "y", "value", "evaluations"], digits=8)
    return found, slices


POINTS = ((2.0, 3.0), (3.0, 5.0), (4.0, 4.0), (5.0, 6.0), (6.0, 6.0))


def valley(a: Any, b: Any) -> Any:
    """F10: the squares of the distances from the points to the line y = a x + b."""
    return sum((a * x - y + b) ** 2 for x, y in POINTS) / (1 + a**2)


def total_least_squares() -> tuple[float, float]:
    """F10: (a, b) by Newton's method with the Hessian by autograd."""
    f = lambda p: valley(p[0], p[1])  # noqa: E731
    p = f64([0.8, 1.6])  # the ordinary line of regression
    ordinary = p
    for _ in range(12):
        p = p - mt.linalg.solve(hessian(f)(p), grad(f)(p))
    print("F10: sum of the squared distances to a line")
    rows = [("ordinary regression", ordinary), ("least distances", p)]
    rows += [(f"along the valley: a = {a:g}", f64([a, 4.8 - 4 * a])) for a in (0.9, 1.1)]
    table([(name, *q.tolist(), f(q).item()) for name, q in rows], ["line", "a", "b", "sum"])
    return tuple(p.tolist())


# --- gradient descent -------------------------------------------------------------------------------------------------


def bowl(p: Any) -> Any:
    """a^2 + 3 b^2."""
    return p[0] ** 2 + 3 * p[1] ** 2


def parabola(a: Any) -> Any:
    """a^2 + 1."""
    return a**2 + 1


def two_minima(a: Any) -> Any:
    """a^4 - 5 a^2 + a + 10 of S05."""
    return a**4 - 5 * a**2 + a + 10


def inflection(a: Any) -> Any:
    """a^4 - 2 a^3 + 4 of S06."""
    return a**4 - 2 * a**3 + 4


def schedules(first: float = 0.1, beta: float = 0.5, alpha: float = 1e-4) -> dict[str, Callable[[int], float]]:
    """C11: the step at update k."""
    return {
        "linear": lambda k: first / (k + 1),
        "quadratic": lambda k: first / (k + 1) ** 2,
        "exponential": lambda k: first * math.exp(-beta * k),
        "decay": lambda k: first / (alpha * k + 1),
    }


def runs() -> dict[str, Descent]:
    """S01 to S06, S18 and S19 by name."""
    found = {
        "S01": minimise(bowl, [2.0, 1.0], 0.2, 20),
        "S02": minimise(bowl, [-1.0, -1.0], 0.1, 20),
        "S03": minimise(parabola, 2.0, 0.2, 10),
        "S03 from -1.5": minimise(parabola, -1.5, 0.2, 10),
        "S06": minimise(inflection, -1.0, 0.05, 100),
        "S06 from 0.5": minimise(inflection, 0.5, 0.05, 100),
        "S18 plain": minimise(bowl, [2.0, 1.0], 0.1, 20),
        "S18": minimise(bowl, [2.0, 1.0], 0.1, 20, momentum=0.5),
        "S19": minimise(bowl, [2.0, 1.0], 0.1, 20, momentum=0.5, nesterov=True),
    }
    found |= {f"S04 step {d}": minimise(parabola, 2.0, d, 10) for d in (0.9, 1.1, 0.05)}
    found |= {f"S05 from {s}": minimise(two_minima, s, 0.02, 500) for s in (-2.0, -0.5, 0.5, 2.0)}
    for name in ("S01", "S02"):
        print(f"{name}: a^2 + 3 b^2")
        some = (0, 1, 2, 3, 4, 5, 10, 20)
        table([found[name].row(k) for k in some], ["k", "a", "b", "df/da", "df/db", "f"])
    for name in ("S03", "S03 from -1.5"):
        print(f"{name}: a^2 + 1")
        table([found[name].row(k) for k in range(11)], ["k", "a", "f'", "f"])
    print("S04: a^2 + 1 from 2, after 10 steps; S05, S06: where the descent ends")
    table(
        [(n, found[n].points[-1].item(), found[n].values[-1].item()) for n in found if n[:3] in ("S04", "S05", "S06")]
    )
    print("S18, S19: a^2 + 3 b^2 from (2, 1), step 0.1, momentum 0.5 (the points P of C10, not the P')")
    names = ("S18 plain", "S18", "S19")
    rows = [(k, *[c for n in names for c in found[n].points[k].tolist()]) for k in (0, 1, 2, 3, 4, 5, 10, 20)]
    table(rows, ["k", "plain a", "b", "momentum a", "b", "Nesterov a", "b"])
    run = minimise(bowl, [2.0, 1.0], 0.2, 1000, tolerance=1e-3)
    rates = (0.05, 0.1, 0.2, 0.3, 0.5)
    print(f"S07: {run.reason}; the best of {rates}: {best_step(bowl, [2.0, 1.0], rates, 1000, 1e-3)}")
    print("S08: the step at update k")
    rules = schedules()
    table([(k, *[rule(k) for rule in rules.values()]) for k in range(10)], ["k", *rules])
    return found


def draw(folder: Path, found: dict[str, Descent], slices: list[tuple[float, float]]) -> None:
    """The pictures."""
    folder.mkdir(parents=True, exist_ok=True)

    def both(a: Any, b: Any) -> Any:
        return a**2 + 3 * b**2

    axes = plot.path(found["S01"].points, both, (-1.5, 2.5), (-1.4, 1.4), label="from (2, 1), step 0.2")
    plot.path(found["S02"].points, ax=axes, label="from (-1, -1), step 0.1", title="S01, S02: a² + 3b²")
    axes.set(xlabel="a", ylabel="b")
    plot.save(axes, folder / "S01-bowl.png")
    axes = plot.path(found["S18 plain"].points, both, (-1.2, 2.4), (-0.8, 1.3), label="plain")
    plot.path(found["S18"].points, ax=axes, label="momentum 0.5 (the ball)")
    plot.path(found["S19"].points, ax=axes, label="Nesterov 0.5", title="S18, S19: a² + 3b², step 0.1")
    axes.set(xlabel="a", ylabel="b")
    plot.save(axes, folder / "S18-momentum.png")
    figure = plot.figure(12, 3.8)
    for axes, step in zip(figure.subplots(1, 3), (0.9, 1.1, 0.05), strict=True):
        what = {0.9: "swings", 1.1: "runs away", 0.05: "slow"}[step]
        run = found[f"S04 step {step}"]
        reach = 1.1 * max(abs(run.points).max().item(), 2.0)
        plot.function(parabola, (-reach, reach), ax=axes)
        plot.path(run.points, parabola, ax=axes, title=f"S04: step {step}, {what}")
        axes.set(xlabel="a", ylabel="a² + 1")
    plot.save(axes, folder / "S04-bad-step.png")
    for name, f, x in (
        ("S03: a² + 1, step 0.2", parabola, (-2.2, 2.2)),
        ("S05: a⁴ − 5a² + a + 10, step 0.02", two_minima, (-2.4, 2.4)),
        ("S06: a⁴ − 2a³ + 4, step 0.05", inflection, (-1.1, 1.9)),
    ):
        axes = None
        for key in found:
            if key.startswith(name[:3]):
                axes = plot.path(
                    found[key].points, f, x, ax=axes, label=f"from {found[key].points[0].item():g}", title=name
                )
        axes.set(xlabel="a", ylabel="f(a)")
        plot.save(axes, folder / f"{name[:3]}-on-the-curve.png")
    rules = schedules()
    values = [[rule(k) for k in range(10)] for rule in rules.values()]
    axes = plot.function(values, list(range(10)), label=list(rules), title="S08: the step at update k")
    axes.set(xlabel="update k", ylabel="step")
    plot.save(axes, folder / "S08-schedules.png")
    triangle = [*CORNERS, CORNERS[0]]
    axes = plot.levels(lambda x, y: squares((x, y)), (0, 7), (-0.5, 6), levels=16, title="F03: MA² + MB² + MC²")
    axes.plot(*zip(*triangle, strict=True), "-o", color="black", lw=1)
    plot.path(minimise(squares, [0.0, 0.0], 0.05, 60).points, ax=axes, label="descent, step 0.05")
    plot.save(axes, folder / "F03-centroid.png")
    plot.save(
        plot.surface(lambda x, y: squares((x, y)), (0, 7), (-0.5, 6), title="F03: MA² + MB² + MC²"),
        folder / "F03-surface.png",
    )
    axes = plot.levels(distances, (0, 6), levels=20, title="F04 to F06: MA + MB + MC")
    axes.plot(*zip(*triangle, strict=True), "-o", color="black", lw=1)
    plot.path(slices, ax=axes, label="slice by slice")
    plot.path(minimise(lambda p: distances(*p), [0.0, 0.0], 0.5, 60).points, ax=axes, label="descent")
    plot.save(axes, folder / "F06-fermat.png")
    heights = [1.0, 1.1, 1.2, 1.5, 2, 3, 5, 8, 12, 20, 30]
    axes = plot.levels(
        valley, (0.2, 1.8), (-4, 5), levels=heights, equal=False, labels=("a", "b"), title="F10: a long valley"
    )
    plot.save(axes, folder / "F10-valley.png")
    several = [lambda x: 0.8 * x + 1.6, lambda x: x + 0.8, lambda x: 1.1 * x + 0.4]
    names = ["y = 0.8x + 1.6", "y = x + 0.8", "y = 1.1x + 0.4"]
    axes = plot.function(several, (1.5, 6.5), label=names, title="F10: nearly as good")
    axes.plot(*zip(*POINTS, strict=True), "o", color="black")
    plot.save(axes, folder / "F10-lines.png")
    axes = plot.function(lambda x: x**3 - 100, (4, 10.5), title="D22: Newton for x³ = 100")
    for x, y, slope in newton(lambda x: x**3 - 100, 10.0, 3)[:3]:
        axes.plot([x, x - y / slope], [y, 0], "-o", color=plot.VERMILION, lw=1.5, ms=4)
        axes.plot([x - y / slope] * 2, [0, (x - y / slope) ** 3 - 100], ":", color="grey")
    axes.axhline(0, color="black", lw=0.8)
    plot.save(axes, folder / "D22-newton.png")
    figure = plot.figure(12, 3.8)
    left, middle, right = figure.subplots(1, 3)
    plot.function(diagonal, (0, 4), title="D18: sum of squared distances", ax=left)
    plot.function(nearest, (-2, 2), title="D19: (x − 1)² + (x² − 2)²", ax=middle)
    for x, kind in critical_points(nearest, [-1.5, -0.5, 0.0, 1.5]):
        middle.plot(x, nearest(f64(x)).item(), "v" if kind == "maximum" else "^", color=plot.VERMILION, ms=9)
    plot.function(hollow, (-1, 2), title="D23: x² − sin x + 1", ax=right)
    plot.path([row[0] for row in newton(grad(hollow), 0.0, 4)], hollow, ax=right)
    plot.save(left, folder / "D18-D19-D23.png")
    print("pictures:", folder)


def main() -> None:
    """Prints the tables and draws the pictures."""
    folder = parser(__doc__, pictures=True).parse_args().pictures
    elementary()
    run = minimise(squares, [0.0, 0.0], 0.05, 60)
    print("F03: the least MA^2 + MB^2 + MC^2 by descent:", run.points[-1].tolist(), run.values[-1].item())
    _, slices = fermat()
    total_least_squares()
    found = runs()
    if folder is not None:
        draw(folder, found, slices)


if __name__ == "__main__":
    main()
