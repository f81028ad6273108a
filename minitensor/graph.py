# cython: boundscheck=False, wraparound=False
"""The graph: tensors, nodes, the recording of operators, reverse and forward mode.

Pure-Python-mode Cython: the build compiles this file; with MINITENSOR_COMPILE_GRAPH=OFF the very same file runs as
Python and a debugger steps through it. The graph knows no operator by name; the few that it needs itself (to add
gradients, to sum them back over broadcast axes) are handed to it by `set_algebra`.

`apply` is the one way down: it takes the arrays out of the tensors, runs the operator's kernel, wraps the output and
records a `Node`. `backward` walks the nodes back. An operator called on arrays is just its kernel; called on tensors it
is recorded: the derivative rules are written with operators, so the walk runs them on arrays for a first derivative and
on tensors where the derivative is itself to be differentiated.

    inputs  ---.                      a Node keeps, for each argument, what made it (a Node, or a leaf Tensor, or None
    (Node, k)   > Node(op) --> out    where no gradient is wanted) and which output of that; and the values that the
    leaf Tensor-'   |                 rules need, with the version of their storage at that time
                  saved
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .errors import DtypeError, GraphError, OutOfMemoryError, ShapeError, UsedAfterVmapError
from .op import SHAPE, SHAPES, Op

try:
    import cython
except ImportError:
    from . import _cython as cython

# Declared, so that the compiled module keeps them in C variables.
_ndarray = cython.declare(object, np.ndarray)
_F32 = cython.declare(object, np.dtype("float32"))
_F64 = cython.declare(object, np.dtype("float64"))
_SHAPE = cython.declare(cython.longlong, SHAPE)
_SHAPES = cython.declare(cython.longlong, SHAPES)
_reference = cython.declare(cython.bint, False)
_inferring = cython.declare(cython.longlong, 0)  # how many threads are in inference mode
_paused = cython.declare(cython.longlong, 0)  # how many threads do not record
_packing = cython.declare(cython.longlong, 0)  # how many hooks of saved values are in force, in all threads
_watching = cython.declare(cython.longlong, 0)  # how many threads have a watch on what they record
_anomaly = cython.declare(cython.bint, False)  # whether every node keeps its place
_check_nan = cython.declare(cython.bint, False)  # whether the walk looks for NaN
_walks = cython.declare(cython.longlong, 0)  # how many walks back there have been


def is_compiled() -> bool:
    """Whether this module runs compiled by Cython."""
    return bool(cython.compiled)


# --- modes ------------------------------------------------------------------------------------------------------------


class _Modes(threading.local):
    """What each thread has switched: recording, inference, and how many forward levels are open."""

    grad: bool = True
    inference: bool = False
    depth: int = 0

    def __init__(self) -> None:
        self.batches: list[Any] = []  # the vmaps that the thread is in, the outermost first
        self.packs: list[
            Any
        ] = []  # the hooks of saved values, the innermost last: (pack, unpack), or why there are none
        self.walk = 0  # the number of the walk back that the thread is in, or 0
        self.watch: Any = None  # what sees every operator that is recorded
        self.pending: Any = None  # and what that walk has still to come to


_modes = _Modes()


def grad_enabled() -> bool:
    """Whether operators are recorded in this thread."""
    return _modes.grad


def set_grad_enabled(on: bool) -> None:
    """Switches recording in this thread."""
    global _paused
    _paused += int(_modes.grad) - int(on)
    _modes.grad = on


def batch_levels() -> list[Any]:
    """The vmaps that this thread is in, the outermost first: each a `batching.BatchLevel`."""
    return _modes.batches


def push_pack(hooks: Any) -> None:
    """Has each value that is saved from now on go through `hooks`: (pack, unpack), or a reason why none may be set."""
    global _packing
    now: Any = _pack_hooks()
    if isinstance(now, str) and not isinstance(hooks, str):
        raise GraphError(now)
    _modes.packs.append(hooks)
    _packing += 1


@cython.cfunc
def _pack_hooks() -> Any:
    """The innermost of what `push_pack` was given, or None."""
    packs: list = _modes.packs
    return packs[len(packs) - 1] if packs else None


def pop_pack() -> None:
    """Takes the innermost hooks of saved values away."""
    global _packing
    _modes.packs.pop()
    _packing -= 1


def set_watch(watch: Any) -> Any:
    """Has `watch(node, arguments, outputs)` called for every operator that this thread records; None: nothing.

    Returns the watch that there was before.
    """
    global _watching
    before: Any = _modes.watch
    _watching += int(watch is not None) - int(before is not None)
    _modes.watch = watch
    return before


def current_walk() -> int:
    """The number of the walk back that this thread is in; 0 outside one."""
    return int(_modes.walk)


def reaches(x: Any) -> bool:
    """Whether the walk back that this thread is in has still to come to the gradient of `x`."""
    p: Any = None if _modes.pending is None else _modes.pending.get(_origin(x))
    return p is not None and bool(p.leads)


def set_anomaly(on: bool, check_nan: bool) -> None:
    """Whether every node keeps its place in the program, and whether a NaN that a rule gives is an error."""
    global _anomaly, _check_nan
    _anomaly, _check_nan = on, on and check_nan
    ShapeError.notes = _where_made if on else None
    _made.clear()


def anomaly() -> tuple[bool, bool]:
    """What `set_anomaly` was last given."""
    return _anomaly, _check_nan


@cython.cfunc
def _recording() -> cython.bint:
    """`grad_enabled`, without looking up the thread where all of them record."""
    return _paused == 0 or bool(_modes.grad)


def inference_enabled() -> bool:
    """Whether this thread is in inference mode."""
    return _modes.inference


def set_inference(on: bool) -> None:
    """Switches inference mode in this thread."""
    global _inferring
    _inferring += int(on) - int(_modes.inference)
    _modes.inference = on


def use_reference(on: bool) -> None:
    """Whether every operator runs its NumPy reference instead of its kernel."""
    global _reference
    _reference = on


def uses_reference() -> bool:
    """Whether every operator runs its NumPy reference."""
    return _reference


# --- where in the user's program --------------------------------------------------------------------------------------

# Of the Python files: an editable installation has the compiled graph elsewhere.
_package = cython.declare(object, os.path.dirname(os.path.abspath(str(sys.modules[Op.__module__].__file__))) + os.sep)


@cython.cfunc
def _here() -> Any:
    """The innermost place outside this package, as (code, instruction): cheap to take, read only for an error."""
    return _place(_package)


def here() -> Any:
    """The innermost place outside this package, to be compared with another."""
    return _here()


def _describe(place: Any) -> str:
    """'file.py, line 7' for a place of _here."""
    if place is None:
        return "an unknown line"
    code, instruction = place
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= instruction < end and number is not None:
            line = number
    return f"{code.co_filename}, line {line}"


_made: dict = {}  # in anomaly mode: where the last tensor of each shape was made


def _where_made(message: str) -> str:
    """For a message about shapes: the line that is running, and where the last tensors of those shapes were made."""
    known = [f"{shape} at {_describe(place)}" for shape, place in _made.items() if str(shape) in message]
    made = f"; tensors were last made of shape {', of shape '.join(known)}" if known else ""
    return f" (at {_describe(_here())}{made})"


def made_at(x: Any) -> str:
    """Where in the user's program the operator was called that made a tensor, as 'file.py, line 7'."""
    return _recorded_at(x.node) if x.requires_grad else _describe(x.version.place)


def _recorded_at(node: Any) -> str:
    """The place of a node, or failing that of the nearest that it was made from."""
    near: list = [node]
    for n in near:
        if not isinstance(n, Node):
            continue
        if n.place is not None:
            return f"{'' if n is node else 'an operator after '}{_describe(n.place)}"
        if len(near) < 100:
            near.extend(n.inputs)
    return "an unknown line (detect_anomaly() keeps them all)"


def line() -> str:
    """The innermost line of the user's program that is running, as 'file.py, line 7'."""
    return _describe(_here())


def _named_function(function: Any) -> str:
    """A user's function as 'name at file.py, line 7'."""
    name = getattr(function, "__name__", type(function).__name__)
    code = getattr(function, "__code__", None)
    return name if code is None else f"{name} at {code.co_filename}, line {code.co_firstlineno}"


