"""Convolution of pictures: filters on a photo, shared weights backwards, pooling, a motif found in noise.

    python examples/filters.py --picture filters.png
    python examples/filters.py --photo my.png --picture filters.png

Covers D12-conv-neuron, D12-conv2d-4x4, D13-conv2d-same, D13-conv2d-full, D13-conv2d-valid,
D13-conv2d-correlation-layer, D12-conv2d-3x5, D12-conv2d-shift-down, D12-conv2d-shift-right, D12-conv2d-mean5x5,
D13-conv2d-associative, D12-conv-param-count, D12-conv-shapes, D12-activation-layer, D12-conv-backprop-shared,
D12-kernels, D12-filters-on-image, D13-image-emboss, D12-pooling, D12-pooling-figure, D12-pooling-shape, D13-maxpool,
D13-avgpool, D12-image-pooling, D13-correlation2d and D13-correlation2d-small.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from common import f64, parser, table

import minitensor as mt
from minitensor import nn
from minitensor.datasets.store import optional
from minitensor.learn import plot
from minitensor.nn import functional as F

A4 = [[2, 1, 3, 0], [1, 1, 0, 5], [3, 3, 1, 0], [2, 0, 0, 2]]
M4 = [[1, 0, 2], [2, 1, 0], [1, 0, 3]]
EMBOSS = [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]
A35 = [[2, -1, 7, 3, 0], [2, 0, 0, -2, 1], [-5, 0, -1, -1, 4]]
SMALL = [[0, 255, 64, 255, 0], [255, 0, 127, 0, 255], [64, 127, 0, 127, 64], [255, 0, 127, 0, 255]]
POOL = [[16, 23, 22, 21, 12, 13], [0, 5, 18, 2, 17, 15], [10, 20, 4, 9, 7, 8], [11, 14, 1, 19, 6, 3]]
BLOCKS = [[[3, 5], [2, 1]], [[0, 1], [4, 3]], [[1, 0], [2, 7]], [[3, 2], [1, 3]]]
KERNELS: dict[str, Any] = {
    "blur": [[1 / 9] * 3] * 3,
    "Gaussian blur": [[x / 16 for x in row] for row in [[1, 2, 1], [2, 4, 2], [1, 2, 1]]],
    "sharpen": [[0, -1, 0], [-1, 5, -1], [0, -1, 0]],
    "vertical": [[-1, 2, -1]] * 3,
    "horizontal": [[-1] * 3, [2] * 3, [-1] * 3],
    "45 degrees": [[-1, -1, 2], [-1, 2, -1], [2, -1, -1]],
    "edges": [[-1, -1, -1], [-1, 8, -1], [-1, -1, -1]],
    "edges, four sides": [[0, 1, 0], [1, -4, 1], [0, 1, 0]],
    "edges, corners": [[1, 0, -1], [0, 0, 0], [-1, 0, 1]],
    "emboss": EMBOSS,
}


def correlate(a: Any, m: Any, mode: str = "same") -> Any:
    """Correlation of matrices, zeros around: what nn.Conv2d computes."""
    pads = []
    for k in reversed(m.shape):
        pads += {"full": (k - 1, k - 1), "same": (k - 1 - (k - 1) // 2, (k - 1) // 2), "valid": (0, 0)}[mode]
    return F.conv2d(F.pad(a, pads)[None, None], m[None, None])[0, 0]


def convolve(a: Any, m: Any, mode: str = "same") -> Any:
    """Convolution: correlation with the kernel turned by half a turn."""
    return correlate(a, m.flip(0, 1), mode)


def show(name: str, a: Any) -> None:
    """A matrix under its name."""
    print(name)
    table([[f"{x:g}" for x in row] for row in a.tolist()])


def matrices() -> dict[str, Any]:
    """What convolution is, on small matrices."""
    w, a, m = f64([[1, 2, 3], [4, 5, 6], [7, 8, 9]]), f64(A4), f64(M4)
    products = w * m.flip(0, 1)
    print(f"D12-conv-neuron: nine products {products.int().tolist()}, their sum {products.sum():g}")
    show("D12-conv2d-4x4, the kernel turned", m.flip(0, 1))
    found = {mode: convolve(a, m, mode) for mode in ("full", "same", "valid")}
    for mode, y in found.items():
        show(f"A * M, {mode}, {tuple(y.shape)}", y)
    inside = mt.equal(found["full"][1:-1, 1:-1], found["same"]) and mt.equal(found["same"][1:-1, 1:-1], found["valid"])
    print("  each is the middle of the one before:", inside)
    for padding in ("same", "valid"):
        layer = nn.Conv2d(1, 1, 3, padding=padding, bias=False).double()
        layer.weight.data[0, 0] = m
        y = layer(a[None, None])[0, 0].detach()
        show(f"D13-conv2d-correlation-layer: Conv2d, {padding}, does not turn the kernel", y)
        layer.weight.data[0, 0] = m.flip(0, 1)
        print("  with the kernel turned it is the convolution:", mt.equal(layer(a[None, None])[0, 0], found[padding]))
        found[f"layer {padding}"] = y
    b, e = f64(A35), f64(EMBOSS)
    found["3x5"] = convolve(b, e)
    show("D12-conv2d-3x5", found["3x5"])
    show("  what comes out if the turn is forgotten", correlate(b, e))
    counted = mt.arange(1, 17, dtype=mt.float64).reshape(4, 4)
    for name, (i, j) in (("down", (2, 1)), ("right", (1, 2))):
        one = mt.zeros(3, 3, dtype=mt.float64)
        one[i, j] = 1
        found[name] = convolve(counted, one)
        show(f"D12-conv2d-shift-{name}", found[name])
    found["mean"] = convolve(mt.arange(1, 26, dtype=mt.float64).reshape(5, 5), mt.full((3, 3), 1 / 9, dtype=mt.float64))
    show("D12-conv2d-mean5x5, darker at the border", found["mean"])
    relu, conv = found["same"].relu(), found["same"]
    print(f"D12-activation-layer: ReLU after it changes {int((relu != conv).sum())} terms;", end=" ")
    print(f"sigmoid of the first {conv[0, 0].sigmoid():.6f}, tanh {conv[0, 0].tanh():.6f}")
    found["small"] = correlate(counted, mt.arange(1, 10, dtype=mt.float64).reshape(3, 3))
    show("D13-correlation2d-small", found["small"])
    return found


def associative() -> tuple[bool, bool]:
    """D13-conv2d-associative: two linear layers collapse into one; not so for correlation."""
    mt.manual_seed(0)
    a, p, q = (mt.randint(-5, 6, shape).double() for shape in ((6, 4), (3, 3), (3, 3)))
    convolution = mt.equal(convolve(convolve(a, p, "full"), q, "full"), convolve(a, convolve(p, q, "full"), "full"))
    correlation = mt.equal(correlate(correlate(a, p, "full"), q, "full"), correlate(a, correlate(p, q, "full"), "full"))
    print(f"D13-conv2d-associative: (a * p) * q = a * (p * q): {convolution}; for correlation: {correlation}")
    return convolution, correlation


def sizes() -> dict[str, Any]:
    """D12-conv-param-count, D12-conv-shapes, D12-pooling-shape."""
    n = p = 100
    conv = nn.Conv2d(1, 1, 3, padding="same", bias=False)
    counts = {"neurons": n * p, "dense": (n * p) ** 2, "convolution": conv.weight.numel()}
    print(
        f"D12-conv-param-count: {n} x {p} pixels, {n * p:,} neurons: a dense layer has {(n * p) ** 2:,} weights,",
        end=" ",
    )
    print(f"a convolution {counts['convolution']}")
    x = mt.zeros(1, 32, 28, 28)
    layer = nn.Conv2d(32, 16, 3, padding="same")
    print(
        f"D12-conv-shapes: (28, 28, 32) with 16 filters: (28, 28, 16), channels first {tuple(layer(x).shape)};", end=" "
    )
    print(f"a filter is (3, 3, 32): {tuple(layer.weight.shape)}")
    y = F.max_pool2d(mt.zeros(1, 1, 100, 80), 4)
    print(f"D12-pooling-shape: 100 x 80 by 4: {tuple(y.shape[2:])}, {100 * 80:,} numbers become {y.numel()}")
    return counts | {"layer": tuple(layer(x).shape), "pool": tuple(y.shape[2:])}


def shared() -> dict[str, Any]:
    """D12-conv-backprop-shared: the gradient of a weight is a sum over all neurons that use it, in three ways."""
    result: dict[str, Any] = {}
    a, m = f64(A4, requires_grad=True), f64(M4, requires_grad=True)
    for name, total in (("sum B", lambda b: b.sum()), ("half sum B^2", lambda b: 0.5 * (b**2).sum())):
        da, dm = mt.autograd.grad(total(convolve(a, m)), (a, m))
        show(f"D12-conv-backprop-shared, F = {name}: dF/dA", da)
        show("  dF/dM", dm)
        result[name] = da, dm
    # neuron by neuron
    padded, b = F.pad(a.detach(), (1, 1, 1, 1)), convolve(a, m).detach()
    loop = mt.zeros(3, 3, dtype=mt.float64)
    for i in range(4):
        for j in range(4):
            loop += padded[i : i + 3, j : j + 3].flip(0, 1) * b[i, j]
    # im2col: one row of the matrix for each neuron, its nine inputs
    rows = F.unfold(a.detach()[None, None], 3, padding=1)[0].t()
    columns = (rows.t() @ b.reshape(-1)).reshape(3, 3).flip(0, 1)
    step, slope = 1e-5, mt.zeros(3, 3, dtype=mt.float64)
    half = lambda m: 0.5 * (convolve(a.detach(), m) ** 2).sum()  # noqa: E731
    for i in range(3):
        for j in range(3):
            d = mt.zeros(3, 3, dtype=mt.float64)
            d[i, j] = step
            slope[i, j] = (half(m.detach() + d) - half(m.detach() - d)) / (2 * step)
    exact = result["half sum B^2"][1]
    print(f"  neuron by neuron equal: {mt.equal(loop, exact)}, by im2col: {mt.equal(columns, exact)},", end=" ")
    print(f"by differences to {(slope - exact).abs().max():.1e}")
    result["im2col"] = rows
    return result


def pools() -> dict[str, Any]:
    """D12-pooling, D12-pooling-figure, D13-maxpool, D13-avgpool."""
    for block in BLOCKS:
        x = f64(block, requires_grad=True)
        top, mean = F.max_pool2d(x[None, None], 2), F.avg_pool2d(x[None, None], 2)
        grads = [mt.autograd.grad(y.sum(), x)[0].tolist() for y in (top, mean)]
        print(f"D12-pooling: {block}: largest {top.item():g}, backward {grads[0]}; mean {mean.item():g}, {grads[1]}")
    nine = mt.arange(81, dtype=mt.float64).mul(37).remainder(81).reshape(9, 9)
    show("D12-pooling-figure: a 9 x 9 matrix by 3: largest", F.max_pool2d(nine[None, None], 3)[0, 0])
    x = f64(POOL)
    top, places = F.max_pool2d(x[None, None], 2, return_indices=True)
    mean = F.avg_pool2d(x[None, None], 2)[0, 0]
    show("D13-maxpool", top[0, 0])
    winners = mt.zeros(24).scatter(0, places.flatten(), 1.0).reshape(4, 6)
    show("  the winners", winners)
    show("D13-avgpool", mean)
    blocks = x.reshape(2, 2, 3, 2)
    print(
        "  by reshape to (n/k, k, p/k, k) the same:",
        mt.equal(blocks.amax((1, 3)), top[0, 0]),
        mt.equal(blocks.mean((1, 3)), mean),
    )
    return {"max": top[0, 0], "mean": mean, "winners": winners}


def eight_bits(a: Any) -> Any:
    """D13-image-emboss: clipped to [0, 255], then whole numbers of 8 bits."""
    return a.clamp(0, 255).to(mt.uint8)


def photo(path: str | None) -> Any:
    """A grey picture from 0 to 255: the file, or scikit-learn's photo of a temple, or the small image made larger."""
    if path is not None:
        pixels = optional("matplotlib.image").imread(path).astype(np.float64)
        pixels = pixels * (255 if pixels.max() <= 1 else 1)
        return mt.tensor(pixels[..., :3].mean(-1) if pixels.ndim == 3 else pixels)
    try:
        pixels = optional("sklearn.datasets").load_sample_image("china.jpg")
    except (ModuleNotFoundError, ImportError, OSError):
        print("(no photo: scikit-learn and pillow have one, --photo names one; the small image takes its place)")
        return F.interpolate(f64(SMALL)[None, None], scale_factor=60, mode="bilinear")[0, 0]
    return mt.tensor(pixels.astype(np.float64)) @ f64([0.299, 0.587, 0.114])


