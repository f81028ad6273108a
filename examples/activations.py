"""Activation functions: the step, ReLU, the sigmoid, tanh, GELU and its two approximations, with their derivatives.

    python examples/activations.py --picture activations.png

Covers D15-step-relu, D16-sigmoid, D17-tanh, D16-sigmoid-heaviside and D18-gelu.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from common import f64, parser, table

import minitensor as mt
from minitensor.func import grad, vmap
from minitensor.learn import plot
from minitensor.nn import functional as F


def step(x: Any) -> Any:
    """H: 0 below 0, 1 from 0 on; its derivative is 0 everywhere."""
    return (x >= 0).to(x.dtype) + 0 * x


def pieces(x: Any, a: float = 0.5, b: float = 2.0) -> Any:
    """a x for x < 0, b x from 0 on."""
    return mt.where(x < 0, a * x, b * x)


def gelu_tanh(x: Any) -> Any:
    """GELU's approximation x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))); the book's print has two faults."""
    return 0.5 * x * (1 + mt.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def gelu_sigmoid(x: Any) -> Any:
    """GELU's approximation x sigmoid(1.702 x)."""
    return x * mt.sigmoid(1.702 * x)


def slope(f: Callable[[Any], Any], x: Any) -> Any:
    """f' at many places."""
    return vmap(grad(f))(x)


def simple() -> None:
    """D15-step-relu, D16-sigmoid, D17-tanh, D16-sigmoid-heaviside."""
    x = f64([-2, -0.5, 0, 0.5, 3])
    affine = lambda x: 2 * x + 1  # noqa: E731
    print("at -2, -0.5, 0, 0.5, 3: the value, and the derivative below")
    rows = []
    for name, f in (("H", step), ("2x + 1", affine), ("x/2 below 0, 2x from 0", pieces), ("ReLU", mt.relu)):
        rows += [(name, *f(x).tolist()), ("derivative", *slope(f, x).tolist())]
    table(rows)
    twice = lambda x: 3 * affine(x) - 4  # noqa: E731
    print("  3(2x + 1) - 4 is affine again, 6x - 1:", mt.allclose(twice(x), 6 * x - 1))
    zero = f64(0.0)
    second = grad(grad(mt.sigmoid))
    print(
        f"sigmoid at 0: {mt.sigmoid(zero):g}, first derivative {grad(mt.sigmoid)(zero):g}, second {second(zero):g};",
        end=" ",
    )
    print(f"tangent 1/2 + x/4; at -1000 and 1000: {mt.sigmoid(f64([-1000.0, 1000.0])).tolist()}, no overflow")
    grid = mt.linspace(-6, 6, 49, dtype=mt.float64)
    s = mt.sigmoid(grid)
    e = (-grid).exp()
    first = slope(mt.sigmoid, grid)
    print(
        "  derivative = s(1 - s) = e^-x/(1 + e^-x)^2:",
        mt.allclose(first, s * (1 - s)),
        mt.allclose(first, e / (1 + e) ** 2),
    )
    grid = mt.linspace(-5, 5, 41, dtype=mt.float64)
    t = mt.tanh(grid)
    print("tanh x = 2 sigmoid(2x) - 1:", mt.allclose(t, 2 * mt.sigmoid(2 * grid) - 1), "; odd:", end=" ")
    print(mt.equal(t, -mt.tanh(-grid)), "; derivative 1 - tanh^2:", mt.allclose(slope(mt.tanh, grid), 1 - t**2))
    scores = f64([-3, -0.1, 0.1, 3])
    print("cat (0) or dog (1)? H decides as sigmoid >= 1/2 does, and sigmoid says how surely:")
    said = zip(scores.tolist(), step(scores).tolist(), mt.sigmoid(scores).tolist(), strict=True)
    table([(x, int(h), p) for x, h, p in said], ("x", "H(x)", "sigmoid(x)"))


def newton(f: Callable[[Any], Any], x: float, steps: int = 8) -> float:
    """A zero of f' by Newton: x <- x - f'/f''."""
    point = f64(x)
    for _ in range(steps):
        point = point - grad(f)(point) / grad(grad(f))(point)
    return point.item()


def gelu() -> dict[str, float]:
    """D18-gelu."""
    x = f64([-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3])
    print("GELU = x Phi(x) = x/2 (1 + erf(x / sqrt 2)), its two approximations, its derivative, ReLU")
    exact = F.gelu(x)
    kinds = (exact, gelu_tanh(x), gelu_sigmoid(x), slope(F.gelu, x), mt.relu(x))
    table(
        list(zip(x.tolist(), *(k.tolist() for k in kinds), strict=True)),
        ("x", "GELU", "by tanh", "by sigmoid", "GELU'", "ReLU"),
    )
    grid = mt.linspace(-4, 4, 80_001, dtype=mt.float64)
    result = {}
    for name, f in (("tanh", gelu_tanh), ("sigmoid", gelu_sigmoid)):
        error = (f(grid) - F.gelu(grid)).abs()
        at = int(error.argmax())
        result[name] = error[at].item()
        print(f"  by {name}: off by {error[at]:.6f} at most, at x = {abs(grid[at].item()):.4f}")
    print(
        "  F.gelu(approximate='tanh') is the first of them:", mt.allclose(F.gelu(x, approximate="tanh"), gelu_tanh(x))
    )
    least = newton(F.gelu, -0.7)
    result["least"] = least
    print(f"  its minimum by Newton on the derivative: {F.gelu(f64(least)):.9f} at {least:.9f},", end=" ")
    inside = slope(F.gelu, mt.linspace(-5, 5, 2001, dtype=mt.float64))
    print(
        f"the only place where the derivative is 0: it changes sign {int((inside.sign().diff() != 0).sum())} time there"
    )
    return result


def draw(path: str) -> None:
    """The functions, their derivatives, GELU and what its approximations miss."""
    fig = plot.figure(14, 7.6)
    (one, two, three), (density, four, errors) = fig.subplots(2, 3)
    plot.function(
        [step, pieces, mt.relu], (-2, 3), label=["H", "x/2 and 2x", "ReLU"], title="functions made of pieces", ax=one
    )
    plot.function(mt.sigmoid, (-6, 6), tangents=[0.0], label="sigmoid", title="the sigmoid against H", ax=two)
    plot.function(step, (-6, 6), label="H", ax=two)
    curves = [mt.sigmoid, mt.tanh, lambda x: slope(mt.sigmoid, x), lambda x: slope(mt.tanh, x)]
    names = ["sigmoid", "tanh", "sigmoid'", "tanh'"]
    plot.function(curves, (-5, 5), label=names, title="sigmoid and tanh with their derivatives", ax=three)
    gauss = lambda x: (-0.5 * x**2).exp() / math.sqrt(2 * math.pi)  # noqa: E731
    plot.function(
        [gauss, mt.special.ndtr],
        (-4, 4),
        label=["density", "Φ"],
        title="the normal density and Φ: GELU is x Φ(x)",
        ax=density,
    )
    curves = [F.gelu, mt.relu, lambda x: slope(F.gelu, x)]
    plot.function(curves, (-4, 4), label=["GELU", "ReLU", "GELU'"], title="GELU beside ReLU", ax=four)
    missing = [lambda x: gelu_tanh(x) - F.gelu(x), lambda x: gelu_sigmoid(x) - F.gelu(x)]
    plot.function(
        missing, (-4, 4), label=["by tanh", "by sigmoid(1.702 x)"], title="errors of two approximations", ax=errors
    )
    errors.legend(frameon=False, loc="lower center")
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    simple()
    gelu()
    if chosen.picture:
        draw(chosen.picture)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
