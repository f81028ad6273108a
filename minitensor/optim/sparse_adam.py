r"""Adam for sparse gradients: a row that has no gradient stays, and so do its means.

for the rows i of the gradient g
m_i = m_i + (1 - beta1) (g_i - m_i)
v_i = v_i + (1 - beta2) (g_i^2 - v_i)
p_i = p_i - lr * sqrt(1 - beta2^t) / (1 - beta1^t) * m_i / (sqrt(v_i) + eps)        t counts all steps
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ..errors import GraphError, ShapeError
from .optimizer import ByFormula, option, sqrt, zeros_of


class SparseAdam(ByFormula):
    """Adam on the rows that a sparse gradient has, as those of `nn.Embedding(sparse=True)`.

    Raises GraphError where a gradient is dense. Source: D. Kingma, J. Ba, "Adam: a method for stochastic optimization"
    (2015).

    >>> table = mt.nn.Embedding.from_pretrained(mt.ones(3, 2), freeze=False, sparse=True)
    >>> optimizer = mt.optim.SparseAdam(table.parameters(), lr=0.1)
    >>> table(mt.tensor([1])).sum().backward()
    >>> optimizer.step()
    >>> table.weight.detach()
    tensor([[1.0000, 1.0000],
            [0.9000, 0.9000],
            [1.0000, 1.0000]])
    """

    _takes_sparse = True

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        for group in self.param_groups:
            if any(p.is_sparse for p in group["params"]):
                raise ShapeError(f"{self._name}: the parameters must be dense; it is their gradients that are sparse")

    def _check(self, options: dict[str, Any]) -> None:
        if not float(options["lr"]) > 0 or not float(options["eps"]) > 0:
            raise ShapeError(f"{self._name}: lr and eps must be above 0, but are {options['lr']}, {options['eps']}")
        self._below_one(options, "betas")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {name: zeros_of(p) for name in ("exp_avg", "exp_avg_sq")}

    def _update_all(self, ready: list[Any], group: dict[str, Any]) -> None:
        if ready:
            raise GraphError(f"{self._name} does not support dense gradients, please consider Adam instead")

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        beta1, beta2 = map(float, group["betas"])
        m, v = s["exp_avg"], s["exp_avg_sq"]
        s["exp_avg"] = m = (g - m) * (1 - beta1) + m
        s["exp_avg_sq"] = v = (g * g - v) * (1 - beta2) + v
        rate = option(group, "lr") * math.sqrt(1 - beta2**t) / (1 - beta1**t)
        return p - rate * (m / (sqrt(v) + group["eps"]))
