"""Recurrent layers against loops over single steps in NumPy; packed sequences; bad input."""

from __future__ import annotations

import numpy as np
import pytest
from checks import check, leaves

import minitensor as mt
from minitensor import nn
from minitensor.errors import DtypeError
from minitensor.nn.utils import rnn as packing

F64 = {"dtype": mt.float64}
LAYERS = {
    "tanh": lambda *sizes, **options: nn.RNN(*sizes, **options, **F64),
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options, **F64),
    "lstm": lambda *sizes, **options: nn.LSTM(*sizes, **options, **F64),
    "projected": lambda *sizes, **options: nn.LSTM(*sizes, proj_size=2, **options, **F64),
    "gru": lambda *sizes, **options: nn.GRU(*sizes, **options, **F64),
}
every = pytest.mark.parametrize("kind", LAYERS)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def numpy_step(kind, x, state, w):
    """One step of one sequence, as the papers have it."""
    h = state[0]
    a = w["weight_ih"] @ x + w["bias_ih"]
    b = w["weight_hh"] @ h + w["bias_hh"]
    if kind == "gru":
        (ar, az, an), (br, bz, bn) = np.split(a, 3), np.split(b, 3)
        r, z = sigmoid(ar + br), sigmoid(az + bz)
        return ((1 - z) * np.tanh(an + r * bn) + z * h,)
    if kind in ("lstm", "projected"):
        i, f, g, o = np.split(a + b, 4)
        c = sigmoid(f) * state[1] + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        return (w["weight_hr"] @ h if kind == "projected" else h), c
    return (np.tanh(a + b) if kind == "tanh" else np.maximum(a + b, 0),)


def numpy_layers(kind, module, x):
    """Outputs (T, out) and last states of one sequence (T, in), from states of 0."""
    finals = []
    for layer in range(module.num_layers):
        outputs = []
        for suffix in ("", "_reverse")[: 1 + module.bidirectional]:
            end = f"_l{layer}{suffix}"
            w = {n.removesuffix(end): p.detach().numpy() for n, p in module.named_parameters() if n.endswith(end)}
            state = (np.zeros(w["weight_hh"].shape[1]), np.zeros(module.hidden_size))[: module._states]
            out = [None] * len(x)
            for t in range(len(x))[:: -1 if suffix else 1]:
                state = numpy_step(kind, x[t], state, w)
                out[t] = state[0]
            outputs.append(np.stack(out))
            finals.append(state)
        x = np.concatenate(outputs, -1)
    return x, [np.stack(parts) for parts in zip(*finals, strict=True)]


def states_of(state):
    return list(state) if isinstance(state, tuple) else [state]


