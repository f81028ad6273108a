"""How parameters start. Each function fills a tensor in place, outside the graph, and returns it.

fan_in is the number of inputs that one output sums over, fan_out the number of outputs that one
input goes to: for a weight (out, in, *kernel), in and out times the size of the kernel.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import random
from ..autograd import no_grad
from ..device import is_meta
from ..errors import ShapeError
from ..generator import default_generator
from ..graph.tensors import wrap
from ..graph.views import assign, check_writable
from ..ops.common import need_float, shape_of


def fans(tensor: Any) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight. Raises ShapeError for less than two axes."""
    shape = shape_of(tensor)
    if len(shape) < 2:
        raise ShapeError(f"init: fan_in and fan_out need a weight of two axes or more, not {shape}")
    places = math.prod(shape[2:])
    return shape[1] * places, shape[0] * places


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much a layer before this nonlinearity is scaled up to keep the variance.

    `param` is the negative slope of "leaky_relu". Raises ShapeError for an unknown name.

    >>> mt.nn.init.calculate_gain("relu") ** 2
    2.0000000000000004
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, (int, float)):
            raise ShapeError(f"calculate_gain: the negative slope must be a number, not {slope!r}")
        return math.sqrt(2.0 / (1 + slope**2))
    plain = ("linear", "sigmoid", "conv1d", "conv2d", "conv3d")
    transposed = ("conv_transpose1d", "conv_transpose2d", "conv_transpose3d")
    gains = {"tanh": 5.0 / 3, "relu": math.sqrt(2.0), "selu": 3.0 / 4}
    gains.update(dict.fromkeys((*plain, *transposed), 1.0))
    if nonlinearity not in gains:
        raise ShapeError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}")
    return gains[nonlinearity]


def uniform_(tensor: Any, a: float = 0.0, b: float = 1.0, generator: Any = None) -> Any:
    """Uniform on [a, b)."""
    with no_grad():
        return random.uniform_(tensor, a, b, generator=generator)


def normal_(tensor: Any, mean: float = 0.0, std: float = 1.0, generator: Any = None) -> Any:
    """Normal."""
    with no_grad():
        return random.normal_(tensor, mean, std, generator=generator)


def trunc_normal_(
    tensor: Any,
    mean: float = 0.0,
    std: float = 1.0,
    a: float = -2.0,
    b: float = 2.0,
    generator: Any = None,
) -> Any:
    """Normal, with what lies outside [a, b] drawn again."""
    with no_grad():
        check_writable("trunc_normal_", tensor)
        array = tensor.array
        if is_meta(array):
            return tensor
        whole = bool(array.flags.c_contiguous)
        draw = (generator or default_generator).trunc_normal
        made = draw(array.shape, array.dtype, mean, std, a, b, contiguous=whole)
        assign("trunc_normal_", tensor, wrap(made))
    return tensor


def constant_(tensor: Any, val: float) -> Any:
    """One value everywhere."""
    with no_grad():
        return tensor.fill_(val)


def ones_(tensor: Any) -> Any:
    """1 everywhere."""
    return constant_(tensor, 1)


def zeros_(tensor: Any) -> Any:
    """0 everywhere."""
    return constant_(tensor, 0)


def eye_(tensor: Any) -> Any:
    """The identity: 1 on the diagonal of a matrix. Raises ShapeError for anything else."""
    shape = _matrix("eye_", tensor)
    with no_grad():
        return tensor.copy_(wrap(np.eye(*shape, dtype=tensor.array.dtype)))


def _matrix(name: str, tensor: Any) -> tuple[int, ...]:
    shape = shape_of(tensor)
    if len(shape) != 2:
        raise ShapeError(f"{name}: expected a matrix, got {shape}")
    return shape


def xavier_uniform_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Uniform within gain sqrt(6 / (fan_in + fan_out)).

    Source: X. Glorot, Y. Bengio, "Understanding the difficulty of training deep feedforward neural
    networks" (2010).
    """
    fan_in, fan_out = fans(tensor)
    std = gain * math.sqrt(2.0 / float(max(fan_in + fan_out, 1)))
    bound = math.sqrt(3.0) * std
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor: Any, gain: float = 1.0, generator: Any = None) -> Any:
    """Normal with the deviation gain sqrt(2 / (fan_in + fan_out)). Source: as `xavier_uniform_`."""
    fan_in, fan_out = fans(tensor)
    std = gain * math.sqrt(2.0 / float(max(fan_in + fan_out, 1)))
    return normal_(tensor, 0.0, std, generator)


def _calculate_correct_fan(tensor: Any, mode: str) -> int:
    """fan_in or fan_out, as `mode` says."""
    mode = mode.lower()
    if mode not in ("fan_in", "fan_out"):
        raise ShapeError(f"init: mode must be 'fan_in' or 'fan_out', not {mode!r}")
    return fans(tensor)[mode == "fan_out"]


def _kaiming_std(tensor: Any, a: float, mode: str, nonlinearity: str) -> float:
    fan = _calculate_correct_fan(tensor, mode)
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def kaiming_uniform_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Any:
    """Uniform within gain sqrt(3 / fan); `a` is the negative slope of "leaky_relu".

    Source: K. He et al., "Delving deep into rectifiers" (2015).

    >>> w = mt.nn.init.kaiming_uniform_(mt.empty(3, 6), nonlinearity="relu")
    >>> bool((w.abs() <= 1).all())
    True
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound, generator)


