"""Pictures of graphs: values and derivatives against those by hand, boxes that lie apart, what cannot be drawn."""

from __future__ import annotations

import itertools
import math
import os
import random
import sys
import xml.etree.ElementTree as ET
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn
from minitensor.errors import ArgumentError, DtypeError, GraphError, ShapeError
from minitensor.learn import box, draw, watch
from minitensor.learn.layout import overlap, place

pytest.importorskip("fast_sugiyama", reason="pictures of graphs are laid out by fast-sugiyama")


def shown(drawing: Any) -> dict[str, tuple[Any, Any]]:
    """{title: (value, accumulated derivative)} of every box."""

    def bare(a: Any) -> Any:
        return None if a is None else np.asarray(a).tolist()

    return {v.title: (bare(v.value and v.value.array), bare(v.derivative)) for v in drawing.vertices}


def edges(drawing: Any) -> dict[tuple[str, str], list[tuple[Any, Any]]]:
    """{(from, to): [(local derivative, its part of the accumulated one), ...]}."""
    found: dict[tuple[str, str], list[tuple[Any, Any]]] = {}
    for e in drawing.edges:
        ends = drawing.vertices[e.source].title, drawing.vertices[e.target].title
        found.setdefault(ends, []).append(
            (None if e.local is None else e.local.tolist(), None if e.derivative is None else e.derivative.tolist())
        )
    return found


@box("2x²")
def twice_the_square(x: Any) -> Any:
    return 2 * x**2


# --- the examples of the books ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("x", [3.0, 4.0])
def test_cos_of_2x2_as_two_boxes(x: float) -> None:
    drawing = draw(lambda x: mt.cos(twice_the_square(x)), x)
    z, slope = 2 * x * x, -math.sin(2 * x * x)
    assert shown(drawing) == {
        "x": (x, pytest.approx(slope * 4 * x)),
        "2x²": (z, pytest.approx(slope)),
        "cos": (pytest.approx(math.cos(z)), 1.0),
    }
    assert edges(drawing) == {
        ("x", "2x²"): [(pytest.approx(4 * x), pytest.approx(slope * 4 * x))],
        ("2x²", "cos"): [(pytest.approx(slope), pytest.approx(slope))],
    }
    for text in (f"[{4 * x:g}]", f"[{slope:.6g}]".replace("-", "−"), "{{1}}"):
        assert text in drawing.svg


def test_stages_of_the_derivatives() -> None:
    f = lambda x: mt.cos(twice_the_square(x))  # noqa: E731
    none, local, every = (draw(f, 3.0, derivatives=d) for d in ("none", "local", "all"))
    body = [d.svg[d.svg.index("<rect") :] for d in (none, local, every)]
    assert "[12]" not in body[0] and "{{" not in body[0]  # noqa: PT018
    assert "[12]" in body[1] and "{{" not in body[1]  # noqa: PT018
    assert "[12]" in body[2] and "{{9.01185}}" in body[2]  # noqa: PT018


def test_an_input_used_twice_adds_its_paths() -> None:
    e, ln = math.exp(2), math.log(2)
    drawing = draw(lambda x: mt.exp(x) * mt.log(x), 2.0)
    found = edges(drawing)
    assert found["x", "exp"] == [(pytest.approx(e), pytest.approx(ln * e))]
    assert found["x", "log"] == [(pytest.approx(0.5), pytest.approx(e * 0.5))]
    assert shown(drawing)["x"][1] == pytest.approx(ln * e + e / 2)


def test_one_box_with_two_local_derivatives() -> None:
    @box("x²y + sin y")
    def inner(x: Any, y: Any) -> Any:
        return x**2 * y + mt.sin(y)

    drawing = draw(lambda x, y: mt.log(inner(x, y)), 3.0, 2.0)
    z = 18 + math.sin(2)
    found = edges(drawing)
    assert found["x", "x²y + sin y"][0] == (pytest.approx(12), pytest.approx(12 / z))
    assert found["y", "x²y + sin y"][0] == (pytest.approx(9 + math.cos(2)), pytest.approx((9 + math.cos(2)) / z))
    assert len(drawing.vertices) == 4


