"""Networks whose whole training step is timed, in PyTorch's names: forward, loss, backward and the optimizer's step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

STEPS: dict[str, Callable[[Any], Callable[[], Any]]] = {}
INFERENCE: dict[str, Callable[[Any], Callable[[], Any]]] = {}


def network(name: str, optimizer: str, sizes: int | None, **options: Any) -> Callable[[Any], Any]:
    """Enters `build(mt, batch) -> model, inputs, loss of the output` as a training step and as inference on one."""

    def enter(build: Any) -> Any:
        def step(mt: Any) -> Callable[[], Any]:
            model, x, loss = build(mt, sizes or 4)
            optim = getattr(mt.optim, optimizer)(model.parameters(), **options)

            def run() -> None:
                optim.zero_grad()
                loss(model(x)).backward()
                optim.step()

            return run

        def infer(mt: Any) -> Callable[[], Any]:
            model, x, _ = build(mt, 1)
            model.eval()

            def run() -> Any:
                with mt.no_grad():
                    return model(x)

            return run

        STEPS[f"{name}, batch {sizes}"] = step
        INFERENCE[f"{name}, batch 1"] = infer
        return build

    return enter


def _classes(mt: Any, batch: int, count: int = 10) -> Callable[[Any], Any]:
    y = mt.randint(0, count, (batch,))
    return lambda out: mt.nn.functional.cross_entropy(out, y)


@network("XOR 2-4-1", "SGD", 4, lr=0.1)
def xor(mt: Any, batch: int) -> Any:
    nn = mt.nn
    model = nn.Sequential(nn.Linear(2, 4), nn.Tanh(), nn.Linear(4, 1), nn.Sigmoid())
    y = mt.tensor([[0.0], [1.0], [1.0], [0.0]])[:batch]
    x = mt.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])[:batch]
    return model, x, lambda out: mt.nn.functional.mse_loss(out, y)


@network("two moons 2-16-16-1", "Adam", 100, lr=0.01)
def moons(mt: Any, batch: int) -> Any:
    nn = mt.nn
    model = nn.Sequential(nn.Linear(2, 16), nn.ReLU(), nn.Linear(16, 16), nn.ReLU(), nn.Linear(16, 1))
    y = mt.randint(0, 2, (batch, 1)).float()
    return model, mt.randn(batch, 2), lambda out: mt.nn.functional.binary_cross_entropy_with_logits(out, y)


@network("MLP 784-512-256-10", "SGD", 64, lr=0.01, momentum=0.9)
def mlp(mt: Any, batch: int) -> Any:
    nn = mt.nn
    model = nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 256), nn.ReLU(), nn.Linear(256, 10))
    return model, mt.randn(batch, 784), _classes(mt, batch)


@network("LeNet", "SGD", 32, lr=0.01, momentum=0.9)
def lenet(mt: Any, batch: int) -> Any:
    nn = mt.nn
    model = nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip
    return model, mt.randn(batch, 1, 28, 28), _classes(mt, batch)


@network("MNIST convnet 32-16", "Adam", 32, lr=0.001)
def mnist(mt: Any, batch: int) -> Any:
    nn = mt.nn
    model = nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.Conv2d(32, 16, 3, padding=1), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * 28 * 28, 10),
    )  # fmt: skip
    return model, mt.randn(batch, 1, 28, 28), _classes(mt, batch)


@network("CIFAR convnet 64-64-64-64", "Adam", 32, lr=0.001)
def cifar(mt: Any, batch: int) -> Any:
    nn = mt.nn
    model = nn.Sequential(
        nn.Conv2d(3, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(64 * 8 * 8, 10),
    )  # fmt: skip
    return model, mt.randn(batch, 3, 32, 32), _classes(mt, batch)


@network("ResNet-20", "SGD", 32, lr=0.1, momentum=0.9, weight_decay=1e-4)
def resnet(mt: Any, batch: int) -> Any:
    nn = mt.nn

    class Block(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, inside: int, outside: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inside, outside, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outside)
            self.conv2 = nn.Conv2d(outside, outside, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outside)
            self.short = nn.Sequential()
            if stride != 1 or inside != outside:
                self.short = nn.Sequential(nn.Conv2d(inside, outside, 1, stride, bias=False), nn.BatchNorm2d(outside))

        def forward(self, x: Any) -> Any:
            out = mt.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out)) + self.short(x)
            return mt.relu(out)

    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    inside = 16
    for outside, stride in ((16, 1), (32, 2), (64, 2)):
        for i in range(3):
            layers.append(Block(inside, outside, stride if i == 0 else 1))
            inside = outside
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*layers), mt.randn(batch, 3, 32, 32), _classes(mt, batch)


@network("GPT 4x192, context 128", "AdamW", 8, lr=0.001)
def gpt(
    mt: Any, batch: int, width: int = 192, heads: int = 6, depth: int = 4, length: int = 128, count: int = 65
) -> Any:
    nn = mt.nn

    class Block(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.ln1, self.ln2 = nn.LayerNorm(width), nn.LayerNorm(width)
            self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x: Any) -> Any:
            b, t, c = x.shape
            q, k, v = self.qkv(self.ln1(x)).split(width, dim=2)
            q, k, v = (z.view(b, t, heads, c // heads).transpose(1, 2) for z in (q, k, v))
            y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            x = x + self.out(y.transpose(1, 2).contiguous().view(b, t, c))
            return x + self.down(nn.functional.gelu(self.up(self.ln2(x)), approximate="tanh"))

    class GPT(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.token, self.place = nn.Embedding(count, width), nn.Embedding(length, width)
            self.blocks = nn.Sequential(*(Block() for _ in range(depth)))
            self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, count, bias=False)

        def forward(self, i: Any) -> Any:
            x = self.token(i) + self.place(mt.arange(i.shape[1]))
            return self.head(self.norm(self.blocks(x)))

    i = mt.randint(0, count, (batch, length))
    y = mt.randint(0, count, (batch * length,))
    return GPT(), i, lambda out: nn.functional.cross_entropy(out.view(-1, count), y)


@network("LSTM 2x256", "Adam", 16, lr=0.001)
def lstm(mt: Any, batch: int, length: int = 32, width: int = 256, count: int = 65) -> Any:
    nn = mt.nn

    class Model(nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.token = nn.Embedding(count, width)
            self.lstm = nn.LSTM(width, width, num_layers=2, batch_first=True)
            self.head = nn.Linear(width, count)

        def forward(self, i: Any) -> Any:
            return self.head(self.lstm(self.token(i))[0])

    y = mt.randint(0, count, (batch * length,))
    loss = lambda out: nn.functional.cross_entropy(out.view(-1, count), y)  # noqa: E731
    return Model(), mt.randint(0, count, (batch, length)), loss
