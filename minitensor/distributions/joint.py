"""Distributions of vectors: normal ones, batches taken as one value, and mixtures."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from ..autograd import no_grad
from ..linalg import cholesky, inv, solve_triangular
from ..ops.shape import expand
from . import constraints
from .continuous import standard_normal
from .discrete import Categorical
from .distribution import Distribution, sum_last

_LOG_2PI = math.log(2 * math.pi)


class MultivariateNormal(Distribution):
    r"""p(x) = exp(-(x - m)^T S^-1 (x - m) / 2) / sqrt((2 pi)^n det S), of mean m and covariance S = L L^T.

    Exactly one of `covariance_matrix`, `precision_matrix` (its inverse) and `scale_tril` (L) is given.

    >>> d = mt.distributions.MultivariateNormal(mt.zeros(2), mt.eye(2))
    >>> d.log_prob(mt.zeros(2))
    tensor(-1.8379)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "covariance_matrix": constraints.positive_definite,
        "precision_matrix": constraints.positive_definite,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.real_vector
    has_rsample = True
    _event_axes: ClassVar[dict[str, int]] = {
        "loc": 1,
        "covariance_matrix": 2,
        "precision_matrix": 2,
        "scale_tril": 2,
        "_scale": 2,
    }

    def __init__(
        self,
        loc: Any,
        covariance_matrix: Any = None,
        precision_matrix: Any = None,
        scale_tril: Any = None,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        names = ("covariance_matrix", "precision_matrix", "scale_tril")
        given = {
            name: x
            for name, x in zip(names, (covariance_matrix, precision_matrix, scale_tril), strict=True)
            if x is not None
        }
        if len(given) != 1:
            raise ValueError("Exactly one of covariance_matrix or precision_matrix or scale_tril may be specified.")
        ((name, matrix),) = given.items()
        if matrix.dim() < 2:
            raise ValueError(f"{name} must be at least two-dimensional, with optional leading batch dimensions")
        import numpy as np

        n = tuple(loc.shape)[-1:]
        batch = np.broadcast_shapes(tuple(matrix.shape)[:-2], tuple(loc.shape)[:-1])
        self.loc = expand(loc, batch + n)
        matrix = expand(matrix, batch + n + n)
        self.__dict__[name] = matrix
        super().__init__(batch, n, validate_args)
        if name == "covariance_matrix":
            self._scale = cholesky(matrix)
        elif name == "scale_tril":
            self._scale = matrix
        else:  # the inverse's factor, from the factor of the matrix with its axes reversed
            factor = cholesky(matrix.flip((-2, -1))).flip((-2, -1)).mT
            self._scale = inv(factor).tril()

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if "_scale" in own:
            if name == "scale_tril":
                return own["_scale"]
            if name == "covariance_matrix":
                return own["_scale"] @ own["_scale"].mT
            if name == "precision_matrix":
                inverse = inv(own["_scale"])
                return inverse.mT @ inverse
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def mean(self) -> Any:
        return self.loc

    mode = mean

    @property
    def variance(self) -> Any:
        return expand((self._scale**2).sum(-1), self._batch_shape + self._event_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        eps = standard_normal(self._extended_shape(sample_shape), self.loc.dtype)
        return self.loc + (self._scale @ eps.unsqueeze(-1)).squeeze(-1)

    def _half_log_det(self) -> Any:
        return self._scale.diagonal(0, -2, -1).log().sum(-1)

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        far = (value - self.loc).unsqueeze(-1)
        scale = expand(self._scale, (*tuple(far.shape)[:-2], *tuple(self._scale.shape)[-2:]))
        m = (solve_triangular(scale, far, upper=False) ** 2).sum((-2, -1))
        return -0.5 * (self._event_shape[0] * _LOG_2PI + m) - self._half_log_det()

    def entropy(self) -> Any:
        h = 0.5 * self._event_shape[0] * (1.0 + _LOG_2PI) + self._half_log_det()
        return expand(h, self._batch_shape) if self._batch_shape else h


class Independent(Distribution):
    """A distribution whose last batch axes count as one value: their log_probs are added up.

    >>> d = mt.distributions.Independent(mt.distributions.Normal(mt.zeros(3), mt.ones(3)), 1)
    >>> d.batch_shape, d.event_shape, d.log_prob(mt.zeros(3))
    (minitensor.Size([]), minitensor.Size([3]), tensor(-2.7568))
    """

    def __init__(
        self, base_distribution: Any, reinterpreted_batch_ndims: int, validate_args: bool | None = None
    ) -> None:
        batch, n = tuple(base_distribution.batch_shape), reinterpreted_batch_ndims
        if n > len(batch):
            raise ValueError(
                f"Expected reinterpreted_batch_ndims <= len(base_distribution.batch_shape), actual {n} vs {len(batch)}"
            )
        self.base_dist, self.reinterpreted_batch_ndims = base_distribution, n
        cut = len(batch) - n
        super().__init__(batch[:cut], batch[cut:] + tuple(base_distribution.event_shape), validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return bool(self.base_dist.has_rsample)

    @property
    def support(self) -> Any:
        inner, n = self.base_dist.support, self.reinterpreted_batch_ndims
        return constraints.independent(inner, n) if n else inner

    @property
    def mean(self) -> Any:
        return self.base_dist.mean

    @property
    def mode(self) -> Any:
        return self.base_dist.mode

    @property
    def variance(self) -> Any:
        return self.base_dist.variance

    def sample(self, sample_shape: Any = ()) -> Any:
        return self.base_dist.sample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.base_dist.rsample(sample_shape)

    def log_prob(self, value: Any) -> Any:
        return sum_last(self.base_dist.log_prob(value), self.reinterpreted_batch_ndims)

    def entropy(self) -> Any:
        return sum_last(self.base_dist.entropy(), self.reinterpreted_batch_ndims)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        inner = tuple(self.event_shape)[: self.reinterpreted_batch_ndims]
        wide = self.base_dist.expand((*batch_shape, *inner))
        return Independent(wide, self.reinterpreted_batch_ndims, validate_args=False)

    def __repr__(self) -> str:
        return f"Independent({self.base_dist}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamily(Distribution):
    """One of several distributions, the last axis of a batch, drawn first by a `Categorical` of its probabilities.

    >>> parts = mt.distributions.Normal(mt.tensor([-1.0, 1.0]), 1.0)
    >>> mt.distributions.MixtureSameFamily(mt.distributions.Categorical(mt.ones(2)), parts).mean
    tensor(0.)
    """

    def __init__(
        self, mixture_distribution: Any, component_distribution: Any, validate_args: bool | None = None
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError("mixture_distribution: expected a Categorical, not " + type(mixture_distribution).__name__)
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "component_distribution: expected a Distribution, not " + type(component_distribution).__name__
            )
        parts, weights = tuple(component_distribution.batch_shape), mixture_distribution.logits.shape
        for a, b in zip(tuple(mixture_distribution.batch_shape), parts[:-1], strict=False):
            if 1 not in (a, b) and a != b:
                shape = tuple(mixture_distribution.batch_shape)
                raise ValueError(
                    f"MixtureSameFamily: a mixture of batch shape {shape} does not fit components of {parts}"
                )
        if weights[-1] != parts[-1]:
            raise ValueError(f"MixtureSameFamily: {weights[-1]} probabilities, but {parts[-1]} components")
        self._mixture_distribution, self._component_distribution = mixture_distribution, component_distribution
        super().__init__(parts[:-1], component_distribution.event_shape, validate_args)

    @property
    def mixture_distribution(self) -> Any:
        """Which of the distributions."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Any:
        """The distributions."""
        return self._component_distribution

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return False

    @property
    def support(self) -> Any:
        return self._component_distribution.support

    def _weights(self) -> Any:
        """The probabilities, with axes of size 1 for those of one value."""
        probs = self._mixture_distribution.probs
        return probs.reshape(*probs.shape, *[1] * len(self._event_shape))

    def _over_parts(self, x: Any) -> Any:
        return (self._weights() * x).sum(-1 - len(self._event_shape))

    def _beside_parts(self, x: Any) -> Any:
        return x.unsqueeze(-1 - len(self._event_shape))

    @property
    def mean(self) -> Any:
        return self._over_parts(self._component_distribution.mean)

    @property
    def variance(self) -> Any:
        far = self._component_distribution.mean - self._beside_parts(self.mean)
        return self._over_parts(self._component_distribution.variance) + self._over_parts(far**2)

    def cdf(self, value: Any) -> Any:
        below = self._component_distribution.cdf(self._beside_parts(value))
        return (below * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, value: Any) -> Any:
        if self._validate_args:
            self._validate_sample(value)
        inside = self._component_distribution.log_prob(self._beside_parts(value))
        return (inside + self._mixture_distribution.logits.log_softmax(-1)).logsumexp(-1)

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            which = self._mixture_distribution.sample(sample_shape)
            drawn = self._component_distribution.sample(sample_shape)
            d, event = len(tuple(sample_shape)) + len(self._batch_shape), tuple(self._event_shape)
            which = which.reshape(*which.shape, *[1] * (len(event) + 1))
            which = which.expand(*tuple(which.shape)[: which.dim() - len(event)], *event)
            return drawn.gather(d, which).squeeze(d)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        shape = tuple(batch_shape)
        parts = self._component_distribution.expand((*shape, self._component_distribution.batch_shape[-1]))
        return MixtureSameFamily(self._mixture_distribution.expand(shape), parts, validate_args=False)

    def __repr__(self) -> str:
        return f"MixtureSameFamily(\n  {self._mixture_distribution},\n  {self._component_distribution})"
