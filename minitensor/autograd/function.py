"""Functions whose derivative the user writes. PyTorch: torch.autograd.Function.

A Function is an operator of the user's: `apply` records it as any other, with a rule that calls its `backward`. Its
values are saved, watched and freed as theirs are, and every transform works through it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import batching, creation, dtypes
from ..errors import DtypeError, GraphError, ShapeError
from ..graph import modes, record, views
from ..graph.tensors import alias, as_leaf, wrap
from ..op import Op, part_of
from ..ops import shape as shapes
from ..ops.common import to_dtype
from ..ops.hook import hooked
from ..ops.reduce import sum_to
from ..tensor import Tensor
from .modes import no_grad

__all__ = ["Function", "FunctionCtx", "InplaceFunction", "VmapInfo", "once_differentiable"]


class FunctionCtx:
    """What one call of a Function hands from its forward to its backward, beside the attributes that the user sets."""

    needs_input_grad: tuple[bool, ...] = ()

    def __init__(self) -> None:
        self._backward: tuple[Any, ...] = ()
        self._forward: tuple[Any, ...] = ()
        self._dirty: tuple[Any, ...] = ()
        self._constant: tuple[Any, ...] = ()
        self._materialize = True
        self._values: tuple[Any, ...] | None = None  # the saved tensors, while backward or jvp run

    def save_for_backward(self, *tensors: Any) -> None:
        """Keeps tensors (or None) for `backward`, which finds them in `saved_tensors`; writes into them are noticed."""
        self._backward = tensors

    def save_for_forward(self, *tensors: Any) -> None:
        """Keeps tensors (or None) for `jvp`, which finds them in `saved_tensors`."""
        self._forward = tensors

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What was saved, inside `backward` and `jvp`."""
        if self._values is None:
            raise GraphError("saved_tensors: they are there in backward and in jvp only")
        return self._values

    def mark_dirty(self, *args: Any) -> None:
        """Says which inputs `forward` has written; it must return them."""
        self._dirty = args

    def mark_non_differentiable(self, *args: Any) -> None:
        """Says which outputs have no derivative."""
        self._constant = args

    def set_materialize_grads(self, value: bool) -> None:
        """Whether `backward` and `jvp` get zeros (True, the default) or None for what no gradient reaches."""
        self._materialize = bool(value)


class VmapInfo(NamedTuple):
    """What a Function's own `vmap` is told of the batch."""

    batch_size: int
    randomness: str


