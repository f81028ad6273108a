"""PyTorch's name for a tensor in a graph, from before every tensor could be in one."""

from __future__ import annotations

from typing import Any

from ..creation import tensor
from ..tensor import Tensor

__all__ = ["Variable"]


class _IsTensor(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_IsTensor):
    """`Variable(x)` is the tensor x outside the graph, or a leaf of it; every tensor is a Variable.

    >>> x = mt.autograd.Variable(mt.ones(2), requires_grad=True)
    >>> x.requires_grad, isinstance(x, mt.autograd.Variable)
    (True, True)
    """

    def __new__(cls, data: Any, requires_grad: bool = False, volatile: bool = False) -> Any:
        """The same memory as a tensor of its own."""
        x = data.detach() if isinstance(data, Tensor) else tensor(data)
        return x.requires_grad_() if requires_grad else x