def filtered() -> dict[str, Any]:
    """D12-kernels, D12-filters-on-image on the small image."""
    a, result = f64(SMALL), {}
    for name, kernel in KERNELS.items():
        k = f64(kernel)
        result[name] = convolve(a, k)
        turned = "as turned" if mt.equal(k, k.flip(0, 1)) else "other than turned"
        show(f"{name}: its numbers add up to {k.sum():g}, {turned}", result[name])
    show("D13-image-emboss on it, 8 bits", eight_bits(result["emboss"]))
    return result


def motif() -> Any:
    """A smiling face of 100 x 100, values from -1 to 1."""
    y, x = mt.meshgrid(*(mt.linspace(-1, 1, 100, dtype=mt.float64),) * 2, indexing="ij")
    face = -mt.ones(100, 100, dtype=mt.float64)
    face[x**2 + y**2 < 0.9] = 1
    for eye in (-0.35, 0.35):
        face[(x - eye) ** 2 + (y + 0.3) ** 2 < 0.02] = -1
    ring = x**2 + y**2
    face[(ring > 0.28) & (ring < 0.42) & (y > 0.2)] = -1
    return face


def hidden(seed: int = 0) -> tuple[Any, Any, tuple[int, int]]:
    """D13-correlation2d: noise with the motif (row 250, column 150), its correlation, and where that is largest."""
    image = mt.randn(500, 500, generator=mt.Generator().manual_seed(seed), dtype=mt.float64)
    face = motif()
    image[250:350, 150:250] += 0.2 * face
    found = correlate(image, face)
    row, column = divmod(int(found.argmax()), 500)
    print(
        f"D13-correlation2d: the motif's middle is at (300, 200); the correlation is largest at {row, column},", end=" "
    )
    print(f"{(found[row, column] / found.std()).item():.1f} deviations")
    return image, found, (row, column)


