"""torch.cuda.amp: as there is no such device, nothing is cast, nothing scaled."""

from __future__ import annotations

from typing import Any

from ....amp import GradScaler as _GradScaler
from ....amp import autocast as _autocast
from ....amp import custom_bwd, custom_fwd

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd"]


class autocast(_autocast):
    """A context in which nothing is cast."""

    def __init__(self, enabled: bool = True, dtype: Any = None, cache_enabled: bool = True) -> None:
        super().__init__("cuda", dtype, enabled, cache_enabled)


class GradScaler(_GradScaler):
    """A scaler by 1."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__("cuda", *args, **options)