@cython.cfunc
def _locate(error: Any, target: Any) -> Any:
    """Adds to the message of an error of the walk what it was at, where that was recorded and where the walk began."""
    if "recorded at" not in str(error):
        what = "in adding to the gradient of a leaf"
        if isinstance(target, Node):
            what = f"in the gradient of {target.op.name}, recorded at {_recorded_at(target)}"
        error.args = (f"{error}; {what}; the walk back began at {_describe(_here())}",)


class RemovableHandle:
    """What registering a hook returns: `remove()` takes the hook away."""

    def __init__(self, hooks: list[Any], hook: Any) -> None:
        self._hooks, self._hook = hooks, hook

    def remove(self) -> None:
        """Takes the hook away; a second call does nothing."""
        if self._hook in self._hooks:
            self._hooks.remove(self._hook)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self.remove()


# --- storage, nodes ---------------------------------------------------------------------------------------------------


@cython.freelist(64)
@cython.final
@cython.cclass
class Version:
    """How often one storage was written, and where last. Tensors that share memory share it."""

    value = cython.declare(cython.longlong, visibility="readonly")
    place = cython.declare(object, visibility="readonly")

    def __init__(self) -> None:
        self.value = 0
        self.place = None

    def bump(self) -> None:
        """Marks a write."""
        self.value += 1
        self.place = _here()


_CONSTANT = cython.declare(
    cython.longlong, -1
)  # what a saved value is: a constant, input i (i >= 0) or output j (-2 - j)


@cython.freelist(64)
@cython.final
@cython.cclass
class Saved:
    """A value kept for the backward, and the version of its storage when it was kept."""

    array = cython.declare(object, visibility="readonly")
    role = cython.declare(cython.longlong, visibility="readonly")
    version = cython.declare(object, visibility="readonly")
    number = cython.declare(cython.longlong, visibility="readonly")
    layer = cython.declare(object, visibility="readonly")
    unpack = cython.declare(object, visibility="readonly")  # makes the value of `array`, where hooks packed it


@cython.cfunc
def _saved(array: Any, role: cython.longlong, version: Any, layer: Any) -> Saved:
    made: Saved = Saved.__new__(Saved)
    made.array = array
    made.role = role
    made.version = version
    made.layer = layer
    made.unpack = None
    if version is None:
        made.number = 0
    else:
        v: Version = version
        made.number = v.value
    return made


@cython.freelist(64)
@cython.final
@cython.cclass
class Node:
    """One recorded operator: its inputs' origins and the values that its derivative rules need."""

    op = cython.declare(object, visibility="readonly")
    params = cython.declare(dict, visibility="readonly")
    inputs = cython.declare(tuple, visibility="readonly")  # of Node, leaf Tensor or None
    indices = cython.declare(tuple, visibility="readonly")  # which output of each
    saved = cython.declare(object, visibility="public")  # tuple of Saved or None; None once freed
    shapes = cython.declare(object, visibility="public")  # the inputs', where gradients are summed back
    outputs = cython.declare(object, visibility="public")  # (shape, dtype) of each, if there are several
    place = cython.declare(object, visibility="readonly")
    freed = cython.declare(object, visibility="readonly")  # where the walk was started that freed the saved values
    hooks = cython.declare(object, visibility="public")  # {output: [hook, ...]} or None
    extra = cython.declare(object, visibility="public")  # {"pre": [hook, ...], "post": ..., "metadata": ...} or None

    def name(self) -> str:
        """PyTorch's name for it, as `MulBackward0`."""
        return str(_name_of(self))

    @property
    def next_functions(self) -> tuple[tuple[Any, int], ...]:
        """For each argument, what made it (of a leaf, AccumulateGrad; None where no gradient goes) and which output."""
        rules: Any = self.op.rules * len(self.inputs) if self.op.variadic else self.op.rules
        return tuple(
            [
                (AccumulateGrad(x) if isinstance(x, Tensor) else x, index)
                for x, index, rule in zip(self.inputs, self.indices, rules, strict=True)
                if rule is not None
            ]
        )

    @property
    def saved_tensors(self) -> tuple[Any, ...]:
        """What a Function saved for its backward; of another operator, the values that its rules use."""
        return tuple([saved_value(self, s) for s in self._live() if s is not None])

    @property
    def metadata(self) -> dict[str, Any]:
        """A dict for the user's own notes."""
        return self._extra().setdefault("metadata", {})

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Has `fn(grad_outputs)` called before this node's rules; a tuple that it returns is used in their place."""
        return self._hook("pre", fn)

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Has `fn(grad_inputs, grad_outputs)` called after them; a tuple that it returns goes on in their place."""
        return self._hook("post", fn)

    def _hook(self, when: str, fn: Any) -> RemovableHandle:
        hooks: list[Any] = self._extra().setdefault(when, [])
        hooks.append(fn)
        return RemovableHandle(hooks, fn)

    def _extra(self) -> dict[str, Any]:
        if self.extra is None:
            self.extra = {}
        return self.extra

    def _live(self) -> Any:
        """The saved values; raises if a walk has freed them."""
        if self.saved is None:
            raise GraphError(
                f"{self.op.name}: a backward through the graph a second time, after the first has freed the saved "
                f"values; pass retain_graph=True to the first (recorded at {_describe(self.place)}; freed at "
                f"{_describe(self.freed)})"
            )
        return self.saved

    def __getattr__(self, name: str) -> Any:
        """`_saved_self` and the like, by PyTorch's names; of a Function's node, what `ctx` has."""
        if name.startswith("_saved_"):
            return _saved_of(self, name[len("_saved_") :])
        if self.op.custom and not name.startswith("__"):
            return getattr(self.params["call"].ctx, name)
        raise AttributeError(f"{self.name()} has no attribute {name}")

    def __repr__(self) -> str:
        return f"<{self.name().rpartition(':')[2]}>"


_name_of: Any = None  # name_of(node): PyTorch's name for it
_saved_of: Any = None  # saved_of(node, name): the saved value that PyTorch calls so


def set_names(name_of: Any, saved_of: Any) -> None:
    """Hands the graph PyTorch's names for nodes and for what they save."""
    global _name_of, _saved_of
    _name_of, _saved_of = name_of, saved_of


class AccumulateGrad:
    """The end of the graph at a leaf, `variable`, to whose `grad` the walk adds."""

    next_functions: tuple[tuple[Any, int], ...] = ()

    def __init__(self, variable: Any) -> None:
        self.variable = variable
        self.metadata: dict[str, Any] = {}

    def name(self) -> str:
        """PyTorch's name for it."""
        return "torch::autograd::AccumulateGrad"

    def register_prehook(self, fn: Any) -> RemovableHandle:
        """Has `fn((gradient,))` called before it is added; a tuple that it returns is added in its place."""

        def hook(g: Any) -> Any:
            found = fn((g,))
            return None if found is None else found[0]

        return RemovableHandle(add_hook(self.variable, hook), hook)

    def register_hook(self, fn: Any) -> RemovableHandle:
        """Has `fn((), (variable.grad,))` called once the gradient is added."""

        def hook(_variable: Any) -> None:
            fn((), (self.variable.leaf_grad,))

        x: Tensor = self.variable
        if x.after_hooks is None:
            x.after_hooks = []
        x.after_hooks.append(hook)
        return RemovableHandle(x.after_hooks, hook)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AccumulateGrad) and other.variable is self.variable

    def __hash__(self) -> int:
        return id(self.variable)

    def __repr__(self) -> str:
        return "<AccumulateGrad>"


@cython.cfunc
def _node(op: Any, params: dict, inputs: tuple, indices: tuple) -> Node:
    node: Node = Node.__new__(Node)
    node.op = op
    node.params = params
    node.inputs = inputs
    node.indices = indices
    node.saved = ()
    node.shapes = None
    node.outputs = None
    node.place = None
    node.freed = None
    node.hooks = None
    node.extra = None
    return node


