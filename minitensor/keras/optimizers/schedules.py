"""Learning rates that change with the number of updates: SGD(schedules.ExponentialDecay(0.1, 100, 0.5)).

>>> from minitensor.keras import optimizers
>>> optimizers.schedules.ExponentialDecay(0.1, decay_steps=10, decay_rate=0.5)(20)
0.025
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence

__all__ = ["CosineDecay", "ExponentialDecay", "InverseTimeDecay", "LearningRateSchedule", "PiecewiseConstantDecay"]


class LearningRateSchedule:
    """The base of them: called with the number of updates so far, it gives the rate of the next."""

    def __call__(self, step: int) -> float:
        raise NotImplementedError


class ExponentialDecay(LearningRateSchedule):
    """rate decay_rate^(step / decay_steps); with `staircase` the exponent is rounded down."""

    def __init__(
        self, initial_learning_rate: float, decay_steps: float, decay_rate: float, staircase: bool = False
    ) -> None:
        self.rate, self.steps, self.factor, self.staircase = initial_learning_rate, decay_steps, decay_rate, staircase

    def _share(self, step: int) -> float:
        share = int(step) / self.steps
        return math.floor(share) if self.staircase else share

    def __call__(self, step: int) -> float:
        return float(self.rate * self.factor ** self._share(step))


class InverseTimeDecay(ExponentialDecay):
    """rate / (1 + decay_rate step / decay_steps); with `staircase` the quotient is rounded down."""

    def __call__(self, step: int) -> float:
        return float(self.rate / (1 + self.factor * self._share(step)))


class CosineDecay(LearningRateSchedule):
    """From the rate down to `alpha` times it along half a cosine, in `decay_steps` updates."""

    def __init__(self, initial_learning_rate: float, decay_steps: float, alpha: float = 0.0) -> None:
        self.rate, self.steps, self.alpha = initial_learning_rate, decay_steps, alpha

    def __call__(self, step: int) -> float:
        share = min(int(step) / self.steps, 1.0)
        return float(self.rate * ((1 - self.alpha) * 0.5 * (1 + math.cos(math.pi * share)) + self.alpha))


class PiecewiseConstantDecay(LearningRateSchedule):
    """values[0] up to the update boundaries[0], then values[1] up to boundaries[1], and so on."""

    def __init__(self, boundaries: Sequence[int], values: Sequence[float]) -> None:
        if len(values) != len(boundaries) + 1:
            raise ValueError("PiecewiseConstantDecay: there must be one value more than boundaries")
        self.boundaries, self.values = list(boundaries), list(values)

    def __call__(self, step: int) -> float:
        return float(self.values[bisect.bisect_left(self.boundaries, int(step))])