def kaiming_normal_(
    tensor: Any,
    a: float = 0,
    mode: str = "fan_in",
    nonlinearity: str = "leaky_relu",
    generator: Any = None,
) -> Any:
    """Normal with the deviation gain / sqrt(fan). Source: as `kaiming_uniform_`."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity), generator)


def sparse_(tensor: Any, sparsity: float, std: float = 0.01, generator: Any = None) -> Any:
    """A normal matrix (rows, columns) with the share `sparsity` of each column set to 0, at random.

    Source: J. Martens, "Deep learning via Hessian-free optimization" (2010).

    >>> (mt.nn.init.sparse_(mt.empty(4, 3), 0.5) == 0).sum(0)
    tensor([2, 2, 2])
    """
    rows, cols = _matrix("sparse_", tensor)
    zeros = math.ceil(sparsity * rows)
    with no_grad():
        random.normal_(tensor, 0, std, generator=generator)
        for column in range(cols):
            tensor[random.randperm(rows)[:zeros], column] = 0
    return tensor


def dirac_(tensor: Any, groups: int = 1) -> Any:
    """The weight (out, in, *kernel) of a convolution that hands on its inputs, as many as there are outputs for.

    >>> x = mt.randn(1, 2, 5)
    >>> w = mt.nn.init.dirac_(mt.empty(2, 2, 3))
    >>> bool((mt.nn.functional.conv1d(x, w, padding=1) == x).all())
    True
    """
    shape = shape_of(tensor)
    if len(shape) not in (3, 4, 5):
        raise ShapeError(f"dirac_: expected a weight of 3, 4 or 5 axes, got {shape}")
    if shape[0] % groups:
        raise ShapeError(f"dirac_: {shape[0]} outputs are not divisible by groups {groups}")
    made = np.zeros(shape, tensor.array.dtype)
    outputs = shape[0] // groups
    for group in range(groups):
        for i in range(min(outputs, shape[1])):
            made[(group * outputs + i, i, *[n // 2 for n in shape[2:]])] = 1
    with no_grad():
        return tensor.copy_(wrap(made))


def orthogonal_(tensor: Any, gain: float = 1, generator: Any = None) -> Any:
    """Orthonormal rows or columns, whichever are fewer, times `gain`; all axes but the first count
    as columns.

    Source: A. Saxe, J. McClelland, S. Ganguli, "Exact solutions to the nonlinear dynamics of
    learning in deep linear neural networks" (2014).

    >>> w = mt.nn.init.orthogonal_(mt.empty(2, 3))
    >>> bool((w @ w.T - mt.eye(2)).abs().max() < 1e-6)
    True
    """
    shape = shape_of(tensor)
    need_float("orthogonal_", tensor)
    if len(shape) < 2:
        raise ShapeError(f"orthogonal_: expected two axes or more, got {shape}")
    if 0 in shape:
        return tensor
    rows, cols = shape[0], math.prod(shape[1:])
    x = normal_(wrap(np.empty((rows, cols), tensor.array.dtype)), generator=generator).array
    q, r = np.linalg.qr(x.T if rows < cols else x)
    q = q * np.sign(np.diag(r))  # makes the draw uniform over all such matrices
    with no_grad():
        return tensor.copy_(wrap((q.T if rows < cols else q).reshape(shape) * tensor.array.dtype.type(gain)))


def _deprecated(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function under its old name, which did not say that it writes."""
    name = function.__name__[:-1]

    def old(*args: Any, **kwargs: Any) -> Any:
        warnings.warn(f"nn.init.{name} is deprecated; use nn.init.{name}_", FutureWarning, stacklevel=2)
        return function(*args, **kwargs)

    old.__name__ = old.__qualname__ = name
    old.__doc__ = f"`{name}_` by its old name, with a FutureWarning."
    return old


uniform = _deprecated(uniform_)
normal = _deprecated(normal_)
constant = _deprecated(constant_)
eye = _deprecated(eye_)
dirac = _deprecated(dirac_)
xavier_uniform = _deprecated(xavier_uniform_)
xavier_normal = _deprecated(xavier_normal_)
kaiming_uniform = _deprecated(kaiming_uniform_)
kaiming_normal = _deprecated(kaiming_normal_)
orthogonal = _deprecated(orthogonal_)
sparse = _deprecated(sparse_)

# names that programs with layers of their own take from PyTorch's file
_calculate_fan_in_and_fan_out = fans
_no_grad_uniform_ = uniform_
_no_grad_normal_ = normal_
_no_grad_trunc_normal_ = trunc_normal_
