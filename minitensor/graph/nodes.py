"""A recorded operator, the values that it keeps for its derivative rules, and hooks on both."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..errors import GraphError

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .algebra import algebra
    from .places import describe
    from .tensors import Tensor, Version, wrap

_ndarray = cython.declare(object, np.ndarray)
FIRST: tuple = ((), (0,), (0, 0), (0, 0, 0))  # the first output of every argument's node
NO_PARAMS: dict = {}
CONSTANT = -1  # what a saved value is: a constant, input i (i >= 0) or output j (-2 - j)


@cython.freelist(64)
@cython.final
@cython.cclass
class Saved:
    """A value kept for the backward, and the version of its storage when it was kept."""

    array: Any
    role: int
    version: Any
    number: int
    layer: Any
    unpack: Any  # makes the value of `array`, where hooks packed it


@cython.cfunc
def make_saved(array: Any, role: cython.longlong, version: Any, layer: Any) -> Saved:
    made: Saved = Saved.__new__(Saved)
    made.array = array
    made.role = role
    made.version = version
    made.layer = layer
    if not cython.compiled:  # else a new object has None and 0 already
        made.unpack = None
        made.number = 0
    if version is not None:
        made.number = cython.cast(Version, version).value
    return made


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


@cython.freelist(64)
@cython.final
@cython.cclass
class Node:
    """One recorded operator: its inputs' origins and the values that its derivative rules need."""

    op: Any
    params: dict
    inputs: tuple  # of Node, leaf Tensor or None
    indices: tuple  # which output of each
    saved: Any  # tuple of Saved or None; None once freed
    shapes: Any  # the inputs', where gradients are summed back
    outputs: Any  # (shape, dtype) of each, if there are several
    place: Any
    freed: Any  # where the walk was started that freed the saved values
    hooks: Any  # {output: [hook, ...]} or None
    extra: Any  # {"pre": [hook, ...], "post": ..., "metadata": ...} or None
    label: Any  # PyTorch's name, if that is not the operator's own; or None

    def name(self) -> str:
        """PyTorch's name for it, as `MulBackward0`."""
        return str(_name_of(self)) if self.label is None else str(self.label)

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """For each argument, what made it (of a leaf, AccumulateGrad; None where no gradient goes) and which output."""
        rules: Any = self.op.rules * len(self.inputs) if self.op.variadic else self.op.rules
        return tuple(
            [
                (AccumulateGrad(x) if isinstance(x, Tensor) else x, index)
                for x, index, rule in zip(self.inputs, self.indices, rules, strict=True)
                if rule is not None
            ]
        )

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What a Function saved for its backward; of another operator, the values that its rules use."""
        return tuple([saved_value(self, s) for s in self._live() if s is not None])

    @property
    def metadata(self) -> dict[str, Any]:
        """A dict for the user's own notes."""
        return self._extra().setdefault("metadata", {})

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Has `fn(grad_outputs)` called before this node's rules; a tuple that it returns is used in their place."""
        return self._hook("pre", fn)

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Has `fn(grad_inputs, grad_outputs)` called after them; a tuple that it returns goes on in their place."""
        return self._hook("post", fn)

    def _hook(self, when: str, fn: Any) -> RemovableHandle:
        hooks: list[Any] = self._extra().setdefault(when, [])
        hooks.append(fn)
        return RemovableHandle(hooks, fn)

    def _extra(self) -> dict[str, Any]:
        if self.extra is None:
            self.extra = {}
        return self.extra

    def _live(self) -> Any:
        """The saved values; raises if a walk has freed them."""
        if self.saved is None:
            raise GraphError(
                f"{self.op.name}: a backward through the graph a second time, after the first has freed the saved "
                f"values; pass retain_graph=True to the first (recorded at {describe(self.place)}; freed at "
                f"{describe(self.freed)})"
            )
        return self.saved

    def __getattr__(self, name: str) -> Any:
        """`_saved_self` and the like, by PyTorch's names; of a Function's node, what `ctx` has."""
        if name.startswith("_saved_"):
            return _saved_of(self, name[len("_saved_") :])
        if self.op.custom and not name.startswith("__"):
            return getattr(self.params["call"].ctx, name)
        raise AttributeError(f"{self.name()} has no attribute {name}")

    def __repr__(self) -> str:
        where = "torch.autograd.function." if self.op.custom else ""
        return f"<{where}{self.name().rpartition(':')[2]} object at {id(self):#x}>"


@cython.cfunc
def make_node(op: Any, params: dict, inputs: tuple, indices: tuple) -> Node:
    node: Node = Node.__new__(Node)
    node.op = op
    node.params = params
    node.inputs = inputs
    node.indices = indices
    node.saved = ()
    if not cython.compiled:  # else a new object has None already
        node.shapes = node.outputs = node.place = node.freed = node.hooks = node.extra = node.label = None
    return node


def called(x: Any, name: str) -> Any:
    """x itself; the node that made it, if one did, has this name of PyTorch's."""
    if isinstance(x, Tensor):
        t: Tensor = x
        if t._wants or t.layer is not None:
            node = x.node
            if node is not None:
                node.label = name
    return x


_name_of: Any = None  # name_of(node): PyTorch's name for it
_saved_of: Any = None  # saved_of(node, name): the saved value that PyTorch calls so


