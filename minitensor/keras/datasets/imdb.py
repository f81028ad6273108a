"""Film reviews as lists of numbers: each word's rank, by how often it occurs."""

from __future__ import annotations

import collections
import functools
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from ... import datasets
from .arrays import Halves


@functools.cache
def _texts() -> tuple[tuple[list[list[str]], Any], tuple[list[list[str]], Any]]:
    """(words of each review, labels) to train on and to test with; a copy without halves is cut in two."""
    try:
        train, test = datasets.imdb(True), datasets.imdb(False)
        parts = [(list(half.texts), np.asarray(half.labels)) for half in (train, test)]
    except ValueError as error:
        if isinstance(error, datasets.FormatError):
            raise
        whole = datasets.imdb()
        order = np.random.default_rng(0).permutation(len(whole))
        cut = np.array_split(order, 2)
        parts = [([whole.texts[i] for i in rows], np.asarray(whole.labels)[rows]) for rows in cut]
    first, second = [([_words(text) for text in texts], labels) for texts, labels in parts]
    return first, second


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", re.sub(r"<[^>]*>", " ", text.lower()))


@functools.cache
def _ranks() -> dict[str, int]:
    counts = collections.Counter(word for words, _ in _texts() for review in words for word in review)
    return {word: rank for rank, (word, _) in enumerate(counts.most_common(), 1)}


def get_word_index(path: Any = None) -> dict[str, int]:
    """{word: rank}, 1 for the most frequent; in the data a word is its rank + 3. `path` is not used.

    >>> get_word_index()["the"]   # doctest: +SKIP
    1
    """
    return dict(_ranks())


def load_data(
    path: Any = None,
    num_words: int | None = None,
    skip_top: int = 0,
    maxlen: int | None = None,
    seed: int = 113,
    start_char: int | None = 1,
    oov_char: int | None = 2,
    index_from: int = 3,
) -> Halves:
    """`(x_train, y_train), (x_test, y_test)`: arrays of lists of ints, labels int64 (1 is positive).

    A word is its rank + `index_from`; `start_char` begins a review; numbers below `skip_top`, and those of `num_words`
    and above, become `oov_char`, or are left out if that is None. Reviews of `maxlen` numbers and more are left out.
    `seed` decides the order; `path` is not used. Raises as `minitensor.datasets.imdb`.

    >>> (x_train, y_train), (x_test, y_test) = load_data(num_words=1000)   # doctest: +SKIP
    """
    ranks = _ranks()
    random = np.random.default_rng(seed)

    def numbers(words: Sequence[str]) -> list[int]:
        found = ([] if start_char is None else [start_char]) + [ranks[word] + index_from for word in words]
        inside = [skip_top <= n and (num_words is None or n < num_words) for n in found]
        if oov_char is None:
            return [n for n, kept in zip(found, inside, strict=True) if kept]
        return [n if kept else oov_char for n, kept in zip(found, inside, strict=True)]

    def half(reviews: list[list[str]], labels: Any) -> tuple[Any, Any]:
        order = [int(i) for i in random.permutation(len(reviews))]
        lists = [(numbers(reviews[i]), labels[i]) for i in order]
        kept = [(x, y) for x, y in lists if maxlen is None or len(x) < maxlen]
        if not kept:
            raise ValueError(f"imdb.load_data: no review is shorter than maxlen {maxlen}")
        x = np.empty(len(kept), dtype=object)
        x[:] = [numbers_of for numbers_of, _ in kept]
        return x, np.asarray([y for _, y in kept], np.int64)

    train, test = _texts()
    return half(*train), half(*test)
