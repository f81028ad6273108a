r"""Control flow that lets gradients through: comparisons, logic, branches and loops with values between 0 and 1.

    x >= y    sigmoid((x - y)/sigma)              x == y    exp(-(x - y)^2/sigma)  or  sech((x - y)/sigma)
    a and b   a b       a or b   a + b - a b       not a     1 - a
    if        c a + (1 - c) b                     while     the states, each weighted by how surely the loop ends there

As sigma goes to 0 they become the hard ones, but that sigmoid(0) is 1/2; on the values 0 and 1 the logic is exact.
M. Blondel, V. Roulet, "The elements of differentiable programming", 2024.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from . import creation, pytree
from .errors import ConvergenceError, ShapeError
from .ops.functions import exp, sigmoid
from .ops.loss import logsigmoid
from .ops.reduce import prod
from .ops.softmax import softmax
from .tensor import Tensor

__all__ = [
    "all",
    "any",
    "argmax",
    "argmin",
    "equal",
    "greater_equal",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "not_equal",
    "where",
    "while_loop",
]

KERNELS: dict[str, Callable[[Any, Any], Any]] = {  # similarities k(t)/k(0)
    "gaussian": lambda t, sigma: exp(-(t * t) / sigma),
    # sech u = 2/(e^u + e^-u) as 2 sqrt(sigmoid(2u) sigmoid(-2u)): smooth at 0, and no overflow far from it
    "sech": lambda t, sigma: 2 * exp(0.5 * (logsigmoid(2 * t / sigma) + logsigmoid(-2 * t / sigma))),
}


def _real(x: Any) -> Any:
    """A tensor of floating numbers; True is 1."""
    x = creation.as_tensor(x)
    return x if x.is_floating_point() else x.to(creation.zeros(0).dtype)


def _difference(name: str, x: Any, y: Any, sigma: Any, kernel: str) -> Any:
    if kernel not in KERNELS:
        raise ValueError(f"{name}: kernel must be one of {', '.join(KERNELS)}, not {kernel!r}")
    if not isinstance(sigma, Tensor) and not sigma > 0:
        raise ValueError(f"{name}: sigma must be positive, not {sigma}")
    return _real(x) - (y if isinstance(y, (int, float)) else _real(y))


def greater_equal(x: Any, y: Any, sigma: Any = 1.0, kernel: str = "gaussian") -> Any:
    """sigmoid((x - y)/sigma): how surely x >= y. The kernel is that of `equal` and has no effect here.

    >>> mt.soft.greater_equal(mt.tensor([0.0, 1.0, 2.0]), 1.0, sigma=0.5)
    tensor([0.1192, 0.5000, 0.8808])
    """
    return sigmoid(_difference("greater_equal", x, y, sigma, kernel) / sigma)


def less_equal(x: Any, y: Any, sigma: Any = 1.0, kernel: str = "gaussian") -> Any:
    """sigmoid((y - x)/sigma): how surely x <= y. The kernel is that of `equal` and has no effect here.

    >>> mt.soft.less_equal(mt.tensor(0.0), 1.0)
    tensor(0.7311)
    """
    return sigmoid(-_difference("less_equal", x, y, sigma, kernel) / sigma)


def equal(x: Any, y: Any, sigma: Any = 1.0, kernel: str = "gaussian") -> Any:
    """exp(-(x - y)^2/sigma), or with kernel="sech" sech((x - y)/sigma): 1 where x = y.

    >>> mt.soft.equal(mt.tensor([0.0, 1.0]), 1.0)
    tensor([0.3679, 1.0000])
    """
    t = _difference("equal", x, y, sigma, kernel)
    return KERNELS[kernel](t, sigma)


def not_equal(x: Any, y: Any, sigma: Any = 1.0, kernel: str = "gaussian") -> Any:
    """1 - equal(x, y): 0 where x = y.

    >>> mt.soft.not_equal(mt.tensor([0.0, 1.0]), 1.0)
    tensor([0.6321, 0.0000])
    """
    return 1 - equal(x, y, sigma, kernel)


def logical_and(a: Any, b: Any) -> Any:
    """a b.

    >>> mt.soft.logical_and(mt.tensor(0.9), mt.tensor(0.2))
    tensor(0.1800)
    """
    return _real(a) * _real(b)


def logical_or(a: Any, b: Any) -> Any:
    """a + b - a b.

    >>> mt.soft.logical_or(mt.tensor(0.9), mt.tensor(0.2))
    tensor(0.9200)
    """
    a, b = _real(a), _real(b)
    return a + b - a * b


def logical_not(a: Any) -> Any:
    """1 - a.

    >>> mt.soft.logical_not(mt.tensor(0.9))
    tensor(0.1000)
    """
    return 1 - _real(a)


def all(y: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """The product of truth values, over all axes or over `dim`.

    >>> mt.soft.all(mt.tensor([0.5, 0.5, 1.0]))
    tensor(0.2500)
    """
    return prod(_real(y), dim, keepdim)


def any(y: Any, dim: Any = None, keepdim: bool = False) -> Any:
    """1 - prod(1 - y), over all axes or over `dim`.

    >>> mt.soft.any(mt.tensor([0.5, 0.5, 0.0]))
    tensor(0.7500)
    """
    return 1 - prod(1 - _real(y), dim, keepdim)


def where(c: Any, a: Any, b: Any) -> Any:
    """c a + (1 - c) b; a and b may be trees of one form.

    >>> mt.soft.where(mt.tensor(0.25), mt.tensor(4.0), mt.tensor(0.0))
    tensor(1.)
    """
    c = _real(c)
    return pytree.tree_map(lambda a, b: c * a + (1 - c) * b, a, b)


def argmax(x: Any, dim: int = -1, sigma: Any = 1.0) -> Any:
    """softmax(x/sigma): weights that sum to 1, which go to 1 at the maximum and 0 elsewhere as sigma goes to 0.

    >>> mt.soft.argmax(mt.tensor([0.0, 1.0]), sigma=0.1)
    tensor([4.5398e-05, 9.9995e-01])
    """
    return softmax(_real(x) / sigma, dim)


def argmin(x: Any, dim: int = -1, sigma: Any = 1.0) -> Any:
    """softmax(-x/sigma).

    >>> mt.soft.argmin(mt.tensor([0.0, 1.0]))
    tensor([0.7311, 0.2689])
    """
    return softmax(-_real(x) / sigma, dim)


def while_loop(cond: Callable[[Any], Any], body: Callable[[Any], Any], state: Any, max_steps: int) -> Any:
    r"""The state after a loop that ends more or less surely.

        p_k = cond(s_k),  s_{k+1} = body(s_k),  a_0 = 1,  a_{k+1} = a_k p_k
        result = sum_{k < M} a_k (1 - p_k) s_k + a_M s_M,   M = max_steps

    state: a tensor or a tree of them; cond gives a truth value from 0 to 1, for the whole state or for each element.
    A cond that gives a bool makes the hard loop, which is run as it stands; ConvergenceError if it is not over after
    max_steps.

    >>> soft = lambda s: mt.soft.greater_equal(s, 1.0, sigma=0.1)
    >>> mt.soft.while_loop(soft, lambda s: s / 2, mt.tensor(10.0), 8)
    tensor(0.6658)
    >>> mt.soft.while_loop(lambda s: s >= 1, lambda s: s / 2, mt.tensor(10.0), 8)
    tensor(0.6250)
    """
    if max_steps < 0:
        raise ShapeError(f"while_loop: max_steps must be at least 0, not {max_steps}")
    alive: Any = 1.0
    total: Any = None
    for _ in range(max_steps):
        p = cond(state)
        if isinstance(p, (bool, np.bool_)) or (isinstance(p, Tensor) and p.array.dtype.kind == "b"):
            return _hard_loop(p, cond, body, state, max_steps)
        ending = alive * (1 - p)
        part = pytree.tree_map(lambda s, w=ending: w * s, state)
        total = part if total is None else pytree.tree_map(lambda a, b: a + b, total, part)
        alive = alive * p
        state = body(state)
    if total is None:
        return state
    return pytree.tree_map(lambda t, s: t + alive * s, total, state)


def _hard_loop(p: Any, cond: Any, body: Any, state: Any, max_steps: int) -> Any:
    for _ in range(max_steps):
        if not p:
            return state
        state = body(state)
        p = cond(state)
    if p:
        raise ConvergenceError(f"while_loop: the condition still holds after max_steps = {max_steps} turns")
    return state