@cython.cclass
class Tensor:
    """The core of a tensor: an ndarray and its place in the graph. `minitensor.Tensor` adds the methods."""

    array = cython.declare(object, visibility="readonly")
    version = cython.declare(object, visibility="readonly")
    leaf_grad = cython.declare(object, visibility="public")  # the accumulated gradient, a Tensor or None
    leaf_hooks = cython.declare(object, visibility="public")  # of a leaf: [hook, ...] or None
    after_hooks = cython.declare(object, visibility="public")  # of a leaf, called once its gradient is added; or None
    layer = cython.declare(object, visibility="public")  # of forward mode: a Dual or None
    base = cython.declare(object, visibility="readonly")  # the tensor that this is a view of, or None
    chain = cython.declare(object, visibility="readonly")  # (chain of what it views, op, params, output)
    inferred = cython.declare(cython.bint, visibility="readonly")
    aside = cython.declare(cython.bint, visibility="readonly")  # a view, made under no_grad, of what wants gradients
    _node = cython.declare(object)
    _index = cython.declare(cython.longlong)
    _wants = cython.declare(cython.bint)
    _seen = cython.declare(cython.longlong)  # of a view: the version that _node belongs to
    _of = cython.declare(object)  # of a view: the array of its base that it views

    def __init__(self, array: Any) -> None:
        self._set(array)

    @cython.cfunc
    def _set(self, array: Any) -> Any:
        self.array = array
        version: Version = Version.__new__(Version)
        version.value = 0
        version.place = None
        if _anomaly:
            version.place = _made[array.shape] = _here()
        self.version = version
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
    def node(self) -> Any:
        """The node that made this tensor, or None for a leaf."""
        if self.base is not None:
            _refresh(self)
        batch: Any = None if self.layer is None else _batch((self,))
        return self._node if batch is None else batch.tensor.node

    @property
    def index(self) -> int:
        """Which of its node's outputs this tensor is."""
        return self._index

    @property
    def requires_grad(self) -> bool:
        """Whether operators on this tensor are recorded."""
        if self.base is not None:
            _refresh(self)
        batch: Any = None if self.layer is None else _batch((self,))
        return self._wants if batch is None else batch.tensor.requires_grad

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        batch: Any = None if self.layer is None else _batch((self,))
        if batch is not None:
            batch.tensor.requires_grad = on
            return
        if not on and self._node is not None:
            raise GraphError("requires_grad can only be switched off on a leaf; use detach() to leave the graph")
        if on and self.array.dtype.kind != "f":
            raise DtypeError(f"only tensors of floating dtype can require gradients, not {self.array.dtype}")
        if on and self.inferred and not _modes.inference:
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
        batch: Any = None if self.layer is None else _batch((self,))
        if batch is not None:
            return batch.through(_detached, self)
        out: Tensor = _new(self.array)
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


def set_tensor_class(cls: Any) -> None:
    """Sets the class of the tensors that operators return."""
    global _tensor_class
    _tensor_class = cls


@cython.cfunc
def _new(array: Any) -> Any:
    cls = cython.cast(type, _tensor_class)  # Cython then makes the object without a call through Python
    out: Tensor = cls.__new__(cls)
    out._set(array if type(array) is _ndarray else np.asarray(array))
    if _inferring:
        out.inferred = _modes.inference
    return out


def _detached(x: Tensor) -> Any:
    return x.detach()


def wrap(array: Any) -> Any:
    """A tensor over an ndarray, sharing its memory; a leaf."""
    return _new(array)


def as_leaf(x: Tensor) -> Any:
    """The value of `x`, with its tangents, as a leaf that requires gradients."""
    batch: Any = _batch((x,))
    if batch is not None:
        return batch.through(as_leaf, x)
    out: Tensor = _new(x.array)
    out.layer = x.layer
    out._wants = True
    return out


def alias(x: Tensor) -> Any:
    """The memory of `x` under another ndarray, outside the graph; writes into either are seen by both."""
    out: Tensor = _new(x.array.view())
    out.version, out.inferred = x.version, x.inferred
    return out


def outside(x: Tensor) -> Any:
    """The value of `x`, with its tangents, outside the graph."""
    batch: Any = _batch((x,))
    if batch is not None:
        return batch.through(outside, x)
    out: Tensor = _new(x.array)
    out.layer, out.version = x.layer, x.version
    return out


# --- the few operators that the graph itself needs --------------------------------------------------------------------

_add: Any = None  # add(a, b)
_add_into: Any = None  # add_into(have, more): have += more, of arrays
_copy: Any = None  # copy(array)
_sum_to: Any = None  # sum_to(g, shape): sums over broadcast axes
_expand: Any = None  # expand(x, shape)
_view_write: Any = None  # the operator view_write(base, value, *, chain): base with the view's values replaced
_promote: Any = None  # promote(name, a, b): both in their common dtype
_promote_float: Any = None  # promote_float(name, a): in a floating dtype
_cast: Any = None  # cast(a, dtype)
_same: Any = None  # the operator same(x): the identity
_place = cython.declare(object, None)  # place(folder): the innermost (code, instruction) outside it
_constant_in: Any = None  # the operator constant_in(d, *xs): d, with derivative 0 by the xs


def set_algebra(
    add: Any,
    add_into: Any,
    copy: Any,
    sum_to: Any,
    expand: Any,
    view_write: Op,
    promote: Any,
    promote_float: Any,
    cast: Any,
    same: Op,
    place: Any,
    constant_in: Op,
) -> None:
    """Hands the graph what it needs of the operators: to add gradients, to write through views, to promote dtypes."""
    global _add, _add_into, _copy, _sum_to, _expand, _view_write, _promote, _promote_float, _cast, _same, _place
    global _constant_in
    _add, _add_into, _copy, _sum_to, _expand, _view_write = add, add_into, copy, sum_to, expand, view_write
    _promote, _promote_float, _cast = promote, promote_float, cast
    _same, _place, _constant_in = same, place, constant_in


_NO_PARAMS: dict = {}


@cython.final
@cython.cclass
class Row:
    """What the graph reads of an operator at every call, in C variables."""

    kernel = cython.declare(object)
    names = cython.declare(tuple)
    rules = cython.declare(tuple)
    uses = cython.declare(tuple)
    saves = cython.declare(tuple)
    joint = cython.declare(object)
    variadic = cython.declare(cython.bint)
    view = cython.declare(cython.bint)
    broadcasts = cython.declare(cython.bint)
    custom = cython.declare(cython.bint)


@cython.cfunc
def _row(op: Any) -> Row:
    row: Row = op.row
    if row is None:
        row = Row.__new__(Row)
        row.kernel, row.names = op.kernel, op.names
        row.rules, row.uses, row.saves = op.rules, op.uses, op.saves
        row.variadic, row.view, row.broadcasts = op.variadic, op.view, op.broadcasts
        row.joint, row.custom = op.joint, op.custom
        object.__setattr__(op, "row", row)
    return row


# --- recording --------------------------------------------------------------------------------------------------------


@cython.cfunc
def _is_float(array: Any) -> cython.bint:
    d = array.dtype
    return d is _F32 or d is _F64 or d.kind == "f"


@cython.cfunc
def _run(op: Any, arrays: list, params: dict) -> tuple:
    """The operator on arrays: its kernel for float32 and float64, else its reference."""
    forward = op.forward
    if forward is not None and not _reference:
        d = arrays[0].dtype
        if d is _F32 or d is _F64:
            return forward(*arrays, **params) if params else forward(*arrays)
    try:
        if op.view or op.custom:  # which computes nothing, or is the user's
            return op.reference(*arrays, **params)
        with np.errstate(all="ignore"):  # infinities and NaN are results, as in the kernels
            return op.reference(*arrays, **params)
    except ValueError as error:
        if "array is too big" in str(error) or "Maximum allowed" in str(error):  # NumPy has no type of its own for it
            raise OutOfMemoryError(f"{op.name}: {error}") from None
        if op.broadcasts and not isinstance(error, ShapeError):
            shapes = " and ".join(str(a.shape) for a in arrays)
            raise ShapeError(f"{op.name}: shapes {shapes} do not broadcast") from None
        raise


def apply(op: Any, *args: Any, **params: Any) -> Any:
    """Runs an operator: on arrays just its kernel, on tensors also recorded where a gradient is wanted."""
    return _apply(op, args, params)


