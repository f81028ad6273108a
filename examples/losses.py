"""Losses that stay finite, softmax and its Jacobian, normal distributions, dropout.

    python examples/losses.py --picture losses.png

Covers S15-losses, D16-mse, D16-mae, D16-msle, D16-bce, D16-cce, D16-argmax, D16-softmax5, D16-softmax-jacobian,
D16-minmax, D16-gauss-density, D16-gauss-sample, D16-gauss-95, D16-dropout-configs and D16-dropout.
"""

from __future__ import annotations

import math
from typing import Any

from common import f64, heat, parser, table

import minitensor as mt
from minitensor import nn
from minitensor.func import grad, jacrev
from minitensor.learn import plot
from minitensor.nn import functional as F

X = (3, 1, 8, 6, 0)
HEIGHTS = (172, 165, 187, 181, 167, 184, 168, 174, 180, 186)


def regression() -> dict[str, float]:
    """S15-losses, D16-mse, D16-mae, D16-msle: means, and which pair weighs how much."""
    result = {}
    y, guess = f64([1, 2, 3]), f64([1.5, 2, 2])
    print("y = (1, 2, 3), F = (1.5, 2, 2): loss and gradient by F")
    for name, loss in (("mse", F.mse_loss), ("mae", F.l1_loss)):
        value, slope = loss(guess, y), grad(loss)(guess, y)
        print(f"  {name} {value:.6f}  {[round(v, 6) for v in slope.tolist()]}")
        result[f"S15 {name}"] = value.item()
    y, guess = f64([1, 2, 5, 1, 3]), f64([1.2, 1.9, 4.5, 1.1, 2.7])
    rows = [("squares", *F.mse_loss(guess, y, reduction="none").tolist(), F.mse_loss(guess, y).item())]
    rows += [("sizes", *F.l1_loss(guess, y, reduction="none").tolist(), F.l1_loss(guess, y).item())]
    print("y = (1, 2, 5, 1, 3) against (1.2, 1.9, 4.5, 1.1, 2.7): each term, and the mean")
    table(rows, ("", *"12345", "mean"))
    result |= {"mse": rows[0][-1], "mae": rows[1][-1]}
    y, guess = f64([1, 5, 10, 100]), f64([2, 4, 8, 105])
    logs = (y.log1p() - guess.log1p()).square()
    apart = (y - guess).abs()
    result["msle"] = logs.mean().item()
    print(f"y = (1, 5, 10, 100) against (2, 4, 8, 105): mean of squared logarithms {logs.mean():.6f};", end=" ")
    print(f"the last pair is {apart[-1] / apart.sum():.1%} of the mean distance, {logs[-1] / logs.sum():.1%} of this")
    return result


def classification() -> dict[str, Any]:
    """D16-bce, D16-argmax, D16-softmax5, D16-cce, D16-softmax-jacobian."""
    y, p = f64([1, 0, 1, 1, 0, 1]), f64([0.9, 0.2, 0.8, 1.0, 0.1, 0.7], requires_grad=True)
    loss = F.binary_cross_entropy(p, y)
    loss.backward()
    print(f"binary cross-entropy, one guess exactly 1: {loss:.9f}, gradient {[round(v, 6) for v in p.grad.tolist()]}")
    wrong = F.binary_cross_entropy(f64([0.0, 1.0]), f64([1.0, 0.0]))
    print(f"  wholly wrong guesses cost {wrong:.4f} each, not infinity: logarithms stop at -100;", end=" ")
    print(f"from logits 1000 the cost is {F.binary_cross_entropy_with_logits(f64([1000.0]), f64([0.0])):.1f}")
    x = f64(X)
    s = x.softmax(0)
    rank = int(x.argmax())
    print(f"X = {X}: the largest is number {rank} from 0, {rank + 1} from 1: {F.one_hot(x.argmax(), 5).tolist()}")
    print(f"  softmax {[round(v, 9) for v in s.tolist()]}, sum {s.sum():.15g}; of X + 1000 the same:", end=" ")
    print(mt.allclose((x + 1000).softmax(0), s))
    target = mt.tensor(2)  # rank 3
    cost = F.cross_entropy(x, target)
    slope = grad(F.cross_entropy)(x, target)
    one_hot = F.one_hot(target, 5).double()
    print(f"  categorical cross-entropy with rank 3: {cost:.9f} = -ln p_3; its gradient by X is p - y:", end=" ")
    print(mt.allclose(slope, s - one_hot))
    formula = mt.diag(s) - mt.outer(s, s)
    jacobian = jacrev(lambda x: x.softmax(0))(x)
    print("the Jacobian of softmax, s_i(1 - s_i) on the diagonal, -s_i s_j off it:")
    table(jacobian.tolist())
    print(f"  as by the formula: {mt.allclose(jacobian, formula, atol=1e-15)}; largest sum of a row or column", end=" ")
    print(f"{max(jacobian.sum(0).abs().max(), jacobian.sum(1).abs().max()):.1e}")
    return {"bce": loss.item(), "softmax": s, "cce": cost.item(), "jacobian": jacobian}


def scale(y: Any, a: float, b: float) -> Any:
    """D16-minmax: to the interval [a, b]."""
    return (y - y.min()) / (y.max() - y.min()) * (b - a) + a


def density(x: Any, sigma: Any, mu: float = 0.0) -> Any:
    """D16-gauss-density: of the normal distribution."""
    return (-0.5 * ((x - mu) / sigma) ** 2).exp() / (sigma * math.sqrt(2 * math.pi))


