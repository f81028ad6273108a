"""Derivatives of a function at a point, by name. PyTorch: torch.autograd.functional; `mt.func` has the same as
functions of functions.

`inputs` is a tensor or a tuple of them, and so is what `func(*inputs)` returns; results have the same form. With
`create_graph` they can be differentiated, else they are outside the graph. With `strict` an output that does not
depend on an input raises GraphError, where otherwise its derivative is zero.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .. import creation
from ..errors import GraphError, ShapeError
from ..graph import backward, forward, tensors
from ..ops import join
from ..ops import shape as shapes
from ..tensor import Tensor
from .modes import enable_grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _tuple(name: str, what: str, x: Any) -> tuple[Any, ...]:
    parts = tuple(x) if isinstance(x, (tuple, list)) else (x,)
    for i, part in enumerate(parts):
        if not isinstance(part, Tensor):
            raise TypeError(f"{name}: {what} must be tensors; element {i} is a {type(part).__name__}")
    return parts


def _like(form: Any, values: Sequence[Any]) -> Any:
    """The values as a tuple if `form` is one, else the only one."""
    return tuple(values) if isinstance(form, (tuple, list)) else values[0]


def _released(values: Sequence[Any], create_graph: bool) -> list[Any]:
    return [v if create_graph else tensors.outside(v) for v in values]


class _Run:
    """A function's outputs, recorded from stand-ins of the inputs."""

    def __init__(self, name: str, func: Callable[..., Any], inputs: Any, create_graph: bool, strict: bool) -> None:
        self.name, self.inputs, self.create_graph, self.strict = name, inputs, create_graph, strict
        given = _tuple(name, "the inputs", inputs)
        with enable_grad():
            # What a derivative is to be differentiated by stays connected; the rest begins here.
            self.xs = [shapes.clone(x) if create_graph and x.requires_grad else tensors.as_leaf(x) for x in given]
            self.out = func(*self.xs)
        self.ys = _tuple(name, "the outputs of the function", self.out)
        if strict:
            for i, y in enumerate(self.ys):
                if not y.requires_grad:
                    raise GraphError(f"{name}: output {i} of the function is independent of the inputs (strict mode)")

    def scalar(self) -> Any:
        if len(self.ys) != 1 or isinstance(self.out, (tuple, list)) or self.ys[0].array.size != 1:
            raise ShapeError(f"{self.name}: the function must return a single tensor with a single element")
        return self.ys[0]

    def vector(self, v: Any, like: Sequence[Any], what: str) -> list[Any]:
        """The vector that is multiplied, one part for each tensor of `like`."""
        if v is None:
            if len(like) != 1 or like[0].array.size != 1:
                raise ShapeError(f"{self.name}: v may only be left away where {what} is a single element")
            return [creation.ones_like(like[0]).detach()]
        parts = _tuple(self.name, "v", v)
        if len(parts) != len(like):
            raise ShapeError(f"{self.name}: v has {len(parts)} parts for {len(like)} tensors")
        for part, x in zip(parts, like, strict=True):
            if part.array.shape != x.array.shape:
                raise ShapeError(f"{self.name}: v has shape {tuple(part.shape)} for a tensor of {tuple(x.shape)}")
        return list(parts)

    def gradients(self, ys: Sequence[Any], seeds: Sequence[Any], record: bool, what: str = "output") -> list[Any]:
        """The gradients of the inputs; zeros where there is none."""
        pairs = [(y, s) for y, s in zip(ys, seeds, strict=True) if y.requires_grad]
        found: list[Any] = [None] * len(self.xs)
        if pairs:
            found = backward.differentiate([y for y, _ in pairs], [s for _, s in pairs], self.xs, True, record, True)
        if self.strict:
            for i, g in enumerate(found):
                if g is None:
                    raise GraphError(f"{self.name}: the {what} is independent of input {i} (strict mode)")
                if self.create_graph and not g.requires_grad:
                    raise GraphError(f"{self.name}: the derivative by input {i} is independent of the inputs (strict)")
        return [creation.zeros_like(x).detach() if g is None else g for g, x in zip(found, self.xs, strict=True)]

    def values(self) -> Any:
        return _like(self.out, _released(self.ys, self.create_graph))

    def result(self, found: Sequence[Any]) -> Any:
        return _like(self.inputs, _released(found, self.create_graph))


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`(outputs, v^T J)`: the function's value and a vector, of the outputs' shapes, times its Jacobian.

    >>> mt.autograd.functional.vjp(lambda x: x * x, mt.tensor([1.0, 2.0]), mt.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    run = _Run("vjp", func, inputs, create_graph, strict)
    found = run.gradients(run.ys, run.vector(v, run.ys, "the output"), create_graph)
    return run.values(), run.result(found)


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`(outputs, J v)`: the function's value and its Jacobian times a vector of the inputs' shapes, by forward mode.

    >>> mt.autograd.functional.jvp(lambda x: x * x, mt.tensor([1.0, 2.0]), mt.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    level = forward.Level()
    try:
        # The tangents come on top of the stand-ins, and the graph is recorded beneath.
        def pushed(*xs: Any) -> Any:
            tangents[:] = _Run.vector(_Named("jvp"), v, xs, "the input")
            return func(*[forward.make_dual(level, x, t.to(x.dtype)) for x, t in zip(xs, tangents, strict=True)])

        tangents: list[Any] = []
        run = _Run("jvp", pushed, inputs, create_graph, strict)
        pairs = [forward.unpack_dual(level, y) for y in run.ys]
    finally:
        level.close()
    if strict:
        run.gradients([y for y, _ in pairs], [creation.zeros_like(y).detach() for y, _ in pairs], create_graph)
    moved = [creation.zeros_like(y).detach() if t is None else t for y, t in pairs]
    return (
        _like(run.out, _released([y for y, _ in pairs], create_graph)),
        _like(run.out, _released(moved, create_graph)),
    )


class _Named(_Run):
    """What `vector` needs where nothing has run yet."""

    def __init__(self, name: str) -> None:
        self.name = name


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`(output, v^T H)` of a function with one element: reverse mode over reverse mode.

    >>> mt.autograd.functional.vhp(lambda x: (x**3).sum(), mt.tensor([1.0, 2.0]), mt.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """
    run = _Run("vhp", func, inputs, create_graph, strict)
    with enable_grad():
        first = run.gradients([run.scalar()], [creation.ones_like(run.ys[0]).detach()], True)
    seeds = run.vector(v, run.xs, "the input")
    return run.values(), run.result(run.gradients(first, seeds, create_graph, "gradient"))


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`(output, H v)` of a function with one element: forward mode over reverse mode.

    >>> mt.autograd.functional.hvp(lambda x: (x**3).sum(), mt.tensor([1.0, 2.0]), mt.tensor([1.0, 10.0]))
    (tensor(9.), tensor([  6., 120.]))
    """

    def gradient(*xs: Any) -> tuple[Any, ...]:
        run = _Run("hvp", func, xs, True, strict)
        y = run.scalar()
        return (*run.gradients([y], [creation.ones_like(y).detach()], True), y)

    values, moved = jvp(gradient, inputs, v, create_graph, strict)
    return values[-1], _like(inputs, moved[:-1])


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian: for each output and each input a tensor of shape (*output, *input).

    By reverse mode, one walk back for each element of the outputs, or with `vectorize` one for all of them; or by
    forward mode, one pass for all elements of the inputs (`strategy="forward-mode"`, with `vectorize`).

    >>> mt.autograd.functional.jacobian(lambda x: x * x, mt.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    from ..func import jacfwd, vmap

    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f"jacobian: strategy must be 'reverse-mode' or 'forward-mode', not {strategy!r}")
    if vectorize and strict:
        raise GraphError("jacobian: strict and vectorize do not go together")
    if strategy == "forward-mode":
        if not vectorize:
            raise NotImplementedError("jacobian: strategy='forward-mode' needs vectorize=True")
        given = _tuple("jacobian", "the inputs", inputs)
        xs = [shapes.clone(x) if create_graph and x.requires_grad else tensors.outside(x) for x in given]
        blocks = jacfwd(lambda *xs: func(*xs), tuple(range(len(xs))))(*xs)
        many = isinstance(blocks[0], (tuple, list))
        rows = [_like(inputs, _released(row, create_graph)) for row in (blocks if many else [blocks])]
        return tuple(rows) if many else rows[0]
    run = _Run("jacobian", func, inputs, create_graph, strict)
    rows = []
    for y in run.ys:
        n = y.array.size
        eye = creation.eye(n, dtype=y.dtype).reshape(n, *y.array.shape)

        def row(seed: Any, y: Any = y) -> tuple[Any, ...]:
            return tuple(run.gradients([y], [seed], create_graph))

        if vectorize or n == 0:
            blocks = vmap(row)(eye)
        else:
            blocks = [join.stack(column) for column in zip(*[row(seed) for seed in eye], strict=True)]
        rows.append(
            run.result([b.reshape(*y.array.shape, *x.array.shape) for b, x in zip(blocks, run.xs, strict=True)])
        )
    return _like(run.out, rows)


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of a function with one element: for each two inputs a tensor of shape (*first, *second).

    >>> mt.autograd.functional.hessian(lambda x: (x**3).sum(), mt.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """

    def gradient(*xs: Any) -> Any:
        run = _Run("hessian", func, _like(inputs, xs), True, strict)
        found = run.gradients([run.scalar()], [creation.ones_like(run.ys[0]).detach()], True)
        return _like(inputs, found)

    return jacobian(gradient, inputs, create_graph, strict, vectorize, outer_jacobian_strategy)
