"""Indexing among ONNX's operators: slices, gathers, scatters. See `write`."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from .table import NUMBER_OF
from .trace import Value
from .write import Size, Varies, writes
from .write_ops import LAST, minus, same_size, sliced


def _parts(index: Any, rank: int) -> list[Any]:
    """The parts of an index, with ... written out and the axes that it leaves away."""
    parts = list(index) if isinstance(index, tuple) else [index]
    masks = [isinstance(p, (np.ndarray, Value)) and p.dtype.kind == "b" for p in parts]
    taken = sum(
        len(p.shape) if mask else p is not None and p is not Ellipsis for p, mask in zip(parts, masks, strict=True)
    )
    rest = [slice(None)] * (rank - taken)
    if any(p is Ellipsis for p in parts):
        at = next(i for i, p in enumerate(parts) if p is Ellipsis)
        return parts[:at] + rest + parts[at + 1 :]
    return parts + rest


class _Places(NamedTuple):
    """Indices that the graph computes: the value's name, and its number of axes."""

    name: str
    rank: int


def _is_array(p: Any) -> bool:
    return isinstance(p, (np.ndarray, Value, _Places)) or (isinstance(p, Varies) and not isinstance(p, Size))


@writes("getitem")
def _getitem(b: Any, s: Any, x: str, *, index: Any) -> Any:
    if isinstance(index, Varies) and not isinstance(index, Size):
        raise b.vary(f"the index {index!r}")
    parts = _parts(index, len(b.shapes[x]))
    return _taken(b, x, parts) if any(map(_is_array, parts)) else _basic(b, x, parts)


def _basic(b: Any, x: str, parts: list[Any]) -> Any:
    starts: list[Any] = []
    ends: list[Any] = []
    axes: list[int] = []
    steps: list[int] = []
    dropped: list[int] = []
    new: list[int] = []
    d = out = 0
    for p in parts:
        if p is None:
            new.append(out)
            out += 1
            continue
        if isinstance(p, slice):
            if (p.start, p.stop, p.step) != (None, None, None) and (p.start, p.stop, p.step) != (0, None, None):
                starts.append(0 if p.start is None else p.start)
                ends.append(LAST if p.stop is None else p.stop)
                steps.append(1 if p.step is None else p.step)
                axes.append(d)
            out += 1
        else:
            starts.append(p)
            ends.append(LAST if isinstance(p, int) and p == -1 else minus(p, -1))
            steps.append(1)
            axes.append(d)
            dropped.append(d)
        d += 1
    if len(dropped) == 1 and len(axes) == 1 and not new and isinstance(starts[0], int):
        return b.node("Gather", x, b.const(starts[0], np.int64), axis=axes[0])
    y = x
    if axes:
        more = [b.const(steps, np.int64)] if set(steps) != {1} else []
        y = b.node("Slice", y, b.ints(starts), b.ints(ends), b.const(axes, np.int64), *more)
    if dropped:
        y = b.node("Squeeze", y, b.const(dropped, np.int64))
    if new:
        y = b.node("Unsqueeze", y, b.const(new, np.int64))
    return b.node("Identity", x) if y == x else y


def _numbers(b: Any, p: Any) -> tuple[str, int]:
    """The name of an index tensor of int64, and its number of axes."""
    if isinstance(p, _Places):
        return p.name, p.rank
    if isinstance(p, Value):
        name = b.argument(p)
        return (name if b.dtypes[name] == np.int64 else b.cast(name, np.int64)), len(p.shape)
    if isinstance(p, (int, np.integer)):
        return b.const(p, np.int64), 0
    if isinstance(p, Varies):
        return b.constant(p), np.ndim(p.values[0])
    return b.const(np.asarray(p, np.int64)), np.ndim(p)


