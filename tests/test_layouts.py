"""Elementwise operators, casts and copies of every dtype and layout: rows that are short, steps, broadcast axes, writes
in place; each against plain NumPy on contiguous copies."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import minitensor as mt
from minitensor import _core
from minitensor.errors import ShapeError

NUMBERS = ("bool", "uint8", "int8", "int16", "int32", "int64", "float32", "float64")
LAYOUTS = {
    "row": ((300, 70), (70,)),
    "column": ((300, 70), (300, 1)),
    "middle": ((30, 1, 37), (1, 20, 37)),
    "outer": ((190, 1), (1, 130)),
    "short": ((7000, 3), (3,)),
    "short column": ((7000, 5), (7000, 1)),
    "long": ((40000,), (1,)),
    "three": ((40, 20, 1, 9), (20, 7, 1)),
}


def draw(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> np.ndarray:
    values = rng.integers(0, 100, shape)
    return (values % 2 == 0) if dtype == "bool" else (values + (0 if "int" in dtype else 0.5)).astype(dtype)


def views(rng: np.random.Generator, dtype: str) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of arrays of one shape, of which at least the first has gaps or another order."""
    a, b = draw(rng, (90, 240), dtype), draw(rng, (90, 240), dtype)
    cube = draw(rng, (20, 30, 40), dtype)
    return [
        (a[:, ::2], b[:, 1::2]),
        (a[::2], b[::2]),
        (a.T, b.T),
        (a.T, b.reshape(240, 90)),
        (cube.transpose(2, 0, 1), cube.transpose(2, 0, 1).copy()),
        (cube[:, 1:4, ::3], cube[:, 2:5, ::3]),
    ]


@pytest.mark.parametrize("dtype", NUMBERS)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_broadcast(dtype: str, layout: str) -> None:
    rng = np.random.default_rng(0)
    x, y = (draw(rng, shape, dtype) for shape in LAYOUTS[layout])
    a, b = mt.from_numpy(x), mt.from_numpy(y)
    for ours, theirs in ((mt.add, np.add), (mt.maximum, np.maximum), (mt.lt, np.less), (mt.ne, np.not_equal)):
        np.testing.assert_array_equal(ours(a, b).numpy(), theirs(x, y))
    chosen = mt.where(mt.lt(a, b), a, b).numpy()
    assert chosen.dtype == x.dtype
    np.testing.assert_array_equal(chosen, np.where(x < y, x, y))


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float32", "float64"])
def test_copies_of_permuted_and_cut_arrays(dtype: str) -> None:
    rng = np.random.default_rng(2)
    for shape in ((3, 40, 5), (17, 2, 35), (70, 33, 18), (1, 9, 4), (5, 6, 7, 9), (2, 14, 3, 16), (33, 1, 4, 20)):
        x = draw(rng, shape, dtype)
        cut = x[tuple(slice(int(rng.integers(2)), None, int(rng.integers(1, 3))) for _ in shape)]
        for array in (x, cut, x[::-1], x[..., ::-1]):
            for order in itertools.permutations(range(x.ndim)):
                turned = array.transpose(order)
                np.testing.assert_array_equal(mt.from_numpy(array.copy()).permute(order).contiguous().numpy(), turned)
                np.testing.assert_array_equal(_core.copy(turned), turned)


@pytest.mark.parametrize("dtype", NUMBERS)
def test_views_and_writes_in_place(dtype: str) -> None:
    rng = np.random.default_rng(1)
    for x, y in views(rng, dtype):
        before, other = x.copy(), y.copy()
        a, b = mt.from_numpy(x), mt.from_numpy(y)
        np.testing.assert_array_equal((a + b).numpy(), before + other)
        np.testing.assert_array_equal(a.contiguous().numpy(), before)
        np.testing.assert_array_equal(a.flip(0).numpy(), before[::-1])
        np.testing.assert_array_equal(a.roll(3, 1).numpy(), np.roll(before, 3, 1))
        owner = x.base if isinstance(x.base, np.ndarray) else x
        outside = owner.copy()
        a.add_(b)
        np.testing.assert_array_equal(x, before + other)
        if dtype not in ("bool",):
            a.copy_(mt.from_numpy(before))
            np.testing.assert_array_equal(x, before)
            np.testing.assert_array_equal(owner, outside)  # what lies between is as it was
            a.fill_(3)
            assert (x == 3).all()
            a.zero_()
            assert not x.any()


