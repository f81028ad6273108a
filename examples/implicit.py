"""Derivatives through solvers: the implicit function theorem beside the recorded steps, and what each keeps in memory.

    python examples/implicit.py

Covers DP-17.70 (Danskin), DP-ridge, DP-17.71 (constraints), DP-17.72, DP-17.73, DP-unrolled, DP-implicit-euler,
DP-17.74, DP-linear-cost, TIPS-neumann and D18-least-squares.
"""

from __future__ import annotations

import argparse
import math
import warnings
from collections.abc import Callable
from typing import Any

from common import f64

import minitensor as mt
from minitensor import implicit
from minitensor.func import grad, jacrev, jvp, vjp


def show(name: str, *values: Any) -> None:
    """One line of numbers."""
    numbers = ["[" + " ".join(f"{v:.8g}" for v in mt.as_tensor(x).reshape(-1).tolist()) + "]" for x in values]
    print(f"  {name:<46}", *numbers)


def difference(f: Callable[[Any], Any], x: float, h: float = 1e-5) -> Any:
    """The central difference of f at x."""
    return (f(f64(x + h)) - f(f64(x - h))).detach() / (2 * h)


def roots() -> None:
    """DP-17.72 and DP-17.73."""
    print("a root: x^3 + x = theta at theta = 2 (x = 1, dx/dtheta = 1/4)")
    root = lambda t: implicit.root(lambda x, t: x**3 + x - t, f64(0.5), t)  # noqa: E731
    show("x, dx/dtheta, by differences", root(f64(2.0)), grad(root)(f64(2.0)), difference(root, 2.0))
    show("second and third derivative", grad(grad(root))(f64(2.0)), grad(grad(grad(root)))(f64(2.0)))
    w, v, u = f64([[0.2, -0.3], [0.1, 0.4]]), f64([1.0, 2.0]), f64([1.0, -1.0])
    fixed = lambda t: implicit.fixed_point(lambda x, t: mt.tanh(w @ x + t), mt.zeros(2, dtype=mt.float64), t)  # noqa: E731
    b = f64([0.5, -0.2])
    tangent, (cotangent,) = jvp(fixed, (b,), (v,))[1], vjp(fixed, b)[1](u)
    print("a fixed point: x = tanh(W x + theta)")
    show("J v, J^T u", tangent, cotangent)
    show("<u, J v> and <J^T u, v>", (u * tangent).sum(), (cotangent * v).sum())
    try:
        implicit.root(lambda x, t: x * x - t, f64(1.0), f64(0.0, requires_grad=True)).backward()
    except mt.linalg.LinAlgError as error:
        print("  x^2 = 0:", error)


def unrolled(depths: list[int]) -> list[tuple[int, float, float, int, int]]:
    """DP-unrolled: for numbers of steps, the errors of both gradients by the bias and the bytes that both keep."""
    n = 64
    mt.manual_seed(0)
    w = mt.randn(n, n, dtype=mt.float64) * 0.6 / math.sqrt(n)

    def steps(b: Any, count: int) -> Any:
        x = mt.zeros(n, n, dtype=mt.float64)
        for _ in range(count):
            x = mt.tanh(x @ w + b)
        return x

    def measured(run: Callable[[Any], Any]) -> tuple[Any, int]:
        b = mt.ones(n, dtype=mt.float64).mul(0.1).requires_grad_()
        mt.cpu.reset_peak_memory_stats()
        before = mt.cpu.memory_stats()["in_use"]
        y = run(b)
        kept = mt.cpu.memory_stats()["in_use"] - before
        return mt.autograd.grad(y.sum(), b)[0], kept

    def solved(count: int) -> Callable[[Any], Any]:
        def solver(f: Any, x: Any, b: Any) -> Any:
            with mt.no_grad():
                return steps(b, count)

        f = lambda x, b: mt.tanh(x @ w + b)  # noqa: E731
        return lambda b: implicit.fixed_point(f, mt.zeros(n, n, dtype=mt.float64), b, solver=solver)

    exact = measured(solved(2000))[0]
    rows = []
    for count in depths:
        (a, kept), (c, less) = measured(lambda b, k=count: steps(b, k)), measured(solved(count))
        rows.append((count, (a - exact).abs().max().item(), (c - exact).abs().max().item(), kept, less))
    return rows


