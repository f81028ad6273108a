"""The generator against numbers that PyTorch 2.13.0+cpu drew, and the properties of its rules."""

import copy
import doctest
import math
import pickle
import threading
import zlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minitensor as mt
from minitensor import _core
from minitensor import generator as module
from minitensor.errors import DtypeError, OutOfMemoryError, ShapeError
from minitensor.generator import Generator, default_generator, memory_axes

F2, F4, F8 = np.float16, np.float32, np.float64
WEIGHTS = ((np.arange(108) % 7 + 1).astype(F4) / F4(7)).reshape(4, 27)

# With the seed 42: what is drawn, the CRC-32 of PyTorch's bytes for it, and the integer below
# 2^28 - 1 that PyTorch draws next, which shows that the same number of words was taken.
Draw = Callable[[Generator], Any]
PYTORCH: dict[str, tuple[Draw, int, int]] = {
    "uniform": (lambda g: g.uniform(70001), 0xE95A570D, 68825755),
    "uniform float64": (lambda g: g.uniform(50000, F8), 0x51D60F3F, 149192469),
    "uniform float16": (lambda g: g.uniform(50000, F2), 0x3670DA3D, 128294298),
    "uniform range": (lambda g: g.uniform(50000, F4, -0.37, 0.71), 0x701D4638, 128294298),
    "uniform range float64": (lambda g: g.uniform(50000, F8, -0.37, 0.71), 0x0CABC996, 149192469),
    "uniform range float16": (lambda g: g.uniform(50000, F2, -0.37, 0.71), 0x1DF03729, 128294298),
    "normal": (lambda g: g.normal(70000), 0x8A832421, 201402321),
    "normal, a rest of 1": (lambda g: g.normal(70001, F4, 0.3, 1.7), 0x7D2AFF4C, 190345385),
    "normal of 17": (lambda g: g.normal(17), 0xC874D7F9, 211111234),
    "normal float16": (lambda g: g.normal(40, F2, 0.3, 1.7), 0x0E60CD91, 79757508),
    "normal not contiguous": (
        lambda g: g.normal((50, 60), F4, 0.3, 1.7, contiguous=False),
        0x635EB378,
        204882812,
    ),
    "exponential": (lambda g: g.exponential(50000, F4, 2.5), 0x33830386, 149192469),
    "log_normal": (lambda g: g.log_normal(50000, F4, 0.2, 0.7), 0xDACA61A8, 149192469),
    "geometric": (lambda g: g.geometric(50000, F4, 0.3), 0x19D45022, 149192469),
    "bernoulli": (lambda g: g.bernoulli(50000, F4, 0.3), 0xD5C162C7, 149192469),
    "bernoulli of an array": (
        lambda g: g.bernoulli(50000, F4, np.full(50000, 0.3, F4)),
        0x6B4271D6,
        128294298,
    ),
    "bernoulli of a float64 array": (
        lambda g: g.bernoulli(50000, F8, np.full(50000, 0.3)),
        0xB888C114,
        149192469,
    ),
    "randint": (lambda g: g.randint(-5, 2**28 - 6, 50000), 0x39AD5BFA, 128294298),
    "randint of 2^28": (lambda g: g.randint(-5, 2**28 - 5, 50000), 0xEA3132ED, 149192469),
    "randint of 2^64 - 1": (lambda g: g.randint(-(2**63), 2**63 - 1, 50000), 0xDF355B24, 149192469),
    "randint int32": (lambda g: g.randint(3, 17, 50000, np.int32), 0x3E1178CD, 128294298),
    "random_ int64": (lambda g: g.random_(50000), 0x1C7A7376, 149192469),
    "random_ int32": (lambda g: g.random_(50000, np.int32), 0xA288F15E, 128294298),
    "random_ uint8": (lambda g: g.random_(50000, np.uint8), 0x6C3ECE11, 128294298),
    "random_ bool": (lambda g: g.random_(50000, np.bool_), 0x96841948, 128294298),
    "random_ float32": (lambda g: g.random_(50000, F4), 0xC9BF9462, 128294298),
    "random_ float64": (lambda g: g.random_(50000, F8), 0x5A19F0B9, 149192469),
    "random_ from 5": (lambda g: g.random_(50000, np.int32, 5), 0xDB01521F, 149192469),
    "random_ of 2^64": (lambda g: g.random_(50000, np.int64, -(2**63)), 0xFD2E411E, 149192469),
    "randperm": (lambda g: g.randperm(5000), 0x6FE80575, 25580130),
    "trunc_normal": (lambda g: g.trunc_normal(5000, F4, 0.1, 0.5, -1, 1), 0xB45D8A4E, 12165965),
    "multinomial, one sample": (lambda g: g.multinomial(WEIGHTS, 1), 0x7ACA1530, 177374246),
    "multinomial, one with replacement": (
        lambda g: g.multinomial(WEIGHTS, 1, replacement=True),
        0x7ACA1530,
        177374246,
    ),
    "multinomial": (lambda g: g.multinomial(WEIGHTS, 9), 0x0656BA83, 177374246),
    "multinomial with replacement": (
        lambda g: g.multinomial(WEIGHTS, 50, replacement=True),
        0x2D3C694E,
        73150369,
    ),
    "multinomial in memory order": (
        lambda g: g.multinomial(np.asfortranarray(WEIGHTS), 9),
        0xC24E45A5,
        177374246,
    ),
}


