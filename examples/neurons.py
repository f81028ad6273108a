"""Neurons with fixed weights: one that separates, logic, regions of the plane, sets, a cube.

    python examples/neurons.py --picture neurons.png

A neuron is written (coefficients; bias); H(0) = 1, so that borders belong to a region.

Covers R01-perceptron-2-3, R02-separate-4x-y, R03-affine-exercise, R04-man-woman, R05-rgb-red, R06-or, R07-and,
R08-xor-impossible, R09-or3-and3, R10-relu-H-2layer, R11-exercise-3-2-2, R12-sector-and, R13-sector-or, R14-triangle,
R15-zone-exercise, R16-same-net-4-activations, R17-xor-heaviside, R18-convex-polygon, R19-set-operations,
R24-unit-square, K02-sigmoid-2-3-1, K03-heaviside-layer, K05-sigmoid-neuron, K06-heaviside-2-2-1, K07-relu-3-inputs and
K08-cube.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

from common import f64, parser, table

import minitensor as mt
from minitensor.learn import plot
from minitensor.nn import functional as F

Neuron = Sequence[float]  # the coefficients, then the bias


def step(x: Any) -> Any:
    """H: 0 below 0, 1 from 0 on."""
    return (x >= 0).to(x.dtype)


def identity(x: Any) -> Any:
    """x itself."""
    return x


class Network:
    """Layers of neurons, each with its activation: Network(([(2, -1, 0), (-3, 2, 0)], relu), ([(4, 5, -1)], step))."""

    def __init__(self, *layers: tuple[Sequence[Neuron], Callable[[Any], Any]]) -> None:
        self.layers = [(f64([n[:-1] for n in neurons]), f64([n[-1] for n in neurons]), act) for neurons, act in layers]

    def states(self, x: Any) -> list[Any]:
        """The inputs (points, coordinates) and what each layer answers."""
        found = [x]
        for weight, bias, activation in self.layers:
            found.append(activation(F.linear(found[-1], weight, bias)))
        return found

    def __call__(self, x: Any) -> Any:
        """The answers for points (points, coordinates): (points,) of one output neuron, else (points, outputs)."""
        y = self.states(x)[-1]
        return y[..., 0] if y.shape[-1] == 1 else y

    def count(self) -> int:
        """Neurons."""
        return sum(len(bias) for _, bias, _ in self.layers)


def at(network: Callable[[Any], Any], *points: Sequence[float]) -> list[Any]:
    """The answers at some points."""
    return network(f64(points)).tolist()


def grid(low: float = -5, high: float = 5, n: int = 101) -> Any:
    """n x n points of a square, as rows; at multiples of a decimal, so that borders are met."""
    places = [low + (high - low) * i / (n - 1) for i in range(n)]
    return f64([(x, y) for y in places for x in places])


def agrees(network: Callable[[Any], Any], region: Callable[[Any, Any], Any], points: Any = None) -> float:
    """The share of the grid where network and exact region say the same."""
    points = grid() if points is None else points
    exact = region(points[:, 0], points[:, 1])
    return ((network(points) >= 0.5) == exact).double().mean().item()


# --- one neuron -----------------------------------------------------------------------------------

OR, AND = (1, 1, -1), (1, 1, -2)
DISCS_R02 = [(0.3, 3), (-1, 2), (-3, -3), (-3.2, 0.6), (-1, -1)]
SQUARES_R02 = [(1, 2), (3, -1), (1.5, -2.5), (0, -3), (2.2, 3.3)]
DISCS_R03 = [(3.7, -0.2), (3, 1), (1.5, 1.5), (-1, 3), (2.2, 3.3), (0.3, 3.5)]
SQUARES_R03 = [(1, -1), (3, -1.5), (-1.5, -2.5), (0, -3), (-2.8, 3), (-3, 0.5), (0, 1)]
COLOURS = [
    (1, 0, 0), (0.5, 0, 0), (1, 0.5, 0), (1, 0, 0.5), (0, 1, 0), (0, 0, 1), (0.9, 0.1, 0.1), (0.4, 0, 0), (1, 1, 1)
]  # fmt: skip
CORNERS = list(itertools.product((0, 1), repeat=2))


def one(*coefficients: float, activation: Callable[[Any], Any] = step) -> Network:
    """A network of one neuron."""
    return Network(([coefficients], activation))


def train_separator(steps: int = 200) -> Any:
    """R03: weights (a, b, c) by Adam on the logistic loss, made larger until all points are right."""
    x = f64(DISCS_R03 + SQUARES_R03)
    y = f64([0] * len(DISCS_R03) + [1] * len(SQUARES_R03))
    w = f64([0, 0, 0], requires_grad=True)
    optimizer = mt.optim.Adam([w], lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        F.binary_cross_entropy_with_logits(x @ w[:2] + w[2], y).backward()
        optimizer.step()
    return w.detach()


def single() -> dict[str, Any]:
    """Neurons alone."""
    result: dict[str, Any] = {}
    inner = at(one(2, 3, 0, activation=identity), (4, -1), (-3, 1), (6, -4))
    result["R01"] = at(one(2, 3, 0), (4, -1), (-3, 1), (6, -4))
    print(f"R01: 2x + 3y at (4, -1), (-3, 1), (6, -4): {inner}, H of it {result['R01']}; the last is on the border")
    result["R02"] = at(one(4, -1, 0), *DISCS_R02, *SQUARES_R02)
    print(f"R02: H(4x - y) of five discs and five squares: {result['R02']}")
    w = train_separator()
    result["R03"] = at(one(*w.tolist()), *DISCS_R03, *SQUARES_R03)
    given = at(one(-1, -1, 1.75), *DISCS_R03, *SQUARES_R03)
    print(
        "R03: trained:",
        " ".join(f"{v:.3f}" for v in w.tolist()),
        f"separates {result['R03']}; so does -x - y + 1.75: {given}",
    )
    slope = (93 - 42) / (2.00 - 1.40)
    print(f"R04: the line through (1.40, 42) and (2.00, 93): w = {slope:g} h - {slope * 1.40 - 42:g}")
    result["R04"] = at(one(85, -1, -77, activation=mt.sigmoid), (1.77, 75), (1.67, 64))
    print(f"  sigmoid(85h - w - 77) at (1.77, 75) and (1.67, 64): {result['R04']}")
    result["R05"] = at(one(2, -2, -2, -1), *COLOURS)
    print("R05: red enough?", {c: int(v) for c, v in zip(COLOURS, result["R05"], strict=True)})
    for name, neuron in (("OR", OR), ("AND", AND)):
        result[name] = at(one(*neuron), *CORNERS)
        print(f"{name} of {CORNERS}: {result[name]}")
    bias = [at(one(1, 1, b), (0.9, 0.9))[0] for b in (-2, -1.5)]
    result["safer"] = bias
    print(f"R07: (0.9, 0.9) with bias -2 and -1.5: {bias}: the second forgives what is nearly 1")
    steps = [i * 0.25 for i in range(-12, 13)]
    best = max(
        sum(int(v) == (a != b) for v, (a, b) in zip(row, CORNERS, strict=True))
        for row in step(
            f64(list(itertools.product(steps, repeat=3))) @ f64([(x, y, 1) for x, y in CORNERS]).t()
        ).tolist()
    )
    result["R08"] = best
    print(f"R08: of {25**3:,} neurons the best gets {best} of the 4 values of XOR right. Four inequalities say why:")
    print("  c < 0, a + c >= 0, b + c >= 0, a + b + c < 0: the second and third add up to a + b + 2c >= 0,")
    print("  the first and last to a + b + 2c < 0.")
    w = f64([0.1, -0.1, 0.0], requires_grad=True)
    optimizer = mt.optim.Adam([w], lr=0.05)
    for _ in range(400):
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(
            f64([(*c, 1) for c in CORNERS]) @ w, f64([a != b for a, b in CORNERS])
        )
        loss.backward()
        optimizer.step()
    result["R08 loss"] = loss.item()
    print(f"  trained on its logarithm it stays at {loss.item():.6f}, ln 2 = {math.log(2):.6f}: it says 1/2 everywhere")
    cube = list(itertools.product((0, 1), repeat=3))
    result["OR3"], result["AND3"] = at(one(1, 1, 1, -1), *cube), at(one(1, 1, 1, -3), *cube)
    print(f"R09: OR and AND of three: {result['OR3']}, {result['AND3']}")
    result["K03"] = at(one(-0.5, 1), (0,), (2,), (2.1,))
    print(f"K03: H(1 - x/2) at 0, 2, 2.1: {result['K03']}")
    result["K05"] = at(one(1, 2, -1, activation=mt.sigmoid), (2, 1))
    print(f"K05: sigmoid(x + 2y - 1) at (2, 1): {result['K05'][0]:.9f}")
    result["K07"] = at(one(1, -1, 1, -1, activation=mt.relu), (2, 3, 4))
    print(f"K07: ReLU(x - y + z - 1) at (2, 3, 4): {result['K07'][0]:g}")
    return result


# --- several layers -------------------------------------------------------------------------------

R10 = Network(([(2, -1, 0), (-3, 2, 0)], mt.relu), ([(4, 5, -1)], step))
R11 = Network(([(1, -2, 3, 0), (2, -4, 1, 0)], mt.relu), ([(1, -2, 0), (2, 1, 0)], mt.relu))
SECTOR = [(-1, 3, 0), (2, 1, 0)]
R12, R13 = Network((SECTOR, step), ([AND], step)), Network((SECTOR, step), ([OR], step))
TRIANGLE = [(-1, 2, 0), (1, 1, -2), (0, -1, 3)]


def triangle(activation: Callable[[Any], Any] = step) -> Network:
    """R14, R16: three neurons and a fourth, all with one activation."""
    return Network((TRIANGLE, activation), ([(1, 1, 1, -3)], activation))


ZONE = Network(([(-1, -3, 7), (-3, 5, 7), (-5, -1, -7)], step), ([(1, 1, 1, -3)], step))
XOR = Network(([(1, -1, -1), (-1, 1, -1)], step), ([OR], step))
SQUARE = Network(([(1, 0, 0), (-1, 0, 1), (0, 1, 0), (0, -1, 1)], step), ([(1, 1, 1, 1, -4)], step))
K02 = Network(([(1, 2, -1), (3, -4, 0), (-5, -6, 1)], mt.sigmoid), ([(1, 1, 1, -3)], mt.sigmoid))
CUBE = [(s * (i == 0), s * (i == 1), s * (i == 2), 1) for i in range(3) for s in (1, -1)]


def cube(activation: Callable[[Any], Any]) -> Network:
    """K08: six half-spaces."""
    return Network((CUBE, activation), ([(1,) * 6 + (-6,)], activation))


def in_triangle(x: Any, y: Any) -> Any:
    """The region of R14."""
    return (-x + 2 * y >= 0) & (x + y >= 2) & (y <= 3)


REGIONS: dict[str, tuple[Network, Callable[[Any, Any], Any]]] = {
    "R12, both half-planes": (R12, lambda x, y: (-x + 3 * y >= 0) & (2 * x + y >= 0)),
    "R13, either": (R13, lambda x, y: (-x + 3 * y >= 0) | (2 * x + y >= 0)),
    "R14, a triangle": (triangle(), in_triangle),
    "R15, a zone": (ZONE, lambda x, y: (x + 3 * y <= 7) & (3 * x - 5 * y <= 7) & (5 * x + y <= -7)),
    "R17, outside a strip": (XOR, lambda x, y: (x - y).abs() >= 1),
    "R24, the unit square": (SQUARE, lambda x, y: (x >= 0) & (x <= 1) & (y >= 0) & (y <= 1)),
}


def several() -> dict[str, Any]:
    """Networks of two layers."""
    result: dict[str, Any] = {}
    print("R10: ReLU (2, -1; 0), (-3, 2; 0), then H(4 s1 + 5 s2 - 1): inputs, middle, output")
    for point in ((4, 7), (3, 2), (0.1, 0.1)):
        states = [s[0].tolist() for s in R10.states(f64([point]))]
        result[f"R10 {point}"] = states
        inactive = [i + 1 for i, v in enumerate(states[1]) if v == 0]
        print(f"  {point}: {states[1]} -> {states[2][0]:g}; inactive: {inactive}")
    points = ((0, 0, 0), (1, 0, 0), (1, -1, 1), (3, 2, 1))
    result["R11"] = at(R11, *points)
    print(f"R11 at {points}: {result['R11']}")
    # (s1 - 2 s2, 2 s1 + s2) = (1, 7) for s1 = 3, s2 = 1; with y = 0 these are x + 3z and 2x + z
    x = mt.linalg.solve(f64([[1, 3], [2, 1]]), f64([3.0, 1.0]))
    solution = (x[0].item(), 0.0, x[1].item())
    result["R11 (1, 7)"] = at(R11, solution)[0]
    print(f"  (1, 7) from {tuple(round(v, 6) for v in solution)}: {[round(v, 9) for v in result['R11 (1, 7)']]}")
    y1, y2 = R11(mt.randint(-9, 10, (20_000, 3), generator=mt.Generator().manual_seed(0)).double()).unbind(1)
    result["R11 search"] = int(((y2 == 0) & (y1 != 0)).sum())
    print(f"  Y2 = 0 but not Y1 in 20,000 random inputs: {result['R11 search']}; 2 s1 + s2 = 0 needs s1 = 0, so Y1 = 0")
    points = ((1, 1), (0, 0), (-1, 1), (1, -1), (3, 1), (-1, 2), (-1, -1), (2, 0))
    result["R12"], result["R13"] = at(R12, *points), at(R13, *points)
    print(f"R12 and R13 (K06) at {points}:\n  {result['R12']}\n  {result['R13']}")
    points = ((2, 2), (0, 0), (0, 3), (4, 2), (3, 2), (1, 1), (7, 3), (6, 3))
    result["R14"] = at(triangle(), *points)
    print(f"R14 at {points}: {result['R14']}")
    print("R16: the triangle's weights with other activations at (2, 2), (0, 0), (5, 5)")
    kinds = {"H": step, "sigmoid": mt.sigmoid, "tanh": mt.tanh, "ReLU": mt.relu}
    result["R16"] = {name: at(triangle(f), (2, 2), (0, 0), (5, 5)) for name, f in kinds.items()}
    table([(name, *values) for name, values in result["R16"].items()])
    result["R17"] = at(XOR, *CORNERS)
    print(f"R17: XOR of {CORNERS}: {result['R17']}")
    points = ((0.5, 0.5), (0, 0), (1, 1), (1.1, 0.5), (0.5, -0.1))
    result["R24"] = at(SQUARE, *points)
    print(f"R24 at {points}: {result['R24']}")
    states = [s[0].tolist() for s in K02.states(f64([[7, -5]]))]
    result["K02"] = states
    print(f"K02 at (7, -5): in the middle {states[1]}, output {states[2][0]:.9f}")
    points = ((0, 0, 0), (1, 1, 1), (2, 0, 0), (5, 5, 5), (0.5, -0.5, 0))
    result["K08"] = {"H": at(cube(step), *points), "sigmoid": at(cube(mt.sigmoid), *points)}
    print(f"K08, a cube, at {points}:\n  H {result['K08']['H']}")
    print(f"  sigmoid {[round(v, 6) for v in result['K08']['sigmoid']]}")
    print("share of a grid of 101 x 101 points where network and exact region agree:")
    result["regions"] = {name: agrees(*pair) for name, pair in REGIONS.items()}
    table(list(result["regions"].items()))
    print("  (in R15 two points lie on a border, to the last rounding)")
    return result


# --- polygons and sets ----------------------------------------------------------------------------


def half_planes(corners: Sequence[Sequence[float]]) -> list[Neuron]:
    """The neurons of a convex polygon's sides, its corners in order against the clock: what is left of each side."""
    result = []
    for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
        dx, dy = x1 - x0, y1 - y0
        result.append((-dy, dx, dy * x0 - dx * y0))
    return result