def _spread_masks(b: Any, parts: list[Any]) -> list[Any]:
    """Masks as the numbers that they mean: an array for each axis of a mask."""
    out: list[Any] = []
    for p in parts:
        if isinstance(p, Value) and p.dtype.kind == "b":
            found = b.node("NonZero", b.argument(p))
            out.extend([_Places(b.node("Gather", found, b.const(i), axis=0), 1) for i in range(len(p.shape))])
        else:
            out.extend(np.nonzero(p) if isinstance(p, np.ndarray) and p.dtype.kind == "b" else [p])
    return out


def _joined(b: Any, numbers: list[tuple[str, int]]) -> tuple[str, int]:
    """Index tensors broadcast against each other, side by side in a new last axis."""
    rank = max(n for _, n in numbers)
    names = [name for name, _ in numbers]
    if len(names) > 1:
        total = names[0]
        for name in names[1:]:
            total = b.node("Add", total, name)
        shape = b.node("Shape", total)
        names = [b.node("Expand", name, shape) for name in names]
    last = b.const([rank], np.int64)
    columns = [b.node("Unsqueeze", name, last) for name in names]
    return (columns[0] if len(columns) == 1 else b.node("Concat", *columns, axis=rank)), rank


def _taken(b: Any, x: str, parts: list[Any]) -> Any:
    """x[index] for index tensors among full slices."""
    if not any(isinstance(p, slice) for p in parts[:1]) and len(parts) > 1 and isinstance(parts[0], int):
        parts = [np.asarray(parts[0]), *parts[1:]]
    parts = _spread_masks(b, parts)
    if any(p is None or (isinstance(p, slice) and p != slice(None)) for p in parts):
        x = _basic(b, x, [p if p is None or isinstance(p, slice) else slice(None) for p in parts])
        parts = [slice(None) if p is None or isinstance(p, slice) else p for p in parts]
    where = [d for d, p in enumerate(parts) if not isinstance(p, slice)]
    numbers = [_numbers(b, parts[d]) for d in where]
    if len(where) == 1:
        return b.node("Gather", x, numbers[0][0], axis=where[0])
    at, rank = _joined(b, numbers)
    axes = list(range(len(parts)))
    rest = [d for d in axes if d not in where]
    if where != axes[: len(where)]:
        x = b.node("Transpose", x, perm=where + rest)
    y = b.node("GatherND", x, at)
    first = where[0] if where == list(range(where[0], where[0] + len(where))) else 0
    if first == 0:
        return y
    order = [*range(rank, rank + first), *range(rank), *range(rank + first, rank + len(rest))]
    return b.node("Transpose", y, perm=order)


@writes("getitem()")
def _getitem_by_tensors(b: Any, s: Any, *, input: Any, index: Any) -> Any:
    x = b.argument(input)
    return _taken(b, x, _parts(index, len(input.shape)))


@writes("index_select", "embedding")
def _index_select(b: Any, s: Any, x: str, at: str, *, dim: int = 0, **_: Any) -> Any:
    return b.node("Gather", x, at, axis=dim)


@writes("gather")
def _gather(b: Any, s: Any, x: str, at: str, *, dim: int) -> Any:
    if not b.shapes[x]:
        return b.node("Identity", x)
    shape, index = list(b.shapes[x]), list(b.shapes.get(at, s.shape()))
    cut = [d for d, (n, m) in enumerate(zip(shape, index, strict=True)) if d != dim % len(shape) and not _equal(n, m)]
    if cut:  # ONNX has the other axes equal
        x = b.node("Slice", x, b.const([0] * len(cut), np.int64), b.ints([index[d] for d in cut]), b.const(cut, np.int64))  # fmt: skip # noqa: E501
    return b.node("GatherElements", x, at, axis=dim)


def _equal(n: Any, m: Any) -> bool:
    return same_size(n, m) if isinstance(n, Size) else n == m


