"""Attention and transformers: against plain NumPy, masks, shared heads, derivatives, layers and their parameters."""

import copy
import math

import numpy as np
import pytest
from checks import check, check_third

import minitensor as mt
from minitensor import nn
from minitensor.nn.functional import scaled_dot_product_attention as attention

RNG = np.random.default_rng(0)


def draw(*shape):
    return mt.from_numpy(RNG.standard_normal(shape))


def by_numpy(q, k, v, bias=0.0, scale=None):
    s = np.einsum("...ld,...sd->...ls", q, k) * (1 / math.sqrt(q.shape[-1]) if scale is None else scale) + bias
    p = np.exp(s - s.max(-1, keepdims=True))
    return np.einsum("...ls,...sv->...lv", p / p.sum(-1, keepdims=True), v)


SHAPES = [
    ((3, 4), (5, 4), (5, 2)),
    ((2, 3, 4), (2, 5, 4), (2, 5, 6)),
    ((2, 3, 4, 8), (2, 3, 7, 8), (2, 3, 7, 8)),
    ((3, 4), (2, 5, 4), (2, 5, 2)),
    ((2, 1, 3, 4), (1, 2, 5, 4), (1, 2, 5, 4)),
]


@pytest.mark.parametrize("shapes", SHAPES)
def test_values(shapes):
    q, k, v = (draw(*s) for s in shapes)
    arrays = [x.numpy() for x in (q, k, v)]
    length, keys = shapes[0][-2], shapes[1][-2]
    seen = RNG.random((length, keys)) < 0.7
    seen[:, 0] = True
    bias = RNG.standard_normal((length, keys))
    minus = np.where(np.tri(length, keys), 0, -np.inf)
    for have, want in (
        (attention(q, k, v), by_numpy(*arrays)),
        (attention(q, k, v, scale=0.3), by_numpy(*arrays, scale=0.3)),
        (attention(q, k, v, is_causal=True), by_numpy(*arrays, minus)),
        (attention(q, k, v, mt.from_numpy(seen)), by_numpy(*arrays, np.where(seen, 0, -np.inf))),
        (attention(q, k, v, mt.from_numpy(bias)), by_numpy(*arrays, bias)),
    ):
        np.testing.assert_allclose(have.numpy(), want, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["bools", "numbers"])
def test_a_query_that_sees_nothing(kind):
    """Its result is 0, and neither it nor its neighbours have NaN for gradients."""
    x = draw(3, 4).requires_grad_()
    seen = np.array([[True, True, False], [False, False, False], [True, True, True]])
    mask = mt.from_numpy(seen if kind == "bools" else np.where(seen, 0.0, -np.inf))
    y = attention(x, x, x, mask)
    assert (y.detach().numpy()[1] == 0).all()
    (g,) = mt.autograd.grad(y.sum(), x, create_graph=True)
    (h,) = mt.autograd.grad((g * g).sum(), x)
    assert np.isfinite(g.detach().numpy()).all()
    assert np.isfinite(h.numpy()).all()


def test_no_keys_and_no_queries():
    assert (attention(draw(2, 3, 4), draw(2, 0, 4), draw(2, 0, 5)).numpy() == np.zeros((2, 3, 5))).all()
    assert attention(draw(2, 0, 4), draw(2, 3, 4), draw(2, 3, 5)).shape == (2, 0, 5)


def test_shared_heads():
    q, k, v = draw(2, 6, 3, 4), draw(2, 2, 5, 4), draw(2, 2, 5, 4)
    wide = [mt.from_numpy(np.repeat(x.numpy(), 3, axis=1)) for x in (k, v)]
    have = attention(q, k, v, enable_gqa=True).numpy()
    np.testing.assert_allclose(have, attention(q, *wide).numpy(), rtol=1e-12)
    with pytest.raises(ValueError, match="no multiple"):
        attention(q, draw(2, 4, 5, 4), draw(2, 4, 5, 4), enable_gqa=True)


