"""Modules: registration, state, printing, containers; each layer against its formula or PyTorch."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn
from minitensor.errors import DtypeError, IndexRangeError, ShapeError

F = nn.functional


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Linear(3, 4)
        self.scale = nn.Parameter(mt.ones(4))
        self.register_buffer("seen", mt.zeros(1))
        self.register_buffer("passing", mt.zeros(1), persistent=False)
        self.blocks = nn.Sequential(nn.ReLU(), nn.Linear(4, 2, bias=False))

    def forward(self, x):
        return self.blocks(self.first(x) * self.scale)


NAMES = ["scale", "first.weight", "first.bias", "blocks.1.weight"]


def test_registration_and_order():
    net = Net()
    assert [n for n, _ in net.named_parameters()] == NAMES
    assert [n for n, _ in net.named_buffers()] == ["seen", "passing"]
    assert [n for n, _ in net.named_children()] == ["first", "blocks"]
    assert [n for n, _ in net.named_modules()] == ["", "first", "blocks", "blocks.0", "blocks.1"]
    assert [n for n, _ in net.named_parameters(prefix="net", recurse=False)] == ["net.scale"]
    assert len(list(net.modules())) == 5
    assert len(list(net.buffers())) == 2
    assert net(mt.zeros(5, 3)).shape == (5, 2)
    assert {"scale", "first", "seen"} <= set(dir(net))
    assert net.get_submodule("blocks.1") is net.blocks[1]
    assert net.get_submodule("") is net
    assert net.get_parameter("first.bias") is net.first.bias
    assert net.get_buffer("seen") is net.seen


def test_assignment_keeps_the_kinds_apart():
    net = Net()
    net.scale = nn.Parameter(mt.zeros(4))
    assert net.get_parameter("scale").sum() == 0
    net.scale = None
    assert "scale" not in dict(net.named_parameters())
    net.seen = mt.ones(1)
    assert net.state_dict()["seen"].item() == 1
    net.first = nn.Identity()
    assert "first.weight" not in net.state_dict()
    net.note = "plain"
    assert net.note == "plain"
    net.note = nn.Linear(1, 1)  # moves from one kind to another
    assert "note.bias" in net.state_dict()
    net.note = nn.Parameter(mt.ones(1))
    assert "note" in net.state_dict()
    assert "note.bias" not in net.state_dict()
    del net.note
    assert not hasattr(net, "note")
    net.mean = nn.Buffer(mt.zeros(2))
    net.temporary = nn.Buffer(mt.zeros(2), persistent=False)
    assert "mean" in net.state_dict()
    assert "temporary" not in net.state_dict()
    assert "temporary" in dict(net.named_buffers())
    for name, value in (("scale", mt.ones(4)), ("first", 3), ("seen", "text")):
        with pytest.raises(TypeError, match=rf"Net.{name} is a \w+, and cannot be set"):
            setattr(net, name, value)


def test_forgetting_to_call_init():
    class Forgetful(nn.Module):
        def __init__(self, value):
            self.value = value

    for value, kind in ((nn.Linear(1, 1), "module"), (nn.Parameter(mt.ones(1)), "parameter")):
        message = rf"call super\(\).__init__\(\) before assigning a {kind} to 'value'"
        with pytest.raises(AttributeError, match=message):
            Forgetful(value)
    with pytest.raises(AttributeError, match=r"no attribute '_hooks'; call super\(\)"):
        Forgetful(3)(1)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda n: n.register_parameter("a.b", None), KeyError, "contains a dot"),
        (lambda n: n.register_parameter("", None), KeyError, "empty"),
        (lambda n: n.register_parameter("forward", None), KeyError, "already is an attribute"),
        (lambda n: n.register_parameter("w", mt.ones(1)), TypeError, "must be an nn.Parameter"),
        (lambda n: n.register_buffer("b", 1), TypeError, "must be a tensor or None"),
        (lambda n: n.add_module("m", 1), TypeError, "must be a Module or None"),
        (lambda n: n.add_module(3, nn.ReLU()), TypeError, "a name must be a string"),
        (lambda n: n.get_submodule("blocks.7"), AttributeError, "Sequential has no '7'"),
        (lambda n: n.get_parameter("first.none"), AttributeError, "no parameter 'first.none'"),
        (lambda n: n.nothing, AttributeError, "'Net' object has no attribute 'nothing'"),
        (lambda n: n.train(1), TypeError, "mode is True or False"),
        (lambda n: n.to(mt.int64), DtypeError, "must be floating, not int64"),
        (lambda n: n.to("cuda"), ShapeError, "the only device is 'cpu'"),
        (lambda n: nn.Module()(1), NotImplementedError, "Module has no forward"),
        (lambda n: nn.Parameter([1.0]), TypeError, "Parameter: expected a tensor, got list"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(Net())


def test_a_computed_tensor_becomes_a_parameter_only_as_a_leaf():
    x = mt.ones(2, requires_grad=True) * 2
    p = nn.Parameter(x)
    assert p.is_leaf
    assert p.requires_grad
    assert p.data_ptr() == x.data_ptr()
    assert type(p * 1) is mt.Tensor
    assert repr(p) == "Parameter containing:\ntensor([2., 2.], requires_grad=True)"
    with pytest.raises(DtypeError, match="floating"):
        nn.Parameter(mt.arange(2))
    assert not nn.Parameter(mt.arange(2), requires_grad=False).requires_grad


# --- state ----------------------------------------------------------------------------------------


def test_state_dict_round_trip():
    a, b = Net(), Net()
    state = a.state_dict()
    assert list(state) == ["scale", "seen", *NAMES[1:]]
    assert not any(x.requires_grad for x in state.values())
    assert a.state_dict(keep_vars=True)["scale"] is a.scale
    assert next(iter(a.state_dict(prefix="net."))) == "net.scale"
    assert repr(b.load_state_dict(state)) == "<All keys matched successfully>"
    for name, p in b.named_parameters():
        np.testing.assert_array_equal(p.detach(), a.get_parameter(name).detach())
        assert p.data_ptr() != a.get_parameter(name).data_ptr()
    state["scale"].fill_(7)  # shares the module's memory
    assert a.scale[0].item() == 7
    arrays = {name: x.numpy().astype(np.float64) for name, x in state.items()}
    b.load_state_dict(arrays)
    assert b.scale.dtype is mt.float32
    assert b.scale[0].item() == 7
    c = Net()
    c.load_state_dict(b.double().state_dict(), assign=True)
    assert c.scale.dtype is mt.float64
    assert c.scale.data_ptr() == b.scale.data_ptr()


def test_a_state_that_does_not_fit_changes_nothing():
    net = Net()
    before = {name: x.clone() for name, x in net.state_dict().items()}
    state = net.state_dict()
    del state["first.bias"]
    state["extra"] = mt.ones(1)
    state["scale"] = mt.zeros(5)
    state["first.weight"] = mt.zeros(4, 3)
    message = (
        r'Error\(s\) in loading state_dict for Net:\n\tMissing key\(s\) in state_dict: "first.bias". \n'
        r'\tUnexpected key\(s\) in state_dict: "extra". \n'
        r"\tsize mismatch for scale: the shape is \(5,\) in the state_dict, \(4,\) in the module."
    )
    with pytest.raises(RuntimeError, match=message):
        net.load_state_dict(state)
    with pytest.raises(RuntimeError, match="size mismatch for scale"):
        net.load_state_dict(state, strict=False)
    for name, x in net.state_dict().items():
        np.testing.assert_array_equal(x, before[name])
    del state["scale"]
    result = net.load_state_dict(state, strict=False)
    assert result.missing_keys == ["scale", "first.bias"]
    assert result.unexpected_keys == ["extra"]
    assert net.first.weight.abs().sum() == 0
    with pytest.raises(TypeError, match="'scale' is a list, not a tensor"):
        net.load_state_dict({"scale": [1.0]}, strict=False)
    with pytest.raises(TypeError, match="expected a dict of tensors, got list"):
        net.load_state_dict([])


def test_shared_parameters_are_listed_once_and_saved_under_both_names():
    class Tied(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(5, 3)
            self.out = nn.Linear(3, 5, bias=False)
            self.out.weight = self.table.weight

    net = Tied()
    assert len(list(net.parameters())) == 1
    assert len(list(net.named_parameters(remove_duplicate=False))) == 2
    assert list(net.state_dict()) == ["table.weight", "out.weight"]
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(nn.Sequential(nn.ReLU())))):
        assert twin is not net
    twin = copy.deepcopy(net)
    assert twin.out.weight is twin.table.weight
    assert twin.out.weight is not net.out.weight
    net.double()
    assert net.out.weight.dtype is mt.float64
    assert net.out.weight is net.table.weight


def test_copies_and_pickles_keep_all():
    net = Net().eval()
    x = mt.randn(2, 3)
    net(x).sum().backward()
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        np.testing.assert_array_equal(twin(x).detach(), net(x).detach())
        assert not twin.training
        assert isinstance(twin.scale, nn.Parameter)
        assert list(twin.state_dict()) == list(net.state_dict())
        twin.scale.data.zero_()
        assert net.scale.detach().sum() == 4
    assert copy.deepcopy(net).scale.grad is not net.scale.grad


# --- modes, dtypes, hooks -------------------------------------------------------------------------


def test_modes_reach_every_module():
    net = Net()
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_casts_take_the_gradients_along():
    net = Net()
    net(mt.ones(1, 3)).sum().backward()
    kept = net.scale
    assert net.to(dtype=mt.float64, device="cpu") is net
    assert net.scale is kept
    assert net.scale.dtype is net.scale.grad.dtype is net.seen.dtype is mt.float64
    assert net.scale.requires_grad
    assert net.scale.is_leaf
    assert net(mt.ones(1, 3, dtype=mt.float64)).dtype is mt.float64
    norm = nn.BatchNorm1d(2).half()
    assert norm.running_mean.dtype is mt.float16
    assert norm.num_batches_tracked.dtype is mt.int64
    assert net.float().scale.dtype is mt.float32
    assert net.to(mt.zeros(1, dtype=mt.float64)).scale.dtype is mt.float64


def test_zero_grad():
    net = Net()
    net(mt.ones(1, 3)).sum().backward()
    net.zero_grad(set_to_none=False)
    assert net.scale.grad.tolist() == [0, 0, 0, 0]
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_apply_goes_from_the_inside_out():
    order = []
    Net().apply(lambda m: order.append(type(m).__name__))
    assert order == ["Linear", "ReLU", "Linear", "Sequential", "Net"]


def test_hooks():
    layer = nn.Linear(2, 2)
    seen = []
    first = layer.register_forward_pre_hook(lambda m, args: seen.append("a") or (args[0] * 2,))
    early = layer.register_forward_pre_hook(lambda m, args: seen.append("b"), prepend=True)
    after = layer.register_forward_hook(lambda m, args, out: seen.append("c") or out + 1)
    x = mt.ones(1, 2)
    expected = F.linear(x * 2, layer.weight, layer.bias) + 1
    np.testing.assert_array_equal(layer(x).detach(), expected.detach())
    assert seen == ["b", "a", "c"]
    for handle in (first, early, after, after):
        handle.remove()
    np.testing.assert_array_equal(layer(x).detach(), F.linear(x, layer.weight, layer.bias).detach())
    with layer.register_forward_pre_hook(
        lambda m, args, kwargs: ((), {"input": kwargs["input"] + 1}), with_kwargs=True
    ):
        np.testing.assert_array_equal(layer(input=x).detach(), layer.forward(x + 1).detach())


# --- printing -------------------------------------------------------------------------------------

PRINTED = [
    (nn.Linear(2, 3, bias=False), "Linear(in_features=2, out_features=3, bias=False)"),
    (nn.Conv2d(1, 2, 3), "Conv2d(1, 2, kernel_size=(3, 3), stride=(1, 1))"),
    (
        nn.Conv2d(4, 8, (3, 2), 2, 1, 2, 2, False),
        "Conv2d(4, 8, kernel_size=(3, 2), stride=(2, 2), padding=(1, 1), dilation=(2, 2), groups=2, bias=False)",
    ),
    (
        nn.Conv2d(1, 1, 3, padding="same"),
        "Conv2d(1, 1, kernel_size=(3, 3), stride=(1, 1), padding=same)",
    ),
    (
        nn.MaxPool2d(2),
        "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)",
    ),
    (nn.AvgPool2d(3, 2), "AvgPool2d(kernel_size=3, stride=2, padding=0)"),
    (nn.AdaptiveAvgPool2d((1, None)), "AdaptiveAvgPool2d(output_size=(1, None))"),
    (nn.ReLU(), "ReLU()"),
    (nn.ReLU(True), "ReLU(inplace=True)"),
    (nn.LeakyReLU(0.2, True), "LeakyReLU(negative_slope=0.2, inplace=True)"),
    (nn.GELU("tanh"), "GELU(approximate='tanh')"),
    (nn.Softplus(), "Softplus(beta=1.0, threshold=20.0)"),
    (nn.Softmax(1), "Softmax(dim=1)"),
    (nn.Dropout(0.3), "Dropout(p=0.3, inplace=False)"),
    (
        nn.BatchNorm2d(3),
        "BatchNorm2d(3, eps=1e-05, momentum=0.1, affine=True, bias=True, track_running_stats=True)",
    ),
    (nn.LayerNorm(3), "LayerNorm((3,), eps=1e-05, elementwise_affine=True, bias=True)"),
    (nn.Embedding(3, 4, padding_idx=-1), "Embedding(3, 4, padding_idx=2)"),
    (nn.Flatten(), "Flatten(start_dim=1, end_dim=-1)"),
    (nn.Unflatten(1, (2, 3)), "Unflatten(dim=1, unflattened_size=(2, 3))"),
    (nn.CrossEntropyLoss(), "CrossEntropyLoss()"),
    (nn.Sequential(), "Sequential()"),
    (
        nn.ModuleList([nn.ReLU(), nn.ReLU(), nn.Tanh()]),
        "ModuleList(\n  (0-1): 2 x ReLU()\n  (2): Tanh()\n)",
    ),
    (
        nn.Sequential(nn.ReLU(), nn.Sequential(nn.Tanh())),
        "Sequential(\n  (0): ReLU()\n  (1): Sequential(\n    (0): Tanh()\n  )\n)",
    ),
]


@pytest.mark.parametrize(("module", "text"), PRINTED, ids=lambda v: type(v).__name__)
def test_printing(module, text):
    assert repr(module) == text


# --- containers -----------------------------------------------------------------------------------


def test_sequential_is_a_list_of_steps():
    a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)
    net = nn.Sequential(a, b, c)
    assert len(net) == 3
    assert list(net) == [a, b, c]
    assert net[0] is a
    assert net[-1] is c
    assert list(net[1:]) == [b, c]
    assert list(dict(net[1:].named_children())) == ["1", "2"]
    net[1] = nn.Tanh()
    assert isinstance(net[1], nn.Tanh)
    net.append(b).insert(0, nn.Identity()).extend([nn.ReLU()])
    assert list(dict(net.named_children())) == ["0", "1", "2", "3", "4", "5"]
    assert net.pop() is not b
    del net[0]
    assert list(dict(net.named_children())) == ["0", "1", "2", "3"]
    assert net[0] is a
    del net[1:]
    assert list(net) == [a]
    named = nn.Sequential(OrderedDict(first=a, second=b))
    assert named.first is a
    assert named[1] is b
    del named[0]
    assert list(dict(named.named_children())) == ["second"]
    x = mt.ones(1, 2)
    assert nn.Sequential()(x) is x
    assert len(nn.Sequential(a) + nn.Sequential(b)) == 2
    with pytest.raises(IndexError, match="index 5 is out of range for 1 items"):
        net[5]
    with pytest.raises(TypeError, match="must be a Module or None"):
        nn.Sequential(3)


def test_module_list_and_dict():
    layers = nn.ModuleList([nn.Linear(1, 1)])
    layers += [nn.Linear(1, 1), nn.ReLU()]
    assert len(list(layers.parameters())) == 4
    assert [type(m).__name__ for m in layers[1:]] == ["Linear", "ReLU"]
    layers[0] = nn.Identity()
    assert list(layers.state_dict()) == ["1.weight", "1.bias"]
    with pytest.raises(NotImplementedError, match="ModuleList has no forward"):
        layers(1)
    d = nn.ModuleDict({"a": nn.ReLU(), "b": nn.Linear(1, 1)})
    d["c"] = nn.Tanh()
    d.update([("d", nn.Tanh())])
    assert list(d) == list(d.keys()) == ["a", "b", "c", "d"]
    assert "a" in d
    assert d.pop("a") is not None
    del d["d"]
    assert [name for name, _ in d.items()] == ["b", "c"]
    assert len(list(d.values())) == 2
    assert list(d.state_dict()) == ["b.weight", "b.bias"]
    d.clear()
    assert len(d) == 0


def test_what_a_loaded_state_lacks_prints_as_pytorchs():
    layer = nn.Linear(1, 1)
    found = layer.load_state_dict({"weight": mt.zeros(1, 1), "extra": mt.zeros(1)}, strict=False)
    assert repr(found) == "_IncompatibleKeys(missing_keys=['bias'], unexpected_keys=['extra'])"
    assert repr(layer.load_state_dict(layer.state_dict())) == "<All keys matched successfully>"


def test_parameter_list_and_dict():
    p = nn.ParameterList([mt.ones(2), nn.Parameter(mt.zeros(3))])
    p.append(mt.ones(1))
    assert [tuple(x.shape) for x in p] == [(2,), (3,), (1,)]
    assert all(isinstance(x, nn.Parameter) for x in p)
    assert list(p.state_dict()) == ["0", "1", "2"]
    assert repr(p[:1]) == "ParameterList(  (0): Parameter containing: [minitensor.float32 of size 2])"
    assert repr(p[:2]) == (
        "ParameterList(\n    (0): Parameter containing: [minitensor.float32 of size 2]\n"
        "    (1): Parameter containing: [minitensor.float32 of size 3]\n)"
    )
    d = nn.ParameterDict({"left": mt.ones(2)})
    d["right"] = mt.zeros(1)
    assert list(d.state_dict()) == ["left", "right"]
    assert repr(d).endswith("    (right): Parameter containing: [minitensor.FloatTensor of size 1]\n)")
    assert d["right"].requires_grad
    assert len(list(d.parameters())) == 2


# --- layers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layer", "function", "shape"),
    [
        (nn.Identity(), lambda x: x, (2, 3)),
        (nn.Flatten(), lambda x: x.reshape(2, -1), (2, 3, 4)),
        (nn.Unflatten(1, (2, 3)), lambda x: x.reshape(2, 2, 3), (2, 6)),
        (nn.ReLU(), lambda x: np.maximum(x, 0), (5,)),
        (nn.LeakyReLU(0.1), lambda x: np.where(x > 0, x, 0.1 * x), (5,)),
        (nn.SiLU(), lambda x: x / (1 + np.exp(-x)), (5,)),
        (nn.Tanh(), np.tanh, (5,)),
        (nn.Sigmoid(), lambda x: 1 / (1 + np.exp(-x)), (5,)),
        (nn.LogSigmoid(), lambda x: -np.log1p(np.exp(-x)), (5,)),
        (nn.Softplus(2.0), lambda x: np.log1p(np.exp(2 * x)) / 2, (5,)),
        (
            nn.GELU("tanh"),
            lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
            (5,),
        ),
        (nn.Softmax(-1), lambda x: np.exp(x) / np.exp(x).sum(-1, keepdims=True), (2, 5)),
        (nn.LogSoftmax(0), lambda x: x - np.log(np.exp(x).sum(0)), (2, 5)),
        (nn.MaxPool2d(2), lambda x: x.reshape(1, 1, 2, 2, 2, 2).max((3, 5)), (1, 1, 4, 4)),
        (nn.AvgPool2d(2), lambda x: x.reshape(1, 1, 2, 2, 2, 2).mean((3, 5)), (1, 1, 4, 4)),
        (nn.AdaptiveAvgPool2d(1), lambda x: x.mean((2, 3), keepdims=True), (2, 3, 4, 5)),
        (nn.Dropout(0.5).eval(), lambda x: x, (3,)),
        (
            nn.LayerNorm(4).double(),
            lambda x: (x - x.mean(-1, keepdims=True)) / np.sqrt(x.var(-1, keepdims=True) + 1e-5),
            (3, 4),
        ),
    ],
    ids=lambda v: type(v).__name__,
)
def test_layers_compute_their_formula(layer, function, shape):
    x = np.random.default_rng(0).standard_normal(shape)
    out = layer(mt.from_numpy(x)).detach()
    np.testing.assert_allclose(out, function(x), rtol=1e-12, atol=1e-12)


def test_linear_and_conv():
    layer = nn.Linear(3, 2, dtype=mt.float64)
    x = mt.randn(4, 5, 3, dtype=mt.float64)
    expected = x.numpy() @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()
    np.testing.assert_allclose(layer(x).detach(), expected, rtol=1e-12)
    conv = nn.Conv2d(4, 6, 3, stride=2, padding=(1, 0), groups=2, dtype=mt.float64)
    assert conv.weight.shape == (6, 2, 3, 3)
    assert conv(mt.zeros(2, 4, 7, 7, dtype=mt.float64)).shape == (2, 6, 4, 3)
    same = nn.Conv2d(1, 1, (3, 4), padding="same", dilation=2)
    assert same(mt.zeros(1, 1, 9, 9)).shape == (1, 1, 9, 9)
    assert nn.Conv2d(1, 1, 3, padding="valid")(mt.zeros(1, 5, 5)).shape == (1, 3, 3)


def test_batch_norm_against_pytorch():
    layer = nn.BatchNorm1d(2, momentum=None)
    x = mt.tensor([[1.0, 2.0], [3.0, 6.0], [5.0, 1.0]])
    expected = [[-1.22474265, -0.46290952], [0, 1.38872862], [1.22474241, -0.92581904]]
    np.testing.assert_allclose(layer(x).detach(), expected, atol=1e-6)
    layer(x * 2)  # momentum None: the mean over the batches
    assert layer.running_mean.tolist() == [4.5, 4.5]
    np.testing.assert_allclose(layer.running_var, [10, 17.5], rtol=1e-6)
    assert layer.num_batches_tracked.item() == 2
    expected = [[-1.10679674, -0.59761411], [-0.47434145, 0.35856849], [0.15811378, -0.83665979]]
    np.testing.assert_allclose(layer.eval()(x).detach(), expected, atol=1e-6)
    assert layer.num_batches_tracked.item() == 2
    layer.reset_running_stats()
    assert layer.running_var.tolist() == [1, 1]
    assert list(layer.state_dict()) == [
        "weight",
        "bias",
        "running_mean",
        "running_var",
        "num_batches_tracked",
    ]
    bare = nn.BatchNorm2d(2, affine=False, track_running_stats=False).eval()
    assert list(bare.state_dict()) == []
    y = bare(mt.randn(3, 2, 4, 4))  # without running statistics always the batch's
    np.testing.assert_allclose(y.mean((0, 2, 3)), [0, 0], atol=1e-6)


def test_embedding():
    layer = nn.Embedding(4, 2, padding_idx=1)
    index = mt.tensor([[0, 1], [3, 3]])
    layer(index).sum().backward()
    assert layer.weight.grad.tolist() == [[1, 1], [0, 0], [0, 0], [2, 2]]
    table = mt.tensor([[1.0, 2.0], [3.0, 4.0]])
    frozen = nn.Embedding.from_pretrained(table)
    assert not frozen.weight.requires_grad
    assert frozen.weight.data_ptr() == table.data_ptr()
    assert nn.Embedding.from_pretrained(table, freeze=False).weight.requires_grad
    with pytest.raises(IndexError):
        layer(mt.tensor([4]))


@pytest.mark.parametrize(
    ("loss", "expected"),
    [
        (nn.MSELoss(), lambda x, y: ((x - y) ** 2).mean()),
        (nn.MSELoss(reduction="none"), lambda x, y: (x - y) ** 2),
        (nn.L1Loss(reduction="sum"), lambda x, y: abs(x - y).sum()),
        (nn.HuberLoss(delta=0.1), lambda x, y: _huber(abs(x - y), 0.1).mean()),
        (nn.SmoothL1Loss(beta=0.1), lambda x, y: _huber(abs(x - y), 0.1).mean() / 0.1),
        (nn.BCELoss(), lambda x, y: -(y * np.log(x) + (1 - y) * np.log(1 - x)).mean()),
        (
            nn.BCEWithLogitsLoss(pos_weight=mt.tensor(3.0, dtype=mt.float64)),
            lambda x, y: (3 * y * np.log1p(np.exp(-x)) + (1 - y) * np.log1p(np.exp(x))).mean(),
        ),
        (nn.KLDivLoss(reduction="sum"), lambda x, y: (y * (np.log(y) - x)).sum()),
    ],
    ids=lambda v: type(v).__name__,
)
def test_losses_of_two_tensors(loss, expected):
    rng = np.random.default_rng(0)
    x, y = rng.uniform(0.1, 0.9, 6), rng.uniform(0.1, 0.9, 6)
    np.testing.assert_allclose(loss(mt.from_numpy(x), mt.from_numpy(y)), expected(x, y), rtol=1e-10)


def _huber(d, delta):
    return np.where(d < delta, d * d / 2, delta * (d - delta / 2))


def test_losses_of_classes():
    x = np.random.default_rng(0).standard_normal((4, 3))
    logp = x - np.log(np.exp(x).sum(1, keepdims=True))
    y = mt.tensor([0, 2, -100, 1])
    expected = -(logp[0, 0] + logp[1, 2] + logp[3, 1])
    tensor = mt.from_numpy(x)
    assert nn.CrossEntropyLoss()(tensor, y).item() == pytest.approx(expected / 3)
    assert nn.CrossEntropyLoss(reduction="sum")(tensor, y).item() == pytest.approx(expected)
    assert nn.NLLLoss()(mt.from_numpy(logp), y).item() == pytest.approx(expected / 3)
    weight = mt.tensor([1.0, 2.0, 3.0], dtype=mt.float64)
    weighted = -(logp[0, 0] + 3 * logp[1, 2] + 2 * logp[3, 1]) / 6
    loss = nn.CrossEntropyLoss(weight)
    assert loss(tensor, y).item() == pytest.approx(weighted)
    assert list(loss.state_dict()) == ["weight"]
    smooth = nn.CrossEntropyLoss(label_smoothing=0.3)(tensor[:1], y[:1]).item()
    assert smooth == pytest.approx(-(0.7 * logp[0, 0] + 0.1 * logp[0].sum()))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Linear(2.5, 3), TypeError, "Linear: in_features must be an integer"),
        (lambda: nn.Linear(2, -3), ShapeError, "Linear: out_features must be at least 0"),
        (lambda: nn.Conv2d(3, 4, 3, groups=2), ShapeError, "in_channels 3 is not divisible"),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), ShapeError, "out_channels 3 is not divisible"),
        (lambda: nn.Conv2d(1, 1, 0), ShapeError, "kernel_size must be at least 1"),
        (lambda: nn.Conv2d(1, 1, (1, 2, 3)), ShapeError, "kernel_size must be one integer or two"),
        (lambda: nn.Conv2d(1, 1, 3, padding="full"), ShapeError, "'same' or 'valid', not 'full'"),
        (lambda: nn.Conv2d(1, 1, 3, 2, "same"), ShapeError, "padding 'same' needs stride 1"),
        (lambda: nn.Conv2d(1, 1, 3, padding_mode="round"), ShapeError, "or 'circular', not 'round'"),
        (lambda: nn.ConvTranspose1d(1, 1, 3, padding_mode="circular"), ShapeError, "must be 'zeros', not 'circular'"),
        (lambda: nn.Dropout(1.5), ShapeError, r"Dropout: p must lie in \[0, 1\]"),
        (lambda: nn.BatchNorm2d(3)(mt.zeros(2, 3)), ShapeError, r"expected \(N, C, H, W\), got"),
        (lambda: nn.LayerNorm((0,)), ShapeError, "LayerNorm: a size must be at least 1"),
        (lambda: nn.LayerNorm(3)(mt.zeros(2, 4)), ShapeError, "layer_norm"),
        (lambda: nn.Embedding(3, 2, padding_idx=3), IndexRangeError, "padding_idx 3 is outside"),
        (lambda: nn.Embedding.from_pretrained(mt.zeros(3)), ShapeError, "expected a matrix"),
        (lambda: nn.MSELoss(reduction="average"), ShapeError, "'average'"),
        (lambda: nn.Linear(3, 2)(mt.zeros(2, 4)), ShapeError, "linear"),
    ],
)
def test_layers_refuse_what_makes_no_sense(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_in_place_activations_write_into_their_input():
    x = mt.tensor([-1.0, 2.0])
    for layer, expected in (
        (nn.ReLU(True), [0, 2]),
        (nn.LeakyReLU(0.5, True), [-0.5, 2]),
        (nn.SiLU(True), None),
    ):
        y = x.clone()
        assert layer(y) is y
        np.testing.assert_array_equal(y, expected or F.silu(x))
    w = mt.tensor([-1.0, 2.0], requires_grad=True)
    h = w * 3
    F.relu(h, inplace=True).sum().backward()
    assert w.grad.tolist() == [0, 3]


def test_softmax_without_an_axis_warns():
    with pytest.warns(UserWarning, match="softmax: no dim is given; taken is dim=1"):
        y = F.softmax(mt.zeros(2, 4))
    assert y[0, 0].item() == 0.25


# --- utils ----------------------------------------------------------------------------------------


def test_clip_grad_norm():
    a, b = nn.Parameter(mt.zeros(2)), nn.Parameter(mt.zeros(1))
    unused = nn.Parameter(mt.zeros(1))
    a.grad, b.grad = mt.tensor([3.0, 0.0]), mt.tensor([4.0])
    version = a.grad._version
    assert nn.utils.clip_grad_norm_([a, b, unused], 10).item() == 5
    assert a.grad.tolist() == [3, 0]
    assert nn.utils.clip_grad_norm_(iter([a, b]), 1.0).item() == 5
    np.testing.assert_allclose([*a.grad.tolist(), *b.grad.tolist()], [0.6, 0, 0.8], rtol=1e-6)
    assert a.grad._version > version
    assert nn.utils.clip_grad_norm_(a, 0.3, float("inf")).item() == pytest.approx(0.6)
    assert a.grad.tolist() == pytest.approx([0.3, 0.0], rel=1e-5)
    assert nn.utils.clip_grad_norm_([unused], 1.0).item() == 0
    b.grad = mt.tensor([float("inf")])
    with pytest.raises(RuntimeError, match=r"the norm of order 2\.0 of the gradients is inf"):
        nn.utils.clip_grad_norm_([b], 1.0, error_if_nonfinite=True)


def test_clip_grad_value():
    p = nn.Parameter(mt.zeros(3))
    p.grad = mt.tensor([-5.0, 0.1, 5.0])
    nn.utils.clip_grad_value_(p, 1.0)
    np.testing.assert_allclose(p.grad, [-1, 0.1, 1])


def test_parameters_as_one_vector():
    net = nn.Linear(2, 2)
    vector = nn.utils.parameters_to_vector(net.parameters())
    assert vector.shape == (6,)
    assert vector.requires_grad
    nn.utils.vector_to_parameters(mt.arange(6.0), net.parameters())
    assert net.weight.tolist() == [[0, 1], [2, 3]]
    assert net.bias.tolist() == [4, 5]
    assert net.weight.is_leaf
    with pytest.raises(ShapeError, match="7 elements for parameters of 6"):
        nn.utils.vector_to_parameters(mt.zeros(7), net.parameters())


def test_parameter_lists_hold_anything():
    p = nn.ParameterList([nn.ParameterList([mt.ones(2)]), mt.ones(3), 4])
    assert [name for name, _ in p.named_parameters()] == ["1", "0.0"]
    assert (p[2], list(p.state_dict())) == (4, ["1", "0.0"])
    assert repr(p).splitlines()[1:4] == [
        "    (0): Object of type: ParameterList",
        "    (1): Parameter containing: [minitensor.float32 of size 3]",
        "    (2): Object of type: int",
    ]
    d = nn.ParameterDict({"a": mt.ones(2), "b": 3})
    assert (list(d), d["b"], [name for name, _ in d.named_parameters()]) == (["a", "b"], 3, ["a"])


def test_the_hooks_of_a_module_can_be_listed():
    layer = nn.Linear(1, 1)
    assert len(layer._forward_hooks) == 0
    handle = layer.register_forward_hook(print)
    assert list(layer._forward_hooks.values()) == [print]
    handle.remove()
    assert not layer._forward_hooks


class Frozen(nn.Module):
    """Stays in evaluation, whatever the module around it is told."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Dropout()
        self.eval()

    def train(self, mode=True):
        return super().train(False)


