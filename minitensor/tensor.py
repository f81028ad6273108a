"""The Tensor that users see: the graph's core with methods and operators, each the function of the same name."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import dtypes, formatting, naming, sharing
from .device import CPU, META, channels_last, check, get_default, is_meta, preserve_format, strided, without_memory
from .device import device as Device
from .device import layout as Layout
from .errors import DeviceError, DtypeError, GraphError, ShapeError
from .graph import algebra, nodes, tensors, views
from .graph.nodes import RemovableHandle
from .graph.tensors import wrap
from .graph.views import assign, check_writable
from .methods import Methods, in_place, need_tensor
from .ops import (
    arithmetic,
    comparison,
    gamma,
    hook,
    indexing,
    join,
    rearrange,
    reduce,
    view_write,
)
from .ops import complex as complex_
from .ops import shape as shapes
from .ops.common import array_of, axis, cast_array, finish, promote, promote_float, shape_of, small, to_dtype
from .storage import TypedStorage, UntypedStorage, owner


@functools.cache
def _creation() -> Any:
    """The module that makes tensors, which itself needs their class."""
    from . import creation

    return creation


class Size(tuple[int, ...]):
    """The sizes of a tensor: a tuple that can count."""

    def numel(self) -> int:
        """The product of the sizes."""
        return int(np.prod(self, dtype=np.int64))

    def __repr__(self) -> str:
        return f"{naming.full('Size')}({list(self)})"

    def __getitem__(self, index: Any) -> Any:
        part = tuple.__getitem__(self, index)
        return Size(part) if type(part) is tuple else part

    def __add__(self, other: Any) -> Any:
        return Size(super().__add__(other))

    def __radd__(self, other: Any) -> Any:
        return Size(tuple(other) + tuple(self))

    def __mul__(self, times: Any) -> Any:
        return Size(super().__mul__(times))

    __rmul__ = __mul__

    def __reduce__(self) -> Any:
        return Size, (tuple(self),)


def writing(name: str, function: Callable[..., Any] | None) -> Callable[..., Any]:
    """The function `f_(x, ...)` that writes into x: the method of that name, or made of `function` as those are."""
    method: Callable[..., Any] = getattr(Tensor, name, None) or in_place(function)  # type: ignore[arg-type]

    def written(input: Any, *args: Any, **kwargs: Any) -> Any:
        need_tensor(name, input)
        return method(input, *args, **kwargs)

    written.__name__ = written.__qualname__ = name
    written.__doc__ = method.__doc__
    return written


_backward: Any = None  # autograd.backward, which is built on this module


def set_backward(function: Any) -> None:
    """Hands over what `Tensor.backward` calls."""
    global _backward
    _backward = function


class TensorType(type):
    """What `Tensor(...)` does: PyTorch's old constructor, from sizes or data, always of the default dtype.

    It stands here and not in `Tensor.__new__`, so that the graph makes its tensors without calling Python.
    """

    def __call__(cls, *data: Any, dtype: Any = None, device: Any = None, **options: Any) -> Any:
        """A tensor of the class."""
        from . import creation

        own: Any = cls.__new__  # of a class with a constructor of its own, as Parameter
        if own is not Tensor.__new__:
            given = {"dtype": dtype, "device": device}
            options.update({name: value for name, value in given.items() if value is not None})
            return super().__call__(*data, **options)
        check(device)
        if len(data) == 1 and not isinstance(data[0], int):
            made = creation.tensor(data[0], dtype=dtype or dtypes.get_default_dtype())
        else:
            made = creation.zeros(*(data or (0,)), dtype=dtype)
        if cls is Tensor:
            return made
        out: Any = tensors.Tensor.__new__(cls)  # type: ignore[arg-type]
        tensors.Tensor.__init__(out, made.array)
        out.__init__(*data, **options)
        return out


class Tensor(Methods, metaclass=TensorType):
    """An array of numbers in a graph of the operators that made it. Made by `mt.tensor`, `mt.zeros` and others.

    >>> x = mt.tensor([1.0, 2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([2., 4.])
    """

    def __init__(self, *data: Any, **options: Any) -> None:
        """All is done by then: see TensorType."""

    # --- what it is ---------------------------------------------------------------------------------------------------

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.array.shape[axis("size", dim, self.array.ndim)]

    ndimension = tensors.Tensor.dim
    nelement = tensors.Tensor.numel

    @property
    def device(self) -> Device:
        """The CPU, or "meta" for a tensor without elements."""
        return META if self.array.base is not None and is_meta(self.array) else CPU

    @property
    def is_meta(self) -> bool:
        """Whether it has no elements, only a shape and a dtype."""
        return is_meta(self.array)

    @property
    def itemsize(self) -> int:
        """Bytes of one element."""
        return int(self.array.itemsize)

    def element_size(self) -> Any:
        """Bytes of one element."""
        return self.itemsize

    @property
    def nbytes(self) -> int:
        """Bytes of all elements."""
        return int(self.array.nbytes)

    def stride(self, dim: int | None = None) -> Any:
        """The distance between neighbours along each axis, in elements."""
        strides = tuple([s // self.array.itemsize for s in self.array.strides])
        return strides if dim is None else strides[dim]

    def is_contiguous(self, memory_format: Any = None) -> bool:
        """Whether the elements lie in row-major order in memory, or images' with the channels last."""
        if memory_format is not channels_last:
            return bool(self.array.flags.c_contiguous)
        return self.array.ndim == 4 and bool(self.array.transpose(0, 2, 3, 1).flags.c_contiguous)

    def storage_offset(self) -> int:
        """The place of the first element in the memory that this tensor is a view of, in elements."""
        return int(self.array.ctypes.data - owner(self.array).ctypes.data) // self.itemsize

    def storage(self) -> TypedStorage:
        """The elements of the memory that this tensor is a view of, in one row; writes into it are the tensor's."""
        return TypedStorage(self.array)

    def untyped_storage(self) -> UntypedStorage:
        """The same as bytes."""
        return UntypedStorage(self.array)

    is_cpu = True
    is_cuda = is_mps = is_sparse = is_quantized = False
    is_nested = is_sparse_csr = is_mkldnn = is_xla = is_xpu = is_ipu = is_mtia = is_maia = is_vulkan = False

    def is_pinned(self, device: Any = None) -> bool:
        """False: there is no other memory to copy to."""
        return False

    def data_ptr(self) -> int:
        """The address of the first element."""
        return int(self.array.ctypes.data)

    def is_floating_point(self) -> bool:
        """Whether the dtype is floating."""
        return bool(self.array.dtype.kind == "f")

    def is_complex(self) -> bool:
        """Whether the dtype is complex."""
        return bool(self.array.dtype.kind == "c")

    def is_conj(self) -> bool:
        """False: conjugates are computed at once."""
        return False

    is_neg = is_conj

    def is_shared(self) -> bool:
        """Whether other processes may have the memory: see `share_memory_`."""
        return sharing.is_shared(self.array)

    def share_memory_(self) -> Tensor:
        """Moves the elements into memory that other processes see, when the tensor is sent to them; returns itself.

        >>> x = mt.zeros(3).share_memory_()
        >>> x.is_shared()
        True
        """
        if not self.is_shared():
            self.replace(sharing.shared(self.array))
        return self

    def is_signed(self) -> bool:
        """Whether the dtype has negative numbers."""
        return bool(self.dtype.is_signed)

    def is_nonzero(self) -> bool:
        """Whether the one element is not 0."""
        return bool(self)

    def is_inference(self) -> bool:
        """Whether the tensor was made in inference mode."""
        return bool(self.inferred)

    @property
    def _base(self) -> Any:
        return self.base

    def _is_view(self) -> bool:
        return self.base is not None

    def is_same_size(self, other: Tensor) -> bool:
        """Whether `other` has the same shape."""
        return bool(self.array.shape == shape_of(other))

    def is_set_to(self, tensor: Tensor) -> bool:
        """Whether `tensor` has the same elements in the same memory."""
        need_tensor("is_set_to", tensor)
        mine, theirs = [(x.data_ptr(), x.shape, x.stride()) for x in (self, tensor)]
        return bool(mine == theirs)

    @property
    def layout(self) -> Layout:
        """Always `strided`."""
        return strided

    @property
    def real(self) -> Tensor:
        """The real part, a view; of a real tensor itself."""
        out: Tensor = complex_.real(self)
        return out

    @property
    def imag(self) -> Tensor:
        """The imaginary part, a view."""
        out: Tensor = complex_.imag(self)
        return out

    def conj(self) -> Tensor:
        """The complex conjugate; a real tensor itself."""
        out: Tensor = complex_.conj(self)
        return out

    conj_physical = conj

    def resolve_conj(self) -> Tensor:
        """Itself: conjugates are computed at once."""
        return self

    resolve_neg = resolve_conj

    def cfloat(self) -> Any:
        """In complex64."""
        return to_dtype(self, dtypes.complex64)

    def cdouble(self) -> Any:
        """In complex128."""
        return to_dtype(self, dtypes.complex128)

    def stft(self, *args: Any, **options: Any) -> Any:
        """`mt.stft` of this signal."""
        from .ops import fft

        return fft.stft(self, *args, **options)

    def istft(self, *args: Any, **options: Any) -> Any:
        """`mt.istft` of these spectra."""
        from .ops import fft

        return fft.istft(self, *args, **options)

    def get_device(self) -> Any:
        """-1: the CPU has no number."""
        return -1

    @property
    def output_nr(self) -> Any:
        """Which output of its node this tensor is."""
        return self.index

    def __len__(self) -> int:
        if self.array.ndim == 0:
            raise TypeError("len() of a tensor without axes")
        return len(self.array)

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return formatting.tensor_str(self)

    def __format__(self, spec: str) -> str:
        if self.array.ndim == 0 or (spec and self.array.size == 1):
            return format(self.item(), spec)
        if spec:
            raise TypeError(f"only a tensor with one element takes the format {spec!r}, not one of {self.array.shape}")
        return str(self)

    __hash__ = tensors.Tensor.__hash__  # of the object itself, though == compares the elements

    # --- the graph ----------------------------------------------------------------------------------------------------

    @property
    def grad(self) -> Any:
        """The gradient that backward has accumulated here, or None."""
        return self.leaf_grad

    @grad.setter
    def grad(self, value: Any) -> None:
        if value is not None:
            if not isinstance(value, Tensor):
                raise TypeError(f"grad must be a Tensor or None, not {type(value).__name__}")
            if value is self:
                raise GraphError("grad: a tensor cannot be its own gradient")
            if tuple(value.shape) != self.array.shape or value.dtype is not self.dtype:
                raise ShapeError(
                    f"grad: {tuple(value.shape)} {value.dtype.name} is not the gradient of "
                    f"{tuple(self.shape)} {self.dtype.name}"
                )
        self.leaf_grad = value

    @property
    def grad_fn(self) -> Any:
        """The node of the operator that made this tensor; None for a leaf."""
        return self.node

    @property
    def _version(self) -> int:
        if self.inferred:
            raise GraphError("_version: writes into a tensor made in inference_mode are not counted")
        return int(self.version.value)

    @property
    def data(self) -> Tensor:
        """The same memory, outside the graph and not watched by it."""
        out: Tensor = wrap(self.array)
        return out

    @data.setter
    def data(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise TypeError(f"data must be a Tensor, not {type(value).__name__}")
        self.replace(value.array)

    def backward(
        self,
        gradient: Any = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Adds d(self)/d(leaf), times `gradient`, to the `grad` of every leaf, or of `inputs` only.

        A tensor of several elements needs `gradient`, of its shape. The saved values are freed unless `retain_graph`
        (default: `create_graph`); with `create_graph` the gradients can themselves be differentiated.
        Raises GraphError for a tensor outside the graph, and for a graph that was freed or overwritten.

        >>> x = mt.tensor(3.0, requires_grad=True)
        >>> (x * x).backward()
        >>> x.grad
        tensor(6.)
        """
        _backward(self, gradient, retain_graph, create_graph, inputs)

    def requires_grad_(self, requires_grad: bool = True) -> Tensor:
        """Switches on (or off) whether operators on this leaf are recorded."""
        self.requires_grad = requires_grad
        return self

    def detach_(self) -> Tensor:
        """Takes this tensor out of the graph. A view cannot leave alone: its base would still follow it."""
        if self.base is not None:
            raise GraphError("detach_: a view cannot be detached in place; use detach()")
        self.unlink()
        return self

    def retain_grad(self) -> None:
        """Has backward keep the gradient of this tensor in `grad` though it is no leaf."""
        if not self.requires_grad:
            raise GraphError("retain_grad: the tensor does not require gradients")
        if self.node is None or self.retains_grad:
            return

        def keep(g: Tensor) -> None:
            have = self.leaf_grad
            self.leaf_grad = g.clone() if have is None else have + g

        keep.retains = self  # type: ignore[attr-defined]
        nodes.add_hook(self, keep)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called."""
        node = self.node
        hooks = [] if node is None or node.hooks is None else node.hooks.get(self.index, [])
        return any(getattr(hook, "retains", None) is self for hook in hooks)

    def register_hook(self, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
        """Has `hook` called with the gradient of this tensor whenever it is computed; what it returns replaces it.

        >>> x = mt.ones(2, requires_grad=True)
        >>> handle = x.register_hook(lambda g: g * 10)
        >>> x.sum().backward()
        >>> x.grad
        tensor([10., 10.])
        """
        if not self.requires_grad:
            raise GraphError("register_hook: the tensor does not require gradients")
        return RemovableHandle(nodes.add_hook(self, hook), hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[[Tensor], None]) -> RemovableHandle:
        """Has `hook` called with this leaf whenever backward has added to its `grad`.

        So each parameter can be stepped, and its gradient let go, while the walk goes on.

        >>> x = mt.ones(2, requires_grad=True)
        >>> handle = x.register_post_accumulate_grad_hook(lambda leaf: print(leaf.grad))
        >>> (x * 3).sum().backward()
        tensor([3., 3.])
        """
        name = "register_post_accumulate_grad_hook"
        if not self.requires_grad:
            raise GraphError(f"{name}: the tensor does not require gradients")
        if self.node is not None:
            raise GraphError(f"{name}: only a leaf accumulates gradients; register_hook is for other tensors")
        if self.after_hooks is None:
            self.after_hooks = []
        self.after_hooks.append(hook)
        return RemovableHandle(self.after_hooks, hook)

    # --- out of the library -------------------------------------------------------------------------------------------

    def numpy(self, *, force: bool = False) -> Any:
        """The ndarray that holds the elements: the same memory.

        Raises GraphError for a tensor that requires gradients, unless `force`.
        """
        if self.is_meta:
            raise DeviceError("numpy(): a meta tensor has no data")
        if self.requires_grad and not force:
            raise GraphError("numpy(): the tensor requires gradients; use detach().numpy()")
        if self.array.dtype == dtypes.bfloat16.numpy:
            raise DtypeError("numpy(): NumPy has no bfloat16; use float().numpy()")
        return self.array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        array = self.numpy()
        if dtype is None or array.dtype == np.dtype(dtype):
            return array.copy() if copy else array
        if copy is False:
            raise ValueError(f"a {array.dtype} tensor cannot be seen as {dtype} without a copy")
        return array.astype(dtype)

    __array_priority__ = 1000

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: Any = False) -> Any:
        """What a NumPy function of this tensor returns: a tensor, where minitensor has the dtype."""
        array = np.asarray(array)
        return wrap(array) if array.dtype in dtypes.NUMPY else array

    def __dlpack__(
        self, *, stream: Any = None, max_version: Any = None, dl_device: Any = None, copy: Any = None
    ) -> Any:
        """A capsule with this tensor's memory, for another library: what `from_dlpack` there asks for."""
        if self.requires_grad:
            raise BufferError("__dlpack__: the tensor requires gradients, which do not travel; use detach()")
        if dl_device is not None and tuple(dl_device) != (1, 0):
            raise BufferError(f"__dlpack__: device {dl_device} is not the CPU, (1, 0)")
        array = self.array.copy() if copy else self.array
        if max_version is not None and max_version >= (1, 0) and VERSIONED:
            return array.__dlpack__(stream=stream, max_version=max_version)
        return array.__dlpack__(stream=stream)

    def __dlpack_device__(self) -> Any:
        return 1, 0  # the CPU

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __bool__(self) -> bool:
        if self.array.size != 1:
            raise ShapeError(f"the truth of a tensor of shape {tuple(self.shape)} is ambiguous; use .any() or .all()")
        return bool(self.item())

    def __index__(self) -> int:
        if self.array.size != 1 or self.array.dtype.kind not in "iub":
            raise TypeError("only integer tensors with one element can be used as an index")
        return int(self.item())

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _rebuild, (type(self), self.array, bool(self.requires_grad), self._attributes())

    def _attributes(self) -> dict[str, Any]:
        """What was set on this tensor from outside; uncompiled, the core's own fields lie beside it."""
        return {name: value for name, value in self.__dict__.items() if name not in _CORE}

    def __deepcopy__(self, memo: Any) -> Any:
        if not isinstance(memo, dict):
            raise TypeError(f"__deepcopy__: memo must be a dict, not {type(memo).__name__}")
        if self.node is not None:
            raise GraphError("only leaf tensors can be deep-copied; use clone() or detach() first")
        if id(self) not in memo:
            made = _rebuild(type(self), _deep(self.array, memo), self.requires_grad, {})
            memo[id(self)] = made
            made.__dict__.update(copy.deepcopy(self._attributes(), memo))
            if self.leaf_grad is not None:
                made.leaf_grad = copy.deepcopy(self.leaf_grad, memo)
        return memo[id(self)]

    # --- dtypes and devices -------------------------------------------------------------------------------------------

    def to(
        self,
        *args: Any,
        dtype: Any = None,
        device: Any = None,
        non_blocking: bool = False,
        copy: bool = False,
        memory_format: Any = None,
    ) -> Tensor:
        """This tensor in another dtype, or in that of another tensor; itself if it has it already, unless `copy`.

        On "meta" it has no elements. Others raise. With `memory_format=mt.channels_last` images lie so in memory.
        """
        if memory_format is not None:
            moved = self.to(*args, dtype=dtype, device=device, copy=copy)
            return moved if memory_format is preserve_format else moved.contiguous(memory_format=memory_format)
        if len(args) == 1 and dtype is device is None:  # as nearly always
            if type(args[0]) is dtypes.dtype and not copy:
                return to_dtype(self, args[0])  # type: ignore[no-any-return]
            if isinstance(args[0], (str, Device)):
                device, args = args[0], ()
        flags: list[Any] = []  # non_blocking, copy
        for value in args:
            if isinstance(value, (str, Device)):
                device = value
            elif isinstance(value, Tensor):
                dtype = value.dtype
            elif isinstance(value, (dtypes.dtype, np.dtype, type)):
                dtype = value
            elif isinstance(value, bool):
                flags.append(value)
            elif value is not None:
                raise TypeError(f"to: expected a dtype, a device or a tensor, got {type(value).__name__}")
        copy = copy or (len(flags) == 2 and flags[1])
        before = is_meta(self.array)
        meta = before if device is None else check(device)
        if meta != before:
            if not meta:
                raise DeviceError("to: cannot copy out of a meta tensor; it has no data; see Module.to_empty")
            d = self.array.dtype if dtype is None else dtypes.of(dtype).numpy
            there: Tensor = wrap(without_memory(self.array.shape, d))
            return there.requires_grad_(self.requires_grad)
        out = self if dtype is None else to_dtype(self, dtypes.of(dtype))
        result: Tensor = out.clone() if copy and out is self else out
        return result

    def type(self, dtype: Any = None) -> Any:
        """The name of PyTorch's type for the dtype, as "minitensor.FloatTensor"; or this tensor with another dtype.

        A dtype may be given by such a name too, or by the constructor itself, `mt.FloatTensor`.
        """
        if dtype is None:
            return naming.full(self.dtype.type_name)
        if isinstance(dtype, str) and dtype.endswith("Tensor"):
            name = dtype.rpartition(".")[2]
            dtype = next((d for d in dtypes.ALL if d.type_name == name), dtype)
        return self.to(getattr(dtype, "dtype", dtype))

    def type_as(self, other: Tensor) -> Tensor:
        """This tensor in the dtype of `other`."""
        return self.to(dtypes.of(array_of(other).dtype))

    def float(self) -> Any:
        """In float32."""
        return to_dtype(self, dtypes.float32)

    def double(self) -> Any:
        """In float64."""
        return to_dtype(self, dtypes.float64)

    def half(self) -> Any:
        """In float16."""
        return to_dtype(self, dtypes.float16)

    def bfloat16(self) -> Any:
        """In bfloat16."""
        return to_dtype(self, dtypes.bfloat16)

    def long(self) -> Any:
        """In int64."""
        return to_dtype(self, dtypes.int64)

    def int(self) -> Any:
        """In int32."""
        return to_dtype(self, dtypes.int32)

    def bool(self) -> Any:
        """In bool: whether each element differs from 0."""
        return to_dtype(self, dtypes.bool_)

    def byte(self) -> Any:
        """In uint8."""
        return to_dtype(self, dtypes.uint8)

    def char(self) -> Any:
        """In int8."""
        return to_dtype(self, dtypes.int8)

    def short(self) -> Any:
        """In int16."""
        return to_dtype(self, dtypes.int16)

    def cpu(self) -> Tensor:
        """Itself: every tensor is on the CPU."""
        return self

    def cuda(self, device: Any = "cuda", non_blocking: Any = False) -> Tensor:
        """Raises ShapeError: there is only the CPU."""
        check(device if isinstance(device, str) else f"cuda:{device}")
        return self

    def pin_memory(self, device: Any = None) -> Tensor:
        """Itself: there is no other memory to copy to."""
        return self

    # --- new tensors like this one ------------------------------------------------------------------------------------

    def new_zeros(
        self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: Any = False, **options: Any
    ) -> Tensor:
        """Zeros of another shape in this tensor's dtype; `options` as of `zeros`."""
        if dtype is None and device is None and not options:
            array = small(size, 0, self.array.dtype)
            if array is not None and get_default() is CPU:
                return finish(array, requires_grad)  # type: ignore[no-any-return]
        made: Tensor = _creation().zeros(
            *size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, **options
        )
        return made

    def new_ones(
        self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: Any = False, **options: Any
    ) -> Tensor:
        """Ones of another shape in this tensor's dtype; `options` as of `ones`."""
        made: Tensor = _creation().ones(
            *size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, **options
        )
        return made

    def new_empty(
        self, *size: Any, dtype: Any = None, device: Any = None, requires_grad: Any = False, **options: Any
    ) -> Tensor:
        """A tensor of another shape in this tensor's dtype; `options` as of `empty`."""
        made: Tensor = _creation().empty(
            *size, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, **options
        )
        return made

    def new_empty_strided(
        self, size: Any, stride: Any, dtype: Any = None, device: Any = None, requires_grad: Any = False, **options: Any
    ) -> Tensor:
        """As `new_empty`, with the distance of neighbours along each axis; `options` as of `empty_strided`."""
        made: Tensor = _creation().empty_strided(
            size, stride, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, **options
        )
        return made

    def new_full(
        self,
        size: Any,
        fill_value: Any,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: Any = False,
        **options: Any,
    ) -> Tensor:
        """One value in another shape, in this tensor's dtype; `options` as of `full`."""
        made: Tensor = _creation().full(
            size, fill_value, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, **options
        )
        return made

    def new_tensor(
        self, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: Any = False, **options: Any
    ) -> Tensor:
        """A tensor of other data in this tensor's dtype; `options` as of `tensor`."""
        made: Tensor = _creation().tensor(
            data, dtype=dtype or self.dtype, device=device, requires_grad=requires_grad, **options
        )
        return made

    def new(self, *data: Any) -> Tensor:
        """PyTorch's old way to a tensor in this one's dtype: of data, or of sizes, then zeros."""
        from . import interop

        return interop.TensorType("new", self.dtype)(*data)

    # --- operators that are not the function of the same name -------------------------------------------------------

    def __iter__(self) -> Iterator[Tensor]:
        if self.array.ndim == 0:
            raise TypeError("iteration over a tensor without axes")
        return iter(join.unbind(self, 0))

    def __contains__(self, value: Any) -> Any:
        if not isinstance(value, (Tensor, int, float, np.generic)):
            raise TypeError(f"in: a tensor holds numbers, and can be searched for tensors, not {type(value).__name__}")
        return bool(np.any(self.array == (value.array if isinstance(value, Tensor) else value)))

    def __pos__(self) -> Tensor:
        return self

    def polygamma(self, n: Any) -> Tensor:
        """The n-th derivative of `digamma`."""
        out: Tensor = gamma.polygamma(n, self)
        return out

    def where(self, condition: Any, other: Any) -> Tensor:
        """This tensor where `condition` holds, `other` elsewhere."""
        out: Tensor = comparison.where(condition, self, other)
        return out

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        out: Tensor = shapes.reverse_axes(self)
        return out

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        out: Tensor = rearrange.batch_transpose("mT", self)
        return out

    @property
    def mH(self) -> Tensor:
        """The last two axes exchanged, and conjugated."""
        return self.mT.conj()

    @property
    def H(self) -> Tensor:
        """The conjugate transpose of a matrix."""
        out: Tensor = rearrange.matrix_transpose(self)
        return out.conj()

    polygamma_ = in_place(polygamma)

    def resize_(self, *size: Any, memory_format: Any = None) -> Tensor:
        """Another shape over the same elements in row-major order; further ones are 0. Not in a graph."""
        from .ops.shape import new_sizes

        if self.requires_grad:
            raise GraphError("resize_: a tensor that requires gradients cannot be resized; use reshape")
        wanted = new_sizes("resize_", size)
        count, flat = Size(wanted).numel(), self.array.reshape(-1)
        if self.array.flags.c_contiguous and count <= flat.size:
            views.become("resize_", self, lambda x: shapes.reshape(shapes.reshape(x, -1)[:count], wanted))
            return self
        grown = np.zeros(count, flat.dtype)
        grown[: min(count, flat.size)] = flat[:count]
        self.replace(grown.reshape(wanted))
        return self

    def resize_as_(self, other: Tensor, *, memory_format: Any = None) -> Tensor:
        """`resize_` to the shape of `other`."""
        return self.resize_(*shape_of(other))

    def copy_(self, src: Any, non_blocking: Any = False) -> Tensor:
        """Writes the elements of `src`, which broadcasts and is cast, into this tensor."""
        indexing.setitem(self, ..., src)
        return self

    def to_sparse(self, sparse_dim: Any = None, *, layout: Any = None) -> Tensor:
        """The elements that are not 0, as a sparse tensor: see `mt.sparse_coo_tensor`, or in another sparse layout."""
        from .sparse import from_dense

        made = from_dense(self, sparse_dim)
        return made if layout is None else made.to_sparse(layout=layout)

    to_sparse_coo = to_sparse

    def to_sparse_csr(self, dense_dim: Any = None) -> Tensor:
        """A matrix's elements that are not 0, by rows: see `mt.sparse_csr_tensor`."""
        from .compressed import compressed

        return compressed(self, 0)  # type: ignore[no-any-return]

    def to_sparse_csc(self, dense_dim: Any = None) -> Tensor:
        """A matrix's elements that are not 0, by columns: see `mt.sparse_csc_tensor`."""
        from .compressed import compressed

        return compressed(self, 1)  # type: ignore[no-any-return]

    def to_dense(self, dtype: Any = None, *, masked_grad: Any = None) -> Tensor:
        """Itself: it is no sparse tensor."""
        return self if dtype is None else self.to(dtype)

    def sparse_mask(self, mask: Any) -> Tensor:
        """The elements at the places of a sparse tensor."""
        from .sparse import sparse_mask

        return sparse_mask(self, mask)

    def apply_(self, callable: Callable[[Any], Any]) -> Tensor:
        """Writes `callable(v)` over each element v, one by one in Python: slow, and outside the graph."""
        return self._written("apply_", callable, self.array)

    def map_(self, tensor: Tensor, callable: Callable[[Any, Any], Any]) -> Tensor:
        """Writes `callable(v, w)` over each element v, w that of `tensor`, which broadcasts; as slow as `apply_`."""
        return self._written("map_", callable, self.array, array_of(rearrange.broadcast_to(tensor, self.array.shape)))

    def _written(self, name: str, callable: Callable[..., Any], *arrays: Any) -> Tensor:
        if self.requires_grad:
            raise GraphError(f"{name}: Python's functions are not recorded; use detach().{name}(...)")
        check_writable(name, self)
        made = [callable(*values) for values in zip(*[a.ravel().tolist() for a in arrays], strict=True)]
        assign(name, self, wrap(np.array(made, self.array.dtype).reshape(self.array.shape)))
        return self

    def dim_order(self) -> tuple[Any, ...]:
        """The axes from the one whose neighbours lie farthest apart in memory to the nearest."""
        strides = self.stride()
        return tuple(sorted(range(len(strides)), key=lambda d: -strides[d]))


def _deep(array: Any, memo: dict[int, Any]) -> Any:
    """A copy of an array in a copy of the memory that it is a part of: views go on sharing it."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    if owner is array or not (owner.flags.c_contiguous or owner.flags.f_contiguous):
        return memo.setdefault(id(array), array.copy("K"))
    memory = memo.setdefault(id(owner), owner.copy("K"))
    place = array.ctypes.data - owner.ctypes.data
    return np.ndarray(array.shape, array.dtype, memory.ravel("K").data, place, array.strides)


VERSIONED = np.lib.NumpyVersion(np.__version__) >= "2.1.0"  # NumPy knows DLPack 1.0


def _rebuild(cls: Any, array: Any, requires_grad: bool, attributes: dict[str, Any]) -> Any:
    out = tensors.Tensor.__new__(cls)
    tensors.Tensor.__init__(out, dtypes.owned(array))
    out.requires_grad = requires_grad
    out.__dict__.update(attributes)
    return out


def _cast(x: Any, dtype: Any) -> Any:
    made = cast_array(x, dtype) if isinstance(x, np.ndarray) else None
    return to_dtype(x, dtypes.of(dtype)) if made is None else made


tensors.set_classes(Tensor, Size, dtypes.of)
_CORE = frozenset(wrap(np.empty(0)).__dict__)
algebra.set_algebra(
    arithmetic.add,
    arithmetic.add_into,
    shapes.copy_of,
    shapes.put,
    reduce.sum_to,
    shapes.expand,
    view_write.VIEW_WRITE,
    promote,
    promote_float,
    _cast,
    shapes.CLONE,
    hook.CONSTANT_IN,
    complex_.conj,
)
