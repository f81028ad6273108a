"""Tensors that belong to a module: parameters, which are trained, and buffers, which are not."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import dtypes
from ..device import check
from ..errors import ShapeError
from ..formatting import tensor_str
from ..graph.tensors import Tensor as Core
from ..graph.tensors import wrap
from ..tensor import Tensor


def _owned(cls: Any, data: Any, requires_grad: bool) -> Any:
    """A leaf of the class over the memory of `data`."""
    if data is None:
        data = np.empty(0, np.float32)
    elif isinstance(data, Core):
        data = data.array
    elif not isinstance(data, np.ndarray):
        raise TypeError(f"{cls.__name__}: expected a tensor, got {type(data).__name__}")
    out = Core.__new__(cls)
    Core.__init__(out, data)
    out.requires_grad = requires_grad
    return out


class Parameter(Tensor):
    """A tensor to be trained: assigned to a module's attribute, it is one of its parameters.

    It shares the memory of `data` and is a leaf of the graph.

    >>> w = mt.nn.Parameter(mt.zeros(2))
    >>> w
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    def __new__(cls, data: Any = None, requires_grad: bool = True) -> Parameter:
        out: Parameter = _owned(cls, data, requires_grad)
        return out

    def __deepcopy__(self, memo: Any) -> Any:
        known = id(self) in memo
        made = super().__deepcopy__(memo)
        if not known:
            made.leaf_grad = None  # a copied module begins without gradients
        return made

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Parameter containing:\n{tensor_str(self)}"


class Buffer(Tensor):
    """A tensor that is part of a module's state without being trained, as a running mean.

    One that is not `persistent` is left out of the state_dict.

    >>> mt.nn.Buffer(mt.zeros(2))
    Buffer containing:
    tensor([0., 0.])
    """

    persistent: bool

    def __new__(cls, data: Any = None, *, persistent: bool = True) -> Buffer:
        out: Buffer = _owned(cls, data, False)
        out.persistent = persistent
        return out

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return f"Buffer containing:\n{tensor_str(self)}"


class Uninitialized:
    """A parameter or buffer of a lazy module: its dtype is known, its sizes are not, and asking for them raises.

    `materialize(shape)` gives it memory, and makes it the ordinary kind; the object stays the same.
    """

    cls_to_become: Any
    _kept: Any  # the dtype that it will have

    @property
    def array(self) -> Any:
        """Raises: there is no memory yet."""
        raise ShapeError(
            f"a {type(self).__name__} has no sizes yet: call the lazy module that it belongs to once, on an input"
        )

    @array.setter
    def array(self, value: Any) -> None:
        self.__dict__["array"] = value  # where the core is not compiled

    # The compiled core would look past `array`.
    shape = property(lambda self: self.array.shape)
    ndim = property(lambda self: self.array.ndim)

    def numel(self) -> int:
        """Raises, as `array` does."""
        return int(self.array.size)

    dim = ndimension = nelement = item = tolist = numel

    @property
    def data(self) -> Any:
        """A tensor of no elements: `layer.weight.data.normal_()` before the first call is without effect."""
        return wrap(np.empty(0, self._kept))

    @data.setter
    def data(self, value: Any) -> None:
        self.array[...] = value.array  # raises

    @property
    def dtype(self) -> Any:
        """The dtype that it will have."""
        return dtypes.of(self._kept)

    def is_floating_point(self) -> bool:
        """Whether that dtype is floating."""
        return bool(self._kept.kind == "f")

    def detach(self) -> Any:
        """Itself: there is nothing to share."""
        return self

    @property
    def is_leaf(self) -> bool:
        """True."""
        return True

    def cast(self, fn: Any) -> None:
        """Takes the dtype that `fn` gives a tensor of its dtype."""
        self._kept = fn(wrap(np.empty(0, self._kept))).array.dtype

    def materialize(self, shape: Any, device: Any = None, dtype: Any = None) -> None:
        """Gives it memory, of unknown content, and turns it into the ordinary kind."""
        check(device)
        array = np.empty(tuple(shape), self._kept if dtype is None else dtypes.of(dtype).numpy)
        del self._kept
        self.__class__ = self.cls_to_become
        self.replace(array)  # type: ignore[attr-defined]

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        if id(self) not in memo:
            memo[id(self)] = type(self)(requires_grad=self.requires_grad, dtype=self.dtype)  # type: ignore
        return memo[id(self)]

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _make_uninitialized, (type(self), self.requires_grad, self.dtype)  # type: ignore[attr-defined]

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return f"<{type(self).__name__}>"

    def __hash__(self) -> int:
        return id(self)


def _make_uninitialized(kind: Any, requires_grad: bool, dtype: Any) -> Any:
    return kind(requires_grad=requires_grad, dtype=dtype)


def _uninitialized(cls: Any, requires_grad: bool, device: Any, dtype: Any) -> Any:
    check(device)
    kept = (dtypes.get_default_dtype() if dtype is None else dtypes.of(dtype)).numpy
    out = _owned(cls.cls_to_become, np.empty(0, kept), requires_grad)
    out.replace(np.empty(0, np.void))  # what no operator takes, where the compiled core looks past `array`
    out._kept = kept
    out.__class__ = cls  # last: from here on `array` raises
    return out


class UninitializedParameter(Uninitialized, Parameter):  # type: ignore[misc]
    """A parameter whose sizes are not known yet.

    >>> mt.nn.LazyLinear(3).weight
    <UninitializedParameter>
    """

    cls_to_become = Parameter

    def __new__(cls, requires_grad: bool = True, device: Any = None, dtype: Any = None) -> Any:
        return _uninitialized(cls, requires_grad, device, dtype)


class UninitializedBuffer(Uninitialized, Tensor):  # type: ignore[misc]
    """A buffer whose sizes are not known yet."""

    cls_to_become = Tensor

    def __new__(cls, requires_grad: bool = False, device: Any = None, dtype: Any = None) -> Any:
        return _uninitialized(cls, requires_grad, device, dtype)


def clear_grad(x: Any, set_to_none: bool) -> None:
    """Drops the gradient of a tensor, or sets it to 0, outside the graph that it may be part of."""
    if set_to_none or x.grad is None:
        if x.leaf_grad is not None:
            x.grad = None
    elif x.grad.requires_grad:
        x.grad = x.grad.detach().clone().zero_()
    else:
        x.grad.zero_()
