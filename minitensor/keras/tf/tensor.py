"""TensorFlow's tensors on the engine's: recorded in a graph only while somebody differentiates.

A `Tensor` holds an engine tensor, `value`. Its operators are the engine's, recorded while a `GradientTape` is open or
the training loop runs (`recording`), and otherwise not. So `numpy()` and `np.asarray` always work.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

import minitensor as mt

from ...autograd import no_grad
from ...graph.tensors import wrap


class DType(str):
    """The type of a tensor's elements: its name, and equal to it.

    >>> from minitensor.keras import tf
    >>> tf.constant(1.0).dtype, tf.constant(1.0).dtype == "float32"
    (tf.float32, True)
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"tf.{self.name}"

    def __str__(self) -> str:
        return f"<dtype: {self.name!r}>"

    @property
    def name(self) -> str:
        """The name, as 'float32'."""
        return str.__str__(self)

    @property
    def as_numpy_dtype(self) -> Any:
        """NumPy's type of that name."""
        return np.dtype(self.name).type


def _numpy(dtype: Any) -> Any:
    """NumPy's dtype; a DType does not read as its name."""
    return np.dtype(dtype.name if isinstance(dtype, DType) else dtype)


class _Recording(threading.local):
    depth = 0


_recording = _Recording()


@contextlib.contextmanager
def recording() -> Iterator[None]:
    """Within, operators on what wants gradients are recorded."""
    _recording.depth += 1
    try:
        yield
    finally:
        _recording.depth -= 1


def is_recording() -> bool:
    """Whether a tape is open, or the training loop runs."""
    return _recording.depth > 0


def run(function: Callable[..., Any], *values: Any, **options: Any) -> Tensor:
    """The tensor that a function of engine tensors gives."""
    if _recording.depth:
        return Tensor(function(*values, **options))
    with no_grad():
        return Tensor(function(*values, **options))


def array_of(x: Any, dtype: Any = None) -> Any:
    """The ndarray that TensorFlow makes of `x`: fractions of Python are float32 and its ints int32."""
    if isinstance(x, (Tensor, np.ndarray, np.generic)):
        array = np.asarray(x)
    else:
        array = np.asarray(x)
        if array.dtype.kind in "OSU":
            raise ValueError(f"a tensor cannot be made of {x!r}")
        own = not isinstance(x, (list, tuple)) or not any(isinstance(part, (np.ndarray, np.generic)) for part in x)
        if own and array.dtype == np.float64:
            array = array.astype(np.float32)
        elif own and array.dtype == np.int64:
            array = array.astype(np.int32)
    return array if dtype is None else array.astype(_numpy(dtype), copy=False)


def value_of(x: Any, dtype: Any = None) -> Any:
    """The engine tensor of `x`: of a tensor its own; a list of tensors is stacked."""
    if isinstance(x, Tensor):
        value = x.value
    elif isinstance(x, mt.Tensor):
        value = x
    elif isinstance(x, (list, tuple)) and any(isinstance(part, Tensor) for part in x):
        value = mt.stack([value_of(part) for part in x])
    else:
        return wrap(array_of(x, dtype))
    return value if dtype is None else value.to(_numpy(dtype))


def like(x: Any, other: Any) -> Any:
    """`x` as the second operand beside the engine tensor `other`: arrays take its dtype, numbers stay as they are."""
    if isinstance(x, (Tensor, mt.Tensor)):
        return value_of(x)
    if isinstance(x, (bool, int, float)):
        return x
    return wrap(np.asarray(x).astype(other.array.dtype))


def operands(a: Any, b: Any) -> tuple[Any, Any]:
    """Two operands of a function as engine tensors: a number takes the dtype of the other."""
    if isinstance(a, (Tensor, mt.Tensor)) or not isinstance(b, (Tensor, mt.Tensor)):
        x = value_of(a)
        return x, value_of(like(b, x), _common(b, x))
    y = value_of(b)
    return value_of(like(a, y), _common(a, y)), y


def _common(x: Any, other: Any) -> Any:
    """The dtype that a Python number takes beside a tensor."""
    if not isinstance(x, (bool, int, float)):
        return None
    return other.array.dtype if other.array.dtype.kind == "f" or not isinstance(x, float) else np.float32


def lift(function: Callable[..., Any], name: str = "") -> Callable[..., Tensor]:
    """A function of an engine tensor as one of whatever a tensor is made of; `raw` is the function itself."""

    @functools.wraps(function)
    def lifted(x: Any, *args: Any, **options: Any) -> Tensor:
        return run(function, value_of(x), *args, **options)

    lifted.__name__ = lifted.__qualname__ = name or function.__name__
    lifted.raw = function  # type: ignore[attr-defined]
    return lifted