@every
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("layers", [1, 2])
def test_layers_against_numpy(kind, bidirectional, layers):
    module = LAYERS[kind](3, 4, num_layers=layers, bidirectional=bidirectional)
    rng = np.random.default_rng(0)
    x = rng.standard_normal((5, 2, 3))
    lengths = [5, 3]
    wants = [numpy_layers(kind, module, x[:, i]) for i in range(2)]
    output, state = module(mt.tensor(x))
    for i, (out, finals) in enumerate(wants):
        np.testing.assert_allclose(output[:, i].detach(), out, rtol=1e-12, atol=1e-13)
        for got, want in zip(states_of(state), finals, strict=True):
            np.testing.assert_allclose(got[:, i].detach(), want, rtol=1e-12, atol=1e-13)
        single, last = module(mt.tensor(x[:, i]))  # one sequence without a batch
        np.testing.assert_allclose(single.detach(), out, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(states_of(last)[0].detach(), finals[0], rtol=1e-12, atol=1e-13)
    packed = packing.pack_padded_sequence(mt.tensor(x), lengths)
    output, state = module(packed)
    padded, _ = packing.pad_packed_sequence(output)
    for i, n in enumerate(lengths):
        out, finals = numpy_layers(kind, module, x[:n, i])
        np.testing.assert_allclose(padded[:n, i].detach(), out, rtol=1e-12, atol=1e-13)
        assert not padded[n:, i].any()
        for got, want in zip(states_of(state), finals, strict=True):
            np.testing.assert_allclose(got[:, i].detach(), want, rtol=1e-12, atol=1e-13)


@every
def test_the_batch_first_and_a_state_that_is_given(kind):
    module = LAYERS[kind](3, 4, bidirectional=True)
    x = mt.randn(2, 6, 3, dtype=mt.float64)
    first = LAYERS[kind](3, 4, bidirectional=True, batch_first=True)
    first.load_state_dict(module.state_dict())
    np.testing.assert_array_equal(first(x)[0].detach(), module(x.transpose(0, 1))[0].transpose(0, 1).detach())
    # Two halves, the state carried over, are the whole (in one direction).
    one = LAYERS[kind](3, 4, num_layers=2)
    x = x.transpose(0, 1)
    whole, last = one(x)
    _, state = one(x[:2])
    rest, end = one(x[2:], state)
    np.testing.assert_allclose(rest.detach(), whole[2:].detach(), rtol=1e-12)
    for a, b in zip(states_of(end), states_of(last), strict=True):
        np.testing.assert_allclose(a.detach(), b.detach(), rtol=1e-12)


@every
def test_sequences_in_any_order(kind):
    module = LAYERS[kind](3, 4, num_layers=2, bidirectional=True)
    x, lengths = mt.randn(5, 3, 3, dtype=mt.float64), mt.tensor([2, 5, 3])
    start = [mt.randn(4, 3, w, dtype=mt.float64) for w in (2 if kind == "projected" else 4, 4)][: module._states]
    given = start[0] if len(start) == 1 else tuple(start)
    output, state = module(packing.pack_padded_sequence(x, lengths, enforce_sorted=False), given)
    padded, found = packing.pad_packed_sequence(output)
    assert found.tolist() == [2, 5, 3]
    for i, n in enumerate(found.tolist()):
        own = [s[:, i : i + 1] for s in start]
        alone, last = module(x[:n, i : i + 1], own[0] if len(own) == 1 else tuple(own))
        np.testing.assert_allclose(padded[:n, i : i + 1].detach(), alone.detach(), rtol=1e-12, atol=1e-14)
        for a, b in zip(states_of(state), states_of(last), strict=True):
            np.testing.assert_allclose(a[:, i : i + 1].detach(), b.detach(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("kind", ["tanh", "projected", "gru"])
def test_derivatives(kind):
    module = LAYERS[kind](2, 3, bidirectional=True)
    names = [name for name, _ in module.named_parameters()]
    (x,) = leaves(np.random.default_rng(0), (3, 2, 2))

    def run(x, *weights):
        for name, w in zip(names, weights, strict=True):
            module._parameters[name] = w
        output, state = module(packing.pack_padded_sequence(x, [3, 2]))
        return output.data, *states_of(state)

    check(run, x, *[p.detach().requires_grad_() for p in module.parameters()])


@pytest.mark.parametrize("cell", [nn.RNNCell, nn.LSTMCell, nn.GRUCell])
def test_cells(cell):
    mt.manual_seed(0)
    module = cell(3, 4, **F64)
    kind = {nn.RNNCell: "tanh", nn.LSTMCell: "lstm", nn.GRUCell: "gru"}[cell]
    x = np.random.default_rng(0).standard_normal((2, 3))
    w = {name: p.detach().numpy() for name, p in module.named_parameters()}
    state = module(mt.tensor(x))
    again = module(mt.tensor(x), state)
    for i in range(2):
        want = (np.zeros(4), np.zeros(4))
        for found in (state, again):
            want = numpy_step(kind, x[i], want, w)
            for a, b in zip(states_of(found), want, strict=True):
                np.testing.assert_allclose(a[i].detach(), b, rtol=1e-12, atol=1e-16)
    single = module(mt.tensor(x[0]))
    np.testing.assert_allclose(states_of(single)[0].detach(), states_of(state)[0][0].detach(), rtol=1e-12)
    plain = cell(3, 4, bias=False, **F64)
    assert plain.bias_ih is None
    assert states_of(plain(mt.zeros(2, 3, **F64)))[0].shape == (2, 4)
    inputs = leaves(np.random.default_rng(1), (1, 3), *[(1, 4)] * len(states_of(state)))
    check(lambda x, *h: module(x, h if len(h) == 2 else h[0]), *inputs)


def test_parameters_their_names_and_draws():
    module = nn.LSTM(3, 4, 2, bidirectional=True, proj_size=2)
    names = ["weight_ih", "weight_hh", "bias_ih", "bias_hh", "weight_hr"]
    ends = ["_l0", "_l0_reverse", "_l1", "_l1_reverse"]
    assert list(module.state_dict()) == [n + end for end in ends for n in names]
    assert module.weight_ih_l1.shape == (16, 4)
    assert module.weight_hr_l0.shape == (2, 4)
    assert module.all_weights[0][1].shape == (16, 2)
    mt.manual_seed(0)
    drawn = nn.GRU(3, 4)
    mt.manual_seed(0)
    for p in drawn.parameters():
        np.testing.assert_array_equal(p.detach(), mt.empty(p.shape).uniform_(-0.5, 0.5))
    assert all("bias" not in name for name, _ in nn.RNN(3, 4, bias=False).named_parameters())
    drawn.flatten_parameters()


def test_dropout_is_between_the_layers_and_off_in_evaluation():
    module = nn.GRU(3, 4, num_layers=2, dropout=1.0)  # the second layer sees zeros only
    x = mt.randn(5, 2, 3)
    np.testing.assert_array_equal(module(x)[0].detach(), module(mt.randn(5, 2, 3))[0].detach())
    module.eval()
    assert not np.array_equal(module(x)[0].detach(), module(mt.randn(5, 2, 3))[0].detach())
    with pytest.warns(UserWarning, match=r"dropout=0.5 acts between layers"):
        nn.LSTM(3, 4, dropout=0.5)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "LSTM"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_dropout_is_drawn_step_after_step(kind, bidirectional):
    x = mt.randn(3, 7, 4)
    layers = [
        getattr(mt.nn, kind)(4, 5, num_layers=3, dropout=0.5, bidirectional=bidirectional, batch_first=first)
        for first in (False, True)
    ]
    layers[1].load_state_dict(layers[0].state_dict())
    mt.manual_seed(1)
    steps = layers[0](x.transpose(0, 1))[0]
    mt.manual_seed(1)
    out = layers[1](x)[0]
    assert mt.allclose(out, steps.transpose(0, 1), atol=1e-6)
    assert out.stride() == steps.transpose(0, 1).stride()  # and so is what follows
    out.sum().backward()
    steps.sum().backward()
    for a, b in zip(layers[0].parameters(), layers[1].parameters(), strict=True):
        assert mt.allclose(a.grad, b.grad, atol=1e-5)


def test_printing():
    assert repr(nn.RNN(3, 4)) == "RNN(3, 4)"
    assert repr(nn.LSTM(3, 4, 2, batch_first=True, bias=False)) == (
        "LSTM(3, 4, num_layers=2, bias=False, batch_first=True)"
    )
    assert repr(nn.LSTM(3, 4, 2, True, False, 0.5, True, 2)) == (
        "LSTM(3, 4, proj_size=2, num_layers=2, dropout=0.5, bidirectional=True)"
    )
    assert repr(nn.RNNCell(3, 4, nonlinearity="relu")) == "RNNCell(3, 4, nonlinearity=relu)"
    assert repr(nn.GRUCell(3, 4, bias=False)) == "GRUCell(3, 4, bias=False)"


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.RNN(3, 4, nonlinearity="gelu"), ValueError, "must be 'tanh' or 'relu', not 'gelu'"),
        (lambda: nn.GRU(3, 0), ValueError, "GRU: hidden_size must be at least 1, not 0"),
        (lambda: nn.GRU(3, 4, proj_size=2), ValueError, "proj_size is for LSTM only"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size 4 must be smaller than hidden_size 4"),
        (lambda: nn.LSTM(3, 4, dropout=2), ValueError, "dropout must be a probability"),
        (lambda: nn.LSTM(3, 4)(mt.zeros(5)), ValueError, "expected an input of 2 or 3 axes"),
        (
            lambda: nn.LSTM(3, 4)(mt.zeros(5, 2, 4)),
            ValueError,
            r"expected 3 features in the last axis, got \(5, 2, 4\)",
        ),
        (lambda: nn.LSTM(3, 4)(mt.zeros(0, 2, 3)), ValueError, "at least one step"),
        (lambda: nn.LSTM(3, 4)(mt.zeros(5, 2, 3), mt.zeros(1, 2, 4)), ValueError, r"must be a pair \(h, c\)"),
        (
            lambda: nn.GRU(3, 4)(mt.zeros(5, 2, 3), mt.zeros(2, 2, 4)),
            ValueError,
            r"expected a state of shape \(1, 2, 4\), got \(2, 2, 4\)",
        ),
        (
            lambda: nn.GRU(3, 4)(mt.zeros(5, 2, 3), mt.zeros(1, 2, 4, **F64)),
            DtypeError,
            "an input of dtype float32 and a state of float64",
        ),
        (lambda: nn.GRUCell(3, 4)(mt.zeros(2, 5)), ValueError, r"expected an input \(N, 3\) or \(3\), got \(2, 5\)"),
        (
            lambda: nn.LSTMCell(3, 4)(mt.zeros(2, 3), (mt.zeros(1, 4), mt.zeros(1, 4))),
            ValueError,
            r"input \(2, 3\) and state \(1, 4\)",
        ),
        (lambda: packing.pack_padded_sequence(mt.zeros(3, 2), [2, 3]), ValueError, r"\[2, 3\] are not in decreasing"),
        (lambda: packing.pack_padded_sequence(mt.zeros(3, 2), [3, 0]), ValueError, "at least 1, got"),
        (lambda: packing.pack_padded_sequence(mt.zeros(3, 2), [3]), ValueError, "1 lengths up to 3 for 2 sequences"),
        (lambda: packing.pack_padded_sequence(mt.zeros(3, 2), [4, 1]), ValueError, "up to 4 for 2 sequences of 3"),
        (lambda: packing.pack_padded_sequence(mt.zeros(3, 2), [1.5, 1]), ValueError, "must be integers"),
        (lambda: packing.pad_sequence([]), ValueError, "there are no sequences"),
        (lambda: packing.pad_sequence([mt.zeros(2, 3), mt.zeros(2, 4)]), ValueError, r"\(2, 3\) and \(2, 4\) differ"),
        (lambda: packing.pad_sequence([mt.zeros(2)], padding_side="up"), ValueError, "must be 'right' or 'left'"),
        (lambda: packing.unpad_sequence(mt.zeros(3, 2), [3]), ValueError, "1 lengths for 2 sequences"),
        (
            lambda: packing.pad_packed_sequence(packing.pack_sequence([mt.zeros(3)]), total_length=2),
            ValueError,
            "total_length 2 is below the longest length 3",
        ),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_packing():
    rows = [mt.tensor([1.0, 2.0]), mt.tensor([3.0]), mt.tensor([4.0, 5.0, 6.0])]
    padded = packing.pad_sequence(rows, batch_first=True, padding_value=-1)
    assert padded.tolist() == [[1, 2, -1], [3, -1, -1], [4, 5, 6]]
    assert packing.pad_sequence(rows, padding_side="left").tolist() == [[0, 0, 4], [1, 0, 5], [2, 3, 6]]
    packed = packing.pack_sequence(rows, enforce_sorted=False)
    assert packed.data.tolist() == [4, 1, 3, 5, 2, 6]
    assert packed.batch_sizes.tolist() == [3, 2, 1]
    assert packed.sorted_indices.tolist() == [2, 0, 1]
    assert packed.unsorted_indices.tolist() == [1, 2, 0]
    back, lengths = packing.pad_packed_sequence(packed, batch_first=True, padding_value=-1, total_length=4)
    assert back.tolist() == [[1, 2, -1, -1], [3, -1, -1, -1], [4, 5, 6, -1]]
    assert lengths.tolist() == [2, 1, 3]
    assert [x.tolist() for x in packing.unpad_sequence(padded, lengths, True)] == [x.tolist() for x in rows]
    assert packed.double().data.dtype is mt.float64
    assert packed.cpu() is packed
    assert not packed.is_cuda
    x = mt.ones(3, 2, requires_grad=True)
    packing.pad_packed_sequence(packing.pack_padded_sequence(x, [3, 1]))[0].sum().backward()
    assert x.grad.tolist() == [[1, 1], [1, 0], [1, 0]]


def test_names_of_weights_in_one_list():
    layer = mt.nn.GRU(2, 3, bidirectional=True)
    assert layer._flat_weights_names[:2] == ["weight_ih_l0", "weight_hh_l0"]
    assert layer._flat_weights_names == list(dict(layer.named_parameters()))
    assert layer._flat_weights[4] is layer.weight_ih_l0_reverse
