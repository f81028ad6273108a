"""Forward and reverse mode by hand and by the library: Jacobians, adjoints, chains, graphs, what each mode must keep.

    python examples/modes.py --picture program.svg

Covers TD-Q3, TD-Q4, TD-Q5, TD-Q6, TD-Q7, DP-17.37, DP-17.38, DP-17.39, DP-17.40, DP-17.41, DP-17.42, DP-17.43,
DP-17.44, DP-17.45, DP-17.46, DP-17.49, DP-17.58, DP-17.60, DP-17.62, DP-17.64, DP-17.65, DP-17.66, DP-17.67, DP-17.69,
D18-tensor-product, D18-kronecker and D18-tensor-identities. The cost in multiplications is in cost_of_modes.py, the
memory of checkpoints in memory.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from common import f64, parser, table

import minitensor as mt
from minitensor.func import grad, jacrev, jvp, vjp
from minitensor.nn import functional as F

Map = Callable[[Any], Any]


def close(a: Any, b: Any, tolerance: float = 1e-12) -> bool:
    """Equal to rounding."""
    return bool(mt.allclose(a, b, rtol=tolerance, atol=tolerance))


def differences(f: Map, x: Any, step: float = 1e-6) -> Any:
    """The Jacobian by central differences, (outputs, inputs)."""
    columns = []
    for i in range(x.numel()):
        d = mt.zeros(x.numel(), dtype=x.dtype)
        d[i] = step
        d = d.reshape(x.shape)
        columns.append(((f(x + d) - f(x - d)) / (2 * step)).reshape(-1))
    return mt.stack(columns, 1)


# --- gradients of matrix functions ----------------------------------------------------------------


def three_gradients() -> dict[str, Any]:
    """TD-Q3, and a matrix factorised by descent."""
    a, b, x = f64([[1, 2], [0, 1], [-1, 3]]), f64([1, 0, 2]), f64([0.5, -1])
    f1 = lambda x: 0.5 * ((a @ x - b) ** 2).sum()  # noqa: E731
    g1 = grad(f1)(x)
    print(f"TD-Q3: grad of |Ax - b|^2/2 = A^T(Ax - b) = {g1.tolist()}:", close(g1, a.t() @ (a @ x - b)), end=", ")
    print("by differences", close(g1, differences(f1, x)[0], 1e-7))
    big, c, y = f64([[1, 0, 2], [-1, 3, 1]]), f64([1, -1]), f64([1, 2, 3])
    j = jacrev(lambda x: big @ x + c)(y)
    print(f"  Jacobian of Bx + c is B: {mt.equal(j, big)}, value {(big @ y + c).tolist()}")
    m, p, q = f64([[1, 2, 0], [0, 1, 3]]), f64([[1], [2]]), f64([[1, 0, 1]])
    f3 = lambda p, q: 0.5 * ((m - p @ q) ** 2).sum()  # noqa: E731
    dp, dq = grad(f3, argnums=(0, 1))(p, q)
    rest = m - p @ q
    print(
        f"  |M - PQ|^2/2: by P {dp.tolist()}, by Q {dq.tolist()}:", close(dp, -rest @ q.t()), close(dq, -p.t() @ rest)
    )
    mt.manual_seed(0)
    target = mt.randn(20, 3, dtype=mt.float64) @ mt.randn(3, 15, dtype=mt.float64)
    p, q = mt.randn(20, 3, dtype=mt.float64), mt.randn(3, 15, dtype=mt.float64)
    loss = lambda p, q: 0.5 * ((target - p @ q) ** 2).sum()  # noqa: E731
    errors = []
    for k in range(2001):
        if k % 500 == 0:
            errors.append(loss(p, q).item())
        dp, dq = grad(loss, argnums=(0, 1))(p, q)
        p, q = p - 0.01 * dp, q - 0.01 * dq
    print("  a 20 x 15 matrix of rank 3 factorised by descent, error every 500 steps:", [f"{e:.2e}" for e in errors])
    return {
        "g1": g1,
        "jacobian": j,
        "dp": grad(f3, argnums=(0, 1))(f64([[1], [2]]), f64([[1, 0, 1]])),
        "errors": errors,
    }


def outer(y: Any) -> Any:
    """F of TD-Q4: (y1 + y2, y1 y2, e^y1)."""
    return mt.stack([y[0] + y[1], y[0] * y[1], y[0].exp()])


def inner(x: Any) -> Any:
    """G of TD-Q4: (x1 x2, x2 + x3)."""
    return mt.stack([x[0] * x[1], x[1] + x[2]])


def composition() -> Any:
    """TD-Q4, DP-17.46: the Jacobian of F(G) is the product of the Jacobians."""
    x = f64([1, 2, -1])
    whole = jacrev(lambda x: outer(inner(x)))(x)
    left, right = jacrev(outer)(inner(x)), jacrev(inner)(x)
    print(
        f"TD-Q4: J of F(G), {tuple(whole.shape)} = {tuple(left.shape)} x {tuple(right.shape)}:",
        close(whole, left @ right),
    )
    table(whole.tolist())
    v, u = f64([1, 2, -1]), f64([1, -1, 2])
    forward = jvp(outer, (inner(x),), (jvp(inner, (x,), (v,))[1],))[1]
    backward = vjp(inner, x)[1](vjp(outer, inner(x))[1](u)[0])[0]
    print("  DP-17.46: maps composed, forward", close(forward, whole @ v), "backward", close(backward, whole.t() @ u))
    return whole


def network(w: Any, big: Any, x: Any) -> Any:
    """TD-Q5: y = tanh(sum_i w_i tanh((W x)_i))."""
    return (w @ (big @ x).tanh()).tanh()


def one_layer() -> dict[str, Any]:
    """TD-Q5, TD-Q6, TD-Q7."""
    x, big, w = f64([1, -1, 2]), f64([[0.1, 0.2, -0.3], [0.4, -0.5, 0.6]]), f64([0.7, -0.8])
    h, n = big.shape
    hidden = big @ x
    y = hidden.tanh()
    inside = w @ y
    print(f"TD-Q5: x {tuple(x.shape)} -> L: Wx = {hidden.tolist()} -> V: {[round(v, 9) for v in y.tolist()]}", end=" ")
    print(f"-> M: {inside:.9f} -> tanh {inside.tanh():.9f}; {h * n + h} weights")
    left = mt.cat([mt.block_diag(*[x[None]] * h), big], 1)
    of_layer = jacrev(lambda flat: flat[: h * n].reshape(h, n) @ flat[h * n :])(mt.cat([big.reshape(-1), x]))
    print("TD-Q6: J_L = [blockdiag(x^T, x^T) | W]:", mt.equal(of_layer, left), "; J_V diagonal:", end=" ")
    of_v = jacrev(mt.tanh)(hidden)
    print(close(of_v, mt.diag(1 - y**2)), "; grad M = (y, w):", end=" ")
    dm = grad(lambda w, y: w @ y, argnums=(0, 1))(w, y)
    print(mt.equal(dm[0], y), mt.equal(dm[1], w))
    print("  the zeros of J_L:")
    for row in left.tolist():
        print("    " + " ".join("." if v == 0 else "x" for v in row))
    slope = 1 - inside.tanh() ** 2
    by_w, by_big = grad(network, argnums=(0, 1))(w, big, x)
    formula = slope * y, slope * (w * (1 - y**2))[:, None] * x
    product = slope * (w @ of_v @ left[:, : h * n])
    print(
        "TD-Q7: backward = formula:",
        close(by_w, formula[0]),
        close(by_big, formula[1]),
        "= product of Jacobians:",
        end=" ",
    )
    print(close(by_big.reshape(-1), product))
    table([("by w", *by_w.tolist(), ""), *((f"by W, row {i + 1}", *row) for i, row in enumerate(by_big.tolist()))])
    mt.manual_seed(1)
    for n, h in ((1, 1), (4, 7), (12, 3)):
        x, big, w = (mt.randn(*s, dtype=mt.float64) for s in ((n,), (h, n), (h,)))
        y, slope = (big @ x).tanh(), 1 - (w @ (big @ x).tanh()).tanh() ** 2
        got = grad(network, argnums=(0, 1))(w, big, x)
        print(f"  N = {n}, H = {h}:", close(got[0], slope * y), close(got[1], slope * (w * (1 - y**2))[:, None] * x))
    return {"w": by_w, "W": by_big}


# --- definitions ----------------------------------------------------------------------------------


def directions() -> dict[str, Any]:
    """DP-17.37 to DP-17.40."""
    f = lambda x: x[0] ** 2 * x[1] + x[1].sin()  # noqa: E731
    x, v = f64([1, 2]), f64([0.6, 0.8])
    exact = jvp(f, (x,), (v,))[1]
    print("DP-17.37: (f(x + dv) - f(x))/d for d = 0.1 ... 1e-6; the JVP; DP-17.38: <v, grad f>")
    print(" ", [f"{(f(x + d * v) - f(x)).item() / d:.8f}" for d in (0.1, 0.01, 1e-3, 1e-4, 1e-5, 1e-6)], end=" ")
    print(f"{exact:.8f} {v @ grad(f)(x):.8f}")
    many = lambda x: mt.stack([x[0] * x[1], x[2].sin() + x[0] ** 2, (x[1] * x[2]).exp()])  # noqa: E731
    x, v, u = f64([0.5, -1, 2]), f64([1, 2, -1]), f64([1, -1, 2])
    unit = mt.eye(3, dtype=mt.float64)
    by_columns = mt.stack([jvp(many, (x,), (e,))[1] for e in unit], 1)
    by_rows = mt.stack([vjp(many, x)[1](e)[0] for e in unit])
    print(
        "DP-17.39, DP-17.40: the Jacobian column by column (JVP) and row by row (VJP), equal:",
        close(by_columns, by_rows),
    )
    table(by_columns.tolist())
    jv, ju = jvp(many, (x,), (v,))[1], vjp(many, x)[1](u)[0]
    print(f"  J v = {jv.tolist()}, J^T u = {ju.tolist()}; <u, J v> = <J^T u, v>:", close(u @ jv, ju @ v))
    return {"exact": exact.item(), "jacobian": by_columns, "Jv": jv, "JTu": ju}


def primitives() -> dict[str, tuple[Map, tuple[int, ...]]]:
    """Linear maps of the engine, with the shape of their input."""
    mt.manual_seed(3)
    a, b, c = (mt.randn(*s, dtype=mt.float64) for s in ((3, 4), (2, 3), (4, 5)))
    kernel, index = mt.randn(2, 1, 3, 3, dtype=mt.float64), mt.tensor([2, 0, 2, 1])
    winners = mt.randn(1, 1, 4, 4, dtype=mt.float64)
    _, places = F.max_pool2d(winners, 2, return_indices=True)
    return {
        "v -> A v": (lambda v: a @ v, (4,)),
        "X -> B X C": (lambda x: b @ x @ c, (3, 4)),
        "convolution": (lambda x: F.conv2d(x, kernel, stride=2, padding=1), (1, 1, 5, 5)),
        "transposed convolution": (lambda x: F.conv_transpose2d(x, kernel, stride=2), (1, 2, 2, 2)),
        "average pool": (lambda x: F.avg_pool2d(x, 2), (1, 1, 4, 4)),
        "max pool, fixed winners": (lambda x: x.flatten(2).gather(2, places.flatten(2)), (1, 1, 4, 4)),
        "sum": (lambda x: x.sum(0), (3, 4)),
        "mean": (lambda x: x.mean(), (3, 4)),
        "cumsum": (lambda x: x.cumsum(1), (3, 4)),
        "broadcast": (lambda x: x.expand(3, 4), (4,)),
        "reshape": (lambda x: x.reshape(2, 6), (3, 4)),
        "transpose": (lambda x: x.t(), (3, 4)),
        "slice": (lambda x: x[1:, ::2], (3, 4)),
        "flip, roll": (lambda x: x.flip(0).roll(1, 1), (3, 4)),
        "gather rows": (lambda x: x[index], (3, 4)),
        "scatter add": (lambda x: mt.zeros(3, 4, dtype=mt.float64).index_add(0, index, x), (4, 4)),
        "pad": (lambda x: F.pad(x, (1, 2)), (3, 4)),
        "unfold": (lambda x: F.unfold(x, 2), (1, 2, 3, 3)),
        "triangle": (lambda x: x.tril(), (4, 4)),
        "concatenate": (lambda x: mt.cat([x, 2 * x]), (3, 4)),
        "solve": (lambda x: mt.linalg.solve(a @ a.t() + mt.eye(3, dtype=mt.float64), x), (3, 2)),
        "einsum": (lambda x: mt.einsum("ij,jk,lk->il", a, x, c.t()), (4, 4)),
    }


def adjoints() -> dict[str, float]:
    """DP-17.41: <l(v), u> = <v, l*(u)> for the engine's linear maps."""
    worst = {}
    for name, (f, shape) in primitives().items():
        v = mt.randn(*shape, dtype=mt.float64)
        out, pull = vjp(f, mt.zeros(*shape, dtype=mt.float64))
        u = mt.randn(*out.shape, dtype=mt.float64)
        a, b = (f(v) * u).sum(), (v * pull(u)[0]).sum()
        worst[name] = abs((a - b).item()) / max(1.0, abs(a.item()))
    print(
        f"DP-17.41: the adjoint test of {len(worst)} linear maps, largest difference {max(worst.values()):.1e}:",
        end=" ",
    )
    print(", ".join(worst))
    mt.manual_seed(3)
    a, b, c, y = (mt.randn(*s, dtype=mt.float64) for s in ((3, 4), (2, 3), (4, 5), (2, 5)))
    star = vjp(lambda x: b @ x @ c, mt.zeros(3, 4, dtype=mt.float64))[1](y)[0]
    print("  the adjoint of X -> B X C is Y -> B^T Y C^T:", close(star, b.t() @ y @ c.t()), end="; ")
    star = vjp(lambda v: a @ v, mt.zeros(4, dtype=mt.float64))[1](y[0, :3])[0]
    print("of v -> A v it is A^T:", close(star, a.t() @ y[0, :3]))
    return worst


