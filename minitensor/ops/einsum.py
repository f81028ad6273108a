r"""Sums of products over named axes: einsum, tensordot, kron, chains of products, bilinear.

    forward    out[kept] = sum over the other names of  a[its names] b[its names] ...
    backward   that of the operators which it is made of

Every name is an axis. Two operands at a time become one batched matrix product:

    names in both, still needed  -> batch      names in both, not needed any more -> inner axis, summed
    names in the first only      -> rows       names in the second only           -> columns
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Hashable, Iterable, Sequence
from typing import Any, NamedTuple

from .. import dtypes
from ..errors import DtypeError, ShapeError
from ..graph.nodes import called
from ..graph.record import apply, apply_flat
from ..graph.tensors import Tensor
from .arithmetic import add, mul
from .common import array_of, axis, lowered, named, raw, shape_of, to_dtype, write_out
from .indexing import getitem
from .matmul import MATMUL, matmul, need_axes
from .reduce import SUM
from .shape import PERMUTE, RESHAPE, permute, reshape, transpose

Labels = tuple[Hashable, ...]
Term = tuple[Any, Labels]  # a tensor and the names of its axes


# --- the contraction --------------------------------------------------------------------------------------------------


def diagonal_of(x: Any) -> Any:
    """The diagonals of square matrices, the last two axes: a view where the memory allows it."""
    *batch, n, _ = shape_of(x)
    return getitem(reshape(x, (*batch, n * n)), (..., slice(None, None, n + 1)))


def _without_repeats(name: str, x: Any, labels: Labels) -> Term:
    """An operand whose repeated names are replaced by the diagonal along their axes."""
    while len(set(labels)) < len(labels):
        label = next(s for s in labels if labels.count(s) > 1)
        i = labels.index(label)
        j = labels.index(label, i + 1)
        shape = shape_of(x)
        if shape[i] != shape[j]:
            raise ShapeError(
                f"{name}: {label!r} names two axes of {shape}, of the sizes {shape[i]} and {shape[j]}, which differ"
            )
        rest = [d for d in range(len(labels)) if d not in (i, j)]
        x = diagonal_of(permute(x, (*rest, i, j)))
        labels = (*[labels[d] for d in rest], label)
    return x, labels


def _sizes(name: str, terms: Sequence[Term]) -> dict[Hashable, int]:
    """The size of each name: axes of size 1 broadcast."""
    found: dict[Hashable, int] = {}
    for x, labels in terms:
        for label, n in zip(labels, shape_of(x), strict=True):
            m = found.setdefault(label, n)
            if m == 1:
                found[label] = n
            elif n not in (1, m):
                shapes = " and ".join(str(shape_of(y)) for y, _ in terms)
                what = "the axes before the last" if isinstance(label, tuple) else f"axis {label!r}"
                raise ShapeError(f"{name}: the operands {shapes}: {what} has the sizes {m} and {n}, which differ")
    return found


def _summed(x: Any, labels: Labels, keep: set[Hashable]) -> Term:
    """An operand summed over the names that nothing needs."""
    gone = tuple([d for d, label in enumerate(labels) if label not in keep])
    if not gone:
        return x, labels
    total = to_dtype(apply(SUM, x, axes=gone, keepdim=False), dtypes.of(array_of(x).dtype))
    return total, tuple([label for label in labels if label in keep])


def _order(labels: Labels, wanted: Iterable[Hashable]) -> tuple[int, ...] | None:
    """The axes that have these names; None if it is their own order."""
    dims = tuple([labels.index(label) for label in wanted])
    return None if dims == tuple(range(len(dims))) else dims


def _ordered(x: Any, labels: Labels, wanted: Iterable[Hashable]) -> Any:
    dims = _order(labels, wanted)
    return x if dims is None else permute(x, dims)


def _pair(a: Term, b: Term, keep: set[Hashable], sizes: dict[Hashable, int]) -> Term:
    """Two operands as one: a batched matrix product, or a product by elements if no name is summed over."""
    (x, p), (y, q) = a, b
    batch, inner, rows, columns = _groups(p, q, keep)
    if inner:
        plan = _plan(p, q, keep, sizes)
        return _multiplied(x, y, plan), plan.labels
    x = _ordered(x, p, (*batch, *rows))
    y = _ordered(y, q, (*batch, *columns))
    x = reshape(x, (*[sizes[s] for s in (*batch, *rows)], *[1] * len(columns)))
    return mul(x, _between(y, len(batch), len(rows))), (*batch, *rows, *columns)


def _groups(p: Labels, q: Labels, keep: set[Hashable]) -> tuple[Labels, Labels, Labels, Labels]:
    """The names of two operands: batch, inner axes, rows, columns."""
    batch = tuple([s for s in p if s in q and s in keep])
    inner = tuple([s for s in p if s in q and s not in keep])
    return batch, inner, tuple([s for s in p if s not in q]), tuple([s for s in q if s not in p])


class Plan(NamedTuple):
    """How two operands are multiplied: for each the order of its axes and its shape then, None as they are."""

    x_order: tuple[int, ...] | None
    x_shape: tuple[int, ...] | None
    y_order: tuple[int, ...] | None
    y_shape: tuple[int, ...] | None
    shape: tuple[int, ...] | None  # of the product
    labels: Labels  # and the names of its axes then


def _plan(p: Labels, q: Labels, keep: set[Hashable], sizes: dict[Hashable, int]) -> Plan:
    batch, inner, rows, columns = _groups(p, q, keep)

    def shape(*groups: Labels) -> tuple[int, ...]:
        return tuple([sizes[s] for group in groups for s in group])

    def flat(*groups: Labels) -> tuple[int, ...] | None:  # an axis for each group, of the batch if there is one
        if all(len(group) == 1 for group in groups[not batch :]):
            return None
        return tuple([math.prod(shape(group)) for group in groups[not batch :]])

    return Plan(
        _order(p, (*batch, *rows, *inner)),
        flat(batch, rows, inner),
        _order(q, (*batch, *inner, *columns)),
        flat(batch, inner, columns),
        None if flat(batch, rows, columns) is None else shape(batch, rows, columns),
        (*batch, *rows, *columns),
    )


def _multiplied(x: Any, y: Any, plan: Plan) -> Any:
    x = x if plan.x_order is None else apply_flat(PERMUTE, x, plan.x_order)
    y = y if plan.y_order is None else apply_flat(PERMUTE, y, plan.y_order)
    x = x if plan.x_shape is None else apply_flat(RESHAPE, x, plan.x_shape)
    y = y if plan.y_shape is None else apply_flat(RESHAPE, y, plan.y_shape)
    product = apply(MATMUL, x, y)
    return product if plan.shape is None else apply_flat(RESHAPE, product, plan.shape)


def _between(y: Any, place: int, count: int) -> Any:
    """`y` with `count` axes of size 1 put in at `place`."""
    shape = shape_of(y)
    return reshape(y, (*shape[:place], *[1] * count, *shape[place:]))


def _next_pair(terms: list[Term], keep: list[set[Hashable]], sizes: dict[Hashable, int]) -> tuple[int, int]:
    """The pair whose product grows the least: the size of the result less those of the two."""
    best: tuple[int, int, int, int] | None = None
    for j in range(1, len(terms)):
        for i in range(j):
            p, q = set(terms[i][1]), set(terms[j][1])
            kept = math.prod([sizes[s] for s in (p | q) & _needed(keep, i, j)])
            growth = kept - math.prod([sizes[s] for s in p]) - math.prod([sizes[s] for s in q])
            work = math.prod([sizes[s] for s in p | q])
            if best is None or (growth, work) < best[:2]:
                best = (growth, work, i, j)
    assert best is not None
    return best[2], best[3]


def _needed(names: list[set[Hashable]], *without: int) -> set[Hashable]:
    """The names of the output (the last of the list) and of all operands but some."""
    return set().union(*[s for k, s in enumerate(names) if k not in without])


def contract(name: str, terms: Sequence[Term], output: Labels) -> Any:
    """The sum of the products of the operands over all names that are not in `output`."""
    kinds = {array_of(x).dtype for x, _ in terms}
    if len(kinds) > 1:
        raise DtypeError(f"{name}: the dtypes {' and '.join(sorted(map(str, kinds)))} differ")
    terms = [_without_repeats(name, x, labels) for x, labels in terms]
    sizes = _sizes(name, terms)
    narrow = []
    for x, labels in terms:  # an axis of size 1 that broadcasts is left out of the product
        shape = shape_of(x)
        kept = [d for d, label in enumerate(labels) if shape[d] == sizes[label]]
        if len(kept) < len(shape):
            x, labels = reshape(x, tuple([shape[d] for d in kept])), tuple([labels[d] for d in kept])
        narrow.append((x, labels))
    names = [set(labels) for _, labels in narrow] + [set(output)]
    terms = [_summed(x, labels, _needed(names, i)) for i, (x, labels) in enumerate(narrow)]
    while len(terms) > 1:
        names = [set(labels) for _, labels in terms] + [set(output)]
        i, j = _next_pair(terms, names, sizes) if len(terms) > 2 else (0, 1)
        joined = _pair(terms[i], terms[j], _needed(names, i, j), sizes)
        terms = [t for k, t in enumerate(terms) if k not in (i, j)] + [joined]
    x, labels = terms[0]
    return _ordered(x, labels, output)


# --- einsum -----------------------------------------------------------------------------------------------------------


def _parsed(equation: str, count: int) -> tuple[list[list[Any]], list[Any] | None]:
    """The names of each operand and of the output, `...` among them; None for an output that is not written."""
    text = equation.replace(" ", "")
    left, arrow, right = text.partition("->")

    def names(part: str) -> list[Any]:
        before, dots, after = part.partition("...")
        found = [*before, *([...] if dots else []), *after]
        bad = [c for c in found if c is not ... and not (c.isascii() and c.isalpha())]
        if bad:
            raise ShapeError(f"einsum: {equation!r}: {bad[0]!r} is neither a letter, nor '...', ',' or '->'")
        return found

    inputs = [names(part) for part in left.split(",")]
    if len(inputs) != count:
        raise ShapeError(f"einsum: {equation!r} names {len(inputs)} operands, but {count} are given")
    return inputs, names(right) if arrow else None


def _sublists(args: Sequence[Any]) -> tuple[list[Any], list[list[Any]], list[Any] | None]:
    """einsum(x, [0, 1], y, [1, 2], [0, 2]): numbers as names."""
    output = list(args[-1]) if len(args) % 2 else None
    operands, inputs = list(args[0 : len(args) - len(args) % 2 : 2]), [list(s) for s in args[1::2]]
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

    def names(sublist: list[Any]) -> list[Any]:
        if any(s is not ... and not (isinstance(s, int) and 0 <= s < 52) for s in sublist):
            raise ShapeError(f"einsum: the names in a list must be integers from 0 to 51 or ..., not {sublist!r}")
        return [s if s is ... else letters[s] for s in sublist]

    return operands, [names(s) for s in inputs], None if output is None else names(output)


def _spelled(names: list[Any], ndim: int, what: str) -> Labels:
    """The names of the axes of one operand, `...` spelled out: those axes are counted from the last."""
    if names.count(...) > 1:
        raise ShapeError(f"einsum: {what} has more than one '...'")
    dots = ndim - len(names) + 1 if ... in names else 0
    if dots < 0 or (... not in names and len(names) != ndim):
        raise ShapeError(f"einsum: {what} has {ndim} axes, but its names are {len([n for n in names if n is not ...])}")
    found: list[Hashable] = []
    for n in names:
        found.extend([("...", k) for k in range(dots, 0, -1)] if n is ... else [n])
    return tuple(found)


def _named(inputs: list[list[Any]], output: list[Any] | None, ndims: tuple[int, ...]) -> tuple[list[Labels], Labels]:
    """The names of the axes of each operand and of the output, all spelled out."""
    labels = [_spelled(names, n, f"operand {i}") for i, (names, n) in enumerate(zip(inputs, ndims, strict=True))]
    every = [label for part in labels for label in part]
    dots = sorted({s for s in every if isinstance(s, tuple)}, reverse=True)
    if output is None:
        return labels, (*dots, *sorted([s for s in every if isinstance(s, str) and every.count(s) == 1]))
    final: list[Hashable] = []
    for n in output:
        final.extend(dots if n is ... else [n])
    for label in final:
        if final.count(label) > 1:
            raise ShapeError(f"einsum: {label!r} stands twice in the output")
        if label not in every:
            raise ShapeError(f"einsum: {label!r} of the output is in none of the operands")
    return labels, tuple(final)


@functools.lru_cache(256)
def _of_equation(equation: str, ndims: tuple[int, ...]) -> tuple[list[Labels], Labels]:
    return _named(*_parsed(equation, len(ndims)), ndims)


@functools.lru_cache(256)
def _product(equation: str, x: tuple[int, ...], y: tuple[int, ...]) -> tuple[Plan, tuple[int, ...] | None] | None:
    """The plan of an equation that is one product of two operands of these shapes, and the order of its axes; else
    None."""
    (p, q), final = _of_equation(equation, (len(x), len(y)))
    rows, columns, keep = dict(zip(p, x, strict=True)), dict(zip(q, y, strict=True)), set(final)
    whole = len(rows) == len(p) and len(columns) == len(q) and rows.keys() ^ columns.keys() <= keep
    if not whole or any(columns.get(s, n) != n for s, n in rows.items()) or keep >= rows.keys() & columns.keys():
        return None
    plan = _plan(p, q, keep, {**rows, **columns})
    return plan, _order(plan.labels, final)


def einsum(*args: Any) -> Any:
    r"""The sum of products that an equation names: "ij,jk->ik" is the matrix product.

        forward    out[names after ->] = sum over all other names of the product of the operands

    Each letter is an axis. A letter that stands twice in one operand is its diagonal; `...` are all axes that have no
    letter, and broadcast. Without `->` the result has the letters that stand once, in the alphabet's order, after the
    axes of `...`. The operands may also come in one list, or each with a list of integers:
    `einsum(x, [0, 1], y, [1, 2], [0, 2])`. Of more than two operands, that pair is multiplied first whose product is
    the smallest.

    Raises ShapeError for an equation that does not fit the operands.

    >>> mt.einsum("ij,ij->i", mt.tensor([[1.0, 2.0], [3.0, 4.0]]), mt.ones(2, 2))
    tensor([3., 7.])
    """
    if not args:
        raise ShapeError("einsum: expected an equation and operands")
    equation = args[0] if isinstance(args[0], str) else None
    if len(args) == 3 and equation is not None and isinstance(args[1], Tensor) and isinstance(args[2], Tensor):
        x, y = lowered(args[1], args[2])
        usual = _product(equation, x.array.shape, y.array.shape) if x.array.dtype is y.array.dtype else None
        if usual is not None:
            plan, order = usual
            result = _multiplied(x, y, plan)
            return called(result if order is None else apply_flat(PERMUTE, result, order), "ViewBackward0")
    inputs: list[list[Any]] = []
    output: list[Any] | None = None
    if equation is None:
        operands, inputs, output = _sublists(args)
    else:
        operands = list(args[1:])
        if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
            operands = list(operands[0])
        if not operands:
            raise ShapeError(f"einsum: {equation!r}: no operands are given")
    if any(not hasattr(raw(x), "shape") for x in operands):
        raise TypeError("einsum: the operands must be tensors")
    operands = lowered(*operands)
    ndims = tuple([len(shape_of(x)) for x in operands])
    labels, final = _named(inputs, output, ndims) if equation is None else _of_equation(equation, ndims)
    result = contract("einsum", list(zip(operands, labels, strict=True)), final)
    return result if len(operands) == 1 else called(result, "ViewBackward0")


# --- tensordot, kron --------------------------------------------------------------------------------------------------


@named("ViewBackward0")
def tensordot(a: Any, b: Any, dims: Any = 2, out: Any = None) -> Any:
    r"""The product of two tensors, summed over pairs of axes: the last `dims` of a and the first of b, or two lists.

        forward    out[rest of a, rest of b] = sum_k a[..., k] b[k, ...]

    Raises ShapeError where the sizes of a pair differ (one of them may be 1), or where the lists differ in length.

    >>> mt.tensordot(mt.ones(2, 3, 4), mt.ones(4, 3), dims=([1, 2], [1, 0]))
    tensor([12., 12.])
    """
    a, b = lowered(a, b)
    p, q = len(shape_of(a)), len(shape_of(b))
    value = raw(dims)
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, int):
        if not 0 <= value <= min(p, q):
            raise ShapeError(f"tensordot: dims must be between 0 and {min(p, q)} for {shape_of(a)} and {shape_of(b)}")
        left, right = list(range(p - value, p)), list(range(value))
    else:
        left, right = ([axis("tensordot", d, n) for d in part] for part, n in zip(value, (p, q), strict=True))
        if len(left) != len(right) or len(set(left)) != len(left) or len(set(right)) != len(right):
            raise ShapeError(f"tensordot: dims {value} must name as many axes of both, each once")
    names_a: list[Hashable] = [("a", d) for d in range(p)]
    names_b: list[Hashable] = [("b", d) for d in range(q)]
    for k, (i, j) in enumerate(zip(left, right, strict=True)):
        m, n = shape_of(a)[i], shape_of(b)[j]
        if m != n and 1 not in (m, n):
            raise ShapeError(
                f"tensordot: {shape_of(a)} and {shape_of(b)}: axis {i} has {m} elements and axis {j} has {n}"
            )
        names_a[i] = names_b[j] = k
    rest = [s for s in (*names_a, *names_b) if isinstance(s, tuple)]
    result = contract("tensordot", [(a, tuple(names_a)), (b, tuple(names_b))], tuple(rest))
    return result if out is None else write_out("tensordot", result, out)


@named("UnsafeViewBackward0")
def kron(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The Kronecker product: every element of the first times the whole second.

        forward    out[i m + k, j n + l] = a[i, j] b[k, l] for b of shape (m, n); of any number of axes

    >>> mt.kron(mt.tensor([[1, 2]]), mt.tensor([[1, 0], [0, 1]]))
    tensor([[1, 0, 2, 0],
            [0, 1, 0, 2]])
    """
    a, b = shape_of(input), shape_of(other)
    ndim = max(len(a), len(b))
    a, b = (1,) * (ndim - len(a)) + a, (1,) * (ndim - len(b)) + b
    product = mul(
        reshape(input, tuple([n for m in a for n in (m, 1)])), reshape(other, tuple([n for m in b for n in (1, m)]))
    )
    result = reshape(product, tuple([m * n for m, n in zip(a, b, strict=True)]))
    return result if out is None else write_out("kron", result, out)


