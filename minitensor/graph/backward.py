"""The walk back over the nodes: each one's rules, once all the gradients of its outputs have come together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import GraphError, ShapeError
from .nodes import at_edge
from .record import apply

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .algebra import algebra
    from .arrays import base_of, dtype_of, same_shape
    from .modes import Thread, current, recording, set_grad_enabled, switches
    from .nodes import Node, holds_arrays, recorded_at, saved_value, unpack_array
    from .places import describe, here
    from .record import Row, narrowed, odd_of, row_of, widened
    from .tensors import Tensor, Version, batch_over, origin, shadow, wrap

_ndarray = cython.declare(object, np.ndarray)
_F32 = cython.declare(object, np.dtype("float32"))


@cython.freelist(64)
@cython.final
@cython.cclass
class _Pending:
    """What the walk knows of a node, or of a leaf: how many edges still lead to it, and the gradients so far."""

    edges: int
    grad: Any  # of a leaf, and of a node with one output
    own: bool  # whether the walk may add into the gradient's memory
    grads: Any  # both, as lists, of a node with several outputs; or None
    owned: Any
    leads: bool  # to an input that was asked for, or is one
    through: bool  # some of its own inputs lead to one


@cython.cfunc
def _pending() -> _Pending:
    p: _Pending = _Pending.__new__(_Pending)
    if not cython.compiled:  # else a new object has 0 and None already
        p.edges, p.own = 0, False
        p.grad = p.grads = p.owned = None
    p.leads = p.through = True
    return p


_FLOOR = cython.declare(cython.Py_ssize_t, 4)  # a list as short as a stack mostly is gives its memory back at each pop


@cython.cfunc
def _order(roots: list) -> tuple:
    """(nodes in an order where each comes before what it was made from, what is pending of each), in linear time."""
    pending: dict = {}
    stack: list = [None] * _FLOOR
    p: _Pending
    node: Node
    for target in roots:
        if target not in pending:
            pending[target] = _pending()
            stack.append(target)
    while len(stack) > _FLOOR:
        top = stack.pop()
        if not isinstance(top, Node):
            continue
        node = cython.cast(Node, top)
        for target in node.inputs:
            if target is None:
                continue
            known = pending.get(target)
            if known is None:
                known = pending[target] = _pending()
                stack.append(target)
            cython.cast(_Pending, known).edges += 1
    order: list = []
    ready: list = [None] * _FLOOR
    for target in dict.fromkeys(roots):
        p = pending[target]
        if p.edges == 0:
            ready.append(target)
    while len(ready) > _FLOOR:
        top = ready.pop()
        order.append(top)
        if not isinstance(top, Node):
            continue
        node = cython.cast(Node, top)
        for target in node.inputs:
            if target is None:
                continue
            p = cython.cast(_Pending, pending[target])
            p.edges -= 1
            if p.edges == 0:
                ready.append(target)
    return order, pending


def leaves(outputs: Sequence[Any]) -> list[Any]:
    """The leaves that tensors were made from and that require gradients."""
    batch: Any = batch_over(outputs)
    if batch is not None:
        return leaves([batch.level.batched(y) for y in outputs])
    roots: list = [origin(y) for y in outputs if y.requires_grad]
    return [x for x in _order(roots)[1] if isinstance(x, Tensor) and x.requires_grad]


def reaches(x: Any) -> bool:
    """Whether the walk back that this thread is in has still to come to the gradient of `x`."""
    p: Any = None if current().pending is None else current().pending.get(origin(x))
    return p is not None and bool(p.leads)


_walks = cython.declare(cython.longlong, 0)  # how many walks back there have been


def differentiate(
    outputs: Sequence[Any],
    grads: Sequence[Any],
    inputs: Sequence[Any] | None,
    retain: bool,
    record: bool,
    allow_unused: bool,
) -> list[Any]:
    """The walk back from `outputs` with the gradients `grads`.

    With `inputs`: returns the gradient of each (None where it is not reached). Without: adds to the `leaf_grad` of
    every leaf. `retain` keeps the saved values for another walk; `record` makes the result differentiable itself.
    """
    global _walks
    batch: Any = batch_over(outputs) or batch_over(inputs or ())
    if batch is not None:
        return batch.differentiate(outputs, grads, inputs, retain, record, allow_unused)
    thread: Thread = current()
    place: Any = None if retain else here()
    roots: list = []
    on_tensors: cython.bint = record or thread.depth > 0
    p: _Pending
    node: Node
    t: Tensor
    i: cython.Py_ssize_t
    for y in outputs:
        o = origin(y) if y.requires_grad else None
        if o is None:
            raise GraphError("a tensor to differentiate does not require gradients and no recorded operator made it")
        roots.append(o)
    order, pending = _order(roots)

    wanted: dict = {}  # what is asked for: {node or leaf: [(output, position), ...]}
    results: list = []
    if inputs is not None:
        results = [None] * len(inputs)
        for i in range(len(inputs)):
            x = inputs[i]
            if not x.requires_grad:
                raise GraphError("a tensor to differentiate by does not require gradients")
            wanted.setdefault(origin(x), []).append((x.index, i))
        for target in reversed(order):
            p = pending[target]
            p.through = False
            if isinstance(target, Node):
                node = target
                for o in node.inputs:
                    if o is not None and pending[o].leads:
                        p.through = True
                        break
            p.leads = p.through or target in wanted

    for i in range(len(outputs)):
        y = outputs[i]
        g = grads[i]
        count = 1 if not isinstance(roots[i], Node) or roots[i].outputs is None else len(roots[i].outputs)
        _collect(pending[roots[i]], y.index, count, g if on_tensors else g.array, False, on_tensors)

    on = thread.grad
    outer = thread.walk, thread.pending
    _walks += 1
    thread.walk, thread.pending = _walks, pending
    set_grad_enabled(record)
    try:
        for i in range(len(order)):
            target = order[i]
            order[i] = None
            p = cython.cast(_Pending, pending.pop(target))
            if (p.grad is None and p.grads is None) or not (p.leads or isinstance(target, Tensor)):
                continue
            if isinstance(target, Node):
                node = target
                if node.hooks is not None:
                    _call_hooks(node, p, on_tensors)
                if target in wanted:
                    for output, position in wanted[target]:
                        if p.grads is None:
                            results[position] = _result(p.grad, p.own, on_tensors)
                        else:
                            results[position] = _result(p.grads[output], p.owned[output], on_tensors)
                if p.through:
                    _step(node, p, pending, retain, on_tensors, inputs is not None, place)
                continue
            t = target
            g = p.grad
            if t.leaf_hooks is not None:
                g = _run_hooks(t.leaf_hooks, g, on_tensors)
            if inputs is None:
                if t._wants:  # switched off since it was used otherwise
                    _accumulate(t, g, p.own, on_tensors)
            else:
                for _, position in wanted.get(target, ()):
                    results[position] = _result(g, p.own, on_tensors)
    except ShapeError as error:
        _locate(error, target)
        raise
    finally:
        set_grad_enabled(on)
        thread.walk, thread.pending = outer
    if not allow_unused and inputs is not None:
        for i in range(len(results)):
            if results[i] is None:
                raise GraphError(
                    f"input {i} was not used in computing the outputs; pass allow_unused=True to get None for it"
                )
    return results


@cython.cfunc
def _step(
    node: Node,
    p: _Pending,
    pending: dict,
    retain: cython.bint,
    on_tensors: cython.bint,
    filtered: cython.bint,
    place: Any,
) -> Any:
    """One node: its derivative rules, for the arguments whose gradients are wanted."""
    op = node.op
    row: Row = row_of(op)
    i: cython.Py_ssize_t
    saved: list = []
    kept: tuple = node._live() if node.saved is None else node.saved
    if len(kept) > 0:
        if on_tensors or row.custom:  # a user's backward may differentiate by what it saved
            saved = [saved_value(node, s) for s in kept]
        else:
            saved = [unpack_array(node, s) for s in kept]
        if not retain and holds_arrays(node.saved):
            node.saved = None
            node.freed = place
    if node.extra is not None and node.extra.get("pre"):
        _call_prehooks(node, p, on_tensors)
    g: Any
    if node.outputs is None:
        g = p.grad
    else:
        g = tuple(p.grads)
        if not row.custom:
            g = tuple(
                [_zeros(meta, on_tensors) if part is None else part for part, meta in zip(g, node.outputs, strict=True)]
            )
    found: list = _gradients(node, row, g, saved, pending, filtered)
    if on_tensors and op.flat and recording():
        found = _connected(node, found)
    if node.extra is not None and node.extra.get("post"):
        found = _call_posthooks(node, found, g, on_tensors)
    shared: cython.bint = row.custom or node.extra is not None  # the user may have kept the gradients
    if type(g) is tuple:
        saved.extend(g)
    owned: cython.bint
    count: cython.Py_ssize_t
    for i in range(len(found)):
        d = found[i]
        if d is None:
            continue
        target = node.inputs[i]
        # Fresh memory, unless the rule handed on what it was given or a view of it; a tensor among arrays is sparse.
        owned = False
        if type(d) is _ndarray and not (on_tensors or shared or d is g):
            owned = not (type(base_of(d)) is _ndarray or _among(d, saved))
        count = 1
        if isinstance(target, Node) and cython.cast(Node, target).outputs is not None:
            count = len(cython.cast(Node, target).outputs)
        _collect(cython.cast(_Pending, pending[target]), node.indices[i], count, d, owned, on_tensors)


@cython.cfunc
def _gradients(node: Node, row: Row, g: Any, saved: list, pending: Any, filtered: cython.bint) -> list:
    """What the rules of a node make of the gradient of its output: those of its arguments.

    `filtered`: only of those that lead to what is asked for, as `pending` says.
    """
    joint: Any = row.joint
    i: cython.Py_ssize_t
    q: _Pending
    found: list = [None] * len(node.inputs)
    half: Any = None if row.moves else odd_among(g)
    turned: cython.bint = False
    if half is not None and half.kind == "c":
        turned, half = row.turns, None
        g = conjugated(g) if turned else g
    if half is not None:
        g, saved = cast_half(g, half, False), [cast_half(value, half, False) for value in saved]
    if joint is not None:
        wanted = tuple([o is not None and (not filtered or pending[o].leads) for o in node.inputs])
        found = list(joint(wanted, g, *saved, **node.params))
    for i in range(len(node.inputs)):
        target = node.inputs[i]
        if target is None:
            found[i] = None
            continue
        if filtered:
            q = pending[target]
            if not q.leads:
                found[i] = None
                continue
        if joint is not None:
            d = found[i]
        elif row.variadic:
            d = row.rules[0](g, *saved, position=i, **node.params)
        else:
            d = _pull(row.rules[i], g, saved, node.params)
        if d is None:
            continue
        if half is not None:
            d = cast_half(d, half, True)
        elif turned:
            d = conjugated(d)
        if node.shapes is not None:
            d = algebra.sum_to(d, node.shapes[i])
        found[i] = d if type(d) is _ndarray or isinstance(d, Tensor) else np.asarray(d)  # one number, as NumPy has it
        if switches.check_nan:
            _find_nan(node, i, d)
    return found


@cython.cfunc
def odd_among(g: Any) -> Any:
    """The dtype of half precision, or of complex numbers, that a gradient (or some of several) has, or None."""
    if type(g) is tuple:
        return odd_of([t.array if isinstance(t, Tensor) else t for t in g])
    d: Any = dtype_of(g) if type(g) is _ndarray else g.array.dtype if isinstance(g, Tensor) else g.dtype
    return None if d is _F32 or not (d.itemsize == 2 or d.kind == "c") else d


@cython.cfunc
def conjugated(value: Any) -> Any:
    """The conjugate of a complex tensor or array (of a tuple: each); anything else as it is."""
    if type(value) is tuple:
        return tuple([conjugated(part) for part in value])
    d: Any = value.array.dtype if isinstance(value, Tensor) else value.dtype
    if d.kind != "c":
        return value
    return algebra.conj(value) if isinstance(value, Tensor) else np.conjugate(value) + 0  # not -0 for 0


@cython.cfunc
def cast_half(value: Any, half: Any, back: cython.bint) -> Any:
    """A tensor or array of half precision (of a tuple: each) in float32, or `back`; anything else as it is."""
    if type(value) is tuple:
        return tuple([cast_half(part, half, back) for part in value])
    if not isinstance(value, Tensor):
        return narrowed(value, half) if back else widened(value, half)
    have: Any = value.array.dtype
    if back:
        return algebra.cast(value, half) if have is _F32 else value
    return algebra.cast(value, _F32) if have == half else value


def pull(node: Node, grads: Sequence[Any]) -> list:
    """The gradients of one node's arguments, arrays, given those of its outputs (None: zero): its rules, and no hooks.

    Nothing is freed or accumulated. Raises GraphError if an earlier walk has freed the saved values.
    """
    g: Any = grads[0]
    if node.outputs is not None:
        g = tuple(grads)
        if not node.op.custom:
            g = tuple([_zeros(m, False) if d is None else d for d, m in zip(grads, node.outputs, strict=True)])
    on = current().grad
    set_grad_enabled(False)
    try:
        return _gradients(node, row_of(node.op), g, [unpack_array(node, s) for s in node._live()], None, False)
    finally:
        set_grad_enabled(on)


@cython.cfunc
def _pull(rule: Any, g: Any, saved: list, params: dict) -> Any:
    """rule(g, *saved, **params); what is common, without a tuple and a dict for the call."""
    n: cython.Py_ssize_t = len(saved)
    if len(params) == 0 and n < 3:
        if n == 0:
            return rule(g)
        return rule(g, saved[0]) if n == 1 else rule(g, saved[0], saved[1])
    return rule(g, *saved, **params)


@cython.cfunc
def _collect(
    p: _Pending, index: cython.Py_ssize_t, count: cython.Py_ssize_t, g: Any, owned: cython.bint, record: cython.bint
) -> Any:
    """Adds one gradient to those of a node's output."""
    if count == 1:  # as of most nodes
        if p.grad is None:
            p.grad = g
            p.own = owned
        elif not record and (isinstance(g, Tensor) or isinstance(p.grad, Tensor)):
            p.grad = _with_sparse(p.grad, g)
            p.own = False
        elif p.own and not record:
            algebra.add_into(p.grad, g)
        else:
            p.grad = algebra.add(p.grad, g)
            p.own = True
        return
    if p.grads is None:
        p.grads, p.owned = [None] * count, [False] * count
    have = p.grads[index]
    if have is None:
        p.grads[index] = g
        p.owned[index] = owned
    elif p.owned[index] and not record:
        algebra.add_into(have, g)
    else:
        p.grads[index] = algebra.add(have, g)
        p.owned[index] = True