class _Call:
    """One call of a Function: its arguments but for the tensors, and what its forward left."""

    def __init__(self, cls: type[Function], args: tuple[Any, ...]) -> None:
        self.cls = cls
        self.places = [i for i, a in enumerate(args) if isinstance(a, Tensor)]
        self.constants = [None if isinstance(a, Tensor) else a for a in args]
        self.inputs = [(args[i].array.shape, args[i].array.dtype) for i in self.places]
        self.ctx: Any = FunctionCtx()
        self.ctx.needs_input_grad = tuple([isinstance(a, Tensor) and a.requires_grad for a in args])
        self.forward_mode = any(a.layer is not None for a in args if isinstance(a, Tensor))
        self.single = False
        self.results: list[Any] = []  # the outputs that are no tensors, at their places
        self.outputs: list[int] = []  # the places of those that are
        self.shapes: list[Any] = []
        self.constant: list[bool] = []  # which of the tensors have no derivative
        self.dirty: list[tuple[int, int]] = []  # (output, input) of tensors that forward wrote

    def spread(self, values: Any) -> list[Any]:
        """The arguments with these tensors at their places."""
        out = list(self.constants)
        for i, x in zip(self.places, values, strict=True):
            out[i] = x
        return out

    def run(self, tensors: tuple[Any, ...]) -> tuple[Any, tuple[Any, ...]]:
        """The user's forward, as an operator's: (outputs, what is saved)."""
        cls, ctx = self.cls, self.ctx
        args = self.spread(tensors)
        with no_grad():
            if cls.setup_context is Function.setup_context:
                made = cls.forward(ctx, *args)
            else:
                made = cls.forward(*args)
                cls.setup_context(ctx, tuple(args), made)
        self.single = not isinstance(made, tuple)
        results = [made] if self.single else list(made)
        self.outputs = [k for k, y in enumerate(results) if isinstance(y, Tensor)]
        self.results = [None if isinstance(y, Tensor) else y for y in results]
        given, outs = [results[k] for k in self.outputs], []
        for k, y in enumerate(given):
            of = next((i for i, x in enumerate(tensors) if x is y), None)
            written = any(y is x for x in ctx._dirty)
            if written and of is not None:
                self.dirty.append((k, of))
            shared = of is not None or y.requires_grad or any(y is z for z in given[:k])
            outs.append(alias(y) if shared else y)
            self.constant.append(y.array.dtype.kind != "f" or any(y is x for x in ctx._constant))
        for x in ctx._dirty:
            if not any(x is y for y in given):
                raise GraphError(f"{cls.__name__}: a tensor marked dirty must be an input that forward returns")
        self.shapes = [(y.array.shape, y.array.dtype) for y in outs]

        def kept(x: Any) -> Any:
            if not isinstance(x, Tensor):
                if x is not None and tensors:
                    raise TypeError(
                        f"save_for_backward: a {type(x).__name__} is no tensor; set it as an attribute of ctx"
                    )
                return None
            for y, z in zip(given, outs, strict=True):
                if x is y and (any(x is d for d in ctx._dirty) or all(x is not t for t in tensors)):
                    return z.array
            return x.array

        saved = [kept(x) for x in ctx._backward]
        self.kept = [x is not None for x in ctx._backward]
        if self.forward_mode:
            saved += [kept(x) for x in ctx._forward]
        self.forward_kept = len(ctx._forward)
        ctx._backward = ctx._forward = ctx._dirty = ctx._constant = ()
        return (tuple(outs) if len(outs) != 1 else outs[0]), tuple(saved)

    def with_values(self, function: Callable[..., Any], values: Any, args: Any) -> tuple[Any, ...]:
        """`function(ctx, *args)` as a tuple, with the saved tensors in place."""
        before = self.ctx._values
        self.ctx._values = tuple([wrap(v) if isinstance(v, np.ndarray) else v for v in values])
        try:
            made = function(self.ctx, *args)
        finally:
            self.ctx._values = before
        return tuple(made) if isinstance(made, (tuple, list)) else (made,)

    def zeros(self, meta: Any) -> Any:
        """What stands for a gradient that nothing reaches."""
        return creation.zeros(meta[0], dtype=dtypes.of(meta[1])) if self.ctx._materialize else None


def _reference(*tensors: Any, call: _Call) -> tuple[Any, tuple[Any, ...]]:
    return call.run(tensors)


def _pull(_wanted: Any, g: Any, *saved: Any, call: _Call) -> tuple[Any, ...]:
    """The user's backward: the gradients of the tensors among the arguments."""
    name = call.cls.__name__
    parts = g if isinstance(g, tuple) else (g,)
    on_tensors = any(isinstance(part, Tensor) for part in parts)
    grads: list[Any] = [None] * len(call.results)
    for k, part, meta in zip(call.outputs, parts, call.shapes, strict=True):
        if part is None:
            grads[k] = call.zeros(meta)
        else:
            grads[k] = part if on_tensors else wrap(part)
    rule = call.cls.backward
    if rule is Function.backward:
        rule = call.cls.vjp
    found = call.with_values(rule, saved[: len(call.kept)], grads)
    count = len(call.constants)
    if len(found) < count or any(d is not None for d in found[count:]):
        raise GraphError(
            f"function {name}Backward returned an incorrect number of gradients (expected {count}, got {len(found)})"
        )
    for i, d in enumerate(found[:count]):
        if d is not None and i not in call.places:
            raise GraphError(
                f"function {name}Backward returned a gradient different from None at position {i + 1}, but the "
                "corresponding forward input was not a tensor"
            )
    out: list[Any] = []
    for i, (shape, dtype) in zip(call.places, call.inputs, strict=True):
        d = found[i]
        if d is None or not call.ctx.needs_input_grad[i]:
            out.append(None)
            continue
        if not isinstance(d, Tensor):
            raise DtypeError(f"function {name}Backward: gradient {i} must be a tensor or None, not {type(d).__name__}")
        if d.array.shape != shape:
            if not _reduces(d.array.shape, shape):
                code = inspect.unwrap(rule).__code__
                raise ShapeError(
                    f"Function {name}Backward returned an invalid gradient at index {i} - got {list(d.array.shape)} "
                    f"but expected shape compatible with {list(shape)}; its backward is at {code.co_filename}, line "
                    f"{code.co_firstlineno}"
                )
            d = sum_to(d, shape)
        d = to_dtype(d, dtypes.of(dtype))
        out.append(d if on_tensors else d.detach().array)
    return tuple(out)


