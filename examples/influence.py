"""Which training examples help and which harm: influence functions on real digits, beside training without them.

    python examples/influence.py --picture influence.png

An example z weighs 1/n in the loss; without it the optimum moves, to first order, by H^-1 grad L(z)/n, where H is the
Hessian of the whole loss. Products with H come from forward over reverse mode, H^-1 from conjugate gradients.
P. Koh, P. Liang, "Understanding black-box predictions via influence functions", 2017.

Covers TIPS-influence (on a line through points, where the bracketed form is exact; on logistic regression and a small
convolutional network on digits, the change of a test loss) and TIPS-neumann (A + A^2 + ... by a solve, differentiated).
Needs the extra `examples`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np

import minitensor as mt
from minitensor import implicit
from minitensor.func import functional_call, grad, hessian, jvp
from minitensor.learn import plot
from minitensor.nn import functional as F


def line() -> None:
    """The line through five points, each removed in turn: predicted to first order, by the bracketed form, refitted."""
    x = mt.tensor([[1.0, 1.0], [1.0, 2.0], [1.0, 3.0], [1.0, 4.0], [1.0, 6.0]], dtype=mt.float64)
    y = mt.tensor([2.0, 2.5, 4.0, 3.5, 7.0], dtype=mt.float64)
    n = len(y)
    one = lambda theta, i: (y[i] - x[i] @ theta) ** 2  # noqa: E731
    fit = lambda x, y: mt.linalg.lstsq(x, y[:, None]).solution[:, 0]  # noqa: E731
    best = fit(x, y)
    whole = hessian(lambda t: ((y - x @ t) ** 2).mean())(best)
    print("a line: slope and intercept without each point: first order, bracketed, refitted")
    for i in range(n):
        g = grad(one)(best, i)
        first = best + mt.linalg.solve(whole, g) / n
        bracketed = best + mt.linalg.solve(whole - hessian(one)(best, i) / n, g) / n
        rest = mt.tensor([j for j in range(n) if j != i])
        pairs = [" ".join(f"{v:9.6f}" for v in t.tolist()) for t in (first, bracketed, fit(x[rest], y[rest]))]
        print(f"  {i}   " + "    ".join(pairs))


def series() -> None:
    """H^-1 g by solve, and by the series of I - H after scaling."""
    h = mt.tensor([[2.0, 0.3], [0.3, 0.5]], dtype=mt.float64)
    g = mt.tensor([1.0, -1.0], dtype=mt.float64)
    scale = 1 / mt.linalg.matrix_norm(h, 2)
    a = (mt.eye(2, dtype=mt.float64) - scale * h).requires_grad_()
    total, term = scale * g, scale * g
    for _ in range(200):
        term = a @ term
        total = total + term
    print("H^-1 g by solve and by 200 terms of the series:", mt.linalg.solve(h, g).tolist(), total.tolist())
    whole = lambda a: mt.linalg.solve(mt.eye(2, dtype=mt.float64) - a, a)  # noqa: E731
    powers = lambda a: sum((mt.linalg.matrix_power(a, k) for k in range(2, 150)), a)  # noqa: E731
    gap = grad(lambda a: whole(a).sum())(a.detach()) - grad(lambda a: powers(a).sum())(a.detach())
    print("A + A^2 + ...: largest difference of the gradients, by solve and by 149 terms:", gap.abs().max().item())


class Model:
    """A network whose parameters are one vector, and its penalised loss on weighted examples."""

    def __init__(self, net: Any, x: Any, y: Any, penalty: float) -> None:
        self.net, self.x, self.y, self.penalty = net, x, y, penalty
        self.shapes = {name: p.shape for name, p in net.named_parameters()}
        self.start = mt.cat([p.detach().reshape(-1) for p in net.parameters()])

    def logits(self, theta: Any, x: Any) -> Any:
        """The network's outputs."""
        parts = mt.split(theta, [int(np.prod(s)) for s in self.shapes.values()])
        named = {name: p.reshape(s) for (name, s), p in zip(self.shapes.items(), parts, strict=True)}
        return functional_call(self.net, named, (x,))

    def loss(self, theta: Any, weights: Any) -> Any:
        """The weighted cross-entropy and the penalty."""
        each = F.cross_entropy(self.logits(theta, self.x), self.y, reduction="none")
        return (weights * each).sum() / len(self.y) + self.penalty * (theta * theta).sum()

    def fitted(self, weights: Any, start: Any = None) -> Any:
        """The optimum, by L-BFGS."""
        f = lambda theta: self.loss(theta, weights)  # noqa: E731
        start = self.start if start is None else start
        return implicit.minimize(f, start, solver="lbfgs", tol=1e-7, max_iter=4000).detach()

    def influences(self, theta: Any, test_loss: Callable[[Any], Any], damping: float) -> tuple[Any, int]:
        """The predicted change of a test loss when each example is left out, and the number of Hessian products."""
        ones = mt.ones(len(self.y), dtype=theta.dtype)
        slope = lambda theta: grad(lambda t: self.loss(t, ones))(theta)  # noqa: E731
        products = [0]

        def product(v: Any) -> Any:
            products[0] += 1
            return jvp(slope, (theta,), (v,))[1] + damping * v

        s = conjugate_gradients(product, grad(test_loss)(theta))
        # d(sum_i w_i L_i)/dtheta . s, by the weights: all examples at once.
        along = lambda w: jvp(lambda t: self.loss(t, w), (theta,), (s,))[1]  # noqa: E731
        return grad(along)(ones), products[0]


