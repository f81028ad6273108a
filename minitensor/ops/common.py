"""What the operator families share: promotion, axes, the row of an elementwise operator, samples."""

from __future__ import annotations

import functools
import inspect
import math
import operator
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np

from .. import _core, dtypes, pytree
from ..errors import DtypeError, GraphError, IndexRangeError, NoTensorError, OutOfMemoryError, ShapeError
from ..graph import views
from ..graph.modes import autocast_dtype, batch_levels, grad_enabled, uses_reference
from ..graph.nodes import called
from ..graph.record import apply, apply_one, apply_two, attempt, records
from ..graph.tensors import vmap_layer
from ..graph.views import assign, check_writable
from ..op import OPS, Op, Result, Sample

try:
    import cython
except ImportError:
    from .. import _cython as cython
if not cython.compiled:
    from ..graph.tensors import Tensor, wrap

Array = np.ndarray[Any, np.dtype[Any]]
Pair = tuple[int, int]
F = TypeVar("F", bound=Callable[..., Any])


def raw(x: Any) -> Any:
    """The ndarray of a tensor; anything else as it is."""
    return x.array if isinstance(x, Tensor) else x


def array_of(x: Any) -> Array:
    """The ndarray of a tensor, or `x` if it is one. Raises DtypeError for others, naming the function called."""
    if isinstance(x, Tensor):
        return x.array  # type: ignore[no-any-return]
    if isinstance(x, np.ndarray):
        return x
    raise NoTensorError(f"expected a tensor, got {type(x).__name__} {x!r:.40}")


def wrap_as(x: Any, array: Array) -> Any:
    """An array that was computed from `x`, outside the graph: a tensor if `x` is one."""
    return wrap(array) if isinstance(x, Tensor) else array


def order_of_copy(x: Array) -> Any:
    """NumPy's name for the order in memory of a copy of x: that of x, but that of the axes if x is broadcast."""
    return "C" if 0 in x.strides else "K"


def is_channels_last(x: Array) -> bool:
    """Whether the channels of images (N, C, H, W) lie next to each other in memory, by PyTorch's rule for strides."""
    if x.ndim != 4 or x.flags.c_contiguous:
        return False
    least = 0
    for axis in (1, 3, 2, 0):
        size, stride = x.shape[axis], x.strides[axis]
        if size == 0 or stride < max(least, 1) or (axis == 0 and least == x.strides[1]):
            return False
        least = stride * max(size, 1)
    return True


def channels_last(x: Array) -> Array:
    """A copy of images whose channels lie next to each other in memory."""
    return _core.copy(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)


def laid_as(y: Array, *inputs: Array) -> Array:
    """Images in the order of memory of those that they were computed from, as PyTorch lays them.

    The order shows in strides, and in which number is drawn for which element by what draws in the order of memory.
    """
    for x in inputs:
        if not x.flags.c_contiguous and is_channels_last(x):
            return channels_last(y)
    return y


def shape_of(x: Any) -> tuple[int, ...]:
    """The sizes of a tensor or ndarray."""
    shape: tuple[int, ...] = array_of(x).shape
    return shape


def is_floating(x: Any) -> bool:
    """Whether `x` is a tensor or an array of a floating or complex dtype."""
    a = raw(x)
    return isinstance(a, np.ndarray) and a.dtype.kind in "fc"


def promote(name: str, *values: Any) -> list[Any]:
    """Tensors, arrays and Python numbers as tensors or arrays of their common dtype (PyTorch's rules)."""
    arrays = [raw(v) for v in values]
    if len(values) == 2:  # the usual cases first: one dtype, or an array and a number that does not change its dtype
        a, b = arrays
        if isinstance(a, np.ndarray):
            if isinstance(b, np.ndarray):
                if a.dtype is b.dtype:
                    return list(values)
            elif type(b) in _NUMBERS[a.dtype.kind]:
                if a.dtype.itemsize == 2 and a.dtype.kind == "f" and name in ("mul", "div"):
                    return [values[0], _number(b, _F32)]  # PyTorch rounds the product alone
                return [values[0], _number(b, a.dtype)]
        elif isinstance(b, np.ndarray) and type(a) in _NUMBERS[b.dtype.kind]:
            half = b.dtype.itemsize == 2 and b.dtype.kind == "f" and name == "mul"
            return [_number(a, _F32 if half else b.dtype), values[1]]
    elif len(values) == 1 and isinstance(arrays[0], np.ndarray) and arrays[0].dtype.kind in "fbiu":
        return list(values)
    known = [(dtypes.of(v.dtype), v.ndim) for v in arrays if isinstance(v, np.ndarray)]
    numbers = [v for v in arrays if not isinstance(v, np.ndarray)]
    try:
        common = dtypes.result_type(known, numbers)
    except DtypeError as error:
        raise type(error)(f"{name}: {error}") from None
    return [to_dtype(v, common) for v in values]


