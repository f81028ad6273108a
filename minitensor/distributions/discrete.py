"""Distributions of counts, classes and coins."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from .. import creation
from ..autograd import no_grad
from ..nn.functional import binary_cross_entropy_with_logits, logsigmoid, one_hot
from ..ops.rearrange import broadcast_tensors
from ..random import bernoulli, binomial, multinomial, poisson
from ..tensor import Size
from . import constraints
from .distribution import (
    Distribution,
    ExponentialFamily,
    broadcast_all,
    logits_to_probs,
    one_of,
    probs_to_logits,
    tiny_of,
)
from .gamma import Gamma


class _ByProbability(Distribution):
    """A distribution of one probability p, given as such or as ln (p / (1 - p))."""

    def _given(self, probs: Any, logits: Any) -> Any:
        one_of(type(self).__name__, probs, logits)
        if probs is not None:
            (self.probs,) = broadcast_all(probs)
            return self.probs
        (self.logits,) = broadcast_all(logits)
        return self.logits

    def _counted(self, total_count: Any, probs: Any, logits: Any) -> Any:
        """As `_given`, in one shape with a `total_count` of the same dtype."""
        count, given = broadcast_all(total_count, self._given(probs, logits))
        self.total_count = count.to(given.dtype)
        self.__dict__["probs" if probs is not None else "logits"] = given
        return given

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if name == "probs" and own.get("logits") is not None:
            return logits_to_probs(own["logits"], is_binary=True)
        if name == "logits" and own.get("probs") is not None:
            return probs_to_logits(own["probs"], is_binary=True)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter that was given."""
        return self.batch_shape