def _reduces(shape: tuple[int, ...], to: tuple[int, ...]) -> bool:
    """Whether `shape` is `to` broadcast."""
    tail = shape[len(shape) - len(to) :]
    return len(shape) >= len(to) and all(n in (1, m) for n, m in zip(to, tail, strict=True))


def _push(tangents: tuple[Any, ...], *saved: Any, call: _Call) -> tuple[Any, ...]:
    """The user's jvp: the tangents of the tensors among the outputs."""
    name = call.cls.__name__
    given = list(tangents)
    if call.ctx._materialize:
        given = [
            call.zeros(meta) if t is None and meta[1].kind == "f" else t
            for t, meta in zip(given, call.inputs, strict=True)
        ]
    args: list[Any] = [None] * len(call.constants)
    for i, t in zip(call.places, given, strict=True):
        args[i] = t
    values = saved[len(call.kept) :] if call.forward_kept else saved[: len(call.kept)]
    found = call.with_values(call.cls.jvp, values, args)
    if len(found) != len(call.results):
        raise GraphError(f"function {name}: jvp returned {len(found)} tangents for {len(call.results)} outputs")
    out = []
    for k, (shape, _), constant in zip(call.outputs, call.shapes, call.constant, strict=True):
        d = None if constant else found[k]
        if d is not None and d.array.shape != shape:
            raise ShapeError(f"function {name}: jvp returned a tangent of {d.array.shape} for an output of {shape}")
        out.append(d)
    return tuple(out)


def _in_batch(args: list[Any], flags: list[bool], call: _Call) -> Any:
    """The Function on tensors of which those flagged have the batch of a vmap in axis 0."""
    cls = call.cls
    size = next(a.array.shape[0] for a, flag in zip(args, flags, strict=True) if flag)
    if cls.generate_vmap_rule:
        if cls.vmap is not Function.vmap:
            raise GraphError(f"{cls.__name__}: it has both a vmap of its own and generate_vmap_rule; keep one")

        def one(*row: Any) -> Any:
            mine = _Call(cls, tuple(call.spread(row)))
            out = _recorded(mine, row)
            call.results, call.outputs, call.single = mine.results, mine.outputs, mine.single
            call.constant, call.dirty = mine.constant, mine.dirty
            return out

        return batching.one_by_one(one, args, flags, size)
    if cls.vmap is Function.vmap:
        raise GraphError(
            f"{cls.__name__}: under vmap a Function needs a static method vmap, or generate_vmap_rule = True"
        )
    dims: list[Any] = [None] * len(call.constants)
    for i, flag in zip(call.places, flags, strict=True):
        dims[i] = 0 if flag else None
    info = VmapInfo(size, modes.batch_levels()[-1].randomness)
    made = cls.vmap(info, tuple(dims), *call.spread(args))
    if not isinstance(made, tuple) or len(made) != 2:
        raise GraphError(f"{cls.__name__}: vmap must return (outputs, out_dims)")
    outputs, out_dims = made
    call.single = not isinstance(outputs, tuple)
    results = [outputs] if call.single else list(outputs)
    ends = list(out_dims) if isinstance(out_dims, tuple) else [out_dims] * len(results)
    if len(ends) != len(results):
        raise GraphError(f"{cls.__name__}: vmap returned {len(ends)} out_dims for {len(results)} outputs")
    call.outputs = [k for k, y in enumerate(results) if isinstance(y, Tensor)]
    call.results = [None if isinstance(y, Tensor) else y for y in results]
    call.constant = [False] * len(call.outputs)
    out = []
    for k in call.outputs:
        y, d = results[k], ends[k]
        if d is None:
            y = shapes.expand(shapes.unsqueeze(y, 0), (size, *y.array.shape))
        out.append(y if d in (None, 0) else shapes.movedim(y, d, 0))
    return tuple(out) if len(out) != 1 else out[0]


def _recorded(call: _Call, tensors: Any) -> Any:
    return record.apply(call.cls._operator(), *tensors, call=call)


