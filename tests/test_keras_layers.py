"""The Keras face beyond chains of dense and convolutional layers: branches, recurrent layers, users' own, callbacks.

What is expected is computed here with NumPy from the formulas; the programs were compared with TensorFlow besides.
"""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from minitensor.keras import callbacks, initializers, layers, losses, metrics, models, optimizers, tf, utils
from minitensor.keras.preprocessing.text import Tokenizer


def draw(model, seed=0):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(-0.5, 0.5, w.shape) for w in model.get_weights()])
    return model


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


# --- layers -----------------------------------------------------------------------------------------------------------


def test_average_pools_count_what_is_inside():
    x = np.arange(9.0).reshape(1, 3, 3, 1)
    valid = layers.AveragePooling2D(2)(x).numpy()[0, :, :, 0]
    same = layers.AveragePooling2D(2, padding="same")(x).numpy()[0, :, :, 0]
    assert valid.tolist() == [[2.0]]
    assert same.tolist() == [[2.0, 3.5], [6.5, 8.0]]
    assert layers.AveragePooling1D(2)(np.arange(6.0).reshape(1, 6, 1)).numpy().ravel().tolist() == [0.5, 2.5, 4.5]


def test_global_pools():
    x = np.arange(12.0).reshape(1, 2, 2, 3)
    assert layers.GlobalAveragePooling2D()(x).numpy().tolist() == [[4.5, 5.5, 6.5]]
    assert layers.GlobalMaxPooling2D()(x).numpy().tolist() == [[9, 10, 11]]
    assert layers.GlobalMaxPooling1D()(x[0]).numpy().tolist() == [[3, 4, 5], [9, 10, 11]]
    assert layers.GlobalAveragePooling1D(keepdims=True)(x[0]).shape == (2, 1, 3)
    assert layers.GlobalAvgPool2D is layers.GlobalAveragePooling2D
    assert layers.MaxPool2D is layers.MaxPooling2D
    with pytest.raises(ValueError, match="expects 4 axes"):
        models.Sequential([layers.Input((3,)), layers.GlobalMaxPooling2D()])


def test_shapes_change():
    x = np.arange(6.0).reshape(1, 6)
    model = models.Sequential([
        layers.Input((6,)), layers.Reshape((2, -1, 1)), layers.UpSampling2D((1, 2)), layers.ZeroPadding2D((1, 0)),
        layers.Permute((2, 1, 3)), layers.Flatten(),
    ])  # fmt: skip
    picture = np.pad(np.repeat(x.reshape(2, 3), 2, 1), ((1, 1), (0, 0)))
    assert model.predict(x, verbose=0).tolist() == [picture.T.ravel().tolist()]
    assert model.output_shape == (None, 24)
    assert layers.LeakyReLU()([-1.0]).numpy() == pytest.approx(-0.3)


def test_batch_normalization_moves_its_means():
    model = models.Sequential([layers.Input((2,)), layers.BatchNormalization(momentum=0.9)])
    x = np.array([[1.0, 2.0], [3.0, 8.0]])
    gamma, beta, mean, variance = [2.0, 1.0], [0.5, 0.0], [1.0, 1.0], [4.0, 1.0]
    model.set_weights([gamma, beta, mean, variance])
    norm = (x - mean) / np.sqrt(np.array(variance) + 1e-3) * gamma + beta
    assert model.predict(x, verbose=0) == pytest.approx(norm, abs=1e-6)
    assert [w.name for w in model.weights] == ["gamma", "beta", "moving_mean", "moving_variance"]
    assert len(model.trainable_weights) == 2
    assert len(model.non_trainable_weights) == 2
    out = model(x, training=True).numpy()
    assert out == pytest.approx((x - x.mean(0)) / np.sqrt(x.var(0) + 1e-3) * gamma + beta, abs=1e-5)
    assert model.get_weights()[2] == pytest.approx(0.9 * np.array(mean) + 0.1 * x.mean(0))
    assert model.get_weights()[3] == pytest.approx(0.9 * np.array(variance) + 0.1 * x.var(0))
    pictures = layers.BatchNormalization()(np.ones((2, 3, 3, 4)), training=True)
    assert pictures.shape == (2, 3, 3, 4)
    assert np.abs(pictures.numpy()).max() == 0


