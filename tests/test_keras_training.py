"""Training with the Keras face, against the loop in NumPy; what is printed; iterators."""

from __future__ import annotations

import os
import re
import sys

import numpy as np
import pytest
from keras_models import draw, sequential

import minitensor as mt
from minitensor import keras
from minitensor.keras import backend as K
from minitensor.keras import callbacks, losses, optimizers, tf
from minitensor.keras.layers import (
    Dense,
    Flatten,
    Input,
)

# --- training ---------------------------------------------------------------------------------------------------------


def plain(weights, x, y, epochs, batch, rate):
    """Dense(4, tanh), Dense(3, softmax), categorical cross-entropy, SGD, in NumPy: (losses, accuracies, weights)."""
    a, b, c, d = [w.astype(np.float64) for w in weights]
    history = []
    for _ in range(epochs):
        loss = right = 0.0
        for i in range(0, len(x), batch):
            u, t = x[i : i + batch], y[i : i + batch]
            h = np.tanh(u @ a + b)
            z = np.exp(h @ c + d)
            p = z / z.sum(1, keepdims=True)
            loss += -(t * np.log(p)).sum()
            right += (p.argmax(1) == t.argmax(1)).sum()
            dz = (p - t) / len(u)
            dh = dz @ c.T * (1 - h * h)
            a, b, c, d = a - rate * u.T @ dh, b - rate * dh.sum(0), c - rate * h.T @ dz, d - rate * dz.sum(0)
        history.append((loss / len(x), right / len(x)))
    return np.array(history).T, [a, b, c, d]


def classifier(rng):
    model = sequential(Input(shape=(5,)), Dense(4, activation="tanh"), Dense(3, activation="softmax"))
    model.compile(optimizer="sgd", loss="categorical_crossentropy", metrics=["accuracy"])
    return draw(model, rng)


def test_fit_is_the_loop_in_numpy(rng):
    model = classifier(rng)
    x, y = rng.standard_normal((70, 5)), np.eye(3)[rng.integers(0, 3, 70)]
    (loss, accuracy), weights = plain(model.get_weights(), x, y, 5, 32, 0.01)  # 32, 32 and 6 rows
    history = model.fit(x, y, epochs=5, shuffle=False, verbose=0)
    assert list(history.history) == ["accuracy", "loss"]
    assert history.history["loss"] == pytest.approx(loss, rel=1e-5)
    assert history.history["accuracy"] == pytest.approx(accuracy, abs=1e-7)
    assert all(type(v) is float for values in history.history.values() for v in values)
    assert history.epoch == [0, 1, 2, 3, 4]
    assert history.params == {"verbose": 0, "epochs": 5, "steps": 3}
    for got, want in zip(model.get_weights(), weights, strict=True):
        assert got == pytest.approx(want, rel=1e-4, abs=1e-5)
    (loss, accuracy), _ = plain(weights, x, y, 1, 1000, 0.0)
    assert model.evaluate(x, y, verbose=0) == pytest.approx([loss[0], accuracy[0]], rel=1e-4)
    before = model.get_weights()
    (loss, accuracy), weights = plain(before, x, y, 1, 70, 0.01)
    assert model.train_on_batch(x, y) == pytest.approx([loss[0], accuracy[0]], rel=1e-4)
    assert model.get_weights()[2] == pytest.approx(weights[2], rel=1e-4, abs=1e-5)
    history = model.fit(x=x, y=y, batch_size=1000, epochs=1, verbose=0)
    assert history.params["steps"] == 1


def test_validation(rng):
    model = classifier(rng)
    x, y = rng.standard_normal((50, 5)), np.eye(3)[rng.integers(0, 3, 50)]
    history = model.fit(x, y, epochs=2, verbose=0, validation_split=0.3).history
    assert list(history) == ["accuracy", "loss", "val_accuracy", "val_loss"]
    assert model.evaluate(x[35:], y[35:], verbose=0) == pytest.approx(
        [history["val_loss"][-1], history["val_accuracy"][-1]], rel=1e-6
    )
    history = model.fit(x, y, verbose=0, validation_data=(x[:5], y[:5])).history
    assert history["val_loss"][0] == pytest.approx(model.evaluate(x[:5], y[:5], verbose=0)[0])
    with pytest.raises(ValueError, match="validation_split"):
        model.fit(x, y, validation_split=1.5)