def polygon(corners: Sequence[Sequence[float]]) -> Network:
    """R18: n half-planes and an AND of bias -n."""
    n = len(corners)
    return Network((half_planes(corners), step), ([(1,) * n + (-n,)], step))


def regular(n: int, radius: float = 1.0) -> list[tuple[float, float]]:
    """The corners of a regular polygon around 0."""
    return [(radius * math.cos(2 * math.pi * k / n), radius * math.sin(2 * math.pi * k / n)) for k in range(n)]


def merged(a: Network, b: Network, neuron: Neuron, second: Sequence[Neuron] | None = None) -> Network:
    """Two networks of two layers side by side, their answers joined by `neuron` (or first by those of `second`)."""
    layers = []
    for (wa, ba, act), (wb, bb, _) in zip(a.layers, b.layers, strict=True):
        weight = mt.cat([wa, wb]) if not layers else mt.block_diag(wa, wb)
        layers.append(
            ([(*row, bias) for row, bias in zip(weight.tolist(), mt.cat([ba, bb]).tolist(), strict=True)], act)
        )
    if second is not None:
        layers.append((second, step))
    return Network(*layers, ([neuron], step))


def union(a: Network, b: Network) -> Network:
    """Points of either."""
    return merged(a, b, OR)


def intersection(a: Network, b: Network) -> Network:
    """Points of both."""
    return merged(a, b, AND)


