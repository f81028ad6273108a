"""Functions of functions: their derivatives, and their application to batches. PyTorch: torch.func.

Each takes a function of tensors and gives another, so they nest in any order: `vmap(grad(f))` has the gradient of each
example, `jacfwd(jacrev(f))` the Hessian. Arguments and results may be trees (tuples, lists, dicts) of tensors.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import batching, creation, pytree
from .autograd.modes import enable_grad
from .errors import (
    ArgumentError,
    ArgumentRangeError,
    DtypeError,
    GraphError,
    MissingKeyError,
    MissingModuleError,
    ShapeError,
)
from .graph import backward, forward, modes
from .graph.tensors import as_leaf, outside, wrap
from .ops import join
from .ops import shape as shapes
from .tensor import Tensor

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "stack_module_state",
    "vjp",
    "vmap",
]


# --- what they share --------------------------------------------------------------------------------------------------


def _chosen(name: str, args: Sequence[Any], argnums: int | Sequence[int]) -> tuple[int, ...]:
    """The positions of the arguments to differentiate by."""
    places = (argnums,) if isinstance(argnums, int) else argnums
    if not isinstance(places, (tuple, list)) or not places or not all(isinstance(n, int) for n in places):
        raise ArgumentError(f"{name}: argnums must be an integer or a tuple of them, not {argnums!r}")
    for n in places:
        if not -len(args) <= n < len(args):
            raise ArgumentRangeError(f"{name}: argnums {argnums} for a function called with {len(args)} arguments")
    found = tuple([n % len(args) for n in places])
    if len(set(found)) != len(found):
        raise ShapeError(f"{name}: argnums {argnums} names an argument twice")
    return found


def _tensors(name: str, what: str, tree: Any) -> list[Any]:
    found = list(pytree.leaves(tree))
    for x in found:
        if not isinstance(x, Tensor):
            raise ArgumentError(f"{name}: {what} must be tensors or trees of them, not {type(x).__name__}")
    return found


def _variable(name: str, x: Any) -> Any:
    """`x` as something to differentiate by: connected to what it was made from, if that is recorded."""
    if not x.is_floating_point():
        raise DtypeError(f"{name}: only floating tensors have derivatives, not {x.dtype.name}")
    x = batching.everywhere(x)
    return shapes.clone(x) if x.requires_grad else as_leaf(x)


class _Reverse:
    """A function's outputs, recorded from inputs that stand for those of the caller."""

    def __init__(self, name: str, func: Callable[..., Any], inputs: Any, has_aux: bool) -> None:
        self.name, self.inputs = name, inputs
        given = _tensors(name, "the inputs", inputs)
        recording = modes.grad_enabled()
        with enable_grad():
            self.variables = [_variable(name, x) for x in given]
            out = func(pytree.rebuild(inputs, self.variables))
        self.aux = None
        if has_aux:
            if not (isinstance(out, tuple) and len(out) == 2):
                raise ArgumentError(f"{name}: with has_aux the function returns (output, aux)")
            out, self.aux = out
        self.out = out
        self.outputs = _tensors(name, "the outputs", out)
        # Whether something beside the inputs' values leads to the outputs: then derivatives are recorded too.
        below = [_bottom(v) for v in self.variables]
        self.recorded = recording and (
            any(x.requires_grad for x in given)
            or any(all(x is not b for b in below) for x in backward.leaves(self.outputs))
        )

    def released(self, tree: Any) -> Any:
        """Results as the caller gets them: outside the graph, if only the inputs led to them."""
        if self.recorded:
            return tree
        return pytree.tree_map(lambda x: outside(x) if isinstance(x, Tensor) else x, tree)

    def gradients(self, cotangents: Sequence[Any], retain: bool = True) -> Any:
        """The inputs' gradients, in their form; zeros where the outputs do not depend on one."""
        record = modes.grad_enabled() and (self.recorded or any(c.requires_grad for c in cotangents))
        pairs = [(y, c) for y, c in zip(self.outputs, cotangents, strict=True) if y.requires_grad]
        found: list[Any] = [None] * len(self.variables)
        if pairs:
            found = backward.differentiate(
                [y for y, _ in pairs], [c for _, c in pairs], self.variables, retain, record, True
            )
        zeros = [creation.zeros_like(v) if g is None else g for g, v in zip(found, self.variables, strict=True)]
        return pytree.rebuild(self.inputs, zeros if record else [outside(g) for g in zeros])


