"""Distributions of functions of random numbers: y = f(x) has ln p(y) = ln p(x) - ln |det df/dx|."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from numpy import euler_gamma

from .. import creation
from ..autograd import no_grad
from ..ops.comparison import where
from ..random import rand
from . import constraints
from .continuous import Cauchy, Exponential, Normal, Uniform
from .discrete import Categorical, _ByProbability
from .distribution import Distribution, broadcast_all, clamp_probs, eps_of, sum_last, tiny_of
from .gamma import Gamma
from .joint import Independent
from .transforms import (
    AbsTransform,
    AffineTransform,
    ComposeTransform,
    ExpTransform,
    PowerTransform,
    SigmoidTransform,
    StickBreakingTransform,
    Transform,
)


class TransformedDistribution(Distribution):
    """The distribution of f(x) for a random x, f a transform or several one after the other.

    >>> base, f = mt.distributions.Normal(0.0, 1.0), mt.distributions.TanhTransform()
    >>> mt.distributions.TransformedDistribution(base, [f]).log_prob(mt.tensor(0.5))
    tensor(-0.7821)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(self, base_distribution: Any, transforms: Any, validate_args: bool | None = None) -> None:
        self.transforms = [transforms] if isinstance(transforms, Transform) else list(transforms)
        if not all(isinstance(t, Transform) for t in self.transforms):
            raise ValueError("transforms must be a Transform or a list of Transforms")
        whole = ComposeTransform(self.transforms)
        n = len(base_distribution.event_shape)
        given = tuple(base_distribution.batch_shape) + tuple(base_distribution.event_shape)
        if len(given) < whole.domain.event_dim:
            raise ValueError(
                f"base_distribution needs to have shape with size at least {whole.domain.event_dim}, but got {given}."
            )
        shape = whole.forward_shape(given)
        wide = tuple(whole.inverse_shape(shape))
        if wide != given:
            base_distribution = base_distribution.expand(wide[: len(wide) - n])
        more = whole.domain.event_dim - n
        self.base_dist: Any = Independent(base_distribution, more) if more > 0 else base_distribution
        axes = max(whole.codomain.event_dim, n + whole.codomain.event_dim - whole.domain.event_dim)
        cut = len(shape) - axes
        super().__init__(shape[:cut], shape[cut:], validate_args)

    @property
    def has_rsample(self) -> bool:  # type: ignore[override]
        return bool(self.base_dist.has_rsample)

    @property
    def support(self) -> Any:
        if not self.transforms:
            return self.base_dist.support
        last = self.transforms[-1].codomain
        more = len(self.event_shape) - last.event_dim
        return constraints.independent(last, more) if more > 0 else last

    def _through(self, x: Any) -> Any:
        for t in self.transforms:
            x = t(x)
        return x

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            return self._through(self.base_dist.sample(sample_shape))

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self._through(self.base_dist.rsample(sample_shape))

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        axes, total, y = len(self.event_shape), 0.0, value
        for t in reversed(self.transforms):
            x = t.inv(y)
            axes += t.domain.event_dim - t.codomain.event_dim
            total = total - sum_last(t.log_abs_det_jacobian(x, y), axes - t.domain.event_dim)
            y = x
        return total + sum_last(self.base_dist.log_prob(y), axes - len(self.base_dist.event_shape))

    def _turned(self, probability: Any) -> Any:
        """A probability of values up to one as that of values from there on, where the transforms fall."""
        sign = math.prod(t.sign for t in self.transforms)
        return probability if isinstance(sign, int) and sign == 1 else sign * (probability - 0.5) + 0.5

    def cdf(self, value: Any) -> Any:
        for t in reversed(self.transforms):
            value = t.inv(value)
        return self._turned(self.base_dist.cdf(value))

    def icdf(self, value: Any) -> Any:
        return self._through(self.base_dist.icdf(self._turned(value)))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = super().expand(batch_shape)
        shape = (*batch_shape, *self.event_shape)
        for t in reversed(self.transforms):
            shape = t.inverse_shape(shape)
        new.base_dist = self.base_dist.expand(shape[: len(shape) - len(self.base_dist.event_shape)])
        return new


class _Scaled(TransformedDistribution):
    """What has the location or the scale of its base."""

    @property
    def loc(self) -> Any:
        """The location."""
        return self.base_dist.loc

    @property
    def scale(self) -> Any:
        """The scale."""
        return self.base_dist.scale


