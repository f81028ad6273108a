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
reverse mode, none of reverse over `jacfwd` (or another vmap that has ended), and no vmap of minima and of a solver of
the user's; GraphError says so.
Linear systems up to 256 unknowns are solved directly, larger ones by GMRES (or, of a minimum, conjugate gradients),
which needs products with A only.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from . import batching, creation, func, pytree
from .autograd.function import Function
from .autograd.modes import enable_grad, no_grad
from .errors import DtypeError, GraphError, LinAlgError, ShapeError, UsedAfterVmapError
from .graph import backward, forward, modes, nodes
from .graph.tensors import Dual, as_leaf, outside, wrap
from .ops import shape as shapes
from .ops.linalg import vecdot
from .ops.solve import solve
from .solvers import (
    DIRECT,
    _anderson,
    _conjugate_gradients,
    _gmres,
    _interior_point,
    _largest,
    _minimum,
    _multipliers,
    _newton,
    _pack,
    _unpack,
)
from .tensor import Tensor

__all__ = ["Optimum", "fixed_point", "max", "min", "minimize", "root"]

Array = np.ndarray[Any, np.dtype[Any]]


# --- trees and vectors ------------------------------------------------------------------------------------------------


def _plain(x: Any) -> Any:
    """A tensor as its first element under each vmap, and without tangents: of the same shape and dtype."""
    while isinstance(x, Tensor) and x.layer is not None:
        layer: Any = x.layer
        if isinstance(layer, Dual):
            x = layer.primal
        else:
            below = layer.tensor
            x = below[0] if below.array.shape[0] else creation.zeros(below.array.shape[1:], dtype=below.dtype)
    return x.detach() if isinstance(x, Tensor) else x


def _split(level: Any, x: Any) -> tuple[Any, Any]:
    """(`x` without the tangent of a level of forward mode, that tangent or None), also beneath higher levels."""
    layer: Any = x.layer
    if not isinstance(layer, Dual):
        return x, None
    if not layer.level.alive:
        return _split(level, layer.primal)
    if layer.level is level:
        return layer.primal, layer.tangent
    if layer.level.number < level.number:
        return x, None
    (p, dp), (t, dt) = _split(level, layer.primal), _split(level, layer.tangent)
    if dp is not None and dt is not None:
        dp = forward.make_dual(layer.level, dp, dt)
    elif dt is not None:
        dp = forward.make_dual(layer.level, creation.zeros_like(dt), dt)
    return forward.make_dual(layer.level, p, t), dp


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
    grads = backward.differentiate([y], [y.detach()], [nodes.at_edge(*edge) for edge in inner], True, False, True)
    return leaves + [
        nodes.at_edge(*edge, np.broadcast_to(np.zeros((), g.array.dtype), g.array.shape))
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
    record, gate = modes.grad_enabled(), [False]
    with enable_grad():
        own = [_Gate.apply(gate, v) if v.requires_grad else as_leaf(v) for v in args]
        y = function(*own)
    if not y.requires_grad:
        return [None] * (len(args) + len(edges))
    found = backward.differentiate([y], [u], [*own, *edges], True, record, True)
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
            while isinstance(y.layer, Dual) and y.layer.level.alive:
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
        if modes.grad_enabled() and self.batch is None:
            self.edges = _captures(name, run)
        if self.levels and modes.grad_enabled():  # does the value lead to all the leaves that the dual leads to?
            with batching.outside(), enable_grad():
                value, dual = run(), self.hiding([]).residual(_pack(pytree.rebuild(x0, plain)), *stand)
            known = {id(x) for x in backward.leaves([value] if value.requires_grad else [])}
            if dual.requires_grad and any(id(x) not in known for x in backward.leaves([dual])):
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
        try:
            with batching.outside():
                r = task.linear(x, leaves, -u, True)
                return None, None, *_pull(task.equations.residual, [x, *leaves], task.equations.edges, r)[1:]
        except UsedAfterVmapError:
            task.equations.refuse_mixed()

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
        x = _Root.apply(self, outside(e.start), *e.leaves, *e.edges)
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
        return x + forward.make_dual(level, creation.zeros_like(below[0]), t)

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
                return wrap(method(e.name, lambda v: product(wrap(v), x, *leaves).array, b.array))

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
    (tensor(1., grad_fn=<ViewBackward0>), (tensor(0.2500),))
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
    if not modes.grad_enabled():
        return []
    plain, leaves = pytree.tree_map(_plain, z), [_plain(x) for x in e.leaves]
    return _captures("min", lambda: value(plain, *e.thetas(leaves)))


def max(f: Callable[..., Any], x0: Any, *theta: Any, **options: Any) -> Any:
    """The greatest value of f(x, *theta) over x, differentiable by theta: minus the `min` of -f.

    >>> mt.implicit.max(lambda x, t: (t * x - x * x).sum(), 0.0, mt.tensor(4.0))
    tensor(4.)
    """
    return -min(lambda x, *theta: -f(x, *theta), x0, *theta, **options)
