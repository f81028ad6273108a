"""The core of a tensor: an ndarray, the version of its memory, its place in the graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import DtypeError, GraphError, ShapeError, UsedAfterVmapError

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .arrays import dtype_of, shape_of
    from .modes import current, switches
    from .places import here, note_made

_ndarray = cython.declare(object, np.ndarray)


@cython.freelist(64)
@cython.final
@cython.cclass
class Version:
    """How often one storage was written, and where last. Tensors that share memory share it."""

    value: int
    place: Any

    def __init__(self) -> None:
        self.value = 0
        self.place = None

    def bump(self) -> None:
        """Marks a write."""
        self.value += 1
        self.place = here()


@cython.final
@cython.cclass
class Dual:
    """What forward mode adds to a tensor: its value without this level (`primal`) and its derivative (`tangent`).

    Both may in turn carry duals of lower levels, so any number of forward modes nest without mixing.
    """

    level: Any
    primal: Any
    tangent: Any

    def __init__(self, level: Any, primal: Tensor, tangent: Tensor) -> None:
        self.level = level
        self.primal = primal
        self.tangent = tangent


@cython.cclass
class Tensor:
    """The core of a tensor: an ndarray and its place in the graph. `minitensor.Tensor` adds the methods."""

    array: Any
    version: Any
    leaf_grad: Any  # the accumulated gradient, a Tensor or None
    leaf_hooks: Any  # of a leaf: [hook, ...] or None
    after_hooks: Any  # of a leaf, called once its gradient is added; or None
    layer: Any  # of forward mode: a Dual or None
    base: Any  # the tensor that this is a view of, or None
    chain: Any  # (chain of what it views, op, its params by name or in order, output)
    inferred: bool
    aside: bool  # a view, made under no_grad, of what wants gradients
    _node: Any
    _index: int
    _wants: bool
    _seen: int  # of a view: the version that _node belongs to
    _of: Any  # of a view: the array of its base that it views

    def __init__(self, array: Any) -> None:
        self._set(array)

    @cython.cfunc
    def _set(self, array: Any) -> Any:
        self.array = array
        version: Version = Version.__new__(Version)
        if not cython.compiled:  # else a new object has None, 0 and False already
            self._clear()
            version.value = 0
            version.place = None
        if switches.anomaly:
            version.place = note_made(array.shape)
        self.version = version

    def _clear(self) -> None:
        self.leaf_grad = None
        self.leaf_hooks = None
        self.after_hooks = None
        self.layer = None
        self.base = None
        self.chain = None
        self.inferred = False
        self.aside = False
        self._node = None
        self._index = 0
        self._wants = False
        self._seen = 0
        self._of = None

    @property
    def shape(self) -> Any:
        """The sizes of its axes."""
        array = self.array
        return shape_of(array, _size_class) if type(array) is _ndarray else _size_class(array.shape)

    @property
    def dtype(self) -> Any:
        """The type of its elements."""
        array = self.array
        d: Any = dtype_of(array) if type(array) is _ndarray else array.dtype
        return _float32 if d is _F32 else _dtype_named(d)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    def dim(self) -> int:
        """The number of axes."""
        return self.array.ndim

    def numel(self) -> int:
        """The number of elements."""
        return self.array.size

    def item(self) -> Any:
        """The one element as a Python number."""
        if self.array.size != 1:
            raise ShapeError(f"item: a tensor of shape {self.array.shape} has {self.array.size} elements, not one")
        return self.array.item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers."""
        return self.array.tolist()

    @property
    def node(self) -> Any:
        """The node that made this tensor, or None for a leaf."""
        if self.base is not None:
            refresh(self)
        batch: Any = None if self.layer is None else batch_over((self,))
        return self._node if batch is None else batch.tensor.node

    @property
    def index(self) -> int:
        """Which of its node's outputs this tensor is."""
        return self._index

    @property
    def requires_grad(self) -> bool:
        """Whether operators on this tensor are recorded."""
        if self.base is not None:
            refresh(self)
        batch: Any = None if self.layer is None else batch_over((self,))
        return self._wants if batch is None else batch.tensor.requires_grad

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        batch: Any = None if self.layer is None else batch_over((self,))
        if batch is not None:
            batch.tensor.requires_grad = on
            return
        if not on and self._node is not None:
            raise GraphError("requires_grad can only be switched off on a leaf; use detach() to leave the graph")
        if on and self.array.dtype.kind not in "fc":
            raise DtypeError(f"only tensors of floating or complex dtype can require gradients, not {self.array.dtype}")
        if on and self.inferred and not current().inference:
            raise GraphError("a tensor made in inference_mode cannot require gradients; clone() it")
        if on and not self._wants and self.base is not None and self.layer is None:
            self.base = self.chain = None  # a leaf of its own from here on, and what views of it are views of
        self._wants = bool(on)

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operator made this tensor."""
        return self.node is None

    def detach(self) -> Any:
        """The same memory outside the graph."""
        batch: Any = None if self.layer is None else batch_over((self,))
        if batch is not None:
            return batch.through(_detached, self)
        out: Tensor = wrap(self.array)
        out.version = self.version
        out.inferred = self.inferred
        return out

    def unlink(self) -> None:
        """Makes this tensor a leaf that wants no gradient."""
        self.base = self.chain = self._node = None
        self._wants = False

    def replace(self, array: Any) -> None:
        """Puts another array in this tensor's place (`x.data = y`): the graph keeps the old one."""
        self.array = array
        self.version = Version()
        self.base = None
        self.chain = None


