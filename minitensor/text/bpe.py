"""Byte pair encoding: how a text becomes the numbers that a language model reads, and back.

A text is first cut into words; inside each word the most frequent pair of neighbours becomes one new
token, again and again (P. Gage, 1994; R. Sennrich et al., 2016). With the 256 bytes as first
tokens every text has an encoding, whatever its language (GPT-2: A. Radford et al., 2019).

    learn_merges    the algorithm itself, on symbols of any kind
    BPE             tokens of bytes: train, load, save, encode, decode
"""

from __future__ import annotations

import functools
import heapq
import json
import re
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["BPE", "Merge", "learn_merges"]

END_OF_TEXT = "<|endoftext|>"
_LONG = 32  # symbols, from which a heap of pairs finds the next merge sooner than a search among all
_CACHE = 1 << 20  # words whose tokens are remembered


class Merge(NamedTuple):
    """Two symbols that became one, and how often they stood side by side."""

    left: Any
    right: Any
    times: int


def learn_merges(words: Iterable[Sequence[Any]] | Mapping[Any, int], most: int, *, least: int = 2) -> Iterator[Merge]:
    """The merges of byte pair encoding, one by one.

    `words` are the words of a text in order, each a sequence of symbols that can be added (strings, bytes),
    or a mapping from words to their counts in order of first appearance. Pairs are counted inside words, and
    overlapping ones each count: "aaa" has two of "aa". The most frequent pair is merged, from left to right;
    among equally frequent ones that which is met first in the text. It ends after `most` merges, or when no
    pair stands `least` times in the text.

    >>> list(learn_merges(["ab", "ab", "abc"], 5))
    [Merge(left='a', right='b', times=3)]
    """
    if most < 0:
        raise ValueError(f"learn_merges: {most} merges, but there can't be fewer than 0")
    tally = words if isinstance(words, Mapping) else Counter(map(_symbols, words))
    texts = [list(_symbols(word)) for word in tally]
    times = list(tally.values())
    counts: dict[tuple[Any, Any], int] = {}
    where: dict[tuple[Any, Any], list[int]] = {}  # the words that had the pair when it came up, in order
    for index, text in enumerate(texts):
        _count(text, times[index], index, counts, where)

    def first(pair: tuple[Any, Any]) -> tuple[int, int]:
        """Where the pair is met first: the number of the word, the place in it."""
        for index in where[pair]:
            at = 0
            for i, found in enumerate(pairwise(texts[index])):
                if found == pair:
                    return index, at
                at += len(texts[index][i])
        raise AssertionError(f"{pair} is counted but nowhere to be found")

    # Until its symbols are merged with others, a pair only becomes rarer, and its first place only later:
    # what the heap holds is a bound, and is renewed when it comes to the top.
    heap = [(-count, *first(pair), pair) for pair, count in counts.items()]
    heapq.heapify(heap)
    while heap and most:
        negative, *place, pair = heap[0]
        count = counts.get(pair, 0)
        if count < least:
            heapq.heappop(heap)
            continue
        if (negative, *place) != (now := (-count, *first(pair))):
            heapq.heapreplace(heap, (*now, pair))
            continue
        heapq.heappop(heap)
        most -= 1
        yield Merge(*pair, count)
        grown: set[tuple[Any, Any]] = set()
        for index in where.pop(pair):
            old = texts[index]
            new = _merged(old, pair)
            if len(new) == len(old):
                continue
            for gone in pairwise(old):
                counts[gone] -= times[index]
            texts[index] = new
            _count(new, times[index], index, counts, where, pair[0] + pair[1], grown)
        del counts[pair]
        for near in grown - {pair}:
            where[near] = sorted(set(where[near]))
            heapq.heappush(heap, (-counts[near], *first(near), near))


def _symbols(word: Sequence[Any]) -> tuple[Any, ...]:
    """Those of a word; of bytes each is bytes again, and no number."""
    return tuple(word[i : i + 1] for i in range(len(word))) if isinstance(word, bytes) else tuple(word)


