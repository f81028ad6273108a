"""Convolution and its relatives: gradients of every argument, exactness, modes of padding, errors."""

import numpy as np
import pytest
from checks import check, leaves
from hypothesis import given, settings
from hypothesis import strategies as st

import minitensor as mt
from minitensor.errors import DtypeError, ShapeError
from minitensor.nn.functional import conv2d, conv_transpose2d, fold, unfold


@pytest.mark.parametrize(
    ("x", "w", "options"),
    [
        ((2, 2, 4, 5), (3, 2, 2, 3), {}),
        ((1, 2, 5, 5), (2, 2, 3, 3), {"stride": 2, "padding": 1}),
        ((1, 1, 6, 5), (2, 1, 2, 2), {"stride": (2, 1), "padding": (0, 2), "dilation": (3, 2)}),
        ((1, 4, 3, 3), (4, 2, 2, 2), {"groups": 2, "padding": 1}),
        ((2, 3, 4, 4), (6, 1, 3, 3), {"groups": 3, "padding": "same"}),
        ((2, 2, 4, 3), (2, 2, 2, 4), {"padding": "same"}),
        ((2, 3, 4), (2, 2, 2, 2), {"padding": "valid"}),
    ],
)
def test_gradients(x, w, options):
    args = leaves(np.random.default_rng(0), x, w, w[:1])
    check(lambda a, b, c: conv2d(a, b, c, **options), *args)
    check(lambda a, b: conv2d(a, b, **options), *args[:2])


@pytest.mark.parametrize(
    ("x", "w", "options"),
    [
        ((2, 2, 3, 4), (2, 3, 2, 3), {}),
        ((1, 2, 3, 3), (2, 2, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1}),
        ((1, 4, 2, 3), (4, 1, 2, 2), {"groups": 2, "stride": (1, 3)}),
        ((1, 1, 2, 2), (1, 2, 2, 2), {"dilation": 3, "output_padding": 2}),
        ((1, 2, 2), (1, 2, 2, 2), {}),
    ],
)
def test_transposed_gradients(x, w, options):
    args = leaves(np.random.default_rng(1), x, w, (w[1] * options.get("groups", 1),))
    check(lambda a, b, c: conv_transpose2d(a, b, c, **options), *args)


def test_transposed_is_the_transpose():
    """<conv2d(x, w), y> = <x, conv_transpose2d(y, w)>."""
    rng = np.random.default_rng(2)
    options = {"stride": 2, "padding": 1, "dilation": 2}
    x, w = (mt.from_numpy(rng.standard_normal(s)) for s in ((2, 4, 9, 8), (6, 2, 3, 2)))
    y = conv2d(x, w, groups=2, **options)
    u = mt.from_numpy(rng.standard_normal(tuple(y.shape)))
    back = conv_transpose2d(u, w, groups=2, output_padding=(0, 1), **options)
    assert back.shape == x.shape
    assert (y * u).sum().item() == pytest.approx((x * back).sum().item())


