"""The derivatives of a fused backward, by way of the formula that it fuses.

A kernel that gives the gradients of a whole composition (attention, a recurrent layer) is an operator, and has
derivatives of its own. They are rarely asked for, and come from the composition itself, recorded and walked back twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.backward import differentiate
from ..graph.modes import grad_enabled, set_grad_enabled
from ..graph.record import apply
from ..graph.tensors import Tensor, as_leaf, wrap
from ..op import OPS
from .common import raw, shape_of


def vjp_joint(function: Callable[..., Any], outputs: int, arguments: int) -> Callable[..., Any]:
    """The joint rule of the operator vjp(*gradients, *args) of function(*args), for the row `Op(joint=...)`.

        vjp(g, x) = J(x)^T g;   given the gradient u of its outputs, <u, J^T g> is differentiated by g and by x

    `function` composes operators and has so many outputs; of the operator's arguments the first ones are their
    gradients, then come the function's, and what follows has no derivative. Outputs of the vjp that are no gradients
    of arguments 0, 1, ... of the function are not allowed.
    """

    def joint(wanted: tuple[bool, ...], u: Any, *given: Any, **params: Any) -> list[Any]:
        us = u if isinstance(u, tuple) else (u,)
        record, on_tensors = grad_enabled(), any(isinstance(v, Tensor) for v in (*us, *given))
        given = given[: outputs + arguments]
        set_grad_enabled(True)
        try:
            own = [_own(v) for v in given]
            gs, args = own[:outputs], own[outputs:]
            y = function(*args, **params)
            ys = y if isinstance(y, tuple) else (y,)
            live = [(a, g) for a, g in zip(ys, gs, strict=True) if a.requires_grad]
            if not live:
                return [None] * len(wanted)
            first = differentiate([a for a, _ in live], [g for _, g in live], args[: len(us)], True, True, True)
            pairs = [(d, w) for d, w in zip(first, us, strict=True) if d is not None and d.requires_grad]
            by = [i for i, w in enumerate(wanted[: len(own)]) if w and isinstance(own[i], Tensor)]
        finally:
            set_grad_enabled(record)
        found: list[Any] = [None] * len(wanted)
        if pairs and by:
            seeds = [w if isinstance(w, Tensor) else wrap(w) for _, w in pairs]
            seconds = differentiate([d for d, _ in pairs], seeds, [own[i] for i in by], True, record, True)
            for i, d in zip(by, seconds, strict=True):
                found[i] = d if on_tensors or d is None else d.array
        return found

    return joint


def _own(x: Any) -> Any:
    """The value of `x` as a variable of its own, on which no other argument depends."""
    if not isinstance(raw(x), np.ndarray):
        return x
    if not isinstance(x, Tensor):
        x = wrap(x)
    if raw(x).dtype.kind != "f":
        return x
    return apply(OPS["reshape"], x, shape=shape_of(x)) if x.requires_grad else as_leaf(x)
