r"""Stochastic gradient descent.

    g = dL/dp + weight_decay * p
    b = momentum * b + (1 - dampening) * g         b = g at the first step
    p = p - lr * b                                 p - lr * (g + momentum * b) with nesterov

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .. import _core
from ..errors import ShapeError
from .optimizer import ByFormula, kernels_take, option, zeros_of


class SGD(ByFormula):
    """Stochastic gradient descent, with momentum (Polyak's, or Nesterov's) and weight decay.

    Sparse gradients, as those of `nn.Embedding(sparse=True)`, change the rows that they have, without weight decay.
    `foreach` and `fused` are taken and change nothing: there is one way, a kernel. With `differentiable` the step is
    recorded.
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

    _counts = False
    _takes_sparse = True

    def _update_sparse(self, params: list[Any], group: dict[str, Any]) -> list[Any]:
        if group["momentum"] != 0:  # whose buffer soon has all rows
            return [(p, p.array, p.grad.to_dense().array) for p in params]
        return super()._update_sparse(params, group)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "momentum", "weight_decay")
        if options["nesterov"] and (options["momentum"] <= 0 or options["dampening"] != 0):
            raise ShapeError(f"{self._name}: nesterov needs a momentum above 0 and no dampening")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"momentum_buffer": zeros_of(p)} if group["momentum"] != 0 else {}

    def _update_together(self, ready: list[Any], group: dict[str, Any]) -> bool:
        buffers, first, states = None, [False] * len(ready), []
        if group["momentum"] != 0:
            states = [self.state[p] for p, _, _ in ready]
            first = [s.get("momentum_buffer") is None for s in states]
            for (p, _, _), s, new in zip(ready, states, first, strict=True):
                if new:
                    s.update(self._begin(p, group))
            buffers = [s["momentum_buffer"].array for s in states]
        done = _core.sgd_steps(
            [x for _, x, _ in ready],
            [g for _, _, g in ready],
            buffers,
            first,
            lr=float(group["lr"]),
            momentum=float(group["momentum"]),
            dampening=float(group["dampening"]),
            weight_decay=float(group["weight_decay"]),
            nesterov=bool(group["nesterov"]),
            maximize=bool(group["maximize"]),
        )
        if not done:
            for s, new in zip(states, first, strict=False):
                if new:
                    s.clear()
        return done

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        first = state.get("momentum_buffer") is None
        if first:
            state.update(self._begin(p, group))
        b = state["momentum_buffer"].array if group["momentum"] != 0 else None
        if group["differentiable"] or not kernels_take(p.array, g, *([] if b is None else [b])):
            if first:
                state.clear()  # for the formula's own beginning
            super()._update(p, g, state, group)
            return
        numbers = ("lr", "momentum", "dampening", "weight_decay")
        how: dict[str, Any] = {name: float(group[name]) for name in numbers}
        _core.sgd_step(
            p.array, g, b, first=first, nesterov=bool(group["nesterov"]), maximize=bool(group["maximize"]), **how
        )

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        lr, momentum, dampening, decay = (option(group, n) for n in ("lr", "momentum", "dampening", "weight_decay"))
        g = g + decay * p
        if momentum != 0:
            b = g if t == 1 else momentum * s["momentum_buffer"] + (1 - dampening) * g
            s["momentum_buffer"] = b
            g = g + momentum * b if group["nesterov"] else b
        return p - lr * g