@cython.cfunc
def _accumulate(t: Tensor, g: Any, owned: bool, on_tensors: bool) -> Any:
    """Adds a gradient to a leaf's, in place unless it is itself recorded, and calls the leaf's hooks for that."""
    have = t.leaf_grad
    if not on_tensors and (isinstance(g, Tensor) or (have is not None and have.is_sparse)):
        t.leaf_grad = (
            g if have is None else _result(_with_sparse(have if have.is_sparse else have.array, g), True, False)
        )
    elif have is None:
        if on_tensors:
            fresh: Tensor = shadow(g)
            fresh.array, fresh.version = algebra.copy(fresh.array), Version()
            t.leaf_grad = fresh
        else:
            t.leaf_grad = _result(g, owned, False)
    elif on_tensors:
        t.leaf_grad = algebra.add(have, g)
    else:
        if not same_shape(have.array, g):
            raise ShapeError(f"backward: a gradient of shape {g.shape} for a leaf whose grad has {have.array.shape}")
        algebra.add_into(have.array, g)
        have.version.bump()
    if t.after_hooks is not None:
        for hook in list(t.after_hooks):
            hook(t)


@cython.cfunc
def _result(g: Any, owned: bool, on_tensors: bool) -> Any:
    """A gradient as the tensor that a user gets: never memory that something else also holds."""
    if g is None or on_tensors or isinstance(g, Tensor):
        return g
    return wrap(g if owned else algebra.copy(g))