def test_operands_that_overlap_the_written_tensor() -> None:
    x = np.arange(100_000, dtype=np.float32)
    expected = x.copy()
    expected[1:] += x[:-1].copy()
    t = mt.from_numpy(x)
    t[1:].add_(t[:-1])
    np.testing.assert_array_equal(x, expected)
    square = mt.arange(40_000.0).reshape(200, 200)
    expected = square.numpy() + square.numpy().T
    square.add_(square.T)
    np.testing.assert_array_equal(square.numpy(), expected)


@pytest.mark.parametrize("source", [*NUMBERS, "float16", "bfloat16"])
@pytest.mark.parametrize("target", [*NUMBERS, "float16", "bfloat16"])
def test_casts(source: str, target: str) -> None:
    """Large casts, which a kernel makes, give what small ones, which NumPy makes, give."""
    rng = np.random.default_rng(2)
    values = rng.integers(0, 2 if source == "bool" else 120, 6000) * (1 if "int" in source else 0.37)
    x = mt.from_numpy(values).to(getattr(mt, source))

    def seen(y: mt.Tensor) -> np.ndarray:
        made = y.to(getattr(mt, target))
        assert made.dtype is getattr(mt, target)
        return made.double().numpy() if target == "bfloat16" else made.numpy()

    small = np.concatenate([seen(x[i : i + 200]) for i in range(0, 6000, 200)])
    np.testing.assert_array_equal(seen(x), small)
    np.testing.assert_array_equal(seen(x.reshape(60, 100).T), small.reshape(60, 100).T)
    np.testing.assert_array_equal(seen(mt.stack([x, x], 1)[:, 1]), small)


@pytest.mark.parametrize("isa", [i for i in mt.cpu.isas() if i != "reference"])
def test_half_precision_to_the_bit(isa: str) -> None:
    with mt.cpu.use(isa):
        every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
        wide = mt.from_numpy(every).to(mt.float32).numpy()
        np.testing.assert_array_equal(wide, every.astype(np.float32))
        # between two neighbours: a little below the middle, the middle, which goes to the even one, and above it
        finite = np.sort(every[np.isfinite(every)]).astype(np.float64)
        middle = ((finite[1:] + finite[:-1]) / 2).astype(np.float32)
        tried = np.concatenate([middle, np.nextafter(middle, np.float32(9e9)), np.nextafter(middle, np.float32(-9e9))])
        tried = np.concatenate([tried, np.array([np.inf, -np.inf, np.nan, 65519.9, 65520, 1e30, 1e-40], np.float32)])
        with np.errstate(over="ignore"):
            expected = tried.astype(np.float16)
        np.testing.assert_array_equal(mt.from_numpy(tried).to(mt.float16).numpy(), expected)


@pytest.mark.parametrize("dtype", ["int64", "int32", "uint8"])
def test_integers_and_numbers(dtype: str) -> None:
    x = mt.arange(100).to(getattr(mt, dtype))
    assert (x + 1).dtype is x.dtype
    assert (x + 1).tolist() == list(range(1, 101))
    assert (x * 2).tolist() == list(range(0, 200, 2))
    assert (x == 3).sum() == 1
    assert mt.clamp(x, 5, 7).tolist() == [min(max(i, 5), 7) for i in range(100)]
    assert (x + 0.5).dtype is mt.float32
    y = x.clone()
    y.add_(2).mul_(1)
    assert y.tolist() == list(range(2, 102))
    with pytest.raises((RuntimeError, OverflowError, TypeError)):
        x + 10**30


def test_threads_make_no_difference() -> None:
    x, y = mt.randn(700, 3), mt.randn(700, 1)
    big = mt.randn(333, 1001)
    results, before = [], mt.get_num_threads()
    for n in (1, 2, 3):
        mt.cpu.set_num_threads(n)
        results.append([(x * y).tolist(), mt.logaddexp(big, big.T.contiguous().reshape(333, 1001)).sum().item()])
    mt.cpu.set_num_threads(before)
    assert results[0] == results[1] == results[2]


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("dtype", ["float32", "int64", "bool", "float16"])
def test_padding_by_own_values(mode: str, dtype: str) -> None:
    rng = np.random.default_rng(3)
    x = draw(rng, (2, 3, 9, 11), dtype)
    theirs = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    padded = mt.nn.functional.pad(mt.from_numpy(x), (3, 2, 1, 4), mode=mode)
    np.testing.assert_array_equal(padded.numpy(), np.pad(x, ((0, 0), (0, 0), (1, 4), (3, 2)), theirs))
    assert padded.numpy().dtype == x.dtype


