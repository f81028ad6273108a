"""The book's way to write networks (minitensor.keras): layers, weights by input, compile, fit, each optimiser's step.

    python examples/book_api.py --picture book.png

Covers K01-sequential-1-2-1, K-shortcuts and D10-api.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from approximation import staircase, target
from common import f64, parser, table
from neurons import Network, identity, picture

import minitensor as mt
from minitensor import keras
from minitensor.keras import Sequential, layers
from minitensor.learn import plot

# --- K-shortcuts: one line for each ---------------------------------------------------------------


def set_neuron(model: Any, layer: int, rank: int, coefficients: Sequence[float], bias: float) -> None:
    """Sets one neuron's weights; layers and ranks count from 0."""
    kernel, biases = model.layers[layer].get_weights()
    kernel[:, rank], biases[rank] = coefficients, bias
    model.layers[layer].set_weights([kernel, biases])


def print_weights(model: Any, layer: int) -> None:
    """The coefficients and bias of each neuron of a layer."""
    kernel, biases = model.layers[layer].get_weights()
    for rank in range(len(biases)):
        print(f"    neuron {rank}: coefficients {kernel[:, rank].tolist()}, bias {biases[rank]:g}")


def zero_weights(model: Any) -> None:
    """Puts all weights to 0."""
    model.set_weights([0 * w for w in model.get_weights()])


def evaluate(model: Any, *inputs: float) -> Any:
    """The answer to one input."""
    return np.asarray(model.predict(np.array([inputs], float), verbose=0))[0]


def values(model: Any) -> Callable[..., Any]:
    """The model as a function of tensors of one shape, one for each input: for curves, surfaces, points in space."""

    def f(*x: Any) -> Any:
        points = np.stack([np.asarray(a).ravel() for a in x], 1)
        return mt.tensor(np.asarray(model.predict(points, verbose=0))[:, 0]).reshape(np.shape(x[0]))

    return f


def dense(*sizes: int, activation: Any = "relu") -> Any:
    """A Sequential of dense layers."""
    model = Sequential([keras.Input(shape=(sizes[0],))])
    for size in sizes[1:]:
        model.add(layers.Dense(size, activation=activation))
    return model


def k01() -> tuple[Any, list[Any], Any]:
    """K01-sequential-1-2-1."""
    model = dense(1, 2, 1)
    model.set_weights([np.array(w, float) for w in ([[1, -0.5]], [-1, 1], [[1], [1]], [0])])
    weights = [np.asarray(w).tolist() for w in model.get_weights()]
    answer = np.asarray(model.predict(np.array([[3.0]]), verbose=0))
    print("K01: 1-2-1 of ReLUs, weights by input:", weights)
    print(f"  predict([[3.0]]) = {answer.tolist()}, shape {answer.shape}")
    model.summary()
    return model, weights, answer


def shortcuts() -> dict[str, Any]:
    """K-shortcuts on the networks of K02 and K05."""
    model = dense(2, 3, 1, activation="sigmoid")
    for rank, (a, b, c) in enumerate(((1, 2, -1), (3, -4, 0), (-5, -6, 1))):
        set_neuron(model, 0, rank, (a, b), c)
    set_neuron(model, 1, 0, (1, 1, 1), -3)
    print("K-shortcuts: K02, neuron by neuron")
    print_weights(model, 0)
    print_weights(model, 1)
    result = {"K02": float(evaluate(model, 7, -5)[0]), "surface": values(model)}
    print(f"  at (7, -5): {result['K02']:.6f}")
    zero_weights(model)
    result["zero"] = float(evaluate(model, 7, -5)[0])
    print(f"  all weights 0: {result['zero']:g}")
    return result


# --- D10-api --------------------------------------------------------------------------------------

