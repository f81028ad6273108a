"""Words' vectors learned from their neighbours: which word follows which, an embedding that predicts it, word families.

    python examples/cooccurrence.py --picture families.png
    python examples/cooccurrence.py --text notre-dame-de-paris-book1 --families "deux trois quatre,roi peuple ville"

Covers D17-cooccurrence, D17-cooc-train, D18-learned-unembed, D17-reuters-matrix, D17-reuters-embedding and
D17-word-groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from common import f64, heat, parser, real_text, table
from word_vectors import pca

import minitensor as mt
from minitensor import nn
from minitensor.learn import plot
from minitensor.nn import functional as F
from minitensor.text import Vocabulary, cooccurrence, words

TOKENS = ["le", "et", "chat", "chien"]
COUNTS = [[0, 10, 1, 0], [0, 0, 8, 5], [6, 2, 0, 0], [4, 3, 1, 0]]  # column: the word, row: the next one
REUTERS = ["the", "of", "to", "in", "and"]
REUTERS_COUNTS = [
    [20, 6834, 2482, 6757, 1575], [0, 11, 0, 1, 31], [0, 2, 8, 2, 211], [2, 4, 6, 1, 132], [0, 1, 11, 23, 5]
]  # fmt: skip
FAMILIES = "father mother brother son wife,him me them us thee,will shall must would can"


def columns(counts: Any) -> Any:
    """The probabilities of the next word: each column divided by its total (an empty one stays empty)."""
    total = counts.sum(0)
    return counts / total.where(total > 0, 1.0)


def entropy(p: Any) -> Any:
    """The mean entropy of the columns: the least cross-entropy that any prediction of them can reach."""
    return mt.special.entr(p).sum(0).mean()


def matrix() -> Any:
    """D17-cooccurrence: the book's matrix, and the same kind from a text."""
    p = columns(f64(COUNTS))
    print("probability of the next word (row) after each word (column); totals", f64(COUNTS).sum(0).int().tolist())
    table([(row, *values) for row, values in zip(TOKENS, p.tolist(), strict=True)], ("", *TOKENS))
    text = "le chat et le chien et le chat"
    numbers = Vocabulary(TOKENS).numbers(words(text))
    counted = cooccurrence(numbers, 4)
    print(f"  {text!r}: {numbers}, counts {counted.int().tolist()}")
    return p


class Neighbour(nn.Module):
    """N words to n numbers and back, linear, no bias: embedding A (n x N), unembedding B (N x n), logits B A e_i."""

    def __init__(self, words: int, size: int) -> None:
        super().__init__()
        self.embed = nn.Linear(words, size, bias=False)
        self.unembed = nn.Linear(size, words, bias=False)

    def forward(self, x: Any) -> Any:
        return self.unembed(self.embed(x))


def learn(p: Any, size: int, steps: int = 4000) -> tuple[Any, list[float]]:
    """D17-cooc-train: softmax(B A e_i) as near as it gets to column i of P, for all words at once."""
    mt.manual_seed(0)
    model = Neighbour(len(p), size).double()
    optimizer = mt.optim.Adam(model.parameters(), lr=0.02)
    one_hot, losses = mt.eye(len(p), dtype=mt.float64), []
    for _ in range(steps):
        loss = F.cross_entropy(model(one_hot), p.t())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


def trained(p: Any) -> tuple[Any, list[float]]:
    """D17-cooc-train and D18-learned-unembed."""
    model, losses = learn(p, 3)
    floor = entropy(p).item()
    found = model(mt.eye(4, dtype=mt.float64)).softmax(-1).t().detach()
    print(f"\n4 -> 3 -> 4 learns it: loss {losses[0]:.6f} at first, {losses[-1]:.6f} at the end, entropy {floor:.6f}")
    print("learned columns, largest difference from the true ones:", f"{(found - p).abs().max():.6f}")
    table([(row, *values) for row, values in zip(TOKENS, found.tolist(), strict=True)], ("", *TOKENS))
    a, b = model.embed.weight.detach(), model.unembed.weight.detach()
    print("each word's three numbers (columns of A):")
    table([(w, *v) for w, v in zip(TOKENS, a.t().tolist(), strict=True)], digits=4)
    print("B A, which is not the identity: what follows a word is not the word itself; |B A - I| =", end=" ")
    print(f"{(b @ a - mt.eye(4, dtype=mt.float64)).norm():.4f}")
    pinv = mt.linalg.pinv(a)
    print("the B that gives the word itself back as well as it can is the least-squares inverse of A;", end=" ")
    print(f"|pinv(A) A - I| = {(pinv @ a - mt.eye(4, dtype=mt.float64)).norm():.4f} (rank 3 of 4 words)")
    return model, losses


def reuters() -> Any:
    """D17-reuters-matrix: the published block for the five most frequent words."""
    counts = f64(REUTERS_COUNTS)
    print("\nReuters, how often the row's word follows the column's:")
    table([(row, *v) for row, v in zip(REUTERS, counts.int().tolist(), strict=True)], ("", *REUTERS))
    print(f"  'the' follows 'of' {int(counts[0, 1])} times, 'of' follows 'the' {int(counts[1, 0])} times")
    return counts