def minima() -> None:
    """DP-ridge, DP-17.70 and DP-17.71."""
    x, y = f64([[1, 0], [1, 1], [1, 2], [1, 3]]), f64([1, 2, 2, 4])
    x_new, y_new = f64([[1, 4], [1, 5]]), f64([4, 4.5])

    def fit(lam: Any) -> Any:
        loss = lambda t, lam: ((y - x @ t) ** 2).sum() + lam * (t * t).sum()  # noqa: E731
        return implicit.minimize(loss, mt.zeros(2, dtype=mt.float64), lam)

    def descended(lam: Any) -> Any:
        t = mt.zeros(2, dtype=mt.float64)
        for _ in range(2000):
            t = t - 0.05 * (x.T @ (x @ t - y) + lam * t)
        return t

    print("ridge regression: d theta*/d lambda at 0.5")
    formula = -mt.linalg.solve(x.T @ x + 0.5 * mt.eye(2, dtype=mt.float64), fit(f64(0.5)))
    show("implicit", jacrev(fit)(f64(0.5)))
    show("formula, unrolled", formula, jacrev(descended)(f64(0.5)))
    show("difference", difference(fit, 0.5))
    log = f64(math.log(0.5))
    held = lambda log: ((y_new - x_new @ fit(log.exp())) ** 2).sum()  # noqa: E731
    losses = []
    for _ in range(200):
        losses.append(held(log).item())
        log = log - 0.5 * grad(held)(log)
    show("validation loss at steps 0, 10, 50, 200", f64([losses[0], losses[10], losses[50], losses[-1]]))
    show("lambda", log.exp())

    print("Danskin: max theta^T x - |x|^2/2, and theta^T x - sum x ln x on the simplex")
    theta = f64([1.0, -2.0])
    half = lambda t: implicit.max(lambda x, t: (t * x).sum() - (x * x).sum() / 2, f64([0.0, 0.0]), t)  # noqa: E731
    show("value, gradient", half(theta), grad(half)(theta))
    theta = f64([3.0, 1, 8, 6, 0])
    entropy = lambda t: implicit.max(  # noqa: E731
        lambda x, t: (t * x).sum() - (x * x.log()).sum(),
        mt.full((5,), 0.2, dtype=mt.float64),
        t,
        eq=lambda x, t: x.sum() - 1,
    )
    show("gradient", grad(entropy)(theta))
    show("softmax(theta)", mt.softmax(theta, 0))

    print("constraints: the nearest point to (0.9, 0.3, -0.4) with x1 + x2 + x3 = 1")
    theta = f64([0.9, 0.3, -0.4])
    near = lambda x, t: ((x - t) ** 2).sum() / 2  # noqa: E731
    plane = lambda x, t: x.sum() - 1  # noqa: E731
    for name, more in (("", {}), (" and x >= 0", {"ineq": lambda x, t: -x})):
        point = lambda t, more=more: implicit.minimize(near, f64([0.0, 0.0, 0.0]), t, eq=plane, **more)  # noqa: E731
        found = implicit.minimize(near, f64([0.0, 0.0, 0.0]), theta, eq=plane, multipliers=True, **more)
        show(f"x{name}", found.x)
        show("multipliers", *[part for part in (found.eq, found.ineq) if part is not None])
        show("dx/dtheta", jacrev(point)(theta))
        moved = [(point(theta + 1e-5 * e) - point(theta - 1e-5 * e)) / 2e-5 for e in mt.eye(3, dtype=mt.float64)]
        show("by differences", mt.stack(moved, 1))


