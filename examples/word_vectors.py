"""Words as vectors: distances, cosines, the curse of dimension, projections, principal components, king - man + woman.

    python examples/word_vectors.py --picture vectors.png

Covers D17-embedding-lookup, D17-distance-cosine, D17-cosine-king, D17-gpt2-dogcat, D17-curse-dimension, D17-hypercube,
D17-projection-line, D17-pca and D17-king-queen. Words' own learned vectors are in cooccurrence.py.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

from common import f64, parser, table

import minitensor as mt
from minitensor.learn import plot
from minitensor.nn import functional as F

AXES = ("man", "woman", "child", "royalty")
PEOPLE = {
    "roi": (1, 0, 0, 1),
    "reine": (0, 1, 0, 1),
    "princesse": (0, 1, 1, 1),
    "homme": (1, 0, 0, 0),
    "femme": (0, 1, 0, 0),
}
DOG = (0.0944, -0.0771, 0.0346, -0.0351, -0.0892)
CAT = (0.0099, 0.0365, 0.1640, -0.2185, 0.0285)
COLOURS = (plot.BLUE, plot.VERMILION, "#009E73")


def lookup() -> tuple[Any, Any]:
    """D17-embedding-lookup: column i of A is A e_i; its gradient goes to the columns used, twice to one used twice."""
    matrix = f64([[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12]], requires_grad=True)  # n = 3, N = 4
    tokens = mt.tensor([2, 0, 2])
    rows = F.embedding(tokens, matrix.t())
    product = (matrix @ F.one_hot(tokens, 4).double().t()).t()
    print("tokens 2, 0, 2: the columns of A (as rows), by lookup and as products with one-hot vectors")
    print(" ", rows.tolist(), "equal:", mt.equal(rows, product))
    weight = f64([[1, 1, 1], [10, 10, 10], [100, 100, 100]])
    (rows * weight).sum().backward()
    print("  the gradient of the sum of 1, 10 and 100 times the vectors; token 2 gathers 1 + 100:")
    table(matrix.grad.tolist(), [f"token {i}" for i in range(4)])
    return rows.detach(), matrix.grad


def cosines() -> dict[str, float]:
    """D17-distance-cosine, D17-cosine-king, D17-gpt2-dogcat."""
    x, y = f64([2, 3]), f64([4, 4])
    cosine = F.cosine_similarity(x, y, dim=0)
    print(f"X = (2, 3), Y = (4, 4): distance {(x - y).norm():.6f}, cosine {cosine:.6f}, ", end="")
    print(f"angle {math.degrees(cosine.acos()):.6f} degrees")
    text = f64([3, 0, 0, 2])
    print("the word nearest to the text vector (3, 0, 0, 2):")
    rows = []
    for word in ("roi", "reine", "princesse"):
        v = f64(PEOPLE[word])
        rows.append((word, F.cosine_similarity(text, v, dim=0).item(), (text - v).norm().item()))
    table(rows, ("word", "cosine", "distance"))
    long, short, queen = f64([6, 0, 0, 4]), f64([0.3, 0, 0, 0.2]), f64(PEOPLE["reine"])
    print("  a long and a short text in one direction, (6, 0, 0, 4) and (0.3, 0, 0, 0.2), and reine:")
    pairs = (("short, long", long), ("short, reine", queen))
    table(
        [(name, F.cosine_similarity(short, v, dim=0).item(), (short - v).norm().item()) for name, v in pairs],
        ("pair", "cosine", "distance"),
    )
    print("  by distance the short text is nearer to reine than to the long text on the same subject")
    print(
        "GPT-2's cosines as angles: "
        + ", ".join(f"{c} -> {math.degrees(math.acos(c)):.4f}" for c in (0.55, 0.79, 0.08))
    )
    five = F.cosine_similarity(f64(DOG), f64(CAT), dim=0).item()
    print(f"  the first five of 768 coordinates of _dog and _cat alone give {five:.6f}: a few say little")
    return {word: cosine for word, cosine, _ in rows}


def curse(points: int = 1000) -> dict[int, Any]:
    """D17-curse-dimension: distances between random points of the unit cube in d dimensions."""
    print(f"distances between {points} uniform points of [0, 1]^d; sqrt(d/6) is the root of the mean square")
    generator = mt.Generator().manual_seed(0)
    rows, found = [], {}
    for d in (2, 10, 100, 768):
        distances = F.pdist(mt.rand(points, d, generator=generator, dtype=mt.float64))
        found[d] = distances
        inside = ((distances >= 11.0) & (distances <= 11.5)).double().mean().item()
        mean, deviation = distances.mean().item(), distances.std().item()
        rows.append((d, mean, math.sqrt(d / 6), deviation, deviation / mean, inside))
    table(rows, ("d", "mean", "sqrt(d/6)", "deviation", "relative", "in 11.0-11.5"))
    return found


def cube(n: int) -> tuple[Any, list[tuple[int, int]]]:
    """The vertices of the n-cube (2^n, n), and the pairs that an edge joins."""
    vertices = list(itertools.product((0, 1), repeat=n))
    edges = [
        (i, j)
        for (i, a), (j, b) in itertools.combinations(enumerate(vertices), 2)
        if sum(x != y for x, y in zip(a, b, strict=True)) == 1
    ]
    return f64(vertices), edges


def project_line(x: Any, u: Any) -> Any:
    """<x, u> u for unit u: the nearest point of the line."""
    return (x @ u)[..., None] * u


def clusters(dim: int, count: int, size: int, apart: float, seed: int = 0) -> tuple[Any, Any]:
    """Gaussian clouds of unit deviation around random centres: the points (count * size, dim), their cluster."""
    generator = mt.Generator().manual_seed(seed)
    centres = apart * mt.randn(count, dim, generator=generator, dtype=mt.float64) / math.sqrt(dim)
    labels = mt.arange(count).repeat_interleave(size)
    return centres[labels] + mt.randn(count * size, dim, generator=generator, dtype=mt.float64), labels


def projections() -> tuple[Any, Any]:
    """D17-projection-line: on the line through the centres two clouds of R^768 come apart."""
    p = project_line(f64([3, 1]), f64([0.6, 0.8]))
    print(f"the projection of (3, 1) on the line of (0.6, 0.8): {p.tolist()}, and once more the same:", end=" ")
    print(mt.allclose(project_line(p, f64([0.6, 0.8])), p))
    x, labels = clusters(768, 2, 60, apart=12.0)
    u = x[labels == 1].mean(0) - x[labels == 0].mean(0)
    u = u / u.norm()
    along = x @ u
    print("two clouds of 60 points in R^768 along the difference of their centres, and along the first axis:")
    rows = []
    for name, t in (("difference", along), ("first axis", x[:, 0])):
        a, b = t[labels == 0], t[labels == 1]
        rows.append((name, a.mean().item(), b.mean().item(), a.max().item(), b.min().item(), bool(a.max() < b.min())))
    table(rows, ("line", "mean 1", "mean 2", "largest 1", "least 2", "separated"), 5)
    return along, labels


def pca(x: Any, k: int) -> tuple[Any, Any, Any]:
    """The k principal components of points as rows: (projections, directions as columns, all variances, largest first).

    Eigenvectors of the covariance (centred)^T (centred) / (n - 1).
    """
    centred = x - x.mean(0)
    variances, directions = mt.linalg.eigh(centred.t() @ centred / (len(x) - 1))
    directions = directions.flip(1)[:, :k]
    return centred @ directions, directions, variances.flip(0)


def components() -> tuple[Any, Any, Any]:
    """D17-pca on three clouds in R^50, against the singular vectors and against two of the axes."""
    x, labels = clusters(50, 3, 40, apart=14.0)
    flat, directions, variances = pca(x, 2)
    _, s, vt = mt.linalg.svd(x - x.mean(0), full_matrices=False)
    sign = (vt[:2].t() * directions).sum(0).sign()
    print("three clouds in R^50: the largest variances", [round(v, 4) for v in variances[:5].tolist()])
    print(f"  equal to the singular values squared / (n - 1): {mt.allclose(variances, s**2 / (len(x) - 1))};", end=" ")
    print(f"directions equal up to sign: {mt.allclose(vt[:2].t() * sign, directions)}")
    share = variances[:2].sum() / variances.sum()
    print(f"  two components keep {share:.4f} of the variance; two coordinate axes", end=" ")
    print(f"{x[:, :2].var(0).sum() / variances.sum():.4f}; their separation (between over within clouds):")
    rows = []
    for name, y in (("components", flat), ("axes 1 and 2", x[:, :2])):
        centres = mt.stack([y[labels == c].mean(0) for c in range(3)])
        within = (y - centres[labels]).square().sum(1).mean()
        between = (centres - centres.mean(0)).square().sum(1).mean()
        rows.append((name, (between / within).item()))
    table(rows)
    return x, flat, labels


def analogy() -> list[tuple[str, float]]:
    """D17-king-queen: the words nearest by cosine to roi - homme + femme, with the starting words and without."""
    goal = f64(PEOPLE["roi"]) - f64(PEOPLE["homme"]) + f64(PEOPLE["femme"])
    ranking = sorted(
        ((w, F.cosine_similarity(goal, f64(v), dim=0).item()) for w, v in PEOPLE.items()), key=lambda p: -p[1]
    )
    print(f"roi - homme + femme = {goal.int().tolist()} on the axes {', '.join(AXES)}; by cosine:")
    table([(w, c, "(starting word)" if w in ("roi", "homme", "femme") else "") for w, c in ranking])
    return ranking


def draw(path: str, distances: dict[int, Any], along: Any, halves: Any, x: Any, flat: Any, labels: Any) -> None:
    """Vectors and angle, histograms of distances, cubes, clouds on a line and in the plane."""
    fig = plot.figure(14, 11)
    grid = fig.subplots(3, 3)
    arrows, histogram, line = grid[0]
    for v, name, colour in (((2, 3), "X", plot.BLUE), ((4, 4), "Y", plot.VERMILION)):
        arrows.annotate("", v, (0, 0), arrowprops={"arrowstyle": "->", "color": colour, "lw": 2})
        arrows.annotate(f"{name} {v}", v, textcoords="offset points", xytext=(-4, 8), ha="center", color=colour)
    arrows.plot([2, 4], [3, 4], "--", color="#999999")
    arrows.set(xlim=(0, 5.2), ylim=(0, 5.2), aspect="equal", title="distance 2.236, angle 11.3 degrees")
    arrows.set(xlabel="first number", ylabel="second number")
    for d, colour in zip(distances, (*COLOURS, "#E69F00"), strict=True):
        histogram.hist(distances[d].tolist(), 80, density=True, color=colour, alpha=0.7, label=f"d = {d}")
    histogram.set(title="distances of random points of [0, 1]^d", xlabel="distance", ylabel="density", yscale="log")
    histogram.legend(frameon=False)
    for c in (0, 1):
        line.hist(along[halves == c].tolist(), 20, color=COLOURS[c], alpha=0.7, label=f"cloud {c + 1}")
    line.set(title="two clouds of R^768 along one line", xlabel="⟨x, u⟩", ylabel="points")
    line.legend(frameon=False)
    views = {2: [[1, 0], [0, 1]], 3: [[1, 0], [0, 1], [0.45, 0.35]], 4: [[1, 0], [0, 1], [0.45, 0.25], [-0.5, 0.62]]}
    for axes, (n, view) in zip(grid[1], views.items(), strict=True):
        vertices, edges = cube(n)
        points = (vertices @ f64(view)).tolist()
        for i, j in edges:
            axes.plot(*zip(points[i], points[j], strict=True), color="#999999", lw=1)
        axes.plot(*zip(*points, strict=True), "o", color=plot.BLUE, ms=4)
        for p, v in zip(points, vertices.int().tolist(), strict=True):
            axes.annotate("".join(map(str, v)), p, textcoords="offset points", xytext=(4, 4), fontsize=8)
        axes.set(title=f"{['', '', 'square', 'cube', 'hypercube of R^4'][n]}: {2**n} vertices, {len(edges)} edges")
        axes.set_axis_off()
    views_of = ((grid[2][0], flat, "principal components", "component"), (grid[2][1], x[:, :2], "axes 1 and 2", "axis"))
    for axes, y, name, one in views_of:
        for c in range(3):
            axes.plot(*y[labels == c].t().tolist(), "o", color=COLOURS[c], ms=4, alpha=0.7, label=f"cloud {c + 1}")
        axes.set(title=f"three clouds of R^50, {name}", xlabel=f"{one} 1", ylabel=f"{one} 2")
    grid[2][0].legend(frameon=False)
    _, _, variances = pca(x, 2)
    grid[2][2].bar(range(1, 51), variances.tolist(), color=plot.BLUE)
    grid[2][2].set(title="variance along each component", xlabel="component", ylabel="variance")
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    lookup()
    cosines()
    distances = curse()
    for n in (2, 3, 4):
        vertices, edges = cube(n)
        print(f"the {n}-cube: {len(vertices)} vertices, {len(edges)} edges")
    along, halves = projections()
    x, flat, labels = components()
    analogy()
    if chosen.picture:
        draw(chosen.picture, distances, along, halves, x, flat, labels)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