def network(size: int, width: int = 50) -> Any:
    """D17-reuters-embedding: size - 50 - 50 - 50 - size, ReLU between; softmax belongs to the loss."""
    return nn.Sequential(
        nn.Linear(size, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU(),
        nn.Linear(width, size),
    )  # fmt: skip


def embedding(found: Sequence[str], size: int, epochs: int) -> tuple[Vocabulary, Any, Any]:
    """The first layer after learning the columns of P of the frequent words: (words, P, vectors as rows)."""
    plain = [w for w in found if len(w) > 1 and w.isalpha()]
    vocabulary = Vocabulary.most_common(plain, size)
    size = len(vocabulary)
    counts = cooccurrence(vocabulary.numbers(plain), size)
    p = columns(counts)
    mt.manual_seed(0)
    model = network(size)
    print(f"\nthe {size} most frequent words (of at least two letters), each the neighbour of the next that is left;")
    print(f"{size}-50-50-50-{size}: {sum(w.numel() for w in model.parameters()):,} weights")
    optimizer = mt.optim.Adam(model.parameters())
    one_hot, floor = mt.eye(size), entropy(p.double()).item()
    for epoch in range(1, epochs + 1):
        losses = []
        for part in mt.randperm(size).split(32):
            loss = F.cross_entropy(model(one_hot[part]), p.t()[part])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item() * len(part))
        if epoch in (1, 3, 10, 30, 100, epochs):
            print(f"  epoch {epoch:>3}  cross-entropy {sum(losses) / size:.4f}  (cannot go below {floor:.4f})")
    return vocabulary, p, model[0].weight.detach().t().double()


def families(
    vocabulary: Vocabulary, vectors: Any, groups: Sequence[Sequence[str]]
) -> tuple[tuple[Any, Any], list[list[str]]]:
    """D17-word-groups: how well families come apart, by principal components and by two coordinate axes."""
    known = [[w for w in group if w in vocabulary] for group in groups]
    missing = [w for group in groups for w in group if w not in vocabulary]
    print(
        "families:",
        "; ".join(", ".join(group) for group in known),
        f"(not frequent enough: {', '.join(missing) or 'none'})",
    )
    chosen = mt.tensor([vocabulary.number(w) for group in known for w in group])
    label = mt.tensor([k for k, group in enumerate(known) for _ in group])
    x = vectors[chosen]
    flat = pca(x, 2)[0]
    rows = []
    for name, y in (("all coordinates", x), ("principal components", flat), ("axes 1 and 2", x[:, :2])):
        near = mt.cdist(y, y) + mt.eye(len(y), dtype=mt.float64) * 1e9
        rows.append((name, (label[near.argmin(1)] == label).double().mean().item()))
    print("share of these words whose nearest neighbour is of their own family:")
    table(rows, digits=3)
    for w in [group[0] for group in known if group]:
        cosine = F.cosine_similarity(vectors, vectors[vocabulary.number(w)], dim=1)
        near = cosine.argsort(descending=True)[1:7].tolist()
        print(f"  nearest to {w!r} by cosine: " + ", ".join(f"{vocabulary[i]} {cosine[i]:.2f}" for i in near))
    return (flat, x[:, :2]), known


def draw(
    path: str, p: Any, losses: Sequence[float], model: Any, big: Any, flat: Any, known: Sequence[Sequence[str]]
) -> None:
    """The two matrices, the loss with its floor, the learned vectors, the families."""
    fig = plot.figure(13, 8.4)
    (small, loss, vectors), (large, *wide) = fig.subplots(2, 3)
    heat(small, p, TOKENS, TOKENS)
    small.set(title="probability of the next word", xlabel="word", ylabel="next word")
    loss.plot(losses, color=plot.BLUE, label="cross-entropy")
    loss.axhline(entropy(p).item(), ls="--", color=plot.VERMILION, label="entropy of the columns")
    loss.set(title="learning it with 3 numbers a word", xlabel="step", ylabel="loss", xscale="log")
    loss.legend(frameon=False)
    a = pca(model.embed.weight.detach().t(), 2)[0]
    plot.embedding(a, words=TOKENS, title="the learned vectors, two components", ax=vectors)
    vectors.margins(0.2)
    large.imshow(big[:100, :100].sqrt(), cmap="Blues")
    large.set(title="100 most frequent words: √P", xlabel="rank of the word", ylabel="rank of the next")
    words = [w for group in known for w in group]
    labels = [k for k, group in enumerate(known) for _ in group]
    for axes, y, name in zip(wide, flat, ("two principal components", "two coordinate axes"), strict=True):
        title = f"word families, {name}"
        plot.embedding(y, labels, words, classes=[f"{group[0]}, …" for group in known if group], title=title, ax=axes)
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    options = parser(__doc__, picture=True)
    options.add_argument("--text", default="tinyshakespeare", help="a file in UTF-8 (Shakespeare's plays)")
    options.add_argument("--words", metavar="N", type=int, default=500, help="the most frequent words (500)")
    options.add_argument("--epochs", metavar="N", type=int, default=400, help="how often each is seen (400)")
    options.add_argument(
        "--families", default=FAMILIES, help="words, families by commas (relatives, pronouns, auxiliaries)"
    )
    chosen = options.parse_args()
    p = matrix()
    model, losses = trained(p)
    reuters()
    vocabulary, big, vectors = embedding(words(real_text(chosen.text)), chosen.words, chosen.epochs)
    flat, known = families(vocabulary, vectors, [group.split() for group in chosen.families.split(",")])
    if chosen.picture:
        draw(chosen.picture, p, losses, model, big, flat, known)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
