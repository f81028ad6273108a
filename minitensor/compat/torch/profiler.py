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
    """A context in which nothing is recorded."""

    def start(self) -> None:
        """Begins nothing."""

    def stop(self) -> None:
        """Ends nothing."""

    def step(self) -> None:
        """Counts nothing."""

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
    """A schedule that asks for nothing at any step."""
    return lambda step: ProfilerAction.NONE


def tensorboard_trace_handler(
    dir_name: str, worker_name: str | None = None, use_gzip: bool = False
) -> Callable[[Any], None]:
    """A handler that writes nothing."""
    return lambda profile: None


def supported_activities() -> set[ProfilerActivity]:
    """None."""
    return set()
