"""What a model computes, as a list of steps: each operator that was applied to its inputs, weights and what they made.

As under `vmap`, a traced tensor has a layer and no elements that the program could read: an operator on it runs on the
tensor beneath, and is noted. What is computed from other tensors alone is a constant of the steps that use it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import func, pytree
from ..autograd import no_grad
from ..batching import Hidden
from ..errors import GraphError
from ..graph import modes, places
from ..graph.forward import Level
from ..graph.record import apply
from ..graph.tensors import Tensor, make_layered, wrap
from ..op import OPS


class Unread(Hidden):
    """What stands for the array of a traced tensor: shape and dtype, and no elements."""

    def _unreadable(self, *args: Any, **kwargs: Any) -> Any:
        raise GraphError(
            "onnx.export: the model reads elements of a tensor (item(), numpy(), if, nonzero(), a mask as an index), "
            "which the graph would keep as they are for these inputs; use where() or gather() instead"
        )


for _name, _member in vars(Hidden).items():
    if _member is Hidden._unreadable:
        setattr(Unread, _name, Unread._unreadable)


class Value:
    """What a traced tensor stands for: an input, a weight, or an output of a step."""

    __slots__ = ("dtype", "key", "shape", "tensor")

    def __init__(self, key: tuple[Any, ...], tensor: Any) -> None:
        self.key, self.tensor = key, tensor
        self.shape, self.dtype = tuple(tensor.array.shape), tensor.array.dtype


class Step:
    """One operator: its name, its arguments (values, arrays, None), its parameters, its outputs."""

    __slots__ = ("args", "name", "outs", "params", "place")

    def __init__(self, name: str, args: Any, params: dict[str, Any], outs: list[Value], place: str) -> None:
        self.name, self.args, self.params, self.outs, self.place = name, args, params, outs, place


class Memory:
    """What tensors that share memory share here: how often it was written."""

    __slots__ = ("writes",)

    def __init__(self) -> None:
        self.writes = 0


class Traced:
    """A trace's layer over a tensor."""

    __slots__ = ("level", "memory", "of", "seen", "value")

    def __init__(self, level: Trace, value: Value, memory: Memory | None = None, of: Any = None) -> None:
        self.level, self.value = level, value
        self.memory = memory or Memory()
        self.seen = self.memory.writes
        self.of = of  # of a view: (the layer that it is a view of, operator, parameters, which output)

    @property
    def tensor(self) -> Any:
        """What lies beneath, with its elements."""
        return self.value.tensor

    def evaluate(self, op: Any, args: tuple[Any, ...], params: dict[str, Any]) -> Any:
        """The operator on what lies beneath, noted as a step; of a user's own, the steps of its forward."""
        if op.custom:
            return op.reference(*args, **params)[0]
        outs = self.level.note(op.name, args, params, lambda *below: apply(op, *below, **params))
        if op.view:
            for k, y in enumerate(outs if isinstance(outs, tuple) else (outs,)):
                if np.may_share_memory(y.layer.tensor.array, self.tensor.array):
                    y.layer.memory, y.layer.seen = self.memory, self.memory.writes
                    y.layer.of = (self, op.name, params, k)
        return outs

    def through(self, function: Callable[..., Any], *tensors: Any) -> Any:
        """`function` of what lies beneath; it does not change the values."""
        below = [self.level.beneath(t) if isinstance(t, Tensor) else t for t in tensors]
        made = function(*below)
        if function.__name__ not in ("_detached", "alias", "outside", "snapshot"):
            return self.level.constant(made)
        value = Value(self.value.key, made)
        if function.__name__ == "snapshot":
            return self.level.under(value)
        return make_layered(self.level.hidden(value), Traced(self.level, value, self.memory, (self, "", {}, 0)))

    def assign(self, name: str, x: Any, value: Any) -> None:
        """Writes `value` into `x`: from here on `x`, and what it is a view of, stand for other values."""
        if not isinstance(x.layer, Traced):
            raise GraphError(
                f"onnx.export: {name} writes what depends on the inputs into a tensor that does not; make it from an "
                "input, as by zeros_like(x)"
            )
        put(x.layer, value.layer.value if isinstance(value.layer, Traced) else self.level.constant(value).layer.value)

    def differentiate(self, *_: Any) -> Any:
        """Derivatives are not exported."""
        raise GraphError("onnx.export: the model asks for a gradient, which a graph of ONNX does not compute")


def put(layer: Traced, value: Value) -> None:
    """Has a layer's tensor stand for another value, and what it is a view of for that with this part replaced."""
    layer.memory.writes += 1
    while True:
        layer.value, layer.seen = value, layer.memory.writes
        if layer.of is None:
            return
        base, name, params, k = layer.of
        value = _replaced(base, value, name, params, k)
        layer = base