def _count(
    text: list[Any],
    times: int,
    index: int,
    counts: dict[tuple[Any, Any], int],
    where: dict[tuple[Any, Any], list[int]],
    fresh: Any = None,
    grown: set[tuple[Any, Any]] | None = None,
) -> None:
    """Adds the pairs of one word; places are noted for all, or for those with the `fresh` symbol only."""
    for pair in pairwise(text):
        counts[pair] = counts.get(pair, 0) + times
        if grown is None or pair[0] == fresh or pair[1] == fresh:
            places = where.setdefault(pair, [])
            if not places or places[-1] != index:
                places.append(index)
            if grown is not None:
                grown.add(pair)


def _merged(symbols: list[Any], pair: tuple[Any, Any]) -> list[Any]:
    """The symbols with each occurrence of the pair joined, from left to right."""
    left, right = pair
    result, i, last = [], 0, len(symbols) - 1
    while i <= last:
        if i < last and symbols[i] == left and symbols[i + 1] == right:
            result.append(left + right)
            i += 2
        else:
            result.append(symbols[i])
            i += 1
    return result


# --- words and bytes as GPT-2 has them ------------------------------------------------------------


@functools.cache
def _words() -> re.Pattern[str]:
    """Cuts a text as GPT-2 does: a word, number or other signs with the space before it; English endings; spaces.

    Python's `\\w` holds letters and all numbers; those that are not decimal digits are listed to tell them apart.
    """
    numbers = "".join(map(chr, (i for i in range(sys.maxunicode + 1) if unicodedata.category(chr(i)) in ("Nl", "No"))))
    # what Python takes for white space and Unicode does not: four separators of files, groups, records and units
    signs = "\x1c-\x1f"
    letter, number = rf"[^\W\d_{numbers}]", rf"[\d{numbers}]"
    other, space = rf"(?:[^\s\w{numbers}]|[_{signs}])", rf"[^\S{signs}]"
    return re.compile(
        rf"'(?:[stmd]|re|ve|ll)| ?{letter}+| ?{number}+| ?{other}+|{space}+(?!{other}|{letter}|{number})|{space}+"
    )


def _printable() -> dict[int, str]:
    """How GPT-2's files write each byte: as itself where it can be seen, else as a letter from U+0100 on."""
    seen = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in seen]
    return {byte: chr(byte) for byte in seen} | {byte: chr(256 + i) for i, byte in enumerate(hidden)}


_WRITTEN = _printable()
_BYTES = [bytes([byte]) for byte in _WRITTEN]  # the first 256 tokens, in GPT-2's order
_READ = {ord(sign): byte for byte, sign in _WRITTEN.items()}


def _write(token: bytes) -> str:
    return "".join(_WRITTEN[byte] for byte in token)


def _read(token: str) -> bytes:
    return bytes(_READ[ord(sign)] for sign in token)


class _Cache(dict[str, tuple[int, ...]]):
    """Words and their tokens, made when first asked for."""

    def __init__(self, make: Callable[[str], tuple[int, ...]]) -> None:
        self.make = make

    def __missing__(self, word: str) -> tuple[int, ...]:
        if len(self) >= _CACHE:
            self.clear()
        self[word] = tokens = self.make(word)
        return tokens


