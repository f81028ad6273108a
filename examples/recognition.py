"""Recognising digits and pictures: the book's dense and convolutional networks, what layers see, a style borrowed.

    python examples/recognition.py --picture layers.png
    python examples/recognition.py --images 60000 --epochs 5            (all digits; some minutes)
    python examples/recognition.py --dense 40 --images 60000            (the book's dense networks, 40 epochs)
    python examples/recognition.py --cifar 10                           (colour pictures, ten epochs)
    python examples/recognition.py --cats-dogs 20 --photos FOLDER       (FOLDER/train/cats, FOLDER/test/dogs, ...)

MNIST's digits and CIFAR-10's pictures are taken from $MINITENSOR_DATA or the cache; without them scikit-learn's digits
of 8 x 8, enlarged to 28 x 28, take their place. `minitensor train` trains larger networks, with checkpoints.

Covers D10-onehot, D10-argmax-mnist0, D10-mnist-dense-params, D10-mnist-dense-acc, D10-mnist-steps, D10-cifar-dense,
D14-mnist-cnn-params, D14-mnist-cnn-acc, D14-cifar-cnn-params, D14-cifar-cnn-acc, D14-catsdogs-params,
D14-catsdogs-acc, D14-viz, D14-viz-net, D17-mnist-embedding and DA-style-transfer.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Any

from common import glorot, parser, table

import minitensor as mt
from minitensor import nn
from minitensor.datasets import Images
from minitensor.datasets.store import found
from minitensor.learn import plot
from minitensor.learn.plots.common import MARKERS
from minitensor.nn import functional as F

MNIST = ("mnist/train-images-idx3-ubyte.gz", "mnist/train-labels-idx1-ubyte.gz")


def conv(inside: int, outside: int) -> Any:
    """3 x 3, the size kept."""
    return nn.Conv2d(inside, outside, 3, padding="same")


def dense(p: int) -> Any:
    """D10-mnist-dense: 784 - p - p - 10, sigmoids; softmax belongs to the loss."""
    return nn.Sequential(
        nn.Flatten(), nn.Linear(784, p), nn.Sigmoid(), nn.Linear(p, p), nn.Sigmoid(), nn.Linear(p, 10)
    )  # fmt: skip


def cifar_dense() -> Any:
    """D10-cifar-dense: 3072 - 30 - 30 - 30 - 30 - 10, sigmoids."""
    layers: list[Any] = [nn.Flatten()]
    for inside in (3072, 30, 30, 30):
        layers += [nn.Linear(inside, 30), nn.Sigmoid()]
    return nn.Sequential(*layers, nn.Linear(30, 10))


def mnist_conv() -> Any:
    """D14-mnist-cnn: 32 and 16 filters, then dense."""
    return nn.Sequential(
        conv(1, 32), nn.ReLU(), conv(32, 16), nn.ReLU(), nn.Flatten(), nn.Linear(16 * 28 * 28, 10)
    )  # fmt: skip


def cifar_conv(pools: bool = True) -> Any:
    """D14-cifar-cnn: four times 64 filters, two poolings between."""
    pool = [nn.MaxPool2d(2)] if pools else []
    side = 8 if pools else 32
    return nn.Sequential(
        conv(3, 64), nn.ReLU(), conv(64, 64), nn.ReLU(), *pool, conv(64, 64), nn.ReLU(), *pool,
        conv(64, 64), nn.ReLU(), nn.Flatten(), nn.Linear(64 * side * side, 10),
    )  # fmt: skip


def cats_dogs(side: int = 64) -> Any:
    """D14-catsdogs: three times 64 filters, pooling and dropout; one number at the end, the sigmoid is the loss's."""
    layers: list[Any] = []
    for inside in (3, 64, 64):
        layers += [conv(inside, 64), nn.ReLU(), nn.MaxPool2d(2), nn.Dropout(0.5)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * (side // 8) ** 2, 32), nn.ReLU(), nn.Linear(32, 1))


def viewer() -> Any:
    """D14-viz-net: two times 16 filters, pooling, dense."""
    return nn.Sequential(
        conv(1, 16), nn.ReLU(), conv(16, 16), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(16 * 14 * 14, 10)
    )  # fmt: skip


def embedder() -> Any:
    """D17-mnist-embedding: the output of the layer of 50 is the digit's vector."""
    return nn.Sequential(
        conv(1, 16), nn.ReLU(), nn.MaxPool2d(2), conv(16, 8), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(8 * 7 * 7, 50), nn.ReLU(), nn.Linear(50, 10),
    )  # fmt: skip


def count(model: Any) -> int:
    """Weights, biases included."""
    return sum(p.numel() for p in model.parameters())


def counts() -> dict[str, int]:
    """The weights of every network, and of each layer of the convolutional ones."""
    models = {f"dense, p = {p}": dense(p) for p in (8, 10, 20, 50)}
    models |= {"CIFAR, dense": cifar_dense(), "MNIST, convolutions": mnist_conv(), "CIFAR, convolutions": cifar_conv()}
    models |= {
        "CIFAR, no pooling": cifar_conv(False),
        "cats and dogs, 64 x 64": cats_dogs(),
        "what layers see": viewer(),
    }
    found_ = {name: count(model) for name, model in models.items()}
    print("weights, layer by layer")
    for name, model in models.items():
        parts = [str(count(layer)) for layer in model if count(layer)]
        print(f"  {name:<24} {found_[name]:>9,} = {' + '.join(parts)}")
    neurons = {p: 2 * p + 10 for p in (8, 10, 20, 50)}
    print("  neurons of the dense ones:", ", ".join(f"p = {p}: {n}" for p, n in neurons.items()))
    return found_


def labels() -> dict[str, float]:
    """D10-onehot, D10-argmax-mnist0, D10-mnist-steps."""
    digits = mt.tensor([0, 1, 2, 9])
    print("D10-onehot:", dict(zip(digits.tolist(), F.one_hot(digits, 10).tolist(), strict=True)))
    p = mt.tensor([0.001, 0, 0, 0.008, 0.002, 0.005, 0, 0.965, 0, 0.020], dtype=mt.float64)
    said = int(p.argmax())
    cost = F.nll_loss(p.log()[None], mt.tensor([7])).item()
    print(f"D10-argmax-mnist0: {said}, with {p[said]:.1%}; cross-entropy against 7: {cost:.9f}")
    n, k, epochs = 60_000, 32, 40
    print(
        f"D10-mnist-steps: {n:,} pictures in batches of {k}: {n // k} steps an epoch, {n // k * epochs:,} in {epochs}"
    )
    return {"said": said, "cost": cost}


def digits(limit: int) -> tuple[Images, Images, str]:
    """Those to learn from, those to test with, and what they are."""
    if found(*MNIST):
        train, test, name = mt.datasets.mnist(), mt.datasets.mnist(False), "MNIST"
    else:
        small = mt.datasets.digits()
        large = F.interpolate(small.images.float() / small.images.max().item(), size=(28, 28), mode="bilinear")
        cut = len(small) * 4 // 5
        train, test = (
            Images(large[part], small.labels[part], small.classes) for part in (slice(cut), slice(cut, None))
        )
        name = "scikit-learn's digits, enlarged (MNIST is not here: mnist/*.gz into $MINITENSOR_DATA)"
    return Images(train.images[:limit], train.labels[:limit], train.classes), test, name


def learn(model: Any, train: Any, test: Any, epochs: int, optimizer: Callable[[Any], Any], seed: int = 0) -> Any:
    """The book's training: batches of 32, shuffled, cross-entropy; its history."""
    mt.manual_seed(seed)
    made = optimizer(glorot(model).parameters())
    return mt.fit(
        model, train, "cross_entropy", made, epochs=epochs, batch_size=32, validation_data=test, metrics="accuracy",
        verbose=0,
    )  # fmt: skip


def adam(parameters: Any) -> Any:
    """Adam, 0.001, with the book's epsilon."""
    return mt.optim.Adam(parameters, lr=1e-3, eps=1e-7)


def recognise(train: Images, test: Images, name: str, epochs: int, dense_epochs: int) -> Any:
    """D10-mnist-dense-acc, D14-mnist-cnn-acc: accuracy on unseen digits, the first ten, the hardest."""
    print(f"{name}: {len(train):,} to learn from, {len(test):,} to test with")
    rows = []
    for p in (8, 10, 20, 50) if dense_epochs else ():
        model, begin = dense(p), time.perf_counter()
        history = learn(model, train, test, dense_epochs, lambda w: mt.optim.SGD(w, lr=0.01))
        rows.append(
            (f"784-{p}-{p}-10", 2 * p + 10, count(model), history["val_accuracy"][-1], time.perf_counter() - begin)
        )
    model, begin = mnist_conv(), time.perf_counter()
    history = learn(model, train, test, epochs, adam)
    rows.append(("convolutions 32, 16", "", count(model), history["val_accuracy"][-1], time.perf_counter() - begin))
    table(rows, ("network", "neurons", "weights", "accuracy", "s"), 4)
    p = mt.predict(model, test).softmax(1)
    first = zip(test.labels[:10].tolist(), p[:10].argmax(1).tolist(), p[:10].amax(1).tolist(), strict=True)
    print("  the first ten (true, said, how surely):", ", ".join(f"{t}: {s} {q:.1%}" for t, s, q in first))
    right = p[mt.arange(len(test)), test.labels]
    hard = int(right.argmin())
    print(f"  number 8: {[round(v, 4) for v in p[8].tolist()]}")
    print(f"  the hardest, number {hard}, a {int(test.labels[hard])}: {[round(v, 4) for v in p[hard].tolist()]}")
    return model


def see(train: Images, test: Images, epochs: int) -> tuple[Any, dict[int, list[Any]]]:
    """D14-viz: the maps of layers 1, 2 and 3 for a 4 and a 9."""
    model = viewer()
    history = learn(model, train, test, epochs, adam)
    maps = {}
    for digit in (4, 9):
        x = test[int((test.labels == digit).nonzero()[0])][0][None]
        with mt.no_grad():
            one = model[:2](x)
            two = model[2:4](one)
            three = model[4](two)
        maps[digit] = [x[0, 0], one[0], two[0], three[0]]
        assert mt.equal(three, F.max_pool2d(two, 2))
    right = history["val_accuracy"][-1]
    print(f"D14-viz: {count(model):,} weights, {right:.1%} right; layer 3 is the max-pool of layer 2")
    return model, maps


def vectors(train: Images, test: Images, epochs: int) -> tuple[Any, Any]:
    """D17-mnist-embedding: the vectors of about 100 test digits, from the layer before the last."""
    model = embedder()
    history = learn(model, train, test, epochs, adam)
    with mt.no_grad():
        phi = model[:-1](test[:100][0])
    centred = phi - phi.mean(0)
    variance = mt.linalg.svdvals(centred) ** 2
    print(
        f"D17-mnist-embedding: {history['val_accuracy'][-1]:.1%} right; of vectors of {phi.shape[1]} numbers two",
        end=" ",
    )
    print(f"components keep {variance[:2].sum() / variance.sum():.1%}, three {variance[:3].sum() / variance.sum():.1%}")
    return phi, test.labels[:100]


def gram(maps: Any) -> Any:
    """How the channels of (channels, rows, columns) go together: products of all pairs, per place."""
    flat = maps.flatten(1)
    return flat @ flat.t() / flat.shape[1]


def style(model: Any, content: Any, picture: Any, steps: int = 120) -> tuple[list[Any], list[tuple[float, float]]]:
    """DA-style-transfer: descent on the pixels; content by the maps of layer 2, style by the Gram matrix of layer 1."""
    before = [p.detach().clone() for p in model.parameters()]
    with mt.no_grad():
        wanted, manner = model[:4](content)[0], gram(model[:2](picture)[0])
    x = content.clone().requires_grad_()
    optimizer = mt.optim.Adam([x], lr=0.02)
    shown, losses = [content[0, 0].clone()], []
    for k in range(1, steps + 1):
        optimizer.zero_grad()
        one = model[:2](x)
        of_content = ((model[2:4](one)[0] - wanted) ** 2).mean()
        of_style = ((gram(one[0]) - manner) ** 2).mean()
        (of_content + 50 * of_style).backward()
        optimizer.step()
        losses.append((of_content.item(), of_style.item()))
        if k % (steps // 4) == 0:
            shown.append(x.detach()[0, 0].clamp(0, 1).clone())
    same = all(mt.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    print(
        f"DA-style-transfer: content loss {losses[0][0]:.2e} -> {losses[-1][0]:.2e}, style {losses[0][1]:.2e} ->",
        end=" ",
    )
    print(f"{losses[-1][1]:.2e}; the network's weights unchanged: {same}")
    return shown, losses


def stripes() -> Any:
    """A picture of another manner: slanting stripes."""
    y, x = mt.meshgrid(mt.arange(28.0), mt.arange(28.0), indexing="ij")
    return (0.5 + 0.5 * mt.sin((x + y) * (2 * math.pi / 6)))[None, None]


def cifar(epochs: int) -> None:
    """D10-cifar-dense, D14-cifar-cnn-acc: dense layers fail on colour pictures, convolutions do not."""
    if not found("cifar-10-batches-bin/data_batch_1.bin", "cifar-10-batches-bin/test_batch.bin"):
        print("CIFAR-10 is not here: put cifar-10-batches-bin/ into $MINITENSOR_DATA")
        return
    train, test = mt.datasets.cifar10(), mt.datasets.cifar10(False)
    for name, model in (("dense", cifar_dense()), ("convolutions", cifar_conv())):
        history = learn(model, train, test, epochs, adam)
        pairs = zip(history["accuracy"], history["val_accuracy"], strict=True)
        print(
            f"CIFAR-10, {name}: accuracy by epoch, training and test:", ", ".join(f"{a:.3f} {b:.3f}" for a, b in pairs)
        )
        said = mt.predict(model, test).argmax(1)
        wrong = mt.zeros(10, 10).index_put((test.labels, said), mt.ones(len(test)), accumulate=True)
        i, j = divmod(int((wrong - mt.diag(mt.diag(wrong))).argmax()), 10)
        print(f"  most often confused: {test.classes[i]} taken for {test.classes[j]}")


def cats_against_dogs(epochs: int, folder: str | None) -> Any:
    """D14-catsdogs-acc: accuracy by epoch, and what was misjudged most surely; a folder is read batch by batch."""
    if folder is not None:
        train, test = (mt.datasets.ImageFolder(f"{folder}/{part}", size=64) for part in ("train", "test"))
        side = 64
    elif found("cifar-10-batches-bin/data_batch_1.bin", "cifar-10-batches-bin/test_batch.bin"):
        train, test = (of_classes(mt.datasets.cifar10(part), ("cat", "dog")) for part in (True, False))
        side = 32
    else:
        print("no cats and dogs: put cifar-10-batches-bin/ into $MINITENSOR_DATA, or say where --photos are")
        return None

    def loss(out: Any, y: Any) -> Any:
        return F.binary_cross_entropy_with_logits(out[:, 0], y.float())

    def accuracy(out: Any, y: Any) -> float:
        return ((out[:, 0] > 0) == (y == 1)).float().mean().item()

    mt.manual_seed(0)
    model = glorot(cats_dogs(side))
    history = mt.fit(
        model, train, loss, adam(model.parameters()), epochs=epochs, validation_data=test, metrics=accuracy, verbose=0
    )  # fmt: skip
    pairs = zip(history["accuracy"], history["val_accuracy"], strict=True)
    print(f"D14-catsdogs-acc: {len(train):,} photos of {side} x {side}; accuracy by epoch, training and test:")
    print("  " + ", ".join(f"{a:.3f} {b:.3f}" for a, b in pairs))
    dog = mt.predict(model, test).sigmoid()[:, 0]
    truth = mt.tensor([int(test[i][1]) for i in range(len(test))])
    wrong = (dog - truth).abs()
    surest = wrong.argsort(descending=True)[: int((wrong > 0.5).sum())][:5].tolist()
    print(
        "  misjudged most surely:", ", ".join(f"number {i}, a {test.classes[truth[i]]}: {wrong[i]:.1%}" for i in surest)
    )
    return history


def of_classes(data: Images, names: tuple[str, ...]) -> Images:
    """The pictures of these classes alone, numbered in this order."""
    numbers = [data.classes.index(name) for name in names]
    kept = mt.isin(data.labels, mt.tensor(numbers))
    labels_ = mt.stack([data.labels[kept] == n for n in numbers]).long().argmax(0)
    return Images(data.images[kept], labels_, names)


def draw(
    path: str, model: Any, maps: dict[int, list[Any]], phi: Any, labels_: Any, test: Images, shown: list[Any]
) -> None:
    """The maps for a 4 and a 9, one filter on ten digits, the vectors, the style on its way."""
    fig = plot.figure(16, 15)
    shape = fig.add_gridspec(4, 1, height_ratios=(4.6, 1, 1, 3.4))
    both = shape[0].subgridspec(1, 2, wspace=0.06)
    for column, (digit, layers) in enumerate(maps.items()):
        grid = both[column].subgridspec(6, 8)
        for row, layer in enumerate(layers[1:]):
            for k, picture in enumerate(layer):
                axes = fig.add_subplot(grid[2 * row + k // 8, k % 8])
                axes.imshow(picture, cmap="gray")
                axes.set_axis_off()
                if k == 0:
                    axes.set_title(f"{digit}: layer {row + 1}", fontsize=9, loc="left")
    grid = shape[1].subgridspec(1, 20)
    with mt.no_grad():
        answer = model[:2](test[:10][0])[:, 0]
    for k in range(10):
        for j, picture in enumerate((test[k][0][0], answer[k])):
            axes = fig.add_subplot(grid[0, 2 * k + j])
            axes.imshow(picture, cmap="gray")
            axes.set_axis_off()
            if k + j == 0:
                axes.set_title("ten digits, each before and after one filter", fontsize=9, loc="left")
    grid = shape[2].subgridspec(1, 10)
    for k, picture in enumerate([stripes()[0, 0], *shown]):
        axes = fig.add_subplot(grid[0, k])
        axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
        axes.set_axis_off()
        axes.set_title("style" if k == 0 else "content" if k == 1 else f"step {30 * (k - 1)}", fontsize=9)
    grid = shape[3].subgridspec(1, 2)
    plot.embedding(
        phi, labels_, classes=[str(k) for k in range(10)], title="digits' vectors", ax=fig.add_subplot(grid[0, 0])
    )
    axes = fig.add_subplot(grid[0, 1], projection="3d")
    centred = phi - phi.mean(0)
    three = (centred @ mt.linalg.svd(centred, full_matrices=False)[2][:3].t()).tolist()
    for k in range(10):
        points = [p for p, t in zip(three, labels_.tolist(), strict=True) if t == k]
        if points:
            marker, colour = MARKERS[k % len(MARKERS)], plot.COLOURS[k % len(plot.COLOURS)]
            axes.scatter(*zip(*points, strict=True), marker=marker, color=colour)
    axes.set(title="and along three, with the same marks", xlabel="first", ylabel="second", zlabel="third")
    fig.savefig(path)


def main() -> None:
    """Counts, trains, looks inside."""
    options = parser(__doc__, picture=True)
    whole = {"type": int, "metavar": "N"}
    options.add_argument("--images", default=6000, help="digits to learn from (6000 of 60000)", **whole)
    options.add_argument("--epochs", default=2, help="of the convolutional networks (2; the book's are 5)", **whole)
    options.add_argument("--dense", default=5, help="epochs of the dense networks (5; the book's are 40)", **whole)
    options.add_argument("--cifar", default=0, help="epochs on CIFAR-10 (none)", **whole)
    options.add_argument("--cats-dogs", default=0, help="epochs on cats and dogs (none; the book's are 40)", **whole)
    options.add_argument(
        "--photos", metavar="FOLDER", help="of cats and dogs: train/cats, train/dogs, test/... (CIFAR's)"
    )
    chosen = options.parse_args()
    labels()
    counts()
    train, test, name = digits(chosen.images)
    recognise(train, test, name, chosen.epochs, chosen.dense)
    model, maps = see(train, test, chosen.epochs)
    phi, some = vectors(train, test, chosen.epochs)
    shown, _ = style(model, test[int((test.labels == 4).nonzero()[0])][0][None], stripes())
    if chosen.cifar:
        cifar(chosen.cifar)
    if chosen.cats_dogs:
        cats_against_dogs(chosen.cats_dogs, chosen.photos)
    if chosen.picture:
        draw(chosen.picture, model, maps, phi, some, test, shown)
        print("drawn:", chosen.picture)


if __name__ == "__main__":
    main()
