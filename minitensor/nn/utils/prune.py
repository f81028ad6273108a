"""Pruning: some elements of a parameter are held at 0 by a mask.

    module.weight = module.weight_orig * module.weight_mask       anew before every forward pass

`weight_orig` is the parameter that is trained, `weight_mask` a buffer; `remove` makes the product the parameter again.
"""

from __future__ import annotations

import numbers
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

from ... import creation, random
from ...errors import ShapeError
from ...ops.common import shape_of, to_dtype
from ...ops.join import cat
from ...ops.order import kthvalue, topk
from ..hooks import take_hook
from ..module import Module

__all__ = [
    "BasePruningMethod",
    "CustomFromMask",
    "Identity",
    "L1Unstructured",
    "LnStructured",
    "PruningContainer",
    "RandomStructured",
    "RandomUnstructured",
    "custom_from_mask",
    "global_unstructured",
    "identity",
    "is_pruned",
    "l1_unstructured",
    "ln_structured",
    "random_structured",
    "random_unstructured",
    "remove",
]


def _checked(amount: Any) -> Any:
    """A share from 0 to 1, or a number of elements."""
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"prune: amount must be a number, not a {type(amount).__name__}")
    whole = isinstance(amount, numbers.Integral)
    if amount < 0 or (not whole and float(amount) > 1):
        raise ShapeError(f"prune: amount must be a share from 0 to 1 or a number of elements, but is {amount}")
    return amount


def _count(amount: Any, size: int) -> int:
    """How many of `size` elements an amount is."""
    if not isinstance(amount, numbers.Integral):
        return round(float(amount) * size)
    if int(amount) > size:
        raise ShapeError(f"prune: {amount} elements are to be pruned, but there are {size}")
    return int(amount)


class BasePruningMethod(ABC):
    """The base of pruning methods. A subclass defines `compute_mask(t, default_mask)` and `PRUNING_TYPE`.

    PRUNING_TYPE is "unstructured" (elements), "structured" (whole slices) or "global": what of a tensor that is pruned
    already is shown to the method.
    """

    PRUNING_TYPE: str
    _tensor_name: str

    @abstractmethod
    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """1 where an element of `t` stays, 0 where it goes; what is 0 in `default_mask` stays 0."""

    def __call__(self, module: Module, inputs: Any) -> None:
        setattr(module, self._tensor_name, self.apply_mask(module))

    def apply_mask(self, module: Module) -> Any:
        """The pruned tensor."""
        name = self._tensor_name
        mask = getattr(module, f"{name}_mask")
        return to_dtype(mask, getattr(module, f"{name}_orig").dtype) * getattr(module, f"{name}_orig")

    @classmethod
    def apply(cls, module: Module, name: str, *args: Any, importance_scores: Any = None, **kwargs: Any) -> Any:
        """Prunes a parameter of a module, further if it is pruned already; returns the method that acts on it."""
        before = _method_of(module, name)
        method: Any = cls(*args, **kwargs)
        method._tensor_name = name
        original = getattr(module, name) if before is None else getattr(module, f"{name}_orig")
        scores = getattr(module, name) if importance_scores is None else importance_scores
        if shape_of(scores) != shape_of(original):
            raise ShapeError(f"prune: importance_scores {shape_of(scores)} for a tensor of {shape_of(original)}")
        if before is None:
            default = creation.ones_like(original.detach())
        else:
            default = getattr(module, f"{name}_mask").detach().clone()
            chain = before if isinstance(before, PruningContainer) else PruningContainer(before)
            chain.add_pruning_method(method)
            method = chain
            take_hook(module._hooks, "forward_pre", (before, False))
        mask = method.compute_mask(scores.detach(), default_mask=default)
        if before is None:
            del module._parameters[name]
            module.register_parameter(f"{name}_orig", original)
            module.register_buffer(f"{name}_mask", mask)
        else:
            setattr(module, f"{name}_mask", mask)
        setattr(module, name, method.apply_mask(module))
        module.register_forward_pre_hook(method)
        return method

    def prune(self, t: Any, default_mask: Any = None, importance_scores: Any = None) -> Any:
        """A pruned copy of a tensor."""
        scores = t if importance_scores is None else importance_scores
        mask = creation.ones_like(t) if default_mask is None else default_mask
        return t * to_dtype(self.compute_mask(scores, default_mask=mask), t.dtype)

    def remove(self, module: Module) -> None:
        """Makes the pruned tensor the parameter, and forgets the mask."""
        name = self._tensor_name
        original = getattr(module, f"{name}_orig")
        original.data = self.apply_mask(module).detach()
        delattr(module, name)
        del module._parameters[f"{name}_orig"]
        del module._buffers[f"{name}_mask"]
        setattr(module, name, original)


