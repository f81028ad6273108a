"""Optimizers: steps against PyTorch and by hand, kernels against NumPy, states, bad input."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn, optim
from minitensor.errors import GraphError, ShapeError

MAKERS = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.2, weight_decay=0.1),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, maximize=True),
    "adam": lambda p: optim.Adam(p, lr=0.1, betas=(0.8, 0.9), weight_decay=0.1),
    "amsgrad": lambda p: optim.Adam(p, lr=0.1, amsgrad=True, eps=0.01),
    "adamw": lambda p: optim.AdamW(p, lr=0.1, weight_decay=0.5, maximize=True),
}
# What PyTorch 2.13 arrives at by four steps of _run.
PYTORCH = {
    "sgd": [0.14546660650447896, -6.304855968594176, 0.691417035688639],
    "momentum": [-0.40775424857106957, -8.72970542911024, -2.0623013962008585],
    "nesterov": [5.814046930872482, 1.7173347765747915, 226.62653360025732],
    "adam": [0.605846709118929, -2.3995236228647223, 2.59913586209977],
    "amsgrad": [0.6114711568627387, -2.398149204135273, 2.599639102082102],
    "adamw": [1.1730508464716916, -1.2569908301987345, 2.8155426909136074],
}
every = pytest.mark.parametrize("name", MAKERS)


def _run(optimizer, w, steps):
    """Steps along the gradient of w^3 / 3 + i w, with i the number of the step."""
    for i in steps:
        optimizer.zero_grad()
        (w**3 / 3 + i * w).sum().backward()
        optimizer.step()


def _start(dtype=mt.float64):
    return nn.Parameter(mt.tensor([1.0, -2.0, 3.0], dtype=dtype))


@every
def test_pytorchs_numbers(name):
    w = _start()
    _run(MAKERS[name]([w]), w, range(4))
    np.testing.assert_allclose(w.detach(), PYTORCH[name], rtol=1e-13)


@every
@pytest.mark.parametrize("size", [0, 1, 15, 16, 17, 33, 1000])
@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_kernels_against_numpy(name, size, dtype):
    rng = np.random.default_rng(size)
    start, grads = rng.standard_normal(size), rng.standard_normal((3, size))
    found = []
    for rung in ("reference", "fast"):
        w = nn.Parameter(mt.tensor(start, dtype=dtype))
        optimizer = MAKERS[name]([w])
        with mt.cpu.kernels(rung):
            for g in grads:
                w.grad = mt.tensor(g, dtype=dtype)
                optimizer.step()
        found.append([w.detach(), *[v for k, v in optimizer.state[w].items() if k != "step"]])
    eps = np.finfo(dtype.numpy).eps
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=20 * eps, atol=20 * eps)


@every
def test_a_step_by_hand(name):
    """The formulas of the docstrings, for one number and two steps."""
    p, state = 2.0, {"b": None, "m": 0.0, "v": 0.0, "most": 0.0}
    w = nn.Parameter(mt.tensor(p, dtype=mt.float64))
    optimizer = MAKERS[name]([w])
    how = optimizer.param_groups[0]
    for t, grad in ((1, 0.5), (2, -3.0)):
        w.grad = mt.tensor(grad, dtype=mt.float64)
        optimizer.step()
        g = -grad if how["maximize"] else grad
        lr, decay = how["lr"], how["weight_decay"]
        if "momentum" in how:
            g += decay * p
            momentum, dampening = how["momentum"], how["dampening"]
            b = g if t == 1 else momentum * state["b"] + (1 - dampening) * g
            state["b"] = b
            p -= lr * (g + momentum * b if how["nesterov"] else b if momentum else g)
        else:
            beta1, beta2 = how["betas"]
            if how["decoupled_weight_decay"]:
                p -= lr * decay * p
            else:
                g += decay * p
            state["m"] = beta1 * state["m"] + (1 - beta1) * g
            state["v"] = beta2 * state["v"] + (1 - beta2) * g**2
            state["most"] = max(state["most"], state["v"])
            v = state["most"] if how["amsgrad"] else state["v"]
            root = (v / (1 - beta2**t)) ** 0.5
            p -= lr * state["m"] / (1 - beta1**t) / (root + how["eps"])
        assert w.item() == pytest.approx(p, rel=1e-13)


@every
def test_resuming_goes_on_with_the_same_numbers(name, tmp_path):
    w = _start(mt.float32)
    _run(MAKERS[name]([w]), w, range(6))
    v = _start(mt.float32)
    first = MAKERS[name]([v])
    _run(first, v, range(3))
    mt.save(first.state_dict(), tmp_path / "state.safetensors")
    u = nn.Parameter(v.detach().clone())
    second = MAKERS[name]([u])
    second.param_groups[0]["lr"] = 77.0  # the state brings its own
    second.load_state_dict(mt.load(tmp_path / "state.safetensors"))
    _run(second, u, range(3, 6))
    assert u.tolist() == w.tolist()
    _run(first, v, range(3, 6))  # whose state the other one does not share
    assert v.tolist() == w.tolist()


def test_state_dict_has_pytorchs_form():
    a, b = _start(), _start()
    optimizer = optim.Adam([{"params": [a], "lr": 0.5}, {"params": b}])
    a.grad = mt.ones(3, dtype=mt.float64)
    optimizer.step()
    state = optimizer.state_dict()
    assert [group["params"] for group in state["param_groups"]] == [[0], [1]]
    assert [group["lr"] for group in state["param_groups"]] == [0.5, 0.001]
    assert list(state["state"]) == [0]
    assert list(state["state"][0]) == ["step", "exp_avg", "exp_avg_sq"]
    assert state["state"][0]["step"].item() == 1
    assert state["state"][0]["exp_avg_sq"].dtype is mt.float64
    fresh = optim.Adam([{"params": [a.detach()]}, {"params": [b.detach()]}])
    before = copy.deepcopy(fresh.state_dict())
    state["state"][0]["exp_avg"] = mt.zeros(4)
    with pytest.raises(ShapeError, match=r"exp_avg of shape \(4,\) for a parameter of shape \(3,\)"):
        fresh.load_state_dict(state)
    with pytest.raises(ShapeError, match=r"groups of \[1, 1\] parameters are not those of \[2\]"):
        optim.Adam([a, b]).load_state_dict(state)
    assert fresh.state_dict() == before


def test_groups_have_options_of_their_own():
    a, b, c = (nn.Parameter(mt.ones(1)) for _ in range(3))
    optimizer = optim.SGD([{"params": [a]}, {"params": [b], "lr": 1.0}], lr=0.5)
    optimizer.add_param_group({"params": c, "lr": 2.0})
    for p in (a, b, c):
        p.grad = mt.ones(1)
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == [0.5, 0.0, -1.0]
    optimizer.param_groups[0]["lr"] = 0.25
    optimizer.step()
    assert a.item() == 0.25


def test_steps_are_seen_by_the_graph():
    w = _start()
    optimizer = optim.SGD([w], lr=0.1)
    y = (w * w).sum()
    w.grad = mt.ones(3, dtype=mt.float64)
    before = w._version
    optimizer.step()
    assert w._version == before + 1
    assert w.is_leaf
    with pytest.raises(GraphError, match="overwritten"):
        y.backward()


def test_parameters_without_gradients_stay():
    a, b = _start(), _start()
    optimizer = optim.AdamW([a, b])
    a.grad = mt.zeros(3, dtype=mt.float64)
    optimizer.step()
    assert b.tolist() == [1, -2, 3]
    assert list(optimizer.state) == [a]


def test_a_closure_computes_the_loss_with_gradients():
    w = _start()
    optimizer = optim.SGD([w], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = (w * w).sum()
        loss.backward()
        return loss

    with mt.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 14
    np.testing.assert_allclose(w.detach(), [0.8, -1.6, 2.4])


def test_zero_grad():
    w = _start()
    optimizer = optim.SGD([w])
    (w * w).sum().backward()
    kept = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is kept
    assert kept.tolist() == [0, 0, 0]
    optimizer.zero_grad()
    assert w.grad is None


@every
def test_memory_that_is_not_row_major_and_other_dtypes(name):
    base = mt.arange(6.0).reshape(2, 3)
    w, v = nn.Parameter(base.t()), nn.Parameter(base.t().contiguous())
    half = nn.Parameter(base.t().half().contiguous())
    for p in (w, v, half):
        optimizer = MAKERS[name]([p])
        for _ in range(2):
            p.grad = (p * 0.5 + 1).detach()
            optimizer.step()
    np.testing.assert_allclose(w.detach(), v.detach(), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(half.detach(), v.detach(), rtol=0.02, atol=0.02)
    assert half.dtype is mt.float16


def test_gradients_that_are_not_row_major():
    w = nn.Parameter(mt.zeros(2, 3))
    w.grad = mt.arange(6.0).reshape(3, 2).t()
    optim.SGD([w], lr=1.0).step()
    assert w.tolist() == [[0, -2, -4], [-1, -3, -5]]


def test_learning_rates_may_be_tensors():
    w = _start()
    w.grad = mt.ones(3, dtype=mt.float64)
    optim.SGD([w], lr=mt.tensor(0.5)).step()
    assert w.tolist() == [0.5, -2.5, 2.5]


def test_options_that_change_nothing_are_taken():
    w = _start()
    options = dict(foreach=True, fused=True)
    optim.SGD([w], **options)
    optim.Adam([w], capturable=True, **options)
    optim.AdamW([w], capturable=True, **options)


def test_printing():
    text = repr(optim.SGD([_start()], lr=0.1))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n")
    assert "    lr: 0.1\n" in text
    assert text.endswith("    weight_decay: 0\n)")
    two = repr(optim.SGD([{"params": [_start()], "lr": 0.2}, {"params": [_start()]}], lr=0.1))
    assert two.startswith("SGD (\nParameter Group 0\n")
    assert "    weight_decay: 0\n\nParameter Group 1\n    dampening: 0\n" in two


def test_the_options_of_a_group_stand_in_pytorchs_order():
    """A group's own options come first, then the others; in the state the parameters come last."""
    optimizer = optim.SGD([{"params": [_start()], "weight_decay": 0.5}], lr=0.1)
    assert list(optimizer.param_groups[0])[:4] == ["params", "weight_decay", "lr", "momentum"]
    saved = optimizer.state_dict()["param_groups"][0]
    assert list(saved)[:3] == ["weight_decay", "lr", "momentum"]
    assert list(saved)[-1] == "params"


