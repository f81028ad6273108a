"""torch.distributed.optim of one process: each optimizer has all parameters."""

from __future__ import annotations

from typing import Any

__all__ = ["ZeroRedundancyOptimizer"]


def ZeroRedundancyOptimizer(params: Any, optimizer_class: Any, **options: Any) -> Any:
    """The optimizer itself: there is no other process to share its state with."""
    for name in ("process_group", "parameters_as_bucket_view", "overlap_with_ddp"):
        options.pop(name, None)
    return optimizer_class(params, **options)
