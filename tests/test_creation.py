"""Tensors out of nothing: the forms of a size, dtypes that follow from values, lengths of ranges, grids, windows."""

from __future__ import annotations

import math
import pickle

import numpy as np
import pytest
from checks import check

import minitensor as mt
from minitensor.errors import DtypeError, OutOfMemoryError, ShapeError


@pytest.mark.parametrize("f", [mt.zeros, mt.ones, mt.empty])
def test_forms_of_a_size(f):
    for x in (f(2, 3), f((2, 3)), f([2, 3]), f(size=(2, 3)), f(mt.Size([2, 3])), f(mt.tensor(2), np.int64(3))):
        assert x.shape == (2, 3)
    assert f(()).shape == ()
    assert f(2, layout=None, pin_memory=False, device="cpu", dtype=mt.int32).dtype == mt.int32
    assert f(2, requires_grad=True).requires_grad
    out = mt.full((2,), 7.0, dtype=mt.float64)
    assert f(2, out=out) is out
    assert out.tolist() == ([1.0, 1.0] if f is mt.ones else [0.0, 0.0])
    for bad, error in (((2.5,), TypeError), (("a",), TypeError), ((-1,), ShapeError)):
        with pytest.raises(error, match=f.__name__):
            f(*bad)
    with pytest.raises(TypeError, match="twice"):
        f(2, size=3)


def test_full_takes_the_dtype_of_its_value():
    assert mt.full((2,), True).dtype == mt.bool
    assert mt.full((2,), 1).dtype == mt.int64
    assert mt.full((2,), 1.5).dtype == mt.float32
    assert mt.full((2,), mt.tensor(1.5)).tolist() == [1.5, 1.5]
    assert mt.full([], 3.0).shape == ()
    assert mt.full(size=(1,), fill_value=1, dtype=mt.float64).dtype == mt.float64
    with pytest.raises(DtypeError, match="full"):
        mt.full((1,), 300, dtype=mt.uint8)


def test_likes():
    x = mt.ones(2, 3, dtype=mt.float64).t()
    for f in (mt.zeros_like, mt.ones_like, mt.empty_like):
        y = f(x)
        assert (y.shape, y.dtype, y.stride()) == ((3, 2), mt.float64, (1, 3))
        assert f(x, dtype=mt.int64, memory_format=None).dtype == mt.int64
    assert mt.full_like(mt.tensor([1, 2]), 2.7).tolist() == [2, 2]
    assert mt.full_like(mt.tensor([True]), 2).tolist() == [True]


def test_new_tensors_like_one():
    x = mt.ones(2, dtype=mt.float64)
    assert x.new_zeros(2, 3).shape == x.new_ones((2, 3)).shape == x.new_empty(size=(2, 3)).shape == (2, 3)
    assert x.new_full((1,), 3, requires_grad=True).dtype == mt.float64
    assert x.new_tensor([1, 2], pin_memory=False).dtype == mt.float64
    assert x.new_ones(1, dtype=mt.int64, layout=None).dtype == mt.int64
    assert mt.Tensor().shape == (0,)


@pytest.mark.parametrize(
    ("args", "want"),
    [
        ((5,), [0, 1, 2, 3, 4]),
        ((1, 7, 2), [1, 3, 5]),
        ((1, 8, 2), [1, 3, 5, 7]),
        ((5, 0, -2), [5, 3, 1]),
        ((1, 1), []),
        ((0, 2**53 + 1, 2**52), [0, 2**52, 2**53]),
        ((2.0,), [0.0, 1.0]),
        ((-1, -5, -1.5), [-1.0, -2.5, -4.0]),
        ((0, 10, 3.0), [0.0, 3.0, 6.0, 9.0]),
    ],
)
def test_arange(args, want):
    x = mt.arange(*args)
    assert x.tolist() == want
    assert x.dtype == (mt.int64 if all(isinstance(v, int) for v in args) else mt.float32)


