"""torch.utils.benchmark: how long a statement takes."""

from __future__ import annotations

import timeit
from collections.abc import Sequence
from statistics import median, quantiles
from typing import Any

__all__ = ["Compare", "Measurement", "Timer"]

_UNITS = [(1e-9, "ns"), (1e-6, "us"), (1e-3, "ms"), (1.0, "s")]


def _unit(seconds: float) -> tuple[float, str]:
    return next((u for u in reversed(_UNITS) if seconds >= u[0]), _UNITS[0])


class Measurement:
    """The times of a statement, in seconds a run: `times`, `mean`, `median`, `iqr`."""

    def __init__(self, number_per_run: int, raw_times: Sequence[float], task_spec: dict[str, Any]) -> None:
        self.number_per_run = number_per_run
        self.raw_times = list(raw_times)
        self.task_spec = task_spec
        self.times = [t / number_per_run for t in self.raw_times]

    @property
    def mean(self) -> float:
        """The mean of the times."""
        return sum(self.times) / len(self.times)

    @property
    def median(self) -> float:
        """The median of the times."""
        return median(self.times)

    @property
    def iqr(self) -> float:
        """From the first to the third quartile."""
        if len(self.times) < 2:
            return 0.0
        low, _, high = quantiles(self.times, n=4, method="inclusive")
        return high - low

    @property
    def title(self) -> str:
        """What was measured."""
        label = self.task_spec["label"] or self.task_spec["stmt"]
        sub = self.task_spec["sub_label"]
        return f"{label}: {sub}" if sub else str(label)

    def __repr__(self) -> str:
        scale, unit = _unit(self.median)
        runs = f"{len(self.times)} measurement{'s' if len(self.times) > 1 else ''}"
        return (
            f"<{type(self).__module__}.Measurement object at {id(self):#x}>\n{self.title}\n"
            f"  {self.median / scale:.2f} {unit}\n  {runs}, {self.number_per_run} runs per measurement, "
            f"{self.task_spec['num_threads']} thread{'s' if self.task_spec['num_threads'] > 1 else ''}"
        )


class Timer:
    """Measures `stmt`, after `setup`, with the names in `globals`."""

    def __init__(
        self,
        stmt: str = "pass",
        setup: str = "pass",
        global_setup: str = "",
        timer: Any = timeit.default_timer,
        globals: dict[str, Any] | None = None,
        label: str | None = None,
        sub_label: str | None = None,
        description: str | None = None,
        env: str | None = None,
        num_threads: int = 1,
        language: Any = "python",
    ) -> None:
        self._task = {
            "stmt": stmt,
            "label": label,
            "sub_label": sub_label,
            "description": description,
            "num_threads": num_threads,
        }
        self._timer = timeit.Timer(stmt, setup, timer, dict(globals or {}))

    def timeit(self, number: int = 1000000) -> Measurement:
        """The statement run `number` times."""
        self._timer.timeit(max(number // 100, 2))
        return Measurement(number, [self._timer.timeit(number)], self._task)

    def _number(self, least: float) -> int:
        number = 1
        while self._timer.timeit(number) < least:
            number *= 10
        return number

    def blocked_autorange(self, callback: Any = None, min_run_time: float = 0.2) -> Measurement:
        """The statement run for at least `min_run_time` seconds, in blocks."""
        number = self._number(min_run_time / 1000)
        times: list[float] = []
        while sum(times) < min_run_time:
            times.append(self._timer.timeit(number))
        return Measurement(number, times, self._task)

    def adaptive_autorange(
        self, threshold: float = 0.1, *, min_run_time: float = 0.01, max_run_time: float = 10.0, callback: Any = None
    ) -> Measurement:
        """The statement run in blocks until the quartiles lie close together, or the time is over."""
        number, times = self._number(min_run_time / 10), [self._timer.timeit(1)]
        times.clear()
        while sum(times) < max_run_time:
            times.append(self._timer.timeit(number))
            found = Measurement(number, times, self._task)
            if len(times) > 3 and found.iqr < threshold * found.median and sum(times) >= min_run_time:
                break
        return Measurement(number, times, self._task)


class Compare:
    """A table of measurements."""

    def __init__(self, results: list[Measurement]) -> None:
        self._results = list(results)

    def extend_results(self, results: list[Measurement]) -> None:
        """More of them."""
        self._results.extend(results)

    def trim_significant_figures(self) -> None:
        """Nothing: three are shown."""

    def colorize(self, rowwise: bool = False) -> None:
        """Nothing: the table has no colours."""

    def __str__(self) -> str:
        lines = [f"{m.title} | {m.task_spec['description'] or ''} | {m.median * 1e6:.3g} us" for m in self._results]
        return "\n".join(lines)

    def print(self) -> None:
        """Prints the table."""
        print(self)
