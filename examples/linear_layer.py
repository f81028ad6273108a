"""A linear layer and its loss with forward and backward written by hand, as functions of the graph.

    python examples/linear_layer.py --picture layer.png

    prediction = X W + b,  loss = (1/q) |prediction − Y|²  over q samples in rows, and all p outputs

With G = (2/q)(prediction − Y) the gradients are G by the prediction, −G by Y, G Wᵀ by X, Xᵀ G by W and the column sums
of G by b. A mean over all q p entries, as frameworks take it, is p times smaller.

Covers TP1-scalar, TP1-batch, TP1-batch-columns, TP1-custom and TP1-train.
"""

from __future__ import annotations

from typing import Any

from common import f64, parser, table

import minitensor as mt
from minitensor import nn
from minitensor.learn import box, draw, plot


class MSE(mt.autograd.Function):
    """The sum of the squared differences over the number of samples (rows)."""

    @staticmethod
    def forward(ctx: Any, prediction: Any, y: Any) -> Any:
        """Saves both: the gradient needs their difference."""
        ctx.save_for_backward(prediction, y)
        return ((prediction - y) ** 2).sum() / len(y)

    @staticmethod
    def backward(ctx: Any, g: Any) -> tuple[Any, Any]:
        """G = (2/q)(prediction − y), times the gradient of what was made of the loss; its opposite by y."""
        prediction, y = ctx.saved_tensors
        grad = g * 2 / len(y) * (prediction - y)
        return grad, -grad


class Linear(mt.autograd.Function):
    """X W + b, samples in rows: X (q, n), W (n, p), b (1, p)."""

    @staticmethod
    def forward(ctx: Any, x: Any, w: Any, b: Any) -> Any:
        """Saves X and W."""
        ctx.save_for_backward(x, w)
        return x @ w + b

    @staticmethod
    def backward(ctx: Any, g: Any) -> tuple[Any, Any, Any]:
        """G Wᵀ, Xᵀ G, the column sums of G."""
        x, w = ctx.saved_tensors
        return g @ w.T, x.T @ g, g.sum(0, keepdim=True)


X, W, B, Y = [[1, 2], [3, 4], [5, 6]], [[0.1, -0.2], [0.3, 0.4]], [[0.5, -0.5]], [[1, 0], [0, 1], [1, 1]]


def leaves(*values: Any) -> list[Any]:
    """Tensors that ask for their gradients."""
    return [f64(v, requires_grad=True) for v in values]


def scalar(x: Any, w: Any, b: Any, y: Any) -> Any:
    """TP1-scalar: (x·w + b − y)², as two boxes."""
    with box("x·w + b"):
        prediction = (x * w).sum() + b
    with box("(ŷ − y)²"):
        return (prediction - y) ** 2


def one_sample() -> Any:
    """TP1-scalar: the graph of its two blocks."""
    given = f64([1, 2, -1]), f64([0.5, -0.25, 2]), f64(0.1), f64(1.0)
    drawing = draw(scalar, *given, names=["x", "w", "b", "y"], direction="right")
    print("one sample: what each block gives and what its backward receives and returns")
    for row in str(drawing).splitlines():
        print("  " + row)
    return drawing


def batch() -> dict[str, tuple[list[Any], list[Any], list[Any]]]:
    """TP1-batch: {name: (by the functions above, by autograd, index by index)}."""
    x, w, b, y = leaves(X, W, B, Y)
    found = mt.autograd.grad(MSE.apply(Linear.apply(x, w, b), y), (x, w, b, y))
    exact = mt.autograd.grad(((x @ w + b - y) ** 2).sum() / 3, (x, w, b, y))
    q, n, p = 3, 2, 2
    g = [[2 / q * (sum(X[i][k] * W[k][j] for k in range(n)) + B[0][j] - Y[i][j]) for j in range(p)] for i in range(q)]
    sums = {
        "X": [[sum(g[i][j] * W[k][j] for j in range(p)) for k in range(n)] for i in range(q)],
        "W": [[sum(X[i][k] * g[i][j] for i in range(q)) for j in range(p)] for k in range(n)],
        "b": [[sum(g[i][j] for i in range(q)) for j in range(p)]],
        "Y": [[-g[i][j] for j in range(p)] for i in range(q)],
    }
    print("a batch in rows: the gradients, with their shapes")
    result = {}
    for name, ours, theirs in zip(sums, found, exact, strict=True):
        result[name] = ours.tolist(), theirs.tolist(), sums[name]
        print(f"  by {name} {tuple(ours.shape)}: {[[round(v, 6) for v in row] for row in ours.tolist()]}")
    mean = mt.autograd.grad(nn.functional.mse_loss(x @ w + b, y), w)[0]
    print(f"  by W of the mean over all entries, p times smaller: {[[round(v, 6) for v in r] for r in mean.tolist()]}")
    result["mean"] = mean.tolist(), (exact[1] / p).tolist(), []
    return result


