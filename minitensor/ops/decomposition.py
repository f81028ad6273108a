r"""Decompositions: eigh, eig, svd, qr, and products of Householder's reflections.

The factors are unique only up to a choice: the sign of a vector, and any rotation within the space of equal values. The
gradients are those of functions that do not depend on the choice. With F_ij = 1 / (w_j - w_i):

    eigh   dA = V (diag(dw) + F * skew(V^T dV)) V^T                  skew(X) = (X - X^T) / 2
    svd    dA = U ((F * 2 skew(U^T dU)) S + S (F * 2 skew(V^T dV)) + diag(dS)) V^T   with F of the squares of S,
           + (1 - U U^T) dU S^-1 V^T + U S^-1 dV^T (1 - V V^T)
    qr     dA = (dQ + Q copyltu(R dR^T - dQ^T Q)) R^-T               copyltu: the lower triangle, mirrored

Where two values are equal, as far as rounding lets one say, F is 0: the vectors do not turn within their space. So the
gradient is finite, and right for what does not depend on how the vectors lie within it, such as a sum f(w_i) or the
projection onto the space. Where values are equal, F dV is 0 / 0 for a function of the whole matrix, as V f(w) V^T, and
for the second derivatives of all but linear functions: that part of them is lost, which no rule for (w, V) can know.
Source: M. B. Giles, "Collected matrix derivative results", 2008; J. Townsend, 2016; S. F. Walter and L. Lehmann, 2018.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .. import dtypes, return_types
from ..errors import ShapeError
from ..graph.record import apply
from ..op import Op, Result, Sample
from .arithmetic import add, div, mul, reciprocal, sub, zero
from .common import Array, array_of, raw, shape_of, shifted, to_dtype, wrap_as, write_out
from .comparison import where
from .complex import conj, real
from .einsum import diagonal_of
from .join import cat, narrow
from .matmul import matmul
from .matrices import (
    SQUARES,
    converged,
    diagonal_matrix,
    lower,
    mT,
    need_matrices,
    need_square,
    symmetric,
    upper,
)
from .shape import reshape
from .solve import INV, SOLVE_TRIANGULAR

Shape = tuple[int, ...]


def _row(v: Any) -> Any:
    """A vector as a row, which multiplies the columns of a matrix."""
    shape = shape_of(v)
    return reshape(v, (*shape[:-1], 1, shape[-1]))


def _column(v: Any) -> Any:
    """A vector as a column, which multiplies the rows of a matrix."""
    return reshape(v, (*shape_of(v), 1))


def _skew(x: Any) -> Any:
    """X - X^T."""
    return sub(x, mT(x))


def _least(values: Array, n: int) -> Array:
    """What counts as nothing beside the largest of some values: their rounding."""
    return np.asarray(n * np.finfo(values.dtype).eps * np.abs(values).max(-1, initial=0))


def _reciprocal_gaps(values: Any) -> Any:
    """F_ij = 1 / (w_j - w_i), and 0 where the two are equal."""
    w = raw(values)
    equal = np.abs(w[..., None, :] - w[..., :, None]) <= _least(w, w.shape[-1])[..., None, None]
    return where(equal, 0.0, reciprocal(where(equal, 1.0, sub(_row(values), _column(values)))))


# --- eigh -------------------------------------------------------------------------------------------------------------


def _eigh_reference(x: Array, *, lower: bool) -> Result:
    w, v = converged("linalg.eigh", lambda a: np.linalg.eigh(a, "L" if lower else "U"), x)
    return (w, v), (w, v)


def _eigh_dx(g: Any, w: Any, v: Any, *, lower: bool) -> Any:
    turn = mul(_reciprocal_gaps(w), mul(_skew(matmul(mT(v), g[1])), 0.5))
    return matmul(matmul(v, add(diagonal_matrix(g[0]), turn)), mT(v))


def _eigh_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for i, shape in enumerate(SQUARES):
        yield Sample(symmetric(rng.standard_normal(shape)), {"lower": i % 2 == 0}, symmetric)


EIGH = Op(
    "eigh",
    _eigh_reference,
    None,
    (_eigh_dx,),
    None,
    _eigh_samples,
    batch=shifted("eigh"),
)


def _reads_lower(name: str, UPLO: str) -> bool:
    if UPLO not in ("L", "U", "l", "u"):
        raise ShapeError(f"{name}: UPLO must be 'L' or 'U', not {UPLO!r}")
    return UPLO in ("L", "l")


def eigh(A: Any, UPLO: str = "L", *, out: Any = None) -> Any:
    r"""(eigenvalues, eigenvectors) of symmetric matrices: the values ascend, the vectors are the columns.

        forward    a = v diag(w) v^T
        backward   da = v (diag(dw) + F * skew(v^T dv)) v^T,  F_ij = 1 / (w_j - w_i), 0 where they are equal

    Only the triangle UPLO of A is read; the gradient is symmetric, and that of functions which do not depend on the
    vectors' signs, nor on their choice among those of equal values. Raises LinAlgError where LAPACK does not converge.

    >>> mt.linalg.eigh(mt.tensor([[2.0, 1.0], [1.0, 2.0]])).eigenvalues
    tensor([1., 3.])
    """
    name = "linalg.eigh"
    need_square(name, A)
    result = return_types.linalg_eigh(*apply(EIGH, A, lower=_reads_lower(name, UPLO)))
    return result if out is None else write_out(name, result, out)


def _eigvalsh_reference(x: Array, *, lower: bool) -> Result:
    return converged("linalg.eigvalsh", lambda a: np.linalg.eigvalsh(a, "L" if lower else "U"), x), (x,)


def _eigvalsh_dx(g: Any, x: Any, *, lower: bool) -> Any:
    v = apply(EIGH, x, lower=lower)[1]
    return matmul(mul(v, _row(g)), mT(v))


EIGVALSH = Op(
    "eigvalsh",
    _eigvalsh_reference,
    None,
    (_eigvalsh_dx,),
    None,
    _eigh_samples,
    batch=shifted("eigvalsh"),
)


def eigvalsh(A: Any, UPLO: str = "L", *, out: Any = None) -> Any:
    r"""The eigenvalues of symmetric matrices, ascending; see `eigh`.

        backward   da = v diag(g) v^T

    >>> mt.linalg.eigvalsh(mt.tensor([[2.0, 1.0], [1.0, 2.0]]))
    tensor([1., 3.])
    """
    name = "linalg.eigvalsh"
    need_square(name, A)
    result = apply(EIGVALSH, A, lower=_reads_lower(name, UPLO))
    return result if out is None else write_out(name, result, out)


# --- eig --------------------------------------------------------------------------------------------------------------


def _eig_reference(x: Array) -> Result:
    real_only = x.dtype.kind != "c" or not x.imag.any()
    found = converged("linalg.eig", np.linalg.eig, x.real if real_only else x)
    w, v = [np.asarray(a).astype(np.result_type(x.dtype, a.dtype), copy=False) for a in found]
    return (w, v), (w, v)


def _eig_dx(g: Any, w: Any, v: Any) -> Any:
    overlap = matmul(mT(v), g[1])
    # The vectors keep their length.
    kept = sub(overlap, mul(matmul(mT(v), conj(v)), _row(real(diagonal_of(overlap)))))
    inner = add(diagonal_matrix(g[0]), mul(_reciprocal_gaps(w), kept))
    return matmul(mT(apply(INV, v)[0]), matmul(inner, mT(v)))


def _eig_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in SQUARES:
        v = rng.standard_normal(shape) + 2 * np.eye(shape[-1])
        yield Sample((v @ (np.arange(1.0, shape[-1] + 1)[:, None] * np.linalg.inv(v)),))


EIG = Op(
    "eig",
    _eig_reference,
    None,
    (_eig_dx,),
    None,
    _eig_samples,
    batch=shifted("eig"),
    complex=True,
)


def eig(A: Any, *, out: Any = None) -> Any:
    r"""(eigenvalues, eigenvectors) of square matrices, complex numbers; the vectors are the columns, of length 1.

        forward    a v = v diag(w)
        backward   da = v^-T (diag(dw) + F * (v^T dv - v^T v* diag(Re(v^T dv)))) v^T,  F_ij = 1 / (w_j - w_i)

    The values are in no order.

    >>> mt.linalg.eig(mt.tensor([[2.0, 1.0], [0.0, 3.0]])).eigenvalues
    tensor([2.+0.j, 3.+0.j])
    """
    need_square("linalg.eig", A)
    result = return_types.linalg_eig(*apply(EIG, to_dtype(A, dtypes.of(array_of(A).dtype).to_complex())))
    return result if out is None else write_out("linalg.eig", result, out)


def eigvals(A: Any, *, out: Any = None) -> Any:
    """The eigenvalues of square matrices, complex numbers; see `eig`.

    >>> mt.linalg.eigvals(mt.tensor([[0.0, 1.0], [-1.0, 0.0]]))
    tensor([0.+1.j, 0.-1.j])
    """
    result = eig(A).eigenvalues
    return result if out is None else write_out("linalg.eigvals", result, out)


# --- svd --------------------------------------------------------------------------------------------------------------


def _svd_reference(x: Array, *, full: bool) -> Result:
    out = tuple(converged("linalg.svd", lambda a: np.linalg.svd(a, full_matrices=full), x))
    return out, out


def _within(g: Any, q: Any, k: int) -> Any:
    """The gradient of the first k of orthogonal columns that stands for that of all: the others turn as they must."""
    m = shape_of(q)[-1]
    if m == k:
        return g
    first, rest = narrow(q, -1, 0, k), narrow(q, -1, k, m - k)
    return sub(narrow(g, -1, 0, k), matmul(rest, matmul(mT(narrow(g, -1, k, m - k)), first)))


def _svd_dx(g: Any, u: Any, s: Any, vh: Any, *, full: bool) -> Any:
    k = shape_of(s)[-1]
    du, ds, dv = _within(g[0], u, k), g[1], _within(mT(g[2]), mT(vh), k)
    u, v = narrow(u, -1, 0, k), mT(narrow(vh, -2, 0, k))
    (m, n), size = (shape_of(u)[-2], shape_of(v)[-2]), raw(s)
    # 1 / (s_j^2 - s_i^2) = 1 / (s_j - s_i) * 1 / (s_j + s_i)
    small = _least(size, max(m, n))[..., None]
    both = size[..., None, :] + size[..., :, None] <= small[..., None]
    sums = where(both, 1.0, add(_row(s), _column(s)))
    gaps = div(_reciprocal_gaps(s), sums)
    ut, vt = matmul(mT(u), du), matmul(mT(v), dv)
    inner = add(mul(mul(gaps, _skew(ut)), _row(s)), mul(_column(s), mul(gaps, _skew(vt))))
    da = matmul(add(inner, diagonal_matrix(ds)), mT(v))
    none = size <= small
    inverse = where(none, 0.0, reciprocal(where(none, 1.0, s)))
    if n > k:
        da = add(da, mul(_column(inverse), mT(sub(dv, matmul(v, vt)))))
    da = matmul(u, da)
    if m > k:
        da = add(da, matmul(mul(sub(du, matmul(u, ut)), _row(inverse)), mT(v)))
    return da


def _svd_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3, 3), (1, 1), (3, 2), (2, 3), (4, 2), (2, 3, 2), (0, 2, 2), (3, 0), (0, 0)):
        yield Sample((rng.standard_normal(shape),), {"full": False})
    for shape in ((3, 2), (2, 2), (2, 1, 2)):  # one vector more than there are values is still unique
        yield Sample((rng.standard_normal(shape),), {"full": True})


SVD = Op(
    "svd",
    _svd_reference,
    None,
    (_svd_dx,),
    None,
    _svd_samples,
    batch=shifted("svd"),
)


def linalg_svd(A: Any, full_matrices: bool = True, *, driver: str | None = None, out: Any = None) -> Any:
    r"""The singular value decomposition (U, S, Vh): A = U diag(S) Vh, the values descend.

        forward    a = u diag(s) v^T
        backward   da = u ((F * skew(u^T du)) s + s (F * skew(v^T dv)) + diag(ds)) v^T + what leaves the spaces of u, v

    A (*, m, n), k = min(m, n): U (*, m, k), S (*, k), Vh (*, k, n); with `full_matrices` U and Vh are square. F_ij =
    1 / (s_j^2 - s_i^2), 0 where they are equal. The gradient is that of functions which do not depend on the vectors'
    signs, nor on their choice for equal values and in the complement. `driver` is accepted; LAPACK's is gesdd.
    Raises LinAlgError where LAPACK does not converge, as for values that are not finite.

    >>> mt.linalg.svd(mt.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    need_matrices("linalg.svd", A)
    result = return_types.linalg_svd(*apply(SVD, A, full=bool(full_matrices)))
    return result if out is None else write_out("linalg.svd", result, out)


def _zeros_as(x: Any) -> Any:
    return wrap_as(x, np.zeros_like(raw(x)))


def svd(input: Any, some: bool = True, compute_uv: bool = True, *, out: Any = None) -> Any:
    """(U, S, V) with input = U diag(S) V^T; see `linalg.svd`. Without `compute_uv` U and V are zeros.

    >>> mt.svd(mt.tensor([[0.0, 2.0], [1.0, 0.0]])).S
    tensor([2., 1.])
    """
    u, s, vh = linalg_svd(input, not some)
    result = return_types.svd(u, s, mT(vh))
    if not compute_uv:
        result = return_types.svd(_zeros_as(u), s, _zeros_as(mT(vh)))
    return result if out is None else write_out("svd", result, out)


def _svdvals_reference(x: Array) -> Result:
    return converged("linalg.svdvals", lambda a: np.linalg.svd(a, compute_uv=False), x), (x,)


def _svdvals_dx(g: Any, x: Any) -> Any:
    u, _, vh = apply(SVD, x, full=False)
    return matmul(mul(u, _row(g)), vh)


def _svdvals_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3, 3), (1, 1), (4, 2), (2, 3), (2, 3, 2), (0, 2, 2), (3, 0), (0, 0)):
        yield Sample((rng.standard_normal(shape),))


