"""bfloat16 and float16: storage that is computed with in float32 and rounded once."""

from __future__ import annotations

import copy
import io
import pickle

import numpy as np
import pytest

import minitensor as mt
import minitensor.nn.functional as F
from minitensor import nn

HALVES = [mt.bfloat16, mt.float16]


def rounded(x: np.ndarray) -> np.ndarray:
    """float32 rounded to 8 significant bits, ties to even, by another way than the library's: integers."""
    scale = np.ldexp(np.float64(1), np.frexp(x.astype(np.float64))[1] - 8)
    return (np.rint(x / scale) * scale).astype(np.float32)


def test_rounding_is_to_nearest_and_ties_to_even():
    x = (
        np.random.default_rng(0).standard_normal(10000).astype(np.float32)
        * 10.0 ** np.arange(-15, 15).repeat(334)[:10000]
    )
    x = x.astype(np.float32)
    assert np.array_equal(mt.tensor(x).bfloat16().float().numpy(), rounded(x))
    ties = mt.tensor([1 + 2**-8, 1 + 3 * 2**-8, -1 - 2**-8, 1 + 2**-8 + 2**-20])
    assert ties.bfloat16().tolist() == [1.0, 1 + 2**-6, -1.0, 1 + 2**-7]


def test_what_is_not_finite_or_too_large_or_tiny():
    x = mt.tensor([np.nan, np.inf, -np.inf, 3.4e38, -0.0, 1e-40]).bfloat16()
    assert x.isnan().tolist() == [True] + [False] * 5
    assert x[1:4].tolist() == [np.inf, -np.inf, np.inf]
    assert np.signbit(x[4].item())
    assert 0 < x[5].item() < 1.1e-40  # a subnormal number
    assert mt.tensor(70000.0).half().item() == np.inf


def test_every_bfloat16_survives_the_way_through_float32_and_files(tmp_path):
    bits = mt.arange(-(2**15), 2**15).to(mt.int16)
    x = bits.view(mt.bfloat16)
    again = x.float().bfloat16().view(mt.int16)
    real = ~x.isnan()
    assert mt.equal(again[real], bits[real])
    for name in ("a.pt", "a.safetensors"):
        mt.save({"x": x, "y": mt.ones(2, dtype=mt.float16)}, tmp_path / name)
        read = mt.load(tmp_path / name)
        assert read["x"].dtype is mt.bfloat16
        assert read["y"].dtype is mt.float16
        assert mt.equal(read["x"].view(mt.int16), bits)
    for copied in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert copied.dtype is mt.bfloat16
        assert mt.equal(copied.view(mt.int16), bits)


def test_what_it_says_of_itself():
    x = mt.tensor([1.5, 2.3], dtype=mt.bfloat16)
    assert repr(x) == "tensor([1.5000, 2.2969], dtype=minitensor.bfloat16)"
    assert (x.element_size(), x.itemsize, x.nbytes, x.is_floating_point()) == (2, 2, 4, True)
    assert x.type() == "minitensor.BFloat16Tensor"
    info = mt.finfo(mt.bfloat16)
    assert (info.bits, info.eps, info.max, info.tiny) == (16, 2.0**-7, 255 * 2.0**120, 2.0**-126)
    assert info.resolution == 0.01
    assert mt.finfo(mt.float16).resolution == 0.001
    assert mt.tensor(x.tolist(), dtype="bfloat16").equal(x)
    with pytest.raises(TypeError, match=r"no bfloat16; use float\(\)"):
        x.numpy()


