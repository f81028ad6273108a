"""Products of float32 by parts of bfloat16 (set_float32_matmul_precision): their error, their bits, their limits."""

import numpy as np
import pytest

import minitensor as mt
from minitensor.errors import ShapeError

PARTS = {"high": 2, "medium": 1}
# What the parts leave out of each product, for |a|, |b| of any size (the docstring's derivation): a2 b2 and both rests.
LEFT_OUT = {"high": 2.0**-15, "medium": 2.0**-7}
ULP = 2.0**-24  # the relative error of one rounding in float32


# Where nothing here multiplies by so many parts: a CPU with vectors of bfloat16 alone knows "medium" only.
needs_engine = pytest.mark.usefixtures("engine")


@pytest.fixture(autouse=True)
def restored():
    yield
    mt.set_float32_matmul_precision("highest")


@pytest.fixture(params=PARTS)
def precision(request):
    mt.set_float32_matmul_precision(request.param)
    return request.param


@pytest.fixture
def engine(precision):
    if mt.cpu.matmul_engine() == "float32":
        pytest.skip(f'this CPU, system or ISA has no unit for "{precision}"')


def bfloat16(x):
    """float32 rounded to 8 significant bits, ties to even, by its bits."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32)


def split_product(a, b, parts):
    """The sum of the parts' products, in float64, where each of them is exact."""
    a1, b1 = bfloat16(a), bfloat16(b)
    a2, b2 = bfloat16(a - a1), bfloat16(b - b1)
    a1, a2, b1, b2 = (x.astype(np.float64) for x in (a1, a2, b1, b2))
    return a1 @ b1 if parts == 1 else a1 @ b1 + a1 @ b2 + a2 @ b1


