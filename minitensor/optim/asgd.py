r"""ASGD: stochastic gradient descent and the average of where it has been.

g   = dL/dp + weight_decay * p
p   = (1 - lambd * eta) * p - eta * g
ax  = ax + mu * (p - ax)
eta = lr / (1 + lambd * lr * t)^alpha,     mu = 1 / max(1, t - t0)          for the next step

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from .optimizer import ByFormula, option, scalar, zeros_of


class ASGD(ByFormula):
    """Stochastic gradient descent whose state keeps, in "ax", the average of the parameters from step t0 on.

    Source: B. Polyak, A. Juditsky, "Acceleration of stochastic approximation by averaging" (1992).

    >>> w = mt.nn.Parameter(mt.tensor([1.0]))
    >>> optimizer = mt.optim.ASGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach(), optimizer.state[w]["ax"]
    (tensor([0.8000]), tensor([0.8000]))
    """

    _scalars = ("step", "eta", "mu")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "weight_decay")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"eta": scalar(float(group["lr"])), "mu": scalar(1.0), "ax": zeros_of(p)}

    _method = "asgd"

    def _arrays(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("ax",)

    def _numbers(self, s: dict[str, Any], t: int, group: dict[str, Any]) -> list[float]:
        lr, lambd, alpha = (float(group[name]) for name in ("lr", "lambd", "alpha"))
        eta, mu = float(s["eta"]), float(s["mu"])
        s["eta"] = lr / (1 + lambd * lr * t) ** alpha
        s["mu"] = 1 / max(1.0, t - group["t0"])
        return [eta, float(group["weight_decay"]), lambd * eta, mu]

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        lr, lambd, alpha = (float(group[name]) for name in ("lr", "lambd", "alpha"))
        eta, mu = s["eta"].item(), s["mu"].item()
        g = g + option(group, "weight_decay") * p
        p = p * (1 - lambd * eta) - eta * g
        s["ax"] = p if mu == 1 else s["ax"] + mu * (p - s["ax"])
        s["eta"] = 0 * s["eta"] + lr / (1 + lambd * lr * t) ** alpha
        s["mu"] = 0 * s["mu"] + 1 / max(1.0, t - group["t0"])
        return p