@cython.cfunc
def _with_sparse(have: Any, g: Any) -> Any:
    """The sum of two gradients, each an array or a sparse tensor: sparse if both are."""
    total: Any = wrap(have) if not isinstance(have, Tensor) else have
    if isinstance(have, Tensor) and isinstance(g, Tensor):
        return total + g
    return (total + g).array if isinstance(g, Tensor) else (wrap(g) + have).array


@cython.cfunc
def _zeros(meta: Any, on_tensors: bool) -> Any:
    z = np.zeros(meta[0], meta[1])
    return wrap(z) if on_tensors else z


@cython.cfunc
def _among(d: Any, values: list) -> cython.bint:
    for v in values:
        if v is d:
            return True
    return False


@cython.cfunc
def _connected(node: Node, found: list) -> list:
    """The gradients of an operator's arguments, those that are constant as functions of them with derivative 0."""
    live: list = [i for i in range(len(found)) if found[i] is not None]
    if any([found[i].layer is not None for i in live]) or all([found[i].requires_grad for i in live]):
        return found
    xs: list = []
    for i in live:
        x = node.inputs[i]
        xs.append(x if isinstance(x, Tensor) else at_edge(x, node.indices[i], found[i].array))
    return [d if d is None or d.requires_grad else apply(algebra.constant_in, d, *xs) for d in found]


