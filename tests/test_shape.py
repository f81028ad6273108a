"""Shapes and movement: views that are views, the rules of sizes, and what changes a tensor's own shape."""

from __future__ import annotations

import numpy as np
import pytest
from checks import check, leaves

import minitensor as mt
from minitensor import _core
from minitensor.errors import DtypeError, GraphError, IndexRangeError, OutOfMemoryError, ShapeError

T = mt.tensor


@pytest.fixture
def x():
    return mt.arange(12.0).reshape(3, 4)


# --- views ------------------------------------------------------------------------------------------------------------

VIEWS = [
    lambda x: mt.diagonal(x, 1),
    lambda x: x.unfold(1, 2, 1),
    lambda x: x.as_strided((2, 2), (4, 1), 5),
    lambda x: mt.select(x, 1, -1),
    lambda x: mt.tensor_split(x, 2, 1)[1],
    lambda x: mt.hsplit(x, 2)[0],
    lambda x: mt.swapaxes(x, 0, 1),
    lambda x: x.mT,
    lambda x: x.H,
    lambda x: mt.atleast_3d(x),
    lambda x: mt.ravel(x),
    lambda x: x.view(4, 3),
    lambda x: x.unflatten(1, (2, -1)),
    lambda x: x.t().as_strided((4, 2), (1, 4)),
]


@pytest.mark.parametrize("view", VIEWS)
def test_a_view_shares_memory_and_gradients(x, view):
    part = view(x)
    assert np.shares_memory(part.array, x.array)
    rng = np.random.default_rng(0)
    (w,) = leaves(rng, (3, 4))
    check(view, w)

    def write(w):
        y = w * w
        part = view(y)
        if np.unique(mt.take(mt.arange(12), view(mt.arange(12).reshape(3, 4))).array).size < part.numel():
            part = part[..., 0]  # windows overlap: only their first elements are written
        part.mul_(part.detach() * 0 + 3)
        return y * y

    check(write, w)


def test_a_view_of_a_transposed_base_is_written_in_the_graph():
    """The base lies in memory by columns, the gradient by rows: the same view of it would be a copy."""
    (w,) = leaves(np.random.default_rng(1), (3, 4))

    def write(w):
        y = w.t().clone()
        assert not y.is_contiguous()
        y.t().view(-1)[2:5].mul_(2)
        y.as_strided((2,), (3,), 1).mul_(3)
        return y * y

    check(write, w)


def test_as_strided_keeps_within_its_memory(x):
    assert x[1:].as_strided((2, 2), (1, 1)).tolist() == [[4.0, 5.0], [5.0, 6.0]]
    assert x[1:].as_strided((2,), (1,), 0).tolist() == [0.0, 1.0]  # the offset counts from the memory's start
    assert x.as_strided((0,), (1,), 50).shape == (0,)
    for size, stride, offset in (
        ((2, 2), (1, 1), 10),
        ((13,), (1,), 0),
        ((1,), (0,), 12),
        ((1,), (1,), -1),
        ((2,), (2**62,), 0),
    ):
        with pytest.raises(ShapeError, match=r"reach beyond|negative"):
            x.as_strided(size, stride, offset)
    with pytest.raises(ShapeError, match="negative"):
        x.as_strided((2,), (-1,), 3)
    with pytest.raises(ShapeError, match="2 sizes and 1 strides"):
        x.as_strided((2, 2), (1,))
    with pytest.raises(GraphError, match="clone"):
        mt.ones(1, requires_grad=True).expand(3).as_strided((1,), (1,))


def test_what_several_places_read_adds_up():
    w = mt.ones(4, requires_grad=True)
    w.as_strided((3, 2), (1, 1)).sum().backward()
    assert w.grad.tolist() == [1.0, 2.0, 2.0, 1.0]
    w.grad = None
    w.unfold(0, 3, 1).sum().backward()
    assert w.grad.tolist() == [1.0, 2.0, 2.0, 1.0]


def test_view_as_another_dtype():
    x = T([1.0, 2.0])
    bits = x.view(mt.int32)
    assert bits.tolist() == [0x3F800000, 0x40000000]
    bits[0] = 0x40400000
    assert x.tolist() == [3.0, 2.0]
    assert x.view(mt.uint8).shape == (8,)
    assert x.view(mt.float64).shape == (1,)
    assert mt.ones(2, requires_grad=True).view(mt.int32).requires_grad is False
    for bad in (mt.ones(3), mt.ones(2, 4).t(), T(1.0)):
        with pytest.raises(ShapeError, match="view"):
            bad.view(mt.float64)
    with pytest.raises(ShapeError, match="use reshape"):
        mt.ones(3, 4).t().view(12)


