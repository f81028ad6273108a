"""Optimizer: groups of parameters with options, and a state for each parameter."""

from __future__ import annotations

import copy
import functools
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from .. import _core, dtypes
from ..autograd import enable_grad, no_grad
from ..errors import GraphError, ShapeError
from ..graph.modes import uses_reference
from ..graph.nodes import RemovableHandle
from ..graph.tensors import Tensor as Core
from ..graph.tensors import wrap
from ..graph.views import with_gradients, written
from ..nn.parameter import clear_grad
from ..ops import comparison, functions
from ..ops.common import array_of, shape_of


def _with_hooks(step: Callable[..., Any]) -> Callable[..., Any]:
    """A `step` that calls the optimizer's hooks before and after; of steps within steps, only the outermost."""

    @functools.wraps(step)
    def hooked(self: Optimizer, *args: Any, **kwargs: Any) -> Any:
        if self._stepping:
            return step(self, *args, **kwargs)
        self._stepping = True
        try:
            for hook in list(self._hooks["step_pre"]):
                given = hook(self, args, kwargs)
                if given is not None:
                    if not isinstance(given, tuple) or len(given) != 2:
                        raise TypeError(f"{self._name}: a step pre-hook returns None or (args, kwargs), not {given!r}")
                    args, kwargs = given
            out = step(self, *args, **kwargs)
            self._steps += 1
            for hook in list(self._hooks["step_post"]):
                hook(self, args, kwargs)
        finally:
            self._stepping = False
        return out

    return hooked


_EVENTS = ("step_pre", "step_post", "save_pre", "save", "load_pre", "load")


