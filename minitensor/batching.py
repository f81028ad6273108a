"""The layer that `vmap` puts over tensors: one more axis, which the function under it does not see.

    x of shape (3,) inside vmap  =  Batched(level, tensor of shape (B, 3))

An operator on such tensors is an operator on the tensors beneath, with its parameters adapted: its row's `batch` says
how, an elementwise operator's axes are lined up, and whatever has no rule runs once for each element of the batch. The
graph is recorded beneath, and forward mode's duals lie beneath, so every derivative works through it; vmaps nest, one
layer on another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import pytree, random
from .errors import GraphError, ShapeError
from .graph import backward, modes, views
from .graph.forward import Level
from .graph.record import apply
from .graph.tensors import Tensor, make_layered, wrap
from .ops import join
from .ops import shape as shapes
from .ops.common import raw


class Hidden(np.ndarray):
    """What stands for the array of a tensor inside vmap: shape and dtype, but no elements that could be read."""

    def _unreadable(self, *args: Any, **kwargs: Any) -> Any:
        raise GraphError(
            "vmap: the function reads elements of a tensor (item(), numpy(), if, nonzero(), a mask as an index), "
            "which differ from one element of the batch to the next; use where() or gather(), or a loop instead of vmap"
        )

    __array_ufunc__ = __array_function__ = __array__ = _unreadable
    __getitem__ = __iter__ = __bool__ = __float__ = __int__ = __index__ = _unreadable
    all = any = max = min = sum = prod = mean = item = tolist = astype = copy = tobytes = reshape = transpose = (
        _unreadable
    )
    argmax = argmin = argsort = sort = nonzero = cumsum = ravel = flatten = take = repeat = dot = clip = round = (
        _unreadable
    )


class Batched:
    """One open vmap's hold on a tensor: beneath lies `tensor`, whose axis 0 is the batch."""

    __slots__ = ("level", "tensor")

    def __init__(self, level: BatchLevel, tensor: Any) -> None:
        self.level, self.tensor = level, tensor

    def evaluate(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """The operator on tensors of which at least one is this layer's."""
        below, flags = [], []
        for a in args:
            x = self.level.beneath(a)
            below.append(a if x is None else x)
            flags.append(x is not None)
        return self.level.wrap(vectorised(op, below, flags, params, self.level.size))

    def through(self, function: Callable[..., Any], *tensors: Any) -> Any:
        """`function` of what lies beneath tensors, all of them with the batch; its results under the layer again."""
        return self.level.wrap(function(*[None if t is None else self.level.batched(t) for t in tensors]))

    def assign(self, name: str, x: Any, value: Any) -> None:
        """Writes `value` into `x`, which lies under this layer or takes a value that does."""
        if self.level.beneath(x) is None:
            raise GraphError(
                f"{name}: inside vmap a tensor made without the batch cannot be written with values that have it; "
                "make it from an input, as by zeros_like(x), or use an operator that makes a new tensor"
            )
        if value.array.shape != x.array.shape:
            raise ShapeError(f"{name}: the result has shape {value.array.shape}, the tensor to write {x.array.shape}")
        views.assign(name, self.level.beneath(x), self.level.batched(value))

    def differentiate(self, outputs: Any, grads: Any, inputs: Any, *flags: bool) -> list[Any]:
        """The walk back from outputs under this layer: each element of the batch for itself."""
        if inputs is None:
            raise GraphError(
                "backward: inside vmap gradients cannot be added to .grad; use mt.func.grad or autograd.grad"
            )
        if any(self.level.beneath(x) is None for x in inputs):
            raise GraphError("grad: inside vmap an input without the batch has no gradient of its own for each element")
        ys = [self.level.beneath(y) for y in outputs]
        if any(y is None for y in ys):
            raise GraphError("grad: inside vmap an output does not depend on the batch")
        seeds = [self.level.batched(g) for g in grads]
        found = backward.differentiate(ys, seeds, [self.level.beneath(x) for x in inputs], *flags)
        return [None if g is None else self.level.wrap(g) for g in found]


def _nothing() -> None:
    pass


class BatchLevel(Level):
    """One open vmap: how many elements its batch has, and what random numbers in it do."""

    __slots__ = ("randomness", "size")
    takes_masks = False  # as indices: how much they take differs from element to element

    def __init__(self, size: int, randomness: str) -> None:
        super().__init__()
        self.size, self.randomness = size, randomness
        modes.batch_levels().append(self)

    def close(self) -> None:
        """Ends it."""
        modes.batch_levels().remove(self)
        super().close()

    def wrap(self, x: Any) -> Any:
        """A tensor (or tuple of tensors) with the batch in axis 0, under the layer."""
        if isinstance(x, tuple):
            return tuple([self.wrap(part) for part in x])
        if x is None:
            return None
        inner = _above(x, self)
        if inner is not None:  # the innermost vmap's layer stays outside
            return inner.level.wrap(self.wrap(shapes.transpose(inner.tensor, 0, 1)))
        array = np.ndarray.__new__(Hidden, x.array.shape[1:], x.array.dtype)
        # NumPy has ways to the elements that a class cannot close: what goes them finds no sensible number.
        kind = array.dtype.kind
        array.fill(np.nan if kind in "fc" else True if kind == "b" else np.iinfo(array.dtype).min)
        return make_layered(array, Batched(self, x))

    def beneath(self, x: Any) -> Any:
        """What lies under this layer of a tensor, with the batch in axis 0; None for one without the layer."""
        layer = getattr(x, "layer", None)
        return layer.tensor if isinstance(layer, Batched) and layer.level is self else None

    def each(self, function: Callable[..., Any], args: Any, kwargs: Any, before: Callable[[], Any] = _nothing) -> Any:
        """`function` once for each element of the batch, `before()` before each; its results together."""
        tree = (args, kwargs)
        given = list(pytree.leaves(tree))
        below = [self.beneath(x) for x in given]
        form: list[Any] = []

        def one(*row: Any) -> tuple[Any, ...]:
            before()
            some_args, some_kwargs = pytree.rebuild(tree, row)
            form[:] = [function(*some_args, **some_kwargs)]
            return tuple([y for y in pytree.leaves(form[0]) if isinstance(y, Tensor)])

        flags = [x is not None for x in below]
        values = [x if b is None else b for x, b in zip(given, below, strict=True)]
        made = iter(self.wrap(one_by_one(one, values, flags, self.size)))
        return pytree.tree_map(lambda y: next(made) if isinstance(y, Tensor) else y, form[0])

    def draw(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """`function`, which draws random numbers: the same for all elements, or others for each."""
        name = function.__name__
        if self.randomness == "error":
            raise GraphError(
                f"vmap: {name} draws random numbers, and vmap is in randomness error mode; "
                "give it randomness='same' or 'different', or draw them outside"
            )
        found = [self.beneath(x) is not None for x in pytree.leaves((args, kwargs))]
        levels = modes.batch_levels()
        levels.remove(self)
        try:
            if self.randomness == "same":
                if not any(found):
                    return function(*args, **kwargs)
                state = random.get_rng_state()
                made = self.each(function, args, kwargs, lambda: random.set_rng_state(state))
            elif name.endswith("_") and not found[0]:
                raise GraphError(f"vmap: {name} cannot write numbers for each element into a tensor without the batch")
            else:
                made = self.each(function, args, kwargs)
        finally:
            levels.append(self)
        return args[0] if name.endswith("_") else made

    def batched(self, x: Any) -> Any:
        """What lies under this layer; a tensor without it is repeated."""
        inner = _above(x, self)
        if inner is not None:
            return inner.level.wrap(shapes.transpose(self.batched(inner.tensor), 0, 1))
        below = self.beneath(x)
        return shapes.expand(shapes.unsqueeze(x, 0), (self.size, *x.array.shape)) if below is None else below


def _above(x: Any, level: BatchLevel) -> Any:
    """The layer over `x` of a vmap further inside than `level`, or None."""
    layer = x.layer
    return layer if isinstance(layer, Batched) and layer.level.number > level.number else None


def vectorised(op: Any, args: list[Any], flags: list[bool], params: dict[str, Any], size: int) -> Any:
    """An operator on arguments of which those flagged have the batch in axis 0; so have the results."""
    made = NotImplemented if op.batch is None else op.batch(args, flags, **params)
    if made is not NotImplemented:
        return made
    if op.jvp == "elementwise" or op.broadcasts:
        return apply(op, *aligned(args, flags), **params)
    return one_by_one(lambda *row: apply(op, *row, **params), args, flags, size, op.view)


def everywhere(x: Any) -> Any:
    """`x` with the batch of every vmap that is open: so that each element has a value, and a gradient, of its own."""

    def under(x: Any, levels: list[Any]) -> Any:
        return levels[-1].wrap(under(levels[-1].batched(x), levels[:-1])) if levels else x

    return under(x, modes.batch_levels())


@contextmanager
def inside(level: BatchLevel) -> Iterator[None]:
    """While it is open, so is the vmap again that `outside` has hidden."""
    levels = modes.batch_levels()
    before = levels[:]
    levels[:] = [x for x in before if x is not level] + [level]
    try:
        yield
    finally:
        levels[:] = before


@contextmanager
def outside() -> Iterator[None]:
    """While it is open, no vmap is: for what runs on the tensors beneath them all."""
    levels = modes.batch_levels()
    before = levels[:]
    levels.clear()
    try:
        yield
    finally:
        levels[:] = before


def aligned(args: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    """The arguments with axes of size 1 after the batch, so that those behind it broadcast from the last one on."""
    rank = max(raw(a).ndim - flag for a, flag in zip(args, flags, strict=True) if hasattr(raw(a), "ndim"))
    out = []
    for a, flag in zip(args, flags, strict=True):
        if flag and a.array.ndim - 1 < rank:
            shape = a.array.shape
            a = shapes.reshape(a, (shape[0], *[1] * (rank - len(shape) + 1), *shape[1:]))
        out.append(a)
    return out


def one_by_one(
    run: Callable[..., Any], args: Sequence[Any], flags: Sequence[bool], size: int, view: bool = False
) -> Any:
    """`run` once for each element of the batch: slow, and right for every operator. A `view` is not to be written."""
    if size == 0:
        zeros = [wrap(np.zeros(a.array.shape[1:], a.array.dtype)) if f else a for a, f in zip(args, flags, strict=True)]
        made = run(*zeros)
        outs = made if isinstance(made, tuple) else (made,)
        empty = tuple([wrap(np.zeros((0, *y.array.shape), y.array.dtype)) for y in outs])
        return empty if isinstance(made, tuple) else empty[0]
    columns = [join.unbind(a, 0) if f else (a,) * size for a, f in zip(args, flags, strict=True)]
    rows = [run(*row) for row in zip(*columns, strict=True)] if columns else [run() for _ in range(size)]
    many = isinstance(rows[0], tuple)
    out = tuple([join.stack(parts) for parts in zip(*(rows if many else [(y,) for y in rows]), strict=True)])
    if view:  # these are copies: a write into them would not reach what they are views of
        for y in out:
            y.array.flags.writeable = False
    return out if many else out[0]