def test_optimizers_of_ones_own():
    class Sign(optim.Optimizer):
        def __init__(self, params, lr):
            super().__init__(params, {"lr": lr})

        def _update(self, p, g, state, group):
            state["steps"] = state.get("steps", 0) + 1
            p.array[...] -= group["lr"] * np.sign(g)

    w = _start()
    optimizer = Sign([w], 0.5)
    _run(optimizer, w, range(2))
    assert w.tolist() == [0.0, -3.0, 2.0]
    twin = Sign([w], 1.0)
    twin.load_state_dict(optimizer.state_dict())
    assert twin.state[w] == {"steps": 2}
    assert twin.param_groups[0]["lr"] == 0.5


def test_a_subclass_with_another_formula_leaves_the_kernel():
    class Signed(optim.RMSprop):
        def _formula(self, p, g, s, t, group):
            return p - group["lr"] * np.sign(g)

    class Named(optim.RMSprop):
        pass

    w, v = _start(), _start()
    _run(Signed([w], 0.5), w, range(2))
    assert w.tolist() == [0.0, -3.0, 2.0]
    x = _start()
    _run(Named([v], 0.5), v, range(2))
    _run(optim.RMSprop([x], 0.5), x, range(2))
    assert v.tolist() == x.tolist() != w.tolist()


