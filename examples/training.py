"""Training the smallest networks by descent: a neuron, XOR, a plateau, Hebb's rule, dead ReLUs, over- and underfitting.

    python examples/training.py --picture training.png

Descent is on the mean of squares, all points at once, unless something else is said. Weights go neuron by neuron, the
bias last in each.

Covers B01-neuron-train, B01t-neuron-train-table, B02-neuron-predict, B03-xor-first-steps, B04-xor-1000, B05-hebb-rule,
B06-step-train, B09-insufficient-model, B10-relu-local-minimum, B11-over-underfitting, D10-weights-order and
D10-weights-gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from common import f64, parser, table
from neurons import DISCS_R02, SQUARES_R02

import minitensor as mt
from minitensor import nn
from minitensor.func import grad_and_value
from minitensor.learn import plot
from minitensor.nn import functional as F

DISCS = [(0, 3), (1, 1.5), (1, 4), (1.5, 2.5), (2, 2.5), (3, 3.5), (3.5, 3.25), (4, 3), (4, 4), (5, 4)]
SQUARES = [(1, 1), (2, 0.5), (2, 2), (3, 1.5), (3, 2.75), (4, 1), (4, 2.5), (4.5, 3), (5, 1), (5, 2.25)]
XOR_POINTS, XOR_VALUES = [(0, 0), (1, 1), (0, 1), (1, 0)], [0, 0, 1, 1]
XOR_START = (1, 2, -3, -3, -2, 1, 1, 1, -1)
STEP_START = (0, 1, 0, -1, 1, 1, -1)


def network(sizes: Sequence[int], weights: Any, x: Any) -> Any:
    """Sigmoid layers of these sizes from a flat list of weights: neuron by neuron, bias last. x is (points, inputs)."""
    at = 0
    for inputs, outputs in pairwise(sizes):
        layer = weights[at : at + outputs * (inputs + 1)].reshape(outputs, inputs + 1)
        x = F.linear(x, layer[:, :-1], layer[:, -1]).sigmoid()
        at += layer.numel()
    return x[:, 0]


def descend(
    loss: Callable[[Any], Any], start: Any, rate: float, steps: int
) -> tuple[Any, list[Any], list[Any], list[float]]:
    """w <- w - rate grad: the last weights; all weights, gradients and losses, before each step and at the end."""
    w, path, slopes, losses = f64(start), [], [], []
    step = grad_and_value(loss)
    for k in range(steps + 1):
        slope, value = step(w)
        path.append(w)
        slopes.append(slope)
        losses.append(value.item())
        if k < steps:
            w = w - rate * slope
    return w, path, slopes, losses


def neuron(steps: int = 1000) -> dict[str, Any]:
    """B01-neuron-train, B01t-neuron-train-table, B02-neuron-predict."""
    x, y = f64(DISCS + SQUARES), f64([0] * 10 + [1] * 10)
    loss = lambda w: ((network((2, 1), w, x) - y) ** 2).mean()  # noqa: E731
    last, path, slopes, losses = descend(loss, (0, 1, -2), 1.0, steps)
    print("B01: sigmoid(ax + by + c), 10 discs (0) and 10 squares (1), step 1: k, weights, gradient, error")
    table([(k, *path[k].tolist(), *slopes[k].tolist(), losses[k]) for k in (*range(11), 100, 1000) if k <= steps],
          ("k", "a", "b", "c", "by a", "by b", "by c", "E"))  # fmt: skip
    answers = network((2, 1), last, x)
    wrong = [p for p, v, t in zip(DISCS + SQUARES, answers.tolist(), y.tolist(), strict=True) if (v >= 0.5) != t]
    print(f"B02: wrong are {wrong}; at some points:")
    points = ((0, 3), (1, 1), (4, 3), (3, 2.75), (2, 3), (2, 1))
    said = network((2, 1), last, f64(points)).tolist()
    table([(str(p), v, int(v >= 0.5)) for p, v in zip(points, said, strict=True)], ("point", "F", "answer"))
    return {"path": path, "slopes": slopes, "losses": losses, "last": last, "said": said}


def xor(steps: int = 1000) -> dict[str, Any]:
    """B03-xor-first-steps, B04-xor-1000."""
    x, y = f64(XOR_POINTS), f64(XOR_VALUES)
    loss = lambda w: ((network((2, 2, 1), w, x) - y) ** 2).mean()  # noqa: E731
    last, path, slopes, losses = descend(loss, XOR_START, 1.0, steps)
    print("B03: XOR by 2-2-1 sigmoids: weights, gradients and error at k = 0, 1, 2")
    for k in range(3):
        print(f"  k = {k}  E = {losses[k]:.9f}")
        table([path[k].tolist(), slopes[k].tolist()])
    corners = network((2, 2, 1), last, f64([*XOR_POINTS, (0.2, 0.9)])).tolist()
    print(f"B04: after {steps} steps E = {losses[-1]:.9f}; F at {XOR_POINTS} and (0.2, 0.9):")
    print(" ", [round(v, 6) for v in corners])
    print("  weights:", [round(v, 4) for v in last.tolist()])
    return {"path": path, "slopes": slopes, "losses": losses, "last": last, "corners": corners}


class Hebb(mt.autograd.Function):
    """B05: H with derivative 1, as if it were the identity."""

    @staticmethod
    def forward(ctx: Any, x: Any) -> Any:
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return g


def hebb(steps: int = 30, rate: float = 0.1) -> list[list[float]]:
    """B05-hebb-rule: by the rule and by autograd."""
    points = f64(DISCS_R02 + SQUARES_R02)
    targets = f64([0] * len(DISCS_R02) + [1] * len(SQUARES_R02))
    by_rule, by_autograd, same = f64([0, 0]), f64([0, 0]), True
    path = [by_rule.tolist()]
    for k in range(steps):
        x, z = points[k % len(points)], targets[k % len(points)]
        answer = float((x @ by_rule) >= 0)
        by_rule = by_rule - rate * 2 * (answer - z) * x
        w = by_autograd.clone().requires_grad_()
        ((Hebb.apply(x @ w) - z) ** 2).backward()
        by_autograd = by_autograd - rate * w.grad
        same = same and mt.equal(by_rule, by_autograd)
        path.append(by_rule.tolist())
    print(f"B05: Hebb's rule, weights after 0, 5, 10, 20, {steps} steps:", [path[k] for k in (0, 5, 10, 20, steps)])
    said = ((points @ by_rule) >= 0).double()
    print(f"  the same by autograd with a derivative of our own: {same}; right on {int((said == targets).sum())} of 10")
    return path


def plateau(steps: int = 5000) -> dict[str, Any]:
    """B06-step-train: a step up and down by 1-2-1 sigmoids."""
    x = mt.cat([mt.linspace(a, b, 10, dtype=mt.float64) for a, b in ((0, 2), (6, 8), (3, 5))])[:, None]
    y = f64([0] * 20 + [1] * 10)
    loss = lambda w: ((network((1, 2, 1), w, x) - y) ** 2).mean()  # noqa: E731
    last, path, slopes, losses = descend(loss, STEP_START, 1.0, steps)
    print("B06: 1-2-1 sigmoids learn a step; the error stays on a plateau for long:")
    table([(k, losses[k]) for k in (0, 10, 100, 500, 1000, 2000, 3000, steps) if k <= steps], ("k", "E"))
    return {"path": path, "slopes": slopes, "losses": losses, "last": last, "x": x, "y": y}


def insufficient() -> dict[str, float]:
    """B09-insufficient-model: the loss stays above 0 for every step size."""
    x, y = f64([0, 1, 2, 3, 4]), f64([0, 2, 3, 2, 0])
    loss = lambda w: ((w[0] * x + w[1] - y) ** 2).mean()  # noqa: E731
    ones = mt.stack([x, mt.ones_like(x)], 1)
    best = mt.linalg.lstsq(ones, y[:, None]).solution[:, 0]
    result = {"line": loss(best).item()}
    found = {rate: descend(loss, (0, 0), rate, 2000)[3][-1] for rate in (0.001, 0.01, 0.1)}
    print(f"B09: a line through (0,0), (1,2), (2,3), (3,2), (4,0): at best E = {result['line']:.6f};", end=" ")
    print("by descent", ", ".join(f"{rate:g}: {v:.6f}" for rate, v in found.items()))
    from shapes import lemniscate

    points, inside = lemniscate(60)
    target = inside.double()
    sigmoid = lambda w: ((network((2, 1), w, points) - target) ** 2).mean()  # noqa: E731
    found = {rate: descend(sigmoid, (0, 0, 0), rate, 400)[3][-1] for rate in (0.1, 1.0, 5.0)}
    result["neuron"] = min(found.values())
    print("  one sigmoid neuron on a lemniscate:", ", ".join(f"{rate:g}: {v:.6f}" for rate, v in found.items()))
    return result


def local_minimum() -> dict[float, float]:
    """B10-relu-local-minimum: F = ReLU(ax - 1) with its bias frozen."""
    layer = nn.Linear(1, 1).double()
    layer.bias.data.fill_(-1.0)
    layer.bias.requires_grad_(False)
    x, y = f64([[-2], [-1], [0], [1], [3]]), f64([[1], [0], [0], [0], [2]])
    optimizer = mt.optim.SGD([p for p in layer.parameters() if p.requires_grad], lr=0.01)
    result = {}
    for start in (-2.0, 2.0, 0.5, 0.0):
        layer.weight.data.fill_(start)
        for _ in range(500):
            optimizer.zero_grad()
            loss = ((layer(x).relu() - y) ** 2).sum()
            loss.backward()
            optimizer.step()
        result[start] = layer.weight.item()
    print("B10: ReLU(ax - 1), bias frozen: from a to a, error:", end=" ")
    ends = ", ".join(f"{a:g} -> {b:.6f} (E = {relu_error(b):.4f})" for a, b in result.items())
    print(f"{ends}; the bias is still {layer.bias.item():g}")
    return result


def relu_error(a: Any) -> Any:
    """E(a) of B10."""
    points = ((-2, 1), (-1, 0), (0, 0), (1, 0), (3, 2))
    if isinstance(a, float):
        return sum((max(a * x - 1, 0) - y) ** 2 for x, y in points)
    return sum(((a * x - 1).relu() - y) ** 2 for x, y in points)


def fitting() -> dict[str, Any]:
    """B11-over-underfitting."""
    x, y = f64([1, 3, 4, 6]), f64([1.2, 1.9, 2.6, 3.5])
    result: dict[str, Any] = {}
    for name, degree in (("line", 1), ("cubic", 3)):
        powers = mt.stack([x**k for k in range(degree + 1)], 1)
        w = mt.linalg.lstsq(powers, y[:, None]).solution[:, 0]
        result[name] = w
        at = sum(w[k] * 5.5**k for k in range(degree + 1))
        print(f"B11: {name} through 4 points: error {((powers @ w - y) ** 2).mean():.6f}, at 5.5 {at:.6f}")
    generator = mt.Generator().manual_seed(0)
    p = mt.rand(260, 2, generator=generator, dtype=mt.float64) * 4 - 2
    true = (p[:, 1] > p[:, 0] ** 2 - 1).double()
    noisy = true.clone()
    noisy[:6] = 1 - noisy[:6]
    train, test = slice(0, 60), slice(60, 260)
    features = mt.stack([p[:, 0], p[:, 0] ** 2, p[:, 1]], 1)
    mt.manual_seed(0)
    small = nn.Linear(3, 1).double()
    large = nn.Sequential(nn.Linear(2, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1)).double()
    rows = []
    for name, model, inputs in (("(x, x^2, y), one neuron", small, features), ("2-40-40-1", large, p)):
        optimizer = mt.optim.Adam(model.parameters(), lr=0.01)
        for _ in range(3000):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(inputs[train])[:, 0], noisy[train]).backward()
            optimizer.step()
        said = (model(inputs)[:, 0] >= 0).double()
        wrong = [(said[part] != t[part]).double().mean().item() for part, t in ((train, noisy), (test, true))]
        rows.append((name, sum(w.numel() for w in model.parameters()), *wrong))
        result[name] = wrong
    print("  60 points, a tenth of the labels wrong; 200 clean ones to test: share of errors")
    table(rows, ("model", "weights", "training", "test"), 3)
    result["large"], result["points"], result["labels"] = large, p[train], noisy[train]
    # aligned points (S09): a line after 3 steps only, with two points, with too large a step
    x, y = f64([0, 2, 6]), f64([3, 4, 6])
    fit = lambda x, y: lambda w: ((w[0] * x + w[1] - y) ** 2).sum()  # noqa: E731
    runs = {
        "3 steps": descend(fit(x, y), (0, 1), 0.02, 3)[0],
        "100 steps": descend(fit(x, y), (0, 1), 0.02, 100)[0],
        "one point": descend(fit(x[:1], y[:1]), (0, 1), 0.02, 100)[0],
        "step 0.03": descend(fit(x, y), (0, 1), 0.03, 100)[0],
    }
    print("  underfitting the line x/2 + 3:", "; ".join(f"{n}: {w[0]:.4g} x + {w[1]:.4g}" for n, w in runs.items()))
    result["runs"] = runs
    return result


def weights() -> dict[str, Any]:
    """D10-weights-order, D10-weights-gradient: a 2-3-1 network of ReLUs, its weights by input as the book has them."""
    w1, b1, w2, b2 = [[1, 3, 5], [2, 4, 6]], (-1, -2, -3), [[7], [8], [9]], (-4,)
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1), nn.ReLU()).double()
    for p, given in zip(model.parameters(), (f64(w1).t(), f64(b1), f64(w2).t(), f64(b2)), strict=True):
        p.data.copy_(given)
    print("D10-weights-order: W1 by input", model[0].weight.t().tolist(), "b1", model[0].bias.tolist())
    for k in range(3):
        print(f"  neuron {k + 1}: coefficients {model[0].weight[k].tolist()}, bias {model[0].bias[k].item():g}")
    count = sum(p.numel() for p in model.parameters())
    print(f"  W2 {model[2].weight.t().tolist()}, b2 {model[2].bias.tolist()}; {count} weights")
    x, y = mt.ones(4, 2, dtype=mt.float64), mt.ones(4, 1, dtype=mt.float64)
    loss = F.mse_loss(model(x), y)
    loss.backward()
    gradients = [p.grad.t().tolist() if p.dim() == 2 else p.grad.tolist() for p in model.parameters()]
    by_hand = [(p - 0.001 * p.grad).detach() for p in model.parameters()]
    mt.optim.SGD(model.parameters(), lr=0.001).step()
    same = all(mt.allclose(a, b, rtol=1e-14) for a, b in zip(by_hand, model.parameters(), strict=True))
    print(f"D10-weights-gradient: loss {loss.item():g}, gradients {gradients}")
    print(f"  after - 0.001 gradient, by hand and by the optimiser the same: {same}")
    return {"loss": loss.item(), "gradients": gradients, "same": same, "count": count, "after": by_hand}


def draw(path: str, first: Any, second: Any, third: Any, fits: Any) -> None:
    """The separating line on its way, errors, surfaces, the plateau, the valley of a ReLU, over- and underfitting."""
    fig = plot.figure(17, 13)
    shape = fig.add_gridspec(3, 4)
    at = lambda i, j, **how: fig.add_subplot(shape[i, j], **how)  # noqa: E731
    points, labels = f64(DISCS + SQUARES), mt.tensor([0] * 10 + [1] * 10)
    plot.regions(lambda p: network((2, 1), first["last"], p), (-0.5, 5.5), (0, 4.5), points=points, labels=labels,
                 title="B01: the neuron's answer, 1000 steps", ax=at(0, 0))  # fmt: skip
    axes = at(0, 1)
    axes.plot(*points[:10].t().tolist(), "o", color=plot.BLUE)
    axes.plot(*points[10:].t().tolist(), "s", color=plot.VERMILION)
    for k, shade in ((0, 0.25), (10, 0.45), (100, 0.7), (1000, 1.0)):
        a, b, c = first["path"][min(k, len(first["path"]) - 1)].tolist()
        axes.plot([-0.5, 5.5], [(-c - a * x) / b for x in (-0.5, 5.5)], color="black", alpha=shade, label=f"k = {k}")
    axes.set(title="B01: the line moves", ylim=(0, 4.5), xlabel="x", ylabel="y")
    axes.legend(frameon=False, fontsize=8)
    f = lambda w, s: lambda x, y: network(s, w, mt.stack([x.flatten(), y.flatten()], 1)).reshape(x.shape)  # noqa: E731
    plot.levels(f(first["last"], (2, 1)), (-0.5, 5.5), (0, 4.5), title="B02: level lines", ax=at(0, 2))
    plot.surface(f(second["last"], (2, 2, 1)), (-0.5, 1.5), title="B04: XOR", ax=at(0, 3, projection="3d"))
    axes = at(1, 0)
    axes.plot(second["losses"], color=plot.BLUE)
    axes.set(title="B04: error of XOR", xlabel="step", ylabel="error")
    plot.levels(f(second["last"], (2, 2, 1)), (-0.5, 1.5), title="B04: level lines", ax=at(1, 1))
    axes = at(1, 2)
    axes.plot(third["losses"], color=plot.BLUE)
    axes.set(title="B06: a long plateau", xlabel="step", ylabel="error")
    axes = at(1, 3)
    line = mt.linspace(-1, 9, 301, dtype=mt.float64)
    axes.plot(third["x"][:, 0].tolist(), third["y"].tolist(), "o", color="#999999", ms=4, label="targets")
    for k, colour in zip((0, 1000, 2500, 5000), plot.COLOURS, strict=False):
        w = third["path"][min(k, len(third["path"]) - 1)]
        axes.plot(line.tolist(), network((1, 2, 1), w, line[:, None]).tolist(), color=colour, label=f"k = {k}")
    axes.legend(frameon=False, fontsize=8)
    axes.set(title="B06: F on its way", xlabel="x", ylabel="F(x)", ylim=(-0.05, 1.5))
    axes = plot.function(relu_error, (-3, 3), title="B10: E(a), two minima and a flat part", ax=at(2, 0))
    axes.set(xlabel="a", ylabel="E(a)")
    axes = at(2, 1)
    x = mt.linspace(0.5, 6.5, 200, dtype=mt.float64)
    axes.plot([1, 3, 4, 6], [1.2, 1.9, 2.6, 3.5], "o", color="black")
    for name, colour in (("line", plot.BLUE), ("cubic", plot.VERMILION)):
        w = fits[name]
        axes.plot(x.tolist(), sum(w[k] * x**k for k in range(len(w))).tolist(), color=colour, label=name)
    axes.axvline(5.5, ls=":", color="#999999", label="asked for: 5.5")
    axes.legend(frameon=False)
    axes.set(title="B11: a line and a cubic", xlabel="x", ylabel="y")
    plot.regions(lambda p: fits["large"](p)[:, 0] + 0.5, (-2, 2), points=fits["points"], labels=fits["labels"].long(),
                 title="B11: 2-40-40-1 learns the errors too", ax=at(2, 2))  # fmt: skip
    axes = at(2, 3)
    axes.plot([0, 2, 6], [3, 4, 6], "o", color="black")
    for (name, w), colour in zip(fits["runs"].items(), plot.COLOURS, strict=False):
        if w.abs().max() < 50:
            axes.plot([0, 6], [w[1].item(), (6 * w[0] + w[1]).item()], color=colour, label=name)
    axes.legend(frameon=False, fontsize=8)
    axes.set(title="B11: badly trained lines", xlabel="x", ylabel="y")
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    first, second = neuron(), xor()
    hebb()
    third = plateau()
    insufficient()
    local_minimum()
    fits = fitting()
    weights()
    if chosen.picture:
        draw(chosen.picture, first, second, third, fits)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