def test_arange_lengths_and_dtypes():
    assert mt.arange(0, 1, 0.1).shape == (10,)
    assert mt.arange(0, 0.3, 0.1).shape == (3,)
    assert mt.arange(end=4).tolist() == [0, 1, 2, 3]
    assert mt.arange(start=1, end=3).tolist() == [1, 2]
    assert mt.arange(0.5, 3.5, dtype=mt.int64).tolist() == [0, 1, 2]
    assert mt.arange(mt.tensor(3)).dtype == mt.int64
    assert mt.range(1, 4, 0.5).shape == (7,)
    assert mt.range(0, 3, 2).tolist() == [0.0, 2.0]
    for bad in ((1, 5, 0), (1, 0), (math.nan,), (math.inf,)):
        with pytest.raises(ShapeError, match="arange"):
            mt.arange(*bad)
    with pytest.raises(ShapeError):
        mt.arange(0, 3, 0.5, dtype=mt.int64)
    with pytest.raises(DtypeError, match="bools"):
        mt.arange(2, dtype=mt.bool)


def test_linspace_logspace():
    assert mt.linspace(0, 1, 0).shape == (0,)
    assert mt.linspace(3, 4, 1).tolist() == [3.0]
    assert mt.linspace(start=0, end=1, steps=3, dtype=mt.float64).tolist() == [0.0, 0.5, 1.0]
    assert mt.linspace(-5, 5, 4, dtype=mt.int32).tolist() == [-5, -1, 1, 5]
    assert mt.linspace(mt.tensor(0), mt.tensor(1.0), 3).tolist() == [0.0, 0.5, 1.0]
    assert mt.logspace(0, 3, 4, base=2).tolist() == [1.0, 2.0, 4.0, 8.0]
    assert mt.logspace(0, 2, 3, dtype=mt.int64).tolist() == [1, 10, 100]
    for f in (mt.linspace, mt.logspace):
        with pytest.raises(ShapeError, match=f.__name__):
            f(0, 1, -1)


