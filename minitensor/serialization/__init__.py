r"""Saving and loading, in PyTorch's files and in safetensors.

    a name that ends in .safetensors     the safetensors format (safetensors.py): tensors and plain data
    any other                            PyTorch's zip file (torch_file.py): anything that pickle takes, tensors apart

`load` finds out by itself what a file is. It reads a pickle with a machine that builds data and calls nothing but a
closed list of functions (torch_pickle.py), unless it is told that the file is trusted.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from ..device import check as check_device
from . import safetensors
from .files import CheckpointError, opened, write_atomically
from .safetensors import read_metadata
from .torch_pickle import add_safe_globals, clear_safe_globals, get_safe_globals, safe_globals

__all__ = [
    "CheckpointError",
    "add_safe_globals",
    "clear_safe_globals",
    "get_safe_globals",
    "get_unsafe_globals_in_checkpoint",
    "load",
    "read_metadata",
    "safe_globals",
    "save",
    "write_atomically",
]

_FORMATS = ("torch", "safetensors")


def save(
    obj: Any,
    f: Any,
    pickle_module: Any = None,
    pickle_protocol: int = 2,
    _use_new_zipfile_serialization: bool = True,
    _disable_byteorder_record: bool = False,
    *,
    metadata: Mapping[str, str] | None = None,
    format: str | None = None,
) -> None:
    """Saves an object with its tensors in `f`, a name or an open binary file.

    A name that ends in .safetensors (or `format="safetensors"`) gets that format, which holds tensors, numbers,
    strings, bools and None in dicts, lists and tuples; `metadata` (strings only) goes into its header. Any other (or
    `format="torch"`) gets PyTorch's, which PyTorch reads, and holds whatever can be pickled: a state_dict, an
    optimizer's state, a whole module. Views of one memory stay so, and that memory is written once. `pickle_module`
    is not used.

    The file is written beside `f` and then takes its place: whatever happens, a kill or a full disk, `f` is the old
    file or the new one, whole. An open file is written as it is.
    Raises TypeError for what safetensors cannot hold, naming its place, and OSError (a folder that is missing or
    read-only, a full disk) with the old file untouched.

    >>> model = {"weight": mt.ones(2, 3), "bias": mt.zeros(2)}
    >>> mt.save({"model": model, "epoch": 3}, "checkpoint.pt")
    >>> mt.load("checkpoint.pt")["epoch"]
    3
    >>> mt.save(model, "model.safetensors")
    """
    if format is None:
        named = str(getattr(f, "name", "") if hasattr(f, "write") else os.fsdecode(f))
        format = "safetensors" if named.endswith(".safetensors") or metadata is not None else "torch"
    if format not in _FORMATS:
        raise ValueError(f"save: the format {format!r} is not one of {', '.join(_FORMATS)}")
    if format == "safetensors":
        write = safetensors.write(obj, metadata)
    elif metadata is not None:
        raise ValueError("save: only safetensors files have metadata")
    else:
        from . import torch_file  # and zipfile with it, when it is needed

        if _use_new_zipfile_serialization:
            write = torch_file.write(obj, torch_file.folder_of(f), pickle_protocol)
        else:
            write = torch_file.write_older(obj, pickle_protocol)
    if hasattr(f, "write"):
        write(f)
    else:
        write_atomically(f, write)


def load(
    f: Any,
    map_location: Any = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    **pickle_load_args: Any,
) -> Any:
    """What `save` saved here, PyTorch's save there, or another program in a safetensors file.

    `f` is a name or an open binary file. Tensors come to the CPU, with views of one memory as such. With
    `weights_only` (the default) nothing in the file can run code: it may hold tensors, parameters,
    numbers, texts, lists, tuples, dicts, sets, dtypes, sizes and devices, and what `serialization.add_safe_globals` has
    added; a file that names anything else is refused. With `weights_only=False` it may hold whole modules, and **run
    any code**.
    `map_location` (a device, a dict or a function of a memory and its device) may name the CPU only. With `mmap` the
    elements are read from the disk when they are used, and a change does not go back there (PyTorch's zip files only).
    `pickle_module` is not used; `encoding` is of texts in files from Python 2.

    Raises CheckpointError, naming the file and what is wrong, for one that is neither, damaged, cut short, or refused;
    ComplexError for a complex tensor, DtypeError for another dtype that minitensor has not; FileNotFoundError.

    >>> mt.save({"weight": mt.ones(2)}, "ones.pt")
    >>> mt.load("ones.pt")
    {'weight': tensor([1., 1.])}
    """
    from . import torch_file

    if not (callable(map_location) or isinstance(map_location, Mapping)):
        check_device(map_location)
    with opened(f) as (file, name, size):
        begin = file.tell()
        start = file.read(32)
        file.seek(begin)
        if torch_file.is_zip(start) or torch_file.is_older(start):
            if mmap and (file is f or not torch_file.is_zip(start)):
                raise ValueError("load: mmap takes the name of a file in PyTorch's zip format")
            trusted = weights_only is False
            return torch_file.read(file, name, size, map_location, not trusted, bool(mmap), pickle_load_args)
        if mmap:
            raise ValueError("load: mmap takes the name of a file in PyTorch's zip format")
        if start[:1] == b"\x80" and start[8:9] != b"{":
            what = "a bare pickle (pickle.load reads it), or damaged"
            raise CheckpointError(f"load: {name} is not a sound safetensors file, nor one of PyTorch's: it is {what}")
        return safetensors.read(file, name, size)


def get_unsafe_globals_in_checkpoint(f: Any) -> list[str]:
    """The names in a file of PyTorch's for which `load` would refuse it.

    >>> mt.save({"weight": mt.ones(2)}, "ones.pt")
    >>> mt.serialization.get_unsafe_globals_in_checkpoint("ones.pt")
    []
    """
    from . import torch_file

    with opened(f) as (file, name, size):
        return torch_file.unsafe_globals(file, name, size)
