"""Order: sort and its kin at ties and NaN, ranks out of range, medians, modes, quantiles by hand.

What every operator has in common is in test_ops.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from checks import check

import minitensor as mt
from minitensor.errors import DtypeError, IndexRangeError, ShapeError

NAN, INF = math.nan, math.inf


def lists(result):
    return tuple([t.tolist() for t in result])


def gradient(f, values):
    x = mt.tensor(values, dtype=mt.float64, requires_grad=True)
    y = f(x)
    y.backward(mt.ones_like(y))
    return x.grad.tolist()


def leaf(values):
    return mt.tensor(values, dtype=mt.float64, requires_grad=True)


# --- sort -------------------------------------------------------------------------------------------------------------


def test_sort_is_stable_both_ways():
    x = mt.tensor([2, 1, 2, 1])
    assert lists(x.sort()) == ([1, 1, 2, 2], [1, 3, 0, 2])
    assert lists(x.sort(descending=True)) == ([2, 2, 1, 1], [0, 2, 1, 3])
    assert mt.argsort(x, stable=True).tolist() == [1, 3, 0, 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("dim", [0, 1])
def test_sort_of_many(dtype, descending, dim):
    """Ties, both zeros, infinities and NaN, against Python's sort with NaN as the largest."""
    rng = np.random.default_rng(0)
    x = rng.choice(np.array([-INF, -1.5, -0.0, 0.0, 1e-40, 2.0, INF, NAN, -NAN], dtype), (40, 50))
    values, indices = mt.from_numpy(x).sort(dim, descending)
    for k in range(x.shape[1 - dim]):
        line = x.take(k, 1 - dim).tolist()
        key = [(math.isnan(v), 0 if math.isnan(v) else v) for v in line]
        order = sorted(range(len(line)), key=lambda i: key[i])
        if descending:  # stable the other way round
            order = sorted(range(len(line)), key=lambda i: key[i], reverse=True)
        assert indices.numpy().take(k, 1 - dim).tolist() == order
    np.testing.assert_array_equal(values.numpy(), np.take_along_axis(x, indices.numpy(), dim))


def test_sort_of_small_things():
    assert lists(mt.tensor(3.0).sort()) == (3.0, 0)
    assert lists(mt.zeros(0).sort()) == ([], [])
    assert mt.zeros(2, 0).sort(0).indices.shape == (2, 0)
    assert lists(mt.tensor([True, False]).sort()) == ([False, True], [1, 0])
    assert mt.msort(mt.tensor([[3, 1], [2, 4]])).tolist() == [[2, 1], [3, 4]]
    values, indices = mt.empty(2), mt.empty(2, dtype=mt.int64)
    mt.sort(mt.tensor([2.0, 1.0]), out=(values, indices))
    assert lists((values, indices)) == ([1.0, 2.0], [1, 0])


def test_gradients_go_back_to_where_values_came_from():
    g = mt.tensor([10.0, 20.0, 30.0], dtype=mt.float64)
    x = leaf([2.0, 3.0, 1.0])
    (x.sort().values * g).sum().backward()
    assert x.grad.tolist() == [20.0, 30.0, 10.0]
    assert gradient(lambda x: x.topk(2).values, [1.0, 3.0, 2.0]) == [0.0, 1.0, 1.0]
    assert gradient(lambda x: x.kthvalue(1).values, [1.0, 3.0, 2.0]) == [1.0, 0.0, 0.0]
    assert gradient(lambda x: x.mode().values, [1.0, 3.0, 3.0]) == [0.0, 0.0, 1.0]
    assert gradient(lambda x: x.median(0).values, [1.0, 2.0, 2.0]) == [0.0, 1.0, 0.0]
    x = leaf([[0.3, -1.0, 0.2], [2.0, 1.0, 0.5]])
    for f in (
        lambda x: x.sort(0, True).values,
        lambda x: x.topk(2, 1, False).values,
        lambda x: x.kthvalue(2).values,
        lambda x: x.quantile(0.3, 1),
        lambda x: x.median(),
    ):
        check(f, x)


# --- topk, kthvalue ---------------------------------------------------------------------------------------------------