def test_dropout_drops_weights():
    q, eye = mt.zeros(1, 4), mt.eye(1000)
    mt.manual_seed(0)
    weights = attention(q, mt.zeros(1000, 4), eye, dropout_p=0.25).numpy() * 1000
    np.testing.assert_allclose(np.unique(weights), [0, 4 / 3], rtol=1e-5)
    assert abs((weights == 0).mean() - 0.25) < 0.05


def test_errors():
    x = draw(2, 3, 4)
    for args, error, said in (
        ((x, draw(2, 3, 5), x), ValueError, r"query \(2, 3, 4\), key \(2, 3, 5\)"),
        ((x, x, draw(2, 4, 4)), ValueError, "expected"),
        ((x, draw(3, 3, 4), draw(3, 3, 4)), ValueError, "do not broadcast"),
        ((x, x.float(), x), TypeError, "one dtype"),
        ((x, x, x, mt.ones(2, 2, 2)), ValueError, r"attn_mask \(2, 2, 2\) does not broadcast"),
        ((x, x, x, mt.ones(5, 2, 3, 3)), ValueError, "does not broadcast"),
        ((x, x, x, mt.ones(3, 3, dtype=mt.int64)), TypeError, "attn_mask must be bool or float64"),
        ((x, x, x, mt.ones(3, 3), 0.0, True), ValueError, "either attn_mask or is_causal"),
        ((x[0, 0], x, x), ValueError, "expected"),
    ):
        with pytest.raises(error, match=said):
            attention(*args)


@pytest.mark.parametrize("case", ["plain", "causal", "mask", "gqa"])
def test_derivatives(case):
    """First and second, reverse and forward, in four axes too."""
    heads = 1 if case == "gqa" else 2
    q, k, v = draw(1, 2, 2, 3), draw(1, heads, 3, 3), draw(1, heads, 3, 2)
    bias = draw(2, 3)
    how = {"causal": {"is_causal": True}, "gqa": {"enable_gqa": True}}.get(case, {})

    def f(q, k, v, bias):
        return attention(q, k, v, bias if case == "mask" else None, **how)

    leaves = [x.requires_grad_() for x in (q, k, v, bias)][: 4 if case == "mask" else 3]
    check(f if case == "mask" else lambda q, k, v: f(q, k, v, None), *leaves)
    assert mt.autograd.gradcheck(
        f if case == "mask" else lambda q, k, v: f(q, k, v, None), leaves, check_forward_ad=True
    )


def test_third_derivative():
    check_third(lambda x: (attention(x, x, x) ** 2).sum(), *RNG.standard_normal((2, 2, 3, 4)))


@pytest.mark.parametrize("length", [5, 70, 600])
def test_heads_as_they_lie(length):
    """Heads cut out of one projection and transposed are read in place, and the results lie as they do."""
    x = RNG.standard_normal((2, length, 3, 4, 8))
    views = [mt.from_numpy(x)[:, :, i].transpose(1, 2).requires_grad_() for i in range(3)]
    copies = [v.detach().clone(memory_format=mt.contiguous_format).requires_grad_() for v in views]
    y, z = attention(*views, is_causal=True), attention(*copies, is_causal=True)
    exact = mt.cpu.isa() != "reference"  # NumPy's products of strided and of contiguous arrays round differently
    np.testing.assert_allclose(
        y.detach().numpy(), z.detach().numpy(), rtol=0 if exact else 1e-9, atol=0 if exact else 1e-12
    )
    arrays = [v.detach().numpy() for v in views]
    want = by_numpy(*arrays, np.where(np.tri(length), 0, -np.inf))
    np.testing.assert_allclose(z.detach().numpy(), want, rtol=1e-9, atol=1e-12)
    if mt.cpu.isa() != "reference":  # NumPy lays its results out in row-major order
        assert y.transpose(1, 2).is_contiguous()
    for a, b in zip(mt.autograd.grad((y**2).sum(), views), mt.autograd.grad((z**2).sum(), copies), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9, atol=1e-12)
        assert a.shape == (2, 4, length, 8)


