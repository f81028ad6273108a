"""A museum of wrong gradients and values that elementwise operators of other engines have given, or give.

Each test says what went wrong, and holds the value that is right, by hand, or PyTorch's convention where it is one.
"""

from __future__ import annotations

import math
import operator

import numpy as np
import pytest

import minitensor as mt
from minitensor import special

NAN, INF = math.nan, math.inf


def gradients(f, *values, dtype=mt.float64):
    """The gradients of f's sum by each argument."""
    xs = [mt.tensor(v, dtype=dtype, requires_grad=True) for v in values]
    return [None if g is None else g.tolist() for g in mt.autograd.grad(f(*xs).sum(), xs, allow_unused=True)]


def same(have, want):
    np.testing.assert_allclose(np.array(have, float), np.array(want, float), rtol=1e-12, atol=0)


# --- roots and lengths at 0 -------------------------------------------------------------------------------------------


def test_sqrt_at_zero_behind_a_maximum():
    """sqrt has an infinite slope at 0; a maximum that does not choose it must not turn that into 0 * inf = NaN."""
    (g,) = gradients(lambda x: mt.maximum(mt.sqrt(x), mt.ones(2, dtype=mt.float64)), [4.0, 0.25])
    same(g, [0.25, 0.0])
    (g,) = gradients(lambda x: mt.sqrt(mt.maximum(x, mt.full_like(x, 0.25))), [4.0, 0.0])
    same(g, [0.25, 0.0])
    (g,) = gradients(lambda x: mt.sqrt(mt.clamp(x, min=0.25)), [4.0, 0.0])
    same(g, [0.25, 0.0])


def test_roots_and_lengths_at_zero():
    same(gradients(mt.sqrt, [0.0]), [[INF]])
    same(gradients(mt.rsqrt, [0.0]), [[-INF]])
    same(gradients(mt.abs, [0.0, -0.0]), [[0.0, 0.0]])
    same(gradients(mt.hypot, [0.0, 3.0, 1e200], [0.0, 4.0, 1e200]), [[NAN, 0.6, 0.5**0.5], [NAN, 0.8, 0.5**0.5]])


def test_angle_of_the_origin():
    """Its slopes are 0, not 0 / 0; elsewhere those of the angle."""
    same(gradients(mt.atan2, [0.0, 1.0], [0.0, 0.0]), [[0.0, 0.0], [0.0, -1.0]])


# --- powers -----------------------------------------------------------------------------------------------------------


def test_powers_at_zero():
    """0^0 is 1, flat in x; x^y at x = 0 is flat in y where y >= 0; a negative base has no slope in y."""
    assert mt.pow(mt.tensor([0.0, NAN, INF]), 0).tolist() == [1.0, 1.0, 1.0]
    same(gradients(lambda x: x**0, [0.0, NAN, INF, -2.0]), [[0.0, 0.0, 0.0, 0.0]])
    same(gradients(lambda x: x**1, [0.0, -2.0]), [[1.0, 1.0]])
    same(gradients(lambda x: x**2, [0.0, -2.0]), [[0.0, -4.0]])
    same(gradients(lambda x: x**0.5, [0.0]), [[INF]])
    dx, dy = gradients(mt.pow, [0.0, 0.0, 0.0, 0.0, -2.0, 2.0], [0.0, 1.0, 2.0, 0.5, 2.0, 3.0])
    same(dx, [0.0, 1.0, 0.0, INF, -4.0, 12.0])
    same(dy, [0.0, 0.0, 0.0, 0.0, NAN, 8 * math.log(2)])
    same(gradients(lambda y: 0.0**y, [0.0, 1.0]), [[0.0, 0.0]])
    same(gradients(lambda y: 2**y, [0.0, 1.0]), [[math.log(2), 2 * math.log(2)]])


