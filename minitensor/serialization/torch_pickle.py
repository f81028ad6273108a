"""PyTorch's pickles: objects under the names that PyTorch gives them, and the elements of tensors kept apart.

A pickle is a program for a small stack machine, which may name any function of any module and have it called. Here two
machines read it. `SafeUnpickler` knows the opcodes that build data and a closed list of names, each of which is a
function of this file: nothing else is imported, called or written to. `TrustingUnpickler` is Python's own, for files
that one trusts, with our classes for PyTorch's.

A tensor is the call `_rebuild_tensor_v2(memory, offset, size, stride, requires_grad, hooks)`, where `memory`, a
"persistent id", is ("storage", type, key, device, number of elements): the container has the bytes under the key.
Tensors that are views of the same memory have the same key.

Source: Python's pickletools; the names are those in the files of PyTorch 2.13.
"""

from __future__ import annotations

import codecs
import contextlib
import importlib
import pickle
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import numpy as np

from .. import dtypes
from ..device import CPU, device, layout, memory_format
from ..generator import Generator as BareGenerator
from ..graph.tensors import Tensor as Core
from ..graph.tensors import alias, wrap
from ..random import Generator
from ..sparse import SparseTensor, sparse_coo_tensor
from ..tensor import Size, Tensor
from .files import CheckpointDtypeError, CheckpointError

_PythonPickler: Any = pickle._Pickler
_PythonUnpickler: Any = pickle._Unpickler

STORAGES = {  # PyTorch's names for memory of each dtype
    "BoolStorage": "bool",
    "ByteStorage": "uint8",
    "CharStorage": "int8",
    "ShortStorage": "int16",
    "IntStorage": "int32",
    "LongStorage": "int64",
    "HalfStorage": "float16",
    "FloatStorage": "float32",
    "DoubleStorage": "float64",
    "BFloat16Storage": "bfloat16",
    "ComplexFloatStorage": "complex64",
    "ComplexDoubleStorage": "complex128",
    "UntypedStorage": "uint8",
}
_STORED = tuple([d.name for d in (*dtypes.ALL, *dtypes.COMPLEX)])
_STORAGE_OF = {dtypes.of(d).numpy: name for name, d in STORAGES.items() if d in _STORED}
_STORAGE_OF[np.dtype("uint8")] = "ByteStorage"
_OURS = (*_STORED, "float", "double", "half", "long", "int", "short")


class Memory:
    """The bytes that tensors are views of, and PyTorch's name for their type; what `map_location` gets."""

    def __init__(self, raw: Any, kind: str, key: str = "", location: str = "cpu") -> None:
        self.raw, self.kind, self.key, self.location = raw, kind, key, location
        self._tensors: dict[str, Any] = {}

    device = CPU

    def cpu(self) -> Memory:
        """Itself."""
        return self

    def nbytes(self) -> int:
        """How many bytes."""
        return int(self.raw.nbytes)

    def elements(self, dtype: str | None = None) -> Any:
        """All elements as a tensor of one axis, which shares the memory; the same one at each call."""
        name = dtype or STORAGES[self.kind]
        if name not in self._tensors:
            if name not in _OURS:
                raise CheckpointDtypeError(f"it has a tensor of {name}, which minitensor has not")
            else:
                self._tensors[name] = wrap(self.raw.view(dtypes.of(name).numpy))
        return self._tensors[name]


# --- from a pickle ----------------------------------------------------------------------------------------------------


def _tensor(memory: Any, offset: int, size: Any, stride: Any, dtype: str | None = None) -> Any:
    """The view of a memory that begins at an element and has these sizes and strides, in elements."""
    if not isinstance(memory, Memory):
        raise CheckpointError("a tensor is made of something other than its memory")
    elements = memory.elements(dtype)
    flat = elements.array
    if len(size) != len(stride) or not all(type(n) is int and n >= 0 for n in (offset, *size, *stride)):
        raise CheckpointError(
            f"a tensor has the size {size!r:.60}, the stride {stride!r:.60}, the offset {offset!r:.20}"
        )
    if 0 not in size and offset + sum((n - 1) * s for n, s in zip(size, stride, strict=True)) >= flat.size:
        raise CheckpointError(f"a tensor of size {size!r:.60} reaches beyond its memory of {flat.size} elements")
    steps = [s * flat.itemsize for s in stride]
    if 0 in size:
        return wrap(np.empty(tuple(size), flat.dtype))
    return alias(elements, np.ndarray(tuple(size), flat.dtype, flat, offset * flat.itemsize, steps))


def _rebuild_tensor(memory: Any, offset: int, size: Any, stride: Any) -> Any:
    return _tensor(memory, offset, size, stride)