def test_what_is_hidden_does_not_count():
    """NaN in keys and values of the future reaches no query of the past, nor any gradient of theirs."""
    q, k, v = (draw(2, 20, 4) for _ in range(3))
    want = attention(q, k, v, is_causal=True).numpy()[:, :12]
    k.numpy()[:, 12:], v.numpy()[:, 12:] = np.nan, np.inf
    leaves = [x.requires_grad_() for x in (q, k, v)]
    y = attention(*leaves, is_causal=True)[:, :12]
    np.testing.assert_allclose(y.detach().numpy(), want, rtol=1e-12)
    for g in mt.autograd.grad(y.sum(), leaves[:1]):
        assert np.isfinite(g.numpy()[:, :12]).all()


def test_far_scores():
    """Scores far apart neither overflow nor leave the weights' sum at 0; blocks of keys are weighed against another."""
    q, k = mt.full((1, 1), 1.0), mt.full((700, 1), -2000.0)
    k[650] = 1000.0
    v = mt.arange(700.0).reshape(700, 1)
    assert attention(q, k, v, scale=1.0).item() == 650
    assert attention(-q, k, v, scale=1.0).item() == pytest.approx((699 * 350 - 650) / 699, rel=1e-6)


# --- several heads ----------------------------------------------------------------------------------------------------


def test_heads_are_attention_in_parts():
    layer = nn.MultiheadAttention(6, 2, dtype=mt.float64)
    nn.init.normal_(layer.in_proj_bias)
    x, y = draw(4, 3, 6), draw(5, 3, 6)
    out, weights = layer(x, y, y)
    w, b = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    q, k, v = (a.numpy() @ w[i * 6 : i * 6 + 6].T + b[i * 6 : i * 6 + 6] for i, a in enumerate((x, y, y)))
    heads = [np.stack([a[..., :3], a[..., 3:]]).transpose(2, 0, 1, 3) for a in (q, k, v)]  # (N, H, L, 3)
    want = by_numpy(*heads).transpose(2, 0, 1, 3).reshape(4, 3, 6) @ layer.out_proj.weight.detach().numpy().T
    np.testing.assert_allclose(out.detach().numpy(), want, rtol=1e-10)
    np.testing.assert_allclose(weights.detach().numpy().sum(-1), np.ones((3, 4)), rtol=1e-12)
    one, none = layer(x[:, 0], y[:, 0], y[:, 0], need_weights=False)
    np.testing.assert_allclose(one.detach().numpy(), want[:, 0], rtol=1e-10)
    assert none is None
    each = layer(x, y, y, average_attn_weights=False)[1]
    assert each.shape == (3, 2, 4, 5)
    np.testing.assert_allclose(each.mean(1).detach().numpy(), weights.detach().numpy(), rtol=1e-12)


def test_batch_first_and_one_input_for_all():
    layer = nn.MultiheadAttention(6, 3, batch_first=True, dtype=mt.float64)
    x = draw(2, 4, 6)
    same = layer(x, x, x)[0].detach().numpy()  # one product for all three
    np.testing.assert_allclose(same, layer(x, x.clone(), x.clone())[0].detach().numpy(), rtol=1e-10)
    layer.batch_first = False
    np.testing.assert_allclose(same, layer(*[x.transpose(0, 1)] * 3)[0].transpose(0, 1).detach().numpy(), rtol=1e-10)


