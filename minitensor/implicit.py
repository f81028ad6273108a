r"""Solutions of equations, and their derivatives by the implicit function theorem.

    F(x*(theta), theta) = 0,   A = dF/dx and B = dF/dtheta at the solution:   dx* = -A^{-1} B dtheta

    jvp    A t = -B v                    vjp    A^T r = -u,  then B^T r

Only the solution counts, not the steps that led there: no step is stored, and a solver need not be differentiable.
`root` holds the theorem; the others reduce to it:

    fixed_point    x = f(x, theta)         F = f(x, theta) - x
    minimize       min_x f(x, theta)       F = df/dx, with constraints the equations of Karush, Kuhn and Tucker
    min, max       the value at the optimum, whose gradient is df/dtheta alone (J. Danskin, 1967)

The rules are written with the library's operators, so derivatives of any order follow, in both modes and under vmap.
A tensor that F uses without its being among the arguments has derivatives too, but no mixed ones of forward over
reverse mode, and no vmap of minima and of a solver of the user's; GraphError says so.
Linear systems up to 256 unknowns are solved directly, larger ones by GMRES (or, of a minimum, conjugate gradients),
which needs products with A only.
"""

from __future__ import annotations

import builtins
import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import batching, creation, func, graph, pytree
from .autograd.function import Function
from .autograd.modes import enable_grad, no_grad
from .errors import ConvergenceError, DtypeError, GraphError, LinAlgError, ShapeError
from .ops import shape as shapes
from .ops.linalg import vecdot
from .ops.solve import solve
from .tensor import Tensor

__all__ = ["Optimum", "fixed_point", "max", "min", "minimize", "root"]

Array = np.ndarray[Any, np.dtype[Any]]
DIRECT = 256  # unknowns, up to which the matrix A is formed


# --- trees and vectors ------------------------------------------------------------------------------------------------


def _pack(tree: Any) -> Any:
    """The numbers of a tree of tensors as one vector."""
    parts = [shapes.reshape(creation.as_tensor(x), (-1,)) for x in pytree.leaves(tree)]
    if len(parts) == 1:
        return parts[0]
    return shapes.cat(parts) if parts else creation.zeros(0)


def _unpack(like: Any, x: Any) -> Any:
    """A vector's numbers in the form of the tree `like`."""
    sizes = [leaf.array.size for leaf in pytree.leaves(like)]
    parts = shapes.split(x, sizes) if len(sizes) != 1 else [x]
    pairs = zip(parts, pytree.leaves(like), strict=True)
    return pytree.rebuild(like, [shapes.reshape(part, leaf.array.shape) for part, leaf in pairs])


def _plain(x: Any) -> Any:
    """A tensor as its first element under each vmap, and without tangents: of the same shape and dtype."""
    while isinstance(x, Tensor) and x.layer is not None:
        layer: Any = x.layer
        if isinstance(layer, graph.Dual):
            x = layer.primal
        else:
            below = layer.tensor
            x = below[0] if below.array.shape[0] else creation.zeros(below.array.shape[1:], dtype=below.dtype)
    return x.detach() if isinstance(x, Tensor) else x


def _split(level: Any, x: Any) -> tuple[Any, Any]:
    """(`x` without the tangent of a level of forward mode, that tangent or None), also beneath higher levels."""
    layer: Any = x.layer
    if not isinstance(layer, graph.Dual):
        return x, None
    if not layer.level.alive:
        return _split(level, layer.primal)
    if layer.level is level:
        return layer.primal, layer.tangent
    if layer.level.number < level.number:
        return x, None
    (p, dp), (t, dt) = _split(level, layer.primal), _split(level, layer.tangent)
    if dp is not None and dt is not None:
        dp = graph.make_dual(layer.level, dp, dt)
    elif dt is not None:
        dp = graph.make_dual(layer.level, creation.zeros_like(dt), dt)
    return graph.make_dual(layer.level, p, t), dp


# --- what a function uses beside its arguments ------------------------------------------------------------------------


def _reached(y: Any) -> dict[int, Any]:
    """Everything that the graph of `y` holds, by identity."""
    found: dict[int, Any] = {}
    stack = [y.node if y.node is not None else y]
    while stack:
        top = stack.pop()
        if top is None or id(top) in found:
            continue
        found[id(top)] = top
        stack.extend(getattr(top, "inputs", ()))
    return found


