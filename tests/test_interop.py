"""Tensors and the world around them: NumPy, DLPack, pickles and copies, Python's own operators, text."""

from __future__ import annotations

import copy
import math
import pickle

import numpy as np
import pytest

import minitensor as mt

ALL = mt.dtypes.ALL


@pytest.fixture(autouse=True)
def default_options():
    yield
    mt.set_printoptions(profile="default")


# --- data -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1, mt.int64),
        (1.0, mt.float32),
        (True, mt.bool),
        ([], mt.float32),
        ([1, 2.0, True], mt.float32),
        ([True, 2], mt.int64),
        ([mt.tensor(2.5), 1], mt.float32),
        ([mt.tensor(1.5, dtype=mt.float64), 2.5], mt.float64),
        ([[1, 2], [mt.tensor(1.0), 3]], mt.float32),
        ([mt.tensor(1, dtype=mt.uint8), mt.tensor(2, dtype=mt.int8)], mt.int16),
        ([True, mt.tensor(2, dtype=mt.uint8)], mt.uint8),
        (np.float64(1), mt.float64),
        ([np.float64(1.5), 2], mt.float64),
        ([np.float16(1.5), 2], mt.float16),
        ([np.float16(1.5), 2.5], mt.float32),
        ([np.int32(1), 2], mt.int64),
        ([np.int32(1), np.int32(2)], mt.int32),
        ([[np.float64(1.0)], [2.0]], mt.float64),
        ([np.zeros(2, np.float16), [1.0, 2]], mt.float32),
        ([range(3), range(3)], mt.int64),
        ([2**70, 1.0], mt.float32),
    ],
)
def test_the_dtype_of_data(data, dtype):
    """PyTorch 2.13's: every number of the data has its say."""
    assert mt.tensor(data).dtype is dtype


def test_tensors_within_lists():
    assert mt.tensor([mt.tensor([[1.0]]), 2]).tolist() == [1.0, 2.0]
    assert mt.tensor([mt.tensor([1.0, 2.0]), mt.tensor([3.0, 4.0])]).tolist() == [[1.0, 2.0], [3.0, 4.0]]
    x = mt.tensor(1.0, requires_grad=True)
    assert not mt.tensor([x, x]).requires_grad
    assert mt.tensor([2**63], dtype=mt.float32).item() == 2.0**63


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        ([300], mt.uint8),
        ([128.0], mt.int8),
        ([math.nan], mt.int64),
        ([math.inf], mt.int32),
        ([1e20], mt.int64),
        ([2**63], None),
        ([2**64], None),
        (2**63, mt.int64),
        ([mt.tensor(300)], mt.uint8),
        ([np.int64(300)], mt.uint8),
    ],
)
def test_numbers_are_not_cut_off(data, dtype):
    with pytest.raises(RuntimeError, match="does not fit into"):
        mt.tensor(data, dtype=dtype)


@pytest.mark.parametrize(
    "data", ["a", ["a"], None, [None], {1: 2}, {1, 2}, b"ab", np.array(["a"]), object(), [[1], [2, 3]]]
)
def test_data_that_make_no_tensor(data):
    with pytest.raises((TypeError, ValueError), match=r"tensor: |dtype"):
        mt.tensor(data)


def test_sharing():
    a = np.array([1.0, 2.0])
    for share in (mt.from_numpy, mt.as_tensor, mt.asarray, mt.from_dlpack):
        x = share(a)
        x[0] = 5
        assert a[0] == 5
        a[0] = 1
    x = mt.zeros(2)
    assert mt.as_tensor(x) is x
    assert mt.asarray(x) is x
    assert mt.asarray(a, copy=True).data_ptr() != a.ctypes.data
    for bad in (lambda: mt.asarray(a, dtype=mt.float32, copy=False), lambda: mt.asarray([1], copy=False)):
        with pytest.raises(ValueError, match="copy=False"):
            bad()
    r = mt.zeros(2, requires_grad=True)
    assert mt.asarray(r) is r
    assert not mt.asarray(r, requires_grad=False).requires_grad


# --- NumPy ------------------------------------------------------------------------------------------------------------


