"""The Keras face: against formulas in NumPy, and numbers of tf.keras that can be worked out by hand."""

from __future__ import annotations

import re

import numpy as np
import pytest
from keras_models import draw, sequential

import minitensor as mt
from minitensor.keras import backend as K
from minitensor.keras import losses, optimizers, tf
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
from minitensor.keras.models import Model, Sequential

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