def apply_two(op: Any, a: Any, b: Any) -> Any:
    """`apply` for an operator on two operands, in their common dtype: what arithmetic on small tensors goes through."""
    x: Any = a
    y: Any = b
    wants: cython.bint = False
    plain: cython.bint = not _reference
    on_tensors: cython.bint = False
    t: Tensor
    if isinstance(a, Tensor):
        t = a
        if t.base is not None:
            _refresh(t)
        x = t.array
        wants, plain, on_tensors = t._wants, plain and t.layer is None, True
    if isinstance(b, Tensor):
        t = b
        if t.base is not None:
            _refresh(t)
        y = t.array
        wants, plain, on_tensors = wants or t._wants, plain and t.layer is None, True
    if plain:
        row: Row = _row(op)
        if row.kernel is not None:
            out = row.kernel(x, y)
            if out is not None:
                if not on_tensors:
                    return out
                t = _new(out)
                if wants and _recording():
                    _record(op, row, (a, b), _NO_PARAMS, (t,), None)
                return t
    if type(x) is not _ndarray or type(y) is not _ndarray or x.dtype is not y.dtype:
        a, b = _promote(op.name, a, b)
    return _apply(op, (a, b), {})


def apply_one(op: Any, a: Any) -> Any:
    """`apply` for an operator on one operand, which becomes floating if it is not."""
    x: Any = a
    t: Tensor
    if isinstance(a, Tensor):
        t = a
        if t.base is not None:
            _refresh(t)
        x = t.array
        row: Row = _row(op)
        if row.kernel is not None and t.layer is None and not _reference:
            out = row.kernel(x)
            if out is not None:
                wants: cython.bint = t._wants
                t = _new(out)
                if wants and _recording():
                    _record(op, row, (a,), _NO_PARAMS, (t,), None)
                return t
    if type(x) is not _ndarray or not _is_float(x):
        (a,) = _promote_float(op.name, a)
    return _apply(op, (a,), {})


def apply_flat(op: Any, *args: Any) -> Any:
    """`apply` with the parameters by position, after the arrays, in the order of `op.names`: see `Op.kernel`."""
    row: Row = _row(op)
    out = _attempt(op, row, args)
    if out is None:
        n: cython.Py_ssize_t = len(row.rules)
        return _apply(op, args[:n], _named(row, args, n))
    return out


def attempt(op: Any, *args: Any) -> Any:
    """`apply_flat` where the operator's kernel takes the arguments as they are, else None.

    What is wrong with arguments is found out after it, so that right ones need no check.
    """
    return _attempt(op, _row(op), args)


@cython.cfunc
def _attempt(op: Any, row: Row, args: tuple) -> Any:
    if row.kernel is None or _reference:
        return None
    n: cython.Py_ssize_t = len(row.rules)
    t: Tensor
    i: cython.Py_ssize_t
    on_tensors: cython.bint = False
    wants: cython.bint = False
    given: list = list(args)
    for i in range(n):
        a = args[i]
        if isinstance(a, Tensor):
            t = a
            if t.layer is not None:
                return None
            if t.base is not None:
                _refresh(t)
                if t.layer is not None:
                    return None
            given[i] = t.array
            on_tensors = True
            wants = wants or t._wants
    if len(given) == 2:
        out = row.kernel(given[0], given[1])
    elif len(given) == 3:
        out = row.kernel(given[0], given[1], given[2])
    else:
        out = row.kernel(*given)
    if out is None or not on_tensors:
        return out
    t = _new(out)
    wants = wants and _recording() and _is_float(t.array)
    if not (row.view or wants):
        return t
    params: dict = _named(row, args, n)
    if row.view:
        _link_view(op, args[0], params, t, 0)
    if wants:
        _record(op, row, args, params, (t,), None)
    return t


def attempt_all(op: Any, tensors: Any, *params: Any) -> Any:
    """`attempt` for an operator on any number of tensors, which come as a list or a tuple."""
    row: Row = _row(op)
    if row.kernel is None or _reference or not isinstance(tensors, (list, tuple)):
        return None
    arrays: list = []
    on_tensors: cython.bint = False
    wants: cython.bint = False
    t: Tensor
    for a in tensors:
        if isinstance(a, Tensor):
            t = a
            if t.base is not None:
                _refresh(t)
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
    t = _new(out)
    if wants and _recording() and _is_float(t.array):
        _record(op, row, tuple(tensors), _named(row, params, 0), (t,), None)
    return t


@cython.cfunc
def _named(row: Row, args: tuple, n: cython.Py_ssize_t) -> dict:
    """The parameters, which come after n arrays, by name."""
    params: dict = {}
    i: cython.Py_ssize_t
    for i in range(n, len(args)):
        params[row.names[i - n]] = args[i]
    return params


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
            t = a
            found = True
            if t.base is not None:
                _refresh(t)
            if t._wants:
                wants = True
            if t.layer is not None:
                layered = True
            arrays.append(t if custom else t.array)
        else:
            arrays.append(a)
    if not found:
        return _run(op, arrays, params)[0]
    if layered:
        return _evaluate(op, args, params)[0]
    out, saved = _run(op, arrays, params)
    return _wrap_outputs(op, args, params, out, saved, wants and _recording())


@cython.cfunc
def _wrap_outputs(op: Any, args: tuple, params: dict, out: Any, saved: tuple, wants: cython.bint) -> Any:
    """Tensors over the output arrays; recorded if a gradient is wanted."""
    t: Tensor
    j: cython.Py_ssize_t
    if type(out) is not tuple:
        t = out if op.custom else _new(out)
        if op.view:
            _link_view(op, args[0], params, t, 0)
        if wants and _is_float(t.array):
            _record(op, _row(op), args, params, (t,), saved)
        return t
    outs: tuple = out if op.custom else tuple([_new(y) for y in out])
    if op.view:
        for j in range(len(outs)):
            _link_view(op, args[0], params, outs[j], j)
    if wants:
        _record(op, _row(op), args, params, outs, saved)
    return outs


@cython.cfunc
def _link_view(op: Any, x: Any, params: dict, out: Tensor, output: int) -> Any:
    """Notes that `out` shares the memory of `x`, where it does."""
    if not isinstance(x, Tensor):
        return
    t: Tensor = x
    owner = out.array.base
    if owner is None or not (owner is t.array or owner is t.array.base):
        return
    out.version = t.version
    out.inferred = t.inferred
    out.aside = t.aside
    if not (_recording() or t.layer is not None):
        out.aside = t.aside or t._wants
    else:
        base: Tensor = t if t.base is None else t.base
        out.base = base
        out._of = base.array
        out.chain = (t.chain, op, params, output)
        out._seen = t.version.value


@cython.cfunc
def _origin(a: Any) -> Any:
    """What the gradient of an argument goes to: its node, itself if it is a leaf, None if it wants none."""
    if not isinstance(a, Tensor):
        return None
    t: Tensor = a
    if not t._wants:
        return None
    return a if t._node is None else t._node