class _Required:
    """Stands, in an optimizer's own constructor, for a setting that has no default: `lr=required`."""

    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class Optimizer:
    """The base of all optimizers.

    `params` are the parameters, or pairs of names and parameters (`model.named_parameters()`), or dicts with the key
    "params" and options of their own (groups). A subclass defines `_update(p, g, state, group)`, which changes the
    array of one parameter in place, or a `step` of its own.

    Attributes:
        param_groups: a dict for each group: "params", and every option, which may be changed.
        state: what the optimizer keeps for each parameter.
        defaults: the options where a group has none.
    """

    _stepping = False
    _steps = 0  # how often step was called, for the schedulers

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "step" in cls.__dict__:
            cls.step = _with_hooks(cls.step)  # type: ignore[method-assign]

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        if isinstance(params, Core):
            raise TypeError(f"{self._name}: expected several parameters, got one tensor; put it in a list")
        self.defaults = defaults
        self._hooks: dict[str, list[Any]] = {name: [] for name in _EVENTS}
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
            value = options[name]
            if isinstance(value, Core) and value.array.size != 1:
                raise ShapeError(f"{self._name}: {name} must have one element, not the shape {shape_of(value)}")
            if not float(value) >= 0:
                raise ShapeError(f"{self._name}: {name} must not be negative, but is {value}")

    def _below_one(self, options: dict[str, Any], *names: str) -> None:
        """Raises unless these options, numbers or pairs of numbers, lie in [0, 1)."""
        for name in names:
            several = isinstance(options[name], (tuple, list))
            for i, value in enumerate(options[name] if several else [options[name]]):
                if not 0 <= float(value) < 1:
                    which = f"{name}[{i}]" if several else name
                    raise ShapeError(f"{self._name}: {which} must lie in [0, 1), but is {value}")

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
        named = [isinstance(p, tuple) and len(p) == 2 for p in params]
        names = {}
        if any(named):
            if not all(named):
                raise ShapeError(f"{self._name}: either all parameters of a group have names or none")
            names = {"param_names": [name for name, _ in params]}
            params = [p for _, p in params]
        group = {**param_group, "params": params, **names}  # its own options come first, as they print
        group.update({key: value for key, value in self.defaults.items() if key not in group})
        for p in params:
            if not isinstance(p, Core):
                raise TypeError(f"{self._name}: a parameter must be a tensor, not {type(p).__name__}")
            if not (p.is_leaf or p.retains_grad or group.get("differentiable")):  # type: ignore[attr-defined]
                raise ShapeError(f"{self._name}: cannot optimize a tensor that was computed, only leaves")
        if any("param_names" in other for other in self.param_groups) != bool(names) and self.param_groups:
            raise ShapeError(f"{self._name}: either the parameters of all groups have names or of none")
        if len(set(params)) != len(params):
            warnings.warn(f"{self._name}: a parameter occurs twice in one group", stacklevel=3)
        taken = {p for other in self.param_groups for p in other["params"]}
        if not taken.isdisjoint(params):
            raise ShapeError(f"{self._name}: a parameter is in more than one group")
        self._check(group)
        self.param_groups.append(group)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Drops the gradients of all parameters, or sets them to 0."""
        for group in self.param_groups:
            for p in group["params"]:
                clear_grad(p, set_to_none)

    @_with_hooks
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Changes every parameter that has a gradient.

        `closure`, if given, is called first: it computes the loss and its gradients. Returns what
        it returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            with enable_grad() if group.get("differentiable") else no_grad():
                sparse: list[Any] = []
                ready = with_gradients(
                    self._name, group["params"], sparse if self._takes_sparse else None, self._instead
                )
                ready += self._update_sparse(sparse, group) if sparse else []
                self._update_all(ready, group)
        return loss

    _takes_sparse = False
    _instead = ""  # what an error says of a sparse gradient

    def _update_sparse(self, params: list[Any], group: dict[str, Any]) -> list[Any]:
        """Changes parameters whose gradients are sparse; those that it leaves, as `_update_all` takes them."""
        raise NotImplementedError

    def _update_all(self, ready: list[Any], group: dict[str, Any]) -> None:
        """Changes the parameters in `ready`, a list of (parameter, its array, its gradient's array)."""
        try:
            if group.get("differentiable") or uses_reference() or not self._update_together(ready, group):
                for p, _, g in ready:
                    self._update(p, g if g.flags.c_contiguous else g.copy(), self.state[p], group)
        finally:
            written([p for p, _, _ in ready])

    def _update_together(self, ready: list[Any], group: dict[str, Any]) -> bool:
        """The same in one kernel call; False, with nothing changed, where there is none for them."""
        return False

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        raise NotImplementedError(f"{self._name} defines neither step nor _update")

    def _hook(self, event: str, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        hooks = self._hooks[event]
        hooks.insert(0 if prepend else len(hooks), hook)
        return RemovableHandle(hooks, hook)

    def register_step_pre_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Has `hook(optimizer, args, kwargs)` called before every step; it may return other (args, kwargs)."""
        return self._hook("step_pre", hook)

    def register_step_post_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Has `hook(optimizer, args, kwargs)` called after every step.

        >>> optimizer = mt.optim.SGD([mt.zeros(1)])
        >>> handle = optimizer.register_step_post_hook(lambda optimizer, args, kwargs: print("stepped"))
        >>> optimizer.step()
        stepped
        """
        return self._hook("step_post", hook)

    def register_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Has `hook(optimizer)` called before `state_dict`."""
        return self._hook("save_pre", hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Has `hook(optimizer, state_dict)` called after `state_dict`; what it returns takes its place."""
        return self._hook("save", hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Has `hook(optimizer, state_dict)` called before `load_state_dict`; what it returns takes its place."""
        return self._hook("load_pre", hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any], prepend: bool = False) -> RemovableHandle:
        """Has `hook(optimizer)` called after `load_state_dict`."""
        return self._hook("load", hook, prepend)

    def state_dict(self) -> dict[str, Any]:
        """The state and the options, with parameters as numbers in their order.

        The tensors share the optimizer's memory.
        """
        for hook in list(self._hooks["save_pre"]):
            hook(self)
        number: dict[Any, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                number.setdefault(p, len(number))
            options = {key: value for key, value in group.items() if key != "params"}
            groups.append({**options, "params": [number[p] for p in group["params"]]})
        state = {number.get(p, p): dict(values) for p, values in self.state.items() if values}
        made: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self._hooks["save"]):
            made = hook(self, made) or made
        return made

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Goes on from a `state_dict`, of which it keeps a copy, cast to the parameters' dtypes.

        Raises ShapeError if the groups or their sizes, or the shapes in the state, do not fit; the
        optimizer then stays as it was.
        """
        for hook in list(self._hooks["load_pre"]):
            state_dict = hook(self, state_dict) or state_dict
        saved = copy.deepcopy(state_dict["param_groups"])
        have = [len(group["params"]) for group in self.param_groups]
        need = [len(group["params"]) for group in saved]
        if have != need:
            raise ShapeError(f"{self._name}.load_state_dict: groups of {need} parameters are not those of {have}")
        owner: dict[Any, Any] = {}
        for group, old in zip(self.param_groups, saved, strict=True):
            owner.update(zip(old["params"], group["params"], strict=True))
            names = {"param_names": group["param_names"]} if "param_names" in group else {}
            old.update({**self.defaults, **old, **names, "params": group["params"]})
            self._check(old)
        state: defaultdict[Any, dict[str, Any]] = defaultdict(dict)
        for key, values in state_dict["state"].items():
            p = owner.get(key, key)
            state[p] = {name: self._adopted(p, name, value) for name, value in values.items()}
        self.state = state
        self.param_groups = saved
        for hook in list(self._hooks["load"]):
            hook(self)

    def _adopted(self, p: Any, name: str, value: Any) -> Any:
        """A copy of one value of a state; a tensor like the parameter takes its dtype."""
        if isinstance(value, (list, tuple)):
            return [self._adopted(p, name, item) for item in value]
        if not isinstance(value, Core):
            return copy.deepcopy(value)
        if name in self._scalars or not isinstance(p, Core):
            return wrap(value.array.copy())
        if self._like_parameter(name) and shape_of(value) != shape_of(p):
            raise ShapeError(
                f"{self._name}.load_state_dict: {name} of shape {shape_of(value)} for a parameter "
                f"of shape {shape_of(p)}"
            )
        return wrap(value.array.astype(p.array.dtype))

    _scalars: tuple[str, ...] = ("step",)  # what of a state keeps its own dtype

    def _like_parameter(self, name: str) -> bool:
        """Whether a tensor of the state has the parameter's shape."""
        return True

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._hooks = {name: [] for name in _EVENTS}

    def __repr__(self) -> str:
        groups = []
        for i, group in enumerate(self.param_groups):
            lines = [f"    {key}: {group[key]}\n" for key in sorted(group) if key != "params"]
            groups.append(f"\nParameter Group {i}\n{''.join(lines)}")
        return f"{self._name} ({''.join(groups)})"


class ByFormula(Optimizer):
    """An optimizer that is one formula, for arrays and, where steps are to be differentiated, for tensors.

    A subclass defines `_begin(p, group)`, the state that a parameter starts with, and `_formula(p, g, s, t, group)`,
    which returns the new parameter after step number `t` and puts the new state into the dict `s`, without changing
    any array. `_number` reads an option. With `differentiable=True` all are tensors and the step is recorded: p may
    be computed, and gradients flow through the step into g, the old p, and options that are tensors. Where a kernel
    has the formula too, `_method`, `_arrays` and `_numbers` say how it is called, once for a whole group; a
    subclass with another formula has no kernel until it says so itself.
    """

    _method = ""  # the kernel's name for it (csrc/kernels/optim.cpp), if there is one
    _counts = True  # whether the state has the number of the step; otherwise t is 1 at the first and 2 then

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        if "_formula" in vars(cls) and "_method" not in vars(cls):
            cls._method = ""

    def _begin(self, p: Any, group: dict[str, Any]) -> dict[str, Any]:
        """The state of a parameter before its first step, as tensors."""
        return {}

    def _formula(self, p: Any, g: Any, s: dict[str, Any], t: int, group: dict[str, Any]) -> Any:
        raise NotImplementedError

    def _arrays(self, group: dict[str, Any]) -> tuple[str | None, ...]:
        """The names of the state's arrays in the kernel's order; None for one that is not kept."""
        raise NotImplementedError

    def _numbers(self, s: dict[str, Any], t: int, group: dict[str, Any]) -> list[float]:
        """What the kernel gets of the options for step number `t`; it may put new numbers into `s`, as `_formula`."""
        raise NotImplementedError

    def _update_together(self, ready: list[Any], group: dict[str, Any]) -> bool:
        if not self._method:
            return False
        states = [self.state[p] for p, _, _ in ready]
        for (p, _, _), state in zip(ready, states, strict=True):
            if all(x is None for x in state.values()):
                state.update({"step": scalar(0.0), **self._begin(p, group)})
        names = self._arrays(group)
        if any(state.get(name) is None for state in states for name in names if name is not None):
            return False
        scalars = [name for name in self._scalars if name != "step"]
        numbers, known, new = [], {}, []
        for state in states:
            t = int(state["step"].array) + 1
            s = {name: state[name].array for name in scalars}
            if scalars or t not in known:
                known[t] = self._numbers(s, t, group)
            numbers.append(known[t])
            new.append(s)
        done = _core.method_steps(
            self._method,
            [x for _, x, _ in ready],
            [g for _, _, g in ready],
            [None if name is None else [state[name].array for state in states] for name in names],
            numbers,
            bool(group["maximize"]),
        )
        if done:
            for state, s in zip(states, new, strict=True):
                state["step"].array[...] += 1
                for name in scalars:
                    state[name].array[...] = s[name]
        return done

    def _update_sparse(self, params: list[Any], group: dict[str, Any]) -> list[Any]:
        if group.get("weight_decay"):
            raise GraphError("weight_decay option is not compatible with sparse gradients")
        try:
            for p in params:
                g = p.grad.coalesce()
                places = tuple(array_of(g.indices()))
                self._at(places, p, g.values().detach().array, self.state[p], group)
        finally:
            written(params)
        return []

    def _update(self, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        self._at(..., p, g, state, group)

    def _at(self, places: Any, p: Any, g: Any, state: dict[str, Any], group: dict[str, Any]) -> None:
        """One step by the formula, for the elements at these places."""
        first = all(x is None for x in state.values())
        if first:
            state.update({"step": scalar(0.0)} if self._counts else {})
            state.update(self._begin(p, group))
        if self._counts:
            state["step"].array[...] += 1
        t = int(state["step"].item()) if self._counts else 2 - first
        recorded = bool(group.get("differentiable"))
        s = {name: x if recorded else wide(x.array[places]) for name, x in state.items() if name != "step"}
        g = p.grad if recorded else wide(g)
        g = -g if group["maximize"] else g
        new = self._formula(p.clone() if recorded else wide(p.array[places]), g, s, t, group)
        if recorded:
            p.copy_(new)
            state.update(s)
            return
        p.array[places] = new
        for name, x in s.items():
            state[name].array[places] = x


def option(group: dict[str, Any], name: str) -> Any:
    """An option as a number; the tensor itself where it is to be differentiated by."""
    value = group[name]
    return value if isinstance(value, Core) and group["differentiable"] else float(value)


def wide(array: Any) -> Any:
    """An array of half precision in float32, in which its step is computed and then rounded once; another as it is."""
    return array.astype(np.float32) if array.dtype.kind == "f" and array.dtype.itemsize == 2 else array


def scalar(value: float) -> Any:
    """A number of a state: a tensor without axes, in the default dtype."""
    return wrap(np.asarray(value, dtypes.get_default_dtype().numpy))


def zeros_of(p: Any) -> Any:
    """Zeros like a parameter."""
    return wrap(np.zeros_like(p.array))


def _either(numpy: Callable[..., Any], operator: Callable[..., Any]) -> Callable[..., Any]:
    """The function for arrays or for tensors."""

    def chosen(*args: Any) -> Any:
        return operator(*args) if any(isinstance(a, Core) for a in args) else numpy(*args)

    return chosen


sqrt = _either(np.sqrt, functions.sqrt)
absolute = _either(np.abs, functions.abs)
sign = _either(np.sign, functions.sign)
maximum = _either(np.maximum, comparison.maximum)
where = _either(np.where, comparison.where)
clamp = _either(np.clip, comparison.clamp)


def kernels_take(*arrays: Any) -> bool:
    """Whether the C++ kernels can work on these arrays: one dtype of theirs, and row-major."""
    d = arrays[0].dtype
    fits = d.kind == "f" and d.itemsize in (4, 8) and not uses_reference()
    return fits and all(a.dtype == d and a.flags.c_contiguous for a in arrays)
