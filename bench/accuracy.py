"""The error of each kernel in ulps, against float64, for minitensor and PyTorch on the same inputs.

Every library computes in float32, in a process of its own, from inputs that NumPy draws; the references are NumPy and
SciPy in float64. An ulp is the distance from one float32 to the next, at the true value; where terms
cancel (sums, products, and the tail of gelu) at the root of the mean square of all true values, if that is larger. Half
an ulp is what rounding the true value costs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = Any
TITLES = {"minitensor": "minitensor", "torch": "PyTorch"}


@dataclass(frozen=True)
class Kernel:
    """`call(mt, *tensors)` in a library, `reference(*arrays)` in float64 of the same inputs, which `draw` makes."""

    name: str
    draw: Callable[[np.random.Generator, int], list[Array]]
    call: Callable[..., Any]
    reference: Callable[..., Array]
    elementwise: bool = False


def _special(name: str) -> Callable[..., Array]:
    def reference(*xs: Array) -> Array:
        from scipy import special

        return getattr(special, name)(*xs)

    return reference


def _functions() -> Iterator[Kernel]:
    def normal(rng: np.random.Generator, size: int) -> list[Array]:
        return [rng.standard_normal(1000 * size) * 3]

    def wide(rng: np.random.Generator, size: int) -> list[Array]:
        return [rng.uniform(-80, 80, 1000 * size)]

    def positive(rng: np.random.Generator, size: int) -> list[Array]:
        return [np.exp(rng.uniform(-60, 60, 1000 * size))]

    def near_zero(rng: np.random.Generator, size: int) -> list[Array]:
        return [rng.choice([-1, 1], 1000 * size) * np.exp(rng.uniform(-20, 0, 1000 * size))]

    def inside(rng: np.random.Generator, size: int) -> list[Array]:
        return [rng.uniform(-1, 1, 1000 * size)]

    def sigmoid(x: Array) -> Array:
        return 1 / (1 + np.exp(-x))

    def gelu(x: Array) -> Array:
        return 0.5 * x * _special("erfc")(-x / np.sqrt(2.0))

    for name, draw, reference in (
        ("exp", wide, np.exp),
        ("exp2", wide, np.exp2),
        ("expm1", near_zero, np.expm1),
        ("log", positive, np.log),
        ("log2", positive, np.log2),
        ("log10", positive, np.log10),
        ("log1p", near_zero, np.log1p),
        ("sqrt", positive, np.sqrt),
        ("rsqrt", positive, lambda x: 1 / np.sqrt(x)),
        ("reciprocal", positive, np.reciprocal),
        ("sin", wide, np.sin),
        ("cos", wide, np.cos),
        ("tan", normal, np.tan),
        ("atan", normal, np.arctan),
        ("sinh", normal, np.sinh),
        ("cosh", normal, np.cosh),
        ("tanh", normal, np.tanh),
        ("erf", normal, _special("erf")),
        ("erfc", normal, _special("erfc")),
        ("asin", inside, np.arcsin),
        ("acos", inside, np.arccos),
        ("atanh", inside, np.arctanh),
        ("erfinv", inside, _special("erfinv")),
        ("lgamma", positive, _special("gammaln")),
        ("digamma", positive, _special("digamma")),
        ("sigmoid", normal, sigmoid),
    ):
        yield Kernel(name, draw, lambda mt, x, name=name: getattr(mt, name)(x), reference, True)
    for name, reference in (
        ("gelu", gelu),
        ("silu", lambda x: x * sigmoid(x)),
        ("elu", lambda x: np.where(x > 0, x, np.expm1(x))),
        ("softplus", lambda x: np.logaddexp(x, 0)),
        ("logsigmoid", lambda x: -np.logaddexp(-x, 0)),
        ("mish", lambda x: x * np.tanh(np.logaddexp(x, 0))),
    ):
        yield Kernel(
            name, normal, lambda mt, x, name=name: getattr(mt.nn.functional, name)(x), reference, name != "gelu"
        )
    yield Kernel(
        "pow", lambda rng, n: [np.exp(rng.uniform(-3, 3, 1000 * n)), *normal(rng, n)], lambda mt, x, y: mt.pow(x, y),
        np.power, True,
    )  # fmt: skip
    yield Kernel(
        "atan2", lambda rng, n: normal(rng, n) + normal(rng, n), lambda mt, x, y: mt.atan2(x, y), np.arctan2, True
    )
    yield Kernel("div", lambda rng, n: normal(rng, n) + normal(rng, n), lambda mt, x, y: x / y, np.divide, True)


def _sums() -> Iterator[Kernel]:
    def matrix(rng: np.random.Generator, size: int) -> list[Array]:
        return [rng.standard_normal((64, 100 * size)) + 0.5]

    def pair(rng: np.random.Generator, size: int) -> list[Array]:
        return [rng.standard_normal((65, 10 * size)), rng.standard_normal((10 * size, 63))]

    def large(rng: np.random.Generator, size: int) -> list[Array]:  # enough for less exact products
        return [rng.standard_normal((128, 10 * size)), rng.standard_normal((10 * size, 130))]

    def at_precision(mt: Any, precision: str, a: Any, b: Any) -> Any:
        mt.set_float32_matmul_precision(precision)
        try:
            return a @ b
        finally:
            mt.set_float32_matmul_precision("highest")

    def layer(rng: np.random.Generator, size: int) -> list[Array]:
        return [*pair(rng, size), rng.standard_normal(63)]

    def image(rng: np.random.Generator, size: int) -> list[Array]:
        return [rng.standard_normal((2, 16, 8 + size, 8 + size)) + 0.5, rng.standard_normal((8, 16, 3, 3))]

    def heads(rng: np.random.Generator, size: int) -> list[Array]:
        return [rng.standard_normal((2, 4, 8 * size, 32)) for _ in range(3)]

    def softmax(x: Array) -> Array:
        e = np.exp(x - x.max(-1, keepdims=True))
        return e / e.sum(-1, keepdims=True)

    def log_softmax(x: Array) -> Array:
        z = x - x.max(-1, keepdims=True)
        return z - np.log(np.exp(z).sum(-1, keepdims=True))

    def standard(x: Array, *axes: int) -> Array:
        return (x - x.mean(axes, keepdims=True)) / np.sqrt(x.var(axes, keepdims=True) + 1e-5)

    def convolution(x: Array, w: Array) -> Array:
        windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
        return np.einsum("bchwij,ocij->bohw", windows, w, optimize=True)

    def pool(x: Array, w: Array) -> Array:
        return np.lib.stride_tricks.sliding_window_view(x, (2, 2), (2, 3))[:, :, ::2, ::2].mean((4, 5))

    def attention(q: Array, k: Array, v: Array) -> Array:
        return softmax(q @ k.swapaxes(-1, -2) / np.sqrt(q.shape[-1])) @ v

    def group(x: Array) -> Array:
        return standard(x.reshape(len(x), 4, -1), 2).reshape(x.shape)

    yield Kernel("softmax", matrix, lambda mt, x: mt.softmax(x, -1), softmax, True)
    yield Kernel("log_softmax", matrix, lambda mt, x: mt.log_softmax(x, -1), log_softmax, True)
    yield Kernel("logsumexp", matrix, lambda mt, x: mt.logsumexp(x, -1), lambda x: np.log(np.exp(x).sum(-1)), True)
    yield Kernel(
        "layer_norm", matrix, lambda mt, x: mt.nn.functional.layer_norm(x, (x.shape[-1],)), lambda x: standard(x, -1)
    )
    yield Kernel(
        "batch_norm", image, lambda mt, x, w: mt.nn.functional.batch_norm(x, None, None, training=True),
        lambda x, w: standard(x, 0, 2, 3),
    )  # fmt: skip
    yield Kernel("group_norm", image, lambda mt, x, w: mt.nn.functional.group_norm(x, 4), lambda x, w: group(x))
    yield Kernel("matmul", pair, lambda mt, a, b: a @ b, np.matmul)
    for precision in ("highest", "high", "medium"):
        yield Kernel(
            f"matmul in {precision}", large, lambda mt, a, b, at=precision: at_precision(mt, at, a, b), np.matmul
        )
    yield Kernel("linear", layer, lambda mt, x, w, b: mt.nn.functional.linear(x, w.t(), b), lambda x, w, b: x @ w + b)
    yield Kernel("conv2d", image, lambda mt, x, w: mt.nn.functional.conv2d(x, w), convolution)
    yield Kernel("avg_pool2d", image, lambda mt, x, w: mt.nn.functional.avg_pool2d(x, 2), pool)
    yield Kernel(
        "attention", heads, lambda mt, q, k, v: mt.nn.functional.scaled_dot_product_attention(q, k, v), attention
    )
    for name in ("sum", "mean", "cumsum", "prod"):
        drawn = matrix if name != "prod" else lambda rng, n: [rng.uniform(0.5, 1.6, (64, 10 * n))]
        yield Kernel(
            f"{name} of rows", drawn, lambda mt, x, f=name: getattr(mt, f)(x, -1),
            lambda x, f=name: getattr(np, f)(x, axis=-1), name == "prod",
        )  # fmt: skip
    yield Kernel("sum of columns", matrix, lambda mt, x: mt.sum(x, 0), lambda x: x.sum(0))
    yield Kernel("sum of all", matrix, lambda mt, x: mt.sum(x), lambda x: x.sum())
    yield Kernel("var of rows", matrix, lambda mt, x: mt.var(x, -1), lambda x: x.var(-1, ddof=1))
    yield Kernel("norm of rows", matrix, lambda mt, x: x.norm(dim=-1), lambda x: np.sqrt((x * x).sum(-1)))


KERNELS = {kernel.name: kernel for kernel in (*_functions(), *_sums())}


def inputs(kernel: Kernel, size: int) -> list[Array]:
    """The same float32 arrays in every process."""
    rng = np.random.default_rng([size, *kernel.name.encode()])
    return [x.astype(np.float32) for x in kernel.draw(rng, size)]


def serve(module: str, names: Sequence[str], size: int, threads: int, path: str) -> None:
    """Writes what the library computes, and its version."""
    mt: Any = __import__(module)
    mt.set_num_threads(threads)
    out = {name: KERNELS[name].call(mt, *map(mt.tensor, inputs(KERNELS[name], size))).numpy() for name in names}
    np.savez(path, version=np.array(str(mt.__version__)), **out)


def results(python: str, module: str, names: Sequence[str], size: int, threads: int) -> dict[str, Array] | None:
    """What another process computes; None, and a word, if the library is not there."""
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder, "out.npz"))
        options = ["--serve", module, path, "--size", str(size), "--threads", str(threads), "--filter", "|".join(names)]
        done = subprocess.run([python, __file__, *options], capture_output=True, text=True)
        if done.returncode == 0:
            with np.load(path) as found:
                return dict(found)
        if "ModuleNotFoundError" not in done.stderr:
            raise SystemExit(done.stderr)
    print(f"{TITLES[module]} is left out: {done.stderr.splitlines()[-1]}", file=sys.stderr)
    return None


def ulps(y: Array, true: Array, elementwise: bool) -> Array:
    """|y - true| in units of the last place of a float32.

    >>> ulps(np.float32([1.0000001, 3.0]), np.array([1.0, 3.0]), True).round(3)
    array([1., 0.])
    """
    true = np.asarray(true, np.float64)
    scale = np.abs(true)
    if not elementwise:
        scale = np.maximum(scale, np.sqrt(np.mean(true * true)))
    unit = np.spacing(np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32)).astype(np.float64)
    return np.abs(y.astype(np.float64) - true) / unit


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--filter", default="", help="only kernels whose name contains this, or one of these: a|b")
    parser.add_argument("--size", type=int, default=20, help="of the inputs; 1 is tiny (20)")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1, help="of each library (all cores)")
    parser.add_argument("--torch", default=sys.executable, metavar="PYTHON", help="a Python that has PyTorch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the results there too")
    parser.add_argument("--serve", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    names = [name for name in KERNELS if any(part in name for part in options.filter.split("|"))]
    if options.serve:
        module, path = options.serve
        serve(module, names, options.size, options.threads, path)
        return 0
    if options.size < 1 or options.threads < 1:
        parser.error("--size and --threads are 1 or more")
    if not names:
        parser.error(f"no kernel contains {options.filter!r}")
    from minitensor.bench import machine

    pythons = {"minitensor": sys.executable, "torch": options.torch}
    found = {m: results(python, m, names, options.size, options.threads) for m, python in pythons.items()}
    peers = {module: out for module, out in found.items() if out is not None}
    top = machine.heading(
        options.threads, [f"{TITLES[m]} {out['version']}" for m, out in peers.items() if m != "minitensor"]
    )
    print(top)
    print("| kernel | " + " | ".join(f"{TITLES[m]}, largest | mean" for m in peers) + " |")
    print("|---" * (1 + 2 * len(peers)) + "|")
    rows = []
    for name in names:
        kernel = KERNELS[name]
        try:
            true = kernel.reference(*(x.astype(np.float64) for x in inputs(kernel, options.size)))
        except ModuleNotFoundError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            continue
        errors = {m: ulps(out[name], true, kernel.elementwise) for m, out in peers.items()}
        row = {"kernel": name, **{m: {"largest": float(e.max()), "mean": float(e.mean())} for m, e in errors.items()}}
        rows.append(row)
        print(f"| {name} | " + " | ".join(f"{e.max():.2f} | {e.mean():.3f}" for e in errors.values()) + " |")
    if options.json:
        options.json.write_text(json.dumps({"heading": top, "rows": rows}, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
