r"""Sparse matrices by rows or by columns: of each row, where its values begin among all, and the column of each.

    row i has the values v_k at the columns c_k,    k = r_i .. r_{i+1} - 1

with `crow_indices` r (rows + 1), `col_indices` c (nnz) and `values` v (nnz); by columns the two change their parts.
What is computed with them is what `sparse` does with the places, so derivatives follow from there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from . import creation, dtypes, formatting
from .device import check, layout, sparse_csc, sparse_csr
from .errors import DtypeError, IndexRangeError, ShapeError
from .graph.tensors import wrap
from .ops import scatter
from .ops.common import array_of, shape_of, to_dtype
from .sparse import SparseTensor, from_dense, made
from .tensor import Tensor

__all__ = ["CompressedTensor", "compressed", "sparse_csc_tensor", "sparse_csr_tensor"]


class CompressedTensor(SparseTensor):
    """A sparse matrix by rows or by columns; made by `mt.sparse_csr_tensor` and `Tensor.to_sparse_csr`.

    >>> x = mt.tensor([[0.0, 2.0], [3.0, 4.0]]).to_sparse_csr()
    >>> x.crow_indices(), x.col_indices()
    (tensor([0, 1, 3]), tensor([1, 0, 1]))
    >>> x @ mt.ones(2)
    tensor([2., 7.])
    """

    _along: int  # the axis that is compressed: 0 by rows, 1 by columns

    @property
    def is_sparse_csr(self) -> bool:
        """Whether it lies by rows."""
        return self._along == 0

    @property
    def layout(self) -> layout:
        """`sparse_csr` or `sparse_csc`."""
        return sparse_csc if self._along else sparse_csr

    def _ends(self) -> Any:
        """Where the values of each row (column) begin, and where the last end."""
        counts = np.bincount(array_of(self._parts[0])[self._along], minlength=self._parts[2][self._along])
        return wrap(np.concatenate([[0], np.cumsum(counts)]))

    def _only(self, name: str, along: int) -> None:
        if self._along != along:
            raise ShapeError(f"{name}: the layout is {self.layout!r}")

    def crow_indices(self) -> Any:
        """Where the values of each row begin, and where the last end: (rows + 1)."""
        self._only("crow_indices", 0)
        return self._ends()

    def col_indices(self) -> Any:
        """The column of each value."""
        self._only("col_indices", 0)
        return wrap(array_of(self._parts[0])[1].copy())

    def ccol_indices(self) -> Any:
        """Where the values of each column begin, and where the last end: (columns + 1)."""
        self._only("ccol_indices", 1)
        return self._ends()

    def row_indices(self) -> Any:
        """The row of each value."""
        self._only("row_indices", 1)
        return wrap(array_of(self._parts[0])[0].copy())

    def indices(self) -> Any:
        """Raises: the places are `crow_indices` and `col_indices`."""
        raise ShapeError(f"indices: the layout is {self.layout!r}; use to_sparse()")

    def values(self) -> Any:
        """The values (nnz), in the graph."""
        return self._parts[1]

    def to_sparse(self, sparse_dim: Any = None, *, layout: Any = None) -> Any:
        """In coordinate form, or in another layout."""
        if layout in (sparse_csr, sparse_csc):
            return compressed(self, int(layout is sparse_csc))
        return made(*self._parts[:3], self._along == 0)

    to_sparse_coo = to_sparse

    def transpose(self, dim0: int, dim1: int) -> Any:
        """The transpose: what lay by rows lies by columns."""
        turned = self.to_sparse().transpose(dim0, dim1)
        return turned if dim0 % 2 == dim1 % 2 else _as_compressed(turned, 1 - self._along)

    def _with(self, values: Any) -> Any:
        return _as_compressed(made(self._parts[0], values, self._parts[2], self._parts[3]), self._along)

    def coalesce(self) -> Any:
        """In coordinate form, in the order of its rows."""
        return self.to_sparse().coalesce()

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        names = ("ccol_indices", "row_indices") if self._along else ("crow_indices", "col_indices")
        parts = [(name, getattr(self, name)()) for name in names]
        return formatting.sparse_str(self, [*parts, ("values", self._parts[1].detach())])

    def __reduce_ex__(self, protocol: Any) -> Any:
        return _as_compressed, (self.to_sparse().detach(), self._along)


def _as_compressed(x: SparseTensor, along: int) -> CompressedTensor:
    """A sparse matrix whose values lie in the order of its rows or columns, as such."""
    x.__class__ = CompressedTensor
    x._along = along
    return x


def compressed(x: Any, along: int) -> Any:
    """A matrix, dense or sparse, by rows (0) or by columns (1)."""
    given = (x.to_sparse() if isinstance(x, SparseTensor) else from_dense(x)).coalesce()
    if len(given.shape) != 2 or given.sparse_dim() != 2:
        raise ShapeError(f"to_sparse: only a matrix lies by rows or columns, not {tuple(given.shape)}")
    places, values, sizes, _ = given._parts
    if along:
        order = np.lexsort((array_of(places)[0], array_of(places)[1]))
        places = wrap(np.ascontiguousarray(array_of(places)[:, order]))
        values = scatter.index_select(values, 0, wrap(order))
    return _as_compressed(made(places, values, sizes, not along), along)


def _tensor(
    name: str, along: int, ends: Any, others: Any, values: Any, size: Any, dtype: Any, device: Any, requires_grad: bool
) -> Any:
    check(device)
    ends, others = [creation.as_tensor(i).array.astype(np.int64) for i in (ends, others)]
    values = values if isinstance(values, Tensor) else creation.tensor(values)
    values = values if dtype is None else to_dtype(values, dtypes.of(dtype))
    if ends.ndim != 1 or others.ndim != 1 or shape_of(values) != others.shape:
        given = ends.shape, others.shape, shape_of(values)
        raise ShapeError(f"{name}: two vectors of indices and one of values are needed, not the shapes {given}")
    if ends.size == 0 or ends[0] != 0 or ends[-1] != others.size or (np.diff(ends) < 0).any():
        raise ShapeError(f"{name}: the compressed indices must rise from 0 to the {others.size} values")
    there = int(others.max()) + 1 if others.size else 0
    sizes = [ends.size - 1, there]
    wanted = tuple(int(n) for n in size) if size is not None else tuple(sizes[::-1] if along else sizes)
    if len(wanted) != 2 or wanted[along] != ends.size - 1:
        raise ShapeError(f"{name}: size {wanted} has not the {ends.size - 1} of the compressed indices")
    if others.size and (others.min() < 0 or there > wanted[1 - along]):
        raise IndexRangeError(f"{name}: an index is out of range for an axis of {wanted[1 - along]}")
    if values.array.dtype.kind not in "fciub":
        raise DtypeError(f"{name}: values of {values.dtype}")
    if requires_grad:
        values = values.detach().requires_grad_()
    rows = np.repeat(np.arange(ends.size - 1), np.diff(ends))
    places = np.stack([others, rows] if along else [rows, others])
    return _as_compressed(made(wrap(places), values, wanted, False), along)


def sparse_csr_tensor(
    crow_indices: Any,
    col_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Any:
    """A sparse matrix by rows: row i has the values from crow_indices[i] on, at the columns `col_indices`.

    Shapes: crow_indices (rows + 1), col_indices and values (nnz). Raises ShapeError for what does not fit together,
    IndexError for a column outside.

    >>> mt.sparse_csr_tensor([0, 1, 2], [1, 0], [3.0, 4.0], (2, 2)).to_dense()
    tensor([[0., 3.],
            [4., 0.]])
    """
    return _tensor("sparse_csr_tensor", 0, crow_indices, col_indices, values, size, dtype, device, requires_grad)


def sparse_csc_tensor(
    ccol_indices: Any,
    row_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Any:
    """A sparse matrix by columns: column j has the values from ccol_indices[j] on, at the rows `row_indices`.

    >>> mt.sparse_csc_tensor([0, 1, 2], [1, 0], [3.0, 4.0], (2, 2)).to_dense()
    tensor([[0., 4.],
            [3., 0.]])
    """
    return _tensor("sparse_csc_tensor", 1, ccol_indices, row_indices, values, size, dtype, device, requires_grad)
