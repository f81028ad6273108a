"""torch.types: names for annotations."""

from __future__ import annotations

import builtins
import os
from collections.abc import Sequence
from typing import Any, Union

from ...device import device
from ...dtypes import dtype
from ...tensor import Size, Tensor

__all__ = ["Device", "FileLike", "Number", "Storage", "Tensor"]

Number = Union[builtins.int, builtins.float, builtins.bool]  # noqa: UP007
Device = Union[device, str, builtins.int, None]  # noqa: UP007
FileLike = Union[str, os.PathLike[str], Any]  # noqa: UP007
Storage = Any
_TensorOrTensors = Union[Tensor, Sequence[Tensor]]  # noqa: UP007
_bool, _int, _float, _complex = builtins.bool, builtins.int, builtins.float, builtins.complex
_dtype, _device, _size = dtype, device, Union[Size, list[int], tuple[int, ...]]  # noqa: UP007