def plain(x, w, stride, padding, dilation, groups):
    """The definition, term by term."""
    n, c, h, width = x.shape
    o, per, kh, kw = w.shape
    (sh, sw), (ph, pw), (dh, dw) = stride, padding, dilation
    oh = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    ow = (width + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    big = np.zeros((n, c, h + 2 * ph, width + 2 * pw), x.dtype)
    big[:, :, ph : ph + h, pw : pw + width] = x
    y = np.zeros((n, o, oh, ow), x.dtype)
    for k in range(o):
        first = k // (o // groups) * per
        for i in range(per):
            for a in range(kh):
                for b in range(kw):
                    rows = slice(a * dh, a * dh + sh * (oh - 1) + 1, sh)
                    columns = slice(b * dw, b * dw + sw * (ow - 1) + 1, sw)
                    y[:, k] += w[k, i, a, b] * big[:, first + i, rows, columns]
    return y


pairs = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(
    batch=st.sampled_from([0, 1, 2, 9]),
    size=st.tuples(st.integers(1, 12), st.integers(1, 20)),
    kernel=pairs,
    stride=pairs,
    dilation=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    groups=st.integers(1, 3),
    channels=st.integers(1, 3),
    outputs=st.integers(1, 12),
    seed=st.integers(0, 99),
)
@settings(max_examples=80, deadline=None)
def test_any_geometry_is_exact(batch, size, kernel, stride, dilation, padding, groups, channels, outputs, seed):
    """Forward and both gradients on powers of two, which round nowhere."""
    rng = np.random.default_rng(seed)
    size = tuple(max(n, d * (k - 1) + 1 - 2 * p, 1) for n, k, d, p in zip(size, kernel, dilation, padding, strict=True))
    values = [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0]
    x = rng.choice(values, (batch, channels * groups, *size)).astype(np.float32)
    w = rng.choice(values, (outputs * groups, channels, *kernel)).astype(np.float32)
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    a, b = mt.from_numpy(x).requires_grad_(), mt.from_numpy(w).requires_grad_()
    y = conv2d(a, b, **options)
    want = plain(x, w, stride, padding, dilation, groups)
    np.testing.assert_array_equal(y.detach().numpy(), want)
    g = rng.choice(values, want.shape).astype(np.float32)
    y.backward(mt.from_numpy(g))
    # <g, y> is linear in x and in w: the gradients are its coefficients.
    for tensor, array, at in ((a, x, 0), (b, w, 1)):
        direction = rng.choice(values, array.shape).astype(np.float32)
        moved = plain(*((direction, w) if at == 0 else (x, direction)), stride, padding, dilation, groups)
        have = (tensor.grad.numpy().astype(np.float64) * direction).sum()
        assert have == (g.astype(np.float64) * moved).sum()


@pytest.mark.parametrize(
    ("x", "w", "options"),
    [
        ((8, 6, 14, 14), (16, 6, 5, 5), {}),
        ((1, 40, 30, 31), (70, 40, 3, 3), {"padding": 1}),
        ((3, 300, 7, 7), (200, 300, 3, 3), {"padding": 1}),
        ((9, 24, 20, 20), (24, 1, 3, 3), {"stride": 2, "padding": 1, "groups": 24}),
        ((40, 64, 7, 7), (64, 1, 3, 3), {"padding": 1, "groups": 64}),
        ((1, 128, 20, 20), (96, 128, 1, 1), {}),
        ((3, 32, 17, 19), (48, 32, 5, 5), {"padding": 2}),
        ((5, 64, 9, 9), (64, 32, 3, 3), {"stride": 2, "padding": 1, "groups": 2}),
    ],
)
def test_same_bits_for_any_threads(x, w, options):
    rng = np.random.default_rng(4)
    a = rng.standard_normal(x).astype(np.float32)
    b = rng.standard_normal(w).astype(np.float32)
    before = mt.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 3, 8):
            mt.set_num_threads(threads)
            p, q = mt.from_numpy(a).requires_grad_(), mt.from_numpy(b).requires_grad_()
            y = conv2d(p, q, **options)
            (y * y).sum().backward()
            found.append([y.detach().numpy(), p.grad.numpy(), q.grad.numpy()])
    finally:
        mt.set_num_threads(before)
    for results in found[1:]:
        for have, want in zip(results, found[0], strict=True):
            np.testing.assert_array_equal(have, want)