def _bottom(x: Any) -> Any:
    """The tensor under all vmaps."""
    while isinstance(x.layer, batching.Batched):
        x = x.layer.tensor
    return x


def _with(args: Sequence[Any], places: Sequence[int], values: Sequence[Any]) -> list[Any]:
    """The arguments with others at some places."""
    out = list(args)
    for n, value in zip(places, values, strict=True):
        out[n] = value
    return out


# --- reverse mode -----------------------------------------------------------------------------------------------------


def grad_and_value(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of a scalar function and its value: `(gradient, value)`.

    With `has_aux`, `func` returns `(value, aux)` and the result is `(gradient, (value, aux))`.

    >>> mt.func.grad_and_value(lambda x: (x * x).sum())(mt.tensor([1.0, 2.0]))
    (tensor([2., 4.]), tensor(5.))
    """

    @functools.wraps(func)
    def both(*args: Any, **kwargs: Any) -> Any:
        places = _chosen("grad", args, argnums)
        run = _Reverse(
            "grad", lambda xs: func(*_with(args, places, xs), **kwargs), tuple([args[n] for n in places]), has_aux
        )
        value = run.out
        if not isinstance(value, Tensor) or value.array.shape != ():
            got = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
            raise ShapeError(f"grad: the function must return a scalar (a tensor without axes), not {got}")
        found = run.gradients([creation.ones_like(value)], retain=run.recorded)
        result = found[0] if isinstance(argnums, int) else found
        value = run.released(value)
        return result, (value, run.released(run.aux)) if has_aux else value

    return both


def grad(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """The function that gives the gradient of a scalar function by its argument `argnums` (or by several).

    With `has_aux`, `func` returns `(value, aux)` and the result is `(gradient, aux)`.

    >>> mt.func.grad(mt.sin)(mt.tensor(0.0))
    tensor(1.)
    """
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = both(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple[Any, ...]:
    """`(output, vjp_fn)`: `vjp_fn(*cotangents)` gives the cotangents times the Jacobian, one result per primal.

    The function runs once; `vjp_fn` may be called any number of times. With `has_aux` also the aux is returned.

    >>> y, vjp_fn = mt.func.vjp(lambda x: x * x, mt.tensor([1.0, 2.0]))
    >>> vjp_fn(mt.tensor([1.0, 10.0]))
    (tensor([ 2., 40.]),)
    """
    run = _Reverse("vjp", lambda xs: func(*xs), tuple(primals), has_aux)

    def vjp_fn(*cotangents: Any) -> Any:
        tree = cotangents[0] if len(cotangents) == 1 and not isinstance(run.out, tuple) else cotangents
        if len(cotangents) == 1 and isinstance(run.out, tuple) and isinstance(cotangents[0], tuple):
            tree = cotangents[0]
        given = _tensors("vjp", "the cotangents", tree)
        if len(given) != len(run.outputs):
            raise ShapeError(f"vjp: {len(given)} cotangents for {len(run.outputs)} outputs")
        for c, y in zip(given, run.outputs, strict=True):
            if c.array.shape != y.array.shape:
                raise ShapeError(f"vjp: a cotangent of shape {tuple(c.shape)} for an output of shape {tuple(y.shape)}")
        return run.gradients([c.to(y.dtype) for c, y in zip(given, run.outputs, strict=True)])

    out = run.released(run.out)
    return (out, vjp_fn, run.released(run.aux)) if has_aux else (out, vjp_fn)


# --- forward mode -----------------------------------------------------------------------------------------------------


def jvp(
    func: Callable[..., Any], primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> tuple[Any, ...]:
    """`(output, tangent)`: the function's value, and the Jacobian times the tangents, in one forward pass.

    With `has_aux` also the aux is returned. With `strict` an output that does not depend on the primals raises.

    >>> mt.func.jvp(mt.sin, (mt.tensor(0.0),), (mt.tensor(2.0),))
    (tensor(0.), tensor(2.))
    """
    if not isinstance(primals, tuple) or not isinstance(tangents, tuple) or len(primals) != len(tangents):
        raise ArgumentError("jvp: primals and tangents must be tuples of one length")
    if not primals:
        raise ArgumentError("jvp: no primals to differentiate by")
    xs, ts = _tensors("jvp", "primals", primals), _tensors("jvp", "tangents", tangents)
    if len(xs) != len(ts):
        raise ShapeError(f"jvp: {len(ts)} tangents for {len(xs)} primals")
    for x, t in zip(xs, ts, strict=True):
        if x.array.shape != t.array.shape:
            raise ShapeError(f"jvp: a tangent of shape {tuple(t.shape)} for a primal of shape {tuple(x.shape)}")
        if not (x.is_floating_point() or x.is_complex()):
            raise DtypeError(f"jvp: only floating tensors have derivatives, not {x.dtype.name}")
    level = forward.Level()
    try:
        duals = [forward.make_dual(level, x, t.to(x.dtype)) for x, t in zip(xs, ts, strict=True)]
        out, aux = func(*pytree.rebuild(primals, duals)), None
        if has_aux:
            out, aux = out
        pairs = [forward.unpack_dual(level, y) for y in _tensors("jvp", "the outputs", out)]
        aux = pytree.tree_map(lambda x: forward.unpack_dual(level, x)[0] if isinstance(x, Tensor) else x, aux)
    finally:
        level.close()
    if strict and any(t is None for _, t in pairs):
        raise GraphError("jvp: an output does not depend on the primals")
    value = pytree.rebuild(out, [p for p, _ in pairs])
    moved = pytree.rebuild(out, [creation.zeros_like(p) if t is None else t for p, t in pairs])
    return (value, moved, aux) if has_aux else (value, moved)


def linearize(func: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[..., Any]]:
    """`(output, jvp_fn)`: `jvp_fn(*tangents)` gives the Jacobian times the tangents without running `func` again.

    The Jacobian is the transpose of the vjp, which is linear in its cotangents.

    >>> y, jvp_fn = mt.func.linearize(lambda x: x * x, mt.tensor([1.0, 2.0]))
    >>> jvp_fn(mt.tensor([1.0, 1.0]))
    tensor([2., 4.])
    """
    with enable_grad():
        run = _Reverse("linearize", lambda xs: func(*xs), tuple(primals), False)
        seeds = [creation.zeros_like(y).requires_grad_() for y in run.outputs]
        pulled = list(pytree.leaves(run.gradients(seeds)))

    def jvp_fn(*tangents: Any) -> Any:
        given = _tensors("linearize", "the tangents", tangents)
        if len(given) != len(run.variables):
            raise ArgumentError(f"linearize: {len(given)} tangents for {len(run.variables)} primals")
        for t, x in zip(given, run.variables, strict=True):
            if t.array.shape != x.array.shape:
                raise ShapeError(f"linearize: a tangent of shape {tuple(t.shape)} for a primal of {tuple(x.shape)}")
        live = [(g, t) for g, t in zip(pulled, given, strict=True) if g.requires_grad]
        found: list[Any] = [None] * len(seeds)
        if live:
            record = modes.grad_enabled() and (run.recorded or any(t.requires_grad for t in given))
            found = backward.differentiate([g for g, _ in live], [t for _, t in live], seeds, True, record, True)
        filled = [creation.zeros_like(s).detach() if g is None else g for g, s in zip(found, seeds, strict=True)]
        return pytree.rebuild(run.out, filled)

    return run.released(run.out), jvp_fn


# --- batches ----------------------------------------------------------------------------------------------------------


def vmap(
    func: Callable[..., Any],
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function of one example as a function of a batch: axis `in_dims` of each input, `out_dims` of each output.

    `in_dims` is an int for all, or a tree in the form of the inputs with None for those that all examples share, as
    those given by name are. With None in `out_dims` a result that is the same for all examples comes as it is.
    `randomness`: "error", "same" numbers for all examples or "different" ones. With `chunk_size` the batch is taken in
    pieces, which bounds the memory. Operators without a rule for batches run once for each example.
    Raises GraphError where the function reads a tensor's elements.

    >>> mt.func.vmap(mt.dot)(mt.ones(2, 3), mt.ones(2, 3))
    tensor([3., 3.])
    """
    if randomness not in ("error", "same", "different"):
        raise ArgumentError(f"vmap: randomness must be 'error', 'same' or 'different', not {randomness!r}")
    if chunk_size is not None and chunk_size < 1:
        raise ArgumentError(f"vmap: chunk_size must be at least 1, not {chunk_size}")

    @functools.wraps(func)
    def batched(*args: Any, **kwargs: Any) -> Any:
        tree = (args, kwargs)
        dims = tuple(in_dims) if isinstance(in_dims, list) else in_dims
        given = list(pytree.leaves(tree))
        axes = pytree.spread("vmap: in_dims", dims, args) + pytree.spread("vmap: in_dims", None, kwargs)
        size, places = _batch_size(given, axes)
        if chunk_size is None or size <= chunk_size:
            return _run_batch(func, tree, given, places, size, out_dims, randomness)
        parts = []
        for start in range(0, size, chunk_size):
            length = min(chunk_size, size - start)
            piece = [x if d is None else join.narrow(x, d, start, length) for x, d in zip(given, places, strict=True)]
            parts.append(_run_batch(func, tree, piece, places, length, out_dims, randomness))
        ends = pytree.spread("vmap: out_dims", out_dims, parts[0])
        columns = zip(*[list(pytree.leaves(part)) for part in parts], strict=True)
        joined = [None if d is None else join.cat(list(c), d) for c, d in zip(columns, ends, strict=True)]
        return pytree.rebuild(parts[0], joined)

    return batched


def _batch_size(given: list[Any], axes: list[Any]) -> tuple[int, list[int | None]]:
    """The size of the batch, and each input's axis for it, counted from the front."""
    size: int | None = None
    places: list[int | None] = []
    for x, d in zip(given, axes, strict=True):
        if not isinstance(x, Tensor) or d is None:
            if d is not None and d != 0:
                raise ArgumentError(f"vmap: in_dims has {d} for an input that is no tensor, but a {type(x).__name__}")
            places.append(None)
            continue
        if not isinstance(d, int):
            raise ArgumentError(f"vmap: in_dims must be integers or None, not {d!r}")
        ndim = x.array.ndim
        if not -ndim <= d < ndim:
            raise ArgumentRangeError(f"vmap: in_dims {d} for an input of shape {tuple(x.shape)}")
        places.append(d % ndim)
        if size is not None and x.array.shape[d] != size:
            raise ShapeError(f"vmap: the inputs' batches differ in size: {size} and {x.array.shape[d]}")
        size = x.array.shape[d]
    if size is None:
        raise ArgumentError("vmap: no input has a batch axis")
    return size, places


def _run_batch(
    func: Callable[..., Any],
    tree: Any,
    given: list[Any],
    places: list[int | None],
    size: int,
    out_dims: Any,
    randomness: str,
) -> Any:
    level = batching.BatchLevel(size, randomness)
    try:
        inside = [
            x if d is None else level.wrap(x if d == 0 else shapes.movedim(x, d, 0))
            for x, d in zip(given, places, strict=True)
        ]
        args, kwargs = pytree.rebuild(tree, inside)
        out = func(*args, **kwargs)
        ends = pytree.spread("vmap: out_dims", out_dims, out)
        results: list[Any] = []
        for y, d in zip(pytree.leaves(out), ends, strict=True):
            if not isinstance(y, Tensor):
                if d is not None:
                    raise ArgumentError(f"vmap: the function must return tensors, not {type(y).__name__}")
                results.append(y)
                continue
            if d is None:
                if level.beneath(y) is not None:
                    raise ArgumentError("vmap: out_dims is None for an output that differs from example to example")
                results.append(y)
            else:
                whole = level.batched(y)
                results.append(whole if d == 0 else shapes.movedim(whole, 0, d))
        return pytree.rebuild(out, results)
    finally:
        level.close()


# --- Jacobians and Hessians -------------------------------------------------------------------------------------------


def _basis(tensors: Sequence[Any]) -> list[Any]:
    """For tensors of n elements in all, (n, *shape) for each: the rows of the identity, cut into the tensors."""
    sizes = [x.array.size for x in tensors]
    out, start = [], 0
    for x, n in zip(tensors, sizes, strict=True):
        rows = np.zeros((sum(sizes), n), x.array.dtype)
        rows[start : start + n] = np.eye(n, dtype=x.array.dtype)
        out.append(wrap(rows.reshape(sum(sizes), *x.array.shape)))
        start += n
    return out


def jacrev(
    func: Callable[..., Any], argnums: Any = 0, *, has_aux: bool = False, chunk_size: int | None = None
) -> Callable[..., Any]:
    """The function that gives the Jacobian by reverse mode: shape (*output, *input), cheap for few outputs.

    Trees of outputs and inputs give trees of trees. One run of `func`, one batched walk back (`chunk_size` rows at a
    time).

    >>> mt.func.jacrev(lambda x: x * x)(mt.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        places = _chosen("jacrev", args, argnums)
        run = _Reverse(
            "jacrev", lambda xs: func(*_with(args, places, xs), **kwargs), tuple([args[n] for n in places]), has_aux
        )
        rows = vmap(lambda *cs: run.gradients(cs), chunk_size=chunk_size)(*_basis(run.outputs))
        blocks, start = [], 0
        for y in run.outputs:
            n = y.array.size

            def block(g: Any, y: Any = y, start: int = start, n: int = n) -> Any:
                part = join.narrow(g, 0, start, n)
                return shapes.reshape(part, (*y.array.shape, *part.array.shape[1:]))

            tree = pytree.tree_map(block, rows)
            blocks.append(tree[0] if isinstance(argnums, int) else tree)
            start += n
        result = pytree.rebuild(run.out, blocks)
        return (result, run.released(run.aux)) if has_aux else result

    return jacobian


def jacfwd(
    func: Callable[..., Any],
    argnums: Any = 0,
    has_aux: bool = False,
    *,
    randomness: str = "error",
    chunk_size: int | None = None,
) -> Callable[..., Any]:
    """The function that gives the Jacobian by forward mode: shape (*output, *input), cheap for few inputs.

    >>> mt.func.jacfwd(lambda x: x * x)(mt.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """

    @functools.wraps(func)
    def jacobian(*args: Any, **kwargs: Any) -> Any:
        places = _chosen("jacfwd", args, argnums)
        primals = tuple([args[n] for n in places])
        xs = _tensors("jacfwd", "the inputs", primals)
        kept: list[Any] = []

        def pushed(*tangents: Any) -> Any:
            out = jvp(
                lambda *vs: func(*_with(args, places, vs), **kwargs),
                primals,
                pytree.rebuild(primals, tangents),
                has_aux=has_aux,
            )
            kept[:] = [out[0]]
            return out[1:] if has_aux else out[1]

        found = vmap(pushed, randomness=randomness, chunk_size=chunk_size)(*_basis(xs))
        moved, aux = (found[0], pytree.tree_map(lambda a: a[0], found[1])) if has_aux else (found, None)

        def blocks(rows: Any) -> Any:
            columns, start = [], 0
            shape = rows.array.shape[1:]
            last = shapes.movedim(rows, 0, -1)
            for x in xs:
                part = join.narrow(last, -1, start, x.array.size)
                columns.append(shapes.reshape(part, (*shape, *x.array.shape)))
                start += x.array.size
            tree = pytree.rebuild(primals, columns)
            return tree[0] if isinstance(argnums, int) else tree

        result = pytree.tree_map(blocks, moved)
        return (result, aux) if has_aux else result

    return jacobian


def hessian(func: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """The function that gives the matrix of second derivatives: forward mode over reverse mode.

    >>> mt.func.hessian(lambda x: (x**3).sum())(mt.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    return jacfwd(jacrev(func, argnums), argnums)


# --- modules as functions of their parameters -------------------------------------------------------------------------


def _owner(module: Any, name: str) -> tuple[Any, str]:
    """The submodule that holds `name`, and its name there."""
    *path, last = name.split(".")
    for part in path:
        if part not in module._modules:
            raise MissingModuleError(f"functional_call: {type(module).__name__} has no part {part!r}, as in {name!r}")
        module = module._modules[part]
    return module, last


@contextmanager
def _replaced(module: Any, values: dict[str, Any], tie_weights: bool) -> Iterator[None]:
    """The module with other tensors as its parameters and buffers."""
    names = dict(values)
    if tie_weights:  # a tensor that two names share is replaced under both
        known: dict[int, list[str]] = {}
        for name, x in [
            *module.named_parameters(remove_duplicate=False),
            *module.named_buffers(remove_duplicate=False),
        ]:
            known.setdefault(id(x), []).append(name)
        for group in known.values():
            for name in group:
                for other in group:
                    if name in values:
                        names.setdefault(other, values[name])
    absent = object()
    before = []
    try:
        for name, value in names.items():
            if not isinstance(value, Tensor):
                raise TypeError(f"functional_call: {name!r} must be a tensor, not {type(value).__name__}")
            owner, last = _owner(module, name)
            table = next((t for t in (owner._parameters, owner._buffers) if last in t), vars(owner))
            before.append((table, last, table.get(last, absent)))
            table[last] = value
        yield
    finally:
        for table, last, value in reversed(before):
            table[last] = value
            if value is absent:
                del table[last]


def functional_call(
    module: Any,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict[str, Any] | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args)` with the tensors of a dict (or of several) in place of its parameters and buffers.

    `args` is a tuple, or the one argument. With `strict` every parameter and buffer must be given, and nothing else;
    without it another name is an attribute of the module during the call.

    >>> model = mt.nn.Linear(2, 1)
    >>> mt.func.functional_call(model, {"weight": mt.ones(1, 2), "bias": mt.zeros(1)}, mt.ones(2))
    tensor([2.])
    """
    dicts = parameter_and_buffer_dicts
    if isinstance(dicts, dict):
        dicts = (dicts,)
    values: dict[str, Any] = {}
    for part in dicts:
        for name in part:
            if name in values:
                raise ArgumentError(f"functional_call: {name!r} is in two of the dicts")
        values.update(part)
    if strict:
        needed = {name for name, _ in [*module.named_parameters(), *module.named_buffers()]}
        if needed ^ set(values):
            missing, unknown = sorted(needed - set(values)), sorted(set(values) - needed)
            raise MissingKeyError(f"functional_call: missing {missing}, unknown {unknown}")
    given = () if args is None else args if isinstance(args, tuple) else (args,)
    with _replaced(module, values, tie_weights):
        return module(*given, **(kwargs or {}))


def stack_module_state(models: Sequence[Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters and buffers of models of one kind, stacked in axis 0, for `vmap` over `functional_call`.

    >>> models = [mt.nn.Linear(2, 1) for _ in range(3)]
    >>> mt.func.stack_module_state(models)[0]["weight"].shape
    minitensor.Size([3, 1, 2])
    """
    if not models:
        raise ArgumentError("stack_module_state: no models")
    if any(type(m) is not type(models[0]) for m in models):
        raise ArgumentError("stack_module_state: the models must be of one class")
    if len({m.training for m in models}) > 1:
        raise ArgumentError("stack_module_state: the models must all be in train mode, or all in eval mode")

    def stacked(tables: list[dict[str, Any]], leaf: bool) -> dict[str, Any]:
        out = {}
        for name in tables[0]:
            x = join.stack([table[name].detach() for table in tables])
            out[name] = x.requires_grad_(tables[0][name].requires_grad) if leaf else x
        return out

    return stacked([dict(m.named_parameters()) for m in models], True), stacked(
        [dict(m.named_buffers()) for m in models], False
    )