def draw(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def absolute(a, b):
    return np.abs(a).astype(np.float64) @ np.abs(b).astype(np.float64)


# Large enough for both precisions; sizes that are not whole tiles, blocks or stretches; some with several pieces.
SIZES = [(128, 128, 128), (130, 65, 257), (65, 1030, 97), (200, 333, 210), (417, 70, 450), (64, 544, 64)]


def test_set_get_and_refuse():
    assert mt.get_float32_matmul_precision() == "highest"
    for name in ("high", "medium", "highest"):
        mt.set_float32_matmul_precision(name)
        assert mt.get_float32_matmul_precision() == name
    mt.set_float32_matmul_precision("high")
    for bad in ("low", "HIGH", "", None, 2, ["high"]):
        with pytest.raises(ShapeError, match="set_float32_matmul_precision"):
            mt.set_float32_matmul_precision(bad)
    assert mt.get_float32_matmul_precision() == "high"


def test_the_engine_in_force():
    assert mt.cpu.matmul_engine() == "float32"
    engines = {}
    for name in ("high", "medium"):
        mt.set_float32_matmul_precision(name)
        engines[name] = mt.cpu.matmul_engine()
    assert engines["high"] in ("float32", "amx")
    assert engines["medium"] == "amx" if engines["high"] == "amx" else engines["medium"] in ("float32", "avx512_bf16")
    with mt.cpu.kernels("simd"):
        assert mt.cpu.matmul_engine() == "float32"
    for isa in ("reference", "generic"):
        with mt.cpu.use(isa):
            assert mt.cpu.matmul_engine() == "float32"


@needs_engine
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_matmul_is_the_sum_of_the_parts_products(precision, sizes):
    m, k, n = sizes
    a, b = draw(m, k), draw(k, n, seed=1)
    for x in (a, np.asfortranarray(a)):
        for y in (b, np.asfortranarray(b)):
            c = mt.from_numpy(x) @ mt.from_numpy(y)
            error = np.abs(c.numpy() - split_product(a, b, PARTS[precision]))
            # each sum is rounded once for each of its terms, at most
            assert (error <= 3 * k * ULP * 1.02 * absolute(a, b)).all()


@needs_engine
def test_it_is_less_exact_and_says_how_much(precision):
    a, b = draw(256, 300), draw(300, 256, seed=1)
    true = a.astype(np.float64) @ b.astype(np.float64)
    split = (mt.from_numpy(a) @ mt.from_numpy(b)).numpy()
    assert (np.abs(split - true) <= (LEFT_OUT[precision] + 900 * ULP) * absolute(a, b)).all()
    mt.set_float32_matmul_precision("highest")
    plain = (mt.from_numpy(a) @ mt.from_numpy(b)).numpy()

    def rms(x):
        return np.sqrt(np.mean((x - true) ** 2) / np.mean(true**2))

    assert rms(plain) < 1e-6 < rms(split) < {"high": 1e-5, "medium": 1e-2}[precision]


@needs_engine
@pytest.mark.parametrize("size", [64, 257])
def test_numbers_that_the_parts_hold_are_exact(precision, size):
    # Integers of up to 8 bits in one part; of 16 in two, times such of few bits, so that the sums stay below 2^24.
    rng = np.random.default_rng(0)
    high = 2**7 if precision == "medium" else 2**11
    a = rng.integers(-high, high, (size, 2 * size)).astype(np.float32)
    b = rng.integers(-8, 9, (2 * size, size)).astype(np.float32)
    c = mt.from_numpy(a) @ mt.from_numpy(b)
    np.testing.assert_array_equal(c.numpy(), a.astype(np.float64) @ b.astype(np.float64))


@needs_engine
def test_every_way_to_multiply(precision):
    x, w, bias = draw(150, 140), draw(130, 140, seed=1), draw(130, seed=2)
    want = split_product(x, w.T, PARTS[precision])
    tolerance = 4 * 140 * ULP * (absolute(x, w.T) + np.abs(bias))
    t, u, v = mt.from_numpy(x), mt.from_numpy(w), mt.from_numpy(bias)
    results = {
        "linear": mt.nn.functional.linear(t, u, v),
        "addmm": mt.addmm(v, t, u.t()),
        "mm": mt.mm(t, u.t()) + v,
        "bmm": mt.bmm(mt.stack([t, t]), mt.stack([u.t(), u.t()]))[1] + v,
        "turned": (u @ t.t()).t() + v,
        "einsum": mt.einsum("ik,jk->ij", t, u) + v,
        "of a stack": mt.matmul(t.reshape(3, 50, 140), u.t()).reshape(150, 130) + v,
    }
    plain = x.astype(np.float64) @ w.T.astype(np.float64)
    for name, got in results.items():
        assert (np.abs(got.numpy() - (want + bias)) <= tolerance).all(), name
        assert np.abs(got.numpy() - (plain + bias)).max() > 1e-5, f"{name} is not split"


@needs_engine
def test_gradients_are_split_too(precision):
    a, b, g = draw(140, 130), draw(130, 150, seed=1), draw(140, 150, seed=2)
    x, y = mt.tensor(a, requires_grad=True), mt.tensor(b, requires_grad=True)
    (x @ y).backward(mt.from_numpy(g))
    for got, left, right in ((x.grad, g, b.T), (y.grad, a.T, g)):
        want = split_product(left, right, PARTS[precision])
        assert (np.abs(got.numpy() - want) <= 3 * 151 * ULP * absolute(left, right)).all()
        assert np.abs(got.numpy() - left.astype(np.float64) @ right).max() > 1e-5


@needs_engine
def test_kernels_of_one_pixel_are_split_too(precision):
    x, w, bias = draw(2, 130, 12, 13), draw(140, 130, 1, 1, seed=1), draw(140, seed=2)
    left, parts = w.reshape(140, 130), PARTS[precision]
    t = mt.tensor(x, requires_grad=True)
    y = mt.nn.functional.conv2d(t, mt.from_numpy(w), mt.from_numpy(bias))
    g = draw(*y.shape, seed=3)
    y.backward(mt.from_numpy(g))
    for i in range(2):
        for got, a, b, more in (
            (y.detach().numpy()[i], left, x[i].reshape(130, -1), bias[:, None]),
            (t.grad.numpy()[i], left.T, g[i].reshape(140, -1), np.float32(0)),
        ):
            error = np.abs(got.reshape(a.shape[0], -1) - (split_product(a, b, parts) + more))
            assert (error <= 4 * 140 * ULP * (absolute(a, b) + np.abs(more))).all()
            assert np.abs(got.reshape(a.shape[0], -1) - (a.astype(np.float64) @ b + more)).max() > 1e-5


@needs_engine
@pytest.mark.parametrize("sizes", [(130, 150, 140), (517, 390, 300)], ids=str)
def test_the_same_bits_for_any_number_of_threads(precision, sizes):
    m, k, n = sizes
    a, b, bias = mt.from_numpy(draw(m, k)), mt.from_numpy(draw(k, n, seed=1)), mt.from_numpy(draw(n, seed=2))
    before = mt.cpu.get_num_threads()
    try:
        results = []
        for threads in (1, 2, 3, 8):
            mt.cpu.set_num_threads(threads)
            results.append([mt.addmm(bias, a, b).numpy(), (b.t() @ a.t()).numpy()])
    finally:
        mt.cpu.set_num_threads(before)
    for other in results[1:]:
        for x, y in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize("value", [np.inf, -np.inf, np.nan, 3.4e38])
def test_nan_and_infinity_come_out_as_ever(precision, value):
    a, b = draw(160, 150), draw(150, 170, seed=1)
    a[3, 7] = value
    b[7, :] = 0.0  # infinity times 0
    b[7, 5] = 0.25
    b[20, 9] = value
    split = (mt.from_numpy(a) @ mt.from_numpy(b)).numpy()
    mt.set_float32_matmul_precision("highest")
    np.testing.assert_array_equal(split, (mt.from_numpy(a) @ mt.from_numpy(b)).numpy())


@needs_engine
def test_a_bias_that_is_not_finite(precision):
    a, b, bias = draw(160, 150), draw(150, 170, seed=1), draw(170, seed=2)
    bias[[1, 2, 3]] = np.inf, -np.inf, np.nan
    c = mt.addmm(mt.from_numpy(bias), mt.from_numpy(a), mt.from_numpy(b)).numpy()
    assert (c[:, 1] == np.inf).all()
    assert (c[:, 2] == -np.inf).all()
    assert np.isnan(c[:, 3]).all()
    assert np.isfinite(np.delete(c, [1, 2, 3], axis=1)).all()


@needs_engine
def test_numbers_too_small_for_a_whole_mantissa_are_0(precision):
    tiny = np.finfo(np.float32).tiny  # 1.2e-38, the smallest with one
    a, b = np.full((160, 160), tiny / 4, np.float32), np.full((160, 160), 2.0, np.float32)
    a[0] = 2 * tiny
    c = (mt.from_numpy(a) @ mt.from_numpy(b)).numpy()
    np.testing.assert_array_equal(c[0], np.float32(160 * 4 * tiny))
    np.testing.assert_array_equal(c[1:], 0)
    mt.set_float32_matmul_precision("highest")
    np.testing.assert_array_equal((mt.from_numpy(a) @ mt.from_numpy(b)).numpy()[1:], np.float32(80 * tiny))


def test_float64_and_small_products_are_left_alone(precision):
    for dtype, size in ((mt.float64, 160), (mt.float32, 24)):
        a, b = mt.from_numpy(draw(size, size)).to(dtype), mt.from_numpy(draw(size, size, seed=1)).to(dtype)
        mt.set_float32_matmul_precision(precision)
        c = a @ b
        mt.set_float32_matmul_precision("highest")
        np.testing.assert_array_equal(c.numpy(), (a @ b).numpy())


@pytest.mark.parametrize("sizes", [(0, 200, 200), (200, 0, 200), (200, 200, 0)], ids=str)
def test_empty(precision, sizes):
    m, k, n = sizes
    c = mt.zeros(m, k) @ mt.zeros(k, n)
    assert c.shape == (m, n)
    assert not c.any()


@needs_engine
def test_the_setting_ends(precision):
    a, b = mt.from_numpy(draw(160, 150)), mt.from_numpy(draw(150, 170, seed=1))
    split = (a @ b).numpy()
    mt.set_float32_matmul_precision("highest")
    before = (a @ b).numpy()
    assert (split != before).any()
    mt.set_float32_matmul_precision(precision)
    np.testing.assert_array_equal((a @ b).numpy(), split)
    with mt.cpu.kernels("simd"):
        simd = (a @ b).numpy()
    mt.set_float32_matmul_precision("highest")
    with mt.cpu.kernels("simd"):
        np.testing.assert_array_equal((a @ b).numpy(), simd)
