r"""Ordinary differential equations dy/dt = f(t, y), and the derivatives of their solutions.

    odeint            discretise, then differentiate: the steps are recorded, so every derivative of the numerical
                      solution follows, of any order, in both modes; memory grows with the steps
    odeint_adjoint    differentiate, then discretise: a' = -(df/dy)^T a is solved back in time beside y, and
                      dL/dtheta = int a^T df/dtheta dt; no trajectory is kept. The gradient is that of the exact flow up
                      to the error of the solver, and wrong where the equation cannot be solved backwards in time
    leapfrog          is its own inverse with -h: `odeint_adjoint` then rebuilds each state from the next one, and its
                      gradient is that of the recorded steps, up to rounding

The names, arguments and conventions are those of torchdiffeq. R. Chen, Y. Rubanova, J. Bettencourt, D. Duvenaud,
"Neural ordinary differential equations", 2018.
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import batching, creation, pytree
from .autograd.function import Function
from .autograd.modes import enable_grad, no_grad
from .errors import ConvergenceError, DtypeError, ShapeError, TimesError
from .graph import modes, tensors
from .implicit import _pull, root
from .ops import join
from .ops import shape as shapes
from .ops.common import elements
from .solvers import _pack, _unpack
from .tensor import Tensor
from .utils.checkpoint import layered
from .utils.invertible import invertible_sequential

__all__ = ["odeint", "odeint_adjoint"]

Field = Callable[[Any, Any], Any]


# --- steps ------------------------------------------------------------------------------------------------------------

# J. Butcher's tableaux: (nodes c, rows of the matrix a, weights b). A step evaluates k_i = f(t + c_i h, y + h a_i k).
EULER: Any = ((0.0,), ((),), (1.0,))
MIDPOINT: Any = ((0.0, 1 / 2), ((), (1 / 2,)), (0.0, 1.0))
# The 3/8 rule, as in torchdiffeq. W. Kutta, 1901.
RK4: Any = ((0.0, 1 / 3, 2 / 3, 1.0), ((), (1 / 3,), (-1 / 3, 1.0), (1.0, -1.0, 1.0)), (1 / 8, 3 / 8, 3 / 8, 1 / 8))
# J. Dormand, P. Prince, 1980. The last evaluation is the first one of the next step.
DOPRI5: Any = (
    (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0),
    (
        (),
        (1 / 5,),
        (3 / 40, 9 / 40),
        (44 / 45, -56 / 15, 32 / 9),
        (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
        (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
        (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
    ),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84, 0.0),
)
# Its weights minus those of the method of order 4 beside it.
DOPRI5_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


def _combined(weights: Any, ks: list[Any]) -> Any:
    """sum w_i k_i over the weights that are not 0."""
    total = None
    for w, k in zip(weights, ks, strict=False):
        if w:
            total = w * k if total is None else total + w * k
    return total


def _stages(f: Field, tableau: Any, t: Any, h: Any, y: Any, first: Any = None) -> list[Any]:
    """The evaluations of a Runge-Kutta step; `first`, if it is known already."""
    nodes, rows, _ = tableau
    ks = [f(t, y) if first is None else first]
    for c, row in zip(nodes[1:], rows[1:], strict=True):
        ks.append(f(t + c * h, y + h * _combined(row, ks)))
    return ks


def _explicit(tableau: Any) -> Callable[..., Any]:
    def step(f: Field, t: Any, h: Any, y: Any) -> Any:
        return y + h * _combined(tableau[2], _stages(f, tableau, t, h, y))

    return step


def _implicit_euler(f: Field, t: Any, h: Any, y: Any) -> Any:
    """z = y + h f(t + h, z), a root: no step of the solver is recorded."""
    return root(lambda z, y, t, h: z - y - h * f(t + h, z), y, y, t, h)


def _leapfrog(f: Field, t: Any, h: Any, y: Any) -> Any:
    """Half a kick, a drift, half a kick, of y = [q, p]. With -h the same steps lead back, for q' of p and p' of q."""
    n = y.array.shape[-1] // 2 if y.array.ndim else 0
    if not y.array.ndim or y.array.shape[-1] != 2 * n:
        raise ShapeError(f"odeint: leapfrog takes y = [q, p] as two halves of the last axis, not {tuple(y.shape)}")

    def kicked(t: Any, q: Any, p: Any) -> Any:
        return p + 0.5 * h * join.narrow(f(t, join.cat([q, p], -1)), -1, n, n)

    q, p = join.narrow(y, -1, 0, n), join.narrow(y, -1, n, n)
    p = kicked(t, q, p)
    q = q + h * join.narrow(f(t + 0.5 * h, join.cat([q, p], -1)), -1, 0, n)
    return join.cat([q, kicked(t + h, q, p)], -1)


FIXED: dict[str, Callable[..., Any]] = {
    "euler": _explicit(EULER),
    "midpoint": _explicit(MIDPOINT),
    "rk4": _explicit(RK4),
    "implicit_euler": _implicit_euler,
    "leapfrog": _leapfrog,
}
METHODS = ("dopri5", *FIXED)


def _substeps(t0: Any, t1: Any, step_size: float | None) -> Iterator[tuple[Any, Any]]:
    """(time, step) of the equal steps from t0 to t1, none longer than `step_size`."""
    length = t1 - t0
    n = 1
    if step_size is not None:
        n = max(1, math.ceil(abs(float(elements(t1).max() - elements(t0).max())) / step_size * (1 - 1e-6)))
    h = length / n if n > 1 else length
    for k in range(n):
        yield (t0 + k * h if k else t0), h


# --- dopri5 -----------------------------------------------------------------------------------------------------------


def _size(x: Any, scale: Any) -> float:
    """The root mean square of x/scale; in a batch of a vmap the largest, so that all take the same steps."""
    ratio = np.asarray(elements(x), float) / scale
    return float(np.sqrt((ratio**2).mean())) if ratio.size else 0.0


class _Adaptive:
    """Steps of dopri5 whose estimated error is within the tolerance. The lengths are constants to the derivatives.

    E. Hairer, S. Norsett, G. Wanner, "Solving ordinary differential equations I", II.4.
    """

    def __init__(
        self, f: Field, t: Any, y: Any, sign: float, rtol: float, atol: float, options: dict[str, Any]
    ) -> None:
        self.f, self.sign, self.rtol, self.atol = f, sign, rtol, atol
        self.most = options.get("max_num_steps", 2**31 - 1)
        self.shortest, self.longest = float(options.get("min_step", 0.0)), float(options.get("max_step", math.inf))
        self.steps, self.slope = 0, f(t, y)
        first = options.get("first_step")
        self.h = float(first) if first is not None else self._first(t, y)

    def _scale(self, *ys: Any) -> Any:
        return self.atol + self.rtol * np.maximum.reduce([np.abs(np.asarray(elements(y), float)) for y in ys])

    def _first(self, t: Any, y: Any) -> float:
        """A length for the first step, from the slopes at two points."""
        scale = self._scale(y)
        d0, d1 = _size(y, scale), _size(self.slope, scale)
        h0 = 1e-6 if d0 < 1e-5 or d1 < 1e-5 else 0.01 * d0 / d1
        with no_grad():
            change = self.f(t + self.sign * h0, y + self.sign * h0 * self.slope) - self.slope
        d2 = _size(change, scale) / h0
        h1 = max(1e-6, h0 * 1e-3) if max(d1, d2) <= 1e-15 else (0.01 / max(d1, d2)) ** (1 / 5)
        return min(100 * h0, h1)

    def reach(self, t0: Any, t1: Any, y: Any) -> Any:
        """The state at t1 from that at t0."""
        end = float(elements(t1).max())
        now, t = float(elements(t0).max()), t0
        while now != end:
            h = self.sign * min(max(self.h, self.shortest), self.longest)
            last = abs(end - now) <= abs(h) * (1 + 1e-9)
            if not last and abs(end - now) < 2 * abs(h):
                h = (end - now) / 2  # two equal steps rather than a long and a tiny one
            if last:
                h = end - now
            target = t1 if last else creation.tensor(now + h, dtype=t1.dtype)
            if not abs(h) > 4 * np.finfo(t1.array.dtype).eps * max(abs(now), 1e-300) or self.steps >= self.most:
                why = "max_num_steps exceeded" if self.steps >= self.most else "the step falls under the rounding of t"
                raise ConvergenceError(f"odeint: dopri5 gives up at t = {now:.6g} after {self.steps} steps: {why}")
            self.steps += 1
            step = target - t
            ks = _stages(self.f, DOPRI5, t, step, y, self.slope)
            new = y + step * _combined(DOPRI5[2], ks)
            with no_grad():
                error = h * _combined(DOPRI5_ERROR, [k.detach() for k in ks])
            ratio = _size(error, self._scale(y, new))
            taken = abs(h)
            if ratio <= 1 or taken <= self.shortest:
                y, t, self.slope = new, target, ks[-1]
                now = end if last else float(elements(target).max())
            grow = 10.0 if ratio == 0 else min(10.0, max(0.2 if ratio > 1 else 1.0, 0.9 * ratio**-0.2))
            # A step cut short at t1 says little about the next one.
            proposed = taken * (grow if math.isfinite(ratio) else 0.2)
            self.h = proposed if ratio > 1 or not math.isfinite(ratio) else max(proposed, self.h)
        return y


# --- odeint -----------------------------------------------------------------------------------------------------------


class _Problem:
    """A checked call: the field on one tensor, the state and the times."""

    def __init__(self, name: str, func: Any, y0: Any, t: Any, method: str | None, options: Any) -> None:
        self.name, self.func = name, func
        self.method = "dopri5" if method is None else method
        if self.method not in METHODS:
            raise ValueError(f'{name}: invalid method "{method}"; it must be one of {", ".join(METHODS)}')
        if not callable(func):
            raise TypeError(f"{name}: func must be a function of t and y, not {type(func).__name__}")
        self.single = isinstance(y0, Tensor) or not pytree.is_node(y0)
        self.like = pytree.tree_map(creation.as_tensor, y0)
        for y in pytree.leaves(self.like):
            if not y.is_floating_point():
                raise DtypeError(f"{name}: y0 must be of a floating dtype, not {y.dtype.name}")
        t = creation.as_tensor(t)
        if not t.is_floating_point():
            raise DtypeError(f"{name}: t must be of a floating dtype, not {t.dtype.name}")
        if t.array.ndim != 1 or not t.array.size:
            raise TimesError(f"{name}: t must have one axis, and a time at least, not shape {tuple(t.shape)}")
        gaps = np.diff(elements(t))
        if not ((gaps > 0).all() or (gaps < 0).all()):
            raise TimesError(f"{name}: t must be strictly increasing or decreasing")
        self.sign = 1.0 if gaps.size == 0 or gaps.flat[0] > 0 else -1.0
        self.y0 = batching.everywhere(self.like if self.single else _pack(self.like))
        self.t = t.to(self.y0.dtype)
        self.options = dict(options or {})
        known = {"max_num_steps", "min_step", "max_step", "first_step"} if self.method == "dopri5" else {"step_size"}
        unknown = set(self.options) - known
        if unknown:
            warnings.warn(f"{name}: {self.method} has no options {', '.join(sorted(unknown))}", stacklevel=3)
        self.step_size = self.options.get("step_size") if self.method != "dopri5" else None
        if self.step_size is not None:
            self.step_size = float(self.step_size)
            if not self.step_size > 0:
                raise ValueError(f"{name}: step_size must be positive, not {self.step_size}")

    def field(self, t: Any, y: Any) -> Any:
        """func, of one tensor."""
        dy = self.func(t, y if self.single else _unpack(self.like, y))
        dy = dy if self.single else _pack(dy)
        if not isinstance(dy, Tensor):
            raise TypeError(f"{self.name}: func must return a tensor, not {type(dy).__name__}")
        if dy.array.shape != y.array.shape:
            try:
                return shapes.expand(dy, y.array.shape)
            except RuntimeError:
                raise ShapeError(
                    f"{self.name}: func returns shape {tuple(dy.shape)} for a state of shape {tuple(y.shape)}"
                ) from None
        return dy.to(y.dtype)

    def steps(self) -> Iterator[list[tuple[Any, Any]]]:
        """For each time behind the first, the (time, step) that lead there."""
        times = list(join.unbind(self.t, 0))
        for t0, t1 in itertools.pairwise(times):
            yield list(_substeps(t0, t1, self.step_size))

    def states(self, rtol: float, atol: float) -> list[Any]:
        """The state at each time."""
        y, out = self.y0, [self.y0]
        if self.method == "dopri5":
            times = list(join.unbind(self.t, 0))
            if len(times) == 1:
                return out
            walk = _Adaptive(self.field, times[0], y, self.sign, float(rtol), float(atol), self.options)
            for t0, t1 in itertools.pairwise(times):
                y = walk.reach(t0, t1, y)
                out.append(y)
            return out
        step = FIXED[self.method]
        for part in self.steps():
            for t, h in part:
                y = step(self.field, t, h, y)
            out.append(y)
        return out

    def result(self, states: list[Any]) -> Any:
        """States in the user's form, the times in front."""
        if self.single:
            return join.stack(states)
        parts = [list(pytree.leaves(_unpack(self.like, y))) for y in states]
        return pytree.rebuild(self.like, [join.stack(list(column)) for column in zip(*parts, strict=True)])


