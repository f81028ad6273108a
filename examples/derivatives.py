"""Derivatives of functions of one variable: by difference quotients, by the rules, by autograd, to any order.

    python examples/derivatives.py --pictures derivatives

Covers N04-math-functions, N05-plots-1d, D01-first-derivatives, D02-linear-approx, D03-tangent-sqrt,
D04-derivative-table, D05-algebra-rules, D06-chain-rule, D20-second-derivatives, D21-convexity-extrema,
D15-grad-square, D15-grad-vector, TIPS-geometric, TIPS-taylor, TIPS-chain-rule and TD-Q1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import f64, parser, table

import minitensor as mt
from minitensor.func import grad
from minitensor.learn import plot

Function = Callable[[Any], Any]
STEPS = [10.0**-k for k in range(1, 7)]


def slope(f: Function, x: float) -> float:
    """f'(x) by autograd."""
    return float(grad(f)(f64(x)).item())


def difference(f: Function, x: float, h: float = 1e-5) -> float:
    """The central difference of f at x."""
    return float((f(f64(x + h)) - f(f64(x - h))).item() / (2 * h))


# name: (function, its derivative by hand as a formula of Python's math, a place)
ELEMENTARY: dict[str, tuple[Function, Callable[[float], float], float]] = {
    "x^2.5": (lambda x: x**2.5, lambda x: 2.5 * x**1.5, 1.7),
    "sqrt": (mt.sqrt, lambda x: 0.5 / math.sqrt(x), 1.7),
    "exp": (mt.exp, math.exp, 0.4),
    "log": (mt.log, lambda x: 1 / x, 1.7),
    "log10": (mt.log10, lambda x: 1 / (x * math.log(10)), 1.7),
    "cos": (mt.cos, lambda x: -math.sin(x), 0.4),
    "sin": (mt.sin, math.cos, 0.4),
    "tan": (mt.tan, lambda x: 1 + math.tan(x) ** 2, 0.4),
    "arccos": (mt.acos, lambda x: -1 / math.sqrt(1 - x * x), 0.4),
    "arcsin": (mt.asin, lambda x: 1 / math.sqrt(1 - x * x), 0.4),
    "arctan": (mt.atan, lambda x: 1 / (1 + x * x), 0.4),
    "cosh": (mt.cosh, math.sinh, 0.4),
    "sinh": (mt.sinh, math.cosh, 0.4),
    "tanh": (mt.tanh, lambda x: 1 - math.tanh(x) ** 2, 0.4),
} | {
    f"x^{n}": (lambda x, n=n: x ** float(n), lambda x, n=n: n * x ** (n - 1.0) if n else 0.0, 1.7) for n in range(-3, 6)
}  # fmt: skip


def inside(x: Any) -> Any:
    """u(x) = (x^2 + 1)/4 of D04's compositions: u' = x/2."""
    return (x**2 + 1) / 4


def every_function() -> dict[str, tuple[float, float, float, float, float]]:
    """N04, D04: f(x), f'(x) by hand, by autograd, by differences, and (f o u)' by autograd over its formula."""
    found = {}
    for name, (f, by_hand, x) in ELEMENTARY.items():
        u = (x * x + 1) / 4
        composed = slope(lambda x, f=f: f(inside(x)), x)
        known = by_hand(u) * x / 2
        found[name] = (f(f64(x)).item(), by_hand(x), slope(f, x), difference(f, x), composed - known)
    print("every elementary function: value, derivative by hand, by autograd, by differences; error of f((x² + 1)/4)'")
    table(
        [(name, *row) for name, row in found.items()], ["f", "f(x)", "by hand", "autograd", "differences", "composed"]
    )
    x = mt.arange(6, dtype=mt.float64)
    print("N04: X =", x.tolist())
    for name, y in (("sqrt X", mt.sqrt(x)), ("X^2", x**2), ("cos(2 pi X/360)", mt.cos(2 * math.pi * x / 360))):
        print(f"  {name:<16}", " ".join(f"{v:.6g}" for v in y.tolist()))
    return found


def quotients() -> dict[str, list[float]]:
    """D01: the error of (f(x0 + h) - f(x0))/h for smaller and smaller h."""
    cases: dict[str, tuple[Function, float, float]] = {
        "x² at 1": (lambda x: x**2, 1.0, slope(lambda x: x**2, 1.0)),
        "(e^x - 1)/x at 0": (mt.exp, 0.0, slope(mt.exp, 0.0)),
    }
    found = {}
    for name, (f, x, exact) in cases.items():
        found[name] = [((f(f64(x + h)) - f(f64(x))).item() / h - exact) for h in STEPS]
        print(f"D01: {name}, by autograd {exact:g}; the error falls as h")
        table(
            [(h, exact + e, e, e / h) for h, e in zip(STEPS, found[name], strict=True)],
            ["h", "quotient", "error", "error/h"],
        )
    return found