def linear() -> None:
    """DP-17.74, DP-linear-cost, TIPS-neumann, D18-least-squares and DP-implicit-euler."""
    print("a linear system: A^T r = u gives r for b and -r x^T for A")
    a, b, u = f64([[4, 1], [2, 3]], requires_grad=True), f64([1, 2], requires_grad=True), f64([1, -1])
    solution = mt.linalg.solve(a, b)
    da, db = mt.autograd.grad((u * solution).sum(), (a, b))
    show("dA, db", da, db)
    r = mt.linalg.solve(a.detach().T, u)
    show("by the rule", -mt.outer(r, solution.detach()), r)

    print("min |x - 1|^2/2 under A(theta) x = b(theta)")

    def cost(theta: Any, solve: Callable[..., Any]) -> Any:
        off = mt.ones(2, dtype=mt.float64)
        system = mt.diag((2 + theta) * mt.ones(3, dtype=mt.float64)) - mt.diag(off, 1) - mt.diag(off, -1)
        right = f64([1.0, 0, 0]) + theta * f64([0.0, 1, 0])
        return ((solve(system, right) - 1) ** 2).sum() / 2

    def conjugate(system: Any, right: Any) -> Any:
        x, r = mt.zeros(3, dtype=mt.float64), right
        p = r
        for _ in range(3):
            ap = system @ p
            step = (r @ r) / (p @ ap)
            x, new = x + step * p, r - step * ap
            p, r = new + (new @ new) / (r @ r) * p, new
        return x

    theta, losses = f64(0.5), []
    direct = lambda t: cost(t, mt.linalg.solve)  # noqa: E731
    show("gradient by the solve, unrolled, differences", grad(direct)(theta), grad(lambda t: cost(t, conjugate))(theta))
    show("", difference(direct, 0.5))
    for _ in range(50):
        losses.append(direct(theta).item())
        theta = theta - 0.1 * grad(direct)(theta)
    show("loss at steps 0, 10, 49; theta", f64([losses[0], losses[10], losses[49]]), theta)

    print("A + A^2 + ... = A (I - A)^-1")
    for rows in (
        [[0.2, 0.1, 0], [0.3, 0.2, 0.1], [0, 0.4, 0.1]],
        [[0, 0, 0, 0], [1, 0, 0, 0], [0.5, 0.5, 0, 0], [0.2, 0.3, 0.5, 0]],
    ):
        a = f64(rows, requires_grad=True)
        whole = mt.linalg.solve(mt.eye(len(rows), dtype=mt.float64) - a, a)
        power, total, errors = a, a, []
        for _ in range(60):
            errors.append((total - whole).abs().max().item())
            power = power @ a
            total = total + power
        show("error of 1, 2, 3, 5, 10, 40 terms", f64([errors[k - 1] for k in (1, 2, 3, 5, 10, 40)]))
        gap = mt.autograd.grad(whole.sum(), a)[0] - mt.autograd.grad(total.sum(), a)[0]
        show("largest difference of the gradients", gap.abs().max())

    print("the shortest x with A x = y: x = A^T (A A^T)^-1 y")
    a, y = f64([[1, 2, 0, -1], [1, 1, -1, 0]]), f64([2, -1])
    x = a.T @ mt.linalg.solve(a @ a.T, y)
    show("x, A x", x, a @ x)
    show("pseudo-inverse", mt.linalg.pinv(a) @ y)
    zero = mt.zeros(4, dtype=mt.float64)
    show("as a constrained minimum", implicit.minimize(lambda x: (x * x).sum(), zero, eq=lambda x: a @ x - y))

    print("implicit Euler: x' = -theta x^3, 10 steps of 0.1")

    def last(theta: Any, x: Any) -> Any:
        for _ in range(10):
            x = implicit.root(lambda z, x, theta: z - x + 0.1 * theta * z**3, x, x, theta)
        return x

    show("x10, by theta and by x0", last(f64(1.0), f64(1.0)), *grad(last, argnums=(0, 1))(f64(1.0), f64(1.0)))
    show("by differences", difference(lambda t: last(t, f64(1.0)), 1.0), difference(lambda x: last(f64(1.0), x), 1.0))


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, nargs="+", default=[2, 5, 10, 20, 50, 100], help="steps to unroll")
    options = parser.parse_args()
    roots()
    print("unrolled beside implicit: x = tanh(x W + theta), 64 x 64; error of the gradient, bytes kept")
    print(f"  {'steps':>5}{'unrolled':>12}{'implicit':>12}{'bytes':>10}{'bytes':>10}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that few steps do not reach the fixed point is what the table shows
        for steps, a, b, kept, less in unrolled(options.steps):
            print(f"  {steps:>5}{a:>12.2e}{b:>12.2e}{kept:>10}{less:>10}")
    minima()
    linear()


if __name__ == "__main__":
    main()
