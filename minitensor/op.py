"""An operator, and the table of all of them. Imports nothing of ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Result = tuple[Any, tuple[Any, ...]]  # (output or tuple of outputs, saved values)
SHAPE = 100  # in Op.saves: the shape of argument i is SHAPE + i
SHAPES = 99  # in Op.saves: the shapes of all arguments


@dataclass(frozen=True)
class Sample:
    """One call of an operator, for the tests: its arrays in float64 (or integers) and its parameters.

    `derive`, where some arguments are functions of the others (a saved mean, a maximum's index), gives all arguments
    from changed ones, so that finite differences move them together. A `large` sample, enough for several threads, is
    for the kernels alone.
    """

    args: tuple[Any, ...]
    params: dict[str, Any] = field(default_factory=dict)
    derive: Callable[..., tuple[Any, ...]] | None = None
    large: bool = False

    def __post_init__(self) -> None:
        """Makes arrays of the numbers that NumPy draws for shape ()."""
        arrays = tuple([np.asarray(a) if isinstance(a, (float, np.generic)) else a for a in self.args])
        object.__setattr__(self, "args", arrays)


@dataclass(frozen=True, eq=False, slots=True)
class Op:
    """An operator: its reference, its kernel and its derivatives, side by side.

    Arrays are positional, parameters keyword-only. `reference` (NumPy) and `forward` (the C++ kernel; None if there is
    none) both return `(output, saved)`: what is saved for the backward is thus visible. A saved value is one of the
    inputs, one of the outputs (the very object), or a value of its own that counts as constant.

    `rules[i](g, *saved, **params)` is the gradient of argument i given the gradient g of the output (a tuple of
    gradients if there are several outputs), written with operators: called on arrays it runs kernels, called on
    tensors it records itself, and so serves every order. None marks an argument that has no derivative. A saved value
    that a rule does not use is named `_` or `_x` in the rule, and is not kept on that rule's account.

    `joint(wanted, g, *saved, **params)`, where one computation gives the gradients of several arguments, returns those
    of all (None where not `wanted`, a bool each); the rules are then its parts, `rules=parts(joint, 3)`, or
    of a variadic operator `(part_of(joint),)`.

    `jvp` is forward mode: "linear" (jointly in all differentiable arguments: the operator applied to the tangents),
    "multilinear" (the sum over the arguments of the operator with that one replaced by its tangent), "elementwise"
    (each rule, a product by a diagonal, is its own transpose) or a function `jvp(tangents, *saved, **params)` where
    a tangent may be None. None: the vjp is differentiated in its cotangent, which always works.

    `kernel` is the short way that `apply_flat` takes for small tensors: `kernel(*arrays, *parameters)`, by
    position, the parameters in the order of `names`, gives the bare output (a tuple of several), or None where it does
    not take them. The saved values are then those of `saves`: argument i for i, output j for -1 - j, the shape of
    argument i for SHAPE + i, all shapes for SHAPES. With a kernel, `forward` need not be given. A variadic operator's
    kernel takes the arrays as one list. With `keeps` the tuple that it gives is one output, and values to be saved.

    float16 and bfloat16 are storage: but for an operator that only `moves` elements, reference, kernel and rules get
    float32 in their place, and what they give in float32 is rounded to them once.

    Complex numbers: a gradient is PyTorch's, dL/d(Re z) + i dL/d(Im z), and the vjp of a holomorphic operator
    g conj(f'(z)). A rule says g f'(z), as for real numbers: where g is complex the walk back calls it with conj(g) and
    conjugates what it gives; but for linear operators with real coefficients, for which both are one.
    """

    name: str
    reference: Callable[..., Result]
    forward: Callable[..., Result] | None
    rules: tuple[Callable[..., Any] | None, ...]
    jvp: str | Callable[..., Any] | None
    samples: Callable[[np.random.Generator], Iterator[Sample]]
    broadcasts: bool = False  # gradients are summed back to each argument's shape
    variadic: bool = False  # any number of arrays; the one rule also gets `position`
    custom: bool = False  # a user's Function: it runs on tensors, and a gradient that its rule gets may be None
    view: bool = False  # the output may share the first argument's memory
    moves: bool = False  # elements are moved or cast: those of half precision stay as they are
    anything: bool = False  # such an operator, whose `forward` takes elements of any dtype
    complex: bool = False  # takes complex numbers, and is holomorphic; linear and multilinear operators take them, too
    flat: bool = (
        False  # a gradient that does not depend on the arguments counts as depending on them, with derivative 0
    )
    exact: bool = False  # sums and products only: exact on small powers of two
    length: Callable[..., int] = lambda *args, **params: 1  # of the reduction, for the tolerance
    batch: Callable[..., Any] | None = None
    joint: Callable[..., Any] | None = None
    kernel: Callable[..., Any] | None = None
    saves: tuple[int, ...] = ()
    names: tuple[str, ...] = ()
    keeps: bool = False
    turns: bool = field(init=False)  # the walk back conjugates complex gradients before its rules and after them
    uses: tuple[int, ...] = field(init=False)  # of each rule, the saved values that it needs, a bit each
    row: Any = field(init=False, default=None)  # the graph's own copy of what it reads at every call

    def __post_init__(self) -> None:
        """Reads off the rules which saved values each of them uses, and enters the library's own into the table."""
        object.__setattr__(self, "uses", tuple(map(_used, self.rules)))
        object.__setattr__(self, "moves", self.moves or self.view or self.custom or self.anything)
        object.__setattr__(self, "turns", not self.moves and (self.complex or self.jvp == "multilinear"))
        object.__setattr__(self, "complex", self.complex or self.jvp in ("linear", "multilinear"))
        if self.custom:
            return
        if self.forward is None and self.kernel is not None:
            object.__setattr__(self, "forward", _forward(self))
        if self.name in OPS:
            raise ValueError(f"operator {self.name} is defined twice")
        OPS[self.name] = self

    def __repr__(self) -> str:
        return f"<operator {self.name}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return _find, (self.name,)


OPS: dict[str, Op] = {}


def holomorphic(*names: str) -> None:
    """Has operators whose derivatives are those for real numbers (exp' = exp) take complex numbers, too."""
    take_complex(*names)
    for name in names:
        object.__setattr__(OPS[name], "turns", True)


def take_complex(*names: str) -> None:
    """Has operators take complex numbers that have no derivative, or one with real coefficients (x + y, -x)."""
    for name in names:
        object.__setattr__(OPS[name], "complex", True)


def parts(joint: Callable[..., Any], n: int) -> tuple[Callable[..., Any], ...]:
    """The rules of n arguments whose gradients come out of one computation."""

    def part(i: int) -> Callable[..., Any]:
        wanted = tuple([k == i for k in range(n)])
        return lambda g, *saved, **params: joint(wanted, g, *saved, **params)[i]

    return tuple(map(part, range(n)))


def part_of(joint: Callable[..., Any]) -> Callable[..., Any]:
    """The one rule of a variadic operator whose gradients come out of one computation."""
    return lambda g, *saved, position, **params: joint(None, g, *saved, **params)[position]


def _find(name: str) -> Op:
    return OPS[name]


def _forward(op: Op) -> Callable[..., Result]:
    """The kernel with its output's saved values beside it, as `Op.forward` has them."""

    def forward(*arrays: Array, **params: Any) -> Result:
        given, kernel = [params[name] for name in op.names], op.kernel
        assert kernel is not None
        out = kernel(list(arrays), *given) if op.variadic else kernel(*arrays, *given)
        if out is None:
            raise TypeError(f"{kernel.__name__}: the kernel does not take {[np.shape(a) for a in arrays]}")
        return out[0] if op.keeps else out, saved_of(op.saves, arrays, out)

    return forward


def saved_of(saves: tuple[int, ...], arrays: Sequence[Array], out: Any) -> tuple[Any, ...]:
    """The values that `Op.saves` names, of a call of its kernel."""
    return tuple([_role(i, arrays, out) for i in saves])


def _role(i: int, arrays: Sequence[Array], out: Any) -> Any:
    """What an entry of `Op.saves` stands for."""
    if i == SHAPES:
        return tuple([a.shape for a in arrays])
    if i < 0:
        return out[-1 - i] if isinstance(out, tuple) else out
    return arrays[i - SHAPE].shape if i >= SHAPE else arrays[i]


def _used(rule: Callable[..., Any] | None) -> int:
    if rule is None:
        return 0
    code = rule.__code__
    if code.co_flags & 0x04:  # takes *args: uses everything
        return (1 << 62) - 1
    names = code.co_varnames[1 : code.co_argcount]
    return sum(1 << i for i, name in enumerate(names) if not name.startswith("_"))
