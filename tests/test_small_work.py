"""What has a short way for small tensors: it gives, counts, records and refuses what the long way does."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import DtypeError, GraphError, IndexRangeError, ShapeError


def test_writes_at_an_index_are_counted_and_recorded():
    z = mt.zeros(3, 4)
    before = z._version
    z[0] = 1
    z[1, 2] = 2.5
    z[2, 1:3] = mt.tensor([3.0, 4.0])
    assert z.tolist() == [[1, 1, 1, 1], [0, 0, 2.5, 0], [0, 3, 4, 0]]
    assert z._version == before + 3
    x = mt.ones(2, requires_grad=True)
    y = x * 1
    y[0] = 5.0  # in the graph: x[0] no longer counts
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 1.0]
    with pytest.raises(GraphError, match="leaf"):
        x[0] = 1.0
    with mt.no_grad():
        x[0] = 7.0
    assert x.tolist() == [7.0, 1.0]


def test_a_write_that_a_gradient_misses_is_noticed():
    w, a = mt.ones(2, requires_grad=True), mt.ones(2)
    y = w * a
    a[0] = 3.0
    with pytest.raises(GraphError, match="modified by an inplace"):
        y.sum().backward()
    a = mt.ones(2)
    y = w * a
    a.mul_(2.0)
    with pytest.raises(GraphError, match="modified by an inplace"):
        y.sum().backward()


def test_writes_that_do_not_fit_write_nothing():
    z = mt.zeros(2, 3)
    for index, value, error in (
        (5, 1.0, IndexRangeError),
        ((0, 0, 0), 1.0, IndexRangeError),
        (0, mt.ones(2), ShapeError),
        (0, 10**400, DtypeError),
    ):
        with pytest.raises(error):
            z[index] = value
    assert z.sum().item() == 0
    assert z._version == 0
    z[0] = mt.ones(1, 3)  # further axes of size 1 count for nothing
    assert z[0].tolist() == [1, 1, 1]
    z[1:] = z[:1]  # memory that overlaps
    z[:, 1:] = z[:, :2]
    assert z.tolist() == [[1, 1, 1], [1, 1, 1]]
    frozen = np.zeros(2, np.float32)
    frozen.flags.writeable = False
    with pytest.raises(ShapeError, match="read-only"):
        mt.from_numpy(frozen)[0] = 1.0


def test_in_place_operators_on_themselves():
    x = mt.tensor([1.0, 2.0])
    assert x.add_(x) is x
    assert x.mul_(x).tolist() == [4.0, 16.0]
    w = mt.tensor([3.0], requires_grad=True)
    y = w * 1
    y.mul_(y)  # d(y^2) = 2 y
    y.backward(mt.ones(1))
    assert w.grad.tolist() == [6.0]
    y = mt.zeros(1)
    y.add_(w)  # takes its place in the graph by the other operand alone
    assert y.requires_grad


@pytest.mark.parametrize("dtype", [mt.int64, mt.int32, mt.uint8])
def test_integers_and_numbers(dtype):
    x = mt.tensor([1, 2, 3], dtype=dtype)
    assert (x + 1).dtype is dtype
    assert (x + 1).tolist() == [2, 3, 4]
    assert (x == 2).tolist() == [False, True, False]
    assert (x + 0.5).dtype is mt.float32
    assert (x * True).dtype is dtype
    assert (~(x == 2)).tolist() == [True, False, True]
    assert x.any().item() is (True if dtype is not mt.uint8 else 1)


def test_numpy_stays_quiet_and_keeps_its_settings():
    with warnings.catch_warnings(), np.errstate(all="raise"):
        warnings.simplefilter("error")
        x = mt.tensor([0, 1]).to(mt.float64)
        assert mt.log2(x).tolist() == [-math.inf, 0.0]
        assert mt.tensor([math.nan, 1e300]).isnan().tolist() == [True, False]
        assert mt.tensor(1e300).item() == math.inf
        with pytest.raises(FloatingPointError):
            np.log(np.zeros(1))


def test_choices_and_bounds():
    c = mt.tensor([True, False])
    x = mt.tensor([1.0, 2.0], requires_grad=True)
    y = mt.where(c, x, 0.0)
    assert y.tolist() == [1.0, 0.0]
    y.sum().backward()
    assert x.grad.tolist() == [1.0, 0.0]
    assert mt.where(c, mt.tensor([1, 2]), 0).dtype is mt.int64
    assert mt.where(c, 1.0, x).tolist() == [1.0, 2.0]
    assert mt.where(c, mt.tensor(1.0, dtype=mt.float64), x).dtype is mt.float32
    with pytest.raises(DtypeError, match="bools"):
        mt.where(mt.tensor([1.0, 0.0]), x, x)
    assert mt.clamp(mt.tensor([-3, 0, 3]), -1, 1).tolist() == [-1, 0, 1]
    assert mt.clamp(mt.tensor([-3.0, 3.0]), max=1).tolist() == [-3.0, 1.0]
    assert mt.clamp(mt.tensor([1.0]), math.nan).isnan().all()
    with pytest.raises(DtypeError):
        mt.clamp([1.0], 0)


def test_slices_at_the_numbers_of_a_tensor():
    x = mt.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    i = mt.tensor([-1, 0, -1])
    assert x[i].tolist() == [[3, 4], [1, 2], [3, 4]]
    x[i].sum().backward()
    assert x.grad.tolist() == [[1, 1], [2, 2]]
    assert x[mt.tensor([[0], [1]])].shape == (2, 1, 2)
    with pytest.raises(IndexRangeError, match=r"\(2, 2\)"):
        x[mt.tensor([2])]
    with pytest.raises(IndexRangeError):
        mt.tensor(1.0)[mt.tensor([0])]


def test_the_largest_along_an_axis_and_its_gradient():
    x = mt.tensor([[1.0, 5.0, 5.0], [7.0, 2.0, 3.0]], requires_grad=True)
    values, indices = x.max(1)
    assert (values.tolist(), indices.tolist()) == ([5.0, 7.0], [1, 0])
    assert values.requires_grad
    assert not indices.requires_grad
    (values * mt.tensor([2.0, 3.0])).sum().backward()
    assert x.grad.tolist() == [[0, 2, 0], [3, 0, 0]]
    assert mt.tensor([[1, 2], [4, 3]]).max(0).values.tolist() == [4, 3]
    assert x.argmax(keepdim=True).tolist() == [[3]]


def test_factories():
    assert math.copysign(1, mt.full_like(mt.ones(1), -0.0).item()) == -1
    assert mt.full((2,), 300, dtype=mt.int64).tolist() == [300, 300]
    with pytest.raises(DtypeError):
        mt.full((2,), 300, dtype=mt.uint8)
    assert mt.ones_like(mt.zeros(2, 3).T).stride() == (1, 3)
    assert mt.arange(3, -3, -2).tolist() == [3, 1, -1]
    assert mt.arange(2**62, 2**62 + 2).tolist() == [2**62, 2**62 + 1]
    assert mt.tensor([1, 2.5, True]).tolist() == [1.0, 2.5, 1.0]
    with pytest.raises(ShapeError):
        mt.zeros(2, -1)


def test_what_has_no_sizes_says_so():
    weight = mt.nn.LazyLinear(3).weight
    for ask in (lambda: weight.shape, lambda: weight.ndim, weight.dim, weight.numel, weight.item, weight.tolist):
        with pytest.raises(ShapeError, match="no sizes yet"):
            ask()


def test_running_statistics_move_towards_the_batch():
    layer = mt.nn.BatchNorm1d(2, momentum=0.5)
    layer(mt.tensor([[1.0, 0.0], [3.0, 4.0]]))
    assert layer.running_mean.tolist() == [1.0, 1.0]  # half way from 0 to 2
    assert layer.running_var.tolist() == [1.5, 4.5]  # half way from 1 to 2 and 8, over n - 1
    assert layer.num_batches_tracked.item() == 1


def test_the_variance_of_a_number():
    assert mt.var(mt.tensor(2.0)).isnan()
    assert mt.std(mt.tensor(2.0), correction=0).item() == 0
    assert mt.var(mt.tensor([[1.0, 3.0], [5.0, 5.0]]), 1).tolist() == [2.0, 0.0]


def test_sums_spread_their_gradient_from_any_axes():
    for axes, keepdim in (((0,), False), ((1,), False), ((0, 2), False), ((1,), True), ((0, 1, 2), False), (2, True)):
        x = mt.ones(2, 2, 2, requires_grad=True)
        y = x.sum(axes, keepdim=keepdim)
        y.backward(mt.arange(y.numel()).reshape(y.shape).float())
        want = np.broadcast_to(
            np.arange(y.numel(), dtype=np.float32).reshape(x.detach().sum(axes, keepdim=True).shape), (2, 2, 2)
        )
        assert x.grad.tolist() == want.tolist()