def linear() -> list[tuple[str, float, float]]:
    """D02: f(x0) + h f'(x0) beside f(x0 + h)."""
    cases: list[tuple[str, Function, float, float]] = [("sin 0.01", mt.sin, 0.0, 0.01), ("sqrt 1.1", mt.sqrt, 1.0, 0.1)]
    rows = [(name, f(f64(x)).item() + h * slope(f, x), f(f64(x + h)).item()) for name, f, x, h in cases]
    print("D02: a tangent in place of the curve")
    table([(*row, row[1] - row[2]) for row in rows], ["", "tangent", "curve", "error"], digits=9)
    return rows


def tangent() -> tuple[float, float]:
    """D03: slope and intercept of the tangent to the square root at 1."""
    a = slope(mt.sqrt, 1.0)
    b = mt.sqrt(f64(1.0)).item() - a
    print(f"D03: the tangent to sqrt at 1: y = {a:g} x + {b:g}")
    return a, b


def rules() -> dict[str, tuple[float, float]]:
    """D05 and D06: each derivative by its rule, and by autograd."""
    sin, cos, exp, log, tan = math.sin, math.cos, math.exp, math.log, math.tan
    x, y = 2.0, 0.7
    found = {
        "sum: x² + cos x": (2 * x - sin(x), slope(lambda x: x**2 + mt.cos(x), x)),
        "product: x³ sin x": (3 * x**2 * sin(x) + x**3 * cos(x), slope(lambda x: x**3 * mt.sin(x), x)),
        "quotient: ln x / e^x": (
            (exp(x) / x - log(x) * exp(x)) / exp(x) ** 2,
            slope(lambda x: mt.log(x) / mt.exp(x), x),
        ),
    }
    chains: dict[str, tuple[Function, Function, float, float]] = {
        "sin(3x)": (lambda x: 3 * x, mt.sin, 3.0, cos(3 * y)),
        "ln(cos x)": (mt.cos, mt.log, -sin(y), 1 / cos(y)),
        "sqrt(tan x)": (mt.tan, mt.sqrt, 1 + tan(y) ** 2, 0.5 / math.sqrt(tan(y))),
    }
    print("D05, D06: by the rules, and by autograd; of a chain also its factors dz/dy and dy/dx")
    for name, (inner, outer, dy, dz) in chains.items():
        factors = slope(outer, inner(f64(y)).item()), slope(inner, y)
        found[name] = dz * dy, factors[0] * factors[1]
        whole = slope(lambda x, inner=inner, outer=outer: outer(inner(x)), y)
        print(f"  {name}: {factors[0]:.6f} · {factors[1]:.6f} = {factors[0] * factors[1]:.6f}, at once {whole:.6f}")
    table([(name, *pair) for name, pair in found.items()], ["", "rule", "autograd"], digits=9)
    return found


def second() -> list[tuple[str, float]]:
    """D20: differentiated twice."""
    cases: list[tuple[str, Function, float]] = [
        ("x³ at -2", lambda x: x**3, -2.0), ("sin at 1", mt.sin, 1.0), ("e^(x²) at 0.5", lambda x: mt.exp(x**2), 0.5)
    ]  # fmt: skip
    found = [(name, slope(grad(f), x)) for name, f, x in cases]
    print("D20: second derivatives")
    table(found, digits=9)
    return found


def cubic(x: Any) -> Any:
    """x³ - 2x² + 2 of D21."""
    return x**3 - 2 * x**2 + 2


def extrema() -> list[tuple[float, float, str]]:
    """D21: (where f' is 0, f'' there, the kind), by Newton's method on f'."""
    found = []
    for start in (-1.0, 2.0):
        x = start
        for _ in range(30):
            x -= slope(cubic, x) / slope(grad(cubic), x)
        bend = slope(grad(cubic), x)
        found.append((x, bend, "minimum" if bend > 0 else "maximum"))
    print("D21: x³ - 2x² + 2")
    table(found, ["x", "f''", "kind"])
    return found


