r"""Stochastic gradient descent.

    g = dL/dp + weight_decay * p
    b = momentum * b + (1 - dampening) * g         b = g at the first step
    p = p - lr * b                                 p - lr * (g + momentum * b) with nesterov

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import _core
from ..errors import ShapeError
from ..graph import wrap
from .optimizer import Optimizer, kernels_take, refuse_differentiable


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum (Polyak's, or Nesterov's) and weight decay.

    `foreach` and `fused` are taken and change nothing: there is one way, a kernel.
    Sources: B. Polyak, "Some methods of speeding up the convergence of iteration methods" (1964);
    I. Sutskever et al., "On the importance of initialization and momentum in deep learning" (2013).

    >>> w = mt.nn.Parameter(mt.tensor([1.0]))
    >>> optimizer = mt.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.8000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        refuse_differentiable(self._name, options)
        self._least(options, "lr", "momentum", "weight_decay")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ShapeError(f"{self._name}: nesterov needs a momentum above 0 and no dampening")

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        numbers = ("lr", "momentum", "dampening", "weight_decay")
        how: dict[str, Any] = {name: float(group[name]) for name in numbers}
        how.update({name: bool(group[name]) for name in ("nesterov", "maximize")})
        first = False
        b = None
        if how["momentum"] != 0:
            first = state.get("momentum_buffer") is None
            if first:
                state["momentum_buffer"] = wrap(np.zeros_like(p.array))
            b = state["momentum_buffer"].array
        run = _core.sgd_step if kernels_take(p.array, g, *([] if b is None else [b])) else reference
        run(p.array, g, b, first=first, **how)


def reference(
    p: Any,
    g: Any,
    b: Any,
    *,
    first: bool,
    lr: float,
    momentum: float,
    dampening: float,
    weight_decay: float,
    nesterov: bool,
    maximize: bool,
) -> None:
    """One step in NumPy: changes p and the momentum b (None without momentum) in place."""
    if maximize:
        g = -g
    g = g + weight_decay * p
    if b is not None:
        b[...] = g if first else momentum * b + (1 - dampening) * g
        g = g + momentum * b if nesterov else b
    p -= lr * g