def _captures(name: str, run: Callable[[], Any]) -> list[Any]:
    """Tensors in the graph that a function uses beside its arguments: where two runs of it meet."""
    with batching.outside(), enable_grad():
        y = run()
        if not y.requires_grad:
            return []
        again = _reached(run())
    first = _reached(y)
    shared = {key: node for key, node in first.items() if key in again}
    meets = dict.fromkeys(  # (what was there before, which output of it) for each edge of this run that leads to it
        edge
        for key, node in first.items()
        if key not in shared and not isinstance(node, Tensor)
        for edge in zip(node.inputs, node.indices, strict=True)
        if id(edge[0]) in shared
    )
    if y.node is None:
        return [y]
    leaves = [x for x, _ in meets if isinstance(x, Tensor)]
    inner = [(node, index) for node, index in meets if not isinstance(node, Tensor)]
    grads = graph.differentiate([y], [y.detach()], [graph.at_edge(*edge) for edge in inner], True, False, True)
    return leaves + [
        graph.at_edge(*edge, np.broadcast_to(np.zeros((), g.array.dtype), g.array.shape))
        for edge, g in zip(inner, grads, strict=True)
    ]


# --- derivatives of a function by its parameters ----------------------------------------------------------------------


class _Gate(Function):
    """A tensor that no gradient passes while the gate, a list of one bool, is shut."""

    @staticmethod
    def forward(ctx: Any, gate: list[bool], x: Any) -> Any:
        ctx.gate = gate
        return x.clone()

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        return None, g if ctx.gate[0] else None

    @staticmethod
    def jvp(ctx: Any, _gate: Any, t: Any) -> Any:
        return t


def _pull(function: Callable[..., Any], args: Sequence[Any], edges: Sequence[Any], u: Any) -> list[Any]:
    """The gradients of <u, function(*args)> by each of the arguments alone, and by the edges that lead out of it.

    An argument may itself have been made from another, or from what lies behind an edge: that way is shut meanwhile.
    """
    record, gate = graph.grad_enabled(), [False]
    with enable_grad():
        own = [_Gate.apply(gate, v) if v.requires_grad else graph.as_leaf(v) for v in args]
        y = function(*own)
    if not y.requires_grad:
        return [None] * (len(args) + len(edges))
    found = graph.differentiate([y], [u], [*own, *edges], True, record, True)
    gate[0] = True
    return found


def _push(function: Callable[..., Any], leaves: Sequence[Any], tangents: Sequence[Any]) -> Any:
    """The derivative of function(*leaves) along the tangents."""
    return func.jvp(function, tuple(leaves), tuple(tangents))[1]


class _Equations:
    """F(x, theta) = 0 for vectors: `residual(x, *leaves)`, where the leaves are theta's floating tensors."""

    def __init__(self, name: str, F: Callable[..., Any], x0: Any, theta: tuple[Any, ...], symmetric: bool) -> None:
        self.name, self.F, self.theta, self.symmetric = name, F, theta, symmetric
        given = [_unknown(name, x) for x in pytree.leaves(x0)]
        self.like = pytree.rebuild(x0, given)
        every = list(pytree.leaves(theta))
        self.places = [i for i, t in enumerate(every) if isinstance(t, Tensor) and t.is_floating_point()]
        self.every = [None if i in self.places else t for i, t in enumerate(every)]
        self.leaves = [every[i] for i in self.places]
        plain = [_plain(x) for x in given]
        stand = [_plain(x) for x in self.leaves]
        self.edges: list[Any] = []
        self.levels: list[Any] = []  # of the forward modes whose tangents reach F beside its arguments

        def run() -> Any:
            return self.hidden(_pack(F(pytree.rebuild(x0, plain), *self.thetas(stand))))

        self.batch: Any = None  # the vmap whose batch reaches F beside its arguments
        with batching.outside(), no_grad():
            y = run()
            if isinstance(y.layer, batching.Batched):
                self.batch = y.layer.level
            while isinstance(y.layer, graph.Dual) and y.layer.level.alive:
                self.levels.append(y.layer.level)
                y = run()
        size = sum(x.array.size for x in given)
        if y.array.size != size:
            raise ShapeError(f"{name}: the function gives {y.array.size} numbers for {size} unknowns")
        if not y.is_floating_point():
            raise DtypeError(f"{name}: the function must give floating numbers, not {y.dtype.name}")
        kinds = [x.array.dtype for x in given] + [y.array.dtype]
        if any(kind != kinds[-1] for kind in kinds):  # the unknowns are as precise as the equations
            wide = np.result_type(*kinds)
            dtype = next(x.dtype for x in [*given, y] if x.array.dtype == wide)
            given = [x.to(dtype) for x in given]
            plain = [x.to(dtype) for x in plain]
            self.like = pytree.rebuild(x0, given)
        if graph.grad_enabled() and self.batch is None:
            self.edges = _captures(name, run)
        if self.levels and graph.grad_enabled():  # does the value lead to all the leaves that the dual leads to?
            with batching.outside(), enable_grad():
                value, dual = run(), self.hiding([]).residual(_pack(pytree.rebuild(x0, plain)), *stand)
            known = {id(x) for x in graph.leaves([value] if value.requires_grad else [])}
            if dual.requires_grad and any(id(x) not in known for x in graph.leaves([dual])):
                self.refuse_mixed()
        self.start = _pack(self.like)

    def hidden(self, y: Any) -> Any:
        """`y` without the tangents of the forward modes that reach F beside its arguments."""
        for level in self.levels:
            y = _split(level, y)[0]
        return y

    def hiding(self, levels: list[Any]) -> _Equations:
        """The same equations, of which other tangents are hidden."""
        other = copy.copy(self)
        other.levels = levels
        return other

    def need_at_most(self, count: int) -> None:
        """Refuses more hidden levels that are open: their tangents would be missing from this derivative."""
        if sum(level.alive for level in self.levels) > count:
            self.refuse_mixed()

    def refuse_mixed(self) -> None:
        """Raises for a derivative that would come out wrong."""
        raise GraphError(
            f"{self.name}: this mixed derivative goes through a tensor that the function uses without its being among "
            "the arguments; pass it as theta"
        )

    def thetas(self, leaves: Sequence[Any]) -> Any:
        """The user's arguments theta, with these tensors at their places."""
        values = list(self.every)
        for i, x in zip(self.places, leaves, strict=True):
            values[i] = x
        return pytree.rebuild(self.theta, values)

    def residual(self, x: Any, *leaves: Any) -> Any:
        """F as a vector."""
        return self.hidden(_pack(self.F(_unpack(self.like, x), *self.thetas(leaves))).to(x.dtype))


