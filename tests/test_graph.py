"""The graph: what is recorded, walked, accumulated, shared, overwritten, and what is refused."""

from __future__ import annotations

import copy
import gc
import pickle
import threading
import time

import numpy as np
import pytest

import minitensor as mt
from minitensor.autograd import forward_ad
from minitensor.errors import GraphError
from minitensor.graph import record, tensors
from minitensor.graph.modes import is_compiled


def leaf(*values):
    return mt.tensor(values if len(values) > 1 else values[0], dtype=mt.float64, requires_grad=True)


# --- the walk back ----------------------------------------------------------------------------------------------------


def test_gradients_by_anything_that_can_be_gone_through():
    leaves = {"a": mt.tensor(2.0, requires_grad=True), "b": mt.tensor(3.0, requires_grad=True)}
    y = leaves["a"] * leaves["b"]
    assert [g.item() for g in mt.autograd.grad(y, leaves.values(), retain_graph=True)] == [3.0, 2.0]
    assert [g.item() for g in mt.autograd.grad([y], (x for x in leaves.values()), retain_graph=True)] == [3.0, 2.0]
    y.backward(inputs=leaves.values())
    assert leaves["a"].grad.item() == 3.0
    with pytest.raises(TypeError, match="element 0 is a str"):
        mt.autograd.grad(y, leaves)
    with pytest.raises(TypeError, match="element 0 is a int"):
        mt.autograd.grad(y, 3)


def test_a_product_rule_by_hand():
    x, y = leaf(3.0), leaf(4.0)
    (x * y + x).backward()
    assert (x.grad.item(), y.grad.item()) == (5.0, 3.0)


def test_gradients_accumulate_over_backwards_and_over_uses():
    x = leaf(2.0)
    for _ in range(3):
        (x * x).backward()
    assert x.grad.item() == 12.0


def test_accumulation_is_in_place():
    x = leaf(1.0, 2.0)
    (x * 2).sum().backward()
    first = x.grad
    (x * 3).sum().backward()
    assert x.grad is first
    assert first.tolist() == [5.0, 5.0]


def test_two_leaves_never_share_the_memory_of_their_gradients():
    x, y = leaf(1.0, 2.0), leaf(3.0, 4.0)
    (x + y).backward(mt.ones(2, dtype=mt.float64))
    x.grad.mul_(10)
    assert y.grad.tolist() == [1.0, 1.0]


def test_the_gradient_given_is_not_the_gradient_kept():
    x, g = leaf(1.0, 2.0), mt.ones(2, dtype=mt.float64)
    x.clone().backward(g)
    x.grad.zero_()
    assert g.tolist() == [1.0, 1.0]


def test_deep_graph_in_linear_time():
    def seconds(n):
        x = leaf(1.0)
        y = x
        start = time.process_time()
        for _ in range(n):
            y = y * 1.0
        y.backward()
        assert x.grad.item() == 1.0
        return time.process_time() - start

    gc.collect()
    gc.disable()  # its passes over all that other tests left grow with the number of objects, not with the graph
    try:
        seconds(1000)
        assert seconds(100_000) < 40 * max(seconds(10_000), 0.005)
    finally:
        gc.enable()


def test_deep_graphs_that_are_dropped_do_not_overflow_the_stack():
    y = leaf(1.0)
    for _ in range(200_000):
        y = y + 1.0
    del y
    v = leaf(1.0, 2.0).reshape(2, 1)
    for _ in range(100_000):
        v = v.transpose(0, 1)
    v.sum().backward()
    del v
    gc.collect()