def test_array():
    x = mt.arange(6.0).reshape(2, 3).t()
    a = np.asarray(x)
    assert a.strides == (4, 12)
    assert a.ctypes.data == x.data_ptr()
    assert np.asarray(x, np.float64).dtype == np.float64
    assert np.array(x).ctypes.data != x.data_ptr()
    with pytest.raises(ValueError, match="without a copy"):
        x.__array__(np.float64, copy=False)
    assert memoryview(x.numpy()).nbytes == 24
    r = mt.ones(2, requires_grad=True)
    for bad in (lambda: np.asarray(r), lambda: np.exp(r), lambda: r.numpy(), lambda: memoryview((r * 2).numpy())):
        with pytest.raises(RuntimeError, match=r"requires gradients; use detach\(\)\.numpy\(\)"):
            bad()
    assert r.numpy(force=True).tolist() == [1, 1]


def test_numpys_functions_give_tensors():
    x = mt.tensor([1.0, 4.0])
    a = np.array([1.0, 2.0])
    for y, want in (
        (np.sqrt(x), [1, 2]),
        (np.add(a, x), [2, 6]),
        (np.add(x, 1), [2, 5]),
        (np.clip(x, 2, 3), [2, 3]),
        (np.cumsum(x), [1, 5]),
        (np.sum(x), 5),
        (np.argmax(x), 1),
        (np.isnan(x), [False, False]),
        (np.transpose(x[None]), [[1], [4]]),
        (a + x, [2, 6]),
        (x - a, [0, 2]),
        (a * x, [1, 8]),
        (a < x, [False, True]),
        (np.float32(2) * x, [2, 8]),
        (x * np.float64(2), [2, 8]),
    ):
        assert isinstance(y, mt.Tensor)
        assert y.tolist() == want
    assert (np.float64(2) * x).dtype is mt.float32  # a number, as Python's
    assert (a + x).dtype is mt.float64
    assert isinstance(np.stack([x, x]), np.ndarray)
    assert np.concatenate([x, x]).tolist() == [1, 4, 1, 4]
    assert np.where(x > 2, x, 0).tolist() == [0, 4]
    np.testing.assert_allclose(x, [1, 4])
    assert a[mt.tensor(1)] == 2
    assert a[mt.tensor([True, False])].tolist() == [1]
    r = mt.ones(2, requires_grad=True)
    (a * r).sum().backward()
    assert r.grad.tolist() == [1, 2]


# --- DLPack -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [d for d in ALL if d is not mt.bfloat16], ids=lambda d: d.name)
def test_dlpack_to_numpy_and_back(dtype):
    for x in (
        mt.ones(2, 3, dtype=dtype),
        mt.ones((), dtype=dtype),
        mt.ones(0, 3, dtype=dtype),
        mt.ones(4, dtype=dtype)[::2],
    ):
        a = np.from_dlpack(x)
        assert a.dtype == dtype.numpy
        assert a.shape == tuple(x.shape)
        assert a.size == 0 or a.ctypes.data == x.data_ptr()
        y = mt.from_dlpack(x)
        assert y.dtype is dtype
        assert y.stride() == x.stride()
        assert y.data_ptr() == x.data_ptr()
        z = mt.utils.dlpack.from_dlpack(mt.utils.dlpack.to_dlpack(x))
        assert z.shape == x.shape
        assert z.tolist() == x.tolist()


def test_dlpack_shares_memory_and_its_version():
    x = mt.zeros(3)
    z = mt.utils.dlpack.from_dlpack(mt.utils.dlpack.to_dlpack(x))
    z[0] = 1
    assert x[0].item() == 1
    assert mt.from_dlpack(x, copy=True).data_ptr() != x.data_ptr()
    w = mt.ones(3, requires_grad=True)
    y = (w * x).sum()
    mt.from_dlpack(x).zero_()
    with pytest.raises(RuntimeError, match="overwritten"):
        y.backward()
    transposed = mt.from_dlpack(np.zeros((2, 3)).T)
    assert transposed.stride() == (1, 3)


def test_dlpack_keeps_memory_alive():
    def make():
        return mt.from_dlpack(np.arange(1000.0)), np.from_dlpack(mt.arange(1000.0))

    pairs = [make() for _ in range(20)]
    for x, a in pairs:
        assert x.sum().item() == a.sum() == 499500


