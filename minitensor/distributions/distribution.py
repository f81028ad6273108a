"""What all distributions share: shapes, checks, and the names of what one may ask."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

import numpy as np

from .. import creation, dtypes
from ..autograd import no_grad
from ..ops.common import shape_of, to_dtype
from ..ops.rearrange import broadcast_tensors
from ..tensor import Size, Tensor
from . import constraints

D = TypeVar("D", bound="Distribution")

_validate = __debug__


class Distribution:
    """The base of all distributions.

    A batch of distributions has the shape `batch_shape`, one value of it `event_shape`; a sample of shape s has the
    shape s + batch_shape + event_shape. Parameters are checked at the beginning and values in `log_prob`, `cdf` and
    `icdf`, unless `validate_args=False`; raises ValueError.
    """

    has_rsample = False
    has_enumerate_support = False
    arg_constraints: ClassVar[dict[str, Any]] = {}
    support: Any = constraints.dependent
    _shown = True  # whether the printed distribution says its parameters, as PyTorch's does
    _event_axes: ClassVar[dict[str, int]] = {}  # how many axes a parameter has beside the batch's, if any

    def __init__(self, batch_shape: Any = (), event_shape: Any = (), validate_args: bool | None = None) -> None:
        self._batch_shape, self._event_shape = Size(batch_shape), Size(event_shape)
        self._validate_args = _validate if validate_args is None else validate_args
        if self._validate_args:
            for name, constraint in self.arg_constraints.items():
                if name not in self.__dict__ or isinstance(constraint, constraints.Dependent):
                    continue
                if not constraint.check(getattr(self, name)).all():
                    self._refuse(name, constraint)

    def _refuse(self, name: str, constraint: Any) -> None:
        value = getattr(self, name)
        raise ValueError(
            f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
            f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
        )

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Whether distributions check their arguments unless told otherwise."""
        global _validate
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args: True or False, not {value!r}")
        _validate = value

    @property
    def batch_shape(self) -> Any:
        """The shape of the batch of distributions."""
        return self._batch_shape

    @property
    def event_shape(self) -> Any:
        """The shape of one value."""
        return self._event_shape

    @property
    def mean(self) -> Any:
        """The expected value."""
        raise NotImplementedError

    @property
    def mode(self) -> Any:
        """The most probable value."""
        raise NotImplementedError(f"{type(self)} does not implement mode")

    @property
    def variance(self) -> Any:
        """The expected square of the distance from the mean."""
        raise NotImplementedError

    @property
    def stddev(self) -> Any:
        """The root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Any = ()) -> Any:
        """Draws, outside the graph."""
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = ()) -> Any:
        """Draws, as a function of the parameters in the graph."""
        raise NotImplementedError(f"{type(self).__name__} has no rsample: its draws have no derivative")

    def sample_n(self, n: int) -> Any:
        """n draws."""
        return self.sample((n,))

    def log_prob(self, value: Any) -> Any:
        """The logarithm of the probability, or of its density, at a value."""
        raise NotImplementedError

    def cdf(self, value: Any) -> Any:
        """The probability of values up to this one."""
        raise NotImplementedError

    def icdf(self, value: Any) -> Any:
        """The value up to which this probability lies."""
        raise NotImplementedError

    def entropy(self) -> Any:
        """The expected -log_prob."""
        raise NotImplementedError

    def perplexity(self) -> Any:
        """exp of the entropy."""
        return self.entropy().exp()

    def enumerate_support(self, expand: bool = True) -> Any:
        """All values, along the first axis."""
        raise NotImplementedError

    def expand(self: D, batch_shape: Any, _instance: Any = None) -> D:
        """The same with a larger batch; parameters are not copied."""
        shape = tuple(batch_shape)
        new = type(self).__new__(type(self))
        new.__dict__.update(self.__dict__)
        for name in self._parameters():
            value = self.__dict__[name]
            n = self._event_axes.get(name, 0)
            new.__dict__[name] = value.expand(shape + (tuple(value.shape)[value.dim() - n :] if n else ()))
        new._batch_shape = Size(shape)
        return new

    def _parameters(self) -> list[str]:
        return [name for name, value in self.__dict__.items() if isinstance(value, Tensor)]

    def _extended_shape(self, sample_shape: Any = ()) -> Any:
        return Size((*sample_shape, *self._batch_shape, *self._event_shape))

    def _validate_sample(self, value: Any) -> None:
        if not isinstance(value, Tensor):
            raise ValueError("The value argument to log_prob must be a Tensor")
        if not self._validate_args:
            return
        shape, n = shape_of(value), len(self._event_shape)
        if shape[len(shape) - n :] != tuple(self._event_shape):
            raise ValueError(f"{type(self).__name__}: values of shape {shape} do not end in {tuple(self._event_shape)}")
        mine = (*self._batch_shape, *self._event_shape)
        try:
            np.broadcast_shapes(shape, mine)
        except ValueError:
            raise ValueError(f"{type(self).__name__}: values of shape {shape} do not broadcast with {mine}") from None
        if not self.support.check(value).all():
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the "
                f"support ({self.support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def __repr__(self) -> str:
        names = [name for name in self.arg_constraints if name in self.__dict__ and self._shown]
        said = [(name, self.__dict__[name]) for name in names]
        shown = [f"{name}: {value if value.numel() == 1 else value.size()}" for name, value in said]
        return f"{type(self).__name__}({', '.join(shown)})"


class ExponentialFamily(Distribution):
    """Distributions whose density is exp of an inner product; a name of PyTorch's."""


