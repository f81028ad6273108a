"""The pictures of a run: what they show, and what they refuse."""

from __future__ import annotations

import io
import math
import sys
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor.learn import plot

Text = pytest.importorskip("matplotlib.text", reason="pictures are drawn by matplotlib").Text

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
X = np.random.default_rng(0).random((3, 1, 4, 4))
CLASSES = ["cat", "dog"]


def first(axes: Any) -> Any:
    """The axes, or the first of several."""
    return np.asarray(axes, object).reshape(-1)[0]


def texts(axes: Any) -> list[str]:
    """All that is written in the figure of some axes, by drawing it."""
    figure = first(axes).figure
    figure.savefig(io.BytesIO())
    return [t.get_text() for t in figure.findobj(Text)]


def f(a: Any, b: Any) -> Any:
    return a**2 + 3 * b**2


def test_a_curve_and_its_tangent() -> None:
    axes = plot.function(mt.sqrt, (0, 4), tangents=[1.0], label="root", n=5)
    curve, tangent, point = axes.lines
    assert curve.get_ydata() == pytest.approx([0, 1, math.sqrt(2), math.sqrt(3), 2])
    (x0, x1), (y0, y1) = tangent.get_data()
    assert (y1 - y0) / (x1 - x0) == pytest.approx(0.5)
    assert point.get_xydata().tolist() == [[1, 1]]
    assert "slope 0.5 at 1" in texts(axes)
    more = plot.function([mt.sin, lambda x: 2.0], [0.0, 1.0, 2.0], label=["sine", "two"], ax=axes)
    assert more is axes
    assert axes.lines[-1].get_ydata().tolist() == [2, 2, 2]


def test_surfaces_and_level_lines_take_functions_and_values() -> None:
    z = [[0.0, 1.0], [3.0, 4.0]]  # rows along y
    for how in ({}, {"wire": True}, {"floor": True}):
        texts(plot.surface(f, (0, 1), n=10, **how))
    assert "height" in texts(plot.surface(mt.tensor(z), (0, 1), n=2, labels=("x", "y", "height")))
    axes = plot.levels(f, (-2, 2), (-1, 1), levels=[1.0])
    (line,) = axes.collections[0].get_paths()
    assert np.array(f(*line.vertices.T)) == pytest.approx(1, abs=1e-3)
    assert (axes.get_xlim(), axes.get_ylim()) == ((-2, 2), (-1, 1))
    assert "1" in texts(axes)
    texts(plot.levels(f, filled=True))
    assert "3 everywhere" in texts(plot.levels(lambda x, y: 3.0))


def test_arrows_go_down_the_gradient() -> None:
    axes = plot.gradients(f, (-2, 2), n=5)
    (arrows,) = [c for c in axes.collections if hasattr(c, "U")]
    x, y = arrows.X, arrows.Y
    assert arrows.U == pytest.approx(-2 * x / math.hypot(4, 12))  # the longest is a step of the grid, 1
    assert arrows.V == pytest.approx(-6 * y / math.hypot(4, 12))
    (up,) = [c for c in plot.gradients(f, (-2, 2), n=5, descent=False, lines=False).collections if hasattr(c, "U")]
    assert up.U == pytest.approx(-arrows.U)
    texts(plot.gradients(lambda x, y: mt.zeros_like(x), n=3))


def test_paths() -> None:
    points = [[2.0, 1.0], [1.2, -0.2]]
    axes = plot.path(points, f, label="one")
    plot.path([[0.0, 0.5]], label="two", ax=axes)
    assert axes.lines[0].get_xydata().tolist() == points
    assert {"one", "two"} <= set(texts(axes))
    axes = plot.path([2.0, 1.0], lambda a: a * a)
    assert axes.lines[1].get_xydata().tolist() == [[2, 4], [1, 1]]


def test_regions_mark_what_is_wrong() -> None:
    points = [[0.5, 0.5], [-0.5, 0.5], [0.5, -0.5]]
    axes = plot.regions(lambda p: p[:, 0], (-1, 1), threshold=0, points=points, labels=[1, 0, 0], n=4)
    assert np.asarray(axes.images[0].get_array()).tolist() == [[0, 0, 1, 1]] * 4
    ring = axes.collections[-1]
    assert ring.get_offsets().tolist() == [[0.5, -0.5]]
    assert {"class 0", "class 1", "wrong"} <= set(texts(axes))
    net = mt.nn.Linear(2, 3)
    assert len(np.unique(np.asarray(plot.regions(net, (-9, 9)).images[0].get_array()))) <= 3