def test_mixed_derivative_of_a_power_at_exponent_zero():
    """d/dx d/dy x^y = x^(y-1) (1 + y ln x) is 1/x at y = 0; masking y = 0 out of d/dx loses it."""
    x = mt.tensor([2.0, 0.0], dtype=mt.float64, requires_grad=True)
    y = mt.tensor([0.0, 0.0], dtype=mt.float64, requires_grad=True)
    (dx,) = mt.autograd.grad((x**y).sum(), x, create_graph=True)
    same(dx.tolist(), [0.0, 0.0])
    (dxy,) = mt.autograd.grad(dx[0], y)
    same(dxy.tolist(), [0.5, 0.0])
    (dy,) = mt.autograd.grad((x**y).sum(), y, create_graph=True)
    (dyx,) = mt.autograd.grad(dy[0], x)
    same(dyx.tolist(), [0.5, 0.0])


def test_second_derivatives_of_powers_at_zero():
    x = mt.tensor([0.0], dtype=mt.float64, requires_grad=True)
    for n, want in ((1, 0.0), (2, 2.0), (3, 0.0), (4, 0.0)):
        (g,) = mt.autograd.grad(x**n, x, create_graph=True)
        (h,) = mt.autograd.grad(g, x, allow_unused=True)
        assert (0.0 if h is None else h.item()) == want


# --- ties -------------------------------------------------------------------------------------------------------------


def test_ties():
    """Halves for maximum and minimum, all to x for fmax and fmin; a clamp passes at its bounds. Never 0 or 2 in sum."""
    one = [1.0]
    assert gradients(mt.maximum, one, one) == [[0.5], [0.5]]
    assert gradients(mt.minimum, one, one) == [[0.5], [0.5]]
    assert gradients(mt.fmax, one, one) == [[1.0], [0.0]]
    assert gradients(mt.fmin, one, one) == [[1.0], [0.0]]
    assert gradients(lambda x: mt.maximum(x, x), one) == [[1.0]]
    assert gradients(lambda x: mt.clamp(x, 1.0, 2.0), [1.0, 2.0]) == [[1.0, 1.0]]
    assert gradients(lambda x: mt.clamp(x, 2.0, 1.0), [1.0, 1.5, 2.0]) == [[0.0, 0.0, 0.0]]  # nothing lies between
    assert gradients(mt.relu, [0.0]) == [[0.0]]


def test_a_clamp_gives_no_gradient_to_nan():
    x, bound = [NAN, 1.0, 1.0], [2.0, NAN, 2.0]
    assert gradients(lambda a, b: mt.clamp(a, min=b), x, bound) == [[0.0, 0.0, 0.0], [0.0, 0.0, 1.0]]
    assert gradients(lambda a, b: mt.clamp(a, max=b), x, bound) == [[0.0, 0.0, 1.0], [0.0, 0.0, 0.0]]
    assert gradients(lambda a: mt.clamp(a, 0.0, 2.0), x) == [[0.0, 1.0, 1.0]]


def test_numbers_before_nan():
    same(mt.fmax(mt.tensor([1.0, NAN, NAN]), mt.tensor([NAN, 2.0, NAN])).tolist(), [1.0, 2.0, NAN])
    same(mt.fmin(mt.tensor([1.0, NAN, NAN]), mt.tensor([NAN, 2.0, NAN])).tolist(), [1.0, 2.0, NAN])
    assert gradients(mt.fmax, [1.0, NAN, NAN], [NAN, 2.0, NAN]) == [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]


# --- NaN in the branch not taken --------------------------------------------------------------------------------------


def test_where_passes_nothing_to_the_branch_not_taken():
    """where itself gives the other branch 0; what that branch does with 0 is its own affair (0 * inf is NaN)."""
    x, y = [1.0, NAN], [INF, 2.0]
    keep = mt.tensor([True, False])
    assert gradients(lambda a, b: mt.where(keep, a, b), x, y) == [[1.0, 0.0], [0.0, 1.0]]
    assert gradients(lambda a: mt.where(keep, a, 0.0), x) == [[1.0, 0.0]]
    (g,) = gradients(lambda a: mt.where(a > 0, mt.log(mt.where(a > 0, a, 1.0)), 0.0), [2.0, 0.0, -1.0])
    same(g, [0.5, 0.0, 0.0])