def odeint(
    func: Any,
    y0: Any,
    t: Any,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    method: str | None = None,
    options: dict[str, Any] | None = None,
) -> Any:
    r"""The solution of dy/dt = func(t, y), y(t[0]) = y0, at the times t: (len(t), *y0.shape), y0 first.

    func: a function or Module of a time without axes and the state. y0: a tensor, or a tuple (or tree) of them. t: (n),
    strictly increasing or decreasing. method: "dopri5" (adaptive, the default: the error of a step is within
    atol + rtol |y|), or with fixed steps "euler", "midpoint", "rk4" (the 3/8 rule), "implicit_euler" and "leapfrog"
    (y = [q, p], two halves of the last axis; reversible for q' of p and p' of q): one from each time to the next, or
    equal ones of at most options={"step_size": h}. Options of dopri5: first_step, min_step, max_step, max_num_steps.
    Derivatives by y0, t and whatever func uses go through the steps. Raises ValueError for an unknown method,
    TimesError for times out of order, ConvergenceError if the steps of dopri5 become too short, as at a pole.

    >>> t = mt.tensor([0.0, 1.0, 2.0])
    >>> mt.ode.odeint(lambda t, y: -y, mt.tensor(1.0), t)
    tensor([1.0000, 0.3679, 0.1353])
    """
    problem = _Problem("odeint", func, y0, t, method, options)
    return problem.result(problem.states(rtol, atol))


