"""GPT-2 against the same formulas in NumPy, and what generation must not change."""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitensor as mt
from minitensor.models import GPT2, GPT2Config
from minitensor.models.gpt2 import Cache

SMALL = GPT2Config(vocab_size=29, n_positions=12, n_embd=24, n_layer=3, n_head=4)


def small():
    mt.manual_seed(0)
    model = GPT2(SMALL)
    for p in model.parameters():  # biases and scales away from 0 and 1, so that each is seen
        p.data.add_(0.3 * mt.randn(p.shape))
    return model.eval()


def norm(x, w, b):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * w + b


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def by_numpy(w, ids, heads):
    """Logits and the attention of each layer, in float64, from weights under their published names."""
    w = {name: value.numpy().astype(np.float64) for name, value in w.items()}
    x = w["wte.weight"][ids] + w["wpe.weight"][: ids.shape[1]]
    batch, length, width = x.shape
    r, maps = width // heads, []
    for i in range(len({name.split(".")[1] for name in w if name.startswith("h.")})):

        def of(name, i=i):
            return w[f"h.{i}.{name}.weight"], w[f"h.{i}.{name}.bias"]

        m, b = of("attn.c_attn")
        q, k, v = np.split(norm(x, *of("ln_1")) @ m + b, 3, -1)
        split = lambda a: a.reshape(batch, length, heads, r).swapaxes(1, 2)  # noqa: E731
        scores = split(q) @ split(k).swapaxes(-1, -2) / math.sqrt(r)
        scores[..., np.triu(np.ones((length, length), bool), 1)] = -np.inf
        maps.append(softmax(scores))
        m, b = of("attn.c_proj")
        x = x + (maps[-1] @ split(v)).swapaxes(1, 2).reshape(x.shape) @ m + b
        m, b = of("mlp.c_fc")
        h = norm(x, *of("ln_2")) @ m + b
        h = 0.5 * h * (1 + np.tanh(math.sqrt(2 / math.pi) * (h + 0.044715 * h**3)))
        m, b = of("mlp.c_proj")
        x = x + h @ m + b
    return norm(x, w["ln_f.weight"], w["ln_f.bias"]) @ w["wte.weight"].T, maps


def test_logits_and_attention_by_numpy(tmp_path):
    model = small()
    model.save(tmp_path / "model.safetensors")
    weights = mt.load(tmp_path / "model.safetensors")
    assert weights["h.0.attn.c_attn.weight"].shape == (24, 72)  # inputs first, as published
    ids = np.random.default_rng(0).integers(0, 29, (2, 12))
    logits, maps = by_numpy(weights, ids, 4)
    np.testing.assert_allclose(model(mt.tensor(ids)).detach().numpy(), logits, rtol=1e-4, atol=1e-4)
    for found, expected in zip(model.attention(mt.tensor(ids)), maps, strict=True):
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_published_files_load(tmp_path):
    model, path = small(), tmp_path / "model.safetensors"
    model.save(path)
    plain = mt.load(path)
    dressed = {f"transformer.{name}": value for name, value in plain.items()}
    dressed |= {"transformer.h.0.attn.bias": mt.ones(1, 1, 12, 12), "lm_head.weight": plain["wte.weight"].clone()}
    mt.save(dressed, path)
    ids = mt.tensor([[3, 1, 4]])
    assert mt.equal(GPT2.load(path, n_head=4).eval()(ids), model(ids))
    with pytest.raises(ValueError, match="n_head"):
        GPT2.load(path)
    mt.save({"x": mt.ones(2)}, path)
    with pytest.raises(ValueError, match="no GPT-2"):
        GPT2.load(path)
    del plain["h.1.ln_2.bias"]
    mt.save(plain, path)
    with pytest.raises(RuntimeError, match=r"h\.1\.ln_2\.bias"):
        GPT2.load(path, n_head=4)


