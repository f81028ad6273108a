"""Models and weights in Keras' files, and its data sets."""

from __future__ import annotations

import gzip
import json
import os
import struct
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from keras_models import draw, sequential

import minitensor as mt
from minitensor import keras
from minitensor.keras import backend as K
from minitensor.keras import optimizers, tf
from minitensor.keras.layers import (
    Conv2D,
    Dense,
    Dropout,
    Flatten,
    Input,
    MaxPooling2D,
)
from minitensor.keras.models import Model, Sequential, load_model

DATA = Path(os.environ.get("MINITENSOR_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


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