def draw(path: str, grey: Any, rows: Any, image: Any, map_: Any) -> None:
    """Before and after of each filter, pools, im2col, the motif."""
    fig = plot.figure(15, 12)
    grid = fig.subplots(4, 4).ravel()
    pictures = [("the photo", grey)] + [(name, convolve(grey, f64(k))) for name, k in KERNELS.items()]
    pictures += [
        (f"{name} of 4 x 4", pool(grey[None, None], 4)[0, 0])
        for name, pool in (("largest", F.max_pool2d), ("mean", F.avg_pool2d))
    ]
    for axes, (name, y) in zip(grid, pictures, strict=False):
        axes.imshow(eight_bits(y), cmap="gray", vmin=0, vmax=255)
        axes.set_title(name)
        axes.set_axis_off()
    matrix, noise, peak = grid[13:]
    matrix.imshow(rows, cmap="Blues")
    for i, row in enumerate(rows.int().tolist()):
        for j, v in enumerate(row):
            matrix.text(j, i, str(v), ha="center", va="center", fontsize=7, color="white" if v > 3 else "black")
    matrix.set(title="im2col of A: a row for each neuron", xlabel="its nine inputs", ylabel="neuron", aspect="auto")
    noise.imshow(image, cmap="gray")
    noise.set_title("a motif hidden in noise")
    noise.set_axis_off()
    peak.imshow(map_, cmap="viridis")
    peak.plot(200, 300, "o", mfc="none", mec=plot.VERMILION, ms=22, mew=2)
    peak.set_title("correlation with the motif")
    peak.set_axis_off()
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    options = parser(__doc__, picture=True)
    options.add_argument("--photo", metavar="FILE", help="a PNG to filter (scikit-learn's photo of a temple)")
    options.add_argument("--emboss", metavar="FILE", help="save the embossed photo")
    chosen = options.parse_args()
    matrices()
    associative()
    sizes()
    rows = shared()["im2col"]
    pools()
    filtered()
    image, found, _ = hidden()
    if chosen.picture or chosen.emboss:
        grey = photo(chosen.photo)
        embossed = eight_bits(convolve(grey, f64(EMBOSS)))
        if chosen.emboss:
            optional("matplotlib.image").imsave(chosen.emboss, embossed.numpy(), cmap="gray", vmin=0, vmax=255)
            print("embossed:", Path(chosen.emboss))
        if chosen.picture:
            draw(chosen.picture, grey, rows, image, found)
            print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