def test_masks_hide_keys():
    layer = nn.MultiheadAttention(6, 2, dtype=mt.float64)
    x = draw(4, 3, 6)
    padded = mt.tensor([[False, False, True, True]] * 3)
    short = layer(x, x[:2], x[:2])[0].detach().numpy()
    for mask in (padded, mt.where(padded, -math.inf, 0.0)):
        out, weights = layer(x, x, x, key_padding_mask=mask)
        np.testing.assert_allclose(out.detach().numpy(), short, rtol=1e-10)
        assert (weights.detach().numpy()[:, :, 2:] == 0).all()
    causal = nn.Transformer.generate_square_subsequent_mask(4, dtype=mt.float64)
    want = layer(x, x, x, attn_mask=causal)[0].detach().numpy()
    for mask, how in (
        (causal, {"is_causal": True, "need_weights": False}),
        (causal < 0, {}),
        ((causal < 0).expand(6, 4, 4), {}),
    ):
        np.testing.assert_allclose(layer(x, x, x, attn_mask=mask, **how)[0].detach().numpy(), want, rtol=1e-10)


def test_all_keys_hidden():
    layer = nn.MultiheadAttention(4, 2)
    x, padded = mt.ones(3, 2, 4), mt.tensor([[True] * 3, [False] * 3])
    y, weights = layer(x, x, x, key_padding_mask=padded)
    assert y.isnan()[:, 0].all()
    assert weights.isnan()[0].all()
    assert not y.isnan()[:, 1].any()
    y = layer(x, x, x, key_padding_mask=padded, need_weights=False)[0]
    np.testing.assert_array_equal(y[:, 0].detach().numpy(), 0)


def test_further_keys():
    x = draw(4, 3, 6)
    layer = nn.MultiheadAttention(6, 2, add_bias_kv=True, add_zero_attn=True, dtype=mt.float64)
    _, weights = layer(x, x, x, key_padding_mask=mt.ones(3, 4, dtype=mt.bool))
    assert weights.shape == (3, 4, 6)
    assert (weights.detach().numpy()[:, :, :4] == 0).all()  # only the further two can be seen
    np.testing.assert_allclose(weights.detach().numpy().sum(-1), np.ones((3, 4)))


def test_names_of_the_parameters():
    assert list(nn.MultiheadAttention(4, 2).state_dict()) == [
        "in_proj_weight",
        "in_proj_bias",
        "out_proj.weight",
        "out_proj.bias",
    ]
    separate = nn.MultiheadAttention(4, 2, kdim=3, add_bias_kv=True).state_dict()
    assert {name: tuple(p.shape) for name, p in separate.items()} == {
        "q_proj_weight": (4, 4),
        "k_proj_weight": (4, 3),
        "v_proj_weight": (4, 4),
        "in_proj_bias": (12,),
        "bias_k": (1, 1, 4),
        "bias_v": (1, 1, 4),
        "out_proj.weight": (4, 4),
        "out_proj.bias": (4,),
    }


def test_errors_of_the_layer():
    layer, x = nn.MultiheadAttention(4, 2), mt.zeros(3, 2, 4)
    with pytest.raises(ValueError, match="embed_dim 4 cannot be divided into 3 heads"):
        nn.MultiheadAttention(4, 3)
    with pytest.raises(ValueError, match="the last size must be embed_dim 4"):
        layer(mt.zeros(3, 2, 5), x, x)
    with pytest.raises(ValueError, match="equally long"):
        layer(x, x, x[:2])
    with pytest.raises(ValueError, match=r"key_padding_mask \(3, 2\) must have the shape \(2, 3\)"):
        layer(x, x, x, key_padding_mask=mt.zeros(3, 2, dtype=mt.bool))
    with pytest.raises(ValueError, match=r"attn_mask \(1, 3, 3\) must have the shape \(3, 3\) or \(4, 3, 3\)"):
        layer(x, x, x, attn_mask=mt.zeros(1, 3, 3))
    with pytest.raises(TypeError, match="bools or floating"):
        layer(x, x, x, attn_mask=mt.zeros(3, 3, dtype=mt.int64))
    with pytest.raises(ValueError, match="must be given with it"):
        layer(x, x, x, is_causal=True)