@cython.cfunc
def _record(op: Any, row: Row, args: tuple, params: dict, outs: tuple, saved: Any) -> Any:
    """Makes the node of an operator that has run, and puts its outputs on it.

    `args` may have the parameters after the arrays. `saved` is what the operator's forward gave, or None where only its
    kernel ran: then `op.saves` names the values.
    """
    rules: tuple = row.rules
    uses: tuple = row.uses
    variadic: cython.bint = row.variadic
    used: cython.longlong = 0  # which saved values some rule that will run needs, a bit each
    some: cython.bint = False
    later: cython.bint = False  # some argument is not the first output of its node
    a: Any
    t: Tensor
    i: cython.Py_ssize_t
    j: cython.Py_ssize_t
    n: cython.Py_ssize_t = len(args) if variadic else len(rules)
    rule: cython.Py_ssize_t
    origins: list = [None] * n
    for i in range(n):
        rule = 0 if variadic else i
        a = args[i]
        if rules[rule] is None or not isinstance(a, Tensor):
            continue
        t = a
        if t._wants:
            some = True
            used |= uses[rule]
            origins[i] = a if t._node is None else t._node
            later = later or t._index != 0
    if not some:
        return
    if later:
        indices = tuple([0 if o is None else a.index for o, a in zip(origins, args, strict=False)])
    else:
        indices = _FIRST[n] if n < 4 else (0,) * n
    node: Node = _node(op, params, tuple(origins), indices)
    if used != 0:
        kept: list = []
        if saved is None:
            roles: tuple = row.saves
            for j in range(len(roles)):
                kept.append(_keep_role(roles[j], args, outs) if (used >> j) & 1 else None)
        else:
            for j in range(len(saved)):
                a = saved[j]
                kept.append(_keep(a, args, outs) if a is not None and (used >> j) & 1 else None)
        if _packing:
            hooks: Any = _pack_hooks()
            if type(hooks) is tuple:
                kept = [None if s is None else _packed(s, hooks) for s in kept]
        node.saved = tuple(kept)
        if _anomaly or row.custom or _holds_arrays(kept):
            node.place = _here()
    else:
        node.saved = (None,) * len(row.saves if saved is None else saved)
        if _anomaly or row.custom:
            node.place = _here()
    t = outs[0]
    if row.broadcasts and n > 1:
        shape = t.array.shape
        for i in range(n):
            if origins[i] is not None:
                t = args[i]
                if t.array.shape != shape:
                    node.shapes = tuple([b.array.shape if isinstance(b, Tensor) else None for b in args[:n]])
                    break
    if len(outs) > 1:
        node.outputs = tuple([(y.array.shape, y.array.dtype) for y in outs])
    for j in range(len(outs)):
        t = outs[j]
        if saved is None or _is_float(t.array):  # of what a kernel gave, it was asked before
            t._node = node
            t._index = j
            t._wants = True
    if _watching:
        watch: Any = _modes.watch
        if watch is not None:
            watch(node, args[:n], outs)


_FIRST: tuple = ((), (0,), (0, 0), (0, 0, 0))  # the first output of every argument's node


@cython.cfunc
def _holds_arrays(kept: Sequence[Any]) -> cython.bint:
    """Whether some of the saved values is an array, which is freed with the graph; shapes and the like stay."""
    for s in kept:
        if s is not None:
            v: Saved = s
            if type(v.array) is _ndarray or v.unpack is not None:
                return True
    return False


@cython.cfunc
def _keep_role(role: cython.longlong, args: tuple, outs: tuple) -> Any:
    """The value that a role of Op.saves stands for, as a saved value."""
    if role >= _SHAPES:
        if role == _SHAPES:
            shapes = [a.array.shape if isinstance(a, Tensor) else a.shape for a in args]
            return _saved(tuple(shapes), _CONSTANT, None, None)
        a = args[role - _SHAPE]
        return _saved(a.array.shape if isinstance(a, Tensor) else a.shape, _CONSTANT, None, None)
    a = outs[0] if role < 0 else args[role]
    if not isinstance(a, Tensor):
        return _saved(a, _CONSTANT, None, None)
    t: Tensor = a
    if role >= 0 and t.inferred and not _modes.inference:
        raise GraphError("a tensor made in inference_mode cannot be saved for backward; clone() it")
    return _saved(t.array, role if role >= 0 else -2, t.version, t.layer)


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
            return _saved(value, -2 - i, t.version, t.layer)
    return _saved(value, _CONSTANT, None, None)


@cython.cfunc
def _packed(s: Saved, hooks: tuple) -> Any:
    """A saved value after the hooks."""
    if type(s.array) is not _ndarray:
        return s
    pack, unpack = hooks
    t: Tensor = _new(s.array)
    if s.version is not None:
        t.version = s.version
    on = _modes.grad
    set_grad_enabled(False)
    v: Version = t.version
    before: cython.longlong = v.value
    try:
        made: Saved = _saved(pack(t), s.role, None, s.layer)
    finally:
        set_grad_enabled(on)
    if v.value != before:
        raise GraphError("a pack hook has written the tensor that it was given; make a new one (x * 2, not x.mul_(2))")
    made.unpack = unpack
    return made


# --- views and writes -------------------------------------------------------------------------------------------------


@cython.cfunc
def _refresh(view: Tensor) -> Any:
    """Where a view's memory was written since, its node is the view operators applied to the base's node."""
    base: Tensor = view.base
    v: Version = view.version
    if view._seen == v.value:
        return
    view._seen = v.value
    if not base._wants and base.layer is None:
        return
    _need_base("a view", view)
    on = _modes.grad
    set_grad_enabled(True)
    try:
        fresh: Tensor = replay(view.chain, base)
    finally:
        set_grad_enabled(on)
    _move(view, fresh)
    view.layer = _settled(fresh.layer, view)


@cython.cfunc
def _need_base(name: str, view: Tensor) -> Any:
    """Raises where what a view is a view of has since been given another shape or other memory."""
    base: Tensor = view.base
    if view._of is not base.array:
        raise GraphError(
            f"{name}: the tensor that this one is a view of was given another shape or memory in place after the view "
            "was made, so the graph cannot follow the write; make the view again"
        )


def become(name: str, x: Any, function: Callable[[Any], Any]) -> Any:
    """Has the tensor `x` itself become the view function(x): `x.t_()`. The graph keeps what it was as its base."""
    t: Tensor = x
    if _recording() and t.requires_grad and t._node is None:
        raise GraphError(f"{name}: a leaf that requires gradients cannot be changed in place; use no_grad()")
    view: Tensor
    if t._wants and t._node is None:  # stays the leaf that it is
        view = function(t.detach())
        t.array = view.array
        return x
    old: Tensor = _shadow(t)
    old.base, old.chain, old._seen, old._of = t.base, t.chain, t._seen, t._of
    old.inferred = t.inferred
    on = _modes.grad
    set_grad_enabled(True)
    try:
        view = function(old)
    finally:
        set_grad_enabled(on)
    t.array, t.base, t.chain, t._seen, t._of = view.array, view.base, view.chain, view._seen, view._of
    _move(t, view)
    t.layer = view.layer
    return x


def replay(chain: Any, x: Any) -> Any:
    """The view operators of a chain, applied to `x`."""
    steps: list = []
    while chain is not None:
        steps.append(chain)
        chain = chain[0]
    for _, op, params, output in reversed(steps):
        x = apply(op, x, **params)
        if type(x) is tuple:
            x = x[output]
    return x


def records(*values: Any) -> bool:
    """Whether an operator on these would be recorded, or carry tangents."""
    t: Tensor
    for v in values:
        if isinstance(v, Tensor):
            t = v
            if (_modes.grad and t.requires_grad) or t.layer is not None:
                return True
            if t.base is not None:
                t = t.base
                if t.layer is not None:
                    return True
    return False


def with_gradients(name: str, tensors: Any) -> list[Any]:
    """Those of the tensors that have a gradient and can be written, as (tensor, its array, its gradient's array)."""
    found: list = []
    t: Tensor
    g: Tensor
    for x in tensors:
        if x.leaf_grad is None:
            continue
        check_writable(name, x)
        t, g = x, x.leaf_grad
        found.append((t, t.array, g.array))
    return found


def written(tensors: Any) -> None:
    """Marks a write of each tensor, by the line of the user's program that is running."""
    place: Any = _here()
    t: Tensor
    v: Version
    for t in tensors:
        v = t.version
        v.value += 1
        v.place = place


def check_writable(name: str, x: Any, shared: bool = False) -> None:
    """Raises if `x` cannot be written: no tensor, a leaf of the graph, or (but for `shared`) shared elements."""
    if not isinstance(x, Tensor):
        raise TypeError(f"{name}: only a tensor can be written in place, not a {type(x).__name__}")
    batch: Any = _batch((x,))
    if batch is not None:
        check_writable(name, batch.tensor, shared)
        return
    if _recording() and x.requires_grad:
        root: Tensor = x if x.base is None else x.base
        if root._node is None and root._wants:
            what = "a leaf" if x.base is None else "a view of a leaf"
            raise GraphError(
                f"{name}: {what} that requires gradients cannot be written in place; "
                "use no_grad() around the write, or an operator that makes a new tensor"
            )
    if x.aside and _recording():
        raise GraphError(
            f"{name}: a view made under no_grad, of a tensor that requires gradients, cannot be written outside it; "
            "make the view outside no_grad, or write under it too"
        )
    if x.inferred and not _modes.inference:
        raise GraphError(f"{name}: a tensor made in inference_mode cannot be written outside it; clone() it")
    array = x.array
    for n, stride in zip(array.shape, array.strides, strict=True):
        if stride == 0 and n > 1 and array.size and not shared:
            raise ShapeError(
                f"{name}: several elements of this expanded tensor {array.shape} are one and the same in memory; "
                "clone() it before writing"
            )
    if not array.flags.writeable:
        raise ShapeError(f"{name}: the tensor's memory is read-only")


