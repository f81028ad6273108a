"""Schedulers: how an optimizer's learning rate changes from step to step.

A scheduler writes `group["lr"]` of its optimizer's groups: once when it is made, then at every `scheduler.step()`,
which comes after `optimizer.step()`. Those that go step by step from the present learning rate can be used together
(`ChainedScheduler`): each multiplies the rate by the ratio of its factor now to its factor before.
"""

from __future__ import annotations

import math
import warnings
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ..errors import ShapeError
from .cycles import CosineAnnealingLR, CosineAnnealingWarmRestarts, CyclicLR, OneCycleLR
from .optimizer import Optimizer
from .scheduler import LRScheduler, Rates, each, need_optimizer, read, write

__all__ = [
    "ChainedScheduler",
    "ConstantLR",
    "CosineAnnealingLR",
    "CosineAnnealingWarmRestarts",
    "CyclicLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "LinearLR",
    "MultiStepLR",
    "MultiplicativeLR",
    "OneCycleLR",
    "PolynomialLR",
    "ReduceLROnPlateau",
    "SequentialLR",
    "StepLR",
]

_LRScheduler = LRScheduler  # its name of old


class LambdaLR(LRScheduler):
    """The first rate times a function of the step: one function, or one for each group.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)
    >>> optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Any, last_epoch: int = -1) -> None:
        need_optimizer(self._name, optimizer)
        self.lr_lambdas: list[Callable[[int], float]] = each(f"{self._name}: lr_lambda", optimizer, lr_lambda)
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        """The state; of the functions only the attributes of objects that can be called."""
        state = super().state_dict()
        plain = type(lambda: None)
        del state["lr_lambdas"]  # they come last
        state["lr_lambdas"] = [None if isinstance(f, plain) else dict(f.__dict__) for f in self.lr_lambdas]
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a `state_dict`, with this scheduler's own functions."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "lr_lambdas"})
        for function, attributes in zip(self.lr_lambdas, state_dict["lr_lambdas"], strict=True):
            if attributes is not None:
                function.__dict__.update(attributes)

    def get_lr(self) -> Rates:
        """base_lr * lr_lambda(step)."""
        return [base * f(self.last_epoch) for base, f in zip(self.base_lrs, self.lr_lambdas, strict=True)]


class MultiplicativeLR(LambdaLR):
    """The rate before times a function of the step.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.5)
    >>> optimizer.step(); scheduler.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def get_lr(self) -> Rates:
        """lr * lr_lambda(step)."""
        rates = read(self.optimizer, "lr")
        if self._is_initial:
            return rates
        return [rate * f(self.last_epoch) for rate, f in zip(rates, self.lr_lambdas, strict=True)]


class _Factor(LRScheduler):
    """A scheduler whose rate is the first one times `_factor(n)`."""

    def _factor(self, n: int) -> float:
        raise NotImplementedError

    def _ratio(self, n: int) -> float:
        """_factor(n) / _factor(n - 1)."""
        now, before = self._factor(n), self._factor(n - 1)
        return 1.0 if now == before else now / before

    def get_lr(self) -> Rates:
        """The rates before, times the ratio of the factor now to the factor before."""
        ratio = 1.0
        if self.last_epoch == 0:
            ratio = self._factor(0)
        elif not self._is_initial:
            ratio = self._ratio(self.last_epoch)
        return [rate * ratio for rate in read(self.optimizer, "lr")]

    def _get_closed_form_lr(self) -> Rates:
        return [base * self._factor(self.last_epoch) for base in self.base_lrs]


class StepLR(_Factor):
    """Times `gamma` every `step_size` steps.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.StepLR(optimizer, step_size=2)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step(); scheduler.step()
    [1.0] [1.0] [0.1] [0.1]
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = step_size
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, n: int) -> float:
        return float(self.gamma ** (n // self.step_size))

    def _ratio(self, n: int) -> float:
        return 1.0 if n % self.step_size else self.gamma


class MultiStepLR(_Factor):
    """Times `gamma` at each of the steps `milestones`.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.MultiStepLR(optimizer, milestones=[1, 3], gamma=0.5)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step(); scheduler.step()
    [1.0] [0.5] [0.5] [0.25]
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.milestones = Counter(milestones)
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, n: int) -> float:
        return float(self.gamma ** bisect_right(sorted(self.milestones.elements()), n))

    def _ratio(self, n: int) -> float:
        return float(self.gamma ** self.milestones[n])


