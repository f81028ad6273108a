"""Fitting by descent: lines, planes, parabolas and circles, on all samples, on one after another, on small batches.

    python examples/regression.py --pictures regression

All errors are SUMS of squares. "Stochastic" steps take the samples in order, sample (k mod N) + 1 at step k; a batch of
K takes the next K and descends on the sum of their errors; N/K steps make an epoch.

Covers S09-linreg-3pts, S10-linreg-5pts, S11-linear-neuron, S12-plane-3pts, S13-plane-5pts, S14a-parabola-gd,
S14b-parabola-sgd, S16-minibatch-circle and S17-minibatch-noisy-circle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from common import f64, parser, table

import minitensor as mt
from minitensor import nn
from minitensor.func import grad_and_value
from minitensor.learn import plot


class Fit(NamedTuple):
    """The parameters after every step, with the error of all samples and its gradient there."""

    points: list[list[float]]
    errors: list[float]
    gradients: list[list[float]]


def fit(
    errors: Callable[[Any, Any], Any],
    samples: Sequence[Sequence[float]],
    start: Sequence[float],
    step: float,
    steps: int,
    batch: int | None = None,
) -> Fit:
    """Descends on the sum of `errors(parameters, samples)`, of `batch` samples in order at each step (None: of all)."""
    data, n = f64(samples), len(samples)
    size = batch or n
    whole = grad_and_value(lambda p: errors(p, data).sum())
    some = grad_and_value(lambda p, rows: errors(p, rows).sum())
    p, found = f64(start), Fit([], [], [])
    for k in range(steps + 1):
        slope, error = whole(p)
        found.points.append(p.tolist())
        found.errors.append(error.item())
        found.gradients.append(slope.tolist())
        if k == steps or not math.isfinite(error.item()):
            break
        if size < n:
            first = k * size % n
            slope, _ = some(p, data[first : first + size])
        p = p - step * slope
    return found


def line(p: Any, s: Any) -> Any:
    """(a x + b − y)² of each sample (x, y)."""
    return (p[0] * s[:, 0] + p[1] - s[:, 1]) ** 2


def plane(p: Any, s: Any) -> Any:
    """(a x + b y + c − z)² of each sample (x, y, z)."""
    return (p[0] * s[:, 0] + p[1] * s[:, 1] + p[2] - s[:, 2]) ** 2


def parabola(p: Any, s: Any) -> Any:
    """(x² + a x + b − y)² of each sample."""
    return (s[:, 0] ** 2 + p[0] * s[:, 0] + p[1] - s[:, 1]) ** 2


def circle(p: Any, s: Any) -> Any:
    """((x − a)² + (y − b)² − c²)² of each sample: 0 on the circle of centre (a, b) and radius c."""
    return ((s[:, 0] - p[0]) ** 2 + (s[:, 1] - p[1]) ** 2 - p[2] ** 2) ** 2


THREE = [(0.0, 3.0), (2.0, 4.0), (6.0, 6.0)]
FIVE = [(4.0, 1.0), (7.0, 3.0), (8.0, 3.0), (10.0, 6.0), (12.0, 7.0)]
PLANE_3 = [(0.0, 0.0, 3.0), (1.0, 0.0, 4.0), (0.0, 1.0, 5.0)]
PLANE_5 = [(1.0, 0.0, 0.0), (0.0, 1.0, 5.0), (2.0, 1.0, 1.0), (1.0, 2.0, 0.0), (2.0, 2.0, 3.0)]
PARABOLA = [(2.0, 0.0), (0.0, 2.0), (4.0, 6.0), (1.0, 0.0)]
ANGLES = (10, 20, 40, 100, 200, 280)
CIRCLE = [(3 + math.cos(math.radians(t)), 2 + math.sin(math.radians(t))) for t in ANGLES]


def noisy_circle(count: int = 100) -> list[tuple[float, float]]:
    """S17: points around (1, 2), radius 3 plus uniform noise in ±0.5, from a fixed seed."""
    mt.manual_seed(0)
    angle = 2 * math.pi * mt.rand(count, dtype=mt.float64)
    radius = 2.5 + mt.rand(count, dtype=mt.float64)
    return list(zip((1 + radius * angle.cos()).tolist(), (2 + radius * angle.sin()).tolist(), strict=True))


def neuron(steps: int = 100) -> Fit:
    """S11: S09 through the model's API: one neuron without activation, SGD, the sum of squares."""
    data = f64(THREE)
    x, y = data[:, :1], data[:, 1:]
    model = nn.Linear(1, 1, dtype=mt.float64)
    with mt.no_grad():
        model.weight.fill_(0.0)
        model.bias.fill_(1.0)
    optimizer = mt.optim.SGD(model.parameters(), lr=0.02)
    loss_function = nn.MSELoss(reduction="sum")
    found = Fit([], [], [])
    for k in range(steps + 1):
        optimizer.zero_grad()
        produced = model(x)
        loss = loss_function(produced, y)
        loss.backward()
        found.points.append([model.weight.item(), model.bias.item()])
        found.errors.append(loss.item())
        found.gradients.append([model.weight.grad.item(), model.bias.grad.item()])
        if k in (0, steps):
            print(f"S11: after {k} steps; the total error is {loss.item():.6g}")
            rows = zip(
                x.reshape(-1).tolist(), y.reshape(-1).tolist(), produced.detach().reshape(-1).tolist(), strict=True
            )
            table([(*row, (row[2] - row[1]) ** 2) for row in rows], ["input", "expected", "produced", "local error"])
        optimizer.step()
    return found