def seeded(seed: int = 42) -> Generator:
    return Generator().manual_seed(seed)


def same(a: Any, b: Any) -> bool:
    return a.dtype == b.dtype and np.array_equal(a, b)


@pytest.mark.parametrize("name", PYTORCH)
def test_the_bits_are_those_of_pytorch(name: str) -> None:
    draw, checksum, following = PYTORCH[name]
    g = seeded()
    assert zlib.crc32(draw(g).tobytes()) == checksum
    assert g.randint(0, 2**28 - 1, ()) == following


@pytest.mark.parametrize("isa", mt.cpu.isas()[1:])
@pytest.mark.parametrize(
    "name", [n for n in PYTORCH if n.split(maxsplit=1)[0].strip(",") in {"uniform", "normal", "bernoulli", "randperm"}]
)
def test_the_bits_are_the_same_on_every_instruction_set(name: str, isa: str) -> None:
    draw, checksum, following = PYTORCH[name]
    with mt.cpu.use(isa):
        g = seeded()
        assert zlib.crc32(draw(g).tobytes()) == checksum
        assert g.randint(0, 2**28 - 1, ()) == following


def test_a_mask_of_other_ones_takes_the_same_words() -> None:
    g, h = seeded(), seeded()
    for dtype in (F4, F8, np.int32):
        assert same(g.bernoulli(1111, dtype, 0.25, 4), h.bernoulli(1111, dtype, 0.25) * np.dtype(dtype).type(4))
    assert g.uniform(1) == h.uniform(1)
    assert g.bernoulli(1000, F4, 0).sum() == 0
    assert g.bernoulli(1000, F4, 1).sum() == 1000


@pytest.mark.parametrize(
    ("seed", "first"),
    [
        (0, [0.4962566, 0.7682218, 0.08847743]),
        (42, [0.88226926, 0.91500396, 0.38286376]),
        (2**32 + 5, [0.8302519, 0.12611091, 0.9074697]),
        (2**40 + 123456789, [0.4052539, 0.60617995, 0.7389709]),
        (-1, [0.9937994, 0.57130635, 0.57000804]),
    ],
)
def test_seeds(seed: int, first: list[float]) -> None:
    g = seeded(seed)
    assert g.initial_seed() == seed % 2**64
    assert same(g.uniform(3), np.array(first, F4))