@writes("setitem")
def _setitem(b: Any, s: Any, x: str, value: str, *, index: Any) -> Any:
    shape = b.shapes[x]
    parts = _parts(index, len(shape))
    inner = [p for p in parts if p is not None]
    special = [d for d, p in enumerate(inner) if p != slice(None) or _is_array(p)] if not any(map(_is_array, inner)) else None  # fmt: skip # noqa: E501
    if special is not None and not special:
        return b.node("Expand", value, b.node("Shape", x))
    if special is not None and len(special) == 1 and None not in parts:
        p = inner[special[0]]
        step = p.step if isinstance(p, slice) else None
        if step in (None, 1):
            return _inserted(b, x, value, special[0], p, shape, len(b.shapes.get(value, ())))
    if any(isinstance(n, Varies) for n in shape):
        raise b.vary(f"an assignment at {index!r}")
    places = np.arange(math.prod(shape)).reshape(shape)[index]
    given = b.node("Reshape", b.node("Expand", value, b.ints(places.shape)), b.const([-1], np.int64))
    flat = b.node("Reshape", x, b.const([-1], np.int64))
    put = b.node("ScatterElements", flat, b.const(places.ravel(), np.int64), given, axis=0)
    return b.node("Reshape", put, b.ints(shape))


def _inserted(b: Any, x: str, value: str, d: int, p: Any, shape: Any, rank: int) -> Any:
    """x with a row, or a run of rows, along an axis replaced: what is before it, it, what is after it."""
    n = shape[d]
    if isinstance(p, slice):
        if not isinstance(n, Varies):
            start, stop, _ = slice(p.start, p.stop).indices(n) if not isinstance(p.start, Varies) and not isinstance(p.stop, Varies) else (p.start or 0, n if p.stop is None else p.stop, 1)  # fmt: skip # noqa: E501
        else:
            start, stop = 0 if p.start is None else p.start, n if p.stop is None else p.stop
    else:
        start, stop = p, minus(p, -1)
        if isinstance(p, int) and p == -1:
            stop = n
            start = minus(n, 1)
    run = [minus(stop, start) if k == d else m for k, m in enumerate(shape)]
    at = rank - (len(shape) - 1 - d)  # where the axis of the row stands among the value's
    if not isinstance(p, slice) and at >= 0:
        value = b.node("Unsqueeze", value, b.const([at], np.int64))
    middle = b.node("Expand", value, b.ints(run))
    before, after = sliced(b, x, d, 0, start), sliced(b, x, d, stop, LAST)
    return b.node("Concat", before, middle, after, axis=d)


@writes("setitem()")
def _setitem_by_tensors(b: Any, s: Any, *, input: Any, index: Any, value: Any) -> Any:
    x = b.argument(input)
    given = b.argument(value) if isinstance(value, Value) else b.const(np.asarray(value, input.dtype))
    rank = len(input.shape)
    if (
        isinstance(index, Value)
        and index.dtype.kind == "b"
        and not np.ndim(value.tensor.array if isinstance(value, Value) else value)
    ):
        mask = b.argument(index)
        more = list(range(len(index.shape), rank))
        mask = b.node("Unsqueeze", mask, b.const(more, np.int64)) if more else mask
        return b.node("Where", mask, given, x)
    parts = _spread_masks(b, _parts(index, rank))
    where = [d for d, p in enumerate(parts) if not isinstance(p, slice)]
    if where != list(range(len(where))) or any(p is None or (isinstance(p, slice) and p != slice(None)) for p in parts):
        raise b.refuse(f"an assignment at {parts}")
    at, _ = _joined(b, [_numbers(b, parts[d]) for d in where])
    lead = b.node("Shape", at)
    head = b.node("Slice", lead, b.const([0], np.int64), b.const([-1], np.int64))
    tail = b.node("Slice", b.node("Shape", x), b.const([len(where)], np.int64), b.const([LAST], np.int64))
    return b.node("ScatterND", x, at, b.node("Expand", given, b.node("Concat", head, tail, axis=0)))


