"""The pictures of a run: what they show, and what they refuse."""

from __future__ import annotations

import io
import sys
from typing import Any

import numpy as np
import pytest

import minitensor as mt
from minitensor.learn import plot

pytest.importorskip("matplotlib")

P = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6]])
X = np.random.default_rng(0).random((3, 1, 4, 4))
CLASSES = ["cat", "dog"]


def texts(figure: Any) -> list[str]:
    """All that is written in a figure, by drawing it."""
    figure.savefig(io.BytesIO())
    return [t.get_text() for t in figure.findobj(lambda artist: hasattr(artist, "get_text"))]


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
    [((4, 1, 3, 3), None, 4), ((2, 3, 5, 5), None, 6), ((100, 1, 3, 3), None, 64), ((10, 16), (1, 4, 4), 10)],
)
def test_filters_are_pictures(weight: Any, shape: Any, pictures: int) -> None:
    figure = plot.filters(mt.zeros(*weight), shape)
    texts(figure)
    assert sum(len(axes.images) for axes in figure.axes) == pictures


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
    ],
)
def test_what_cannot_be_drawn(draw: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        draw()


def test_without_matplotlib(monkeypatch: Any) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        plot.curves({"loss": [1.0]})
