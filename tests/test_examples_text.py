"""The programs on text and attention: what they compute, against hands and NumPy, and that they run."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

import numpy as np
import pytest
from programs import DATA, close, run

import minitensor as mt

pytest.importorskip("matplotlib")
import attention
import cooccurrence
import gpt
import next_word
import positions
import reviews
import tokens
import word_vectors


def softmax(x, t=1.0):
    e = np.exp((x - np.max(x)) / t)
    return e / e.sum()


# --- tokens and words -----------------------------------------------------------------------------


def test_bags(capsys):
    """D10-bow-toy, D10-bow-collision."""
    table = tokens.bags()
    assert [row.nonzero().flatten().tolist() for row in table] == [[0, 1, 3], [2, 5, 8], [0, 1]]
    assert "the same vector: True" in capsys.readouterr().out


def test_small_bpe():
    """D17-bpe by hand: five characters in order, then ab, ba, bac."""
    vocabulary, numbers = tokens.small_bpe()
    assert vocabulary == ["a", "b", "c", "d", "e", "ab", "ba", "bac"]
    assert numbers == [[6], [6], [6, 3], [4, 8], [8, 4, 5]]


def test_compression():
    """D17-compression: every text comes back, and the ratio is the definition's."""
    text = "the cat and the other cat; " * 40
    found = tokens.compression(text, 280, None)
    learnt = tokens.BPE.train(text, 280)
    assert found == {"the text's own": len(text) / len(learnt.encode(text))}


def test_zipf():
    """D17-reuters-top10, D17-zipf: exact shares of a known law are found again."""
    rank = np.arange(1, 201)
    (a, b, c), left = next_word.fit_zipf(next_word.f64(0.2 / (rank + 3.0) ** 1.1), 4000)
    assert left < 1e-6
    close([a, b, c], [0.2, 3.0, 1.1], 2e-2)
    assert next_word.zipf(1.0, 0.1, 1.5, 0.95) == 0.1 / 2.5**0.95


def test_temperatures(capsys):
    """D17-sigma1, D17-softmax-temperature, D17-bigrams-the, against NumPy."""
    next_word.temperatures()
    text = capsys.readouterr().out
    x = np.array([2, 5, 25, 3, 14, 4]) / 53
    counts = np.array([1941, 878, 810, 704, 620])
    for t, values in [(0.2, x), (5, x), (0.05, counts / counts.sum()), (10, counts / counts.sum())]:
        wanted = [f"{t:g}", *(f"{v:.6g}" for v in softmax(values, t))]
        assert re.search(r"^ *" + " +".join(map(re.escape, wanted)) + "$", text, re.M), wanted
    for line in re.findall(r"^ +(?:0|0\.25|0\.5|1|2)  .*$", text, re.M)[:5]:
        _, *pairs = line.split()
        assert pairs[0::2] == pairs[1::2]  # softmax and sigmoid


def test_sentences():
    """D17-temperature-bigrams, D17-trigrams: temperature 0 takes the most frequent follower, each word a known one."""
    found = "a b a b a c a b c a d".split()
    two = next_word.Followers(found, 2, 2)
    assert two.after[("a",)] == [("b", 3), ("c", 1)]  # and not d, the third
    assert two.sentence(["a"], 6, 0.0) == ["a", "b", "a", "b", "a", "b"]
    drawn = two.sentence(["a"], 200, 1.0, mt.Generator().manual_seed(0))
    known = set(itertools.pairwise(found))
    assert all(pair in known for pair in itertools.pairwise(drawn))
    three = next_word.Followers(found, 3, 20)
    assert three.sentence(["a", "b"], 3, 0.0) == ["a", "b", "a"]
    assert three.sentence(["d", "a"], 9, 1.0) == ["d", "a"]


def test_skip_trigrams(capsys):
    """D18-skip-trigrams: the word further back decides."""
    text = ("x p q one " * 20 + "y p q two " * 20 + "z z z z z z z z ").split()
    next_word.skips(text, gap=3)
    shown = capsys.readouterr().out
    assert "'la guerre est finie il faut signer'  la paix" in shown
    assert re.search(r"^ +x +\.\.\. +q +one +20 +1 +0\.5 +2$", shown, re.M)


# --- vectors of words -----------------------------------------------------------------------------


def test_lookup():
    """D17-embedding-lookup."""
    rows, gradient = word_vectors.lookup()
    assert rows.tolist() == [[3, 7, 11], [1, 5, 9], [3, 7, 11]]
    assert gradient.tolist() == [[10, 0, 101, 0]] * 3


