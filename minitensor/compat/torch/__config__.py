"""torch.__config__: how this was built."""

from __future__ import annotations

from ... import cpu

__all__ = ["parallel_info", "show"]


def show() -> str:
    """The instructions and kernels in use."""
    return f"minitensor\n  - CPU capability usage: {cpu.isa().upper()}, {cpu.rung()} kernels"


def parallel_info() -> str:
    """The number of threads."""
    return f"threads: {cpu.get_num_threads()}"
