"""Tokens, words and the choice of the next token: worked by hand, or by the slow definition."""

from __future__ import annotations

import json
import random
import unicodedata
from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
from programs import DATA

import minitensor as mt
from minitensor.text import (
    BPE,
    Vocabulary,
    bag_of_words,
    cooccurrence,
    learn_merges,
    ngrams,
    probabilities,
    sample,
    words,
)

GPT2 = DATA / "gpt2-bpe"
needs_gpt2 = pytest.mark.skipif(not GPT2.is_dir(), reason="GPT-2's vocabulary is not on this machine")


def by_definition(found, most):
    """Byte pair encoding by counting everything anew after each merge."""
    texts = [list(word) for word in found]
    merges = []
    for _ in range(most):
        counts = Counter(pair for text in texts for pair in pairwise(text))
        if not counts or max(counts.values()) < 2:
            break
        best = max(counts, key=counts.get)  # the first of equals, and Counter keeps the order of appearance
        merges.append((*best, counts[best]))
        for k, text in enumerate(texts):
            new, i = [], 0
            while i < len(text):
                step = 2 if tuple(text[i : i + 2]) == best else 1
                new.append("".join(text[i : i + step]))
                i += step
            texts[k] = new
    return merges


def test_the_books_small_text():
    """D17-bpe by hand: ab stands 3 times; then dbac and bacde leave b-a and a-c twice each, and ba is met first."""
    found = "ab ab abc dbac bacde".split()
    merges = [tuple(merge) for merge in learn_merges(found, 10)]
    assert merges == [("a", "b", 3), ("b", "a", 2), ("ba", "c", 2)]


def test_merges_agree_with_the_definition():
    rng = random.Random(0)
    for _ in range(300):
        found = ["".join(rng.choice("abc") for _ in range(rng.randint(0, 9))) for _ in range(rng.randint(0, 8))]
        assert [tuple(m) for m in learn_merges(found, 12)] == by_definition(found, 12), found


def test_merges_of_counted_words_and_of_bytes():
    assert [tuple(m) for m in learn_merges({"low": 5, "slow": 2}, 2)] == [("l", "o", 7), ("lo", "w", 7)]
    assert list(learn_merges([b"ab", b"ab"], 1)) == [(b"a", b"b", 2)]
    assert list(learn_merges(["ab", "cd"], 5)) == []
    assert list(learn_merges(["ab", "ab"], 0)) == []
    with pytest.raises(ValueError, match="fewer than 0"):
        list(learn_merges(["ab"], -1))


ANYTHING = [
    "",
    " ",
    "\n\n  \t x",
    "naïve café — 日本語 🙂👩‍👩‍👧",
    "it's we'll I'D 12½ Ⅷ a_b",
    "\x00\x1c\x85\u2028\ud800",
    "a" * 1000,
    "ab" * 500,
]


@pytest.mark.parametrize("text", ANYTHING, ids=range(len(ANYTHING)))
def test_any_text_comes_back(text):
    bpe = BPE.train("it's a text, a naïve text; a text of 12 words: 日本語 日本語 aaaa aaaa", 300)
    ids = bpe.encode(text)
    assert bpe.decode(ids) == text
    assert b"".join(bpe.tokens[i] for i in ids) == text.encode("utf-8", "surrogatepass")
    assert bpe.decode(mt.tensor(ids, dtype=mt.int64)) == text


def test_every_character_comes_back():
    bpe = BPE.train("", 257)
    assert len(bpe) == 257
    every = "".join(map(chr, range(0x110000)))
    assert bpe.decode(bpe.encode(every)) == every


def test_words_are_cut_as_gpt2_cuts_them():
    from minitensor.text.bpe import _words

    assert _words().findall("It's  2½ cats,\n\n we'd_see !") == [
        "It", "'s", " ", " 2½", " cats", ",", "\n\n", " we", "'d", "_", "see", " !"
    ]  # fmt: skip
    for i in range(0, 0x110000, 7):  # a letter, a number, a space or another sign, as Unicode says
        if 0xD800 <= i < 0xE000:
            continue
        kind = unicodedata.category(chr(i))[0]
        joined = _words().findall(f"a{chr(i)}")
        assert (len(joined) == 1) == (kind == "L"), hex(i)
        assert (len(_words().findall(f"1{chr(i)}")) == 1) == (kind == "N"), hex(i)


