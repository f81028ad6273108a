"""autograd.functional, batched gradients, the graph seen from outside, and the search for NaN."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import minitensor as mt
from minitensor import autograd
from minitensor.autograd import functional
from minitensor.errors import GraphError, ShapeError

F64 = mt.float64


def t(*values, grad=False):
    return mt.tensor(values, dtype=F64, requires_grad=grad)


def product(x, y):
    return x * y.sum(), (y * y).sum()


def scalar(x, y):
    return (x**3).sum() * y.prod()


X, Y = t(1, 2), t(3, 4, 5)


# --- functional -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"create_graph": True}, {"vectorize": True}, {"strategy": "forward-mode"}])
def test_jacobians(options):
    if "strategy" in options:
        options["vectorize"] = True
    (xx, xy), (yx, yy) = functional.jacobian(product, (X, Y), **options)
    assert xx.tolist() == [[12, 0], [0, 12]]
    assert xy.tolist() == [[1, 1, 1], [2, 2, 2]]
    assert yx.tolist() == [0, 0]
    assert yy.tolist() == [6, 8, 10]
    rows = t([1, 2], [3, 4])
    j = functional.jacobian(lambda x: x * x, rows, **options)
    np.testing.assert_array_equal(
        j.detach().numpy(), np.einsum("ik,jl,ij->ijkl", np.eye(2), np.eye(2), 2 * rows.numpy())
    )
    assert functional.jacobian(lambda x: (x[:1],), X, **options)[0].shape == (1, 2)
    assert functional.jacobian(lambda x: x * 2, mt.zeros(0), **options).shape == (0, 0)


@pytest.mark.parametrize(
    "options", [{}, {"create_graph": True}, {"vectorize": True}, {"outer_jacobian_strategy": "forward-mode"}]
)
def test_hessians(options):
    if "outer_jacobian_strategy" in options:
        options["vectorize"] = True
    (xx, xy), (yx, yy) = functional.hessian(scalar, (X, Y), **options)
    assert xx.tolist() == [[360, 0], [0, 720]]
    assert xy.tolist() == [[60, 45, 36], [240, 180, 144]]
    assert yx.T.tolist() == xy.tolist()
    np.testing.assert_allclose(yy.detach().numpy(), [[0, 45, 36], [45, 0, 27], [36, 27, 0]], atol=1e-13)
    assert functional.hessian(lambda x: (x**3).sum(), X, **options).tolist() == [[6, 0], [0, 12]]


def test_products_with_vectors():
    v = (t(1, 1), t(1, 0, 2))
    outputs, (x, y) = functional.vjp(product, (X, Y), (t(1, 2), mt.tensor(3.0, dtype=F64)))
    assert [o.tolist() for o in outputs] == [[12, 24], 50]
    assert (x.tolist(), y.tolist()) == ([12, 24], [23, 29, 35])
    _, (a, b) = functional.jvp(product, (X, Y), v)
    assert (a.tolist(), b.tolist()) == ([15, 18], 26)
    for multiply in (functional.vhp, functional.hvp):
        value, (x, y) = multiply(scalar, (X, Y), v)
        assert value.item() == 540
        np.testing.assert_allclose(x.numpy(), [492, 1248], 1e-14)
        np.testing.assert_allclose(y.numpy(), [372, 324, 216], 1e-14)
        assert not x.requires_grad


@pytest.mark.parametrize("name", ["vhp", "hvp", "vjp", "jvp", "jacobian", "hessian"])
def test_results_that_can_be_differentiated(name):
    x = t(1, 2, grad=True)
    f = lambda x: (x**4).sum()  # noqa: E731
    v = {"vhp": (X,), "hvp": (X,), "jvp": (X,), "vjp": (mt.tensor(1.0, dtype=F64),)}.get(name, ())
    made = getattr(functional, name)(f, x, *v, create_graph=True)
    made = made[1] if v else made
    made.sum().backward()
    assert x.grad.tolist() == {
        "vjp": [12, 48], "jacobian": [12, 48], "hessian": [24, 48], "jvp": [12, 96], "vhp": [24, 96], "hvp": [24, 96]
    }[name]  # fmt: skip
    assert functional.jacobian(f, x).requires_grad is False
    assert f(x).requires_grad


def test_strict_and_wrong_arguments():
    half = lambda x, y: (x**3).sum()  # noqa: E731
    for name in ("vhp", "hvp", "vjp", "jvp"):
        multiply = getattr(functional, name)
        v = (X, Y) if name != "vjp" else None
        assert multiply(half, (X, Y), v)[1] is not None
        with pytest.raises(GraphError, match="independent of input 1"):
            multiply(half, (X, Y), v, strict=True)
        with pytest.raises(ShapeError, match=r"\(3,\)"):
            multiply(lambda x: (x**3).sum(), X, Y)
        with pytest.raises(ShapeError):
            multiply(lambda x: x**3, X)
        with pytest.raises(TypeError, match="float"):
            multiply(lambda x: x, 1.0)
    with pytest.raises(GraphError, match="independent of input 1"):
        functional.jacobian(half, (X, Y), strict=True)
    with pytest.raises(NotImplementedError, match="vectorize"):
        functional.jacobian(half, (X, Y), strategy="forward-mode")
    with pytest.raises(ValueError, match="strategy"):
        functional.jacobian(half, (X, Y), strategy="sideways")
    with pytest.raises(ShapeError, match="single element"):
        functional.hessian(lambda x: x, X)


def test_batched_gradients():
    x, other = t(1, 2, grad=True), t(5, 6, grad=True)
    eye = mt.eye(2, dtype=F64)
    a, b = x**3, x.sum()
    assert autograd.grad(a, x, eye, is_grads_batched=True)[0].tolist() == [[3, 0], [0, 12]]
    (g,) = autograd.grad((a, b), x, (eye, t(1, 10)), is_grads_batched=True, create_graph=True)
    assert g.tolist() == [[4, 1], [10, 22]]
    g.sum().backward()
    assert x.grad.tolist() == [6, 12]
    found = autograd.grad(a, (x, other), eye, is_grads_batched=True, allow_unused=True)
    assert found[1] is None
    with pytest.raises(GraphError, match="input 1"):
        autograd.grad(a, (x, other), eye, is_grads_batched=True)


# --- the graph from outside -------------------------------------------------------------------------------------------


def test_nodes():
    x = t(1, 2, grad=True)
    y = x * 3
    node = y.sum().grad_fn
    assert (node.name(), node.next_functions[0][0].name()) == ("SumBackward0", "MulBackward0")
    assert isinstance(node, autograd.graph.Node)
    (end, output), nothing = y.grad_fn.next_functions
    assert (end.name(), end.variable is x, output, end.next_functions) == (
        "torch::autograd::AccumulateGrad",
        True,
        0,
        (),
    )
    assert nothing == (None, 0)
    assert end == y.grad_fn.next_functions[0][0]
    node.metadata["key"] = 1
    assert node.metadata == {"key": 1}


def test_hooks_of_nodes():
    x = t(1, 2, grad=True)
    y = x * 3
    z = y.sum()
    log = []

    def before(g):
        log.append(g[0].tolist())
        return (g[0] * 2,)

    def after(inputs, outputs):
        log.append((inputs[0].tolist(), outputs[0].tolist()))
        return inputs[0] * 10, None

    handles = [z.grad_fn.register_prehook(before), y.grad_fn.register_hook(after)]
    z.backward(retain_graph=True)
    assert log == [1, ([6, 6], [2, 2])]
    for handle in handles:
        handle.remove()
    z.backward()
    assert x.grad.tolist() == [63, 63]
    seen = []
    x.register_post_accumulate_grad_hook(lambda p: seen.append(p.grad.tolist()))
    (x * 1).sum().backward()
    assert seen == [[64, 64]]


def test_a_gradient_by_an_edge():
    x = t(1, 2, grad=True)
    y = x * 3
    edges = [autograd.graph.get_gradient_edge(v) for v in (y, x)]
    z = (y * y).sum()
    del y
    assert [g.tolist() for g in autograd.grad(z, edges)] == [[6, 12], [18, 36]]


def test_hooks_of_saved_tensors():
    x = t(1, 2, grad=True)
    packed, unpacked = [], []
    hooks = autograd.graph.saved_tensors_hooks(
        lambda v: packed.append(v.tolist()) or v.numpy(force=True).copy(),
        lambda v: unpacked.append(1) or mt.from_numpy(v),
    )
    with hooks:
        y = (x * x).exp()
    y.sum().backward()
    assert packed == [[1, 2], [1, 2], y.tolist()]
    assert len(unpacked) == 3
    np.testing.assert_allclose(x.grad.numpy(), 2 * np.array([1, 2]) * np.exp([1, 4]))


def test_the_second_derivative_uses_the_unpacked_values():
    x = t(1, 2, grad=True)
    with autograd.graph.saved_tensors_hooks(lambda v: v * 2, lambda v: v):
        y = x * x
    (g,) = autograd.grad(y.sum(), x, create_graph=True)
    assert g.tolist() == [4, 8]
    assert autograd.grad(g.sum(), x)[0].tolist() == [2, 2]


def test_hooks_of_saved_tensors_that_are_wrong():
    x = t(1, 2, grad=True)
    with autograd.graph.saved_tensors_hooks(lambda v: v, lambda v: 3):
        y = x * x
    with pytest.raises(TypeError, match=r"mul.*int"):
        y.sum().backward()
    with (
        autograd.graph.disable_saved_tensors_hooks("not here"),
        pytest.raises(GraphError, match="not here"),
        autograd.graph.save_on_cpu(),
    ):
        pass
    with autograd.graph.save_on_cpu(pin_memory=True):
        y = x * x
    y.sum().backward()
    assert x.grad.tolist() == [2, 4]


def test_a_write_behind_the_graphs_back():
    x = t(1, 2, grad=True) * 1
    y = x * x
    autograd.graph.increment_version(x)
    with pytest.raises(GraphError, match="overwritten"):
        y.sum().backward()


# --- where it went wrong ----------------------------------------------------------------------------------------------


def test_the_line_that_made_a_nan():
    x = t(0, 4, grad=True)
    with autograd.detect_anomaly():
        assert mt.is_anomaly_enabled()
        z = x * 0
        y = z / z
        line = inspect.currentframe().f_lineno - 1
        with pytest.raises(GraphError, match=rf"DivBackward0.*nan.*div.*test_functional.py, line {line}$"):
            y.sum().backward()
    assert not mt.is_anomaly_enabled()
    with autograd.detect_anomaly(check_nan=False):
        (x * np.nan).sum().backward()
    assert x.grad.isnan().all()
    with autograd.set_detect_anomaly(True):
        assert mt.is_anomaly_check_nan_enabled()
    assert not mt.is_anomaly_enabled()


def test_a_freed_graph_names_both_lines():
    x = t(1, 2, grad=True)
    y = (x * x).sum()
    y.backward()
    line = inspect.currentframe().f_lineno
    with pytest.raises(GraphError, match=rf"freed.*recorded at .* line {line - 2}; freed at .* line {line - 1}\)"):
        y.grad_fn.next_functions[0][0].saved_tensors  # noqa: B018
    with pytest.raises(GraphError, match=r"a second time, after the first has freed.*retain_graph=True"):
        y.backward()


def test_modes_that_are_accepted():
    with autograd.set_multithreading_enabled(False):
        assert autograd.is_grad_enabled()


# --- gradcheck --------------------------------------------------------------------------------------------------------


class Wrong(autograd.Function):
    """x^2, of which one entry of the derivative is wrong."""

    @staticmethod
    def forward(ctx, x):
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx, g):
        (x,) = ctx.saved_tensors
        return g * 2 * x * mt.tensor([1.0, 1.5, 1.0], dtype=F64)


@pytest.mark.parametrize("options", [{}, {"fast_mode": True}, {"nondet_tol": 1e-9}])
def test_gradcheck_names_the_entry_that_is_off(options):
    x = t(1, 2, 3, grad=True)
    with pytest.raises(
        AssertionError, match=r"reverse mode, output 0, input 0: 1 of 9.*output\[1\].*input\[1\].* = 6, .* 4 "
    ):
        autograd.gradcheck(Wrong.apply, (x,), **options)
    assert not autograd.gradcheck(Wrong.apply, (x,), raise_exception=False, **options)


def test_gradcheck_in_every_way():
    x, y = t([1, 2], [3, 4], grad=True), t(1, 2, grad=True)
    f = lambda x, y: (x @ y, (x * y).sin())  # noqa: E731
    every = {"check_forward_ad": True, "check_batched_grad": True, "check_batched_forward_grad": True}
    for fast in (False, True):
        assert autograd.gradcheck(f, (x, y), fast_mode=fast, **every)
        assert autograd.gradgradcheck(f, (x, y), fast_mode=fast, check_fwd_over_rev=True, check_batched_grad=True)
        assert autograd.gradgradcheck(f, (x, y), gen_non_contig_grad_outputs=True)
    assert autograd.gradcheck(lambda x: x * 2, mt.zeros(0, dtype=F64, requires_grad=True), **every)
    with pytest.raises(TypeError):
        autograd.gradcheck(f, (x, y), check_everything=True)


def test_gradcheck_notices_a_walk_that_varies():
    class Noisy(autograd.Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

        @staticmethod
        def backward(ctx, g):
            calls.append(1)
            return g * (2 + 1e-7 * len(calls))

    calls = []
    x = t(1, 2, grad=True)
    with pytest.raises(AssertionError, match="second walk"):
        autograd.gradcheck(Noisy.apply, (x,))
    assert autograd.gradcheck(Noisy.apply, (x,), nondet_tol=1e-3)


def test_zeros_for_what_is_unused_cannot_also_be_refused():
    x, z = t(1, 2, grad=True), t(3, grad=True)
    assert [g.tolist() for g in autograd.grad(x.sum(), [x, z], materialize_grads=True)] == [[1, 1], [0]]
    with pytest.raises(ValueError, match="allow_unused cannot be False"):
        autograd.grad(x.sum(), [x, z], allow_unused=False, materialize_grads=True)
