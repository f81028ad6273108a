"""Convolution in one dimension: turned kernels, full, same and valid, smoothing, derivatives, an echo found in noise.

    python examples/convolution.py --picture convolution.png

The book's convolution turns the kernel and pads with zeros; what layers compute is correlation, which does not turn it.
Modes of inputs of n and kernels of m terms: full n + m - 1; same n, the middle of full; valid n - m + 1. An even kernel
is completed by a 0 in front before being turned.

Covers D11-conv1d-same, D11-conv1d-even, D11-conv1d-full, D11-commutative, D11-moving-average-3, D11-moving-average-5,
D11-smoothing-random, D11-homothety, D11-translation, D11-derivative, D11-sine-derivative, D11-neuron,
D11-weights-sharing, D13-smoothing, D13-polynomial, D13-correlation1d and D13-radar.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from common import f64, parser

import minitensor as mt
from minitensor.learn import plot
from minitensor.nn import functional as F


def correlate(f: Any, g: Any, mode: str = "same") -> Any:
    """Correlation of 1-D tensors: sums of f(n + k) g(k); what nn.Conv1d computes."""
    m = len(g)
    left = {"full": m - 1, "same": m - 1 - (m - 1) // 2, "valid": 0}[mode]
    right = {"full": m - 1, "same": (m - 1) // 2, "valid": 0}[mode]
    return F.conv1d(F.pad(f, (left, right))[None, None], g[None, None])[0, 0]


def convolve(f: Any, g: Any, mode: str = "same") -> Any:
    """Convolution: correlation with the turned kernel; an even kernel gets a 0 in front, but in full mode."""
    if len(g) % 2 == 0 and mode != "full":
        g = mt.cat([g.new_zeros(1), g])
    return correlate(f, g.flip(0), mode)


def window(f: Sequence[float], g: Sequence[float]) -> None:
    """The turned kernel sliding over the input."""
    turned = list(reversed(g))
    half = len(g) // 2
    padded = [0.0] * half + list(f) + [0.0] * half
    print("    padded " + " ".join(f"{x:>4g}" for x in padded))
    for i in range(len(f)):
        terms = " + ".join(f"{a:g}*{b:g}" for a, b in zip(padded[i : i + len(g)], turned, strict=True))
        value = sum(a * b for a, b in zip(padded[i : i + len(g)], turned, strict=True))
        print("           " + "     " * i + " ".join(f"{x:>4g}" for x in turned) + f"     {terms} = {value:g}")


CASES: dict[str, tuple[Sequence[float], Sequence[float], str]] = {
    "D11-conv1d-same": ([1, 0, 3, 5, 1], [1, 2, 3], "same"),
    "D11-conv1d-even": ([-1, 5, 7, 3, 2], [4, 5], "same"),
    "D11-conv1d-full": ([1, 0, 3, 5, 1], [1, 2, 3], "full"),
    "D11-moving-average-3": ([4, 2, 1, 4, 5, 1, 3], [1 / 3] * 3, "same"),
    "D11-moving-average-5": ([4, 2, 1, 4, 5, 1, 3], [1 / 5] * 5, "same"),
    "D11-homothety": (range(1, 10), [2], "same"),
    "D11-homothety, of 3": (range(1, 10), [0, 2, 0], "same"),
    "D11-translation": (range(1, 10), [0, 0, 1], "same"),
    "D11-derivative": ([16, 9, 4, 1, 0, 1, 4, 9, 16], [0, 1, -1], "same"),
    "D11-derivative, even": ([16, 9, 4, 1, 0, 1, 4, 9, 16], [1, -1], "same"),
    "D13-polynomial": ([1, 2, 3, 4], [5, 6, 7], "full"),
    "D13-correlation1d": ([1, 0, 3, 5, 1], [1, 2, 3], "correlation"),
}


def case(name: str) -> tuple[Any, Any, Any]:
    """The output, and the gradients of its sum by input and kernel."""
    f, g, mode = CASES[name]
    x, k = f64(list(f), requires_grad=True), f64(list(g), requires_grad=True)
    y = correlate(x, k) if mode == "correlation" else convolve(x, k, mode)
    return y.detach(), *mt.autograd.grad(y.sum(), (x, k))


def cases() -> None:
    """All lists of the table."""
    short = lambda v: [round(x, 6) for x in v.tolist()]  # noqa: E731
    for name, (f, g, mode) in CASES.items():
        y, dx, dk = case(name)
        print(f"{name}: {list(f)} and {[round(x, 6) for x in g]}, {mode}: {short(y)}")
        print(f"    gradients of the sum by the input {short(dx)}, by the kernel {short(dk)}")
        if name == "D11-conv1d-same":
            window(f, g)
    f, g = f64([1, 0, 3, 5, 1]), f64([1, 2, 3])
    print(f"D11-commutative: f * g = g * f: {mt.equal(convolve(f, g, 'full'), convolve(g, f, 'full'))};", end=" ")
    mt.manual_seed(0)
    pairs = [(mt.randn(7, dtype=mt.float64), mt.randn(4, dtype=mt.float64)) for _ in range(20)]
    print("of 20 random pairs:", all(mt.allclose(convolve(a, b, "full"), convolve(b, a, "full")) for a, b in pairs))


def neuron(activation: Any = None) -> Any:
    """D11-neuron: s = x c + y b + z a; neurons at the edge have two edges only."""
    (a, b, c), (x, y, z) = (1, 2, 3), (1, 0, 3)
    s = f64(x * c + y * b + z * a)
    print(f"D11-neuron: kernel [{a}, {b}, {c}] on ({x}, {y}, {z}): {x}*{c} + {y}*{b} + {z}*{a} = {s:g};", end=" ")
    print(f"with ReLU {s.relu():g}, with a sigmoid {s.sigmoid():.6f}")
    return s


def sharing(n: int = 100, m: int = 3) -> tuple[int, int]:
    """D11-weights-sharing: coefficients of a dense layer and of a convolution."""
    dense, shared = mt.nn.Linear(n, n, bias=False), mt.nn.Conv1d(1, 1, m, padding="same", bias=False)
    counts = dense.weight.numel(), shared.weight.numel()
    print(f"D11-weights-sharing: {n} neurons on {n} inputs: dense {counts[0]:,} coefficients, convolution {counts[1]}")
    return counts


def smoothing() -> dict[str, float]:
    """D11-smoothing-random, D11-sine-derivative, D13-smoothing."""
    mt.manual_seed(0)
    x = mt.rand(100, dtype=mt.float64)
    result = {}
    for k in (1, 3, 5):
        y = convolve(x, mt.full((k,), 1 / k, dtype=mt.float64), "valid")
        result[f"{k}"] = y.diff().var().item()
    print("D11-smoothing-random: variance of the differences of neighbours, of means of 1, 3, 5:", end=" ")
    print(
        ", ".join(f"{v:.5f}" for v in result.values()), f"(expected {1 / 6:.5f}, {2 / 9 / 12:.5f}, {2 / 25 / 12:.5f})"
    )
    k = mt.arange(100, dtype=mt.float64)
    slope = convolve((2 * math.pi * k / 100).sin(), f64([0, 1, -1]))
    apart = (slope - 2 * math.pi / 100 * (2 * math.pi * k / 100).cos())[1:].abs().max()
    result["sine"] = apart.item()
    bound = (math.pi / 50) ** 2 / 2
    print(f"D11-sine-derivative: {apart:.6f} at most from (2 pi/100) cos; (2 pi/100)^2/2 = {bound:.6f}")
    noisy = mt.linspace(0, 2 * math.pi, 100, dtype=mt.float64).sin() + mt.rand(100, dtype=mt.float64)
    smooth = convolve(noisy, mt.full((5,), 0.2, dtype=mt.float64))
    result["noisy"], result["smooth"] = noisy.diff().std().item(), smooth[2:-2].diff().std().item()
    print(f"D13-smoothing: neighbours differ by {result['noisy']:.4f}, after means of five by {result['smooth']:.4f}")
    return result


def pulse() -> Any:
    """D13-radar: sinc(linspace(-3.14, 3.14, 100)) - 0.5."""
    return mt.linspace(-3.14, 3.14, 100, dtype=mt.float64).sinc() - 0.5


def radar(noise: float = 0.5, seed: int = 0) -> tuple[Any, Any, int]:
    """A signal with an echo at 350 ... 449, its correlation with the pulse, and where that is largest."""
    g = pulse()
    signal = noise * mt.randn(1000, generator=mt.Generator().manual_seed(seed), dtype=mt.float64)
    signal[350:450] += g
    found = correlate(signal, g)
    return signal, found, int(found.argmax())


def echoes(seeds: int = 50) -> list[int]:
    """D13-radar: the peak without noise, and with noise for many seeds."""
    clean = radar(0.0)[2]
    peaks = [radar(seed=seed)[2] for seed in range(seeds)]
    print(f"D13-radar: an echo at 350 ... 449: the correlation is largest at {clean} without noise;", end=" ")
    right = sum(abs(p - clean) <= 1 for p in peaks)
    print(f"with noise of deviation 0.5 at {min(peaks)} ... {max(peaks)}, {right} of {seeds} within one of it")
    return [clean, *peaks]


def draw(path: str) -> None:
    """Averages, smoothing, derivative, weights shared, the radar."""
    fig = plot.figure(14, 9)
    grid = fig.subplots(3, 3)
    colours = (plot.BLUE, "#E69F00", plot.VERMILION)
    averages, smooth, slope = grid[0]
    f = CASES["D11-moving-average-3"][0]
    for y, name, colour in zip(
        (f, case("D11-moving-average-3")[0].tolist(), case("D11-moving-average-5")[0].tolist()),
        ("input", "means of 3", "means of 5"), colours, strict=True,
    ):  # fmt: skip
        averages.plot(y, "o-", color=colour, label=name, ms=4)
    averages.set(title="moving averages", xlabel="n", ylabel="value")
    mt.manual_seed(0)
    x = mt.rand(100, dtype=mt.float64)
    for k, colour in zip((1, 3, 5), colours, strict=True):
        y = convolve(x, mt.full((k,), 1 / k, dtype=mt.float64))
        smooth.plot(
            y.tolist(), color=colour, lw=1 if k == 1 else 2, label=f"means of {k}" if k > 1 else "random points"
        )
    smooth.set(title="smoothing", ylim=(-0.05, 1.35), xlabel="n", ylabel="value")
    k = mt.arange(100, dtype=mt.float64)
    sine = (2 * math.pi * k / 100).sin()
    slope.plot(sine.tolist(), color=colours[0], label="sine")
    slope.plot(
        (convolve(sine, f64([0, 1, -1])) * 100 / (2 * math.pi)).tolist(),
        color=colours[2],
        label="differences / (2π/100)",
    )
    slope.plot((2 * math.pi * k / 100).cos().tolist(), "--", color="#999999", label="cosine")
    slope.set(title="a derivative by convolution", ylim=(-1.1, 1.7), xlabel="k", ylabel="value")
    noisy, means, shared = grid[1]
    wave = mt.linspace(0, 2 * math.pi, 100, dtype=mt.float64).sin() + mt.rand(100, dtype=mt.float64)
    noisy.plot(wave.tolist(), color=colours[0])
    noisy.set(title="sine + uniform noise", ylim=(-1.2, 2.2), xlabel="n", ylabel="value")
    means.plot(convolve(wave, mt.full((5,), 0.2, dtype=mt.float64)).tolist(), color=colours[2])
    means.set(title="means of five of it", ylim=(-1.2, 2.2), xlabel="n", ylabel="value")
    for side, (count, title) in enumerate(((5, "dense: 25"), (3, "convolution: 3"))):
        for i in range(5):
            for j in range(5):
                d = j - i + 1
                if side == 0 or 0 <= d < 3:
                    colour = "#999999" if side == 0 else colours[d]
                    shared.plot([2.2 * side + 0, 2.2 * side + 1], [j, i], color=colour, lw=1.2)
        for end in (0, 1):
            shared.plot([2.2 * side + end] * 5, range(5), "o", color="black", ms=6)
        shared.text(2.2 * side + 0.5, 4.6, title, ha="center")
        del count
    shared.set(title="weights, shared ones in one colour", ylim=(-0.5, 5.2))
    shared.set_axis_off()
    signal, found, peak = radar()
    grid[2][0].plot(pulse().tolist(), color=colours[0])
    grid[2][0].set(title="the pulse", xlabel="sample", ylabel="value")
    grid[2][1].plot(signal.tolist(), color=colours[0], lw=0.7)
    grid[2][1].axvspan(350, 449, color=colours[1], alpha=0.3, label="where the echo is")
    grid[2][1].set(title="the signal: an echo in noise", xlabel="sample", ylabel="value", ylim=(-2, 2.6))
    grid[2][1].legend(frameon=False, fontsize=8)
    grid[2][2].plot(found.tolist(), color=colours[0], lw=1)
    grid[2][2].plot(peak, found[peak].item(), "o", color=colours[2], label=f"largest at {peak}")
    grid[2][2].set(title="correlation with the pulse")
    for axes in (averages, smooth, slope, grid[2][2]):
        axes.legend(frameon=False, fontsize=8)
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    cases()
    neuron()
    sharing()
    smoothing()
    echoes()
    if chosen.picture:
        draw(chosen.picture)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
