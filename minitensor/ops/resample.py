r"""A sparse matrix along one axis: what interpolation is.

    forward    y[.., i, ..] = sum_k weight[k] x[.., index[k], ..],   start[i] <= k < start[i + 1]
    backward   dx = the same with the transposed matrix

`Taps` is the matrix, by rows: element i of the output sums what its taps read. It is linear, and its own transpose is
of its kind: one operator serves the forward and every derivative.

Kernel: csrc/kernels/resample.cpp.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from .. import _core
from ..graph.record import apply, apply_flat
from ..op import Op, Result, Sample
from .common import Array, shifted


@dataclass(frozen=True, eq=False)
class Taps:
    """A sparse matrix of `len(start) - 1` rows and `size` columns."""

    size: int
    start: Array
    index: Array
    weight: Array

    @staticmethod
    def table(size: int, index: Any, weight: Any = None) -> Taps:
        """The matrix whose row i has the columns index[i] with the weights weight[i] (1 unless given)."""
        places = np.ascontiguousarray(index, np.int64)
        rows, each = places.shape
        factors = np.ones(places.shape) if weight is None else np.ascontiguousarray(weight, np.float64)
        return Taps(size, np.arange(rows + 1) * each, places.reshape(-1), factors.reshape(-1))

    @cached_property
    def transposed(self) -> Taps:
        """The matrix with its rows and columns exchanged."""
        rows = np.repeat(np.arange(len(self.start) - 1), np.diff(self.start))
        order = np.argsort(self.index, kind="stable")
        ends = np.cumsum(np.bincount(self.index, minlength=self.size))
        return Taps(len(self.start) - 1, np.concatenate([[0], ends]), rows[order], self.weight[order])


def _resample_reference(x: Array, *, taps: Taps, dim: int) -> Result:
    columns = np.moveaxis(x, dim, 0)
    y = np.zeros((len(taps.start) - 1, *columns.shape[1:]), x.dtype)
    for i in range(len(y)):
        for k in range(taps.start[i], taps.start[i + 1]):
            y[i] += taps.weight[k].astype(x.dtype) * columns[taps.index[k]]
    return np.ascontiguousarray(np.moveaxis(y, 0, dim)), ()


def _resample_kernel(x: Array, taps: Taps, dim: int) -> Array:
    if x.dtype.char in "fd":
        y: Array = _core.resample(x, taps.start, taps.index, taps.weight, taps.size, dim % x.ndim)
        return y
    if x.dtype.kind == "f":  # half precision is rounded once
        return _resample_kernel(x.astype(np.float32), taps, dim).astype(x.dtype)
    return np.asarray(_resample_reference(x, taps=taps, dim=dim)[0])


def _resample_dx(g: Any, *, taps: Taps, dim: int) -> Any:
    return apply(RESAMPLE, g, taps=taps.transposed, dim=dim)


def _resample_samples(rng: np.random.Generator) -> Iterator[Sample]:
    ragged = Taps(4, np.array([0, 0, 1, 4, 4]), np.array([3, 0, 1, 0]), np.array([0.5, -2.0, 0.25, 1.0]))
    pairs = Taps.table(5, np.array([[0, 1], [1, 1], [4, 0]]), np.array([[0.5, 0.25], [1.0, 2.0], [0.5, -1.0]]))
    wide = Taps.table(70, rng.integers(0, 70, (67, 3)), rng.choice([0.25, 0.5, 1.0], (67, 3)))
    for shape, taps, dim in (
        ((4,), ragged, -1),
        ((2, 5, 3), pairs, -2),
        ((11, 5), pairs, -1),
        ((2, 4, 35), ragged, -2),
        ((0, 5), pairs, -1),
        ((3, 70), wide, -1),
        ((2, 4), Taps.table(4, np.zeros((0, 1))), -1),
    ):
        yield Sample((rng.standard_normal(shape),), {"taps": taps, "dim": dim})
    yield Sample((rng.standard_normal((300, 70, 2)),), {"taps": wide, "dim": -2}, large=True)
    yield Sample((rng.standard_normal((600, 70)),), {"taps": wide, "dim": -1}, large=True)


RESAMPLE = Op(
    "resample",
    _resample_reference,
    None,
    (_resample_dx,),
    "linear",
    _resample_samples,
    exact=True,
    anything=True,
    length=lambda x, *, taps, **_: max(np.diff(taps.start).max(initial=1), np.bincount(taps.index).max(initial=1)),
    batch=shifted("resample", "dim"),
    kernel=_resample_kernel,
    names=("taps", "dim"),
)


def resample(input: Any, taps: Taps, dim: int) -> Any:
    """The matrix `taps` times `input` along the axis `dim` (counted from the end, below 0)."""
    return apply_flat(RESAMPLE, input, taps, dim)
