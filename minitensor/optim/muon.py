r"""Muon: momentum whose matrix is made nearly orthogonal.

    b = b + (1 - momentum) (g - b)
    u = g + momentum (b - g)                       u = b without nesterov
    x = u / ||u||, wide rather than tall; ns_steps times, in bfloat16:
        x = a x + (b' A + c A^2) x, A = x x^T       (a, b', c) = ns_coefficients
    p = p (1 - lr * weight_decay) - lr r x          r = sqrt(max(1, rows / columns)), or as adjust_lr_fn says

The polynomial drives every singular value of u towards 1, roughly: between about 0.7 and 1.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

from .. import dtypes
from ..errors import ShapeError
from ..graph.tensors import wrap
from ..ops import matmul, moments, shape
from ..ops.common import shape_of, to_dtype
from ..ops.comparison import clamp
from .optimizer import Optimizer, zeros_of

_RATIOS: dict[Any, Callable[[int, int], float]] = {
    "original": lambda rows, columns: math.sqrt(max(1, rows / columns)),
    "match_rms_adamw": lambda rows, columns: 0.2 * math.sqrt(max(rows, columns)),
}
_RATIOS[None] = _RATIOS["original"]


class Muon(Optimizer):
    """Steps in which every direction of a weight matrix counts about alike. For matrices of hidden layers only.

    Raises ShapeError for a parameter that is no matrix. Source: K. Jordan, "Muon: an optimizer for hidden layers in
    neural networks" (2024); `adjust_lr_fn="match_rms_adamw"`: J. Liu et al., "Muon is scalable for LLM
    training" (2025).

    >>> w = mt.nn.Parameter(mt.eye(2))
    >>> optimizer = mt.optim.Muon([w], lr=0.1, weight_decay=0)
    >>> (w * mt.tensor([[3.0, 0.0], [0.0, 1.0]])).sum().backward()
    >>> optimizer.step()
    >>> bool(w[0, 0] < 0.95 and w[1, 1] < 0.95)
    True
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.775, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "momentum", "weight_decay")
        if options["adjust_lr_fn"] not in _RATIOS:
            raise ShapeError(f"{self._name}: adjust_lr_fn {options['adjust_lr_fn']!r} is not one of {list(_RATIOS)}")
        if options["ns_steps"] >= 100 or len(options["ns_coefficients"]) != 3:
            raise ShapeError(f"{self._name}: needs fewer than 100 ns_steps, and three ns_coefficients")
        for p in options["params"]:
            if len(shape_of(p)) != 2:
                raise ShapeError(f"{self._name} only supports 2D parameters, not one of the sizes {shape_of(p)}")

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = zeros_of(p)
        lr, momentum = float(group["lr"]), float(group["momentum"])
        b = state["momentum_buffer"].array
        b += (1 - momentum) * (g - b)
        u = g + momentum * (b - g) if group["nesterov"] else b
        step = _orthogonal(wrap(u), group["ns_coefficients"], int(group["ns_steps"]), float(group["eps"]))
        p.array[...] *= 1 - lr * float(group["weight_decay"])
        p.array[...] -= lr * _RATIOS[group["adjust_lr_fn"]](*shape_of(p)) * step.array.astype(p.array.dtype)


def _orthogonal(u: Any, coefficients: tuple[float, float, float], steps: int, eps: float) -> Any:
    """A matrix with the singular vectors of `u` and singular values near 1, in bfloat16."""
    a, b, c = coefficients
    tall = shape_of(u)[0] > shape_of(u)[1]
    x = to_dtype(u, dtypes.bfloat16)
    x = shape.transpose(x, 0, 1) if tall else x
    x = x / clamp(moments.norm(x), min=eps)
    for _ in range(steps):
        gram = matmul.mm(x, shape.transpose(x, 0, 1))
        x = matmul.addmm(x, matmul.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return shape.transpose(x, 0, 1) if tall else x