@pytest.mark.parametrize("d", HALVES)
def test_making_them(d):
    assert mt.zeros(2, dtype=d).tolist() == [0, 0]
    assert mt.ones(2, 2, dtype=d).sum().item() == 4
    assert mt.full((2,), 0.1, dtype=d).tolist() == [mt.tensor(0.1, dtype=d).item()] * 2
    assert mt.arange(3, dtype=d).tolist() == [0, 1, 2]
    assert mt.eye(2, dtype=d).tolist() == [[1, 0], [0, 1]]
    for draw in (mt.rand, mt.randn):
        mt.manual_seed(0)
        x = draw(40, dtype=d)
        mt.manual_seed(0)
        assert x.dtype is d
        assert mt.equal(x, draw(40).to(d)) or draw is mt.randn
    assert nn.Linear(2, 3, dtype=d).weight.dtype is d


def test_promotion():
    halves = [mt.ones(2, dtype=d) for d in HALVES]
    b, h = halves
    assert (b + h).dtype is mt.float32
    assert (b + mt.ones(2)).dtype is mt.float32
    assert (b + mt.ones(2, dtype=mt.float64)).dtype is mt.float64
    for other in (1, 1.5, True, mt.ones(2, dtype=mt.int64), mt.tensor(2.0), mt.tensor(2.0, dtype=mt.float64)):
        assert (b * other).dtype is mt.bfloat16
        assert (other + h).dtype is mt.float16


@pytest.mark.parametrize("d", HALVES)
def test_moving_elements_keeps_the_dtype_and_the_bits(d):
    x = mt.randn(4, 6).to(d)
    for y in (
        x.T, x[1:3, ::2], x[[0, 2]], x[x > 0], x.reshape(3, 8), mt.cat([x, x]), mt.stack([x, x]), x.flip(0),
        x.unsqueeze(0).expand(2, 4, 6), x.roll(1), x.clone(), x.tril(), x.gather(1, mt.zeros(4, 1, dtype=mt.int64)),
        mt.where(x > 0, x, 0.0), F.pad(x, (1, 1)), x.repeat(2, 1), x.masked_fill(x > 0, -1), x.topk(2).values,
    ):  # fmt: skip
        assert y.dtype is d
        assert set(y.float().flatten().tolist()) <= {*x.float().flatten().tolist(), 0.0, -1.0}
    view = x[0]
    x[0] = 1
    assert view.tolist() == [1] * 6
    x.copy_(mt.full((4, 6), 0.3))
    assert x.tolist() == mt.full((4, 6), 0.3).to(d).tolist()
    other = mt.zeros(4, 6, dtype=HALVES[d is mt.bfloat16])
    assert mt.equal(other.copy_(x).float(), x.float().to(other.dtype).float())
    x.zero_().add_(1).mul_(0.5)
    assert x.unique().tolist() == [0.5]


FUNCTIONS = {
    "add": lambda x, y: x + y,
    "mul": lambda x, y: x * y,
    "times a number": lambda x, y: x * 0.1003,
    "over a number": lambda x, y: x / 0.1003,
    "matmul": lambda x, y: x @ y.mT,
    "linear": lambda x, y: F.linear(x, y, x[0, :5]),
    "exp": lambda x, y: x.exp(),
    "tanh": lambda x, y: x.tanh(),
    "gelu": lambda x, y: F.gelu(x),
    "softmax": lambda x, y: F.softmax(x, -1),
    "layer_norm": lambda x, y: F.layer_norm(x, (40,)),
    "rms_norm": lambda x, y: F.rms_norm(x, (40,), y[0]),
    "sum": lambda x, y: x.sum(0),
    "mean": lambda x, y: x.mean(),
    "std": lambda x, y: x.std(1),
    "cumsum": lambda x, y: x.cumsum(1),
    "conv1d": lambda x, y: F.conv1d(x[None], y[None, :, :3]),
    "max_pool1d": lambda x, y: F.max_pool1d(x[None], 2),
}


# whose gradients are sums of two, or made from a result that was rounded
SEVERAL = {"linear", "rms_norm", "std", "exp", "tanh", "softmax", "layer_norm", "conv1d"}


