"""From a text to numbers and back: bags of words, byte pair encoding merge by merge, GPT-2's tokens.

    python examples/tokens.py
    python examples/tokens.py --text my_text.txt --tokens 2000

Covers D10-bow-toy, D10-bow-collision, D17-bpe, D17-gpt2-tokens, D17-gpt2-vocab-slice, D17-bpe-gpt2-size and
D17-compression. GPT-2's vocabulary is read from the folder `gpt2-bpe` of $MINITENSOR_DATA, if it is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common import parser, real_text

import minitensor as mt
from minitensor.datasets.store import found
from minitensor.text import BPE, Vocabulary, bag_of_words, learn_merges, words

TOY = ["film", "bon", "mauvais", "voir", "éviter", "très", "bien", "mal", "moyen", "super"]
REVIEWS = [
    "bon film à voir absolument",
    "début moyen mais après c'est très mauvais",
    "film drôle et émouvant on passe un bon moment",
]
SAME_BAG = ["bon acteur mais mauvais film", "bon film mais mauvais acteur"]
SMALL_TEXT = "ab ab abc dbac bacde"
SENTENCE = "mathematics is the queen of the sciences"


def bags() -> Any:
    """D10-bow-toy and D10-bow-collision: which words a text holds, and what that loses."""
    vocabulary = Vocabulary(TOY)
    print("bags of words, numbered from 1 as in the book:", ", ".join(f"{i + 1} {w}" for i, w in enumerate(TOY)))
    table = bag_of_words(REVIEWS, vocabulary)
    for text, row in zip(REVIEWS, table.int().tolist(), strict=True):
        numbers = [i + 1 for i in vocabulary.numbers(words(text))]
        print(f"  {text!r}\n    in order of appearance {numbers}, as a vector {row}")
    everything = Vocabulary(dict.fromkeys(w for text in SAME_BAG for w in words(text)))
    first, second = bag_of_words(SAME_BAG, everything)
    print(f"  {SAME_BAG[0]!r} and {SAME_BAG[1]!r}: the same vector: {mt.equal(first, second)}; the order is lost")
    return table


def small_bpe(text: str = SMALL_TEXT, most: int = 10) -> tuple[list[str], list[list[int]]]:
    """D17-bpe: each merge with its count, then the text as numbers from 1. Returns the vocabulary and the numbers."""
    found = [list(word) for word in text.split()]
    vocabulary = sorted(set("".join(text.split())))
    print(f"\nbyte pair encoding of {text!r}: {len(vocabulary)} characters, {', '.join(vocabulary)}")
    for left, right, count in learn_merges(text.split(), most):
        vocabulary.append(left + right)
        for word in found:
            i = 0
            while i < len(word) - 1:
                if (word[i], word[i + 1]) == (left, right):
                    word[i : i + 2] = [left + right]
                i += 1
        print(f"  {left} + {right} {count} times: {' '.join('|'.join(word) for word in found)}")
    numbers = [[vocabulary.index(token) + 1 for token in word] for word in found]
    print("  vocabulary:", ", ".join(f"{i + 1} {token}" for i, token in enumerate(vocabulary)))
    back = " ".join("".join(vocabulary[i - 1] for i in word) for word in numbers)
    print(f"  numbers: {numbers}; back: {back!r}, the same: {back == text}")
    return vocabulary, numbers


def visible(tokens: Sequence[bytes]) -> str:
    """Tokens with their leading space as _."""
    return " ".join(token.decode("utf-8", "replace").replace(" ", "_") for token in tokens)


def gpt2() -> BPE | None:
    """D17-gpt2-tokens, D17-gpt2-vocab-slice, D17-bpe-gpt2-size: the published vocabulary."""
    paths = found("gpt2-bpe/encoder.json", "gpt2-bpe/vocab.bpe")
    print()
    if paths is None:
        print("GPT-2's vocabulary is missing: put encoder.json and vocab.bpe into $MINITENSOR_DATA/gpt2-bpe.")
        return None
    bpe = BPE.load(paths[0].parent)
    merges, special = len(bpe.merges), len(bpe.special)
    print(f"GPT-2: 256 bytes + {merges} merges + {special} special = {len(bpe)} tokens")
    for text in (SENTENCE, " cat", "cat", " Cat", "CAT"):
        ids = bpe.encode(text)
        print(f"  {text!r}: {visible([bpe.tokens[i] for i in ids])}  {ids}  back: {bpe.decode(ids) == text}")
    print(f"  tokens 1009 to 1019 (from 0): {visible(bpe.tokens[1009:1020])}")
    return bpe


def compression(text: str, size: int, published: BPE | None) -> dict[str, float]:
    """D17-compression: the size of a text in tokens of two bytes; characters for each token, measured."""
    characters, per_token, width = 1000, 4, 2
    small = characters // per_token * width
    print(f"{characters} characters of one byte, {per_token} a token of {width} bytes: {small} bytes, ", end="")
    print(f"{characters // small} times smaller. Measured:")
    result = {}
    learnt = BPE.train(text, size)
    for name, bpe in (("the text's own", learnt), ("GPT-2's", published)):
        if bpe is None:
            continue
        ids = bpe.encode(text)
        assert bpe.decode(ids) == text
        result[name] = len(text) / len(ids)
        ratio = len(text.encode()) / (width * len(ids))
        print(f"  {name + f', {len(bpe)} tokens':<28} {len(text):>9,} characters  {len(ids):>9,} tokens", end="")
        print(f"  {result[name]:.3f} characters a token, {ratio:.3f} times smaller")
    longest = sorted(learnt.tokens[256:-1], key=len)[-8:]
    print(f"  the longest that it learnt: {visible(longest)}")
    return result


def main() -> None:
    """Runs all parts."""
    options = parser(__doc__)
    options.add_argument("--text", default="tinyshakespeare", help="a file in UTF-8 (Shakespeare's plays)")
    options.add_argument("--tokens", metavar="N", type=int, default=1000, help="tokens to learn from it (1000)")
    chosen = options.parse_args()
    bags()
    small_bpe()
    published = gpt2()
    compression(real_text(chosen.text), chosen.tokens, published)


if __name__ == "__main__":
    main()