def test_targets_without_their_last_axis():
    model = sequential(Input(shape=(1,)), Dense(1))
    model.set_weights([[[2.0]], [1.0]])
    model.compile(optimizers.SGD(0.1), "mean_squared_error")
    x, y = np.array([0.0, 1.0, 2.0]), np.array([1.0, 2.0, 3.0])  # outputs 1, 3, 5
    want = (0 + 1 + 4) / 3
    for targets in (y, y[:, None]):
        assert model.evaluate(x, targets, verbose=0) == pytest.approx(want)
    assert model.train_on_batch(x, y) == pytest.approx(want)
    # dL/dw = 2 mean(e x) = 10 / 3, dL/db = 2 mean(e) = 2
    assert model.get_weights()[0].item() == pytest.approx(2 - 1 / 3)
    assert model.get_weights()[1].item() == pytest.approx(0.8)


def test_any_dtype_of_inputs_is_float32_inside():
    model = sequential(Input(shape=(2,)), Dense(1))
    model.set_weights([[[1.0], [10.0]], [0.5]])
    for dtype in (np.float64, np.float32, np.uint8, np.int64, np.bool_):
        x = np.array([[1, 0], [0, 1]], dtype)
        out = model.predict(x, verbose=0)
        assert out.dtype == np.float32
        assert out.tolist() == [[1.5], [10.5]]
    assert type(model.predict([[1, 0]], verbose=0)) is np.ndarray
    assert model.predict(np.zeros((70, 2)), verbose=0).shape == (70, 1)
    assert model(np.array([[1, 0]])).numpy().tolist() == [[1.5]]
    pictures = sequential(Input(shape=(2, 2, 1)), Flatten())
    assert pictures.predict(np.ones((3, 2, 2)), verbose=0).shape == (3, 4)


def test_shuffle_gives_each_epoch_another_order():
    class Order(callbacks.Callback):
        def on_batch_end(self, batch, logs=None):
            seen.append(logs["loss"])

    model = sequential(Input(shape=(1,)), Dense(1))
    model.set_weights([[[1.0]], [0.0]])
    model.compile(optimizers.SGD(0.0), "mse")
    x = np.arange(8.0)
    for shuffle, orders in ((False, 1), (True, 3)):
        seen: list[float] = []
        mt.manual_seed(0)
        model.fit(x, 0 * x, batch_size=1, epochs=3, shuffle=shuffle, verbose=0, callbacks=[Order()])
        epochs = [tuple(seen[i : i + 8]) for i in (0, 8, 16)]
        assert len(set(epochs)) == orders
        assert {tuple(sorted(epoch)) for epoch in epochs} == {tuple(x**2)}


def test_compiling_again_keeps_the_weights_and_begins_the_optimizer_anew(rng):
    model = classifier(rng)
    x, y = rng.standard_normal((20, 5)), np.eye(3)[rng.integers(0, 3, 20)]
    with pytest.raises(ValueError, match="You must call `compile"):
        sequential(Input(shape=(1,)), Dense(1)).fit([1.0], [1.0])
    model.compile(optimizer="adam", loss="mse")
    first = model.optimizer
    model.fit(x, y, verbose=0)
    weights = model.get_weights()
    model.compile(optimizer="adam", loss="mse")
    assert model.optimizer is not first
    assert model.optimizer.iterations == 0
    assert all((a == b).all() for a, b in zip(weights, model.get_weights(), strict=True))
    model.compile(optimizer="sgd")
    with pytest.raises(ValueError, match="loss"):
        model.fit(x, y, verbose=0)
    with pytest.raises(ValueError, match=r"20.*19"):
        classifier(rng).fit(x, y[:19], verbose=0)


def test_losses_and_metrics_of_users(rng):
    def cubic(y_true, y_pred):
        return K.mean(K.abs(y_true - y_pred) ** 3, axis=-1)

    model = sequential(Input(shape=(1,)), Dense(1, use_bias=False))
    model.set_weights([[[3.0]]])
    model.compile(optimizers.SGD(0.01), cubic, metrics=[cubic])
    assert model.train_on_batch([1.0], [1.0]) == [8.0, 8.0]
    assert model.metrics_names == ["loss", "compile_metrics"]
    assert model.get_weights()[0].item() == pytest.approx(3 - 0.01 * 3 * 4)


