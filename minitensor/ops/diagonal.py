"""Diagonals and triangles of matrices."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core
from ..errors import ShapeError
from ..graph.nodes import called
from ..graph.record import apply, apply_flat, attempt
from ..op import SHAPE, Op, Result, Sample
from . import indexing, reduce
from .common import Array, array_of, axis, raw, reads, shape_of, shifted, write_out
from .shape import Shape, clone, expand, reshape
from .view_write import scatter_view

# --- diagonal and its transpose ---------------------------------------------------------------------------------------


def _diagonal_view(x: Array, offset: int, dim1: int, dim2: int) -> Array:
    out = x.diagonal(offset, dim1, dim2)
    if x.flags.writeable:
        out.flags.writeable = True
    return out


def _diagonal_reference(x: Array, *, offset: int, dim1: int, dim2: int) -> Result:
    return _diagonal_view(x, offset, dim1, dim2), (x.shape,)


def _diagonal_dx(g: Any, shape: Shape, *, offset: int, dim1: int, dim2: int) -> Any:
    return apply(ON_DIAGONAL, g, shape=shape, offset=offset, dim1=dim1, dim2=dim2)


def _diagonal_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, offset, dim1, dim2 in (((3, 3), 0, 0, 1), ((2, 4), 1, 0, 1), ((4, 2, 3), -1, 0, 2), ((2, 2), 5, 1, 0)):
        yield Sample((rng.standard_normal(shape),), {"offset": offset, "dim1": dim1, "dim2": dim2})


DIAGONAL = Op(
    "diagonal",
    _diagonal_reference,
    None,
    (_diagonal_dx,),
    "linear",
    _diagonal_samples,
    view=True,
    exact=True,
    batch=shifted("diagonal", "dim1", "dim2"),
    kernel=_core.diagonal,
    saves=(SHAPE,),
    names=("offset", "dim1", "dim2"),
)


def _on_diagonal_reference(g: Array, *, shape: Shape, offset: int, dim1: int, dim2: int) -> Result:
    out = np.zeros(shape, g.dtype)
    _diagonal_view(out, offset, dim1, dim2)[...] = g
    return out, ()


def _on_diagonal_dg(h: Any, *, shape: Shape, **place: int) -> Any:
    return apply(DIAGONAL, h, **place)


def _on_diagonal_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for size, shape, offset, dim1, dim2 in (((3,), (3, 3), 0, 0, 1), ((2, 2), (3, 2, 3), -1, 0, 2)):
        params = {"shape": shape, "offset": offset, "dim1": dim1, "dim2": dim2}
        yield Sample((rng.standard_normal(size),), params)


# zeros with g on a diagonal: the transpose of `diagonal`
ON_DIAGONAL = Op(
    "on_diagonal",
    _on_diagonal_reference,
    None,
    (_on_diagonal_dg,),
    "linear",
    _on_diagonal_samples,
    exact=True,
    batch=shifted("on_diagonal", "dim1", "dim2", sizes="shape"),
)


def _plane(name: str, ndim: int, dim1: int, dim2: int) -> tuple[int, int]:
    a, b = axis(name, dim1, ndim), axis(name, dim2, ndim)
    if a == b or ndim < 2:
        raise ShapeError(f"{name}: the axes {dim1} and {dim2} of {ndim} are not two")
    return a, b


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """The diagonal of the plane of two axes, `offset` above the main one, as a new last axis. A view.

        forward    out[i] = x[i, i + offset]
        backward   dx = g on that diagonal, 0 elsewhere

    >>> mt.diagonal(mt.tensor([[1, 2], [3, 4]]), 1)
    tensor([2])
    """
    if type(dim1) is type(dim2) is int and dim1 >= 0 <= dim2:
        result = attempt(DIAGONAL, input, offset, dim1, dim2)
        if result is not None:
            return result
    a, b = _plane("diagonal", len(shape_of(input)), dim1, dim2)
    return apply_flat(DIAGONAL, input, int(offset), a, b)


def linalg_diagonal(A: Any, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """The diagonals of matrices: `diagonal`, of the last two axes unless others are given. A view.

    >>> mt.linalg.diagonal(mt.ones(5, 2, 3)).shape
    minitensor.Size([5, 2])
    """
    return diagonal(A, offset, dim1, dim2)


@reads()
def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Any:
    """`input` with `src` in the place of a diagonal; a copy.

    >>> mt.diagonal_scatter(mt.zeros(2, 2), mt.ones(2))
    tensor([[1., 0.],
            [0., 1.]])
    """
    a, b = _plane("diagonal_scatter", len(shape_of(input)), dim1, dim2)
    return scatter_view("diagonal_scatter", input, src, DIAGONAL, offset=int(offset), dim1=a, dim2=b)


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Any:
    """Square matrices of zeros with the last axis of `input` on a diagonal, their axes being `dim1` and `dim2`.

    >>> mt.diag_embed(mt.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    shape = shape_of(input)
    a, b = _plane("diag_embed", len(shape) + 1, dim1, dim2)
    n = shape[-1] + abs(int(offset))
    rest = iter(shape[:-1])
    whole = tuple([n if d in (a, b) else next(rest) for d in range(len(shape) + 1)])
    return apply(ON_DIAGONAL, input, shape=whole, offset=int(offset), dim1=a, dim2=b)


def diag(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """Of a vector the matrix with it on a diagonal; of a matrix its diagonal, as a copy.

    >>> mt.diag(mt.tensor([1, 2]))
    tensor([[1, 0],
            [0, 2]])
    """
    ndim = len(shape_of(input))
    if ndim not in (1, 2):
        raise ShapeError(f"diag: expected a vector or a matrix, got shape {shape_of(input)}")
    if ndim == 1:
        result = diag_embed(input, diagonal)
    else:
        result = called(clone(apply(DIAGONAL, input, offset=int(diagonal), dim1=0, dim2=1)), "DiagonalBackward0_copy")
    return result if out is None else write_out("diag", result, out)


def diagflat(input: Any, offset: int = 0) -> Any:
    """The matrix with all elements of `input`, in row-major order, on a diagonal.

    >>> mt.diagflat(mt.tensor([[1], [2]]))
    tensor([[1, 0],
            [0, 2]])
    """
    return diag_embed(reshape(input, (-1,)), offset)


# --- trace ------------------------------------------------------------------------------------------------------------


def _trace_reference(x: Array) -> Result:
    return np.asarray(x.trace(dtype=np.int64 if x.dtype.kind in "biu" else x.dtype)), (x.shape,)


def _trace_kernel(x: Array) -> Array | None:
    d = _core.diagonal(x, 0, 0, 1)
    usual = d is not None and d.ndim == 1 and d.dtype.kind == "f"
    return _core.sum(d, (0,), False) if usual else None


def _trace_dx(g: Any, shape: Shape) -> Any:
    return apply(ON_DIAGONAL, expand(g, (min(shape),)), shape=shape, offset=0, dim1=0, dim2=1)


def _trace_batch(args: Any, flags: Any) -> Any:
    return reduce.sum(apply(DIAGONAL, args[0], offset=0, dim1=1, dim2=2), -1)


def _trace_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3, 3), (2, 5), (4, 1), (0, 2)):
        yield Sample((rng.standard_normal(shape),), {})
    yield Sample((rng.standard_normal((70, 40)).T,), {})