def test_a_number_for_nan_has_no_gradient():
    (g,) = gradients(mt.nan_to_num, [1.0, NAN, INF, -INF])
    assert g == [1.0, 0.0, 0.0, 0.0]
    assert mt.nan_to_num(mt.tensor([NAN, INF, -INF]), 1.0, 2.0, 3.0).tolist() == [1.0, 2.0, 3.0]
    assert mt.nan_to_num(mt.tensor([INF], dtype=mt.float64)).item() == np.finfo(np.float64).max
    assert mt.nan_to_num(mt.tensor([INF])).item() == np.finfo(np.float32).max
    assert mt.nan_to_num(mt.tensor([NAN]), 1e300).item() == INF


@pytest.mark.parametrize("isa", mt.cpu.isas())
@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
def test_nan_in_each_lane(isa, dtype):
    """NaN in a vector's body and in its tail gives what it gives alone."""
    functions = (
        mt.exp, mt.log, mt.sqrt, mt.rsqrt, mt.sin, mt.cos, mt.tanh, mt.sigmoid, mt.relu, mt.abs, mt.neg, mt.square,
        mt.reciprocal, mt.erf, mt.erfc, lambda x: x**3, lambda x: x**1.5, lambda x: mt.clamp(x, -1, 1),
        lambda x: mt.maximum(x, mt.ones_like(x)), lambda x: mt.minimum(mt.ones_like(x), x),
    )  # fmt: skip
    with mt.cpu.use(isa):
        for f in functions:
            for n in (1, 16, 19, 37):
                for place in {0, n // 2, n - 1}:
                    x = mt.ones(n, dtype=dtype)
                    x[place] = NAN
                    y = f(x)
                    assert [i for i in range(n) if math.isnan(y[i].item())] == [place]


def test_a_nan_bound_replaces_everything():
    x = mt.tensor([1.0, 2.0])
    for bound in (NAN, mt.tensor(NAN)):
        same(mt.clamp(x, bound).tolist(), [NAN, NAN])
        same(mt.clamp(x, max=bound).tolist(), [NAN, NAN])


# --- quotients and remainders -----------------------------------------------------------------------------------------


def test_signs_of_remainders():
    """remainder takes the divisor's sign, as Python; fmod the dividend's, as C. So for integers and for floats."""
    for dtype in (mt.int64, mt.int32, mt.float32, mt.float64):
        x = mt.tensor([7, -7, 7, -7], dtype=dtype)
        y = mt.tensor([3, 3, -3, -3], dtype=dtype)
        assert mt.remainder(x, y).tolist() == [1, 2, -2, -1]
        assert mt.fmod(x, y).tolist() == [1, -1, 1, -1]
        assert mt.div(x, y, rounding_mode="floor").tolist() == [2, -3, -3, 2]
        assert mt.div(x, y, rounding_mode="trunc").tolist() == [2, -2, -2, 2]
        assert (x // y).tolist() == [2, -3, -3, 2]
    assert (5 % mt.tensor([3])).tolist() == [2]
    assert (mt.tensor([-7]) % 3).tolist() == [2]


def test_rounding_to_even_and_by_decimals():
    x = mt.tensor([-1.5, -0.5, 0.5, 1.5, 2.5])
    assert mt.round(x).tolist() == [-2.0, 0.0, 0.0, 2.0, 2.0]
    assert mt.fix(x).tolist() == [-1.0, 0.0, 0.0, 1.0, 2.0]
    assert mt.round(mt.tensor([0.125, 1234.5], dtype=mt.float64), decimals=2).tolist() == [0.12, 1234.5]
    assert mt.round(mt.tensor([15.0, 25.0]), decimals=-1).tolist() == [20.0, 20.0]
    with pytest.raises(TypeError, match="round"):
        mt.round(mt.tensor([15]), decimals=-1)


def test_rounded_integers_are_a_copy():
    """What returned the very tensor let a write into the result change the argument."""
    for f in (mt.floor, mt.ceil, mt.round, mt.trunc, mt.nan_to_num):
        x = mt.tensor([1, 2])
        f(x).add_(1)
        assert x.tolist() == [1, 2]
    x = mt.tensor([True])
    mt.sign(x).logical_not_()
    assert x.tolist() == [True]


# --- integers, bits ---------------------------------------------------------------------------------------------------


def test_operators_on_bits():
    a, b = mt.tensor([12, 10]), mt.tensor([6, 6])
    assert [(a & b).tolist(), (a | b).tolist(), (a ^ b).tolist()] == [[4, 2], [14, 14], [10, 12]]
    assert [(6 & a).tolist(), (6 | a).tolist(), (6 ^ a).tolist()] == [[4, 2], [14, 14], [10, 12]]
    assert (~a).tolist() == [-13, -11]
    assert (~mt.tensor([1], dtype=mt.uint8)).tolist() == [254]
    t, f = mt.tensor([True, True, False]), mt.tensor([True, False, False])
    assert [(t & f).tolist(), (t | f).tolist(), (t ^ f).tolist()] == [
        [True, False, False],
        [True, True, False],
        [False, True, False],
    ]
    assert (~f).tolist() == [False, True, True]
    assert (~f).dtype == mt.bool
    assert (a << 1).tolist() == [24, 20]
    assert (a >> 1).tolist() == [6, 5]
    assert (1 << mt.tensor([0, 3])).tolist() == [1, 8]
    assert (mt.tensor([True]) & 1).dtype == mt.int64
    a &= b
    assert a.tolist() == [4, 2]
    a <<= 2
    assert a.tolist() == [16, 8]
    for run in (operator.and_, operator.or_, operator.xor, operator.lshift, operator.rshift):
        with pytest.raises(TypeError, match="expected integers"):
            run(mt.ones(2), 1)
    with pytest.raises(TypeError, match="bitwise_not: expected integers or bools, got float32"):
        ~mt.ones(2)
    with pytest.raises(TypeError, match="bitwise_left_shift: expected integers, got bool"):
        mt.bitwise_left_shift(mt.tensor([True]), mt.tensor([True]))


def test_shifts_beyond_the_width():
    """In C undefined, on x86 taken modulo the width; here every bit is gone."""
    for dtype, width in ((mt.int64, 64), (mt.int32, 32), (mt.int8, 8), (mt.uint8, 8)):
        x = mt.tensor([1, 100], dtype=dtype)
        for far in (width, width + 1, -1) if dtype != mt.uint8 else (8, 9):
            y = mt.tensor([far, far], dtype=dtype)
            assert (x << y).tolist() == [0, 0]
            assert (x >> y).tolist() == [0, 0]
    assert (mt.tensor([-3]) >> mt.tensor([70])).tolist() == [-1]


def test_divisors():
    assert mt.gcd(mt.tensor([12, -8, 0]), 18).tolist() == [6, 2, 18]
    assert mt.lcm(mt.tensor([4, -6, 0]), 10).tolist() == [20, 30, 0]
    for f in (mt.gcd, mt.lcm):
        for bad in (mt.ones(1), mt.tensor([True])):
            with pytest.raises(TypeError, match=f"{f.__name__}: expected integers"):
                f(bad, bad)


# --- closeness, membership, equality ----------------------------------------------------------------------------------


def test_isclose():
    x = mt.tensor([1.0, INF, INF, NAN, 1e10], dtype=mt.float64)
    y = mt.tensor([1.0, INF, -INF, NAN, 1e10 + 2e5], dtype=mt.float64)
    assert mt.isclose(x, y).tolist() == [True, True, False, False, False]
    assert mt.isclose(x, y, equal_nan=True).tolist() == [True, True, False, True, False]
    assert mt.isclose(x, y, rtol=3e-5).tolist() == [True, True, False, False, True]
    assert mt.isclose(mt.tensor([10]), mt.tensor([12]), rtol=0.0, atol=2.0).tolist() == [True]
    assert mt.isclose(mt.tensor([0], dtype=mt.uint8), mt.tensor([255], dtype=mt.uint8), atol=1).tolist() == [False]
    assert mt.allclose(mt.ones(3), mt.ones(3) + 1e-7)
    assert not mt.allclose(mt.ones(3), mt.ones(3) + 1e-3)
    assert mt.allclose(mt.zeros(0), mt.zeros(0))
    with pytest.raises(ValueError, match="isclose: rtol -1"):
        mt.isclose(x, y, rtol=-1)


def test_equal():
    assert mt.equal(mt.tensor([1.0]), mt.tensor([1]))
    assert not mt.equal(mt.tensor([1, 1]), mt.tensor([1]))
    assert not mt.equal(mt.tensor([NAN]), mt.tensor([NAN]))
    assert mt.zeros(0).equal(mt.zeros(0))
    with pytest.raises(TypeError, match="equal: expected two tensors, got Tensor and int"):
        mt.equal(mt.zeros(1), 0)


def test_isin():
    x = mt.tensor([[1, 2], [3, 4]])
    assert mt.isin(x, mt.tensor([2, 3])).tolist() == [[False, True], [True, False]]
    assert mt.isin(x, 2).tolist() == [[False, True], [False, False]]
    assert mt.isin(2, x).item() is True
    assert mt.isin(x, mt.tensor([2]), invert=True).tolist() == [[True, False], [True, True]]
    assert mt.isin(x, mt.zeros(0, dtype=mt.int64)).tolist() == [[False, False], [False, False]]


# --- signs, parts of a number -----------------------------------------------------------------------------------------


def test_signs():
    x = mt.tensor([0.0, -0.0, 2.0, -2.0])
    assert mt.signbit(x).tolist() == [False, True, False, True]
    assert mt.signbit(mt.tensor([-1, 1])).tolist() == [True, False]
    assert mt.sgn(mt.tensor([NAN, -3.0])).tolist() == [0.0, -1.0]
    assert np.signbit(mt.copysign(x, -0.0).numpy()).tolist() == [True] * 4
    same(gradients(mt.copysign, [0.0, 1.0, -2.0, 3.0], [-1.0, -1.0, -1.0, 0.0]), [[0, -1, 1, 1], [0, 0, 0, 0]])
    assert mt.copysign(mt.tensor([1, 2]), -1).tolist() == [-1.0, -2.0]
    assert mt.heaviside(mt.tensor([0.0, -0.0, 1.0, -1.0, NAN]), mt.tensor([0.5])).tolist() == [0.5, 0.5, 1, 0, 0]
    with pytest.raises(TypeError, match="heaviside: the dtypes float32 and int64 differ"):
        mt.heaviside(mt.ones(1), mt.tensor([1]))


def test_frexp_and_ldexp():
    x = mt.tensor([0.0, 1.0, -3.0, 2.0**-1074, INF], dtype=mt.float64)
    mantissa, exponent = mt.frexp(x)
    assert mantissa.tolist() == [0.0, 0.5, -0.75, 0.5, INF]
    assert exponent.tolist()[:4] == [0, 1, 2, -1073]
    assert exponent.dtype == mt.int32
    assert mt.ldexp(mantissa, exponent).tolist() == x.tolist()
    y = mt.tensor([3.0, 0.5], requires_grad=True)
    mt.frexp(y).mantissa.sum().backward()
    assert y.grad.tolist() == [0.25, 1.0]
    assert mt.ldexp(mt.tensor([1, 2]), mt.tensor([1, 2])).tolist() == [2.0, 8.0]
    assert mt.nextafter(mt.tensor([0.0]), mt.tensor([1.0])).item() == 2.0**-149


def test_fractions():
    assert mt.frac(mt.tensor([1.5, -1.5])).tolist() == [0.5, -0.5]
    assert gradients(mt.frac, [1.5, -1.5]) == [[1.0, 1.0]]
    with pytest.raises(TypeError, match="frac"):
        mt.frac(mt.tensor([1]))


# --- of three, logarithms of sums -------------------------------------------------------------------------------------


def test_lerp_ends_at_its_ends():
    """x + w (y - x) misses y at w = 1 by rounding, or overflows."""
    x, y = mt.tensor([1e8, -3.0]), mt.tensor([1.0, 0.1])
    assert mt.lerp(x, y, 1.0).tolist() == y.tolist()
    assert mt.lerp(x, y, 0.0).tolist() == x.tolist()
    assert mt.lerp(mt.tensor([0.0, 0.0]), mt.tensor([10.0, 10.0]), mt.tensor([0.25, 0.75])).tolist() == [2.5, 7.5]
    same(gradients(mt.lerp, [1.0], [5.0], [0.25]), [[0.75], [0.25], [4.0]])
    for bad in ((mt.tensor([1]), mt.tensor([3]), 0.5), (mt.ones(1), mt.ones(1, dtype=mt.float64), 0.5)):
        with pytest.raises(TypeError, match="lerp"):
            mt.lerp(*bad)


def test_addcmul_and_addcdiv():
    x, a, b = mt.tensor([1.0]), mt.tensor([[6.0], [8.0]]), mt.tensor([2.0])
    assert mt.addcmul(x, a, b, value=0.5).tolist() == [[7.0], [9.0]]
    assert mt.addcdiv(x, a, b, value=0.5).tolist() == [[2.5], [3.0]]
    assert mt.addcmul(mt.tensor([1]), mt.tensor([2]), mt.tensor([3]), value=2).tolist() == [13]
    same(gradients(lambda p, q, r: mt.addcdiv(p, q, r, value=3.0), [1.0], [4.0], [2.0]), [[1.0], [1.5], [-3.0]])
    y = mt.tensor([1.0, 2.0])
    assert y.addcmul_(y, y) is y
    assert y.tolist() == [2.0, 6.0]
    assert y.addcdiv_(mt.ones(2), mt.tensor([2.0, 4.0]), value=4).tolist() == [4.0, 7.0]
    assert y.lerp_(mt.zeros(2), 0.5).tolist() == [2.0, 3.5]
    for number in (2.0, np.float32(2), np.float64(2)):  # NumPy takes no dtype at all for float64
        for dtype in (mt.float32, mt.float64):
            ones = mt.ones(2, dtype=dtype)
            assert mt.addcdiv(ones, ones, number, value=9).tolist() == [5.5, 5.5]
            assert mt.addcmul(ones, ones, number, value=9).dtype is dtype
    with pytest.raises(TypeError, match="addcdiv: integers are divided"):
        mt.addcdiv(mt.tensor([1]), mt.tensor([2]), mt.tensor([3]))
    with pytest.raises(TypeError, match=r"addcmul: value 0.5 is a fraction"):
        mt.addcmul(mt.tensor([1]), mt.tensor([2]), mt.tensor([3]), value=0.5)


def test_logarithms_of_sums_do_not_overflow():
    x = mt.tensor([1000.0, -1000.0, -INF, INF])
    same(mt.logaddexp(x, x).tolist(), (np.array([1000, -1000, -INF, INF]) + math.log(2)).astype(np.float32))
    assert mt.logaddexp2(mt.tensor([3.0]), mt.tensor([3.0])).tolist() == [4.0]
    same(gradients(mt.logaddexp, [1000.0, 0.0], [1000.0, -1e4]), [[0.5, 1.0], [0.5, 0.0]])


def test_float_power_is_of_doubles():
    assert mt.float_power(mt.tensor([2]), -1).tolist() == [0.5]
    assert mt.float_power(2, mt.tensor([3.0])).dtype == mt.float64
    assert mt.tensor([3], dtype=mt.int32).float_power(40).item() == 3.0**40


def test_whole_numbers_become_floats_one_by_one():
    """-1 is no uint8, but a float."""
    x = mt.tensor([2], dtype=mt.uint8)
    assert mt.div(x, -1).tolist() == [-2.0]
    assert mt.copysign(x, -1).tolist() == [-2.0]
    with pytest.raises(TypeError, match="exp: expected a tensor or a number, got str"):
        mt.exp("1")


# --- predicates -------------------------------------------------------------------------------------------------------


def test_predicates():
    x = mt.tensor([INF, -INF, NAN, 0.0])
    assert mt.isposinf(x).tolist() == [True, False, False, False]
    assert mt.isneginf(x).tolist() == [False, True, False, False]
    assert mt.isreal(x).tolist() == [True] * 4
    assert mt.isposinf(mt.tensor([1])).tolist() == [False]


# --- names ------------------------------------------------------------------------------------------------------------

SYNONYMS = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh", "arctan": "atan",
    "arctan2": "atan2", "arctanh": "atanh", "clip": "clamp", "divide": "div", "true_divide": "div", "fix": "trunc",
    "greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "multiply": "mul", "negative": "neg",
    "not_equal": "ne", "subtract": "sub",
}  # fmt: skip


@pytest.mark.parametrize("name", SYNONYMS)
def test_synonyms(name):
    assert getattr(mt, name) is getattr(mt, SYNONYMS[name])
    assert getattr(mt.Tensor, name) is getattr(mt.Tensor, SYNONYMS[name])
    assert getattr(mt.Tensor, name + "_") is getattr(mt.Tensor, SYNONYMS[name] + "_")


# --- out=..., in place ------------------------------------------------------------------------------------------------

ONE = """abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv exp exp2 expm1 floor frac
i0 lgamma log log10 log1p log2 logit nan_to_num neg rad2deg reciprocal round rsqrt sigmoid sign sin sinc sinh sqrt
square tan tanh trunc logical_not""".split()
TWO = """add sub mul div floor_divide remainder fmod pow float_power atan2 copysign hypot ldexp maximum minimum fmax
fmin eq ne lt le gt ge logical_and logical_or
logical_xor xlogy logaddexp nextafter heaviside clamp_min clamp_max""".split()


@pytest.mark.parametrize("name", [*ONE, *TWO])
def test_out_and_in_place_forms(name):
    f = getattr(mt, name)
    x = mt.tensor([[0.25, 0.5], [0.75, 0.875]])
    others = (mt.tensor([[0.5, 0.25], [0.75, 2.0]]),) if name in TWO else ()
    want = f(x, *others)
    out = mt.zeros(2, 2, dtype=want.dtype)
    seen = out._version
    assert f(x, *others, out=out) is out
    np.testing.assert_array_equal(out.numpy(), want.numpy())
    assert out._version > seen
    if hasattr(mt.Tensor, name + "_"):
        y = x.t().clone().t()  # not contiguous
        assert getattr(y, name + "_")(*others) is y
        assert y.dtype == x.dtype
        np.testing.assert_array_equal(y.numpy(), want.numpy().astype(np.float32))


@pytest.mark.parametrize("name", ONE[:-1])
def test_out_of_another_category_is_refused(name):
    with pytest.raises(TypeError, match=r"^\w+: a float32 result cannot be written into a int64"):
        getattr(mt, name)(mt.tensor([0.5]), out=mt.tensor([1]))


def test_in_place_of_integers():
    x = mt.tensor([12, 10])
    assert x.bitwise_and_(6).tolist() == [4, 2]
    assert x.gcd_(mt.tensor([6, 3])).tolist() == [2, 1]
    assert x.bitwise_left_shift_(2).tolist() == [8, 4]
    assert x.bitwise_not_().tolist() == [-9, -5]
    assert x.lcm_(2).tolist() == [18, 10]
    assert x.eq_(18).tolist() == [1, 0]


def test_in_place_records():
    start = mt.tensor([0.5, 0.25], dtype=mt.float64, requires_grad=True)
    x = start * 1
    x.sin_().square_().mul_(3).lerp_(mt.zeros(2, dtype=mt.float64), 0.5)
    (g,) = mt.autograd.grad(x.sum(), start)
    same(g.tolist(), [3 * math.sin(v) * math.cos(v) for v in (0.5, 0.25)])
    assert special.expit(mt.tensor([0.0])).item() == 0.5
