r"""Complex numbers: their parts, their conjugate, their size and angle.

A complex tensor is a NumPy array of complex64 or complex128, and every operator computes with it by its reference. A
gradient is PyTorch's, dL/dx + i dL/dy at z = x + i y: the direction in which a real loss grows fastest. How the rules
of real operators give it is told in `Op` (op.py); which operators take complex numbers stands below.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DtypeError, ShapeError
from ..graph.record import apply
from ..op import Op, Result, Sample, holomorphic, take_complex
from . import (
    arithmetic,
    comparison,
    functions,
    indexing,
    join,
    matmul,
    pad,
    reduce,
    rounding,
    scan,
    shape,
    solve,
    trigonometry,
)
from .common import Array, array_of, draws, raw, write_out

_ = pad, reduce, rounding, scan, solve  # which have some of these operators

# Those whose derivative at a complex number is the real rule's formula, and those that have no derivative.
holomorphic(
    *"mul div reciprocal square lerp tanh_vjp linear inv solve solve_triangular prod cumprod".split(),
    *"exp expm1 exp2 log log1p log2 log10 sqrt rsqrt pow pow_scalar".split(),
    *"sin cos tan asin acos atan sinh cosh tanh asinh acosh atanh".split(),
)
take_complex(*"zero add sub neg where pad eq ne isclose isfinite isinf isnan isreal any all count_nonzero".split())


def is_complex(x: Any) -> bool:
    """Whether `x` is a tensor or an array of complex numbers."""
    a = raw(x)
    return isinstance(a, np.ndarray) and a.dtype.kind == "c"


# --- samples ----------------------------------------------------------------------------------------------------------


def _numbers(rng: np.random.Generator) -> Iterator[Sample]:
    for sizes in ((2, 3), (), (0, 3), (5,)):
        yield Sample((rng.standard_normal(sizes) + 1j * rng.standard_normal(sizes),))


def conj(input: Any) -> Any:
    """The complex conjugate; a real tensor itself.

    >>> mt.conj(mt.tensor([1 + 2j]))
    tensor([1.-2.j])
    """
    array_of(input)  # raises for what is no tensor, in this function's name
    return matmul.conjugate(input)


# --- pairs of real numbers and complex ones: the same memory ----------------------------------------------------------


def _view_as_real_reference(x: Array) -> Result:
    return x[..., None].view(x.real.dtype), ()


def _view_as_complex_reference(x: Array) -> Result:
    pairs = x if x.strides[-1] == x.itemsize else np.ascontiguousarray(x)
    return pairs.view(np.result_type(x.dtype, np.complex64))[..., 0], ()


def _pairs(rng: np.random.Generator) -> Iterator[Sample]:
    for sizes in ((3, 2), (2,), (0, 2), (2, 5, 2)):
        yield Sample((rng.standard_normal(sizes),))


VIEW_AS_REAL: Op = Op(
    "view_as_real", _view_as_real_reference, None, (lambda g: apply(VIEW_AS_COMPLEX, g),), "linear", _numbers, view=True
)
VIEW_AS_COMPLEX: Op = Op(
    "view_as_complex",
    _view_as_complex_reference,
    None,
    (lambda g: apply(VIEW_AS_REAL, g),),
    "linear",
    _pairs,
    view=True,
)


def view_as_real(input: Any) -> Any:
    """The real and imaginary parts, along a new last axis of 2: a view. Raises DtypeError for a real tensor.

    >>> mt.view_as_real(mt.tensor([1 + 2j]))
    tensor([[1., 2.]])
    """
    if not is_complex(input):
        raise DtypeError(f"view_as_real: expected a complex tensor, got {array_of(input).dtype}")
    return apply(VIEW_AS_REAL, input)


def view_as_complex(input: Any) -> Any:
    """Pairs along the last axis, of 2, as complex numbers: a view of float32 or float64, whose pairs lie together.

    >>> mt.view_as_complex(mt.tensor([[1.0, 2.0]]))
    tensor([1.+2.j])
    """
    x = array_of(input)
    if x.dtype.kind != "f" or x.dtype.itemsize < 4:
        raise DtypeError(f"view_as_complex: expected float32 or float64, got {x.dtype}")
    if x.ndim == 0 or x.shape[-1] != 2:
        raise ShapeError(f"view_as_complex: the last axis must have 2 elements, got {x.shape}")
    if x.strides[-1] != x.itemsize or any(s % (2 * x.itemsize) for s in x.strides[:-1]):
        raise ShapeError("view_as_complex: the pairs do not lie together in memory; use contiguous()")
    return apply(VIEW_AS_COMPLEX, input)


def real(input: Any) -> Any:
    """The real part, a view; of a real tensor itself.

    >>> mt.real(mt.tensor([1 + 2j]))
    tensor([1.])
    """
    return indexing.getitem(apply(VIEW_AS_REAL, input), (..., 0)) if is_complex(input) else input


def imag(input: Any) -> Any:
    """The imaginary part, a view. Raises DtypeError for a real tensor.

    >>> mt.imag(mt.tensor([1 + 2j]))
    tensor([2.])
    """
    if not is_complex(input):
        raise DtypeError(f"imag: expected a complex tensor, got {array_of(input).dtype}")
    return indexing.getitem(apply(VIEW_AS_REAL, input), (..., 1))


def _need_pair(name: str, x: Any, y: Any) -> None:
    a, b = array_of(x).dtype, array_of(y).dtype
    if a != b or a.kind != "f" or a.itemsize < 4:
        raise DtypeError(f"{name}: expected two tensors of float32 or of float64, got {a} and {b}")


def complex(real: Any, imag: Any, *, out: Any = None) -> Any:
    """Complex numbers of a real and an imaginary part, which broadcast. Raises DtypeError where their dtypes differ.

    >>> mt.complex(mt.tensor([1.0]), mt.tensor([2.0]))
    tensor([1.+2.j])
    """
    _need_pair("complex", real, imag)
    sizes = np.broadcast_shapes(array_of(real).shape, array_of(imag).shape)
    pairs = join.stack([shape.expand(real, sizes), shape.expand(imag, sizes)], -1)
    result = apply(VIEW_AS_COMPLEX, pairs)
    return result if out is None else write_out("complex", result, out)


def polar(abs: Any, angle: Any, *, out: Any = None) -> Any:
    """Complex numbers of their size and their angle: abs (cos(angle) + i sin(angle)). Errors as `complex`.

    >>> mt.polar(mt.tensor([2.0]), mt.tensor([0.0]))
    tensor([2.+0.j])
    """
    _need_pair("polar", abs, angle)
    result = complex(arithmetic.mul(abs, trigonometry.cos(angle)), arithmetic.mul(abs, trigonometry.sin(angle)))
    return result if out is None else write_out("polar", result, out)


# --- size, direction, angle -------------------------------------------------------------------------------------------


def _modulus_jvp(tangents: Any, x: Any) -> Any:
    return real(arithmetic.mul(tangents[0], conj(direction(x))))


MODULUS = Op(
    "modulus",
    lambda x: (np.abs(x), (x,)),
    None,
    (lambda g, x: arithmetic.mul(g, direction(x)),),
    _modulus_jvp,
    draws(((2, 3),), away=0.5),
    complex=True,
)


def modulus(x: Any) -> Any:
    """|z| = sqrt(x^2 + y^2); its gradient is g z / |z|, and 0 at 0."""
    return apply(MODULUS, x)


def direction(x: Any) -> Any:
    """z / |z|, and 0 at 0."""
    size = modulus(x) if is_complex(x) else functions.abs(x)
    return arithmetic.div(x, comparison.where(comparison.eq(size, 0), 1.0, size))


def phase(x: Any) -> Any:
    """The angle between complex numbers and the positive axis."""
    return trigonometry.atan2(imag(x), real(x))