def promote_float(name: str, *values: Any) -> list[Any]:
    """As `promote`, with integers and bools becoming the default floating dtype."""
    if any(map(is_floating, values)):
        return promote(name, *values)
    for v in values:
        if not isinstance(raw(v), np.ndarray):
            promote(name, v)  # raises for what is no number
    return [to_dtype(v, dtypes.get_default_dtype()) for v in values]


def need_float(name: str, *values: Any) -> None:
    """Raises unless every tensor given is floating; all but the first may be None."""
    first = True
    for v in values:
        if (v is not None or first) and array_of(v).dtype.kind != "f":
            raise DtypeError(f"{name}: expected a floating dtype, got {array_of(v).dtype}")
        first = False


def few(name: str, what: str, n: int) -> None:
    """Raises unless a loop of n steps, each an operator, ends in sensible time."""
    if n > 1 << 20:
        raise OutOfMemoryError(f"{name}: {what} = {n} asks for more steps than there is time or memory for")


def number(name: str, what: str, value: Any) -> float:
    """A Python number: `value` itself, or the one element of a tensor."""
    a = raw(value)
    if isinstance(a, np.ndarray) and a.size == 1:
        return a.item()  # type: ignore[no-any-return]
    if not isinstance(a, (int, float, np.generic)):
        raise DtypeError(f"{name}: {what} must be a number, not {type(value).__name__} {value!r:.40}")
    return a  # type: ignore[return-value]


def pair(name: str, what: str, value: Any, least: int) -> Pair:
    """One number for both axes of a plane, or one for each: a kernel's size, a stride, a padding."""
    rows, columns = each(name, what, value, least, 2)
    return rows, columns


def each(name: str, what: str, value: Any, least: int, n: int) -> tuple[int, ...]:
    """One number for all of n axes, or one for each."""
    given = tuple(value) if isinstance(value, (tuple, list)) else (value,)
    given = given * n if len(given) == 1 else given
    if len(given) == n:
        for k in given:
            if type(k) is not int or not least <= k < 2**31:
                break
        else:
            return given
    if len(given) != n or not all(isinstance(k, (int, np.integer)) for k in given):
        raise ShapeError(f"{name}: {what} must be one integer{('', ' or two', ' or three')[n - 1]}, not {value!r}")
    if not all(least <= k < 2**31 for k in given):
        raise ShapeError(f"{name}: {what} {value!r} must be at least {least} (and below 2^31)")
    return tuple([int(k) for k in given])


def around(shape: tuple[int, ...], dim: int) -> tuple[int, int, int]:
    """(outer, n, inner): the sizes before, along and after an axis."""
    outer, n, inner = 1, shape[dim] if shape else 1, 1
    for k in shape[:dim]:
        outer *= k
    for k in shape[dim + 1 :]:
        inner *= k
    return outer, n, inner


