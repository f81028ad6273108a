"""What fit tells while it runs: callbacks, the History that it returns, and the lines that it prints."""

from __future__ import annotations

import math
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from .. import training

__all__ = [
    "CSVLogger", "Callback", "EarlyStopping", "History", "LambdaCallback", "LearningRateScheduler", "ModelCheckpoint",
    "ReduceLROnPlateau",
]  # fmt: skip


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
        self._sign = _sign(monitor, mode)
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


class ModelCheckpoint(Callback):
    """Saves the model, or its weights alone, after each epoch; with `save_best_only` after those that are the best.

    The name of the file may hold {epoch} and the names of what is measured: "weights-{epoch:02d}.weights.h5".
    """

    def __init__(
        self,
        filepath: Any,
        monitor: str = "val_loss",
        verbose: int = 0,
        save_best_only: bool = False,
        save_weights_only: bool = False,
        mode: str = "auto",
        save_freq: str = "epoch",
    ) -> None:
        if save_freq != "epoch":
            raise ValueError(f"ModelCheckpoint: save_freq must be 'epoch', not {save_freq!r}")
        self.filepath, self.monitor, self.save_best_only = str(filepath), monitor, save_best_only
        self.save_weights_only, self.verbose = save_weights_only, verbose
        self._sign, self.best = _sign(monitor, mode), math.inf

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves, if it is to be."""
        found = dict(logs or {})
        if self.save_best_only:
            if self.monitor not in found or self._sign * found[self.monitor] >= self.best:
                return
            self.best = self._sign * found[self.monitor]
        path = self.filepath.format(epoch=epoch + 1, **found)
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: saving model to {path}")
        (self.model.save_weights if self.save_weights_only else self.model.save)(path)


class LearningRateScheduler(Callback):
    """Before each epoch sets the learning rate to `schedule(epoch, rate)`."""

    def __init__(self, schedule: Callable[..., float], verbose: int = 0) -> None:
        self.schedule, self.verbose = schedule, verbose

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """The new rate."""
        rate = float(self.model.optimizer.learning_rate.numpy())
        try:
            rate = self.schedule(epoch, rate)
        except TypeError:
            rate = self.schedule(epoch)
        self.model.optimizer.learning_rate = rate
        if self.verbose:
            print(f"\nEpoch {epoch + 1}: LearningRateScheduler setting learning rate to {rate}.")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Notes the rate beside the measures."""
        if logs is not None:
            logs["learning_rate"] = float(self.model.optimizer.learning_rate.numpy())


class ReduceLROnPlateau(Callback):
    """Multiplies the learning rate by `factor` when `monitor` has not become better for `patience` epochs."""

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        if factor >= 1:
            raise ValueError(f"ReduceLROnPlateau does not support a factor >= 1.0. Received factor={factor}")
        self.monitor, self.factor, self.patience, self.verbose = monitor, factor, patience, verbose
        self.min_delta, self.cooldown, self.min_lr, self._sign = min_delta, cooldown, min_lr, _sign(monitor, mode)

    def on_train_begin(self, logs: Any = None) -> None:
        """Forgets what was."""
        self.best, self.wait, self.rest = math.inf, 0, 0

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Compares with the best so far, and notes the rate beside the measures."""
        if logs is None:
            return
        optimizer = self.model.optimizer
        rate = logs["learning_rate"] = float(optimizer.learning_rate.numpy())
        if self.monitor not in logs:
            return
        value = self._sign * logs[self.monitor]
        if self.rest > 0:
            self.rest, self.wait = self.rest - 1, 0
        if value < self.best - self.min_delta:
            self.best, self.wait = value, 0
        elif self.rest <= 0:
            self.wait += 1
            if self.wait >= self.patience and rate > self.min_lr:
                optimizer.learning_rate = rate = max(rate * self.factor, self.min_lr)
                self.rest, self.wait = self.cooldown, 0
                if self.verbose:
                    print(f"\nEpoch {epoch + 1}: ReduceLROnPlateau reducing learning rate to {rate}.")


class CSVLogger(Callback):
    """Writes a row of numbers after each epoch."""

    def __init__(self, filename: Any, separator: str = ",", append: bool = False) -> None:
        self.filename, self.separator, self.append = filename, separator, append

    def on_train_begin(self, logs: Any = None) -> None:
        """Begins the file, unless it is to be appended to."""
        self._names: list[str] = []
        if not self.append:
            open(self.filename, "w").close()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """The row."""
        with open(self.filename, "a") as file:
            if not self._names:
                self._names = sorted(logs)
                print("epoch", *self._names, sep=self.separator, file=file)
            print(epoch, *[logs[name] for name in self._names], sep=self.separator, file=file)


def _sign(monitor: str, mode: str) -> int:
    return -1 if mode == "max" or (mode == "auto" and monitor.endswith(("accuracy", "acc"))) else 1


class History(training.History):
    """What fit returns: `history`, a dict of a list of one number an epoch for each name, in alphabetical order.

    `epoch` counts from 0; `params` has 'verbose', 'epochs' and 'steps'.
    """

    params: Any = None
    model: Any = None

    def append(self, logs: Mapping[str, float]) -> None:
        """Adds one epoch."""
        self.epoch.append(len(self.epoch))
        for name in sorted(logs):
            self.history.setdefault(name, []).append(float(np.float32(logs[name])))


class Listener:
    """Keras's callbacks in the engine's training loop."""

    def __init__(self, callbacks: Sequence[Any], model: Any, params: dict[str, Any], history: Any) -> None:
        self.callbacks, self.model, self.history = list(callbacks), model, history
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
        measured = set(logs)
        for callback in self.callbacks:
            callback.on_epoch_end(epoch, logs)
        for name in logs.keys() - measured:  # what a callback noted
            self.history.history.setdefault(name, []).append(logs[name])
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
