"""The clock of every benchmark."""

from __future__ import annotations

import math
import time
from collections.abc import Callable


def measure(run: Callable[[], object], seconds: float = 0.15) -> tuple[float, float]:
    """(best, mean) seconds of a call, over calls in groups that fill `seconds`; a group takes a millisecond or more.

    The best is what the program costs; the mean, what it costs on this machine at this time.
    """
    best, spent, calls, count = math.inf, 0.0, 0, 1
    while spent < seconds:
        start = time.perf_counter()
        for _ in range(count):
            run()
        took = time.perf_counter() - start
        best, spent, calls = min(best, took / count), spent + took, calls + count
        if took < 0.001:
            count *= 4
    return best, spent / calls


def best_time(run: Callable[[], object], seconds: float = 0.15) -> float:
    """The best time of a call, in seconds, after one that warms up."""
    run()
    return measure(run, seconds)[0]