def test_long_words_take_the_same_merges():
    bpe = BPE.train("the theatre thereof; there, then, the ether " * 3, 290)
    rng = random.Random(1)
    for length in (1, 2, 5, 31, 32, 33, 60):
        for _ in range(20):
            ids = [bpe._bytes[ord(rng.choice("ether of"))] for _ in range(length)]
            slow = list(ids)
            while known := [bpe._pairs[p] for p in pairwise(slow) if p in bpe._pairs]:
                _, joined, left, right = min(known)
                i = 0
                while i < len(slow) - 1:
                    if (slow[i], slow[i + 1]) == (left, right):
                        slow[i : i + 2] = [joined]
                    i += 1
            assert bpe._long_word(ids) == tuple(slow)


def test_training_saving_loading(tmp_path):
    text = "the cat sat on the mat, the cat ate the rat"
    bpe = BPE.train([text, text], 280)
    assert bpe.tokens[256] == b"at" or bpe.tokens[256] == b" t"
    assert bpe.special == {"<|endoftext|>": len(bpe) - 1}
    assert len(bpe.encode(text)) < len(text) / 2
    bpe.save(tmp_path)
    again = BPE.load(tmp_path)
    assert (again.tokens, again.merges, again.special) == (bpe.tokens, bpe.merges, bpe.special)
    assert bpe.encode("a<|endoftext|>b", special=True) == [*bpe.encode("a"), len(bpe) - 1, *bpe.encode("b")]
    assert bpe.decode(bpe.encode("a<|endoftext|>b", special=True)) == "a<|endoftext|>b"
    assert len(bpe) - 1 not in bpe.encode("a<|endoftext|>b")
    assert "280" in repr(bpe) or str(len(bpe)) in repr(bpe)


def test_wrong_arguments(tmp_path):
    with pytest.raises(ValueError, match="size 200"):
        BPE.train("a", 200)
    bpe = BPE.train("aa aa", 258)
    with pytest.raises(TypeError, match="bytes"):
        bpe.encode(b"aa")
    for wrong in (-1, len(bpe)):
        with pytest.raises(IndexError, match=f"{wrong} is no token"):
            bpe.decode([wrong])
    assert bpe.decode(bpe.encode("é")[:1]) == "�"
    with pytest.raises(FileNotFoundError, match=r"encoder\.json"):
        BPE.load(tmp_path)
    bpe.save(tmp_path)
    vocabulary = json.loads((tmp_path / "encoder.json").read_text())
    (tmp_path / "encoder.json").write_text(json.dumps({k: v for k, v in vocabulary.items() if k != "aa"}))
    with pytest.raises(ValueError, match="'aa'"):
        BPE.load(tmp_path)
    with pytest.raises(ValueError, match="no token yet"):
        BPE([(b"ab", b"c")])


@needs_gpt2
def test_gpt2s_own_tokens():
    """D17-gpt2-tokens and its neighbours: numbers as published."""
    bpe = BPE.load(GPT2)
    assert len(bpe) == 256 + 50_000 + 1 == 50257
    assert bpe.special == {"<|endoftext|>": 50256}
    assert bpe.encode("Hello world") == [15496, 995]
    assert bpe.encode("hello world") == [31373, 995]
    assert bpe.encode(" cat") == [3797]
    assert bpe.encode("mathematics is the queen of the sciences") == [
        bpe.tokens.index(t)
        for t in (b"mat", b"hemat", b"ics", b" is", b" the", b" queen", b" of", b" the", b" sciences")
    ]
    if (DATA / "text/tinyshakespeare.txt").exists():
        text = (DATA / "text/tinyshakespeare.txt").read_text()
        ids = bpe.encode(text)
        assert len(ids) == 338_025
        assert bpe.decode(ids) == text


# --- words ----------------------------------------------------------------------------------------


def test_words_and_their_numbers():
    assert words("Début moyen, mais l'après… C\u2019est 2_3") == [
        "début",
        "moyen",
        "mais",
        "l'après",
        "c\u2019est",
        "2",
        "3",
    ]
    v = Vocabulary(["film", "bon", "mauvais"])
    assert (len(v), v[1], v.number("mauvais"), "bon" in v, "très" in v) == (3, "bon", 2, True, False)
    assert v.numbers(["bon", "très", "film"]) == [1, 0]
    with pytest.raises(KeyError, match="vocabulary of 3"):
        v.number("très")
    with pytest.raises(ValueError, match="'a' stands more than once"):
        Vocabulary(["a", "b", "a"])
    assert list(Vocabulary.most_common(["b", "a", "a", "c", "b"], 2)) == ["b", "a"]


