r"""NAdam: Adam with Nesterov's momentum.

g  = dL/dp + weight_decay * p                            decoupled: p = p - lr * weight_decay * p instead
mu_t = beta1 * (1 - 0.96^(t * momentum_decay) / 2)
m  = beta1 * m + (1 - beta1) * g,     v = beta2 * v + (1 - beta2) * g^2
m' = mu_{t+1} m / (1 - mu_1 ... mu_{t+1}) + (1 - mu_t) g / (1 - mu_1 ... mu_t)
p  = p - lr * m' / (sqrt(v / (1 - beta2^t)) + eps)

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from .optimizer import ByFormula, option, scalar, sqrt, zeros_of


class NAdam(ByFormula):
    """Adam that looks one step of momentum ahead.

    Source: T. Dozat, "Incorporating Nesterov momentum into Adam" (2016).

    >>> w = mt.nn.Parameter(mt.tensor([1.0]))
    >>> optimizer = mt.optim.NAdam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.8944])
    """

    _scalars = ("step", "mu_product")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "eps", "weight_decay", "momentum_decay")
        self._below_one(options, "betas")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"mu_product": scalar(1.0), "exp_avg": zeros_of(p), "exp_avg_sq": zeros_of(p)}

    _method = "nadam"

    def _arrays(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("exp_avg", "exp_avg_sq")

    def _numbers(self, s: dict[str, Any], t: int, group: dict[str, Any]) -> list[float]:
        lr, eps, decay, slowing = (float(group[n]) for n in ("lr", "eps", "weight_decay", "momentum_decay"))
        beta1, beta2 = map(float, group["betas"])
        mu, ahead = (beta1 * (1 - 0.5 * 0.96 ** (k * slowing)) for k in (t, t + 1))
        s["mu_product"] = s["mu_product"] * mu
        so_far = float(s["mu_product"])
        coupled, apart = (0.0, lr * decay) if group["decoupled_weight_decay"] else (decay, 0.0)
        rate, direct = lr * ahead / (1 - so_far * ahead), lr * (1 - mu) / (1 - so_far)
        return [rate, coupled, beta1, beta2, eps, 1 / math.sqrt(1 - beta2**t), direct, apart]

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        lr, eps, decay, slowing = (option(group, n) for n in ("lr", "eps", "weight_decay", "momentum_decay"))
        beta1, beta2 = map(float, group["betas"])
        if group["decoupled_weight_decay"]:
            p = p - lr * decay * p
        else:
            g = g + decay * p
        mu, ahead = (beta1 * (1 - 0.5 * 0.96 ** (k * slowing)) for k in (t, t + 1))
        s["mu_product"] = s["mu_product"] * mu
        so_far = s["mu_product"].item()
        s["exp_avg"] = m = beta1 * s["exp_avg"] + (1 - beta1) * g
        s["exp_avg_sq"] = v = beta2 * s["exp_avg_sq"] + (1 - beta2) * g * g
        root = sqrt(v / (1 - beta2**t)) + eps
        return p - lr * ((1 - mu) / (1 - so_far) * g + ahead / (1 - so_far * ahead) * m) / root
