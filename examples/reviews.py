"""Is a film review positive? Bags of words: the book's small network, and one neuron on words and pairs of words.

    python examples/reviews.py --picture reviews.png
    python examples/reviews.py --epochs 40         (long enough to overfit)

The reviews are IMDB's (`imdb/reviews.jsonl` in $MINITENSOR_DATA, or the published archive). Without them, a handful of
invented ones shows the same steps.

Covers D10-imdb.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from common import parser, table
from shapes import dense

import minitensor as mt
from minitensor import nn
from minitensor.datasets.store import found
from minitensor.learn import plot
from minitensor.nn import functional as F
from minitensor.text import Vocabulary, bag_of_words, words

GOOD = "good great wonderful moving funny excellent loved best fine brilliant".split()
BAD = "bad boring awful dull worst poor terrible hated waste stupid".split()


def load() -> tuple[list[str], Any, str]:
    """Texts, labels (1 positive), and what they are."""
    if found("imdb/reviews.jsonl") or found("aclImdb_v1.tar.gz"):
        data = mt.datasets.imdb()
        return list(data.texts), mt.tensor(np.asarray(data.labels)), "IMDB's reviews"
    print("(no reviews here: put imdb/reviews.jsonl into $MINITENSOR_DATA; invented ones take their place)")
    generator = np.random.default_rng(0)
    texts, labels = [], []
    for i in range(600):
        some = generator.choice(GOOD if i % 2 else BAD, 3).tolist() + generator.choice(GOOD + BAD, 1).tolist()
        texts.append(" ".join(["a film that is", *some, "and a story"]))
        labels.append(i % 2)
    return texts, mt.tensor(labels), "invented reviews"


def split(count: int, share: float = 0.2, seed: int = 0) -> tuple[Any, Any]:
    """Which are learnt from, which held back."""
    order = mt.randperm(count, generator=mt.Generator().manual_seed(seed))
    held_back = int(count * share)
    return order[held_back:], order[:held_back]


def book(size: int) -> Any:
    """1000-5-5-5-1: ReLU three times; the sigmoid belongs to the loss. Glorot-uniform weights."""
    return dense(size, 5, 5, 5, 1)


def accuracy(model: Any, x: Any, y: Any) -> tuple[float, float]:
    """Loss and share right."""
    with mt.no_grad():
        score = model(x)[:, 0]
        loss = F.binary_cross_entropy_with_logits(score, y)
        return loss.item(), ((score >= 0) == (y >= 0.5)).double().mean().item()


def train(
    model: Any, optimizer: Any, x: Any, y: Any, parts: tuple[Any, Any], epochs: int, batch: int = 32
) -> dict[str, list[float]]:
    """Shuffled batches; loss and accuracy on both parts after each epoch."""
    history: dict[str, list[float]] = {key: [] for key in ("loss", "accuracy", "val_loss", "val_accuracy")}
    learn, test = parts
    for _ in range(epochs):
        for rows in learn[mt.randperm(len(learn))].split(batch):
            optimizer.zero_grad()
            F.binary_cross_entropy_with_logits(model(x[rows])[:, 0], y[rows]).backward()
            optimizer.step()
        for rows, name in ((learn, ""), (test, "val_")):
            loss, right = accuracy(model, x[rows], y[rows])
            history[name + "loss"].append(loss)
            history[name + "accuracy"].append(right)
    return history


def weighted(texts: Sequence[str], learn: Sequence[int], size: int) -> tuple[Any, Vocabulary]:
    """Words and pairs of words that two reviews hold at least, the most frequent `size` of them: rows of unit length,
    a word counting by the logarithm of how rare it is (tf-idf; K. Spärck Jones, 1972)."""
    grams = [[*w, *map(" ".join, itertools.pairwise(w))] for w in map(words, texts)]
    documents = Counter(gram for i in learn for gram in set(grams[i]))
    kept = [gram for gram, n in documents.most_common(size) if n > 1]
    vocabulary = Vocabulary(kept)
    rarity = np.log(len(learn) / np.array([documents[gram] for gram in kept])).astype(np.float32)
    table = np.zeros((len(texts), len(kept)), np.float32)
    for row, found_ in zip(table, grams, strict=True):
        row[list(set(vocabulary.numbers(found_)))] = 1
    table *= rarity
    return mt.from_numpy(table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-6)), vocabulary


def main() -> None:
    """Trains both and tells what they learnt."""
    options = parser(__doc__, picture=True)
    options.add_argument("--epochs", type=int, metavar="N", default=10, help="of the book's network (10)")
    options.add_argument("--words", type=int, metavar="N", default=1000, help="words of the book's network (1000)")
    options.add_argument("--grams", type=int, metavar="N", default=20_000, help="words and pairs of the other (20000)")
    chosen = options.parse_args()
    texts, labels, name = load()
    y = labels.float()
    learn, test = split(len(texts))
    print(f"{name}: {len(learn)} to learn from, {len(test)} held back, {labels.double().mean():.1%} positive")

    seen = learn.tolist()
    vocabulary = Vocabulary.most_common((w for i in seen for w in words(texts[i])), chosen.words)
    x = bag_of_words(texts, vocabulary)
    mt.manual_seed(0)
    model = book(len(vocabulary))
    count = sum(p.numel() for p in model.parameters())
    print(f"the book's network {len(vocabulary)}-5-5-5-1: 16 neurons, {count:,} weights, SGD 0.01, batches of 32")
    history = train(model, mt.optim.SGD(model.parameters(), lr=0.01), x, y, (learn, test), chosen.epochs)
    rows = [(k + 1, *(history[key][k] for key in history)) for k in range(chosen.epochs)]
    table(rows, ("epoch", "loss", "accuracy", "held back: loss", "accuracy"), 4)

    x2, grams = weighted(texts, seen, chosen.grams)
    linear = nn.Linear(len(grams), 1)
    nn.init.zeros_(linear.weight)
    optimizer = mt.optim.Adam(linear.parameters(), lr=0.02, weight_decay=0)
    wide = train(linear, optimizer, x2, y, (learn, test), 12)
    right = wide["val_accuracy"][-1]
    print(f"one neuron on {len(grams):,} words and pairs of words, by how rare they are: {right:.1%} right")
    weight = linear.weight[0].detach()
    order = weight.argsort()
    print("  most negative:", ", ".join(grams[i] for i in order[:12].tolist()))
    print("  most positive:", ", ".join(grams[i] for i in order.flip(0)[:12].tolist()))
    with mt.no_grad():
        surest = linear(x2[test])[:, 0].sigmoid()
    for place in (int(surest.argmax()), int(surest.argmin()), int((surest - 0.5).abs().argmin())):
        i = int(test[place])
        said, truth = surest[place].item(), "positive" if labels[i] else "negative"
        print(f"  positive with {said:.1%} ({truth}): {texts[i][:150]!r}...")
    if chosen.picture:
        plot.save(plot.curves(history, f"{name}, the book's network"), chosen.picture)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
