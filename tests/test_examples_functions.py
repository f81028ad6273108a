"""The programs on functions, graphs and descent: what they compute against hands, exact numbers and differences."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal, localcontext
from fractions import Fraction

import pytest
from programs import run

import minitensor as mt

pytest.importorskip("matplotlib", reason="these programs draw")
pytest.importorskip("fast_sugiyama", reason="these programs draw graphs")
import derivatives
import descent
import graphs
import linear_layer
import regression
import surfaces


def near(x):
    return pytest.approx(x, rel=1e-12, abs=1e-12)


# --- graphs -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def drawings():
    return {name: mt.learn.draw(f, *inputs) for name, (f, inputs) in graphs.GRAPHS.items()}


def inputs_of(drawing):
    return {v.title: v.derivative.item() for v in drawing.vertices if v.kind == "input"}


def value_of(drawing):
    return drawing.vertices[-1].value.array.item()


def slope_of_chain(x):
    """D10: exp(ln(x)³ + 1)."""
    ln = math.log(x)
    return math.exp(ln**3 + 1) * 3 * ln**2 / x


BY_HAND = {
    "D07-square-plus-1": (5, {"x": 4}),
    "D07-sum": (13, {"x": 1, "y": 1}),
    "D07-product": (42, {"x": 7, "y": 6}),
    "D07-root": (5, {"x0": 0.8, "y0": 0.2, "z0": 0.6}),
    "D08-ln": (math.log(2), {"x": 0.5}),
    "D08-exp": (math.exp(2), {"x": -2 * math.exp(2)}),
    "D08-square": (9, {"x": 6}),
    "D09-cos2x2-at-3": (math.cos(18), {"x": -12 * math.sin(18)}),
    "D09-cos2x2-at-4": (math.cos(32), {"x": -16 * math.sin(32)}),
    "D10-chain-at-e": (math.exp(2), {"x": 3 * math.e}),
    "D10-chain-at-1": (math.e, {"x": 0}),
    "D10-chain-at-2": (math.exp(math.log(2) ** 3 + 1), {"x": slope_of_chain(2)}),
    "D11-sum": (5, {"x": 1, "y": 1}),
    "D11-product": (6, {"x": 3, "y": 2}),
    "D12-ln": (math.log(3), {"x": 1 / 3}),
    "D12-exp": (math.exp(3), {"x": 3 * math.exp(3)}),
    "D13-exp-times-ln": (math.exp(2) * math.log(2), {"x": math.exp(2) * (math.log(2) + 0.5)}),
    "D14-chain-of-3": (
        math.exp(math.sin(0.25)), {"x": math.exp(math.sin(0.25)) * math.cos(0.25)}
    ),
    "G08-ln": (
        math.log(18 + math.sin(2)), {"x": 12 / (18 + math.sin(2)), "y": (9 + math.cos(2)) / (18 + math.sin(2))}
    ),
    "G09-sqrt": (
        math.sqrt(math.e * math.sin(1)),
        {"t": math.e * (math.sin(1) + math.cos(1)) / (2 * math.sqrt(math.e * math.sin(1)))},
    ),
    "G10-three-outputs-at-1": (1 + 1 / math.sin(1), {"t": 1 - math.cos(1) / math.sin(1) ** 2}),
    "G10-three-outputs-at-2": (
        2 + math.log(2) ** 2 + 1 / math.sin(2), {"t": 1 + math.log(2) - math.cos(2) / math.sin(2) ** 2}
    ),
    "G11-shared-node": (
        9 * math.log(3) * math.log(math.log(3)),
        {"t": 6 * math.log(3) * math.log(math.log(3)) + 3 * math.log(math.log(3)) + 3},
    ),
    "G12-smile": (math.log(500), {"a": 0.4, "b": 0.2, "c": 0.2, "x": 0.6}),
}  # fmt: skip


@pytest.mark.parametrize("name", BY_HAND)
def test_graphs_by_hand(drawings, name):
    """D07 to D14 and G08 to G12: the value and every {{derivative}}."""
    value, slopes = BY_HAND[name]
    assert value_of(drawings[name]) == near(value)
    assert inputs_of(drawings[name]) == {title: near(x) for title, x in slopes.items()}


def test_the_formulas_are_read_back(drawings):
    """D07, D12: constants are boxes, and ask for no derivative."""
    assert drawings["D07-root"].formula == "sqrt(x0 × y0 + z0²)"
    assert drawings["D12-exp"].formula in ("exp(3 × x)", "exp(x × 3)")
    constants = [v for v in drawings["D12-ln"].vertices if v.kind == "constant"]
    assert [(v.title, v.derivative) for v in constants] == [("2", None)]


def test_the_network_of_matrices(drawings):
    """TD-Q5: its blocks with their shapes and values, against plain Python."""
    drawing = drawings["TD-Q5-network"]
    hidden = [math.tanh(sum(a * b for a, b in zip(row, graphs.SMALL_X, strict=True))) for row in graphs.W]
    out = math.tanh(sum(a * b for a, b in zip(graphs.SMALL_W, hidden, strict=True)))
    assert value_of(drawing) == near(out)
    found = {v.title: v for v in drawing.vertices if v.kind == "input"}
    assert found["w"].derivative.tolist() == near([(1 - out**2) * y for y in hidden])
    assert [v.value.shape for v in drawing.vertices if v.title in ("@", "tanh")] == [(2,), (2,), (), ()]


def test_paths():
    """D13: the two paths and their sum."""
    found, total = graphs.paths()
    assert sorted(found) == [near(math.exp(2) / 2), near(math.exp(2) * math.log(2))]
    assert total == near(sum(found))


@pytest.mark.parametrize("n", [3, 10, 100])
def test_sequential_derivatives(n):
    """D14: n products, against n(n + 1)/2."""
    by_products, drawn, one_pass, apart = graphs.products(n)
    assert (one_pass, apart) == (n, n * (n + 1) // 2)
    assert drawn == near(by_products)
    x, slopes = 0.5, []
    for _ in range(n):
        slopes.append(math.cos(x))
        x = math.sin(x) + 1
    assert drawn == [near(math.prod(slopes[i:])) for i in range(n)]


def test_each_operator_is_visited_once():
    """G11."""
    assert list(graphs.visits(graphs.shared, 3.0).values()) == [1] * 5


def test_the_smile_formula():
    """G12, G13."""
    found = graphs.smile()
    for by_smile, by_autograd in found.values():
        assert by_smile == near(by_autograd)
    a, b, c, d, x = 0.5, 2.0, 1.5, -0.7, 1.0
    out = math.exp(c * math.cos(a * x) + d * math.sin(b * x))
    assert found["G13 dF/da"][1] == near(-c * x * math.sin(a * x) * out)
    assert found["G13 dF/dx"][1] == near((-a * c * math.sin(a * x) + b * d * math.cos(b * x)) * out)


def test_the_recursion():
    """G14: right with a dead neuron too, where the smile is 0/0."""
    rows = graphs.recursion([0.5, -0.4, 0.3, 0.9, -0.2], ["tanh", "sigmoid", "sin", "tanh", "sigmoid"], 0.8)
    assert [r[5] for r in rows] == near([r[7] for r in rows])
    assert [r[6] for r in rows] == near([r[7] for r in rows])
    dead = graphs.recursion([0.5, -0.4, 0.3], ["tanh", "relu", "sigmoid"], 0.8)
    assert [r[5] for r in dead] == [r[7] for r in dead]
    assert (dead[1][2], dead[1][5]) == (0, 0)
    assert math.isnan(dead[1][6])


# --- one variable -----------------------------------------------------------------------------------------------------


def test_every_elementary_function():
    """N04, D04."""
    for f, by_hand, by_autograd, by_differences, composed in derivatives.every_function().values():
        assert math.isfinite(f)
        assert by_autograd == near(by_hand)
        assert by_differences == pytest.approx(by_hand, rel=1e-8, abs=1e-8)
        assert composed == near(0)


def test_quotients_and_tangents():
    """D01, D02, D03."""
    found = derivatives.quotients()
    assert found["x² at 1"] == pytest.approx(derivatives.STEPS, rel=1e-3)  # the error of x² is h itself
    assert [2 * e / h for e, h in zip(found["(e^x - 1)/x at 0"], derivatives.STEPS, strict=True)][-3:] == pytest.approx(
        [1, 1, 1], abs=1e-3
    )
    rows = derivatives.linear()
    assert [row[1:] for row in rows] == [near((0.01, math.sin(0.01))), near((1.05, math.sqrt(1.1)))]
    assert derivatives.tangent() == (0.5, 0.5)


def test_rules_second_derivatives_extrema():
    """D05, D06, D20, D21."""
    for by_rule, by_autograd in derivatives.rules().values():
        assert by_autograd == near(by_rule)
    assert [x for _, x in derivatives.second()] == near([-12, -math.sin(1), (2 + 4 * 0.25) * math.exp(0.25)])
    assert derivatives.extrema() == [(near(0), near(-4), "maximum"), (near(4 / 3), near(4), "minimum")]


def test_tape():
    """D15-grad-square, D15-grad-vector."""
    slope, rows = derivatives.tape()
    assert slope == 6
    for x, f, d in rows:
        assert (f, d) == (near(2 * math.log(x) + math.exp(-x)), near(2 / x - math.exp(-x)))


def test_series():
    """TIPS-geometric in exact fractions; TIPS-taylor against its remainder; TD-Q1."""
    for x, rows in derivatives.geometric().items():
        exact = Fraction(x)
        for n, total, error, _ in rows:
            assert total == near(float((1 - exact ** (n + 1)) / (1 - exact)))
            assert error == near(float(exact ** (n + 1) / (1 - exact)))
    found = derivatives.taylor()
    assert [row[1] for row in found["exp at 0"]] == [1] * 6
    sin, cos = math.sin(1), math.cos(1)
    assert [row[1] for row in found["sin at 1"]] == near([sin, cos, -sin, -cos, sin, cos])
    assert [row[1] for row in found["sqrt at 1"]] == near([1, 1 / 2, -1 / 4, 3 / 8, -15 / 16, 105 / 32])
    for rows in found.values():
        assert [row[2] for row in rows] == pytest.approx([row[3] for row in rows], rel=1e-6)
    for h, whole, parts in derivatives.expansion():
        assert whole == pytest.approx(parts, abs=1e-15 / h + 1e-12)
    by_parts, whole = derivatives.model()
    th = math.tanh(-0.75)
    outer = 2 * (0.8 * th - 0.2)
    assert by_parts == near([outer * th, outer * 0.8 * 1.5 * (1 - th * th)])
    assert whole == near(by_parts)


# --- several variables ------------------------------------------------------------------------------------------------


def test_gradients_of_several_variables():
    """W03, F01, G01, G02, D15-grad-xy2."""
    for _, by_autograd, by_hand in surfaces.gradients().values():
        assert by_autograd == near(by_hand)
    x, y, z = surfaces.meshgrid()
    assert (x[0].tolist(), y[:, 0].tolist()) == ([0, 0.5, 1, 1.5, 2], [0, 0.5, 1, 1.5, 2])
    assert z[3, 1].item() == 1.5**2 + 0.5**2


def test_the_gradient_and_its_directions():
    """G03, G04, G05."""
    point, g, product = surfaces.tangent_of_ellipse()
    assert point == near([2 * math.cos(0.8), math.sin(0.8)])
    assert g == near([math.cos(0.8), 2 * math.sin(0.8)])
    assert product == near(0)
    three, around = surfaces.directional()
    assert three[:2] == near((12, 12))  # 4 * 0.6 + 12 * 0.8
    assert three[2] == pytest.approx(12, rel=1e-8)
    assert around == near([4 * math.cos(math.radians(k)) + 12 * math.sin(math.radians(k)) for k in range(360)])
    assert max(range(360), key=around.__getitem__) == round(math.degrees(math.atan2(12, 4)))
    assert surfaces.approximation() == near((1.001, 1.002**2 * 0.997))


def test_critical_points_and_hessians():
    """G06, F09, TD-Q2."""
    (saddle, minimum) = surfaces.critical()
    assert saddle == (near([0, 0]), [near([2, 1]), near([1, 0])], "saddle")
    assert minimum == (near([1 / 12, -1 / 6]), [near([2, 1]), near([1, 1])], "minimum")
    assert [h for h, _ in surfaces.quadrics().values()] == [
        [[0.5, 0], [0, 2]],
        [[2, 0], [0, 0]],
        [[2, 0], [0, -2]],
    ]
    jacobian, rows = surfaces.jacobian()
    e = math.exp(-2)
    assert jacobian.tolist() == [near([-1, 0.5, 0]), near([1, 0, math.cos(2)]), near([0, 2 * e, -e])]
    assert [rest / step for step, rest in rows[2:5]] == pytest.approx([rows[1][1] / 0.01] * 3, rel=0.02)


# --- descent ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def searches():
    return descent.elementary()


def test_newton(searches):
    """D18, D19, D22, D23, D24."""
    assert searches["D18"] == near([27, -22, 6])
    assert searches["D18 descent"] == near(11 / 6)
    assert searches["D18 Newton"] == near(11 / 6)
    root = math.sqrt(3)
    assert searches["D19"] == [
        (near(-1), "minimum"), (near((1 - root) / 2), "maximum"), (near((1 + root) / 2), "minimum")
    ]  # fmt: skip
    assert searches["D19 from -2, 2"] == near([-1, (1 + root) / 2])
    x = Fraction(10)
    for k in range(5):
        assert searches["D22"][k] == near((float(x), float(x**3 - 100), float(3 * x * x)))
        x -= (x**3 - 100) / (3 * x * x)
    digits = searches["D22 digits"]
    assert all(2 * a - 1 <= b <= 2 * a + 3 for a, b in itertools.pairwise(digits[4:13]))
    with localcontext() as context:
        context.prec = 1050
        decimals = Decimal(searches["D22 decimals"])
        step = Decimal(1).scaleb(-1000)
        assert decimals**3 <= 100 < (decimals + step) ** 3
    for name, start, steps in (("D23", 0.0, 4), ("D24", 10.0, 7)):
        x = start
        for k in range(steps + 1):
            assert searches[name][k] == near(x)
            x -= (2 * x - math.cos(x)) / (2 + math.sin(x))
        assert 2 * searches[name][-1] == pytest.approx(math.cos(searches[name][-1]), abs=1e-13)


def test_least_distances():
    """F03 to F06, F10."""
    run = descent.minimise(descent.squares, [0.0, 0.0], 0.05, 100)
    assert run.points[-1].tolist() == near([10 / 3, 8 / 3])  # the centre of gravity
    found, slices = descent.fermat()
    best = found["descent"]
    angle = []
    for (ax, ay), (bx, by) in zip(descent.CORNERS, descent.CORNERS[1:] + descent.CORNERS[:1], strict=True):
        u, v = (ax - best[0], ay - best[1]), (bx - best[0], by - best[1])
        angle.append((u[0] * v[0] + u[1] * v[1]) / math.hypot(*u) / math.hypot(*v))
    assert angle == pytest.approx([-0.5] * 3, abs=1e-8)  # every side is seen under 120 degrees
    assert found["slices"][:2] == pytest.approx(best[:2], abs=1e-4)
    assert found["grid"][:2] == pytest.approx(best[:2], abs=6 / 99)
    assert best[2] <= min(found["grid"][2], found["random"][2], found["slices"][2]) + 1e-9
    assert (found["grid"][3], found["random"][3], len(slices)) == (10000, 1000, 11)
    a, b = descent.total_least_squares()
    # the long axis of the points through (4, 4.8): tan of twice its angle is 2 Sxy/(Sxx - Syy)
    sxx, sxy, syy = (
        sum((x - 4) ** 2 for x, _ in descent.POINTS),
        sum((x - 4) * (y - 4.8) for x, y in descent.POINTS),
        sum((y - 4.8) ** 2 for _, y in descent.POINTS),
    )
    slope = math.tan(0.5 * math.atan2(2 * sxy, sxx - syy))
    assert (a, b) == near((slope, 4.8 - 4 * slope))


@pytest.fixture(scope="module")
def found():
    return descent.runs()


def test_descents_in_closed_form(found):
    """S01 to S04: each coordinate of a quadratic is multiplied by 1 - step * curvature."""
    for name, start, step in (("S01", (2, 1), 0.2), ("S02", (-1, -1), 0.1)):
        run = found[name]
        exact = [[start[0] * (1 - 2 * step) ** k, start[1] * (1 - 6 * step) ** k] for k in range(21)]
        assert run.points.tolist() == [near(p) for p in exact]
        assert run.values.tolist() == near([a * a + 3 * b * b for a, b in exact])
        assert run.gradients.tolist() == [near([2 * a, 6 * b]) for a, b in exact]
    for name, start, step in [("S03", 2, 0.2), ("S03 from -1.5", -1.5, 0.2)] + [
        (f"S04 step {d}", 2, d) for d in (0.9, 1.1, 0.05)
    ]:
        assert found[name].points.tolist() == near([start * (1 - 2 * step) ** k for k in range(11)])


def test_limits_of_descents(found):
    """S05: the roots of 4a³ - 10a + 1; S06: slow towards 0, and 3/2."""
    for name in ("S05 from -2.0", "S05 from -0.5", "S05 from 0.5", "S05 from 2.0"):
        a = found[name].points[-1].item()
        assert 4 * a**3 - 10 * a + 1 == pytest.approx(0, abs=1e-10)
        assert 12 * a * a - 10 > 0
        assert (a < 0) == (float(name.split()[-1]) < 0)
    a = -1.0
    for _ in range(100):
        a -= 0.05 * (4 * a**3 - 6 * a * a)
    assert found["S06"].points[-1].item() == near(a)
    assert -0.05 < a < 0
    assert found["S06 from 0.5"].points[-1].item() == pytest.approx(1.5, abs=1e-10)


def test_momentum_and_nesterov(found):
    """S18, S19 in exact fractions."""
    step, mu = Fraction(1, 10), Fraction(1, 2)
    for name, ahead in (("S18", False), ("S19", True)):
        for axis, curvature in ((0, 2), (1, 6)):
            before = p = Fraction(2 - axis)
            for k in range(21):
                assert found[name].points[k, axis].item() == near(float(p))
                moved = p + mu * (p - before)
                before, p = p, moved - step * curvature * (moved if ahead else p)


def test_minimise_and_schedules():
    """S07, S08."""
    run = descent.minimise(descent.bowl, [2.0, 1.0], 0.2, 1000, tolerance=1e-3)
    k = len(run.points) - 1
    assert run.reason == f"gradient of at most 0.001 after {k} steps"
    assert mt.linalg.norm(run.gradients[k]).item() <= 1e-3 < mt.linalg.norm(run.gradients[k - 1]).item()
    assert descent.minimise(descent.bowl, [2.0, 1.0], 0.2, 3, tolerance=1e-3).reason == "3 steps"
    assert "not finite" in descent.minimise(descent.bowl, [2.0, 1.0], 5.0, 1000).reason
    assert descent.best_step(descent.bowl, [2.0, 1.0], [0.05, 0.2, 0.5], 1000, 1e-3) == 0.2
    rules = descent.schedules()
    for k in range(10):
        found = [rule(k) for rule in rules.values()]
        assert found == near([0.1 / (k + 1), 0.1 / (k + 1) ** 2, 0.1 * math.exp(-0.5 * k), 0.1 / (1e-4 * k + 1)])
    falling = descent.minimise(descent.parabola, 2.0, rules["linear"], 3)
    assert falling.points[1:].tolist() == near([2 * 0.8, 2 * 0.8 * 0.9, 2 * 0.8 * 0.9 * (1 - 0.2 / 3)])


# --- regression -------------------------------------------------------------------------------------------------------


def follow(gradient, samples, start, step, steps, batch=None):
    """Descent in plain Python: gradient(p, sample) of one sample; exact where the numbers are fractions."""
    points, p, size = [list(start)], list(start), batch or len(samples)
    for k in range(steps):
        some = [samples[(k * size + i) % len(samples)] for i in range(size)]
        slopes = [gradient(p, s) for s in some]
        p = [x - step * sum(g) for x, g in zip(p, zip(*slopes, strict=True), strict=True)]
        points.append(p)
    return points


def of_line(p, s):
    rest = p[0] * s[0] + p[1] - s[1]
    return [2 * rest * s[0], 2 * rest]


def of_plane(p, s):
    rest = p[0] * s[0] + p[1] * s[1] + p[2] - s[2]
    return [2 * rest * s[0], 2 * rest * s[1], 2 * rest]


def of_parabola(p, s):
    rest = s[0] ** 2 + p[0] * s[0] + p[1] - s[1]
    return [2 * rest * s[0], 2 * rest]


def of_circle(p, s):
    dx, dy = s[0] - p[0], s[1] - p[1]
    rest = dx * dx + dy * dy - p[2] ** 2
    return [-4 * rest * dx, -4 * rest * dy, -4 * rest * p[2]]


@pytest.fixture(scope="module")
def fits():
    return regression.lines()


def test_lines_and_planes(fits):
    """S09 in exact fractions, S10, S12, S13, S11 through the model's API."""
    samples = [(Fraction(x), Fraction(y)) for x, y in regression.THREE]
    exact = follow(of_line, samples, [Fraction(0), Fraction(1)], Fraction(1, 50), 30)
    assert fits["S09"].points[:31] == [near([float(a), float(b)]) for a, b in exact]
    assert (fits["S09"].gradients[0], fits["S09"].errors[0]) == ([-72, -20], 38)
    assert regression.neuron().points == [near(p) for p in fits["S09"].points]
    by_hand = follow(of_line, regression.FIVE, [0.75, -2.0], 0.001, 10_000)[-1]
    assert fits["S10"].points[-1] == pytest.approx(by_hand, rel=1e-9)
    assert fits["S12"].points[-1] == pytest.approx([1, 2, 3], abs=1e-9)  # through all three points
    a, b, c = fits["S13"].points[-1]
    assert (a, b, c) == pytest.approx((-11 / 9, 7 / 9, 7 / 3), abs=1e-6)
    rests = [a * x + b * y + c - z for x, y, z in regression.PLANE_5]
    for column in ([x for x, _, _ in regression.PLANE_5], [y for _, y, _ in regression.PLANE_5], [1] * 5):
        assert sum(r * v for r, v in zip(rests, column, strict=True)) == pytest.approx(
            0, abs=1e-5
        )  # the normal equations


