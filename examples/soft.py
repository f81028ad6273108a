"""Soft control flow: its functions at several sigma, and a program that learns its own threshold.

    python examples/soft.py --picture soft.png

Covers DP-17.50 to DP-17.57, DP-ifelse, DP-for and DP-while.
"""

from __future__ import annotations

import argparse
import math
from typing import Any

from common import f64

import minitensor as mt
from minitensor import soft
from minitensor.func import grad, jvp
from minitensor.learn import plot

SIGMAS = (1.0, 0.5, 0.1, 0.05)


def comparisons() -> None:
    """DP-17.50 to DP-17.53."""
    print("a, b: hard and soft (sigma = 0.1) a >= b, a <= b, a == b")
    for a, b in ((0.3, 0.5), (0.5, 0.3), (0.4, 0.4)):
        hard = [a >= b, a <= b, a == b]
        ours = [f(f64(a), b, 0.1).item() for f in (soft.greater_equal, soft.less_equal, soft.equal)]
        print(f"  {a} {b}   " + " ".join(f"{h:d}" for h in hard) + "   " + " ".join(f"{s:.6f}" for s in ours))
    slopes = [grad(lambda x, s=s: soft.greater_equal(x, 0.0, s))(f64(0.0)).item() for s in SIGMAS]
    print("slope at 0, which is 1/(4 sigma):", " ".join(f"{s:g}" for s in slopes))


def exclusive(a: Any, b: Any) -> Any:
    """Soft XOR."""
    return soft.logical_or(soft.logical_and(a, soft.logical_not(b)), soft.logical_and(soft.logical_not(a), b))


def logic() -> None:
    """DP-17.56 and DP-17.57."""
    print("logic: a b   and or xor")
    for a, b in ((0, 0), (0, 1), (1, 0), (1, 1), (0.9, 0.2)):
        values = [f(f64(float(a)), f64(float(b))).item() for f in (soft.logical_and, soft.logical_or, exclusive)]
        print(f"  {a:>4} {b:>4}   " + " ".join(f"{v:.4g}" for v in values))
    x = f64([3, 1, 8, 6, 0])
    print("argmax of 3 1 8 6 0: weights, soft rank")
    for sigma in (5.0, 1.0, 0.1):
        w = soft.argmax(x, sigma=sigma)
        print(f"  T = {sigma:<4}", " ".join(f"{v:.6f}" for v in w.tolist()), f"  {(w * mt.arange(5)).sum().item():.6f}")


def branches() -> None:
    """DP-ifelse, hard and soft."""
    print("if z1 >= 1: z1^2, else 3 z2, at (0.9, 2): value, by z1, by z2")
    for sigma in (None, 0.5, 0.1):

        def branch(z1: Any, z2: Any, sigma: Any = sigma) -> Any:
            c = (z1 >= 1).double() if sigma is None else soft.greater_equal(z1 - 1, 0.0, sigma)
            return soft.where(c, z1**2, 3 * z2)

        d1, d2 = grad(branch, argnums=(0, 1))(f64(0.9), f64(2.0))
        name = "hard" if sigma is None else f"sigma = {sigma}"
        print(f"  {name:<12} {branch(f64(0.9), f64(2.0)).item():.6f} {d1.item():.6f} {d2.item():.6f}")


def learn(sigma: float | None, steps: int = 500) -> list[float]:
    """The thresholds on the way, from 0.8, of a branch that should answer 1 for x >= 0.37. sigma None: the hard one."""
    x = mt.linspace(0, 1, 101, dtype=mt.float64)
    target = (x >= 0.37).double()

    def loss(theta: Any) -> Any:
        c = (x >= theta).double() if sigma is None else soft.greater_equal(x, theta, sigma)
        return ((soft.where(c, 1.0, 0.0) - target) ** 2).mean() + 0 * theta

    theta = f64(0.8)
    path = [theta.item()]
    for _ in range(steps):
        theta = theta - 0.02 * grad(loss)(theta)
        path.append(theta.item())
    return path


