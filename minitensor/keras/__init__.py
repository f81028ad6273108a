"""The small Keras face: layers, models and training under the names of tf.keras, on this engine.

A program for `tensorflow` runs unchanged by `minitensor run --as tensorflow program.py`, or after
`minitensor.compat.install("tensorflow")`. Pictures have their channels last, kernels are (height, width, in, out).

>>> from minitensor import keras
>>> model = keras.Sequential()
>>> model.add(keras.Input(shape=(2,)))
>>> model.add(keras.layers.Dense(3, activation="relu"))
>>> model.add(keras.layers.Dense(1, activation="sigmoid"))
>>> model.compile(optimizer="adam", loss="binary_crossentropy", metrics=["accuracy"])
>>> x, y = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]), np.array([0, 1, 1, 0])
>>> history = model.fit(x, y, epochs=2, verbose=0)
>>> sorted(history.history)
['accuracy', 'loss']
"""

from __future__ import annotations

from . import (
    activations,
    backend,
    callbacks,
    datasets,
    initializers,
    layers,
    losses,
    metrics,
    models,
    optimizers,
    preprocessing,
    regularizers,
    tf,
    utils,
)
from .layers import Input, Layer
from .models import Model, Sequential

__all__ = [
    "Input", "Layer", "Model", "Sequential", "activations", "backend", "callbacks", "datasets",
    "initializers", "install_as_tensorflow", "layers", "losses", "metrics", "models", "optimizers", "preprocessing",
    "regularizers", "tf", "utils",
]  # fmt: skip

__version__ = "3.10.0"  # whose names these are


def install_as_tensorflow() -> None:
    """Has `import tensorflow` and `import keras` find these modules: `minitensor.compat.install("tensorflow")`."""
    from ..compat import install

    install("tensorflow")
