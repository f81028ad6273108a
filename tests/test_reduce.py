"""Reductions: accuracy, order, conventions at ties and on nothing, dtypes, errors.

What every operator has in common (derivatives, ISAs, layouts, threads) is in test_ops.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitensor as mt
from minitensor import _core
from minitensor.errors import DtypeError, IndexRangeError, ShapeError
from minitensor.ops import moments, reduce, scan

NAN, INF = math.nan, math.inf


def tensor(values, dtype="float32", **options):
    return mt.tensor(values, dtype=getattr(mt, dtype), **options)


def gradient(f, values):
    x = tensor(values, requires_grad=True)
    y = f(x)
    y.backward(mt.ones(*y.shape))
    return x.grad.tolist()


SHAPES = [
    ((3, 4), (0,)),
    ((3, 4), (0, 1)),
    ((5, 6, 7, 8), (0, 2, 3)),
    ((5, 6, 7, 8), (0, 2)),
    ((5, 6, 7, 8), (1, 3)),
    ((300, 1000), (0,)),
    ((300, 1000), (1,)),
    ((70000, 3), (0,)),
    ((300007,), (0,)),
    ((2, 70000, 2), (1,)),
    ((3, 1, 2), (1,)),
]


@pytest.mark.parametrize("isa", mt.cpu.isas()[1:])
@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_sums_are_as_accurate_as_pairwise(shape, axes, isa):
    """The error of a sum of n positive float32 stays within log2(n) roundings."""
    x = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
    n = math.prod([shape[d] for d in axes])
    with mt.cpu.use(isa):
        y = _core.sum(x, axes, False)
    np.testing.assert_allclose(y, x.sum(axes, dtype=np.float64), rtol=6e-8 * (1 + math.log2(n)))


@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_extremes(shape, axes):
    x = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_array_equal(_core.amax(x, axes, True), x.max(axes, keepdims=True))
    np.testing.assert_array_equal(_core.amin(x, axes, False), x.min(axes))
    x.flat[x.size // 2] = NAN
    np.testing.assert_array_equal(_core.amax(x, axes, False), x.max(axes))
    np.testing.assert_array_equal(_core.amin(x, axes, False), x.min(axes))


@pytest.mark.parametrize("n", [1, 7, 64, 100, 1000])
@pytest.mark.parametrize("dim", [0, 1, 2])
def test_argmax_is_the_first(n, dim):
    shape = [3, 4, 2]
    shape[dim] = n
    x = np.random.default_rng(0).integers(0, 5, shape).astype(np.float32)
    assert reduce.argmax(mt.from_numpy(x), dim).tolist() == x.argmax(dim).tolist()
    assert reduce.argmin(mt.from_numpy(x), dim).tolist() == x.argmin(dim).tolist()
    assert reduce.argmax(mt.from_numpy(x)).item() == x.argmax()
    assert reduce.argmax(mt.from_numpy(x), keepdim=True).shape == (1, 1, 1)


def test_nan_is_the_largest_and_the_smallest():
    x = tensor([1.0, NAN, 3.0, NAN])
    assert reduce.argmax(x).item() == 1
    assert reduce.argmin(x).item() == 1
    assert math.isnan(reduce.max(x).item())
    assert reduce.min(x, 0).indices.item() == 1


def test_forms_of_max():
    x = tensor([[1.0, 4.0], [3.0, 2.0]])
    assert reduce.max(x).item() == 4
    values, indices = reduce.max(x, 1)
    assert (values.tolist(), indices.tolist()) == ([4.0, 3.0], [1, 0])
    assert reduce.max(x, dim=0, keepdim=True).values.tolist() == [[3.0, 4.0]]
    assert reduce.max(x, tensor([2.0, 3.0])).tolist() == [[2.0, 4.0], [3.0, 3.0]]
    assert reduce.min(x, tensor([2.0, 3.0])).tolist() == [[1.0, 3.0], [2.0, 2.0]]
    assert reduce.max(tensor(3.0), 0).indices.item() == 0


def test_gradients_at_ties():
    """amax shares the gradient among equals; along one axis the index gets all of it."""
    assert gradient(reduce.amax, [1.0, 3.0, 3.0]) == [0.0, 0.5, 0.5]
    assert gradient(reduce.max, [1.0, 3.0, 3.0]) == [0.0, 0.5, 0.5]
    assert gradient(lambda x: reduce.max(x, 0).values, [1.0, 3.0, 3.0]) == [0.0, 1.0, 0.0]
    assert gradient(lambda x: reduce.min(x, 0).values, [1.0, 1.0, 3.0]) == [1.0, 0.0, 0.0]


def test_gradients_where_there_is_none():
    assert gradient(moments.norm, [0.0, 0.0]) == [0.0, 0.0]
    assert gradient(moments.std, [2.0, 2.0]) == [0.0, 0.0]
    assert gradient(reduce.prod, [0.0, 2.0, 3.0]) == [6.0, 0.0, 0.0]
    assert gradient(reduce.prod, [0.0, 2.0, 0.0]) == [0.0, 0.0, 0.0]


def test_of_nothing():
    empty, rows = mt.zeros(0), mt.zeros(0, 3)
    assert reduce.sum(empty).item() == 0
    assert reduce.prod(empty).item() == 1
    assert moments.logsumexp(empty, 0).item() == -INF
    assert math.isnan(reduce.mean(empty).item())
    assert math.isnan(moments.var(tensor([1.0])).item())
    assert reduce.all(empty).item() is True
    assert reduce.any(empty).item() is False
    assert reduce.sum(rows, 0).tolist() == [0.0, 0.0, 0.0]
    assert reduce.amax(rows, 1).shape == (0,)
    assert reduce.max(rows, 1).indices.shape == (0,)
    for f in (reduce.max, reduce.amin, reduce.argmax):
        with pytest.raises(IndexRangeError, match="is empty"):
            f(empty)
    with pytest.raises(IndexRangeError, match=r"max: axis 0 of \(0, 3\) is empty"):
        reduce.max(rows, 0)


def test_logsumexp_neither_overflows_nor_underflows():
    assert moments.logsumexp(tensor([1000.0, 1000.0]), 0).item() == pytest.approx(1000.6931)
    assert moments.logsumexp(tensor([-1000.0, -1000.0]), 0).item() == pytest.approx(-999.3069)
    assert moments.logsumexp(tensor([-INF, -INF]), 0).item() == -INF
    assert moments.logsumexp(tensor([INF, 0.0]), 0).item() == INF
    assert moments.logsumexp(tensor([1, 2], "int64"), 0).item() == pytest.approx(2.3132617)


LETTERS = {"b": "bool", "u": "uint8", "i": "int32", "l": "int64", "f": "float32", "d": "float64"}


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (reduce.sum, "llllfd"),
        (reduce.prod, "llllfd"),
        (reduce.amax, "builfd"),
        (reduce.argmax, "-lllll"),
        (reduce.mean, "----fd"),
        (moments.var, "----fd"),
        (moments.norm, "----fd"),
        (reduce.any, "bubbbb"),
        (lambda x: scan.cumsum(x, 0), "llllfd"),
        (lambda x: moments.logsumexp(x, 0), "fffffd"),
    ],
)
def test_dtypes(f, want):
    """PyTorch 2.13's."""
    for letter, result in zip(LETTERS, want, strict=True):
        x = mt.ones(2, dtype=getattr(mt, LETTERS[letter]))
        if result == "-":
            with pytest.raises(DtypeError):
                f(x)
        else:
            assert f(x).dtype == getattr(mt, LETTERS[result])