def _method_of(module: Module, name: str) -> Any:
    """The pruning method among a module's hooks that acts on `name`; None if there is none."""
    found = [h for h in module._forward_pre_hooks.values() if isinstance(h, BasePruningMethod)]
    return next((h for h in found if h._tensor_name == name), None)


class PruningContainer(BasePruningMethod):
    """Pruning methods that were applied to one tensor, one after the other."""

    def __init__(self, *args: BasePruningMethod) -> None:
        self._pruning_methods: tuple[BasePruningMethod, ...] = ()
        if len(args) == 1 and isinstance(args[0], BasePruningMethod):
            self._tensor_name = args[0]._tensor_name
        for method in args:
            self.add_pruning_method(method)

    def add_pruning_method(self, method: Any) -> None:
        """One more at the end."""
        if not isinstance(method, BasePruningMethod):
            raise TypeError(f"prune: {type(method).__name__} is not a pruning method")
        if method._tensor_name != self._tensor_name:
            raise ShapeError(f"prune: a method for {method._tensor_name!r} in a container for {self._tensor_name!r}")
        self._pruning_methods += (method,)

    def __len__(self) -> int:
        return len(self._pruning_methods)

    def __iter__(self) -> Any:
        return iter(self._pruning_methods)

    def __getitem__(self, index: Any) -> Any:
        return self._pruning_methods[index]

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """The old mask and, of what it left, what the newest method leaves."""
        method = self._pruning_methods[-1]
        mask = default_mask.clone()
        where: Any = (slice(None),) * len(shape_of(t))
        if method.PRUNING_TYPE == "unstructured":
            where = mask == 1
        elif method.PRUNING_TYPE == "structured":
            dim = getattr(method, "dim", 0) % len(shape_of(t))
            kept = (mask.movedim(dim, 0).flatten(1) if len(shape_of(t)) > 1 else mask[:, None]).sum(1) != 0
            where = (*(slice(None),) * dim, kept)
        elif method.PRUNING_TYPE != "global":
            raise ShapeError(f"prune: PRUNING_TYPE {method.PRUNING_TYPE!r} is none of unstructured, structured, global")
        mask[where] = to_dtype(method.compute_mask(t[where], default_mask=mask[where]), mask.dtype)
        return mask


