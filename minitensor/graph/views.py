"""Writes in place, and what they mean in the graph for the views of the same memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..device import is_meta
from ..errors import DtypeError, GraphError, ShapeError
from .nodes import add_hook
from .record import replay
from .tensors import set_follow

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .algebra import algebra
    from .arrays import flags_of
    from .forward import evaluate
    from .modes import current, recording, set_grad_enabled, switches
    from .nodes import Node
    from .places import here
    from .record import concerns, record_node, row_of
    from .tensors import Dual, Tensor, Version, batch_over, refresh, shadow, wants_grad, wrap


_ndarray = cython.declare(object, np.ndarray)
_CONTIGUOUS = cython.declare(cython.longlong, 0x1)  # NPY_ARRAY_C_CONTIGUOUS and NPY_ARRAY_WRITEABLE
_WRITEABLE = cython.declare(cython.longlong, 0x400)


def _follow(view: Tensor) -> None:
    """Gives a view whose memory was written since the node that the view operators make of its base."""
    base: Tensor = view.base
    v: Version = view.version
    view._seen = v.value
    if not base._wants and base.layer is None:
        return
    _need_base("a view", view)
    on = current().grad
    set_grad_enabled(True)
    try:
        fresh: Tensor = replay(view.chain, base)
    finally:
        set_grad_enabled(on)
    _move(view, fresh)
    view.layer = _settled(fresh.layer, view)


set_follow(_follow)


def become(name: str, x: Any, function: Callable[[Any], Any]) -> Any:
    """Has the tensor `x` itself become the view function(x): `x.t_()`. The graph keeps what it was as its base."""
    t: Tensor = x
    if recording() and t.requires_grad and t._node is None:
        raise GraphError(f"{name}: a leaf that requires gradients cannot be changed in place; use no_grad()")
    view: Tensor
    if t._wants and t._node is None:  # stays the leaf that it is
        view = function(t.detach())
        t.array = view.array
        return x
    old: Tensor = shadow(t)
    old.base, old.chain, old._seen, old._of = t.base, t.chain, t._seen, t._of
    old.inferred = t.inferred
    on = current().grad
    set_grad_enabled(True)
    try:
        view = function(old)
    finally:
        set_grad_enabled(on)
    t.array, t.base, t.chain, t._seen, t._of = view.array, view.base, view.chain, view._seen, view._of
    _move(t, view)
    t.layer = view.layer
    return x


@cython.cfunc
def _need_base(name: str, view: Tensor) -> Any:
    """Raises where what a view is a view of has since been given another shape or other memory."""
    base: Tensor = view.base
    if view._of is not base.array:
        raise GraphError(
            f"{name}: the tensor that this one is a view of was given another shape or memory in place after the view "
            "was made, so the graph cannot follow the write; make the view again"
        )


def snapshot(x: Any) -> Any:
    """What an in-place operator computes from: `x` itself, or where the graph may keep it, a copy in its place.

    The value that `x` had stays what it was for the rules that need it, while `assign` overwrites the memory.
    """
    t: Tensor = x
    if not recording() and t.layer is None:
        return x
    batch: Any = None if t.layer is None else batch_over((x,))
    if batch is not None:
        return batch.through(snapshot, x)
    if t.base is not None:
        refresh(t)
    out: Tensor = shadow(t)
    out.array, out.version = t.array.copy(), Version()
    out.layer = _settled(t.layer, out)
    return out


@cython.ccall
def check_writable(name: str, x: Any, shared: cython.bint = False) -> Any:
    """Raises if `x` cannot be written: no tensor, a leaf of the graph, or (but for `shared`) shared elements."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: only a tensor can be written in place, not a {type(x).__name__}")
    t: Tensor = x
    batch: Any = None if t.layer is None else batch_over((x,))
    if batch is not None:
        check_writable(name, batch.tensor, shared)
        return
    if (t._wants or t.base is not None) and recording() and wants_grad(t):
        root: Tensor = t if t.base is None else t.base
        if root._node is None and root._wants:
            what = "a leaf" if t.base is None else "a view of a leaf"
            raise GraphError(
                f"{name}: {what} that requires gradients cannot be written in place; "
                "use no_grad() around the write, or an operator that makes a new tensor"
            )
    if t.aside and recording():
        raise GraphError(
            f"{name}: a view made under no_grad, of a tensor that requires gradients, cannot be written outside it; "
            "make the view outside no_grad, or write under it too"
        )
    if t.inferred and not current().inference:
        raise GraphError(f"{name}: a tensor made in inference_mode cannot be written outside it; clone() it")
    array = x.array  # of a lazy parameter: raises
    flags: cython.longlong = flags_of(array)
    if not (shared or flags & _CONTIGUOUS or array.size == 0):
        for n, stride in zip(array.shape, array.strides, strict=True):
            if stride == 0 and n > 1 and not is_meta(array):
                raise ShapeError(
                    f"{name}: several elements of this expanded tensor {array.shape} are one and the same in memory; "
                    "clone() it before writing"
                )
    if not flags & _WRITEABLE:
        raise ShapeError(f"{name}: the tensor's memory is read-only")


