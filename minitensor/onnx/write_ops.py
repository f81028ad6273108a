"""What each operator of ours is among ONNX's: elementwise, shapes, indexing, reductions. See `write`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..ops.pad import places
from .table import NUMBER_OF
from .write import WRITERS, Size, Varies, merged, writes

LAST = np.iinfo(np.int64).max

# --- elementwise ------------------------------------------------------------------------------------------------------

_SAME = {
    "abs": "Abs", "acos": "Acos", "acosh": "Acosh", "add": "Add", "asin": "Asin", "asinh": "Asinh", "atan": "Atan",
    "atanh": "Atanh", "ceil": "Ceil", "clamp_high": "Min", "clamp_low": "Max", "clone": "Identity",
    "contiguous": "Identity", "cos": "Cos",
    "cosh": "Cosh", "det": "Det", "div": "Div", "eq": "Equal", "exp": "Exp", "floor": "Floor",
    "ge": "GreaterOrEqual", "gt": "Greater", "isinf": "IsInf", "isnan": "IsNaN", "le": "LessOrEqual", "log": "Log",
    "lt": "Less", "matmul": "MatMul", "maximum": "Max", "minimum": "Min", "mul": "Mul", "neg": "Neg", "pow": "Pow",
    "prelu": "PRelu", "reciprocal": "Reciprocal", "relu": "Relu", "round": "Round", "sigmoid": "Sigmoid",
    "sign": "Sign", "sin": "Sin", "sinh": "Sinh", "sqrt": "Sqrt", "sub": "Sub", "tan": "Tan", "tanh": "Tanh",
}  # fmt: skip


def _plainly(kind: str) -> Any:
    return lambda b, s, *inputs: b.node(kind, *inputs)


for _name, _kind in _SAME.items():
    writes(_name)(_plainly(_kind))


def _formula(name: str, *steps: tuple[Any, ...]) -> None:
    """An operator as a chain of nodes: each step is (kind, operands), where an operand is a number (in the dtype of the
    first input), "x", "y", "z" for the inputs, or the number of an earlier step in brackets."""

    def write(b: Any, s: Any, *inputs: Any) -> Any:
        made: list[str] = []
        for kind, *operands in steps:
            given = []
            for o in operands:
                if isinstance(o, list):
                    given.append(made[o[0]])
                else:
                    given.append(inputs["xyz".index(o)] if isinstance(o, str) else b.number(o, inputs[0]))
            made.append(b.node(kind, *given))
        return made[-1]

    writes(name)(write)


_formula("square", ("Mul", "x", "x"))
_formula("rsqrt", ("Sqrt", "x"), ("Reciprocal", [0]))
_formula("log2", ("Log", "x"), ("Mul", [0], 1 / math.log(2)))
_formula("log10", ("Log", "x"), ("Mul", [0], 1 / math.log(10)))
_formula("log1p", ("Add", "x", 1), ("Log", [0]))
_formula("exp2", ("Pow", 2, "x"))
_formula("expm1", ("Exp", "x"), ("Sub", [0], 1))
_formula("silu", ("Sigmoid", "x"), ("Mul", "x", [0]))
_formula("mish", ("Softplus", "x"), ("Tanh", [0]), ("Mul", "x", [1]))
_formula("log_sigmoid", ("Neg", "x"), ("Softplus", [0]), ("Neg", [1]))
_formula(
    "binary_cross_entropy_with_logits",
    ("Sub", 1, "y"),
    ("Mul", [0], "x"),
    ("Neg", "x"),
    ("Softplus", [2]),
    ("Add", [1], [3]),
)
_formula("hardsigmoid", ("Add", "x", 3), ("Max", [0], 0), ("Min", [1], 6), ("Div", [2], 6))
_formula("hardswish", ("Add", "x", 3), ("Max", [0], 0), ("Min", [1], 6), ("Mul", "x", [2]), ("Div", [3], 6))
_formula("logit", ("Sub", 1, "x"), ("Div", "x", [0]), ("Log", [1]))
_formula("softsign", ("Abs", "x"), ("Add", [0], 1), ("Div", "x", [1]))
_formula("angle", ("Less", "x", 0), ("Where", [0], math.pi, 0), ("IsNaN", "x"), ("Where", [2], "x", [1]))
_formula("lerp", ("Sub", "y", "x"), ("Mul", "z", [0]), ("Add", "x", [1]))
_formula("hypot", ("Mul", "x", "x"), ("Mul", "y", "y"), ("Add", [0], [1]), ("Sqrt", [2]))
_formula("ne", ("Equal", "x", "y"), ("Not", [0]))
_formula("frac", ("Abs", "x"), ("Floor", [0]), ("Sign", "x"), ("Mul", [1], [2]), ("Sub", "x", [3]))
_formula("zero", ("Mul", "x", 0))
_formula("fmax", ("IsNaN", "x"), ("Where", [0], "y", "x"), ("IsNaN", "y"), ("Where", [2], "x", "y"), ("Max", [1], [3]))
_formula("fmin", ("IsNaN", "x"), ("Where", [0], "y", "x"), ("IsNaN", "y"), ("Where", [2], "x", "y"), ("Min", [1], [3]))
_formula("isposinf", ("Equal", "x", math.inf))
_formula("isneginf", ("Equal", "x", -math.inf))
_formula("heaviside", ("Equal", "x", 0), ("Sign", "x"), ("Max", [1], 0), ("Where", [0], "y", [2]))
_formula("xlog1py", ("Equal", "x", 0), ("Add", "y", 1), ("Log", [1]), ("Mul", "x", [2]), ("Where", [0], 0, [3]))
_formula(
    "entr", ("Equal", "x", 0), ("Log", "x"), ("Mul", "x", [1]), ("Neg", [2]), ("Where", [0], 0, [3]),
    ("Less", "x", 0), ("Where", [5], -math.inf, [4]),
)  # fmt: skip
_formula(
    "atan2", ("Div", "x", "y"), ("Atan", [0]), ("Sign", "x"), ("Mul", [2], math.pi), ("Add", [1], [3]),
    ("Less", "y", 0), ("Where", [5], [4], [1]), ("Equal", "x", 0), ("Where", [5], math.pi, 0), ("Where", [7], [8], [6]),
)  # fmt: skip
_formula(
    "logaddexp", ("Max", "x", "y"), ("Sub", "x", "y"), ("Abs", [1]), ("Neg", [2]), ("Exp", [3]), ("Add", [4], 1),
    ("Log", [5]), ("Add", [0], [6]),
)  # fmt: skip


_formula("copysign", ("Abs", "x"), ("Neg", [0]), ("Less", "y", 0), ("Where", [2], [1], [0]))
_formula("logaddexp2", ("Max", "x", "y"), ("Sub", "x", "y"), ("Abs", [1]), ("Neg", [2]), ("Pow", 2, [3]), ("Add", [4], 1), ("Log", [5]), ("Mul", [6], 1 / math.log(2)), ("Add", [0], [7]))  # fmt: skip # noqa: E501


@writes("threshold")
def _threshold(b: Any, s: Any, x: str, *, threshold: float, value: float) -> Any:
    return b.node("Where", b.node("LessOrEqual", x, b.number(threshold, x)), b.number(value, x), x)


@writes("nan_to_num")
def _nan_to_num(b: Any, s: Any, x: str, *, nan: float, posinf: float, neginf: float) -> Any:
    y = x
    for end, number in ((math.inf, posinf), (-math.inf, neginf)):
        y = b.node("Where", b.node("Equal", x, b.number(end, x)), b.number(number, x), y)
    return b.node("Where", b.node("IsNaN", x), b.number(nan, x), y)


@writes("sinc")
def _sinc(b: Any, s: Any, x: str, *, order: int) -> Any:
    if order:
        raise b.refuse("a derivative of sinc")
    z = b.node("Mul", x, b.number(math.pi, x))
    return b.node("Where", b.node("Equal", x, b.number(0, x)), b.number(1, x), b.node("Div", b.node("Sin", z), z))


@writes("erf")
def _erf(b: Any, s: Any, x: str) -> Any:
    return _erf_of(b, x, b.dtypes[x])


def _erf_of(b: Any, x: str, dtype: Any) -> str:
    """erf; of float64 through float32, the only dtype that onnxruntime has it for."""
    if dtype != np.float64:
        return str(b.node("Erf", x))
    return str(b.cast(b.node("Erf", b.cast(x, np.float32)), np.float64))


@writes("erfc")
def _erfc(b: Any, s: Any, x: str) -> Any:
    return b.node("Sub", b.number(1, x), _erf_of(b, x, b.dtypes[x]))


@writes("logcumsumexp")
def _logcumsumexp(b: Any, s: Any, x: str, *, dim: int, **_: Any) -> Any:
    if not b.shapes[x]:
        return b.node("Identity", x)
    top = reduced(b, "ReduceMax", x, (dim,), True)
    total = b.node("CumSum", b.node("Exp", b.node("Sub", x, top)), b.const(dim, np.int64))
    return b.node("Add", b.node("Log", total), top)


@writes("cumprod")
def _cumprod(b: Any, s: Any, x: str, *, dim: int, **_: Any) -> Any:
    n = b.shapes[x][dim] if b.shapes[x] else 1
    if isinstance(n, Varies) or n > 256:
        raise b.refuse(f"cumprod of {n!r} elements (more than 256, or an open number)")
    if n < 2:
        return b.node("Identity", x)
    parts = b.node("Split", x, b.const([1] * n, np.int64), outputs=n, axis=dim)
    made = [parts[0]]
    for part in parts[1:]:
        made.append(b.node("Mul", made[-1], part))
    return b.node("Concat", *made, axis=dim)


_formula("xlogx", ("Equal", "x", 0), ("Log", "x"), ("Mul", "x", [1]), ("Where", [0], 0, [2]))
_formula("xlogy", ("Equal", "x", 0), ("Log", "y"), ("Mul", "x", [1]), ("Where", [0], 0, [2]))


def _floats(b: Any, x: str) -> bool:
    return bool(b.dtypes[x].kind == "f")


@writes("trunc")
def _trunc(b: Any, s: Any, x: str) -> Any:
    return b.node("Mul", b.node("Floor", b.node("Abs", x)), b.node("Sign", x)) if _floats(b, x) else b.node("Identity", x)  # fmt: skip # noqa: E501


@writes("floor_divide")
def _floor_divide(b: Any, s: Any, x: str, y: str) -> Any:
    if _floats(b, x):
        return b.node("Floor", b.node("Div", x, y))
    return b.node("Div", b.node("Sub", x, b.node("Mod", x, y)), y)


@writes("trunc_divide")
def _trunc_divide(b: Any, s: Any, x: str, y: str) -> Any:
    ratio = b.node("Div", x, y)
    return b.node("Mul", b.node("Floor", b.node("Abs", ratio)), b.node("Sign", ratio)) if _floats(b, x) else ratio


@writes("isclose")
def _isclose(b: Any, s: Any, x: str, y: str, *, rtol: float, atol: float, equal_nan: bool) -> Any:
    bound = b.node("Add", b.node("Mul", b.node("Abs", y), b.number(rtol, x)), b.number(atol, x))
    near = b.node("LessOrEqual", b.node("Abs", b.node("Sub", x, y)), bound)
    near = b.node("And", near, b.node("Not", b.node("IsInf", y)))
    near = b.node("Or", near, b.node("Equal", x, y))
    return b.node("Or", near, b.node("And", b.node("IsNaN", x), b.node("IsNaN", y))) if equal_nan else near


@writes("kth")
def _kth(b: Any, s: Any, x: str, *, dim: int, k: int) -> Any:
    places = b.node("TopK", x, b.const([k], np.int64), outputs=2, axis=dim, largest=0)[1]
    return b.node("Slice", places, b.const([-1], np.int64), b.const([LAST], np.int64), b.const([dim], np.int64))


@writes("middle")
def _middle(b: Any, s: Any, x: str, *, dim: int, skip: bool) -> Any:
    n = b.shapes[x][dim]
    if skip or isinstance(n, Varies):
        raise b.refuse("the median of an open number of elements, or without NaN,")
    return _kth(b, s, x, dim=dim, k=(n + 1) // 2)


@writes("remainder")
def _remainder(b: Any, s: Any, x: str, y: str) -> Any:
    if not _floats(b, x):
        return b.node("Mod", x, y)
    return b.node("Sub", x, b.node("Mul", y, b.node("Floor", b.node("Div", x, y))))


@writes("fmod")
def _fmod(b: Any, s: Any, x: str, y: str) -> Any:
    return b.node("Mod", x, y, fmod=1)


@writes("pow_scalar")
def _pow_scalar(b: Any, s: Any, x: str, *, exponent: float) -> Any:
    return b.node("Mul", x, x) if exponent == 2 else b.node("Pow", x, b.number(exponent, x))


@writes("isfinite")
def _isfinite(b: Any, s: Any, x: str) -> Any:
    return b.node("Not", b.node("Or", b.node("IsInf", x), b.node("IsNaN", x)))


def _truth(b: Any, x: str) -> str:
    return x if b.dtypes[x].kind == "b" else b.cast(x, bool)


def _logic(name: str, kind: str) -> None:
    writes(name)(lambda b, s, *inputs: b.node(kind, *[_truth(b, x) for x in inputs]))


for _name, _kind in {"logical_and": "And", "logical_or": "Or", "logical_xor": "Xor", "logical_not": "Not"}.items():
    _logic(_name, _kind)


@writes("where")
def _where(b: Any, s: Any, x: str, y: str, condition: str) -> Any:
    if s.outs[0][0].dtype.kind == "b":  # which onnxruntime's Where does not take
        return b.node("Or", b.node("And", condition, x), b.node("And", b.node("Not", condition), y))
    return b.node("Where", condition, x, y)


def _bits(name: str, kind: str) -> None:
    writes(name)(lambda b, s, *xs: b.node(kind if b.dtypes[xs[0]].kind == "b" else f"Bitwise{kind}", *xs))


for _name, _kind in {"bitwise_and": "And", "bitwise_or": "Or", "bitwise_xor": "Xor", "bitwise_not": "Not"}.items():
    _bits(_name, _kind)


@writes("cast")
def _cast(b: Any, s: Any, x: str, *, dtype: Any) -> Any:
    return b.node("Cast", x, to=NUMBER_OF[np.dtype(dtype)])


@writes("clamp", "hardtanh")
def _clamp(b: Any, s: Any, x: str, *, low: Any, high: Any) -> Any:
    return b.node("Clip", x, *[None if v is None else b.number(v, x) for v in (low, high)])


@writes("addcmul")
def _addcmul(b: Any, s: Any, x: str, y: str, z: str, *, value: float) -> Any:
    return b.node("Add", x, b.node("Mul", b.node("Mul", y, b.number(value, x)), z))


@writes("addcdiv")
def _addcdiv(b: Any, s: Any, x: str, y: str, z: str, *, value: float) -> Any:
    return b.node("Add", x, b.node("Div", b.node("Mul", y, b.number(value, x)), z))


@writes("leaky_relu")
def _leaky_relu(b: Any, s: Any, x: str, *, slope: float) -> Any:
    return b.node("LeakyRelu", x, alpha=slope)


@writes("elu")
def _elu(b: Any, s: Any, x: str, *, positive: float, negative: float, rate: float) -> Any:
    if rate == 1 and positive == 1:
        return b.node("Elu", x, alpha=negative)
    if rate == 1:
        return b.node("Selu", x, alpha=negative / positive, gamma=positive)
    if positive == 1 and math.isclose(negative * rate, 1):
        return b.node("Celu", x, alpha=negative)
    below = b.node("Mul", b.node("Elu", b.node("Mul", x, b.number(rate, x)), alpha=1.0), b.number(negative, x))
    return b.node("Where", b.node("Greater", x, b.number(0, x)), b.node("Mul", x, b.number(positive, x)), below)


@writes("glu")
def _glu(b: Any, s: Any, x: str, *, dim: int) -> Any:
    n = b.shapes[x][dim]
    if isinstance(n, Varies):
        raise b.vary(f"the axis {dim} of {b.shapes[x]}, which is halved,")
    left, right = b.node("Split", x, b.const([n // 2] * 2, np.int64), outputs=2, axis=dim)
    return b.node("Mul", left, b.node("Sigmoid", right))


@writes("gelu")
def _gelu(b: Any, s: Any, x: str, *, approximate: str) -> Any:
    if b.opset >= 20 and b.dtypes[x] != np.float64:  # which onnxruntime's Gelu does not take
        return b.node("Gelu", x, approximate=approximate)
    half = b.node("Mul", x, b.number(0.5, x))
    if approximate == "tanh":
        cube = b.node("Mul", b.node("Mul", x, x), x)
        inner = b.node("Mul", b.node("Add", x, b.node("Mul", cube, b.number(0.044715, x))), b.number(math.sqrt(2 / math.pi), x))  # fmt: skip # noqa: E501
        bell = b.node("Tanh", inner)
    else:
        bell = _erf_of(b, b.node("Mul", x, b.number(math.sqrt(0.5), x)), b.dtypes[x])
    return b.node("Mul", half, b.node("Add", bell, b.number(1, x)))


@writes("softplus")
def _softplus(b: Any, s: Any, x: str, *, beta: float, threshold: float) -> Any:
    z = x if beta == 1 else b.node("Mul", x, b.number(beta, x))
    y = b.node("Softplus", z)
    y = y if beta == 1 else b.node("Div", y, b.number(beta, x))
    return b.node("Where", b.node("Greater", z, b.number(threshold, x)), x, y)


@writes("hardshrink")
def _hardshrink(b: Any, s: Any, x: str, *, width: float) -> Any:
    return b.node("Where", b.node("LessOrEqual", b.node("Abs", x), b.number(width, x)), b.number(0, x), x)


@writes("softshrink")
def _softshrink(b: Any, s: Any, x: str, *, width: float) -> Any:
    return b.node("Sub", x, b.node("Clip", x, b.number(-width, x), b.number(width, x)))


@writes("constant")
def _constant(b: Any, s: Any, x: str) -> Any:
    return x


# --- reductions -------------------------------------------------------------------------------------------------------


def reduced(b: Any, kind: str, x: str, axes: Any, keepdim: bool) -> Any:
    """A reduction; its axes are an input in newer sets."""
    if not axes:
        return b.node("Identity", x)
    if b.opset >= (13 if kind == "ReduceSum" else 18):
        return b.node(kind, x, b.const(list(axes), np.int64), keepdims=int(keepdim))
    return b.node(kind, x, axes=list(axes), keepdims=int(keepdim))


def _reduction(name: str, kind: str) -> None:
    writes(name)(lambda b, s, x, *, axes, keepdim: reduced(b, kind, x, axes, keepdim))


for _name, _kind in {
    "sum": "ReduceSum",
    "mean": "ReduceMean",
    "amax": "ReduceMax",
    "amin": "ReduceMin",
    "prod": "ReduceProd",
    "logsumexp": "ReduceLogSumExp",
}.items():
    _reduction(_name, _kind)


def _flags(name: str, kind: str) -> None:
    def write(b: Any, s: Any, x: str, *, axes: Any, keepdim: bool) -> Any:
        return b.cast(reduced(b, kind, b.cast(_truth(b, x), np.int32), axes, keepdim), bool)

    writes(name)(write)


_flags("all", "ReduceMin")
_flags("any", "ReduceMax")


@writes("count_nonzero")
def _count_nonzero(b: Any, s: Any, x: str, *, axes: Any, keepdim: bool) -> Any:
    return reduced(b, "ReduceSum", b.cast(_truth(b, x), np.int64), axes, keepdim)


@writes("norm")
def _norm(b: Any, s: Any, x: str, *, axes: Any, keepdim: bool, p: float) -> Any:
    size = b.node("Abs", x)
    if p in (1, 2):
        return reduced(b, f"ReduceL{p:.0f}", x, axes, keepdim) if axes else size
    if math.isinf(p):
        return reduced(b, "ReduceMax" if p > 0 else "ReduceMin", size, axes, keepdim)
    if p == 0:
        return reduced(b, "ReduceSum", b.node("Sign", size), axes, keepdim)
    total = reduced(b, "ReduceSum", b.node("Pow", size, b.number(p, x)), axes, keepdim)
    return b.node("Pow", total, b.number(1 / p, x))


@writes("var", "std")
def _var(b: Any, s: Any, x: str, *, axes: Any, keepdim: bool, correction: float) -> Any:
    centred = b.node("Sub", x, reduced(b, "ReduceMean", x, axes, True))
    mean = reduced(b, "ReduceMean", b.node("Mul", centred, centred), axes, keepdim)
    if correction:
        sizes = [b.shapes[x][d] for d in axes]
        if any(isinstance(n, Varies) for n in sizes):
            raise b.vary(f"the number of elements {sizes}")
        n = math.prod(sizes)
        mean = b.node("Mul", mean, b.number(n / max(n - correction, 0) if n > correction else math.inf, x))
    return b.node("Sqrt", mean) if s.name == "std" else mean


def _along(name: str, kind: str, find: str) -> None:
    def write(b: Any, s: Any, x: str, *, dim: int, keepdim: bool) -> Any:
        if not b.shapes[x]:
            return b.node("Identity", x), b.const(0, np.int64)
        return reduced(b, kind, x, (dim,), keepdim), b.node(find, x, axis=dim, keepdims=int(keepdim))

    writes(name)(write)


_along("max_along", "ReduceMax", "ArgMax")
_along("min_along", "ReduceMin", "ArgMin")


@writes("argmax", "argmin")
def _place(b: Any, s: Any, x: str, *, dim: int, keepdim: bool) -> Any:
    return b.node("ArgMax" if s.name == "argmax" else "ArgMin", x, axis=dim, keepdims=int(keepdim))


@writes("top")
def _top(b: Any, s: Any, x: str, *, dim: int, k: int, largest: bool) -> Any:
    return b.node("TopK", x, b.ints([k]), outputs=2, axis=dim, largest=int(largest))[1]


@writes("argsort")
def _argsort(b: Any, s: Any, x: str, *, dim: int, descending: bool) -> Any:
    return b.node("TopK", x, b.ints([b.shapes[x][dim]]), outputs=2, axis=dim, largest=int(descending))[1]


@writes("cumsum")
def _cumsum(b: Any, s: Any, x: str, *, dim: int, reverse: bool) -> Any:
    return b.node("CumSum", x, b.const(dim, np.int64), reverse=int(reverse))


def _along_axis(name: str, kind: str) -> None:
    def write(b: Any, s: Any, x: str, *, dim: int) -> Any:
        if not b.shapes[x]:
            raise b.refuse(f"{name} of a tensor without axes")
        return b.node(kind, x, axis=dim)

    writes(name)(write)


_along_axis("softmax", "Softmax")
_along_axis("log_softmax", "LogSoftmax")

# --- shapes -----------------------------------------------------------------------------------------------------------


def reshaped(b: Any, x: str, shape: Any, have: Any = None) -> Any:
    """x in another shape: of several sizes that change, those that stay in their place are copied, one is left open."""
    shape, have = list(shape), b.shapes.get(x, ()) if have is None else have
    if any(isinstance(n, Varies) for n in shape) and 0 not in shape:
        open_ = [d for d, n in enumerate(shape) if isinstance(n, Varies)]
        kept = [d for d in open_ if d < len(have) and isinstance(have[d], Size) and same_size(have[d], shape[d])]
        if len(open_) > 1:
            for d in kept[: len(open_) - 1]:
                shape[d] = 0
                open_.remove(d)
        if len(open_) == 1 and -1 not in shape:
            shape[open_[0]] = -1
    return b.node("Reshape", x, b.ints(shape), allowzero=1 if 0 in [n for n in shape if n == 0] and _empty(shape, have) and b.opset >= 14 else None)  # fmt: skip # noqa: E501


def _empty(shape: Any, have: Any) -> bool:
    """Whether a zero among the sizes means an empty axis, not a copied one."""
    return any(n == 0 and not (d < len(have) and isinstance(have[d], Varies)) for d, n in enumerate(shape))


def same_size(a: Size, b: Any) -> bool:
    return isinstance(b, Size) and a.key() == b.key()


@writes("reshape")
def _reshape(b: Any, s: Any, x: str, *, shape: Any) -> Any:
    if isinstance(shape, Varies):
        raise b.vary(f"the number of axes of {shape!r}")
    return reshaped(b, x, shape)


@writes("expand")
def _expand(b: Any, s: Any, x: str, *, shape: Any) -> Any:
    have = b.shapes[x]
    lead = len(shape) - len(have)
    keep = [
        1 if d >= lead and (same_size(n, have[d - lead]) if isinstance(n, Size) else n == have[d - lead]) else n
        for d, n in enumerate(shape)
    ]
    return b.node("Expand", x, b.ints(keep))


@writes("permute")
def _permute(b: Any, s: Any, x: str, *, dims: Any) -> Any:
    return b.node("Transpose", x, perm=[d % len(dims) for d in dims]) if dims else b.node("Identity", x)


@writes("cat")
def _cat(b: Any, s: Any, *xs: str, dim: int) -> Any:
    return b.node("Concat", *xs, axis=dim)


@writes("stack")
def _stack(b: Any, s: Any, *xs: str, dim: int) -> Any:
    axis = b.const([dim], np.int64)
    return b.node("Concat", *[b.node("Unsqueeze", x, axis) for x in xs], axis=dim)


def minus(a: Any, b: Any) -> Any:
    if isinstance(a, Varies) or isinstance(b, Varies):
        left = a.values if isinstance(a, Varies) else [a] * len(b.values)
        right = b.values if isinstance(b, Varies) else [b] * len(left)
        return merged([x - y for x, y in zip(left, right, strict=True)])
    return a - b


@writes("split")
def _split(b: Any, s: Any, x: str, *, dim: int, ends: Any) -> Any:
    if isinstance(ends, Varies):
        raise b.vary(f"the number of parts, ending at {ends!r},")
    sizes = [minus(end, start) for start, end in zip((0, *ends[:-1]), ends, strict=True)]
    if len(sizes) == 1:
        return (b.node("Identity", x),)
    return b.node("Split", x, b.ints(sizes), outputs=len(sizes), axis=dim)


@writes("unbind")
def _unbind(b: Any, s: Any, x: str, *, dim: int) -> Any:
    n = b.shapes[x][dim]
    if isinstance(n, Varies):
        raise b.vary(f"the number of parts {n!r}")
    return [b.node("Gather", x, b.const(i, np.int64), axis=dim) for i in range(n)]


@writes("flip")
def _flip(b: Any, s: Any, x: str, *, dims: Any) -> Any:
    n = len(dims)
    starts, ends = b.const([-1] * n, np.int64), b.const([-LAST] * n, np.int64)
    return b.node("Slice", x, starts, ends, b.const(list(dims), np.int64), b.const([-1] * n, np.int64)) if n else b.node("Identity", x)  # fmt: skip # noqa: E501


def sliced(b: Any, x: str, axis: int, start: Any, end: Any) -> Any:
    return b.node("Slice", x, b.ints([start]), b.ints([end]), b.const([axis], np.int64))


@writes("roll")
def _roll(b: Any, s: Any, x: str, *, shifts: Any, dims: Any) -> Any:
    for shift, d in zip(shifts, dims, strict=True):
        n = b.shapes[s_in(s)][d] if x not in b.shapes else b.shapes[x][d]
        if not isinstance(n, Varies):
            shift = shift % n if n else 0
        if shift == 0:
            continue
        x = b.node("Concat", sliced(b, x, d, -shift, LAST), sliced(b, x, d, 0, -shift), axis=d)
        b.shapes[x] = s.shape()
    return x if s.shape() and any(shifts) else b.node("Identity", x)


def s_in(s: Any) -> Any:
    """The first input of a step."""
    return s.args[0]


@writes("pad")
def _pad(b: Any, s: Any, x: str, *, widths: Any, value: Any) -> Any:
    if not widths:
        return b.node("Identity", x)
    pads = [before for before, _ in widths] + [after for _, after in widths]
    return b.node("Pad", x, b.ints(pads), b.number(value, x))


@writes("pad_own")
def _pad_own(b: Any, s: Any, x: str, *, widths: Any, mode: str) -> Any:
    shape = b.shapes[x]
    if min(map(min, widths)) >= 0 and (mode != "circular" or b.opset >= 19):
        pads = [before for before, _ in widths] + [after for _, after in widths]
        return b.node("Pad", x, b.ints(pads), mode={"replicate": "edge", "circular": "wrap"}.get(mode, mode))
    for d, pair in enumerate(widths):
        if any(pair):
            if isinstance(shape[d], Varies):
                raise b.vary(f"the size of axis {d}, padded by its own values")
            x = b.node("Gather", x, b.const(places(mode, shape[d], *pair), np.int64), axis=d)
    return x


@writes("tril", "triu")
def _triangle(b: Any, s: Any, x: str, *, diagonal: int) -> Any:
    upper = int(s.name == "triu")
    if b.opset < 14:
        below = b.triangle(*b.shapes[x][-2:], diagonal - upper)
        zero = b.number(0, x)
        return b.node("Where", below, zero, x) if upper else b.node("Where", below, x, zero)
    if b.dtypes[x].kind == "b":
        return b.cast(b.node("Trilu", b.cast(x, np.int64), b.const(diagonal, np.int64), upper=upper), bool)
    return b.node("Trilu", x, b.const(diagonal, np.int64), upper=upper)


@writes("windows")
def _windows(b: Any, s: Any, x: str, *, dim: int, size: int, step: int) -> Any:
    count, rank = s.shape()[dim], len(b.shapes[x])
    if isinstance(count, Varies):
        raise b.vary(f"the number of windows {count!r}")
    at = np.arange(count)[:, None] * step + np.arange(size)
    picked = b.node("Gather", x, b.const(at, np.int64), axis=dim)  # (.., count, size, ..)
    return b.node("Transpose", picked, perm=[d for d in range(rank + 1) if d != dim + 1] + [dim + 1])


@writes("diagonal")
def _diagonal(b: Any, s: Any, x: str, *, offset: int, dim1: int, dim2: int) -> Any:
    shape = b.shapes[x]
    rank = len(shape)
    one, two = dim1 % rank, dim2 % rank
    if isinstance(shape[one], Varies) or isinstance(shape[two], Varies):
        raise b.vary(f"the diagonal of {shape}")
    k = np.arange(max(min(shape[one] + min(offset, 0), shape[two] - max(offset, 0)), 0), dtype=np.int64)
    at = np.stack([k - min(offset, 0), k + max(offset, 0)], -1)
    moved = b.node("Transpose", x, perm=[one, two, *[d for d in range(rank) if d not in (one, two)]])
    picked = b.node("GatherND", moved, b.const(at))  # (k, ..)
    return b.node("Transpose", picked, perm=[*range(1, rank - 1), 0])


@writes("trace")
def _trace(b: Any, s: Any, x: str) -> Any:
    return reduced(b, "ReduceSum", _diagonal(b, s, x, offset=0, dim1=0, dim2=1), [0], False)


@writes("resample")
def _resample(b: Any, s: Any, x: str, *, taps: Any, dim: int) -> Any:
    each = taps.values if isinstance(taps, Varies) else [taps]
    rank = len(b.shapes[x])
    found = _resizing(each) if rank >= 2 else None
    if found is not None:
        sizes = [n if d != rank + dim else s.shape()[d] for d, n in enumerate(b.shapes[x])]
        mode, how, nearest = found
        return b.node(
            "Resize", x, None, None, b.ints(sizes), mode=mode, coordinate_transformation_mode=how, nearest_mode=nearest
        )
    if len(each) > 1:
        raise b.vary("a resampling")
    (taps,) = each
    if np.array_equal(taps.start, np.arange(len(taps.start))) and (taps.weight == 1).all():
        return b.node("Gather", x, b.const(taps.index, np.int64), axis=rank + dim)
    matrix = _matrix(taps).astype(b.dtypes[x])
    if dim == -1:
        return b.node("MatMul", x, b.const(np.ascontiguousarray(matrix.T)))
    order = [d for d in range(rank) if d != rank + dim] + [rank + dim]
    moved = b.node("MatMul", b.node("Transpose", x, perm=order), b.const(np.ascontiguousarray(matrix.T)))
    return b.node("Transpose", moved, perm=[int(d) for d in np.argsort(order)])


def _matrix(taps: Any) -> Any:
    matrix = np.zeros((len(taps.start) - 1, taps.size))
    rows = np.repeat(np.arange(len(matrix)), np.diff(taps.start))
    np.add.at(matrix, (rows, taps.index), taps.weight)
    return matrix


_RESIZINGS = (
    ("nearest", "asymmetric", "floor"),
    ("nearest", "half_pixel", "round_prefer_ceil"),
    ("linear", "pytorch_half_pixel", None),
    ("linear", "align_corners", None),
    ("cubic", "pytorch_half_pixel", None),
    ("cubic", "align_corners", None),
)


def _resizing(each: list[Any]) -> Any:
    """The mode of Resize that these rows of weights are, or None."""
    from .read_shape import _coordinates, _nearest, _taps

    def rows(n: int, m: int, mode: str, how: str, nearest: str | None) -> Any:
        at = _coordinates(how, n, m, m / n, (0.0, 1.0))
        matrix = np.zeros((m, n))
        if mode == "nearest":
            matrix[np.arange(m), _nearest(at, n, nearest or "")] = 1
            return matrix
        places, weights = _taps(at, n, mode, -0.75, 1.0, False)
        np.add.at(matrix, (np.arange(m)[:, None], places), weights)
        return matrix

    for mode in _RESIZINGS:
        if all(np.allclose(_matrix(t), rows(t.size, len(t.start) - 1, *mode), atol=1e-6) for t in each):
            return mode
    return None


WRITERS["alias"] = _plainly("Identity")
