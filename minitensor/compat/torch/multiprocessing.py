"""torch.multiprocessing: Python's own, and `spawn` for functions of a rank."""

from __future__ import annotations

import multiprocessing as _python
from collections.abc import Callable
from multiprocessing import *  # noqa: F403
from typing import Any

from ._helpers import nothing

__all__ = ["get_sharing_strategy", "set_sharing_strategy", "spawn", *_python.__all__]

set_sharing_strategy = nothing


def get_sharing_strategy() -> str:
    """A name of PyTorch's, for memory by name."""
    return "file_system"


def get_all_sharing_strategies() -> set[str]:
    """The one."""
    return {"file_system"}


def spawn(
    fn: Callable[..., Any],
    args: tuple[Any, ...] = (),
    nprocs: int = 1,
    join: bool = True,
    daemon: bool = False,
    start_method: str = "spawn",
) -> Any:
    """Runs fn(rank, *args) in `nprocs` processes and waits for them. Raises RuntimeError if one of them failed."""
    context: Any = _python.get_context(start_method)
    processes = [context.Process(target=fn, args=(rank, *args), daemon=daemon) for rank in range(nprocs)]
    for process in processes:
        process.start()
    if not join:
        return processes
    for rank, process in enumerate(processes):
        process.join()
        if process.exitcode:
            raise RuntimeError(f"spawn: process {rank} ended with exit code {process.exitcode}")
    return None
