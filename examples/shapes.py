"""Networks that learn a shape, a rule and a function: a lemniscate, heights in a row of cells, curves, a surface.

    python examples/shapes.py --picture shapes.png
    python examples/shapes.py --side 200 --epochs 40 --picture shapes.png      (the whole grid, some minutes)

Covers B07-lemniscate, B08-heights, D10-func1d-data, D10-func1d-params, D10-func1d-train, D10-func2d-params and
D10-func2d-train.
"""

from __future__ import annotations

import itertools
import time
from typing import Any

from common import glorot, parser, table

import minitensor as mt
from minitensor import nn
from minitensor.learn import plot
from minitensor.nn import functional as F


def dense(*sizes: int, activation: Any = nn.ReLU, last: Any = None) -> Any:
    """Dense layers of these sizes with the activation between, Glorot-uniform weights and biases of 0."""
    parts: list[Any] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(sizes)):
        after = [activation()] if i < len(sizes) - 2 else [last()] if last else []
        parts += [glorot(nn.Linear(inputs, outputs)), *after]
    return nn.Sequential(*parts)


def count(model: Any) -> int:
    """Weights, biases included."""
    return sum(p.numel() for p in model.parameters())


# --- a lemniscate ---------------------------------------------------------------------------------


def lemniscate(side: int) -> tuple[Any, Any]:
    """B07: the points (side^2, 2) of a grid of [-2.05, 2.05] x [-0.75, 1.05], and which are inside."""
    x, y = mt.meshgrid(
        mt.linspace(-2.05, 2.05, side, dtype=mt.float64),
        mt.linspace(-0.75, 1.05, side, dtype=mt.float64),
        indexing="xy",
    )
    f = ((x**2 + y**2) ** 2 - 4 * (x**2 - y**2)) * ((x - 0.5) ** 2 + 4 * (y - 1 / 3) ** 2 - 2)
    return mt.stack([x.flatten(), y.flatten()], 1), f.flatten() <= 0


def learn_shape(side: int, epochs: int, seeds: int = 3) -> dict[int, Any]:
    """B07-lemniscate: 2-p-p-p-1 of ReLUs, the best of some seeds: a ReLU output can die and then says 0 everywhere."""
    points, inside = lemniscate(side)
    x, y = points.float(), inside.float()[:, None]
    result, rows = {}, []
    print(f"B07: {len(x):,} points, {inside.double().mean():.1%} inside; {epochs} epochs, the best of {seeds} seeds")
    for p in (3, 5, 10, 20):
        best: tuple[float, Any] = (-1.0, None)
        dead, begin = 0, time.perf_counter()
        for seed in range(seeds):
            mt.manual_seed(seed)
            model = dense(2, p, p, p, 1, last=nn.ReLU)
            optimizer = mt.optim.Adam(model.parameters(), lr=0.01)
            for _ in range(epochs):
                for part in mt.randperm(len(x)).split(100):
                    optimizer.zero_grad()
                    F.mse_loss(model(x[part]), y[part]).backward()
                    optimizer.step()
            answer = model(x).detach()
            dead += not answer.any()
            right = ((answer >= 0.5) == (y >= 0.5)).double().mean().item()
            best = max(best, (right, model), key=lambda pair: pair[0])
        seconds = (time.perf_counter() - begin) / seeds / epochs
        rows.append((f"2-{p}-{p}-{p}-1", 3 * p + 1, count(best[1]), best[0], f"{dead} of {seeds}", seconds))
        result[p] = best
    table(rows, ("network", "neurons", "weights", "right", "dead", "s an epoch"), 4)
    return result


# --- heights in a row of cells --------------------------------------------------------------------


def heights(n: int = 20) -> tuple[Any, Any]:
    """B08: every row of n cells with 3 black ones, ranks i < j < k, and its height k - i + 1."""
    triples = mt.tensor(list(itertools.combinations(range(n), 3)))
    x = mt.zeros(len(triples), n).scatter(1, triples, 1.0)
    return x, (triples[:, 2] - triples[:, 0] + 1).float()[:, None]


