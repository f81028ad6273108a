r"""RAdam: Adam that waits with the division by the gradients' size until it is known well enough.

g  = dL/dp + weight_decay * p                  decoupled: p = p - lr * weight_decay * p instead
m  = beta1 * m + (1 - beta1) * g,     m' = m / (1 - beta1^t)
v  = beta2 * v + (1 - beta2) * g^2
R  = 2 / (1 - beta2) - 1,     R_t = R - 2 t beta2^t / (1 - beta2^t)         how many gradients v is made of
p  = p - lr * m' * r_t * sqrt(1 - beta2^t) / (sqrt(v) + eps)                if R_t > 5, else p - lr * m'
r_t = sqrt((R_t - 4) (R_t - 2) R / ((R - 4) (R - 2) R_t))

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from .optimizer import ByFormula, option, sqrt, zeros_of


def _trust(beta2: float, t: int) -> float | None:
    """r_t sqrt(1 - beta2^t), or None while too little is known."""
    full = 2 / (1 - beta2) - 1
    known = full - 2 * t * beta2**t / (1 - beta2**t)
    if known <= 5:
        return None
    return math.sqrt((known - 4) * (known - 2) * full / ((full - 4) * (full - 2) * known)) * math.sqrt(1 - beta2**t)


class RAdam(ByFormula):
    """Adam with a warm-up that follows from the variance of its own estimate.

    Source: L. Liu et al., "On the variance of the adaptive learning rate and beyond" (2020).

    >>> w = mt.nn.Parameter(mt.tensor([1.0]))
    >>> optimizer = mt.optim.RAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.8000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "eps", "weight_decay")
        self._below_one(options, "betas")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"exp_avg": zeros_of(p), "exp_avg_sq": zeros_of(p)}

    _method = "radam"

    def _arrays(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _numbers(self, s: dict[str, Any], t: int, group: dict[str, Any]) -> list[float]:
        lr, eps, decay = (float(group[name]) for name in ("lr", "eps", "weight_decay"))
        beta1, beta2 = map(float, group["betas"])
        coupled, apart = (0.0, lr * decay) if group["decoupled_weight_decay"] else (decay, 0.0)
        trust = _trust(beta2, t)
        rate = lr / (1 - beta1**t) * (1.0 if trust is None else trust)
        return [rate, coupled, beta1, beta2, eps, 0.0 if trust is None else 1.0, 0.0, apart]

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        lr, eps, decay = (option(group, name) for name in ("lr", "eps", "weight_decay"))
        beta1, beta2 = map(float, group["betas"])
        if group["decoupled_weight_decay"]:
            p = p - lr * decay * p
        else:
            g = g + decay * p
        s["exp_avg"] = m = beta1 * s["exp_avg"] + (1 - beta1) * g
        s["exp_avg_sq"] = v = beta2 * s["exp_avg_sq"] + (1 - beta2) * g * g
        step = lr / (1 - beta1**t) * m
        trust = _trust(beta2, t)
        if trust is not None:
            step = step * trust / (sqrt(v) + eps)
        return p - step
