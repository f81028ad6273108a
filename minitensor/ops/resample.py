r"""A sparse matrix along one axis: what interpolation and padding by the image's own values are.

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

    @cached_property
    def runs(self) -> list[tuple[int, int, int, int]] | None:
        """Where the matrix only moves elements: (first row, its column, step from row to row, rows) of few runs."""
        rows = len(self.start) - 1
        if len(self.index) != rows or (self.weight != 1).any() or (np.diff(self.start) != 1).any():
            return None
        found: list[tuple[int, int, int, int]] = []
        steps, i = np.diff(self.index), 0
        changes = np.flatnonzero(np.diff(np.concatenate([[0], steps == 1, [0]])))  # where runs forward begin and end
        k = 2 * int(np.argmax(changes[1::2] - changes[::2])) if len(changes) else 0
        longest = int(changes[k]) if len(changes) else rows
        while i < rows:
            if len(found) == _FEW_RUNS:
                return None
            step = int(steps[i]) if i + 1 < rows and steps[i] in (-1, 0) else 1
            ends = np.flatnonzero(steps[i:] != step)
            n = 1 + (int(ends[0]) if len(ends) else rows - 1 - i)
            n = min(n, longest - i) if i < longest else n  # which is not begun in the run before it
            found.append((i, int(self.index[i]), step, n))
            i += n
        return found


_FEW_RUNS = 8


def _resample_reference(x: Array, *, taps: Taps, dim: int) -> Result:
    columns = np.moveaxis(x, dim, 0)
    y = np.zeros((len(taps.start) - 1, *columns.shape[1:]), x.dtype)
    for i in range(len(y)):
        for k in range(taps.start[i], taps.start[i + 1]):
            y[i] += taps.weight[k].astype(x.dtype) * columns[taps.index[k]]
    return np.ascontiguousarray(np.moveaxis(y, 0, dim)), ()


def _moved(x: Array, runs: list[tuple[int, int, int, int]], rows: int, d: int) -> Array:
    """The elements in their new places, run by run."""
    y = np.empty((*x.shape[:d], rows, *x.shape[d + 1 :]), x.dtype)
    before = (slice(None),) * d
    for to, at, step, n in runs:
        end = at + (step or 1) * (n if step else 1)
        source, target = x[(*before, slice(at, None if end < 0 else end, step or 1))], y[(*before, slice(to, to + n))]
        if not _core.put(target, source):
            target[...] = source
    return y


def _resample_forward(x: Array, *, taps: Taps, dim: int) -> Result:
    d = dim % x.ndim
    if taps.runs is not None:
        return _moved(x, taps.runs, len(taps.start) - 1, d), ()
    if x.dtype.char in "fd":
        return _core.resample(x, taps.start, taps.index, taps.weight, taps.size, d), ()
    if x.dtype.kind == "f":  # half precision is rounded once
        y = _core.resample(x.astype(np.float32), taps.start, taps.index, taps.weight, taps.size, d)
        return y.astype(x.dtype), ()
    return _resample_reference(x, taps=taps, dim=dim)


def _resample_few(x: Array, taps: Taps, dim: int) -> Array | None:
    if x.size >= _FEW or taps.runs is None:
        return None
    out: Array | None = _core.index_select(x, taps.index, dim % x.ndim)
    return out


_FEW = 4096  # elements that are fetched one by one before it is known where they lie together


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
    _resample_forward,
    (_resample_dx,),
    "linear",
    _resample_samples,
    exact=True,
    anything=True,
    length=lambda x, *, taps, **_: max(np.diff(taps.start).max(initial=1), np.bincount(taps.index).max(initial=1)),
    batch=shifted("resample", "dim"),
    kernel=_resample_few,
    names=("taps", "dim"),
)


def resample(input: Any, taps: Taps, dim: int) -> Any:
    """The matrix `taps` times `input` along the axis `dim` (counted from the end, below 0)."""
    return apply_flat(RESAMPLE, input, taps, dim)
