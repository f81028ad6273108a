"""Settings of other machines, and small functions that programs bring along."""

import math

import pytest

import minitensor as mt
from minitensor.errors import ShapeError

F = mt.nn.functional


def test_settings_are_remembered():
    mt.use_deterministic_algorithms(True, warn_only=True)
    assert mt.are_deterministic_algorithms_enabled()
    assert mt.is_deterministic_algorithms_warn_only_enabled()
    assert mt.get_deterministic_debug_mode() == 1
    mt.set_deterministic_debug_mode("error")
    assert not mt.is_deterministic_algorithms_warn_only_enabled()
    mt.set_deterministic_debug_mode(0)
    assert not mt.are_deterministic_algorithms_enabled()
    mt.set_float32_matmul_precision("medium")
    assert mt.get_float32_matmul_precision() == "medium"
    mt.set_float32_matmul_precision("highest")
    before = mt.get_num_interop_threads()
    mt.set_num_interop_threads(3)
    assert mt.get_num_interop_threads() == 3
    mt.set_num_interop_threads(before)
    assert mt.set_flush_denormal(True) is False
    mt.set_default_device(mt.device("cpu"))
    assert mt.get_default_device() == mt.device("cpu")


def test_settings_refuse():
    with pytest.raises(TypeError, match="bool"):
        mt.use_deterministic_algorithms(3)
    for call in (
        lambda: mt.set_deterministic_debug_mode(7),
        lambda: mt.set_float32_matmul_precision("low"),
        lambda: mt.set_num_interop_threads(0),
        lambda: mt.set_default_device("cuda"),
    ):
        with pytest.raises(ShapeError):
            call()


@pytest.mark.parametrize("name", ["torch.DoubleTensor", mt.DoubleTensor])
def test_the_default_tensor_type(name):
    try:
        with pytest.warns(FutureWarning, match="set_default_dtype"):
            mt.set_default_tensor_type(name)
        assert mt.ones(1).dtype == mt.float64
        with pytest.warns(FutureWarning), pytest.raises(TypeError, match="floating"):
            mt.set_default_tensor_type("torch.LongTensor")
        with pytest.warns(FutureWarning), pytest.raises(TypeError, match="no type of tensor"):
            mt.set_default_tensor_type("torch.Teapot")
    finally:
        mt.set_default_dtype(mt.float32)


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_the_angle_of_a_real_number(dtype):
    x = mt.tensor([1.0, -1.0, 0.0, -0.0, math.inf, -math.inf, math.nan], dtype=dtype, requires_grad=True)
    y = mt.angle(x)
    pi = mt.tensor(math.pi, dtype=dtype).item()
    assert y.dtype == dtype
    assert y.tolist()[:6] == [0.0, pi, 0.0, 0.0, 0.0, pi]
    assert math.isnan(y[6].item())
    assert math.copysign(1, y[3].item()) == 1
    y[:6].sum().backward()
    assert x.grad[:6].tolist() == [0.0] * 6
    assert mt.angle(mt.tensor([-3, 3])).tolist() == mt.tensor([math.pi, 0]).tolist()


def test_nonzero_static_narrow_copy_unsafe_split():
    x = mt.tensor([[1, 0], [2, 3]])
    assert mt.nonzero_static(x, size=5).tolist() == [[0, 0], [1, 0], [1, 1], [-1, -1], [-1, -1]]
    assert x.nonzero_static(size=1, fill_value=7).tolist() == [[0, 0]]
    assert mt.nonzero_static(mt.tensor(1), size=2).shape == (2, 0)
    with pytest.raises(ShapeError, match="negative"):
        mt.nonzero_static(x, size=-1)
    row = x.narrow_copy(0, 1, 1)
    row.zero_()
    assert x.tolist() == [[1, 0], [2, 3]]
    assert [part.tolist() for part in x[1].unsafe_split_with_sizes([1, 1])] == [[2], [3]]


def test_norm_except_dim():
    x = mt.tensor([[3.0, 4.0], [6.0, 8.0]])
    assert mt.norm_except_dim(x, 2, 0).tolist() == [[5.0], [10.0]]
    assert mt.norm_except_dim(x, 1, 1).tolist() == [[9.0, 12.0]]
    assert mt.norm_except_dim(x, 1, -1).item() == 21.0


def test_apply_and_map_write():
    x = mt.tensor([1, 2, 3])
    assert x.apply_(lambda v: v * v) is x
    assert x.tolist() == [1, 4, 9]
    assert x.map_(mt.tensor([10]), lambda a, b: a + b).tolist() == [11, 14, 19]
    with pytest.raises(RuntimeError, match="detach"):
        mt.ones(1, requires_grad=True).apply_(abs)
    with pytest.raises(ValueError, match="cannot be expanded"):
        x.map_(mt.ones(2), max)


def test_dim_order_follows_memory():
    assert mt.ones(2, 3, 4).dim_order() == (0, 1, 2)
    assert mt.ones(2, 3, 4).transpose(0, 2).dim_order() == (2, 1, 0)


def test_pools_with_indices():
    x = mt.arange(16.0).reshape(1, 4, 4)
    y, at = F.max_pool2d_with_indices(x, 2)
    assert at.tolist() == [[[5, 7], [13, 15]]]
    y, at = F.adaptive_max_pool2d_with_indices(x, 1)
    assert (y.item(), at.item()) == (15.0, 15)
    y, at = F.max_pool1d_with_indices(x, 4, return_indices=False)
    assert at.tolist() == [[[3], [3], [3], [3]]]
    assert F.native_channel_shuffle is F.channel_shuffle