@pytest.mark.parametrize("isa", mt.cpu.isas())
@pytest.mark.parametrize(
    ("x", "w", "options"),
    [
        ((2, 16, 9, 31), (32, 16, 5, 5), {"padding": 2}),
        ((3, 24, 8, 8), (40, 24, 3, 3), {"stride": 2, "padding": 1}),
        ((1, 32, 30, 15), (33, 32, 7, 7), {"padding": 3}),
        ((2, 16, 28, 28), (16, 16, 3, 3), {"dilation": 4, "padding": 4}),
        ((2, 64, 5, 5), (32, 32, 4, 4), {"padding": (5, 3), "stride": (3, 1), "groups": 2}),
        ((3, 128, 6, 6), (32, 128, 1, 1), {}),
        ((7, 64, 1, 1), (64, 64, 4, 4), {"padding": 3}),
        ((5, 12, 4, 5), (34, 6, 4, 5), {"groups": 2, "stride": 2}),
        ((3, 20, 7, 7), (20, 1, 3, 3), {"groups": 20, "padding": 1}),
        ((2, 6, 14, 35), (12, 1, 5, 4), {"groups": 6, "padding": (4, 1)}),
        ((2, 5, 9, 11), (5, 1, 3, 3), {"groups": 5, "padding": 2, "dilation": 2}),
        ((2, 7, 12, 9), (7, 1, 3, 3), {"groups": 7, "padding": 1, "stride": 2}),
        ((2, 4, 5, 6), (4, 1, 1, 1), {"groups": 4, "padding": 3}),
        ((1, 24, 9, 9), (40, 24, 1, 1), {}),
        ((2, 128, 40, 32), (128, 128, 1, 1), {}),
    ],
)
def test_channels_that_fill_vectors_are_exact(isa, x, w, options):
    """Forward and both gradients as in test_any_geometry_is_exact, with sums over the taps alone."""
    rng = np.random.default_rng(8)
    given = {"stride": 1, "padding": 0, "dilation": 1, **options}
    pair = {k: v if isinstance(v, tuple) else (v, v) for k, v in given.items() if k != "groups"}
    groups = options.get("groups", 1)

    def summed(x, w):
        (sh, sw), (ph, pw), (dh, dw) = (pair[k] for k in ("stride", "padding", "dilation"))
        n, _, h, width = x.shape
        o, per, kh, kw = w.shape
        big = np.zeros((n, groups, per, h + 2 * ph, width + 2 * pw))
        big[..., ph : ph + h, pw : pw + width] = x.reshape(n, groups, per, h, width)
        rows, columns = big.shape[3] - dh * (kh - 1), big.shape[4] - dw * (kw - 1)
        return sum(
            np.einsum(
                "goc,ngchw->ngohw",
                w[:, :, a, b].reshape(groups, o // groups, per),
                big[..., a * dh : a * dh + rows : sh, b * dw : b * dw + columns : sw],
            )
            for a in range(kh)
            for b in range(kw)
        ).reshape(n, o, (rows - 1) // sh + 1, (columns - 1) // sw + 1)

    values = [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0]
    before = mt.cpu.isa()
    try:
        mt.cpu.use(isa)
        for dtype in (np.float32, np.float64):
            a, b = (rng.choice(values, s).astype(dtype) for s in (x, w))
            p, q = mt.from_numpy(a).requires_grad_(), mt.from_numpy(b).requires_grad_()
            y = conv2d(p, q, **options)
            np.testing.assert_array_equal(y.detach().numpy(), summed(a, b))
            g = rng.choice(values, tuple(y.shape)).astype(dtype)
            y.backward(mt.from_numpy(g))
            for tensor, moved in ((p, lambda d, b=b: summed(d, b)), (q, lambda d, a=a: summed(a, d))):
                direction = rng.choice(values, tuple(tensor.shape))
                assert (tensor.grad.numpy() * direction).sum() == (g * moved(direction)).sum()
    finally:
        mt.cpu.use(before)


def test_weights_that_are_not_finite_meet_the_padding():
    """What a kernel with an infinity makes of a zero is NaN, in the padding as elsewhere."""
    x, w = mt.ones(1, 16, 6, 6), mt.ones(32, 16, 5, 5)
    w[3, 2, 0, 2] = float("inf")
    y = conv2d(x, w, padding=2)
    assert y[0, 3].isnan().sum().item() == 2 * 6
    assert y[0, 3, 2:].isinf().all()
    assert y[0, :3].isfinite().all()
    assert y[0, 4:].isfinite().all()


def test_convolution_is_a_product_of_unfolded_windows():
    rng = np.random.default_rng(5)
    x, w = (mt.from_numpy(rng.standard_normal(s)) for s in ((2, 3, 6, 7), (4, 3, 3, 2)))
    options = {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 1)}
    columns = unfold(x, (3, 2), **options)
    y = conv2d(x, w, **options)
    product = (w.reshape(4, -1) @ columns).reshape(y.shape)
    np.testing.assert_allclose(product.numpy(), y.numpy())


def test_fold_counts_the_windows_of_each_pixel():
    x = mt.ones(1, 2, 5, 4)
    counts = fold(unfold(x, 2), (5, 4), 2)
    assert counts[0, 0].tolist() == [[1, 2, 2, 1], *[[2, 4, 4, 2]] * 3, [1, 2, 2, 1]]
    (a,) = leaves(np.random.default_rng(6), (1, 2, 4, 5))
    check(lambda t: unfold(t, (2, 3), dilation=(2, 1), padding=1, stride=(1, 2)), a)
    (b,) = leaves(np.random.default_rng(7), (8, 12))
    check(lambda t: fold(t, (4, 5), 2), b)


def test_a_weight_that_is_not_finite_spoils_only_what_it_touches():
    g = mt.ones(1, 1, 2, 2)
    w = mt.tensor([[[[1.0, float("inf")]]]])
    dx = conv_transpose2d(g, w)
    assert dx.tolist() == [[[[1.0, float("inf"), float("inf")]] * 2]]


@pytest.mark.parametrize(
    ("x", "w", "options", "words"),
    [
        ((1, 3, 4, 4), (2, 2, 2, 2), {}, "3 channels"),
        ((1, 4, 4, 4), (3, 2, 2, 2), {"groups": 2}, "in 2 groups"),
        ((1, 1, 2, 2), (1, 1, 3, 3), {}, "spans 3, more than the 2"),
        ((1, 1, 4, 4), (1, 1, 2, 2), {"dilation": 4}, "spans 5, more than the 4"),
        ((1, 1, 4, 4), (1, 1, 2, 2), {"padding": -1}, "padding -1 must be at least 0"),
        ((1, 1, 4, 4), (1, 1, 2, 2), {"stride": 0}, "stride 0 must be at least 1"),
        ((1, 1, 4, 4), (1, 1, 2, 2), {"stride": 1.5}, "stride must be one integer or two"),
        ((1, 1, 4, 4), (1, 1, 2, 2), {"stride": (1, 2, 3)}, "stride must be one integer or two"),
        ((1, 1, 4, 4), (1, 1, 2, 2), {"groups": 0}, "groups must be a positive integer"),
        ((1, 1, 4, 4), (1, 1, 2, 2), {"padding": "full"}, "'same', 'valid' or numbers"),
        ((1, 1, 4, 4), (1, 1, 2, 2), {"padding": "same", "stride": 2}, "only with stride 1"),
        ((4, 4), (1, 1, 2, 2), {}, "expected"),
        ((1, 1, 0, 4), (1, 1, 1, 1), {}, "only the batch may be empty"),
        ((1, 1, 4, 4), (1, 1, 2, 2), {"padding": 2**31}, "below"),
    ],
)
def test_bad_input(x, w, options, words):
    with pytest.raises(ShapeError, match=words):
        conv2d(mt.ones(*x), mt.ones(*w), **options)


def test_more_bad_input():
    x, w = mt.ones(1, 2, 4, 4), mt.ones(2, 2, 2, 2)
    with pytest.raises(ShapeError, match="bias"):
        conv2d(x, w, mt.ones(3))
    with pytest.raises(DtypeError, match="float32 and float64"):
        conv2d(x, w.double())
    with pytest.raises(DtypeError, match="floating"):
        conv2d(x.long(), w.long())
    with pytest.raises(ShapeError, match="output_padding 2 must be less"):
        conv_transpose2d(x, w, output_padding=2)
    with pytest.raises(ShapeError, match="leave an output"):
        conv_transpose2d(x, w, padding=5)
    with pytest.raises(ShapeError, match="does not fit"):
        unfold(x, 5)
    with pytest.raises(ShapeError, match="expected"):
        fold(mt.ones(1, 4, 8), (3, 3), 2)
    with pytest.raises(MemoryError):
        conv2d(x, w, padding=2**30)


def test_channels_last():
    x = mt.arange(2 * 3 * 4 * 5, dtype=mt.float32).reshape(2, 3, 4, 5)
    y = x.contiguous(memory_format=mt.channels_last)
    assert y.stride() == (60, 1, 15, 3)
    assert (y == x).all()
    assert y.is_contiguous(memory_format=mt.channels_last)
    assert not y.is_contiguous()
    assert not x.is_contiguous(memory_format=mt.channels_last)
    assert y.contiguous(memory_format=mt.channels_last) is y
    assert x.to(memory_format=mt.channels_last).stride() == y.stride()
    assert x.clone(memory_format=mt.channels_last).stride() == y.stride() == y.clone().stride()
    with pytest.raises(ShapeError, match="4 axes"):
        x[0].contiguous(memory_format=mt.channels_last)
    layers = mt.nn.Sequential(mt.nn.Conv2d(3, 4, 1), mt.nn.BatchNorm2d(4), mt.nn.ReLU(), mt.nn.MaxPool2d(2)).eval()
    for layer in layers if mt.cpu.isa() != "reference" else ():  # NumPy lays its results out in row-major order
        x, y = layer(x), layer(y)
        _n, c, h, w = y.shape
        assert y.stride() == (c * h * w, 1, w * c, c)
        assert x.is_contiguous()
        assert mt.equal(x, y)
    assert layers.to(memory_format=mt.channels_last)[0].weight.is_contiguous(memory_format=mt.channels_last)


@pytest.mark.skipif(mt.cpu.isa() == "reference", reason="NumPy lays its results out in row-major order")
def test_results_of_permuted_images_are_permuted():
    # tokens (N, H * W, C) seen as images, as vision transformers see them: a dropout after the convolution
    # draws in the order of memory, token after token
    tokens = mt.ones(2, 4, 3)
    images = tokens.transpose(1, 2).unflatten(2, (2, 2))
    y = mt.nn.functional.conv2d(images, mt.ones(3, 1, 1, 1), groups=3)
    assert y.stride() == (12, 1, 6, 3)
    mt.manual_seed(0)
    drawn = mt.nn.functional.dropout(y.flatten(2).transpose(1, 2))
    mt.manual_seed(0)
    assert mt.equal(drawn, mt.nn.functional.dropout(tokens))