STEPS: dict[str, tuple[Any, Callable[[float], float]]] = {
    # the first step of each optimiser on (w - 3)^2 from w = 1, whose gradient is g = -4, in closed form
    "SGD": (lambda: keras.optimizers.SGD(0.1), lambda g: -0.1 * g),
    "momentum": (lambda: keras.optimizers.SGD(0.1, momentum=0.9), lambda g: -0.1 * g),
    "Nesterov": (lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True), lambda g: -0.1 * g * 1.9),
    "Adagrad": (lambda: keras.optimizers.Adagrad(0.1), lambda g: -0.1 * g / math.sqrt(0.1 + g * g + 1e-7)),
    "Adadelta": (
        lambda: keras.optimizers.Adadelta(0.1, rho=0.95),
        lambda g: -0.1 * g * math.sqrt(1e-7) / math.sqrt(0.05 * g * g + 1e-7),
    ),
    "RMSprop": (lambda: keras.optimizers.RMSprop(0.1), lambda g: -0.1 * g / (math.sqrt(0.1 * g * g + 1e-7))),
    "Adam": (lambda: keras.optimizers.Adam(0.1), lambda g: -0.1 * g / (abs(g) + 1e-7 / math.sqrt(0.001) * 1)),
}


def first_steps() -> dict[str, tuple[float, float]]:
    """D10-api: one parameter, (w - 3)^2 from 1, one step; by the optimiser and in closed form."""
    result = {}
    for name, (make, step) in STEPS.items():
        model = Sequential([keras.Input(shape=(1,)), layers.Dense(1, use_bias=False)])
        model.set_weights([np.array([[1.0]])])
        model.compile(loss="mean_squared_error", optimizer=make())
        model.train_on_batch(np.array([[1.0]]), np.array([[3.0]]))
        result[name] = float(np.asarray(model.get_weights()[0])[0, 0]), 1 + step(-4.0)
    print("D10-api: the first step of each optimiser on (w - 3)^2 from 1, and in closed form")
    table([(name, *pair) for name, pair in result.items()])
    return result