def test_dtype_asked_for():
    x = tensor([1, 2], "int64")
    assert reduce.mean(x, dtype=mt.float64).item() == 1.5
    assert reduce.sum(x, dtype=mt.float32).dtype == mt.float32


def test_var_and_std():
    x = tensor([[1.0, 2.0, 4.0], [0.0, 0.0, 3.0]])
    assert moments.var(x, 1).tolist() == pytest.approx([7 / 3, 3.0])
    assert moments.var(x, 1, correction=0).tolist() == pytest.approx([14 / 9, 2.0])
    assert moments.var(x, unbiased=False).item() == pytest.approx(np.var(x.numpy()))
    assert moments.var(x, False).item() == pytest.approx(np.var(x.numpy()))
    assert moments.std(x, (0, 1), keepdim=True).shape == (1, 1)


@pytest.mark.parametrize("p", [0, 1, 2, 3, 0.5, INF, -INF])
def test_norm(p):
    x = np.array([[3.0, -4.0], [0.0, 1.0]])
    have = moments.norm(mt.from_numpy(x), p, 1).tolist()
    assert have == pytest.approx(np.linalg.norm(x, p, axis=1).tolist())


def test_cumsum():
    assert scan.cumsum(tensor([[1, 2], [3, 4]], "int32"), 1).tolist() == [[1, 3], [3, 7]]
    assert gradient(lambda x: scan.cumsum(x, 0), [1.0, 2.0, 3.0]) == [3.0, 2.0, 1.0]


