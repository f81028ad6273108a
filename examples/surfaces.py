"""Functions of several variables: surfaces, level lines, gradients, Hessians, and linear maps that approximate.

    python examples/surfaces.py --pictures surfaces

Covers W03-meshgrid, W07-plots-2d, F01-multivar-functions, F02-x-exp-graph, F07-level-curves-r2, F08-level-curves-sin,
F09-quadrics, G01-partial-derivatives, G02-gradients, G03-ellipse-tangent, G04-directional-derivative,
G05-linear-approx-2d, G06-critical-points, G07-gradient-fields, D15-grad-xy2, D15-grad-saddle and TD-Q2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from common import f64, parser, table

import minitensor as mt
from minitensor.func import grad, hessian, jacrev, jvp
from minitensor.learn import plot

Function = Callable[[Any], Any]


# --- values and gradients ---------------------------------------------------------------------------------------------

# name: (function of one vector, a point, its gradient by hand as a formula)
FUNCTIONS: dict[str, tuple[Function, tuple[float, ...], Callable[..., Sequence[float]]]] = {
    "F01 2x + 3y² + 1": (lambda p: 2 * p[0] + 3 * p[1] ** 2 + 1, (1.0, 2.0), lambda x, y: (2, 6 * y)),
    "F01 cos(xy)": (
        lambda p: mt.cos(p[0] * p[1]), (0.5, 2.0), lambda x, y: (-y * math.sin(x * y), -x * math.sin(x * y))
    ),
    "F01 √(x² + y²)": (
        lambda p: mt.sqrt(p[0] ** 2 + p[1] ** 2), (3.0, 4.0), lambda x, y: (x / math.hypot(x, y), y / math.hypot(x, y))
    ),
    "F01 PV/(nR)": (
        lambda p: p[0] * p[1] / (p[2] * 8.314), (1e5, 0.02, 0.8),
        lambda P, V, n: (V / (n * 8.314), P / (n * 8.314), -P * V / (n * n * 8.314)),
    ),
    "F01 |a x0 + b y0 + c|/√(a² + b²), by a, b, c": (
        lambda p: mt.abs(2 * p[0] + 3 * p[1] + p[2]) / mt.sqrt(p[0] ** 2 + p[1] ** 2), (3.0, 4.0, 1.0),
        lambda a, b, c: (2 / 5 - 19 * 3 / 125, 3 / 5 - 19 * 4 / 125, 1 / 5),
    ),
    "F01 affine 2x − y + 3z + 4": (lambda p: 2 * p[0] - p[1] + 3 * p[2] + 4, (1.0, 2.0, 3.0), lambda *_: (2, -1, 3)),
    "F01 x² + y² + z²": (lambda p: (p**2).sum(), (1.0, 2.0, 3.0), lambda x, y, z: (2 * x, 2 * y, 2 * z)),
    "F01 abh/3": (
        lambda p: p[0] * p[1] * p[2] / 3, (2.0, 3.0, 4.0), lambda a, b, h: (b * h / 3, a * h / 3, a * b / 3)
    ),
    "F01 distance from (1,1,1,1)": (
        lambda p: mt.sqrt(((p - 1) ** 2).sum()), (2.0, 3.0, 1.0, -1.0),
        lambda *p: [(x - 1) / 3 for x in p],  # the distance is 3
    ),
    "G01 x² e^(3y)": (
        lambda p: p[0] ** 2 * mt.exp(3 * p[1]), (1.0, 0.5),
        lambda x, y: (2 * x * math.exp(3 * y), 3 * x * x * math.exp(3 * y)),
    ),
    "G01 cos(x + y²) e^(−z)": (
        lambda p: mt.cos(p[0] + p[1] ** 2) * mt.exp(-p[2]), (1.0, 0.5, 0.2),
        lambda x, y, z: (
            -math.sin(x + y * y) * math.exp(-z),
            -2 * y * math.sin(x + y * y) * math.exp(-z),
            -math.cos(x + y * y) * math.exp(-z),
        ),
    ),
    "G01 Σ x_i²": (lambda p: (p**2).sum(), (0.5, -1.0, 2.0, 3.0), lambda *p: [2 * x for x in p]),
    "G02 x² y³": (lambda p: p[0] ** 2 * p[1] ** 3, (2.0, 1.0), lambda x, y: (2 * x * y**3, 3 * x * x * y * y)),
    "G02 x² sin(yz)": (
        lambda p: p[0] ** 2 * mt.sin(p[1] * p[2]), (1.0, 0.5, 2.0),
        lambda x, y, z: (2 * x * math.sin(y * z), x * x * z * math.cos(y * z), x * x * y * math.cos(y * z)),
    ),
    "D15 x y²": (lambda p: p[0] * p[1] ** 2, (2.0, 3.0), lambda x, y: (y * y, 2 * x * y)),
}  # fmt: skip


def gradients() -> dict[str, tuple[float, list[float], list[float]]]:
    """F01, G01, G02, D15-grad-xy2: (value, gradient by autograd, gradient by hand)."""
    found = {}
    for name, (f, point, by_hand) in FUNCTIONS.items():
        p = f64(point)
        found[name] = f(p).item(), grad(f)(p).tolist(), [float(x) for x in by_hand(*point)]
    print("values and gradients, by autograd and by hand")
    show = lambda v: "(" + ", ".join(f"{x:.6g}" for x in v) + ")"  # noqa: E731
    table([(n, show(FUNCTIONS[n][1]), v, show(g), show(h)) for n, (v, g, h) in found.items()],
          ["f", "at", "value", "autograd", "by hand"])  # fmt: skip
    return found


def meshgrid() -> tuple[Any, Any, Any]:
    """W03: X varies along the columns, Y along the rows."""
    side = mt.linspace(0, 2, 5)
    x, y = mt.meshgrid(side, side, indexing="xy")
    z = x**2 + y**2
    for name, array in (("X", x), ("Y", y), ("Z = X² + Y²", z)):
        print(f"W03: {name}")
        table(array.tolist())
    return x, y, z


# --- the gradient and the level line ----------------------------------------------------------------------------------


def ellipse(p: Any) -> Any:
    """x²/4 + y² of G03."""
    return p[0] ** 2 / 4 + p[1] ** 2


def tangent_of_ellipse(angle: float = 0.8) -> tuple[list[float], list[float], float]:
    """G03: the point, the gradient there, and its product with the tangent's direction."""
    point = f64([2 * math.cos(angle), math.sin(angle)])
    direction = f64([-2 * math.sin(angle), math.cos(angle)])
    g = grad(ellipse)(point)
    product = (g * direction).sum().item()
    print(f"G03: at {point.tolist()} the gradient is {g.tolist()}; times the tangent {product:.2g}")
    return point.tolist(), g.tolist(), product


