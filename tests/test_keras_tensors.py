"""TensorFlow's tensors, tapes, variables, and Keras' backend, against numbers of theirs worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from minitensor.keras import backend as K
from minitensor.keras import optimizers, tf

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
