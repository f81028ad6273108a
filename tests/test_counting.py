"""Counting and looking up: unique, bincount, histograms, searchsorted, bucketize, by hand and against plain Python."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import DtypeError, IndexRangeError, ShapeError

NAN = math.nan


def lists(result):
    return tuple([t.tolist() for t in result])


def test_unique():
    x = mt.tensor([[3, 1], [1, 3]])
    assert mt.unique(x).tolist() == [1, 3]
    assert lists(mt.unique(x, return_inverse=True, return_counts=True)) == ([1, 3], [[1, 0], [0, 1]], [2, 2])
    assert lists(mt.unique(mt.tensor(3.0), return_inverse=True)) == ([3.0], 0)
    assert mt.unique(mt.zeros(0, 3)).shape == (0,)
    output, counts = mt.tensor([1.0, NAN, NAN]).unique(return_counts=True)
    assert (output.shape, counts.tolist()) == ((3,), [1, 1, 1])


def test_unique_slices():
    x = mt.tensor([[1, 2], [1, 2], [0, 0]])
    assert lists(mt.unique(x, dim=0, return_inverse=True, return_counts=True)) == (
        [[0, 0], [1, 2]],
        [1, 1, 0],
        [1, 2],
    )
    assert mt.unique(mt.tensor([[2, 1, 2], [0, 5, 0]]), dim=1).tolist() == [[1, 2], [5, 0]]
    assert mt.unique(mt.zeros(0, 3), dim=0).shape == (0, 3)
    with pytest.raises(ShapeError, match="are empty"):
        mt.unique(mt.zeros(0, 3), dim=1)
    with pytest.raises(IndexRangeError, match="without axes"):
        mt.unique(mt.tensor(1), dim=0)


def test_unique_consecutive():
    x = mt.tensor([1, 1, 2, 2, 1])
    assert lists(mt.unique_consecutive(x, True, True)) == ([1, 2, 1], [0, 0, 1, 1, 2], [2, 2, 1])
    assert lists(mt.tensor([[1, 1], [1, 2]]).unique_consecutive(return_inverse=True)) == ([1, 2], [[0, 0], [0, 1]])
    rows = mt.tensor([[1, 1], [1, 1], [0, 1]])
    assert lists(mt.unique_consecutive(rows, True, True, dim=0)) == ([[1, 1], [0, 1]], [0, 0, 1], [2, 1])
    assert mt.unique_consecutive(mt.zeros(0)).shape == (0,)


def test_bincount():
    x = mt.tensor([0, 2, 2])
    assert mt.bincount(x).tolist() == [1, 0, 2]
    assert mt.bincount(x, minlength=5).tolist() == [1, 0, 2, 0, 0]
    assert mt.bincount(x, mt.tensor([0.5, 1.0, 2.0])).tolist() == [0.5, 0.0, 3.0]
    assert mt.bincount(x, mt.tensor([0.5, 1.0, 2.0])).dtype == mt.float32
    assert mt.bincount(x, mt.tensor([1, 2, 3])).dtype == mt.float64
    assert mt.bincount(mt.zeros(0, dtype=mt.int64), minlength=2).tolist() == [0, 0]
    assert mt.zeros(0, dtype=mt.int64).bincount().shape == (0,)
    for bad in (mt.tensor([-1]), mt.zeros(2, 2, dtype=mt.int64)):
        with pytest.raises(ShapeError, match="bincount"):
            mt.bincount(bad)
    for dtype in (mt.float32, mt.bool):
        with pytest.raises(DtypeError, match="bincount"):
            mt.bincount(mt.zeros(2, dtype=dtype))
    with pytest.raises(ShapeError, match="weights"):
        mt.bincount(x, mt.ones(2))
    with pytest.raises(ShapeError, match="minlength"):
        mt.bincount(x, minlength=-1)


def test_histc():
    assert mt.histc(mt.tensor([1.0, 2.0, 1.0, 9.0]), 4, 0, 4).tolist() == [0.0, 2.0, 1.0, 0.0]
    assert mt.histc(mt.tensor([4.0, 0.0]), 2, 0, 4).tolist() == [1.0, 1.0]  # the last bin has its upper end
    assert mt.histc(mt.tensor([1.0, 2.0, 3.0]), 2).tolist() == [1.0, 2.0]
    assert mt.histc(mt.tensor([1.0, 1.0]), 3).tolist() == [0.0, 2.0, 0.0]
    assert mt.histc(mt.zeros(0), 3).tolist() == [0.0, 0.0, 0.0]
    assert mt.histc(mt.tensor([NAN, 0.5]), 2, 0, 1).tolist() == [0.0, 1.0]
    with pytest.raises(ShapeError, match="not finite"):
        mt.histc(mt.tensor([1.0, NAN]))
    with pytest.raises(ShapeError, match="below"):
        mt.histc(mt.ones(3), 3, 2, 1)
    with pytest.raises(ShapeError, match="bins"):
        mt.histc(mt.ones(3), 0)
    with pytest.raises(DtypeError, match="histc"):
        mt.histc(mt.arange(3))


def test_histogram():
    x = mt.tensor([1.0, 2.0, 3.0])
    hist, edges = mt.histogram(x, 2)
    assert (hist.tolist(), edges.tolist()) == ([1.0, 2.0], [1.0, 2.0, 3.0])
    assert x.histogram(mt.tensor([0.0, 2.0, 3.0])).hist.tolist() == [1.0, 2.0]
    assert x.histogram(mt.tensor([0.0, 2.0, 3.0]), density=True).hist.tolist() == pytest.approx([1 / 6, 2 / 3])
    weighted = x.histogram(2, range=(0.0, 2.0), weight=mt.tensor([1.0, 2.0, 4.0]))
    assert lists(weighted) == ([0.0, 3.0], [0.0, 1.0, 2.0])
    assert mt.histogram(mt.tensor([1.0, 1.0]), 2).bin_edges.tolist() == [0.5, 1.0, 1.5]
    assert lists(mt.histogram(mt.zeros(0), 2)) == ([0.0, 0.0], [0.0, 0.5, 1.0])
    with pytest.raises(ShapeError, match="increasing"):
        x.histogram(mt.tensor([1.0, 0.0]))
    with pytest.raises(ShapeError, match="weights"):
        x.histogram(2, weight=mt.ones(2))
    with pytest.raises(TypeError, match="range"):
        x.histogram(mt.tensor([0.0, 1.0]), range=(0, 1))
    with pytest.raises(ShapeError, match="bins"):
        x.histogram(0)


@pytest.mark.parametrize("right", [False, True])
def test_searchsorted_against_its_definition(right):
    """The number of elements below (or not above) each value."""
    rng = np.random.default_rng(0)
    rows = np.sort(rng.integers(0, 9, (2, 3, 7)), -1)
    values = rng.integers(-1, 10, (2, 3, 5))
    below = rows[..., None, :] <= values[..., None] if right else rows[..., None, :] < values[..., None]
    found = mt.searchsorted(mt.from_numpy(rows), mt.from_numpy(values), right=right)
    assert found.tolist() == below.sum(-1).tolist()
    assert mt.searchsorted(mt.from_numpy(rows[0, 0]), mt.from_numpy(values), right=right)[0, 0].tolist() == (
        found[0, 0].tolist()
    )


def test_searchsorted_forms():
    row = mt.tensor([1, 3, 5])
    assert mt.searchsorted(row, 4).item() == 2
    assert mt.searchsorted(row, mt.tensor(3), side="right").item() == 2
    assert mt.searchsorted(row, mt.tensor([3]), out_int32=True).dtype == mt.int32
    assert mt.searchsorted(mt.tensor([5, 1, 3]), mt.tensor([4]), sorter=mt.tensor([1, 2, 0])).tolist() == [2]
    assert mt.searchsorted(mt.tensor([1.0, NAN]), mt.tensor([NAN, 2.0])).tolist() == [1, 1]
    assert mt.bucketize(mt.tensor([[0, 3], [9, 1]]), row).tolist() == [[0, 1], [3, 0]]
    assert mt.bucketize(3, row, right=True).item() == 2
    with pytest.raises(ShapeError, match="contradict"):
        mt.searchsorted(row, row, side="left", right=True)
    with pytest.raises(ShapeError, match="agree"):
        mt.searchsorted(mt.ones(2, 3), mt.ones(3))
    with pytest.raises(IndexRangeError, match="sorter"):
        mt.searchsorted(row, row, sorter=mt.tensor([0, 1, 3]))
    with pytest.raises(ShapeError, match="vector"):
        mt.bucketize(row, mt.ones(2, 2))
