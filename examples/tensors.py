"""Tensors: making, indexing, reshaping, joining, arithmetic, infinity and not-a-number, functions of one's own.

    python examples/tensors.py

Covers N01-arange-linspace, N02-elementwise, N03-zeros-ones-random, W01-array2d, W02-flatten-reshape, W03-meshgrid,
W04-vectorize, W05-zero-infinity, W06-slicing, D15-tensor-basics, D15-sizes, D15-flatten, D15-reshape, D15-concatenate,
D15-elementwise, D12-matadd, D12-matscale and D12-matmul.
"""

from __future__ import annotations

import math
from typing import Any

from common import f64, parser, table

import minitensor as mt

T = [[[5, 1, 0], [3, 3, 2]], [[1, 1, 0], [5, 1, 7]], [[0, 0, 1], [8, 1, 9]]]


def vectors() -> dict[str, Any]:
    """N01, N02, N03."""
    found = {
        "arange(1, 8, 0.5)": mt.arange(1, 8, 0.5),
        "linspace(0, 1, 12)": mt.linspace(0, 1, 12),
        "tensor([1, 2, 3, 4])": mt.tensor([1, 2, 3, 4]),
        "zeros(5)": mt.zeros(5),
        "ones(5)": mt.ones(5),
        "7 ones(5)": 7 * mt.ones(5),
        "linspace(1, 2, 10)": mt.linspace(1, 2, 10),
    }
    print("N01, N03: arange leaves its end out, linspace has it")
    for name, x in found.items():
        print(f"  {name:<22} {x}")
    first, again = (mt.rand(5, generator=mt.Generator().manual_seed(1)) for _ in range(2))
    print(f"  rand(5)                {first}, again from the same seed: {mt.equal(first, again)}")
    print(f"  its first {first[0]:.6f}, length {len(first)}, shape {tuple(first.shape)}, one by one", end=" ")
    print([round(v.item(), 4) for v in first])
    x, y = mt.tensor([1, 2, 3, 4]), mt.tensor([10, 11, 12, 13])
    kinds = {"2X": 2 * x, "X + 1": x + 1, "X^2": x**2, "1/X": 1 / x, "X + Y": x + y, "X Y": x * y}
    kinds |= {"sum": x.sum(), "min": x.min(), "max": x.max()}
    print("N02: X = (1, 2, 3, 4), Y = (10, 11, 12, 13); whole numbers stay whole, but in 1/X")
    for name, value in kinds.items():
        print(f"  {name:<6} {value.tolist()}  {value.dtype}")
    return found | kinds


def matrices() -> dict[str, Any]:
    """W01, W02, W03."""
    a = f64([[1, 2, 3], [4, 5, 6]], requires_grad=True)
    print(f"W01: shape {tuple(a.shape)}, A[0, 2] = {a[0, 2]:g}, sqrt(A) = {a.sqrt().tolist()}")
    print(f"  zeros(2, 3) {mt.zeros(2, 3).tolist()}, ones(2, 3) {mt.ones(2, 3).tolist()}")
    flat, turned = a.flatten(), a.reshape(3, 2)
    print(f"W02: flat {flat.tolist()}, as 2 x 3 {flat.reshape(2, 3).tolist()}, as 3 x 2 {turned.tolist()}")
    (turned * f64([[1, 2], [3, 4], [5, 6]])).sum().backward()
    print(f"  the gradient comes back in A's shape: {a.grad.tolist()}")
    x, y = mt.meshgrid(*(mt.linspace(0, 2, 5, dtype=mt.float64),) * 2, indexing="xy")
    print("W03: X varies along the columns, Y along the rows, Z = x^2 + y^2")
    for name, t in (("X", x), ("Y", y), ("Z", x**2 + y**2)):
        print(f"  {name}")
        table(t.tolist())
    return {"grad": a.grad, "Z": x**2 + y**2}


def functions() -> dict[str, Any]:
    """W04: functions of numbers work on tensors, unless they ask a tensor for its truth."""
    double = lambda x: x.cos() ** 2 - x.sin() ** 2  # noqa: E731
    triangle = lambda n: n * (n + 1) / 2  # noqa: E731

    def absolute(x: Any) -> Any:
        if x >= 0:
            return x
        return -x

    print("W04: cos^2 - sin^2 and n(n + 1)/2 of a number, a vector and a matrix")
    for x in (f64(1.0), f64([0, 1, 2]), f64([[0, 1], [2, 3]])):
        print(f"  {double(x).tolist()}  {triangle(x).tolist()}")
    result: dict[str, Any] = {"one": absolute(f64(-3.0)).item()}
    try:
        absolute(f64([1, -2]))
    except RuntimeError as error:
        result["error"] = str(error)
        print(f"  |x| with `if`: {error}")
    result["where"] = mt.where(f64([1, -2, 0]) >= 0, f64([1, -2, 0]), -f64([1, -2, 0])).tolist()
    print(f"  with where: {result['where']}")
    return result


