"""Probability distributions: draws in the graph or outside it, densities, entropies, divergences; PyTorch's names.

>>> _ = mt.manual_seed(0)
>>> policy = mt.distributions.Categorical(logits=mt.zeros(3))
>>> action = policy.sample()
>>> policy.log_prob(action)
tensor(-1.0986)
"""

from . import categorical, constraints, kl, multinomial, normal
from .continuous import (
    Beta,
    Cauchy,
    Chi2,
    Dirichlet,
    Exponential,
    Gamma,
    HalfNormal,
    Laplace,
    LogNormal,
    Normal,
    Uniform,
)
from .discrete import (
    Bernoulli,
    Binomial,
    Categorical,
    Geometric,
    Multinomial,
    OneHotCategorical,
    Poisson,
)
from .distribution import Distribution, ExponentialFamily
from .joint import Independent, MultivariateNormal
from .kl import kl_divergence, register_kl

__all__ = [
    "Bernoulli",
    "Beta",
    "Binomial",
    "Categorical",
    "Cauchy",
    "Chi2",
    "Dirichlet",
    "Distribution",
    "Exponential",
    "ExponentialFamily",
    "Gamma",
    "Geometric",
    "HalfNormal",
    "Independent",
    "Laplace",
    "LogNormal",
    "Multinomial",
    "MultivariateNormal",
    "Normal",
    "OneHotCategorical",
    "Poisson",
    "Uniform",
    "categorical",
    "constraints",
    "kl",
    "kl_divergence",
    "multinomial",
    "normal",
    "register_kl",
]