def snapshot(x: Any) -> Any:
    """What an in-place operator computes from: `x` itself, or where the graph may keep it, a copy in its place.

    The value that `x` had stays what it was for the rules that need it, while `assign` overwrites the memory.
    """
    t: Tensor = x
    if not _recording() and t.layer is None:
        return x
    batch: Any = _batch((x,))
    if batch is not None:
        return batch.through(snapshot, x)
    if t.base is not None:
        _refresh(t)
    out: Tensor = _shadow(t)
    out.array, out.version = t.array.copy(), Version()
    out.layer = _settled(t.layer, out)
    return out


def assign(name: str, x: Any, value: Any) -> None:
    """The end of every in-place operator: writes `value`, which an operator made, into the memory of `x`.

    In the graph, `x` takes the place of `value`; the base of a view becomes itself with that part replaced.
    """
    t: Tensor = x
    v: Tensor = value
    batch: Any = _batch((x, value))
    if batch is not None:
        batch.assign(name, x, value)
        return
    array = t.array
    if v.array.shape != array.shape:
        raise ShapeError(f"{name}: the result has shape {v.array.shape}, the tensor to write {array.shape}")
    if not np.can_cast(v.array.dtype, array.dtype, "same_kind"):
        raise DtypeError(f"{name}: a {v.array.dtype} result cannot be written into a {array.dtype} tensor")
    base: Tensor = t.base
    layered: cython.bint = t.layer is not None or v.layer is not None
    recorded: cython.bint = _recording() and (t.requires_grad or v._wants)
    if (recorded or layered) and v.array.dtype is not array.dtype:
        v = _cast(v, array.dtype)
    if recorded or layered or (base is not None and base.layer is not None):
        _rebase(name, t, v, layered)
    np.copyto(array, v.array, casting="same_kind")
    t.version.bump()
    if base is not None:
        t._seen = t.version.value
    if recorded or layered:
        _move(t, v)
        t.layer = _settled(v.layer, t)


def adopt(name: str, x: Any, value: Any) -> None:
    """Has `x` take the place in the graph of `value`, an alias of its memory that an operator has written."""
    t: Tensor = x
    v: Tensor = value
    if _batch((x, value)) is not None:
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
            whole = _evaluate(_view_write, (base, v), params)[0]
        else:
            whole = _new(base.array)
            _record(_view_write, _row(_view_write), (_shadow(base), v), params, (whole,), ())
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
    primal: Tensor = _shadow(d.primal)
    primal.array, primal.version = owner.array, owner.version
    primal.layer = _settled(primal.layer, owner)
    return Dual(d.level, primal, d.tangent)


@cython.cfunc
def _shadow(t: Tensor) -> Any:
    """Another tensor over the same memory at the same place in the graph."""
    out: Tensor = _new(t.array)
    out.version, out.layer = t.version, t.layer
    out._node, out._index, out._wants = t._node, t._index, t._wants
    return out


# --- forward mode -----------------------------------------------------------------------------------------------------


class Level:
    """One open forward-mode differentiation. Inner ones have higher numbers; a closed one counts for nothing."""

    __slots__ = ("alive", "number")

    def __init__(self) -> None:
        _modes.depth += 1
        self.number = _modes.depth
        self.alive = True

    def close(self) -> None:
        """Ends it: its tangents are ignored from here on."""
        self.alive = False
        _modes.depth -= 1


@cython.final
@cython.cclass
class Dual:
    """What forward mode adds to a tensor: its value without this level (`primal`) and its derivative (`tangent`).

    Both may in turn carry duals of lower levels, so any number of forward modes nest without mixing.
    """

    level = cython.declare(object, visibility="readonly")
    primal = cython.declare(object, visibility="readonly")
    tangent = cython.declare(object, visibility="readonly")

    def __init__(self, level: Level, primal: Tensor, tangent: Tensor) -> None:
        self.level = level
        self.primal = primal
        self.tangent = tangent


def make_dual(level: Level, primal: Any, tangent: Any) -> Any:
    """A tensor of the value of `primal` whose derivative at `level` is `tangent`."""
    batch: Any = _batch((primal, tangent))
    if batch is not None:  # duals lie beneath
        return batch.through(lambda p, t: make_dual(level, p, t), primal, tangent)
    p: Tensor = primal
    if p._node is None and p._wants and _recording():  # a leaf: what is made of the dual leads to it, not to the dual
        p = _expand(p, p.array.shape)
    out: Tensor = _shadow(p)
    out.layer = Dual(level, p, tangent)
    return out


def unpack_dual(level: Level, x: Any) -> tuple[Any, Any]:
    """(value without `level`, tangent or None)."""
    batch: Any = _batch((x,))
    if batch is not None:
        return batch.through(lambda t: unpack_dual(level, t), x)
    d = _top(x)
    if d is None or d.level is not level:
        return x, None
    return d.primal, d.tangent


@cython.cfunc
def _batch(tensors: Any) -> Any:
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
    return _batch(tensors)


def make_layered(array: Any, layer: Any) -> Any:
    """A tensor whose elements lie under a layer; `array` has their shape and dtype."""
    out: Tensor = _new(_NO_ELEMENTS)
    out.array, out.layer = array, layer
    return out


_NO_ELEMENTS = np.empty(0)


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


@cython.cfunc
def _evaluate(op: Any, args: tuple, params: dict) -> tuple:
    """(outputs, saved arrays) of an operator on tensors that may be dual; recorded where a gradient is wanted."""
    batch: Any = _batch(args)
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
    wants = wants and _recording()
    if level is None:
        arrays = list(args) if op.custom else [a.array if isinstance(a, Tensor) else a for a in args]
        out, saved = _run(op, arrays, params)
        return _wrap_outputs(op, args, params, out, saved, wants), saved
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
    inner, saved = _evaluate(op, tuple(primals), params)
    inners: tuple = inner if type(inner) is tuple else (inner,)
    derivatives: Any = _jvp(op, tangents, primals, inner, saved, params)
    if type(derivatives) is not tuple:
        derivatives = (derivatives,)
    outs: list = []
    t: Tensor
    for t, dt in zip(inners, derivatives, strict=True):
        y: Tensor = _new(t.array)
        y.version = t.version
        if dt is not None and t.array.dtype.kind == "f":
            y.layer = Dual(level, t, dt)
        if op.view:
            _link_view(op, args[0], params, y, len(outs))
        outs.append(y)
    if wants:
        _record(op, _row(op), args, params, tuple(outs), saved)
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
            total = term if total is None else _add(total, term)
        return total
    values = [_as_tensor(value, args, outs) for value in saved]
    if rule == "elementwise":
        shape = outs[0].array.shape
        for i in live:
            term = rules[i](tangents[i], *values, **params)
            if term.array.shape != shape:
                term = _expand(term, shape)
            total = term if total is None else _add(total, term)
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
    on = _modes.grad
    set_grad_enabled(True)
    try:
        cotangents: list = []
        u: Tensor
        for t in outs:
            u = _zeros_like(t)
            u._wants = u.array.dtype.kind == "f"
            cotangents.append(u)
        given = tuple(cotangents) if len(outs) > 1 else cotangents[0]
        pulled: list = []
        along: list = []
        for i in live:
            w = rules[i](given, *values, **params)
            if w is None:
                continue
            if op.broadcasts:
                w = _sum_to(w, tangents[i].array.shape)
            if w.requires_grad:
                pulled.append(w)
                along.append(tangents[i])
        wanted = [c for c in cotangents if c.requires_grad]
        record = _any_wants(along) or (on and _any_wants(values))
        found = iter(differentiate(pulled, along, wanted, True, record, True) if pulled else [])
    finally:
        set_grad_enabled(on)
    result = tuple([next(found, None) if c.requires_grad else None for c in cotangents])
    for u in cotangents:
        u._wants = False  # nobody differentiates by it again
    return result if len(outs) > 1 else result[0]


