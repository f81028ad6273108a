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
from . import linalg, math, nn, random
from .linalg import norm
from .math import (
    abs,
    acos,
    add,
    argmax,
    argmin,
    asin,
    atan,
    ceil,
    cos,
    cosh,
    cumsum,
    divide,
    equal,
    exp,
    floor,
    greater,
    greater_equal,
    less,
    less_equal,
    logical_and,
    logical_not,
    logical_or,
    maximum,
    minimum,
    multiply,
    negative,
    not_equal,
    pow,
    reduce_all,
    reduce_any,
    reduce_logsumexp,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
    reduce_sum,
    round,
    sigmoid,
    sign,
    sin,
    sinh,
    sqrt,
    square,
    subtract,
    tan,
    tanh,
)
from .tape import GradientTape
from .tensor import DType, Tensor, Variable, array_of, lift, operands, run, value_of

__all__ = [
    "DType", "GradientTape", "Tensor", "Variable", "abs", "acos", "add", "argmax", "argmin", "argsort", "asin",
    "atan", "bool", "cast", "ceil", "clip_by_value", "concat", "constant", "convert_to_tensor", "cos", "cosh",
    "cumsum", "divide", "einsum", "equal", "exp", "expand_dims", "eye", "fill", "float16", "float32", "float64",
    "floor", "function", "gather", "greater", "greater_equal", "identity", "int32", "int64", "is_tensor", "less",
    "less_equal", "linalg", "linspace", "logical_and", "logical_not", "logical_or", "math", "matmul", "maximum",
    "meshgrid", "minimum", "multiply", "negative", "newaxis", "nn", "norm", "not_equal", "one_hot", "ones",
    "ones_like", "pad", "pow", "print", "random", "range", "rank", "reduce_all", "reduce_any", "reduce_logsumexp",
    "reduce_max", "reduce_mean", "reduce_min", "reduce_prod", "reduce_sum", "reshape", "reverse", "round", "shape",
    "sigmoid", "sign", "sin", "sinh", "size", "sort", "split", "sqrt", "square", "squeeze", "stack",
    "stop_gradient", "subtract", "tan", "tanh", "tensordot", "tile", "transpose", "uint8", "where", "zeros",
    "zeros_like",
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
    >>> tf.range(1, 2, 0.25).numpy()
    array([1.  , 1.25, 1.5 , 1.75], dtype=float32)
    """
    start, limit = (0, start) if limit is None else (start, limit)
    ends = [x.numpy() if isinstance(x, Tensor) else x for x in (start, limit, delta)]
    if dtype is None:
        dtype = "int32" if all(np.asarray(x).dtype.kind in "iu" for x in ends) else "float32"
    return constant(np.arange(*ends), dtype)


def linspace(start: Any, stop: Any, num: Any) -> Tensor:
    """`num` numbers at equal distances from `start` to `stop`, both included: float32, or float64 of ints.

    >>> from minitensor.keras import tf
    >>> tf.linspace(0.0, 1.0, 3).numpy()
    array([0. , 0.5, 1. ], dtype=float32)
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


def eye(num_rows: int, num_columns: int | None = None, dtype: Any = "float32") -> Tensor:
    """The identity matrix."""
    return constant(np.eye(num_rows, num_columns), dtype)


def rank(input: Any) -> Tensor:
    """The number of axes."""
    return constant(value_of(input).ndim)


def size(input: Any) -> Tensor:
    """The number of elements."""
    return constant(int(value_of(input).array.size))


def shape(input: Any) -> Tensor:
    """The sizes of the axes, as a tensor."""
    return constant(list(value_of(input).array.shape), "int32")


def identity(input: Any) -> Tensor:
    """A tensor of the same elements."""
    return run(mt.clone, value_of(input))


def stop_gradient(input: Any) -> Tensor:
    """The same elements, through which nothing is differentiated."""
    return Tensor(value_of(input).detach())


def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any) -> Tensor:
    """t within the two bounds."""
    return run(mt.clamp, value_of(t), clip_value_min, clip_value_max)