def complement(a: Network) -> Network:
    """Points not of it: a neuron s -> H(1 - 2s) behind."""
    layers = [([(*r, b) for r, b in zip(w.tolist(), bias.tolist(), strict=True)], act) for w, bias, act in a.layers]
    return Network(*layers, ([(-2, 1)], step))


def difference(a: Network, b: Network) -> Network:
    """A without B: A and not (A and B)."""
    return merged(a, b, AND, [(1, 0, -0.5), (-2, -2, 3)])


def sets() -> dict[str, Any]:
    """R18 and R19."""
    result: dict[str, Any] = {}
    pentagon = polygon(regular(5, 2.0))
    exact = lambda x, y: mt.stack([a * x + b * y + c >= 0 for a, b, c in half_planes(regular(5, 2.0))]).all(0)  # noqa: E731
    result["R18"] = agrees(pentagon, exact)
    print(f"R18: a pentagon, {pentagon.count()} neurons; it is its half-planes on {result['R18']:.2%} of the grid")
    a = triangle()
    b = polygon([(1, 1), (3, 1), (3, 3), (1, 3)])
    in_b = lambda x, y: (x >= 1) & (x <= 3) & (y >= 1) & (y <= 3)  # noqa: E731
    kinds = {
        "A or B": (union(a, b), lambda x, y: in_triangle(x, y) | in_b(x, y)),
        "A and B": (intersection(a, b), lambda x, y: in_triangle(x, y) & in_b(x, y)),
        "not A": (complement(a), lambda x, y: ~in_triangle(x, y)),
        "A without B": (difference(a, b), lambda x, y: in_triangle(x, y) & ~in_b(x, y)),
    }
    lying = polygon([(0, 0), (2, 0), (2, 1), (0, 1)])
    standing = polygon([(0, 0), (1, 0), (1, 2), (0, 2)])
    within = lambda x, y, w, h: (x >= 0) & (x <= w) & (y >= 0) & (y <= h)  # noqa: E731
    kinds["an L"] = union(lying, standing), lambda x, y: within(x, y, 2, 1) | within(x, y, 1, 2)
    print("R19: A the triangle, B = [1, 3]^2; neurons, agreement on the grid")
    for name, (network, region) in kinds.items():
        result[name] = agrees(network, region)
        print(f"  {name:<12} {network.count():>3} neurons  {result[name]:.2%}")
    print("  a disc of radius 1 by polygons inside it: sides, neurons, area, missing, 1 - sin(2 pi/n) n / 2 pi")
    points = grid(-1, 1, 401)
    rows = []
    for n in (4, 8, 16, 32):
        network = polygon(regular(n))
        area = n / 2 * math.sin(2 * math.pi / n)
        counted = network(points).mean().item() * 4
        rows.append((n, network.count(), counted, (math.pi - counted) / math.pi, 1 - area / math.pi))
    table(rows, ("sides", "neurons", "area", "missing", "exactly"), 4)
    result["discs"] = rows
    result["kinds"] = kinds
    return result


