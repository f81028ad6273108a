"""torch.profiler and torch.autograd.profiler: nothing is recorded. `minitensor.learn` and `bench` measure."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

from ._helpers import Inert

__all__ = ["ProfilerAction", "ProfilerActivity", "profile", "record_function", "schedule", "tensorboard_trace_handler"]


class ProfilerActivity(enum.Enum):
    """What could be recorded."""

    CPU = 0
    CUDA = 1
    XPU = 2
    MTIA = 3


class ProfilerAction(enum.Enum):
    """What a schedule asks for at a step."""

    NONE = 0
    WARMUP = 1
    RECORD = 2
    RECORD_AND_SAVE = 3


class EventList(list[Any]):
    """The events recorded: none."""

    def table(self, *_: Any, **__: Any) -> str:
        """An empty table."""
        return ""

    def total_average(self) -> None:
        """None."""

    def export_chrome_trace(self, path: str) -> None:
        """Writes nothing."""


class profile(Inert):
    """A context in which nothing is recorded; it counts steps, and calls `on_trace_ready` when a schedule says so."""

    def __init__(self, *_: Any, schedule: Any = None, on_trace_ready: Any = None, **__: Any) -> None:
        self.step_num = 0
        self._action = schedule or (lambda step: ProfilerAction.RECORD)
        self._ready = on_trace_ready

    def __enter__(self) -> Any:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Begins at step 0."""
        self.step_num = 0

    def stop(self) -> None:
        """The end of what is recorded."""
        if self._ready is not None and self._action(self.step_num) is ProfilerAction.RECORD:
            self._ready(self)

    def step(self) -> None:
        """The next step."""
        saved = self._action(self.step_num) is ProfilerAction.RECORD_AND_SAVE
        self.step_num += 1
        if saved and self._ready is not None:
            self._ready(self)

    def key_averages(self, *_: Any, **__: Any) -> EventList:
        """No events."""
        return EventList()

    def events(self) -> EventList:
        """No events."""
        return EventList()

    def export_chrome_trace(self, path: str) -> None:
        """Writes nothing."""

    def export_stacks(self, path: str, metric: str = "") -> None:
        """Writes nothing."""

    @property
    def self_cpu_time_total(self) -> float:
        """0."""
        return 0.0


class record_function(Inert):
    """A context, or a decorator, that names nothing."""


emit_nvtx = emit_itt = record_function


def schedule(
    *, wait: int, warmup: int, active: int, repeat: int = 0, skip_first: int = 0, skip_first_wait: int = 0
) -> Callable[[int], ProfilerAction]:
    """What to do at a step: after `skip_first` steps cycles of `wait`, `warmup` and `active` ones, `repeat` of them."""

    def action(step: int) -> ProfilerAction:
        length = wait + warmup + active
        cycle, place = divmod(step - skip_first, length)
        if step < skip_first or (repeat and cycle >= repeat) or place < wait:
            return ProfilerAction.NONE
        if place < wait + warmup:
            return ProfilerAction.WARMUP
        return ProfilerAction.RECORD if place < length - 1 else ProfilerAction.RECORD_AND_SAVE

    return action


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[Any], None]:
    """A handler that writes nothing."""
    return lambda profile: None


def supported_activities() -> set[ProfilerActivity]:
    """None."""
    return set()
