"""Memory for time: values that the backward needs are dropped, and computed again when it comes to them.

The graph is recorded as always, but what a checkpointed part saves is replaced by a note of its place in a list; the
first value that the walk back asks for runs the part again, which fills the list. So everything that works on a graph
(hooks, autograd.grad, second derivatives, retain_graph) works here. PyTorch: torch.utils.checkpoint.

K steps of one size, s states stored beside the values of one step:

    all values stored                       K values                 K evaluations
    checkpoint_sequential, segments=n       n + K/n values           less than 2K: best at n = sqrt(K)
    revolve, snapshots=s                    s states                 K + revolve_steps(K, s), the fewest there can be
    revolve, snapshots=1                    the input alone          K + K (K - 1) / 2
    invertible_sequential                   the last state alone     2K, and K inverses
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from typing import Any

from .. import batching, creation, random
from ..autograd.function import Function
from ..autograd.graph import saved_tensors_hooks
from ..autograd.modes import enable_grad, no_grad
from ..errors import GraphError, ShapeError
from ..graph import modes
from ..graph.tensors import as_leaf
from ..tensor import Tensor

__all__ = [
    "CheckpointError",
    "checkpoint",
    "checkpoint_sequential",
    "get_device_states",
    "revolve",
    "revolve_steps",
    "set_checkpoint_debug_enabled",
    "set_checkpoint_early_stop",
    "set_device_states",
]


class CheckpointError(RuntimeError):
    """A part that did not do the same when it ran again."""


class _Enough(BaseException):
    """Ends a recomputation once it has made the last value that is needed."""


_early_stop: list[bool] = [True]
_debug: list[bool] = [False]


@contextmanager
def _switched(switch: list[bool], on: bool) -> Iterator[None]:
    before, switch[0] = switch[0], on
    try:
        yield
    finally:
        switch[0] = before


def set_checkpoint_early_stop(enable: bool) -> AbstractContextManager[None]:
    """While it is open, checkpoints made stop recomputing (or not) once they have every value: True at first."""
    return _switched(_early_stop, enable)


def set_checkpoint_debug_enabled(enabled: bool | None) -> AbstractContextManager[None]:
    """While it is open, errors of checkpoints list the values of both runs."""
    return _switched(_debug, bool(enabled))


class _Kept(Function):
    """Saves tensors as a graph does: watched for writes, and through the hooks of a checkpoint around this one."""

    @staticmethod
    def forward(ctx: Any, token: Any, *tensors: Any) -> Any:
        ctx.save_for_backward(*tensors)
        return token.clone()


_Kept.__name__ = "checkpoint"


def _keep(tensors: Sequence[Any]) -> Callable[[], tuple[Any, ...]]:
    """A function that gives the tensors again, at their places in the graph."""
    with enable_grad():
        node = _Kept.apply(creation.zeros(0, requires_grad=True), *tensors).grad_fn
    return lambda: tuple(node.saved_tensors)


class Replayed:
    """A part of the program whose saved values are dropped, and made by `again()` when the walk back needs them."""

    def __init__(
        self,
        again: Callable[[], Any],
        *,
        rng_state: Any = None,
        early_stop: bool = True,
        check: bool = True,
        context: Callable[[], Any] = nullcontext,
    ) -> None:
        self.again, self.rng_state, self.early_stop, self.check, self.context = (
            again,
            rng_state,
            early_stop,
            check,
            context,
        )
        self.kinds: list[tuple[Any, Any]] = []  # shape and dtype of each value saved
        self.values: dict[int, Any] = {}
        self.walk = 0
        self.debug = _debug[0]

    def dropping(self) -> saved_tensors_hooks:
        """While it is open, what is saved is only counted."""
        return saved_tensors_hooks(self._count, self._value)

    def _count(self, x: Tensor) -> int:
        self.kinds.append((x.array.shape, x.array.dtype))
        return len(self.kinds) - 1

    def _value(self, place: int) -> Any:
        """The value at a place, for one walk: another walk computes it anew."""
        if self.walk != modes.current_walk() or place not in self.values:
            self._recompute()
        x, version = self.values.pop(place)
        if x.version.value != version:
            raise GraphError(
                f"checkpoint: a value that the gradient needs, of shape {tuple(x.shape)}, is overwritten by the "
                "function itself after it was saved"
            )
        return x

    def _recompute(self) -> None:
        self.values.clear()
        self.walk = modes.current_walk()
        found: list[Any] = []

        def collect(x: Tensor) -> Any:
            found.append((x, x.version.value))
            if self.early_stop and len(found) == len(self.kinds):
                raise _Enough
            return x

        with ExitStack() as stack:
            stack.enter_context(batching.outside())
            stack.enter_context(enable_grad())
            stack.enter_context(same_random_numbers(self.rng_state))
            stack.enter_context(self.context())
            stack.enter_context(saved_tensors_hooks(collect, lambda x: x))
            try:
                self.again()
            except _Enough:
                pass
        kinds = [(x.array.shape, x.array.dtype) for x, _ in found]
        if len(kinds) != len(self.kinds):
            self._differs(f"saved {len(self.kinds)} values at first and {len(kinds)} when it ran again", kinds)
        if self.check and kinds != self.kinds:
            place = next(i for i, pair in enumerate(zip(kinds, self.kinds, strict=True)) if pair[0] != pair[1])
            (old, of), (new, to) = self.kinds[place], kinds[place]
            self._differs(
                f"saved {of} of shape {old} as value {place} at first, and {to} of shape {new} when it ran again", kinds
            )
        self.values = dict(enumerate(found))

    def _differs(self, how: str, kinds: Any) -> None:
        lists = f"; at first {self.kinds}, then {kinds}" if self.debug else ""
        raise CheckpointError(f"checkpoint: the function must do the same when it runs again, but it {how}{lists}")


@contextmanager
def same_random_numbers(state: Any) -> Iterator[None]:
    """The default generator in a former state (None: as it is), and afterwards as it was."""
    if state is None:
        yield
        return
    now = random.get_rng_state()
    random.set_rng_state(state)
    try:
        yield
    finally:
        random.set_rng_state(now)


def get_device_states(*args: Any) -> tuple[list[int], list[Any]]:
    """The other devices that hold these tensors, and the states of their random numbers: there are none."""
    return [], []


def set_device_states(devices: Sequence[int], states: Sequence[Any], *, device_type: str | None = None) -> None:
    """Brings back what `get_device_states` gave: nothing."""


def layered(values: Any) -> bool:
    """Whether some of the values lie under vmap or forward mode, whose layers end before a walk back might begin."""
    return any(isinstance(x, Tensor) and x.layer is not None for x in values)


def checkpoint(
    function: Callable[..., Any],
    *args: Any,
    use_reentrant: bool | None = None,
    context_fn: Callable[[], tuple[Any, Any]] | None = None,
    determinism_check: str = "default",
    debug: bool = False,
    preserve_rng_state: bool = True,
    early_stop: bool = True,
    **kwargs: Any,
) -> Any:
    """`function(*args, **kwargs)`, whose intermediate values are computed again in the backward instead of stored.

    The random numbers are those of the first run (`preserve_rng_state`). The second run ends with the last value that
    is needed (`early_stop`; not with `use_reentrant=True`, which is otherwise the same here, but that no argument
    requiring gradients means no gradients). `context_fn` gives two contexts, for the two runs. Under vmap and forward
    mode nothing is dropped. Raises CheckpointError if the second run saves other values (with
    `determinism_check="none"`: another number), GraphError if an argument has been overwritten.

    >>> x = mt.ones(3, requires_grad=True)
    >>> y = mt.utils.checkpoint.checkpoint(lambda x: x.exp().sin(), x)
    >>> y.sum().backward()
    """
    if determinism_check not in ("default", "none"):
        raise ValueError(f"checkpoint: determinism_check must be 'default' or 'none', not {determinism_check!r}")
    if use_reentrant:
        if kwargs:
            raise ValueError(f"checkpoint: use_reentrant=True takes no keyword arguments: {', '.join(kwargs)}")
        if context_fn is not None or debug:
            raise ValueError("checkpoint: context_fn and debug are for use_reentrant=False")
        if modes.grad_enabled() and not any(isinstance(a, Tensor) and a.requires_grad for a in args):
            warnings.warn(
                "checkpoint: no input requires gradients, so with use_reentrant=True none arise", stacklevel=2
            )
            with no_grad():
                return function(*args)
    values = [*args, *kwargs.values()]
    if not modes.grad_enabled() or layered(values):
        with nullcontext() if context_fn is None else context_fn()[0]:
            return function(*args, **kwargs)
    first, second = (nullcontext(), nullcontext()) if context_fn is None else context_fn()
    places = [i for i, a in enumerate(values) if isinstance(a, Tensor)]
    kept = _keep([values[i] for i in places])
    constants = [None if isinstance(a, Tensor) else a for a in values]

    def again() -> None:
        given = list(constants)
        for i, x in zip(places, kept(), strict=True):
            given[i] = x
        function(*given[: len(args)], **dict(zip(kwargs, given[len(args) :], strict=True)))

    part = Replayed(
        again,
        rng_state=random.get_rng_state() if preserve_rng_state else None,
        early_stop=early_stop and _early_stop[0] and not use_reentrant,
        check=determinism_check == "default",
        context=lambda: second,
    )
    part.debug = part.debug or debug
    with first, part.dropping():
        return function(*args, **kwargs)


def _listed(functions: Any) -> list[Callable[..., Any]]:
    """The functions of a list, or the children of a Sequential."""
    return list(functions.children()) if hasattr(functions, "children") else list(functions)


def checkpoint_sequential(
    functions: Any,
    segments: int,
    input: Any,
    use_reentrant: bool | None = None,
    preserve_rng_state: bool = True,
    **kwargs: Any,
) -> Any:
    """The composition of functions (a list, or a Sequential), checkpointed in `segments` parts, but for the last.

    The inputs of the parts are stored, and the values of one part at a time. `segments` goes from 1, which stores
    everything, to the number of functions. Raises ShapeError for another.

    >>> layers = [mt.nn.Linear(4, 4) for _ in range(6)]
    >>> mt.utils.checkpoint.checkpoint_sequential(layers, 3, mt.ones(4, requires_grad=True)).shape
    minitensor.Size([4])
    """
    if kwargs:
        raise ValueError(f"checkpoint_sequential: unknown arguments {', '.join(kwargs)}")
    steps = _listed(functions)
    if not isinstance(segments, int) or not 1 <= segments <= len(steps):
        raise ShapeError(f"checkpoint_sequential: segments must be from 1 to {len(steps)}, not {segments}")

    def part(start: int, end: int) -> Callable[[Any], Any]:
        def run(x: Any) -> Any:
            for f in steps[start:end]:
                x = f(x)
            return x

        return run

    size = len(steps) // segments
    for start in range(0, size * (segments - 1), size):
        run = part(start, start + size)
        input = checkpoint(run, input, use_reentrant=use_reentrant, preserve_rng_state=preserve_rng_state)
    return part(size * (segments - 1), len(steps))(input)


# --- the best schedule ------------------------------------------------------------------------------------------------


def revolve_steps(steps: int, snapshots: int) -> int:
    """The fewest steps forward that reverse a chain with so many stored states, the first of them its input.

    A. Griewank, A. Walther, "Algorithm 799: revolve", 2000: r n - C(s + r, r - 1), where r is the least number with
    n <= C(s + r, s). The evaluations whose values the backward uses, one for each step, come on top.

    >>> [mt.utils.checkpoint.revolve_steps(10, s) for s in (1, 2, 3, 9)]
    [45, 20, 15, 9]
    """
    if steps < 1 or snapshots < 1:
        raise ShapeError(f"revolve_steps: at least 1 step and 1 snapshot are needed, not {steps} and {snapshots}")
    r = 0
    while math.comb(snapshots + r, snapshots) < steps:
        r += 1
    return r * steps - (math.comb(snapshots + r, r - 1) if r else 0)


def _split(steps: int, snapshots: int) -> int:
    """After how many steps the next state is best stored: the least sum of what lies before it and behind it."""
    return min(
        range(1, steps),
        key=lambda m: m + revolve_steps(steps - m, snapshots - 1) + revolve_steps(m, snapshots),
    )


class Chain:
    """Steps f_1 ... f_K, each recorded with its values dropped; `state(k)` gives what f_{k+1} is run again on."""

    def __init__(self, functions: Sequence[Callable[..., Any]], preserve_rng_state: bool) -> None:
        self.functions, self.preserve = functions, preserve_rng_state
        self.rng_states: list[Any] = []
        self.wants: list[bool] = []  # whether the input of each step requires gradients

    def state(self, k: int) -> Any:
        """The state after k steps, outside the graph."""
        raise NotImplementedError

    def record(self, k: int, x: Any, keep: bool = False) -> Any:
        """Step k + 1 on x, recorded; its values are dropped unless `keep`."""
        state = random.get_rng_state() if self.preserve else None
        if self.rng_states and state is not None and bool((state == self.rng_states[-1]).all()):
            state = self.rng_states[-1]
        self.rng_states.append(state)
        self.wants.append(x.requires_grad)
        if keep:
            return self.functions[k](x)

        def again() -> None:
            x = self.state(k)
            self.functions[k](as_leaf(x) if self.wants[k] else x)

        part = Replayed(again, rng_state=state, early_stop=_early_stop[0])
        with part.dropping():
            return self.functions[k](x)

    def advance(self, k: int, x: Any) -> Any:
        """Step k + 1 on x, with the random numbers of the first time, outside the graph."""
        with no_grad(), same_random_numbers(self.rng_states[k]):
            return self.functions[k](x)


class _Revolve(Chain):
    """A chain of which some states are stored, at the places of the binomial schedule."""

    def __init__(self, functions: Sequence[Callable[..., Any]], snapshots: int, preserve_rng_state: bool) -> None:
        super().__init__(functions, preserve_rng_state)
        self.snapshots = snapshots
        self.stored: dict[int, Any] = {}  # beside the input: {k: the state after k steps}

    def run(self, x: Any) -> Any:
        kept = _keep([x])
        self.first: Callable[[], Any] = lambda: kept()[0].detach()
        last = len(self.functions)
        place, free = 0, self.snapshots
        following = self._next(place, last, free)
        for k in range(last):
            if k == following:
                self.stored[k] = x.detach()
                place, free = k, free - 1
                following = self._next(place, last, free)
            x = self.record(k, x, keep=k == last - 1)
        return x

    @staticmethod
    def _next(place: int, end: int, free: int) -> int | None:
        """The next place to store a state at, on the way to `end`."""
        return place + _split(end - place, free) if free > 1 and end - place > 1 else None

    def state(self, k: int) -> Any:
        """The state after k steps, from the nearest that is stored; those behind it are of no more use."""
        for place in [place for place in self.stored if place > k]:
            del self.stored[place]
        place = max(self.stored, default=0)
        x = self.stored[place] if place else self.first()
        free = self.snapshots - len(self.stored)
        following = self._next(place, k + 1, free)
        while place < k:
            x = self.advance(place, x)
            place += 1
            if place == following:
                self.stored[place] = x
                free -= 1
                following = self._next(place, k + 1, free)
        return x


def revolve(functions: Any, snapshots: int, input: Any, *, preserve_rng_state: bool = True) -> Any:
    """The composition of functions (a list or Sequential) with at most `snapshots` states stored, `input` included.

    They lie where the whole takes the fewest evaluations that so many allow: K, whose values the backward uses, and
    `revolve_steps(K, snapshots)` more. With 1 nothing but the input is stored, and it takes K (K - 1) / 2 more.
    A function must neither write its input nor return it. Under vmap and forward mode everything is stored.

    >>> x = mt.tensor([0.5], requires_grad=True)
    >>> y = mt.utils.checkpoint.revolve([mt.sin] * 10, 3, x)
    >>> y.backward()
    """
    steps = _listed(functions)
    if not isinstance(snapshots, int) or snapshots < 1:
        raise ShapeError(f"revolve: snapshots must be at least 1, not {snapshots}")
    if not modes.grad_enabled() or layered([input]) or not steps:
        for f in steps:
            input = f(input)
        return input
    return _Revolve(steps, snapshots, preserve_rng_state).run(input)