def lift_two(function: Callable[..., Any]) -> Callable[..., Tensor]:
    """The same of a function of two operands."""

    def lifted(x: Any, y: Any, name: str | None = None) -> Tensor:
        return run(function, *operands(x, y))

    lifted.__name__ = lifted.__qualname__ = function.__name__
    lifted.__doc__ = f"The {function.__name__} of x and y, element by element."

    return lifted


def _operator(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Tensor, other: Any) -> Any:
        x = self.value
        return run(function, x, like(other, x))

    return method


def _mirrored(function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: Tensor, other: Any) -> Any:
        x = self.value
        return run(function, like(other, x), x)

    return method


def divided(a: Any, b: Any) -> Any:
    """a / b; whole numbers are divided in float64."""
    whole = [isinstance(x, int) or (isinstance(x, mt.Tensor) and x.array.dtype.kind in "iub") for x in (a, b)]
    if all(whole):
        a, b = (x.double() if isinstance(x, mt.Tensor) else float(x) for x in (a, b))
    return a / b


def _indexed(x: Any, index: tuple[Any, ...]) -> Any:
    """x[index]; what a slice takes backwards is taken forwards, and flipped."""
    flipped, axis, at, parts = [], 0, 0, []
    for part in index:
        if isinstance(part, slice) and part.step is not None and part.step < 0:
            places = range(*part.indices(x.array.shape[at]))
            part = slice(places[-1], places[0] + 1, -part.step) if places else slice(0, 0)
            flipped.append(axis)
        rest = x.ndim - sum(i is not None and i is not Ellipsis for i in index) if part is Ellipsis else 1
        axis += rest if part is Ellipsis else not isinstance(part, (int, np.integer))
        at += rest if part is not None else 0
        parts.append(part)
    out = x[tuple(parts)]
    return out.flip(flipped) if flipped else out


def _lines(text: str) -> str:
    """A text of several lines begins on one of its own."""
    return "\n" + text if "\n" in text else text


class TensorShape(tuple[int, ...]):
    """The sizes of the axes: a tuple that shows itself as TensorFlow's.

    >>> from minitensor.keras import tf
    >>> tf.zeros((2, 3)).shape, str(tf.zeros((2, 3)).shape)
    (TensorShape([2, 3]), '(2, 3)')
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return f"TensorShape([{', '.join(map(str, self))}])"

    def __str__(self) -> str:
        return tuple.__repr__(self)

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self)

    def as_list(self) -> list[int]:
        """The sizes in a list."""
        return list(self)


class Tensor:
    """An array of numbers, as TensorFlow has it: not changed once it is made.

    >>> from minitensor.keras import tf
    >>> t = tf.constant([1.0, 2.0])
    >>> print(2 * t + 1)
    tf.Tensor([3. 5.], shape=(2,), dtype=float32)
    >>> t[1].numpy()
    np.float32(2.0)
    """

    __array_priority__ = 1000
    logits: Any = None  # of what a layer gave: the engine tensor that its softmax or sigmoid was given

    def __init__(self, value: Any) -> None:
        self._value = value

    @property
    def value(self) -> Any:
        """The engine's tensor."""
        return self._value

    @property
    def shape(self) -> TensorShape:
        """The sizes of the axes."""
        return TensorShape(self.value.array.shape)

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    @property
    def dtype(self) -> DType:
        """The type of the elements."""
        return DType(self.value.array.dtype.name)

    def numpy(self) -> Any:
        """The elements as an ndarray; without axes, as a NumPy number."""
        return self.value.array[()]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.array(self.value.array, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self.value)

    def __iter__(self) -> Iterator[Tensor]:
        return (self[i] for i in range(len(self)))

    def __getitem__(self, index: Any) -> Tensor:
        parts = index if isinstance(index, tuple) else (index,)
        plain = tuple([value_of(i) if isinstance(i, Tensor) else i for i in parts])
        return run(_indexed, self.value, plain)

    def __float__(self) -> float:
        return float(self.value)

    def __int__(self) -> int:
        return int(self.value)

    def __bool__(self) -> bool:
        return bool(self.value)

    def __index__(self) -> int:
        return operator.index(self.value)

    def __format__(self, spec: str) -> str:
        return format(self.numpy(), spec) if spec else str(self)

    def __str__(self) -> str:
        return f"tf.Tensor({_lines(str(self.numpy()))}, shape={self.shape}, dtype={self.value.array.dtype.name})"

    def _text(self) -> str:
        return _lines(repr(np.asarray(self)) if self.ndim else str(self.value.item()))

    def _content(self) -> str:
        return f"dtype={self.value.array.dtype.name}, numpy={self._text()}"

    def __repr__(self) -> str:
        return f"<tf.Tensor: shape={self.shape}, {self._content()}>"

    __hash__ = object.__hash__

    __add__, __radd__ = _operator(operator.add), _mirrored(operator.add)
    __sub__, __rsub__ = _operator(operator.sub), _mirrored(operator.sub)
    __mul__, __rmul__ = _operator(operator.mul), _mirrored(operator.mul)
    __truediv__, __rtruediv__ = _operator(divided), _mirrored(divided)
    __floordiv__, __rfloordiv__ = _operator(operator.floordiv), _mirrored(operator.floordiv)
    __mod__, __rmod__ = _operator(operator.mod), _mirrored(operator.mod)
    __pow__, __rpow__ = _operator(operator.pow), _mirrored(operator.pow)
    __matmul__, __rmatmul__ = _operator(operator.matmul), _mirrored(operator.matmul)
    __lt__, __le__ = _operator(operator.lt), _operator(operator.le)
    __gt__, __ge__ = _operator(operator.gt), _operator(operator.ge)

    def __eq__(self, other: object) -> Any:
        return False if other is None else run(operator.eq, self.value, like(other, self.value))

    def __ne__(self, other: object) -> Any:
        return True if other is None else run(operator.ne, self.value, like(other, self.value))

    def __neg__(self) -> Tensor:
        return run(operator.neg, self.value)

    def __abs__(self) -> Tensor:
        return run(operator.abs, self.value)


