"""Hooks of modules: forward, backward, states, all modules at once."""

from __future__ import annotations

from collections import OrderedDict

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn
from minitensor.nn import hooks as all_modules


class Two(nn.Module):
    def forward(self, a, b):
        return a * 2 + b, b * 3


def numbers(grads):
    return [None if g is None else g.item() for g in grads]


def test_backward_hooks_see_and_replace_the_gradients():
    module, seen = Two(), []
    module.register_full_backward_pre_hook(lambda m, g: seen.append(numbers(g)) or (g[0] * 2, g[1]))
    module.register_full_backward_hook(lambda m, i, o: seen.append((numbers(i), numbers(o))) or (i[0] * 10, i[1]))
    a, b = mt.tensor(1.0, requires_grad=True), mt.tensor(1.0, requires_grad=True)
    x, y = module(a, b)
    (x + 5 * y).backward()
    # The gradients 1 and 5 of the outputs become 2 and 5; of the inputs 2 * 2 and 2 + 3 * 5, and the first 10 times it.
    assert seen == [[1.0, 5.0], ([4.0, 17.0], [2.0, 5.0])]
    assert (a.grad.item(), b.grad.item()) == (40.0, 17.0)


def test_backward_hooks_where_some_arguments_want_no_gradient():
    layer, seen = nn.Linear(2, 1), []
    handle = layer.register_full_backward_hook(lambda m, i, o: seen.append((i, numbers(o))))
    layer(mt.ones(1, 2)).sum().backward()
    assert seen == [((None,), [1.0])]
    handle.remove()
    layer(mt.ones(1, 2)).sum().backward()
    assert len(seen) == 1
    module = Two()
    module.register_full_backward_hook(lambda m, i, o: seen.append(numbers(i)))
    x, _ = module(mt.tensor(1.0, requires_grad=True), mt.tensor(1.0))
    x.backward()
    assert seen[1] == [2.0, None]
    with mt.no_grad():
        module(mt.tensor(1.0, requires_grad=True), mt.tensor(1.0))
    assert len(seen) == 2


def test_backward_hooks_in_higher_derivatives_and_in_place_modules():
    layer = nn.Linear(2, 2).double()
    layer.register_full_backward_hook(lambda m, i, o: (i[0] * 3,))
    x = mt.randn(1, 2, dtype=mt.float64, requires_grad=True)
    (g,) = mt.autograd.grad((layer(x) ** 2).sum(), x, create_graph=True)
    w = layer.weight.detach().numpy()
    y = layer(x).detach().numpy()
    np.testing.assert_allclose(g.detach(), 3 * 2 * y @ w, rtol=1e-12)
    (h,) = mt.autograd.grad(g.sum(), x)
    np.testing.assert_allclose(h, 3 * 3 * 2 * np.ones((1, 2)) @ w.T @ w, rtol=1e-12)
    relu = nn.ReLU(inplace=True)
    relu.register_full_backward_hook(lambda m, i, o: None)
    z = mt.tensor([-1.0, 2.0], requires_grad=True)
    relu(z).sum().backward()
    assert z.grad.tolist() == [0, 1]


def test_a_backward_hook_that_returns_too_few():
    module = Two()
    module.register_full_backward_hook(lambda m, i, o: (i[0],))
    x, _ = module(mt.tensor(1.0, requires_grad=True), mt.tensor(1.0))
    with pytest.raises(RuntimeError, match="Two: a backward hook returned 1 gradients for 2"):
        x.backward()


def test_hooks_that_are_always_called():
    class Bad(nn.Module):
        def forward(self, x):
            raise ValueError("no")

    module, seen = Bad(), []
    module.register_forward_hook(lambda m, args, out: seen.append(("always", out)), always_call=True)
    module.register_forward_hook(lambda m, args, out: seen.append("never"))
    with pytest.raises(ValueError, match="no"):
        module(1)
    assert seen == [("always", None)]


def test_hooks_with_keyword_arguments():
    layer, seen = nn.Linear(2, 2), []
    layer.register_forward_hook(lambda m, args, kwargs, out: seen.append(list(kwargs)), with_kwargs=True)
    layer(input=mt.ones(1, 2))
    assert seen == [["input"]]
    layer.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"returns None or \(args, kwargs\)"):
        layer(mt.ones(1, 2))


