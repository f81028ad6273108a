r"""Rprop: steps from the signs of the gradients alone, for gradients over all of the data.

step = step * etas[1]   where g has the sign that it had before
       step * etas[0]   where it has the other; g counts as 0 there
step is kept within step_sizes
p = p - sign(g) * step

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..errors import ShapeError
from ..graph.tensors import wrap
from .optimizer import ByFormula, clamp, sign, where, zeros_of


class Rprop(ByFormula):
    """Every element has a step of its own, which grows while the gradient keeps its sign. `lr` is the first step.

    Source: M. Riedmiller, H. Braun, "A direct adaptive method for faster backpropagation learning" (1993).

    >>> w = mt.nn.Parameter(mt.tensor([1.0, -5.0]))
    >>> optimizer = mt.optim.Rprop([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([ 0.9000, -4.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr")
        less, more = options["etas"]
        if not 0 < less < 1 < more:
            raise ShapeError(f"{self._name}: etas must be 0 < etas[0] < 1 < etas[1], but are {less} and {more}")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        return {"prev": zeros_of(p), "step_size": wrap(np.full_like(p.array, float(group["lr"])))}

    _method = "rprop"

    def _arrays(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        return ("prev", "step_size")

    def _numbers(self, s: dict[str, Any], t: int, group: dict[str, Any]) -> list[float]:
        return [0.0, 0.0, *map(float, group["etas"]), *map(float, group["step_sizes"])]

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        less, more = map(float, group["etas"])
        low, high = map(float, group["step_sizes"])
        agrees = sign(g * s["prev"])
        one = 0 * agrees + 1
        s["step_size"] = step = clamp(
            s["step_size"] * where(agrees > 0, more * one, where(agrees < 0, less * one, one)), low, high
        )
        s["prev"] = g = where(agrees < 0, 0 * one, g)
        return p - sign(g) * step