@cython.ccall
def memory_of(name: str, x: Any) -> Any:
    """The array of a tensor that can be written, where it is contiguous and no graph is concerned; else None.

    What has been written is marked by `written`.
    """
    check_writable(name, x)
    array = cython.cast(Tensor, x).array
    if concerns(x) or not flags_of(array) & _CONTIGUOUS or (array.size < 2 and is_meta(array)):
        return None  # on "meta" several elements share one place
    return array


def refill(name: str, x: Any, kernel: Callable[..., Any], *args: Any) -> cython.bint:
    """Whether `kernel(array, *args)`, which else gives None, has filled the memory of a tensor: see `memory_of`."""
    array = memory_of(name, x)
    if array is None or kernel(array, *args) is None:
        return False
    bump(x)
    return True


def write(name: str, x: Any, function: Callable[..., Any], args: tuple, kwargs: dict, writer: Any = None) -> None:
    """The in-place operator of function(x, *args, **kwargs): its result is written into the memory of `x`.

    `writer` is None or (kernel, its number of operands): where no graph is concerned, `kernel(*arrays, into, **kwargs)`
    writes it there itself, or gives None.
    """
    check_writable(name, x)
    recorded: cython.bint = concerns(x)
    for a in args:
        recorded = recorded or concerns(a)
    if kwargs:
        for a in kwargs.values():
            recorded = recorded or concerns(a)
    if recorded:
        before: Any = snapshot(x)
        args = (before, *[before if a is x else a for a in args])
    else:
        args = (x, *args)
        if writer is not None and _written(x, writer, args, kwargs):
            return
    assign(name, x, function(*args, **kwargs) if kwargs else function(*args))


def write_out(name: str, out: Any, args: tuple, writer: Any) -> cython.bint:
    """Whether a kernel, `writer` as `write` has it, has written its result into another tensor."""
    if writer is None or not isinstance(out, Tensor) or out.requires_grad or concerns(out):
        return False
    for a in args:
        if concerns(a):
            return False
    check_writable(name, out)
    return _written(out, writer, args, {})


@cython.cfunc
def _written(x: Tensor, writer: tuple, args: tuple, kwargs: dict) -> cython.bint:
    """Whether the kernel has written what it makes of tensors and numbers into the memory of x."""
    if len(args) != writer[1]:
        return False
    arrays: list = []
    t: Tensor
    for a in args:
        if isinstance(a, Tensor):
            t = a
            if t.base is not None:
                refresh(t)
            arrays.append(t.array)
        elif type(a) is float or type(a) is int:
            arrays.append(a)
        else:
            return False
    if switches.reference:
        return False
    arrays.append(x.array)
    if kwargs:
        for a in kwargs.values():
            if type(a) is not float and type(a) is not int:
                return False
        if not kwargs.keys() <= _OPTIONS or writer[0](*arrays, **kwargs) is None:
            return False
    elif len(arrays) == 3:  # as most, without a tuple for the call
        if writer[0](arrays[0], arrays[1], arrays[2]) is None:
            return False
    elif writer[0](*arrays) is None:
        return False
    bump(x)
    return True


_OPTIONS = frozenset(("alpha", "value"))  # what such kernels take by name


def put(x: Any, index: Any, value: Any) -> cython.bint:
    """`x[index] = value` for an index of ints and slices where no graph is concerned: whether that was so, and done.

    `value` is a number, or a tensor of the same dtype; what does not fit is left to the caller. Of a
    small x the index may be an array, too.
    """
    if not isinstance(x, Tensor) or concerns(x) or concerns(value):
        return False
    t: Tensor = x
    array = t.array
    given: Any = value
    if isinstance(value, Tensor):
        v: Tensor = value
        given = v.array
        if type(given) is not _ndarray or given.dtype is not array.dtype or not flags_of(array) & _CONTIGUOUS:
            return False
    elif (type(value) is not float and type(value) is not int) or array.dtype.kind != "f":
        return False
    if type(index) is _ndarray and array.size >= _FEW:
        return False
    check_writable("assignment", x, True)
    try:
        if array.size < _FEW or not _put_large(array[index], given):
            array[index] = given
    except (IndexError, OverflowError, ValueError):
        return False
    bump(t)
    return True


_FEW = 4096  # elements that NumPy writes itself


@cython.cfunc
def _put_large(to: Any, given: Any) -> cython.bint:
    """Whether a kernel has written `given` over an array."""
    if type(given) is int:
        given = float(given)
    return type(to) is _ndarray and bool(algebra.put(to, given))


