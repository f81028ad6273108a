r"""Distances between vectors: cdist, pdist, pairwise_distance; cosine_similarity, normalize, renorm.

All are made of norms of differences, and of the matrix product where that is faster:

    |x_i - y_j|^2 = |x_i|^2 + |y_j|^2 - 2 x_i . y_j
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DtypeError, ShapeError
from ..graph.record import apply
from .arithmetic import add, div, mul, square, sub
from .common import (
    array_of,
    axes,
    axis,
    named,
    need_float,
    promote,
    promote_float,
    shape_of,
    widens,
    write_out,
)
from .comparison import clamp_min, gt, le, where
from .functions import sqrt
from .indexing import getitem
from .join import cat, narrow
from .linalg import vector_norm
from .matmul import MATMUL
from .matrices import joint_batch, mT
from .moments import NORM
from .reduce import sum
from .shape import expand, reshape

BLOCK = 1 << 20  # differences that are computed at once
MANY = 25  # rows from which on a matrix product is faster than differences


def _squares(x: Any) -> Any:
    return sum(square(x), -1, True)


def _by_product(x: Any, y: Any) -> Any:
    """The euclidean distances by a matrix product; those that cancel to nothing are 0, and so are their gradients."""
    near = sub(add(_squares(x), mT(_squares(y))), mul(apply(MATMUL, x, mT(y)), 2))
    same = le(near, 0)
    return where(same, 0.0, sqrt(where(same, 1.0, near)))


@widens
@named("CdistBackward0")
def cdist(x1: Any, x2: Any, p: float = 2.0, compute_mode: Any = "use_mm_for_euclid_dist_if_necessary") -> Any:
    r"""The p-norm distances between all pairs of rows: (*, P, M) and (*, R, M) to (*, P, R); batches broadcast.

        forward    out_ij = (sum_k |x_ik - y_jk|^p)^(1/p);  p = 0 counts what differs, p = inf takes the largest
        backward   dx_ik = sum_j g_ij sign(x_ik - y_jk) (|x_ik - y_jk| / out_ij)^(p - 1), 0 for equal rows

    The euclidean distances of more than 25 rows come by a matrix product, which rounds small distances between large
    rows; compute_mode "use_mm_for_euclid_dist" does that always, "donot_use_mm_for_euclid_dist" never. The others take
    the differences of a block of rows at a time; where gradients are recorded all P R M of them are kept.

    Raises ShapeError for sizes that do not fit and negative p.

    >>> mt.cdist(mt.tensor([[0.0, 0.0]]), mt.tensor([[3.0, 4.0], [0.0, 0.0]]))
    tensor([[5., 0.]])
    """
    modes = "use_mm_for_euclid_dist_if_necessary", "use_mm_for_euclid_dist", "donot_use_mm_for_euclid_dist"
    mode = modes[0] if compute_mode is None else modes[compute_mode] if compute_mode in (0, 1, 2) else compute_mode
    if mode not in modes:
        raise ShapeError(f"cdist: compute_mode must be one of {', '.join(modes)}, not {compute_mode!r}")
    a, b = shape_of(x1), shape_of(x2)
    if len(a) < 2 or len(b) < 2:
        raise ShapeError(f"cdist: expected two or more axes, got {a} and {b}")
    if a[-1] != b[-1]:
        raise ShapeError(f"cdist: the rows of {a} and {b} have {a[-1]} and {b[-1]} elements")
    need_float("cdist", x1, x2)
    if array_of(x1).dtype != array_of(x2).dtype:
        raise DtypeError(f"cdist: the dtypes {array_of(x1).dtype} and {array_of(x2).dtype} differ")
    if not p >= 0:
        raise ShapeError(f"cdist: p must not be negative, got {p}")
    joint_batch("cdist", a[:-2], b[:-2])
    many = a[-2] > MANY or b[-2] > MANY
    if p == 2 and (mode == modes[1] or (mode == modes[0] and many)):
        return _by_product(x1, x2)
    x, y = reshape(x1, (*a[:-1], 1, a[-1])), reshape(x2, (*b[:-2], 1, *b[-2:]))
    parts = [_distance(sub(narrow(x, -3, i, n), y), p) for i, n in _blocks(a[-2], math.prod(b) * math.prod(a[:-2]))]
    return parts[0] if len(parts) == 1 else cat(parts, -2)


def _blocks(rows: int, each: int) -> Iterator[tuple[int, int]]:
    """Blocks of rows (their first, how many) with `each` differences a row, that the caches hold."""
    size = max(1, BLOCK // max(1, each))
    for i in range(0, max(rows, 1), size):
        yield i, min(size, rows - i)


def _distance(apart: Any, p: float) -> Any:
    """The p-norm along the last axis, also of nothing."""
    if shape_of(apart)[-1] == 0:
        return sum(apart, -1)
    return apply(NORM, apart, axes=(len(shape_of(apart)) - 1,), keepdim=False, p=float(p))


@named("PdistBackward0")
def pdist(input: Any, p: float = 2.0) -> Any:
    r"""The distances between the rows of a matrix (N, M), of each pair i < j once: N (N - 1) / 2 of them.

        forward    out = cdist(x, x)_ij for i < j, row by row

    >>> mt.nn.functional.pdist(mt.tensor([[0.0], [1.0], [3.0]]))
    tensor([1., 3., 2.])
    """
    shape = shape_of(input)
    if len(shape) != 2:
        raise ShapeError(f"pdist: expected a matrix, got a tensor of shape {shape}")
    rows = shape[0]
    parts = []
    for first, count in _blocks(rows, rows * shape[1]):
        block, rest = narrow(input, 0, first, count), narrow(input, 0, first, rows - first)
        i, j = np.triu_indices(count, 1, rows - first)
        parts.append(getitem(cdist(block, rest, p, "donot_use_mm_for_euclid_dist"), (i, j)))
    return parts[0] if len(parts) == 1 else cat(parts)


@named("NormBackward1")
def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Any:
    r"""The distance between each row of one tensor and that of another; they broadcast.

        forward    out = (sum_k |x_k - y_k + eps|^p)^(1/p) along the last axis

    >>> mt.nn.functional.pairwise_distance(mt.zeros(1, 2), mt.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    x, y = promote("pairwise_distance", x1, x2)
    need_float("pairwise_distance", x)
    return vector_norm(add(sub(x, y), eps), p, -1, keepdim)


def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Any:
    r"""The cosine of the angle between vectors along an axis; they broadcast.

        forward    out = x . y / (max(|x|, eps) max(|y|, eps))

    >>> mt.nn.functional.cosine_similarity(mt.tensor([[1.0, 0.0]]), mt.tensor([[1.0, 1.0]]))
    tensor([0.7071])
    """
    x, y = promote_float("cosine_similarity", x1, x2)
    a, b = shape_of(x), shape_of(y)
    if a == b and a:
        d = axis("cosine_similarity", dim, len(a))
        return sum(mul(_shortened(x, d, eps), _shortened(y, d, eps)), d)
    ndim = max(len(a), len(b))
    joint_batch("cosine_similarity", a, b)
    d = axis("cosine_similarity", dim, ndim) - ndim
    x, y = (reshape(v, (*[1] * (ndim - len(shape_of(v))), *shape_of(v))) for v in (x, y))
    if ndim == 0:
        x, y, d = reshape(x, (1,)), reshape(y, (1,)), -1
    n = joint_batch("cosine_similarity", shape_of(x), shape_of(y))[d]  # the norms are of the broadcast vectors
    x, y = (expand(v, (*shape_of(v)[:d], n, *shape_of(v)[d:][1:])) for v in (x, y))
    return sum(mul(_shortened(x, d, eps), _shortened(y, d, eps)), d)


def _shortened(x: Any, dim: int, eps: float) -> Any:
    return div(x, clamp_min(vector_norm(x, 2, dim, True), eps))


def normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, *, out: Any = None) -> Any:
    r"""Vectors along an axis divided by their p-norm.

        forward    out = x / max(|x|_p, eps)

    >>> mt.nn.functional.normalize(mt.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    need_float("normalize", input)
    over = axes("normalize", dim, len(shape_of(input)))
    result = div(input, clamp_min(vector_norm(input, p, over, True), eps))
    return result if out is None else write_out("normalize", result, out)


@named("RenormBackward0")
def renorm(input: Any, p: float, dim: int, maxnorm: float, *, out: Any = None) -> Any:
    r"""The slices along an axis whose p-norm is above `maxnorm`, shortened to it.

        forward    out = x min(1, maxnorm / |x|), the norm of all elements with one index along `dim`

    >>> mt.renorm(mt.tensor([[1.0, 1.0], [3.0, 3.0]]), 1, 0, 3)
    tensor([[1.0000, 1.0000],
            [1.5000, 1.5000]])
    """
    shape = shape_of(input)
    need_float("renorm", input)
    if len(shape) < 2:
        raise ShapeError(f"renorm: expected two or more axes, got a tensor of shape {shape}")
    if not p > 0 or not maxnorm >= 0:
        raise ShapeError(f"renorm: p must be positive and maxnorm not negative, got {p} and {maxnorm}")
    d = axis("renorm", dim, len(shape))
    size = vector_norm(input, p, tuple([k for k in range(len(shape)) if k != d]), True)
    factor = where(gt(size, maxnorm), div(maxnorm, add(size, 1e-7)), 1.0)
    result = mul(input, factor)
    return result if out is None else write_out("renorm", result, out)
