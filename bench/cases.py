"""What is timed: small programs in PyTorch's names, run with `mt` being minitensor or torch.

A case is a function of the module that prepares its inputs and returns what to time.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

CASES: dict[str, Callable[[Any], Callable[[], Any]]] = {}


def case(name: str) -> Callable[[Any], Any]:
    def enter(make: Any) -> Any:
        CASES[name] = make
        return make

    return enter


def both(name: str, shapes: list[tuple[int, ...]], run: Callable[..., Any]) -> None:
    """A case for the forward, and one for forward and backward, of `run(mt, *tensors)`."""

    def forward(mt: Any) -> Callable[[], Any]:
        xs = [mt.randn(*shape) for shape in shapes]
        return lambda: run(mt, *xs)

    def backward(mt: Any) -> Callable[[], Any]:
        xs = [mt.randn(*shape).requires_grad_() for shape in shapes]
        with mt.no_grad():
            g = mt.randn(tuple(run(mt, *xs).shape))

        def step() -> None:
            for x in xs:
                x.grad = None
            run(mt, *xs).backward(g)

        return step

    CASES[f"{name} forward"] = forward
    CASES[f"{name} forward+backward"] = backward


for n in (16, 64, 256, 1024):
    both(f"matmul {n}x{n}", [(n, n), (n, n)], lambda mt, a, b: a @ b)
both("matmul 32x784 784x128", [(32, 784), (784, 128)], lambda mt, a, b: a @ b)
both("matmul 8x128x64 batched", [(8, 128, 64), (8, 64, 128)], lambda mt, a, b: a @ b)
for batch, c, size, o, k, stride, pad in (
    (32, 1, 28, 6, 5, 1, 0),
    (32, 6, 12, 16, 5, 1, 0),
    (64, 16, 16, 32, 3, 1, 1),
    (8, 64, 56, 64, 3, 1, 1),
    (16, 64, 28, 128, 1, 1, 0),
    (16, 32, 28, 64, 3, 2, 1),
):
    both(
        f"conv2d {batch}x{c}x{size}x{size} {o} of {k}x{k}/{stride}",
        [(batch, c, size, size), (o, c, k, k)],
        lambda mt, x, w, s=stride, p=pad: mt.nn.functional.conv2d(x, w, stride=s, padding=p),
    )
both("max_pool2d 64x64x32x32", [(64, 64, 32, 32)], lambda mt, x: mt.nn.functional.max_pool2d(x, 2))
both("avg_pool2d 64x64x32x32", [(64, 64, 32, 32)], lambda mt, x: mt.nn.functional.avg_pool2d(x, 2))
both("softmax 64x1000", [(64, 1000)], lambda mt, x: mt.nn.functional.softmax(x, 1))
both("softmax 8x12x128x128", [(8, 12, 128, 128)], lambda mt, x: mt.nn.functional.softmax(x, -1))
both(
    "layer_norm 512x768", [(512, 768), (768,), (768,)], lambda mt, x, w, b: mt.nn.functional.layer_norm(x, (768,), w, b)
)
both(
    "batch_norm 32x64x28x28",
    [(32, 64, 28, 28), (64,), (64,)],
    lambda mt, x, w, b: mt.nn.functional.batch_norm(x, None, None, w, b, training=True),
)
both("add 4x4", [(4, 4), (4, 4)], lambda mt, a, b: a + b)
both("mul 4x4", [(4, 4), (4, 4)], lambda mt, a, b: a * b)
both("relu 1e6", [(1000, 1000)], lambda mt, x: x.relu())
both("sum 1e6", [(1000, 1000)], lambda mt, x: x.sum())


@case("cross_entropy 128x10 forward+backward")
def _cross_entropy(mt: Any) -> Callable[[], Any]:
    x, y = mt.randn(128, 10).requires_grad_(), mt.randint(0, 10, (128,))

    def step() -> None:
        x.grad = None
        mt.nn.functional.cross_entropy(x, y).backward()

    return step


def _trained(mt: Any, model: Any, x: Any, y: Any) -> Callable[[], Any]:
    optimizer = mt.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        mt.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    return step


@case("training step LeNet, batch 32")
def _lenet(mt: Any) -> Callable[[], Any]:
    nn = mt.nn
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    return _trained(mt, model, mt.randn(32, 1, 28, 28), mt.randint(0, 10, (32,)))


@case("training step MLP 784-512-256-10, batch 64")
def _mlp(mt: Any) -> Callable[[], Any]:
    nn = mt.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    return _trained(mt, model, mt.randn(64, 784), mt.randint(0, 10, (64,)))
