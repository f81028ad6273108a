"""Computing partly in half precision: `autocast`, and `GradScaler` for float16. PyTorch's rules for the CPU.

In `autocast`, products (matmul, linear, convolutions, attention) cast what they get to bfloat16 or float16; losses,
decompositions and a few others cast it to float32; all others compute in the dtypes that they meet.
"""

from __future__ import annotations

import functools
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from . import dtypes
from .errors import ShapeError
from .graph.modes import autocast_dtype, set_autocast
from .graph.tensors import wrap
from .ops import arithmetic
from .pytree import tree_map
from .tensor import Tensor

__all__ = [
    "GradScaler",
    "autocast",
    "custom_bwd",
    "custom_fwd",
    "get_autocast_cpu_dtype",
    "get_autocast_dtype",
    "is_autocast_available",
    "is_autocast_cpu_enabled",
    "is_autocast_enabled",
]


class autocast:
    """A context, or a decorator, in which products are computed in `dtype`: bfloat16 unless it is float16.

    For a device that is not there, "cuda", nothing is cast, with a warning.

    >>> with mt.autocast("cpu", dtype=mt.bfloat16):
    ...     y = mt.ones(1, 2) @ mt.ones(2, 1)
    >>> y
    tensor([[2.]], dtype=minitensor.bfloat16)
    """

    def __init__(
        self, device_type: str, dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if not isinstance(device_type, str):
            raise ValueError(f"autocast: expected the type of a device, as 'cpu', got {device_type!r}")
        self.device = device_type
        self.fast_dtype = (dtypes.bfloat16 if device_type == "cpu" else dtypes.float16) if dtype is None else dtype
        if enabled and device_type != "cpu":
            warnings.warn(f"autocast: there is no device {device_type!r}; nothing is cast", stacklevel=2)
            enabled = False
        if enabled and self.fast_dtype not in (dtypes.bfloat16, dtypes.float16):
            warnings.warn(f"autocast: {dtype} is neither bfloat16 nor float16; nothing is cast", stacklevel=2)
            enabled = False
        self._enabled = bool(enabled)
        self._before: list[Any] = []

    def __enter__(self) -> autocast:
        if self.device == "cpu":
            self._before.append(set_autocast(self.fast_dtype.numpy if self._enabled else None))
        return self

    def __exit__(self, *_: object) -> None:
        if self._before:
            set_autocast(self._before.pop())

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def decorated(*args: Any, **kwargs: Any) -> Any:
            with autocast(self.device, self.fast_dtype, self._enabled):
                return function(*args, **kwargs)

        return decorated


def is_autocast_enabled(device_type: str | None = None) -> bool:
    """Whether products on that device (None: "cuda") are cast now."""
    return device_type == "cpu" and autocast_dtype() is not None


def is_autocast_cpu_enabled() -> bool:
    """Whether products are cast now."""
    return autocast_dtype() is not None


def get_autocast_dtype(device_type: str) -> dtypes.dtype:
    """The dtype that products are cast to, or would be."""
    now = autocast_dtype() if device_type == "cpu" else None
    return (dtypes.bfloat16 if device_type == "cpu" else dtypes.float16) if now is None else dtypes.of(now)


def get_autocast_cpu_dtype() -> dtypes.dtype:
    """The dtype that products are cast to, or would be."""
    return get_autocast_dtype("cpu")


def is_autocast_available(device_type: str) -> bool:
    """Whether it is the CPU."""
    return device_type == "cpu"


class GradScaler:
    """Multiplies losses by a number, so that small gradients survive float16, and divides the gradients by it again.

    A step whose gradients are not finite is left out, and the scale multiplied by `backoff_factor`; after
    `growth_interval` steps without one it is multiplied by `growth_factor`. For a device that is not there, "cuda",
    it does nothing. Source: Micikevicius et al., "Mixed precision training", 2018.

    >>> scaler = mt.amp.GradScaler("cpu", init_scale=4.0)
    >>> scaler.scale(mt.tensor(2.0))
    tensor(8.)
    """

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 2.0**16,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and device != "cpu":
            warnings.warn(f"GradScaler: there is no device {device!r}; nothing is scaled", stacklevel=2)
        self._enabled = enabled and device == "cpu"
        if self._enabled and not (growth_factor > 1 > backoff_factor):
            raise ShapeError("GradScaler: growth_factor must lie above 1, backoff_factor below it")
        self._scale, self._growth, self._backoff = float(init_scale), growth_factor, backoff_factor
        self._interval, self._good = growth_interval, 0
        self._found: dict[int, bool] = {}  # of each optimizer, whether its gradients, unscaled, were not all finite

    def is_enabled(self) -> bool:
        """Whether it scales."""
        return self._enabled

    def scale(self, outputs: Any) -> Any:
        """The tensor, or those in lists, tuples and dicts, times the scale."""
        if not self._enabled:
            return outputs
        factor = wrap(np.asarray(self._scale, np.float32))
        return tree_map(lambda x: arithmetic.mul(x, factor) if isinstance(x, Tensor) else x, outputs)

    def unscale_(self, optimizer: Any) -> None:
        """Divides the gradients of the optimizer's parameters by the scale, in place, once for each step."""
        if not self._enabled:
            return
        if id(optimizer) in self._found:
            raise RuntimeError("unscale_() has already been called on this optimizer since the last update().")
        finite = True
        for group in optimizer.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    g = p.grad.array
                    finite = finite and bool(np.isfinite(g).all())
                    g[...] = g * np.float32(1.0 / self._scale)
                    p.grad.version.bump()
        self._found[id(optimizer)] = not finite

    def step(self, optimizer: Any, *args: Any, **options: Any) -> Any:
        """`optimizer.step(...)`, unless a gradient is infinite or NaN; unscales them first if that was not done."""
        if not self._enabled:
            return optimizer.step(*args, **options)
        if id(optimizer) not in self._found:
            self.unscale_(optimizer)
        return None if self._found[id(optimizer)] else optimizer.step(*args, **options)

    def update(self, new_scale: Any = None) -> None:
        """Lowers or raises the scale by what the steps since the last call have met; or sets it."""
        if not self._enabled:
            return
        if new_scale is not None:
            self._scale = float(new_scale)
        elif not self._found:
            raise AssertionError("No inf checks were recorded prior to update.")
        elif any(self._found.values()):
            self._scale, self._good = self._scale * self._backoff, 0
        else:
            self._good += 1
            if self._good == self._interval:
                grown = self._scale * self._growth
                self._scale, self._good = grown if math.isfinite(np.float32(grown)) else self._scale, 0
        self._found = {}

    def get_scale(self) -> float:
        """The scale; 1 where nothing is scaled."""
        return self._scale if self._enabled else 1.0

    def get_growth_factor(self) -> float:
        """What the scale is multiplied by when it grows."""
        return self._growth

    def get_backoff_factor(self) -> float:
        """What the scale is multiplied by after a step that was left out."""
        return self._backoff

    def get_growth_interval(self) -> int:
        """After how many good steps the scale grows."""
        return self._interval

    def state_dict(self) -> dict[str, Any]:
        """The scale and what governs it; nothing where nothing is scaled."""
        if not self._enabled:
            return {}
        return {
            "scale": self._scale,
            "growth_factor": self._growth,
            "backoff_factor": self._backoff,
            "growth_interval": self._interval,
            "_growth_tracker": self._good,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes what `state_dict` gave."""
        if not self._enabled:
            return
        if not state_dict:
            raise RuntimeError("GradScaler: the state is empty, perhaps of a scaler that was not enabled")
        self._scale, self._growth = state_dict["scale"], state_dict["growth_factor"]
        self._backoff, self._interval = state_dict["backoff_factor"], state_dict["growth_interval"]
        self._good = state_dict["_growth_tracker"]


def custom_fwd(fwd: Callable[..., Any] | None = None, *, device_type: str = "cpu", cast_inputs: Any = None) -> Any:
    """Decorates a Function's forward: with `cast_inputs`, it runs outside autocast on tensors cast to that dtype."""
    if fwd is None:
        return functools.partial(custom_fwd, device_type=device_type, cast_inputs=cast_inputs)

    @functools.wraps(fwd)
    def decorated(*args: Any, **kwargs: Any) -> Any:
        if cast_inputs is None or not is_autocast_enabled(device_type):
            return fwd(*args, **kwargs)
        args, kwargs = tree_map(
            lambda x: x.to(cast_inputs) if isinstance(x, Tensor) and x.is_floating_point() else x, (args, kwargs)
        )
        with autocast(device_type, enabled=False):
            return fwd(*args, **kwargs)

    return decorated


def custom_bwd(bwd: Callable[..., Any] | None = None, *, device_type: str = "cpu") -> Any:
    """Decorates a Function's backward: it runs as it is, in the dtypes of the gradients."""
    return functools.partial(custom_bwd, device_type=device_type) if bwd is None else bwd
