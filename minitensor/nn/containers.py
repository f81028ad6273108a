"""Modules and parameters in sequences and dicts."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, MutableMapping
from typing import Any, TypeVar

from ..graph.tensors import Tensor as Core
from ..ops.common import shape_of
from .module import Module, indented
from .parameter import Parameter

S = TypeVar("S", bound="_Sequence")


class _Sequence(Module):
    """Items that are numbered: modules or parameters under the names '0', '1', ..."""

    _kept = "_modules"  # which of a module's dicts holds the items

    def _items(self) -> MutableMapping[str, Any]:
        items: MutableMapping[str, Any] = self.__dict__[self._kept]
        return items

    def _renumber(self, items: list[Any]) -> None:
        self._items().clear()
        for i, item in enumerate(items):
            self._add(str(i), item)

    def _add(self, name: str, item: Any) -> None:
        self.add_module(name, item)

    def _name(self, index: Any) -> str:
        """The name of an item that is counted from the front or, negative, from the end."""
        i, n = operator.index(index), len(self)
        if not -n <= i < n:
            raise IndexError(f"{self._get_name()}: index {i} is out of range for {n} items")
        return list(self._items())[i]

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._items().values())

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return self._slice(list(self._items().items())[index])
        return self._items()[self._name(index)]

    def _slice(self, items: list[tuple[str, Any]]) -> Any:
        kind: Any = type(self)
        return kind([item for _, item in items])

    def __setitem__(self, index: Any, item: Any) -> None:
        self._add(self._name(index), item)

    def __delitem__(self, index: Any) -> None:
        keys = list(self._items())
        for name in keys[index] if isinstance(index, slice) else [self._name(index)]:
            del self._items()[name]
        self._renumber(list(self))

    def append(self: S, module: Any) -> S:
        """Adds an item at the end; returns self."""
        self._add(str(len(self)), module)
        return self

    def extend(self: S, modules: Iterable[Any]) -> S:
        """Adds items at the end; returns self."""
        for item in list(modules):
            self.append(item)
        return self

    def insert(self: S, index: int, module: Any) -> S:
        """Puts an item before another; returns self."""
        items = list(self)
        items.insert(index, module)
        self._renumber(items)
        return self

    def pop(self, key: int = -1) -> Any:
        """Takes an item out and returns it."""
        item = self[key]
        del self[key]
        return item

    def __iadd__(self: S, items: Iterable[Any]) -> S:
        return self.extend(items)

    def __add__(self: S, items: Iterable[Any]) -> S:
        return self[:].extend(items)  # type: ignore[no-any-return]


class Sequential(_Sequence):
    """Modules one after the other, each called with what the one before returned.

    Takes modules, or one OrderedDict of names and modules. It has a list's indices, slices,
    `append`, `extend`, `insert` and `pop`.

    >>> net = mt.nn.Sequential(mt.nn.Flatten(), mt.nn.Linear(4, 3), mt.nn.ReLU())
    >>> net(mt.zeros(5, 2, 2)).shape
    minitensor.Size([5, 3])
    >>> net[1:]
    Sequential(
      (1): Linear(in_features=4, out_features=3, bias=True)
      (2): ReLU()
    )
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        named = len(args) == 1 and isinstance(args[0], dict)
        for name, module in args[0].items() if named else enumerate(args):
            self.add_module(str(name), module)

    def _slice(self, items: list[tuple[str, Any]]) -> Sequential:
        return type(self)(dict(items))

    def __delitem__(self, index: Any) -> None:
        numbered = list(self._modules) == [str(i) for i in range(len(self))]
        keys = list(self._modules)
        for name in keys[index] if isinstance(index, slice) else [self._name(index)]:
            del self._modules[name]
        if numbered:
            self._renumber(list(self))

    def __mul__(self, times: int) -> Sequential:
        """The same modules several times over."""
        return Sequential(*list(self) * operator.index(times))

    __rmul__ = __mul__

    def __imul__(self: S, times: int) -> S:
        return self.extend(list(self) * (operator.index(times) - 1))

    def forward(self, input: Any) -> Any:
        """The output of the last module; the input itself if there is none."""
        for module in self:
            input = module(input)
        return input