def test_topk():
    x = mt.tensor([1.0, NAN, 2.0, NAN, 3.0])
    assert x.topk(3).indices.tolist() == [1, 3, 4]  # NaN is largest
    assert lists(x.topk(3, largest=False)) == ([1.0, 2.0, 3.0], [0, 2, 4])
    assert lists(mt.tensor([5, 5, 5, 1]).topk(4)) == ([5, 5, 5, 1], [0, 1, 2, 3])
    assert mt.zeros(2, 3).topk(0).values.shape == (2, 0)
    assert lists(mt.tensor(3.0).topk(1)) == (3.0, 0)
    x = np.random.default_rng(0).permutation(700).reshape(7, 100)
    assert mt.from_numpy(x).topk(5, 1).values.tolist() == (-np.sort(-x, 1)[:, :5]).tolist()
    assert mt.from_numpy(x).topk(2, 0, False).values.tolist() == np.sort(x, 0)[:2].tolist()


@pytest.mark.parametrize(("f", "k"), [("topk", -1), ("topk", 4), ("kthvalue", 0), ("kthvalue", 4)])
def test_ranks_out_of_range(f, k):
    with pytest.raises(IndexRangeError, match=rf"{f}: k = {k} is not between"):
        getattr(mt.zeros(2, 3), f)(k)


def test_kthvalue():
    assert lists(mt.tensor([2.0, 2.0, 1.0, 2.0]).kthvalue(2)) == (2.0, 0)
    assert mt.tensor([2.0, NAN, 1.0]).kthvalue(3).indices.item() == 1
    assert mt.zeros(2, 3).kthvalue(1, keepdim=True).values.shape == (2, 1)
    assert mt.zeros(2, 3).kthvalue(1, 0).indices.shape == (3,)


# --- median, mode -----------------------------------------------------------------------------------------------------


def test_median():
    assert mt.tensor([4.0, 1.0, 3.0, 2.0]).median().item() == 2  # the lower of two
    assert mt.tensor([[1, 5], [3, 2]]).median().item() == 2
    assert lists(mt.tensor([[1.0, NAN, NAN], [3.0, 1.0, 2.0]]).median(1))[1] == [1, 2]
    assert math.isnan(mt.tensor([1.0, NAN]).median().item())
    assert mt.tensor([1.0, NAN, NAN, 2.0]).nanmedian().item() == 1
    assert mt.tensor([[NAN, 7.0], [NAN, NAN]]).nanmedian(1).indices.tolist() == [1, 0]
    assert math.isnan(mt.tensor([NAN]).nanmedian().item())
    assert math.isnan(mt.zeros(0).median().item())
    assert mt.zeros(2, 3).median(0, keepdim=True).values.shape == (1, 3)
    assert mt.zeros(0, 3).median(1).values.shape == (0,)
    for bad in (lambda: mt.zeros(0, 3).median(0), lambda: mt.arange(0).median()):
        with pytest.raises(IndexRangeError, match="median"):
            bad()


def test_median_of_all_shares_its_gradient():
    assert gradient(lambda x: x.median(), [1.0, 2.0, 2.0, 3.0]) == [0.0, 0.5, 0.5, 0.0]
    assert gradient(lambda x: x.median(), [1.0, NAN, NAN]) == [0.0, 0.5, 0.5]
    assert gradient(lambda x: x.nanmedian(), [1.0, NAN, NAN, 1.0]) == [0.5, 0.0, 0.0, 0.5]


def test_mode():
    """Of several the smallest, and its last index; every NaN is one of its kind and comes first."""
    assert lists(mt.tensor([1, 2, 2, 1, 3]).mode()) == (1, 3)
    assert lists(mt.tensor([[3, 3, 1], [5, 5, 5]]).mode(1)) == ([3, 5], [1, 2])
    assert lists(mt.tensor([[3, 3, 1], [5, 3, 5]]).mode(0, True)) == ([[3, 3, 1]], [[0, 1, 0]])
    assert mt.tensor([NAN, 1.0, 1.0]).mode().values.item() == 1
    assert mt.tensor([NAN, NAN, 1.0]).mode().indices.item() == 0
    assert lists(mt.tensor(5).mode()) == (5, 0)
    with pytest.raises(IndexRangeError, match="mode: axis 0"):
        mt.zeros(0).mode()


# --- quantile ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "want"),
    [
        ("linear", [1.0, 2.2, 2.5, 4.0]),
        ("lower", [1.0, 2.0, 2.0, 4.0]),
        ("higher", [1.0, 3.0, 3.0, 4.0]),
        ("midpoint", [1.0, 2.5, 2.5, 4.0]),
        ("nearest", [1.0, 2.0, 3.0, 4.0]),
    ],
)
def test_quantile(how, want):
    """Ranks 0, 1.2, 1.5 (which rounds to even) and 3 among four."""
    x, q = mt.tensor([4.0, 1.0, 3.0, 2.0]), mt.tensor([0.0, 0.4, 0.5, 1.0])
    assert mt.quantile(x, q, interpolation=how).tolist() == pytest.approx(want)


