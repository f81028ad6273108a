"""Everything that can be called, with arguments that nobody would write: no crash, no hang, no silent wrong result.

    the public functions   every function of `mt`, `mt.nn.functional`, `mt.linalg`, `mt.special` and method of a tensor:
                           it works or raises an error that is meant for its caller; it changes no argument; strided
                           arguments give what their contiguous copies give, kernels what the references
                           give; the gradients have the shapes and dtypes of what they belong to
    the table              each kernel on arguments of any layout, aliased, NaN, infinite, against the reference
    the bindings           each function of `minitensor._core` on arguments of wrong kinds, sizes, dtypes: no crash

The draws are the same in every run. MINITENSOR_FUZZ=300 takes that many for each function in place of 20, and others
each time; tests/sanitize.sh runs this file under the sanitizers. A crash here ends the test run; Python's faulthandler
says where, and MINITENSOR_FUZZ_LOG names a file that every call is written to before it is made.
"""

from __future__ import annotations

import inspect
import math
import os
import random
import re
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import minitensor as mt
from minitensor import _core
from minitensor.methods import Methods
from minitensor.op import OPS

EXAMPLES = int(os.environ.get("MINITENSOR_FUZZ", "20"))
LOG = os.environ.get("MINITENSOR_FUZZ_LOG")
HUGE = (2**62, 2**63 - 1, -(2**63), 2**64)
fuzz = settings(
    max_examples=EXAMPLES,
    derandomize="MINITENSOR_FUZZ" not in os.environ,
    deadline=None,
    database=None,
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
draws = given(r=st.randoms(use_true_random=True))  # by its seed, which a failure shows


def log(*call) -> None:
    """Writes down what is called next, for the case that nothing is left to tell it."""
    if LOG:
        with open(LOG, "w") as file:
            print(*call, file=file)


# --- arguments --------------------------------------------------------------------------------------------------------

FLOATS = (mt.float32, mt.float64)
DTYPES = (*FLOATS * 3, mt.float16, mt.int64, mt.int64, mt.int32, mt.uint8, mt.bool)
WORDS = """mean sum none constant reflect nearest bilinear same relu fro nuc ij xy linear floor trunc replicate circular
    left right x ij,jk->ik i,i tanh""".split()


INTEGERS = set(
    """dim axis dim0 dim1 k n diagonal offset start length chunks groups num_classes kernel_size size shape sizes dims
    repeats shifts split_size_or_sections""".split()
)


def values(r: random.Random, shape: tuple[int, ...], dtype) -> np.ndarray:
    g = np.random.default_rng(r.getrandbits(32))
    if dtype.is_floating_point:
        a = np.asarray(g.normal(0, 1.5, shape)) if r.random() < 0.8 else np.asarray(g.integers(-2, 3, shape), float)
        if a.size and r.random() < 0.15:
            a.flat[g.integers(a.size)] = r.choice([math.nan, math.inf, -math.inf, 0.0])
        return a.astype(dtype.numpy)
    return np.asarray(g.integers(0 if r.random() < 0.8 else -3, 4, shape)).astype(dtype.numpy)


def sizes(r: random.Random) -> tuple[int, ...]:
    return tuple([r.choice([0, 1, 1, 2, 3, 3, 5]) for _ in range(r.choice([0, 1, 1, 2, 2, 3, 4, 4]))])


def laid(r: random.Random, x: mt.Tensor) -> mt.Tensor:
    """A tensor of the same shape and values in another layout; or expanded, then of other values."""
    kind = r.choice(["plain"] * 4 + ["transposed", "sliced", "expanded", "offset"])
    if x.ndim == 0 or kind == "plain":
        return x
    if kind == "transposed":
        return x.permute(*range(x.ndim)[::-1]).clone().permute(*range(x.ndim)[::-1])
    if kind == "sliced":
        wide = mt.zeros(*x.shape[:-1], 2 * x.shape[-1], dtype=x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]
    if kind == "expanded":
        d = r.randrange(x.ndim)
        return x.narrow(d, 0, min(1, x.shape[d])).expand(x.shape) if x.shape[d] else x
    long = mt.zeros(x.numel() + 3, dtype=x.dtype)
    long[3:] = x.reshape(-1)
    return long[3:].view(x.shape)


class Drawer:
    """The arguments of one call, around one shape."""

    def __init__(self, r: random.Random) -> None:
        self.r = r
        self.shape = sizes(r)
        self.dtype = r.choice(DTYPES)
        self.made: list[mt.Tensor] = []

    def tensor(self):
        r = self.r
        if self.made and r.random() < 0.1:
            return r.choice(self.made)
        shape = list(self.shape)
        if self.made and r.random() < 0.5:
            change = r.choice(["one", "drop", "swap", "other", "add"])
            if change == "one" and shape:
                shape[r.randrange(len(shape))] = 1
            elif change == "drop" and shape:
                shape.pop(r.randrange(len(shape)))
            elif change == "swap" and shape:
                shape[-1], shape[0] = shape[0], shape[-1]
            elif change == "add":
                shape.append(r.choice([1, 2, 3]))
            else:
                shape = list(sizes(r))
        dtype = self.dtype if r.random() < 0.7 else r.choice(DTYPES)
        x = laid(r, mt.from_numpy(values(r, tuple(shape), dtype)))
        if dtype.is_floating_point and r.random() < 0.4:
            x = x.detach().requires_grad_()
        self.made.append(x)
        return x

    def integer(self):
        r = self.r
        return r.choice(HUGE) if r.random() < 0.06 else r.choice([-7, -2, -1, 0, 0, 1, 1, 2, 2, 3, 4, 9])

    def number(self):
        return self.r.choice([0.0, 0.5, 1.0, -1.0, 2.5, math.nan, math.inf, 1e300, self.integer()])

    def several(self):
        return self.r.choice([tuple, list])([self.integer() for _ in range(self.r.choice([0, 1, 2, 2, 3, 4]))])

    def anything(self):
        r = self.r
        kinds = [self.tensor, self.integer, self.number, self.several, lambda: None, lambda: r.choice(WORDS),
                 lambda: [self.tensor(), self.tensor()], lambda: r.choice([True, False]), lambda: mt.float64,
                 lambda: np.zeros((2, 3)), lambda: np.float32(2), lambda: {}, object, lambda: 1j, lambda: slice(1, 2),
                 lambda: ..., lambda: b"x", lambda: [[1, 2], [3]], lambda: "cuda"]  # fmt: skip
        return r.choice(kinds)()

    def argument(self, p: inspect.Parameter):
        """What a parameter of this name and default may be given."""
        r, name, default = self.r, p.name, p.default
        if r.random() < 0.06:
            return self.anything()
        if name in INTEGERS:
            return self.several() if r.random() < 0.3 else self.integer()
        if name in {"tensors", "matrices", "arrays", "operands"}:
            return [self.tensor() for _ in range(r.choice([0, 1, 2, 3]))]
        if name == "dtype":
            return r.choice([None, *mt.dtypes.ALL])
        if name == "out":
            return None if r.random() < 0.5 else mt.empty(self.shape, dtype=self.dtype)
        if name == "generator":
            return None
        if isinstance(default, bool):
            return r.random() < 0.5
        if isinstance(default, int):
            return self.several() if r.random() < 0.1 else self.integer()
        if isinstance(default, float):
            return self.number()
        if isinstance(default, str):
            return r.choice(WORDS)
        if default is None:
            return r.choice(
                [lambda: None, self.integer, self.number, self.several, self.tensor, lambda: r.choice(WORDS)]
            )()
        return self.tensor() if r.random() < 0.85 else self.anything()

    def call(self, function, method: bool):
        """(positional, named) arguments for a function."""
        try:
            parameters = list(inspect.signature(function).parameters.values())
        except ValueError:
            return [self.tensor() for _ in range(self.r.choice([1, 2, 3]))], {}
        positional, named = [], {}
        for i, p in enumerate(parameters):
            if p.kind is p.VAR_POSITIONAL:
                positional += [self.argument(p) for _ in range(self.r.choice([0, 1, 1, 2, 3]))]
            elif p.kind is p.VAR_KEYWORD:
                continue
            elif method and i == 0:
                positional.append(self.tensor())
            elif p.default is p.empty and p.kind is not p.KEYWORD_ONLY:
                positional.append(self.argument(p))
            elif p.default is p.empty or self.r.random() < 0.35:
                named[p.name] = self.argument(p)
        if self.r.random() < 0.03:
            positional.append(self.anything())
        return positional, named


# --- the public functions ---------------------------------------------------------------------------------------------

# Errors that are meant for a caller. An AttributeError, KeyError, AssertionError ... comes from inside.
MEANT = (TypeError, ValueError, RuntimeError, IndexError, OverflowError, BufferError, MemoryError)
# What changes the process, reads files, or asks for memory that is not given.
LEAVE = set(
    """save load manual_seed seed set_rng_state set_num_threads set_printoptions set_grad_enabled set_default_dtype fit
    evaluate predict summary from_dlpack register_hook backward retain_grad numpy""".split()
)
# Where the layout of the arguments shows in the result; of the vectors that a matrix of low rank sends to 0, rounding.
LAYOUT = re.compile(
    "rand|dropout|bernoulli|normal|uniform|exponential|cauchy|geometric|multinomial|gumbel|stride|contiguous|data_ptr|"
    "storage|lowrank|view|empty|as_tensor|asarray|_like$|unsafe|resize|new|detach|data"
)


def functions():
    spaces = [("mt", mt), ("F", mt.nn.functional), ("linalg", mt.linalg)]
    spaces += [(name, getattr(mt, name)) for name in ("special", "fft") if hasattr(mt, name)]
    seen = set()
    for space, module in spaces:
        for name in sorted(getattr(module, "__all__", None) or vars(module)):
            f = getattr(module, name)
            known = id(f) in seen or inspect.isclass(f) or inspect.ismodule(f) or not callable(f)
            if (
                known
                or name in LEAVE
                or name.startswith("_")
                or not getattr(f, "__module__", "").startswith("minitensor")
            ):
                continue
            seen.add(id(f))
            yield pytest.param(name, f, False, id=f"{space}.{name}")
    methods = {
        name: f for cls in reversed(mt.Tensor.__mro__) if issubclass(cls, Methods) for name, f in vars(cls).items()
    }
    for name, f in sorted(methods.items()):
        if (
            callable(f)
            and name not in LEAVE
            and (name[0] != "_" or name.startswith("__"))
            and not (name.startswith("__") and name in vars(object))
            and id(f) not in seen
        ):
            seen.add(id(f))
            yield pytest.param(name, f, True, id=f"Tensor.{name}")


def names_of(f) -> list[str]:
    try:
        return list(inspect.signature(f).parameters)
    except ValueError:
        return []


def attempt(f, args, named):
    """("result", it) or ("error", it), for errors that are meant for the caller; others pass."""
    mt.manual_seed(0)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return "result", f(*args, **named)
    except MEANT as error:
        if isinstance(error, RecursionError):
            raise
        if not str(error):
            raise AssertionError("an error without a word") from error
        return "error", error


def copied(x, contiguous: bool):
    """The same argument with tensors of their own memory; one tensor in several places stays one."""
    memo: dict[int, mt.Tensor] = {}

    def walk(x):
        if isinstance(x, mt.Tensor):
            if id(x) not in memo:
                a = np.array(x.detach().numpy(), order="C" if contiguous else "K", copy=True)
                memo[id(x)] = mt.from_numpy(a).requires_grad_(x.requires_grad)
            return memo[id(x)]
        if type(x) in (list, tuple):
            return type(x)([walk(y) for y in x])
        if type(x) is dict:
            return {k: walk(y) for k, y in x.items()}
        return x

    return walk(x)


def tensors(x) -> list[mt.Tensor]:
    if isinstance(x, mt.Tensor):
        return [x]
    if isinstance(x, dict):
        return tensors(list(x.values()))
    return [t for y in x for t in tensors(y)] if isinstance(x, (list, tuple)) else []


def same(have, want, loose: float, where: str) -> None:
    """Equal results, up to rounding."""
    a, b = tensors(have), tensors(want)
    assert len(a) == len(b), where
    for x, y in zip(a, b, strict=True):
        assert x.shape == y.shape, where
        assert x.dtype is y.dtype, where
        p, q = [(t.to_dense() if t.is_sparse else t).detach() for t in (x, y)]
        p, q = [(t.float() if t.dtype is mt.bfloat16 else t).numpy() for t in (p, q)]
        if p.dtype.kind in "fc":
            eps = loose * mt.finfo(x.dtype.to_real()).eps
            finite = np.abs(q[np.isfinite(q)])
            scale = max(1.0, float(finite.max(initial=0.0)))
            with np.errstate(all="ignore"):
                np.testing.assert_allclose(p, q, rtol=eps, atol=eps * scale, err_msg=where)
        else:
            np.testing.assert_array_equal(p, q, err_msg=where)


def shown(x) -> str:
    if isinstance(x, mt.Tensor):
        return f"T{tuple(x.shape)}{x.dtype.name}{x.stride()}{'g' if x.requires_grad else ''}"
    if isinstance(x, (list, tuple)):
        return f"{type(x).__name__}[{', '.join(map(shown, x))}]"
    return repr(x)[:40]


@pytest.mark.parametrize(("name", "f", "method"), list(functions()))
@fuzz
@draws
def test_public_functions(name, f, method, r):
    drawer = Drawer(r)
    args, named = drawer.call(f, method)
    call = f"{name}({', '.join([*map(shown, args), *[f'{k}={shown(v)}' for k, v in named.items()]])})"
    log(call)
    writes = name.endswith("_") and not name.endswith("__")
    writes = writes or name.startswith(("__i", "__setitem")) or bool({"inplace", "max_norm"} & set(names_of(f)))
    before = [t.detach().numpy().copy() for t in drawer.made]
    plain, plain_named = copied((tuple(args), named), contiguous=True)
    referred, referred_named = copied((tuple(args), named), contiguous=False)
    kind, result = attempt(f, args, named)
    if not writes and named.get("out") is None and not tensors(named.get("out")):
        for t, b in zip(drawer.made, before, strict=True):
            np.testing.assert_array_equal(t.detach().numpy(), b, err_msg=f"{call} changed an argument")
    expanded = any(0 in t.stride() for t in drawer.made)
    if not LAYOUT.search(name) and not (writes and expanded) and named.get("out") is None:
        other, want = attempt(f, plain, plain_named)
        assert kind == other, f"{call}: {result!r} but of contiguous arguments {want!r}"
        if kind == "result":
            same(result, want, 1e3, f"{call} of contiguous arguments")
        with mt.cpu.use("reference"):
            other, want = attempt(f, referred, referred_named)
        assert kind == other, f"{call}: {result!r} but by the references {want!r}"
        if kind == "result":
            same(result, want, 1e5, f"{call} by the references")
    roots = [t for t in tensors(result) if t.requires_grad and t.grad_fn is not None] if kind == "result" else []
    if roots:
        kind, _ = attempt(lambda: mt.autograd.backward([t.sum() for t in roots]), (), {})
        for t in drawer.made:
            if t.is_leaf and t.grad is not None:
                assert t.grad.shape == t.shape, call
                assert t.grad.dtype is t.dtype, call


# --- the table --------------------------------------------------------------------------------------------------------


def awkward(r: random.Random, a: np.ndarray) -> np.ndarray:
    """The array in another layout: also such as only NumPy makes."""
    kind = r.choice(["plain", "reversed", "sliced", "fortran", "turned", "misaligned", "fixed"])
    if a.ndim == 0 or kind == "plain":
        return a
    if kind == "reversed":
        return np.ascontiguousarray(a[..., ::-1])[..., ::-1]
    if kind == "sliced":
        wide = np.zeros((*a.shape[:-1], 3 * a.shape[-1]), a.dtype)
        wide[..., ::3] = a
        return wide[..., ::3]
    if kind == "fortran":
        return np.asfortranarray(a)
    if kind == "turned":
        order = list(range(a.ndim))
        r.shuffle(order)
        return np.ascontiguousarray(a.transpose(order)).transpose(np.argsort(order))
    if kind == "misaligned":
        out = np.ndarray(a.shape, a.dtype, np.zeros(a.nbytes + 1, np.uint8)[1:].data)
        out[...] = a
        return out
    fixed = a.copy()
    fixed.flags.writeable = False
    return fixed


SAMPLES = {
    op.name: [s for s in op.samples(np.random.default_rng(0)) if not s.large]
    for op in OPS.values()
    if op.forward is not None
}


OF_THE_DTYPE = {"nextafter"}  # whose next number after inf is float32's or float64's largest


@pytest.mark.parametrize("name", SAMPLES)
@fuzz
@draws
def test_kernels_against_references(name, r):
    op = OPS[name]
    sample = r.choice(SAMPLES[name])
    dtype = r.choice([np.float32, np.float64])
    args = []
    for a in sample.args:
        if isinstance(a, np.ndarray) and a.dtype.kind == "f":
            a = a.astype(dtype)
            if a.size and r.random() < 0.2 and sample.derive is None:
                a.flat[r.randrange(a.size)] = r.choice([math.nan, math.inf, -math.inf, 0.0, -0.0])
            twins = [b for b in args if isinstance(b, np.ndarray) and b.shape == a.shape and b.dtype == a.dtype]
            if twins and r.random() < 0.2 and sample.derive is None:
                a = r.choice(twins)  # one array in two places
        args.append(awkward(r, a) if isinstance(a, np.ndarray) else a)
    log(name, [(a.shape, a.dtype, a.strides) if isinstance(a, np.ndarray) else a for a in args], sample.params)
    exact = np.float64 if name not in OF_THE_DTYPE else dtype
    wide = [a.astype(exact) if isinstance(a, np.ndarray) and a.dtype == dtype else a for a in args]
    with np.errstate(all="ignore"):
        want = op.reference(*wide, **sample.params)[0]
    have = op.forward(*args, **sample.params)[0]
    length = max(op.length(*sample.args, **sample.params), 1)
    for h, w in zip(
        have if isinstance(have, tuple) else (have,), want if isinstance(want, tuple) else (want,), strict=True
    ):
        assert h.shape == w.shape
        if w.dtype.kind != "f":
            np.testing.assert_array_equal(h, w)
            continue
        finite = np.abs(w[np.isfinite(w)])
        eps = 16 * float(np.finfo(dtype).eps) * length
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(
                h.astype(np.float64), w.astype(dtype), rtol=eps, atol=eps * max(1.0, float(finite.max(initial=0.0)))
            )


# --- the bindings -----------------------------------------------------------------------------------------------------

PLACES = re.compile(r"(\w+): (.*?)(?: = .*)?$")


def split(text: str) -> list[str]:
    """What lies between the outermost commas."""
    parts, depth, start = [], 0, 0
    for i, c in enumerate(text + ","):
        depth += (c in "[(") - (c in "])")
        if c == "," and depth == 0:
            parts.append(text[start:i].strip())
            start = i + 1
    return [p for p in parts if p]


def signature(name: str):
    """[(parameter, type, keyword only)] of a binding, from the first line of its documentation."""
    line = getattr(_core, name).__doc__.strip().splitlines()[0]
    inner = line[line.index("(") + 1 : line.rindex(") ->")]
    found, only = [], False
    for part in split(inner):
        if part in "*/":
            only = only or part == "*"
            continue
        parameter, kind = PLACES.match(part.lstrip("*")).groups()
        several = (f"{parameter}1", f"{parameter}2") if part[0] == "*" else (parameter,)
        found += [(p, kind, only) for p in several]
    return found


SWITCHES = {"isas", "isa", "use_isa", "rung", "use_rung", "num_threads", "memory_stats", "reset_peak", "trim",
            "set_kept_limit", "set_num_threads"}  # fmt: skip
BINDINGS = sorted(
    n
    for n, f in vars(_core).items()
    if callable(f) and not isinstance(f, type) and not n.startswith("_") and n not in SWITCHES
)
# 2**40: more than 32 bits hold, and more bytes than there is memory; what fits into memory would be filled.
NUMBERS = (*HUGE[:3], -1, 0, 1, 2, 3, 7, 2**40 - 1, 2**40, -(2**31), -(2**40))


def recorded() -> dict[str, list[dict]]:
    """Calls of the bindings as the table's samples make them."""
    calls: dict[str, list[dict]] = {name: [] for name in BINDINGS}
    real = {name: getattr(_core, name) for name in BINDINGS}

    def watch(name):
        names = [p for p, _, _ in signature(name)]

        def call(*args, **named):
            small = all(not isinstance(a, np.ndarray) or a.size < 5000 for a in args)
            if small and len(calls[name]) < 30:
                calls[name].append({**dict(zip(names, args, strict=False)), **named})
            return real[name](*args, **named)

        return call

    bound = {f: name for name, f in real.items()}  # rows that hold a binding itself, which no longer asks _core for it
    for name in BINDINGS:
        setattr(_core, name, watch(name))
    try:
        for name, samples in SAMPLES.items():
            op = OPS[name]
            for s in samples:
                if op.kernel in bound:
                    getattr(_core, bound[op.kernel])(*s.args, *[s.params[key] for key in op.names])
                else:
                    op.forward(*s.args, **s.params)
    finally:
        for name in BINDINGS:
            setattr(_core, name, real[name])
    return calls


CALLS = recorded()


def array(r: random.Random, dims) -> np.ndarray:
    shape = tuple([r.choice(dims) for _ in range(r.randrange(6))])
    kinds = [np.float32, np.float64] * 4 + [np.int64, np.int32, np.bool_, np.float16, np.complex64, ">f4", object, "U1"]
    dtype = np.dtype(r.choice(kinds))
    a = np.zeros(shape, dtype)
    if dtype.kind in "fi":
        a[...] = np.random.default_rng(r.getrandbits(32)).integers(-2, 4, shape)
    return awkward(r, a)


def wrong(r: random.Random, kind: str, dims):
    """An argument of a binding's type, or of another."""
    if r.random() < 0.05:
        return r.choice([None, "x", 1.5, [1, 2], (), object(), b"a", {}, np.float32(2), True, (1, "x"), 2**70])
    if "ndarray" in kind or kind == "object" or "Buffer" in kind:
        return None if ("None" in kind or kind == "object") and r.random() < 0.3 else array(r, dims)
    if kind == "tuple":
        return tuple([r.randrange(-2, 6) for _ in range(r.randrange(4))])
    if "tuple[" in kind or "Sequence[" in kind or "list[" in kind:
        return tuple(
            [
                r.choice([0, 1, 1, 2, 3]) if r.random() < 0.8 else r.choice(NUMBERS)
                for _ in range(r.choice([2, 2, 2, 1, 3]))
            ]
        )
    if "SupportsInt" in kind or kind == "int":
        return r.choice(NUMBERS) if r.random() < 0.3 else math.prod(r.choice(dims) for _ in range(r.randrange(4)))
    if "SupportsFloat" in kind or kind == "float":
        return r.choice([0.0, 1.0, -1.0, 0.5, 1e300, math.nan, math.inf])
    if kind == "bool":
        return r.random() < 0.5
    return r.choice(["mean", "sum", "none", "x", ""])


def changed(r: random.Random, value, kind: str, dims):
    """An argument that was right, changed."""
    if isinstance(value, np.ndarray):
        how = r.choice(["layout", "size", "dtype", "entry", "flat", "other"])
        if how == "layout":
            return awkward(r, value.copy())
        if how == "size" and value.ndim:
            shape = list(value.shape)
            shape[r.randrange(len(shape))] = r.choice([0, 1, 2, 3, 5])
            return np.resize(value, shape) if value.size else np.zeros(shape, value.dtype)
        if how == "dtype":
            to = r.choice([np.float32, np.float64, np.int64, np.int32, bool])
            with np.errstate(all="ignore"):
                return value.astype(to) if value.dtype.kind in "biuf" else np.zeros(value.shape, to)
        if how == "entry" and value.size and value.dtype.kind in "if":
            value = value.copy()
            far = (
                [-1, -(2**31), 2**31 - 1, 100, -100]
                if value.dtype.kind == "i"
                else [math.nan, math.inf, -math.inf, 1e30]
            )
            with np.errstate(over="ignore"):
                value.flat[r.randrange(value.size)] = r.choice(far)
            return value
        if how == "flat":
            return value.reshape(-1)
        return wrong(r, kind, dims)
    if isinstance(value, (tuple, list)) and value and all(isinstance(n, int) for n in value):
        value = list(value)
        value[r.randrange(len(value))] = r.choice([*NUMBERS, 4, 5, 10])
        return tuple(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return r.choice([*NUMBERS, value + 1, value - 1, 2 * value])
    return wrong(r, kind, dims)


@pytest.mark.parametrize("name", BINDINGS)
@fuzz
@draws
def test_bindings(name, r):
    places = signature(name)
    dims = [r.choice([0, 1, 2, 3, 17]), r.choice([0, 1, 2, 3]), 1]
    given = dict(r.choice(CALLS[name])) if CALLS[name] and r.random() < 0.7 else {}
    right = bool(given)
    for parameter, kind, _ in places:
        if parameter not in given:
            given[parameter] = wrong(r, kind, dims)
    if right:
        for _ in range(r.choice([0, 1, 1, 1, 2, 3])):
            parameter, kind, _ = r.choice(places)
            given[parameter] = changed(r, given[parameter], kind, dims)
    if name.endswith("_step") and r.random() < 0.8:  # arrays that fit each other
        one = array(r, dims)
        for parameter, kind, _ in places:
            if "ndarray" in kind or kind == "object":
                given[parameter] = one.copy()
    args = [given[p] for p, _, only in places if not only]
    log(name, [(a.shape, a.dtype, a.strides) if isinstance(a, np.ndarray) else a for a in args], given)
    try:
        getattr(_core, name)(*args, **{p: given[p] for p, _, only in places if only})
    except (TypeError, ValueError, RuntimeError, IndexError):
        pass  # among them all errors of ours
