"""torch.accelerator of a machine that has none."""

from __future__ import annotations

from ._helpers import lacks, no, nothing, zero

__all__ = ["current_accelerator", "device_count", "is_available", "synchronize"]

is_available = no
device_count = zero
synchronize = empty_cache = nothing
current_device_index = current_device_idx = lacks("accelerator.current_device_index", "accelerator")
set_device_index = set_device_idx = lacks("accelerator.set_device_index", "accelerator")
current_stream = lacks("accelerator.current_stream", "accelerator")


def current_accelerator(check_available: bool = False) -> None:
    """None."""