def several() -> None:
    """DP-17.42 to DP-17.45: the library's jvp and vjp; several inputs, several outputs."""
    print("DP-17.42, DP-17.43: jvp(f, x, v) = (f(x), J v), vjp(f, x) = (f(x), u -> J^T u)")
    print(
        "  a scalar:",
        [t.item() for t in jvp(mt.exp, (f64(0.0),), (f64(2.0),))],
        vjp(mt.exp, f64(0.0))[1](f64(3.0))[0].item(),
    )
    square = lambda m: m @ m  # noqa: E731
    m, e = f64([[1, 2], [3, 4]]), f64([[0, 1], [0, 0]])
    print("  a matrix, M -> M M in the direction E: M E + E M:", mt.equal(jvp(square, (m,), (e,))[1], m @ e + e @ m))
    x, w = f64([1, -1, 2]), f64([[0.1, 0.2, -0.3], [0.4, -0.5, 0.6]])
    v, big, u = f64([1, 0, 1]), f64([[1, 0, 0], [0, 1, 0]]), f64([2, -1])
    product = lambda w, x: w @ x  # noqa: E731
    forward, (dw, dx) = jvp(product, (w, x), (big, v))[1], vjp(product, w, x)[1](u)
    print("DP-17.44: f(W, x) = W x: V x + W v:", close(forward, big @ x + w @ v), "; VJP (u x^T, W^T u):", end=" ")
    print(
        close(dw, mt.outer(u, x)), close(dx, w.t() @ u), "; adjoint test", close(u @ forward, (dw * big).sum() + dx @ v)
    )
    both = lambda x: (x @ x, w @ x)  # noqa: E731
    pull, push = vjp(both, x)[1]((f64(3.0), u))[0], jvp(both, (x,), (v,))[1]
    print(
        "DP-17.45: f(x) = (|x|^2, A x): VJP 2x u1 + A^T u2:", close(pull, 6 * x + w.t() @ u), "; adjoint test", end=" "
    )
    print(close(3 * push[0] + u @ push[1], pull @ v))