def test_recurrent_layers_are_their_loops(rng):
    x, n = rng.standard_normal((2, 4, 3)), 5
    for kind in (layers.SimpleRNN, layers.LSTM, layers.GRU):
        model = draw(models.Sequential([layers.Input((4, 3)), kind(n, return_sequences=True)]))
        k, r, b = model.get_weights()
        h, c, outputs = np.zeros((2, n)), np.zeros((2, n)), []
        for t in range(4):
            if kind is layers.SimpleRNN:
                h = np.tanh(x[:, t] @ k + h @ r + b)
            elif kind is layers.LSTM:
                i, f, g, o = np.split(x[:, t] @ k + h @ r + b, 4, 1)
                c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
                h = sigmoid(o) * np.tanh(c)
            else:
                (z, s, g), (hz, hs, hg) = np.split(x[:, t] @ k + b[0], 3, 1), np.split(h @ r + b[1], 3, 1)
                z, s = sigmoid(z + hz), sigmoid(s + hs)
                h = z * h + (1 - z) * np.tanh(g + s * hg)
            outputs.append(h)
        assert model.predict(x, verbose=0) == pytest.approx(np.stack(outputs, 1), abs=1e-5), kind
    assert layers.LSTM(2)(np.zeros((1, 1, 1))).shape == (1, 2)
    lstm = layers.LSTM(2)
    lstm(np.zeros((1, 1, 1)))
    assert lstm.get_weights()[2].tolist() == [0, 0, 1, 1, 0, 0, 0, 0]


def test_users_own_layers_and_models():
    class Line(layers.Layer):
        def __init__(self, units, **options):
            super().__init__(**options)
            self.units = units

        def build(self, input_shape):
            self.w = self.add_weight(shape=(input_shape[-1], self.units), initializer="ones", name="w")
            self.b = self.add_weight(shape=(self.units,), initializer="zeros", name="b")

        def call(self, x):
            return tf.matmul(x, self.w) + self.b

    x, y = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0], [2.0]])
    model = models.Sequential([layers.Input((2,)), Line(3), layers.Dense(1, kernel_initializer="ones")])
    assert model.output_shape == (None, 1)
    assert model.count_params() == 13
    model.compile("sgd", "mse")
    assert model.fit(x, y, verbose=0).history["loss"] == [((9 - 1) ** 2 + (21 - 2) ** 2) / 2]

    class Own(models.Model):
        def __init__(self):
            super().__init__()
            self.inner = layers.Dense(2, activation="relu", kernel_initializer="ones")
            self.outer = layers.Dense(1, kernel_initializer="ones")

        def call(self, x, training=False):
            return self.outer(self.inner(x)) + (1.0 if training else 0.0)

    own = Own()
    own.compile(optimizers.SGD(0.001), "mse")
    before = own.fit(x, y, verbose=0).history["loss"][0]
    assert before == ((6 + 1 - 1) ** 2 + (14 + 1 - 2) ** 2) / 2
    assert len(own.trainable_variables) == 4
    assert own.predict(x, verbose=0).shape == (2, 1)


# --- branches ---------------------------------------------------------------------------------------------------------


def branching():
    a = layers.Input((4,), name="a")
    left, right = layers.Dense(3, activation="relu", name="l")(a), layers.Dense(3, name="r")(a)
    joined = layers.Concatenate(name="c")([layers.Add(name="s")([left, right]), a])
    return draw(models.Model(a, layers.Dense(1, activation="sigmoid", name="o")(joined)))


