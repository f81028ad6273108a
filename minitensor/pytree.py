"""Trees of tensors: tuples, lists, named tuples and dicts, nested in any way. Everything else is a leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from .errors import ArgumentError


def is_node(tree: Any) -> bool:
    """Whether `tree` has branches."""
    return isinstance(tree, (tuple, list, dict))


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves in order; a dict's in the order of its keys as they stand."""
    if isinstance(tree, dict):
        for branch in tree.values():
            yield from leaves(branch)
    elif isinstance(tree, (tuple, list)):
        for branch in tree:
            yield from leaves(branch)
    else:
        yield tree


def rebuild(tree: Any, values: Iterable[Any]) -> Any:
    """A tree of the same form with other leaves, taken from `values` in order.

    >>> from minitensor import pytree
    >>> pytree.rebuild({"a": 1, "b": (2, 3)}, [10, 20, 30])
    {'a': 10, 'b': (20, 30)}
    """
    return _build(tree, iter(values))


def _build(tree: Any, source: Iterator[Any]) -> Any:  # no function within: one that calls itself would keep the values
    if isinstance(tree, dict):
        return type(tree)({key: _build(part, source) for key, part in tree.items()})
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[_build(part, source) for part in tree])
    if isinstance(tree, (tuple, list)):
        return type(tree)([_build(part, source) for part in tree])
    return next(source)


def tree_map(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """`function` of each leaf, and of the leaves at the same places of `others`."""
    return rebuild(tree, map(function, leaves(tree), *[leaves(other) for other in others]))


def spread(name: str, value: Any, tree: Any) -> list[Any]:
    """One value for each leaf of `tree`: `value` is of the same form, or ends earlier and then holds for all below."""
    if is_node(value) and is_node(tree):
        parts = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
        keys = set(tree) if isinstance(tree, dict) else set(range(len(tree)))
        if isinstance(value, dict) != isinstance(tree, dict) or {key for key, _ in parts} != keys:
            raise ArgumentError(f"{name} {value!r} does not have the form of what it is for")
        return [v for key, part in parts for v in spread(name, part, tree[key])]
    if is_node(value):
        raise ArgumentError(f"{name} {value!r} has branches where there is one value")
    return [value for _ in leaves(tree)]
