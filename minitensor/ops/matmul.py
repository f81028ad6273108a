r"""Matrix products: matmul and its relatives, those added to a tensor, linear.

    forward    c_ij = sum_k a_ik b_kj
    backward   da = g b^T,   db = a^T g

Each axis of the product is summed over in one of the two gradients; of a batch, broadcast operands
get the sum of their gradients. Transposed operands are read as they lie, without a copy.

Kernel: csrc/kernels/matmul.cpp.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..errors import DtypeError, ShapeError
from ..graph.modes import autocast_dtype
from ..graph.nodes import called
from ..graph.record import apply, apply_flat, attempt
from ..op import SHAPE, Op, Result, Sample
from .arithmetic import add, mul
from .common import Array, draws, lowered, named, to_dtype, write_out
from .comparison import where
from .reduce import sum_to
from .shape import expand, reshape, transpose

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from .common import array_of, raw, shape_of

Shape = tuple[int, ...]

# --- matmul ---------------------------------------------------------------------------------------


def _matmul_reference(a: Array, b: Array) -> Result:
    return np.matmul(a, b), (a, b, a.shape, b.shape)


def _matmul_da(g: Any, _a: Any, b: Any, a_shape: Shape, b_shape: Shape) -> Any:
    if len(b_shape) == 1:
        return mul(g if len(a_shape) == 1 else _with_axis(g, -1), b)
    if len(a_shape) == 1:
        return sum_to(_without_axis(apply_flat(MATMUL, b, _with_axis(g, -1)), -1), a_shape)
    return sum_to(apply_flat(MATMUL, g, transpose(b, -2, -1)), a_shape)


def _matmul_db(g: Any, a: Any, _b: Any, a_shape: Shape, b_shape: Shape) -> Any:
    if len(a_shape) == 1:
        return mul(g, a) if len(b_shape) == 1 else mul(_with_axis(g, -2), _with_axis(a, -1))
    if len(b_shape) == 1:
        return sum_to(_without_axis(apply_flat(MATMUL, _with_axis(g, -2), a), -2), b_shape)
    if len(b_shape) == 2 and len(a_shape) > 2:  # one b for the whole batch: its rows are one long product
        a, g = _as_rows(a), _as_rows(g)
    return sum_to(apply_flat(MATMUL, transpose(a, -2, -1), g), b_shape)


def _with_axis(x: Any, dim: int) -> Any:
    """The same elements with an axis of size 1 as the last (-1) or the last but one (-2)."""
    shape = shape_of(x)
    return reshape(x, (*shape, 1) if dim == -1 else (*shape[:-1], 1, *shape[-1:]))


def _without_axis(x: Any, dim: int) -> Any:
    shape = shape_of(x)
    return reshape(x, shape[:-1] if dim == -1 else (*shape[:-2], shape[-1]))


def _as_rows(x: Any) -> Any:
    """The same elements as a matrix with the last axis as it is."""
    shape = shape_of(x)
    return x if len(shape) == 2 else reshape(x, (math.prod(shape[:-1]), shape[-1]))


def _matmul_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for a, b in (
        ((2, 3), (3, 4)),
        ((1, 1), (1, 1)),
        ((0, 3), (3, 2)),
        ((2, 0), (0, 3)),
        ((1, 17), (17, 1)),
        ((6, 5), (5, 33)),
        ((15, 16), (16, 17)),
        ((29, 3), (3, 2)),
        ((2, 3, 4), (2, 4, 2)),
        ((2, 1, 2, 3), (3, 3, 2)),
        ((3, 2, 4), (4, 3)),
        ((2, 3), (2, 3, 2)),
        ((0, 2, 3), (3, 2)),
        ((3, 4), (4,)),
        ((4,), (4, 3)),
        ((5,), (5,)),
        ((0,), (0,)),
        ((0, 3), (3,)),
        ((17,), (17, 33)),
        ((2, 3, 4), (4,)),
        ((4,), (2, 4, 3)),
    ):
        yield Sample((rng.standard_normal(a), rng.standard_normal(b)))
    yield Sample((rng.standard_normal((9, 4)).T, rng.standard_normal((9, 2))[:, 0]))
    for a, b in (
        ((150, 400), (400, 130)),
        ((1, 700), (700, 900)),
        ((12, 40, 30), (12, 30, 50)),
        ((16, 1200), (1200, 24)),
    ):
        yield Sample((rng.standard_normal(a), rng.standard_normal(b)), large=True)
    yield Sample((rng.standard_normal((90, 200)).T, rng.standard_normal((300, 90)).T), large=True)


def _inner(a: Array, *_: Any) -> int:
    """How many terms a sum has."""
    return int(a.shape[-1])


def _matmul_batch(args: Any, flags: Any) -> Any:
    ranks = [len(shape_of(x)) - flag for x, flag in zip(args, flags, strict=True)]
    if min(ranks) < 2:
        return NotImplemented
    lined_up = []
    for x, flag, rank in zip(args, flags, ranks, strict=True):
        size, *rest = shape_of(x)
        lined_up.append(reshape(x, (size, *[1] * (max(ranks) - rank), *rest)) if flag and rank < max(ranks) else x)
    return apply(MATMUL, *lined_up)


MATMUL = Op(
    "matmul",
    _matmul_reference,
    None,
    (_matmul_da, _matmul_db),
    "multilinear",
    _matmul_samples,
    exact=True,
    length=_inner,
    batch=_matmul_batch,
    kernel=_core.matmul,
    saves=(0, 1, SHAPE, SHAPE + 1),
)


def _check_dtypes(name: str, x: Any, y: Any) -> None:
    if x.dtype is not y.dtype and x.dtype != y.dtype:
        raise DtypeError(f"{name}: the dtypes {x.dtype} and {y.dtype} differ")


def _check(name: str, a: Any, b: Any) -> None:
    """Raises unless the last two axes multiply and the others broadcast."""
    x, y = raw(a), raw(b)
    _check_dtypes(name, x, y)
    if x.shape[-1] != y.shape[-2]:
        raise ShapeError(f"{name}: {x.shape} @ {y.shape}: the inner sizes {x.shape[-1]} and {y.shape[-2]} differ")
    if x.ndim > 2 and y.ndim > 2:
        for m, n in zip(x.shape[-3::-1], y.shape[-3::-1], strict=False):
            if m != n and 1 not in (m, n):
                raise ShapeError(f"{name}: {x.shape} @ {y.shape}: the batch sizes {m} and {n} differ")


def matmul(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The matrix product of the last two axes; those before them are a batch and broadcast.

        forward    c_ij = sum_k a_ik b_kj
        backward   da = g b^T,  db = a^T g

    A vector counts as a row on the left and as a column on the right, and that axis is gone from
    the result: (k,) @ (k,) has no axes, (m, k) @ (k,) is (m,).

    Raises ShapeError where the inner sizes differ or the batches do not broadcast, DtypeError where
    the dtypes differ.

    >>> mt.matmul(mt.tensor([[1.0, 2.0], [3.0, 4.0]]), mt.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    result = _product("matmul", input, other)
    return result if out is None else write_out("matmul", result, out)


def _product(name: str, input: Any, other: Any) -> Any:
    try:
        result = attempt(MATMUL, input, other)
    except DtypeError:  # a sparse tensor has no array, which the compiled graph sees as one that kernels decline
        if not _any_sparse(input, other):
            raise
        result = None
    if result is not None:
        rank = raw(result).ndim
        return result if rank > 1 else called(result, "MvBackward0" if rank else "DotBackward0")
    if _any_sparse(input, other):
        return _sparse_product(name, input, other)
    if name not in ("mv", "dot", "vdot", "addmv"):
        input, other = lowered(input, other)
    a_shape, b_shape = shape_of(input), shape_of(other)
    if not a_shape or not b_shape:
        raise ShapeError(f"{name}: {a_shape} @ {b_shape}: both need at least one axis; use mul for a number")
    if len(a_shape) > 1 and len(b_shape) > 1:
        _check(name, input, other)
        return apply(MATMUL, input, other)
    if a_shape[-1] != b_shape[-2 if len(b_shape) > 1 else 0]:
        raise ShapeError(
            f"{name}: {a_shape} @ {b_shape}: the inner sizes {a_shape[-1]} and "
            f"{b_shape[-2 if len(b_shape) > 1 else 0]} differ"
        )
    _check_dtypes(name, raw(input), raw(other))
    result = apply_flat(MATMUL, input, other)
    rank = raw(result).ndim
    return result if rank > 1 else called(result, "MvBackward0" if rank else "DotBackward0")


def _any_sparse(*tensors: Any) -> bool:
    for x in tensors:
        if getattr(x, "is_sparse", False):
            return True
    return False


def _sparse_product(name: str, a: Any, b: Any) -> Any:
    """A product that a sparse tensor is part of, which knows how."""
    return (a if _any_sparse(a) else b).product(name, a, b)


def need_axes(name: str, *wanted: tuple[Any, int]) -> None:
    """Raises unless each tensor has that many axes."""
    for x, n in wanted:
        if array_of(x).ndim != n:
            raise ShapeError(f"{name}: expected {n} axes, got a tensor of shape {shape_of(x)}")


def _of_axes(name: str, x: Any, n: int, y: Any, m: int) -> Any:
    """The product of tensors of n and of m axes."""
    if not _any_sparse(x, y):
        need_axes(name, (x, n), (y, m))
    return _product(name, x, y)


def mm(input: Any, mat2: Any, *, out: Any = None) -> Any:
    """The product of two matrices; `matmul` without batches.

    >>> mt.mm(mt.ones(2, 3), mt.ones(3, 1))
    tensor([[3.],
            [3.]])
    """
    result = _of_axes("mm", input, 2, mat2, 2)
    return result if out is None else write_out("mm", result, out)


@named("BmmBackward0")
def bmm(input: Any, mat2: Any, *, out: Any = None) -> Any:
    """The products of two batches of matrices, (B, m, k) and (B, k, n); nothing broadcasts.

    >>> mt.bmm(mt.ones(2, 1, 3), mt.ones(2, 3, 1)).shape
    minitensor.Size([2, 1, 1])
    """
    result = _batches("bmm", input, mat2)
    return result if out is None else write_out("bmm", result, out)


def _batches(name: str, a: Any, b: Any) -> Any:
    """The products of two batches of the same size."""
    x, y = shape_of(a), shape_of(b)
    if len(x) != 3 or len(y) != 3:
        need_axes(name, (a, 3), (b, 3))
    if x[0] != y[0]:
        raise ShapeError(f"{name}: {x} @ {y}: the batch sizes {x[0]} and {y[0]} differ")
    return _product(name, a, b)


def mv(input: Any, vec: Any, *, out: Any = None) -> Any:
    """The product of a matrix and a vector.

    >>> mt.mv(mt.ones(2, 3), mt.ones(3))
    tensor([3., 3.])
    """
    result = _of_axes("mv", input, 2, vec, 1)
    return result if out is None else write_out("mv", result, out)


def dot(input: Any, tensor: Any, *, out: Any = None) -> Any:
    """The inner product of two vectors.

    >>> mt.dot(mt.tensor([1.0, 2.0]), mt.tensor([3.0, 4.0]))
    tensor(11.)
    """
    need_axes("dot", (input, 1), (tensor, 1))
    result = _product("dot", input, tensor)
    return result if out is None else write_out("dot", result, out)


def conjugate(x: Any) -> Any:
    """The complex conjugate; a real tensor itself."""
    return apply(CONJ, x) if array_of(x).dtype.kind == "c" else x


CONJ = Op(
    "conj",
    lambda x: (np.conjugate(x), ()),
    None,
    (lambda g: conjugate(g),),
    "linear",
    draws(((2, 3),), ((),), ((0, 3),)),
)


def vdot(input: Any, other: Any, *, out: Any = None) -> Any:
    """`dot` with the conjugate of the first vector, if that is complex.

    >>> mt.vdot(mt.tensor([1.0, 2.0]), mt.tensor([3.0, 4.0]))
    tensor(11.)
    """
    need_axes("vdot", (input, 1), (other, 1))
    result = _product("vdot", conjugate(input), other)
    return result if out is None else write_out("vdot", result, out)


def inner(input: Any, other: Any, *, out: Any = None) -> Any:
    r"""The inner products of the last axes: (*a, k) and (*b, k) to (*a, *b). A number multiplies.

        forward    out[a, b] = sum_k x[a, k] y[b, k]
        backward   dx[a, k] = sum_b g[a, b] y[b, k],  dy[b, k] = sum_a g[a, b] x[a, k]

    Raises ShapeError where the last sizes differ.

    >>> mt.inner(mt.tensor([[1.0, 2.0], [0.0, 1.0]]), mt.tensor([3.0, 4.0]))
    tensor([11.,  4.])
    """
    a, b = shape_of(input), shape_of(other)
    if not a or not b:
        result = mul(input, other)
    else:
        if a[-1] != b[-1]:
            raise ShapeError(f"inner: {a} and {b}: the last sizes {a[-1]} and {b[-1]} differ")
        result = reshape(_product("inner", _as_rows(input), transpose(_as_rows(other), 0, 1)), (*a[:-1], *b[:-1]))
    return result if out is None else write_out("inner", result, out)


def outer(input: Any, vec2: Any, *, out: Any = None) -> Any:
    """All products of an element of one vector and one of another: out_ij = x_i y_j.

    >>> mt.outer(mt.tensor([1.0, 2.0]), mt.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    result = _outer("outer", input, vec2)
    return result if out is None else write_out("outer", result, out)


def _outer(name: str, x: Any, y: Any) -> Any:
    need_axes(name, (x, 1), (y, 1))
    return mul(reshape(x, (shape_of(x)[0], 1)), y)


# --- a product added to a tensor ------------------------------------------------------------------


def _added(name: str, input: Any, product: Any, beta: Any, alpha: Any, out: Any) -> Any:
    """beta * input + alpha * product; with beta = 0 nothing of `input` counts, not even NaN."""
    input = to_dtype(input, dtypes.of(array_of(product).dtype)) if autocast_dtype() is not None else input
    x, p = array_of(input), array_of(product)
    if (
        x.dtype is p.dtype
        and x.shape == p.shape
        and type(beta) is type(alpha) is int
        and beta == alpha == 1
        and out is None
    ):
        return add(input, product)
    if len(x.shape) > p.ndim or any(m not in (1, n) for m, n in zip(x.shape[::-1], p.shape[::-1], strict=False)):
        raise ShapeError(f"{name}: {x.shape} does not broadcast to the product's shape {p.shape}")
    if x.dtype != p.dtype:
        raise DtypeError(f"{name}: the dtypes {x.dtype} and {p.dtype} differ")
    if p.dtype.kind != "f" and any(float(raw(v)) % 1 for v in (beta, alpha)):
        raise DtypeError(f"{name}: for integers beta and alpha must be integers, not {beta!r} and {alpha!r}")
    if p.dtype.kind != "f":
        beta, alpha = int(beta), int(alpha)
    if alpha != 1:
        product = mul(product, alpha)
    if beta == 0:
        scaled = where(np.zeros((), bool), input, np.zeros((), x.dtype))  # its gradient is 0
    else:
        scaled = input if beta == 1 else mul(input, beta)
    result = add(scaled, product)
    return result if out is None else write_out(name, result, out)


@named("AddmmBackward0")
def addmm(input: Any, mat1: Any, mat2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """beta * input + alpha * (mat1 @ mat2), where `input` broadcasts; beta = 0 leaves it out.

    >>> mt.addmm(mt.ones(2), mt.ones(1, 3), mt.ones(3, 2))
    tensor([[4., 4.]])
    """
    return _added("addmm", input, _of_axes("addmm", mat1, 2, mat2, 2), beta, alpha, out)


@named("AddmvBackward0")
def addmv(input: Any, mat: Any, vec: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """beta * input + alpha * (mat @ vec), where `input` broadcasts; beta = 0 leaves it out.

    >>> mt.addmv(mt.ones(2), mt.ones(2, 3), mt.ones(3), alpha=2)
    tensor([7., 7.])
    """
    return _added("addmv", input, _of_axes("addmv", mat, 2, vec, 1), beta, alpha, out)


@named("AddrBackward0")
def addr(input: Any, vec1: Any, vec2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """beta * input + alpha * (the outer product of two vectors); beta = 0 leaves `input` out.

    >>> mt.addr(mt.ones(2, 2), mt.tensor([1.0, 2.0]), mt.tensor([3.0, 4.0]))
    tensor([[4., 5.],
            [7., 9.]])
    """
    return _added("addr", input, _outer("addr", vec1, vec2), beta, alpha, out)


@named("BaddbmmBackward0")
def baddbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    """beta * input + alpha * (batch1 @ batch2), matrix by matrix; beta = 0 leaves `input` out.

    >>> mt.baddbmm(mt.ones(1), mt.ones(2, 1, 3), mt.ones(2, 3, 1)).flatten()
    tensor([4., 4.])
    """
    return _added("baddbmm", input, _batches("baddbmm", batch1, batch2), beta, alpha, out)


def addbmm(input: Any, batch1: Any, batch2: Any, *, beta: Any = 1, alpha: Any = 1, out: Any = None) -> Any:
    r"""beta * input + alpha * (the sum over the batch of batch1 @ batch2): (B, m, k) and (B, k, n).

        forward    out_ij = beta x_ij + alpha sum_bk a_bik b_bkj

    The sum is one matrix product, whose inner axis is the batch's and the matrices' joined.

    >>> mt.addbmm(mt.ones(1), mt.ones(2, 1, 3), mt.ones(2, 3, 1))
    tensor([[7.]])
    """
    need_axes("addbmm", (batch1, 3), (batch2, 3))
    (n, rows, k), (m, inner_size, columns) = shape_of(batch1), shape_of(batch2)
    if n != m or k != inner_size:
        what, pair = ("batch", (n, m)) if n != m else ("inner", (k, inner_size))
        raise ShapeError(
            f"addbmm: {shape_of(batch1)} @ {shape_of(batch2)}: the {what} sizes {pair[0]} and {pair[1]} differ"
        )
    joined = reshape(transpose(batch1, 0, 1), (rows, n * k)), reshape(batch2, (n * k, columns))
    return _added("addbmm", input, _product("addbmm", *joined), beta, alpha, out)


# --- linear ---------------------------------------------------------------------------------------


def _linear_reference(x: Array, weight: Array, bias: Array | None) -> Result:
    y = x @ weight.T
    return y if bias is None else y + bias, (x, weight)


def _linear_dx(g: Any, _x: Any, weight: Any) -> Any:
    return apply_flat(MATMUL, g, weight)


def _linear_dweight(g: Any, x: Any, _weight: Any) -> Any:
    return apply_flat(MATMUL, transpose(_as_rows(g), 0, 1), _as_rows(x))


def _linear_dbias(g: Any, _x: Any, _weight: Any) -> Any:
    return sum_to(g, shape_of(g)[-1:])


def _linear_jvp(tangents: tuple[Any, ...], x: Any, weight: Any) -> Any:
    dx, dweight, dbias = tangents
    if dx is None:
        moved = dbias if dweight is None else apply(LINEAR, x, dweight, dbias)
        return moved if dweight is not None else expand(dbias, (*shape_of(x)[:-1], shape_of(weight)[0]))
    moved = apply(LINEAR, dx, weight, dbias)
    return moved if dweight is None else add(moved, apply(LINEAR, x, dweight, None))


def _linear_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape, out in (
        ((2, 3), 4),
        ((1, 1), 1),
        ((0, 3), 2),
        ((2, 3, 4), 3),
        ((5, 16), 17),
        ((16, 25), 6),
    ):
        x, weight = rng.standard_normal(shape), rng.standard_normal((out, shape[-1]))
        yield Sample((x, weight, rng.standard_normal(out)))
    yield Sample((rng.standard_normal((3, 2)), rng.standard_normal((2, 2)), None))
    yield Sample(
        (rng.standard_normal((64, 300)), rng.standard_normal((70, 300)), rng.standard_normal(70)),
        large=True,
    )


def _linear_batch(args: Any, flags: Any) -> Any:
    x, weight, bias = args
    if not any(flags[1:]):
        return apply(LINEAR, x, weight, bias)
    if len(shape_of(x)) - flags[0] < 2:
        return NotImplemented
    y = _matmul_batch((x, transpose(weight, -2, -1)), flags[:2])
    if bias is None:
        return y
    if flags[2]:
        size, n = shape_of(bias)
        bias = reshape(bias, (size, *[1] * (len(shape_of(y)) - 2), n))
    return add(y, bias)


LINEAR = Op(
    "linear",
    _linear_reference,
    None,
    (_linear_dx, _linear_dweight, _linear_dbias),
    _linear_jvp,
    _linear_samples,
    exact=True,
    length=_inner,
    batch=_linear_batch,
    kernel=_core.linear,
    saves=(0, 1),
)


def linear(input: Any, weight: Any, bias: Any = None) -> Any:
    r"""An affine map of the last axis: (*, in), weight (out, in), bias (out,) to (*, out).

        forward    y = x w^T + b
        backward   dx = g w,  dw = g^T x,  db = the sum of g over all axes but the last

    The bias is added in the product's own kernel.

    Raises ShapeError where sizes differ, DtypeError where dtypes do.

    >>> mt.nn.functional.linear(mt.tensor([[1.0, 2.0]]), mt.tensor([[3.0, 4.0]]), mt.tensor([0.5]))
    tensor([[11.5000]])
    """
    result = attempt(LINEAR, input, weight, bias)
    if result is not None:
        return result
    input, weight, bias = lowered(input, weight, bias)
    x_shape, w_shape = shape_of(input), shape_of(weight)
    if len(w_shape) == 1:  # PyTorch's: a single output that gets no axis
        y = matmul(input, weight)
        return y if bias is None else add(y, bias)
    if len(w_shape) != 2 or not x_shape:
        raise ShapeError(f"linear: expected an input (*, in) and a weight (out, in), got {x_shape} and {w_shape}")
    if x_shape[-1] != w_shape[1]:
        raise ShapeError(
            f"linear: input {x_shape} and weight {w_shape}: the sizes {x_shape[-1]} and {w_shape[1]} differ"
        )
    kinds = {array_of(v).dtype for v in (input, weight, bias) if v is not None}
    if len(kinds) > 1:
        raise DtypeError(f"linear: the dtypes {' and '.join(sorted(map(str, kinds)))} differ")
    if bias is not None and shape_of(bias) != w_shape[:1]:
        if len(shape_of(bias)) > 1 or shape_of(bias) not in ((), (1,)):
            raise ShapeError(f"linear: bias {shape_of(bias)} and weight {w_shape}: expected {w_shape[0]} values")
        bias = expand(bias, w_shape[:1])
    if len(x_shape) == 1:
        return reshape(apply(LINEAR, reshape(input, (1, *x_shape)), weight, bias), w_shape[:1])
    return apply(LINEAR, input, weight, bias)
