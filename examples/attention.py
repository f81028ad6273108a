"""Attention, piece by piece: scores, what a matrix mixes, the formula of a head, heads of several kinds, the stream.

    python examples/attention.py --picture attention.png

As in the book, tokens are columns: x is n x K, Q = W_Q x, keys W_K x, A = softmax over the rows of Q^T K / sqrt(r),
(A (x) B) x = B x A^T. Code with tokens as rows (minitensor.nn, GPT-2) is the transpose of all this.

Covers D18-attention-scores, D18-attention-matrix, D18-attention-formula, D18-multihead-sizes, D18-gpt2-head-4-11,
D18-head-gallery, D18-residual, D18-final-output, D18-unembed-softmax, D18-gpt2-logits and TIPS-chain-attention.
"""

from __future__ import annotations

import math
from typing import Any

from common import f64, heat, lines, parser, table

import minitensor as mt
from minitensor.learn import plot
from minitensor.nn import functional as F

WORDS = ["Jeanne", "visite", "le zoo", "émerveillée"]
SHARES = [[0.2, 0.4, 0.1, 0.3], [0.2, 0.4, 0.4, 0], [0.1, 0.4, 0.4, 0.1], [0.3, 0, 0.2, 0.5]]
DOG = ["The", "_dog", "_is", "_black"]
HEAD_4_11 = [
    [1, 0, 0, 0], [0.99992, 7.867e-5, 0, 0], [2.359e-6, 0.99987, 1.2841e-4, 0], [9.921e-8, 1.6798e-8, 1, 1.6479e-7]
]  # fmt: skip
HAMLET = ["To", "be", "or", "not", "to", "be"]


def scores() -> tuple[Any, Any]:
    """D18-attention-scores: products of a query with keys, with and without the root of r."""
    q, keys = f64([2, 1, 4, 3]), f64([[-1, 3, 0, 2], [-2, 0, 2, 2]])
    s = keys @ q
    print("q = (2, 1, 4, 3), keys (-1, 3, 0, 2) and (-2, 0, 2, 2): products", s.tolist())
    plain, scaled = s.softmax(0), (s / math.sqrt(4)).softmax(0)
    print(f"  softmax {plain.tolist()}\n  softmax of the products / sqrt(4) {scaled.tolist()}, less sure of itself")
    return plain, scaled


def mixing() -> Any:
    """D18-attention-matrix: w_i = sum_j A_ij v_j, which is x A^T."""
    a = f64(SHARES)
    assert mt.allclose(a.sum(1), mt.ones(4, dtype=mt.float64))
    x = mt.eye(4, dtype=mt.float64)
    mixed = x @ a.t()
    print("each word becomes a mixture of all (v_j = e_j):")
    for i, word in enumerate(WORDS):
        parts = [f"{share:g} {other}" for other, share in zip(WORDS, mixed[:, i].tolist(), strict=True) if share]
        print(f"  {word:<12} = {' + '.join(parts)}")
    return mixed


def softmax_rows(s: Any, causal: bool) -> Any:
    """Softmax over rows; causal: nothing right of the diagonal."""
    if causal:
        s = s.masked_fill(mt.ones_like(s, dtype=mt.bool).triu(1), -math.inf)
    return s.softmax(-1)


def head(x: Any, wq: Any, wk: Any, wv: Any, wo: Any, causal: bool = False) -> tuple[Any, Any]:
    """A head on tokens as columns: (A, W_O W_V x A^T)."""
    a = softmax_rows((wq @ x).t() @ (wk @ x) / math.sqrt(len(wq)), causal)
    return a, wo @ (wv @ x) @ a.t()