def axis(name: str, dim: Any, ndim: int) -> int:
    """`dim` counted from the front; a tensor without axes has one for this purpose."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim if dim >= 0 else dim + ndim
    try:
        d = operator.index(raw(dim))
    except TypeError:
        raise TypeError(f"{name}: dim must be an integer, not {dim!r}") from None
    n = max(ndim, 1)
    if not -n <= d < n:
        raise IndexRangeError(f"{name}: dim {d} is out of range for {ndim} axes, expected {-n} to {n - 1}")
    return d % n


def numpy_names(function: F) -> F:
    """The function, which also takes NumPy's `axis` and `keepdims` for `dim` and `keepdim`, as PyTorch's do."""

    @functools.wraps(function)
    def named(*args: Any, **kwargs: Any) -> Any:
        if not kwargs:
            return function(*args)
        if "axis" in kwargs:
            kwargs["dim"] = kwargs.pop("axis")
        if "keepdims" in kwargs:
            kwargs["keepdim"] = kwargs.pop("keepdims")
        return function(*args, **kwargs)

    return named  # type: ignore[return-value]


def write_out(name: str, result: Any, out: Any) -> Any:
    """The end of `f(..., out=out)`: writes the result into `out` (a tensor, or a tuple of tensors) and returns that.

    The result is complete before it is written, so `out` may be one of the arguments. An `out` of another shape gets
    the result's, with a warning unless it was empty. Nothing is recorded: raises GraphError if a gradient is required,
    DtypeError if the result cannot be cast to the dtype of `out`.
    """
    if isinstance(result, tuple):
        if not isinstance(out, (tuple, list)) or len(out) != len(result):
            raise TypeError(f"{name}: out must be a tuple of {len(result)} tensors")
        written = [write_out(name, r, o) for r, o in zip(result, out, strict=True)]
        return type(result)(*written) if hasattr(result, "_fields") else tuple(written)
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}: out must be a tensor, not {type(out).__name__}")
    if not isinstance(result, Tensor):  # of arrays
        result = wrap(result)
    if result.requires_grad or (out.requires_grad and grad_enabled()):
        raise GraphError(f"{name}: a result written into out=... is not recorded; leave out away, or use no_grad()")
    before, shape = out.array.shape, result.array.shape
    if before != shape:
        if not np.can_cast(result.array.dtype, out.array.dtype, "same_kind"):
            raise DtypeError(f"{name}: a {result.array.dtype} result cannot be written into a {out.array.dtype} out")
        if out.array.size:
            warnings.warn(f"{name}: out of shape {before} now has the result's shape {shape}", stacklevel=3)
        out.replace(result.array.astype(out.array.dtype))
        return out
    check_writable(name, out)
    assign(name, out, result)
    return out


_WRITE_ANYWHERE = frozenset(_core.into)  # kernels that take, last, an array for their result
_WRITERS: dict[str, Callable[..., Any]] = {}


def writes(name: str) -> Callable[[F], F]:
    """Decorates `f(*arrays, into, **options)`, which has a kernel write the result of the operator `name` into an
    array, or gives None where it cannot."""

    def decorate(function: F) -> F:
        _WRITERS[name] = function
        return function

    return decorate


def writer(name: str) -> tuple[Callable[..., Any], int] | None:
    """What writes the result of the function `name` into an array, as `writes` has it, and of how many operands."""
    if name not in OPS and name not in _WRITERS:
        return None
    kernel = _WRITERS[name] if name in _WRITERS else OPS[name].kernel
    known = name in _WRITERS or (name in _WRITE_ANYWHERE and kernel is getattr(_core, name))
    if not known or kernel is None:
        return None
    if name not in _WRITERS:
        return kernel, len(OPS[name].rules)
    return kernel, kernel.__code__.co_argcount - 1 - len(kernel.__defaults__ or ())  # (*operands, into, alpha=1)


def straight(name: str, out: Any, *args: Any) -> bool:
    """Whether the kernel of the function `name` has written its result straight into `out`; else `write_out` does."""
    return bool(views.write_out(name, out, args, writer(name)))


def finish(array: Any, requires_grad: bool) -> Any:
    """A leaf over a fresh array."""
    out: Any = wrap(array)
    if requires_grad:
        out.requires_grad = True
    return out


small = _core.filled  # small(sizes or an array like it, value, dtype or that of the array), or None: see create.cpp
diagonal = _core.diagonal  # a view, as of ndarray.diagonal
refilled = _core.refilled  # refilled(array, value): that array, of one value, or None
progression, evenly = _core.progression, _core.evenly


def filled(shape: Sequence[int], value: Any, dtype: np.dtype[Any]) -> Array:
    """An array of one value."""
    few = small(tuple(shape), value, dtype)
    if few is not None:
        return few
    if type(value) in (int, float) and value == 0 and math.copysign(1, value) > 0:
        return np.zeros(shape, dtype)
    if 1 << 14 <= math.prod(shape) <= 1 << 30 and dtype.itemsize >= 4:
        return _core.copy(np.broadcast_to(np.asarray(value, dtype), shape))
    array = np.empty(shape, dtype)  # np.full takes three times as long for a few
    array.fill(value)
    return array


def unary(op: Op, input: Any, out: Any) -> Any:
    """An operator on one argument, which becomes floating; written into `out` unless that is None."""
    if out is not None and straight(op.name, out, input):
        return out
    result = apply_one(op, input)
    return result if out is None else write_out(op.name, result, out)


def binary(op: Op, x: Any, y: Any, out: Any) -> Any:
    """An operator on two arguments in their common dtype; written into `out` unless that is None."""
    if out is not None and straight(op.name, out, x, y):
        return out
    result = apply_two(op, x, y)
    return result if out is None else write_out(op.name, result, out)


def floating(op: Op, input: Any, *params: Any) -> Any:
    """An operator on one argument, which must be floating, and its parameters in the order of `op.names`."""
    result = attempt(op, input, *params)
    if result is None:
        need_float(op.name, input)
        result = apply(op, input, **dict(zip(op.names, params, strict=True)))
    return result


def axes(name: str, dim: Any, ndim: int) -> tuple[int, ...]:
    """The axes meant by an int, a sequence or None (all), sorted, each once."""
    if dim is None or (isinstance(dim, (tuple, list)) and len(dim) == 0):
        return _ALL[ndim] if ndim < len(_ALL) else tuple(range(ndim))
    if type(dim) is int and 0 <= dim < ndim:
        return (dim,)
    found = [axis(name, d, ndim) for d in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    if len(set(found)) != len(found):
        raise ShapeError(f"{name}: dim {tuple(dim)} names an axis twice")
    return tuple(sorted(found)) if ndim else ()


_ALL = ((), (0,), (0, 1), (0, 1, 2), (0, 1, 2, 3))  # all axes of tensors with few


# --- batches: what vmap makes of an operator --------------------------------------------------------------------------

BatchRule = Callable[..., Any]  # see Op.batch


def with_batch(args: Sequence[Any], flags: Sequence[bool]) -> list[Any]:
    """The arguments, all with the batch in front: those without it are repeated."""
    size = next(shape_of(a)[0] for a, flag in zip(args, flags, strict=True) if flag)
    return [
        a if flag or not hasattr(raw(a), "shape") else apply(OPS["expand"], a, shape=(size, *shape_of(a)))
        for a, flag in zip(args, flags, strict=True)
    ]


def shifted(name: str, *axes: str, sizes: str = "") -> BatchRule:
    """Of an operator along axes counted from the front: those parameters move by one; `sizes` gets the batch's."""

    def rule(args: Sequence[Any], flags: Sequence[bool], **params: Any) -> Any:
        given = with_batch(args, flags)
        size = shape_of(given[0])[0]
        bare = bool(axes) and len(shape_of(given[0])) == 1  # an element without axes counts as having one
        if bare:
            given = [apply(OPS["reshape"], a, shape=(size, 1)) if hasattr(raw(a), "shape") else a for a in given]
        for key in axes:
            d = params[key]
            if d is not None:
                moved = [k + (k >= 0) for k in ((d,) if isinstance(d, int) else d or (0,) * bare)]
                params[key] = moved[0] if isinstance(d, int) else tuple(moved)
        if sizes:
            params[sizes] = (size, *params[sizes])
        out = apply(OPS[name], *given, **params)
        if not bare:
            return out
        flat = [apply(OPS["reshape"], y, shape=(size,)) for y in (out if isinstance(out, tuple) else (out,))]
        return tuple(flat) if isinstance(out, tuple) else flat[0]

    return rule