def cubic(p: Any) -> Any:
    """x² y³ of G04."""
    return p[0] ** 2 * p[1] ** 3


def directional() -> tuple[tuple[float, float, float], list[float]]:
    """G04: D_v f by forward mode, by the gradient, by differences; and along 360 directions."""
    p, v, h = f64([2.0, 1.0]), f64([0.6, 0.8]), 1e-6
    g = grad(cubic)(p)
    three = (
        jvp(cubic, (p,), (v,))[1].item(),
        (g * v).sum().item(),
        ((cubic(p + h * v) - cubic(p - h * v)) / (2 * h)).item(),
    )
    around = [jvp(cubic, (p,), (f64([math.cos(a), math.sin(a)]),))[1].item() for a in map(math.radians, range(360))]
    best = max(range(360), key=lambda k: around[k])
    print(f"G04: along (0.6, 0.8): jvp {three[0]:.9g}, <grad, v> {three[1]:.9g}, differences {three[2]:.9g}")
    print(f"     largest at {best} degrees; the gradient points to {math.degrees(math.atan2(g[1], g[0])):.4f}")
    return three, around


def approximation(h: float = 0.002, k: float = -0.003) -> tuple[float, float]:
    """G05: x²y near (1, 1) by its tangent plane, and truly."""
    f, p = lambda p: p[0] ** 2 * p[1], f64([1.0, 1.0])
    step = f64([h, k])
    plane, true = (f(p) + (grad(f)(p) * step).sum()).item(), f(p + step).item()
    print(f"G05: x²y at (1.002, 0.997): plane {plane:.9f}, truly {true:.9f}, error {true - plane:.3g}")
    return plane, true


def saddle_and_hill(p: Any) -> Any:
    """x² − y³ + xy of G06."""
    return p[0] ** 2 - p[1] ** 3 + p[0] * p[1]