def normal() -> dict[str, Any]:
    """D16-minmax, D16-gauss-density, D16-gauss-sample, D16-gauss-95."""
    y = f64([0, 51, 255])
    print(f"0, 51, 255 to [0, 1]: {scale(y, 0, 1).tolist()}, as y/255: {(y / 255).tolist()}; to [-1, 1]:", end=" ")
    print(scale(y, -1, 1).tolist())
    line = mt.linspace(-30, 30, 60001, dtype=mt.float64)
    print("normal densities: sigma, area, second derivative at mu + sigma (0: the curve turns there), and beside it")
    second = grad(grad(density))
    rows = []
    for sigma in (0.5, 1.0, 2.0):
        area = mt.trapezoid(density(line, sigma), line).item()
        rows.append((sigma, area, *(second(f64(sigma * k), sigma).item() for k in (0.9, 1.0, 1.1))))
    table(rows, ("sigma", "area", "at 0.9 sigma", "at sigma", "at 1.1 sigma"))
    h = f64(HEIGHTS)
    mean, variance = h.mean(), h.var(correction=0)
    sigma = variance.sqrt()
    standard = (h - mean) / sigma
    print(f"heights: mean {mean:.6g}, variance {variance:.6g} (1/n), sigma {sigma:.6f},", end=" ")
    print(f"mu - 2 sigma ... mu + 2 sigma = {mean - 2 * sigma:.4f} ... {mean + 2 * sigma:.4f}")
    print("  standardised:", ", ".join(f"{v:.6f}" for v in standard.tolist()))
    inside = mt.special.ndtr(f64(2.0)) - mt.special.ndtr(f64(-2.0))
    mt.manual_seed(0)
    frequency = (mt.randn(100_000).abs() < 2).double().mean()
    print(
        f"P(-2 < Z < 2) = erf(sqrt 2) = {inside:.9f} ({math.erf(math.sqrt(2)):.9f}); in 100,000 samples {frequency:.5f}"
    )
    return {"mean": mean.item(), "variance": variance.item(), "standard": standard, "inside": inside.item()}


def dropout() -> dict[float, tuple[float, float]]:
    """D16-dropout-configs, D16-dropout."""
    print("on/off states of n neurons: " + ", ".join(f"n = {n}: {2**n:,}" for n in (5, 15)))
    result = {}
    for keep in (0.8, 0.5):
        mt.manual_seed(0)
        layer = nn.Dropout(1 - keep)
        x = mt.ones(100_000, dtype=mt.float64, requires_grad=True)
        y = layer(x)
        y.sum().backward()
        kept = (y != 0).double().mean().item()
        result[keep] = kept, y.mean().item()
        same = mt.equal(x.grad, y.detach())  # of ones: the mask and its scale
        still = mt.equal(layer.eval()(x), x)
        print(f"keep {keep}: {kept:.5f} kept, each divided by {keep}; the mean stays {y.mean():.5f};", end=" ")
        print(f"backward has the same mask: {same}; evaluation changes nothing: {still}")
    mt.manual_seed(1)
    net = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 1)).double()
    x = f64([[1.0, 2.0]])
    sampled = mt.cat([net(x) for _ in range(4000)]).flatten()
    whole = net.eval()(x).item()
    print(f"a small network: {whole:.5f} in evaluation; in training each time another,", end=" ")
    print(f"{sampled.mean():.5f} on average ({sampled.std():.3f} apart)")
    return result


def draw(path: str) -> None:
    """Softmax as bars, its Jacobian, the densities, the interval of 95 %."""
    fig = plot.figure(14, 3.8)
    bars, jacobian, curves, shaded = fig.subplots(1, 4)
    s = f64(X).softmax(0)
    bars.bar(range(5), s.tolist(), color=plot.BLUE)
    bars.set_xticks(range(5), [str(v) for v in X])
    bars.set(title="softmax of (3, 1, 8, 6, 0)", xlabel="entry", ylabel="probability")
    matrix = mt.diag(s) - mt.outer(s, s)
    names = [str(v) for v in X]
    heat(jacobian, matrix, names, names, digits=3, signed=True)
    jacobian.set(title="its Jacobian", xlabel="by the entry", ylabel="of the probability of")
    x = mt.linspace(-5, 5, 401, dtype=mt.float64)
    for sigma, colour in ((0.5, plot.BLUE), (1.0, "#E69F00"), (2.0, plot.VERMILION)):
        curves.plot(x.tolist(), density(x, sigma).tolist(), color=colour, label=f"sigma = {sigma:g}")
        turn = density(f64([-sigma, sigma]), sigma)
        curves.plot([-sigma, sigma], turn.tolist(), "o", color=colour, ms=4)
    curves.legend(frameon=False, fontsize=8, loc="upper left")
    curves.set(title="normal densities, where they turn", xlabel="x", ylabel="density")
    f = density(x, 1.0)
    shaded.plot(x.tolist(), f.tolist(), color=plot.BLUE)
    inside = [abs(v) <= 2 for v in x.tolist()]
    shaded.fill_between(x.tolist(), f.tolist(), where=inside, color=plot.BLUE, alpha=0.3)
    shaded.set(title="P(−2 < Z < 2) = 0.9545", xlabel="z", ylabel="density")
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    regression()
    classification()
    normal()
    dropout()
    if chosen.picture:
        draw(chosen.picture)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
