r"""Adagrad.

g = dL/dp + weight_decay * p
s = s + g^2                                    s starts at initial_accumulator_value
p = p - lr / (1 + (t - 1) * lr_decay) * g / (sqrt(s) + eps)

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..graph.tensors import wrap
from .optimizer import ByFormula, option, sqrt


class Adagrad(ByFormula):
    """Steps that shrink where the gradients so far were large.

    Sparse gradients, as those of `nn.Embedding(sparse=True)`, change the rows that they have.
    Source: J. Duchi, E. Hazan, Y. Singer, "Adaptive subgradient methods" (2011).

    >>> w = mt.nn.Parameter(mt.tensor([1.0]))
    >>> optimizer = mt.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"sum": wrap(np.full_like(p.array, group["initial_accumulator_value"]))}

    _method = "adagrad"
    _takes_sparse = True

    def _arrays(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("sum",)

    def _numbers(self, s: dict[str, Any], t: int, group: dict[str, Any]) -> list[float]:
        rate = float(group["lr"]) / (1 + (t - 1) * float(group["lr_decay"]))
        return [rate, float(group["weight_decay"]), float(group["eps"])]

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        g = g + option(group, "weight_decay") * p
        s["sum"] = total = s["sum"] + g * g
        rate = option(group, "lr") / (1 + (t - 1) * option(group, "lr_decay"))
        return p - rate * g / (sqrt(total) + option(group, "eps"))
