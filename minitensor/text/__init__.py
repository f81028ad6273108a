"""Text for networks: tokens, words and their counts, and the choice of the next token.

BPE, learn_merges                   byte pair encoding (bpe.py)
WordPiece                           the longest pieces of a vocabulary (wordpiece.py)
words, Vocabulary, bag_of_words     words and their numbers, texts as 0/1 vectors
ngrams, cooccurrence                which word follows which
probabilities, sample               from a model's logits to the next token
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from ..creation import from_numpy, full_like, zeros_like
from ..dtypes import bool_
from ..ops.embedding import one_hot
from ..random import multinomial
from .bpe import BPE, Merge, learn_merges
from .wordpiece import WordPiece

__all__ = [
    "BPE",
    "Merge",
    "Vocabulary",
    "WordPiece",
    "bag_of_words",
    "cooccurrence",
    "learn_merges",
    "ngrams",
    "probabilities",
    "sample",
    "words",
]

_WORD = re.compile(r"[^\W_]+(?:['\u2019][^\W_]+)*")  # of either kind


def words(text: str) -> list[str]:
    """The words of a text in lower case, without the signs around them; an apostrophe inside stays.

    >>> words("It's a film — très bon, 10/10!")
    ["it's", 'a', 'film', 'très', 'bon', '10', '10']
    """
    return _WORD.findall(text.lower())


class Vocabulary(Sequence[str]):
    """Words and their numbers from 0: `vocabulary[number]`, `vocabulary.number(word)`.

    Raises `ValueError` if a word stands twice.

    >>> v = Vocabulary.most_common(words("the cat and the dog and the bird"), 2)
    >>> list(v), v.number("and"), v.numbers(["the", "bird"])
    (['the', 'and'], 1, [0])
    """

    def __init__(self, entries: Iterable[str]) -> None:
        self._entries = list(entries)
        self._numbers = {word: i for i, word in enumerate(self._entries)}
        if len(self._numbers) < len(self._entries):
            raise ValueError(f"Vocabulary: {Counter(self._entries).most_common(1)[0][0]!r} stands more than once")

    @classmethod
    def most_common(cls, found: Iterable[str], size: int) -> Vocabulary:
        """The `size` most frequent words, the most frequent first; ties in the order of first appearance."""
        return cls(word for word, _ in Counter(found).most_common(size))

    def number(self, word: str) -> int:
        """The number of a word; `KeyError` if it is not among them."""
        try:
            return self._numbers[word]
        except KeyError:
            raise KeyError(f"{word!r} is not in the vocabulary of {len(self)} words") from None

    def numbers(self, found: Iterable[str]) -> list[int]:
        """The numbers of the words in order; unknown words are left out."""
        return [self._numbers[word] for word in found if word in self._numbers]

    def __getitem__(self, i: Any) -> Any:
        return self._entries[i]

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, word: object) -> bool:
        return word in self._numbers

    def __repr__(self) -> str:
        return f"Vocabulary({len(self):,} words)"


def bag_of_words(texts: Iterable[str], vocabulary: Vocabulary, *, counts: bool = False) -> Any:
    """One row for each text: 1 for each word of the vocabulary that it holds, or how often it holds it.

    float32, shape (texts, words); the order of the words is lost.

    >>> bag_of_words(["bon film", "film, film"], Vocabulary(["film", "bon"])).tolist()
    [[1.0, 1.0], [1.0, 0.0]]
    """
    rows = [vocabulary.numbers(words(text)) for text in texts]
    table = np.zeros((len(rows), len(vocabulary)), np.float32)
    for row, numbers in zip(table, rows, strict=True):
        np.add.at(row, numbers, 1)
    return from_numpy(table if counts else np.minimum(table, 1))


def ngrams(found: Sequence[Any], n: int) -> Iterator[tuple[Any, ...]]:
    """The runs of n neighbours, in order.

    >>> list(ngrams("abc", 2))
    [('a', 'b'), ('b', 'c')]
    """
    if n < 1:
        raise ValueError(f"ngrams: n is {n}, but must be at least 1")
    return zip(*(found[i:] for i in range(n)), strict=False)


def cooccurrence(numbers: Any, size: int) -> Any:
    """How often each word follows each: entry (i, j) counts word i right after word j.

    `numbers` are the words' numbers in the order of the text, from 0 to size - 1. float32, shape (size, size).
    Divided by the totals of its columns it holds the probability of the next word.

    >>> cooccurrence([0, 1, 0, 1, 1], 2).tolist()
    [[0.0, 1.0], [2.0, 1.0]]
    """
    found = np.asarray(numbers, np.int64).reshape(-1)
    if found.size and not (0 <= found.min() and found.max() < size):
        raise IndexError(
            f"cooccurrence: the numbers go from {found.min()} to {found.max()}, the matrix has {size} rows"
        )
    pairs = found[1:] * size + found[:-1]
    return from_numpy(np.bincount(pairs, minlength=size * size).reshape(size, size).astype(np.float32))


# --- the next token -------------------------------------------------------------------------------


def probabilities(logits: Any, temperature: float = 1.0, top_k: int | None = None, top_p: float | None = None) -> Any:
    """The distribution of the next token along the last dim: softmax(logits / temperature), cut.

    `top_k` keeps the k largest, `top_p` the fewest largest ones that have that probability together (after
    the temperature and top_k); what is kept adds up to 1 again. Temperature 0 puts all on the
    largest, the first of equals. Same shape and dtype as the logits. `ValueError` for values out of range.

    >>> import minitensor as mt
    >>> probabilities(mt.tensor([1.0, 3.0, 2.0]), temperature=0.0).tolist()
    [0.0, 1.0, 0.0]
    >>> probabilities(mt.tensor([0.5, 0.3, 0.2]).log(), top_p=0.6)
    tensor([0.6250, 0.3750, 0.0000])
    """
    if not temperature >= 0:
        raise ValueError(f"probabilities: the temperature is {temperature}, but must be 0 or more")
    if top_k is not None and top_k < 1:
        raise ValueError(f"probabilities: top_k is {top_k}, but must be at least 1")
    if top_p is not None and not 0 < top_p <= 1:
        raise ValueError(f"probabilities: top_p is {top_p}, but must be above 0 and at most 1")
    if temperature == 0:
        return one_hot(logits.argmax(-1), logits.shape[-1]).to(logits.dtype)
    logits = logits / temperature
    if top_k is not None and top_k < logits.shape[-1]:
        values, places = logits.topk(top_k)
        logits = full_like(logits, -np.inf).scatter(-1, places, values)
    found = logits.softmax(-1)
    if top_p is not None:
        ordered, places = found.sort(-1, descending=True, stable=True)
        kept = ordered.cumsum(-1) - ordered < top_p
        found = found * zeros_like(found, dtype=bool_).scatter(-1, places, kept)
        found = found / found.sum(-1, keepdim=True)
    return found


def sample(
    logits: Any,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    generator: Any = None,
) -> Any:
    """The next token, drawn from `probabilities(...)`: int64 of the logits' shape without its last dim.

    >>> import minitensor as mt
    >>> sample(mt.tensor([[1.0, 3.0], [5.0, 2.0]]), temperature=0.0)
    tensor([1, 0])
    """
    if temperature == 0:
        return logits.argmax(-1)
    found = probabilities(logits, temperature, top_k, top_p)
    drawn = multinomial(found.reshape(-1, found.shape[-1]), 1, generator=generator)
    return drawn.reshape(found.shape[:-1])
