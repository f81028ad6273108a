"""The face `torch`: PyTorch's names at PyTorch's places, for programs that run unchanged.

What computes is `minitensor` itself. Here is what a program meets besides: devices that are not there, compilers and
profilers that do nothing, groups of processes that are one, and the places where PyTorch keeps its classes; which of
our modules stands at which place is in `minitensor.compat.FACES`.
"""

from __future__ import annotations

from collections.abc import Iterable
from types import ModuleType
from typing import Any

import minitensor

from ... import autograd, naming
from ...dtypes import UNSTORED
from ...nn import functional as _functions
from . import (
    __config__,
    accelerator,
    backends,
    compiler,
    cuda,
    distributed,
    functional,
    hub,
    jit,
    mps,
    multiprocessing,
    profiler,
    types,
    version,
    xpu,
)
from ._files import FILES
from ._helpers import no
from .compiler import compile
from .version import __version__

__all__ = [
    "FILES", "__config__", "__version__", "accelerator", "autograd", "backends", "compile", "compiler", "cuda",
    "distributed", "functional", "hub", "jit", "mps", "multiprocessing", "profiler",
    "types", "version", "xpu",
]  # fmt: skip

_NAMES = [n for n in minitensor.__all__ if n not in {*__all__, *minitensor._LATER}]
globals().update({name: getattr(minitensor, name) for name in _NAMES})
globals().update({d.name: d for d in UNSTORED})
chalf = globals()["complex32"]

# functions that PyTorch has in torch as well as in torch.nn.functional
_FUNCTIONS = """
    affine_grid_generator:affine_grid bilinear binary_cross_entropy_with_logits conv_tbc cosine_embedding_loss ctc_loss
    embedding embedding_bag grid_sampler:grid_sample hinge_embedding_loss instance_norm kl_div margin_ranking_loss
    poisson_nll_loss triplet_margin_loss
""".split()
for _name, _, _ours in (each.partition(":") for each in _FUNCTIONS):
    if hasattr(_functions, _ours or _name):
        globals()[_name] = getattr(_functions, _ours or _name)

has_mps = has_cuda = has_mkl = has_lapack = False
is_warn_always_enabled = is_vulkan_available = no
compiled_with_cxx11_abi = no


def get_device_module(device: Any = None) -> Any:
    """The module of a kind of device: torch.cpu, torch.cuda."""
    return globals()[minitensor.device("cpu" if device is None else device).type]


def get_device(input: Any) -> int:
    """-1: the CPU has no number."""
    return int(input.get_device())


__all__ += [*_NAMES, *(d.name for d in UNSTORED), "chalf"]


def shown_as_torch(modules: Iterable[tuple[str, ModuleType]]) -> None:
    """Has dtypes, sizes and the classes of these modules, (name, module), print under PyTorch's names from now on."""
    naming.call("torch")
    modules = list(modules)
    own = [(name, module) for name, module in modules if module.__name__ == name]  # PyTorch's files of nn.modules
    for name, module in [*own, *modules]:
        for key, value in vars(module).items():
            if key.startswith("_") or not isinstance(value, type):
                continue
            if module.__name__ == name or value.__module__ == module.__name__:
                if value.__module__.startswith("minitensor."):
                    value.__module__ = name
    for value in vars(minitensor).values():
        if isinstance(value, type) and value.__module__.startswith("minitensor."):
            value.__module__ = "torch"