def test_the_tape_differentiates_a_model_in_kerass_shapes(rng):
    model = draw(sequential(Input(shape=(2,)), Dense(3), Dense(1)), rng)
    x, y = rng.standard_normal((4, 2)), rng.standard_normal((4, 1))
    a, b, c, d = [w.astype(np.float64) for w in model.get_weights()]
    with tf.GradientTape() as tape:
        loss = losses.MeanSquaredError()(y, model(x))
    got = tape.gradient(loss, model.trainable_variables)
    h = x @ a + b
    g = 2 * (h @ c + d - y) / 4
    want = [x.T @ (g @ c.T), (g @ c.T).sum(0), h.T @ g, g.sum(0)]
    for grad, expected in zip(got, want, strict=True):
        assert grad.shape == expected.shape
        assert grad.numpy() == pytest.approx(expected, rel=1e-4, abs=1e-5)
    optimizers.SGD(0.1).apply_gradients(zip(got, model.trainable_variables, strict=True))
    assert model.get_weights()[0] == pytest.approx(a - 0.1 * want[0], rel=1e-4, abs=1e-5)


def test_frozen_layers_stay(rng):
    model = draw(sequential(Input(shape=(2,)), Dense(3), Dense(1)), rng)
    model.layers[0].trainable = False
    model.compile("sgd", "mse")
    before = model.get_weights()
    model.fit(np.ones((4, 2)), np.ones(4), verbose=0)
    after = model.get_weights()
    assert [bool((a == b).all()) for a, b in zip(before, after, strict=True)] == [True, True, False, False]
    assert len(model.trainable_weights) == 2


def test_callbacks():
    model = sequential(Input(shape=(1,)), Dense(1))
    model.compile("sgd", "mse")
    events = []
    logger = callbacks.LambdaCallback(on_epoch_begin=lambda epoch, logs=None: events.append(epoch))
    stop = callbacks.EarlyStopping(monitor="loss", min_delta=100, patience=2)
    history = model.fit(np.ones(4), np.ones(4), epochs=10, verbose=0, callbacks=[logger, stop])
    assert events == history.epoch == [0, 1, 2]
    assert history.model is model
    with pytest.raises(ValueError, match="on_tea"):
        callbacks.LambdaCallback(on_tea=print)


# --- what is printed --------------------------------------------------------------------------------------------------


def test_what_is_printed(capsys, rng):
    model = classifier(rng)
    x, y = rng.standard_normal((64, 5)), np.eye(3)[rng.integers(0, 3, 64)]
    number, time = r"\d\.\d{4}(e-\d\d)?", r"\d+s \d+[mu]?s/step"
    bar = "━" * 20
    model.fit(x, y, epochs=2)
    want = "".join(f"Epoch {i}/2\n2/2 {bar} {time} - accuracy: {number} - loss: {number}\n" for i in (1, 2))
    assert re.fullmatch(want, capsys.readouterr().out)
    model.fit(x, y, verbose=2, validation_split=0.5)
    numbers = "".join(f" - {name}: {number}" for name in ("accuracy", "loss", "val_accuracy", "val_loss"))
    assert re.fullmatch(f"1/1 - {time.replace(' ', ' - ')}{numbers}\n", capsys.readouterr().out)
    model.evaluate(x, y)
    assert re.fullmatch(f"2/2 {bar} {time} - accuracy: {number} - loss: {number}\n", capsys.readouterr().out)
    model.predict(x[:1])
    assert re.fullmatch(f"1/1 {bar} {time}\n", capsys.readouterr().out)
    model.fit(x, y, verbose=0)
    model.train_on_batch(x, y)
    assert capsys.readouterr().out == ""


def test_small_numbers_are_printed_in_powers_of_ten(capsys):
    model = sequential(Input(shape=(1,)), Dense(1, use_bias=False))
    model.set_weights([[[0.01]]])
    model.compile("sgd", "mse")
    model.evaluate([1.0], [0.0], verbose=2)
    assert " - loss: 1.0000e-04\n" in capsys.readouterr().out


def test_on_a_terminal_the_line_is_drawn_again(rng, monkeypatch):
    import io

    class Terminal(io.StringIO):
        encoding = "utf-8"

        def isatty(self):
            return True

    out = Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(callbacks.Bar, "pause", 0.0)
    monkeypatch.setenv("COLUMNS", "100")
    classifier(rng).fit(np.ones((96, 5)), np.eye(3)[[0] * 96])
    lines = out.getvalue().split("\r")
    assert len(lines) == 5  # nothing before, three batches, the end
    assert lines[1].startswith("1/3 ━━━━━━──")
    assert lines[-1].startswith("3/3 " + "━" * 20)


# --- iterators --------------------------------------------------------------------------------------------------------


