"""Elementwise operators: rounding, special values, conventions at kinks and ties, promotion, errors.

What every operator has in common (derivatives, ISAs, layouts, threads) is in test_ops.py.
"""

from __future__ import annotations

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest

import minitensor as mt
from minitensor import _core
from minitensor.errors import DtypeError, GraphError, ShapeError
from minitensor.ops import activation, arithmetic, comparison, functions, rounding, special, trigonometry

NAN, INF = math.nan, math.inf
LETTERS = {"b": "bool", "u": "uint8", "i": "int32", "l": "int64", "f": "float32", "d": "float64"}


def tensor(values, dtype="float32", **options):
    return mt.tensor(values, dtype=getattr(mt, dtype), **options)


def gradients(f, *values):
    """The gradients of f's sum at each of the values."""
    xs = [tensor(v, requires_grad=True) for v in values]
    f(*xs).backward(mt.ones(len(values[0])))
    return [x.grad.tolist() for x in xs]


@pytest.fixture(params=mt.cpu.isas()[1:])
def isa(request):
    with mt.cpu.use(request.param):
        yield request.param


# --- rounding ---------------------------------------------------------------------------------------------------------


def ulps(have: np.ndarray, want: np.ndarray) -> float:
    """The largest error in units of the last place of have's dtype; `want` is more precise."""
    info = np.finfo(have.dtype)
    spacing = np.maximum(np.exp2(np.floor(np.log2(np.abs(want))) - info.nmant), info.smallest_subnormal)
    return float(np.max(np.abs(have - want) / spacing))