def test_all_samples_and_one_sample_at_a_time():
    """S14a, S14b: in exact fractions at the beginning, in floats to the end."""
    full, single = regression.parabolas()
    samples = [(Fraction(x), Fraction(y)) for x, y in regression.PARABOLA]
    start, step = [Fraction(1), Fraction(1)], Fraction(1, 100)
    for found, batch, steps in ((full, None, 200), (single, 1, 800)):
        exact = follow(of_parabola, samples, start, step, 12, batch)
        assert found.points[:13] == [near([float(a), float(b)]) for a, b in exact]
        floats = follow(of_parabola, regression.PARABOLA, [1.0, 1.0], 0.01, steps, batch)
        assert found.points == [pytest.approx(p, abs=1e-10) for p in floats]
        assert found.points[-1] == pytest.approx([-3, 2], abs=0.01)  # which goes through all four


def test_circles():
    """S16, S17: every batch size against plain Python; the mirrored radius at the step that is too long."""
    for size, found in regression.circles(epochs=50).items():
        by_hand = follow(of_circle, regression.CIRCLE, [1.0, 1.0, 2.0], 0.005, 50 * 6 // size, size)
        assert found.points == [pytest.approx(p, rel=1e-8, abs=1e-8) for p in by_hand]
        assert found.points[-1] == pytest.approx([3, 2, 1], abs=0.05)
    bad = regression.circles(0.01, 50)
    assert bad[3].points[-1][2] == pytest.approx(-1, abs=1e-3)
    assert not math.isfinite(bad[6].errors[-1])
    data = regression.noisy_circle()
    assert data == regression.noisy_circle()
    assert all(2.5 <= math.hypot(x - 1, y - 2) <= 3.5 for x, y in data)
    for size in (1, 10, 20):
        found = regression.fit(regression.circle, data, [1.0, 1.0, 1.0], 0.001, 200 // size, batch=size)
        by_hand = follow(of_circle, data, [1.0, 1.0, 1.0], 0.001, 200 // size, size)
        assert found.points[-1] == pytest.approx(by_hand[-1], rel=1e-9)


# --- a linear layer by hand -------------------------------------------------------------------------------------------


def test_a_linear_layer_by_hand():
    """TP1-scalar, TP1-batch, TP1-batch-columns."""
    drawing = linear_layer.one_sample()
    rest = 0.5 - 0.5 - 2 + 0.1 - 1  # x·w + b - y
    found = {v.title: v.derivative.tolist() for v in drawing.vertices if v.kind == "input"}
    assert found["w"] == near([2 * rest * x for x in (1, 2, -1)])
    assert found["x"] == near([2 * rest * w for w in (0.5, -0.25, 2)])
    assert (found["b"], found["y"]) == (near(2 * rest), near(-2 * rest))
    assert [v.title for v in drawing.vertices if v.kind == "box"] == ["x·w + b", "(ŷ − y)²"]
    for name, (ours, exact, sums) in linear_layer.batch().items():
        for row, other in zip(ours, exact, strict=True):
            assert row == near(other), name
        for row, other in zip(ours, sums, strict=bool(sums)):
            assert row == near(other), name
    for columns, rows in linear_layer.columns().values():
        assert [near(row) for row in rows] == columns


def test_own_functions_train():
    """TP1-custom, TP1-train."""
    assert all(first and second for *_, first, second in linear_layer.checks())
    runs = [linear_layer.train(way) for way in ("functions", "autograd", "optimizer")]
    for losses, w, b in runs:
        assert losses == pytest.approx(runs[0][0], rel=1e-9)
        assert w.tolist() == [pytest.approx(row, abs=1e-6) for row in ([1, -2], [0.5, 0], [3, 1])]
        assert b[0].tolist() == pytest.approx([0.3, -0.7], abs=1e-6)
    x, _ = linear_layer.data()
    assert x[7, 2].item() == math.sin(21)


# --- the programs -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["derivatives", "descent", "graphs", "regression", "surfaces"])
def test_programs_draw_their_pictures(name, tmp_path):
    text = run(f"{name}.py", "--pictures", tmp_path / "new")
    assert text.splitlines()[-1] == f"pictures: {tmp_path / 'new'}"
    files = list((tmp_path / "new").glob("*.png"))
    assert len(files) >= 5
    assert all(f.read_bytes().startswith(b"\x89PNG") for f in files)
    assert "Covers" in run(f"{name}.py", "--help")


def test_the_linear_layer_draws(tmp_path):
    text = run("linear_layer.py", "--picture", tmp_path / "a.png")
    assert "pictures:" in text
    assert sorted(f.name for f in tmp_path.iterdir()) == ["a-graph.png", "a.png"]
    assert "TP1-custom" in run("linear_layer.py", "--help")
