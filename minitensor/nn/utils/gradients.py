"""Clipping gradients, and all parameters as one vector."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ...autograd import no_grad
from ...errors import ShapeError
from ...graph.record import apply
from ...graph.tensors import Tensor as Core
from ...graph.tensors import wrap
from ...graph.views import written
from ...ops.join import cat
from ...ops.moments import NORM
from ...ops.shape import reshape


def _grads(parameters: Any) -> list[Any]:
    given: list[Any] = [parameters] if isinstance(parameters, Core) else list(parameters)
    return [p.grad for p in given if p.grad is not None]


def _norm(a: Any, order: float) -> Any:
    """The norm of all elements: for the usual order by our kernel and threads, not those of NumPy's BLAS.

    Those spin for a while after they have worked, and the next kernel's threads find their cores taken.
    """
    if order != 2 or a.dtype.kind != "f":
        return np.linalg.norm(a.reshape(-1), order)
    return apply(NORM, a, axes=tuple(range(a.ndim)), keepdim=False, p=2.0)


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: bool | None = None
) -> Any:
    """The norm of all elements of all tensors, as a tensor without axes; norm_type may be inf.

    Raises RuntimeError for a norm that is infinite or NaN, with `error_if_nonfinite`.
    """
    arrays = [x.array for x in ([tensors] if isinstance(tensors, Core) else tensors)]
    if not arrays:
        return wrap(np.zeros((), np.float32))
    norms = np.array([_norm(a, float(norm_type)) if a.size else 0.0 for a in arrays])
    norm = np.asarray(np.linalg.norm(norms, float(norm_type)), np.result_type(*arrays))
    if error_if_nonfinite and not np.isfinite(norm):
        raise ShapeError(f"the norm of order {norm_type} of the gradients is {norm}")
    return wrap(norm)


def clip_grads_with_norm_(parameters: Any, max_norm: float, total_norm: Any, foreach: bool | None = None) -> None:
    """Scales all gradients, whose norm is `total_norm`, together so that it is at most `max_norm`."""
    norm = total_norm.array
    share = norm.dtype.type(max_norm) / (norm + norm.dtype.type(1e-6))
    if not share >= 1:  # also for NaN, which then shows in the parameters
        grads = _grads(parameters)
        for g in grads:
            array = g.array
            np.multiply(array, share if share.dtype is array.dtype else share.astype(array.dtype), out=array)
        written(grads)


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Any:
    """Scales all gradients together so that their norm is at most `max_norm`; returns the old norm.

    Raises RuntimeError for a norm that is infinite or NaN, with `error_if_nonfinite`.
    Source: R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural
    networks" (2013).

    >>> w = mt.nn.Parameter(mt.zeros(2))
    >>> w.grad = mt.tensor([3.0, 4.0])
    >>> mt.nn.utils.clip_grad_norm_([w], 1.0)
    tensor(5.)
    >>> w.grad
    tensor([0.6000, 0.8000])
    """
    given = [parameters] if isinstance(parameters, Core) else list(parameters)
    total = get_total_norm(_grads(given), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(given, max_norm, total)
    return total


def clip_grad_value_(parameters: Any, clip_value: float, foreach: bool | None = None) -> None:
    """Clips every element of every gradient to [-clip_value, clip_value]."""
    bound = float(clip_value)
    for g in _grads(parameters):
        np.clip(g.array, -bound, bound, out=g.array)
        g.version.bump()


def parameters_to_vector(parameters: Iterable[Any]) -> Any:
    """All elements of all parameters, one after the other, in the graph.

    >>> mt.nn.utils.parameters_to_vector([mt.ones(2, 2), mt.zeros(1)])
    tensor([1., 1., 1., 1., 0.])
    """
    return cat([reshape(p, -1) for p in parameters])


def vector_to_parameters(vec: Any, parameters: Iterable[Any]) -> None:
    """Writes the elements of a vector into parameters: the inverse of `parameters_to_vector`.

    Raises ShapeError, before anything is written, if their number differs.
    """
    targets = list(parameters)
    have, need = vec.numel(), sum(p.numel() for p in targets)
    if have != need:
        raise ShapeError(f"vector_to_parameters: {have} elements for parameters of {need}")
    position = 0
    with no_grad():
        for p in targets:
            p.copy_(reshape(vec.detach()[position : position + p.numel()], p.shape))
            position += p.numel()