SPREAD = np.concatenate([np.linspace(-1, 1, 4001), np.linspace(-20, 20, 4001), np.linspace(-86, 86, 4001)])
POSITIVE = np.concatenate([np.linspace(0.01, 3, 4001), np.exp(np.linspace(-80, 80, 4001))])
FUNCTIONS = {
    "exp": (functions.exp, np.exp, SPREAD, 0.65),
    "log": (functions.log, np.log, POSITIVE, 0.7),
    "tanh": (functions.tanh, np.tanh, SPREAD, 1.9),
    "expm1": (functions.expm1, np.expm1, SPREAD, 1),
    "sigmoid": (functions.sigmoid, lambda x: 1 / (1 + np.exp(-x)), SPREAD, 1.5),
    "erf": (special.erf, lambda x: np.array([math.erf(v) for v in x]), SPREAD, 1.1),
    "sqrt": (functions.sqrt, np.sqrt, POSITIVE, 0.51),
    "rsqrt": (functions.rsqrt, lambda x: 1 / np.sqrt(x), POSITIVE, 1.4),
    "sin": (trigonometry.sin, np.sin, SPREAD, 0.51),
    "tan": (trigonometry.tan, np.tan, SPREAD, 0.51),
    "atan": (trigonometry.atan, np.arctan, SPREAD, 0.51),
    "cosh": (trigonometry.cosh, np.cosh, SPREAD, 0.51),
    "log2": (functions.log2, np.log2, POSITIVE, 0.51),
    "log10": (functions.log10, np.log10, POSITIVE, 0.51),
    "erfc": (special.erfc, lambda x: np.array([math.erfc(v) for v in x]), np.linspace(-9, 9, 4001), 0.51),
    "softplus": (activation.softplus, lambda x: np.where(x > 20, x, np.log1p(np.exp(np.minimum(x, 20)))), SPREAD, 1.3),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.usefixtures("isa")
def test_float32_rounding(name):
    """Against float64, whose own error does not count here."""
    f, exact, points, allowed = FUNCTIONS[name]
    x = points.astype(np.float32)
    want = exact(x.astype(np.float64))
    seen = want != 0
    assert ulps(f(x)[seen], want[seen]) <= allowed


@pytest.mark.usefixtures("isa")
def test_tanh_everywhere():
    """Every float32 of some binades by steps, both signs: odd, never beyond 1, and 1 from 9.02 on."""
    x = np.arange(0x30000000, 0x42000000, 9973, dtype=np.uint32).view(np.float32)
    y = functions.tanh(x)
    assert ulps(y, np.tanh(x.astype(np.float64))) <= (0.52 if mt.cpu.isa() == "avx512" else 1.9)
    np.testing.assert_array_equal(functions.tanh(-x), -y)
    assert (y <= 1).all()
    assert (y[x > 9.02] == 1).all()


@pytest.mark.parametrize("name", ["exp", "log", "tanh"])
@pytest.mark.usefixtures("isa")
def test_float64_rounding(name):
    """Against decimals of 40 digits."""
    f, _, points, allowed = FUNCTIONS[name]
    x = points[:: len(points) // 300]
    x = x[x != 0]
    y = f(x)
    with localcontext() as context:
        context.prec = 40
        for xi, yi in zip(x.tolist(), y.tolist(), strict=True):
            d = Decimal(xi)
            if name == "exp":
                want = d.exp()
            elif name == "log":
                want = d.ln()
            else:
                e = (2 * d).exp()
                want = (e - 1) / (e + 1)
            assert abs(Decimal(yi) - want) <= Decimal(allowed) * Decimal(math.ulp(float(want))), xi


@pytest.mark.parametrize(("name", "allowed"), [("erf", 3), ("erfc", 8)])
@pytest.mark.usefixtures("isa")
def test_float64_error_functions(name, allowed):
    """Against the C library's."""
    x = np.concatenate([np.linspace(-1, 1, 2001), np.linspace(-7, 26, 4001)])
    y, want = getattr(special, name)(x), [getattr(math, name)(v) for v in x.tolist()]
    assert np.max(np.abs(y - want) / np.spacing(np.abs(want))) <= allowed
    ends = getattr(special, name)(np.array([NAN, INF, -INF, 28.0]))
    assert ends[1:].tolist() == ([1, -1, 1] if name == "erf" else [0, 2, 0])


SPECIAL = [NAN, INF, -INF, 0.0, -0.0, -1.0, 1e38, 1e-42, 89.0, -104.0, 88.5, -90.0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["exp", "log", "tanh", "erf", "sqrt", "sigmoid", "reciprocal", "sign", "abs"])
@pytest.mark.usefixtures("isa")
def test_special_values(name, dtype):
    """NaN, infinities, signed zeros, denormals and the ends of exp's range, in each lane."""
    op = {"exp": functions.EXP, "log": functions.LOG, "tanh": functions.TANH, "erf": special.ERF}.get(name)
    op = op or getattr(functions, name.upper(), None) or getattr(arithmetic, name.upper())
    x = np.array(SPECIAL, dtype)
    with np.errstate(all="ignore"):
        want = op.reference(x)[0]
    for shift in range(19):
        padded = np.concatenate([np.ones(shift, dtype), x])
        have = op.forward(padded)[0][shift:]
        tiny = 2 * np.finfo(dtype).smallest_subnormal
        np.testing.assert_allclose(have, want, rtol=4 * np.finfo(dtype).eps, atol=tiny)
        assert (np.signbit(have) == np.signbit(want))[~np.isnan(want)].all()


ENDS = [NAN, INF, -INF, 0.0, -0.0, -1.0, 1.0, 1e-42, -1e-42, 1e38, -1e38, 2e6, -110.0, -104.0, 89.2, -89.2]


@pytest.mark.parametrize(
    "name",
    "sin cos tan atan asin acos sinh cosh tanh exp exp2 expm1 log2 log10 log1p mish".split(),
)
@pytest.mark.usefixtures("isa")
def test_float32_at_the_ends_is_float64_rounded(name):
    f = getattr(mt, name, None) or getattr(mt.nn.functional, name)
    with np.errstate(all="ignore"):
        x = np.array(ENDS, np.float32)
        have, want = f(mt.tensor(x)).numpy(), f(mt.tensor(x.astype(np.float64))).numpy().astype(np.float32)
    np.testing.assert_allclose(have, want, rtol=3e-7, atol=np.finfo(np.float32).smallest_subnormal)
    assert (np.signbit(have) == np.signbit(want))[~np.isnan(want)].all()


@pytest.mark.parametrize("n", [1, 3, 15, 16, 17, 31, 33, 67])
@pytest.mark.usefixtures("isa")
def test_a_value_is_the_same_wherever_it_stands(n):
    """The body and the tail of a loop agree to the bit."""
    x = np.linspace(-5, 5, 67, dtype=np.float32)
    for f in (_core.exp, _core.tanh, _core.gelu, _core.gelu_tanh, _core.silu, _core.erf):
        assert f(x[:n]).tobytes() == f(x)[:n].tobytes()
        assert f(x[-n:]).tobytes() == f(x)[-n:].tobytes()


# --- broadcasting and layouts -----------------------------------------------------------------------------------------

SHAPES = [
    ((3, 4), (3, 4)),
    ((5, 1, 67), (3, 1)),
    ((), (4,)),
    ((1000, 3), (3,)),
    ((40, 100), (40, 1)),
    ((2, 3, 4, 5), (3, 1, 1)),
    ((0, 3), (1, 3)),
    ((1, 1), ()),
]


@pytest.mark.parametrize(("a", "b"), SHAPES)
def test_broadcasting_is_numpys(a, b):
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal(a), rng.standard_normal(b)
    np.testing.assert_array_equal(_core.sub(x, y), x - y)
    np.testing.assert_array_equal(_core.sub(y, x), y - x)


@pytest.mark.parametrize("cut", [np.s_[::-1], np.s_[:, ::2], np.s_[::3, 5:90:7], np.s_[:0], np.s_[7]])
def test_any_layout_is_walked(cut):
    x = np.random.default_rng(0).standard_normal((70, 130))
    np.testing.assert_array_equal(_core.mul(x[cut], x[cut][::-1]), x[cut] * x[cut][::-1])
    np.testing.assert_array_equal(_core.add(x.T[cut], x.T[cut]), x.T[cut] * 2)
    np.testing.assert_array_equal(_core.copy(x[cut]), x[cut])
    np.testing.assert_array_equal(_core.copy(x.T[cut]), x.T[cut])


@pytest.mark.parametrize("order", [(0, 1, 2), (0, 2, 1), (2, 1, 0), (1, 2, 0), (2, 0, 1), (1, 0, 2)])
@pytest.mark.parametrize("sizes", [(5, 65, 70), (2, 3, 9001), (3, 6, 41), (1, 7, 3)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.usefixtures("isa")
def test_copy_of_transposed(order, dtype, sizes):
    x = np.arange(math.prod(sizes), dtype=dtype).reshape(sizes).transpose(order)
    y = _core.copy(x)
    assert y.flags.c_contiguous
    np.testing.assert_array_equal(y, x)


def test_expanded_operands():
    x = np.broadcast_to(np.float32(3), (50, 60))
    np.testing.assert_array_equal(_core.mul(x, x), np.full((50, 60), 9))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [3, 47, 48, 49, 100])
def test_transposed_beside_contiguous_operands(n, dtype):
    rng = np.random.default_rng(n)
    x, y = (rng.standard_normal(shape).astype(dtype) for shape in ((130, 70, n), (130, n, 70)))
    turned, column, condition = y.transpose(0, 2, 1), x[:, :, :1], y.transpose(0, 2, 1) > 0
    np.testing.assert_array_equal(_core.sub(x, turned), x - turned)
    np.testing.assert_array_equal(_core.sub(turned, x[0]), turned - x[0])
    np.testing.assert_array_equal(_core.sub(column, turned), column - turned)
    np.testing.assert_array_equal(_core.where(x, turned, condition), np.where(condition, x, turned))


# --- conventions ------------------------------------------------------------------------------------------------------


def test_gradients_at_kinks():
    """PyTorch's choices, obtained from PyTorch 2.13."""
    assert gradients(functions.relu, [0.0, 1.0, NAN]) == [[0.0, 1.0, 1.0]]
    assert gradients(functions.abs, [0.0, -2.0, NAN]) == [[0.0, -1.0, 0.0]]
    assert gradients(functions.sqrt, [0.0]) == [[INF]]
    assert gradients(functions.rsqrt, [0.0]) == [[-INF]]
    assert gradients(lambda x: activation.leaky_relu(x, 0.5), [0.0, -1.0, NAN]) == [[0.5, 0.5, 0.5]]
    clamped = [[0.0, 1.0, 1.0, 0.0]]
    assert gradients(lambda x: comparison.clamp(x, -1, 1), [NAN, -1.0, 1.0, 2.0]) == clamped


def test_gradients_at_ties():
    halves = gradients(comparison.maximum, [NAN, 1.0, 2.0, 2.0], [1.0, NAN, 2.0, 1.0])
    assert halves == [[1.0, 1.0, 0.5, 1.0], [1.0, 1.0, 0.5, 0.0]]
    halves = gradients(comparison.minimum, [NAN, 1.0, 2.0, 2.0], [1.0, NAN, 2.0, 1.0])
    assert halves == [[1.0, 1.0, 0.5, 0.0], [1.0, 1.0, 0.5, 1.0]]
    bounds = [[-1.0] * 4, [1.0] * 4]
    assert gradients(comparison.clamp, [-2.0, -1.0, 1.0, 2.0], *bounds) == [
        [0.0, 1.0, 1.0, 0.0],
        [1.0, 0.0, 0.0, 0.0],
        [0.0, 0.0, 0.0, 1.0],
    ]


def test_gradients_of_pow():
    assert gradients(lambda x: functions.pow(x, 0), [0.0, NAN]) == [[0.0, 0.0]]
    assert gradients(lambda x: functions.pow(x, 0.5), [0.0, 4.0]) == [[INF, 0.25]]
    dx, dy = gradients(functions.pow, [0.0, 0.0, 2.0, -2.0], [0.0, 2.0, 0.0, 2.0])
    assert dx == [0.0, 0.0, 0.0, -4.0]
    assert dy[:3] == [0.0, 0.0, pytest.approx(math.log(2))]
    assert math.isnan(dy[3])


def test_gradients_of_rounded_quotients():
    x, y = [5.0, -3.0], [2.0, 2.0]
    assert gradients(arithmetic.floor_divide, x, y) == [[0.0, 0.0], [0.0, 0.0]]
    assert gradients(arithmetic.remainder, x, y) == [[1.0, 1.0], [-2.0, 2.0]]
    assert gradients(arithmetic.fmod, x, y) == [[1.0, 1.0], [-2.0, 1.0]]
    assert gradients(rounding.floor, [1.5]) == [[0.0]]


def test_nan_passes_through():
    x = tensor([NAN, 1.0])
    assert math.isnan(functions.relu(x)[0].item())
    assert math.isnan(comparison.maximum(x, tensor([2.0, 2.0]))[0].item())
    assert math.isnan(comparison.maximum(tensor([2.0, 2.0]), x)[0].item())
    assert math.isnan(comparison.clamp(x, 0, 1)[0].item())
    assert math.isnan(comparison.clamp(x, tensor(0.0), tensor(1.0))[0].item())


def test_softplus_turns_linear_at_the_threshold():
    (g,) = gradients(lambda x: activation.softplus(x, 2, 3), [1.5, 2.0, NAN])
    assert g[:2] == [pytest.approx(0.9525741), 1.0]
    assert math.isnan(g[2])


def test_quotients():
    x, y = tensor([7, -7], "int64"), tensor([2, 2], "int64")
    assert arithmetic.div(x, y).tolist() == [3.5, -3.5]
    assert arithmetic.div(x, y, rounding_mode="floor").tolist() == [3, -4]
    assert arithmetic.div(x, y, rounding_mode="trunc").tolist() == [3, -3]
    assert arithmetic.remainder(x, 3).tolist() == [1, 2]
    assert arithmetic.fmod(x, 3).tolist() == [1, -1]
    assert arithmetic.floor_divide(tensor([1.0, -1.0]), 0).tolist() == [INF, -INF]
    assert arithmetic.remainder(tensor([-1.0]), INF).tolist() == [INF]


def test_integer_powers():
    assert functions.pow(tensor([2, 1, -1, -1], "int64"), tensor([-1, -1, -3, -2], "int64")).tolist() == [0, 1, -1, 1]
    assert functions.pow(tensor([3], "int32"), 4).tolist() == [81]
    assert functions.pow(2, tensor([3], "int64")).tolist() == [8]
    with pytest.raises(ShapeError, match=r"pow: integers to the negative integer power -1"):
        functions.pow(tensor([2], "int64"), -1)


def test_round_decimals():
    assert rounding.round(tensor([0.5, 1.5, -2.5])).tolist() == [0.0, 2.0, -2.0]
    assert rounding.round(tensor([1.24]), decimals=1).item() == pytest.approx(1.2)
    assert rounding.round(tensor([1250.0]), decimals=-2).item() == 1200.0


def test_where_alone_gives_the_places():
    rows, cols = comparison.where(tensor([[True, False], [False, True]], "bool"))
    assert (rows.tolist(), cols.tolist()) == ([0, 1], [0, 1])


# --- promotion: PyTorch 2.13's results, a row for each left dtype, a letter for each right one ------------------------

COMMON = ["builfd", "uuilfd", "iiilfd", "llllfd", "fffffd", "dddddd"]
COMMON_0D = ["builfd", "uuuufd", "iiiifd", "llllfd", "ffffff", "dddddd"]
COMMON_NUMBER = ["blf", "uuf", "iif", "llf", "fff", "ddd"]
TRUE_QUOTIENT = ["fffffd", "fffffd", "fffffd", "fffffd", "fffffd", "dddddd"]


@pytest.mark.parametrize(
    ("f", "vectors", "scalars", "numbers"),
    [
        (arithmetic.add, COMMON, COMMON_0D, COMMON_NUMBER),
        (arithmetic.mul, COMMON, COMMON_0D, COMMON_NUMBER),
        (comparison.maximum, COMMON, COMMON_0D, COMMON_NUMBER),
        (arithmetic.div, TRUE_QUOTIENT, [*TRUE_QUOTIENT[:4], "ffffff", "dddddd"], ["fff"] * 5 + ["ddd"]),
    ],
)
def test_promotion(f, vectors, scalars, numbers):
    letters = list(LETTERS)
    for i, a in enumerate(letters):
        x = mt.ones(2, dtype=getattr(mt, LETTERS[a]))
        for j, b in enumerate(letters):
            d = getattr(mt, LETTERS[b])
            assert f(x, mt.ones(2, dtype=d)).dtype == getattr(mt, LETTERS[vectors[i][j]]), (a, b)
            assert f(x, mt.ones((), dtype=d)).dtype == getattr(mt, LETTERS[scalars[i][j]]), (a, b)
        for j, number in enumerate((True, 2, 2.5)):
            assert f(x, number).dtype == getattr(mt, LETTERS[numbers[i][j]]), (a, number)


@pytest.mark.parametrize(
    ("f", "want"),
    [
        (functions.exp, "fffffd"),
        (functions.sigmoid, "fffffd"),
        (trigonometry.sin, "fffffd"),
        (arithmetic.reciprocal, "fffffd"),
        (arithmetic.square, "luilfd"),
        (functions.sign, "builfd"),
        (functions.abs, "-uilfd"),
        (arithmetic.neg, "-uilfd"),
        (rounding.floor, "-uilfd"),
        (functions.relu, "-uilfd"),
        (activation.gelu, "----fd"),
        (comparison.isnan, "bbbbbb"),
        (comparison.logical_not, "bbbbbb"),
    ],
)
def test_promotion_of_one(f, want):
    for letter, result in zip(LETTERS, want, strict=True):
        x = mt.ones(2, dtype=getattr(mt, LETTERS[letter]))
        if result == "-":
            with pytest.raises(DtypeError, match=f.__name__):
                f(x)
        else:
            assert f(x).dtype == getattr(mt, LETTERS[result])


# --- errors -----------------------------------------------------------------------------------------------------------


def test_errors_name_the_operator_and_the_sizes():
    a, b = mt.ones(3, 4), mt.ones(5)
    for f in (arithmetic.add, arithmetic.div, comparison.maximum, functions.pow, comparison.eq, trigonometry.atan2):
        with pytest.raises(ShapeError, match=rf"^{f.__name__}: shapes \(3, 4\) and \(5,\) do not broadcast$"):
            f(a, b)
    with pytest.raises(ShapeError, match=r"where: shapes \(3, 4\) and \(5,\) and \(3, 4\) do not broadcast"):
        comparison.where(comparison.gt(a, 0), a, b)


def test_bad_arguments():
    flags, whole = tensor([True], "bool"), tensor([1], "int64")
    for wrong in (flags, True):
        with pytest.raises(DtypeError, match="sub"):
            arithmetic.sub(whole, wrong)
    with pytest.raises(DtypeError, match="alpha"):
        arithmetic.add(whole, whole, alpha=0.5)
    with pytest.raises(ShapeError, match="divided by zero"):
        arithmetic.floor_divide(whole, 0)
    with pytest.raises(ShapeError, match="divided by zero"):
        arithmetic.remainder(whole, 0)
    with pytest.raises(ShapeError, match="rounding_mode"):
        arithmetic.div(whole, whole, rounding_mode="up")
    with pytest.raises(ShapeError, match="min and max"):
        comparison.clamp(whole)
    with pytest.raises(ShapeError, match="approximate"):
        activation.gelu(tensor([1.0]), approximate="sigmoid")
    with pytest.raises(DtypeError, match="condition"):
        comparison.where(whole, 1, 2)
    with pytest.raises(DtypeError, match="expected a tensor or a number, got str"):
        arithmetic.add(whole, "1")
    with pytest.raises(DtypeError, match="does not fit"):
        arithmetic.add(tensor([1], "uint8"), 300)


# --- out=... ----------------------------------------------------------------------------------------------------------


def test_out_is_written_and_returned():
    x, out = tensor([1.0, 2.0]), tensor([0.0, 0.0])
    assert mt.add(x, 10, out=out) is out
    assert out.tolist() == [11, 12]
    assert mt.mul(out, out, out=out).tolist() == [121, 144]  # complete before it is written
    half = tensor([0.0] * 4)
    mt.sub(x, 1, out=half[::2])
    assert half.tolist() == [0, 0, 1, 0]
    square = mt.arange(9.0).reshape(3, 3)
    assert mt.add(square, square.t(), out=square).tolist() == [[0, 4, 8], [4, 8, 12], [8, 12, 16]]
    assert mt.exp(tensor([0, 0]), out=out).tolist() == [1, 1]
    assert mt.add(tensor([1, 2]), 1.5, out=out).tolist() == [2.5, 3.5]
    assert mt.mul(mt.ones(3, 1), mt.ones(2), out=mt.empty(3, 2)).tolist() == [[1, 1]] * 3
    view, base = half[1:3], half * 1
    assert mt.add(view, 1, out=half[:2]).tolist() == (base[1:3] + 1).tolist()


def test_out_of_another_shape_or_dtype():
    x = tensor([1.5, 2.5])
    empty = mt.empty(0)
    assert mt.add(x, 1, out=empty) is empty
    assert empty.tolist() == [2.5, 3.5]
    with pytest.warns(UserWarning, match=r"add: out of shape \(3,\)"):
        assert mt.add(x, 1, out=mt.zeros(3)).tolist() == [2.5, 3.5]
    assert mt.add(x, 1, out=tensor([0, 0], "float64")).dtype is mt.float64
    integers = tensor([7, 7], "int64")
    with pytest.raises(DtypeError, match="float32 result cannot be written into a int64"):
        mt.add(x, 1, out=integers)
    assert integers.tolist() == [7, 7]
    with pytest.raises(TypeError, match="out must be a tensor"):
        mt.add(x, 1, out=np.zeros(2))


def test_out_is_not_recorded_and_counts_as_a_write():
    x, w = tensor([1.0, 2.0]), tensor([3.0, 4.0], requires_grad=True)
    with pytest.raises(GraphError, match="not recorded"):
        mt.mul(x, w, out=mt.zeros(2))
    with mt.no_grad():
        assert mt.mul(x, w, out=mt.zeros(2)).tolist() == [3, 8]
        assert mt.add(w, 1, out=w) is w
        assert w.requires_grad
        assert w.tolist() == [4, 5]
    with pytest.raises(GraphError, match="not recorded"):
        mt.add(x, 1, out=w)
    y = w * x
    mt.add(x, 1, out=x)
    with pytest.raises(GraphError, match="overwritten"):
        y.sum().backward()


# --- accuracy: against long doubles, in units of the last place -------------------------------------------------------

ULPS = {  # measured on all instruction sets: at most these, rounded up
    "exp": 1.0,
    "exp2": 1.1,
    "expm1": 2.0,
    "log": 1.0,
    "log1p": 1.5,
    "sin": 2.1,
    "cos": 2.1,
    "tanh": 2.5,
    "sigmoid": 2.3,
}
EXACT = {
    **{name: getattr(np, name) for name in ULPS if name != "sigmoid"},
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}


def arguments(name, dtype):
    rng = np.random.default_rng(0)
    wide = rng.uniform(-80, 80, 20_000)
    small = np.exp(rng.uniform(-20, 4, 10_000)) * rng.choice([-1, 1], 10_000)
    x = np.concatenate([rng.uniform(-3, 3, 20_000), wide, small])
    if name in ("sin", "cos"):  # close to their zeros, up to the largest that the vectors take
        x = np.concatenate([x, np.arange(1, 20_000) * (np.pi / 2), rng.uniform(-(2**20), 2**20, 20_000)])
    if name in ("log", "log1p"):
        x = np.abs(x)
    return x.astype(dtype)


@pytest.mark.skipif(np.finfo(np.longdouble).nmant < 63, reason="long doubles are no longer than doubles here")
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ULPS)
def test_functions_are_right_to_the_last_places(name, dtype):
    x = arguments(name, dtype)
    exact = EXACT[name](x.astype(np.longdouble))
    step = np.spacing(np.abs(exact.astype(dtype))).astype(np.longdouble)
    for isa in mt.cpu.isas()[1:]:
        with mt.cpu.use(isa):
            y = getattr(mt, name)(mt.tensor(x)).numpy()
        assert (np.abs(y - exact) / step).max() <= ULPS[name], isa


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["sin", "cos"])
def test_sine_of_large_numbers_and_of_none(name, dtype):
    x = np.array([2.0**20, 1e6, 1e8, -3e7, 1e30, 0.0, -0.0, np.inf, -np.inf, np.nan] + [0.5] * 30, dtype)
    with np.errstate(invalid="ignore"):
        exact = getattr(np, name)(x.astype(np.longdouble))
    y = getattr(mt, name)(mt.tensor(x)).numpy()
    np.testing.assert_allclose(y, exact.astype(dtype), rtol=4 * np.finfo(dtype).eps)
    np.testing.assert_array_equal(np.signbit(y[5:7]), np.signbit(exact[5:7]))


# --- what is small, transposed or written in place --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exponentials_below_the_normal_range(dtype, isa):
    low = -104 if dtype == "float32" else -746
    x = np.linspace(low, low * 0.83, 4001).astype(dtype)
    least = np.finfo(dtype).smallest_subnormal
    for have, want in ((mt.exp(mt.tensor(x)), np.exp), (mt.sigmoid(mt.tensor(x)), np.exp)):
        exact = want(x.astype(np.longdouble))
        error = np.abs(have.numpy() - exact) / np.maximum(exact * np.finfo(dtype).eps, least)
        assert error.max() < 2


@pytest.mark.parametrize("order", [(1, 0, 2), (2, 1, 0), (0, 2, 1)])
def test_results_lie_in_memory_as_their_arguments(order):
    rng = np.random.default_rng(0)
    a, b = (mt.tensor(rng.standard_normal((7, 30, 40), np.float32)).permute(order) for _ in range(2))
    for f in (lambda x, y: mt.exp(x), lambda x, y: x * y, lambda x, y: x + 2, lambda x, y: x > y):
        y = f(a, b)
        assert y.stride() == a.stride()
        assert (y == f(a.contiguous(), b.contiguous())).all()
    if mt.cpu.isa() == "reference":
        return  # NumPy has rules of its own for arguments
    assert (a + b.contiguous()).stride() == a.stride()  # which lie in two orders: the first says how
    assert (a.contiguous() + b).is_contiguous()
    assert (a - b.mean(0, keepdim=True).contiguous()).stride() == a.stride()


def test_gradients_through_transposed_results():
    x = mt.randn(6, 5, dtype=mt.float64, requires_grad=True)
    mt.autograd.gradcheck(lambda x: (x.t().tanh() * x.t().exp()).reshape(-1)[3:].sum(), (x,))


def test_writes_in_place_keep_the_memory():
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 300, 70), np.float32)
    cases = {
        "add_": ((b,), {}, a + b),
        "sub_": ((b,), {"alpha": 0.5}, a - np.float32(0.5) * b),
        "mul_": ((3.0,), {}, a * 3),
        "div_": ((b,), {}, a / b),
        "exp_": ((), {}, np.exp(a)),
        "lerp_": ((b, 0.25), {}, a + 0.25 * (b - a)),
        "addcmul_": ((b, b), {"value": -0.5}, a - 0.5 * b * b),
        "addcdiv_": ((b, b + 9), {"value": 2}, a + 2 * b / (b + 9)),
    }
    for name, (args, options, want) in cases.items():
        x = mt.tensor(a)
        place, view = x.data_ptr(), x[1:3]
        given = [mt.tensor(v) if isinstance(v, np.ndarray) else v for v in args]
        assert getattr(x, name)(*given, **options) is x
        assert x.data_ptr() == place
        np.testing.assert_allclose(x.numpy(), want, 2e-5, 1e-6)
        assert (view == x[1:3]).all()