def test_bags_of_words():
    """D10-bow-toy and D10-bow-collision."""
    v = Vocabulary(["film", "bon", "mauvais", "voir", "éviter", "très", "bien", "mal", "moyen", "super"])
    texts = [
        "bon film à voir absolument",
        "début moyen mais après c'est très mauvais",
        "film drôle et émouvant on passe un bon moment",
    ]
    bags = bag_of_words(texts, v)
    assert bags.dtype == mt.float32
    assert [v.numbers(words(t)) for t in texts] == [[1, 0, 3], [8, 5, 2], [0, 1]]
    assert bags.tolist() == [
        [1, 1, 0, 1, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 0, 1, 0, 0, 1, 0],
        [1, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    ]
    a, b = bag_of_words(["bon acteur mais mauvais film", "bon film mais mauvais acteur"], v)
    assert mt.equal(a, b)
    assert bag_of_words(["bon bon film"], v, counts=True)[0, :3].tolist() == [1, 2, 0]
    assert bag_of_words([], v).shape == (0, 10)


def test_neighbours():
    assert list(ngrams("abcd", 3)) == [("a", "b", "c"), ("b", "c", "d")]
    assert list(ngrams([1], 2)) == []
    with pytest.raises(ValueError, match="n is 0"):
        ngrams("abc", 0)
    numbers = [0, 1, 2, 1, 2, 2]
    expected = np.zeros((4, 4))
    for before, after in pairwise(numbers):
        expected[after, before] += 1
    assert cooccurrence(mt.tensor(numbers), 4).tolist() == expected.tolist()
    assert cooccurrence([], 2).tolist() == [[0, 0], [0, 0]]
    with pytest.raises(IndexError, match="go from 0 to 2, the matrix has 2"):
        cooccurrence([0, 2], 2)


# --- the next token -------------------------------------------------------------------------------


def test_temperature():
    """D17-softmax-temperature: by NumPy in float64, and the limits."""
    x = np.array([2, 5, 25, 3, 14, 4]) / 53
    for t in (0.1, 0.2, 1, 5):
        e = np.exp((x - x.max()) / t)
        np.testing.assert_allclose(probabilities(mt.tensor(x), t).numpy(), e / e.sum(), rtol=1e-14)
    assert probabilities(mt.tensor(x), 0).tolist() == [0, 0, 1, 0, 0, 0]
    assert probabilities(mt.tensor(x), 1e-5).tolist() == [0, 0, 1, 0, 0, 0]
    np.testing.assert_allclose(probabilities(mt.tensor(x), 1e9).numpy(), np.full(6, 1 / 6), rtol=1e-8)


def test_top_k_and_top_p():
    p = mt.tensor([0.1, 0.4, 0.2, 0.3], dtype=mt.float64)
    np.testing.assert_allclose(probabilities(p.log(), top_k=2).numpy(), [0, 4 / 7, 0, 3 / 7])
    np.testing.assert_allclose(probabilities(p.log(), top_k=9).numpy(), p.numpy())
    np.testing.assert_allclose(probabilities(p.log(), top_p=0.65).numpy(), [0, 4 / 7, 0, 3 / 7])
    np.testing.assert_allclose(probabilities(p.log(), top_p=0.75).numpy(), [0, 4 / 9, 2 / 9, 3 / 9])
    np.testing.assert_allclose(probabilities(p.log(), top_p=1e-9).numpy(), [0, 1, 0, 0])
    np.testing.assert_allclose(probabilities(p.log(), top_p=1.0).numpy(), p.numpy())
    # after top_k the rest is 4/7 and 3/7: 4/7 alone is already above a half
    np.testing.assert_allclose(probabilities(p.log(), top_k=2, top_p=0.5).numpy(), [0, 1, 0, 0])
    both = probabilities(mt.stack([p.log(), p.flip(0).log()]), top_k=1)
    assert both.tolist() == [[0, 1, 0, 0], [0, 0, 1, 0]]
    for how in ({"temperature": -1}, {"temperature": float("nan")}, {"top_k": 0}, {"top_p": 0}, {"top_p": 1.1}):
        with pytest.raises(ValueError, match=next(iter(how))):
            sample(p, **how)


def test_samples_follow_the_distribution():
    mt.manual_seed(0)
    p = mt.tensor([0.1, 0.4, 0.2, 0.3])
    drawn = sample(p.log().expand(20000, 4))
    assert drawn.dtype == mt.int64
    share = np.bincount(drawn.numpy(), minlength=4) / 20000
    assert np.abs(share - p.numpy()).max() < 5 * np.sqrt(0.25 / 20000)
    assert set(sample(p.log().expand(2000, 4), top_k=2).tolist()) == {1, 3}
    assert sample(p).shape == ()
    assert sample(mt.randn(2, 3, 5)).shape == (2, 3)
    a = sample(p.expand(50, 4), generator=mt.Generator().manual_seed(3))
    assert mt.equal(a, sample(p.expand(50, 4), generator=mt.Generator().manual_seed(3)))