def folded(name: str, shared: int = 1) -> BatchRule:
    """Of an operator on separate examples: batch and examples become one axis. Arguments from `shared` on have none."""

    def rule(args: Sequence[Any], flags: Sequence[bool], **params: Any) -> Any:
        if any(flags[shared:]):
            return NotImplemented
        given = with_batch(args[:shared], flags[:shared])
        lead = shape_of(given[0])[:2]
        flat = [apply(OPS["reshape"], a, shape=(lead[0] * lead[1], *shape_of(a)[2:])) for a in given]
        out = apply(OPS[name], *flat, *args[shared:], **params)

        def parted(y: Any) -> Any:
            return apply(OPS["reshape"], y, shape=(*lead, *shape_of(y)[1:]))

        return tuple([parted(y) for y in out]) if isinstance(out, tuple) else parted(out)

    return rule


def elements(x: Any) -> Any:
    """The ndarray of a tensor, inside vmap that of the whole batch: for checks of all elements at once."""
    layer = vmap_layer(x)
    while layer is not None:
        x = layer.tensor
        layer = vmap_layer(x)
    return raw(x)


def reads(*names: str) -> Callable[[F], F]:
    """Of a function that reads elements of these arguments (or of any): in a batch of them it runs for each element."""

    def decorate(function: F) -> F:
        order = list(inspect.signature(function).parameters)
        places = [(name, order.index(name)) for name in names]

        @functools.wraps(function)
        def reading(*args: Any, **kwargs: Any) -> Any:
            if batch_levels():
                read: Any = [args[i] if i < len(args) else kwargs.get(name) for name, i in places]
                layer = vmap_layer(*pytree.leaves(read if names else (args, kwargs)))
                if layer is not None:
                    return layer.level.each(reading, args, kwargs)
            return function(*args, **kwargs) if kwargs else function(*args)

        return reading  # type: ignore[return-value]

    return decorate