def _rebuild_tensor_v2(
    memory: Any, offset: int, size: Any, stride: Any, requires_grad: bool, hooks: Any, metadata: Any = None
) -> Any:
    return _with_gradient(_tensor(memory, offset, size, stride), requires_grad)


def _rebuild_tensor_v3(
    memory: Any, offset: int, size: Any, stride: Any, requires_grad: bool, hooks: Any, dtype: Any, metadata: Any = None
) -> Any:
    name = str(getattr(dtype, "name", dtype))
    return _with_gradient(_tensor(memory, offset, size, stride, name), requires_grad)


def _with_gradient(x: Any, requires_grad: bool) -> Any:
    if requires_grad:
        x.requires_grad = True
    return x


def _need_tensor(x: Any) -> Any:
    if not isinstance(x, Tensor):
        raise CheckpointError(f"a {type(x).__name__} stands where a tensor should")
    return x


def _rebuild_parameter(data: Any, requires_grad: bool, hooks: Any = None) -> Any:
    from ..nn import Parameter

    return Parameter(_need_tensor(data), requires_grad=bool(requires_grad))


def _rebuild_parameter_with_state(data: Any, requires_grad: bool, hooks: Any, state: Any) -> Any:
    return _with_attributes(_rebuild_parameter(data, requires_grad), state)


def _rebuild_from_type_v2(function: Any, kind: Any, args: Any, state: Any) -> Any:
    """A tensor with attributes; of a class of its own, where the reader trusts it."""
    if not any(function is f for f in _CALLED.values()):
        raise CheckpointError(f"a tensor is made by {function!r:.60}")
    made = _need_tensor(function(*args))
    if isinstance(kind, type) and kind is not Tensor:
        made = _as_class(kind, made)
    return _with_attributes(made, state)


def _as_class(kind: Any, data: Any) -> Any:
    if not issubclass(kind, Tensor):
        raise CheckpointError(f"{kind.__name__} is no class of tensors")
    if kind.__new__ is Tensor.__new__:
        made = Core.__new__(kind)
        Core.__init__(made, data.array)
    else:
        made = kind.__new__(kind, data)
    made.requires_grad = data.requires_grad
    return made


def _with_attributes(x: Any, state: Any) -> Any:
    if isinstance(state, dict):
        for name, value in state.items():
            if isinstance(name, str) and not hasattr(Tensor, name):
                x.__dict__[name] = value
    return x


def _rebuild_sparse_tensor(kind: Any, data: Any) -> Any:
    if getattr(kind, "name", None) != "sparse_coo":
        raise CheckpointError(f"a sparse tensor of layout {kind}; minitensor has sparse_coo only")
    indices, values, size, *rest = data
    made = sparse_coo_tensor(_need_tensor(indices), _need_tensor(values), size, check_invariants=True)
    return made._coalesced_(bool(rest and rest[0]))


def _get_layout(name: str) -> Any:
    return _NAMED.get(name, name)


def _size(sizes: Any = ()) -> Any:
    return Size(sizes)


def _parameter(data: Any = None, requires_grad: bool = True) -> Any:
    return _rebuild_parameter(data, requires_grad)


def _generator(device: Any = None) -> Any:
    return Generator()


def _encode(text: str, encoding: str = "utf-8") -> Any:
    """How bytes are written by protocols before the third."""
    if codecs.lookup(encoding).name not in ("iso8859-1", "utf-8", "ascii"):
        raise CheckpointError(f"bytes in the encoding {encoding!r:.40}")
    return text.encode(encoding)


def _bytearray(data: Any = b"", encoding: str = "latin-1") -> Any:
    return bytearray(data if isinstance(data, bytes) else _encode(data, encoding))


_NAMED: dict[str, Any] = {}  # values that are read as they are
for _name in _OURS:
    _NAMED[f"torch.{_name}"] = dtypes.of(
        {"float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32"}.get(
            _name, "int16" if _name == "short" else _name
        )
    )
for _foreign in dtypes.UNSTORED:
    _NAMED[f"torch.{_foreign.name}"] = _foreign
for _name in STORAGES:
    _NAMED[f"torch.{_name}"] = _NAMED[f"torch.storage.{_name}"] = _name


def _named_values() -> None:
    from .. import device as place

    for thing in vars(place).values():
        if isinstance(thing, (layout, memory_format)):
            _NAMED[f"torch.{thing.name}"] = thing