def test_sum_to():
    g = mt.ones(4, 2, 3)
    assert reduce.sum_to(g, (4, 2, 3)) is g
    assert reduce.sum_to(g, (2, 1)).tolist() == [[12.0], [12.0]]
    assert reduce.sum_to(g, ()).item() == 24
    assert reduce.sum_to(g, (1, 2, 1)).tolist() == [[[12.0], [12.0]]]


def test_errors():
    x = mt.ones(2, 3)
    with pytest.raises(IndexRangeError, match=r"sum: dim 2 is out of range for 2 axes"):
        reduce.sum(x, 2)
    with pytest.raises(ShapeError, match=r"sum: dim \(0, -2\) names an axis twice"):
        reduce.sum(x, (0, -2))
    with pytest.raises(ShapeError, match=r"norm: p must be a number"):
        moments.norm(x, "frob")


def test_nan_is_left_out():
    x = tensor([[1.0, NAN, 3.0], [NAN, NAN, NAN]])
    assert reduce.nansum(x).item() == 4
    assert reduce.nansum(x, 1).tolist() == [4.0, 0.0]
    assert reduce.nanmean(x, 1)[0].item() == 2
    assert math.isnan(reduce.nanmean(x, 1)[1].item())
    assert reduce.nansum(tensor([True, True], "bool")).item() == 2
    assert gradient(reduce.nansum, [1.0, NAN]) == [1.0, 0.0]
    assert gradient(reduce.nanmean, [1.0, NAN, 3.0]) == [0.5, 0.0, 0.5]
    with pytest.raises(DtypeError, match="nanmean"):
        reduce.nanmean(tensor([1], "int64"))


def test_nan_that_is_the_largest_gets_the_gradient():
    assert gradient(reduce.max, [1.0, NAN, NAN]) == [0.0, 0.5, 0.5]
    assert gradient(reduce.amin, [1.0, NAN]) == [0.0, 1.0]


def test_aminmax():
    x = tensor([[1.0, 4.0], [3.0, 2.0]])
    assert [y.item() for y in mt.aminmax(x)] == [1.0, 4.0]
    assert x.aminmax(dim=1).max.tolist() == [4.0, 3.0]
    assert x.aminmax(dim=0, keepdim=True).min.shape == (1, 2)
    assert gradient(lambda x: sum(mt.aminmax(x)), [1.0, 1.0, 3.0]) == [0.5, 0.5, 1.0]
    with pytest.raises(IndexRangeError, match="aminmax"):
        mt.aminmax(mt.zeros(0))