def test_training_reaches_the_least_squares():
    rng = np.random.default_rng(0)
    x = mt.from_numpy(rng.standard_normal((64, 3)))
    y = x @ mt.tensor([[1.0], [-2.0], [0.5]], dtype=mt.float64) + 0.25
    for make in (
        lambda p: optim.SGD(p, lr=0.1, momentum=0.9),
        lambda p: optim.Adam(p, lr=0.05),
        lambda p: optim.AdamW(p, lr=0.05, weight_decay=0.0),
    ):
        model = nn.Linear(3, 1, dtype=mt.float64)
        optimizer = make(model.parameters())
        for _ in range(400):
            optimizer.zero_grad()
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
        np.testing.assert_allclose(model.weight.detach(), [[1, -2, 0.5]], atol=1e-3)
        np.testing.assert_allclose(model.bias.detach(), [0.25], atol=1e-3)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda w: optim.SGD([]), ValueError, "SGD: there are no parameters"),
        (lambda w: optim.SGD(w), TypeError, "SGD: expected several parameters, got one tensor"),
        (lambda w: optim.SGD([1]), TypeError, "a parameter must be a tensor, not int"),
        (lambda w: optim.SGD([w * 2]), ValueError, "was computed"),
        (lambda w: optim.SGD([{"lr": 1}]), TypeError, "with the key 'params'"),
        (lambda w: optim.SGD([{"params": {w}}]), TypeError, "a set of parameters has no order"),
        (lambda w: optim.SGD([{"params": w}, {"params": w}]), ValueError, "more than one group"),
        (lambda w: optim.SGD([w], lr=-1), ValueError, "SGD: lr must not be negative, but is -1"),
        (lambda w: optim.SGD([w], lr=float("nan")), ValueError, "lr must not be negative"),
        (lambda w: optim.SGD([w], momentum=-1), ValueError, "momentum must not be negative"),
        (lambda w: optim.SGD([w], weight_decay=-1), ValueError, "weight_decay must not be"),
        (lambda w: optim.SGD([w], nesterov=True), ValueError, "nesterov needs a momentum"),
        (lambda w: optim.SGD([{"params": w, "lr": -1}]), ValueError, "lr must not be negative"),
        (lambda w: optim.Adam([w], betas=(1.0, 0.9)), ValueError, r"betas\[0\] must lie in"),
        (lambda w: optim.Adam([w], betas=(0.9, -1)), ValueError, r"betas\[1\] must lie in"),
        (lambda w: optim.AdamW([w], eps=-1), ValueError, "AdamW: eps must not be negative"),
        (lambda w: optim.Adam([w], weight_decay=-1), ValueError, "weight_decay must not"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(_start())


def test_a_parameter_twice_in_a_group_warns():
    w = _start()
    with pytest.warns(UserWarning, match="occurs twice"):
        optim.SGD([w, w])


def test_read_only_memory_is_refused_before_anything_is_written():
    array = np.zeros(3, np.float32)
    array.flags.writeable = False
    w = nn.Parameter(mt.from_numpy(array))
    w.grad = mt.ones(3)
    with pytest.raises(ShapeError, match="Adam: the tensor's memory is read-only"):
        optim.Adam([w]).step()


def test_a_parameter_without_a_state_has_none_in_the_state_dict():
    p = mt.nn.Parameter(mt.ones(2))
    optimizer = mt.optim.SGD([p], lr=0.1)
    p.sum().backward()
    optimizer.step()
    assert optimizer.state_dict()["state"] == {}
    optimizer.load_state_dict(optimizer.state_dict())