_named_values()
_CALLED: dict[str, Callable[..., Any]] = {
    "collections.OrderedDict": OrderedDict,
    "collections.Counter": Counter,
    "builtins.set": set,
    "builtins.frozenset": frozenset,
    "builtins.bytearray": _bytearray,
    "builtins.complex": complex,
    "builtins.slice": slice,
    "_codecs.encode": _encode,
    "torch.Size": _size,
    "torch.device": device,
    "torch._C.Generator": _generator,
    "torch.nn.parameter.Parameter": _parameter,
    "torch.serialization._get_layout": _get_layout,
    "torch._tensor._rebuild_from_type_v2": _rebuild_from_type_v2,
}
for _function in (
    _rebuild_tensor,
    _rebuild_tensor_v2,
    _rebuild_tensor_v3,
    _rebuild_parameter,
    _rebuild_parameter_with_state,
    _rebuild_sparse_tensor,
):
    _CALLED[f"torch._utils.{_function.__name__}"] = _function
_TYPES: dict[str, Any] = {"torch.Tensor": Tensor, "torch._tensor.Tensor": Tensor}

_allowed: dict[str, Any] = {}  # what the user has added


def _path(module: str, name: str) -> str:
    return f"{'builtins' if module == '__builtin__' else module}.{name}"


def _entry(thing: Any) -> tuple[str, Any]:
    """The name under which a pickle calls a function or class, or (that, name) as the user gave it."""
    if isinstance(thing, tuple):
        thing, name = thing
        return name, thing
    return f"{thing.__module__}.{thing.__qualname__}", thing


def add_safe_globals(safe_globals: list[Any]) -> None:
    """Has `load(weights_only=True)` trust these functions and classes (or pairs of one and its name in the file).

    >>> class Note:
    ...     pass
    >>> mt.serialization.add_safe_globals([Note])
    >>> mt.serialization.get_safe_globals() == [Note]
    True
    >>> mt.serialization.clear_safe_globals()
    """
    _allowed.update(map(_entry, safe_globals))


def get_safe_globals() -> list[Any]:
    """What `add_safe_globals` has added."""
    return list(_allowed.values())


def clear_safe_globals() -> None:
    """Takes all of it away."""
    _allowed.clear()


@contextlib.contextmanager
def safe_globals(safe_globals: list[Any]) -> Iterator[None]:
    """`add_safe_globals` for the length of a block.

    >>> class Note:
    ...     pass
    >>> with mt.serialization.safe_globals([Note]):
    ...     mt.serialization.get_safe_globals() == [Note]
    True
    >>> mt.serialization.get_safe_globals()
    []
    """
    before = dict(_allowed)
    add_safe_globals(safe_globals)
    try:
        yield
    finally:
        _allowed.clear()
        _allowed.update(before)


def refused(path: str) -> str:
    """What the reader says of a name that is not in its list."""
    return (
        f"its pickle names {path}, which is not in the list of names that are data. If you trust the file, "
        f"load it with weights_only=False (which may run any code), or allow the name by "
        f"serialization.add_safe_globals([{path.rpartition('.')[2]}])"
    )


_BUILDS_DATA = frozenset(
    b"\x80\x95."  # protocol, frame, end
    b"(021apqrhjgu"  # the stack and the memory of what was read; append, put, get, setitems
    b"NIJKMLGF\x88\x89\x8a\x8b"  # None, numbers
    b"XV\x8c\x8dUST\x8eBC"  # texts and bytes; a bytearray would be made as long as it says it is
    b"])}td\x85\x86\x87els\x8f\x90\x91\x94"  # lists, tuples, dicts, sets, memoize
    b"c\x93RbQ\x81"  # a name of the list, a call, a state, a memory, a new object
)


