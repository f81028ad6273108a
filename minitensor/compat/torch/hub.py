"""torch.hub: nothing is downloaded and run."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

__all__ = ["get_dir", "load", "load_state_dict_from_url", "set_dir"]

_folder = [os.path.expanduser("~/.cache/torch/hub")]


def get_dir() -> str:
    """The folder where PyTorch keeps what it has downloaded."""
    return _folder[0]


def set_dir(d: str) -> None:
    """Names another."""
    _folder[0] = str(d)


def load(repo_or_dir: str, model: str, *_: Any, **__: Any) -> Any:
    """Raises RuntimeError: code from elsewhere is not fetched and run."""
    raise RuntimeError(f"hub.load: {model} of {repo_or_dir} is not fetched; build the model and load its weights")


def load_state_dict_from_url(url: str, *_: Any, **__: Any) -> Any:
    """Raises RuntimeError: nothing is downloaded."""
    raise RuntimeError(f"hub.load_state_dict_from_url: {url} is not fetched; download it, and torch.load the file")


def __getattr__(name: str) -> Any:
    """tqdm, which programs take from here: loaded when one asks for it."""
    if name == "tqdm":
        return importlib.import_module("tqdm.auto").tqdm
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