class LogNormal(_Scaled):
    """exp of a normal number: p(x) = exp(-(ln x - loc)^2 / (2 scale^2)) / (x scale sqrt(2 pi)).

    >>> mt.distributions.LogNormal(0.0, 1.0).mean
    tensor(1.6487)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.positive

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(loc, scale, validate_args), ExpTransform(), validate_args)

    @property
    def mean(self) -> Any:
        return (self.loc + self.scale**2 / 2).exp()

    @property
    def mode(self) -> Any:
        return (self.loc - self.scale**2).exp()

    @property
    def variance(self) -> Any:
        return (self.scale**2).expm1() * (2 * self.loc + self.scale**2).exp()

    def entropy(self) -> Any:
        return self.base_dist.entropy() + self.loc


class _Half(_Scaled):
    """|x| of an x whose density is even."""

    arg_constraints: ClassVar[dict[str, Any]] = {"scale": constraints.positive}
    support = constraints.nonnegative

    def __init__(self, base: Any, validate_args: bool | None) -> None:
        super().__init__(base, AbsTransform(), validate_args)

    @property
    def mode(self) -> Any:
        return creation.zeros_like(self.scale)

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        return where(value >= 0, self.base_dist.log_prob(value) + math.log(2), -math.inf)

    def cdf(self, value: Any) -> Any:
        self._validate_sample(value)
        return 2 * self.base_dist.cdf(value) - 1

    def icdf(self, prob: Any) -> Any:
        return self.base_dist.icdf((prob + 1) / 2)

    def entropy(self) -> Any:
        return self.base_dist.entropy() - math.log(2)


class HalfNormal(_Half):
    """|x| of a normal x of mean 0.

    >>> mt.distributions.HalfNormal(1.0).mean
    tensor(0.7979)
    """

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Normal(0, scale, validate_args), validate_args)

    @property
    def mean(self) -> Any:
        return self.scale * math.sqrt(2 / math.pi)

    @property
    def variance(self) -> Any:
        return self.scale**2 * (1 - 2 / math.pi)


class HalfCauchy(_Half):
    """|x| of a Cauchy x around 0.

    >>> mt.distributions.HalfCauchy(1.0).cdf(mt.tensor(1.0))
    tensor(0.5000)
    """

    def __init__(self, scale: Any, validate_args: bool | None = None) -> None:
        super().__init__(Cauchy(0, scale, validate_args), validate_args)

    @property
    def mean(self) -> Any:
        return creation.full_like(self.scale, math.inf)

    @property
    def variance(self) -> Any:
        return self.base_dist.variance


class Gumbel(TransformedDistribution):
    """p(x) = exp(-(z + exp(-z))) / scale, z = (x - loc) / scale: the largest of many numbers.

    >>> mt.distributions.Gumbel(1.0, 2.0).mean
    tensor(2.1544)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.real

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale = broadcast_all(loc, scale)
        low, high = creation.full_like(self.loc, tiny_of(self.loc)), 1 - eps_of(self.loc)
        steps = [
            ExpTransform().inv,
            AffineTransform(0, -creation.ones_like(self.scale)),
            ExpTransform().inv,
            AffineTransform(self.loc, -self.scale),
        ]
        super().__init__(Uniform(low, creation.full_like(self.loc, high), validate_args), steps, validate_args)

    @property
    def mean(self) -> Any:
        return self.loc + self.scale * euler_gamma

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def stddev(self) -> Any:
        return (math.pi / math.sqrt(6)) * self.scale

    @property
    def variance(self) -> Any:
        return self.stddev**2

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        y = (self.loc - value) / self.scale
        return (y - y.exp()) - self.scale.log()

    def entropy(self) -> Any:
        return self.scale.log() + (1 + euler_gamma)


