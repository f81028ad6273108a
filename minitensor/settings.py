"""What programs set for machines and libraries: accepted and remembered.

The same program gives the same bits here, on any number of threads, whatever is asked for. One setting has an effect on
results, `set_float32_matmul_precision`; the others have none.
"""

from __future__ import annotations

import warnings
from typing import Any

from . import cpu, dtypes
from .device import device, get_default, set_default
from .errors import ShapeError
from .interop import TensorType

__all__ = [
    "are_deterministic_algorithms_enabled",
    "get_default_device",
    "get_deterministic_debug_mode",
    "get_float32_matmul_precision",
    "get_num_interop_threads",
    "is_deterministic_algorithms_warn_only_enabled",
    "set_default_device",
    "set_default_tensor_type",
    "set_deterministic_debug_mode",
    "set_float32_matmul_precision",
    "set_flush_denormal",
    "set_num_interop_threads",
    "use_deterministic_algorithms",
]

_DEBUG_MODES = ("default", "warn", "error")
_PARTS = {"highest": 0, "high": 2, "medium": 1}  # of bfloat16, in each float32
_set: dict[str, Any] = {"deterministic": 0, "precision": "highest", "interop": 1}


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Asks for the same results from the same program: they are the same in any case.

    >>> mt.use_deterministic_algorithms(True)
    >>> mt.are_deterministic_algorithms_enabled()
    True
    >>> mt.use_deterministic_algorithms(False)
    """
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms: mode must be a bool, not {mode!r}")
    _set["deterministic"] = (1 if warn_only else 2) if mode else 0


def are_deterministic_algorithms_enabled() -> bool:
    """Whether `use_deterministic_algorithms` asked for them."""
    return bool(_set["deterministic"])


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """Whether `use_deterministic_algorithms` asked for a warning only."""
    return bool(_set["deterministic"] == 1)


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """`use_deterministic_algorithms` by a number or a name: 0 "default", 1 "warn", 2 "error"."""
    mode = _DEBUG_MODES.index(debug_mode) if debug_mode in _DEBUG_MODES else debug_mode
    if mode not in (0, 1, 2):
        raise ShapeError(f"set_deterministic_debug_mode: {debug_mode!r} is not 0, 1 or 2, or {', '.join(_DEBUG_MODES)}")
    _set["deterministic"] = int(mode)


def get_deterministic_debug_mode() -> int:
    """What `use_deterministic_algorithms` asked for: 0 nothing, 1 a warning, 2 an error."""
    return int(_set["deterministic"])


def set_float32_matmul_precision(precision: str) -> None:
    r"""Allows products of float32 to be less exact, and faster: "highest" (at first), "high" or "medium".

        a = a1 + a2 + rest    with  a1 = bfloat16(a),  a2 = bfloat16(a - a1),  |rest| <= 2^-17 |a|
        highest    c_ij = sum_k a_ik b_kj                                     in float32
        high       c_ij = sum_k a1_ik b1_kj + a1_ik b2_kj + a2_ik b1_kj       error <= 2^-15 sum_k |a_ik b_kj|
        medium     c_ij = sum_k a1_ik b1_kj                                   error <= 2^-7 sum_k |a_ik b_kj|

    beside what rounding the sums costs, float32's in each. In the mean, on normal numbers, c is off by 4e-6 of its
    size in "high" and by 2e-3 in "medium"; plain float32 by 1e-7 to 5e-7.

    "high" and "medium" are in force where the CPU has Intel's tile unit (AMX with bfloat16) and Linux grants it;
    "medium" alone where its vectors multiply pairs of bfloat16 (AVX512_BF16, about 1.7 times as fast as float32).
    Elsewhere they mean "highest"; `mt.cpu.matmul_engine()` says what multiplies now. They apply to `matmul`, `bmm`,
    `addmm`, `linear` and what is made of these, and to their gradients; to products of at least 64 rows and columns
    and 2^21 multiplications, with tiles in "medium" 32 and 2^18, since smaller ones gain nothing. So do convolutions
    whose kernels have one pixel, forward and by their input, or are as large as the image; others, attention and the
    recurrent part of RNNs keep to float32; float64 always does.

    The results are the same for any number of threads. Where one is not finite, the whole product is computed in
    plain float32, so that NaN and infinity come out as ever. The unit takes numbers below 1.2e-38 for 0, a2 among
    them: what is lost is below 1.2e-38 times the other factor.

    Raises ShapeError (a ValueError) for another name.

    >>> mt.set_float32_matmul_precision("high")
    >>> mt.get_float32_matmul_precision()
    'high'
    >>> mt.set_float32_matmul_precision("highest")
    """
    if not isinstance(precision, str) or precision not in _PARTS:
        raise ShapeError(f"set_float32_matmul_precision: {precision!r} is not one of {', '.join(_PARTS)}")
    cpu.split_products(_PARTS[precision])
    _set["precision"] = precision


def get_float32_matmul_precision() -> str:
    """What `set_float32_matmul_precision` was told: "highest" at first."""
    return str(_set["precision"])


def set_num_interop_threads(num: int) -> None:
    """Takes a number of threads for operators at the same time: operators run one after another."""
    if num < 1:
        raise ShapeError(f"set_num_interop_threads: expected a positive number, got {num}")
    _set["interop"] = int(num)


def get_num_interop_threads() -> int:
    """What `set_num_interop_threads` was told: 1 at first."""
    return int(_set["interop"])


def set_flush_denormal(mode: bool) -> bool:
    """False: numbers too small for a full mantissa are computed with, never taken for 0."""
    return False


def set_default_device(device: Any) -> None:
    """Where tensors are made for which no device is named: "cpu" or "meta". Raises ShapeError for any other.

    >>> mt.set_default_device("cpu")
    """
    set_default(device)


def get_default_device() -> device:
    """Where tensors are made for which no device is named."""
    return get_default()


def set_default_tensor_type(t: Any) -> None:
    """`set_default_dtype` by the old name of a type: "torch.DoubleTensor", `mt.DoubleTensor`. Deprecated, as there."""
    warnings.warn("set_default_tensor_type is deprecated; use set_default_dtype", FutureWarning, stacklevel=2)
    name = str(t.__name__ if isinstance(t, TensorType) else t).rpartition(".")[2]
    found = next((d for d in dtypes.ALL if d.type_name == name), None)
    if found is None:
        raise TypeError(f"set_default_tensor_type: {t!r} is no type of tensor")
    dtypes.set_default_dtype(found)