TRACE = Op(
    "trace",
    _trace_reference,
    None,
    (_trace_dx,),
    "linear",
    _trace_samples,
    complex=True,
    length=lambda x: min(x.shape),
    batch=_trace_batch,
    kernel=_trace_kernel,
    saves=(SHAPE,),
)


def trace(input: Any) -> Any:
    """The sum of the main diagonal of a matrix; integers are summed in int64.

    >>> mt.trace(mt.tensor([[1, 2], [3, 4]]))
    tensor(5)
    """
    result = attempt(TRACE, input)
    if result is not None:
        return result
    if len(shape_of(input)) != 2:
        raise ShapeError(f"trace: expected a matrix, got shape {shape_of(input)}")
    return apply(TRACE, input)


# --- triangles --------------------------------------------------------------------------------------------------------


def _tril_reference(x: Array, *, diagonal: int) -> Result:
    return np.tril(x, diagonal), ()


def _triu_reference(x: Array, *, diagonal: int) -> Result:
    return np.triu(x, diagonal), ()


def _tril_forward(x: Array, *, diagonal: int) -> Result:
    return _cut(x, diagonal, False), ()


def _triu_forward(x: Array, *, diagonal: int) -> Result:
    return _cut(x, diagonal, True), ()


def _cut(x: Array, diagonal: int, upper: bool) -> Array:
    out: Array | None = _core.triangle(x, max(-(2**62), min(diagonal, 2**62)), upper)
    return (np.triu if upper else np.tril)(x, diagonal) if out is None else out