def formula(n: int = 8, r: int = 4, k: int = 5) -> dict[str, float]:
    """D18-attention-formula: two orders of computing, tokens as rows, gradients, rank."""
    mt.manual_seed(0)
    x = mt.randn(n, k, dtype=mt.float64)
    wq, wk, wv = (mt.randn(r, n, dtype=mt.float64).requires_grad_() for _ in range(3))
    wo = mt.randn(n, r, dtype=mt.float64).requires_grad_()
    result = {}
    for causal in (False, True):
        a, y = head(x, wq, wk, wv, wo, causal)
        other = (wo @ wv) @ (x @ a.t())
        rows = F.scaled_dot_product_attention(x.t() @ wq.t(), x.t() @ wk.t(), x.t() @ wv.t(), is_causal=causal) @ wo.t()
        weight = mt.randn(n, k, dtype=mt.float64)
        loss = lambda *w, causal=causal, weight=weight: (weight * head(x, *w, causal)[1]).sum()  # noqa: E731
        right = mt.autograd.gradcheck(loss, (wq, wk, wv, wo))
        name = "causal" if causal else "whole"
        result[name] = max((other - y).abs().max().item(), (rows.t() - y).abs().max().item())
        print(f"a head, n = {n}, r = {r}, K = {k}, {name}: other order and rows differ by {result[name]:.1e};", end=" ")
        print(f"gradients of the four matrices by differences: {right}")
    rank = int(mt.linalg.matrix_rank((wo @ wv).detach()))
    print(f"W_O W_V is {n} x {n} of rank {rank}, at most r; A (causal):")
    table(a.tolist(), digits=4)
    return result


