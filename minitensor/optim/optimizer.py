"""Optimizer: groups of parameters with options, and a state for each parameter."""

from __future__ import annotations

import copy
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from ..autograd import enable_grad, no_grad
from ..errors import ShapeError
from ..graph import Tensor as Core
from ..graph import check_writable, uses_reference, wrap
from ..nn.parameter import clear_grad
from ..ops.common import shape_of


class Optimizer:
    """The base of all optimizers.

    `params` are the parameters, or dicts with the key "params" and options of their own (groups).
    A subclass defines `_update(p, g, state, group)`, which changes the array of one parameter in
    place, or a `step` of its own.

    Attributes:
        param_groups: a dict for each group: "params", and every option, which may be changed.
        state: what the optimizer keeps for each parameter.
        defaults: the options where a group has none.
    """

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Core):
            raise TypeError(f"{self._name}: expected several parameters, got one tensor; put it in a list")
        self.defaults = defaults
        self.state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        groups = list(params)
        if not groups:
            raise ShapeError(f"{self._name}: there are no parameters to optimize")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _check(self, options: dict[str, Any]) -> None:
        """Raises for options out of their range."""

    def _least(self, options: dict[str, Any], *names: str) -> None:
        """Raises unless these options are 0 or larger."""
        for name in names:
            if not float(options[name]) >= 0:
                raise ShapeError(f"{self._name}: {name} must not be negative, but is {options[name]}")

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds parameters with options of their own: {"params": ..., "lr": ...}.

        Raises TypeError for what is no tensor, ShapeError for a tensor that was computed, for one
        that another group has, and for an option out of its range.
        """
        if not isinstance(param_group, dict) or "params" not in param_group:
            raise TypeError(f"{self._name}: a group must be a dict with the key 'params'")
        params = param_group["params"]
        if isinstance(params, (set, frozenset)):
            raise TypeError(f"{self._name}: a set of parameters has no order; use a list")
        params = [params] if isinstance(params, Core) else list(params)
        for p in params:
            if not isinstance(p, Core):
                raise TypeError(f"{self._name}: a parameter must be a tensor, not {type(p).__name__}")
            if not p.is_leaf:
                raise ShapeError(f"{self._name}: cannot optimize a tensor that was computed, only leaves")
        if len(set(params)) != len(params):
            warnings.warn(f"{self._name}: a parameter occurs twice in one group", stacklevel=3)
        taken = {p for group in self.param_groups for p in group["params"]}
        if not taken.isdisjoint(params):
            raise ShapeError(f"{self._name}: a parameter is in more than one group")
        group = {**self.defaults, **param_group, "params": params}
        self._check(group)
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters, or sets them to 0."""
        for group in self.param_groups:
            for p in group["params"]:
                clear_grad(p, set_to_none)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Changes every parameter that has a gradient.

        `closure`, if given, is called first: it computes the loss and its gradients. Returns what
        it returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        with no_grad():
            for group in self.param_groups:
                for p in group["params"]:
                    if p.grad is not None:
                        check_writable(self._name, p)
                        g = p.grad.array
                        g = g if g.flags.c_contiguous else g.copy()
                        self._update(p, g, self.state[p], group)
                        p.version.bump()
        return loss

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        raise NotImplementedError(f"{self._name} defines neither step nor _update")

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, with parameters as numbers in their order.

        The tensors share the optimizer's memory.
        """
        number: dict[Any, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                number.setdefault(p, len(number))
            groups.append({**group, "params": [number[p] for p in group["params"]]})
        state = {number.get(p, p): dict(values) for p, values in self.state.items()}
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a `state_dict`, of which it keeps a copy, cast to the parameters' dtypes.

        Raises ShapeError if the groups or their sizes, or the shapes in the state, do not fit; the
        optimizer then stays as it was.
        """
        saved = copy.deepcopy(state_dict["param_groups"])
        have = [len(group["params"]) for group in self.param_groups]
        need = [len(group["params"]) for group in saved]
        if have != need:
            raise ShapeError(f"{self._name}.load_state_dict: groups of {need} parameters are not those of {have}")
        owner: dict[Any, Any] = {}
        for group, old in zip(self.param_groups, saved, strict=True):
            owner.update(zip(old["params"], group["params"], strict=True))
            old.update({**self.defaults, **old, "params": group["params"]})
            self._check(old)
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, values in state_dict["state"].items():
            p = owner.get(key, key)
            state[p] = {name: self._adopted(p, name, value) for name, value in values.items()}
        self.state = state
        self.param_groups = saved

    def _adopted(self, p: Any, name: str, value: Any) -> Any:
        """A copy of one value of a state; a tensor like the parameter takes its dtype."""
        if not isinstance(value, Core):
            return copy.deepcopy(value)
        if name == "step" or not isinstance(p, Core):
            return wrap(value.array.copy())
        if shape_of(value) != shape_of(p):
            raise ShapeError(
                f"{self._name}.load_state_dict: {name} of shape {shape_of(value)} for a parameter "
                f"of shape {shape_of(p)}"
            )
        return wrap(value.array.astype(p.array.dtype))

    def __repr__(self) -> str:
        lines = []
        for i, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {i}\n")
            lines += [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
        return f"{self._name} (\n{''.join(lines)})"


def kernels_take(*arrays: Any) -> bool:
    """Whether the C++ kernels can work on these arrays: one dtype of theirs, and row-major."""
    d = arrays[0].dtype
    fits = d.kind == "f" and d.itemsize in (4, 8) and not uses_reference()
    return fits and all(a.dtype == d and a.flags.c_contiguous for a in arrays)


def refuse_differentiable(name: str, options: dict[str, Any]) -> None:
    """Raises where a step is asked for that can itself be differentiated."""
    if options["differentiable"]:
        raise ShapeError(f"{name}: differentiable=True is not available; steps leave the graph")
