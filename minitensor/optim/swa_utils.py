"""Averages of a model's weights over its training."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any

from .. import creation, dtypes
from ..autograd import no_grad
from ..errors import ShapeError
from ..nn.module import Module
from ..nn.norm import _BatchNorm
from .optimizer import Optimizer
from .scheduler import LRScheduler, Rates, each, need_optimizer, read

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]

Average = Callable[[Any, Any, Any], Any]


def _check_decay(decay: float) -> None:
    if not 0 <= decay <= 1:
        raise ShapeError(f"swa_utils: decay must lie in [0, 1], but is {decay}")


def _several(average: Average) -> Callable[[Any, Any, Any], None]:
    """An average of two tensors as one of two lists, written into the first."""

    def update(averaged: Any, current: Any, num_averaged: Any) -> None:
        with no_grad():
            for a, x in zip(averaged, current, strict=True):
                a.copy_(average(a, x, num_averaged))

    return update


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """The exponential average: decay * average + (1 - decay) * value.

    >>> mt.optim.swa_utils.get_ema_avg_fn(0.9)(mt.tensor(1.0), mt.tensor(2.0), 3)
    tensor(1.1000)
    """
    _check_decay(decay)

    def average(averaged: Any, current: Any, num_averaged: Any) -> Any:
        return decay * averaged + (1 - decay) * current

    return average


def get_swa_avg_fn() -> Average:
    """The plain average of all values so far, of which there were `num_averaged` before.

    >>> mt.optim.swa_utils.get_swa_avg_fn()(mt.tensor(1.0), mt.tensor(2.0), 3)
    tensor(1.2500)
    """

    def average(averaged: Any, current: Any, num_averaged: Any) -> Any:
        return averaged + (current - averaged) / (num_averaged + 1)

    return average


def get_ema_multi_avg_fn(decay: float = 0.999) -> Callable[[Any, Any, Any], None]:
    """`get_ema_avg_fn` for lists of tensors: the first is changed in place."""
    return _several(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> Callable[[Any, Any, Any], None]:
    """`get_swa_avg_fn` for lists of tensors: the first is changed in place."""
    return _several(get_swa_avg_fn())


class AveragedModel(Module):
    """A copy of a model whose parameters are an average of the model's, updated by `update_parameters(model)`.

    The average is the plain one, or `avg_fn(averaged, current, num_averaged)`, or `multi_avg_fn` for lists. The buffers
    are averaged too with `use_buffers`, and otherwise are those of the model.
    Source: P. Izmailov et al., "Averaging weights leads to wider optima and better generalization" (2018).

    >>> model = mt.nn.Linear(1, 1, bias=False)
    >>> averaged = mt.optim.swa_utils.AveragedModel(model)
    >>> for value in (1.0, 2.0, 6.0):
    ...     _ = mt.nn.init.constant_(model.weight, value)
    ...     averaged.update_parameters(model)
    >>> averaged(mt.ones(1)).item()
    3.0
    """

    n_averaged: Any

    def __init__(
        self,
        model: Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: Callable[[Any, Any, Any], None] | None = None,
        use_buffers: bool = False,
    ) -> None:
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            raise ShapeError("AveragedModel: give avg_fn or multi_avg_fn, not both")
        self.module = copy.deepcopy(model)
        if device is not None:
            self.module = self.module.to(device)
        self.register_buffer("n_averaged", creation.tensor(0, dtype=dtypes.int64, device=device))
        self.avg_fn = avg_fn
        self.multi_avg_fn = multi_avg_fn
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the averaged model makes of the arguments."""
        return self.module(*args, **kwargs)

    def update_parameters(self, model: Module) -> None:
        """Takes the present parameters of `model` into the average."""

        def parts(module: Module) -> list[Any]:
            return [x.detach() for x in chain(module.parameters(), module.buffers() if self.use_buffers else ())]

        with no_grad():
            averaged, current = parts(self.module), parts(model)
            if self.n_averaged.item() == 0:
                for a, x in zip(averaged, current, strict=True):
                    a.copy_(x)
            else:
                update = self.multi_avg_fn or _several(self.avg_fn or get_swa_avg_fn())
                update(averaged, current, self.n_averaged)
            if not self.use_buffers:
                for a, x in zip(self.module.buffers(), model.buffers(), strict=True):
                    a.copy_(x)
            self.n_averaged.fill_(self.n_averaged.item() + 1)


def update_bn(loader: Iterable[Any], model: Module, device: Any = None) -> None:
    """Computes the running statistics of all batch norms anew, by one pass over the data.

    A batch is the input, or a tuple or list that begins with it.
    """
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    training = {module: module.training for module in model.modules()}
    model.train()
    try:
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None
        with no_grad():
            for batch in loader:
                x = batch[0] if isinstance(batch, (list, tuple)) else batch
                model(x if device is None else x.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
        for module, mode in training.items():
            module.training = mode


class SWALR(LRScheduler):
    """From the present rate to `swa_lr` in `anneal_epochs` steps, "cos" or "linear", then constant.

    >>> optimizer = mt.optim.SGD([mt.zeros(1)], lr=1.0)
    >>> scheduler = mt.optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2, anneal_strategy="linear")
    >>> for _ in range(4):
    ...     print(scheduler.get_last_lr(), end=" ")
    ...     optimizer.step(); scheduler.step()
    [1.0] [0.75] [0.5] [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: str = "cos",
        last_epoch: int = -1,
    ) -> None:
        need_optimizer(self._name, optimizer)
        if anneal_strategy not in ("cos", "linear"):
            raise ShapeError(f"{self._name}: anneal_strategy must be 'cos' or 'linear', not {anneal_strategy!r}")
        if not isinstance(anneal_epochs, int) or anneal_epochs < 0:
            raise ShapeError(f"{self._name}: anneal_epochs must be an integer from 0, but is {anneal_epochs!r}")
        for rate, group in zip(each(f"{self._name}: swa_lr", optimizer, swa_lr), optimizer.param_groups, strict=True):
            group["swa_lr"] = rate
        self._anneal_strategy = anneal_strategy
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _share(self, step: int) -> float:
        """How far on the way the rate is after so many steps."""
        t = max(0.0, min(1.0, step / max(1, self.anneal_epochs)))
        return t if self._anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self) -> Rates:
        """The rate where the way began, followed from the present one, and from there on by one more step."""
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._share(step - 1), self._share(step)
        rates = []
        for rate, group in zip(read(self.optimizer, "lr"), self.optimizer.param_groups, strict=True):
            goal = group["swa_lr"]
            first = goal if before == 1 else (rate - before * goal) / (1 - before)
            rates.append(goal * now + first * (1 - now))
        return rates
