"""How weights start: the engine's initial values under Keras's names, written into the engine's parameter."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.tensors import wrap
from ..nn import Parameter, init

_TRUNCATED = 0.87962566103423978  # the standard deviation of a normal distribution cut off at +-2


def _truncated(numerator: float, of: Callable[[int, int], float], weight: Any) -> None:
    """Normal, cut off at two standard deviations, with the variance numerator / of(fan_in, fan_out)."""
    std = math.sqrt(numerator / of(*init.fans(weight))) / _TRUNCATED
    init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def _mean(fan_in: int, fan_out: int) -> float:
    return (fan_in + fan_out) / 2


def _in(fan_in: int, fan_out: int) -> float:
    return fan_in


def _uniform_in(numerator: float, weight: Any) -> None:
    bound = math.sqrt(3 * numerator / init.fans(weight)[0])
    init.uniform_(weight, -bound, bound)


_NAMES: dict[str, Callable[[Any], Any]] = {
    "zeros": init.zeros_,
    "ones": init.ones_,
    "glorot_uniform": init.xavier_uniform_,
    "glorot_normal": functools.partial(_truncated, 1.0, _mean),
    "he_uniform": functools.partial(_uniform_in, 2.0),
    "he_normal": functools.partial(_truncated, 2.0, _in),
    "lecun_uniform": functools.partial(_uniform_in, 1.0),
    "lecun_normal": functools.partial(_truncated, 1.0, _in),
    "random_uniform": functools.partial(init.uniform_, a=-0.05, b=0.05),
    "random_normal": functools.partial(init.normal_, std=0.05),
    "truncated_normal": functools.partial(init.trunc_normal_, std=0.05, a=-0.1, b=0.1),
    "orthogonal": init.orthogonal_,
    "identity": init.eye_,
}


class Initializer:
    """The base of all initializers: called with a shape, it gives an array of first values.

    >>> from minitensor.keras import initializers
    >>> initializers.Constant(2.0)((1, 2))
    array([[2., 2.]], dtype=float32)
    """

    def fill(self, weight: Any) -> None:
        """Writes the first values into an engine's parameter, whose axes begin with the outputs."""
        raise NotImplementedError

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        sizes = tuple(shape)
        weight = Parameter(wrap(np.empty([*sizes[:-3:-1], *sizes[:-2]], np.float32)))
        self.fill(weight)
        array = weight.array
        return np.array(array.transpose(*range(2, array.ndim), 1, 0) if array.ndim > 1 else array)


class Constant(Initializer):
    """The same value everywhere."""

    def __init__(self, value: float = 0.0) -> None:
        self.value = float(value)

    def fill(self, weight: Any) -> None:
        """The value."""
        init.constant_(weight, self.value)


class RandomNormal(Initializer):
    """Normally distributed numbers."""

    def __init__(self, mean: float = 0.0, stddev: float = 0.05, seed: Any = None) -> None:
        self.mean, self.stddev = float(mean), float(stddev)

    def fill(self, weight: Any) -> None:
        """The numbers."""
        init.normal_(weight, self.mean, self.stddev)


class TruncatedNormal(RandomNormal):
    """Normally distributed numbers, none farther than two deviations from the mean."""

    def fill(self, weight: Any) -> None:
        """The numbers."""
        wide = 2 * self.stddev
        init.trunc_normal_(weight, self.mean, self.stddev, self.mean - wide, self.mean + wide)


class RandomUniform(Initializer):
    """Numbers uniformly between two bounds."""

    def __init__(self, minval: float = -0.05, maxval: float = 0.05, seed: Any = None) -> None:
        self.minval, self.maxval = float(minval), float(maxval)

    def fill(self, weight: Any) -> None:
        """The numbers."""
        init.uniform_(weight, self.minval, self.maxval)


class _Named(Initializer):
    """An initializer without arguments that has a name."""

    name = ""

    def __init__(self, seed: Any = None) -> None:
        pass

    def fill(self, weight: Any) -> None:
        """What is done under the name."""
        _NAMES[self.name](weight)


def _class(name: str) -> type[_Named]:
    title = "".join(word.capitalize() for word in name.split("_"))
    return type(title, (_Named,), {"name": name, "__doc__": f"The initializer '{name}'.", "__module__": __name__})


Zeros, Ones, Orthogonal, Identity = map(_class, ("zeros", "ones", "orthogonal", "identity"))
GlorotUniform, GlorotNormal = map(_class, ("glorot_uniform", "glorot_normal"))
HeUniform, HeNormal = map(_class, ("he_uniform", "he_normal"))
LecunUniform, LecunNormal = map(_class, ("lecun_uniform", "lecun_normal"))


def check(identifier: Any) -> Any:
    """The identifier itself, of a class an object. Raises ValueError for an unknown name."""
    if isinstance(identifier, type):
        return identifier()
    if callable(identifier) or (isinstance(identifier, str) and identifier in _NAMES):
        return identifier
    raise ValueError(f"Could not interpret initializer identifier: {identifier}")


def fill(identifier: Any, variable: Any) -> None:
    """Gives a weight its first values; a function of the shape gives them itself."""
    if isinstance(identifier, Initializer):
        variable.leaf.data = wrap(np.empty(variable.leaf.array.shape, np.float32))
        identifier.fill(variable.leaf)
        return
    if callable(identifier):
        shape = variable.shape
        try:
            values = identifier(shape, dtype="float32")
        except TypeError:
            values = identifier(shape)
        variable.assign(np.asarray(values))
        return
    variable.leaf.data = wrap(np.empty(variable.leaf.array.shape, np.float32))
    _NAMES[identifier](variable.leaf)
