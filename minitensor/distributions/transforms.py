"""Functions of random numbers with their inverse and the logarithm of the Jacobian determinant's size.

A density changes by it: y = f(x) has p(y) = p(x) / |det df/dx|. The last `event_dim` axes of a value belong together.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import creation
from ..nn.functional import logsigmoid, pad, softplus
from ..ops.common import shape_of
from ..ops.rearrange import broadcast_tensors
from ..tensor import Size, Tensor
from . import constraints
from .distribution import eps_of, sum_last, tiny_of

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "ComposeTransform",
    "CumulativeDistributionTransform",
    "ExpTransform",
    "IndependentTransform",
    "LowerCholeskyTransform",
    "PositiveDefiniteTransform",
    "PowerTransform",
    "ReshapeTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "StickBreakingTransform",
    "TanhTransform",
    "Transform",
    "biject_to",
    "identity_transform",
    "transform_to",
]


class Transform:
    """y = f(x), called as such; `t.inv` is the inverse as a transform.

    A subclass says `_call`, `_inverse`, `log_abs_det_jacobian(x, y)` and the sets `domain` and `codomain`. With
    `cache_size=1` the last pair of values is kept, so that `t.inv(t(x))` is `x` itself.

    >>> t = mt.distributions.ExpTransform()
    >>> t(mt.tensor(0.0)), t.inv(mt.tensor(1.0)), t.log_abs_det_jacobian(mt.tensor(2.0), None)
    (tensor(1.), tensor(0.), tensor(2.))
    """

    bijective = False
    domain: Any = constraints.real
    codomain: Any = constraints.real

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ValueError("cache_size must be 0 or 1")
        self._cache_size = cache_size
        self._last: tuple[Any, Any] = (None, None)

    @property
    def event_dim(self) -> int:
        """How many of the last axes belong together."""
        if self.domain.event_dim == self.codomain.event_dim:
            return int(self.domain.event_dim)
        raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")

    @property
    def sign(self) -> Any:
        """1 where the function of one number rises, -1 where it falls."""
        raise NotImplementedError(f"{type(self).__name__} has no sign: it is no monotonic function of one number")

    @property
    def inv(self) -> Transform:
        """The inverse."""
        return _InverseTransform(self)

    def with_cache(self, cache_size: int = 1) -> Transform:
        """The same with another size of cache."""
        if self._cache_size == cache_size:
            return self
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        new._cache_size, new._last = cache_size, (None, None)
        return new

    def __call__(self, x: Any) -> Any:
        if self._cache_size and x is self._last[0]:
            return self._last[1]
        y = self._call(x)
        self._last = (x, y) if self._cache_size else (None, None)
        return y

    def _inv_call(self, y: Any) -> Any:
        if self._cache_size and y is self._last[1]:
            return self._last[0]
        x = self._inverse(y)
        self._last = (x, y) if self._cache_size else (None, None)
        return x

    def _call(self, x: Any) -> Any:
        raise NotImplementedError

    def _inverse(self, y: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no inverse")

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        """ln |det df/dx| at x, where y = f(x)."""
        raise NotImplementedError(f"{type(self).__name__} has no Jacobian determinant")

    def forward_shape(self, shape: Any) -> Any:
        """The shape of y for an x of a shape."""
        return Size(shape)

    def inverse_shape(self, shape: Any) -> Any:
        """The shape of x for a y of a shape."""
        return Size(shape)

    def __eq__(self, other: object) -> bool:
        return self is other or (type(self) is type(other) and self._settings() == other._settings())

    def _settings(self) -> tuple[Any, ...]:
        """What tells two transforms of one class apart."""
        return ()

    def __hash__(self) -> int:
        return hash(type(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class _InverseTransform(Transform):
    """A transform backwards."""

    def __init__(self, transform: Transform) -> None:
        super().__init__(transform._cache_size)
        self._inv = transform

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return self._inv.bijective

    @property
    def domain(self) -> Any:
        return self._inv.codomain

    @property
    def codomain(self) -> Any:
        return self._inv.domain

    @property
    def sign(self) -> Any:
        return self._inv.sign

    @property
    def inv(self) -> Transform:
        return self._inv

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self._inv.with_cache(cache_size).inv

    def __call__(self, x: Any) -> Any:
        return self._inv._inv_call(x)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Any) -> Any:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Any) -> Any:
        return self._inv.forward_shape(shape)

    def _settings(self) -> tuple[Any, ...]:
        return (self._inv,)

    __hash__ = Transform.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inv!r})"


class ComposeTransform(Transform):
    """Several transforms, one after the other.

    >>> d = mt.distributions
    >>> t = d.ComposeTransform([d.AffineTransform(1.0, 2.0), d.ExpTransform()])
    >>> t(mt.tensor(0.0)), t.inv(mt.tensor(1.0))
    (tensor(2.7183), tensor(-0.5000))
    """

    def __init__(self, parts: Sequence[Transform], cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.parts = [part.with_cache(cache_size) for part in parts] if cache_size else list(parts)

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return all(part.bijective for part in self.parts)

    @property
    def domain(self) -> Any:
        if not self.parts:
            return constraints.real
        first = self.parts[0].domain
        axes = self.parts[-1].codomain.event_dim
        for part in reversed(self.parts):
            axes = max(axes + part.domain.event_dim - part.codomain.event_dim, part.domain.event_dim)
        return constraints.independent(first, axes - first.event_dim) if axes > first.event_dim else first

    @property
    def codomain(self) -> Any:
        if not self.parts:
            return constraints.real
        last = self.parts[-1].codomain
        axes = self.parts[0].domain.event_dim
        for part in self.parts:
            axes = max(axes + part.codomain.event_dim - part.domain.event_dim, part.codomain.event_dim)
        return constraints.independent(last, axes - last.event_dim) if axes > last.event_dim else last

    @property
    def sign(self) -> Any:
        return math.prod(part.sign for part in self.parts)

    @property
    def inv(self) -> Transform:
        return ComposeTransform([part.inv for part in reversed(self.parts)], self._cache_size)

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self if self._cache_size == cache_size else ComposeTransform(self.parts, cache_size)

    def __call__(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        if not self.parts:
            return creation.zeros_like(x)
        xs = [x]
        for part in self.parts[:-1]:
            xs.append(part(xs[-1]))
        xs.append(self.parts[-1](xs[-1]) if y is None else y)
        axes, total = self.domain.event_dim, 0.0
        for part, a, b in zip(self.parts, xs, xs[1:], strict=False):
            total = total + sum_last(part.log_abs_det_jacobian(a, b), axes - part.domain.event_dim)
            axes += part.codomain.event_dim - part.domain.event_dim
        return total

    def forward_shape(self, shape: Any) -> Any:
        for part in self.parts:
            shape = part.forward_shape(shape)
        return Size(shape)

    def inverse_shape(self, shape: Any) -> Any:
        for part in reversed(self.parts):
            shape = part.inverse_shape(shape)
        return Size(shape)

    def _settings(self) -> tuple[Any, ...]:
        return tuple(self.parts)

    __hash__ = Transform.__hash__

    def __repr__(self) -> str:
        return "ComposeTransform(\n    " + ",\n    ".join(repr(part) for part in self.parts) + "\n)"


identity_transform = ComposeTransform([])


class IndependentTransform(Transform):
    """A transform whose last batch axes count as one value: its log determinants are added up.

    >>> t = mt.distributions.IndependentTransform(mt.distributions.ExpTransform(), 1)
    >>> t.log_abs_det_jacobian(mt.tensor([1.0, 2.0]), None)
    tensor(3.)
    """

    def __init__(self, base_transform: Transform, reinterpreted_batch_ndims: int, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.base_transform = base_transform.with_cache(cache_size)
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @property
    def bijective(self) -> bool:  # type: ignore[override]
        return self.base_transform.bijective

    @property
    def domain(self) -> Any:
        return constraints.independent(self.base_transform.domain, self.reinterpreted_batch_ndims)

    @property
    def codomain(self) -> Any:
        return constraints.independent(self.base_transform.codomain, self.reinterpreted_batch_ndims)

    @property
    def sign(self) -> Any:
        return self.base_transform.sign

    def _call(self, x: Any) -> Any:
        return self.base_transform(x)

    def _inverse(self, y: Any) -> Any:
        return self.base_transform.inv(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return sum_last(self.base_transform.log_abs_det_jacobian(x, y), self.reinterpreted_batch_ndims)

    def forward_shape(self, shape: Any) -> Any:
        return self.base_transform.forward_shape(shape)

    def inverse_shape(self, shape: Any) -> Any:
        return self.base_transform.inverse_shape(shape)

    def _settings(self) -> tuple[Any, ...]:
        return self.base_transform, self.reinterpreted_batch_ndims

    __hash__ = Transform.__hash__

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.base_transform!r}, {self.reinterpreted_batch_ndims})"


class ReshapeTransform(Transform):
    """The last axes in another shape.

    >>> mt.distributions.ReshapeTransform((4,), (2, 2))(mt.zeros(3, 4)).shape
    minitensor.Size([3, 2, 2])
    """

    bijective = True

    def __init__(self, in_shape: Any, out_shape: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.in_shape, self.out_shape = Size(in_shape), Size(out_shape)
        if math.prod(self.in_shape) != math.prod(self.out_shape):
            raise ValueError("in_shape, out_shape have different numbers of elements")

    @property
    def domain(self) -> Any:
        return constraints.independent(constraints.real, len(self.in_shape))

    @property
    def codomain(self) -> Any:
        return constraints.independent(constraints.real, len(self.out_shape))

    def _batch(self, x: Any, shape: Any) -> tuple[int, ...]:
        given = shape_of(x)
        return given[: len(given) - len(shape)]

    def _call(self, x: Any) -> Any:
        return x.reshape(self._batch(x, self.in_shape) + tuple(self.out_shape))

    def _inverse(self, y: Any) -> Any:
        return y.reshape(self._batch(y, self.out_shape) + tuple(self.in_shape))

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return creation.zeros(self._batch(x, self.in_shape), dtype=x.dtype)

    def forward_shape(self, shape: Any) -> Any:
        return _other_end(shape, self.in_shape, self.out_shape)

    def inverse_shape(self, shape: Any) -> Any:
        return _other_end(shape, self.out_shape, self.in_shape)

    def _settings(self) -> tuple[Any, ...]:
        return tuple(self.in_shape), tuple(self.out_shape)

    __hash__ = Transform.__hash__


def _other_end(shape: Any, old: Any, new: Any) -> Any:
    cut = len(shape) - len(old)
    if cut < 0 or tuple(shape[cut:]) != tuple(old):
        raise ValueError(f"Shape mismatch: expected {tuple(old)} at the end of {tuple(shape)}")
    return Size(tuple(shape[:cut]) + tuple(new))


class ExpTransform(Transform):
    """y = exp(x)."""

    codomain = constraints.positive
    bijective = True
    sign = +1

    def _call(self, x: Any) -> Any:
        return x.exp()

    def _inverse(self, y: Any) -> Any:
        return y.log()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return x


class PowerTransform(Transform):
    """y = x^exponent, for positive x."""

    domain = constraints.positive
    codomain = constraints.positive
    bijective = True

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.exponent = exponent if isinstance(exponent, Tensor) else creation.tensor(float(exponent))

    @property
    def sign(self) -> Any:
        return self.exponent.sign()

    def _call(self, x: Any) -> Any:
        return x.pow(self.exponent)

    def _inverse(self, y: Any) -> Any:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Any) -> Any:
        return Size(np.broadcast_shapes(tuple(shape), shape_of(self.exponent)))

    inverse_shape = forward_shape

    def _settings(self) -> tuple[Any, ...]:
        return (self.exponent.tolist(),)

    __hash__ = Transform.__hash__


def _clipped_sigmoid(x: Any) -> Any:
    return x.sigmoid().clamp(tiny_of(x), 1.0 - eps_of(x))


class SigmoidTransform(Transform):
    """y = 1 / (1 + exp(-x)), kept off 0 and 1."""

    codomain = constraints.unit_interval
    bijective = True
    sign = +1

    def _call(self, x: Any) -> Any:
        return _clipped_sigmoid(x)

    def _inverse(self, y: Any) -> Any:
        y = y.clamp(tiny_of(y), 1.0 - eps_of(y))
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -softplus(-x) - softplus(x)


class SoftplusTransform(Transform):
    """y = ln(1 + exp(x)), and x itself above 20."""

    codomain = constraints.positive
    bijective = True
    sign = +1

    def _call(self, x: Any) -> Any:
        return softplus(x)

    def _inverse(self, y: Any) -> Any:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return -softplus(-x)


class TanhTransform(Transform):
    """y = tanh(x). Near -1 and 1 the inverse is inaccurate: take `cache_size=1`."""

    codomain = constraints.interval(-1.0, 1.0)
    bijective = True
    sign = +1

    def _call(self, x: Any) -> Any:
        return x.tanh()

    def _inverse(self, y: Any) -> Any:
        return y.atanh()

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return 2.0 * (math.log(2.0) - x - softplus(-2.0 * x))  # ln(1 - tanh(x)^2)


class AbsTransform(Transform):
    """y = |x|; as its inverse, y itself."""

    codomain = constraints.positive

    def _call(self, x: Any) -> Any:
        return x.abs()

    def _inverse(self, y: Any) -> Any:
        return y


class AffineTransform(Transform):
    """y = loc + scale x.

    >>> mt.distributions.AffineTransform(1.0, 2.0)(mt.tensor(3.0))
    tensor(7.)
    """

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim

    @property
    def event_dim(self) -> int:
        return self._event_dim

    @property
    def domain(self) -> Any:
        return constraints.independent(constraints.real, self._event_dim) if self._event_dim else constraints.real

    codomain = domain

    @property
    def sign(self) -> Any:
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return (self.scale > 0) - (self.scale < 0)

    def _call(self, x: Any) -> Any:
        return self.loc + self.scale * x

    def _inverse(self, y: Any) -> Any:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        shape = shape_of(x)
        if isinstance(self.scale, Tensor):
            size = self.scale.abs().log()
        else:
            size = creation.full((), math.log(abs(self.scale)), dtype=x.dtype)
        (size, _) = broadcast_tensors(size, creation.zeros(shape, dtype=x.dtype))
        return sum_last(size, self._event_dim)

    def forward_shape(self, shape: Any) -> Any:
        return Size(np.broadcast_shapes(tuple(shape), np.shape(self.loc), np.shape(self.scale)))

    inverse_shape = forward_shape

    def _settings(self) -> tuple[Any, ...]:
        return np.asarray(self.loc).tolist(), np.asarray(self.scale).tolist()

    __hash__ = Transform.__hash__


class CumulativeDistributionTransform(Transform):
    """y = the probability, in a distribution of numbers, of values up to x."""

    bijective = True
    codomain = constraints.unit_interval
    sign = +1

    def __init__(self, distribution: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.distribution = distribution

    @property
    def domain(self) -> Any:
        return self.distribution.support

    def _call(self, x: Any) -> Any:
        return self.distribution.cdf(x)

    def _inverse(self, y: Any) -> Any:
        return self.distribution.icdf(y)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        return self.distribution.log_prob(x)

    def _settings(self) -> tuple[Any, ...]:
        return (self.distribution,)

    __hash__ = Transform.__hash__


class SoftmaxTransform(Transform):
    """y = softmax(x) over the last axis; as its inverse, ln y."""

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Any) -> Any:
        return x.softmax(-1)

    def _inverse(self, y: Any) -> Any:
        return y.log()


class StickBreakingTransform(Transform):
    """K - 1 numbers as K that are positive and add up to 1: each breaks a share off what the ones before it left.

    >>> mt.distributions.StickBreakingTransform()(mt.zeros(2))
    tensor([0.3333, 0.3333, 0.3333])
    """

    domain = constraints.real_vector
    codomain = constraints.simplex
    bijective = True

    def _offset(self, n: int, dtype: Any) -> Any:
        """ln of how many pieces come after each of n."""
        return creation.arange(n, 0, -1, dtype=dtype).log()

    def _call(self, x: Any) -> Any:
        z = _clipped_sigmoid(x - self._offset(x.shape[-1], x.dtype))
        return pad(z, [0, 1], value=1.0) * pad((1 - z).cumprod(-1), [1, 0], value=1.0)

    def _inverse(self, y: Any) -> Any:
        pieces = y[..., :-1]
        rest = (1 - pieces.cumsum(-1)).clamp(min=tiny_of(y))
        return pieces.log() - rest.log() + self._offset(pieces.shape[-1], y.dtype)

    def log_abs_det_jacobian(self, x: Any, y: Any) -> Any:
        x = x - self._offset(x.shape[-1], x.dtype)
        return (-x + logsigmoid(x) + y[..., :-1].log()).sum(-1)

    def forward_shape(self, shape: Any) -> Any:
        return Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: Any) -> Any:
        return Size((*shape[:-1], shape[-1] - 1))


class LowerCholeskyTransform(Transform):
    """A matrix's lower triangle, with exp of the diagonal."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.lower_cholesky

    def _call(self, x: Any) -> Any:
        return x.tril(-1) + x.diagonal(0, -2, -1).exp().diag_embed()

    def _inverse(self, y: Any) -> Any:
        return y.tril(-1) + y.diagonal(0, -2, -1).log().diag_embed()


