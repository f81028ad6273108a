"""Tensors that belong to a module: parameters, which are trained, and buffers, which are not."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..formatting import tensor_str
from ..graph import Tensor as Core
from ..tensor import Tensor


def _owned(cls: Any, data: Any, requires_grad: bool) -> Any:
    """A leaf of the class over the memory of `data`."""
    if data is None:
        data = np.empty(0, np.float32)
    elif isinstance(data, Core):
        data = data.array
    elif not isinstance(data, np.ndarray):
        raise TypeError(f"{cls.__name__}: expected a tensor, got {type(data).__name__}")
    out = Core.__new__(cls)
    Core.__init__(out, data)
    out.requires_grad = requires_grad
    return out


class Parameter(Tensor):
    """A tensor to be trained: assigned to a module's attribute, it is one of its parameters.

    It shares the memory of `data` and is a leaf of the graph.

    >>> w = mt.nn.Parameter(mt.zeros(2))
    >>> w
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        out: Parameter = _owned(cls, data, requires_grad)
        return out

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Parameter containing:\n{tensor_str(self)}"


class Buffer(Tensor):
    """A tensor that is part of a module's state without being trained, as a running mean.

    One that is not `persistent` is left out of the state_dict.

    >>> mt.nn.Buffer(mt.zeros(2))
    Buffer containing:
    tensor([0., 0.])
    """

    persistent: bool

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        out: Buffer = _owned(cls, data, False)
        out.persistent = persistent
        return out

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Buffer containing:\n{tensor_str(self)}"


def clear_grad(x: Any, set_to_none: bool) -> None:
    """Drops the gradient of a tensor, or sets it to 0, outside the graph that it may be part of."""
    if set_to_none or x.grad is None:
        x.grad = None
    elif x.grad.requires_grad:
        x.grad = x.grad.detach().clone().zero_()
    else:
        x.grad.zero_()