# --- chains -----------------------------------------------------------------------------------------------------------


def _cheapest(sizes: list[int]) -> list[list[int]]:
    """Where to split the product of matrices i to j, of the sizes (sizes[i], sizes[i+1]) ...: the fewest products."""
    n = len(sizes) - 1
    cost = [[0] * n for _ in range(n)]
    split = [[0] * n for _ in range(n)]
    for length in range(1, n):
        for i in range(n - length):
            j = i + length
            cost[i][j], split[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sizes[i] * sizes[k + 1] * sizes[j + 1], k) for k in range(i, j)
            )
    return split


def multi_dot(tensors: Sequence[Any], *, out: Any = None) -> Any:
    r"""The product of two or more matrices, in the order that takes the fewest multiplications.

        forward    out = a b c ...

    The first may be a vector, which counts as a row, and the last one, which counts as a column; their axis is gone
    from the result. The order is found by dynamic programming. Source: T. H. Cormen et al., Introduction to Algorithms,
    matrix-chain multiplication.

    >>> mt.linalg.multi_dot([mt.ones(2, 3), mt.ones(3, 4), mt.ones(4)])
    tensor([12., 12.])
    """
    name = "linalg.multi_dot"
    given = list(tensors)
    if len(given) < 2:
        raise ShapeError(f"{name}: expected at least 2 tensors, got {len(given)}")
    for i, x in enumerate(given):
        ends = i in (0, len(given) - 1)
        if len(shape_of(x)) != 2 and not (ends and len(shape_of(x)) == 1):
            raise ShapeError(
                f"{name}: tensor {i} has shape {shape_of(x)}; expected a matrix{' or a vector' if ends else ''}"
            )
    first, last = shape_of(given[0]), shape_of(given[-1])
    if len(first) == 1:
        given[0] = reshape(given[0], (1, *first))
    if len(last) == 1:
        given[-1] = reshape(given[-1], (*last, 1))
    result = _chain(name, given)
    kept = (*(() if len(first) == 1 else shape_of(result)[:1]), *(() if len(last) == 1 else shape_of(result)[1:]))
    result = reshape(result, kept)
    return result if out is None else write_out(name, result, out)


