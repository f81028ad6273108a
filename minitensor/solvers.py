"""The solvers behind `mt.implicit`: of equations, minima and linear systems, on plain arrays.

None of their steps is differentiated. The equations `e` have a `name`, a `residual(x, *leaves)` on vectors,
`like`, the unknowns in the user's form, and `thetas(leaves)`, the user's other arguments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import creation, func, pytree
from .autograd.modes import enable_grad, no_grad
from .errors import ConvergenceError, ShapeError
from .graph import tensors
from .ops import join
from .ops import shape as shapes

Array = np.ndarray[Any, np.dtype[Any]]
DIRECT = 256  # unknowns, up to which the matrix of the derivative is formed

# --- trees and vectors ------------------------------------------------------------------------------------------------


def _pack(tree: Any) -> Any:
    """The numbers of a tree of tensors as one vector."""
    parts = [shapes.reshape(creation.as_tensor(x), (-1,)) for x in pytree.leaves(tree)]
    if len(parts) == 1:
        return parts[0]
    return join.cat(parts) if parts else creation.zeros(0)


def _unpack(like: Any, x: Any) -> Any:
    """A vector's numbers in the form of the tree `like`."""
    sizes = [leaf.array.size for leaf in pytree.leaves(like)]
    parts = join.split(x, sizes) if len(sizes) != 1 else [x]
    pairs = zip(parts, pytree.leaves(like), strict=True)
    return pytree.rebuild(like, [shapes.reshape(part, leaf.array.shape) for part, leaf in pairs])


# --- linear systems by products with the matrix -----------------------------------------------------------------------


def _check_linear(name: str, residual: float, b: float, dtype: Any) -> None:
    if not residual <= np.finfo(dtype).eps ** 0.5 * b:
        raise ConvergenceError(
            f"{name}: the linear system of the derivative did not converge (relative residual {residual / b:.1e}); "
            "dF/dx may be singular at the solution"
        )


def _conjugate_gradients(name: str, product: Callable[[Array], Array], b: Array) -> Array:
    """x with A x = b, A symmetric and definite. M. Hestenes, E. Stiefel, 1952."""
    x = np.zeros_like(b)
    r = b.copy()
    p, rr, size = r, float(r @ r), float(np.linalg.norm(b))
    goal = 4 * np.finfo(b.dtype).eps * size
    for _ in range(10 * len(b) + 10):
        if np.sqrt(rr) <= goal:
            break
        ap = product(p)
        curvature = float(p @ ap)
        if curvature == 0:
            break
        x = x + rr / curvature * p
        r = r - rr / curvature * ap
        rr, before = float(r @ r), rr
        p = r + rr / before * p
    if size:
        _check_linear(name, float(np.linalg.norm(b - product(x))), size, b.dtype)
    return x


