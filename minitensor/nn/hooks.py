"""Hooks of modules: how they are kept and called, and those of all modules there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..graph.modes import grad_enabled
from ..graph.nodes import RemovableHandle
from ..graph.tensors import Tensor as Core
from ..ops.hook import hooked

everywhere: dict[str, list[Any]] = {}  # the hooks of all modules, by what they wait for


def add_hook(hooks: dict[str, list[Any]], event: str, hook: Any, prepend: bool) -> RemovableHandle:
    waiting = hooks.setdefault(event, [])
    waiting.insert(0 if prepend else len(waiting), hook)
    return _Handle(hooks, event, hook)


def take_hook(hooks: dict[str, list[Any]], event: str, hook: Any) -> None:
    """Takes a hook away, if it is there; a module without hooks is called the short way again."""
    waiting = hooks.get(event, [])
    if hook in waiting:
        waiting.remove(hook)
        if not waiting:
            del hooks[event]


class _Handle(RemovableHandle):
    """The handle of a hook of a module."""

    def __init__(self, hooks: dict[str, list[Any]], event: str, hook: Any) -> None:
        self._kept = (hooks, event, hook)

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        take_hook(*self._kept)


def after(module: Any, hook: Any, args: Any, kwargs: Any, out: Any) -> Any:
    """Calls a forward hook."""
    function, with_kwargs = hook[:2]
    return function(module, args, kwargs, out) if with_kwargs else function(module, args, out)


class BackwardHooks:
    """The backward hooks of one call of a module: identities around it, on whose way back they are called."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.full, self.pre = module._waiting("backward"), module._waiting("backward_pre")
        self.inputs = 0  # how many arguments there are
        self.of_inputs: list[int] = []  # those in the graph
        self.grad_output: Any = None

    def _around(self, values: Any, function: Callable[..., Any]) -> tuple[tuple[Any, ...], list[int]]:
        """The values, those in the graph passed through the identity; and which they are."""
        found = [i for i, x in enumerate(values) if isinstance(x, Core) and x.requires_grad]
        passed = list(values)
        if found and grad_enabled():
            made = hooked(tuple([values[i] for i in found]), lambda g: function(g, found, len(passed)))
            for i, x in zip(found, made, strict=True):
                passed[i] = x
        return tuple(passed), found

    def enter(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """The arguments."""
        self.inputs = len(args)
        args, self.of_inputs = self._around(args, self._at_inputs)
        return args

    def leave(self, out: Any) -> Any:
        """The output: a tensor, or a tuple or list of them; anything else is left as it is."""
        if isinstance(out, (tuple, list)) and not hasattr(out, "_fields"):
            return type(out)(self._around(out, self._at_outputs)[0])
        return self._around((out,), self._at_outputs)[0][0]

    def _replaced(self, hook: Any, old: tuple[Any, ...], new: Any) -> tuple[Any, ...]:
        """What a hook returned, None meaning no change."""
        new = old if new is None else new if isinstance(new, (tuple, list)) else (new,)
        if len(new) != len(old):
            raise RuntimeError(
                f"{self.module._get_name()}: a backward hook returned {len(new)} gradients for {len(old)}"
            )
        return tuple(new)

    def _at_outputs(self, g: tuple[Any, ...], found: list[int], count: int) -> tuple[Any, ...]:
        grads = _spread(g, found, count)
        for hook in self.pre:
            grads = self._replaced(hook, grads, hook(self.module, grads))
        self.grad_output = grads
        if not self.of_inputs:
            for hook in self.full:
                hook(self.module, (None,) * self.inputs, grads)
        return tuple([grads[i] for i in found])

    def _at_inputs(self, g: tuple[Any, ...], found: list[int], count: int) -> tuple[Any, ...]:
        grads = _spread(g, found, count)
        for hook in self.full:
            grads = self._replaced(hook, grads, hook(self.module, grads, self.grad_output))
        return tuple([grads[i] for i in found])


def _spread(g: tuple[Any, ...], found: list[int], count: int) -> tuple[Any, ...]:
    """The gradients at their places among `count`, None elsewhere."""
    out: list[Any] = [None] * count
    for i, x in zip(found, g, strict=True):
        out[i] = x
    return tuple(out)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Has `hook(module, args)` called before the forward of every module there is."""
    return add_hook(everywhere, "forward_pre", (hook, False), False)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Has `hook(module, args, output)` called after the forward of every module there is."""
    return add_hook(everywhere, "forward", (hook, with_kwargs, always_call), False)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """As `Module.register_full_backward_hook`, for every module there is."""
    return add_hook(everywhere, "backward", hook, False)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """As `Module.register_full_backward_pre_hook`, for every module there is."""
    return add_hook(everywhere, "backward_pre", hook, False)