@pytest.mark.parametrize("d", HALVES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_function_and_its_gradient_are_float32s_rounded_once(name, d):
    mt.manual_seed(1)
    f = FUNCTIONS[name]
    arguments = [mt.randn(5, 40).to(d).requires_grad_() for _ in range(2)]
    wide = [x.detach().float().requires_grad_() for x in arguments]
    y, z = f(*arguments), f(*wide)
    assert y.dtype is d
    assert mt.equal(y, z.to(d))
    g = mt.randn(y.shape).to(d)
    y.backward(g)
    z.backward(g.float())
    for x, w in zip(arguments, wide, strict=True):
        assert (x.grad is None) == (w.grad is None)
        if x.grad is not None:
            assert x.grad.dtype is d
            if name in SEVERAL:
                mt.testing.assert_close(x.grad.float(), w.grad, rtol=4 * mt.finfo(d).eps, atol=4 * mt.finfo(d).eps)
            else:
                assert mt.equal(x.grad, w.grad.to(d))


@pytest.mark.parametrize("d", HALVES)
def test_derivatives_of_higher_order_and_forward_mode(d):
    x = mt.tensor([0.5, 2.0], dtype=d, requires_grad=True)
    (g,) = mt.autograd.grad((x * x * x).sum(), x, create_graph=True)
    (h,) = mt.autograd.grad(g.sum(), x)
    assert (g.dtype, h.dtype) == (d, d)
    assert h.tolist() == [3.0, 12.0]
    y, t = mt.func.jvp(lambda v: v * v, (x.detach(),), (mt.ones(2, dtype=d),))
    assert (y.dtype, t.dtype, t.tolist()) == (d, d, [1.0, 4.0])


@pytest.mark.parametrize("d", HALVES)
def test_models(d):
    mt.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).to(d)
    x = mt.randn(2, 1, 8, 8).to(d)
    loss = F.cross_entropy(model(x), mt.tensor([0, 2]))
    loss.backward()
    assert loss.dtype is d
    assert model[1].running_mean.dtype is d
    assert (model[1].running_mean != 0).any()
    assert all(p.grad.dtype is d for p in model.parameters())
    for make in (mt.optim.SGD, mt.optim.AdamW):
        before = model[4].weight.clone()
        make(model.parameters(), lr=0.1).step()
        assert model[4].weight.dtype is d
        assert not mt.equal(before, model[4].weight)
    wide = nn.Linear(144, 3)
    wide.load_state_dict(model[4].state_dict())
    assert wide.weight.dtype is mt.float32
    assert mt.equal(wide.weight, model[4].weight.float())


def test_norms_of_half_precision_with_weights_of_float32():
    x = mt.randn(3, 6).bfloat16().requires_grad_()
    norm = nn.LayerNorm(6)
    y = norm(x)
    assert y.dtype is mt.bfloat16
    assert mt.equal(y, norm(x.float()).bfloat16())
    y.float().pow(2).sum().backward()
    assert (x.grad.dtype, norm.weight.grad.dtype) == (mt.bfloat16, mt.float32)
    batch = nn.BatchNorm1d(6)
    assert batch(x).dtype is mt.bfloat16
    assert batch.running_mean.dtype is mt.float32
    assert mt.allclose(batch.running_mean, x.float().mean(0) * 0.1)


def test_pytorchs_file_of_bfloat16_is_its_bytes():
    file = io.BytesIO()
    mt.save(mt.tensor([1.0, -2.0], dtype=mt.bfloat16), file)
    assert b"BFloat16Storage" in file.getvalue()
    assert bytes([0x80, 0x3F, 0x00, 0xC0]) in file.getvalue()


def test_a_number_before_a_tensor_of_half_precision():
    for dtype in (mt.float16, mt.bfloat16):
        x = mt.tensor([-0.5, float("inf")], dtype=dtype)
        for y in (mt.mul(9, x), 9 * x, mt.mul(x, 9)):
            assert y.dtype is dtype
            assert y.tolist() == [-4.5, float("inf")]
    assert mt.finfo(mt.complex64).eps == mt.finfo(mt.float32).eps