# --- a tensor's own shape ---------------------------------------------------------------------------------------------


def test_shapes_changed_in_place(x):
    assert x.t_() is x
    assert x.shape == (4, 3)
    assert x.unsqueeze_(0).squeeze_().swapaxes_(0, 1).transpose_(0, 1).swapdims_(0, 1).shape == (3, 4)
    assert x.tolist() == mt.arange(12.0).reshape(3, 4).tolist()
    assert x.as_strided_((2,), (1,)).tolist() == [0.0, 1.0]
    assert x.resize_(3).tolist() == [0.0, 1.0, 0.0]
    assert x.resize_as_(mt.ones(1, 2)).tolist() == [[0.0, 1.0]]


def test_shapes_changed_in_place_in_the_graph():
    (w,) = leaves(np.random.default_rng(2), (2, 3))

    def f(w):
        y = w * w
        first = y[0]
        y.t_()
        y[1].mul_(5)
        y.unsqueeze_(0)
        return y * first.sum()

    def g(w):
        y = w * w
        first = y[0] * T([1.0, 5.0, 1.0], dtype=mt.float64)
        return (y.t() * T([[1.0], [5.0], [1.0]], dtype=mt.float64))[None] * first.sum()

    with pytest.raises(GraphError, match="make the view again"):
        f(w)
    assert g(w).shape == (1, 3, 2)

    def h(w):
        y = w * w
        y.t_()
        y[1].mul_(5)
        return y.unsqueeze_(0) * y

    check(h, w)
    with pytest.raises(GraphError, match="leaf"):
        w.t_()
    with mt.no_grad():
        w.t_()
    assert w.shape == (3, 2)
    assert w.requires_grad