def lines() -> dict[str, Fit]:
    """S09, S10, S12, S13."""
    found = {
        "S09": fit(line, THREE, [0.0, 1.0], 0.02, 100),
        "S10": fit(line, FIVE, [0.75, -2.0], 0.001, 10_000),
        "S12": fit(plane, PLANE_3, [0.0, 0.0, 0.0], 0.2, 200),
        "S13": fit(plane, PLANE_5, [0.0, 0.0, 0.0], 0.01, 3000),
    }
    run = found["S09"]
    print("S09: the line a x + b through three points")
    some = (0, 1, 2, 3, 4, 5, 10, 50, 100)
    table([(k, *run.points[k], *run.gradients[k], run.errors[k]) for k in some], ["k", "a", "b", "dE/da", "dE/db", "E"])
    a, b = found["S10"].points[-1]
    print(f"S10: the first line 0.75 x - 2, the last {a:.6f} x + {b:.6f}; at x = 6 it gives {6 * a + b:.6f}")
    for name in ("S12", "S13"):
        a, b, c = found[name[:3]].points[-1]
        print(
            f"{name}: z = {a:.6f} x + {b:.6f} y + {c:.6f}, error {found[name].errors[-1]:.6g}; z(1, 1) {a + b + c:.6f}"
        )
    return found


def parabolas() -> tuple[Fit, Fit]:
    """S14a, S14b: 200 full steps against 800 on one sample each, which look at as many samples."""
    full = fit(parabola, PARABOLA, [1.0, 1.0], 0.01, 200)
    single = fit(parabola, PARABOLA, [1.0, 1.0], 0.01, 800, batch=1)
    print("S14: y = x² + a x + b, all samples at each step, and one sample at each")
    rows = [(k, *full.points[k], full.errors[k], k, *single.points[k], single.errors[k]) for k in range(9)]
    rows.append((200, *full.points[-1], full.errors[-1], 800, *single.points[-1], single.errors[-1]))
    table(rows, ["k", "a", "b", "E", "k", "a", "b", "E"])
    return full, single