def test_dlpack_refusals():
    x = mt.zeros(2)
    with pytest.raises(BufferError, match="requires gradients"):
        np.from_dlpack(mt.zeros(2, requires_grad=True))
    with pytest.raises(BufferError, match="not the CPU"):
        x.__dlpack__(dl_device=(2, 0))
    with pytest.raises(TypeError, match="list has no __dlpack__"):
        mt.from_dlpack([1])
    with pytest.raises(ValueError, match="negative stride"):
        mt.from_dlpack(np.arange(3)[::-1])
    assert mt.from_dlpack(np.zeros(2, np.complex64)).is_complex()
    with pytest.raises(RuntimeError, match="only device"):
        mt.from_dlpack(x, device="cuda")
    fixed = np.zeros(2)
    fixed.flags.writeable = False
    y = mt.from_dlpack(fixed)
    assert y.tolist() == [0, 0]
    with pytest.raises(RuntimeError, match="read-only"):
        y.add_(1)
    assert x.__dlpack_device__() == (1, 0)
    assert x.__dlpack__(max_version=(0, 8)) is not None
    assert x.__dlpack__(max_version=(1, 0), copy=True) is not None


# --- copies -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickle(protocol):
    def through(x):
        return pickle.loads(pickle.dumps(x, protocol))

    for dtype in ALL:
        x = through(mt.ones(2, 3, dtype=dtype).t())
        assert x.dtype is dtype
        assert x.tolist() == [[1, 1]] * 3
    x = mt.ones(2, requires_grad=True)
    assert through(x).requires_grad
    y = through(x * 2)  # as in PyTorch: a leaf now
    assert y.requires_grad
    assert y.is_leaf
    a, b = through([x, x])
    assert a is b
    assert through(mt.float32) is mt.float32
    assert through(x.shape) == (2,)
    assert isinstance(through(x.shape), mt.Size)
    assert through(mt.LongTensor) is mt.LongTensor
    assert through(mt.device("cpu")) == mt.device("cpu")


def test_deep_copies_share_what_was_shared():
    x = mt.arange(6.0).reshape(2, 3)
    a, b, c = copy.deepcopy([x, x[1], x.t()])
    b[0] = 9
    assert a[1, 0].item() == c[0, 1].item() == 9
    assert x[1, 0].item() == 3
    assert c.stride() == (1, 3)
    a, b = copy.deepcopy([x, x])
    assert a is b
    assert copy.copy(x).data_ptr() == x.data_ptr()
    r = mt.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="only leaf"):
        copy.deepcopy(r * 2)
    odd = mt.from_numpy(np.zeros((4, 4))[::2, 1:3])
    assert copy.deepcopy(odd).tolist() == odd.tolist()
    assert copy.deepcopy(mt.ones(1).expand(3)).tolist() == [1, 1, 1]


# --- Python -----------------------------------------------------------------------------------------------------------


def test_numbers_out_of_tensors():
    z = mt.tensor(2.5)
    assert (float(z), int(z), bool(z)) == (2.5, 2, True)
    assert [10, 20, 30][mt.tensor(1)] == 20
    assert [10, 20, 30][mt.tensor([2])] == 30
    assert list(range(mt.tensor(3))) == [0, 1, 2]
    assert hex(mt.tensor(255)) == "0xff"
    with pytest.raises(TypeError, match="only integer tensors"):
        [10][mt.tensor(0.0)]
    for dtype in ALL:
        x = mt.ones(1, 2, dtype=dtype)
        assert x.tolist() == [[1, 1]]
        assert type(x.tolist()[0][0]) is type(x[0, 0].item())
        assert type(x[0, 0].item()) is (bool if dtype is mt.bool else float if dtype.is_floating_point else int)
    for bad in (mt.ones(2), mt.ones(0)):
        with pytest.raises(RuntimeError, match="ambiguous"):
            bool(bad)
        with pytest.raises(RuntimeError, match="not one"):
            bad.item()