class Bernoulli(_ByProbability, ExponentialFamily):
    """1 with the probability `probs`, else 0; or with `logits`, ln (p / (1 - p)).

    >>> mt.distributions.Bernoulli(0.25).log_prob(mt.tensor(1.0))
    tensor(-1.3863)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.boolean
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(self._given(probs, logits).shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return self.probs

    @property
    def mode(self) -> Any:
        mode = (self.probs >= 0.5).to(self.probs.dtype)
        return mode.masked_fill(self.probs == 0.5, math.nan)

    @property
    def variance(self) -> Any:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            return bernoulli(self.probs.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        return -binary_cross_entropy_with_logits(logits, value.to(logits.dtype), reduction="none")

    def entropy(self) -> Any:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none")

    def enumerate_support(self, expand: bool = True) -> Any:
        values = creation.arange(2, dtype=self.probs.dtype).reshape(-1, *[1] * len(self.batch_shape))
        return values.expand(-1, *self.batch_shape) if expand else values


class Geometric(_ByProbability):
    """The number of failures before the first success: p(k) = (1 - p)^k p.

    >>> mt.distributions.Geometric(0.25).mean
    tensor(3.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.nonnegative_integer

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        super().__init__(self._given(probs, logits).shape, (), validate_args)
        if self._validate_args and probs is not None and not (self.probs > 0).all():
            raise ValueError(f"Geometric: probs must be positive, but has {self.probs}")

    @property
    def mean(self) -> Any:
        return 1 / self.probs - 1

    @property
    def mode(self) -> Any:
        return creation.zeros_like(self.probs)

    @property
    def variance(self) -> Any:
        return (1 / self.probs - 1) / self.probs

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            u = creation.empty(self._extended_shape(sample_shape), dtype=self.probs.dtype)
            u = u.uniform_(tiny_of(self.probs), 1)
            return (u.log() / (-self.probs).log1p()).floor()

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        value, probs = broadcast_all(value, self.probs)
        probs = probs.masked_fill((probs == 1) & (value == 0), 0)
        return value * (-probs).log1p() + self.probs.log()

    def entropy(self) -> Any:
        return binary_cross_entropy_with_logits(self.logits, self.probs, reduction="none") / self.probs


class Binomial(_ByProbability):
    """How many of `total_count` trials of probability p succeed.

    >>> mt.distributions.Binomial(3, 0.5).log_prob(mt.tensor(1.0)).exp()
    tensor(0.3750)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True

    def __init__(
        self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(self._counted(total_count, probs, logits).shape, (), validate_args)

    @property
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Any:
        return self.total_count * self.probs

    @property
    def mode(self) -> Any:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Any:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        shape = self._extended_shape(sample_shape)
        with no_grad():
            return binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        n, logits = self.total_count, self.logits
        ways = (n + 1).lgamma() - (value + 1).lgamma() - (n - value + 1).lgamma()
        return ways + value * logits - n * logits.clamp(min=0) - n * (-logits.abs()).exp().log1p()

    def entropy(self) -> Any:
        most = int(self.total_count.max())
        if not (self.total_count.min() == most).item():
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        values = self.log_prob(self.enumerate_support(False))
        return -(values.exp() * values).sum(0)

    def enumerate_support(self, expand: bool = True) -> Any:
        most = int(self.total_count.max())
        if not (self.total_count.min() == most).item():
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        values = creation.arange(1 + most, dtype=self.total_count.dtype).reshape(-1, *[1] * len(self.batch_shape))
        return values.expand(-1, *self.batch_shape) if expand else values


class NegativeBinomial(_ByProbability):
    """How many successes of probability p come before `total_count` failures.

    >>> mt.distributions.NegativeBinomial(2, 0.5).mean
    tensor(2.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "total_count": constraints.nonnegative,
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer

    def __init__(
        self, total_count: Any, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(self._counted(total_count, probs, logits).shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return self.total_count * self.logits.exp()

    @property
    def mode(self) -> Any:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0)

    @property
    def variance(self) -> Any:
        return self.mean / (-self.logits).sigmoid()

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            rate = Gamma(self.total_count, (-self.logits).exp(), validate_args=False).sample(sample_shape)
            return poisson(rate)

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        n = self.total_count
        tries = n * logsigmoid(-self.logits) + value * logsigmoid(self.logits)
        ways = -(n + value).lgamma() + (1 + value).lgamma() + n.lgamma()
        return tries - ways.masked_fill(n + value == 0, 0)


class Poisson(ExponentialFamily):
    """p(k) = rate^k exp(-rate) / k!.

    >>> mt.distributions.Poisson(2.0).log_prob(mt.tensor(0.0))
    tensor(-2.)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"rate": constraints.nonnegative}
    support = constraints.nonnegative_integer

    def __init__(self, rate: Any, validate_args: bool | None = None) -> None:
        (self.rate,) = broadcast_all(rate)
        super().__init__(self.rate.shape, (), validate_args)

    @property
    def mean(self) -> Any:
        return self.rate

    variance = mean

    @property
    def mode(self) -> Any:
        return self.rate.floor()

    def sample(self, sample_shape: Any = ()) -> Any:
        with no_grad():
            return poisson(self.rate.expand(self._extended_shape(sample_shape)))

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        rate, value = broadcast_all(self.rate, value)
        return value.xlogy(rate) - rate - (value + 1).lgamma()


class Categorical(Distribution):
    """A class from 0 to K - 1 with the probabilities along the last axis of `probs`, or exp of `logits`.

    Probabilities are divided by their sum.

    >>> d = mt.distributions.Categorical(mt.tensor([1.0, 3.0]))
    >>> d.probs, d.log_prob(mt.tensor(1))
    (tensor([0.2500, 0.7500]), tensor(-0.2877))
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    has_enumerate_support = True
    _event_axes: ClassVar[dict[str, int]] = {"probs": 1, "logits": 1}

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        one_of("Categorical", probs, logits)
        given = logits if probs is None else probs
        if given.dim() < 1:
            raise ValueError(f"`{'logits' if probs is None else 'probs'}` parameter must be at least one-dimensional.")
        if probs is not None:
            self.__dict__["probs"] = probs / probs.sum(-1, keepdim=True)
        else:
            self.__dict__["logits"] = logits - logits.logsumexp(-1, keepdim=True)
        self._num_events = int(given.shape[-1])
        super().__init__(tuple(given.shape)[:-1], (), validate_args)

    def __getattr__(self, name: str) -> Any:
        own = self.__dict__
        if name == "probs" and "logits" in own:
            own[name] = logits_to_probs(own["logits"])
        elif name == "logits" and "probs" in own:
            own[name] = probs_to_logits(own["probs"])
        else:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return own[name]

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter that was given."""
        return self.__dict__["probs" if "probs" in self.__dict__ else "logits"].shape

    @property
    def support(self) -> Any:
        return constraints.integer_interval(0, self._num_events - 1)

    @property
    def mean(self) -> Any:
        return creation.full(self._extended_shape(), math.nan, dtype=self.probs.dtype)

    @property
    def mode(self) -> Any:
        return self.probs.argmax(-1)

    variance = mean

    def sample(self, sample_shape: Any = ()) -> Any:
        sample_shape = Size(sample_shape)
        rows = self.probs.detach().reshape(-1, self._num_events)
        drawn = multinomial(rows, sample_shape.numel(), True).T
        return drawn.reshape(self._extended_shape(sample_shape))

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        value, logits = broadcast_tensors(value.long().unsqueeze(-1), self.logits)
        return logits.gather(-1, value[..., :1]).squeeze(-1)

    def entropy(self) -> Any:
        logits = self.logits.clamp(min=float(_least(self.logits)))
        return -(logits * self.probs).sum(-1)

    def enumerate_support(self, expand: bool = True) -> Any:
        values = creation.arange(self._num_events).reshape(-1, *[1] * len(self.batch_shape))
        return values.expand(-1, *self.batch_shape) if expand else values


def _least(x: Any) -> Any:
    from ..dtypes import finfo

    return finfo(x.dtype).min


class _OfCategorical(Distribution):
    """Draws of a `Categorical`, written as vectors."""

    _categorical: Categorical

    @property
    def probs(self) -> Any:
        """The probability of each class."""
        return self._categorical.probs

    @property
    def logits(self) -> Any:
        """Its logarithm."""
        return self._categorical.logits


class OneHotCategorical(_OfCategorical):
    """As `Categorical`, with values of one 1 and else 0.

    >>> mt.distributions.OneHotCategorical(mt.tensor([0.0, 1.0])).sample()
    tensor([0., 1.])
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    support = constraints.one_hot
    has_enumerate_support = True

    def __init__(self, probs: Any = None, logits: Any = None, validate_args: bool | None = None) -> None:
        self._categorical = Categorical(probs, logits)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args)

    @property
    def mean(self) -> Any:
        return self.probs

    @property
    def mode(self) -> Any:
        return one_hot(self.probs.argmax(-1), self.event_shape[0]).to(self.probs.dtype)

    @property
    def variance(self) -> Any:
        return self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        return one_hot(self._categorical.sample(sample_shape), self.event_shape[0]).to(self.probs.dtype)

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        return self._categorical.log_prob(value.argmax(-1))

    def entropy(self) -> Any:
        return self._categorical.entropy()

    def enumerate_support(self, expand: bool = True) -> Any:
        n = int(self.event_shape[0])
        values = creation.eye(n, dtype=self.probs.dtype).reshape(n, *[1] * len(self.batch_shape), n)
        return values.expand(n, *self.batch_shape, n) if expand else values

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        wide = self._categorical.expand(batch_shape)
        name = "probs" if "probs" in wide.__dict__ else "logits"
        return type(self)(**{name: wide.__dict__[name]}, validate_args=False)


class OneHotCategoricalStraightThrough(OneHotCategorical):
    """As `OneHotCategorical`; its draws have the probabilities' derivatives.

    >>> mt.distributions.OneHotCategoricalStraightThrough(mt.tensor([0.0, 1.0])).rsample()
    tensor([0., 1.])
    """

    has_rsample = True

    def rsample(self, sample_shape: Any = ()) -> Any:
        return self.sample(sample_shape) + (self.probs - self.probs.detach())


class Multinomial(_OfCategorical):
    """How often each class comes up in `total_count` draws.

    >>> d = mt.distributions.Multinomial(4, mt.tensor([1.0, 1.0]))
    >>> d.log_prob(mt.tensor([2.0, 2.0])).exp()
    tensor(0.3750)
    """

    arg_constraints: ClassVar[dict[str, Any]] = {"probs": constraints.simplex, "logits": constraints.real_vector}
    total_count: int

    def __init__(
        self, total_count: int = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs, logits)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args)

    @property
    def param_shape(self) -> Any:
        """The shape of the parameter that was given."""
        return self._categorical.param_shape

    @property
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Any:
        return self.probs * self.total_count

    @property
    def variance(self) -> Any:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = ()) -> Any:
        drawn = self._categorical.sample((self.total_count, *sample_shape))
        order = (*range(1, drawn.dim()), 0)
        drawn = drawn.permute(order)
        counts = creation.zeros(self._extended_shape(sample_shape), dtype=self.probs.dtype)
        return counts.scatter_add(-1, drawn, creation.ones(tuple(drawn.shape), dtype=counts.dtype))

    def log_prob(self, value: Any) -> Any:
        self._validate_sample(value)
        logits, value = broadcast_tensors(self.logits, value)
        logits = logits.masked_fill((value == 0) & (logits == -math.inf), 0)
        ways = (value.sum(-1) + 1).lgamma() - (value + 1).lgamma().sum(-1)
        return ways + (logits * value).sum(-1)

    def entropy(self) -> Any:
        n = creation.tensor(self.total_count, dtype=self.probs.dtype)
        own = self._categorical.entropy()
        count = Binomial(self.total_count, self.probs)
        values = count.enumerate_support(expand=False)[1:]
        weights = count.log_prob(values).exp()
        return n * own - (n + 1).lgamma() + (weights * (values + 1).lgamma()).sum((0, -1))

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        wide = self._categorical.expand(batch_shape)
        name = "probs" if "probs" in wide.__dict__ else "logits"
        return type(self)(self.total_count, **{name: wide.__dict__[name]}, validate_args=False)


__all__ = [
    "Bernoulli",
    "Binomial",
    "Categorical",
    "Geometric",
    "Multinomial",
    "NegativeBinomial",
    "OneHotCategorical",
    "OneHotCategoricalStraightThrough",
    "Poisson",
]
