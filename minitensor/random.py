"""Random tensors, digit for digit PyTorch's, and the methods that fill a tensor.

The rules of each draw are in generator.py. Everything draws from `default_generator` unless a
`generator` is given. A tensor is filled in the order of its memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from . import dtypes, generator
from .device import CPU, get_default, is_meta, without_memory
from .device import check as check_device
from .errors import DtypeError, ShapeError
from .generator import bernoulli_few, memory_axes, random_few
from .graph.record import records
from .graph.tensors import wrap
from .graph.views import assign, memory_of, refill, written
from .ops.common import array_of, draws_numbers, finish, raw, small
from .ops.indexing import setitem
from .ops.shape import new_sizes

__all__ = [
    "Generator",
    "bernoulli",
    "binomial",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "seed",
    "set_rng_state",
]


class Generator(generator.Generator):
    """A stream of random numbers, handed to a function as `generator=`; its state is a tensor.

    >>> g = mt.Generator().manual_seed(2147483647)
    >>> mt.rand(3, generator=g)
    tensor([0.7081, 0.3542, 0.1054])
    """

    def get_state(self) -> Any:
        """The whole state as a uint8 tensor of PyTorch's 5056 bytes."""
        return wrap(super().get_state())

    def set_state(self, state: Any) -> None:
        """Goes on from a state that `get_state`, here or in PyTorch, returned.

        Raises DtypeError or ShapeError for anything else; the generator then stays as it was.
        """
        super().set_state(raw(state))


# Operators such as dropout know the default generator without tensors; here it learns to answer in
# them.
generator.default_generator.__class__ = Generator
default_generator: Generator = generator.default_generator  # type: ignore[assignment]


def _stream(given: Any) -> generator.Generator:
    """The generator given, or the default one."""
    if given is None:
        return default_generator
    if not isinstance(given, generator.Generator):
        raise TypeError(f"generator must be a Generator, not {type(given).__name__}")
    return given


def manual_seed(seed: int) -> Generator:
    """Starts the default generator anew, and returns it.

    >>> _ = mt.manual_seed(42)
    >>> mt.rand(2)
    tensor([0.8823, 0.9150])
    """
    default_generator.manual_seed(int(seed))
    return default_generator


def seed() -> int:
    """Seeds the default generator from the system's randomness; returns the seed."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator started from."""
    return default_generator.initial_seed()


def get_rng_state() -> Any:
    """The default generator's state, a uint8 tensor."""
    return default_generator.get_state()


def set_rng_state(new_state: Any) -> None:
    """Has the default generator go on from a state that `get_rng_state` returned."""
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(
    devices: Any = None, enabled: bool = True, _caller: str = "", _devices_kw: str = "", device_type: str = "cpu"
) -> Iterator[None]:
    """A context, or a decorator, after which the default generator goes on as if nothing had been drawn in it.

    >>> _ = mt.manual_seed(0)
    >>> with mt.random.fork_rng():
    ...     _ = mt.rand(3)
    >>> mt.rand(1)
    tensor([0.4963])
    """
    state = get_rng_state()
    try:
        yield
    finally:
        if enabled:
            set_rng_state(state)


# --- new tensors ----------------------------------------------------------------------------------

_NORMAL, _UNIFORM = generator.Generator.normal, generator.Generator.uniform
Fill = Callable[..., Any]  # of a generator, a shape or an array to fill, a dtype, and its parameters


def _shape(name: str, given: tuple[Any, ...], size: Any) -> tuple[int, ...]:
    """The sizes given one by one, as one sequence, or by the keyword."""
    return new_sizes(name, given if size is None else (size,))


def _dtype(name: str, dtype: Any, floating: bool = True) -> Any:
    """NumPy's dtype of the one asked for; the default dtype if none is."""
    d = dtypes.get_default_dtype() if dtype is None else dtypes.of(dtype)
    if floating and not (d.is_floating_point or d.is_complex):
        raise DtypeError(f"{name}: the dtype must be floating, not {d.name}")
    return d.numpy


def _drawn(sizes: tuple[int, ...], d: Any, draw: Any) -> Any:
    """draw(sizes, d); of complex numbers pairs of their parts."""
    if d.kind != "c":
        return draw(sizes, d)
    return draw((*sizes, 2), dtypes.of(d).to_real().numpy).view(d)[..., 0]


def _usual(shape: Any, size: Any, given: Any, dtype: Any, device: Any, normal: bool) -> Any:
    """A small array of numbers drawn; None where something is asked for that has to be looked at."""
    if size is not None or device is not None or get_default() is not CPU:
        return None
    d = dtypes.get_default_dtype() if dtype is None else dtype
    array = small(shape, None, d.numpy) if d is dtypes.float32 or d is dtypes.float64 else None
    return None if array is None else _drawn_into(array, _stream(given), normal)