def test_without_a_seed() -> None:
    g = Generator()
    assert g.initial_seed() == 67280421310721
    assert g.device == "cpu"
    assert same(g.uniform(2), np.array([0.26729524, 0.8725283], F4))
    first, second = g.seed(), g.seed()
    assert first != second == g.initial_seed()
    assert same(g.uniform(5), seeded(second).uniform(5))
    assert default_generator.initial_seed() != Generator().initial_seed()


def test_small_draws_are_those_of_pytorch() -> None:
    g = seeded()  # the spare normal goes from call to call and from dtype to dtype
    assert same(g.normal(3), np.array([0.33669037, 0.1288094, 0.23446237], F4))
    np.testing.assert_allclose(g.normal(2, F8), [0.2303330279146119, -1.1228563767381703], 1e-15)
    assert same(g.normal(20)[:3], np.array([-0.2482575, -1.2082148, -0.47766745], F4))
    assert same(g.normal(2), np.array([-0.18632829, 0.28151956], F4))
    g = seeded()
    assert g.randperm(10).tolist() == [2, 6, 1, 8, 4, 5, 0, 9, 3, 7]
    assert g.randint(0, 10, 8).tolist() == [3, 8, 4, 0, 4, 1, 2, 5]
    x = seeded().trunc_normal(4, F4, 0, 1, 1, 3)  # 16 % of the normal: by rejection
    assert same(x, np.array([1.2106298, 1.2663718, 1.7657275, 1.3987275], F4))


def test_float64_is_pytorchs_to_rounding() -> None:
    x = seeded().normal(18, F8)
    np.testing.assert_allclose(
        x[[0, 1, 2, 15, 16, 17]],
        [
            0.2995562877502637,
            0.24237779080894106,
            1.2715909667771088,
            0.855215961472287,
            0.2494118796915765,
            0.2615836907112959,
        ],
        rtol=1e-14,
    )
    g = seeded()
    expected = [0.02396560627632086, 0.02599045151735412, 0.05276671199363623]
    np.testing.assert_allclose(g.exponential(3, F8, 2.5), expected, rtol=1e-15)
    expected = [-10.997278831183117, 1.164814447215082, 0.8538751250188787]
    np.testing.assert_allclose(g.cauchy(3, F8, 1, 2), expected, rtol=1e-14)
    expected = [5.730145567834362, 0.7814548223091343, 1.6873513569968455]
    np.testing.assert_allclose(g.log_normal(3, F8, 0.2, 0.7), expected, rtol=1e-14)


# The stream


def test_the_words_are_those_of_the_paper() -> None:
    """MT19937 by its definition: x_{k+624} = x_{k+397} ^ (upper bit of x_k, rest of x_{k+1}) A."""
    x = [42]
    for j in range(1, 624):
        x.append((1812433253 * (x[-1] ^ (x[-1] >> 30)) + j) % 2**32)
    for k in range(1300):
        y = (x[k] & 0x80000000) | (x[k + 1] & 0x7FFFFFFF)
        x.append(x[k + 397] ^ (y >> 1) ^ (0x9908B0DF if y & 1 else 0))
    words = []
    for y in x[624:]:
        y ^= y >> 11
        y ^= (y << 7) & 0x9D2C5680
        y ^= (y << 15) & 0xEFC60000
        words.append(y ^ (y >> 18))
    w = np.array(words, np.uint64)
    assert same(seeded().uniform(1300), ((w % 2**24) * 2.0**-24).astype(F4))
    wide = (w[0::2] << np.uint64(32)) | w[1::2]
    assert same(seeded().uniform(650, F8), (wide % 2**53) * 2.0**-53)
    assert same(seeded().randint(-3, 4, 1300), (w % 7).astype(np.int64) - 3)


@settings(deadline=None)
@given(st.lists(st.integers(0, 40000), max_size=4), st.sampled_from([F2, F4, F8]))
def test_pieces_are_the_whole(sizes: list[int], dtype: Any) -> None:
    whole, parts = seeded(), seeded()
    for rule in ("uniform", "exponential", "log_normal"):
        x = [getattr(parts, rule)(n, dtype) for n in sizes]
        np.testing.assert_array_equal(getattr(whole, rule)(sum(sizes), dtype), np.concatenate([*x, []]).astype(dtype))


