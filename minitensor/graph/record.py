# cython: boundscheck=False, wraparound=False
"""The one way down: an operator is run, its output wrapped, and a node made where a gradient is wanted."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

import numpy as np

from ..errors import ComplexError, GraphError, OutOfMemoryError, ShapeError
from ..op import SHAPE, SHAPES, Op

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .algebra import algebra
    from .arrays import base_of, dtype_of, same_shape, shape_of
    from .modes import current, pack_hooks, recording, set_grad_enabled, switches
    from .nodes import CONSTANT, FIRST, NO_PARAMS, Node, Saved, holds_arrays, make_node, make_saved
    from .places import here
    from .tensors import Tensor, Version, refresh, wants_grad, wrap

    def slot_of(x: Any, slot: Any) -> Any:
        """What an object has in a slot of its class; in C without a look at the class."""
        return slot.__get__(x)


# Declared, so that the compiled module keeps them in C variables.
_ndarray = cython.declare(object, np.ndarray)
_F32 = cython.declare(object, np.dtype("float32"))
_F64 = cython.declare(object, np.dtype("float64"))
_SHAPE = cython.declare(cython.longlong, SHAPE)
_SHAPES = cython.declare(cython.longlong, SHAPES)
_ROW = cython.declare(object, Op.__dict__["row"])


@cython.final
@cython.cclass
class Row:
    """What the graph reads of an operator at every call, in C variables."""

    kernel: Any
    names: tuple
    rules: tuple
    uses: tuple
    saves: tuple
    joint: Any
    variadic: bool
    view: bool
    broadcasts: bool
    custom: bool
    moves: bool
    turns: bool
    keeps: bool
    arrays: int  # how many of its arguments are
    count: int  # and how many there are with the parameters


@cython.cfunc
def row_of(op: Any) -> Row:
    known: Any = slot_of(op, _ROW)
    row: Row
    if known is None:
        row = Row.__new__(Row)
        row.kernel, row.names = op.kernel, op.names
        row.rules, row.uses, row.saves = op.rules, op.uses, op.saves
        row.variadic, row.view, row.broadcasts = op.variadic, op.view, op.broadcasts
        row.joint, row.custom, row.moves, row.turns = op.joint, op.custom, op.moves, op.turns
        row.keeps = op.keeps
        row.arrays, row.count = len(op.rules), len(op.rules) + len(op.names)
        object.__setattr__(op, "row", row)
        return row
    return cython.cast(Row, known)


@cython.cfunc
def _is_float(array: Any) -> cython.bint:
    d = dtype_of(array)
    return d is _F32 or d is _F64 or d.kind in "fc"


def _find_silence() -> tuple[Any, Any]:
    """What np.errstate(all="ignore") sets: the variable and its value. The class itself takes six times as long."""
    before = contextvars.copy_context()
    with np.errstate(all="ignore"):
        for variable, value in contextvars.copy_context().items():
            if variable not in before or before[variable] is not value:
                return variable, value
    raise RuntimeError("NumPy no longer keeps its error state in a context variable")


_errors, _silence = _find_silence()


@cython.ccall
def quietly(function: Any, args: Any, params: dict) -> Any:
    """function(*args, **params) while NumPy says nothing of infinities and NaN: they are results."""
    before = _errors.set(_silence)
    try:
        return function(*args, **params)
    finally:
        _errors.reset(before)


@cython.cfunc
def odd_of(arrays: Any) -> Any:
    """The dtype of half precision, or of complex numbers, that some of the arrays has, or None."""
    for a in arrays:
        if type(a) is _ndarray:
            d = a.dtype
            if not (d is _F32 or d is _F64) and (d.kind == "c" or (d.kind == "f" and d.itemsize == 2)):
                return d
    return None


@cython.cfunc
def widened(a: Any, half: Any) -> Any:
    """An array (of a tuple: each) in float32 if it has that dtype of half precision; anything else as it is."""
    if type(a) is tuple:
        return tuple([widened(part, half) for part in a])
    return algebra.cast(a, _F32) if type(a) is _ndarray and a.dtype == half else a


@cython.cfunc
def narrowed(a: Any, half: Any) -> Any:
    """An array (of a tuple: each) of float32 rounded to half precision; anything else as it is."""
    if type(a) is tuple:
        return tuple([narrowed(part, half) for part in a])
    if not isinstance(a, (_ndarray, np.generic)) or a.dtype is not _F32:
        return a
    return algebra.cast(np.asarray(a), half)


@cython.cfunc
def _run_half(op: Any, arrays: list, params: dict, half: Any) -> tuple:
    """The operator in float32, its results rounded once. Saved values are what they were: an input, an output."""
    wide: list = [widened(a, half) for a in arrays]
    out, saved = run(op, wide, params)
    rounded = narrowed(out, half)
    known: dict = {id(w): a for w, a in zip(wide, arrays, strict=True)}
    known[id(out)] = rounded
    if type(out) is tuple:
        known.update({id(y): r for y, r in zip(out, rounded, strict=True)})
    return rounded, tuple([known.get(id(value), value) for value in saved])


@cython.cfunc
def run(op: Any, arrays: list, params: dict) -> tuple:
    """The operator on arrays: its kernel for float32 and float64, else its reference."""
    forward = op.forward
    if forward is not None and not switches.reference:
        d = arrays[0].dtype
        if (d is _F32 or d is _F64) and (len(arrays) == 1 or op.moves or odd_of(arrays) is None):
            return forward(*arrays, **params) if params else forward(*arrays)
        if op.anything and d.kind != "V":
            return forward(*arrays, **params) if params else forward(*arrays)
        if op.jvp == "elementwise" and d.kind in "biu" and not params and op.kernel is not None:
            out = op.kernel(*arrays)  # of integers, and of nothing that has a gradient
            if out is not None:
                return out, ()
    if not op.moves:
        odd = odd_of(arrays)
        if odd is not None:
            if odd.kind == "f":
                return _run_half(op, arrays, params, odd)
            if not op.complex:
                raise ComplexError(f"{op.name}: no complex numbers are taken, and an argument is {odd}")
    try:
        if op.view or op.custom:  # which computes nothing, or is the user's
            return op.reference(*arrays, **params)
        return quietly(op.reference, arrays, params)
    except ValueError as error:
        if "array is too big" in str(error) or "Maximum allowed" in str(error):  # NumPy has no type of its own for it
            raise OutOfMemoryError(f"{op.name}: {error}") from None
        if op.broadcasts and not isinstance(error, ShapeError):
            shapes = " and ".join(str(a.shape) for a in arrays)
            raise ShapeError(f"{op.name}: shapes {shapes} do not broadcast") from None
        raise


def apply(op: Any, *args: Any, **params: Any) -> Any:
    """Runs an operator: on arrays just its kernel, on tensors also recorded where a gradient is wanted."""
    row: Row = row_of(op)
    if row.kernel is not None and not row.variadic and len(args) == row.arrays and len(params) == len(row.names):
        every: tuple = (*args, *[params[name] for name in row.names]) if params else args
        n: cython.Py_ssize_t = row.count
        y = every[1] if n > 1 else None
        z = every[2] if n > 2 else None
        out = _attempt(op, row, every[0], y, z, every[3:] if n > 3 else ())
        if out is not None:
            return out
    return _apply(op, args, params)


def apply_two(op: Any, a: Any, b: Any) -> Any:
    """`apply` for an operator on two operands, in their common dtype: what arithmetic on small tensors goes through."""
    x: Any = a
    y: Any = b
    wants: cython.bint = False
    plain: cython.bint = not switches.reference
    on_tensors: cython.bint = False
    t: Tensor
    if isinstance(a, Tensor):
        t = cython.cast(Tensor, a)
        if t.base is not None:
            refresh(t)
        x = t.array
        wants, plain, on_tensors = t._wants, plain and t.layer is None, True
    if isinstance(b, Tensor):
        t = cython.cast(Tensor, b)
        if t.base is not None:
            refresh(t)
        y = t.array
        wants, plain, on_tensors = wants or t._wants, plain and t.layer is None, True
    if plain:
        row: Row = row_of(op)
        if row.kernel is not None:
            out = row.kernel(x, y)
            if out is not None:
                if not on_tensors:
                    return out
                t = cython.cast(Tensor, wrap(out))
                if wants and recording():
                    record_node(op, row, (a, b), NO_PARAMS, (t,), None)
                return t
    if type(x) is not _ndarray or type(y) is not _ndarray or x.dtype is not y.dtype or x.dtype.kind == "V":
        a, b = algebra.promote(op.name, a, b)
    return _apply(op, (a, b), {})


def apply_one(op: Any, a: Any) -> Any:
    """`apply` for an operator on one operand, which becomes floating if it is not."""
    x: Any = a
    t: Tensor
    if isinstance(a, Tensor):
        t = cython.cast(Tensor, a)
        if t.base is not None:
            refresh(t)
        x = t.array
        row: Row = row_of(op)
        if row.kernel is not None and t.layer is None and not switches.reference:
            out = row.kernel(x)
            if out is not None:
                wants: cython.bint = t._wants
                t = cython.cast(Tensor, wrap(out))
                if wants and recording():
                    record_node(op, row, (a,), NO_PARAMS, (t,), None)
                return t
    if type(x) is not _ndarray or not _is_float(x):
        (a,) = algebra.promote_float(op.name, a)
    return _apply(op, (a,), {})


def apply_flat(op: Any, x: Any = None, y: Any = None, z: Any = None, *more: Any) -> Any:
    """`apply` with the parameters by position, after the arrays, in the order of `op.names`: see `Op.kernel`."""
    row: Row = row_of(op)
    out = _attempt(op, row, x, y, z, more)
    if out is None:
        return _apply(op, _arrays(row, x, y, z, more), _named(row, x, y, z, more))
    return out


def attempt(op: Any, x: Any = None, y: Any = None, z: Any = None, *more: Any) -> Any:
    """`apply_flat` where the operator's kernel takes the arguments as they are, else None.

    What is wrong with arguments is found out after it, so that right ones need no check.
    """
    return _attempt(op, row_of(op), x, y, z, more)


@cython.cfunc
def _attempt(op: Any, row: Row, x: Any, y: Any, z: Any, more: tuple) -> Any:
    """The first three arguments by themselves, since nearly all operators have no more: no tuple is made of them."""
    if row.kernel is None or switches.reference or switches.casting != 0:
        return None
    n: cython.Py_ssize_t = row.arrays
    i: cython.Py_ssize_t
    state: cython.longlong = 0  # what the arrays are: see _state_of
    a: Any = x  # what the kernel gets
    b: Any = y
    c: Any = z
    if isinstance(x, Tensor):
        state = _state_of(cython.cast(Tensor, x))
        a = cython.cast(Tensor, x).array
    if n > 1:
        if isinstance(y, Tensor):
            state |= _state_of(cython.cast(Tensor, y))
            b = cython.cast(Tensor, y).array
        if n > 2 and isinstance(z, Tensor):
            state |= _state_of(cython.cast(Tensor, z))
            c = cython.cast(Tensor, z).array
    rest: Any = more
    if n > 3:
        rest = list(more)
        for i in range(n - 3):
            d = rest[i]
            if isinstance(d, Tensor):
                state |= _state_of(cython.cast(Tensor, d))
                rest[i] = cython.cast(Tensor, d).array
    if state & _LAYERED:
        return None
    if row.count == 1:
        out = row.kernel(a)
    elif row.count == 2:
        out = row.kernel(a, b)
    elif row.count == 3:
        out = row.kernel(a, b, c)
    else:
        out = row.kernel(a, b, c, *rest)
    if out is None:
        return None
    kept: Any = None  # what the kernel gave, of which the first is the output
    if row.keeps:
        kept, out = out, out[0]
    if state == 0:
        return out
    wants: cython.bint = (state & _WANTS) != 0 and recording()
    if type(out) is tuple:
        outs: tuple = tuple([wrap(part) for part in out])
        if row.view:
            values: tuple = _values(row, y, z, more)
            for i in range(len(outs)):
                link_view(op, x, values, outs[i], i)
        if wants:
            record_node(op, row, _arrays(row, x, y, z, more), _named(row, x, y, z, more), outs, None)
        return outs
    t: Tensor = cython.cast(Tensor, wrap(out))
    wants = wants and _is_float(t.array)
    if row.view:
        link_view(op, x, _values(row, y, z, more), t, 0)
    if wants:
        given: tuple = (t,) if kept is None else (t, *kept[1:])
        record_node(op, row, _arrays(row, x, y, z, more), _named(row, x, y, z, more), given, None)
    return t


@cython.cfunc
def _arrays(row: Row, x: Any, y: Any, z: Any, more: tuple) -> tuple:
    """The first of the arguments, which are arrays."""
    n: cython.Py_ssize_t = row.arrays
    return (x,) if n == 1 else (x, y) if n == 2 else (x, y, z) if n == 3 else (x, y, z, *more[: n - 3])


@cython.cfunc
def _values(row: Row, y: Any, z: Any, more: tuple) -> tuple:
    """The parameters of an operator on one array, as a view is."""
    return (y,) if row.count == 2 else (y, z, *more)[: row.count - 1]


@cython.cfunc
def _named(row: Row, x: Any, y: Any, z: Any, more: tuple) -> dict:
    """The rest, which are parameters, by name."""
    if row.count == row.arrays:
        return NO_PARAMS
    params: dict = {}
    i: cython.Py_ssize_t
    for i in range(row.arrays, row.count):
        value = y if i == 1 else z if i == 2 else more[i - 3] if i > 2 else x
        params[row.names[i - row.arrays]] = value
    return params


_TENSOR = cython.declare(cython.longlong, 1)
_WANTS = cython.declare(cython.longlong, 2)
_LAYERED = cython.declare(cython.longlong, 4)


@cython.cfunc
def _state_of(t: Tensor) -> cython.longlong:
    """That it is a tensor, whether it wants a gradient, whether it lies under layers: a bit each."""
    if t.base is not None:
        refresh(t)
    return _TENSOR | (_WANTS if t._wants else 0) | (0 if t.layer is None else _LAYERED)


def attempt_all(op: Any, tensors: Any, *params: Any) -> Any:
    """`attempt` for an operator on any number of tensors, which come as a list or a tuple."""
    row: Row = row_of(op)
    if row.kernel is None or switches.reference or not isinstance(tensors, (list, tuple)):
        return None
    arrays: list = []
    on_tensors: cython.bint = False
    wants: cython.bint = False
    t: Tensor
    for a in tensors:
        if isinstance(a, Tensor):
            t = cython.cast(Tensor, a)
            if t.base is not None:
                refresh(t)
            if t.layer is not None:
                return None
            arrays.append(t.array)
            on_tensors = True
            wants = wants or t._wants
        else:
            arrays.append(a)
    out = row.kernel(arrays, *params)
    if out is None or not on_tensors:
        return out
    t = cython.cast(Tensor, wrap(out))
    if wants and recording() and _is_float(t.array):
        named: dict = {}
        i: cython.Py_ssize_t
        for i in range(len(params)):
            named[row.names[i]] = params[i]
        record_node(op, row, tuple(tensors), named, (t,), None)
    return t


_evaluate: Any = None  # evaluate(op, args, params) under the layers of forward mode or vmap: see forward.py


def set_evaluate(evaluate: Callable[[Any, Any, Any], Any]) -> None:
    """Hands over what runs an operator on tensors that lie under layers."""
    global _evaluate
    _evaluate = evaluate


@cython.cfunc
def _apply(op: Any, args: tuple, params: dict) -> Any:
    arrays: list = []
    found: cython.bint = False
    wants: cython.bint = False
    layered: cython.bint = False
    custom: cython.bint = op.custom
    a: Any
    t: Tensor
    for a in args:
        if isinstance(a, Tensor):
            t = cython.cast(Tensor, a)
            found = True
            if t.base is not None:
                refresh(t)
            if t._wants:
                wants = True
            if t.layer is not None:
                layered = True
            arrays.append(t if custom else t.array)
        else:
            arrays.append(a)
    if layered:
        return _evaluate(op, args, params)[0]
    out, saved = run(op, arrays, params)
    if not found:
        return out
    return wrap_outputs(op, args, params, out, saved, wants and recording())


@cython.cfunc
def wrap_outputs(op: Any, args: tuple, params: dict, out: Any, saved: Any, wants: cython.bint) -> Any:
    """Tensors over the output arrays; recorded if a gradient is wanted, with `saved` as for `record_node`."""
    t: Tensor
    j: cython.Py_ssize_t
    if type(out) is not tuple:
        t = out if op.custom else wrap(out)
        if op.view:
            link_view(op, args[0], params, t, 0)
        if wants and _is_float(t.array):
            record_node(op, row_of(op), args, params, (t,), saved)
        return t
    outs: tuple = out if op.custom else tuple([wrap(y) for y in out])
    if op.view:
        for j in range(len(outs)):
            link_view(op, args[0], params, outs[j], j)
    if wants:
        record_node(op, row_of(op), args, params, outs, saved)
    return outs


@cython.cfunc
def link_view(op: Any, x: Any, params: Any, out: Tensor, output: cython.Py_ssize_t) -> Any:
    """Notes that `out` shares the memory of `x`, where it does."""
    if not isinstance(x, Tensor):
        return
    t: Tensor = x
    owner = base_of(out.array)
    if owner is None or not (owner is t.array or owner is base_of(t.array)):
        return
    out.version = t.version
    out.inferred = t.inferred
    out.aside = t.aside
    if not (recording() or t.layer is not None):
        out.aside = t.aside or t._wants
    else:
        base: Tensor = t if t.base is None else t.base
        out.base = base
        out._of = base.array
        out.chain = (t.chain, op, params, output)
        out._seen = t.version.value


def replay(chain: Any, x: Any) -> Any:
    """The view operators of a chain, applied to `x`."""
    steps: list = []
    while chain is not None:
        steps.append(chain)
        chain = chain[0]
    for _, op, params, output in reversed(steps):
        x = apply(op, x, **params) if type(params) is dict else apply_flat(op, x, *params)
        if type(x) is tuple:
            x = x[output]
    return x


def records(*values: Any) -> bool:
    """Whether an operator on these would be recorded, or carry tangents."""
    for v in values:
        if concerns(v):
            return True
    return False


@cython.cfunc
def concerns(value: Any) -> cython.bint:
    """`records` of one value."""
    if not isinstance(value, Tensor):
        return False
    t: Tensor = value
    if t.layer is not None or (recording() and wants_grad(t)):
        return True
    if t.base is None:
        return False
    t = t.base
    return t.layer is not None


@cython.cfunc
def record_node(op: Any, row: Row, args: tuple, params: dict, outs: tuple, saved: Any) -> Any:
    """Makes the node of an operator that has run, and puts its outputs on it.

    `saved` is what the operator's forward gave, or None where only its
    kernel ran: then `op.saves` names the values. Of an operator that keeps
    them all but the first of `outs` are arrays for its rules.
    """
    rules: tuple = row.rules
    uses: tuple = row.uses
    variadic: cython.bint = row.variadic
    needed: cython.longlong  # which saved values a rule needs, a bit each
    used: cython.longlong = 0  # and which some rule that will run
    some: cython.bint = False
    later: cython.bint = False  # some argument is not the first output of its node
    a: Any
    t: Tensor
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(args) if variadic else len(rules)
    count: cython.Py_ssize_t = 1 if row.keeps else len(outs)
    rule: cython.Py_ssize_t
    first: Any = None
    second: Any = None
    origins: Any = None if n < 3 else [None] * n  # of more than two
    for i in range(n):
        rule = 0 if variadic else i
        a = args[i]
        if rules[rule] is None or not isinstance(a, Tensor):
            continue
        t = cython.cast(Tensor, a)
        if t._wants:
            some = True
            needed = uses[rule]
            used |= needed
            later = later or t._index != 0
            if t._node is not None:
                a = t._node
            if n > 2:
                origins[i] = a
            elif i == 0:
                first = a
            else:
                second = a
    if not some:
        return
    inputs: tuple = (first,) if n == 1 else (first, second) if n == 2 else tuple(origins)
    if later:
        indices = tuple([0 if o is None else a.index for o, a in zip(inputs, args, strict=False)])
    else:
        indices = FIRST[n] if n < 4 else (0,) * n
    node: Node = make_node(op, params, inputs, indices)
    if used != 0:
        kept: tuple
        if saved is None:
            roles: tuple = row.saves
            if len(roles) == 1:
                kept = (_keep_role(roles[0], args, outs),)
            else:
                kept = tuple([_keep_role(roles[j], args, outs) if (used >> j) & 1 else None for j in range(len(roles))])
        else:
            kept = tuple(
                [
                    _keep(saved[j], args, outs) if saved[j] is not None and (used >> j) & 1 else None
                    for j in range(len(saved))
                ]
            )
        if switches.packing:
            hooks: Any = pack_hooks()
            if type(hooks) is tuple:
                kept = tuple([None if s is None else _packed(s, hooks) for s in kept])
        node.saved = kept
        if switches.anomaly or row.custom or holds_arrays(kept):
            node.place = here()
    else:
        if saved is not None or len(row.saves) > 0:
            node.saved = (None,) * len(row.saves if saved is None else saved)
        if switches.anomaly or row.custom:
            node.place = here()
    if row.broadcasts and n > 1:
        array = cython.cast(Tensor, outs[0]).array
        for i in range(n):
            if inputs[i] is not None:
                t = cython.cast(Tensor, args[i])
                if not same_shape(t.array, array):
                    node.shapes = tuple([_shape(b) if isinstance(b, Tensor) else None for b in args])
                    break
    if count > 1:
        node.outputs = tuple([(_shape(y), y.array.dtype) for y in outs])
    for j in range(count):
        t = cython.cast(Tensor, outs[j])
        if (saved is None and count == 1) or _is_float(t.array):  # of the one that a kernel gave, it was asked
            t._node = node
            t._index = j
            t._wants = True
    if switches.watching:
        watch: Any = current().watch
        if watch is not None:
            watch(node, args, outs[:count])


@cython.cfunc
def _shape(a: Any) -> Any:
    """The sizes of a tensor or an array."""
    if isinstance(a, Tensor):
        a = cython.cast(Tensor, a).array
    return shape_of(a, tuple) if type(a) is _ndarray else a.shape


@cython.cfunc
def _keep_role(role: cython.longlong, args: tuple, outs: tuple) -> Any:
    """The value that a role of Op.saves stands for, as a saved value."""
    if role >= _SHAPES:
        if role == _SHAPES:
            shapes = [_shape(a) for a in args]
            return make_saved(tuple(shapes), CONSTANT, None, None)
        return make_saved(_shape(args[role - _SHAPE]), CONSTANT, None, None)
    a = outs[-1 - role] if role < 0 else args[role]
    if not isinstance(a, Tensor):
        return make_saved(a, CONSTANT, None, None)
    t: Tensor = cython.cast(Tensor, a)
    if role >= 0 and t.inferred and not current().inference:
        raise GraphError("a tensor made in inference_mode cannot be saved for backward; clone() it")
    return make_saved(t.array, role if role >= 0 else role - 1, t.version, t.layer)


@cython.cfunc
def _keep(value: Any, args: tuple, outs: tuple) -> Any:
    """A saved value with its role: found among the inputs or the outputs by identity."""
    i: cython.Py_ssize_t
    for i in range(len(args)):
        if isinstance(args[i], Tensor) and args[i].array is value:
            return _keep_role(i, args, outs)
    t: Tensor
    for i in range(len(outs)):
        t = outs[i]
        if t.array is value:
            return make_saved(value, -2 - i, t.version, t.layer)
    return make_saved(value, CONSTANT, None, None)


@cython.cfunc
def _packed(s: Saved, hooks: tuple) -> Any:
    """A saved value after the hooks."""
    if type(s.array) is not _ndarray:
        return s
    pack, unpack = hooks
    t: Tensor = wrap(s.array)
    if s.version is not None:
        t.version = s.version
    on = current().grad
    set_grad_enabled(False)
    v: Version = t.version
    before: cython.longlong = v.value
    try:
        made: Saved = make_saved(pack(t), s.role, None, s.layer)
    finally:
        set_grad_enabled(on)
    if v.value != before:
        raise GraphError("a pack hook has written the tensor that it was given; make a new one (x * 2, not x.mul_(2))")
    made.unpack = unpack
    return made