class Identity(BasePruningMethod):
    """Prunes nothing, but sets up the mask."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """All ones."""
        return default_mask


class _Amount(BasePruningMethod):
    """A method that takes away an amount."""

    PRUNING_TYPE = "unstructured"

    def __init__(self, amount: Any) -> None:
        self.amount = _checked(amount)

    def _without_lowest(self, scores: Any, default_mask: Any) -> Any:
        """The mask with 0 also where the `amount` lowest scores are."""
        count = _count(self.amount, scores.numel())
        mask = default_mask.clone()
        if count:
            mask.view(-1)[topk(scores.reshape(-1), count, largest=False)[1]] = 0
        return mask


class RandomUnstructured(_Amount):
    """Elements drawn at random."""

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """0 where the highest of as many random numbers lie."""
        if not _count(self.amount, t.numel()):
            return default_mask.clone()
        return self._without_lowest(-random.rand_like(t), default_mask)


class L1Unstructured(_Amount):
    """The elements with the smallest absolute values."""

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """0 for the smallest."""
        return self._without_lowest(t.abs(), default_mask)


class _Slices(_Amount):
    """A method that takes away an amount of the slices along an axis."""

    PRUNING_TYPE = "structured"

    def __init__(self, amount: Any, dim: int = -1) -> None:
        super().__init__(amount)
        self.dim = dim

    def _sized(self, t: Any) -> tuple[int, int]:
        """(slices, how many of them go); raises where there are no slices."""
        shape = shape_of(t)
        if len(shape) < 2:
            raise ShapeError(f"prune: {type(self).__name__} needs at least 2 axes, got {shape}")
        if not -len(shape) <= self.dim < len(shape):
            raise ShapeError(f"prune: axis {self.dim} is out of range for {shape}")
        return shape[self.dim], _count(self.amount, shape[self.dim])

    def _kept(self, t: Any, keep: Any, default_mask: Any) -> Any:
        """The mask without the slices for which `keep` is False."""
        sizes = [1] * len(shape_of(t))
        sizes[self.dim] = -1
        return default_mask * to_dtype(keep, default_mask.dtype).reshape(sizes)


class RandomStructured(_Slices):
    """Slices along `dim`, drawn at random."""

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """0 in the slices with the lowest random numbers."""
        n, count = self._sized(t)
        if not count:
            return default_mask
        draws = random.rand(n)
        return self._kept(t, draws > kthvalue(draws, count)[0], default_mask)


class LnStructured(_Slices):
    """The slices along `dim` with the smallest n-norms."""

    def __init__(self, amount: Any, n: Any, dim: int = -1) -> None:
        super().__init__(amount, dim)
        self.n = n

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """0 in the slices with the smallest norms."""
        n, count = self._sized(t)
        if not count:
            return default_mask
        others = [d for d in range(len(shape_of(t))) if d != self.dim % len(shape_of(t))]
        keep = creation.zeros(n)
        keep[topk(t.norm(p=self.n, dim=others), n - count)[1]] = 1
        return self._kept(t, keep, default_mask)


class CustomFromMask(BasePruningMethod):
    """What a given mask leaves."""

    PRUNING_TYPE = "global"

    def __init__(self, mask: Any) -> None:
        self.mask = mask

    def compute_mask(self, t: Any, default_mask: Any) -> Any:
        """Both masks together."""
        return default_mask * to_dtype(self.mask, default_mask.dtype)


def identity(module: Module, name: str) -> Module:
    """Sets up the mask of a parameter, and prunes nothing; returns the module."""
    Identity.apply(module, name)
    return module


def random_unstructured(module: Module, name: str, amount: Any) -> Module:
    """Prunes elements drawn at random: a share (float) or a number (int) of them; returns the module."""
    RandomUnstructured.apply(module, name, amount)
    return module


def l1_unstructured(module: Module, name: str, amount: Any, importance_scores: Any = None) -> Module:
    """Prunes the elements with the smallest absolute values, or scores; returns the module.

    >>> from minitensor.nn.utils import prune
    >>> layer = mt.nn.Linear(2, 1)
    >>> mt.nn.init.constant_(layer.weight, 1.0).data[0, 0] = 0.5
    >>> prune.l1_unstructured(layer, "weight", amount=0.5).weight
    tensor([[0., 1.]], grad_fn=<MulBackward0>)
    """
    L1Unstructured.apply(module, name, amount, importance_scores=importance_scores)
    return module


def random_structured(module: Module, name: str, amount: Any, dim: int) -> Module:
    """Prunes slices along `dim` drawn at random; returns the module."""
    RandomStructured.apply(module, name, amount, dim)
    return module


def ln_structured(module: Module, name: str, amount: Any, n: Any, dim: int, importance_scores: Any = None) -> Module:
    """Prunes the slices along `dim` with the smallest n-norms; returns the module."""
    LnStructured.apply(module, name, amount, n, dim, importance_scores=importance_scores)
    return module


def custom_from_mask(module: Module, name: str, mask: Any) -> Module:
    """Prunes what a mask leaves out; returns the module."""
    CustomFromMask.apply(module, name, mask)
    return module


def global_unstructured(
    parameters: Iterable[tuple[Module, str]],
    pruning_method: Any,
    importance_scores: dict[tuple[Module, str], Any] | None = None,
    **kwargs: Any,
) -> None:
    """Prunes several parameters as if they were one: (module, name) of each."""
    given = list(parameters)
    scores = importance_scores or {}
    tensors = [scores.get(pair, getattr(*pair)).detach() for pair in given]
    masks = [getattr(m, f"{name}_mask", creation.ones_like(getattr(m, name).detach())) for m, name in given]
    chain = PruningContainer()
    chain._tensor_name = "temp"
    method = pruning_method(**kwargs)
    method._tensor_name = "temp"
    if method.PRUNING_TYPE != "unstructured":
        raise TypeError(f"prune: only unstructured methods prune several tensors together, not {pruning_method!r}")
    chain.add_pruning_method(method)
    flat = [cat([x.reshape(-1) for x in xs]) for xs in (tensors, masks)]
    whole = chain.compute_mask(flat[0], flat[1])
    start = 0
    for module, name in given:
        size = getattr(module, name).numel()
        custom_from_mask(module, name, whole[start : start + size].reshape(shape_of(getattr(module, name))))
        start += size


def remove(module: Module, name: str) -> Module:
    """Makes a pruned tensor the parameter again, zeros included; returns the module."""
    method = _method_of(module, name)
    if method is None:
        raise ShapeError(f"prune: {name!r} of {type(module).__name__} is not pruned")
    take_hook(module._hooks, "forward_pre", (method, False))
    method.remove(module)
    return module


def is_pruned(module: Module) -> bool:
    """Whether a parameter of the module, or of one inside it, is pruned."""
    return any(isinstance(h, BasePruningMethod) for m in module.modules() for h in m._forward_pre_hooks.values())
