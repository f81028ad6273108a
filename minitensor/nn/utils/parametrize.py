"""Parametrizations: a module's parameter as a function of others, computed whenever it is read.

weight = f_k(... f_1(original))          module.weight;  module.parametrizations.weight.original is trained
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator
from typing import Any

from ...autograd import no_grad
from ...errors import ShapeError
from ...graph.tensors import Tensor as Core
from ..containers import ModuleDict, ModuleList
from ..module import Module
from ..parameter import Parameter

__all__ = [
    "ParametrizationList",
    "cached",
    "is_parametrized",
    "register_parametrization",
    "remove_parametrizations",
    "type_before_parametrizations",
]

_open = 0  # how many `cached` blocks there are around
_values: dict[tuple[int, str], Any] = {}


@contextlib.contextmanager
def cached() -> Iterator[None]:
    """Within this block every parametrized tensor is computed once, at its first use.

    >>> from minitensor.nn.utils import parametrize
    >>> layer = mt.nn.utils.parametrizations.weight_norm(mt.nn.Linear(2, 2))
    >>> with parametrize.cached():
    ...     layer.weight is layer.weight
    True
    """
    global _open
    _open += 1
    try:
        yield
    finally:
        _open -= 1
        if not _open:
            _values.clear()


class ParametrizationList(ModuleList):
    """The functions of one parametrized tensor, and what they start from: `original`, or `original0`, `original1`, ...

    The last function's `right_inverse`, where it has one, is asked for the originals of a given tensor.
    """

    def __init__(self, modules: Any, original: Any, unsafe: bool = False) -> None:
        functions = list(modules)
        if not functions:
            raise ShapeError("ParametrizationList: there are no parametrizations")
        super().__init__(functions)
        self.unsafe = unsafe
        new = self._inverted(original)
        self.is_tensor = isinstance(new, Core)
        self.ntensors = 1 if self.is_tensor else len(new)
        if self.is_tensor:
            if new is not original:
                with no_grad():
                    original.data = new.detach()
            _put(self, "original", original)
        else:
            for i, x in enumerate(new):
                _put(self, f"original{i}", Parameter(x) if isinstance(original, Parameter) else x)
        if not unsafe:
            self._check(original)

    def _check(self, like: Any) -> None:
        """Raises unless the functions give what has the original's shape and dtype."""
        made = self()
        if not isinstance(made, Core):
            raise ShapeError(f"a parametrization must return a tensor, not {type(made).__name__}")
        if made.array.dtype != like.array.dtype or made.array.shape != like.array.shape:
            raise ShapeError(
                f"a parametrization made {made.array.dtype} {made.array.shape} of {like.array.dtype} "
                f"{like.array.shape}; pass unsafe=True if that is meant"
            )

    def _inverted(self, value: Any) -> Any:
        """The originals that give a value, by the functions' right inverses; without these, the value itself."""
        with no_grad():
            for function in reversed(list(self)):
                if hasattr(function, "right_inverse"):
                    value = function.right_inverse(value)
        if not isinstance(value, Core):
            if not isinstance(value, (tuple, list)) or not all(isinstance(x, Core) for x in value):
                raise ShapeError("right_inverse must return a tensor or a sequence of tensors")
            value = list(value)
        return value

    def right_inverse(self, value: Any) -> None:
        """Sets the originals so that the functions give `value`."""
        new = self._inverted(value)
        parts = [new] if self.is_tensor else new
        for x, original in zip(parts, self._originals(), strict=True):
            if original.array.dtype != x.array.dtype:
                raise ShapeError(f"an original of {original.array.dtype} cannot be set to a {x.array.dtype} tensor")
            with no_grad():
                original.data = x.detach().clone()

    def _originals(self) -> list[Any]:
        if self.is_tensor:
            return [self.original]
        return [getattr(self, f"original{i}") for i in range(self.ntensors)]

    def forward(self) -> Any:
        """The parametrized tensor."""
        first, *rest = list(self)
        x = first(*self._originals())
        for function in rest:
            x = function(x)
        return x


def _put(module: Module, name: str, value: Any) -> None:
    if isinstance(value, Parameter):
        module.register_parameter(name, value)
    else:
        module.register_buffer(name, value)


def _read(name: str) -> property:
    """The attribute that is computed when it is read, and set through the right inverses."""

    def get(self: Any) -> Any:
        if not _open:
            return self.parametrizations[name]()
        key = (id(self), name)
        if key not in _values:
            _values[key] = self.parametrizations[name]()
        return _values[key]

    def put(self: Any, value: Any) -> None:
        self.parametrizations[name].right_inverse(value)

    return property(get, put)


