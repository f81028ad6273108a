"""What the operators on matrices share: checks, parts of a matrix, the calls of LAPACK.

A matrix is the last two axes; those before them are a batch. LAPACK is NumPy's, in the dtype of its input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..errors import DtypeError, LinAlgError, ShapeError
from ..op import Sample
from .arithmetic import mul
from .common import Array, array_of, elements, shape_of
from .comparison import where
from .shape import reshape, transpose

Shape = tuple[int, ...]


# --- checks -----------------------------------------------------------------------------------------------------------


def need_lapack(name: str, *tensors: Any) -> None:
    """Raises unless all are of one dtype that LAPACK knows: float32, float64 or a complex one."""
    kinds = {array_of(x).dtype for x in tensors}
    for kind in kinds:
        if kind.char not in "fd" and kind.kind != "c":
            raise DtypeError(f"{name}: expected float32 or float64, got {kind}")
    if len(kinds) > 1:
        raise DtypeError(f"{name}: the dtypes {' and '.join(sorted(map(str, kinds)))} differ")


def need_matrices(name: str, *tensors: Any) -> None:
    """Raises unless all are matrices, or batches of them, of one dtype that LAPACK knows."""
    need_lapack(name, *tensors)
    for x in tensors:
        if len(shape_of(x)) < 2:
            raise ShapeError(f"{name}: expected a matrix, or a batch of them, got a tensor of shape {shape_of(x)}")


def need_square(name: str, *tensors: Any) -> None:
    """As `need_matrices`, with as many rows as columns."""
    need_matrices(name, *tensors)
    for x in tensors:
        rows, columns = shape_of(x)[-2:]
        if rows != columns:
            raise ShapeError(f"{name}: expected square matrices, got {rows} x {columns} ones, shape {shape_of(x)}")


def joint_batch(name: str, *shapes: Shape) -> Shape:
    """The sizes that batches broadcast to."""
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(f"{name}: the batches {' and '.join(map(str, shapes))} do not broadcast") from None


def refuse(name: str, info: Any, shape: Shape, reason: Callable[[int], str]) -> None:
    """Raises LinAlgError for the first matrix of a batch whose `info` is not 0."""
    found = elements(info)
    if not (found.item() if found.size == 1 else found.any()):  # of one NumPy takes ten times as long for `any`
        return
    place = tuple([int(i) for i in np.argwhere(found)[0]])
    where_ = f"element {place if len(place) > 1 else place[0]} of the batch {shape[:-2]}, " if place else ""
    comma = "," if place else ""
    raise LinAlgError(f"{name}: {where_}a matrix of shape {shape[-2:]}{comma} {reason(int(found[place]))}")


# --- LAPACK -----------------------------------------------------------------------------------------------------------


def each_matrix(
    run: Callable[..., Any], instead: Callable[..., tuple[Any, int]], *arrays: Array
) -> tuple[Array, Array]:
    """(`run` on a whole batch, info): if it fails, matrix by matrix, and where it fails `instead`, with its info."""
    batch = arrays[0].shape[:-2]
    try:
        return run(*arrays), np.zeros(batch, np.int32)
    except np.linalg.LinAlgError:
        pass
    info = np.zeros(batch, np.int32)
    out = None
    for i in np.ndindex(batch):
        try:
            y = run(*[a[i] for a in arrays])
        except np.linalg.LinAlgError:
            y, info[i] = instead(*[a[i] for a in arrays])
        if out is None:
            out = np.empty((*batch, *y.shape), y.dtype)
        out[i] = y
    assert out is not None  # a batch without elements does not fail
    return out, info


def converged(name: str, run: Callable[..., Any], x: Array) -> Any:
    """`run(x)`, an iteration of LAPACK; raises LinAlgError where it does not converge.

    Infinities are refused before: on some of them LAPACK's singular values never end.
    """
    broken = ~np.isfinite(x).all((-2, -1))
    if broken.any():
        refuse(name, broken, x.shape, lambda _: "with values that are not finite")
    try:
        return run(x)
    except np.linalg.LinAlgError:
        refuse(name, np.ones(x.shape[:-2], bool), x.shape, lambda _: "the iteration does not converge")
        raise


# --- parts of a matrix ------------------------------------------------------------------------------------------------


def mT(x: Any) -> Any:
    """The matrices transposed."""
    return transpose(x, -2, -1)


def lower(x: Any, k: int = 0) -> Any:
    """The part on and below the diagonal k, zeros elsewhere."""
    rows, columns = shape_of(x)[-2:]
    return where(np.tri(rows, columns, k, bool), x, 0.0)


def upper(x: Any, k: int = 0) -> Any:
    """The part on and above the diagonal k, zeros elsewhere."""
    rows, columns = shape_of(x)[-2:]
    return where(~np.tri(rows, columns, k - 1, bool), x, 0.0)


def eye_like(x: Any) -> Array:
    """The identity matrix of the size of square matrices, in their dtype."""
    return np.eye(shape_of(x)[-1], dtype=array_of(x).dtype)


def times(factor: Any, x: Any) -> Any:
    """A number for each matrix of a batch, times the matrix."""
    return mul(reshape(factor, (*shape_of(factor), 1, 1)), x)


def diagonal_matrix(v: Any) -> Any:
    """Vectors, the last axis, as diagonal matrices."""
    shape = shape_of(v)
    return where(np.eye(shape[-1], dtype=bool), reshape(v, (*shape, 1)), 0.0)


# --- samples ----------------------------------------------------------------------------------------------------------

SQUARES: tuple[Shape, ...] = ((3, 3), (1, 1), (0, 0), (2, 3, 3), (0, 2, 2), (2, 1, 2, 2))


def regular(rng: np.random.Generator, shape: Shape) -> Array:
    """Square matrices far from singular."""
    n = shape[-1]
    return rng.standard_normal(shape) + (1 + math.sqrt(n)) * np.eye(n)


def of_regular(**params: Any) -> Callable[[np.random.Generator], Iterator[Sample]]:
    """Samples of one such argument."""

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for shape in SQUARES:
            yield Sample((regular(rng, shape),), params)

    return samples


def symmetric(x: Array) -> tuple[Array]:
    """The arguments of an operator on symmetric matrices, made symmetric."""
    return ((x + np.swapaxes(x, -1, -2)) / 2,)