@cython.cfunc
def _any_wants(tensors: list) -> bool:
    for t in tensors:
        if isinstance(t, Tensor) and t.requires_grad:
            return True
    return False


# --- reverse mode -----------------------------------------------------------------------------------------------------


@cython.freelist(64)
@cython.final
@cython.cclass
class _Pending:
    """What the walk knows of a node, or of a leaf: how many edges still lead to it, and the gradients so far."""

    edges = cython.declare(cython.longlong, visibility="public")
    grads = cython.declare(list, visibility="public")
    owned = cython.declare(list, visibility="public")  # whether the walk may add into the gradient's memory
    leads = cython.declare(cython.bint, visibility="public")  # to an input that was asked for, or is one
    through = cython.declare(cython.bint, visibility="public")  # some of its own inputs lead to one


@cython.cfunc
def _pending() -> _Pending:
    p: _Pending = _Pending.__new__(_Pending)
    p.edges = 0
    p.grads = []
    p.owned = []
    p.leads = p.through = True
    return p


@cython.cfunc
def _order(roots: list) -> tuple:
    """(nodes in an order where each comes before what it was made from, what is pending of each), in linear time."""
    pending: dict = {}
    stack: list = []
    p: _Pending
    node: Node
    for target in roots:
        if target not in pending:
            pending[target] = _pending()
            stack.append(target)
    while stack:
        top = stack.pop()
        if not isinstance(top, Node):
            continue
        node = top
        for target in node.inputs:
            if target is None:
                continue
            known = pending.get(target)
            if known is None:
                known = pending[target] = _pending()
                stack.append(target)
            p = known
            p.edges += 1
    order: list = []
    ready: list = []
    for target in dict.fromkeys(roots):
        p = pending[target]
        if p.edges == 0:
            ready.append(target)
    while ready:
        top = ready.pop()
        order.append(top)
        if not isinstance(top, Node):
            continue
        node = top
        for target in node.inputs:
            if target is None:
                continue
            p = pending[target]
            p.edges -= 1
            if p.edges == 0:
                ready.append(target)
    return order, pending


@cython.cfunc
def _collect(p: _Pending, index: int, count: int, g: Any, owned: bool, record: bool) -> Any:
    """Adds one gradient to those of a node's output."""
    if count == 1 and len(p.grads) == 0:  # as of most nodes
        p.grads.append(g)
        p.owned.append(owned)
        return
    while len(p.grads) < count:
        p.grads.append(None)
        p.owned.append(False)
    have = p.grads[index]
    if have is None:
        p.grads[index] = g
        p.owned[index] = owned
    elif p.owned[index] and not record:
        _add_into(have, g)
    else:
        p.grads[index] = _add(have, g)
        p.owned[index] = True


@cython.cfunc
def _unpack_array(node: Node, kept: Any) -> Any:
    """A saved value as an array; raises if its memory was written since."""
    if kept is None:
        return None
    s: Saved = kept
    if s.unpack is not None:
        x = s.unpack(s.array)
        if not isinstance(x, Tensor):
            raise TypeError(f"{node.op.name}: the unpack hook returned a {type(x).__name__}, not a Tensor")
        return x.array
    if s.version is None:
        return s.array
    v: Version = s.version
    if v.value != s.number:
        raise GraphError(
            f"{node.op.name}: a value that its gradient needs, of shape {s.array.shape}, was modified by an inplace "
            f"operation after it was saved; saved at {_describe(node.place)}; overwritten at {_describe(v.place)}"
        )
    return s.array


def saved_value(node: Any, s: Any) -> Any:
    """A value that a node has saved, as a tensor at its place in the graph; raises if its memory was written since."""
    array = _unpack_array(node, s)
    if s is None or type(array) is not _ndarray:
        return array
    role = s.role
    out: Tensor
    if role == _CONSTANT:
        return _new(array)
    if role >= 0:
        origin = node.inputs[role]
        if isinstance(origin, Tensor) and origin.array is array:
            return origin
        out = _new(array)
        if isinstance(origin, Node):
            out._node, out._index, out._wants = origin, node.indices[role], True
        elif origin is not None:  # a leaf whose value comes from elsewhere
            out._node, out._wants = _node(_same, _NO_PARAMS, (origin,), _FIRST[1]), True
    else:
        out = _new(array)
        out._node, out._index, out._wants = node, -2 - role, True
    if s.version is not None:
        out.version = s.version
    out.layer = s.layer
    return out


def leaves(outputs: Sequence[Any]) -> list[Any]:
    """The leaves that tensors were made from and that require gradients."""
    batch: Any = _batch(outputs)
    if batch is not None:
        return leaves([batch.level.batched(y) for y in outputs])
    roots: list = [_origin(y) for y in outputs if y.requires_grad]
    return [x for x in _order(roots)[1] if isinstance(x, Tensor) and x.requires_grad]


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
    batch: Any = _batch(outputs) or _batch(inputs or ())
    if batch is not None:
        return batch.differentiate(outputs, grads, inputs, retain, record, allow_unused)
    place: Any = None if retain else _here()
    roots: list = []
    on_tensors: cython.bint = record or _modes.depth > 0
    p: _Pending
    node: Node
    t: Tensor
    i: cython.Py_ssize_t
    for y in outputs:
        o = _origin(y) if y.requires_grad else None
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
            wanted.setdefault(_origin(x), []).append((x.index, i))
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

    on = _modes.grad
    outer = _modes.walk, _modes.pending
    _walks += 1
    _modes.walk, _modes.pending = _walks, pending
    set_grad_enabled(record)
    try:
        for i in range(len(order)):
            target = order[i]
            order[i] = None
            p = pending[target]
            del pending[target]
            if len(p.grads) == 0 or not (p.leads or isinstance(target, Tensor)):
                continue
            if isinstance(target, Node):
                node = target
                if node.hooks is not None:
                    _call_hooks(node, p, on_tensors)
                if target in wanted:
                    for output, position in wanted[target]:
                        if output < len(p.grads):
                            results[position] = _result(p.grads[output], p.owned[output], on_tensors)
                if p.through:
                    _step(node, p, pending, retain, on_tensors, inputs is not None, place)
                continue
            t = target
            g = p.grads[0]
            if t.leaf_hooks is not None:
                g = _run_hooks(t.leaf_hooks, g, on_tensors)
            if inputs is None:
                if t._wants:  # switched off since it was used otherwise
                    _accumulate(t, g, p.owned[0], on_tensors)
            else:
                for _, position in wanted.get(target, ()):
                    results[position] = _result(g, p.owned[0], on_tensors)
    except ShapeError as error:
        _locate(error, target)
        raise
    finally:
        set_grad_enabled(on)
        _modes.walk, _modes.pending = outer
    if not allow_unused and inputs is not None:
        for i in range(len(results)):
            if results[i] is None:
                raise GraphError(
                    f"input {i} was not used in computing the outputs; pass allow_unused=True to get None for it"
                )
    return results


@cython.cfunc
def _gradients(node: Node, row: Row, g: Any, saved: list, pending: Any, filtered: cython.bint) -> list:
    """What the rules of a node make of the gradient of its output: those of its arguments.

    `filtered`: only of those that lead to what is asked for, as `pending` says.
    """
    joint: Any = row.joint
    i: cython.Py_ssize_t
    q: _Pending
    found: list = [None] * len(node.inputs)
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
        if node.shapes is not None:
            d = _sum_to(d, node.shapes[i])
        found[i] = d
        if _check_nan:
            _find_nan(node, i, d)
    return found