def test_uniform_ranges_are_rounded_once() -> None:
    for low, high in ((-0.37, 0.71), (1e-9, 3e7), (0.1, 0.3), (-3e300, 7e307)):
        u = seeded().uniform(2000, F8)
        exact = [Fraction(x) * Fraction(high - low) + Fraction(low) for x in u.tolist()]
        assert seeded().uniform(2000, F8, low, high).tolist() == [float(x) for x in exact]


def test_uniform_never_reaches_the_upper_end() -> None:
    x = seeded().uniform(200000, F2, 1, 2)
    assert x.min() == 1
    assert x.max() < 2
    assert (x == 1).sum() > 150  # 98 from below, and as many that round up to 2
    assert same(seeded().uniform(4, F4, 2.5, 2.5), np.full(4, 2.5, F4))


# Normal numbers


def box_muller(u1: Any, u2: Any) -> tuple[Any, Any]:
    r = np.sqrt(-2 * np.log1p(-u1))
    return r * np.cos(2 * np.pi * u2), r * np.sin(2 * np.pi * u2)


@pytest.mark.parametrize("n", [1, 2, 7, 15])
def test_fewer_than_16_normals_are_pairs(n: int) -> None:
    u = seeded().uniform(16, F8)
    pairs = np.stack(box_muller(u[1::2], u[0::2]), 1).reshape(-1)
    g = seeded()
    np.testing.assert_allclose(g.normal(n, F8), pairs[:n], rtol=1e-14)
    np.testing.assert_allclose(g.normal(1, F8), pairs[n : n + 1], rtol=1e-14)


@pytest.mark.parametrize(("dtype", "tolerance"), [(F4, 1e-6), (F8, 1e-14)])
@pytest.mark.parametrize("n", [16, 17, 31, 32, 100])
def test_16_normals_and_more_are_blocks(n: int, dtype: Any, tolerance: float) -> None:
    source = seeded()
    u = source.uniform(n, dtype)
    blocks = [u[i : i + 16] for i in range(0, n - 15, 16)]
    expected = np.zeros(n, F8)
    for i, block in enumerate(blocks):
        expected[16 * i : 16 * i + 16] = np.concatenate(box_muller(*block.astype(F8).reshape(2, 8)))
    if n % 16:
        last = source.uniform(16, dtype).astype(F8)
        expected[n - 16 :] = np.concatenate(box_muller(*last.reshape(2, 8)))
    g = seeded()
    np.testing.assert_allclose(g.normal(n, dtype), expected, tolerance, tolerance)
    assert same(g.uniform(3), source.uniform(3))


def test_a_rest_in_float16_has_no_first_draw() -> None:
    g, source = seeded(), seeded()
    g.normal(40, F2)
    source.uniform(32 + 16)
    assert same(g.uniform(3), source.uniform(3))


def test_the_spare_normal_outlives_blocks_but_no_seed() -> None:
    g = seeded()
    a, _, b = g.normal(1), g.normal(64), g.normal(1)
    assert same(np.concatenate([a, b]), seeded().normal(2))
    g.normal(1)
    assert same(g.manual_seed(42).normal(2), seeded().normal(2))


def test_the_paths_are_chosen_by_size_and_order() -> None:
    assert not np.allclose(seeded().normal((4, 5)), seeded().normal((4, 5), contiguous=False))
    assert same(seeded().normal((3, 5)), seeded().normal((3, 5), contiguous=False))
    assert same(seeded().normal(20, contiguous=False)[:15], seeded().normal(15))