def conjugate_gradients(product: Callable[[Any], Any], b: Any, tolerance: float = 1e-8, most: int = 400) -> Any:
    """x with A x = b, from products with A."""
    x = mt.zeros_like(b)
    r = p = b
    rr = (r @ r).item()
    for _ in range(most):
        if rr <= tolerance**2 * (b @ b).item():
            break
        ap = product(p)
        step = rr / (p @ ap).item()
        x, r = x + step * p, r - step * ap
        new = (r @ r).item()
        p, rr = r + new / rr * p, new
    return x


def digits(count: int) -> tuple[Any, Any, Any, Any]:
    """Real digits of 8 x 8 pixels: `count` to train on, some of them with a wrong label, and others to test on."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = np.random.default_rng(0).permutation(len(data.target))
    x, y = data.images[order] / 16, data.target[order].astype(np.int64)
    return mt.tensor(x[:count]), mt.tensor(y[:count]), mt.tensor(x[count:]), mt.tensor(y[count:])


def networks() -> dict[str, Any]:
    """Logistic regression, and a small convolutional network of smooth functions, in doubles; and their penalties."""
    mt.manual_seed(0)
    nn = mt.nn
    conv = nn.Sequential(
        nn.Unflatten(1, (1, 8)), nn.Conv2d(1, 4, 3, stride=2), nn.Tanh(), nn.Flatten(), nn.Linear(36, 10)
    )
    return {  # the penalty keeps the optimum of the second, which is not convex, from jumping to another
        "logistic regression": (nn.Sequential(nn.Flatten(), nn.Linear(64, 10)).double(), 1e-3),
        "convolutional network": (conv.double(), 5e-3),
    }


def study(
    name: str, net: Any, penalty: float, count: int, left_out: int
) -> tuple[list[float], list[float], Any, Any, Any]:
    """(predicted, actual) changes of a test loss for examples left out; all influences, the images and their labels."""
    x, y, x_test, y_test = digits(count)
    wrong = list(range(0, count, 40))
    y = y.clone()
    for i in wrong:
        y[i] = (y[i] + 1) % 10  # labels that are wrong should come out as harmful
    model = Model(net, x, y, penalty)
    ones = mt.ones(count, dtype=mt.float64)
    theta = model.fitted(ones)
    test_loss = lambda t: F.cross_entropy(model.logits(t, x_test), y_test)  # noqa: E731
    scores, products = model.influences(theta, test_loss, 0.0)
    ranked = scores.argsort()
    chosen = [*ranked[: left_out // 2].tolist(), *ranked[-(left_out - left_out // 2) :].tolist()]
    predicted, actual = [scores[i].item() for i in chosen], []
    before = test_loss(theta).item()
    for i in chosen:
        weights = ones.clone()
        weights[i] = 0
        actual.append(test_loss(model.fitted(weights, theta)).item() - before)
    found = len(set(ranked[: len(wrong)].tolist()) & set(wrong))
    print(f"{name}: {theta.shape[0]} weights, test loss {before:.4f}, {products} Hessian products")
    print("  left out, change of the test loss predicted and actual:")
    for i, a, b in list(zip(chosen, predicted, actual, strict=True))[:4]:
        print(f"  {i:>4} {a:>11.3e} {b:>11.3e}")
    print(f"  correlation over {left_out} examples: {np.corrcoef(predicted, actual)[0, 1]:.4f}")
    print(f"  of the {len(wrong)} wrong labels {found} are among the {len(wrong)} most harmful examples")
    return predicted, actual, ranked, x, y


def main() -> None:
    """Prints the tables and draws the picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--picture", help="file for the picture")
    parser.add_argument("--train", type=int, default=400, help="training examples")
    parser.add_argument("--left-out", type=int, default=16, help="examples to train without")
    options = parser.parse_args()
    line()
    series()
    results = {name: study(name, *net, options.train, options.left_out) for name, net in networks().items()}
    if options.picture:
        draw(options.picture, results)


def draw(path: str, results: dict[str, Any]) -> None:
    """Predicted beside actual changes, and the most harmful digits, those with a wrong label in orange."""
    fig = plot.figure(11, 6)
    top, bottom = fig.subfigures(2, 1, height_ratios=(2, 1))
    for axes, (name, (predicted, actual, *_)) in zip(top.subplots(1, 2), results.items(), strict=True):
        axes.plot(predicted, actual, "o", color=plot.BLUE)
        ends = [min(predicted + actual), max(predicted + actual)]
        axes.plot(ends, ends, color="grey", lw=0.8)
        axes.set(title=name, xlabel="predicted change of the test loss", ylabel="actual change")
    _, _, ranked, x, y = results["logistic regression"]
    bottom.suptitle("The most harmful digits of the logistic regression, with their labels (orange: wrong on purpose)")
    for axes, i in zip(bottom.subplots(1, 12), ranked[:12].tolist(), strict=True):
        axes.imshow(x[i].numpy(), cmap="gray_r")
        colour = plot.VERMILION if i % 40 == 0 else "black"
        axes.set_title(str(y[i].item()), color=colour)
        axes.set(xticks=[], yticks=[])
    fig.savefig(path)
    print("picture:", path)


if __name__ == "__main__":
    main()