# --- chains and graphs ----------------------------------------------------------------------------

CHAIN_A = [[0.5, 1, 0], [0, 0.5, -0.5], [1, 0, 0.5]]
CHAIN_B = [[1, -1, 2], [0, 3, 1]]


def chain() -> list[tuple[str, Map]]:
    """The four maps of DP-17.58 and DP-17.60."""
    a, b = f64(CHAIN_A), f64(CHAIN_B)
    return [("A x", lambda x: a @ x), ("tanh", mt.tanh), ("B x", lambda x: b @ x), ("exp", mt.exp)]


def forward_mode(maps: Sequence[tuple[str, Map]], x: Any, v: Any) -> tuple[list[Any], list[Any]]:
    """DP-17.58: values and tangents travel together; two objects live at a time."""
    xs, ts = [x], [v]
    for _, f in maps:
        x, v = jvp(f, (x,), (v,))
        xs.append(x)
        ts.append(v)
    return xs, ts


def reverse_mode(maps: Sequence[tuple[str, Map]], x: Any, u: Any) -> tuple[list[Any], list[Any]]:
    """DP-17.60: a sweep forward that stores the states, one back with the adjoint states."""
    xs = [x]
    for _, f in maps:
        xs.append(f(xs[-1]))
    rs = [u]
    for (_, f), x in zip(reversed(maps), reversed(xs[:-1]), strict=True):
        rs.insert(0, vjp(f, x)[1](rs[0])[0])
    return xs, rs