# --- pictures -------------------------------------------------------------------------------------


def picture(axes: Any, network: Network, x: Sequence[float], title: str) -> None:
    """A network's neurons with their values, weights on the edges; inactive neurons are white."""
    states = [s[0].tolist() for s in network.states(f64([list(x)]))]
    places = [[(i, (len(s) - 1) / 2 - k) for k in range(len(s))] for i, s in enumerate(states)]
    for i, (weight, bias, _) in enumerate(network.layers):
        for k, row in enumerate(weight.tolist()):
            for j, w in enumerate(row):
                (x0, y0), (x1, y1) = places[i][j], places[i + 1][k]
                axes.plot([x0, x1], [y0, y1], color="#999999", lw=1, zorder=1)
                t = 0.3 if j < k or len(row) == 1 else 0.42 if j > k else 0.36
                axes.text(x0 + t * (x1 - x0), y0 + t * (y1 - y0), f"{w:g}", fontsize=8, ha="center", va="center",
                          bbox={"fc": "white", "ec": "none", "pad": 0.5}, zorder=2)  # fmt: skip
            xk, yk = places[i + 1][k]
            axes.text(xk, yk - 0.4, f"bias {bias[k].item():g}", fontsize=8, ha="center", va="center")
    for i, s in enumerate(states):
        for (px, py), v in zip(places[i], s, strict=True):
            colour = "#E69F00" if i == 0 else "#56B4E9" if v else "white"
            axes.plot(px, py, "o", ms=30, mfc=colour, mec="black", zorder=3)
            axes.text(px, py, f"{v:.3g}", ha="center", va="center", fontsize=8, zorder=4)
    height = max(len(s) for s in states) / 2
    axes.set(title=title, xlim=(-0.4, len(states) - 0.6), ylim=(-height - 0.3, height + 0.2))
    axes.set_axis_off()