def draws_numbers(function: F) -> F:
    """Of a function that draws random numbers: in a batch it does as vmap's `randomness` says."""

    @functools.wraps(function)
    def drawing(*args: Any, **kwargs: Any) -> Any:
        levels = batch_levels()
        if levels:
            return levels[-1].draw(drawing, args, kwargs)
        return function(*args, **kwargs) if kwargs else function(*args)

    return drawing  # type: ignore[return-value]


def lowered(*values: Any) -> list[Any]:
    """In autocast, the tensors cast to its dtype but for those of float64; others, and all outside, as they are."""
    wanted = autocast_dtype()
    return list(values) if wanted is None else [_in_autocast(v, dtypes.of(wanted)) for v in values]


def _in_autocast(x: Any, d: dtypes.dtype) -> Any:
    fits = isinstance(x, Tensor) and x.array.dtype.kind == "f" and x.array.dtype.itemsize < 8
    return to_dtype(x, d) if fits else x


def widens(function: F) -> F:
    """Of a function that computes in float32 in autocast: the tensors that it gets are cast to that."""

    @functools.wraps(function)
    def wide(*args: Any, **kwargs: Any) -> Any:
        if autocast_dtype() is not None:
            args, kwargs = pytree.tree_map(lambda x: _in_autocast(x, dtypes.float32), (args, kwargs))
        return function(*args, **kwargs)

    return wide  # type: ignore[return-value]


# --- casts: the one operator that everything needs --------------------------------------------------------------------


def _cast_reference(x: Array, *, dtype: Any) -> Result:
    before = x.dtype
    if before.kind == "c" and dtype.kind not in "cb":
        x = x.real
    if dtype.itemsize == 2 and dtype.kind == "f" and x.dtype.kind == "f" and x.dtype.itemsize != 4:
        x = x.astype(np.float32)  # as PyTorch rounds float64: twice; float16 and bfloat16 become each other so
    return x.astype(dtype), (before,)


def _cast_dx(g: Any, before: Any, *, dtype: Any) -> Any:
    return to_dtype(g, dtypes.of(before))


def _cast_samples(rng: np.random.Generator) -> Iterator[Sample]:
    yield Sample((rng.standard_normal((2, 3)),), {"dtype": np.dtype("float64")})


CAST = Op(
    "cast",
    _cast_reference,
    None,
    (_cast_dx,),
    "linear",
    _cast_samples,
    moves=True,
    batch=shifted("cast"),
)


def to_dtype(x: Any, d: dtypes.dtype) -> Any:
    """`x` (a tensor, array or number) in the dtype `d`; itself if it already is."""
    a = raw(x)
    if isinstance(a, np.ndarray):
        if a.dtype is d.numpy:
            return x
        if not (uses_reference() or records(x)):
            out = _core.cast(a, d.numpy)
            if out is not None:
                return wrap_as(x, out)
        return apply(CAST, x, dtype=d.numpy)
    return _number(a, d.numpy)


def cast_array(x: Array, dtype: np.dtype[Any]) -> Array | None:
    """An array in another dtype by the kernel, or None where that is not for it."""
    return None if uses_reference() or x.dtype is dtype else _core.cast(x, dtype)


def copied(x: Any) -> Any:
    """The same values in memory of their own."""
    return apply(CAST, x, dtype=raw(x).dtype)


_NUMBERS = defaultdict(tuple, f=(float, int), i=(int,), u=(int,))  # of each kind of dtype
_F32 = np.dtype("float32")


def _number(value: Any, dtype: np.dtype[Any]) -> Array:
    try:
        return np.asarray(value, dtype)
    except OverflowError:
        raise DtypeError(f"{value!r} does not fit into {dtype}") from None


def together(kernel: Callable[..., Any], rules: tuple[Callable[..., Any] | None, ...]) -> Callable[..., Any]:
    """The joint rule of an operator with a kernel that makes the gradients of all arguments in one walk.

    `kernel(g, *saved, **params)` gives what the rules give. It runs for a first derivative of several arguments; the
    rules remain the definition, and serve every order.
    """

    def joint(wanted: tuple[bool, ...], g: Any, *saved: Any, **params: Any) -> Any:
        if isinstance(g, np.ndarray) and not uses_reference() and sum(wanted) > 1:
            return kernel(g, *saved, **params)
        pairs = zip(rules, wanted, strict=True)
        return tuple([rule(g, *saved, **params) if rule is not None and want else None for rule, want in pairs])

    return joint


