"""Weight norm and spectral norm by hooks, as old programs have them; see `parametrizations` for today's."""

from __future__ import annotations

from typing import Any

from ... import creation, random
from ...autograd import no_grad
from ...errors import ShapeError
from ...ops.common import shape_of
from ...ops.matmul import dot, mv
from ...ops.shape import movedim, reshape
from ..hooks import take_hook
from ..parameter import Parameter
from .parametrizations import _columns, norm_except, unit


def _find(module: Any, kind: type, name: str) -> Any:
    for hook, _ in module._hooks.get("forward_pre", ()):
        if isinstance(hook, kind) and hook.name == name:  # type: ignore[attr-defined]
            return hook
    return None


def _take_away(module: Any, kind: type, name: str) -> Any:
    """Removes the hook of a name and returns it. Raises ValueError if there is none."""
    hook = _find(module, kind, name)
    if hook is None:
        raise ShapeError(f"{module._get_name()}: {name!r} has no {kind.__name__}")
    take_hook(module._hooks, "forward_pre", (hook, False))
    return hook


class WeightNorm:
    """The hook that sets `name` to g v / |v| before every forward."""

    def __init__(self, name: str, dim: int | None) -> None:
        self.name = name
        self.dim = -1 if dim is None else dim

    def compute_weight(self, module: Any) -> Any:
        """g v / |v|."""
        v = getattr(module, f"{self.name}_v")
        return v * (getattr(module, f"{self.name}_g") / norm_except(v, self.dim))

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module))


def weight_norm(module: Any, name: str = "weight", dim: int | None = 0) -> Any:
    """A weight as its length `weight_g` times the direction of `weight_v`, set before every forward.

    >>> sorted(dict(mt.nn.utils.weight_norm(mt.nn.Linear(2, 3)).named_parameters()))
    ['bias', 'weight_g', 'weight_v']
    """
    if _find(module, WeightNorm, name) is not None:
        raise RuntimeError(f"{module._get_name()}: {name!r} has a weight norm already")
    hook = WeightNorm(name, dim)
    weight = module._parameters.pop(name)
    module.register_parameter(f"{name}_g", Parameter(norm_except(weight.detach(), hook.dim)))
    module.register_parameter(f"{name}_v", Parameter(weight.detach().clone()))
    setattr(module, name, hook.compute_weight(module))
    module.register_forward_pre_hook(hook)
    return module


def remove_weight_norm(module: Any, name: str = "weight") -> Any:
    """Makes the weight an ordinary parameter again, with its present value."""
    hook = _take_away(module, WeightNorm, name)
    with no_grad():
        weight = hook.compute_weight(module)
    delattr(module, name)
    del module._parameters[f"{name}_g"], module._parameters[f"{name}_v"]
    module.register_parameter(name, Parameter(weight))
    return module


class SpectralNorm:
    """The hook that sets `name` to its original divided by the largest singular value before every forward."""

    def __init__(self, name: str, n_power_iterations: int, dim: int, eps: float) -> None:
        if n_power_iterations <= 0:
            raise ShapeError(f"spectral_norm: n_power_iterations must be positive, not {n_power_iterations}")
        self.name = name
        self.n_power_iterations = n_power_iterations
        self.dim = dim
        self.eps = eps

    def matrix(self, weight: Any) -> Any:
        """The weight as a matrix, its axis `dim` first."""
        return reshape(movedim(weight, self.dim, 0), (shape_of(weight)[self.dim], -1))

    def compute_weight(self, module: Any, iterate: bool) -> Any:
        """original / sigma."""
        weight = getattr(module, f"{self.name}_orig")
        u, v = getattr(module, f"{self.name}_u"), getattr(module, f"{self.name}_v")
        matrix = self.matrix(weight)
        if iterate:
            with no_grad():
                for _ in range(self.n_power_iterations):
                    v.copy_(unit(mv(matrix.mT, u), self.eps))
                    u.copy_(unit(mv(matrix, v), self.eps))
        return weight / dot(u.clone(), mv(matrix, v.clone()))

    def __call__(self, module: Any, inputs: Any) -> None:
        setattr(module, self.name, self.compute_weight(module, module.training))


def spectral_norm(
    module: Any, name: str = "weight", n_power_iterations: int = 1, eps: float = 1e-12, dim: int | None = None
) -> Any:
    """A weight divided by its largest singular value, set before every forward; `weight_orig` is trained.

    >>> sorted(mt.nn.utils.spectral_norm(mt.nn.Linear(2, 3)).state_dict())
    ['bias', 'weight_orig', 'weight_u', 'weight_v']
    """
    if _find(module, SpectralNorm, name) is not None:
        raise RuntimeError(f"{module._get_name()}: {name!r} has a spectral norm already")
    hook = SpectralNorm(name, n_power_iterations, _columns(module, dim), eps)
    weight = module._parameters.pop(name)
    module.register_parameter(f"{name}_orig", weight)
    setattr(module, name, weight.detach())
    for end, size in zip(("u", "v"), shape_of(hook.matrix(weight)), strict=True):
        x = random.normal_(creation.empty(size, dtype=weight.dtype), 0, 1)
        module.register_buffer(f"{name}_{end}", unit(x, eps))
    module.register_forward_pre_hook(hook)
    return module


def remove_spectral_norm(module: Any, name: str = "weight") -> Any:
    """Makes the weight an ordinary parameter again, with its present value."""
    hook = _take_away(module, SpectralNorm, name)
    with no_grad():
        weight = hook.compute_weight(module, False)
    delattr(module, name)
    del module._buffers[f"{name}_u"], module._buffers[f"{name}_v"], module._parameters[f"{name}_orig"]
    module.register_parameter(name, Parameter(weight.detach()))
    return module