_tensor_class = cython.declare(object, Tensor)
_size_class = cython.declare(object, tuple)
_dtype_named: Any = None  # of NumPy's dtype, ours
_float32: Any = None  # and that of the usual one
_F32 = cython.declare(object, np.dtype("float32"))


def set_classes(tensor: Any, size: Any, dtype_named: Callable[[Any], Any]) -> None:
    """Sets the class of the tensors that operators return, that of their shapes, and how NumPy's dtypes are named."""
    global _tensor_class, _size_class, _dtype_named, _float32
    _tensor_class, _size_class, _dtype_named, _float32 = tensor, size, dtype_named, dtype_named(_F32)


@cython.ccall
def wrap(array: Any) -> Any:
    """A tensor over an ndarray, sharing its memory; a leaf."""
    cls = cython.cast(type, _tensor_class)  # Cython then makes the object without a call through Python
    out: Tensor = cls.__new__(cls)
    out._set(array if type(array) is _ndarray else np.asarray(array))
    if switches.inferring:
        out.inferred = current().inference
    return out


def _detached(x: Tensor) -> Any:
    return x.detach()


def as_leaf(x: Tensor) -> Any:
    """The value of `x`, with its tangents, as a leaf that requires gradients."""
    batch: Any = batch_over((x,))
    if batch is not None:
        return batch.through(as_leaf, x)
    out: Tensor = wrap(x.array)
    out.layer = x.layer
    out._wants = True
    return out


def outside(x: Tensor) -> Any:
    """The value of `x`, with its tangents, outside the graph."""
    batch: Any = batch_over((x,))
    if batch is not None:
        return batch.through(outside, x)
    out: Tensor = wrap(x.array)
    out.layer, out.version = x.layer, x.version
    return out


def alias(x: Tensor, array: Any = None) -> Any:
    """The memory of `x` under another ndarray, outside the graph; writes into either are seen by both.

    `array`, if given, is that ndarray: a view of the memory.
    """
    out: Tensor = wrap(x.array.view() if array is None else array)
    out.version, out.inferred = x.version, x.inferred
    return out


@cython.cfunc
def shadow(t: Tensor) -> Any:
    """Another tensor over the same memory at the same place in the graph."""
    out: Tensor = wrap(t.array)
    out.version, out.layer = t.version, t.layer
    out._node, out._index, out._wants = t._node, t._index, t._wants
    return out


@cython.cfunc
def origin(a: Any) -> Any:
    """What the gradient of an argument goes to: its node, itself if it is a leaf, None if it wants none."""
    if not isinstance(a, Tensor):
        return None
    t: Tensor = a
    if not t._wants:
        return None
    return a if t._node is None else t._node


@cython.cfunc
def wants_grad(t: Tensor) -> cython.bint:
    """`t.requires_grad`, without Python's lookup."""
    if t.base is not None:
        refresh(t)
    return t._wants if t.layer is None else t.requires_grad


_follow: Any = None  # follow(view): see views.py


def set_follow(follow: Callable[[Any], None]) -> None:
    """Hands over what gives a view its node after a write."""
    global _follow
    _follow = follow


@cython.cfunc
def refresh(view: Tensor) -> Any:
    """Where a view's memory was written since, its node is the view operators applied to the base's node."""
    v: Version = view.version
    if view._seen != v.value:
        _follow(view)


@cython.cfunc
def batch_over(tensors: Any) -> Any:
    """The innermost vmap's layer that lies over one of the tensors, or None. See batching.py."""
    found: Any = None
    for x in tensors:
        if isinstance(x, Tensor):
            t: Tensor = x
            layer = t.layer
            if layer is None or type(layer) is Dual:
                continue
            if not layer.level.alive:
                raise UsedAfterVmapError(
                    "vmap: a tensor from inside vmap was kept and used after it; return it instead"
                )
            if found is None or layer.level.number > found.level.number:
                found = layer
    return found


def vmap_layer(*tensors: Any) -> Any:
    """The innermost vmap's layer (a `batching.Batched`) that lies over one of the tensors, or None."""
    return batch_over(tensors)


_NO_ELEMENTS = np.empty(0)


def make_layered(array: Any, layer: Any) -> Any:
    """A tensor whose elements lie under a layer; `array` has their shape and dtype."""
    out: Tensor = wrap(_NO_ELEMENTS)
    out.array, out.layer = array, layer
    return out
