"""Lazy modules: before the first call, at it, and after; their states and copies."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import minitensor as mt
from minitensor import nn, optim
from minitensor.errors import ShapeError

# The lazy module, the ordinary one that it is to become, the shape of an input.
PAIRS = {
    "linear": (lambda: nn.LazyLinear(3), lambda: nn.Linear(5, 3), (2, 5)),
    "linear of a vector": (lambda: nn.LazyLinear(3, bias=False), lambda: nn.Linear(5, 3, bias=False), (5,)),
    "conv1d": (lambda: nn.LazyConv1d(4, 3), lambda: nn.Conv1d(2, 4, 3), (2, 2, 8)),
    "conv2d": (lambda: nn.LazyConv2d(4, 3, groups=2), lambda: nn.Conv2d(6, 4, 3, groups=2), (2, 6, 5, 5)),
    "conv2d without a batch": (lambda: nn.LazyConv2d(4, 3), lambda: nn.Conv2d(6, 4, 3), (6, 5, 5)),
    "conv3d": (lambda: nn.LazyConv3d(2, 2), lambda: nn.Conv3d(3, 2, 2), (1, 3, 4, 4, 4)),
    "transposed 1d": (
        lambda: nn.LazyConvTranspose1d(4, 3, 2, output_padding=1),
        lambda: nn.ConvTranspose1d(2, 4, 3, 2, output_padding=1),
        (2, 2, 8),
    ),
    "transposed 2d": (
        lambda: nn.LazyConvTranspose2d(4, 3, groups=2),
        lambda: nn.ConvTranspose2d(6, 4, 3, groups=2),
        (2, 6, 5, 5),
    ),
    "transposed 3d": (lambda: nn.LazyConvTranspose3d(2, 2), lambda: nn.ConvTranspose3d(3, 2, 2), (1, 3, 4, 4, 4)),
    "batch norm 1d": (lambda: nn.LazyBatchNorm1d(), lambda: nn.BatchNorm1d(3), (4, 3)),
    "batch norm 2d": (lambda: nn.LazyBatchNorm2d(affine=False), lambda: nn.BatchNorm2d(3, affine=False), (4, 3, 2, 2)),
    "batch norm 3d": (lambda: nn.LazyBatchNorm3d(0.1), lambda: nn.BatchNorm3d(3, 0.1), (4, 3, 2, 2, 2)),
    "instance norm 1d": (
        lambda: nn.LazyInstanceNorm1d(),
        lambda: nn.InstanceNorm1d(3, affine=True, track_running_stats=True),
        (4, 3, 5),
    ),
    "instance norm without a batch": (
        lambda: nn.LazyInstanceNorm2d(),
        lambda: nn.InstanceNorm2d(3, affine=True, track_running_stats=True),
        (3, 4, 5),
    ),
    "instance norm 3d": (
        lambda: nn.LazyInstanceNorm3d(),
        lambda: nn.InstanceNorm3d(3, affine=True, track_running_stats=True),
        (2, 3, 4, 4, 4),
    ),
}
every = pytest.mark.parametrize("name", PAIRS)


@every
def test_the_first_call_makes_the_ordinary_module(name):
    """With the same draws, in the same class, under the same names."""
    make, ordinary, shape = PAIRS[name]
    x = mt.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    mt.manual_seed(0)
    want = ordinary()
    after = mt.rand(2)
    mt.manual_seed(0)
    lazy = make()
    assert lazy.has_uninitialized_params()
    assert type(lazy).__name__ == f"Lazy{type(want).__name__}"
    assert list(lazy.state_dict()) == list(want.state_dict())
    kept = dict(lazy.named_parameters())
    y = lazy(x)
    np.testing.assert_array_equal(mt.rand(2), after)
    np.testing.assert_array_equal(y.detach(), want(x).detach())
    assert type(lazy) is type(want)
    assert repr(lazy) == repr(want)
    for n, p in lazy.named_parameters():
        assert p is kept[n]  # the object that an optimizer may hold already
        assert type(p) is nn.Parameter
        np.testing.assert_array_equal(p.detach(), want.get_parameter(n).detach())


@every
def test_states_copies_and_pickles(name):
    make, ordinary, shape = PAIRS[name]
    x = mt.linspace(-1, 1, int(np.prod(shape))).reshape(shape)
    want = ordinary().eval()
    lazy = make().eval()
    for twin in (lazy, copy.deepcopy(lazy), pickle.loads(pickle.dumps(lazy))):
        assert twin.has_uninitialized_params()
        twin.load_state_dict(lazy.state_dict())  # of which nothing is known yet
        twin.load_state_dict(want.state_dict())
        assert not twin.has_uninitialized_params()
        before = mt.get_rng_state()
        np.testing.assert_array_equal(twin(x).detach(), want(x).detach())
        np.testing.assert_array_equal(mt.get_rng_state(), before)  # nothing is drawn on top
        assert repr(twin) == repr(want)
    if list(want.parameters()):
        with pytest.raises(ShapeError, match=r"weight has no sizes in the state_dict yet"):
            want.load_state_dict(make().state_dict())


def test_sizes_that_are_not_known_are_not_to_be_had():
    lazy = nn.LazyLinear(3)
    assert repr(lazy) == "LazyLinear(in_features=0, out_features=3, bias=True)"
    assert repr(lazy.weight) == "<UninitializedParameter>"
    assert isinstance(lazy.weight, nn.UninitializedParameter)
    assert lazy.weight.dtype is mt.float32
    for ask in (
        lambda: lazy.weight.shape,
        lambda: lazy.weight.numel(),
        lambda: lazy.weight * 2,
        lambda: nn.init.normal_(lazy.weight),
        lambda: nn.init.xavier_uniform_(lazy.weight),
        lambda: sum(p.numel() for p in lazy.parameters()),
        lambda: nn.utils.parameters_to_vector(lazy.parameters()),
    ):
        with pytest.raises(ValueError, match="has no sizes yet: call the lazy module"):
            ask()


def test_casts_and_optimizers_before_the_first_call():
    net = nn.Sequential(nn.LazyLinear(3), nn.ReLU(), nn.LazyLinear(1, bias=False)).double()
    optimizer = optim.SGD(net.parameters(), lr=1.0)
    optimizer.step()  # without gradients nothing happens
    optimizer.zero_grad()
    y = net(mt.ones(2, 4, dtype=mt.float64))
    assert y.dtype is mt.float64
    assert net[2].in_features == 3
    y.sum().backward()
    before = net[0].weight.detach().clone()
    optimizer.step()
    np.testing.assert_array_equal(net[0].weight.detach(), (before - net[0].weight.grad).detach())
    assert net.requires_grad_(False)[0].weight.requires_grad is False


def test_an_input_that_does_not_fit_leaves_the_module_lazy():
    for lazy, x, message in (
        (nn.LazyLinear(3), mt.tensor(1.0), "got one without axes"),
        (nn.LazyConv2d(3, 3), mt.zeros(5, 5), r"expected an input of 3 or 4 axes, got \(5, 5\)"),
        (nn.LazyConv2d(4, 3, groups=2), mt.zeros(1, 3, 5, 5), "3 channels are not divisible by groups 2"),
        (nn.LazyBatchNorm2d(), mt.zeros(2, 3), r"LazyBatchNorm2d: expected an input of \(4,\) axes, got \(2, 3\)"),
    ):
        with pytest.raises(ShapeError, match=message):
            lazy(x)
        assert lazy.has_uninitialized_params()
        assert type(lazy).__name__.startswith("Lazy")


def test_values_set_before_the_first_call_are_without_effect():
    """`net.weight.data.normal_()` of a layer without sizes is a write to no element, and draws no number."""
    layer = nn.LazyLinear(3)
    mt.manual_seed(0)
    assert layer.weight.data.normal_(0, 0.01).shape == (0,)
    assert layer.bias.data.fill_(0).dtype is mt.float32
    first = mt.rand(1).item()
    mt.manual_seed(0)
    assert mt.rand(1).item() == first