def test_hooks_of_all_modules():
    seen = []
    net = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    net[0].register_forward_hook(lambda m, args, out: seen.append("own"))
    with (
        all_modules.register_module_forward_pre_hook(lambda m, args: seen.append(f"before {type(m).__name__}")),
        all_modules.register_module_forward_hook(lambda m, args, out: seen.append(f"after {type(m).__name__}")),
    ):
        net(mt.ones(1, 2))
    assert seen == [
        "before Sequential",
        "before Linear",
        "after Linear",
        "own",
        "before ReLU",
        "after ReLU",
        "after Sequential",
    ]
    del seen[:]
    with (
        all_modules.register_module_full_backward_hook(lambda m, i, o: seen.append(type(m).__name__)),
        all_modules.register_module_full_backward_pre_hook(lambda m, o: None),
    ):
        net(mt.ones(1, 2, requires_grad=True)).sum().backward()
    assert seen == ["own", "ReLU", "Linear", "Sequential"]
    net(mt.ones(1, 2))
    assert len(seen) == 5


def test_hooks_around_states():
    net, seen = nn.Sequential(nn.Linear(1, 1)), []
    net[0].register_state_dict_pre_hook(lambda m, prefix, keep_vars: seen.append((prefix, keep_vars)))
    net[0].register_state_dict_post_hook(lambda m, state, prefix, meta: state.update({prefix + "old": mt.ones(1)}))
    state = net.state_dict()
    assert seen == [("0.", False)]
    assert list(state) == ["0.weight", "0.bias", "0.old"]

    def rename(module, state, prefix, *rest):
        state.pop(prefix + "old")

    net[0].register_load_state_dict_pre_hook(rename)
    net.register_load_state_dict_post_hook(lambda m, keys: seen.append(keys))
    net.load_state_dict(state)
    assert "0.old" in state  # the hook had a copy
    assert seen[1] == ([], [])
    net[0]._register_load_state_dict_pre_hook(lambda state, prefix, *rest: state.pop(prefix + "bias"))
    with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "0.bias"'):
        net.load_state_dict(state)


def test_extra_state():
    class Counting(nn.Module):
        seen = 0

        def get_extra_state(self):
            return {"seen": self.seen}

        def set_extra_state(self, state):
            self.seen = state["seen"]

    a, b = nn.Sequential(Counting()), nn.Sequential(Counting())
    a[0].seen = 7
    assert list(a.state_dict()) == ["0._extra_state"]
    assert repr(b.load_state_dict(a.state_dict())) == "<All keys matched successfully>"
    assert b[0].seen == 7
    assert b.load_state_dict({}, strict=False).missing_keys == ["0._extra_state"]
    with pytest.raises(NotImplementedError, match="Sequential has no get_extra_state"):
        a.get_extra_state()


def test_set_submodule():
    net = nn.Sequential(nn.Linear(1, 1), nn.Sequential(nn.ReLU()))
    net.set_submodule("1.0", nn.Tanh())
    assert isinstance(net[1][0], nn.Tanh)
    net.set_submodule("1.more", nn.ReLU())
    assert isinstance(net[1].more, nn.ReLU)
    with pytest.raises(AttributeError, match=r"no module '1.none' to be replaced"):
        net.set_submodule("1.none", nn.ReLU(), strict=True)
    with pytest.raises(AttributeError, match=r"no module '0.weight' to be replaced"):
        net.set_submodule("0.weight", nn.ReLU())
    with pytest.raises(ValueError, match="set_submodule needs a name"):
        net.set_submodule("", nn.ReLU())
    with pytest.raises(TypeError, match="'1' must be a Module, not a int"):
        net.set_submodule("1", 3)
    with pytest.raises(RuntimeError, match="the only device is 'cpu'"):
        net.cuda()


def test_states_in_pytorchs_old_argument_order():
    out = OrderedDict()
    nn.Linear(1, 1, bias=False).state_dict(out, "net.", True)
    assert list(out) == ["net.weight"]
    assert out["net.weight"].requires_grad