class ConstantLR(_Factor):
    """Times `factor` for the first `total_iters` steps.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=2)
    >>> for _ in range(3):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step(); scheduler.step()
    [0.5] [0.5] [1.0]
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        if not 0 <= factor <= 1:
            raise ShapeError(f"{self._name}: factor must lie in [0, 1], but is {factor}")
        self.factor = factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, n: int) -> float:
        return self.factor if n < self.total_iters else 1.0


class LinearLR(_Factor):
    """Times a factor that goes in `total_iters` equal steps from `start_factor` to `end_factor`: a warm-up.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step(); scheduler.step()
    [0.5] [0.75] [1.0] [1.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        if not 0 < start_factor <= 1:
            raise ShapeError(f"{self._name}: start_factor must lie in (0, 1], but is {start_factor}")
        if not 0 <= end_factor <= 1:
            raise ShapeError(f"{self._name}: end_factor must lie in [0, 1], but is {end_factor}")
        self.start_factor = start_factor
        self.end_factor = end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def _factor(self, n: int) -> float:
        done = min(n, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * done

    def _ratio(self, n: int) -> float:
        if n > self.total_iters:
            return 1.0
        way = self.end_factor - self.start_factor
        return 1.0 + way / (self.total_iters * self.start_factor + (n - 1) * way)  # rounds as PyTorch's


class ExponentialLR(_Factor):
    """Times `gamma` at every step.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> optimizer.step(); scheduler.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def _factor(self, n: int) -> float:
        return float(self.gamma**n)

    def _ratio(self, n: int) -> float:
        return self.gamma


class PolynomialLR(_Factor):
    """Times (1 - n / total_iters)^power, down to 0 in `total_iters` steps.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4, power=2.0)
    >>> for _ in range(5):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step(); scheduler.step()
    [1.0] [0.5625] [0.25] [0.0625] [0.0]
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = total_iters
        self.power = power
        super().__init__(optimizer, last_epoch)

    def _factor(self, n: int) -> float:
        return float((1 - min(n, self.total_iters) / self.total_iters) ** self.power)

    def _ratio(self, n: int) -> float:
        if n > self.total_iters:
            return 1.0
        left, before = 1.0 - n / self.total_iters, 1.0 - (n - 1) / self.total_iters
        return float((left / before) ** self.power)  # rounds as PyTorch's


class _Several(LRScheduler):
    """What is made of other schedulers, all of one optimizer."""

    _schedulers: list[LRScheduler]

    def _adopt(self, optimizer: Any, schedulers: Sequence[Any]) -> None:
        if not schedulers:
            raise ShapeError(f"{self._name}: there are no schedulers")
        for i, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                raise TypeError(f"{self._name}: element {i} is a {type(scheduler).__name__}, not a scheduler")
        self.optimizer = schedulers[0].optimizer if optimizer is None else optimizer
        for i, scheduler in enumerate(schedulers):
            if isinstance(scheduler, ReduceLROnPlateau):
                raise ShapeError(f"{self._name}: element {i} is a ReduceLROnPlateau, whose step needs a metric")
            if scheduler.optimizer is not self.optimizer:
                raise ShapeError(f"{self._name}: element {i}, {scheduler._name}, belongs to another optimizer")
        self._schedulers = list(schedulers)

    def state_dict(self) -> dict[str, Any]:
        """The state, and those of the schedulers."""
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a `state_dict`."""
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_schedulers"})
        for scheduler, state in zip(self._schedulers, state_dict["_schedulers"], strict=True):
            scheduler.load_state_dict(state)


class SequentialLR(_Several):
    """One scheduler after the other: the next one begins, from its first rate, at each of the steps `milestones`.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> warmup = mt.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> decay = mt.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> scheduler = mt.optim.lr_scheduler.SequentialLR(optimizer, [warmup, decay], milestones=[2])
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step(); scheduler.step()
    [0.5] [0.75] [1.0] [0.5]
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: list[Any], milestones: list[int], last_epoch: int = -1
    ) -> None:
        self._adopt(optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            n = len(schedulers)
            raise ShapeError(f"{self._name}: {n} schedulers need {n - 1} milestones, not {len(milestones)}")
        self._milestones = milestones
        self.last_epoch = last_epoch + 1
        for group in optimizer.param_groups:
            write(group, "lr", group["initial_lr"])
        for scheduler in self._schedulers:
            _undo(scheduler)
        first = self._schedulers[bisect_right(milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def _initial_step(self) -> None:
        """Of one inside another: begins with its first scheduler."""
        self.last_epoch += 1
        first = self._schedulers[bisect_right(self._milestones, 0)]
        first._initial_step()
        self._last_lr = first.get_last_lr()

    def _update_lr(self, epoch: int | None = None) -> None:
        """Of one inside another: at its milestone it begins with the first rate of its first scheduler."""
        self.last_epoch = 0
        self._schedulers[0]._update_lr(0)
        self._last_lr = self._schedulers[0].get_last_lr()

    def step(self) -> None:  # type: ignore[override]
        """Sets the rates of the next step."""
        self.last_epoch += 1
        i = bisect_right(self._milestones, self.last_epoch)
        scheduler = self._schedulers[i]
        if i > 0 and self._milestones[i - 1] == self.last_epoch:
            scheduler._update_lr(0)
        else:
            scheduler.step()
        self._last_lr = scheduler.get_last_lr()


def _undo(scheduler: LRScheduler) -> None:
    """Takes back the first step that a scheduler made when it was constructed."""
    if isinstance(scheduler, _Several):
        for inner in scheduler._schedulers:
            _undo(inner)
    scheduler.last_epoch = getattr(scheduler, "last_epoch", 0) - 1


class ChainedScheduler(_Several):
    """Several schedulers at once, each on top of the others.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> parts = [mt.optim.lr_scheduler.ExponentialLR(optimizer, 0.5), mt.optim.lr_scheduler.StepLR(optimizer, 2)]
    >>> scheduler = mt.optim.lr_scheduler.ChainedScheduler(parts)
    >>> optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(self, schedulers: Sequence[Any], optimizer: Optimizer | None = None) -> None:
        self._adopt(optimizer, schedulers)
        self._last_lr = read(self.optimizer, "lr")

    def _initial_step(self) -> None:
        """Of one inside another: begins with the first rates of all."""
        for scheduler in self._schedulers:
            scheduler._initial_step()
        self._last_lr = read(self.optimizer, "lr")

    def _update_lr(self, epoch: int | None = None) -> None:
        for scheduler in self._schedulers:
            scheduler._update_lr(epoch)
        self._last_lr = read(self.optimizer, "lr")

    def step(self) -> None:  # type: ignore[override]
        """A step of every scheduler."""
        for scheduler in self._schedulers:
            scheduler.step()
        self._last_lr = read(self.optimizer, "lr")


class ReduceLROnPlateau(LRScheduler):
    """Times `factor` when a metric has not improved for more than `patience` steps.

    It improves if it is better than the best by `threshold`: "rel", of the best value, or "abs". After a reduction
    `cooldown` steps are not counted. `min_lr` is a bound for all groups or one for each; changes below `eps` are not
    made.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.1]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: Any = 0,
        eps: float = 1e-8,
    ) -> None:
        need_optimizer(self._name, optimizer)
        if not factor < 1:
            raise ShapeError(f"{self._name}: factor must be below 1, but is {factor}")
        if mode not in ("min", "max"):
            raise ShapeError(f"{self._name}: mode must be 'min' or 'max', not {mode!r}")
        if threshold_mode not in ("rel", "abs"):
            raise ShapeError(f"{self._name}: threshold_mode must be 'rel' or 'abs', not {threshold_mode!r}")
        self.optimizer = optimizer
        self.factor = factor
        self.default_min_lr = None if isinstance(min_lr, (list, tuple)) else min_lr
        self.min_lrs = each(f"{self._name}: min_lr", optimizer, min_lr)
        self.patience = patience
        self.cooldown = cooldown
        self.eps = eps
        self.last_epoch = 0
        self._last_lr = read(optimizer, "lr")
        self.mode_worse = math.inf if mode == "min" else -math.inf
        self.mode = mode
        self.threshold = threshold
        self.threshold_mode = threshold_mode
        self._reset()

    def _reset(self) -> None:
        """Forgets the metrics so far."""
        self.best = self.mode_worse
        self.cooldown_counter = 0
        self.num_bad_epochs = 0

    @property
    def in_cooldown(self) -> bool:
        """Whether steps are not counted at present."""
        return self.cooldown_counter > 0

    def _is_better(self, a: float, best: float) -> bool:
        sign = -1 if self.mode == "min" else 1
        bar = best * (1 + sign * self.threshold) if self.threshold_mode == "rel" else best + sign * self.threshold
        return sign * a > sign * bar

    def step(self, metrics: Any, epoch: int | None = None) -> None:  # type: ignore[override]
        """Takes the metric of one more step."""
        value = float(metrics)
        if epoch is not None:
            warnings.warn(f"{self._name}.step: epoch is deprecated; call step(metrics)", UserWarning, stacklevel=2)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(value, self.best):
            self.best = value
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce_lr()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._last_lr = read(self.optimizer, "lr")

    def _reduce_lr(self) -> None:
        groups = self.optimizer.param_groups
        if len(self.min_lrs) != len(groups):
            if self.default_min_lr is None:
                raise ShapeError(
                    f"{self._name}: {len(self.min_lrs)} min_lrs for {len(groups)} groups; add one to min_lrs"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            old = float(group["lr"])
            new = max(old * self.factor, least)
            if old - new > self.eps:
                write(group, "lr", new)