def columns() -> dict[str, tuple[list[Any], list[Any]]]:
    """TP1-batch-columns: {name: (the transposed form's gradient, that of the rows, transposed where it must be)}."""
    x, w, b, y = f64(X).T, f64(W), f64(B).T, f64(Y).T
    g = 2 / 3 * (w.T @ x + b - y)
    rows = batch()
    turned = {"X": (w @ g).T, "W": x @ g.T, "b": g.sum(1, keepdim=True).T, "Y": -g.T}
    print("samples in columns: the same, transposed")
    return {name: (value.tolist(), rows[name][0]) for name, value in turned.items()}


def checks() -> list[tuple[int, int, int, bool, bool]]:
    """TP1-custom: both functions against finite differences on random shapes, first and second order."""
    mt.manual_seed(0)
    found = []
    for q, n, p in ((1, 1, 1), (4, 3, 2), (5, 2, 6)):
        draws = [mt.randn(*shape, dtype=mt.float64).requires_grad_() for shape in ((q, n), (n, p), (1, p), (q, p))]
        whole = lambda x, w, b, y: MSE.apply(Linear.apply(x, w, b), y)  # noqa: E731
        found.append((q, n, p, mt.autograd.gradcheck(whole, draws), mt.autograd.gradgradcheck(whole, draws)))
    print("the functions against finite differences")
    table(found, ["q", "n", "p", "first order", "second order"])
    return found


def data() -> tuple[Any, Any]:
    """TP1-train: X[i, j] = sin((j + 1) i), and Y of the weights that are to be found."""
    i, j = mt.arange(50, dtype=mt.float64), mt.arange(3, dtype=mt.float64)
    x = mt.sin(i[:, None] * (j + 1))
    return x, x @ f64([[1, -2], [0.5, 0], [3, 1]]) + f64([[0.3, -0.7]])


def train(way: str, steps: int = 300, step: float = 0.1) -> tuple[list[float], Any, Any]:
    """TP1-train: (losses, W, b) with "functions", by "autograd", or with an "optimizer"."""
    x, y = data()
    w, b = (mt.zeros(*shape, dtype=mt.float64, requires_grad=True) for shape in ((3, 2), (1, 2)))
    optimizer = mt.optim.SGD([w, b], lr=step)
    losses = []
    for _ in range(steps + 1):
        optimizer.zero_grad()
        own = way == "functions"
        loss = MSE.apply(Linear.apply(x, w, b), y) if own else ((x @ w + b - y) ** 2).sum() / len(y)
        loss.backward()
        losses.append(loss.item())
        if len(losses) > steps:
            break
        if way == "optimizer":
            optimizer.step()
        else:
            with mt.no_grad():
                w -= step * w.grad
                b -= step * b.grad
    return losses, w.detach(), b.detach()


def main() -> None:
    """Prints the tables and draws the picture."""
    options = parser(__doc__, picture=True).parse_args()
    drawing = one_sample()
    columns()
    checks()
    runs = {way: train(way) for way in ("functions", "autograd", "optimizer")}
    print("300 steps of 0.1 from zeros: the loss, W row by row, b")
    table(
        [(way, losses[-1], *w.reshape(-1).tolist(), *b[0].tolist()) for way, (losses, w, b) in runs.items()], digits=5
    )
    if options.picture:
        curves = [losses for losses, _, _ in runs.values()]
        axes = plot.function(curves, list(range(301)), label=list(runs), title="TP1: the loss by step")
        axes.set(yscale="log", xlabel="step", ylabel="loss")
        graph = drawing.save(options.picture.rsplit(".", 1)[0] + "-graph.png")
        print("pictures:", plot.save(axes, options.picture), graph)


if __name__ == "__main__":
    main()
