r"""Adafactor: the gradients' mean squares of a matrix, kept as one number for each row and each column.

rho   = min(lr, 1 / sqrt(t)),     alpha = max(eps2, rms(p)) * rho,     b = t^beta2_decay
r     = r + b (mean over columns of g^2 - r),     c = c + b (mean over rows of g^2 - c)
v     = r c / max(mean(r), eps1)               a vector's v = v + b (g^2 - v)
u     = g / max(sqrt(v), eps1)
p     = (1 - lr * weight_decay) * p - alpha * u / max(1, rms(u) / d)
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import dtypes
from ..errors import ShapeError
from ..graph.tensors import wrap
from ..ops.arithmetic import div, mul, sub
from .optimizer import ByFormula


def _rms(x: Any) -> float:
    return float(np.linalg.norm(x.reshape(-1)) / x.size**0.5) if x.size else 0.0


class Adafactor(ByFormula):
    """Adam's scaling in less memory, with steps relative to the size of the parameter.

    Source: N. Shazeer, M. Stern, "Adafactor: adaptive learning rates with sublinear memory cost" (2018).

    >>> w = mt.nn.Parameter(mt.ones(2, 2))
    >>> optimizer = mt.optim.Adafactor([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([[0.9000, 0.9000],
            [0.9000, 0.9000]])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "weight_decay")
        eps1, eps2 = options["eps"]
        if not options["beta2_decay"] <= 0:
            raise ShapeError(f"{self._name}: beta2_decay must not be positive, but is {options['beta2_decay']}")
        if not ((eps1 is None or eps1 >= 0) and eps2 >= 0):
            raise ShapeError(f"{self._name}: eps must not be negative, but is {options['eps']}")
        if not options["d"] >= 1:
            raise ShapeError(f"{self._name}: d must be at least 1, but is {options['d']}")

    def _like_parameter(self, name: str) -> bool:
        return name == "variance"

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        shape = p.array.shape
        if len(shape) < 2:
            shapes = {"variance": shape}
        else:
            shapes = {"row_var": (*shape[:-1], 1), "col_var": (*shape[:-2], 1, shape[-1])}
        return {name: wrap(np.zeros(sizes, p.array.dtype)) for name, sizes in shapes.items()}

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        lr, eps1, eps2 = float(group["lr"]), group["eps"][0], group["eps"][1]
        eps1 = dtypes.finfo(p.dtype).eps if eps1 is None else eps1
        fresh = float(t) ** group["beta2_decay"]
        alpha = max(eps2, _rms(p)) * min(lr, 1 / t**0.5)
        p = mul(p, 1 - lr * group["weight_decay"])
        if g.ndim < 2:
            s["variance"] = s["variance"] + fresh * (g * g - s["variance"])
            root = np.sqrt(s["variance"])
        else:
            for name, sums, axis in (("row_var", "...ij,...ij->...i", -1), ("col_var", "...ij,...ij->...j", -2)):
                squares = np.expand_dims(np.einsum(sums, g, g), axis) / g.shape[axis]
                s[name] = s[name] + fresh * (squares - s[name])
            rows = s["row_var"] / np.maximum(s["row_var"].mean(-2, keepdims=True), eps1)
            root = mul(np.sqrt(rows), np.sqrt(s["col_var"]))
        if root.min(initial=eps1) < eps1:  # seldom, and one more pass
            root = np.maximum(root, eps1)
        u = div(g, root)
        return sub(p, mul(u, alpha / max(1.0, _rms(u) / group["d"])))