def _unknown(name: str, x: Any) -> Any:
    """An unknown's first value as a floating tensor."""
    x = creation.as_tensor(x)
    return x if x.is_floating_point() else x.to(creation.zeros(0).dtype)


# --- the theorem ------------------------------------------------------------------------------------------------------


class _Root(Function):
    """x* of equations at theta. Saved are x* and theta, from which the rules compute A and B."""

    generate_vmap_rule = True

    @staticmethod
    def forward(ctx: Any, task: _Task, x0: Any, *tensors: Any) -> Any:
        leaves = tensors[: len(task.equations.leaves)]
        x = task.solve(x0.detach(), [t.detach() for t in leaves])
        ctx.task = task
        ctx.save_for_backward(x, *leaves)
        return x

    @staticmethod
    def backward(ctx: Any, u: Any) -> Any:
        """A^T r = -u, then B^T r."""
        x, *leaves = ctx.saved_tensors
        task = ctx.task
        task.equations.need_at_most(0)
        with batching.outside():
            r = task.linear(x, leaves, -u, True)
            return None, None, *_pull(task.equations.residual, [x, *leaves], task.equations.edges, r)[1:]

    @staticmethod
    def jvp(ctx: Any, _task: Any, _x0: Any, *tangents: Any) -> Any:
        """A t = -B v."""
        x, *leaves = ctx.saved_tensors
        task = ctx.task
        task.equations.need_at_most(1)
        moving = tangents[: len(leaves)]
        with batching.outside():
            moved = _push(lambda *ls: task.equations.residual(x, *ls), leaves, moving)
            return task.linear(x, leaves, -moved, False)


