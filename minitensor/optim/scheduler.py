"""The base of schedulers, and how they read and write the options of an optimizer's groups."""

from __future__ import annotations

import warnings
from typing import Any

from ..errors import ShapeError
from ..graph.tensors import Tensor as Core
from .optimizer import Optimizer

Rates = list[Any]


def read(optimizer: Optimizer, key: str) -> Rates:
    """An option of every group; tensors as copies."""
    values = [group[key] for group in optimizer.param_groups]
    return [v.detach().clone() if isinstance(v, Core) else v for v in values]


def write(group: dict[str, Any], key: str, value: Any) -> None:
    """Sets an option; a tensor keeps its place in memory."""
    if isinstance(group[key], Core):
        group[key].fill_(float(value))
    else:
        group[key] = value


def each(name: str, optimizer: Optimizer, value: Any) -> list[Any]:
    """A value for every group: one for all, or a list of as many."""
    n = len(optimizer.param_groups)
    if not isinstance(value, (list, tuple)):
        return [value] * n
    if len(value) != n:
        raise ShapeError(f"{name}: {len(value)} values for an optimizer with {n} groups of parameters")
    return list(value)


def need_optimizer(name: str, optimizer: Any) -> None:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: expected an Optimizer, not {type(optimizer).__name__}")


class LRScheduler:
    """The base of schedulers. A subclass defines `get_lr()`: the rates of all groups at step `self.last_epoch`.

    `last_epoch=-1` starts; with another one training goes on from there, and the groups must have "initial_lr".
    If there also is `_get_closed_form_lr()`, it gives the rates of a step without those of the step before.

    Attributes:
        base_lrs: the rates that the groups began with.
        last_epoch: the number of the present step, from 0.
    """

    _is_initial = False
    _get_lr_called_within_step = False  # of PyTorch's state, where it is always False between steps

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        need_optimizer(self._name, optimizer)
        self.optimizer = optimizer
        for i, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                rate = group["lr"]
                group.setdefault("initial_lr", rate.detach().clone() if isinstance(rate, Core) else rate)
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{self._name}: group {i} has no 'initial_lr' to go on from step {last_epoch}; load the "
                    "optimizer's state_dict first, or leave last_epoch at -1"
                )
        self.base_lrs: Rates = read(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self._initial_step()

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _initial_step(self) -> None:
        """The step that brings the optimizer to the first rates."""
        self._step_count = 0
        self._is_initial = True
        self._get_lr_called_within_step = False
        try:
            self.step()
        finally:
            self._is_initial = False

    def get_lr(self) -> Rates:
        """The rates of the present step; a subclass defines it."""
        raise NotImplementedError(f"{self._name} has no get_lr")

    def get_last_lr(self) -> Rates:
        """The rates that the last step set."""
        return self._last_lr

    def step(self, epoch: int | None = None) -> None:
        """Sets the rates of the next step; of step `epoch`, where that is given (which is deprecated)."""
        if self._step_count == 1 and not self.optimizer._steps:
            warnings.warn(
                "lr_scheduler.step() was called before optimizer.step(): the first learning rate of the schedule is "
                "skipped; call optimizer.step() first",
                UserWarning,
                stacklevel=2,
            )
        if epoch is not None:
            warnings.warn(f"{self._name}.step: epoch is deprecated; call step()", UserWarning, stacklevel=2)
        self._step_count += 1
        self._update_lr(epoch)

    def _update_lr(self, epoch: int | None = None) -> None:
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        closed = None if epoch is None else getattr(self, "_get_closed_form_lr", None)
        self._set(self.get_lr() if closed is None else closed())

    def _set(self, rates: Rates) -> None:
        for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
            write(group, "lr", rate)
        self._last_lr: Rates = read(self.optimizer, "lr")

    def state_dict(self) -> dict[str, Any]:
        """All that the scheduler knows, without the optimizer."""
        return {key: value for key, value in self.__dict__.items() if key != "optimizer"}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a `state_dict`."""
        self.__dict__.update(state_dict)
