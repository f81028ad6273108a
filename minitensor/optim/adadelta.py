r"""Adadelta.

g = dL/dp + weight_decay * p
v = rho * v + (1 - rho) * g^2
d = sqrt(u + eps) / sqrt(v + eps) * g
u = rho * u + (1 - rho) * d^2
p = p - lr * d

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..errors import ShapeError
from .optimizer import ByFormula, option, sqrt, zeros_of


class Adadelta(ByFormula):
    """Steps in the units of the parameter: gradients times the ratio of past steps to past gradients.

    Source: M. Zeiler, "Adadelta: an adaptive learning rate method" (2012).

    >>> w = mt.nn.Parameter(mt.tensor([1.0]))
    >>> optimizer = mt.optim.Adadelta([w], lr=10.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.9684])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "eps", "weight_decay")
        if not 0 <= options["rho"] <= 1:
            raise ShapeError(f"{self._name}: rho must lie in [0, 1], but is {options['rho']}")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"square_avg": zeros_of(p), "acc_delta": zeros_of(p)}

    _method = "adadelta"

    def _arrays(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("square_avg", "acc_delta")

    def _numbers(self, s: dict[str, Any], t: int, group: dict[str, Any]) -> list[float]:
        return [float(group[name]) for name in ("lr", "weight_decay", "rho", "eps")]

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        rho, eps = option(group, "rho"), option(group, "eps")
        g = g + option(group, "weight_decay") * p
        s["square_avg"] = v = rho * s["square_avg"] + (1 - rho) * g * g
        d = sqrt(s["acc_delta"] + eps) / sqrt(v + eps) * g
        s["acc_delta"] = rho * s["acc_delta"] + (1 - rho) * d * d
        return p - option(group, "lr") * d