def infinity() -> dict[str, list[float]]:
    """W05: 1/X, log X and exp(log X) at -1 ... 3."""
    x = f64([-1, 0, 1, 2, 3])
    found = {"1/X": (1 / x).tolist(), "log X": x.log().tolist(), "exp(log X)": x.log().exp().tolist()}
    print("W05: at -1, 0, 1, 2, 3: infinity and not-a-number, without an error")
    table([(name, *values) for name, values in found.items()])
    return found


def slices() -> dict[str, Any]:
    """W06: parts of a vector, and where a part's gradient goes."""
    x = mt.linspace(0, 10, 100, dtype=mt.float64, requires_grad=True)
    print(f"W06: X[50] = {x[50]:.6f}, X[-1] = {x[-1]:g}, X[10:20] = {[round(v, 4) for v in x[10:20].tolist()]}")
    print(f"  X[:10] has {len(x[:10])}, X[90:] {len(x[90:])}")
    longer = mt.cat([mt.arange(0, 5, 0.5), mt.tensor([8.5])])
    print(f"  arange(0, 5, 0.5) and 8.5: {longer.tolist()}")
    (x[10:20] ** 2).sum().backward()
    places = x.grad.nonzero().flatten().tolist()
    print(f"  the gradient of sum X[10:20]^2 is 2X there and 0 elsewhere: places {places[0]} to {places[-1]}")
    return {"grad": x.grad, "longer": longer}


def dimensions() -> dict[str, Any]:
    """D15-tensor-basics, D15-sizes, D15-flatten, D15-reshape, D15-concatenate, D15-elementwise."""
    v, m, t = mt.tensor([5, 7, 8]), mt.tensor([[6, 0, 2], [3, 2, 4]]), mt.tensor(T)
    print("D15: dimensions, shape, size, an entry")
    entries = (("V", v, v[1]), ("M", m, m[1, 2]), ("T", t, t[1, 1, 2]))
    table(
        [(n, x.ndim, tuple(x.shape), x.numel(), int(e)) for n, x, e in entries], ("", "ndim", "shape", "size", "entry")
    )
    sizes = {shape: math.prod(shape) for shape in ((3, 5, 7, 11), (28, 28), (32, 32, 3), (50000, 32, 32, 3))}
    print("  numbers, and bytes at one byte each:")
    table([(str(shape), f"{n:,}", f"{n / 2**20:.4g} MB") for shape, n in sizes.items()])
    print(f"  flat {t.flatten().tolist()}\n  as (2, 9) {t.reshape(2, 9).tolist()}")
    print(f"  as (2, 3, 3) {t.reshape(2, 3, 3).tolist()}\n  as (9, -1) {t.reshape(9, -1).tolist()}")
    a = mt.arange(1.0, 7, dtype=mt.float64).reshape(2, 3).requires_grad_()
    b = mt.arange(7.0, 13, dtype=mt.float64).reshape(2, 3).requires_grad_()
    below, beside = mt.cat([a, b], 0), mt.cat([a, b], 1)
    print(f"  A and B joined along axis 0 {below.tolist()}, along axis 1 {beside.tolist()}")
    (beside * mt.arange(12, dtype=mt.float64).reshape(2, 6)).sum().backward()
    print(f"  the backward splits: {a.grad.tolist()} and {b.grad.tolist()}")
    product, matrix = a * a, a @ a.t()
    print(
        f"  V + 3 = {(v + 3).tolist()}, A^2 = {(a**2).tolist()}, T - 1 = {(t - 1).tolist()}, T + T = {(t + t).tolist()}"
    )
    print(f"  mean of V {v.double().mean():.6f}, sum of A {a.sum():g}, sqrt(T)[0] {t.sqrt()[0].tolist()}")
    print(f"  A * A entry by entry {product.tolist()} is not A A^T {matrix.tolist()}")
    return {"sizes": sizes, "grads": (a.grad, b.grad), "reshaped": t.reshape(2, 3, 3)}


def products() -> dict[str, Any]:
    """D12-matadd, D12-matscale, D12-matmul: values, and the gradients of the sum of all entries."""
    counted = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    cases = {
        "D12-matadd": (lambda a, b: a + b, [[0, 1, 0], [1, -4, 1], [0, 1, 0]], counted),
        "D12-matscale": (lambda a, b: b * a, [[1, 2, 3, 4], [8, 7, 5, 6]], 3),
        "D12-matmul": (lambda a, b: a @ b, [[-2, -1, 0], [-1, 1, 1], [0, 1, 2]], counted),
    }
    result = {}
    for name, (f, a, b) in cases.items():
        x, y = f64(a, requires_grad=True), f64(b, requires_grad=True)
        z = f(x, y)
        grads = mt.autograd.grad(z.sum(), (x, y))
        print(f"{name}: {z.tolist()}, gradients of the sum {grads[0].tolist()} and {grads[1].tolist()}")
        result[name] = z.detach(), *grads
    return result


def main() -> None:
    """Runs all parts."""
    parser(__doc__).parse_args()
    vectors()
    matrices()
    functions()
    infinity()
    slices()
    dimensions()
    products()


if __name__ == "__main__":
    main()
