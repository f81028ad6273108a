"""Forward mode: tangents beside the values, any number of levels."""

from __future__ import annotations

from typing import Any

import numpy as np

from .backward import differentiate
from .record import apply, set_evaluate

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .algebra import algebra
    from .modes import Thread, current, recording, set_grad_enabled
    from .record import link_view, record_node, row_of, run, wrap_outputs
    from .tensors import Dual, Tensor, batch_over, shadow, wrap

_ndarray = cython.declare(object, np.ndarray)


class Level:
    """One open forward-mode differentiation. Inner ones have higher numbers; a closed one counts for nothing."""

    __slots__ = ("alive", "number")

    def __init__(self) -> None:
        thread: Thread = current()
        thread.depth = self.number = thread.depth + 1
        self.alive = True

    def close(self) -> None:
        """Ends it: its tangents are ignored from here on."""
        self.alive = False
        thread: Thread = current()
        thread.depth = thread.depth - 1


def make_dual(level: Level, primal: Any, tangent: Any) -> Any:
    """A tensor of the value of `primal` whose derivative at `level` is `tangent`."""
    batch: Any = batch_over((primal, tangent))
    if batch is not None:  # duals lie beneath
        return batch.through(lambda p, t: make_dual(level, p, t), primal, tangent)
    p: Tensor = primal
    if p._node is None and p._wants and recording():  # a leaf: what is made of the dual leads to it, not to the dual
        p = algebra.expand(p, p.array.shape)
    out: Tensor = shadow(p)
    out.layer = Dual(level, p, tangent)
    return out


def unpack_dual(level: Level, x: Any) -> tuple[Any, Any]:
    """(value without `level`, tangent or None)."""
    batch: Any = batch_over((x,))
    if batch is not None:
        return batch.through(lambda t: unpack_dual(level, t), x)
    d = _top(x)
    if d is None or d.level is not level:
        return x, None
    return d.primal, d.tangent


@cython.cfunc
def _top(x: Any) -> Any:
    """The dual of the highest level that is still open, or None."""
    if not isinstance(x, Tensor):
        return None
    t: Tensor = x
    while type(t.layer) is Dual:
        d: Dual = t.layer
        if d.level.alive:
            return d
        t = d.primal
    return None


@cython.ccall
def evaluate(op: Any, args: tuple, params: dict) -> tuple:
    """(outputs, saved arrays) of an operator on tensors that may be dual; recorded where a gradient is wanted."""
    batch: Any = batch_over(args)
    if batch is not None:
        return batch.evaluate(op, args, params), ()
    wants: cython.bint = False
    level: Any = None
    for a in args:
        if isinstance(a, Tensor):
            if a.requires_grad:
                wants = True
            d = _top(a)
            if d is not None and (level is None or d.level.number > level.number):
                level = d.level
    wants = wants and recording()
    if level is None:
        arrays = list(args) if op.custom else [a.array if isinstance(a, Tensor) else a for a in args]
        out, saved = run(op, arrays, params)
        return wrap_outputs(op, args, params, out, saved, wants), saved
    primals: list = []
    tangents: list = []
    for a in args:
        d = _top(a)
        if d is not None and d.level is level:
            primals.append(d.primal)
            tangents.append(d.tangent)
        else:
            primals.append(a)
            tangents.append(None)
    inner, saved = evaluate(op, tuple(primals), params)
    inners: tuple = inner if type(inner) is tuple else (inner,)
    derivatives: Any = _jvp(op, tangents, primals, inner, saved, params)
    if type(derivatives) is not tuple:
        derivatives = (derivatives,)
    outs: list = []
    t: Tensor
    for t, dt in zip(inners, derivatives, strict=True):
        y: Tensor = wrap(t.array)
        y.version = t.version
        if dt is not None and t.array.dtype.kind in "fc":
            y.layer = Dual(level, t, dt)
        if op.view:
            link_view(op, args[0], params, y, len(outs))
        outs.append(y)
    if wants:
        record_node(op, row_of(op), args, params, tuple(outs), saved)
    return (tuple(outs) if type(inner) is tuple else outs[0]), saved