def test_a_shared_operator_is_one_box() -> None:
    def f(t: Any) -> Any:
        ln = mt.log(t)
        return t**2 * ln * mt.log(ln)

    drawing = draw(f, 3.0)
    ln = math.log(3)
    by_hand = 6 * ln * math.log(ln) + 9 * (1 / 3) * math.log(ln) + 9 * ln * (1 / ln) / 3
    assert drawing.vertices[0].derivative == pytest.approx(by_hand)
    logs = [v for v in drawing.vertices if v.title == "log"]
    assert [v.value.array.item() for v in logs] == [pytest.approx(ln), pytest.approx(math.log(ln))]
    assert sum(drawing.vertices[e.source] is logs[0] for e in drawing.edges) == 2
    assert drawing.formula == "t² × log(t) × log(log(t))"


@pytest.mark.parametrize(("f", "locals_"), [(lambda a, b: a + b, [1, 1]), (lambda a, b: a * b, [3, 2])])
def test_sum_and_product(f: Any, locals_: list[float]) -> None:
    assert [e.local.item() for e in draw(f, 2.0, 3.0).edges] == locals_


def test_constants_are_boxes_without_derivatives() -> None:
    drawing = draw(lambda x: mt.log(x + 2), 1.0)
    two = next(v for v in drawing.vertices if v.title == "2")
    assert (two.kind, two.derivative) == ("constant", None)
    (edge,) = [e for e in drawing.edges if drawing.vertices[e.source] is two]
    assert (edge.wants, edge.local, edge.derivative) == (False, None, None)
    assert shown(drawing)["x"] == (1.0, pytest.approx(1 / 3))


def test_the_formula_is_read_back() -> None:
    drawing = draw(lambda x, y, z: mt.sqrt(x * y + z**2), 2.0, 8.0, 3.0)
    assert drawing.formula == "sqrt(x × y + z²)"
    assert drawing.vertices[-1].value.array.item() == 5
    for f, text in [
        (lambda a, b: a - (b - a), "a − (b − a)"),
        (lambda a, b: (a - b) - a, "a − b − a"),
        (lambda a, b: (a + b) * a, "(a + b) × a"),
        (lambda a, b: a / (b / a), "a ÷ (b ÷ a)"),
        (lambda a, b: 1 / (a * b), "1 ÷ (a × b)"),
        (lambda a, b: 2 / mt.sin(a) - b, "1 ÷ sin(a) × 2 − b"),
        (lambda a, b: -(a + b), "−(a + b)"),
        (lambda a, b: (a * b) ** 3, "(a × b)³"),
        (lambda a, b: mt.atan2(a, b), "atan2(a, b)"),
    ]:
        assert draw(f, 1.0, 2.0).formula == text


def test_what_comes_first_in_a_difference_or_quotient() -> None:
    assert ">1 ÷ ( )<" in draw(lambda x: 1 / mt.sin(x), 1.0).svg
    assert ">a − b<" in draw(lambda a, b: a - b, 1.0, 2.0).svg
    assert ">−<" in draw(lambda a, b: mt.sin(a) - mt.sin(b), 1.0, 2.0).svg


