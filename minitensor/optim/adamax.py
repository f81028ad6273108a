r"""Adamax: Adam with the largest gradient in place of their mean square.

g = dL/dp + weight_decay * p
m = beta1 * m + (1 - beta1) * g
u = max(beta2 * u, |g| + eps)                  element by element
p = p - lr / (1 - beta1^t) * m / u

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import ByFormula, absolute, maximum, option, zeros_of


class Adamax(ByFormula):
    """Adam measured by the infinity norm.

    Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization" (2015), section 7.1.

    >>> w = mt.nn.Parameter(mt.tensor([1.0]))
    >>> optimizer = mt.optim.Adamax([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "eps", "weight_decay")
        self._below_one(options, "betas")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"exp_avg": zeros_of(p), "exp_inf": zeros_of(p)}

    _method = "adamax"

    def _arrays(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_inf")

    def _numbers(self, s: dict[str, Any], t: int, group: dict[str, Any]) -> list[float]:
        beta1, beta2 = map(float, group["betas"])
        rate = float(group["lr"]) / (1 - beta1**t)
        return [rate, float(group["weight_decay"]), beta1, beta2, float(group["eps"])]

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        beta1, beta2 = map(float, group["betas"])
        g = g + option(group, "weight_decay") * p
        s["exp_avg"] = m = beta1 * s["exp_avg"] + (1 - beta1) * g
        s["exp_inf"] = u = maximum(beta2 * s["exp_inf"], absolute(g) + option(group, "eps"))
        return p - option(group, "lr") / (1 - beta1**t) * m / u