def _drawn_into(array: Any, g: generator.Generator, normal: bool) -> Any:
    """A contiguous floating array filled with the usual numbers, normal or uniform."""
    if random_few(array, g, normal, 0.0, 1.0) is None:
        return (g.normal if normal else g.uniform)(array, array.dtype)
    return array


def _made(array: Any, device: Any, requires_grad: bool) -> Any:
    return finish(without_memory(array.shape, array.dtype) if check_device(device) else array, requires_grad)


@draws_numbers
def rand(
    *shape: Any,
    size: Any = None,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """Uniform numbers of [0, 1).

    Raises TypeError for sizes that are no integers, ShapeError for negative ones, DtypeError for
    integer dtypes.

    >>> mt.rand(2, 3).shape
    minitensor.Size([2, 3])
    """
    array = _usual(shape, size, generator, dtype, device, False)
    if array is not None:
        return finish(array, requires_grad)
    d = _dtype("rand", dtype)
    g = _stream(generator)
    return _made(_drawn(_shape("rand", shape, size), d, g.uniform), device, requires_grad)


@draws_numbers
def randn(
    *shape: Any,
    size: Any = None,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """Standard normal numbers: mean 0, standard deviation 1. Raises as `rand`.

    >>> _ = mt.manual_seed(0)
    >>> mt.randn(3)
    tensor([ 1.5410, -0.2934, -2.1788])
    """
    array = _usual(shape, size, generator, dtype, device, True)
    if array is not None:
        return finish(array, requires_grad)
    d = _dtype("randn", dtype)
    g = _stream(generator)

    def pairs(sizes: tuple[int, ...], part: Any) -> Any:  # of variance 1 together
        return g.normal(sizes, part, 0.0, math.sqrt(0.5))

    return _made(_drawn(_shape("randn", shape, size), d, g.normal if d.kind == "f" else pairs), device, requires_grad)


@draws_numbers
def randint(
    *bounds: Any,
    low: int | None = None,
    high: int | None = None,
    size: Any = None,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """Integers of [low, high), int64: `randint(high, size)` or `randint(low, high, size)`.

    Raises ShapeError for an empty range, or one that the dtype cannot hold.

    >>> _ = mt.manual_seed(0)
    >>> mt.randint(10, (5,))
    tensor([4, 9, 3, 0, 3])
    """
    usual = dtype is None and device is None and get_default() is CPU and low is high is size is None
    if usual and 1 < len(bounds) < 4 and type(bounds[-1]) is tuple:
        array = small(bounds[-1], None, dtypes.int64.numpy)
        first = bounds[0] if len(bounds) == 3 else 0
        if array is not None and random_few(array, _stream(generator), False, first, bounds[-2]) is not None:
            return finish(array, requires_grad)
    given = list(bounds)
    if size is None and given:
        size = given.pop()
    if high is None and given:
        high = given.pop()
    if low is None and given:
        low = given.pop()
    if given or high is None or size is None:
        raise TypeError("randint: expected randint(high, size) or randint(low, high, size)")
    if not isinstance(size, (tuple, list)):
        raise TypeError(f"randint: the size must be a tuple or a list, not {size!r}")
    d = _dtype("randint", dtypes.int64 if dtype is None else dtype, floating=False)
    shape = _shape("randint", (), size)
    numbers = _stream(generator).randint(_whole(low or 0), _whole(high), shape, d)
    return _made(numbers, device, requires_grad)


def _whole(bound: Any) -> int:
    """A bound as an integer: programs also give whole floats."""
    if type(bound) is int:
        return bound
    return int(bound.item() if isinstance(raw(bound), np.ndarray) else bound)


@draws_numbers
def randperm(
    n: int,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """A random order of 0, 1, ..., n - 1, int64.

    >>> _ = mt.manual_seed(0)
    >>> mt.randperm(4)
    tensor([0, 1, 3, 2])
    """
    d = _dtype("randperm", dtypes.int64 if dtype is None else dtype, floating=False)
    order = _stream(generator).randperm(n)
    return _made(order.astype(d, copy=False), device, requires_grad)


def _like(input: Any, dtype: Any) -> Any:
    """An array laid out in memory as the input's; where elements share a place, in the order of the axes."""
    a = array_of(input)
    d = a.dtype if dtype is None else dtypes.of(dtype).numpy
    out = small(a, None, d)
    if out is not None:
        return out
    if a.flags.c_contiguous:
        return np.empty(a.shape, d)
    order = memory_axes(a)
    laid = np.empty([a.shape[i] for i in order], d)
    return laid.transpose(np.argsort(order))


@draws_numbers
def rand_like(
    input: Any,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Any:
    """As `rand`, in the shape and dtype of `input`."""
    out = _like(input, dtype)
    if device is None and random_few(out, _stream(generator), False, 0.0, 1.0) is not None:
        return finish(out, requires_grad)
    _dtype("rand_like", out.dtype)
    return _made(_filled(out, generator, _UNIFORM), device, requires_grad)


@draws_numbers
def randn_like(
    input: Any,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Any:
    """As `randn`, in the shape and dtype of `input`."""
    out = _like(input, dtype)
    if device is None and random_few(out, _stream(generator), True, 0.0, 1.0) is not None:
        return finish(out, requires_grad)
    _dtype("randn_like", out.dtype)
    return _made(_filled(out, generator, _NORMAL, 0.0, 1.0), device, requires_grad)


@draws_numbers
def randint_like(
    input: Any,
    low: int,
    high: int | None = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
    memory_format: Any = None,
) -> Any:
    """As `randint`, in the shape and dtype of `input`: `(input, high)` or `(input, low, high)`."""
    out = _like(input, dtype)
    first, last = (0, low) if high is None else (low, high)
    draw: Fill = lambda g, shape, d: g.randint(_whole(first), _whole(last), shape, d)  # noqa: E731
    return _made(_filled(out, generator, draw), device, requires_grad)


@draws_numbers
def normal(
    mean: Any = 0.0,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Any = None,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    pin_memory: bool = False,
) -> Any:
    """Normal numbers with a mean and a standard deviation: two numbers and a size, or tensors.

    Tensors broadcast, and decide the shape and dtype. Raises ShapeError for a negative deviation.

    >>> _ = mt.manual_seed(0)
    >>> mt.normal(mt.tensor([0.0, 100.0]), 1.0)
    tensor([ 1.5410, 99.7066])
    """
    g = _stream(generator)
    m, s = raw(mean), raw(std)
    tensors = [a for a in (m, s) if isinstance(a, np.ndarray)]
    if not tensors:
        if size is None:
            raise TypeError("normal: with two numbers the size must be given")
        made = g.normal(_shape("normal", (), size), _dtype("normal", dtype), float(m), float(s))
        return _made(made, device, requires_grad)
    for a in tensors:
        _dtype("normal", a.dtype)
    if np.any(np.asarray(s) < 0):
        raise ShapeError("normal: the standard deviation must not be negative")
    try:
        shape = np.broadcast_shapes(*[a.shape for a in tensors])
    except ValueError:
        raise ShapeError(f"normal: mean {m.shape} and std {s.shape} do not broadcast") from None
    d = np.result_type(*[a.dtype for a in tensors])
    return _made((g.normal(shape, d) * s + m).astype(d, copy=False), device, requires_grad)


@draws_numbers
def bernoulli(input: Any, p: float | None = None, *, generator: Any = None) -> Any:
    """1 with the probability that `input` has at that place (or p everywhere), else 0.

    Raises ShapeError for a probability outside [0, 1].

    >>> mt.bernoulli(mt.tensor([0.0, 1.0]))
    tensor([0., 1.])
    """
    probabilities = array_of(input)
    if p is None:
        few = bernoulli_few(small(probabilities, None, None), _stream(generator), probabilities)
        if few is not None:
            return wrap(few)
    out = np.empty(probabilities.shape, probabilities.dtype)  # whatever the order of the input's memory
    return wrap(_filled(out, generator, _bernoulli, out, probabilities if p is None else p))


@draws_numbers
def multinomial(input: Any, num_samples: int, replacement: bool = False, *, generator: Any = None) -> Any:
    """Indices drawn with the weights `input`.

    Shapes: input (categories) or (rows, categories); the result (..., num_samples), int64.
    Raises ShapeError for weights that are negative, not finite or all 0, and for more samples than
    categories without replacement.

    >>> mt.multinomial(mt.tensor([0.0, 3.0, 0.0]), 2, replacement=True)
    tensor([1, 1])
    """
    g = _stream(generator)
    return wrap(g.multinomial(raw(input), num_samples, replacement))


@draws_numbers
def poisson(input: Any, generator: Any = None) -> Any:
    """Poisson numbers whose rates are the elements of `input`, in its dtype.

    Raises ShapeError for a rate that is negative.

    >>> mt.poisson(mt.zeros(2))
    tensor([0., 0.])
    """
    rate = _floats("poisson", input)
    return wrap(_stream(generator).poisson(rate).astype(rate.dtype))


@draws_numbers
def binomial(count: Any, prob: Any, generator: Any = None) -> Any:
    """How many of `count` trials of probability `prob` succeed; both are tensors that broadcast.

    >>> mt.binomial(mt.tensor([4.0]), mt.tensor([1.0]))
    tensor([4.])
    """
    n, p = _floats("binomial", count), _floats("binomial", prob)
    return wrap(_stream(generator).binomial(n, p).astype(np.result_type(n.dtype, p.dtype)))


def standard_gamma(input: Any, generator: Any = None) -> Any:
    """Gamma numbers of rate 1 in float64, whose concentrations are the elements of `input`."""
    return wrap(_stream(generator).gamma(_floats("standard_gamma", input)))


def _floats(name: str, x: Any) -> Any:
    a = raw(x)
    if not isinstance(a, np.ndarray) or a.dtype.kind != "f":
        kind = a.dtype if isinstance(a, np.ndarray) else type(a).__name__
        raise DtypeError(f"{name}: expected a tensor of floating dtype, got {kind}")
    return a


# --- methods that fill a tensor -------------------------------------------------------------------


def _filled(out: Any, generator: Any, draw: Fill, *parameters: Any) -> Any:
    """The array filled with `draw(generator, array, dtype, *parameters)`, in the order of its memory, or another in its
    place."""
    if out.flags.c_contiguous:
        return draw(_stream(generator), out, out.dtype, *parameters)
    view = out.transpose(memory_axes(out))
    others = {"contiguous": False} if draw is _NORMAL else {}
    view[...] = draw(_stream(generator), view.shape, out.dtype, *parameters, **others)
    return out


def _refill(name: str, x: Any, given: Any, draw: Fill, *parameters: Any) -> Any:
    """Writes random numbers into the memory of a tensor; in the graph they depend on nothing."""
    array = memory_of(name, x)
    if array is not None:
        made = draw(default_generator if given is None else _stream(given), array, array.dtype, *parameters)
        if made is not array:
            array[...] = made
        written((x,))
        return x
    if is_meta(x.array):
        return x
    made = wrap(_filled(np.empty_like(x.array), given, draw, *parameters))
    if records(x):
        setitem(x, ..., made)  # x stays where it is in the graph, with the gradient 0
    else:
        assign(name, x, made)
    return x


def _bernoulli(g: generator.Generator, into: Any, d: Any, out: Any, p: Any) -> Any:
    if isinstance(p, np.ndarray) and not (p.shape == out.shape and out.flags.c_contiguous):
        axes = memory_axes(out)
        try:
            p = np.broadcast_to(p, out.shape).transpose(axes)
        except ValueError:
            raise ShapeError(f"bernoulli: p {p.shape} does not broadcast to {out.shape}") from None
    return g.bernoulli(into, d, p)


@draws_numbers
def normal_(input: Any, mean: float = 0.0, std: float = 1.0, *, generator: Any = None) -> Any:
    """Fills with normal numbers."""
    if refill("normal_", input, random_few, _stream(generator), True, mean, std):
        return input
    return _refill("normal_", input, generator, _NORMAL, float(mean), float(std))


@draws_numbers
def uniform_(input: Any, from_: float = 0.0, to: float = 1.0, *, generator: Any = None) -> Any:
    """Fills with uniform numbers of [from, to)."""
    if refill("uniform_", input, random_few, _stream(generator), False, from_, to):
        return input
    return _refill("uniform_", input, generator, _UNIFORM, float(from_), float(to))


@draws_numbers
def bernoulli_(input: Any, p: Any = 0.5, *, generator: Any = None) -> Any:
    """Fills with 1 with probability p (a number, or a tensor that broadcasts), else 0."""
    return _refill("bernoulli_", input, generator, _bernoulli, input.array, raw(p))


@draws_numbers
def exponential_(input: Any, lambd: float = 1.0, *, generator: Any = None) -> Any:
    """Fills with exponential numbers of rate `lambd`."""
    rate = float(lambd)
    return _refill("exponential_", input, generator, lambda g, s, d: g.exponential(s, d, rate))


@draws_numbers
def random_(input: Any, from_: Any = None, to: Any = None, *, generator: Any = None) -> Any:
    """Fills with integers of [from, to), of [0, from), or of all that the dtype holds."""
    low, high = (None, from_) if to is None else (from_, to)
    return _refill("random_", input, generator, lambda g, s, d: g.random_(s, d, low, high))


@draws_numbers
def cauchy_(input: Any, median: float = 0.0, sigma: float = 1.0, *, generator: Any = None) -> Any:
    """Fills with Cauchy numbers."""
    return _refill("cauchy_", input, generator, lambda g, s, d: g.cauchy(s, d, median, sigma))


@draws_numbers
def log_normal_(input: Any, mean: float = 1.0, std: float = 2.0, *, generator: Any = None) -> Any:
    """Fills with numbers whose logarithm is normal with this mean and deviation."""
    return _refill("log_normal_", input, generator, lambda g, s, d: g.log_normal(s, d, mean, std))


@draws_numbers
def geometric_(input: Any, p: float, *, generator: Any = None) -> Any:
    """Fills with how many trials of probability p it takes to succeed."""
    return _refill("geometric_", input, generator, lambda g, s, d: g.geometric(s, d, p))