def test_quotients_rounded_down() -> None:
    rng = np.random.default_rng(4)
    for dtype in (np.float32, np.float64):
        x = (rng.standard_normal(5000) * 50).astype(dtype)
        y = rng.choice(np.array([0.3, -0.7, 2.0, -5.0, 1e-3, np.inf, -np.inf], dtype), 5000)
        np.testing.assert_array_equal(
            mt.floor_divide(mt.from_numpy(x), mt.from_numpy(y)).numpy(), np.floor_divide(x, y)
        )
    by_zero = mt.floor_divide(mt.tensor([1.0, -1.0]), mt.tensor([0.0, 0.0]))
    assert by_zero.tolist() == [np.inf, -np.inf]


def test_masks_write_numbers() -> None:
    x = mt.randn(200, 300)
    mask = x > 0
    expected = np.where(mask.numpy(), np.float32(0.25), x.numpy())
    y = x.clone()
    y[mask] = 0.25
    np.testing.assert_array_equal(y.numpy(), expected)
    z = x.clone()
    z.T.masked_fill_(mask.T, 0.25)
    np.testing.assert_array_equal(z.numpy(), expected)
    with pytest.raises(RuntimeError, match="masked_fill"):
        z.masked_fill_(mask[:, :7], 1.0)


@pytest.mark.parametrize("name", ["remainder_", "fmod_", "floor_divide_"])
def test_integers_are_not_divided_by_zero_in_place(name):
    for divisor in (mt.tensor([1, 0]), 0):
        x = mt.tensor([3, 4])
        with pytest.raises(ShapeError, match="divided by zero"):
            getattr(x, name)(divisor)
        assert x.tolist() == [3, 4]


def test_sum_to_size_counts_in_int64():
    x = mt.tensor([[True, True], [True, False]])
    assert x.sum_to_size(1).tolist() == [3]
    assert x.sum_to_size(2, 1).tolist() == [[2], [1]]
    assert x.sum_to_size(2, 2) is x or mt.equal(x.sum_to_size(2, 2), x)
    assert mt.ones(2, 2, dtype=mt.int32).sum_to_size(1).dtype is mt.int64


@pytest.mark.parametrize(
    ("shape", "dim", "k"), [((4, 3), 0, 5), ((3, 20, 33), 1, 40), ((500, 64), -2, 900), ((7,), 0, 0)]
)
def test_scattering_in_place_is_scattering(shape: tuple[int, ...], dim: int, k: int) -> None:
    rng = np.random.default_rng(5)
    given = list(shape)
    given[dim] = k
    for dtype in (mt.float32, mt.float64, mt.int64):
        x, src = (mt.from_numpy(rng.standard_normal(size) * 9).to(dtype) for size in (shape, given))
        index, slices = (mt.from_numpy(rng.integers(0, shape[dim], size)) for size in (given, k))
        number = 3.0 if dtype.is_floating_point else 3
        for name, at, value in (
            ("scatter", index, src),
            ("scatter", index, number),
            ("scatter_add", index, src),
            ("index_add", slices, src),
            ("index_copy", slices, src),
        ):
            expected = getattr(mt, name)(x, dim, at, value)
            for y in (x.clone(), x.flip(0).flip(0), mt.stack([x, x], -1)[..., 0]):
                before = y._version
                assert getattr(y, name + "_")(dim, at, value) is y
                assert mt.equal(y, expected)
                assert y._version == before + 1


def test_scattering_a_tensor_into_itself() -> None:
    x, turned = mt.randn(4, 4), mt.tensor([3, 2, 1, 0])
    expected = mt.index_copy(x, 0, turned, x.clone())
    assert mt.equal(x.index_copy_(0, turned, x), expected)
    with pytest.raises(IndexError, match="scatter"):
        x.scatter_(0, mt.full((4, 4), 4), 1.0)
    assert mt.equal(x, expected)


@pytest.mark.parametrize("dtype", [np.uint8, np.bool_, np.int16, np.float16])
def test_pixels_from_planes(dtype):
    rng = np.random.default_rng(0)
    for shape in ((3, 5, 7), (3, 300, 301), (2, 70001), (4, 3, 32, 33), (5, 70001), (3, 0, 4)):
        planes = rng.integers(0, 2, shape).astype(dtype)
        x = np.moveaxis(planes, 1 if len(shape) == 4 else 0, -1)
        for view in (x, x[..., ::2], x[1:, ..., 1:]):
            y = mt.from_numpy(view).contiguous()
            assert y.is_contiguous()
            np.testing.assert_array_equal(y.numpy(), view)
