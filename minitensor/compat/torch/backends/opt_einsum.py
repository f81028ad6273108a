"""torch.backends.opt_einsum: `einsum` chooses its order itself."""

from __future__ import annotations

from .._helpers import no

__all__ = ["enabled", "is_available", "strategy"]

is_available = no
enabled = False
strategy = None