def test_the_small_models_parameters():
    """D17-gpt2-small, by hand: embeddings, 12 blocks, the last norm."""
    c = GPT2Config()
    n = c.n_embd
    block = 2 * 2 * n + (n * 3 * n + 3 * n) + (n * n + n) + (n * 4 * n + 4 * n) + (4 * n * n + n)
    expected = c.vocab_size * n + c.n_positions * n + 12 * block + 2 * n
    assert expected == 124_439_808
    for config in (SMALL, GPT2Config(vocab_size=100, n_positions=64)):
        n = config.n_embd
        block = 12 * n * n + 13 * n
        total = sum(p.numel() for p in GPT2(config).parameters())
        assert total == (config.vocab_size + config.n_positions) * n + config.n_layer * block + 2 * n
    assert GPT2Config.named("gpt2-medium") == GPT2Config(n_layer=24, n_head=16, n_embd=1024)


def test_nothing_looks_into_the_future():
    model = small()
    ids = mt.randint(0, 29, (1, 10))
    later = ids.clone()
    later[0, 6:] = (later[0, 6:] + 1) % 29
    a, b = model(ids), model(later)
    assert mt.equal(a[:, :6], b[:, :6])
    assert not mt.isclose(a[:, 6:], b[:, 6:]).all(-1).any()


@pytest.mark.parametrize("parts", [[12], [1] * 12, [5, 1, 4, 2]])
def test_keys_and_values_remembered(parts):
    model = small()
    ids = mt.randint(0, 29, (3, 12))
    with mt.no_grad():
        cache = Cache(SMALL, 3, model.wte.weight)
        found = mt.cat([model(part, cache) for part in ids.split(parts, 1)], 1)
        assert cache.length == 12
        np.testing.assert_allclose(found.numpy(), model(ids).numpy(), rtol=1e-4, atol=1e-5)
        with pytest.raises(ValueError, match="13 tokens, but the context is of 12"):
            model(ids[:, :1], cache)


@pytest.mark.parametrize("prompt", [1, 5, 12, 20])
def test_generation_with_and_without_memory(prompt):
    model = small()
    ids = mt.randint(0, 29, (prompt,)).tolist()
    assert model.generate(ids, 20, temperature=0.0) == model.generate(ids, 20, temperature=0.0, cached=False)
    model.train()
    how = [model.generate(ids, 20, top_k=5, generator=mt.Generator().manual_seed(1), cached=c) for c in (True, False)]
    assert how[0] == how[1]
    assert model.training
    assert how[0][:prompt] == ids
    assert len(how[0]) == prompt + 20
    assert model.generate(ids, 0) == ids


def test_generation_takes_the_likeliest_and_stops():
    model = small()
    ids = [2, 3]
    for _ in range(4):
        ids.append(int(model(mt.tensor([ids]))[0, -1].argmax()))
    assert model.generate([2, 3], 4, temperature=0.0) == ids
    stop = ids[3]
    assert model.generate([2, 3], 4, temperature=0.0, stop=stop) == ids[: ids.index(stop, 2) + 1]
    batch = model.generate(mt.tensor([[2, 3], [2, 3]]), 4, temperature=0.0)
    assert batch.tolist() == [ids, ids]
    with pytest.raises(ValueError, match="-1 tokens"):
        model.generate([1], -1)


def test_wrong_input():
    model = small()
    with pytest.raises(ValueError, match=r"\(batch, length\), not \(3,\)"):
        model(mt.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="13 tokens"):
        model(mt.zeros(1, 13, dtype=mt.int64))
    with pytest.raises(IndexError):
        model(mt.tensor([[29]]))
    with pytest.raises(ValueError, match="5 heads do not divide the width 24"):
        GPT2Config(n_embd=24, n_head=5)
    with pytest.raises(ValueError, match="'gpt3' is none of"):
        GPT2Config.named("gpt3")


def test_it_learns():
    """A text of one repeated period has no surprise left once it is learnt."""
    mt.manual_seed(0)
    model = GPT2(GPT2Config(vocab_size=7, n_positions=16, n_embd=16, n_layer=1, n_head=2, dropout=0.0))
    text = mt.arange(64) % 7
    optimizer = mt.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        start = mt.randint(0, 48, (8, 1))
        ids = text[start + mt.arange(17)]
        loss = mt.nn.functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1
    assert model.generate([0, 1, 2], 7, temperature=0.0) == [0, 1, 2, 3, 4, 5, 6, 0, 1, 2]