@cython.cfunc
def bump(t: Tensor) -> Any:
    """Marks a write."""
    v: Version = t.version
    v.value += 1
    v.place = here()


@cython.ccall
def assign(name: str, x: Any, value: Any) -> Any:
    """The end of every in-place operator: writes `value`, which an operator made, into the memory of `x`.

    In the graph, `x` takes the place of `value`; the base of a view becomes itself with that part replaced.
    """
    t: Tensor = x
    v: Tensor = value
    batch: Any = None if t.layer is None and v.layer is None else batch_over((x, value))
    if batch is not None:
        batch.assign(name, x, value)
        return
    array = t.array
    if v.array.shape != array.shape:
        raise ShapeError(f"{name}: the result has shape {v.array.shape}, the tensor to write {array.shape}")
    if v.array.dtype is not array.dtype and not np.can_cast(v.array.dtype, array.dtype, "same_kind"):
        raise DtypeError(f"{name}: a {v.array.dtype} result cannot be written into a {array.dtype} tensor")
    base: Tensor = t.base
    layered: cython.bint = t.layer is not None or v.layer is not None
    recorded: cython.bint = recording() and (wants_grad(t) or v._wants)
    if v.array.dtype is not array.dtype:
        v = algebra.cast(v, array.dtype)
    if recorded or layered or (base is not None and base.layer is not None):
        _rebase(name, t, v, layered)
    if array.size < _FEW or not _put_large(array, v.array):
        array[...] = v.array
    bump(t)
    if base is not None:
        t._seen = t.version.value
    if recorded or layered:
        _move(t, v)
        t.layer = _settled(v.layer, t)


def adopt(name: str, x: Any, value: Any) -> None:
    """Has `x` take the place in the graph of `value`, an alias of its memory that an operator has written."""
    t: Tensor = x
    v: Tensor = value
    if batch_over((x, value)) is not None:
        assign(name, x, value)
        return
    _rebase(name, t, v, t.layer is not None or v.layer is not None)
    if t.base is not None:
        t._seen = t.version.value
    _move(t, v)
    t.layer = _settled(v.layer, t)


@cython.cfunc
def _rebase(name: str, t: Tensor, v: Tensor, layered: cython.bint) -> Any:
    """Of a write of `v` into the view `t`: its base becomes itself with that part replaced."""
    base: Tensor = t.base
    if base is not None:
        _need_base(name, t)
        params = {"chain": t.chain, "shape": base.array.shape}
        whole: Tensor
        if layered or base.layer is not None:
            whole = evaluate(algebra.view_write, (base, v), params)[0]
        else:
            whole = wrap(base.array)
            record_node(algebra.view_write, row_of(algebra.view_write), (shadow(base), v), params, (whole,), ())
        _move(base, whole)
        base.layer = _settled(whole.layer, base)


@cython.cfunc
def _move(t: Tensor, to: Tensor) -> Any:
    """Puts `t` at the place of `to` in the graph; if it retains its gradient, that of its new place."""
    old: Node = t._node
    if old is not None and old.hooks is not None and old is not to._node:
        for hook in list(old.hooks.get(t._index, ())):
            if getattr(hook, "retains", None) is t:
                old.hooks[t._index].remove(hook)
                if to._node is not None:
                    add_hook(to, hook)
    t._node, t._index, t._wants = to._node, to._index, to._wants


@cython.cfunc
def _settled(layer: Any, owner: Tensor) -> Any:
    """A dual whose primal's memory is the owner's, into which its value was written, so that views of it are shared."""
    if layer is None:
        return None
    d: Dual = layer
    primal: Tensor = shadow(d.primal)
    primal.array, primal.version = owner.array, owner.version
    primal.layer = _settled(primal.layer, owner)
    return Dual(d.level, primal, d.tangent)


def with_gradients(name: str, tensors: Any, sparse: list[Any] | None = None, instead: str = "") -> list[Any]:
    """Those of the tensors that have a gradient and can be written, as (tensor, its array, its gradient's array).

    Those with a sparse gradient go into the list `sparse`; without one they are refused, with the advice `instead`.
    """
    found: list = []
    t: Tensor
    g: Tensor
    for x in tensors:
        t = x
        if t.leaf_grad is None:
            continue
        check_writable(name, x)
        given: Any = t.leaf_grad
        if given.is_sparse:
            if sparse is None:
                raise DtypeError(f"{name} does not support sparse gradients{instead}")
            sparse.append(t)
        else:
            g = given
            found.append((t, t.array, g.array))
    return found


def written(tensors: Any) -> None:
    """Marks a write of each tensor, by the line of the user's program that is running."""
    place: Any = here()
    t: Tensor
    v: Version
    for t in tensors:
        v = t.version
        v.value += 1
        v.place = place