class BPE:
    r"""A byte-level byte pair encoding, in GPT-2's conventions.

    Tokens 0 to 255 are the bytes in GPT-2's order, then one token for each merge, then the special ones.
    A space belongs to the word after it. `len(bpe)` is the number of tokens, `bpe.tokens[i]` the
    bytes of token i, `bpe.merges` the merged pairs in order, `bpe.special` the special tokens' numbers.

    `BPE.train` learns one from a text, `BPE.load` reads GPT-2's files, `save` writes such files.
    Any text comes back from its tokens, whatever it holds.

    >>> bpe = BPE.train("low lower lowest, low lower lowest", 260)
    >>> bpe.encode("slow"), [bpe.tokens[i] for i in bpe.encode("slow")]
    ([82, 257], [b's', b'low'])
    >>> bpe.decode(bpe.encode("naïve ☃\n"))
    'naïve ☃\n'
    """

    def __init__(self, merges: Sequence[tuple[bytes, bytes]], special: Sequence[str] = ()) -> None:
        tokens = [*_BYTES, *(left + right for left, right in merges)]
        numbers = {token: i for i, token in reversed(list(enumerate(tokens)))}
        self._setup(tokens, numbers, merges, {name: len(tokens) + i for i, name in enumerate(special)})

    def _setup(
        self,
        tokens: list[bytes],
        numbers: dict[bytes, int],
        merges: Sequence[tuple[bytes, bytes]],
        special: dict[str, int],
    ) -> None:
        self.merges = list(merges)
        self.special = special
        self.tokens = tokens + [b""] * (max([*special.values(), len(tokens) - 1]) + 1 - len(tokens))
        for name, i in special.items():
            self.tokens[i] = name.encode()
        # from a pair of neighbours to the merge's rank, the token that they become, and themselves
        self._pairs: dict[tuple[int, int], tuple[int, int, int, int]] = {}
        for rank, (left, right) in enumerate(merges):
            try:
                pair = numbers[left], numbers[right]
                self._pairs.setdefault(pair, (rank, numbers[left + right], *pair))
            except KeyError as error:
                raise ValueError(
                    f"BPE: merge {rank} joins {left!r} and {right!r}, but {error.args[0]!r} is no token yet"
                ) from None
        self._bytes = [numbers[bytes([byte])] for byte in range(256)]
        self._cache = _Cache(self._word)

    @classmethod
    def train(cls, text: str | Iterable[str], size: int, special: Sequence[str] = (END_OF_TEXT,)) -> BPE:
        """Learns `size` tokens in all, special ones included, from a text or from several.

        There are fewer if the text has no pair twice any more. Ties: see `learn_merges`.
        """
        least = 256 + len(special)
        if size < least:
            raise ValueError(f"BPE.train: size {size}, but the 256 bytes and {len(special)} special tokens are {least}")
        tally: Counter[str] = Counter()
        for part in (text,) if isinstance(text, str) else text:
            tally.update(_words().findall(part))
        words = {word.encode("utf-8", "surrogatepass"): count for word, count in tally.items()}
        return cls([(left, right) for left, right, _ in learn_merges(words, size - least)], special)

    @classmethod
    def load(cls, folder: str | PathLike[str]) -> BPE:
        """Reads GPT-2's two files: `encoder.json` or `vocab.json`, and `vocab.bpe` or `merges.txt`.

        Raises `FileNotFoundError` if one is missing, `ValueError` if they contradict each other.
        """
        vocabulary_file = _one_of(Path(folder), "encoder.json", "vocab.json")
        merges_file = _one_of(Path(folder), "vocab.bpe", "merges.txt")
        vocabulary = json.loads(vocabulary_file.read_text(encoding="utf-8"))
        lines = merges_file.read_text(encoding="utf-8").split("\n")
        if lines[0].startswith("#version"):
            del lines[0]
        written = [tuple(line.split(" ")) for line in lines if line]
        if any(len(pair) != 2 for pair in written):
            raise ValueError(f"BPE.load: {merges_file} holds lines that are not two tokens")
        made = {*_WRITTEN.values(), *(left + right for left, right in written)}
        special = {name: i for name, i in vocabulary.items() if name not in made}
        if missing := made - vocabulary.keys():
            raise ValueError(
                f"BPE.load: {vocabulary_file} has no number for {len(missing)} tokens, one is {min(missing)!r}"
            )
        if sorted(vocabulary.values()) != list(range(len(vocabulary))):
            raise ValueError(f"BPE.load: {vocabulary_file} does not number its tokens from 0 to {len(vocabulary) - 1}")
        numbers = {_read(token): vocabulary[token] for token in made}
        tokens = [b""] * len(vocabulary)
        for token, i in numbers.items():
            tokens[i] = token
        self = cls.__new__(cls)
        self._setup(tokens, numbers, [(_read(left), _read(right)) for left, right in written], special)
        return self

    def save(self, folder: str | PathLike[str]) -> None:
        """Writes `encoder.json` and `vocab.bpe` into the folder, as GPT-2's are."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        names = {i: name for name, i in self.special.items()}
        vocabulary = {names[i] if i in names else _write(token): i for i, token in enumerate(self.tokens)}
        (folder / "encoder.json").write_text(json.dumps(vocabulary), encoding="utf-8")
        lines = ["#version: 0.2", *(f"{_write(left)} {_write(right)}" for left, right in self.merges), ""]
        (folder / "vocab.bpe").write_text("\n".join(lines), encoding="utf-8")

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"BPE({len(self):,} tokens, {len(self.merges):,} merges, {len(self.special)} special)"

    def encode(self, text: str, special: bool = False) -> list[int]:
        """The numbers of the text's tokens. With `special`, names like `<|endoftext|>` in it become their tokens."""
        if not isinstance(text, str):
            raise TypeError(f"BPE.encode: takes a str, not {type(text).__name__}")
        if special and self.special:
            names = sorted(self.special, key=len, reverse=True)
            parts = re.split(f"({'|'.join(map(re.escape, names))})", text)
            return [i for part in parts for i in ([self.special[part]] if part in self.special else self.encode(part))]
        return list(chain.from_iterable(map(self._cache.__getitem__, _words().findall(text))))

    def decode_bytes(self, ids: Iterable[Any]) -> bytes:
        """The bytes of the tokens: a character of several bytes may be cut at either end."""
        tokens, size = self.tokens, len(self.tokens)
        numbers = [int(i) for i in ids]
        if wrong := [i for i in numbers if not 0 <= i < size]:
            raise IndexError(f"BPE.decode: {wrong[0]} is no token; there are 0 to {size - 1}")
        return b"".join([tokens[i] for i in numbers])

    def decode(self, ids: Iterable[Any]) -> str:
        """The text of the tokens (a list, a 1-D tensor or array); bytes that are no UTF-8 become U+FFFD.

        Raises `IndexError` for a number that is no token.
        """
        data = self.decode_bytes(ids)
        try:
            return data.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError:
            return data.decode("utf-8", "replace")

    def _word(self, word: str) -> tuple[int, ...]:
        """The tokens of one word: its bytes, merged by rank."""
        ids = [self._bytes[byte] for byte in word.encode("utf-8", "surrogatepass")]
        if len(ids) > _LONG:
            return self._long_word(ids)
        get = self._pairs.get
        while len(ids) > 1:
            first = min(filter(None, map(get, pairwise(ids))), default=None)
            if first is None:
                break
            _, joined, left, right = first
            result, i, last = [], 0, len(ids) - 1
            while i <= last:
                if i < last and ids[i] == left and ids[i + 1] == right:
                    result.append(joined)
                    i += 2
                else:
                    result.append(ids[i])
                    i += 1
            ids = result
        return tuple(ids)

    def _long_word(self, ids: list[int]) -> tuple[int, ...]:
        """The same for a word of any length n in O(n log n): a heap of pairs over a list linked both ways."""
        pairs, size = self._pairs, len(ids)
        after, before = list(range(1, size + 1)), list(range(-1, size - 1))
        heap = [(pairs[pair][0], i, pair) for i, pair in enumerate(pairwise(ids)) if pair in pairs]
        heapq.heapify(heap)
        while heap:
            _, i, pair = heapq.heappop(heap)
            j = after[i]
            if j >= size or (ids[i], ids[j]) != pair:
                continue
            ids[i], ids[j] = pairs[pair][1], -1
            after[i] = k = after[j]
            if k < size:
                before[k] = i
                if near := pairs.get((ids[i], ids[k])):
                    heapq.heappush(heap, (near[0], i, (ids[i], ids[k])))
            if (h := before[i]) >= 0 and (near := pairs.get((ids[h], ids[i]))):
                heapq.heappush(heap, (near[0], h, (ids[h], ids[i])))
        return tuple(i for i in ids if i >= 0)


def _one_of(folder: Path, *names: str) -> Path:
    for name in names:
        if (path := folder / name).is_file():
            return path
    raise FileNotFoundError(f"BPE.load: {folder} holds neither {' nor '.join(names)}")