@cython.cfunc
def _find_nan(node: Node, i: cython.Py_ssize_t, d: Any) -> Any:
    """Raises if a gradient that a rule has given has a NaN."""
    array = d.array if isinstance(d, Tensor) else d
    if np.isnan(array).any():
        raise GraphError(
            f"Function '{node.name()}' returned nan values in its {i}th output: the gradient of argument {i} of "
            f"{node.op.name}, recorded at {describe(node.place)}"
        )


@cython.cfunc
def _locate(error: Any, target: Any) -> Any:
    """Adds to the message of an error of the walk what it was at, where that was recorded and where the walk began."""
    if "recorded at" not in str(error):
        what = "in adding to the gradient of a leaf"
        if isinstance(target, Node):
            what = f"in the gradient of {target.op.name}, recorded at {recorded_at(target)}"
        error.args = (f"{error}; {what}; the walk back began at {describe(here())}",)


@cython.cfunc
def _call_hooks(node: Node, p: _Pending, on_tensors: bool) -> Any:
    for index, hooks in node.hooks.items():  # one may keep what it sees, so that is no longer the walk's own
        if p.grads is None:
            if p.grad is not None:
                p.grad, p.own = _run_hooks(hooks, p.grad, on_tensors), False
        elif p.grads[index] is not None:
            p.grads[index], p.owned[index] = _run_hooks(hooks, p.grads[index], on_tensors), False