SVDVALS = Op(
    "svdvals",
    _svdvals_reference,
    None,
    (_svdvals_dx,),
    None,
    _svdvals_samples,
    batch=shifted("svdvals"),
)


def svdvals(A: Any, *, driver: str | None = None, out: Any = None) -> Any:
    r"""The singular values, descending; see `svd`.

        backward   da = u diag(g) v^T

    >>> mt.linalg.svdvals(mt.tensor([[0.0, 2.0], [1.0, 0.0]]))
    tensor([2., 1.])
    """
    need_matrices("linalg.svdvals", A)
    result = apply(SVDVALS, A)
    return result if out is None else write_out("linalg.svdvals", result, out)


# --- qr ---------------------------------------------------------------------------------------------------------------


def _qr_reference(x: Array, *, complete: bool) -> Result:
    if x.size == 0:  # which LAPACK does not take
        m, n = x.shape[-2:]
        k = m if complete else min(m, n)
        q = np.broadcast_to(np.eye(m, k, dtype=x.dtype), (*x.shape[:-2], m, k)).copy()
        r = np.zeros((*x.shape[:-2], k, n), x.dtype)
    else:
        q, r = np.linalg.qr(x, "complete" if complete else "reduced")
    return (q, r), (q, r)


def _qr_dx(g: Any, q: Any, r: Any, *, complete: bool) -> Any:
    n = shape_of(r)[-1]
    k = min(shape_of(q)[-2], n)
    dq, dr = _within(g[0], q, k), upper(narrow(g[1], -2, 0, k))
    q, r = narrow(q, -1, 0, k), narrow(r, -2, 0, k)
    beside = None
    if n > k:  # a = (a1, a2): a2 = q r2
        dr2 = narrow(dr, -1, k, n - k)
        beside = matmul(q, dr2)
        dq = add(dq, matmul(matmul(q, narrow(r, -1, k, n - k)), mT(dr2)))
        r, dr = narrow(r, -1, 0, k), narrow(dr, -1, 0, k)
    m = sub(matmul(r, mT(dr)), matmul(mT(dq), q))
    mirrored = add(lower(m), mT(lower(m, -1)))
    da = mT(apply(SOLVE_TRIANGULAR, r, mT(add(dq, matmul(q, mirrored))), upper=True, unit=False))
    return da if beside is None else cat([da, beside], -1)


