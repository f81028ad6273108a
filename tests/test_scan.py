"""Scans: values against sums and products written out, zeros and infinities, dtypes, errors.

What every operator has in common (derivatives, ISAs, layouts, threads) is in test_ops.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from checks import check

import minitensor as mt
from minitensor.errors import DtypeError, IndexRangeError, ShapeError

INF, NAN = math.inf, math.nan


def gradient(f, values, g=None):
    x = mt.tensor(values, dtype=mt.float64, requires_grad=True)
    y = f(x)
    y.backward(mt.ones_like(y) if g is None else mt.tensor(g, dtype=mt.float64))
    return x.grad.tolist()


def leaf(values):
    return mt.tensor(values, dtype=mt.float64, requires_grad=True)


@pytest.mark.parametrize("isa", mt.cpu.isas()[1:])
@pytest.mark.parametrize("shape", [(3, 5000), (5000, 3)])
def test_cumsum_rounds_once(shape, isa):
    """Sums of float32 are added up in double precision: what is returned is the true sum, rounded."""
    x = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    dim = shape.index(5000)
    with mt.cpu.use(isa):
        y = mt.cumsum(mt.tensor(x), dim).numpy()
    exact = np.cumsum(x.astype(np.longdouble), dim)
    assert (abs(y - exact) <= np.spacing(abs(y)) * 0.5001 + 1e-12).all()


@pytest.mark.parametrize("isa", mt.cpu.isas()[1:])
@pytest.mark.parametrize("n", [1, 7, 63, 64, 65, 511, 512, 513, 1300])
def test_cumsum_counts(n, isa):
    """Of ones it counts, exactly, from both ends, along rows and columns."""
    with mt.cpu.use(isa):
        for shape, dim in (((n,), 0), ((3, n), 1), ((n, 3), 0), ((2, n, 5), 1)):
            count = np.arange(1, n + 1).reshape([-1 if d == dim else 1 for d in range(len(shape))])
            x = mt.ones(*shape, requires_grad=True)
            y = x.cumsum(dim)
            np.testing.assert_array_equal(y.detach().numpy(), np.broadcast_to(count, shape))
            y.sum().backward()
            np.testing.assert_array_equal(x.grad.numpy(), np.broadcast_to(np.flip(count, dim), shape))


def test_cumsum_keeps_what_came_before_an_infinity():
    x = np.ones(700, np.float32)
    x[300] = INF
    y = mt.from_numpy(x).cumsum(0)
    assert y[299].item() == 300
    assert (y[300:] == INF).all()


@pytest.mark.parametrize("f", ["cumsum", "cumprod"])
def test_dtypes(f):
    """Integers and bools in int64 unless a dtype is asked for."""
    for dtype in (mt.bool, mt.uint8, mt.int32, mt.int64):
        assert getattr(mt, f)(mt.ones(2, dtype=dtype), 0).dtype == mt.int64
    assert getattr(mt.ones(2), f)(0, dtype=mt.float64).dtype == mt.float64
    assert getattr(mt, f)(mt.tensor([1, 2]), axis=0, dtype=mt.float32).dtype == mt.float32


@pytest.mark.parametrize("f", [mt.cumsum, mt.cumprod, mt.logcumsumexp, mt.cummax, mt.cummin])
def test_without_axes_and_without_elements(f):
    y = f(mt.tensor(3.0), 0)
    assert (y[0] if isinstance(y, tuple) else y).item() == 3
    y = f(mt.ones(0, 3), 0)
    assert (y[0] if isinstance(y, tuple) else y).shape == (0, 3)
    with pytest.raises(IndexRangeError, match=f.__name__):
        f(mt.ones(2), 1)
    with pytest.raises(TypeError, match="must be an integer"):
        f(mt.ones(2), 0.5)


def test_in_place_and_out():
    x = mt.tensor([1.0, 2.0, 3.0])
    assert x.cumsum_(0) is x
    assert x.tolist() == [1.0, 3.0, 6.0]
    assert x.cumprod_(0).tolist() == [1.0, 3.0, 18.0]
    out = mt.empty(3)
    assert mt.cumsum(mt.ones(3), 0, out=out) is out
    assert out.tolist() == [1.0, 2.0, 3.0]
    values, indices = mt.empty(2), mt.empty(2, dtype=mt.int64)
    mt.cummax(mt.tensor([2.0, 1.0]), 0, out=(values, indices))
    assert (values.tolist(), indices.tolist()) == ([2.0, 2.0], [0, 0])
    with pytest.raises(DtypeError):
        mt.tensor([1, 2], dtype=mt.int32).cumsum_(0).add_(0.5)


def test_cumprod_at_zeros():
    """By hand: out = (1, 0, 0, 0); d out_1 / d x_1 = 1, d out_2 / d x_1 = 2, d out_3 / d x_1 = 2 * 0."""
    assert gradient(lambda x: x.cumprod(0), [1.0, 0.0, 2.0, 0.0]) == [1.0, 3.0, 0.0, 0.0]
    assert gradient(lambda x: x.cumprod(0), [0.0, 0.0]) == [1.0, 0.0]
    check(lambda x: x.cumprod(0), leaf([0.5, 0.0, 2.0, 0.0, 3.0]))
    check(lambda x: x.cumprod(1), leaf([[0.5, 0.0], [0.0, 2.0]]))


def test_cumprod_third_derivative():
    """x_0 x_1 x_2 has the third mixed derivative 1, also where all three are 0."""
    x = leaf([0.0, 0.0, 0.0])
    y = x.cumprod(0)[2]
    for i in range(3):
        (g,) = mt.autograd.grad(y, x, create_graph=True)
        y = g[i]
    assert y.item() == 1.0


def test_logcumsumexp():
    y = mt.logcumsumexp(mt.tensor([-INF, 1000.0, 1000.0, -INF], dtype=mt.float64), 0)
    assert y.tolist() == pytest.approx([-INF, 1000.0, 1000.0 + math.log(2), 1000.0 + math.log(2)])
    assert math.isnan(mt.logcumsumexp(mt.tensor([0.0, NAN]), 0)[1].item())
    with pytest.raises(DtypeError, match="logcumsumexp"):
        mt.logcumsumexp(mt.tensor([1]), 0)


def test_logcumsumexp_gradient_where_there_is_nothing():
    """exp(-inf) has no share: its gradient is 0, and those of the others are as if it were not there."""
    assert gradient(lambda x: x.logcumsumexp(0), [-INF, -INF, 1.0, -INF]) == [0.0, 0.0, 2.0, 0.0]
    check(lambda x: x.logcumsumexp(0), leaf([700.0, -3.0, 701.0, 2.0]))


def test_cummax_takes_the_last_of_equals():
    values, indices = mt.cummax(mt.tensor([1.0, 3.0, 3.0, 2.0]), 0)
    assert (values.tolist(), indices.tolist()) == ([1.0, 3.0, 3.0, 3.0], [0, 1, 2, 2])
    assert mt.cummin(mt.tensor([2, 2, 1, 3, 1]), 0).indices.tolist() == [0, 1, 2, 2, 4]
    values, indices = mt.cummax(mt.tensor([1.0, NAN, 5.0, NAN]), 0)
    assert indices.tolist() == [0, 1, 1, 3]
    assert np.isnan(values[1:].numpy()).all()
    assert mt.cummax(mt.tensor([False, True, False]), 0).values.tolist() == [False, True, True]
    assert gradient(lambda x: x.cummax(0).values, [1.0, 3.0, 3.0, 2.0]) == [1.0, 1.0, 2.0, 0.0]
    check(lambda x: x.cummin(1).values, leaf([[3.0, 1.0, 2.0], [1.0, 2.0, 0.0]]))


def test_diff():
    x = mt.tensor([1, 4, 9, 16])
    assert mt.diff(x).tolist() == [3, 5, 7]
    assert mt.diff(x, n=2).tolist() == [2, 2]
    assert mt.diff(x, n=0).tolist() == x.tolist()
    assert mt.diff(x, n=9).shape == (0,)
    assert mt.diff(x, prepend=mt.tensor([0]), append=mt.tensor([25])).tolist() == [1, 3, 5, 7, 9]
    assert mt.diff(mt.tensor([True, True, False])).tolist() == [False, True]
    assert mt.diff(mt.ones(2, 0), dim=1).shape == (2, 0)
    with pytest.raises(ShapeError, match="without axes"):
        mt.diff(mt.tensor(1.0))
    with pytest.raises(ShapeError, match="negative"):
        mt.diff(x, n=-1)
    check(lambda x: mt.diff(x, 2, 0), leaf([[1.0, 2.0], [3.0, 5.0], [0.0, 1.0]]))


def test_trapezoid():
    y = mt.tensor([1.0, 2.0, 4.0])
    assert mt.trapezoid(y).item() == 4.5
    assert mt.trapz(y, dx=2).item() == 9.0
    assert mt.trapezoid(y, mt.tensor([0.0, 1.0, 3.0])).item() == 7.5
    assert mt.cumulative_trapezoid(y).tolist() == [1.5, 4.5]
    rows = mt.stack([y, y])
    assert mt.trapezoid(rows, mt.tensor([0.0, 2.0]), dim=0).tolist() == [2.0, 4.0, 8.0]
    assert mt.trapezoid(rows, mt.tensor([[0.0, 1.0, 2.0], [0.0, 2.0, 4.0]])).tolist() == [4.5, 9.0]
    assert mt.trapezoid(mt.arange(4)).item() == 4.5
    assert mt.trapezoid(mt.zeros(0)).item() == 0
    with pytest.raises(ShapeError, match="2 places x for 3 values"):
        mt.trapezoid(y, mt.tensor([0.0, 1.0]))
    with pytest.raises(TypeError, match="not both"):
        mt.trapezoid(y, y, dx=1)
    with pytest.raises(DtypeError, match="bools"):
        mt.trapezoid(mt.tensor([True]))
    check(mt.trapezoid, leaf([1.0, 2.0, 4.0]), leaf([0.0, 1.0, 3.0]))


# --- gradient ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("edge_order", [1, 2])
@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_gradient_is_numpys(edge_order, dtype):
    x = mt.randn(4, 5, 3, dtype=dtype)
    places = [mt.tensor([0.0, 1.0, 3.0, 7.0]), mt.tensor([0.0, 0.5, 0.75, 2.0, 2.5]), mt.tensor([-1.0, 0.0, 4.0])]
    tolerance = 1e-5 if dtype is mt.float32 else 1e-12
    for spacing, numpys in (
        (1, (1,)),
        (2.5, (2.5,)),
        ([1, 2.0, 0.5], (1, 2, 0.5)),
        (places, tuple(p.double().numpy() for p in places)),  # whose weights NumPy rounds to their dtype
    ):
        want = np.gradient(x.numpy(), *numpys, edge_order=edge_order)
        for got, expected in zip(mt.gradient(x, spacing=spacing, edge_order=edge_order), want, strict=True):
            assert got.dtype == dtype
            assert np.allclose(got.numpy(), expected, atol=tolerance)


def test_gradient_of_a_parabola_is_exact():
    places = mt.tensor([0.0, 1.0, 3.0, 7.0])
    (slope,) = mt.gradient(places**2, spacing=[places], edge_order=2)
    assert slope.tolist() == [0.0, 2.0, 6.0, 14.0]
    (slope,) = mt.gradient(mt.tensor([1, 4, 9, 16]), spacing=1, edge_order=2)
    assert slope.tolist() == [2.0, 4.0, 6.0, 8.0]
    assert slope.dtype == mt.float32


def test_gradient_of_some_axes():
    x = mt.arange(12.0).reshape(3, 4)
    assert [g.tolist() for g in mt.gradient(x, dim=1)] == [mt.ones(3, 4).tolist()]
    rows, columns = mt.gradient(x, dim=(-2, 1), spacing=(2, mt.tensor([0.0, 2.0, 4.0, 6.0])))
    assert rows.tolist() == (2 * mt.ones(3, 4)).tolist()
    assert columns.tolist() == (0.5 * mt.ones(3, 4)).tolist()
    assert mt.gradient(x, dim=()) == ()
    assert mt.gradient(mt.tensor(1.0)) == ()
    assert mt.gradient(mt.tensor([3.0, 5.0]))[0].tolist() == [2.0, 2.0]


def test_gradient_has_derivatives():
    rng = np.random.default_rng(0)
    x = mt.from_numpy(rng.standard_normal((4, 3))).requires_grad_()
    places = mt.from_numpy(np.cumsum(rng.uniform(0.5, 1.5, 4))).requires_grad_()
    check(lambda a, b: mt.gradient(a, spacing=[b], dim=0, edge_order=2)[0], x, places)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"spacing": [1, 2, 3]}, ShapeError, "3 spacings are given for 2 axes"),
        ({"dim": (0, 0)}, ShapeError, "names an axis twice"),
        ({"dim": 5}, IndexRangeError, "out of range"),
        ({"edge_order": 3}, ShapeError, "1 or 2"),
        ({"edge_order": 2, "dim": 1}, ShapeError, "not more than edge_order=2"),
        ({"spacing": mt.tensor([0.0, 1.0, 2.0]), "dim": 0}, TypeError, "must be in a list"),
        ({"spacing": [mt.tensor([0.0, 1.0])], "dim": 0}, ShapeError, "for 3 elements"),
        ({"spacing": "wide"}, DtypeError, "spacing must be a number"),
    ],
)
def test_gradient_refuses(arguments, error, match):
    with pytest.raises(error, match=match):
        mt.gradient(mt.zeros(3, 2), **arguments)


@pytest.mark.parametrize("shape", [(5, 3, 1), (100, 1), (0, 1), (3, 0)])
@pytest.mark.parametrize("f", [mt.cumsum, mt.cumprod])
def test_lines_of_one_element_are_themselves(f, shape):
    x = mt.randn(*shape)
    assert mt.equal(f(x, -1), x)
    assert mt.equal(f(x.T, 0) if x.ndim == 2 else f(x.permute(2, 0, 1), 0), x.T if x.ndim == 2 else x.permute(2, 0, 1))


@pytest.mark.parametrize("isa", mt.cpu.isas())
def test_logcumsumexp_of_numbers_far_apart(isa):
    x = np.random.default_rng(0).standard_normal((4, 43)) * [[1], [100], [2000], [1]]
    x[0, [0, 1, 7, 30]] = -INF
    x[1, 20], x[2, 33], x[3] = INF, NAN, -INF
    with np.errstate(invalid="ignore"):
        expected = np.logaddexp.accumulate(x, 1)
    with mt.cpu.use(isa):
        for dtype, tolerance in ((mt.float64, 1e-13), (mt.float32, 1e-6)):
            t = mt.tensor(x, dtype=dtype)
            for y in (mt.logcumsumexp(t, 1), mt.logcumsumexp(t.t().contiguous(), 0).t()):
                np.testing.assert_allclose(y.numpy(), expected, tolerance, tolerance)