class PositiveDefiniteTransform(Transform):
    """L L^T of the lower triangle L that `LowerCholeskyTransform` makes."""

    domain = constraints.independent(constraints.real, 2)
    codomain = constraints.positive_definite

    def _call(self, x: Any) -> Any:
        lower = LowerCholeskyTransform()(x)
        return lower @ lower.mT

    def _inverse(self, y: Any) -> Any:
        from ..linalg import cholesky

        return LowerCholeskyTransform().inv(cholesky(y))


# --- from unconstrained numbers to a set ------------------------------------------------------------------------------


class ConstraintRegistry:
    """For a set of numbers, a transform from all numbers to it; `register(type)` enters one for a class of sets."""

    def __init__(self) -> None:
        self._makers: dict[type, Any] = {}

    def register(self, constraint: Any, factory: Any = None) -> Any:
        """Enters a function of a constraint that gives the transform; without it, a decorator for one."""
        if factory is None:
            return lambda made: self.register(constraint, made)
        self._makers[constraint if isinstance(constraint, type) else type(constraint)] = factory
        return factory

    def __call__(self, constraint: Any) -> Transform:
        for kind in type(constraint).__mro__:
            if kind in self._makers:
                return self._makers[kind](constraint)  # type: ignore[no-any-return]
        raise NotImplementedError(f"Cannot transform {type(constraint).__name__} constraints")