def test_train_goes_through_the_train_of_each_module():
    net = nn.Sequential(nn.Dropout(), Frozen())
    assert net.train() is net
    assert [m.training for m in net.modules()] == [True, True, False, False]
    assert [m.training for m in net.eval().modules()] == [False] * 4


class Renamed(nn.Module):
    """Shows its parameters under names of its own, and one of them not at all."""

    def __init__(self):
        super().__init__()
        self.kept, self.hidden = nn.Parameter(mt.zeros(1)), nn.Parameter(mt.ones(1))

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        yield "own", self.kept


def test_parameters_are_those_that_named_parameters_gives():
    net = Renamed()
    assert [p is net.kept for p in net.parameters()] == [True]
    shared = nn.Linear(2, 2)
    twice = nn.Sequential(shared, nn.Sequential(shared, nn.ReLU()))
    assert [p is q for p, q in zip(twice.parameters(), (shared.weight, shared.bias), strict=True)] == [True, True]
    assert list(twice.modules()) == [m for _, m in twice.named_modules()]
    twice.inner = twice[1]  # in two places
    assert len(list(twice.modules())) == 4
    assert next(nn.Sequential(nn.ReLU(), shared).parameters()) is shared.weight
    assert list(nn.Sequential(shared).parameters(recurse=False)) == []


def test_a_plain_attribute_may_change_its_value_and_a_module_gives_its_name_up():
    net = nn.Module()
    net.size = 3
    net.size = mt.ones(2)
    assert net.size.tolist() == [1, 1]
    net.size = nn.Linear(1, 1)
    assert [name for name, _ in net.named_children()] == ["size"]
    with pytest.raises(TypeError, match="is a module"):
        net.size = 3
    del net.size
    net.size = 4
    assert net.size == 4
    assert list(net.children()) == []
