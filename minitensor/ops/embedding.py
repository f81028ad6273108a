"""Embedding: rows of a table, looked up by number. Kernel: csrc/kernels/embedding.cpp."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core
from ..errors import DtypeError, IndexRangeError, ShapeError
from ..graph import apply
from ..op import Op, Result, Sample
from .common import Array, raw, shape_of
from .comparison import where

# A padding index of None is -1 here: no row has that number.


def _need_in_range(index: Array, rows: int) -> None:
    """The reference's check; the binding checks for the kernel, with the same error."""
    bad = index[(index < 0) | (index >= rows)]
    if bad.size:
        raise IndexRangeError(f"embedding: index {bad[0]} is out of range for a table of {rows} rows")


def _embedding_reference(w: Array, index: Array, *, padding: int) -> Result:
    _need_in_range(index, w.shape[0])
    return w[index], (index, w.shape[0])


def _embedding_forward(w: Array, index: Array, *, padding: int) -> Result:
    return _core.embedding(w, index), (index, w.shape[0])


def _embedding_dw(g: Any, index: Any, rows: int, *, padding: int) -> Any:
    return apply(EMBEDDING_VJP, g, index, rows=rows, padding=padding)


def _embedding_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in (((4,), 3), ((2, 3), 17), ((), 2), ((0,), 2), ((5,), 0), ((9,), 33)):
        index = rng.integers(0, 5, shape)
        yield Sample((rng.standard_normal((6, dim)), index), {"padding": -1})
        yield Sample((rng.standard_normal((6, dim)), index), {"padding": 5})  # a row that is not looked up
    yield Sample((rng.standard_normal((900, 100)), rng.integers(0, 900, 2000)), {"padding": -1}, large=True)


EMBEDDING: Op = Op(
    "embedding",
    _embedding_reference,
    _embedding_forward,
    (_embedding_dw, None),
    None,
    _embedding_samples,
    exact=True,
)


def _embedding_vjp_reference(g: Array, index: Array, *, rows: int, padding: int) -> Result:
    dw = np.zeros((rows, g.shape[-1]), g.dtype)
    np.add.at(dw, index, g)
    if padding >= 0:
        dw[padding] = 0
    return dw, (index,)


def _embedding_vjp_forward(g: Array, index: Array, *, rows: int, padding: int) -> Result:
    return _core.embedding_vjp(g, index, rows, padding), (index,)


def _embedding_vjp_dg(h: Any, index: Any, *, rows: int, padding: int) -> Any:
    looked_up = apply(EMBEDDING, h, index, padding=padding)
    return where(raw(index)[..., None] != padding, looked_up, 0.0) if padding >= 0 else looked_up


def _embedding_vjp_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, dim in (((4,), 3), ((2, 3), 17), ((), 2), ((0,), 2), ((40,), 33)):
        index = rng.integers(0, 6, shape)
        for padding in (-1, 2):
            yield Sample((rng.standard_normal((*shape, dim)), index), {"rows": 6, "padding": padding})
    g, index = rng.standard_normal((2000, 100)), rng.integers(0, 900, 2000)
    yield Sample((g, index), {"rows": 900, "padding": 7}, large=True)


EMBEDDING_VJP: Op = Op(
    "embedding_vjp",
    _embedding_vjp_reference,
    _embedding_vjp_forward,
    (_embedding_vjp_dg, None),
    None,
    _embedding_vjp_samples,
    exact=True,
    length=lambda g, index, **_: max(index.size, 1),
)


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Any:
    r"""Rows of `weight` (rows, dim), looked up by the integers `input` of any shape; (*input.shape, dim).

        forward    out[i] = w[index[i]]
        backward   dw[j] = the sum of g[i] over all i with index[i] = j, in the order of i; row padding_idx gets 0

    Raises IndexRangeError, naming the index, if one is not from 0 to rows - 1.

    >>> mt.nn.functional.embedding(mt.tensor([1, 0]), mt.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[3., 4.],
            [1., 2.]])
    """
    index = raw(input)
    if not isinstance(index, np.ndarray) or index.dtype.kind not in "iu":
        raise DtypeError(f"embedding: the index must be integers, not {getattr(index, 'dtype', type(index))}")
    shape = shape_of(weight)
    if len(shape) != 2:
        raise ShapeError(f"embedding: weight must have 2 axes, (rows, dim), but has shape {shape}")
    rows = shape[0]
    index = index.astype(np.int64, copy=False)
    if padding_idx is None:
        return apply(EMBEDDING, weight, index, padding=-1)
    if not -rows <= padding_idx < rows:
        raise IndexRangeError(f"embedding: padding_idx {padding_idx} is out of range for a table of {rows} rows")
    return apply(EMBEDDING, weight, index, padding=padding_idx % rows)
