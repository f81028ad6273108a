"""torch.compiler and torch._dynamo: nothing is compiled; every function runs as it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ._helpers import no, nothing

__all__ = ["compile", "disable", "is_compiling", "is_dynamo_compiling", "reset"]

is_compiling = is_dynamo_compiling = is_exporting = no
reset = cudagraph_mark_step_begin = nothing


def compile(model: Any = None, **_: Any) -> Any:
    """The model or function itself; without one, a decorator that gives it."""
    return (lambda function: function) if model is None else model


def disable(fn: Any = None, recursive: bool = True, **_: Any) -> Callable[..., Any]:
    """The function itself; without one, a decorator that gives it."""
    return (lambda function: function) if fn is None else fn


allow_in_graph = assume_constant_result = disable