def _gmres(name: str, product: Callable[[Array], Array], b: Array, restart: int = 60, check: bool = True) -> Array:
    """x with A x = b. Y. Saad, M. Schultz, 1986: the least residual in span(b, A b, ..., A^k b), begun anew."""
    x, size, n = np.zeros_like(b), float(np.linalg.norm(b)), len(b)
    goal = 4 * np.finfo(b.dtype).eps * size
    left = size
    for _ in range(max(20, 4 * n // restart)):
        r = b - product(x) if x.any() else b
        beta = float(np.linalg.norm(r))
        if beta <= goal or (beta > 0.99 * left and x.any()):
            break
        left = beta
        basis, h = [r / beta], np.zeros((restart + 1, restart))
        for k in range(min(restart, n)):
            v = product(basis[k])
            for _ in range(2):  # twice is enough for orthogonality to rounding
                for i, q in enumerate(basis):
                    c = float(q @ v)
                    h[i, k] += c
                    v = v - c * q
            h[k + 1, k] = norm = float(np.linalg.norm(v))
            target = np.eye(1, k + 2)[0] * beta
            y = np.linalg.lstsq(h[: k + 2, : k + 1], target, rcond=None)[0]
            if norm <= goal or np.linalg.norm(h[: k + 2, : k + 1] @ y - target) <= goal:
                break
            basis.append(v / norm)
        x = x + (np.stack(basis[: len(y)], 1) @ y).astype(b.dtype)
    if size and check:
        _check_linear(name, float(np.linalg.norm(b - product(x))), size, b.dtype)
    return x


# --- solvers ----------------------------------------------------------------------------------------------------------


def _largest(x: Array) -> float:
    return float(np.abs(x).max(initial=0.0)) if np.isfinite(x).all() else np.inf


def _not_converged(name: str, solver: str, steps: int, what: str, size: float) -> ConvergenceError:
    return ConvergenceError(f"{name}: {solver} did not converge within {steps} steps ({what} {size:.1e})")


def _newton(e: Any, x0: Any, leaves: list[Any], tol: float | None, max_iter: int, need: bool = True) -> Any:
    """Newton's method, whose steps are halved until the residual falls."""

    def residual(x: Array) -> Array:
        with no_grad():
            return e.residual(tensors.wrap(x), *leaves).array  # type: ignore[no-any-return]

    def step(x: Array, f: Array) -> tuple[Array, bool]:  # and whether it solves A d = -f
        if len(x) > DIRECT:
            _, push = func.linearize(lambda x: e.residual(x, *leaves), tensors.wrap(x))
            with no_grad():
                d = _gmres(e.name, lambda v: push(tensors.wrap(v)).array, -f, check=False)
                return d, bool(np.linalg.norm(push(tensors.wrap(d)).array + f) < 0.1 * np.linalg.norm(f))
        _, pull = func.vjp(lambda x: e.residual(x, *leaves), tensors.wrap(x))
        a = func.vmap(lambda row: pull(row)[0])(creation.eye(len(x), dtype=x0.dtype)).array
        if not np.isfinite(a).all():
            return np.full_like(x, np.nan), False
        try:
            d = np.linalg.solve(a, -f)
            if np.isfinite(d).all():
                return d, True
        except np.linalg.LinAlgError:
            pass
        d = np.linalg.lstsq(a, -f, rcond=None)[0].astype(x.dtype)  # the shortest of the best steps
        return d, bool(np.linalg.norm(a @ d + f) < 0.1 * np.linalg.norm(f))

    x = x0.array.copy()
    eps = float(np.finfo(x.dtype).eps)
    f = residual(x)
    last = np.inf
    for _ in range(max_iter):
        if _largest(f) == 0 or (tol is not None and _largest(f) <= tol):
            return tensors.wrap(x)
        d, solved = step(x, f)
        last = _largest(d) if solved else np.inf
        if not np.isfinite(_largest(d)):
            break
        size, share, moved = float(np.linalg.norm(f)), 1.0, x
        while share > 1e-10:
            moved = (x + share * d).astype(x.dtype)
            new = residual(moved)
            if np.isfinite(new).all() and float(np.linalg.norm(new)) <= (1 - 1e-4 * share) * size:
                break
            share /= 2
        else:
            break  # at rounding, or at a point from where the residual does not fall
        x, f = moved, new
        if share == 1 and last <= 2 * eps * _largest(x):
            break
    # What is left of the way to the root, as Newton's method measures it.
    if need and not last <= eps**0.5 * (1 + _largest(x)) and not (tol is not None and _largest(f) <= tol):
        raise _not_converged(e.name, "Newton's method", max_iter, "largest residual", _largest(f))
    return tensors.wrap(x)


def _anderson(e: Any, x0: Any, leaves: list[Any], tol: float | None, max_iter: int, memory: int = 5) -> Any:
    """Fixed-point steps, each from the combination of the last ones whose residual is least. D. Anderson, 1965."""

    def residual(x: Array) -> Array:  # f(x) - x
        with no_grad():
            return e.residual(tensors.wrap(x), *leaves).array  # type: ignore[no-any-return]

    x = x0.array.copy()
    eps = float(np.finfo(x.dtype).eps)
    xs: list[Array] = []
    rs: list[Array] = []
    best, best_size, since = x, np.inf, 0
    for _ in range(max_iter):
        r = residual(x)
        size = _largest(r)
        if size < best_size:
            best, best_size, since = x, size, 0
        else:
            since += 1
        if best_size <= (2 * eps * _largest(x) if tol is None else tol) or since > 30:
            break
        if not np.isfinite(size):
            xs, rs, x = [], [], best + 0.5 * residual(best) if np.isfinite(best_size) else x0.array * 0.5
            continue
        xs, rs = [*xs[-memory:], x], [*rs[-memory:], r]
        if len(rs) > 1:
            dr = np.stack([r - q for q in rs[:-1]], 1)
            dx = np.stack([x - q for q in xs[:-1]], 1)
            c = np.linalg.lstsq(dr, r, rcond=1e-10)[0]
            x = (x + r - (dx + dr) @ c).astype(x.dtype)
        else:
            x = x + r
    if best_size <= (eps**0.75 * (1 + _largest(best)) if tol is None else tol):
        return tensors.wrap(best)
    try:  # no contraction there: Newton's method needs none
        return _newton(e, tensors.wrap(best) if np.isfinite(best_size) else x0, leaves, tol, 100)
    except ConvergenceError:
        raise _not_converged(e.name, "Anderson's iteration", max_iter, "largest f(x) - x", best_size) from None


class _Objective:
    """f of a vector as numbers, with its gradient and Hessian, for the solvers of a minimum."""

    def __init__(self, e: Any, f: Callable[..., Any], leaves: list[Any]) -> None:
        theta = e.thetas(leaves)
        self.f, self.e, self.theta, self.leaves = f, e, theta, leaves

    def value(self, x: Array) -> float:
        with no_grad():
            return float(self.f(_unpack(self.e.like, tensors.wrap(x)), *self.theta).array)

    def gradient(self, x: Array) -> Array:
        return self.e.residual(tensors.wrap(x), *self.leaves).detach().array  # type: ignore[no-any-return]

    def hessian(self, x: Array) -> Array:
        _, pull = func.vjp(lambda x: self.e.residual(x, *self.leaves), tensors.wrap(x))
        return func.vmap(lambda row: pull(row)[0])(creation.eye(len(x), dtype=tensors.wrap(x).dtype)).detach().array  # type: ignore[no-any-return]


def _descend(o: _Objective, x0: Any, tol: float | None, max_iter: int, how: str) -> Any:
    """Descent by Newton's directions, by L-BFGS (J. Nocedal, 1980) or by the gradient, with a search along each."""
    x = x0.array.copy()
    eps = float(np.finfo(x.dtype).eps)
    value, g = o.value(x), o.gradient(x)
    pairs: list[tuple[Array, Array]] = []
    pace, start = 1.0, _largest(g)
    if not np.isfinite(value):
        raise ShapeError(f"{o.e.name}: the function is {value} at x0")
    for _ in range(max_iter):
        if _largest(g) <= (eps * (1 + start) if tol is None else tol) or _largest(x) > eps**-4:
            break
        if how == "newton":
            w, v = np.linalg.eigh(o.hessian(x))
            w = np.maximum(np.abs(w), 1e-8 * np.abs(w).max(initial=1e-30))  # downhill even where f is not convex
            d = -(v @ ((v.T @ g) / w))
        elif how == "lbfgs" and pairs:
            d = -_two_loops(pairs, g)
        else:
            d = -g * pace
        d = d.astype(x.dtype)
        slope = float(g @ d)
        if slope >= 0:
            pairs.clear()
            d, slope = -g * pace, -float(g @ g) * pace
        share, found = 1.0, False
        noise = 8 * eps * max(abs(value), 1e-300)
        while share > 1e-14:
            moved = (x + share * d).astype(x.dtype)
            new = o.value(moved)
            if np.isfinite(new) and new <= value + 1e-4 * share * slope:
                found = True
            elif np.isfinite(new) and new <= value + noise:  # f no longer tells: its gradient does
                found = float(np.linalg.norm(o.gradient(moved))) < 0.9 * float(np.linalg.norm(g))
            if found:
                break
            share /= 2
        if not found:
            if pairs:
                pairs.clear()
                continue
            break
        if how == "gradient":
            pace *= 2.0 if share == 1 else share
        ng = o.gradient(moved)
        s, y = moved - x, ng - g
        if float(s @ y) > 1e-12 * float(np.linalg.norm(s)) * float(np.linalg.norm(y)):
            pairs = [*pairs[-9:], (s, y)]
        x, value, g = moved, new, ng
    return tensors.wrap(x)


def _two_loops(pairs: list[tuple[Array, Array]], g: Array) -> Array:
    """L-BFGS's approximation of the inverse Hessian, times g."""
    q = g.copy()
    shares = []
    for s, y in reversed(pairs):
        a = float(s @ q) / float(s @ y)
        q = q - a * y
        shares.append(a)
    s, y = pairs[-1]
    q = q * (float(s @ y) / float(y @ y))
    for (s, y), a in zip(pairs, reversed(shares), strict=True):
        q = q + (a - float(y @ q) / float(s @ y)) * s
    return q


def _minimum(e: Any, f: Callable[..., Any], how: str, tol: float | None, max_iter: int) -> Callable[..., Any]:
    """A solver: descent to the minimum, then Newton's method on the gradient up to rounding."""

    def solver(e: Any, x0: Any, leaves: list[Any]) -> Any:
        o = _Objective(e, f, leaves)
        x = _descend(o, x0, tol, max_iter, how)
        g, eps = _largest(o.gradient(x.array)), float(np.finfo(x.array.dtype).eps)
        if g > (eps ** (1 / 3) * (1 + _largest(o.gradient(x0.array))) if tol is None else tol):
            raise _not_converged(e.name, f"the descent ({how})", max_iter, "largest derivative", g)
        if tol is not None:
            return x
        polished = _newton(e, x, leaves, None, 4, need=False)
        return polished if _largest(o.gradient(polished.array)) < g else x

    return solver


# --- constraints ------------------------------------------------------------------------------------------------------


def _multipliers(e: Any, lagrangian: Any, ineq: Any, x: Any, leaves: list[Any]) -> Any:
    """(x, lambda, nu) from x: the multipliers that make the Lagrangian stationary, 0 where a constraint is slack."""
    like, theta = e.like, e.thetas(leaves)
    sizes = [like[1].array.size, like[2].array.size]
    at = _unpack(like[0], x)

    def slope(weights: Any) -> Any:
        lam, nu = join.split(weights, sizes)
        return _pack(func.grad(lambda x: lagrangian((x, lam, nu), *theta))(at))

    zero = creation.zeros(sum(sizes), dtype=x.dtype)
    jacobian = func.jacrev(slope)(zero).detach().array
    base = slope(zero).detach().array
    if ineq is not None:
        with no_grad():
            slack = ineq(at, *theta).array.reshape(-1) < -(np.finfo(x.array.dtype).eps ** (1 / 3))
        jacobian[:, : sizes[0]][:, slack] = 0
    weights = np.linalg.lstsq(jacobian, -base, rcond=None)[0].astype(x.array.dtype)
    return join.cat([x, tensors.wrap(weights)])


def _interior_point(
    e: Any, lagrangian: Any, ineq: Any, eq: Any, z0: Any, leaves: list[Any], tol: Any, max_iter: int
) -> Any:
    """Newton's method on the equations with lambda * slack = mu instead of 0, mu falling. S. Mehrotra, 1992, in short.

    Unknowns are x, lambda > 0, nu and slack > 0, with ineq + slack = 0; no step goes further than 0.99 of the way to
    a zero of lambda or slack.
    """
    like, theta = e.like, e.thetas(leaves)
    n = sum(x.array.size for x in pytree.leaves(like[0]))
    m, k = like[1].array.size, like[2].array.size
    dtype = z0.array.dtype
    eps = float(np.finfo(dtype).eps)

    def parts(x: Any, lam: Any, nu: Any) -> tuple[Any, Any, Any]:
        tree = _unpack(like[0], x)
        slope = _pack(func.grad(lambda t: lagrangian((t, lam, nu), *theta))(tree))
        empty = creation.zeros(0, dtype=z0.dtype)
        g = empty if ineq is None else shapes.reshape(ineq(tree, *theta), (-1,))
        h = empty if eq is None else shapes.reshape(eq(tree, *theta), (-1,))
        return slope, g, h

    def values(v: Array) -> tuple[Array, Array, Array]:
        return tuple([t.detach().array.astype(dtype) for t in parts(*_cut(v))])

    def _cut(v: Array) -> tuple[Any, Any, Any]:
        return tensors.wrap(v[:n].copy()), tensors.wrap(v[n : n + m].copy()), tensors.wrap(v[n + m : n + m + k].copy())

    def residual(v: Array, mu: float) -> Array:
        slope, g, h = values(v)
        lam, slack = v[n : n + m], v[n + m + k :]
        return np.concatenate([slope, lam * slack - mu, h, g + slack])

    v = np.concatenate([z0.array, np.zeros(m, dtype)])
    v[n + m + k :] = np.maximum(-values(v)[1], 1.0)
    mu = 1.0 if m else 0.0
    goal = eps * 64 if tol is None else tol
    best, since = np.inf, 0
    sizes: list[float] = []
    positive = np.r_[n : n + m, n + m + k : n + 2 * m + k]
    for _ in range(min(max_iter, 200)):
        r = residual(v, mu)
        if _largest(residual(v, 0.0)) <= goal * (1 + _largest(v)):
            break
        lam, slack = v[n : n + m], v[n + m + k :]
        with enable_grad():
            columns = [t.detach().array for t in func.jacrev(parts)(*_cut(v))]
        a = np.zeros((len(v), len(v)))
        a[:n, :n] = columns[0]
        a[:n, n : n + m] = columns[1].T
        a[:n, n + m : n + m + k] = columns[2].T
        a[n : n + m, n : n + m] = np.diag(slack)
        a[n : n + m, n + m + k :] = np.diag(lam)
        a[n + m : n + m + k, :n] = columns[2]
        a[n + m + k :, :n] = columns[1]
        a[n + m + k :, n + m + k :] = np.eye(m)
        try:
            d = np.linalg.solve(a, -r)
        except np.linalg.LinAlgError:
            d = np.linalg.lstsq(a, -r, rcond=None)[0]
        if not np.isfinite(d).all():
            break
        falling = [i for i in positive if d[i] < 0]
        share = min([1.0, *[0.99 * -float(v[i]) / float(d[i]) for i in falling]])
        sizes = [*sizes[-6:], float(np.linalg.norm(r))]
        while share > 1e-12:
            moved = (v + share * d).astype(dtype)
            left = float(np.linalg.norm(residual(moved, mu)))
            if np.isfinite(left) and left <= (1 - 1e-4 * share) * max(sizes):  # it may rise for some steps
                break
            share /= 2
        else:
            if mu <= goal:
                break
            moved, mu = v, 0.1 * mu
        v = moved
        left = _largest(residual(v, 0.0))
        best, since = (left, 0) if left < best else (best, since + 1)
        if since > 8 and best <= eps**0.6:
            break  # at rounding
        if m and _largest(residual(v, mu)) <= 10 * mu + goal * (1 + _largest(v)):
            mu = max(0.1 * mu**1.2, 0.0) if mu > goal else 0.0
    left = _largest(residual(v, 0.0))
    if not left <= eps**0.5 * (1 + _largest(v)) and not (tol is not None and left <= tol):
        raise _not_converged(e.name, "the interior-point method", max_iter, "largest residual", left)
    return tensors.wrap(v[: n + m + k].copy())
