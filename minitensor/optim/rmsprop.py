r"""RMSprop.

g = dL/dp + weight_decay * p
v = alpha * v + (1 - alpha) * g^2
a = alpha * a + (1 - alpha) * g                centered: sqrt(v - a^2) in place of sqrt(v)
p = p - lr * g / (sqrt(v) + eps)               momentum: b = momentum * b + g / (sqrt(v) + eps), p = p - lr * b

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import ByFormula, option, sqrt, zeros_of


class RMSprop(ByFormula):
    """Gradients divided by the root of their mean square.

    Sources: G. Hinton, "Neural networks for machine learning", lecture 6e (2012); A. Graves, "Generating sequences
    with recurrent neural networks" (2013), for `centered`.

    >>> w = mt.nn.Parameter(mt.tensor([1.0]))
    >>> optimizer = mt.optim.RMSprop([w], lr=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "eps", "momentum", "weight_decay", "alpha")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        names = ["square_avg"]
        names += ["momentum_buffer"] if group["momentum"] > 0 else []
        names += ["grad_avg"] if group["centered"] else []
        return {name: zeros_of(p) for name in names}

    _method = "rmsprop"

    def _arrays(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return (
            "square_avg",
            "momentum_buffer" if group["momentum"] > 0 else None,
            "grad_avg" if group["centered"] else None,
        )

    def _numbers(self, s: dict[str, Any], t: int, group: dict[str, Any]) -> list[float]:
        numbers = [float(group[name]) for name in ("lr", "weight_decay", "alpha", "eps", "momentum")]
        return [*numbers, float(bool(group["centered"]))]

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        lr, alpha, momentum = (option(group, name) for name in ("lr", "alpha", "momentum"))
        g = g + option(group, "weight_decay") * p
        s["square_avg"] = v = alpha * s["square_avg"] + (1 - alpha) * g * g
        if group["centered"]:
            s["grad_avg"] = a = alpha * s["grad_avg"] + (1 - alpha) * g
            v = v - a * a
        step = g / (sqrt(v) + option(group, "eps"))
        if momentum > 0:
            s["momentum_buffer"] = step = momentum * s["momentum_buffer"] + step
        return p - lr * step
