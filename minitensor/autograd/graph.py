"""The recorded graph from outside: its nodes, and hooks for the values that it saves. PyTorch: torch.autograd.graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from .. import graph
from ..errors import GraphError
from ..graph import Node
from ..tensor import Tensor

__all__ = [
    "GradientEdge",
    "Node",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class saved_tensors_hooks:
    """While it is open, each tensor saved for a backward is kept as what `pack_hook` makes of it.

    `unpack_hook` makes a tensor of that again, when the backward needs it. The innermost pair of hooks counts.

    >>> x = mt.tensor(3.0, requires_grad=True)
    >>> with mt.autograd.graph.saved_tensors_hooks(lambda t: t.half(), lambda t: t.float()):
    ...     y = x * x
    >>> y.backward()
    >>> x.grad
    tensor(6.)
    """

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self._hooks = (pack_hook, unpack_hook)

    def __enter__(self) -> None:
        graph.push_pack(self._hooks)

    def __exit__(self, *error: object) -> None:
        graph.pop_pack()


class save_on_cpu(saved_tensors_hooks):
    """Accepted: saved tensors are copied, and there is no other device to bring them back to."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda x: x.clone(), lambda x: x)


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """While it is open, setting hooks of saved tensors raises GraphError with this message."""
    graph.push_pack(error_message)
    try:
        yield
    finally:
        graph.pop_pack()


class GradientEdge(NamedTuple):
    """An output of a node: a place in the graph that `autograd.grad` can differentiate by."""

    node: Any
    output_nr: int


def get_gradient_edge(tensor: Tensor) -> GradientEdge:
    """Where the gradient of a tensor goes, without keeping its memory.

    >>> x = mt.ones(2, requires_grad=True)
    >>> mt.autograd.graph.get_gradient_edge(x * 2).node.name()
    'MulBackward0'
    """
    if not tensor.requires_grad:
        raise GraphError("get_gradient_edge: the tensor does not require gradients")
    node = tensor.grad_fn
    return GradientEdge(graph.AccumulateGrad(tensor) if node is None else node, tensor.index)


def increment_version(tensor: Any) -> None:
    """Tells the graph that the memory of a tensor (or of several) was written behind its back."""
    for x in [tensor] if isinstance(tensor, Tensor) else tensor:
        x.version.bump()
