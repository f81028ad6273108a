"""Special functions: values against 17 digits of mpmath, ends of their ranges, derivatives where a formula has a hole.

What every operator has in common (derivatives in all modes, layouts, threads) is in test_ops.py.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

import minitensor as mt
from minitensor import special
from minitensor.errors import GraphError, ShapeError

NAN, INF = math.nan, math.inf

# Made once by mpmath 1.3 with 40 digits: (x, f(x)) for each function. erfinv's and ndtri's are exact binary fractions.
VALUES = {
    "erfc": [
        (-3.0, 1.9999779095030014),
        (-0.25, 1.2763263901682369),
        (0.5, 0.47950012218695346),
        (1.0, 0.15729920705028513),
        (5.0, 1.5374597944280349e-12),
        (26.0, 5.6631924088561428e-296),
    ],
    "erfcx": [
        (-26.0, 7.6577249314905684e293),
        (-2.5, 1035.8148429726229),
        (-0.125, 1.1582735720912207),
        (0.25, 0.77034654773099674),
        (1.0, 0.427583576155807),
        (3.75, 0.14558972127503854),
        (10.0, 0.056140992743822586),
        (1000.0, 0.00056418930145338765),
    ],
    "erfinv": [
        (-0.99999904632568359, -3.4655050258033307),
        (-0.5, -0.47693627620446987),
        (9.0949470177292824e-13, 8.0601869326779526e-13),
        (0.125, 0.11123545184094996),
        (0.75, 0.81341984759761854),
        (0.8125, 0.93197444316109709),
        (0.96875, 1.5230194019969561),
        (0.99999999999999911, 5.686128441310391),
    ],
    "ndtr": [
        (-37.0, 5.7255712225245768e-300),
        (-5.0, 2.8665157187919391e-7),
        (-0.5, 0.3085375387259869),
        (0.25, 0.59870632568292372),
        (4.0, 0.99996832875816688),
    ],
    "log_ndtr": [
        (-1000.0, -500007.82669481218),
        (-37.0, -689.03058557689059),
        (-1.0, -1.8410216450092635),
        (-0.125, -0.79792614275302409),
        (0.5, -0.36894641528865639),
        (5.0, -2.8665161296376359e-7),
        (9.0, -1.1285884059538406e-19),
    ],
    "ndtri": [
        (9.3326361850321888e-302, -37.111011937164791),
        (8.6736173798840355e-19, -8.7733211690275517),
        (0.03125, -1.8627318674216515),
        (0.25, -0.67448975019608174),
        (0.50000000093132257, 2.3344794983332981e-9),
        (0.96875, 1.8627318674216515),
    ],
    "lgamma": [
        (-100.5, -364.90096830942735),
        (-2.25, 0.55550154502064747),
        (-0.5, 1.2655121234846454),
        (9.3132257461547852e-10, 20.794415416260785),
        (0.25, 1.2880225246980775),
        (0.75, 0.20328095143129537),
        (1.0000009536743164, -5.5047500661488668e-7),
        (1.25, -0.098271836421813161),
        (1.75, -0.084401121020485556),
        (2.0000009536743164, 4.0319885504430155e-7),
        (3.5, 1.2009736023470742),
        (8.25, 9.0331869196051229),
        (30.0, 71.257038967168009),
        (1000000.0, 12815504.569147612),
        (1000000000000000.0, 33538776394910669.0),
    ],
    "digamma": [
        (-20.25, 6.1742356336144838),
        (-0.75, -2.8941202000429321),
        (9.5367431640625e-7, -1048576.5772140962),
        (0.25, -4.2274535333762654),
        (1.5, 0.036489973978576521),
        (5.0, 1.5061176684318005),
        (30.0, 3.3844381326855249),
        (10000000000.0, 23.025850929890457),
    ],
    "i0": [
        (-2.0, 2.2795853023360673),
        (0.125, 1.0039100663533545),
        (5.0, 27.239871823604447),
        (29.5, 478144163888.0398),
        (30.5, 1278062138712.5665),
        (700.0, 1.5295933476718737e302),
    ],
    "i1": [
        (-2.0, -1.5906368546373291),
        (0.125, 0.062622149811234825),
        (5.0, 24.335642142450527),
        (29.5, 469968885416.2773),
        (30.5, 1256932623308.4715),
        (700.0, 1.5285003902339007e302),
    ],
    "i0e": [
        (-2.0, 0.30850832255367104),
        (0.125, 0.88594752403033098),
        (29.5, 0.07376861727872859),
        (31.0, 0.071946496696983833),
        (1000000.0, 0.00039894233026924578),
    ],
    "i1e": [
        (-2.0, -0.21526928924893766),
        (0.125, 0.055263853241603239),
        (29.5, 0.072507326157183725),
        (31.0, 0.07077639283438568),
        (1000000.0, 0.00039894213079803078),
    ],
    "sinc": [
        (-0.5, 0.63661977236758134),
        (9.3132257461547852e-10, 1.0),
        (0.75, 0.30010543871903536),
        (1.25, -0.18006326323142121),
        (100.5, 0.0031672625490924445),
    ],
    "entr": [
        (7.8886090522101181e-31, 5.4679671230791057e-29),
        (0.5, 0.34657359027997265),
        (3.0, -3.2958368660043291),
    ],
}

# Units of eps that a value may be off, relative to max(1, |value|) where the function has zeros, else to |value|. Of
# ndtr(-37) it is x^2: so much counts the rounding of x / sqrt(2).
UNITS = {"digamma": 30, "lgamma": 20, "ndtr": 37**2, "erfcx": 12, "log_ndtr": 20, "i0": 30, "i1": 30}
HAS_ZEROS = {"digamma", "sinc"}


def float64(x):
    return mt.tensor(x, dtype=mt.float64)


@pytest.mark.parametrize("name", VALUES)
def test_values(name):
    f = getattr(special, {"lgamma": "gammaln"}.get(name, name))
    x, want = np.array(VALUES[name]).T
    have = f(float64(x)).numpy()
    scale = np.maximum(np.abs(want), 1) if name in HAS_ZEROS else np.abs(want)
    assert np.all(np.abs(have - want) <= UNITS.get(name, 10) * np.finfo(np.float64).eps * scale), have / want - 1


@pytest.mark.parametrize("name", VALUES)
def test_float32_is_float64_rounded(name):
    """At the nearest float32 points, where those are not beyond its range."""
    f = getattr(special, {"lgamma": "gammaln"}.get(name, name))
    x = np.array(VALUES[name])[:, 0].astype(np.float32)
    want = f(float64(x.astype(np.float64))).numpy()
    seen = (np.abs(want) < 3e38) & (np.abs(want) > 2e-38)
    np.testing.assert_allclose(f(mt.tensor(x)).numpy()[seen], want[seen], rtol=3e-7)


@pytest.mark.parametrize(
    ("n", "x", "want"),
    [
        (1, -3.25, 19.474085068082155),
        (1, -0.5, 8.9348022005446793),
        (1, 0.25, 17.197329154507111),
        (1, 1, 1.6449340668482264),
        (1, 7.5, 0.1426158966967038),
        (1, 40, 0.025315103841291028),
        (2, -3.25, 123.95521103942202),
        (2, -0.5, -0.82879664423432),
        (2, 0.25, -129.32773993753692),
        (2, 1, -2.4041138063191886),
        (2, 7.5, -0.020305252536644664),
        (2, 40, -0.00064082027183529859),
        (5, -3.25, 492231.23733572134),
        (5, -0.5, 15371.113548602435),
        (5, 0.25, 491552.51376768129),
        (5, 1, 122.0811674381339),
        (5, 7.5, 0.0013927076560043099),
        (5, 40, 2.4938943509996702e-7),
    ],
)
def test_polygamma(n, x, want):
    assert special.polygamma(n, float64(x)).item() == pytest.approx(want, rel=1e-13)
    assert float64(x).polygamma(n).item() == pytest.approx(want, rel=1e-13)


@pytest.mark.parametrize(
    ("s", "q", "want"),
    [
        (2, 1, 1.6449340668482264),
        (1.0625, 0.5, 18.050021021803593),
        (3, 100, 5.0502499916674999e-5),
        (30, 2.5, 1.1529691685630236e-12),
        (2.5, 0.03125, 5793.8765219016351),
        (100, 10, 1.0000725777946107e-100),
        (4, -1.5, 32.432379369864604),
        (3, -20.25, -62.011392762371921),
        (40, -3.5, 2 * 2.0**40 * (1 + 3.0**-40)),
        (301, -0.25, -(4.0**301)),
    ],
)
def test_zeta(s, q, want):
    assert special.zeta(float64(s), float64(q)).item() == pytest.approx(want, rel=1e-13)


def test_multigammaln():
    assert special.multigammaln(float64(4.0), 3).item() == pytest.approx(5.4029750809091748, rel=1e-14)
    assert mt.mvlgamma(float64(4.0), 1).item() == pytest.approx(math.log(6))


ENDS = [NAN, INF, -INF, 0.0, -0.0, -1.0, 1.0, 2.0]
# What is known of each function at those places.
AT_ENDS = {
    "erf": [NAN, 1, -1, 0.0, -0.0, None, None, None],
    "erfc": [NAN, 0, 2, 1, 1, None, None, None],
    "erfcx": [NAN, 0, INF, 1, 1, None, None, None],
    "erfinv": [NAN, NAN, NAN, 0.0, -0.0, -INF, INF, NAN],
    "ndtr": [NAN, 1, 0, 0.5, 0.5, None, None, None],
    "ndtri": [NAN, NAN, NAN, -INF, -INF, NAN, INF, NAN],
    "log_ndtr": [NAN, 0, -INF, math.log(0.5), math.log(0.5), None, None, None],
    "gammaln": [NAN, INF, INF, INF, INF, INF, 0, 0],
    "digamma": [NAN, INF, NAN, -INF, INF, NAN, None, None],
    "i0": [NAN, INF, INF, 1, 1, None, None, None],
    "i1": [NAN, INF, -INF, 0, 0, None, None, None],
    "i0e": [NAN, 0, 0, 1, 1, None, None, None],
    "i1e": [NAN, 0, 0, 0, 0, None, None, None],
    "entr": [NAN, -INF, -INF, 0, 0, -INF, 0, None],
    "logit": [NAN, NAN, NAN, -INF, -INF, NAN, INF, NAN],
    "expit": [NAN, 1, 0, 0.5, 0.5, None, None, None],
    "sinc": [NAN, NAN, NAN, 1, 1, None, None, None],
}


@pytest.mark.parametrize("dtype", [mt.float32, mt.float64])
@pytest.mark.parametrize("name", AT_ENDS)
def test_ends(name, dtype):
    x = mt.tensor(ENDS, dtype=dtype)
    have = getattr(special, name)(x)
    assert have.dtype == dtype
    for value, want in zip(have.tolist(), AT_ENDS[name], strict=True):
        if want is not None:
            assert value == pytest.approx(want, rel=1e-6, abs=1e-15, nan_ok=True), name
            assert want != 0 or math.copysign(1, value) == math.copysign(1, want) or "erf" not in name


def test_poles_of_polygamma_and_zeta():
    x = float64([0.0, -1.0, -2.0, NAN, INF])
    assert special.polygamma(1, x).tolist() == pytest.approx([INF, INF, INF, NAN, 0], nan_ok=True)
    assert special.polygamma(2, x).tolist() == pytest.approx([-INF, -INF, -INF, NAN, 0], nan_ok=True)
    s = float64([1.0, 0.5, 2.0, 2.0, 2.5, NAN, 2.0, 2.0])
    q = float64([1.0, 1.0, 0.0, -1.0, -1.5, 1.0, INF, NAN])
    assert special.zeta(s, q).tolist() == pytest.approx([INF, NAN, INF, INF, NAN, NAN, 0, NAN], nan_ok=True)


@pytest.mark.parametrize("name", ["erfcx", "erfinv", "ndtri", "log_ndtr", "gammaln", "digamma", "i0", "i1e", "sinc"])
def test_shapes_and_dtypes(name):
    f = getattr(special, name)
    assert f(mt.zeros(0, 3)).shape == (0, 3)
    assert f(mt.tensor(0.5)).shape == ()
    assert f(mt.tensor([1])).dtype == mt.float32
    assert f(mt.tensor([True])).dtype == mt.float32
    grid = mt.rand(4, 6, dtype=mt.float64)
    np.testing.assert_array_equal(f(grid.t()[::2]).numpy(), f(grid).numpy().T[::2])


# --- derivatives where the formula has a hole -------------------------------------------------------------------------


def derivatives(f, x, orders):
    """f and its derivatives at x, each the gradient of the one before."""
    x = float64(x).requires_grad_()
    found = [f(x)]
    for _ in range(orders):
        found.append(mt.autograd.grad(found[-1], x, create_graph=True)[0])
    return [y.item() for y in found]


PI2 = math.pi**2
SINC = {  # of order 0 ... 5
    0.0: [1, 0, -PI2 / 3, 0, PI2**2 / 5, 0],
    0.25: [0.9003163161571061, -0.77283813988223418, -2.703060757258859, 4.5212722885507905, 15.358637383132617,
           -31.658232385208945],
    2.0: [0, 0.5, -0.5, -4.1848022005446793, 8.3696044010893586, 27.780534514277822],
    2.5: [0.12732395447351627, -0.050929581789406507, -1.2158933960043921, 1.4590720752052705, 10.067995351791495,
          -20.135990703582991],
}  # fmt: skip


@pytest.mark.parametrize("x", SINC)
def test_derivatives_of_sinc(x):
    assert derivatives(mt.sinc, x, 5) == pytest.approx(SINC[x], rel=1e-11, abs=1e-12)


def test_derivatives_of_bessel_functions():
    """I1 = x/2 + x^3/16 + ...: nothing is divided by x."""
    assert derivatives(special.i1, 0.0, 4) == pytest.approx([0, 0.5, 0, 0.375, 0])
    assert derivatives(special.i0, 0.0, 4) == pytest.approx([1, 0, 0.5, 0, 0.375])
    want = [0.0023679633526155524, -0.054989988367180511, 0.11471590343959213]
    assert derivatives(special.i1e, 1.5, 3)[1:] == pytest.approx(want)


def test_gradients_at_the_ends():
    assert derivatives(special.entr, 0.0, 1) == [0, INF]
    assert derivatives(special.logit, 0.0, 1) == [-INF, INF]
    assert derivatives(special.logit, 2.0, 1) == pytest.approx([NAN, NAN], nan_ok=True)
    assert derivatives(lambda x: special.logit(x, 0.25), 2.0, 1) == pytest.approx([math.log(3), 0])
    assert derivatives(special.erfinv, 1.0, 1) == [INF, INF]
    assert derivatives(special.log_ndtr, -1e5, 1)[1] == pytest.approx(1e5, rel=1e-9)
    assert derivatives(special.log_ndtr, 40.0, 1)[1] == pytest.approx(0.0)


def test_xlogy_hides_what_zero_hides():
    x = float64([0.0, 0.0, 0.0, 2.0]).requires_grad_()
    y = float64([0.0, -1.0, NAN, 3.0]).requires_grad_()
    out = special.xlogy(x, y)
    assert out.tolist() == pytest.approx([0, 0, NAN, 2 * math.log(3)], nan_ok=True)
    (dx,) = mt.autograd.grad(out.sum(), x, create_graph=True)
    assert dx.tolist() == pytest.approx([0, 0, NAN, math.log(3)], nan_ok=True)
    (dxy,) = mt.autograd.grad(dx[0] + dx[1] + dx[3], y)
    assert dxy.tolist() == pytest.approx([0, 0, NAN, 1 / 3], nan_ok=True)
    assert special.xlog1py(float64([0.0, 2.0]), float64([-1.0, 2.0])).tolist() == pytest.approx([0, 2 * math.log(3)])
    assert special.xlogy(0, mt.tensor([2])).dtype == mt.float32
    assert special.xlogy(mt.tensor([2.0]), 1).tolist() == [0.0]


# --- arguments --------------------------------------------------------------------------------------------------------


def test_bad_arguments():
    x = mt.tensor([1.0])
    with pytest.raises(ShapeError, match="polygamma: n must not be negative, got -1"):
        special.polygamma(-1, x)
    with pytest.raises(ShapeError, match="mvlgamma: p must be at least 1, got 0"):
        special.multigammaln(x, 0)
    with pytest.raises(GraphError, match="zeta"):
        special.zeta(mt.tensor([2.0], requires_grad=True), x)
    with pytest.raises(ShapeError, match=r"xlogy: shapes \(3,\) and \(2,\) do not broadcast"):
        special.xlogy(mt.ones(3), mt.ones(2))


def test_out_and_in_place():
    x, out = mt.tensor([0.25, 0.5]), mt.zeros(2)
    for name in special.__all__:
        two = ("xlogy", "xlog1py", "zeta", "polygamma", "multigammaln", "gammainc", "gammaincc")
        if name in (*two, "softmax", "log_softmax", "logsumexp"):
            continue
        want = getattr(special, name)(x).tolist()
        assert getattr(special, name)(x, out=out) is out
        assert out.tolist() == pytest.approx(want, nan_ok=True)
        method = {"expit": "sigmoid", "gammaln": "lgamma", "psi": "digamma"}.get(name, name) + "_"
        if hasattr(mt.Tensor, method):
            assert getattr(x.clone(), method)().tolist() == pytest.approx(want, nan_ok=True)
    assert special.softmax(x, 0).tolist() == mt.softmax(x, 0).tolist()
    assert special.log_softmax(x, dim=0, dtype=mt.float64).dtype == mt.float64


def test_the_incomplete_gamma_functions_of_whole_numbers_and_halves():
    import math

    x = mt.tensor([0.1, 1.0, 4.0, 30.0], dtype=mt.float64)
    for n in (1, 3, 8):  # the chance of fewer than n Poisson events
        fewer = [sum(math.exp(-v) * v**k / math.factorial(k) for k in range(n)) for v in x.tolist()]
        a = mt.tensor(float(n), dtype=mt.float64)
        mt.testing.assert_close(mt.igammac(a, x), mt.tensor(fewer, dtype=mt.float64), rtol=1e-12, atol=0)
        mt.testing.assert_close(mt.igamma(a, x), 1 - mt.tensor(fewer, dtype=mt.float64), rtol=1e-9, atol=1e-15)
    half = [math.erf(math.sqrt(v)) for v in x.tolist()]
    mt.testing.assert_close(mt.special.gammainc(mt.tensor(0.5, dtype=mt.float64), x), mt.tensor(half, dtype=mt.float64))


def test_the_incomplete_gamma_functions_at_their_ends():
    inf, nan = float("inf"), float("nan")
    a = mt.tensor([0.0, 0.0, 2.0, 2.0, inf, -1.0, 2.0, nan])
    x = mt.tensor([1.0, 0.0, 0.0, inf, 5.0, 1.0, -1.0, 1.0])
    below = mt.tensor([1.0, nan, 0.0, 1.0, 0.0, nan, nan, nan])
    mt.testing.assert_close(mt.igamma(a, x), below, equal_nan=True)
    mt.testing.assert_close(mt.igammac(a, x), 1 - below, equal_nan=True)
    assert mt.igamma(mt.tensor(1), 2).dtype == mt.float32
    with pytest.raises(RuntimeError, match="igamma"):
        mt.igamma(mt.ones(1, requires_grad=True), mt.ones(1))
    out = mt.zeros(1)
    assert mt.igamma(mt.ones(1), mt.ones(1), out=out) is out
    assert mt.ones(1).igamma_(mt.ones(1)).tolist() == out.tolist() == pytest.approx([0.6321206])