def test_float32_normals_are_close_to_the_exact_ones() -> None:
    u = seeded().uniform(10**6).astype(F8).reshape(-1, 2, 8)
    exact = np.stack(box_muller(u[:, 0], u[:, 1]), 1).reshape(-1)
    assert np.abs(seeded().normal(10**6) - exact).max() < 2.5e-6  # float32 of angles up to 2 pi
    assert seeded().normal(48, F4, 3, 0).tolist() == [3] * 48
    assert np.isinf(seeded().normal(48, F8, 0, math.inf)).all()


def test_truncated_normals_stay_inside() -> None:
    for args in (
        (0, 1, -2, 2),
        (0, 0.02, -0.04, 0.04),
        (0, 1, 2, 5),
        (3, 0.1, -1, 2.9),
        (0, 1, 1, 1),
    ):
        x = seeded().trunc_normal(5000, F4, *args)
        assert args[2] <= x.min() <= x.max() <= args[3]
    x = seeded().trunc_normal(200000, F8, 0, 1, 1, 3)
    phi = np.exp(np.array([1, 9]) / -2) / math.sqrt(2 * math.pi)
    mass = (math.erf(3 / math.sqrt(2)) - math.erf(1 / math.sqrt(2))) / 2
    assert abs(x.mean() - (phi[0] - phi[1]) / mass) < 5 * 0.42 / math.sqrt(x.size)
    z = seeded().normal(200, contiguous=False)
    x = seeded().trunc_normal(200, contiguous=False)
    assert ((x == z) == (np.abs(z) <= 2)).all()


# Integers


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.int16, np.int32, np.int64])
def test_every_integer_of_a_dtype_can_be_drawn(dtype: Any) -> None:
    info = np.iinfo(dtype)
    x = seeded().randint(int(info.min), int(info.max) + 1, 40000, dtype)
    assert x.dtype == dtype
    quarter = (int(info.max) - int(info.min)) // 4
    for i in range(4):
        low = int(info.min) + i * quarter
        assert 0.22 < ((x >= low) & (x <= low + quarter)).mean() < 0.28


def test_floating_dtypes_hold_integers_too() -> None:
    assert same(seeded().randint(-3, 9, 50, F2), seeded().randint(-3, 9, 50).astype(F2))
    x = seeded().random_(50000, F2)
    assert (x.min(), x.max()) == (0, 2048)


@settings(deadline=None)
@given(st.integers(0, 300))
def test_randperm_exchanges(n: int) -> None:
    g, source, order = seeded(), seeded(), list(range(n))
    for i in range(n - 1):
        j = i + int(source.randint(0, n - i, ()))
        order[i], order[j] = order[j], order[i]
    assert g.randperm(n).tolist() == order
    assert same(g.uniform(2), source.uniform(2))


# Bernoulli and multinomial


def test_bernoulli() -> None:
    p = np.linspace(0, 1, 12, dtype=F4).reshape(3, 4)
    x = seeded().bernoulli((3, 4), np.bool_, p)
    assert same(x, seeded().uniform((3, 4)) < p)
    row = seeded().bernoulli((5, 4), np.int64, p[1])
    assert same(row, (seeded().uniform((5, 4)) < p[1]).astype(np.int64))
    assert same(seeded().bernoulli(9, F4, p.astype(F2)[0, :1]), seeded().bernoulli(9, F4, np.zeros(1)))
    assert not seeded().bernoulli(1000, F4, 0.0).any()
    assert seeded().bernoulli(1000, F4, 1.0).all()


def test_multinomial_shapes_and_frequencies() -> None:
    p = np.array([0.0, 3.0, 0.0, 1.0])
    x = seeded().multinomial(np.tile(p, (20000, 1)), 1)
    assert x.shape == (20000, 1)
    assert set(x.flat) == {1, 3}
    assert abs((x == 1).mean() - 0.75) < 0.015
    x = seeded().multinomial(p, 20000, replacement=True)
    assert set(x) == {1, 3}
    assert abs((x == 1).mean() - 0.75) < 0.015
    x = seeded().multinomial(np.ones((50, 6), F4), 6)
    assert (np.sort(x) == np.arange(6)).all()
    assert seeded().multinomial(np.ones((0, 4), F4), 2).shape == (0, 2)
    assert seeded().multinomial(np.ones((0, 4), F4), 2, replacement=True).shape == (0, 2)
    half = np.array([1, 2, 3], F2)
    rows = np.broadcast_to(half, (7, 3))
    assert same(seeded().multinomial(rows, 2), seeded().multinomial(rows.copy(), 2))


