"""What fit tells while it runs: callbacks, the History that it returns, and the lines that it prints."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .. import training

__all__ = ["Callback", "EarlyStopping", "History", "LambdaCallback"]


class Callback:
    """The base of callbacks: methods that fit calls; `model.stop_training = True` ends it after the epoch.

    >>> from minitensor.keras import callbacks, layers, models
    >>> class Count(callbacks.Callback):
    ...     def on_epoch_end(self, epoch, logs=None):
    ...         print(epoch, sorted(logs))
    >>> model = models.Sequential([layers.Input((1,)), layers.Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> _ = model.fit(np.ones((4, 1)), np.ones(4), epochs=2, verbose=0, callbacks=[Count()])
    0 ['loss']
    1 ['loss']
    """

    model: Any = None
    params: Any = None

    def set_model(self, model: Any) -> None:
        """Before training: the model."""
        self.model = model

    def set_params(self, params: Any) -> None:
        """Before training: 'verbose', 'epochs' and 'steps'."""
        self.params = params

    def on_train_begin(self, logs: Any = None) -> None:
        """Before the first epoch."""

    def on_train_end(self, logs: Any = None) -> None:
        """After the last epoch."""

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Before each epoch; they count from 0."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """After each epoch, with its means."""

    def on_batch_end(self, batch: int, logs: Any = None) -> None:
        """After each batch, with its numbers."""

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """After each batch, with its numbers."""
        self.on_batch_end(batch, logs)


class LambdaCallback(Callback):
    """A callback of functions: `LambdaCallback(on_epoch_end=lambda epoch, logs: ...)`."""

    def __init__(self, **functions: Callable[..., Any]) -> None:
        for name, function in functions.items():
            if not hasattr(Callback, name):
                raise ValueError(f"LambdaCallback: there is no {name}")
            setattr(self, name, function)


class EarlyStopping(Callback):
    """Stops when `monitor` has not become better, by more than `min_delta`, for `patience` epochs."""

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        restore_best_weights: bool = False,
    ) -> None:
        self.monitor, self.min_delta, self.patience = monitor, abs(min_delta), patience
        upwards = mode == "max" or (mode == "auto" and monitor.endswith(("accuracy", "acc")))
        self._sign = -1 if upwards else 1
        self.restore_best_weights = restore_best_weights

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets what was."""
        self.best, self.wait, self.stopped_epoch = math.inf, 0, 0
        self._weights: Any = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compares with the best so far."""
        if self.monitor not in (logs or {}):
            return
        value = self._sign * logs[self.monitor]
        if value < self.best - self.min_delta:
            self.best, self.wait = value, 0
            self._weights = self.model.get_weights() if self.restore_best_weights else None
            return
        self.wait += 1
        if self.wait >= self.patience and epoch > 0:
            self.stopped_epoch, self.model.stop_training = epoch, True
            if self._weights is not None:
                self.model.set_weights(self._weights)


class History(training.History):
    """What fit returns: `history`, a dict of a list of one number an epoch for each name, in alphabetical order.

    `epoch` counts from 0; `params` has 'verbose', 'epochs' and 'steps'.
    """

    params: Any = None
    model: Any = None

    def append(self, logs: Mapping[str, float]) -> None:
        """Adds one epoch."""
        super().append(dict(sorted(logs.items())))


class Listener:
    """Keras's callbacks in the engine's training loop."""

    def __init__(self, callbacks: Sequence[Any], model: Any, params: dict[str, Any]) -> None:
        self.callbacks, self.model = list(callbacks), model
        self.on_batch_end = self._on_batch_end if self.callbacks else None
        model.stop_training = False
        for callback in self.callbacks:
            callback.set_model(model)
            callback.set_params(params)

    def on_train_begin(self) -> None:
        """Before the first epoch."""
        for callback in self.callbacks:
            callback.on_train_begin()

    def on_epoch_begin(self, epoch: int) -> None:
        """Before each epoch."""
        for callback in self.callbacks:
            callback.on_epoch_begin(epoch)

    def _on_batch_end(self, batch: int, logs: dict[str, float]) -> None:
        for callback in self.callbacks:
            callback.on_train_batch_end(batch, logs)

    def on_epoch_end(self, epoch: int, logs: dict[str, float]) -> bool:
        """After each epoch; True stops."""
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
        return bool(self.model.stop_training)

    def on_train_end(self) -> None:
        """After the last epoch."""
        for callback in self.callbacks:
            callback.on_train_end()


# --- what is printed --------------------------------------------------------------------------------------------------


def _duration(seconds: float) -> str:
    if seconds >= 1 or seconds == 0:
        return f"{seconds:.0f}s/step"
    return f"{seconds * 1e3:.0f}ms/step" if seconds >= 1e-3 else f"{seconds * 1e6:.0f}us/step"


def _numbers(logs: Mapping[str, float]) -> str:
    values = sorted(logs.items())
    return "".join(f" - {name}: {value:{'.4f' if abs(value) > 1e-3 else '.4e'}}" for name, value in values)


class Bar(training.Progress):
    """The line of an epoch, an evaluation or a prediction; on a terminal it is drawn again while it grows.

    `verbose`: 0 nothing, 1 with a bar, 2 without.
    """

    width = 20
    pause = 0.05  # seconds between two drawings

    def __init__(self, verbose: int, steps: int | None, title: str = "") -> None:
        self.verbose, self.steps, self.done = verbose, steps, 0
        self.begin = self.drawn = time.perf_counter()
        self._redraws = verbose == 1 and sys.stdout.isatty()
        self.live = self._redraws or steps is None  # without a number of steps they are counted
        if verbose and title:
            print(title)

    def step(self, logs: Mapping[str, float]) -> None:
        """After a batch."""
        self.done += 1
        if self._redraws and time.perf_counter() - self.drawn > self.pause:
            self.drawn = time.perf_counter()
            self._draw(logs)

    def end(self, logs: Mapping[str, float]) -> None:
        """At the end, with all numbers."""
        self.steps = self.done or self.steps
        if self._redraws:
            self._draw(logs)
            print(flush=True)
        elif self.verbose:
            print(self._line(logs), flush=True)

    def _draw(self, logs: Mapping[str, float]) -> None:
        columns = shutil.get_terminal_size().columns
        print("\r" + self._line(logs)[: columns - 1].ljust(columns - 1), end="", flush=True)

    def _line(self, logs: Mapping[str, float]) -> str:
        seconds, total = time.perf_counter() - self.begin, self.steps or self.done
        done = self.done or total
        count = f"{done:{len(str(total))}d}/{total}"
        time_text = f"{seconds:.0f}s {_duration(seconds / max(done, 1))}"
        if self.verbose == 2:
            return f"{count} - {time_text.replace(' ', ' - ')}{_numbers(logs)}"
        full, rest = ("━", "─") if _can_print("━") else ("=", ".")
        filled = self.width * done // max(total, 1)
        return f"{count} {full * filled}{rest * (self.width - filled)} {time_text}{_numbers(logs)}"


def _can_print(text: str) -> bool:
    try:
        text.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
