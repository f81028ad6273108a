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

from .. import _core
from .optimizer import ByFormula, kernels_take, maximum, option, scalar, sqrt, zeros_of


class Adam(ByFormula):
    """Steps of about `lr` in every element, whatever the scale of its gradients.

    `foreach`, `fused` and `capturable` are taken and change nothing: there is one way, a kernel.
    With `differentiable` the step is recorded.
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

    _instead = ", please consider SparseAdam instead"

    def _check(self, options: dict[str, Any]) -> None:
        self._least(options, "lr", "eps", "weight_decay")
        self._below_one(options, "betas")

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))
        return {name: zeros_of(p) for name in names}

    def _update_together(self, ready: list[Any], group: dict[str, Any]) -> bool:
        states = [self.state[p] for p, _, _ in ready]
        for (p, _, _), s in zip(ready, states, strict=True):
            if not s:
                s.update({"step": scalar(0.0), **self._begin(p, group)})
        beta1, beta2 = group["betas"]
        return _core.adam_steps(
            [x for _, x, _ in ready],
            [g for _, _, g in ready],
            [s["exp_avg"].array for s in states],
            [s["exp_avg_sq"].array for s in states],
            [s["max_exp_avg_sq"].array for s in states] if group["amsgrad"] else None,
            [s["step"].array for s in states],
            lr=float(group["lr"]),
            beta1=float(beta1),
            beta2=float(beta2),
            eps=float(group["eps"]),
            weight_decay=float(group["weight_decay"]),
            decoupled=bool(group["decoupled_weight_decay"]),
            maximize=bool(group["maximize"]),
        )

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        if not state:
            state.update({"step": scalar(0.0), **self._begin(p, group)})
        names = ("exp_avg", "exp_avg_sq", *(("max_exp_avg_sq",) if group["amsgrad"] else ()))
        arrays = [state[name].array for name in names]
        if group["differentiable"] or not kernels_take(p.array, g, *arrays):
            super()._update(p, g, state, group)
            return
        state["step"].array[...] += 1
        beta1, beta2 = group["betas"]
        _core.adam_step(
            p.array,
            g,
            arrays[0],
            arrays[1],
            arrays[2] if group["amsgrad"] else None,
            step=int(state["step"].item()),
            lr=float(group["lr"]),
            beta1=float(beta1),
            beta2=float(beta2),
            eps=float(group["eps"]),
            weight_decay=float(group["weight_decay"]),
            decoupled=bool(group["decoupled_weight_decay"]),
            maximize=bool(group["maximize"]),
        )

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        lr, eps, decay = (option(group, name) for name in ("lr", "eps", "weight_decay"))
        beta1, beta2 = map(float, group["betas"])
        if group["decoupled_weight_decay"]:
            p = p - lr * decay * p
        else:
            g = g + decay * p
        s["exp_avg"] = m = beta1 * s["exp_avg"] + (1 - beta1) * g
        s["exp_avg_sq"] = v = beta2 * s["exp_avg_sq"] + (1 - beta2) * g * g
        if group["amsgrad"]:
            s["max_exp_avg_sq"] = v = maximum(s["max_exp_avg_sq"], v)
        root = sqrt(v) / math.sqrt(1 - beta2**t)
        return p - lr / (1 - beta1**t) * m / (root + eps)


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