def test_count_nonzero():
    x = tensor([[0.0, NAN, 2.0], [0.0, 0.0, -0.0]])
    assert reduce.count_nonzero(x).item() == 2
    assert reduce.count_nonzero(x, (0,)).tolist() == [0, 1, 1]
    assert reduce.count_nonzero(mt.zeros(0, 2), 0).tolist() == [0, 0]


def test_sum_to_size():
    x = mt.ones(2, 3, requires_grad=True)
    assert x.sum_to_size(3).tolist() == [2.0, 2.0, 2.0]
    assert x.sum_to_size((2, 1)).tolist() == [[3.0], [3.0]]
    for bad in ((2, 2), (2, 2, 3)):
        with pytest.raises(ShapeError, match="sum_to_size"):
            x.sum_to_size(*bad)


def test_forms_of_var():
    x = tensor([[1.0, 2.0, 4.0], [0.0, 0.0, 3.0]])
    n = x.numpy()
    for have, want in (
        (x.var(0, keepdim=True, unbiased=True), n.var(0, ddof=1, keepdims=True)),
        (x.var(0, False, True), n.var(0, keepdims=True)),
        (x.std(False), n.std()),
        (x.var(dim=(0, 1), correction=0), n.var()),
        (x.var(correction=2), n.var(ddof=2)),
        (x.std(None, correction=0.5), n.std(ddof=0.5)),
        (x.var(axis=1, keepdims=True), n.var(1, ddof=1, keepdims=True)),
        (mt.var_mean(x, 1)[0], n.var(1, ddof=1)),
        (mt.var_mean(x, 1, correction=0, keepdim=True)[1], n.mean(1, keepdims=True)),
        (mt.std_mean(x, False)[0], n.std()),
    ):
        assert have.shape == want.shape
        np.testing.assert_allclose(have.numpy(), want, rtol=1e-6)
    for bad in (lambda: x.var(0, unbiased=True, correction=1), lambda: x.var(True, False)):
        with pytest.raises(TypeError, match="var"):
            bad()
    assert x.var((), correction=0).item() == pytest.approx(n.var())