# State, copies, threads


def test_the_state_is_pytorchs() -> None:
    g = seeded()
    g.uniform(5)
    g.normal(1)
    state = g.get_state()
    assert (state.dtype, state.shape) == (np.uint8, (5056,))
    assert zlib.crc32(state.tobytes()) == 0xE45A1AA2
    g.normal(1)
    g.uniform(1000)
    assert zlib.crc32(g.get_state().tobytes()) == 0xE5624A52


@pytest.mark.parametrize("drawn", [0, 1, 623, 624, 625, 5000])
def test_a_state_goes_on(drawn: int) -> None:
    g, h = seeded(2**63 + 11), Generator()
    g.uniform(drawn)
    g.normal(3)
    state = g.get_state()
    kept = state.copy()
    expected = [g.normal(4), g.normal(33), g.randint(0, 9, 700)]
    assert (state == kept).all()
    h.set_state(state)
    assert h.initial_seed() == 2**63 + 11
    assert all(map(same, expected, [h.normal(4), h.normal(33), h.randint(0, 9, 700)]))


def test_a_fresh_state_of_pytorch() -> None:
    """PyTorch writes next = 0 after seeding, where this generator writes 624."""
    state = seeded().get_state()
    state[16:24] = 0
    g = Generator()
    g.set_state(state.reshape(2, -1))
    assert same(g.uniform(700), seeded().uniform(700))


@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, lambda g: pickle.loads(pickle.dumps(g))])
def test_copies_go_on_independently(duplicate: Callable[[Generator], Generator]) -> None:
    g = seeded()
    g.normal(3)
    h = duplicate(g)
    expected = g.normal(50, contiguous=False)
    assert same(h.normal(50, contiguous=False), expected)
    assert h.initial_seed() == 42


