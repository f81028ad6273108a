"""Computation graphs with values, [local] and {{accumulated}} derivatives: drawn, and by hand beside autograd.

    python examples/graphs.py --pictures graphs

Without the option the graphs are printed: each box with its value and {{derivative}}, and from where, with [local].
The picture of a chain, of a graph with a shared box, of a neuron with its weights is the same call:
`mt.learn.draw(function, inputs)`.

Covers D07-graph-forward, D08-local-derivatives, D09-cos2x2, D10-three-function-chain, D11-add-mul-local,
D12-ln-exp-simple, D13-exp-times-ln, D14-sequential-derivatives, G08-ad-ln, G09-ad-sqrt, G10-ad-three-outputs,
G11-ad-shared-node, G12-smile-1, G13-smile-2, G14-backprop-recursion and TD-Q5.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import f64, parser, table

import minitensor as mt
from minitensor.learn import box, draw


@box("2x²")
def twice_the_square(x: Any) -> Any:
    """Drawn as one box, as the book does."""
    return 2 * x**2


@box("x²y + sin y")
def inner(x: Any, y: Any) -> Any:
    """One box with two local derivatives."""
    return x**2 * y + mt.sin(y)


@box("y³ + 1")
def cube_plus_one(y: Any) -> Any:
    """The middle of a chain of three."""
    return y**3 + 1


def shared(t: Any) -> Any:
    """t² ln t ln(ln t), with ln t computed once."""
    ln = mt.log(t)
    return t**2 * ln * mt.log(ln)


def square_neuron(a: Any, x: Any, b: Any) -> Any:
    """u² of a weighted sum: one box for each part of a neuron."""
    with box("weighted sum"):
        u = a * x + b
    return u**2


W = [[0.1, 0.2, -0.3], [0.4, -0.5, 0.6]]  # of TD-Q5, with w and x
SMALL_W, SMALL_X = [0.7, -0.8], [1.0, -1.0, 2.0]

# name of the picture: (the function, its inputs); in the order of the ids
GRAPHS: dict[str, tuple[Callable[..., Any], tuple[Any, ...]]] = {
    "D07-square-plus-1": (lambda x: x**2 + 1, (2.0,)),
    "D07-sum": (lambda x, y: x + y, (6.0, 7.0)),
    "D07-product": (lambda x, y: x * y, (6.0, 7.0)),
    "D07-root": (lambda x0, y0, z0: mt.sqrt(x0 * y0 + z0**2), (2.0, 8.0, 3.0)),
    "D08-ln": (lambda x: mt.log(x), (2.0,)),
    "D08-exp": (lambda x: mt.exp(-2 * x), (-1.0,)),
    "D08-square": (lambda x: x**2, (3.0,)),
    "D09-cos2x2-at-3": (lambda x: mt.cos(twice_the_square(x)), (3.0,)),
    "D09-cos2x2-at-4": (lambda x: mt.cos(twice_the_square(x)), (4.0,)),
    "D10-chain-at-e": (lambda x: mt.exp(cube_plus_one(mt.log(x))), (math.e,)),
    "D10-chain-at-1": (lambda x: mt.exp(cube_plus_one(mt.log(x))), (1.0,)),
    "D10-chain-at-2": (lambda x: mt.exp(cube_plus_one(mt.log(x))), (2.0,)),
    "D11-sum": (lambda x, y: x + y, (2.0, 3.0)),
    "D11-product": (lambda x, y: x * y, (2.0, 3.0)),
    "D12-ln": (lambda x: mt.log(x + 2), (1.0,)),
    "D12-exp": (lambda x: mt.exp(3 * x), (1.0,)),
    "D13-exp-times-ln": (lambda x: mt.exp(x) * mt.log(x), (2.0,)),
    "D14-chain-of-3": (lambda x: mt.exp(mt.sin(x**2)), (0.5,)),
    "G08-ln": (lambda x, y: mt.log(inner(x, y)), (3.0, 2.0)),
    "G09-sqrt": (lambda t: mt.sqrt(mt.exp(t) * mt.sin(t)), (1.0,)),
    "G10-three-outputs-at-1": (lambda t: t + mt.log(t) ** 2 + 1 / mt.sin(t), (1.0,)),
    "G10-three-outputs-at-2": (lambda t: t + mt.log(t) ** 2 + 1 / mt.sin(t), (2.0,)),
    "G11-shared-node": (shared, (3.0,)),
    "G12-smile": (lambda a, b, c, x: mt.log(c * square_neuron(a, x, b)), (3.0, 4.0, 5.0, 2.0)),
    "G13-smile": (
        lambda a, b, c, d, x: mt.exp(c * mt.cos(a * x) + d * mt.sin(b * x)),
        (0.5, 2.0, 1.5, -0.7, 1.0),
    ),
    "TD-Q5-network": (lambda W, w, x: mt.tanh(w @ mt.tanh(W @ x)), (f64(W), f64(SMALL_W), f64(SMALL_X))),
}


def graphs(folder: Path | None) -> dict[str, Any]:
    """Every graph of GRAPHS: printed, or drawn into the folder. Returns the drawings by name."""
    found = {}
    for name, (f, inputs) in GRAPHS.items():
        drawing = found[name] = draw(f, *inputs)
        print(f"{name}: {drawing.formula}")
        for line in str(drawing).splitlines():
            print("  " + line)
        if folder is not None:
            drawing.save(folder / f"{name}.png")
            drawing.save(folder / f"{name}.svg")
    if folder is not None:
        for stage in ("none", "local", "all"):  # D09: values; local derivatives; the product from right to left
            drawing = draw(GRAPHS["D09-cos2x2-at-3"][0], 3.0, derivatives=stage, direction="right")
            drawing.save(folder / f"D09-stage-{stage}.png")
        network = GRAPHS["G12-smile"]
        draw(network[0], *network[1], direction="right").save(folder / "G12-smile-as-network.png")
    return found


def paths() -> tuple[list[float], float]:
    """D13: the contribution of each path from x to exp(x) ln(x) at 2, and the derivative."""
    drawing = draw(GRAPHS["D13-exp-times-ln"][0], 2.0)
    found = [edge.derivative.item() for edge in drawing.edges if drawing.vertices[edge.source].title == "x"]
    total = drawing.vertices[0].derivative.item()
    print("exp(x) ln(x) at 2: each path, their sum, autograd")
    table([(*found, sum(found), total)], ["through exp", "through ln", "sum", "autograd"])
    return found, total


def products(n: int) -> tuple[list[float], list[float], int, int]:
    """D14: {{dF/dx_i}} of the chain x_{i+1} = sin(x_i) + 1 from 0.5, drawn and in one pass from right to left; the
    products that the pass took, and those of each derivative computed by itself.
    """
    step = box("sin x + 1")(lambda x: mt.sin(x) + 1)

    def chain(x: Any) -> Any:
        for _ in range(n):
            x = step(x)
        return x

    drawing = draw(chain, 0.5, group="operators")
    slopes = [edge.local.item() for edge in drawing.edges]
    one_pass = apart = 0
    accumulated, derivatives = 1.0, []
    for slope in reversed(slopes):
        accumulated *= slope
        one_pass += 1
        derivatives.insert(0, accumulated)
    for i in range(n):
        alone = 1.0
        for slope in slopes[i:]:
            alone *= slope
            apart += 1
    return derivatives, [v.derivative.item() for v in drawing.vertices[:-1]], one_pass, apart


def smile() -> dict[str, tuple[float, float]]:
    """G12 and G13: each partial derivative by the smile formula (C13) and by autograd.

    dF/da = sum over the edges b_i that leave the neuron of f* (g'*/g*) b_i dF/db_i, where f* comes in along a; at the
    output dF/da = f* g'*.
    """
    found: dict[str, tuple[float, float]] = {}
    x, a, b, c = 2.0, 3.0, 4.0, 5.0
    g, slope = (a * x + b) ** 2, 2 * (a * x + b)  # the first neuron's activation and its derivative
    dc = g / (c * g)  # half a smile: what comes in, times ln' at c g
    by_hand = {"a": x * slope / g * c * dc, "b": slope / g * c * dc, "c": dc, "x": a * slope / g * c * dc}
    drawing = draw(GRAPHS["G12-smile"][0], a, b, c, x)
    exact = {v.title: v.derivative.item() for v in drawing.vertices if v.kind == "input"}
    found.update({f"G12 dF/d{k}": (by_hand[k], exact[k]) for k in by_hand})

    a, b, c, d, x = 0.5, 2.0, 1.5, -0.7, 1.0
    cos, sin = math.cos(a * x), math.sin(b * x)
    out = math.exp(c * cos + d * sin)
    dc, dd = cos * out, sin * out
    da = x * (-math.sin(a * x) / cos) * c * dc
    db = x * (math.cos(b * x) / sin) * d * dd
    by_hand = {"a": da, "b": db, "c": dc, "d": dd, "x": a * da / x + b * db / x}  # x feeds two neurons
    drawing = draw(GRAPHS["G13-smile"][0], a, b, c, d, x)
    exact = {v.title: v.derivative.item() for v in drawing.vertices if v.kind == "input"}
    found.update({f"G13 dF/d{k}": (by_hand[k], exact[k]) for k in by_hand})
    return found


ACTIVATIONS: dict[str, Callable[..., Any]] = {"sigmoid": mt.sigmoid, "tanh": mt.tanh, "relu": mt.relu, "sin": mt.sin}


def recursion(weights: list[float], kinds: list[str], x: float) -> list[tuple[Any, ...]]:
    """G14: neuron by neuron, (kind, weight, value, slope, dF/dg, dF/da by the recursion, by the smile, by autograd)."""
    a = [f64(w, requires_grad=True) for w in weights]
    values, slopes = [f64(x)], []
    for w, kind in zip(a, kinds, strict=True):
        z = (w * values[-1]).detach().requires_grad_()
        slopes.append(mt.autograd.grad(ACTIVATIONS[kind](z), z)[0].item())
        values.append(ACTIVATIONS[kind](w * values[-1]))
    exact = [g.item() for g in mt.autograd.grad(values[-1], a)]
    n = len(weights)
    back, by_recursion, by_smile = [1.0] * n, [0.0] * n, [0.0] * n
    for i in reversed(range(n)):
        if i < n - 1:
            back[i] = back[i + 1] * weights[i + 1] * slopes[i + 1]
        by_recursion[i] = back[i] * values[i].item() * slopes[i]
        g = values[i + 1].item()
        if i == n - 1:
            by_smile[i] = values[i].item() * slopes[i]
        else:  # 0/0 where the neuron is dead
            ratio = slopes[i] / g if g else math.nan
            by_smile[i] = values[i].item() * ratio * weights[i + 1] * by_smile[i + 1]
    return [
        (kinds[i], weights[i], values[i + 1].item(), slopes[i], back[i], by_recursion[i], by_smile[i], exact[i])
        for i in range(n)
    ]


def visits(f: Callable[..., Any], *inputs: float) -> dict[str, int]:
    """G11: how often the walk back comes to each operator, counted by hooks."""
    counts: dict[str, int] = {}
    given = [f64(x, requires_grad=True) for x in inputs]
    y = f(*given)
    waiting, seen = [y.grad_fn], set()
    while waiting:
        node = waiting.pop()
        if node is None or id(node) in seen or not node.next_functions:  # a leaf has none
            continue
        seen.add(id(node))
        name = f"{node.name()} {len(seen)}"
        counts[name] = 0

        def count(_: Any, __: Any, name: str = name) -> None:
            counts[name] += 1

        node.register_hook(count)
        waiting += [origin for origin, _ in node.next_functions]
    y.backward()
    return counts


def main() -> None:
    """Prints the graphs and the tables; draws them into a folder."""
    options = parser(__doc__)
    options.add_argument(
        "--pictures", metavar="FOLDER", type=Path, help="draw every graph (needs the extra `examples`)"
    )
    folder = options.parse_args().pictures
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    graphs(folder)
    paths()
    print("all derivatives of a chain of n: products in one pass, and each by itself")
    table([(n, *products(n)[2:], n * (n + 1) // 2) for n in (3, 10, 100)], ["n", "one pass", "apart", "n(n+1)/2"])
    print("G11: how often the walk back visits each operator")
    table(visits(shared, 3.0).items())
    print("the smile formula beside autograd")
    table([(name, *pair) for name, pair in smile().items()], digits=10)
    mt.manual_seed(0)
    header = ["activation", "weight", "value", "slope", "dF/dg", "recursion", "smile", "autograd"]
    for kinds in (["tanh", "sigmoid", "sin", "tanh", "sigmoid"], ["tanh", "relu", "sigmoid", "sin", "tanh"]):
        weights = (2 * mt.rand(5, dtype=mt.float64) - 1).tolist()
        weights[1] = -abs(weights[1]) if "relu" in kinds else weights[1]
        print(
            "five neurons in a row" + (", one dead: the recursion is right, the smile 0/0" if "relu" in kinds else "")
        )
        table(recursion(weights, kinds, 0.8), header)
    if folder is not None:
        print("pictures:", folder)


if __name__ == "__main__":
    main()
