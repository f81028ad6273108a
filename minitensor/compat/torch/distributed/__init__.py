"""torch.distributed of one process: the only rank is 0, what is summed over ranks is there already."""

from __future__ import annotations

import enum
import os
from typing import Any

from .._helpers import Inert, no

__all__ = [
    "ReduceOp", "all_gather", "all_reduce", "barrier", "broadcast", "destroy_process_group", "gather", "get_backend",
    "get_rank", "get_world_size", "init_process_group", "is_available", "is_initialized", "new_group", "reduce",
]  # fmt: skip

_state = {"initialized": False}
is_available = is_nccl_available = is_gloo_available = is_mpi_available = is_torchelastic_launched = no
GroupMember = ProcessGroup = Inert


class ReduceOp(enum.Enum):
    """How the ranks' tensors would be made one."""

    SUM = 0
    AVG = 1
    PRODUCT = 2
    MIN = 3
    MAX = 4


class group:
    """The groups of processes: one."""

    WORLD = None


def init_process_group(
    backend: Any = None, init_method: Any = None, timeout: Any = None, world_size: int = -1, rank: int = -1, **_: Any
) -> None:
    """Begins the group of this process. Raises RuntimeError if there are to be more."""
    size = world_size if world_size > 0 else int(os.environ.get("WORLD_SIZE", 1))
    if size > 1:
        raise RuntimeError(f"init_process_group: minitensor trains in one process, not in {size}")
    _state["initialized"] = True


def destroy_process_group(group: Any = None) -> None:
    """Ends the group."""
    _state["initialized"] = False


def is_initialized() -> bool:
    """Whether `init_process_group` was called."""
    return _state["initialized"]


def _begun(name: str) -> None:
    if not _state["initialized"]:
        raise ValueError(f"{name}: there is no process group; call init_process_group first")


def get_rank(group: Any = None) -> int:
    """0."""
    _begun("get_rank")
    return 0


def get_world_size(group: Any = None) -> int:
    """1."""
    _begun("get_world_size")
    return 1


def get_backend(group: Any = None) -> str:
    """A name of PyTorch's for the CPU's."""
    _begun("get_backend")
    return "gloo"


def new_group(ranks: Any = None, *_: Any, **__: Any) -> None:
    """The same group."""


def barrier(*_: Any, **__: Any) -> None:
    """Waits for nobody."""
    _begun("barrier")


def all_reduce(tensor: Any, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Any:
    """Leaves the tensor as it is: the sum over one rank."""
    _begun("all_reduce")
    return _Done() if async_op else None


def reduce(tensor: Any, dst: Any = 0, op: Any = ReduceOp.SUM, group: Any = None, async_op: bool = False) -> Any:
    """Leaves the tensor as it is."""
    return all_reduce(tensor, op, group, async_op)


def broadcast(tensor: Any, src: Any = 0, group: Any = None, async_op: bool = False) -> Any:
    """Leaves the tensor as it is."""
    return all_reduce(tensor, None, group, async_op)


def all_gather(tensor_list: Any, tensor: Any, group: Any = None, async_op: bool = False) -> Any:
    """Copies the tensor into the one place of the list."""
    _begun("all_gather")
    tensor_list[0].copy_(tensor)
    return _Done() if async_op else None


def gather(tensor: Any, gather_list: Any = None, dst: Any = 0, group: Any = None, async_op: bool = False) -> Any:
    """Copies the tensor into the one place of the list, if there is one."""
    return all_gather(gather_list, tensor, group, async_op) if gather_list else None


class _Done:
    """Work that is done."""

    def wait(self, timeout: Any = None) -> bool:
        """At once."""
        return True

    def is_completed(self) -> bool:
        """Yes."""
        return True
