"""Distributions that gamma numbers make: of sums of squares, of shares of a whole, of normal numbers over such.

Each class says its density p. Draws are PyTorch's, digit for digit.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from ..autograd import is_grad_enabled
from ..graph.tensors import wrap
from ..ops.common import array_of
from ..ops.comparison import where
from ..ops.gamma import incomplete_gamma, lgamma
from ..ops.join import stack
from ..random import standard_gamma
from . import constraints
from .continuous import standard_normal
from .distribution import Distribution, ExponentialFamily, broadcast_all, eps_of, floating, tiny_of


def gamma_draws(a: Any) -> Any:
    """Gamma numbers z of concentration a and rate 1, float64, with their derivative by a in the graph.

    P(a, z) stays where it is (M. Figurnov, S. Mohamed, A. Mnih, 2018):    dz = -(dP/da) / p(z) da
    """
    z = standard_gamma(a.detach())
    if not (a.requires_grad and is_grad_enabled()):
        return z
    wide, x = array_of(a.detach()).astype(np.float64), array_of(z)
    h = 1e-4 * wide
    (p1, q1), (p2, q2) = incomplete_gamma(wide - h, x), incomplete_gamma(wide + h, x)
    by_a = np.where(x < wide, p2 - p1, q1 - q2) / (2 * h)
    log_p = (wide - 1) * np.log(x) - x - array_of(lgamma(wrap(np.ascontiguousarray(wide))))
    slope = wrap(-by_a / np.exp(log_p))
    return z + (a - a.detach()) * slope  # the second part is 0; its derivative is the slope


class Gamma(ExponentialFamily):
    """p(x) = rate^a x^(a - 1) exp(-rate x) / Gamma(a), a the concentration.

    >>> mt.distributions.Gamma(2.0, 4.0).mean
    tensor(0.5000)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration": constraints.positive,
        "rate": constraints.positive,
    }
    support = constraints.nonnegative
    has_rsample = True

    def __init__(self, concentration: Any, rate: Any, validate_args: bool | None = None) -> None:
        self.concentration, self.rate = broadcast_all(concentration, rate)
        super().__init__(self.concentration.shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return self.concentration / self.rate

    @property
    def mode(self) -> Any:
        return ((self.concentration - 1) / self.rate).clamp(min=0)

    @property
    def variance(self) -> Any:
        return self.concentration / self.rate**2

    def rsample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        a = self.concentration.expand(shape)
        drawn = gamma_draws(a).to(a.dtype)
        return (drawn.clamp(min=tiny_of(drawn)) / self.rate.expand(shape)).clamp(min=tiny_of(drawn))

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        a, rate = self.concentration, self.rate
        return a.xlogy(rate) + (a - 1).xlogy(value) - rate * value - a.lgamma()

    def cdf(self, value: Any) -> Any:
        self._validate_sample(value)
        x, a = broadcast_all(self.rate * value, self.concentration)
        return wrap(incomplete_gamma(array_of(a.detach()), array_of(x.detach()))[0].astype(array_of(x).dtype))

    def entropy(self) -> Any:
        a = self.concentration
        return a - self.rate.log() + a.lgamma() + (1 - a) * a.digamma()


class Chi2(Gamma):
    """The sum of `df` squares of standard normals: Gamma(df / 2, 1/2).

    >>> mt.distributions.Chi2(3.0).mean
    tensor(3.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"df": constraints.positive}

    def __init__(self, df: Any, validate_args: bool | None = None) -> None:
        half = 0.5 * df
        super().__init__(half, 0.5, validate_args)

    @property
    def df(self) -> Any:
        """How many squares."""
        return self.concentration * 2


class Dirichlet(ExponentialFamily):
    """p(x) = prod x_i^(a_i - 1) Gamma(sum a) / prod Gamma(a_i), on the simplex, a the concentration.

    >>> mt.distributions.Dirichlet(mt.tensor([1.0, 3.0])).mean
    tensor([0.2500, 0.7500])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"concentration": constraints.independent(constraints.positive, 1)}
    support = constraints.simplex
    has_rsample = True
    _event_axes: ClassVar[dict[str, int]] = {"concentration": 1}

    def __init__(self, concentration: Any, validate_args: bool | None = None) -> None:
        if concentration.dim() < 1:
            raise ValueError("`concentration` parameter must be at least one-dimensional.")
        self.concentration = floating(concentration)
        shape = tuple(concentration.shape)
        super().__init__(shape[:-1], shape[-1:], validate_args)

    @property
    def mean(self) -> Any:
        return self.concentration / self.concentration.sum(-1, keepdim=True)

    @property
    def mode(self) -> Any:
        less = (self.concentration - 1).clamp(min=0)
        mode = less / less.sum(-1, keepdim=True)
        corner = (self.concentration < 1).all(-1)
        if corner.any():
            from ..ops.embedding import one_hot

            vertex = one_hot(self.concentration.argmax(-1), self.concentration.shape[-1]).to(mode.dtype)
            mode = where(corner.unsqueeze(-1), vertex, mode)
        return mode

    @property
    def variance(self) -> Any:
        a = self.concentration
        total = a.sum(-1, keepdim=True)
        return a * (total - a) / (total**2 * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Any:
        drawn = gamma_draws(self.concentration.expand(self._extended_shape(sample_shape)))
        share = (drawn / drawn.sum(-1, keepdim=True)).to(self.concentration.dtype)
        return share.clamp(tiny_of(share), 1 - eps_of(share) / 2)

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        a = self.concentration
        return (a - 1).xlogy(value).sum(-1) + a.sum(-1).lgamma() - a.lgamma().sum(-1)

    def entropy(self) -> Any:
        a = self.concentration
        k, total = a.shape[-1], a.sum(-1)
        inner = ((a - 1) * a.digamma()).sum(-1)
        return a.lgamma().sum(-1) - total.lgamma() - (k - total) * total.digamma() - inner


class Beta(ExponentialFamily):
    """p(x) = x^(a - 1) (1 - x)^(b - 1) / B(a, b), a and b the concentrations 1 and 0.

    >>> mt.distributions.Beta(2.0, 2.0).log_prob(mt.tensor(0.5))
    tensor(0.4055)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "concentration1": constraints.positive,
        "concentration0": constraints.positive,
    }
    support = constraints.unit_interval
    has_rsample = True
    _shown = False

    def __init__(self, concentration1: Any, concentration0: Any, validate_args: bool | None = None) -> None:
        self.concentration1, self.concentration0 = broadcast_all(concentration1, concentration0)
        super().__init__(self.concentration1.shape, (), validate_args)

    @property
    def _dirichlet(self) -> Dirichlet:
        return Dirichlet(stack([self.concentration1, self.concentration0], -1), validate_args=False)

    @property
    def mean(self) -> Any:
        return self.concentration1 / (self.concentration1 + self.concentration0)

    @property
    def mode(self) -> Any:
        return self._dirichlet.mode[..., 0]

    @property
    def variance(self) -> Any:
        total = self.concentration1 + self.concentration0
        return self.concentration1 * self.concentration0 / (total**2 * (total + 1))

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self._dirichlet.rsample(sample_shape)[..., 0]

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        return self._dirichlet.log_prob(stack([value, 1 - value], -1))

    def entropy(self) -> Any:
        return self._dirichlet.entropy()


class StudentT(Distribution):
    """loc + scale t, t a standard normal over the root of Chi2(df) / df.

    >>> mt.distributions.StudentT(3.0).variance
    tensor(3.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "df": constraints.positive,
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.real
    has_rsample = True

    def __init__(self, df: Any, loc: Any = 0.0, scale: Any = 1.0, validate_args: bool | None = None) -> None:
        self.df, self.loc, self.scale = broadcast_all(df, loc, scale)
        super().__init__(self.df.shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return where(self.df > 1, self.loc, math.nan)

    @property
    def mode(self) -> Any:
        return self.loc

    @property
    def variance(self) -> Any:
        wide = self.scale**2 * self.df / (self.df - 2)
        return where(self.df > 2, wide, where(self.df > 1, math.inf, math.nan).to(wide.dtype))

    def rsample(self, sample_shape: Any = ()) -> Any:
        x = standard_normal(self._extended_shape(sample_shape), self.df.dtype)
        z = Chi2(self.df, validate_args=False).rsample(sample_shape)
        return self.loc + self.scale * (x * (z / self.df).rsqrt())

    def _log_norm(self) -> Any:
        """ln of the density's divisor, for a scale of 1."""
        half = 0.5 * self.df
        return 0.5 * self.df.log() + 0.5 * math.log(math.pi) + half.lgamma() - (half + 0.5).lgamma()

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        y = (value - self.loc) / self.scale
        return -0.5 * (self.df + 1) * (y**2 / self.df).log1p() - (self.scale.log() + self._log_norm())

    def entropy(self) -> Any:
        more = 0.5 * (self.df + 1)
        return self.scale.log() + more * (more.digamma() - (0.5 * self.df).digamma()) + self._log_norm()


class FisherSnedecor(Distribution):
    """(Chi2(df1) / df1) / (Chi2(df2) / df2).

    >>> mt.distributions.FisherSnedecor(2.0, 4.0).mean
    tensor(2.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"df1": constraints.positive, "df2": constraints.positive}
    support = constraints.positive
    has_rsample = True

    def __init__(self, df1: Any, df2: Any, validate_args: bool | None = None) -> None:
        self.df1, self.df2 = broadcast_all(df1, df2)
        super().__init__(self.df1.shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return where(self.df2 > 2, self.df2 / (self.df2 - 2), math.nan)

    @property
    def mode(self) -> Any:
        mode = (self.df1 - 2) / self.df1 * self.df2 / (self.df2 + 2)
        return where(self.df1 > 2, mode, math.nan)

    @property
    def variance(self) -> Any:
        a, b = self.df1, self.df2
        return where(b > 4, 2 * b**2 * (a + b - 2) / (a * (b - 2) ** 2 * (b - 4)), math.nan)

    def rsample(self, sample_shape: Any = ()) -> Any:
        above = Gamma(self.df1 * 0.5, self.df1, validate_args=False).rsample(sample_shape)
        below = Gamma(self.df2 * 0.5, self.df2, validate_args=False).rsample(sample_shape)
        tiny = tiny_of(below)
        return (above / below.clamp(min=tiny)).clamp(min=tiny)

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        a, b, ratio = self.df1 * 0.5, self.df2 * 0.5, self.df1 / self.df2
        norm = (a + b).lgamma() - a.lgamma() - b.lgamma()
        return norm + a * ratio.log() + (a - 1) * value.log() - (a + b) * (ratio * value).log1p()
