r"""KL(p || q) = the expected ln p(x) - ln q(x) under p, in closed form for pairs of classes that are registered."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from numpy import euler_gamma

from ..linalg import solve_triangular
from ..ops.comparison import where
from .continuous import Cauchy, Exponential, Laplace, Normal, Uniform
from .discrete import Bernoulli, Binomial, Categorical, Geometric, OneHotCategorical, Poisson
from .distribution import sum_last
from .gamma import Beta, Dirichlet, Gamma
from .joint import Independent, MultivariateNormal
from .transformed import Gumbel, HalfNormal, LogNormal, Pareto, TransformedDistribution

_PAIRS: dict[tuple[type, type], Callable[[Any, Any], Any]] = {}


def register_kl(type_p: type, type_q: type) -> Callable[[Any], Any]:
    """Enters the function below as the divergence of these two classes and their subclasses.

    >>> @mt.distributions.register_kl(mt.distributions.Normal, mt.distributions.Cauchy)
    ... def between(p, q):
    ...     return "mine"
    >>> mt.distributions.kl_divergence(mt.distributions.Normal(0.0, 1.0), mt.distributions.Cauchy(0.0, 1.0))
    'mine'
    """

    def entered(function: Any) -> Any:
        _PAIRS[type_p, type_q] = function
        return function

    return entered


def kl_divergence(p: Any, q: Any) -> Any:
    """KL(p || q), in the batch shape of both. Raises NotImplementedError for a pair that is not registered.

    >>> normal = mt.distributions.Normal
    >>> mt.distributions.kl_divergence(normal(1.0, 1.0), normal(0.0, 1.0))
    tensor(0.5000)
    """
    found = [(a, b) for a, b in _PAIRS if isinstance(p, a) and isinstance(q, b)]
    if not found:
        raise NotImplementedError(
            f"No KL(p || q) is implemented for p type {type(p).__name__} and q type {type(q).__name__}"
        )
    nearest = min(found, key=lambda pair: type(p).__mro__.index(pair[0]) + type(q).__mro__.index(pair[1]))
    return _PAIRS[nearest](p, q)


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Any:
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale) ** 2 - 1 - ratio.log())


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Any:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError(f"KL between {type(p).__name__}s of different transforms")
    more = len(p.event_shape) - len(p.base_dist.event_shape)
    return sum_last(kl_divergence(p.base_dist, q.base_dist), more)


@register_kl(LogNormal, LogNormal)
def _log_normal(p: Any, q: Any) -> Any:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Any, q: Any) -> Any:
    ratio = p.scale / q.scale
    far = (q.loc - p.loc) / q.scale
    inside = (far + (ratio + 1).lgamma()).exp()
    return -ratio.log() - far + ratio * euler_gamma + inside - (1 + euler_gamma)


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Any:
    ratio, by = p.scale / q.scale, q.alpha / p.alpha
    kl = q.alpha * ratio.log() - by.log() + by - 1
    return where(p.support.lower_bound < q.support.lower_bound, math.inf, kl)


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: Any, q: Any) -> Any:
    ratio = (p.scale / q.scale) ** 2
    return 0.5 * (ratio - 1 - ratio.log())


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Any:
    return (((p.scale + q.scale) ** 2 + (p.loc - q.loc) ** 2) / (4 * p.scale * q.scale)).log()


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Any:
    a = p.probs * ((-q.logits).exp().log1p() - (-p.logits).exp().log1p())
    b = (1 - p.probs) * (q.logits.exp().log1p() - p.logits.exp().log1p())
    return a + b


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Any:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    kl = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return where(p.total_count > q.total_count, math.inf, kl)


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Any:
    t = p.probs * (p.logits - q.logits)
    t = where(q.probs == 0, math.inf, t)
    return where(p.probs == 0, 0.0, t).sum(-1)


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot(p: Any, q: Any) -> Any:
    return _categorical(p, q)


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Any:
    return -p.entropy() - (-q.probs).log1p() / p.probs - q.logits


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Any:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Any:
    ratio = q.rate / p.rate
    return ratio - ratio.log() - 1


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Any:
    ratio, far = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + far / q.scale + ratio * (-far / p.scale).exp() - 1


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Any:
    a, b = p.concentration, q.concentration
    part = b * (p.rate / q.rate).log() + b.lgamma() - a.lgamma()
    return part + (a - b) * a.digamma() + (q.rate - p.rate) * (a / p.rate)


@register_kl(Exponential, Gamma)
def _exponential_gamma(p: Any, q: Any) -> Any:
    ratio = q.rate / p.rate
    a = q.concentration
    return -a * ratio.log() + ratio + a.lgamma() + a * euler_gamma - (1 + euler_gamma)


@register_kl(Gamma, Exponential)
def _gamma_exponential(p: Any, q: Any) -> Any:
    a = p.concentration
    return -p.entropy() - q.rate.log() + q.rate * a / p.rate


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Any:
    total_p, total_q = p.concentration1 + p.concentration0, q.concentration1 + q.concentration0
    mine = q.concentration1.lgamma() + q.concentration0.lgamma() + total_p.lgamma()
    theirs = p.concentration1.lgamma() + p.concentration0.lgamma() + total_q.lgamma()
    a = (p.concentration1 - q.concentration1) * p.concentration1.digamma()
    b = (p.concentration0 - q.concentration0) * p.concentration0.digamma()
    return mine - theirs + a + b + (total_q - total_p) * total_p.digamma()


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Any:
    total_p, total_q = p.concentration.sum(-1), q.concentration.sum(-1)
    part = total_p.lgamma() - total_q.lgamma() - (p.concentration.lgamma() - q.concentration.lgamma()).sum(-1)
    far = p.concentration.digamma() - total_p.digamma().unsqueeze(-1)
    return part + ((p.concentration - q.concentration) * far).sum(-1)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Any:
    kl = ((q.high - q.low) / (p.high - p.low)).log()
    return where((q.low > p.low) | (q.high < p.high), math.inf, kl)


@register_kl(Uniform, Normal)
def _uniform_normal(p: Any, q: Any) -> Any:
    width = p.high - p.low
    part = (math.sqrt(math.pi * 2) * q.scale / width).log()
    far = (p.high + p.low - 2 * q.loc) / 2
    return part + 0.5 * (width**2 / 12 + far**2) / q.scale**2


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: Any, q: Any) -> Any:
    if p.event_shape != q.event_shape:
        raise ValueError(
            "KL-divergence between two Multivariate Normals with different event shapes cannot be computed"
        )
    n = p.event_shape[0]
    trace = (solve_triangular(q._scale, p._scale, upper=False) ** 2).sum((-2, -1))
    far = (solve_triangular(q._scale, (q.loc - p.loc).unsqueeze(-1), upper=False) ** 2).sum((-2, -1))
    return q._half_log_det() - p._half_log_det() + 0.5 * (trace + far - n)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Any:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError("KL between Independents of different reinterpreted_batch_ndims")
    return sum_last(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)