def test_cosines(capsys):
    """D17-distance-cosine, D17-cosine-king, D17-gpt2-dogcat by hand."""
    found = word_vectors.cosines()
    close(found["roi"], 5 / math.sqrt(2 * 13))
    close(found["reine"], 2 / math.sqrt(2 * 13))
    close(found["princesse"], 2 / math.sqrt(3 * 13))
    text = capsys.readouterr().out
    assert f"distance {math.sqrt(5):.6f}, cosine {20 / math.sqrt(13 * 32):.6f}" in text
    assert "0.55 -> 56.6330" in text
    dog, cat = np.array(word_vectors.DOG), np.array(word_vectors.CAT)
    assert f"{dog @ cat / np.linalg.norm(dog) / np.linalg.norm(cat):.6f}" in text


def test_curse():
    """D17-curse-dimension: the mean square distance is d/6; in 768 dimensions about two thirds lie in 11.0-11.5."""
    found = word_vectors.curse()
    for d, distances in found.items():
        assert len(distances) == 1000 * 999 // 2
        close(distances.square().mean(), d / 6, 0.03)
    inside = ((found[768] >= 11.0) & (found[768] <= 11.5)).double().mean().item()
    assert 0.6 < inside < 0.75


@pytest.mark.parametrize("n", [2, 3, 4])
def test_cubes(n):
    """D17-hypercube: 2^n vertices of n edges each."""
    vertices, edges = word_vectors.cube(n)
    assert len(vertices) == 2**n
    assert len(edges) == n * 2 ** (n - 1)
    assert all((vertices[i] - vertices[j]).abs().sum() == 1 for i, j in edges)
    assert set(Counter(itertools.chain(*edges)).values()) == {n}


def test_projections():
    """D17-projection-line."""
    close(word_vectors.project_line(word_vectors.f64([3, 1]), word_vectors.f64([0.6, 0.8])), [1.56, 2.08])
    along, labels = word_vectors.projections()
    assert along[labels == 0].max() < along[labels == 1].min()


def test_components():
    """D17-pca against NumPy's covariance."""
    x, flat, labels = word_vectors.components()
    variances, directions = np.linalg.eigh(np.cov(x.numpy().T))
    centred = x.numpy() - x.numpy().mean(0)
    close(flat.abs(), np.abs(centred @ directions[:, ::-1][:, :2]), 1e-9)
    close(flat.var(0), variances[::-1][:2], 1e-9)
    near = mt.cdist(flat, flat) + 1e9 * mt.eye(len(flat), dtype=mt.float64)
    assert (labels[near.argmin(1)] == labels).all()


def test_analogy():
    """D17-king-queen: (1,0,0,1) - (1,0,0,0) + (0,1,0,0) is reine itself."""
    ranking = word_vectors.analogy()
    assert ranking[0][0] == "reine"
    close([c for _, c in ranking], [1, 2 / math.sqrt(6), 1 / math.sqrt(2), 0.5, 0])


def test_cooccurrence():
    """D17-cooccurrence, D17-reuters-matrix."""
    p = cooccurrence.matrix()
    counts = np.array(cooccurrence.COUNTS)
    close(p, counts / counts.sum(0))
    close(cooccurrence.columns(cooccurrence.f64([[0, 1], [0, 3]])), [[0, 0.25], [0, 0.75]])
    assert cooccurrence.reuters()[0, 1] == 6834


def test_learning_the_neighbours():
    """D17-cooc-train, D18-learned-unembed: down to the entropy of the columns, which is NumPy's."""
    p = cooccurrence.columns(cooccurrence.f64(cooccurrence.COUNTS))
    q = p.numpy()
    floor = -np.where(q > 0, q * np.log(np.where(q > 0, q, 1)), 0).sum(0).mean()
    close(cooccurrence.entropy(p), floor)
    model, losses = cooccurrence.learn(p, 3)
    assert floor < losses[-1] < floor + 1e-3
    found = model(mt.eye(4, dtype=mt.float64)).softmax(-1).t()
    assert (found - p).abs().max() < 0.02
    assert (model.embed.weight.shape, model.unembed.weight.shape) == ((3, 4), (4, 3))