def kind(h: Any) -> str:
    """What the eigenvalues of a Hessian say of a critical point."""
    values = mt.linalg.eigvalsh(h).tolist()
    return (
        "minimum" if values[0] > 0 else "maximum" if values[-1] < 0 else "saddle" if values[0] * values[-1] < 0 else "?"
    )


def critical() -> list[tuple[list[float], list[list[float]], str]]:
    """G06: (point, Hessian, kind) of both critical points, by Newton's method."""
    found = []
    for start in ([0.1, 0.1], [0.2, -0.3]):
        p = f64(start)
        for _ in range(30):
            p = p - mt.linalg.solve(hessian(saddle_and_hill)(p), grad(saddle_and_hill)(p))
        h = hessian(saddle_and_hill)(p)
        found.append((p.tolist(), h.tolist(), kind(h)))
        print(f"G06: ({p[0].item():.6g}, {p[1].item():.6g}), Hessian {h.tolist()}: {kind(h)}")
    return found


def quadrics() -> dict[str, tuple[list[list[float]], str]]:
    """F09: the Hessian at 0."""
    found = {}
    for name, f in QUADRICS.items():
        h = hessian(lambda p, f=f: f(p[0], p[1]))(f64([0.0, 0.0]))
        found[name] = h.tolist(), kind(h)
        print(f"F09: {name}: Hessian at 0 {h.tolist()}")
    return found


def bend(x: Any) -> Any:
    """F of TD-Q2: (x1 x2, sin x3 + x1², e^(x2 x3))."""
    return mt.stack([x[0] * x[1], mt.sin(x[2]) + x[0] ** 2, mt.exp(x[1] * x[2])])


def jacobian() -> tuple[Any, list[tuple[float, float]]]:
    """TD-Q2: the Jacobian, and |F(x + h) − F(x) − J h|/|h| for smaller and smaller h along (1, 2, −1)."""
    x, v = f64([0.5, -1.0, 2.0]), f64([1.0, 2.0, -1.0])
    j = jacrev(bend)(x)
    columns = mt.stack([jvp(bend, (x,), (e,))[1] for e in mt.eye(3, dtype=mt.float64)], 1)
    print("TD-Q2: the Jacobian by rows (vjp); by columns (jvp) it differs by", abs(j - columns).max().item())
    table(j.tolist())
    rows = []
    for k in range(1, 7):
        h = v * 10.0**-k
        rest = mt.linalg.norm(bend(x + h) - bend(x) - j @ h) / mt.linalg.norm(h)
        rows.append((10.0**-k, rest.item()))
    table(rows, ["step", "rest/|h|"])
    return j, rows


# --- pictures ---------------------------------------------------------------------------------------------------------

Surface = Callable[[Any, Any], Any]
SURFACES: dict[str, tuple[Surface, tuple[float, float]]] = {
    "y³ + 2y² − x²": (lambda x, y: y**3 + 2 * y**2 - x**2, (-2.5, 1.5)),
    "1/(2 + x² + y²)": (lambda x, y: 1 / (2 + x**2 + y**2), (-3, 3)),
    "|x| + |y|": (lambda x, y: abs(x) + abs(y), (-2, 2)),
    "sin √(x² + y²)": (lambda x, y: mt.sin(mt.sqrt(x**2 + y**2)), (-8, 8)),
}
QUADRICS: dict[str, Surface] = {
    "x²/4 + y² − 1": lambda x, y: x**2 / 4 + y**2 - 1,
    "x²": lambda x, y: x**2 + 0 * y,
    "x² − y²": lambda x, y: x**2 - y**2,
}
FIELDS: dict[str, Surface] = {
    "x² + y²": lambda x, y: x**2 + y**2,
    "−x² − y²": lambda x, y: -(x**2) - y**2,
    "x² − y²": lambda x, y: x**2 - y**2,
}


def row(count: int, flat: bool = False, width: float = 4.4, height: float = 4.2) -> list[Any]:
    """Axes side by side, of space or flat."""
    figure = plot.figure(width * count, height)
    how = {} if flat else {"projection": "3d"}
    return [figure.add_subplot(1, count, k + 1, **how) for k in range(count)]