class Function:
    """An operation with a derivative of one's own: static `forward` and `backward`, and `apply` to call it.

    `forward(ctx, *args)`, or `forward(*args)` with `setup_context(ctx, inputs, output)`, computes the outputs (a tensor
    or a tuple) and saves what `backward(ctx, *grad_outputs)` needs, which returns one gradient (or None) for each
    argument. `jvp(ctx, *tangents)` is for forward mode; `vmap(info, in_dims, *args)`, which returns the outputs and
    their axes, or `generate_vmap_rule = True` for vmap. A backward made of differentiable operations can be
    differentiated again.

    >>> class Cube(mt.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x**3
    ...
    ...     @staticmethod
    ...     def backward(ctx, g):
    ...         (x,) = ctx.saved_tensors
    ...         return g * 3 * x**2
    >>> x = mt.tensor([1.0, 2.0], requires_grad=True)
    >>> Cube.apply(x).sum().backward()
    >>> x.grad
    tensor([ 3., 12.])
    """

    generate_vmap_rule = False
    _row: Any = None

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Refused: a Function is not an object to call."""
        raise GraphError(f"{type(self).__name__}: its methods are static; call {type(self).__name__}.apply(...)")

    @staticmethod
    def forward(*args: Any, **kwargs: Any) -> Any:
        """Computes the outputs."""
        raise NotImplementedError("a Function must implement the static method forward")

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> Any:
        """Saves what the backward needs; where it is implemented, forward gets no ctx."""
        raise NotImplementedError("setup_context is not implemented")

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Any) -> Any:
        """The gradients of the arguments, given those of the outputs."""
        raise NotImplementedError("a Function must implement the static method backward (or vjp) to be differentiated")

    @staticmethod
    def vjp(ctx: Any, *grad_outputs: Any) -> Any:
        """Another name for `backward`."""
        raise NotImplementedError("a Function must implement the static method backward (or vjp) to be differentiated")

    @staticmethod
    def jvp(ctx: Any, *grad_inputs: Any) -> Any:
        """The tangents of the outputs, given those of the arguments."""
        raise NotImplementedError("a Function must implement the static method jvp to be used in forward mode")

    @staticmethod
    def vmap(info: Any, in_dims: Any, *args: Any) -> Any:
        """`(outputs, out_dims)` of arguments of which those with an axis in `in_dims` have a batch there."""
        raise NotImplementedError("a Function must implement the static method vmap to be used in vmap")

    @classmethod
    def _operator(cls) -> Op:
        """The class as an operator."""
        if cls.__dict__.get("_row") is None:
            cls._row = Op(
                cls.__name__,
                _reference,
                None,
                (part_of(_pull),),
                _push,
                lambda rng: iter(()),
                variadic=True,
                joint=_pull,
                custom=True,
                batch=_in_batch,
            )
        return cls._row  # type: ignore[no-any-return]

    @classmethod
    def apply(cls, *args: Any, **kwargs: Any) -> Any:
        """Calls the Function on tensors and anything else, and records it. Arguments by name take their places."""
        with_context = cls.setup_context is Function.setup_context
        if with_context and kwargs:
            args = inspect.signature(cls.forward).bind(None, *args, **kwargs).args[1:]
        elif not with_context:
            bound = inspect.signature(cls.forward).bind(*args, **kwargs)
            bound.apply_defaults()
            args = bound.args
        call = _Call(cls, args)
        tensors = [args[i] for i in call.places]
        made = _recorded(call, tensors)
        outs = list(made) if isinstance(made, tuple) else [made]
        for k, constant in enumerate(call.constant):
            if constant and (outs[k].requires_grad or outs[k].layer is not None):
                outs[k] = outs[k].detach()
        for k, i in call.dirty:
            name = f"{cls.__name__}: mark_dirty"
            views.check_writable(name, tensors[i])
            views.adopt(name, tensors[i], outs[k])
            outs[k] = tensors[i]
        results = list(call.results)
        for k, y in zip(call.outputs, outs, strict=True):
            results[k] = y
        return results[0] if call.single else tuple(results)


class InplaceFunction(Function):
    """A Function by its older name for those that write their inputs."""


def once_differentiable(fn: Callable[..., Any]) -> Callable[..., Any]:
    """Of a backward that cannot itself be differentiated: a second derivative through it raises GraphError."""

    @functools.wraps(fn)
    def once(ctx: Any, *grads: Any) -> Any:
        with no_grad():
            found = fn(ctx, *grads)
        if not modes.grad_enabled() or not any(g.requires_grad for g in grads if isinstance(g, Tensor)):
            return found

        def refuse(g: Any) -> Any:
            raise GraphError("trying to differentiate twice a function that was marked with @once_differentiable")

        parts = list(found) if isinstance(found, tuple) else [found]
        places = [i for i, d in enumerate(parts) if isinstance(d, Tensor) and d.is_floating_point()]
        if places:
            for i, d in zip(places, hooked(tuple([as_leaf(parts[i]) for i in places]), refuse), strict=True):
                parts[i] = d
        return tuple(parts) if isinstance(found, tuple) else parts[0]

    return once