def sizes() -> float:
    """D18-multihead-sizes: counts for n = 768, and the two ways to join heads."""
    n, r, k = 768, 64, 1024
    print(
        f"n = {n}, r = {r}, K = {k}: {n // r} heads, {k * k:,} entries of A, {r * n:,} weights in one matrix,", end=" "
    )
    print(f"{4 * r * n:,} in a head, {4 * n * n:,} in all")
    n, r, k = 8, 2, 5
    mt.manual_seed(1)
    x = mt.randn(n, k, dtype=mt.float64)
    heads = [[mt.randn(r, n, dtype=mt.float64) for _ in range(3)] for _ in range(n // r)]
    out = mt.randn(n, n, dtype=mt.float64)
    found = [head(x, *w, mt.eye(r, dtype=mt.float64))[1] for w in heads]  # each r x K
    apart = x + sum(out[:, j * r : (j + 1) * r] @ h for j, h in enumerate(found))
    joined = x + out @ mt.cat(found)
    blocks = x + out @ mt.block_diag(*(mt.eye(r, dtype=mt.float64),) * (n // r)) @ mt.cat(found)
    apart_by = max((apart - joined).abs().max().item(), (blocks - joined).abs().max().item())
    print(f"  n = 8, r = 2: the sum over heads and the joined form differ by {apart_by:.1e}")
    return apart_by


def heads() -> dict[str, Any]:
    """D18-gpt2-head-4-11 and D18-head-gallery."""
    real = f64(HEAD_4_11)
    print("a real head of GPT-2 (layer 4, head 11): each word looks at the one before; sums of the rows", end=" ")
    print([round(x, 4) for x in real.sum(1).tolist()], "; lower triangle:", bool((real.triu(1) == 0).all()))
    n = len(HAMLET)
    past = mt.ones(n, n, dtype=mt.float64).tril()
    before = mt.eye(n, dtype=mt.float64).roll(-1, 1).tril()
    before[0, 0] = 1
    repeats = mt.eye(n, dtype=mt.float64)
    for i, word in enumerate(HAMLET):
        earlier = [j for j in range(i) if HAMLET[j].lower() == word.lower()]
        if earlier:
            repeats[i] = 0
            repeats[i, earlier] = 1 / len(earlier)
    gallery = {
        "itself": mt.eye(n, dtype=mt.float64),
        "the past, evenly": past / past.sum(1, keepdim=True),
        "repetitions": repeats,
        "the word before": before,
    }
    for name, a in gallery.items():
        assert mt.allclose(a.sum(1), mt.ones(n, dtype=mt.float64)), name
    print("four kinds of heads on", " ".join(HAMLET) + ":", ", ".join(gallery))
    return gallery


def stream() -> dict[str, Any]:
    """D18-residual: what a block does not write stays bit for bit; gradients pass the sum."""
    mt.manual_seed(2)
    n, k, p = 6, 4, 2
    x = mt.randn(n, k, dtype=mt.float64)
    # block 1 writes into the first p coordinates and the others apart; block 2 leaves the first p alone
    first = mt.block_diag(mt.randn(p, p, dtype=mt.float64), mt.randn(n - p, n - p, dtype=mt.float64))
    second = mt.randn(n, n, dtype=mt.float64)
    second[:p] = 0
    x1 = x + first @ x.tanh()
    x2 = x1 + second @ x1.tanh()
    same = bool((x2[:p] == x1[:p]).all())
    print(f"the stream: the first {p} coordinates pass block 2 unchanged, bit for bit: {same}")
    z = mt.randn(p, p, dtype=mt.float64)
    third = mt.block_diag(z, mt.randn(n - p, n - p, dtype=mt.float64))
    read = (third @ x2)[:p]
    written = first[:p, :p] @ x[:p].tanh()
    old = z @ (x[:p] + written)
    print(f"block 3 reads Z u, u = what was there + what block 1 added: {mt.allclose(read, old)}")
    norms = {}
    for residual in (True, False):
        mt.manual_seed(3)
        inputs = mt.randn(n, k, dtype=mt.float64, requires_grad=True)
        y, points = inputs, []
        for _ in range(24):
            w = mt.randn(n, n, dtype=mt.float64) * 0.4 / math.sqrt(n)
            y = (y if residual else 0) + w @ y.tanh()
            points.append(y)
        gradients = mt.autograd.grad(y.square().sum().sqrt(), points)
        norms[residual] = [g.norm().item() for g in gradients]
    print("norm of the gradient by the stream after blocks 1, 8, 16, 24 of 24, with the sum and without:")
    table([("with" if r else "without", *(v[i] for i in (0, 7, 15, 23))) for r, v in norms.items()], digits=3)
    return {"same": same, "norms": norms}


def outputs() -> Any:
    """D18-final-output, D18-unembed-softmax and D18-gpt2-logits."""
    x = f64([[1.0, 2, 3], [4, 5, 6]])  # n = 2, K = 3
    c = f64([[0.5], [-1], [2]], requires_grad=True)
    w = x @ c
    w.sum().backward()
    print(f"w = x C, x of shape (2, 3), C of shape (3, 1): {w.tolist()}, gradient of its sum by C {c.grad.tolist()}")
    names = ["word 1", "word 2", "word 3", "word 4"]
    logits = f64([2.2, -1.1, 3.3, 0.44])
    p = logits.softmax(0)
    order = p.argsort(descending=True).tolist()
    print("logits (2.2, -1.1, 3.3, 0.44):")
    for i in order:
        print(f"  {names[i]}  {p[i]:.6f}  {'#' * round(40 * p[i].item())}")
    far = f64([-94.1504, -91.7648, -95.7328, -93.9105])
    total = -78.0818
    rest = total + math.log1p(-sum(math.exp(v - total) for v in far.tolist()))
    everything = mt.cat([far, f64([rest])])
    stable, naive = everything.float().softmax(0), everything.float().exp()
    naive = naive / naive.sum()
    print(f"logits near -94, the others together {rest:.6f} (log of the total {everything.logsumexp(0):.4f}), float32:")
    exact = everything.softmax(0)
    table(
        [
            (f"{v:.4f}", s, e, q)
            for v, s, e, q in zip(everything.tolist(), stable.tolist(), exact.tolist(), naive.tolist(), strict=True)
        ],
        ("logit", "softmax", "in float64", "naive"),
    )
    everything = (everything - 30).float()
    lower = everything.exp()
    print(f"  30 lower still, naively: {(lower / lower.sum()).tolist()}; softmax: {everything.softmax(0)[0]:.6g}")
    return p


def chain() -> dict[str, Any]:
    """TIPS-chain-attention: A + A^2 + ... = A (I - A)^-1 carries a state along a chain in one layer."""
    k = 5
    identity = mt.eye(k, dtype=mt.float64)
    a = mt.eye(k, dtype=mt.float64).roll(1, 0).tril(-1)
    powers = [mt.linalg.matrix_power(a, i) for i in range(1, k)]
    total = sum(powers[1:], powers[0])
    solved = mt.linalg.solve_triangular(identity - a, a, upper=False)
    print("each token looks at the one before; A + A^2 + ... + A^4 by powers and by a triangular solve:", end=" ")
    print("equal", mt.allclose(solved, total), "; e holds what a held:", solved[-1].tolist())
    mt.manual_seed(4)
    s = mt.randn(k, k, dtype=mt.float64, requires_grad=True)
    hidden = mt.ones(k, k, dtype=mt.bool).triu()

    def mixture(s: Any) -> Any:
        """A strictly causal softmax whose first row is empty, all hops of it."""
        a = s.masked_fill(hidden, -1e9).softmax(-1).masked_fill(hidden, 0.0)
        return mt.linalg.solve_triangular(identity - a, a, upper=False)

    weight = mt.randn(k, k, dtype=mt.float64)
    print("  a random strictly causal A: gradient through the solve, by differences:", end=" ")
    print(mt.autograd.gradcheck(lambda s: (weight * mixture(s)).sum(), (s,)))
    causal = softmax_rows(s.detach(), causal=True)
    damped = 0.9 * causal
    series, power = mt.zeros_like(damped), damped
    for _ in range(400):
        series, power = series + power, power @ damped
    print(f"  a causal softmax has A[0, 0] = {causal[0, 0]:g}: I - A is singular; damped by 0.9 the series", end=" ")
    print("equals the solve:", mt.allclose(mt.linalg.solve(identity - damped, damped), series))
    return {"powers": powers, "total": solved}


def draw(path: str, gallery: dict[str, Any], hops: dict[str, Any]) -> None:
    """Heat maps with words, and lines between words."""
    fig = plot.figure(15, 16.6)
    grid = fig.subplots(4, 4)
    heat(grid[0][0], f64(SHARES), WORDS, WORDS)
    grid[0][0].set_title("attention matrix")
    lines(grid[0][1], f64(SHARES), WORDS)
    grid[0][1].set_title("the same as lines")
    heat(grid[0][2], f64(HEAD_4_11), DOG, DOG)
    grid[0][2].set_title("a head of GPT-2: the word before")
    lines(grid[0][3], f64(HEAD_4_11), DOG)
    grid[0][3].set_title("the same as lines")
    for column, (name, a) in enumerate(gallery.items()):
        heat(grid[1][column], a, HAMLET, HAMLET)
        grid[1][column].set_title(name)
        lines(grid[2][column], a, HAMLET)
        grid[2][column].set_title(f"{name}, as lines")
    names = list("abcde")
    for axes, a, name in zip(
        grid[3],
        [*hops["powers"][:3], hops["total"]],
        ("A, one hop", "A², two hops", "A³, three hops", "A + A² + …, all hops"),
        strict=True,
    ):
        heat(axes, a, names, names, 0)
        axes.set_title(f"a chain: {name}")
    for axes in (*grid[0][::2], *grid[1], *grid[3]):
        axes.set(xlabel="looks at", ylabel="the word")
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    scores()
    mixing()
    formula()
    sizes()
    gallery = heads()
    stream()
    outputs()
    hops = chain()
    if chosen.picture:
        draw(chosen.picture, gallery, hops)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