@writes("scatter()", "scatter_reduce()")
def _scatter(
    b: Any, s: Any, *, input: Any, dim: int, index: Any, src: Any, value: Any = None, reduce: Any = None, **more: Any
) -> Any:
    if not more.get("include_self", True) or reduce == "mean":
        raise b.refuse("scatter_reduce without include_self, or of means,")
    x, at = b.argument(input), b.argument(index)
    if src is None or not isinstance(src, (Value, np.ndarray, Varies)):
        given = b.node("Expand", b.number(src if value is None else value, x), b.node("Shape", at))
    else:
        given = b.argument(src)
    kinds = {"sum": "add", "prod": "mul", "amax": "max", "amin": "min", "multiply": "mul", "add": "add"}
    how = {} if reduce is None else {"reduction": kinds[reduce]}
    return b.node("ScatterElements", x, at, given, axis=dim, **how)


@writes("scatter_add")
def _scatter_add(b: Any, s: Any, x: str, at: str, *, dim: int, n: int) -> Any:
    shape = [n if d == dim else m for d, m in enumerate(s.shape())]
    zeros = b.node("Expand", b.const(np.zeros((), s.outs[0][0].dtype)), b.ints(shape))
    return b.node("ScatterElements", zeros, at, x, axis=dim, reduction="add")


@writes("index_add")
def _index_add(b: Any, s: Any, x: str, at: str, *, dim: int, n: int) -> Any:
    shape = b.shapes[x]
    whole = [n if d == dim else m for d, m in enumerate(shape)]
    zeros = b.node("Expand", b.const(np.zeros((), b.dtypes[x])), b.ints(whole))
    return _write_slices(b, s, zeros, x, at, dim=dim, add=True)


@writes("write_slices")
def _write_slices(b: Any, s: Any, x: str, src: str, at: str, *, dim: int, add: bool) -> Any:
    if len(b.shapes[at]) != 1:
        raise b.refuse("index_add with an index of several axes")
    wide = b.node("Reshape", at, b.const([-1 if d == dim else 1 for d in range(len(b.shapes[src]))], np.int64))
    places = b.node("Expand", wide, b.node("Shape", src))
    return _write_elements(b, s, x, src, places, dim=dim, add=add)


@writes("write_elements")
def _write_elements(b: Any, s: Any, x: str, src: str, at: str, *, dim: int, add: bool) -> Any:
    how = {"reduction": "add"} if add else {}
    return b.node("ScatterElements", x, at, src, axis=dim, **how)


@writes("scatter_extreme")
def _scatter_extreme(b: Any, s: Any, src: str, x: str, at: str, *, dim: int, largest: bool, include_self: bool) -> Any:
    if not include_self or b.opset < 18:
        raise b.refuse("scatter_reduce without include_self")
    return b.node("ScatterElements", x, at, src, axis=dim, reduction="max" if largest else "min")


@writes("scatter_product")
def _scatter_product(b: Any, s: Any, src: str, x: str, at: str, *, dim: int) -> Any:
    return b.node("ScatterElements", x, at, src, axis=dim, reduction="mul")


@writes("nonzero()")
def _nonzero(b: Any, s: Any, *, input: Any, as_tuple: bool, **_: Any) -> Any:
    found = b.node("NonZero", b.argument(input))
    if not as_tuple:
        return b.node("Transpose", found, perm=[1, 0])
    return [b.node("Gather", found, b.const(i), axis=0) for i in range(len(input.shape))]


@writes("draw()")
def _draw(b: Any, s: Any, *, normal: bool) -> Any:
    kind, number, shape = "RandomNormal" if normal else "RandomUniform", NUMBER_OF[s.outs[0][0].dtype], s.shape()
    if any(isinstance(n, Varies) for n in shape):
        zeros = b.node("Expand", b.const(np.zeros((), s.outs[0][0].dtype)), b.ints(shape))
        return b.node(f"{kind}Like", zeros)
    return b.node(kind, shape=list(shape), dtype=number)


@writes("one_hot()")
def _one_hot(b: Any, s: Any, *, tensor: Any, num_classes: int) -> Any:
    if num_classes == -1:
        raise b.refuse("one_hot without num_classes")
    return b.node("OneHot", b.argument(tensor), b.const(num_classes, np.int64), b.const([0, 1], np.int64))