def _chain(name: str, matrices: list[Any]) -> Any:
    for a, b in itertools.pairwise(matrices):
        if shape_of(a)[1] != shape_of(b)[0]:
            raise ShapeError(
                f"{name}: {shape_of(a)} @ {shape_of(b)}: the inner sizes {shape_of(a)[1]} and {shape_of(b)[0]} differ"
            )
    split = _cheapest([shape_of(matrices[0])[0], *[shape_of(m)[1] for m in matrices]])

    def product(i: int, j: int) -> Any:
        return matrices[i] if i == j else matmul(product(i, split[i][j]), product(split[i][j] + 1, j))

    return product(0, len(matrices) - 1)


def chain_matmul(*matrices: Any, out: Any = None) -> Any:
    """The product of matrices in the order that takes the fewest multiplications; see `linalg.multi_dot`.

    >>> mt.chain_matmul(mt.ones(1, 2), mt.ones(2, 3), mt.ones(3, 1))
    tensor([[6.]])
    """
    given = list(matrices[0]) if len(matrices) == 1 and not isinstance(matrices[0], Tensor) else list(matrices)
    if not given:
        raise ShapeError("chain_matmul: expected at least one matrix")
    need_axes("chain_matmul", *[(m, 2) for m in given])
    result = _chain("chain_matmul", given)
    return result if out is None else write_out("chain_matmul", result, out)