@pytest.mark.parametrize(
    ("shape", "axes"), [*SHAPES[:-1], ((5, 6, 7, 8), (0, 3)), ((4, 5000, 3), (0, 1)), ((3, 2, 3, 2, 3), (0, 2, 4))]
)
def test_var_is_accurate_far_from_zero(shape, axes):
    """The mean is 1,000 standard deviations away: the textbook's difference of squares keeps no digit of it."""
    x = (1000 + np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    for isa in mt.cpu.isas()[1:]:
        with mt.cpu.use(isa):
            y = moments.var(mt.from_numpy(x), axes).numpy()
        np.testing.assert_allclose(y, x.var(axes, ddof=1, dtype=np.float64), rtol=2e-4)


def test_forms_of_norm():
    x = tensor([[3.0, -4.0], [0.0, 0.0]])
    for have, want in (
        (x.norm(), 5.0),
        (x.norm("fro", (0, 1)), 5.0),
        (x.norm(p="fro", dim=1), [5.0, 0.0]),
        (x.norm(1), 7.0),
        (x.norm(INF, 0), [3.0, 4.0]),
        (x.norm(-INF, 1), [3.0, 0.0]),
        (x.norm(0, dim=1), [2.0, 0.0]),
        (x.norm(2, 1, True), [[5.0], [0.0]]),
    ):
        assert have.tolist() == pytest.approx(want) if not isinstance(want, list) else have.tolist() == want
    assert x.norm(2, dtype=mt.float64).dtype == mt.float64
    assert mt.norm(mt.zeros(0)).item() == 0
    with pytest.raises(IndexRangeError, match="nothing has no norm"):
        mt.norm(mt.zeros(0), INF)
    assert mt.dist(tensor([1.0, 1.0]), tensor([[4.0, 5.0]]), 1).item() == 7
    with pytest.raises(DtypeError, match="dist"):
        mt.dist(tensor([1], "int64"), tensor([2], "int64"))


@pytest.mark.parametrize("p", [0, 0.5, 1, 1.5, 2, 3, -1, -2, INF, -INF])
def test_norm_of_zeros_has_a_gradient_of_zero(p):
    assert gradient(lambda x: x.norm(p), [0.0, 0.0]) == [0.0, 0.0]


def test_out():
    x, out = tensor([[1.0, 4.0], [3.0, 2.0]]), mt.empty(2)
    assert mt.sum(x, 0, out=out) is out
    assert out.tolist() == [4.0, 6.0]
    for f, want in (
        (mt.mean, [2.5, 2.5]),
        (mt.prod, [4.0, 6.0]),
        (mt.amax, [4.0, 3.0]),
        (mt.nansum, [5.0, 5.0]),
        (mt.nanmean, [2.5, 2.5]),
        (mt.norm, [17**0.5, 13**0.5]),
        (mt.logsumexp, [4.0486, 3.3133]),
        (mt.var, [4.5, 0.5]),
        (mt.std, [4.5**0.5, 0.5**0.5]),
    ):
        f(x, dim=1, out=out)
        assert out.tolist() == pytest.approx(want, abs=1e-4)
    index = mt.empty(2, dtype=mt.int64)
    mt.max(x, 1, out=(out, index))
    assert (out.tolist(), index.tolist()) == ([4.0, 3.0], [1, 0])
    mt.max(x, tensor([2.0, 3.0]), out=mt.empty(2, 2))
    assert mt.argmin(x, 1, out=index).tolist() == [0, 1]
    assert mt.all(x, 1, out=mt.empty(2, dtype=mt.bool)).tolist() == [True, True]


@pytest.mark.parametrize("isa", mt.cpu.isas())
@pytest.mark.parametrize("f", [mt.sum, mt.mean, mt.prod, mt.amax, mt.amin])
def test_a_row_among_many_has_the_bits_that_it_has_alone(f, isa):
    rng = np.random.default_rng(0)
    before = mt.cpu.isa()
    try:
        mt.cpu.use(isa)
        for dtype in (np.float32, np.float64):
            for n in (1, 3, 15, 16, 17, 33, 64, 127, 128, 1000):
                x = rng.uniform(-1.5, 1.5, (37, n)).astype(dtype)
                x[5], x[6, n // 2], x[7, -1] = -0.0, np.nan, np.inf
                together = f(mt.tensor(x), 1).numpy()
                alone = np.concatenate([f(mt.tensor(row), 1).numpy() for row in x[:, None]])
                assert together.tobytes() == alone.tobytes()
    finally:
        mt.cpu.use(before)


@pytest.mark.parametrize("isa", mt.cpu.isas())
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "shape", [(300, 2, 1), (40, 7, 1), (33, 15, 1), (9, 33, 1), (5, 60, 3), (1, 70000, 5), (3, 2, 37), (2, 50, 7)]
)
def test_short_rows_and_few_columns(shape, dtype, isa):
    """Small integers, of which every sum and product is exact; extremes with ties and NaN."""
    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, shape).astype(dtype)
    signs = rng.choice(np.array([-1, 1], dtype), shape)
    holes = np.where(rng.random(shape) < 0.02, np.nan, x).astype(dtype)
    with mt.cpu.use(isa):
        t, h = mt.from_numpy(x), mt.from_numpy(holes)
        assert t.sum(1).tolist() == x.sum(1).tolist()
        assert mt.from_numpy(signs).prod(1).tolist() == signs.prod(1).tolist()
        assert np.array_equal(mt.linalg.vector_norm(t, dim=1).numpy(), np.sqrt((x * x).sum(1)))
        want = np.log(np.exp(x[:, :60].astype(np.float64)).sum(1))
        np.testing.assert_allclose(t[:, :60].logsumexp(1).numpy(), want, rtol=1e-6, atol=1e-6)
        for mine, numpy, place in ((h.max(1), np.max, np.argmax), (h.min(1), np.min, np.argmin)):
            assert np.array_equal(mine.values.numpy(), numpy(holes, 1), equal_nan=True)
            assert mine.indices.tolist() == place(holes, 1).tolist()


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2), (1, 2), (0, 1, 2)])
def test_permuted_tensors_are_reduced_as_they_lie(axes):
    x = np.random.default_rng(0).integers(-3, 4, (20, 30, 40)).astype(np.float32)
    for order in ((2, 1, 0), (0, 2, 1), (1, 2, 0)):
        t, want = mt.from_numpy(x).permute(order), x.transpose(order)
        for keepdim in (False, True):
            y = t.sum(axes, keepdim)
            assert y.tolist() == want.sum(axes, keepdims=keepdim).tolist()
            assert y.is_contiguous() or mt.cpu.isa() == "reference"  # NumPy's results lie as their arguments do
            assert t.amax(axes, keepdim).tolist() == want.max(axes, keepdims=keepdim).tolist()