# --- elementwise operators --------------------------------------------------------------------------------------------


def elementwise(
    name: str,
    *,
    reference: Callable[..., Any],
    kernel: Callable[..., Any] | None,
    rules: tuple[Callable[..., Any] | None, ...],
    saves: str,
    samples: Callable[[np.random.Generator], Iterator[Sample]],
    exact: bool = False,
    names: tuple[str, ...] = (),
) -> Op:
    """The row of an operator that works element by element on arguments that broadcast.

    A ufunc of NumPy is its own kernel where none is given: its loops run by several threads.

    `saves` names what its rules get, in order: "x", "y" ... for the arguments as they come, "out" for the output.
    `names` are the parameters', where the kernel takes them by position too.
    """
    order = tuple([("x", "y", "z").index(s) if s != "out" else -1 for s in saves.split()])

    def with_saved(run: Callable[..., Any]) -> Callable[..., Result]:
        def nothing(*arrays: Array, **params: Any) -> Result:
            return run(*arrays, **params), ()

        def output(*arrays: Array, **params: Any) -> Result:
            out = run(*arrays, **params)
            return out, (out,)

        def inputs(*arrays: Array, **params: Any) -> Result:
            return run(*arrays, **params), arrays

        def some(*arrays: Array, **params: Any) -> Result:
            out = run(*arrays, **params)
            return out, tuple([out if i < 0 else arrays[i] for i in order])

        # The usual cases have a shorter way: small tensors feel it.
        usual = {(): nothing, (-1,): output, tuple(range(len(rules))): inputs}
        return usual.get(order, some)

    def numpy(*arrays: Array, **params: Any) -> Any:
        return np.asarray(reference(*arrays, **params))

    run = kernel
    if kernel is None and isinstance(reference, np.ufunc) and reference.nout == 1:
        kernel = _core.loop(reference, name)

        def run(*arrays: Array) -> Any:
            out = kernel(*arrays)
            return numpy(*arrays) if out is None else out

    return Op(
        name,
        with_saved(numpy),
        None if run is None or names else with_saved(run),  # by position: the operator's own way
        rules,
        "elementwise",
        samples,
        broadcasts=len(rules) > 1,
        exact=exact,
        kernel=kernel,
        saves=order,
        names=names,
    )


def composed(name: str, run: Callable[..., Any]) -> Callable[..., Any]:
    """A kernel made of others, which complains about shapes in its own name."""

    def kernel(*arrays: Array) -> Any:
        try:
            return run(*arrays)
        except ShapeError as error:
            raise ShapeError(f"{name}: {str(error).partition(': ')[2]}") from None

    return kernel


def named(name: str) -> Callable[[F], F]:
    """Decorates a formula of several operators that is one node of PyTorch's: the node of each result has its name."""

    def decorate(function: Any) -> Any:
        @functools.wraps(function)
        def formula(*args: Any, **kwargs: Any) -> Any:
            result = function(*args, **kwargs) if kwargs else function(*args)
            if not isinstance(result, tuple):
                return called(result, name)
            for y in result:
                called(y, name)
            return result

        return formula

    return decorate


Samples = Callable[["np.random.Generator"], Iterator[Sample]]  # quoted: numpy.random is imported when first used


def draws(
    *shapes: tuple[Sequence[int], ...],
    low: float = -2.0,
    high: float = 2.0,
    away: float = 0.0,
    **params: Any,
) -> Samples:
    """Samples with one argument, uniform between `low` and `high`, for each of the shapes of each call.

    `away` moves every value so far away from 0, where a function has a kink or a pole.
    """

    def samples(rng: np.random.Generator) -> Iterator[Sample]:
        for call in shapes:
            args = [np.asarray(rng.uniform(low, high, shape)) for shape in call]
            yield Sample(tuple([x + np.copysign(away, x) for x in args]), params)

    return samples


ONE = (((2, 3),), ((),), ((0, 3),), ((1,),), ((33,),), ((67,),))  # the shapes that a unary operator is sampled at
TWO = (
    ((2, 3), (2, 3)),
    ((2, 3), (3,)),
    ((2, 1), (1, 3)),
    ((), (4,)),
    ((0, 3), (1, 3)),
    ((5, 67), (67,)),
)
COLUMNS = (((3, 1), (67,)), ((67,), (3, 1)))  # a value repeated along a long row
