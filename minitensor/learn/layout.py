"""Where the boxes, the labels and the arrows of a picture of a graph go: in layers, from above downwards.

K. Sugiyama, S. Tagawa, M. Toda, "Methods for visual understanding of hierarchical system structures", 1981. The
package fast-sugiyama (extra `examples`), or where it is absent Graphviz's program dot, gives each vertex a layer and an
order in it with few crossings. They are asked about points: here a label is a vertex of its own, halfway along its
arrow, and an arrow that passes a layer is a narrow one, so that nothing can lie over anything else; then each is moved
as close to the mean of its neighbours as the widths in its layer allow.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ..datasets.store import optional

Point = tuple[float, float]
GAP, RISE = 16.0, 22.0  # between neighbours in a layer, and between layers
SWEEPS = 60


@dataclass
class Placed:
    """The centres of the boxes and labels, and of each edge the points through which its curve goes."""

    width: float
    height: float
    boxes: list[Point]
    labels: list[Point]
    paths: list[list[Point]]


def place(sizes: Sequence[Point], edges: Sequence[tuple[int, int]], labels: Sequence[Point]) -> Placed:
    """A place for each box of a size, and for each edge (from, to) and its label of a size.

    Each path begins at the lower side of a box and ends at the upper side of another: vertical through the layers,
    curved between them. Raises ModuleNotFoundError without fast-sugiyama and dot, ValueError if the edges go round in a
    circle.

    >>> mt.learn.layout.place([(40, 20), (40, 20)], [(0, 1)], [(10, 10)]).boxes
    [(20.0, 10.0), (20.0, 84.0)]
    """
    n = len(sizes)
    links = [pair for k, (a, b) in enumerate(edges) for pair in ((a, n + k), (n + k, b))]
    rank, order, chains = _ranks(n + len(edges), links)
    size = [*sizes, *labels] + [(2.0, 0.0)] * (len(rank) - n - len(edges))
    layers: list[list[int]] = [[] for _ in range(max(rank, default=-1) + 1)]
    for v in sorted(range(len(rank)), key=lambda v: (order[v], v)):
        layers[rank[v]].append(v)
    tops, bottoms, y = [], [], 0.0
    for layer in layers:
        tall = max(size[v][1] for v in layer)
        tops.append(y)
        bottoms.append(y + tall)
        y += tall + RISE
    x = _columns(layers, chains, size, order)
    left = min((x[v] - size[v][0] / 2 for v in range(len(rank))), default=0.0)
    x = [c - left for c in x]
    centres = [(x[v], (tops[rank[v]] + bottoms[rank[v]]) / 2) for v in range(len(rank))]
    paths = _paths(n, sizes, edges, chains, centres, rank, tops, bottoms)
    width = max((x[v] + size[v][0] / 2 for v in range(len(rank))), default=0.0)
    return Placed(width, max(bottoms, default=0.0), centres[:n], centres[n : n + len(edges)], paths)


def _ranks(n: int, links: list[tuple[int, int]]) -> tuple[list[int], list[float], list[list[int]]]:
    """Of each vertex its layer and its place in it, and of each link the vertices that it goes through.

    Where a link passes layers, vertices are added for it behind the n.
    """
    _refuse_circles(n, links)
    rank, order, chains = [0] * n, [0.0] * n, [list(link) for link in links]
    if not links:
        return rank, [float(v) for v in range(n)], chains
    if importlib.util.find_spec("fast_sugiyama") is None and (program := shutil.which("dot")):
        return _by_graphviz(program, n, links)
    engine = optional("fast_sugiyama")
    shift = 0.0
    for positions, width, _, found in engine.from_edges(
        links, vertex_spacing=1.0, dummy_vertices=True, ranking_type="minimize", crossing_minimization="median"
    ):
        at = dict(positions)
        top = max(y for _, y in at.values())
        after: dict[int, list[int]] = {}
        for a, b in found:
            after.setdefault(a, []).append(b)
        number: dict[int, int] = {}
        for k, (a, b) in enumerate(links):
            if a not in at:
                continue
            for first in after[a]:  # each link takes one of the ways from a to b
                way = [a, first]
                while way[-1] >= n and way[-1] in after:
                    way.append(after[way[-1]][0])
                if way[-1] == b:
                    after[a].remove(first)
                    break
            for v in way[1:-1]:
                number[v] = len(rank)
                rank.append(0)
                order.append(0.0)
            chains[k] = [a, *[number[v] for v in way[1:-1]], b]
        for v, (x, y) in positions:
            v = number.get(v, v)
            rank[v], order[v] = round(top - y), shift + x
        shift += width + 2
    for v in set(range(n)) - {v for link in links for v in link}:
        order[v] = shift = shift + 1
    return rank, order, chains


def _by_graphviz(program: str, n: int, links: list[tuple[int, int]]) -> tuple[list[int], list[float], list[list[int]]]:
    """`_ranks`, by the program dot."""
    graph = 'digraph { node [shape=box width=0.4 height=0.2 fixedsize=true label=""]\n'
    graph += "\n".join([str(v) for v in range(n)] + [f"{a} -> {b}" for a, b in links]) + "\n}"
    done = subprocess.run([program, "-Tplain"], input=graph, capture_output=True, text=True, check=True, timeout=60)
    rows = [line.split() for line in done.stdout.splitlines() if line.startswith("node ")]
    at = {int(name): (float(x), float(y)) for _, name, x, y, *_ in rows}
    heights = sorted({y for _, y in at.values()}, reverse=True)
    rank = [heights.index(at[v][1]) for v in range(n)]
    order = [at[v][0] for v in range(n)]
    chains = []
    for a, b in links:
        between = range(rank[a] + 1, rank[b])
        chains.append([a, *range(len(rank), len(rank) + len(between)), b])
        for k in between:
            share = (k - rank[a]) / (rank[b] - rank[a])
            rank.append(k)
            order.append((1 - share) * order[a] + share * order[b])
    return rank, order, chains


def _refuse_circles(n: int, links: list[tuple[int, int]]) -> None:
    waiting, after = [0] * n, [[] for _ in range(n)]  # type: tuple[list[int], list[list[int]]]
    for a, b in links:
        waiting[b] += 1
        after[a].append(b)
    ready = [v for v in range(n) if not waiting[v]]
    done = 0
    while ready:
        done += 1
        for b in after[ready.pop()]:
            waiting[b] -= 1
            if not waiting[b]:
                ready.append(b)
    if done < n:
        raise ValueError("place: the edges go round in a circle; a computation graph has none")


def _columns(layers: list[list[int]], chains: list[list[int]], size: list[Point], order: list[float]) -> list[float]:
    """The x of each vertex: near the mean of its neighbours, apart from those in its layer."""
    near: list[list[tuple[int, float]]] = [[] for _ in order]
    for chain in chains:
        for a, b in pairwise(chain):
            weight = 1.0 + 2.0 * (size[a][1] == 0) + 2.0 * (size[b][1] == 0)  # a long arrow is to be straight
            near[a].append((b, weight))
            near[b].append((a, weight))
    x = [60.0 * o for o in order]
    level = {v: k for k, layer in enumerate(layers) for v in layer}
    for sweep in range(SWEEPS):
        down = sweep % 2 == 1  # the last one centres each below what it reads, which draws chains upright
        both = SWEEPS // 2 <= sweep < SWEEPS - 2
        for layer in layers if down else layers[::-1]:
            wanted = []
            for v in layer:
                seen = [(x[u], w) for u, w in near[v] if both or (level[u] < level[v]) == down]
                wanted.append(sum(c * w for c, w in seen) / sum(w for _, w in seen) if seen else x[v])
            for v, c in zip(layer, _apart(wanted, [size[v][0] for v in layer]), strict=True):
                x[v] = c
    return x


def _apart(wanted: list[float], widths: list[float]) -> list[float]:
    """The centres nearest to those wanted, in the sense of least squares, whose intervals keep their distance."""
    ahead = [0.0]
    for a, b in pairwise(widths):
        ahead.append(ahead[-1] + (a + b) / 2 + GAP)
    blocks: list[list[float]] = []  # [sum, count]: the means must rise, so what would fall is joined
    for c, d in zip(wanted, ahead, strict=True):
        blocks.append([c - d, 1.0])
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] >= blocks[-1][0] / blocks[-1][1]:
            total, count = blocks.pop()
            blocks[-1][0] += total
            blocks[-1][1] += count
    means = [total / count for total, count in blocks for _ in range(int(count))]
    return [c + d for c, d in zip(means, ahead, strict=True)]


def _paths(
    n: int,
    sizes: Sequence[Point],
    edges: Sequence[tuple[int, int]],
    chains: list[list[int]],
    centres: list[Point],
    rank: list[int],
    tops: list[float],
    bottoms: list[float],
) -> list[list[Point]]:
    """The points of each edge, from box to box, through its label and the places kept for it."""
    ways = [chains[2 * k][:-1] + chains[2 * k + 1] for k in range(len(edges))]
    leaving: list[list[tuple[float, int]]] = [[] for _ in range(n)]
    coming: list[list[tuple[float, int]]] = [[] for _ in range(n)]
    for k, way in enumerate(ways):
        leaving[way[0]].append((centres[way[1]][0], k))
        coming[way[-1]].append((centres[way[-2]][0], k))

    def ports(ends: list[list[tuple[float, int]]]) -> dict[int, float]:
        """Where along its box's side each edge leaves or comes: in the order of where it goes."""
        found: dict[int, float] = {}
        for v, all_of in enumerate(ends):
            room = min(0.6 * sizes[v][0], 26.0 * (len(all_of) - 1))
            for i, (_, k) in enumerate(sorted(all_of)):
                found[k] = centres[v][0] + (room * (i / (len(all_of) - 1) - 0.5) if len(all_of) > 1 else 0.0)
        return found

    out, into = ports(leaving), ports(coming)
    paths = []
    for k, way in enumerate(ways):
        a, b = way[0], way[-1]
        below = centres[a][1] + sizes[a][1] / 2
        points: list[Point] = [(out[k], below), (out[k], bottoms[rank[a]])]
        for v in way[1:-1]:
            points += [(centres[v][0], tops[rank[v]]), (centres[v][0], bottoms[rank[v]])]
        points += [(into[k], tops[rank[b]]), (into[k], centres[b][1] - sizes[b][1] / 2)]
        paths.append([p for i, p in enumerate(points) if i == 0 or p != points[i - 1]])
    return paths


def overlap(a: tuple[Point, Point], b: tuple[Point, Point]) -> bool:
    """Whether two rectangles (centre, size) share more than an edge."""
    (ax, ay), (aw, ah) = a
    (bx, by), (bw, bh) = b
    return abs(ax - bx) * 2 < aw + bw - 1e-9 and abs(ay - by) * 2 < ah + bh - 1e-9
