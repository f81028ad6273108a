"""Grids and combinations of vectors: meshgrid, cartesian_prod, combinations, vander, unravel_index."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from ..errors import DtypeError, OutOfMemoryError, ShapeError
from ..graph.tensors import wrap
from . import indexing as indexing_
from . import join
from . import shape as shapes
from .common import array_of, shape_of
from .functions import pow


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Any, ...]:
    """The coordinates of the grid that vectors span: for each vector a tensor over the grid, a view.

        out_k[i_0, i_1, ...] = x_k[i_k];  with indexing "xy" the first two axes are exchanged

    Raises ShapeError unless all have at most one axis, DtypeError unless they have one dtype.

    >>> mt.meshgrid(mt.tensor([1, 2]), mt.tensor([3, 4, 5]))[0]
    tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    if len(tensors) == 1 and isinstance(tensors[0], (tuple, list)):
        tensors = tuple(tensors[0])
    if not tensors:
        raise ShapeError("meshgrid: no vectors given")
    if indexing not in ("ij", "xy"):
        raise ShapeError(f"meshgrid: indexing must be 'ij' or 'xy', not {indexing!r}")
    if any(len(shape_of(x)) > 1 for x in tensors):
        raise ShapeError(f"meshgrid: expected vectors, got shapes {', '.join(str(shape_of(x)) for x in tensors)}")
    if len({array_of(x).dtype for x in tensors}) > 1:
        raise DtypeError(f"meshgrid: the dtypes differ: {', '.join(str(array_of(x).dtype) for x in tensors)}")
    vectors = [x if shape_of(x) else shapes.reshape(x, (1,)) for x in tensors]
    grid = tuple([shape_of(x)[0] for x in vectors])
    out = []
    for k, x in enumerate(vectors):
        along = shapes.reshape(x, tuple([-1 if i == k else 1 for i in range(len(grid))]))
        whole = shapes.expand(along, grid)
        out.append(shapes.transpose(whole, 0, 1) if indexing == "xy" and len(grid) > 1 else whole)
    return tuple(out)


def cartesian_prod(*tensors: Any) -> Any:
    """All ways to take one element of each vector, one in each row; of a single vector, that vector.

    >>> mt.cartesian_prod(mt.tensor([1, 2]), mt.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    if any(len(shape_of(x)) != 1 for x in tensors):
        raise ShapeError(f"cartesian_prod: expected vectors, got {', '.join(str(shape_of(x)) for x in tensors)}")
    if len(tensors) == 1:
        return tensors[0]
    return join.stack([shapes.reshape(x, (-1,)) for x in meshgrid(*tensors)], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Any:
    """All ways to take r elements of a vector, one in each row, in the order of their places; see itertools.

    >>> mt.combinations(mt.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    shape = shape_of(input)
    if len(shape) != 1:
        raise ShapeError(f"combinations: expected a vector, got shape {shape}")
    if r < 0:
        raise ShapeError(f"combinations: r must not be negative, got {r}")
    if r == 0:
        return wrap(np.empty(0, array_of(input).dtype))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    try:
        places = np.array(list(choose(range(shape[0]), r)), np.int64).reshape(-1, r)
    except MemoryError:
        raise OutOfMemoryError(f"combinations: no memory for those of {r} elements out of {shape[0]}") from None
    return indexing_.getitem(input, wrap(places))


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Any:
    """The powers of a vector's elements, one element's in each row: N of them (default: as many as elements).

        out_ij = x_i^j with `increasing`, else x_i^(N - 1 - j)

    >>> mt.vander(mt.tensor([1, 2, 3]), increasing=True)
    tensor([[1, 1, 1],
            [1, 2, 4],
            [1, 3, 9]])
    """
    shape = shape_of(x)
    if len(shape) != 1:
        raise ShapeError(f"vander: expected a vector, got shape {shape}")
    n = shape[0] if N is None else N
    if n < 0:
        raise ShapeError(f"vander: N must not be negative, got {n}")
    exponents = np.arange(n) if increasing else np.arange(n)[::-1].copy()
    return pow(shapes.reshape(x, (-1, 1)), wrap(exponents))


def unravel_index(indices: Any, shape: Any) -> tuple[Any, ...]:
    """The places, one tensor for each axis, of the elements that flat `indices` mean in a tensor of a shape.

        out_d = floor(i / (n_d+1 n_d+2 ...)) mod n_d

    Negative indices count from the end; those beyond go around. Raises DtypeError unless the indices are integers,
    TypeError for a shape that is not made of ints, ShapeError for negative sizes and for indices into nothing.

    >>> mt.unravel_index(mt.tensor([3, 7]), (3, 4))
    (tensor([0, 1]), tensor([3, 3]))
    """
    name = "unravel_index"
    x = array_of(indices)
    if x.dtype.kind not in "iu":
        raise DtypeError(f"{name}: expected integer indices, got {x.dtype}")
    sizes = (shape,) if isinstance(shape, int) else shape
    if not isinstance(sizes, (tuple, list)) or not all(isinstance(n, int) for n in sizes):
        raise TypeError(f"{name}: shape must be an int or a sequence of ints, not {shape!r}")
    if any(n < 0 for n in sizes):
        raise ShapeError(f"{name}: shape {tuple(sizes)} has negative sizes")
    if x.size and 0 in sizes:
        raise ShapeError(f"{name}: a tensor of shape {tuple(sizes)} has no elements")
    out, rest = [], x
    for n in reversed(sizes):
        out.append(wrap(rest % max(n, 1)))
        rest = rest // max(n, 1)
    return tuple(out[::-1])
