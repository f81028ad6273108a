"""The steps of a trace as ONNX's nodes: see `write_ops` for the table.

Where axes are dynamic the model is traced at four sizes of them. Steps must be the same each time; a number that
changes (of a reshape, an expand, a slice) must be explained: as the size of an axis that is at hand, as a product of
two such, or as a size times, divided by, plus or minus a small number. It is then computed in the graph, by Shape and
arithmetic. What cannot be explained is refused with the name of the operator: nothing is fixed silently.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from ..errors import ArgumentError
from .model import require
from .table import NUMBER_OF, UnsupportedError
from .trace import Step, Value

F = TypeVar("F", bound=Callable[..., Any])
WRITERS: dict[str, Callable[..., Any]] = {}


def writes(*names: str) -> Callable[[F], F]:
    """Enters the writer of operators of ours into the table: `writer(b, step, *inputs, **parameters)`.

    A name with "()" at its end is a function that is one step as a whole.
    """

    def enter(function: F) -> F:
        for name in names:
            WRITERS[name] = function
        return function

    return enter


class Varies:
    """Something that is another at other sizes of the dynamic axes: one of each trace."""

    def __init__(self, values: list[Any]) -> None:
        self.values = values

    def __repr__(self) -> str:
        return " or ".join(str(v) if np.ndim(v) == 0 else f"an array of shape {np.shape(v)}" for v in self.values)


class Size(Varies):
    """An integer that is another at other sizes of the dynamic axes."""

    def key(self) -> tuple[int, ...]:
        """Its value in each trace."""
        return tuple(self.values)


def same(values: list[Any]) -> bool:
    """Whether what stands at one place of each trace is one and the same."""
    first = values[0]
    if isinstance(first, np.ndarray):
        return all(
            isinstance(v, np.ndarray)
            and v.dtype == first.dtype
            and v.shape == first.shape
            and (v is first or bool(np.array_equal(v, first, equal_nan=first.dtype.kind == "f")))
            for v in values
        )
    if dataclasses.is_dataclass(first):
        names = [field.name for field in dataclasses.fields(first)]
        return all(same([getattr(v, name) for v in values]) for name in names)
    return all(type(v) is type(first) and (v is first or v == first) for v in values)


def merged(values: list[Any]) -> Any:
    """What stands at one place of each trace as one: with a `Size` or `Varies` where they differ."""
    first = values[0]
    if isinstance(first, Value):
        if any(not isinstance(v, Value) or v.key != first.key for v in values):
            raise ArgumentError("the steps take other inputs")
        return first
    if isinstance(first, (tuple, list)) and all(isinstance(v, (tuple, list)) for v in values):
        if len({len(v) for v in values}) > 1:
            return Varies(values)
        parts = [merged(list(column)) for column in zip(*values, strict=True)]
        return type(first)(*parts) if hasattr(first, "_fields") else type(first)(parts)
    if isinstance(first, dict):
        return {key: merged([v[key] for v in values]) for key in first}
    if isinstance(first, slice):
        return slice(*[merged([getattr(v, end) for v in values]) for end in ("start", "stop", "step")])
    if same(values):
        return first
    numbers = all(isinstance(v, (int, np.integer)) and not isinstance(v, bool) for v in values)
    return Size([int(v) for v in values]) if numbers else Varies(values)


class Line:
    """A step with what it is in all traces."""

    def __init__(self, steps: list[Step]) -> None:
        first = steps[0]
        self.name, self.place = first.name, first.place
        try:
            self._merge(steps)
        except ArgumentError as error:
            raise UnsupportedError(
                f"onnx.export: {self!r}: the program does something else at other sizes of the dynamic axes ({error}); "
                "leave those axes out of dynamic_axes"
            ) from None

    def _merge(self, steps: list[Step]) -> None:
        if len({(len(s.args), len(s.outs)) for s in steps}) > 1:
            raise ArgumentError("the number of parts changes")
        self.args = [merged(list(column)) for column in zip(*[s.args for s in steps], strict=True)]
        self.params = merged([s.params for s in steps])
        self.outs = [[v for v in column] for column in zip(*[s.outs for s in steps], strict=True)]

    def shape(self, i: int = 0) -> tuple[Any, ...]:
        """The shape of output i, with a `Size` for each number that changes."""
        return shape_of(self.outs[i])

    def __repr__(self) -> str:
        return f"{self.name} ({self.place})" if self.place else self.name


def shape_of(values: list[Value]) -> tuple[Any, ...]:
    """The shape of a value, with a `Size` for each number that changes."""
    if len({len(v.shape) for v in values}) > 1:
        raise ArgumentError("the number of axes changes with the sizes of the dynamic axes")
    return tuple([merged(list(column)) for column in zip(*[v.shape for v in values], strict=True)])


class Builder:
    """The nodes and constants of a graph that is being written."""

    def __init__(self, opset: int) -> None:
        self.onnx = require()
        self.opset = opset
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.names: dict[tuple[Any, ...], str] = {}  # of values
        self.taken: set[str] = set()
        self.dtypes: dict[str, np.dtype[Any]] = {}
        self.shapes: dict[str, tuple[Any, ...]] = {}
        self._constants: dict[Any, str] = {}
        self._sizes: dict[tuple[int, ...], tuple[str, int]] = {}  # where a size that changes can be read off
        self._known: dict[Any, str] = {}
        self.linear: dict[str, tuple[Any, ...]] = {}  # of a linear layer's output, its operands
        self.line: Any = None
        self.made: dict[int, str] = {}  # of each step, what it was, for messages

    def fresh(self, name: str) -> str:
        """A name that nothing has yet."""
        if name not in self.taken:
            self.taken.add(name)
            return name
        k = 1
        while f"{name}_{k}" in self.taken:
            k += 1
        self.taken.add(f"{name}_{k}")
        return f"{name}_{k}"

    def node(self, kind: str, *inputs: Any, outputs: int = 1, name: str | None = None, **attributes: Any) -> Any:
        """A node; returns its output's name, or those of several. None among the inputs is one left out."""
        for key, value in attributes.items():
            parts = value if isinstance(value, (tuple, list)) else (value,)
            if any(isinstance(v, Varies) for v in parts):
                raise self.vary(f"{kind}'s {key}, {value!r},")
        given = ["" if x is None else x for x in inputs]
        while given and not given[-1]:
            given.pop()
        outs = [self.fresh(name or f"{self.line.name if self.line else kind}") for _ in range(outputs)]
        kept = {key: value for key, value in attributes.items() if value is not None}
        label = self.fresh(f"node_{outs[0]}")
        self.nodes.append(self.onnx.helper.make_node(kind, given, outs, name=label, **kept))
        return outs[0] if outputs == 1 else outs

    def refuse(self, why: str) -> UnsupportedError:
        """The error for what cannot be written."""
        return UnsupportedError(f"onnx.export: {self.line!r}: {why} cannot be exported to ONNX's set {self.opset}")

    def vary(self, what: str) -> UnsupportedError:
        """The error for what changes with the sizes of the dynamic axes, and is not computed in the graph."""
        return self.refuse(f"{what} changes with the sizes of the dynamic axes in a way that has no formula, and")

    def const(self, value: Any, dtype: Any = None, name: str = "constant") -> str:
        """An array as a constant of the graph; equal small ones are one."""
        a = np.asarray(value, dtype)
        key = (a.dtype, a.shape, a.tobytes()) if a.size <= 64 else id(value)
        if key not in self._constants:
            label = self._constants[key] = self.fresh(name)
            self.initializers[label] = a
            self.dtypes[label], self.shapes[label] = a.dtype, tuple(a.shape)
            self._known[label] = value  # keeps the id
        return self._constants[key]

    def ints(self, values: Any) -> str:
        """Integers, of which some may change with the dynamic axes, as a vector of int64."""
        values = list(values)
        if not any(isinstance(v, Varies) for v in values):
            return self.const(np.asarray(values, np.int64))
        if len(values) == 1:
            return self.size(values[0])
        runs: list[Any] = []
        for v in values:
            if isinstance(v, Varies):
                runs.append(v)
            elif runs and isinstance(runs[-1], list):
                runs[-1].append(v)
            else:
                runs.append([v])
        parts = [self.const(np.asarray(r, np.int64)) if isinstance(r, list) else self.size(r) for r in runs]
        return str(self.node("Concat", *parts, axis=0, name="sizes"))

    def dim(self, name: str, axis: int) -> str:
        """The size of an axis of a value, as a vector of one int64."""
        key = (name, axis)
        if key not in self._known:
            if self.opset >= 15:
                self._known[key] = self.node("Shape", name, start=axis, end=axis + 1, name="size")
            else:
                self._known[key] = self.node("Gather", self.node("Shape", name), self.const([axis], np.int64))
        return str(self._known[key])

    def size(self, size: Any) -> str:
        """A number that changes with the dynamic axes, as a vector of one int64 that the graph computes."""
        if not isinstance(size, Size):
            raise self.vary(f"{size!r}")
        key = size.key()
        if key not in self._known:
            self._known[key] = self._explain(size)
        return str(self._known[key])

    def _explain(self, size: Size) -> str:
        key = size.key()
        if key in self._sizes:
            return self.dim(*self._sizes[key])

        def computed(kind: str, a: str, b: str) -> str:
            return str(self.node(kind, a, b, name="size"))

        def small(n: int) -> str:
            return self.const([n], np.int64)

        for have in self._sizes:
            diff = {a - b for a, b in zip(key, have, strict=True)}
            if len(diff) == 1:
                return computed("Add", self.dim(*self._sizes[have]), small(diff.pop()))
        for have in self._sizes:
            if all(b and a % b == 0 for a, b in zip(key, have, strict=True)):
                if len(factor := {a // b for a, b in zip(key, have, strict=True)}) == 1:
                    return computed("Mul", self.dim(*self._sizes[have]), small(factor.pop()))
            for n in range(2, 65):
                if all(a == b // n for a, b in zip(key, have, strict=True)):
                    return computed("Div", self.dim(*self._sizes[have]), small(n))
        for one in self._sizes:  # a product of two, times a number
            for two in self._sizes:
                whole = [a * b for a, b in zip(one, two, strict=True)]
                if all(w and k % w == 0 for k, w in zip(key, whole, strict=True)):
                    if len(factor := {k // w for k, w in zip(key, whole, strict=True)}) == 1:
                        product = computed("Mul", self.dim(*self._sizes[one]), self.dim(*self._sizes[two]))
                        n = factor.pop()
                        return product if n == 1 else computed("Mul", product, small(n))
        raise self.vary(f"the number {size!r}")

    def scalar(self, size: Any) -> str:
        """A size as a number without axes."""
        if isinstance(size, Size):
            return str(self.node("Squeeze", self.size(size), self.const([0], np.int64), name="size"))
        return self.const(size, np.int64)

    def known(self, name: str, dtype: Any, shape: tuple[Any, ...]) -> None:
        """Notes what a value is, and which sizes can be read off it."""
        self.dtypes[name], self.shapes[name] = np.dtype(dtype), shape
        for axis, n in enumerate(shape):
            if isinstance(n, Size):
                self._sizes.setdefault(n.key(), (name, axis))

    def constant(self, given: Any) -> str:
        """An argument that does not depend on the inputs: one array, or one that the sizes of dynamic axes make."""
        if not isinstance(given, Varies):
            return self.const(given)
        arrays = [np.asarray(v) for v in given.values]
        if len({a.ndim for a in arrays}) == 1 and len({a.dtype for a in arrays}) == 1:
            made = self._made(arrays)
            if made is not None:
                shape = tuple([merged(list(column)) for column in zip(*[a.shape for a in arrays], strict=True)])
                self.known(made, arrays[0].dtype, shape)
                return made
        raise self.vary(f"the constant {given!r}")

    def _made(self, arrays: list[Any]) -> str | None:
        """A constant whose form is plain: a whole number, one value everywhere, 0 1 2 3, a triangle."""
        first = arrays[0]
        number = NUMBER_OF[first.dtype]
        if first.ndim == 0:
            if all(float(a).is_integer() for a in arrays):
                return str(self.node("Cast", self.scalar(Size([int(a) for a in arrays])), to=number))
            return None
        shape = [merged(list(column)) for column in zip(*[a.shape for a in arrays], strict=True)]
        filled = [a for a in arrays if a.size]
        value = filled[0].ravel()[0] if filled else first.dtype.type(0)
        if all((a == value).all() for a in filled):
            return str(self.node("Expand", self.const(value), self.ints(shape)))
        for d in range(first.ndim):  # 0 1 2 3 along an axis, the same along the others
            rest = tuple([k for k in range(first.ndim) if k != d])
            if any(a.shape[d] < 2 or not a.size or (a.max(rest) != a.min(rest)).any() for a in arrays):
                continue
            lines = [a.min(rest) for a in arrays]
            start, step = lines[0][0], lines[0][1] - lines[0][0]
            if all(np.array_equal(a, start + step * np.arange(a.size, dtype=a.dtype)) for a in lines):
                counted = self.node("Range", self.const(0, np.int64), self.scalar(shape[d]), self.const(1, np.int64))
                counted = self.node("Cast", counted, to=number)
                scaled = counted if step == 1 else self.node("Mul", counted, self.const(step, first.dtype))
                line = scaled if start == 0 else self.node("Add", scaled, self.const(start, first.dtype))
                if first.ndim == 1:
                    return str(line)
                wide = self.node(
                    "Reshape", line, self.const([-1 if k == d else 1 for k in range(first.ndim)], np.int64)
                )
                return str(self.node("Expand", wide, self.ints(shape)))
        if first.ndim < 2:
            return None
        for k in range(-2, 3):
            below = [np.tri(a.shape[-2], a.shape[-1], k, dtype=bool) for a in arrays]
            parts = [(a[..., t], a[..., ~t]) for a, t in zip(arrays, below, strict=True)]
            if all(len(np.unique(p)) == 1 for pair in parts for p in pair):
                low, above = parts[0][0].ravel()[0], parts[0][1].ravel()[0]
                if all((p == low).all() and (q == above).all() for p, q in parts):
                    mask = self.triangle(shape[-2], shape[-1], k)
                    if first.dtype.kind == "b":
                        mask = mask if low else str(self.node("Not", mask))
                    else:
                        mask = str(self.node("Where", mask, self.const(low), self.const(above)))
                    return mask if first.ndim == 2 else str(self.node("Expand", mask, self.ints(shape)))
        return None

    def triangle(self, rows: Any, columns: Any, diagonal: int = 0) -> str:
        """A mask (rows, columns), True on and below a diagonal."""
        if not isinstance(rows, Varies) and not isinstance(columns, Varies):
            return self.const(np.tri(rows, columns, diagonal, dtype=bool))
        zero, one = self.const(0, np.int64), self.const(1, np.int64)
        down = self.node("Range", zero, self.scalar(rows), one)
        along = self.node(
            "Range",
            self.const(-diagonal, np.int64),
            self.node("Add", self.scalar(columns), self.const(-diagonal, np.int64)),
            one,
        )
        return str(self.node("GreaterOrEqual", self.node("Unsqueeze", down, self.const([1], np.int64)), along))

    def rename(self, old: str, new: str) -> None:
        """Gives a node's output another name."""
        for node in self.nodes:
            for names in (node.input, node.output):
                for i, name in enumerate(names):
                    if name == old:
                        names[i] = new

    def write(self, line: Line) -> None:
        """The nodes of a step."""
        self.line = line
        writer = WRITERS.get(line.name)
        if writer is None:
            raise UnsupportedError(
                f"onnx.export: {line!r}: the operator has no counterpart in ONNX's set {self.opset}; what it is "
                "applied to must not depend on the model's inputs, or its result must become an input"
            )
        inputs = [self.argument(a) for a in line.args]
        made = writer(self, line, *inputs, **line.params)
        outs = [made] if isinstance(made, str) else list(made)
        self.made[line.outs[0][0].key[1]] = repr(line)
        for i, (name, values) in enumerate(zip(outs, line.outs, strict=False)):
            if name is None:
                continue
            self.names[values[0].key] = name
            if name not in self.dtypes:
                self.known(name, values[0].dtype, line.shape(i))

    def argument(self, a: Any) -> Any:
        """The name of what an operator is applied to."""
        if isinstance(a, Value):
            return self.output(a)
        return None if a is None else self.constant(a)

    def output(self, value: Value) -> str:
        """The name of a value that has been written."""
        if value.key not in self.names:
            raise UnsupportedError(
                f"onnx.export: output {value.key[2]} of {self.made.get(value.key[1], 'an operator')} is used, which "
                "the exported form of the operator does not have"
            )
        return self.names[value.key]

    def cast(self, x: str, dtype: Any) -> str:
        """A value in another dtype."""
        return str(self.node("Cast", x, to=NUMBER_OF[np.dtype(dtype)]))

    def number(self, value: float, like: str) -> str:
        """A number in the dtype of a value."""
        return self.const(np.asarray(value, self.dtypes[like]))


def length(shape: Any) -> Any:
    """The number of elements of a shape without numbers that change."""
    return math.prod(shape)