# --- rules of sizes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "want"),
    [
        (lambda x: mt.cat([T([]), x]).shape, (3, 4)),
        (lambda x: mt.cat([T([]), T([])]).shape, (0,)),
        (lambda x: mt.cat([T([1]), T([1.5])]).dtype, mt.float32),
        (lambda x: mt.concat([T([True]), T([2], dtype=mt.uint8)]).dtype, mt.uint8),
        (lambda x: mt.stack([T(1), T(1.5)], -1).tolist(), [1.0, 1.5]),
        (lambda x: mt.hstack([T(1), T([2, 3])]).tolist(), [1, 2, 3]),
        (lambda x: mt.vstack([T(1), T([2])]).tolist(), [[1], [2]]),
        (lambda x: mt.dstack([T(1), T([2])]).tolist(), [[[1, 2]]]),
        (lambda x: mt.column_stack([T(1), T([2])]).tolist(), [[1, 2]]),
        (lambda x: [p.shape[1] for p in mt.tensor_split(x, (3, 1), 1)], [3, 0, 3]),
        (lambda x: [p.shape[1] for p in mt.tensor_split(x, T(3), 1)], [2, 1, 1]),
        (lambda x: [p.shape for p in mt.chunk(mt.zeros(0, 2), 2)], [(0, 2), (0, 2)]),
        (lambda x: mt.narrow(x, 0, T(1), 1).tolist(), [[4.0, 5.0, 6.0, 7.0]]),
        (lambda x: mt.narrow(x, 0, 3, 0).shape, (0, 4)),
        (lambda x: mt.diagonal(x, 9).shape, (0,)),
        (lambda x: mt.diag_embed(T([1.0, 2.0]), -1).tolist(), [[0, 0, 0], [1, 0, 0], [0, 2, 0]]),
        (lambda x: mt.diag_embed(mt.ones(2, 3), 0, 0, 2).shape, (3, 2, 3)),
        (lambda x: mt.diag(x, -1).tolist(), [4.0, 9.0]),
        (lambda x: mt.trace(x.int()).dtype, mt.int64),
        (lambda x: mt.roll(x, (1, -1), (0, 1))[0].tolist(), [9.0, 10.0, 11.0, 8.0]),
        (lambda x: mt.roll(x, 5)[0].tolist(), [7.0, 8.0, 9.0, 10.0]),
        (lambda x: mt.rot90(x)[0].tolist(), [3.0, 7.0, 11.0]),
        (lambda x: mt.rot90(x, -1)[0].tolist(), [8.0, 4.0, 0.0]),
        (lambda x: mt.flip(x, dims=(0, 1))[0].tolist(), [11.0, 10.0, 9.0, 8.0]),
        (lambda x: x.repeat(0, 1).shape, (0, 4)),
        (lambda x: x.repeat(2, 1, 1).shape, (2, 3, 4)),
        (lambda x: mt.tile(x, (2,)).shape, (3, 8)),
        (lambda x: mt.repeat_interleave(T([1, 2])).tolist(), [0, 1, 1]),
        (lambda x: mt.repeat_interleave(x, T([2]), 0).shape, (6, 4)),
        (lambda x: mt.repeat_interleave(T(3.0), 2).tolist(), [3.0, 3.0]),
        (lambda x: mt.block_diag(T([1, 2]), T(1.5)).tolist(), [[1.0, 2.0, 0.0], [0.0, 0.0, 1.5]]),
        (lambda x: mt.block_diag().shape, (1, 0)),
        (lambda x: x.unfold(0, 0, 1).shape, (4, 4, 0)),
        (lambda x: T(3.0).unfold(0, 1, 1).shape, (1,)),
        (lambda x: mt.broadcast_shapes((2, 1), 3), (2, 3)),
        (lambda x: x.expand(2, -1, -1).shape, (2, 3, 4)),
        (lambda x: x.sum_to_size(1, 4).tolist(), [[12.0, 15.0, 18.0, 21.0]]),
        (lambda x: mt.moveaxis(x, (0, 1), (1, 0)).shape, (4, 3)),
        (lambda x: mt.permute(x, dims=(-1, 0)).shape, (4, 3)),
        (lambda x: mt.squeeze(x[None], (0, 1)).shape, (3, 4)),
        (lambda x: x.contiguous(memory_format=None).shape, (3, 4)),
        (lambda x: mt.slice_scatter(x, mt.ones(2, 4), 0, 1, 3).sum().item(), 14.0),
        (lambda x: mt.tril(x, -1).sum().item(), 4.0 + 8 + 9),
        (lambda x: mt.zeros(4, 2).fill_diagonal_(1, wrap=True)[:, 0].tolist(), [1.0, 0.0, 0.0, 1.0]),
    ],
)
def test_what_comes_out(x, call, want):
    assert call(x) == want


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda x: mt.cat([x, T([1.0])]), ShapeError, r"cat: \(3, 4\) and \(1,\)"),
        (lambda x: mt.cat([]), ValueError, "at least one"),
        (lambda x: mt.cat(x), TypeError, "list of tensors"),
        (lambda x: mt.cat([T(1.0)]), ShapeError, "use stack"),
        (lambda x: mt.stack([T(1.0), T([1.0])]), ShapeError, "differ"),
        (lambda x: mt.hsplit(x, 3), ShapeError, "3 equal parts"),
        (lambda x: mt.vsplit(T([1]), 1), ShapeError, "at least 2"),
        (lambda x: mt.tensor_split(x, 0), ShapeError, "positive"),
        (lambda x: mt.chunk(T(1.0), 1), ShapeError, "without axes"),
        (lambda x: mt.split(x, 0), ShapeError, "positive"),
        (lambda x: mt.narrow(x, 0, 4, 0), ShapeError, "do not fit"),
        (lambda x: mt.select(x, 0, 3), IndexRangeError, "index 3"),
        (lambda x: mt.select(T(1.0), 0, 0), IndexRangeError, "without axes"),
        (lambda x: mt.squeeze(x, (0, 0)), ShapeError, "twice"),
        (lambda x: mt.flip(x, (0, -2)), ShapeError, "twice"),
        (lambda x: mt.fliplr(T([1])), ShapeError, "2 axes"),
        (lambda x: mt.rot90(x, 1, (0, 0)), ShapeError, "one axis"),
        (lambda x: mt.roll(x, (1, 2), (0,)), ShapeError, "2 shifts for 1"),
        (lambda x: mt.diagonal(x, 1, 0, 0), ShapeError, "not two"),
        (lambda x: mt.diag(x[None]), ShapeError, "vector or a matrix"),
        (lambda x: mt.trace(T([1.0])), ShapeError, "matrix"),
        (lambda x: mt.tril(T([1.0])), ShapeError, "matrix"),
        (lambda x: x.repeat(2), ShapeError, "each axis"),
        (lambda x: x.repeat(-1, 1), ShapeError, "negative"),
        (lambda x: mt.repeat_interleave(x, T([1, 2]), 0), ShapeError, "size 3"),
        (lambda x: mt.repeat_interleave(x, -1, 0), ShapeError, "negative"),
        (lambda x: mt.repeat_interleave(x, T([1.0, 2.0, 1.0]), 0), DtypeError, "integers"),
        (lambda x: mt.repeat_interleave(x, 2, 0, output_size=5), ShapeError, "output_size"),
        (lambda x: x.unfold(1, 5, 1), ShapeError, "do not fit"),
        (lambda x: x.unfold(1, 2, 0), ShapeError, "do not fit"),
        (lambda x: x.expand(-1, 3, 4), ShapeError, "expand"),
        (lambda x: x.sum_to_size(2, 4), ShapeError, "broadcast"),
        (lambda x: mt.broadcast_tensors(x, mt.ones(3)), ShapeError, "broadcast"),
        (lambda x: T([1.0]).mT, ShapeError, "matrix"),
        (lambda x: x[None].H, ShapeError, "mH"),
        (lambda x: x.unflatten(1, ()), ShapeError, "empty"),
        (lambda x: x.unflatten(1, (3, 2)), ShapeError, "unflatten"),
        (lambda x: x.view(-1, 0), ShapeError, "view"),
        (lambda x: mt.block_diag(x[None]), ShapeError, "matrices"),
        (lambda x: mt.diagonal_scatter(x, mt.ones(4)), ShapeError, "diagonal_scatter"),
        (lambda x: mt.zeros(2, 3, 2).fill_diagonal_(1), ShapeError, "one size"),
        (lambda x: mt.ones(1).resize_(2**61), OutOfMemoryError, "resize_"),
        (lambda x: mt.movedim(x, 0, 5), IndexRangeError, "dim 5"),
    ],
)
def test_what_is_refused(x, call, error, text):
    with pytest.raises(error, match=text):
        call(x)