def test_writes_in_place_of_memory_that_is_read():
    x = mt.arange(1000.0)
    want = x.clone()
    want[1:] = x[1:].clone() + x[:-1].clone()
    x[1:].add_(x[:-1])  # overlaps, one off
    assert (x == want).all()
    y = mt.arange(6.0).reshape(2, 3)
    assert y.mul_(y).tolist() == [[0, 1, 4], [9, 16, 25]]
    z = mt.arange(9.0).reshape(3, 3)
    assert (z.add_(z.t()) == mt.tensor([[0.0, 4, 8], [4, 8, 12], [8, 12, 16]])).all()


def test_writes_in_place_in_and_outside_the_graph():
    w = mt.tensor([1.0, 2.0], requires_grad=True)
    y = w * 2
    z = y.exp()
    y.add_(1.0)  # exp saved its own output, not y
    (y.sum() + z.sum()).backward()
    assert mt.allclose(w.grad, 2 + 2 * mt.exp(mt.tensor([2.0, 4.0])))
    with mt.no_grad():
        w.sub_(w.grad, alpha=0.5)
    x = mt.tensor([1.0, 2.0], requires_grad=True)
    s = x.square()
    t = s.sin()
    s.mul_(2.0)
    with pytest.raises(RuntimeError, match="sin"):
        t.sum().backward()
    with pytest.raises(GraphError, match="leaf"):
        x.add_(1.0)


