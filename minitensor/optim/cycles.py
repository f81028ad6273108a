"""Schedulers that go along cosines and triangles: annealing, restarts, cycles. Public in `lr_scheduler`."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from ..errors import ShapeError
from .optimizer import Optimizer
from .scheduler import LRScheduler, Rates, each, need_optimizer, read, write


class CosineAnnealingLR(LRScheduler):
    """Down half a cosine from the first rate to `eta_min` in `T_max` steps, and up again in as many.

        lr = eta_min + (base_lr - eta_min) (1 + cos(pi n / T_max)) / 2

    Source: I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017), without restarts.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> optimizer.step(); scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = T_max
        self.eta_min = eta_min
        super().__init__(optimizer, last_epoch)

    def _height(self, n: float) -> float:
        return 1 + math.cos(math.pi * n / self.T_max)

    def get_lr(self) -> Rates:
        """What is above eta_min, times the ratio of the cosine's height now to before; from 0, the way up anew."""
        n, rates = self.last_epoch, read(self.optimizer, "lr")
        if self._is_initial:
            return rates
        if self._step_count == 1 and n > 0:
            return self._get_closed_form_lr()
        if (n - 1 - self.T_max) % (2 * self.T_max) == 0:
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [rate + (base - self.eta_min) * rise for rate, base in zip(rates, self.base_lrs, strict=True)]
        ratio = self._height(n) / self._height(n - 1)
        return [self.eta_min + ratio * (rate - self.eta_min) for rate in rates]

    def _get_closed_form_lr(self) -> Rates:
        share = self._height(self.last_epoch) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Down half a cosine to `eta_min` in `T_0` steps, then from the start, in times that grow by `T_mult`.

    `step(epoch)` may be given the epoch with a fraction, to be called after every batch.
    Source: I. Loshchilov, F. Hutter, "SGDR: stochastic gradient descent with warm restarts" (2017).

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> for _ in range(4):
    ...     print(round(scheduler.get_last_lr()[0], 3), end=" ")
    ...     optimizer.step(); scheduler.step()
    1.0 0.5 1.0 0.5
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        for name, value in (("T_0", T_0), ("T_mult", T_mult)):
            if not isinstance(value, int) or value < 1:
                raise ShapeError(f"{self._name}: {name} must be a positive integer, but is {value!r}")
        self.T_0 = T_0
        self.T_i = T_0
        self.T_mult = T_mult
        self.eta_min = eta_min
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> Rates:
        """eta_min + (base_lr - eta_min) (1 + cos(pi T_cur / T_i)) / 2."""
        share = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * share for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Sets the rates of the next step, or of the time `epoch`."""
        if epoch is None and self.last_epoch < 0:
            epoch = 0
        if epoch is None:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        elif epoch < 0:
            raise ShapeError(f"{self._name}: epoch must not be negative, but is {epoch}")
        else:
            self.T_i, self.T_cur = self.T_0, epoch
            if epoch >= self.T_0 and self.T_mult == 1:
                self.T_cur = epoch % self.T_0
            elif epoch >= self.T_0:
                restarts = int(math.log(epoch / self.T_0 * (self.T_mult - 1) + 1, self.T_mult))
                self.T_cur = epoch - self.T_0 * (self.T_mult**restarts - 1) / (self.T_mult - 1)
                self.T_i = self.T_0 * self.T_mult**restarts
        self.last_epoch = math.floor(epoch)
        self._set(self.get_lr())


def _momentum_of(name: str, optimizer: Optimizer) -> str:
    """The option that is the optimizer's momentum. Raises if it has none."""
    for key in ("betas", "momentum"):
        if key in optimizer.defaults:
            return key
    raise ShapeError(f"{name}: the optimizer has neither momentum nor betas; pass cycle_momentum=False")


def _set_momentum(group: dict[str, Any], key: str, value: float) -> None:
    group[key] = (value, *group["betas"][1:]) if key == "betas" else value