class Variable(Tensor):
    """A tensor that can be assigned to. A tape watches it without being told.

    `axes`, for a weight of a layer, is how the axes of the engine's parameter make Keras's: Keras has the inputs of a
    kernel before its outputs, and the engine after.

    >>> from minitensor.keras import tf
    >>> v = tf.Variable(3.0)
    >>> _ = v.assign_add(1)
    >>> v
    <tf.Variable 'Variable:0' shape=() dtype=float32, numpy=4.0>
    """

    def __init__(
        self, initial_value: Any, trainable: bool = True, name: str = "Variable", dtype: Any = None, axes: Any = None
    ) -> None:
        self.path = ""  # of a weight: the model's, the layer's and its own name
        if isinstance(initial_value, mt.nn.Parameter):
            super().__init__(initial_value)
            self.path = name
        else:
            super().__init__(wrap(np.array(array_of(initial_value, dtype))))
            self._value.requires_grad = trainable and self._value.array.dtype.kind == "f"
        self.name, self.trainable, self.axes = name if self.path else f"{name}:0", trainable, axes

    @property
    def dtype(self) -> Any:
        """The type of the elements; of a layer's weight its name alone."""
        name = self._value.array.dtype.name
        return name if self.path else DType(name)

    @property
    def value(self) -> Any:
        """The engine's tensor, with Keras's axes."""
        return self._value if self.axes is None else self._value.permute(self.axes)

    @property
    def leaf(self) -> Any:
        """The engine's tensor as it is stored, which gradients are taken by."""
        return self._value

    def stored(self, x: Any) -> Any:
        """An array or engine tensor with Keras's axes, with those of the leaf."""
        if self.axes is None:
            return x
        axes = [int(i) for i in np.argsort(self.axes)]
        return x.transpose(axes) if isinstance(x, np.ndarray) else x.permute(axes)

    def numpy(self) -> Any:
        """A copy of the elements."""
        return np.array(self.value.array)[()]

    def assign(self, value: Any) -> Variable:
        """Takes over the elements of `value`, cast to its own dtype. Raises ValueError for another shape."""
        array = np.asarray(value)
        if array.shape != self.shape:
            raise ValueError(f"{self.name}: has the shape {self.shape}, and cannot take {array.shape}")
        # another array in its place: what was recorded keeps the old one, as in TensorFlow
        new = np.array(self.stored(array), self._value.array.dtype, order="C")
        self._value.data = wrap(new)
        return self

    def assign_add(self, delta: Any) -> Variable:
        """Adds `delta`."""
        return self.assign(self.numpy() + np.asarray(delta))

    def assign_sub(self, delta: Any) -> Variable:
        """Subtracts `delta`."""
        return self.assign(self.numpy() - np.asarray(delta))

    def read_value(self) -> Tensor:
        """A tensor with its elements."""
        return run(mt.clone, self.value)

    def __str__(self) -> str:
        return repr(self)

    def __repr__(self) -> str:
        if self.path:
            name = self._value.array.dtype.name
            return f"<Variable path={self.path}, shape={self.shape}, dtype={name}, value={np.asarray(self)}>"
        return f"<tf.Variable '{self.name}' shape={self.shape} {self._content()}>"
