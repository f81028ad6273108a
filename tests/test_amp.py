"""autocast and GradScaler: what computes in which dtype, and what a scaler does with gradients that are not finite."""

from __future__ import annotations

import threading

import pytest

import minitensor as mt
import minitensor.nn.functional as F
from minitensor import nn

P, IMAGE = mt.rand(3, 5), mt.rand(2, 3, 8, 8)
CLASSES = mt.tensor([1, 2, 0])
LOWER = {
    "linear": lambda c: F.linear(c(P), mt.rand(4, 5), mt.rand(4)),
    "matmul": lambda c: c(P) @ mt.rand(5, 2),
    "matrix times vector": lambda c: mt.matmul(c(P), mt.rand(5)),
    "bmm": lambda c: mt.bmm(c(P)[None], mt.rand(1, 5, 2)),
    "addmm": lambda c: mt.addmm(mt.rand(3, 2), c(P), mt.rand(5, 2)),
    "einsum": lambda c: mt.einsum("ij,jk->ik", c(P), mt.rand(5, 2)),
    "conv2d": lambda c: F.conv2d(c(IMAGE), mt.rand(4, 3, 3, 3), mt.rand(4)),
    "conv_transpose2d": lambda c: F.conv_transpose2d(c(IMAGE), mt.rand(3, 4, 3, 3)),
    "attention": lambda c: F.scaled_dot_product_attention(c(P)[None], P[None], P[None]),
}
WIDER = {
    "cross_entropy": lambda c: F.cross_entropy(c(P), CLASSES),
    "nll_loss": lambda c: F.nll_loss(c(P), CLASSES),
    "mse_loss": lambda c: F.mse_loss(c(P), P),
    "binary_cross_entropy_with_logits": lambda c: F.binary_cross_entropy_with_logits(c(P), P),
    "cdist": lambda c: mt.cdist(c(P), c(P)),
    "sum with float32": lambda c: c(P) + P,
    "cat with float32": lambda c: mt.cat([c(P), P]),
}
AS_GIVEN = {
    "relu": lambda c: F.relu(c(P)),
    "softmax": lambda c: F.softmax(c(P), -1),
    "layer_norm": lambda c: F.layer_norm(c(P), (5,), mt.ones(5), mt.zeros(5)),
    "batch_norm": lambda c: F.batch_norm(c(IMAGE), mt.zeros(3), mt.ones(3), mt.ones(3), training=True),
    "sum": lambda c: c(P).sum(),
    "dropout": lambda c: F.dropout(c(P)),
    "embedding": lambda c: F.embedding(CLASSES, c(P)),
}


@pytest.mark.parametrize("d", [mt.bfloat16, mt.float16])
@pytest.mark.parametrize("name", [*LOWER, *WIDER, *AS_GIVEN])
def test_which_dtype_a_function_has(name, d):
    f = (LOWER | WIDER | AS_GIVEN)[name]
    with mt.autocast("cpu", dtype=d):
        found = [f(lambda x: x).dtype, f(lambda x: x.to(d)).dtype]
    assert found == ([d, d] if name in LOWER else [mt.float32] * 2 if name in WIDER else [mt.float32, d])


def test_what_float64_and_the_thread_beside_see():
    seen = []
    with mt.autocast("cpu"):
        assert (P.double() @ P.double().T).dtype is mt.float64
        thread = threading.Thread(target=lambda: seen.append((P @ P.T).dtype))
        thread.start()
        thread.join()
        with mt.autocast("cpu", enabled=False):
            assert (P @ P.T).dtype is mt.float32
            assert not mt.is_autocast_enabled("cpu")
        assert mt.is_autocast_enabled("cpu")
        assert mt.get_autocast_dtype("cpu") is mt.bfloat16
    assert seen == [mt.float32]
    assert (P @ P.T).dtype is mt.float32
    assert mt.autocast("cpu", dtype=mt.float16)(lambda: (P @ P.T).dtype)() is mt.float16


def test_gradients_of_float32_parameters():
    model = nn.Sequential(nn.Linear(5, 8), nn.ReLU(), nn.Linear(8, 3))
    with mt.autocast("cpu", dtype=mt.bfloat16):
        y = model(P)
        loss = F.cross_entropy(y, CLASSES)
    loss.backward()
    assert (y.dtype, loss.dtype) == (mt.bfloat16, mt.float32)
    g = model[2].weight.grad
    exact = mt.autograd.grad(F.cross_entropy(model(P), CLASSES), model[2].weight)[0]
    assert g.dtype is mt.float32
    assert mt.allclose(g, exact, rtol=0.05, atol=0.01)
    assert mt.equal(g, g.bfloat16().float())  # it came through the product's cast


def test_wrong_devices_and_dtypes():
    with pytest.raises(ValueError, match="type of a device"):
        mt.autocast(mt.bfloat16)
    with pytest.warns(UserWarning, match="there is no device 'cuda'"), mt.autocast("cuda"):
        assert (P @ P.T).dtype is mt.float32
    with pytest.warns(UserWarning, match="neither bfloat16 nor float16"), mt.autocast("cpu", dtype=mt.float32):
        assert (P @ P.T).dtype is mt.float32
    with pytest.warns(UserWarning, match="nothing is scaled"):
        scaler = mt.amp.GradScaler("cuda")
    assert scaler.scale(P) is P
    assert scaler.state_dict() == {}


def test_a_scaler():
    w = nn.Parameter(mt.tensor([1.0]))
    optimizer = mt.optim.SGD([w], lr=0.5)
    scaler = mt.amp.GradScaler("cpu", init_scale=8.0, growth_interval=2)
    scales = []
    for factor in (1.0, float("inf"), 1.0, 1.0):
        optimizer.zero_grad()
        scaler.scale((w * factor).sum()).backward()
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    assert scales == [8.0, 4.0, 4.0, 8.0]
    assert w.item() == 1 - 3 * 0.5
    scaler.scale((w * 2).sum()).backward()
    optimizer.zero_grad()
    scaler.scale([(w * 2).sum()])[0].backward()
    assert w.grad.item() == 16.0
    scaler.unscale_(optimizer)
    assert w.grad.item() == 2.0
    with pytest.raises(RuntimeError, match="already been called"):
        scaler.unscale_(optimizer)
    other = mt.amp.GradScaler("cpu")
    other.load_state_dict(scaler.state_dict())
    assert other.state_dict() == scaler.state_dict()
    with pytest.raises(AssertionError, match="No inf checks"):
        other.update()


def test_functions_with_casts_of_their_own():
    class Twice(mt.autograd.Function):
        @staticmethod
        @mt.amp.custom_fwd(device_type="cpu", cast_inputs=mt.float32)
        def forward(ctx, x):
            return x @ mt.eye(5) * 2

        @staticmethod
        @mt.amp.custom_bwd(device_type="cpu")
        def backward(ctx, g):
            return g * 2

    with mt.autocast("cpu"):
        assert Twice.apply(P.bfloat16()).dtype is mt.float32