class DataParallel(Module):
    """A module under PyTorch's wrapper for several devices: on the one there is, `module` itself does all the work.

    The parameters' names begin with "module.", as in the state dicts that such programs save. `device_ids`,
    `output_device` and `dim` are accepted.

    >>> list(mt.nn.DataParallel(mt.nn.Linear(1, 1)).state_dict())
    ['module.weight', 'module.bias']
    """

    def __init__(self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[Any] = []

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """What the module makes of its arguments."""
        return self.module(*inputs, **kwargs)


class ModuleList(_Sequence):
    """A list of modules that are this module's own: their parameters are its parameters.

    >>> layers = mt.nn.ModuleList(mt.nn.Linear(2, 2) for _ in range(3))
    >>> layers
    ModuleList(
      (0-2): 3 x Linear(in_features=2, out_features=2, bias=True)
    )
    >>> len(list(layers.parameters()))
    6
    """

    def __init__(self, modules: Iterable[Module] | None = None) -> None:
        super().__init__()
        self.extend(modules or ())

    def _children_lines(self) -> list[str]:
        """Equal neighbours in one line, with their number."""
        runs: list[list[Any]] = []
        for name, module in self._modules.items():
            text = repr(module)
            if runs and runs[-1][2] == text:
                runs[-1][1] = name
            else:
                runs.append([name, name, text])
        lines = []
        for first, last, text in runs:
            count = int(last) - int(first) + 1
            label = f"({first}): " if count == 1 else f"({first}-{last}): {count} x "
            lines.append(label + indented(text))
        return lines


class _Dict(Module):
    """Items that are named: modules or parameters."""

    _kept = "_modules"

    def _items(self) -> MutableMapping[str, Any]:
        items: MutableMapping[str, Any] = self.__dict__[self._kept]
        return items

    def __getitem__(self, key: str) -> Any:
        return self._items()[key]

    def __setitem__(self, key: str, item: Any) -> None:
        self.add_module(key, item)

    def __delitem__(self, key: str) -> None:
        del self._items()[key]

    def __len__(self) -> int:
        return len(self._items())

    def __iter__(self) -> Iterator[str]:
        return iter(self._items())

    def __contains__(self, key: object) -> bool:
        return key in self._items()

    def keys(self) -> Iterable[str]:
        """The names."""
        return self._items().keys()

    def values(self) -> Iterable[Any]:
        """The items."""
        return self._items().values()

    def items(self) -> Iterable[tuple[str, Any]]:
        """The pairs of names and items."""
        return self._items().items()

    def update(self, modules: Any) -> None:
        """Adds the items of a dict, or of pairs of names and items."""
        for key, item in modules.items() if hasattr(modules, "items") else modules:
            self[key] = item

    def pop(self, key: str) -> Any:
        """Takes an item out and returns it."""
        return self._items().pop(key)

    def clear(self) -> None:
        """Takes all items out."""
        self._items().clear()


class ModuleDict(_Dict):
    """A dict of modules that are this module's own.

    >>> heads = mt.nn.ModuleDict({"digit": mt.nn.Linear(4, 10), "parity": mt.nn.Linear(4, 2)})
    >>> heads["digit"](mt.zeros(1, 4)).shape
    minitensor.Size([1, 10])
    """

    def __init__(self, modules: Mapping[str, Module] | None = None) -> None:
        super().__init__()
        self.update(modules or {})


def _parameter(item: Any) -> Any:
    """Tensors become parameters."""
    return Parameter(item) if isinstance(item, Core) and not isinstance(item, Parameter) else item


class _Attributes(MutableMapping[str, Any]):
    """The items of a list or dict of parameters: attributes of its own, whatever they are, in the order of coming."""

    def __init__(self, module: Module) -> None:
        self._module = module
        self._order: dict[str, None] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._order:
            raise KeyError(name)
        return getattr(self._module, name)

    def __setitem__(self, name: str, item: Any) -> None:
        setattr(self._module, name, _parameter(item))
        self._order[name] = None

    def __delitem__(self, name: str) -> None:
        del self._order[name]
        delattr(self._module, name)

    def __iter__(self) -> Iterator[str]:
        return iter(list(self._order))

    def popitem(self) -> tuple[str, Any]:
        """The last item, taken out."""
        if not self._order:
            raise KeyError("popitem: there is no item")
        name = next(reversed(self._order))
        return name, self.pop(name)

    def __len__(self) -> int:
        return len(self._order)

    def lines(self, called: Callable[[Any], str]) -> str:
        """What a printed list or dict says of its items; `called` is the name of a tensor's type."""
        found = []
        for name, item in self.items():
            what = f"Object of type: {type(item).__name__}"
            if isinstance(item, Core):
                kind = "Parameter" if isinstance(item, Parameter) else "Tensor"
                what = f"{kind} containing: [{called(item)} of size {'x'.join(map(str, shape_of(item)))}]"
            found.append(f"  ({name}): {what}")
        return "\n".join(found)


class ParameterList(_Sequence):
    """A list of parameters that are this module's own; tensors put into it become parameters.

    >>> factors = mt.nn.ParameterList([mt.ones(2), mt.zeros(3)])
    >>> factors[1]
    Parameter containing:
    tensor([0., 0., 0.], requires_grad=True)
    """

    _kept = "_kept_items"

    def __init__(self, values: Iterable[Any] | None = None) -> None:
        super().__init__()
        self.__dict__[self._kept] = _Attributes(self)
        self.extend(values or ())

    def _add(self, name: str, item: Any) -> None:
        self._items()[name] = item

    def extra_repr(self) -> str:
        """The items, a line each."""
        return self.__dict__[self._kept].lines(lambda p: str(p.dtype))  # type: ignore[no-any-return]


class ParameterDict(_Dict):
    """A dict of parameters that are this module's own; tensors put into it become parameters.

    >>> mt.nn.ParameterDict({"left": mt.ones(2)})["left"].requires_grad
    True
    """

    _kept = "_kept_items"

    def __init__(self, parameters: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.__dict__[self._kept] = _Attributes(self)
        self.update(parameters or {})

    def get(self, key: str, default: Any = None) -> Any:
        """The parameter of a name, or `default`."""
        return self._items().get(key, default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        """The parameter of a name, which is `default` from now on if there was none."""
        if key not in self:
            self[key] = default
        return self[key]

    def popitem(self) -> tuple[str, Any]:
        """Takes the last item out and returns its name and itself."""
        return self._items().popitem()

    def copy(self) -> ParameterDict:
        """A dict of the same parameters."""
        return ParameterDict(self._items())

    def fromkeys(self, keys: Iterable[str], default: Any = None) -> ParameterDict:
        """A dict with the same parameter under each of the names."""
        return ParameterDict(dict.fromkeys(keys, default))

    def __reversed__(self) -> Iterator[str]:
        return reversed(list(self._items()))

    def __or__(self, other: ParameterDict) -> ParameterDict:
        made = self.copy()
        made.update(other)
        return made

    def __ior__(self, other: ParameterDict) -> ParameterDict:
        self.update(other)
        return self

    def __setitem__(self, key: str, item: Any) -> None:
        self._items()[key] = item

    def extra_repr(self) -> str:
        """The items, a line each."""
        return self.__dict__[self._kept].lines(lambda p: p.type())  # type: ignore[no-any-return]