@cython.cfunc
def _run_hooks(hooks: Any, g: Any, on_tensors: bool) -> Any:
    """The gradient after a tensor's hooks, each of which may return another in its place."""
    for hook in list(hooks):
        x = g if on_tensors or isinstance(g, Tensor) else wrap(g)
        y: Any = hook(x)
        if y is not None:
            if not isinstance(y, Tensor):
                raise TypeError(f"a hook returned a {type(y).__name__} where a gradient, a Tensor, or None belongs")
            _need_shape(hook, x.shape, y.shape)
            g = y if on_tensors or isinstance(g, Tensor) else y.array
    return g


@cython.cfunc
def _call_prehooks(node: Node, p: _Pending, on_tensors: bool) -> Any:
    """Has the node's hooks see, and maybe replace, the gradients of its outputs."""
    grads: list = [p.grad] if p.grads is None else p.grads
    for hook in list(node.extra["pre"]):
        given = tuple([g if g is None or on_tensors else wrap(g) for g in grads])
        found = hook(given)
        if found is not None:
            _need_shapes(hook, given, _as_tuple(found))
            grads = [g if g is None or on_tensors else g.array for g in _as_tuple(found)]
    if p.grads is None:
        p.grad = grads[0]
    else:
        p.grads = grads
    # That the gradients are no longer the walk's own, since a hook may have kept them, nobody asks any more.


@cython.cfunc
def _call_posthooks(node: Node, found: list, g: Any, on_tensors: bool) -> list:
    """The gradients of the node's inputs, after its hooks."""
    outputs = tuple([d if d is None or on_tensors else wrap(d) for d in _as_tuple(g)])
    for hook in list(node.extra["post"]):
        given = tuple([d if d is None or on_tensors else wrap(d) for d in found])
        made = hook(given, outputs)
        if made is None:
            continue
        if len(_as_tuple(made)) != len(found):
            raise GraphError(
                f"{node.op.name}: a hook returned {len(_as_tuple(made))} gradients for {len(found)} arguments"
            )
        _need_shapes(hook, given, _as_tuple(made))
        found = [d if d is None or on_tensors else d.array for d in _as_tuple(made)]
    return found


def _as_tuple(x: Any) -> tuple[Any, ...]:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


@cython.cfunc
def _need_shape(hook: Any, before: Any, after: Any) -> Any:
    if after != before:
        raise ShapeError(f"hook {_named_function(hook)}: it returned a gradient of shape {after} for one of {before}")


@cython.cfunc
def _need_shapes(hook: Any, before: Any, after: Any) -> Any:
    for x, y in zip(before, after, strict=False):
        if x is not None and y is not None:
            _need_shape(hook, x.array.shape, y.array.shape)


def _named_function(function: Any) -> str:
    """A user's function as 'name at file.py, line 7'."""
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(function, "__code__", None)
    return name if code is None else f"{name} at {code.co_filename}, line {code.co_firstlineno}"
