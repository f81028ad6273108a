"""Sequences, volumes, padding, interpolation, grids: against plain definitions, known values, errors."""

import itertools

import numpy as np
import pytest
from checks import check, leaves

import minitensor as mt
import minitensor.nn.functional as F
from minitensor import nn
from minitensor.errors import DtypeError, IndexRangeError, ShapeError

LETTERS = {1: "1d", 2: "2d", 3: "3d"}


def rng():
    return np.random.default_rng(3)


def tensor(*shape):
    return mt.from_numpy(rng().standard_normal(shape))


# --- convolution -----------------------------------------------------------------------------------------------------


def plain_conv(x, w, stride, padding, dilation, groups):
    """The definition: each output element is a sum over its window."""
    axes = x.ndim - 2
    x = np.pad(x, [(0, 0), (0, 0), *zip(padding, padding, strict=True)])
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, w.shape[2:], strict=True)]
    sizes = [(n - span) // s + 1 for n, span, s in zip(x.shape[2:], spans, stride, strict=True)]
    y = np.zeros((len(x), len(w), *sizes))
    each = len(w) // groups
    for o in range(len(w)):
        part = x[:, o // each * w.shape[1] : (o // each + 1) * w.shape[1]]
        for place in itertools.product(*map(range, sizes)):
            window = tuple(
                slice(i * s, i * s + span, d) for i, s, span, d in zip(place, stride, spans, dilation, strict=True)
            )
            y[(slice(None), o, *place)] = (part[(..., *window)] * w[o]).sum(tuple(range(1, axes + 2)))
    return y


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize(
    ("stride", "padding", "dilation", "groups"),
    [(1, 0, 1, 1), (2, 1, 1, 2), ((3, 2, 1), (0, 2, 1), (1, 1, 2), 1), (2, 1, 2, 4)],
)
def test_convolution_in_any_number_of_axes(axes, stride, padding, dilation, groups):
    every = [v[:axes] if isinstance(v, tuple) else (v,) * axes for v in (stride, padding, dilation)]
    x = rng().standard_normal((2, 4, *(5, 6, 7)[:axes]))
    w = rng().standard_normal((8, 4 // groups, *(3, 2, 2)[:axes]))
    conv = getattr(F, f"conv{LETTERS[axes]}")
    y = conv(mt.from_numpy(x), mt.from_numpy(w), None, *every, groups)
    np.testing.assert_allclose(y.numpy(), plain_conv(x, w, *every, groups), atol=1e-12)
    assert y.is_contiguous()
    one = conv(mt.from_numpy(x[0]), mt.from_numpy(w), None, *every, groups)
    np.testing.assert_allclose(one.numpy(), y[0].numpy(), rtol=1e-13, atol=1e-13)
    # <conv(x), u> = <x, conv_transpose(u)>
    u = rng().standard_normal(tuple(y.shape))
    s, p, d = every
    sizes = zip(y.shape[2:], s, p, d, w.shape[2:], strict=True)
    spans = [(n - 1) * a - 2 * b + e * (k - 1) + 1 for n, a, b, e, k in sizes]
    more = tuple(n - have for n, have in zip(x.shape[2:], spans, strict=True))
    back = getattr(F, f"conv_transpose{LETTERS[axes]}")(mt.from_numpy(u), mt.from_numpy(w), None, s, p, more, groups, d)
    assert back.shape == x.shape
    assert (back.numpy() * x).sum() == pytest.approx((y.numpy() * u).sum())


@pytest.mark.parametrize("axes", [1, 3])
def test_gradients_of_convolutions(axes):
    size, kernel = (4, 3, 3)[:axes], (2, 3, 2)[:axes]
    args = leaves(rng(), (2, 4, *size), (6, 2, *kernel), (6,))
    conv = getattr(F, f"conv{LETTERS[axes]}")
    check(lambda a, b, c: conv(a, b, c, stride=2, padding=1, groups=2), *args)
    args = leaves(rng(), (1, 4, *size), (4, 3, *kernel), (6,))
    transposed = getattr(F, f"conv_transpose{LETTERS[axes]}")
    check(lambda a, b, c: transposed(a, b, c, stride=2, padding=1, output_padding=1, groups=2), *args)


def test_an_even_kernel_pads_more_at_the_end():
    x = mt.tensor([[[1.0, 2.0, 4.0]]])
    assert F.conv1d(x, mt.ones(1, 1, 2), padding="same").tolist() == [[[3.0, 6.0, 4.0]]]
    assert F.conv1d(x, mt.ones(1, 1, 4), padding="same").tolist() == [[[7.0, 7.0, 6.0]]]
    assert F.conv1d(x, mt.ones(1, 1, 2), padding="valid").tolist() == [[[3.0, 6.0]]]


def test_output_padding_lengthens_the_end():
    x = mt.tensor([[[1.0, 2.0]]])
    w = mt.tensor([[[1.0, 10.0]]])
    assert F.conv_transpose1d(x, w, mt.tensor([0.5]), stride=3).tolist() == [[[1.5, 10.5, 0.5, 2.5, 20.5]]]
    longer = F.conv_transpose1d(x, w, stride=3, output_padding=2)
    assert longer.tolist() == [[[1.0, 10.0, 0.0, 2.0, 20.0, 0.0, 0.0]]]


@pytest.mark.parametrize(
    ("name", "x", "w", "options", "words"),
    [
        ("conv1d", (1, 2, 2, 2), (1, 2, 1), {}, r"conv1d: expected \(N, C, L\)"),
        ("conv1d", (1, 2, 4), (1, 3, 1), {}, "conv1d: input .* with 2 channels"),
        ("conv1d", (1, 2, 4), (1, 2, 5), {}, "conv1d: a kernel of 5 .* more than the 4"),
        ("conv1d", (1, 2, 4), (1, 2, 2), {"padding": -1}, "conv1d: padding -1"),
        ("conv1d", (1, 2, 4), (1, 2, 2), {"padding": "same", "stride": 2}, "conv1d: padding 'same'"),
        ("conv3d", (1, 2, 4, 4), (1, 2, 1, 1), {}, r"conv3d: expected \(N, C, D, H, W\)"),
        ("conv3d", (1, 2, 4, 4, 4), (1, 2, 1, 1, 1), {"stride": (1, 2)}, "one integer or three"),
        (
            "conv_transpose1d",
            (1, 2, 4),
            (2, 1, 2),
            {"output_padding": 1},
            "output_padding 1 must be less than",
        ),
        ("conv_transpose3d", (1, 2, 4, 4, 4), (3, 1, 1, 1, 1), {}, "conv_transpose3d: input .* with 2 channels"),
        ("conv_transpose1d", (1, 2, 1), (2, 1, 1), {"padding": 1}, "leave an output of size -1"),
    ],
)
def test_convolution_errors(name, x, w, options, words):
    with pytest.raises(ShapeError, match=words):
        getattr(F, name)(mt.zeros(*x), mt.zeros(*w), **options)


# --- pools -----------------------------------------------------------------------------------------------------------


def windows(n, kernel, stride, padding, ceil_mode):
    """(start, end) of every window along an axis, in the padded axis' own numbers."""
    room = n + 2 * padding - kernel
    out = (-(-room // stride) if ceil_mode else room // stride) + 1
    out -= ceil_mode and (out - 1) * stride >= n + padding
    return [(i * stride - padding, i * stride - padding + kernel) for i in range(out)]


@pytest.mark.parametrize("axes", [1, 3])
@pytest.mark.parametrize("ceil_mode", [False, True])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (2, 3, 1)])
def test_pools_in_one_and_three_axes(axes, ceil_mode, kernel, stride, padding):
    size = (5, 6, 7)[:axes]
    x = np.floor(rng().permutation(6 * int(np.prod(size))) / 2).reshape(2, 3, *size)  # with ties
    every = [windows(n, kernel, stride, padding, ceil_mode) for n in size]
    given = mt.from_numpy(x)
    top, at = getattr(F, f"max_pool{LETTERS[axes]}")(
        given, kernel, stride, padding, ceil_mode=ceil_mode, return_indices=True
    )
    means = [
        getattr(F, f"avg_pool{LETTERS[axes]}")(given, kernel, stride, padding, ceil_mode, padded).numpy()
        for padded in (True, False)
    ]
    assert top.shape == (2, 3, *map(len, every))
    flat = np.arange(int(np.prod(size))).reshape(size)
    for place in itertools.product(*(range(len(w)) for w in every)):
        ends = [every[d][i] for d, i in enumerate(place)]
        box = tuple(slice(max(a, 0), min(b, n)) for (a, b), n in zip(ends, size, strict=True))
        counts = [np.prod([min(b, n + padding) - a for (a, b), n in zip(ends, size, strict=True)]), flat[box].size]
        for c in np.ndindex(2, 3):
            values = x[c][box].reshape(-1)
            assert top[(*c, *place)].item() == values.max()
            assert at[(*c, *place)].item() == flat[box].reshape(-1)[values.argmax()]
            for mean, count in zip(means, counts, strict=True):
                assert mean[(*c, *place)] == pytest.approx(values.sum() / count)


def test_a_nan_wins_in_every_pool():
    x = mt.zeros(1, 1, 4, 4, 4)
    x[0, 0, 1, 2, 3] = float("nan")
    assert F.max_pool3d(x, 2).isnan().nonzero().tolist() == [[0, 0, 0, 1, 1]]
    assert F.adaptive_max_pool3d(x, 2).isnan().nonzero().tolist() == [[0, 0, 0, 1, 1]]
    assert F.max_pool1d(x[0, 0, 1], 2).isnan().nonzero().tolist() == [[2, 1]]


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("out", [1, 3, 7])
def test_adaptive_pools(axes, out):
    size = (5, 6, 4)[:axes]
    x = rng().standard_normal((2, 2, *size))
    mean = getattr(F, f"adaptive_avg_pool{LETTERS[axes]}")(mt.from_numpy(x), out)
    top, at = getattr(F, f"adaptive_max_pool{LETTERS[axes]}")(mt.from_numpy(x), out, return_indices=True)
    for place in itertools.product(range(out), repeat=axes):
        box = tuple(slice(i * n // out, -(-(i + 1) * n // out)) for i, n in zip(place, size, strict=True))
        inside = x[(..., *box)].reshape(2, 2, -1)
        np.testing.assert_allclose(mean[(..., *place)].numpy(), inside.mean(-1))
        np.testing.assert_array_equal(top[(..., *place)].numpy(), inside.max(-1))
    read = np.take_along_axis(x.reshape(2, 2, -1), at.numpy().reshape(2, 2, -1), -1)
    np.testing.assert_array_equal(read.reshape(top.shape), top.numpy())
    assert getattr(F, f"adaptive_avg_pool{LETTERS[axes]}")(mt.zeros(0, 2, *size), out).shape[0] == 0


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_gradients_of_pools(axes):
    size = (4, 5, 3)[:axes]
    (x,) = leaves(rng(), (1, 2, *size))
    letters = LETTERS[axes]
    check(lambda a: getattr(F, f"max_pool{letters}")(a, 2, 1), x)
    check(lambda a: getattr(F, f"avg_pool{letters}")(a, 2, 1, 1, True, False), x)
    check(lambda a: getattr(F, f"adaptive_max_pool{letters}")(a, 2), x)
    check(lambda a: getattr(F, f"adaptive_avg_pool{letters}")(a, 2), x)
    check(lambda a: getattr(F, f"lp_pool{letters}")(a * a + 1, 3, 2), x)


@pytest.mark.parametrize("axes", [1, 2, 3])
def test_unpooling_puts_the_maxima_back(axes):
    size = (4, 6, 5)[:axes]
    x = tensor(2, 3, *size)
    y, at = getattr(F, f"max_pool{LETTERS[axes]}")(x, 2, return_indices=True)
    unpool = getattr(F, f"max_unpool{LETTERS[axes]}")
    back = unpool(y, at, 2, output_size=size)
    np.testing.assert_array_equal(back.numpy(), np.where(back.numpy() != 0, x.numpy(), 0))
    assert (back != 0).sum().item() == y.numel()
    (leaf,) = leaves(rng(), tuple(y.shape))
    check(lambda a: unpool(a, at, 2, output_size=size), leaf)


def test_unpooling_keeps_the_last_of_several():
    y = mt.tensor([[[1.0, float("nan"), 3.0]]], requires_grad=True)
    back = F.max_unpool1d(y, mt.tensor([[[2, 0, 0]]]), 1)
    assert back.tolist() == [[[3.0, 0.0, 1.0]]]
    back.sum().backward()
    assert y.grad.tolist() == [[[1.0, 0.0, 1.0]]]
    with pytest.raises(IndexRangeError, match="indices 0 to 3 do not fit"):
        F.max_unpool1d(y, mt.tensor([[[3, 0, 0]]]), 1)
    with pytest.raises(ShapeError, match="integer indices of the input's shape"):
        F.max_unpool1d(y, mt.tensor([[3, 0, 0]]), 1)
    with pytest.raises(ShapeError, match="output_size"):
        F.max_unpool1d(y, mt.tensor([[[2, 0, 0]]]), 1, output_size=(5,))


def test_maxima_of_integers():
    y, at = F.max_pool2d(mt.arange(16).reshape(1, 4, 4), 2, return_indices=True)
    assert y.tolist() == at.tolist() == [[[5, 7], [13, 15]]]
    assert y.dtype == mt.int64


# --- padding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("mode", "numpy"), [("reflect", "reflect"), ("replicate", "edge"), ("circular", "wrap")])
@pytest.mark.parametrize("axes", [1, 2, 3])
def test_padding_by_own_values(mode, numpy, axes):
    widths = [(1, 2), (2, 0), (0, 1)][:axes]
    x = rng().standard_normal((2, 3, *(4, 3, 5)[:axes]))
    flat = [n for pair in widths[::-1] for n in pair]
    want = np.pad(x, [(0, 0), (0, 0), *widths], numpy)
    np.testing.assert_array_equal(F.pad(mt.from_numpy(x), flat, mode).numpy(), want)
    whole = (x * 10).astype(np.int64)
    want = np.pad(whole, [(0, 0), (0, 0), *widths], numpy)
    np.testing.assert_array_equal(F.pad(mt.from_numpy(whole), flat, mode).numpy(), want)
    check(lambda a: F.pad(a, flat, mode), *leaves(rng(), (1, 2, *(3, 3, 3)[:axes])))


def test_constants_and_crops():
    x = mt.arange(6).reshape(2, 3)
    assert F.pad(x, (1, -2)).tolist() == [[0, 0], [0, 3]]
    assert F.pad(x, (0, 0, -1, 1), value=7).tolist() == [[3, 4, 5], [7, 7, 7]]
    assert F.pad(x > 2, (0, 1), value=True).tolist() == [[False, False, False, True], [True, True, True, True]]
    assert F.pad(x, ()).tolist() == x.tolist()
    assert F.pad(mt.zeros(0, 2), (1, 1, 1, 1)).shape == (2, 4)
    assert mt.constant_pad_nd(x, (-1, -1), 5).tolist() == [[1], [4]]
    assert F.pad(mt.tensor([[1.0, 2.0, 3.0]]), (-1, 2), "replicate").tolist() == [[2.0, 3.0, 3.0, 3.0]]
    assert F.pad(mt.tensor([[1.0, 2.0, 3.0]]), (-1, 2), "circular").tolist() == [[2.0, 3.0, 2.0, 3.0]]
    y = F.pad(x, (1, 1))
    y[...] = 9
    assert x.tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("shape", "widths", "mode", "words"),
    [
        ((2, 3), (3, 0), "reflect", r"can pad axis 1 of \(2, 3\), of size 3, by -2 to 2, not by \(3, 0\)"),
        ((2, 3), (4, 0), "circular", "by -2 to 3"),
        ((2, 3), (-2, 2), "circular", "by -2 to 1"),
        ((2, 3), (1,), "constant", "for each of at most 2 axes"),
        ((2, 3), (1, 1) * 3, "constant", "for each of at most 2 axes"),
        ((2, 3), (-2, -2), "constant", "takes more than there is of axis 1"),
        ((3,), (1, 1), "reflect", "pads the last 1, 2 or 3 axes"),
        ((2, 3), (1, 1), "mirror", "not 'mirror'"),
        ((2, 0), (1, 1), "replicate", "nothing to pad"),
    ],
)
def test_padding_errors(shape, widths, mode, words):
    with pytest.raises(ShapeError, match=words):
        F.pad(mt.zeros(*shape), widths, mode)
    with pytest.raises(TypeError, match="sequence of integers"):
        F.pad(mt.zeros(*shape), 1.5)


# --- interpolation ---------------------------------------------------------------------------------------------------


def test_known_interpolations():
    x = mt.tensor([[[1.0, 3.0, 2.0]]])
    assert F.interpolate(x, 5).tolist() == [[[1.0, 1.0, 3.0, 3.0, 2.0]]]
    assert F.interpolate(x, 2).tolist() == [[[1.0, 3.0]]]
    assert F.interpolate(x, 2, mode="nearest-exact").tolist() == [[[1.0, 2.0]]]
    assert F.interpolate(x, 5, mode="linear", align_corners=True).tolist() == [[[1.0, 2.0, 3.0, 2.5, 2.0]]]
    assert F.interpolate(x, 6, mode="linear").tolist() == [[[1.0, 1.5, 2.5, 2.75, 2.25, 2.0]]]
    assert F.interpolate(x, 1, mode="area").tolist() == [[[2.0]]]
    assert F.interpolate(x.long(), 6).tolist() == [[[1, 1, 3, 3, 2, 2]]]
    assert F.interpolate(x, scale_factor=2.5).shape == (1, 1, 7)


def test_cubics_pass_through_what_they_should():
    """With aligned corners old pixels stay; a constant and, away from the ends, a line stay what they are."""
    x = rng().standard_normal((1, 1, 4, 5))
    y = F.interpolate(mt.from_numpy(x), (7, 9), mode="bicubic", align_corners=True).numpy()
    np.testing.assert_allclose(y[..., ::2, ::2], x, atol=1e-12)
    np.testing.assert_allclose(F.interpolate(mt.ones(1, 1, 4, 5), (9, 8), mode="bicubic").numpy(), 1, rtol=1e-6)
    line = mt.arange(10.0, dtype=mt.float64).reshape(1, 1, 1, 10)
    finer = F.interpolate(line, (1, 20), mode="bilinear").numpy()[0, 0, 0, 1:-1]
    np.testing.assert_allclose(finer, np.arange(0.25, 9, 0.5))


def test_antialiasing_weighs_what_it_skips():
    """16 pixels to 4: triangles of half-width 4 around the centres 2, 6, 10, 14; the first sees six pixels."""
    x = mt.tensor([[[[0.0, 1.0] * 8]]], dtype=mt.float64)
    smooth = F.interpolate(x, (1, 4), mode="bilinear", antialias=True).flatten()
    first = (3.5 + 2.5 + 0.5) / (2.5 + 3.5 + 3.5 + 2.5 + 1.5 + 0.5)
    np.testing.assert_allclose(smooth.numpy(), [first, 0.5, 0.5, 1 - first])


@pytest.mark.parametrize(
    ("mode", "size", "options"),
    [
        ("nearest", (3, 4), {"scale_factor": (1.5, 0.7)}),
        ("linear", (4,), {"size": 7}),
        ("bilinear", (3, 4), {"size": (5, 2), "align_corners": True}),
        ("bicubic", (3, 4), {"scale_factor": 1.6}),
        ("trilinear", (2, 3, 2), {"size": (3, 2, 5)}),
        ("area", (4, 5), {"size": 3}),
        ("bicubic", (6, 5), {"size": (2, 3), "antialias": True}),
    ],
)
def test_gradients_of_interpolation(mode, size, options):
    check(lambda a: F.interpolate(a, mode=mode, **options), *leaves(rng(), (2, 2, *size)))


@pytest.mark.parametrize(
    ("shape", "options", "words"),
    [
        ((1, 1, 4), {"size": 3, "mode": "bilinear"}, "takes .* with 4 axes"),
        ((1, 1, 4), {}, "either size or scale_factor"),
        ((1, 1, 4), {"size": 3, "scale_factor": 2}, "either size or scale_factor"),
        ((1, 1, 4), {"size": 0}, "size .* must be at least 1"),
        ((1, 1, 4), {"scale_factor": 0.1}, "leaves nothing"),
        ((1, 1, 4), {"scale_factor": float("nan")}, "leaves nothing"),
        ((1, 1, 4), {"size": (3, 3)}, "one number or one for each of 1 axes"),
        ((1, 1, 4), {"size": 3, "align_corners": True}, "align_corners is for"),
        ((1, 1, 4), {"size": 3, "antialias": True}, "antialias is for"),
        ((1, 1, 4), {"size": 3, "mode": "cubic"}, "mode must be one of"),
        ((1, 1, 4), {"size": 3, "recompute_scale_factor": True}, "needs a scale_factor"),
        ((1, 0, 4), {"size": 3}, "nothing to interpolate"),
        ((1, 4), {"size": 3}, "takes"),
    ],
)
def test_interpolation_errors(shape, options, words):
    with pytest.raises(ShapeError, match=words):
        F.interpolate(mt.zeros(*shape), **options)


def test_interpolation_of_integers_needs_the_nearest():
    with pytest.raises(DtypeError, match="floating"):
        F.interpolate(mt.zeros(1, 1, 4, dtype=mt.int64), 3, mode="linear")


# --- grids -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
def test_the_identity_grid_gives_the_image_back(mode, align):
    x = tensor(2, 3, 4, 5)
    theta = mt.eye(2, 3, dtype=mt.float64).expand(2, 2, 3)
    grid = F.affine_grid(theta, (2, 3, 4, 5), align_corners=align)
    np.testing.assert_allclose(F.grid_sample(x, grid, mode, align_corners=align).numpy(), x.numpy(), atol=1e-12)


def test_outside_the_image():
    x = mt.tensor([[[[1.0, 2.0, 4.0]]]])
    points = mt.tensor([[[[-3.0, 0.0], [-1.25, 0.0], [1.0, 0.0], [1.5, 0.0], [2.0, 0.0]]]])  # pixels -2 -0.25 2 2.5 3

    def at(mode, padding):
        return F.grid_sample(x, points, mode, padding, align_corners=True).flatten().tolist()

    assert at("bilinear", "zeros") == [0.0, 0.75, 4.0, 2.0, 0.0]
    assert at("bilinear", "border") == [1.0, 1.0, 4.0, 4.0, 4.0]
    assert at("bilinear", "reflection") == [4.0, 1.25, 4.0, 3.0, 2.0]
    assert at("nearest", "zeros") == [0.0, 1.0, 4.0, 4.0, 0.0]
    infinite = mt.tensor([[[[1.0, float("inf")]]]])
    far = F.grid_sample(infinite, mt.tensor([[[[-5.0, 0.0]]]]), align_corners=True)
    assert far.tolist() == [[[[0.0]]]]
    lost = mt.full((1, 1, 1, 2), float("nan"))
    assert F.grid_sample(x, lost, padding_mode="border", align_corners=True).tolist() == [[[[1.0]]]]


@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_gradients_of_planes_at_points(mode, padding):
    (x,) = leaves(rng(), (1, 2, 3, 4))
    grid = mt.from_numpy(rng().uniform(-1.6, 1.6, (1, 2, 3, 2))).requires_grad_()
    check(lambda a, b: F.grid_sample(a, b, mode, padding, False), x, grid)


def test_gradients_of_volumes_at_points():
    (x,) = leaves(rng(), (1, 1, 2, 3, 4))
    grid = mt.from_numpy(rng().uniform(-1.2, 1.2, (1, 1, 2, 2, 3))).requires_grad_()
    check(lambda a, b: F.grid_sample(a, b, align_corners=True), x, grid)
    check(lambda t: F.affine_grid(t, (2, 1, 2, 3, 2), False), *leaves(rng(), (2, 3, 4)))


def test_grid_errors():
    x, grid = mt.zeros(1, 1, 3, 3), mt.zeros(1, 2, 2, 2)
    for bad in (mt.zeros(2, 2, 2, 2), mt.zeros(1, 2, 2, 3), mt.zeros(1, 2, 2)):
        with pytest.raises(ShapeError, match="grid_sample: expected"):
            F.grid_sample(x, bad)
    with pytest.raises(ShapeError, match="not 'cubic'"):
        F.grid_sample(x, grid, "cubic")
    with pytest.raises(ShapeError, match="not 'wrap'"):
        F.grid_sample(x, grid, padding_mode="wrap")
    with pytest.raises(DtypeError, match="float32 of the input and float64"):
        F.grid_sample(x, grid.double())
    with pytest.raises(ShapeError, match="affine_grid: expected theta"):
        F.affine_grid(mt.zeros(1, 3, 3), (1, 1, 2, 2))


# --- channels, layers ------------------------------------------------------------------------------------------------


def test_shuffles_undo_each_other():
    x = tensor(2, 8, 3, 4)
    y = F.pixel_shuffle(x, 2)
    assert y[1, 1, 5, 2].item() == x[1, 4 + 2, 2, 1].item()
    np.testing.assert_array_equal(F.pixel_unshuffle(y, 2).numpy(), x.numpy())
    z = F.channel_shuffle(x, 2)
    assert z[:, 3].tolist() == x[:, 5].tolist()
    np.testing.assert_array_equal(F.channel_shuffle(z, 4).numpy(), x.numpy())
    with pytest.raises(ShapeError, match=r"pixel_shuffle: expected \(.., C \* 9, H, W\)"):
        F.pixel_shuffle(x, 3)
    with pytest.raises(ShapeError, match=r"pixel_unshuffle: expected .* 2 dividing"):
        F.pixel_unshuffle(x, 2)
    with pytest.raises(ShapeError, match=r"channel_shuffle: expected .* 3 dividing"):
        F.channel_shuffle(x, 3)


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_convolution_layers_pad_by_own_values(axes, mode):
    layer = getattr(nn, f"Conv{LETTERS[axes]}")(2, 3, 2, padding="same", dilation=3, padding_mode=mode)
    x = mt.randn(1, 2, *(5, 6, 4)[:axes])
    padded = F.pad(x, (1, 2) * axes, mode)
    want = getattr(F, f"conv{LETTERS[axes]}")(padded, layer.weight, layer.bias, dilation=3)
    assert layer(x).shape[2:] == x.shape[2:]
    np.testing.assert_array_equal(layer(x).detach().numpy(), want.detach().numpy())
    assert f"padding=same, dilation={(3,) * axes}, padding_mode={mode}" in repr(layer)


def test_transposed_layers_take_the_size_asked_for():
    layer = nn.ConvTranspose2d(2, 3, 3, stride=2)
    x = mt.zeros(1, 2, 4, 4)
    assert layer(x).shape == (1, 3, 9, 9)
    assert layer(x, output_size=(10, 9)).shape == layer(x, (1, 3, 10, 9)).shape == (1, 3, 10, 9)
    with pytest.raises(ShapeError, match=r"\(11, 9\) must lie between \(9, 9\) and \(10, 10\)"):
        layer(x, (11, 9))
    with pytest.raises(ShapeError, match="padding must be integers, not 'same'"):
        nn.ConvTranspose1d(1, 1, 3, padding="same")
    assert layer.weight.shape == (2, 3, 3, 3)
    assert repr(nn.ConvTranspose1d(1, 2, 3, 2, 1, 1)) == (
        "ConvTranspose1d(1, 2, kernel_size=(3,), stride=(2,), padding=(1,), output_padding=(1,))"
    )


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (nn.MaxPool1d(2), "MaxPool1d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)"),
        (nn.AvgPool1d(2), "AvgPool1d(kernel_size=(2,), stride=(2,), padding=(0,))"),
        (nn.MaxUnpool2d(2), "MaxUnpool2d(kernel_size=(2, 2), stride=(2, 2), padding=(0, 0))"),
        (nn.LPPool1d(2, 3), "LPPool1d(norm_type=2, kernel_size=3, stride=None, ceil_mode=False)"),
        (nn.AdaptiveMaxPool3d((1, 2, None)), "AdaptiveMaxPool3d(output_size=(1, 2, None))"),
        (nn.ReflectionPad2d(1), "ReflectionPad2d((1, 1, 1, 1))"),
        (nn.ConstantPad1d(2, 3.5), "ConstantPad1d(padding=(2, 2), value=3.5)"),
        (nn.Upsample(scale_factor=2), "Upsample(scale_factor=2.0, mode='nearest')"),
        (nn.Upsample((3, 4), mode="bilinear"), "Upsample(size=(3, 4), mode='bilinear')"),
        (nn.Unfold(2), "Unfold(kernel_size=2, dilation=1, padding=0, stride=1)"),
        (nn.PixelShuffle(3), "PixelShuffle(upscale_factor=3)"),
        (nn.AlphaDropout(0.1), "AlphaDropout(p=0.1, inplace=False)"),
    ],
)
def test_layers_print_as_pytorchs(layer, text):
    assert repr(layer) == text


def test_padding_layers_refuse_odd_lists():
    with pytest.raises(ShapeError, match="ZeroPad2d: padding must be one integer or 4"):
        nn.ZeroPad2d((1, 2))


def test_alpha_dropout_keeps_the_moments():
    mt.manual_seed(0)
    x = mt.randn(200_000, dtype=mt.float64)
    y = F.alpha_dropout(x, 0.3, True)
    assert abs(y.mean().item()) < 0.01
    assert y.std().item() == pytest.approx(1, abs=0.01)
    assert F.alpha_dropout(x, 0.3) is x
    z = F.feature_alpha_dropout(mt.randn(50, 20, 3), 0.5, True)
    dropped = (z == z[..., :1]).all(-1)
    assert 300 < dropped.sum().item() < 700
    for run, shape in ((F.dropout1d, (40, 5)), (F.dropout3d, (40, 2, 2, 2))):
        kept = run(mt.ones(*shape), 0.5)
        assert set(kept.reshape(40, -1).mean(1).tolist()) == {0.0, 2.0}
        with pytest.raises(ShapeError, match="axes, got"):
            run(mt.ones(4), 0.5)
    w = mt.ones(40, 5)
    assert F.dropout1d(w, 0.5, inplace=True).tolist() == w.tolist()
    assert 0.0 in w