def test_pictures_activations_attention() -> None:
    grid = plot.images([mt.zeros(4, 4), mt.ones(3, 4, 4), np.zeros((4, 4, 1), np.uint8)], ["a", "b", "c"], "three")
    assert {"a", "b", "c", "three"} <= set(texts(grid))
    assert [axes.images[0].get_array().shape for axes in grid.flat] == [(4, 4), (4, 4, 3), (4, 4)]
    assert sum(len(axes.images) for axes in plot.activations(mt.rand(1, 70, 3, 3)).flat) == 64
    assert "neuron" in texts(plot.activations(mt.randn(5)))
    axes = plot.attention(mt.eye(3)[1:], ["the", "cat", "sat"])
    assert [t.get_text() for t in axes.get_yticklabels()] == ["cat", "sat"]
    assert plot.attention(mt.rand(1, 5, 3, 3)).shape == (2, 4)


def test_embeddings_turn_to_their_principal_axes() -> None:
    x = np.random.default_rng(0).standard_normal((20, 1)) * [3.0, 0, 0] + [1.0, 2.0, 3.0]
    axes = plot.embedding(x, [0, 1] * 10, classes=["a", "b"])
    assert "first principal axis (100% of the variance)" in texts(axes)
    found = np.concatenate([c.get_offsets() for c in axes.collections])
    assert abs(found[:, 1]).max() < 1e-12
    assert sorted(abs(found[:, 0])) == pytest.approx(sorted(abs(x[:, 0] - x[:, 0].mean())))
    assert "word" in texts(plot.embedding([[1.0, 2.0]], words=["word"]))


def test_saving_and_pyplot(tmp_path: Any) -> None:
    from matplotlib import pyplot

    before = (pyplot.get_fignums(), dict(pyplot.rcParams))
    for k, axes in enumerate([plot.function(mt.sin, (0, 1)), plot.images([mt.zeros(2, 2)])]):
        assert plot.save(axes, tmp_path / f"{k}.png").read_bytes().startswith(b"\x89PNG")
    assert (pyplot.get_fignums(), dict(pyplot.rcParams)) == before


def test_curves_show_both_sets_and_the_last_values() -> None:
    history = {"loss": [2.0, 1.0], "accuracy": [0.5, 0.75], "val_loss": [3.0, 2.0]}
    found = texts(plot.curves(history, "title"))
    for text in ("title", "training: 1 at the end", "held back: 2 at the end", "training: 75.0% at the end"):
        assert text in found
    assert any("logarithmic" in t for t in texts(plot.curves({"loss": [100.0, 1.0]})))
    texts(plot.curves({"loss": [float("nan"), 1.0]}))


def test_confusion_counts() -> None:
    found = texts(plot.confusion(mt.tensor([0, 0, 1, 1, 1]), [0, 1, 1, 1, 1], CLASSES))
    assert sorted(t for t in found if t.isdigit()) == ["1", "1", "3"]
    assert "4 of 5 right (80.0%)" in found
    texts(plot.confusion([], [], CLASSES))


@pytest.mark.parametrize(
    ("weight", "shape", "pictures"),
    [
        ((4, 1, 3, 3), None, 4),
        ((2, 3, 5, 5), None, 2),
        ((2, 4, 5, 5), None, 8),
        ((100, 1, 3, 3), None, 64),
        ((10, 16), (1, 4, 4), 10),
    ],
)
def test_filters_are_pictures(weight: Any, shape: Any, pictures: int) -> None:
    grid = plot.filters(mt.zeros(*weight), shape)
    texts(grid)
    assert sum(len(axes.images) for axes in grid.flat) == pictures


def test_filters_of_three_channels_are_in_colour() -> None:
    weight = mt.zeros(1, 3, 1, 2)
    weight[0, :, 0, 0] = mt.tensor([2.0, 0.0, -2.0])
    (axes,) = plot.filters(weight).flat
    assert axes.images[0].get_array().tolist() == [[[1, 0.5, 0], [0.5, 0.5, 0.5]]]


def test_words_that_pull_to_either_side() -> None:
    left, right = plot.words([2.0, -1.0, 0.1, -3.0], ["great", "dull", "film", "awful"], ["no", "yes"], limit=2)
    read = [[label.get_text() for label in axes.get_yticklabels()] for axes in (left, right)]
    assert read == [["awful", "dull"], ["great", "film"]]
    assert [bar.get_width() for bar in left.patches] == [3, 1]
    assert {"says no", "says yes"} <= set(texts([left, right]))


