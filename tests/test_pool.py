"""Pooling: known values, indices, every parameter against a plain definition, errors, high orders."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minitensor as mt
from minitensor.nn.functional import adaptive_avg_pool2d, avg_pool2d, max_pool2d

RNG = np.random.default_rng(0)


def test_known_values():
    x = mt.tensor([[[1.0, 2.0, 5.0, 0.0], [3.0, 4.0, 1.0, 2.0]]])
    y, at = max_pool2d(x, 2, return_indices=True)
    assert y.tolist() == [[[4.0, 5.0]]]
    assert at.tolist() == [[[5, 2]]]
    assert at.dtype == mt.int64
    assert avg_pool2d(x, 2).tolist() == [[[2.5, 2.0]]]
    assert avg_pool2d(x, 2, divisor_override=2).tolist() == [[[5.0, 4.0]]]
    assert avg_pool2d(x, 2, padding=1).tolist() == [[[0.25, 1.75, 0.0], [0.75, 1.25, 0.5]]]
    corners = avg_pool2d(x, 2, padding=1, count_include_pad=False)
    assert corners.tolist() == [[[1.0, 3.5, 0.0], [3.0, 2.5, 2.0]]]
    assert adaptive_avg_pool2d(x, 1).tolist() == [[[2.25]]]
    assert adaptive_avg_pool2d(x, (None, 1)).tolist() == [[[2.0], [2.5]]]


@pytest.mark.parametrize("rung", mt.cpu.RUNGS[1:])
@pytest.mark.parametrize("kernel", [2, 3, (3, 2)])
def test_the_first_of_equals_and_nan_win(rung, kernel):
    with mt.cpu.kernels(rung):
        x = mt.zeros(2, 6, 40)
        _, at = max_pool2d(x, kernel, 2, return_indices=True)
        rows, cols = np.divmod(at.numpy(), 40)
        assert (rows == 2 * np.arange(at.shape[1])[:, None]).all()
        assert (cols == 2 * np.arange(at.shape[2])).all()
        a = RNG.standard_normal((2, 6, 40)).astype(np.float32)
        a[0, 2, 5] = np.nan
        y = max_pool2d(mt.from_numpy(a), kernel, 2).numpy()
        assert np.isnan(y[0, 1, 2])
        assert not np.isnan(y[1]).any()


def plain(x, kernel, stride, padding, dilation, ceil_mode):
    """Every window of (H, W) as (start, elements inside), by the definition, for each axis."""
    windows = []
    for size, k, s, p, d in zip(x.shape, kernel, stride, padding, dilation, strict=True):
        room = size + 2 * p - d * (k - 1) - 1
        out = (-(-room // s) if ceil_mode else room // s) + 1
        if ceil_mode and (out - 1) * s >= size + p:
            out -= 1
        starts = [i * s - p for i in range(max(out, 0))]
        taps = [[t for t in range(a, a + k * d, d) if 0 <= t < size] for a in starts]
        windows.append(list(zip(starts, taps, strict=True)))
    return windows


pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@settings(max_examples=150, deadline=None)
@given(
    st.tuples(st.integers(1, 9), st.integers(1, 40)),
    pairs,
    pairs,
    st.tuples(st.integers(0, 2), st.integers(0, 2)),
    st.tuples(st.integers(1, 2), st.integers(1, 2)),
    st.booleans(),
    st.booleans(),
    st.sampled_from(mt.cpu.RUNGS),
)
def test_every_parameter(size, kernel, stride, padding, dilation, ceil_mode, padded, rung):
    assume(all(2 * p <= k for p, k in zip(padding, kernel, strict=True)))
    x = np.random.default_rng(1).permutation(size[0] * size[1]).reshape(size).astype(np.float64)
    given_ = mt.from_numpy(x[None])
    rows, cols = plain(x, kernel, stride, padding, dilation, ceil_mode)
    use = mt.cpu.use("reference") if rung == "reference" else mt.cpu.kernels(rung)
    with use:
        if not rows or not cols or not all(taps for _, taps in rows + cols):
            with pytest.raises(ValueError, match="max_pool2d"):
                max_pool2d(given_, kernel, stride, padding, dilation, ceil_mode)
            return
        y, at = max_pool2d(given_, kernel, stride, padding, dilation, ceil_mode, True)
        want = [[x[np.ix_(a, b)].max() for _, b in cols] for _, a in rows]
        assert y.tolist() == [want]
        assert (x.reshape(-1)[at.numpy()] == y.numpy()).all()
        if dilation != (1, 1):
            return
        mean = avg_pool2d(given_, kernel, stride, padding, ceil_mode, padded).numpy()[0]
    for i, (r, a) in enumerate(rows):
        for j, (c, b) in enumerate(cols):
            count = len(a) * len(b)
            if padded:
                ends = zip((r, c), kernel, size, padding, strict=True)
                h, w = [min(start + k, n + p) - start for start, k, n, p in ends]
                count = h * w
            assert mean[i, j] == pytest.approx(x[np.ix_(a, b)].sum() / count, rel=1e-12, abs=1e-12)


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (32, 33)])
@pytest.mark.parametrize("out", [1, (3, 2), (5, 7), (8, 40)])
def test_adaptive(size, out):
    x = RNG.standard_normal((2, 3, *size))
    y = adaptive_avg_pool2d(mt.from_numpy(x), out).numpy()
    h, w = (out, out) if isinstance(out, int) else out
    assert y.shape == (2, 3, h, w)
    for i in range(h):
        for j in range(w):
            rows = slice(i * size[0] // h, -(-(i + 1) * size[0] // h))
            cols = slice(j * size[1] // w, -(-(j + 1) * size[1] // w))
            np.testing.assert_allclose(y[..., i, j], x[..., rows, cols].mean((-2, -1)), rtol=1e-12)


def test_gradients_go_where_the_values_came_from():
    x = mt.from_numpy(RNG.standard_normal((2, 3, 8, 8))).requires_grad_()
    y, at = max_pool2d(x, 3, 2, 1, return_indices=True)
    g = RNG.standard_normal(y.shape)
    y.backward(mt.from_numpy(g))
    want = np.zeros((6, 64))
    np.add.at(want, (np.arange(6)[:, None], at.numpy().reshape(6, -1)), g.reshape(6, -1))
    np.testing.assert_allclose(x.grad.numpy().reshape(6, 64), want)


def test_errors():
    x = mt.zeros(1, 1, 4, 4)
    for pool in (max_pool2d, avg_pool2d):
        with pytest.raises(ValueError, match="padding 2 is more than half of the kernel size 3"):
            pool(x, 3, padding=2)
        with pytest.raises(ValueError, match=r"a window of 5 .* does not fit into a size of 4"):
            pool(x, 5)
        with pytest.raises(ValueError, match="stride 0 must be at least 1"):
            pool(x, 2, 0)
        with pytest.raises(ValueError, match="kernel_size must be one integer or two"):
            pool(x, (2, 2, 2))
        with pytest.raises(ValueError, match=r"expected \(C, H, W\)"):
            pool(mt.zeros(4, 4), 2)
        with pytest.raises(ValueError, match="nothing to pool"):
            pool(mt.zeros(1, 1, 0, 4), 2)
        with pytest.raises(ValueError, match=r"below 2\^31"):
            pool(x, 2**31)
    with pytest.raises(ValueError, match="nothing but padding"):
        max_pool2d(mt.zeros(1, 3, 3), 2, padding=1, dilation=4)
    with pytest.raises(TypeError, match="floating"):
        avg_pool2d(mt.zeros(1, 4, 4, dtype=mt.int64), 2)
    with pytest.raises(TypeError, match="expected numbers, got bool"):
        max_pool2d(mt.zeros(1, 4, 4, dtype=mt.bool), 2)
    with pytest.raises(ValueError, match="divisor_override"):
        avg_pool2d(x, 2, divisor_override=0)
    with pytest.raises(ValueError, match="output_size"):
        adaptive_avg_pool2d(x, (-1, 2))


def test_huge_windows_end():
    x = mt.tensor([[[1.0, 3.0, 2.0]]])
    assert max_pool2d(x, (1, 10**9), padding=(0, 5 * 10**8)).tolist() == [[[3.0]]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("planes", [1, 5, 37, 300])
@pytest.mark.parametrize(
    ("size", "kernel", "stride", "padding"), [(7, 2, 2, 0), (7, 3, 2, 1), (5, 3, 1, 1), (9, 2, 3, 0)]
)
def test_many_small_planes(dtype, planes, size, kernel, stride, padding):
    """Planes whose outputs fill no vector go several at a time, the last ones fewer."""
    x = np.random.default_rng(planes).standard_normal((planes, size, size)).astype(dtype)
    x[-1, 0] = -np.inf
    x[0, -1, -1] = np.nan
    windows = plain(x[0], (kernel,) * 2, (stride,) * 2, (padding,) * 2, (1, 1), False)
    images = mt.from_numpy(x).requires_grad_()
    y, at = max_pool2d(images, kernel, stride, padding, return_indices=True)
    mean = avg_pool2d(images, kernel, stride, padding, count_include_pad=False)
    g = np.random.default_rng(2).integers(1, 9, mean.shape).astype(dtype)
    (dx,) = mt.autograd.grad(mean, images, mt.from_numpy(g))
    want = np.zeros_like(x)
    for i, (_, rows) in enumerate(windows[0]):
        for j, (_, cols) in enumerate(windows[1]):
            window = x[:, rows][:, :, cols].reshape(planes, -1)
            best = window.argmax(1)
            np.testing.assert_array_equal(y[:, i, j].detach().numpy(), window[np.arange(planes), best])
            row, col = np.array(rows)[best // len(cols)], np.array(cols)[best % len(cols)]
            assert at[:, i, j].tolist() == (row * size + col).tolist()
            close = {"rtol": 1e-5, "atol": 1e-6}
            np.testing.assert_allclose(mean[:, i, j].detach().numpy(), window.mean(1), **close)
            want[:, rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1] += g[:, i, j, None, None] / window.shape[1]
    np.testing.assert_allclose(dx.numpy(), want, rtol=1e-5)


@pytest.mark.parametrize(("size", "out"), [(7, 3), (8, 3), (14, 5), (8, 5), (6, 1), (4, 4), (3, 5)])
def test_adaptive_maxima_by_equal_windows_or_not(size, out):
    x = np.random.default_rng(0).permutation(20 * size * size).reshape(20, size, size).astype(np.float32)
    y, at = mt.nn.functional.adaptive_max_pool2d(mt.from_numpy(x), out, return_indices=True)
    edges = [(i * size // out, -(-(i + 1) * size // out)) for i in range(out)]
    assert y.tolist() == [[[float(p[a:b, c:d].max()) for c, d in edges] for a, b in edges] for p in x]
    assert (np.take_along_axis(x.reshape(20, -1), at.numpy().reshape(20, -1), 1) == y.numpy().reshape(20, -1)).all()


@pytest.mark.parametrize("out", [(0, 2), (2, 0), (0, 0)])
def test_adaptive_maxima_of_no_windows(out):
    x = mt.ones(3, 5, 5, requires_grad=True)
    y, at = mt.nn.functional.adaptive_max_pool2d(x, out, return_indices=True)
    assert y.shape == at.shape == (3, *out)
    y.sum().backward()
    assert x.grad.tolist() == mt.zeros(3, 5, 5).tolist()
