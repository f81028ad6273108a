"""torch.xpu of a machine without Intel's accelerators."""

from __future__ import annotations

from ._helpers import no, nothing, zero

__all__ = ["device_count", "empty_cache", "is_available", "manual_seed", "manual_seed_all", "synchronize"]

is_available = is_initialized = is_bf16_supported = no
device_count = memory_allocated = max_memory_allocated = zero
synchronize = empty_cache = manual_seed = manual_seed_all = set_device = reset_peak_memory_stats = nothing