# --- bilinear ---------------------------------------------------------------------------------------------------------


def bilinear(input1: Any, input2: Any, weight: Any, bias: Any = None) -> Any:
    r"""A bilinear map: inputs (*, in1) and (*, in2), weight (out, in1, in2), bias (out) to (*, out).

        forward    y_o = sum_ij a_i w_oij b_j + bias_o

    Raises ShapeError where sizes differ.

    >>> mt.nn.functional.bilinear(mt.ones(5, 2), mt.ones(5, 3), mt.ones(4, 2, 3)).shape
    minitensor.Size([5, 4])
    """
    a, b, w = shape_of(input1), shape_of(input2), shape_of(weight)
    if len(w) != 3 or not a or not b:
        raise ShapeError(
            f"bilinear: expected inputs (*, in1), (*, in2) and a weight (out, in1, in2), got {a}, {b}, {w}"
        )
    if a[:-1] != b[:-1]:
        raise ShapeError(f"bilinear: the inputs {a} and {b} differ before the last axis")
    if (a[-1], b[-1]) != w[1:]:
        raise ShapeError(f"bilinear: inputs {a} and {b} and weight {w}: expected last sizes {w[1]} and {w[2]}")
    if bias is not None and shape_of(bias) != w[:1]:
        raise ShapeError(f"bilinear: bias {shape_of(bias)} and weight {w}: expected {w[0]} values")
    rows = math.prod(a[:-1])
    by_first = matmul(reshape(input1, (rows, w[1])), reshape(transpose(weight, 0, 1), (w[1], w[0] * w[2])))
    y = matmul(reshape(by_first, (rows, w[0], w[2])), reshape(input2, (rows, w[2], 1)))
    y = reshape(y, (*a[:-1], w[0]))
    return y if bias is None else add(y, bias)
