"""The faces: from the names under which programs import other libraries to our modules, and how they are entered."""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import pkgutil
import sys
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

__all__ = ["FACES", "OnImport", "entries", "install", "place"]

# of each face: the name that programs import -> our module
FACES: dict[str, dict[str, str]] = {
    "tensorflow": {
        "tensorflow": "minitensor.keras.tf",
        "tensorflow.keras": "minitensor.keras",
        "keras": "minitensor.keras",
    },
    "torch": {
        "torch": "minitensor.compat.torch",
        "torch.amp": "minitensor.amp",
        "torch.autograd": "minitensor.autograd",
        "torch.autograd.grad_mode": "minitensor.autograd.modes",
        "torch.autograd.profiler": "minitensor.compat.torch.profiler",
        "torch.cpu": "minitensor.cpu",
        "torch.distributions": "minitensor.distributions",
        "torch.fft": "minitensor.fft",
        "torch.func": "minitensor.func",
        "torch.linalg": "minitensor.linalg",
        "torch.nn": "minitensor.nn",
        "torch.nn.modules": "minitensor.compat.torch._modules",
        "torch.nn.parallel": "minitensor.compat.torch._parallel",
        "torch.nn.parallel.distributed": "minitensor.compat.torch._parallel",
        "torch.onnx": "minitensor.onnx",
        "torch.optim": "minitensor.optim",
        "torch.optim.adamw": "minitensor.optim.adam",
        "torch.random": "minitensor.random",
        "torch.return_types": "minitensor.return_types",
        "torch.serialization": "minitensor.serialization",
        "torch.sparse": "minitensor.sparse",
        "torch.storage": "minitensor.storage",
        "torch.special": "minitensor.special",
        "torch.testing": "minitensor.testing",
        "torch.utils": "minitensor.utils",
        "torch.utils.benchmark": "minitensor.compat.torch._benchmark",
        "torch.utils.tensorboard": "minitensor.compat.torch._tensorboard",
        "torch.utils.tensorboard.writer": "minitensor.compat.torch._tensorboard",
        "torch._dynamo": "minitensor.compat.torch.compiler",
        "torchvision": "minitensor.compat.torchvision",
    },
}


def install(face: str | None = None) -> None:
    """Has programs that import another library find ours: `face` is one of `FACES`, or None for all of them.

    With "torch" dtypes, sizes and classes print under PyTorch's names from then on: `torch.float32`.
    Raises ValueError for an unknown face, and ImportError where the other library is loaded already.

    >>> from minitensor import compat
    >>> compat.install("tensorflow")
    >>> from tensorflow.keras.layers import Dense
    >>> Dense.__module__
    'minitensor.keras.layers.core'
    """
    if face is not None and face not in FACES:
        raise ValueError(f"install: {face!r} is not one of {', '.join(FACES)}")
    for table in FACES.values() if face is None else [FACES[face]]:
        found = list(entries(table))
        for name, module in found:
            there = sys.modules.get(name)
            if there is not None and there is not module:
                raise ImportError(f"install: {name} is already loaded, from {getattr(there, '__file__', 'elsewhere')}")
        sys.modules.update(found)
        for name, module in found:
            parent, _, child = name.rpartition(".")
            if parent and not callable(getattr(sys.modules[parent], child, None)):  # gradcheck: the function, as there
                setattr(sys.modules[parent], child, module)
        shown = getattr(found[0][1], "shown_as_torch", None)
        if shown is not None:
            shown(found)


def entries(table: dict[str, str]) -> Iterator[tuple[str, ModuleType]]:
    """(name, module) of all modules of a face, parents first; those made under the face's names come last."""
    for name, target in table.items():
        root = importlib.import_module(target)
        yield name, root
        for info in pkgutil.walk_packages(getattr(root, "__path__", []), f"{target}."):
            below = name + info.name.removeprefix(target)
            if not info.name.rpartition(".")[2].startswith("_") and below not in table:
                yield below, importlib.import_module(info.name)
    for target in table.values():  # modules made under the face's own names
        for module in getattr(importlib.import_module(target), "FILES", ()):
            yield module.__name__, module


def place(module: str) -> str | None:
    """The name under which programs know a module of ours, if it is a face's."""
    for table in FACES.values():
        if module.partition(".")[0] in table:
            return module
        for name, target in sorted(table.items(), key=lambda entry: -len(entry[1])):
            if module == target or module.startswith(f"{target}."):
                return name + module.removeprefix(target)
    return "torch" if module == "minitensor" else None


class OnImport(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Installs a face when a program first imports the library: one of `sys.meta_path`."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: Any = None) -> Any:
        """A way to load `name` if it is the outermost name of a face."""
        known = any(name == row and "." not in row for table in FACES.values() for row in table)
        return importlib.machinery.ModuleSpec(name, self) if known else None

    def exec_module(self, module: ModuleType) -> None:
        """Puts the modules of the face in their places, this one's too."""
        del sys.modules[module.__name__]
        install(next(face for face, table in FACES.items() if module.__name__ in table))