class Weibull(TransformedDistribution):
    """P(x > t) = exp(-(t / scale)^k), k the concentration.

    >>> mt.distributions.Weibull(2.0, 1.0).mean
    tensor(2.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "scale": constraints.positive,
        "concentration": constraints.positive,
    }
    support = constraints.positive

    def __init__(self, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.scale, self.concentration = broadcast_all(scale, concentration)
        base = Exponential(creation.ones_like(self.scale), validate_args)
        steps = [PowerTransform(self.concentration.reciprocal()), AffineTransform(0, self.scale)]
        super().__init__(base, steps, validate_args)

    def _moment(self, n: int) -> Any:
        return (1 + n * self.concentration.reciprocal()).lgamma()

    @property
    def mean(self) -> Any:
        return self.scale * self._moment(1).exp()

    @property
    def mode(self) -> Any:
        k = self.concentration
        return self.scale * ((k - 1) / k) ** k.reciprocal()

    @property
    def variance(self) -> Any:
        return self.scale.pow(2) * (self._moment(2).exp() - (2 * self._moment(1)).exp())

    def entropy(self) -> Any:
        inverse = self.concentration.reciprocal()
        return euler_gamma * (1 - inverse) + (self.scale * inverse).log() + 1


class Pareto(TransformedDistribution):
    """P(x > t) = (scale / t)^alpha for t >= scale.

    >>> mt.distributions.Pareto(1.0, 3.0).mean
    tensor(1.5000)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"alpha": constraints.positive, "scale": constraints.positive}

    def __init__(self, scale: Any, alpha: Any, validate_args: bool | None = None) -> None:
        self.scale, self.alpha = broadcast_all(scale, alpha)
        super().__init__(
            Exponential(self.alpha, validate_args), [ExpTransform(), AffineTransform(0, self.scale)], validate_args
        )

    @property
    def support(self) -> Any:
        return constraints.greater_than_eq(self.scale)

    @property
    def mean(self) -> Any:
        a = self.alpha.clamp(min=1)
        return a * self.scale / (a - 1)

    @property
    def mode(self) -> Any:
        return self.scale

    @property
    def variance(self) -> Any:
        a = self.alpha.clamp(min=2)
        return self.scale.pow(2) * a / ((a - 1).pow(2) * (a - 2))

    def entropy(self) -> Any:
        return (self.scale / self.alpha).log() + (1 + self.alpha.reciprocal())