@pytest.mark.filterwarnings("ignore:h5py is not installed")
def test_branches(rng, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("COLUMNS", "80")
    model, x = branching(), rng.standard_normal((5, 4))
    k1, b1, k2, b2, k3, b3 = model.get_weights()
    joined = np.concatenate([np.maximum(x @ k1 + b1, 0) + x @ k2 + b2, x], 1)
    assert model.predict(x, verbose=0) == pytest.approx(sigmoid(joined @ k3 + b3), abs=1e-6)
    assert [layer.name for layer in model.layers] == ["a", "l", "r", "s", "c", "o"]
    model.summary()
    shown = capsys.readouterr().out
    assert "Connected to" in shown
    assert "s[0][0], a[0][0]" in shown
    assert max(map(len, shown.split("\n"))) == 76
    y = np.array([1.0, 0, 1, 0, 1])
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    p = sigmoid(joined @ k3 + b3)[:, 0]
    assert model.train_on_batch(x, y)[0] == pytest.approx(-np.log(np.where(y > 0, p, 1 - p)).mean(), rel=1e-5)
    for name in ("m.h5", "m.keras"):
        model.save(tmp_path / name)
        again = models.load_model(tmp_path / name)
        assert [layer.name for layer in again.layers] == [layer.name for layer in model.layers]
        assert np.array_equal(again.predict(x, verbose=0), model.predict(x, verbose=0))
    assert models.clone_model(model).count_params() == model.count_params()


def test_several_inputs_and_outputs(rng):
    a, b = layers.Input((2,)), layers.Input((3,))
    hidden = layers.concatenate([a, b])
    model = draw(models.Model([a, b], layers.Dense(1)(hidden)))
    x, z, y = rng.standard_normal((6, 2)), rng.standard_normal((6, 3)), rng.standard_normal((6, 1))
    k, bias = model.get_weights()
    out = np.concatenate([x, z], 1) @ k + bias
    assert model.predict([x, z], verbose=0) == pytest.approx(out, abs=1e-6)
    assert model([x, z]).numpy() == pytest.approx(out, abs=1e-6)
    model.compile("sgd", "mse")
    assert model.evaluate([x, z], y, verbose=0) == pytest.approx(((out - y) ** 2).mean(), rel=1e-5)
    first = model.fit([x, z], y, validation_split=0.5, shuffle=False, verbose=0).history["loss"][0]
    assert first == pytest.approx(((out - y)[:3] ** 2).mean(), rel=1e-5)
    both = models.Model([a, b], [hidden, model.outputs[0]])
    found = both.predict([x, z], verbose=0)
    assert [f.shape for f in found] == [(6, 5), (6, 1)]
    with pytest.raises(ValueError, match="2 inputs"):
        model.predict([x, z, z], verbose=0)
    with pytest.raises(ValueError, match="do not fit"):
        layers.Add()([a, b])


def test_default_names_of_functional_models_are_kerass():
    # Keras makes a functional model of a Sequential each time that a layer is added: each takes a name
    model = models.Sequential()
    model.add(layers.Input((2,)))
    first = models.Model(model.inputs, model.outputs).name
    for _ in range(3):
        model.add(layers.Dense(2))
    second = models.Model(model.inputs, model.outputs).name
    number = lambda name: int(name.removeprefix("functional").removeprefix("_") or 0)  # noqa: E731
    assert number(second) - number(first) == 4


# --- training ---------------------------------------------------------------------------------------------------------


def line():
    model = models.Sequential([layers.Input((1,)), layers.Dense(1)])
    model.set_weights([[[0.5]], [0.0]])
    return model


X, Y = np.linspace(0, 1, 8), 3 * np.linspace(0, 1, 8) + 1


def test_callbacks_change_the_rate(tmp_path):
    model = line()
    model.compile(optimizers.SGD(0.1), "mse")
    halve = callbacks.LearningRateScheduler(lambda epoch, rate: rate / 2)
    history = model.fit(X, Y, epochs=3, verbose=0, callbacks=[halve]).history
    assert history["learning_rate"] == pytest.approx([0.05, 0.025, 0.0125])
    assert list(history) == [
        "loss",
        "learning_rate",
    ]
    plateau = callbacks.ReduceLROnPlateau("loss", factor=0.5, patience=1, min_delta=1e9)
    assert model.fit(X, Y, epochs=3, verbose=0, callbacks=plateau).history["learning_rate"] == pytest.approx(
        [0.0125, 0.0125, 0.00625]
    )
    path = tmp_path / "{epoch}.weights.h5"
    log = callbacks.CSVLogger(tmp_path / "log.csv")
    best = callbacks.ModelCheckpoint(path, "loss", save_best_only=True, save_weights_only=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # without h5py
        model.fit(X, Y, epochs=2, verbose=0, callbacks=[best, log])
    assert sorted(p.name for p in tmp_path.glob("*.h5")) == ["1.weights.h5", "2.weights.h5"]
    assert (tmp_path / "log.csv").read_text().splitlines()[0] == "epoch,loss"


def test_regularizers_are_part_of_the_loss():
    model = models.Sequential([layers.Input((1,)), layers.Dense(1, kernel_regularizer="l2", bias_regularizer="l1")])
    model.set_weights([[[2.0]], [-3.0]])
    model.compile(optimizers.SGD(0.1), "mse")
    loss = ((2 * X - 3 - Y) ** 2).mean()
    assert model.train_on_batch(X, Y) == pytest.approx(loss + 0.01 * 4 + 0.01 * 3, rel=1e-6)
    w, b = 2 - 0.1 * ((2 * (2 * X - 3 - Y) * X).mean() + 0.04), -3 - 0.1 * ((2 * (2 * X - 3 - Y)).mean() - 0.01)
    assert [float(v.squeeze()) for v in model.get_weights()] == pytest.approx([w, b], rel=1e-6)
    with pytest.raises(ValueError, match="regularizer"):
        layers.Dense(1, kernel_regularizer="l3")


def test_schedules_and_clipping():
    decay = optimizers.schedules.ExponentialDecay(0.1, 2, 0.5, staircase=True)
    assert [decay(k) for k in range(5)] == pytest.approx([0.1, 0.1, 0.05, 0.05, 0.025])
    assert optimizers.schedules.InverseTimeDecay(0.1, 1, 0.5)(2) == pytest.approx(0.05)
    assert optimizers.schedules.CosineDecay(1.0, 4, alpha=0.2)(2) == pytest.approx(0.6)
    assert [optimizers.schedules.PiecewiseConstantDecay([1, 3], [3.0, 2.0, 1.0])(k) for k in range(5)] == [
        3,
        3,
        2,
        2,
        1,
    ]
    for options, step in (
        ({"learning_rate": decay}, lambda g: 0.1 * g),
        ({"learning_rate": 1.0, "clipvalue": 0.5}, lambda g: np.clip(g, -0.5, 0.5)),
        ({"learning_rate": 1.0, "clipnorm": 1.0}, lambda g: g / np.linalg.norm(g)),
    ):
        v = tf.Variable([0.0, 0.0])
        optimizers.SGD(**options).apply_gradients([(tf.constant([3.0, 4.0]), v)])
        assert v.numpy() == pytest.approx(-step(np.array([3.0, 4.0])), rel=1e-4)


def test_metrics_over_batches_and_losses_by_row():
    accuracy = metrics.SparseCategoricalAccuracy()
    accuracy.update_state([0, 1], [[0.9, 0.1], [0.8, 0.2]])
    accuracy.update_state([1], [[0.1, 0.9]])
    assert float(accuracy.result()) == pytest.approx(2 / 3)
    accuracy.reset_state()
    assert float(accuracy.result()) == 0
    assert metrics.BinaryAccuracy().name == "binary_accuracy"
    rows = losses.mean_squared_error([[0.0, 0.0], [1.0, 1.0]], [[1.0, 0.0], [1.0, 3.0]]).numpy()
    assert rows.tolist() == [0.5, 2.0]
    cross = losses.sparse_categorical_crossentropy([1, 0], [[0.25, 0.75], [0.5, 0.5]]).numpy()
    assert cross == pytest.approx(-np.log([0.75, 0.5]))
    model = line()
    model.compile("sgd", losses.mean_squared_error, metrics=[metrics.MeanAbsoluteError()])
    assert model.evaluate(X, Y, verbose=0) == pytest.approx(
        [((0.5 * X - Y) ** 2).mean(), np.abs(0.5 * X - Y).mean()], rel=1e-6
    )
    assert model.metrics_names == ["loss", "compile_metrics"]
    assert model.test_on_batch(X, Y) == model.evaluate(X, Y, verbose=0)


def test_numbers_are_float32s():
    model = models.Sequential([layers.Input((1,)), layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "mse", metrics=["accuracy"])
    y = np.arange(10) % 3 == 0
    value = model.evaluate(np.arange(10.0), y, verbose=0)[1]
    assert value == float(np.float32(value))


def test_initializers():
    assert initializers.Constant(3)((2, 2)).tolist() == [[3, 3], [3, 3]]
    assert np.abs(initializers.RandomUniform(-2, 2)((50, 50))).max() <= 2
    assert np.abs(initializers.TruncatedNormal(stddev=0.5)((50, 50))).max() <= 1
    assert initializers.Identity()((3, 3)).tolist() == np.eye(3).tolist()
    q = initializers.Orthogonal()((4, 4))
    assert q @ q.T == pytest.approx(np.eye(4), abs=1e-5)
    dense = layers.Dense(2, kernel_initializer=initializers.Ones)
    dense(np.zeros((1, 3)))
    assert dense.get_weights()[0].tolist() == [[1, 1]] * 3


# --- tensors and texts ------------------------------------------------------------------------------------------------


def test_tensors_are_shown_as_tensorflows():
    assert str(tf.constant([[12.0]])) == "tf.Tensor([[12.]], shape=(1, 1), dtype=float32)"
    assert str(tf.constant([[1], [2]])) == "tf.Tensor(\n[[1]\n [2]], shape=(2, 1), dtype=int32)"
    assert repr(tf.zeros((2, 3)).shape) == "TensorShape([2, 3])"
    assert f"{tf.zeros((2, 3)).shape}" == "(2, 3)"
    assert tf.Variable(1.0, name="w").name == "w:0"
    layer = layers.Dense(1, name="d", kernel_initializer="ones")
    layer(np.zeros((1, 1)))
    assert repr(layer.kernel) == "<Variable path=d/kernel, shape=(1, 1), dtype=float32, value=[[1.]]>"
    assert (layer.kernel.name, str(layer.kernel.dtype)) == ("kernel", "float32")


def test_functions_of_tensors(capsys):
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    assert tf.linalg.det(x).numpy() == pytest.approx(-2)
    assert tf.linalg.inv(x).numpy() == pytest.approx(np.linalg.inv(x.numpy()), abs=1e-6)
    assert tf.norm(x).numpy() == pytest.approx(np.sqrt(30))
    assert tf.tensordot(x, x, 2).numpy() == 30
    assert tf.einsum("ij,kj->ik", x, x).numpy().tolist() == [[5, 11], [11, 25]]
    assert tf.one_hot([1, -1], 2).numpy().tolist() == [[0, 1], [0, 0]]
    assert tf.gather([10, 20, 30], [2, 0]).numpy().tolist() == [30, 10]
    assert tf.math.reduce_std(x).numpy() == pytest.approx(np.std(x.numpy()))
    assert [t.numpy().tolist() for t in tf.split(tf.range(6), [1, 5])] == [[0], [1, 2, 3, 4, 5]]
    assert tf.sort([3, 1, 2], direction="DESCENDING").numpy().tolist() == [3, 2, 1]
    assert tf.clip_by_value([-1.0, 2.0], 0.0, 1.0).numpy().tolist() == [0, 1]
    assert not tf.reduce_all([True, False]).numpy()
    assert tf.reduce_any([True, False]).numpy()
    rows = tf.nn.softmax_cross_entropy_with_logits([[0.0, 1.0]], [[0.0, 0.0]])
    assert rows.numpy() == pytest.approx([np.log(2)])
    v = tf.Variable([1.0, 2.0])
    with tf.GradientTape() as tape:
        y = tf.stack([v[0] * v[1], v[0] ** 2])
    assert tape.jacobian(y, v).numpy().tolist() == [[2, 1], [2, 0]]
    tf.print("E", tf.constant(1.5))
    assert capsys.readouterr().err == "E 1.5\n"


def test_texts():
    words = Tokenizer(num_words=3, oov_token="?")
    words.fit_on_texts(["le chat, le chien", "le chat"])
    assert words.word_index == {"?": 1, "le": 2, "chat": 3, "chien": 4}
    assert words.texts_to_sequences(["le chat dort"]) == [[2, 1, 1]]
    assert words.texts_to_matrix(["le le"], "count").tolist() == [[0, 0, 2]]
    padded = utils.pad_sequences([[1, 2, 3], [4]], maxlen=2, padding="post", truncating="post", value=9)
    assert padded.tolist() == [[1, 2], [4, 9]]
    with pytest.raises(ValueError, match="'pre' or 'post'"):
        utils.pad_sequences([[1]], padding="left")


def test_the_order_of_pictures_is_kerass(tmp_path):
    # by NumPy's generator: Keras looks at two batches, draws two numbers for each picture, then a new order
    image = pytest.importorskip("PIL.Image")
    from minitensor.keras.preprocessing.image import ImageDataGenerator

    for k in range(10):
        (tmp_path / str(k % 2)).mkdir(exist_ok=True)
        image.new("RGB", (2, 2)).save(tmp_path / str(k % 2) / f"{k}.png")
    found = ImageDataGenerator().flow_from_directory(tmp_path, (2, 2), class_mode="binary", batch_size=4, seed=7)
    orders, batch = [], found._batch
    found._batch = lambda rows: orders.append(rows.tolist()) or batch(rows)
    model = models.Sequential([layers.Input((2, 2, 3)), layers.Flatten(), layers.Dense(1, activation="sigmoid")])
    model.compile("sgd", "binary_crossentropy")
    model.fit(found, epochs=2, verbose=0)
    np.random.seed(7 + 1)  # noqa: NPY002  # the second of the two batches
    np.random.random(2 * 4)  # noqa: NPY002
    first = np.random.permutation(10)  # noqa: NPY002
    np.random.seed(7 + 4)  # noqa: NPY002  # the fifth batch: the last of the first epoch, of two pictures
    np.random.random(2 * 2)  # noqa: NPY002
    second = np.random.permutation(10)  # noqa: NPY002
    assert sum(orders[:3], []) == first.tolist()  # noqa: RUF017
    assert sum(orders[3:], []) == second.tolist()  # noqa: RUF017