def test_matrices_show_their_jacobians() -> None:
    """One layer: y = W x; its Jacobian by x is W itself, by W (row after row) x beside zeros."""
    w = mt.tensor([[0.1, 0.2, -0.3], [0.4, -0.5, 0.6]], dtype=mt.float64)
    x = mt.tensor([1.0, -1.0, 2.0], dtype=mt.float64)
    drawing = draw(lambda W, x: mt.tanh(W @ x), w, x)
    y = w.numpy() @ x.numpy()
    found = edges(drawing)
    assert [v.title for v in drawing.vertices] == ["W", "x", "@", "tanh"]  # no reshapes of our own
    assert np.array(found["x", "@"][0][0]) == pytest.approx(w.numpy())
    assert np.array(found["W", "@"][0][0]) == pytest.approx(np.kron(np.eye(2), x.numpy()))
    assert found["@", "tanh"][0][0] == pytest.approx((1 - np.tanh(y) ** 2).tolist())
    assert found["@", "tanh"][0][1] is None  # two outputs
    g = mt.tensor([1.0, 2.0], dtype=mt.float64)
    drawing = draw(lambda W, x: mt.tanh(W @ x), w, x, gradient=g)
    assert drawing.vertices[1].derivative == pytest.approx(w.numpy().T @ ((1 - np.tanh(y) ** 2) * [1, 2]))


def test_a_diagonal_matrix_is_not_taken_for_a_diagonal() -> None:
    drawing = draw(lambda x: mt.tensor([[2.0, 0.0], [0.0, 3.0]]) @ x, mt.tensor([1.0, 1.0]))
    (edge,) = [e for e in drawing.edges if e.wants]
    assert edge.local.tolist() == [[2, 0], [0, 3]]


# --- tensors ----------------------------------------------------------------------------------------------------------


def test_a_tensor_shows_what_the_graph_keeps() -> None:
    x = mt.tensor(3.0, requires_grad=True)
    z = 2 * x**2
    drawing = draw(mt.cos(z))
    assert [v.title for v in drawing.vertices] == ["x", "( )²", "2", "×", "cos"]
    assert [v.value.array.item() for v in drawing.vertices if v.value] == pytest.approx([3, 9, 18, math.cos(18)])
    assert "z: ×" in drawing.svg  # the variable that holds it
    assert x.grad is None
    mt.cos(z).backward()  # and nothing was freed
    assert x.grad.item() == pytest.approx(-math.sin(18) * 12, rel=1e-5)


def test_a_watched_tensor_shows_everything() -> None:
    x = mt.tensor(1.0, requires_grad=True)
    y = mt.log(x + 2)
    with watch():
        z = mt.log(x + 2)
    assert "2" not in shown(draw(y))
    assert shown(draw(z))["2"] == (None, None)
    assert shown(draw(z))["+"][0] == 3


def test_hooks_and_retained_gradients_see_nothing() -> None:
    seen = []
    x = mt.tensor(2.0, requires_grad=True)
    y = x * x
    y.register_hook(seen.append)
    y.retain_grad()
    draw(mt.exp(y))
    assert seen == []
    assert y.grad is None


def test_a_leaf_alone_and_several_outputs() -> None:
    x = mt.tensor(2.0, requires_grad=True)
    assert [(v.title, v.derivative.item()) for v in draw(x).vertices] == [("x", 1)]
    drawing = draw(lambda x: (x * 2, mt.exp(x)), 1.0)
    assert [v.title for v in drawing.vertices if v.is_output] == ["×", "exp"]
    assert "{{" not in drawing.svg
    drawing = draw(lambda x: x.split(1)[1].sum(), mt.tensor([1.0, 2.0]))
    assert drawing.vertices[0].derivative.tolist() == [0, 1]


def test_unusual_values() -> None:
    assert "{{" in draw(lambda x: mt.log(x), -1.0).svg  # NaN
    assert "[−inf]" in draw(lambda x: 1 / x, 0.0).svg
    assert [v.title for v in draw(lambda x: x.sum(), mt.zeros(0)).vertices] == ["x", "sum"]
    assert [e.wants for e in draw(lambda x, n: x * n, 2.0, mt.tensor(3)).edges] == [True, False]
    drawing = draw(lambda x: x.max(0)[0], mt.tensor([1.0, 3.0, 2.0]))
    assert (drawing.vertices[-1].title, drawing.vertices[0].derivative.tolist()) == ("max", [0, 1, 0])


