"""Module: parameters, buffers and other modules under names, and a `forward`."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from .. import creation, dtypes
from ..device import check as check_device
from ..device import device
from ..errors import DtypeError, ShapeError
from ..graph.nodes import RemovableHandle
from ..graph.tensors import Tensor as Core
from ..tensor import Tensor
from .hooks import BackwardHooks, add_hook, after, everywhere
from .parameter import Buffer, Parameter, Uninitialized, clear_grad
from .state import State

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    fields_of, attribute_of = vars, object.__getattribute__

    def read_as(cls: Any, base: Any) -> None:
        """In C, has Python read attributes of a class's objects as of those of its base."""


M = TypeVar("M", bound="Module")

_PLACES = {"_parameters": "parameter", "_modules": "module", "_buffers": "buffer"}


@cython.auto_pickle(False)
@cython.cclass
class _Places:
    """Has the attributes of a module found in its dicts of parameters, modules and buffers."""

    def __getattribute__(self, name: str) -> Any:
        own: dict[str, Any] = fields_of(self)
        if name not in own:
            held = own.get("_parameters")
            if held and name in held:
                return held[name]
            held = own.get("_modules")
            if held and name in held:
                return held[name]
            held = own.get("_buffers")
            if held and name in held:
                return held[name]
        try:
            return attribute_of(self, name)
        except AttributeError:
            pass
        return Module.__getattr__(self, name)  # type: ignore[arg-type]


if not cython.compiled:  # Python finds what is not among the rest by Module.__getattr__, more slowly
    del _Places.__getattribute__