def learn_heights(
    epochs: int, seeds: int, sizes: tuple[int, ...] = (3, 5, 7, 10, 15, 20)
) -> dict[int, tuple[float, float]]:
    """B08-heights: 20-p-p-1 of ReLUs, rounded; half to learn from, half to test."""
    x, y = heights()
    order = mt.randperm(len(x), generator=mt.Generator().manual_seed(0))
    train, test = order[: len(x) // 2], order[len(x) // 2 :]
    print(
        f"B08: {len(x):,} rows of 20 cells, half to learn from; {epochs} epochs, the best of {seeds} seeds: share right"
    )
    result, rows = {}, []
    for p in sizes:
        best = (-1.0, -1.0)
        for seed in range(seeds):
            mt.manual_seed(seed)
            model = dense(20, p, p, 1)
            optimizer = mt.optim.Adam(model.parameters(), lr=0.005)
            for _ in range(epochs):
                for part in mt.randperm(len(train)).split(190):
                    rows_ = train[part]
                    optimizer.zero_grad()
                    F.mse_loss(model(x[rows_]), y[rows_]).backward()
                    optimizer.step()
            right = [(model(x[part]).round() == y[part]).double().mean().item() for part in (train, test)]
            best = max(best, (right[0], right[1]))
        result[p] = best
        rows.append((p, 2 * p + 1, count(dense(20, p, p, 1)), *best))
    table(rows, ("p", "neurons", "weights", "training", "test"), 4)
    return result


# --- functions ------------------------------------------------------------------------------------


def curve(x: Any) -> Any:
    """D10-func1d-data: cos(2x) + x sin(3x) + sqrt(x) - 2."""
    return (2 * x).cos() + x * (3 * x).sin() + x.sqrt() - 2


OPTIMIZERS = {
    "SGD": lambda p: mt.optim.SGD(p, lr=0.001),
    "SGD, momentum, Nesterov": lambda p: mt.optim.SGD(p, lr=0.001, momentum=0.9, nesterov=True),
    "Adam": lambda p: mt.optim.Adam(p, lr=0.001, eps=1e-7),
}


def learn_curve(epochs: int) -> tuple[Any, dict[str, tuple[list[float], Any]]]:
    """D10-func1d-params, D10-func1d-train: 1-10-10-10-10-1 of tanh, one batch of 100, three optimisers."""
    x = mt.linspace(0, 5, 100)[:, None]
    y = curve(x)
    result, rows = {}, []
    for name, make in OPTIMIZERS.items():
        mt.manual_seed(0)
        model = dense(1, 10, 10, 10, 10, 1, activation=nn.Tanh)
        optimizer = make(model.parameters())
        losses = []
        for k in range(epochs):
            if "momentum" in name:
                optimizer.param_groups[0]["lr"] = 0.001 / (1 + 1e-7 * k)  # the decay
            optimizer.zero_grad()
            loss = F.mse_loss(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        result[name] = losses, model(x).detach()[:, 0]
        rows.append((name, *(losses[k] for k in (0, epochs // 10, epochs // 2, -1))))
    weights = count(dense(1, 10, 10, 10, 10, 1))
    print(f"D10-func1d: {weights} weights, {epochs} epochs; error at the beginning, after a tenth, a half, all")
    table(rows, ("optimiser", "first", "10 %", "50 %", "last"), 5)
    return x[:, 0], result


def learn_surface(steps: int = 1000) -> tuple[Any, float]:
    """D10-func2d-params, D10-func2d-train: x cos y on a grid of 25 x 25, single steps on all of it."""
    side = mt.linspace(-4, 4, 25)
    x, y = mt.meshgrid(side, side, indexing="xy")
    points, z = mt.stack([x.flatten(), y.flatten()], 1), (x * y.cos()).flatten()[:, None]
    mt.manual_seed(0)
    model = dense(2, 10, 10, 10, 1)
    optimizer = mt.optim.SGD(model.parameters(), lr=0.01)
    for k in range(steps):
        optimizer.zero_grad()
        loss = F.mse_loss(model(points), z)
        loss.backward()
        optimizer.step()
        if k == 0:
            first = loss.item()
    print(f"D10-func2d: 2-10-10-10-1, {count(model)} weights:", end=" ")
    print(f"error {first:.5f} at first, {loss.item():.5f} after {steps} steps")
    return model, loss.item()


def draw(path: str, side: int, shapes: dict[int, Any], x: Any, curves: Any, model: Any) -> None:
    """The true shape and the learned ones, losses and fits, the surface and its fit."""
    fig = plot.figure(16, 11)
    shape = fig.add_gridspec(3, 4)
    points, inside = lemniscate(side)
    corner = (-2.05, 2.05, -0.75, 1.05)
    panels = [("the shape", inside)]
    panels += [
        (f"2-{p}-{p}-{p}-1: {right:.1%}", m(points.float()).detach()[:, 0] >= 0.5) for p, (right, m) in shapes.items()
    ]
    for k, (name, said) in enumerate(panels):
        axes = fig.add_subplot(shape[k // 4, k % 4])
        picture = said.reshape(side, side)
        axes.imshow(picture, origin="lower", extent=corner, cmap="coolwarm", aspect="auto")
        axes.set(title=name, xlabel="x", ylabel="y")
    losses, fits = fig.add_subplot(shape[1, 1:]), fig.add_subplot(shape[2, :2])
    fits.plot(x.tolist(), curve(x).tolist(), color="black", lw=2, label="f")
    for (name, (values, fit)), colour in zip(curves.items(), plot.COLOURS, strict=False):
        losses.plot(values, color=colour, label=name)
        fits.plot(x.tolist(), fit.tolist(), color=colour, label=name)
    losses.set(yscale="log", title="three optimisers", xlabel="epoch", ylabel="mean square error")
    losses.legend(frameon=False)
    fits.set(title="f and the three fits", xlabel="x", ylabel="y")
    fits.legend(frameon=False, fontsize=8)
    fit = lambda x, y: model(mt.stack([x.flatten(), y.flatten()], 1).float()).reshape(x.shape)  # noqa: E731
    plot.surface(lambda x, y: x * y.cos(), (-4, 4), title="x cos y", ax=fig.add_subplot(shape[2, 2], projection="3d"))
    plot.surface(fit, (-4, 4), title="what was learnt", ax=fig.add_subplot(shape[2, 3], projection="3d"))
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    options = parser(__doc__, picture=True)
    whole = {"type": int, "metavar": "N"}
    options.add_argument(
        "--side", default=60, help="points on a side of the lemniscate's grid (60; the book's is 200)", **whole
    )
    options.add_argument("--epochs", default=30, help="how often each is seen (30)", **whole)
    options.add_argument("--seeds", default=2, help="starts, of which the best counts (2)", **whole)
    options.add_argument("--height-epochs", default=500, help="of the heights (500; the book's are 1500)", **whole)
    options.add_argument("--curve-epochs", default=4000, help="of the curve (4000)", **whole)
    chosen = options.parse_args()
    shapes = learn_shape(chosen.side, chosen.epochs, chosen.seeds)
    learn_heights(chosen.height_epochs, 1)
    x, curves = learn_curve(chosen.curve_epochs)
    model, _ = learn_surface()
    if chosen.picture:
        draw(chosen.picture, chosen.side, shapes, x, curves, model)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