def tape() -> tuple[float, list[tuple[float, float, float]]]:
    """D15-grad-square and D15-grad-vector: what a tape would give, by requires_grad and backward."""
    x = f64(3.0, requires_grad=True)
    (x**2).backward()
    points = f64([1, 1.5, 2, 2.5, 3, 3.5], requires_grad=True)
    y = 2 * mt.log(points) + mt.exp(-points)
    y.sum().backward()  # each point's own derivative: the others do not depend on it
    rows = list(zip(points.tolist(), y.tolist(), points.grad.tolist(), strict=True))
    print(f"D15: x² at 3 has the derivative {x.grad.item():g}; 2 ln x + e^(-x) at many points at once")
    table(rows, ["x", "f", "f'"])
    return x.grad.item(), rows


def geometric() -> dict[float, list[tuple[int, float, float, float]]]:
    """TIPS-geometric: (n, partial sum, limit minus it, x^(n+1)/(1-x)), and the derivative of both sides."""
    found = {}
    for x in (0.5, -0.3, 0.9):
        total, rows = 0.0, []
        for n in range(31):
            total += x**n
            rows.append((n, total, 1 / (1 - x) - total, x ** (n + 1) / (1 - x)))
        found[x] = rows
        sums = slope(lambda x: sum(x**n for n in range(1, 400)), x)
        limit = slope(lambda x: 1 / (1 - x), x)
        print(f"1 + x + x² + ... at {x:g}; derivative of 400 terms {sums:.9f}, of 1/(1 - x) {limit:.9f}")
        table([rows[n] for n in (0, 1, 5, 10, 30)], ["n", "sum", "error", "x^(n+1)/(1-x)"])
    return found


def derivatives(f: Function, x: float, order: int) -> list[float]:
    """f, f', ..., f^(order) at x, by differentiating again and again."""
    found, g = [], f
    for _ in range(order + 1):
        found.append(g(f64(x)).item())
        g = grad(g)
    return found


def polynomial(coefficients: list[float], at: float) -> Function:
    """The Taylor polynomial with these derivatives at a place."""
    return lambda x: sum(c * (x - at) ** k / math.factorial(k) for k, c in enumerate(coefficients)) + 0 * x


TAYLOR: dict[str, tuple[Function, float, float]] = {
    "exp at 0": (mt.exp, 0.0, 0.8), "sin at 1": (mt.sin, 1.0, 1.8), "sqrt at 1": (mt.sqrt, 1.0, 1.5)
}  # fmt: skip


def taylor() -> dict[str, list[tuple[int, float, float, float]]]:
    """TIPS-taylor: (n, derivative of order n, f - polynomial, the integral of the remainder by Simpson's rule)."""
    found = {}
    for name, (f, at, x) in TAYLOR.items():
        known = derivatives(f, at, 5)
        rows = []
        for n in range(6):
            g = f
            for _ in range(n + 1):
                g = grad(g)
            t = mt.linspace(at, x, 201, dtype=mt.float64)
            inner = mt.func.vmap(g)(t) * (x - t) ** n / math.factorial(n)
            weight = mt.ones(201, dtype=mt.float64)
            weight[1:-1:2], weight[2:-1:2] = 4.0, 2.0
            integral = ((x - at) / 600 * (weight * inner).sum()).item()
            error = f(f64(x)).item() - polynomial(known[: n + 1], at)(f64(x)).item()
            rows.append((n, known[n], error, integral))
        found[name] = rows
        print(f"Taylor: {name}, remainder at {x:g}")
        table(rows, ["n", "derivative", "f - polynomial", "integral"], digits=9)
    return found


def model() -> tuple[list[float], list[float]]:
    """TIPS-chain-rule: dL/dtheta as dL/dy dy/dtheta, and at once."""
    theta, x, t = f64([0.8, -0.5]), 1.5, 0.2
    y = lambda theta: theta[0] * mt.tanh(theta[1] * x)  # noqa: E731
    outer, inner = grad(lambda y: (y - t) ** 2)(y(theta)), grad(y)(theta)
    whole = grad(lambda theta: (y(theta) - t) ** 2)(theta)
    print(f"dL/dy = {outer.item():.6f}, dy/dtheta = {inner.tolist()}, product {(outer * inner).tolist()}")
    print(f"  at once {whole.tolist()}")
    return (outer * inner).tolist(), whole.tolist()


