"""Solutions and their derivatives, against closed forms, other ways of computing and finite differences."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pytest

import minitensor as mt
from minitensor import implicit
from minitensor.errors import ConvergenceError
from minitensor.func import grad, hessian, jacfwd, jacrev, jvp, vjp, vmap

W = [[0.2, -0.3], [0.1, 0.4]]


def f64(x, **how):
    return mt.tensor(x, dtype=mt.float64, **how)


def cubic(theta):
    """x with x^3 + x = theta: at 2 x = 1, x' = 1/(3 x^2 + 1), x'' = -6 x x'^3, x''' = -6 x'^4 + 108 x^2 x'^5."""
    return implicit.root(lambda x, t: x**3 + x - t, f64(0.5), theta)


def deq(w, b, **options):
    return implicit.fixed_point(lambda x, w, b: mt.tanh(w @ x + b), mt.zeros(2, dtype=mt.float64), w, b, **options)


def close(a, b, tol=1e-9):
    np.testing.assert_allclose(a.detach().numpy() if isinstance(a, mt.Tensor) else a, b, rtol=tol, atol=tol)


# --- root -------------------------------------------------------------------------------------------------------------


def test_three_orders_in_every_nesting():
    t = f64(2.0)
    close(cubic(t), 1.0)
    for d in (grad, jacfwd):
        close(d(cubic)(t), 1 / 4)
        for e in (grad, jacfwd):
            close(d(e(cubic))(t), -6 / 4**3)
            for g in (grad, jacfwd):
                close(d(e(g(cubic)))(t), -6 / 4**4 + 108 / 4**5)


def test_backward_accumulates_and_can_be_called_twice():
    t = f64(2.0, requires_grad=True)
    x = cubic(t)
    x.backward(retain_graph=True)
    x.backward()
    close(t.grad, 0.5)


@pytest.mark.parametrize("linear", [None, "direct", "gmres"])
def test_gradcheck_of_the_fixed_point(linear):
    w, b = f64(W, requires_grad=True), f64([0.5, -0.2], requires_grad=True)

    def run(w, b):
        return deq(w, b, linear_solver=linear)

    assert mt.autograd.gradcheck(run, (w, b), check_forward_ad=True)
    assert mt.autograd.gradgradcheck(run, (w, b))


def test_jvp_and_vjp_are_adjoint():
    w, b, v, u = f64(W), f64([0.5, -0.2]), f64([1.0, -2.0]), f64([0.3, 0.7])
    x, t = jvp(lambda b: deq(w, b), (b,), (v,))
    a = np.eye(2) - (1 - x.numpy() ** 2)[:, None] * np.array(W)
    close(t, np.linalg.solve(a, (1 - x.numpy() ** 2) * v.numpy()))
    (r,) = vjp(lambda b: deq(w, b), b)[1](u)
    close((u * t).sum(), (r * v).sum().item())


def test_vmap_over_thetas_starts_and_both():
    t = f64([2.0, 10.0, 30.0])
    close(vmap(cubic)(t), [1, 2, 3])
    slopes = [1 / 4, 1 / 13, 1 / 28]
    close(vmap(grad(cubic))(t), slopes)
    close(jacrev(vmap(cubic))(t), np.diag(slopes))
    close(jacfwd(vmap(cubic))(t), np.diag(slopes))
    close(vmap(jacfwd(cubic))(t), slopes)
    square = lambda x0, t: implicit.root(lambda x, t: x * x - t, x0, t)  # noqa: E731
    close(vmap(square, in_dims=(0, None))(f64([-1.0, 1.0]), f64(4.0)), [-2, 2])
    close(
        vmap(vmap(square, in_dims=(None, 0)), in_dims=(0, None))(f64([-1.0, 1.0]), f64([4.0, 9.0])), [[-2, -3], [2, 3]]
    )


def test_a_tree_of_unknowns_and_of_thetas():
    def equations(x, theta, k):
        return {"a": x["a"] * theta["s"] - theta["v"][0], "b": (x["b"][0] ** k - theta["v"][1],)}

    theta = {"s": f64(2.0, requires_grad=True), "v": [f64([1.0, 3.0], requires_grad=True), f64(9.0)]}
    x0 = {"a": mt.zeros(2, dtype=mt.float64), "b": (f64(1.0),)}
    x = implicit.root(equations, x0, theta, 2)
    close(x["a"], [0.5, 1.5])
    close(x["b"][0], 3)
    ds, dv = mt.autograd.grad(x["a"].sum(), (theta["s"], theta["v"][0]))
    close(ds, -1.0)
    close(dv, [0.5, 0.5])


def test_shapes_and_dtypes():
    t = mt.tensor([[1.0, 4.0], [9.0, 16.0]], requires_grad=True)
    x = implicit.root(lambda x, t: x * x - t, mt.ones(2, 2), t)
    assert x.shape == (2, 2)
    assert x.dtype == mt.float32
    close(mt.autograd.grad(x.sum(), t)[0], [[1 / 2, 1 / 4], [1 / 6, 1 / 8]], 1e-5)
    wide = implicit.root(lambda x, t: x * x - t, 1, f64(2.0))  # as precise as its equations
    assert wide.dtype == mt.float64
    close(wide, math.sqrt(2), 1e-15)
    assert implicit.root(lambda x: x, mt.zeros(0, 3)).shape == (0, 3)


def test_it_does_not_depend_on_the_start():
    x0, t = f64(0.5, requires_grad=True), f64(2.0, requires_grad=True)
    x = implicit.root(lambda x, t: x**3 + x - t, x0, t)
    assert mt.autograd.grad(x, (x0, t), allow_unused=True)[0] is None
    assert not implicit.root(lambda x: x**3 + x - 2, x0).requires_grad
    with mt.no_grad():
        assert not cubic(t).requires_grad


@pytest.mark.parametrize("detached", [True, False])
def test_the_users_solver_is_not_differentiated(detached):
    seen = []

    def newton(F, x0, a):
        assert not a.requires_grad
        x = x0.clone().requires_grad_()
        for _ in range(30):
            y = F(x, a)
            x = x - y / mt.autograd.grad(y, x, create_graph=True)[0]
            seen.append(x.item())
        return x.detach() if detached else x

    t = f64(2.0, requires_grad=True)
    x = implicit.root(lambda x, t: x**3 + x - t, f64(0.5), t, solver=newton)
    (g,) = mt.autograd.grad(x, t, create_graph=True)
    close(g, 0.25)
    close(mt.autograd.grad(g, t)[0], -6 / 64)
    assert len(seen) == 30


def test_a_solver_that_stops_early_has_the_derivative_of_where_it_stopped():
    with pytest.warns(UserWarning, match=r"root: .* off by 2\.0e\+00"):
        x = implicit.root(lambda x, t: x * x - t, f64(1.0), f64(2.0, requires_grad=True), solver=lambda F, x, t: x + 1)
    x.backward()  # A = 2 x at x = 2
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        implicit.root(lambda x, t: x - t, f64(1.0), f64(2.0), solver=lambda F, x, t: 2.0)


def test_tensors_that_the_function_closes_over():
    w, b = f64(W, requires_grad=True), f64([0.5, -0.2], requires_grad=True)
    expected = mt.autograd.grad(deq(w, b).sum(), (w, b))
    start = mt.zeros(2, dtype=mt.float64)
    x = implicit.fixed_point(lambda x: mt.tanh(w @ x + b), start)
    for got, want in zip(mt.autograd.grad(x.sum(), (w, b)), expected, strict=True):
        close(got, want.numpy())
    half = w * 0.5  # inside the graph
    x = implicit.fixed_point(lambda x, b: mt.tanh(2 * half @ x + b), start, b)
    (x.sum() + half.sum()).backward()
    close(w.grad, expected[0].numpy() + 0.5)
    close(b.grad, expected[1].numpy())

    def inner(s):  # second order, and variables of nested transforms
        return grad(lambda t: implicit.root(lambda x: x**3 + x - t * s, f64(0.5)))(f64(2.0))

    close(grad(inner)(f64(1.0)), 1 / 4 - 2 * 6 / 64)
    layer = mt.nn.Linear(3, 3).double()
    y = implicit.fixed_point(lambda z, x: mt.tanh(0.3 * layer(z) + x), mt.zeros(3, dtype=mt.float64), mt.ones(3))
    y.sum().backward()
    assert layer.weight.grad.abs().sum() > 0


def test_closures_in_forward_mode():
    def closed(t):
        return implicit.root(lambda x: x**3 + x - t, f64(0.5))

    def half(t):  # x^3 + x = t s
        return implicit.root(lambda x, s: x**3 + x - t * s, f64(0.5), t)

    def slope(f):
        return lambda t: jvp(f, (t,), (f64(1.0),))[1]

    t = f64(2.0)
    close(slope(closed)(t), 1 / 4)
    close(slope(slope(closed))(t), -6 / 64)
    close(slope(slope(slope(closed)))(t), -6 / 4**4 + 108 / 4**5)
    close(grad(slope(closed))(t), -6 / 64)
    close(slope(half)(f64(math.sqrt(2))), 2 * math.sqrt(2) / 4)
    with pytest.raises(RuntimeError, match="pass it as theta"):
        slope(grad(closed))(t)


def test_reverse_mode_over_a_jacobian_by_forward_mode_needs_theta():
    def through_closure(a):
        return implicit.root(lambda x: x * x - a, 1.0)

    def through_theta(a):
        return implicit.root(lambda x, a: x * x - a, 1.0, a)

    a = mt.tensor(4.0)
    second = -1 / 32  # of sqrt at 4
    assert mt.func.grad(mt.func.jacfwd(through_theta))(a).item() == pytest.approx(second)
    assert mt.func.jacfwd(mt.func.jacfwd(through_closure))(a).item() == pytest.approx(second)
    with pytest.raises(RuntimeError, match="pass it as theta"):  # the batch of jacfwd has ended when the walk begins
        mt.func.grad(mt.func.jacfwd(through_closure))(a)


def test_closures_under_vmap():
    def closed(t):
        return implicit.root(lambda x: x**3 + x - t, f64(0.5))

    t = f64([2.0, 10.0])
    close(vmap(closed)(t), [1, 2])
    close(vmap(grad(closed))(t), [1 / 4, 1 / 13])
    close(jacfwd(lambda t: implicit.root(lambda x: x**3 + x - t, f64([0.5, 0.5])))(t), np.diag([1 / 4, 1 / 13]))
    close(jacfwd(jacfwd(closed))(t[0]), -6 / 64)
    product = lambda t, s: implicit.root(lambda x, s: x**3 + x - t * s, f64(0.5), s)  # noqa: E731
    close(vmap(lambda t: vmap(lambda s: product(t, s))(f64([1.0, 5.0])))(f64([2.0, 2.0])), [[1, 2], [1, 2]])
    with pytest.raises(RuntimeError, match="vmap"):
        vmap(lambda t: implicit.minimize(lambda x: (x - t) ** 2, f64(0.5)))(t)
    with pytest.raises(RuntimeError, match="pass it as theta"):  # the batch has ended when the walk begins
        jacrev(vmap(closed))(t)


def test_what_is_made_of_a_leafs_dual_leads_to_the_leaf():
    x = f64(2.0, requires_grad=True)
    with mt.autograd.forward_ad.dual_level():
        y = mt.autograd.forward_ad.make_dual(x, f64(1.0)) ** 2
    y.backward()
    close(x.grad, 4.0)


def test_a_thousand_unknowns_without_forming_the_matrix():
    mt.manual_seed(0)
    n = 1000
    a = mt.randn(n, n, dtype=mt.float64) / 40
    t = mt.randn(n, dtype=mt.float64, requires_grad=True)
    x = implicit.root(lambda x, t: x + 0.3 * mt.tanh(a @ x) - t, mt.zeros(n, dtype=mt.float64), t)
    (g,) = mt.autograd.grad(x.sum(), t)
    jacobian = np.eye(n) + 0.3 * (1 - np.tanh(a.numpy() @ x.detach().numpy()) ** 2)[:, None] * a.numpy()
    close(g, np.linalg.solve(jacobian.T, np.ones(n)))


def test_a_linear_solver_of_the_users():
    calls = []

    def richardson(product, b):
        x = mt.zeros_like(b)
        for _ in range(200):
            x = x + 0.5 * (b - product(x))
            calls.append(1)
        return x

    w, b = f64(W), f64([0.5, -0.2], requires_grad=True)
    (g,) = mt.autograd.grad(deq(w, b, linear_solver=lambda p, b: -richardson(lambda r: -p(r), b)).sum(), b)
    close(g, mt.autograd.grad(deq(w, b).sum(), b)[0].numpy())
    assert len(calls) == 200


def test_errors_say_what_is_wrong():
    t = f64(1.0, requires_grad=True)
    with pytest.raises(ConvergenceError, match="root: Newton's method did not converge"):
        implicit.root(lambda x, t: x * x + t, 1.0, t)
    with pytest.raises(ConvergenceError, match="fixed_point"):
        implicit.fixed_point(lambda x, t: x + t, 0.0, t)
    with pytest.raises(ConvergenceError, match="minimize: the descent"):
        implicit.minimize(lambda x: x.sum(), mt.zeros(3))
    with pytest.raises(mt.linalg.LinAlgError, match=r"root: the 1 x 1 matrix dF/dx is singular"):
        implicit.root(lambda x, t: x * x - t, 1.0, t - 1).backward()
    with pytest.raises(mt.linalg.LinAlgError, match=r"minimize: the 3 x 3 matrix"):
        implicit.minimize(lambda x, t: (x.sum() - t) ** 2, mt.zeros(3), t).sum().backward()
    with pytest.raises(ValueError, match="gives 1 numbers for 2 unknowns"):
        implicit.root(lambda x: x[:1], mt.zeros(2))
    with pytest.raises(ValueError, match="solver returned 3 numbers for 1"):
        implicit.root(lambda x: x, 1.0, solver=lambda F, x: mt.zeros(3))
    with pytest.raises(ValueError, match="solver must be"):
        implicit.root(lambda x: x, 1.0, solver="magic")
    with pytest.raises(ValueError, match="linear_solver must be"):
        implicit.root(lambda x: x, 1.0, linear_solver="magic")
    with pytest.raises(ValueError, match=r"minimize: the function must give one number, not a tensor of shape \(3,\)"):
        implicit.minimize(lambda x: x, mt.zeros(3))
    with pytest.raises(TypeError, match="floating"):
        implicit.root(lambda x: x > 0, mt.zeros(3))


# --- fixed_point, minimize --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", [None, "anderson", "newton"])
def test_fixed_points_that_are_contractions_and_that_are_not(solver):
    close(implicit.fixed_point(mt.cos, f64(1.0), solver=solver), 0.7390851332151607, 1e-14)
    heron = lambda x, a: 0.5 * (x + a / x)  # noqa: E731
    close(grad(lambda a: implicit.fixed_point(heron, f64(1.0), a, solver=solver))(f64(2.0)), 0.5 / math.sqrt(2))
    close(implicit.fixed_point(lambda x: 3 - 2 * x, f64(0.0), solver=solver), 1.0)  # slope -2: repels


@pytest.mark.parametrize("solver", [None, "newton", "lbfgs", "gradient"])
def test_ridge_regression(solver):
    """DP-ridge: (X^T X + lambda I) theta = X^T Y, dtheta/dlambda = -(X^T X + lambda I)^-1 theta."""
    x, y = f64([[1, 0], [1, 1], [1, 2], [1, 3]]), f64([1, 2, 2, 4])

    def fit(lam):
        loss = lambda t, lam: ((y - x @ t) ** 2).sum() + lam * (t * t).sum()  # noqa: E731
        return implicit.minimize(loss, mt.zeros(2, dtype=mt.float64), lam, solver=solver)

    m = (x.T @ x).numpy() + 0.5 * np.eye(2)
    theta = np.linalg.solve(m, (x.T @ y).numpy())
    close(fit(f64(0.5)), theta)
    first = -np.linalg.solve(m, theta)
    close(jacrev(fit)(f64(0.5)), first)
    close(jacfwd(fit)(f64(0.5)), first)
    close(jacfwd(jacrev(fit))(f64(0.5)), -2 * np.linalg.solve(m, first))


def test_rosenbrock_and_conjugate_gradients():
    valley = lambda x, a: (a - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2  # noqa: E731

    def at(a):
        return implicit.minimize(valley, f64([-1.2, 1.0]), a, linear_solver="cg")

    close(at(f64(1.0)), [1, 1])
    close(jacrev(at)(f64(1.0)), [1, 2])  # (a, a^2)
    close(jacfwd(jacrev(at))(f64(1.0)), [0, 2], 1e-7)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        close(implicit.minimize(lambda x: (x**4).sum() + (x**2).sum(), mt.ones(300)), np.zeros(300), 1e-5)


def test_minimize_takes_a_solver_of_the_function():
    def descent(f, x0, t):
        x = x0
        for _ in range(200):
            x = x - 0.1 * grad(f)(x, t)
        return x

    t = f64([1.0, 2.0], requires_grad=True)
    x = implicit.minimize(lambda x, t: ((x - t**2) ** 2).sum(), mt.zeros(2, dtype=mt.float64), t, solver=descent)
    close(mt.autograd.grad(x.sum(), t)[0], [2, 4])


def test_a_bilevel_problem_by_gradient_descent():
    """The weight a of min_x (x - 1)^2 + a (x + 1)^2, x = (1 - a)/(1 + a), for which x = 0: a = 1."""
    a = f64(0.2, requires_grad=True)
    for _ in range(60):
        x = implicit.minimize(lambda x, a: (x - 1) ** 2 + a * (x + 1) ** 2, f64(0.0), a)
        (g,) = mt.autograd.grad(x * x, a)
        a = (a - g).detach().requires_grad_()
    close(a, 1.0, 1e-6)


# --- constraints ------------------------------------------------------------------------------------------------------


def nearest(theta, **options):
    options.setdefault("eq", lambda x, t: x.sum() - 1)
    start = mt.zeros(3, dtype=mt.float64)
    return implicit.minimize(lambda x, t: 0.5 * ((x - t) ** 2).sum(), start, theta, **options)


def test_nearest_point_of_the_simplex():
    """DP-17.71: without x >= 0 theta - (sum theta - 1)/3; with it the third coordinate stays at 0."""
    t = f64([0.9, 0.3, -0.4])
    positive = {"ineq": lambda x, t: -x}
    plane = np.eye(3) - 1 / 3
    close(nearest(t), t.numpy() + (1 - 0.8) / 3)
    close(nearest(t, multipliers=True).eq, [-0.2 / 3])
    close(jacrev(nearest)(t), plane)
    close(jacfwd(nearest)(t), plane)
    found = nearest(t, **positive, multipliers=True)
    close(found.x, [0.8, 0.2, 0.0])
    close(found.ineq, [0, 0, 0.5])
    close(found.eq, [0.1])
    face = [[0.5, -0.5, 0], [-0.5, 0.5, 0], [0, 0, 0]]
    close(jacrev(lambda t: nearest(t, **positive))(t), face)
    close(jacfwd(lambda t: nearest(t, **positive))(t), face)
    close(vmap(lambda t: nearest(t, **positive))(f64([[0.9, 0.3, -0.4], [1.0, 0.0, 3.0]])), [[0.8, 0.2, 0], [0, 0, 1]])


def test_the_users_solver_with_constraints():
    """Given x, the multipliers follow."""
    t = f64([0.9, 0.3, -0.4], requires_grad=True)
    solver = lambda f, x0, t: f64([0.8, 0.2, 0.0])  # noqa: E731
    found = nearest(t, ineq=lambda x, t: -x, solver=solver, multipliers=True)
    close(found.ineq, [0, 0, 0.5])
    close(found.eq, [0.1])
    close(mt.autograd.grad(found.x[0], t)[0], [0.5, -0.5, 0])


def test_a_circle():
    """The point of the unit disc nearest to theta outside it: theta/|theta|, with second derivatives."""

    def project(t):
        inside = lambda x, t: (x * x).sum() - 1  # noqa: E731
        return implicit.minimize(lambda x, t: ((x - t) ** 2).sum(), f64([0.1, 0.1]), t, ineq=inside)

    t = f64([3.0, 4.0])
    unit = lambda t: t / (t * t).sum().sqrt()  # noqa: E731
    close(project(t), [0.6, 0.8])
    close(jacrev(project)(t), jacrev(unit)(t).numpy())
    close(jacfwd(jacrev(project))(t), jacfwd(jacrev(unit))(t).numpy(), 1e-8)


# --- Danskin ----------------------------------------------------------------------------------------------------------


def test_the_value_at_the_optimum():
    """DP-17.70: max theta^T x - |x|^2/2 is |theta|^2/2."""

    def h(t):
        return implicit.max(lambda x, t: (t * x).sum() - 0.5 * (x * x).sum(), mt.zeros(2, dtype=mt.float64), t)

    t = f64([1.0, -2.0])
    close(h(t), 2.5)
    close(grad(h)(t), [1, -2])
    close(jvp(h, (t,), (f64([1.0, 1.0]),))[1], -1.0)
    close(hessian(h)(t), np.eye(2))
    close(jacrev(jacrev(h))(t), np.eye(2))
    close(vmap(grad(h))(f64([[1.0, 2.0], [3.0, 4.0]])), [[1, 2], [3, 4]])


def test_danskin_needs_no_derivative_of_the_optimum(monkeypatch):
    t = f64([1.0, -2.0], requires_grad=True)
    h = implicit.min(lambda x, t: ((x - t) ** 2).sum() + (t * t).sum(), mt.zeros(2, dtype=mt.float64), t)

    def solves(*_):
        raise AssertionError("a linear system was solved")

    monkeypatch.setattr(implicit._Task, "linear", solves)
    close(mt.autograd.grad(h, t)[0], [2, -4])


def test_entropy_on_the_simplex():
    """max theta^T x - sum x ln x over the simplex is logsumexp(theta), at x = softmax(theta)."""

    def h(t):
        gain = lambda x, t: (t * x).sum() - (x * x.log()).sum()  # noqa: E731
        start = mt.full((5,), 0.2, dtype=mt.float64)
        return implicit.max(gain, start, t, eq=lambda x, t: x.sum() - 1, ineq=lambda x, t: -x)

    t = f64([3.0, 1, 8, 6, 0])
    s = np.exp(t.numpy()) / np.exp(t.numpy()).sum()
    close(h(t), math.log(np.exp(t.numpy()).sum()))
    close(grad(h)(t), s)
    close(hessian(h)(t), np.diag(s) - np.outer(s, s))


# --- the sources ------------------------------------------------------------------------------------------------------


def test_implicit_euler():
    """DP-implicit-euler: x_{n+1} = x_n - 0.1 theta x_{n+1}^3, its derivative by differences of the exact recursion."""

    def last(theta, x):
        for _ in range(10):
            x = implicit.root(lambda z, x, theta: z - x + 0.1 * theta * z**3, x, x, theta)
        return x

    def exact(theta, x):
        for _ in range(10):
            x = np.roots([0.1 * theta, 0, 1, -x])
            x = float(x[np.abs(x.imag) < 1e-12].real[0])
        return x

    g = grad(last, argnums=(0, 1))(f64(1.0), f64(1.0))
    h = 1e-5
    close(g[0], (exact(1 + h, 1) - exact(1 - h, 1)) / (2 * h), 1e-8)
    close(g[1], (exact(1, 1 + h) - exact(1, 1 - h)) / (2 * h), 1e-8)


def test_the_matrix_series_by_solve():
    """TIPS-neumann: A + A^2 + ... = A (I - A)^-1, and its gradient, against 200 terms."""
    a = f64([[0.2, 0.1, 0], [0.3, 0.2, 0.1], [0, 0.4, 0.1]], requires_grad=True)
    s = implicit.root(lambda s, a: s - a - a @ s, mt.zeros(3, 3, dtype=mt.float64), a)
    power, total = a, a
    for _ in range(200):
        power = power @ a
        total = total + power
    close(s, total.detach().numpy())
    weights = f64(np.arange(9.0).reshape(3, 3))
    want = mt.autograd.grad((weights * total).sum(), a)[0]
    close(mt.autograd.grad((weights * s).sum(), a)[0], want.numpy())