def _replaced(base: Traced, part: Value, name: str, params: dict[str, Any], k: int) -> Value:
    """The value of a tensor of which a view now has the value `part`."""
    level, shape = base.level, base.value.shape
    old, new = level.under(base.value), level.under(part)
    made: Any
    if name == "":
        return part
    if name in ("getitem", "unbind", "split"):
        index: Any = params.get("index")
        if name == "unbind":
            index = (*[slice(None)] * (params["dim"] % len(shape)), k)
        if name == "split":
            ends = (0, *params["ends"])
            index = (*[slice(None)] * (params["dim"] % len(shape)), slice(ends[k], ends[k + 1]))
        made = apply(OPS["setitem"], old, new, index=index)
    elif name == "reshape":
        made = apply(OPS["reshape"], new, shape=shape)
    elif name == "permute":
        made = apply(OPS["permute"], new, dims=tuple([int(d) for d in np.argsort(params["dims"])]))
    else:
        raise GraphError(f"onnx.export: the model writes into a view made by {name}, which is not exported")
    value: Value = made.layer.value
    return value


class Trace(Level):
    """One run of a model, whose steps are noted."""

    __slots__ = ("counted", "inputs", "steps", "turn", "weights")
    takes_masks = True  # an index that is a mask need not be read

    def __init__(self, turn: int = 0) -> None:
        super().__init__()
        self.turn = turn
        self.counted: list[Any] = []  # the masks that took elements
        self.steps: list[Step] = []
        self.weights: dict[str, Any] = {}
        self.inputs: list[tuple[int, ...]] = []
        modes.batch_levels().append(self)

    def close(self) -> None:
        """Ends it."""
        modes.batch_levels().remove(self)
        super().close()

    def wrap(self, x: Any) -> Any:
        """What a transform inside the model would need; there is none."""
        raise GraphError("onnx.export: the model differentiates, which a graph of ONNX does not compute")

    batched = wrap

    def hidden(self, value: Value) -> Any:
        """An array of the value's shape and dtype, without its elements."""
        array = np.ndarray.__new__(Unread, value.shape, value.dtype)
        kind = value.dtype.kind
        if array.size <= 1 << 16:  # a larger one is not worth the time
            array.fill(np.nan if kind == "f" else True if kind == "b" else np.iinfo(value.dtype).min)
        return array

    def under(self, value: Value) -> Any:
        """The tensor that stands for a value."""
        return make_layered(self.hidden(value), Traced(self, value))

    def constant(self, tensor: Any) -> Any:
        """A tensor that does not depend on the inputs, as one that stands for a value."""
        (value,) = self.add("constant", [tensor.array], {}, (tensor,))
        return self.under(value)

    def beneath(self, x: Any) -> Any:
        """The tensor beneath; anything else as it is."""
        if isinstance(x, Tensor) and isinstance(x.layer, Traced):
            layer = x.layer
            if layer.seen != layer.memory.writes:
                raise GraphError(
                    "onnx.export: a tensor is used after its memory was written through another view of it, which is "
                    "not exported; write out of place"
                )
            return layer.tensor
        return x

    def noted(self, x: Any) -> Any:
        """An argument as a step keeps it: a value, an array, None or a Python object."""
        if isinstance(x, Tensor):
            return x.layer.value if isinstance(x.layer, Traced) else x.array
        return x

    def add(self, name: str, args: Any, params: dict[str, Any], outs: Iterable[Any]) -> list[Value]:
        """Notes a step that has made `outs`."""
        values = [Value(("step", len(self.steps), i), y) for i, y in enumerate(outs)]
        self.steps.append(Step(name, args, params, values, places.line()))
        return values

    def note(self, name: str, args: Any, params: dict[str, Any], run: Any) -> Any:
        """Runs a step on what lies beneath its arguments, and notes it: the tensors that stand for its outputs."""
        made = run(*[self.beneath(a) for a in args])
        many = isinstance(made, tuple)
        values = self.add(name, [self.noted(a) for a in args], params, made if many else (made,))
        outs = [self.under(v) for v in values]
        return tuple(outs) if many else outs[0]

    def each(self, function: Callable[..., Any], args: Any, kwargs: Any, *_: Any) -> Any:
        """A function that reads elements: one step of its own if ONNX has it whole, else its operators."""
        from .write import WRITERS

        name = function.__name__
        if f"{name}()" not in WRITERS:
            inner = getattr(function, "__wrapped__", None)
            if inner is None:
                raise GraphError(f"onnx.export: {name} takes indices from a tensor, in a form that ONNX does not have")
            return inner(*args, **kwargs)
        bound = inspect.signature(function).bind(*args, **kwargs)
        bound.apply_defaults()
        given: dict[str, Any] = {}
        for key, value in bound.arguments.items():
            given[key] = value
        leaves = list(pytree.leaves(given))
        below = pytree.rebuild(given, [self.beneath(x) for x in leaves])
        if name == "setitem":
            below["input"] = below["input"].clone()
        masks = self._masks(name, given, leaves)
        levels = modes.batch_levels()
        levels.remove(self)
        made: Any = None
        try:
            if name != "setitem" or not masks:  # else the values may be more or fewer here than the mask takes
                made = self._counted(name, masks, below, function(**below))
        finally:
            levels.append(self)
        params = pytree.rebuild(given, [self.noted(x) for x in leaves])
        if name == "setitem":
            target = args[0]
            (value,) = self.add("setitem()", [], params, (below["input"],))
            put(target.layer, value)
            return None
        many = isinstance(made, tuple)
        values = self.add(f"{name}()", [], params, made if many else (made,))
        outs = tuple([self.under(v) for v in values])
        if many and hasattr(made, "_fields"):
            return type(made)(*outs)
        return outs if many else outs[0]

    def _masks(self, name: str, given: dict[str, Any], leaves: list[Any]) -> tuple[Any, ...]:
        """Which masks decide how many elements a step takes: the keys of their values."""
        inside = leaves if name == "nonzero" else list(pytree.leaves(given.get("index")))
        layers = [x.layer for x in inside if isinstance(x, Tensor) and isinstance(x.layer, Traced)]
        return tuple([t.value.key for t in layers if name == "nonzero" or t.value.dtype.kind == "b"])

    def _counted(self, name: str, masks: tuple[Any, ...], below: dict[str, Any], made: Any) -> Any:
        """What masks take, with another number of elements in each trace: so it shows what depends on that number."""
        if not masks:
            return made
        if masks not in self.counted:
            self.counted.append(masks)
        k = self.counted.index(masks)
        n = _COUNTS[self.turn] + k * _MORE[self.turn]

        def taken(y: Any) -> Any:
            axis = 0 if name == "nonzero" else _first_mask(below["index"])
            shape = list(y.shape)
            shape[axis] = n
            return wrap(np.zeros(shape, y.array.dtype))

        return tuple([taken(y) for y in made]) if isinstance(made, tuple) else taken(made)

    def draw(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """Uniform and normal numbers are drawn by the graph; others are refused: it would keep those of one run."""
        name = function.__name__
        if name not in ("rand", "rand_like", "randn", "randn_like"):
            raise GraphError(
                f"onnx.export: the model draws random numbers ({name}), which the graph would keep as they are; draw "
                "them outside and give them as an input"
            )
        levels = modes.batch_levels()
        levels.remove(self)
        try:
            below = pytree.rebuild(args, [self.beneath(x) for x in pytree.leaves(args)])
            made = function(*below, **kwargs)
        finally:
            levels.append(self)
        (value,) = self.add("draw()", [], {"normal": name.startswith("randn")}, (made,))
        return self.under(value)


_COUNTS, _MORE = (13, 29, 71, 41), (17, 31, 5, 53)  # what no other size has, nor a multiple of it


def _first_mask(index: Any) -> int:
    """The axis of a result that the first mask in an index makes."""
    parts = index if isinstance(index, tuple) else (index,)
    at = next(i for i, p in enumerate(parts) if isinstance(p, Tensor) and p.array.dtype.kind == "b")
    return sum(not isinstance(p, int) for p in parts[:at])


def run(model: Any, args: tuple[Any, ...], kwargs: dict[str, Any], turn: int = 0) -> tuple[Trace, list[Value], Any]:
    """The steps of one call of a model (a module or a function), its outputs, and their form.

    `turn` counts the traces of one model, from 0 to 3.
    """
    level = Trace(turn)
    try:
        with no_grad():
            tree = (args, kwargs)
            leaves = list(pytree.leaves(tree))
            tensors = [x for x in leaves if isinstance(x, Tensor)]
            level.inputs = [tuple(x.array.shape) for x in tensors]
            stand = iter([level.under(Value(("input", i), x.detach())) for i, x in enumerate(tensors)])
            given, named = pytree.rebuild(tree, [next(stand) if isinstance(x, Tensor) else x for x in leaves])
            if hasattr(model, "named_parameters"):
                held = [*model.named_parameters(), *model.named_buffers()]
                level.weights = {name: x for name, x in held if x is not None}
                read = {k for m in model.modules() for k in getattr(m, "read", ())}  # of models read from ONNX
                under = {
                    name: level.under(Value(("weight", name), x.detach()))
                    for name, x in level.weights.items()
                    if id(x) not in read
                }
                made = func.functional_call(model, under, given, named)
            else:
                made = model(*given, **named)
            outs = [x for x in pytree.leaves(made) if isinstance(x, Tensor)]
            for x in outs:
                level.beneath(x)
            return level, [(x if isinstance(x.layer, Traced) else level.constant(x)).layer.value for x in outs], made
    finally:
        level.close()