def _qr_samples(rng: np.random.Generator) -> Iterator[Sample]:
    for shape in ((3, 3), (1, 1), (4, 2), (2, 4), (2, 3, 2), (2, 2, 3), (0, 2, 2), (3, 0), (0, 3), (0, 0)):
        yield Sample((rng.standard_normal(shape),), {"complete": False})
    for shape in ((3, 2), (2, 3), (2, 1, 1)):
        yield Sample((rng.standard_normal(shape),), {"complete": True})


QR = Op(
    "qr",
    _qr_reference,
    None,
    (_qr_dx,),
    None,
    _qr_samples,
    batch=shifted("qr"),
)


def linalg_qr(A: Any, mode: str = "reduced", *, out: Any = None) -> Any:
    r"""(Q, R): A = Q R, the columns of Q orthonormal, R an upper triangle.

        forward    a = q r
        backward   da = (dq + q copyltu(r dr^T - dq^T q)) r^-T for as many columns as there are rows, or fewer;
                   of more columns, a = (a1, a2): da2 = q dr2, and dq gets a2 dr2^T

    A (*, m, n), k = min(m, n). mode "reduced": Q (*, m, k), R (*, k, n); "complete": Q (*, m, m), R (*, m, n), with the
    gradient of functions which do not depend on the choice of the columns of Q after the k-th; "r": Q is empty. R has
    the signs on its diagonal that Householder's reflections give. The first k columns of A must be independent for a
    gradient.

    >>> mt.linalg.qr(mt.tensor([[3.0], [4.0]])).R
    tensor([[-5.]])
    """
    need_matrices("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise ShapeError(f"linalg.qr: mode must be 'reduced', 'complete' or 'r', not {mode!r}")
    q, r = apply(QR, A, complete=mode == "complete")
    result = return_types.linalg_qr(reshape(narrow(q, -2, 0, 0), (0,)) if mode == "r" else q, r)
    return result if out is None else write_out("linalg.qr", result, out)


def qr(input: Any, some: bool = True, *, out: Any = None) -> Any:
    """(Q, R); see `linalg.qr`.

    >>> mt.qr(mt.eye(2)).Q.abs()
    tensor([[1., 0.],
            [0., 1.]])
    """
    result = return_types.qr(*linalg_qr(input, "reduced" if some else "complete"))
    return result if out is None else write_out("qr", result, out)


def householder_product(A: Any, tau: Any, *, out: Any = None) -> Any:
    r"""The first columns of a product of Householder's reflections, as other programs leave their QR decompositions.

        forward    out = H_1 H_2 ... H_k without its last m - n columns,  H_i = 1 - tau_i v_i v_i^T

    A (*, m, n) with m >= n holds v_i in column i below the diagonal, where it is 1 and 0 above; tau (*, k), k <= n.

    >>> mt.linalg.householder_product(mt.tensor([[0.0], [1.0]]), mt.tensor([1.0]))
    tensor([[ 0.],
            [-1.]])
    """
    name = "linalg.householder_product"
    need_matrices(name, A)
    (*batch, m, n), t_shape = shape_of(A), shape_of(tau)
    if m < n or len(t_shape) != len(batch) + 1 or list(t_shape[:-1]) != batch or t_shape[-1] > n:
        raise ShapeError(
            f"{name}: A {shape_of(A)} and tau {t_shape}: expected A (*, m, n), m >= n, and tau (*, k), k <= n"
        )
    eye = np.eye(m, n, dtype=array_of(A).dtype)
    vectors = add(lower(A, -1), eye)
    result = add(zero(A), eye)
    for i in reversed(range(t_shape[-1])):
        v = narrow(vectors, -1, i, 1)
        t = reshape(narrow(tau, -1, i, 1), (*batch, 1, 1))
        result = sub(result, mul(t, matmul(v, matmul(mT(v), result))))
    return result if out is None else write_out(name, result, out)
