"""BERT against its formulas in NumPy, its files, and WordPiece against what its sources say."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

import minitensor as mt
from minitensor.models import Bert, BertConfig, SentenceEncoder
from minitensor.text import WordPiece

SIZES = {
    "vocab_size": 20,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 16,
    "max_position_embeddings": 10,
}
PIECES = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "un",
    "##aff",
    "##able",
    "a",
    "cafe",
    "!",
    "'",
    "t",
    "##b",
    "中",
]


@pytest.fixture
def model():
    mt.manual_seed(0)
    made = Bert(BertConfig(**SIZES)).eval()
    with mt.no_grad():
        for p in made.parameters():
            p.normal_(0, 0.3)
    return made


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def formulas(w, ids, parts, mask, heads=3):
    """The vectors, by the paper."""

    def dense(name, x):
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name, x):
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return scaled * w[f"{name}.weight"] + w[f"{name}.bias"]

    e = "embeddings."
    x = w[e + "word_embeddings.weight"][ids] + w[e + "token_type_embeddings.weight"][parts]
    x = norm(e + "LayerNorm", x + w[e + "position_embeddings.weight"][: ids.shape[1]])
    for i in range(2):
        layer = f"encoder.layer.{i}."
        q, k, v = [dense(f"{layer}attention.self.{n}", x) for n in ("query", "key", "value")]
        out = np.zeros_like(x)
        r = x.shape[-1] // heads
        for h in range(heads):
            s = slice(h * r, (h + 1) * r)
            scores = q[..., s] @ k[..., s].swapaxes(1, 2) / math.sqrt(r)
            scores = np.where(mask[:, None, :] == 0, -np.inf, scores)
            p = np.exp(scores - scores.max(-1, keepdims=True))
            out[..., s] = p / p.sum(-1, keepdims=True) @ v[..., s]
        x = norm(layer + "attention.output.LayerNorm", dense(layer + "attention.output.dense", out) + x)
        inner = gelu(dense(layer + "intermediate.dense", x))
        x = norm(layer + "output.LayerNorm", dense(layer + "output.dense", inner) + x)
    return x, np.tanh(dense("pooler.dense", x[:, 0]))


def test_it_is_the_papers(model):
    rng = np.random.default_rng(0)
    ids, parts = rng.integers(0, 20, (3, 7)), rng.integers(0, 2, (3, 7))
    mask = np.ones((3, 7), np.int64)
    mask[1, 4:] = 0
    weights = {name: value.numpy().astype(np.float64) for name, value in model.state_dict().items()}
    want, pooled = formulas(weights, ids, parts, mask)
    with mt.no_grad():
        got, got_pooled = model(*map(mt.from_numpy, (ids, mask, parts)))
    np.testing.assert_allclose(got.numpy()[mask == 1], want[mask == 1], atol=2e-5)
    np.testing.assert_allclose(got_pooled.numpy(), pooled, atol=2e-5)


def test_names_are_the_published_ones(model):
    assert list(model.state_dict())[:10] == [
        "embeddings.word_embeddings.weight",
        "embeddings.position_embeddings.weight",
        "embeddings.token_type_embeddings.weight",
        "embeddings.LayerNorm.weight",
        "embeddings.LayerNorm.bias",
        "encoder.layer.0.attention.self.query.weight",
        "encoder.layer.0.attention.self.query.bias",
        "encoder.layer.0.attention.self.key.weight",
        "encoder.layer.0.attention.self.key.bias",
        "encoder.layer.0.attention.self.value.weight",
    ]
    assert sum(p.numel() for p in Bert(BertConfig(num_hidden_layers=0)).parameters()) == 23_837_184 + 590_592


@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_files(model, tmp_path: Path, file):
    (tmp_path / "config.json").write_text(json.dumps({**SIZES, "model_type": "bert", "pad_token_id": 0}))
    with pytest.raises(FileNotFoundError, match=r"none of model\.safetensors"):
        Bert.load(tmp_path)
    old = {}
    for name, value in model.state_dict().items():  # as the first published files have it
        name = name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta")
        old["bert." + name] = value.clone()
    old["cls.predictions.bias"] = mt.zeros(20)
    mt.save(old, tmp_path / file)
    found = Bert.load(tmp_path)
    assert not found.training
    ids = mt.tensor([[1, 2, 3]])
    assert mt.equal(found(ids)[0], model(ids)[0])
    del old["bert.encoder.layer.1.output.dense.bias"]
    mt.save(old, tmp_path / file)
    with pytest.raises(ValueError, match=r"lacks encoder\.layer\.1\.output\.dense\.bias"):
        Bert.load(tmp_path)


def test_what_does_not_fit(model, tmp_path):
    with pytest.raises(ValueError, match="11 tokens, but there are 10 positions"):
        model(mt.zeros(1, 11, dtype=mt.int64))
    with pytest.raises(ValueError, match=r"of shape \(batch, length\)"):
        model(mt.zeros(3, dtype=mt.int64))
    with pytest.raises(ValueError, match="5 heads do not divide the width 12"):
        BertConfig(**{**SIZES, "num_attention_heads": 5})
    with pytest.raises(ValueError, match="'swish'"):
        BertConfig(hidden_act="swish")
    (tmp_path / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(ValueError, match="of a gpt2"):
        BertConfig.read(tmp_path / "config.json")


def test_sentences(model):
    encoder = SentenceEncoder(model, WordPiece(PIECES), 8)
    texts = ["unaffable a!", "a", "!" * 20, ""]
    found = encoder.encode(texts, batch_size=3)
    assert found.shape == (4, 12)
    np.testing.assert_allclose((found**2).sum(1).numpy(), 1, rtol=1e-5)
    np.testing.assert_allclose(encoder.encode(["a"])[0].numpy(), found[1].numpy(), atol=1e-5)  # padding changes nothing
    with mt.no_grad():
        mean = model(mt.tensor([[2, 8, 3]]))[0].mean(1)
    np.testing.assert_allclose(found[1].numpy(), (mean / mean.norm()).numpy()[0], atol=1e-5)
    assert encoder.encode([]).shape == (0, 12)
    with pytest.raises(TypeError, match="a list of texts"):
        encoder.encode("a")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, world!", ["hello", ",", "world", "!"]),
        ("don't", ["don", "'", "t"]),
        ("Ünïcödé café", ["unicode", "cafe"]),
        ("你好 mixed中", ["你", "好", "mixed", "中"]),
        ("a\tb\r\nc\u00a0d\u3000e", ["a", "b", "c", "d", "e"]),
        ("zero\u200bwidth\u00ad \x00\ufffdx", ["zerowidth", "x"]),
        ("$5 €7 @x", ["$", "5", "€7", "@", "x"]),
        ("日本語テキスト。", ["日", "本", "語", "テキスト", "。"]),
        ("", []),
    ],
)
def test_words(text, words):
    assert WordPiece(PIECES).words(text) == words


def test_pieces():
    t = WordPiece(PIECES)
    assert t.pieces("Unaffable, café!") == ["un", "##aff", "##able", "[UNK]", "cafe", "!"]
    assert t.pieces("[MASK] a[MASK] [mask]") == ["[MASK]", "a", "[MASK]", "[UNK]", "[UNK]", "[UNK]"]
    assert t.pieces("a" + "b" * 99) == ["a", *["##b"] * 99]
    assert t.pieces("a" + "b" * 100) == ["[UNK]"]
    assert t.encode("a!", "t") == [2, 8, 10, 3, 12, 3]
    assert t.encode("a a a a", max_length=4) == [2, 8, 8, 3]
    ids, mask = t.batch(["a", "a ! !"])
    assert ids.tolist() == [[2, 8, 3, 0, 0], [2, 8, 10, 10, 3]]
    assert mask.tolist() == [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]]
    assert t.decode([2, 5, 6, 7, 1, 3]) == "unaffable [UNK]"
    assert t.decode([2, 8, 3], skip_special=False) == "[CLS] a [SEP]"
    assert WordPiece(["A", *PIECES], lower=False).pieces("A é") == ["A", "[UNK]"]


def test_vocabularies(tmp_path):
    (tmp_path / "vocab.txt").write_text("\n".join(PIECES) + "\n", encoding="utf-8")
    t = WordPiece.load(tmp_path / "vocab.txt")
    assert (len(t), t.number("中"), t.number("none")) == (15, 14, 1)
    assert repr(t) == "WordPiece(15 pieces, lower case)"
    with pytest.raises(ValueError, match=r"no \[CLS\], \[SEP\]"):
        WordPiece(["[UNK]", "[PAD]"])