# --- the adjoint ------------------------------------------------------------------------------------------------------


class _Adjoint(Function):
    """The states at the times t, of which alone the backward starts.

    With a = dL/dy:   y' = f,   a' = -(df/dy)^T a,   g' = -(df/dtheta)^T a,   solved from each time back to the one
    before, where the gradient of the state there is added to a. dL/dt_i = <dL/dy_i, f>.
    """

    @staticmethod
    def forward(ctx: Any, problem: _Problem, tolerances: Any, back: Any, t: Any, y0: Any, *params: Any) -> Any:
        ctx.problem, ctx.back = problem, back
        problem.t, problem.y0 = t.detach(), y0.detach()
        ys = join.stack(problem.states(*tolerances))
        ctx.save_for_backward(t, ys, *params)
        return ys

    @staticmethod
    def backward(ctx: Any, g: Any) -> Any:
        t, ys, *_ = ctx.saved_tensors
        problem, back = ctx.problem, ctx.back
        params = back["params"]
        wants_t = ctx.needs_input_grad[3]

        def field(t: Any, state: Any) -> Any:
            y, a = state[:2]
            with enable_grad():
                dy = problem.field(t, y)
            found = _pull(lambda t, y: problem.field(t, y), [_wanted(t), _wanted(y)], params, -a)
            like = [t, y, *params]
            filled = [creation.zeros_like(x) if d is None else d for x, d in zip(like, found, strict=True)]
            dy = dy if modes.grad_enabled() else dy.detach()
            return (dy, filled[1], *([filled[0]] if wants_t else []), *filled[2:])

        with batching.outside():
            times, states, grads = join.unbind(t, 0), join.unbind(ys, 0), join.unbind(g, 0)
            a = grads[-1]
            zero = creation.zeros_like(t[0].detach())
            sums = [*([zero] if wants_t else []), *[creation.zeros_like(p).detach() for p in params]]
            time_grads: list[Any] = [zero] * len(times)
            for i in range(len(times) - 1, 0, -1):
                if wants_t:
                    at = (grads[i] * problem.field(times[i], states[i])).sum()
                    time_grads[i] = at
                    sums[0] = sums[0] - at
                way = join.stack([times[i], times[i - 1]])
                settings = {k: back[k] for k in ("rtol", "atol", "method", "options")}
                found = odeint(field, (states[i], a, *sums), way, **settings)
                a = found[1][-1] + grads[i - 1]
                sums = [part[-1] for part in found[2:]]
            if wants_t:
                time_grads[0] = sums.pop(0)
        return None, None, None, join.stack(time_grads) if wants_t else None, a, *sums