# --- parameters -------------------------------------------------------------------------------------------------------


def broadcast_all(*values: Any) -> list[Any]:
    """Tensors and numbers as tensors of one shape; numbers take the dtype of the tensors."""
    tensors = [v for v in values if isinstance(v, Tensor)]
    for v in values:
        if not isinstance(v, (Tensor, int, float, np.number)):
            raise ValueError(f"a parameter is a number or a tensor, not {type(v).__name__}")
    d = tensors[0].dtype if tensors else dtypes.get_default_dtype()
    d = d if d.is_floating_point else dtypes.get_default_dtype()
    given = [v if isinstance(v, Tensor) else creation.tensor(v, dtype=d) for v in values]
    return list(broadcast_tensors(*given))


def floating(x: Any) -> Any:
    """A tensor of integers in the default dtype."""
    return x if x.is_floating_point() else to_dtype(x, dtypes.get_default_dtype())


def eps_of(x: Any) -> float:
    """The distance from 1 to the next number of the dtype."""
    return dtypes.finfo(x.dtype).eps


def tiny_of(x: Any) -> float:
    """The smallest normal number of the dtype."""
    return dtypes.finfo(x.dtype).tiny


def clamp_probs(probs: Any) -> Any:
    """Probabilities a little away from 0 and 1."""
    eps = eps_of(probs)
    return probs.clamp(eps, 1 - eps)


def probs_to_logits(probs: Any, is_binary: bool = False) -> Any:
    """ln p, or ln (p / (1 - p))."""
    p = clamp_probs(probs)
    return p.log() - (-p).log1p() if is_binary else p.log()


def logits_to_probs(logits: Any, is_binary: bool = False) -> Any:
    """softmax, or the sigmoid."""
    return logits.sigmoid() if is_binary else logits.softmax(-1)


def one_of(name: str, probs: Any, logits: Any) -> None:
    """Raises unless exactly one is given."""
    if (probs is None) == (logits is None):
        raise ValueError(f"{name}: Either `probs` or `logits` must be specified, but not both.")


def sum_last(x: Any, n: int) -> Any:
    """The sum over the last n axes."""
    return x.sum(tuple(range(-n, 0))) if n else x