def pull(node: Node, grads: Sequence[Any]) -> list:
    """The gradients of one node's arguments, arrays, given those of its outputs (None: zero): its rules, and no hooks.

    Nothing is freed or accumulated. Raises GraphError if an earlier walk has freed the saved values.
    """
    g: Any = grads[0]
    if node.outputs is not None:
        g = tuple(grads)
        if not node.op.custom:
            g = tuple([_zeros(m, False) if d is None else d for d, m in zip(grads, node.outputs, strict=True)])
    on = _modes.grad
    set_grad_enabled(False)
    try:
        return _gradients(node, _row(node.op), g, [_unpack_array(node, s) for s in node._live()], None, False)
    finally:
        set_grad_enabled(on)


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
    row: Row = _row(op)
    i: cython.Py_ssize_t
    saved: list = []
    kept: tuple = node._live() if node.saved is None else node.saved
    if len(kept) > 0:
        if on_tensors:
            saved = [saved_value(node, s) for s in kept]
        else:
            saved = [_unpack_array(node, s) for s in kept]
        if not retain and _holds_arrays(node.saved):
            node.saved = None
            node.freed = place
    if node.extra is not None and node.extra.get("pre"):
        _call_prehooks(node, p, on_tensors)
    g: Any
    if node.outputs is None:
        g = p.grads[0]
    else:
        g = tuple(_padded(p.grads, len(node.outputs)))
        if not row.custom:
            g = tuple(
                [_zeros(meta, on_tensors) if part is None else part for part, meta in zip(g, node.outputs, strict=True)]
            )
    found: list = _gradients(node, row, g, saved, pending, filtered)
    if on_tensors and op.flat and _recording():
        found = _connected(node, found)
    if node.extra is not None and node.extra.get("post"):
        found = _call_posthooks(node, found, g, on_tensors)
    shared: cython.bint = row.custom or node.extra is not None  # the user may have kept the gradients
    if type(g) is tuple:
        saved.extend(g)
    for i in range(len(found)):
        d = found[i]
        if d is None:
            continue
        target = node.inputs[i]
        # Fresh memory, unless the rule handed on what it was given or a view of it.
        owned = not (on_tensors or shared or d is g or type(d.base) is _ndarray or _among(d, saved))
        count = 1 if isinstance(target, Tensor) or target.outputs is None else len(target.outputs)
        _collect(pending[target], node.indices[i], count, d, owned, on_tensors)


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
def _connected(node: Node, found: list) -> list:
    """The gradients of an operator's arguments, those that are constant as functions of them with derivative 0."""
    live: list = [i for i in range(len(found)) if found[i] is not None]
    if any([found[i].layer is not None for i in live]) or all([found[i].requires_grad for i in live]):
        return found
    xs: list = []
    for i in live:
        x = node.inputs[i]
        xs.append(x if isinstance(x, Tensor) else at_edge(x, node.indices[i], found[i].array))
    return [d if d is None or d.requires_grad else apply(_constant_in, d, *xs) for d in found]


@cython.cfunc
def _find_nan(node: Node, i: cython.Py_ssize_t, d: Any) -> Any:
    """Raises if a gradient that a rule has given has a NaN."""
    array = d.array if isinstance(d, Tensor) else d
    if np.isnan(array).any():
        raise GraphError(
            f"Function '{node.name()}' returned nan values in its {i}th output: the gradient of argument {i} of "
            f"{node.op.name}, recorded at {_describe(node.place)}"
        )


@cython.cfunc
def _need_shape(hook: Any, before: Any, after: Any) -> Any:
    if after != before:
        raise ShapeError(f"hook {_named_function(hook)}: it returned a gradient of shape {after} for one of {before}")


@cython.cfunc
def _need_shapes(hook: Any, before: Any, after: Any) -> Any:
    for x, y in zip(before, after, strict=False):
        if x is not None and y is not None:
            _need_shape(hook, x.array.shape, y.array.shape)


@cython.cfunc
def _call_prehooks(node: Node, p: _Pending, on_tensors: bool) -> Any:
    """Has the node's hooks see, and maybe replace, the gradients of its outputs."""
    for hook in list(node.extra["pre"]):
        given = tuple([g if g is None or on_tensors else _new(g) for g in p.grads])
        found = hook(given)
        if found is not None:
            _need_shapes(hook, given, _as_tuple(found))
            p.grads = [g if g is None or on_tensors else g.array for g in _as_tuple(found)]
        p.owned = [False] * len(p.grads)  # a hook may have kept them


@cython.cfunc
def _call_posthooks(node: Node, found: list, g: Any, on_tensors: bool) -> list:
    """The gradients of the node's inputs, after its hooks."""
    outputs = tuple([d if d is None or on_tensors else _new(d) for d in _as_tuple(g)])
    for hook in list(node.extra["post"]):
        given = tuple([d if d is None or on_tensors else _new(d) for d in found])
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
def _among(d: Any, values: list) -> bool:
    for v in values:
        if v is d:
            return True
    return False


@cython.cfunc
def _padded(grads: list, n: int) -> list:
    return grads + [None] * (n - len(grads))


@cython.cfunc
def _zeros(meta: Any, on_tensors: bool) -> Any:
    z = np.zeros(meta[0], meta[1])
    return _new(z) if on_tensors else z


@cython.cfunc
def _result(g: Any, owned: bool, on_tensors: bool) -> Any:
    """A gradient as the tensor that a user gets: never memory that something else also holds."""
    if g is None or on_tensors:
        return g
    return _new(g if owned else _copy(g))


@cython.cfunc
def _accumulate(t: Tensor, g: Any, owned: bool, on_tensors: bool) -> Any:
    """Adds a gradient to a leaf's, in place unless it is itself recorded, and calls the leaf's hooks for that."""
    have = t.leaf_grad
    if have is None:
        if on_tensors:
            fresh: Tensor = _shadow(g)
            fresh.array, fresh.version = _copy(fresh.array), Version()
            t.leaf_grad = fresh
        else:
            t.leaf_grad = _result(g, owned, False)
    elif on_tensors:
        t.leaf_grad = _add(have, g)
    else:
        if have.array.shape != g.shape:
            raise ShapeError(f"backward: a gradient of shape {g.shape} for a leaf whose grad has {have.array.shape}")
        _add_into(have.array, g)
        have.version.bump()
    if t.after_hooks is not None:
        for hook in list(t.after_hooks):
            hook(t)


@cython.cfunc
def _run_hooks(hooks: Any, g: Any, on_tensors: bool) -> Any:
    """The gradient after a tensor's hooks, each of which may return another in its place."""
    for hook in list(hooks):
        x = g if on_tensors else _new(g)
        y = hook(x)
        if y is not None:
            if not isinstance(y, Tensor):
                raise TypeError(f"a hook returned a {type(y).__name__} where a gradient, a Tensor, or None belongs")
            _need_shape(hook, x.array.shape, y.array.shape)
            g = y if on_tensors else y.array
    return g


@cython.cfunc
def _call_hooks(node: Node, p: _Pending, on_tensors: bool) -> Any:
    for index, hooks in node.hooks.items():
        if index < len(p.grads) and p.grads[index] is not None:
            g = _run_hooks(hooks, p.grads[index], on_tensors)
            if g is not p.grads[index]:
                p.grads[index], p.owned[index] = g, False
            else:
                p.owned[index] = False  # a hook may have kept it


def at_edge(node: Any, index: int, like: Any = None) -> Any:
    """A tensor at a place in the graph, to differentiate by: without elements, or with those of the array `like`."""
    if isinstance(node, AccumulateGrad):
        return node.variable
    out: Tensor = _new(_NO_ELEMENTS if like is None else like)
    out._node, out._index, out._wants = node, index, True
    return out


def add_hook(x: Tensor, hook: Callable[[Any], Any]) -> list[Any]:
    """Has `hook` called with the gradient of `x`; returns the list that it was put in."""
    node = x.node
    if node is None:
        if x.leaf_hooks is None:
            x.leaf_hooks = []
        hooks: list[Any] = x.leaf_hooks
    else:
        if node.hooks is None:
            node.hooks = {}
        hooks = node.hooks.setdefault(x.index, [])
    at = len(hooks)
    while at > 0 and hasattr(hooks[at - 1], "retains") and not hasattr(hook, "retains"):
        at -= 1  # what a tensor retains is what all of its hooks have made of the gradient
    hooks.insert(at, hook)
    return hooks