def loops() -> None:
    """DP-for and DP-while."""

    def logistic(r: Any, x: Any) -> Any:
        for _ in range(20):
            x = r * x * (1 - x)
        return x

    r, x, one, zero = f64(2.5), f64(0.3), f64(1.0), f64(0.0)
    back = grad(logistic, argnums=(0, 1))(r, x)
    front = [jvp(logistic, (r, x), v)[1] for v in ((one, zero), (zero, one))]
    print("20 turns of x <- r x (1 - x): value, by r and x0 in reverse and in forward mode")
    print(f"  {logistic(r, x).item():.10f}", *[f"{v.item():.10e}" for v in (*back, *front)])
    half = lambda s: s / 2  # noqa: E731
    print("while s >= 1: s / 2, from 10, at most 8 turns: result, derivative by the start")
    hard = lambda s: soft.while_loop(lambda s: s >= 1, half, s, 8)  # noqa: E731
    print(f"  {'hard':<12} {hard(f64(10.0)).item():.8f} {grad(hard)(f64(10.0)).item():.8f}")
    for sigma in (0.5, 0.1, 0.03, 0.01):
        run = lambda s, sigma=sigma: soft.while_loop(  # noqa: E731
            lambda s: soft.greater_equal(s, 1.0, sigma), half, s, 8
        )
        print(f"  sigma = {sigma:<4} {run(f64(10.0)).item():.8f} {grad(run)(f64(10.0)).item():.8f}")
    try:
        soft.while_loop(lambda s: s >= 1, half, f64(10.0), 3)
    except ArithmeticError as error:
        print("  hard, 3 turns:", error)

    def root(a: Any) -> Any:
        return soft.while_loop(lambda x: soft.not_equal(x * x, a, 1e-8), lambda x: 0.5 * (x + a / x), a, 12)

    print(
        "a square root by Newton, until x^2 softly equals 2:", f"{root(f64(2.0)).item():.10f}", f"{math.sqrt(2):.10f}"
    )


def draw(path: str, paths: dict[str, list[float]]) -> None:
    """The functions at several sigma, the surface of XOR and the learned threshold."""
    x = mt.linspace(-3, 3, 601, dtype=mt.float64)
    fig = plot.figure(11, 6.4)
    grid = fig.subplots(2, 3)
    curves = [
        ("x >= 0", lambda s: soft.greater_equal(x, 0.0, s)),
        ("x == 0, Gaussian", lambda s: soft.equal(x, 0.0, s)),
        ("x == 0, sech", lambda s: soft.equal(x, 0.0, s, "sech")),
    ]
    for axes, (name, f) in zip(grid[0], curves, strict=True):
        for sigma, colour in zip(SIGMAS, ("#56B4E9", plot.BLUE, "#E69F00", plot.VERMILION), strict=True):
            axes.plot(x.tolist(), f(sigma).tolist(), color=colour, label=f"sigma = {sigma:g}")
        axes.set(title=name, xlabel="x", ylabel="soft value")
        axes.grid(alpha=0.3)
    grid[0][0].legend(frameon=False, fontsize=8)
    side = mt.linspace(0, 1, 51, dtype=mt.float64)
    surface = exclusive(side[:, None], side[None, :])
    levels = grid[1][0].contourf(side.tolist(), side.tolist(), surface.numpy(), 10, cmap="viridis")
    fig.colorbar(levels, ax=grid[1][0])
    grid[1][0].set(title="a xor b", xlabel="b", ylabel="a")
    both = soft.equal(side[:, None], side[None, :], 0.05)
    levels = grid[1][1].contourf(side.tolist(), side.tolist(), both.numpy(), 10, cmap="viridis")
    fig.colorbar(levels, ax=grid[1][1])
    grid[1][1].set(title="a == b, sigma = 0.05", xlabel="b", ylabel="a")
    for (name, way), colour in zip(paths.items(), (plot.BLUE, plot.VERMILION), strict=True):
        grid[1][2].plot(way, color=colour, label=name)
    grid[1][2].axhline(0.37, color="grey", lw=0.8, label="true: 0.37")
    grid[1][2].set(title="a learned threshold", xlabel="step", ylabel="threshold")
    grid[1][2].legend(frameon=False)
    fig.savefig(path)
    print("picture:", path)


def main() -> None:
    """Prints the tables and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", help="file for the picture")
    options = parser.parse_args()
    comparisons()
    logic()
    branches()
    loops()
    paths = {"soft, sigma = 0.05": learn(0.05), "hard": learn(None)}
    print("threshold after 500 steps:", {name: round(way[-1], 6) for name, way in paths.items()})
    if options.picture:
        draw(options.picture, paths)


if __name__ == "__main__":
    main()