# --- transformers -----------------------------------------------------------------------------------------------------


def test_encoder_layer_is_its_formula():
    x = draw(4, 3, 8)
    for first in (False, True):
        layer = nn.TransformerEncoderLayer(8, 2, 16, 0.0, "gelu", norm_first=first, dtype=mt.float64)

        def attend(x, layer=layer):
            return layer.self_attn(x, x, x)[0]

        def feed(x, layer=layer):
            return layer.linear2(mt.nn.functional.gelu(layer.linear1(x)))

        if first:
            y = x + attend(layer.norm1(x))
            want = y + feed(layer.norm2(y))
        else:
            y = layer.norm1(x + attend(x))
            want = layer.norm2(y + feed(y))
        np.testing.assert_allclose(layer(x).detach().numpy(), want.detach().numpy(), rtol=1e-10)


def test_decoder_layer_sees_no_later_targets():
    layer = nn.TransformerDecoderLayer(8, 2, 16, dtype=mt.float64).eval()
    mask = nn.Transformer.generate_square_subsequent_mask(4, dtype=mt.float64)
    memory, x = draw(5, 3, 8), draw(4, 3, 8)
    later = mt.from_numpy(np.concatenate([x.numpy()[:2], RNG.standard_normal((2, 3, 8))]))
    before, after = (layer(t, memory, tgt_mask=mask).detach().numpy() for t in (x, later))
    np.testing.assert_array_equal(before[:2], after[:2])
    assert not np.allclose(before[2:], after[2:])


def test_layers_are_copies():
    layer = nn.TransformerEncoderLayer(8, 2, 16)
    net = nn.TransformerEncoder(layer, 2, nn.LayerNorm(8))
    a, b = net.layers
    assert a.linear1.weight is not b.linear1.weight
    assert (a.linear1.weight == b.linear1.weight).all()
    assert [n for n in net.state_dict() if "norm" in n and "layers" not in n] == ["norm.weight", "norm.bias"]
    again = copy.deepcopy(net)
    again.load_state_dict(net.state_dict())
    x = mt.ones(3, 2, 8)
    net.eval(), again.eval()
    np.testing.assert_array_equal(net(x).detach().numpy(), again(x).detach().numpy())


def test_transformer_learns_to_reverse():
    """The whole of it: masks, an optimizer's steps, and the loss goes down."""
    mt.manual_seed(0)
    net = nn.Transformer(16, 2, 1, 1, 32, dropout=0.0, batch_first=True)
    embed, out = nn.Embedding(6, 16), nn.Linear(16, 5)
    parameters = [*net.parameters(), *embed.parameters(), *out.parameters()]
    optimizer = mt.optim.Adam(parameters, lr=0.005)
    mask = net.generate_square_subsequent_mask(4)
    losses = []
    for _ in range(60):
        source = mt.randint(0, 5, (16, 4))
        target = source.flip(1)
        start = mt.cat([mt.full((16, 1), 5), target[:, :-1]], 1)
        place = mt.arange(4).float()[:, None] * 0.5
        logits = out(net(embed(source) + place.sin(), embed(start) + place.sin(), tgt_mask=mask))
        loss = nn.functional.cross_entropy(logits.transpose(1, 2), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 1.3
    assert np.mean(losses[-5:]) < 0.8 * losses[0]


def test_transformer_errors():
    net = nn.Transformer(8, 2, 1, 1, 16)
    with pytest.raises(ValueError, match="the same batch"):
        net(mt.zeros(5, 3, 8), mt.zeros(4, 2, 8))
    with pytest.raises(ValueError, match="must be d_model 8"):
        net(mt.zeros(5, 3, 8), mt.zeros(4, 3, 7))
    with pytest.raises(ValueError, match="'relu', 'gelu' or a function"):
        nn.TransformerEncoderLayer(8, 2, activation="swish")
