"""The embedding operator: gradients of repeated and padding rows, errors before anything is written."""

from __future__ import annotations

import numpy as np
import pytest

import minitensor as mt
from minitensor import _core
from minitensor.errors import DtypeError, IndexRangeError, ShapeError
from minitensor.ops.embedding import embedding


@pytest.fixture(params=["kernel", "reference"])
def face(request):
    if request.param == "kernel":
        yield
    else:
        with mt.cpu.use("reference"):
            yield


@pytest.mark.usefixtures("face")
@pytest.mark.parametrize("dtype", [mt.int64, mt.int32, mt.uint8])
def test_rows(dtype):
    w = mt.arange(12.0).reshape(4, 3)
    assert embedding(mt.tensor([[1, 3], [1, 0]], dtype=dtype), w).tolist() == [
        [[3.0, 4.0, 5.0], [9.0, 10.0, 11.0]],
        [[3.0, 4.0, 5.0], [0.0, 1.0, 2.0]],
    ]


@pytest.mark.usefixtures("face")
def test_gradient_adds_up_and_skips_padding():
    w = mt.zeros(4, 2, requires_grad=True)
    embedding(mt.tensor([1, 3, 1, 2]), w, padding_idx=-2).sum().backward()
    assert w.grad.tolist() == [[0.0, 0.0], [2.0, 2.0], [0.0, 0.0], [1.0, 1.0]]


@pytest.mark.parametrize("rows", [3, 1000, 50000])
def test_rows_are_added_in_the_order_of_the_index(rows):
    """So the sum has one value, whatever the threads."""
    rng = np.random.default_rng(0)
    index = rng.integers(0, rows, 3000)
    g = rng.standard_normal((3000, 40)).astype(np.float32)
    want = np.zeros((rows, 40), np.float32)
    np.add.at(want, index, g)
    assert _core.embedding_vjp(g, index, rows, -1).tobytes() == want.tobytes()


@pytest.mark.usefixtures("face")
@pytest.mark.parametrize("bad", [-1, 4, 2**40])
def test_index_out_of_range(bad):
    with pytest.raises(IndexRangeError, match=rf"embedding: index {bad} is out of range for a table of 4 rows"):
        embedding(mt.tensor([0, bad, 1]), mt.zeros(4, 2))


def test_bad_arguments():
    index, w = mt.tensor([0]), mt.zeros(4, 2)
    with pytest.raises(DtypeError, match="embedding: the index must be integers"):
        embedding(mt.tensor([0.0]), w)
    with pytest.raises(ShapeError, match=r"embedding: weight must have 2 axes"):
        embedding(index, mt.zeros(4))
    with pytest.raises(IndexRangeError, match="padding_idx 4"):
        embedding(index, w, padding_idx=4)


def test_nothing_to_look_up():
    w = mt.zeros(4, 2, requires_grad=True)
    y = embedding(mt.zeros(0, 3, dtype=mt.int64), w)
    assert y.shape == (0, 3, 2)
    y.sum().backward()
    assert w.grad.tolist() == [[0.0, 0.0]] * 4