def test_own_functions_embeddings_and_writes() -> None:
    class Square(mt.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Any) -> Any:
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx: Any, g: Any) -> Any:
            return 2 * ctx.saved_tensors[0] * g

    drawing = draw(lambda x: mt.sin(Square.apply(x)), 3.0)
    assert edges(drawing)["x", "Square"][0] == (6, pytest.approx(6 * math.cos(9)))
    drawing = draw(nn.Embedding(4, 2), mt.tensor([1, 3]))
    assert [(v.kind, v.title) for v in drawing.vertices] == [
        ("input", "weight"),
        ("constant", "input"),
        ("operator", "embedding"),
    ]

    def write(x: Any) -> Any:
        y = x * 2
        y[0] = 5.0
        return y.sum()

    drawing = draw(write, mt.tensor([1.0, 1.0]))
    assert drawing.vertices[0].derivative.tolist() == [0, 2]
    assert drawing.vertices[-1].value.array.item() == 7


def test_names() -> None:
    f = lambda a, b: a * b  # noqa: E731
    assert [v.title for v in draw(f, 1.0, 2.0, names=["u", "v"]).vertices][:2] == ["u", "v"]
    p = mt.tensor(1.0, requires_grad=True)
    assert draw(p * 2, names={"weight": p}).vertices[0].title == "weight"
    w = mt.tensor(5.0, requires_grad=True)
    assert "w" in shown(draw(lambda x: w * x, 2.0))


# --- networks ---------------------------------------------------------------------------------------------------------


def test_a_module_is_a_box() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))
    drawing = draw(net, mt.zeros(2, 3), group="modules")
    assert [(v.title, v.note.split("\n")[-1]) for v in drawing.vertices] == [
        ("input", ""),
        ("Linear", "16 weights"),
        ("Tanh", "1"),
        ("Linear", "5 weights"),
    ]
    every = draw(net, mt.zeros(2, 3), group="operators")
    assert [v.title for v in every.vertices if v.kind == "input"] == ["0.weight", "0.bias", "2.weight", "2.bias"]


@pytest.mark.parametrize("steps", [60, 1000])
def test_a_long_program_is_summarised(steps: int) -> None:
    def f(x: Any) -> Any:
        for _ in range(steps):
            x = mt.sin(x)
        return x

    drawing = draw(f, 0.5)
    assert len(drawing.vertices) <= 17
    by_hand, x = 1.0, 0.5
    for _ in range(steps):
        by_hand, x = by_hand * math.cos(x), math.sin(x)
    assert drawing.vertices[0].derivative == pytest.approx(by_hand)
    assert math.prod(e.local.item() for e in drawing.edges) == pytest.approx(by_hand)
    assert sum(int(v.note.split()[0]) for v in drawing.vertices if v.note) == steps
    assert len(draw(f, 0.5, group="operators").vertices) == steps + 1


def test_a_large_network_is_summarised() -> None:
    net = nn.Sequential(*itertools.chain(*[(nn.Linear(4, 4), nn.ReLU()) for _ in range(500)]))
    drawing = draw(net, mt.ones(2, 4))
    assert 4 <= len(drawing.vertices) <= 40
    assert sum(int(line.split()[0]) for v in drawing.vertices for line in v.note.split("\n") if "weights" in line) == (
        500 * 20
    )
    x = mt.ones(2, 4, requires_grad=True)
    tensor = x
    for _ in range(400):
        tensor = mt.relu(tensor @ tensor.T @ tensor)
    assert len(draw(tensor.sum()).vertices) <= 40  # without modules, by operators


# --- the layout -------------------------------------------------------------------------------------------------------


def random_graph(seed: int, n: int) -> tuple[list[tuple[float, float]], list[tuple[int, int]]]:
    r = random.Random(seed)
    edges = [(r.randrange(b), b) for b in range(1, n) for _ in range(r.choice((1, 1, 2, 3)))]
    return [(r.uniform(30, 150), r.uniform(20, 70)) for _ in range(n)], edges