def test_quantile_shapes_and_nan():
    x = mt.arange(24.0).reshape(2, 3, 4)
    assert mt.quantile(x, 0.5).shape == ()
    assert mt.quantile(x, 0.5, keepdim=True).shape == (1, 1, 1)
    assert mt.quantile(x, 0.5, 1).tolist() == [[4.0, 5.0, 6.0, 7.0], [16.0, 17.0, 18.0, 19.0]]
    assert mt.quantile(x, mt.tensor([0.5, 1.0]), 1, True).shape == (2, 2, 1, 4)
    assert mt.quantile(x, mt.tensor([0.5]), axis=-1).shape == (1, 2, 3)
    row = mt.tensor([[1.0, NAN, 3.0], [NAN, NAN, NAN]])
    assert np.isnan(mt.quantile(row, 0.0, 1).numpy()).all()
    assert mt.nanquantile(row, 0.5, 1)[0].item() == 2
    assert math.isnan(mt.nanquantile(row, 0.5, 1)[1].item())
    assert mt.quantile(mt.tensor(3.0), 0.2).item() == 3


def test_quantile_gradient_by_hand():
    """Rank 0.75: a quarter to the smallest, three quarters to the next."""
    assert gradient(lambda x: x.quantile(0.25), [5.0, 1.0, 3.0, 9.0]) == [0.0, 0.25, 0.75, 0.0]


def test_quantile_errors():
    x = mt.zeros(3)
    with pytest.raises(ShapeError, match="between 0 and 1"):
        x.quantile(1.5)
    with pytest.raises(ShapeError, match="number or a vector"):
        x.quantile(mt.zeros(2, 2))
    with pytest.raises(ShapeError, match="interpolation"):
        x.quantile(0.5, interpolation="cubic")
    with pytest.raises(ShapeError, match="empty"):
        mt.zeros(0).quantile(0.5)
    with pytest.raises(DtypeError, match="quantile"):
        mt.arange(3).quantile(0.5)
    with pytest.raises(DtypeError, match="q has dtype float64"):
        x.quantile(mt.tensor(0.5, dtype=mt.float64))


# --- lines of all lengths ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("isa", mt.cpu.isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("n", "inner"), [(1, 1), (3, 40), (16, 1), (17, 3), (100, 1), (128, 2), (129, 1), (700, 19)])
def test_the_first_in_order_of_lines_of_any_length(n, inner, dtype, isa):
    """With ties, both zeros, infinities and NaN: PyTorch's order, and of equal ones the first first."""
    rng = np.random.default_rng(n)
    x = rng.choice(np.array([-INF, -2.5, -1.0, -0.0, 0.0, 0.5, 3.0, INF, NAN], dtype), (5, n, inner))
    x[1:3] = rng.standard_normal((2, n, inner))
    with mt.cpu.use(isa):
        found = {}
        for largest in (False, True):
            for k in sorted({1, min(n, 5), min(n, 64), n}):
                found[largest, k] = mt.from_numpy(x).topk(k, 1, largest)
        middle = mt.from_numpy(x).median(1)
        kth = mt.from_numpy(x).kthvalue((n + 2) // 3, 1)
    for o in range(5):
        for i in range(inner):
            line = x[o, :, i].tolist()
            key = [(math.isnan(v), 0 if math.isnan(v) else v) for v in line]
            up = sorted(range(n), key=key.__getitem__)
            down = sorted(range(n), key=lambda j: (not key[j][0], -key[j][1]))
            for (largest, k), result in found.items():
                assert result.indices.numpy()[o, :, i].tolist() == (down if largest else up)[:k]
            want = n - 1 if any(map(math.isnan, line)) else (n - 1) // 2
            assert middle.indices.numpy()[o, i] == key.index(key[up[want]])
            assert kth.indices.numpy()[o, i] == key.index(key[up[(n + 2) // 3 - 1]])


def test_a_rising_line_fills_the_best_again_and_again():
    x = np.arange(5000, dtype=np.float32)
    assert mt.from_numpy(x).topk(3).indices.tolist() == [4999, 4998, 4997]
    assert mt.from_numpy(x).topk(64, largest=False).indices.tolist() == list(range(64))
    assert mt.from_numpy(-x).topk(64, largest=False).indices.tolist() == list(range(4999, 4935, -1))
    assert mt.full((1000,), NAN).topk(3).indices.tolist() == [0, 1, 2]
    assert mt.full((1000,), NAN).topk(3, largest=False).indices.tolist() == [0, 1, 2]
