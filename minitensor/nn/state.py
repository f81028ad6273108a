"""What a module holds, under its names: `state_dict`, `load_state_dict` and what waits for them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from ..autograd import no_grad
from ..errors import ShapeError
from ..graph.nodes import RemovableHandle
from ..ops.common import raw, shape_of
from .parameter import Uninitialized

_EXTRA = "_extra_state"


class _IncompatibleKeys(NamedTuple):
    """What `load_state_dict` did not find in the dict, and what it has no place for."""

    missing_keys: list[str]
    unexpected_keys: list[str]

    def __repr__(self) -> str:
        if not any(self):
            return "<All keys matched successfully>"
        missing, unexpected = self
        return f"_IncompatibleKeys(missing_keys={missing}, unexpected_keys={unexpected})"


class State:
    """The part of `Module` that gives its state away and takes another's."""

    __slots__ = ()
    _hook: Callable[..., RemovableHandle]

    def state_dict(self: Any, *args: Any, destination: Any = None, prefix: str = "", keep_vars: bool = False) -> Any:
        """All parameters and persistent buffers under their names, sharing the module's memory.

        The tensors are outside the graph unless `keep_vars`. A module that defines `get_extra_state` has its result
        under the name '_extra_state'.

        >>> mt.nn.Linear(1, 2).state_dict().keys()
        odict_keys(['weight', 'bias'])
        """
        if args:  # PyTorch's old order
            given: list[Any] = [destination, prefix, keep_vars]
            destination, prefix, keep_vars = [*args[:3], *given[len(args) :]]
        out: Any = OrderedDict() if destination is None else destination
        if destination is None:
            out._metadata = OrderedDict()
        local = {"version": self._version}
        if hasattr(out, "_metadata"):
            out._metadata[prefix[:-1]] = local
        hooks = self._hooks
        for hook in hooks.get("save_pre", ()):
            hook(self, prefix, keep_vars)
        for name, value in self._own_state():
            out[prefix + name] = value if keep_vars else value.detach()
        if type(self).get_extra_state is not State.get_extra_state:
            out[prefix + _EXTRA] = self.get_extra_state()
        for name, module in self._modules.items():
            if module is not None:
                module.state_dict(destination=out, prefix=f"{prefix}{name}.", keep_vars=keep_vars)
        for hook in hooks.get("save", ()):
            out = hook(self, out, prefix, local) or out
        return out

    def _own_state(self: Any) -> list[tuple[str, Any]]:
        """The parameters and persistent buffers of this module alone."""
        transient = self._transient
        every = [*self._parameters.items(), *self._buffers.items()]
        return [(name, value) for name, value in every if value is not None and name not in transient]

    def _upgrade(self, state_dict: Any, prefix: str, version: int | None) -> None:
        """Adds what a state_dict of an older version (None: unknown) has not; a subclass defines it."""

    def get_extra_state(self: Any) -> Any:
        """What a state_dict is to hold beside tensors; a subclass defines it, and `set_extra_state`."""
        raise NotImplementedError(f"{self._get_name()} has no get_extra_state")

    def set_extra_state(self: Any, state: Any) -> None:
        """Takes what `get_extra_state` returned."""
        raise NotImplementedError(f"{self._get_name()} has no set_extra_state")

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Has `hook(module, prefix, keep_vars)` called before `state_dict`."""
        return self._hook("save_pre", hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Has `hook(module, state_dict, prefix, local_metadata)` called after `state_dict`, to change it in place."""
        return self._hook("save", hook)

    _register_state_dict_hook = register_state_dict_post_hook

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Has `hook(module, state_dict, prefix, ...)` called before `load_state_dict`, to change a copy of the dict.

        Its other arguments are, as PyTorch's, local_metadata, strict, missing_keys, unexpected_keys, error_msgs.
        """
        return self._hook("load_pre", hook)

    def _register_load_state_dict_pre_hook(self, hook: Callable[..., Any], with_module: bool = False) -> Any:
        return self._hook("load_pre", hook if with_module else lambda _, *args: hook(*args))

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Has `hook(module, incompatible_keys)` called after `load_state_dict`."""
        return self._hook("load", hook)

    def load_state_dict(
        self: Any, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> _IncompatibleKeys:
        """Copies the values of a state_dict into this module's parameters and buffers.

        Raises ShapeError, which lists every name that is missing, unexpected or of another size,
        before anything is copied; with `strict=False` only sizes must fit. The values are cast to
        the module's dtypes. With `assign` the module takes over the memory and dtype of the values.

        >>> a, b = mt.nn.Linear(2, 3), mt.nn.Linear(2, 3)
        >>> a.load_state_dict(b.state_dict())
        <All keys matched successfully>
        """
        if not isinstance(state_dict, Mapping):
            raise TypeError(f"load_state_dict: expected a dict of tensors, got {type(state_dict).__name__}")
        given = OrderedDict(state_dict)
        metadata = getattr(state_dict, "_metadata", {})
        if hasattr(state_dict, "_metadata"):
            given._metadata = metadata  # type: ignore[attr-defined]
        missing: list[str] = []
        unexpected: list[str] = []
        faults: list[str] = []
        own: dict[str, Any] = {}
        extra: dict[str, Any] = {}
        modules = [(f"{path}." if path else "", module) for path, module in self.named_modules(remove_duplicate=False)]
        for prefix, module in modules:
            for hook in module._hooks.get("load_pre", ()):
                hook(module, given, prefix, metadata.get(prefix[:-1], {}), strict, missing, unexpected, faults)
            module._upgrade(given, prefix, metadata.get(prefix[:-1], {}).get("version"))
            own.update({prefix + name: value for name, value in module._own_state()})
            if type(module).set_extra_state is not State.set_extra_state:
                extra[prefix + _EXTRA] = module
        missing += [name for name in (*own, *extra) if name not in given]
        unexpected += [name for name in given if name not in own and name not in extra]
        shared = [name for name in own if name in given]
        for name in shared:
            faults += _misfit(name, given[name], own[name])
        if strict and unexpected:
            faults.insert(0, f"Unexpected key(s) in state_dict: {_listed(unexpected)}. ")
        if strict and missing:
            faults.insert(0, f"Missing key(s) in state_dict: {_listed(missing)}. ")
        if faults:
            listed = "".join(f"\n\t{fault}" for fault in faults)
            raise ShapeError(f"Error(s) in loading state_dict for {self._get_name()}:{listed}")
        with no_grad():
            for name in shared:
                if isinstance(own[name], Uninitialized):
                    if isinstance(given[name], Uninitialized):
                        continue
                    own[name].materialize(shape_of(given[name]))
                if assign:
                    own[name].replace(raw(given[name]))
                else:
                    own[name].copy_(given[name])
        for name, module in extra.items():
            if name in given:
                module.set_extra_state(given[name])
        keys = _IncompatibleKeys(missing, unexpected)
        for _, module in reversed(modules):
            for hook in module._hooks.get("load", ()):
                hook(module, keys)
        return keys


def _misfit(name: str, value: Any, own: Any) -> list[str]:
    """What is wrong with a value of a state_dict for a parameter or buffer: nothing, or one line."""
    if isinstance(value, Uninitialized):
        return [] if isinstance(own, Uninitialized) else [f"{name} has no sizes in the state_dict yet."]
    array = raw(value)
    if not isinstance(array, np.ndarray):
        raise TypeError(f"load_state_dict: {name!r} is a {type(array).__name__}, not a tensor")
    if isinstance(own, Uninitialized) or array.shape == shape_of(own):
        return []
    return [f"size mismatch for {name}: the shape is {array.shape} in the state_dict, {shape_of(own)} in the module."]


def _listed(names: list[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)