def chains() -> dict[str, Any]:
    """DP-17.58, DP-17.60, DP-17.62, DP-17.69."""
    maps, x, v, u = chain(), f64([0.1, -0.2, 0.3]), f64([1, -1, 0.5]), f64([1, 2])
    xs, ts = forward_mode(maps, x, v)
    _, rs = reverse_mode(maps, x, u)
    short = lambda t: "(" + ", ".join(f"{e:.6f}" for e in t.tolist()) + ")"  # noqa: E731
    print("DP-17.58 and DP-17.60: k, x_k, tangent t_k, adjoint state r_k")
    names = ["", *(name for name, _ in maps)]
    table(
        [(k, names[k], short(xs[k]), short(ts[k]), short(rs[k])) for k in range(5)], ("k", "f_k", "x_k", "t_k", "r_k")
    )
    print(f"  <u, J v> = {u @ ts[-1]:.12f} = <J^T u, v> = {rs[0] @ v:.12f}")
    print(
        "  forward",
        [2] * 5,
        " reverse",
        [1, 2, 3, 4, 5, 5, 4, 3, 2][:9],
        "(states stored, then states and one adjoint)",
    )
    print("DP-17.62: vectors held after each step of a chain of K = 4, forward and reverse (there and back):")
    for mode in ("forward", "reverse"):
        print(f"  {mode} {[round(v, 2) for v in alive(4, mode)]}; the most for K = 4, 16, 64:", end=" ")
        print([round(max(alive(depth, mode)), 1) for depth in (4, 16, 64)])
    rows = []
    for depth in (4, 16, 64):
        maps = [("tanh", mt.tanh)] * depth
        states, evaluations, r = depth, 0, f64([1.0])
        for k in range(depth, 0, -1):  # DP-17.69: each state anew from the start
            x = f64([0.5])
            for _ in range(k - 1):
                x = x.tanh()
                evaluations += 1
            r = vjp(mt.tanh, x)[1](r)[0]
        same = close(r, reverse_mode(maps, f64([0.5]), f64([1.0]))[1][0])
        rows.append((depth, states, 1, evaluations, depth * (depth - 1) // 2, same))
    print(
        "DP-17.69: states kept by reverse mode and by the form without storage, evaluations, K(K-1)/2, equal gradient"
    )
    table(rows, ("K", "stored", "without", "evaluations", "K(K-1)/2", "same"))
    return {"xs": xs, "ts": ts, "rs": rs}


def alive(depth: int, mode: str, size: int = 1 << 14) -> list[float]:
    """DP-17.62: the vectors of `size` doubles held after each step of a chain of tanh, by the memory's count."""
    x = mt.full((size,), 0.5, dtype=mt.float64)
    held: list[float] = []
    base = mt.cpu.memory_stats()["in_use"]

    def note(*_: Any) -> None:
        held.append((mt.cpu.memory_stats()["in_use"] - base) / (8 * size))

    if mode == "forward":
        value, tangent = x.clone(), mt.ones_like(x)
        for _ in range(depth):
            value, tangent = jvp(mt.tanh, (value,), (tangent,))
            note()
        return held
    value = x.clone().requires_grad_()
    start = value
    for _ in range(depth):
        value = value.tanh()
        value.register_hook(note)
        note()
    mt.autograd.grad(value, start, mt.ones_like(x))
    note()
    return held


Node = tuple[tuple[int, ...], Callable[..., Any], str]
SHARING: list[Node] = [  # x2 e^x1 sqrt(x1 + x2 e^x1): parents, function, name; nodes 1 and 2 are the inputs
    ((1,), lambda a: a.exp(), "x3 = e^x1"),
    ((2, 3), lambda a, b: a * b, "x4 = x2 x3"),
    ((1, 4), lambda a, b: a + b, "x5 = x1 + x4"),
    ((5,), lambda a: a.sqrt(), "x6 = sqrt x5"),
    ((4, 6), lambda a, b: a * b, "x7 = x4 x6"),
]


STRAIGHT: list[Node] = [  # exp, sin, square
    ((1,), lambda a: a.exp(), "x2 = e^x1"),
    ((2,), lambda a: a.sin(), "x3 = sin x2"),
    ((3,), lambda a: a**2, "x4 = x3^2"),
]


def in_order(parents: Sequence[Sequence[int]]) -> list[int]:
    """DP-17.49: an order of the nodes 1 ... K, each after its parents; ValueError if there is a circle."""
    order: list[int] = []
    waiting = {k: set(p) for k, p in enumerate(parents, 1)}
    while waiting:
        ready = sorted(k for k, left in waiting.items() if not left)
        if not ready:
            raise ValueError(f"in_order: a circle goes through {', '.join(f'x{k}' for k in sorted(waiting))}")
        for k in ready:
            del waiting[k]
        order += ready
        for left in waiting.values():
            left.difference_update(ready)
    return order


def run(nodes: Sequence[Node], *xs: Any) -> Any:
    """DP-17.49: for k = 1 ... K the values of the parents are collected and x_k = f_k of them; returns x_K."""
    values = dict(enumerate(xs, 1))
    parents = [()] * len(xs) + [p for p, _, _ in nodes]
    for k in in_order(parents):
        if k > len(xs):
            values[k] = nodes[k - len(xs) - 1][1](*(values[p] for p in parents[k - 1]))
    return values[len(parents)]


def programs() -> dict[str, float]:
    """DP-17.49: a straight program, one with sharing, and a refusal of a circle."""
    found = {"straight": run(STRAIGHT, f64(0.3)).item(), "sharing": run(SHARING, f64(1.0), f64(2.0)).item()}
    print(f"DP-17.49: sin(e^0.3)^2 = {found['straight']:.12f};", end=" ")
    print(f"x2 e^x1 sqrt(x1 + x2 e^x1) at (1, 2) = {found['sharing']:.12f}")
    shuffled = [[], [4], [1], [3]]  # x2 waits for x4, which waits for x3
    print(f"  an order for x2 after x4 after x3 after x1: {in_order(shuffled)};", end=" ")
    try:
        in_order([[], [1, 3], [2]])
    except ValueError as error:
        print(error)
    return found


def graph_forward(nodes: Sequence[Node], xs: Sequence[Any], vs: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """DP-17.65: t_k is the sum over the parents of partial JVPs."""
    values, tangents = list(xs), list(vs)
    for parents, f, _ in nodes:
        value, tangent = jvp(f, tuple(values[p - 1] for p in parents), tuple(tangents[p - 1] for p in parents))
        values.append(value)
        tangents.append(tangent)
    return values, tangents


def graph_reverse(nodes: Sequence[Node], xs: Sequence[Any], u: Any) -> tuple[list[Any], list[list[tuple[int, Any]]]]:
    """DP-17.66: each node keeps its linear map; going back, r of each parent gathers its shares: (r, the ledger)."""
    values, maps = list(xs), []
    for parents, f, _ in nodes:
        value, pull = vjp(f, *(values[p - 1] for p in parents))
        values.append(value)
        maps.append(pull)
    ledger: list[list[tuple[int, Any]]] = [[] for _ in values]
    r = [mt.zeros_like(v) for v in values]
    r[-1] = u
    for k in range(len(values), len(xs), -1):
        for parent, share in zip(nodes[k - len(xs) - 1][0], maps[k - len(xs) - 1](r[k - 1]), strict=True):
            r[parent - 1] = r[parent - 1] + share
            ledger[parent - 1].append((k, share))
    return r, ledger


def graphs() -> dict[str, Any]:
    """DP-17.65, DP-17.66 on the program with sharing, and on G11: t^2 ln t ln(ln t), ln t computed once."""
    x, one, zero = [f64(1.0), f64(2.0)], f64(1.0), f64(0.0)
    values, by_x1 = graph_forward(SHARING, x, [one, zero])
    _, by_x2 = graph_forward(SHARING, x, [zero, one])
    r, ledger = graph_reverse(SHARING, x, one)
    print(
        "DP-17.65, DP-17.66: x2 e^x1 sqrt(x1 + x2 e^x1) at (1, 2): value, tangents by x1 and x2, adjoint, contributions"
    )
    names = ["x1", "x2", *(name for *_, name in SHARING)]
    rows = []
    for k, name in enumerate(names):
        shares = " + ".join(f"{v.item():.6f} from x{child}" for child, v in ledger[k])
        rows.append((name, values[k].item(), by_x1[k].item(), by_x2[k].item(), r[k].item(), shares))
    table(rows, ("node", "value", "by x1", "by x2", "r", "made of"), 8)
    print("  both modes give the same:", close(by_x1[-1], r[0]), close(by_x2[-1], r[1]))
    log = [((1,), lambda t: t.log(), "ln t"), ((1,), lambda t: t**2, "t^2"), ((2,), lambda a: a.log(), "ln ln t")]
    log += [((3, 2), lambda a, b: a * b, "t^2 ln t"), ((5, 4), lambda a, b: a * b, "the product")]
    t = f64(3.0)
    r3, ledger3 = graph_reverse(log, [t], one)
    forward = graph_forward(log, [t], [one])[1][-1]
    print(f"  G11 at 3: derivative {r3[0]:.12f}, forward the same: {close(forward, r3[0])}; ln t gathers from", end=" ")
    print(", ".join(f"x{child}" for child, _ in ledger3[1]))
    return {"r": r, "G11": r3[0].item()}


def layered() -> bool:
    """DP-17.64: (r_(k-1), g_k) from each layer; a 2-3-2-1 network of tanh."""
    mt.manual_seed(5)
    sizes = (2, 3, 2, 1)
    weights = [mt.randn(b, a, dtype=mt.float64) for a, b in pairwise(sizes)]
    layer = lambda x, w: (w @ x).tanh()  # noqa: E731
    loss = lambda x: 0.5 * ((x - 0.3) ** 2).sum()  # noqa: E731
    x0 = f64([0.4, -0.7])
    xs = [x0]
    for w in weights:
        xs.append(layer(xs[-1], w))
    r, by_hand = grad(loss)(xs[-1]), []
    for x, w in zip(reversed(xs[:-1]), reversed(weights), strict=True):
        r, g = vjp(layer, x, w)[1](r)
        by_hand.insert(0, g)

    def whole(*weights: Any) -> Any:
        x = x0
        for w in weights:
            x = layer(x, w)
        return loss(x)

    same = all(close(a, b) for a, b in zip(by_hand, grad(whole, argnums=(0, 1, 2))(*weights), strict=True))
    print(
        "DP-17.64: back-propagation layer by layer, gradients",
        [tuple(g.shape) for g in by_hand],
        "as by autograd:",
        same,
    )
    return same


def inverses(depth: int = 30) -> tuple[bool, float]:
    """DP-17.67: going back by inverse functions, with only the last state kept."""
    mt.manual_seed(6)
    maps: list[tuple[Map, Map]] = []
    leaky = lambda x: mt.where(x > 0, x, 0.5 * x)  # noqa: E731
    back = lambda y: mt.where(y > 0, y, 2 * y)  # noqa: E731
    for k in range(depth):
        a = mt.eye(4, dtype=mt.float64) + 0.2 * mt.randn(4, 4, dtype=mt.float64)
        m = 0.3 * mt.randn(2, 2, dtype=mt.float64)
        kinds = (
            (leaky, back),
            (lambda x, a=a: a @ x + 0.1, lambda y, a=a: mt.linalg.solve(a, y - 0.1)),
            (
                lambda x, m=m: mt.cat([x[:2], x[2:] + (m @ x[:2]).tanh()]),
                lambda y, m=m: mt.cat([y[:2], y[2:] - (m @ y[:2]).tanh()]),
            ),
        )
        maps.append(kinds[k % 3])
    start = f64([0.5, -1, 2, 0.3])
    last = start
    for f, _ in maps:
        last = f(last)
    x, r = last, last  # of |x_K|^2 / 2
    for f, inverse in reversed(maps):
        x = inverse(x)
        r = vjp(f, x)[1](r)[0]

    def whole(x: Any) -> Any:
        for f, _ in maps:
            x = f(x)
        return 0.5 * (x @ x)

    drift = (x - start).abs().max().item()
    same = close(r, grad(whole)(start), 1e-8)
    print(
        f"DP-17.67: {depth} invertible maps, one state kept: same gradient: {same}; the start comes back to {drift:.1e}"
    )
    return same, drift


# --- tensor products ------------------------------------------------------------------------------


def tensor(a: Any, b: Any, m: Any) -> Any:
    """(A (x) B) M = B M A^T."""
    return b @ m @ a.t()


def products() -> Any:
    """D18-tensor-product, D18-kronecker, D18-tensor-identities; vec stacks columns."""
    a, b, m = f64([[1, 2], [3, 4]]), f64([[2, -1], [1, 0]]), f64([[1, 2], [0, 1]])
    result, big = tensor(a, b, m), mt.kron(a, b)
    vec = lambda m: m.t().reshape(-1)  # noqa: E731
    print(f"D18-tensor-product: (A (x) B) M = {result.tolist()}; D18-kronecker:")
    table(big.tolist())
    back = (big @ vec(m)).reshape(2, 2).t()
    print(f"  times vec(M) = {vec(m).tolist()}: {(big @ vec(m)).tolist()}, reshaped the same: {mt.equal(back, result)}")
    mt.manual_seed(7)
    p, n = 3, 4
    a1, a2, b1, b2 = (mt.randn(s, s, dtype=mt.float64) for s in (p, p, n, n))
    m = mt.randn(n, p, dtype=mt.float64)
    eye_p, eye_n = mt.eye(p, dtype=mt.float64), mt.eye(n, dtype=mt.float64)
    columns = mt.stack([sum(a1[j, i] * (b1 @ m[:, i]) for i in range(p)) for j in range(p)], 1)
    checks = {
        "linear in A": close(tensor(a1 + a2, b1, m), tensor(a1, b1, m) + tensor(a2, b1, m)),
        "linear in B": close(tensor(a1, b1 + b2, m), tensor(a1, b1, m) + tensor(a1, b2, m)),
        "(A1 (x) B1)(A2 (x) B2) = A1 A2 (x) B1 B2": close(
            tensor(a1, b1, tensor(a2, b2, m)), tensor(a1 @ a2, b1 @ b2, m)
        ),
        "(I (x) B) M = B M": close(tensor(eye_p, b1, m), b1 @ m),
        "(A (x) I) M = M A^T": close(tensor(a1, eye_n, m), m @ a1.t()),
        "column j is sum_i a_ji B C_i": close(columns, tensor(a1, b1, m)),
    }
    print("D18-tensor-identities:", ", ".join(f"{name}: {value}" for name, value in checks.items()))
    return result, big, checks


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    three_gradients()
    composition()
    one_layer()
    directions()
    adjoints()
    several()
    chains()
    programs()
    graphs()
    layered()
    inverses()
    products()
    if chosen.picture:
        mt.learn.draw(lambda x1, x2: run(SHARING, x1, x2), f64(1.0), f64(2.0)).save(chosen.picture)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
