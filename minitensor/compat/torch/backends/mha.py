"""torch.backends.mha: settings without effect."""

from __future__ import annotations

from .._helpers import no, nothing

__all__ = ["get_fastpath_enabled", "set_fastpath_enabled"]

get_fastpath_enabled = no
set_fastpath_enabled = nothing
