"""Layers of several inputs: model.layers.Add()([a, b]), or add([a, b])."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ... import cat, maximum
from ..tf.tensor import run, value_of
from .base import KerasTensor, Layer, Shape


class Merge(Layer):
    """The base of them: `merged` is what becomes of a list of engine tensors."""

    def merged(self, parts: Sequence[Any]) -> Any:
        """One engine tensor of several."""
        raise NotImplementedError

    def merged_shape(self, shapes: Sequence[Shape]) -> Shape:
        """The shape of it."""
        if any(len(shape) != len(shapes[0]) for shape in shapes):
            raise ValueError(f"{type(self).__name__}: the shapes {', '.join(map(str, shapes))} do not fit together")
        sizes = []
        for several in zip(*shapes, strict=True):
            known = {n for n in several if n not in (None, 1)}
            if len(known) > 1:
                raise ValueError(f"{type(self).__name__}: the shapes {', '.join(map(str, shapes))} do not fit together")
            sizes.append(known.pop() if known else several[0])
        return tuple(sizes)

    def forward(self, *parts: Any) -> Any:
        """Of engine tensors."""
        return self.merged(parts)

    def __call__(self, x: Any, training: bool = False) -> Any:
        parts = list(x)
        if len(parts) < 2:
            raise ValueError(f"{type(self).__name__}: needs a list of two or more tensors")
        if isinstance(parts[0], KerasTensor):
            self.built = True
            out = KerasTensor(self.merged_shape([part.shape for part in parts]), self, parts)
            self._symbolic = self._symbolic or out
            return out
        return run(self.merged, [value_of(part, np.float32) for part in parts])


class Add(Merge):
    """The sum of tensors.

    >>> from minitensor.keras.layers import Add
    >>> Add()([[1.0, 2.0], [3.0, 4.0]]).numpy()
    array([4., 6.], dtype=float32)
    """

    def merged(self, parts: Sequence[Any]) -> Any:
        """a + b + ..."""
        return sum(parts[1:], parts[0])


class Subtract(Merge):
    """The difference of two tensors."""

    def merged(self, parts: Sequence[Any]) -> Any:
        """a - b."""
        a, b = parts
        return a - b


class Multiply(Merge):
    """The product of tensors, element by element."""

    def merged(self, parts: Sequence[Any]) -> Any:
        """a b ..."""
        product = parts[0]
        for part in parts[1:]:
            product = product * part
        return product


class Average(Merge):
    """The mean of tensors."""

    def merged(self, parts: Sequence[Any]) -> Any:
        """(a + b + ...) / their number."""
        return sum(parts[1:], parts[0]) / len(parts)


class Maximum(Merge):
    """The largest of tensors, element by element."""

    def merged(self, parts: Sequence[Any]) -> Any:
        """max(a, b, ...)."""
        largest = parts[0]
        for part in parts[1:]:
            largest = maximum(largest, part)
        return largest


class Concatenate(Merge):
    """Tensors one behind another along an axis.

    >>> from minitensor.keras.layers import Concatenate
    >>> Concatenate()([np.ones((2, 3)), np.ones((2, 1))]).shape
    TensorShape([2, 4])
    """

    def __init__(self, axis: int = -1, **options: Any) -> None:
        super().__init__(**options)
        self.axis = int(axis)

    def merged(self, parts: Sequence[Any]) -> Any:
        """All of them."""
        return cat(list(parts), self.axis)

    def merged_shape(self, shapes: Sequence[Shape]) -> Shape:
        """The sizes along the axis added."""
        sizes, at = list(shapes[0]), self.axis % len(shapes[0])
        for shape in shapes[1:]:
            if len(shape) != len(sizes) or [*shape[:at], *shape[at + 1 :]] != [*sizes[:at], *sizes[at + 1 :]]:
                raise ValueError(f"Concatenate: the shapes {', '.join(map(str, shapes))} do not fit together")
        along = [shape[at] for shape in shapes]
        sizes[at] = None if None in along else sum(n for n in along if n is not None)
        return tuple(sizes)

    def get_config(self) -> dict[str, Any]:
        """With the axis."""
        return {**super().get_config(), "axis": self.axis}


def _function(kind: type[Merge]) -> Callable[..., Any]:
    def function(inputs: Any, **options: Any) -> Any:
        return kind(**options)(inputs)

    function.__name__ = function.__qualname__ = kind.__name__.lower()
    function.__doc__ = f"`{kind.__name__}(**options)(inputs)`."
    return function


add, subtract, multiply, average = map(_function, (Add, Subtract, Multiply, Average))
maximum_of, concatenate = map(_function, (Maximum, Concatenate))