@pytest.mark.parametrize("seed", range(20))
def test_nothing_overlaps_and_edges_go_down(seed: int) -> None:
    sizes, edges = random_graph(seed, 30)
    labels = [(10.0 * (k % 7), 12.0) for k in range(len(edges))]
    placed = place(sizes, edges, labels)
    items = [*zip(placed.boxes, sizes, strict=True), *zip(placed.labels, labels, strict=True)]
    assert not any(overlap(a, b) for a, b in itertools.combinations(items, 2))
    for (x, y), (w, h) in items:
        assert -1e-6 <= x - w / 2 <= x + w / 2 <= placed.width + 1e-6
        assert -1e-6 <= y - h / 2 <= y + h / 2 <= placed.height + 1e-6
    for (a, b), path in zip(edges, placed.paths, strict=True):
        heights = [y for _, y in path]
        assert all(below >= above - 1e-9 for above, below in itertools.pairwise(heights))
        assert heights[0] == pytest.approx(placed.boxes[a][1] + sizes[a][1] / 2)
        assert heights[-1] == pytest.approx(placed.boxes[b][1] - sizes[b][1] / 2)
        for (ax, ay), (bx, by) in itertools.pairwise(path):
            if ax == bx:  # a piece through a layer: through no box but its own
                for (cx, cy), (w, h) in zip(placed.boxes, sizes, strict=True):
                    inside = abs(ax - cx) < w / 2 and min(by, cy + h / 2) - max(ay, cy - h / 2) > 1e-6
                    assert not inside


def test_the_layout_is_the_same_every_time() -> None:
    sizes, edges = random_graph(3, 40)
    first, second = (place(sizes, edges, [(5, 5)] * len(edges)) for _ in range(2))
    assert first == second


DOT = """#!{python}
# Plain output as the program dot writes it: layers by the longest way, in the order of the numbers.
import re, sys
graph = sys.stdin.read()
edges = [(int(a), int(b)) for a, b in re.findall(r"^(\\d+) -> (\\d+)$", graph, re.M)]
rank = {{int(v): 0 for v in re.findall(r"^\\d+$", graph, re.M)}}
for _ in rank:
    for a, b in edges:
        rank[b] = max(rank[b], rank[a] + 1)
print("graph 1 9 9")
for v, r in rank.items():
    print(f'node {{v}} {{v}} {{-r}} 0.4 0.2 "" solid box black lightgrey')
for a, b in edges:
    print(f"edge {{a}} {{b}} 4 0 0 0 0 0 0 0 0 solid black")
print("stop")
"""