class _Task:
    """Equations, how they are solved, and how the linear systems of the derivatives are."""

    def __init__(
        self, equations: _Equations, solver: Callable[..., Any], linear_solver: Any, general: bool = False
    ) -> None:
        self.equations, self.solver, self.linear_solver = equations, solver, linear_solver
        self.general = general  # whether the solver knows nothing of the equations but their residual
        if not (linear_solver is None or callable(linear_solver) or linear_solver in ("direct", "gmres", "cg")):
            raise ValueError(
                f"{equations.name}: linear_solver must be 'direct', 'gmres', 'cg' or a function, not {linear_solver!r}"
            )

    def run(self) -> Any:
        """The solution, in the unknowns' form."""
        e = self.equations
        if e.batch is not None:
            return self.together(e.batch)
        x = _Root.apply(self, graph.outside(e.start), *e.leaves, *e.edges)
        for k in reversed(range(len(e.levels))):
            x = self.moved(x, e.levels[:k], e.levels[k])
        return _unpack(e.like, x)

    def together(self, level: Any) -> Any:
        """The solution where a batch reaches F beside its arguments: the whole batch as one system of equations."""
        e = self.equations
        if not self.general:
            raise GraphError(f"{e.name}: the function uses a tensor of vmap that is no argument; pass it as theta")
        below = [level.beneath(v) for v in e.leaves]

        def rows(v: Any) -> Any:
            return level.wrap(shapes.reshape(v, (level.size, -1)))

        def every(x: Any, *leaves: Any) -> Any:
            given = [v if b is None else level.wrap(v) for v, b in zip(leaves, below, strict=True)]
            with batching.inside(level):
                y = e.residual(rows(x), *given)
            return shapes.reshape(level.batched(y), (-1,))

        leaves = [v if b is None else b for v, b in zip(e.leaves, below, strict=True)]
        start = shapes.reshape(level.batched(e.start), (-1,))
        equations = _Equations(e.name, every, start, tuple(leaves), e.symmetric)
        return _unpack(e.like, rows(_Task(equations, self.solver, self.linear_solver, True).run()))

    def moved(self, x: Any, hidden: list[Any], level: Any) -> Any:
        """x with the tangent that F has at a level beside its arguments: A t = -(what is left of F's tangent)."""
        e = self.equations
        left = _split(level, e.hiding(hidden).residual(x, *e.leaves))[1]
        if left is None:
            return x
        below = [_split(level, v)[0] for v in (x, *e.leaves)]
        task = _Task(e.hiding([*hidden, level]), self.solver, self.linear_solver)
        with batching.outside():
            t = task.linear(below[0], below[1:], -left, False)
        return x + graph.make_dual(level, creation.zeros_like(below[0]), t)

    def solve(self, x0: Any, leaves: list[Any]) -> Any:
        """The solution as a vector outside the graph."""
        if not x0.array.size:
            return x0.clone()
        with batching.outside(), enable_grad(), np.errstate(all="ignore"):
            x = self.solver(self.equations, x0, leaves)
        return x.detach().clone()

    def linear(self, x: Any, leaves: list[Any], b: Any, transpose: bool) -> Any:
        """The solution of A r = b, or A^T r = b, with A = dF/dx at x."""
        e, how = self.equations, self.linear_solver
        if not x.array.size:
            return b
        if how is None:
            how = "direct" if x.array.size <= DIRECT else "cg" if e.symmetric else "gmres"
        if how == "direct":
            _, pull = func.vjp(lambda x: e.residual(x, *leaves), x)
            matrix = func.vmap(lambda row: pull(row)[0])(creation.eye(x.array.size, dtype=x.dtype))
            _need_regular(e.name, matrix)
            return solve(matrix.mT if transpose else matrix, b)

        def product(r: Any, x: Any, *leaves: Any) -> Any:
            if transpose and not e.symmetric:
                return func.vjp(lambda x: e.residual(x, *leaves), x)[1](r)[0]
            return _push(lambda x: e.residual(x, *leaves), [x], [r])

        def krylov(equations: _Equations, r: Any, given: list[Any]) -> Any:
            b, x, *leaves = given
            with no_grad():
                if callable(how):
                    return creation.as_tensor(how(lambda r: product(r, x, *leaves), b)).to(b.dtype)
                method = _conjugate_gradients if how == "cg" else _gmres
                return graph.wrap(method(e.name, lambda v: product(graph.wrap(v), x, *leaves).array, b.array))

        system = _Equations(
            e.name,
            lambda r, b, x, *leaves: product(r, x, *leaves) - b,
            creation.zeros(x.array.shape, dtype=x.dtype),
            (b, x, *leaves),
            e.symmetric,
        )
        return _Task(system, krylov, how).run()


