"""What is timed: small programs in PyTorch's names, run with `mt` being minitensor or torch.

A case is a function of the module that prepares its inputs and returns what to time. Its name begins with its family,
which `compare.py --filter` selects. Where `mt` stands for a library with other names (peers.py), it may have ways of
its own to run a function, `prepared`, and to differentiate it, `differentiated`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .models import INFERENCE, STEPS

CASES: dict[str, Callable[[Any], Callable[[], Any]]] = {}
Shape = tuple[int, ...]


def forward(name: str, shapes: list[Shape], run: Callable[..., Any], dtype: str = "float32") -> None:
    """A case that times `run(mt, *tensors)`, nothing recorded."""

    def make(mt: Any) -> Callable[[], Any]:
        xs = [mt.randn(*shape, dtype=getattr(mt, dtype)) for shape in shapes]
        if hasattr(mt, "prepared"):
            return mt.prepared(run, xs)  # type: ignore[no-any-return]
        return lambda: run(mt, *xs)

    CASES[name] = make


def train(name: str, shapes: list[Shape], run: Callable[..., Any]) -> None:
    """A case that times forward and backward, by every argument."""

    def make(mt: Any) -> Callable[[], Any]:
        if hasattr(mt, "differentiated"):
            return mt.differentiated(run, [mt.randn(*shape) for shape in shapes])  # type: ignore[no-any-return]
        xs = [mt.randn(*shape).requires_grad_() for shape in shapes]
        with mt.no_grad():
            g = mt.randn(tuple(run(mt, *xs).shape))

        def step() -> None:
            for x in xs:
                x.grad = None
            run(mt, *xs).backward(g)

        return step

    CASES[f"{name}, forward+backward"] = make


def both(name: str, shapes: list[Shape], run: Callable[..., Any]) -> None:
    forward(f"{name}, forward", shapes, run)
    train(name, shapes, run)


# --- products ---------------------------------------------------------------------------------------------------------
def _product(mt: Any, a: Any, b: Any) -> Any:
    return a @ b


for n in (16, 32, 64, 128, 256, 512, 1024, 2048):
    forward(f"matmul {n}x{n}", [(n, n), (n, n)], _product)
for n in (64, 512):
    forward(f"matmul {n}x{n} float64", [(n, n), (n, n)], _product, "float64")
for m, k, n in ((100, 37, 51), (333, 555, 777), (32, 784, 128), (64, 512, 256), (4096, 16, 16), (16, 4096, 16),
                (1, 1024, 1024), (1024, 1024, 1), (2048, 64, 2048)):  # fmt: skip
    forward(f"matmul {m}x{k} {k}x{n}", [(m, k), (k, n)], _product)
forward("matmul 512x512 transposed left", [(512, 512), (512, 512)], lambda mt, a, b: a.t() @ b)
forward("matmul 512x512 transposed right", [(512, 512), (512, 512)], lambda mt, a, b: a @ b.t())
forward("matmul 48x 128x64 64x128 batched", [(48, 128, 64), (48, 64, 128)], _product)
forward("matmul 256x 16x16 batched", [(256, 16, 16), (256, 16, 16)], _product)
for n in (64, 256, 1024):
    train(f"matmul {n}x{n}", [(n, n), (n, n)], _product)
for batch, k, n in ((32, 784, 128), (128, 256, 256), (512, 768, 3072)):
    both(
        f"linear {batch} of {k} to {n}",
        [(batch, k), (n, k), (n,)],
        lambda mt, x, w, b: mt.nn.functional.linear(x, w, b),
    )


def _at(precision: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """`run` with less exact products allowed, for the time of a call."""

    def allowed(mt: Any, *xs: Any) -> Any:
        mt.set_float32_matmul_precision(precision)
        try:
            return run(mt, *xs)
        finally:
            mt.set_float32_matmul_precision("highest")

    return allowed


for precision in ("high", "medium"):
    for n in (256, 512, 1024, 2048):
        forward(f"precision {precision} {n}x{n}", [(n, n), (n, n)], _at(precision, _product))
    forward(
        f"precision {precision} linear 512 of 768 to 3072",
        [(512, 768), (3072, 768), (3072,)],
        _at(precision, lambda mt, x, w, b: mt.nn.functional.linear(x, w, b)),
    )

# --- convolutions and pools -------------------------------------------------------------------------------------------
for batch, c, size, o, k, stride, pad, groups in (
    (32, 1, 28, 6, 5, 1, 0, 1),
    (32, 6, 12, 16, 5, 1, 0, 1),
    (128, 1, 28, 32, 3, 1, 1, 1),
    (64, 3, 32, 64, 3, 1, 1, 1),
    (8, 3, 112, 32, 7, 2, 3, 1),
    (32, 16, 32, 16, 3, 1, 1, 1),
    (64, 16, 16, 32, 3, 1, 1, 1),
    (8, 64, 56, 64, 3, 1, 1, 1),
    (16, 128, 14, 256, 3, 1, 1, 1),
    (8, 256, 8, 256, 3, 1, 1, 1),
    (16, 64, 28, 128, 1, 1, 0, 1),
    (16, 32, 28, 64, 3, 2, 1, 1),
    (16, 64, 28, 64, 3, 1, 1, 4),
    (16, 64, 28, 64, 3, 1, 1, 64),
    (1, 64, 56, 64, 3, 1, 1, 1),
):
    grouped = f" groups {groups}" if groups > 1 else ""
    both(
        f"conv2d {batch}x{c}x{size}x{size} {o} of {k}x{k}/{stride}{grouped}",
        [(batch, c, size, size), (o, c // groups, k, k)],
        lambda mt, x, w, s=stride, p=pad, g=groups: mt.nn.functional.conv2d(x, w, stride=s, padding=p, groups=g),
    )
both("pool max 64x64x32x32 of 2", [(64, 64, 32, 32)], lambda mt, x: mt.nn.functional.max_pool2d(x, 2))
both("pool max 16x64x56x56 of 3/2", [(16, 64, 56, 56)], lambda mt, x: mt.nn.functional.max_pool2d(x, 3, 2, 1))
both("pool max 32x6x24x24 of 2", [(32, 6, 24, 24)], lambda mt, x: mt.nn.functional.max_pool2d(x, 2))
both("pool average 64x64x32x32 of 2", [(64, 64, 32, 32)], lambda mt, x: mt.nn.functional.avg_pool2d(x, 2))
both("pool global average 32x256x8x8", [(32, 256, 8, 8)], lambda mt, x: mt.nn.functional.adaptive_avg_pool2d(x, 1))

# --- softmax, losses, norms -------------------------------------------------------------------------------------------
for shape in ((128, 10), (64, 1000), (32, 50257), (8, 12, 128, 128)):
    both(f"softmax {'x'.join(map(str, shape))}", [shape], lambda mt, x: mt.nn.functional.softmax(x, -1))


def _cross_entropy(rows: int, classes: int) -> None:
    def make(mt: Any) -> Callable[[], Any]:
        x, y = mt.randn(rows, classes).requires_grad_(), mt.randint(0, classes, (rows,))

        def step() -> None:
            x.grad = None
            mt.nn.functional.cross_entropy(x, y).backward()

        return step

    CASES[f"cross_entropy {rows}x{classes}, forward+backward"] = make


for rows, classes in ((32, 10), (128, 1000), (64, 50257)):
    _cross_entropy(rows, classes)
both("loss mse 128x1000", [(128, 1000), (128, 1000)], lambda mt, x, y: mt.nn.functional.mse_loss(x, y))
for rows, n in ((512, 768), (4096, 192)):
    both(
        f"norm layer {rows}x{n}",
        [(rows, n), (n,), (n,)],
        lambda mt, x, w, b, n=n: mt.nn.functional.layer_norm(x, (n,), w, b),
    )
for shape in ((32, 64, 28, 28), (128, 16, 32, 32), (64, 256)):
    both(
        f"norm batch {'x'.join(map(str, shape))}",
        [shape, (shape[1],), (shape[1],)],
        lambda mt, x, w, b: mt.nn.functional.batch_norm(x, None, None, w, b, training=True),
    )
both(
    "norm group 16x64x28x28",
    [(16, 64, 28, 28), (64,), (64,)],
    lambda mt, x, w, b: mt.nn.functional.group_norm(x, 8, w, b),
)

# --- elementwise, reductions, movement --------------------------------------------------------------------------------
for f in ("relu", "sigmoid", "tanh", "gelu", "silu", "elu"):
    both(f"activation {f} 1e6", [(1000, 1000)], lambda mt, x, f=f: getattr(mt.nn.functional, f)(x))
for f in ("exp", "log", "sqrt", "sin"):
    forward(f"elementwise {f} 1e6", [(1000, 1000)], lambda mt, x, f=f: getattr(mt, f)(x))
for n in (4, 100, 1000, 3000):
    both(f"elementwise add {n}x{n}", [(n, n), (n, n)], lambda mt, a, b: a + b)
for n in (4, 1000):
    both(f"elementwise mul {n}x{n}", [(n, n), (n, n)], lambda mt, a, b: a * b)
both("elementwise add row 1000x1000", [(1000, 1000), (1000,)], lambda mt, a, b: a + b)
both("elementwise mul column 1000x1000", [(1000, 1000), (1000, 1)], lambda mt, a, b: a * b)
forward("elementwise chain 1000x1000", [(1000, 1000), (1000, 1000)], lambda mt, a, b: (a * b + 1.0 - a / 2.0) * 0.5)
for dims in (None, 0, 1):
    both(
        f"reduction sum 1000x1000 over {dims}", [(1000, 1000)], lambda mt, x, d=dims: x.sum() if d is None else x.sum(d)
    )
forward("reduction mean 64x64x32x32 over 0,2,3", [(64, 64, 32, 32)], lambda mt, x: x.mean((0, 2, 3)))
forward("reduction max 1000x1000 over 1", [(1000, 1000)], lambda mt, x: mt.max(x, 1)[0])
forward("reduction argmax 1000x1000 over 1", [(1000, 1000)], lambda mt, x: x.argmax(1))
forward("reduction var 1000x1000 over 1", [(1000, 1000)], lambda mt, x: x.var(1))
forward("reduction cumsum 1000x1000 over 1", [(1000, 1000)], lambda mt, x: x.cumsum(1))
forward("copy transpose 1000x1000", [(1000, 1000)], lambda mt, x: x.t().contiguous())
forward("copy permute 32x64x28x28", [(32, 64, 28, 28)], lambda mt, x: x.permute(0, 2, 3, 1).contiguous())
forward("copy clone 1000x1000", [(1000, 1000)], lambda mt, x: x.clone())
both("copy cat 2 of 500x1000", [(500, 1000), (500, 1000)], lambda mt, a, b: mt.cat([a, b], 1))
forward("copy slice 1000x1000", [(1000, 1000)], lambda mt, x: x[:, 100:900].contiguous())


def _embedding(count: int, width: int, rows: int, length: int) -> None:
    def make(mt: Any) -> Callable[[], Any]:
        w, i = mt.randn(count, width).requires_grad_(), mt.randint(0, count, (rows, length))
        g = mt.randn(rows, length, width)

        def step() -> None:
            w.grad = None
            mt.nn.functional.embedding(i, w).backward(g)

        return step

    CASES[f"embedding {rows}x{length} of {count}x{width}, forward+backward"] = make


_embedding(10000, 128, 32, 64)
_embedding(65, 192, 16, 128)
for shape in ((8, 4, 128, 48), (4, 12, 256, 64)):
    both(
        f"attention {'x'.join(map(str, shape))} causal",
        [shape, shape, shape],
        lambda mt, q, k, v: mt.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True),
    )


# --- optimizers, overhead ---------------------------------------------------------------------------------------------
def _optimizer(kind: str, count: int, shape: Shape, **options: Any) -> None:
    def make(mt: Any) -> Callable[[], Any]:
        parameters = [mt.nn.Parameter(mt.randn(*shape)) for _ in range(count)]
        for p in parameters:
            p.grad = mt.randn(*shape)
        return getattr(mt.optim, kind)(parameters, **options).step  # type: ignore[no-any-return]

    CASES[f"optimizer {kind} {count} of {'x'.join(map(str, shape))}"] = make


_optimizer("SGD", 8, (512, 512), lr=0.01, momentum=0.9)
_optimizer("Adam", 8, (512, 512), lr=0.001)
_optimizer("AdamW", 50, (192,), lr=0.001)
_optimizer("SGD", 50, (16,), lr=0.01)

for f in ("relu", "exp", "sum", "mean", "softmax", "reshape", "getitem", "compare", "matmul", "cat", "item"):
    run: Callable[..., Any] = {
        "softmax": lambda mt, x: mt.softmax(x, -1),
        "reshape": lambda mt, x: x.reshape(2, 8),
        "getitem": lambda mt, x: x[0],
        "compare": lambda mt, x: x > 0.0,
        "matmul": lambda mt, x: x @ x,
        "cat": lambda mt, x: mt.cat([x, x]),
        "item": lambda mt, x: x[0, 0].item(),
    }.get(f, lambda mt, x, f=f: getattr(mt, f)(x))
    forward(f"overhead {f} 4x4", [(4, 4)], run)
    if f not in ("compare", "item"):

        def recorded(mt: Any, run: Callable[..., Any] = run) -> Callable[[], Any]:
            x = mt.randn(4, 4).requires_grad_()
            return lambda: run(mt, x)

        CASES[f"overhead {f} 4x4 recorded"] = recorded


def _chain(mt: Any) -> Callable[[], Any]:
    x, y = mt.ones(4, 4).requires_grad_(), mt.ones(4, 4)

    def step() -> None:
        z = x
        for _ in range(100):
            z = z * y
        z.sum().backward()

    return step


CASES["overhead of 100 nodes, forward+backward"] = _chain
for name, make in STEPS.items():
    CASES[f"step {name}"] = make
for name, make in INFERENCE.items():
    CASES[f"inference {name}"] = make