def test_graphviz_lays_out_where_it_alone_is_present(monkeypatch: Any, tmp_path: Any) -> None:
    program = tmp_path / "dot"
    program.write_text(DOT.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setitem(sys.modules, "fast_sugiyama", None)
    for seed in range(3):
        sizes, edges = random_graph(seed, 30)
        labels = [(10.0, 12.0)] * len(edges)
        placed = place(sizes, edges, labels)
        items = [*zip(placed.boxes, sizes, strict=True), *zip(placed.labels, labels, strict=True)]
        assert not any(overlap(a, b) for a, b in itertools.combinations(items, 2))
        assert all(placed.boxes[a][1] < placed.boxes[b][1] for a, b in edges)
    assert "log" in draw(lambda x: mt.log(x), 1.0).svg


def test_layout_of_little() -> None:
    assert place([], [], []).boxes == []
    assert place([(10, 10), (20, 10)], [], []).boxes[1][0] > place([(10, 10), (20, 10)], [], []).boxes[0][0] + 15
    parts = place([(10, 10)] * 4, [(0, 1), (2, 3)], [(4, 4)] * 2)  # two graphs, side by side
    assert abs(parts.boxes[0][0] - parts.boxes[2][0]) > 10
    twice = place([(30, 10)] * 2, [(0, 1), (0, 1)], [(8, 4)] * 2)  # x * x
    assert twice.labels[0] != twice.labels[1]
    with pytest.raises(ValueError, match="circle"):
        place([(1, 1)] * 2, [(0, 1), (1, 0)], [(1, 1)] * 2)


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("direction", ["down", "right"])
def test_the_svg_is_xml_and_within_its_page(direction: str) -> None:
    drawing = draw(lambda x, y: mt.exp(x) * y / (x - y), 2.0, 3.0, direction=direction, names=["<x>", "&y"])
    root = ET.fromstring(drawing.svg)
    assert drawing._repr_svg_() == drawing.svg
    width, height = float(root.get("width", 0)), float(root.get("height", 0))
    texts = [e for e in root.iter() if e.tag.endswith("text")]
    assert {"<x>", "&y"} <= {e.text for e in texts}
    for e in texts:
        assert 0 < float(e.get("x", -1)) < width
        assert 0 < float(e.get("y", -1)) < height


def test_saving(tmp_path: Any) -> None:
    drawing = draw(lambda x: mt.exp(x), 1.0)
    assert drawing.save(tmp_path / "a.svg").read_text(encoding="utf-8") == drawing.svg
    pytest.importorskip("matplotlib")
    assert drawing.save(str(tmp_path / "a.png")).read_bytes().startswith(b"\x89PNG")
    with pytest.raises(ArgumentError, match=r"a\.jpg is neither"):
        drawing.save(tmp_path / "a.jpg")


# --- what cannot be drawn ---------------------------------------------------------------------------------------------


def test_errors() -> None:
    x = mt.tensor(1.0, requires_grad=True)
    y = mt.exp(mt.sin(x))
    y.backward()
    with pytest.raises(GraphError, match="freed the saved values; pass retain_graph=True"):
        draw(y)
    with pytest.raises(GraphError, match="has no graph"):
        draw(mt.tensor(1.0))
    with mt.no_grad(), pytest.raises(GraphError, match="has no graph"):
        draw(x * 2)
    with pytest.raises(GraphError, match="returned float, not a tensor"):
        draw(lambda x: 1.0, 2.0)
    with pytest.raises(GraphError, match="has no graph"):
        draw(lambda x: mt.ones(2), 2.0)
    with pytest.raises(GraphError, match="no modules were seen"):
        draw(lambda x: x * 2, 2.0, group="modules")
    with pytest.raises(DtypeError, match="expected a tensor or a function, got int"):
        draw(3)
    with pytest.raises(ShapeError, match=r"gradient of shape \(3,\) for an output of shape \(2,\)"):
        draw(lambda x: x * 2, mt.ones(2), gradient=mt.ones(3))
    for how in ({"derivatives": "some"}, {"group": "layers"}, {"direction": "up"}):
        with pytest.raises(ArgumentError, match="draw"):
            draw(lambda x: x * 2, 2.0, **how)
    with pytest.raises(ArgumentError, match="2 names for 1 inputs"):
        draw(lambda x: x * 2, 2.0, names=["a", "b"])
    with pytest.raises(ArgumentError, match="inputs belong to a function"):
        draw(x * 2, 2.0)


def test_an_error_in_the_function_leaves_no_watch() -> None:
    def f(x: Any) -> Any:
        with box("inner"):
            return nn.Linear(2, 2)(x) + mt.ones(3)

    with pytest.raises(RuntimeError):
        draw(f, mt.ones(2))
    x = mt.tensor(1.0, requires_grad=True)
    assert (x * 2).grad_fn.metadata == {}


def test_without_the_packages(monkeypatch: Any, tmp_path: Any) -> None:
    drawing = draw(lambda x: mt.exp(x), 1.0)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    drawing.save(tmp_path / "a.svg")
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        drawing.save(tmp_path / "a.png")
    monkeypatch.setitem(sys.modules, "fast_sugiyama", None)
    monkeypatch.setenv("PATH", str(tmp_path))  # no dot either
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        draw(lambda x: mt.exp(x), 1.0)
