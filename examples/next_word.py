"""The next word: how often words stand, which follows which, and how a temperature chooses among them.

    python examples/next_word.py --picture next_word.png

Covers D17-reuters-top10, D17-zipf, D17-bigrams-the, D17-temperature-bigrams, D17-trigrams, D17-sigma1,
D17-softmax-temperature and D18-skip-trigrams.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

from common import f64, parser, real_text, table

import minitensor as mt
from minitensor.learn import plot
from minitensor.text import ngrams, probabilities, sample, words

REUTERS = {  # the most frequent words in about 1.72 million of the Reuters corpus
    "the": 58251, "of": 35979, "to": 34035, "in": 26478, "said": 25224,
    "and": 25043, "mln": 18037, "vs": 14120, "for": 12785, "dlrs": 11730,
}  # fmt: skip
REUTERS_WORDS = 1.72e6
AFTER_THE = {"company": 1941, "dollar": 878, "first": 810, "year": 704, "government": 620}
TEMPERATURES = (0.001, 0.05, 0.5, 1.0, 10.0)


# --- how often words stand ------------------------------------------------------------------------


def zipf(rank: Any, a: Any, b: Any, c: Any) -> Any:
    """Mandelbrot's form of Zipf's law: the share of the word of that rank (from 1) is a / (rank + b)^c."""
    return a / (rank + b) ** c


def fit_zipf(shares: Any, steps: int = 2000) -> tuple[list[float], float]:
    """a, b, c by gradient descent (Adam) on the squared error of the logarithms; the mean error that is left."""
    rank = mt.arange(1, len(shares) + 1, dtype=mt.float64)
    target = shares.log()
    theta = f64([-2.3, 0.4, 1.0], requires_grad=True)  # log a, log b, c: a and b stay positive
    optimizer = mt.optim.Adam([theta], lr=0.02)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = ((theta[0] - theta[2] * (rank + theta[1].exp()).log() - target) ** 2).mean()
        loss.backward()
        optimizer.step()
    a, b, c = theta.detach()
    return [a.exp().item(), b.exp().item(), c.item()], loss.item()


def frequencies(found: Sequence[str]) -> tuple[Counter[str], list[float]]:
    """D17-reuters-top10 and D17-zipf."""
    print("shares of the most frequent words: Reuters (ten published counts), by hand a = 0.1, b = 1.5, c = 0.95")
    rows = []
    for i, (word, count) in enumerate(REUTERS.items(), 1):
        by_hand = zipf(float(i), 0.1, 1.5, 0.95)
        rows.append((i, word, count, count / REUTERS_WORDS, by_hand, by_hand / (count / REUTERS_WORDS) - 1))
    table(rows, ("rank", "word", "count", "share", "by hand", "relative error"))
    fitted, left = fit_zipf(f64(list(REUTERS.values())) / REUTERS_WORDS)
    print("  fitted to these ten: a = {:.5f}, b = {:.5f}, c = {:.5f}".format(*fitted), f"(mean square {left:.2e})")
    counts = Counter(found)
    shares = f64([n for _, n in counts.most_common(200)]) / len(found)
    fitted, left = fit_zipf(shares)
    print(f"the same in our text: {len(found):,} words, {len(counts):,} different")
    print("  the 200 most frequent: a = {:.5f}, b = {:.5f}, c = {:.5f}".format(*fitted), f"(mean square {left:.2e})")
    return counts, fitted


# --- temperature ----------------------------------------------------------------------------------


def temperatures() -> None:
    """D17-sigma1, D17-softmax-temperature and D17-bigrams-the: softmax(x / T) between the largest and all alike."""
    print("softmax((x, 1 - x))[0] is a sigmoid of (2x - 1) / T:")
    rows = []
    for x in (0.0, 0.25, 0.5, 1.0, 2.0):
        row: list[Any] = [x]
        for t in (0.2, 1.0, 5.0):
            pair = probabilities(f64([x, 1 - x]), t)[0].item()
            row += [pair, f64((2 * x - 1) / t).sigmoid().item()]
        rows.append(row)
    table(rows, ("x", "T = 0.2", "sigmoid", "T = 1", "sigmoid", "T = 5", "sigmoid"))
    x = f64([2, 5, 25, 3, 14, 4]) / 53
    print("X = (2, 5, 25, 3, 14, 4)/53:")
    rows = [(t, *probabilities(x, t).tolist()) for t in (1e-3, 0.1, 0.2, 1.0, 5.0, 1e3)]
    table(rows, ("T", *"123456"))
    share = f64(list(AFTER_THE.values()))
    share = share / share.sum()
    print("after 'the', from the normalised counts:")
    rows = [(t, *probabilities(share, t).tolist()) for t in (0.05, 0.5, 1.0, 10.0)]
    table(rows, ("T", *AFTER_THE))


# --- sentences ------------------------------------------------------------------------------------


class Followers:
    """The most frequent words after each run of `n - 1` words."""

    def __init__(self, found: Sequence[str], n: int, most: int) -> None:
        after: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for run in ngrams(found, n):
            after[run[:-1]][run[-1]] += 1
        self.n = n
        self.after = {run: counts.most_common(most) for run, counts in after.items()}

    def sentence(self, begin: Sequence[str], length: int, temperature: float, generator: Any = None) -> list[str]:
        """Goes on from the beginning, word by word, until no follower is known."""
        said = list(begin)
        while len(said) < length and (known := self.after.get(tuple(said[1 - self.n :]))):
            counts = f64([count for _, count in known])
            said.append(known[int(sample(counts / counts.sum(), temperature, generator=generator))][0])
        return said


def sentences(found: Sequence[str], begin: Sequence[str], length: int = 18) -> None:
    """D17-temperature-bigrams and D17-trigrams: the same beginning at several temperatures."""
    two, three = Followers(found, 2, 20), Followers(found, 3, 20)
    print(f"sentences from {' '.join(begin)!r}, the next word among the 20 most frequent:")
    for t in (0.0, *TEMPERATURES):
        generator = mt.Generator().manual_seed(0)
        print(f"  T = {t:<6} given one word   ", " ".join(two.sentence(begin, length, t, generator)))
    for t in (0.0, 1.0):
        generator = mt.Generator().manual_seed(0)
        print(f"  T = {t:<6} given two words  ", " ".join(three.sentence(begin, length, t, generator)))


SKIPS = {  # D18-skip-trigrams: (a word of the context, the last word) -> what may follow
    ("appartement", "signer"): ["le bail", "le contrat", "l'offre"],
    ("guerre", "signer"): ["la paix", "l'armistice", "la déclaration"],
    ("picasso", "signer"): ["le tableau", "la peinture", "l'œuvre"],
    ("grand", "très"): ["grand"],
    ("petit", "très"): ["petit"],
}


def skips(found: Sequence[str], gap: int = 8) -> dict[tuple[str, str], list[str]]:
    """D18-skip-trigrams: a word far back decides what follows the last one; the strongest such triples of our text."""
    print("skip-trigrams: what follows depends on a word further back")
    for context in (
        "l'appartement est libre il faut signer",
        "la guerre est finie il faut signer",
        "picasso vient de signer",
    ):
        *before, last = words(context.replace("'", " "))
        table([(f"{context!r}", *next(SKIPS[b, last] for b in before if (b, last) in SKIPS))])
    print("attention of a head on 'le petit | chat | noir | mange': 5, 40, 5, 50 %")
    for word, share in zip(("le petit", "chat", "noir", "mange"), (5, 40, 5, 50), strict=True):
        print(f"  {word:>9} {'#' * (share // 2)} {share} %")
    pairs, triples = Counter(ngrams(found, 2)), Counter()
    totals: Counter[tuple[str, str]] = Counter()
    for i in range(1, len(found) - 1):
        for before in set(found[max(0, i - gap) : i]):
            totals[before, found[i]] += 1
            triples[before, found[i], found[i + 1]] += 1
    last = Counter(a for a, _ in pairs.elements())
    rows = []
    for (before, word, after), count in triples.items():
        if count >= 12:
            seen, usual = count / totals[before, word], pairs[word, after] / last[word]
            rows.append((before, "...", word, after, count, seen, usual, seen / usual))
    rows.sort(key=lambda row: -row[-1])
    print(f"in our text, up to {gap} words back: how often that word follows, with and without the one before")
    table(rows[:8], ("before", "", "last", "next", "count", "then", "usually", "times"), 4)
    return SKIPS


def draw(path: str, counts: Counter[str], fitted: Sequence[float]) -> None:
    """Words by rank, the law in both scales, and the temperatures."""
    fig = plot.figure(13, 10)
    shape = fig.add_gridspec(3, 6, height_ratios=(0.8, 1, 1))
    top = fig.add_subplot(shape[0, :])
    curve, logs = (fig.add_subplot(shape[1, at]) for at in (slice(3), slice(3, 6)))
    bars, sigmoid, after = (fig.add_subplot(shape[2, 2 * k : 2 * k + 2]) for k in range(3))
    common = counts.most_common(50)
    top.bar(range(len(common)), [n for _, n in common], color=plot.BLUE)
    top.set_xticks(range(len(common)), [w for w, _ in common], rotation=60)
    top.set(title=f"the {len(common)} most frequent words", ylabel="times", xlim=(-0.8, len(common) - 0.2))
    total = sum(counts.values())
    shares = [n / total for _, n in counts.most_common(200)]
    ranks = mt.arange(1, len(shares) + 1, dtype=mt.float64)
    for axes in (curve, logs):
        axes.plot(ranks.tolist(), shares, ".", ms=4, color=plot.BLUE, label="our text")
        axes.plot(ranks.tolist(), zipf(ranks, *fitted).tolist(), color=plot.VERMILION, label="fitted a/(i + b)^c")
        axes.plot(ranks.tolist(), zipf(ranks, 0.1, 1.5, 0.95).tolist(), "--", color="#999999", label="by hand")
        axes.set(xlabel="rank i", ylabel="share", title="Zipf's law")
    for axes in (curve, logs):
        axes.legend(frameon=False)
    logs.set(xscale="log", yscale="log", title="Zipf's law, logarithmic")
    x = f64([2, 5, 25, 3, 14, 4]) / 53
    for k, t in enumerate((0.1, 0.2, 1.0, 5.0)):
        bars.bar([i + 0.2 * k for i in range(6)], probabilities(x, t).tolist(), 0.2, label=f"T = {t}", color=SHADES[k])
    bars.set(title="softmax(X / T)", xlabel="entry of X", ylabel="probability")
    bars.set_xticks([i + 0.3 for i in range(6)], ["2", "5", "25", "3", "14", "4"])
    bars.legend(frameon=False)
    line = mt.linspace(-1, 2, 301, dtype=mt.float64)
    for k, t in enumerate((0.1, 0.2, 1.0, 5.0)):
        y = probabilities(mt.stack([line, 1 - line], -1), t)[:, 0]
        sigmoid.plot(line.tolist(), y.tolist(), color=SHADES[k], label=f"T = {t}")
    sigmoid.set(title="softmax((x, 1 − x)/T)[0]", xlabel="x", ylabel="probability of the first")
    sigmoid.legend(frameon=False)
    share = f64(list(AFTER_THE.values()))
    for k, t in enumerate((0.05, 0.5, 1.0, 10.0)):
        y = probabilities(share / share.sum(), t).tolist()
        after.bar([i + 0.2 * k for i in range(5)], y, 0.2, label=f"T = {t}", color=SHADES[k])
    after.set_xticks([i + 0.3 for i in range(5)], list(AFTER_THE), fontsize=8)
    after.set(title="after 'the'", xlabel="the next word", ylabel="probability")
    after.legend(frameon=False)
    fig.savefig(path)


SHADES = (plot.BLUE, "#56B4E9", "#E69F00", plot.VERMILION)


def main() -> None:
    """Runs all parts."""
    options = parser(__doc__, picture=True)
    options.add_argument("--text", default="tinyshakespeare", help="a file in UTF-8 (Shakespeare's plays)")
    options.add_argument("--begin", default="i am", help="the two words that sentences begin with (i am)")
    chosen = options.parse_args()
    found = words(real_text(chosen.text))
    counts, fitted = frequencies(found)
    temperatures()
    sentences(found, words(chosen.begin)[-2:])
    skips(found)
    if chosen.picture:
        draw(chosen.picture, counts, fitted)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