@cython.cfunc
def _jvp(op: Any, tangents: list, args: list, inner: Any, saved: Any, params: dict) -> Any:
    """The derivative of an operator's outputs along the tangents of its arguments (None: zero)."""
    outs: tuple = inner if type(inner) is tuple else (inner,)
    rule = op.jvp
    variadic: cython.bint = op.variadic
    rules: Any = [op.rules[0]] * len(args) if variadic else op.rules
    live: list = [i for i in range(len(args)) if tangents[i] is not None and rules[i] is not None]
    if not live:
        return tuple([None for _ in outs])
    if rule == "linear":
        used: list = []
        for i in range(len(args)):
            if rules[i] is None or args[i] is None:
                used.append(args[i])
            elif tangents[i] is not None:
                used.append(tangents[i])
            else:
                used.append(_zeros_like(args[i]))
        return apply(op, *used, **params)
    total: Any = None
    if rule == "multilinear":
        for i in live:
            term = apply(op, *[tangents[i] if j == i else args[j] for j in range(len(args))], **params)
            total = term if total is None else algebra.add(total, term)
        return total
    values = [_as_tensor(value, args, outs) for value in saved]
    if rule == "elementwise":
        shape = outs[0].array.shape
        for i in live:
            term = rules[i](tangents[i], *values, **params)
            if term.array.shape != shape:
                term = algebra.expand(term, shape)
            total = term if total is None else algebra.add(total, term)
        return total
    if rule is not None:
        return rule(tuple(tangents), *values, **params)
    return _transpose_vjp(op, rules, live, tangents, outs, values, params)


@cython.cfunc
def _as_tensor(value: Any, args: Any, outs: tuple) -> Any:
    """The tensor whose array a saved value is; a constant gets one of its own."""
    if value is None:
        return None
    t: Tensor
    for a in args:
        if isinstance(a, Tensor):
            t = a
            if t.array is value:
                return t
    for t in outs:
        if t.array is value:
            return t
    return wrap(value) if type(value) is _ndarray else value


@cython.cfunc
def _zeros_like(x: Any) -> Any:
    return wrap(np.zeros_like(x.array if isinstance(x, Tensor) else x))


@cython.cfunc
def _transpose_vjp(op: Any, rules: Any, live: list, tangents: list, outs: tuple, values: list, params: dict) -> Any:
    """Forward mode without a rule: u -> J^T u is linear, so its own gradient in u, along the tangents, is J t."""
    on = current().grad
    set_grad_enabled(True)
    try:
        cotangents: list = []
        u: Tensor
        for t in outs:
            u = _zeros_like(t)
            u._wants = u.array.dtype.kind in "fc"
            cotangents.append(u)
        given = tuple(cotangents) if len(outs) > 1 else cotangents[0]
        pulled: list = []
        along: list = []
        for i in live:
            w = rules[i](given, *values, **params)
            if w is None:
                continue
            if op.broadcasts:
                w = algebra.sum_to(w, tangents[i].array.shape)
            if w.requires_grad:
                pulled.append(w)
                along.append(_turned(tangents[i]))
        wanted = [c for c in cotangents if c.requires_grad]
        record = _any_wants(along) or (on and _any_wants(values))
        found = iter(differentiate(pulled, along, wanted, True, record, True) if pulled else [])
    finally:
        set_grad_enabled(on)
    result = tuple([_turned(next(found, None)) if c.requires_grad else None for c in cotangents])
    for u in cotangents:
        u._wants = False  # nobody differentiates by it again
    return result if len(outs) > 1 else result[0]


@cython.cfunc
def _turned(x: Any) -> Any:
    """The conjugate of a complex tensor: the walk back transposes with conjugates. Others as they are."""
    return algebra.conj(x) if x is not None and x.array.dtype.kind == "c" else x


@cython.cfunc
def _any_wants(tensors: list) -> bool:
    for t in tensors:
        if isinstance(t, Tensor) and t.requires_grad:
            return True
    return False


set_evaluate(evaluate)
