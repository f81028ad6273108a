"""Texts as numbers: `Tokenizer`."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

__all__ = ["Tokenizer", "text_to_word_sequence"]

_FILTERS = '!"#$%&()*+,-./:;<=>?@[\\]^_`{|}~\t\n'


def text_to_word_sequence(input_text: str, filters: str = _FILTERS, lower: bool = True, split: str = " ") -> list[str]:
    """The words of a text.

    >>> from minitensor.keras.preprocessing.text import text_to_word_sequence
    >>> text_to_word_sequence("Un bon film!")
    ['un', 'bon', 'film']
    """
    text = input_text.lower() if lower else input_text
    return [word for word in text.translate({ord(c): split for c in filters}).split(split) if word]


class Tokenizer:
    """Numbers for words: 1 for the most frequent; with `num_words` only those below it are used.

    >>> from minitensor.keras.preprocessing.text import Tokenizer
    >>> words = Tokenizer()
    >>> words.fit_on_texts(["un bon film", "un film"])
    >>> words.word_index, words.texts_to_sequences(["un bon roman"])
    ({'un': 1, 'film': 2, 'bon': 3}, [[1, 3]])
    """

    def __init__(
        self,
        num_words: int | None = None,
        filters: str = _FILTERS,
        lower: bool = True,
        split: str = " ",
        char_level: bool = False,
        oov_token: str | None = None,
    ) -> None:
        self.num_words, self.filters, self.lower, self.split = num_words, filters, lower, split
        self.char_level, self.oov_token = char_level, oov_token
        self.word_counts: collections.OrderedDict[str, int] = collections.OrderedDict()
        self.word_index: dict[str, int] = {}
        self.document_count = 0

    @property
    def index_word(self) -> dict[int, str]:
        """{number: word}."""
        return {number: word for word, number in self.word_index.items()}

    def _words(self, text: Any) -> list[str]:
        if not isinstance(text, str):
            return [str(word).lower() if self.lower else str(word) for word in text]
        if self.char_level:
            return list(text.lower() if self.lower else text)
        return text_to_word_sequence(text, self.filters, self.lower, self.split)

    def fit_on_texts(self, texts: Iterable[Any]) -> None:
        """Counts the words of texts; each has a number by how often it stands, then by where it stood first."""
        for text in texts:
            self.document_count += 1
            for word in self._words(text):
                self.word_counts[word] = self.word_counts.get(word, 0) + 1
        ranked = sorted(self.word_counts, key=lambda word: -self.word_counts[word])
        first = [] if self.oov_token is None else [self.oov_token]
        self.word_index = {word: k for k, word in enumerate([*first, *ranked], 1)}

    def texts_to_sequences(self, texts: Iterable[Any]) -> list[list[int]]:
        """The numbers of the words; words without one are left out, or are the number of `oov_token`."""
        unknown = None if self.oov_token is None else self.word_index.get(self.oov_token)

        def number(word: str) -> int | None:
            k = self.word_index.get(word)
            return unknown if k is None or (self.num_words and k >= self.num_words) else k

        return [[k for word in self._words(text) if (k := number(word)) is not None] for text in texts]

    def sequences_to_texts(self, sequences: Iterable[Sequence[int]]) -> list[str]:
        """The words of the numbers, with spaces between."""
        words = self.index_word
        return [" ".join(words[k] for k in numbers if k in words) for numbers in sequences]

    def texts_to_matrix(self, texts: Iterable[Any], mode: str = "binary") -> Any:
        """A row for each text: for each number whether it stands there ('binary'), how often ('count'), its share
        ('freq')."""
        if mode not in ("binary", "count", "freq"):
            raise ValueError(f"texts_to_matrix: there is no mode {mode!r}")
        sequences = self.texts_to_sequences(texts)
        rows = np.zeros((len(sequences), self.num_words or len(self.word_index) + 1))
        for row, numbers in zip(rows, sequences, strict=True):
            for k, n in collections.Counter(numbers).items():
                row[k] = 1 if mode == "binary" else n if mode == "count" else n / len(numbers)
        return rows