def _triangle_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, k in (((3, 3), 0), ((2, 4), 1), ((2, 4, 3), -1), ((0, 3), 0), ((2, 2), -5)):
        yield Sample((rng.standard_normal(shape),), {"diagonal": k})


TRIL: Op = Op(
    "tril",
    _tril_reference,
    _tril_forward,
    (lambda g, *, diagonal: apply(TRIL, g, diagonal=diagonal),),
    "linear",
    _triangle_samples,
    exact=True,
    batch=shifted("tril"),
)
TRIU: Op = Op(
    "triu",
    _triu_reference,
    _triu_forward,
    (lambda g, *, diagonal: apply(TRIU, g, diagonal=diagonal),),
    "linear",
    _triangle_samples,
    exact=True,
    batch=shifted("triu"),
)


def _triangle(name: str, op: Op, input: Any, diagonal: int, out: Any) -> Any:
    if len(shape_of(input)) < 2:
        raise ShapeError(f"{name}: expected a matrix or a batch of them, got shape {shape_of(input)}")
    result = apply(op, input, diagonal=int(diagonal))
    return result if out is None else write_out(name, result, out)


def tril(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """Matrices without what lies above a diagonal, `diagonal` above the main one.

        forward    out[i, j] = x[i, j] where j <= i + diagonal, else 0
        backward   dx = the same of g

    >>> mt.tril(mt.ones(2, 2))
    tensor([[1., 0.],
            [1., 1.]])
    """
    return _triangle("tril", TRIL, input, diagonal, out)


def triu(input: Any, diagonal: int = 0, *, out: Any = None) -> Any:
    """Matrices without what lies below a diagonal, `diagonal` above the main one.

        forward    out[i, j] = x[i, j] where j >= i + diagonal, else 0
        backward   dx = the same of g

    >>> mt.triu(mt.ones(2, 2))
    tensor([[1., 1.],
            [0., 1.]])
    """
    return _triangle("triu", TRIU, input, diagonal, out)


def fill_diagonal_(input: Any, fill_value: Any, wrap: bool = False) -> Any:
    """Writes one value on the main diagonal; with `wrap` it begins anew below the end of a tall matrix.

    >>> mt.zeros(2, 2).fill_diagonal_(1)
    tensor([[1., 0.],
            [0., 1.]])
    """
    shape = shape_of(input)
    if len(shape) < 2:
        raise ShapeError(f"fill_diagonal_: expected at least 2 axes, got {shape}")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise ShapeError(f"fill_diagonal_: of more than 2 axes all must have one size, not {shape}")
    if isinstance(raw(fill_value), np.ndarray) and array_of(fill_value).ndim:
        raise ShapeError("fill_diagonal_: the value must be a number or a tensor without axes")
    if wrap and len(shape) == 2 and shape[0] > shape[1] > 0:
        places = np.unravel_index(np.arange(0, math.prod(shape), shape[1] + 1), shape)
    else:
        places = (np.arange(min(shape)),) * len(shape)
    indexing.setitem(input, tuple(places), fill_value)
    return input
