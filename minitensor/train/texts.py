"""Reviews as rows of numbers: which words and pairs of words they hold, weighted by how rare these are.

A row has 20,000 numbers, nearly all 0: 25,000 of them would take 2 GB. Only the others are kept, and rows are made of
them a batch at a time.

Source: K. Spärck Jones, "A statistical interpretation of term specificity" (1972).
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from ..creation import from_numpy
from ..text import Vocabulary, words
from ..utils.data import Batch, Dataset


def grams(text: str) -> set[str]:
    """The words of a text, and the pairs of neighbours.

    >>> sorted(grams("not bad, not bad"))
    ['bad', 'bad not', 'not', 'not bad']
    """
    found = words(text)
    return {*found, *map(" ".join, itertools.pairwise(found))}


class Weights:
    """Which words and pairs count, and how much: the commonest `size` of them that two texts hold at least.

    rarity: the logarithm of how many texts there are for each that holds it.
    """

    def __init__(self, texts: Sequence[str], size: int = 20_000) -> None:
        held = Counter(itertools.chain.from_iterable(map(grams, texts)))
        kept = sorted((gram for gram, n in held.items() if n > 1), key=lambda gram: (-held[gram], gram))[:size]
        self.vocabulary = Vocabulary(kept)
        self.rarity = np.log(len(texts) / np.array([held[gram] for gram in kept], np.float64)).astype(np.float32)

    def row(self, text: str) -> tuple[Any, Any]:
        """The numbers of what a text holds, and their weights, of length 1 together."""
        numbers = np.array(sorted(self.vocabulary.numbers(grams(text))), np.int32)
        values = self.rarity[numbers]
        return numbers, values / max(float(np.linalg.norm(values)), 1e-6)


class Bags(Dataset[tuple[Any, Any]]):
    """Reviews and their labels: `data[i]` is one (row, label), rows as `Weights` makes them.

    Attributes: texts, labels (count,) int64, classes, weights.
    """

    def __init__(self, texts: Sequence[str], labels: Any, classes: tuple[str, ...], weights: Weights) -> None:
        self.texts, self.labels, self.classes, self.weights = texts, from_numpy(np.asarray(labels)), classes, weights
        self.rows = [weights.row(text) for text in texts]

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        x, y = self.__getitems__([index]).parts
        return x[0], y[0]

    def __getitems__(self, indices: Iterable[int]) -> Batch:
        chosen = np.asarray(list(indices), np.int64)
        x = np.zeros((len(chosen), len(self.weights.vocabulary)), np.float32)
        for row, i in zip(x, chosen, strict=True):
            numbers, values = self.rows[i]
            row[numbers] = values
        return Batch([from_numpy(x), self.labels[chosen]])
