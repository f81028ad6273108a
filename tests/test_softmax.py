"""Softmax and log-softmax beyond the operator table: known values, special values, errors, high orders."""

import numpy as np
import pytest
from checks import check_third

import minitensor as mt
from minitensor.ops.softmax import log_softmax, softmax, softmin


def test_known_values():
    x = mt.tensor([0.0, np.log(2.0), np.log(5.0)], dtype=mt.float64)
    np.testing.assert_allclose(softmax(x, 0).numpy(), [1 / 8, 2 / 8, 5 / 8], rtol=1e-15)
    np.testing.assert_allclose(log_softmax(x, 0).numpy(), np.log([1 / 8, 2 / 8, 5 / 8]), rtol=1e-15)
    np.testing.assert_allclose(softmin(-x, 0).numpy(), [1 / 8, 2 / 8, 5 / 8], rtol=1e-15)


@pytest.mark.parametrize("shape", [(4,), (3, 1000), (2, 5, 7), (3, 4, 33), (1, 50257)])
def test_sums_to_one_on_every_axis(shape):
    x = mt.from_numpy(np.random.default_rng(0).normal(0, 10, shape).astype(np.float32))
    for dim in range(-len(shape), len(shape)):
        y = softmax(x, dim).numpy()
        np.testing.assert_allclose(y.sum(dim), 1, rtol=1e-5)
        np.testing.assert_allclose(np.exp(log_softmax(x, dim).numpy()), y, rtol=1e-4, atol=1e-7)


def test_huge_logits_do_not_overflow():
    x = mt.tensor([1e30, -1e30, 0.0])
    assert softmax(x, 0).tolist() == [1.0, 0.0, 0.0]
    assert log_softmax(mt.tensor([0.0, 1000.0]), 0).tolist() == [-1000.0, 0.0]


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("n", [3, 16, 37])
def test_a_nan_or_infinity_spoils_its_own_row_only(bad, n):
    x = np.zeros((3, n), np.float32)
    x[1, n - 1] = bad
    for f in (softmax, log_softmax):
        y = f(mt.from_numpy(x), 1).numpy()
        assert np.isfinite(y[[0, 2]]).all()
        assert np.isnan(y[1]).all()


def test_minus_infinity_gets_nothing_and_a_row_of_it_is_nan():
    x = mt.tensor([[0.0, -np.inf, 0.0], [-np.inf, -np.inf, -np.inf]])
    y = softmax(x, 1).numpy()
    assert y[0].tolist() == [0.5, 0.0, 0.5]
    assert np.isnan(y[1]).all()
    assert np.isneginf(log_softmax(x, 1).numpy()[0, 1])


def test_dtype_casts_first():
    y = softmax(mt.tensor([1, 1]), 0, dtype=mt.float64)
    assert y.dtype == mt.float64
    assert y.tolist() == [0.5, 0.5]


def test_errors():
    with pytest.raises(TypeError, match="softmax: expected a floating dtype"):
        softmax(mt.tensor([1, 2]), 0)
    with pytest.raises(IndexError, match="softmax: dim 2 is out of range for 2 axes"):
        softmax(mt.zeros(2, 2), 2)


@pytest.mark.parametrize("f", [softmax, log_softmax])
def test_third_derivative(f):
    """Of <a, f(x)> along v, three times, against differences of the second."""
    rng = np.random.default_rng(1)
    x0, a, v = rng.standard_normal((3, 2, 5))

    check_third(lambda x: (f(x, 1) * mt.from_numpy(a)).sum(), x0, v)


@pytest.mark.parametrize("dim", [2, -3, 2**70, -(2**70)])
def test_axes_that_are_none(dim):
    for f in (softmax, log_softmax):
        with pytest.raises(IndexError, match="out of range for 2 axes"):
            f(mt.ones(2, 3), dim)
