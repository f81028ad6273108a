"""The recorded graph from outside: its nodes, and hooks for the values that it saves. PyTorch: torch.autograd.graph."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from ..errors import ArgumentError, GraphError
from ..graph import backward, modes, nodes
from ..tensor import Tensor
from .names import name_of, saved_of

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]

nodes.set_names(name_of, saved_of)


class Node(abc.ABC):
    """A step of the recorded graph, for `isinstance`: what `grad_fn` is, and the end of the graph at a leaf.

    It has `name()`, `next_functions`, `metadata`, `register_hook`, `register_prehook`, and what it saves under
    PyTorch's names, as `_saved_self`.
    """

    @abc.abstractmethod
    def name(self) -> str:
        """PyTorch's name for it."""


Node.register(nodes.Node)
Node.register(nodes.AccumulateGrad)


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
        modes.push_pack(self._hooks)

    def __exit__(self, *error: object) -> None:
        modes.pop_pack()


class save_on_cpu(saved_tensors_hooks):
    """Accepted: saved tensors are copied, and there is no other device to bring them back to."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda x: x.clone(), lambda x: x)


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """While it is open, setting hooks of saved tensors raises GraphError with this message."""
    modes.push_pack(error_message)
    try:
        yield
    finally:
        modes.pop_pack()


class _Clones:
    """The copies that `allow_mutation_on_saved_tensors` has made."""

    def __init__(self) -> None:
        self.kept: list[list[Tensor]] = []

    def pack(self, x: Tensor) -> list[Tensor]:
        """A copy, which can be thrown away before its node is."""
        self.kept.append([x.clone()])
        return self.kept[-1]

    def unpack(self, cell: list[Tensor]) -> Tensor:
        """The copy."""
        if not cell:
            raise GraphError(
                "allow_mutation_on_saved_tensors: the saved values were cleared; walk the graph before that"
            )
        return cell[0]

    def clear(self) -> None:
        """Throws the copies away: the graph recorded so far cannot be walked any more."""
        for cell in self.kept:
            cell.clear()
        self.kept.clear()


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[Any]:
    """While it is open, tensors that a backward needs may be written: what is saved is a copy.

    At its end the copies are thrown away, so the backward belongs inside.

    >>> x = mt.ones(2, requires_grad=True)
    >>> with mt.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x.clone()
    ...     z = (y**2).sum()
    ...     _ = y.zero_()
    ...     z.backward()
    >>> x.grad
    tensor([2., 2.])
    """
    clones = _Clones()
    modes.push_pack((clones.pack, clones.unpack))
    try:
        yield clones
    finally:
        modes.pop_pack()
        clones.clear()


class _Handles:
    """The handles of several hooks as one."""

    def __init__(self, handles: list[Any]) -> None:
        self._handles = handles

    def remove(self) -> None:
        """Takes the hooks away."""
        for handle in self._handles:
            handle.remove()

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Callable[..., Any], *, mode: str = "all") -> Any:
    """Has `fn` called once in each walk back that reaches some of the tensors.

    With mode "all": `fn(grads)`, once the gradients of all of those that the walk reaches are there; None for the
    others. With "any": `fn(grad)`, at the first.

    >>> a, b = mt.tensor(2.0, requires_grad=True), mt.tensor(3.0, requires_grad=True)
    >>> handle = mt.autograd.graph.register_multi_grad_hook([a, b], print)
    >>> (a * b).backward()
    [tensor(3.), tensor(2.)]
    """
    if mode not in ("all", "any"):
        raise ArgumentError(f"register_multi_grad_hook: mode must be 'all' or 'any', not {mode!r}")
    walks: dict[int, tuple[list[Any], list[bool]]] = {}  # of each walk: the gradients, and which are still to come

    def hook(i: int) -> Callable[[Tensor], None]:
        def arrived(g: Tensor) -> None:
            walk = modes.current_walk()
            if mode == "any":
                if walk not in walks:
                    walks.clear()
                    walks[walk] = ([], [])
                    fn(g)
                return
            if walk not in walks:
                walks.clear()
                walks[walk] = ([None] * len(tensors), [k == i or backward.reaches(x) for k, x in enumerate(tensors)])
            grads, open_ = walks[walk]
            grads[i], open_[i] = g, False
            if not any(open_):
                del walks[walk]
                fn(grads)

        return arrived

    return _Handles([x.register_hook(hook(i)) for i, x in enumerate(tensors)])


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
    return GradientEdge(nodes.AccumulateGrad(tensor) if node is None else node, tensor.index)


def increment_version(tensor: Any) -> None:
    """Tells the graph that the memory of a tensor (or of several) was written behind its back."""
    for x in [tensor] if isinstance(tensor, Tensor) else tensor:
        x.version.bump()