def _deepcopy(self: Any, memo: dict[int, Any]) -> Any:
    if id(self) not in memo:
        cls: Any = type(self)
        memo[id(self)] = twin = cls.__new__(cls)
        twin.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return memo[id(self)]


def _no_pickle(self: Any, protocol: Any) -> Any:
    raise RuntimeError(f"{type(self).__name__}: a parametrized module cannot be pickled; save its state_dict")


def _setattr(self: Any, name: str, value: Any) -> None:
    """A parametrized name goes to its property, everything else the usual way."""
    if isinstance(getattr(type(self), name, None), property) and name in self.__dict__["_modules"]["parametrizations"]:
        object.__setattr__(self, name, value)
    else:
        Module.__setattr__(self, name, value)


def register_parametrization(module: Any, tensor_name: str, parametrization: Any, *, unsafe: bool = False) -> Any:
    """Makes a parameter or buffer of a module the value of a function of it; returns the module.

    `parametrization` is a module whose forward takes the tensor (or, if `right_inverse` returns several, several) and
    returns one of its shape and dtype. Several may be registered one after the other. `unsafe` leaves the checks away.
    Raises ValueError for a name that is no parameter and no buffer.

    >>> class Symmetric(mt.nn.Module):
    ...     def forward(self, x):
    ...         return (x + x.T) / 2
    >>> layer = mt.nn.utils.parametrize.register_parametrization(mt.nn.Linear(3, 3), "weight", Symmetric())
    >>> bool((layer.weight == layer.weight.T).all())
    True
    >>> [name for name, p in layer.named_parameters()]
    ['bias', 'parametrizations.weight.original']
    """
    parametrization.train(module.training)
    if is_parametrized(module, tensor_name):
        functions = module.parametrizations[tensor_name]
        now = getattr(module, tensor_name)
        if not unsafe:
            made = parametrization(now)
            if made.array.dtype != now.array.dtype or made.array.shape != now.array.shape:
                raise ShapeError(f"a parametrization made {made.array.shape} of {now.array.shape}")
        functions.append(parametrization)
        functions.unsafe = functions.unsafe or unsafe
        return module
    place = module._parameters if tensor_name in module._parameters else module._buffers
    if place.get(tensor_name) is None:
        raise ShapeError(f"{module._get_name()} has no parameter or buffer {tensor_name!r} to parametrize")
    functions = ParametrizationList([parametrization], place[tensor_name], unsafe)
    del place[tensor_name]
    if not is_parametrized(module):
        module.parametrizations = ModuleDict()
        fields = {"__deepcopy__": _deepcopy, "__reduce_ex__": _no_pickle, "__setattr__": _setattr}
        module.__class__ = type(f"Parametrized{type(module).__name__}", (type(module),), fields)
    module.parametrizations[tensor_name] = functions
    setattr(type(module), tensor_name, _read(tensor_name))
    return module


def is_parametrized(module: Any, tensor_name: str | None = None) -> bool:
    """Whether a module, or one tensor of it, is parametrized."""
    found = module.__dict__.get("_modules", {}).get("parametrizations")
    if not isinstance(found, ModuleDict):
        return False
    return len(found) > 0 if tensor_name is None else tensor_name in found


def remove_parametrizations(module: Any, tensor_name: str, leave_parametrized: bool = True) -> Any:
    """Makes the tensor an ordinary one again: with its present value, or with its original's. Returns the module.

    Raises ValueError if it is not parametrized, or if there are several originals and `leave_parametrized` is False.
    """
    if not is_parametrized(module, tensor_name):
        raise ShapeError(f"{module._get_name()}: {tensor_name!r} is not parametrized")
    functions = module.parametrizations[tensor_name]
    originals = functions._originals()
    if not functions.is_tensor and not leave_parametrized:
        raise ShapeError(f"{tensor_name!r} has several originals; only leave_parametrized=True is possible")
    original = originals[0]
    if leave_parametrized:
        with no_grad():
            value = getattr(module, tensor_name).detach().clone()
        if functions.is_tensor:
            original.data = value
        else:
            trained = any(x.requires_grad for x in originals)
            original = Parameter(value, trained) if isinstance(original, Parameter) else value
    delattr(type(module), tensor_name)
    del module.parametrizations[tensor_name]
    if not is_parametrized(module):
        module.__class__ = type(module).__bases__[0]
        del module.parametrizations
    _put(module, tensor_name, original)
    return module


def type_before_parametrizations(module: Any) -> type:
    """The class that a module had before it was parametrized."""
    kind = type(module)
    return kind.__bases__[0] if is_parametrized(module) else kind
