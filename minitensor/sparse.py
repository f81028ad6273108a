r"""Sparse tensors in coordinate form: the places of the elements that are not 0, and their values.

    x[i] = sum of v_k over the k with i_k = i,    k = 0 .. nnz - 1

with indices i (sparse dims, nnz) and values v (nnz, *dense dims). Values are tensors in the graph, and everything here
is made of operators on them: a product S D, with S of places (r_k, c_k),

    forward    out_r = sum over k with r_k = r of v_k D_{c_k}         index_select, mul, index_add
    backward   dv_k = <g_{r_k}, D_{c_k}>,   dD_c = sum over k with c_k = c of v_k g_{r_k}

so derivatives of every order follow. What takes no sparse tensor says so; `to_dense()` is always there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import methodcaller
from typing import Any

import numpy as np

from . import creation, dtypes, formatting
from .device import CPU, check, layout, sparse_coo, sparse_csc, sparse_csr
from .errors import DtypeError, IndexRangeError, ShapeError
from .graph.tensors import Tensor as Core
from .graph.tensors import wrap
from .ops import arithmetic, functions, join, matmul, reduce, scatter, shape
from .ops import softmax as dense_softmax
from .ops import trigonometry as trig
from .ops.common import array_of, axes, axis, shape_of, to_dtype
from .ops.indexing import getitem
from .tensor import Size, Tensor

__all__ = [
    "DoubleTensor",
    "FloatTensor",
    "LongTensor",
    "SparseTensor",
    "addmm",
    "log_softmax",
    "mm",
    "softmax",
    "sparse_coo_tensor",
    "spmm",
    "sum",
]


_Base: Any = Tensor  # whose methods take more arguments than those here


class SparseTensor(_Base):  # type: ignore[misc]
    """A tensor most of whose elements are 0; made by `mt.sparse_coo_tensor` and `Tensor.to_sparse`.

    >>> x = mt.tensor([[0.0, 2.0], [0.0, 0.0]]).to_sparse()
    >>> x @ mt.ones(2, 1)
    tensor([[2.],
            [0.]])
    """

    _parts: tuple[Any, Any, tuple[int, ...], bool]  # indices, values, sizes, whether sorted and each place once

    is_sparse = True

    @property
    def array(self) -> Any:
        """Raises: there is no array of all elements."""
        raise DtypeError("this function takes no sparse tensor; use to_dense(), or a product, sum or method that does")

    @array.setter
    def array(self, value: Any) -> None:
        self.__dict__["array"] = value  # where the core is not compiled

    # --- what it is ---------------------------------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes of its axes."""
        return Size(self._parts[2])

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one axis."""
        return self.shape if dim is None else self.shape[axis("size", dim, self.dim())]

    def dim(self) -> int:
        """The number of axes."""
        return len(self._parts[2])

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return self.dim()

    ndimension = dim

    def numel(self) -> int:
        """The number of elements, zeros included."""
        return math.prod(self._parts[2])

    nelement = numel

    def __len__(self) -> int:
        return self._parts[2][0]

    @property
    def dtype(self) -> Any:
        """The type of its elements."""
        return self._parts[1].dtype

    @property
    def device(self) -> Any:
        """Always the CPU."""
        return CPU

    @property
    def layout(self) -> layout:
        """Always `sparse_coo`."""
        return sparse_coo

    def is_contiguous(self) -> bool:
        """False: the elements do not lie side by side."""
        return False

    def is_floating_point(self) -> bool:
        """Whether the dtype is floating."""
        return bool(self.dtype.is_floating_point)

    def sparse_dim(self) -> int:
        """How many axes, from the first on, are sparse."""
        return int(self._parts[0].shape[0])

    def dense_dim(self) -> int:
        """How many axes each value has."""
        return self.dim() - self.sparse_dim()

    def _nnz(self) -> int:
        return int(self._parts[0].shape[1])

    def _indices(self) -> Any:
        return self._parts[0]

    def _values(self) -> Any:
        return self._parts[1]

    def indices(self) -> Any:
        """The places (sparse dims, nnz). Raises unless `coalesce` was called."""
        return self._sorted("indices")._parts[0]

    def values(self) -> Any:
        """The values (nnz, *dense dims), in the graph. Raises unless `coalesce` was called."""
        return self._sorted("values")._parts[1]

    def _sorted(self, what: str) -> SparseTensor:
        if not self.is_coalesced():
            raise ShapeError(f"{what}: a place may occur more than once; call coalesce() first")
        return self

    def is_coalesced(self) -> bool:
        """Whether the places are known to be in order and each to occur once."""
        return self._parts[3]

    def _coalesced_(self, coalesced: bool) -> SparseTensor:
        self._parts = (*self._parts[:3], coalesced)
        return self

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        return formatting.sparse_str(self)

    # --- the graph ----------------------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether operators on its values are recorded."""
        return bool(self._parts[1].requires_grad)

    @requires_grad.setter
    def requires_grad(self, on: bool) -> None:
        self._parts[1].requires_grad = on

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operator made its values."""
        return bool(self._parts[1].is_leaf)

    @property
    def grad_fn(self) -> Any:
        """The node that made its values; None for a leaf."""
        return self._parts[1].grad_fn

    @property
    def grad(self) -> Any:
        """The gradient at the places that it has, sparse as itself; or None."""
        found = self._parts[1].grad
        return None if found is None else self._with(found)

    @grad.setter
    def grad(self, value: Any) -> None:
        self._parts[1].grad = value if value is None else value._values()

    def detach(self) -> SparseTensor:
        """The same memory outside the graph."""
        return self._with(self._parts[1].detach())

    @property
    def data(self) -> SparseTensor:
        """The same memory outside the graph."""
        return self.detach()

    def clone(self, *, memory_format: Any = None) -> SparseTensor:
        """A copy in memory of its own."""
        return self._with(self._parts[1].clone())

    def _with(self, values: Any) -> SparseTensor:
        """Other values at the same places."""
        return made(self._parts[0], values, self._parts[2], self._parts[3])

    # --- other forms --------------------------------------------------------------------------------------------------

    def coalesce(self) -> SparseTensor:
        """The same with the places in row-major order and each once: values of equal places are added up.

        >>> x = mt.sparse_coo_tensor([[0, 0], [1, 1]], [2.0, 3.0], (2, 2)).coalesce()
        >>> x.indices().tolist(), x.values()
        ([[0], [1]], tensor([5.]))
        """
        if self._parts[3]:
            return self
        _, values, sizes, _ = self._parts
        places, inverse = np.unique(self._flat(), return_inverse=True)
        sparse = sizes[: self.sparse_dim()]
        if len(places) == self._nnz():
            order = wrap(np.argsort(inverse, kind="stable"))
            values = scatter.index_select(values, 0, order)
        else:
            start = creation.zeros((len(places), *shape_of(values)[1:]), dtype=values.dtype)
            values = scatter.index_add(start, 0, wrap(inverse.reshape(-1)), values)
        found = np.stack(np.unravel_index(places, sparse)) if sparse else np.zeros((0, len(places)), np.int64)
        return made(wrap(found.astype(np.int64)), values, sizes, True)

    def _flat(self) -> Any:
        """The place of each value in row-major order of the sparse axes."""
        sparse = self._parts[2][: self.sparse_dim()]
        places = array_of(self._parts[0])
        if not sparse or not places.shape[1]:
            return np.zeros(places.shape[1], np.int64)
        return np.ravel_multi_index(tuple(places), sparse)

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Any:
        """The whole tensor, zeros included."""
        sparse, dense = self._parts[2][: self.sparse_dim()], self._parts[2][self.sparse_dim() :]
        values = self._parts[1] if dtype is None else to_dtype(self._parts[1], dtypes.of(dtype))
        start = creation.zeros((math.prod(sparse), *dense), dtype=values.dtype)
        return shape.reshape(scatter.index_add(start, 0, wrap(self._flat()), values), self._parts[2])

    def to_sparse(self, sparse_dim: Any = None, *, layout: Any = None) -> Any:
        """Itself, or in the layout `sparse_csr` or `sparse_csc`."""
        from .compressed import compressed

        return compressed(self, int(layout is sparse_csc)) if layout in (sparse_csr, sparse_csc) else self

    to_sparse_coo = to_sparse

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        """With values of another dtype; itself if it has it already. Devices other than the CPU raise."""
        values = self._parts[1].to(*args, **kwargs)
        return self if values is self._parts[1] else self._with(values)

    def type(self, dtype: Any = None) -> Any:
        """The name of PyTorch's type; or the same with values of another dtype."""
        return f"minitensor.sparse.{self.dtype.type_name}" if dtype is None else self._with(self._parts[1].type(dtype))

    def sparse_mask(self, mask: Any) -> SparseTensor:
        """The elements at the places of another sparse tensor."""
        return sparse_mask(self.to_dense(), mask)

    def __getitem__(self, index: Any) -> Any:
        given = index if isinstance(index, tuple) else (index,)
        if not all(isinstance(i, (int, np.integer)) for i in given) or len(given) > self.sparse_dim():
            raise ShapeError("a sparse tensor is indexed by whole numbers along its sparse axes; use to_dense()")
        places = array_of(self._parts[0])
        keep = np.ones(places.shape[1], bool)
        for row, i, n in zip(places, given, self._parts[2], strict=False):
            if not -n <= i < n:
                raise IndexRangeError(f"index {i} is out of range for an axis of {n}")
            keep &= row == i % n
        chosen = wrap(np.flatnonzero(keep))
        part = made(
            wrap(places[len(given) :, keep]),
            scatter.index_select(self._parts[1], 0, chosen),
            self._parts[2][len(given) :],
            self._parts[3],
        )
        return part if part.sparse_dim() else part.to_dense()

    def __iter__(self) -> Any:
        return iter([self[i] for i in range(len(self))])

    def transpose(self, dim0: int, dim1: int) -> SparseTensor:
        """Two sparse axes exchanged."""
        a, b = axis("transpose", dim0, self.dim()), axis("transpose", dim1, self.dim())
        if max(a, b) >= self.sparse_dim() and a != b:
            raise ShapeError(f"transpose: axis {max(a, b)} is dense, the first {self.sparse_dim()} are sparse")
        order, sizes = list(range(self.sparse_dim())), list(self._parts[2])
        if a != b:
            order[a], order[b] = b, a
            sizes[a], sizes[b] = sizes[b], sizes[a]
        places = wrap(np.ascontiguousarray(array_of(self._parts[0])[order]))
        return made(places, self._parts[1], tuple(sizes), self._parts[3] and a == b)

    def t(self) -> SparseTensor:
        """The transpose of a matrix."""
        if self.dim() > 2:
            raise ShapeError(f"t: expected at most 2 axes, got {self.dim()}")
        return self.transpose(0, self.dim() - 1) if self.dim() else self

    @property
    def T(self) -> Any:
        """The transpose of a matrix."""
        return self.t()

    mT = T

    # --- arithmetic ---------------------------------------------------------------------------------------------------

    def _on_values(self, f: Callable[..., Any], *args: Any) -> SparseTensor:
        """A function with f(0) = 0, which takes the values as they add up."""
        x = self.coalesce()
        return x._with(f(x._parts[1], *args))

    def __neg__(self) -> SparseTensor:
        return self._with(arithmetic.neg(self._parts[1]))

    neg = negative = __neg__

    def __mul__(self, other: Any) -> SparseTensor:
        if isinstance(other, SparseTensor):
            return _common(self, other)
        if isinstance(other, Tensor) and shape_of(other) != ():
            return self._with(arithmetic.mul(self._parts[1], _at(other, self)))
        return self._with(arithmetic.mul(self._parts[1], other))

    mul = multiply = __rmul__ = __mul__

    def __truediv__(self, other: Any) -> SparseTensor:
        if isinstance(other, SparseTensor) or (isinstance(other, Tensor) and shape_of(other) != ()):
            raise ShapeError("div: a sparse tensor is divided by a number only")
        return self._with(arithmetic.div(self._parts[1], other))

    div = divide = true_divide = __truediv__

    def add(self, other: Any, *, alpha: Any = 1) -> Any:
        """The sum with another sparse tensor."""
        if not isinstance(other, SparseTensor):
            raise ShapeError("add: sparse + dense has no form; write dense + sparse, which is dense")
        if other.shape != self.shape or other.sparse_dim() != self.sparse_dim():
            raise ShapeError(f"add: the sizes {tuple(self.shape)} and {tuple(other.shape)} differ")
        mine, theirs = self._parts[1], other._parts[1] * alpha if alpha != 1 else other._parts[1]
        if np.array_equal(array_of(self._parts[0]), array_of(other._parts[0])):
            return self._with(mine + theirs)
        d = dtypes.promote_types(mine.dtype, theirs.dtype)
        values = join.cat([to_dtype(mine, d), to_dtype(theirs, d)])
        both = made(join.cat([self._parts[0], other._parts[0]], 1), values, self._parts[2], False)
        return both.coalesce() if self._parts[3] and other._parts[3] else both

    __add__ = add

    def __radd__(self, other: Any) -> Any:
        if not isinstance(other, Tensor):
            raise ShapeError("add: a number added to all elements of a sparse tensor makes it dense; use to_dense()")
        return other + self.to_dense()

    def sub(self, other: Any, *, alpha: Any = 1) -> Any:
        """The difference with another sparse tensor."""
        return self.add(other, alpha=-alpha)

    subtract = __sub__ = sub

    def __rsub__(self, other: Any) -> Any:
        return self.__neg__().__radd__(other)

    def pow(self, exponent: Any) -> SparseTensor:
        """Each element to a positive power."""
        if isinstance(exponent, Tensor) or not exponent > 0:
            raise ShapeError(f"pow: of a sparse tensor only positive powers are sparse, not {exponent}")
        return self._on_values(functions.pow, exponent)

    __pow__ = pow

    def __matmul__(self, other: Any) -> Any:
        return matrix_product("matmul", self, other)

    matmul = mm = spmm = mv = __matmul__

    @staticmethod
    def product(name: str, a: Any, b: Any) -> Any:
        """What the functions call that multiply matrices."""
        return matrix_product(name, a, b)

    def __rmatmul__(self, other: Any) -> Any:
        return matrix_product("matmul", other, self)

    def sum(self, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        """The sum of all elements (dense), or over axes (sparse while a sparse axis is left)."""
        if keepdim:
            raise ShapeError("sum: keepdim is not for sparse tensors")
        return sum(self, dim, dtype)

    def norm(self, p: Any = "fro", *args: Any) -> Any:
        """The norm of the values."""
        return self.coalesce()._parts[1].norm(p, *args)

    # --- what Tensor's methods would ask the array for ----------------------------------------------------------------

    def item(self) -> Any:
        """The one element as a Python number."""
        if self.numel() != 1:
            raise ShapeError(f"item: a tensor of shape {tuple(self.shape)} has {self.numel()} elements, not one")
        return self.to_dense().item()

    def tolist(self) -> Any:
        """Raises TypeError: there is no array of all elements."""
        raise DtypeError("tolist: a sparse tensor has no array of all elements; use to_dense().tolist()")

    def numpy(self, *, force: bool = False) -> Any:
        """Raises TypeError: there is no array of all elements."""
        raise DtypeError("numpy: a sparse tensor has no array of all elements; use to_dense().numpy()")

    def __bool__(self) -> bool:
        if self.numel() != 1:
            raise ShapeError(f"the truth of a tensor of shape {tuple(self.shape)} is ambiguous")
        return bool(self.item())

    def zero_(self) -> SparseTensor:
        """Forgets all elements."""
        self._parts = (self._parts[0][:, :0], self._parts[1][:0].detach(), self._parts[2], True)
        return self

    def mul_(self, other: Any) -> SparseTensor:
        """Multiplies the values in place by a number."""
        self._parts[1].mul_(other)
        return self

    __imul__ = mul_

    def __reduce_ex__(self, protocol: Any) -> Any:
        indices, values, sizes, coalesced = self._parts
        return made, (indices, values.detach(), sizes, coalesced)

    def __deepcopy__(self, memo: Any) -> Any:
        if id(self) not in memo:
            memo[id(self)] = self.detach().clone()
        return memo[id(self)]


def _give(name: str, doc: str, run: Callable[[Any], Any]) -> None:
    """Gives sparse tensors a method without arguments."""

    def method(self: Any) -> Any:
        return run(self)

    method.__name__, method.__doc__ = name, doc
    setattr(SparseTensor, name, method)


for _name, _function in {
    "abs": functions.abs,
    "sign": functions.sign,
    "sqrt": functions.sqrt,
    "square": arithmetic.square,
    "expm1": functions.expm1,
    "log1p": functions.log1p,
    "relu": functions.relu,
    "tanh": functions.tanh,
    "sin": trig.sin,
    "tan": trig.tan,
    "asin": trig.asin,
    "atan": trig.atan,
    "sinh": trig.sinh,
    "asinh": trig.asinh,
    "atanh": trig.atanh,
}.items():
    _give(_name, f"`{_name}` of each element, which leaves 0 as it is.", methodcaller("_on_values", _function))

for _name, _dtype in {
    "float": dtypes.float32,
    "double": dtypes.float64,
    "half": dtypes.float16,
    "bfloat16": dtypes.bfloat16,
    "cfloat": dtypes.complex64,
    "cdouble": dtypes.complex128,
    "long": dtypes.int64,
    "int": dtypes.int32,
    "short": dtypes.int16,
    "char": dtypes.int8,
    "byte": dtypes.uint8,
    "bool": dtypes.bool_,
}.items():
    _give(_name, f"With values in {_dtype.name}.", methodcaller("to", _dtype))


def made(indices: Any, values: Any, sizes: tuple[int, ...], coalesced: bool) -> SparseTensor:
    """The sparse tensor of these parts, `coalesced` if each place is there once, in order."""
    out: SparseTensor = Core.__new__(SparseTensor)
    Core.__init__(out, np.empty(0, np.void))  # what no operator takes, where the core looks past `array`
    out._parts = (indices, values, tuple(sizes), coalesced)
    return out


def sparse_coo_tensor(
    indices: Any = None,
    values: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> Any:
    """A sparse tensor with these values at these places, 0 elsewhere; values at equal places count together.

    Shapes: indices (sparse dims, nnz), values (nnz, *dense dims); `size`, else the least that has room.
    Gradients reach `values`, or the tensor itself with `requires_grad`.
    Raises ShapeError for sizes that do not fit, IndexError for a place outside.

    >>> mt.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3))
    tensor(indices=tensor([[0, 1],
                           [2, 0]]),
           values=tensor([3., 4.]),
           size=(2, 3), nnz=2, layout=minitensor.sparse_coo)
    """
    check(device)
    name = "sparse_coo_tensor"
    if indices is None:
        indices, size = (None, values if size is None else size)
        if size is None:
            raise ShapeError(f"{name}: without indices and values the size must be given")
        sizes = tuple(int(n) for n in size)
        values = creation.zeros((0,), dtype=dtype)
        places = np.zeros((len(sizes), 0), np.int64)
    else:
        if values is None:
            raise ShapeError(f"{name}: the values are missing")
        places = np.asarray(array_of(indices) if isinstance(indices, Tensor) else _array(indices)).astype(np.int64)
        values = values if isinstance(values, Tensor) else creation.tensor(values)
        values = values if dtype is None else to_dtype(values, dtypes.of(dtype))
        if places.ndim != 2:
            raise ShapeError(f"{name}: indices must be a matrix (sparse dims, nnz), but have the shape {places.shape}")
        if shape_of(values) == ():
            values = shape.expand(shape.reshape(values, (1,)), (places.shape[1],))
        if shape_of(values)[0] != places.shape[1]:
            raise ShapeError(f"{name}: {places.shape[1]} places and {shape_of(values)[0]} values")
        dense = shape_of(values)[1:]
        if size is None:
            if not places.shape[1]:
                raise ShapeError(f"{name}: without any places the size must be given")
            sizes = (*[int(n) + 1 for n in places.max(1)], *dense)
        else:
            sizes = tuple(int(n) for n in size)
        if len(sizes) != len(places) + len(dense) or sizes[len(places) :] != dense:
            raise ShapeError(f"{name}: size {sizes} is not {len(places)} sparse axes and the values' {dense}")
        for k, (row, n) in enumerate(zip(places, sizes, strict=False)):
            if row.size and (row.min() < 0 or row.max() >= n):
                raise IndexRangeError(
                    f"{name}: places from {row.min()} to {row.max()} along axis {k}, which has the size {n}"
                )
    if min(sizes, default=0) < 0:
        raise ShapeError(f"{name}: size {sizes} has a negative size")
    if requires_grad:
        values = values.detach().requires_grad_()
    elif values.requires_grad:
        values = shape.reshape(values, shape_of(values))  # the given values are the leaf, not this tensor
    return made(wrap(places), values, sizes, bool(is_coalesced))


def of_rows(values: Any, index: Any, rows: int, padding: int) -> SparseTensor:
    """Rows (*, dim), arrays, at their places among `rows` of a matrix: but for those at the place `padding`."""
    places, values = index.reshape(1, -1), values.reshape(-1, values.shape[-1])
    if padding >= 0:
        kept = places[0] != padding
        places, values = places[:, kept], values[kept]
    return made(wrap(places.copy()), wrap(values.copy()), (rows, values.shape[1]), False)


def _array(indices: Any) -> Any:
    rows = [array_of(row) if isinstance(row, Tensor) else row for row in indices]
    return np.asarray(rows)


def from_dense(x: Any, sparse_dim: int | None = None) -> SparseTensor:
    """The elements that are not 0; of the axes from `sparse_dim` on, the parts that are not all 0."""
    n = shape_of(x)
    k = len(n) if sparse_dim is None else sparse_dim
    if not 0 <= k <= len(n):
        raise ShapeError(f"to_sparse: sparse_dim {sparse_dim} is not from 0 to {len(n)}")
    there = (array_of(x) != 0).reshape(*n[:k], math.prod(n[k:])).any(-1)
    places = np.stack(np.nonzero(there)) if k else np.zeros((0, int(there)), np.int64)
    rows = wrap(np.flatnonzero(there))
    values = scatter.index_select(shape.reshape(x, (math.prod(n[:k]), *n[k:])), 0, rows)
    return made(wrap(places), values, n, True)


def sparse_mask(x: Any, mask: Any) -> SparseTensor:
    """The elements of a dense tensor at the places of a sparse one."""
    if not isinstance(mask, SparseTensor):
        raise DtypeError(f"sparse_mask: the mask must be a sparse tensor, not {type(mask).__name__}")
    if shape_of(x) != tuple(mask.shape):
        raise ShapeError(f"sparse_mask: the sizes {shape_of(x)} and {tuple(mask.shape)} differ")
    return mask._with(_at(x, mask))


def _at(x: Any, s: SparseTensor) -> Any:
    """The elements of a dense tensor, broadcast to the shape of a sparse one, at that one's places."""
    places = tuple([wrap(row) for row in array_of(s._parts[0])])
    return getitem(shape.expand(x, s._parts[2]), places)


def _common(a: SparseTensor, b: SparseTensor) -> SparseTensor:
    """The product, element by element, at the places that both have."""
    if a.shape != b.shape or a.sparse_dim() != b.sparse_dim():
        raise ShapeError(f"mul: the sizes {tuple(a.shape)} and {tuple(b.shape)} differ")
    a, b = a.coalesce(), b.coalesce()
    _, mine, theirs = np.intersect1d(a._flat(), b._flat(), assume_unique=True, return_indices=True)
    x, y = [scatter.index_select(s._parts[1], 0, wrap(i)) for s, i in ((a, mine), (b, theirs))]
    return made(wrap(array_of(a._parts[0])[:, mine]), arithmetic.mul(x, y), a._parts[2], True)


# --- products ---------------------------------------------------------------------------------------------------------


def matrix_product(name: str, a: Any, b: Any) -> Any:
    """The product of two matrices, or a matrix and a vector, one of which is sparse; of two sparse ones, sparse."""
    n, m = [tuple(x.shape) if isinstance(x, SparseTensor) else shape_of(x) for x in (a, b)]
    if not isinstance(a, SparseTensor):
        if len(n) != 2 or len(m) != 2:
            raise ShapeError(f"{name}: {n} @ {m}: a sparse tensor on the right takes a matrix on the left")
        return shape.transpose(matrix_product(name, b.t(), shape.transpose(a, 0, 1)), 0, 1)
    if a.sparse_dim() != 2 or a.dense_dim() or len(m) not in (1, 2):
        raise ShapeError(f"{name}: {n} @ {m}: a sparse matrix and a matrix or a vector are multiplied")
    if n[1] != m[0]:
        raise ShapeError(f"{name}: {n} @ {m}: the inner sizes {n[1]} and {m[0]} differ")
    if isinstance(b, SparseTensor):
        return _sparse_product(a, b)
    rows, columns = [wrap(i) for i in array_of(a._parts[0])]
    values, dense = a._parts[1], b if len(m) == 2 else shape.unsqueeze(b, 1)
    if values.dtype is not dense.dtype:
        raise DtypeError(f"{name}: the dtypes {values.dtype.name} and {dense.dtype.name} differ")
    terms = arithmetic.mul(scatter.index_select(dense, 0, columns), shape.unsqueeze(values, 1))
    start = creation.zeros((n[0], shape_of(dense)[1]), dtype=values.dtype)
    out = scatter.index_add(start, 0, rows, terms)
    return out if len(m) == 2 else shape.squeeze(out, 1)


def _sparse_product(a: SparseTensor, b: SparseTensor) -> SparseTensor:
    """The product of two sparse matrices: each value of `a` with the row of `b` that its column names."""
    a, b = a.coalesce(), b.coalesce()
    (rows, inner), (theirs, columns) = array_of(a._parts[0]), array_of(b._parts[0])
    first, last = np.searchsorted(theirs, inner, "left"), np.searchsorted(theirs, inner, "right")
    mine = np.repeat(np.arange(len(inner)), last - first)
    other = np.arange(len(mine)) - np.repeat(np.cumsum(last - first) - last, last - first)
    terms = arithmetic.mul(
        scatter.index_select(a._parts[1], 0, wrap(mine)), scatter.index_select(b._parts[1], 0, wrap(other))
    )
    places = np.stack([rows[mine], columns[other]])
    return made(wrap(places), terms, (a._parts[2][0], b._parts[2][1]), False).coalesce()


def mm(mat1: Any, mat2: Any, reduce: str | None = None) -> Any:
    """The product of a sparse matrix and a matrix, with gradients for both; of two sparse ones, sparse.

    >>> x = mt.sparse_coo_tensor([[0, 1], [1, 0]], [2.0, 3.0], (2, 2))
    >>> mt.sparse.mm(x, mt.eye(2))
    tensor([[0., 2.],
            [3., 0.]])
    """
    if reduce not in (None, "sum"):
        raise ShapeError(f"sparse.mm: reduce {reduce!r} is not 'sum'")
    return matmul.mm(mat1, mat2)


def spmm(input: Any, mat2: Any) -> Any:
    """PyTorch's old name for `mm` with a sparse matrix."""
    return matmul.mm(input, mat2)


def FloatTensor(indices: Any, values: Any, size: Any = None) -> Any:
    """PyTorch's old name for `sparse_coo_tensor` with values of float32.

    >>> mt.sparse.FloatTensor(mt.tensor([[0], [1]]), mt.tensor([5.0]), (1, 2)).to_dense()
    tensor([[0., 5.]])
    """
    return sparse_coo_tensor(indices, values, size, dtype=dtypes.float32)


def DoubleTensor(indices: Any, values: Any, size: Any = None) -> Any:
    """The same with values of float64."""
    return sparse_coo_tensor(indices, values, size, dtype=dtypes.float64)


def LongTensor(indices: Any, values: Any, size: Any = None) -> Any:
    """The same with values of int64."""
    return sparse_coo_tensor(indices, values, size, dtype=dtypes.int64)


def addmm(mat: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1) -> Any:
    """beta mat + alpha mat1 mat2, mat1 sparse.

    >>> mt.sparse.addmm(mt.ones(2, 2), mt.eye(2).to_sparse(), mt.ones(2, 2), beta=0.5)
    tensor([[1.5000, 1.5000],
            [1.5000, 1.5000]])
    """
    product = matmul.mm(mat1, mat2)
    product = product if alpha == 1 else product * alpha
    return product if beta == 0 else (mat if beta == 1 else mat * beta) + product


def sum(input: Any, dim: Any = None, dtype: Any = None) -> Any:
    """The sum of all elements, dense; over `dim`, sparse while a sparse axis is left.

    >>> mt.sparse.sum(mt.eye(2).to_sparse(), 0)
    tensor(indices=tensor([[0, 1]]),
           values=tensor([1., 1.]),
           size=(2,), nnz=2, layout=minitensor.sparse_coo)
    """
    x = input if dtype is None else input.to(dtypes.of(dtype))
    indices, values, sizes, _ = x._parts
    if dim is None:
        return reduce.sum(values)
    over = axes("sum", dim, x.dim())
    k = x.sparse_dim()
    inside = [d - k + 1 for d in over if d >= k]
    values = reduce.sum(values, tuple(inside)) if inside else values
    kept = [d for d in range(k) if d not in over]
    left = tuple([n for d, n in enumerate(sizes) if d not in over])
    if not kept:
        return reduce.sum(values, 0)
    return made(wrap(array_of(indices)[kept]), values, left, False).coalesce()


def softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """Softmax along a sparse axis of a matrix, over the places that there are; others count as minus infinity.

    >>> mt.sparse.softmax(mt.sparse_coo_tensor([[0, 0], [0, 2]], [1.0, 1.0], (1, 3)), 1).values()
    tensor([0.5000, 0.5000])
    """
    return _softmax(input, dim, dtype, softmax_=True)


def log_softmax(input: Any, dim: int, *, dtype: Any = None) -> Any:
    """The logarithm of `softmax`, at the places that there are."""
    return _softmax(input, dim, dtype, softmax_=False)


def _softmax(input: Any, dim: int, dtype: Any, softmax_: bool) -> Any:
    x = (input if dtype is None else input.to(dtypes.of(dtype))).coalesce()
    d = axis("softmax", dim, x.dim())
    indices, values, sizes, _ = x._parts
    if d >= x.sparse_dim():
        run = dense_softmax.softmax if softmax_ else dense_softmax.log_softmax
        return x._with(run(values, d - x.sparse_dim() + 1))
    others = np.delete(array_of(indices), d, 0)
    left = [n for k, n in enumerate(sizes[: x.sparse_dim()]) if k != d]
    row = np.ravel_multi_index(tuple(others), left) if left else np.zeros(others.shape[1], np.int64)
    _, group = np.unique(row, return_inverse=True)
    group = group.reshape(-1)
    count = int(group.max(initial=-1)) + 1
    dense = shape_of(values)[1:]
    top = np.full((count, *dense), -np.inf, array_of(values).dtype)
    np.maximum.at(top, group, array_of(values))
    shifted = values - wrap(top[group])
    powers = functions.exp(shifted)
    where = wrap(group)
    total = scatter.index_add(creation.zeros((count, *dense), dtype=values.dtype), 0, where, powers)
    total = scatter.index_select(total, 0, where)
    return x._with(powers / total if softmax_ else shifted - functions.log(total))
