"""The embedding operator: gradients of repeated and padding rows, errors before anything is written."""

from __future__ import annotations

import numpy as np
import pytest
from checks import check

import minitensor as mt
from minitensor import _core
from minitensor.errors import DtypeError, IndexRangeError, ShapeError
from minitensor.nn import functional as F
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


def test_rows_longer_than_max_norm_are_scaled_in_the_table():
    w = mt.tensor([[3.0, 4.0], [0.3, 0.4], [6.0, 8.0]], requires_grad=True)
    before = w._version
    y = embedding(mt.tensor([0, 1, 0]), w, max_norm=1.0)
    np.testing.assert_allclose(y.detach().numpy(), [[0.6, 0.8], [0.3, 0.4], [0.6, 0.8]], rtol=1e-6)
    np.testing.assert_allclose(w.detach().numpy(), [[0.6, 0.8], [0.3, 0.4], [6.0, 8.0]], rtol=1e-6)
    assert w._version > before
    y.sum().backward()
    assert w.grad.tolist() == [[2.0, 2.0], [1.0, 1.0], [0.0, 0.0]]
    one = mt.tensor([[3.0, 4.0]])
    np.testing.assert_allclose(embedding(mt.tensor([0]), one, None, 1.0, 1.0).numpy(), [[3 / 7, 4 / 7]], rtol=1e-6)


@pytest.mark.usefixtures("face")
def test_gradient_by_frequency():
    w = mt.zeros(4, 2, requires_grad=True)
    y = embedding(mt.tensor([1, 3, 1, 1]), w, scale_grad_by_freq=True, sparse=True)
    (y * mt.tensor([[1.0], [5.0], [2.0], [6.0]])).sum().backward()
    assert w.grad.to_dense().tolist() == [[0.0, 0.0], [3.0, 3.0], [0.0, 0.0], [5.0, 5.0]]


TABLE = np.array([[1.0, 20.0], [3.0, 4.0], [5.0, 6.0], [-7.0, 8.0]])


def bag(*args, **kwargs):
    return F.embedding_bag(*args, **kwargs)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags(mode):
    w, index = mt.from_numpy(TABLE), mt.tensor([0, 1, 3, 1, 1])
    first, third = (getattr(TABLE[rows], mode)(0) for rows in ([0, 1], [3, 1, 1]))
    want = [first, [0, 0], third]
    np.testing.assert_allclose(bag(index, w, mt.tensor([0, 2, 2]), mode=mode).numpy(), want)
    np.testing.assert_allclose(bag(mt.tensor([[3, 1, 1]]), w, mode=mode).numpy(), [third])
    ends = bag(index, w, mt.tensor([0, 2, 2, 5]), mode=mode, include_last_offset=True)
    np.testing.assert_allclose(ends.numpy(), want)


def test_bags_skip_padding_and_weigh():
    w = mt.from_numpy(TABLE)
    index = mt.tensor([[0, 1], [1, 1]])
    assert bag(index, w, padding_idx=1).tolist() == [[1.0, 20.0], [0.0, 0.0]]
    assert bag(index, w, mode="max", padding_idx=1).tolist() == [[1.0, 20.0], [0.0, 0.0]]
    weights = mt.tensor([[2.0, 0.5], [1.0, -1.0]], dtype=mt.float64)
    assert bag(index, w, mode="sum", per_sample_weights=weights).tolist() == [[3.5, 42.0], [0.0, 0.0]]
    assert bag(mt.zeros(2, 0, dtype=mt.int64), w, mode="max").tolist() == [[0.0, 0.0], [0.0, 0.0]]
    assert bag(mt.zeros(0, dtype=mt.int64), w, mt.zeros(0, dtype=mt.int64), mode="sum").shape == (0, 2)


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
def test_bags_derivatives(mode):
    w = mt.from_numpy(TABLE).requires_grad_()
    index, offsets = mt.tensor([0, 1, 3, 1, 2]), mt.tensor([0, 2, 2])
    check(lambda w: bag(index, w, offsets, mode=mode), w)
    if mode == "sum":
        s = mt.tensor([1.0, 2.0, 3.0, 4.0, 5.0], dtype=mt.float64, requires_grad=True)
        check(lambda w, s: bag(index, w, offsets, mode="sum", per_sample_weights=s, padding_idx=3), w, s)


def test_bags_errors():
    w, index = mt.zeros(4, 2), mt.tensor([0, 1, 2])
    for args, kwargs, said in (
        ((index, w), {}, "needs offsets"),
        ((index, w, mt.tensor([1])), {}, "begin with 0"),
        ((index, w, mt.tensor([0, 2, 1])), {}, "rise to at most 3"),
        ((index, w, mt.tensor([0, 4])), {}, "rise to at most 3"),
        ((index[None], w, mt.tensor([0])), {}, "each row of a matrix is a bag"),
        ((index[None], w), {"mode": "min"}, "mode 'min'"),
        ((index[None], w), {"per_sample_weights": mt.ones(1, 3)}, "for mode 'sum'"),
        ((index[None], w), {"mode": "sum", "per_sample_weights": mt.ones(3)}, "must have the input's shape"),
    ):
        with pytest.raises(ShapeError, match=said):
            bag(*args, **kwargs)
    with pytest.raises(IndexError, match="index 9 is out of range for a table of 4 rows"):
        bag(mt.tensor([[9]]), w)


def test_layers():
    layer = mt.nn.Embedding.from_pretrained(mt.from_numpy(TABLE), padding_idx=1, max_norm=50.0)
    assert not layer.weight.requires_grad
    assert repr(layer) == "Embedding(4, 2, padding_idx=1, max_norm=50.0)"
    bags = mt.nn.EmbeddingBag.from_pretrained(mt.from_numpy(TABLE), freeze=False, mode="sum")
    assert bags.weight.requires_grad
    assert bags(mt.tensor([[0, 1]])).tolist() == [[4.0, 24.0]]
    assert repr(bags) == "EmbeddingBag(4, 2, mode='sum')"
    with pytest.raises(ShapeError, match="mode 'min'"):
        mt.nn.EmbeddingBag(4, 2, mode="min")


def test_one_hot():
    index = mt.tensor([[0, 2], [1, 1]])
    assert F.one_hot(index).tolist() == [[[1, 0, 0], [0, 0, 1]], [[0, 1, 0], [0, 1, 0]]]
    assert F.one_hot(mt.tensor(1), 4).tolist() == [0, 1, 0, 0]
    assert F.one_hot(index).dtype == mt.int64
    assert F.one_hot(mt.zeros(0, dtype=mt.int64), 3).shape == (0, 3)
    with pytest.raises(IndexError, match="class index 2 is out of range for 2 classes"):
        F.one_hot(index, 2)
    with pytest.raises(IndexError, match="class index -1"):
        F.one_hot(index - 1)
    with pytest.raises(TypeError, match="integers, not float32"):
        F.one_hot(mt.zeros(2))
    with pytest.raises(ValueError, match="says nothing"):
        F.one_hot(mt.zeros(0, dtype=mt.int64))