def set_names(name_of: Any, saved_of: Any) -> None:
    """Hands the graph PyTorch's names for nodes and for what they save."""
    global _name_of, _saved_of
    _name_of, _saved_of = name_of, saved_of


class AccumulateGrad:
    """The end of the graph at a leaf, `variable`, to whose `grad` the walk adds."""

    next_functions: tuple[tuple[Any, int], ...] = ()

    def __init__(self, variable: Any) -> None:
        self.variable = variable
        self.metadata: dict[str, Any] = {}

    def name(self) -> str:
        """PyTorch's name for it."""
        return "torch::autograd::AccumulateGrad"

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Has `fn((gradient,))` called before it is added; a tuple that it returns is added in its place."""

        def hook(g: Any) -> Any:
            found = fn((g,))
            return None if found is None else found[0]

        return RemovableHandle(add_hook(self.variable, hook), hook)

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Has `fn((), (variable.grad,))` called once the gradient is added."""

        def hook(_variable: Any) -> None:
            fn((), (self.variable.leaf_grad,))

        x: Tensor = self.variable
        if x.after_hooks is None:
            x.after_hooks = []
        x.after_hooks.append(hook)
        return RemovableHandle(x.after_hooks, hook)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return id(self.variable)

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {id(self.variable):#x}>"


def add_hook(x: Tensor, hook: Callable[[Any], Any]) -> list[Any]:
    """Has `hook` called with the gradient of `x`; returns the list that it was put in."""
    node = x.node
    if node is None:
        if x.leaf_hooks is None:
            x.leaf_hooks = []
        hooks: list[Any] = x.leaf_hooks
    else:
        if node.hooks is None:
            node.hooks = {}
        hooks = node.hooks.setdefault(x.index, [])
    at = len(hooks)
    while at > 0 and hasattr(hooks[at - 1], "retains") and not hasattr(hook, "retains"):
        at -= 1  # what a tensor retains is what all of its hooks have made of the gradient
    hooks.insert(at, hook)
    return hooks


@cython.cfunc
def holds_arrays(kept: Sequence[Any]) -> cython.bint:
    """Whether some of the saved values is an array, which is freed with the graph; shapes and the like stay."""
    for s in kept:
        if s is not None:
            v: Saved = cython.cast(Saved, s)
            if type(v.array) is _ndarray or v.unpack is not None:
                return True
    return False


@cython.cfunc
def unpack_array(node: Node, kept: Any) -> Any:
    """A saved value as an array; raises if its memory was written since."""
    if kept is None:
        return None
    s: Saved = cython.cast(Saved, kept)
    if s.unpack is not None:
        x = s.unpack(s.array)
        if not isinstance(x, Tensor):
            raise TypeError(f"{node.op.name}: the unpack hook returned a {type(x).__name__}, not a Tensor")
        return x.array
    if s.version is None:
        return s.array
    v: Version = cython.cast(Version, s.version)
    if v.value != s.number:
        raise GraphError(
            f"{node.op.name}: a value that its gradient needs, of shape {s.array.shape}, was modified by an inplace "
            f"operation after it was saved; saved at {describe(node.place)}; overwritten at {describe(v.place)}"
        )
    return s.array


@cython.ccall
def saved_value(node: Any, s: Any) -> Any:
    """A value that a node has saved, as a tensor at its place in the graph; raises if its memory was written since."""
    array = unpack_array(node, s)
    if s is None or type(array) is not _ndarray:
        return array
    role = s.role
    out: Tensor
    if role == CONSTANT:
        return wrap(array)
    if role >= 0:
        origin = node.inputs[role]
        if isinstance(origin, Tensor) and origin.array is array:
            return origin
        out = wrap(array)
        if isinstance(origin, Node):
            out._node, out._index, out._wants = origin, node.indices[role], True
        elif origin is not None:  # a leaf whose value comes from elsewhere
            out._node, out._wants = make_node(algebra.same, NO_PARAMS, (origin,), FIRST[1]), True
    else:
        out = wrap(array)
        out._node, out._index, out._wants = node, -2 - role, True
    if s.version is not None:
        out.version = s.version
    out.layer = s.layer
    return out


def at_edge(node: Any, index: int, like: Any = None) -> Any:
    """A tensor at a place in the graph, to differentiate by: without elements, or with those of the array `like`."""
    if isinstance(node, AccumulateGrad):
        return node.variable
    out: Tensor = wrap(np.empty(0) if like is None else like)
    out._node, out._index, out._wants = node, index, True
    return out


@cython.ccall
def recorded_at(node: Any) -> Any:
    """The place of a node, or failing that of the nearest that it was made from."""
    near: list = [node]
    for n in near:
        if not isinstance(n, Node):
            continue
        if n.place is not None:
            return f"{'' if n is node else 'an operator after '}{describe(n.place)}"
        if len(near) < 100:
            near.extend(n.inputs)
    return "an unknown line (detect_anomaly() keeps them all)"


def made_at(x: Any) -> str:
    """Where in the user's program the operator was called that made a tensor, as 'file.py, line 7'."""
    return str(recorded_at(x.node) if x.requires_grad else describe(x.version.place))
