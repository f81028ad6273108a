"""backward and grad: the user's way into the walk back through the graph."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from .. import creation
from ..errors import ArgumentError, GraphError, ShapeError
from ..graph import nodes, places
from ..graph.backward import differentiate
from ..graph.tensors import outside, wrap
from ..tensor import Tensor, set_backward
from .graph import GradientEdge
from .modes import set_grad_enabled


def _listed(x: Any) -> list[Any]:
    """One tensor, or those of a list, of a dict's values(), of a module's parameters()."""
    return [x] if isinstance(x, (Tensor, np.ndarray)) or not isinstance(x, Iterable) else list(x)


def _at_edges(x: Any, grads: Any) -> list[Any]:
    """Tensors, also where places in the graph are given instead; the gradients there have the shape of theirs."""
    if isinstance(x, Tensor):
        return [x]
    edges = [x] if isinstance(x, GradientEdge) else _listed(x)
    if not any(isinstance(e, GradientEdge) for e in edges):
        return edges
    given = [None] * len(edges) if grads is None else _listed(grads)
    likes = [g.array if isinstance(g, Tensor) else None for g in given] + [None] * len(edges)
    return [
        nodes.at_edge(*e, like) if isinstance(e, GradientEdge) else e for e, like in zip(edges, likes, strict=False)
    ]


def _seeds(outputs: Sequence[Tensor], grads: Any) -> list[Any]:
    """The gradients to start from: those given, and 1 for scalars."""
    given = [None] * len(outputs) if grads is None else _listed(grads)
    if len(given) != len(outputs):
        raise ShapeError(f"backward: {len(given)} gradients for {len(outputs)} outputs")
    seeds = []
    for y, g in zip(outputs, given, strict=True):
        if g is None:
            if y.array.size != 1:
                raise ShapeError(
                    f"backward: grad can be implicitly created for scalar outputs only; one of shape {tuple(y.shape)} "
                    f"needs a gradient of that shape (the output was made at {nodes.made_at(y)})"
                )
            if y.layer is None:
                g = wrap(np.empty(y.array.shape, y.array.dtype))  # np.ones takes three times as long
                g.array.fill(1)
            else:
                g = creation.ones_like(y)
        elif not isinstance(g, Tensor):
            raise TypeError(f"backward: the gradient must be a Tensor, not {type(g).__name__}")
        elif g.array.shape != y.array.shape:
            raise ShapeError(
                f"backward: a gradient of shape {tuple(g.shape)} for an output of shape {tuple(y.shape)} (the output "
                f"was made at {nodes.made_at(y)}; the gradient is given at {places.line()})"
            )
        elif g.array.dtype != y.array.dtype:
            g = g.to(y.dtype)
        seeds.append(g)
    return seeds


def _check(name: str, tensors: Sequence[Any]) -> None:
    for i, x in enumerate(tensors):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name}: element {i} is a {type(x).__name__}, not a Tensor")
        if not x.requires_grad:
            raise GraphError(f"{name}: element {i} of tensors does not require grad and does not have a grad_fn")


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Adds the gradients of `tensors`, weighted by `grad_tensors`, to the `grad` of every leaf, or of `inputs` only.

    >>> x = mt.tensor([1.0, 2.0], requires_grad=True)
    >>> mt.autograd.backward([x.sum(), (x * x).sum()])
    >>> x.grad
    tensor([3., 5.])
    """
    outputs = _at_edges(tensors, grad_tensors)
    _check("backward", outputs)
    retain = create_graph if retain_graph is None else retain_graph
    seeds = _seeds(outputs, grad_tensors)
    if inputs is None:
        differentiate(outputs, seeds, None, retain, create_graph, True)
        return
    wanted = _at_edges(inputs, None)
    if not wanted:
        raise ShapeError("backward: inputs is empty")
    _check("backward", wanted)
    found = differentiate(outputs, seeds, wanted, retain, create_graph, True)
    for x, g in zip(wanted, found, strict=True):
        if g is not None:
            x.grad = g if x.grad is None else x.grad + g
            for hook in list(x.after_hooks or ()):
                with set_grad_enabled(create_graph):
                    hook(x)


set_backward(backward)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the sum of `outputs`, weighted by `grad_outputs`, with respect to `inputs`, as a tuple.

    Leaves' `grad` stays as it is. An input that the outputs do not depend on raises GraphError, or gives None with
    `allow_unused`, or zeros with `materialize_grads`. With `create_graph` the result can be differentiated again. With
    `is_grads_batched` each grad_output has one more axis in front, and so has the result. `only_inputs` has no effect.

    >>> x = mt.tensor(2.0, requires_grad=True)
    >>> (g,) = mt.autograd.grad(x**3, x, create_graph=True)
    >>> mt.autograd.grad(g, x)
    (tensor(12.),)
    """
    if not only_inputs:
        warnings.warn("grad: only_inputs=False changes nothing; backward() adds to leaves", FutureWarning, stacklevel=2)
    ys = _at_edges(outputs, grad_outputs)
    xs = _at_edges(inputs, None)
    _check("grad", ys)
    _check("grad", xs)
    if not xs:
        raise ShapeError("grad: inputs is empty")
    retain = create_graph if retain_graph is None else retain_graph
    if materialize_grads and allow_unused is False:
        raise ArgumentError("grad: materialize_grads gives zeros for unused inputs, so allow_unused cannot be False")
    unused = bool(allow_unused) or materialize_grads
    if is_grads_batched:
        from ..func import vmap

        if grad_outputs is None:
            raise TypeError("grad: is_grads_batched needs grad_outputs")

        def one(*seeds: Any) -> tuple[Any, ...]:
            found = differentiate(ys, _seeds(ys, seeds), xs, True, create_graph, True)
            reached[:] = [g is not None for g in found]
            return tuple([g for g in found if g is not None])

        reached: list[bool] = []
        rows = iter(vmap(one, randomness="same")(*_listed(grad_outputs)))
        batched = [next(rows) if there else None for there in reached]
        if not unused and None in batched:
            raise GraphError(f"grad: input {batched.index(None)} was not used in computing the outputs")
        size = _listed(grad_outputs)[0].array.shape[0]
        if materialize_grads:
            batched = [
                creation.zeros(size, *x.shape, dtype=x.dtype) if g is None else g
                for x, g in zip(xs, batched, strict=True)
            ]
        return tuple([g if g is None or create_graph else outside(g) for g in batched])
    found = differentiate(ys, _seeds(ys, grad_outputs), xs, retain, create_graph, unused)
    if materialize_grads:
        found = [creation.zeros_like(x) if g is None else g for x, g in zip(xs, found, strict=True)]
    return tuple(found)