def test_derivatives_of_movement():
    rng = np.random.default_rng(3)
    x, v, s = leaves(rng, (3, 4), (4,), (3,))
    for f in (
        lambda x: x.repeat(2, 1, 2),
        lambda x: mt.repeat_interleave(x, T([0, 2, 1]), 0),
        lambda x: mt.rot90(x, 3),
        lambda x: mt.roll(x, 5),
        lambda x: mt.trace(x),
        lambda x: mt.block_diag(x, x[:1]),
        lambda x: mt.diagflat(x[0], 1),
        lambda x: mt.diag(x),
        lambda x: x.sum_to_size(1, 4),
        lambda x: mt.tensor_split(x, (1,))[1],
        lambda x: mt.cat([mt.zeros(0, dtype=mt.float64), x]),
    ):
        check(f, x)
    check(lambda x, v: mt.select_scatter(x, v, 0, 1), x, v)
    check(lambda x, s: mt.diagonal_scatter(x, s), x, s)
    check(lambda x, v: mt.as_strided_scatter(x, v, (4,), (3,)), x, v)
    check(lambda x, v: mt.column_stack([x.t(), v]), x, v)


def test_an_empty_vector_that_joins_has_a_gradient():
    empty = mt.zeros(0, requires_grad=True)
    mt.cat([empty, mt.ones(2, 2)]).sum().backward()
    assert empty.grad.shape == (0,)


def test_out(x):
    assert mt.cat([x, x], out=mt.empty(0)).shape == (6, 4)
    assert mt.stack([x, x], out=mt.empty(2, 3, 4)).shape == (2, 3, 4)
    assert mt.tril(x, out=mt.empty(3, 4)).sum().item() == 4 + 5 + 8 + 9 + 10 + 0
    assert mt.vstack([x, x], out=mt.empty(0)).shape == (6, 4)


def test_more_repeats_than_can_be_counted():
    """NumPy's repeat overflows and crashes there."""
    for repeats in (2**62, [2**62, 2**62, 1], mt.tensor([2**62])):
        with pytest.raises(MemoryError, match="repeat_interleave: no memory"):
            mt.repeat_interleave(mt.ones(3), repeats)


def test_reshape_copies_where_numpy_does():
    """A view where the strides allow it, of axes that are cut, turned, expanded or of size 1."""
    rng = np.random.default_rng(0)
    whole = np.arange(6 * 4 * 4 * 6, dtype=np.float32).reshape(6, 4, 4, 6)
    cuts = (slice(None), slice(None, None, 2), slice(1, 2), slice(None, None, -1), None)
    shapes = ((-1,), (-1, 1), (1, -1, 2), (2, -1), (2, 1, -1, 2), (-1, 3), (4, -1, 1))
    views = 0
    for _ in range(400):
        x = whole[tuple(cuts[k] for k in rng.integers(0, len(cuts), 4))]
        x = x.transpose(rng.permutation(x.ndim))
        if rng.integers(4) == 0:
            x = np.broadcast_to(x, (2, *x.shape))
        for shape in shapes:
            if x.size % -np.prod(shape) == 0:
                want, have = x.reshape(shape), _core.reshape(x, shape)
                np.testing.assert_array_equal(have, want)
                assert np.may_share_memory(have, x) == np.may_share_memory(want, x), (x.shape, x.strides, shape)
                views += np.may_share_memory(have, x)
    assert views > 100