def test_wide_graph_with_shared_nodes():
    """2^60 paths, 60 nodes: each is walked once."""
    x = leaf(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward()
    assert x.grad.item() == 2.0**60


def test_many_uses_of_one_node():
    x = leaf(1.0)
    y = x * 2
    total = y
    for _ in range(5000):
        total = total + y
    total.backward()
    assert x.grad.item() == 2.0 * 5001


def test_retain_graph():
    x = leaf(3.0)
    y = x * x
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.item() == 12.0
    with pytest.raises(GraphError, match=r"mul: .*retain_graph=True.*test_graph\.py, line \d+"):
        y.backward()


def test_saved_values_are_freed_by_the_walk():
    import weakref

    class Watched(np.ndarray):
        pass

    x = leaf(*range(1000))
    y = x * x
    held = weakref.ref(y.grad_fn.saved[0].array)
    assert held() is x.array
    z = y * y
    inner = weakref.ref(y.array)
    del y
    assert inner() is not None
    z.sum().backward()
    assert inner() is None


def test_a_gradient_nobody_asked_for_is_not_computed():
    calls = []
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x * 2
    h.register_hook(lambda g: calls.append("h"))
    (h * w).sum().backward(inputs=[w])
    assert x.grad is None
    assert calls == []
    assert w.grad.tolist() == [2.0, 4.0]


def test_grad_leaves_the_leaves_alone():
    x = leaf(2.0)
    (g,) = mt.autograd.grad(x * x, x)
    assert g.item() == 4.0
    assert x.grad is None


def test_grad_by_an_inner_tensor():
    x = leaf(2.0)
    h = x * 3
    g_h, g_x = mt.autograd.grad(h * h, [h, x])
    assert (g_h.item(), g_x.item()) == (12.0, 36.0)


def test_grad_unused_input():
    x, y = leaf(1.0), leaf(1.0)
    with pytest.raises(GraphError, match="input 1 was not used"):
        mt.autograd.grad(x * x, [x, y])
    assert mt.autograd.grad(x * x, [x, y], allow_unused=True)[1] is None
    assert mt.autograd.grad(x * x, [x, y], materialize_grads=True)[1].item() == 0.0


def test_higher_orders():
    x = leaf(2.0)
    g, want = x**5, 32.0
    for k in range(1, 6):
        (g,) = mt.autograd.grad(g, x, create_graph=True)
        want *= (6 - k) / 2.0
        assert g.item() == pytest.approx(want)


def test_backward_with_create_graph_puts_a_graph_on_grad():
    x = leaf(3.0)
    (x**3).backward(create_graph=True)
    (g,) = mt.autograd.grad(x.grad, x)
    assert g.item() == 18.0


def test_batched_grads():
    x = leaf(1.0, 2.0)
    (jacobian,) = mt.autograd.grad(x * x, x, mt.eye(2, dtype=mt.float64), is_grads_batched=True)
    assert jacobian.tolist() == [[2.0, 0.0], [0.0, 4.0]]


@pytest.mark.parametrize(
    ("run", "error", "message"),
    [
        (lambda x: (x * 2).backward(), RuntimeError, r"scalar outputs only; one of shape \(2,\)"),
        (lambda x: (x * 2).backward(mt.ones(3)), RuntimeError, r"shape \(3,\) for an output of shape \(2,\)"),
        (lambda x: x.detach().sum().backward(), RuntimeError, "does not require grad"),
        (lambda x: (x * 2).backward(np.ones(2)), TypeError, "ndarray"),
        (lambda x: mt.autograd.grad(x.sum(), []), ValueError, "empty"),
        (lambda x: mt.autograd.grad(x.sum(), [3]), TypeError, "element 0 is a int"),
        (lambda x: mt.tensor([1, 2], requires_grad=True), RuntimeError, "int64"),
        (lambda x: setattr(x * 2, "requires_grad", False), RuntimeError, "leaf"),
        (lambda x: (x * 2).numpy(), RuntimeError, "detach"),
        (lambda x: setattr(x, "grad", mt.ones(3)), RuntimeError, r"\(3,\)"),
        (lambda x: copy.deepcopy(x * 2), RuntimeError, "leaf"),
        (lambda x: bool(x), RuntimeError, "ambiguous"),
        (lambda x: x.item(), RuntimeError, "2 elements"),
        (lambda x: len(x.sum()), TypeError, "without axes"),
    ],
)
def test_refusals(run, error, message):
    with pytest.raises(error, match=message):
        run(leaf(1.0, 2.0))


# --- modes ------------------------------------------------------------------------------------------------------------


def test_no_grad_and_enable_grad_nest_and_decorate():
    x = leaf(1.0)
    with mt.no_grad():
        assert not (x * 2).requires_grad
        with mt.enable_grad():
            assert (x * 2).requires_grad
        assert not mt.is_grad_enabled()
    assert mt.is_grad_enabled()

    @mt.no_grad()
    def with_call():
        return x * 2

    @mt.no_grad
    def bare():
        return x * 2

    assert not with_call().requires_grad
    assert not bare().requires_grad
    with pytest.raises(KeyError), mt.no_grad():
        raise KeyError
    assert mt.is_grad_enabled()


def test_set_grad_enabled_acts_at_once_and_is_undone():
    with mt.set_grad_enabled(False):
        assert not mt.is_grad_enabled()
    assert mt.is_grad_enabled()
    mt.set_grad_enabled(False)
    try:
        assert not mt.is_grad_enabled()
    finally:
        mt.set_grad_enabled(True)


def test_a_generator_under_no_grad_leaves_its_caller_alone():
    @mt.no_grad()
    def steps():
        yield mt.is_grad_enabled()
        yield mt.is_grad_enabled()

    for inside in steps():
        assert not inside
        assert mt.is_grad_enabled()


def test_modes_belong_to_a_thread():
    seen = []
    with mt.no_grad():
        thread = threading.Thread(target=lambda: seen.append(mt.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


def test_inference_mode():
    x = leaf(1.0, 2.0)
    with mt.inference_mode():
        y = x * 2
        y.add_(1)
        assert y.is_inference()
        assert mt.is_inference_mode_enabled()
    assert not y.requires_grad
    with pytest.raises(GraphError, match="inference_mode"):
        x * y
    with pytest.raises(GraphError, match="inference_mode"):
        y.requires_grad_()
    with pytest.raises(GraphError, match="inference_mode"):
        y.add_(1)
    assert (x * y.clone()).requires_grad


# --- detach, hooks ----------------------------------------------------------------------------------------------------


def test_detach_shares_memory_and_version():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = y * y
    y.detach().add_(1)
    with pytest.raises(GraphError, match="overwritten"):
        z.sum().backward()


def test_retain_grad():
    x = leaf(2.0)
    h = x * 3
    h.retain_grad()
    assert h.retains_grad
    (h * h).backward()
    assert h.grad.item() == 12.0


def test_hooks_change_gradients_and_can_be_removed():
    x = leaf(1.0)
    h = x * 2
    handle = h.register_hook(lambda g: g * 10)
    x.register_hook(lambda g: g + 1)
    h.backward(retain_graph=True)
    assert x.grad.item() == 21.0
    handle.remove()
    handle.remove()
    x.grad = None
    h.backward()
    assert x.grad.item() == 3.0


def test_a_hook_that_returns_another_shape_is_refused():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(ValueError, match="hook"):
        (x * 2).sum().backward()


# --- views and writes -------------------------------------------------------------------------------------------------


def test_views_share_memory():
    x = mt.arange(6.0)
    v = x.reshape(2, 3).t()[1:]
    v.zero_()
    assert x.tolist() == [0.0, 0.0, 0.0, 3.0, 0.0, 0.0]


def test_an_overwritten_value_names_both_lines():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = y * y
    y.add_(1)
    with pytest.raises(GraphError) as caught:
        z.sum().backward()
    text = str(caught.value)
    assert text.startswith("mul: ")
    assert text.count("test_graph.py, line") == 2


def test_a_write_to_a_value_that_no_rule_needs_is_fine():
    x = leaf(1.0, 2.0)
    y = x * 2
    z = y + 1
    w = y * 3
    y.add_(1)
    (z + w).sum().backward()
    assert x.grad.tolist() == [8.0, 8.0]


def test_assignment_into_a_slice_is_in_the_graph():
    w = leaf(2.0)
    b = mt.zeros(3, dtype=mt.float64)
    v = b[:2]
    b[1] = w * w
    assert b.requires_grad
    assert v.requires_grad
    (v * v).sum().backward()
    assert w.grad.item() == 4 * 2.0**3


def f_rows(a):
    b = a * 1
    b[0] = b[1] * 2
    b[:, 1] *= a[:, 0]
    return b * b


def f_siblings(a):
    b = a * 1
    p, q = b.unbind(0)
    p.mul_(a[1])
    q.add_(p)
    b[mt.tensor([0, 1]), mt.tensor([1, 1])] = a[0]
    return p * q + b


def f_chain(a):
    b = a * 1
    v = b.t()[1:].reshape(1, 2)
    v.mul_(v)
    c = b[None].expand(2, 2, 2)
    b[1, 0] = 3.0
    return c * b


def f_all(a):
    b = a.exp() * 1
    b.sub_(a).tanh_()
    b.copy_(b.clone() * a)
    b[b > 0] = a[0, 0]
    return b.sin()


@pytest.mark.parametrize("function", [f_rows, f_siblings, f_chain, f_all])
def test_writes_differentiate_in_both_modes_and_orders(function):
    a = mt.tensor([[0.7, 0.4], [0.3, 0.9]], dtype=mt.float64, requires_grad=True)
    assert mt.autograd.gradcheck(function, (a,), check_forward_ad=True)
    assert mt.autograd.gradgradcheck(function, (a,), check_fwd_over_rev=True)


def test_a_product_with_itself_in_place():
    x = leaf(1.0, 2.0)
    y = x * 3
    y.mul_(y)
    y.sum().backward()
    assert x.grad.tolist() == [18.0, 36.0]


def test_leaves_cannot_be_written_in_the_graph():
    x = leaf(1.0, 2.0)
    for write in (lambda: x.add_(1), lambda: x[0].mul_(2), lambda: x.__setitem__(0, 5.0), lambda: x.zero_()):
        with pytest.raises(GraphError, match="leaf"):
            write()
    assert x.tolist() == [1.0, 2.0]
    with mt.no_grad():
        x.add_(1)
        x[0] = 7.0
    assert x.tolist() == [7.0, 3.0]
    assert x.requires_grad
    assert x.is_leaf


def test_overlapping_memory_cannot_be_written():
    x = mt.zeros(1).expand(3)
    with pytest.raises(ValueError, match="clone"):
        x.add_(1)


def test_overlapping_source_and_target():
    x = mt.arange(5.0)
    x[1:].copy_(x[:-1])
    assert x.tolist() == [0.0, 0.0, 1.0, 2.0, 3.0]
    x = mt.arange(4.0)
    x[1:].add_(x[:-1])
    assert x.tolist() == [0.0, 1.0, 3.0, 5.0]


def test_in_place_results_must_fit():
    with pytest.raises(ValueError, match=r"add_.*\(2, 3\).*\(3,\)"):
        mt.ones(3).add_(mt.ones(2, 3))
    with pytest.raises(TypeError, match="int64"):
        mt.tensor([1, 2]).add_(1.5)
    frozen = np.ones(2)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        mt.from_numpy(frozen).add_(1)


def test_data_is_outside_the_graph():
    x = leaf(1.0, 2.0)
    x.data.mul_(2)
    assert x.tolist() == [2.0, 4.0]
    x.data = mt.zeros(2, dtype=mt.float64)
    assert x.tolist() == [0.0, 0.0]
    assert x.requires_grad


# --- forward mode -----------------------------------------------------------------------------------------------------


def test_forward_levels_do_not_mix():
    """d/dx (x * d/dy (x + y)) = 1: the inner derivative must not see the outer tangent."""
    with forward_ad.dual_level() as outer:
        x = forward_ad.make_dual(mt.tensor(3.0), mt.tensor(1.0))
        with forward_ad.dual_level() as inner:
            y = forward_ad.make_dual(mt.tensor(1.0), mt.tensor(1.0))
            d = forward_ad.unpack_dual(x + y, level=inner).tangent
        result = forward_ad.unpack_dual(x * d, level=outer).tangent
    assert result.item() == 1.0


def test_third_derivative_by_three_nested_levels():
    def derivative(f):
        def df(x):
            with forward_ad.dual_level() as level:
                y = f(forward_ad.make_dual(x, mt.ones_like(x)))
                return forward_ad.unpack_dual(y, level=level).tangent

        return df

    x = mt.tensor(2.0, dtype=mt.float64)
    assert derivative(derivative(derivative(lambda x: x**4)))(x).item() == pytest.approx(48.0)


def test_reverse_over_forward_and_forward_over_reverse():
    x = leaf(2.0)
    with forward_ad.dual_level():
        y = forward_ad.make_dual(x, mt.ones_like(x)) ** 3
        (second,) = mt.autograd.grad(forward_ad.unpack_dual(y).tangent, x)
    assert second.item() == pytest.approx(12.0)
    with forward_ad.dual_level():
        z = tensors.as_leaf(forward_ad.make_dual(mt.tensor(2.0), mt.tensor(1.0)))
        (g,) = mt.autograd.grad(z**3, z)
        assert forward_ad.unpack_dual(g).tangent.item() == pytest.approx(12.0)


def test_tangents_end_with_their_level():
    with forward_ad.dual_level():
        x = forward_ad.make_dual(mt.tensor(2.0), mt.tensor(1.0))
    with forward_ad.dual_level():
        assert forward_ad.unpack_dual(x * x).tangent is None
    with pytest.raises(GraphError, match="dual_level"):
        forward_ad.make_dual(mt.tensor(2.0), mt.tensor(1.0))


# --- copies, pickles, both builds -------------------------------------------------------------------------------------


def test_pickle_and_copy():
    x = leaf(1.0, 2.0)
    x.note = "kept"
    for y in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert y.tolist() == x.tolist()
        assert y.requires_grad
        assert y.is_leaf
        assert y.note == "kept"
        assert y.array is not x.array


def test_gradcheck_finds_a_wrong_rule():
    from minitensor.op import OPS, Op

    wrong = Op(
        "wrong_square",
        lambda x: (x * x, (x,)),
        None,
        (lambda g, x: g * x,),
        "elementwise",
        lambda rng: iter(()),
    )
    try:
        with pytest.raises(AssertionError, match=r"reverse mode, output 0, input 0: 2 of 4 entries"):
            mt.autograd.gradcheck(lambda x: record.apply(wrong, x), (leaf(1.0, 2.0),))
    finally:
        del OPS["wrong_square"]


def test_both_builds_of_the_graph_say_what_they_are():
    assert is_compiled() == (not record.__file__.endswith(".py"))


def test_hooks_after_a_leaf_has_accumulated():
    x, other = mt.ones(2, requires_grad=True), mt.ones(2, requires_grad=True)
    seen = []
    handle = x.register_post_accumulate_grad_hook(lambda leaf: seen.append((leaf is x, leaf.grad.tolist())))
    x.register_hook(lambda g: g * 2)
    (x * x + x * other).sum().backward()  # once, of the whole gradient, after the hook that changes it
    assert seen == [(True, [6.0, 6.0])]
    (x * 1).sum().backward(inputs=[x])
    assert seen[1:] == [(True, [8.0, 8.0])]
    (other * 1).sum().backward()
    mt.autograd.grad((x * 1).sum(), x)
    assert len(seen) == 2
    handle.remove()
    (x * 1).sum().backward()
    assert len(seen) == 2


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_hook_after_accumulation_can_step_and_let_go(create_graph):
    w = mt.tensor([1.0, 2.0], requires_grad=True)
    modes = []

    def step(leaf):
        modes.append(mt.is_grad_enabled())
        with mt.no_grad():
            leaf -= 0.5 * leaf.grad
        leaf.grad = None

    w.register_post_accumulate_grad_hook(step)
    (w * mt.tensor([2.0, 4.0])).sum().backward(create_graph=create_graph)
    assert w.tolist() == [0.0, 0.0]
    assert w.grad is None
    assert modes == [create_graph]


def test_hooks_after_accumulation_are_for_leaves():
    with pytest.raises(RuntimeError, match="does not require gradients"):
        mt.ones(1).register_post_accumulate_grad_hook(print)
    with pytest.raises(RuntimeError, match="only a leaf"):
        (mt.ones(1, requires_grad=True) * 2).register_post_accumulate_grad_hook(print)


def test_a_graph_without_saved_values_can_be_walked_twice():
    x = mt.ones(3, requires_grad=True)
    y = (x.reshape(1, 3) + 1.0).sum(1).mean()
    y.backward()
    y.backward()
    assert x.grad.tolist() == [2.0, 2.0, 2.0]
    z = (x * x).sum()
    z.backward()
    with pytest.raises(RuntimeError, match="freed"):
        z.backward()


# --- what is easily mistaken ------------------------------------------------------------------------------------------


def test_a_node_beyond_which_nothing_is_asked_for_keeps_what_it_saved():
    x = leaf(1.0, 2.0)
    h = x * x
    (g,) = mt.autograd.grad((h * h).sum(), h)
    h.sum().backward()  # the node of h itself was not walked through
    assert g.tolist() == [2, 8]
    assert x.grad.tolist() == [2, 4]


def test_a_leaf_switched_off_after_its_use_gets_no_gradient():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = (x * w).sum()
    x.requires_grad_(False)
    y.backward()
    assert x.grad is None
    assert w.grad.tolist() == [1, 2]


def test_what_is_retained_is_what_all_hooks_have_made_of_the_gradient():
    x = leaf(1.0, 2.0)
    h = x * 2
    h.register_hook(lambda g: g * 2)
    h.retain_grad()
    h.register_hook(lambda g: g * 10)
    h.sum().backward()
    assert h.grad.tolist() == [20, 20]


def test_retained_gradients_follow_a_tensor_that_is_written():
    x = leaf(1.0, 2.0)
    h = x * 2
    h.retain_grad()
    seen = []
    h.register_hook(lambda g: seen.append(g.tolist()))  # a hook stays where it was put
    h.mul_(3)
    assert h.retains_grad
    (h * h).sum().backward()
    assert h.grad.tolist() == [12, 24]
    assert seen == [[36, 72]]
    assert x.grad.tolist() == [72, 144]
    b = x * 1
    b.retain_grad()
    b[0] = 5.0
    (b * b).sum().backward()
    assert b.grad.tolist() == [10, 4]


@pytest.mark.parametrize(
    "write",
    [lambda v: v.mul_(2), lambda v: v[0].zero_(), lambda v: v.copy_(mt.ones(2, 1))],
    ids=["itself", "a view of it", "copy_"],
)
def test_a_view_made_under_no_grad_is_not_written_outside_it(write):
    x = leaf(1.0, 2.0)
    for h in (x, x * 1):
        with mt.no_grad():
            v = h.view(2, 1)
        with pytest.raises(GraphError, match="view made under no_grad"):
            write(v)
        assert h.tolist() == [1, 2]
        with mt.no_grad():
            v.mul_(1)
        v.detach().mul_(1)


def test_enable_grad_does_nothing_in_inference_mode():
    x = leaf(1.0, 2.0)
    with mt.inference_mode():
        with mt.enable_grad():
            assert not (x * 2).requires_grad
        y = x * 2
    with pytest.raises(GraphError, match="_version"):
        _ = y._version
    assert (x * 2).requires_grad


@pytest.mark.parametrize(
    ("act", "error", "match"),
    [
        (lambda x: setattr(x, "grad", x), GraphError, "its own gradient"),
        (lambda x: setattr(x, "data", 3), TypeError, "must be a Tensor, not int"),
        (lambda x: (x * 1)[:1].detach_(), GraphError, "a view"),
        (lambda x: _with_hook(x).sum().backward(), TypeError, "a hook returned a int"),
    ],
    ids=["own gradient", "data", "detach_", "hook"],
)
def test_what_is_refused(act, error, match):
    with pytest.raises(error, match=match):
        act(leaf(1.0, 2.0))


def _with_hook(x):
    h = x * 1
    h.register_hook(lambda g: 3)
    return h


def test_a_gradient_of_another_dtype_is_converted():
    x = leaf(1.0, 2.0)
    (x * x).backward(mt.tensor([True, False]))
    assert x.grad.tolist() == [2, 0]
    assert x.grad.dtype == mt.float64


def test_views_know_that_they_are():
    h = leaf(1.0, 2.0) * 1
    assert h[:1]._is_view()
    assert h[:1]._base is h
    assert not h._is_view()
    assert h._base is None


@pytest.mark.parametrize("name", ["relu", "relu6", "leaky_relu", "hardtanh", "hardsigmoid", "hardshrink", "softshrink"])
def test_the_gradient_of_what_is_straight_in_pieces_has_the_gradient_zero(name):
    x = leaf(-4.0, 0.25, 2.0)
    (g,) = mt.autograd.grad(getattr(mt.nn.functional, name)(x).sum(), x, create_graph=True)
    assert mt.autograd.grad(g.sum(), x)[0].tolist() == [0, 0, 0]


def test_levels_of_forward_mode_opened_and_closed_by_hand():
    level = forward_ad.enter_dual_level()
    x = forward_ad.make_dual(mt.tensor(3.0), mt.tensor(1.0))
    assert forward_ad.unpack_dual(x * x).tangent.item() == 6
    with pytest.raises(GraphError, match="already"):
        forward_ad.make_dual(x, mt.tensor(1.0))
    with pytest.raises(TypeError, match="not float"):
        forward_ad.make_dual(mt.tensor(1.0), 2.0)
    forward_ad.exit_dual_level(level=level)
    assert forward_ad.unpack_dual(x).tangent is None
    for again in ({}, {"level": level}):
        with pytest.raises(GraphError, match="exit_dual_level"):
            forward_ad.exit_dual_level(**again)


def test_a_quotient_may_be_written_in_place():
    x, y = leaf(1.0, 6.0), leaf(2.0, 3.0)
    h = x / y
    h.mul_(2)
    h.sum().backward()
    assert x.grad.tolist() == [1, 2 / 3]
    np.testing.assert_allclose(y.grad.array, [-0.5, -12 / 9], rtol=1e-15)


def test_random_numbers_written_into_the_graph_have_the_gradient_zero():
    x = leaf(1.0, 2.0)
    for write in (mt.Tensor.normal_, mt.Tensor.uniform_):
        x.grad = None
        h = x * 2
        write(h)
        assert h.requires_grad
        (h * h).sum().backward()
        assert x.grad.tolist() == [0, 0]


def test_a_copied_parameter_has_no_gradient_and_a_copied_leaf_its_own():
    x, w = leaf(1.0, 2.0), mt.nn.Parameter(mt.ones(2))
    (x * w).sum().backward()
    assert copy.deepcopy(x).grad.tolist() == [1, 1]
    assert copy.deepcopy(x).grad is not x.grad
    twin = copy.deepcopy({"a": w, "b": w})
    assert twin["a"] is twin["b"]
    assert twin["a"].grad is None
    assert w.grad.tolist() == [1, 2]
