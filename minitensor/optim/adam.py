r"""Adam and AdamW.

    g = dL/dp + weight_decay * p                   AdamW: p = p - lr * weight_decay * p instead
    m = beta1 * m + (1 - beta1) * g                the mean of the gradients
    v = beta2 * v + (1 - beta2) * g^2              and of their squares
    m' = m / (1 - beta1^t)                         without their start at 0, after t steps
    v' = v / (1 - beta2^t)                         amsgrad: of the largest v so far
    p = p - lr * m' / (sqrt(v') + eps)

Kernel: csrc/kernels/optim.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from .. import _core
from ..errors import ShapeError
from ..graph import wrap
from .optimizer import Optimizer, kernels_take, refuse_differentiable


class Adam(Optimizer):
    """Steps of about `lr` in every element, whatever the scale of its gradients.

    `foreach`, `fused` and `capturable` are taken and change nothing: there is one way, a kernel.
    Sources: D. Kingma, J. Ba, "Adam: a method for stochastic optimization" (2015); S. Reddi,
    S. Kale, S. Kumar, "On the convergence of Adam and beyond" (2018), for `amsgrad`.

    >>> w = mt.nn.Parameter(mt.tensor([1.0, -100.0]))
    >>> optimizer = mt.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([  0.9000, -99.9000])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def _check(self, options: dict[str, Any]) -> None:
        refuse_differentiable(self._name, options)
        self._least(options, "lr", "eps", "weight_decay")
        for i, beta in enumerate(options["betas"]):
            if not 0 <= float(beta) < 1:
                raise ShapeError(f"{self._name}: betas[{i}] must lie in [0, 1), but is {beta}")

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state["step"] = wrap(np.zeros((), np.float32))
            state["exp_avg"] = wrap(np.zeros_like(p.array))
            state["exp_avg_sq"] = wrap(np.zeros_like(p.array))
            if group["amsgrad"]:
                state["max_exp_avg_sq"] = wrap(np.zeros_like(p.array))
        state["step"].array[...] += 1
        m, v = state["exp_avg"].array, state["exp_avg_sq"].array
        largest = state["max_exp_avg_sq"].array if group["amsgrad"] else None
        beta1, beta2 = group["betas"]
        arrays = (p.array, g, m, v) if largest is None else (p.array, g, m, v, largest)
        run = _core.adam_step if kernels_take(*arrays) else reference
        run(
            p.array,
            g,
            m,
            v,
            largest,
            step=int(state["step"].item()),
            lr=float(group["lr"]),
            beta1=float(beta1),
            beta2=float(beta2),
            eps=float(group["eps"]),
            weight_decay=float(group["weight_decay"]),
            decoupled=bool(group["decoupled_weight_decay"]),
            maximize=bool(group["maximize"]),
        )


class AdamW(Adam):
    """Adam whose weight decay shrinks the parameters themselves, not through the gradients.

    Source: I. Loshchilov, F. Hutter, "Decoupled weight decay regularization" (2019).

    >>> w = mt.nn.Parameter(mt.tensor([1.0]))
    >>> optimizer = mt.optim.AdamW([w], lr=0.1, weight_decay=0.5)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w.detach()
    tensor([0.8500])
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )


def reference(
    p: Any,
    g: Any,
    m: Any,
    v: Any,
    largest: Any,
    *,
    step: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
    maximize: bool,
) -> None:
    """One step in NumPy: changes p, the means m and v, and `largest` (None unless amsgrad)."""
    if maximize:
        g = -g
    if decoupled:
        p -= lr * weight_decay * p
    else:
        g = g + weight_decay * p
    m[...] = beta1 * m + (1 - beta1) * g
    v[...] = beta2 * v + (1 - beta2) * g * g
    if largest is not None:
        np.maximum(largest, v, out=largest)
    root = np.sqrt(v if largest is None else largest) / math.sqrt(1 - beta2**step)
    p -= lr / (1 - beta1**step) * m / (root + eps)
