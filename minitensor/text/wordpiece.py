"""WordPiece: words cut into the longest pieces of a vocabulary, from the left; BERT's tokens.

    text    without control characters; in lower case and without accents, if the vocabulary is
    words   at spaces; signs and Chinese characters are words of their own
    pieces  of each word the longest beginning that is in the vocabulary, then of the rest with ## before it, and
            so on; [UNK] for a word that leaves a rest, or of more than 100 characters

Sources: M. Schuster, K. Nakajima, "Japanese and Korean voice search" (2012); J. Devlin et al., "BERT" (2018).
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from ..creation import from_numpy

_CHINESE = (
    (0x4E00, 0x9FFF),
    (0x3400, 0x4DBF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0xF900, 0xFAFF),
    (0x2F800, 0x2FA1F),
)
_LONGEST = 100  # characters of a word


@functools.cache
def _kind(character: str) -> str:
    """What a character is to the tokenizer: "space", "drop", "alone" or "letter"."""
    if character in " \t\n\r":
        return "space"
    category = unicodedata.category(character)
    if character in "\0\ufffd" or category in ("Cc", "Cf", "Cn", "Co"):
        return "drop"
    if category == "Zs":
        return "space"
    code = ord(character)
    sign = 33 <= code <= 47 or 58 <= code <= 64 or 91 <= code <= 96 or 123 <= code <= 126
    if sign or category[0] == "P" or any(low <= code <= high for low, high in _CHINESE):
        return "alone"
    return "letter"


class WordPiece:
    """The tokenizer of a list of pieces, by the number of their place; `lower` as the list was made.

    Raises `ValueError` if one of [UNK], [CLS], [SEP], [PAD] is not among them.

    >>> t = WordPiece(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "un", "##aff", "##able", "!"])
    >>> t.pieces("Unaffable!")
    ['un', '##aff', '##able', '!']
    >>> t.encode("Unaffable!")
    [2, 4, 5, 6, 7, 3]
    >>> t.decode([2, 4, 5, 6, 7, 3])
    'unaffable !'
    """

    def __init__(self, entries: Iterable[str], lower: bool = True) -> None:
        self.entries = list(entries)
        self.lower = lower
        self._numbers = {piece: i for i, piece in enumerate(self.entries)}
        missing = [name for name in ("[UNK]", "[CLS]", "[SEP]", "[PAD]") if name not in self._numbers]
        if missing:
            raise ValueError(f"WordPiece: the vocabulary has no {', '.join(missing)}")
        self._special = {
            name for name in self._numbers if name[:1] == "[" and name[-1:] == "]" and name[1:-1].isupper()
        }

    @classmethod
    def load(cls, path: str | PathLike[str], lower: bool = True) -> WordPiece:
        """The tokenizer of a `vocab.txt`: a piece in each line."""
        return cls(Path(path).read_text(encoding="utf-8").split("\n")[:-1], lower)

    def __len__(self) -> int:
        return len(self.entries)

    def number(self, piece: str) -> int:
        """The number of a piece; that of [UNK] if it is not among them."""
        return self._numbers.get(piece, self._numbers["[UNK]"])

    def words(self, text: str) -> list[str]:
        """The words and signs of a text, as they are then cut into pieces."""
        clean = []
        for character in text:
            kind = _kind(character)
            if kind != "drop":
                clean.append(" " if kind == "space" else character)
        text = "".join(clean)
        if self.lower:
            text = unicodedata.normalize("NFD", text)
            text = "".join(c for c in text if unicodedata.category(c) != "Mn").lower()
        return "".join(f" {c} " if _kind(c) == "alone" else c for c in text).split()

    def _cut(self, word: str) -> list[str]:
        if len(word) > _LONGEST:
            return ["[UNK]"]
        found, begin = [], 0
        while begin < len(word):
            prefix = "##" if begin else ""
            for end in range(len(word), begin, -1):
                if prefix + word[begin:end] in self._numbers:
                    break
            else:
                return ["[UNK]"]
            found.append(prefix + word[begin:end])
            begin = end
        return found

    def pieces(self, text: str) -> list[str]:
        """The pieces of a text; names in brackets, as [MASK], stay whole."""
        found: list[str] = []
        for i, part in enumerate(_parted(text, self._special)):
            found += [part] if i % 2 else [piece for word in self.words(part) for piece in self._cut(word)]
        return found

    def encode(self, text: str, pair: str | None = None, max_length: int | None = None) -> list[int]:
        """The numbers of a text's pieces between [CLS] and [SEP], and those of a second text with a [SEP] of its own.

        With `max_length` a single text is cut to so many.
        """
        ids = [self.number(piece) for piece in self.pieces(text)]
        if max_length is not None and pair is None:
            ids = ids[: max(max_length - 2, 0)]
        ids = [self.number("[CLS]"), *ids, self.number("[SEP]")]
        if pair is not None:
            ids += [*(self.number(piece) for piece in self.pieces(pair)), self.number("[SEP]")]
        return ids

    def batch(self, texts: Sequence[str], max_length: int | None = None) -> tuple[Any, Any]:
        """(ids, mask) of texts, both int64 (texts, longest): filled up with [PAD], where the mask is 0."""
        rows = [self.encode(text, None, max_length) for text in texts]
        longest = max(map(len, rows), default=0)
        ids = np.full((len(rows), longest), self.number("[PAD]"), np.int64)
        mask = np.zeros_like(ids)
        for i, row in enumerate(rows):
            ids[i, : len(row)], mask[i, : len(row)] = row, 1
        return from_numpy(ids), from_numpy(mask)

    def decode(self, ids: Iterable[int], skip_special: bool = True) -> str:
        """The pieces of numbers, with those that begin with ## joined to the one before."""
        found: list[str] = []
        for i in ids:
            piece = self.entries[int(i)]
            if skip_special and piece in self._special and piece != "[UNK]":
                continue
            if piece.startswith("##") and found:
                found[-1] += piece[2:]
            else:
                found.append(piece)
        return " ".join(found)

    def __repr__(self) -> str:
        return f"WordPiece({len(self):,} pieces{', lower case' if self.lower else ''})"


def _parted(text: str, names: Iterable[str]) -> list[str]:
    """A text cut at names: text, name, text, name, ..., text."""
    return re.split(f"({'|'.join(map(re.escape, sorted(names)))})", text)