def waves(x: Any, y: Any) -> Any:
    """F08: sin(r² − x)/r + 1."""
    r = mt.sqrt(x**2 + y**2)
    return mt.sin(r**2 - x) / r + 1


def draw(folder: Path) -> None:
    """The pictures."""
    folder.mkdir(parents=True, exist_ok=True)

    def save(name: str, axes: Any) -> None:
        plot.save(axes, folder / f"{name}.png")

    every = row(4)
    for axes, (name, (f, x)) in zip(every, SURFACES.items(), strict=True):
        plot.surface(f, x, title=name, ax=axes)
    save("W07-surfaces", every)
    every = row(3)
    for axes, n in zip(every, (5, 10, 20), strict=True):
        plot.surface(QUADRICS["x² − y²"], (-2, 2), n=n, wire=True, title=f"x² − y², {n} × {n} points", ax=axes)
    save("W07-saddle-wires", every)
    every = row(3, flat=True)
    f = SURFACES["y³ + 2y² − x²"][0]
    plot.levels(f, (-2.5, 1.5), levels=8, title="eight level lines", ax=every[0])
    plot.levels(f, (-2.5, 1.5), levels=[-1, 0, 0.5, 1, 2], title="at chosen heights", ax=every[1])
    plot.levels(f, (-2.5, 1.5), levels=12, filled=True, title="filled", ax=every[2])
    save("W07-levels", every)
    hill = lambda x, y: x * mt.exp(-(x**2) - y**2)  # noqa: E731
    every = row(3)
    for axes, view in zip(every, ((30, -60), (20, 20), (70, -90)), strict=True):
        plot.surface(hill, (-2, 2), floor=view[0] == 30, view=view, title=f"x e^(−x²−y²), seen from {view}", ax=axes)
    save("F02-surface", every)
    every = row(2, flat=True, width=5.2)
    places = (-2.0, -1.0, 0.0, 1.0, 2.0)
    at_x = [lambda y, c=c: c * mt.sin(y) for c in places]
    at_y = [lambda x, c=c: x * math.sin(c) for c in places]
    plot.function(at_x, (-4, 4), label=[f"x = {c:g}" for c in places], title="x sin y, x fixed", ax=every[0])
    plot.function(at_y, (-4, 4), label=[f"y = {c:g}" for c in places], title="x sin y, y fixed", ax=every[1])
    every[0].set(xlabel="y", ylabel="z")
    every[1].set(ylabel="z")
    save("F02-slices", every)
    figure = plot.figure(9.6, 4.4)
    left, right = figure.add_subplot(1, 2, 1), figure.add_subplot(1, 2, 2, projection="3d")
    heights = [-1, 0, 0.5, 1, 2, 3]
    plot.levels(FIELDS["x² + y²"], (-2, 2), levels=heights, title="F07: a circle, a point (c = 0), nothing", ax=left)
    left.plot(0, 0, "o", color="#555555", ms=4)
    plot.surface(FIELDS["x² + y²"], (-2, 2), title="lifted to their heights", ax=right)
    angle = mt.linspace(0, 2 * math.pi, 100)
    for c in (0.5, 1.0, 2.0, 3.0, 5.0):
        x, y = math.sqrt(c) * mt.cos(angle), math.sqrt(c) * mt.sin(angle)
        inside = (abs(x) <= 2) & (abs(y) <= 2)
        nan = float("nan")
        right.plot(
            mt.where(inside, x, nan).tolist(), mt.where(inside, y, nan).tolist(), c, color="black", lw=1.2, zorder=5
        )
    save("F07-levels", left)
    figure = plot.figure(9.6, 4.4)
    plot.surface(waves, (-3, 3), n=90, title="F08: sin(r² − x)/r + 1", ax=figure.add_subplot(1, 2, 1, projection="3d"))
    axes = figure.add_subplot(1, 2, 2)
    plot.levels(
        waves, (-3, 3), levels=[0.4, 0.6, 0.8, 1.0, 1.2, 1.4, 1.8], numbers=False, title="its level lines", ax=axes
    )
    save("F08-waves", axes)
    figure = plot.figure(12.5, 8)
    for k, (name, f) in enumerate(QUADRICS.items()):
        plot.surface(f, (-2, 2), title=f"F09: {name}", ax=figure.add_subplot(2, 3, k + 1, projection="3d"))
        axes = figure.add_subplot(2, 3, k + 4)
        plot.levels(f, (-2, 2), levels=[-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3], title="negative levels are dashed", ax=axes)
    save("F09-quadrics", axes)
    every = row(2, flat=True, width=5.2)
    f = QUADRICS["x² − y²"]
    plot.function([lambda x, c=c: f(x, f64(c)) for c in (0.0, 1.0, 2.0)], (-2, 2), label=["y = 0", "y = ±1", "y = ±2"],
                  title="x² − y², y fixed", ax=every[0])  # fmt: skip
    plot.function([lambda y, c=c: f(f64(c), y) for c in (0.0, 1.0, 2.0)], (-2, 2), label=["x = 0", "x = ±1", "x = ±2"],
                  title="x² − y², x fixed", ax=every[1])  # fmt: skip
    every[0].set(ylabel="z")
    every[1].set(xlabel="y", ylabel="z")
    save("F09-slices", every)
    (x, y), (gx, gy), _ = tangent_of_ellipse()
    axes = plot.levels(lambda x, y: x**2 / 4 + y**2, (-2.6, 3.2), (-1.8, 2.4), levels=[1.0], numbers=False)
    length = math.hypot(gx, gy)
    axes.plot(
        [x - gy / length * 1.5, x + gy / length * 1.5], [y + gx / length * 1.5, y - gx / length * 1.5], color=plot.BLUE
    )
    axes.annotate(
        "", (x + gx / 2, y + gy / 2), (x, y), arrowprops={"arrowstyle": "-|>", "color": plot.VERMILION, "lw": 2}
    )
    axes.plot(x, y, "o", color="black")
    axes.set_title("G03: tangent, and half the gradient")
    save("G03-ellipse", axes)
    _, around = directional()
    figure = plot.figure(4.8, 4.6)
    axes = figure.add_subplot(projection="polar")
    angles = [math.radians(k) for k in range(360)]
    for sign, colour, label in ((1, plot.BLUE, "rises"), (-1, plot.VERMILION, "falls")):
        axes.plot(angles, [sign * r if sign * r > 0 else 0 for r in around], color=colour, label=label)
    g = grad(cubic)(f64([2.0, 1.0])).tolist()
    axes.annotate("", (math.atan2(g[1], g[0]), max(around)), (0, 0), arrowprops={"arrowstyle": "-|>", "lw": 1.5})
    axes.set_title("G04: slope of x²y³ at (2, 1) along each direction")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(-0.15, -0.12))
    save("G04-directions", axes)
    axes = plot.surface(lambda x, y: x**2 * y, (0, 2), wire=True, title="G05: x²y and its tangent plane at (1, 1)")
    plot.surface(lambda x, y: 2 * x + y - 2, (0, 2), n=2, ax=axes, colour=plot.VERMILION, alpha=0.45)
    save("G05-plane", axes)
    heights = [-0.5, -0.2, -0.05, 0, 0.003, 0.02, 0.1, 0.3, 0.8]
    axes = plot.levels(lambda x, y: x**2 - y**3 + x * y, (-1, 1), levels=heights, title="G06: x² − y³ + xy")
    for (x, y), _, what in critical():
        axes.plot(x, y, "o", color=plot.VERMILION)
        axes.annotate(
            what, (x, y), (8, -4), textcoords="offset points", color=plot.VERMILION, backgroundcolor="#FFFFFFB0"
        )
    save("G06-critical", axes)
    every = row(3, flat=True)
    for axes, (name, f) in zip(every, FIELDS.items(), strict=True):
        plot.gradients(f, (-2, 2), n=13, title=f"G07: −∇({name})", ax=axes)
    save("G07-fields", every)
    print("pictures:", folder)


def main() -> None:
    """Prints the tables and draws the pictures."""
    folder = parser(__doc__, pictures=True).parse_args().pictures
    meshgrid()
    gradients()
    tangent_of_ellipse()
    directional()
    approximation()
    critical()
    quadrics()
    jacobian()
    saddle = lambda p: p[0] ** 2 - p[1] ** 2  # noqa: E731
    print("D15: the gradient of x² − y²", [(p, grad(saddle)(f64(p)).tolist()) for p in ([1, 2], [-3, 0.5], [0, 0])])
    if folder is not None:
        draw(folder)


if __name__ == "__main__":
    main()