@pytest.mark.parametrize("shape", [(3000, 7), (7, 3000), (50, 3, 60), (2, 70000), (70000, 2)])
def test_bools_and_integers_are_counted(shape):
    rng = np.random.default_rng(0)
    b, i = rng.random(shape) < 0.9, rng.integers(-(2**62), 2**62, shape)
    for over in (*range(len(shape)), tuple(range(len(shape)))):
        assert mt.from_numpy(b).sum(over).tolist() == b.sum(over).tolist()
        assert mt.from_numpy(i).sum(over).tolist() == i.sum(over).tolist()  # both wrap
        assert mt.from_numpy(b).any(over, True).tolist() == b.any(over, keepdims=True).tolist()
        assert mt.from_numpy(b).all(over).tolist() == b.all(over).tolist()
        assert mt.count_nonzero(mt.from_numpy(i * b), over).tolist() == np.count_nonzero(i * b, over).tolist()


@pytest.mark.parametrize("isa", mt.cpu.isas()[1:])
@pytest.mark.parametrize("dtype", [np.bool_, np.uint8, np.int32, np.int64])
@pytest.mark.parametrize(("shape", "axes"), SHAPES)
def test_sums_of_integers_are_exact(shape, axes, dtype, isa):
    x = np.random.default_rng(0).integers(0, 2 if dtype is np.bool_ else 255, shape).astype(dtype)
    with mt.cpu.use(isa):
        y = _core.sum(x, axes, False)
    assert y.dtype == np.int64
    np.testing.assert_array_equal(y, x.sum(axes, dtype=np.int64))


@pytest.mark.parametrize("isa", mt.cpu.isas())
@pytest.mark.parametrize("dtype", ["bool", "uint8", "int8", "int16", "int32", "int64"])
def test_integers_of_any_width_have_exact_extremes_and_sums(isa, dtype):
    rng = np.random.default_rng(0)
    with mt.cpu.use(isa):
        for shape in ((1,), (65,), (700,), (40000,), (33, 70), (2, 70000), (70000, 2), (4, 600, 3)):
            if dtype == "bool":
                x = rng.random(shape) < 0.1
            else:
                ends = np.iinfo(dtype)
                x = rng.integers(ends.min, ends.max, shape, dtype=dtype, endpoint=True)
            for axes in (*range(len(shape)), tuple(range(len(shape)))):
                for values in (x, x.T):
                    t = mt.from_numpy(values)
                    for f, reference in ((mt.amax, np.max), (mt.amin, np.min)):
                        y = f(t, axes).numpy()
                        assert y.dtype == x.dtype
                        np.testing.assert_array_equal(y, reference(values, axis=axes))
                    np.testing.assert_array_equal(mt.sum(t, axes).numpy(), values.sum(axes, dtype=np.int64))