def test_mistaken_texts_come_first_the_worst_before() -> None:
    found = texts(plot.mistaken_texts(["long " * 100, "A $5 delight.<br />", "fine"], [1, 1, 0], P, CLASSES))
    shown = [t for t in found if t.startswith("is ")]
    assert shown == ["is dog, read as cat (90%)", "is cat, read as dog (60%)", "is dog, rightly read as dog (80%)"]
    assert any(t.startswith("long long") and t.endswith(" ...") and t.count("\n") == 2 for t in found)
    assert r"A \$5 delight." in found


def test_mistakes_draw_no_more_pictures_than_they_ask_for() -> None:
    asked: list[int] = []
    plot.mistakes(lambda i: asked.append(i) or X[i], [1, 1, 0], P, CLASSES, limit=2)
    assert asked == [0, 2]


def test_mistakes_come_first_the_worst_before() -> None:
    labels = [1, 1, 0]  # the first and the last are read wrongly
    found = texts(plot.mistakes(X, labels, P, CLASSES))
    shown = [t for t in found if "\n" in t and "%" in t]
    assert shown == ["dog\nread as cat (90%)", "cat\nread as dog (60%)", "dog\n80% sure"]
    assert any("2 of 3 wrong, in orange" in t for t in found)
    assert any("the worst 1, in orange" in t for t in texts(plot.mistakes(X, labels, P, CLASSES, limit=1)))
    texts(plot.mistakes(np.repeat(X, 3, 1), labels, P, CLASSES))


@pytest.mark.parametrize(
    ("draw", "says"),
    [
        (lambda: plot.path([[1.0, 2.0, 3.0]], f), r"points of shape \(1, 3\)"),
        (lambda: plot.path([1.0, 2.0]), "give it as f"),
        (lambda: plot.surface(mt.zeros(3, 3), n=4), r"values of shape \(3, 3\) on a grid of \(4, 4\)"),
        (lambda: plot.levels(f, 3.0), r"an interval is \(low, high\)"),
        (lambda: plot.regions(lambda p: p, (0, 1), points=mt.zeros(3, 3)), r"points of shape \(3, 3\)"),
        (lambda: plot.regions(lambda p: p, (0, 1), points=mt.zeros(3, 2), labels=[0, 1]), "2 labels for 3 points"),
        (lambda: plot.regions(lambda p: p.sum(), (0, 1)), r"answers of shape \(\)"),
        (lambda: plot.images([]), "there are none"),
        (lambda: plot.images([mt.zeros(2, 3, 4)]), r"\(2, 3, 4\) is no picture"),
        (lambda: plot.activations(mt.zeros(2, 3)), r"\(2, 3\) is neither"),
        (lambda: plot.attention(mt.eye(3), ["one"]), "with 1 words"),
        (lambda: plot.embedding(mt.zeros(3, 1)), "with a size of 2 or more"),
        (lambda: plot.embedding(mt.zeros(3, 2), words=["one"]), "3 vectors, 3 labels, 1 words"),
        (lambda: plot.curves({}), "no epochs"),
        (lambda: plot.curves({"loss": []}), "no epochs"),
        (lambda: plot.confusion([0, 1], [0], CLASSES), r"labels \(2,\) and predictions \(1,\)"),
        (lambda: plot.confusion([0, 2], [0, 1], CLASSES), "outside the 2 classes"),
        (lambda: plot.confusion([0, 1], [0, -1], CLASSES), "outside the 2 classes"),
        (lambda: plot.filters(mt.zeros(3, 4)), r"\(3, 4\) is neither"),
        (lambda: plot.filters(mt.zeros(3, 4), (1, 3, 3)), r"\(3, 4\) is neither"),
        (lambda: plot.mistakes(X, [0, 1], P, CLASSES), r"3 images, but labels of shape \(2,\)"),
        (lambda: plot.mistakes(X, [0, 1, 1], P[:2], CLASSES), "do not fit together"),
        (lambda: plot.mistakes(np.repeat(X, 2, 1), [0, 1, 1], P, CLASSES), "do not fit together"),
        (lambda: plot.mistaken_texts(["a", "b"], [0, 1, 1], P, CLASSES), "2 texts and probabilities"),
        (lambda: plot.words([1.0, 2.0], ["a"], CLASSES), "for 1 words"),
    ],
)
def test_what_cannot_be_drawn(draw: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        draw()


def test_without_matplotlib(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        plot.curves({"loss": [1.0]})
