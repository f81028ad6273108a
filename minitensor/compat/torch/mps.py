"""torch.mps of a machine without Metal."""

from __future__ import annotations

from ._helpers import no, nothing, zero

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "synchronize"]

is_available = no
device_count = current_allocated_memory = driver_allocated_memory = zero
synchronize = empty_cache = manual_seed = seed = set_per_process_memory_fraction = nothing