class Module(_Places, State):
    """The base of all models and layers.

    A subclass calls `super().__init__()`, assigns parameters and other modules to its attributes,
    and defines `forward`. What is assigned is found by `parameters()`, `state_dict()`, `to()` and
    the others, in the order of assignment.

    >>> class Net(mt.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.hidden = mt.nn.Linear(2, 3)
    ...
    ...     def forward(self, x):
    ...         return self.hidden(x).relu()
    >>> net = Net()
    >>> net
    Net(
      (hidden): Linear(in_features=2, out_features=3, bias=True)
    )
    >>> [name for name, p in net.named_parameters()]
    ['hidden.weight', 'hidden.bias']
    """

    _version = 1  # of what a state_dict holds; it stands in the state_dict's `_metadata`
    training: bool
    _parameters: dict[str, Parameter | None]
    _buffers: dict[str, Any]
    _modules: dict[str, Module | None]
    _transient: set[str]  # the buffers that are left out of the state_dict
    _hooks: dict[str, list[Any]]  # by what they wait for

    def __init__(self) -> None:
        self.__dict__.update(
            training=True,
            _parameters={},
            _buffers={},
            _modules={},
            _transient=set(),
            _hooks={},
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Takes the attributes of a pickled module, also of one that PyTorch pickled."""
        own = dict(state)
        transient = own.pop("_non_persistent_buffers_set", ())
        if "_forward_hooks" in own:  # PyTorch's: its hooks stay behind
            own = {name: value for name, value in own.items() if not name.endswith(("_hooks", "_hooks_with_kwargs"))}
            own = {name: value for name, value in own.items() if not name.endswith("_hooks_always_called")}
            for place in _PLACES:
                own[place] = dict(own[place])
        self.__dict__.update({"_transient": set(transient), "_hooks": {}, **own})

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        _read_directly(cls)

    # --- calling ----------------------------------------------------------------------------------

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module computes; a subclass defines it."""
        raise NotImplementedError(f"{self._get_name()} has no forward")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not (self._hooks or everywhere):
            return self.forward(*args, **kwargs)
        done: set[int] = set()  # the forward hooks that were called
        try:
            return self._call_with_hooks(done, args, kwargs)
        except Exception:
            for hook in self._waiting("forward"):
                if hook[2] and id(hook[0]) not in done:  # always_call; its own error would hide the first
                    with contextlib.suppress(Exception):
                        after(self, hook, args, kwargs, None)
            raise

    def _waiting(self, event: str) -> list[Any]:
        """The hooks for an event: those of all modules, then this module's."""
        return [*everywhere.get(event, ()), *self._hooks.get(event, ())]

    def _call_with_hooks(self, done: set[int], args: Any, kwargs: Any) -> Any:
        for hook, with_kwargs in self._waiting("forward_pre"):
            given = hook(self, args, kwargs) if with_kwargs else hook(self, args)
            if given is not None and with_kwargs:
                if not isinstance(given, tuple) or len(given) != 2:
                    raise RuntimeError(f"{self._get_name()}: a pre-hook with kwargs returns None or (args, kwargs)")
                args, kwargs = given
            elif given is not None:
                args = given if isinstance(given, tuple) else (given,)
        backward = BackwardHooks(self) if self._waiting("backward") or self._waiting("backward_pre") else None
        if backward is not None:
            args = backward.enter(args)
        out = self.forward(*args, **kwargs)
        for hook in self._waiting("forward"):
            done.add(id(hook[0]))
            given = after(self, hook, args, kwargs, out)
            if given is not None:
                out = given
        return out if backward is None else backward.leave(out)

    def _hook(self, event: str, hook: Any, prepend: bool = False) -> RemovableHandle:
        return add_hook(self._hooks, event, hook, prepend)

    def _listed_hooks(self, event: str) -> OrderedDict[int, Any]:
        """What programs look at that go over the hooks themselves: a copy, by number."""
        found = [hook if event.startswith("backward") else hook[0] for hook in self._hooks.get(event, ())]
        return OrderedDict(enumerate(found))

    _forward_pre_hooks = property(lambda self: self._listed_hooks("forward_pre"))
    _forward_hooks = property(lambda self: self._listed_hooks("forward"))
    _backward_pre_hooks = property(lambda self: self._listed_hooks("backward_pre"))
    _backward_hooks = property(lambda self: self._listed_hooks("backward"))

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Has `hook(module, args)` called before `forward`; what it returns replaces the arguments.

        With `with_kwargs` it is `hook(module, args, kwargs)`, and returns both or None.
        """
        return self._hook("forward_pre", (hook, with_kwargs), prepend)

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Has `hook(module, args, output)` called after `forward`; what it returns is the output.

        With `with_kwargs` it is `hook(module, args, kwargs, output)`. With `always_call` it is also called when forward
        raises, with None for the output.

        >>> layer = mt.nn.Linear(2, 3)
        >>> with layer.register_forward_hook(lambda module, args, out: print(out.shape)):
        ...     _ = layer(mt.zeros(4, 2))
        minitensor.Size([4, 3])
        """
        return self._hook("forward", (hook, with_kwargs, always_call), prepend)

    def register_full_backward_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Has `hook(module, grad_output)` called when the gradients of all outputs are there.

        What it returns, a tuple of as many tensors, replaces them.
        """
        return self._hook("backward_pre", hook, prepend)

    def register_full_backward_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Has `hook(module, grad_input, grad_output)` called when the gradients of all inputs are there.

        Both are tuples, with None where an argument or output is no tensor in the graph; what the hook returns replaces
        grad_input. Where no input wants a gradient it is called with the gradients of the outputs. The module works on
        copies of its inputs.

        >>> layer = mt.nn.Linear(2, 1, bias=False)
        >>> handle = layer.register_full_backward_hook(lambda module, grad_input, grad_output: print(grad_output))
        >>> layer(mt.ones(1, 2)).sum().backward()
        (tensor([[1.]]),)
        """
        return self._hook("backward", hook, prepend)

    register_backward_hook = register_full_backward_hook

    # --- attributes -------------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        place = _place_for(value)
        if place is None:
            self._set_plain(name, value)
            return
        fields = self.__dict__
        if place not in fields:
            raise AttributeError(
                f"{self._get_name()}: call super().__init__() before assigning a {_PLACES[place]} to {name!r}"
            )
        fields.pop(name, None)
        for other in _PLACES:
            if other != place:
                fields[other].pop(name, None)
        if place == "_parameters":
            self.register_parameter(name, value)
        elif place == "_modules":
            self.add_module(name, value)
        else:
            self.register_buffer(name, value, value.persistent)

    def _set_plain(self, name: str, value: Any) -> None:
        """An attribute that is no parameter and no module; a buffer's name takes any tensor."""
        place = None if name in self.__dict__ else self._place_of(name)
        if place is None:
            object.__setattr__(self, name, value)
        elif value is None or (place == "_buffers" and isinstance(value, Core)):
            self.__dict__[place][name] = value
        else:
            raise TypeError(
                f"{self._get_name()}.{name} is a {_PLACES[place]}, and cannot be set to a "
                f"{type(value).__name__}; delete it first"
            )

    def _place_of(self, name: str) -> str | None:
        """Which of the three dicts has the name."""
        for place in _PLACES:
            if name in self.__dict__.get(place, ()):
                return place
        return None

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        for place in _PLACES:
            held = own.get(place)
            if held is not None and name in held:
                return held[name]
        message = f"{type(self).__name__!r} object has no attribute {name!r}"
        if "_parameters" not in own:
            message += "; call super().__init__() at the beginning of its __init__"
        raise AttributeError(message)

    def __delattr__(self, name: str) -> None:
        place = self._place_of(name)
        if place is None:
            object.__delattr__(self, name)
        else:
            del self.__dict__[place][name]
            self._transient.discard(name)

    def __dir__(self) -> list[str]:
        own = [*self._parameters, *self._buffers, *self._modules]
        return sorted({*super().__dir__(), *own})

    def _check_name(self, name: Any, place: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"{self._get_name()}: a name must be a string, not {name!r}")
        if name == "" or "." in name:
            raise KeyError(f"{self._get_name()}: the name {name!r} is empty or contains a dot")
        if hasattr(self, name) and name not in self.__dict__[place]:
            raise KeyError(f"{self._get_name()}: there already is an attribute {name!r}")

    def register_parameter(self, name: str, param: Parameter | None) -> None:
        """Adds a parameter under a name, as `self.name = param` does; None keeps the name for one.

        Raises KeyError for a name that is taken or has a dot, TypeError for anything else.
        """
        self._check_name(name, "_parameters")
        if param is not None and not isinstance(param, Parameter):
            raise TypeError(
                f"{self._get_name()}: {name!r} must be an nn.Parameter or None, not a {type(param).__name__}"
            )
        if param is not None and not param.is_leaf:
            raise ShapeError(f"{self._get_name()}: {name!r} was computed; a parameter must be a leaf")
        self._parameters[name] = param

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """Adds a tensor that is state, but not trained. Raises as `register_parameter`.

        >>> net = mt.nn.Module()
        >>> net.register_buffer("mean", mt.zeros(2))
        >>> list(net.state_dict()), list(net.parameters())
        (['mean'], [])
        """
        self._check_name(name, "_buffers")
        if tensor is not None and not isinstance(tensor, Core):
            raise TypeError(
                f"{self._get_name()}: buffer {name!r} must be a tensor or None, not a {type(tensor).__name__}"
            )
        self._buffers[name] = tensor
        (self._transient.discard if persistent else self._transient.add)(name)

    def add_module(self, name: str, module: Module | None) -> None:
        """Adds a module under a name, as `self.name = module` does. Raises as above."""
        self._check_name(name, "_modules")
        if module is not None and not isinstance(module, Module):
            raise TypeError(f"{self._get_name()}: {name!r} must be a Module or None, not a {type(module).__name__}")
        self._modules[name] = module

    register_module = add_module

    # --- walking ----------------------------------------------------------------------------------

    def named_modules(
        self, memo: set[Any] | None = None, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """This module under the name `prefix`, and all modules in it, each once."""
        seen = set() if memo is None else memo
        if self in seen:
            return
        if remove_duplicate:
            seen.add(self)
        yield prefix, self
        for name, module in self._modules.items():
            if module is not None:
                inner = f"{prefix}.{name}" if prefix else name
                yield from module.named_modules(seen, inner, remove_duplicate)

    def modules(self, remove_duplicate: bool = True) -> Iterator[Module]:
        """This module and all modules in it, each once unless `remove_duplicate=False`."""
        if remove_duplicate:
            yield from _inside(self, set(), [])
            return
        for _, module in self.named_modules(remove_duplicate=False):
            yield module

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """The modules assigned to this one, each once."""
        seen = set()
        for name, module in self._modules.items():
            if module is not None and module not in seen:
                seen.add(module)
                yield name, module

    def children(self) -> Iterator[Module]:
        """The modules assigned to this one, each once."""
        for _, module in self.named_children():
            yield module

    def _named(self, place: str, prefix: str, recurse: bool, remove_duplicate: bool) -> Iterator[tuple[str, Any]]:
        seen = set()
        inside = self.named_modules(prefix=prefix, remove_duplicate=remove_duplicate)
        for path, module in inside if recurse else [(prefix, self)]:
            for name, value in module.__dict__[place].items():
                if value is None or id(value) in seen:
                    continue
                if remove_duplicate:
                    seen.add(id(value))
                yield (f"{path}.{name}" if path else name), value

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """All parameters with their names, as 'hidden.weight'; a shared one under its first."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """All parameters, each once; those of this module alone with `recurse=False`."""
        if type(self).named_parameters is not Module.named_parameters:  # which a subclass may define
            for _, p in self.named_parameters(recurse=recurse):
                yield p
            return
        seen = set()
        for module in _inside(self, set(), []) if recurse else [self]:
            for held in module._parameters.values():
                if held is not None and id(held) not in seen:
                    seen.add(id(held))
                    yield held

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """All buffers with their names."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        """All buffers, each once."""
        for _, buffer in self.named_buffers(recurse=recurse):
            yield buffer

    def get_submodule(self, target: str) -> Module:
        """The module under a name with dots, as 'encoder.0'. Raises AttributeError."""
        found: Any = self
        for name in target.split(".") if target else ():
            if found._modules.get(name) is None:
                raise AttributeError(
                    f"{self._get_name()} has no module {target!r}: {found._get_name()} has no {name!r}"
                )
            found = found._modules[name]
        module: Module = found
        return module

    def set_submodule(self, target: str, module: Module, strict: bool = False) -> None:
        """Puts a module in the place of the one under a name with dots; with `strict` there must be one already.

        Raises AttributeError where the way to it does not exist, ShapeError for an empty name.
        """
        path, _, name = target.rpartition(".")
        if not name:
            raise ShapeError(f"{self._get_name()}: set_submodule needs a name, got {target!r}")
        if not isinstance(module, Module):
            raise TypeError(f"{self._get_name()}: {target!r} must be a Module, not a {type(module).__name__}")
        parent = self.get_submodule(path)
        if (strict or hasattr(parent, name)) and parent._modules.get(name) is None:
            raise AttributeError(f"{self._get_name()} has no module {target!r} to be replaced")
        parent._modules[name] = module

    def _get(self, place: str, kind: str, target: str) -> Any:
        path, _, name = target.rpartition(".")
        value = self.get_submodule(path).__dict__[place].get(name)
        if value is None:
            raise AttributeError(f"{self._get_name()} has no {kind} {target!r}")
        return value

    def get_parameter(self, target: str) -> Any:
        """The parameter under a name with dots. Raises AttributeError if there is none."""
        return self._get("_parameters", "parameter", target)

    def get_buffer(self, target: str) -> Any:
        """The buffer under a name with dots. Raises AttributeError if there is none."""
        return self._get("_buffers", "buffer", target)

    def apply(self: M, fn: Callable[[Module], Any]) -> M:
        """Calls `fn` on every module inside, then on this one: to initialise weights, for instance.

        >>> net = mt.nn.Sequential(mt.nn.Linear(2, 2), mt.nn.ReLU())
        >>> _ = net.apply(lambda module: print(type(module).__name__))
        Linear
        ReLU
        Sequential
        """
        for module in self.children():
            module.apply(fn)
        fn(self)
        return self

    # --- modes, dtypes, gradients -----------------------------------------------------------------

    def train(self: M, mode: bool = True) -> M:
        """Switches this module and all in it to training (dropout and batch statistics are on)."""
        if not isinstance(mode, bool):
            raise TypeError(f"train: mode is True or False, not {mode!r}")
        self.training = mode
        for module in self._modules.values():
            if module is not None:
                module.train(mode)  # which a subclass may define: one that stays as it is
        return self

    def eval(self: M) -> M:
        """Switches this module and all in it to evaluation."""
        return self.train(False)

    def requires_grad_(self: M, requires_grad: bool = True) -> M:
        """Switches on or off whether the parameters are trained."""
        for p in self.parameters():
            p.requires_grad_(requires_grad)
        return self

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters, or sets them to 0."""
        for p in self.parameters():
            clear_grad(p, set_to_none)

    def _apply(self: M, fn: Callable[[Any], Any]) -> M:
        """Replaces every parameter, its gradient, and every buffer by what `fn` makes of it."""
        for tensors in (self.parameters(), self.buffers()):
            for x in tensors:
                if isinstance(x, Uninitialized):
                    x.cast(fn)
                    continue
                made, grad = fn(x.data), x.grad
                if made.array is not x.array:
                    x.grad = None
                    x.data = made
                    x.grad = None if grad is None else fn(grad)
        return self

    def to(self: M, *args: Any, **kwargs: Any) -> M:
        """Casts the floating parameters and buffers to a dtype, in place; on "meta" they have no elements.

        With `memory_format=mt.channels_last`, those with 4 axes lie so in memory.

        Raises DtypeError for a dtype that is not floating, ShapeError for another device.

        >>> mt.nn.Linear(2, 3).to(mt.float64).weight.dtype
        minitensor.float64
        """
        dtype = kwargs.pop("dtype", None)
        place = kwargs.pop("device", None)
        layout = kwargs.pop("memory_format", None)
        if layout is not None:
            self._apply(lambda x: x.to(memory_format=layout) if x.dim() == 4 else x)
        for value in args:
            if isinstance(value, Tensor):
                dtype = value.dtype
            elif isinstance(value, (str, device)):
                place = value
            elif value is not None and not isinstance(value, bool):
                dtype = value
        if place is not None and (check_device(place) or any(x.is_meta for x in self.parameters())):
            self._apply(lambda x: x.to(place))
        if dtype is None:
            return self
        d = dtypes.of(dtype)
        if not d.is_floating_point:
            raise DtypeError(f"to: a module's dtype must be floating, not {d.name}")
        return self._apply(lambda x: x.to(d) if x.is_floating_point() else x)

    def type(self: M, dst_type: Any) -> M:
        """Casts all parameters and buffers to a dtype."""
        return self._apply(lambda x: x.to(dtypes.of(dst_type)))

    def float(self: M) -> M:
        """Casts to float32."""
        return self.to(dtypes.float32)

    def double(self: M) -> M:
        """Casts to float64."""
        return self.to(dtypes.float64)

    def half(self: M) -> M:
        """Casts to float16."""
        return self.to(dtypes.float16)

    def bfloat16(self: M) -> M:
        """Casts to bfloat16."""
        return self.to(dtypes.bfloat16)

    def cpu(self: M) -> M:
        """Itself: everything is on the CPU."""
        return self

    def cuda(self: M, device: Any = None) -> M:
        """Raises ShapeError: everything is on the CPU."""
        return self.to("cuda")

    def to_empty(self: M, *, device: Any = None, recurse: bool = True) -> M:
        """With memory, of zeros, for parameters and buffers that were made on "meta"; returns itself.

        >>> layer = mt.nn.Linear(2, 3, device="meta").to_empty(device="cpu")
        >>> layer.weight.device
        device(type='cpu')
        """
        meta = check_device(device)
        return self._apply(lambda x: x.to(device) if meta else creation.zeros_like(x) if x.is_meta else x)

    def share_memory(self: M) -> M:
        """Moves parameters and buffers into memory that other processes see; returns itself."""
        return self._apply(lambda t: t.share_memory_())

    def compile(self, *args: Any, **kwargs: Any) -> None:
        """Nothing: the kernels are compiled already."""

    # --- printing ---------------------------------------------------------------------------------

    def _get_name(self) -> str:
        return type(self).__name__

    def extra_repr(self) -> str:
        """What the printed module says between its parentheses; a subclass defines it."""
        return ""

    def _children_lines(self) -> list[str]:
        return [f"({name}): {indented(repr(m))}" for name, m in self._modules.items()]

    def __repr__(self) -> str:
        extra = self.extra_repr()
        lines = [*(extra.split("\n") if extra else ()), *self._children_lines()]
        if len(lines) == 1 and extra:
            return f"{self._get_name()}({extra})"
        if not lines:
            return f"{self._get_name()}()"
        return f"{self._get_name()}(\n" + "".join(f"  {line}\n" for line in lines) + ")"


def _read_directly(cls: Any) -> None:
    """Has Python read attributes of a class's modules by `_Places` itself, where nothing else is defined to.

    Else Python looks at each read for a `__getattr__`, which is Module's, and calls `__getattribute__` by its name.
    """
    if cls.__getattr__ is Module.__getattr__ and cls.__getattribute__ is _Places.__getattribute__:
        read_as(cls, _Places)


_read_directly(Module)


def _inside(module: Module, seen: set[Any], found: list[Module]) -> list[Module]:
    """A module and all modules in it, each once, in the order of `named_modules`, which makes names, too."""
    if type(module).named_modules is not Module.named_modules:  # which a subclass may define
        found.extend([m for _, m in module.named_modules(seen)])
    elif module not in seen:
        seen.add(module)
        found.append(module)
        for inner in module._modules.values():
            if inner is not None:
                _inside(inner, seen, found)
    return found


_PLAIN = frozenset([bool, int, float, str, tuple, type(None)])


def _place_for(value: Any) -> str | None:
    """Which of a module's dicts takes a value by its type."""
    if type(value) in _PLAIN:
        return None
    if isinstance(value, Parameter):
        return "_parameters"
    if isinstance(value, Module):
        return "_modules"
    return "_buffers" if isinstance(value, Buffer) else None


def indented(text: str) -> str:
    return text.replace("\n", "\n  ")
