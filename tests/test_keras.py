"""The Keras face: against formulas in NumPy, numbers of tf.keras that can be worked out by hand, and files by hand."""

from __future__ import annotations

import gzip
import json
import os
import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

import minitensor as mt
from minitensor import keras
from minitensor.keras import backend as K
from minitensor.keras import callbacks, losses, optimizers, tf
from minitensor.keras.layers import (
    Activation,
    Conv1D,
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPooling1D,
    MaxPooling2D,
)
from minitensor.keras.models import Model, Sequential, load_model

DATA = Path(os.environ.get("MINITENSOR_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def sequential(*layers, **options):
    model = Sequential(**options)
    for layer in layers:
        model.add(layer)
    return model


def draw(model, rng):
    """Other weights, biases included."""
    model.set_weights([rng.standard_normal(w.shape) for w in model.get_weights()])
    return model


# --- tensors and tapes ------------------------------------------------------------------------------------------------


def test_constants_take_tensorflows_dtypes():
    kinds = {
        "float32": [1.0, [1.0, 2], np.float32(1)],
        "int32": [1, [1, 2]],
        "float64": [np.ones(2), np.float64(1), [np.float64(1)]],
        "int64": [np.arange(3)],
        "bool": [True, [True]],
    }
    for dtype, values in kinds.items():
        for value in values:
            assert tf.constant(value).dtype == dtype, value
            assert tf.Variable(value).dtype == dtype, value
    assert tf.constant(3, dtype=tf.float32).numpy() == np.float32(3)
    assert tf.cast([1.7], "int32").numpy().tolist() == [1]
    assert repr(tf.float32) == "tf.float32"
    assert np.zeros(1, tf.float32.as_numpy_dtype).dtype == np.float32
    with pytest.raises(ValueError, match="'a'"):
        tf.constant("a")


def test_tensors_behave_in_arithmetic_and_as_arrays():
    t = tf.constant([[1, 2], [3, 4]])
    assert (t / 2).dtype == "float64"
    assert (t / 2).numpy().tolist() == [[0.5, 1.0], [1.5, 2.0]]
    assert (t // 2).dtype == "int32"
    assert (2**t).numpy().tolist() == [[2, 4], [8, 16]]
    x = tf.constant([1.0, 2.0])
    for y in (x * np.array([3.0, 4.0]), np.array([3.0, 4.0]) * x):
        assert y.dtype == "float32"
        assert y.numpy().tolist() == [3.0, 8.0]
    assert (1 - x).numpy().tolist() == [0.0, -1.0]
    assert (-x + x**2).numpy().tolist() == [0.0, 2.0]
    assert (x > 1).numpy().tolist() == [False, True]
    assert [float(v) for v in x] == [1.0, 2.0]
    assert len(t) == 2
    assert isinstance(t[1, 0].numpy(), np.int32)
    array = np.arange(60).reshape(3, 4, 5)
    for index in (
        np.s_[::2, ::3],
        np.s_[::-1],
        np.s_[1, ::-2, 1:],
        np.s_[..., ::-1],
        np.s_[None, :, 3:0:-2],
        np.s_[:, 0:3:-1],
    ):
        assert tf.constant(array)[index].numpy().tolist() == array[index].tolist()
    assert np.asarray(x).tolist() == [1.0, 2.0]
    assert f"{x[0]:.2f}" == "1.00"
    assert str(t) == "tf.Tensor(\n[[1 2]\n [3 4]], shape=(2, 2), dtype=int32)"
    assert repr(tf.Variable(0.5)) == "<tf.Variable 'Variable:0' shape=() dtype=float32, numpy=0.5>"
    assert (t @ t).numpy().tolist() == [[7, 10], [15, 22]]
    assert (x == None) is False  # noqa: E711


def test_ranges_and_grids():
    assert tf.range(3).numpy().tolist() == [0, 1, 2]
    assert tf.range(3).dtype == "int32"
    assert tf.range(0, 1, 0.25).numpy().tolist() == [0, 0.25, 0.5, 0.75]
    assert tf.range(3.0).dtype == "float32"
    assert tf.linspace(0.0, 1.0, 5).numpy().tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert tf.linspace(0.0, 1.0, 3).dtype == "float32"
    x, y = tf.meshgrid(tf.range(2), tf.range(3))
    assert x.numpy().tolist() == [[0, 1]] * 3
    assert y.numpy().tolist() == [[0, 0], [1, 1], [2, 2]]
    assert tf.meshgrid(tf.range(2), tf.range(3), indexing="ij")[0].shape == (2, 3)


def test_reductions_keep_the_dtype():
    t = tf.constant([[1, 2], [3, 5]])
    assert tf.reduce_sum(t).numpy() == 11
    assert tf.reduce_sum(t).dtype == "int32"
    assert tf.reduce_mean(t).numpy() == 2  # 11 // 4
    assert tf.reduce_mean([[1.0, 2.0], [3.0, 4.0]], axis=0).numpy().tolist() == [2.0, 3.0]
    assert tf.reduce_max(t, axis=(0, 1), keepdims=True).numpy().tolist() == [[5]]
    assert tf.argmax(t).numpy().tolist() == [1, 1]
    assert K.argmax(t).numpy().tolist() == [1, 1]
    assert tf.where([True, False], tf.constant([1.0, 2.0]), 0.0).numpy().tolist() == [1.0, 0.0]
    assert tf.concat([[1.0], [2.0]], 0).numpy().tolist() == [1.0, 2.0]


def test_tape_of_watched_tensors_and_variables():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x**2
    assert y.numpy() == 9
    assert np.asarray(y) == 9
    assert tape.gradient(y, x).numpy() == 6
    with pytest.raises(RuntimeError, match="persistent"):
        tape.gradient(y, x)
    v = tf.Variable([1.0, 2.0, 3.0, 4.0])
    with tf.GradientTape() as tape:
        y = v * v
    assert tape.gradient(y, v).numpy().tolist() == [2, 4, 6, 8]
    a, b = tf.Variable(2.0), tf.Variable(3.0)
    with tf.GradientTape(persistent=True) as tape:
        z = a * b**2
    assert [g.numpy() for g in tape.gradient(z, [a, b])] == [9, 12]
    assert tape.gradient(z, {"a": a})["a"].numpy() == 9
    assert tape.gradient(z, v) is None


def test_tape_forgets_what_is_not_watched():
    x = tf.constant(3.0)
    with tf.GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x) is None
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = x * x
    with tf.GradientTape() as other:  # x is not watched by this one
        z = x * x
    assert other.gradient(z, x) is None
    assert tape.gradient(y, x).numpy() == 6
    v = tf.Variable(2.0)
    before = v * v  # outside: a value alone
    with tf.GradientTape() as tape:
        y = before * 3.0
    assert tape.gradient(y, v) is None
    with tf.GradientTape() as tape, pytest.raises(ValueError, match="constant"):
        tape.watch(np.ones(2))


def test_tapes_within_tapes():
    x = tf.Variable(2.0)
    with tf.GradientTape() as outer:
        with tf.GradientTape() as inner:
            y = x**3
        dy = inner.gradient(y, x)
    assert dy.numpy() == 12
    assert outer.gradient(dy, x).numpy() == 12
    t = tf.constant(2.0)
    with tf.GradientTape() as outer:
        outer.watch(t)
        with tf.GradientTape() as inner:
            inner.watch(t)
            y = t**3
        dy = inner.gradient(y, t)
    assert outer.gradient(dy, t).numpy() == 12


def test_variables_are_assigned_to():
    v = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = v * v
    v.assign([5.0, 6.0])
    assert tape.gradient(y, v).numpy().tolist() == [2, 4]  # of the values that were recorded
    assert v.assign_sub([1.0, 1.0]).numpy().tolist() == [4, 5]
    assert v.assign_add([1.0, 1.0]).numpy().tolist() == [5, 6]
    copy = v.numpy()
    copy[0] = 100
    assert v.numpy()[0] == 5
    with pytest.raises(ValueError, match=r"\(2,\).*\(3,\)"):
        v.assign([1.0, 2.0, 3.0])


def test_backend():
    assert isinstance(K.eval(tf.Variable(0.1)), np.float32)
    assert (K.eval(optimizers.SGD(0.5).learning_rate) * np.ones(2)).tolist() == [0.5, 0.5]
    assert K.sign(tf.constant([-2.0, 0.0])).numpy().tolist() == [-1, 0]
    assert K.maximum(tf.constant([-2.0, 3.0]), K.zeros_like(tf.constant([1.0, 1.0]))).numpy().tolist() == [0, 3]
    assert K.maximum(tf.constant([1.0]), 2).dtype == "float32"
    assert K.clip([1.0, 5.0], 2, 3).numpy().tolist() == [2, 3]
    assert K.softmax([[0.0, np.log(3.0)]]).numpy() == pytest.approx(np.array([[0.25, 0.75]]))
    assert K.dot(tf.ones((2, 3)), tf.ones((3, 1))).numpy().tolist() == [[3], [3]]
    assert (K.floatx(), K.epsilon(), K.image_data_format()) == ("float32", 1e-7, "channels_last")
    v = K.variable(1)
    K.set_value(v, 3)
    assert K.get_value(v) == 3


# --- layers -----------------------------------------------------------------------------------------------------------


def test_dense_is_x_times_kernel_plus_bias(rng):
    model = draw(sequential(Input(shape=(3,)), Dense(4, activation="relu"), Dense(2)), rng)
    a, b, c, d = [w.astype(np.float64) for w in model.get_weights()]
    assert [w.shape for w in (a, b, c, d)] == [(3, 4), (4,), (4, 2), (2,)]
    x = rng.standard_normal((5, 3))
    assert model.predict(x, verbose=0) == pytest.approx(np.maximum(x @ a + b, 0) @ c + d, rel=1e-5, abs=1e-5)
    x = rng.standard_normal((5, 6, 3))
    assert Dense(2)(x).shape == (5, 6, 2)


def by_hand(x, kernel, bias, strides, padding):
    """A convolution in loops, channels last."""
    (kh, kw), (sh, sw) = kernel.shape[:2], strides
    if padding == "same":
        high, wide = [max((-(-n // s) - 1) * s + k - n, 0) for n, s, k in zip(x.shape[1:3], strides, (kh, kw))]  # noqa: B905
        x = np.pad(x, ((0, 0), (high // 2, high - high // 2), (wide // 2, wide - wide // 2), (0, 0)))
    rows, columns = (x.shape[1] - kh) // sh + 1, (x.shape[2] - kw) // sw + 1
    out = np.zeros((len(x), rows, columns, kernel.shape[3]))
    for i in range(rows):
        for j in range(columns):
            window = x[:, i * sh : i * sh + kh, j * sw : j * sw + kw]
            out[:, i, j] = np.tensordot(window, kernel, 3) + bias
    return out


@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize(
    ("kernel", "strides"), [((3, 3), (1, 1)), ((2, 4), (1, 1)), ((3, 2), (2, 3)), ((2, 2), (2, 2))]
)
def test_conv2d_is_the_loops(rng, kernel, strides, padding):
    layer = Conv2D(5, kernel, strides=strides, padding=padding, activation="tanh")
    model = draw(sequential(Input(shape=(8, 7, 3)), layer), rng)
    x = rng.standard_normal((2, 8, 7, 3))
    k, b = model.get_weights()
    assert k.shape == (*kernel, 3, 5)
    want = np.tanh(by_hand(x, k.astype(np.float64), b, strides, padding))
    assert model.output_shape == (None, *want.shape[1:])
    assert model.predict(x, verbose=0) == pytest.approx(want, abs=1e-5)


def test_padding_same_puts_the_odd_one_at_the_end():
    model = sequential(Input(shape=(4, 4, 1)), Conv2D(1, 3, strides=2, padding="same"))
    model.set_weights([np.arange(9.0).reshape(3, 3, 1, 1), np.zeros(1)])
    assert model.predict(np.ones((1, 4, 4, 1)), verbose=0)[0, :, :, 0].tolist() == [[36, 21], [15, 8]]


def test_conv1d_and_pools(rng):
    model = draw(sequential(Input(shape=(9, 2)), Conv1D(4, 3, strides=2, padding="same")), rng)
    x = rng.standard_normal((2, 9, 2))
    k, b = model.get_weights()
    want = by_hand(x[:, None], k[None].astype(np.float64), b, (1, 2), "same")[:, 0]
    assert model.predict(x, verbose=0) == pytest.approx(want, abs=1e-5)
    x = np.arange(25.0).reshape(1, 5, 5, 1)
    assert MaxPooling2D()(x).numpy()[0, :, :, 0].tolist() == [[6, 8], [16, 18]]
    assert MaxPooling2D((2, 2), padding="same")(-x).numpy()[0, :, :, 0].tolist() == [
        [0, -2, -4],
        [-10, -12, -14],
        [-20, -22, -24],
    ]
    assert MaxPooling2D(2, strides=1)(x).shape == (1, 4, 4, 1)
    assert MaxPooling1D(3)(np.arange(7.0).reshape(1, 7, 1)).numpy().ravel().tolist() == [2, 5]


def test_flatten_is_row_major_and_leaves_rows_alone(rng):
    x = rng.standard_normal((2, 3, 4, 5)).astype(np.float32)
    model = sequential(Input(shape=(3, 4, 5)), MaxPooling2D(1), Flatten())
    assert (model.predict(x, verbose=0) == x.reshape(2, 60)).all()
    assert (Flatten()(x[:, :, 0, 0]).numpy() == x[:, :, 0, 0]).all()


def test_dropout_only_in_training():
    mt.manual_seed(0)
    x = np.ones((200, 50), np.float32)
    model = sequential(Input(shape=(50,)), Dropout(0.25))
    assert (model.predict(x, verbose=0) == x).all()
    assert (model(x).numpy() == x).all()
    y = model(x, training=True).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.75)}
    assert 0.22 < (y == 0).mean() < 0.28
    assert not model.layers[0].training
    pictures = Dropout(0.5)(np.ones((10, 8, 8, 4)), training=True).numpy()
    assert 0.4 < (pictures == 0).mean() < 0.6


def test_initial_weights():
    mt.manual_seed(0)
    model = sequential(Input(shape=(100,)), Dense(200), Dense(50, kernel_initializer="he_normal"))
    first, bias, second, _ = model.get_weights()
    bound = np.sqrt(6 / 300)
    assert bound * 0.99 < np.abs(first).max() <= bound
    assert first.std() == pytest.approx(bound / np.sqrt(3), rel=0.02)
    assert not bias.any()
    assert second.std() == pytest.approx(np.sqrt(2 / 200), rel=0.03)
    kernel = Conv2D(8, (3, 5))
    kernel.build((None, 9, 9, 4))
    bound = np.sqrt(6 / (15 * 4 + 15 * 8))
    assert bound * 0.98 < np.abs(kernel.get_weights()[0]).max() <= bound
    ones = Dense(1, kernel_initializer=np.ones, bias_initializer=lambda shape, dtype: np.full(shape, 2, dtype))
    assert ones([[1.0, 2.0]]).numpy().tolist() == [[5.0]]
    with pytest.raises(ValueError, match="golden"):
        Dense(1, kernel_initializer="golden")


def test_softmax_of_pictures_goes_along_the_channels(rng):
    x = rng.standard_normal((2, 4, 4, 3))
    y = Conv2D(5, 1, activation="softmax")(x).numpy()
    assert y.sum(-1) == pytest.approx(np.ones((2, 4, 4)), abs=1e-6)


def test_activations_of_users(rng):
    def step(x):
        return K.maximum(K.sign(x), 0)

    def mirrored(x):
        return 1 - K.maximum(K.sign(-x), K.zeros_like(x))

    for function, expected in ((step, [[0.0], [1.0]]), (mirrored, [[0.0], [1.0]])):
        model = sequential(Input(shape=(2,)), Dense(1, activation=function))
        model.set_weights([[[1.0], [1.0]], [-1.5]])
        assert model.predict(np.array([[0, 1], [1, 1]]), verbose=0).tolist() == expected
        assert model.layers[0].activation is function
        model.compile("sgd", "mse")
        before = model.get_weights()
        assert model.train_on_batch(np.array([[0, 1], [1, 1]]), np.array([1, 1])) == 0.5
        assert all((a == b).all() for a, b in zip(before, model.get_weights(), strict=True))  # sign has no slope

    model = sequential(Input(shape=(1,)), Dense(1, activation=lambda x: x**2, use_bias=False))
    model.set_weights([[[3.0]]])
    model.compile(optimizers.SGD(0.01), "mse")
    model.train_on_batch(np.ones(1), np.zeros(1))  # L = w^4, dL = 4 w^3 = 108
    assert model.get_weights()[0] == pytest.approx(np.array([[3 - 1.08]]), abs=1e-5)


def test_layers_say_what_is_wrong():
    with pytest.raises(ValueError, match="Could not interpret activation function identifier: relux"):
        Dense(3, activation="relux")
    with pytest.raises(ValueError, match=r"units.*0"):
        Dense(0)
    with pytest.raises(ValueError, match=r"Dense.*\{'unit': 3\}"):
        Dense(3, unit=3)
    with pytest.raises(ValueError, match=r"padding.*'full'"):
        Conv2D(1, 3, padding="full")
    with pytest.raises(ValueError, match=r"conv.*\(5, 5\).*\(None, 4, 4, 1\)"):
        sequential(Input(shape=(4, 4, 1)), Conv2D(1, 5, name="conv"))
    with pytest.raises(ValueError, match="rate"):
        Dropout(2)
    model = sequential(Input(shape=(3,)), Dense(2, name="first"))
    for x in (np.ones((5, 4)), np.ones((5, 2))):
        with pytest.raises(ValueError, match=rf"first.* 3 .*\(5, {x.shape[1]}\)"):
            model.predict(x, verbose=0)
    with pytest.raises(ValueError, match="first"):
        model.predict(np.ones((5, 3, 3, 3)), verbose=0)
    with pytest.raises(AttributeError, match="lonely has never been called"):
        _ = Dense(2, name="lonely").output


# --- models -----------------------------------------------------------------------------------------------------------


def test_names_are_counted_by_class():
    K.clear_session()
    model = sequential(Input(shape=(4, 4, 1)), Conv2D(1, 2), Conv2D(1, 2), MaxPooling2D(), Flatten(), Dense(1))
    assert [layer.name for layer in model.layers] == ["conv2d", "conv2d_1", "max_pooling2d", "flatten", "dense"]
    assert model.name == "sequential"
    assert model.inputs[0].name == "input_layer"
    assert Sequential().name == "sequential_1"
    assert Dense(1, name="mine").name == "mine"
    inner = Model(inputs=model.inputs, outputs=model.layers[0].output)
    assert inner.name == "functional_5"  # each `add` makes the sequential one anew, and takes a name


def test_weights_are_there_at_once_and_copied(rng):
    model = Sequential()
    model.add(Input(shape=(2,)))
    model.add(Dense(3, activation="relu"))
    model.layers[0].set_weights([np.array([[1, 2, 3], [4, 5, 6]]), [0, 1, 0]])
    weights = model.get_weights()
    assert weights[0].dtype == np.float32
    weights[0][0, 0] = 100
    assert model.get_weights()[0][0, 0] == 1
    given = np.ones((2, 3))
    model.set_weights([given, np.zeros(3)])
    given[0, 0] = 7
    assert model.get_weights()[0][0, 0] == 1
    assert [v.name for v in model.trainable_variables] == ["kernel", "bias"]
    assert model.layers[0].kernel.shape == (2, 3)
    model.layers[0].kernel.assign(np.arange(6).reshape(2, 3))
    assert model.predict(np.array([[0.0, 1.0]]), verbose=0).tolist() == [[3, 4, 5]]
    name = model.layers[0].name
    with pytest.raises(ValueError, match=rf"on layer '{name}' with a weight list of length 1, .* expecting 2 weights"):
        model.layers[0].set_weights([np.ones((2, 3))])
    with pytest.raises(ValueError, match=rf"Layer {name} weight shape \(2, 3\) is not compatible .* shape \(3, 2\)"):
        model.layers[0].set_weights([np.ones((3, 2)), np.zeros(3)])
    assert model.get_weights()[0].tolist() == [[0, 1, 2], [3, 4, 5]]  # nothing was written


def test_sequential_without_an_input_is_built_by_the_first_call():
    model = sequential(Dense(3), Dense(2))
    assert model.get_weights() == []
    assert model(np.ones((4, 5))).shape == (4, 2)
    assert [w.shape for w in model.get_weights()] == [(5, 3), (3,), (3, 2), (2,)]
    assert sequential(Dense(3, input_dim=2)).count_params() == 9
    assert sequential(Conv2D(1, 2, input_shape=(4, 4, 1))).output_shape == (None, 3, 3, 1)
    assert Sequential([Input((2,)), Dense(1)]).count_params() == 3


def test_sequential_refuses():
    model = sequential(Input(shape=(2,)), Dense(3, name="a"))
    with pytest.raises(ValueError, match="not 3"):
        model.add(3)
    with pytest.raises(ValueError, match="'a'"):
        model.add(Dense(3, name="a"))
    with pytest.raises(ValueError, match="No such layer: b"):
        model.get_layer("b")
    assert model.get_layer("a") is model.get_layer(index=0) is model.layers[-1]
    model.add(Dense(5))
    assert model.output_shape == (None, 5)
    model.pop()
    assert model.output_shape == (None, 3)
    assert len(model.get_weights()) == 2


def test_inner_layers_of_a_model(rng):
    model = draw(sequential(Input(shape=(6, 6, 1)), Conv2D(4, 3), MaxPooling2D(), Flatten(), Dense(2)), rng)
    inner = Model(inputs=model.inputs, outputs=model.layers[1].output)
    assert [type(layer).__name__ for layer in inner.layers] == ["InputLayer", "Conv2D", "MaxPooling2D"]
    assert inner.layers[1].output.shape == (None, 4, 4, 4)
    assert inner.layers[1].output.shape[-1] == 4
    x = rng.standard_normal((2, 6, 6, 1))
    k, b = model.get_weights()[:2]
    convolved = by_hand(x, k.astype(np.float64), b, (1, 1), "valid")
    pooled = convolved.reshape(2, 2, 2, 2, 2, 4).max((2, 4))
    assert inner.predict(x, verbose=0) == pytest.approx(pooled, abs=1e-5)
    model.layers[0].set_weights([0 * k, b])  # shared
    assert inner.predict(x, verbose=0)[0, 0, 0] == pytest.approx(b)
    entry = Input(shape=(3,))
    chained = Model(entry, Dense(2)(Dense(4)(entry)))
    assert chained.count_params() == 26
    with pytest.raises(ValueError, match="not computed from"):
        Model(inputs=Input(shape=(1,)), outputs=model.layers[1].output)
    with pytest.raises(ValueError, match="inputs"):
        Model(inputs=np.ones(3), outputs=model.layers[1].output)


def test_summary(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    K.clear_session()
    model = sequential(
        Input(shape=(28, 28, 1)),
        Conv2D(32, kernel_size=3, padding="same", activation="relu"),
        Conv2D(16, kernel_size=3, padding="same", activation="relu"),
        Flatten(),
        Dense(10, activation="softmax"),
    )
    assert model.summary() is None
    text = capsys.readouterr().out
    assert text.startswith('Model: "sequential"\n┏━')
    assert "│ conv2d_1 (Conv2D)               │ (None, 28, 28, 16)     │         4,624 │\n" in text
    assert "│ dense (Dense)                   │ (None, 10)             │       125,450 │\n" in text
    assert " Total params: 130,394 (509.35 KB)\n Trainable params: 130,394 (509.35 KB)\n" in text
    assert text.endswith(" Non-trainable params: 0 (0.00 B)\n")
    assert "input_layer" not in text
    Model(inputs=model.inputs, outputs=model.layers[0].output).summary()
    assert "input_layer (InputLayer)" in capsys.readouterr().out
    sequential(Dense(3)).summary()
    text = capsys.readouterr().out
    assert "│ ?" in text
    assert "0 (unbuilt)" in text
    small = sequential(Input(shape=(784,)), Dense(8), Dense(8), Dense(10))
    assert small.count_params() == 6442


@pytest.mark.parametrize(("optimizer", "kept"), [("sgd", 2), ("adam", 2 + 2 * 3), (optimizers.SGD(0.1, 0.9), 2 + 3)])
def test_summary_counts_the_optimizer_after_training(optimizer, kept, capsys):
    model = sequential(Input(shape=(2,)), Dense(1))
    model.compile(optimizer=optimizer, loss="mse")
    model.summary()
    assert "Optimizer" not in capsys.readouterr().out
    model.train_on_batch(np.ones((1, 2)), np.ones(1))
    model.summary()
    text = capsys.readouterr().out
    assert f" Optimizer params: {kept} (" in text
    assert f" Total params: {3 + kept} (" in text


# --- losses, metrics, optimizers --------------------------------------------------------------------------------------


def test_losses():
    assert float(losses.BinaryCrossentropy()([1.0], [0.0])) == pytest.approx(16.118096, abs=1e-5)
    assert float(losses.CategoricalCrossentropy()([[0, 1]], [[0.3, 0.6]])) == pytest.approx(0.40546511)
    assert float(losses.MeanSquaredError()(np.array([1.0, 2.0]), tf.constant([[2.0], [4.0]]))) == 2.5
    assert float(losses.MeanAbsoluteError()([[1.0], [2.0]], [[2.0], [4.0]])) == 1.5
    assert float(losses.SparseCategoricalCrossentropy()([1, 0], [[0.5, 0.5], [0.25, 0.75]])) == pytest.approx(
        (np.log(2) + np.log(4)) / 2
    )
    logits = np.array([[1.0, 2.0, 0.5]])
    want = np.log(np.exp(logits).sum()) - 2.0
    assert float(losses.CategoricalCrossentropy(from_logits=True)([[0, 1, 0]], logits)) == pytest.approx(want)
    with pytest.raises(ValueError, match=r"\(2, 3\).*\(2, 4\)"):
        losses.MeanSquaredError()(np.ones((2, 3)), np.ones((2, 4)))
    with pytest.raises(ValueError, match="Could not interpret loss identifier: hinges"):
        losses.get("hinges")


def test_the_gradient_of_a_clipped_loss_is_zero():
    p = tf.Variable([0.0, 0.5])
    with tf.GradientTape() as tape:
        loss = losses.BinaryCrossentropy()([1.0, 1.0], p)
    assert tape.gradient(loss, p).numpy() == pytest.approx(np.array([0.0, -1.0]))


def test_a_saturated_softmax_or_sigmoid_keeps_learning():
    model = sequential(Input(shape=(1,)), Dense(2, activation="softmax"))
    model.set_weights([[[100.0, -100.0]], [0, 0]])
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    assert model.evaluate([[1.0]], [[0.0, 1.0]], verbose=0) == [200.0, 0.0]  # -log of what softmax calls 0
    assert model.train_on_batch([[1.0]], [[0.0, 1.0]]) == [200.0, 0.0]
    assert model.get_weights()[0] == pytest.approx(np.array([[99.99, -99.99]]))
    model = sequential(Input(shape=(1,)), Dense(1), Activation("sigmoid"))
    model.set_weights([[[50.0]], [0]])
    model.compile("sgd", "binary_crossentropy")
    assert model.evaluate([1.0], [0.0], verbose=0) == 50.0


def test_a_tapes_loss_knows_the_logits_of_a_model():
    model = sequential(Input(shape=(1,)), Dense(2, activation="softmax", use_bias=False))
    model.set_weights([[[100.0, -100.0]]])
    for called in (model, model.layers[0]):
        with tf.GradientTape() as tape:
            loss = losses.CategoricalCrossentropy()([[0.0, 1.0]], called(np.ones((1, 1))))
        assert loss.numpy() == 200
        assert tape.gradient(loss, model.trainable_variables)[0].numpy().tolist() == [[1, -1]]
    assert float(losses.MeanSquaredError()([[0.0, 1.0]], model(np.ones((1, 1))))) == 1  # of the outputs, as ever


def test_accuracy_is_chosen_by_the_shapes(rng):
    model = sequential(Input(shape=(3,)), Flatten())
    model.compile("sgd", "categorical_crossentropy", metrics=["accuracy"])
    p = np.array([[0.1, 0.2, 0.7], [0.8, 0.1, 0.1], [0.3, 0.4, 0.3], [0.4, 0.3, 0.3]])
    assert model.evaluate(p, np.eye(3)[[2, 0, 1, 2]], verbose=0)[1] == 0.75
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["acc"])
    assert model.evaluate(p, np.array([2, 0, 1, 2]), verbose=0)[1] == 0.75
    assert model.evaluate(p, np.array([[2], [0], [1], [2]]), verbose=0)[1] == 0.75
    model = sequential(Input(shape=(1,)), Flatten())
    model.compile("sgd", "mean_squared_error", metrics=["accuracy", "mae"])
    got = model.evaluate(np.array([0.5, 0.6, 0.4, 1.0]), np.array([0, 1, 1, 1]), verbose=0, return_dict=True)
    assert got["accuracy"] == 0.75
    assert got["mae"] == pytest.approx((0.5 + 0.4 + 0.6 + 0) / 4)
    with pytest.raises(ValueError, match="precise"):
        model.compile("sgd", "mse", metrics=["precise"])


def steps(rule, w=1.0, count=4):
    """The weight after some steps on L = (3 w - 1)^2, by a rule of (g, t) that returns what is added."""
    for t in range(1, count + 1):
        w += rule(2 * 3 * (3 * w - 1), t)
    return w


def momentum(lr, m, nesterov=False):
    v = 0.0

    def rule(g, t):
        nonlocal v
        v = m * v - lr * g
        return m * v - lr * g if nesterov else v

    return rule


def adam(lr, b1, b2, eps):
    m = v = 0.0

    def rule(g, t):
        nonlocal m, v
        m += (1 - b1) * (g - m)
        v += (1 - b2) * (g * g - v)
        return -lr * np.sqrt(1 - b2**t) / (1 - b1**t) * m / (np.sqrt(v) + eps)

    return rule


def rms(lr, rho, m, eps):
    v = b = 0.0

    def rule(g, t):
        nonlocal v, b
        v = rho * v + (1 - rho) * g * g
        b = m * b + lr * g / np.sqrt(v + eps)
        return -b

    return rule


def adagrad(lr, a, eps):
    def rule(g, t):
        nonlocal a
        a += g * g
        return -lr * g / np.sqrt(a + eps)

    return rule


@pytest.mark.parametrize(
    ("optimizer", "rule"),
    [
        ("sgd", momentum(0.01, 0)),
        (optimizers.SGD(learning_rate=0.02, momentum=0.9), momentum(0.02, 0.9)),
        (optimizers.SGD(0.02, momentum=0.8, nesterov=True), momentum(0.02, 0.8, True)),
        ("adam", adam(0.001, 0.9, 0.999, 1e-7)),
        (optimizers.Adam(0.1, beta_1=0.5, beta_2=0.9, epsilon=0.3), adam(0.1, 0.5, 0.9, 0.3)),
        ("rmsprop", rms(0.001, 0.9, 0, 1e-7)),
        (optimizers.RMSprop(0.01, rho=0.5, momentum=0.7, epsilon=2.0), rms(0.01, 0.5, 0.7, 2.0)),
        (optimizers.Adagrad(), adagrad(0.001, 0.1, 1e-7)),
        (optimizers.Adagrad(0.1, initial_accumulator_value=1.0, epsilon=3.0), adagrad(0.1, 1.0, 3.0)),
    ],
    ids=str,
)
def test_optimizers_are_kerass_formulas(optimizer, rule):
    model = sequential(Input(shape=(1,)), Dense(1, use_bias=False))
    model.set_weights([[[1.0]]])
    model.compile(optimizer=optimizer, loss="mse")
    for _ in range(4):
        model.train_on_batch(np.array([3.0]), np.array([1.0]))
    assert model.get_weights()[0].item() == pytest.approx(steps(rule), rel=2e-6)


def test_another_rate_leaves_the_velocity_as_it_is():
    model = sequential(Input(shape=(1,)), Dense(1, use_bias=False))
    model.set_weights([[[1.0]]])
    optimizer = optimizers.SGD(0.02, momentum=0.9)
    model.compile(optimizer, "mse")
    w, v = 1.0, 0.0
    for rate in (0.02, 0.02, 0.05, 0.01, 0.01):
        optimizer.learning_rate = rate
        model.train_on_batch(np.array([3.0]), np.array([1.0]))
        v = 0.9 * v - rate * 6 * (3 * w - 1)
        w += v
        assert model.get_weights()[0].item() == pytest.approx(w, rel=1e-5)


def test_optimizers_refuse():
    with pytest.raises(ValueError, match=re.escape("Argument(s) not recognized: {'lr': 0.1}")):
        optimizers.SGD(lr=0.1)
    with pytest.warns(UserWarning, match="Argument `decay` is no longer supported and will be ignored"):
        optimizers.SGD(learning_rate=0.1, decay=1e-7)
    with pytest.raises(ValueError, match="adamant"):
        optimizers.get("adamant")
    one = optimizers.SGD(0.1)
    for _ in range(2):
        model = sequential(Input(shape=(1,)), Dense(1))
        model.compile(one, "mse")
        if _ == 0:
            model.train_on_batch([1.0], [1.0])
    with pytest.raises(ValueError, match="new optimizer"):
        model.train_on_batch([1.0], [1.0])


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


# --- files ------------------------------------------------------------------------------------------------------------


def picture_model(rng):
    model = sequential(
        Input(shape=(6, 6, 1)),
        Conv2D(3, 3, padding="same", activation="relu"),
        MaxPooling2D(),
        Dropout(0.5),
        Flatten(),
        Dense(2, activation="softmax", name="top"),
    )
    model.compile(optimizers.SGD(0.5, momentum=0.75), "categorical_crossentropy", metrics=["accuracy"])
    return draw(model, rng)


@pytest.fixture(params=["h5py", "without h5py"])
def hdf5(request, monkeypatch):
    """The files with h5py, and as if there were none."""
    if request.param == "h5py":
        pytest.importorskip("h5py", reason="HDF5 files need h5py")
        return True
    monkeypatch.setattr(keras.models.saving, "_have_h5py", lambda path: False)
    return False


@pytest.mark.parametrize("name", ["model.h5", "model.keras"])
def test_models_in_files(name, rng, tmp_path, hdf5):
    model, x = picture_model(rng), rng.standard_normal((3, 6, 6, 1))
    path = tmp_path / name
    model.save(filepath=path)
    assert path.read_bytes().startswith(b"\x89HDF") == (hdf5 and name.endswith(".h5"))
    back = load_model(str(path))
    assert type(back) is Sequential
    assert [layer.name for layer in back.layers] == [layer.name for layer in model.layers]
    assert (back.predict(x, verbose=0) == model.predict(x, verbose=0)).all()
    assert back.inputs[0].shape == (None, 6, 6, 1)
    assert back.loss == "categorical_crossentropy"
    assert (back.optimizer.momentum, K.eval(back.optimizer.learning_rate)) == (0.75, 0.5)
    assert len(back.evaluate(x, np.eye(2)[[0, 1, 0]], verbose=0)) == 2
    inner = Model(inputs=back.inputs, outputs=back.layers[1].output)
    inner.save(path)
    again = load_model(path)
    assert type(again) is Model
    assert type(again.layers[0]).__name__ == "InputLayer"
    assert (again.predict(x, verbose=0) == inner.predict(x, verbose=0)).all()
    with pytest.raises(FileExistsError, match="overwrite"):
        model.save(path, overwrite=False)


@pytest.mark.parametrize("name", ["w.weights.h5", "w.npz"])
def test_weights_in_files(name, rng, tmp_path, hdf5):
    model = picture_model(rng)
    model.save_weights(tmp_path / name)
    other = picture_model(rng)
    assert (other.get_weights()[0] != model.get_weights()[0]).any()
    other.load_weights(tmp_path / name)
    assert all((a == b).all() for a, b in zip(model.get_weights(), other.get_weights(), strict=True))
    model.save(tmp_path / "whole.keras")
    fresh = picture_model(rng)
    fresh.load_weights(tmp_path / "whole.keras")
    assert (fresh.get_weights()[2] == model.get_weights()[2]).all()
    with pytest.raises(ValueError):  # noqa: PT011
        sequential(Input(shape=(3,)), Dense(1)).load_weights(tmp_path / name)
    with pytest.raises(ValueError, match="no weights yet"):
        sequential(Dense(1)).load_weights(tmp_path / name)


def test_hdf5_files_have_kerass_layout(rng, tmp_path):
    h5py = pytest.importorskip("h5py", reason="HDF5 files need h5py")
    model = picture_model(rng)
    model.save(tmp_path / "m.h5")
    with h5py.File(tmp_path / "m.h5") as file:
        config = json.loads(file.attrs["model_config"])
        assert [layer["class_name"] for layer in config["config"]["layers"]][:2] == ["InputLayer", "Conv2D"]
        assert config["config"]["layers"][0]["config"]["batch_shape"] == [None, 6, 6, 1]
        assert json.loads(file.attrs["training_config"])["loss"] == "categorical_crossentropy"
        group = file["model_weights/top"]
        kernel, bias = group.attrs["weight_names"]
        assert (group[kernel][()] == model.get_weights()[2]).all()
        assert group[bias].shape == (2,)
        assert list(file["model_weights"].attrs["layer_names"])[-1] == "top"
    model.save_weights(tmp_path / "m.weights.h5")
    with h5py.File(tmp_path / "m.weights.h5") as file:
        assert (file["layers/conv2d/vars/0"][()] == model.get_weights()[0]).all()
        assert file["layers/dense/vars/1"].shape == (2,)
    model.save(tmp_path / "m.keras")
    with zipfile.ZipFile(tmp_path / "m.keras") as archive:
        assert set(archive.namelist()) == {"metadata.json", "config.json", "model.weights.h5"}


def test_files_of_older_keras_are_read(tmp_path):
    h5py = pytest.importorskip("h5py", reason="HDF5 files need h5py")
    described = {
        "class_name": "Dense",
        "config": {
            "name": "dense_7", "trainable": True, "batch_input_shape": [None, 2], "dtype": "float32", "units": 1,
            "activation": "tanh", "use_bias": True, "kernel_regularizer": None,
            "kernel_initializer": {"class_name": "VarianceScaling", "config": {"scale": 1.0}},
            "bias_initializer": {"class_name": "Zeros", "config": {}},
        },
    }  # fmt: skip
    with h5py.File(tmp_path / "old.h5", "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": [described]}).encode()
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [b"dense_7"]
        inner = group.create_group("dense_7")
        inner.attrs["weight_names"] = [b"dense_7/kernel:0", b"dense_7/bias:0"]
        inner["dense_7/kernel:0"] = np.array([[1.0], [2.0]], np.float32)
        inner["dense_7/bias:0"] = np.array([0.5], np.float32)
    model = load_model(tmp_path / "old.h5")
    assert model.predict([[1.0, 1.0]], verbose=0).item() == pytest.approx(np.tanh(3.5))
    assert model.optimizer is None


def test_files_that_cannot_be_read(rng, tmp_path):
    model = picture_model(rng)
    for save, name in ((model.save, "m.pt"), (model.save_weights, "m.h5")):
        with pytest.raises(ValueError, match=name):
            save(tmp_path / name)
    with pytest.raises(FileNotFoundError, match=r"absent\.h5"):
        load_model(tmp_path / "absent.h5")
    (tmp_path / "noise.h5").write_bytes(b"no file of ours")
    with pytest.raises(ValueError, match="noise"):
        load_model(tmp_path / "noise.h5")
    config = {"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": {}}]}}
    with zipfile.ZipFile(tmp_path / "lambda.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises(ValueError, match="no layer Lambda"):
        load_model(tmp_path / "lambda.keras")
    config["config"]["layers"] = [{"class_name": "Conv2D", "config": {"filters": 1, "kernel_size": 2, "groups": 3}}]
    with zipfile.ZipFile(tmp_path / "groups.keras", "w") as archive:
        archive.writestr("config.json", json.dumps(config))
    with pytest.raises(ValueError, match="groups"):
        load_model(tmp_path / "groups.keras")


def test_activations_of_users_in_files(tmp_path):
    def bell(x):
        return tf.exp(-(x**2))

    model = sequential(Input(shape=(1,)), Dense(1, activation=bell))
    model.set_weights([[[1.0]], [1.0]])
    model.compile("sgd", "mse")
    path = tmp_path / "bell.keras"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.models.saving, "_have_h5py", lambda path: False)
        model.save(path)
    with pytest.raises(ValueError, match="identifier: bell"):
        load_model(path)
    back = load_model(path, custom_objects={"bell": bell})
    assert back.predict([1.0], verbose=0).item() == pytest.approx(np.exp(-4))


def test_without_h5py_a_warning_says_what_is_written(rng, tmp_path, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "h5py" else find(name))
    with pytest.warns(UserWarning, match="h5py is not installed"):
        picture_model(rng).save(tmp_path / "m.h5")
    assert load_model(tmp_path / "m.h5").count_params() == 3 * 9 + 3 + 27 * 2 + 2


# --- data -------------------------------------------------------------------------------------------------------------


def test_to_categorical():
    to_categorical = keras.utils.to_categorical
    assert to_categorical([0, 2]).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert to_categorical(np.array([[1], [0]]), 3).tolist() == [[0, 1, 0], [1, 0, 0]]
    assert to_categorical(np.uint8([1]), num_classes=2).dtype == np.float64
    assert to_categorical([], 3).shape == (0, 3)
    with pytest.raises(ValueError, match="class 5"):
        to_categorical([5], 3)


def test_data_sets_have_kerass_shapes(tmp_path, monkeypatch):
    monkeypatch.setenv("MINITENSOR_DATA", str(tmp_path))
    for folder in ("mnist", "cifar-10-batches-bin", "imdb"):
        (tmp_path / folder).mkdir()
    for part, n in (("train", 3), ("t10k", 2)):
        header = struct.pack(">IIII", 0x803, n, 2, 2)
        pixels = bytes(range(4 * n))
        (tmp_path / f"mnist/{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(header + pixels))
        labels = struct.pack(">II", 0x801, n) + bytes(range(n))
        (tmp_path / f"mnist/{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(labels))
    (x, y), (x_test, y_test) = keras.datasets.mnist.load_data()
    assert (x.shape, x.dtype, y.shape) == ((3, 2, 2), np.uint8, (3,))
    assert x[1].tolist() == [[4, 5], [6, 7]]
    assert y.tolist() == [0, 1, 2]
    assert (x_test.shape, y_test.tolist()) == ((2, 2, 2), [0, 1])
    planes = np.arange(3)[:, None] * np.ones(1024, int) + 10  # red 10, green 11, blue 12
    record = bytes([7]) + planes.astype(np.uint8).tobytes()
    for name in ("data_batch_1.bin", "test_batch.bin"):
        (tmp_path / "cifar-10-batches-bin" / name).write_bytes(record)
    (x, y), _ = keras.datasets.cifar10.load_data()
    assert (x.shape, y.shape) == ((1, 32, 32, 3), (1, 1))
    assert x[0, 5, 6].tolist() == [10, 11, 12]
    assert y.item() == 7
    texts = ["good good film", "bad film <br /> bad", "good", "film"]
    lines = [json.dumps({"text": text, "label": i % 2}) for i, text in enumerate(texts)]
    (tmp_path / "imdb/reviews.jsonl").write_text("\n".join(lines) + "\n")
    imdb = keras.datasets.imdb
    imdb._texts.cache_clear()
    imdb._ranks.cache_clear()
    try:
        index = imdb.get_word_index()
        assert set(index) == {"good", "film", "bad"}
        assert index["bad"] == 3  # two times; the others three
        (x, y), (x_test, y_test) = imdb.load_data()
        assert (len(x), len(x_test), y.dtype) == (2, 2, np.int64)
        words = {rank + 3: word for word, rank in index.items()}
        lists = [*x, *x_test]
        assert all(numbers[0] == 1 for numbers in lists)
        read = {" ".join(words[n] for n in numbers[1:]) for numbers in lists}
        assert read == {"good good film", "bad film bad", "good", "film"}
        (x, _), (x_test, _) = imdb.load_data(num_words=6)
        assert {n for numbers in [*x, *x_test] for n in numbers} == {1, 2, 4, 5}
        with pytest.raises(ValueError, match="maxlen"):
            imdb.load_data(maxlen=1)
    finally:
        imdb._texts.cache_clear()
        imdb._ranks.cache_clear()


@pytest.mark.skipif(not (DATA / "mnist").is_dir(), reason="the data folder has no mnist")
def test_real_digits_are_learnt(monkeypatch):
    monkeypatch.setenv("MINITENSOR_DATA", str(DATA))
    (x, y), (x_test, y_test) = keras.datasets.mnist.load_data()
    assert (x.shape, x_test.shape) == ((60000, 28, 28), (10000, 28, 28))
    mt.manual_seed(0)
    model = sequential(Input(shape=(28, 28)), Flatten(), Dense(32, activation="relu"), Dense(10, activation="softmax"))
    model.compile("adam", "categorical_crossentropy", metrics=["accuracy"])
    model.fit(x[:10000] / 255, keras.utils.to_categorical(y[:10000]), epochs=3, verbose=0)
    assert model.evaluate(x_test / 255, keras.utils.to_categorical(y_test), verbose=0)[1] > 0.9


def test_the_face_is_loaded_only_when_asked_for():
    code = "import sys, minitensor; print([m for m in sys.modules if m.startswith(('minitensor.keras', 'h5py'))])"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.splitlines()[-1] == "[]"