def test_containers():
    x = mt.arange(6).reshape(2, 3)
    assert len(x) == 2
    assert [row.tolist() for row in x] == [[0, 1, 2], [3, 4, 5]]
    assert 5 in x
    assert 7 not in x
    assert mt.tensor(4) in x
    assert np.int64(3) in x
    for bad in ("x", None, [1]):
        with pytest.raises(TypeError, match="in: a tensor holds numbers"):
            bad in x  # noqa: B015
    for bad in (len, iter):
        with pytest.raises(TypeError, match="tensor without axes"):
            bad(mt.tensor(1))


def test_what_is_no_number_is_not_equal():
    x = mt.zeros(2)
    for other in (None, "x", [0, 0], object()):
        assert (x == other) is False
        assert (x != other) is True
    assert (x == 0).tolist() == [True, True]
    assert (0 == x).tolist() == [True, True]
    assert (np.zeros(2) == x).tolist() == [True, True]


def test_sizes_stay_sizes():
    s = mt.Size([2, 3])
    for t in (s + (1,), s + mt.Size([1]), (1,) + s, s * 2, 2 * s, s[1:]):  # noqa: RUF005
        assert isinstance(t, mt.Size)
    assert (1,) + s == (1, 2, 3)  # noqa: RUF005
    assert s.numel() == 6


def test_types_by_their_old_names():
    x = mt.zeros(2)
    assert x.type() == "minitensor.FloatTensor"
    assert mt.tensor(1).type() == "minitensor.LongTensor"
    assert x.type("torch.DoubleTensor").dtype is mt.float64
    assert x.type(mt.LongTensor).dtype is mt.int64
    assert x.type(mt.int8).dtype is x.char().dtype is mt.int8
    assert isinstance(x, mt.FloatTensor)
    assert not isinstance(x, mt.LongTensor)
    assert mt.FloatTensor(2, 3).shape == (2, 3)
    assert mt.FloatTensor(mt.Size([2])).shape == (2,)
    assert mt.FloatTensor((2, 3)).tolist() == [2, 3]
    assert mt.LongTensor([1.5]).tolist() == [1]
    assert mt.FloatTensor().shape == (0,)
    with pytest.raises(TypeError, match="not the number"):
        mt.FloatTensor(3.0)
    assert x.new(2, 3).shape == (2, 3)
    assert x.new([1, 2]).dtype is mt.float32
    assert mt.tensor([1]).new_zeros(2).dtype is mt.int64
    assert x.new_ones(2, requires_grad=True).requires_grad
    assert x.new_tensor([1, 2], requires_grad=True).dtype is mt.float32
    with pytest.raises(RuntimeError, match="only device"):
        x.new_empty(2, device="cuda")
    with pytest.raises(RuntimeError, match="only device"):
        x.cuda()
    assert mt.is_tensor(x)
    assert not mt.is_tensor([1])
    assert mt.numel(x) == 2
    assert mt.is_floating_point(x)
    assert x[1:].storage_offset() == 1


def test_limits_of_dtypes():
    assert mt.finfo(mt.float32).eps == 2**-23
    assert mt.finfo(mt.float16).min == -65504
    assert mt.finfo().bits == 32
    assert mt.iinfo(mt.int32).max == 2**31 - 1
    assert repr(mt.iinfo(mt.int32)) == "iinfo(min=-2.14748e+09, max=2.14748e+09, dtype=int32)"
    assert mt.finfo(mt.float64).dtype == "float64"
    with pytest.raises(TypeError, match="finfo"):
        mt.finfo(mt.int32)
    with pytest.raises(TypeError, match="iinfo"):
        mt.iinfo(mt.float32)


# --- text -------------------------------------------------------------------------------------------------------------


def test_formats():
    assert f"{mt.tensor(2.5)}" == "2.5"
    assert f"{mt.tensor(2.5):.2f}" == "2.50"
    assert f"{mt.tensor([2.5]):.1f}" == "2.5"
    assert f"{mt.tensor(3):5d}" == "    3"
    assert f"{mt.ones(2)}" == "tensor([1., 1.])"
    assert f"{mt.ones((), requires_grad=True) * 3:.1f}" == "3.0"
    with pytest.raises(TypeError, match="takes the format"):
        f"{mt.ones(2):.2f}"


