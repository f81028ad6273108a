"""What a Jacobian costs in each mode: counted on the graph of one run, not taken from a formula.

A function R^d -> R^m is a graph of operators. A product of its Jacobian with a vector goes through each one's local
Jacobian once, forwards (J v) or backwards (J^T u), with the same multiplications; the whole Jacobian takes d products
in forward mode, m in reverse mode. For a chain of K dense maps of inner size d that is (DP-17.63)

    forward    d ((K - 1) d^2 + d m) multiplications,   the tangent alone is stored: max(d, m)
    reverse    m ((K - 1) d^2 + d m) multiplications,   all states and the last gradient: K d + m
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from ..autograd.modes import enable_grad
from ..errors import DtypeError, GraphError
from ..graph import backward, tensors
from ..tensor import Tensor

__all__ = ["Count", "count"]


class Count(NamedTuple):
    """The cost of a Jacobian."""

    multiplications: int
    stored: int  # the most values kept at a time between two operators
    products: int  # of the Jacobian with a vector
    operators: list[tuple[str, int]]  # each operator's share in the multiplications of one product


def _cost(node: Any, output: tuple[int, ...], input: tuple[int, ...], place: int, dense: bool) -> int:
    """The multiplications of one product with an operator's Jacobian by one argument."""
    p, n = math.prod(output), math.prod(input)
    if dense:
        return p * n
    op = node.op
    if op.name in ("matmul", "linear"):  # every element of the output is a sum of k products
        inner = input[-1] if place == 0 or len(input) == 1 or op.name == "linear" else input[-2]
        return p * inner
    if op.jvp == "linear" or op.name in ("add", "sub"):
        return 0
    if op.jvp == "elementwise" or op.broadcasts:
        return max(p, n)
    return p * n


def count(f: Callable[..., Any], *inputs: Any, mode: str = "reverse", dense: bool = False) -> Any:
    """What the Jacobian of f at the inputs costs in forward or reverse mode: a `Count`.

    Without inputs the result is a function of them, as `jacrev(f)` is. Additions count nothing, an elementwise operator
    one multiplication for each element, a matrix product the multiplications of one; with `dense` every operator's
    Jacobian is a full matrix. Raises ValueError for another mode, GraphError if f does not depend on its inputs.

    >>> w = [mt.randn(10, 10) for _ in range(5)] + [mt.randn(1, 10)]
    >>> def chain(x):
    ...     for a in w:
    ...         x = a @ x
    ...     return x
    >>> [mt.learn.count(chain, mt.ones(10), mode=mode)[:2] for mode in ("forward", "reverse")]
    [(5100, 10), (510, 61)]
    """
    if mode not in ("forward", "reverse"):
        raise ValueError(f"count: mode must be 'forward' or 'reverse', not {mode!r}")
    if not inputs:
        return lambda *inputs: count(f, *inputs, mode=mode, dense=dense)
    for x in inputs:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            raise DtypeError("count: the inputs must be floating tensors")
    with enable_grad():
        variables = [tensors.as_leaf(x.detach()) for x in inputs]
        y = f(*variables)
        if not isinstance(y, Tensor) or not y.requires_grad:
            raise GraphError("count: the function must return a tensor that depends on its inputs")
        run = _Run(variables, y, dense)
    d, m = sum(x.array.size for x in inputs), y.array.size
    each = sum(cost for _, cost in run.operators)
    products = d if mode == "forward" else m
    stored = run.tangents() if mode == "forward" else run.states() + m
    return Count(products * each, stored, products, run.operators)


class _Run:
    """One walk back through the graph, which sees the sizes at every operator that lies between inputs and output."""

    def __init__(self, variables: list[Any], y: Any, dense: bool) -> None:
        self.operators: list[tuple[str, int]] = []
        self.read: dict[Any, set[Any]] = {}  # for each operator, in the order of the walk, the values that it reads
        self.sizes: dict[Any, int] = {(x, 0): x.array.size for x in variables}
        self.sizes[_origin((y.node, y.index))] = y.array.size
        handles = [self._watch(node, dense) for node in _nodes(y)]
        try:
            backward.differentiate([y], [y.detach()], variables, True, False, True)
        finally:
            for handle in handles:
                handle.remove()

    def _watch(self, node: Any, dense: bool) -> Any:
        if node.op.view:  # another form of the same values
            return node.register_hook(lambda grads, outputs: None)

        def seen(grads: Any, outputs: Any) -> None:
            output = next(tuple(g.shape) for g in outputs if g is not None)
            total = 0
            self.read[node] = set()
            for place, (source, g) in enumerate(zip(zip(node.inputs, node.indices, strict=True), grads, strict=False)):
                if g is None or source[0] is None:
                    continue
                total += _cost(node, output, tuple(g.shape), place, dense)
                source = _origin(source)
                self.read[node].add(source)
                self.sizes[source] = math.prod(g.shape)
            self.operators.insert(0, (node.op.name, total))

        return node.register_hook(seen)

    def states(self) -> int:
        """The sizes of all values that operators read."""
        return sum(self.sizes[source] for source in set().union(*self.read.values()))

    def tangents(self) -> int:
        """The most that is alive between two operators, each value up to the last operator that reads it."""
        order = list(reversed(self.read))
        last = {source: k for k, node in enumerate(order) for source in self.read[node]}
        peak = sum(size for source, size in self.sizes.items() if not hasattr(source[0], "op"))
        for k in range(len(order)):
            alive = [s for s in self.sizes if last.get(s, len(order)) > k and _made(s, order[: k + 1])]
            peak = max(peak, sum(self.sizes[s] for s in alive))
        return peak


def _origin(source: Any) -> Any:
    """(operator or leaf, which output) that computed a value; views compute nothing."""
    while getattr(source[0], "op", None) is not None and source[0].op.view:
        source = (source[0].inputs[0], source[0].indices[0])
    return source


def _made(source: Any, done: list[Any]) -> bool:
    return not hasattr(source[0], "op") or source[0] in done


def _nodes(y: Any) -> list[Any]:
    """All operators that led to y."""
    found: dict[int, Any] = {}
    stack = [y.node]
    while stack:
        top = stack.pop()
        if top is None or isinstance(top, Tensor) or id(top) in found:
            continue
        found[id(top)] = top
        stack.extend(top.inputs)
    return list(found.values())