def _wanted(x: Any) -> Any:
    """x as something to differentiate by."""
    return x if x.requires_grad else tensors.as_leaf(x)


class _Step:
    """One step of leapfrog as a block with an inverse."""

    def __init__(self, field: Field, t: Any, h: Any) -> None:
        self.field, self.t, self.h = field, t, h

    def __call__(self, y: Any) -> Any:
        return _leapfrog(self.field, self.t, self.h, y)

    def inverse(self, y: Any) -> Any:
        return _leapfrog(self.field, self.t + self.h, -self.h, y)


def odeint_adjoint(
    func: Any,
    y0: Any,
    t: Any,
    *,
    rtol: float = 1e-7,
    atol: float = 1e-9,
    method: str | None = None,
    options: dict[str, Any] | None = None,
    adjoint_rtol: float | None = None,
    adjoint_atol: float | None = None,
    adjoint_method: str | None = None,
    adjoint_options: dict[str, Any] | None = None,
    adjoint_params: Any = None,
) -> Any:
    """As `odeint`, but no trajectory is kept: the backward solves the adjoint equation back in time.

    adjoint_params: the tensors that func uses and that get gradients; of a Module its parameters, if None. The other
    settings of the way back are those of the way there unless given. With method="leapfrog" (and no other
    adjoint_method) the backward instead rebuilds each state from the next one by the step of -h, and differentiates
    step by step: the gradient is that of `odeint` up to rounding. In forward mode and under vmap it is `odeint`.
    Raises ValueError if func is no Module and adjoint_params is None.

    >>> field = mt.nn.Linear(2, 2)
    >>> y = mt.ode.odeint_adjoint(
    ...     lambda t, y: field(y), mt.ones(2), mt.linspace(0, 1, 3), adjoint_params=field.parameters()
    ... )
    >>> y.shape
    minitensor.Size([3, 2])
    """
    if adjoint_params is None and not hasattr(func, "parameters"):
        raise ValueError(
            "odeint_adjoint: func is no Module, so the tensors that it uses must be given as adjoint_params "
            "(or () if it uses none)"
        )
    given = list(func.parameters()) if adjoint_params is None else list(adjoint_params)
    params = [p for p in given if p.requires_grad]
    problem = _Problem("odeint_adjoint", func, y0, t, method, options)
    if layered([problem.y0, problem.t, *given]) or not modes.grad_enabled():
        return problem.result(problem.states(rtol, atol))
    back_method = problem.method if adjoint_method is None else adjoint_method
    if problem.method == back_method == "leapfrog":
        y, states = problem.y0, [problem.y0]
        for part in problem.steps():
            y = invertible_sequential([_Step(problem.field, t, h) for t, h in part], y)
            states.append(y)
        return problem.result(states)
    if back_method not in METHODS or back_method == "leapfrog":
        raise ValueError(
            f"odeint_adjoint: invalid adjoint_method {back_method!r}; one of {', '.join(METHODS)} is needed"
        )
    if adjoint_options is None and back_method != problem.method and problem.options:
        raise ValueError("odeint_adjoint: with another adjoint_method the adjoint_options must be given too")
    back = {
        "params": params,
        "rtol": rtol if adjoint_rtol is None else adjoint_rtol,
        "atol": atol if adjoint_atol is None else adjoint_atol,
        "method": back_method,
        "options": problem.options if adjoint_options is None else adjoint_options,
    }
    ys = _Adjoint.apply(problem, (rtol, atol), back, problem.t, problem.y0, *params)
    return problem.result(list(join.unbind(ys, 0)))