biject_to, transform_to = ConstraintRegistry(), ConstraintRegistry()


def _above(constraint: Any) -> Transform:
    low = constraint.lower_bound
    return ExpTransform() if isinstance(low, (int, float)) and low == 0 else _chain(ExpTransform(), low, 1)


def _below(constraint: Any) -> Transform:
    return _chain(ExpTransform(), constraint.upper_bound, -1)


def _between(constraint: Any) -> Transform:
    low, high = constraint.lower_bound, constraint.upper_bound
    whole = isinstance(low, (int, float)) and low == 0 and isinstance(high, (int, float)) and high == 1
    return SigmoidTransform() if whole else _chain(SigmoidTransform(), low, high - low)


def _chain(first: Transform, loc: Any, scale: Any) -> Transform:
    return ComposeTransform([first, AffineTransform(loc, scale)])


for _registry in (biject_to, transform_to):
    _registry.register(constraints.Real, lambda _: identity_transform)
    _registry.register(constraints.GreaterThan, _above)
    _registry.register(constraints.LessThan, _below)
    _registry.register(constraints.Interval, _between)
    _registry.register(
        constraints.IndependentConstraint,
        lambda c, to=_registry: IndependentTransform(to(c.base_constraint), c.reinterpreted_batch_ndims),
    )
biject_to.register(constraints.Simplex, lambda _: StickBreakingTransform())
transform_to.register(constraints.Simplex, lambda _: SoftmaxTransform())
transform_to.register(constraints.LowerCholesky, lambda _: LowerCholeskyTransform())
transform_to.register(constraints.PositiveDefinite, lambda _: PositiveDefiniteTransform())