def _need_regular(name: str, matrix: Any) -> None:
    """Refuses a matrix that is singular to its precision."""
    a = _plain(matrix).array
    eps = float(np.finfo(a.dtype).eps)
    if not np.isfinite(a).all():
        raise LinAlgError(f"{name}: the derivative dF/dx at the solution is not finite")
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        condition = np.linalg.cond(a.astype(np.float64), 1)
    if not condition < 1 / eps or _largest(a) <= eps**1.5:
        raise LinAlgError(
            f"{name}: the {len(a)} x {len(a)} matrix dF/dx is singular at the solution, so the solution has no "
            "derivative there"
        )


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
    for _ in range(builtins.max(20, 4 * n // restart)):
        r = b - product(x) if x.any() else b
        beta = float(np.linalg.norm(r))
        if beta <= goal or (beta > 0.99 * left and x.any()):
            break
        left = beta
        basis, h = [r / beta], np.zeros((restart + 1, restart))
        for k in range(builtins.min(restart, n)):
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


def _newton(e: _Equations, x0: Any, leaves: list[Any], tol: float | None, max_iter: int, need: bool = True) -> Any:
    """Newton's method, whose steps are halved until the residual falls."""

    def residual(x: Array) -> Array:
        with no_grad():
            return e.residual(graph.wrap(x), *leaves).array  # type: ignore[no-any-return]

    def step(x: Array, f: Array) -> tuple[Array, bool]:  # and whether it solves A d = -f
        if len(x) > DIRECT:
            _, push = func.linearize(lambda x: e.residual(x, *leaves), graph.wrap(x))
            with no_grad():
                d = _gmres(e.name, lambda v: push(graph.wrap(v)).array, -f, check=False)
                return d, bool(np.linalg.norm(push(graph.wrap(d)).array + f) < 0.1 * np.linalg.norm(f))
        _, pull = func.vjp(lambda x: e.residual(x, *leaves), graph.wrap(x))
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
            return graph.wrap(x)
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
    return graph.wrap(x)


def _anderson(e: _Equations, x0: Any, leaves: list[Any], tol: float | None, max_iter: int, memory: int = 5) -> Any:
    """Fixed-point steps, each from the combination of the last ones whose residual is least. D. Anderson, 1965."""

    def residual(x: Array) -> Array:  # f(x) - x
        with no_grad():
            return e.residual(graph.wrap(x), *leaves).array  # type: ignore[no-any-return]

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
        return graph.wrap(best)
    try:  # no contraction there: Newton's method needs none
        return _newton(e, graph.wrap(best) if np.isfinite(best_size) else x0, leaves, tol, 100)
    except ConvergenceError:
        raise _not_converged(e.name, "Anderson's iteration", max_iter, "largest f(x) - x", best_size) from None


class _Objective:
    """f of a vector as numbers, with its gradient and Hessian, for the solvers of a minimum."""

    def __init__(self, e: _Equations, f: Callable[..., Any], leaves: list[Any]) -> None:
        theta = e.thetas(leaves)
        self.f, self.e, self.theta, self.leaves = f, e, theta, leaves

    def value(self, x: Array) -> float:
        with no_grad():
            return float(self.f(_unpack(self.e.like, graph.wrap(x)), *self.theta).array)

    def gradient(self, x: Array) -> Array:
        return self.e.residual(graph.wrap(x), *self.leaves).detach().array  # type: ignore[no-any-return]

    def hessian(self, x: Array) -> Array:
        _, pull = func.vjp(lambda x: self.e.residual(x, *self.leaves), graph.wrap(x))
        return func.vmap(lambda row: pull(row)[0])(creation.eye(len(x), dtype=graph.wrap(x).dtype)).detach().array  # type: ignore[no-any-return]


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
        noise = 8 * eps * builtins.max(abs(value), 1e-300)
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
    return graph.wrap(x)


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


def _minimum(e: _Equations, f: Callable[..., Any], how: str, tol: float | None, max_iter: int) -> Callable[..., Any]:
    """A solver: descent to the minimum, then Newton's method on the gradient up to rounding."""

    def solver(e: _Equations, x0: Any, leaves: list[Any]) -> Any:
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


def _by_user(solver: Callable[..., Any], function: Callable[..., Any]) -> Callable[..., Any]:
    """The user's solver, which takes and gives tensors in the user's form."""

    def solve_for(e: _Equations, x0: Any, leaves: list[Any]) -> Any:
        x = solver(function, _unpack(e.like, x0), *e.thetas(leaves))
        given = _pack(x)
        if given.array.shape != x0.array.shape:
            raise ShapeError(f"{e.name}: the solver returned {given.array.size} numbers for {x0.array.size} unknowns")
        given = given.detach().to(x0.dtype)
        with no_grad():
            left = _largest(e.residual(given, *leaves).array)
        if not left <= np.finfo(x0.array.dtype).eps ** (1 / 3) * (1 + _largest(given.array)):
            warnings.warn(
                f"{e.name}: at what the solver returned the equations are off by {left:.1e}; the derivatives are those "
                "of a solution",
                stacklevel=2,
            )
        return given

    return solve_for


def _chosen(name: str, solver: Any, named: dict[str, Callable[..., Any]], function: Any) -> Callable[..., Any]:
    """The solver that was asked for; the first of those that have names is the default."""
    if callable(solver):
        return _by_user(solver, function)
    if solver is None:
        return next(iter(named.values()))
    if solver not in named:
        raise ValueError(f"{name}: solver must be a function or one of {', '.join(named)}, not {solver!r}")
    return named[solver]


# --- the functions ----------------------------------------------------------------------------------------------------


def root(
    F: Callable[..., Any],
    x0: Any,
    *theta: Any,
    solver: Any = None,
    tol: float | None = None,
    max_iter: int = 100,
    linear_solver: Any = None,
) -> Any:
    r"""x with F(x, *theta) = 0, differentiable by theta.

        forward    Newton's method from x0, or `solver(F, x0, *theta)`
        backward   A^T r = -u, then B^T r,   A = dF/dx, B = dF/dtheta at x

    x0: a tensor of any shape, a number, or a tree of them; F gives as many numbers as x0 has. theta: tensors, trees
    of tensors, anything. The result is in the form of x0 and does not depend on it. `solver` may compute as it likes:
    no step of it is differentiated. Newton's method goes on to rounding; or until all |F| <= tol. `linear_solver` of
    the derivatives: "direct", "gmres", "cg" (of symmetric definite A) or a function (product with A, b) -> x.
    Raises ConvergenceError if no root is found, LinAlgError at the derivative if A is singular; warns where a
    solver's result leaves F far from 0.

    >>> theta = mt.tensor(2.0, requires_grad=True)
    >>> x = mt.implicit.root(lambda x, t: x**3 + x - t, 0.5, theta)
    >>> x, mt.autograd.grad(x, theta)
    (tensor(1., grad_fn=<ReshapeBackward0>), (tensor(0.2500),))
    """
    named = {"newton": lambda e, x, ls: _newton(e, x, ls, tol, max_iter)}
    equations = _Equations("root", F, x0, theta, False)
    return _Task(equations, _chosen("root", solver, named, F), linear_solver, not callable(solver)).run()


def fixed_point(
    f: Callable[..., Any],
    x0: Any,
    *theta: Any,
    solver: Any = None,
    tol: float | None = None,
    max_iter: int = 500,
    linear_solver: Any = None,
) -> Any:
    """x with x = f(x, *theta), differentiable by theta: the root of f(x, *theta) - x.

    `solver`: "anderson" (the default; where f is no contraction Newton's method goes on), "newton", or a function
    `solver(f, x0, *theta)`. The rest is as in `root`.

    >>> mt.implicit.fixed_point(lambda x: mt.cos(x), mt.tensor(1.0))
    tensor(0.7391)
    """

    def F(x: Any, *theta: Any) -> Any:
        return pytree.tree_map(lambda a, b: a - b, f(x, *theta), x)

    named = {
        "anderson": lambda e, x, ls: _anderson(e, x, ls, tol, max_iter),
        "newton": lambda e, x, ls: _newton(e, x, ls, tol, max_iter),
    }
    equations = _Equations("fixed_point", F, x0, theta, False)
    return _Task(equations, _chosen("fixed_point", solver, named, f), linear_solver, not callable(solver)).run()


class Optimum(NamedTuple):
    """A constrained minimum and its multipliers."""

    x: Any
    ineq: Any  # lambda >= 0 of the inequalities
    eq: Any  # nu of the equalities


def minimize(
    f: Callable[..., Any],
    x0: Any,
    *theta: Any,
    solver: Any = None,
    eq: Callable[..., Any] | None = None,
    ineq: Callable[..., Any] | None = None,
    multipliers: bool = False,
    tol: float | None = None,
    max_iter: int = 1000,
    linear_solver: Any = None,
) -> Any:
    r"""The x that minimizes the number f(x, *theta), differentiable by theta: a root of df/dx.

        with eq(x, *theta) = 0 and ineq(x, *theta) <= 0, tensors, a root of
        (df/dx + lambda^T d ineq/dx + nu^T d eq/dx;  lambda * ineq;  eq)    W. Karush, 1939; H. Kuhn, A. Tucker, 1951

    `solver`: "newton" (the default up to 256 unknowns), "lbfgs" (beyond), "gradient", or a function
    `solver(f, x0, *theta)`; with constraints a function `solver(f, x0, *theta)` gives x, and the default is an
    interior-point method. With `multipliers` the result is an Optimum(x, ineq, eq). The rest is as in `root`.
    Raises LinAlgError at the derivative where the minimum is not isolated, or a constraint holds with equality and
    multiplier 0.

    >>> theta = mt.tensor([3.0, -1.0])
    >>> mt.implicit.minimize(lambda x, t: ((x - t) ** 2).sum(), mt.zeros(2), theta)
    tensor([ 3., -1.])
    >>> mt.implicit.minimize(lambda x, t: ((x - t) ** 2).sum(), mt.zeros(2), theta, eq=lambda x, t: x.sum() - 1)
    tensor([ 2.5000, -1.5000])
    """
    optimum = _optimum("minimize", f, x0, theta, solver, eq, ineq, tol, max_iter, linear_solver)
    return optimum if multipliers else optimum.x


def _lagrangian(f: Callable[..., Any], eq: Any, ineq: Any) -> Callable[..., Any]:
    """f + <lambda, ineq> + <nu, eq> of z = (x, lambda, nu)."""

    def of(z: Any, *theta: Any) -> Any:
        x, lam, nu = z
        total = f(x, *theta)
        for constraint, weights in ((ineq, lam), (eq, nu)):
            if constraint is not None:
                total = total + vecdot(shapes.reshape(constraint(x, *theta), (-1,)), weights)
        return total

    return of


def _optimum(
    name: str, function: Any, x0: Any, theta: Any, solver: Any, eq: Any, ineq: Any, tol: Any, max_iter: int, linear: Any
) -> Optimum:
    def f(x: Any, *theta: Any) -> Any:
        y = function(x, *theta)
        if not isinstance(y, Tensor) or y.array.size != 1:
            got = f"a tensor of shape {tuple(y.shape)}" if isinstance(y, Tensor) else type(y).__name__
            raise ShapeError(f"{name}: the function must give one number, not {got}")
        return shapes.reshape(y, ())

    if eq is None and ineq is None:
        e = _Equations(name, func.grad(f), x0, theta, True)

        def descent(how: str) -> Callable[..., Any]:
            return _minimum(e, f, how, tol, max_iter)

        named = {how: descent(how) for how in ("newton", "lbfgs", "gradient")}
        if e.start.array.size > DIRECT:
            named = {"lbfgs": named["lbfgs"], **named}
        return Optimum(_Task(e, _chosen(name, solver, named, function), linear).run(), None, None)

    lagrangian = _lagrangian(f, eq, ineq)

    def F(z: Any, *theta: Any) -> Any:
        x, lam, nu = z
        rows = [_pack(func.grad(lambda x: lagrangian((x, lam, nu), *theta))(x))]
        if ineq is not None:
            rows.append(lam * shapes.reshape(ineq(x, *theta), (-1,)))
        if eq is not None:
            rows.append(shapes.reshape(eq(x, *theta), (-1,)))
        return rows

    x0 = pytree.tree_map(lambda x: _unknown(name, x), x0)
    plain = pytree.tree_map(_plain, (x0, theta))
    with batching.outside(), no_grad():
        sizes = [0 if c is None else c(plain[0], *plain[1]).array.size for c in (ineq, eq)]
    dtype = next(iter(pytree.leaves(x0))).dtype
    z0 = (x0, creation.ones(sizes[0], dtype=dtype), creation.zeros(sizes[1], dtype=dtype))
    e = _Equations(name, F, z0, theta, False)

    def interior(e: _Equations, z: Any, leaves: list[Any]) -> Any:
        return _interior_point(e, lagrangian, ineq, eq, z, leaves, tol, max_iter)

    def by_user(e: _Equations, z: Any, leaves: list[Any]) -> Any:
        start, thetas = _unpack(e.like, z), e.thetas(leaves)
        x = _pack(solver(function, start[0], *thetas)).detach().to(z.dtype)
        return _multipliers(e, lagrangian, ineq, x, leaves)

    return Optimum(*_Task(e, by_user if callable(solver) else interior, linear).run())


def _multipliers(e: _Equations, lagrangian: Any, ineq: Any, x: Any, leaves: list[Any]) -> Any:
    """(x, lambda, nu) from x: the multipliers that make the Lagrangian stationary, 0 where a constraint is slack."""
    like, theta = e.like, e.thetas(leaves)
    sizes = [like[1].array.size, like[2].array.size]
    at = _unpack(like[0], x)

    def slope(weights: Any) -> Any:
        lam, nu = shapes.split(weights, sizes)
        return _pack(func.grad(lambda x: lagrangian((x, lam, nu), *theta))(at))

    zero = creation.zeros(sum(sizes), dtype=x.dtype)
    jacobian = func.jacrev(slope)(zero).detach().array
    base = slope(zero).detach().array
    if ineq is not None:
        with no_grad():
            slack = ineq(at, *theta).array.reshape(-1) < -(np.finfo(x.array.dtype).eps ** (1 / 3))
        jacobian[:, : sizes[0]][:, slack] = 0
    weights = np.linalg.lstsq(jacobian, -base, rcond=None)[0].astype(x.array.dtype)
    return shapes.cat([x, graph.wrap(weights)])


def _interior_point(
    e: _Equations, lagrangian: Any, ineq: Any, eq: Any, z0: Any, leaves: list[Any], tol: Any, max_iter: int
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
        return graph.wrap(v[:n].copy()), graph.wrap(v[n : n + m].copy()), graph.wrap(v[n + m : n + m + k].copy())

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
    for _ in range(builtins.min(max_iter, 200)):
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
        share = builtins.min([1.0, *[0.99 * -float(v[i]) / float(d[i]) for i in falling]])
        sizes = [*sizes[-6:], float(np.linalg.norm(r))]
        while share > 1e-12:
            moved = (v + share * d).astype(dtype)
            left = float(np.linalg.norm(residual(moved, mu)))
            if np.isfinite(left) and left <= (1 - 1e-4 * share) * builtins.max(sizes):  # it may rise for some steps
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
            mu = builtins.max(0.1 * mu**1.2, 0.0) if mu > goal else 0.0
    left = _largest(residual(v, 0.0))
    if not left <= eps**0.5 * (1 + _largest(v)) and not (tol is not None and left <= tol):
        raise _not_converged(e.name, "the interior-point method", max_iter, "largest residual", left)
    return graph.wrap(v[: n + m + k].copy())


# --- Danskin ----------------------------------------------------------------------------------------------------------


class _Value(Function):
    """The Lagrangian at its optimum z, whose gradient by theta is that at a fixed z: it is stationary in z."""

    generate_vmap_rule = True

    @staticmethod
    def forward(ctx: Any, e: _Equations, value: Any, z: Any, *tensors: Any) -> Any:
        leaves = tensors[: len(e.leaves)]
        ctx.e, ctx.value = e, value
        ctx.save_for_backward(z, *leaves)
        with batching.outside():
            return _Value.at(ctx, z, *leaves).detach()

    @staticmethod
    def at(ctx: Any, z: Any, *leaves: Any) -> Any:
        """The Lagrangian."""
        return ctx.value(_unpack(ctx.e.like, z), *ctx.e.thetas(leaves))

    @staticmethod
    def backward(ctx: Any, u: Any) -> Any:
        z, *leaves = ctx.saved_tensors
        with batching.outside():
            return None, None, None, *_pull(lambda *v: _Value.at(ctx, *v), [z, *leaves], ctx.e.edges, u)[1:]

    @staticmethod
    def jvp(ctx: Any, _e: Any, _value: Any, _z: Any, *tangents: Any) -> Any:
        z, *leaves = ctx.saved_tensors
        moving = tangents[: len(leaves)]
        with batching.outside():
            return _push(lambda *ls: _Value.at(ctx, z, *ls), leaves, moving)


def min(f: Callable[..., Any], x0: Any, *theta: Any, **options: Any) -> Any:
    r"""The least value of f(x, *theta) over x, differentiable by theta.

        forward    h(theta) = f(x*(theta), theta)
        backward   dh/dtheta = df/dtheta at x*, as if x* did not depend on theta. J. Danskin, 1967

    Derivatives of higher order take x* into account. With constraints f stands for the Lagrangian. The options are
    those of `minimize`.

    >>> theta = mt.tensor([1.0, -2.0], requires_grad=True)
    >>> h = mt.implicit.min(lambda x, t: 0.5 * (x * x).sum() - (t * x).sum(), mt.zeros(2), theta)
    >>> h.item(), mt.autograd.grad(h, theta)
    (-2.5, (tensor([-1.,  2.]),))
    """
    options.pop("multipliers", None)
    eq, ineq = options.get("eq"), options.get("ineq")
    optimum = minimize(f, x0, *theta, multipliers=True, **options)
    lagrangian = _lagrangian(f, eq, ineq)
    z = tuple(creation.zeros(0) if part is None else part for part in optimum)
    e = _Equations("min", lambda z, *theta: z, z, theta, True)
    e.edges = _value_edges(e, lagrangian, z)
    return _Value.apply(e, lagrangian, _pack(z), *e.leaves, *e.edges)


def _value_edges(e: _Equations, value: Any, z: Any) -> list[Any]:
    if not graph.grad_enabled():
        return []
    plain, leaves = pytree.tree_map(_plain, z), [_plain(x) for x in e.leaves]
    return _captures("min", lambda: value(plain, *e.thetas(leaves)))


def max(f: Callable[..., Any], x0: Any, *theta: Any, **options: Any) -> Any:
    """The greatest value of f(x, *theta) over x, differentiable by theta: minus the `min` of -f.

    >>> mt.implicit.max(lambda x, t: (t * x - x * x).sum(), 0.0, mt.tensor(4.0))
    tensor(4.)
    """
    return -min(lambda x, *theta: -f(x, *theta), x0, *theta, **options)