def expansion(t: float = 0.3) -> list[tuple[float, float, float]]:
    """TD-Q1: (h, eps(h), f'(g) eps_g + (g' + eps_g) eps_f) of sin(exp(t + h))."""
    rows = []
    g, dg = math.exp(t), slope(mt.exp, t)
    df = slope(mt.sin, g)
    for h in STEPS:
        k = math.exp(t + h) - g  # what exp adds
        eps_g = k / h - dg
        eps_f = (math.sin(g + k) - math.sin(g)) / k - df
        whole = (math.sin(math.exp(t + h)) - math.sin(g)) / h - slope(lambda t: mt.sin(mt.exp(t)), t)
        rows.append((h, whole, df * eps_g + (dg + eps_g) * eps_f))
    print("TD-Q1: sin(exp(t + h)) = sin(exp t) + h (...)' + h eps(h)")
    table(rows, ["h", "eps(h)", "by its parts"])
    return rows


def draw(folder: Path) -> None:
    """The pictures."""
    folder.mkdir(parents=True, exist_ok=True)

    def save(name: str, axes: Any) -> None:
        plot.save(axes, folder / f"{name}.png")

    figure = plot.figure(12, 7)
    grid = figure.subplots(2, 3)
    plot.function(mt.cos, (0, 10), n=100, title="cos x", ax=grid[0, 0])
    plot.function(lambda x: mt.exp(-(x**2)), (-3, 3), n=100, title="e^(−x²)", ax=grid[0, 1])
    x, y = [0, 1, 2, 3, 4, 5], [0, 1, 4, 1, 3, 2]
    plot.function(f64(y), x, title="a broken line, its points", ax=grid[0, 2], equal=True).plot(
        x, y, "o", color="black"
    )
    plot.function(lambda x: mt.exp(-x) * mt.cos(2 * math.pi * x), (0, 5), n=100, title="e^(−x) cos 2πx", ax=grid[1, 0])
    sigmoids = [lambda x, k=k: 1 / (1 + mt.exp(-k * x)) for k in (1, 2, 3, 4)]
    plot.function(sigmoids, (-5, 5), label=[f"k = {k}" for k in (1, 2, 3, 4)], title="1/(1 + e^(−kx))", ax=grid[1, 1])
    plot.function(lambda x: x * mt.cos(x), (-10, 10), title="x cos x", ax=grid[1, 2])
    save("N05-curves", grid)
    save("D03-tangent", plot.function(mt.sqrt, (0, 4), tangents=[1.0], label="√x", title="D03: the tangent to √x at 1"))
    axes = plot.function([cubic, grad_of(cubic), grad_of(grad_of(cubic))], (-0.8, 2.2), label=["f", "f'", "f''"],
                         title="D21: x³ − 2x² + 2")  # fmt: skip
    for place, bend, kind in extrema():
        axes.plot(place, cubic(place), "^" if bend > 0 else "v", color="black", ms=9, zorder=5)
        axes.annotate(kind, (place, cubic(place)), (0, -20 if bend > 0 else 9), textcoords="offset points", ha="center")
    axes.axhline(0, color="black", lw=0.6)
    save("D21-extrema", axes)
    f = lambda x: 2 * mt.log(x) + mt.exp(-x)  # noqa: E731
    save("D15-curve-and-slope", plot.function([f, grad_of(f)], (1, 4), label=["f", "f'"], title="D15: 2 ln x + e^(−x)"))
    figure = plot.figure(13, 4.2)
    every = figure.subplots(1, 3)
    for axes, (name, (f, at, _)) in zip(every, TAYLOR.items(), strict=True):
        known, low = derivatives(f, at, 5), {"exp at 0": -2.5, "sin at 1": -3.0, "sqrt at 1": 0.0}[name]
        several = [f, *[polynomial(known[: n + 1], at) for n in (1, 2, 3, 5)]]
        high = 2 * at - low if at else 2.5
        plot.function(several, (low, high), label=["f", *[f"order {n}" for n in (1, 2, 3, 5)]], title=name, ax=axes)
        axes.plot(at, known[0], "o", color="black", zorder=5)
        values = f(mt.linspace(low, high, 50, dtype=mt.float64))
        axes.set_ylim(values.min().item() - 1, values.max().item() + 1)
    save("TIPS-taylor", every)
    print("pictures:", folder)


def grad_of(f: Function) -> Function:
    """f' at many places at once: the gradient of the sum."""
    return lambda x: grad(lambda x: f(x).sum())(x)


def main() -> None:
    """Prints the tables and draws the pictures."""
    folder = parser(__doc__, pictures=True).parse_args().pictures
    for part in (
        every_function,
        quotients,
        linear,
        tangent,
        rules,
        second,
        extrema,
        tape,
        geometric,
        taylor,
        model,
        expansion,
    ):
        part()  # type: ignore[operator]
    if folder is not None:
        draw(folder)


if __name__ == "__main__":
    main()