class Kumaraswamy(TransformedDistribution):
    """P(x <= t) = 1 - (1 - t^a)^b on [0, 1], a and b the concentrations 1 and 0.

    >>> mt.distributions.Kumaraswamy(1.0, 1.0).mean
    tensor(0.5000)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = a, b = broadcast_all(concentration1, concentration0)
        base = Uniform(creation.full_like(b, 0), creation.full_like(b, 1), validate_args)
        steps = [PowerTransform(b.reciprocal()), AffineTransform(1.0, -1.0), PowerTransform(a.reciprocal())]
        super().__init__(base, steps, validate_args)

    def _moment(self, n: int) -> Any:
        a, b = self.concentration1, self.concentration0
        first = 1 + n / a
        return b * (first.lgamma() + b.lgamma() - (first + b).lgamma()).exp()

    @property
    def mean(self) -> Any:
        return self._moment(1)

    @property
    def mode(self) -> Any:
        a, b = self.concentration1, self.concentration0
        mode = a.reciprocal() * (-a.reciprocal()).log1p() - a.reciprocal() * (-(a * b).reciprocal()).log1p()
        return where((a < 1) | (b < 1), math.nan, mode.exp())

    @property
    def variance(self) -> Any:
        return self._moment(2) - self._moment(1).pow(2)

    def entropy(self) -> Any:
        a, b = self.concentration1, self.concentration0
        harmonic = (b + 1).digamma() + euler_gamma
        return (1 - b.reciprocal()) + (1 - a.reciprocal()) * harmonic - a.log() - b.log()


class InverseGamma(TransformedDistribution):
    """1 / x of a gamma number x.

    >>> mt.distributions.InverseGamma(3.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.positive

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        base = Gamma(concentration, rate, validate_args)
        super().__init__(base, PowerTransform(-creation.ones((), dtype=base.rate.dtype)), validate_args)

    @property
    def concentration(self) -> Any:
        """Of the gamma number."""
        return self.base_dist.concentration

    @property
    def rate(self) -> Any:
        """Of the gamma number."""
        return self.base_dist.rate

    @property
    def mean(self) -> Any:
        a = self.concentration
        return where(a > 1, self.rate / (a - 1), math.inf)

    @property
    def mode(self) -> Any:
        return self.rate / (self.concentration + 1)

    @property
    def variance(self) -> Any:
        a = self.concentration
        return where(a > 2, self.rate.square() / ((a - 1).square() * (a - 2)), math.inf)

    def entropy(self) -> Any:
        a = self.concentration
        return a + self.rate.log() + a.lgamma() - (1 + a) * a.digamma()


class LogisticNormal(_Scaled):
    """K - 1 normal numbers, as K shares of 1 by `StickBreakingTransform`.

    >>> mt.distributions.LogisticNormal(mt.zeros(2), mt.ones(2)).sample().shape
    minitensor.Size([3])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"loc": constraints.real, "scale": constraints.positive}
    support = constraints.simplex

    def __init__(self, loc: Any, scale: Any, validate_args: bool | None = None) -> None:
        base = Normal(loc, scale, validate_args)
        base = base if base.batch_shape else base.expand([1])
        super().__init__(base, StickBreakingTransform(), validate_args)

    @property
    def loc(self) -> Any:
        return self.base_dist.base_dist.loc

    @property
    def scale(self) -> Any:
        return self.base_dist.base_dist.scale


# --- draws of classes that have derivatives (C. Maddison, A. Mnih, Y. Teh, 2017; E. Jang, S. Gu, B. Poole, 2017) ------


class LogitRelaxedBernoulli(_ByProbability):
    """ln (y / (1 - y)) of a `RelaxedBernoulli` y."""

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.real
    has_rsample = True

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self.temperature = temperature
        super().__init__(self._given(probs, logits).shape, (), validate_args)

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        probs = clamp_probs(self.probs.expand(shape))
        u = clamp_probs(rand(tuple(shape), dtype=probs.dtype))
        return (u.log() - (-u).log1p() + probs.log() - (-probs).log1p()) / self.temperature

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        far = logits - value.mul(self.temperature)
        t = self.temperature
        return (t.log() if hasattr(t, "log") else math.log(t)) + far - 2 * far.exp().log1p()

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = super().expand(batch_shape)
        new.temperature = self.temperature
        return new


class RelaxedBernoulli(TransformedDistribution):
    """A number between 0 and 1, the nearer to one of them the lower the temperature, with derivatives.

    >>> mt.distributions.RelaxedBernoulli(mt.tensor(0.5), probs=mt.tensor([0.3, 0.7])).rsample().shape
    minitensor.Size([2])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(LogitRelaxedBernoulli(temperature, probs, logits), SigmoidTransform(), validate_args)

    @property
    def temperature(self) -> Any:
        """0 makes it a `Bernoulli`."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Any:
        """ln (p / (1 - p))."""
        return self.base_dist.logits

    @property
    def probs(self) -> Any:
        """The probability of 1 at temperature 0."""
        return self.base_dist.probs


class ExpRelaxedCategorical(Distribution):
    """ln y of a `RelaxedOneHotCategorical` y."""

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        self._categorical, self.temperature = Categorical(probs, logits), temperature
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args)

    @property
    def logits(self) -> Any:
        """ln of the probabilities."""
        return self._categorical.logits

    @property
    def probs(self) -> Any:
        """The probabilities at temperature 0."""
        return self._categorical.probs

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        u = clamp_probs(rand(tuple(shape), dtype=self.logits.dtype))
        scores = (self.logits - (-u.log()).log()) / self.temperature
        return scores - scores.logsumexp(-1, keepdim=True)

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        k, t = self.event_shape[0], creation.as_tensor(self.temperature, dtype=self.logits.dtype)
        score = self.logits - value * t
        log_scale = creation.full((), float(k), dtype=t.dtype).lgamma() - t.log() * -(k - 1)
        return (score - score.logsumexp(-1, keepdim=True)).sum(-1) + log_scale

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        wide = self._categorical.expand(batch_shape)
        name = "probs" if "probs" in wide.__dict__ else "logits"
        return type(self)(self.temperature, **{name: wide.__dict__[name]}, validate_args=False)


class RelaxedOneHotCategorical(TransformedDistribution):
    """Shares of 1, the nearer to one class the lower the temperature, with derivatives.

    >>> mt.distributions.RelaxedOneHotCategorical(mt.tensor(0.5), logits=mt.zeros(3)).rsample().shape
    minitensor.Size([3])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.simplex

    def __init__(
        self, temperature: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        base = ExpRelaxedCategorical(temperature, probs, logits, validate_args)
        super().__init__(base, ExpTransform(), validate_args)

    @property
    def temperature(self) -> Any:
        """0 makes it a `OneHotCategorical`."""
        return self.base_dist.temperature

    @property
    def logits(self) -> Any:
        """ln of the probabilities."""
        return self.base_dist.logits

    @property
    def probs(self) -> Any:
        """The probabilities at temperature 0."""
        return self.base_dist.probs
