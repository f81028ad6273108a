"""torch.jit: functions and modules stay what they are, and run in Python; `save` writes a module as `torch.save`."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from typing import Any

from ... import serialization
from ...nn import Module
from ._helpers import Inert, no, nothing

__all__ = [
    "Final", "ScriptModule", "annotate", "export", "fork", "freeze", "ignore", "interface", "is_scripting",
    "is_tracing", "isinstance", "load", "optimize_for_inference", "optimized_execution", "save", "script",
    "script_method", "trace", "trace_module", "unused", "wait",
]  # fmt: skip

Final = Any
is_scripting = is_tracing = no
set_fusion_strategy = enable_onednn_fusion = nothing
optimized_execution = Inert


class ScriptModule(Module):
    """The base that programs give to modules of script methods; `script` and `trace` make none."""

    @property
    def original_name(self) -> str:
        """The class's name."""
        return type(self).__name__


class _Saves:
    """The method `save` of a module that was scripted or traced."""

    def __init__(self, module: Module) -> None:
        self.module = module

    def __call__(self, f: Any, _extra_files: Any = None) -> None:
        save(self.module, f)


def _scripted(obj: Any) -> Any:
    if builtins.isinstance(obj, Module) and not hasattr(type(obj), "save"):
        vars(obj)["save"] = _Saves(obj)
    return obj


def script(obj: Any = None, *_: Any, **__: Any) -> Any:
    """The function, class or module itself; a module can then `save` itself."""
    return _scripted(obj)


def save(m: Module, f: Any, _extra_files: Any = None) -> None:
    """Writes a module, with its class by name, into a file or an open one."""
    serialization.save(m, f)


def load(f: Any, map_location: Any = None, _extra_files: Any = None, _restore_shapes: bool = False) -> Any:
    """The module that `save` wrote. Like any file of whole modules it can run code: read only what is trusted."""
    return serialization.load(f, map_location, weights_only=False)


script_method = export = unused = interface = script_if_tracing = freeze = optimize_for_inference = script


def trace(func: Any, example_inputs: Any = None, *_: Any, **__: Any) -> Any:
    """The function or module itself, which is not run; a module can then `save` itself."""
    return _scripted(func)


trace_module = trace


def ignore(drop: Any = False, **_: Any) -> Any:
    """The function itself; with a flag, a decorator that gives it."""
    return drop if callable(drop) else lambda function: function


def annotate(the_type: Any, the_value: Any) -> Any:
    """The value."""
    return the_value


def isinstance(obj: Any, target_type: Any) -> bool:
    """Python's own, of a type without parameters."""
    return builtins.isinstance(obj, getattr(target_type, "__origin__", target_type))


def fork(func: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """What the function gives, at once."""
    return func(*args, **kwargs)


def wait(future: Any) -> Any:
    """What `fork` gave."""
    return future
