"""Random tensors: PyTorch's numbers, sizes and options, and filling in place.

The literals are what PyTorch 2.13 gives for the same seed.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import DtypeError, GraphError, ShapeError


def test_one_stream_of_pytorchs_numbers():
    mt.manual_seed(0)
    assert mt.rand(3).tolist() == [0.49625658988952637, 0.7682217955589294, 0.08847743272781372]
    assert mt.randn(3).tolist() == [0.3643381893634796, 0.13439632952213287, 0.16421625018119812]
    wide = mt.randn(2, dtype=mt.float64)  # the first of them is the spare of the call before
    assert wide.tolist() == pytest.approx([0.3057610206599811, 0.20998091995432266], abs=1e-15)
    assert mt.randint(0, 100, (4,)).tolist() == [76, 56, 68, 94]
    assert mt.randperm(6).tolist() == [3, 2, 5, 1, 4, 0]
    assert mt.bernoulli(mt.full((8,), 0.5)).tolist() == [1, 0, 0, 1, 1, 1, 1, 0]
    weights = mt.tensor([0.1, 0.2, 0.7])
    assert mt.multinomial(weights, 6, replacement=True).tolist() == [2, 1, 2, 2, 1, 2]
    assert mt.normal(2.0, 3.0, (2,)).tolist() == [4.716878414154053, 4.819429874420166]
    assert mt.empty(2).exponential_(2.0).tolist() == [0.12810476124286652, 0.40849775075912476]
    uniform = mt.empty(3).uniform_(-1, 1)
    assert uniform.tolist() == pytest.approx([0.39688218, 0.13509285, 0.67048633], abs=1e-7)
    assert mt.rand_like(mt.zeros(2)).tolist() == [0.2055988311767578, 0.593172013759613]
    blocks = [-0.4503297507762909, -0.5730770826339722, -0.5553584098815918]
    assert mt.randn(20)[:3].tolist() == blocks
    turned = mt.rand_like(mt.zeros(2, 3).t())  # filled in the order of the memory
    assert turned[0].tolist() == [0.6869555711746216, 0.7496575117111206]
    assert turned.stride() == (1, 3)


def test_generators_are_independent():
    a, b = (mt.Generator().manual_seed(7) for _ in range(2))
    mt.manual_seed(1)
    expected = mt.rand(4).tolist()
    mt.manual_seed(1)
    first = mt.rand(3, generator=a)
    assert mt.rand(4).tolist() == expected
    assert mt.rand(3, generator=b).tolist() == first.tolist()
    assert a.initial_seed() == 7
    assert mt.initial_seed() == 1
    assert isinstance(mt.seed(), int)


@pytest.mark.parametrize("again", [copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
def test_states_are_tensors_and_go_on(again):
    mt.manual_seed(3)
    mt.randn(1)
    state = mt.get_rng_state()
    assert state.dtype is mt.uint8
    assert state.shape == (5056,)
    expected = mt.randn(3).tolist()
    mt.set_rng_state(state)
    assert mt.randn(3).tolist() == expected
    g = mt.Generator()
    g.set_state(state)
    assert isinstance(again(g), mt.Generator)
    assert mt.randn(3, generator=again(g)).tolist() == expected
    assert mt.default_generator.get_state().shape == (5056,)
    with pytest.raises(DtypeError, match="uint8"):
        mt.set_rng_state(mt.zeros(5056))


def test_sizes_are_ints_a_sequence_or_a_keyword():
    for made in (mt.rand(2, 3), mt.rand((2, 3)), mt.rand([2, 3]), mt.rand(size=(2, 3))):
        assert made.shape == (2, 3)
        assert made.dtype is mt.float32
    assert mt.randn(()).shape == ()
    assert mt.randn(2, dtype=mt.float64, requires_grad=True, device="cpu").requires_grad
    assert mt.randint(5, (2,)).dtype is mt.int64
    assert mt.randint(2, 3, (2,)).tolist() == [2, 2]
    assert mt.randint(low=2, high=3, size=(2,), dtype=mt.float32).tolist() == [2.0, 2.0]
    assert mt.randint_like(mt.zeros(3, dtype=mt.int32), 1, 2).tolist() == [1, 1, 1]
    assert mt.randperm(3, dtype=mt.int32).dtype is mt.int32
    assert mt.randn_like(mt.zeros(2, dtype=mt.float64)).dtype is mt.float64


def test_normal_of_tensors_is_a_standard_normal_scaled_and_shifted():
    mean, std = mt.tensor([0.0, 100.0]), mt.tensor([[1.0], [0.0]])
    mt.manual_seed(0)
    z = mt.randn(2, 2)
    mt.manual_seed(0)
    np.testing.assert_array_equal(mt.normal(mean, std), z * std + mean)
    assert mt.normal(mean, 0.0).tolist() == [0, 100]
    assert mt.normal(1.0, mt.zeros(2)).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: mt.rand(2, -1), ShapeError, "rand: sizes must not be negative"),
        (lambda: mt.randn(2.5), TypeError, "randn: sizes must be integers"),
        (lambda: mt.rand(2, dtype=mt.int64), DtypeError, "rand: the dtype must be floating"),
        (lambda: mt.rand(2, device="cuda"), ShapeError, "the only device is 'cpu'"),
        (lambda: mt.randn_like(mt.arange(2)), DtypeError, "randn_like: the dtype"),
        (lambda: mt.randint(3, 3, (2,)), ShapeError, r"the range \[3, 3\) is empty"),
        (lambda: mt.randint(300, (2,), dtype=mt.uint8), ShapeError, "uint8 holds"),
        (lambda: mt.randint(3), TypeError, r"randint\(high, size\)"),
        (lambda: mt.randint(3, 4), TypeError, "must be a tuple"),
        (lambda: mt.randperm(-1), ShapeError, "randperm"),
        (lambda: mt.normal(0.0, -1.0, (2,)), ShapeError, "std must not be negative"),
        (lambda: mt.normal(mt.zeros(2), mt.tensor([1.0, -1.0])), ShapeError, "not be negative"),
        (lambda: mt.normal(mt.zeros(2), mt.zeros(3)), ShapeError, "do not broadcast"),
        (lambda: mt.normal(0.0, 1.0), TypeError, "the size must be given"),
        (lambda: mt.bernoulli(mt.tensor([1.5])), ShapeError, r"outside \[0, 1\]"),
        (lambda: mt.multinomial(mt.zeros(3), 1), ShapeError, "all 0"),
        (lambda: mt.multinomial(mt.ones(3), 4), ShapeError, "need replacement"),
        (lambda: mt.manual_seed(2**64), ShapeError, "64 bits"),
        (lambda: mt.zeros(2).normal_(0, -1), ShapeError, "std must not be negative"),
        (lambda: mt.zeros(2).expand(3, 2).normal_(), ShapeError, "normal_: several elements"),
        (lambda: mt.zeros(2, dtype=mt.int64).uniform_(), DtypeError, "must be floating"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    ("method", "args"),
    [
        ("normal_", (1.0, 2.0)),
        ("uniform_", (1.0, 2.0)),
        ("bernoulli_", (0.5,)),
        ("exponential_", ()),
        ("random_", (5,)),
        ("cauchy_", ()),
        ("log_normal_", ()),
        ("geometric_", (0.5,)),
    ],
)
def test_methods_write_in_place(method, args):
    x = mt.zeros(4, 5)
    view = x[:, 1]
    before = x._version
    assert getattr(x, method)(*args) is x
    assert x._version > before
    assert len(set(x.reshape(-1).tolist())) > 1
    np.testing.assert_array_equal(view, x.numpy()[:, 1])
    leaf = mt.zeros(2, requires_grad=True)
    with pytest.raises(GraphError, match=method):
        getattr(leaf, method)(*args)
    with mt.no_grad():
        getattr(leaf, method)(*args)


def test_what_was_written_over_gets_no_gradient():
    x = mt.ones(3, requires_grad=True)
    y = x * 2
    y[:2].uniform_()
    y.sum().backward()
    assert x.grad.tolist() == [0, 0, 2]


def test_integers_fill_every_dtype():
    for dtype in (mt.uint8, mt.int32, mt.int64, mt.float32, mt.float64):
        x = mt.zeros(50, dtype=dtype).random_(3, 6)
        assert set(x.tolist()) == {3, 4, 5}
    assert mt.zeros(50, dtype=mt.bool).random_().dtype is mt.bool
    p = mt.tensor([0.0, 1.0])
    assert mt.zeros(2, 2, dtype=mt.int64).bernoulli_(p).tolist() == [[0, 1], [0, 1]]


def test_dropout_draws_only_in_training():
    F = mt.nn.functional
    x = mt.ones(1000)
    mt.manual_seed(0)
    y = F.dropout(x, 0.25)
    assert set(y.tolist()) == {0.0, float(np.float32(1) / np.float32(0.75))}
    assert 0.7 < (y != 0).float().mean().item() < 0.8
    mt.manual_seed(0)
    expected = mt.rand(1).item()
    mt.manual_seed(0)
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 1.0).abs().sum() == 0
    assert mt.rand(1).item() == expected
    channels = F.dropout2d(mt.ones(20, 5, 3, 3), 0.5).sum((2, 3))
    assert set(channels.reshape(-1).tolist()) == {0.0, 18.0}
    for p in (-0.1, 1.5):
        with pytest.raises(ShapeError, match="dropout: p must lie"):
            F.dropout(x, p)


def test_dropouts_gradient_is_its_mask():
    x = mt.ones(50, requires_grad=True)
    y = mt.nn.functional.dropout(x, 0.5)
    y.sum().backward()
    np.testing.assert_array_equal(x.grad, y.detach())
    z = mt.ones(50)
    assert mt.nn.functional.dropout(z, 0.5, inplace=True) is z
    assert set(z.tolist()) == {0.0, 2.0}


def test_numbers_within_fork_rng_do_not_count():
    mt.manual_seed(3)
    wanted = mt.rand(2).tolist()
    mt.manual_seed(3)
    with mt.random.fork_rng():
        assert mt.rand(2).tolist() == wanted
    assert mt.rand(2).tolist() == wanted


def test_broadcast_arguments_draw_in_the_order_of_their_axes():
    x = mt.ones(2, 1, 3).expand(2, 4, 3)
    mt.manual_seed(3)
    drawn = mt.dropout(x, 0.5, True)
    mt.manual_seed(3)
    assert mt.equal(drawn, mt.dropout(mt.ones(2, 4, 3), 0.5, True))
    assert x.clone().is_contiguous()
    assert mt.zeros_like(x).is_contiguous()


def test_bernoulli_draws_in_the_order_of_the_axes():
    p = mt.full((3, 4), 0.5)
    mt.manual_seed(3)
    drawn = mt.bernoulli(p)
    mt.manual_seed(3)
    assert mt.equal(drawn, mt.bernoulli(mt.full((4, 3), 0.5).t()))