def test_matrices():
    assert mt.eye(2, 3).tolist() == [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    assert mt.eye(n=2, m=1, dtype=mt.bool).tolist() == [[True], [False]]
    assert mt.eye(0).shape == (0, 0)
    with pytest.raises(ShapeError, match="eye"):
        mt.eye(-1)
    for row, col, offset in ((3, 3, 0), (3, 4, 1), (4, 3, -1), (2, 2, -5), (0, 2, 0), (2, 3, 9)):
        inside = [(i, j) for i in range(row) for j in range(col)]
        lower, upper = mt.tril_indices(row, col, offset), mt.triu_indices(row, col, offset, dtype=mt.int32)
        assert list(zip(*lower.tolist(), strict=True)) == [(i, j) for i, j in inside if j - i <= offset]
        assert list(zip(*upper.tolist(), strict=True)) == [(i, j) for i, j in inside if j - i >= offset]


def test_memory_of_others():
    buffer = bytearray([1, 0, 2, 0])
    x = mt.frombuffer(buffer, dtype=mt.int16)
    x[0] = 7
    assert buffer[0] == 7
    assert mt.frombuffer(buffer, dtype=mt.int16, count=1, offset=2).tolist() == [2]
    for options in ({"count": 3}, {"offset": 9}, {"offset": 1}):
        with pytest.raises(ShapeError, match="frombuffer"):
            mt.frombuffer(buffer, dtype=mt.int16, **options)
    fixed = mt.frombuffer(b"\x01\x02", dtype=mt.uint8)
    with pytest.raises(ShapeError, match="read-only"):
        fixed[0] = 1
    a = np.arange(3)
    assert np.shares_memory(mt.asarray(a).numpy(), a)
    assert not np.shares_memory(mt.asarray(a, copy=True).numpy(), a)
    assert mt.asarray([1, 2], dtype=mt.float32, requires_grad=True).requires_grad
    with pytest.raises(ShapeError, match="copy=False"):
        mt.asarray([1], copy=False)
    assert mt.scalar_tensor(True).tolist() == 1.0
    x = mt.empty_strided((2, 3), (1, 2))
    assert (x.stride(), x.is_contiguous()) == ((1, 2), False)
    with pytest.raises(ShapeError, match="strides"):
        mt.empty_strided((2,), (1, 1))


def test_grids():
    x, y = mt.tensor([1, 2]), mt.tensor([3, 4, 5])
    rows, cols = mt.meshgrid(x, y)
    assert (rows.tolist(), cols.tolist()) == ([[1, 1, 1], [2, 2, 2]], [[3, 4, 5], [3, 4, 5]])
    assert [g.tolist() for g in mt.meshgrid([x, y], indexing="xy")] == [rows.t().tolist(), cols.t().tolist()]
    assert mt.meshgrid(mt.tensor(1), y)[0].shape == (1, 3)
    assert [g.shape for g in mt.meshgrid(x, y, x)] == [(2, 3, 2)] * 3
    assert mt.cartesian_prod(x, y).tolist() == [[1, 3], [1, 4], [1, 5], [2, 3], [2, 4], [2, 5]]
    assert mt.cartesian_prod(x) is x
    for bad in ((), (mt.ones(2, 2),)):
        with pytest.raises(ShapeError, match="meshgrid"):
            mt.meshgrid(*bad)
    with pytest.raises(ShapeError, match="indexing"):
        mt.meshgrid(x, indexing="yx")
    with pytest.raises(DtypeError, match="dtypes differ"):
        mt.meshgrid(x, mt.ones(2))


def test_combinations_and_powers():
    x = mt.tensor([1, 2, 3])
    assert mt.combinations(x).tolist() == [[1, 2], [1, 3], [2, 3]]
    assert mt.combinations(x[:2], 2, True).tolist() == [[1, 1], [1, 2], [2, 2]]
    assert mt.combinations(x, r=0).shape == (0,)
    assert mt.combinations(x, r=4).shape == (0, 4)
    with pytest.raises(OutOfMemoryError, match="combinations"):
        mt.combinations(x, 2**60)
    assert mt.vander(x).tolist() == [[1, 1, 1], [4, 2, 1], [9, 3, 1]]
    assert mt.vander(x, 2, increasing=True).tolist() == [[1, 1], [1, 2], [1, 3]]
    assert mt.vander(x, 0).shape == (3, 0)
    a, b = (mt.tensor(v, dtype=mt.float64, requires_grad=True) for v in ([1.0, -2.0, 0.5], [3.0, 4.0]))
    check(mt.cartesian_prod, a, b)
    check(mt.combinations, a)
    check(mt.vander, a)


@pytest.mark.parametrize("name", ["hann", "hamming", "blackman", "bartlett"])
def test_windows(name):
    """Symmetric ones are NumPy's; a periodic one is the symmetric one that is longer by its end."""
    window, numpy = getattr(mt, f"{name}_window"), getattr(np, {"hann": "hanning"}.get(name, name))
    np.testing.assert_allclose(window(7, periodic=False, dtype=mt.float64).numpy(), numpy(7), atol=1e-12)
    np.testing.assert_allclose(window(7, dtype=mt.float64).numpy(), numpy(8)[:-1], atol=1e-12)
    assert window(1).tolist() == [1.0]
    assert window(0).shape == (0,)
    with pytest.raises(ShapeError, match="window"):
        window(-1)
    np.testing.assert_allclose(mt.kaiser_window(7, False, 5.0, dtype=mt.float64).numpy(), np.kaiser(7, 5.0), atol=1e-12)


@pytest.mark.parametrize("make", [lambda a: pickle.loads(pickle.dumps(mt.from_numpy(a))), mt.from_numpy, mt.tensor])
def test_an_unpickled_dtype_is_one_of_ours(make):
    """It is equal to NumPy's own object, not identical; kernels and gradients take it."""
    x = make(pickle.loads(pickle.dumps(np.full(3, 2.0, np.float32)))).requires_grad_()
    assert x.array.dtype is np.dtype(np.float32)
    x.relu().sum().backward()
    assert x.grad.tolist() == [1, 1, 1]


def test_linspace_rounds_each_value_once_from_the_nearer_end():
    from fractions import Fraction

    for first, last, count in ((0.0, 0.9, 31), (-np.pi, np.pi, 200), (0.0001, 0.02, 300), (5, -5, 7)):
        low, high = np.float32(first), np.float32(last)
        step = Fraction(float((high - low) / np.float32(count - 1)))
        made = mt.linspace(first, last, count).tolist()
        for i, x in enumerate(made):
            exact = (
                Fraction(float(low)) + step * i if i < count // 2 else Fraction(float(high)) - step * (count - 1 - i)
            )
            assert x == float(np.float32(float(exact)))
    assert mt.linspace(0, 10, 4, dtype=mt.int64).tolist() == [0, 3, 6, 10]
    assert mt.linspace(3, 7, 1).tolist() == [3.0]


def test_a_float_arange_goes_on_from_rounded_eights():
    x = mt.arange(0, 3, 0.01)
    start = np.float32(0.01 * 8)
    assert x[11].item() == np.float32(float(start) + 0.01 * 3)
    assert x[299].item() == np.float32(0.01 * 299)  # the last 300 % 16 stand alone
    assert mt.arange(0, 3, 0.01, dtype=mt.float64)[11].item() == 0.01 * 11


def test_tensors_on_meta_have_a_shape_and_no_memory():
    x = mt.empty(1 << 20, 1 << 20, device="meta")
    assert (x.shape, x.dtype, x.device.type, x.is_meta) == ((1 << 20, 1 << 20), mt.float32, "meta", True)
    assert x[0].is_meta
    assert x.T.is_meta
    assert not mt.zeros(2).expand(3, 2).is_meta
    assert repr(mt.zeros(2, 3, dtype=mt.int32, device="meta")) == (
        "tensor(..., device='meta', size=(2, 3), dtype=minitensor.int32)"
    )
    with mt.device("meta"):
        assert mt.rand(3).is_meta
        assert mt.get_default_device().type == "meta"
        assert not mt.rand(3, device="cpu").is_meta
    assert mt.zeros(3).device.type == "cpu"
    for use in (lambda: x.to("cpu"), lambda: x.numpy()):
        with pytest.raises(RuntimeError, match="no data"):
            use()
    assert mt.ones(2, requires_grad=True).to("meta").requires_grad


def test_modules_on_meta_are_made_without_drawing_numbers():
    mt.manual_seed(3)
    with mt.device("meta"):
        layers = mt.nn.Sequential(mt.nn.Embedding(1 << 20, 1 << 20, padding_idx=0), mt.nn.Linear(1 << 20, 3))
        layers.append(mt.nn.BatchNorm1d(4))
    drawn = mt.rand(1)
    mt.manual_seed(3)
    assert mt.equal(drawn, mt.rand(1))
    assert sum(p.numel() for p in layers.parameters()) == (1 << 40) + 3 * (1 << 20) + 3 + 8
    layer = mt.nn.Linear(2, 3, device="meta")
    layer.load_state_dict({"weight": mt.ones(3, 2), "bias": mt.zeros(3)}, assign=True)
    assert layer(mt.ones(2)).tolist() == [2.0, 2.0, 2.0]
    assert layer.to("meta").weight.is_meta
    assert layer.to_empty(device="cpu").weight.tolist() == [[0.0, 0.0]] * 3
    with pytest.raises(RuntimeError, match="the only device"):
        layer.to("cuda")
