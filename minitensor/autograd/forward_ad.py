"""Forward mode with dual numbers: a value and its derivative travel together. PyTorch: torch.autograd.forward_ad."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..errors import DtypeError, GraphError, ShapeError
from ..graph import forward
from ..tensor import Tensor

_levels: list[forward.Level] = []


class UnpackedDualTensor(NamedTuple):
    """A value and its derivative (None where it is zero)."""

    primal: Any
    tangent: Any


class dual_level:
    """While it is open, duals of this level exist; they may nest.

    >>> with mt.autograd.forward_ad.dual_level():
    ...     x = mt.autograd.forward_ad.make_dual(mt.tensor(3.0), mt.tensor(1.0))
    ...     mt.autograd.forward_ad.unpack_dual(x * x).tangent
    tensor(6.)
    """

    def __enter__(self) -> forward.Level:
        self.level = enter_dual_level()
        return self.level

    def __exit__(self, *error: object) -> None:
        exit_dual_level(level=self.level)


def enter_dual_level() -> forward.Level:
    """Opens a level, which `exit_dual_level` closes: where a `with dual_level()` does not fit."""
    level = forward.Level()
    _levels.append(level)
    return level


def exit_dual_level(*, level: forward.Level | None = None) -> None:
    """Closes a level, the innermost if none is given: its tangents count for nothing from then on."""
    level = _current("exit_dual_level", level)
    if level not in _levels:
        raise GraphError("exit_dual_level: that level is closed already")
    _levels.remove(level)
    level.close()


def _current(name: str, level: forward.Level | None) -> forward.Level:
    if level is not None:
        return level
    if not _levels:
        raise GraphError(f"{name}: no dual_level is open")
    return _levels[-1]


def make_dual(tensor: Tensor, tangent: Tensor, *, level: forward.Level | None = None) -> Tensor:
    """`tensor` with the derivative `tangent`, of its shape and dtype."""
    for x in (tensor, tangent):
        if not isinstance(x, Tensor):
            raise DtypeError(f"make_dual: a value and its tangent are Tensors, not {type(x).__name__}")
    if tensor.array.dtype.kind != "f":
        raise ShapeError(f"make_dual: expected a floating dtype, got {tensor.dtype.name}")
    if tangent.array.shape != tensor.array.shape or tangent.array.dtype != tensor.array.dtype:
        raise ShapeError(
            f"make_dual: a tangent of {tuple(tangent.shape)} {tangent.dtype.name} for a tensor of "
            f"{tuple(tensor.shape)} {tensor.dtype.name}"
        )
    at = _current("make_dual", level)
    if forward.unpack_dual(at, tensor)[1] is not None:
        raise GraphError("make_dual: the tensor has a tangent at this level already")
    out: Tensor = forward.make_dual(at, tensor, tangent)
    return out


def unpack_dual(tensor: Tensor, *, level: forward.Level | None = None) -> UnpackedDualTensor:
    """The value and the derivative of a dual tensor; (tensor, None) where it is not dual or no level is open."""
    if level is None and not _levels:
        return UnpackedDualTensor(tensor, None)
    return UnpackedDualTensor(*forward.unpack_dual(_current("unpack_dual", level), tensor))