class SafeUnpickler(_PythonUnpickler):  # type: ignore[misc]
    """Reads a pickle that is data; `memory(pid)` gives what stands for a persistent id."""

    dispatch: ClassVar[dict[int, Any]] = {
        code: read for code, read in _PythonUnpickler.dispatch.items() if code in _BUILDS_DATA
    }

    def __init__(self, file: Any, memory: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(file, **options)
        self.persistent_load = memory

    def find_class(self, module: str, name: str) -> Any:
        """What a name of the list stands for."""
        path = _path(module, name)
        for table in (_CALLED, _TYPES, _NAMED, _allowed):
            if path in table:
                return table[path]
        raise CheckpointError(refused(path))

    def load_reduce(self) -> None:
        """A call: only of what the list says is called."""
        function = self.stack[-2] if len(self.stack) > 1 else None
        if not any(function is f for table in (_CALLED, _allowed) for f in table.values()):
            raise CheckpointError(f"its pickle calls {function!r:.60}")
        super().load_reduce()

    dispatch[pickle.REDUCE[0]] = load_reduce

    def load_newobj(self) -> None:
        """An object without its constructor: of the user's classes only, and the parameters of old files."""
        args = self.stack.pop()
        cls = self.stack.pop()
        if cls is _parameter or cls is OrderedDict:
            self.append(cls(*args))
        elif any(cls is f for f in _allowed.values()):
            self.append(cls.__new__(cls, *args))
        else:
            raise CheckpointError(f"its pickle makes an object of {cls!r:.60}")

    dispatch[pickle.NEWOBJ[0]] = load_newobj

    def load_build(self) -> None:
        """The state of an object: attributes of an ordered dict, a generator's state, what the user's classes say."""
        state, thing = self.stack[-1], self.stack[-2]
        if type(thing) is OrderedDict:
            if not isinstance(state, dict) or any(hasattr(OrderedDict, str(name)) for name in state):
                raise CheckpointError("an ordered dict has a state that is none")
        elif not isinstance(thing, BareGenerator) and not any(type(thing) is f for f in _allowed.values()):
            raise CheckpointError(f"its pickle sets the state of a {type(thing).__name__}")
        super().load_build()

    dispatch[pickle.BUILD[0]] = load_build

    def load_append(self) -> None:
        """To a list."""
        self._need(self.stack[-2], list)
        super().load_append()

    dispatch[pickle.APPEND[0]] = load_append

    def load_appends(self) -> None:
        """To a list."""
        self._need(self.metastack[-1][-1], list)
        super().load_appends()

    dispatch[pickle.APPENDS[0]] = load_appends

    def load_setitem(self) -> None:
        """Of a dict."""
        self._need(self.stack[-3], dict)
        super().load_setitem()

    dispatch[pickle.SETITEM[0]] = load_setitem

    def load_setitems(self) -> None:
        """Of a dict."""
        self._need(self.metastack[-1][-1], dict)
        super().load_setitems()

    dispatch[pickle.SETITEMS[0]] = load_setitems

    def _need(self, thing: Any, kind: type) -> None:
        if not isinstance(thing, kind):
            raise CheckpointError(f"its pickle puts items into a {type(thing).__name__}")


class TrustingUnpickler(pickle.Unpickler):
    """Python's reader of pickles, with our classes and functions for PyTorch's."""

    def __init__(self, file: Any, memory: Callable[[Any], Any], **options: Any) -> None:
        super().__init__(file, **options)
        self._memory = memory

    def persistent_load(self, pid: Any) -> Any:
        """The memory of a tensor."""
        return self._memory(pid)

    def find_class(self, module: str, name: str) -> Any:
        """Ours for PyTorch's names, anything else from where it says."""
        path = _path(module, name)
        for table in (_CALLED, _TYPES, _NAMED):
            if path in table:
                return table[path]
        if module.partition(".")[0] == "torch":
            found = _ours(module, name)
            if found is not None:
                return found
        return super().find_class(module, name)


def _ours(module: str, name: str) -> Any:
    """Our class or function for one of PyTorch's: in the module of the same name, or in the package above it."""
    here = "minitensor" + module.removeprefix("torch")
    while here:
        with contextlib.suppress(ImportError):
            found = importlib.import_module(here)
            for part in name.split("."):
                found = getattr(found, part, None)  # type: ignore[assignment]
            if found is not None:
                return found
        here = here.rpartition(".")[0]
    return None


# --- into a pickle ----------------------------------------------------------------------------------------------------


class _Global:
    """A name of PyTorch's, to be written as such."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self, *args: Any) -> Any:
        raise TypeError(f"{self.module}.{self.name} is only a name")


_WRITTEN = {path: _Global(*path.rsplit(".", 1)) for path in (*_CALLED, "torch.Tensor")}
_KINDS = {name: _Global("torch", name) for name in STORAGES}


def memory_of(array: Any) -> tuple[Any, int, tuple[int, ...]]:
    """(the memory that an array is a part of, as a row-major array; its first element there; its strides).

    The memory is a copy of the array alone where it cannot be said so: for negative strides, say.
    """
    owner = array
    while True:
        base = owner.base.obj if isinstance(owner.base, memoryview) else owner.base
        if not isinstance(base, np.ndarray):
            break
        owner = base
    begin, rest = divmod(int(array.ctypes.data - owner.ctypes.data), array.itemsize)
    strides = [divmod(s, array.itemsize) for s in array.strides]
    whole = owner.flags.c_contiguous or owner.flags.f_contiguous
    fits = whole and not rest and owner.nbytes % array.itemsize == 0 and owner.dtype.kind != "O"
    if array.size and fits and begin >= 0 and all(s >= 0 and not rest for s, rest in strides):
        reach = begin + sum((n - 1) * s for n, (s, _) in zip(array.shape, strides, strict=True))
        memory = owner.reshape(-1, order="A").view(array.dtype)
        if reach < memory.size:
            return memory, begin, tuple([s for s, _ in strides])
    memory = np.ascontiguousarray(array).reshape(-1)
    steps = [1]
    for n in array.shape[:0:-1]:
        steps.insert(0, steps[0] * max(n, 1))
    return memory, 0, tuple(steps[: array.ndim])


class Pickler(_PythonPickler):  # type: ignore[misc]
    """Writes a pickle with PyTorch's names; `memories` then has the tensors' memory in the order of the keys."""

    def __init__(self, file: Any, protocol: int, legacy: bool = False) -> None:
        super().__init__(file, protocol)
        self.memories: list[Any] = []
        self._keys: dict[Any, Memory] = {}
        self._legacy = legacy

    def persistent_id(self, obj: Any) -> Any:
        """What stands for the memory of a tensor."""
        if type(obj) is not Memory:
            return None
        pid = ("storage", _KINDS[obj.kind], obj.key, "cpu", obj.raw.size)
        return (*pid, None) if self._legacy else pid

    def _memory(self, raw: Any) -> Memory:
        where = (raw.ctypes.data, raw.nbytes) if raw.size else id(raw)
        known = self._keys.get(where)
        if known is None:
            known = Memory(raw, _STORAGE_OF[raw.dtype], str(len(self.memories)))
            self._keys[where] = known
            self.memories.append(raw)
        elif known.raw.dtype != raw.dtype:  # the same bytes as elements of another dtype
            known = Memory(raw, _STORAGE_OF[raw.dtype], known.key)
        return known

    def save_global(self, obj: Any, name: Any = None) -> None:
        """A function or class by its name."""
        if isinstance(obj, _Global):
            module, name = obj.module, obj.name
        elif isinstance(obj, (dtypes.dtype, layout, memory_format)):
            module, name = "torch", obj.name
        elif obj is Tensor:
            module, name = "torch", "Tensor"
        else:
            super().save_global(obj, name)
            return
        module = "__builtin__" if module == "builtins" and self.proto < 3 else module
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL + f"{module}\n{name}\n".encode())
        self.memoize(obj)

    def reducer_override(self, obj: Any) -> Any:
        """How tensors and what belongs to them are written."""
        if isinstance(obj, (_Global, dtypes.dtype, layout, memory_format)) or obj is Tensor:
            return "a name"
        if isinstance(obj, Size):
            return _WRITTEN["torch.Size"], (tuple(obj),)
        if isinstance(obj, device):
            return _WRITTEN["torch.device"], ((obj.type,) if obj.index is None else (obj.type, obj.index))
        if isinstance(obj, BareGenerator):
            state = wrap(np.asarray(obj.get_state()))
            return _WRITTEN["torch._C.Generator"], (CPU,), (obj.initial_seed(), None, state)
        return self._tensor(obj) if isinstance(obj, Tensor) else NotImplemented

    def _tensor(self, x: Any) -> Any:
        from ..nn import Parameter
        from ..nn.parameter import Uninitialized

        if isinstance(x, Uninitialized):
            return NotImplemented
        attributes = x._attributes()
        hooks: Any = OrderedDict()
        if isinstance(x, SparseTensor):
            indices, values = x._indices(), x._values().detach()
            data = (indices, values, x.shape, x.is_coalesced())
            name = _WRITTEN["torch.serialization._get_layout"]
            return _WRITTEN["torch._utils._rebuild_sparse_tensor"], (_Call(name, "torch.sparse_coo"), data)
        if type(x) is Parameter:
            args: tuple[Any, ...] = (x.detach(), bool(x.requires_grad), hooks)
            if attributes:
                return _WRITTEN["torch._utils._rebuild_parameter_with_state"], (*args, attributes)
            return _WRITTEN["torch._utils._rebuild_parameter"], args
        memory, offset, strides = memory_of(x.array)
        args = (self._memory(memory), offset, x.array.shape, strides, bool(x.requires_grad), hooks)
        name = _WRITTEN["torch._utils._rebuild_tensor_v2"]
        if type(x) is Tensor and not attributes:
            return name, args
        return _WRITTEN["torch._tensor._rebuild_from_type_v2"], (name, type(x), args, attributes)


class _Call:
    """A call that stands as an argument of another."""

    def __init__(self, function: Any, *args: Any) -> None:
        self._reduced = function, args

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._reduced