def test_families():
    """D17-reuters-embedding, D17-word-groups: on a text of two families that never mix."""
    rng = np.random.default_rng(0)
    found = [w for _ in range(1500) for w in (rng.choice(["aa", "bb", "cc"]), rng.choice(["xx", "yy", "zz"]))]
    vocabulary, p, vectors = cooccurrence.embedding(found, 6, 600)
    assert sorted(vocabulary) == ["aa", "bb", "cc", "xx", "yy", "zz"]
    close(p.sum(0), np.ones(6), 1e-6)
    (flat, axes), known = cooccurrence.families(vocabulary, vectors, [["aa", "bb", "cc", "none"], ["xx", "yy", "zz"]])
    assert known == [["aa", "bb", "cc"], ["xx", "yy", "zz"]]
    assert axes.shape == flat.shape
    near = mt.cdist(flat, flat) + 1e9 * mt.eye(6, dtype=mt.float64)
    assert (near.argmin(1) // 3).tolist() == [0, 0, 0, 1, 1, 1]
    assert sum(w.numel() for w in cooccurrence.network(500).parameters()) == 500 * 50 + 50 + 2 * 2550 + 50 * 500 + 500


# --- reviews --------------------------------------------------------------------------------------


def test_reviews_are_told_apart(monkeypatch, tmp_path):
    """D10-imdb on invented reviews: counts by hand, rows of unit length, words that decide found as such."""
    monkeypatch.setenv("MINITENSOR_DATA", str(tmp_path))
    assert sum(p.numel() for p in reviews.book(1000).parameters()) == 5005 + 30 + 30 + 6
    learn, test = reviews.split(50)
    assert sorted([*learn.tolist(), *test.tolist()]) == list(range(50))
    assert len(test) == 10
    x, grams = reviews.weighted(["good film", "bad film", "good good play", "bad play"], range(4), 10)
    assert set(grams) == {"good", "bad", "film", "play"}  # no pair stands in two of them
    close(x.square().sum(1), np.ones(4), 1e-6)
    assert (x[0] > 0).sum() == 2
    text = run("reviews.py", "--epochs", "3", "--picture", tmp_path / "reviews.png")
    assert "invented ones take their place" in text or "IMDB's reviews" in text  # the user's cache may have them
    assert (tmp_path / "reviews.png").exists()


@pytest.mark.skipif(not (DATA / "imdb/reviews.jsonl.gz").exists(), reason="the reviews are not on this machine")
def test_real_reviews(monkeypatch):
    """D10-imdb: at least 86 % of the reviews held back."""
    monkeypatch.setenv("MINITENSOR_DATA", str(DATA))
    text = run("reviews.py", "--epochs", "1")
    assert float(re.search(r"how rare they are: ([\d.]+)% right", text)[1]) >= 86
    assert "5,071 weights" in text


# --- positions and attention ----------------------------------------------------------------------


def test_positions():
    """D18-posenc by the formula, D18-posenc-binary, D18-posenc-rotation."""
    w = positions.codes()
    for k in range(4):
        speeds = [100 ** (-2 * i / 6) for i in range(3)]
        close(w[k], [f(k * s) for s in speeds for f in (math.cos, math.sin)])
        close(positions.encode(k, 6, 100, sine_first=True), [f(k * s) for s in speeds for f in (math.sin, math.cos)])
    assert positions.digits(22, 2) == [0, 1, 1, 0, 1]
    assert positions.digits(22, 10) == [2, 2]
    assert positions.digits(0, 2) == [0]
    assert positions.turning() < 1e-14


def test_previous_head():
    """D18-previous-token-head: the scores are beta w_(i-1) . w_j / sqrt(n)."""
    a = positions.previous_head(30.0)
    w = positions.encode(range(-1, 6), 6, 100).numpy()
    for i in range(6):
        close(a[i, : i + 1], softmax(30 * w[i] @ w[1 : i + 2].T / math.sqrt(6)), 1e-9)
        assert not a[i, i + 1 :].any()
    assert a.diagonal(-1).min() > 0.99
    close(positions.previous_head(0.0)[3], [0.25, 0.25, 0.25, 0.25, 0, 0])


def test_scores_and_mixing():
    """D18-attention-scores by hand (7 and 10), D18-attention-matrix."""
    plain, scaled = attention.scores()
    close(plain, softmax(np.array([7, 10])))
    close(scaled, softmax(np.array([3.5, 5])))
    close(attention.mixing(), np.array(attention.SHARES).T)


def test_the_formula_of_a_head():
    """D18-attention-formula, D18-multihead-sizes."""
    assert max(attention.formula().values()) < 1e-13
    assert attention.sizes() < 1e-13
    x, wq, wk, wv = (np.random.default_rng(i).normal(size=s) for i, s in enumerate([(3, 4), (2, 3), (2, 3), (2, 3)]))
    wo = np.ones((3, 2))
    a, y = attention.head(*map(mt.tensor, (x, wq, wk, wv, wo)))
    s = (wq @ x).T @ (wk @ x) / math.sqrt(2)
    expected = np.stack([softmax(row) for row in s])
    close(a, expected)
    close(y, wo @ wv @ x @ expected.T)


def test_heads():
    """D18-gpt2-head-4-11, D18-head-gallery."""
    real = np.array(attention.HEAD_4_11)
    np.testing.assert_allclose(real.sum(1), 1, atol=2e-5)
    assert [row.argmax() for row in real] == [0, 0, 1, 2]
    gallery = attention.heads()
    assert gallery["the word before"].argmax(1).tolist() == [0, 0, 1, 2, 3, 4]
    assert gallery["repetitions"].argmax(1).tolist() == [0, 1, 2, 3, 0, 1]
    close(gallery["the past, evenly"][2], [1 / 3, 1 / 3, 1 / 3, 0, 0, 0])


def test_the_stream():
    """D18-residual."""
    found = attention.stream()
    assert found["same"]
    assert found["norms"][True][0] > 0.5
    assert found["norms"][False][0] < 1e-6


def test_outputs(capsys):
    """D18-final-output, D18-unembed-softmax, D18-gpt2-logits."""
    close(attention.outputs(), softmax(np.array([2.2, -1.1, 3.3, 0.44])))
    text = capsys.readouterr().out
    assert "gradient of its sum by C [[5.0], [7.0], [9.0]]" in text
    assert f"{math.exp(-91.7648 + 78.0818):.5e}" in text
    assert "naively: [nan, nan, nan, nan, nan]" in text


def test_chains():
    """TIPS-chain-attention: the sum of all hops is the full lower triangle."""
    found = attention.chain()
    close(found["total"], np.tril(np.ones((5, 5)), -1))
    close(found["powers"][2], np.eye(5, k=-3))


# --- the small GPT --------------------------------------------------------------------------------


def test_gpt_counts_and_bits():
    """D17-gpt2-small; the bigrams' cost by the definition."""
    assert gpt.gpt2_sizes() == 124_439_808
    ids, later = mt.tensor([0, 1, 0, 1, 1]), mt.tensor([1, 0, 1])
    p = np.array([[1, 2], [3, 2]]) / np.array([4, 4])  # counts + 1; columns: the character before
    assert gpt.bigram_bits(ids, later, 2) == pytest.approx(-(math.log2(p[0, 1]) + math.log2(p[1, 0])) / 2)


def test_gpt_learns_writes_and_is_kept(tmp_path):
    """D18-mini-gpt, D17-gpt2-thisdog on a text that repeats itself."""
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat. " * 300)
    kept, picture = tmp_path / "gpt.safetensors", tmp_path / "gpt.png"
    small = ["--text", text, "--context", "24", "--width", "32", "--steps", "250", "--batch", "16"]
    shown = run("gpt.py", *small, "--prompt", "the cat", "--save", kept, "--picture", picture, "--write", "20")
    assert "a later character changes nothing before it: True" in shown
    last = float(re.findall(r"held back (\S+)$", shown, re.M)[-1])
    bigram = float(re.search(r"character before (\S+)", shown)[1])
    assert last < 0.3 < bigram
    assert "T = 0.1\nthe cat sat on the mat. the\n" in shown
    assert picture.exists()
    again = run("gpt.py", "--text", text, "--load", kept, "--prompt", "on the", "--temperature", "0", "--write", "6")
    assert "on the mat. " in again


@pytest.mark.parametrize(
    "name", ["tokens.py", "next_word.py", "word_vectors.py", "cooccurrence.py", "positions.py", "attention.py"]
)
def test_the_programs_run(name, tmp_path):
    text = tmp_path / "text.txt"
    text.write_text("the cat sat on the mat and the dog sat on the cat; my father will see him. " * 60)
    drawn = [] if name == "tokens.py" else ["--picture", tmp_path / "picture.png"]
    chosen = ["--text", text] if name in ("tokens.py", "next_word.py", "cooccurrence.py") else []
    more = {
        "cooccurrence.py": ["--epochs", "3", "--families", "cat dog mat,the my him"],
        "tokens.py": ["--tokens", "290"],
    }
    run(name, *chosen, *more.get(name, []), *drawn)
    assert not drawn or (tmp_path / "picture.png").stat().st_size > 10_000