def one_hot(indices: Any, depth: int, on_value: Any = 1.0, off_value: Any = 0.0, axis: int = -1) -> Tensor:
    """Rows of zeros with a one at the index; of an index outside, zeros alone."""
    rows = value_of(indices).array
    hot = (rows[..., None] == np.arange(depth)).astype(np.float32)
    return constant(np.moveaxis(hot * np.float32(on_value - off_value) + np.float32(off_value), -1, axis))


def gather(params: Any, indices: Any, axis: int = 0) -> Tensor:
    """The rows (or along `axis`) of those indices."""
    at = (slice(None),) * axis + (value_of(indices).long(),)
    return run(lambda x: x[at], value_of(params))


def tensordot(a: Any, b: Any, axes: Any) -> Tensor:
    """The sum over pairs of axes: the last of a and the first of b, or two lists of them."""
    return run(lambda x, y: mt.tensordot(x, y, dims=axes), *operands(a, b))


def einsum(equation: str, *inputs: Any) -> Tensor:
    """Sums of products in Einstein's notation."""
    return run(mt.einsum, equation, *map(value_of, inputs))


def sort(values: Any, axis: int = -1, direction: str = "ASCENDING") -> Tensor:
    """In order along an axis."""
    return run(lambda x: mt.sort(x, axis, descending=direction == "DESCENDING")[0], value_of(values))


def argsort(values: Any, axis: int = -1, direction: str = "ASCENDING") -> Tensor:
    """Where each comes from in that order; int32."""
    down = direction == "DESCENDING"
    return run(lambda x: mt.argsort(x, axis, descending=down, stable=True).to(mt.int32), value_of(values))


def split(value: Any, num_or_size_splits: Any, axis: int = 0) -> list[Tensor]:
    """As many equal parts along an axis, or parts of those sizes."""
    x = value_of(value)
    many = num_or_size_splits
    sizes = x.array.shape[axis] // many if isinstance(many, int) else [int(n) for n in many]
    ends = np.cumsum([sizes] * many if isinstance(sizes, int) else sizes).tolist()
    return [run(lambda x, a=a, b=b: x.narrow(axis, a, b - a), x) for a, b in zip([0, *ends], ends, strict=False)]


def tile(input: Any, multiples: Any) -> Tensor:
    """Copies side by side along each axis."""
    return run(mt.tile, value_of(input), tuple(int(n) for n in multiples))


def pad(tensor: Any, paddings: Any, constant_values: Any = 0) -> Tensor:
    """A constant around: a pair (before, after) for each axis."""
    widths = [int(n) for pair in reversed(list(paddings)) for n in pair]
    return run(mt.nn.functional.pad, value_of(tensor), widths, value=constant_values)


def reverse(tensor: Any, axis: Any) -> Tensor:
    """The elements backwards along the axes."""
    return run(mt.flip, value_of(tensor), tuple(axis))


def print(*inputs: Any, output_stream: Any = None, sep: str = " ", end: str = "\n") -> None:
    """Prints the numbers of tensors, without shape and dtype; to the error stream, as TensorFlow."""
    texts = [_plain(x) if isinstance(x, Tensor) else str(x) for x in inputs]
    builtins.print(*texts, sep=sep, end=end, file=sys.stderr if output_stream is None else output_stream)


def _plain(x: Tensor) -> str:
    array = np.asarray(x)
    return (
        f"{array[()]:g}"
        if not array.ndim and array.dtype.kind == "f"
        else str(array).replace(". ", " ").replace(".]", "]")
    )


def function(func: Any = None, **options: Any) -> Any:
    """The function itself: nothing is compiled here.

    >>> from minitensor.keras import tf
    >>> @tf.function
    ... def square(x):
    ...     return x * x
    >>> float(square(tf.constant(3.0)))
    9.0
    """
    return func if func is not None else lambda func: func


def __getattr__(name: str) -> Any:
    if name == "keras":  # the package that holds this one: not yet there while it is being imported
        return import_module("minitensor.keras")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}", name=name, obj=sys.modules[__name__])
