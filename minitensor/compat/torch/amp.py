"""torch.amp: every operator keeps its operands' dtype, so no gradient is too small and none is scaled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._helpers import Inert, no

__all__ = ["GradScaler", "autocast", "custom_bwd", "custom_fwd", "is_autocast_available"]


class autocast(Inert):
    """A context, or a decorator, in which nothing is cast: what PyTorch does in bfloat16 here stays in float32."""

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"autocast: expected the type of a device, as 'cpu', got {device_type!r}")
        self.device, self.fast_dtype = device_type, dtype


class GradScaler:
    """Scales losses by 1, and steps the optimizer. Its methods are PyTorch's."""

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        self._enabled = enabled and device == "cpu"

    def is_enabled(self) -> bool:
        """Whether it was asked for on the CPU."""
        return self._enabled

    def scale(self, outputs: Any) -> Any:
        """The outputs as they are."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """The gradients are as they should be."""

    def step(self, optimizer: Any, *args: Any, **options: Any) -> Any:
        """`optimizer.step(...)`."""
        return optimizer.step(*args, **options)

    def update(self, new_scale: Any = None) -> None:
        """The scale stays 1."""

    def get_scale(self) -> float:
        """1."""
        return 1.0

    def state_dict(self) -> dict[str, Any]:
        """Nothing to keep."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Nothing to take."""


def custom_fwd(fwd: Callable[..., Any] | None = None, **_: Any) -> Callable[..., Any]:
    """The function itself: there is no autocast for it to see."""
    return fwd if fwd is not None else lambda function: function


def custom_bwd(bwd: Callable[..., Any] | None = None, **_: Any) -> Callable[..., Any]:
    """The function itself."""
    return bwd if bwd is not None else lambda function: function


is_autocast_available = no