def test_fit_takes_batches(rng):
    model = classifier(rng)
    x, y = rng.standard_normal((40, 5)), np.eye(3)[rng.integers(0, 3, 40)]
    weights = model.get_weights()

    class Pairs:
        ended = 0

        def __len__(self):
            return 4

        def __getitem__(self, k):
            return x[k * 10 : (k + 1) * 10], y[k * 10 : (k + 1) * 10]

        def on_epoch_end(self):
            self.ended += 1

    pairs = Pairs()
    history = model.fit(pairs, epochs=2, verbose=0)
    want, _ = plain(weights, x, y, 2, 10, 0.01)
    assert history.history["loss"] == pytest.approx(want[0], rel=1e-5)
    assert history.params["steps"] == 4
    assert pairs.ended == 2
    assert model.evaluate(pairs, verbose=0) == pytest.approx(model.evaluate(x, y, verbose=0), rel=1e-5)
    assert model.predict(pairs, verbose=0) == pytest.approx(model.predict(x, verbose=0), abs=1e-6)
    with pytest.warns(UserWarning, match="after 4 of 6"):
        model.fit(pairs, steps_per_epoch=6, verbose=0)
    assert model.fit(x, y, batch_size=10, steps_per_epoch=2, verbose=0).params["steps"] == 2

    def forever():
        while True:
            yield x[:10], y[:10]

    assert model.fit(forever(), steps_per_epoch=3, epochs=2, verbose=0).epoch == [0, 1]
    with pytest.warns(UserWarning, match="after 1 of 2"):
        once = model.fit(iter([(x, y)] * 3), steps_per_epoch=2, epochs=5, verbose=0)
    assert once.epoch == [0, 1]


def test_pictures_in_folders(tmp_path, capsys):
    Image = pytest.importorskip("PIL.Image", reason="Pillow reads pictures")
    for folder, grey, count in (("dog", 200, 3), ("cat", 50, 4)):
        (tmp_path / folder).mkdir()
        for i in range(count):
            pixels = np.full((6, 4, 3), grey + i, np.uint8)
            pixels[:3, :2] = 0
            Image.fromarray(pixels).save(tmp_path / folder / f"{i}.png")
    (tmp_path / "cat" / "notes.txt").write_text("not a picture")
    generator = keras.preprocessing.image.ImageDataGenerator(rescale=1.0 / 255)
    flow = generator.flow_from_directory(tmp_path, (3, 2), class_mode="binary", batch_size=3, shuffle=False)
    assert capsys.readouterr().out == "Found 7 images belonging to 2 classes.\n"
    assert flow.class_indices == {"cat": 0, "dog": 1}
    assert (flow.samples, flow.n, len(flow), flow.image_shape) == (7, 7, 3, (3, 2, 3))
    assert flow.filenames[0] == os.path.join("cat", "0.png")
    x, y = flow[1]
    assert x.dtype == y.dtype == np.float32
    assert x.shape == (3, 3, 2, 3)
    assert y.tolist() == [0, 1, 1]
    assert x[0, :, :, 0] == pytest.approx(np.array([[0, 53], [53, 53], [53, 53]]) / 255)
    assert [len(y) for _, y in (next(flow) for _ in range(4))] == [3, 3, 1, 3]
    assert flow.next()[1].tolist() == [0, 1, 1]
    with pytest.raises(IndexError):
        flow[3]
    one_hot = generator.flow_from_directory(tmp_path, (3, 2), batch_size=7, shuffle=False)
    assert one_hot[0][1].tolist() == [[1, 0]] * 4 + [[0, 1]] * 3
    mixed = generator.flow_from_directory(tmp_path, (3, 2), class_mode="binary", batch_size=7, seed=5)
    np.random.seed(5)  # noqa: NPY002
    order = np.random.permutation(7)  # noqa: NPY002
    assert next(mixed)[1].tolist() == np.array([0, 0, 0, 0, 1, 1, 1])[order].tolist()
    grey = generator.flow_from_directory(tmp_path, (6, 4), color_mode="grayscale", class_mode=None)
    assert grey[0].shape == (7, 6, 4, 1)
    model = sequential(Input(shape=(3, 2, 3)), Flatten(), Dense(1, activation="sigmoid"))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    history = model.fit(flow, epochs=2, verbose=0, validation_data=flow)
    assert len(history.history["val_accuracy"]) == 2
    assert model.predict(flow, verbose=0).shape == (7, 1)
    with pytest.raises(ValueError, match="sepia"):
        generator.flow_from_directory(tmp_path, color_mode="sepia")
