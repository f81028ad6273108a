"""How weights start: the engine's initial values under Keras's names, written into the engine's parameter."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph.tensors import wrap
from ..nn import init

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
}


def check(identifier: Any) -> Any:
    """The identifier itself. Raises ValueError for an unknown name."""
    if callable(identifier) or (isinstance(identifier, str) and identifier in _NAMES):
        return identifier
    raise ValueError(f"Could not interpret initializer identifier: {identifier}")


def fill(identifier: Any, variable: Any) -> None:
    """Gives a weight its first values; a function of the shape gives them itself."""
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
