"""torch.onnx: `minitensor.onnx`, loaded when it is first called, since it needs the package onnx."""

from __future__ import annotations

from typing import Any

__all__ = ["export"]


def export(model: Any, args: Any = (), f: Any = None, **options: Any) -> Any:
    """`minitensor.onnx.export`."""
    from ...onnx import export as ours

    return ours(model, args, f, **options)


_export = export
