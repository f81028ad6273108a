"""torch.backends.mkl: it is not used."""

from __future__ import annotations

from .._helpers import no

__all__ = ["is_available"]

is_available = no
