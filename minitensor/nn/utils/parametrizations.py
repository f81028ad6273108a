"""Ready parametrizations of weights: weight norm, spectral norm, orthogonal matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from ... import creation, linalg, random
from ...autograd import no_grad
from ...errors import ShapeError
from ...graph.tensors import wrap
from ...ops.common import shape_of
from ...ops.functions import sqrt
from ...ops.join import cat
from ...ops.matmul import dot, matmul, mv
from ...ops.reduce import sum
from ...ops.shape import movedim, reshape
from ..conv import ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from ..module import Module
from .parametrize import register_parametrization

__all__ = ["orthogonal", "spectral_norm", "weight_norm"]


def norm_except(v: Any, dim: int | None) -> Any:
    """The norm over all axes but one, which keeps its place; over all axes for None or -1."""
    n = len(shape_of(v))
    if dim is None or dim == -1:
        return sqrt(sum(v * v))
    return sqrt(sum(v * v, dim=tuple([i for i in range(n) if i != dim % n]), keepdim=True))


class _WeightNorm(Module):
    def __init__(self, dim: int | None = 0) -> None:
        super().__init__()
        self.dim = -1 if dim is None else dim

    def forward(self, weight_g: Any, weight_v: Any) -> Any:
        """weight = g v / |v|."""
        return weight_v * (weight_g / norm_except(weight_v, self.dim))

    def right_inverse(self, weight: Any) -> Any:
        """(g, v) of a weight."""
        return norm_except(weight, self.dim), weight.clone()


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    r"""A weight as its length times its direction, g v / |v|, for each index of the axis `dim` (None: all in one).

    The originals are original0, g, and original1, v. Returns the module.
    Source: T. Salimans, D. Kingma, "Weight normalization" (2016).

    >>> layer = mt.nn.utils.parametrizations.weight_norm(mt.nn.Linear(3, 2))
    >>> layer.parametrizations.weight.original0.shape
    minitensor.Size([2, 1])
    """
    return register_parametrization(module, name, _WeightNorm(dim), unsafe=True)


def unit(x: Any, eps: float) -> Any:
    """A vector divided by its length."""
    return x / sqrt(sum(x * x)).clamp_min(eps)


class _SpectralNorm(Module):
    _u: Any
    _v: Any

    def __init__(self, weight: Any, n_power_iterations: int = 1, dim: int = 0, eps: float = 1e-12) -> None:
        super().__init__()
        n = len(shape_of(weight))
        if not -n <= dim < n:
            raise IndexError(f"spectral_norm: dim {dim} is out of range for {n} axes")
        if n_power_iterations <= 0:
            raise ShapeError(f"spectral_norm: n_power_iterations must be positive, not {n_power_iterations}")
        self.dim = dim % n
        self.eps = eps
        if n > 1:
            self.n_power_iterations = n_power_iterations
            matrix = self._matrix(weight)
            for name, size in zip(("_u", "_v"), shape_of(matrix), strict=True):
                x = random.normal_(creation.empty(size, dtype=weight.dtype), 0, 1)
                self.register_buffer(name, unit(x, eps))
            self._power(matrix.detach(), 15)

    def _matrix(self, weight: Any) -> Any:
        return reshape(movedim(weight, self.dim, 0), (shape_of(weight)[self.dim], -1))

    def _power(self, matrix: Any, count: int) -> None:
        with no_grad():
            for _ in range(count):
                self._u.copy_(unit(mv(matrix, self._v), self.eps))
                self._v.copy_(unit(mv(matrix.mT, self._u), self.eps))

    def forward(self, weight: Any) -> Any:
        """weight / sigma; in training, sigma is first brought nearer to the largest singular value."""
        if len(shape_of(weight)) == 1:
            return unit(weight, self.eps)
        matrix = self._matrix(weight)
        if self.training:
            self._power(matrix.detach(), self.n_power_iterations)
        return weight / dot(self._u.clone(), mv(matrix, self._v.clone()))

    def right_inverse(self, value: Any) -> Any:
        """The value: its norm is not known to matter."""
        return value


def _columns(module: Any, dim: int | None) -> int:
    """The axis of a weight that counts the outputs."""
    if dim is not None:
        return dim
    return 1 if isinstance(module, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)) else 0


def spectral_norm(
    module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Any:
    r"""A weight divided by its largest singular value, as a matrix whose rows are the axis `dim`.

    The singular value is found by `n_power_iterations` steps of the power method at every use in training.
    Source: T. Miyato et al., "Spectral normalization for generative adversarial networks" (2018).

    >>> layer = mt.nn.utils.parametrizations.spectral_norm(mt.nn.Linear(3, 2))
    >>> bool(abs(mt.linalg.matrix_norm(layer.weight, 2) - 1) < 0.01)
    True
    """
    weight = getattr(module, name)
    return register_parametrization(module, name, _SpectralNorm(weight, n_power_iterations, _columns(module, dim), eps))


def _lower(x: Any, diagonal: int) -> Any:
    """The part of a matrix on and below a diagonal."""
    return x * wrap(np.tril(np.ones(shape_of(x)[-2:], x.array.dtype), diagonal))


class _Orthogonal(Module):
    base: Any

    def __init__(self, weight: Any, kind: str, use_trivialization: bool) -> None:
        super().__init__()
        self.shape = tuple(shape_of(weight))
        self.orthogonal_map = kind
        self.use_trivialization = use_trivialization
        self.register_buffer("base", None)

    def forward(self, x: Any) -> Any:
        """A matrix with orthonormal columns, or rows if there are fewer."""
        wide = self.shape[-2] < self.shape[-1]
        x = x.mT if wide else x
        n, k = shape_of(x)[-2:]
        if self.orthogonal_map == "householder":
            below = _lower(x, -1)
            tau = 2 / (1 + sum(below * below, dim=-2))
            q = linalg.householder_product(below, tau)
            q = q * wrap(np.sign(np.diagonal(x.array, axis1=-2, axis2=-1)))[..., None, :].to(x.dtype)
        else:
            x = _lower(x, 0)
            if n != k:
                x = cat([x, creation.zeros((*shape_of(x)[:-1], n - k), dtype=x.dtype)], -1)
            a = x - x.mT
            if self.orthogonal_map == "matrix_exp":
                q = linalg.matrix_exp(a)
            else:
                one = creation.eye(n, dtype=a.dtype)
                q = linalg.solve(one - a * 0.5, one + a * 0.5)
            q = q[..., :k]
        if self.base is not None:
            q = matmul(self.base, q)
        return q.mT if wide else q

    def right_inverse(self, value: Any) -> Any:
        """The original that gives a value, which is first made orthogonal if it is not."""
        if tuple(shape_of(value)) != self.shape:
            raise ShapeError(f"orthogonal: a value of shape {shape_of(value)} for a weight of {self.shape}")
        wide = self.shape[-2] < self.shape[-1]
        q = np.swapaxes(value.array, -1, -2) if wide else value.array
        n, k = q.shape[-2:]
        if not self.use_trivialization:
            if self.orthogonal_map != "householder":
                raise NotImplementedError(
                    f"orthogonal: with the map {self.orthogonal_map!r} a value can be set only with use_trivialization"
                )
            h, tau = np.linalg.qr(q, mode="raw")
            made = np.swapaxes(h, -1, -2).copy()
            signs = np.sign(np.diagonal(made, axis1=-2, axis2=-1)) * np.where(tau == 0, -1, 1)
            made[..., np.arange(k), np.arange(k)] = signs
            return wrap(np.swapaxes(made, -1, -2).copy() if wide else made)
        if n != k:
            more = random.randn(*q.shape[:-2], n, n - k, dtype=value.dtype).array
            q = np.concatenate([q, more], -1)
        eps = 10.0 * n * np.finfo(q.dtype).eps
        if n != k or not np.allclose(np.swapaxes(q, -1, -2) @ q, np.eye(n), atol=eps):
            q, r = np.linalg.qr(q)
            q = q * np.sign(np.diagonal(r, axis1=-2, axis2=-1))[..., None, :]
        self.base = wrap(np.ascontiguousarray(q))
        start = np.zeros(self.shape, value.array.dtype)
        start[..., np.arange(k), np.arange(k)] = -1
        return wrap(start)


def orthogonal(
    module: Any, name: str = "weight", orthogonal_map: str | None = None, *, use_trivialization: bool = True
) -> Any:
    r"""A matrix whose columns (or rows, if there are fewer) are orthonormal, whatever the original is.

        matrix_exp     exp(A),  A skew-symmetric             the default for a square matrix
        cayley         (1 - A/2)^-1 (1 + A/2)
        householder    a product of reflections               the default for others
    Each times a fixed matrix, the value at the beginning, unless `use_trivialization` is False.
    Source: M. Lezcano-Casado, "Trivializations for gradient-based optimization on manifolds" (2019).

    >>> layer = mt.nn.utils.parametrizations.orthogonal(mt.nn.Linear(3, 5), orthogonal_map="cayley")
    >>> bool((layer.weight.T @ layer.weight - mt.eye(3)).abs().max() < 1e-5)
    True
    """
    weight = getattr(module, name)
    shape = shape_of(weight)
    if len(shape) < 2:
        raise ShapeError(f"orthogonal: expected a matrix or a batch of matrices, got {shape}")
    kind = orthogonal_map or ("matrix_exp" if shape[-1] == shape[-2] else "householder")
    if kind not in ("matrix_exp", "cayley", "householder"):
        raise ShapeError(f"orthogonal: the map must be 'matrix_exp', 'cayley' or 'householder', not {kind!r}")
    return register_parametrization(module, name, _Orthogonal(weight, kind, use_trivialization), unsafe=True)