# As PyTorch 2.13 prints them, but for the name before a dtype. That name is longer, so lines that carry it may break
# where PyTorch's do not.
TEXTS = [
    ([1.0, math.nan], "[1., nan]"),
    ([math.nan, 1.0], "[nan, 1.]"),
    ([math.inf, 1.5], "[   inf, 1.5000]"),
    ([-math.inf, 1.0, 1e9], "[      -inf, 1.0000e+00, 1.0000e+09]"),
    ([0.0, -0.0], "[0., -0.]"),
    ([1e-5], "[1.0000e-05]"),
    ([1e-4], "[1.0000e-04]"),
    ([1e-3], "[0.0010]"),
    ([1.0, 1000.0], "[   1., 1000.]"),
    ([0.5, 1001.0], "[5.0000e-01, 1.0010e+03]"),
    ([1e8], "[100000000.]"),
    ([1e8 + 1e4], "[1.0001e+08]"),
    ([99999999.0], "[100000000.]"),
    ([123456.0], "[123456.]"),
    ([16777217.0], "[16777216.]"),
    ([-1.5, 2.25], "[-1.5000,  2.2500]"),
    (3.14159265, "3.1416"),
    (1e38, "1.0000e+38"),
    ([[1.0, 2.0], [3.0, 4.5]], "[[1.0000, 2.0000],\n        [3.0000, 4.5000]]"),
    ([[[1], [2]]], "[[[1],\n         [2]]]"),
    ([[[1]], [[2]]], "[[[1]],\n\n        [[2]]]"),
    ([True, False], "[ True, False]"),
    ([-1, 10], "[-1, 10]"),
    (True, "True"),
]


@pytest.mark.parametrize(("data", "text"), TEXTS)
def test_numbers_as_text(data, text):
    assert repr(mt.tensor(data)) == f"tensor({text})"


def test_notes():
    d = "dtype=minitensor"
    assert repr(mt.zeros(0)) == "tensor([])"
    assert repr(mt.zeros(0, 3)) == "tensor([], size=(0, 3))"
    assert repr(mt.zeros(2, 0, dtype=mt.int64)) == f"tensor([], size=(2, 0), {d}.int64)"
    assert repr(mt.zeros(0, dtype=mt.bool)) == f"tensor([], {d}.bool)"
    assert repr(mt.ones(1, dtype=mt.float16)) == f"tensor([1.], {d}.float16)"
    assert repr(mt.ones(1, dtype=mt.int32)) == f"tensor([1], {d}.int32)"
    assert repr(mt.ones(1, requires_grad=True)) == "tensor([1.], requires_grad=True)"
    assert repr(mt.ones(1, requires_grad=True) * 2) == "tensor([2.], grad_fn=<MulBackward0>)"
    wide = repr(mt.arange(16.0, dtype=mt.float64))
    assert wide == (
        "tensor([ 0.,  1.,  2.,  3.,  4.,  5.,  6.,  7.,  8.,  9., 10., 11., 12., 13.,\n"
        f"        14., 15.], {d}.float64)"
    )
    long = repr(mt.ones(7, dtype=mt.float64) * 1.5)
    assert long == f"tensor([{', '.join(['1.5000'] * 7)}],\n       {d}.float64)"


def test_long_tensors_are_abridged():
    assert repr(mt.arange(1001)) == "tensor([   0,    1,    2,  ...,  998,  999, 1000])"
    assert repr(mt.arange(1000)).count("\n") > 50
    assert repr(mt.zeros(1001, 1)).splitlines()[3] == "        ...,"
    mt.set_printoptions(threshold=3, edgeitems=1)
    assert repr(mt.arange(9.0).reshape(3, 3)) == "tensor([[0.,  ..., 2.],\n        ...,\n        [6.,  ..., 8.]])"
    mt.set_printoptions(precision=2, linewidth=30, profile="default")
    assert repr(mt.tensor(3.14159)) == "tensor(3.14)"
    assert repr(mt.arange(9)) == "tensor([0, 1, 2, 3, 4, 5, 6,\n        7, 8])"
    mt.set_printoptions(sci_mode=True)
    assert repr(mt.ones(1)) == "tensor([1.00e+00])"
    with pytest.raises(ValueError, match="profile 'long'"):
        mt.set_printoptions(profile="long")
