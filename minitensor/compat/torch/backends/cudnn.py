"""torch.backends.cudnn: settings without effect."""

from __future__ import annotations

from .._helpers import Inert, no

__all__ = ["allow_tf32", "benchmark", "deterministic", "enabled", "flags", "is_available", "version"]

allow_tf32 = enabled = True
benchmark = deterministic = False
benchmark_limit = 10
is_available = is_acceptable = no
flags = Inert


def version() -> None:
    """None."""
