"""Where parameters and values of distributions may lie: `constraint.check(x)` says for each whether it does."""

from __future__ import annotations

from typing import Any

from ..ops.common import shape_of

__all__ = [
    "Constraint",
    "boolean",
    "dependent",
    "greater_than",
    "greater_than_eq",
    "half_open_interval",
    "independent",
    "integer_interval",
    "interval",
    "less_than",
    "lower_cholesky",
    "multinomial",
    "nonnegative",
    "nonnegative_integer",
    "one_hot",
    "positive",
    "positive_definite",
    "positive_integer",
    "real",
    "real_vector",
    "simplex",
    "unit_interval",
]


class Constraint:
    """A set; `event_dim` of the last axes are one value."""

    is_discrete = False
    event_dim = 0

    def __init__(self, **bounds: Any) -> None:
        self.__dict__.update(bounds)

    def check(self, value: Any) -> Any:
        """Whether each value lies in the set."""
        raise NotImplementedError

    def __repr__(self) -> str:
        bounds = ", ".join(f"{name}={value}" for name, value in vars(self).items())
        return f"{type(self).__name__.lstrip('_')}({bounds})"


class Dependent(Constraint):
    """A set that depends on the distribution's parameters."""


class Real(Constraint):
    """All numbers but NaN."""

    def check(self, value: Any) -> Any:
        return value == value


class Boolean(Constraint):
    """0 and 1."""

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value == 0) | (value == 1)


class GreaterThan(Constraint):
    """Above a bound."""

    lower_bound: Any

    def check(self, value: Any) -> Any:
        return value > self.lower_bound


class GreaterThanEq(GreaterThan):
    """From a bound on."""

    def check(self, value: Any) -> Any:
        return value >= self.lower_bound


class LessThan(Constraint):
    """Below a bound."""

    upper_bound: Any

    def check(self, value: Any) -> Any:
        return value < self.upper_bound


class Interval(Constraint):
    """Between two bounds, both within."""

    lower_bound: Any
    upper_bound: Any

    def check(self, value: Any) -> Any:
        return (value >= self.lower_bound) & (value <= self.upper_bound)


class HalfOpenInterval(Interval):
    """Between two bounds, the lower within."""

    def check(self, value: Any) -> Any:
        return (value >= self.lower_bound) & (value < self.upper_bound)


class IntegerInterval(Interval):
    """Integers between two bounds, both within."""

    is_discrete = True

    def check(self, value: Any) -> Any:
        return (value % 1 == 0) & (value >= self.lower_bound) & (value <= self.upper_bound)


class IntegerGreaterThan(Constraint):
    """Integers from a bound on."""

    is_discrete = True
    lower_bound: Any

    def check(self, value: Any) -> Any:
        return (value % 1 == 0) & (value >= self.lower_bound)


class Simplex(Constraint):
    """Numbers of a last axis that are not negative and add up to 1."""

    event_dim = 1

    def check(self, value: Any) -> Any:
        return (value >= 0).all(-1) & ((value.sum(-1) - 1).abs() < 1e-6)


class OneHot(Constraint):
    """One 1 and else 0 along the last axis."""

    is_discrete = True
    event_dim = 1

    def check(self, value: Any) -> Any:
        return ((value == 0) | (value == 1)).all(-1) & (value.sum(-1) == 1)


class Multinomial(Constraint):
    """Counts along the last axis that add up to no more than a bound."""

    is_discrete = True
    event_dim = 1
    upper_bound: Any

    def check(self, value: Any) -> Any:
        return (value >= 0).all(-1) & (value.sum(-1) <= self.upper_bound)


class LowerCholesky(Constraint):
    """Lower triangles with a positive diagonal."""

    event_dim = 2

    def check(self, value: Any) -> Any:
        lower = (value.tril() == value).reshape(*shape_of(value)[:-2], -1).all(-1)
        return lower & (value.diagonal(0, -2, -1) > 0).all(-1)


class PositiveDefinite(Constraint):
    """Symmetric matrices with positive eigenvalues."""

    event_dim = 2

    def check(self, value: Any) -> Any:
        from ..linalg import eigvalsh

        close = ((value - value.mT).abs() <= 1e-6).all(-1).all(-1)
        return close & (eigvalsh(value) > 0).all(-1)


class IndependentConstraint(Constraint):
    """A set whose last axes count as one value."""

    def __init__(self, base_constraint: Any, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @property
    def is_discrete(self) -> bool:  # type: ignore[override]
        return bool(self.base_constraint.is_discrete)

    @property
    def event_dim(self) -> int:  # type: ignore[override]
        return int(self.base_constraint.event_dim + self.reinterpreted_batch_ndims)

    def check(self, value: Any) -> Any:
        inside = self.base_constraint.check(value)
        shape, n = shape_of(inside), self.reinterpreted_batch_ndims
        return inside.reshape(*shape[: len(shape) - n], -1).all(-1) if n else inside

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint}, {self.reinterpreted_batch_ndims})"


dependent = Dependent()
independent = IndependentConstraint
boolean = Boolean()
one_hot = OneHot()
real = Real()
real_vector = IndependentConstraint(real, 1)
simplex = Simplex()
lower_cholesky = LowerCholesky()
positive_definite = PositiveDefinite()
positive = GreaterThan(lower_bound=0.0)
nonnegative = GreaterThanEq(lower_bound=0.0)
nonnegative_integer = IntegerGreaterThan(lower_bound=0)
positive_integer = IntegerGreaterThan(lower_bound=1)
unit_interval = Interval(lower_bound=0.0, upper_bound=1.0)


def greater_than(lower_bound: Any) -> Constraint:
    """Above a bound."""
    return GreaterThan(lower_bound=lower_bound)


def greater_than_eq(lower_bound: Any) -> Constraint:
    """From a bound on."""
    return GreaterThanEq(lower_bound=lower_bound)


def less_than(upper_bound: Any) -> Constraint:
    """Below a bound."""
    return LessThan(upper_bound=upper_bound)


def interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Between two bounds, both within."""
    return Interval(lower_bound=lower_bound, upper_bound=upper_bound)


def half_open_interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Between two bounds, the lower within."""
    return HalfOpenInterval(lower_bound=lower_bound, upper_bound=upper_bound)


def integer_interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Integers between two bounds, both within."""
    return IntegerInterval(lower_bound=lower_bound, upper_bound=upper_bound)


def multinomial(upper_bound: Any) -> Constraint:
    """Counts along the last axis that add up to no more than a bound."""
    return Multinomial(upper_bound=upper_bound)
