"""Where a word stands, as a vector: sinusoidal positions, their rotation, and a head that reads the word before.

    python examples/positions.py --picture positions.png

Position k has the code (cos k w_0, sin k w_0, cos k w_1, ...) with w_i = p^(-2i/n), i = 0 ... n/2 - 1 (cosine first;
sine first is an option). GPT-2 itself learns its positions instead.

Covers D18-posenc, D18-posenc-binary, D18-posenc-plots, D18-posenc-rotation and D18-previous-token-head.
"""

from __future__ import annotations

import math
from typing import Any

from common import f64, heat, parser, table

import minitensor as mt
from minitensor.learn import plot


def speeds(n: int, p: float) -> Any:
    """w_i = p^(-2i/n), i = 0 ... n/2 - 1."""
    return p ** (-2 * mt.arange(n // 2, dtype=mt.float64) / n)


def encode(k: Any, n: int, p: float, sine_first: bool = False) -> Any:
    """The codes of the positions k, as rows: (positions, n)."""
    angle = mt.as_tensor(k).double()[..., None] * speeds(n, p)
    pair = (angle.sin(), angle.cos()) if sine_first else (angle.cos(), angle.sin())
    return mt.stack(pair, -1).flatten(-2)


def rotation(steps: float, n: int, p: float) -> Any:
    """R_steps: block diagonal, turns pair i by steps * w_i; R_l w_k = w_{k+l}."""
    angle = steps * speeds(n, p)
    c, s = angle.cos(), angle.sin()
    return mt.block_diag(*(mt.stack([mt.stack([a, -b]), mt.stack([b, a])]) for a, b in zip(c, s, strict=True)))


def digits(k: int, base: int) -> list[int]:
    """The digits of k, units first."""
    result = [k % base]
    while k := k // base:
        result.append(k % base)
    return result


def codes() -> Any:
    """D18-posenc and D18-posenc-binary."""
    w = encode(range(4), 6, 100)
    print("n = 6, p = 100: the codes of k = 0 ... 3, cosine first, then sine first")
    table([(k, *row) for k, row in enumerate(w.tolist())])
    table([(k, *row) for k, row in enumerate(encode(range(4), 6, 100, sine_first=True).tolist())])
    tokens = f64([[1, 0, 2, 0, 3, 0]]).expand(4, 6)
    print("added to the same token everywhere, u_k = v + w_k tells the places apart:")
    table([(k, *row) for k, row in enumerate((tokens + w).tolist())])
    print(f"22 in base 2, units first: {digits(22, 2)}, in base 10: {digits(22, 10)};", end=" ")
    print("each digit turns slower than the one before, as the angles k w_i do")
    return w


def turning() -> float:
    """D18-posenc-rotation: the code l places on is a rotation of the code, whatever k."""
    n, p = 6, 100
    w = encode(range(9), n, p)
    one = rotation(1, n, p)
    worst = max((rotation(step, n, p) @ w[k] - w[k + step]).abs().max().item() for k in range(5) for step in range(5))
    power = max((mt.linalg.matrix_power(one, step) - rotation(step, n, p)).abs().max().item() for step in range(5))
    print(f"R_l w_k = w_(k+l) for k, l = 0 ... 4: largest error {worst:.2e}; R_l = R_1^l: {power:.2e}")
    print(f"squares of the norms, all n/2 = 3: {w.square().sum(1).tolist()}")
    print(
        "products w_0 . w_k, less and less until the fastest pair has turned half round (k = 3):",
        ", ".join(f"{x:.4f}" for x in (w @ w[0]).tolist()),
    )
    return max(worst, power)


def previous_head(beta: float, length: int = 6, n: int = 6, p: float = 100) -> Any:
    """D18-previous-token-head: attention with W_K = I, W_Q = beta R_1^T, causal: position i asks for w_(i-1)."""
    w = encode(range(length), n, p)
    queries = w @ (beta * rotation(1, n, p).t()).t()
    scores = queries @ w.t() / math.sqrt(n)
    hidden = mt.ones(length, length, dtype=mt.bool).triu(1)
    return scores.masked_fill(hidden, -math.inf).softmax(-1)


def head() -> dict[float, Any]:
    """The head at several beta."""
    found = {beta: previous_head(beta) for beta in (0.0, 3.0, 30.0, 100.0)}
    print("a head that looks at the word before: the share of position i that goes to i - 1")
    rows = [(beta, *a.diagonal(-1).tolist()) for beta, a in found.items()]
    table(rows, ("beta", *(f"i = {i}" for i in range(1, 6))))
    print("  (position 0 has nobody before it and looks at itself)")
    return found


def draw(path: str, heads: dict[float, Any]) -> None:
    """The codes of 100 positions of 100 numbers, by place and by coordinate; the head."""
    n = count = 100
    fig = plot.figure(13, 8)
    (shades, by_place, by_coordinate), below = fig.subplots(2, 3)
    w = encode(range(count), n, 10_000)
    image = shades.imshow(w, cmap="RdBu", vmin=-1, vmax=1)
    fig.colorbar(image, ax=shades, shrink=0.8)
    shades.set(title="codes of 100 positions, n = 100, p = 10,000", xlabel="coordinate", ylabel="position k")
    colours = (plot.BLUE, "#56B4E9", "#E69F00", plot.VERMILION)
    for i, colour in zip((0, 4, 10, 20), colours, strict=True):
        by_place.plot(w[:, 2 * i + 1].tolist(), color=colour, label=f"i = {i}")
    by_place.set(title="sin(k ω_i) for fixed i", xlabel="position k", ylabel="coordinate")
    for k, colour in zip((1, 5, 20, 80), colours, strict=True):
        by_coordinate.plot(range(n // 2), w[k, 1::2].tolist(), color=colour, label=f"k = {k}")
    by_coordinate.set(title="sin(k ω_i) for fixed k", xlabel="i", ylabel="coordinate")
    for axes in (by_place, by_coordinate):
        axes.legend(frameon=False, ncols=2)
        axes.set_ylim(-1.1, 1.5)
    for axes, beta in zip(below, (0.0, 3.0, 30.0), strict=True):
        heat(axes, heads[beta])
        axes.set(title=f"a head by hand, beta = {beta:g}", xlabel="looks at", ylabel="position")
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    codes()
    turning()
    heads = head()
    if chosen.picture:
        draw(chosen.picture, heads)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