def draw(path: str, kinds: dict[str, Any]) -> None:
    """Separations, networks, regions, sets, surfaces, and points of space."""
    fig = plot.figure(18, 21)
    shape = fig.add_gridspec(5, 4)
    panels = iter([fig.add_subplot(shape[i, j]) for i in range(4) for j in range(4)])

    def separate(neuron: Neuron, discs: Any, squares: Any, title: str) -> None:
        points, labels = f64([*discs, *squares]), mt.tensor([0] * len(discs) + [1] * len(squares))
        plot.regions(
            one(*neuron), (-4, 4), points=points, labels=labels, classes=["0", "1"], title=title, ax=next(panels)
        )

    separate((4, -1, 0), DISCS_R02, SQUARES_R02, "R02: H(4x − y)")
    separate(tuple(train_separator().tolist()), DISCS_R03, SQUARES_R03, "R03: trained")
    axes = next(panels)
    plot.levels(lambda h, w: mt.sigmoid(85 * h - w - 77), (1.4, 2.0), (42, 93), filled=True, equal=False,
                labels=("height, m", "weight, kg"), title="R04: sigmoid(85h − w − 77)", ax=axes)  # fmt: skip
    axes.plot([1.77, 1.67], [75, 64], "o", color="white", mec="black")
    axes = next(panels)
    for i, (colour, red) in enumerate(zip(COLOURS, at(one(2, -2, -2, -1), *COLOURS), strict=True)):
        axes.add_patch(plt_rectangle(i % 3, 2 - i // 3, colour))
        axes.text(i % 3 + 0.5, 2.5 - i // 3, f"{int(red)}", ha="center", va="center", fontsize=14,
                  bbox={"fc": "white", "ec": "none", "boxstyle": "circle"})  # fmt: skip
    axes.set(xlim=(0, 3), ylim=(0, 3), title="R05: red?")
    axes.set_axis_off()
    picture(next(panels), R10, (4, 7), "R10 at (4, 7)")
    picture(next(panels), triangle(), (2, 2), "R14 at (2, 2)")
    picture(next(panels), XOR, (0, 1), "R17 at (0, 1)")
    picture(next(panels), K02, (7, -5), "K02 at (7, -5)")
    for name in ("R12, both half-planes", "R14, a triangle", "R15, a zone", "R17, outside a strip"):
        plot.regions(REGIONS[name][0], (-5, 5), title=name, ax=next(panels))
    for name in ("A or B", "A without B", "an L"):
        plot.regions(kinds[name][0], (-1, 7) if "A" in name else (-1, 3), title=f"R19: {name}", ax=next(panels))
    plot.regions(polygon(regular(5, 2.0)), (-3, 3), title="R18: a pentagon", ax=next(panels))
    surfaces = [("H", step), ("sigmoid", mt.sigmoid), ("tanh", mt.tanh)]
    for j, (name, f) in enumerate(surfaces):
        values = lambda x, y, f=f: triangle(f)(mt.stack([x.flatten(), y.flatten()], 1)).reshape(x.shape)  # noqa: E731
        plot.surface(values, (-1, 7), title=f"R16: {name}", n=50, ax=fig.add_subplot(shape[4, j], projection="3d"))
    axes = fig.add_subplot(shape[4, 3], projection="3d")
    side = [-2 + 0.4 * i for i in range(11)]
    points = f64(list(itertools.product(side, repeat=3)))
    value = cube(mt.sigmoid)(points)
    some = value > 0.15
    dots = axes.scatter(*points[some].t().tolist(), c=value[some].tolist(), cmap="viridis", s=14)
    fig.colorbar(dots, ax=axes, shrink=0.6)
    axes.set(title="K08: a cube's network with sigmoids, where F > 0.15", xlabel="x", ylabel="y", zlabel="z")
    fig.savefig(path)


def plt_rectangle(x: float, y: float, colour: Sequence[float]) -> Any:
    """A square of one colour."""
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), 1, 1, color=colour)


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    single()
    several()
    kinds = sets()["kinds"]
    if chosen.picture:
        draw(chosen.picture, kinds)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