class CyclicLR(LRScheduler):
    """Up from `base_lr` to `max_lr` in `step_size_up` steps and down in `step_size_down`, again and again.

    The height of a cycle: "triangular", always the same; "triangular2", halved every time; "exp_range", times gamma^n;
    or `scale_fn`, of the number of the cycle or, with `scale_mode="iterations"`, of the step. The momentum goes the
    other way, between `max_momentum` and `base_momentum`, unless `cycle_momentum=False`.
    Source: L. Smith, "Cyclical learning rates for training neural networks" (2017).

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0, momentum=0.9)
    >>> scheduler = mt.optim.lr_scheduler.CyclicLR(optimizer, base_lr=0.0, max_lr=1.0, step_size_up=2)
    >>> for _ in range(5):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step(); scheduler.step()
    [0.0] [0.5] [1.0] [0.5] [0.0]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Any,
        max_lr: Any,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.8,
        max_momentum: Any = 0.9,
        last_epoch: int = -1,
    ) -> None:
        need_optimizer(self._name, optimizer)
        if mode not in ("triangular", "triangular2", "exp_range") and scale_fn is None:
            raise ShapeError(f"{self._name}: mode {mode!r} is none of 'triangular', 'triangular2', 'exp_range'")
        base_lrs = each(f"{self._name}: base_lr", optimizer, base_lr)
        self.max_lrs = each(f"{self._name}: max_lr", optimizer, max_lr)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up + down)
        self.step_ratio = step_size_up / self.total_size
        self.mode = mode
        self.gamma = gamma
        self._scale_fn_custom = scale_fn
        self.scale_mode = scale_mode if scale_fn is not None else "iterations" if mode == "exp_range" else "cycle"
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            key = _momentum_of(self._name, optimizer)
            self.base_momentums = each(f"{self._name}: base_momentum", optimizer, base_momentum)
            self.max_momentums = each(f"{self._name}: max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for i, group in enumerate(optimizer.param_groups):
                write(group, "lr", base_lrs[i])
                if cycle_momentum:
                    _set_momentum(group, key, self.max_momentums[i])
                    group["max_momentum"], group["base_momentum"] = self.max_momentums[i], self.base_momentums[i]
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def scale_fn(self, x: float) -> float:
        """The height of cycle (or step) x."""
        if self._scale_fn_custom is not None:
            return self._scale_fn_custom(x)
        return float({"triangular": 1.0, "triangular2": 0.5 ** (x - 1)}.get(self.mode, self.gamma**x))

    def get_lr(self) -> Rates:
        """The rates on the triangle's sides; sets the momentum too."""
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        scale = self.scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.cycle_momentum:
            key = _momentum_of(self._name, self.optimizer)
            ends = zip(self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, low, high in ends:
                _set_momentum(group, key, high - (high - low) * height * scale)
        return [low + (high - low) * height * scale for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """The state; of `scale_fn` only the attributes of an object that can be called."""
        state = super().state_dict()
        function = state["_scale_fn_custom"]
        plain = function is None or isinstance(function, type(lambda: None))
        state["_scale_fn_custom"] = None if plain else dict(function.__dict__)
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a `state_dict`, with this scheduler's own `scale_fn`."""
        attributes = state_dict["_scale_fn_custom"]
        super().load_state_dict({k: v for k, v in state_dict.items() if k != "_scale_fn_custom"})
        if attributes is not None and self._scale_fn_custom is not None:
            self._scale_fn_custom.__dict__.update(attributes)


_PHASE = ("start_lr", "end_lr", "start_momentum", "end_momentum")


def _phase(end_step: float, *names: str) -> dict[str, Any]:
    """Where a phase ends, and from which of a group's entries to which the rate and the momentum go in it."""
    return {"end_step": end_step, **dict(zip(_PHASE, names, strict=True))}


class OneCycleLR(LRScheduler):
    """Once up from max_lr / div_factor to `max_lr`, then down to a `final_div_factor`-th of the first rate.

    `pct_start` is the share of the steps that go up; with `three_phase` as many go down to the first rate, and the rest
    from there. The momentum goes the other way. The steps are `total_steps`, or `epochs * steps_per_epoch`.
    Source: L. Smith, N. Topin, "Super-convergence: very fast training of neural networks using large learning rates"
    (2018).

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0, momentum=0.9)
    >>> scheduler = mt.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.0, total_steps=10)
    >>> for _ in range(3):
    ...     print(round(scheduler.get_last_lr()[0], 4), end=" ")
    ...     optimizer.step(); scheduler.step()
    0.04 0.52 1.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Any,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Any = 0.85,
        max_momentum: Any = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        need_optimizer(self._name, optimizer)
        if total_steps is None:
            if epochs is None or steps_per_epoch is None:
                raise ShapeError(f"{self._name}: give total_steps, or epochs and steps_per_epoch")
            total_steps = epochs * steps_per_epoch
        if not isinstance(total_steps, int) or total_steps <= 0:
            raise ShapeError(f"{self._name}: the number of steps must be a positive integer, but is {total_steps!r}")
        if not 0 <= pct_start <= 1:
            raise ShapeError(f"{self._name}: pct_start must lie in [0, 1], but is {pct_start}")
        if anneal_strategy not in ("cos", "linear"):
            raise ShapeError(f"{self._name}: anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        self.total_steps = total_steps
        self._anneal_func_type = anneal_strategy
        self.cycle_momentum = cycle_momentum
        top = float(pct_start * total_steps) - 1
        low, high = "base_momentum", "max_momentum"
        self._schedule_phases = [_phase(top, "initial_lr", "max_lr", high, low)]
        if three_phase:
            self._schedule_phases.append(
                _phase(2 * float(pct_start * total_steps) - 2, "max_lr", "initial_lr", low, high)
            )
            self._schedule_phases.append(_phase(total_steps - 1, "initial_lr", "min_lr", high, high))
        else:
            self._schedule_phases.append(_phase(total_steps - 1, "max_lr", "min_lr", low, high))
        max_lrs = each(f"{self._name}: max_lr", optimizer, max_lr)
        if cycle_momentum:
            key = _momentum_of(self._name, optimizer)
            lows = each(f"{self._name}: base_momentum", optimizer, base_momentum)
            highs = each(f"{self._name}: max_momentum", optimizer, max_momentum)
        if last_epoch == -1:
            for i, group in enumerate(optimizer.param_groups):
                group["initial_lr"] = max_lrs[i] / div_factor
                group["max_lr"] = max_lrs[i]
                group["min_lr"] = group["initial_lr"] / final_div_factor
                if cycle_momentum:
                    _set_momentum(group, key, highs[i])
                    group["max_momentum"], group["base_momentum"] = highs[i], lows[i]
        super().__init__(optimizer, last_epoch)

    def _between(self, start: Any, end: Any, share: float) -> Any:
        if self._anneal_func_type == "cos":
            return end + (start - end) / 2.0 * (1 + math.cos(math.pi * share))
        return start + (end - start) * share

    def get_lr(self) -> Rates:
        """The rates at this place of the cycle; sets the momentum too. Raises past its end."""
        n = self.last_epoch
        if n > self.total_steps:
            raise ShapeError(f"{self._name}: step {n} of a cycle of {self.total_steps} steps")
        begin = 0.0
        for phase in self._schedule_phases:
            end = phase["end_step"]
            if n <= end or phase is self._schedule_phases[-1]:
                break
            begin = end
        share = (n - begin) / (end - begin)
        rates = []
        for group in self.optimizer.param_groups:
            from_lr, to_lr, from_momentum, to_momentum = [group.get(phase[kind]) for kind in _PHASE]
            rates.append(self._between(from_lr, to_lr, share))
            if self.cycle_momentum:
                key = _momentum_of(self._name, self.optimizer)
                _set_momentum(group, key, self._between(from_momentum, to_momentum, share))
        return rates
