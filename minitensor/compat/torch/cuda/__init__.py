"""torch.cuda of a machine without CUDA: queries answer no or 0, what only arranges things does nothing."""

from __future__ import annotations

from ....errors import OutOfMemoryError
from .._helpers import Inert, lacks, no, nothing, zero
from . import amp

__all__ = ["Event", "OutOfMemoryError", "Stream", "amp", "device", "device_count", "is_available", "stream"]

is_available = is_initialized = is_bf16_supported = is_current_stream_capturing = no
device_count = memory_allocated = max_memory_allocated = memory_reserved = max_memory_reserved = zero
_initialized = False  # what some programs look at instead of is_initialized()
memory_cached = max_memory_cached = initial_seed = utilization = zero
manual_seed = manual_seed_all = seed = seed_all = synchronize = set_device = empty_cache = ipc_collect = nothing
init = reset_peak_memory_stats = reset_max_memory_allocated = set_per_process_memory_fraction = nothing


def get_arch_list() -> list[str]:
    """No architectures."""
    return []


def memory_stats(device: object = None) -> dict[str, int]:
    """No figures."""
    return {}


def memory_summary(device: object = None, abbreviated: bool = False) -> str:
    """Nothing to tell."""
    return ""


def get_rng_state_all() -> list[object]:
    """No generators."""
    return []


set_rng_state_all = nothing
current_device = lacks("cuda.current_device", "CUDA device")
get_device_name = lacks("cuda.get_device_name", "CUDA device")
get_device_properties = lacks("cuda.get_device_properties", "CUDA device")
get_device_capability = lacks("cuda.get_device_capability", "CUDA device")
mem_get_info = lacks("cuda.mem_get_info", "CUDA device")
get_rng_state = lacks("cuda.get_rng_state", "CUDA device")
set_rng_state = lacks("cuda.set_rng_state", "CUDA device")
Event = lacks("cuda.Event", "CUDA device")
Stream = lacks("cuda.Stream", "CUDA device")
current_stream = default_stream = lacks("cuda.current_stream", "CUDA device")
CUDAGraph = lacks("cuda.CUDAGraph", "CUDA device")
device = device_of = stream = graph = Inert