def circles(step: float = 0.005, epochs: int = 500) -> dict[int, Fit]:
    """S16: batches of 1, 2, 3 and 6 of the six points."""
    return {size: fit(circle, CIRCLE, [1.0, 1.0, 2.0], step, epochs * 6 // size, batch=size) for size in (1, 2, 3, 6)}


def draw(
    folder: Path, found: dict[str, Fit], parts: tuple[Fit, Fit], rounds: dict[int, Fit], noisy: dict[int, Fit]
) -> None:
    """The pictures."""
    folder.mkdir(parents=True, exist_ok=True)
    data = f64(THREE)
    figure = plot.figure(10.5, 4.4)
    left, right = figure.subplots(1, 2)
    error = lambda a, b: sum((a * x + b - y) ** 2 for x, y in THREE)  # noqa: E731
    heights = [0.1, 0.5, 2, 5, 10, 20, 40, 80, 160]
    plot.levels(error, (-0.4, 1.6), (0.5, 3.5), levels=heights, equal=False, labels=("a", "b"), ax=left)
    plot.path(found["S09"].points, ax=left, title="S09: the descent in the plane of (a, b)")
    left.set(xlabel="a", ylabel="b")
    some = (0, 1, 5, 20, 100)
    several = [lambda x, k=k: found["S09"].points[k][0] * x + found["S09"].points[k][1] for k in some]
    plot.function(several, (-0.5, 6.5), label=[f"after {k} steps" for k in some], title="the lines", ax=right)
    right.plot(*data.T.tolist(), "o", color="black", zorder=5)
    plot.save(left, folder / "S09-line.png")
    a, b = found["S10"].points[-1]
    axes = plot.function(
        [lambda x: 0.75 * x - 2, lambda x: a * x + b],
        (3, 13),
        label=["first", "last"],
        title="S10: a line through five points",
    )
    axes.plot(*zip(*FIVE, strict=True), "o", color="black", zorder=5)
    axes.plot(6, 6 * a + b, "*", color=plot.VERMILION, ms=12, zorder=6, label="asked for: x = 6")
    axes.legend(frameon=False)
    plot.save(axes, folder / "S10-line.png")
    figure = plot.figure(9.6, 4.4)
    for k, (name, points) in enumerate(
        (("S12: three points, exactly", PLANE_3), ("S13: five points, with their errors", PLANE_5))
    ):
        a, b, c = found[name[:3]].points[-1]
        axes = figure.add_subplot(1, 2, k + 1, projection="3d")
        plot.surface(lambda x, y, a=a, b=b, c=c: a * x + b * y + c, (-0.3, 2.3), n=12, alpha=0.6, title=name, ax=axes)
        for x, y, z in points:
            axes.plot([x, x], [y, y], [z, a * x + b * y + c], color=plot.VERMILION, lw=2)
            axes.plot([x], [y], [z], "o", color="black")
    plot.save(axes, folder / "S12-S13-planes.png")
    error = lambda a, b: sum((x * x + a * x + b - y) ** 2 for x, y in PARABOLA)  # noqa: E731
    axes = plot.levels(error, (-3.6, 1.4), (-0.2, 2.6), levels=[0.3, 1, 3, 10, 30, 100, 200], labels=("a", "b"))
    plot.path(parts[0].points, ax=axes, label="all samples, 200 steps")
    plot.path(parts[1].points[::4], ax=axes, label="one sample, 800 steps", title="S14: y = x² + ax + b")
    axes.set(xlabel="a", ylabel="b")
    plot.save(axes, folder / "S14-parabola.png")
    figure = plot.figure(10.5, 4.6)
    left, right = figure.subplots(1, 2)
    for k, (size, run) in enumerate(rounds.items()):
        by_epoch = run.errors[:: 6 // size]
        left.plot(by_epoch, plot.STYLES[k], color=plot.COLOURS[k], label=f"batches of {size}")
    left.set(yscale="log", xlabel="epoch", ylabel="error of all samples", title="S16: step 0.005")
    left.legend(frameon=False)
    left.grid(alpha=0.3)
    angle = [math.radians(t) for t in range(361)]
    for k, epoch in enumerate((0, 2, 10, 100, 500)):
        a, b, c = rounds[1].points[6 * epoch]
        x, y = [a + c * math.cos(t) for t in angle], [b + c * math.sin(t) for t in angle]
        right.plot(x, y, plot.STYLES[k % 4], color=plot.COLOURS[k], label=f"epoch {epoch}")
    right.plot(*zip(*CIRCLE, strict=True), "o", color="black")
    right.set(aspect="equal", xlabel="x", ylabel="y", title="circles, batches of 1")
    right.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    plot.save(left, folder / "S16-circle.png")
    figure = plot.figure(10.5, 4.6)
    left, right = figure.subplots(1, 2)
    for k, (size, run) in enumerate(noisy.items()):
        seen = [size * i for i in range(len(run.errors))]
        left.plot(seen, run.errors, plot.STYLES[k], color=plot.COLOURS[k], label=f"batches of {size}")
    left.set(xlabel="samples seen", ylabel="error of all samples", title="S17: two epochs, step 0.001")
    left.legend(frameon=False)
    left.grid(alpha=0.3)
    right.plot(*zip(*noisy_circle(), strict=True), ".", color="black")
    for k, (size, run) in enumerate(noisy.items()):
        a, b, c = run.points[-1]
        x, y = [a + c * math.cos(t) for t in angle], [b + c * math.sin(t) for t in angle]
        right.plot(x, y, plot.STYLES[k], color=plot.COLOURS[k], label=f"batches of {size}")
    right.set(aspect="equal", xlabel="x", ylabel="y", title="the points and the three circles")
    plot.save(left, folder / "S17-noisy-circle.png")
    print("pictures:", folder)


def main() -> None:
    """Prints the tables and draws the pictures."""
    folder = parser(__doc__, pictures=True).parse_args().pictures
    found = lines()
    neuron()
    parts = parabolas()
    rounds = circles()
    print("S16: the circle through six points, 500 epochs: centre, radius, error")
    table(
        [(size, *run.points[-1], run.errors[-1]) for size, run in rounds.items()], ["K", "a", "b", "c", "E"], digits=8
    )
    print("     at the step 0.01 (too long for the exact gradient):")
    table(
        [(size, *run.points[-1], run.errors[-1]) for size, run in circles(0.01, 50).items()], ["K", "a", "b", "c", "E"]
    )
    data = noisy_circle()
    noisy = {size: fit(circle, data, [1.0, 1.0, 1.0], 0.001, 2 * 100 // size, batch=size) for size in (1, 10, 20)}
    print("S17: a noisy circle, 2 epochs")
    table([(size, *run.points[-1], run.errors[-1]) for size, run in noisy.items()], ["K", "a", "b", "c", "E"])
    if folder is not None:
        draw(folder, found, parts, rounds, noisy)


if __name__ == "__main__":
    main()