def test_writes_in_place_of_other_dtypes_and_shapes():
    x = mt.arange(5)
    assert x.add_(2).tolist() == [2, 3, 4, 5, 6]
    with pytest.raises(ShapeError):
        mt.zeros(3).add_(mt.zeros(2, 3))
    with pytest.raises(DtypeError):
        x.add_(0.5)
    y = mt.zeros(3)
    assert y.add_(mt.tensor([1, 2, 3]), alpha=2).tolist() == [2, 4, 6]
    assert y.add_(True).tolist() == [3, 5, 7]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_powers_at_their_edges(dtype, isa):
    values = np.array([0.0, -0.0, 1, -1, 2, -2, 0.5, -0.5, INF, -INF, NAN, 3, -3, 1e30, -1e30, 16777217], dtype)
    x, y = (v.ravel() for v in np.meshgrid(values, values))
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    have = mt.pow(mt.tensor(x), mt.tensor(y)).numpy()
    np.testing.assert_array_equal(np.isnan(have), np.isnan(want))
    np.testing.assert_allclose(have, want, 1e-6 if dtype == "float32" else 1e-14)
    np.testing.assert_array_equal(np.signbit(have[want == 0]), np.signbit(want[want == 0]))


def test_remainders_of_large_quotients(isa):
    rng = np.random.default_rng(0)
    x = (rng.standard_normal(999) * 10.0 ** rng.integers(-3, 12, 999)).astype(np.float32)
    y = (rng.standard_normal(999) * 10.0 ** rng.integers(-3, 4, 999)).astype(np.float32)
    wide = np.fmod(x.astype(np.float64), y.astype(np.float64))
    np.testing.assert_array_equal(mt.fmod(mt.tensor(x), mt.tensor(y)).numpy(), wide.astype(np.float32))
    np.testing.assert_array_equal(mt.remainder(mt.tensor(x), mt.tensor(y)).numpy(), np.remainder(x, y))


def test_powers_by_truth_values_and_large_integers(isa):
    for dtype in (mt.float32, mt.float64):
        x = mt.tensor([0.5, 1.0, 2.0], dtype=dtype)
        assert mt.pow(x, False).tolist() == [1, 1, 1]
        assert mt.pow(x, True).tolist() == [0.5, 1, 2]
        assert mt.pow(x, 2**64).tolist() == [0, 1, INF]
        assert mt.pow(x, -(2**70)).tolist() == [INF, 1, 0]


def test_clamped_in_place_by_tensors(isa):
    x = mt.tensor([1.0, 2.0, 3.0])
    assert x.clone().clamp_(mt.tensor([2.0, 0, 0]), 2.5).tolist() == [2, 2, 2.5]
    assert x.clone().clamp_(max=mt.tensor([2])).tolist() == [1, 2, 2]
    assert x.clone().clamp_(mt.tensor([0.0, 2.5, 0]), mt.tensor([5.0, 5, 2])).tolist() == [1, 2.5, 2]
