"""torch.backends.cpu: which instructions are used."""

from __future__ import annotations

from ....cpu import isa

__all__ = ["get_cpu_capability"]


def get_cpu_capability() -> str:
    """The instruction set, in capitals."""
    return isa().upper()