def whole_api() -> dict[str, Any]:
    """D10-api: every part of it in use."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(96, 8, 8, 1)).astype("float32")
    y = (x.mean((1, 2, 3)) > 0).astype("float32")
    mt.manual_seed(0)
    model = Sequential()
    model.add(keras.Input(shape=(8, 8, 1)))
    model.add(layers.Conv2D(4, 3, padding="same", activation="relu"))
    model.add(layers.MaxPooling2D(2))
    model.add(layers.Conv2D(2, (3, 3), padding="valid", activation="tanh"))
    model.add(layers.Flatten())
    model.add(layers.Dropout(0.1))
    model.add(layers.Dense(8, activation=lambda t: t * t))
    model.add(layers.Dense(1, activation="sigmoid"))
    model.compile(loss="binary_crossentropy", optimizer="adam", metrics=["accuracy"])
    model.summary()
    print("  fit with verbose=2, batches of 32:")
    history = model.fit(x, y, batch_size=32, epochs=3, verbose=2)
    loss, accuracy = model.evaluate(x, y, verbose=0)
    shape = np.asarray(model.predict(x[:1], verbose=0)).shape
    print(f"  evaluate: loss {loss:.4f}, accuracy {accuracy:.4f}; predict gives {shape}")
    words = Sequential([keras.Input(shape=(4,)), layers.Embedding(10, 3), layers.Flatten()])
    words.add(layers.Dense(2, activation="softmax"))
    words.compile(loss="categorical_crossentropy", optimizer="sgd")
    cost = words.train_on_batch(rng.integers(0, 10, (5, 4)), np.eye(2)[[0, 1, 0, 1, 1]])
    print(f"  Embedding, softmax, categorical cross-entropy: {float(np.asarray(cost)):.6f}")
    result: dict[str, Any] = {"history": history.history}
    for loss_name in ("mean_squared_error", "mean_absolute_error", "mean_squared_logarithmic_error"):
        one = Sequential([keras.Input(shape=(1,)), layers.Dense(1, activation="linear")])
        one.set_weights([np.array([[1.0]]), np.array([0.5])])
        one.compile(loss=loss_name, optimizer="sgd")
        result[loss_name] = one.evaluate(np.array([[1.0], [2.0], [3.0]]), np.array([[1.0], [4.0], [3.0]]), verbose=0)
    print("  x + 0.5 at 1, 2, 3 against 1, 4, 3:", {k: round(float(v), 6) for k, v in result.items() if k != "history"})
    ends = {}
    for batch in (1, 2, 4):  # the mean gradient of a batch: N = 4 makes one step an epoch
        one = Sequential([keras.Input(shape=(1,)), layers.Dense(1, use_bias=False)])
        one.set_weights([np.array([[0.0]])])
        one.compile(loss="mean_squared_error", optimizer=keras.optimizers.SGD(0.1))
        one.fit(
            np.array([[1.0]] * 4),
            np.array([[1.0], [2.0], [3.0], [4.0]]),
            batch_size=batch,
            epochs=1,
            verbose=0,
            shuffle=False,
        )
        ends[batch] = float(np.asarray(one.get_weights()[0])[0, 0])
    print("  one epoch on y = 1, 2, 3, 4 by batches of 1, 2, 4:", {k: round(v, 6) for k, v in ends.items()})
    result["batches"] = ends
    with keras.tf.GradientTape() as tape:
        out = one(keras.tf.constant([[1.0]]))
        cost = keras.tf.reduce_mean((out - 2.0) ** 2)
    gradients = tape.gradient(cost, one.trainable_weights)
    result["gradient"] = float(np.asarray(gradients[0])[0, 0]), 2 * (ends[4] - 2)
    print(f"  the list of weight gradients by a tape: {result['gradient'][0]:.6f}, by hand {result['gradient'][1]:.6f}")
    print("  accuracy is only measured: it has no derivative to descend on")
    return result


def draw(path: str, model: Any, surface: Callable[..., Any]) -> None:
    """K01's curve and network, K02's surface and level lines, K07's points, K04's staircase."""
    fig = plot.figure(15, 8.4)
    shape = fig.add_gridspec(2, 3)
    axes = fig.add_subplot(shape[0, 0])
    x = mt.linspace(-2, 3, 100)
    axes.plot(x.tolist(), values(model)(x).tolist(), color=plot.BLUE)
    axes.set(title="K01: F on [−2, 3]", xlabel="x", ylabel="F(x)")
    same = Network(([(1, -1), (-0.5, 1)], mt.relu), ([(1, 1, 0)], mt.relu))
    picture(fig.add_subplot(shape[0, 1]), same, (3,), "K01 at 3")
    axes = fig.add_subplot(shape[0, 2])
    cells = staircase(target, 2, 10, 20)
    x = mt.linspace(2, 9.999, 2000, dtype=mt.float64)
    axes.plot(x.tolist(), cells(x[:, None]).tolist(), color=plot.VERMILION, label="the network")
    axes.plot(x.tolist(), target(x).tolist(), color=plot.BLUE, lw=1, label="f")
    axes.set(title="K04: a staircase of 40 neurons", xlabel="x", ylabel="y")
    axes.legend(frameon=False, loc="upper left")
    plot.surface(surface, (-5, 5), n=20, title="K02: surface", ax=fig.add_subplot(shape[1, 0], projection="3d"))
    plot.levels(surface, (-5, 5), title="K02: level lines", ax=fig.add_subplot(shape[1, 1]))
    axes = fig.add_subplot(shape[1, 2], projection="3d")
    points = f64(list(itertools.product([-5 + 10 * i / 9 for i in range(10)], repeat=3)))
    f = Network(([(1, -1, 1, -1)], mt.relu), ([(1, 0)], identity))
    value = f(points)
    dots = axes.scatter(*points[value > 0].t().tolist(), c=value[value > 0].tolist(), cmap="viridis", s=12)
    fig.colorbar(dots, ax=axes, shrink=0.6)
    axes.set(title="K07: where ReLU(x − y + z − 1) is above 0", xlabel="x", ylabel="y", zlabel="z")
    fig.savefig(path)


def main() -> None:
    """Runs all parts."""
    chosen = parser(__doc__, picture=True).parse_args()
    model, _, _ = k01()
    surface = values(dense_k02())
    shortcuts()
    first_steps()
    whole_api()
    if chosen.picture:
        draw(chosen.picture, model, surface)
        print("drawn:", chosen.picture)


def dense_k02() -> Any:
    """K02's network."""
    model = dense(2, 3, 1, activation="sigmoid")
    kernel, last = [[1, 3, -5], [2, -4, -6]], [[1], [1], [1]]
    model.set_weights([np.array(w, float) for w in (kernel, [-1, 0, 1], last, [-3])])
    return model


if __name__ == "__main__":
    main()
