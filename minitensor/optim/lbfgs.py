r"""L-BFGS: Newton's method with a Hessian that is guessed from the last gradients.

y_k = g_{k+1} - g_k,     s_k = x_{k+1} - x_k,     r_k = 1 / <y_k, s_k>          of the last `history_size` steps
d   = -H g, by two loops over the pairs (y, s), H_0 = <y, s> / <y, y>
x   = x + t d,           t = lr, or by a line search with the strong Wolfe conditions

f(x + t d) <= f(x) + c1 t <g, d>,     |<g(x + t d), d>| <= c2 |<g, d>|          c1 = 1e-4, c2 = 0.9
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import numpy as np

from ..autograd import enable_grad, no_grad
from ..errors import ShapeError
from ..graph.tensors import wrap
from ..graph.views import check_writable
from .optimizer import Optimizer


class _Point(NamedTuple):
    """A place t along the direction d: the loss there, its gradient, and its slope <g, d>."""

    t: float
    f: float
    g: Any
    slope: float


def _cubic_minimum(a: _Point, b: _Point, low: float, high: float) -> float:
    """Where the cubic through two points with their slopes is least, within the bounds; their middle if nowhere."""
    p = a.slope + b.slope - 3 * (a.f - b.f) / (a.t - b.t)
    square = p * p - a.slope * b.slope
    if not square >= 0:
        return (low + high) / 2
    root = math.sqrt(square)
    left, right = (a, b) if a.t <= b.t else (b, a)
    below = right.slope - left.slope + 2 * root
    share = (right.slope + root - p) / below if below else math.nan
    least = right.t - (right.t - left.t) * share
    return min(max(least, low), high)


def _strong_wolfe(
    at: Callable[[float], _Point], t: float, start: _Point, reach: float, tolerance: float, most: int
) -> _Point:
    """A point that meets both conditions, or the best that is found with about `most` evaluations.

    First the step grows until two points have a minimum between them, then their interval shrinks around it.
    `reach` is the largest element of the direction. Source: J. Nocedal, S. Wright, "Numerical optimization" (2006),
    algorithms 3.5 and 3.6.
    """
    c1, c2 = 1e-4, 0.9

    def too_high(x: _Point) -> bool:
        return x.f > start.f + c1 * x.t * start.slope

    def is_flat(x: _Point) -> bool:
        return abs(x.slope) <= -c2 * start.slope

    before, now = start, at(t)
    for tries in range(most):
        if too_high(now) or (tries > 1 and now.f >= before.f):
            break
        if is_flat(now):
            return now
        if now.slope >= 0:
            break
        t = _cubic_minimum(before, now, now.t + 0.01 * (now.t - before.t), now.t * 10)
        before, now = now, at(t)
    else:
        before, tries = start, most

    ends = [before, now]
    low = 0 if ends[0].f <= ends[1].f else 1
    slow = False  # the last point was too near to an end
    while tries < most:
        left, right = sorted((ends[0].t, ends[1].t))
        if (right - left) * reach < tolerance:
            break
        t = _cubic_minimum(ends[0], ends[1], left, right)
        edge = 0.1 * (right - left)
        near = min(right - t, t - left) < edge
        if near and (slow or t >= right or t <= left):
            t = right - edge if abs(t - right) < abs(t - left) else left + edge
            slow = False
        else:
            slow = near
        now = at(t)
        tries += 1
        if too_high(now) or now.f >= ends[low].f:
            ends[1 - low] = now
            low = 0 if ends[0].f <= ends[1].f else 1
            continue
        if is_flat(now):
            return now
        if now.slope * (ends[1 - low].t - ends[low].t) >= 0:
            ends[1 - low] = ends[low]
        ends[low] = now
    return ends[low]


class LBFGS(Optimizer):
    """Few steps, each with up to `max_iter` iterations and `max_eval` (1.25 max_iter) calls of the closure.

    `step(closure)` needs the closure, which clears the gradients, computes the loss and its gradients, and returns
    the loss. It ends when no gradient is larger than `tolerance_grad`, or loss or parameters change by less than
    `tolerance_change`. There is one group of parameters. `line_search_fn` is "strong_wolfe" or None.
    Source: D. Liu, J. Nocedal, "On the limited memory BFGS method for large scale optimization" (1989).

    >>> w = mt.nn.Parameter(mt.tensor([3.0, -2.0]))
    >>> optimizer = mt.optim.LBFGS([w], line_search_fn="strong_wolfe")
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = ((w - mt.tensor([1.0, 2.0])) ** 2).sum()
    ...     loss.backward()
    ...     return loss
    >>> optimizer.step(closure)
    tensor(20., grad_fn=<SumBackward0>)
    >>> w.detach()
    tensor([1.0000, 2.0000])
    """

    _scalars = ("t",)

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1,
        max_iter: int = 20,
        max_eval: int | None = None,
        tolerance_grad: float = 1e-7,
        tolerance_change: float = 1e-9,
        history_size: int = 100,
        line_search_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "max_iter": max_iter,
            "max_eval": max_iter * 5 // 4 if max_eval is None else max_eval,
            "tolerance_grad": tolerance_grad,
            "tolerance_change": tolerance_change,
            "history_size": history_size,
            "line_search_fn": line_search_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Takes the one group there can be. Raises for a second one."""
        if self.param_groups:
            raise ShapeError(f"{self._name}: there can be one group of parameters only")
        super().add_param_group(param_group)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr")
        if options["line_search_fn"] not in (None, "strong_wolfe"):
            raise ShapeError(
                f"{self._name}: line_search_fn must be 'strong_wolfe' or None, not {options['line_search_fn']!r}"
            )

    def _like_parameter(self, name: str) -> bool:
        return False  # the state is of all parameters as one vector, and kept with the first

    @property
    def _params(self) -> list[Any]:
        params: list[Any] = self.param_groups[0]["params"]
        return params

    def _gradient(self) -> Any:
        """All gradients as one vector; 0 where there is none."""
        parts = [np.zeros_like(p.array) if p.grad is None else p.grad.array for p in self._params]
        return np.concatenate([part.reshape(-1) for part in parts])

    def _move(self, origin: list[Any], t: float, d: Any) -> None:
        """Sets all parameters to origin + t d."""
        position = 0
        for p, x in zip(self._params, origin, strict=True):
            check_writable(self._name, p)
            p.array[...] = x + t * d[position : position + x.size].reshape(x.shape)
            p.version.bump()
            position += x.size

    def step(self, closure: Any = None) -> Any:
        """Goes down from where the parameters are. Returns the first loss."""
        if closure is None:
            raise TypeError(f"{self._name}: step needs a closure that computes the loss and its gradients")

        def evaluate() -> Any:
            with enable_grad():
                return closure()

        with no_grad():
            return self._step(evaluate)

    def _step(self, closure: Callable[[], Any]) -> Any:
        group = self.param_groups[0]
        lr, tolerance = float(group["lr"]), group["tolerance_change"]
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = closure()
        f, g = float(first), self._gradient()
        evals = 1
        state["func_evals"] += 1
        if _largest(g) <= group["tolerance_grad"]:
            return first
        for left in range(group["max_iter"] - 1, -1, -1):
            state["n_iter"] += 1
            d = self._direction(state, g, group["history_size"])
            f_before = f
            state["prev_flat_grad"], state["prev_loss"], state["d"] = wrap(g.copy()), f, wrap(d)
            t = lr if state["n_iter"] > 1 else min(1.0, 1.0 / float(np.abs(g).sum())) * lr
            state["t"] = t
            slope = float(g @ d)
            if slope > -tolerance:
                break
            origin = [p.array.copy() for p in self._params]
            calls = 0
            if group["line_search_fn"] is not None:

                def at(t: float, origin: list[Any] = origin, d: Any = d) -> _Point:
                    nonlocal calls
                    calls += 1
                    self._move(origin, t, d)
                    loss = float(closure())
                    gradient = self._gradient()
                    return _Point(t, loss, gradient, float(gradient @ d))

                start = _Point(0.0, f, g.copy(), slope)
                t, f, g, _ = _strong_wolfe(at, t, start, _largest(d), tolerance, group["max_eval"] - evals)
                state["t"] = t
                self._move(origin, t, d)
            else:
                self._move(origin, t, d)
                if left:  # after the last iteration nobody asks for the loss
                    f, g = float(closure()), self._gradient()
                    calls = 1
            evals += calls
            state["func_evals"] += calls
            if evals >= group["max_eval"] or _largest(g) <= group["tolerance_grad"]:
                break
            if _largest(d * t) <= tolerance or abs(f - f_before) < tolerance:
                break
        return first

    def _direction(self, state: dict[str, Any], g: Any, history: int) -> Any:
        """-H g; notes the last step in the history first."""
        if state["n_iter"] == 1:
            state["old_dirs"], state["old_stps"], state["ro"], state["H_diag"] = [], [], [], 1
            return -g
        ys, steps, ro = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = g - state["prev_flat_grad"].array, state["d"].array * state["t"]
        curvature = float(y @ s)
        if curvature > 1e-10:
            if len(ys) == history:
                for kept in (ys, steps, ro):
                    kept.pop(0)
            ys.append(wrap(y))
            steps.append(wrap(s))
            ro.append(1.0 / curvature)
            state["H_diag"] = curvature / float(y @ y)
        q, shares = -g, []
        for y_, s_, r in zip(reversed(ys), reversed(steps), reversed(ro), strict=True):
            share = float(s_.array @ q) * r
            shares.append(share)
            q = q - share * y_.array
        d = q * state["H_diag"]
        for y_, s_, r in zip(ys, steps, ro, strict=True):
            d = d + s_.array * (shares.pop() - float(y_.array @ d) * r)
        return d


def _largest(x: Any) -> float:
    return float(np.abs(x).max(initial=0))