def test_threads_share_a_generator() -> None:
    g, rows = seeded(), []
    threads = [threading.Thread(target=lambda: rows.extend(g.normal(15) for _ in range(100))) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    together = seeded().normal(6000, contiguous=False)
    assert sorted(x.tobytes() for x in rows) == sorted(x.tobytes() for x in together.reshape(-1, 15))


def test_nothing_is_drawn_for_nothing() -> None:
    g = seeded()
    for shape in (0, (0,), (3, 0, 2)):
        for x in (
            g.uniform(shape),
            g.normal(shape),
            g.normal(shape, contiguous=False),
            g.randint(0, 5, shape),
            g.random_(shape),
            g.bernoulli(shape),
            g.exponential(shape),
            g.log_normal(shape),
            g.cauchy(shape),
            g.geometric(shape),
            g.trunc_normal(shape),
        ):
            assert x.shape == (shape if isinstance(shape, tuple) else (shape,))
    g.randperm(0)
    g.randperm(1)
    assert same(g.uniform(3), seeded().uniform(3))
    assert g.uniform(()).shape == ()


def test_memory_order() -> None:
    x = np.zeros((2, 3, 4), F4)
    for view in (x, x.T, x.transpose(1, 2, 0), x[:, ::2].transpose(2, 0, 1), x[None, :, :1].T):
        x[...] = 0
        y = view.transpose(memory_axes(view))
        y[...] = seeded().uniform(y.shape)
        filled = x[x != 0]
        assert same(filled, seeded().uniform(filled.size))
        assert filled.size == view.size
    assert memory_axes(np.broadcast_to(F4(1), (3, 4))) == (0, 1)


def test_the_examples_in_the_docstrings() -> None:
    result = doctest.testmod(module)
    assert result.attempted > 5
    assert result.failed == 0


# Bad input

NAN, INF = math.nan, math.inf
BAD: dict[str, tuple[type[Exception], Draw]] = {
    "manual_seed: .* 64 bits": (ShapeError, lambda g: g.manual_seed(2**64)),
    "manual_seed: .* at most 64": (ShapeError, lambda g: g.manual_seed(-(2**63) - 1)),
    "'float' object": (TypeError, lambda g: g.manual_seed(1.5)),
    "Generator: .* not 'cuda'": (ShapeError, lambda g: Generator("cuda")),
    "set_state: .* not float32": (DtypeError, lambda g: g.set_state(np.zeros(5056, F4))),
    "set_state: .* 5056 bytes, not 100": (
        ShapeError,
        lambda g: g.set_state(np.zeros(100, np.uint8)),
    ),
    "set_state: .* left 0": (ShapeError, lambda g: g.set_state(np.zeros(5056, np.uint8))),
    "set_state: .* 32 bits": (
        ShapeError,
        lambda g: g.set_state(g.get_state() | (np.arange(5056) == 30).astype(np.uint8)),
    ),
    "uniform: low 1 lies above high 0": (ShapeError, lambda g: g.uniform(3, F4, 1, 0)),
    "uniform: .* high inf": (ShapeError, lambda g: g.uniform(3, F4, 0, INF)),
    "uniform: low nan": (ShapeError, lambda g: g.uniform(3, F4, NAN, 1)),
    "uniform: .* no float16": (ShapeError, lambda g: g.uniform(3, F2, 0, 70000)),
    "uniform: .* distance is no float32": (ShapeError, lambda g: g.uniform(3, F4, -3e38, 3e38)),
    "uniform: .* not int64": (DtypeError, lambda g: g.uniform(3, np.int64)),
    "uniform: .* complex64": (DtypeError, lambda g: g.uniform(3, np.complex64)),
    r"uniform: the shape \(2, -3\)": (ShapeError, lambda g: g.uniform((2, -3))),
    "'float' object cannot": (TypeError, lambda g: g.uniform((2.0,))),
    r"uniform: no room for \(4611686018427387904,\)": (
        OutOfMemoryError,
        lambda g: g.uniform(2**62),
    ),
    "normal: no room": (OutOfMemoryError, lambda g: g.normal((2**40, 2**40))),
    "normal: std .* -1": (ShapeError, lambda g: g.normal(3, F4, 0, -1)),
    "normal: std .* nan": (ShapeError, lambda g: g.normal(30, F4, 0, NAN)),
    "normal: .* not int32": (DtypeError, lambda g: g.normal(3, np.int32)),
    "log_normal: std .* 0": (ShapeError, lambda g: g.log_normal(3, F4, 0, 0)),
    "log_normal: .* not bool": (DtypeError, lambda g: g.log_normal(3, np.bool_)),
    "trunc_normal: no normal .* std 0": (ShapeError, lambda g: g.trunc_normal(3, F4, 0, 0)),
    r"trunc_normal: the interval \[2, 1\]": (
        ShapeError,
        lambda g: g.trunc_normal(3, F4, 0, 1, 2, 1),
    ),
    "trunc_normal: .* too rare": (ShapeError, lambda g: g.trunc_normal(3, F4, 0, 1, 5, 1e30)),
    r"randint: the range \[3, 3\) is empty": (ShapeError, lambda g: g.randint(3, 3, 2)),
    "randint: uint8 holds .* 255": (ShapeError, lambda g: g.randint(0, 257, 2, np.uint8)),
    "randint: uint8 holds .* from 0": (ShapeError, lambda g: g.randint(-1, 9, 2, np.uint8)),
    "randint: float32 holds .* 16777216": (ShapeError, lambda g: g.randint(0, 2**25, 2, F4)),
    "randint: int64 holds": (ShapeError, lambda g: g.randint(0, 2**63 + 1, 2)),
    "randint: .* uint16": (DtypeError, lambda g: g.randint(0, 2, 2, np.uint16)),
    "'float' object cannot be": (TypeError, lambda g: g.randint(0, 5.0, 2)),
    "random_: the range": (ShapeError, lambda g: g.random_(2, np.int8, 128)),
    "randperm: .* not -1": (ShapeError, lambda g: g.randperm(-1)),
    "randperm: .* not 214748364": (ShapeError, lambda g: g.randperm(214748364)),
    "bernoulli: p .* 1.5": (ShapeError, lambda g: g.bernoulli(3, F4, 1.5)),
    "bernoulli: p .* nan": (ShapeError, lambda g: g.bernoulli(0, F4, NAN)),
    "bernoulli: p has values": (ShapeError, lambda g: g.bernoulli(2, F4, np.array([0.5, NAN]))),
    "bernoulli: .* not int64": (DtypeError, lambda g: g.bernoulli(2, F4, np.array([1, 0]))),
    r"bernoulli: p \(3,\) .* \(2,\)": (ShapeError, lambda g: g.bernoulli(2, F4, np.ones(3))),
    "exponential: the rate .* 0": (ShapeError, lambda g: g.exponential(3, F4, 0)),
    "exponential: .* not int64": (DtypeError, lambda g: g.exponential(3, np.int64)),
    "cauchy: sigma .* 0": (ShapeError, lambda g: g.cauchy(3, F4, 0, 0)),
    "geometric: p .* 1": (ShapeError, lambda g: g.geometric(3, F4, 1)),
    "geometric: .* bool": (DtypeError, lambda g: g.geometric(3, np.bool_)),
    r"multinomial: p is .* \(1, 1, 2\)": (
        ShapeError,
        lambda g: g.multinomial(np.ones((1, 1, 2)), 1),
    ),
    "multinomial: p has 0 categories": (ShapeError, lambda g: g.multinomial(np.ones((0, 0)), 1)),
    "multinomial: num_samples .* 0": (ShapeError, lambda g: g.multinomial(WEIGHTS, 0)),
    "multinomial: 28 samples of 27": (ShapeError, lambda g: g.multinomial(WEIGHTS, 28)),
    "multinomial: .* negative": (ShapeError, lambda g: g.multinomial(-WEIGHTS, 1)),
    "multinomial: .* NaN": (ShapeError, lambda g: g.multinomial(WEIGHTS * F4(NAN), 1)),
    "multinomial: .* all 0": (ShapeError, lambda g: g.multinomial(np.eye(3)[:, 1:], 2)),
    "multinomial: .* overflows float32": (
        ShapeError,
        lambda g: g.multinomial(np.full(2, 3e38, F4), 2, replacement=True),
    ),
    "multinomial: .* not int64": (DtypeError, lambda g: g.multinomial(np.array([1, 2]), 1)),
}


@pytest.mark.parametrize("message", BAD)
def test_bad_input_is_named_before_anything_is_drawn(message: str) -> None:
    error, draw = BAD[message]
    g = seeded()
    g.normal(1)
    before = g.get_state()
    with pytest.raises(error, match=message):
        draw(g)
    if "too rare" not in message:
        assert (g.get_state() == before).all()


def test_the_kernels_take_a_generator_and_numbers_of_64_bits() -> None:
    state, few = seeded()._state, np.zeros(3, F4)
    with pytest.raises(TypeError, match="a generator"):
        _core.random_few(few, few, False, 0.0, 1.0)
    for draw in (
        lambda: _core.seed_words(2**70),
        lambda: _core.random_words(state, 2**70),
        lambda: _core.random_order(state, 2**70),
        lambda: _core.random_below(few, state, 2**70, 0),
        lambda: _core.random_few(few, seeded(), False, 0.0, 2**2000),
    ):
        with pytest.raises(TypeError, match="64 bits"):
            draw()
