"""What programs use of `tensorflow` itself: tensors, variables, GradientTape, and functions of them.

>>> from minitensor.keras import tf
>>> x, y = tf.Variable(2.0), tf.Variable(3.0)
>>> with tf.GradientTape() as tape:
...     z = x * y**2
>>> [g.numpy() for g in tape.gradient(z, [x, y])]
[np.float32(9.0), np.float32(12.0)]
"""

from __future__ import annotations

import builtins
import sys
from importlib import import_module
from typing import Any

import numpy as np

import minitensor as mt

from ...graph.tensors import wrap
from . import math
from .math import (
    abs,
    add,
    argmax,
    argmin,
    ceil,
    cos,
    divide,
    equal,
    exp,
    floor,
    greater,
    greater_equal,
    less,
    less_equal,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    pow,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
    round,
    sigmoid,
    sign,
    sin,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
)
from .tape import GradientTape
from .tensor import DType, Tensor, Variable, array_of, lift, operands, run, value_of

__all__ = [
    "DType", "GradientTape", "Tensor", "Variable", "abs", "add", "argmax", "argmin", "bool", "cast", "ceil",
    "concat", "constant", "convert_to_tensor", "cos", "divide", "equal", "exp", "expand_dims", "fill", "float16",
    "float32", "float64", "floor", "greater", "greater_equal", "int32", "int64", "is_tensor", "less", "less_equal",
    "linspace", "math", "matmul", "maximum", "meshgrid", "minimum", "multiply", "negative", "newaxis", "not_equal",
    "ones", "ones_like", "pow", "range", "reduce_max", "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum",
    "reshape", "round", "sigmoid", "sign", "sin", "sqrt", "square", "squeeze", "stack", "subtract", "tan", "tanh",
    "transpose", "uint8", "where", "zeros", "zeros_like",
]  # fmt: skip

__version__ = "2.18.0"  # whose names these are

float64, float32, float16 = DType("float64"), DType("float32"), DType("float16")
int64, int32, uint8 = DType("int64"), DType("int32"), DType("uint8")
bool = DType("bool")

newaxis = None

ones_like = lift(mt.ones_like)
zeros_like = lift(mt.zeros_like)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str | None = None) -> Tensor:
    """A tensor of numbers: Python's fractions as float32 and its ints as int32, arrays in their own dtype.

    >>> from minitensor.keras import tf
    >>> tf.constant([1, 2])
    <tf.Tensor: shape=(2,), dtype=int32, numpy=array([1, 2], dtype=int32)>
    """
    array = array_of(value, dtype)
    return Tensor(wrap(np.array(array if shape is None else np.broadcast_to(array, tuple(shape)))))


def convert_to_tensor(value: Any, dtype: Any = None) -> Tensor:
    """`value` itself if it is a tensor, otherwise a constant of it; a list of tensors is stacked."""
    return value if isinstance(value, Tensor) and dtype is None else run(value_of, value, dtype)


def is_tensor(x: Any) -> builtins.bool:
    """Whether `x` is a tensor."""
    return isinstance(x, Tensor)


def range(start: Any, limit: Any = None, delta: Any = 1, dtype: Any = None) -> Tensor:
    """The numbers from `start` (0 if it is alone) up to `limit`, without it: int32, or float32 if one is a fraction.

    >>> from minitensor.keras import tf
    >>> print(tf.range(1, 2, 0.25))
    tf.Tensor([1.   1.25 1.5  1.75], shape=(4,), dtype=float32)
    """
    start, limit = (0, start) if limit is None else (start, limit)
    ends = [x.numpy() if isinstance(x, Tensor) else x for x in (start, limit, delta)]
    if dtype is None:
        dtype = "int32" if all(np.asarray(x).dtype.kind in "iu" for x in ends) else "float32"
    return constant(np.arange(*ends), dtype)


def linspace(start: Any, stop: Any, num: Any) -> Tensor:
    """`num` numbers at equal distances from `start` to `stop`, both included: float32, or float64 of ints.

    >>> from minitensor.keras import tf
    >>> print(tf.linspace(0.0, 1.0, 3))
    tf.Tensor([0.  0.5 1. ], shape=(3,), dtype=float32)
    """
    kind = array_of(start).dtype
    numbers = np.linspace(np.asarray(start), np.asarray(stop), int(num), dtype=np.float64)
    return constant(numbers, kind if kind.kind == "f" else np.float64)


def meshgrid(*args: Any, indexing: str = "xy") -> list[Tensor]:
    """The coordinates of all points of a grid: for lengths n and m two tensors (m, n), or (n, m) if `indexing='ij'`."""
    return [run(lambda grid: grid.contiguous(), g) for g in mt.meshgrid(*map(value_of, args), indexing=indexing)]


def cast(x: Any, dtype: Any) -> Tensor:
    """The tensor with another dtype."""
    return run(value_of, x, dtype)


def matmul(a: Any, b: Any, transpose_a: builtins.bool = False, transpose_b: builtins.bool = False) -> Tensor:
    """The product of matrices, each transposed first if that is asked for."""
    x, y = operands(a, b)
    return run(lambda x, y: (x.mT if transpose_a else x) @ (y.mT if transpose_b else y), x, y)


def transpose(a: Any, perm: Any = None) -> Tensor:
    """The axes in the order `perm`, by default turned round."""
    x = value_of(a)
    return run(mt.permute, x, tuple(reversed(builtins.range(x.ndim)) if perm is None else perm))


def reshape(tensor: Any, shape: Any) -> Tensor:
    """The same elements with another shape, of which one size may be -1."""
    return run(mt.reshape, value_of(tensor), tuple([int(n) for n in shape]))


def expand_dims(input: Any, axis: int) -> Tensor:
    """With a new axis of size 1."""
    return run(mt.unsqueeze, value_of(input), axis)


def squeeze(input: Any, axis: Any = None) -> Tensor:
    """Without the axes of size 1, or without those of `axis`."""
    return run(mt.squeeze, value_of(input), *([] if axis is None else [axis]))


def concat(values: Any, axis: int) -> Tensor:
    """The tensors one behind another along an axis."""
    return run(mt.cat, [value_of(v) for v in values], axis)


def stack(values: Any, axis: int = 0) -> Tensor:
    """The tensors along a new axis."""
    return run(mt.stack, [value_of(v) for v in values], axis)


def where(condition: Any, x: Any, y: Any) -> Tensor:
    """x where the condition holds, y elsewhere."""
    return run(mt.where, value_of(condition), *operands(x, y))


def zeros(shape: Any, dtype: Any = "float32") -> Tensor:
    """A tensor of zeros."""
    return constant(np.zeros(shape), dtype)


def ones(shape: Any, dtype: Any = "float32") -> Tensor:
    """A tensor of ones."""
    return constant(np.ones(shape), dtype)


def fill(dims: Any, value: Any) -> Tensor:
    """A tensor of one value."""
    return constant(value, shape=dims)


def __getattr__(name: str) -> Any:
    if name == "keras":  # the package that holds this one: not yet there while it is being imported
        return import_module("minitensor.keras")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
